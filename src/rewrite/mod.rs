//! Stage `rewrite`: what was bound and what the role may see → edits on tokens, or a refusal. Pure.
//!
//! The hidden columns of a source are masked where they are referred to ([`inline`]), or the source is replaced by a masked
//! derived table ([`derived`]); what that breaks is repaired (`GROUP BY` by primary key, stars beside added columns,
//! schema-qualified references); references to write targets are masked where they stand. Every
//! relation name is printed with its schema.

mod assigned;
mod calls;
mod check;
mod configured;
mod deciding;
mod derived;
mod domains;
mod edits;
mod exact;
mod functions;
mod inline;
mod leaving;
mod locking;
mod names;
mod replaced;
mod scope;
mod stored;
mod target;
mod tokens;

pub use calls::{own_role, sets_path};
pub use check::is_compared_by_unlisted;
pub use configured::{Configured, Value, configured};
pub use deciding::{SIGN as SHOWS_MORE, shows_more};
pub use domains::{MAKES_OR_MEETS, is_cast};
pub use edits::{Edit, Edits, Place, Printed, Searched, Trusted, elements, too_long};
pub use exact::searched;
pub use inline::{masked_star, restored_name};
pub use names::{ROW_ALIAS, derived_from, derived_item, protected, qualified, scope_clause, strip_seen, treatment};
pub use scope::{AddedScope, added_scope, updates_on_conflict};
pub use stored::SIGN as STORED_MASK;
pub use target::{returned_star, row_of, shows_target};
pub use tokens::takes_operand;

use crate::{
    bind::{Bound, Item, Star},
    catalog::CatalogSnapshot,
    error::Refusal,
    policy::{RolePolicy, compiled::Row},
    sql::Token,
};

/// What rewriting works on.
pub struct Job<'a> {
    /// What the binder found.
    pub bound: &'a Bound,
    /// The tokens it worked on.
    pub tokens: &'a [Token],
    /// The catalog.
    pub catalog: &'a CatalogSnapshot,
    /// The role.
    pub role: &'a RolePolicy,
    /// The search path.
    pub path: &'a [String],
    /// Whether the statement has a LIMIT: see [`Row::few`].
    few: bool,
    /// By number of the relation: whether it stays where it stands, and its references are masked.
    inline: Vec<bool>,
    /// Indexes into [`Bound::items`] in the order of their tokens.
    items: Vec<usize>,
    /// For each of them, where the longest of it and those before it ends.
    reach: Vec<usize>,
    /// What the statement means for the scopes of its relations.
    scoping: scope::Scoping,
}

/// For each of these, the greatest up to it.
pub fn furthest(ends: impl Iterator<Item = usize>) -> Vec<usize> {
    ends.scan(0, |furthest: &mut usize, end| {
        *furthest = (*furthest).max(end);
        Some(*furthest)
    })
    .collect()
}

/// Whether a statement has a LIMIT: see [`Row::few`].
pub fn reads_few(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| token.is_word("limit") || token.is_word("fetch"))
}

impl<'a> Job<'a> {
    /// A job of what was bound on these tokens.
    pub fn new(
        bound: &'a Bound,
        tokens: &'a [Token],
        catalog: &'a CatalogSnapshot,
        role: &'a RolePolicy,
        path: &'a [String],
    ) -> Self {
        let mut job = Self {
            bound,
            tokens,
            catalog,
            role,
            path,
            few: reads_few(tokens),
            inline: Vec::new(),
            items: Vec::new(),
            reach: Vec::new(),
            scoping: scope::Scoping::of(bound, tokens, catalog, role),
        };
        job.inline = inline::decide(&job);
        job.items = (0..bound.items.len()).collect();
        job.items.sort_by_key(|number| bound.items.get(*number).map(|item| item.tokens.start));
        let ends = job.items.iter().map(|number| bound.items.get(*number).map_or(0, |item| item.tokens.end));
        job.reach = furthest(ends);
        job
    }

    /// Whether a protected source stays a table, each reference to a hidden column of it being masked in its place.
    pub fn is_inline(&self, id: usize) -> bool {
        self.inline.get(id).copied().unwrap_or(false)
    }

    /// The innermost item around a token.
    pub(super) fn item_around(&self, token: usize) -> Option<&'a Item> {
        let item = |number: &usize| self.bound.items.get(*number);
        let until = self.items.partition_point(|number| item(number).is_some_and(|item| item.tokens.start <= token));
        let before = self.items.get(..until)?.iter().zip(&self.reach).rev();
        let near = before.take_while(|(_, reach)| **reach > token);
        near.filter_map(|(number, _)| item(number)).find(|item| item.tokens.contains(&token))
    }

    /// Whether a star shows a hidden column of a relation that stays a table.
    pub fn hides(&self, star: &Star) -> bool {
        inline::hides(self, star)
    }

    /// Whether the statement has a LIMIT: see [`Row::few`].
    pub fn reads_few(&self) -> bool {
        self.few
    }

    /// The operator of equality, whatever else users call so.
    fn equals(&self) -> &'static str {
        if self.catalog.operators_named("=").next().is_some() { "OPERATOR(pg_catalog.=)" } else { "=" }
    }

    /// The row inside a derived table.
    fn inner_row(&self) -> Row<'static> {
        Row { name: names::ROW_ALIAS, few: self.few }
    }
}

/// Judges and rewrites one bound statement.
///
/// # Errors
/// What the rules or the limits of rewriting forbid.
pub fn rewrite(job: &Job<'_>) -> Result<Edits, Refusal> {
    let mut edits = Edits::default();
    tokens::check_tokens(job, &mut edits)?;
    check::check(job, &mut edits)?;
    deciding::check(job)?;
    replaced::check(job)?;
    let references = job.bound.references_by_relation();
    // Around a whole condition: before what is around parts of it.
    scope::targets(job, &mut edits)?;
    let exact = derived::sources(job, &references, &mut edits)?;
    target::targets(job, &references, &exact, &mut edits)?;
    edits.reads.extend(&job.scoping.reads);
    edits.sort()?;
    edits.check_length(job.tokens)?;
    Ok(edits)
}
