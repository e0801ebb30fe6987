//! What is known of the types of expressions, and what stands between operators. In: expressions that were bound. Out:
//! [`Typed`], and [`OperatorUse`]s. Only where the database has functions or operators whose names `pg_catalog` has too: elsewhere
//! nothing depends on types. Invariant: a type that is answered is the one that PostgreSQL finds; [`Typed::Any`] is always right.

use sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CaseWhen, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, InTarget, ObjectNamePart, Query, Spanned, Subscript, TimezoneInfo, TypedString,
    UnaryOperator, Value,
};

use super::{
    binder::{Binder, Context, Resolved},
    bound::{OperatorUse, Output},
    figure::first_token,
    query::unbracketed,
    scope::ScopeColumn,
};
use crate::{
    catalog::overloads::{Choice, Overloads, Typed},
    error::Refusal,
    names::Oid,
    sql::{Kind, parse},
};

const BOOL: Typed = Typed::Known(Oid(16));
const TEXT: Oid = Oid(25);

impl Binder<'_> {
    /// What types are told by; none where nothing depends on them.
    pub(super) fn overloads(&self) -> Option<&'_ Overloads> {
        self.catalog.data().overloads.as_ref().filter(|_| !self.own_text)
    }

    fn known(&self, oid: Oid) -> Typed {
        if self.overloads().is_some_and(|overloads| overloads.knows(oid)) { Typed::Known(oid) } else { Typed::Any }
    }

    /// The type of a column that expressions can name.
    fn column_type(&self, column: &ScopeColumn) -> Typed {
        let Some((id, position)) = column.origin else { return column.typed };
        let relation = self.bound.relations.get(id).and_then(|used| self.catalog.relation(used.oid));
        let base = relation.and_then(|relation| relation.columns.get(position));
        base.map_or(Typed::Any, |column| self.known(column.type_oid))
    }

    /// The type of an output column: a constant becomes text there.
    pub(super) fn output_type(&mut self, expression: &Expr, context: &Context) -> Result<Typed, Refusal> {
        if self.overloads().is_none() {
            return Ok(Typed::Any);
        }
        Ok(match self.type_of(expression, context)? {
            Typed::Literal => Typed::Known(TEXT),
            // What becomes of it, the query around says.
            Typed::Parameter => Typed::Any,
            known @ (Typed::Any | Typed::Known(_)) => known,
        })
    }

    /// The type of a column that a star shows.
    pub(super) fn shown_type(&self, column: &ScopeColumn) -> Typed {
        if self.overloads().is_some() { self.column_type(column) } else { Typed::Any }
    }

    /// Remembers the types of a sub-select's columns.
    pub(super) fn keep_types(&mut self, query: &Query, outputs: &[Output]) {
        if let Some(at) = parse::token_index(query.span()).filter(|_| self.overloads().is_some()) {
            self.queries.insert(at, outputs.iter().map(|output| output.typed).collect());
        }
    }

    /// The type of a sub-select's only column.
    fn query_type(&self, query: &Query) -> Typed {
        let kept = parse::token_index(query.span()).and_then(|at| self.queries.get(&at));
        match kept.map(|types| &**types) {
            Some([typed]) => *typed,
            Some(_) | None => Typed::Any,
        }
    }

    /// The types of arguments, when each stands in its place and none is an array of several (`VARIADIC`).
    pub(super) fn argument_types(
        &mut self,
        args: &[FunctionArg],
        name: usize,
        context: &Context,
    ) -> Result<Option<Vec<Typed>>, Refusal> {
        if self.overloads().is_none() || self.is_variadic(name) {
            return Ok(None);
        }
        let mut types = Vec::with_capacity(args.len());
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => {
                    types.push(self.type_of(expression, context)?);
                }
                // count(*)
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)) => types.push(Typed::Any),
                FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(_))
                | FunctionArg::Named { .. }
                | FunctionArg::ExprNamed { .. } => return Ok(None),
            }
        }
        Ok(Some(types))
    }

    fn is_variadic(&self, name: usize) -> bool {
        let end = self.find_level(name + 2, |_, _| false);
        self.tokens.get(name + 2..end).is_some_and(|inside| inside.iter().any(|token| token.is_word("variadic")))
    }

    /// What is known of the type of an expression.
    #[allow(clippy::wildcard_enum_match_arm, reason = "of all other forms nothing is known, which is always right")]
    pub(super) fn type_of(&mut self, expression: &Expr, context: &Context) -> Result<Typed, Refusal> {
        self.spend(8)?;
        let expression = unbracketed(expression);
        Ok(match expression {
            Expr::Identifier(ident) => match self.bare(&ident.value, context, 0)? {
                Some(Resolved::Column(column)) if !column.doubtful => self.column_type(&column),
                Some(Resolved::Column(_) | Resolved::Opaque(_) | Resolved::System(..) | Resolved::Row(..)) => {
                    Typed::Any
                }
                None if ident.quote_style.is_none() => self.value_type(&ident.value),
                None => Typed::Any,
            },
            Expr::CompoundIdentifier(idents) => {
                let names: Vec<&str> = idents.iter().map(|ident| ident.value.as_str()).collect();
                let (schema, table, column) = match names.as_slice() {
                    [table, column] => (None, *table, *column),
                    [.., schema, table, column] => (Some(*schema), *table, *column),
                    _ => return Ok(Typed::Any),
                };
                let item = Self::item(table, schema, context);
                let found = item.as_ref().and_then(|item| item.column(column));
                if found.is_none() && item.as_ref().is_some_and(|item| item.relation.is_some()) {
                    return Ok(self.system_type(column));
                }
                found.filter(|column| !column.doubtful).map_or(Typed::Any, |column| self.column_type(column))
            }
            Expr::Value(value) => match &value.value {
                Value::Number(..) => self.number_type(parse::token_index(value.span)),
                Value::SingleQuotedString(_) | Value::Null => Typed::Literal,
                Value::Boolean(_) => BOOL,
                Value::Placeholder(_) => Typed::Parameter,
                _ => Typed::Any,
            },
            Expr::TypedString(TypedString { data_type, .. }) | Expr::Cast { data_type, .. } => {
                self.type_named(data_type)
            }
            Expr::Interval(_) => self.known(Oid(1186)),
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsJson { .. }
            | Expr::IsNormalized { .. }
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
            | Expr::In { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::Exists { .. }
            | Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. }
            | Expr::UnaryOp { op: UnaryOperator::Not, .. } => BOOL,
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = (self.type_of(left, context)?, self.type_of(right, context)?);
                self.operator_type(&op.to_string(), Some(left), right)
            }
            Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => {
                let operand = self.type_of(expr, context)?;
                self.operator_type(&op.to_string(), None, operand)
            }
            Expr::Extract { .. } => self.known(Oid(1700)),
            Expr::Position { .. } => self.known(Oid(23)),
            Expr::Substring { expr, substring_from: Some(from), substring_for, special: true, shorthand } => {
                let mut arguments = vec![self.type_of(expr, context)?, self.type_of(from, context)?];
                if let Some(length) = substring_for {
                    arguments.push(self.type_of(length, context)?);
                }
                self.function_type(if *shorthand { "substr" } else { "substring" }, &arguments)
            }
            Expr::CompoundFieldAccess { root, access_chain }
                if access_chain
                    .iter()
                    .all(|access| matches!(access, AccessExpr::Subscript(Subscript::Index { .. }))) =>
            {
                match self.type_of(root, context)? {
                    // jsonb
                    Typed::Known(Oid(3802)) => self.known(Oid(3802)),
                    Typed::Known(array) => {
                        let element = self.overloads().and_then(|all| all.element_of(array));
                        element.map_or(Typed::Any, Typed::Known)
                    }
                    Typed::Any | Typed::Literal | Typed::Parameter => Typed::Any,
                }
            }
            Expr::Substring { expr, shorthand: false, .. } | Expr::Overlay { expr, .. } | Expr::Trim { expr, .. } => {
                match self.type_of(expr, context)? {
                    Typed::Known(Oid(25 | 1042 | 1043)) => Typed::Known(TEXT),
                    Typed::Known(_) | Typed::Any | Typed::Literal | Typed::Parameter => Typed::Any,
                }
            }
            Expr::Ceil { expr, field: _ } => self.call_type("ceil", expr, context)?,
            Expr::Floor { expr, field: _ } => self.call_type("floor", expr, context)?,
            Expr::Collate { expr, .. } => self.type_of(expr, context)?,
            Expr::Subquery(query) => self.query_type(query),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|CaseWhen { condition: _, result }| result);
                self.common_type(results.chain(else_result.as_deref()), context)?
            }
            Expr::Array(array) => match self.common_type(&array.elem, context)? {
                Typed::Known(element) => {
                    self.overloads().and_then(|all| all.array_of(element)).map_or(Typed::Any, Typed::Known)
                }
                Typed::Any | Typed::Literal | Typed::Parameter => Typed::Any,
            },
            Expr::Function(function) => self.result_type(function, context)?,
            _ => Typed::Any,
        })
    }

    fn common_type<'e>(
        &mut self,
        expressions: impl IntoIterator<Item = &'e Expr>,
        context: &Context,
    ) -> Result<Typed, Refusal> {
        let mut all = Typed::Literal;
        for expression in expressions {
            all = all.common(self.type_of(expression, context)?);
        }
        // Constants alone become text, and not before they meet another.
        Ok(if all == Typed::Literal { Typed::Any } else { all })
    }

    fn system_type(&self, name: &str) -> Typed {
        match name {
            "ctid" => self.known(Oid(27)),
            "tableoid" => self.known(Oid(26)),
            "xmin" | "xmax" => self.known(Oid(28)),
            "cmin" | "cmax" => self.known(Oid(29)),
            _ => Typed::Any,
        }
    }

    /// Keywords that are values.
    fn value_type(&self, word: &str) -> Typed {
        match word {
            "current_date" => self.known(Oid(1082)),
            "current_timestamp" => self.known(Oid(1184)),
            "localtimestamp" => self.known(Oid(1114)),
            "current_user" | "session_user" | "user" | "current_role" => self.known(Oid(19)),
            _ => Typed::Any,
        }
    }

    fn number_type(&mut self, token: Option<usize>) -> Typed {
        let token = token.and_then(|at| self.tokens.get(at)).filter(|token| token.kind == Kind::Number);
        let Some(text) = token.and_then(|token| token.literal(&mut self.bound.reads)) else { return Typed::Any };
        if text.parse::<i32>().is_ok() {
            self.known(Oid(23))
        } else if text.parse::<i64>().is_ok() {
            self.known(Oid(20))
        } else if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            self.known(Oid(1700))
        } else {
            Typed::Any
        }
    }

    fn operator_type(&self, name: &str, left: Option<Typed>, right: Typed) -> Typed {
        let Some(overloads) = self.overloads() else { return Typed::Any };
        match overloads.operator(name, left, right, self.catalog.operators_named(name), None) {
            Choice::Builtin(result) => result,
            Choice::User(user) => user.result.map_or(Typed::Any, |oid| self.known(oid)),
            Choice::Unclear => Typed::Any,
        }
    }

    fn function_type(&self, name: &str, arguments: &[Typed]) -> Typed {
        let Some(overloads) = self.overloads() else { return Typed::Any };
        match overloads.function(name, arguments, self.catalog.functions_named(name), self.path) {
            Choice::Builtin(result) => result,
            Choice::User(user) => user.result_type.map_or(Typed::Any, |oid| self.known(oid)),
            Choice::Unclear => Typed::Any,
        }
    }

    fn call_type(&mut self, name: &str, argument: &Expr, context: &Context) -> Result<Typed, Refusal> {
        let argument = self.type_of(argument, context)?;
        Ok(self.function_type(name, &[argument]))
    }

    fn result_type(&mut self, function: &Function, context: &Context) -> Result<Typed, Refusal> {
        let Function { name, args, within_group, .. } = function;
        let [.., ObjectNamePart::Identifier(called)] = name.0.as_slice() else { return Ok(Typed::Any) };
        let list = match args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None if called.quote_style.is_none() => return Ok(self.value_type(&called.value)),
            FunctionArguments::None | FunctionArguments::Subquery(_) => return Ok(Typed::Any),
        };
        let expressions = list.args.iter().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            FunctionArg::Unnamed(_) | FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => None,
        });
        if called.quote_style.is_none() && matches!(called.value.as_str(), "coalesce" | "greatest" | "least") {
            return self.common_type(expressions, context);
        }
        let place = parse::ident_index(called).filter(|_| within_group.is_empty() && name.0.len() == 1);
        let Some(place) = place else { return Ok(Typed::Any) };
        let Some(arguments) = self.argument_types(&list.args, place, context)? else { return Ok(Typed::Any) };
        Ok(self.function_type(&called.value, &arguments))
    }

    /// The type that a name means, when it is one of `pg_catalog` that no other stands beside, or the only one of the database.
    #[allow(clippy::wildcard_enum_match_arm, reason = "of all other forms nothing is known, which is always right")]
    fn type_named(&self, data_type: &DataType) -> Typed {
        let Some(overloads) = self.overloads() else { return Typed::Any };
        let oid = match data_type {
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => Some(1700),
            DataType::SmallInt(_) => Some(21),
            DataType::Int(_) | DataType::Integer(_) => Some(23),
            DataType::BigInt(_) => Some(20),
            DataType::Real => Some(700),
            DataType::DoublePrecision | DataType::Float(ExactNumberInfo::None) => Some(701),
            DataType::Boolean => Some(16),
            DataType::CharacterVarying(_) | DataType::Varchar(_) => Some(1043),
            DataType::Character(_) | DataType::Char(_) => Some(1042),
            DataType::Timestamp(_, zone) => Some(if has_zone(*zone) { 1184 } else { 1114 }),
            DataType::Time(_, zone) => Some(if has_zone(*zone) { 1266 } else { 1083 }),
            DataType::Interval { .. } => Some(1186),
            _ => None,
        };
        if let Some(oid) = oid {
            return self.known(Oid(oid));
        }
        let name = match data_type {
            DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => {
                let Typed::Known(element) = self.type_named(inner) else { return Typed::Any };
                return overloads.array_of(element).map_or(Typed::Any, Typed::Known);
            }
            DataType::Custom(name, _) => match name.0.as_slice() {
                [ObjectNamePart::Identifier(ident)] => ident.value.clone(),
                _ => return Typed::Any,
            },
            DataType::Text => "text".to_owned(),
            DataType::Uuid => "uuid".to_owned(),
            DataType::Date => "date".to_owned(),
            DataType::JSON => "json".to_owned(),
            DataType::JSONB => "jsonb".to_owned(),
            DataType::Bytea => "bytea".to_owned(),
            DataType::Bool => "bool".to_owned(),
            DataType::Int2(_) => "int2".to_owned(),
            DataType::Int4(_) => "int4".to_owned(),
            DataType::Int8(_) => "int8".to_owned(),
            DataType::Float4 => "float4".to_owned(),
            DataType::Float8 => "float8".to_owned(),
            _ => return Typed::Any,
        };
        let mut users = self.catalog.types_named(&name).filter(|user| self.path.contains(&user.schema));
        match (overloads.named(&name), users.next(), users.next()) {
            (Some(oid), None, _) => Typed::Known(oid),
            (None, Some(user), None) => self.known(user.oid),
            (_, _, _) => Typed::Any,
        }
    }

    /// Notes what stands between operators, and what the words of the grammar compare that PostgreSQL looks an operator up for.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "an operator that is not noted here is refused where a user made one"
    )]
    pub(super) fn operators(&mut self, expression: &Expr, context: &Context) -> Result<(), Refusal> {
        if self.overloads().is_none() {
            return Ok(());
        }
        match expression {
            Expr::BinaryOp { left, op, right } => {
                let pairs = self.pairs(left, &[&**right], context)?;
                self.operator_use(&op.to_string(), false, [first_token(left), first_token(right)], pairs);
            }
            Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => {
                let operand = self.type_of(expr, context)?;
                self.operator_use(&op.to_string(), false, [first_token(expr); 2], vec![(None, operand)]);
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right } => {
                let one = self.type_of(left, context)?;
                let many = match (unbracketed(right), self.type_of(right, context)?) {
                    (Expr::Subquery(_), column) => column,
                    (_, Typed::Known(array)) => {
                        let element = self.overloads().and_then(|all| all.element_of(array));
                        element.map_or(Typed::Any, Typed::Known)
                    }
                    (_, other) => other,
                };
                let place = [first_token(left), first_token(right)];
                self.operator_use(&compare_op.to_string(), true, place, vec![(Some(one), many)]);
            }
            Expr::In { expr, target, negated: _, global: _ } => match target {
                InTarget::List(list) => {
                    let pairs = self.pairs(expr, &list.iter().collect::<Vec<_>>(), context)?;
                    let place = [first_token(expr), list.first().and_then(first_token)];
                    self.operator_use("in", false, place, pairs);
                }
                InTarget::Subquery(query) => {
                    let at = parse::token_index(query.span());
                    let columns = at.and_then(|at| self.queries.get(&at)).cloned().unwrap_or_default();
                    let mut pairs = Vec::new();
                    match unbracketed(expr) {
                        Expr::Tuple(fields) if fields.len() == columns.len() => {
                            for (field, column) in fields.iter().zip(&columns) {
                                pairs.push((Some(self.type_of(field, context)?), *column));
                            }
                        }
                        _ => pairs.push((Some(self.type_of(expr, context)?), self.query_type(query))),
                    }
                    self.operator_use("in", false, [first_token(expr), at], pairs);
                }
                InTarget::Unnest(_) | InTarget::Table { .. } => {}
            },
            Expr::Position { expr, r#in } => {
                self.operator_use("in", false, [first_token(expr), first_token(r#in)], Vec::new());
            }
            Expr::Between { expr, negated: _, low, high } => {
                let pairs = self.pairs(expr, &[&**low, &**high], context)?;
                self.operator_use("between", false, [first_token(expr), first_token(low)], pairs);
            }
            Expr::Like { expr, pattern, .. }
            | Expr::ILike { expr, pattern, .. }
            | Expr::SimilarTo { expr, pattern, .. } => {
                let word = match expression {
                    Expr::Like { .. } => "like",
                    Expr::ILike { .. } => "ilike",
                    _ => "similar",
                };
                let pairs = self.pairs(expr, &[&**pattern], context)?;
                self.operator_use(word, false, [first_token(expr), first_token(pattern)], pairs);
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                let pairs = self.pairs(left, &[&**right], context)?;
                self.operator_use("distinct", false, [first_token(left), first_token(right)], pairs);
            }
            Expr::Case { case_token, operand, conditions, .. } => {
                let pairs = match operand {
                    Some(operand) => {
                        let values: Vec<&Expr> = conditions.iter().map(|when| &when.condition).collect();
                        self.pairs(operand, &values, context)?
                    }
                    None => Vec::new(),
                };
                self.operator_use("case", false, [parse::token_index(case_token.0.span); 2], pairs);
            }
            Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) => {
                if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
                    && ident.quote_style.is_none()
                    && ident.value == "nullif"
                    && let [
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
                    ] = list.args.as_slice()
                {
                    let pairs = self.pairs(left, &[right], context)?;
                    self.operator_use("nullif", false, [parse::ident_index(ident); 2], pairs);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The types of what is compared; of rows field by field.
    fn pairs(
        &mut self,
        left: &Expr,
        rights: &[&Expr],
        context: &Context,
    ) -> Result<Vec<(Option<Typed>, Typed)>, Refusal> {
        let mut pairs = Vec::new();
        for right in rights {
            if let (Expr::Tuple(lefts), Expr::Tuple(rights)) = (unbracketed(left), unbracketed(right))
                && lefts.len() == rights.len()
            {
                for (left, right) in lefts.iter().zip(rights) {
                    pairs.push((Some(self.type_of(left, context)?), self.type_of(right, context)?));
                }
            } else {
                pairs.push((Some(self.type_of(left, context)?), self.type_of(right, context)?));
            }
        }
        Ok(pairs)
    }

    /// As many words are noted as there are in the text: nothing else tells their places.
    pub(super) fn word_use(&mut self, word: &str, operands: Vec<(Option<Typed>, Typed)>) {
        if self.overloads().is_some() {
            let place = (self.bound.operators.len(), usize::MAX);
            self.bound.operators.push(OperatorUse { name: word.to_owned(), array: false, place, operands });
        }
    }

    fn operator_use(
        &mut self,
        name: &str,
        array: bool,
        place: [Option<usize>; 2],
        operands: Vec<(Option<Typed>, Typed)>,
    ) {
        // What has no place cannot be told from others, and is not vouched for.
        if let [Some(left), Some(right)] = place {
            let one = OperatorUse { name: name.to_owned(), array, place: (left, right), operands };
            self.bound.operators.push(one);
        }
    }
}

fn has_zone(zone: TimezoneInfo) -> bool {
    matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)
}
