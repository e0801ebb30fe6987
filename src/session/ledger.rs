//! Stage `session`: from a statement that is about to be sent to its audit event. Invariant: a [`Run`] holds its place
//! in the audit queue from before the statement is sent until its end is recorded.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::planning::Origin;
use crate::{
    audit::{
        AuditEvent, AuditSlot,
        event::{ConnectionFacts, Outcome},
    },
    engine::PlannedStatement,
    metrics::{DecisionLabel, RoleMetrics},
};

/// One statement that was sent.
#[derive(Debug)]
pub(super) struct Run {
    slot: AuditSlot,
    pub planned: Arc<PlannedStatement>,
    pub origin: Arc<Origin>,
    analysed: bool,
    time: SystemTime,
    started: Instant,
    number: u64,
    transaction: char,
    /// Rows and bytes seen so far.
    pub rows: u64,
    pub bytes: u64,
}

impl Run {
    pub fn new(
        slot: AuditSlot,
        planned: Arc<PlannedStatement>,
        origin: Arc<Origin>,
        number: u64,
        transaction: char,
    ) -> Self {
        let (time, started) = (SystemTime::now(), Instant::now());
        let analysed = origin.analysed();
        Self { slot, planned, origin, analysed, time, started, number, transaction, rows: 0, bytes: 0 }
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
