//! Expressions that fail on no value, form by form and type by type; and the types that they have.
//!
//! In: an expression of the tree, whose parts are judged for themselves. Out: whether it can fail by itself. Invariant: a form that is not listed
//! here can, and of its type nothing is known.

use sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, ExactNumberInfo, Expr, ExtractSyntax,
    InTarget, Interval, ObjectNamePart, TimezoneInfo, TypedString, UnaryOperator, Value,
};

use super::{
    Content, Met, Nature,
    dates::{dated, has_field, is_dated},
    shape,
    shape::Shape,
};
use crate::{
    bind::{
        binder::{Binder, Context, Resolved},
        query::unbracketed,
    },
    error::Refusal,
    sql::parse,
};

/// The operators of LIKE and ILIKE.
const PATTERN_OPERATORS: &[&str] = &["~~", "!~~", "~~*", "!~~*"];

#[allow(clippy::wildcard_enum_match_arm, reason = "all other forms can fail, and of their types nothing is known")]
impl Binder<'_> {
    /// Whether an expression fails on no value, when its parts do not.
    pub(super) fn is_quiet(&mut self, expression: &Expr, context: &Context) -> Result<bool, Refusal> {
        Ok(match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                self.nature_of_name(expression, context)?.is_some_and(|nature| !nature.fails)
            }
            Expr::Value(value) => matches!(
                value.value,
                Value::Number(..)
                    | Value::SingleQuotedString(_)
                    | Value::Boolean(_)
                    | Value::Null
                    | Value::Placeholder(_)
            ),
            Expr::Nested(_)
            | Expr::Tuple(_)
            | Expr::Exists { subquery: _, negated: _ }
            | Expr::UnaryOp { op: UnaryOperator::Not, expr: _ }
            | Expr::BinaryOp { left: _, op: BinaryOperator::And | BinaryOperator::Or, right: _ }
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => true,
            Expr::IsNull(operand) | Expr::IsNotNull(operand) => {
                if let Shape::Parameter(at) = self.shape_of(operand, context)? {
                    self.meet(at, Met::Any);
                }
                true
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: _ } => self.shape_of(expression, context)? == Shape::Number,
            Expr::BinaryOp { left, op, right } if is_comparison(op) => self.compare(left, &[right], context)?,
            Expr::BinaryOp { left: _, op: BinaryOperator::Plus | BinaryOperator::Minus, right: _ } => {
                self.is_quiet_moment(expression, context)
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.compare(left, &[right], context)?
            }
            Expr::Between { expr, negated: _, low, high } => self.compare(expr, &[low, high], context)?,
            Expr::In { expr, target: InTarget::List(list), negated: _, global: false } => {
                self.compare(expr, &list.iter().collect::<Vec<_>>(), context)?
            }
            Expr::In { expr, target: InTarget::Subquery(query), negated: _, global: false } => {
                let columns = self.columns_of_query(query);
                self.compare_with_columns(expr, &columns, context)?
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right }
                if is_comparison(compare_op) =>
            {
                match &**right {
                    Expr::Subquery(query) => {
                        let columns = self.columns_of_query(query);
                        self.compare_with_columns(left, &columns, context)?
                    }
                    Expr::Array(Array { elem, named: _ }) => {
                        let shapes = self.shapes_of(elem.iter(), context)?;
                        let left = self.shape_of(left, context)?;
                        let constant = |shape: &Shape| matches!(shape, Shape::Literal | Shape::Number);
                        if shapes.iter().all(constant) || shapes.iter().all(|one| matches!(one, Shape::Parameter(_))) {
                            return Ok(self.agree(&[&[left][..], &shapes].concat()).is_some());
                        }
                        // It has the type of its elements before it meets anything, and is cast element by element then.
                        let elements =
                            shapes.into_iter().map(Shape::settled_in_list).try_fold(Shape::Literal, Shape::meets);
                        elements.is_some_and(|elements| self.agree(&[left, elements]).is_some())
                    }
                    array => {
                        let elements = match self.shape_of(array, context)? {
                            Shape::Elements(oid) => Shape::Of(oid),
                            given @ (Shape::Literal | Shape::Parameter(_)) => given,
                            Shape::Unknown | Shape::Number | Shape::Of(_) | Shape::Moment(..) => return Ok(false),
                        };
                        let left = self.shape_of(left, context)?;
                        // Of two parameters neither has its type from the other.
                        let agreed = self.agree(&[left, elements]);
                        if let (Some(Shape::Of(oid)), Shape::Parameter(at)) = (agreed, elements) {
                            self.meet(at, Met::WithElements(oid));
                        }
                        agreed.is_some()
                    }
                }
            }
            Expr::Array(Array { elem, named: _ }) => {
                let shapes = self.shapes_of(elem.iter(), context)?;
                // Parameters among them have their type from what the array meets.
                let others = shapes.into_iter().filter(|shape| !matches!(shape, Shape::Parameter(_)));
                others.map(Shape::settled_in_list).try_fold(Shape::Literal, Shape::meets).is_some()
            }
            Expr::Like { negated: _, any: false, expr, pattern, escape_char: None }
            | Expr::ILike { negated: _, any: false, expr, pattern, escape_char: None } => {
                self.is_quiet_pattern(expr, pattern, context)?
            }
            // What a literal is read as when the statement is, or not at all, whatever rows there are.
            Expr::TypedString(TypedString { data_type, value: _, uses_odbc_syntax: false }) => {
                self.constant_type(data_type).is_some()
            }
            Expr::Interval(Interval {
                value,
                leading_field: None,
                leading_precision: None,
                last_field: None,
                fractional_seconds_precision: None,
            }) => {
                let literal =
                    matches!(&**value, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
                literal && self.constant_type(&INTERVAL_TYPE).is_some()
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                self.is_quiet_moment(expression, context) || self.is_quiet_cast(expr, data_type, context)?
            }
            // The conditions of the rules are the administrator's: a text of a gigabyte is none of them.
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } if self.is_of_rules() => {
                let text = |shape: Shape| shape.is_text() || shape == Shape::Literal;
                let both = [self.shape_of(left, context)?, self.shape_of(right, context)?];
                both.into_iter().all(text) && both.into_iter().any(Shape::is_text) && !self.has_operators(&["||"])
            }
            Expr::Extract { field, syntax: ExtractSyntax::From, expr } => {
                has_field(self.shape_of(expr, context)?, field)
            }
            Expr::Subquery(query) => self.has_single_row(query),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                let results = conditions.iter().map(|CaseWhen { condition: _, result }| result);
                let results = self.shapes_of(results.chain(else_result.as_deref()), context)?;
                let compares = match operand {
                    None => true,
                    // Rows are compared as records here, which fails where types differ.
                    Some(operand) if matches!(unbracketed(operand), Expr::Tuple(_)) => false,
                    Some(operand) => {
                        let values: Vec<&Expr> = conditions.iter().map(|when| &when.condition).collect();
                        self.compare(operand, &values, context)?
                    }
                };
                compares && self.agree(&results).is_some()
            }
            Expr::Function(function) => {
                self.is_quiet_moment(expression, context) || self.is_quiet_call(function, context)?
            }
            _ => false,
        })
    }

    /// What is known of the type of an expression.
    pub(super) fn shape_of(&mut self, expression: &Expr, context: &Context) -> Result<Shape, Refusal> {
        self.spend(2)?;
        Ok(match unbracketed(expression) {
            name @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                self.nature_of_name(name, context)?.map_or(Shape::Unknown, |nature| nature.shape)
            }
            Expr::Value(value) => match value.value {
                Value::Number(..) => Shape::Number,
                Value::SingleQuotedString(_) | Value::Null => Shape::Literal,
                Value::Boolean(_) => Shape::Of(shape::BOOL),
                Value::Placeholder(ref name) => parse::token_index(value.span)
                    .zip(self.judge.as_ref())
                    .map_or(Shape::Unknown, |(at, judge)| judge.parameters.shape(name, at, self.catalog)),
                _ => Shape::Unknown,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
                // A number with its sign.
                Expr::Value(value) if matches!(value.value, Value::Number(..)) => Shape::Number,
                _ => Shape::Unknown,
            },
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::In { expr: _, target: _, negated: _, global: false }
            | Expr::Between { expr: _, negated: _, low: _, high: _ }
            | Expr::Exists { subquery: _, negated: _ }
            | Expr::BinaryOp { left: _, op: BinaryOperator::And | BinaryOperator::Or, right: _ }
            | Expr::UnaryOp { op: UnaryOperator::Not, expr: _ } => Shape::Of(shape::BOOL),
            Expr::BinaryOp { left: _, op, right: _ } if is_comparison(op) => Shape::Of(shape::BOOL),
            Expr::BinaryOp { left: _, op: BinaryOperator::Plus | BinaryOperator::Minus, right: _ } => {
                self.reckoned(expression, context).map_or(Shape::Unknown, |reckoned| Shape::Moment(reckoned.oid, None))
            }
            Expr::BinaryOp { left: _, op: BinaryOperator::StringConcat, right: _ } if self.is_of_rules() => {
                Shape::Of(shape::TEXT)
            }
            Expr::Extract { field: _, syntax: ExtractSyntax::From, expr: _ } => Shape::Of(shape::NUMERIC),
            Expr::Subquery(query) => match *self.columns_of_query(query) {
                [column] => column,
                _ => Shape::Unknown,
            },
            Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }) => {
                let at = parse::token_index(value.span);
                dated(self.constant_type(data_type).unwrap_or_default(), at)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                match self.reckoned(expression, context) {
                    Some(reckoned) => Shape::Moment(reckoned.oid, None),
                    None => dated(self.constant_type(data_type).unwrap_or_default(), string_token(unbracketed(expr))),
                }
            }
            Expr::Interval(_) => self.constant_type(&INTERVAL_TYPE).unwrap_or_default(),
            Expr::Function(function) => match self.reckoned(expression, context) {
                Some(reckoned) => Shape::Moment(reckoned.oid, None),
                None => self.shape_of_call(function, context)?,
            },
            Expr::Case { case_token: _, end_token: _, operand: _, conditions, else_result } => {
                let results = conditions.iter().map(|CaseWhen { condition: _, result }| result);
                self.shape_of_choice(results.chain(else_result.as_deref()).collect(), context)?
            }
            _ => Shape::Unknown,
        })
    }

    /// What is known of the type that values of several have in common.
    pub(super) fn shape_of_choice(&mut self, values: Vec<&Expr>, context: &Context) -> Result<Shape, Refusal> {
        // One within another would be looked at as often as there are around it.
        if values.iter().any(|value| {
            matches!(
                value,
                Expr::Function(_)
                    | Expr::Nested(_)
                    | Expr::Case { case_token: _, end_token: _, operand: _, conditions: _, else_result: _ }
            )
        }) {
            return Ok(Shape::Unknown);
        }
        let shapes = self.shapes_of(values.into_iter(), context)?;
        // The type that a parameter is declared with, or has from elsewhere, may become that of all.
        if shapes.iter().any(|shape| matches!(shape, Shape::Parameter(_))) {
            return Ok(Shape::Unknown);
        }
        Ok(self.agree(&shapes).map_or(Shape::Unknown, Shape::settled))
    }

    pub(super) fn shapes_of<'e>(
        &mut self,
        expressions: impl Iterator<Item = &'e Expr>,
        context: &Context,
    ) -> Result<Vec<Shape>, Refusal> {
        expressions.map(|expression| self.shape_of(expression, context)).collect()
    }

    /// What is known of the column that a name means; none where it is no column, or it is not certain which.
    fn nature_of_name(&mut self, name: &Expr, context: &Context) -> Result<Option<Nature>, Refusal> {
        self.look(context)?;
        Ok(match name {
            Expr::Identifier(ident) => match self.bare(&ident.value, context, 0)? {
                Some(Resolved::Column(column)) if !column.doubtful => Some(column.nature),
                None if ident.quote_style.is_none() => keyword_value(&ident.value),
                Some(Resolved::Column(_) | Resolved::Opaque(_) | Resolved::System(..) | Resolved::Row(..)) | None => {
                    None
                }
            },
            Expr::CompoundIdentifier(idents) => {
                let names: Vec<&str> = idents.iter().map(|ident| ident.value.as_str()).collect();
                let (schema, table, column) = match names.as_slice() {
                    [table, column] => (None, *table, *column),
                    [.., schema, table, column] => (Some(*schema), *table, *column),
                    _ => return Ok(None),
                };
                let item = Self::item(table, schema, context);
                let found = item.as_ref().and_then(|item| item.column(column));
                found.filter(|column| !column.doubtful).map(|column| column.nature)
            }
            _ => None,
        })
    }

    /// Whether comparing one value with others can fail on none; rows are compared field by field.
    fn compare(&mut self, one: &Expr, others: &[&Expr], context: &Context) -> Result<bool, Refusal> {
        if let Expr::Tuple(fields) = unbracketed(one) {
            let mut rows = Vec::with_capacity(others.len());
            for other in others {
                match unbracketed(other) {
                    Expr::Tuple(row) if row.len() == fields.len() => rows.push(row),
                    _ => return Ok(false),
                }
            }
            for (number, field) in fields.iter().enumerate() {
                let values = rows.iter().filter_map(|row| row.get(number));
                let shapes = self.shapes_of(std::iter::once(field).chain(values), context)?;
                if self.agree(&shapes).is_none() {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let shapes = self.shapes_of(std::iter::once(one).chain(others.iter().copied()), context)?;
        Ok(self.agree(&shapes).is_some())
    }

    /// The same with the columns of a sub-select.
    fn compare_with_columns(&mut self, one: &Expr, columns: &[Shape], context: &Context) -> Result<bool, Refusal> {
        let fields = match unbracketed(one) {
            Expr::Tuple(fields) => self.shapes_of(fields.iter(), context)?,
            field => vec![self.shape_of(field, context)?],
        };
        if fields.len() != columns.len() {
            return Ok(false);
        }
        Ok(fields.into_iter().zip(columns).all(|(field, column)| self.agree(&[field, *column]).is_some()))
    }

    pub(super) fn agree(&mut self, shapes: &[Shape]) -> Option<Shape> {
        self.judge.as_mut()?.agree(shapes)
    }

    /// Notes what a parameter meets; always true.
    fn meet(&mut self, at: usize, met: Met) -> bool {
        if let Some(judge) = &mut self.judge {
            judge.met.insert(at, met);
        }
        true
    }

    /// Whether an expression is reckoned from the moment at hand, if its constants hold what they should.
    fn is_quiet_moment(&mut self, expression: &Expr, context: &Context) -> bool {
        let Some(reckoned) = self.reckoned(expression, context) else { return false };
        for (at, content) in reckoned.constants {
            self.note(at, content);
        }
        true
    }

    /// Notes a constant by whose content something fails on no value; always true.
    pub(super) fn note(&mut self, at: usize, content: Content) -> bool {
        if let Some(judge) = &mut self.judge {
            judge.failing.constants.push((at, content));
        }
        true
    }

    fn is_of_rules(&self) -> bool {
        self.judge.as_ref().is_some_and(|judge| judge.excused.is_some())
    }

    pub(super) fn has_operators(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.catalog.operators_named(name).next().is_some())
    }

    /// `LIKE 'a%'` and `LIKE upper('a%')` of a text.
    fn is_quiet_pattern(&mut self, operand: &Expr, pattern: &Expr, context: &Context) -> Result<bool, Refusal> {
        let constant = match pattern {
            Expr::Function(function) => self.folded_constant(function),
            constant => string_token(constant),
        };
        let Some(at) = constant.filter(|_| !self.has_operators(PATTERN_OPERATORS)) else { return Ok(false) };
        if !self.shape_of(operand, context)?.is_text() {
            return Ok(false);
        }
        if let Some(judge) = &mut self.judge {
            judge.failing.patterns += 1;
        }
        Ok(self.note(at, Content::Pattern))
    }

    /// Whether a cast fails on no value: of a constant, which is cast when the statement is planned, or not at all; to text, of what is known; of
    /// a parameter that the statement gives its type.
    fn is_quiet_cast(&mut self, operand: &Expr, data_type: &DataType, context: &Context) -> Result<bool, Refusal> {
        let Some(target) = self.constant_type(data_type) else { return Ok(false) };
        if let (Shape::Elements(_), Expr::Array(Array { elem, named: _ })) = (target, unbracketed(operand)) {
            let shapes = self.shapes_of(elem.iter(), context)?;
            return Ok(shapes.iter().all(|shape| matches!(shape, Shape::Literal | Shape::Number)));
        }
        Ok(match self.shape_of(operand, context)? {
            Shape::Literal | Shape::Number => true,
            // To text, to a type that it becomes beside values of that, or to its day.
            Shape::Of(oid) | Shape::Moment(oid, _) => {
                let Shape::Of(target) = target else { return Ok(false) };
                target == shape::TEXT
                    || target == shape::VARCHAR
                    || shape::common(oid, target) == Some(target)
                    || (target == shape::DATE && is_dated(oid))
            }
            // Of that type, if it is so wherever it stands.
            Shape::Parameter(at) => match target {
                Shape::Of(oid) => self.meet(at, Met::CastTo(oid)),
                Shape::Elements(oid) => self.meet(at, Met::CastToElements(oid)),
                Shape::Unknown | Shape::Literal | Shape::Number | Shape::Parameter(_) | Shape::Moment(..) => false,
            },
            elements @ Shape::Elements(_) => elements == target,
            Shape::Unknown => false,
        })
    }

    /// The type that a name of a type means, if constants are read as it and no other type of the database has the name.
    pub(super) fn constant_type(&self, data_type: &DataType) -> Option<Shape> {
        let (oid, name) = match data_type {
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(inner, None) | ArrayElemTypeDef::Qualified(inner, None),
            ) => {
                return match self.constant_type(inner)? {
                    Shape::Of(oid) => Some(Shape::Elements(oid)),
                    _ => None,
                };
            }
            DataType::Bool | DataType::Boolean => (shape::BOOL, "bool"),
            DataType::Int2(None) | DataType::SmallInt(None) => (shape::INT2, "int2"),
            DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => (shape::INT4, "int4"),
            DataType::Int8(None) | DataType::BigInt(None) => (shape::INT8, "int8"),
            DataType::Numeric(ExactNumberInfo::None)
            | DataType::Decimal(ExactNumberInfo::None)
            | DataType::Dec(ExactNumberInfo::None) => (shape::NUMERIC, "numeric"),
            DataType::Float4 | DataType::Real => (shape::FLOAT4, "float4"),
            DataType::Float8
            | DataType::DoublePrecision
            | DataType::Double(ExactNumberInfo::None)
            | DataType::Float(ExactNumberInfo::None) => (shape::FLOAT8, "float8"),
            DataType::Text => (shape::TEXT, "text"),
            DataType::Varchar(None) | DataType::CharacterVarying(None) => (shape::VARCHAR, "varchar"),
            DataType::Uuid => (shape::UUID, "uuid"),
            DataType::Date => (shape::DATE, "date"),
            DataType::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => (shape::TIME, "time"),
            DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                (shape::TIMESTAMP, "timestamp")
            }
            DataType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
                (shape::TIMESTAMPTZ, "timestamptz")
            }
            DataType::Interval { fields: None, precision: None } => (shape::INTERVAL, "interval"),
            _ => return None,
        };
        self.catalog.types_named(name).next().is_none().then_some(Shape::Of(oid))
    }
}

pub(super) const INTERVAL_TYPE: DataType = DataType::Interval { fields: None, precision: None };

#[allow(clippy::wildcard_enum_match_arm, reason = "all others can fail, or belong to the database")]
pub(super) fn is_comparison(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// The token of a literal.
pub(super) fn string_token(expression: &Expr) -> Option<usize> {
    let Expr::Value(value) = expression else { return None };
    matches!(value.value, Value::SingleQuotedString(_)).then(|| parse::token_index(value.span))?
}

/// Keywords that are values.
pub(super) fn keyword_value(word: &str) -> Option<Nature> {
    let shape = match word {
        "current_date" => Shape::Moment(shape::DATE, None),
        "current_timestamp" => Shape::Moment(shape::TIMESTAMPTZ, None),
        "localtimestamp" => Shape::Moment(shape::TIMESTAMP, None),
        "localtime" => Shape::Of(shape::TIME),
        "current_catalog" | "current_role" | "current_schema" | "current_user" | "session_user" | "user" => {
            Shape::Of(shape::NAME)
        }
        "default" => Shape::Literal,
        _other => return None,
    };
    Some(Nature { shape, fails: false })
}

/// The name of a function that is written with the schema of the built-in ones.
pub(super) fn built_in(name: &sqlparser::ast::ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(ident)] if schema.value == "pg_catalog" => {
            Some(&ident.value)
        }
        _ => None,
    }
}

/// The only part of a name that is not quoted.
pub(super) fn only_word(name: &sqlparser::ast::ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] if ident.quote_style.is_none() => Some(&ident.value),
        _ => None,
    }
}
