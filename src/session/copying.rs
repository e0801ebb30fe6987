//! Stage `session`: COPY of the client's data, message by message. In: what the client sends once COPY was sent. Out: what passes, what waits, what
//! is left out. Invariant: nothing is behind COPY on its way until the server has said what became of it.
//!
//! While the server takes data it leaves out Sync and Flush; when it has failed it answers the next Sync. Which of the two happened to a Sync behind
//! COPY cannot be told from the answers, and one answer too many or too few would be taken for another statement's. So a Sync is kept
//! until that is known, and everything else waits.

use super::{
    from_client::{Now, Step},
    inflight::{Entry, Model},
    ledger::Run,
    relay::{Relay, Stop, violation},
};
use crate::wire::{Header, build};

/// What the client has sent since the server began to take data.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// Data, or their end.
    data: bool,
    /// A Sync, which was kept.
    sync: bool,
}

impl Model {
    /// Whether the last that was sent is COPY, or may be as it was not understood, and the server has not said how it ended.
    pub fn ends_in_copy(&self) -> bool {
        let copies = |run: &Run| run.planned.kind == "COPY" || !run.origin.analysed();
        match self.queue.back() {
            Some(Entry::Execute(Some(run))) => copies(run),
            Some(Entry::Query(batch)) => batch.runs.iter().any(copies),
            Some(_) | None => false,
        }
    }
}

impl Relay {
    /// What becomes of a message of the client while COPY is under way; none when it is not, or is not concerned.
    pub(super) fn during_copy(&mut self, header: Header) -> Result<Option<Now>, Stop> {
        if header.kind == b'X' {
            return Ok(None);
        }
        if self.model.copying {
            self.model.flushed = false;
            match header.kind {
                b'd' => {
                    self.model.given.data = true;
                    self.client_passing = header.total;
                }
                b'c' | b'f' => {
                    self.model.copying = false;
                    self.model.given.data = true;
                    self.client_passing = header.total;
                }
                b'S' | b'H' => {
                    self.model.given.sync |= header.kind == b'S';
                    self.client_dropping = header.total;
                }
                // The server would refuse it, unless it has refused the data before: then it would be run.
                _ => return Err(violation("unexpected message during COPY from stdin")),
            }
            return Ok(Some(Now::Done(Step::Next)));
        }
        if self.model.ends_in_copy() {
            self.ask_for_answers();
            return Ok(Some(Now::Done(Step::Wait)));
        }
        Ok(None)
    }

    /// Has the server say what it would say at the next Sync.
    pub(super) fn ask_for_answers(&mut self) {
        if !std::mem::replace(&mut self.model.flushed, true) {
            build::flush(&mut self.server.output);
        }
    }

    /// The server has refused a statement. A Sync that was kept is owed to it where it has read nothing since it began to take data: then the
    /// client waits for its answer.
    pub(super) fn send_kept_sync(&mut self) {
        let given = std::mem::take(&mut self.model.given);
        if given.sync && !given.data {
            build::sync(&mut self.server.output);
            self.model.queue.push_back(Entry::Sync);
            (self.model.open, self.model.skipping) = (false, false);
        }
    }
}
