//! INSERT, UPDATE and DELETE. Their targets stay tables; what they read of them is referenced column by column.

use std::{ops::Range, rc::Rc};

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Insert, ObjectName, OnConflict,
    OnConflictAction, OnInsert, SelectItem, TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::{
    binder::{Binder, Context},
    bound::{Assigned, Clause, Deps, Output, Role, Usages},
    scope::{Scope, ScopeItem},
};
use crate::{
    error::{Refusal, RefusalCode},
    sql::Kind,
};

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
        let (id, item) = self.use_relation(relation, Role::Insert, tokens.clone(), tokens, alias.as_deref(), None);

        let mut targets = Vec::new();
        if columns.is_empty() {
            targets.extend(0..relation.columns.len());
        }
        for column in columns {
            targets.push(self.target_column(column, id, &item)?);
        }
        let outputs = match source {
            None => Vec::new(),
            Some(query) => self.query(query, parent.clone())?,
        };
        let mut deps = Deps::new();
        for output in &outputs {
            super::scope::merge(&mut deps, &output.deps);
        }
        for column in targets {
            self.mark(&Deps::from_slice(&[]), Usages::default());
            self.bound.assigned.push(Assigned {
                relation: id,
                column,
                value: None,
                // Positions may be shifted by a row expansion: every source counts for every column.
                deps: deps.clone(),
                default: source.is_none(),
                update: false,
            });
        }
        if let Some(on) = on {
            let OnInsert::OnConflict(OnConflict { conflict_target, action }) = on else {
                return Err(Self::unsupported("this form of ON"));
            };
            self.on_conflict(conflict_target.as_ref(), action, id, &item, parent.as_ref())?;
        }
        self.returning(returning.as_deref(), vec![item], parent)
    }

    fn on_conflict(
        &mut self,
        target: Option<&ConflictTarget>,
        action: &OnConflictAction,
        id: usize,
        item: &ScopeItem,
        parent: Option<&Rc<Scope>>,
    ) -> Result<(), Refusal> {
        match target {
            None => {}
            Some(ConflictTarget::OnConstraint(name)) => {
                self.parts(name)?;
            }
            Some(ConflictTarget::Columns { columns, predicate }) => {
                for column in columns {
                    let index = self.take(column)?;
                    if item.column(&column.value).is_none() {
                        return Err(self.at(Self::unsupported("this conflict target"), index));
                    }
                }
                if predicate.is_some() {
                    return Err(Self::unsupported("WHERE in a conflict target"));
                }
            }
        }
        match action {
            OnConflictAction::DoNothing => Ok(()),
            OnConflictAction::DoUpdate(update) => {
                let mut excluded = item.clone();
                excluded.name = Some("excluded".into());
                excluded.schema = None;
                excluded.relation = None;
                excluded.columns = excluded
                    .columns
                    .iter()
                    .map(|column| super::scope::ScopeColumn { deps: Deps::new(), origin: None, ..column.clone() })
                    .collect();
                excluded.columns_visible = false;
                let scope =
                    Rc::new(Scope { items: vec![item.clone(), excluded], parent: parent.cloned(), block: None });
                self.assignments(&update.assignments, id, item, &scope)?;
                if let Some(condition) = &update.selection {
                    self.expr_used(condition, &Self::context(&scope, Clause::Where))?;
                }
                Ok(())
            }
        }
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
        if let Some(condition) = selection {
            self.expr_used(condition, &Self::context(&scope, Clause::Where))?;
        }
        let items = scope.items.clone();
        self.returning(returning.as_deref(), items, parent)
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
        let scope = self.target_scope(&item, using.as_deref().unwrap_or(&[]), parent.clone())?;
        if let Some(condition) = selection {
            self.expr_used(condition, &Self::context(&scope, Clause::Where))?;
        }
        let items = scope.items.clone();
        self.returning(returning.as_deref(), items, parent)
    }

    fn target(&mut self, table: &TableWithJoins, role: Role) -> Result<(usize, ScopeItem), Refusal> {
        let Some(TableFactor::Table {
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
        }) = super::query::only_factor(table)
        else {
            return Err(Self::unsupported("this target"));
        };
        if !with_hints.is_empty() || !partitions.is_empty() || !index_directives.is_empty() {
            return Err(Self::unsupported("this target"));
        }
        let (parts, tokens) = self.parts(name)?;
        let relation = self.relation(&parts, &tokens)?;
        let whole = self.target_name(&tokens, inheritance.as_ref())?;
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

    fn target_column(&mut self, name: &ObjectName, id: usize, item: &ScopeItem) -> Result<usize, Refusal> {
        let (parts, tokens) = self.parts(name)?;
        let [column] = parts.as_slice() else {
            return Err(self.at(Self::unsupported("a field of a column as a target"), tokens.start));
        };
        let position = item.columns.iter().position(|candidate| *candidate.name == **column).ok_or_else(|| {
            let refusal = Refusal::new(RefusalCode::UnknownColumn, format!("column \"{column}\" does not exist"));
            self.at(refusal, tokens.start)
        })?;
        if let Some(mark) = self.bound.relations.get_mut(id).and_then(|relation| relation.marks.get_mut(position)) {
            mark.usages.add(Usages::WRITTEN);
        }
        Ok(position)
    }

    fn assignments(
        &mut self,
        assignments: &[Assignment],
        id: usize,
        item: &ScopeItem,
        scope: &Rc<Scope>,
    ) -> Result<(), Refusal> {
        let context: Context = Self::context(scope, Clause::Assign);
        for Assignment { target, value } in assignments {
            let is_default =
                matches!(value, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value == "default");
            match target {
                AssignmentTarget::ColumnName(name) => {
                    let column = self.target_column(name, id, item)?;
                    let deps = self.expr(value, &context)?;
                    let range = self.value_after(name)?;
                    self.bound.assigned.push(Assigned {
                        relation: id,
                        column,
                        value: Some(range),
                        deps,
                        default: is_default,
                        update: true,
                    });
                }
                AssignmentTarget::Tuple(names) => {
                    let mut columns = Vec::new();
                    for name in names {
                        columns.push(self.target_column(name, id, item)?);
                    }
                    let mut values = Vec::new();
                    if let Expr::Tuple(items) = value
                        && items.len() == columns.len()
                        && let Some(ranges) =
                            names.last().map(|last| self.values_after(last, items.len())).transpose()?
                    {
                        for (item, range) in items.iter().zip(ranges) {
                            values.push((self.expr(item, &context)?, Some(range)));
                        }
                    } else {
                        values.resize(columns.len(), (self.expr(value, &context)?, None));
                    }
                    for (column, (deps, range)) in columns.into_iter().zip(values) {
                        let default = range.as_ref().is_some_and(|range| {
                            range.len() == 1
                                && self.tokens.get(range.start).is_some_and(|token| token.is_word("default"))
                        });
                        self.bound.assigned.push(Assigned {
                            relation: id,
                            column,
                            value: range,
                            deps,
                            default,
                            update: true,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The tokens of the values in `(a, b) = (x, y)`, of which `last` is `b`.
    fn values_after(&mut self, last: &ObjectName, count: usize) -> Result<Vec<Range<usize>>, Refusal> {
        let (_, name) = self.parts(last)?;
        let missing = self.at(Self::unsupported("this form of an assignment"), name.start);
        let kind = |at: usize| self.tokens.get(at).map(|token| token.kind);
        let opens = kind(name.end) == Some(Kind::Close)
            && self.tokens.get(name.end + 1).is_some_and(|token| token.is_operator("="))
            && kind(name.end + 2) == Some(Kind::Open);
        let mut at = name.end + 3;
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

    /// The tokens of the value assigned to `target`: from behind `=` to the comma or keyword that ends it.
    fn value_after(&mut self, target: &ObjectName) -> Result<Range<usize>, Refusal> {
        let (_, name) = self.parts(target)?;
        let missing = || self.at(Self::unsupported("this form of an assignment"), name.start);
        if !self.tokens.get(name.end).is_some_and(|token| token.is_operator("=")) {
            return Err(missing());
        }
        let start = name.end + 1;
        let index = self.find_level(start, |index, token| {
            let distinct = self.before(index).is_some_and(|before| before.is_word("distinct"));
            token.kind == Kind::Comma
                || token.is_word("where")
                || token.is_word("returning")
                || (token.is_word("from") && !distinct)
        });
        if index == start { Err(missing()) } else { Ok(start..index) }
    }

    fn returning(
        &mut self,
        items: Option<&[SelectItem]>,
        scope: Vec<ScopeItem>,
        parent: Option<Rc<Scope>>,
    ) -> Result<Vec<Output>, Refusal> {
        let context = Context::new(Rc::new(Scope { items: scope, parent, block: None }), Clause::Returning);
        let mut outputs = Vec::new();
        for item in items.unwrap_or(&[]) {
            self.select_item(item, &context, &mut outputs)?;
        }
        for output in &outputs {
            let deps = output.deps.clone();
            self.mark(&deps, Usages::RETURNED);
        }
        Ok(outputs)
    }
}
