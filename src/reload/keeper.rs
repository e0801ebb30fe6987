//! Decides what comes into force. In: a catalog, rules, or the news that they could not be had. Out: [`Inputs`] to
//! publish and the complaint, if any. Pure, so that every case of the table in [`super`] is tested without a server.
//!
//! When no rules fit the newest catalog, the last good policy is published over the *unchanged part* of the catalog: a
//! relation stays when it is in both catalogs, equal in every respect, with the same inheritance, everything that
//! its query uses stays too, and no name in its masks and conditions could mean a function, an operator or a type that
//! is new: whether these names are printed with their schemas was decided when the policy was compiled. For such relations
//! the policy is still exact, because it is compiled by OID and column number. All other relations, new ones included (a new partition of a protected table would carry no treatment), are
//! absent, so that statements which name them are refused.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    catalog::{CatalogData, CatalogSnapshot, data::RelationData},
    diagnostic::Diagnostics,
    engine::Inputs,
    names::Oid,
    policy::{Policy, RolePolicy, SqlTemplate, Treatment, rules::RuleSet, settings::own_setting},
};

/// The last good inputs, and the newest catalog.
#[derive(Debug, Default)]
pub struct Keeper {
    latest: Option<Arc<CatalogSnapshot>>,
    rules: Option<Arc<RuleSet>>,
    /// The last inputs whose policy was compiled against their catalog.
    good: Option<Inputs>,
    /// Catalog version and rules that were tried last, to leave out work that was done.
    tried: Option<(u64, Arc<RuleSet>)>,
    /// Newest version given to a catalog.
    version: u64,
}

/// What a trial came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What comes into force now; none when what is in force stays.
    pub publish: Option<Inputs>,
    /// Why the rules that were offered are not in force, or in force in part only.
    pub complaint: Option<Diagnostics>,
    /// What comes into force is the unchanged part of the catalog alone.
    pub reduced: bool,
    /// Nothing was tried, because catalog and rules are the ones tried before.
    pub unchanged: bool,
}

impl Keeper {
    /// A keeper of nothing whose versions grow from `version`.
    pub fn after(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// The newest version given to a catalog.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Takes note of the content of a catalog just read. The version grows only when it differs from the last.
    pub fn catalog(&mut self, data: CatalogData) {
        if self.latest.as_ref().is_none_or(|latest| *latest.data() != data) {
            self.version += 1;
            self.latest = Some(CatalogSnapshot::new(data, self.version));
        }
    }

    /// The newest catalog.
    pub fn latest(&self) -> Option<&Arc<CatalogSnapshot>> {
        self.latest.as_ref()
    }

    /// The rules in force, in full or in part.
    pub fn in_force(&self) -> Option<&Arc<RuleSet>> {
        self.rules.as_ref()
    }

    /// Tries to bring `offered` (none: the rules in force) into force with the newest catalog.
    pub fn try_rules(&mut self, offered: Option<&Arc<RuleSet>>) -> Outcome {
        let (Some(latest), Some(offered)) = (self.latest.clone(), offered.or(self.rules.as_ref()).cloned()) else {
            return Outcome::default();
        };
        if let Some((version, rules)) = &self.tried
            && *version == latest.version()
            && Arc::ptr_eq(rules, &offered)
        {
            return Outcome { unchanged: true, ..Outcome::default() };
        }
        self.tried = Some((latest.version(), Arc::clone(&offered)));
        let complaint = match offered.compile(&latest) {
            Ok(policy) => return Outcome { publish: Some(self.accept(latest, offered, policy)), ..Outcome::default() },
            Err(complaint) => Some(complaint),
        };
        let Some(rules) = self.rules.clone() else {
            return Outcome { complaint, ..Outcome::default() };
        };
        let in_force = self.good.as_ref().is_some_and(|good| good.catalog.version() == latest.version());
        if in_force {
            // Only the rules are new, and they are wrong: what is in force fits.
            return Outcome { complaint, ..Outcome::default() };
        }
        if !Arc::ptr_eq(&rules, &offered)
            && let Ok(policy) = rules.compile(&latest)
        {
            return Outcome { publish: Some(self.accept(latest, rules, policy)), complaint, ..Outcome::default() };
        }
        let publish = self.good.as_ref().map(|good| {
            self.version += 1;
            unchanged_part(good, &latest, self.version)
        });
        Outcome { reduced: publish.is_some(), publish, complaint, unchanged: false }
    }

    fn accept(&mut self, catalog: Arc<CatalogSnapshot>, rules: Arc<RuleSet>, policy: Policy) -> Inputs {
        let inputs = Inputs { catalog, policy: Arc::new(policy) };
        self.rules = Some(rules);
        self.good = Some(inputs.clone());
        inputs
    }
}

/// The policy of `good` over those relations of `latest` that are what they were.
fn unchanged_part(good: &Inputs, latest: &CatalogSnapshot, version: u64) -> Inputs {
    let (before, now) = (good.catalog.data(), latest.data());
    let relatives = |data: &CatalogData| -> HashMap<Oid, BTreeSet<(Oid, Oid)>> {
        let mut edges: HashMap<Oid, BTreeSet<(Oid, Oid)>> = HashMap::new();
        for edge in &data.inherits {
            for end in [edge.child, edge.parent] {
                edges.entry(end).or_default().insert((edge.child, edge.parent));
            }
        }
        edges
    };
    let rivals = Rivals::between(before, now);
    let (relatives_before, relatives_now) = (relatives(before), relatives(now));
    let mut kept: HashMap<Oid, &RelationData> = now
        .relations
        .iter()
        .filter(|relation| {
            good.catalog.relation(relation.oid) == Some(*relation)
                && !rivals.concern(&good.policy, relation.oid)
                && relatives_before.get(&relation.oid) == relatives_now.get(&relation.oid)
        })
        .map(|relation| (relation.oid, relation))
        .collect();
    // What a dropped relation is used by falls with it, until nothing more falls.
    loop {
        let fallen: HashSet<Oid> = kept
            .values()
            .filter(|relation| {
                let uses = relation.uses_columns.iter().map(|used| used.relation);
                let roles = good
                    .policy
                    .roles
                    .iter()
                    .chain(good.policy.roles.iter().filter_map(|role| role.observed.as_deref()));
                let needs = roles.flat_map(|role| role.needs(relation.oid));
                let family = relatives_now.get(&relation.oid).into_iter().flatten().flat_map(|edge| [edge.0, edge.1]);
                // Indexes have parents too, and are no relations here.
                uses.chain(needs)
                    .chain(family.filter(|oid| latest.relation(*oid).is_some()))
                    .any(|oid| !kept.contains_key(&oid))
            })
            .map(|relation| relation.oid)
            .collect();
        if fallen.is_empty() {
            break;
        }
        kept.retain(|oid, _| !fallen.contains(oid));
    }
    let mut data = now.clone();
    data.relations.retain(|relation| kept.contains_key(&relation.oid));
    let mut policy = Policy { catalog_version: version, reduced: true, ..Policy::clone(&good.policy) };
    for role in &mut policy.roles {
        // An extension may have come whose settings these are now.
        let own = role.settings.iter().filter(|name| own_setting(name, &now.setting_classes).is_ok());
        role.settings = own.cloned().collect();
    }
    Inputs { catalog: CatalogSnapshot::new(data, version), policy: Arc::new(policy) }
}

/// What has come since a policy was compiled, and could be taken for what its masks and conditions name.
struct Rivals {
    /// Of functions and types, in lower case.
    names: HashSet<String>,
    /// Operators stand behind much that has another name, such as LIKE, IN and CASE.
    operators: bool,
}

impl Rivals {
    fn between(before: &CatalogData, now: &CatalogData) -> Self {
        let functions: HashMap<Oid, _> = before.functions.iter().map(|function| (function.oid, function)).collect();
        let types: HashMap<Oid, _> = before.types.iter().map(|kind| (kind.oid, kind)).collect();
        let functions = now.functions.iter().filter(|function| functions.get(&function.oid) != Some(function));
        let types = now.types.iter().filter(|kind| types.get(&kind.oid) != Some(kind));
        let names = functions.map(|function| &function.name).chain(types.map(|kind| &kind.name));
        Self {
            names: names.map(|name| name.to_lowercase()).collect(),
            operators: (now.casts_implicitly && !before.casts_implicitly)
                || (before.operators != now.operators
                    && now.operators.iter().any(|operator| !before.operators.contains(operator))),
        }
    }

    /// Whether some text of the policy about a relation could name one.
    fn concern(&self, policy: &Policy, relation: Oid) -> bool {
        if self.names.is_empty() && !self.operators {
            return false;
        }
        let part = |byte: char| byte.is_alphanumeric() || matches!(byte, '_' | '$');
        let named = |sql: &SqlTemplate| {
            let text = sql.text().to_lowercase();
            let words: HashSet<&str> = text.split(|byte| !part(byte)).collect();
            let in_text = |name: &String| {
                if name.chars().all(part) {
                    words.contains(name.as_str())
                } else {
                    text.contains(&name.replace('"', "\"\""))
                }
            };
            self.operators || self.names.iter().any(in_text)
        };
        let roles = policy.roles.iter().flat_map(|role| [Some(role), role.observed.as_deref()]).flatten();
        roles.into_iter().any(|role| texts(role, relation).any(named))
    }
}

/// The SQL by which a role gets a relation.
fn texts(role: &RolePolicy, relation: Oid) -> impl Iterator<Item = &SqlTemplate> {
    let governed = role.governed.get(&relation).into_iter();
    let own = governed.flat_map(|policy| {
        let columns = policy.columns.iter().flat_map(|column| {
            let mask = match &column.treatment {
                Treatment::Mask(mask) => Some(&mask.sql),
                Treatment::Clear | Treatment::Withhold | Treatment::Refuse => None,
            };
            [mask, column.stored_mask.as_ref(), column.gate.as_ref().map(|gate| &gate.sql)]
        });
        columns.flatten().chain(policy.scope.as_ref().map(|scope| &scope.sql))
    });
    let leading = role.leading.get(&relation).and_then(|leading| leading.open.as_ref());
    let deciding = role.deciding.get(&relation).into_iter();
    own.chain(leading).chain(deciding.flat_map(|deciding| deciding.columns.values().flatten()))
}

#[cfg(test)]
mod tests;
