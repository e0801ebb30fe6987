//! How many rows a sub-select has that stands as a value: more than one is an error. In: the sub-select. Out: whether it has one at most.
//! Invariant: what is not listed here may have more.

use sqlparser::ast::{
    Expr, Fetch, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, LimitClause, Query, Select, SelectItem,
    SetExpr, Value,
};

use super::{Content, calls::Call};
use crate::{
    bind::{
        binder::{Binder, Context},
        query::unbracketed,
    },
    sql::parse,
};

impl Binder<'_> {
    /// Notes that a query gives one row: it computes something of all its rows, and does not group them.
    pub(in crate::bind) fn note_single_row(&mut self, select: &Select, token: usize, context: &Context) {
        if self.judge.is_none() {
            return;
        }
        let ungrouped = select.distinct.is_none()
            && select.having.is_none()
            && matches!(&select.group_by, GroupByExpr::Expressions(list, more) if list.is_empty() && more.is_empty());
        let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, alias: _ }] = &*select.projection
        else {
            return;
        };
        if ungrouped
            && self.aggregates(item, context)
            && let Some(judge) = &mut self.judge
        {
            judge.single_rows.insert(token);
        }
    }

    /// Whether an expression is an aggregate of the rows of the query at hand, and not of one around it, or chooses between such and others.
    fn aggregates(&self, expression: &Expr, context: &Context) -> bool {
        let Expr::Function(function) = unbracketed(expression) else { return false };
        match self.call(function) {
            Some(Call::Counts | Call::Extreme(_)) => {}
            Some(Call::Chooses(values)) => {
                // One within another would be looked at as often as there are around it.
                let direct = |value: &&&Expr| {
                    let Expr::Function(inner) = unbracketed(value) else { return false };
                    matches!(self.call(inner), Some(Call::Counts | Call::Extreme(_)))
                };
                return values.iter().filter(direct).any(|value| self.aggregates(value, context));
            }
            Some(
                Call::Keyword(_)
                | Call::Now
                | Call::Folds(_)
                | Call::Measures(_)
                | Call::Day(_)
                | Call::Truncates(..)
                | Call::Setting(_)
                | Call::Splits(_)
                | Call::Trims(_),
            )
            | None => return false,
        }
        let FunctionArguments::List(list) = &function.args else { return false };
        let local = match &*list.args {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] => true,
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => is_local(argument, context),
            _ => false,
        };
        // What FILTER names decides with of which query it is.
        local && function.over.is_none() && function.filter.is_none()
    }

    /// Whether a sub-select that was bound has one row at most.
    pub(super) fn has_single_row(&mut self, query: &Query) -> bool {
        let Query {
            with: _,
            body,
            order_by: _,
            limit_clause,
            fetch,
            locks: _,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            return false;
        };
        if !pipe_operators.is_empty() {
            return false;
        }
        if let SetExpr::Select(select) = &**body
            && let Some(at) = parse::token_index(select.select_token.0.span)
            && self.judge.as_ref().is_some_and(|judge| judge.single_rows.contains(&at))
        {
            return true;
        }
        let limit = match limit_clause {
            Some(LimitClause::LimitOffset { limit: Some(limit), offset: _, limit_by }) if limit_by.is_empty() => limit,
            Some(
                LimitClause::LimitOffset { limit: _, offset: _, limit_by: _ }
                | LimitClause::OffsetCommaLimit { offset: _, limit: _ },
            )
            | None => match fetch {
                Some(Fetch { with_ties: false, percent: false, quantity: Some(limit) }) => limit,
                Some(Fetch { with_ties: _, percent: _, quantity: _ }) | None => return false,
            },
        };
        let Expr::Value(value) = unbracketed(limit) else { return false };
        let Value::Number(..) = value.value else { return false };
        parse::token_index(value.span).is_some_and(|at| self.note(at, Content::One))
    }
}

/// Whether an expression is a column of the query at hand.
#[allow(clippy::wildcard_enum_match_arm, reason = "nothing else is a column")]
fn is_local(expression: &Expr, context: &Context) -> bool {
    let items = &context.scope.items;
    match unbracketed(expression) {
        Expr::Identifier(ident) => items.iter().any(|item| item.columns_visible && item.column(&ident.value).is_some()),
        Expr::CompoundIdentifier(idents) => match idents.as_slice() {
            [table, column] => items.iter().any(|item| {
                item.name_visible && item.name.as_deref() == Some(&table.value) && item.column(&column.value).is_some()
            }),
            _ => false,
        },
        _ => false,
    }
}
