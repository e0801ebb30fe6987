//! Stage `session`: prepared statements from Bind on. In: Bind and Describe of the client. Out: the same, for what is judged now.
//!
//! What was judged for another purpose, or before rules, catalog or path changed, is judged again. Where the same text comes out, the
//! server's statement is used on. Where another does, that text is prepared under a name of pgscrim's own, once, and used in the
//! place of the client's, provided that the server describes both alike: parameters by type, columns by name, type and format. The
//! client notices nothing then. Where it is not so, or the server cannot be asked, the client is told to prepare its statement anew.
//!
//! Invariant: a Bind reaches the server only for a statement whose text is the one that was permitted now.

use std::{collections::VecDeque, sync::Arc};

use super::{
    from_client::{Now, SMALL, Step},
    inflight::{Entry, Judged, Name, Prepared},
    kept::too_many_open,
    ledger::{outlives_grant, refused},
    limits::searched,
    names::Named,
    path::Settled,
    relay::{Relay, Stop, violation},
    scrub,
};
use crate::{
    engine::{Effect, Permit, PlannedStatement, Refused},
    error::{Refusal, RefusalCode},
    sql::RESERVED_PREFIX,
    wire::{Header, backend, build, frame, frontend},
};

/// The most statements of our own that one session keeps on the server.
const MOST: usize = 64;
/// And bytes of their texts, the last apart.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Longest message in an answer to our own questions.
const LIMIT: usize = 16 * 1024 * 1024;

/// What another judgement of a prepared statement came to.
pub(super) enum Again {
    /// The server's statement may be used on.
    Same(Prepared),
    /// Another text is to be sent.
    Other(Prepared),
    Refused(Box<Refused>),
}

/// Statements of our own on the server.
#[derive(Debug, Default)]
pub(super) struct Variants {
    known: VecDeque<Variant>,
    /// Numbers of those that are no longer used, and not closed yet.
    gone: Vec<u64>,
    last: u64,
}

/// Is described as the client's statement is.
#[derive(Debug)]
struct Variant {
    /// The text of the client's statement.
    before: Arc<str>,
    text: Arc<str>,
    types: Arc<[u8]>,
    typed_by: Box<str>,
    number: u64,
}

/// What is bound in the place of a statement of the client.
enum Found {
    Name(Vec<u8>),
    /// The server must come to rest first.
    Later,
    None,
    /// The server did not come to it: cancelled, out of memory, a lock that it waited for too long.
    Refused(Refusal),
}

impl Variants {
    fn find(&self, before: &Permit, after: &Permit, types: &[u8], typed_by: &str) -> Option<Vec<u8>> {
        let known = self.known.iter().find(|known| {
            *known.before == **before.text()
                && *known.text == **after.text()
                && *known.types == *types
                && *known.typed_by == *typed_by
        });
        known.map(|known| name(known.number))
    }
}

fn name(number: u64) -> Vec<u8> {
    format!("{RESERVED_PREFIX}{number}").into_bytes()
}

/// Whether a statement of this name could be one of our own.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(RESERVED_PREFIX.as_bytes())
}

/// The client has to prepare its statement anew.
fn replan(prepared: &Prepared) -> Box<Refused> {
    match &prepared.planned {
        Some(planned) => refused(Refusal::replan(), planned),
        None => Refusal::replan().into(),
    }
}

/// What the server has given the parameters of a statement their types by.
fn typed_by(planned: Option<&Arc<PlannedStatement>>) -> &str {
    planned.map_or("", |planned| &planned.access.typed_by)
}

/// Whether two statements change the same in the session.
fn does_the_same(old: &Effect, new: &Effect) -> bool {
    match (old, new) {
        (Effect::Prepare { name: old, .. }, Effect::Prepare { name: new, .. }) => old == new,
        (Effect::DeclareCursor { name: old, hold, .. }, Effect::DeclareCursor { name: new, hold: held, .. }) => {
            old == new && hold == held
        }
        (old, new) => old == new,
    }
}

/// The one of `statements` that is `old`; with `inside`, what stands inside of a PREPARE. None where several could be: each may have been judged
/// for another purpose.
fn the_same(
    old: &PlannedStatement,
    statements: &[Arc<PlannedStatement>],
    inside: bool,
) -> Option<Arc<PlannedStatement>> {
    let own = |new: &Arc<PlannedStatement>| if inside { new.inside().map(Arc::new) } else { Some(Arc::clone(new)) };
    let same = |new: &Arc<PlannedStatement>| old.kind == new.kind && does_the_same(&old.effect, &new.effect);
    let mut found = statements.iter().filter_map(own).filter(same);
    found.next().filter(|_| found.next().is_none())
}

fn does_not_exist() -> Box<Refused> {
    Refusal::new(RefusalCode::StatementNotAllowed, "prepared statement does not exist").with_sqlstate("26000").into()
}

impl Relay {
    /// Bind passes without its values being looked at; only its names are. At once, of an exempt role, and of a statement that was
    /// judged by what is in force.
    pub(super) fn bind_at_once(&mut self, header: Header) -> Result<Now, Stop> {
        let at_hand = self.client.input.len();
        if at_hand < header.total && at_hand < SMALL {
            return Ok(Now::Done(Step::More));
        }
        let body = self.client.input.get(frame::HEADER..header.total.min(at_hand)).unwrap_or_default();
        let names = frontend::bind_names(body).map(|(portal, name)| (Name::new(portal), Name::new(name)));
        if self.exempt {
            if let Some((portal, statement)) = names {
                let prepared = self.model.statement(&statement);
                self.bound(header, portal, statement, prepared);
            } else {
                self.fails_by_itself()?;
                self.client_passing = header.total;
            }
            return Ok(Now::Done(Step::Next));
        }
        let malformed = header.total <= at_hand && frontend::check_bind(body).is_err();
        let Some((portal, statement)) = names.filter(|_| !malformed && !self.path.is_unsure()) else {
            return Ok(Now::Later);
        };
        let Some(prepared) = self.model.statement(&statement) else { return Ok(Now::Later) };
        if self.shared.inputs.is_settling()
            || !Arc::ptr_eq(&self.inputs()?, &prepared.origin.stamp)
            || (!portal.is_unnamed() && !self.model.can_open(&prepared))
            || prepared.planned.as_ref().is_some_and(|planned| matches!(planned.effect, Effect::PurposeGiven(_)))
        {
            return Ok(Now::Later);
        }
        self.bound(header, portal, statement, Some(prepared));
        Ok(Now::Done(Step::Next))
    }

    /// Bind is the next message that passes.
    fn bound(&mut self, header: Header, portal: Name, statement: Name, prepared: Option<Prepared>) {
        let body = self.client.input.get(frame::HEADER..header.total);
        let prepared = prepared.map(|prepared| {
            let mut prepared = prepared.into_bound();
            prepared.statement = statement;
            prepared.searched = searched(&prepared, body, header.total);
            prepared
        });
        // Only now: a Bind is the first message of a pipeline when a driver keeps its statements.
        self.model.open = true;
        self.model.queue.push_back(Entry::Bind(portal, prepared));
        self.client_passing = header.total;
    }

    /// Bind, of a restricted role, for which something may have to be asked.
    pub(super) async fn bind(&mut self, header: Header) -> Result<Step, Stop> {
        let at_hand = self.client.input.len();
        let end = header.total.min(at_hand);
        let body = self.client.input.get(frame::HEADER..end).unwrap_or_default();
        let names = frontend::bind_names(body).map(|(portal, name)| (portal.to_vec(), name.len(), Name::new(name)));
        let malformed = header.total <= at_hand && frontend::check_bind(body).is_err();
        let Some((portal, length, statement)) = names.filter(|_| !malformed) else {
            return Err(violation("malformed Bind message"));
        };
        // The server looks names up anew when the path has changed.
        let known = if self.path.is_unsure() { self.model.statement(&statement) } else { None };
        let text = known.map(|known| Arc::clone(&known.origin.text)).unwrap_or_default();
        let again = match self.settle_path(text.as_bytes()) {
            Settled::Yes => match self.model.statement(&statement) {
                Some(prepared) => self.again(&prepared).await?,
                // The server skips it, as it did the Parse.
                None if self.model.fails_before_sync() => {
                    self.client_dropping = header.total;
                    return Ok(Step::Next);
                }
                None => Again::Refused(does_not_exist()),
            },
            Settled::Later => return Ok(Step::Wait),
            Settled::No(refusal) => Again::Refused(refusal.into()),
        };
        let (prepared, own) = match again {
            Again::Same(prepared) => {
                self.model.renew_statement(&statement, &prepared);
                (prepared, None)
            }
            Again::Other(prepared) => match self.variant(&statement, &prepared).await? {
                Found::Name(own) => (prepared, Some(own)),
                Found::Later => return Ok(Step::Wait),
                Found::None => return self.refuse_bind(header, replan(&prepared)).await,
                Found::Refused(refusal) => return self.refuse_bind(header, refusal.into()).await,
            },
            Again::Refused(refused) => return self.refuse_bind(header, refused).await,
        };
        if !portal.is_empty() && !self.model.can_open(&prepared) {
            return self.refuse_bind(header, too_many_open().into()).await;
        }
        let prepared = match self.given(prepared, self.client.input.get(frame::HEADER..header.total)) {
            Ok(prepared) => prepared,
            Err(refused) => return self.refuse_bind(header, refused).await,
        };
        // One of our own in its place is nobody else's.
        let statement = if own.is_some() { Name::new(b"") } else { statement };
        self.bound(header, Name::new(&portal), statement, Some(prepared));
        if let Some(own) = own {
            let start = frame::HEADER + portal.len() + 1 + length + 1;
            let _ = self.client.input.split_to(start);
            self.client_passing -= start;
            build::bind_start(&mut self.server.output, &portal, &own, self.client_passing);
        }
        Ok(Step::Next)
    }

    async fn refuse_bind(&mut self, header: Header, refused: Box<Refused>) -> Result<Step, Stop> {
        self.model.open = true;
        self.client_dropping = header.total;
        self.refuse(refused, "", false, None).await;
        Ok(Step::Next)
    }

    /// Execute of a portal that is known and needs nothing looked up.
    pub(super) fn execute_at_once(&mut self, header: Header) -> Now {
        let Some(whole) = self.client.input.get(..header.total) else { return Now::Done(Step::More) };
        let Ok(portal) = frontend::execute(frame::body(whole)) else { return Now::Later };
        let Some(prepared) = self.model.portal(&Name::new(portal)) else { return Now::Later };
        let Some(planned) = &prepared.planned else { return Now::Later };
        if !self.is_matched()
            || self.may_change_purpose()
            || !self.exempt && (!self.serves_purpose(&prepared) || !matches!(planned.effect, Effect::None))
            || self.writes_from_older_tables(&prepared)
            || self.is_of_other_rules(&prepared)
            || outlives_grant(&prepared).is_some()
        {
            return Now::Later;
        }
        let Some(slot) = self.shared.audit.try_reserve() else { return Now::Later };
        self.model.open = true;
        let portal = Name::new(portal);
        match self.recorded_in(slot, &prepared.origin, planned, prepared.searched, None) {
            Ok(run) => {
                let run = run.of_portal(portal, prepared.clone());
                self.model.queue.push_back(Entry::Execute(Some(Box::new(run))));
                self.client_passing = header.total;
                Now::Done(Step::Next)
            }
            Err(refusal) => Now::Refused(refused(refusal, planned)),
        }
    }

    /// Whether a portal or cursor was judged by other rules than those in force.
    fn is_of_other_rules(&self, opened: &Prepared) -> bool {
        let (judged, now) = (&opened.origin.stamp, &self.stamp);
        !self.exempt
            && !Arc::ptr_eq(&judged.inputs.policy, &now.inputs.policy)
            && judged.basis.policy_hash != now.basis.policy_hash
    }

    /// A portal or cursor as the rules in force judge it, if they would send what it has been opened with.
    pub(super) async fn by_rules_in_force(
        &mut self,
        name: &Name,
        opened: &Prepared,
    ) -> Result<Result<Prepared, Box<Refused>>, Stop> {
        if let Some(refused) = outlives_grant(opened) {
            return Ok(Err(refused));
        }
        if !self.is_of_other_rules(opened) {
            return Ok(Ok(opened.clone()));
        }
        Ok(match self.again(opened).await? {
            Again::Same(again) => {
                self.model.renew_opened(name, opened, &again);
                Ok(again)
            }
            Again::Other(_) => Err(replan(opened)),
            Again::Refused(refused) => Err(refused),
        })
    }

    /// A portal as it may be executed now, and what it does.
    pub(super) async fn may_execute(
        &mut self,
        name: &Name,
        opened: &Prepared,
    ) -> Result<Result<(Prepared, Arc<PlannedStatement>), Box<Refused>>, Stop> {
        let prepared = match self.by_rules_in_force(name, opened).await? {
            Ok(prepared) => prepared,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(planned) = prepared.planned.clone() else { return Ok(Err(replan(&prepared))) };
        if self.writes_from_older_tables(opened) {
            let refusal =
                Refusal::new(RefusalCode::TemporaryTable, "a temporary table has changed since the portal was bound")
                    .with_hint("Bind it again: what the table has taken in may not be what may be stored.");
            return Ok(Err(refused(refusal, &planned)));
        }
        if !self.exempt
            && let Err(refused) = self.executable(&planned).await?
        {
            return Ok(Err(refused));
        }
        Ok(Ok((prepared, planned)))
    }

    /// Whether a portal writes, and reads temporary tables of which more has become known since it was judged: they may have taken in masks.
    fn writes_from_older_tables(&self, prepared: &Prepared) -> bool {
        // A query may write in its WITH: what could be a word for that counts.
        let writes = || {
            let text = prepared.origin.text.to_ascii_lowercase();
            ["insert", "update", "delete", "merge"].iter().any(|word| text.contains(word))
        };
        !self.exempt
            && prepared.planned.as_ref().is_some_and(|planned| planned.uses_temporary())
            && !self.temporary.is_current(prepared.origin.stamp.overlay.as_ref())
            && writes()
    }

    /// Describe of a portal, of a restricted role.
    pub(super) fn describe_at_once(&mut self, header: Header) -> Now {
        let Some(whole) = self.client.input.get(..header.total) else { return Now::Done(Step::More) };
        let Ok((b'P', name)) = frontend::target(frame::body(whole)) else { return Now::Later };
        let purpose = match self.model.portal(&Name::new(name)) {
            Some(portal)
                if !self.is_matched()
                    || self.is_of_other_rules(&portal)
                    || portal.planned.as_ref().is_some_and(|planned| Named::by(&planned.effect).is_some()) =>
            {
                return Now::Later;
            }
            Some(portal) => Arc::clone(&portal.purpose),
            None => Arc::clone(&self.facts.purpose),
        };
        self.model.open = true;
        self.model.queue.push_back(Entry::Describe(purpose));
        self.client_passing = header.total;
        Now::Done(Step::Next)
    }

    /// Whether a refused message makes the server skip the next one of a restricted role, which is refused and recorded once.
    pub(super) fn will_be_skipped(&self) -> bool {
        !self.exempt && self.model.fails_before_sync()
    }

    /// Describe, of a restricted role: of a statement, what would be bound in its place is described.
    pub(super) async fn describe(&mut self, header: Header) -> Result<Step, Stop> {
        if self.client.input.len() < header.total {
            return Ok(Step::More);
        }
        let body = self.client.input.get(frame::HEADER..header.total).unwrap_or_default();
        let Ok((kind, name)) = frontend::target(body) else { return Err(violation("malformed Describe message")) };
        let (statement, reserved) = (Name::new(name), kind == b'S' && is_reserved(name));
        self.still_matched()?;
        if self.will_be_skipped() {
            self.client_dropping = header.total;
            return Ok(Step::Next);
        }
        let known = if kind == b'S' { self.model.statement(&statement) } else { self.model.portal(&statement) };
        let judged = known.as_ref().map(|known| Arc::clone(&known.purpose));
        let mut opened = match known.as_ref().filter(|_| kind == b'P') {
            Some(opened) => self.by_rules_in_force(&statement, opened).await?.map(|_| ()),
            None => Ok(()),
        };
        // FETCH and EXECUTE are described as what they name.
        if let Some(planned) = known.as_ref().and_then(|known| known.planned.as_ref())
            && Named::by(&planned.effect).is_some()
            && opened.is_ok()
        {
            opened = self.executable(planned).await?;
        }
        let known = known.filter(|_| kind == b'S');
        let settled = !self.path.is_unsure();
        let again = match known {
            Some(prepared) if settled => Some(self.again(&prepared).await?),
            Some(_) | None => None,
        };
        let purpose = match &again {
            Some(Again::Same(prepared) | Again::Other(prepared)) => Some(Arc::clone(&prepared.purpose)),
            Some(Again::Refused(_)) | None => judged,
        };
        let purpose = purpose.unwrap_or_else(|| Arc::clone(&self.facts.purpose));
        let mut own = None;
        let refused = match again {
            _ if opened.is_err() => opened.err(),
            Some(Again::Other(prepared)) => match self.variant(&statement, &prepared).await? {
                Found::Name(name) => {
                    own = Some(name);
                    None
                }
                Found::Later => return Ok(Step::Wait),
                Found::None => Some(replan(&prepared)),
                Found::Refused(refusal) => Some(refusal.into()),
            },
            Some(Again::Refused(refused)) => Some(refused),
            Some(Again::Same(_)) | None => reserved.then(does_not_exist),
        };
        self.model.open = true;
        let whole = self.client.input.split_to(header.total);
        match (refused, own) {
            (Some(refused), _) => self.refuse(refused, "", false, None).await,
            (None, Some(name)) => {
                self.model.queue.push_back(Entry::Describe(purpose));
                build::describe_statement(&mut self.server.output, &name);
            }
            (None, None) => {
                self.model.queue.push_back(Entry::Describe(purpose));
                self.server.output.extend_from_slice(&whole);
            }
        }
        Ok(Step::Next)
    }

    /// Judges a statement, portal or cursor again that was judged before purpose, rules, catalog or path changed.
    pub(super) async fn again(&mut self, prepared: &Prepared) -> Result<Again, Stop> {
        self.settled().await;
        let stamp = self.inputs()?;
        let before = &prepared.origin.stamp;
        if *prepared.purpose != *before.purpose {
            // Its text chose the purpose, so another judgement of the text says nothing.
            let same = *prepared.purpose == *self.facts.purpose
                && Arc::ptr_eq(&stamp.inputs, &before.inputs)
                && Arc::ptr_eq(&stamp.path, &before.path);
            return Ok(if same { Again::Same(prepared.clone()) } else { Again::Refused(replan(prepared)) });
        }
        if Arc::ptr_eq(&stamp, before) {
            return Ok(Again::Same(prepared.clone()));
        }
        let text = Arc::clone(&prepared.origin.text);
        let origin = match self.judge(&text, prepared.origin.protocol.clone()).await? {
            Ok(origin) => origin,
            Err(refused) => return Ok(Again::Refused(refused)),
        };
        let planned = match &prepared.planned {
            None => origin.statements().first().cloned(),
            Some(old) => match the_same(old, origin.statements(), prepared.is_inside()) {
                None => return Ok(Again::Refused(replan(prepared))),
                found => found,
            },
        };
        let effect = |planned: Option<&Arc<PlannedStatement>>| planned.map(|planned| planned.effect.clone());
        let unchanged = match effect(prepared.planned.as_ref()) {
            // The text that it was opened in may hold other statements.
            Some(cursor @ Effect::DeclareCursor { .. }) => effect(planned.as_ref()) == Some(cursor),
            Some(_) | None => origin.permit().map(Permit::text) == prepared.origin.permit().map(Permit::text),
        };
        let (before, after) = (typed_by(prepared.planned.as_ref()), typed_by(planned.as_ref()));
        if unchanged && before != after && !before.is_empty() && !after.is_empty() {
            // The server has given the parameters their types, and keeps to that.
            return Ok(Again::Refused(replan(prepared)));
        }
        let purpose = Arc::clone(&origin.stamp.purpose);
        let inside = match &planned {
            Some(planned) if prepared.is_inside() => Some(Arc::clone(planned)),
            Some(planned) => planned.inside().map(Arc::new).filter(|_| prepared.inside.is_some()),
            None => None,
        };
        let again = prepared.judged_again(Judged { origin, purpose, planned, inside, types: prepared.types.clone() });
        Ok(if unchanged { Again::Same(again) } else { Again::Other(again) })
    }

    /// The statement of our own that stands for the client's `statement`, which is now `wanted`.
    async fn variant(&mut self, statement: &Name, wanted: &Prepared) -> Result<Found, Stop> {
        let Some(client) = self.model.statement(statement) else { return Ok(Found::None) };
        let (Some(types), Some(before), Some(after)) = (&client.types, client.origin.permit(), wanted.origin.permit())
        else {
            return Ok(Found::None);
        };
        // What it does to the session must be what it did.
        let alike = match (&client.planned, &wanted.planned) {
            (Some(old), Some(new)) => old.kind == new.kind && does_the_same(&old.effect, &new.effect),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !alike {
            return Ok(Found::None);
        }
        let typed_by = typed_by(wanted.planned.as_ref());
        if let Some(known) = self.variants.find(before, after, types, typed_by) {
            return Ok(Found::Name(known));
        }
        if !wanted.origin.stamp.takes_parameters(types) || self.model.transaction == 'E' {
            return Ok(Found::None);
        }
        if !self.model.is_idle() {
            return Ok(if self.model.comes_to_rest() { Found::Later } else { Found::None });
        }
        let number = self.variants.last + 1;
        match self.prepare(statement, number, after, types).await? {
            Ok(true) => {}
            Ok(false) => return Ok(Found::None),
            Err(refusal) => return Ok(Found::Refused(refusal)),
        }
        let bytes =
            |known: &VecDeque<Variant>| known.iter().map(|known| known.before.len() + known.text.len()).sum::<usize>();
        while self.variants.known.len() >= MOST || bytes(&self.variants.known) > MOST_BYTES {
            self.variants.gone.extend(self.variants.known.pop_front().map(|oldest| oldest.number));
        }
        let (before, text, types) = (Arc::clone(before.text()), Arc::clone(after.text()), Arc::clone(types));
        self.variants.known.push_back(Variant { before, text, types, typed_by: typed_by.into(), number });
        Ok(Found::Name(name(number)))
    }

    /// Prepares `permit` under a name of our own on the server, which must be idle. Whether it is described as the client's
    /// `statement` is; a refusal where the server was kept from saying so. Nothing of the answer reaches the client.
    async fn prepare(
        &mut self,
        statement: &Name,
        number: u64,
        permit: &Permit,
        types: &[u8],
    ) -> Result<Result<bool, Refusal>, Stop> {
        self.variants.last = number;
        let out = &mut self.server.output;
        for gone in self.variants.gone.drain(..) {
            build::close_statement(out, &name(gone));
        }
        build::describe_statement(out, statement.bytes());
        build::parse(out, &name(number), permit, types);
        build::describe_statement(out, &name(number));
        build::sync(out);
        // What the client waits for must not wait for this.
        self.client.flush().await.map_err(|_| Stop::ClientLost)?;
        self.server.flush().await.map_err(|_| Stop::ServerLost)?;
        let (mut parameters, mut columns, mut failed, mut kept) = (Vec::new(), Vec::new(), false, None);
        loop {
            let frame = self.server.frame(LIMIT).await.map_err(|_| Stop::ServerLost)?.ok_or(Stop::ServerLost)?;
            let body = frame::body(&frame);
            match frame.first() {
                Some(b't') => parameters.push(body.to_vec()),
                Some(b'T') => columns.push(Some(backend::row_shape(body).map_err(|_| Stop::ServerLost)?)),
                Some(b'n') => columns.push(None),
                Some(b'1' | b'3') => {}
                Some(b'E') => {
                    let said = scrub::read(body).map_err(|_| Stop::ServerLost)?;
                    if said.fatal {
                        scrub::scrub(&mut self.client.output, b'E', body, |_| None).map_err(|_| Stop::ServerLost)?;
                        return Err(Stop::ServerEnded);
                    }
                    // Says nothing of the statement: whoever cancels means the one that waits for this.
                    if ["40", "53", "55", "57"].iter().any(|class| said.sqlstate.starts_with(class)) {
                        kept = Some(super::question::unanswered(body, &said));
                    }
                    failed = true;
                }
                Some(b'Z') => {
                    self.model.ready(body.first().map_or('I', |status| char::from(*status)));
                    break;
                }
                Some(b'N' | b'A' | b'S') => self.passing(&frame)?,
                _ => return Err(Stop::ServerLost),
            }
        }
        let alike = matches!(parameters.as_slice(), [one, other] if one == other)
            && matches!(columns.as_slice(), [one, other] if one == other);
        self.clock.look();
        if failed || !alike {
            // Closing what is not there is no error.
            self.variants.gone.push(number);
        }
        Ok(kept.map_or(Ok(!failed && alike), Err))
    }
}
