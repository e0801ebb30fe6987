//! Comparisons of one column with constants (`phone = '…'`), which an exact search may answer from stored values.
//!
//! In: an expression of the tree, and the place in which it stands. Out: a [`Compared`] beside the reference to the column.
//! What is a comparison is read off the tree. Which tokens it is made of is found by spelling the tree again, token by
//! token, from its first to its last: where the tokens are others than the few that such a tree is written with, it is none.

use std::ops::Range;

use sqlparser::ast::{
    Array, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, InTarget, ObjectNamePart, TypedString, UnaryOperator, Value,
};

use super::{
    binder::Binder,
    bound::{Clause, Compared},
};
use crate::{
    catalog::CatalogSnapshot,
    sql::{Kind, Token, parse},
};

/// Types of which a constant may be, such that comparing it with a stored value fails on none and casts none to a type of fewer
/// values.
const CONSTANT_TYPES: &[&str] = &[
    "bigint",
    "bool",
    "boolean",
    "bpchar",
    "char",
    "character",
    "citext",
    "date",
    "decimal",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "name",
    "numeric",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

/// How an expression stands to the condition that it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In no condition on rows.
    Value,
    /// Somewhere in WHERE, ON or FILTER.
    Within,
    /// Only AND, OR and brackets stand between it and WHERE, ON or FILTER.
    Alone,
    /// Only AND and brackets stand between it and WHERE of this query block.
    Conjunct(usize),
}

impl Place {
    /// Whether NULL and false mean the same here.
    pub fn is_alone(self) -> bool {
        match self {
            Self::Alone | Self::Conjunct(_) => true,
            Self::Value | Self::Within => false,
        }
    }

    /// Of a whole expression in a clause.
    pub fn of(clause: Clause) -> Self {
        match clause {
            Clause::Where | Clause::On => Self::Alone,
            Clause::Select
            | Clause::Group
            | Clause::Order
            | Clause::Returning
            | Clause::Assign
            | Clause::Conflict
            | Clause::Other => Self::Value,
        }
    }
}

impl Binder<'_> {
    /// Notes that the one reference bound since `before` is compared with constants by `expression`, if that is so.
    pub(super) fn compared(&mut self, expression: &Expr, place: Place, before: usize) {
        if place == Place::Value {
            return;
        }
        let [reference] = self.bound.references.get_mut(before..).unwrap_or_default() else { return };
        let spelled = Spelled { tokens: self.tokens, catalog: self.catalog };
        let found = spelled.comparison(expression, place);
        if let Some((column, mut compared)) = found
            && column == reference.tokens
            && reference.column.is_some()
        {
            let block = self.bound.relations.get(reference.relation).and_then(|used| used.block);
            compared.conjunct = block.is_some_and(|block| place == Place::Conjunct(block)) && !reference.grouped;
            reference.compared = Some(Box::new(compared));
        }
    }

    /// The place of what an expression is made of, when it stands in `place` itself.
    pub(super) fn place_inside(expression: &Expr, place: Place) -> Place {
        let both =
            matches!(expression, Expr::Nested(_) | Expr::BinaryOp { left: _, op: BinaryOperator::And, right: _ });
        let either = matches!(expression, Expr::BinaryOp { left: _, op: BinaryOperator::Or, right: _ });
        match place {
            Place::Value | Place::Within => place,
            Place::Alone | Place::Conjunct(_) if both => place,
            Place::Alone | Place::Conjunct(_) if either => Place::Alone,
            Place::Alone | Place::Conjunct(_) => Place::Within,
        }
    }
}

/// What a part of a comparison was found to be.
#[derive(Default)]
struct Parts {
    column: Option<Range<usize>>,
    as_text: bool,
    folded: Option<usize>,
    constants: Vec<usize>,
}

/// The tokens that trees are spelled with.
struct Spelled<'a> {
    tokens: &'a [Token],
    catalog: &'a CatalogSnapshot,
}

impl Spelled<'_> {
    fn kind(&self, at: usize, kind: Kind) -> Option<usize> {
        self.tokens.get(at).filter(|token| token.kind == kind).map(|_| at + 1)
    }

    fn word(&self, at: usize, words: &[&str]) -> Option<usize> {
        self.tokens.get(at).filter(|token| words.iter().any(|word| token.is_word(word))).map(|_| at + 1)
    }

    fn equals(&self, at: usize) -> Option<usize> {
        self.tokens.get(at).filter(|token| token.is_operator("=")).map(|_| at + 1)
    }

    /// The column's tokens, and the comparison.
    fn comparison(&self, expression: &Expr, place: Place) -> Option<(Range<usize>, Compared)> {
        let start = self.start(expression)?;
        let mut parts = Parts::default();
        let (mut elements, mut array, mut pattern, mut nulls) = (false, false, None, false);
        let end = if let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expression {
            self.operand(left, start, &mut parts)
                .and_then(|end| self.value(right, self.equals(end)?, &mut parts))
                .or_else(|| {
                    parts = Parts::default();
                    // `constant = column`: the constant is not folded, so the column is not either.
                    let middle = self.equals(self.value(left, start, &mut parts)?)?;
                    self.operand(right, middle, &mut parts).filter(|_| parts.folded.is_none())
                })?
        } else if let Expr::In { expr, target: InTarget::List(list), negated: false, global: false } = expression {
            let at = self.word(self.operand(expr, start, &mut parts)?, &["in"])?;
            self.list(list, self.kind(at, Kind::Open)?, Kind::Close, &mut parts)?
        } else if let Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, is_some: _ } = expression {
            let at = self.equals(self.operand(left, start, &mut parts)?)?;
            let at = self.kind(self.word(at, &["any", "some"])?, Kind::Open)?;
            (elements, array) = (!is_constructed(right), true);
            self.kind(self.array(right, at, &mut parts)?, Kind::Close)?
        } else if let Expr::Like { negated: false, any: false, expr, pattern: like, escape_char: None }
        | Expr::ILike { negated: false, any: false, expr, pattern: like, escape_char: None } = expression
        {
            let at = self.word(self.operand(expr, start, &mut parts)?, &["like", "ilike"])?;
            pattern = Some(at);
            let literal = matches!(&**like, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
            self.constant(like, at, &mut parts).filter(|_| literal)?
        } else if let Expr::IsNotDistinctFrom(left, right) = expression {
            nulls = true;
            let at = self.word(self.operand(left, start, &mut parts)?, &["is"])?;
            let at = self.word(self.word(self.word(at, &["not"])?, &["distinct"])?, &["from"])?;
            // NULL in a parameter would ask where there is no value.
            let literal = |at: &usize| self.tokens.get(*at).is_some_and(Token::is_literal);
            self.value(right, at, &mut parts).filter(|_| parts.constants.iter().all(literal))?
        } else {
            return None;
        };
        let Parts { column, as_text, folded, constants } = parts;
        let folded = folded.is_some();
        let (alone, conjunct) = (place.is_alone(), false);
        Some((
            column?,
            Compared {
                tokens: start..end,
                constants,
                elements,
                array,
                as_text,
                folded,
                pattern,
                nulls,
                alone,
                conjunct,
            },
        ))
    }

    /// The first token of a comparison.
    fn start(&self, expression: &Expr) -> Option<usize> {
        if let Expr::BinaryOp { left: expr, op: BinaryOperator::Eq, right: _ }
        | Expr::AnyOp { left: expr, compare_op: _, right: _, is_some: _ }
        | Expr::In { expr, target: _, negated: _, global: _ }
        | Expr::Like { negated: _, any: _, expr, pattern: _, escape_char: _ }
        | Expr::ILike { negated: _, any: _, expr, pattern: _, escape_char: _ }
        | Expr::IsNotDistinctFrom(expr, _) = expression
        {
            self.first(expr)
        } else {
            None
        }
    }

    /// The first token of what stands on one side of a comparison.
    fn first(&self, expression: &Expr) -> Option<usize> {
        if let Expr::Identifier(ident) = expression {
            parse::ident_index(ident)
        } else if let Expr::CompoundIdentifier(idents) = expression {
            parse::ident_index(idents.first()?)
        } else if let Expr::Value(value) = expression {
            parse::token_index(value.span)
        } else if let Expr::Nested(inner)
        | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } = expression
        {
            self.first(inner)?.checked_sub(1)
        } else if let Some(inner) = folding(expression) {
            // `lower (`
            self.first(inner)?.checked_sub(2)
        } else if let Expr::Cast { kind, expr, data_type: _, format: None } = expression {
            let before = if *kind == CastKind::Cast { 2 } else { 0 };
            self.first(expr)?.checked_sub(before)
        } else if let Expr::TypedString(TypedString { data_type: _, value, uses_odbc_syntax: false }) = expression {
            let text = parse::token_index(value.span)?;
            (1..=6).filter_map(|back| text.checked_sub(back)).find(|start| self.type_name(*start) == Some(text))
        } else {
            None
        }
    }

    /// The column, or `lower(column)`: the token after it.
    fn operand(&self, expression: &Expr, at: usize, parts: &mut Parts) -> Option<usize> {
        if let Expr::Nested(inner) = expression {
            return self.kind(self.operand(inner, self.kind(at, Kind::Open)?, parts)?, Kind::Close);
        }
        let Some(inner) = folding(expression) else { return self.column(expression, at, parts) };
        // A user's function of that name may be another.
        let name = self.tokens.get(self.word(at, &["lower", "upper"])? - 1)?;
        self.catalog.functions_named(name.name()).next().is_none().then_some(())?;
        parts.folded = Some(at);
        self.kind(self.column(inner, self.kind(at + 1, Kind::Open)?, parts)?, Kind::Close)
    }

    /// The column, in brackets or cast to text.
    fn column(&self, expression: &Expr, at: usize, parts: &mut Parts) -> Option<usize> {
        if let Expr::Nested(inner) = expression {
            return self.kind(self.column(inner, self.kind(at, Kind::Open)?, parts)?, Kind::Close);
        }
        if let Expr::Cast { kind, expr, data_type, format: None } = expression {
            // No length: nothing of the value is lost.
            matches!(data_type, DataType::Text | DataType::Varchar(None) | DataType::CharacterVarying(None))
                .then_some(())?;
            parts.as_text = true;
            return self.cast(kind, at, |at| self.column(expr, at, parts));
        }
        let mut end = at;
        let idents = if let Expr::Identifier(ident) = expression {
            std::slice::from_ref(ident)
        } else if let Expr::CompoundIdentifier(idents) = expression {
            idents.as_slice()
        } else {
            return None;
        };
        for (number, ident) in idents.iter().enumerate() {
            end = if number == 0 { end } else { self.kind(end, Kind::Dot)? };
            (parse::ident_index(ident)? == end).then_some(())?;
            self.tokens.get(end).filter(|token| token.is_name() && token.name() == ident.value)?;
            end += 1;
        }
        parts.column = Some(at..end);
        Some(end)
    }

    /// `CAST(… AS type)` or `…::type`: the token after it.
    fn cast(&self, kind: &CastKind, at: usize, inner: impl FnOnce(usize) -> Option<usize>) -> Option<usize> {
        match kind {
            CastKind::DoubleColon => self.type_name(self.kind(inner(at)?, Kind::Typecast)?),
            CastKind::Cast => {
                let open = self.kind(self.word(at, &["cast"])?, Kind::Open)?;
                let end = self.type_name(self.word(inner(open)?, &["as"])?)?;
                self.kind(end, Kind::Close)
            }
            CastKind::TryCast | CastKind::SafeCast => None,
        }
    }

    /// What the column is compared with: a constant, or one folded as the column is.
    fn value(&self, expression: &Expr, at: usize, parts: &mut Parts) -> Option<usize> {
        if let Some(folded) = parts.folded
            && let Some(inner) = folding(expression)
        {
            self.tokens.get(folded).zip(self.tokens.get(at)).filter(|(one, other)| other.is_word(one.name()))?;
            return self.kind(self.constant(inner, self.kind(at + 1, Kind::Open)?, parts)?, Kind::Close);
        }
        self.constant(expression, at, parts)
    }

    /// `constant, … )`: the token after it.
    fn list(&self, items: &[Expr], mut at: usize, close: Kind, parts: &mut Parts) -> Option<usize> {
        for (number, item) in items.iter().enumerate() {
            at = if number == 0 { at } else { self.kind(at, Kind::Comma)? };
            at = self.value(item, at, parts)?;
        }
        self.kind(at, close).filter(|_| !items.is_empty())
    }

    /// `ARRAY[constant, …]`, also cast or in brackets, or a constant of an array type.
    fn array(&self, expression: &Expr, at: usize, parts: &mut Parts) -> Option<usize> {
        if let Expr::Array(Array { elem, named: true }) = expression {
            let start = self.kind(self.word(at, &["array"])?, Kind::OpenBracket)?;
            let end = self.list(elem, start, Kind::CloseBracket, parts)?;
            // An element that is an array itself would be more values than one.
            let nested = self.tokens.get(start..end - 1)?.iter().any(|token| token.kind == Kind::OpenBracket);
            (!nested).then_some(end)
        } else if let Expr::Nested(inner) = expression {
            self.kind(self.array(inner, self.kind(at, Kind::Open)?, parts)?, Kind::Close)
        } else if let Expr::Cast { kind, expr, data_type: _, format: None } = expression
            && is_constructed(expr)
        {
            self.cast(kind, at, |at| self.array(expr, at, parts))
        } else {
            self.constant(expression, at, parts)
        }
    }

    /// A literal or parameter, also with a sign, in brackets, cast, or with a type before it.
    fn constant(&self, expression: &Expr, at: usize, parts: &mut Parts) -> Option<usize> {
        if let Expr::Value(value) = expression {
            let fits = match &value.value {
                Value::Number(..)
                | Value::SingleQuotedString(_)
                | Value::SingleQuotedByteStringLiteral(_)
                | Value::NationalStringLiteral(_)
                | Value::HexStringLiteral(_) => self.tokens.get(at)?.is_literal(),
                Value::Placeholder(_) => self.tokens.get(at)?.kind == Kind::Parameter,
                Value::Boolean(_)
                | Value::Null
                | Value::DollarQuotedString(_)
                | Value::TripleSingleQuotedString(_)
                | Value::TripleDoubleQuotedString(_)
                | Value::EscapedStringLiteral(_)
                | Value::UnicodeStringLiteral(_)
                | Value::DoubleQuotedByteStringLiteral(_)
                | Value::TripleSingleQuotedByteStringLiteral(_)
                | Value::TripleDoubleQuotedByteStringLiteral(_)
                | Value::SingleQuotedRawStringLiteral(_)
                | Value::DoubleQuotedRawStringLiteral(_)
                | Value::TripleSingleQuotedRawStringLiteral(_)
                | Value::TripleDoubleQuotedRawStringLiteral(_)
                | Value::QuoteDelimitedStringLiteral(_)
                | Value::NationalQuoteDelimitedStringLiteral(_)
                | Value::DoubleQuotedString(_) => false,
            };
            (fits && parse::token_index(value.span)? == at).then_some(())?;
            parts.constants.push(at);
            Some(at + 1)
        } else if let Expr::Nested(inner) = expression {
            self.kind(self.constant(inner, self.kind(at, Kind::Open)?, parts)?, Kind::Close)
        } else if let Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } = expression {
            let signed = |token: &&Token| token.is_operator("-") || token.is_operator("+");
            self.tokens.get(at).filter(signed)?;
            self.kind(at + 1, Kind::Number)?;
            self.constant(expr, at + 1, parts)
        } else if let Expr::Cast { kind, expr, data_type: _, format: None } = expression {
            self.cast(kind, at, |at| self.constant(expr, at, parts))
        } else if let Expr::TypedString(TypedString { data_type: _, value, uses_odbc_syntax: false }) = expression {
            let text = self.type_name(at)?;
            (parse::token_index(value.span)? == text).then_some(())?;
            parts.constants.push(text);
            self.kind(text, Kind::Text)
        } else {
            None
        }
    }

    /// A type of [`CONSTANT_TYPES`], with its length, time zone and brackets: the token after it.
    fn type_name(&self, at: usize) -> Option<usize> {
        let schema = self.word(at, &["pg_catalog"]);
        let at = schema.map_or(Some(at), |dot| self.kind(dot, Kind::Dot))?;
        let name = self.tokens.get(self.word(at, CONSTANT_TYPES)? - 1)?;
        // A user's type may be called so, and be another.
        let known = schema.is_some() || self.catalog.types_named(name.name()).all(|found| found.extension.is_some());
        known.then_some(())?;
        let mut end = at + 1;
        if name.is_word("character") {
            end = self.word(end, &["varying"]).unwrap_or(end);
        }
        if self.kind(end, Kind::Open).and_then(|at| self.kind(at, Kind::Number)).is_some() {
            end = match self.kind(end + 2, Kind::Comma) {
                Some(scale) => self.kind(self.kind(scale, Kind::Number)?, Kind::Close)?,
                None => self.kind(end + 2, Kind::Close)?,
            };
        }
        if (name.is_word("time") || name.is_word("timestamp"))
            && let Some(time) = self.word(end, &["with", "without"])
        {
            end = self.word(self.word(time, &["time"])?, &["zone"])?;
        }
        while let Some(close) = self.kind(end, Kind::OpenBracket) {
            end = self.kind(close, Kind::CloseBracket)?;
        }
        Some(end)
    }
}

/// Whether an array is put together of its elements.
fn is_constructed(expression: &Expr) -> bool {
    let mut inner = expression;
    while let Expr::Nested(next) | Expr::Cast { kind: _, expr: next, data_type: _, format: _ } = inner {
        inner = next;
    }
    matches!(inner, Expr::Array(_))
}

/// The argument of `lower(…)` or `upper(…)`.
fn folding(expression: &Expr) -> Option<&Expr> {
    let Expr::Function(Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }),
        within_group,
        filter: None,
        null_treatment: None,
        over: None,
    }) = expression
    else {
        return None;
    };
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.as_slice() else { return None };
    let folds = ident.quote_style.is_none() && matches!(ident.value.as_str(), "lower" | "upper");
    (folds && clauses.is_empty() && within_group.is_empty()).then_some(argument)
}
