//! Findings about row scopes. In: the compiled policy. Out: findings on what they cost.

use std::collections::BTreeSet;

use super::{Pass, SCOPE_FAILS};
use crate::{cli::output::Spot, names::QualifiedName};

pub(super) fn find(pass: &mut Pass<'_>) {
    let mut failing = BTreeSet::new();
    for role in pass.restricted() {
        for relation in pass.relations() {
            let scope = role.relation(relation.oid).and_then(|policy| policy.scope.as_ref());
            if let Some(scope) = scope.filter(|scope| scope.fails) {
                failing
                    .insert((QualifiedName::new(&relation.schema, &relation.name).to_string(), scope.rule.to_string()));
            }
        }
    }
    for (table, rule) in failing {
        let message = "has a row scope that can fail on a row, so it is evaluated before all that a statement asks for, as a barrier: the \
                       statement's own conditions find nothing by index. Compare columns of one type with each other, with constants, or with \
                       settings (tenant = current_setting('app.tenant')::int).";
        pass.add(SCOPE_FAILS, &table, message, Spot::of_origin(&rule, pass.files));
    }
}
