//! Of [`super::gaps`]: what INSERT, UPDATE, DELETE and MERGE hold that the parser does not know.

use std::ops::Range;

use super::{
    Kind, Nesting, Token,
    gaps::{GAP, Gaps, WORD, kind, level_end, names, word},
};

/// The target of ON CONFLICT.
#[derive(Debug)]
pub struct ConflictTarget {
    /// From the bracket to the last token of the condition.
    pub whole: Range<usize>,
    /// What stands between the brackets.
    pub elements: Range<usize>,
    /// The condition.
    pub condition: Option<Range<usize>>,
    /// Nothing but names of columns.
    pub plain: bool,
}

/// The target of ON CONFLICT whose bracket opens at `open`, when `DO` follows it.
pub fn conflict_target(tokens: &[Token], open: usize) -> Option<ConflictTarget> {
    let conflict = open.checked_sub(1).is_some_and(|at| word(tokens, at, "conflict"));
    let on = open.checked_sub(2).is_some_and(|at| word(tokens, at, "on"));
    if !(conflict && on && kind(tokens, open) == Some(Kind::Open)) {
        return None;
    }
    let close = level_end(tokens, open + 1, |_| false);
    let elements = open + 1..close;
    let names = tokens.get(elements.clone())?.iter().all(|token| token.is_name() || token.kind == Kind::Comma);
    if word(tokens, close + 1, "do") {
        return Some(ConflictTarget { whole: open..close + 1, elements, condition: None, plain: names });
    }
    if !word(tokens, close + 1, "where") {
        return None;
    }
    let start = close + 2;
    let end = level_end(tokens, start, |at| word(tokens, at, "do") || word(tokens, at, "on"));
    (word(tokens, end, "do") && end > start).then_some(ConflictTarget {
        whole: open..end,
        elements,
        condition: Some(start..end),
        plain: false,
    })
}

/// How many tokens of a select list are looked at for its beginning.
const LONGEST_LIST: usize = 2000;

/// Whether `ON CONFLICT` at `on` stands right behind a select list, of which the parser takes ON for a label.
pub(super) fn ends_list(tokens: &[Token], on: usize) -> bool {
    if !word(tokens, on + 1, "conflict") {
        return false;
    }
    let mut depth = 0_usize;
    for at in (0..on).rev().take(LONGEST_LIST) {
        match kind(tokens, at).map(Kind::nesting) {
            Some(Nesting::Closes) => depth += 1,
            Some(Nesting::Opens) if depth == 0 => return false,
            Some(Nesting::Opens) => depth -= 1,
            Some(Nesting::Stays) | None => {}
        }
        let label = at.checked_sub(1).and_then(|at| kind(tokens, at)) == Some(Kind::Dot);
        if depth == 0 && !label {
            if word(tokens, at, "select") {
                return true;
            }
            if super::keywords::AFTER_LIST.iter().chain(&["values", "default"]).any(|known| word(tokens, at, known)) {
                return false;
            }
        }
    }
    false
}

/// What stands between RETURNING and its list.
#[derive(Debug)]
pub struct ReturningVersions {
    /// All of it.
    pub tokens: Range<usize>,
    /// The tokens that name OLD (true) or NEW.
    pub names: Vec<(bool, usize)>,
}

/// `WITH (OLD AS o, NEW AS n)` behind RETURNING, which begins at `with`.
pub fn returning_versions(tokens: &[Token], with: usize) -> Option<ReturningVersions> {
    let returning = with.checked_sub(1).is_some_and(|at| word(tokens, at, "returning"));
    if !(returning && word(tokens, with, "with") && kind(tokens, with + 1) == Some(Kind::Open)) {
        return None;
    }
    let (mut at, mut names) = (with + 2, Vec::new());
    loop {
        let is_old = word(tokens, at, "old");
        let given = (is_old || word(tokens, at, "new")) && word(tokens, at + 1, "as");
        tokens.get(at + 2).filter(|name| given && name.is_name())?;
        names.push((is_old, at + 2));
        at += 4;
        if kind(tokens, at - 1) == Some(Kind::Close) {
            return Some(ReturningVersions { tokens: with..at, names });
        }
        if kind(tokens, at - 1) != Some(Kind::Comma) {
            return None;
        }
    }
}

/// The name of the cursor in `CURRENT OF name`, which begins at `at`.
pub fn current_of(tokens: &[Token], at: usize) -> Option<usize> {
    let named = tokens.get(at + 2).is_some_and(Token::is_name);
    (word(tokens, at, "current") && word(tokens, at + 1, "of") && named).then_some(at + 2)
}

/// Subscripts of the columns in `SET a[1] = …, (b[1], c) = …`, of which the first begins at `at`; the token that
/// ends the list.
pub(super) fn assignments(tokens: &[Token], at: usize, gaps: &mut Gaps) -> usize {
    let mut at = at;
    loop {
        let mut found = Vec::new();
        let end = if kind(tokens, at) == Some(Kind::Open) {
            let close = level_end(tokens, at + 1, |_| false);
            let mut inner = at + 1;
            while inner < close {
                inner = subscripts(tokens, inner, &mut found) + 1;
            }
            close + 1
        } else {
            subscripts(tokens, at, &mut found)
        };
        if !tokens.get(end).is_some_and(|token| token.is_operator("=")) {
            return at;
        }
        for range in found {
            gaps.replace(range, &[(Kind::Dot, "."), (WORD, GAP)]);
        }
        let ends = |index: usize| {
            kind(tokens, index) == Some(Kind::Comma) || word(tokens, index, "where") || word(tokens, index, "returning")
        };
        let next = level_end(tokens, end + 1, ends);
        if kind(tokens, next) != Some(Kind::Comma) {
            return next;
        }
        at = next + 1;
    }
}

/// Subscripts in `INSERT INTO name (a[1], b)`, where the name begins at `at`.
pub(super) fn inserted(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let mut at = at + 1;
    while kind(tokens, at) == Some(Kind::Dot) {
        at += 2;
    }
    if word(tokens, at, "as") {
        at += 2;
    }
    let column = tokens.get(at + 1).is_some_and(names);
    if kind(tokens, at) != Some(Kind::Open) || !column {
        return;
    }
    let close = level_end(tokens, at + 1, |_| false);
    let (mut found, mut inner) = (Vec::new(), at + 1);
    while inner < close {
        inner = subscripts(tokens, inner, &mut found);
        if inner != close && kind(tokens, inner) != Some(Kind::Comma) {
            return;
        }
        inner += 1;
    }
    for range in found {
        gaps.replace(range, &[(Kind::Dot, "."), (WORD, GAP)]);
    }
}

/// The subscripts of the name that begins at `at`, and the token after the name.
fn subscripts(tokens: &[Token], at: usize, found: &mut Vec<Range<usize>>) -> usize {
    let mut at = at + 1;
    loop {
        match kind(tokens, at) {
            Some(Kind::Dot) => at += 2,
            Some(Kind::OpenBracket) => {
                let close = level_end(tokens, at + 1, |_| false);
                found.push(at..close + 1);
                at = close + 1;
            }
            Some(_) | None => return at,
        }
    }
}

/// A source of MERGE that is a join, behind INTO; the token up to which it was read.
pub(super) fn merge_source(tokens: &[Token], at: usize, gaps: &mut Gaps) -> usize {
    let source = level_end(tokens, at, |index| word(tokens, index, "using")) + 1;
    let when = level_end(tokens, source, |index| word(tokens, index, "when"));
    let join = level_end(tokens, source, |index| index >= when || word(tokens, index, "join"));
    if !word(tokens, when, "when") || join >= when {
        return when;
    }
    // The last condition is the one of MERGE.
    let (mut on, mut next) = (None, source);
    loop {
        next = level_end(tokens, next, |index| index >= when || word(tokens, index, "on"));
        if next >= when {
            break;
        }
        on = Some(next);
        next += 1;
    }
    if let Some(on) = on {
        gaps.brackets(source..on);
    }
    when
}

/// `THEN INSERT DEFAULT VALUES` and `THEN INSERT (…) OVERRIDING … VALUE`, from behind INSERT on.
pub(super) fn merge_insert(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if word(tokens, at, "default") && word(tokens, at + 1, "values") {
        let shown = [(WORD, "values"), (Kind::Open, "("), (WORD, "default"), (Kind::Close, ")")];
        gaps.replace(at..at + 2, &shown);
        return;
    }
    let at = if kind(tokens, at) == Some(Kind::Open) { level_end(tokens, at + 1, |_| false) + 1 } else { at };
    let who = word(tokens, at + 1, "system") || word(tokens, at + 1, "user");
    if word(tokens, at, "overriding") && who && word(tokens, at + 2, "value") && word(tokens, at + 3, "values") {
        gaps.drop(at..at + 3);
    }
}
