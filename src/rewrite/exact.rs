//! `search = "exact"`: comparisons of a column with constants, recognised on the tokens.

use std::ops::Range;

use super::{Job, scope::compares_safely};
use crate::{
    bind::Reference,
    policy::{ColumnPolicy, Search, Treatment},
    sql::{Kind, Nesting, Token, command},
};

/// Types before a string that make it a constant of them (`varchar '…'`).
const TEXT_TYPES: &[&str] = &["text", "varchar", "bpchar", "char", "date", "timestamp", "timestamptz", "uuid"];

/// The comparison around a reference that may see the stored value: by the rules, or because the role sees the value itself
/// wherever the gate of the column is open. There the gate makes NULL of a value and `false` of a comparison, so the
/// comparison must stand where both mean the same.
pub fn searched(job: &Job<'_>, reference: &Reference, rule: &ColumnPolicy) -> Option<Range<usize>> {
    if rule.treatment == Treatment::Refuse {
        return None;
    }
    let range = comparison(job, reference)?;
    let behind_gate = || {
        rule.search == Search::Masked
            && rule.gate.as_ref().is_some_and(|gate| gate.clear)
            && fails_on_no_value(job, reference, range.clone())
            && decides_alone(job.tokens, range.clone())
    };
    (rule.search == Search::Exact || behind_gate()).then_some(range)
}

/// Whether comparing the stored value cannot fail: no cast chooses another type for it. The type of a parameter is the client's
/// to say, and a bigint is cast where that is oid.
fn fails_on_no_value(job: &Job<'_>, reference: &Reference, range: Range<usize>) -> bool {
    let column = job.bound.relations.get(reference.relation).and_then(|used| job.catalog.relation(used.oid));
    let column = column.zip(reference.column).and_then(|(data, position)| data.columns.get(position));
    let tokens = job.tokens.get(range).unwrap_or(&[]);
    let chooses = |token: &Token| token.kind == Kind::Typecast || token.is_word("cast") || token.is_word("array");
    let typed = tokens.windows(2).any(|pair| {
        matches!(pair, [name, text] if matches!(name.kind, Kind::Word | Kind::Quoted) && text.kind == Kind::Text)
    });
    let plain = !typed && !tokens.iter().any(chooses);
    let parameter = tokens.iter().any(|token| token.kind == Kind::Parameter);
    column.is_some_and(|column| compares_safely(column) && !(parameter && column.type_name == "int8")) && plain
}

/// Whether NULL and false mean the same at this place: only AND, OR and brackets stand between it and WHERE or ON.
fn decides_alone(tokens: &[Token], mut range: Range<usize>) -> bool {
    // Each round leaves one pair of brackets; their number is limited by the depth limit of statements.
    loop {
        let mut depth = 0_usize;
        let mut open = None;
        for (at, token) in tokens.get(..range.start).unwrap_or(&[]).iter().enumerate().rev() {
            match token.kind.nesting() {
                Nesting::Closes => depth += 1,
                Nesting::Opens if depth == 0 => {
                    open = Some(at);
                    break;
                }
                Nesting::Opens => depth -= 1,
                Nesting::Stays if depth > 0 => {}
                // Behind a dot it is a label.
                Nesting::Stays
                    if at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|t| t.kind == Kind::Dot) => {}
                Nesting::Stays => {
                    if token.is_word("where") || token.is_word("on") {
                        return true;
                    }
                    if ["not", "case", "when", "then", "else", "is", "select", "having", "set", "returning"]
                        .iter()
                        .any(|word| token.is_word(word) && !tells_null(tokens, at))
                    {
                        return false;
                    }
                }
            }
        }
        let Some(open) = open else { return false };
        let close = command::after_brackets(tokens, open);
        let before = open.checked_sub(1).and_then(|at| tokens.get(at));
        let joins = before.is_some_and(|before| {
            before.kind == Kind::Open || ["where", "and", "or", "on"].iter().any(|word| before.is_word(word))
        });
        if !joins || !ends(tokens, close) {
            return false;
        }
        range = open..close;
    }
}

/// `IS [NOT] NULL` at this place: it ends a condition of its own.
fn tells_null(tokens: &[Token], at: usize) -> bool {
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(word));
    (is(at, "is") && (is(at + 1, "null") || (is(at + 1, "not") && is(at + 2, "null"))))
        || (is(at, "not") && is(at + 1, "null") && at.checked_sub(1).is_some_and(|before| is(before, "is")))
}

/// The tokens of `column = constant`, `constant = column`, `column IN (constants)`, `column = ANY (constant)` or
/// `upper(column) = upper(constant)` around a reference, when the comparison stands on its own there.
pub(super) fn comparison(job: &Job<'_>, reference: &Reference) -> Option<Range<usize>> {
    let tokens = job.tokens;
    let Range { mut start, mut end } = reference.tokens.clone();
    // `(column)`, not the bracket of a call.
    while let Some(open) = start.checked_sub(1)
        && tokens.get(open).is_some_and(|token| token.kind == Kind::Open)
        && tokens.get(end).is_some_and(|token| token.kind == Kind::Close)
        && begins(tokens, open)
    {
        (start, end) = (open, end + 1);
    }
    let range = forward(tokens, end)
        .map(|end| start..end)
        .or_else(|| backward(tokens, start).map(|start| start..end))
        .or_else(|| folded(job, reference, start..end))?;
    // `position(a IN (b))` is no comparison.
    let called = range.start.checked_sub(2).and_then(|at| tokens.get(at)).is_some_and(|name| name.is_word("position"));
    (!called && begins(tokens, range.start) && ends(tokens, range.end)).then_some(range)
}

/// Behind the column: the token after the comparison.
fn forward(tokens: &[Token], at: usize) -> Option<usize> {
    let first = tokens.get(at)?;
    if first.is_word("in") {
        return constants(tokens, at + 1);
    }
    if !first.is_operator("=") {
        return None;
    }
    let any = tokens.get(at + 1).is_some_and(|token| token.is_word("any") || token.is_word("some"));
    if any {
        let open = tokens.get(at + 2).filter(|token| token.kind == Kind::Open);
        let end = array(tokens, at + 3).or_else(|| constant(tokens, at + 3)).filter(|_| open.is_some())?;
        return tokens.get(end).filter(|token| token.kind == Kind::Close).map(|_| end + 1);
    }
    constant(tokens, at + 1)
}

/// Before the column: `constant =`.
fn backward(tokens: &[Token], at: usize) -> Option<usize> {
    let equals = at.checked_sub(1)?;
    let value = at.checked_sub(2)?;
    let is_value = tokens.get(value).is_some_and(|token| token.is_literal() || token.kind == Kind::Parameter);
    (tokens.get(equals)?.is_operator("=") && is_value).then_some(value)
}

/// `upper(column) = upper(constant)`, also with `lower`, with `column::text`, and with a plain constant: how Django and
/// others look up an address whatever its case.
///
/// Of a range `upper` is a bound, and would tell a part of the value: only texts are folded.
fn folded(job: &Job<'_>, reference: &Reference, column: Range<usize>) -> Option<Range<usize>> {
    let tokens = job.tokens;
    let used = job.bound.relations.get(reference.relation)?;
    let stored = job.catalog.relation(used.oid)?.columns.get(reference.column?)?;
    let is = |at: usize, kind: Kind| tokens.get(at).is_some_and(|token| token.kind == kind);
    let mut end = column.end;
    if is(end, Kind::Typecast) {
        tokens.get(end + 1).filter(|token| token.is_word("text"))?;
        // A user's type or function of that name may be another.
        job.catalog.types_named("text").next().is_none().then_some(())?;
        end += 2;
    } else if !matches!(stored.type_name.as_str(), "text" | "varchar" | "bpchar" | "citext") {
        return None;
    }
    let start = column.start.checked_sub(2)?;
    let name = tokens.get(start).filter(|token| token.is_word("upper") || token.is_word("lower"))?;
    job.catalog.functions_named(name.name()).next().is_none().then_some(())?;
    if !is(start + 1, Kind::Open) || !is(end, Kind::Close) {
        return None;
    }
    tokens.get(end + 1).filter(|token| token.is_operator("="))?;
    let value = end + 2;
    if tokens.get(value).is_some_and(|token| token.is_word(name.name())) && is(value + 1, Kind::Open) {
        let close = constant(tokens, value + 2)?;
        return is(close, Kind::Close).then_some(start..close + 1);
    }
    constant(tokens, value).map(|end| start..end)
}

/// `( constant, … )`
fn constants(tokens: &[Token], open: usize) -> Option<usize> {
    if tokens.get(open)?.kind != Kind::Open {
        return None;
    }
    let mut at = constant(tokens, open + 1)?;
    loop {
        let next = tokens.get(at)?;
        if next.kind == Kind::Close {
            return Some(at + 1);
        }
        if next.kind != Kind::Comma {
            return None;
        }
        at = constant(tokens, at + 1)?;
    }
}

/// `ARRAY[constant, …]`, with casts: the token after it.
fn array(tokens: &[Token], at: usize) -> Option<usize> {
    let is = |at: usize, kind: Kind| tokens.get(at).is_some_and(|token| token.kind == kind);
    if !tokens.get(at)?.is_word("array") || !is(at + 1, Kind::OpenBracket) {
        return None;
    }
    let mut at = constant(tokens, at + 2)?;
    while is(at, Kind::Comma) {
        at = constant(tokens, at + 1)?;
    }
    is(at, Kind::CloseBracket).then_some(())?;
    casts(tokens, at + 1)
}

/// A literal or parameter, also in brackets, `CAST(… AS type)` or with a type before it, with casts to types named by one word:
/// the token after it.
fn constant(tokens: &[Token], at: usize) -> Option<usize> {
    let first = tokens.get(at)?;
    let is = |at: usize, kind: Kind| tokens.get(at).is_some_and(|token| token.kind == kind);
    let at = if first.is_literal() || first.kind == Kind::Parameter {
        at + 1
    } else if first.is_word("cast") && is(at + 1, Kind::Open) {
        let inner = constant(tokens, at + 2)?;
        tokens.get(inner).filter(|token| token.is_word("as"))?;
        let end = type_name(tokens, inner + 1)?;
        is(end, Kind::Close).then_some(end + 1)?
    } else if TEXT_TYPES.iter().any(|name| first.is_word(name)) && is(at + 1, Kind::Text) {
        at + 2
    } else {
        // Depth is bounded by the parser's limit.
        let inner = (first.kind == Kind::Open).then(|| constant(tokens, at + 1)).flatten()?;
        tokens.get(inner).filter(|token| token.kind == Kind::Close)?;
        inner + 1
    };
    casts(tokens, at)
}

/// `::type`, any number of times: the token after them.
fn casts(tokens: &[Token], mut at: usize) -> Option<usize> {
    while tokens.get(at).is_some_and(|token| token.kind == Kind::Typecast) {
        at = type_name(tokens, at + 1)?;
    }
    Some(at)
}

/// Types of which a constant may be, such that comparing it with a stored value fails on none and casts none to a shorter one.
const CONSTANT_TYPES: &[&str] = &[
    "bool",
    "boolean",
    "bpchar",
    "char",
    "character",
    "citext",
    "date",
    "decimal",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "bigint",
    "name",
    "numeric",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

/// A type of [`CONSTANT_TYPES`], with its length and brackets: the token after it.
fn type_name(tokens: &[Token], mut at: usize) -> Option<usize> {
    let name = tokens.get(at).filter(|name| CONSTANT_TYPES.iter().any(|known| name.is_word(known)))?;
    at += 1;
    if name.is_word("character") && tokens.get(at).is_some_and(|token| token.is_word("varying")) {
        at += 1;
    }
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    if kind(at) == Some(Kind::Open) && kind(at + 1) == Some(Kind::Number) && kind(at + 2) == Some(Kind::Close) {
        at += 3;
    }
    while kind(at) == Some(Kind::OpenBracket) && kind(at + 1) == Some(Kind::CloseBracket) {
        at += 2;
    }
    Some(at)
}

/// Whether an expression can begin at `at` without anything before binding into it.
fn begins(tokens: &[Token], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|at| tokens.get(at)) else { return false };
    match before.kind {
        Kind::Open | Kind::Comma => true,
        Kind::Word => {
            matches!(before.name(), "where" | "or" | "not" | "on" | "when" | "having")
                || (before.is_word("and") && !closes_between(tokens, at - 1))
        }
        Kind::Quoted
        | Kind::Text
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Operator
        | Kind::Close
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Semicolon
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => false,
    }
}

/// Whether the `AND` at this place belongs to a `BETWEEN`, and not to the condition as a whole.
fn closes_between(tokens: &[Token], and: usize) -> bool {
    let mut depth = 0_usize;
    for (at, token) in tokens.get(..and).unwrap_or(&[]).iter().enumerate().rev() {
        // Behind a dot it is a label.
        let label = at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| before.kind == Kind::Dot);
        let is = |words: &[&str]| !label && words.iter().any(|word| token.is_word(word));
        match token.kind.nesting() {
            Nesting::Closes => depth += 1,
            Nesting::Opens if depth == 0 => return false,
            Nesting::Opens => depth -= 1,
            // CASE … END stands in brackets of its own.
            Nesting::Stays if is(&["end"]) => depth += 1,
            Nesting::Stays if is(&["case"]) && depth > 0 => depth -= 1,
            Nesting::Stays if depth == 0 && is(&["between"]) => return true,
            Nesting::Stays if depth == 0 && is(&["and", "where", "on", "having", "when"]) => return false,
            Nesting::Stays => {}
        }
    }
    false
}

/// Whether an expression ends before `at`.
fn ends(tokens: &[Token], at: usize) -> bool {
    let Some(after) = tokens.get(at) else { return true };
    match after.kind {
        Kind::Close | Kind::Comma | Kind::Semicolon => true,
        Kind::Word => matches!(
            after.name(),
            "and"
                | "or"
                | "then"
                | "order"
                | "group"
                | "having"
                | "limit"
                | "offset"
                | "fetch"
                | "for"
                | "union"
                | "intersect"
                | "except"
                | "window"
                | "returning"
                | "where"
                | "join"
                | "left"
                | "right"
                | "inner"
                | "full"
                | "cross"
                | "natural"
                | "on"
        ),
        Kind::Quoted
        | Kind::Text
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Operator
        | Kind::Open
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => false,
    }
}
