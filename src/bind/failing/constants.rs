//! Constants by whose content an expression fails on no value.

/// Units of an interval, and how many digits their number may have: all that can be taken from or added to a moment of these millennia.
const UNITS: &[(&str, usize)] =
    &[("second", 6), ("minute", 6), ("hour", 6), ("day", 4), ("week", 4), ("month", 4), ("year", 3)];

/// What every moment can be cut off to.
const TRUNCATED: &[&str] =
    &["second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century"];

/// What a constant must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A pattern of LIKE that does not end with the character that escapes the next.
    Pattern,
    /// A number of units: `30 days`.
    Interval,
    /// A number of days.
    Days,
    /// A date of these millennia, with or without a time: `2026-01-01 00:00:00+07`.
    Moment,
    /// What a moment is cut off to.
    Unit,
    /// `1`, or `0`.
    One,
}

impl Content {
    /// Whether a constant is like that.
    pub fn holds(self, text: &str) -> bool {
        let few = |digits: &str, most: usize| {
            !digits.is_empty() && digits.len() <= most && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        match self {
            Self::Pattern => {
                let behind = text.len() - text.trim_end_matches('\\').len();
                behind.is_multiple_of(2)
            }
            Self::Days => few(text, 5),
            Self::Unit => TRUNCATED.contains(&text),
            Self::One => text == "1" || text == "0",
            Self::Moment => {
                let (date, time) = text.split_at_checked(10).unwrap_or((text, ""));
                let digits =
                    |part: Option<&str>, count: usize| part.is_some_and(|part| part.len() == count && few(part, count));
                let mut parts = date.splitn(3, '-');
                let is_date = digits(parts.next(), 4) && digits(parts.next(), 2) && digits(parts.next(), 2);
                let is_time = |byte: u8| byte.is_ascii_digit() || b" T:.+-Z".contains(&byte);
                is_date && !date.starts_with("0000") && time.bytes().all(is_time)
            }
            Self::Interval => text.split_once(' ').is_some_and(|(number, unit)| {
                let unit = unit.strip_suffix('s').unwrap_or(unit);
                UNITS.iter().any(|(known, digits)| *known == unit && few(number, *digits))
            }),
        }
    }
}
