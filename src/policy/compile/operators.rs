//! Operators of a condition of which the database holds others outside `pg_catalog` → the same condition with
//! `OPERATOR(pg_catalog.…)` in their place. In: tokens of one expression, and which of them bring in a value of a type that is no
//! built-in one. Out: its text. Invariant: in what comes out no search path decides which operator is meant.
//!
//! A qualified operator binds as all operators without a rank of their own do, so what stands around each has to be put in brackets:
//! the grouping is found by PostgreSQL's own precedences (`gram.y`). Words that mean an operator (IN, BETWEEN, LIKE) become the
//! operators that PostgreSQL makes of them. What is not understood is a complaint, never a guess.

mod grouping;

use std::ops::Range;

use grouping::Read;

use crate::{
    catalog::{CatalogSnapshot, Column},
    names::{FIRST_USER_OID, quote_ident},
    sql::{
        Kind, Nesting, Token, emit,
        keywords::{self, Category},
    },
};

/// A use of a value whose type is not PostgreSQL's own.
pub(super) struct Foreign {
    pub tokens: Range<usize>,
    /// What it is, for people.
    pub what: String,
}

/// Whether operators on a column may be those of an extension: its type is no built-in one, nor an enum, a range or a row, whose operators
/// are built in.
pub(super) fn is_foreign(column: &Column, catalog: &CatalogSnapshot) -> bool {
    if column.type_oid < FIRST_USER_OID {
        return false;
    }
    let element = || catalog.data().types.iter().find(|one| one.array_oid == Some(column.type_oid));
    match column.type_kind {
        'e' | 'r' | 'm' | 'c' => false,
        'b' if column.type_category == 'A' => element().is_none_or(|one| !matches!(one.kind, 'e' | 'r' | 'm' | 'c')),
        _base_or_domain => true,
    }
}

/// The condition with each such operator written as the built-in one; none where there is no such operator.
///
/// # Errors
/// What has to be written otherwise.
pub(super) fn qualified(
    tokens: &[Token],
    foreign: &[Foreign],
    catalog: &CatalogSnapshot,
) -> Result<Option<String>, String> {
    let pass = Pass { tokens, foreign, catalog };
    if (0..tokens.len()).all(|at| pass.implied(at).is_none() && !pass.is_bare(at)) {
        return Ok(None);
    }
    pass.clauses(0..tokens.len()).map(Some)
}

/// Words that stand between expressions.
const BETWEEN_EXPRESSIONS: &[&str] = &[
    "select",
    "from",
    "where",
    "group",
    "by",
    "having",
    "order",
    "limit",
    "offset",
    "fetch",
    "union",
    "intersect",
    "except",
    "on",
    "using",
    "join",
    "inner",
    "cross",
    "natural",
    "outer",
    "lateral",
    "as",
    "with",
    "recursive",
    "values",
    "when",
    "then",
    "else",
    "asc",
    "desc",
    "nulls",
    "filter",
    "over",
    "partition",
    "window",
    "for",
    "distinct",
    "both",
    "leading",
    "trailing",
];

struct Pass<'a> {
    tokens: &'a [Token],
    foreign: &'a [Foreign],
    catalog: &'a CatalogSnapshot,
}

impl Pass<'_> {
    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    fn is_word(&self, at: usize, words: &[&str]) -> bool {
        self.token(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
    }

    fn is_kind(&self, at: usize, kind: Kind) -> bool {
        self.token(at).is_some_and(|token| token.kind == kind)
    }

    fn has_others(&self, operator: &str) -> bool {
        self.catalog.operators_named(operator).next().is_some()
    }

    /// Whether an operator stands here by its name alone, and there are others of that name.
    fn is_bare(&self, at: usize) -> bool {
        let Some(token) = self.token(at).filter(|token| token.kind == Kind::Operator) else { return false };
        let qualified = at.checked_sub(1).is_some_and(|before| self.is_kind(before, Kind::Dot));
        !qualified && !self.is_sign(at) && !self.is_all(at) && self.has_others(token.name())
    }

    /// `-5`: the grammar makes one number of it.
    fn is_sign(&self, at: usize) -> bool {
        let sign = self.token(at).is_some_and(|token| token.is_operator("-") || token.is_operator("+"));
        let tighter = self.token(at + 2).is_some_and(|after| {
            matches!(after.kind, Kind::Typecast | Kind::OpenBracket)
                || after.is_operator("^")
                || after.is_word("at")
                || after.is_word("collate")
        });
        sign && self.is_kind(at + 1, Kind::Number) && !tighter && self.begins(at)
    }

    /// `count(*)`, `SELECT *`, `s.*`
    fn is_all(&self, at: usize) -> bool {
        let alone = [Kind::Close, Kind::Comma].iter().any(|kind| self.is_kind(at + 1, *kind));
        self.token(at).is_some_and(|token| token.is_operator("*"))
            && self.begins(at)
            && (alone || self.is_word(at + 1, BETWEEN_EXPRESSIONS))
    }

    /// Whether an operand, and no operator between two, is expected here.
    fn begins(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).and_then(|before| self.token(before)) else { return true };
        match before.kind {
            Kind::Open | Kind::OpenBracket | Kind::Comma | Kind::Operator => true,
            Kind::Word => {
                let word = before.name();
                let value = ["null", "true", "false", "end", "default"].contains(&word) || is_value_word(word);
                keywords::category(word) == Some(Category::Reserved) && !value
                    || ["between", "in", "like", "ilike", "is", "not", "to"].contains(&word)
            }
            Kind::Quoted
            | Kind::Text
            | Kind::National
            | Kind::Bits
            | Kind::Hex
            | Kind::Number
            | Kind::Parameter
            | Kind::Close
            | Kind::CloseBracket
            | Kind::Semicolon
            | Kind::Dot
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => false,
        }
    }

    /// The operator of others that a word of the grammar may mean.
    fn implied(&self, at: usize) -> Option<&'static str> {
        let token = self.token(at).filter(|token| token.kind == Kind::Word)?;
        if token.is_word("case") && self.is_word(at + 1, &["when"]) {
            return None;
        }
        // `SELECT DISTINCT` and `count(DISTINCT …)` compare by the type.
        if token.is_word("distinct") && !self.is_word(at + 1, &["from"]) {
            return None;
        }
        if token.is_word("in") && self.is_in_position(at) {
            return None;
        }
        keywords::implied_operators(token.name()).iter().copied().find(|operator| self.has_others(operator))
    }

    /// Whether the IN at `at` is that of `position(a IN b)`.
    fn is_in_position(&self, at: usize) -> bool {
        let mut depth = 0_usize;
        let opens = self.tokens.iter().take(at).rposition(|token| match token.kind.nesting() {
            Nesting::Closes => {
                depth += 1;
                false
            }
            Nesting::Opens if depth > 0 => {
                depth -= 1;
                false
            }
            Nesting::Opens => true,
            Nesting::Stays => false,
        });
        opens.and_then(|open| open.checked_sub(1)).is_some_and(|before| self.is_word(before, &["position"]))
    }

    /// The token behind the bracket that opens at `at`.
    fn behind(&self, at: usize) -> Result<usize, String> {
        let mut depth = 0_usize;
        for (number, token) in self.tokens.iter().enumerate().skip(at) {
            match token.kind.nesting() {
                Nesting::Opens => depth += 1,
                Nesting::Closes => depth = depth.saturating_sub(1),
                Nesting::Stays => {}
            }
            if depth == 0 {
                return Ok(number + 1);
            }
        }
        Err("a bracket is not closed".to_owned())
    }

    /// The token behind the END of the CASE at `at`.
    fn behind_case(&self, at: usize) -> Result<usize, String> {
        let mut depth = 0_usize;
        for (number, token) in self.tokens.iter().enumerate().skip(at) {
            depth += usize::from(token.is_word("case"));
            if token.is_word("end") {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(number + 1);
                }
            }
        }
        Err("a CASE has no END".to_owned())
    }

    /// Where the bracket or CASE that begins at `at` ends; the next token otherwise.
    fn step(&self, at: usize) -> Result<usize, String> {
        if self.is_word(at, &["case"]) {
            return self.behind_case(at);
        }
        match self.token(at).map(|token| token.kind.nesting()) {
            Some(Nesting::Opens) => self.behind(at),
            Some(Nesting::Closes | Nesting::Stays) | None => Ok(at + 1),
        }
    }

    /// Whether an expression ends here.
    fn parts(&self, at: usize) -> bool {
        if self.is_kind(at, Kind::Comma) || self.is_kind(at, Kind::Semicolon) {
            return true;
        }
        if self.is_word(at, &["in"]) {
            return self.is_in_position(at);
        }
        let Some(before) = at.checked_sub(1) else { return self.is_word(at, BETWEEN_EXPRESSIONS) };
        // Names: `pg_catalog.left(…)`, `left(…)`.
        if self.is_kind(before, Kind::Dot) || self.is_kind(at + 1, Kind::Dot) {
            return false;
        }
        // `timestamp with time zone`
        if self.is_word(at, &["with"]) && self.is_word(at + 1, &["time"]) {
            return false;
        }
        if self.is_word(at, &["left", "right", "full"]) {
            return self.is_word(at + 1, &["join", "outer"]);
        }
        let compares = self.is_word(at, &["distinct"]) && self.is_word(before, &["is", "not"])
            || self.is_word(at, &["from"]) && self.is_word(before, &["distinct"]);
        self.is_word(at, BETWEEN_EXPRESSIONS) && !compares
    }

    /// Expressions, and what stands between them.
    fn clauses(&self, range: Range<usize>) -> Result<String, String> {
        let mut out = Vec::new();
        let mut start = range.start;
        let mut at = range.start;
        while at < range.end {
            if self.parts(at) {
                if let Some(operator) = self.implied(at).filter(|_| self.is_word(at, &["using", "natural"])) {
                    return Err(self.complaint(at, operator));
                }
                out.push(self.segment(start..at)?);
                out.push(emit::text(self.tokens.get(at..=at).unwrap_or(&[])));
                at += 1;
                start = at;
            } else {
                at = self.step(at)?;
            }
        }
        out.push(self.segment(start..range.end)?);
        out.retain(|part| !part.is_empty());
        Ok(out.join(" "))
    }

    /// One expression, or something else that stands where one may.
    fn segment(&self, range: Range<usize>) -> Result<String, String> {
        let mut at = range.start;
        let mut concerned = false;
        while at < range.end {
            concerned |= self.is_bare(at) || self.implied(at).is_some() && !self.is_word(at, &["case"]);
            at = self.step(at)?;
        }
        if !concerned {
            return self.copied(range);
        }
        let read = self.expression(range.start, range.end, 0)?;
        if read.tokens.end != range.end {
            return Err(self.unclear(read.tokens.end));
        }
        Ok(read.text)
    }

    /// The tokens as they are, but for what is in brackets.
    fn copied(&self, range: Range<usize>) -> Result<String, String> {
        let mut out = String::new();
        let mut at = range.start;
        while at < range.end {
            let next = self.step(at)?;
            if next == at + 1 {
                if let Some(token) = self.token(at) {
                    emit::push(&mut out, token);
                }
                at = next;
                continue;
            }
            let (open, close) =
                (self.tokens.get(at..=at).unwrap_or(&[]), self.tokens.get(next - 1..next).unwrap_or(&[]));
            if self.is_word(at, &["case"])
                && let Some(operator) = self.implied(at)
            {
                return Err(self.complaint(at, operator));
            }
            let nullif = at.checked_sub(1).filter(|before| self.is_word(*before, &["nullif"]));
            if let Some((before, operator)) = nullif.and_then(|before| Some((before, self.implied(before)?))) {
                return Err(self.complaint(before, operator));
            }
            let inside = self.clauses(at + 1..next - 1)?;
            for token in open {
                emit::push(&mut out, token);
            }
            if self.is_word(at, &["case"]) {
                out.push(' ');
            }
            out.push_str(&inside);
            if self.is_word(at, &["case"]) {
                out.push(' ');
            }
            for token in close {
                emit::push(&mut out, token);
            }
            at = next;
        }
        Ok(out)
    }

    /// The text of a column alone: what the parser takes before `OPERATOR(…) ANY`.
    fn column(&self, left: &Read, at: usize, operator: &str) -> Result<String, String> {
        let names = self.tokens.get(left.tokens.clone()).unwrap_or(&[]);
        let column = match names {
            [one] => one.is_name(),
            [table, dot, one] => table.is_name() && dot.kind == Kind::Dot && one.is_name(),
            _ => false,
        };
        if column { Ok(left.text.clone()) } else { Err(self.complaint(at, operator)) }
    }

    /// Complains of an operator between values that may be of a type with operators of its own.
    fn is_own(&self, at: usize, operator: &str, operands: &Range<usize>) -> Result<(), String> {
        // What a derived table hands out may be of any of these types.
        let derived = self.tokens.windows(2).any(|pair| {
            let [before, open] = pair else { return false };
            let begins =
                ["from", "join", "lateral"].iter().any(|word| before.is_word(word)) || before.kind == Kind::Comma;
            before.is_word("with") || begins && open.kind == Kind::Open
        });
        let within = |one: &&Foreign| derived || one.tokens.start >= operands.start && one.tokens.end <= operands.end;
        let Some(Foreign { what, .. }) = self.foreign.iter().find(within) else { return Ok(()) };
        let word = self.token(at).filter(|token| token.kind == Kind::Word).map(|token| token.name().to_uppercase());
        let instead = word.map_or_else(String::new, |word| format!(" instead of {word}"));
        Err(format!(
            "{what}, and which operator {operator} is meant depends on the search path: write {}{instead}",
            self.choices(operator)
        ))
    }

    /// How the operators of this name are written.
    fn choices(&self, operator: &str) -> String {
        let mut schemas: Vec<&str> = self.catalog.operators_named(operator).map(|one| one.schema.as_str()).collect();
        schemas.push("pg_catalog");
        schemas.sort_unstable();
        schemas.dedup();
        let written: Vec<String> =
            schemas.iter().map(|schema| format!("OPERATOR({}.{operator})", quote_ident(schema))).collect();
        written.join(" or ")
    }

    fn complaint(&self, at: usize, operator: &str) -> String {
        let word = match self.token(at) {
            Some(token) if token.kind == Kind::Word => token.name().to_uppercase(),
            Some(_) | None => format!("this use of {operator}"),
        };
        format!("{word} may mean an operator {operator} outside pg_catalog: write it with {}", self.choices(operator))
    }

    fn unclear(&self, at: usize) -> String {
        let near =
            self.token(at).map_or("its end", |token| if token.is_literal() { "a literal" } else { token.name() });
        let bare = (0..self.tokens.len()).find(|at| self.is_bare(*at) || self.implied(*at).is_some());
        let operator = bare.and_then(|at| self.implied(at).or(self.token(at).map(Token::name))).unwrap_or("=");
        format!(
            "there is an operator {operator} outside pg_catalog too, and what it stands between is not clear near {near}: use brackets, or write {}",
            self.choices(operator)
        )
    }
}

/// Reserved words that are values.
fn is_value_word(word: &str) -> bool {
    word.starts_with("current_")
        || matches!(word, "session_user" | "user" | "localtime" | "localtimestamp" | "system_user")
}
