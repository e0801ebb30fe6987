//! Findings about privileges: what logins may not read on the server, though the conditions of their role do, so that every statement
//! that meets the condition would fail; and what they may write of that which decides what they see. In: the policy, and what
//! the server said. Out: findings.

use std::collections::BTreeSet;

use super::{NOT_NEEDED, Pass, SHOWS_MORE, UNREADABLE, table_name};
use crate::{
    catalog::CatalogSnapshot,
    cli::output::Spot,
    names::Oid,
    policy::{
        Deciding, LoginIdentity, Policy, RolePolicy,
        rules::{RuleFile, RuleSet},
    },
    upstream::catalog::privileges::Writable,
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

/// Logins that rules name, and the relations that decide what their roles see.
pub fn deciding(files: &[RuleFile], catalog: &CatalogSnapshot) -> Vec<(String, Oid)> {
    let Ok(rules) = RuleSet::parse(files) else { return Vec::new() };
    let Ok(policy) = rules.compile(catalog) else { return Vec::new() };
    let policy = policy.enforced();
    let mut wanted = BTreeSet::new();
    for (name, relations) in rules.deciding(catalog) {
        for role in policy.roles.iter().filter(|role| role.name == name && !role.exempt) {
            for login in role.matching.user.iter().flatten() {
                if role_of(login, &policy, catalog).is_some_and(|first| first.name == name) {
                    wanted.extend(relations.keys().map(|oid| (login.clone(), *oid)));
                }
            }
        }
    }
    wanted.into_iter().collect()
}

pub(super) fn find(pass: &mut Pass<'_>) {
    writes(pass);
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

fn writes(pass: &mut Pass<'_>) {
    let (policy, catalog, samples) = (pass.policy, pass.catalog, pass.samples);
    if samples.writable.is_empty() {
        return;
    }
    let decides = pass.rules.deciding(catalog);
    for may in &samples.writable {
        let Some(role) = role_of(&may.login, policy, catalog) else { continue };
        let all = decides.iter().find(|(name, _)| *name == role.name).and_then(|(_, all)| all.get(&may.relation));
        let (Some(all), Some(relation)) = (all, catalog.relation(may.relation)) else { continue };
        let guarded = role.deciding.get(&may.relation);
        let names = |kept: &dyn Fn(usize) -> bool| -> Vec<&str> {
            let columns = relation.columns.iter().enumerate();
            let decisive = columns.filter(|(at, column)| {
                all.columns.contains_key(at) && kept(*at) && may.columns.contains(&column.attnum)
            });
            decisive.map(|(_, column)| column.name.as_str()).collect()
        };
        let is_kept = |at: usize| guarded.is_some_and(|guarded| guarded.columns.contains_key(&at));
        let free = verbs(may, all, guarded, &names(&|at| !is_kept(at)), false);
        let kept = verbs(may, all, guarded, &names(&is_kept), true);
        let table = table_name(relation);
        let (object, login) = (format!("role {}", role.name), &may.login);
        let spot = Spot::of_origin(&all.rule, pass.files);
        if !free.is_empty() {
            let message = format!(
                "login \"{login}\" may {free} {table}, by which it could show itself more; REVOKE that, or take `guard = \"none\"` or \
                 `lifts` out of the rules"
            );
            pass.add(SHOWS_MORE, &object, message, spot.clone());
        }
        if !kept.is_empty() {
            let message = format!(
                "login \"{login}\" may {kept} {table} on the server, which pgscrim refuses where it could show more; REVOKE what its work \
                 does not need"
            );
            pass.add(NOT_NEEDED, &object, message, spot);
        }
    }
}

/// What a login may write: of what pgscrim keeps it from, or of the rest.
fn verbs(may: &Writable, all: &Deciding, guarded: Option<&Deciding>, columns: &[&str], kept: bool) -> String {
    let is = |read: fn(&Deciding) -> bool| read(all) && guarded.is_some_and(read) == kept;
    let mut verbs = Vec::new();
    if may.inserts && is(|one| one.inserts) {
        verbs.push("INSERT INTO".to_owned());
    }
    if may.deletes && is(|one| one.deletes) {
        verbs.push("DELETE FROM".to_owned());
    }
    if !columns.is_empty() {
        verbs.push(format!("UPDATE ({}) ON", columns.join(", ")));
    }
    verbs.join(", ")
}
