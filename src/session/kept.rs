//! Stage `session`: what one session takes. In: its prepared statements and cursors, and what waits for an answer. Out: whether it may have one more, or has to
//! wait. Invariant: the texts that a session of a restricted role keeps have a bound in bytes, and so have those that wait for their answer, and what waits in
//! number, whatever the client sends before it asks for one.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    inflight::{Entry, Model, Name, Prepared},
    relay::Relay,
};
use crate::{
    error::{Refusal, RefusalCode},
    wire::Header,
};

/// Cursors and portals that a session of a restricted role may have: what each was opened for is remembered, until it is closed or the
/// transaction ends, also when the server has dropped it before.
pub(super) const MOST_OPEN: usize = 4000;
/// Bytes of the texts of named statements, the client's and what the server got, that a session of a restricted role may have.
const MOST_KEPT: usize = 64 * 1024 * 1024;
/// Messages that may wait for an answer in one session; then answers are read before more is sent, so that a long pipeline does not take all places in
/// the audit queue.
const MOST_UNANSWERED: usize = 4096;
/// Bytes of texts that may wait for ParseComplete.
const MOST_WAITING: usize = 16 * 1024 * 1024;
/// After longer messages that is looked at always, after others every so many.
const BRIEF: usize = 4 * 1024;
const OFTEN: usize = 8;

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

    /// Whether a named statement, or what is opened of one, of so many bytes can be kept beside all others.
    pub fn can_keep(&self, bytes: usize) -> bool {
        self.statements.bytes + self.waiting() + self.open_names.bytes() + bytes <= MOST_KEPT
    }

    /// Whether a portal of a statement may be opened under a name.
    pub fn can_open(&self, prepared: &Prepared) -> bool {
        self.opened() < MOST_OPEN && self.can_keep(prepared.origin.bytes())
    }
}

impl Relay {
    /// Whether a message has to wait until the server has answered others, which is asked to then: it does so by itself only at a Sync, or when
    /// it has much to say.
    pub(super) fn holds_back(&mut self, header: Header) -> bool {
        let full = match header.kind {
            b'd' | b'X' => false,
            // A login's own statements wait for each other.
            b'E' if !self.exempt && !self.share.has_room(1) => true,
            // What is sent on for a short text may be long.
            b'P' if header.total > BRIEF || self.model.queue.len().is_multiple_of(OFTEN) => {
                self.model.waiting() > MOST_WAITING || self.model.queue.len() >= MOST_UNANSWERED
            }
            _any => self.model.queue.len() >= MOST_UNANSWERED,
        };
        let held = (full || self.names_what_is_skippable(header)) && self.model.is_answering();
        if held {
            self.ask_for_answers();
        } else {
            self.model.flushed = false;
        }
        held
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
    let most = MOST_KEPT / (1024 * 1024);
    let what =
        format!("more than {MOST_OPEN} cursors or portals in one session, or of statements of more than {most} MiB");
    Refusal::new(RefusalCode::StatementNotAllowed, what)
        .with_sqlstate("54000")
        .with_hint("Close those that are no longer needed, with CLOSE ALL if need be, or end the transaction.")
}
