//! [`Token`]: one lexical element of a statement, decoded.

use smol_str::SmolStr;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An unquoted identifier or keyword, folded to lower case.
    Word,
    /// A quoted identifier, decoded.
    Quoted,
    /// A string literal of any form (`'…'`, `E'…'`, `U&'…'`, `$$…$$`), decoded.
    Text,
    /// `N'…'`, decoded.
    National,
    /// `B'…'`, the digits.
    Bits,
    /// `X'…'`, the digits.
    Hex,
    /// A number, as written.
    Number,
    /// `$1`; the value is the digits.
    Parameter,
    /// An operator of one or more characters.
    Operator,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `:`
    Colon,
    /// `::`
    Typecast,
    /// `:=`
    Assign,
    /// `=>`
    Arrow,
}

/// What a token does to the nesting of brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// `(` and `[`
    Opens,
    /// `)` and `]`
    Closes,
    /// All others.
    Stays,
}

impl Kind {
    /// What a token of this kind does to the nesting of brackets.
    pub fn nesting(self) -> Nesting {
        match self {
            Self::Open | Self::OpenBracket => Nesting::Opens,
            Self::Close | Self::CloseBracket => Nesting::Closes,
            Self::Word
            | Self::Quoted
            | Self::Text
            | Self::National
            | Self::Bits
            | Self::Hex
            | Self::Number
            | Self::Parameter
            | Self::Operator
            | Self::Comma
            | Self::Semicolon
            | Self::Dot
            | Self::Colon
            | Self::Typecast
            | Self::Assign
            | Self::Arrow => Nesting::Stays,
        }
    }
}

impl Kind {
    /// Whether a token of this kind is a constant: a string or a number.
    pub fn is_literal(self) -> bool {
        match self {
            Self::Text | Self::National | Self::Bits | Self::Hex | Self::Number => true,
            Self::Word
            | Self::Quoted
            | Self::Parameter
            | Self::Operator
            | Self::Open
            | Self::Close
            | Self::OpenBracket
            | Self::CloseBracket
            | Self::Comma
            | Self::Semicolon
            | Self::Dot
            | Self::Colon
            | Self::Typecast
            | Self::Assign
            | Self::Arrow => false,
        }
    }
}

/// Which literals of a text a stage looked into, as their places in it. A plan may be used again for a text that
/// differs in other literals only, so nothing outside `sql` sees a literal's content without leaving a trace here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// In ascending order.
    starts: Vec<u32>,
}

impl Reads {
    fn note(&mut self, start: u32) {
        // Most are read in the order of the text.
        if self.starts.last().is_none_or(|last| *last < start) {
            self.starts.push(start);
        } else if let Err(place) = self.starts.binary_search(&start) {
            self.starts.insert(place, start);
        }
    }

    /// Adds what another stage read.
    pub fn extend(&mut self, more: &Reads) {
        more.starts.iter().for_each(|start| self.note(*start));
    }

    /// First bytes of the literals that were read, in ascending order.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }
}

/// One token with its decoded content: of words and quoted identifiers the name that PostgreSQL looks up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Decoded content; that of literals is read through [`Token::literal`] outside `sql`.
    pub(super) value: SmolStr,
    /// First byte in the client's text.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

impl Token {
    /// Whether it is this keyword or bare word (lower-case).
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && &*self.value == word
    }

    /// Whether it names something: a word or a quoted identifier.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// Whether it is this operator.
    pub fn is_operator(&self, operator: &str) -> bool {
        self.kind == Kind::Operator && &*self.value == operator
    }

    /// Whether it is a constant: a literal or a number.
    pub fn is_literal(&self) -> bool {
        self.kind.is_literal()
    }

    /// The content of what is no literal; empty for literals.
    pub fn name(&self) -> &str {
        if self.is_literal() { "" } else { &self.value }
    }

    /// The content of a literal; none for others. That it was read is noted.
    pub fn literal(&self, reads: &mut Reads) -> Option<&str> {
        self.is_literal().then(|| {
            reads.note(self.start);
            &*self.value
        })
    }

    /// The content, literal or not, for commands whose plans are never used for another text.
    pub fn content(&self) -> &str {
        &self.value
    }
}
