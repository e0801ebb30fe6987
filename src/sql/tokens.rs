//! [`Token`]: one lexical element of a statement, decoded.

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

/// One token. `value` is the decoded content: of words and quoted identifiers the name that PostgreSQL looks up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Decoded content.
    pub value: Box<str>,
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
        matches!(self.kind, Kind::Text | Kind::National | Kind::Bits | Kind::Hex | Kind::Number)
    }
}
