//! Stage `session`: which answers may come. In: the kind of a message of the server, and what waits for an answer. Out: whether it fits. Invariant: what
//! a restricted role gets is known to be the answer of a statement that was judged for it.

use super::{
    inflight::Entry,
    ledger::Run,
    relay::{Relay, Stop},
};
use crate::{sql::lex::lex, wire::backend};

/// The longest text that is looked at for names of the application, in bytes.
const MOST_SET: usize = 4096;
/// How many of them a session remembers.
const MOST_NAMES: usize = 16;

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

    /// Whether a parameter is not `application_name`, or has a value that the client itself has given it, at start-up or in the text of SET:
    /// code on the server may set it to anything, and a statement to what it computes.
    pub(super) fn is_own_name(&self, body: &[u8]) -> bool {
        let given = |value: &[u8]| self.own_names.iter().any(|name| name.as_bytes() == value);
        backend::parameter_status(body).is_ok_and(|(name, value)| {
            !name.eq_ignore_ascii_case(b"application_name")
                || value == self.request.application.as_bytes()
                || given(value)
        })
    }

    /// Remembers the names that a completed SET gives the application.
    pub(super) fn note_own_name(&mut self, run: &Run) {
        if self.exempt || run.planned.kind != "SET" || run.origin.text.len() > MOST_SET {
            return;
        }
        let Ok(tokens) = lex(&run.origin.text) else { return };
        for words in tokens.windows(3) {
            let [setting, to, value] = words else { continue };
            let sets = setting.is_word("application_name") && (to.is_word("to") || to.is_operator("="));
            // What is longer the server cuts short.
            let given = sets && (value.is_literal() || value.is_name());
            if given && !self.own_names.iter().any(|name| **name == *value.content()) {
                self.own_names.truncate(MOST_NAMES - 1);
                self.own_names.insert(0, value.content().into());
            }
        }
    }
}
