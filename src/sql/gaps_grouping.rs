//! Of [`super::gaps`]: lists of GROUPING SETS, ROLLUP and CUBE.

use super::{
    Kind, Token,
    gaps::{Gaps, kind, level_end, word},
};

/// What the parser does not know of the list behind the word at `at`.
pub(super) fn find(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let first = match (word(tokens, at, "grouping"), sets(tokens, at)) {
        (true, true) => at + 3,
        (false, _) if kind(tokens, at + 1) == Some(Kind::Open) => at + 2,
        (true, false) | (false, _) => return,
    };
    let mut at = first;
    loop {
        let end = level_end(tokens, at, |index| kind(tokens, index) == Some(Kind::Comma));
        if sets(tokens, at) {
            // What they list is listed by the outer ones.
            gaps.drop(at..at + 3);
            let close = level_end(tokens, at + 3, |_| false);
            gaps.drop(close..close + 1);
        } else if is_no_set(tokens, at, end) {
            gaps.brackets(at..end);
        }
        if kind(tokens, end) != Some(Kind::Comma) {
            return;
        }
        at = end + 1;
    }
}

/// `GROUPING SETS (`
fn sets(tokens: &[Token], at: usize) -> bool {
    word(tokens, at, "grouping") && word(tokens, at + 1, "sets") && kind(tokens, at + 2) == Some(Kind::Open)
}

/// Whether an element begins with a bracket and is an expression, where the parser takes the bracket for that of a set.
fn is_no_set(tokens: &[Token], start: usize, end: usize) -> bool {
    let query = ["select", "with", "values"].iter().any(|first| word(tokens, start + 1, first));
    kind(tokens, start) == Some(Kind::Open) && (query || level_end(tokens, start + 1, |_| false) + 1 != end)
}
