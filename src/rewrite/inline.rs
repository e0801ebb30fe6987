//! Masks inline: a source that stays a table, each reference to a hidden column of it being masked where it stands. The
//! server plans this faster than a derived table, and its text is shorter.
//!
//! The answers are those of the derived table, which only holds where every use of a hidden column is a reference by name
//! or a star that is expanded, and the mask means the same wherever it stands: it reads the operand alone, says nothing of
//! collations, and is NULL for NULL (an outer join makes NULL of what it does not find; a derived table is masked before that,
//! a reference behind it). All else gets the derived table: a doubt costs the server some time, and nothing else.

use super::{
    Edits, Job,
    derived::{Exact, is_one_of_group, one_of_group},
    exact::{in_place, searched},
    names::{hidden, protected, push_seen, relation, seen, treatment},
};
use crate::{
    bind::{ColumnMark, Item, Reference, RelationUse, Role, Star},
    catalog::Column,
    error::Refusal,
    names::quote_ident,
    policy::{RelationPolicy, Search, Treatment, compiled::Row},
    sql::{Kind, emit},
};

/// How many bytes the masks at references may have more than those of a derived table, where each stands once.
const MORE_BYTES: usize = 400;

/// As many bytes a NULL with its type counts.
const NULL_BYTES: usize = 10;

/// By number of the relation: whether its masks stand inline.
pub(super) fn decide(job: &Job<'_>) -> Vec<bool> {
    let sources = |used: &RelationUse| used.role == Role::Source && protected(job.role, used).is_some();
    if !job.bound.relations.iter().any(sources) {
        return Vec::new();
    }
    let lists = job.bound.references_by_relation();
    let mut bytes = vec![(0_usize, 0_usize); job.bound.relations.len()];
    for reference in &job.bound.references {
        let Some(used) = job.bound.relations.get(reference.relation).filter(|used| used.role == Role::Source) else {
            continue;
        };
        let (Some(policy), Some(position)) = (protected(job.role, used), reference.column) else { continue };
        let length = match treatment(policy, position) {
            Treatment::Clear => continue,
            Treatment::Mask(mask) => mask.sql.text().len(),
            Treatment::Withhold | Treatment::Refuse => NULL_BYTES,
        };
        if let Some((all, longest)) = bytes.get_mut(reference.relation) {
            *all += length;
            *longest = length.max(*longest);
        }
    }
    let (mut named, mut group, mut aggregates) = (false, false, !job.bound.functions.is_empty());
    for token in job.tokens.iter().filter(|token| token.kind == Kind::Word) {
        match token.name() {
            // Grouping sets make NULL of a grouped expression, and a constant may be taken for another one. The elements and
            // attributes of XML have their names from columns.
            "rollup" | "cube" | "grouping" | "xmlforest" | "xmlattributes" => named = true,
            "group" => (group, aggregates) = (true, true),
            "having" => aggregates = true,
            _ => {}
        }
    }
    let around = Around { group, aggregates };
    let fits = |(id, used): (usize, &RelationUse)| {
        let short = bytes.get(id).is_some_and(|(all, longest)| *all <= longest + MORE_BYTES);
        let own = lists.get(id).map_or(&[][..], Vec::as_slice);
        !named && short && protected(job.role, used).is_some_and(|policy| is_inline(job, around, id, own, used, policy))
    };
    job.bound.relations.iter().enumerate().map(fits).collect()
}

/// What else a statement holds.
#[derive(Clone, Copy)]
struct Around {
    group: bool,
    aggregates: bool,
}

fn is_inline(
    job: &Job<'_>,
    around: Around,
    id: usize,
    references: &[usize],
    used: &RelationUse,
    policy: &RelationPolicy,
) -> bool {
    let Some(data) = job.catalog.relation(used.oid) else { return false };
    let is_hidden = |position: usize| hidden(policy, position).is_some();
    let fits = |(position, (column, mark)): (usize, (&Column, &ColumnMark))| {
        if !mark.used || !is_hidden(position) {
            return true;
        }
        // A constant is no column of the query block that an aggregate or GROUP BY asks about.
        let strict = match treatment(policy, position) {
            Treatment::Clear => true,
            Treatment::Mask(mask) => mask.strict && (mask.sql.reads_operand() || !around.aggregates),
            Treatment::Withhold => column.collation.is_none() && !around.aggregates,
            Treatment::Refuse => false,
        };
        let gated = policy.columns.get(position).is_none_or(|column| column.gate.is_some());
        strict && !gated && !mark.merged
    };
    let plain = |reference: &Reference| {
        // In a sub-select PostgreSQL does not see that an expression is the one that is grouped by.
        let of_group = reference.outer && around.group;
        !(reference.naming || of_group) || reference.column.is_none_or(|position| !is_hidden(position))
    };
    let of_source = |id: &usize| job.bound.relations.get(*id).is_some_and(|used| used.role == Role::Source);
    used.role == Role::Source
        && used.whole_row.is_none()
        && !used.entangled
        && policy.scope.is_none()
        && policy.refuse.is_none()
        && data.columns.iter().zip(&used.marks).enumerate().all(fits)
        && references.iter().filter_map(|number| job.bound.references.get(*number)).all(plain)
        && job
            .bound
            .stars
            .iter()
            .filter(|star| star.relations.contains(&id) && !star.ignored)
            .all(|star| star.complete && !star.columns.is_empty() && star.relations.iter().all(of_source))
}

/// What stands in the place of a reference to a hidden column.
fn masked_reference(policy: &RelationPolicy, position: usize, column: &Column, operand: &str) -> String {
    let mut masked = "(".to_owned();
    push_seen(&mut masked, policy, position, column, operand, Row { name: "", few: false });
    masked.push(')');
    masked
}

/// Masks the references to a source that stays a table; adds to `exact` what sees the stored value.
pub(super) fn references(
    job: &Job<'_>,
    id: usize,
    references: &[usize],
    policy: &RelationPolicy,
    edits: &mut Edits,
    exact: &mut Exact,
) -> Result<(), Refusal> {
    let Some(used) = job.bound.relations.get(id) else { return Ok(()) };
    let data = relation(job, used)?;
    for number in references {
        let Some(reference) = job.bound.references.get(*number) else { continue };
        let Some(position) = reference.column else { continue };
        let (Some(rule), Some(column)) = (hidden(policy, position), data.columns.get(position)) else { continue };
        let permitted = rule.search == Search::Exact;
        if permitted && let Some(compared) = searched(job, reference, rule, &mut edits.reads) {
            // The stored value is compared, by explicit permission; the edits mark the place as ours.
            in_place(job, reference, compared, None, edits);
            edits.exact.push((id, position));
            edits.searched.add(job.tokens, compared, &mut edits.reads);
            exact.insert(*number);
            continue;
        }
        let operand = job.tokens.get(reference.tokens.clone()).map(emit::name).unwrap_or_default();
        edits.mask(reference.tokens.clone(), masked_reference(policy, position, column, &operand));
        let item = job.item_around(reference.tokens.start);
        if let Some((at, text)) = item.and_then(restored_name) {
            edits.restore(at, text);
        }
    }
    Ok(())
}

/// The name that an item had from a column, and the token before which it stands.
pub fn restored_name(item: &Item) -> Option<(usize, String)> {
    let name = item.name.as_deref().filter(|name| *name != "?column?")?;
    Some((item.tokens.end, ["AS ", &*quote_ident(name)].concat()))
}

/// The columns of a star with those of relations that stay tables masked.
pub fn masked_star(job: &Job<'_>, star: &Star) -> String {
    let shown = |column: &crate::bind::StarColumn| {
        let name = quote_ident(&column.name);
        let reference = match &column.qualifier {
            Some(qualifier) => [&*quote_ident(qualifier), ".", &*name].concat(),
            None => name.clone().into_owned(),
        };
        let masked = column.origin.and_then(|(id, position)| {
            let used = job.bound.relations.get(id)?;
            let policy = protected(job.role, used)?;
            if !job.is_inline(id) {
                return is_one_of_group(job, id, position).then(|| one_of_group(&reference));
            }
            hidden(policy, position)?;
            let data = job.catalog.relation(used.oid)?.columns.get(position)?;
            Some(seen(policy, position, data, &reference, Row { name: "", few: false }))
        });
        masked.map_or(reference, |masked| [masked.as_str(), " AS ", &*name].concat())
    };
    star.columns.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Whether a star shows a hidden column of a relation that stays a table.
pub(super) fn hides(job: &Job<'_>, star: &Star) -> bool {
    !star.ignored
        && star.columns.iter().filter_map(|column| column.origin).any(|(id, position)| {
            let used = job.bound.relations.get(id).filter(|_| job.is_inline(id));
            used.and_then(|used| protected(job.role, used)).is_some_and(|policy| hidden(policy, position).is_some())
        })
}
