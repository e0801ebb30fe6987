//! Findings about conditions of the rules that mean what the settings of the client's session say. In: their texts. Out: findings. A condition is
//! looked at word by word; one that is not found may still follow a setting, through a function or a view.

use std::collections::BTreeSet;

use super::{FOLLOWS_SETTINGS, Pass};
use crate::{
    cli::output::Spot,
    sql::{Kind, Reads, Token, lex::lex},
};

/// Words whose values follow the time zone, the date style or the language of the session.
const FOLLOWING: &[&str] = &[
    "age",
    "current_date",
    "current_time",
    "date_part",
    "date_trunc",
    "extract",
    "localtime",
    "localtimestamp",
    "to_char",
    "to_date",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
];

pub(super) fn find(pass: &mut Pass<'_>) {
    let rules = pass.rules;
    let mut seen = BTreeSet::new();
    for (origin, what, text) in rules.conditions() {
        let Ok(tokens) = lex(text) else { continue };
        let named = tokens.iter().enumerate().filter_map(|(at, token)| following(&tokens, at, token));
        let named: BTreeSet<String> = named.collect();
        if named.is_empty() || !seen.insert((origin.clone(), named.clone())) {
            continue;
        }
        let named = named.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!(
            "reads {named}, which may follow the time zone, the date style or the language that the client sets. Write moments with their zone \
             ('2026-01-05 00:00+07'), dates as 2026-01-05, now() instead of today, and AT TIME ZONE where a day is meant."
        );
        pass.add(FOLLOWS_SETTINGS, &what, message, Spot::of_origin(&origin, pass.files));
    }
}

/// What at a token may follow a setting.
fn following(tokens: &[Token], at: usize, token: &Token) -> Option<String> {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    match token.kind {
        Kind::Word if before.is_none_or(|before| before.kind != Kind::Dot || is_catalog(tokens, at)) => {
            // `age`, `extract` and the like may be columns.
            let called = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Open);
            let keyword = token.name().starts_with("current_") || token.name().starts_with("local");
            (FOLLOWING.contains(&token.name()) && (called || keyword)).then(|| token.name().to_owned())
        }
        Kind::Text => {
            let text = token.literal(&mut Reads::default())?;
            let slashed = text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_digit() || b"/.".contains(&byte));
            let parts = text.split(['/', '.']).count();
            let style = slashed && parts == 3;
            let iso = text.get(..10).is_some_and(is_iso_date);
            let zoned = text.get(10..).is_some_and(|time| time.contains(['+', 'Z']) || time.contains('-'));
            let timed = text.len() > 10 && text.get(10..).is_some_and(|time| time.contains(':'));
            (style || (iso && timed && !zoned)).then(|| format!("'{text}'"))
        }
        Kind::Word
        | Kind::Quoted
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Operator
        | Kind::Open
        | Kind::Close
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Comma
        | Kind::Semicolon
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => None,
    }
}

/// Whether `pg_catalog.` stands before the token.
fn is_catalog(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(2).and_then(|schema| tokens.get(schema)).is_some_and(|schema| schema.name() == "pg_catalog")
}

fn is_iso_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_setting_is_named() {
        let found = |text: &str| -> Vec<String> {
            let tokens = lex(text).unwrap_or_default();
            tokens.iter().enumerate().filter_map(|(at, token)| following(&tokens, at, token)).collect()
        };
        assert_eq!(
            found("seen >= current_date AND pg_catalog.to_char(seen, 'DD') = '01'"),
            ["current_date", "to_char"]
        );
        assert_eq!(found("seen > '01/02/2026' OR seen > '2026-01-05 10:00'"), ["'01/02/2026'", "'2026-01-05 10:00'"]);
        for quiet in [
            "seen > now()",
            "seen > '2026-01-05 00:00+07'",
            "day > '2026-01-05'",
            "c.age > 18",
            "kind = '1.2.3.4'",
            "at = 'Z'",
        ] {
            assert_eq!(found(quiet), Vec::<String>::new(), "{quiet}");
        }
    }
}
