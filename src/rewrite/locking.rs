//! FOR UPDATE and its like on a relation whose scope must be a barrier. PostgreSQL locks the rows that come out of a derived
//! table, before it looks at the conditions outside; behind a barrier those would be all rows in scope, where a client means
//! the few that it picks, and a queue with SKIP LOCKED would find nothing. So there the barrier gives way to a CASE around the
//! client's condition, as in UPDATE and DELETE; where that is not possible, the statement is refused.

use std::ops::Range;

use super::Job;
use crate::{
    bind::RelationUse,
    error::{Refusal, RefusalCode},
    policy::Scope,
    sql::{Kind, Nesting, Token, command},
};

/// How the rows of a source are locked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Locking {
    /// They are not.
    No,
    /// By the query that names the source alone; the tokens of its condition, if it has one.
    Alone(Option<Range<usize>>),
    /// By a query that reads something beside, or around a sub-select.
    Among,
}

/// How the statement locks the rows of a source.
pub(super) fn locking(job: &Job<'_>, used: &RelationUse) -> Locking {
    let block = around(job.tokens, used.whole.start);
    if locks(job.tokens, &block, Some(&used.alias)) {
        let own = job.tokens.get(block.clone()).unwrap_or(&[]);
        let selects = own.iter().filter(|token| ["select", "values", "table"].iter().any(|word| token.is_word(word)));
        let alone = is_all_of_from(job.tokens, &block, used) && selects.count() == 1;
        if !alone || used.whole_row.is_some() || takes_conditions(job.tokens, &block) {
            return Locking::Among;
        }
        return Locking::Alone(condition(job.tokens, &block, used.whole.end));
    }
    let mut inner = block;
    // Each round leaves one pair of brackets.
    while let Some(open) = inner.start.checked_sub(1) {
        let outer = around(job.tokens, open);
        // `(SELECT …) FOR UPDATE` locks what is in the brackets.
        let selects = level(job.tokens, &outer).any(|(_, token)| token.is_word("select"));
        if !selects && locks(job.tokens, &outer, None) {
            return Locking::Among;
        }
        if !stands_in_from(job.tokens, open) {
            return Locking::No;
        }
        if locks(job.tokens, &outer, None) {
            return Locking::Among;
        }
        inner = outer;
    }
    Locking::No
}

/// Whether FROM of the block holds the source and nothing else: no join, no function, no query of WITH.
fn is_all_of_from(tokens: &[Token], block: &Range<usize>, used: &RelationUse) -> bool {
    let word =
        |at: usize, words: &[&str]| tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)));
    let from = used.whole.start.checked_sub(1).is_some_and(|from| word(from, &["from"]));
    let mut end = used.whole.end;
    if used.has_alias {
        end += 1 + usize::from(word(end, &["as"]));
    }
    let ends = end >= block.end || word(end, &["where"]) || word(end, &BEHIND_WHERE);
    from && ends && used.sample.is_none()
}

/// Words that end a condition.
const BEHIND_WHERE: [&str; 8] = ["order", "limit", "offset", "fetch", "for", "group", "having", "window"];

/// Whether conditions from around the block may come into it, or what it shows before the scope: it is a sub-select without LIMIT. A query of
/// WITH that locks rows is computed apart.
fn takes_conditions(tokens: &[Token], block: &Range<usize>) -> bool {
    let Some(open) = block.start.checked_sub(1) else { return false };
    let word = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(word));
    let with = open.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|as_| word(as_, &["as", "materialized"]));
    !with && !level(tokens, block).any(|(_, token)| word(token, &["limit", "fetch"]))
}

/// Whether the bracket at `open` may be that of an item of FROM.
fn stands_in_from(tokens: &[Token], open: usize) -> bool {
    open.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| {
        matches!(before.kind, Kind::Comma | Kind::Open)
            || ["from", "join", "lateral"].iter().any(|word| before.is_word(word))
    })
}

/// The refusal of a lock that would take more rows than the client means.
pub(super) fn refused(job: &Job<'_>, used: &RelationUse, scope: &Scope) -> Refusal {
    let refusal = Refusal::new(RefusalCode::RowScope, format!("rows of {} cannot be locked by this statement", used.alias))
        .with_hint(
            "This role sees some of its rows only, and all of those would be locked. Lock them in a query of its own over this \
             table alone, or by plain comparisons.",
        )
        .with_rule(&*scope.rule);
    match job.tokens.get(used.name.start) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    }
}

/// The tokens between the nearest brackets around this place; all without.
fn around(tokens: &[Token], at: usize) -> Range<usize> {
    let mut depth = 0_usize;
    for (open, token) in tokens.get(..at).unwrap_or(&[]).iter().enumerate().rev() {
        match token.kind.nesting() {
            Nesting::Closes => depth += 1,
            Nesting::Opens if depth == 0 => {
                return open + 1..command::after_brackets(tokens, open).saturating_sub(1).max(open + 1);
            }
            Nesting::Opens => depth -= 1,
            Nesting::Stays => {}
        }
    }
    0..tokens.len()
}

/// The tokens of a block that stand in no brackets within it, with their numbers; labels behind a dot left out.
fn level<'t>(tokens: &'t [Token], block: &Range<usize>) -> impl Iterator<Item = (usize, &'t Token)> {
    let mut depth = 0_usize;
    let mut label = false;
    tokens.iter().enumerate().skip(block.start).take(block.len()).filter(move |(_, token)| {
        let behind_dot = std::mem::replace(&mut label, token.kind == Kind::Dot);
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        depth == 0 && !behind_dot
    })
}

/// Whether a block has a locking clause that takes rows of the relation `name`; of any without a name.
fn locks(tokens: &[Token], block: &Range<usize>, name: Option<&str>) -> bool {
    let is =
        |at: usize, words: &[&str]| tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)));
    level(tokens, block).any(|(at, token)| {
        if !token.is_word("for") || !is(at + 1, &["update", "share", "no", "key"]) {
            return false;
        }
        let list = (at + 1..block.end).take_while(|at| is(*at, &["update", "share", "no", "key"])).last();
        let of = list.map_or(at, |last| last + 1);
        let (true, Some(name)) = (is(of, &["of"]), name) else { return true };
        (of + 1..block.end)
            .take_while(|at| !is(*at, &["nowait", "skip", "for", "limit", "offset", "fetch"]))
            .any(|at| tokens.get(at).is_some_and(|token| token.is_name() && token.name() == name))
    })
}

/// The tokens behind WHERE of a block.
fn condition(tokens: &[Token], block: &Range<usize>, from: usize) -> Option<Range<usize>> {
    let mut behind = level(tokens, block).filter(|(at, _)| *at >= from);
    let (start, _) = behind.find(|(_, token)| token.is_word("where"))?;
    let end =
        behind.find(|(_, token)| token.kind == Kind::Semicolon || BEHIND_WHERE.iter().any(|word| token.is_word(word)));
    Some(start + 1..end.map_or(block.end, |(at, _)| at))
}
