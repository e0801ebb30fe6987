//! Findings about what depends on columns that a role does not see in clear: keys, views, generated columns, functions,
//! indexes, partition keys, foreign keys.

use std::collections::{BTreeMap, HashSet};

use super::{
    FOREIGN_KEY, FOREIGN_KEY_CLEAR, FUNCTION, FUNCTION_ALLOWED, FUNCTION_OPAQUE, FUNCTION_RUNS_SQL, GENERATED,
    GENERATED_CLEAR, INDEX, INDEX_EXPRESSION, NO_DEPENDENTS, PARTITION_KEY, PRIMARY_KEY, Pass, UNIQUE_KEY, VIEW,
    column_name, table_name,
};
use crate::{
    catalog::{
        Relation,
        data::RelationKind,
        dependents::{Dependents, FunctionUsesData},
    },
    cli::output::Spot,
    names::{AttNum, Oid, QualifiedName},
    policy::RelationPolicy,
};

pub(super) fn find(pass: &mut Pass<'_>) {
    for relation in pass.relations() {
        view(pass, relation);
        generated(pass, relation);
    }
    let catalog = pass.catalog;
    let Some(dependents) = &catalog.data().dependents else {
        for relation in pass.relations() {
            primary_key(pass, relation, &relation.primary_key);
        }
        let message = "says nothing of indexes, foreign keys, partition keys and functions; dump it anew";
        return pass.add(NO_DEPENDENTS, "catalog file", message, None);
    };
    indexes(pass, dependents);
    foreign_keys(pass);
    functions(pass, dependents);
    opaque_functions(pass, dependents);
    for key in &dependents.partition_keys {
        let Some(relation) = pass.relation(key.relation) else { continue };
        if let Some((columns, hidden)) = pass.hidden_among(key.relation, &key.columns) {
            let message = format!(
                "is partitioned by {} ({}); in which partition a row is, tells of it",
                columns.join(", "),
                hidden.who
            );
            pass.add(PARTITION_KEY, &table_name(relation), message, hidden.spot);
        }
    }
}

/// Whether everything of the relation is said of a parent by inheritance.
fn is_child(pass: &Pass<'_>, relation: Oid) -> bool {
    !pass.catalog.parents(relation).is_empty()
}

fn primary_key(pass: &mut Pass<'_>, relation: &Relation, key: &[AttNum]) {
    if is_child(pass, relation.oid) {
        return;
    }
    for column in key.iter().filter_map(|number| relation.column_numbered(*number)) {
        if let Some(hidden) = pass.hidden_classified(relation.oid, column.attnum) {
            let message = format!("is part of the primary key and not in clear ({})", hidden.who);
            pass.add(PRIMARY_KEY, &column_name(relation, column), message, hidden.spot);
        }
    }
}

fn view(pass: &mut Pass<'_>, view: &Relation) {
    let is_view = matches!(view.kind, RelationKind::View | RelationKind::MaterializedView);
    if !is_view {
        return;
    }
    let guarded = pass.restricted().any(|role| role.relation(view.oid).is_some_and(RelationPolicy::is_governed));
    let mut names = Vec::new();
    let mut first = None;
    for used in &view.uses_columns {
        let Some(source) = pass.catalog.relation(used.relation).filter(|source| !source.is_system()) else { continue };
        // An edge to the relation as a whole says that rows are used, whichever columns: `count(*)`, or all of them.
        let columns: Vec<AttNum> = match used.column {
            Some(column) => vec![column],
            None if guarded => source.columns.iter().map(|column| column.attnum).collect(),
            None => continue,
        };
        if let Some((hidden, who)) = pass.hidden_among(used.relation, &columns) {
            names.extend(hidden);
            first.get_or_insert(who);
        }
    }
    names.sort();
    names.dedup();
    if let Some(hidden) = first {
        let message = format!(
            "reads {}, not in clear for every role ({}); the matrix shows how its columns are treated",
            names.join(", "),
            hidden.who
        );
        pass.add(VIEW, &table_name(view), message, pass.spot_of_table(view).or(hidden.spot));
    }
}

fn generated(pass: &mut Pass<'_>, relation: &Relation) {
    for column in &relation.columns {
        let Some(from) = &column.generated_from else { continue };
        let Some((sources, hidden)) = pass.hidden_among(relation.oid, from) else { continue };
        let name = column_name(relation, column);
        let mut open: Vec<&str> = pass
            .restricted()
            .filter(|role| !pass.hides(role, relation.oid, column.attnum))
            .filter(|role| from.iter().any(|source| pass.hides(role, relation.oid, *source)))
            .map(|role| role.name.as_str())
            .collect();
        open.dedup();
        if open.is_empty() {
            let message =
                format!("is generated from {}, not in clear for every role ({})", sources.join(", "), hidden.who);
            pass.add(GENERATED, &name, message, hidden.spot);
        } else {
            let message = format!(
                "is in clear for {}, and generated from {}, which is not ({})",
                open.join(", "),
                sources.join(", "),
                hidden.who
            );
            pass.add(GENERATED_CLEAR, &name, message, pass.spot_of_column(relation, column));
        }
    }
}

fn indexes(pass: &mut Pass<'_>, dependents: &Dependents) {
    let mut ordered = HashSet::new();
    for index in &dependents.indexes {
        let Some(relation) = pass.relation(index.relation) else { continue };
        if is_child(pass, relation.oid) {
            continue;
        }
        let name = format!("index {}", QualifiedName::new(&relation.schema, &index.name));
        if index.primary {
            primary_key(pass, relation, &index.keys);
        } else if index.unique {
            for column in index.keys.iter().filter_map(|number| relation.column_numbered(*number)) {
                if let Some(hidden) = pass.hidden_classified(relation.oid, column.attnum) {
                    let message = format!(
                        "is unique by {name} and not in clear ({}); whoever may insert can try values",
                        hidden.who
                    );
                    pass.add(UNIQUE_KEY, &column_name(relation, column), message, hidden.spot);
                }
            }
        } else if index.ordered && ordered.insert((index.relation, &index.keys)) {
            // Another one over the same columns, as Django makes for LIKE, says nothing new.
            order_kept(pass, relation, &index.keys, &name);
        }
        if let Some((columns, hidden)) = pass.hidden_among(index.relation, &classified(pass, relation, &index.uses)) {
            let message = format!("computes from {} ({}); its definition is readable", columns.join(", "), hidden.who);
            pass.add(INDEX_EXPRESSION, &name, message, hidden.spot);
        }
    }
}

/// Those of the columns that are in a category, and that some role does not see.
fn classified(pass: &Pass<'_>, relation: &Relation, columns: &[AttNum]) -> Vec<AttNum> {
    let known = |number: &&AttNum| pass.hidden_classified(relation.oid, **number).is_some();
    columns.iter().filter(known).copied().collect()
}

fn order_kept(pass: &mut Pass<'_>, relation: &Relation, keys: &[AttNum], name: &str) {
    let Some((columns, hidden)) = pass.hidden_among(relation.oid, &classified(pass, relation, keys)) else { return };
    let message = format!(
        "keeps the order of {} ({}); rows read by it without ORDER BY stand in that order",
        columns.join(", "),
        hidden.who
    );
    pass.add(INDEX, name, message, hidden.spot);
}

fn foreign_keys(pass: &mut Pass<'_>) {
    for key in &pass.catalog.data().foreign_keys {
        let (Some(own), Some(target)) = (pass.relation(key.relation), pass.relation(key.target)) else {
            continue;
        };
        for (number, other) in key.columns.iter().zip(&key.target_columns) {
            let (Some(column), Some(referenced)) = (own.column_numbered(*number), target.column_numbered(*other))
            else {
                continue;
            };
            let names = (column_name(own, column), column_name(target, referenced));
            let mut open: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
            for role in pass.restricted() {
                let known = |relation: Oid, number: AttNum| pass.hidden_classified(relation, number).is_some();
                let pair = match (pass.hides(role, own.oid, *number), pass.hides(role, target.oid, *other)) {
                    (false, true) => (names.0.as_str(), names.1.as_str()),
                    (true, false) => (names.1.as_str(), names.0.as_str()),
                    (true, true) | (false, false) => continue,
                };
                // Of a column in no category nobody has said yet what it is.
                if !known(own.oid, *number) && !known(target.oid, *other) {
                    continue;
                }
                open.entry(pair).or_default().push(&role.name);
            }
            for ((clear, hidden), mut roles) in open {
                roles.dedup();
                let message = format!(
                    "holds the values of {hidden} by foreign key {}; {} sees the first in clear and not the second",
                    key.name,
                    roles.join(", ")
                );
                let spot = if clear == names.0 { pass.spot_of_column(own, column) } else { None };
                let spot = spot.or_else(|| pass.spot_of_column(target, referenced));
                pass.add(FOREIGN_KEY_CLEAR, clear, message, spot);
            }
            if let Some(hidden) = pass.hidden_classified(own.oid, *number) {
                let message =
                    format!("references {} by foreign key {} and is not in clear ({})", names.1, key.name, hidden.who);
                pass.add(FOREIGN_KEY, &names.0, message, hidden.spot);
            }
        }
    }
}

/// Functions that roles may call and of which nothing is known: their bodies are strings, or not SQL. Worst are those that may run
/// what is handed to them: what a caller writes there is no statement that pgscrim sees.
fn opaque_functions(pass: &mut Pass<'_>, dependents: &Dependents) {
    for function in &pass.catalog.data().functions {
        let known = dependents.function_uses.iter().any(|used| used.function == function.oid);
        let callers = || pass.restricted().filter(|role| role.functions.contains(&function.oid));
        let runs = dependents.runs_sql.contains(&function.oid);
        let Some(first) = callers().next().filter(|_| runs || !known) else { continue };
        let mut names: Vec<&str> = callers().map(|role| role.name.as_str()).collect();
        names.dedup();
        let definer = if function.security_definer { " with the rights of its owner" } else { "" };
        let names = names.join(", ");
        let (code, message) = if runs {
            let message = format!(
                "may be called by {names}{definer}, and its body may run SQL that comes in an argument or a setting: who calls it \
                 could read anything unmasked that the login, or its owner, may read; take it off the list, or give it arguments that \
                 cannot be SQL"
            );
            (FUNCTION_RUNS_SQL, message)
        } else {
            let message = format!(
                "may be called by {names}{definer}; what it reads is not known, and what it returns is not masked"
            );
            (FUNCTION_OPAQUE, message)
        };
        let object = format!("function {}", QualifiedName::new(&function.schema, &function.name));
        let spot = Spot::of_origin(&first.origin, pass.files);
        pass.add(code, &object, message, spot);
    }
}

fn functions(pass: &mut Pass<'_>, dependents: &Dependents) {
    let mut by_function: BTreeMap<Oid, Vec<&FunctionUsesData>> = BTreeMap::new();
    for used in &dependents.function_uses {
        by_function.entry(used.function).or_default().push(used);
    }
    for (function, uses) in by_function {
        let Some(one) = uses.first() else { continue };
        let object = format!("function {}", QualifiedName::new(&one.schema, &one.name));
        let mut columns = Vec::new();
        let mut first = None;
        let mut allowed = Vec::new();
        for FunctionUsesData { relation, column, .. } in uses {
            let relation = *relation;
            let Some(data) = pass.relation(relation) else { continue };
            let numbers: Vec<AttNum> = match column {
                Some(column) => vec![*column],
                None => data.columns.iter().map(|column| column.attnum).collect(),
            };
            if let Some((names, hidden)) = pass.hidden_among(relation, &numbers) {
                columns.extend(names);
                first.get_or_insert(hidden);
            }
            let callers = pass.restricted().filter(|role| role.functions.contains(&function));
            let blind = callers.filter(|role| numbers.iter().any(|number| pass.hides(role, relation, *number)));
            allowed.extend(blind.map(|role| (role.name.as_str(), role.origin.as_str())));
        }
        let Some(hidden) = first else { continue };
        columns.sort();
        columns.dedup();
        allowed.dedup();
        if allowed.is_empty() {
            let message = format!("reads {} ({})", columns.join(", "), hidden.who);
            pass.add(FUNCTION, &object, message, None);
        }
        for (role, origin) in allowed {
            let message = format!(
                "may be called by {role} and reads {}, which {role} does not see in clear; what it returns is not masked",
                columns.join(", ")
            );
            pass.add(FUNCTION_ALLOWED, &object, message, Spot::of_origin(origin, pass.files));
        }
    }
}
