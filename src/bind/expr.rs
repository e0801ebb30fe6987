//! Expressions: every name in them resolved, and the base columns that their value is computed from.

use std::rc::Rc;

use sqlparser::ast::{
    AccessExpr, Array, CaseWhen, CastKind, CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, InTarget, Interval,
    JsonPath, JsonPathElem, ListAggOnOverflow, ObjectNamePart, Query, Subscript, TypedString, Value, WindowType,
};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Constant, Deps, FunctionUse, Usages, WholeUse},
    compare::Place,
    scope::merge,
};
use crate::{
    catalog::functions::{Builtin, builtin, is_aggregate, is_set_returning},
    error::{Refusal, RefusalCode},
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
        let deps = if inside == place {
            self.expr_here(expression, context)?
        } else {
            self.expr_here(expression, &Context { place: inside, ..context.clone() })?
        };
        self.compared(expression, place, before);
        Ok(deps)
    }

    fn expr_here(&mut self, expression: &Expr, context: &Context) -> Result<Deps, Refusal> {
        match expression {
            Expr::Identifier(ident) => Ok(self.identifier(ident, context)?.0),
            Expr::CompoundIdentifier(idents) => Ok(self.compound(idents, context)?.0),
            Expr::CompoundFieldAccess { root, access_chain } => {
                // Before a subscript `c.tags` is a column's name, and no field of a row: the row would stand in brackets.
                let names = column_names(root, access_chain);
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
                                self.attribute(&ident.value, index)?;
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
            Expr::BinaryOp { left, op: _, right }
            | Expr::AnyOp { left, compare_op: _, right, is_some: _ }
            | Expr::AllOp { left, compare_op: _, right } => self.all([&**left, right], context),
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
                    self.special_function(expr, context)
                }
                CeilFloorKind::DateTimeField(_) | CeilFloorKind::Scale(_) => {
                    Err(Self::unsupported("this form of ceil"))
                }
            },
            Expr::Position { expr, r#in } => self.all([&**expr, r#in], context),
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => self
                .all([&**expr].into_iter().chain(substring_from.as_deref()).chain(substring_for.as_deref()), context),
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
            Expr::Tuple(items) | Expr::Array(Array { elem: items, named: _ }) => self.all(items, context),
            Expr::Interval(Interval {
                value,
                leading_field: _,
                leading_precision: _,
                last_field: _,
                fractional_seconds_precision: _,
            }) => self.expr(value, context),
            Expr::QualifiedWildcard(name, _token) => {
                let (parts, tokens) = self.parts(name)?;
                let [table] = parts.as_slice() else {
                    return Err(self.at(Self::unsupported("a name of this form"), tokens.start));
                };
                let Some(item) = Self::item(table, None, context) else {
                    return Err(self.at(Self::unsupported("a star of an unknown name"), tokens.start));
                };
                self.mark_row(&item, WholeUse::Expression(tokens.start));
                Ok(item.all_deps())
            }
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

    /// `ceil(x)` and `floor(x)`, which sqlparser does not give as functions: their names are checked on the tokens.
    fn special_function(&mut self, argument: &Expr, context: &Context) -> Result<Deps, Refusal> {
        self.expr(argument, context)
    }

    /// A sub-select in an expression.
    pub(super) fn subquery(&mut self, query: &Query, context: &Context) -> Result<Deps, Refusal> {
        // Behind GROUP BY a column of the block is one of a group.
        let early = matches!(context.clause, Clause::Where | Clause::On | Clause::Group) || context.aggregate;
        let grouped = context.scope.block.filter(|_| !early);
        self.grouped.extend(grouped);
        let outputs = self.query(query, Some(context.scope.clone()));
        self.grouped.truncate(self.grouped.len() - usize::from(grouped.is_some()));
        let outputs = outputs?;
        let mut deps = Deps::new();
        for output in &outputs {
            merge(&mut deps, &output.deps);
        }
        Ok(deps)
    }

    /// Arguments of a call: what they are computed from, and the literals among them.
    pub(super) fn arguments(
        &mut self,
        args: &[FunctionArg],
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
                FunctionArgExpr::QualifiedWildcard(name) => {
                    let (parts, tokens) = self.parts(name)?;
                    let item = match parts.as_slice() {
                        [table] => Self::item(table, None, context),
                        _ => None,
                    };
                    let Some(item) = item else {
                        return Err(self.at(Self::unsupported("a star of this name"), tokens.start));
                    };
                    self.mark_row(&item, WholeUse::Expression(tokens.start));
                    item.all_deps()
                }
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
    ) -> Result<String, Refusal> {
        let (schema, name) = match parts {
            [name] => (None, name),
            [schema, name] => (Some(schema.clone()), name),
            _ => return Err(self.at(Self::unsupported("a function name of this form"), token)),
        };
        let quoted = self.tokens.get(token).is_some_and(|token| token.kind == Kind::Quoted);
        self.bound.functions.push(FunctionUse { schema, name: name.clone(), token, quoted, constants, deps });
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
            return Ok(self.arguments(&list.args, context)?.0);
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
                let (mut deps, constants) = self.arguments(args, &inner)?;
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
            self.function_use(&parts, tokens.end - 1, constants, deps.clone())?;
        }
        if self.returns_set(base) {
            // It decides how many rows there are.
            self.mark(&deps, Usages::ARGUMENT);
        }
        for item in within_group {
            let more = self.expr(&item.expr, &inner)?;
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

    /// Whether a function of this name may return rows; one that is not known may.
    fn returns_set(&self, name: &str) -> bool {
        is_set_returning(name) || self.catalog.functions_named(name).any(|user| user.returns_set)
    }

    fn argument_clause(&mut self, clause: &FunctionArgumentClause, context: &Context) -> Result<Deps, Refusal> {
        match clause {
            FunctionArgumentClause::OrderBy(items) => {
                let mut deps = Deps::new();
                for item in items {
                    if item.with_fill.is_some() {
                        return Err(Self::unsupported("WITH FILL"));
                    }
                    let more = self.expr(&item.expr, context)?;
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

    /// `phone(c)`: a column of a row, written as a call. None when it is a call.
    fn functional_notation(
        &mut self,
        parts: &[String],
        start: usize,
        args: &FunctionArguments,
        context: &Context,
    ) -> Result<Option<Deps>, Refusal> {
        let [name] = parts else { return Ok(None) };
        let FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }) = args else {
            return Ok(None);
        };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.as_slice() else { return Ok(None) };
        let is_function = builtin(name).is_some() || self.catalog.functions_named(name).next().is_some();
        if is_function || !clauses.is_empty() || keywords::is_keyword(name) && !matches!(argument, Expr::Identifier(_))
        {
            return Ok(None);
        }
        let mut root = argument;
        while let Expr::Nested(inner) = root {
            root = inner;
        }
        let row = if let Expr::Identifier(ident) = root { Self::item(&ident.value, None, context) } else { None };
        let Some(item) = row.filter(|item| item.column(name).is_some()) else {
            if let Expr::Identifier(_) | Expr::CompoundIdentifier(_) = root
                && keywords::is_keyword(name)
            {
                return Ok(None);
            }
            let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("function {name} does not exist"))
                .with_hint("No function of this name is known.")
                .with_sqlstate("42883");
            return Err(self.at(refusal, start));
        };
        let before = self.bound.references.len();
        let deps = self.expr(argument, context)?;
        if Self::may_be_column(item.name.as_deref().unwrap_or_default(), context) {
            // PostgreSQL takes a column of the row's name before the row.
            return Ok(Some(deps));
        }
        // Only a column of the row is used: the row needs no type of its own.
        for reference in self.bound.references.iter_mut().skip(before) {
            reference.row = false;
        }
        Ok(Some(item.column(name).map(|column| column.deps.clone()).unwrap_or_default()))
    }

    /// Whether a column of any level may have this name: PostgreSQL takes it before a row of the same name.
    pub(super) fn may_be_column(name: &str, context: &Context) -> bool {
        let mut level = Some(&context.scope);
        while let Some(scope) = level {
            if scope.items.iter().any(|item| item.open || item.column(name).is_some()) {
                return true;
            }
            level = scope.parent.as_ref();
        }
        false
    }

    /// Whether a column of any level surely has this name.
    pub(super) fn is_column(name: &str, context: &Context) -> bool {
        std::iter::successors(Some(&context.scope), |scope| scope.parent.as_ref())
            .any(|scope| scope.items.iter().any(|item| item.columns_visible && item.column(name).is_some()))
    }

    /// Whether `name` is a column of the row that `root` is.
    fn is_field_of_row(root: &Expr, name: &str, context: &Context) -> bool {
        let mut root = root;
        while let Expr::Nested(inner) = root {
            root = inner;
        }
        let Expr::Identifier(ident) = root else { return false };
        !Self::may_be_column(&ident.value, context)
            && Self::item(&ident.value, None, context).is_some_and(|item| item.column(name).is_some())
    }

    /// `(x).name` where it is not known whether `x` has a field of that name: PostgreSQL calls the function `name(x)` when
    /// it has not. Only a function that may be called anyway may have the name.
    ///
    /// # Errors
    /// [`RefusalCode::FunctionNotAllowed`].
    pub(super) fn attribute(&self, name: &str, index: usize) -> Result<(), Refusal> {
        if builtin(name) != Some(Builtin::Refused) && self.catalog.functions_named(name).next().is_none() {
            return Ok(());
        }
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("permission denied for function {name}"))
            .with_hint("A field of this name may be a call of the function; write (alias).field of a table's row.");
        Err(self.at(refusal, index))
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
fn column_names(root: &Expr, chain: &[AccessExpr]) -> Vec<Ident> {
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
