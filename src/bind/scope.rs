//! Which names are visible where: PostgreSQL's namespaces (`parse_relation.c`) in small.

use std::rc::Rc;

use super::{
    bound::{ColumnIndex, Deps},
    failing::Nature,
};
use crate::catalog::overloads::Typed;

/// A column that expressions can name.
#[derive(Clone, Debug)]
pub(super) struct ScopeColumn {
    pub name: Rc<str>,
    pub deps: Deps,
    /// The base column that it is, directly.
    pub origin: Option<(usize, ColumnIndex)>,
    /// Name of the FROM item to print before it in an expanded star; none for merged columns that are no column of one side.
    pub qualifier: Option<Rc<str>>,
    /// The base column whose value a merged column of USING always has.
    pub merged: Option<(usize, ColumnIndex)>,
    /// A star may leave it out (columns of SEARCH and CYCLE).
    pub doubtful: bool,
    /// Its type, where it is no base column.
    pub typed: Typed,
    /// What is known of it, where row scopes may depend on that.
    pub nature: Nature,
}

/// One FROM item, or the unnamed result of a join.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub(super) struct ScopeItem {
    pub name: Option<Rc<str>>,
    /// Schema of a catalog relation without alias: `public.t.c` may be written.
    pub schema: Option<Rc<str>>,
    /// Catalog relation.
    pub relation: Option<usize>,
    pub columns: Rc<[ScopeColumn]>,
    pub columns_visible: bool,
    pub name_visible: bool,
    /// OLD or NEW of a target, which RETURNING reaches by this name alone.
    pub version: bool,
    /// Columns are not known (a function that returns any row type).
    pub open: bool,
    /// What an unknown column of it may depend on.
    pub deps: Deps,
}

/// The names visible at one level of nesting.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub items: Vec<ScopeItem>,
    pub parent: Option<Rc<Scope>>,
    /// Index into `Bound::blocks`.
    pub block: Option<usize>,
}

/// A common table expression.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub name: String,
    pub columns: Rc<[ScopeColumn]>,
    pub open: bool,
    /// Declared later in a WITH RECURSIVE: using it is not handled.
    pub later: bool,
    /// Whether it can be told that it is run, for it can fail, or locks rows: it is run only where something reads it.
    pub shows: bool,
}

/// Adds `more` to `deps`, without repetition; both are in order.
pub(super) fn merge(deps: &mut Deps, more: &Deps) {
    if deps.is_empty() {
        // The first of a chain `a AND b AND …`, which is as long as the chain.
        deps.clone_from(more);
        return;
    }
    for dep in more {
        if let Err(place) = deps.binary_search(dep) {
            deps.insert(place, *dep);
        }
    }
}

impl ScopeItem {
    pub fn column(&self, name: &str) -> Option<&ScopeColumn> {
        self.columns.iter().find(|column| *column.name == *name)
    }

    pub fn all_deps(&self) -> Deps {
        let mut deps = self.deps.clone();
        for column in self.columns.iter() {
            merge(&mut deps, &column.deps);
        }
        deps
    }
}
