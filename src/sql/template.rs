//! Holes in printed text where the client's literals go, and filling them.
//!
//! Rewriting prints holes instead of literals, so that no literal can decide what is printed around it; the last step
//! fills them. A hole is written as a zero byte, the place of the literal in the client's text, and another zero byte: no
//! client text holds one ([`super::lex`] refuses it).

use std::ops::Range;

use super::{Token, emit};

const MARK: u8 = 0;
/// Zero byte, eight hexadecimal digits, zero byte.
const HOLE_BYTES: usize = 10;

/// Where a literal stands in a filled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// In the text filled, in bytes.
    pub sent: Range<usize>,
    /// First byte of the literal in the client's text.
    pub given: u32,
}

/// A filled text.
#[derive(Debug, Default)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// Its literals, in order.
    pub holes: Vec<Hole>,
    /// Ends of the holes in the text that was filled, in order.
    ends: Vec<usize>,
}

pub(super) fn push_hole(out: &mut String, token: &Token) {
    let digit = |shift: u32| char::from_digit((token.start >> shift) & 0xf, 16).unwrap_or('0');
    out.push('\0');
    out.extend([28, 24, 20, 16, 12, 8, 4, 0].map(digit));
    out.push('\0');
}

/// Fills the holes of `text` with literals of `tokens`, which are in the order of the client's text.
pub fn fill(text: String, tokens: &[Token]) -> Filled {
    if memchr::memchr(MARK, text.as_bytes()).is_none() {
        return Filled { text, ..Filled::default() };
    }
    let mut filled = Filled { text: String::with_capacity(text.len() + 16), ..Filled::default() };
    let mut at = 0;
    while let Some(length) = memchr::memchr(MARK, text.as_bytes().get(at..).unwrap_or(&[])) {
        let (start, end) = (at + length, at + length + HOLE_BYTES);
        filled.text.push_str(text.get(at..start).unwrap_or(""));
        let given = text.get(start + 1..end - 1).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some((given, literal)) = given.and_then(|given| Some((given, literal_at(tokens, given)?))) else {
            // Not a hole: it stays, and fails verification.
            filled.text.push('\0');
            at = start + 1;
            continue;
        };
        let from = filled.text.len();
        emit::push_literal(&mut filled.text, literal.kind, &literal.value);
        filled.holes.push(Hole { sent: from..filled.text.len(), given });
        filled.ends.push(end);
        at = end;
    }
    filled.text.push_str(text.get(at..).unwrap_or(""));
    filled
}

impl Filled {
    /// Where in the text filled the byte `at` of the text with holes is.
    pub fn place(&self, at: usize) -> usize {
        let before = self.ends.partition_point(|end| *end <= at);
        match before.checked_sub(1).and_then(|last| Some((self.ends.get(last)?, self.holes.get(last)?))) {
            Some((end, hole)) => hole.sent.end + (at - end),
            None => at,
        }
    }
}

fn literal_at(tokens: &[Token], given: u32) -> Option<&Token> {
    let from = tokens.partition_point(|token| token.start < given);
    tokens.get(from..)?.iter().take_while(|token| token.start == given).find(|token| token.is_literal())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

    use super::super::lex::lex;
    use super::*;

    #[test]
    fn holes_are_filled_with_what_stood_there() {
        for sql in ["select 'a''b', 12 , n'x', E'\\\\', b'01'", "select 1.[2], 0x1F [1]", "select a", "'x'"] {
            let tokens = lex(sql).unwrap();
            let filled = fill(emit::text_with_holes(&tokens), &tokens);
            let again = lex(&filled.text).unwrap();
            let strip = |tokens: &[Token]| tokens.iter().map(|t| (t.kind, t.value.clone())).collect::<Vec<_>>();
            assert_eq!(strip(&tokens), strip(&again), "{sql} → {}", filled.text);
            for hole in &filled.holes {
                let token = tokens.iter().find(|token| token.start == hole.given).unwrap();
                assert!(filled.text[hole.sent.clone()].contains(&*token.value.replace('\'', "''")));
            }
        }
    }

    #[test]
    fn places_move_with_the_literals_before_them() {
        let tokens = lex("a 'long literal' b 1 c").unwrap();
        let text = emit::text_with_holes(&tokens);
        let filled = fill(text.clone(), &tokens);
        for name in ["a", " b ", " c"] {
            let (before, after) = (text.find(name).unwrap(), filled.text.find(name).unwrap());
            assert_eq!(filled.place(before), after, "{name}");
        }
    }
}
