//! Stage `session`: what was sent to the server and is not answered yet, in order, and the names that the server knows.
//! Invariant: a name counts from the moment the server has confirmed it, until an error, Close, DEALLOCATE, DISCARD or a
//! new Parse takes it away; what was sent but not confirmed is seen through the queue.
//!
//! After an error in the extended protocol the server skips everything up to the next Sync, simple queries included.
//! While it takes COPY data it skips Sync and Flush; CopyDone and CopyFail outside COPY are skipped too.
//! <https://www.postgresql.org/docs/current/protocol-flow.html>

use std::{collections::VecDeque, ops::Deref, sync::Arc};

use smallvec::SmallVec;

use super::{
    copying::Given,
    kept::Statements,
    ledger::Run,
    names::{Expected, Named},
    opened::Opened,
    planning::Origin,
    question::Question,
};
use crate::{
    engine::{Effect, PlannedStatement},
    error::Refusal,
};

/// PostgreSQL compares names of statements and portals by their first 63 bytes (`NAMEDATALEN`).
const NAME_BYTES: usize = 63;

/// A name of a statement or portal as the server compares it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(SmallVec<[u8; 24]>);

// Copied at once: what is derived copies byte by byte.
impl Clone for Name {
    fn clone(&self) -> Self {
        Self(SmallVec::from_slice(&self.0))
    }
}

impl Name {
    pub fn new(name: &[u8]) -> Self {
        Self(SmallVec::from_slice(name.get(..NAME_BYTES).unwrap_or(name)))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_unnamed(&self) -> bool {
        self.0.is_empty()
    }
}

/// A prepared statement, or a portal of one. A clone is one count.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    judged: Arc<Judged>,
    /// Of a portal: how many values its parameters compare with stored ones that the role does not see.
    pub searched: u64,
    /// Of a portal: the prepared statement that it was bound to.
    pub statement: Name,
    /// Of what the server is known to have opened, and reads by grants: when it said so, in seconds since 1970.
    pub opened: Option<i64>,
}

/// What a prepared statement was judged to be.
#[derive(Debug)]
pub(super) struct Judged {
    /// The text it came from: of the Parse, or of the whole PREPARE.
    pub origin: Arc<Origin>,
    /// The purpose that it was judged for: that of the text, or one that the text chose before it.
    pub purpose: Arc<str>,
    /// What it does; none for an empty text.
    pub planned: Option<Arc<PlannedStatement>>,
    /// Of what PREPARE has made: the statement inside, which is what a portal of it runs.
    pub inside: Option<Arc<PlannedStatement>>,
    /// Types of parameters as Parse gave them; none for what came by another way.
    pub types: Option<Arc<[u8]>>,
}

impl Deref for Prepared {
    type Target = Judged;

    fn deref(&self) -> &Judged {
        &self.judged
    }
}

impl From<Judged> for Prepared {
    fn from(judged: Judged) -> Self {
        Self { judged: Arc::new(judged), searched: 0, statement: Name::new(b""), opened: None }
    }
}

impl Prepared {
    /// What PREPARE or DECLARE has made.
    fn by(run: &Run) -> Self {
        let judged = Judged {
            origin: Arc::clone(&run.origin),
            purpose: Arc::clone(&run.facts.purpose),
            planned: Some(Arc::clone(&run.planned)),
            inside: run.planned.inside().map(Arc::new),
            types: None,
        };
        judged.into()
    }

    /// Whether it is of the same text, judged for the same purpose: it shows the same then.
    fn is(&self, other: &Self) -> bool {
        let text = |prepared: &Self| prepared.origin.permit().map(|permit| Arc::clone(permit.text()));
        self.purpose == other.purpose && (Arc::ptr_eq(&self.origin, &other.origin) || text(self) == text(other))
    }

    /// The first statement of a text, or the whole of one that was not understood.
    pub fn first(origin: Arc<Origin>, types: Option<Arc<[u8]>>) -> Self {
        let planned = origin.statements().first().cloned();
        Judged { purpose: Arc::clone(&origin.stamp.purpose), origin, planned, inside: None, types }.into()
    }

    /// What Bind makes of it.
    pub fn into_bound(self) -> Self {
        let Some(inside) = &self.inside else { return self };
        let (origin, purpose) = (Arc::clone(&self.origin), Arc::clone(&self.purpose));
        let (planned, inside) = (Some(Arc::clone(inside)), Some(Arc::clone(inside)));
        Judged { origin, purpose, planned, inside, types: self.types.clone() }.into()
    }

    /// Whether it is a portal of what PREPARE has made.
    pub fn is_inside(&self) -> bool {
        self.inside.as_ref().zip(self.planned.as_ref()).is_some_and(|(inside, planned)| Arc::ptr_eq(inside, planned))
    }

    /// The same, as it was judged again.
    pub fn judged_again(&self, judged: Judged) -> Self {
        Self {
            judged: Arc::new(judged),
            searched: self.searched,
            statement: self.statement.clone(),
            opened: self.opened,
        }
    }
}

/// One message that the server will answer.
#[derive(Debug)]
pub(super) enum Entry {
    /// ParseComplete.
    Parse(Name, Prepared),
    /// BindComplete.
    Bind(Name, Option<Prepared>),
    /// RowDescription or NoData, for a statement after ParameterDescription; the purpose that it was judged for.
    Describe(Arc<str>),
    /// Rows and their end.
    Execute(Option<Box<Run>>),
    /// CloseComplete of a statement.
    CloseStatement(Name),
    /// CloseComplete of a portal.
    ClosePortal(Name),
    /// ReadyForQuery.
    Sync,
    /// One answer for each statement, then ReadyForQuery.
    Query(Batch),
    /// FunctionCallResponse and ReadyForQuery.
    FunctionCall(Option<Box<Run>>),
    /// CopyDone or CopyFail: no answer of its own.
    CopyEnd,
    /// A statement that fails at once in place of a refused one.
    Refused(Box<Stand>),
    /// A question of our own.
    Question(Box<Question>),
}

/// The statements of one Query message.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Not finished yet.
    pub runs: VecDeque<Run>,
    /// The server has answered something of it: ReadyForQuery may follow.
    pub answered: bool,
}

/// What the client is told in place of the server's error.
#[derive(Debug)]
pub(super) struct Stand {
    pub refusal: Refusal,
    /// The client's text, for the position.
    pub text: String,
    /// Whether it stands for a message that ReadyForQuery ends.
    pub simple: bool,
}

/// The state of one connection as the proxy knows it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub(super) struct Model {
    pub queue: VecDeque<Entry>,
    pub statements: Statements,
    /// Portals and cursors.
    pub open_names: Opened,
    /// The server skips to the next Sync, which has not been sent yet.
    pub skipping: bool,
    /// Extended messages were sent since the last Sync.
    pub open: bool,
    /// The server takes COPY data, and the client has not ended it.
    pub copying: bool,
    /// What the client has sent meanwhile.
    pub given: Given,
    /// Since the server was asked to say what it has to say, nothing was sent.
    pub flushed: bool,
    /// `I`, `T` or `E` of the last ReadyForQuery.
    pub transaction: char,
}

impl Model {
    pub fn new(transaction: char) -> Self {
        Self {
            queue: VecDeque::new(),
            statements: Statements::default(),
            open_names: Opened::default(),
            skipping: false,
            open: false,
            copying: false,
            given: Given::default(),
            flushed: false,
            transaction,
        }
    }

    /// Whether the server has answered everything and waits for a new message.
    pub fn is_idle(&self) -> bool {
        !self.open && !self.skipping && !self.copying && self.queue.iter().all(|entry| matches!(entry, Entry::CopyEnd))
    }

    /// Whether an answer to something is waited for.
    pub fn is_answering(&self) -> bool {
        self.queue.iter().any(|entry| !matches!(entry, Entry::CopyEnd))
    }

    /// Whether the answer to a question of our own is waited for.
    pub fn is_asked(&self) -> bool {
        self.queue.iter().any(|entry| matches!(entry, Entry::Question(_)))
    }

    /// Whether the server takes COPY data, or may before it has answered what was sent: then it cannot be asked.
    pub fn may_copy(&self) -> bool {
        self.copying || self.ends_in_copy()
    }

    /// Whether the server will come to rest without more messages.
    pub fn comes_to_rest(&self) -> bool {
        match self.queue.back() {
            Some(Entry::Sync | Entry::Query(_) | Entry::FunctionCall(_)) => !self.copying,
            Some(Entry::Refused(stand)) => stand.simple,
            Some(Entry::Question(question)) => question.rests,
            Some(
                Entry::Parse(..)
                | Entry::Bind(..)
                | Entry::Describe(_)
                | Entry::Execute(_)
                | Entry::CloseStatement(_)
                | Entry::ClosePortal(_)
                | Entry::CopyEnd,
            )
            | None => false,
        }
    }

    /// Whether a refused message stands before the next Sync, so that the server will skip what is sent until then.
    pub fn fails_before_sync(&self) -> bool {
        let since = self.queue.iter().rev().take_while(|entry| !matches!(entry, Entry::Sync));
        since.into_iter().any(|entry| matches!(entry, Entry::Refused(stand) if !stand.simple))
    }

    /// The entry that the next answer belongs to.
    pub fn front(&mut self) -> Option<&mut Entry> {
        while matches!(self.queue.front(), Some(Entry::CopyEnd)) {
            self.queue.pop_front();
        }
        self.queue.front_mut()
    }

    /// How many cursors and portals are remembered.
    pub fn opened(&self) -> usize {
        self.open_names.len()
    }

    /// Whether what the front of the queue names is, by all that the server has confirmed, what it was when it was sent.
    pub fn holds(&self, expected: &Expected) -> bool {
        let known = match &expected.named {
            Named::Statement(name) => self.statements.get(name),
            Named::Opened(name) => self.open_names.get(name),
        };
        known.is_some_and(|known| expected.prepared.as_ref().is_none_or(|prepared| prepared.is(known)))
    }

    /// The statement that a Bind or EXECUTE sent now will find.
    pub fn statement(&self, name: &Name) -> Option<Prepared> {
        for entry in self.queue.iter().rev() {
            match entry {
                Entry::Parse(known, prepared) if known == name => return Some(prepared.clone()),
                Entry::CloseStatement(known) if known == name => return None,
                Entry::Query(batch) => {
                    for run in batch.runs.iter().rev() {
                        if let Some(answer) = named(run, name) {
                            return answer;
                        }
                    }
                }
                Entry::Execute(Some(run)) => {
                    if let Some(answer) = named(run, name) {
                        return answer;
                    }
                }
                Entry::Parse(..)
                | Entry::CloseStatement(_)
                | Entry::Bind(..)
                | Entry::Describe(_)
                | Entry::Execute(None)
                | Entry::ClosePortal(_)
                | Entry::Sync
                | Entry::FunctionCall(_)
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_) => {}
            }
        }
        self.statements.get(name).cloned()
    }

    /// The portal that an Execute or FETCH sent now will find.
    pub fn portal(&self, name: &Name) -> Option<Prepared> {
        for entry in self.queue.iter().rev() {
            match entry {
                Entry::Bind(known, prepared) if known == name => return prepared.clone(),
                Entry::ClosePortal(known) if known == name => return None,
                Entry::Execute(Some(run)) if opens(run, name) => return Some(Prepared::by(run)),
                Entry::Query(batch) => {
                    if let Some(run) = batch.runs.iter().rev().find(|run| opens(run, name)) {
                        return Some(Prepared::by(run));
                    }
                }
                Entry::Bind(..)
                | Entry::ClosePortal(_)
                | Entry::Parse(..)
                | Entry::CloseStatement(_)
                | Entry::Describe(_)
                | Entry::Execute(_)
                | Entry::Sync
                | Entry::FunctionCall(_)
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_) => {}
            }
        }
        self.open_names.get(name).cloned()
    }

    pub fn confirm_statement(&mut self, name: Name, prepared: Prepared) {
        self.statements.insert(name, prepared);
    }

    /// A confirmed statement was judged again, and may be used on.
    pub fn renew_statement(&mut self, name: &Name, prepared: &Prepared) {
        let redefined = |entry: &Entry| match entry {
            Entry::Parse(other, _) => other == name,
            Entry::Query(batch) => batch.runs.iter().any(|run| named(run, name).is_some()),
            Entry::Execute(Some(run)) => named(run, name).is_some(),
            Entry::Execute(None)
            | Entry::Bind(..)
            | Entry::Describe(_)
            | Entry::CloseStatement(_)
            | Entry::ClosePortal(_)
            | Entry::Sync
            | Entry::FunctionCall(_)
            | Entry::CopyEnd
            | Entry::Question(_)
            | Entry::Refused(_) => false,
        };
        if let Some(known) = self.statements.get(name)
            && !Arc::ptr_eq(&known.origin, &prepared.origin)
            && !self.queue.iter().any(redefined)
        {
            self.statements.insert(name.clone(), prepared.clone());
        }
    }

    /// A portal or cursor was judged again, and may be read on.
    pub fn renew_opened(&mut self, name: &Name, before: &Prepared, now: &Prepared) {
        self.open_names.renew(name, before, now);
    }

    pub fn confirm_portal(&mut self, name: Name, prepared: Option<Prepared>) {
        self.open_names.insert(name, prepared, false);
    }

    pub fn forget_statement(&mut self, name: &Name) {
        self.statements.remove(name);
    }

    /// DEALLOCATE ALL and DISCARD ALL leave the unnamed statement.
    fn keep_unnamed(&mut self) {
        self.statements.clear_named();
    }

    pub fn forget_portal(&mut self, name: &Name) {
        self.open_names.forget(name);
    }

    /// What a completed statement does to names.
    pub fn apply(&mut self, run: &Run) {
        let prepared = || Prepared::by(run);
        match &run.planned.effect {
            Effect::Prepare { name, .. } => {
                self.statements.insert(Name::new(name.as_bytes()), prepared());
            }
            Effect::Deallocate(Some(name)) => {
                self.statements.remove(&Name::new(name.as_bytes()));
            }
            Effect::Deallocate(None) => self.keep_unnamed(),
            // Rows of a cursor that there is.
            Effect::DeclareCursor { name, .. } if run.is_of_portal(&Name::new(name.as_bytes())) => {}
            Effect::DeclareCursor { name, text: _, hold } => {
                self.open_names.insert(Name::new(name.as_bytes()), Some(prepared()), *hold);
            }
            Effect::CloseCursor(Some(name)) => self.forget_portal(&Name::new(name.as_bytes())),
            Effect::CloseCursor(None) => self.open_names.forget_all(),
            Effect::DiscardAll => {
                self.keep_unnamed();
                self.open_names.forget_all();
            }
            Effect::None => self.open_names.control(&run.planned),
            Effect::Execute(_)
            | Effect::Fetch(_)
            | Effect::SearchPath
            | Effect::Purpose(_)
            | Effect::PurposeGiven(_)
            | Effect::Temporary(_)
            | Effect::Catalog => {}
        }
    }

    /// CopyInResponse. Behind a text that was not understood there may be messages already, which the server skips up to the end of the data.
    pub fn begin_copy(&mut self) {
        self.given = Given::default();
        self.front();
        let mut at = 1;
        loop {
            match self.queue.get(at) {
                Some(Entry::Sync) => {
                    self.queue.remove(at);
                }
                Some(Entry::CopyEnd) => {
                    self.queue.remove(at);
                    return;
                }
                // The server answers any other message with an error, or there is none.
                Some(_) => return,
                None => {
                    self.copying = true;
                    return;
                }
            }
            at = 1;
        }
    }

    /// After an error in the extended protocol: everything up to the next Sync goes unanswered.
    pub fn skip_to_sync(&mut self) {
        while let Some(entry) = self.queue.front() {
            if matches!(entry, Entry::Sync) {
                return;
            }
            self.queue.pop_front();
        }
        self.skipping = true;
    }

    /// ReadyForQuery.
    pub fn ready(&mut self, transaction: char) {
        self.transaction = transaction;
        self.skipping = false;
        self.open_names.ready(transaction);
    }
}

/// Whether a run that has not completed opens a cursor of this name.
pub(super) fn opens(run: &Run, name: &Name) -> bool {
    matches!(&run.planned.effect, Effect::DeclareCursor { name: other, .. } if Name::new(other.as_bytes()) == *name)
}

/// What a statement executes or fetches from, if one of the statements before it in a text makes that, and none takes it away again.
pub(super) fn made<'a>(
    earlier: impl DoubleEndedIterator<Item = &'a Run>,
    planned: &PlannedStatement,
) -> Option<Prepared> {
    let mut earlier = earlier.rev();
    match Named::by(&planned.effect)? {
        Named::Statement(name) => earlier.find_map(|run| named(run, &name))?,
        Named::Opened(name) => earlier
            .find(|run| opens(run, &name) || closes(run, &name))
            .and_then(|last| if opens(last, &name) { Some(Prepared::by(last)) } else { None }),
    }
}

/// Whether a run closes a cursor of this name. What ends with a transaction or a savepoint, the answers tell.
fn closes(run: &Run, name: &Name) -> bool {
    if let Effect::CloseCursor(other) = &run.planned.effect {
        return other.as_ref().is_none_or(|other| Name::new(other.as_bytes()) == *name);
    }
    run.planned.effect == Effect::DiscardAll
}

/// What a run that has not completed will do to a statement's name: none when it does nothing, `Some(None)` when the
/// name goes.
#[expect(clippy::option_option, reason = "nothing, gone and defined are three answers")]
pub(super) fn named(run: &Run, name: &Name) -> Option<Option<Prepared>> {
    let is = |other: &str| Name::new(other.as_bytes()) == *name;
    match &run.planned.effect {
        Effect::Prepare { name: other, .. } if is(other) => Some(Some(Prepared::by(run))),
        Effect::Deallocate(Some(other)) if is(other) => Some(None),
        Effect::Deallocate(None) | Effect::DiscardAll if !name.is_unnamed() => Some(None),
        Effect::Prepare { .. }
        | Effect::Deallocate(_)
        | Effect::DiscardAll
        | Effect::None
        | Effect::Execute(_)
        | Effect::DeclareCursor { .. }
        | Effect::Fetch(_)
        | Effect::CloseCursor(_)
        | Effect::SearchPath
        | Effect::Purpose(_)
        | Effect::PurposeGiven(_)
        | Effect::Temporary(_)
        | Effect::Catalog => None,
    }
}

impl Stand {
    /// What is left behind when a stand has been used.
    pub fn none() -> Self {
        Self {
            refusal: Refusal::new(crate::error::RefusalCode::NotReady, String::new()),
            text: String::new(),
            simple: true,
        }
    }
}
