//! Findings about what logins may not read on the server, though the conditions of their role do: every statement that meets
//! the condition would fail. In: the policy, and what the server said. Out: findings.

use std::collections::BTreeSet;

use super::{Pass, UNREADABLE, table_name};
use crate::{
    catalog::CatalogSnapshot,
    cli::output::Spot,
    names::Oid,
    policy::{LoginIdentity, Policy, RolePolicy},
};

/// Logins that rules name, and the relations that conditions of the role read which they get.
pub fn wanted(policy: &Policy, catalog: &CatalogSnapshot) -> Vec<(String, Oid)> {
    let mut wanted = BTreeSet::new();
    for role in policy.roles.iter().filter(|role| !role.exempt) {
        for login in role.matching.user.iter().flatten() {
            if role_of(login, policy, catalog).is_some_and(|first| first.name == role.name) {
                let relations = role.governed.keys().chain(role.leading.keys());
                wanted.extend(relations.flat_map(|oid| role.needs(*oid)).map(|oid| (login.clone(), oid)));
            }
        }
    }
    wanted.into_iter().collect()
}

fn role_of<'a>(login: &str, policy: &'a Policy, catalog: &CatalogSnapshot) -> Option<&'a RolePolicy> {
    let who = LoginIdentity {
        user: login.to_owned(),
        database: catalog.data().database.clone(),
        application_name: String::new(),
    };
    policy.role_for(&who, catalog).and_then(|id| policy.role(id))
}

pub(super) fn find(pass: &mut Pass<'_>) {
    let (policy, catalog, samples) = (pass.policy, pass.catalog, pass.samples);
    for (login, oid) in &samples.unreadable {
        let (Some(role), Some(relation)) = (role_of(login, policy, catalog), catalog.relation(*oid)) else { continue };
        let table = table_name(relation);
        let message = format!(
            "login \"{login}\" may not read {table}, which conditions of the role read, so that its statements fail; \
             GRANT SELECT ON {table} TO {login}"
        );
        pass.add(UNREADABLE, &format!("role {}", role.name), message, Spot::of_origin(&role.origin, pass.files));
    }
}
