//! The moment at hand and what is reckoned from it; days and parts of stored moments. In: expressions. Out: their types, and by the content of
//! which constants they fail on no value. Invariant: what is reckoned from the moment at hand stays within these millennia.

use sqlparser::ast::{BinaryOperator, CastKind, DateTimeField, Expr, Interval, Value};

use super::{
    Content,
    calls::Call,
    quiet::{INTERVAL_TYPE, string_token},
    shape,
    shape::Shape,
};
use crate::{
    bind::{
        binder::{Binder, Context},
        query::unbracketed,
    },
    names::Oid,
    sql::parse,
};

/// How often something may be reckoned from the moment at hand, less one: each time takes it away by a thousand years at most, and dates begin six
/// thousand years before.
const STEPS: usize = 4;

/// What is reckoned from the moment at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reckoned {
    pub oid: Oid,
    /// Constants by whose content it fails on no value.
    pub constants: Vec<(usize, Content)>,
}

impl Reckoned {
    fn of(oid: Oid) -> Self {
        Self { oid, constants: Vec::new() }
    }
}

impl Binder<'_> {
    /// `now()`, `now() - interval '30 days'`, `current_timestamp - '30 days'::interval`, `current_date - 30`, `date_trunc('day', now())`,
    /// `now()::date`.
    pub(super) fn reckoned(&self, expression: &Expr, context: &Context) -> Option<Reckoned> {
        self.reckoned_in(expression, context, STEPS)
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "nothing else is reckoned from the moment at hand")]
    fn reckoned_in(&self, expression: &Expr, context: &Context, steps: usize) -> Option<Reckoned> {
        let steps = steps.checked_sub(1)?;
        match unbracketed(expression) {
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                let oid = moment_named(&ident.value)?;
                // A column may have the name.
                self.bare(&ident.value, context, 0).ok()?.is_none().then(|| Reckoned::of(oid))
            }
            Expr::Function(function) => match self.call(function)? {
                Call::Now => Some(Reckoned::of(shape::TIMESTAMPTZ)),
                Call::Keyword(word) => moment_named(word).map(Reckoned::of),
                Call::Truncates(unit, moment) => {
                    let mut reckoned = self.reckoned_in(moment, context, steps)?;
                    reckoned.constants.push((string_token(unit)?, Content::Unit));
                    if reckoned.oid == shape::DATE {
                        reckoned.oid = shape::TIMESTAMPTZ;
                    }
                    Some(reckoned)
                }
                Call::Folds(_)
                | Call::Counts
                | Call::Extreme(_)
                | Call::Chooses(_)
                | Call::Measures(_)
                | Call::Day(_)
                | Call::Setting(_)
                | Call::Splits(_)
                | Call::Trims(_) => None,
            },
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                let reckoned = self.reckoned_in(expr, context, steps)?;
                match self.constant_type(data_type)? {
                    Shape::Of(oid) if is_dated(oid) => Some(Reckoned { oid, ..reckoned }),
                    _ => None,
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
                if self.has_operators(&["+", "-"]) {
                    return None;
                }
                let mut reckoned = self.reckoned_in(left, context, steps)?;
                let distance = self.distance(right, reckoned.oid)?;
                reckoned.constants.push(distance);
                if reckoned.oid == shape::DATE && distance.1 == Content::Interval {
                    reckoned.oid = shape::TIMESTAMP;
                }
                Some(reckoned)
            }
            _ => None,
        }
    }

    /// What may be added to a moment of the type: an interval, or to a date a number of days.
    #[allow(clippy::wildcard_enum_match_arm, reason = "nothing else is added to a moment")]
    fn distance(&self, expression: &Expr, oid: Oid) -> Option<(usize, Content)> {
        let interval = self.constant_type(&INTERVAL_TYPE).is_some();
        match unbracketed(expression) {
            Expr::Value(value) if oid == shape::DATE && matches!(value.value, Value::Number(..)) => {
                Some((parse::token_index(value.span)?, Content::Days))
            }
            Expr::Interval(Interval {
                value,
                leading_field: None,
                leading_precision: None,
                last_field: None,
                fractional_seconds_precision: None,
            }) if interval => Some((string_token(value)?, Content::Interval)),
            Expr::Cast { kind: CastKind::DoubleColon, expr, data_type, format: None }
                if interval && self.constant_type(data_type) == Some(Shape::Of(shape::INTERVAL)) =>
            {
                Some((string_token(expr)?, Content::Interval))
            }
            _ => None,
        }
    }
}

/// A date, or a moment with or without a time zone: a date can be had of each.
pub(super) fn is_dated(oid: Oid) -> bool {
    matches!(oid, shape::DATE | shape::TIMESTAMP | shape::TIMESTAMPTZ)
}

/// The type of a keyword that is the moment at hand, or its day.
fn moment_named(word: &str) -> Option<Oid> {
    match word {
        "current_date" => Some(shape::DATE),
        "current_timestamp" => Some(shape::TIMESTAMPTZ),
        "localtimestamp" => Some(shape::TIMESTAMP),
        _other => None,
    }
}

/// A constant of such a type that may be cast to one with more.
pub(super) fn dated(shape: Shape, at: Option<usize>) -> Shape {
    match shape {
        Shape::Of(oid) if at.is_some() && is_dated(oid) => Shape::Moment(oid, at),
        Shape::Of(_)
        | Shape::Unknown
        | Shape::Literal
        | Shape::Number
        | Shape::Parameter(_)
        | Shape::Moment(..)
        | Shape::Elements(_) => shape,
    }
}

/// Whether every value of the type has this field.
#[allow(clippy::wildcard_enum_match_arm, reason = "no other is known to be a field of all")]
pub(super) fn has_field(shape: Shape, field: &DateTimeField) -> bool {
    let (Shape::Of(oid) | Shape::Moment(oid, _)) = shape else { return false };
    match field {
        DateTimeField::Year
        | DateTimeField::Quarter
        | DateTimeField::Month
        | DateTimeField::Week(None)
        | DateTimeField::Day
        | DateTimeField::Dow
        | DateTimeField::Doy
        | DateTimeField::Isodow
        | DateTimeField::Isoyear
        | DateTimeField::Epoch => is_dated(oid),
        DateTimeField::Hour | DateTimeField::Minute | DateTimeField::Second => {
            oid == shape::TIMESTAMP || oid == shape::TIMESTAMPTZ
        }
        _ => false,
    }
}
