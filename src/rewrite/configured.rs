//! `SELECT set_config('name', value, local)` on its own, which is as good as SET. In: tokens. Out: what it sets. Invariant: nothing else is
//! taken for it.

use crate::{
    catalog::CatalogSnapshot,
    sql::{Kind, Token},
};

/// `SELECT set_config('name', value, local)`.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a> {
    /// The literal with the name of the setting.
    pub name: &'a Token,
    /// Its value.
    pub value: Value<'a>,
}

/// What a setting is set to.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A string literal.
    Literal(&'a Token),
    /// A parameter that is a text, by its number.
    Parameter(u16),
}

/// The setting that a statement sets which is one call of `set_config` and nothing else: the call is made once, whatever is stored.
pub fn configured<'a>(tokens: &'a [Token], catalog: &CatalogSnapshot) -> Option<Configured<'a>> {
    let mut rest = Rest(tokens);
    rest.word(&["select"])?;
    if rest.word(&["pg_catalog"]).is_some() {
        rest.kind(Kind::Dot)?;
    }
    rest.word(&["set_config"])?;
    rest.kind(Kind::Open)?;
    let name = rest.kind(Kind::Text)?;
    rest.kind(Kind::Comma)?;
    let value = match rest.kind(Kind::Text) {
        Some(literal) => Value::Literal(literal),
        None => Value::Parameter(rest.parameter(&["text", "varchar"], catalog)?),
    };
    rest.kind(Kind::Comma)?;
    if rest.word(&["true", "false"]).is_none() {
        rest.parameter(&["bool", "boolean"], catalog)?;
    }
    rest.kind(Kind::Close)?;
    if rest.word(&["as"]).is_some() {
        let _name = rest.next(Token::is_name)?;
    }
    rest.0.is_empty().then_some(Configured { name, value })
}

/// Tokens that have not been read.
struct Rest<'a>(&'a [Token]);

impl<'a> Rest<'a> {
    fn next(&mut self, fits: impl Fn(&Token) -> bool) -> Option<&'a Token> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| fits(first))?;
        self.0 = rest;
        Some(first)
    }

    fn kind(&mut self, kind: Kind) -> Option<&'a Token> {
        self.next(|token| token.kind == kind)
    }

    fn word(&mut self, words: &[&str]) -> Option<&'a Token> {
        self.next(|token| words.iter().any(|word| token.is_word(word)))
    }

    /// `$1`, also cast to one of these types: its number.
    fn parameter(&mut self, types: &[&str], catalog: &CatalogSnapshot) -> Option<u16> {
        let casts = self.word(&["cast"]).is_some();
        if casts {
            self.kind(Kind::Open)?;
        }
        let number = self.kind(Kind::Parameter)?.name().parse().ok()?;
        let follows = if casts { self.word(&["as"]) } else { self.kind(Kind::Typecast) };
        if follows.is_some() {
            let built_in = self.word(&["pg_catalog"]).is_some();
            if built_in {
                self.kind(Kind::Dot)?;
            }
            let name = self.word(types)?.name();
            // A user's type may be called so.
            (built_in || catalog.types_named(name).next().is_none()).then_some(())?;
        } else if casts {
            return None;
        }
        if casts {
            self.kind(Kind::Close)?;
        }
        Some(number)
    }
}
