//! Stage `session`: what prepared statements and cursors take. In: the statements of one session, those that wait for ParseComplete included. Out: whether it may
//! have one more. Invariant: the texts that a session of a restricted role keeps have a bound in bytes, and so have those that wait for their answer,
//! whatever the client sends before it asks for one.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    inflight::{Entry, Model, Name, Prepared},
    relay::Relay,
};
use crate::{
    error::{Refusal, RefusalCode},
    wire::{Header, build},
};

/// Cursors and portals that a session of a restricted role may have: what each was opened for is remembered, until it is closed or the
/// transaction ends, also when the server has dropped it before.
pub(super) const MOST_OPEN: usize = 4000;
/// Bytes of the texts of named statements, the client's and what the server got, that a session of a restricted role may have.
const MOST_KEPT: usize = 64 * 1024 * 1024;
/// Bytes of texts that may wait for ParseComplete.
const MOST_WAITING: usize = 16 * 1024 * 1024;
/// Messages of which so many can wait that they come near that.
const BRIEF: usize = 4 * 1024;

/// The prepared statements that the server has confirmed, and the bytes of their texts.
#[derive(Debug, Default)]
pub(super) struct Statements {
    known: HashMap<Name, Prepared, RandomState>,
    bytes: usize,
}

impl Statements {
    pub fn get(&self, name: &Name) -> Option<&Prepared> {
        self.known.get(name)
    }

    pub fn insert(&mut self, name: Name, prepared: Prepared) {
        self.bytes += prepared.origin.bytes();
        let before = self.known.insert(name, prepared);
        self.forget(before.as_ref());
    }

    pub fn remove(&mut self, name: &Name) {
        let before = self.known.remove(name);
        self.forget(before.as_ref());
    }

    /// Leaves the unnamed statement.
    pub fn clear_named(&mut self) {
        self.known.retain(|name, _| name.is_unnamed());
        self.bytes = self.known.values().map(|prepared| prepared.origin.bytes()).sum();
    }

    fn forget(&mut self, before: Option<&Prepared>) {
        self.bytes = self.bytes.saturating_sub(before.map_or(0, |prepared| prepared.origin.bytes()));
    }
}

impl Model {
    /// Bytes of the texts that wait for ParseComplete.
    fn waiting(&self) -> usize {
        let bytes = |entry: &Entry| if let Entry::Parse(_, prepared) = entry { prepared.origin.bytes() } else { 0 };
        self.queue.iter().map(bytes).sum()
    }

    /// Whether a named statement of so many bytes can be kept beside all others.
    pub fn can_keep(&self, bytes: usize) -> bool {
        self.statements.bytes + self.waiting() + bytes <= MOST_KEPT
    }
}

impl Relay {
    /// Whether a Parse has to wait until the server has confirmed others. It does so only when it is asked to, or has much to say.
    pub(super) fn waits_for_texts(&mut self, header: Header) -> bool {
        let much = header.kind == b'P'
            && header.total > BRIEF
            && self.model.is_answering()
            && self.model.waiting() > MOST_WAITING;
        if much {
            build::flush(&mut self.server.output);
        }
        much
    }
}

/// The refusal of one statement more.
pub(super) fn too_much_kept() -> Refusal {
    let most = MOST_KEPT / (1024 * 1024);
    Refusal::new(
        RefusalCode::StatementNotAllowed,
        format!("prepared statements of more than {most} MiB in one session"),
    )
    .with_sqlstate("54000")
    .with_hint("Close those that are no longer needed, with DEALLOCATE ALL if need be.")
}

/// The refusal of one cursor more.
pub(super) fn too_many_open() -> Refusal {
    Refusal::new(RefusalCode::StatementNotAllowed, format!("more than {MOST_OPEN} cursors or portals in one session"))
        .with_sqlstate("54000")
        .with_hint("Close those that are no longer needed, with CLOSE ALL if need be, or end the transaction.")
}
