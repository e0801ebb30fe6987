//! What kind of statement a run of tokens is, by its leading words: an exhaustive table of PostgreSQL's commands.
//!
//! In: the tokens of one statement. Out: a [`Command`] with the places of its parts. Commands that are not listed are
//! [`Command::Other`], which restricted roles may not run.

use std::ops::Range;

use super::{Kind, Token};

/// A statement, taken apart as far as its leading words go. Numbers are token numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// SELECT, VALUES, TABLE, WITH, or a parenthesised query.
    Query,
    /// INSERT, UPDATE, DELETE, MERGE.
    Modify(&'static str),
    /// LOCK TABLE or TRUNCATE TABLE.
    Tables(&'static str),
    /// COPY.
    Copy,
    /// EXPLAIN: where the explained statement starts.
    Explain(usize),
    /// PREPARE: the name, and where the prepared statement starts.
    Prepare(usize, usize),
    /// EXECUTE: the name, and the arguments.
    Execute(usize, Range<usize>),
    /// DECLARE CURSOR: the name, and where the query starts.
    Declare(usize, usize),
    /// FETCH or MOVE: the cursor's name.
    Fetch(&'static str, usize),
    /// CLOSE: the cursor's name, none for ALL.
    Close(Option<usize>),
    /// DEALLOCATE: the statement's name, none for ALL.
    Deallocate(Option<usize>),
    /// BEGIN, COMMIT, SAVEPOINT and the like, with its tag.
    Transaction(&'static str),
    /// SET: where the setting's name starts (after SESSION or LOCAL).
    Set(usize),
    /// RESET name or RESET ALL: where the name stands.
    Reset(usize),
    /// SHOW.
    Show,
    /// DISCARD: whether ALL.
    Discard(bool),
    /// LISTEN, UNLISTEN, NOTIFY.
    Notification(&'static str),
    /// A command that can change the catalog or run code, or one that is not known.
    Other(&'static str),
}

/// Commands that are told apart by their first word alone.
const OTHERS: &[(&str, &str)] = &[
    ("alter", "ALTER"),
    ("analyze", "ANALYZE"),
    ("analyse", "ANALYZE"),
    ("call", "CALL"),
    ("checkpoint", "CHECKPOINT"),
    ("cluster", "CLUSTER"),
    ("comment", "COMMENT"),
    ("create", "CREATE"),
    ("do", "DO"),
    ("drop", "DROP"),
    ("grant", "GRANT"),
    ("import", "IMPORT"),
    ("load", "LOAD"),
    ("reassign", "REASSIGN OWNED"),
    ("refresh", "REFRESH MATERIALIZED VIEW"),
    ("reindex", "REINDEX"),
    ("revoke", "REVOKE"),
    ("security", "SECURITY LABEL"),
    ("vacuum", "VACUUM"),
];

/// Classifies the statement.
pub fn classify(tokens: &[Token]) -> Command {
    let word = |index: usize| match tokens.get(index) {
        Some(token) if token.kind == Kind::Word => &*token.value,
        Some(_) | None => "",
    };
    let is_name = |index: usize| tokens.get(index).is_some_and(Token::is_name);
    let length = tokens.len();
    match word(0) {
        "select" | "with" | "values" | "table" => Command::Query,
        "" if tokens.first().is_some_and(|token| token.kind == Kind::Open) => Command::Query,
        "insert" => Command::Modify("INSERT"),
        "update" => Command::Modify("UPDATE"),
        "delete" => Command::Modify("DELETE"),
        "merge" => Command::Modify("MERGE"),
        "lock" => Command::Tables("LOCK TABLE"),
        "truncate" => Command::Tables("TRUNCATE TABLE"),
        "copy" => Command::Copy,
        "explain" => Command::Explain(explained(tokens)),
        "prepare" if word(1) == "transaction" => Command::Transaction("PREPARE TRANSACTION"),
        "prepare" if is_name(1) => {
            let mut index = 2;
            if tokens.get(index).is_some_and(|token| token.kind == Kind::Open) {
                index = after_brackets(tokens, index);
            }
            if word(index) == "as" { Command::Prepare(1, index + 1) } else { Command::Other("PREPARE") }
        }
        "execute" if is_name(1) => match tokens.get(2).map(|token| token.kind) {
            None => Command::Execute(1, 2..2),
            Some(Kind::Open) if after_brackets(tokens, 2) == length => Command::Execute(1, 3..length.saturating_sub(1)),
            Some(_) => Command::Other("EXECUTE"),
        },
        "declare" if is_name(1) => {
            let query = (2..length).find(|index| word(*index) == "for");
            match query {
                Some(at) if (2..at).all(|index| is_cursor_word(word(index))) => Command::Declare(1, at + 1),
                Some(_) | None => Command::Other("DECLARE CURSOR"),
            }
        }
        "fetch" => fetch(tokens, "FETCH"),
        "move" => fetch(tokens, "MOVE"),
        "close" if length == 2 && is_name(1) => Command::Close((word(1) != "all").then_some(1)),
        "deallocate" => {
            let at = if word(1) == "prepare" && length == 3 { 2 } else { 1 };
            if length == at + 1 && is_name(at) {
                Command::Deallocate((word(at) != "all").then_some(at))
            } else {
                Command::Other("DEALLOCATE")
            }
        }
        "begin" => Command::Transaction("BEGIN"),
        "start" if word(1) == "transaction" => Command::Transaction("START TRANSACTION"),
        "commit" | "end" if word(1) == "prepared" => Command::Other("COMMIT PREPARED"),
        "commit" | "end" => Command::Transaction("COMMIT"),
        "rollback" if word(1) == "prepared" => Command::Other("ROLLBACK PREPARED"),
        "rollback" | "abort" => Command::Transaction("ROLLBACK"),
        "savepoint" => Command::Transaction("SAVEPOINT"),
        "release" => Command::Transaction("RELEASE"),
        "set" => Command::Set(
            if matches!(word(1), "session" | "local") && word(2) != "characteristics" && word(2) != "authorization" {
                2
            } else {
                1
            },
        ),
        "reset" => Command::Reset(1),
        "show" => Command::Show,
        "discard" => Command::Discard(word(1) == "all"),
        "listen" => Command::Notification("LISTEN"),
        "unlisten" => Command::Notification("UNLISTEN"),
        "notify" => Command::Notification("NOTIFY"),
        other => Command::Other(OTHERS.iter().find(|(first, _)| *first == other).map_or("UNKNOWN", |(_, tag)| tag)),
    }
}

/// The token after the brackets that open at `open`.
pub fn after_brackets(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.kind == Kind::Open {
            depth += 1;
        } else if token.kind == Kind::Close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index + 1;
            }
        }
    }
    tokens.len()
}

fn explained(tokens: &[Token]) -> usize {
    let mut index = 1;
    if tokens.get(1).is_some_and(|token| token.kind == Kind::Open)
        && !tokens.get(2).is_some_and(|token| {
            token.kind == Kind::Open || ["select", "with", "values", "table"].iter().any(|word| token.is_word(word))
        })
    {
        return after_brackets(tokens, 1);
    }
    while tokens
        .get(index)
        .is_some_and(|token| token.is_word("analyze") || token.is_word("analyse") || token.is_word("verbose"))
    {
        index += 1;
    }
    index
}

fn is_cursor_word(word: &str) -> bool {
    matches!(word, "binary" | "asensitive" | "insensitive" | "no" | "scroll" | "cursor" | "with" | "without" | "hold")
}

/// `FETCH [direction] [FROM | IN] name`: directions are words and numbers only.
fn fetch(tokens: &[Token], tag: &'static str) -> Command {
    let Some(last) = tokens.len().checked_sub(1).filter(|last| *last >= 1) else { return Command::Other(tag) };
    let is_direction = |token: &Token| match token.kind {
        Kind::Number => true,
        Kind::Operator => matches!(&*token.value, "-" | "+"),
        Kind::Word => matches!(
            &*token.value,
            "next"
                | "prior"
                | "first"
                | "last"
                | "absolute"
                | "relative"
                | "all"
                | "forward"
                | "backward"
                | "from"
                | "in"
        ),
        Kind::Quoted
        | Kind::Text
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Parameter
        | Kind::Open
        | Kind::Close
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Comma
        | Kind::Semicolon
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => false,
    };
    let directions = tokens.get(1..last).unwrap_or(&[]);
    if directions.iter().all(is_direction) && tokens.get(last).is_some_and(Token::is_name) {
        Command::Fetch(tag, last)
    } else {
        Command::Other(tag)
    }
}
