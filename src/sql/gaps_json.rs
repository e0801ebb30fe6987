//! Stage `sql`: the functions of SQL/JSON (PostgreSQL 16 and 17), whose clauses the parser knows in part. In: the tokens from the
//! function's name on. Out: what the parser sees of them ([`super::gaps`]): every expression and every type, as arguments. What is kept
//! from it are words of the grammar, paths that are constants, and labels of paths and of variables in them.
//!
//! | written | the parser sees |
//! |---|---|
//! | `json_value(a, b PASSING c AS d RETURNING int DEFAULT 1 ON EMPTY)` | `json_value(a, b, c, NULL::int, 1)` |
//! | `json_object(a : b WITH UNIQUE KEYS)` | `json_object(a : b)` |
//! | `json_array(SELECT …)` | `json_array((SELECT …))` |
//! | `json_table(a, b COLUMNS (c int PATH '$.c', NESTED PATH '$.d' COLUMNS (e text)))` | `GAP(a, b, NULL::int, NULL::text)` |

use super::{
    Kind, Token,
    gaps::{COMMA, GAP, Gaps, WORD, is_call, kind, level_end, word},
};

const NULL: (Kind, &str) = (WORD, "null");
const TYPECAST: (Kind, &str) = (Kind::Typecast, "::");

/// Looks at the word `name` at `at`.
pub(super) fn find(name: &str, tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let first = at + 2;
    match name {
        "json_value" | "json_query" | "json_exists" if is_call(tokens, at) => {
            walk(tokens, first, true, false, gaps);
        }
        "json" | "json_object" | "json_objectagg" | "json_array" | "json_arrayagg" | "json_serialize"
            if is_call(tokens, at) =>
        {
            if name == "json_array" && (word(tokens, first, "select") || word(tokens, first, "with")) {
                let end = level_end(tokens, first, |index| word(tokens, index, "returning") || formats(tokens, index));
                gaps.brackets(first..end);
            }
            walk(tokens, first, false, false, gaps);
        }
        // It sees what stands before it anyway.
        "lateral" if columns_of(tokens, at + 1).is_some() => gaps.drop(at..at + 1),
        "json_table" => {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            let item = before.is_some_and(|token| {
                matches!(token.kind, Kind::Comma | Kind::Open)
                    || ["from", "join", "lateral"].iter().any(|word| token.is_word(word))
            });
            if let Some(columns) = columns_of(tokens, at).filter(|_| item) {
                table(tokens, at, columns, gaps);
            }
        }
        _other => {}
    }
}

/// The word COLUMNS of the `JSON_TABLE (` at `at`.
fn columns_of(tokens: &[Token], at: usize) -> Option<usize> {
    let open = word(tokens, at, "json_table") && kind(tokens, at + 1) == Some(Kind::Open);
    let columns = open.then(|| level_end(tokens, at + 2, |index| lists_columns(tokens, index)))?;
    lists_columns(tokens, columns).then_some(columns)
}

fn lists_columns(tokens: &[Token], at: usize) -> bool {
    word(tokens, at, "columns") && kind(tokens, at + 1) == Some(Kind::Open)
}

/// `FORMAT JSON`
fn formats(tokens: &[Token], at: usize) -> bool {
    word(tokens, at, "format") && word(tokens, at + 1, "json")
}

/// What stands from `first` on to the end of its brackets, or in a column of JSON_TABLE to its comma: the token after it. `queries` is for
/// the clauses that constructors have not.
fn walk(tokens: &[Token], first: usize, queries: bool, column: bool, gaps: &mut Gaps) -> usize {
    let is = |at: usize, name: &str| word(tokens, at, name);
    let mut at = first;
    loop {
        // To the next word of this level that is no name behind a dot.
        let dotted = |index: usize| index.checked_sub(1).is_some_and(|dot| kind(tokens, dot) == Some(Kind::Dot));
        at = level_end(tokens, at, |index| match kind(tokens, index) {
            Some(Kind::Word) => !dotted(index),
            Some(Kind::Comma) => column,
            Some(_) | None => false,
        });
        if kind(tokens, at) != Some(Kind::Word) {
            return at;
        }
        let dropped = if queries { query_clause(tokens, at) } else { None };
        if let Some(end) = dropped.or_else(|| either_clause(tokens, at)) {
            gaps.drop(at..end);
            let name = end.checked_sub(1).filter(|_| formats(tokens, at) && end == at + 4);
            gaps.labels.extend(name);
            at = end;
        } else if queries && is(at, "passing") && !column {
            gaps.replace(at..at + 1, &[COMMA]);
            at += 1;
        } else if queries && is(at, "as") && tokens.get(at + 1).is_some_and(Token::is_name) && !column {
            gaps.drop(at..at + 2);
            gaps.labels.push(at + 1);
            at += 2;
        } else if queries && is(at, "returning") {
            gaps.replace(at..at + 1, &[COMMA, NULL, TYPECAST]);
            at += 1;
        } else if queries && is(at, "default") {
            gaps.replace(at..at + 1, &[COMMA]);
            at += 1;
        } else if column && (is(at, "path") && kind(tokens, at + 1) == Some(Kind::Text)) {
            gaps.drop(at..at + 2);
            at += 2;
        } else if column && is(at, "exists") {
            gaps.drop(at..at + 1);
            at += 1;
        } else {
            at += 1;
        }
    }
}

/// Clauses of constructors and of queries, which name nothing: where the one at `at` ends.
fn either_clause(tokens: &[Token], at: usize) -> Option<usize> {
    let is = |at: usize, name: &str| word(tokens, at, name);
    if formats(tokens, at) {
        let encoding = is(at + 2, "encoding") && tokens.get(at + 3).is_some_and(Token::is_name);
        return Some(at + if encoding { 4 } else { 2 });
    }
    let unique = (is(at, "with") || is(at, "without")) && is(at + 1, "unique");
    unique.then(|| at + 2 + usize::from(is(at + 2, "keys")))
}

/// Clauses of queries, which name nothing: where the one at `at` ends.
fn query_clause(tokens: &[Token], at: usize) -> Option<usize> {
    let is = |at: usize, name: &str| word(tokens, at, name);
    if is(at, "with") || is(at, "without") {
        let mut wrapper = at + 1;
        for words in [["conditional", "unconditional"], ["array", "array"]] {
            wrapper += usize::from(words.iter().any(|word| is(wrapper, word)));
        }
        return is(wrapper, "wrapper").then_some(wrapper + 1);
    }
    if (is(at, "keep") || is(at, "omit")) && is(at + 1, "quotes") {
        let scalar = is(at + 2, "on") && is(at + 3, "scalar") && is(at + 4, "string");
        return Some(at + if scalar { 5 } else { 2 });
    }
    let happens = |at: usize| is(at, "on") && (is(at + 1, "empty") || is(at + 1, "error"));
    if happens(at) {
        return Some(at + 2);
    }
    let behaves = ["error", "null", "true", "false", "unknown", "empty"].iter().any(|word| is(at, word));
    let of = usize::from(is(at, "empty") && (is(at + 1, "array") || is(at + 1, "object")));
    (behaves && happens(at + 1 + of)).then_some(at + 3 + of)
}

/// `JSON_TABLE (…)`, whose word COLUMNS stands at `columns`.
fn table(tokens: &[Token], at: usize, columns: usize, gaps: &mut Gaps) {
    gaps.replace(at..at + 1, &[(WORD, GAP)]);
    walk(tokens.get(..columns).unwrap_or(tokens), at + 2, true, false, gaps);
    gaps.replace(columns..columns + 2, &[COMMA]);
    let close = list(tokens, columns + 2, &mut Some(gaps), &mut Vec::new());
    gaps.drop(close..close + 1);
    walk(tokens, close + 1, true, false, gaps);
}

/// The tokens of the names of the columns of the JSON_TABLE at `at`, in PostgreSQL's order: those of a level stand before those of the
/// levels in it.
pub fn json_columns(tokens: &[Token], at: usize) -> Option<Vec<usize>> {
    let columns = columns_of(tokens, at)?;
    let mut names = Vec::new();
    list(tokens, columns + 2, &mut None, &mut names);
    Some(names)
}

/// The columns of one level from `first` on: the bracket that closes it.
fn list(tokens: &[Token], first: usize, gaps: &mut Option<&mut Gaps>, names: &mut Vec<usize>) -> usize {
    let mut inner = Vec::new();
    let mut at = first;
    loop {
        if let Some(open) = nested(tokens, at, gaps) {
            let mut found = Vec::new();
            // Brackets nest so deep only as the parser allows.
            let close = list(tokens, open + 1, gaps, &mut found);
            inner.extend(found);
            if let Some(gaps) = gaps {
                gaps.drop(at..open + 1);
                gaps.drop(close..close + 1);
            }
            at = close + 1;
        } else {
            names.push(at);
            let ordinal = word(tokens, at + 1, "for") && word(tokens, at + 2, "ordinality");
            let mut none = Gaps::default();
            let gaps = gaps.as_deref_mut().unwrap_or(&mut none);
            if ordinal {
                gaps.replace(at..at + 3, &[NULL]);
            } else {
                gaps.replace(at..at + 1, &[NULL, TYPECAST]);
            }
            // The first word behind the name is the type's.
            at = walk(tokens, at + if ordinal { 3 } else { 2 }, true, true, gaps);
        }
        if kind(tokens, at) != Some(Kind::Comma) {
            names.append(&mut inner);
            return at;
        }
        at += 1;
    }
}

/// `NESTED [PATH] 'path' [AS label] COLUMNS (` at `at`: its bracket.
fn nested(tokens: &[Token], at: usize, gaps: &mut Option<&mut Gaps>) -> Option<usize> {
    let text = at + 1 + usize::from(word(tokens, at + 1, "path"));
    if !word(tokens, at, "nested") || kind(tokens, text) != Some(Kind::Text) {
        return None;
    }
    let labelled = word(tokens, text + 1, "as") && tokens.get(text + 2).is_some_and(Token::is_name);
    let columns = text + if labelled { 3 } else { 1 };
    if let Some(gaps) = gaps.as_deref_mut().filter(|_| labelled) {
        gaps.labels.push(text + 2);
    }
    lists_columns(tokens, columns).then_some(columns + 1)
}
