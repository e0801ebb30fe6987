//! The escapes of `E'…'` and `U&'…'`, decoded as PostgreSQL decodes them. In: a lexer that stands at one. Out: characters, or
//! a refusal that points at the start of the literal.

use super::{
    bytes::{IDENTIFIER_PART, is},
    lex::{Lexer, bad},
};
use crate::error::Refusal;

impl Lexer<'_> {
    /// One backslash escape of `E'…'`.
    pub(super) fn escape(&mut self, start: usize, value: &mut Vec<u8>) -> Result<(), Box<Refusal>> {
        let radix = |lexer: &mut Self, accept: fn(&u8) -> bool, most: usize, radix: u32| {
            let from = lexer.at;
            while lexer.at - from < most && lexer.bytes.get(lexer.at).is_some_and(accept) {
                lexer.at += 1;
            }
            (lexer.at - from, u32::from_str_radix(lexer.slice(from, lexer.at), radix).unwrap_or(0))
        };
        self.at += 1;
        let byte = self.peek(0);
        match byte {
            _ if self.at >= self.bytes.len() => return Err(bad(start, "unterminated quoted string")),
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            // Up to some version it is a `v`, from then on a vertical tab.
            b'v' => return Err(bad(start, "what \\v is depends on the version of the server; write v or \\x0b")),
            b'0'..=b'7' => {
                let (_, code) = radix(self, |b| matches!(b, b'0'..=b'7'), 3, 8);
                value.push(u8::try_from(code & 0xff).unwrap_or(0));
                return Ok(());
            }
            b'x' if self.peek(1).is_ascii_hexdigit() => {
                self.at += 1;
                let (_, code) = radix(self, u8::is_ascii_hexdigit, 2, 16);
                value.push(u8::try_from(code).unwrap_or(0));
                return Ok(());
            }
            b'u' | b'U' => {
                self.at += 1;
                let mut code = self.unicode_digits(start, if byte == b'u' { 4 } else { 8 })?;
                if (0xd800..0xdc00).contains(&code) && self.peek(0) == b'\\' && matches!(self.peek(1), b'u' | b'U') {
                    let length = if self.peek(1) == b'u' { 4 } else { 8 };
                    self.at += 2;
                    let low = self.unicode_digits(start, length)?;
                    code = surrogates(code, low).ok_or_else(|| bad(start, "invalid Unicode surrogate pair"))?;
                }
                let char = char::from_u32(code).ok_or_else(|| bad(start, "invalid Unicode escape value"))?;
                value.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            other => value.push(other),
        }
        self.at += 1;
        Ok(())
    }

    fn unicode_digits(&mut self, start: usize, length: usize) -> Result<u32, Box<Refusal>> {
        let digits = self.bytes.get(self.at..self.at + length).unwrap_or(&[]);
        if digits.len() != length || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad(start, "invalid Unicode escape"));
        }
        let code = u32::from_str_radix(self.slice(self.at, self.at + length), 16).unwrap_or(u32::MAX);
        self.at += length;
        Ok(code)
    }

    pub(super) fn uescape(&mut self, start: usize) -> Result<char, Box<Refusal>> {
        let body_end = self.at;
        let found = self.skip_space()?
            && self.bytes.get(self.at..self.at + 7).is_some_and(|word| word.eq_ignore_ascii_case(b"uescape"))
            && !is(self.peek(7), IDENTIFIER_PART);
        if !found {
            self.at = body_end;
            return Ok('\\');
        }
        self.at += 7;
        if !self.skip_space()? || self.peek(0) != b'\'' {
            return Err(bad(start, "UESCAPE must be followed by a simple string literal"));
        }
        let text = self.string_body(start, false)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(escape), None)
                if !escape.is_ascii_hexdigit()
                    && !matches!(escape, '+' | '\'' | '"' | ' ' | '\t' | '\n' | '\r' | '\u{c}') =>
            {
                Ok(escape)
            }
            (_, _) => Err(bad(start, "invalid Unicode escape character")),
        }
    }

    pub(super) fn unescape(start: usize, raw: &str, escape: char) -> Result<String, Box<Refusal>> {
        let invalid = || bad(start, "invalid Unicode escape");
        let mut value = String::with_capacity(raw.len());
        let mut high: Option<u32> = None;
        let mut rest = raw;
        while let Some(first) = rest.chars().next() {
            let after = rest.get(first.len_utf8()..).unwrap_or("");
            if first != escape || after.starts_with(escape) {
                if high.is_some() {
                    return Err(invalid());
                }
                value.push(first);
                let skip = if first == escape { escape.len_utf8() } else { 0 };
                rest = after.get(skip..).unwrap_or("");
                continue;
            }
            let (digits, behind) = match after.strip_prefix('+') {
                Some(long) => (long.get(..6), long.get(6..)),
                None => (after.get(..4), after.get(4..)),
            };
            let digits = digits.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(invalid)?;
            let mut code = u32::from_str_radix(digits, 16).map_err(|_| invalid())?;
            rest = behind.unwrap_or("");
            if let Some(first_half) = high.take() {
                code = surrogates(first_half, code).ok_or_else(invalid)?;
            } else if (0xd800..0xdc00).contains(&code) {
                high = Some(code);
                continue;
            }
            value.push(char::from_u32(code).ok_or_else(invalid)?);
        }
        if high.is_some() { Err(invalid()) } else { Ok(value) }
    }
}

/// The code point of a UTF-16 surrogate pair.
fn surrogates(high: u32, low: u32) -> Option<u32> {
    (0xdc00..0xe000).contains(&low).then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}
