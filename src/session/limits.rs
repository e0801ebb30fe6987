//! Stage `session`: how much personal data a login has had in clear, and whether it may have more. In: statements before they
//! are sent, and their rows. Out: how many rows a statement may have, or a refusal. Counted in the memory of this process:
//! from its start, and apart from other processes.

use std::time::{SystemTime, UNIX_EPOCH};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::{
    engine::{Access, Stored},
    error::{Refusal, RefusalCode},
    policy::{Limits, RolePolicy},
};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// What each login has had, by policy role and login role.
#[derive(Debug, Default)]
pub(super) struct Disclosed {
    logins: DashMap<(Box<str>, Box<str>), Counts, RandomState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    minute: u64,
    statements: u64,
    searches: u64,
    day: u64,
    rows: u64,
}

impl Counts {
    /// Begins anew where a minute or a day has.
    fn at(&mut self, now: u64) -> &mut Self {
        if self.minute != now / MINUTE {
            (self.minute, self.statements, self.searches) = (now / MINUTE, 0, 0);
        }
        if self.day != now / DAY {
            (self.day, self.rows) = (now / DAY, 0);
        }
        self
    }
}

impl Disclosed {
    /// Counts a statement that is about to be sent. Answers with the rows that it may have, if they are limited.
    ///
    /// # Errors
    /// [`RefusalCode::LimitExceeded`].
    pub fn admit(&self, role: &RolePolicy, user: &str, access: &Access) -> Result<Option<u64>, Refusal> {
        if role.limits == Limits::default() {
            return Ok(None);
        }
        let searches = access.columns.iter().any(|column| &*column.treatment == "exact");
        if !access.discloses && !searches {
            return Ok(None);
        }
        let Limits { rows_per_statement, rows_per_day, statements_per_minute: _, searches_per_minute: _ } = role.limits;
        if access.stored == Stored::Uncounted && (rows_per_statement.is_some() || rows_per_day.is_some()) {
            return Err(Refusal::new(
                RefusalCode::LimitExceeded,
                "rows that this statement would store in a temporary table cannot be counted",
            )
            .with_hint("Use CREATE TEMPORARY TABLE AS, or INSERT without RETURNING and not inside WITH."));
        }
        let mut counts = self.logins.entry((role.name.as_str().into(), user.into())).or_default();
        admitted(counts.at(now()), role.limits, access.discloses, searches)
    }

    /// Counts the rows of a statement that has ended.
    pub fn had(&self, role: &RolePolicy, user: &str, access: &Access, rows: u64) {
        if role.limits.rows_per_day.is_some() && access.discloses && rows > 0 {
            let mut counts = self.logins.entry((role.name.as_str().into(), user.into())).or_default();
            let counts = counts.at(now());
            counts.rows = counts.rows.saturating_add(rows);
        }
    }
}

fn admitted(counts: &mut Counts, limits: Limits, discloses: bool, searches: bool) -> Result<Option<u64>, Refusal> {
    let Limits { rows_per_statement, rows_per_day, statements_per_minute, searches_per_minute } = limits;
    if searches && searches_per_minute.is_some_and(|limit| counts.searches >= limit) {
        return Err(exceeded("searches in this minute", searches_per_minute));
    }
    if discloses && statements_per_minute.is_some_and(|limit| counts.statements >= limit) {
        return Err(exceeded("statements that show personal data in this minute", statements_per_minute));
    }
    let left = rows_per_day.map(|limit| limit.saturating_sub(counts.rows));
    if discloses && left == Some(0) {
        return Err(exceeded("rows of personal data today", rows_per_day));
    }
    counts.searches += u64::from(searches);
    counts.statements += u64::from(discloses);
    Ok(match (rows_per_statement, left) {
        (_, _) if !discloses => None,
        (Some(one), Some(left)) => Some(one.min(left)),
        (one, left) => one.or(left),
    })
}

/// The refusal of rows beyond `limit` of one statement.
pub(super) fn too_many_rows(limit: u64) -> Refusal {
    exceeded("rows of personal data in one statement", Some(limit))
}

fn exceeded(what: &str, limit: Option<u64>) -> Refusal {
    Refusal::new(
        RefusalCode::LimitExceeded,
        format!("this role may have no more than {} {what}", limit.unwrap_or_default()),
    )
    .with_hint("Ask for less, wait, or have the limits of the role raised in the rules.")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        rows_per_statement: Some(10),
        rows_per_day: Some(15),
        statements_per_minute: Some(3),
        searches_per_minute: Some(1),
    };

    #[test]
    fn what_is_left_is_admitted() {
        let mut counts = Counts::default();
        assert_eq!(admitted(&mut counts, LIMITS, true, false).unwrap(), Some(10));
        counts.rows += 10;
        assert_eq!(admitted(&mut counts, LIMITS, true, true).unwrap(), Some(5));
        assert!(admitted(&mut counts, LIMITS, true, true).is_err(), "one search a minute");
        assert_eq!(admitted(&mut counts, LIMITS, false, false).unwrap(), None);
        assert_eq!(admitted(&mut counts, LIMITS, true, false).unwrap(), Some(5));
        assert!(admitted(&mut counts, LIMITS, true, false).is_err(), "three statements a minute");
        assert_eq!(counts.at(61 + counts.minute * MINUTE).statements, 0);
        counts.rows = 15;
        assert!(admitted(&mut counts, LIMITS, true, false).is_err(), "no rows are left");
        assert_eq!(counts.at(DAY).rows, 0);
    }
}
