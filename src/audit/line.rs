//! [`AuditEvent`] → one line of JSON. Invariant: no literal, parameter or result value; the text comes without
//! literals from the plan.
//!
//! | field | meaning |
//! |---|---|
//! | `time` | when the statement was sent to the server, or refused: RFC 3339, UTC, microseconds |
//! | `duration_us` | until its end was seen, in microseconds |
//! | `connection`, `statement` | ids: unique for the connection; counts within it from 1 |
//! | `client`, `application`, `user`, `database` | address and port or `unix`; `application_name`; login role; database |
//! | `role`, `purpose`, `recipient` | policy role; why the data is used; who receives it |
//! | `documents` | documents of the grants of a legal duty that the statement was run under |
//! | `kind` | `SELECT`, `INSERT`, …; `UNKNOWN` when the text was not understood |
//! | `text` | the statement with every literal replaced by `?`, at most 16 KiB |
//! | `fingerprint` | first 16 hex digits of HMAC-SHA256 of `text`, keyed by `audit.key_file` |
//! | `relations` | relations read or written, `schema.table` |
//! | `columns` | personal columns used: `column`, `category`, `usage` (list), `treatment` |
//! | `decision` | `forward`, `rewrite` or `refuse` |
//! | `observed`, `observed_refusal` | of an observed role: the decision there would have been, and the code of the refusal |
//! | `rules` | the determining rules, `file:line` |
//! | `outcome` | `completed`, `failed` (on the server), `refused` (by pgscrim) or `broken` (connection lost) |
//! | `sqlstate` | of the error; `00000` when completed; null when broken |
//! | `refusal` | code of the refusal, such as `PGS0203`; null when not refused |
//! | `rows`, `bytes` | rows returned or affected; bytes of row and COPY data sent to the client |
//! | `transaction` | state before the statement: `I` idle, `T` open, `E` failed |
//! | `policy`, `policy_hash`, `catalog_version` | what was in force when it was planned |
//! | `analysed` | whether the text was understood; false only for exempt roles and refused texts |

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

use super::event::{AuditEvent, Outcome};

/// The key of the text fingerprints.
pub struct FingerprintKey(Hmac<Sha256>);

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

impl FingerprintKey {
    /// A key of any length but zero; none for an empty one.
    pub fn new(key: &[u8]) -> Option<Self> {
        if key.is_empty() {
            return None;
        }
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// The first 16 hex digits of the HMAC of `text`.
    pub fn fingerprint(&self, text: &str) -> String {
        use std::fmt::Write;
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        let mut out = String::with_capacity(16);
        for byte in mac.finalize().into_bytes().iter().take(8) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    duration_us: u64,
    connection: &'a str,
    statement: u64,
    client: &'a str,
    application: &'a str,
    user: &'a str,
    role: &'a str,
    purpose: &'a str,
    recipient: &'a str,
    documents: Vec<&'a str>,
    database: &'a str,
    kind: &'a str,
    text: &'a str,
    fingerprint: &'a str,
    relations: Vec<&'a str>,
    columns: Vec<Column<'a>>,
    decision: &'a str,
    observed: Option<&'a str>,
    observed_refusal: Option<&'a str>,
    rules: Vec<&'a str>,
    outcome: &'static str,
    sqlstate: Option<&'a str>,
    refusal: Option<&'static str>,
    rows: u64,
    bytes: u64,
    transaction: char,
    policy: &'a str,
    policy_hash: &'a str,
    catalog_version: u64,
    analysed: bool,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the fields of the line")]
struct Column<'a> {
    column: &'a str,
    category: &'a str,
    usage: Vec<&'static str>,
    treatment: &'a str,
}

/// Appends the event to `out` as one line with its line feed; `fingerprint` is that of its text.
pub fn write_line(event: &AuditEvent, fingerprint: &str, out: &mut Vec<u8>) {
    let access = &event.planned.access;
    let facts = &event.facts;
    let mut rules: Vec<&str> = access.rules.iter().map(|rule| &**rule).collect();
    let (outcome, sqlstate, refusal) = match &event.outcome {
        Outcome::Completed => ("completed", Some("00000"), None),
        Outcome::Failed(sqlstate) => ("failed", Some(&**sqlstate), None),
        Outcome::Refused(refusal) => {
            rules.extend(refusal.rule.as_deref().filter(|rule| !access.rules.iter().any(|other| **other == **rule)));
            ("refused", Some(refusal.sqlstate()), Some(refusal.code.code()))
        }
        Outcome::Broken => ("broken", None, None),
    };
    let line = Line {
        time: rfc3339(event.time),
        duration_us: microseconds(event.duration),
        connection: &facts.connection,
        statement: event.statement,
        client: &facts.client,
        application: &facts.application,
        user: &facts.user,
        role: &facts.role,
        purpose: &facts.purpose,
        recipient: &facts.recipient,
        documents: event.documents.iter().map(|document| &**document).collect(),
        database: &facts.database,
        kind: event.planned.kind,
        text: &access.text,
        fingerprint,
        relations: access.relations.iter().map(|relation| &**relation).collect(),
        columns: access
            .columns
            .iter()
            .map(|column| Column {
                column: &column.column,
                category: &column.category,
                usage: column.usage.iter().map(|usage| usage.label()).collect(),
                treatment: &column.treatment,
            })
            .collect(),
        decision: if refusal.is_some() { "refuse" } else { access.decision },
        observed: access.observed.as_ref().map(|observed| observed.decision),
        observed_refusal: access.observed.as_ref().and_then(|observed| observed.refusal),
        rules,
        outcome,
        sqlstate,
        refusal,
        rows: event.rows,
        bytes: event.bytes,
        transaction: event.transaction,
        policy: &event.policy,
        policy_hash: &event.policy_hash,
        catalog_version: event.catalog_version,
        analysed: event.analysed,
    };
    // Strings and numbers into memory: cannot fail. JSON escapes line feeds, so that an event is one line.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

fn rfc3339(time: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(time).map(|time| format!("{time:.6}")).unwrap_or_default()
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
