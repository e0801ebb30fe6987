//! Forms that the parser does not know, written in ones that it does and that mean the same to PostgreSQL.
//!
//! In: the tokens of one query or data modification. Out: the same tokens, or others with the same places in the
//! client's text. What is sent is printed from the result, so that PostgreSQL reads what was analysed.
//!
//! | written | as |
//! |---|---|
//! | `TABLE name` | `SELECT * FROM name` |
//! | `a OPERATOR(pg_catalog.=) ANY (…)` | `a = ANY (…)` |
//! | `FOR UPDATE OF a, b` | `FOR UPDATE OF a FOR UPDATE OF b` |

use std::{borrow::Cow, ops::Range};

use super::{
    Kind, Nesting, Token,
    keywords::{Category, category},
};

/// Where the query of `CREATE [TEMP | UNLOGGED] TABLE … AS` or `CREATE MATERIALIZED VIEW … AS` begins: these run it.
pub fn created_from(tokens: &[Token]) -> Option<usize> {
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(word));
    let kinds = ["temp", "temporary", "local", "global", "unlogged", "materialized"];
    let kind = (1..4).find(|at| !kinds.iter().any(|kind| word(*at, kind)))?;
    if !word(0, "create") || !(word(kind, "table") || (word(kind, "view") && word(kind - 1, "materialized"))) {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(kind) {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays if depth == 0 && token.is_word("as") => {
                // AS EXECUTE runs a statement that was prepared.
                return (!word(at + 1, "execute")).then_some(at + 1);
            }
            Nesting::Stays => {}
        }
    }
    None
}

/// The token INTO of a query, outside brackets.
pub fn into(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        depth == 0 && token.is_word("into")
    })
}

/// `SELECT … INTO [TEMP | UNLOGGED] [TABLE] name …` without its INTO; none without one, or where it stands elsewhere than between the
/// select list and the next clause.
pub fn without_into(tokens: &[Token]) -> Option<Vec<Token>> {
    let into = into(tokens)?;
    let words = ["temporary", "temp", "local", "global", "unlogged", "table"];
    let mut end = into + 1;
    while tokens.get(end).is_some_and(|token| words.iter().any(|word| token.is_word(word))) {
        end += 1;
    }
    while tokens.get(end).is_some_and(Token::is_name) {
        end += 1;
        if tokens.get(end).is_none_or(|token| token.kind != Kind::Dot) {
            break;
        }
        end += 1;
    }
    let (before, after) = (tokens.get(..into)?, tokens.get(end..)?);
    let in_place = after.first().is_none_or(|next| next.kind == Kind::Semicolon || begins_clause(next));
    (in_place && !has_from(before)).then(|| [before, after].concat())
}

fn begins_clause(token: &Token) -> bool {
    let clauses = [
        "from",
        "where",
        "group",
        "having",
        "window",
        "union",
        "intersect",
        "except",
        "order",
        "limit",
        "offset",
        "fetch",
        "for",
    ];
    clauses.iter().any(|clause| token.is_word(clause))
}

/// Whether the last query that begins in these tokens, outside brackets, has its FROM.
fn has_from(tokens: &[Token]) -> bool {
    let (mut depth, mut found, mut distinct) = (0_usize, false, false);
    for token in tokens {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays if depth == 0 && token.is_word("select") => found = false,
            // `a IS DISTINCT FROM b`
            Nesting::Stays if depth == 0 && token.is_word("from") => found |= !distinct,
            Nesting::Stays => {}
        }
        distinct = token.is_word("distinct");
    }
    found
}

/// Rewrites the forms of the table above.
pub fn plain(tokens: &[Token]) -> Cow<'_, [Token]> {
    let concerned =
        (0..tokens.len()).any(|at| is_table_command(tokens, at) || quantified_operator(tokens, at).is_some());
    let locks = further_locks(tokens);
    let concerned = concerned || !locks.is_empty();
    let mut locks = locks.into_iter().peekable();
    if !concerned {
        return Cow::Borrowed(tokens);
    }
    let mut out = Vec::with_capacity(tokens.len() + 4);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if is_table_command(tokens, at) {
            let word =
                |kind: Kind, value: &str| Token { kind, value: value.into(), start: token.start, end: token.end };
            out.extend([word(Kind::Word, "select"), word(Kind::Operator, "*"), word(Kind::Word, "from")]);
            at += 1;
        } else if let Some(operator) = quantified_operator(tokens, at) {
            out.push(Token { start: token.start, end: token.end, ..operator.clone() });
            at += 6;
        } else if let Some((_, wait, clause)) = locks.next_if(|(comma, ..)| *comma == at) {
            let words = tokens.get(wait).into_iter().chain(tokens.get(clause)).flatten();
            out.extend(words.map(|word| Token { start: token.start, end: token.end, ..word.clone() }));
            at += 1;
        } else {
            out.push(token.clone());
            at += 1;
        }
    }
    Cow::Owned(out)
}

/// `TABLE` where a query begins, before a name.
fn is_table_command(tokens: &[Token], at: usize) -> bool {
    let begins = match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        None => true,
        Some(before) => {
            before.kind == Kind::Open
                || ["union", "intersect", "except", "all", "distinct"].iter().any(|word| before.is_word(word))
        }
    };
    begins && tokens.get(at).is_some_and(|token| token.is_word("table")) && tokens.get(at + 1).is_some_and(names)
}

/// The operator of `OPERATOR(pg_catalog.op) ANY`. As the plain operator may bind less tightly on its left, only a column
/// that a whole condition begins with may stand there.
fn quantified_operator(tokens: &[Token], at: usize) -> Option<&Token> {
    let [word, open, schema, dot, operator, close, quantifier] = tokens.get(at..at + 7)? else { return None };
    let is_form = word.is_word("operator")
        && open.kind == Kind::Open
        && schema.is_word("pg_catalog")
        && dot.kind == Kind::Dot
        && operator.kind == Kind::Operator
        && close.kind == Kind::Close
        && ["any", "all", "some"].iter().any(|word| quantifier.is_word(word));
    let before = |back: usize| at.checked_sub(back).and_then(|index| tokens.get(index));
    let column =
        if before(2)?.kind == Kind::Dot { before(3)?.is_name() && before(1)?.is_name() } else { names(before(1)?) };
    let ahead = if before(2)?.kind == Kind::Dot { before(4)? } else { before(2)? };
    let begins = ahead.kind == Kind::Open || ["where", "and", "or", "on"].iter().any(|word| ahead.is_word(word));
    (is_form && column && begins).then_some(operator)
}

/// The commas of `FOR UPDATE OF a, b NOWAIT`, in order, each with what makes `b` a clause of its own: `NOWAIT` and
/// `FOR UPDATE OF`.
fn further_locks(tokens: &[Token]) -> Vec<(usize, Range<usize>, Range<usize>)> {
    let comma = |at: usize| tokens.get(at).is_some_and(|token| token.kind == Kind::Comma);
    let name = |at: usize| tokens.get(at).is_some_and(names);
    let word =
        |at: usize, words: &[&str]| tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)));
    let mut found = Vec::new();
    for of in (0..tokens.len()).filter(|of| word(*of, &["of"]) && name(of + 1) && comma(of + 2)) {
        // FOR [NO KEY | KEY] {UPDATE | SHARE} OF
        let Some(start) = (2..=4).find_map(|back| of.checked_sub(back).filter(|at| word(*at, &["for"]))) else {
            continue;
        };
        let strength = tokens.get(start + 1..of).unwrap_or(&[]);
        if !strength.iter().all(|token| ["no", "key", "update", "share"].iter().any(|word| token.is_word(word))) {
            continue;
        }
        let mut end = of + 2;
        while comma(end) && name(end + 1) {
            end += 2;
        }
        let wait = match (word(end, &["nowait"]), word(end, &["skip"]) && word(end + 1, &["locked"])) {
            (true, _) => end..end + 1,
            (false, true) => end..end + 2,
            (false, false) => end..end,
        };
        found.extend((of + 2..end).step_by(2).map(|comma| (comma, wait.clone(), start..of + 1)));
    }
    found
}

/// Whether a token can name a relation.
fn names(token: &Token) -> bool {
    match token.kind {
        Kind::Quoted => true,
        Kind::Word => !matches!(category(&token.value), Some(Category::Reserved)) || token.is_word("only"),
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
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::sql::{emit, lex};

    #[test]
    fn forms_are_written_plainly() {
        for (written, plainly) in [
            ("TABLE a", "select * from a"),
            ("TABLE ONLY s.a", "select * from only s.a"),
            ("(TABLE a) UNION ALL TABLE b", "(select * from a) union all select * from b"),
            ("SELECT (c).* FROM c", "select (c).* from c"),
            ("SELECT 1 FOR UPDATE OF a, b", "select 1 for update of a for update of b"),
            (
                "SELECT 1 FOR NO KEY UPDATE OF a, b, \"c\" SKIP LOCKED FOR SHARE OF d, e NOWAIT",
                "select 1 for no key update of a skip locked for no key update of b skip locked for no key update of \"c\" \
                 skip locked for share of d nowait for share of e nowait",
            ),
            ("SELECT a, b FROM c, d FOR UPDATE", "select a, b from c, d for update"),
            ("SELECT 1 AS table", "select 1 as table"),
            ("SELECT a AS table FROM b", "select a as table from b"),
            ("SELECT (c).x FROM c", "select (c).x from c"),
            ("SELECT f(c).* FROM c", "select f (c).* from c"),
            ("SELECT 1 WHERE c.x OPERATOR(pg_catalog.=) ANY (array[1])", "select 1 where c.x = any (array[1])"),
            (
                "SELECT 1 WHERE c.x LIKE d.x OPERATOR(pg_catalog.=) ANY (e)",
                "select 1 where c.x like d.x operator (pg_catalog.=) any (e)",
            ),
            ("SELECT 1 WHERE c.x OPERATOR(s.=) ANY (e)", "select 1 where c.x operator (s.=) any (e)"),
        ] {
            let tokens = lex::lex(written).unwrap();
            let printed = emit::text(&plain(&tokens));
            let expected = emit::text(&lex::lex(plainly).unwrap());
            assert_eq!(printed, expected, "{written}");
        }
    }
}
