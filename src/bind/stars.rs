//! `c.*` in expressions. In: the star, and where it stands. Out: the row as a whole is marked as used. Invariant: where it is one value, its type is
//! that of the table, as with `c` alone.

use std::ops::Range;

use sqlparser::ast::{Expr, ObjectName};

use super::{
    binder::{Binder, Context, Resolved},
    bound::{Deps, WholeUse},
    scope::merge,
};
use crate::{error::Refusal, sql::Kind};

impl Binder<'_> {
    /// A star in an expression: one value, or, as an item of a row (`ROW(c.*)`, `(c.*, 1)`, VALUES), all columns.
    pub(super) fn starred_row(&mut self, name: &ObjectName, in_row: bool, context: &Context) -> Result<Deps, Refusal> {
        let (parts, tokens) = self.parts(name)?;
        let [table] = parts.as_slice() else {
            return Err(self.at(Self::unsupported("a name of this form"), tokens.start));
        };
        let Some(item) = Self::item(table, None, context) else {
            return Err(self.at(Self::unsupported("a star of an unknown name"), tokens.start));
        };
        if in_row {
            self.mark_row(&item, WholeUse::Expression(tokens.start));
            return Ok(item.all_deps());
        }
        let whole = tokens.start..tokens.end + 2;
        Ok(self.resolved(Resolved::Row(item, Deps::new()), whole, false, context).0)
    }

    /// The items of a row.
    pub(super) fn row(&mut self, items: &[Expr], context: &Context) -> Result<Deps, Refusal> {
        let mut deps = Deps::new();
        for item in items {
            let more = if let Expr::QualifiedWildcard(name, _token) = item {
                self.starred_row(name, true, context)?
            } else {
                self.expr(item, context)?
            };
            merge(&mut deps, &more);
        }
        Ok(deps)
    }

    /// Whether a name of one word is not quoted.
    pub(super) fn is_keyword(&self, name: &Range<usize>) -> bool {
        name.len() == 1 && self.tokens.get(name.start).is_some_and(|token| token.kind == Kind::Word)
    }
}
