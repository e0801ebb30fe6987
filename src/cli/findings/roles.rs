//! Findings about whom roles match, and about views that they do not get at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use super::{APPLICATIONS, ENDED, OTHER_DATABASE, Pass, SHADOWED, SUPERUSER, UNKNOWN_LOGIN, VIEW_REFUSED, table_name};
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
                let star =
                    if name == "*" { " (* is a name here; without user, a role matches every login)" } else { "" };
                let message = format!("matches \"{name}\", which the server does not have{star}");
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
    applications(pass);
    refused_views(pass);
    grants(pass);
}

/// Grants that have ended: they open nothing any more.
fn grants(pass: &mut Pass<'_>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let policy = pass.policy;
    for role in first_entries(&policy.roles) {
        for grant in role.grants.iter().filter(|grant| grant.until <= now) {
            let message = format!("the grant by document {} has ended and opens nothing", grant.document);
            pass.add(ENDED, &format!("role {}", role.name), message, Spot::of_origin(&grant.rule, pass.files));
        }
    }
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

/// Logins that may be of several roles, by the `application_name` of a connection: whoever has the login chooses the role.
fn applications(pass: &mut Pass<'_>) {
    let (policy, catalog) = (pass.policy, pass.catalog);
    let names = policy.roles.iter().flat_map(|role| role.matching.application_name.iter().flatten());
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    let in_rules = policy.roles.iter().flat_map(|role| role.matching.user.iter().flatten().map(String::as_str));
    let known = catalog.data().roles.iter().filter(|role| role.can_login).map(|role| role.name.as_str());
    let mut found: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for login in in_rules.chain(known).collect::<BTreeSet<&str>>() {
        // A name that no rule knows stands for all others.
        let applications = names.iter().copied().chain([""]);
        let roles: BTreeSet<&str> = applications
            .filter_map(|application| {
                let who = LoginIdentity {
                    user: login.to_owned(),
                    database: catalog.data().database.clone(),
                    application_name: application.to_owned(),
                };
                policy.role_for(&who, catalog).and_then(|id| policy.role(id)).map(|role| role.name.as_str())
            })
            .collect();
        if roles.len() > 1 {
            found.entry(roles.into_iter().collect()).or_default().push(login);
        }
    }
    for (roles, logins) in found {
        let first = policy.roles.iter().find(|role| roles.contains(&role.name.as_str()));
        let message = format!(
            "get one of the roles {} by application_name, which clients write as they like: they see what any of these shows; give each \
             application a login of its own",
            roles.join(", ")
        );
        let spot = first.and_then(|role| Spot::of_origin(&role.origin, pass.files));
        pass.add(APPLICATIONS, &format!("logins {}", logins.join(", ")), message, spot);
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
