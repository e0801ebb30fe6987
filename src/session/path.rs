//! Stage `session`: the search path and the purpose of a session. The server is asked, because only it knows what
//! `"$user"`, settings of role and database, and temporary schemas come to, and what the end of a transaction undoes.
//! Invariant: no statement of a restricted role that depends on them is planned while they may have changed since they were asked for.
//!
//! The client does not notice: the question ([`super::question`]) touches no statement or portal of the client's, and within a transaction it
//! is asked only when the client's own next statement takes a snapshot anyway. What takes none depends on no path.

use std::sync::Arc;

use super::{question::Asked, relay::Relay};
use crate::{
    engine::Foresight,
    error::{Refusal, RefusalCode},
    policy::settings::PURPOSE,
    sql::{
        Snapshot, Token,
        command::{Command, classify},
        first_snapshot, lex, split,
    },
};

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
    /// What statements of one message come to.
    pub foresight: Foresight,
    /// Why the server did not answer.
    pub failed: Option<Refusal>,
    /// Whether each statement of the transaction sees what was committed before it; none when that was not asked.
    pub reads_committed: Option<bool>,
}

impl SearchPath {
    pub fn new(schemas: Arc<[String]>, stale: bool) -> Self {
        Self {
            schemas,
            stale,
            touched: false,
            moving: false,
            foresight: Foresight::default(),
            failed: None,
            reads_committed: None,
        }
    }

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
    /// When the server has answered, or has come to rest.
    Later,
    No(Refusal),
}

impl Relay {
    /// Makes sure that the path is known before `text` is judged or run.
    pub(super) fn settle_path(&mut self, text: &[u8]) -> Settled {
        if !self.path.is_unsure() {
            return Settled::Yes;
        }
        if let Some(refusal) = self.path.failed.take() {
            return Settled::No(refusal);
        }
        if self.model.is_asked() {
            return Settled::Later;
        }
        let idle = self.model.is_idle();
        // An exempt session has no path to know, and is never held up; its events say its purpose.
        if self.exempt && !(self.has_purposes() && self.path.stale && idle) {
            return Settled::Yes;
        }
        if idle {
            self.path.moving = false;
            self.path.foresight.rest(self.model.transaction != 'I');
            // In a failed transaction only its end runs, and a question would fail too.
            if !self.path.stale || self.model.transaction == 'E' {
                return Settled::Yes;
            }
        }
        // Outside of a transaction a question is in one of its own.
        if !(idle && self.model.transaction == 'I') {
            match self.wants_path(text) {
                Snapshot::Never => return Settled::Yes,
                Snapshot::Taken => {}
                Snapshot::Modes => return Settled::No(unknown("Send SET TRANSACTION on its own.")),
                // In READ COMMITTED a snapshot lasts for one statement.
                Snapshot::Locks => match self.path.reads_committed.take() {
                    None => return self.ask_when_possible(Asked::Isolation),
                    Some(true) => {}
                    Some(false) => return Settled::No(unknown("Name the schemas of tables to be locked.")),
                },
            }
        }
        self.ask_when_possible(Asked::Path)
    }

    /// Whether the path is looked at when the server has come to rest, whatever comes next. A long text is not read again at each answer until then.
    pub(super) fn rests_before_path(&self) -> bool {
        let moves = self.path.is_unsure() && self.path.failed.is_none() && !self.exempt;
        moves && !self.model.is_idle() && (self.model.comes_to_rest() || self.model.fails_before_sync())
    }

    fn ask_when_possible(&mut self, asked: Asked) -> Settled {
        let idle = self.model.is_idle();
        // What comes behind a refused message is skipped as soon as that has failed.
        if !idle && (self.model.comes_to_rest() || self.model.fails_before_sync()) {
            return Settled::Later;
        }
        if !idle && self.model.may_copy() {
            return Settled::No(unknown("Send the statement again."));
        }
        self.ask_server(asked, idle);
        Settled::Later
    }

    /// What `text` does before it takes a snapshot, if it depends on the path or the purpose.
    fn wants_path(&self, text: &[u8]) -> Snapshot {
        // What is no SQL is refused by any path.
        let tokens = std::str::from_utf8(text).ok().and_then(|text| lex::lex(text).ok()).unwrap_or_default();
        let first = first_snapshot(&tokens);
        if first == Snapshot::Never && self.has_purposes() && shows_by_purpose(&tokens) {
            return Snapshot::Taken;
        }
        first
    }
}

/// Whether one of the statements takes no snapshot, and shows what depends on the purpose.
fn shows_by_purpose(tokens: &[Token]) -> bool {
    let own = PURPOSE.rsplit('.').next().unwrap_or(PURPOSE);
    let names_it = |token: &Token| token.name().to_ascii_lowercase().ends_with(own);
    split::statements(tokens).into_iter().filter_map(|range| tokens.get(range)).any(|statement| {
        match classify(statement) {
            Command::Fetch(..) => true,
            Command::Show => statement.iter().any(names_it),
            Command::Query
            | Command::Modify(_)
            | Command::Tables(_)
            | Command::Copy
            | Command::Explain(_)
            | Command::Prepare(..)
            | Command::Execute(..)
            | Command::Declare(..)
            | Command::Close(_)
            | Command::Deallocate(_)
            | Command::Transaction(_)
            | Command::Set(_)
            | Command::Reset(_)
            | Command::Discard(_)
            | Command::Notification(_)
            | Command::Other(_) => false,
        }
    })
}

fn unknown(hint: &str) -> Refusal {
    Refusal::new(RefusalCode::NotReady, "the search path of the session is not known").with_hint(hint)
}
