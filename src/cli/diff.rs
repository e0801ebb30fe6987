//! `pgscrim diff OLD NEW`: who sees more and who sees less after a change of the rules. In: two rule directories and one
//! catalog. Out: each change with its direction; exit code 0 when nobody sees more, 1 when somebody does or may, 2 when it
//! could not be said.
//!
//! Treatments have an order, clear > mask > withhold > refuse; of two different masks neither shows more for certain, so
//! that such a change counts as "something else". Search has one too: exact > masked > refuse.
//!
//! Entries of roles are compared by name and purpose. Beside that, every login is looked up in both rule sets, and where its
//! role is another one, what both roles see is compared: that is what makes a new role harmless or not. Logins are those
//! of the catalog, those that the rules name, and one made-up member of each group that the rules name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;

mod aspects;
mod causes;
mod columns;
mod text;

use aspects::permissions;
use columns::View;

use super::{
    Failure, args,
    detect::is_of_people,
    output::{self, Format, Spot},
    print,
};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation, data::RoleData},
    names::{QualifiedName, rule_part},
    policy::{
        LoginIdentity, Policy, RolePolicy, Scope,
        compiled::Row,
        rules::{RuleFile, RuleSet},
    },
    reload::{FilesError, read_rule_files},
};

pub(super) fn command() -> Command {
    let directory = |name: &'static str, shown: &'static str, env: &'static str, help: &'static str| {
        Arg::new(name).value_name(shown).env(env).required(true).help(help)
    };
    Command::new("diff")
        .about("Compare two rule sets: who sees more, who sees less")
        .after_help(
            "Both are compiled against the same catalog. Order of treatments: clear, mask, withhold, refuse; another mask is \
             \"something else\", for it may show more. For every role, purpose and column, for functions and other \
             permissions, and for every login whose role changes. A line tells one cause, with the roles and columns that it \
             reaches; --details and --format json name them all.\n\n\
             Examples:\n  \
             pgscrim diff --catalog shop.catalog.json rules-in-force my-rules\n  \
             git worktree add ../main main && pgscrim diff --config pgscrim.toml --format github ../main/rules rules\n\n\
             Exit codes: 0 nobody sees more, 1 somebody sees more or something else, 2 could not run.",
        )
        .args([
            directory("old", "OLD", "PGSCRIM_DIFF_OLD", "Rule directory to compare with"),
            directory("new", "NEW", "PGSCRIM_DIFF_NEW", "Rule directory that is to come into force"),
        ])
        .arg(
            Arg::new("details")
                .long("details")
                .env("PGSCRIM_DETAILS")
                .action(ArgAction::SetTrue)
                .help("Name every role and column instead of a line for each cause"),
        )
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json, Format::Github]))
        .args(args::keys(|key| key.starts_with("upstream.")))
}

/// Which way a change goes, for the role or login that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// Sees more.
    More,
    /// Sees something else, which may be more.
    Else,
    /// Sees less.
    Less,
    /// Sees the same; worth knowing.
    Same,
}

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A column.
    Column,
    /// The rows of a table.
    Rows,
    /// What a role may do otherwise.
    Permission,
    /// A role, a purpose of it, or who has it.
    Role,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which way it goes.
    pub sight: Sight,
    /// The role, with its purpose where it has several, or the login.
    pub who: String,
    /// What kind of thing is treated otherwise.
    pub kind: Kind,
    /// What is treated otherwise: `schema.table.column`, a permission, `role`.
    pub what: String,
    /// How it was.
    pub old: String,
    /// How it is.
    pub new: String,
    /// What of the rules about subjects has changed, where that is why: `[erasure]: …`.
    pub cause: Option<String>,
    /// The determining rule among the new ones; of a cause, its own place, also among the old ones.
    pub spot: Option<Spot>,
}

/// Everything that two rule sets differ in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `policy (hash)` of the old rules.
    pub old: String,
    /// `policy (hash)` of the new rules.
    pub new: String,
    /// Database of the catalog.
    pub database: String,
    /// Changes, those that show more first.
    pub changes: Vec<Change>,
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    run_all(matches).map_err(Failure::as_trouble)
}

fn run_all(matches: &ArgMatches) -> Result<(), Failure> {
    let given = args::Given::new(matches)?;
    let read = |name: &str| {
        let path = matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
        let files = read_rule_files(Path::new(path)).map_err(|error: FilesError| Failure::new(error))?;
        let rules = RuleSet::parse(&files).map_err(Failure::RulesInvalid)?;
        Ok::<_, Failure>((files, rules))
    };
    let (_, old_rules) = read("old")?;
    let (files, new_rules) = read("new")?;
    let catalog = given.snapshot(matches)?;
    let old = old_rules.compile(&catalog).map_err(Failure::RulesInvalid)?;
    let new = new_rules.compile(&catalog).map_err(Failure::RulesInvalid)?;
    let mut difference = difference(&old, &new, &files, &catalog);
    causes::find(&mut difference.changes, &old_rules, &new_rules);
    print(&match args::chosen_format(matches) {
        Format::Json => output::pretty(&difference),
        Format::Github => text::github(&difference),
        Format::Human | Format::Sarif => text::human(&difference, matches.get_flag("details")),
    })?;
    let shown = difference.changes.iter().any(|change| change.sight <= Sight::Else);
    if shown { Err(Failure::Negative(String::new())) } else { Ok(()) }
}

/// Compares two policies that were compiled against `catalog`; `files` are the rule files of `new`. Pure.
pub fn difference(old: &Policy, new: &Policy, files: &[RuleFile], catalog: &CatalogSnapshot) -> Difference {
    let mut pass = Pass { old, new, files, catalog, changes: Vec::new() };
    pass.roles();
    pass.logins();
    let mut changes = pass.changes;
    changes.sort_by_key(|change| change.sight);
    let version = |policy: &Policy| format!("{} ({})", policy.id, policy.hash);
    Difference { old: version(old), new: version(new), database: catalog.data().database.clone(), changes }
}

struct Pass<'a> {
    old: &'a Policy,
    new: &'a Policy,
    files: &'a [RuleFile],
    catalog: &'a CatalogSnapshot,
    changes: Vec<Change>,
}

impl Pass<'_> {
    fn roles(&mut self) {
        let (old, new) = (self.old, self.new);
        for role in &new.roles {
            let same_name = || old.roles.iter().filter(|other| other.name == role.name);
            let who = self.label(role);
            match (same_name().find(|other| other.purpose == role.purpose), same_name().next()) {
                (Some(before), _) => self.entries(&who, before, role),
                // Who has the role may now ask for another purpose.
                (None, Some(before)) => {
                    self.note(&who, "purpose", "-", &role.purpose, role);
                    self.entries(&who, before, role);
                }
                // What its logins gain by it is told login by login.
                (None, None) => self.note(&who, "role", "-", "added", role),
            }
        }
        for role in &old.roles {
            let same_name: Vec<_> = new.roles.iter().filter(|other| other.name == role.name).collect();
            if same_name.is_empty() {
                self.changes.push(Change {
                    sight: Sight::Same,
                    who: self.label(role),
                    kind: Kind::Role,
                    what: "role".to_owned(),
                    old: "-".to_owned(),
                    new: "removed".to_owned(),
                    cause: None,
                    spot: None,
                });
            } else if !same_name.iter().any(|other| other.purpose == role.purpose) {
                self.changes.push(Change {
                    sight: Sight::Less,
                    who: self.label(role),
                    kind: Kind::Role,
                    what: "purpose".to_owned(),
                    old: role.purpose.clone(),
                    new: "-".to_owned(),
                    cause: None,
                    spot: None,
                });
            }
        }
    }

    fn note(&mut self, who: &str, what: &str, old: &str, new: &str, role: &RolePolicy) {
        let what = What { kind: Kind::Role, name: what.to_owned() };
        let change = (Sight::Same, what, old.to_owned(), new.to_owned());
        self.push(who, change, &role.origin);
    }

    fn push(&mut self, who: &str, (sight, What { kind, name }, old, new): Found, origin: &str) {
        let spot = Spot::of_origin(origin, self.files);
        self.changes.push(Change { sight, who: who.to_owned(), kind, what: name, old, new, cause: None, spot });
    }

    fn entries(&mut self, who: &str, before: &RolePolicy, after: &RolePolicy) {
        for (change, origin) in compare(before, after, self.catalog) {
            self.push(who, change, &origin);
        }
    }

    /// The name, with the purpose where the name has several.
    fn label(&self, role: &RolePolicy) -> String {
        let purposes: BTreeSet<&str> = [self.old, self.new]
            .into_iter()
            .flat_map(|policy| &policy.roles)
            .filter(|other| other.name == role.name)
            .map(|other| other.purpose.as_str())
            .collect();
        if purposes.len() > 1 { format!("{} ({})", role.name, role.purpose) } else { role.name.clone() }
    }

    fn logins(&mut self) {
        let (catalog, logins) = self.identities();
        let mut applications: BTreeSet<&str> = BTreeSet::from([""]);
        for role in self.old.roles.iter().chain(&self.new.roles) {
            applications.extend(role.matching.application_name.iter().flatten().map(String::as_str));
        }
        let mut found = Vec::new();
        for (user, label) in &logins {
            let mut plain = None;
            for application in &applications {
                let who = LoginIdentity {
                    user: user.clone(),
                    database: catalog.data().database.clone(),
                    application_name: (*application).to_owned(),
                };
                let role_of = |policy: &Policy| policy.role_for(&who, &catalog).map(|id| usize::from(id.0));
                let before = role_of(self.old).and_then(|index| self.old.roles.get(index));
                let after = role_of(self.new).and_then(|index| self.new.roles.get(index));
                let names = (before.map(|role| role.name.as_str()), after.map(|role| role.name.as_str()));
                // An application that nothing depends on would repeat the line without one.
                if names.0 == names.1 || plain == Some(names) {
                    continue;
                }
                if application.is_empty() {
                    plain = Some(names);
                }
                let label = if application.is_empty() { label.clone() } else { format!("{label} as {application}") };
                found.push((label, before, after));
            }
        }
        for (who, before, after) in found {
            let (sight, detail) = self.moved(before, after);
            let name = |role: Option<&RolePolicy>| role.map_or_else(|| "no role".to_owned(), |role| role.name.clone());
            let what = What { kind: Kind::Role, name: "role".to_owned() };
            let change = (sight, what, name(before), name(after) + &detail);
            self.push(&who, change, after.map(|role| role.origin.as_str()).unwrap_or_default());
        }
    }

    /// What it means for a login to have another role, and in how many respects.
    fn moved(&self, before: Option<&RolePolicy>, after: Option<&RolePolicy>) -> (Sight, String) {
        let (before, after) = match (before, after) {
            (Some(before), Some(after)) => (before, after),
            (None, _) => return (Sight::More, String::new()),
            (_, None) => return (Sight::Less, String::new()),
        };
        let mut counts: BTreeMap<Sight, usize> = BTreeMap::new();
        for entry in self.new.roles.iter().filter(|role| role.name == after.name) {
            for ((sight, ..), _) in compare(before, entry, self.catalog) {
                *counts.entry(sight).or_default() += 1;
            }
        }
        let worst = counts.keys().next().copied().unwrap_or(Sight::Same);
        let parts: Vec<String> = counts
            .iter()
            .filter(|(sight, _)| **sight != Sight::Same)
            .map(|(sight, count)| format!("{count} {}", word(*sight)))
            .collect();
        let detail = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        (worst, detail)
    }

    /// Logins that tell the rule sets apart, with what to call each; and a catalog that has them all.
    fn identities(&self) -> (Arc<CatalogSnapshot>, Vec<(String, String)>) {
        let mut data = self.catalog.data().clone();
        let known = |data: &[RoleData], name: &str| data.iter().any(|role| role.name == name);
        let matches = || self.old.roles.iter().chain(&self.new.roles).map(|role| &role.matching);
        let mut logins: Vec<(String, String)> = data
            .roles
            .iter()
            .filter(|role| role.can_login)
            .map(|role| (role.name.clone(), format!("login {}", role.name)))
            .collect();
        let users: BTreeSet<&String> = matches().flat_map(|matching| matching.user.iter().flatten()).collect();
        for user in users {
            if !logins.iter().any(|(login, _)| login == user) {
                logins.push((user.clone(), format!("login {user}")));
            }
            // One that is still to be made may be made a member of what the same entries ask for.
            if !known(&data.roles, user) {
                let naming = matches().filter(|matching| matching.user.iter().flatten().any(|name| name == user));
                let mut member_of: Vec<String> =
                    naming.flat_map(|matching| matching.member_of.iter().flatten().cloned()).collect();
                member_of.sort();
                member_of.dedup();
                data.roles.push(RoleData { name: user.clone(), superuser: false, can_login: true, member_of });
            }
        }
        let groups: BTreeSet<&String> = matches().flat_map(|matching| matching.member_of.iter().flatten()).collect();
        for group in groups {
            let name = format!("a member of {group}");
            let mut member_of = vec![group.clone()];
            member_of.extend(self.catalog.role(group).into_iter().flat_map(|role| role.member_of.clone()));
            if !known(&data.roles, &name) {
                data.roles.push(RoleData { name: name.clone(), superuser: false, can_login: true, member_of });
                logins.push((name.clone(), name));
            }
        }
        logins.push((String::new(), "any other login".to_owned()));
        (CatalogSnapshot::new(data, self.catalog.version()), logins)
    }
}

type Found = (Sight, What, String, String);

/// What a change is about.
struct What {
    kind: Kind,
    name: String,
}

/// Everything in which `after` is not `before`, each with the rule of `after` that decides it.
fn compare(before: &RolePolicy, after: &RolePolicy, catalog: &CatalogSnapshot) -> Vec<(Found, String)> {
    let mut found = Vec::new();
    for ((name, old), (_, new)) in permissions(before, catalog).zip(permissions(after, catalog)) {
        if let Some(sight) = old.compared(&new) {
            let what = What { kind: Kind::Permission, name };
            found.push(((sight, what, old.shown(&new), new.shown(&old)), after.origin.clone()));
        }
    }
    for relation in catalog.data().relations.iter().filter(|relation| is_of_people(relation)) {
        found.extend(rows(before, after, relation));
        for (position, column) in relation.columns.iter().enumerate() {
            let (old, new) = (View::of(before, relation.oid, position), View::of(after, relation.oid, position));
            if let Some(sight) = old.compared(&new) {
                let rule = new.rule.unwrap_or(&after.origin).to_owned();
                let what = What { kind: Kind::Column, name: full_name(relation, column) };
                let (old, new) = old.shown(&new, &column.name);
                found.push(((sight, what, old, new), rule));
            }
        }
    }
    found
}

fn full_name(relation: &Relation, column: &Column) -> String {
    format!("{}.{}", QualifiedName::new(&relation.schema, &relation.name), rule_part(&column.name))
}

/// The change of the rows that a role sees of a relation; none when there is none.
fn rows(before: &RolePolicy, after: &RolePolicy, relation: &Relation) -> Option<(Found, String)> {
    let scope = |role: &'_ RolePolicy| role.relation(relation.oid).and_then(|policy| policy.scope.clone());
    let (old, new) = (scope(before), scope(after));
    let same = |a: &Scope, b: &Scope| a.sql == b.sql && a.barrier == b.barrier;
    let sight = match (&old, &new) {
        (None, None) => return None,
        (Some(old), Some(new)) if same(old, new) => return None,
        (None, Some(_)) => Sight::Less,
        (Some(_), None) => Sight::More,
        (Some(_), Some(_)) => Sight::Else,
    };
    let shown = |scope: &Option<Scope>| match scope {
        None => "all rows".to_owned(),
        Some(scope) => {
            let barrier = if scope.barrier { " (barrier always)" } else { "" };
            scope.sql.fill_row("", Row { name: &relation.name, few: false }) + barrier
        }
    };
    let rule = new.as_ref().map_or_else(|| after.origin.clone(), |scope| scope.rule.to_string());
    let name = QualifiedName::new(&relation.schema, &relation.name).to_string();
    let what = What { kind: Kind::Rows, name: format!("rows of {name}") };
    Some(((sight, what, shown(&old), shown(&new)), rule))
}

/// As people read it.
fn word(sight: Sight) -> &'static str {
    match sight {
        Sight::More => "more",
        Sight::Else => "something else",
        Sight::Less => "less",
        Sight::Same => "the same",
    }
}
