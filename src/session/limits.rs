//! Stage `session`: how much personal data a login has had in clear, and whether it may have more. In: statements before they
//! are sent, and their rows. Out: how many rows a statement may have, or a refusal. Counted in the memory of this process:
//! from its start, and apart from other processes.

use std::time::{SystemTime, UNIX_EPOCH};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::inflight::Prepared;
use crate::{
    engine::{Access, Stored},
    error::{Refusal, RefusalCode},
    policy::{Limits, RolePolicy},
    wire::frontend::{self, BoundValue},
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
    /// Counts a statement that is about to be sent, and the values that it compares by exact search. Answers with the rows that
    /// it may have, if they are limited.
    ///
    /// # Errors
    /// [`RefusalCode::LimitExceeded`].
    pub fn admit(&self, role: &RolePolicy, user: &str, access: &Access, searches: u64) -> Result<Option<u64>, Refusal> {
        if role.limits == Limits::default() {
            return Ok(None);
        }
        if !access.discloses && searches == 0 {
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

fn admitted(counts: &mut Counts, limits: Limits, discloses: bool, searches: u64) -> Result<Option<u64>, Refusal> {
    let Limits { rows_per_statement, rows_per_day, statements_per_minute, searches_per_minute } = limits;
    let with_these = counts.searches.saturating_add(searches);
    if searches > 0 && searches_per_minute.is_some_and(|limit| with_these > limit) {
        return Err(exceeded("values searched for in this minute", searches_per_minute));
    }
    if discloses && statements_per_minute.is_some_and(|limit| counts.statements >= limit) {
        return Err(exceeded("statements that use personal data in this minute", statements_per_minute));
    }
    let left = rows_per_day.map(|limit| limit.saturating_sub(counts.rows));
    if discloses && left == Some(0) {
        return Err(exceeded("rows of personal data today", rows_per_day));
    }
    counts.searches = with_these;
    counts.statements += u64::from(discloses);
    Ok(match (rows_per_statement, left) {
        (_, _) if !discloses => None,
        (Some(one), Some(left)) => Some(one.min(left)),
        (one, left) => one.or(left),
    })
}

/// How many values the parameters of a Bind are that are compared by exact search; without all of its body at hand, the most
/// that a message of `total` bytes can hold.
pub(super) fn searched(prepared: &Prepared, body: Option<&[u8]>, total: usize) -> u64 {
    let parameters = prepared.planned.as_ref().map_or(&[][..], |planned| &planned.access.searched.parameters);
    if parameters.iter().all(|(_, elements)| !elements) {
        return parameters.len() as u64;
    }
    let Some(values) = body.and_then(frontend::bound_values) else { return total as u64 };
    let count = |(number, elements): &(u16, bool)| {
        let value = number.checked_sub(1).and_then(|at| values.get(usize::from(at)));
        match value {
            Some(BoundValue { binary, bytes: Some(bytes) }) if *elements => array_length(*binary, bytes),
            Some(_) => 1,
            // The server refuses it.
            None => 0,
        }
    };
    parameters.iter().map(count).fold(0, u64::saturating_add)
}

/// The elements of an array in text or binary format (`array_send`), or more.
fn array_length(binary: bool, value: &[u8]) -> u64 {
    if !binary {
        return 1 + memchr::memchr_iter(b',', value).count() as u64;
    }
    let number = |at: usize| {
        let bytes = value.get(at..at.checked_add(4)?)?;
        Some(u64::from(u32::from_be_bytes(bytes.try_into().ok()?)))
    };
    // Dimensions, flags, type of the elements; then length and lower bound of each dimension.
    let dimensions = usize::try_from(number(0).unwrap_or_default()).unwrap_or_default().min(6);
    let lengths = (0..dimensions).map(|dimension| number(12 + 8 * dimension).unwrap_or(u64::MAX));
    lengths.fold(1, u64::saturating_mul).max(1)
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
        assert_eq!(admitted(&mut counts, LIMITS, true, 0).unwrap(), Some(10));
        counts.rows += 10;
        assert_eq!(admitted(&mut counts, LIMITS, true, 1).unwrap(), Some(5));
        assert!(admitted(&mut counts, LIMITS, true, 1).is_err(), "one search a minute");
        assert_eq!(admitted(&mut counts, LIMITS, false, 0).unwrap(), None);
        assert_eq!(admitted(&mut counts, LIMITS, true, 0).unwrap(), Some(5));
        assert!(admitted(&mut counts, LIMITS, true, 0).is_err(), "three statements a minute");
        assert_eq!(counts.at(61 + counts.minute * MINUTE).statements, 0);
        counts.rows = 15;
        assert!(admitted(&mut counts, LIMITS, true, 0).is_err(), "no rows are left");
        assert_eq!(counts.at(DAY).rows, 0);
    }

    #[test]
    fn arrays_are_counted_in_both_formats() {
        for (text, count) in [("{}", 1), ("{a}", 1), ("{a,b,c}", 3), ("{{a,b},{c,d}}", 4), ("{\"a,b\"}", 2), ("x", 1)] {
            assert_eq!(array_length(false, text.as_bytes()), count, "{text}");
        }
        let array = |lengths: &[u32]| {
            let mut bytes: Vec<u8> =
                [u32::try_from(lengths.len()).unwrap(), 0, 25].iter().flat_map(|n| n.to_be_bytes()).collect();
            bytes.extend(lengths.iter().flat_map(|length| [*length, 1]).flat_map(u32::to_be_bytes));
            bytes
        };
        for (lengths, count) in [(&[][..], 1), (&[0], 1), (&[3], 3), (&[2, 5], 10), (&[u32::MAX; 6], u64::MAX)] {
            assert_eq!(array_length(true, &array(lengths)), count, "{lengths:?}");
        }
        assert_eq!(array_length(true, b"\0\0\0\x02"), u64::MAX);
    }
}
