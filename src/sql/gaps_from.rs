//! Of [`super::gaps`]: functions and joins in FROM, and VALUES behind ANY.

use super::{
    Kind, Token,
    gaps::{Gaps, WORD, kind, level_end, names, word},
};

/// `ROWS FROM (f(…)`, and not a column of that name before a sub-select or a join.
pub(super) fn rows_from(tokens: &[Token], at: usize) -> bool {
    if !(word(tokens, at + 1, "from") && kind(tokens, at + 2) == Some(Kind::Open)) {
        return false;
    }
    let mut name = at + 3;
    while kind(tokens, name + 1) == Some(Kind::Dot) {
        name += 2;
    }
    let called = tokens.get(name).is_some_and(names) && kind(tokens, name + 1) == Some(Kind::Open);
    let close = level_end(tokens, name + 2, |_| false);
    called && matches!(kind(tokens, close + 1), Some(Kind::Comma | Kind::Close))
}

/// Whether AS at `at` stands between a function in FROM and the definitions of its columns, without a name for the whole:
/// `FROM jsonb_to_record(…) AS (a int, b text)`. What stands in the brackets of a WITH query is a statement.
pub(super) fn defines_columns(tokens: &[Token], at: usize) -> bool {
    let called = at.checked_sub(1).is_some_and(|before| kind(tokens, before) == Some(Kind::Close));
    let statement = ["select", "with", "values", "table", "insert", "update", "delete", "merge"];
    called
        && kind(tokens, at + 1) == Some(Kind::Open)
        && tokens.get(at + 2).is_some_and(Token::is_name)
        && !statement.iter().any(|first| word(tokens, at + 2, first))
        && tokens.get(at + 3).is_some_and(Token::is_name)
}

/// `ANY (VALUES (a), (b))`: the rows as queries, which depend on the same. With ORDER BY the columns would need their names.
pub(super) fn values_of_any(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let before = |name: &str| at.checked_sub(1).is_some_and(|before| word(tokens, before, name));
    let united = ["union", "intersect", "except"].iter().any(|name| before(name));
    if united || !(kind(tokens, at + 1) == Some(Kind::Open) && word(tokens, at + 2, "values")) {
        return;
    }
    let mut rows = Vec::new();
    let mut row = at + 3;
    while kind(tokens, row) == Some(Kind::Open) {
        let close = level_end(tokens, row + 1, |_| false);
        rows.push((row, close));
        row = close + if kind(tokens, close + 1) == Some(Kind::Comma) { 2 } else { 1 };
    }
    if word(tokens, row, "order") {
        return;
    }
    let mut shown: &[(Kind, &'static str)] = &[(WORD, "select")];
    for (open, close) in rows {
        // VALUES, or the comma before the row.
        gaps.replace(open - 1..open + 1, shown);
        gaps.drop(close..close + 1);
        shown = &[(WORD, "union"), (WORD, "all"), (WORD, "select")];
    }
}

/// How far behind a join its condition is looked for, in tokens: each join looks.
const MOST_JOINED: usize = 1000;

/// `a JOIN b CROSS JOIN c ON d`, NATURAL JOIN too: the parser reads the condition of the first join right behind its table, unless that is
/// another join with a condition.
pub(super) fn joins_crossed(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let is = |at: usize, words: &[&str]| words.iter().any(|name| word(tokens, at, name));
    let kinds = ["left", "right", "full", "inner", "outer"];
    let conditional = |join: usize| {
        let before = (0..join).rev().take(3).find(|before| !is(*before, &kinds));
        before.is_none_or(|before| !is(before, &["cross", "natural"]))
    };
    let ends = |index: usize| {
        index > at + MOST_JOINED
            || matches!(kind(tokens, index), Some(Kind::Comma | Kind::Semicolon))
            || is(
                index,
                &["on", "using", "join", "cross", "natural", "where", "group", "having", "window", "order", "limit"],
            )
            || is(index, &["offset", "fetch", "for", "union", "intersect", "except", "returning", "when", "set"])
    };
    let mut next = level_end(tokens, at + 1, ends);
    if !conditional(at) || !is(next, &["cross", "natural"]) {
        return;
    }
    let mut wanting = 1_usize;
    loop {
        if is(next, &["on"]) || (is(next, &["using"]) && kind(tokens, next + 1) == Some(Kind::Open)) {
            wanting -= 1;
            if wanting == 0 {
                return gaps.brackets(at + 1..next);
            }
        } else if is(next, &["join"]) {
            wanting += usize::from(conditional(next));
        } else if !is(next, &["cross", "natural"]) {
            return;
        }
        next = level_end(tokens, next + 1, ends);
    }
}
