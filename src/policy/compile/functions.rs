//! User functions that a role may call. In: the names in its rule. Out: all functions of these names, complaints about unknown ones.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use crate::{
    catalog::CatalogSnapshot,
    diagnostic::suggestion,
    names::{Oid, QualifiedName},
    policy::{
        masks::keyed,
        rules::{Complaints, FunctionRule, RoleRule},
    },
};

pub(super) fn functions(
    role: &RoleRule,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> HashSet<Oid, FixedState> {
    for rule in &role.settings.functions {
        if (rule.schema.as_str(), rule.name.as_str()) == (keyed::SCHEMA, keyed::FUNCTION) {
            let help = "With it a client finds the value of a pseudonym by trying; masks call it without being listed.";
            complaints.add_with_help(rule.at, "the function of keyed masks may not be listed", help);
        }
    }
    let allowed = role.settings.functions.iter();
    let allowed = allowed.filter(|rule| (rule.schema.as_str(), rule.name.as_str()) != (keyed::SCHEMA, keyed::FUNCTION));
    named_functions(allowed, catalog, complaints)
}

/// The functions that rules name, each with all its overloads.
pub(super) fn named_functions<'a>(
    rules: impl IntoIterator<Item = &'a FunctionRule>,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> HashSet<Oid, FixedState> {
    let mut named = HashSet::default();
    for rule in rules {
        let found: Vec<_> = catalog.functions_named(&rule.name).filter(|f| f.schema == rule.schema).collect();
        if found.is_empty() {
            let all = catalog.data().functions.iter().filter(|function| function.schema == rule.schema);
            let near = suggestion(&rule.name, "functions", all.map(|function| function.name.as_str()));
            let name = QualifiedName::new(&rule.schema, &rule.name);
            complaints.add_with_suggestion(rule.at, format!("unknown function {name}"), near);
        }
        named.extend(found.into_iter().map(|function| function.oid));
    }
    named
}
