//! Stage `sql`: the functions of XML, which PostgreSQL's grammar gives words and labels of their own. In: the tokens from
//! the function's name on. Out: what the parser does not see of them ([`super::gaps`]). Labels name XML elements, no
//! relation, column or function.

use super::{
    Kind, Token,
    gaps::{COMMA, Gaps, is_call, kind, level_end, word},
};

/// Looks at the word `name` at `at`.
pub(super) fn find(name: &str, tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let first = at + 2;
    let calls = || is_call(tokens, at);
    match name {
        "xmlelement" | "xmlpi" if calls() && word(tokens, first, "name") => named(tokens, first, gaps),
        "xmlforest" | "xmlattributes" if calls() => labelled(tokens, first, gaps),
        // No list of columns can end so.
        "xmlparse" if kind(tokens, at + 1) == Some(Kind::Open) => {
            let end = level_end(tokens, first, |_| false);
            let how = end.checked_sub(2).filter(|how| {
                *how > first
                    && (word(tokens, *how, "preserve") || word(tokens, *how, "strip"))
                    && word(tokens, *how + 1, "whitespace")
            });
            if let Some(how) = how {
                gaps.drop(how..end);
            }
        }
        "xmlserialize" if calls() => {
            content(tokens, first, gaps);
            let cast = level_end(tokens, first, |index| word(tokens, index, "as"));
            if word(tokens, cast, "as") {
                gaps.replace(cast..cast + 1, &[(Kind::Typecast, "::")]);
            }
            let end = level_end(tokens, cast + 1, |index| index > cast + 1 && indents(tokens, index));
            if end > cast + 1 && indents(tokens, end) {
                gaps.drop(end..level_end(tokens, end, |_| false));
            }
        }
        "xmlroot" if calls() => root(tokens, first, gaps),
        "xmlexists" if calls() => {
            let passing = level_end(tokens, first, |index| word(tokens, index, "passing"));
            if word(tokens, passing, "passing") {
                gaps.replace(passing..passing + 1, &[COMMA]);
                mechanism(tokens, passing + 1, gaps);
                let end = level_end(tokens, passing + 1, |_| false);
                if let Some(by) = end.checked_sub(2).filter(|by| *by > passing + 2) {
                    mechanism(tokens, by, gaps);
                }
            }
        }
        // XMLTABLE sees what stands before it anyway.
        "lateral" if word(tokens, at + 1, "xmltable") => gaps.drop(at..at + 1),
        "xmltable" if kind(tokens, at + 1) == Some(Kind::Open) => defaults(tokens, first, gaps),
        "passing" => mechanism(tokens, at + 1, gaps),
        "document" => {
            let is = |back: usize| at.checked_sub(back).is_some_and(|before| word(tokens, before, "is"));
            let not = at.checked_sub(1).is_some_and(|before| word(tokens, before, "not"));
            if is(1) || (not && is(2)) {
                gaps.replace(at..at + 1, &[(Kind::Word, "null")]);
            }
        }
        _other => {}
    }
}

/// `NAME label [, …]`
fn named(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if !tokens.get(at + 1).is_some_and(Token::is_name) {
        return;
    }
    match kind(tokens, at + 2) {
        Some(Kind::Comma) => gaps.drop(at..at + 3),
        Some(Kind::Close) => gaps.drop(at..at + 2),
        Some(_) | None => return,
    }
    gaps.labels.push(at + 1);
}

/// `expression [AS label], …`
fn labelled(tokens: &[Token], first: usize, gaps: &mut Gaps) {
    let mut at = first;
    loop {
        let end = level_end(tokens, at, |index| kind(tokens, index) == Some(Kind::Comma));
        if let Some(label) = end.checked_sub(1).filter(|label| *label > at + 1)
            && word(tokens, label - 1, "as")
            && tokens.get(label).is_some_and(Token::is_name)
        {
            gaps.drop(label - 1..end);
            gaps.labels.push(label);
        }
        if kind(tokens, end) != Some(Kind::Comma) {
            return;
        }
        at = end + 1;
    }
}

/// `DOCUMENT` or `CONTENT`, which must stand there.
fn content(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if word(tokens, at, "document") || word(tokens, at, "content") {
        gaps.drop(at..at + 1);
    }
}

/// `[NO] INDENT` at the end of XMLSERIALIZE.
fn indents(tokens: &[Token], at: usize) -> bool {
    let indent = if word(tokens, at, "no") { at + 1 } else { at };
    word(tokens, indent, "indent") && kind(tokens, indent + 1) == Some(Kind::Close)
}

/// `DEFAULT a PATH b` of the columns of XMLTABLE, which the parser knows the other way round.
fn defaults(tokens: &[Token], first: usize, gaps: &mut Gaps) {
    let mut at = level_end(tokens, first, |index| word(tokens, index, "columns"));
    loop {
        let stops = |index: usize| kind(tokens, index) == Some(Kind::Comma);
        let default = level_end(tokens, at + 1, |index| stops(index) || word(tokens, index, "default"));
        if word(tokens, default, "default") {
            let path = level_end(tokens, default + 1, |index| stops(index) || word(tokens, index, "path"));
            if word(tokens, path, "path") {
                gaps.replace(default..default + 1, &[(Kind::Word, "path")]);
                gaps.replace(path..path + 1, &[(Kind::Word, "default")]);
            }
        }
        at = level_end(tokens, at + 1, stops);
        if kind(tokens, at) != Some(Kind::Comma) {
            return;
        }
    }
}

/// `BY REF` or `BY VALUE`.
fn mechanism(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if word(tokens, at, "by") && (word(tokens, at + 1, "ref") || word(tokens, at + 1, "value")) {
        gaps.drop(at..at + 2);
    }
}

/// `expression, VERSION expression | NO VALUE [, STANDALONE YES | NO | NO VALUE]`
fn root(tokens: &[Token], first: usize, gaps: &mut Gaps) {
    let comma = level_end(tokens, first, |index| kind(tokens, index) == Some(Kind::Comma));
    if !word(tokens, comma + 1, "version") {
        return;
    }
    let no_value = |at: usize| word(tokens, at, "no") && word(tokens, at + 1, "value");
    let mut at = comma + 2;
    if no_value(at) {
        gaps.drop(comma..at + 2);
        at += 2;
    } else {
        gaps.drop(comma + 1..comma + 2);
        at = level_end(tokens, at, |index| kind(tokens, index) == Some(Kind::Comma));
    }
    let end = level_end(tokens, at, |_| false);
    let standalone = kind(tokens, at) == Some(Kind::Comma) && word(tokens, at + 1, "standalone");
    let flag = word(tokens, at + 2, "yes") || word(tokens, at + 2, "no");
    if standalone && flag && (end == at + 3 || (no_value(at + 2) && end == at + 4)) {
        gaps.drop(at..end);
    }
}
