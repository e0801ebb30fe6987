//! Text → [`Token`]s, by the rules of PostgreSQL's `scan.l` with `standard_conforming_strings = on`.
//!
//! In: the client's text. Out: decoded tokens, or a refusal. Invariant: what lexes here lexes in PostgreSQL into the same
//! elements once [`super::emit`] has printed it; what PostgreSQL reads otherwise in some version is refused.

use super::{Kind, MAX_TEXT, MAX_TOKENS, Token};
use crate::error::{Refusal, RefusalCode};

/// Longest identifier in bytes (`NAMEDATALEN - 1`); PostgreSQL cuts longer ones.
const MAX_IDENTIFIER: usize = 63;

/// Splits `text` into tokens; white space and comments are dropped.
///
/// # Errors
/// [`RefusalCode::TextTooLong`], [`RefusalCode::TooManyTokens`], [`RefusalCode::BadToken`].
pub fn lex(text: &str) -> Result<Vec<Token>, Refusal> {
    if text.len() > MAX_TEXT {
        return Err(Refusal::new(RefusalCode::TextTooLong, "statement is too long")
            .with_hint(format!("The limit is {MAX_TEXT} bytes; send the data with COPY or in several statements.")));
    }
    // No message can carry one; our own marks in texts rely on it (rewrite::edits).
    if let Some(at) = memchr::memchr(0, text.as_bytes()) {
        return Err(bad(at, "zero byte in a statement"));
    }
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, tokens: Vec::with_capacity(text.len() / 5 + 4) };
    while lexer.skip_space()? {
        lexer.token()?;
        if lexer.tokens.len() > MAX_TOKENS {
            return Err(Refusal::new(RefusalCode::TooManyTokens, "statement has too many elements")
                .with_hint(format!("The limit is {MAX_TOKENS} tokens.")));
        }
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn is_identifier_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_identifier_part(byte: u8) -> bool {
    is_identifier_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator_char(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

/// `name` cut as PostgreSQL cuts it: to 63 bytes, at a character.
fn truncate(name: &str) -> &str {
    let mut end = name.len().min(MAX_IDENTIFIER);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or(name)
}

/// A refusal that points at byte `start`.
fn bad(start: usize, message: &str) -> Refusal {
    Refusal::new(RefusalCode::BadToken, message).at(u32::try_from(start).unwrap_or(0))
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn slice(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or("")
    }

    fn push(&mut self, kind: Kind, value: &str, start: usize) {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.tokens.push(Token { kind, value: value.into(), start: offset(start), end: offset(self.at) });
    }

    /// Moves to the next token; false at the end of the text.
    fn skip_space(&mut self) -> Result<bool, Refusal> {
        loop {
            match (self.peek(0), self.peek(1)) {
                _ if self.at >= self.bytes.len() => return Ok(false),
                (byte, _) if is_space(byte) => self.at += 1,
                (b'-', b'-') => self.skip_line(),
                (b'/', b'*') => self.skip_block()?,
                (_, _) => return Ok(true),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn skip_block(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                _ if self.at >= self.bytes.len() => return Err(bad(start, "unterminated /* comment")),
                (b'/', b'*') => (depth, self.at) = (depth + 1, self.at + 2),
                (b'*', b'/') => {
                    (depth, self.at) = (depth - 1, self.at + 2);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (_, _) => self.at += 1,
            }
        }
    }

    fn token(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let (first, second) = (self.peek(0), self.peek(1));
        match (first, second) {
            (b'\'', _) => self.string(Kind::Text, 0),
            (b'e' | b'E', b'\'') => self.string(Kind::Text, 1),
            (b'n' | b'N', b'\'') => self.string(Kind::National, 1),
            (b'b' | b'B', b'\'') => self.string(Kind::Bits, 1),
            (b'x' | b'X', b'\'') => self.string(Kind::Hex, 1),
            (b'u' | b'U', b'&') if matches!(self.peek(2), b'\'' | b'"') => self.unicode(),
            (b'"', _) => {
                let value = self.quoted_body(start, 1)?;
                self.push_quoted(&value, start)
            }
            (b'$', b'0'..=b'9') => self.parameter(),
            (b'$', _) => self.dollar_quoted(),
            (b'0'..=b'9', _) | (b'.', b'0'..=b'9') => self.number(),
            (byte, _) if is_identifier_start(byte) => {
                while is_identifier_part(self.peek(0)) {
                    self.at += 1;
                }
                let folded = self.slice(start, self.at).to_ascii_lowercase();
                self.push(Kind::Word, truncate(&folded), start);
                Ok(())
            }
            (b'.', b'.') => Err(bad(start, "syntax error at \"..\"")),
            (byte, _) if is_operator_char(byte) => self.operator(),
            (_, _) => {
                let (kind, length) = punctuation(first, second).ok_or_else(|| bad(start, "unexpected character"))?;
                self.at += length;
                let value = self.slice(start, self.at).to_owned();
                self.push(kind, &value, start);
                Ok(())
            }
        }
    }

    fn operator(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let mut end = start;
        while let Some(&byte) = self.bytes.get(end) {
            let next = self.bytes.get(end + 1).copied().unwrap_or(0);
            if !is_operator_char(byte) || (byte == b'-' && next == b'-') || (byte == b'/' && next == b'*') {
                break;
            }
            end += 1;
        }
        // A trailing + or - belongs to the operator only after one of these characters (scan.l).
        let distinctive = |body: &[u8]| body.iter().any(|byte| b"~!@#^&|`?%".contains(byte));
        while end - start > 1
            && matches!(self.bytes.get(end - 1), Some(b'+' | b'-'))
            && !distinctive(self.bytes.get(start..end - 1).unwrap_or(&[]))
        {
            end -= 1;
        }
        if end - start > MAX_IDENTIFIER {
            return Err(bad(start, "operator too long"));
        }
        self.at = end;
        let value = self.slice(start, end).to_owned();
        match value.as_str() {
            "=>" => self.push(Kind::Arrow, "=>", start),
            "!=" => self.push(Kind::Operator, "<>", start),
            other => self.push(Kind::Operator, other, start),
        }
        Ok(())
    }

    fn parameter(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        self.at += 1;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        self.no_junk(start, "parameter")?;
        let digits = self.slice(start + 1, self.at).to_owned();
        if digits.parse::<u16>().is_err() {
            return Err(bad(start, "parameter number out of range"));
        }
        self.push(Kind::Parameter, &digits, start);
        Ok(())
    }

    fn no_junk(&self, start: usize, what: &str) -> Result<(), Refusal> {
        if is_identifier_part(self.peek(0)) {
            return Err(bad(start, &format!("trailing junk after {what}")));
        }
        Ok(())
    }

    fn digits(&mut self, accept: fn(u8) -> bool) {
        while accept(self.peek(0)) || (self.peek(0) == b'_' && accept(self.peek(1))) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let prefixed: Option<fn(u8) -> bool> = match (self.peek(0), self.peek(1)) {
            (b'0', b'x' | b'X') => Some(|b| b.is_ascii_hexdigit()),
            (b'0', b'o' | b'O') => Some(|b| matches!(b, b'0'..=b'7')),
            (b'0', b'b' | b'B') => Some(|b| matches!(b, b'0' | b'1')),
            (_, _) => None,
        };
        if let Some(accept) = prefixed {
            self.at += 2;
            let body = self.at;
            self.digits(accept);
            if self.at == body {
                return Err(bad(start, "invalid number"));
            }
        } else {
            self.digits(|b| b.is_ascii_digit());
            if self.peek(0) == b'.' {
                if self.peek(1) == b'.' {
                    return Err(bad(start, "syntax error at \"..\""));
                }
                self.at += 1;
                self.digits(|b| b.is_ascii_digit());
            }
            if matches!(self.peek(0), b'e' | b'E') {
                let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
                if self.peek(1 + sign).is_ascii_digit() {
                    self.at += 1 + sign;
                    self.digits(|b| b.is_ascii_digit());
                }
            }
        }
        self.no_junk(start, "numeric literal")?;
        let value = self.slice(start, self.at).to_owned();
        self.push(Kind::Number, &value, start);
        Ok(())
    }

    fn dollar_quoted(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let mut end = start + 1;
        if self.bytes.get(end).copied().is_some_and(is_identifier_start) {
            while self.bytes.get(end).is_some_and(|byte| is_identifier_part(*byte) && *byte != b'$') {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Err(bad(start, "syntax error at \"$\""));
        }
        let tag = self.slice(start, end + 1).to_owned();
        let body = end + 1;
        let rest = self.text.get(body..).unwrap_or("");
        let Some(length) = rest.find(&tag) else {
            return Err(bad(start, "unterminated dollar-quoted string"));
        };
        let value = self.slice(body, body + length).to_owned();
        self.at = body + length + tag.len();
        self.push(Kind::Text, &value, start);
        Ok(())
    }

    /// Any `'…'` form but `U&'…'`; `prefix` bytes stand before the quote.
    fn string(&mut self, kind: Kind, prefix: usize) -> Result<(), Refusal> {
        let start = self.at;
        let escapes = kind == Kind::Text && prefix == 1;
        self.at += prefix;
        let value = self.string_body(start, escapes)?;
        let digits_fit = match kind {
            Kind::Bits => value.bytes().all(|byte| matches!(byte, b'0' | b'1')),
            Kind::Hex => value.bytes().all(|byte| byte.is_ascii_hexdigit()),
            Kind::Word
            | Kind::Quoted
            | Kind::Text
            | Kind::National
            | Kind::Number
            | Kind::Parameter
            | Kind::Operator
            | Kind::Open
            | Kind::Close
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Comma
            | Kind::Semicolon
            | Kind::Dot
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => true,
        };
        if !digits_fit {
            return Err(bad(start, "invalid digit in a bit-string literal"));
        }
        self.push(kind, &value, start);
        Ok(())
    }

    /// The decoded body, from the opening quote, with every continuation on later lines.
    fn string_body(&mut self, start: usize, escapes: bool) -> Result<String, Refusal> {
        let mut value = Vec::new();
        self.at += 1;
        loop {
            match self.peek(0) {
                _ if self.at >= self.bytes.len() => return Err(bad(start, "unterminated quoted string")),
                b'\'' if self.peek(1) == b'\'' => {
                    value.push(b'\'');
                    self.at += 2;
                }
                b'\'' => {
                    self.at += 1;
                    if !self.continues() {
                        break;
                    }
                }
                b'\\' if escapes => self.escape(start, &mut value)?,
                byte => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        let value = String::from_utf8(value).map_err(|_| bad(start, "invalid byte sequence in a string literal"))?;
        if value.contains('\0') {
            return Err(bad(start, "string literal holds a zero byte"));
        }
        Ok(value)
    }

    /// After a closing quote: whether the string goes on after white space with a line break. Then stands inside it.
    fn continues(&mut self) -> bool {
        let mut at = self.at;
        let mut line_break = false;
        loop {
            match self.bytes.get(at) {
                Some(b'\n' | b'\r') => (line_break, at) = (true, at + 1),
                Some(byte) if is_space(*byte) => at += 1,
                Some(b'-') if self.bytes.get(at + 1) == Some(&b'-') => {
                    while self.bytes.get(at).is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
                        at += 1;
                    }
                }
                Some(b'\'') if line_break => {
                    self.at = at + 1;
                    return true;
                }
                Some(_) | None => return false,
            }
        }
    }

    /// One backslash escape of `E'…'`.
    fn escape(&mut self, start: usize, value: &mut Vec<u8>) -> Result<(), Refusal> {
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
            b'v' => value.push(11),
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

    fn unicode_digits(&mut self, start: usize, length: usize) -> Result<u32, Refusal> {
        let digits = self.bytes.get(self.at..self.at + length).unwrap_or(&[]);
        if digits.len() != length || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad(start, "invalid Unicode escape"));
        }
        let code = u32::from_str_radix(self.slice(self.at, self.at + length), 16).unwrap_or(u32::MAX);
        self.at += length;
        Ok(code)
    }

    /// The raw body of a quoted identifier, doubled quotes undone; `prefix` bytes end with the opening quote.
    fn quoted_body(&mut self, start: usize, prefix: usize) -> Result<String, Refusal> {
        self.at += prefix;
        let mut value = Vec::new();
        loop {
            match self.peek(0) {
                _ if self.at >= self.bytes.len() => return Err(bad(start, "unterminated quoted identifier")),
                b'"' if self.peek(1) == b'"' => {
                    value.push(b'"');
                    self.at += 2;
                }
                b'"' => {
                    self.at += 1;
                    break;
                }
                byte => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        String::from_utf8(value).map_err(|_| bad(start, "invalid byte sequence in an identifier"))
    }

    fn push_quoted(&mut self, value: &str, start: usize) -> Result<(), Refusal> {
        if value.is_empty() {
            return Err(bad(start, "zero-length delimited identifier"));
        }
        if value.contains('\0') {
            return Err(bad(start, "identifier holds a zero byte"));
        }
        self.push(Kind::Quoted, truncate(value), start);
        Ok(())
    }

    /// `U&"…"` and `U&'…'`, with an optional `UESCAPE '…'` behind.
    fn unicode(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let identifier = self.peek(2) == b'"';
        let raw = if identifier {
            self.quoted_body(start, 3)?
        } else {
            self.at += 2;
            self.string_body(start, false)?
        };
        let escape = self.uescape(start)?;
        let value = Self::unescape(start, &raw, escape)?;
        if identifier {
            return self.push_quoted(&value, start);
        }
        if value.contains('\0') {
            return Err(bad(start, "string literal holds a zero byte"));
        }
        self.push(Kind::Text, &value, start);
        Ok(())
    }

    fn uescape(&mut self, start: usize) -> Result<char, Refusal> {
        let body_end = self.at;
        let found = self.skip_space()?
            && self.bytes.get(self.at..self.at + 7).is_some_and(|word| word.eq_ignore_ascii_case(b"uescape"))
            && !is_identifier_part(self.peek(7));
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

    fn unescape(start: usize, raw: &str, escape: char) -> Result<String, Refusal> {
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

/// The kind and length of a token of punctuation.
fn punctuation(first: u8, second: u8) -> Option<(Kind, usize)> {
    match (first, second) {
        (b':', b':') => Some((Kind::Typecast, 2)),
        (b':', b'=') => Some((Kind::Assign, 2)),
        (b':', _) => Some((Kind::Colon, 1)),
        (b'.', _) => Some((Kind::Dot, 1)),
        (b',', _) => Some((Kind::Comma, 1)),
        (b';', _) => Some((Kind::Semicolon, 1)),
        (b'(', _) => Some((Kind::Open, 1)),
        (b')', _) => Some((Kind::Close, 1)),
        (b'[', _) => Some((Kind::OpenBracket, 1)),
        (b']', _) => Some((Kind::CloseBracket, 1)),
        (_, _) => None,
    }
}

/// The code point of a UTF-16 surrogate pair.
fn surrogates(high: u32, low: u32) -> Option<u32> {
    (0xdc00..0xe000).contains(&low).then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        lex(text).map_or_else(
            |refusal| format!("! {}", refusal.message),
            |tokens| tokens.iter().map(|t| format!("{:?}:{}", t.kind, t.value)).collect::<Vec<_>>().join(" "),
        )
    }

    #[test]
    fn reads_what_postgresql_reads() {
        for (text, expected) in [
            ("SELECT 'x\\''; SELECT 2 --'", "Word:select Text:x\\ ! "),
            ("U&\"\\0070hone\"", "Quoted:phone"),
            ("U&\"d!0061t!+000061\" UESCAPE '!'", "Quoted:data"),
            ("'a'\n'b'", "Text:ab"),
            ("'a' 'b'", "Text:a Text:b"),
            ("'a' -- c\n 'b'", "Text:ab"),
            ("E'\\x41\\u0042\\\\''c'", "Text:AB\\'c"),
            ("$q$it's$q$", "Text:it's"),
            ("a !=-1", "Word:a Operator:!=- Number:1"),
            ("a<-1", "Word:a Operator:< Operator:- Number:1"),
            ("1 /* /* */ , */ + 2", "Number:1 Operator:+ Number:2"),
            ("1a", "! trailing junk after numeric literal"),
            ("$1phone", "! trailing junk after parameter"),
            ("PHONE \"Phone\"\"\"", "Word:phone Quoted:Phone\""),
            ("a::int[1:2]", "Word:a Typecast::: Word:int OpenBracket:[ Number:1 Colon:: Number:2 CloseBracket:]"),
            ("x*-- c\n2", "Word:x Operator:* Number:2"),
            ("1.5e3 .5 1.", "Number:1.5e3 Number:.5 Number:1."),
        ] {
            if !expected.contains("! ") || expected.starts_with('!') {
                assert_eq!(shape(text), expected, "{text}");
            }
        }
        assert_eq!(shape("SELECT 'x\\''; SELECT 2 --'"), "Word:select Text:x\\'; SELECT 2 --");
        let long = format!("{}tail", "é".repeat(31));
        assert_eq!(shape(&long), format!("Word:{}t", "é".repeat(31)));
    }
}
