//! Text → [`Token`]s, by the rules of PostgreSQL's `scan.l` with `standard_conforming_strings = on`.
//!
//! In: the client's text. Out: decoded tokens, or a refusal. Invariant: what lexes here lexes in PostgreSQL into the same
//! elements once [`super::emit`] has printed it; what PostgreSQL reads otherwise in some version is refused.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::{
    Kind, MAX_SENT, MAX_TEXT, MAX_TOKENS, Token,
    bytes::{DIGIT, IDENTIFIER_PART, IDENTIFIER_START, OPERATOR, PREFIX, SPACE, is},
};
use crate::error::{Refusal, RefusalCode};

/// Longest identifier in bytes (`NAMEDATALEN - 1`); PostgreSQL cuts longer ones.
const MAX_IDENTIFIER: usize = 63;

/// Splits `text` into tokens; white space and comments are dropped.
///
/// # Errors
/// [`RefusalCode::TextTooLong`], [`RefusalCode::TooManyTokens`], [`RefusalCode::BadToken`].
pub fn lex(text: &str) -> Result<Vec<Token>, Refusal> {
    lex_within(text, MAX_TEXT)
}

/// As [`lex`], for a text that the rewriter has printed.
///
/// # Errors
/// As [`lex`].
pub fn lex_sent(text: &str) -> Result<Vec<Token>, Refusal> {
    lex_within(text, MAX_SENT)
}

fn lex_within(text: &str, limit: usize) -> Result<Vec<Token>, Refusal> {
    if text.len() > limit {
        return Err(Refusal::new(RefusalCode::TextTooLong, "statement is too long")
            .with_hint(format!("The limit is {limit} bytes; send the data with COPY or in several statements.")));
    }
    // No message can carry one; our own marks in texts rely on it (rewrite::edits).
    if let Some(at) = memchr::memchr(0, text.as_bytes()) {
        return Err(*bad(at, "zero byte in a statement"));
    }
    let mut tokens = Vec::with_capacity(text.len() / 5 + 4);
    let mut lexer = Lexer::new(text);
    while let Some(lexeme) = lexer.read().map_err(|refusal| *refusal)? {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let (start, end) = (offset(lexeme.start), offset(lexeme.end));
        tokens.push(Token { kind: lexeme.kind, value: lexeme.body.decoded(), start, end });
        if tokens.len() > MAX_TOKENS {
            return Err(Refusal::new(RefusalCode::TooManyTokens, "statement has too many elements")
                .with_hint(format!("The limit is {MAX_TOKENS} tokens.")));
        }
    }
    Ok(tokens)
}

/// A token as it stands in the text.
#[derive(Debug)]
pub struct Lexeme<'a> {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Its content.
    pub body: Body<'a>,
}

/// The content of a token, decoded as far as it costs nothing.
#[derive(Debug)]
pub enum Body<'a> {
    /// As it stands.
    Plain(&'a str),
    /// In lower case.
    Folded(&'a str),
    /// With every second of these quotes left out.
    Doubled(&'a str, char),
    /// Decoded.
    Own(String),
}

impl Body<'_> {
    /// The content.
    pub fn decoded(self) -> SmolStr {
        match self {
            Self::Own(text) => text.into(),
            Self::Folded(text) if text.bytes().any(|byte| byte.is_ascii_uppercase()) => self.content().into(),
            Self::Plain(text) | Self::Folded(text) => text.into(),
            Self::Doubled(..) => self.content().into(),
        }
    }

    /// Whether this is the content.
    pub fn is(&self, content: &str) -> bool {
        match self {
            Self::Plain(text) => *text == content,
            Self::Folded(text) => {
                text.len() == content.len()
                    && text.bytes().zip(content.bytes()).all(|(byte, folded)| byte.to_ascii_lowercase() == folded)
            }
            Self::Doubled(..) => *self.content() == *content,
            Self::Own(text) => text == content,
        }
    }

    /// As [`Self::decoded`], to look at.
    pub fn content(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Folded(text) => Cow::Owned(text.to_ascii_lowercase()),
            Self::Doubled(text, '"') => Cow::Owned(text.replace("\"\"", "\"")),
            Self::Doubled(text, _) => Cow::Owned(text.replace("''", "'")),
            Self::Own(text) => Cow::Borrowed(text),
        }
    }
}

/// Reads one token after the other; white space and comments are dropped.
#[derive(Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Whether there is a zero byte anywhere: then tokens are searched for it.
    zero: bool,
    /// Whether a comment was dropped.
    pub commented: bool,
    /// The characters of operators at hand, which may be several operators.
    run: super::runs::Run,
}

pub(super) fn is_operator_character(byte: u8) -> bool {
    is(byte, OPERATOR)
}

/// `name` cut as PostgreSQL cuts it: to 63 bytes, at a character.
fn truncate(name: &str) -> &str {
    if name.len() <= MAX_IDENTIFIER {
        return name;
    }
    let mut end = name.len().min(MAX_IDENTIFIER);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or(name)
}

/// A refusal that points at byte `start`.
#[expect(clippy::unnecessary_box_returns, reason = "it is large, and results without one are handed on token by token")]
pub(super) fn bad(start: usize, message: &str) -> Box<Refusal> {
    Box::new(Refusal::new(RefusalCode::BadToken, message).at(u32::try_from(start).unwrap_or(0)))
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            zero: memchr::memchr(0, text.as_bytes()).is_some(),
            commented: false,
            run: super::runs::Run::default(),
        }
    }

    /// The next token; none at the end of the text.
    ///
    /// # Errors
    /// [`RefusalCode::BadToken`].
    pub fn read(&mut self) -> Result<Option<Lexeme<'a>>, Box<Refusal>> {
        if self.skip_space()? { self.token().map(Some) } else { Ok(None) }
    }

    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or("")
    }

    /// The token that ends here.
    fn lexeme(&self, kind: Kind, start: usize, body: Body<'a>) -> Lexeme<'a> {
        Lexeme { kind, start, end: self.at, body }
    }

    /// The token that ends here and whose content is its text.
    fn plain(&self, kind: Kind, start: usize) -> Lexeme<'a> {
        self.lexeme(kind, start, Body::Plain(self.slice(start, self.at)))
    }

    /// Moves to the next token; false at the end of the text.
    pub(super) fn skip_space(&mut self) -> Result<bool, Box<Refusal>> {
        loop {
            let Some(&byte) = self.bytes.get(self.at) else { return Ok(false) };
            if is(byte, SPACE) {
                self.at += 1;
            } else if byte == b'-' && self.peek(1) == b'-' {
                self.skip_line();
            } else if byte == b'/' && self.peek(1) == b'*' {
                self.skip_block()?;
            } else {
                return Ok(true);
            }
        }
    }

    fn skip_line(&mut self) {
        self.commented = true;
        while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn skip_block(&mut self) -> Result<(), Box<Refusal>> {
        self.commented = true;
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

    /// The end of the bytes of these classes from `start` on.
    fn end_of(&self, start: usize, classes: u8) -> usize {
        let rest = self.bytes.get(start..).unwrap_or_default();
        start + rest.iter().position(|byte| !is(*byte, classes)).unwrap_or(rest.len())
    }

    fn word(&mut self) -> Lexeme<'a> {
        let start = self.at;
        self.at = self.end_of(start, IDENTIFIER_PART);
        self.lexeme(Kind::Word, start, Body::Folded(truncate(self.slice(start, self.at))))
    }

    fn token(&mut self) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        let (first, second) = (self.peek(0), self.peek(1));
        // Most tokens are words; those that no literal can be are read at once.
        if is(first, IDENTIFIER_START) && !(is(first, PREFIX) && matches!(second, b'\'' | b'&')) {
            return Ok(self.word());
        }
        match (first, second) {
            (b'\'', _) => self.string(Kind::Text, 0),
            (b'e' | b'E', b'\'') => self.string(Kind::Text, 1),
            (b'n' | b'N', b'\'') => self.string(Kind::National, 1),
            (b'b' | b'B', b'\'') => self.string(Kind::Bits, 1),
            (b'x' | b'X', b'\'') => self.string(Kind::Hex, 1),
            (b'u' | b'U', b'&') if matches!(self.peek(2), b'\'' | b'"') => self.unicode(),
            (b'"', _) => {
                let body = self.quoted_body(start, 1)?;
                self.quoted(body, start)
            }
            (b'$', b'0'..=b'9') => self.parameter(),
            (b'$', _) => self.dollar_quoted(),
            (b'0'..=b'9', _) | (b'.', b'0'..=b'9') => self.number(),
            (byte, _) if is(byte, IDENTIFIER_START) => Ok(self.word()),
            (b'.', b'.') => Err(bad(start, "syntax error at \"..\"")),
            (byte, _) if is(byte, OPERATOR) => self.operator(),
            (_, _) => {
                let (kind, length) = punctuation(first, second).ok_or_else(|| bad(start, "unexpected character"))?;
                self.at += length;
                Ok(self.plain(kind, start))
            }
        }
    }

    fn operator(&mut self) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        let end = self.run.operator(self.bytes, start);
        if end - start > MAX_IDENTIFIER {
            return Err(bad(start, "operator too long"));
        }
        self.at = end;
        let (kind, value) = match self.slice(start, end) {
            "=>" => (Kind::Arrow, "=>"),
            "!=" => (Kind::Operator, "<>"),
            other => (Kind::Operator, other),
        };
        Ok(self.lexeme(kind, start, Body::Plain(value)))
    }

    fn parameter(&mut self) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        self.at += 1;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        self.no_junk(start, "parameter")?;
        let digits = self.slice(start + 1, self.at);
        if digits.parse::<u16>().is_err() {
            return Err(bad(start, "parameter number out of range"));
        }
        Ok(self.lexeme(Kind::Parameter, start, Body::Plain(digits)))
    }

    fn no_junk(&self, start: usize, what: &str) -> Result<(), Box<Refusal>> {
        if is(self.peek(0), IDENTIFIER_PART) {
            return Err(bad(start, &format!("trailing junk after {what}")));
        }
        Ok(())
    }

    fn digits(&mut self, accept: fn(u8) -> bool) {
        while accept(self.peek(0)) || (self.peek(0) == b'_' && accept(self.peek(1))) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        // Digits alone, as most are.
        let end = self.end_of(start, DIGIT);
        if end > start && self.bytes.get(end).is_none_or(|next| *next != b'.' && !is(*next, IDENTIFIER_PART)) {
            self.at = end;
            return Ok(self.plain(Kind::Number, start));
        }
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
        Ok(self.plain(Kind::Number, start))
    }

    fn dollar_quoted(&mut self) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        let mut end = start + 1;
        if self.bytes.get(end).is_some_and(|byte| is(*byte, IDENTIFIER_START)) {
            while self.bytes.get(end).is_some_and(|byte| is(*byte, IDENTIFIER_PART) && *byte != b'$') {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Err(bad(start, "syntax error at \"$\""));
        }
        let tag = self.slice(start, end + 1);
        let body = end + 1;
        let rest = self.text.get(body..).unwrap_or("");
        let Some(length) = rest.find(tag) else {
            return Err(bad(start, "unterminated dollar-quoted string"));
        };
        self.at = body + length + tag.len();
        Ok(self.lexeme(Kind::Text, start, Body::Plain(self.slice(body, body + length))))
    }

    /// Any `'…'` form but `U&'…'`; `prefix` bytes stand before the quote.
    fn string(&mut self, kind: Kind, prefix: usize) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        let escapes = kind == Kind::Text && prefix == 1;
        self.at += prefix;
        let body = match self.simple_body(escapes) {
            Some(body) => body,
            None => Body::Own(self.string_body(start, escapes)?),
        };
        if matches!(kind, Kind::Bits | Kind::Hex) {
            let accept: fn(u8) -> bool =
                if kind == Kind::Bits { |byte| matches!(byte, b'0' | b'1') } else { |byte| byte.is_ascii_hexdigit() };
            let fits = match &body {
                Body::Plain(text) => text.bytes().all(accept),
                Body::Own(text) => text.bytes().all(accept),
                Body::Folded(_) | Body::Doubled(..) => false,
            };
            if !fits {
                return Err(bad(start, "invalid digit in a bit-string literal"));
            }
        }
        Ok(self.lexeme(kind, start, body))
    }

    /// The body from the opening quote, when it needs no decoding but of doubled quotes; else stays where it is.
    fn simple_body(&mut self, escapes: bool) -> Option<Body<'a>> {
        let body = self.at + 1;
        let mut doubled = false;
        let mut end = body;
        loop {
            end += memchr::memchr(b'\'', self.bytes.get(end..)?)?;
            if self.bytes.get(end + 1) != Some(&b'\'') {
                break;
            }
            doubled = true;
            end += 2;
        }
        let text = self.slice(body, end);
        let bytes = text.as_bytes();
        if (self.zero && memchr::memchr(0, bytes).is_some()) || (escapes && memchr::memchr(b'\\', bytes).is_some()) {
            return None;
        }
        let before = std::mem::replace(&mut self.at, end + 1);
        if self.continues() {
            self.at = before;
            return None;
        }
        Some(if doubled { Body::Doubled(text, '\'') } else { Body::Plain(text) })
    }

    /// The decoded body, from the opening quote, with every continuation on later lines.
    pub(super) fn string_body(&mut self, start: usize, escapes: bool) -> Result<String, Box<Refusal>> {
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
                Some(byte) if is(*byte, SPACE) => at += 1,
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

    /// The raw body of a quoted identifier, doubled quotes to be undone; `prefix` bytes end with the opening quote.
    fn quoted_body(&mut self, start: usize, prefix: usize) -> Result<Body<'a>, Box<Refusal>> {
        let body = self.at + prefix;
        let mut doubled = false;
        let mut end = body;
        loop {
            match self.bytes.get(end..).and_then(|rest| rest.iter().position(|byte| *byte == b'"')) {
                Some(length) => end += length,
                None => return Err(bad(start, "unterminated quoted identifier")),
            }
            if self.bytes.get(end + 1) != Some(&b'"') {
                break;
            }
            doubled = true;
            end += 2;
        }
        self.at = end + 1;
        let text = self.slice(body, end);
        Ok(if doubled { Body::Doubled(text, '"') } else { Body::Plain(text) })
    }

    /// A quoted identifier that ends here.
    fn quoted(&self, body: Body<'a>, start: usize) -> Result<Lexeme<'a>, Box<Refusal>> {
        let decoded = !matches!(body, Body::Plain(_));
        let checked = |name: &str| {
            if name.is_empty() {
                return Err(bad(start, "zero-length delimited identifier"));
            }
            // An escape may have made one.
            if (self.zero || decoded) && memchr::memchr(0, name.as_bytes()).is_some() {
                return Err(bad(start, "identifier holds a zero byte"));
            }
            Ok(())
        };
        let body = match body {
            Body::Plain(name) => {
                checked(name)?;
                Body::Plain(truncate(name))
            }
            other @ (Body::Folded(_) | Body::Doubled(..) | Body::Own(_)) => {
                let name = other.decoded();
                checked(&name)?;
                Body::Own(truncate(&name).to_owned())
            }
        };
        Ok(self.lexeme(Kind::Quoted, start, body))
    }

    /// `U&"…"` and `U&'…'`, with an optional `UESCAPE '…'` behind.
    fn unicode(&mut self) -> Result<Lexeme<'a>, Box<Refusal>> {
        let start = self.at;
        let identifier = self.peek(2) == b'"';
        let raw = if identifier {
            self.quoted_body(start, 3)?.decoded().to_string()
        } else {
            self.at += 2;
            self.string_body(start, false)?
        };
        let escape = self.uescape(start)?;
        let value = Self::unescape(start, &raw, escape)?;
        if identifier {
            return self.quoted(Body::Own(value), start);
        }
        if value.contains('\0') {
            return Err(bad(start, "string literal holds a zero byte"));
        }
        Ok(self.lexeme(Kind::Text, start, Body::Own(value)))
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
            (r"E'a\v'", r"! what \v is depends on the version of the server; write v or \x0b"),
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
