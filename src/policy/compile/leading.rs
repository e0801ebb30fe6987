//! Columns by which rows lead to their subject: links, what links refer to, the subject's key, what generated ones of these are computed from,
//! and columns of views that hand any through. In: links and catalog. Out: for each relation, their positions. Who could change them in a hidden row would
//! tie it to a subject whose data is shown, and read it; so writes of them are guarded ([`Leading`]).

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::{
    Lineage,
    inherit::is_view,
    subjects::{Place, Subjects},
};
use crate::{
    catalog::{CatalogSnapshot, Relation},
    names::{AttNum, Oid},
};

/// Leading columns, by relation.
pub(super) type LeadingColumns = HashMap<Oid, LeadingOf, FixedState>;

/// Those of a relation.
#[derive(Debug, Default)]
pub(super) struct LeadingOf {
    /// Their positions.
    pub columns: Vec<usize>,
    /// Of a view: whether rows below it have subjects that its own links do not lead to. Nobody can tell then whether a row
    /// is hidden that is written through it.
    pub partial: bool,
}

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
    pass.found.retain(|_, own| !own.columns.is_empty());
    pass.found
}

impl Pass<'_> {
    fn visit(&mut self, relation: &Relation, depth: usize) {
        if self.found.contains_key(&relation.oid) || depth > 200 {
            return;
        }
        // PostgreSQL makes no cycles; a catalog file may hold anything.
        self.found.insert(relation.oid, LeadingOf::default());
        let mut names = self.subjects.leading(relation.oid);
        // A generated column is written by way of what it is computed from.
        let generated = relation.columns.iter().filter(|column| names.contains(&column.name.as_str()));
        let from: Vec<AttNum> = generated.flat_map(|column| column.generated_from.iter().flatten().copied()).collect();
        names.extend(from.iter().filter_map(|from| Some(relation.column_numbered(*from)?.name.as_str())));
        let mut columns: Vec<usize> = (0..relation.columns.len())
            .filter(|at| relation.columns.get(*at).is_some_and(|column| names.contains(&column.name.as_str())))
            .collect();
        let mut partial = false;
        if is_view(relation.kind) {
            columns.extend(self.handed_through(relation, depth));
            columns.sort_unstable();
            columns.dedup();
            partial = !columns.is_empty() && !self.covers(relation);
        }
        self.found.insert(relation.oid, LeadingOf { columns, partial });
    }

    /// Whether the links of a view lead to every subject of the rows below it: each link there is a column of the view, which links to the same.
    fn covers(&self, view: &Relation) -> bool {
        let links = |oid: Oid| self.subjects.family(oid).find_map(|member| self.subjects.links.get(&member));
        // Without any, its rows lead to nobody, and nothing is written.
        let Some(own) = links(view.oid) else { return true };
        let mut ancestors: Vec<(&str, Vec<(Oid, AttNum)>)> = Vec::new();
        for (at, column) in view.columns.iter().enumerate() {
            let Some(found) = self.ancestors(view.oid, at) else { return false };
            ancestors.push((&column.name, found));
        }
        let links_like = |to: &Place, from: (Oid, AttNum)| {
            ancestors.iter().any(|(name, found)| {
                found.contains(&from) && own.iter().any(|link| link.column == *name && link.to == *to)
            })
        };
        // What is written through the view is one of these.
        let below: HashSet<Oid> = ancestors.iter().flat_map(|(_, found)| found.iter().map(|(oid, _)| *oid)).collect();
        below.iter().filter_map(|oid| self.catalog.relation(*oid)).all(|source| {
            let key = self.subjects.family(source.oid).any(|member| member == self.subjects.key.relation);
            let key = key.then_some((self.subjects.key.column.as_str(), &self.subjects.key));
            let linked = links(source.oid).into_iter().flatten().map(|link| (link.column.as_str(), &link.to));
            linked
                .chain(key)
                .all(|(name, to)| source.column(name).is_some_and(|column| links_like(to, (source.oid, column.attnum))))
        })
    }

    /// The columns that a column of a view hands through, one below the other; none when a view is not understood.
    fn ancestors(&self, view: Oid, at: usize) -> Option<Vec<(Oid, AttNum)>> {
        let (mut found, mut next) = (Vec::new(), Some((view, at)));
        while let Some((oid, at)) = next.take().filter(|_| found.len() < 200) {
            let Some(relation) = self.catalog.relation(oid).filter(|relation| is_view(relation.kind)) else { break };
            let lineage = (self.lineage)(self.catalog, relation.oid).ok()?;
            let Some((source, attnum)) = lineage.columns.get(at).and_then(|column| column.plain) else { break };
            found.push((source, attnum));
            let below = self.catalog.relation(source);
            next = below.and_then(|below| Some((source, below.columns.iter().position(|one| one.attnum == attnum)?)));
        }
        Some(found)
    }

    fn handed_through(&mut self, view: &Relation, depth: usize) -> Vec<usize> {
        let mut sources: Vec<Oid> = view.uses_columns.iter().map(|used| used.relation).collect();
        sources.retain(|oid| *oid != view.oid);
        for source in sources.iter().filter_map(|oid| self.catalog.relation(*oid)).filter(|source| !source.is_system())
        {
            self.visit(source, depth + 1);
        }
        if !sources.iter().any(|source| self.found.get(source).is_some_and(|own| !own.columns.is_empty())) {
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
        position.is_some_and(|position| self.found.get(&oid).is_some_and(|own| own.columns.contains(&position)))
    }
}
