//! MERGE. Its target stays a table, as those of UPDATE and DELETE do; its source is a FROM item.
//!
//! What an action sees is what PostgreSQL shows it (`setNamespaceForMergeWhen` in `parse_merge.c`): target and source for
//! rows that match, the source alone for rows to be inserted, the target alone for rows that no source matches.

use std::rc::Rc;

use sqlparser::ast::{
    Expr, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr, MergeInsertKind, MergeUpdateExpr,
    MergeUpdateKind, OutputClause, TableWithJoins, Values,
};

use super::{
    binder::Binder,
    bound::{Assigned, Clause, Deps, Output, Role},
    scope::{Scope, ScopeItem},
};
use crate::error::Refusal;

impl Binder<'_> {
    pub(super) fn merge_statement(
        &mut self,
        merge: &Merge,
        parent: Option<&Rc<Scope>>,
    ) -> Result<Vec<Output>, Refusal> {
        let Merge { merge_token: _, optimizer_hints, into: _, table, source, on, clauses, output } = merge;
        if !optimizer_hints.is_empty() {
            return Err(Self::unsupported("this form of MERGE"));
        }
        let returning = match output {
            None => None,
            Some(OutputClause::Returning { returning_token: _, select_items }) => Some(select_items.as_slice()),
            Some(OutputClause::Output { output_token: _, select_items: _, into_table: _ }) => {
                return Err(Self::unsupported("this form of MERGE"));
            }
        };
        let (id, target) = self.target_factor(table, Role::Merge)?;
        // It joins by no operator.
        self.word_use("using", Vec::new());
        let scope = |items: Vec<ScopeItem>| Scope { items, parent: parent.cloned(), block: None };
        let mut sources = scope(Vec::new());
        let source = TableWithJoins { relation: source.clone(), joins: Vec::new() };
        self.table_with_joins(&source, &mut sources)?;
        let mut both = scope([vec![target.clone()], sources.items.clone()].concat());
        Self::unique_names(&both)?;
        both.parent = parent.cloned();
        let (both, sources, alone) = (Rc::new(both), Rc::new(sources), Rc::new(scope(vec![target.clone()])));
        self.expr_used(on, &Self::context(&both, Clause::On))?;
        for MergeClause { when_token: _, clause_kind, predicate, action } in clauses {
            let seen = match clause_kind {
                MergeClauseKind::Matched => &both,
                MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => &sources,
                MergeClauseKind::NotMatchedBySource => &alone,
            };
            if let Some(condition) = predicate {
                self.expr_used(condition, &Self::context(seen, Clause::Where))?;
            }
            match action {
                MergeAction::Insert(insert) => self.merge_insert(insert, id, &target, seen)?,
                MergeAction::Update(MergeUpdateExpr { update_token: _, kind, update_predicate, delete_predicate }) => {
                    let (MergeUpdateKind::Set(assignments), None, None) = (kind, update_predicate, delete_predicate)
                    else {
                        return Err(Self::unsupported("this form of MERGE"));
                    };
                    self.assignments(assignments, id, &target, seen)?;
                }
                MergeAction::Delete { delete_token: _ } | MergeAction::DoNothing { do_token: _, nothing_token: _ } => {}
            }
        }
        // A star shows the source first.
        let shown = [sources.items.clone(), vec![target.clone()]].concat();
        self.returning(returning, &target, &shown, parent.cloned())
    }

    fn merge_insert(
        &mut self,
        insert: &MergeInsertExpr,
        id: usize,
        target: &ScopeItem,
        scope: &Rc<Scope>,
    ) -> Result<(), Refusal> {
        let MergeInsertExpr { insert_token: _, columns, kind_token: _, kind, insert_predicate } = insert;
        let (MergeInsertKind::Values(Values { explicit_row: false, value_keyword: false, rows }), None) =
            (kind, insert_predicate)
        else {
            return Err(Self::unsupported("this form of MERGE"));
        };
        let [row] = rows.as_slice() else { return Err(Self::unsupported("this form of MERGE")) };
        let context = Self::context(scope, Clause::Assign);
        let mut deps = Deps::new();
        for value in &row.content {
            let more = self.expr(value, &context)?;
            super::scope::merge(&mut deps, &more);
        }
        let mut targets: Vec<usize> = Vec::new();
        for column in columns {
            targets.push(self.target_column(column, id, target, &context)?.column);
        }
        if columns.is_empty() {
            targets.extend(0..target.columns.len());
        }
        let default = row.content.iter().all(is_default);
        for column in targets {
            self.bound.assigned.push(Assigned {
                relation: id,
                column,
                value: None,
                rows: None,
                deps: deps.clone(),
                default,
                update: false,
                partial: false,
            });
        }
        Ok(())
    }
}

/// `DEFAULT`
pub(super) fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value == "default")
}
