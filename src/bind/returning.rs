//! RETURNING of INSERT, UPDATE, DELETE and MERGE. In: its items, and what they see. Out: the outputs.
//!
//! Since PostgreSQL 18 the target is seen twice more: as OLD and as NEW, by these names or by those of `RETURNING WITH (OLD AS o,
//! NEW AS n)`, unless something else has the name (`addNSItemForReturning` in `parse_relation.c`). They are uses of the same
//! relation, reached by their names alone. Older servers know neither, and say so themselves.

use std::rc::Rc;

use sqlparser::ast::{Expr, ObjectNamePart, SelectItem, Value};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Output, Usages},
    scope::{Scope, ScopeColumn, ScopeItem},
};
use crate::{
    error::{Refusal, RefusalCode},
    sql::gaps,
};

impl Binder<'_> {
    /// Binds RETURNING, whose stars show `shown`, the target among them, in their order.
    pub(super) fn returning(
        &mut self,
        items: Option<&[SelectItem]>,
        target: &ScopeItem,
        shown: &[ScopeItem],
        parent: Option<Rc<Scope>>,
    ) -> Result<Vec<Output>, Refusal> {
        let Some(mut items) = items else { return Ok(Vec::new()) };
        let mut visible = shown.to_vec();
        let mut named = (false, false);
        let outer = self.list_start;
        if let [SelectItem::UnnamedExpr(Expr::Identifier(ident)), rest @ ..] = items
            && let Some(with) = self.gap(ident)
        {
            items = rest;
            let versions = gaps::returning_versions(self.tokens, with)
                .ok_or_else(|| self.at(Self::unsupported("this form of RETURNING"), with))?;
            for (is_old, index) in versions.names {
                let name = self.take_token(index)?;
                self.not_reserved(&name, index)?;
                if std::mem::replace(if is_old { &mut named.0 } else { &mut named.1 }, true)
                    || has_name(&visible, &name)
                {
                    let message = format!("table name \"{name}\" specified more than once");
                    return Err(self.at(Refusal::new(RefusalCode::DuplicateAlias, message), index));
                }
                visible.push(version(target, &name));
            }
            self.list_start = Some(versions.tokens.end);
        }
        for (name, _) in [("old", named.0), ("new", named.1)].into_iter().filter(|(_, named)| !named) {
            if !has_name(&visible, name) {
                visible.push(version(target, name));
            }
        }
        let context = Context::new(Rc::new(Scope { items: visible, parent, block: None }), Clause::Returning);
        let mut outputs = Vec::new();
        for item in items {
            self.select_item(item, &context, &mut outputs)?;
        }
        self.list_start = outer;
        for output in &outputs {
            let deps = output.deps.clone();
            self.mark(&deps, Usages::RETURNED);
        }
        Ok(outputs)
    }
}

impl Binder<'_> {
    /// Whether it is `old.* IS [NOT] DISTINCT FROM NULL`, which asks for no more than whether there was a row: one of NULLs is not
    /// NULL to it, and no operator compares.
    pub(super) fn asks_for_version(&mut self, row: &Expr, other: &Expr, context: &Context) -> Result<bool, Refusal> {
        let row = if let Expr::Nested(inner) = row { inner } else { row };
        let (Expr::QualifiedWildcard(name, _), Expr::Value(other)) = (row, other) else { return Ok(false) };
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return Ok(false) };
        let asks =
            other.value == Value::Null && Self::item(&ident.value, None, context).is_some_and(|item| item.version);
        if asks {
            self.take(ident)?;
        }
        Ok(asks)
    }
}

fn has_name(items: &[ScopeItem], name: &str) -> bool {
    items.iter().any(|item| item.name_visible && item.name.as_deref() == Some(name))
}

/// The target as it was or will be.
fn version(target: &ScopeItem, name: &str) -> ScopeItem {
    let name: Rc<str> = name.into();
    let column = |column: &ScopeColumn| ScopeColumn { qualifier: Some(name.clone()), ..column.clone() };
    ScopeItem {
        columns: target.columns.iter().map(column).collect(),
        name: Some(name),
        schema: None,
        columns_visible: false,
        version: true,
        ..target.clone()
    }
}
