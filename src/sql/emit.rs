//! Tokens → text for the server, and text without literals for the audit log.
//!
//! In: tokens. Out: text that PostgreSQL lexes into exactly those tokens. Our own quoting, no comments, one space
//! where a space is needed.

use super::{Kind, Token, template};
use crate::names::{quote_ident, quote_literal};

/// Appends one token, with a space before it where the text needs one. Answers where in `out` it starts.
pub fn push(out: &mut String, token: &Token) -> usize {
    space(out, token);
    let start = out.len();
    if token.is_literal() {
        push_literal(out, token.kind, &token.value);
    } else {
        push_name(out, token);
    }
    start
}

/// As [`push`], with a hole in the place of a literal.
pub fn push_with_hole(out: &mut String, token: &Token) -> usize {
    space(out, token);
    let start = out.len();
    if token.is_literal() {
        template::push_hole(out, token);
    } else {
        push_name(out, token);
    }
    start
}

fn space(out: &mut String, token: &Token) {
    let tight = out.is_empty()
        || match token.kind {
            Kind::Comma | Kind::Close | Kind::CloseBracket | Kind::Semicolon => true,
            Kind::Typecast => !out.ends_with(':'),
            Kind::Dot | Kind::OpenBracket => {
                out.ends_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '"' | ')' | ']'))
            }
            Kind::Word | Kind::Quoted => {
                out.ends_with('.') && !ends_with_number(out) || out.ends_with(['(', '[']) || out.ends_with("::")
            }
            Kind::Text | Kind::National | Kind::Bits | Kind::Hex | Kind::Number | Kind::Parameter | Kind::Open => {
                out.ends_with(['(', '['])
            }
            Kind::Operator => {
                out.ends_with('(') || (&*token.value == "*" && out.ends_with('.') && !ends_with_number(out))
            }
            Kind::Colon | Kind::Assign | Kind::Arrow => false,
        };
    if !tight {
        out.push(' ');
    }
}

fn push_name(out: &mut String, token: &Token) {
    if token.kind == Kind::Quoted {
        return push_quoted(out, &token.value);
    }
    if token.kind == Kind::Parameter {
        out.push('$');
    }
    out.push_str(&token.value);
}

/// Appends a literal of this kind with this content.
pub(super) fn push_literal(out: &mut String, kind: Kind, value: &str) {
    // Backslashes are plain here: standard_conforming_strings is pinned to on.
    let before = if kind == Kind::Text {
        return out.push_str(&quote_literal(value));
    } else if kind == Kind::National {
        "N'"
    } else if kind == Kind::Bits {
        "B'"
    } else if kind == Kind::Hex {
        "X'"
    } else {
        debug_assert_eq!(kind, Kind::Number, "no literal");
        return out.push_str(value);
    };
    out.push_str(before);
    out.push_str(&value.replace('\'', "''"));
    out.push('\'');
}

/// `1.` ends with a dot that belongs to a number.
fn ends_with_number(out: &str) -> bool {
    out.bytes().rev().nth(1).is_some_and(|byte| byte.is_ascii_digit())
        && out.rsplit([' ', '(', ',', '[']).next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()))
}

/// Always quoted: a quoted name is never a keyword.
fn push_quoted(out: &mut String, name: &str) {
    out.push('"');
    for (number, part) in name.split('"').enumerate() {
        out.push_str(if number == 0 { "" } else { "\"\"" });
        out.push_str(part);
    }
    out.push('"');
}

/// The tokens as text for the server.
pub fn text(tokens: &[Token]) -> String {
    // A word is a few letters.
    let mut out = String::with_capacity(tokens.len() * 6);
    for token in tokens {
        push(&mut out, token);
    }
    out
}

/// A dotted name as text of our own: without quotes where PostgreSQL reads it back unchanged.
pub fn name(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        match token.kind {
            Kind::Quoted => out.push_str(&quote_ident(&token.value)),
            Kind::Word | Kind::Dot => out.push_str(&token.value),
            Kind::Text
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
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => return text(tokens),
        }
    }
    out
}

/// The tokens as text for the server, with holes in the places of literals.
pub fn text_with_holes(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        push_with_hole(&mut out, token);
    }
    out
}

/// Longest text without literals, in bytes.
pub const MAX_REDACTED: usize = 16 * 1024;

/// The tokens with `?` for every literal, cut at a token after [`MAX_REDACTED`] bytes.
pub fn redacted(tokens: &[Token]) -> String {
    let mut out = String::with_capacity(tokens.len().min(MAX_REDACTED / 6) * 6);
    for token in tokens {
        if out.len() > MAX_REDACTED {
            out.push_str(" …");
            break;
        }
        if token.is_literal() {
            if !out.ends_with(['(', '[']) && !out.is_empty() {
                out.push(' ');
            }
            out.push('?');
        } else {
            push(&mut out, token);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::lex::lex;
    use super::*;

    #[test]
    fn printed_tokens_lex_into_the_same_tokens() {
        for sql in [
            "SELECT 'x\\''; SELECT 2 --'",
            "select a.b, \"A\".\"select\", c.*, 1. + .5, $1::int[], x[1:2], - -1, a - (-b), f(x => 1), N'a\\b', E'a\\\\b'",
            "select 1.e, 2 . x, a*b, count(*), b[1: ::int], U&\"\\0070hone\", array[1,2]['3'::int]",
        ] {
            let Ok(tokens) = lex(sql) else { continue };
            let printed = text(&tokens);
            let again = lex(&printed).expect("lexes");
            let strip = |tokens: &[Token]| tokens.iter().map(|t| (t.kind, t.value.clone())).collect::<Vec<_>>();
            assert_eq!(strip(&tokens), strip(&again), "{sql} → {printed}");
        }
    }

    #[test]
    fn literals_leave_no_trace_in_redacted_text() {
        let tokens = lex("select * from t where a = 'secret' and b in (1, 2) and c = $1").expect("lexes");
        assert_eq!(redacted(&tokens), "select * from t where a = ? and b in (?, ?) and c = $1");
    }
}
