//! Stage `session`: the search path and the purpose of a session. The server is asked, because only it knows what
//! `"$user"`, settings of role and database, and temporary schemas come to, and what the end of a transaction undoes.
//! Invariant: no statement of a restricted role is planned while they may have changed since they were asked for.

use std::sync::{Arc, LazyLock};

use super::{
    relay::{Relay, Stop},
    scrub, temporary,
};
use crate::{
    engine::Foresight,
    error::{Refusal, RefusalCode},
    policy::settings::is_utf8,
    sql::{lex, split},
    wire::{backend, build, frame},
};

/// Everything in it is named in full, so that it means the same on any path.
static QUESTION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT pg_catalog.current_schemas(true), \
         pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('client_encoding'), \
         pg_catalog.current_setting('pgscrim.purpose', true), {}",
        temporary::COLUMN
    )
});
/// Longest message in the answer.
const LIMIT: usize = 16 * 1024 * 1024;

/// What is known of the path.
#[derive(Debug)]
pub(super) struct SearchPath {
    /// Effective schemas in order.
    pub schemas: Arc<[String]>,
    /// A statement that changes it has completed since it was asked for.
    pub stale: bool,
    /// It was changed within the transaction that is open, so that its end may change it back.
    pub touched: bool,
    /// A statement that changes it may be on its way.
    pub moving: bool,
    /// What statements that are on their way come to.
    pub foresight: Foresight,
}

impl SearchPath {
    /// Whether the server must be asked, or the answer of what may change it be waited for.
    pub fn is_unsure(&self) -> bool {
        self.stale || self.moving
    }

    /// Whether the end of the transaction may change what was foreseen, be it of a statement that has failed.
    pub fn may_move_back(&self) -> bool {
        self.touched || self.moving || self.foresight.is_touched()
    }
}

/// Whether a statement can be planned now.
pub(super) enum Settled {
    Yes,
    /// When the server has come to rest.
    Later,
    /// Only as far as the foresight of the path says.
    Partly,
    No(Refusal),
}

impl Relay {
    /// Makes sure that the path is known before `text` is judged or run.
    pub(super) async fn settle_path(&mut self, text: &[u8]) -> Result<Settled, Stop> {
        if !self.path.is_unsure() || sets_transaction(text) {
            return Ok(Settled::Yes);
        }
        // An exempt session has no path to know, and is never held up; its events say its purpose.
        if self.exempt && !(self.has_purposes() && self.path.stale && self.model.is_idle()) {
            return Ok(Settled::Yes);
        }
        if self.model.is_idle() {
            self.path.moving = false;
            self.path.foresight.rest(self.model.transaction != 'I');
            // In a failed transaction only its end runs, and a question would fail too.
            if !self.path.stale || self.model.transaction == 'E' {
                return Ok(Settled::Yes);
            }
            return match self.ask_path().await? {
                Ok(()) => Ok(Settled::Yes),
                Err(refusal) => Ok(Settled::No(refusal)),
            };
        }
        if self.model.comes_to_rest() {
            return Ok(Settled::Later);
        }
        if self.path.moving {
            return Ok(Settled::Partly);
        }
        Ok(Settled::No(
            Refusal::new(RefusalCode::NotReady, "the search path of the session is not known")
                .with_hint("Send the statement again."),
        ))
    }

    /// Asks the server, which must be idle. The answer does not reach the client.
    pub(super) async fn ask_path(&mut self) -> Result<Result<(), Refusal>, Stop> {
        build::own_query(&mut self.server.output, &QUESTION);
        // What the client waits for must not wait for this.
        self.client.flush().await.map_err(|_| Stop::ClientLost)?;
        self.server.flush().await.map_err(|_| Stop::ServerLost)?;
        let mut answer = None;
        let mut failed = None;
        loop {
            let frame = self.server.frame(LIMIT).await.map_err(|_| Stop::ServerLost)?.ok_or(Stop::ServerLost)?;
            let body = frame::body(&frame);
            match frame.first() {
                Some(b'D') => answer = backend::text_row(body).ok(),
                Some(b'E') => {
                    let said = scrub::read(body).map_err(|_| Stop::ServerLost)?;
                    if said.fatal {
                        scrub::scrub(&mut self.client.output, b'E', body, |_| None).map_err(|_| Stop::ServerLost)?;
                        return Err(Stop::ServerEnded);
                    }
                    failed = Some(said.sqlstate);
                }
                Some(b'Z') => {
                    self.model.ready(body.first().map_or('I', |status| char::from(*status)));
                    break;
                }
                Some(b'T' | b'C') => {}
                Some(b'N' | b'A' | b'S') => self.passing(&frame)?,
                _ => return Err(Stop::ServerLost),
            }
        }
        self.clock.look();
        if let Some(sqlstate) = failed {
            return Ok(Err(Refusal {
                sqlstate: Some(sqlstate),
                ..Refusal::new(RefusalCode::NotReady, "the search path of the session could not be read")
                    .with_hint("Send the statement again.")
            }));
        }
        let mut values = answer.unwrap_or_default().into_iter().map(Option::unwrap_or_default);
        let schemas = values.next().and_then(|array| name_array(&array));
        let (strings, encoding) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        self.asked_purpose = values.next().unwrap_or_default();
        let tables = values.next().unwrap_or_default();
        self.act_for_purpose(&Arc::clone(&self.stamp.inputs))?;
        if self.exempt {
            self.path.stale = false;
            return Ok(Ok(()));
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
        if self.temporary.learn(&tables, &mut schemas).is_none() {
            return Ok(Err(Refusal::new(
                RefusalCode::NotReady,
                "the temporary tables of the session could not be read",
            )
            .with_hint("Send the statement again.")));
        }
        if *self.path.schemas != *schemas {
            self.path.schemas = schemas.into();
        }
        self.path.stale = false;
        Ok(Ok(()))
    }
}

/// Whether a text is SET TRANSACTION. It means the same on any path and for any purpose, and fails after a question of ours,
/// which takes a snapshot.
fn sets_transaction(text: &[u8]) -> bool {
    let tokens = std::str::from_utf8(text).ok().and_then(|text| lex::lex(text).ok()).unwrap_or_default();
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(word));
    word(0, "set") && word(1, "transaction") && split::statements(&tokens).len() == 1
}

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
