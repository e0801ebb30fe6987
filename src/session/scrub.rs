//! Stage `session`: errors and notices. In: an ErrorResponse or NoticeResponse of the server, or a [`Refusal`]. Out: what
//! a restricted role may read of it. Invariant: HINT, WHERE and internal query never pass, nor does DETAIL, of which the names of a violated key's columns are
//! left; a MESSAGE passes only when its SQLSTATE says that it names schema objects, or when it is a constant.

use bytes::BytesMut;

use super::conditions::condition;
use crate::{
    error::{Refusal, RefusalCode},
    names::{AttNum, Oid},
    rewrite::{SHOWS_MORE, STORED_MASK, shows_more},
    wire::{Malformed, backend, build},
};

/// SQLSTATEs whose messages name objects, types, settings or states, never stored values; two characters are a class.
const NAMING: &[&str] = &[
    "08", "0A000", "21000", "23", "25", "26000", "28", "34000", "3B", "3D000", "3F000", "40", "42501", "42622",
    "42701", "42702", "42703", "42704", "42710", "42712", "42723", "42725", "42803", "42804", "42809", "42830",
    "42846", "42883", "42939", "42P01", "42P02", "42P03", "42P04", "42P05", "42P06", "42P07", "42P08", "42P09",
    "42P10", "42P11", "42P12", "42P13", "42P14", "42P15", "42P16", "42P18", "42P19", "42P20", "42P21", "42P22",
    "44000", "53", "54001", "54011", "54023", "55", "57",
];

/// Those of names that were looked up and not found, which a value may have held.
const LOOKED_UP: &[&str] = &["3D000", "3F000", "42703", "42704", "42725", "42883", "42P01"];

/// Whole messages, or beginnings (`…*`), that say nothing about a value.
const CONSTANT: &[&str] = &[
    "division by zero",
    "integer out of range",
    "smallint out of range",
    "bigint out of range",
    "numeric field overflow",
    "timestamp out of range",
    "interval out of range",
    "value out of range: overflow",
    "value out of range: underflow",
    "value too long for type *",
    "LIMIT must not be negative",
    "OFFSET must not be negative",
    "syntax error at end of input",
];

/// The routine that says `table "t" does not exist, skipping` of DROP … IF EXISTS.
const SKIPS: &[u8] = b"DropErrorMsgNonExistent";

/// The routine that says "cached plan must not change result type".
const REPLAN: &[u8] = b"RevalidateCachedQuery";

/// The fields of a server's error that decide what becomes of it.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// SQLSTATE.
    pub sqlstate: String,
    /// Whether the server ends the session with it.
    pub fatal: bool,
}

/// What a server's error says.
pub(super) fn read(body: &[u8]) -> Result<Said, Malformed> {
    let mut said = Said::default();
    let mut severity: &[u8] = b"";
    for (kind, value) in backend::error_fields(body)? {
        match kind {
            b'C' => said.sqlstate = String::from_utf8_lossy(value).into_owned(),
            // The one that is never translated wins.
            b'V' => severity = value,
            b'S' if severity.is_empty() => severity = value,
            _ => {}
        }
    }
    if guarded(body)?.is_some() {
        RefusalCode::WriteBackRefused.sqlstate().clone_into(&mut said.sqlstate);
    }
    said.fatal = matches!(severity, b"FATAL" | b"PANIC");
    Ok(said)
}

/// The message of a server's error, if a restricted role may read it.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let fields = backend::error_fields(body).ok()?;
    let field = |wanted: u8| fields.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let text = |wanted: u8| field(wanted).and_then(|text| std::str::from_utf8(text).ok());
    let message = text(b'M').filter(|message| may_pass(text(b'C').unwrap_or("XX000"), message, field(b'P').is_some()));
    message.filter(|_| !raised_by_code(field(b'W'), field(b'R'), field(b'F'))).map(str::to_owned)
}

/// Appends what a restricted role may read of an error (`kind` `E`) or notice (`N`). `place` turns a position in the text
/// that the server got into one in the client's.
pub(super) fn scrub(
    out: &mut BytesMut,
    kind: u8,
    body: &[u8],
    place: impl FnOnce(usize) -> Option<usize>,
) -> Result<(), Malformed> {
    let fields = backend::error_fields(body)?;
    let field = |wanted: u8| fields.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let sqlstate = field(b'C').and_then(|code| std::str::from_utf8(code).ok()).unwrap_or("XX000");
    let message = field(b'M').and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    let replaced = match sqlstate {
        "42601" if !is_constant(message) => "syntax error".to_owned(),
        "00000" => "notice (this role is not shown its text)".to_owned(),
        _other => condition(sqlstate).replace('_', " "),
    };
    let foreign = raised_by_code(field(b'W'), field(b'R'), field(b'F'));
    // Names that the client itself has written.
    let skipped = sqlstate == "00000" && field(b'R') == Some(SKIPS);
    let passes = skipped || may_pass(sqlstate, message, field(b'P').is_some());
    let message = if !foreign && passes { message } else { &replaced };
    let position = field(b'P')
        .and_then(|sent| place(std::str::from_utf8(sent).ok()?.parse().ok()?))
        .map(|position| position.to_string());
    let key = field(b'D').and_then(|detail| std::str::from_utf8(detail).ok()).filter(|_| !foreign);
    let key = key.and_then(|detail| violated_key(sqlstate, detail));
    build::error(
        out,
        kind,
        fields.iter().filter_map(|(kind, value)| match kind {
            b'S' | b'V' | b'C' => Some((*kind, *value)),
            b's' | b't' | b'c' | b'd' | b'n' if !foreign => Some((*kind, *value)),
            // Drivers prepare a statement anew when they read this, and not the message.
            b'R' if *value == REPLAN && sqlstate == "0A000" && !foreign => Some((*kind, *value)),
            b'M' => Some((b'M', message.as_bytes())),
            b'D' => Some((b'D', key.as_ref()?.as_bytes())),
            b'P' => Some((b'P', position.as_ref()?.as_bytes())),
            _ => None,
        }),
    );
    Ok(())
}

/// The DETAIL of a violated unique or foreign key with its values left out, by which applications know the columns; none for others, and in
/// other languages than English. The values stand before the last of the words that are looked for.
fn violated_key(sqlstate: &str, detail: &str) -> Option<String> {
    let (columns, values) = detail.strip_prefix("Key (")?.split_once(")=(")?;
    let ends: &[&str] = match sqlstate {
        "23505" => &[") already exists."],
        "23503" => &[") is not present in table \"", ") is still referenced from table \""],
        _other => return None,
    };
    let end = ends.iter().filter_map(|end| values.rfind(end)).max()?;
    let end = values.get(end..)?;
    (sqlstate != "23505" || ends.contains(&end)).then(|| ["Key (", columns, ")=(***", end].concat())
}

/// Why a cast of pgscrim's own failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    /// A mask was about to be stored ([`crate::rewrite::STORED_MASK`]).
    StoredMask,
    /// What decides what the role sees was about to change ([`crate::rewrite::SHOWS_MORE`]).
    ShowsMore,
}

/// The guard and the column that the server's error is about, when a cast of pgscrim's own has failed, in whatever language. Two
/// numbers, and nothing else that the server says, are taken from it.
pub(super) fn guarded(body: &[u8]) -> Result<Option<(Guarded, Oid, AttNum)>, Malformed> {
    let fields = backend::error_fields(body)?;
    let field = |wanted: u8| fields.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let no_cast = field(b'C') == Some(b"22P02") && !raised_by_code(field(b'W'), field(b'R'), field(b'F'));
    let message = field(b'M').and_then(|text| std::str::from_utf8(text).ok()).filter(|_| no_cast).unwrap_or_default();
    let place = |sign: &str, guard: Guarded| {
        let (_, rest) = message.split_once(sign)?;
        let (relation, rest) = rest.split_once('.')?;
        let column = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((guard, Oid(relation.parse().ok()?), AttNum(column.parse().ok()?)))
    };
    Ok(place(STORED_MASK, Guarded::StoredMask).or_else(|| place(SHOWS_MORE, Guarded::ShowsMore)))
}

/// What a client is told then; `column` is its name.
pub(super) fn told(guard: Guarded, column: Option<&str>) -> Refusal {
    match guard {
        Guarded::StoredMask => would_store(column),
        Guarded::ShowsMore => match column {
            Some(column) => shows_more(&format!("another value of column {column}"), None),
            None => shows_more("another value", None),
        },
    }
}

fn would_store(column: Option<&str>) -> Refusal {
    let message = match column {
        Some(column) => format!("a masked value would be stored in column {column}"),
        None => "a masked value would be stored".to_owned(),
    };
    Refusal::new(RefusalCode::WriteBackRefused, message).with_hint(
        "The value is what this role sees of stored data, not the data; leave the column out, or let a role write it that sees the data.",
    )
}

/// Whether a function's code ran when it happened: then every word of it may have been chosen by that code (`RAISE … USING
/// ERRCODE = 'unique_violation', CONSTRAINT = phone`). The server says so in the context; COPY alone has one of its own.
fn raised_by_code(context: Option<&[u8]>, routine: Option<&[u8]>, file: Option<&[u8]>) -> bool {
    context.is_some_and(|context| !context.starts_with(b"COPY "))
        || routine == Some(b"exec_stmt_raise")
        || file == Some(b"pl_exec.c")
}

/// `placed`: the error says where in the text it is. PostgreSQL looks names up that values hold, too (`regclass(note)`), and then it does not.
fn may_pass(sqlstate: &str, message: &str, placed: bool) -> bool {
    let naming = |known: &&str| if known.len() == 2 { sqlstate.starts_with(known) } else { sqlstate == *known };
    (NAMING.iter().any(naming) && (placed || !LOOKED_UP.contains(&sqlstate))) || is_constant(message)
}

fn is_constant(message: &str) -> bool {
    CONSTANT.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => message.starts_with(start),
        None => message == *known,
    })
}

/// Appends a refusal as an ErrorResponse. `text` is what the client sent: the position is a character in it.
pub(super) fn refuse(out: &mut BytesMut, severity: &str, refusal: &Refusal, text: &str) {
    let position = refusal
        .offset
        .and_then(|offset| text.get(..usize::try_from(offset).ok()?))
        .map(|before| (before.chars().count() + 1).to_string());
    let hint = refusal.client_hint();
    let fields = [
        (b'S', Some(severity)),
        (b'V', Some(severity)),
        (b'C', Some(refusal.sqlstate())),
        (b'M', Some(refusal.message.as_str())),
        (b'H', Some(hint.as_str())),
        (b'P', position.as_deref()),
        (b'R', refusal.is_replan().then_some("RevalidateCachedQuery")),
    ];
    build::error(out, b'E', fields.into_iter().filter_map(|(kind, value)| Some((kind, value?.as_bytes()))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RefusalCode;

    fn error(fields: &[(u8, &str)]) -> Vec<u8> {
        let mut out = BytesMut::new();
        build::error(&mut out, b'E', fields.iter().map(|(kind, value)| (*kind, value.as_bytes())));
        out[5..].to_vec()
    }

    fn scrubbed(fields: &[(u8, &str)], position: bool) -> Vec<(u8, String)> {
        let mut out = BytesMut::new();
        scrub(&mut out, b'E', &error(fields), |sent| position.then_some(sent + 1)).unwrap();
        let fields = backend::error_fields(&out[5..]).unwrap();
        fields.iter().map(|(kind, value)| (*kind, String::from_utf8(value.to_vec()).unwrap())).collect()
    }

    fn pair(kind: u8, text: &str) -> (u8, String) {
        (kind, text.to_owned())
    }

    #[test]
    fn of_a_mask_that_was_to_be_stored_two_numbers_are_read() {
        let of =
            |fields: &[(u8, &str)]| guarded(&error(fields)).unwrap().map(|(_, relation, column)| (relation, column));
        let text = "invalid input syntax for type integer: \"pgs_stored_mask 16384.3\"";
        assert_eq!(of(&[(b'C', "22P02"), (b'M', text)]), Some((Oid(16384), AttNum(3))));
        assert_eq!(read(&error(&[(b'C', "22P02"), (b'M', text)])).unwrap().sqlstate, "42501");
        let other = "\"pgs_stored_mask Nguyen.0901234567\"";
        for fields in [
            [(b'C', "22P03"), (b'M', text)],
            [(b'C', "22P02"), (b'M', "\"16384.3\"")],
            [(b'C', "22P02"), (b'M', other)],
            [(b'C', "22P02"), (b'D', text)],
        ] {
            assert_eq!(of(&fields), None, "{fields:?}");
        }
        // What a function raised may say anything.
        assert_eq!(of(&[(b'C', "22P02"), (b'M', text), (b'W', "PL/pgSQL function f()")]), None);
    }

    #[test]
    fn a_failing_row_is_not_shown() {
        let shown = scrubbed(
            &[
                (b'S', "ERROR"),
                (b'C', "23514"),
                (b'M', "new row for relation \"customers\" violates check constraint \"k\""),
                (b'D', "Failing row contains (1, 0901234567)."),
                (b'H', "0901"),
                (b'W', "COPY customers, line 1: \"0901\""),
                (b'q', "0901"),
                (b'p', "3"),
                (b'P', "8"),
                (b't', "customers"),
                (b'n', "k"),
                (b'F', "x.c"),
                (b'Z', "0901"),
            ],
            false,
        );
        assert_eq!(
            shown,
            [
                pair(b'S', "ERROR"),
                pair(b'C', "23514"),
                pair(b'M', "new row for relation \"customers\" violates check constraint \"k\""),
                pair(b't', "customers"),
                pair(b'n', "k"),
            ]
        );
    }

    #[test]
    fn a_violated_key_keeps_its_columns() {
        let detail = |code, detail| {
            let shown = scrubbed(&[(b'C', code), (b'D', detail)], false);
            shown.into_iter().find(|(kind, _)| *kind == b'D').map(|(_, text)| text)
        };
        let keeps = |code, text, kept: &str| assert_eq!(detail(code, text).as_deref(), Some(kept), "{text}");
        keeps("23505", "Key (phone)=(0901) already exists.", "Key (phone)=(***) already exists.");
        keeps(
            "23505",
            "Key (lower(email::text), \"a b\")=(x)=(y, ) already exists.) already exists.",
            "Key (lower(email::text), \"a b\")=(***) already exists.",
        );
        keeps(
            "23503",
            "Key (id)=(0901) is not present in table \"0902\") is still referenced from table \"orders\".",
            "Key (id)=(***) is still referenced from table \"orders\".",
        );
        for (code, text) in [
            ("23514", "Key (phone)=(0901) already exists."),
            ("23505", "Key (phone)=(0901) is duplicated."),
            ("23P01", "Key (r)=(0901) conflicts with existing key (r)=(0902)."),
            ("23502", "Failing row contains (1, 0901)."),
            ("23505", "Schlüssel »(phone)=(0901)« existiert bereits."),
        ] {
            assert_eq!(detail(code, text), None, "{text}");
        }
    }

    #[test]
    fn what_code_raises_says_nothing() {
        let fields = |context: &'static str| {
            scrubbed(
                &[
                    (b'C', "23505"),
                    (b'M', "phone 0901 is taken"),
                    (b'W', context),
                    (b't', "0901"),
                    (b'n', "0901"),
                    (b'd', "0901"),
                    (b'c', "0901"),
                    (b's', "0901"),
                ],
                true,
            )
        };
        let shown = [pair(b'C', "23505"), pair(b'M', "unique violation")];
        assert_eq!(fields("PL/pgSQL function f() line 1 at RAISE"), shown);
        assert_eq!(fields("SQL function \"f\" statement 1\nCOPY t, line 1"), shown);
        assert_eq!(fields("COPY orders, line 1")[1].1, "phone 0901 is taken");
        let raised = scrubbed(&[(b'C', "42501"), (b'M', "0901"), (b'R', "exec_stmt_raise")], true);
        assert_eq!(raised, [pair(b'C', "42501"), pair(b'M', "insufficient privilege")]);
    }

    #[test]
    fn drivers_are_told_to_prepare_anew() {
        let said = |code, routine| {
            let fields = [(b'C', code), (b'M', "cached plan must not change result type"), (b'R', routine)];
            scrubbed(&fields, false).into_iter().any(|(kind, _)| kind == b'R')
        };
        assert!(said("0A000", "RevalidateCachedQuery"));
        assert!(!said("0A000", "0901") && !said("22P02", "RevalidateCachedQuery"));
    }

    #[test]
    fn messages_that_quote_become_conditions() {
        for (code, message, expected) in [
            ("22P02", "invalid input syntax for type integer: \"0901\"", "invalid text representation"),
            ("22003", "value \"0901\" is out of range for type integer", "numeric value out of range"),
            ("22003", "integer out of range", "integer out of range"),
            ("P0001", "phone is 0901", "raise exception"),
            ("42601", "syntax error at or near \"0901\"", "syntax error"),
            ("22001", "value too long for type character varying(5)", "value too long for type character varying(5)"),
            // A value may hold the name, as that of `note::regclass`.
            ("42P01", "relation \"0901\" does not exist", "undefined table"),
            ("42883", "function \"0901\" does not exist", "undefined function"),
            ("99999", "0901", "error"),
        ] {
            let shown = scrubbed(&[(b'C', code), (b'M', message)], true);
            assert_eq!(shown, [pair(b'C', code), pair(b'M', expected)]);
        }
        let placed = scrubbed(&[(b'C', "42P01"), (b'M', "relation \"x\" does not exist"), (b'P', "15")], true);
        assert!(placed.contains(&pair(b'M', "relation \"x\" does not exist")));
    }

    #[test]
    fn a_position_counts_characters() {
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, "no").with_hint("Do.").at(10);
        let mut out = BytesMut::new();
        refuse(&mut out, "ERROR", &refusal, "SELECT 'ế', f()");
        let fields = backend::error_fields(&out[5..]).unwrap();
        assert!(fields.contains(&(b'H', b"PGS0203: Do.".as_slice())));
        assert!(!fields.iter().any(|(kind, _)| *kind == b'P'), "10 is inside a character");
        out.clear();
        refuse(&mut out, "ERROR", &refusal.clone().at(0), "SELECT 'abcd', f()");
        let fields = backend::error_fields(&out[5..]).unwrap();
        assert!(fields.contains(&(b'P', b"11".as_slice())), "{fields:?}");
    }

    #[test]
    fn fatal_is_read_from_the_untranslated_severity() {
        assert!(read(&error(&[(b'S', "FATAL"), (b'V', "FATAL"), (b'C', "57P01")])).unwrap().fatal);
        assert!(!read(&error(&[(b'S', "LỖI"), (b'V', "ERROR"), (b'C', "57P01")])).unwrap().fatal);
        assert!(read(b"Cx").is_err());
    }
}
