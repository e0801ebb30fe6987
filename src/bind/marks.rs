//! Marks on the columns of bound relations. In: what a part of the statement does with columns or rows. Out: marks by which the
//! rewriter knows what must be there, and how it is used.

use super::{
    binder::Binder,
    bound::{Bound, Deps, Usages, WholeUse},
    scope::ScopeItem,
};

impl Binder<'_> {
    /// Marks the columns in `deps` as used for something.
    pub(super) fn mark(&mut self, deps: &Deps, usages: Usages) {
        mark_deps(&mut self.bound, deps, usages);
    }

    /// Marks every column of an item as needed, in order.
    pub(super) fn mark_row(&mut self, item: &ScopeItem, why: WholeUse) {
        if let Some(id) = item.relation
            && let Some(relation) = self.bound.relations.get_mut(id)
        {
            for mark in &mut relation.marks {
                (mark.used, mark.ungrouped) = (true, true);
            }
            relation.whole_row.get_or_insert(why);
        }
        for column in item.columns.iter() {
            if let Some((id, position)) = column.origin
                && Some(id) != item.relation
            {
                self.mark_used(id, position, true);
            }
        }
    }

    pub(super) fn mark_used(&mut self, id: usize, position: usize, ungrouped: bool) {
        self.mark_star(id, position, true, ungrouped);
    }

    pub(super) fn mark_merged(&mut self, id: usize, position: usize) {
        if let Some(mark) = self.bound.relations.get_mut(id).and_then(|relation| relation.marks.get_mut(position)) {
            mark.merged = true;
        }
    }

    /// As [`Self::mark_used`], for a star that stands for the column and perhaps does not use it.
    pub(super) fn mark_star(&mut self, id: usize, position: usize, used: bool, ungrouped: bool) {
        if let Some(mark) = self.bound.relations.get_mut(id).and_then(|relation| relation.marks.get_mut(position)) {
            mark.used |= used;
            mark.ungrouped |= ungrouped;
        }
    }

    /// Notes that masking each reference to relation `id` in its place would not do.
    pub(super) fn entangle(&mut self, id: usize) {
        if let Some(relation) = self.bound.relations.get_mut(id) {
            relation.entangled = true;
        }
    }
}

/// Marks the columns in `deps` as used for something.
pub(super) fn mark_deps(bound: &mut Bound, deps: &Deps, usages: Usages) {
    for (id, position) in deps {
        if let Some(mark) = bound.relations.get_mut(*id).and_then(|relation| relation.marks.get_mut(*position)) {
            mark.used = true;
            mark.usages.add(usages);
        }
    }
}
