//! How much work one statement may make. In: what is about to be done, counted in columns and names that are looked at. Out: a
//! refusal before it is too much. Invariant: whatever grows faster than the text is counted here (columns of relations, stars over them,
//! names looked for among many, expressions that are parsed again), so that time and memory have a bound for any text.

use super::binder::{Binder, Context};
use crate::error::{Refusal, RefusalCode};

/// The most that is done for one statement; a report over a hundred joined tables makes a fifth of it.
const MAX_WORK: usize = 20_000_000;
/// What one column costs that is kept with its name, against one that is looked at.
pub(super) const KEPT: usize = 32;
/// What is judged beside each relation later costs one column for so many of them.
pub(super) const BESIDE: usize = 16;
/// So many names are compared at the cost of one column.
const COMPARED: usize = 8;

impl Binder<'_> {
    /// Counts work.
    ///
    /// # Errors
    /// [`RefusalCode::TooDeep`] when it is too much.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), Refusal> {
        self.work = self.work.saturating_add(work);
        // Our own text holds more than the client's.
        if self.work > if self.own_text { MAX_WORK * 4 } else { MAX_WORK } {
            let refusal = Refusal::new(RefusalCode::TooDeep, "statement is too complex");
            return Err(refusal.with_hint("It uses too many columns of too many tables; split it."));
        }
        Ok(())
    }

    /// Counts a look for a name among all that are visible.
    pub(super) fn look(&mut self, context: &Context) -> Result<(), Refusal> {
        let mut names = 0;
        let mut level = Some(&context.scope);
        while let Some(scope) = level {
            names += scope.items.iter().map(|item| 1 + item.columns.len()).sum::<usize>();
            level = scope.parent.as_ref();
        }
        self.spend(names / COMPARED)
    }
}
