//! Calls that fail on no value. In: a call. Out: whether it can fail by itself, and its type. Invariant: a function that is not listed here can,
//! and so can one of whose name the database has another.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Value,
};

use super::{
    dates::is_dated,
    quiet::{built_in, keyword_value, only_word, string_token},
    shape,
    shape::Shape,
};
use crate::{
    bind::binder::{Binder, Context},
    error::Refusal,
};

/// A call of one of the functions that are known here.
pub(super) enum Call<'a> {
    /// A keyword without brackets.
    Keyword(&'a str),
    Now,
    /// `lower`, `upper`
    Folds(&'a Expr),
    Counts,
    /// `min`, `max`
    Extreme(&'a Expr),
    /// `coalesce`, `greatest`, `least`
    Chooses(Vec<&'a Expr>),
    /// `length` and the like of a text
    Measures(&'a Expr),
    /// `date(…)`
    Day(&'a Expr),
    /// `date_trunc(unit, moment)`
    Truncates(&'a Expr, &'a Expr),
    /// `btrim`, `ltrim`, `rtrim` of spaces
    Trims(&'a Expr),
    /// `string_to_array(setting, ',')`
    Splits(&'a Expr),
    /// `current_setting('…')`, or `nullif` of such and a constant
    Setting(Option<&'a Expr>),
}

impl Binder<'_> {
    pub(super) fn is_quiet_call(&mut self, function: &Function, context: &Context) -> Result<bool, Refusal> {
        Ok(match self.call(function) {
            None | Some(Call::Truncates(..) | Call::Setting(_) | Call::Splits(_)) => false,
            Some(Call::Keyword(_) | Call::Now | Call::Counts) => true,
            Some(Call::Folds(argument) | Call::Trims(argument)) => {
                let shape = self.shape_of(argument, context)?;
                let given =
                    matches!(shape, Shape::Parameter(_)) && self.agree(&[Shape::Of(shape::TEXT), shape]).is_some();
                shape == Shape::Literal || shape.is_text() || given
            }
            Some(Call::Extreme(argument)) => {
                matches!(self.shape_of(argument, context)?, Shape::Of(_) | Shape::Number)
            }
            Some(Call::Chooses(arguments)) => {
                let shapes = self.shapes_of(arguments.into_iter(), context)?;
                self.agree(&shapes).is_some()
            }
            Some(Call::Measures(argument)) => self.shape_of(argument, context)?.is_text(),
            Some(Call::Day(argument)) => {
                matches!(self.shape_of(argument, context)?, Shape::Of(oid) | Shape::Moment(oid, None) if is_dated(oid))
            }
        })
    }

    pub(super) fn shape_of_call(&mut self, function: &Function, context: &Context) -> Result<Shape, Refusal> {
        Ok(match self.call(function) {
            None | Some(Call::Truncates(..)) => Shape::Unknown,
            Some(Call::Splits(_)) => Shape::Elements(shape::TEXT),
            Some(Call::Keyword(word)) => keyword_value(word).map_or(Shape::Unknown, |nature| nature.shape),
            Some(Call::Now) => Shape::Moment(shape::TIMESTAMPTZ, None),
            Some(Call::Folds(_) | Call::Trims(_) | Call::Setting(_)) => Shape::Of(shape::TEXT),
            Some(Call::Counts) => Shape::Of(shape::INT8),
            Some(Call::Extreme(argument)) => match self.shape_of(argument, context)? {
                Shape::Of(oid) if Shape::Of(oid).is_text() => Shape::Of(shape::TEXT),
                known @ Shape::Of(_) => known,
                Shape::Number => Shape::Of(shape::NUMERIC),
                Shape::Unknown | Shape::Literal | Shape::Parameter(_) | Shape::Moment(..) | Shape::Elements(_) => {
                    Shape::Unknown
                }
            },
            Some(Call::Chooses(arguments)) => self.shape_of_choice(arguments, context)?,
            Some(Call::Measures(_)) => Shape::Of(shape::INT4),
            Some(Call::Day(_)) => Shape::Of(shape::DATE),
        })
    }

    /// Which of the known functions is called.
    pub(super) fn call<'e>(&self, function: &'e Function) -> Option<Call<'e>> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
            function;
        let name = only_word(name).or_else(|| built_in(name))?;
        let plain = !uses_odbc_syntax
            && matches!(parameters, FunctionArguments::None)
            && within_group.is_empty()
            && null_treatment.is_none();
        if !plain || self.catalog.functions_named(name).next().is_some() {
            return None;
        }
        let FunctionArgumentList { duplicate_treatment, args, clauses } = match args {
            FunctionArguments::None => return keyword_value(name).map(|_| Call::Keyword(name)),
            FunctionArguments::Subquery(_) => return None,
            FunctionArguments::List(list) => list,
        };
        if !clauses.is_empty() {
            return None;
        }
        let expression = |argument: &'e FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            FunctionArg::Unnamed(
                FunctionArgExpr::QualifiedWildcard(_)
                | FunctionArgExpr::Wildcard
                | FunctionArgExpr::WildcardWithOptions(_),
            )
            | FunctionArg::Named { name: _, arg: _, operator: _ }
            | FunctionArg::ExprNamed { name: _, arg: _, operator: _ } => None,
        };
        let expressions = || args.iter().map(expression).collect::<Option<Vec<_>>>();
        // DISTINCT compares what is counted.
        let all = !matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct));
        let alone = filter.is_none() && over.is_none() && duplicate_treatment.is_none();
        match (name, args.as_slice()) {
            ("now", []) if alone => Some(Call::Now),
            ("btrim" | "ltrim" | "rtrim", [argument]) if alone => expression(argument).map(Call::Trims),
            ("lower" | "upper", [argument]) if alone => expression(argument).map(Call::Folds),
            ("count", [FunctionArg::Unnamed(FunctionArgExpr::Expr(_) | FunctionArgExpr::Wildcard)]) if all => {
                Some(Call::Counts)
            }
            ("max" | "min", [argument]) => expression(argument).map(Call::Extreme),
            ("length" | "char_length" | "character_length" | "octet_length", [argument]) if alone => {
                expression(argument).map(Call::Measures)
            }
            ("current_setting", [setting]) if alone => string_token(expression(setting)?).map(|_| Call::Setting(None)),
            ("current_setting", [setting, missing]) if alone => {
                let missing =
                    matches!(expression(missing)?, Expr::Value(value) if matches!(value.value, Value::Boolean(_)));
                string_token(expression(setting)?).filter(|_| missing).map(|_| Call::Setting(None))
            }
            ("string_to_array", [setting, constant]) if alone => {
                string_token(expression(constant)?).and_then(|_| expression(setting)).map(Call::Splits)
            }
            ("nullif", [setting, constant]) if alone => string_token(expression(constant)?)
                .and_then(|_| expression(setting))
                .map(|setting| Call::Setting(Some(setting))),
            ("date", [argument]) if alone => expression(argument).map(Call::Day),
            ("date_trunc", [unit, moment]) if alone => {
                expression(unit).zip(expression(moment)).map(|(unit, moment)| Call::Truncates(unit, moment))
            }
            ("coalesce" | "greatest" | "least", [_, ..]) if alone => expressions().map(Call::Chooses),
            _ => None,
        }
    }

    /// The literal of `lower('…')` or `upper('…')`.
    pub(super) fn folded_constant(&self, function: &Function) -> Option<usize> {
        match self.call(function)? {
            Call::Folds(argument) => string_token(argument),
            Call::Keyword(_)
            | Call::Now
            | Call::Counts
            | Call::Extreme(_)
            | Call::Chooses(_)
            | Call::Measures(_)
            | Call::Day(_)
            | Call::Truncates(..)
            | Call::Setting(_)
            | Call::Splits(_)
            | Call::Trims(_) => None,
        }
    }
}
