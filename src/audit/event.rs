//! [`AuditEvent`]: what is recorded of one statement. Never a literal, parameter or result value.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::{engine::PlannedStatement, error::Refusal};

/// The facts of a connection that every event of it repeats.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// Unique within the log: process start time and a counter.
    pub connection: Arc<str>,
    /// Client address with port, or `unix`.
    pub client: Arc<str>,
    /// `application_name` at start-up or as last reported by the server.
    pub application: Arc<str>,
    /// Login role.
    pub user: Arc<str>,
    /// Policy role.
    pub role: Arc<str>,
    /// Purpose of the data use.
    pub purpose: Arc<str>,
    /// Who receives the data.
    pub recipient: Arc<str>,
    /// Database.
    pub database: Arc<str>,
}

/// Rules and catalog that statements are planned by, which their events repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Id of the policy.
    pub policy: String,
    /// Hash of its rules.
    pub policy_hash: String,
    /// Version of the catalog snapshot.
    pub catalog_version: u64,
}

/// How a statement ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// CommandComplete, EmptyQueryResponse or PortalSuspended.
    Completed,
    /// ErrorResponse of the server with this SQLSTATE.
    Failed(Arc<str>),
    /// Refused by pgscrim.
    Refused(Refusal),
    /// The connection ended before the answer was complete.
    Broken,
}

/// One statement executed or refused.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// When it was sent to the server, or refused.
    pub time: SystemTime,
    /// Until its end was seen.
    pub duration: Duration,
    /// When that was.
    pub ended: Instant,
    /// The connection.
    pub facts: Arc<ConnectionFacts>,
    /// Documents of the grants of a legal duty that it was run under, or that were in force.
    pub documents: Vec<Arc<str>>,
    /// Counts statements within the connection, from 1.
    pub statement: u64,
    /// Kind and access.
    pub planned: Arc<PlannedStatement>,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows returned or affected, as far as seen.
    pub rows: u64,
    /// Bytes of DataRow and CopyData bodies sent to the client.
    pub bytes: u64,
    /// `I`, `T` or `E` as in the last ReadyForQuery before the statement.
    pub transaction: char,
    /// What was in force when it was planned.
    pub basis: Arc<Basis>,
    /// Whether the text was understood.
    pub analysed: bool,
}
