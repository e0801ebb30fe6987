//! Whether a row scope keeps the whole condition of UPDATE, DELETE and ON CONFLICT DO UPDATE, as it was printed: it begins right behind WHERE,
//! ends where the clause ends, and the brackets between are those of the client's condition alone. Read from the text, whatever put it there:
//! `WHERE (scope AND (a) OR b)` has every part, and keeps nothing.

use std::ops::Range;

use crate::{
    bind::Role,
    rewrite::{AddedScope, Job, Printed, added_scope, protected, updates_on_conflict},
    sql::{Nesting, lex},
};

/// Whether every scope stands around the condition of its target.
pub(super) fn stand(printed: &Printed, job: &Job<'_>) -> bool {
    job.bound.relations.iter().enumerate().all(|(id, used)| {
        let Some(scope) = protected(job.role, used).and_then(|policy| policy.scope.as_ref()) else { return true };
        match used.role {
            Role::Source => true,
            Role::Insert if !updates_on_conflict(job.bound, id) => true,
            Role::Update | Role::Delete | Role::Insert => {
                added_scope(job, used, scope).is_some_and(|added| stands(printed, &added))
            }
            Role::Merge => false,
        }
    })
}

fn stands(printed: &Printed, added: &AddedScope) -> bool {
    let here = |at: usize, wanted: &str| -> Vec<Range<usize>> {
        let ours = printed.trusted.iter().chain(&printed.inside).filter(|ours| ours.tokens == (at..at));
        ours.map(|ours| ours.bytes.clone()).filter(|bytes| printed.text.get(bytes.clone()) == Some(wanted)).collect()
    };
    match added {
        AddedScope::Where { at, text } => here(*at, text).iter().any(|bytes| ends(printed, bytes.end)),
        AddedScope::Around { condition, open, close } => {
            // Comparisons close at the same token by the same text: the scope is what is furthest out.
            let open = here(condition.start, open).into_iter().min_by_key(|bytes| bytes.start);
            let close = here(condition.end, close).into_iter().max_by_key(|bytes| bytes.end);
            let Some((open, close)) = open.zip(close) else { return false };
            let before = printed.text.get(..open.start).unwrap_or_default();
            let inside = printed.text.get(open.end..close.start).unwrap_or(")");
            before.trim_end().ends_with(" where") && is_balanced(inside) && ends(printed, close.end)
        }
    }
}

/// Whether the clause ends at a place of the text.
fn ends(printed: &Printed, at: usize) -> bool {
    let rest = printed.text.get(at..).map(str::trim_start);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([')', ';']) || rest.starts_with("returning "))
}

/// Whether each bracket closes, and none that was not opened.
fn is_balanced(text: &str) -> bool {
    let Ok(tokens) = lex::lex_sent(text) else { return false };
    let depth = tokens.iter().try_fold(0_usize, |depth, token| match token.kind.nesting() {
        Nesting::Opens => Some(depth + 1),
        Nesting::Closes => depth.checked_sub(1),
        Nesting::Stays => Some(depth),
    });
    depth == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::Trusted;

    /// What is printed of parts, of which the first and the last one are ours.
    fn printed(parts: [&str; 5]) -> Printed {
        let [before, open, inside, close, behind] = parts;
        let text = parts.concat();
        let begins = before.len()..before.len() + open.len();
        let ended = begins.end + inside.len();
        let ends = ended..ended + close.len();
        assert!(text.ends_with(behind));
        let ours = |bytes, at| Trusted { bytes, tokens: at..at };
        Printed { text, trusted: vec![ours(begins, 4), ours(ends, 9)], ..Printed::default() }
    }

    #[test]
    fn a_scope_that_does_not_stand_around_the_whole_condition_is_found() {
        let added = AddedScope::Around { condition: 4..9, open: "(s) AND (".to_owned(), close: ")" };
        let stands = |before, inside, behind| stands(&printed([before, "(s) AND (", inside, ")", behind]), &added);
        let update = "update t set a = 1 where ";
        for (inside, behind) in [
            ("a = 1 ", ""),
            ("a = 1 or (b = ')') ", " returning a"),
            ("(a = 1) or (b = 2) ", "; select 1"),
            ("a [1] = 2 ", ") select 1"),
        ] {
            assert!(stands(update, inside, behind), "{inside}{behind}");
        }
        for (before, inside, behind) in [
            // The bracket of a comparison was opened before.
            ("update t set a = 1 where (", "a = 1 ) or b = 1 ", ""),
            (update, "a = 1 ) or (b = 1 ", ""),
            (update, "a = 1 ", " or true"),
            (update, "(a = 1 ", ""),
            ("update t set a = b and ", "a = 1 ", ""),
        ] {
            assert!(!stands(before, inside, behind), "{before}{inside}{behind}");
        }
    }
}
