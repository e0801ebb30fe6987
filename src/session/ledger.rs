//! Stage `session`: from a statement that is about to be sent to its audit event. Invariant: a [`Run`] holds its place
//! in the audit queue from before the statement is sent until its end is recorded.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    clock,
    inflight::{Name, Prepared, made},
    limits::Allowance,
    names::{Expected, Named, Names},
    outstanding::Held,
    planning::Origin,
    purpose,
    relay::{Relay, Stop},
};
use crate::{
    audit::{
        AuditEvent, AuditSlot,
        event::{ConnectionFacts, Outcome},
    },
    engine::{Access, Effect, Observed, PlannedStatement, Refused, may_undo},
    error::{Refusal, RefusalCode},
    metrics::{DecisionLabel, RoleMetrics},
    policy::{Grant, Policy, RoleId, RolePolicy},
};

/// A message of so many statements is sent whatever else of its login is on its way.
const ALWAYS: usize = 64;

/// One statement that was sent.
#[derive(Debug)]
pub(super) struct Run {
    slot: AuditSlot,
    /// One of those that its login may have; none of an exempt role.
    _held: Option<Held>,
    pub planned: Arc<PlannedStatement>,
    /// Of the connection, with the purpose that it is run for.
    pub facts: Arc<ConnectionFacts>,
    counters: Arc<RoleMetrics>,
    /// Documents of the grants that it is run under.
    documents: Vec<Arc<str>>,
    pub origin: Arc<Origin>,
    /// Where the statement comes from that EXECUTE names.
    pub inner: Option<Arc<Origin>>,
    /// Its answer may pass: see [`super::hold`].
    pub proved: bool,
    pub names: Names,
    analysed: bool,
    time: SystemTime,
    started: Instant,
    number: u64,
    transaction: char,
    /// The rows that it may have, if they are limited.
    pub allowance: Option<Allowance>,
    /// Whether the role is observed: then what it may not have is told, and passes.
    pub observes: bool,
    /// Rows and bytes seen so far.
    pub rows: u64,
    pub bytes: u64,
}

impl Run {
    /// Of a portal.
    pub fn of_portal(mut self, portal: Name, prepared: Prepared) -> Self {
        if !portal.is_unnamed() {
            self.names.portal = Some(Box::new(Expected { named: Named::Opened(portal), prepared: Some(prepared) }));
            self.names.unchecked = true;
        }
        self
    }

    /// Whether it is of the portal of this name.
    pub fn is_of_portal(&self, name: &Name) -> bool {
        matches!(self.names.portal.as_deref(), Some(Expected { named: Named::Opened(portal), .. }) if portal == name)
    }

    /// Says of a refused statement whether its text was understood.
    pub fn understood(self, analysed: bool) -> Self {
        Self { analysed, ..self }
    }

    /// The rows that limits allow are had. Of an observed role that is noted, and no more are counted.
    ///
    /// # Errors
    /// `refusal`, for an enforced role.
    pub fn beyond(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        if !self.observes {
            return Err(refusal);
        }
        self.allowance = None;
        self.planned = would_be_refused(&self.planned, &refusal);
        Ok(())
    }

    /// Records how it ended, and that this was now.
    pub fn finish(self, outcome: Outcome, now: Instant) {
        let counters = &self.counters;
        let decision = match &outcome {
            Outcome::Refused(_) => DecisionLabel::Refuse,
            Outcome::Completed | Outcome::Failed(_) | Outcome::Broken => {
                DecisionLabel::from_access(self.planned.access.decision)
            }
        };
        counters.statement(self.planned.kind, decision);
        if matches!(outcome, Outcome::Completed) {
            counters.finished(self.planned.access.masked_outputs, self.rows);
        }
        self.slot.submit(AuditEvent {
            time: self.time,
            duration: now.saturating_duration_since(self.started),
            ended: now,
            facts: self.facts,
            documents: self.documents,
            statement: self.number,
            outcome,
            rows: self.rows,
            bytes: self.bytes,
            transaction: self.transaction,
            basis: Arc::clone(&self.origin.stamp.basis),
            analysed: self.analysed,
            planned: self.planned,
        });
    }
}

impl Relay {
    /// Places in the audit queue for all statements of a text. Each is looked at for the purpose that holds when it is run.
    pub(super) async fn runs(&mut self, origin: &Arc<Origin>) -> Result<Result<VecDeque<Run>, Box<Refused>>, Stop> {
        let statements = origin.statements();
        if let Some(first) = statements.first().filter(|_| !self.exempt && statements.len() > ALWAYS)
            && !self.share.has_room(statements.len())
        {
            return Ok(Err(refused(self.too_many(), first)));
        }
        let mut runs = VecDeque::with_capacity(statements.len());
        let mut tables = self.path.foresight.of_tables();
        for planned in origin.statements() {
            // What the text itself makes was judged with it.
            let own = made(runs.iter(), planned);
            if !self.exempt {
                // What an earlier message has changed may be undone in this one.
                let settings = self.path.foresight.without_tables();
                if let Err(refusal) = settings.judge(planned).and_then(|()| tables.judge(planned)) {
                    return Ok(Err(refused(refusal, planned)));
                }
                if own.is_none()
                    && let Err(refused) = self.executable(planned).await?
                {
                    return Ok(Err(refused));
                }
            }
            match self.recorded(origin, planned, 0, own).await {
                Ok(run) => runs.push_back(run),
                Err(refusal) => {
                    let inner = made(runs.iter(), planned).or_else(|| self.inner(planned));
                    return Ok(Err(refused(refusal, &attributed(planned, inner.as_ref()))));
                }
            }
            // A table that an earlier message has made or dropped may be what it was before.
            tables.undoes(planned.kind);
        }
        Ok(Ok(runs))
    }

    fn too_many(&self) -> Refusal {
        let most = self.share.most();
        Refusal::new(RefusalCode::StatementNotAllowed, "too many statements on their way")
            .with_sqlstate("54000")
            .with_hint(format!(
                "All sessions of a login may have {most} on their way, a quarter of audit.queue. Send fewer at once."
            ))
    }

    /// Records that a statement is about to be sent; its parameters compare `bound` values. `own` is what it executes or fetches from, where
    /// its own text has made that.
    pub(super) async fn recorded(
        &mut self,
        origin: &Arc<Origin>,
        planned: &Arc<PlannedStatement>,
        bound: u64,
        own: Option<Prepared>,
    ) -> Result<Run, Refusal> {
        let slot = if let Some(slot) = self.shared.audit.try_reserve() {
            slot
        } else {
            let slot = self.shared.audit.reserve().await?;
            self.clock.look();
            slot
        };
        self.recorded_in(slot, origin, planned, bound, own)
    }

    /// The same, with a place in the audit queue.
    pub(super) fn recorded_in(
        &mut self,
        slot: AuditSlot,
        origin: &Arc<Origin>,
        planned: &Arc<PlannedStatement>,
        bound: u64,
        own: Option<Prepared>,
    ) -> Result<Run, Refusal> {
        self.statements += 1;
        if planned.effect == Effect::Catalog && self.changing.is_none() {
            self.changing = Some(self.shared.inputs.changing());
        }
        if changes(&planned.effect) || (self.path.may_move_back() && may_undo(planned.kind)) {
            self.path.moving = true;
        }
        let made = own.is_some();
        let inner = own.or_else(|| self.inner(planned));
        let expected = inner.clone().filter(|_| !made);
        let named = Named::by(&planned.effect).map(|named| Box::new(Expected { named, prepared: expected }));
        let searches = searches(planned, inner.as_ref(), bound);
        let mut planned = attributed(planned, inner.as_ref());
        let policy = &origin.stamp.inputs.policy;
        let role = match acted_by(policy, origin.stamp.role, &self.facts.purpose) {
            Some(role) => Some(role),
            // Nothing is protected from it.
            None if self.exempt => policy.role(origin.stamp.role),
            None => {
                let refusal = Refusal::new(RefusalCode::NotReady, "the rules changed while the statement was judged");
                return Err(refusal.with_hint("Send the statement again."));
            }
        };
        let observed = role.and_then(|role| role.observed.as_deref());
        let had = match (observed.or(role), &self.unwelcome) {
            // An observed role whose connection would have been refused.
            (Some(_), Some(refusal)) if observed.is_some() => Err(refusal.clone()),
            (Some(role), _) => self.may_have(role, &planned.access, searches),
            (None, _) => Ok((Vec::new(), None)),
        };
        let (documents, allowance) = match had {
            Err(refusal) if observed.is_none() => return Err(refusal),
            Err(refusal) => {
                planned = would_be_refused(&planned, &refusal);
                (self.documents_in_force(), None)
            }
            Ok(had) => had,
        };
        let mut run = self.begun(slot, planned, documents, Arc::clone(origin));
        (run.allowance, run.observes) = (allowance, observed.is_some());
        run.names = Names { unchecked: named.is_some(), named, portal: None };
        // A cursor keeps the rows that it was opened with, which were proved then; a portal of the protocol was not.
        let portal = |prepared: &Prepared| prepared.planned.as_ref().is_some_and(|found| found.effect == Effect::None);
        if matches!(run.planned.effect, Effect::Execute(_)) || inner.as_ref().is_some_and(portal) {
            run.inner = inner.map(|prepared| Arc::clone(&prepared.origin));
        }
        self.foresee(&run.planned)?;
        Ok(run)
    }

    /// Acts from now on for the purpose that a statement chooses which is about to be sent.
    fn foresee(&mut self, planned: &PlannedStatement) -> Result<(), Refusal> {
        self.path.foresight.see(planned.kind, &planned.effect);
        let Effect::Purpose(Some(purpose)) = &planned.effect else {
            // No Bind has said which.
            let unknown = matches!(planned.effect, Effect::PurposeGiven(_)) && !self.exempt;
            return if unknown { Err(purpose::not_given()) } else { Ok(()) };
        };
        // Whether it is so, the server says when it has come to rest.
        self.path.stale = true;
        let before = std::mem::replace(&mut self.asked_purpose, purpose.to_string());
        let acts = self.act_for_purpose(&Arc::clone(&self.stamp.inputs));
        acts.map_err(|stop| {
            self.asked_purpose = before;
            match stop {
                Stop::Tell(refusal) => refusal,
                Stop::Done | Stop::ClientLost | Stop::ServerLost | Stop::ServerEnded | Stop::Drained => {
                    Refusal::new(RefusalCode::NotReady, "the rules no longer allow this connection")
                }
            }
        })
    }

    /// A statement that is about to be sent, or was refused.
    pub(super) fn begun(
        &mut self,
        slot: AuditSlot,
        planned: Arc<PlannedStatement>,
        documents: Vec<Arc<str>>,
        origin: Arc<Origin>,
    ) -> Run {
        let (time, started) = (self.clock.time(), self.clock.last());
        Run {
            slot,
            _held: (!self.exempt).then(|| self.share.hold()),
            planned,
            facts: Arc::clone(&self.facts),
            counters: Arc::clone(&self.counters),
            documents,
            inner: None,
            proved: false,
            names: Names::default(),
            analysed: origin.analysed(),
            origin,
            time,
            started,
            number: self.statements,
            transaction: self.model.transaction,
            allowance: None,
            observes: false,
            rows: 0,
            bytes: 0,
        }
    }

    /// The documents of all grants of the session's role that are in force.
    pub(super) fn documents_in_force(&self) -> Vec<Arc<str>> {
        let role = self.stamp.inputs.policy.role(self.role);
        role.map(|role| documents(role.observed.as_deref().unwrap_or(role), &[])).unwrap_or_default()
    }

    /// The documents under which a statement is run, and the rows that it may have if they are limited.
    fn may_have(
        &self,
        role: &RolePolicy,
        access: &Access,
        searches: u64,
    ) -> Result<(Vec<Arc<str>>, Option<Allowance>), Refusal> {
        let documents = documents(role, &access.grants);
        // Where grants are needed and none is in force, nothing is read: the server would answer with NULL, and nobody would
        // know why.
        if !access.grants.is_empty() && documents.is_empty() {
            return Err(Refusal::new(RefusalCode::NoGrant, "no grant for this data is in force")
                .with_hint("A [[grant]] of the rules names its document, its begin and its end."));
        }
        let allowance = self.shared.disclosed.admit(role, &self.facts.user, &self.disclosed, access, searches)?;
        Ok((documents, allowance))
    }

    /// The statement or cursor that EXECUTE or FETCH names.
    pub(super) fn inner(&self, planned: &PlannedStatement) -> Option<Prepared> {
        match Named::by(&planned.effect)? {
            Named::Statement(name) => self.model.statement(&name),
            Named::Opened(name) => self.model.portal(&name),
        }
    }
}

/// The entry of a judged statement's role for the purpose that it is run for: statements before it in its message may have chosen
/// another than it was judged for. None when the rules that it was judged by do not know it.
fn acted_by<'a>(policy: &'a Policy, judged: RoleId, purpose: &str) -> Option<&'a RolePolicy> {
    policy.for_purpose(judged, purpose).and_then(|role| policy.role(role))
}

/// Whether a statement changes what others are judged by.
fn changes(effect: &Effect) -> bool {
    match effect {
        Effect::SearchPath
        | Effect::Purpose(_)
        | Effect::PurposeGiven(_)
        | Effect::DiscardAll
        | Effect::Temporary(_) => true,
        Effect::None
        | Effect::Prepare { .. }
        | Effect::Execute(_)
        | Effect::Deallocate(_)
        | Effect::DeclareCursor { .. }
        | Effect::Fetch(_)
        | Effect::CloseCursor(_)
        | Effect::Catalog => false,
    }
}

/// The documents that a statement is run under which uses what `grants` open: those of the grants in force now, of all grants of
/// the role where it uses nothing of that kind.
fn documents(role: &RolePolicy, grants: &[Arc<Grant>]) -> Vec<Arc<str>> {
    let grants = if grants.is_empty() { &*role.grants } else { grants };
    if grants.is_empty() {
        return Vec::new();
    }
    let now = clock::seconds();
    let mut documents: Vec<_> =
        grants.iter().filter(|grant| grant.is_in_force(now)).map(|grant| Arc::clone(&grant.document)).collect();
    documents.dedup();
    documents
}

/// The refusal of what is read from a cursor or portal that was opened while a grant was in force which has ended: rows that were computed
/// under it may wait in it, whatever other grants there are. One that ended just before counts, too: the server opened it before it said so.
pub(super) fn outlives_grant(opened: &Prepared) -> Option<Box<Refused>> {
    let (planned, begun) = (opened.planned.as_ref()?, opened.opened?);
    let now = clock::seconds();
    let ended = |grant: &&Arc<Grant>| grant.until <= now && grant.until > begun.saturating_sub(OPENING);
    let grant = planned.access.grants.iter().find(ended)?;
    let message = format!("the grant of {} has ended, under which this was opened", grant.document);
    let refusal = Refusal::new(RefusalCode::NoGrant, message).with_hint("Open it again.");
    Some(refused(refusal, planned))
}

/// How many seconds it may take until the server says that it has opened something.
const OPENING: i64 = 2;

/// The refusal of a statement that was understood.
pub(super) fn refused(refusal: Refusal, planned: &PlannedStatement) -> Box<Refused> {
    let access = Access { decision: "refuse", ..planned.access.clone() };
    Box::new(Refused { refusal, kind: planned.kind, access })
}

/// The statement of an observed role, of which nothing was refused, that would have been.
fn would_be_refused(planned: &PlannedStatement, refusal: &Refusal) -> Arc<PlannedStatement> {
    let makes = planned.access.observed.as_ref().and_then(|observed| observed.makes.clone());
    let observed = Some(Observed { decision: "refuse", refusal: Some(refusal.code.code()), makes });
    let mut rules = planned.access.rules.clone();
    rules.extend(refusal.rule.as_deref().map(Arc::from));
    Arc::new(PlannedStatement { access: Access { rules, observed, ..planned.access.clone() }, ..planned.clone() })
}

/// How many values a statement compares with stored ones that the role does not see, `bound` of them in its parameters.
fn searches(planned: &PlannedStatement, inner: Option<&Prepared>, bound: u64) -> u64 {
    let own = planned.access.searched.constants.saturating_add(bound);
    match &planned.effect {
        // What it compares is told when it is run, and was when the cursor was opened.
        Effect::Prepare { .. } | Effect::Fetch(_) => 0,
        Effect::Execute(_) => {
            let inner = inner.and_then(|prepared| prepared.planned.as_ref()).map(|inner| &inner.access.searched);
            let Some(inner) = inner else { return 0 };
            // Which argument is compared is not looked at: all are counted.
            inner.constants.saturating_add(if inner.parameters.is_empty() { 0 } else { own })
        }
        Effect::None
        | Effect::Deallocate(_)
        | Effect::DeclareCursor { .. }
        | Effect::CloseCursor(_)
        | Effect::SearchPath
        | Effect::Purpose(_)
        | Effect::PurposeGiven(_)
        | Effect::DiscardAll
        | Effect::Temporary(_)
        | Effect::Catalog => own,
    }
}

/// EXECUTE and FETCH access what the statement or cursor does that they name.
pub(super) fn attributed(planned: &Arc<PlannedStatement>, inner: Option<&Prepared>) -> Arc<PlannedStatement> {
    let Some(inner) = inner.and_then(|prepared| prepared.planned.as_ref()) else { return Arc::clone(planned) };
    let mut access = inner.access.clone();
    access.text = Arc::clone(&planned.access.text);
    Arc::new(PlannedStatement {
        kind: planned.kind,
        access,
        effect: planned.effect.clone(),
        outputs: inner.outputs.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{
            CatalogSnapshot,
            testing::{database, role},
        },
        policy::rules::{RuleFile, RuleSet},
    };

    #[test]
    fn a_purpose_that_the_rules_do_not_know_is_not_acted_for() {
        let mut data = database();
        role(&mut data, "support", &[]);
        let catalog = CatalogSnapshot::new(data, 1);
        let text = "policy = \"t\"\n[[role]]\nname = \"support\"\nmatch = { user = \"support\" }\npurposes = [\"care\", \"claims\"]\nsee = {}\n";
        let files = [RuleFile { path: "rules.toml".into(), text: text.into() }];
        let policy = RuleSet::parse(&files).unwrap().compile(&catalog).unwrap();
        let purpose = |asked| acted_by(&policy, RoleId(0), asked).map(|role| role.purpose.as_str());
        assert_eq!(purpose("claims"), Some("claims"));
        assert_eq!(purpose("advertising"), None);
    }
}
