//! Findings about whom roles match, and about views that they do not get at all.

use std::collections::BTreeMap;

use super::{OTHER_DATABASE, Pass, SHADOWED, SUPERUSER, UNKNOWN_LOGIN, VIEW_REFUSED, table_name};
use crate::{
    cli::output::Spot,
    policy::{LoginIdentity, RolePolicy},
};

pub(super) fn find(pass: &mut Pass<'_>) {
    let (policy, catalog) = (pass.policy, pass.catalog);
    for role in first_entries(&policy.roles) {
        let spot = Spot::of_origin(&role.origin, pass.files);
        for name in role.matching.user.iter().flatten().chain(role.matching.member_of.iter().flatten()) {
            if catalog.role(name).is_none() {
                let message = format!("matches \"{name}\", which the server does not have");
                pass.add(UNKNOWN_LOGIN, &format!("role {}", role.name), message, spot.clone());
            }
        }
        if let Some(databases) = &role.matching.database
            && !databases.contains(&catalog.data().database)
        {
            let message = format!("matches no connection to database \"{}\"", catalog.data().database);
            pass.add(OTHER_DATABASE, &format!("role {}", role.name), message, spot);
        }
    }
    superusers(pass);
    shadowed(pass);
    refused_views(pass);
}

/// Logins that a role names, and that an earlier role takes first.
fn shadowed(pass: &mut Pass<'_>) {
    let (policy, catalog) = (pass.policy, pass.catalog);
    for role in first_entries(&policy.roles) {
        for login in role.matching.user.iter().flatten() {
            // Whether an application name or another database tells them apart is not known here.
            if role.matching.application_name.is_some() {
                continue;
            }
            let who = LoginIdentity {
                user: login.clone(),
                database: catalog.data().database.clone(),
                application_name: String::new(),
            };
            let first = policy.role_for(&who, catalog).and_then(|id| policy.role(id));
            if let Some(first) = first.filter(|first| first.name != role.name && role.matching.database.is_none()) {
                let message =
                    format!("never gets login \"{login}\": role {} ({}) takes it first", first.name, first.origin);
                pass.add(SHADOWED, &format!("role {}", role.name), message, Spot::of_origin(&role.origin, pass.files));
            }
        }
    }
}

/// Superusers who get a restricted role: what the server lets them do reaches around the proxy.
fn superusers(pass: &mut Pass<'_>) {
    let (policy, catalog) = (pass.policy, pass.catalog);
    for login in catalog.data().roles.iter().filter(|login| login.superuser && login.can_login) {
        let who = LoginIdentity {
            user: login.name.clone(),
            database: catalog.data().database.clone(),
            application_name: String::new(),
        };
        let role = policy.role_for(&who, catalog).and_then(|id| policy.role(id));
        if let Some(role) = role.filter(|role| !role.exempt) {
            let message =
                format!("matches \"{}\", a superuser; give restricted applications a login without rights", login.name);
            let spot = Spot::of_origin(&role.origin, pass.files);
            pass.add(SUPERUSER, &format!("role {}", role.name), message, spot);
        }
    }
}

/// One entry of each role: what it matches is the same for all its purposes.
fn first_entries(roles: &[RolePolicy]) -> impl Iterator<Item = &RolePolicy> {
    roles.iter().enumerate().filter_map(|(index, role)| {
        let seen = roles.iter().take(index).any(|other| other.name == role.name);
        (!seen).then_some(role)
    })
}

fn refused_views(pass: &mut Pass<'_>) {
    for relation in pass.relations() {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for role in pass.restricted() {
            if let Some(why) = role.relation(relation.oid).and_then(|governed| governed.refuse.as_deref()) {
                reasons.entry(why).or_default().push(&role.name);
            }
        }
        for (why, mut roles) in reasons {
            roles.dedup();
            let message = format!(
                "is refused to {}: {why}; classify its columns to allow it, and give it a link in [subject] or rows of its own where \
                 it needs them",
                roles.join(", ")
            );
            pass.add(VIEW_REFUSED, &table_name(relation), message, pass.spot_of_table(relation));
        }
    }
}
