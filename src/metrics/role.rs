//! The counters of one policy role, resolved once. In: kind and decision of each statement. Out: counters. Invariant:
//! a kind that is not in [`KINDS`] is counted as `OTHER`.

use std::{collections::HashMap, sync::OnceLock};

use foldhash::fast::FixedState;
use prometheus::{IntCounter, IntCounterVec};

use super::labels::DecisionLabel;

/// Statement kinds that have a series of their own; everything else is `OTHER`.
const KINDS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "VALUES",
    "TABLE",
    "COPY",
    "DECLARE",
    "FETCH",
    "MOVE",
    "CLOSE",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "EXPLAIN",
    "BEGIN",
    "START TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "RESET",
    "SHOW",
    "DISCARD",
    "LISTEN",
    "UNLISTEN",
    "NOTIFY",
    "LOCK",
    "TRUNCATE",
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "ANALYZE",
    "VACUUM",
    "REINDEX",
    "CLUSTER",
    "REFRESH",
    "CALL",
    "DO",
    "UNKNOWN",
    "EMPTY",
    OTHER,
];

const OTHER: &str = "OTHER";

/// The counters of one policy role.
#[derive(Debug)]
pub struct RoleMetrics {
    role: String,
    vec: IntCounterVec,
    statements: HashMap<&'static str, [OnceLock<IntCounter>; 3], FixedState>,
    masked_columns: IntCounter,
    rows: IntCounter,
}

impl RoleMetrics {
    pub(super) fn new(
        role: &str,
        statements: &IntCounterVec,
        masked_columns: &IntCounterVec,
        rows: &IntCounterVec,
    ) -> Self {
        Self {
            role: role.to_owned(),
            vec: statements.clone(),
            statements: KINDS.iter().map(|kind| (*kind, <[OnceLock<IntCounter>; 3]>::default())).collect(),
            masked_columns: masked_columns.with_label_values(&[role]),
            rows: rows.with_label_values(&[role]),
        }
    }

    /// One statement executed or refused.
    pub fn statement(&self, kind: &str, decision: DecisionLabel) {
        let Some((kind, cells)) = self.statements.get_key_value(kind).or_else(|| self.statements.get_key_value(OTHER))
        else {
            return;
        };
        let cell = match (decision, cells) {
            (DecisionLabel::Forward, [cell, _, _])
            | (DecisionLabel::Rewrite, [_, cell, _])
            | (DecisionLabel::Refuse, [_, _, cell]) => cell,
        };
        cell.get_or_init(|| self.vec.with_label_values(&[self.role.as_str(), *kind, decision.label()])).inc();
    }

    /// What an executed statement returned: masked columns of its result, rows returned or affected.
    pub fn finished(&self, masked_columns: u32, rows: u64) {
        // Adding nothing to what all threads share costs as much as adding something.
        if masked_columns > 0 {
            self.masked_columns.inc_by(u64::from(masked_columns));
        }
        if rows > 0 {
            self.rows.inc_by(rows);
        }
    }
}
