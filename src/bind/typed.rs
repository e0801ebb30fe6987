//! What is known of the types of expressions. In: expressions that were bound. Out: [`Typed`]. Only where the database has functions or operators whose names `pg_catalog` has too: elsewhere
//! nothing depends on types. Invariant: a type that is answered is the one that PostgreSQL finds; [`Typed::Any`] is always right.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use foldhash::fast::FixedState;
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    ObjectNamePart, Query, Spanned, Subscript, TypedString, UnaryOperator, Value,
};

use super::{
    binder::{Binder, Context, Resolved},
    bound::Output,
    expr::column_names,
    figure::first_token,
    query::unbracketed,
    scope::ScopeColumn,
};
use crate::{
    catalog::{
        functions::builtin,
        overloads::{Choice, Overloads, Typed},
    },
    error::Refusal,
    names::Oid,
    sql::{Kind, keywords, parse},
};

const BOOL: Typed = Typed::Known(Oid(16));
pub(super) const TEXT: Oid = Oid(25);
/// What it costs to find what an operator or a call means, against a column that is looked at.
const RESOLVED: usize = 64;

/// What was found of operators and calls, by their addresses in the tree, which stays where it is as long as there is a binder.
#[derive(Default)]
pub(super) struct Kept {
    /// The first token.
    starts: HashMap<usize, Option<usize>, FixedState>,
    types: HashMap<usize, Typed, FixedState>,
    /// What an operator gives between these types.
    operators: HashMap<(String, Option<Typed>, Typed), Typed, FixedState>,
    /// What was parsed beside the tree. It stays, too, for its addresses must not come to mean something else.
    pub parsed: Vec<Rc<[Expr]>>,
}

impl Kept {
    /// The address of an expression of the tree, or of [`Binder::expressions`].
    pub fn address(expression: &Expr) -> usize {
        std::ptr::from_ref(expression).addr()
    }
}

impl Binder<'_> {
    /// What types are told by; none where nothing depends on them.
    pub(super) fn overloads(&self) -> Option<&'_ Overloads> {
        self.catalog.data().overloads.as_ref().filter(|_| !self.own_text)
    }

    pub(super) fn known(&self, oid: Oid) -> Typed {
        if self.overloads().is_some_and(|overloads| overloads.knows(oid)) { Typed::Known(oid) } else { Typed::Any }
    }

    /// The type of a column that expressions can name.
    fn column_type(&self, column: &ScopeColumn) -> Typed {
        let Some((id, position)) = column.origin else { return column.typed };
        let relation = self.bound.relations.get(id).and_then(|used| self.catalog.relation(used.oid));
        let base = relation.and_then(|relation| relation.columns.get(position));
        base.map_or(Typed::Any, |column| self.known(column.type_oid))
    }

    /// The type of two expressions that become one.
    pub(super) fn common(&self, one: Typed, other: Typed) -> Typed {
        self.overloads().map_or(Typed::Any, |overloads| overloads.common(one, other))
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
            known @ (Typed::Any | Typed::Known(_) | Typed::Row) => known,
        })
    }

    /// The type of a value of VALUES, whose columns take the types of all rows together.
    pub(super) fn value_in_rows(&mut self, expression: &Expr, context: &Context) -> Result<Typed, Refusal> {
        if self.overloads().is_none() {
            return Ok(Typed::Any);
        }
        Ok(match self.type_of(expression, context)? {
            Typed::Parameter => Typed::Any,
            known @ (Typed::Any | Typed::Literal | Typed::Known(_) | Typed::Row) => known,
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
    pub(super) fn query_type(&self, query: &Query) -> Typed {
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
                | FunctionArg::Named { name: _, arg: _, operator: _ }
                | FunctionArg::ExprNamed { name: _, arg: _, operator: _ } => return Ok(None),
            }
        }
        Ok(Some(types))
    }

    fn is_variadic(&self, name: usize) -> bool {
        let end = self.find_level(name + 2, |_, _| false);
        self.tokens.get(name + 2..end).is_some_and(|inside| inside.iter().any(|token| token.is_word("variadic")))
    }

    /// The types of the columns that a function in FROM gives, where it can be none of the database.
    pub(super) fn result_types(&self, parts: &[String], arguments: Option<&[Typed]>) -> Option<Vec<Typed>> {
        let (overloads, [name]) = (self.overloads()?, parts) else { return None };
        if self.catalog.functions_named(name).next().is_some() {
            return None;
        }
        let outputs = overloads.outputs(name);
        if !outputs.is_empty() {
            return Some(outputs.iter().map(|oid| self.scalar(Typed::Known(*oid))).collect());
        }
        arguments.map(|arguments| vec![self.scalar(self.function_type(name, arguments))])
    }

    /// The type of what `unnest` gives.
    pub(super) fn element_type(&mut self, array: &Expr, context: &Context) -> Result<Typed, Refusal> {
        if self.overloads().is_none() {
            return Ok(Typed::Any);
        }
        let Typed::Known(array) = self.type_of(array, context)? else { return Ok(Typed::Any) };
        let element = self.overloads().and_then(|all| all.element_of(array));
        Ok(element.map_or(Typed::Any, |element| self.scalar(Typed::Known(element))))
    }

    /// A type, where a value of it is one column.
    fn scalar(&self, typed: Typed) -> Typed {
        match typed {
            Typed::Known(oid) if self.overloads().is_some_and(|all| all.is_scalar(oid)) => typed,
            Typed::Known(_) | Typed::Any | Typed::Literal | Typed::Parameter | Typed::Row => Typed::Any,
        }
    }

    /// What is known of the type of an expression.
    #[allow(clippy::wildcard_enum_match_arm, reason = "of all other forms nothing is known, which is always right")]
    pub(super) fn type_of(&mut self, expression: &Expr, context: &Context) -> Result<Typed, Refusal> {
        self.spend(8)?;
        let expression = unbracketed(expression);
        Ok(match expression {
            Expr::Identifier(ident) => match self.bare(&ident.value, context, 0)? {
                Some(Resolved::Column(column)) if !column.doubtful => self.column_type(&column),
                // Of a function the name may be that of its only column.
                Some(Resolved::Row(item, _)) if item.relation.is_some() => Typed::Row,
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
                Value::SingleQuotedString(_)
                | Value::EscapedStringLiteral(_)
                | Value::UnicodeStringLiteral(_)
                | Value::DollarQuotedString(_)
                | Value::Null => Typed::Literal,
                Value::Boolean(_) => BOOL,
                Value::Placeholder(text) if self.stands_once(text) => Typed::Parameter,
                _ => Typed::Any,
            },
            Expr::TypedString(TypedString { data_type, value: _, uses_odbc_syntax: _ })
            | Expr::Cast { kind: _, expr: _, data_type, format: _ } => self.type_named(data_type),
            Expr::Interval(_) => self.known(Oid(1186)),
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsJson { expr: _, kind: _, unique_keys: _, negated: _ }
            | Expr::IsNormalized { expr: _, form: _, negated: _ }
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::AnyOp { left: _, compare_op: _, right: _, is_some: _ }
            | Expr::AllOp { left: _, compare_op: _, right: _ }
            | Expr::In { expr: _, target: _, negated: _, global: _ }
            | Expr::Between { expr: _, negated: _, low: _, high: _ }
            | Expr::Like { negated: _, any: _, expr: _, pattern: _, escape_char: _ }
            | Expr::ILike { negated: _, any: _, expr: _, pattern: _, escape_char: _ }
            | Expr::SimilarTo { negated: _, expr: _, pattern: _, escape_char: _ }
            | Expr::Exists { subquery: _, negated: _ }
            | Expr::BinaryOp { left: _, op: BinaryOperator::And | BinaryOperator::Or, right: _ }
            | Expr::UnaryOp { op: UnaryOperator::Not, expr: _ } => BOOL,
            Expr::BinaryOp { left, op, right } => self.once(expression, |binder| {
                let (left, right) = (binder.type_of(left, context)?, binder.type_of(right, context)?);
                Ok(binder.operator_type(op.to_string(), Some(left), right))
            })?,
            Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => {
                self.once(expression, |binder| {
                    let operand = binder.type_of(expr, context)?;
                    Ok(binder.operator_type(op.to_string(), None, operand))
                })?
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.once(expression, |binder| {
                let arguments = [binder.type_of(time_zone, context)?, binder.type_of(timestamp, context)?];
                Ok(binder.built_in_type("timezone", &arguments))
            })?,
            Expr::Extract { field: _, syntax: _, expr: _ } => self.known(Oid(1700)),
            Expr::Position { expr: _, r#in: _ } => self.known(Oid(23)),
            Expr::CompoundFieldAccess { root, access_chain } => self.subscript_type(root, access_chain, context)?,
            Expr::Substring { expr, substring_from: Some(from), substring_for, special: true, shorthand } => {
                let name = if *shorthand { "substr" } else { "substring" };
                let mut arguments = vec![self.type_of(expr, context)?, self.type_of(from, context)?];
                if let Some(length) = substring_for {
                    // It may be SIMILAR, which means no function of the database.
                    if self.catalog.functions_named(name).next().is_some() {
                        return Ok(Typed::Any);
                    }
                    arguments.push(self.type_of(length, context)?);
                }
                self.function_type(name, &arguments)
            }
            Expr::Substring { expr: _, substring_from: None, substring_for: None, special: _, shorthand: _ } => {
                Typed::Any
            }
            Expr::Substring { expr, substring_from: _, substring_for: _, special: false, shorthand: false }
            | Expr::Overlay { expr, overlay_what: _, overlay_from: _, overlay_for: _ }
            | Expr::Trim { trim_where: _, trim_what: _, expr, trim_characters: _ } => {
                match self.type_of(expr, context)? {
                    Typed::Known(Oid(25 | 1042 | 1043)) | Typed::Literal => Typed::Known(TEXT),
                    Typed::Known(_) | Typed::Any | Typed::Parameter | Typed::Row => Typed::Any,
                }
            }
            Expr::Ceil { expr, field: _ } => self.call_type("ceil", expr, context)?,
            Expr::Floor { expr, field: _ } => self.call_type("floor", expr, context)?,
            Expr::Collate { expr, collation: _ } => self.type_of(expr, context)?,
            Expr::Subquery(query) => self.query_type(query),
            Expr::Case { case_token: _, end_token: _, operand: _, conditions, else_result } => {
                // ELSE comes first, and is NULL where it is not written.
                let results = conditions.iter().map(|CaseWhen { condition: _, result }| result);
                match (else_result, self.common_type(else_result.as_deref().into_iter().chain(results), context)?) {
                    (None, known) => self.common(Typed::Literal, known),
                    (Some(_), known) => known,
                }
            }
            Expr::Array(array) => match self.common_type(&array.elem, context)? {
                Typed::Known(element) => {
                    self.overloads().and_then(|all| all.array_of(element)).map_or(Typed::Any, Typed::Known)
                }
                Typed::Any | Typed::Literal | Typed::Parameter | Typed::Row => Typed::Any,
            },
            Expr::Function(function) => self.once(expression, |binder| binder.result_type(function, context))?,
            _ => Typed::Any,
        })
    }

    /// The type of an operator or a call: each is asked for again by the one around it, and resolved once.
    fn once(
        &mut self,
        expression: &Expr,
        find: impl FnOnce(&mut Self) -> Result<Typed, Refusal>,
    ) -> Result<Typed, Refusal> {
        let address = Kept::address(expression);
        if let Some(known) = self.kept.types.get(&address) {
            return Ok(*known);
        }
        self.spend(RESOLVED)?;
        let found = find(self)?;
        self.kept.types.insert(address, found);
        Ok(found)
    }

    /// The first token of an expression, without looking through all of it.
    pub(super) fn start(&mut self, expression: &Expr) -> Option<usize> {
        let expression = unbracketed(expression);
        let Expr::BinaryOp { left, op: _, right } = expression else { return first_token(expression) };
        let address = Kept::address(expression);
        if let Some(known) = self.kept.starts.get(&address) {
            return *known;
        }
        let start = self.start(left).or_else(|| self.start(right));
        self.kept.starts.insert(address, start);
        start
    }

    /// The type of what subscripts choose.
    fn subscript_type(
        &mut self,
        root: &Expr,
        access_chain: &[AccessExpr],
        context: &Context,
    ) -> Result<Typed, Refusal> {
        // `(c).phone` is `c.phone` where c is a relation of FROM.
        if let (Expr::Nested(_), Expr::Identifier(table), [AccessExpr::Dot(Expr::Identifier(field))]) =
            (root, unbracketed(root), access_chain)
            && matches!(self.type_of(root, context)?, Typed::Row)
        {
            let names = vec![table.clone(), field.clone()];
            return self.type_of(&Expr::CompoundIdentifier(names), context);
        }
        let names = column_names(root, access_chain);
        let is_name = |access: &&AccessExpr| matches!(access, AccessExpr::Dot(_));
        let fields = access_chain.iter().take_while(is_name).count();
        let subscripts = access_chain.iter().skip(fields);
        // A field of what is no name has a type of its own.
        let is_column = names.len() > fields || fields == 0;
        if !is_column
            || !subscripts
                .into_iter()
                .all(|access| matches!(access, AccessExpr::Subscript(Subscript::Index { index: _ })))
        {
            return Ok(Typed::Any);
        }
        let whole = match names.as_slice() {
            [] | [_] => self.type_of(root, context)?,
            [_, _, ..] => self.type_of(&Expr::CompoundIdentifier(names), context)?,
        };
        Ok(match whole {
            // jsonb
            Typed::Known(Oid(3802)) => self.known(Oid(3802)),
            Typed::Known(array) => {
                let element = self.overloads().and_then(|all| all.element_of(array));
                element.map_or(Typed::Any, Typed::Known)
            }
            Typed::Any | Typed::Literal | Typed::Parameter | Typed::Row => Typed::Any,
        })
    }

    fn common_type<'e>(
        &mut self,
        expressions: impl IntoIterator<Item = &'e Expr>,
        context: &Context,
    ) -> Result<Typed, Refusal> {
        let mut all = None;
        for expression in expressions {
            let typed = self.type_of(expression, context)?;
            all = Some(all.map_or(typed, |before| self.common(before, typed)));
        }
        let all = all.unwrap_or(Typed::Literal);
        // Constants alone become text.
        Ok(if all == Typed::Literal { self.known(TEXT) } else { all })
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
    pub(super) fn value_type(&self, word: &str) -> Typed {
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

    /// Whether a parameter has one place in the statement: the first place gives it its type in all of them.
    fn stands_once(&mut self, text: &str) -> bool {
        let number = |text: &str| text.trim_start_matches('$').parse::<u32>().ok();
        let tokens = self.tokens;
        let all = self.repeated.get_or_insert_with(|| {
            let numbers = tokens.iter().filter(|token| token.kind == Kind::Parameter).map(|token| number(token.name()));
            let (mut once, mut repeated) = (BTreeSet::new(), BTreeSet::new());
            repeated.extend(numbers.filter(|number| !once.insert(*number)));
            repeated
        });
        number(text).is_some() && !all.contains(&number(text))
    }

    fn operator_type(&mut self, name: String, left: Option<Typed>, right: Typed) -> Typed {
        let asked = (name, left, right);
        if let Some(known) = self.kept.operators.get(&asked) {
            return *known;
        }
        let Some(overloads) = self.overloads() else { return Typed::Any };
        let found = match overloads.operator(&asked.0, left, right, self.catalog.operators_named(&asked.0), None) {
            Choice::Builtin(result) => result,
            Choice::User(user) => user.result.map_or(Typed::Any, |oid| self.known(oid)),
            Choice::Unclear => Typed::Any,
        };
        self.kept.operators.insert(asked, found);
        found
    }

    fn function_type(&self, name: &str, arguments: &[Typed]) -> Typed {
        let Some(overloads) = self.overloads() else { return Typed::Any };
        match overloads.function(name, arguments, self.catalog.functions_named(name), self.path) {
            Choice::Builtin(result) => result,
            Choice::User(user) => user.result_type.map_or(Typed::Any, |oid| self.known(oid)),
            Choice::Unclear => Typed::Any,
        }
    }

    /// Of a call that the grammar makes of a function of `pg_catalog`, whatever the path is.
    fn built_in_type(&self, name: &str, arguments: &[Typed]) -> Typed {
        let path = ["pg_catalog".to_owned()];
        match self.overloads().map(|overloads| overloads.function(name, arguments, std::iter::empty(), &path)) {
            Some(Choice::Builtin(result)) => result,
            Some(Choice::User(_) | Choice::Unclear) | None => Typed::Any,
        }
    }

    fn call_type(&mut self, name: &str, argument: &Expr, context: &Context) -> Result<Typed, Refusal> {
        let argument = self.type_of(argument, context)?;
        Ok(self.function_type(name, &[argument]))
    }

    fn result_type(&mut self, function: &Function, context: &Context) -> Result<Typed, Refusal> {
        let Function {
            name,
            uses_odbc_syntax: _,
            parameters: _,
            args,
            within_group,
            filter: _,
            null_treatment: _,
            over: _,
        } = function;
        let [.., ObjectNamePart::Identifier(called)] = name.0.as_slice() else { return Ok(Typed::Any) };
        let list = match args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None if called.quote_style.is_none() => return Ok(self.value_type(&called.value)),
            // ARRAY(SELECT …)
            FunctionArguments::Subquery(query) if called.quote_style.is_none() && called.value == "array" => {
                let element = match self.query_type(query) {
                    Typed::Known(element) => self.overloads().and_then(|all| all.array_of(element)),
                    Typed::Any | Typed::Literal | Typed::Parameter | Typed::Row => None,
                };
                return Ok(element.map_or(Typed::Any, Typed::Known));
            }
            FunctionArguments::None | FunctionArguments::Subquery(_) => return Ok(Typed::Any),
        };
        let expressions = list.args.iter().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            FunctionArg::Unnamed(_)
            | FunctionArg::Named { name: _, arg: _, operator: _ }
            | FunctionArg::ExprNamed { name: _, arg: _, operator: _ } => None,
        });
        if called.quote_style.is_none() && matches!(called.value.as_str(), "coalesce" | "greatest" | "least") {
            return self.common_type(expressions, context);
        }
        if called.quote_style.is_none() && called.value == "nullif" {
            let both: Vec<&Expr> = expressions.collect();
            let [left, right] = both.as_slice() else { return Ok(Typed::Any) };
            let (left, right) = (self.type_of(left, context)?, self.type_of(right, context)?);
            return Ok(self.overloads().map_or(Typed::Any, |overloads| overloads.compared(left, right)));
        }
        let place = parse::ident_index(called).filter(|_| name.0.len() == 1);
        let Some(place) = place else { return Ok(Typed::Any) };
        // `phone(c)`, where no function has the name: a column of the row.
        if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice()
            && let Expr::Identifier(table) = unbracketed(argument)
            && builtin(&called.value).is_none()
            && self.catalog.functions_named(&called.value).next().is_none()
        {
            return Ok(match self.type_of(argument, context)? {
                Typed::Row => self.type_of(&Expr::CompoundIdentifier(vec![table.clone(), called.clone()]), context)?,
                Typed::Any | Typed::Literal | Typed::Parameter | Typed::Known(_) => Typed::Any,
            });
        }
        let Some(mut arguments) = self.argument_types(&list.args, place, context)? else { return Ok(Typed::Any) };
        for item in within_group {
            arguments.push(self.type_of(&item.expr, context)?);
        }
        Ok(self.function_type(&called.value, &arguments))
    }
}

/// Keywords that are values without parentheses.
pub(super) fn is_value_keyword(word: &str) -> bool {
    matches!(
        word,
        "current_user"
            | "session_user"
            | "user"
            | "current_role"
            | "current_catalog"
            | "current_schema"
            | "current_date"
            | "current_time"
            | "current_timestamp"
            | "localtime"
            | "localtimestamp"
            | "default"
            | "system_user"
    ) && keywords::is_keyword(word)
}
