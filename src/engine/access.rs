//! What a bound statement accesses, in the words of the audit log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    pipeline::Run,
    plan::{Access, ColumnAccess, Stored, Usage},
};
use crate::{
    bind::{Assigned, Bound, ColumnMark, Deps, Role, Usages},
    names::rule_part,
    policy::Treatment,
    rewrite::Searched,
};

const USAGES: &[(Usages, Usage)] = &[
    (Usages::PROJECTED, Usage::Projected),
    (Usages::PREDICATE, Usage::Predicate),
    (Usages::JOIN, Usage::Join),
    (Usages::GROUP, Usage::Group),
    (Usages::ORDER, Usage::Order),
    (Usages::WRITTEN, Usage::Written),
    (Usages::RETURNED, Usage::Returned),
    (Usages::STORED, Usage::Stored),
    (Usages::ARGUMENT, Usage::Argument),
];

/// Behind the treatment of a column that is used otherwise too, and compared by its stored value.
pub const AND_EXACT: &str = " + exact";

/// The columns that a statement uses, with their types.
pub(super) fn typed_by(bound: &Bound, run: &Run<'_>) -> Box<str> {
    let used = bound.relations.iter().filter_map(|used| Some((used, run.inputs.catalog.relation(used.oid)?)));
    let columns = used.flat_map(|(used, relation)| {
        let columns = relation.columns.iter().zip(&used.marks).filter(|(_, mark)| mark.usages != Usages::default());
        columns.map(|(column, _)| format!("{}.{}:{} ", relation.name, column.name, column.type_oid.0))
    });
    columns.collect::<BTreeSet<_>>().into_iter().collect::<String>().into()
}

/// The access of one statement.
///
/// `exact` lists the columns whose stored values the statement compares, `searched` says with how many values.
pub(super) fn access(
    bound: &Bound,
    exact: &[(usize, usize)],
    searched: Searched,
    run: &Run<'_>,
    text: String,
    decision: &'static str,
) -> Access {
    let mut relations = BTreeSet::new();
    let mut oids = Vec::new();
    let mut columns: BTreeMap<Arc<str>, ColumnAccess> = BTreeMap::new();
    let mut rules = BTreeSet::new();
    let mut compared = BTreeSet::new();
    let mut discloses = false;
    for (id, used) in bound.relations.iter().enumerate() {
        let Some(relation) = run.inputs.catalog.relation(used.oid) else { continue };
        // A temporary one belongs to the session, and nobody else touches it.
        let lasting = !relation.is_system() && !run.inputs.catalog.is_temporary(relation);
        if lasting && !oids.contains(&used.oid) {
            oids.push(used.oid);
        }
        let table = [&*rule_part(&relation.schema), ".", &*rule_part(&relation.name)].concat();
        relations.insert(Arc::from(table.as_str()));
        let Some(policy) = run.role.relation(used.oid) else { continue };
        // What a condition compares or an order shows, an answer tells, be it a number of rows.
        let shown = Usages(Usages::PROJECTED.0 | Usages::RETURNED.0 | Usages::COMPARED.0);
        rules.extend(policy.scope.iter().map(|scope| Arc::clone(&scope.rule)));
        for (position, mark) in used.marks.iter().enumerate() {
            let (Some(rule), Some(column)) = (policy.columns.get(position), relation.columns.get(position)) else {
                continue;
            };
            let unclassified = rule.category.is_none();
            if mark.usages == Usages::default() || !(rule.personal || unclassified) || relation.is_system() {
                continue;
            }
            let name: Arc<str> = [table.as_str(), ".", &*rule_part(&column.name)].concat().into();
            discloses |= mark.usages.any(shown) && rule.personal && rule.shows_stored();
            let usage = USAGES.iter().filter(|(set, _)| mark.usages.any(*set)).map(|(_, usage)| *usage);
            let entry = columns.entry(Arc::clone(&name)).or_insert_with(|| ColumnAccess {
                column: name,
                category: rule.category.clone().unwrap_or_else(|| "unclassified".into()),
                usage: Vec::new(),
                treatment: rule.treatment.label().into(),
            });
            if exact.contains(&(id, position)) {
                compared.insert(Arc::clone(&entry.column));
            }
            entry.usage.extend(usage);
            entry.usage.sort_unstable();
            entry.usage.dedup();
            rules.insert(Arc::clone(&rule.rule));
        }
    }
    for column in columns.values_mut().filter(|column| compared.contains(&column.column)) {
        let searched_alone = column.usage.iter().all(|usage| matches!(usage, Usage::Predicate | Usage::Join));
        column.treatment =
            if searched_alone { "exact".into() } else { format!("{}{AND_EXACT}", column.treatment).into() };
    }
    let grants = run.role.grants.iter().filter(|grant| {
        let opened = |column: &ColumnAccess| grant.categories.contains(&column.category);
        columns.values().any(opened)
    });
    let masked = bound.outputs.iter().filter(|output| {
        output.deps.iter().any(|(id, position)| {
            let policy = bound.relations.get(*id).and_then(|used| run.role.relation(used.oid));
            policy
                .and_then(|policy| policy.columns.get(*position))
                .is_some_and(|rule| rule.treatment != Treatment::Clear)
        })
    });
    Access {
        text: text.into(),
        relations: relations.into_iter().collect(),
        oids,
        fills: false,
        keeps_masks: Vec::new(),
        masked_outputs: u32::try_from(masked.count()).unwrap_or(u32::MAX),
        grants: grants.cloned().collect(),
        columns: columns.into_values().collect(),
        decision,
        discloses,
        stored: Stored::Nothing,
        searched,
        login: None,
        observed: None,
        typed_by: Box::default(),
        rules: rules.into_iter().collect(),
    }
}

/// Whether a value that is computed of these columns may be a mask, or hold one.
pub(super) fn masked(deps: &Deps, bound: &Bound, run: &Run<'_>) -> bool {
    deps.iter().any(|(id, position)| {
        let Some(used) = bound.relations.get(*id) else { return true };
        let catalog = &run.inputs.catalog;
        if catalog.relation(used.oid).is_none_or(|relation| catalog.holds_masks(relation)) {
            return true;
        }
        let Some(policy) = run.role.relation(used.oid) else { return false };
        let Some(rule) = policy.columns.get(*position) else { return policy.protected };
        // Behind a gate a value is the stored one or NULL.
        let gated = rule.gate.as_ref().is_some_and(|gate| gate.clear);
        rule.treatment != Treatment::Clear && !gated
    })
}

/// Whether what other tables hold goes into a temporary one.
pub(super) fn fills(bound: &Bound, run: &Run<'_>) -> bool {
    let temporary = |id: usize| {
        let used = bound.relations.get(id).and_then(|used| run.inputs.catalog.relation(used.oid));
        used.is_some_and(|relation| run.inputs.catalog.is_temporary(relation))
    };
    bound.assigned.iter().any(|assigned| temporary(assigned.relation))
        && (0..bound.relations.len()).any(|id| !temporary(id))
}

/// The temporary tables that take in masks.
pub(super) fn keeps_masks(bound: &Bound, run: &Run<'_>) -> Vec<Box<str>> {
    let mut kept = Vec::new();
    for assigned in &bound.assigned {
        let target = bound.relations.get(assigned.relation);
        let target = target.and_then(|used| run.inputs.catalog.relation(used.oid));
        let target = target.filter(|target| run.inputs.catalog.is_temporary(target));
        if let Some(target) = target
            && masked(&assigned.deps, bound, run)
        {
            kept.push(target.name.as_str().into());
        }
    }
    kept.sort();
    kept.dedup();
    kept
}

/// What of a statement reaches a place from which it is read uncounted: a temporary table, or a column that is in no personal category; `kind` is
/// that of the query or data modification itself.
pub(super) fn stored(bound: &Bound, kind: &str, run: &Run<'_>) -> Stored {
    let rule = |(id, position): &(usize, usize)| {
        let policy = bound.relations.get(*id).and_then(|used| run.role.relation(used.oid));
        policy.and_then(|policy| policy.columns.get(*position))
    };
    let shows = |column: &(usize, usize)| rule(column).is_some_and(|rule| rule.personal && rule.shows_stored());
    let elsewhere = |assigned: &&Assigned| {
        let target = bound.relations.get(assigned.relation);
        let target = target.and_then(|used| run.inputs.catalog.relation(used.oid));
        let temporary = target.is_some_and(|target| run.inputs.catalog.is_temporary(target));
        let counted = rule(&(assigned.relation, assigned.column)).is_some_and(|rule| rule.personal);
        temporary || !counted
    };
    let mut kept = bound.assigned.iter().filter(elsewhere).peekable();
    if kept.peek().is_none() {
        return Stored::Nothing;
    }
    let values = kept.any(|assigned| assigned.deps.iter().any(shows));
    let targets = bound.relations.iter().filter(|used| used.role != Role::Source).count();
    // What is compared decides what is stored where it comes from another relation: `SET n = (SELECT d FROM … WHERE phone = d)`.
    let decided = || {
        let reads = bound.relations.iter().any(|used| used.role == Role::Source);
        reads
            && bound.relations.iter().enumerate().any(|(id, used)| {
                let compared = |(position, mark): (usize, &ColumnMark)| {
                    mark.usages.any(Usages::COMPARED) && shows(&(id, position))
                };
                used.marks.iter().enumerate().any(compared)
            })
    };
    let alone = targets == 1 && matches!(kind, "INSERT" | "UPDATE" | "MERGE");
    // Rows that are returned are counted.
    if !values && (!decided() || (alone && bound.returns_rows)) {
        return Stored::Nothing;
    }
    // With RETURNING a portal may be left before its end, and of several targets the tag counts one.
    if alone && !bound.returns_rows { Stored::Counted } else { Stored::Uncounted }
}
