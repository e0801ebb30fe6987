//! Stage `session`: from a statement that is about to be sent to its audit event. Invariant: a [`Run`] holds its place
//! in the audit queue from before the statement is sent until its end is recorded.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    inflight::{Name, Prepared},
    limits::Allowance,
    planning::Origin,
    relay::Relay,
};
use crate::{
    audit::{
        AuditEvent, AuditSlot,
        event::{ConnectionFacts, Outcome},
    },
    engine::{Access, Effect, PlannedStatement, Refused},
    error::{Refusal, RefusalCode},
    metrics::{DecisionLabel, RoleMetrics},
    policy::Grant,
};

/// One statement that was sent.
#[derive(Debug)]
pub(super) struct Run {
    slot: AuditSlot,
    pub planned: Arc<PlannedStatement>,
    /// Documents of the grants that it is run under.
    documents: Vec<Arc<str>>,
    pub origin: Arc<Origin>,
    /// Where the statement comes from that EXECUTE names.
    pub inner: Option<Arc<Origin>>,
    /// Its answer may pass: see [`super::hold`].
    pub proved: bool,
    analysed: bool,
    time: SystemTime,
    started: Instant,
    number: u64,
    transaction: char,
    /// The rows that it may have, if they are limited.
    pub allowance: Option<Allowance>,
    /// Rows and bytes seen so far.
    pub rows: u64,
    pub bytes: u64,
}

impl Run {
    pub fn new(
        slot: AuditSlot,
        planned: Arc<PlannedStatement>,
        documents: Vec<Arc<str>>,
        origin: Arc<Origin>,
        number: u64,
        transaction: char,
    ) -> Self {
        let (time, started) = (SystemTime::now(), Instant::now());
        let analysed = origin.analysed();
        Self {
            slot,
            planned,
            documents,
            origin,
            inner: None,
            proved: false,
            analysed,
            time,
            started,
            number,
            transaction,
            allowance: None,
            rows: 0,
            bytes: 0,
        }
    }

    /// Says of a refused statement whether its text was understood.
    pub fn understood(self, analysed: bool) -> Self {
        Self { analysed, ..self }
    }

    /// Records how it ended.
    pub fn finish(self, outcome: Outcome, facts: &Arc<ConnectionFacts>, counters: &RoleMetrics) {
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
        let stamp = &self.origin.stamp;
        self.slot.submit(AuditEvent {
            time: self.time,
            duration: self.started.elapsed(),
            facts: Arc::clone(facts),
            documents: self.documents,
            statement: self.number,
            outcome,
            rows: self.rows,
            bytes: self.bytes,
            transaction: self.transaction,
            policy: Arc::clone(&stamp.policy),
            policy_hash: Arc::clone(&stamp.hash),
            catalog_version: stamp.inputs.catalog.version(),
            analysed: self.analysed,
            planned: self.planned,
        });
    }
}

impl Relay {
    /// Places in the audit queue for all statements of a text.
    pub(super) async fn runs(&mut self, origin: &Arc<Origin>) -> Result<VecDeque<Run>, Box<Refused>> {
        let mut runs = VecDeque::with_capacity(origin.statements().len());
        for planned in origin.statements() {
            let run = self.recorded(origin, planned, 0).await;
            runs.push_back(run.map_err(|refusal| refused(refusal, planned))?);
        }
        Ok(runs)
    }

    /// Records that a statement is about to be sent; its parameters compare `bound` values.
    pub(super) async fn recorded(
        &mut self,
        origin: &Arc<Origin>,
        planned: &Arc<PlannedStatement>,
        bound: u64,
    ) -> Result<Run, Refusal> {
        let slot = match self.shared.audit.try_reserve() {
            Some(slot) => slot,
            None => self.shared.audit.reserve().await?,
        };
        self.statements += 1;
        if planned.effect == Effect::Catalog && self.changing.is_none() {
            self.changing = Some(self.shared.inputs.changing());
        }
        if matches!(planned.effect, Effect::SearchPath | Effect::DiscardAll | Effect::Temporary(_))
            || ((self.path.touched || self.path.moving) && may_undo(planned.kind))
        {
            self.path.moving = true;
        }
        let inner = self.inner(planned);
        let searches = searches(planned, inner.as_ref(), bound);
        let planned = attributed(planned, inner.as_ref());
        let documents = in_force(&planned.access.grants)?;
        let role = origin.stamp.inputs.policy.role(origin.stamp.role);
        let allowance = match role {
            Some(role) => {
                self.shared.disclosed.admit(role, &self.facts.user, &self.disclosed, &planned.access, searches)?
            }
            None => None,
        };
        let mut run = Run::new(slot, planned, documents, Arc::clone(origin), self.statements, self.model.transaction);
        run.allowance = allowance;
        // A cursor keeps the rows that it was opened with.
        if let Effect::Execute(_) = run.planned.effect {
            run.inner = inner.map(|prepared| prepared.origin);
        }
        Ok(run)
    }

    /// The statement or cursor that EXECUTE or FETCH names.
    fn inner(&self, planned: &PlannedStatement) -> Option<Prepared> {
        match &planned.effect {
            Effect::Execute(name) => self.model.statement(&Name::new(name.as_bytes())),
            Effect::Fetch(name) => self.model.portal(&Name::new(name.as_bytes())),
            Effect::None
            | Effect::Prepare(..)
            | Effect::Deallocate(_)
            | Effect::DeclareCursor(_)
            | Effect::CloseCursor(_)
            | Effect::SearchPath
            | Effect::DiscardAll
            | Effect::Temporary(_)
            | Effect::Catalog => None,
        }
    }
}

/// The documents of the grants that are in force now. Where grants are needed and none is, nothing is read: the server
/// would answer with NULL, and nobody would know why.
fn in_force(grants: &[Arc<Grant>]) -> Result<Vec<Arc<str>>, Refusal> {
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let documents: Vec<_> =
        grants.iter().filter(|grant| grant.is_in_force(now)).map(|grant| Arc::clone(&grant.document)).collect();
    if documents.is_empty() {
        return Err(Refusal::new(RefusalCode::NoGrant, "no grant for this data is in force")
            .with_hint("A [[grant]] of the rules names its document, its begin and its end."));
    }
    Ok(documents)
}

/// The refusal of a statement that was understood.
pub(super) fn refused(refusal: Refusal, planned: &PlannedStatement) -> Box<Refused> {
    let access = Access { decision: "refuse", ..planned.access.clone() };
    Box::new(Refused { refusal, kind: planned.kind, access })
}

/// How many values a statement compares with stored ones that the role does not see, `bound` of them in its parameters.
fn searches(planned: &PlannedStatement, inner: Option<&Prepared>, bound: u64) -> u64 {
    let own = planned.access.searched.constants.saturating_add(bound);
    match &planned.effect {
        // What it compares is told when it is run, and was when the cursor was opened.
        Effect::Prepare(..) | Effect::Fetch(_) => 0,
        Effect::Execute(_) => {
            let inner = inner.and_then(|prepared| prepared.planned.as_ref()).map(|inner| &inner.access.searched);
            let Some(inner) = inner else { return 0 };
            // Which argument is compared is not looked at: all are counted.
            inner.constants.saturating_add(if inner.parameters.is_empty() { 0 } else { own })
        }
        Effect::None
        | Effect::Deallocate(_)
        | Effect::DeclareCursor(_)
        | Effect::CloseCursor(_)
        | Effect::SearchPath
        | Effect::DiscardAll
        | Effect::Temporary(_)
        | Effect::Catalog => own,
    }
}

/// EXECUTE and FETCH access what the statement or cursor does that they name.
fn attributed(planned: &Arc<PlannedStatement>, inner: Option<&Prepared>) -> Arc<PlannedStatement> {
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

/// Statements after which settings and temporary tables may be what they were before.
pub(super) fn may_undo(kind: &str) -> bool {
    is_transaction_control(kind) && !matches!(kind, "BEGIN" | "START TRANSACTION" | "SAVEPOINT" | "RELEASE")
}

/// Statements that begin, end or mark transactions.
pub(super) fn is_transaction_control(kind: &str) -> bool {
    matches!(
        kind,
        "BEGIN"
            | "START TRANSACTION"
            | "COMMIT"
            | "END"
            | "ROLLBACK"
            | "ABORT"
            | "SAVEPOINT"
            | "RELEASE"
            | "PREPARE TRANSACTION"
    )
}
