//! Views and materialized views, from the bottom up: a column that hands a source through takes its basis, one that is
//! computed from protected columns is derived, and a view that cannot be judged says why.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Assignments, Bases, Basis, Lineage, RelationBasis, inherit::is_view};
use crate::{
    bind::views::{ViewColumn, ViewLineage},
    catalog::{
        CatalogSnapshot, Relation,
        functions::{Builtin, builtin},
        system::{SystemRelation, system_relation},
    },
    names::{AttNum, Oid},
    policy::rules::RuleSet,
};

struct Pass<'a> {
    rules: &'a RuleSet,
    assignments: &'a Assignments,
    catalog: &'a CatalogSnapshot,
    lineage: &'a Lineage,
    bases: &'a mut Bases,
    seen: HashMap<Oid, bool>,
}

/// Adds the basis of every governed view to `bases`.
pub(super) fn views(
    rules: &RuleSet,
    assignments: &Assignments,
    catalog: &CatalogSnapshot,
    lineage: &Lineage,
    bases: &mut Bases,
) {
    let mut pass = Pass { rules, assignments, catalog, lineage, bases, seen: HashMap::new() };
    for relation in &catalog.data().relations {
        pass.visit(relation, 0);
    }
}

impl Pass<'_> {
    fn visit(&mut self, view: &Relation, depth: usize) {
        // PostgreSQL makes no cycles; a catalog file may hold anything.
        let known = self.seen.insert(view.oid, true).is_some();
        if known || !is_view(view.kind) || view.is_system() || depth > 200 {
            return;
        }
        let lineage = (self.lineage)(self.catalog, view.oid).and_then(|lineage| {
            let fits = lineage.columns.len() == view.columns.len();
            if fits { Ok(lineage) } else { Err("its columns are not those of its definition".to_owned()) }
        });
        let mut sources: Vec<Oid> = view.uses_columns.iter().map(|used| used.relation).collect();
        if let Ok(lineage) = &lineage {
            for column in &lineage.columns {
                sources.extend(column.sources.iter().chain(&column.plain).map(|(oid, _)| *oid));
            }
            sources.extend(lineage.decides.iter().map(|(oid, _)| *oid));
        }
        sources.sort();
        sources.dedup();
        sources.retain(|oid| *oid != view.oid);
        for source in sources.iter().filter_map(|oid| self.catalog.relation(*oid)) {
            self.visit(source, depth + 1);
        }
        if let Some(basis) = self.judge(view, &sources, lineage) {
            self.bases.insert(view.oid, basis);
        }
    }

    /// The basis of `view`; none when it is not governed.
    fn judge(&self, view: &Relation, sources: &[Oid], lineage: Result<ViewLineage, String>) -> Option<RelationBasis> {
        let own = |attnum| self.assignments.get(&(view.oid, attnum)).map(|assignment| assignment.category);
        let classified = view.columns.iter().filter(|column| own(column.attnum).is_some()).count();
        let explicit = classified == view.columns.len() && classified > 0;
        let touches = sources.iter().any(|oid| self.bases.contains_key(oid));
        let mut functions: HashSet<Oid> = view.uses_functions.iter().copied().collect();
        let mut problem = self.system_problem(view, sources);
        let mut decides: Vec<(Arc<str>, Basis)> = Vec::new();
        for (name, basis) in sources.iter().filter_map(|oid| Some((self.catalog.relation(*oid)?, self.bases.get(oid)?)))
        {
            functions.extend(&basis.functions);
            if !basis.explicit {
                // Views of views may read the same in many ways: each is noted once.
                for decided in &basis.decides {
                    if !decides.contains(decided) {
                        decides.push(decided.clone());
                    }
                }
            }
            if basis.problem.is_some() && !basis.explicit {
                problem.get_or_insert_with(|| format!("it reads view {}, which is not understood", name.name));
            }
        }
        if !touches && classified == 0 && functions.is_empty() && problem.is_none() {
            return None;
        }
        if let (Err(why), true) = (&lineage, touches) {
            problem.get_or_insert_with(|| why.clone());
        }
        let lineage = lineage.unwrap_or_default();
        let columns = view.columns.iter().enumerate().map(|(position, column)| match own(column.attnum) {
            Some(category) => Basis::Categories(vec![category]),
            None if !touches && classified > 0 => Basis::Unclassified,
            None if !touches => Basis::Free,
            None => lineage.columns.get(position).map_or(Basis::Unclassified, |lineage| self.inherited(lineage)),
        });
        for source in &lineage.decides {
            let basis = self.basis_of(*source);
            if basis.is_protected(self.rules) {
                decides.push((self.name(*source), basis));
            }
        }
        let mut functions: Vec<Oid> = functions.into_iter().collect();
        functions.sort();
        Some(RelationBasis { columns: columns.collect(), explicit, problem, functions, decides })
    }

    fn basis_of(&self, (oid, attnum): (Oid, AttNum)) -> Basis {
        let Some(basis) = self.bases.get(&oid) else { return Basis::Free };
        let relation = self.catalog.relation(oid);
        let position = relation.and_then(|r| r.columns.iter().position(|column| column.attnum == attnum));
        // System columns of a governed relation hold no personal data, but tell rows apart: as an unclassified one.
        position.and_then(|position| basis.columns.get(position)).cloned().unwrap_or(Basis::Unclassified)
    }

    /// `table.column`, for people.
    fn name(&self, (oid, attnum): (Oid, AttNum)) -> Arc<str> {
        let relation = self.catalog.relation(oid);
        let column = relation.and_then(|r| r.columns.iter().find(|column| column.attnum == attnum));
        match (relation, column) {
            (Some(relation), Some(column)) => format!("{}.{}", relation.name, column.name).into(),
            (_, _) => "a column".into(),
        }
    }

    fn inherited(&self, lineage: &ViewColumn) -> Basis {
        if let Some(plain) = &lineage.plain {
            return self.basis_of(*plain);
        }
        if lineage.sources.iter().any(|source| self.basis_of(*source).is_protected(self.rules)) {
            Basis::Derived
        } else {
            Basis::Free
        }
    }

    /// Why a view may reach what restricted roles may not read of the system: relations and functions that `pg_depend`
    /// does not record, because they cannot be dropped. Words of the definition are looked up; a false alarm refuses the
    /// view, which rules can lift by classifying its columns.
    fn system_problem(&self, view: &Relation, sources: &[Oid]) -> Option<String> {
        for source in sources.iter().filter_map(|oid| self.catalog.relation(*oid)).filter(|source| source.is_system()) {
            if system_relation(&source.schema, &source.name) != SystemRelation::Allowed {
                return Some(format!("it reads {}.{}", source.schema, source.name));
            }
        }
        let definition = view.definition.as_deref().unwrap_or_default();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut rest = definition;
        while let Some(start) = rest.find(is_word) {
            let (_, from) = rest.split_at(start);
            let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            rest = after;
            if after.starts_with('(') && builtin(word) == Some(Builtin::Refused) {
                return Some(format!("it calls function {word}"));
            }
            let hidden = self.catalog.relation_named("pg_catalog", word).is_some()
                && system_relation("pg_catalog", word) != SystemRelation::Allowed;
            if hidden {
                return Some(format!("it reads pg_catalog.{word}"));
            }
        }
        None
    }
}
