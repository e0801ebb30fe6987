//! Names that wait for an answer from before a Sync. After an error the server skips what stands up to the Sync: a Parse, Bind or Close among that
//! did nothing, and behind the Sync the name still means what it meant before. So what names it there waits until the server has come past the
//! Sync, and finds what is confirmed. In: a message at hand. Out: whether it waits. Invariant: what the server runs under a name,
//! also without one, is what was judged.

use super::{
    inflight::{Entry, Model, Name, named, opens},
    relay::Relay,
};
use crate::wire::{Header, frame, frontend};

impl Model {
    /// Whether the server may have skipped what would define the statement that a message sent now names, or take it away.
    fn is_skippable_statement(&self, name: &Name) -> bool {
        let mut behind_sync = false;
        for entry in self.queue.iter().rev() {
            match entry {
                Entry::Sync | Entry::FunctionCall(_) => behind_sync = true,
                Entry::Parse(known, _) | Entry::CloseStatement(known) if known == name => return behind_sync,
                Entry::Execute(Some(run)) if named(run, name).is_some() => return behind_sync,
                // It may fail before.
                Entry::Query(batch) if batch.runs.iter().any(|run| named(run, name).is_some()) => return true,
                Entry::Parse(..)
                | Entry::CloseStatement(_)
                | Entry::Bind(..)
                | Entry::Describe(_)
                | Entry::Execute(_)
                | Entry::ClosePortal(_)
                | Entry::Query(_)
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_) => {}
            }
        }
        false
    }

    /// The same of a portal.
    fn is_skippable_portal(&self, name: &Name) -> bool {
        let mut behind_sync = false;
        for entry in self.queue.iter().rev() {
            match entry {
                Entry::Sync | Entry::FunctionCall(_) => behind_sync = true,
                Entry::Bind(known, _) | Entry::ClosePortal(known) if known == name => return behind_sync,
                Entry::Execute(Some(run)) if opens(run, name) => return behind_sync,
                Entry::Query(batch) if batch.runs.iter().any(|run| opens(run, name)) => return true,
                Entry::Bind(..)
                | Entry::ClosePortal(_)
                | Entry::Parse(..)
                | Entry::CloseStatement(_)
                | Entry::Describe(_)
                | Entry::Execute(_)
                | Entry::Query(_)
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_) => {}
            }
        }
        false
    }
}

impl Relay {
    /// Whether a message names what the server may have skipped.
    pub(super) fn names_what_is_skippable(&self, header: Header) -> bool {
        if self.model.queue.is_empty() {
            return false;
        }
        let at_hand = self.client.input.len().min(header.total);
        let body = self.client.input.get(frame::HEADER..at_hand).unwrap_or_default();
        match header.kind {
            b'B' => frontend::bind_names(body)
                .is_some_and(|(_, statement)| self.model.is_skippable_statement(&Name::new(statement))),
            b'E' => frontend::execute(body).is_ok_and(|portal| self.model.is_skippable_portal(&Name::new(portal))),
            b'D' => frontend::target(body).is_ok_and(|(kind, name)| match kind {
                b'S' => self.model.is_skippable_statement(&Name::new(name)),
                _portal => self.model.is_skippable_portal(&Name::new(name)),
            }),
            _ => false,
        }
    }
}
