//! Findings about links of `[subject]`: a row of which the link is NULL is hidden by no refusal and no request for erasure (nor is one that refers
//! to what is not there, with `orphans = "show"`), so whoever may delete a row in between could lay open those behind it, or put another in its
//! place. A foreign key that keeps, or takes along, what refers to the row is what prevents that; a single statement that would put one row in the
//! place of another is refused. In: the links, the foreign keys of the
//! catalog. Out: findings.

use std::collections::BTreeSet;

use super::{LINK_BREAKS, LINK_NOT_UNIQUE, Pass};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation, data::RelationKind, dependents::Dependents, keys::ForeignKeyData},
    cli::output::Spot,
    names::{AttNum, Oid},
    policy::places::Link,
};

pub(super) fn find(pass: &mut Pass<'_>) {
    let (rules, catalog) = (pass.rules, pass.catalog);
    let Some(dependents) = &catalog.data().dependents else { return };
    not_unique(pass, dependents);
    for link in rules.links() {
        let between = rules.key().is_none_or(|key| key.to != link.to);
        let replaces = between && rules.shows_by_consent();
        let [schema, table, column] = &link.from;
        let found = catalog.relation_named(schema, table).filter(|relation| super::super::detect::holds_rows(relation));
        // A view has no keys of its own.
        let Some((relation, own)) = found.and_then(|relation| Some((relation, relation.column(column)?))) else {
            continue;
        };
        let Some(Broken { why, left }) = breaks(catalog, &link, relation, own, between) else { continue };
        let hides = rules.hides_by_request();
        let consents = replaces && left != Left::Null;
        let effect = match (hides, left == Left::Orphan && !rules.shows_orphans(), consents) {
            (true, true, true) => {
                "refusals, requests for erasure and consent are then those of whoever is put in its place"
            }
            (true, true, false) => "refusals and requests for erasure are then those of whoever is put in its place",
            (true, false, true) => {
                "refusals and requests for erasure then hide nothing of its rows, and consent is that of whoever is put in its place"
            }
            (true, false, false) => "refusals and requests for erasure then hide nothing of its rows",
            (false, _, true) => "consent is then that of whoever is put in its place",
            (false, _, false) => continue,
        };
        let message = format!(
            "leads to the subject by {}, {why}: {effect}; make it ON DELETE CASCADE or RESTRICT, or take the right to delete there away from \
             restricted logins",
            link.to.join(".")
        );
        let (file, line) = link.place;
        let spot = Spot { file: file.to_owned(), line };
        pass.add(LINK_BREAKS, &super::column_name(relation, own), message, Some(spot));
    }
}

/// What links refer to, and the key, where several rows may hold one value.
fn not_unique(pass: &mut Pass<'_>, dependents: &Dependents) {
    let (rules, catalog) = (pass.rules, pass.catalog);
    let mut told = BTreeSet::new();
    for link in rules.key().into_iter().chain(rules.links()) {
        let [schema, table, column] = &link.to;
        let found = catalog.relation_named(schema, table).filter(|relation| super::super::detect::holds_rows(relation));
        let Some((relation, own)) = found.and_then(|relation| Some((relation, relation.column(column)?))) else {
            continue;
        };
        let alone = |keys: &[AttNum]| *keys == [own.attnum];
        let unique = alone(&relation.primary_key)
            || dependents.indexes.iter().any(|index| {
                index.relation == relation.oid
                    && index.unique
                    && !index.deferrable
                    && alone(&index.keys)
                    && index.uses.is_empty()
            });
        let children = children(catalog, relation);
        let why = if !unique {
            "no primary key or unique index of its own that is checked at once keeps"
        } else if !children.is_empty() {
            "the tables that inherit from it do not keep"
        } else {
            continue;
        };
        if told.insert((relation.oid, own.attnum)) {
            let message = format!(
                "says who a row is about, and {why} several rows from holding one value: consent of any of them then shows what is about \
                 another; make it unique"
            );
            let (file, line) = link.place;
            let spot = Spot { file: file.to_owned(), line };
            pass.add(LINK_NOT_UNIQUE, &super::column_name(relation, own), message, Some(spot));
        }
    }
}

/// Tables that inherit from one, however far; its partitions are not among them, for their keys are its own.
fn children<'c>(catalog: &'c CatalogSnapshot, relation: &Relation) -> Vec<&'c Relation> {
    let mut found: Vec<&Relation> = Vec::new();
    let direct = |oid: Oid| catalog.children(oid).iter().filter_map(|child| catalog.relation(*child));
    if relation.kind == RelationKind::PartitionedTable {
        return found;
    }
    let mut next: Vec<&Relation> = direct(relation.oid).collect();
    while let Some(child) = next.pop() {
        if found.iter().all(|known| known.oid != child.oid) {
            found.push(child);
            next.extend(direct(child.oid));
        }
    }
    found
}

/// Why a row may lose the one that it refers to.
struct Broken {
    why: String,
    /// What its link holds then.
    left: Left,
}

/// What is left in a link when the row that it refers to is deleted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// NULL.
    Null,
    /// A default.
    Default,
    /// What it held, which refers to nothing.
    Orphan,
}

/// What happens to a row when the one that it refers to is deleted, if it loses its subject then.
fn breaks(
    catalog: &CatalogSnapshot,
    link: &Link<'_>,
    relation: &Relation,
    own: &Column,
    between: bool,
) -> Option<Broken> {
    let [schema, table, column] = &link.to;
    let target = catalog.relation_named(schema, table).filter(|target| super::super::detect::holds_rows(target))?;
    let referenced = target.column(column)?;
    let broken = |holder: &Relation, own: &Column| {
        let keys = catalog.keys_between((holder.oid, own.attnum), (target.oid, referenced.attnum));
        let reasons: Vec<(Left, &str)> = keys.iter().filter_map(|key| loses(key, holder, own, between)).collect();
        match reasons.first() {
            _none if keys.is_empty() => {
                Some((Left::Orphan, "and no foreign key keeps what it refers to from being deleted"))
            }
            // One key that keeps it is enough.
            Some(first) if reasons.len() == keys.len() => {
                Some(*reasons.iter().find(|(left, _)| *left != Left::Orphan).unwrap_or(first))
            }
            Some(_) | None => None,
        }
    };
    if let Some((left, why)) = broken(relation, own) {
        return Some(Broken { why: why.to_owned(), left });
    }
    // Foreign keys are not inherited.
    let children = children(catalog, relation);
    let mut broken_children =
        children.iter().filter_map(|child| Some((child, broken(child, child.column(&own.name)?)?)));
    let (child, (mut left, _)) = broken_children.next()?;
    for (_, (other, _)) in broken_children {
        if other != Left::Orphan {
            left = other;
        }
    }
    let why = format!("and rows of {}, which inherits from it, are kept by no foreign key", child.name);
    Some(Broken { why, left })
}

/// What is left of the link of a row that a foreign key of `holder` belongs to, and why; none where what it refers to is kept, or the row goes
/// along.
fn loses(key: &ForeignKeyData, holder: &Relation, own: &Column, between: bool) -> Option<(Left, &'static str)> {
    match key.on_delete {
        Some('n') => Some((Left::Null, "whose foreign key is ON DELETE SET NULL")),
        Some('d') => Some((Left::Default, "whose foreign key is ON DELETE SET DEFAULT")),
        Some(_) | None if key.may_skip(holder, own.attnum) => {
            Some((Left::Orphan, "whose foreign key keeps nothing where another column of it is NULL"))
        }
        // The subject itself is known by the link alone.
        Some('a') if key.deferrable && between => {
            Some((Left::Orphan, "whose foreign key may be checked when the transaction ends (DEFERRABLE)"))
        }
        Some(_) | None => None,
    }
}
