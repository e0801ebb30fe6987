//! Stage `bind`: GROUP BY. In: the grouping items of one block. Out: the columns it groups by, and the place where the
//! rewrite may add columns that a primary key gave before (`design.md` §2).

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    ObjectNamePart,
};

use super::{
    binder::{Binder, Context},
    bound::{Output, Usages},
    query::unbracketed,
};
use crate::error::Refusal;

impl Binder<'_> {
    pub(super) fn group_by(
        &mut self,
        group_by: &GroupByExpr,
        context: &Context,
        outputs: &[Output],
        select_token: usize,
        block: usize,
    ) -> Result<(), Refusal> {
        let GroupByExpr::Expressions(list, modifiers) = group_by else {
            return Err(Self::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(Self::unsupported("this form of GROUP BY"));
        }
        let mut plain = !list.is_empty();
        if let Some(slot) = self.bound.blocks.get_mut(block) {
            slot.groups = plain;
        }

        let mut grouped = Vec::new();
        for expression in list {
            if let Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) = expression {
                plain = false;
                for item in sets.iter().flatten() {
                    for item in nested_sets(item).unwrap_or_else(|| vec![item]) {
                        self.group_expression(item, context, outputs, &mut grouped)?;
                    }
                }
            } else if let Expr::Tuple(items) = expression {
                plain &= !items.is_empty();
                for item in items {
                    self.group_expression(item, context, outputs, &mut grouped)?;
                }
            } else {
                self.group_expression(expression, context, outputs, &mut grouped)?;
            }
        }
        if plain && let Some(slot) = self.bound.blocks.get_mut(block) {
            slot.grouped = grouped;
        }
        if plain {
            let insert_at = self.after_group_by(select_token);
            if let Some(slot) = self.bound.blocks.get_mut(block) {
                slot.insert_at = insert_at;
            }
        }
        Ok(())
    }

    fn group_expression(
        &mut self,
        expression: &Expr,
        context: &Context,
        outputs: &[Output],
        grouped: &mut Vec<(usize, usize)>,
    ) -> Result<(), Refusal> {
        if let Some(output) = self.position(expression, outputs)? {
            grouped.extend(output.plain);
            self.mark(&output.deps, Usages::GROUP);
            self.sorted_by(output.nature);
            return Ok(());
        }
        if let Expr::Identifier(ident) = unbracketed(expression)
            && !context.scope.items.iter().any(|item| item.columns_visible && item.column(&ident.value).is_some())
            && let Some(output) = outputs.iter().find(|output| output.name.as_deref() == Some(&ident.value))
        {
            self.take(ident)?;
            grouped.extend(output.plain);
            self.mark(&output.deps, Usages::GROUP);
            self.sorted_by(output.nature);
            return Ok(());
        }
        if let Expr::Identifier(ident) = expression {
            let mut visible = context.scope.items.iter().filter(|item| item.columns_visible);
            let column = visible.find_map(|item| item.column(&ident.value));
            grouped.extend(column.and_then(|column| column.merged));
        }
        let before = self.bound.references.len();
        self.expr_used(expression, context)?;
        let is_name = matches!(unbracketed(expression), Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_name && let Some(reference) = self.bound.references.get(before) {
            grouped.extend(reference.column.map(|column| (reference.relation, column)));
        }
        Ok(())
    }

    /// The token after this block's `GROUP BY [DISTINCT | ALL]`.
    fn after_group_by(&self, select_token: usize) -> Option<usize> {
        let word = |index: usize, word: &str| self.tokens.get(index).is_some_and(|token| token.is_word(word));
        let group = self.find_level(select_token + 1, |index, token| token.is_word("group") && word(index + 1, "by"));
        let modifier = word(group + 2, "distinct") || word(group + 2, "all");
        word(group, "group").then(|| group + 2 + usize::from(modifier))
    }
}

/// The expressions of `ROLLUP (…)` or `CUBE (…)` inside GROUPING SETS, which the parser takes for a call.
fn nested_sets(item: &Expr) -> Option<Vec<&Expr>> {
    let Expr::Function(Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }),
        within_group,
        filter: None,
        null_treatment: None,
        over: None,
    }) = item
    else {
        return None;
    };
    let [ObjectNamePart::Identifier(Ident { value: word, quote_style: None, span: _ })] = name.0.as_slice() else {
        return None;
    };
    if !matches!(word.as_str(), "rollup" | "cube") || !clauses.is_empty() || !within_group.is_empty() {
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
