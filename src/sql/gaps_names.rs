//! Words that are names to PostgreSQL, and syntax to the parser. In: the tokens of a statement. Out: the same words, shown to the parser as
//! quoted names. Invariant: a word is shown so only where PostgreSQL's grammar can read nothing else, or where that makes no difference.

use super::{
    Kind, Token,
    gaps::{Gaps, kind},
    keywords::category,
};

/// Keywords of the parser's other dialects, which PostgreSQL does not know.
const FOREIGN: [&str; 19] = [
    "anti",
    "asof",
    "connect",
    "distribute",
    "div",
    "ignore",
    "match_recognize",
    "minus",
    "open",
    "pivot",
    "prewhere",
    "qualify",
    "regexp",
    "rlike",
    "semi",
    "sort",
    "top",
    "unpivot",
    "xor",
];

pub(super) fn find(name: &str, tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if name == "interval" {
        if is_name(tokens, at) {
            gaps.replace(at..at + 1, &[(Kind::Quoted, "interval")]);
        }
    } else if name == "settings" {
        // A common name of tables, which the parser takes as such; not as another name of one.
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let named = |token: &Token| {
            let word = token.kind == Kind::Word && category(&token.value).is_none();
            word || matches!(token.kind, Kind::Quoted | Kind::Close)
        };
        if before.is_some_and(named) {
            gaps.replace(at..at + 1, &[(Kind::Quoted, "settings")]);
        }
    } else if let Some(word) = FOREIGN.iter().find(|word| **word == name) {
        gaps.replace(at..at + 1, &[(Kind::Quoted, word)]);
    }
}

/// Whether `interval` begins no constant (`interval '1 day'`, `interval (3) '1'`), and is not the type behind `::`, AS or a name.
fn is_name(tokens: &[Token], at: usize) -> bool {
    let kinds = [1, 2, 3, 4].map(|more| kind(tokens, at + more));
    let constant = matches!(
        kinds,
        [Some(Kind::Text), ..] | [Some(Kind::Open), Some(Kind::Number), Some(Kind::Close), Some(Kind::Text)]
    );
    let Some(before) = at.checked_sub(1).and_then(|before| tokens.get(before)) else { return !constant };
    let types = match before.kind {
        // Behind a name it is an alias, or a type: the parser knows which.
        Kind::Word => category(&before.value).is_none() || before.is_word("as"),
        Kind::Quoted | Kind::Typecast | Kind::Close | Kind::CloseBracket | Kind::Dot => true,
        Kind::Text
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Open
        | Kind::OpenBracket
        | Kind::Comma
        | Kind::Semicolon
        | Kind::Colon
        | Kind::Assign
        | Kind::Arrow
        | Kind::Operator => false,
    };
    !constant && !types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_dialects_are_no_keywords() {
        for word in FOREIGN {
            assert!(category(word).is_none(), "{word}");
        }
    }
}
