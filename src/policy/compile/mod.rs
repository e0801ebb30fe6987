//! [`RuleSet`] and a catalog snapshot → [`Policy`]. Invariants: every name in the rules resolves; every live column of a
//! governed relation has a policy; what a relation hands on (views, inheritance) is governed no less than its source.

mod assign;
mod condition;
mod conditional;
pub(super) mod deciding;
mod equality;
mod functions;
mod inherit;
mod leading;
mod operators;
pub(super) mod probes;
pub(super) mod recorded;
mod roles;
mod routes;
pub(super) mod scopes;
mod settings;
pub(super) mod stored;
mod subjects;
#[cfg(test)]
mod tests;
mod views;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    Policy, RolePolicy,
    masks::keyed,
    rules::{At, Complaints, NONE, RuleSet},
};
use crate::{
    bind::views::{ViewLineage, view_lineage},
    catalog::{CatalogSnapshot, fillers::Fillers},
    diagnostic::Diagnostics,
    names::{AttNum, Oid},
};

/// Index of a category in the rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct CategoryId(usize);

/// What is known of a column before a role looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Basis {
    /// In these categories, at least one; the strictest treatment of them applies. Several only where relatives by
    /// inheritance are classified differently.
    Categories(Vec<CategoryId>),
    /// In a governed relation and in no category.
    Unclassified,
    /// A view's column computed from protected columns.
    Derived,
    /// Comes from relations that are not governed.
    Free,
}

/// What is known of a relation before a role looks at it.
#[derive(Clone, Debug)]
struct RelationBasis {
    /// By position of the column.
    columns: Vec<Basis>,
    /// Whether the rules name every column.
    explicit: bool,
    /// Why the relation cannot be judged (a view).
    problem: Option<String>,
    /// User functions that reading it runs (a view).
    functions: Vec<Oid>,
    /// What decides its rows and their order (a view), with the column's name.
    decides: Vec<(Arc<str>, Basis)>,
}

/// A classified column and the rule that names it.
#[derive(Clone, Copy, Debug)]
struct Assignment {
    category: CategoryId,
    at: At,
}

/// See [`view_lineage`].
type Lineage = dyn Fn(&CatalogSnapshot, Oid) -> Result<ViewLineage, String>;
type Assignments = HashMap<(Oid, AttNum), Assignment, FixedState>;
type Bases = HashMap<Oid, RelationBasis, FixedState>;

/// Compiles `rules` against `catalog`.
pub(super) fn compile(rules: &RuleSet, catalog: &CatalogSnapshot) -> Result<Policy, Diagnostics> {
    compile_with(rules, catalog, &view_lineage)
}

/// The same with the lineage of views as `lineage` answers it.
fn compile_with(rules: &RuleSet, catalog: &CatalogSnapshot, lineage: &Lineage) -> Result<Policy, Diagnostics> {
    let mut complaints = Complaints::new(&rules.files);
    let assignments = assign::assign(rules, catalog, &mut complaints);
    if !complaints.is_empty() {
        return Err(complaints.into_diagnostics());
    }
    let mut bases = inherit::tables(&assignments, catalog);
    views::views(rules, &assignments, catalog, lineage, &mut bases);
    let subjects = subjects::Subjects::new(rules, catalog, &mut complaints);
    let leading = subjects.as_ref().map(|subjects| leading::leading(subjects, catalog, lineage)).unwrap_or_default();
    let known = roles::Known {
        rules,
        assignments: &assignments,
        bases: &bases,
        subjects: subjects.as_ref(),
        leading: &leading,
        catalog,
    };
    let mut compiled = Vec::with_capacity(rules.roles.len());
    for declared in &rules.roles {
        let mut compile = |role| roles::role(role, known, &mut complaints);
        let restricted = compile(declared);
        compiled.push(if declared.observe {
            let exempt = compile(&declared.as_exempt());
            RolePolicy { observed: Some(Arc::new(restricted)), ..exempt }
        } else {
            restricted
        });
    }
    let vouched = functions::named_functions(&rules.writes_no_temporary_tables, catalog, &mut complaints);
    if !complaints.is_empty() {
        return Err(complaints.into_diagnostics());
    }
    fillers(&mut compiled, &rules.own_sql(), &vouched, catalog);
    guard_deciding(&mut compiled, rules, catalog, lineage);
    Ok(Policy {
        id: rules.policy.clone(),
        hash: rules.hash.clone(),
        catalog_version: catalog.version(),
        reduced: false,
        roles: compiled,
    })
}

/// What each role may not write, because it decides what the role sees.
fn guard_deciding(compiled: &mut [RolePolicy], rules: &RuleSet, catalog: &CatalogSnapshot, lineage: &Lineage) {
    let mut known: HashMap<&str, Arc<deciding::DecidingRelations>> = HashMap::new();
    for (role, declared) in compiled.iter_mut().zip(&rules.roles) {
        let enforced = match &mut role.observed {
            Some(observed) => Arc::make_mut(observed),
            None if role.exempt => continue,
            None => role,
        };
        let found = known.entry(&declared.name).or_insert_with(|| {
            let entries: Vec<_> = rules.roles.iter().filter(|other| other.name == declared.name).collect();
            Arc::new(deciding::deciding(&entries, rules, catalog, lineage, deciding::Guarded::AsRulesSay))
        });
        enforced.deciding = Arc::clone(found);
    }
}

/// What could fill temporary tables. A session may run functions under one purpose, and read under another.
fn fillers(roles: &mut [RolePolicy], own_sql: &str, vouched: &HashSet<Oid, FixedState>, catalog: &CatalogSnapshot) {
    let mut known: Vec<(BTreeSet<Oid>, Arc<Fillers>)> = Vec::new();
    let listed: Vec<BTreeSet<Oid>> = roles
        .iter()
        .map(|role| {
            let same = roles.iter().filter(|other| other.name == role.name);
            same.flat_map(|other| other.observed.as_deref().unwrap_or(other).functions.iter().copied()).collect()
        })
        .collect();
    for (role, listed) in roles.iter_mut().zip(listed) {
        let enforced = match &mut role.observed {
            Some(observed) => Arc::make_mut(observed),
            None if role.exempt => continue,
            None => role,
        };
        let found = known.iter().find(|(other, _)| *other == listed).map(|(_, fillers)| Arc::clone(fillers));
        enforced.fillers = found.unwrap_or_else(|| {
            let fillers = Arc::new(catalog.fillers(&listed.iter().copied().collect(), own_sql, vouched));
            known.push((listed, Arc::clone(&fillers)));
            fillers
        });
    }
}

impl RuleSet {
    fn is_none(&self, category: CategoryId) -> bool {
        self.categories.get(category.0).is_some_and(|category| &*category.name == NONE)
    }

    /// What pgscrim puts into statements by itself and may call functions of users.
    fn own_sql(&self) -> String {
        let rows = self.roles.iter().flat_map(|role| role.settings.rows.iter().map(|rows| rows.condition.as_str()));
        let named = self.consent.iter().chain(&self.refusal).map(|named| &named.records);
        let records = named.chain(&self.erasure).filter_map(|records| records.condition.as_ref());
        let conditions = rows.chain(records.map(|(condition, _)| condition.as_str()));
        conditions.chain([keyed::FUNCTION]).collect::<Vec<_>>().join(" ")
    }

    /// All conditions that the rules write as SQL: where, on what, and their texts.
    pub fn conditions(&self) -> Vec<(Arc<str>, String, &str)> {
        let mut all = Vec::new();
        for role in &self.roles {
            for rows in &role.settings.rows {
                all.push((self.origin(rows.at), format!("role {}", role.name), rows.condition.as_str()));
            }
        }
        let named = self.consent.iter().map(|named| ("consent", &named.records));
        let named = named.chain(self.refusal.iter().map(|named| ("refusal", &named.records)));
        for (what, records) in named.chain(self.erasure.iter().map(|records| ("erasure", records))) {
            if let Some((condition, at)) = &records.condition {
                all.push((self.origin(*at), format!("[{what}]"), condition.as_str()));
            }
        }
        all
    }

    fn category_name(&self, category: CategoryId) -> Arc<str> {
        self.categories.get(category.0).map_or_else(|| "".into(), |category| category.name.clone())
    }
}

impl Basis {
    /// Whether a role may get something other than the stored value.
    fn is_protected(&self, rules: &RuleSet) -> bool {
        match self {
            Self::Categories(categories) => categories.iter().any(|category| !rules.is_none(*category)),
            Self::Unclassified | Self::Derived => true,
            Self::Free => false,
        }
    }
}
