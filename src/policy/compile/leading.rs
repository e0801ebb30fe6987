//! Columns by which rows lead to their subject: links, what links refer to, the subject's key, and columns of views that hand
//! these through. In: links and catalog. Out: for each relation, their positions. Who could change them in a hidden row would
//! tie it to a subject whose data is shown, and read it; so writes of them are guarded ([`Leading`]).

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{Lineage, inherit::is_view, subjects::Subjects};
use crate::{
    catalog::{CatalogSnapshot, Relation},
    names::{AttNum, Oid},
};

/// Positions of leading columns, by relation.
pub(super) type LeadingColumns = HashMap<Oid, Vec<usize>, FixedState>;

struct Pass<'a> {
    subjects: &'a Subjects<'a>,
    catalog: &'a CatalogSnapshot,
    lineage: &'a Lineage,
    found: LeadingColumns,
}

/// The leading columns of every relation that has some.
pub(super) fn leading(subjects: &Subjects<'_>, catalog: &CatalogSnapshot, lineage: &Lineage) -> LeadingColumns {
    let mut pass = Pass { subjects, catalog, lineage, found: HashMap::default() };
    for relation in catalog.data().relations.iter().filter(|relation| !relation.is_system()) {
        pass.visit(relation, 0);
    }
    pass.found.retain(|_, columns| !columns.is_empty());
    pass.found
}

impl Pass<'_> {
    fn visit(&mut self, relation: &Relation, depth: usize) {
        if self.found.contains_key(&relation.oid) || depth > 200 {
            return;
        }
        // PostgreSQL makes no cycles; a catalog file may hold anything.
        self.found.insert(relation.oid, Vec::new());
        let names = self.subjects.leading(relation.oid);
        let mut columns: Vec<usize> = (0..relation.columns.len())
            .filter(|at| relation.columns.get(*at).is_some_and(|column| names.contains(&column.name.as_str())))
            .collect();
        if is_view(relation.kind) {
            columns.extend(self.handed_through(relation, depth));
            columns.sort_unstable();
            columns.dedup();
        }
        self.found.insert(relation.oid, columns);
    }

    fn handed_through(&mut self, view: &Relation, depth: usize) -> Vec<usize> {
        let mut sources: Vec<Oid> = view.uses_columns.iter().map(|used| used.relation).collect();
        sources.retain(|oid| *oid != view.oid);
        for source in sources.iter().filter_map(|oid| self.catalog.relation(*oid)).filter(|source| !source.is_system())
        {
            self.visit(source, depth + 1);
        }
        if !sources.iter().any(|source| self.found.get(source).is_some_and(|columns| !columns.is_empty())) {
            return Vec::new();
        }
        let all = 0..view.columns.len();
        let Ok(lineage) = (self.lineage)(self.catalog, view.oid) else { return all.collect() };
        let leads = |at: &usize| match lineage.columns.get(*at) {
            Some(column) => column.plain.is_some_and(|plain| self.is_leading(plain)),
            None => true,
        };
        all.filter(leads).collect()
    }

    fn is_leading(&self, (oid, attnum): (Oid, AttNum)) -> bool {
        let position = |relation: &Relation| relation.columns.iter().position(|column| column.attnum == attnum);
        let position = self.catalog.relation(oid).and_then(position);
        position.is_some_and(|position| self.found.get(&oid).is_some_and(|columns| columns.contains(&position)))
    }
}
