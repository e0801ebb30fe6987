//! Stage `session`: which answers may come. In: the kind of a message of the server, and what waits for an answer. Out: whether it fits. Invariant: what
//! a restricted role gets is known to be the answer of a statement that was judged for it.

use super::{
    inflight::Entry,
    relay::{Relay, Stop},
};
use crate::wire::backend;

impl Relay {
    /// Whether an answer may be one to what was asked last but is not answered: where it is not, nobody knows any more what is answered. For an exempt
    /// role only the record suffers.
    pub(super) fn fits(&mut self, kind: u8) -> bool {
        if self.exempt {
            return true;
        }
        let runs = self.current_run().is_some();
        let front = self.model.front();
        match kind {
            b'C' | b's' | b'G' | b'H' | b'W' => runs,
            b'I' => matches!(front, Some(Entry::Execute(_) | Entry::Query(_))),
            b'T' => runs || matches!(front, Some(Entry::Describe(_))),
            b'n' => matches!(front, Some(Entry::Describe(_))),
            b'Z' => match front {
                Some(Entry::Query(batch)) => batch.answered,
                Some(Entry::Sync | Entry::FunctionCall(_)) => true,
                Some(
                    Entry::Parse(..)
                    | Entry::Bind(..)
                    | Entry::Describe(_)
                    | Entry::Execute(_)
                    | Entry::CloseStatement(_)
                    | Entry::ClosePortal(_)
                    | Entry::CopyEnd
                    | Entry::Refused(_)
                    | Entry::Question(_),
                )
                | None => false,
            },
            _other => true,
        }
    }

    /// An answer that fits nothing that was asked. For an exempt role only the record suffers.
    pub(super) fn unexpected(&self) -> Result<bool, Stop> {
        if self.exempt { Ok(true) } else { Err(self.server_broke()) }
    }

    /// Whether a parameter is not `application_name`, or has the value that the client gave at start-up: code on the server
    /// may set it to anything.
    pub(super) fn is_own_name(&self, body: &[u8]) -> bool {
        backend::parameter_status(body).is_ok_and(|(name, value)| {
            !name.eq_ignore_ascii_case(b"application_name") || value == self.request.application.as_bytes()
        })
    }
}
