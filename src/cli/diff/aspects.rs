//! What of a role counts in a comparison beside what it gets of columns and rows. In: a role of a policy. Out: aspects,
//! and which way the change from one to another goes.

use std::collections::BTreeSet;

use super::Sight;
use crate::{
    catalog::CatalogSnapshot,
    names::{QualifiedName, rule_part},
    policy::{Grant, Limits, Rates, RolePolicy, WriteBack},
};

/// What a role may do beside reading columns. A new kind of permission is one more line.
const PERMISSIONS: &[Permission] = &[
    Permission { name: "exempt", read: |role, _| Aspect::Opens(role.exempt) },
    Permission { name: "explain", read: |role, _| Aspect::Opens(role.exempt || role.explain) },
    Permission { name: "functions", read: |role, catalog| Aspect::Allows(functions(role, catalog)) },
    Permission { name: "settings", read: |role, _| Aspect::Allows(role.settings.iter().cloned().collect()) },
    Permission { name: "write_back", read: |role, _| Aspect::Says(write_back(role)) },
    Permission { name: "store_masks", read: |role, _| Aspect::Says(store_masks(role).to_owned()) },
    Permission { name: "recipient", read: |role, _| Aspect::Says(role.recipient.clone()) },
    Permission { name: "observe", read: |role, _| Aspect::Opens(role.observed.is_some()) },
    Permission { name: "application_purposes", read: |role, _| Aspect::Says(application_purposes(role)) },
    Permission { name: "kept from writing", read: |role, catalog| Aspect::Keeps(kept(role, catalog)) },
    Permission { name: "grants", read: |role, _| Aspect::Allows(grants(role)) },
    Permission { name: "rows_per_statement", read: |role, _| Aspect::AtMost(role.limits.rows_per_statement) },
];

/// For whom amounts are limited: the role over all of its logins, each login, each connection.
const SCOPES: [LimitScope; 3] = [
    LimitScope { prefix: "", rates: |limits| &limits.role },
    LimitScope { prefix: "login.", rates: |limits| &limits.login },
    LimitScope { prefix: "connection.", rates: |limits| &limits.connection },
];

struct LimitScope {
    prefix: &'static str,
    rates: fn(&Limits) -> &Rates,
}

/// What is limited of each.
const RATES: [Rate; 3] = [
    Rate { name: "rows_per_day", read: |rates| rates.rows_per_day },
    Rate { name: "statements_per_minute", read: |rates| rates.statements_per_minute },
    Rate { name: "searches_per_minute", read: |rates| rates.searches_per_minute },
];

struct Rate {
    name: &'static str,
    read: fn(&Rates) -> Option<u64>,
}

/// Every permission of a role, by name.
pub(super) fn permissions(role: &RolePolicy, catalog: &CatalogSnapshot) -> impl Iterator<Item = (String, Aspect)> {
    let plain =
        PERMISSIONS.iter().map(move |permission| (permission.name.to_owned(), (permission.read)(role, catalog)));
    let rates = SCOPES.iter().flat_map(move |scope| {
        RATES.iter().map(move |rate| {
            let limit = Aspect::AtMost((rate.read)((scope.rates)(&role.limits)));
            (format!("{}{}", scope.prefix, rate.name), limit)
        })
    });
    plain.chain(rates)
}

struct Permission {
    name: &'static str,
    read: fn(&RolePolicy, &CatalogSnapshot) -> Aspect,
}

/// The value of a permission, and with it which values show more.
pub(super) enum Aspect {
    /// True shows more.
    Opens(bool),
    /// Each member shows more.
    Allows(BTreeSet<String>),
    /// Each member keeps from showing more.
    Keeps(BTreeSet<String>),
    /// A higher limit shows more, and none shows most.
    AtMost(Option<u64>),
    /// Shows nothing.
    Says(String),
}

impl Aspect {
    /// Which way the change from here to `new` goes; none when there is none.
    pub fn compared(&self, new: &Self) -> Option<Sight> {
        match (self, new) {
            (Self::Opens(old), Self::Opens(new)) => match (old, new) {
                (false, true) => Some(Sight::More),
                (true, false) => Some(Sight::Less),
                (_, _) => None,
            },
            (Self::Allows(old), Self::Allows(new)) => {
                if old == new {
                    None
                } else if new.is_subset(old) {
                    Some(Sight::Less)
                } else {
                    Some(Sight::More)
                }
            }
            (Self::Keeps(old), Self::Keeps(new)) => {
                if old == new {
                    None
                } else if old.is_subset(new) {
                    Some(Sight::Less)
                } else {
                    Some(Sight::More)
                }
            }
            (Self::AtMost(old), Self::AtMost(new)) => {
                let reach = |limit: &Option<u64>| limit.unwrap_or(u64::MAX);
                match reach(new).cmp(&reach(old)) {
                    std::cmp::Ordering::Greater => Some(Sight::More),
                    std::cmp::Ordering::Less => Some(Sight::Less),
                    std::cmp::Ordering::Equal => None,
                }
            }
            (Self::Says(old), Self::Says(new)) => (old != new).then_some(Sight::Same),
            // One line of the table makes one kind.
            (Self::Opens(_) | Self::Allows(_) | Self::Keeps(_) | Self::AtMost(_) | Self::Says(_), _) => None,
        }
    }

    /// The value as people read it; of a set, only what `other` lacks.
    pub fn shown(&self, other: &Self) -> String {
        let text = match self {
            Self::Opens(open) => open.to_string(),
            Self::Keeps(set) => match other {
                Self::Keeps(known) => set.difference(known).map(String::as_str).collect::<Vec<_>>().join(", "),
                Self::Opens(_) | Self::Allows(_) | Self::AtMost(_) | Self::Says(_) => String::new(),
            },
            Self::Allows(set) => set.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            Self::AtMost(limit) => limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string()),
            Self::Says(text) => text.clone(),
        };
        if text.is_empty() { "-".to_owned() } else { text }
    }
}

fn application_purposes(role: &RolePolicy) -> String {
    let each = role.application_purposes.iter().map(|(application, purpose)| format!("{application} = {purpose}"));
    each.collect::<Vec<_>>().join(", ")
}

/// What the role may not write, because it decides what the role sees.
fn kept(role: &RolePolicy, catalog: &CatalogSnapshot) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    for (oid, deciding) in role.deciding.iter() {
        let Some(relation) = catalog.relation(*oid) else { continue };
        let table = QualifiedName::new(&relation.schema, &relation.name);
        kept.extend(deciding.inserts.then(|| format!("INSERT INTO {table}")));
        kept.extend(deciding.deletes.then(|| format!("DELETE FROM {table}")));
        let columns = deciding.columns.keys().filter_map(|position| relation.columns.get(*position));
        kept.extend(columns.map(|column| format!("UPDATE OF {table}.{}", rule_part(&column.name))));
    }
    kept
}

fn functions(role: &RolePolicy, catalog: &CatalogSnapshot) -> BTreeSet<String> {
    let named = catalog.data().functions.iter().filter(|function| role.functions.contains(&function.oid));
    named.map(|function| QualifiedName::new(&function.schema, &function.name).to_string()).collect()
}

fn grants(role: &RolePolicy) -> BTreeSet<String> {
    let shown = |grant: &Grant| {
        format!(
            "{} ({}) until {}, {}",
            grant.document,
            grant.categories.join(", "),
            moment(grant.until),
            grant.subjects
        )
    };
    role.grants.iter().map(|grant| shown(grant)).collect()
}

fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

fn store_masks(role: &RolePolicy) -> &'static str {
    let mut columns = role.governed.values().flat_map(|relation| &relation.columns);
    if columns.any(|column| column.stored_mask.is_some()) { "refuse" } else { "allow" }
}

fn write_back(role: &RolePolicy) -> String {
    let columns = role.governed.values().flat_map(|relation| &relation.columns);
    let mut modes: Vec<&str> = columns
        .filter(|column| column.category.is_some())
        .map(|column| match column.write_back {
            WriteBack::Keep => "keep",
            WriteBack::Refuse => "refuse",
            WriteBack::Allow => "allow",
        })
        .collect();
    modes.sort_unstable();
    modes.dedup();
    // Without columns it says nothing, which is no change worth a line.
    if modes.is_empty() { "keep".to_owned() } else { modes.join(", ") }
}
