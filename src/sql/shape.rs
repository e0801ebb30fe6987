//! The shape of a text: its tokens with the contents of literals left out. Texts of one shape differ in literals, white
//! space, comments, and the writing of names only, so that one plan serves them all (`design.md` §7).
//!
//! In: text. Out: bytes that are equal exactly for texts of one shape, and the literals in order. One pass, by the same
//! lexer that the pipeline uses.

use smallvec::SmallVec;

use super::{
    Kind, emit,
    lex::{Body, Lexer},
};

/// Parts the names in a shape; no UTF-8 text holds it.
const END: u8 = 0xff;

/// A text's shape and its literals.
#[derive(Debug)]
pub struct Shape<'a> {
    /// Equal for texts of one shape only.
    pub key: Vec<u8>,
    /// In the order of the text.
    pub literals: SmallVec<[Literal<'a>; 8]>,
}

/// One literal of a text.
#[derive(Debug)]
pub struct Literal<'a> {
    kind: Kind,
    body: Body<'a>,
}

impl<'a> Shape<'a> {
    /// The shape of `text`; none when it does not split into tokens.
    pub fn of(text: &'a str) -> Option<Self> {
        let mut key = Vec::with_capacity(text.len() + 32);
        let mut literals = SmallVec::new();
        let mut lexer = Lexer::new(text);
        while let Some(lexeme) = lexer.read().ok()? {
            key.push(lexeme.kind as u8);
            match lexeme.kind {
                Kind::Text | Kind::National | Kind::Bits | Kind::Hex | Kind::Number => {
                    literals.push(Literal { kind: lexeme.kind, body: lexeme.body });
                }
                Kind::Word | Kind::Quoted | Kind::Parameter | Kind::Operator => {
                    match lexeme.body {
                        Body::Plain(name) => key.extend_from_slice(name.as_bytes()),
                        Body::Folded(name) => {
                            let from = key.len();
                            key.extend_from_slice(name.as_bytes());
                            key.get_mut(from..).unwrap_or_default().make_ascii_lowercase();
                        }
                        doubled @ Body::Doubled(..) => key.extend_from_slice(doubled.decoded().as_bytes()),
                        Body::Own(name) => key.extend_from_slice(name.as_bytes()),
                    }
                    key.push(END);
                }
                // The kind says it all.
                Kind::Open
                | Kind::Close
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
        Some(Self { key, literals })
    }
}

impl Literal<'_> {
    /// Appends the literal as [`super::emit`] prints it.
    pub fn print(&self, out: &mut String) {
        let simple = |text: &str| memchr::memchr2(b'\'', b'\\', text.as_bytes()).is_none();
        match (&self.body, self.kind) {
            (Body::Plain(text), Kind::Number) => out.push_str(text),
            (Body::Plain(text), Kind::Text) if simple(text) => {
                out.push('\'');
                out.push_str(text);
                out.push('\'');
            }
            (Body::Plain(text), kind) => emit::push_literal(out, kind, text),
            (Body::Own(text), kind) => emit::push_literal(out, kind, text),
            (body @ (Body::Folded(_) | Body::Doubled(..)), kind) => emit::push_literal(out, kind, &body.content()),
        }
    }

    /// About how many bytes [`Self::print`] appends.
    pub fn about(&self) -> usize {
        let length = match &self.body {
            Body::Plain(text) | Body::Folded(text) | Body::Doubled(text, _) => text.len(),
            Body::Own(text) => text.len(),
        };
        length + 3
    }

    /// Whether this is its content.
    pub fn is(&self, content: &str) -> bool {
        self.body.is(content)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::super::lex::lex;
    use super::*;

    #[test]
    fn shapes_differ_as_tokens_do() {
        let same = |a: &str, b: &str| Shape::of(a).unwrap().key == Shape::of(b).unwrap().key;
        for (a, b) in [
            ("select 'a' from t -- x", "SELECT  $$b'c$$\nFROM T"),
            ("select 1", "select 0x1F /* x */"),
            ("select E'\\n' \"T\"", "select U&'\\0041' U&\"\\0054\""),
            ("select a != 1", "select a <> 22"),
        ] {
            assert!(same(a, b), "{a} and {b}");
        }
        for (a, b) in [
            ("select 1", "select '1'"),
            ("select 'a'", "select N'a'"),
            ("select 'a'", "select B'1'"),
            ("select a", "select \"a\""),
            ("select ab", "select a b"),
            ("select -1", "select 1"),
            ("select $1", "select $2"),
            ("select 'a' 'b'", "select 'a'\n'b'"),
            ("select 1;", "select 1"),
        ] {
            assert!(!same(a, b), "{a} and {b}");
        }
        assert!(Shape::of("select 'a").is_none());
    }

    #[test]
    fn literals_print_as_tokens_do() {
        for sql in
            ["'a'", "'a''b\\'", "E'a\\'b'", "$q$a'b\\$q$", "N'a''b'", "X'1F'", "1.5e3", "'a'\n'b'", "''", "U&'\\0041'"]
        {
            let shape = Shape::of(sql).unwrap();
            let tokens = lex(sql).unwrap();
            let mut out = String::new();
            shape.literals.iter().for_each(|literal| literal.print(&mut out));
            assert_eq!(out, emit::text(&tokens), "{sql}");
            assert!(shape.literals.iter().zip(&tokens).all(|(literal, token)| literal.is(&token.value)));
        }
    }
}
