//! Masks for dates and times. Values outside the years 1 to 9999 (infinity, BC) become NULL: arithmetic on them may
//! fail. Times with a zone are cut in UTC, so that a client cannot move the boundaries by setting `TimeZone`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef,
    family::Family,
    keyed,
    params::{ParamDef, ParamKind, Params, integer},
    site::{Site, lit},
};
use crate::policy::compiled::SUBJECT;

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "date_year", params: &[], build: year },
    MaskDef { name: "date_month", params: &[], build: month },
    MaskDef { name: "birth_band", params: &[integer("years", 2, 50)], build: birth_band },
    MaskDef { name: "date_const", params: DATE, build: date_const },
    MaskDef { name: "date_shift_keyed", params: SHIFT, build: shift },
    MaskDef { name: "ts_hour", params: &[], build: hour },
    MaskDef { name: "ts_day", params: &[], build: day },
];

const SHIFT: &[ParamDef] = &[integer("days", 1, 3650), keyed::DOMAIN, keyed::KEY];
const DATE: &[ParamDef] = &[ParamDef { name: "date", kind: ParamKind::Text, required: false }];

fn year(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    cut(site, "year", true)
}

fn month(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    cut(site, "month", true)
}

fn hour(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    cut(site, "hour", false)
}

fn day(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    cut(site, "day", false)
}

fn cut(site: &Site<'_>, unit: &str, dates: bool) -> Result<Built, String> {
    let x = site.raw();
    let unit = lit(unit);
    let value = match site.family {
        Family::Date if dates => site.call("date_trunc", &[&unit, &format!("{x}::timestamp")]),
        Family::Timestamp => site.call("date_trunc", &[&unit, &x]),
        Family::TimestampTz => site.call("date_trunc", &[&unit, &x, "'UTC'"]),
        _ => return Err(site.misfit(if dates { "a date or timestamp column" } else { "a timestamp column" })),
    };
    Ok(Built::Cast(format!("CASE WHEN {} THEN {value} END", inside(site, "0001-01-01"))))
}

/// From `first` to the end of 9999, in UTC whatever the session's time zone.
fn inside(site: &Site<'_>, first: &str) -> String {
    let x = site.raw();
    let zone = if site.family == Family::TimestampTz { " 00:00Z" } else { "" };
    let (first, end) = (lit(&format!("{first}{zone}")), lit(&format!("10000-01-01{zone}")));
    format!("{} AND {}", site.op(&x, ">=", &first), site.op(&x, "<", &end))
}

/// The first day of a band of `years` years (default ten), counted from 1920; earlier births read 1920.
fn birth_band(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let years = params.integer("years", 10).to_string();
    let x = match site.family {
        Family::Date | Family::Timestamp => site.raw(),
        _ => return Err(site.misfit("a date or timestamp column")),
    };
    let since = site.op(&site.cast(&site.call("date_part", &["'year'", &x]), "int4"), "-", "1920");
    let since = if since.starts_with('(') { since } else { format!("({since})") };
    let start = site.op(&site.op(&site.op(&since, "/", &years), "*", &years), "+", "1920");
    let band = site.call("make_date", &[&start, "1", "1"]);
    let early = format!("{} AND {}", site.op(&x, ">=", "'0001-01-01'"), site.op(&x, "<", "'1920-01-01'"));
    let oldest = site.cast("'1920-01-01'", "date");
    let later = inside(site, "1920-01-01");
    Ok(Built::Cast(format!("CASE WHEN {later} THEN {band} WHEN {early} THEN {oldest} END")))
}

/// One date for all, 1970-01-01 unless given.
fn date_const(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let date = params.text("date").unwrap_or("1970-01-01");
    if !is_date(date) {
        return Err("date must be written as 1970-01-31".to_owned());
    }
    let value = match site.family {
        Family::Date | Family::Timestamp => lit(date),
        Family::TimestampTz => lit(&format!("{date} 00:00:00Z")),
        _ => return Err(site.misfit("a date or timestamp column")),
    };
    Ok(Built::Cast(format!("CASE WHEN {} IS NOT NULL THEN {value} END", site.raw())))
}

/// All dates of one subject by the same number of days, from `-days` to `days` (30 unless given): by the key of the subject, so
/// that intervals stay and the order of events of one person, but not of two. Who knows one true date of a subject knows all.
fn shift(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let days = params.integer("days", 30);
    let x = site.raw();
    let digest = site.keyed(params, "date_shift", &SUBJECT.to_string())?;
    let shift =
        site.cast(&format!("({})", site.op(&site.remainder(&digest, 2 * days + 1), "-", &days.to_string())), "int4");
    let interval = || site.call("make_interval", &["0", "0", "0", &shift]);
    let value = match site.family {
        Family::Date => site.op(&x, "+", &shift),
        Family::Timestamp => site.op(&x, "+", &interval()),
        // In UTC: a day is 24 hours, whatever the session's time zone.
        Family::TimestampTz => {
            let local = site.call("timezone", &["'UTC'", &x]);
            site.call("timezone", &["'UTC'", &site.op(&local, "+", &interval())])
        }
        _ => return Err(site.misfit("a date or timestamp column")),
    };
    Ok(Built::Cast(format!("CASE WHEN {} THEN {value} END", inside(site, "0001-01-01"))))
}

/// Whether `text` is a day of the calendar, `1970-01-31`.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok_and(|date| date.year() >= 1)
}

/// Whether `text` is a day, or a day and a time, with or without `Z`.
pub(super) fn is_timestamp(text: &str) -> bool {
    let plain = text.strip_suffix('Z').unwrap_or(text);
    is_date(plain) || (plain.len() >= 16 && plain.parse::<jiff::civil::DateTime>().is_ok_and(|time| time.year() >= 1))
}
