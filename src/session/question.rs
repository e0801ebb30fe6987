//! Stage `session`: questions of pgscrim's own to the server, between messages of the client. In: what is to be known. Out: what the server
//! says of it, into [`super::path`]. Invariant: nothing of question and answer reaches the client, no statement or portal of the client's is
//! touched, and an answer of another form than the one that is expected ends the session.
//!
//! At rest a question ends with Sync; in the midst of a pipeline with Flush, so that the client's messages before and behind it stay in one.

use std::{
    future::poll_fn,
    sync::{Arc, LazyLock},
};

use super::{
    inflight::Entry,
    relay::{Relay, Stop},
    scrub, temporary,
};
use crate::{
    error::{Refusal, RefusalCode},
    policy::settings::is_utf8,
    wire::{backend, build},
};

/// Everything in it is named in full, so that it means the same on any path.
static PATH: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT pg_catalog.current_schemas(true), \
         pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('client_encoding'), \
         pg_catalog.current_setting('pgscrim.purpose', true), {}",
        temporary::COLUMN
    )
});
/// Takes no snapshot.
const ISOLATION: &str = "SHOW transaction_isolation";
/// Of statement and portal: reserved, so that no client has one of this name.
const NAME: &[u8] = b"pgs_question";
/// The messages of an answer, before ReadyForQuery.
const ANSWER: &[u8] = b"312DC33";
/// How often a question at the start is asked that was cancelled: whoever cancels means something else.
const ATTEMPTS: usize = 4;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Search path, purpose and temporary tables.
    Path,
    /// The isolation of the transaction.
    Isolation,
}

/// A question that was sent.
#[derive(Debug)]
pub(super) struct Question {
    asked: Asked,
    /// ReadyForQuery ends the answer.
    pub rests: bool,
    /// Messages of the answer so far.
    seen: usize,
    values: Vec<Option<String>>,
    failed: Option<Refusal>,
}

impl Relay {
    /// Asks. The client's next message has to wait for the answer.
    pub(super) fn ask_server(&mut self, asked: Asked, rests: bool) {
        let text = match asked {
            Asked::Path => &**PATH,
            Asked::Isolation => ISOLATION,
        };
        build::question(&mut self.server.output, NAME, text, rests);
        let question = Question { asked, rests, seen: 0, values: Vec::new(), failed: None };
        self.model.queue.push_back(Entry::Question(Box::new(question)));
    }

    /// Learns the path before the client is told that the session is ready.
    pub(super) async fn learn_path(&mut self) -> Result<(), Stop> {
        for _ in 0..ATTEMPTS {
            self.path.failed = None;
            self.ask_server(Asked::Path, true);
            // Nothing is read from the client meanwhile.
            self.waiting = true;
            while !self.model.is_idle() {
                if self.server.ended {
                    return Err(if self.client.output.is_empty() { Stop::ServerLost } else { Stop::ServerEnded });
                }
                poll_fn(|cx| self.poll_move(cx, true)).await?;
                self.hear_server().await?;
            }
            self.waiting = false;
            match &self.path.failed {
                None => return Ok(()),
                Some(refusal) if refusal.sqlstate() == "57014" => {}
                Some(_) => break,
            }
        }
        let failed = self.path.failed.take();
        Err(Stop::Tell(failed.unwrap_or_else(|| Refusal::new(RefusalCode::NotReady, UNREAD))))
    }

    /// Whether a message of the server's of this kind belongs to the answer to a question.
    pub(super) fn answers_question(&mut self, kind: u8) -> bool {
        !matches!(kind, b'N' | b'A' | b'S') && matches!(self.model.front(), Some(Entry::Question(_)))
    }

    /// Takes in one message of an answer.
    pub(super) fn take_answer(&mut self, kind: u8, body: &[u8]) -> Result<(), Stop> {
        let Some(Entry::Question(mut question)) = self.model.queue.pop_front() else { return Err(self.server_broke()) };
        let expected = ANSWER.get(question.seen).copied().filter(|_| question.failed.is_none());
        match kind {
            b'E' => {
                let said = scrub::read(body).map_err(|_| self.server_broke())?;
                if said.fatal {
                    scrub::scrub(&mut self.client.output, b'E', body, |_| None).map_err(|_| self.server_broke())?;
                    self.model.queue.push_front(Entry::Question(question));
                    return Ok(());
                }
                let refusal = unanswered(body, &said);
                if question.rests {
                    question.failed = Some(refusal);
                    self.model.queue.push_front(Entry::Question(question));
                } else {
                    // The message that waits for the answer is skipped, and those up to Sync.
                    scrub::refuse(&mut self.client.output, "ERROR", &refusal, "");
                    self.model.skip_to_sync();
                }
                return Ok(());
            }
            b'Z' if question.rests && expected.is_none() => {
                self.model.ready(body.first().map_or('I', |status| char::from(*status)));
                if let Some(refusal) = question.failed.take() {
                    self.path.failed = Some(refusal);
                    return Ok(());
                }
            }
            kind if Some(kind) == expected => {
                if kind == b'D' {
                    question.values = backend::text_row(body).map_err(|_| self.server_broke())?;
                }
                question.seen += 1;
                if question.rests || question.seen < ANSWER.len() {
                    self.model.queue.push_front(Entry::Question(question));
                    return Ok(());
                }
            }
            _ => return Err(self.server_broke()),
        }
        let mut values = question.values.into_iter().map(Option::unwrap_or_default);
        match question.asked {
            Asked::Path => self.take_path(values, question.rests),
            Asked::Isolation => {
                let isolation = values.next().unwrap_or_default();
                self.path.reads_committed = Some(matches!(isolation.as_str(), "read committed" | "read uncommitted"));
                Ok(())
            }
        }
    }

    /// Takes in where the session stands; the server was at rest when it was asked, or in the middle of a pipeline.
    fn take_path(&mut self, mut values: impl Iterator<Item = String>, rests: bool) -> Result<(), Stop> {
        let schemas = values.next().and_then(|array| name_array(&array));
        let (strings, encoding) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        self.asked_purpose = values.next().unwrap_or_default();
        let tables = values.next().unwrap_or_default();
        self.act_for_purpose(&Arc::clone(&self.stamp.inputs))?;
        // All that was sent before has been answered; what it has touched, its transaction may still undo.
        self.path.moving = false;
        self.path.foresight.rest(true);
        if self.exempt {
            self.path.stale = false;
            return Ok(());
        }
        let Some(mut schemas) = schemas.filter(|_| strings == "on" && is_utf8(&encoding)) else {
            return Err(Stop::Tell(
                Refusal::new(
                    RefusalCode::SettingNotAllowed,
                    "restricted roles need client_encoding UTF8 and standard_conforming_strings on",
                )
                .with_hint("Mend the settings of the role or database with ALTER ROLE or ALTER DATABASE."),
            ));
        };
        if self.temporary.learn(&tables, !rests || self.model.transaction != 'I', &mut schemas).is_none() {
            let refusal = Refusal::new(RefusalCode::NotReady, "the temporary tables of the session could not be read");
            self.path.failed = Some(refusal.with_hint("Send the statement again."));
            return Ok(());
        }
        if *self.path.schemas != *schemas {
            self.path.schemas = schemas.into();
        }
        self.path.stale = false;
        Ok(())
    }
}

/// What is told of an error that a question has met: it is that of the statement that waits for the answer.
pub(super) fn unanswered(body: &[u8], said: &scrub::Said) -> Refusal {
    let message = scrub::message(body).unwrap_or_else(|| UNREAD.to_owned());
    let refusal = Refusal::new(RefusalCode::NotReady, message).with_sqlstate(&said.sqlstate);
    refusal.with_hint("Send the statement again.")
}

/// What a client is told when the server's own words may not be.
const UNREAD: &str = "the search path of the session could not be read";

/// The elements of a `name[]` in text form.
fn name_array(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut names = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() {
        let mut name = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => name.push(chars.next()?),
                    c => name.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                name.push(c);
            }
        }
        names.push(name);
        match chars.next() {
            None | Some(',') => {}
            Some(_) => return None,
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_arrays_are_read() {
        let read = |text: &str| name_array(text).map(|names| names.join("|"));
        assert_eq!(read("{pg_catalog,public}").as_deref(), Some("pg_catalog|public"));
        assert_eq!(read(r#"{"a,b","c\"d","e\\f",g}"#).as_deref(), Some(r#"a,b|c"d|e\f|g"#));
        assert_eq!(read("{}").as_deref(), Some(""));
        assert_eq!(read("x"), None);
        assert_eq!(read(r#"{"a"x}"#), None);
    }
}
