//! Which statements make PostgreSQL take the snapshot of a transaction. In: the tokens of a message. Out: whether, and what comes before
//! that, in the transaction that is open. In REPEATABLE READ and SERIALIZABLE a transaction sees what was committed before its first
//! snapshot, and SET TRANSACTION must stand before it; so a question of pgscrim's own must not be the first to take one. Behind a
//! statement that takes one itself it changes nothing.
//!
//! It is PostgreSQL's `PlannedStmtRequiresSnapshot`: a statement that is not on its short list takes one.

use super::{
    Kind, Token,
    command::{Command, classify},
    split,
};

/// What a message does before it takes a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// It takes none.
    Never,
    /// Nothing that a snapshot would disturb.
    Taken,
    /// It waits for locks on relations that are named without their schema.
    Locks,
    /// It says how the transaction is to be.
    Modes,
}

/// Looks at the statements of a message in order.
pub fn first_snapshot(tokens: &[Token]) -> Snapshot {
    let mut before = Snapshot::Taken;
    for range in split::statements(tokens) {
        let own = tokens.get(range).unwrap_or(&[]);
        match classify(own) {
            Command::Set(at) => {
                if sets_modes(own, at) {
                    before = Snapshot::Modes;
                }
            }
            // What follows is in another transaction.
            Command::Transaction("COMMIT" | "ROLLBACK") if !own.iter().any(|token| token.is_word("to")) => {
                before = Snapshot::Taken;
            }
            Command::Tables("LOCK TABLE") => {
                if !own.split(|token| token.kind == Kind::Comma).all(|one| one.iter().any(|t| t.kind == Kind::Dot)) {
                    return if before == Snapshot::Modes { Snapshot::Modes } else { Snapshot::Locks };
                }
            }
            Command::Transaction("PREPARE TRANSACTION")
            | Command::Query
            | Command::Modify(_)
            | Command::Copy
            | Command::Tables(_)
            | Command::Explain(_)
            | Command::Prepare(..)
            | Command::Execute(..)
            | Command::Declare(..)
            | Command::Close(_)
            | Command::Deallocate(_)
            | Command::Discard(_)
            | Command::Other(_) => return before,
            Command::Transaction(_)
            | Command::Reset(_)
            | Command::Show
            | Command::Fetch(..)
            | Command::Notification(_) => {}
        }
    }
    Snapshot::Never
}

/// Whether SET, of which the name is the token `at`, is about the transaction that is open.
fn sets_modes(tokens: &[Token], at: usize) -> bool {
    let is = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.name().eq_ignore_ascii_case(word));
    is(at, "transaction")
        || ["transaction_isolation", "transaction_read_only", "transaction_deferrable"].iter().any(|name| is(at, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lex;

    #[test]
    fn what_comes_before_the_first_snapshot() {
        for (text, expected) in [
            ("", Snapshot::Never),
            ("BEGIN", Snapshot::Never),
            (
                "SET LOCAL search_path = a; SHOW x; SAVEPOINT a; ROLLBACK TO a; FETCH 1 FROM c; NOTIFY a",
                Snapshot::Never,
            ),
            ("SET CONSTRAINTS ALL DEFERRED", Snapshot::Never),
            ("SET TRANSACTION READ ONLY", Snapshot::Never),
            ("LOCK TABLE a.b, ONLY c.d IN SHARE MODE", Snapshot::Never),
            ("LOCK a.b, c", Snapshot::Locks),
            ("SET TRANSACTION READ ONLY; LOCK c; SELECT 1", Snapshot::Modes),
            ("SELECT 1", Snapshot::Taken),
            ("SAVEPOINT a; SELECT 1", Snapshot::Taken),
            ("SELECT 1; LOCK c; SET TRANSACTION READ ONLY", Snapshot::Taken),
            ("SET transaction_isolation = serializable; SELECT 1", Snapshot::Modes),
            ("SET LOCAL \"Transaction_Read_Only\" = on; TABLE a", Snapshot::Modes),
            ("SET TRANSACTION READ ONLY; COMMIT AND CHAIN; SELECT 1", Snapshot::Taken),
            ("SET TRANSACTION READ ONLY; ROLLBACK TO a; SELECT 1", Snapshot::Modes),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SELECT 1", Snapshot::Taken),
            ("DEALLOCATE ALL", Snapshot::Taken),
            ("CLOSE c", Snapshot::Taken),
        ] {
            assert_eq!(first_snapshot(&lex::lex(text).unwrap()), expected, "{text}");
        }
    }
}
