//! Prometheus metrics: one registry per process, conventional names and units, bounded labels. In: calls from every
//! stage with I/O. Out: the text format. Invariant: a label is a policy role's name or one of the finite lists of
//! [`labels`]; never SQL, a user's name or a value.
//!
//! Counting never fails and never waits. What sessions count per statement is resolved once per policy role
//! ([`Metrics::role`]) and costs a hash look-up and an atomic addition.

pub mod labels;
mod role;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dashmap::DashMap;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

pub use labels::{
    CacheResult, CancelOutcome, ConnectionOutcome, DecisionLabel, Direction, PlanStage, ReloadKind, UpstreamErrorKind,
};
pub use role::RoleMetrics;

use crate::error::RefusalCode;

/// Upper bounds of the plan latency buckets, in seconds: 1 µs to 1 s.
const PLAN_BUCKETS: &[f64] =
    &[1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 1.0];

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: IntGauge,
    connections_total: Vec<IntCounter>,
    statements: IntCounterVec,
    masked_columns: IntCounterVec,
    rows: IntCounterVec,
    plan_seconds: Vec<Histogram>,
    plan_cache: Vec<IntCounter>,
    refusals: IntCounterVec,
    bytes: Vec<IntCounter>,
    upstream_errors: Vec<IntCounter>,
    audit_queue_depth: IntGauge,
    audit_lag: Gauge,
    audit_write_errors: IntCounter,
    audit_events: IntCounter,
    catalog_version: IntGauge,
    catalog_timestamp: Gauge,
    rules_info: IntGaugeVec,
    rules_timestamp: Gauge,
    reload_failures: Vec<IntCounter>,
    tripwire: IntCounter,
    cancel_requests: Vec<IntCounter>,
    roles: DashMap<String, Arc<RoleMetrics>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let build = int_gauge_vec(r, "pgscrim_build_info", "Version of this process; always 1.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let start = gauge(r, "process_start_time_seconds", "Start of the process, in seconds since 1970.");
        start.set(now());

        let connections = int_gauge(r, "pgscrim_connections", "Client connections open now.");
        let connections_total = by_label(
            &counter_vec(
                r,
                "pgscrim_connections_total",
                "Client connections that have ended, by outcome.",
                &["outcome"],
            ),
            ConnectionOutcome::ALL.iter().map(|value| value.label()),
        );
        let statements = counter_vec(
            r,
            "pgscrim_statements_total",
            "Statements executed or refused, by policy role, kind and decision.",
            &["role", "kind", "decision"],
        );
        let masked_columns = counter_vec(
            r,
            "pgscrim_masked_columns_total",
            "Masked or withheld columns in the results of executed statements, by policy role.",
            &["role"],
        );
        let rows = counter_vec(r, "pgscrim_rows_total", "Rows returned or affected, by policy role.", &["role"]);
        let plan_seconds = histogram_vec(
            r,
            "pgscrim_plan_seconds",
            "Time from a statement's text to its plan, by stage.",
            &["stage"],
            PLAN_BUCKETS,
        );
        let plan_seconds =
            PlanStage::ALL.iter().map(|stage| plan_seconds.with_label_values(&[stage.label()])).collect();
        let plan_cache = by_label(
            &counter_vec(r, "pgscrim_plan_cache_total", "Look-ups in the plan cache, by result.", &["result"]),
            CacheResult::ALL.iter().map(|value| value.label()),
        );
        let refusals =
            counter_vec(r, "pgscrim_refusals_total", "Statements and connections refused, by refusal code.", &["code"]);
        let bytes = by_label(
            &counter_vec(r, "pgscrim_bytes_total", "Bytes exchanged with clients, by direction.", &["direction"]),
            Direction::ALL.iter().map(|value| value.label()),
        );
        let upstream_errors = by_label(
            &counter_vec(r, "pgscrim_upstream_errors_total", "Failures between proxy and server, by kind.", &["kind"]),
            UpstreamErrorKind::ALL.iter().map(|value| value.label()),
        );
        let reload_failures = by_label(
            &counter_vec(
                r,
                "pgscrim_reload_failures_total",
                "Loads that failed and left the last good state in force, by what was loaded.",
                &["what"],
            ),
            ReloadKind::ALL.iter().map(|value| value.label()),
        );
        let cancel_requests = by_label(
            &counter_vec(r, "pgscrim_cancel_requests_total", "Cancel requests, by outcome.", &["outcome"]),
            CancelOutcome::ALL.iter().map(|value| value.label()),
        );
        Self {
            connections,
            connections_total,
            statements,
            masked_columns,
            rows,
            plan_seconds,
            plan_cache,
            refusals,
            bytes,
            upstream_errors,
            audit_queue_depth: int_gauge(r, "pgscrim_audit_queue_depth", "Audit events submitted and not yet written."),
            audit_lag: gauge(r, "pgscrim_audit_lag_seconds", "Age of the oldest audit event not yet written."),
            audit_write_errors: counter(
                r,
                "pgscrim_audit_write_errors_total",
                "Failed attempts to write audit events.",
            ),
            audit_events: counter(r, "pgscrim_audit_events_total", "Audit events written."),
            catalog_version: int_gauge(r, "pgscrim_catalog_version", "Version of the catalog snapshot in force."),
            catalog_timestamp: gauge(
                r,
                "pgscrim_catalog_timestamp_seconds",
                "When the catalog snapshot in force was read, in seconds since 1970.",
            ),
            rules_info: int_gauge_vec(r, "pgscrim_rules_info", "The rules in force; always 1.", &["policy", "hash"]),
            rules_timestamp: gauge(
                r,
                "pgscrim_rules_timestamp_seconds",
                "When the rules in force were loaded, in seconds since 1970.",
            ),
            reload_failures,
            tripwire: counter(
                r,
                "pgscrim_tripwire_total",
                "Results stopped because a masked column was about to appear in clear; each one is a defect.",
            ),
            cancel_requests,
            roles: DashMap::new(),
            registry,
        }
    }
}

impl Metrics {
    /// Metrics of a new process, all zero.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Counts a client connection as open until the guard is dropped.
    pub fn connection_opened(self: &Arc<Self>) -> ConnectionGuard {
        self.connections.inc();
        ConnectionGuard { metrics: Arc::clone(self), outcome: ConnectionOutcome::Internal }
    }

    /// Client connections open now.
    pub fn open_connections(&self) -> i64 {
        self.connections.get()
    }

    /// The counters of one policy role; keep the answer for the life of a session.
    pub fn role(&self, role: &str) -> Arc<RoleMetrics> {
        if let Some(found) = self.roles.get(role) {
            return Arc::clone(&found);
        }
        let made = Arc::new(RoleMetrics::new(role, &self.statements, &self.masked_columns, &self.rows));
        Arc::clone(&self.roles.entry(role.to_owned()).or_insert(made))
    }

    /// Time spent in a stage of planning.
    pub fn plan_took(&self, stage: PlanStage, duration: Duration) {
        if let Some(histogram) = self.plan_seconds.get(stage as usize) {
            histogram.observe(duration.as_secs_f64());
        }
    }

    /// One look-up in the plan cache.
    pub fn plan_cache(&self, result: CacheResult) {
        add(&self.plan_cache, result as usize, 1);
    }

    /// One statement or connection refused.
    pub fn refused(&self, code: RefusalCode) {
        self.refusals.with_label_values(&[code.code()]).inc();
    }

    /// Bytes exchanged with clients.
    pub fn bytes(&self, direction: Direction, bytes: u64) {
        add(&self.bytes, direction as usize, bytes);
    }

    /// A failure between proxy and server.
    pub fn upstream_error(&self, kind: UpstreamErrorKind) {
        add(&self.upstream_errors, kind as usize, 1);
    }

    /// Audit events submitted and not yet written, and the age of the oldest of them.
    pub fn audit_backlog(&self, depth: usize, lag: Duration) {
        self.audit_queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.audit_lag.set(lag.as_secs_f64());
    }

    /// A failed attempt to write audit events.
    pub fn audit_write_error(&self) {
        self.audit_write_errors.inc();
    }

    /// Audit events written.
    pub fn audit_written(&self, events: u64) {
        self.audit_events.inc_by(events);
    }

    /// A catalog snapshot came into force that was read just now.
    pub fn catalog_published(&self, version: u64) {
        self.catalog_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        self.catalog_timestamp.set(now());
    }

    /// A rule set came into force.
    pub fn rules_published(&self, policy: &str, hash: &str) {
        self.rules_info.reset();
        self.rules_info.with_label_values(&[policy, hash]).set(1);
        self.rules_timestamp.set(now());
    }

    /// A load failed; the last good state stays in force.
    pub fn reload_failed(&self, what: ReloadKind) {
        add(&self.reload_failures, what as usize, 1);
    }

    /// A masked column was about to appear in clear.
    pub fn tripwire(&self) {
        self.tripwire.inc();
    }

    /// A cancel request.
    pub fn cancel_request(&self, outcome: CancelOutcome) {
        add(&self.cancel_requests, outcome as usize, 1);
    }

    /// The text format, version 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Encoding into memory fails only for metrics without samples, which `gather` leaves out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        out
    }
}

/// One open connection: counted in `pgscrim_connections` until dropped, then in `pgscrim_connections_total`.
#[derive(Debug)]
pub struct ConnectionGuard {
    metrics: Arc<Metrics>,
    outcome: ConnectionOutcome,
}

impl ConnectionGuard {
    /// Says how the connection ended; without it a drop counts as [`ConnectionOutcome::Internal`].
    pub fn ended(&mut self, outcome: ConnectionOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.metrics.connections.dec();
        add(&self.metrics.connections_total, self.outcome as usize, 1);
    }
}

fn add(counters: &[IntCounter], index: usize, amount: u64) {
    if let Some(counter) = counters.get(index) {
        counter.inc_by(amount);
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Creates the series of a one-label counter, so that each is exported as 0 before it first happens.
fn by_label(counters: &IntCounterVec, labels: impl Iterator<Item = &'static str>) -> Vec<IntCounter> {
    labels.map(|label| counters.with_label_values(&[label])).collect()
}

/// Registers `made`. Names are constants of this file: a mistake in one shows in every test, as a panic here.
#[expect(clippy::expect_used, reason = "names are constants; a mistake must not go unnoticed")]
fn registered<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let metric = made.expect("metric names are valid");
    registry.register(Box::new(metric.clone())).expect("metric names are distinct");
    metric
}

fn int_gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, IntGauge::new(name, help))
}

fn int_gauge_vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Gauge {
    registered(registry, Gauge::new(name, help))
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::new(name, help))
}

fn counter_vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn histogram_vec(registry: &Registry, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(opts, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render()).unwrap()
    }

    #[test]
    fn connections_are_counted_while_open_and_by_outcome_afterwards() {
        let metrics = Metrics::new();
        let mut first = metrics.connection_opened();
        let second = metrics.connection_opened();
        assert!(text(&metrics).contains("\npgscrim_connections 2\n"));
        first.ended(ConnectionOutcome::Completed);
        drop((first, second));
        let text = text(&metrics);
        assert!(text.contains("\npgscrim_connections 0\n"), "{text}");
        assert!(text.contains("pgscrim_connections_total{outcome=\"completed\"} 1\n"), "{text}");
        assert!(text.contains("pgscrim_connections_total{outcome=\"internal\"} 1\n"), "{text}");
    }

    #[test]
    fn labels_stand_where_their_index_says() {
        let metrics = Metrics::new();
        metrics.cancel_request(CancelOutcome::Limited);
        metrics.plan_cache(CacheResult::Miss);
        metrics.bytes(Direction::Sent, 17);
        metrics.upstream_error(UpstreamErrorKind::Tls);
        metrics.reload_failed(ReloadKind::Certificate);
        metrics.plan_took(PlanStage::Pipeline, Duration::from_micros(30));
        metrics.refused(RefusalCode::UnknownRelation);
        let text = text(&metrics);
        for line in [
            "pgscrim_cancel_requests_total{outcome=\"limited\"} 1",
            "pgscrim_plan_cache_total{result=\"miss\"} 1",
            "pgscrim_bytes_total{direction=\"sent\"} 17",
            "pgscrim_upstream_errors_total{kind=\"tls\"} 1",
            "pgscrim_reload_failures_total{what=\"certificate\"} 1",
            "pgscrim_plan_seconds_count{stage=\"pipeline\"} 1",
            "pgscrim_plan_seconds_bucket{stage=\"pipeline\",le=\"0.00005\"} 1",
            "pgscrim_refusals_total{code=\"PGS0102\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_role_counts_by_kind_and_decision_and_unknown_kinds_are_one() {
        let metrics = Metrics::new();
        let role = metrics.role("packing");
        role.statement("SELECT", DecisionLabel::Rewrite);
        role.statement("SELECT", DecisionLabel::Rewrite);
        role.statement("no such kind", DecisionLabel::Refuse);
        metrics.role("packing").finished(3, 40);
        let text = text(&metrics);
        for line in [
            "pgscrim_statements_total{decision=\"rewrite\",kind=\"SELECT\",role=\"packing\"} 2",
            "pgscrim_statements_total{decision=\"refuse\",kind=\"OTHER\",role=\"packing\"} 1",
            "pgscrim_masked_columns_total{role=\"packing\"} 3",
            "pgscrim_rows_total{role=\"packing\"} 40",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn only_the_rules_in_force_are_shown() {
        let metrics = Metrics::new();
        metrics.rules_published("a", "1");
        metrics.rules_published("b", "2");
        let text = text(&metrics);
        assert!(text.contains("pgscrim_rules_info{hash=\"2\",policy=\"b\"} 1"), "{text}");
        assert!(!text.contains("policy=\"a\""), "{text}");
    }
}
