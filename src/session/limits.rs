//! Stage `session`: how much personal data a role, a login and a connection have had in clear, and whether they may have more.
//! In: statements before they are sent, and their rows. Out: what a statement may have, or a refusal. Counted in the memory of
//! this process: from its start, and apart from other processes.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::inflight::Prepared;
use crate::{
    engine::{Access, Stored},
    error::{Refusal, RefusalCode},
    policy::{Limits, Rates, RolePolicy},
    rewrite::elements,
    wire::frontend::{self, BoundValue},
};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// What somebody has had.
pub(super) type Meter = Arc<Mutex<Counts>>;

/// What each role has had over all of its logins, and each login over all of its connections, by role of the rules.
#[derive(Debug, Default)]
pub(super) struct Disclosed {
    roles: DashMap<Box<str>, Meter, RandomState>,
    logins: DashMap<(Box<str>, Box<str>), Meter, RandomState>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
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

/// Whose rate it is, as messages call it. In the order in which their meters are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Role,
    Login,
    Connection,
}

impl Scope {
    const fn text(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Login => "login",
            Self::Connection => "connection",
        }
    }
}

/// A meter and the rates that it must keep below.
#[derive(Debug)]
struct Limited {
    scope: Scope,
    rates: Rates,
    meter: Meter,
}

/// The rows that a statement may have.
#[derive(Debug)]
pub(super) struct Allowance {
    of_statement: Option<u64>,
    /// Those whose rows of a day are limited.
    of_day: SmallVec<[Limited; 1]>,
    /// Rows that the meters know of.
    metered: u64,
}

impl Disclosed {
    /// Counts a statement that is about to be sent, and the values that it compares by exact search. Answers with the rows that
    /// it may have, if they are limited.
    ///
    /// # Errors
    /// [`RefusalCode::LimitExceeded`].
    pub fn admit(
        &self,
        role: &RolePolicy,
        user: &str,
        connection: &Meter,
        access: &Access,
        searches: u64,
    ) -> Result<Option<Allowance>, Refusal> {
        if role.limits == Limits::default() || (!access.discloses && searches == 0) {
            return Ok(None);
        }
        let Limits { rows_per_statement, role: of_role, login, connection: of_connection } = role.limits;
        let mut limited: SmallVec<[Limited; 3]> = SmallVec::new();
        if of_role != Rates::default() {
            let meter = Arc::clone(&self.roles.entry(role.name.as_str().into()).or_default());
            limited.push(Limited { scope: Scope::Role, rates: of_role, meter });
        }
        if login != Rates::default() {
            let meter = Arc::clone(&self.logins.entry((role.name.as_str().into(), user.into())).or_default());
            limited.push(Limited { scope: Scope::Login, rates: login, meter });
        }
        if of_connection != Rates::default() {
            limited.push(Limited { scope: Scope::Connection, rates: of_connection, meter: Arc::clone(connection) });
        }
        let counts_rows = rows_per_statement.is_some() || limited.iter().any(|one| one.rates.rows_per_day.is_some());
        if access.stored == Stored::Uncounted && counts_rows {
            return Err(Refusal::new(
                RefusalCode::LimitExceeded,
                "rows that this statement would store in clear, where they are read uncounted, cannot be counted",
            )
            .with_hint("Use CREATE TEMPORARY TABLE AS, or INSERT without RETURNING and not inside WITH."));
        }
        admitted(&limited, now(), access.discloses, searches)?;
        if !access.discloses || !counts_rows {
            return Ok(None);
        }
        let of_day = limited.into_iter().filter(|one| one.rates.rows_per_day.is_some()).collect();
        Ok(Some(Allowance { of_statement: rows_per_statement, of_day, metered: 0 }))
    }
}

/// Counts a statement and its searches everywhere, or nowhere.
fn admitted(limited: &[Limited], now: u64, discloses: bool, searches: u64) -> Result<(), Refusal> {
    let mut meters = locked(limited, now);
    for (Limited { scope, rates, .. }, counts) in limited.iter().zip(&meters) {
        let Rates { rows_per_day, statements_per_minute, searches_per_minute } = *rates;
        let with_these = counts.searches.saturating_add(searches);
        if let Some(limit) = searches_per_minute.filter(|limit| searches > 0 && with_these > *limit) {
            return Err(exceeded(*scope, limit, "values searched for in this minute"));
        }
        if let Some(limit) = statements_per_minute.filter(|limit| discloses && counts.statements >= *limit) {
            return Err(exceeded(*scope, limit, "statements that use personal data in this minute"));
        }
        if let Some(limit) = rows_per_day.filter(|limit| discloses && counts.rows >= *limit) {
            return Err(exceeded(*scope, limit, ROWS_TODAY));
        }
    }
    for counts in &mut meters {
        counts.searches = counts.searches.saturating_add(searches);
        counts.statements += u64::from(discloses);
    }
    Ok(())
}

/// Their counts, begun anew where it is time; locked in the order of scopes.
fn locked(limited: &[Limited], now: u64) -> SmallVec<[MutexGuard<'_, Counts>; 3]> {
    limited
        .iter()
        .map(|one| {
            let mut counts = one.meter.lock();
            counts.at(now);
            counts
        })
        .collect()
}

impl Allowance {
    /// Counts the next row of the statement, before the client sees it.
    ///
    /// # Errors
    /// [`RefusalCode::LimitExceeded`].
    pub fn take_row(&mut self) -> Result<(), Refusal> {
        self.check(1)?;
        self.count(self.metered + 1);
        Ok(())
    }

    /// Whether the statement may have as many more rows.
    ///
    /// # Errors
    /// [`RefusalCode::LimitExceeded`].
    pub fn check(&self, more: u64) -> Result<(), Refusal> {
        if let Some(limit) = self.of_statement.filter(|limit| self.metered.saturating_add(more) > *limit) {
            return Err(exceeded(Scope::Role, limit, "rows of personal data in one statement"));
        }
        for (Limited { scope, rates, .. }, counts) in self.of_day.iter().zip(&locked(&self.of_day, now())) {
            if let Some(limit) = rates.rows_per_day.filter(|limit| counts.rows.saturating_add(more) > *limit) {
                return Err(exceeded(*scope, limit, ROWS_TODAY));
            }
        }
        Ok(())
    }

    /// Counts that the statement has had `rows` by now, which never become fewer.
    pub fn count(&mut self, rows: u64) {
        let more = rows.saturating_sub(self.metered);
        for counts in &mut locked(&self.of_day, now()) {
            counts.rows = counts.rows.saturating_add(more);
        }
        self.metered += more;
    }
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
        return elements(value);
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

const ROWS_TODAY: &str = "rows of personal data today";

fn exceeded(scope: Scope, limit: u64, what: &str) -> Refusal {
    Refusal::new(RefusalCode::LimitExceeded, format!("this {} may have no more than {limit} {what}", scope.text()))
        .with_hint("Ask for less, wait, or have the limits of the role raised in the rules.")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { rows_per_day: Some(15), statements_per_minute: Some(3), searches_per_minute: Some(1) };

    fn limited(scope: Scope, rates: Rates) -> Limited {
        Limited { scope, rates, meter: Meter::default() }
    }

    #[test]
    fn what_is_left_is_admitted() {
        let one = [limited(Scope::Role, RATES)];
        let (first, second) = (DAY, DAY + 61);
        admitted(&one, first, true, 0).unwrap();
        admitted(&one, first, true, 1).unwrap();
        assert!(admitted(&one, first, true, 1).is_err(), "one search a minute");
        admitted(&one, first, false, 0).unwrap();
        admitted(&one, first, true, 0).unwrap();
        assert!(admitted(&one, first, true, 0).is_err(), "three statements a minute");
        admitted(&one, second, true, 1).unwrap();
        one[0].meter.lock().rows = 15;
        assert!(admitted(&one, second, true, 0).is_err(), "no rows are left");
        admitted(&one, 2 * DAY, true, 0).unwrap();
    }

    #[test]
    fn what_one_scope_refuses_is_counted_in_none() {
        let tight = Rates { statements_per_minute: Some(1), ..Rates::default() };
        let scopes = [limited(Scope::Role, RATES), limited(Scope::Connection, tight)];
        admitted(&scopes, 0, true, 0).unwrap();
        let refusal = admitted(&scopes, 0, true, 1).unwrap_err();
        assert!(refusal.to_string().contains("this connection may have no more than 1 statements"), "{refusal}");
        let counts = *scopes[0].meter.lock();
        assert_eq!((counts.statements, counts.searches), (1, 0));
    }

    #[test]
    fn statements_at_once_share_the_rows_of_a_day() {
        let role = limited(Scope::Role, RATES);
        let share = || Limited { meter: Arc::clone(&role.meter), ..role };
        let allowance = || Allowance { of_statement: Some(10), of_day: SmallVec::from_iter([share()]), metered: 0 };
        let (mut one, mut other) = (allowance(), allowance());
        for _ in 0..10 {
            one.take_row().unwrap();
        }
        assert!(one.take_row().unwrap_err().to_string().contains("10 rows of personal data in one statement"));
        for _ in 0..5 {
            other.take_row().unwrap();
        }
        assert!(other.take_row().unwrap_err().to_string().contains("15 rows of personal data today"));
        assert!(allowance().check(1).is_err());
        // Rows that its tag alone tells of, and not those again that were seen to pass.
        one.count(12);
        assert_eq!(role.meter.lock().rows, 17);
    }

    #[test]
    fn arrays_are_counted_in_both_formats() {
        for (text, count) in [
            ("1 2 -3", 3),
            ("Minh Khai", 1),
            ("{}", 1),
            ("{a}", 1),
            ("{a,b,c}", 3),
            ("{{a,b},{c,d}}", 4),
            ("{\"a,b\"}", 2),
            ("x", 1),
        ] {
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
