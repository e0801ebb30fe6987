//! Tables: what the rules say of each column, spread over partitions and inheritance relatives. A row of a child is read
//! through its parents too, and columns answer to their names there; so all relatives share what the rules say of a name.

use std::collections::{BTreeMap, HashSet};

use super::{Assignments, Bases, Basis, CategoryId, RelationBasis};
use crate::{
    catalog::{CatalogSnapshot, data::RelationKind},
    names::Oid,
};

/// The basis of every governed table.
pub(super) fn tables(assignments: &Assignments, catalog: &CatalogSnapshot) -> Bases {
    let mut bases = Bases::default();
    let mut done: HashSet<Oid> = HashSet::new();
    for (oid, _) in assignments.keys() {
        let Some(relation) = catalog.relation(*oid) else { continue };
        if is_view(relation.kind) || done.contains(oid) {
            continue;
        }
        let family = relatives(*oid, catalog);
        let mut by_name: BTreeMap<&str, Vec<CategoryId>> = BTreeMap::new();
        for member in family.iter().filter_map(|oid| catalog.relation(*oid)) {
            for column in &member.columns {
                if let Some(assignment) = assignments.get(&(member.oid, column.attnum)) {
                    by_name.entry(&column.name).or_default().push(assignment.category);
                }
            }
        }
        for member in family.iter().filter_map(|oid| catalog.relation(*oid)) {
            let columns = member.columns.iter().map(|column| {
                let own = assignments.get(&(member.oid, column.attnum)).map(|assignment| assignment.category);
                match by_name.get(column.name.as_str()) {
                    None => Basis::Unclassified,
                    Some(categories) => {
                        // The own category first: it is the one that audit shows.
                        let mut all: Vec<CategoryId> = own.into_iter().chain(categories.iter().copied()).collect();
                        let mut seen = HashSet::new();
                        all.retain(|category| seen.insert(*category));
                        Basis::Categories(all)
                    }
                }
            });
            let known = RelationBasis {
                columns: columns.collect(),
                explicit: false,
                problem: None,
                functions: Vec::new(),
                decides: Vec::new(),
            };
            bases.insert(member.oid, known);
        }
        done.extend(family);
    }
    bases
}

pub(super) fn is_view(kind: RelationKind) -> bool {
    match kind {
        RelationKind::View | RelationKind::MaterializedView => true,
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::ForeignTable
        | RelationKind::Sequence
        | RelationKind::Toast
        | RelationKind::Composite => false,
    }
}

/// Everything connected to `start` by inheritance, itself included.
pub(super) fn relatives(start: Oid, catalog: &CatalogSnapshot) -> Vec<Oid> {
    let mut found = vec![start];
    let mut seen = HashSet::from([start]);
    let mut next = 0;
    while let Some(oid) = found.get(next).copied() {
        next += 1;
        for relative in catalog.parents(oid).iter().chain(catalog.children(oid)) {
            if seen.insert(*relative) {
                found.push(*relative);
            }
        }
    }
    found
}
