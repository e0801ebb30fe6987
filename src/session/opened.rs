//! Stage `session`: the portals and cursors that the server has, as far as its answers tell. In: what it has confirmed, and the ends of
//! transactions and savepoints. Out: what a name stands for. Invariant: a name that is known here was opened by this session, and
//! by a statement that was judged; what went with a transaction or a savepoint is forgotten with it, as code of the server could open
//! another under its name.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::{
    clock,
    inflight::{Name, Prepared},
};
use crate::{engine::PlannedStatement, sql::lex::lex};

/// A portal, or a cursor that DECLARE has made.
#[derive(Debug)]
struct Open {
    prepared: Prepared,
    /// It may outlive its transaction.
    hold: bool,
    /// Of all that was opened, in order.
    number: u64,
}

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Opened {
    named: HashMap<Name, Open, RandomState>,
    /// The unnamed portal, which most drivers use for each statement.
    unnamed: Option<Open>,
    /// How many were opened.
    count: u64,
    /// How many were when the transaction began.
    begun: u64,
    /// Savepoints of the transaction, and how many were opened before each.
    savepoints: Vec<(Name, u64)>,
    /// Something of the transaction has failed.
    failed: bool,
}

impl Opened {
    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.named.len() + usize::from(self.unnamed.is_some())
    }

    /// Bytes of the texts that are kept for them; a text that several have once.
    pub fn bytes(&self) -> usize {
        let mut seen = HashSet::new();
        let all = self.named.values().map(|open| &open.prepared.origin);
        all.filter(|origin| seen.insert(Arc::as_ptr(origin))).map(|origin| origin.bytes()).sum()
    }

    pub fn get(&self, name: &Name) -> Option<&Prepared> {
        let open = if name.is_unnamed() { self.unnamed.as_ref() } else { self.named.get(name) };
        open.map(|open| &open.prepared)
    }

    /// A portal or cursor of this name; none of a statement that was not understood.
    pub fn insert(&mut self, name: Name, prepared: Option<Prepared>, hold: bool) {
        self.count += 1;
        let open = prepared.map(|mut prepared| {
            let granted = prepared.planned.as_ref().is_some_and(|planned| !planned.access.grants.is_empty());
            prepared.opened = granted.then(clock::seconds);
            Open { prepared, hold, number: self.count }
        });
        if name.is_unnamed() {
            self.unnamed = open;
            return;
        }
        match open {
            Some(open) => self.named.insert(name, open),
            None => self.named.remove(&name),
        };
    }

    /// What is open under a name was judged again.
    pub fn renew(&mut self, name: &Name, before: &Prepared, now: &Prepared) {
        let open = if name.is_unnamed() { self.unnamed.as_mut() } else { self.named.get_mut(name) };
        if let Some(open) = open.filter(|open| Arc::ptr_eq(&open.prepared.origin, &before.origin)) {
            let opened = open.prepared.opened;
            open.prepared = now.clone();
            open.prepared.opened = opened;
        }
    }

    pub fn forget(&mut self, name: &Name) {
        if name.is_unnamed() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
        }
    }

    /// CLOSE ALL and DISCARD ALL.
    pub fn forget_all(&mut self) {
        self.unnamed = None;
        self.named.clear();
    }

    /// The server has said that something failed.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// A statement of transaction control was completed.
    pub fn control(&mut self, planned: &PlannedStatement) {
        let savepoint = || savepoint(&planned.access.text);
        match planned.kind {
            "SAVEPOINT" => self.savepoints.extend(savepoint().map(|name| (name, self.count))),
            "RELEASE" => {
                if let Some(at) = savepoint().and_then(|name| self.position(&name)) {
                    self.savepoints.truncate(at);
                }
            }
            "ROLLBACK" => match savepoint() {
                None => self.end(false),
                Some(name) => {
                    let at = self.position(&name);
                    // What was opened since goes with it; all of the transaction, where the savepoint is not known.
                    let before = at.and_then(|at| self.savepoints.get(at)).map_or(self.begun, |(_, before)| *before);
                    let stays = |open: &Open| open.number <= before;
                    self.unnamed = self.unnamed.take().filter(stays);
                    self.named.retain(|_, open| stays(open));
                    self.savepoints.truncate(at.map_or(0, |at| at + 1));
                    self.failed = false;
                }
            },
            "COMMIT" => self.end(!self.failed),
            _ => {}
        }
    }

    /// ReadyForQuery.
    pub fn ready(&mut self, transaction: char) {
        if transaction == 'I' {
            self.end(!self.failed);
        } else {
            self.failed = transaction == 'E';
        }
    }

    /// The end of a transaction: what is not held goes, and where it was rolled back, what was opened in it.
    fn end(&mut self, committed: bool) {
        self.unnamed = None;
        if !self.named.is_empty() {
            let begun = self.begun;
            self.named.retain(|_, open| open.hold && (committed || open.number <= begun));
        }
        self.savepoints.clear();
        self.begun = self.count;
        self.failed = false;
    }

    fn position(&self, name: &Name) -> Option<usize> {
        self.savepoints.iter().rposition(|(known, _)| known == name)
    }
}

/// The savepoint that `SAVEPOINT s`, `RELEASE [SAVEPOINT] s` or `ROLLBACK TO [SAVEPOINT] s` names; none of a ROLLBACK of the transaction.
fn savepoint(text: &str) -> Option<Name> {
    let tokens = lex(text).ok()?;
    let [first, .., last] = tokens.as_slice() else { return None };
    let whole = first.is_word("rollback") || first.is_word("abort");
    let back = tokens.iter().skip(1).take(2).any(|token| token.is_word("to"));
    (!whole || back).then(|| Name::new(last.name().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savepoints_are_found_in_their_statements() {
        for (text, name) in [
            ("savepoint s", Some("s")),
            ("RELEASE SAVEPOINT \"S\"", Some("S")),
            ("release s1", Some("s1")),
            ("ROLLBACK TO s", Some("s")),
            ("rollback work to savepoint s", Some("s")),
            ("rollback transaction to \"to\"", Some("to")),
            ("abort to s", Some("s")),
            ("rollback", None),
            ("rollback work", None),
            ("rollback and chain", None),
            ("ROLLBACK TRANSACTION AND NO CHAIN", None),
        ] {
            assert_eq!(savepoint(text), name.map(|name| Name::new(name.as_bytes())), "{text}");
        }
    }
}
