//! Findings about functions of the database that run wherever values of a built-in type stand: casts between such types, and what compares
//! their values. No statement can be told not to run them, so a role that does not list them gets none through. In: the types of the
//! catalog. Out: findings.

use super::{Pass, RUNS_ANYWHERE};
use crate::{
    catalog::data::TypeData,
    cli::output::Spot,
    names::{FIRST_USER_OID, Oid, QualifiedName},
};

pub(super) fn find(pass: &mut Pass<'_>) {
    let catalog = pass.catalog;
    for kind in catalog.data().types.iter().filter(|kind| kind.oid < FIRST_USER_OID) {
        for (functions, does) in
            [(&kind.cast_by, "casts values of another built-in type to"), (&kind.compared_by, "compares values of")]
        {
            for function in functions {
                unlisted(pass, kind, *function, does);
            }
        }
    }
}

fn unlisted(pass: &mut Pass<'_>, kind: &TypeData, function: Oid, does: &str) {
    let without: Vec<_> = pass.restricted().filter(|role| !role.functions.contains(&function)).collect();
    let Some(first) = without.first() else { return };
    let mut names: Vec<&str> = without.iter().map(|role| role.name.as_str()).collect();
    names.dedup();
    let functions = &pass.catalog.data().functions;
    let known = functions.iter().find(|one| one.oid == function);
    let name =
        known.map_or_else(|| format!("{}", function.0), |one| QualifiedName::new(&one.schema, &one.name).to_string());
    let message = format!(
        "{does} {}, also where no statement says so, and is not listed: every statement of {} is refused; list it in `functions`, or drop \
         the cast or operator class",
        kind.name,
        names.join(", ")
    );
    let spot = Spot::of_origin(&first.origin, pass.files);
    pass.add(RUNS_ANYWHERE, &format!("function {name}"), message, spot);
}
