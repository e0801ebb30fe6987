//! Relations that decide what a role sees: those that its row scopes read in sub-selects, and the records of consent, refusal and
//! erasure. Who writes to them shows himself more: a carrier that ties its shipment to another's order reads that order. In:
//! the entries of a role, one for each purpose, and the catalog. Out: for each relation, which writes the role may not make.
//!
//! Invariants: what one purpose of a role reads is kept from the writes of all; relatives by inheritance and views are
//! kept as their sources are. What a relation's own scope says of its own columns needs no guard: UPDATE changes only rows
//! that the role sees by then, unless another purpose, or a view, sees others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    Lineage,
    condition::condition,
    inherit::{is_view, relatives},
    subjects::table,
};
use crate::{
    bind::views::view_lineage,
    catalog::{CatalogSnapshot, Relation, data::RelationKind},
    names::Oid,
    policy::{
        Deciding, SqlTemplate,
        rules::{Complaints, Guarding, Kind, RecordsRule, RoleRule, RowsRule, RuleSet},
    },
};

/// What may not be written, by relation.
pub(in crate::policy) type DecidingRelations = HashMap<Oid, Deciding, FixedState>;

struct Pass<'a> {
    catalog: &'a CatalogSnapshot,
    found: DecidingRelations,
    /// Columns of scoped relations that their own scopes read: what a view hands through of them is not under that scope.
    own: HashMap<Oid, BTreeSet<usize>, FixedState>,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    /// All that decide.
    All,
    /// Without those that the rules let the role write (`guard = "none"`, `lifts`).
    AsRulesSay,
}

/// What a write of a relation could show.
enum Shows {
    /// Any of the role's writes could.
    Any,
    /// Records that let something be seen: new ones, and changed ones.
    More,
    /// Records that hide something: those that are gone, or no longer count. The condition is true of those that count.
    Less(Option<SqlTemplate>),
}

/// The relations that decide what the role sees whose entries these are.
pub(super) fn deciding(
    entries: &[&RoleRule],
    rules: &RuleSet,
    catalog: &CatalogSnapshot,
    lineage: &Lineage,
    guarded: Guarded,
) -> DecidingRelations {
    let all = guarded == Guarded::All;
    let mut pass = Pass { catalog, found: HashMap::default(), own: HashMap::default() };
    for entry in entries {
        for rows in entry.settings.rows.iter().filter(|rows| all || rows.guarding == Guarding::Reads) {
            pass.scope(rows, entries, rules);
        }
    }
    let lifts = |kind: Kind| entries.iter().any(|entry| entry.lifts.contains(&kind));
    let consents = entries.iter().any(|entry| entry.settings.consent.is_some());
    let records = [
        (rules.consent.as_ref().map(|named| (&named.records, Some(named.of.as_str()))), Kind::Consent, consents),
        (rules.refusal.as_ref().map(|named| (&named.records, Some(named.of.as_str()))), Kind::Refusal, true),
        (rules.erasure.as_ref().map(|records| (records, None)), Kind::Erasure, true),
    ];
    for (records, kind, matters) in records {
        if let Some((records, of)) = records.filter(|_| matters && (all || !lifts(kind))) {
            pass.records(records, of, kind, rules);
        }
    }
    pass.through_views(lineage);
    pass.found
}

/// By name of each restricted role, all relations that decide what it sees, whatever the rules let it write.
pub(in crate::policy) fn all(rules: &RuleSet, catalog: &CatalogSnapshot) -> Vec<(String, DecidingRelations)> {
    let mut found: Vec<(String, DecidingRelations)> = Vec::new();
    for role in rules.roles.iter().filter(|role| !role.exempt) {
        if !found.iter().any(|(name, _)| *name == role.name) {
            let entries: Vec<_> = rules.roles.iter().filter(|other| other.name == role.name).collect();
            found.push((role.name.clone(), deciding(&entries, rules, catalog, &view_lineage, Guarded::All)));
        }
    }
    found
}

impl Pass<'_> {
    fn scope(&mut self, rows: &RowsRule, entries: &[&RoleRule], rules: &RuleSet) {
        // Mistakes are complained about where scopes are resolved.
        let Some(relation) = table(&rows.table, rows.at, self.catalog, &mut Complaints::new(&[])) else { return };
        let Ok(condition) = condition(&rows.condition, relation, self.catalog) else { return };
        let rule = rules.origin(rows.at);
        self.reads(condition.reads.clone(), &rule);
        let same = |other: &RowsRule| other.table == rows.table && other.condition == rows.condition;
        let alike = entries.iter().all(|entry| entry.settings.rows.iter().any(same));
        for (member, columns) in family(relation, &condition.own, self.catalog) {
            self.own.entry(member).or_default().extend(&columns);
            if !alike {
                self.add(member, &columns, &Shows::Less(None), &rule);
            }
        }
    }

    fn records(&mut self, records: &RecordsRule, of: Option<&str>, kind: Kind, rules: &RuleSet) {
        let RecordsRule { table: name, subject, condition: counts, at } = records;
        let Some(relation) = table(name, *at, self.catalog, &mut Complaints::new(&[])) else { return };
        let rule = rules.origin(*at);
        let named = |name: &str| relation.columns.iter().position(|column| column.name == name);
        let mut columns: BTreeSet<usize> =
            [Some(subject.as_str()), of].into_iter().flatten().filter_map(named).collect();
        let mut counts_by_row = None;
        if let Some((text, _)) = counts {
            let Ok(condition) = condition(text, relation, self.catalog) else { return };
            self.reads(condition.reads.clone(), &rule);
            columns.extend(&condition.own);
            counts_by_row = condition.reads.is_empty().then_some(condition.sql);
        }
        let shows = match kind {
            Kind::Consent => Shows::More,
            Kind::Refusal | Kind::Erasure => Shows::Less(counts_by_row),
        };
        if is_view(relation.kind) {
            self.reads(self.below(relation), &rule);
        }
        for (member, columns) in self.moved(relation, &columns) {
            self.add(member, &columns, &shows, &rule);
            if matches!(shows, Shows::Less(_)) {
                self.entry(member, &rule).deletes = true;
            }
        }
    }

    /// What a view reads: which columns is not known for certain.
    fn below(&self, view: &Relation) -> Vec<(Oid, BTreeSet<usize>)> {
        let sources = view.uses_columns.iter().map(|used| used.relation).filter(|used| *used != view.oid);
        sources.filter_map(|used| self.catalog.relation(used)).map(all_of).collect()
    }

    /// The relatives of a relation, with the columns that what it holds depends on: of a partition all that others have, for any may be
    /// what decides which rows it holds.
    fn moved(&self, relation: &Relation, columns: &BTreeSet<usize>) -> Vec<(Oid, BTreeSet<usize>)> {
        let parents = self.catalog.parents(relation.oid).iter().filter_map(|parent| self.catalog.relation(*parent));
        if parents.into_iter().any(|parent| parent.kind == RelationKind::PartitionedTable) {
            return family(relation, &all_of(relation).1, self.catalog);
        }
        family(relation, columns, self.catalog)
    }

    /// Keeps what the sub-selects of a condition read.
    fn reads(&mut self, mut reads: Vec<(Oid, BTreeSet<usize>)>, rule: &Arc<str>) {
        let mut seen = BTreeSet::new();
        while let Some((oid, columns)) = reads.pop() {
            let Some(relation) = self.catalog.relation(oid).filter(|relation| !relation.is_system()) else { continue };
            if is_view(relation.kind) && seen.insert(oid) {
                reads.extend(self.below(relation));
            }
            for (member, columns) in self.moved(relation, &columns) {
                self.add(member, &columns, &Shows::Any, rule);
            }
        }
    }

    fn entry(&mut self, relation: Oid, rule: &Arc<str>) -> &mut Deciding {
        self.found.entry(relation).or_insert_with(|| Deciding {
            inserts: false,
            deletes: false,
            columns: HashMap::default(),
            rule: Arc::clone(rule),
        })
    }

    fn add(&mut self, relation: Oid, columns: &BTreeSet<usize>, shows: &Shows, rule: &Arc<str>) {
        let entry = self.entry(relation, rule);
        let counts = match shows {
            Shows::Any => {
                entry.inserts = true;
                entry.deletes = true;
                None
            }
            Shows::More => {
                entry.inserts = true;
                None
            }
            Shows::Less(counts) => counts.as_ref(),
        };
        for column in columns {
            let both = match (entry.columns.get(column), counts) {
                (None, counts) => counts.cloned(),
                (Some(Some(known)), Some(counts)) => Some(either(known, counts)),
                (Some(None), _) | (Some(Some(_)), None) => None,
            };
            entry.columns.insert(*column, both);
        }
    }

    /// Views are kept as what they read: a write through one is a write of its source.
    fn through_views(&mut self, lineage: &Lineage) {
        let views: Vec<&Relation> =
            self.catalog.data().relations.iter().filter(|one| is_view(one.kind) && !one.is_system()).collect();
        // Views over views: until nothing is added.
        loop {
            let before = self.size();
            for view in &views {
                self.through(view, lineage);
            }
            if self.size() == before {
                return;
            }
        }
    }

    fn size(&self) -> usize {
        self.found.values().map(|one| 1 + one.columns.len() + usize::from(one.inserts) + usize::from(one.deletes)).sum()
    }

    fn through(&mut self, view: &Relation, lineage: &Lineage) {
        let sources: BTreeSet<Oid> =
            view.uses_columns.iter().map(|used| used.relation).filter(|oid| *oid != view.oid).collect();
        let known: Vec<Deciding> = sources.iter().filter_map(|oid| self.found.get(oid).cloned()).collect();
        let scoped = sources.iter().any(|oid| self.own.contains_key(oid));
        if known.is_empty() && !scoped {
            return;
        }
        let rule = known.first().map_or_else(|| "".into(), |one| Arc::clone(&one.rule));
        let columns = lineage(self.catalog, view.oid).map(|lineage| lineage.columns).ok();
        let decides = |at: &usize| match columns.as_ref().map(|columns| columns.get(*at).and_then(|one| one.plain)) {
            // One that is computed cannot be written.
            Some(None) => false,
            None => true,
            Some(Some((oid, attnum))) => {
                let source = self.catalog.relation(oid);
                let position = source.and_then(|one| one.columns.iter().position(|column| column.attnum == attnum));
                position.is_some_and(|position| {
                    self.found.get(&oid).is_some_and(|one| one.columns.contains_key(&position))
                        || self.own.get(&oid).is_some_and(|columns| columns.contains(&position))
                })
            }
        };
        let columns: BTreeSet<usize> = (0..view.columns.len()).filter(decides).collect();
        self.add(view.oid, &columns, &Shows::Less(None), &rule);
        let entry = self.entry(view.oid, &rule);
        entry.inserts |= known.iter().any(|one| one.inserts);
        entry.deletes |= known.iter().any(|one| one.deletes);
    }
}

/// A condition that is true where one of two is.
fn either(a: &SqlTemplate, b: &SqlTemplate) -> SqlTemplate {
    if a == b {
        return a.clone();
    }
    let text = format!("(({}) IS TRUE OR ({}) IS TRUE)", a.text(), b.text());
    SqlTemplate::new(&text).capturing(a.captures().iter().chain(b.captures()).cloned())
}

fn all_of(relation: &Relation) -> (Oid, BTreeSet<usize>) {
    (relation.oid, (0..relation.columns.len()).collect())
}

/// The relation and its relatives by inheritance, each with its columns of the same names.
fn family(relation: &Relation, columns: &BTreeSet<usize>, catalog: &CatalogSnapshot) -> Vec<(Oid, BTreeSet<usize>)> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for column in columns.iter().filter_map(|at| relation.columns.get(*at)) {
        names.insert(&column.name);
        // A generated column is written by way of what it is computed from.
        let from = column.generated_from.iter().flatten().filter_map(|from| relation.column_numbered(*from));
        names.extend(from.map(|from| from.name.as_str()));
    }
    let of = |member: &Relation| {
        let is_one = |at: &usize| member.columns.get(*at).is_some_and(|column| names.contains(column.name.as_str()));
        (member.oid, (0..member.columns.len()).filter(is_one).collect())
    };
    relatives(relation.oid, catalog).into_iter().filter_map(|oid| catalog.relation(oid)).map(of).collect()
}
