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
//! | `documents` | of a role with a legal duty: documents of the grants in force that open what the statement uses; of all in force where it uses nothing of that kind, or is refused |
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

use super::{
    event::{AuditEvent, Outcome},
    parts::{self, Parts},
};

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

/// Appends the event to `out`, without a line feed. JSON escapes line feeds, so that an event is one line.
pub(super) fn write_line(event: &AuditEvent, parts: &mut Parts, out: &mut Vec<u8>) {
    let access = &event.planned.access;
    let (outcome, sqlstate, refusal) = match &event.outcome {
        Outcome::Completed => ("completed", Some("00000"), None),
        Outcome::Failed(sqlstate) => ("failed", Some(&**sqlstate), None),
        Outcome::Refused(refusal) => ("refused", Some(refusal.sqlstate()), Some(refusal)),
        Outcome::Broken => ("broken", None, None),
    };
    out.extend_from_slice(b"{\"time\":\"");
    parts.time(event.time, out);
    let (connection, statement, basis) = parts.of(event);
    out.extend_from_slice(b"\",\"duration_us\":");
    number(microseconds(event.duration), out);
    out.extend_from_slice(connection.before_statement());
    number(event.statement, out);
    out.extend_from_slice(connection.before_documents());
    if event.documents.is_empty() {
        out.extend_from_slice(b"[]");
    } else {
        json(&event.documents.iter().map(|document| &**document).collect::<Vec<_>>(), out);
    }
    out.extend_from_slice(connection.behind_documents());
    out.extend_from_slice(statement.before_decision());
    match refusal {
        None => out.extend_from_slice(statement.decision()),
        Some(refusal) => {
            let mut rules: Vec<&str> = access.rules.iter().map(|rule| &**rule).collect();
            rules.extend(refusal.rule.as_deref().filter(|rule| !access.rules.iter().any(|other| **other == **rule)));
            out.extend_from_slice(&parts::decision("refuse", access, &rules));
        }
    }
    if matches!(event.outcome, Outcome::Completed) {
        // What nearly all lines say.
        out.extend_from_slice(br#","outcome":"completed","sqlstate":"00000","refusal":null"#);
    } else {
        out.extend_from_slice(b",\"outcome\":\"");
        out.extend_from_slice(outcome.as_bytes());
        out.extend_from_slice(b"\",\"sqlstate\":");
        json(&sqlstate, out);
        out.extend_from_slice(b",\"refusal\":");
        json(&refusal.map(|refusal| refusal.code.code()), out);
    }
    out.extend_from_slice(b",\"rows\":");
    number(event.rows, out);
    out.extend_from_slice(b",\"bytes\":");
    number(event.bytes, out);
    out.extend_from_slice(b",\"transaction\":");
    json(&event.transaction, out);
    out.extend_from_slice(basis);
    out.extend_from_slice(if event.analysed { b",\"analysed\":true}" } else { b",\"analysed\":false}" });
}

/// Appends a value as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Strings and lists of them into memory: cannot fail.
    let _ = serde_json::to_writer(out, value);
}

fn number(value: u64, out: &mut Vec<u8>) {
    json(&value, out);
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
