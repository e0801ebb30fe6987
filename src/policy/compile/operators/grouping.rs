//! One expression of a condition, grouped as PostgreSQL groups it. In: its tokens. Out: its text, in which each operator that has others of
//! its name stands qualified, in brackets with its operands. Invariant: what is not understood is not grouped, but complained about.

use std::ops::Range;

use super::{Pass, is_value_word};
use crate::sql::{
    Kind, Token, emit,
    keywords::{self, Category},
};

/// An expression that was read.
pub(super) struct Read {
    pub text: String,
    pub tokens: Range<usize>,
    /// Whether it needs no brackets beside any operator.
    whole: bool,
}

impl Read {
    fn operand(&self) -> String {
        if self.whole { self.text.clone() } else { format!("({})", self.text) }
    }
}

/// Ranks of `gram.y`, from loosest to tightest.
mod rank {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const IS: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const WORD: u8 = 6;
    pub(super) const OTHER: u8 = 7;
    pub(super) const SUM: u8 = 8;
    pub(super) const PRODUCT: u8 = 9;
    pub(super) const POWER: u8 = 10;
    pub(super) const ZONE: u8 = 11;
    pub(super) const SIGN: u8 = 13;
}

impl Pass<'_> {
    /// An expression of operators of at least this rank.
    pub(super) fn expression(&self, start: usize, end: usize, least: u8) -> Result<Read, String> {
        let mut left = self.operand(start, end)?;
        // A second comparison beside one would be an error of PostgreSQL.
        let mut compared = u8::MAX;
        while left.tokens.end < end {
            let at = left.tokens.end;
            let (found, negated) = (at + usize::from(self.is_word(at, &["not"])), self.is_word(at, &["not"]));
            // What is no operator ends the expression: whoever reads it looks at that.
            let Some(rank) = self.rank(found).filter(|rank| *rank >= least) else { break };
            if rank == compared || negated && rank != rank::WORD {
                return Err(self.unclear(at));
            }
            compared = if matches!(rank, rank::COMPARISON | rank::WORD) { rank } else { u8::MAX };
            left = match rank {
                rank::WORD => self.word(&left, found, negated, end)?,
                rank::IS => self.is(&left, end)?,
                rank => self.infix(&left, end, rank)?,
            };
        }
        Ok(left)
    }

    /// The rank of what stands between two operands, or behind one.
    fn rank(&self, at: usize) -> Option<u8> {
        let token = self.token(at)?;
        if token.kind == Kind::Operator {
            return Some(match token.name() {
                "=" | "<" | ">" | "<=" | ">=" | "<>" => rank::COMPARISON,
                "+" | "-" => rank::SUM,
                "*" | "/" | "%" => rank::PRODUCT,
                "^" => rank::POWER,
                _other => rank::OTHER,
            });
        }
        if token.kind != Kind::Word {
            return None;
        }
        Some(match token.name() {
            "or" => rank::OR,
            "and" => rank::AND,
            "is" | "isnull" | "notnull" => rank::IS,
            "in" | "like" | "ilike" | "between" => rank::WORD,
            "operator" if self.is_kind(at + 1, Kind::Open) => rank::OTHER,
            "at" if self.is_word(at + 1, &["time"]) => rank::ZONE,
            _other => return None,
        })
    }

    /// `left operator right`
    fn infix(&self, left: &Read, end: usize, rank: u8) -> Result<Read, String> {
        let at = left.tokens.end;
        let own = match self.token(at) {
            Some(token) if token.is_word("operator") => self.behind(at + 1)?,
            Some(token) if token.is_word("at") => at + 3,
            Some(_) | None => at + 1,
        };
        if self.is_word(own, &["any", "some", "all"]) && self.is_kind(own + 1, Kind::Open) {
            let behind = self.behind(own + 1)?;
            let list = self.copied(own..behind)?;
            let tokens = left.tokens.start..behind;
            if !self.is_bare(at) {
                let operator = emit::text(self.tokens.get(at..own).unwrap_or(&[]));
                return Ok(Read { text: format!("{} {operator} {list}", left.text), tokens, whole: false });
            }
            let operator = self.token(at).map_or("", Token::name);
            self.is_own(at, operator, &tokens)?;
            let text = format!("({} OPERATOR(pg_catalog.{operator}) {list})", self.column(left, at, operator)?);
            return Ok(Read { text, tokens, whole: true });
        }
        let right = self.expression(own, end, rank + 1)?;
        let tokens = left.tokens.start..right.tokens.end;
        if !self.is_bare(at) {
            let operator = emit::text(self.tokens.get(at..own).unwrap_or(&[]));
            return Ok(Read { text: format!("{} {operator} {}", left.text, right.text), tokens, whole: false });
        }
        let operator = self.token(at).map_or("", Token::name);
        self.is_own(at, operator, &tokens)?;
        Ok(Read { text: binary(left, operator, &right), tokens, whole: true })
    }

    /// `left IS …`
    fn is(&self, left: &Read, end: usize) -> Result<Read, String> {
        let at = left.tokens.end;
        let mut own = at + 1;
        if self.is_word(at, &["is"]) {
            own += usize::from(self.is_word(own, &["not"]));
            if let Some(operator) = self.implied(own) {
                return Err(self.complaint(own, operator));
            }
            if self.is_word(own, &["distinct"]) {
                let right = self.expression(own + 2, end, rank::IS + 1)?;
                let between = emit::text(self.tokens.get(at..own + 2).unwrap_or(&[]));
                let text = format!("{} {between} {}", left.text, right.text);
                return Ok(Read { text, tokens: left.tokens.start..right.tokens.end, whole: false });
            }
            if !self.is_word(own, &["null", "true", "false", "unknown"]) {
                return Err(self.unclear(own));
            }
            own += 1;
        }
        let text = format!("{} {}", left.text, emit::text(self.tokens.get(at..own).unwrap_or(&[])));
        Ok(Read { text, tokens: left.tokens.start..own, whole: false })
    }

    /// `left [NOT] IN …`, LIKE, ILIKE, BETWEEN.
    fn word(&self, left: &Read, at: usize, negated: bool, end: usize) -> Result<Read, String> {
        let concerned = self.implied(at);
        let word = self.token(at).map_or("", Token::name);
        let not = if negated { "NOT " } else { "" };
        if word == "in" {
            if !self.is_kind(at + 1, Kind::Open) {
                return Err(self.unclear(at));
            }
            let behind = self.behind(at + 1)?;
            let tokens = left.tokens.start..behind;
            let Some(operator) = concerned else {
                let list = self.copied(at + 1..behind)?;
                return Ok(Read { text: format!("{} {not}IN {list}", left.text), tokens, whole: false });
            };
            self.is_own(at, operator, &tokens)?;
            let text = if self.is_word(at + 2, &["select", "values", "with", "table"]) {
                let list = self.copied(at + 1..behind)?;
                let column = self.column(left, at, operator)?;
                format!("({not}({column} OPERATOR(pg_catalog.=) ANY {list}))")
            } else {
                format!("({not}({}))", self.listed(left, at + 2..behind - 1)?.join(" OR "))
            };
            return Ok(Read { text, tokens, whole: true });
        }
        let symmetric = self.is_word(at + 1, &["symmetric", "asymmetric"]);
        let right = self.expression(at + 1 + usize::from(symmetric), end, rank::OTHER)?;
        let mut tokens = left.tokens.start..right.tokens.end;
        if word == "between" {
            if !self.is_word(tokens.end, &["and"]) {
                return Err(self.unclear(at));
            }
            let high = self.expression(tokens.end + 1, end, rank::OTHER)?;
            tokens.end = high.tokens.end;
            let Some(operator) = concerned else {
                let symmetric = if symmetric {
                    emit::text(self.tokens.get(at + 1..at + 2).unwrap_or(&[])) + " "
                } else {
                    String::new()
                };
                let text = format!("{} {not}BETWEEN {symmetric}{} AND {}", left.text, right.text, high.text);
                return Ok(Read { text, tokens, whole: false });
            };
            if symmetric {
                return Err(self.complaint(at, operator));
            }
            self.is_own(at, operator, &tokens)?;
            let text = format!("({not}({} AND {}))", binary(left, ">=", &right), binary(left, "<=", &high));
            return Ok(Read { text, tokens, whole: true });
        }
        let operator = match (word, negated) {
            ("like", false) => "~~",
            ("like", true) => "!~~",
            ("ilike", false) => "~~*",
            ("ilike", true) => "!~~*",
            _other => return Err(self.unclear(at)),
        };
        let escaped = self.is_word(tokens.end, &["escape"]);
        match concerned {
            Some(other) if escaped => Err(self.complaint(at, other)),
            Some(_) => {
                self.is_own(at, operator, &tokens)?;
                Ok(Read { text: binary(left, operator, &right), tokens, whole: true })
            }
            None if escaped => {
                let escape = self.expression(tokens.end + 1, end, rank::OTHER)?;
                let text = format!("{} {not}{word} {} ESCAPE {}", left.text, right.text, escape.text);
                Ok(Read { text, tokens: tokens.start..escape.tokens.end, whole: false })
            }
            None => Ok(Read { text: format!("{} {not}{word} {}", left.text, right.text), tokens, whole: false }),
        }
    }

    /// `left = element` for each element of a list: what PostgreSQL makes of IN where the elements differ in type.
    fn listed(&self, left: &Read, list: Range<usize>) -> Result<Vec<String>, String> {
        let mut each = Vec::new();
        let mut start = list.start;
        let mut at = list.start;
        while at <= list.end {
            if at == list.end || self.is_kind(at, Kind::Comma) {
                let element = self.expression(start, at, 0)?;
                if element.tokens.end != at {
                    return Err(self.unclear(at));
                }
                each.push(binary(left, "=", &element));
                at += 1;
                start = at;
            } else {
                at = self.step(at)?;
            }
        }
        Ok(each)
    }

    /// NOT, a sign, another operator before its operand, or an operand.
    fn operand(&self, at: usize, end: usize) -> Result<Read, String> {
        if at >= end {
            return Err(self.unclear(at));
        }
        if self.is_word(at, &["not"]) {
            let inner = self.expression(at + 1, end, rank::NOT)?;
            return Ok(Read { text: format!("NOT {}", inner.text), tokens: at..inner.tokens.end, whole: false });
        }
        if self.is_sign(at) {
            let text = emit::text(self.tokens.get(at..at + 2).unwrap_or(&[]));
            return Ok(Read { text, tokens: at..at + 2, whole: false });
        }
        if let Some(token) = self.token(at).filter(|token| token.kind == Kind::Operator) {
            if self.is_bare(at) {
                return Err(self.complaint(at, token.name()));
            }
            let sign = matches!(token.name(), "-" | "+");
            let inner = self.expression(at + 1, end, if sign { rank::SIGN } else { rank::OTHER + 1 })?;
            let text = format!("{} {}", token.name(), inner.text);
            return Ok(Read { text, tokens: at..inner.tokens.end, whole: false });
        }
        self.primary(at, end)
    }

    /// A column, literal, call, bracket or CASE, with casts, subscripts and fields.
    fn primary(&self, start: usize, end: usize) -> Result<Read, String> {
        let token = self.token(start).ok_or_else(|| self.unclear(start))?;
        let mut at = match token.kind {
            Kind::Text | Kind::National | Kind::Bits | Kind::Hex | Kind::Number => start + 1,
            Kind::Open => self.behind(start)?,
            Kind::Word if token.is_word("case") => self.behind_case(start)?,
            Kind::Word if token.is_word("array") && self.is_kind(start + 1, Kind::OpenBracket) => {
                self.behind(start + 1)?
            }
            Kind::Word | Kind::Quoted => self.named(start)?,
            Kind::Parameter
            | Kind::Operator
            | Kind::Close
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Comma
            | Kind::Semicolon
            | Kind::Dot
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => return Err(self.unclear(start)),
        };
        while at < end {
            if self.is_kind(at, Kind::Typecast) {
                at = self.type_name(at + 1)?;
            } else if self.is_kind(at, Kind::OpenBracket) {
                at = self.behind(at)?;
            } else if self.is_kind(at, Kind::Dot) && self.token(at + 1).is_some_and(Token::is_name) {
                at += 2;
            } else if self.is_word(at, &["collate"]) {
                at = self.dotted(at + 1)?;
            } else {
                break;
            }
        }
        Ok(Read { text: self.copied(start..at)?, tokens: start..at, whole: true })
    }

    /// `a.b`, `f(…)`, or a type with a literal behind it.
    fn named(&self, start: usize) -> Result<usize, String> {
        let zoned = self.zoned(start);
        if let Some(literal) = zoned.or(Some(start + 1)).filter(|at| self.is_kind(*at, Kind::Text)) {
            return Ok(literal + 1);
        }
        let word = self.token(start).filter(|token| token.kind == Kind::Word).map_or("", Token::name);
        let constant = ["null", "true", "false"].contains(&word) || is_value_word(word);
        let called = self.is_kind(start + 1, Kind::Open);
        if keywords::category(word) == Some(Category::Reserved) && !constant && !called {
            return Err(self.unclear(start));
        }
        let end = self.dotted(start)?;
        if self.is_kind(end, Kind::Open) { self.behind(end) } else { Ok(end) }
    }

    /// The token behind a dotted name.
    fn dotted(&self, start: usize) -> Result<usize, String> {
        if !self.token(start).is_some_and(Token::is_name) {
            return Err(self.unclear(start));
        }
        let mut at = start + 1;
        while self.is_kind(at, Kind::Dot) && self.token(at + 1).is_some_and(Token::is_name) {
            at += 2;
        }
        Ok(at)
    }

    /// The token behind `timestamp with time zone`.
    fn zoned(&self, start: usize) -> Option<usize> {
        let mut at = start + usize::from(self.is_word(start, &["time", "timestamp"]));
        if at == start {
            return None;
        }
        if self.is_kind(at, Kind::Open) {
            at = self.behind(at).ok()?;
        }
        let zone = self.is_word(at, &["with", "without"])
            && self.is_word(at + 1, &["time"])
            && self.is_word(at + 2, &["zone"]);
        zone.then_some(at + 3)
    }

    /// The token behind the name of a type.
    fn type_name(&self, start: usize) -> Result<usize, String> {
        let mut at = if let Some(end) = self.zoned(start) {
            end
        } else {
            let end = self.dotted(start)?;
            let two = self.is_word(start, &["double"]) && self.is_word(end, &["precision"])
                || self.is_word(start, &["character", "bit"]) && self.is_word(end, &["varying"]);
            end + usize::from(two)
        };
        if self.is_kind(at, Kind::Open) {
            at = self.behind(at)?;
        }
        while self.is_kind(at, Kind::OpenBracket) {
            at = self.behind(at)?;
        }
        Ok(at)
    }
}

fn binary(left: &Read, operator: &str, right: &Read) -> String {
    format!("({} OPERATOR(pg_catalog.{operator}) {})", left.operand(), right.operand())
}
