//! Queries: WITH, set operations, SELECT, VALUES, TABLE; ORDER BY, LIMIT and locking clauses.

use std::{collections::HashSet, rc::Rc};

use sqlparser::ast::{
    Distinct, Expr, LimitClause, NamedWindowDefinition, NamedWindowExpr, OrderBy, OrderByExpr, OrderByKind,
    OrderBySort, Query, Select, SelectFlavor, SetExpr, SetOperator, SetQuantifier, Statement, TableFactor, Value,
    WindowSpec,
};

use super::{
    binder::{Binder, Context},
    bound::{Block, Clause, Deps, Output, Usages},
    budget::BESIDE,
    compare::Place,
    failing::Nature,
    scope::{Scope, ScopeColumn, ScopeItem, merge},
    typed::TEXT,
};
use crate::{
    catalog::overloads::Typed,
    error::Refusal,
    sql::{Kind, parse},
};

impl Binder<'_> {
    /// A query or a data-modifying statement: its outputs, and whether it returns rows.
    pub(super) fn statement(
        &mut self,
        statement: &Statement,
        parent: Option<Rc<Scope>>,
    ) -> Result<(Vec<Output>, bool), Refusal> {
        if let Statement::Query(query) = statement {
            let returns = returns_rows(&query.body);
            return Ok((self.query(query, parent)?, returns));
        }
        if let Statement::Insert(insert) = statement {
            return Ok((self.insert(insert, parent)?, insert.returning.is_some()));
        }
        if let Statement::Update(update) = statement {
            return Ok((self.update(update, parent)?, update.returning.is_some()));
        }
        if let Statement::Delete(delete) = statement {
            return Ok((self.delete(delete, parent)?, delete.returning.is_some()));
        }
        if let Statement::Merge(merge) = statement {
            let outputs = self.in_condition(|binder| binder.merge_statement(merge, parent.as_ref()))?;
            return Ok((outputs, merge.output.is_some()));
        }
        Err(Self::unsupported("a statement of this kind"))
    }

    pub(super) fn query(&mut self, query: &Query, parent: Option<Rc<Scope>>) -> Result<Vec<Output>, Refusal> {
        stacker::maybe_grow(64 * 1024, 2 * 1024 * 1024, || self.query_here(query, parent))
    }

    fn query_here(&mut self, query: &Query, parent: Option<Rc<Scope>>) -> Result<Vec<Output>, Refusal> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err(Self::unsupported("this clause"));
        }
        let ctes = self.ctes.len();
        if let Some(with) = with {
            self.with(with, parent.as_ref())?;
        }
        let (outputs, scope) = self.body(body, parent.clone(), order_by.as_ref())?;
        let outer = Rc::new(Scope { items: Vec::new(), parent, block: None });
        let context = Context::new(outer, Clause::Other);
        if let Some(limit) = limit_clause {
            match limit {
                LimitClause::LimitOffset { limit, offset, limit_by } => {
                    if !limit_by.is_empty() {
                        return Err(Self::unsupported("LIMIT BY"));
                    }
                    if let Some(limit) = limit {
                        self.counts(limit);
                        self.expr_used(limit, &context)?;
                    }
                    if let Some(offset) = offset {
                        self.counts(&offset.value);
                        self.expr_used(&offset.value, &context)?;
                    }
                }
                LimitClause::OffsetCommaLimit { .. } => return Err(Self::unsupported("LIMIT with a comma")),
            }
        }
        if let Some(fetch) = fetch {
            if fetch.percent {
                return Err(Self::unsupported("FETCH PERCENT"));
            }
            if let Some(quantity) = &fetch.quantity {
                self.fetched(quantity, &context)?;
            }
        }
        if !locks.is_empty() {
            self.locks();
        }
        for lock in locks {
            if let Some(of) = &lock.of {
                let (parts, tokens) = self.parts(of)?;
                let known = scope.as_ref().is_some_and(|scope| {
                    scope
                        .items
                        .iter()
                        .any(|item| parts.len() == 1 && item.name.as_deref() == parts.first().map(String::as_str))
                });
                if !known {
                    return Err(self.at(Self::unsupported("a lock on this name"), tokens.start));
                }
            }
        }
        self.ctes.truncate(ctes);
        Ok(outputs)
    }

    /// The number of rows in FETCH FIRST: a constant, or an expression in brackets, which the parser did not see.
    fn fetched(&mut self, quantity: &Expr, context: &Context) -> Result<(), Refusal> {
        self.counts(quantity);
        if let Expr::Value(value) = quantity
            && let Some(open) = parse::token_index(value.span)
            && self.tokens.get(open).is_some_and(|token| token.kind == Kind::Open)
        {
            let close = self.find_level(open + 1, |_, _| false);
            for expression in self.expressions(open..close + 1)?.iter() {
                self.expr_used(expression, context)?;
            }
            return Ok(());
        }
        self.expr_used(quantity, context)
    }

    /// The body of a query: its outputs, and the scope of a plain SELECT.
    pub(super) fn body(
        &mut self,
        body: &SetExpr,
        parent: Option<Rc<Scope>>,
        order_by: Option<&OrderBy>,
    ) -> Result<(Vec<Output>, Option<Rc<Scope>>), Refusal> {
        stacker::maybe_grow(64 * 1024, 2 * 1024 * 1024, || self.body_here(body, parent, order_by))
    }

    fn body_here(
        &mut self,
        body: &SetExpr,
        parent: Option<Rc<Scope>>,
        order_by: Option<&OrderBy>,
    ) -> Result<(Vec<Output>, Option<Rc<Scope>>), Refusal> {
        match body {
            SetExpr::Select(select) => {
                let (outputs, scope) = self.select(select, parent, order_by)?;
                Ok((outputs, Some(scope)))
            }
            SetExpr::Query(query) => {
                let outputs = self.query(query, parent)?;
                self.order_outputs(order_by, &outputs)?;
                Ok((outputs, None))
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (mut outputs, _) = self.body(left, parent.clone(), None)?;
                let (mut right, _) = self.body(right, parent, None)?;
                if outputs.len() != right.len() {
                    // Stars of which only the server knows the columns: any column may be any other.
                    let mut all = Deps::new();
                    for output in outputs.iter().chain(&right) {
                        merge(&mut all, &output.deps);
                    }
                    self.fails(Clause::Group);
                    for output in outputs.iter_mut().chain(&mut right) {
                        output.deps.clone_from(&all);
                        output.nature = Nature::default();
                    }
                }
                for (output, other) in outputs.iter_mut().zip(&right) {
                    merge(&mut output.deps, &other.deps);
                    output.plain = None;
                    output.typed = self.common(output.typed, other.typed);
                    output.nature = self.united(output.nature, other.nature, Clause::Group);
                    // All but UNION ALL compare rows.
                    if !matches!((op, set_quantifier), (SetOperator::Union, SetQuantifier::All)) {
                        self.mark(&output.deps, Usages::GROUP);
                    }
                }
                self.order_outputs(order_by, &outputs)?;
                Ok((outputs, None))
            }
            SetExpr::Values(values) => {
                let context = Context::new(Rc::new(Scope { items: Vec::new(), parent, block: None }), Clause::Select);
                let mut outputs: Vec<Output> = Vec::new();
                for row in &values.rows {
                    for (position, expression) in row.content.iter().enumerate() {
                        let failing = self.found_failing();
                        let deps = self.row(std::slice::from_ref(expression), &context)?;
                        let typed = self.value_in_rows(expression, &context)?;
                        let nature = self.item_nature(expression, failing, &context)?;
                        match outputs.get_mut(position) {
                            Some(output) => {
                                merge(&mut output.deps, &deps);
                                output.typed = self.common(output.typed, typed);
                                output.nature = self.united(output.nature, nature, Clause::Select);
                            }
                            None => outputs.push(Output {
                                name: Some(format!("column{}", position + 1)),
                                deps,
                                plain: None,
                                typed,
                                nature,
                            }),
                        }
                    }
                }
                for output in outputs.iter_mut().filter(|output| output.typed == Typed::Literal) {
                    output.typed = self.known(TEXT);
                }
                // ORDER BY sees the columns of the rows.
                let rows = ScopeItem {
                    name: None,
                    schema: None,
                    relation: None,
                    columns: columns_of(outputs.clone(), &[], ""),
                    columns_visible: true,
                    name_visible: false,
                    version: false,
                    open: false,
                    deps: Deps::new(),
                };
                let scope = Scope { items: vec![rows], parent: context.scope.parent.clone(), block: None };
                let context = Context::new(Rc::new(scope), Clause::Order);
                for item in order_items(order_by)? {
                    self.order_options(item)?;
                    self.order_expression(&item.expr, &context, &outputs)?;
                }
                Ok((outputs, None))
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => {
                if order_by.is_some() {
                    return Err(Self::unsupported("ORDER BY of a data-modifying statement"));
                }
                let (outputs, _) = self.in_condition(|binder| binder.statement(statement, parent))?;
                Ok((outputs, None))
            }
            SetExpr::Table(_) => Err(Self::unsupported("TABLE inside a set operation")),
        }
    }

    /// ORDER BY over a set operation: names or positions of outputs only.
    fn order_outputs(&mut self, order_by: Option<&OrderBy>, outputs: &[Output]) -> Result<(), Refusal> {
        for item in order_items(order_by)? {
            let found = if let Expr::Identifier(ident) = unbracketed(&item.expr) {
                let index = self.take(ident)?;
                outputs
                    .iter()
                    .find(|output| output.name.as_deref() == Some(&ident.value))
                    .ok_or_else(|| self.at(Self::unsupported("ORDER BY this name"), index))?
            } else {
                self.position(&item.expr, outputs)?
                    .ok_or_else(|| Self::unsupported("ORDER BY an expression of a set operation"))?
            };
            let (deps, nature) = (found.deps.clone(), found.nature);
            self.sorted_by(nature);
            self.order_options(item)?;
            self.mark(&deps, Usages::ORDER);
        }
        Ok(())
    }

    /// The output that a bare integer means; none for other expressions.
    ///
    /// # Errors
    /// A number that PostgreSQL may read as another position than we.
    pub(super) fn position<'o>(
        &mut self,
        expression: &Expr,
        outputs: &'o [Output],
    ) -> Result<Option<&'o Output>, Refusal> {
        let Expr::Value(value) = unbracketed(expression) else { return Ok(None) };
        let Value::Number(..) = &value.value else { return Ok(None) };
        let index = parse::token_index(value.span);
        let token = index.and_then(|index| self.tokens.get(index));
        let number = token.and_then(|token| token.literal(&mut self.bound.reads));
        let Some((index, number)) = index.zip(number) else { return Err(Self::unsupported("this position")) };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.at(Self::unsupported("a position that is no plain integer"), index));
        }
        Ok(number.parse::<usize>().ok().and_then(|number| outputs.get(number.checked_sub(1)?)))
    }

    pub(super) fn order_options(&mut self, item: &OrderByExpr) -> Result<(), Refusal> {
        if item.with_fill.is_some() {
            return Err(Self::unsupported("WITH FILL"));
        }
        match &item.options.sort {
            None | Some(OrderBySort::Asc | OrderBySort::Desc) => {}
            // Its operator is checked with all others, on the tokens; the word means none.
            Some(OrderBySort::Using(_)) => self.word_use("using", Vec::new()),
        }
        Ok(())
    }

    fn select(
        &mut self,
        select: &Select,
        parent: Option<Rc<Scope>>,
        order_by: Option<&OrderBy>,
    ) -> Result<(Vec<Output>, Rc<Scope>), Refusal> {
        let Select {
            select_token,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if into.is_some() {
            return Err(Self::unsupported("SELECT INTO"));
        }
        let foreign = !optimizer_hints.is_empty()
            || select_modifiers.is_some()
            || top.is_some()
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || qualify.is_some()
            || value_table_mode.is_some();
        if foreign || *flavor != SelectFlavor::Standard {
            return Err(Self::unsupported("this clause"));
        }
        let first = parse::token_index(select_token.0.span).ok_or_else(|| Self::unsupported("this form of SELECT"))?;
        let block = self.bound.blocks.len();
        self.spend(self.bound.relations.len() / BESIDE)?;
        self.bound.blocks.push(Block { groups: false, insert_at: None, grouped: Vec::new() });
        let mut scope = Scope { items: Vec::new(), parent, block: Some(block) };
        for table in from {
            self.table_with_joins(table, &mut scope)?;
        }
        Self::unique_names(&scope)?;
        let scope = Rc::new(scope);
        let at = |clause| Context::new(scope.clone(), clause);

        if let Some(condition) = selection {
            let place = Place::Conjunct(block);
            self.expr_used(condition, &Context { place, ..at(Clause::Where) })?;
        }
        let mut outputs = Vec::new();
        for item in projection {
            self.select_item(item, &at(Clause::Select), &mut outputs)?;
        }
        self.note_single_row(select, first, &at(Clause::Select));
        self.group_by(group_by, &at(Clause::Group), &outputs, first, block)?;
        if let Some(condition) = having {
            // HAVING is a predicate, but its columns must be grouped.
            let deps = self.in_condition(|binder| binder.expr(condition, &at(Clause::Select)))?;
            self.mark(&deps, Usages::PREDICATE);
        }
        for NamedWindowDefinition(name, window) in named_window {
            self.take_new(name)?;
            match window {
                NamedWindowExpr::NamedWindow(other) => {
                    self.take(other)?;
                }
                NamedWindowExpr::WindowSpec(spec) => self.window(spec, &at(Clause::Order))?,
            }
        }
        match distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => {
                for output in &outputs {
                    self.mark(&output.deps, Usages::GROUP);
                }
            }
            Some(Distinct::On(list)) => {
                for expression in list {
                    self.order_expression(expression, &at(Clause::Order), &outputs)?;
                }
            }
        }
        for item in order_items(order_by)? {
            self.order_options(item)?;
            self.order_expression(&item.expr, &at(Clause::Order), &outputs)?;
        }
        Ok((outputs, scope))
    }

    /// ORDER BY and DISTINCT ON: an output name or position first, then an expression.
    fn order_expression(&mut self, expression: &Expr, context: &Context, outputs: &[Output]) -> Result<(), Refusal> {
        if let Expr::Identifier(ident) = unbracketed(expression)
            && let Some(output) = outputs.iter().find(|output| output.name.as_deref() == Some(&ident.value))
        {
            self.take(ident)?;
            self.mark(&output.deps, Usages::ORDER);
            self.sorted_by(output.nature);
            return Ok(());
        }
        if let Some(output) = self.position(expression, outputs)? {
            self.mark(&output.deps, Usages::ORDER);
            self.sorted_by(output.nature);
            return Ok(());
        }
        self.expr_used(expression, context)
    }

    pub(super) fn window(&mut self, spec: &WindowSpec, context: &Context) -> Result<(), Refusal> {
        let WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
        if let Some(name) = window_name {
            self.take(name)?;
        }
        for expression in partition_by {
            self.expr_used(expression, context)?;
        }
        for item in order_by {
            self.order_options(item)?;
            self.expr_used(&item.expr, context)?;
        }
        if let Some(frame) = window_frame {
            for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
                use sqlparser::ast::WindowFrameBound::{CurrentRow, Following, Preceding};
                match bound {
                    CurrentRow | Preceding(None) | Following(None) => {}
                    Preceding(Some(value)) | Following(Some(value)) => {
                        if !matches!(&**value, Expr::Value(value) if matches!(value.value, Value::Number(..))) {
                            self.fails(context.clause);
                        }
                        self.expr_used(value, context)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One item of a select list or of RETURNING.
    /// Two items of one FROM clause may not have the same name.
    pub(super) fn unique_names(scope: &Scope) -> Result<(), Refusal> {
        let mut names = HashSet::new();
        for item in &scope.items {
            let Some(name) = item.name.as_ref().filter(|_| item.name_visible) else { continue };
            if !names.insert((name, &item.schema)) {
                return Err(Refusal::new(
                    crate::error::RefusalCode::DuplicateAlias,
                    format!("table name \"{name}\" specified more than once"),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a body yields rows to its caller.
fn returns_rows(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_)
        | SetExpr::Query(_)
        | SetExpr::SetOperation { left: _, op: _, set_quantifier: _, right: _ }
        | SetExpr::Values(_)
        | SetExpr::Table(_) => true,
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => {
            if let Statement::Insert(insert) = statement {
                insert.returning.is_some()
            } else if let Statement::Update(update) = statement {
                update.returning.is_some()
            } else if let Statement::Delete(delete) = statement {
                delete.returning.is_some()
            } else if let Statement::Merge(merge) = statement {
                merge.output.is_some()
            } else {
                true
            }
        }
    }
}

fn order_items(order_by: Option<&OrderBy>) -> Result<&[OrderByExpr], Refusal> {
    match order_by {
        None => Ok(&[]),
        Some(OrderBy { kind: OrderByKind::Expressions(items), interpolate: None }) => Ok(items),
        Some(OrderBy { kind: OrderByKind::Expressions(_) | OrderByKind::All(_), interpolate: _ }) => {
            Err(Binder::unsupported("this form of ORDER BY"))
        }
    }
}

/// An expression without the brackets around it: to PostgreSQL's grammar they are not there.
pub(super) fn unbracketed(expression: &Expr) -> &Expr {
    let mut inner = expression;
    while let Expr::Nested(next) = inner {
        inner = next;
    }
    inner
}

/// The columns that an alias with an optional column list makes of outputs.
pub(super) fn columns_of(outputs: Vec<Output>, names: &[String], qualifier: &str) -> Rc<[ScopeColumn]> {
    let qualifier: Rc<str> = qualifier.into();
    outputs
        .into_iter()
        .enumerate()
        .map(|(position, output)| ScopeColumn {
            name: names.get(position).cloned().or(output.name).unwrap_or_default().into(),
            deps: output.deps,
            origin: None,
            qualifier: Some(qualifier.clone()),
            merged: None,
            doubtful: false,
            typed: output.typed,
            nature: Nature { shape: output.nature.shape.settled(), ..output.nature },
        })
        .collect()
}

/// The columns with the names that an alias gives them.
pub(super) fn rename(columns: &[ScopeColumn], names: &[String], qualifier: &str) -> Rc<[ScopeColumn]> {
    let qualifier: Rc<str> = qualifier.into();
    columns
        .iter()
        .enumerate()
        .map(|(position, column)| ScopeColumn {
            name: names.get(position).map_or_else(|| column.name.clone(), |name| name.as_str().into()),
            qualifier: Some(qualifier.clone()),
            ..column.clone()
        })
        .collect()
}

/// The factor without joins of a target table.
pub(super) fn only_factor(table: &sqlparser::ast::TableWithJoins) -> Option<&TableFactor> {
    table.joins.is_empty().then_some(&table.relation)
}
