//! Parts of lines that many events share: what a connection repeats in each, what a plan repeats for each execution. In: facts and
//! planned statements. Out: their JSON, written once. Invariant: bounded, by number and by bytes; what is kept holds the
//! value that it was made of, so that its address names no other.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use foldhash::fast::FixedState;
use serde::Serialize;

use super::{
    event::{AuditEvent, Basis, ConnectionFacts},
    line::{FingerprintKey, json},
};
use crate::engine::{Access, PlannedStatement};

/// Connections and statements that are kept, each.
const MOST: usize = 4096;
/// Bytes of JSON that are kept of statements.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What is known already.
pub(super) struct Parts {
    key: FingerprintKey,
    connections: HashMap<usize, Connection, FixedState>,
    statements: HashMap<usize, Statement, FixedState>,
    statement_bytes: usize,
    /// The second of the last event, and how it is written.
    second: (u64, String),
    /// Rules and catalog of the last event, and how they are written.
    basis: Option<(Arc<Basis>, Vec<u8>)>,
}

/// What a connection repeats.
pub(super) struct Connection {
    /// The value at the address that it is known by.
    _facts: Arc<ConnectionFacts>,
    text: Vec<u8>,
    statement: usize,
    documents: usize,
}

impl Connection {
    /// What stands before the number of the statement.
    pub fn before_statement(&self) -> &[u8] {
        self.text.get(..self.statement).unwrap_or_default()
    }

    /// What stands between it and the documents.
    pub fn before_documents(&self) -> &[u8] {
        self.text.get(self.statement..self.documents).unwrap_or_default()
    }

    /// What stands behind the documents.
    pub fn behind_documents(&self) -> &[u8] {
        self.text.get(self.documents..).unwrap_or_default()
    }
}

/// What a plan repeats.
pub(super) struct Statement {
    /// The value at the address that it is known by.
    _planned: Arc<PlannedStatement>,
    text: Vec<u8>,
    decision: usize,
}

impl Statement {
    /// The fields before `decision`.
    pub fn before_decision(&self) -> &[u8] {
        self.text.get(..self.decision).unwrap_or_default()
    }

    /// `decision` and what goes with it, of a statement that is not refused.
    pub fn decision(&self) -> &[u8] {
        self.text.get(self.decision..).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the fields of the line")]
struct Column<'a> {
    column: &'a str,
    category: &'a str,
    usage: Vec<&'static str>,
    treatment: &'a str,
}

impl Parts {
    pub fn new(key: FingerprintKey) -> Self {
        Self {
            key,
            connections: HashMap::default(),
            statements: HashMap::default(),
            statement_bytes: 0,
            second: (u64::MAX, String::new()),
            basis: None,
        }
    }

    /// The parts of an event: what its connection, its plan, and the rules and catalog in force repeat.
    pub fn of<'a>(&'a mut self, event: &AuditEvent) -> (&'a Connection, &'a Statement, &'a [u8]) {
        let Self { key, connections, statements, statement_bytes, second: _, basis } = self;
        let connection = connection(connections, &event.facts);
        let statement = statement(statements, statement_bytes, key, &event.planned);
        // Each session has one of its own, and nearly always they say the same.
        if basis.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, &event.basis) && **known != *event.basis) {
            *basis = None;
        }
        let (_, basis) = basis.get_or_insert_with(|| {
            let mut text = Vec::new();
            field("policy", &event.basis.policy, &mut text);
            field("policy_hash", &event.basis.policy_hash, &mut text);
            field("catalog_version", &event.basis.catalog_version, &mut text);
            (Arc::clone(&event.basis), text)
        });
        (connection, statement, basis)
    }

    /// RFC 3339, UTC, microseconds.
    pub fn time(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second.0 != since.as_secs() {
            let whole = jiff::Timestamp::from_second(i64::try_from(since.as_secs()).unwrap_or_default());
            let text = whole.map(|whole| format!("{whole:.0}")).unwrap_or_default();
            self.second = (since.as_secs(), text.trim_end_matches('Z').to_owned());
        }
        out.extend_from_slice(self.second.1.as_bytes());
        let mut fraction = *b".000000Z";
        let mut rest = since.subsec_micros();
        for digit in fraction.iter_mut().skip(1).take(6).rev() {
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        out.extend_from_slice(&fraction);
    }
}

fn connection<'a>(
    connections: &'a mut HashMap<usize, Connection, FixedState>,
    facts: &Arc<ConnectionFacts>,
) -> &'a Connection {
    if connections.len() >= MOST {
        connections.clear();
    }
    connections.entry(Arc::as_ptr(facts).addr()).or_insert_with(|| {
        let mut text = Vec::with_capacity(300);
        field("connection", &*facts.connection, &mut text);
        text.extend_from_slice(b",\"statement\":");
        let statement = text.len();
        field("client", &*facts.client, &mut text);
        field("application", &*facts.application, &mut text);
        field("user", &*facts.user, &mut text);
        field("role", &*facts.role, &mut text);
        field("purpose", &*facts.purpose, &mut text);
        field("recipient", &*facts.recipient, &mut text);
        text.extend_from_slice(b",\"documents\":");
        let documents = text.len();
        field("database", &*facts.database, &mut text);
        Connection { _facts: Arc::clone(facts), text, statement, documents }
    })
}

fn statement<'a>(
    statements: &'a mut HashMap<usize, Statement, FixedState>,
    bytes: &mut usize,
    key: &FingerprintKey,
    planned: &Arc<PlannedStatement>,
) -> &'a Statement {
    if statements.len() >= MOST || *bytes > MOST_BYTES {
        statements.clear();
        *bytes = 0;
    }
    statements.entry(Arc::as_ptr(planned).addr()).or_insert_with(|| {
        let access = &planned.access;
        let mut text = Vec::with_capacity(access.text.len() + 500);
        field("kind", planned.kind, &mut text);
        field("text", &*access.text, &mut text);
        field("fingerprint", &key.fingerprint(&access.text), &mut text);
        field("relations", &access.relations.iter().map(|relation| &**relation).collect::<Vec<_>>(), &mut text);
        let columns: Vec<_> = access
            .columns
            .iter()
            .map(|column| Column {
                column: &column.column,
                category: &column.category,
                usage: column.usage.iter().map(|usage| usage.label()).collect(),
                treatment: &column.treatment,
            })
            .collect();
        field("columns", &columns, &mut text);
        let at = text.len();
        let rules: Vec<&str> = access.rules.iter().map(|rule| &**rule).collect();
        text.extend(decision(access.decision, access, &rules));
        *bytes += text.len();
        Statement { _planned: Arc::clone(planned), text, decision: at }
    })
}

/// `decision`, what was observed, and the rules.
pub(super) fn decision(decision: &str, access: &Access, rules: &[&str]) -> Vec<u8> {
    let mut text = Vec::with_capacity(150);
    field("decision", decision, &mut text);
    field("observed", &access.observed.as_ref().map(|observed| observed.decision), &mut text);
    field("observed_refusal", &access.observed.as_ref().and_then(|observed| observed.refusal), &mut text);
    field("rules", rules, &mut text);
    text
}

fn field<T: Serialize + ?Sized>(name: &str, value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json(value, out);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_to_the_microsecond() {
        let mut parts = Parts::new(FingerprintKey::new(b"0123456789abcdef").unwrap());
        for (since, text) in [
            (Duration::ZERO, "1970-01-01T00:00:00.000000Z"),
            (Duration::from_micros(1_764_355_123_000_007), "2025-11-28T18:38:43.000007Z"),
            (Duration::from_nanos(1_764_355_123_999_999_999), "2025-11-28T18:38:43.999999Z"),
            (Duration::from_millis(1_764_355_124_120), "2025-11-28T18:38:44.120000Z"),
        ] {
            let mut out = Vec::new();
            parts.time(UNIX_EPOCH + since, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut parts = Parts::new(FingerprintKey::new(b"0123456789abcdef").unwrap());
        for number in 0..10_000_u64 {
            let access = Access { text: "x".repeat(2000).into(), decision: "forward", ..Access::default() };
            let effect = crate::engine::Effect::None;
            let planned = PlannedStatement { kind: "SELECT", access, effect, outputs: None };
            let Parts { key, statements, statement_bytes, .. } = &mut parts;
            let statement = statement(statements, statement_bytes, key, &Arc::new(planned));
            assert!(statement.before_decision().len() > 2000, "{number}");
            assert!(parts.statements.len() <= MOST && parts.statement_bytes <= MOST_BYTES + 5000);
        }
    }
}
