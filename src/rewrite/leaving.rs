//! Casts by functions of the database that no type in the text asks for: of values that leave a type of the database for a built-in one (a keyword
//! of the grammar, JSON, an argument), and of values that are assigned to one. In: the bound statement and which functions cast. Out: a refusal
//! where a function that the rules do not list could run.

use super::{
    Job,
    check::{at, is_shown_alone, unlisted},
    names::relation,
};
use crate::{
    bind::Assigned,
    catalog::{
        Column, Relation,
        data::{FunctionData, OperatorData, RelationKind, TypeData},
    },
    error::{Refusal, RefusalCode},
    names::{FIRST_USER_OID, Oid},
    sql::Kind,
};

/// `record`
const RECORD: Oid = Oid(2249);

/// Judges a statement.
///
/// # Errors
/// [`RefusalCode::TypeNotAllowed`].
pub(super) fn check(job: &Job<'_>) -> Result<(), Refusal> {
    let types = || job.catalog.data().types.iter();
    let leaving: Vec<&TypeData> = types().filter(|kind| unlisted(job.role, &kind.leaves_by)).collect();
    if !leaving.is_empty() {
        relations(job, &leaving)?;
        given(job, &leaving)?;
    }
    // Values of the database's types that are assigned to built-in ones leave theirs.
    let entered = types().filter(|kind| kind.oid >= FIRST_USER_OID && unlisted(job.role, &kind.assigned_by));
    let entered: Vec<&TypeData> = entered.collect();
    if entered.is_empty() {
        return Ok(());
    }
    for assigned in job.bound.assigned.iter().filter(|assigned| !assigned.default) {
        let used = job.bound.relations.get(assigned.relation);
        let data = used.map(|used| relation(job, used)).transpose()?;
        let column = data.and_then(|data| data.columns.get(assigned.column));
        // One that is not known may be of any type.
        if column.is_none_or(|column| enters(job, &entered, column)) && !is_constant(job, assigned) {
            let name = column.map_or("", |column| column.name.as_str());
            let place = used.map_or(0, |used| used.name.start);
            return Err(at(job, refused(&format!("column {name}"), ASSIGNED), place));
        }
    }
    Ok(())
}

const LEAVES: &str = "A cast from it to another type runs a function that the rules do not list (CREATE CAST). A column may be shown as it is, by a query \
     without others inside.";
const ASSIGNED: &str = "A value of another type that is assigned to it is cast by a function that the rules do not list (CREATE CAST). Write a \
     constant.";

fn refused(what: &str, hint: &str) -> Refusal {
    Refusal::new(RefusalCode::TypeNotAllowed, format!("{what} is of a type that is not allowed")).with_hint(hint)
}

fn relations(job: &Job<'_>, leaving: &[&TypeData]) -> Result<(), Refusal> {
    for (id, used) in job.bound.relations.iter().enumerate() {
        let data = relation(job, used)?;
        let is_row = |kind: &&&TypeData| kind.kind == 'c' && kind.name == data.name && kind.schema == data.schema;
        let whole = used.whole_row.is_some();
        if whole && leaving.iter().any(|kind| is_row(&kind)) {
            return Err(at(job, refused(&format!("a row of {}", data.name), LEAVES), used.name.start));
        }
        for (position, (column, mark)) in data.columns.iter().zip(&used.marks).enumerate() {
            let leaves = leaving.iter().any(|kind| kind.oid == column.type_oid);
            if leaves && (whole || (mark.used && !is_shown_alone(job, id, position))) {
                return Err(at(job, refused(&format!("column {}", column.name), LEAVES), used.name.start));
            }
        }
        if data.kind == RelationKind::View && makes_json_of(job, leaving, data) {
            let refusal = refused(&format!("what view {} reads", data.name), LEAVES);
            return Err(at(job, refusal, used.name.start));
        }
    }
    Ok(())
}

/// Whether a view, or one below it, may hand such values to functions of JSON: what these cast is recorded nowhere.
fn makes_json_of(job: &Job<'_>, leaving: &[&TypeData], view: &Relation) -> bool {
    let (mut open, mut seen) = (vec![view], vec![view.oid]);
    let (mut json, mut reads) = (false, false);
    while let Some(data) = open.pop() {
        reads |= data.columns.iter().any(|column| leaving.iter().any(|kind| kind.oid == column.type_oid));
        if data.kind == RelationKind::View {
            json |= data.definition.as_ref().is_none_or(|text| text.to_ascii_lowercase().contains("json"));
            for used in data.uses_columns.iter().filter_map(|used| job.catalog.relation(used.relation)) {
                if !seen.contains(&used.oid) {
                    seen.push(used.oid);
                    open.push(used);
                }
            }
        }
    }
    json && reads
}

/// Functions and operators of the database that give such values.
fn given(job: &Job<'_>, leaving: &[&TypeData]) -> Result<(), Refusal> {
    let is_one = |oid: Oid| leaving.iter().any(|kind| kind.oid == oid);
    for function in &job.bound.functions {
        let gives = |user: &FunctionData| {
            user.extension.is_none() && user.result_type.is_none_or(|result| result == RECORD || is_one(result))
        };
        if job.catalog.functions_named(&function.name).any(gives) {
            return Err(at(job, refused(&format!("what function {} gives", function.name), LEAVES), function.token));
        }
    }
    for (index, token) in job.tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Operator) {
        let gives = |user: &OperatorData| user.result.is_some_and(is_one);
        if job.catalog.operators_named(token.name()).any(gives) {
            return Err(at(job, refused(&format!("what operator {} gives", token.name()), LEAVES), index));
        }
    }
    Ok(())
}

/// Whether a value that is assigned to a column may be cast to one of these types: its own, that of its elements, or what its domain is made of.
fn enters(job: &Job<'_>, entered: &[&TypeData], column: &Column) -> bool {
    let base = job.catalog.base_type(column.type_oid);
    entered.iter().any(|kind| {
        let element = job.catalog.data().types.iter().filter(|other| other.array_oid == Some(base));
        kind.oid == base
            || kind.array_oid == Some(base)
            || element.into_iter().any(|element| job.catalog.base_type(element.oid) == kind.oid)
            || column.type_kind == 'c'
    })
}

/// Whether each value of an assignment is a string or NULL, which are read as values of the type. What a client declares a parameter to be is not
/// known here.
fn is_constant(job: &Job<'_>, assigned: &Assigned) -> bool {
    let plain = |range: &std::ops::Range<usize>| {
        let token = if range.len() == 1 { job.tokens.get(range.start) } else { None };
        token.is_some_and(|token| token.kind == Kind::Text || token.is_word("null") || token.is_word("default"))
    };
    match (&assigned.value, &assigned.rows) {
        (Some(value), _) => plain(value),
        (None, Some(rows)) => rows.iter().all(plain),
        (None, None) => false,
    }
}
