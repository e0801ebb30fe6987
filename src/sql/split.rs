//! Tokens of a message → one range per statement.

use std::ops::Range;

use super::{Kind, Token};

/// Token ranges of the statements, empty ones left out; separated by semicolons outside parentheses.
pub fn statements(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Semicolon if depth == 0 => {
                if start < index {
                    ranges.push(start..index);
                }
                start = index + 1;
            }
            Kind::Word
            | Kind::Quoted
            | Kind::Text
            | Kind::National
            | Kind::Bits
            | Kind::Hex
            | Kind::Number
            | Kind::Parameter
            | Kind::Operator
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Comma
            | Kind::Semicolon
            | Kind::Dot
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => {}
        }
    }
    if start < tokens.len() {
        ranges.push(start..tokens.len());
    }
    ranges
}
