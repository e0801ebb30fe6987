//! Expressions: every name in them resolved, and the base columns that their value is computed from.

use std::rc::Rc;

use sqlparser::ast::{
    AccessExpr, Array, CaseWhen, CastKind, CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, InTarget, Interval,
    JsonPath, JsonPathElem, ListAggOnOverflow, ObjectNamePart, OrderByExpr, Query, Subscript, TypedString, Value,
    ValueWithSpan, WindowType,
};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Constant, Deps, FunctionUse, Usages},
    compare::Place,
    figure,
    scope::merge,
};
use crate::{
    catalog::{
        functions::{is_aggregate, is_set_returning},
        overloads::Typed,
    },
    error::Refusal,
    sql::{Kind, keywords, parse},
};

impl Binder<'_> {
    /// Binds an expression and records its base columns as used by the clause it stands in.
    pub(super) fn expr_used(&mut self, expression: &Expr, context: &Context) -> Result<(), Refusal> {
        let deps = self.expr(expression, context)?;
        self.mark(&deps, context.clause.usage());
        Ok(())
    }

    /// Binds an expression: the base columns that its value is computed from.
    pub(super) fn expr(&mut self, expression: &Expr, context: &Context) -> Result<Deps, Refusal> {
        let deps = stacker::maybe_grow(64 * 1024, 2 * 1024 * 1024, || self.expr_in_place(expression, context))?;
        self.spend(1 + deps.len())?;
        Ok(deps)
    }

    fn all<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr>, context: &Context) -> Result<Deps, Refusal> {
        let mut deps = Deps::new();
        for expression in expressions {
            let more = self.expr(expression, context)?;
            merge(&mut deps, &more);
        }
        Ok(deps)
    }

    /// Binds an expression, and notes what it compares where it stands.
    fn expr_in_place(&mut self, expression: &Expr, context: &Context) -> Result<Deps, Refusal> {
        let (place, before) = (context.place, self.bound.references.len());
        let inside = Self::place_inside(expression, place);
        if place.is_alone() {
            self.excuse_settings(expression);
        }
        let deps = if inside == place {
            self.expr_here(expression, context)?
        } else {
            self.expr_here(expression, &Context { place: inside, ..context.clone() })?
        };
        self.compared(expression, place, before);
        self.operators(expression, context)?;
        self.judge_failing(expression, context)?;
        Ok(deps)
    }

    fn expr_here(&mut self, expression: &Expr, context: &Context) -> Result<Deps, Refusal> {
        match expression {
            Expr::Identifier(ident) => Ok(self.identifier(ident, context)?.0),
            Expr::CompoundIdentifier(idents) => Ok(self.compound(idents, context)?.0),
            Expr::CompoundFieldAccess { root, access_chain } => {
                // Before a subscript `c.tags` is a column's name, and no field of a row: the row would stand in brackets.
                let names = column_names(root, access_chain);
                let before = self.bound.references.len();
                let mut deps = match names.as_slice() {
                    [] | [_] => self.expr(root, context)?,
                    names => self.compound(names, context)?.0,
                };
                let first = names.len().saturating_sub(1);
                for (depth, access) in access_chain.iter().enumerate().skip(first) {
                    match access {
                        AccessExpr::Dot(Expr::Identifier(ident)) => {
                            let index = self.take(ident)?;
                            // Only the first field is one of the row itself.
                            if depth > 0 || !Self::is_field_of_row(root, &ident.value, context) {
                                self.attribute(&ident.value, index, &deps, true)?;
                            } else {
                                // PostgreSQL takes the column itself: the row needs no type of its own.
                                self.bound
                                    .references
                                    .iter_mut()
                                    .skip(before)
                                    .for_each(|reference| reference.row = false);
                            }
                        }
                        AccessExpr::Dot(Expr::Function(function)) => {
                            let more = self.function(function, context)?;
                            merge(&mut deps, &more);
                        }
                        AccessExpr::Dot(_) => return Err(Self::unsupported("this form of field selection")),
                        AccessExpr::Subscript(Subscript::Index { index }) => {
                            let more = self.expr(index, context)?;
                            merge(&mut deps, &more);
                        }
                        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                            let bounds = [lower_bound, upper_bound, stride];
                            let more = self.all(bounds.into_iter().flatten(), context)?;
                            merge(&mut deps, &more);
                        }
                    }
                }
                Ok(deps)
            }
            Expr::JsonAccess { value, path: JsonPath { path } } => {
                let mut deps = self.expr(value, context)?;
                for element in path {
                    match element {
                        JsonPathElem::Bracket { key } => {
                            let more = self.expr(key, context)?;
                            merge(&mut deps, &more);
                        }
                        JsonPathElem::Dot { key: _, quoted: _ } | JsonPathElem::ColonBracket { key: _ } => {
                            return Err(Self::unsupported("this form of JSON access"));
                        }
                    }
                }
                Ok(deps)
            }
            Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::IsJson { expr: e, kind: _, unique_keys: _, negated: _ }
            | Expr::IsNormalized { expr: e, form: _, negated: _ }
            | Expr::Nested(e)
            | Expr::UnaryOp { op: _, expr: e } => self.expr(e, context),
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => {
                if self.asks_for_version(a, b, context)? {
                    Ok(Deps::new())
                } else {
                    self.all([&**a, b], context)
                }
            }
            Expr::BinaryOp { left, op: _, right } => self.all([&**left, right], context),
            Expr::AnyOp { left, compare_op: _, right, is_some: _ } | Expr::AllOp { left, compare_op: _, right } => {
                let mut deps = self.expr(left, context)?;
                // A sub-select may have any number of rows here.
                let more = if let Expr::Subquery(query) = &**right {
                    self.subquery(query, context)?
                } else {
                    self.expr(right, context)?
                };
                merge(&mut deps, &more);
                Ok(deps)
            }
            Expr::In { expr, target, negated: _, global } => {
                if *global {
                    return Err(Self::unsupported("GLOBAL IN"));
                }
                let mut deps = self.expr(expr, context)?;
                let more = match target {
                    InTarget::List(list) => self.all(list, context)?,
                    InTarget::Subquery(query) => self.subquery(query, context)?,
                    InTarget::Unnest(_) | InTarget::Table { .. } => return Err(Self::unsupported("this form of IN")),
                };
                merge(&mut deps, &more);
                Ok(deps)
            }
            Expr::Between { expr, negated: _, low, high } => self.all([&**expr, low, high], context),
            Expr::Like { negated: _, any: _, expr, pattern, escape_char }
            | Expr::ILike { negated: _, any: _, expr, pattern, escape_char }
            | Expr::SimilarTo { negated: _, expr, pattern, escape_char } => {
                self.all([&**expr, pattern].into_iter().chain(escape_char.as_deref()), context)
            }
            Expr::Cast { kind, expr, data_type, format } => {
                match kind {
                    CastKind::Cast | CastKind::DoubleColon => {}
                    CastKind::TryCast | CastKind::SafeCast => return Err(Self::unsupported("this form of CAST")),
                }
                if format.is_some() {
                    return Err(Self::unsupported("CAST FORMAT"));
                }
                let deps = self.expr(expr, context)?;
                // (expression).*
                if self.fields_of(data_type).is_none() {
                    self.data_type(data_type)?;
                }
                Ok(deps)
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.all([&**timestamp, time_zone], context),
            Expr::Extract { field: _, syntax: _, expr } => self.expr(expr, context),
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => match field {
                CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) => {
                    let name = if matches!(expression, Expr::Ceil { expr: _, field: _ }) { "ceil" } else { "floor" };
                    self.special_function(name, &[&**expr], context)
                }
                CeilFloorKind::DateTimeField(_) | CeilFloorKind::Scale(_) => {
                    Err(Self::unsupported("this form of ceil"))
                }
            },
            Expr::Position { expr, r#in } => self.all([&**expr, r#in], context),
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand } => {
                let arguments = [&**expr].into_iter().chain(substring_from.as_deref()).chain(substring_for.as_deref());
                let name = if *shorthand { "substr" } else { "substring" };
                self.special_function(name, &arguments.collect::<Vec<_>>(), context)
            }
            Expr::Trim { trim_where: _, trim_what, expr, trim_characters } => self.all(
                [&**expr].into_iter().chain(trim_what.as_deref()).chain(trim_characters.iter().flatten()),
                context,
            ),
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.all([&**expr, overlay_what, overlay_from].into_iter().chain(overlay_for.as_deref()), context)
            }
            Expr::Collate { expr, collation } => {
                let deps = self.expr(expr, context)?;
                self.parts(collation)?;
                Ok(deps)
            }
            Expr::Value(value) => match &value.value {
                Value::Number(..)
                | Value::SingleQuotedString(_)
                | Value::SingleQuotedByteStringLiteral(_)
                | Value::NationalStringLiteral(_)
                | Value::HexStringLiteral(_)
                | Value::Boolean(_)
                | Value::Null
                | Value::Placeholder(_) => Ok(Deps::new()),
                Value::DollarQuotedString(_)
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
                | Value::DoubleQuotedString(_) => Err(Self::unsupported("this form of a literal")),
            },
            Expr::TypedString(TypedString { data_type, value: _, uses_odbc_syntax }) => {
                if *uses_odbc_syntax {
                    return Err(Self::unsupported("ODBC syntax"));
                }
                self.data_type(data_type)?;
                Ok(Deps::new())
            }
            Expr::Function(function) => self.function(function, context),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                let mut deps = self.all(operand.as_deref().into_iter().chain(else_result.as_deref()), context)?;
                for CaseWhen { condition, result } in conditions {
                    let more = self.all([condition, result], context)?;
                    merge(&mut deps, &more);
                }
                Ok(deps)
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => self.subquery(subquery, context),
            Expr::Array(Array { elem: items, named: _ }) => self.all(items, context),
            Expr::Tuple(items) => self.row(items, context),
            Expr::Interval(Interval {
                value,
                leading_field: _,
                leading_precision: _,
                last_field: _,
                fractional_seconds_precision: _,
            }) => {
                // To PostgreSQL any other word that follows is the label of a column called interval, or of a row.
                if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), span: _ }) = &**value {
                    return self.expr(value, context);
                }
                Err(Self::unsupported("INTERVAL without a string"))
            }
            Expr::QualifiedWildcard(name, _token) => self.starred_row(name, false, context),
            Expr::Prefixed { prefix: _, value: _ }
            | Expr::Convert { .. }
            | Expr::RLike { .. }
            | Expr::GroupingSets(_)
            | Expr::Cube(_)
            | Expr::Rollup(_)
            | Expr::Struct { .. }
            | Expr::Named { .. }
            | Expr::Dictionary(_)
            | Expr::Map(_)
            | Expr::MatchAgainst { .. }
            | Expr::Wildcard(_)
            | Expr::OuterJoin(_)
            | Expr::Prior(_)
            | Expr::Lambda(_)
            | Expr::MemberOf(_) => Err(Self::unsupported("this form of an expression")),
        }
    }

    /// `ceil(x)`, `floor(x)` and `substring(…)`, which sqlparser does not give as functions. With commas, or of one argument, they are
    /// calls like others, that a function of the database may take; the forms of the grammar's own only take their token.
    fn special_function(&mut self, name: &str, arguments: &[&Expr], context: &Context) -> Result<Deps, Refusal> {
        let deps = self.all(arguments.iter().copied(), context)?;
        if self.own_text || self.catalog.functions_named(name).next().is_none() {
            return Ok(deps);
        }
        let first = arguments.first().and_then(|first| figure::first_token(first)).unwrap_or_default();
        // Those inside the arguments were bound before, and have their tokens.
        let calls = |at: &usize| {
            self.tokens.get(*at).is_some_and(|token| token.is_word(name))
                && self.tokens.get(at + 1).is_some_and(|token| token.kind == Kind::Open)
                && !self.bound.accounted.get(*at).copied().unwrap_or(false)
        };
        let found = (0..first).rev().find(calls);
        let at = found.ok_or_else(|| Self::unsupported("this form of a function call"))?;
        self.take_token(at)?;
        let comma = self.find_level(at + 2, |_, token| token.kind == Kind::Comma);
        if arguments.len() > 1 && self.tokens.get(comma).is_none_or(|token| token.kind != Kind::Comma) {
            // `substring(a FROM b)`, `substring(a SIMILAR b ESCAPE c)`: the grammar makes them calls of pg_catalog's.
            return Ok(deps);
        }
        let mut types = Vec::new();
        for argument in arguments {
            types.push(self.type_of(argument, context)?);
        }
        let types = Some(types).filter(|_| self.overloads().is_some());
        self.function_use(&[name.to_owned()], at, vec![None; arguments.len()], deps.clone(), types)?;
        Ok(deps)
    }

    /// A sub-select in an expression.
    pub(super) fn subquery(&mut self, query: &Query, context: &Context) -> Result<Deps, Refusal> {
        // Behind GROUP BY a column of the block is one of a group.
        let early = matches!(context.clause, Clause::Where | Clause::On | Clause::Group) || context.aggregate;
        let grouped = context.scope.block.filter(|_| !early);
        self.grouped.extend(grouped);
        let outputs = self.in_expression(context.clause, |binder| binder.query(query, Some(context.scope.clone())));
        self.grouped.truncate(self.grouped.len() - usize::from(grouped.is_some()));
        let outputs = outputs?;
        self.keep_types(query, &outputs);
        self.keep_natures(query, &outputs);
        let mut deps = Deps::new();
        for output in &outputs {
            merge(&mut deps, &output.deps);
        }
        Ok(deps)
    }

    /// Arguments of a call, or of ROW: what they are computed from, and the literals among them.
    pub(super) fn arguments(
        &mut self,
        args: &[FunctionArg],
        in_row: bool,
        context: &Context,
    ) -> Result<(Deps, Vec<Option<Constant>>), Refusal> {
        let mut deps = Deps::new();
        let mut constants = Vec::new();
        for arg in args {
            let value = match arg {
                FunctionArg::Named { name, arg, operator: _ } => {
                    self.take(name)?;
                    arg
                }
                FunctionArg::ExprNamed { name, arg, operator } => {
                    if let (
                        Expr::Identifier(ident),
                        FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
                    ) = (name, operator)
                    {
                        self.take(ident)?;
                    } else {
                        // JSON_OBJECT('k': v)
                        let more = self.expr(name, context)?;
                        merge(&mut deps, &more);
                    }
                    arg
                }
                FunctionArg::Unnamed(arg) => arg,
            };
            constants.push(constant(value));
            let more = match value {
                FunctionArgExpr::Expr(expression) => self.expr(expression, context)?,
                FunctionArgExpr::QualifiedWildcard(name) => self.starred_row(name, in_row, context)?,
                FunctionArgExpr::Wildcard => Deps::new(),
                FunctionArgExpr::WildcardWithOptions(_) => return Err(Self::unsupported("this form of *")),
            };
            merge(&mut deps, &more);
        }
        Ok((deps, constants))
    }

    /// Records a call and answers with the function's bare name.
    pub(super) fn function_use(
        &mut self,
        parts: &[String],
        token: usize,
        constants: Vec<Option<Constant>>,
        deps: Deps,
        arguments: Option<Vec<Typed>>,
    ) -> Result<String, Refusal> {
        let (schema, name) = match parts {
            [name] => (None, name),
            [schema, name] => (Some(schema.clone()), name),
            _ => return Err(self.at(Self::unsupported("a function name of this form"), token)),
        };
        let quoted = self.tokens.get(token).is_some_and(|token| token.kind == Kind::Quoted);
        self.bound.functions.push(FunctionUse {
            schema,
            name: name.clone(),
            token,
            quoted,
            constants,
            deps,
            arguments,
        });
        Ok(name.clone())
    }

    pub(super) fn function(&mut self, function: &Function, context: &Context) -> Result<Deps, Refusal> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment: _, over } =
            function;
        if *uses_odbc_syntax || !matches!(parameters, FunctionArguments::None) {
            return Err(Self::unsupported("this form of a function call"));
        }
        if let ([ObjectNamePart::Identifier(ident)], FunctionArguments::List(list)) = (name.0.as_slice(), args)
            && self.gap(ident).is_some_and(|at| self.tokens.get(at).is_some_and(|token| token.is_word("collation")))
        {
            // COLLATION FOR: a construct of the grammar, which no function can take the place of.
            return Ok(self.arguments(&list.args, false, context)?.0);
        }
        let (parts, tokens) = self.parts(name)?;
        if let Some(deps) = self.functional_notation(&parts, tokens.start, args, context)? {
            return Ok(deps);
        }
        let base = parts.last().map_or("", String::as_str);
        let aggregate = over.is_none() && (is_aggregate(base) || filter.is_some() || !within_group.is_empty());
        let inner = Context { aggregate: context.aggregate || aggregate, ..context.clone() };
        let (mut deps, constants) = match args {
            FunctionArguments::None => (Deps::new(), Vec::new()),
            FunctionArguments::Subquery(query) => (self.subquery(query, &inner)?, vec![None]),
            FunctionArguments::List(FunctionArgumentList { duplicate_treatment: _, args, clauses }) => {
                let (mut deps, constants) = self.arguments(args, base == "row" && self.is_keyword(&tokens), &inner)?;
                for clause in clauses {
                    let more = self.argument_clause(clause, &inner)?;
                    merge(&mut deps, &more);
                }
                (deps, constants)
            }
        };
        let keyword_value = matches!(args, FunctionArguments::None)
            && keywords::category(base).is_some_and(|category| category != keywords::Category::Unreserved);
        if !keyword_value {
            let types = match args {
                FunctionArguments::List(list) if within_group.is_empty() => {
                    self.argument_types(&list.args, tokens.end - 1, &inner)?
                }
                FunctionArguments::List(_) | FunctionArguments::None | FunctionArguments::Subquery(_) => None,
            };
            self.function_use(&parts, tokens.end - 1, constants, deps.clone(), types)?;
        }
        if self.returns_set(base) {
            // It decides how many rows there are.
            self.mark(&deps, Usages::ARGUMENT);
        }
        for item in within_group {
            let more = self.aggregated_in_order(item, &inner)?;
            merge(&mut deps, &more);
        }
        if let Some(filter) = filter {
            // Of an aggregate it is a condition on rows, as WHERE is; a window sees rows that were grouped.
            let place = if aggregate { Place::Alone } else { Place::Value };
            let more = self.expr(filter, &Context { place, ..inner })?;
            merge(&mut deps, &more);
            self.mark(&more, Usages::PREDICATE);
        }
        match over {
            None => {}
            Some(WindowType::NamedWindow(name)) => {
                self.take(name)?;
            }
            Some(WindowType::WindowSpec(spec)) => {
                let window = Context { clause: Clause::Order, place: Place::Value, ..context.clone() };
                self.window(spec, &window)?;
            }
        }
        Ok(deps)
    }

    /// What an aggregate orders its rows by: since PostgreSQL 16 they may be sorted before they are joined.
    fn aggregated_in_order(&mut self, item: &OrderByExpr, context: &Context) -> Result<Deps, Refusal> {
        let before = self.found_failing();
        self.order_options(item)?;
        let deps = self.expr(&item.expr, context)?;
        if self.found_failing() > before {
            self.fails(Clause::Order);
        }
        Ok(deps)
    }

    /// Whether a function of this name may return rows; one that is not known may.
    fn returns_set(&self, name: &str) -> bool {
        is_set_returning(name) || self.catalog.functions_named(name).any(|user| user.returns_set)
    }

    fn argument_clause(&mut self, clause: &FunctionArgumentClause, context: &Context) -> Result<Deps, Refusal> {
        match clause {
            FunctionArgumentClause::OrderBy(items) => {
                let mut deps = Deps::new();
                for item in items {
                    let more = self.aggregated_in_order(item, context)?;
                    self.mark(&more, Usages::ORDER);
                    merge(&mut deps, &more);
                }
                Ok(deps)
            }
            FunctionArgumentClause::IgnoreOrRespectNulls(_) | FunctionArgumentClause::JsonNullClause(_) => {
                Ok(Deps::new())
            }
            FunctionArgumentClause::JsonReturningClause(clause) => {
                self.data_type(&clause.data_type)?;
                Ok(Deps::new())
            }
            FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Error | ListAggOnOverflow::Truncate { .. })
            | FunctionArgumentClause::Where(_)
            | FunctionArgumentClause::Limit(_)
            | FunctionArgumentClause::Having(_)
            | FunctionArgumentClause::Separator(_) => Err(Self::unsupported("this clause of a function call")),
        }
    }

    /// A fresh context for a part of a statement that sees `scope`.
    pub(super) fn context(scope: &Rc<super::scope::Scope>, clause: Clause) -> Context {
        Context::new(scope.clone(), clause)
    }
}

/// A string or boolean constant.
fn constant(argument: &FunctionArgExpr) -> Option<Constant> {
    let FunctionArgExpr::Expr(Expr::Value(value)) = argument else { return None };
    if let Value::SingleQuotedString(_) = &value.value {
        parse::token_index(value.span).map(Constant::Text)
    } else if let Value::Boolean(flag) = &value.value {
        Some(Constant::Truth(*flag))
    } else {
        None
    }
}

/// The dotted names with which a chain of accesses begins that ends in subscripts.
#[allow(clippy::wildcard_enum_match_arm, reason = "all but names are bound as the expressions that they are")]
pub(super) fn column_names(root: &Expr, chain: &[AccessExpr]) -> Vec<Ident> {
    let mut names = match root {
        Expr::Identifier(ident) => vec![ident.clone()],
        Expr::CompoundIdentifier(idents) => idents.clone(),
        // Whatever else, in brackets or not, is an expression.
        _ => return Vec::new(),
    };
    names.extend(chain.iter().map_while(|access| match access {
        AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident.clone()),
        AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
    }));
    names
}
