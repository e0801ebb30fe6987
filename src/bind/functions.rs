//! Functions in FROM, `ROWS FROM` and XMLTABLE. In: the call and its alias. Out: a FROM item whose columns depend on all
//! arguments; where the columns of a function are not known, the item is open.

use std::rc::Rc;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, ObjectName, ObjectNamePart, TableAlias, TableFactor, XmlNamespaceDefinition,
    XmlPassingArgument, XmlPassingClause, XmlTableColumn, XmlTableColumnOption,
};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Deps, Output, Usages},
    query::columns_of,
    scope::{Scope, ScopeItem, merge},
    typed::is_value_keyword,
};
use crate::{
    catalog::{functions::builtin_out_names, overloads::Typed},
    error::Refusal,
    names::Oid,
    sql::{Kind, gaps, parse},
};

impl Binder<'_> {
    /// A function in FROM.
    pub(super) fn function_item(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        with_ordinality: bool,
        scope: &Scope,
    ) -> Result<Vec<ScopeItem>, Refusal> {
        let context = Context::new(Rc::new(scope.clone()), Clause::Other);
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && let Some(rows) = self.gap(ident).filter(|rows| self.tokens.get(*rows).is_some_and(|t| t.is_word("rows")))
        {
            return self.rows_from(rows, args, alias, &context);
        }
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && let Some(at) = self.gap(ident)
        {
            return self.json_table(at, args, alias, &context);
        }
        let (parts, tokens) = self.parts(name)?;
        let (deps, constants) = self.arguments(args, false, &context)?;
        self.mark(&deps, Usages::ARGUMENT);
        let asked = self.argument_types(args, tokens.end - 1, &context)?;
        let known_types = self.result_types(&parts, asked.as_deref());
        let function = self.function_use(&parts, tokens.end - 1, constants, deps.clone(), asked)?;
        let typed = alias.is_some_and(|alias| alias.columns.iter().any(|column| column.data_type.is_some()));
        let known = self.catalog.functions_named(&function).next().map(|user| user.out_names.clone());
        let builtin = builtin_out_names(&function)
            .filter(|_| known.is_none())
            .map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let out_names = known.or(builtin).unwrap_or_default();
        let outputs: Vec<Output> = if typed {
            let columns = alias.into_iter().flat_map(|alias| &alias.columns);
            let typed = |data_type: &Option<_>| data_type.as_ref().map_or(Typed::Any, |of| self.type_named(of));
            let defined =
                columns.map(|column| Output { typed: typed(&column.data_type), ..output(&column.name.value, &deps) });
            defined.collect()
        } else if out_names.is_empty() {
            vec![output(&function, &deps)]
        } else {
            out_names.iter().map(|name| output(name, &deps)).collect()
        };
        let outputs = match known_types {
            Some(results) if !typed && results.len() == outputs.len() => {
                outputs.into_iter().zip(results).map(|(output, typed)| Output { typed, ..output }).collect()
            }
            Some(_) | None => outputs,
        };
        // A single unnamed result may be a row with columns of its own.
        let composite = !typed && out_names.is_empty();
        Ok(vec![self.function_result(outputs, alias, with_ordinality, composite, Some(&function))?])
    }

    /// A keyword that is a value, in FROM: `FROM current_date AS today (day)`. No table has such a name without quotes.
    pub(super) fn value_item(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
    ) -> Result<Option<ScopeItem>, Refusal> {
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return Ok(None) };
        // Before PostgreSQL 16 the last one is a name like others.
        if !is_value_keyword(&ident.value) || matches!(ident.value.as_str(), "default" | "system_user") {
            return Ok(None);
        }
        let at = parse::ident_index(ident).and_then(|at| self.tokens.get(at));
        if at.is_none_or(|token| token.kind == Kind::Quoted) {
            return Ok(None);
        }
        self.take(ident)?;
        let typed = self.value_type(&ident.value);
        let outputs = vec![Output { typed, ..output(&ident.value, &Deps::new()) }];
        let item = self.function_result(outputs, alias, false, true, Some(&ident.value))?;
        Ok(Some(ScopeItem { open: false, ..item }))
    }

    /// `ROWS FROM (f(…), g(…)) [WITH ORDINALITY]`: how many columns each function gives is not known here, so that every
    /// column may depend on all arguments.
    fn rows_from(
        &mut self,
        at: usize,
        calls: &[FunctionArg],
        alias: Option<&TableAlias>,
        context: &Context,
    ) -> Result<Vec<ScopeItem>, Refusal> {
        let (visible, names) = self.alias(alias)?;
        let mut deps = Deps::new();
        let mut first = None;
        for call in calls {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(function))) = call else {
                return Err(self.at(Self::unsupported("this form of ROWS FROM"), at));
            };
            let more = self.function(function, context)?;
            merge(&mut deps, &more);
            if let Some(ObjectNamePart::Identifier(name)) = function.name.0.last() {
                first.get_or_insert(name.value.clone());
            }
            for (id, position) in &more {
                self.mark_used(*id, *position, true);
            }
        }
        self.mark(&deps, Usages::ARGUMENT);
        // Only the columns that the alias names are sure to be there.
        let columns = names.iter().map(|name| output(name, &deps)).collect();
        let name = visible.or(first);
        Ok(vec![ScopeItem {
            name_visible: name.is_some(),
            version: false,
            columns: columns_of(columns, &[], name.as_deref().unwrap_or("")),
            name: name.map(Into::into),
            schema: None,
            relation: None,
            columns_visible: true,
            open: true,
            deps,
        }])
    }

    /// `XMLTABLE(…)`
    pub(super) fn xml_table(&mut self, table: &TableFactor, scope: &Scope) -> Result<Vec<ScopeItem>, Refusal> {
        let TableFactor::XmlTable { namespaces, row_expression, passing, columns, alias } = table else {
            return Err(Self::unsupported("this form of a table reference"));
        };
        let context = Context::new(Rc::new(scope.clone()), Clause::Other);
        let mut deps = self.expr(row_expression, &context)?;
        let mut expressions = Vec::new();
        for XmlNamespaceDefinition { uri, name } in namespaces {
            expressions.push(uri);
            self.take(name)?;
        }
        let XmlPassingClause { arguments } = passing;
        for XmlPassingArgument { expr, alias, by_value: _ } in arguments {
            if alias.is_some() {
                return Err(Self::unsupported("this form of XMLTABLE"));
            }
            expressions.push(expr);
        }
        let mut names = Vec::new();
        for XmlTableColumn { name, option } in columns {
            self.take_new(name)?;
            let typed = match option {
                XmlTableColumnOption::ForOrdinality => self.known(Oid(23)),
                XmlTableColumnOption::NamedInfo { r#type, path, default, nullable: _ } => {
                    self.data_type(r#type)?;
                    expressions.extend(path.iter().chain(default));
                    self.type_named(r#type)
                }
            };
            names.push((&name.value, typed));
        }
        for expression in expressions {
            let more = self.expr(expression, &context)?;
            merge(&mut deps, &more);
        }
        self.mark(&deps, Usages::ARGUMENT);
        let outputs = names.into_iter().map(|(name, typed)| Output { typed, ..output(name, &deps) }).collect();
        let mut item = self.function_result(outputs, alias.as_ref(), false, false, None)?;
        if alias.is_none() {
            item.name = Some("xmltable".into());
        }
        Ok(vec![item])
    }

    /// `JSON_TABLE(…)`, of which the parser saw every expression and every type as an argument: any column may depend on all of them.
    fn json_table(
        &mut self,
        at: usize,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        context: &Context,
    ) -> Result<Vec<ScopeItem>, Refusal> {
        let columns = gaps::json_columns(self.tokens, at);
        let columns = columns.ok_or_else(|| self.at(Self::unsupported("this form of JSON_TABLE"), at))?;
        let (deps, _) = self.arguments(args, false, context)?;
        self.mark(&deps, Usages::ARGUMENT);
        for (id, _) in &deps {
            // PostgreSQL gives no collations to expressions in it, which masks may need.
            self.entangle(*id);
        }
        let mut outputs = Vec::new();
        for column in columns {
            let name = self.take_token(column)?;
            self.not_reserved(&name, column)?;
            outputs.push(output(&name, &deps));
        }
        let mut item = self.function_result(outputs, alias, false, false, None)?;
        if alias.is_none() {
            (item.name, item.name_visible) = (Some("json_table".into()), true);
        }
        Ok(vec![item])
    }

    pub(super) fn function_result(
        &mut self,
        mut outputs: Vec<Output>,
        alias: Option<&TableAlias>,
        with_ordinality: bool,
        composite: bool,
        called: Option<&str>,
    ) -> Result<ScopeItem, Refusal> {
        let (visible, names) = self.alias(alias)?;
        let mut deps = Deps::new();
        for output in &outputs {
            merge(&mut deps, &output.deps);
        }
        // The alias of a function that returns one scalar column names the column too.
        if let (1, Some(visible), Some(first), true) = (outputs.len(), &visible, outputs.first_mut(), composite) {
            first.name = Some(visible.clone());
        }
        if with_ordinality {
            outputs.push(Output::unknown(Some("ordinality"), Deps::new()));
        }
        // Without an alias it has the name of the function, which a single column has, too.
        let function = called.map(str::to_owned).or_else(|| outputs.first().and_then(|output| output.name.clone()));
        let name = visible.clone().or(function);
        let mut names = names;
        let base = outputs.len();
        while names.len() > base && composite && outputs.len() < names.len() {
            outputs.push(Output::unknown(None, deps.clone()));
        }
        names.truncate(outputs.len());
        let columns = columns_of(outputs, &names, name.as_deref().unwrap_or(""));
        Ok(ScopeItem {
            name_visible: name.is_some(),
            version: false,
            name: name.map(Into::into),
            schema: None,
            relation: None,
            columns,
            columns_visible: true,
            open: composite,
            deps,
        })
    }
}

fn output(name: &str, deps: &Deps) -> Output {
    Output::unknown(Some(name), deps.clone())
}
