//! Findings about links of `[subject]`: a row that leads to nobody is hidden by no refusal and no request for erasure, so whoever
//! may delete a row in between could lay open those behind it. A foreign key that keeps, or takes along, what refers to the row is
//! what prevents that. In: the links, the foreign keys of the catalog. Out: findings.

use std::collections::BTreeSet;

use super::{LINK_BREAKS, LINK_NOT_UNIQUE, Pass};
use crate::{
    catalog::{Column, Relation, dependents::Dependents},
    cli::output::Spot,
    names::AttNum,
    policy::places::Link,
};

pub(super) fn find(pass: &mut Pass<'_>) {
    let (rules, catalog) = (pass.rules, pass.catalog);
    let Some(dependents) = &catalog.data().dependents else { return };
    not_unique(pass, dependents);
    if !rules.hides_by_request() {
        return;
    }
    for link in rules.links() {
        let [schema, table, column] = &link.from;
        let found = catalog.relation_named(schema, table).filter(|relation| super::super::detect::holds_rows(relation));
        // A view has no keys of its own, and shows nothing of what leads to nobody.
        let Some((relation, own)) = found.and_then(|relation| Some((relation, relation.column(column)?))) else {
            continue;
        };
        let Some(why) = breaks(pass, &link, relation, own, dependents) else { continue };
        let message = format!(
            "leads to the subject by {}, {why}: refusals and requests for erasure then hide nothing of its rows; make it ON DELETE \
             CASCADE or RESTRICT, or take the right to delete there away from restricted logins",
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
        let mut indexes = dependents.indexes.iter().filter(|index| index.relation == relation.oid && index.unique);
        let unique = alone(&relation.primary_key) || indexes.any(|index| alone(&index.keys) && index.uses.is_empty());
        if !unique && told.insert((relation.oid, own.attnum)) {
            let message =
                "says who a row is about, and no primary key or unique index of its own keeps several rows from \
                           holding one value: consent of any of them then shows what is about another; make it unique"
                    .to_owned();
            let (file, line) = link.place;
            let spot = Spot { file: file.to_owned(), line };
            pass.add(LINK_NOT_UNIQUE, &super::column_name(relation, own), message, Some(spot));
        }
    }
}

/// What happens to a row when the one that it refers to is deleted, if it loses its subject then.
fn breaks(
    pass: &Pass<'_>,
    link: &Link<'_>,
    relation: &Relation,
    own: &Column,
    dependents: &Dependents,
) -> Option<&'static str> {
    let [schema, table, column] = &link.to;
    let target =
        pass.catalog.relation_named(schema, table).filter(|target| super::super::detect::holds_rows(target))?;
    let referenced = target.column(column)?;
    let pair = (&own.attnum, &referenced.attnum);
    let mut keys = dependents.foreign_keys.iter().filter(|key| {
        // Keys of partitions are those of the partitioned table.
        let holders = [relation.oid].into_iter().chain(pass.catalog.parents(relation.oid).iter().copied());
        let same = holders.into_iter().any(|holder| holder == key.relation);
        same && key.target == target.oid && key.columns.iter().zip(&key.target_columns).any(|both| both == pair)
    });
    match keys.next().map(|key| key.on_delete) {
        None => Some("and no foreign key keeps what it refers to from being deleted"),
        Some(Some('n')) => Some("whose foreign key is ON DELETE SET NULL"),
        Some(Some('d')) => Some("whose foreign key is ON DELETE SET DEFAULT"),
        Some(Some(_) | None) => None,
    }
}
