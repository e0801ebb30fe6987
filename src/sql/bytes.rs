//! What a byte of a text may be for the lexer, a bit each: one look-up per byte is most of what a known shape costs.

pub(super) const SPACE: u8 = 1;
pub(super) const IDENTIFIER_START: u8 = 2;
pub(super) const IDENTIFIER_PART: u8 = 4;
pub(super) const OPERATOR: u8 = 8;
pub(super) const DIGIT: u8 = 16;
/// A letter that begins a literal when a quote (or `&` and a quote) follows.
pub(super) const PREFIX: u8 = 32;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut class = 0;
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c) {
            class |= SPACE;
        }
        if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 {
            class |= IDENTIFIER_START | IDENTIFIER_PART;
        }
        if byte.is_ascii_digit() {
            class |= DIGIT | IDENTIFIER_PART;
        }
        if byte == b'$' {
            class |= IDENTIFIER_PART;
        }
        if matches!(byte.to_ascii_lowercase(), b'e' | b'n' | b'b' | b'x' | b'u') {
            class |= PREFIX;
        }
        if contains(b"~!@#^&|`?+-*/%<>=", byte) {
            class |= OPERATOR;
        }
        #[expect(clippy::indexing_slicing, reason = "a byte is within 256, and the compiler evaluates it")]
        {
            classes[byte as usize] = class;
        }
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

const fn contains(list: &[u8], byte: u8) -> bool {
    match list {
        [] => false,
        [first, rest @ ..] => *first == byte || contains(rest, byte),
    }
}

/// Whether a byte is of one of these classes.
pub(super) fn is(byte: u8, classes: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|class| class & classes != 0)
}
