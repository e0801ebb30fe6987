//! ON CONFLICT. In: its target and action, and the relation that is inserted into. Out: references and assignments.
//! PostgreSQL compares the expressions of the target with the definitions of indexes (`infer_arbiter_indexes` in `plancat.c`)
//! and evaluates nothing but what is constant in them: columns may stand there unmasked.

use std::{ops::Range, rc::Rc};

use sqlparser::ast::{ConflictTarget, Ident, OnConflictAction};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Deps},
    scope::{Scope, ScopeColumn, ScopeItem},
};
use crate::{
    error::Refusal,
    sql::{Kind, Token, gaps},
};

impl Binder<'_> {
    pub(super) fn on_conflict(
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
            Some(ConflictTarget::Columns { columns, predicate: None }) => {
                for column in columns {
                    self.conflict_column(column, item)?;
                }
            }
            // Conditions are kept from the parser.
            Some(ConflictTarget::Columns { columns: _, predicate: Some(_) }) => {
                return Err(Self::unsupported("this form of a conflict target"));
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
                    .map(|column| ScopeColumn { deps: Deps::new(), origin: None, ..column.clone() })
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

    fn conflict_column(&mut self, column: &Ident, item: &ScopeItem) -> Result<(), Refusal> {
        let Some(open) = self.gap(column) else {
            let index = self.take(column)?;
            if item.column(&column.value).is_none() {
                return Err(self.at(Self::unsupported("this conflict target"), index));
            }
            return Ok(());
        };
        let missing = || self.at(Self::unsupported("this conflict target"), open);
        let target = gaps::conflict_target(self.tokens, open).ok_or_else(missing)?;
        let scope = Rc::new(Scope { items: vec![item.clone()], parent: None, block: None });
        let context = Self::context(&scope, Clause::Conflict);
        let mut at = target.elements.start;
        while at < target.elements.end {
            let end = self.item_end(at);
            self.conflict_element(at..end, item, &context)?;
            at = end + 1;
        }
        if let Some(condition) = target.condition {
            for expression in self.expressions(condition)?.iter() {
                self.expr(expression, &context)?;
            }
        }
        Ok(())
    }

    /// `column`, a call or a bracketed expression, with `COLLATE name` and the name of an operator class.
    fn conflict_element(&mut self, element: Range<usize>, item: &ScopeItem, context: &Context) -> Result<(), Refusal> {
        let start = element.start;
        let unsupported = |binder: &Self| binder.at(Self::unsupported("this conflict target"), start);
        let tokens = self.tokens.get(element.clone()).unwrap_or(&[]);
        let kind = |offset: usize| tokens.get(offset).map(|token| token.kind);
        let mut head = if kind(0) == Some(Kind::Open) { 0 } else { dotted(tokens, 0) };
        let column = kind(head) != Some(Kind::Open);
        if !column {
            head = crate::sql::command::after_brackets(tokens, head);
        }
        if column {
            let name = self.take_token(start)?;
            if head != 1 || item.column(&name).is_none() {
                return Err(unsupported(self));
            }
        } else {
            let expressions = self.expressions(start..start + head)?;
            let [expression] = &*expressions else { return Err(unsupported(self)) };
            self.expr(expression, context)?;
        }
        let collated = tokens.get(head).is_some_and(|token| token.is_word("collate"));
        for _ in 0..=usize::from(collated) {
            let skip = usize::from(tokens.get(head).is_some_and(|token| token.is_word("collate")));
            let end = dotted(tokens, head + skip);
            if end == head + skip {
                break;
            }
            for index in (head + skip..end).step_by(2) {
                self.take_token(start + index)?;
            }
            head = end;
        }
        if head == tokens.len() { Ok(()) } else { Err(unsupported(self)) }
    }
}

/// The token after the dotted name that begins at `at`; `at` when none does.
fn dotted(tokens: &[Token], at: usize) -> usize {
    let name = |index: usize| tokens.get(index).is_some_and(Token::is_name);
    if !name(at) {
        return at;
    }
    let mut end = at + 1;
    while tokens.get(end).is_some_and(|token| token.kind == Kind::Dot) && name(end + 1) {
        end += 2;
    }
    end
}
