//! What tests of rules promise beside the columns of a statement: searches, rows, what is sent, documents, and what the role is. In: a
//! test and how its statement was planned. Out: what does not hold, one line each. Pure.

use crate::{
    catalog::CatalogSnapshot,
    engine::Plan,
    policy::{RolePolicy, rule_tests::Promised},
};

/// What of `promised` does not hold of a statement that was planned for `role`.
pub(super) fn broken(
    promised: &Promised,
    plan: Option<&Plan>,
    role: &RolePolicy,
    catalog: &CatalogSnapshot,
) -> Vec<String> {
    let Promised { search, rows, sends, documents, recipient, legal_duty } = promised;
    let mut problems = Vec::new();
    for (column, mode) in search {
        let accesses = plan.into_iter().flat_map(|plan| plan.statements.iter()).flat_map(|one| &one.access.columns);
        let treatments: Vec<&str> =
            accesses.filter(|access| *access.column == **column).map(|access| &*access.treatment).collect();
        let exact = treatments.iter().any(|treatment| treatment.split([',', ' ', ';']).any(|word| word == "exact"));
        if treatments.is_empty() {
            problems.push(format!("search: the statement does not use {column}"));
        } else if exact != (mode == "exact") {
            problems
                .push(format!("search: expected {mode} of {column}, got {}", if exact { "exact" } else { "masked" }));
        }
    }
    for (table, condition) in rows {
        let relation = table.split_once('.').and_then(|(schema, name)| catalog.relation_named(schema, name));
        let Some(relation) = relation else {
            problems.push(format!("rows: there is no table {table}"));
            continue;
        };
        match role.relation(relation.oid).and_then(|policy| policy.scope.as_ref()) {
            None => problems.push(format!("rows: the role sees all rows of {table}")),
            Some(scope) if scope.is_condition(condition, relation.oid, catalog) => {}
            Some(scope) => problems.push(format!("rows: the condition on {table} is another one ({})", scope.rule)),
        }
    }
    let sent = plan.map(|plan| without_space(plan.permit.text())).unwrap_or_default();
    for text in sends {
        if !sent.contains(&without_space(text)) {
            problems.push(format!("sends: what is sent does not hold {text} (`pgscrim explain` shows it)"));
        }
    }
    if let Some(documents) = documents {
        let statements = plan.into_iter().flat_map(|plan| plan.statements.iter());
        let mut got: Vec<&str> = statements.flat_map(|one| &one.access.grants).map(|grant| &*grant.document).collect();
        let mut wanted: Vec<&str> = documents.iter().map(String::as_str).collect();
        got.sort_unstable();
        wanted.sort_unstable();
        if got != wanted {
            problems.push(format!("documents: expected {}, got {}", wanted.join(", "), got.join(", ")));
        }
    }
    if let Some(recipient) = recipient.as_ref().filter(|recipient| **recipient != role.recipient) {
        problems.push(format!("recipient: expected {recipient}, got \"{}\"", role.recipient));
    }
    if let Some(duty) = legal_duty.filter(|duty| *duty != role.legal_duty) {
        problems.push(format!("legal_duty: expected {duty}, got {}", role.legal_duty));
    }
    problems
}

/// Key words are printed in the case that they happen to have.
fn without_space(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}
