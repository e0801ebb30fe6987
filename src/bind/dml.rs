//! INSERT, UPDATE and DELETE. Their targets stay tables; what they read of them is referenced column by column.

use std::{ops::Range, rc::Rc};

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, Insert, ObjectName, ObjectNamePart, OnConflict, OnInsert,
    TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::{
    binder::{Binder, Context},
    bound::{Assigned, Clause, Deps, Output, Role, Usages},
    scope::{Scope, ScopeItem, merge},
};
use crate::{
    error::{Refusal, RefusalCode},
    sql::{Kind, gaps},
};

/// The column that an assignment or a list of inserted columns names.
pub(super) struct Target {
    pub column: usize,
    /// An element or a field of it.
    pub partial: bool,
    /// What its subscripts are computed from.
    pub deps: Deps,
    /// The token after it.
    end: usize,
}

impl Binder<'_> {
    pub(super) fn insert(&mut self, insert: &Insert, parent: Option<Rc<Scope>>) -> Result<Vec<Output>, Refusal> {
        let Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into: _,
            table,
            table_alias,
            columns,
            by_name,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            overriding: _,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        let foreign = !optimizer_hints.is_empty()
            || or.is_some()
            || *ignore
            || *by_name
            || *overwrite
            || !assignments.is_empty()
            || partitioned.is_some()
            || !after_columns.is_empty()
            || *has_table_keyword
            || output.is_some()
            || *replace_into
            || priority.is_some()
            || insert_alias.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || multi_table_insert_type.is_some()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
            || multi_table_else_clause.is_some();
        if foreign {
            return Err(Self::unsupported("this form of INSERT"));
        }
        let TableObject::TableName(name) = table else { return Err(Self::unsupported("this target of INSERT")) };
        let (parts, tokens) = self.parts(name)?;
        let relation = self.relation(&parts, &tokens)?;
        let alias = match table_alias {
            None => None,
            Some(alias) => {
                self.take_new(&alias.alias)?;
                Some(alias.alias.value.clone())
            }
        };
        let after = tokens.end;
        let (id, item) = self.use_relation(relation, Role::Insert, tokens.clone(), tokens, alias.as_deref(), None);

        let mut targets = Vec::new();
        let mut deps = Deps::new();
        if columns.is_empty() {
            targets.extend((0..relation.columns.len()).map(|column| (column, false)));
        }
        let nothing = Self::context(&Rc::default(), Clause::Assign);
        for column in columns {
            let target = self.target_column(column, id, &item, &nothing)?;
            merge(&mut deps, &target.deps);
            targets.push((target.column, target.partial));
        }
        let outputs = match source {
            None => Vec::new(),
            Some(query) => self.query(query, parent.clone())?,
        };
        for output in &outputs {
            merge(&mut deps, &output.deps);
        }
        let rows = source.as_deref().and_then(|query| self.inserted(query, after));
        for (number, (column, partial)) in targets.into_iter().enumerate() {
            let of_column =
                |rows: &Vec<Vec<Range<usize>>>| rows.iter().filter_map(|row| row.get(number).cloned()).collect();
            self.bound.assigned.push(Assigned {
                relation: id,
                column,
                value: None,
                rows: rows.as_ref().map(of_column),
                // Positions may be shifted by a row expansion: every source counts for every column.
                deps: deps.clone(),
                default: source.is_none(),
                update: false,
                partial,
            });
        }
        if let Some(on) = on {
            let OnInsert::OnConflict(OnConflict { conflict_target, action }) = on else {
                return Err(Self::unsupported("this form of ON"));
            };
            self.in_condition(|binder| {
                binder.on_conflict(conflict_target.as_ref(), action, id, &item, parent.as_ref())
            })?;
        }
        self.returning(returning.as_deref(), &item, std::slice::from_ref(&item), parent)
    }

    pub(super) fn update(&mut self, update: &Update, parent: Option<Rc<Scope>>) -> Result<Vec<Output>, Refusal> {
        let Update {
            update_token: _,
            optimizer_hints,
            table,
            on_cluster,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
            settings,
        } = update;
        let foreign = !optimizer_hints.is_empty()
            || on_cluster.is_some()
            || output.is_some()
            || or.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || settings.is_some();
        if foreign {
            return Err(Self::unsupported("this form of UPDATE"));
        }
        let (id, item) = self.target(table, Role::Update)?;
        let sources = match from {
            None => &[][..],
            Some(UpdateTableFromKind::AfterSet(sources)) => sources,
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err(Self::unsupported("FROM before SET")),
        };
        let scope = self.target_scope(&item, sources, parent.clone())?;
        self.assignments(assignments, id, &item, &scope)?;
        self.selection(selection.as_ref(), &scope)?;
        self.returning(returning.as_deref(), &item, &scope.items, parent)
    }

    pub(super) fn delete(&mut self, delete: &Delete, parent: Option<Rc<Scope>>) -> Result<Vec<Output>, Refusal> {
        let Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            on_cluster,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
            settings,
        } = delete;
        let foreign = !optimizer_hints.is_empty()
            || !tables.is_empty()
            || on_cluster.is_some()
            || output.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || settings.is_some();
        let FromTable::WithFromKeyword(targets) = from else { return Err(Self::unsupported("this form of DELETE")) };
        let ([table], false) = (targets.as_slice(), foreign) else {
            return Err(Self::unsupported("this form of DELETE"));
        };
        let (_, item) = self.target(table, Role::Delete)?;
        if using.is_some() {
            // It joins by no operator.
            self.word_use("using", Vec::new());
        }
        let scope = self.target_scope(&item, using.as_deref().unwrap_or(&[]), parent.clone())?;
        self.selection(selection.as_ref(), &scope)?;
        self.returning(returning.as_deref(), &item, &scope.items, parent)
    }

    /// WHERE of UPDATE and DELETE: a condition, or `CURRENT OF` a cursor.
    fn selection(&mut self, selection: Option<&Expr>, scope: &Rc<Scope>) -> Result<(), Refusal> {
        if let Some(Expr::Identifier(ident)) = selection
            && let Some(name) = self.gap(ident).and_then(|current| gaps::current_of(self.tokens, current))
        {
            // The rows of a cursor were decided on when it was declared.
            self.take_token(name)?;
            return Ok(());
        }
        match selection {
            None => Ok(()),
            Some(condition) => self.expr_used(condition, &Self::context(scope, Clause::Where)),
        }
    }

    fn target(&mut self, table: &TableWithJoins, role: Role) -> Result<(usize, ScopeItem), Refusal> {
        match super::query::only_factor(table) {
            Some(factor) => self.target_factor(factor, role),
            None => Err(Self::unsupported("this target")),
        }
    }

    /// The target of UPDATE, DELETE or MERGE.
    pub(super) fn target_factor(&mut self, factor: &TableFactor, role: Role) -> Result<(usize, ScopeItem), Refusal> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_directives,
            inheritance,
        } = factor
        else {
            return Err(Self::unsupported("this target"));
        };
        if !with_hints.is_empty() || !partitions.is_empty() || !index_directives.is_empty() {
            return Err(Self::unsupported("this target"));
        }
        let (parts, tokens) = self.parts(name)?;
        let relation = self.relation(&parts, &tokens)?;
        let whole = self.whole_name(&tokens, inheritance.as_ref())?;
        let alias = self.target_alias(alias.as_ref())?;
        Ok(self.use_relation(relation, role, tokens, whole, alias.as_deref(), None))
    }

    fn target_scope(
        &mut self,
        target: &ScopeItem,
        sources: &[TableWithJoins],
        parent: Option<Rc<Scope>>,
    ) -> Result<Rc<Scope>, Refusal> {
        // Sources do not see the target, but stand beside it afterwards.
        let mut scope = Scope { items: Vec::new(), parent, block: None };
        for source in sources {
            self.table_with_joins(source, &mut scope)?;
        }
        scope.items.insert(0, target.clone());
        Self::unique_names(&scope)?;
        Ok(Rc::new(scope))
    }

    /// `column`, `column[subscript]` or `column.field` as the target of an assignment.
    pub(super) fn target_column(
        &mut self,
        name: &ObjectName,
        id: usize,
        item: &ScopeItem,
        context: &Context,
    ) -> Result<Target, Refusal> {
        let mut found: Option<Target> = None;
        for part in &name.0 {
            let ObjectNamePart::Identifier(ident) = part else { return Err(Self::unsupported("a computed name")) };
            match &mut found {
                None => {
                    let index = self.take(ident)?;
                    let column = &ident.value;
                    let position =
                        item.columns.iter().position(|candidate| *candidate.name == **column).ok_or_else(|| {
                            let refusal =
                                Refusal::new(RefusalCode::UnknownColumn, format!("column \"{column}\" does not exist"));
                            self.at(refusal, index)
                        })?;
                    found = Some(Target { column: position, partial: false, deps: Deps::new(), end: index + 1 });
                }
                Some(target) => {
                    target.partial = true;
                    target.end = match self.gap(ident) {
                        Some(bracket) => self.subscript(bracket, context, &mut target.deps)?,
                        None => self.take(ident)? + 1,
                    };
                }
            }
        }
        let target = found.ok_or_else(|| Self::unsupported("an empty name"))?;
        if let Some(mark) = self.bound.relations.get_mut(id).and_then(|used| used.marks.get_mut(target.column)) {
            mark.usages.add(Usages::WRITTEN);
        }
        Ok(target)
    }

    /// The subscript whose bracket opens at `open`: what it is computed from is added to `deps`; the token after it.
    fn subscript(&mut self, open: usize, context: &Context, deps: &mut Deps) -> Result<usize, Refusal> {
        let mut start = open + 1;
        loop {
            let end = self.find_level(start, |_, token| token.kind == Kind::Colon);
            for bound in self.expressions(start..end)?.iter() {
                let more = self.expr(bound, context)?;
                merge(deps, &more);
            }
            match self.tokens.get(end).map(|token| token.kind) {
                Some(Kind::Colon) => start = end + 1,
                Some(Kind::CloseBracket) => return Ok(end + 1),
                Some(_) | None => return Err(self.at(Self::unsupported("this form of an assignment"), open)),
            }
        }
    }

    pub(super) fn assignments(
        &mut self,
        assignments: &[Assignment],
        id: usize,
        item: &ScopeItem,
        scope: &Rc<Scope>,
    ) -> Result<(), Refusal> {
        let context: Context = Self::context(scope, Clause::Assign);
        for Assignment { target, value } in assignments {
            // Each is judged beside all references.
            self.spend(self.bound.references.len())?;
            let is_default = super::merge::is_default(value);
            match target {
                AssignmentTarget::ColumnName(name) => {
                    let Target { column, partial, mut deps, end } = self.target_column(name, id, item, &context)?;
                    let more = self.expr(value, &context)?;
                    merge(&mut deps, &more);
                    let range = self.value_after(end)?;
                    self.bound.equals.push(end);
                    self.bound.assigned.push(Assigned {
                        relation: id,
                        column,
                        value: Some(range),
                        rows: None,
                        deps,
                        default: is_default,
                        update: true,
                        partial,
                    });
                }
                AssignmentTarget::Tuple(names) => {
                    let mut targets = Vec::new();
                    for name in names {
                        targets.push(self.target_column(name, id, item, &context)?);
                    }
                    self.bound.equals.extend(targets.last().map(|last| last.end + 1));
                    let mut values = Vec::new();
                    if let Some(items) = row_items(value)
                        && items.len() == targets.len()
                        && let Some(ranges) =
                            targets.last().map(|last| self.values_after(last.end, items.len())).transpose()?
                    {
                        for (item, range) in items.into_iter().zip(ranges) {
                            values.push((self.expr(item, &context)?, Some(range)));
                        }
                    } else {
                        values.resize(targets.len(), (self.expr(value, &context)?, None));
                    }
                    for (target, (deps, range)) in targets.into_iter().zip(values) {
                        let default = range.as_ref().is_some_and(|range| {
                            range.len() == 1
                                && self.tokens.get(range.start).is_some_and(|token| token.is_word("default"))
                        });
                        let mut all = target.deps;
                        merge(&mut all, &deps);
                        self.bound.assigned.push(Assigned {
                            relation: id,
                            column: target.column,
                            value: range,
                            rows: None,
                            deps: all,
                            default,
                            update: true,
                            partial: target.partial,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The tokens of the values in `(a, b) = [ROW] (x, y)`, of which `b` ends before `last`.
    fn values_after(&self, last: usize, count: usize) -> Result<Vec<Range<usize>>, Refusal> {
        let missing = self.at(Self::unsupported("this form of an assignment"), last);
        let kind = |at: usize| self.tokens.get(at).map(|token| token.kind);
        let row = usize::from(self.tokens.get(last + 2).is_some_and(|token| token.is_word("row")));
        let opens = kind(last) == Some(Kind::Close)
            && self.tokens.get(last + 1).is_some_and(|token| token.is_operator("="))
            && kind(last + 2 + row) == Some(Kind::Open);
        let mut at = last + 3 + row;
        let mut ranges = Vec::new();
        while opens && ranges.len() < count {
            let end = self.item_end(at);
            ranges.push(at..end);
            let expected = if ranges.len() == count { Kind::Close } else { Kind::Comma };
            if kind(end) != Some(expected) {
                return Err(missing);
            }
            at = end + 1;
        }
        if opens { Ok(ranges) } else { Err(missing) }
    }

    /// The tokens of the value that is assigned: from the `=` at `sign` to the comma or keyword that ends it.
    fn value_after(&self, sign: usize) -> Result<Range<usize>, Refusal> {
        let missing = || self.at(Self::unsupported("this form of an assignment"), sign);
        if !self.tokens.get(sign).is_some_and(|token| token.is_operator("=")) {
            return Err(missing());
        }
        let start = sign + 1;
        let cases = std::cell::Cell::new(0_usize);
        let index = self.find_level(start, |index, token| {
            let distinct = self.before(index).is_some_and(|before| before.is_word("distinct"));
            let name = self.before(index).is_some_and(|before| before.kind == Kind::Dot);
            if token.is_word("case") && !name {
                cases.set(cases.get() + 1);
            } else if token.is_word("end") && !name {
                cases.set(cases.get().saturating_sub(1));
            }
            token.kind == Kind::Comma
                || token.is_word("where")
                || token.is_word("returning")
                || (token.is_word("from") && !distinct)
                // WHEN of MERGE
                || (token.is_word("when") && cases.get() == 0)
        });
        if index == start { Err(missing()) } else { Ok(start..index) }
    }
}

/// The values of `(x, y)` and `ROW(x, y)`.
fn row_items(value: &Expr) -> Option<Vec<&Expr>> {
    if let Expr::Tuple(items) = value {
        return Some(items.iter().collect());
    }
    let Expr::Function(Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }),
        within_group,
        filter: None,
        null_treatment: None,
        over: None,
    }) = value
    else {
        return None;
    };
    let [ObjectNamePart::Identifier(Ident { value: word, quote_style: None, span: _ })] = name.0.as_slice() else {
        return None;
    };
    if word != "row" || !clauses.is_empty() || !within_group.is_empty() {
        return None;
    }
    args.iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            FunctionArg::Unnamed(
                FunctionArgExpr::QualifiedWildcard(_)
                | FunctionArgExpr::Wildcard
                | FunctionArgExpr::WildcardWithOptions(_),
            )
            | FunctionArg::Named { name: _, arg: _, operator: _ }
            | FunctionArg::ExprNamed { name: _, arg: _, operator: _ } => None,
        })
        .collect()
}
