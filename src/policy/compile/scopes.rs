//! `rows`: which rows of a table a role sees → a [`Scope`] for each relation. Invariants: a partition or child is scoped
//! as its parent is; a view that reads a scoped relation has a scope of its own, or is refused.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    condition::condition,
    inherit::is_view,
    subjects::{CONDITION_HELP, table},
};
use crate::{
    catalog::CatalogSnapshot,
    names::{Oid, QualifiedName},
    policy::{
        Scope,
        rules::{Barrier, Complaints, RoleRule, RuleSet},
    },
    sql::{Token, lex},
};

/// What one role sees some rows of.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    pub scopes: HashMap<Oid, Scope, FixedState>,
    /// Views that read scoped relations, and why they are refused.
    pub refused: HashMap<Oid, String, FixedState>,
}

/// Resolves the `rows` of a role.
pub(super) fn scopes(
    role: &RoleRule,
    rules: &RuleSet,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> Scopes {
    let mut found = Scopes::default();
    let mut named: HashSet<Oid> = HashSet::new();
    for rows in &role.settings.rows {
        let Some(relation) = table(&rows.table, rows.at, catalog, complaints) else { continue };
        named.insert(relation.oid);
        let origin: Arc<str> = rules.origin(rows.at);
        let mut family = vec![relation.oid];
        let mut next = 0;
        while let Some(member) = family.get(next).and_then(|oid| catalog.relation(*oid)) {
            next += 1;
            match condition(&rows.condition, member, catalog) {
                Ok(condition) => {
                    let needs = condition.needs();
                    let (sql, fails) = (condition.sql, condition.fails);
                    let barrier = fails || rows.barrier == Barrier::Always;
                    let joins = holds_query(&rows.condition);
                    let settled = condition.settled.into_iter().collect();
                    let scope = Scope { sql, needs, barrier, fails, settled, joins, rule: Arc::clone(&origin) };
                    // A child that has rows of its own keeps to those of its parent as well.
                    found.scopes.entry(member.oid).and_modify(|own| *own = both(own, &scope)).or_insert(scope);
                }
                Err(why) => {
                    let name = QualifiedName::new(&member.schema, &member.name);
                    let message = format!("this condition cannot be used on {name}: {why}");
                    complaints.add_with_help(rows.at, message, CONDITION_HELP);
                }
            }
            for child in catalog.children(member.oid) {
                if !family.contains(child) {
                    family.push(*child);
                }
            }
        }
    }
    for rows in &role.settings.rows {
        let Some(relation) = table(&rows.table, rows.at, catalog, complaints) else { continue };
        if let Some(parent) = catalog.parents(relation.oid).iter().find(|parent| !found.scopes.contains_key(parent))
            && let Some(parent) = catalog.relation(*parent)
        {
            let (child, parent) = (
                QualifiedName::new(&relation.schema, &relation.name),
                QualifiedName::new(&parent.schema, &parent.name),
            );
            let message = format!("the rows of {child} are seen through {parent} too, which has no rows");
            complaints.add_with_help(
                rows.at,
                message,
                format!("Name {parent}: it covers its partitions and children."),
            );
        }
    }
    if !found.scopes.is_empty() {
        refuse_views(catalog, &named, &mut found);
    }
    found
}

/// Whether `text`, on rows of `relation`, is the condition of a scope.
pub(in crate::policy) fn is_condition_of(scope: &Scope, text: &str, relation: Oid, catalog: &CatalogSnapshot) -> bool {
    let condition = catalog.relation(relation).and_then(|relation| condition(text, relation, catalog).ok());
    condition.is_some_and(|condition| condition.sql.text() == scope.sql.text())
}

/// Whether a condition holds a sub-select; what cannot be read may.
fn holds_query(sql: &str) -> bool {
    let begins = |token: &Token| ["select", "values", "table", "with"].iter().any(|word| token.is_word(word));
    lex::lex(sql).map_or(true, |tokens| tokens.iter().any(begins))
}

fn both(a: &Scope, b: &Scope) -> Scope {
    let sql = crate::policy::SqlTemplate::new(&format!("({}) AND ({})", a.sql.text(), b.sql.text()));
    let captures = a.sql.captures().iter().chain(b.sql.captures()).cloned();
    let needs = a.needs.iter().chain(&b.needs).copied().collect();
    let (barrier, fails, joins) = (a.barrier || b.barrier, a.fails || b.fails, a.joins || b.joins);
    let settled = a.settled.iter().chain(&b.settled).copied().collect();
    Scope { sql: sql.capturing(captures), needs, barrier, fails, settled, joins, rule: Arc::clone(&a.rule) }
}

fn refuse_views(catalog: &CatalogSnapshot, named: &HashSet<Oid>, found: &mut Scopes) {
    let views: Vec<_> = catalog.data().relations.iter().filter(|relation| is_view(relation.kind)).collect();
    // Views over views: until nothing is added.
    loop {
        let before = found.refused.len();
        for view in &views {
            if found.refused.contains_key(&view.oid) || named.contains(&view.oid) {
                continue;
            }
            let source =
                view.uses_columns.iter().map(|used| used.relation).find(|oid| {
                    *oid != view.oid && (found.scopes.contains_key(oid) || found.refused.contains_key(oid))
                });
            if let Some(source) = source.and_then(|oid| catalog.relation(oid)) {
                let why = format!("it reads {}, of which this role sees some rows only", source.name);
                found.refused.insert(view.oid, why);
            }
        }
        if found.refused.len() == before {
            return;
        }
    }
}
