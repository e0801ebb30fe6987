//! Functions: what may run, and which one a name means that both `pg_catalog` and the database have.

use super::{
    Edits, Job, calls,
    check::{at, runs_unlisted},
};
use crate::{
    bind::FunctionUse,
    catalog::{
        data::FunctionData,
        functions::{Builtin, builtin},
        overloads::{Choice, Typed},
    },
    error::{Refusal, RefusalCode},
    names::{FIRST_USER_OID, Oid},
    sql::keywords,
};

/// Whether a function of the database may run.
pub(super) fn is_allowed(job: &Job<'_>, function: &FunctionData) -> bool {
    job.role.functions.contains(&function.oid) || job.catalog.runs_unlisted(function)
}

/// Judges a call; a call of a built-in function that one of the database could be taken for is printed with its schema.
///
/// # Errors
/// [`RefusalCode::FunctionNotAllowed`].
pub(super) fn check_function(job: &Job<'_>, function: &FunctionUse, edits: &mut Edits) -> Result<(), Refusal> {
    let name = &function.name;
    let denied = |hint: &str| {
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("permission denied for function {name}"));
        Err(at(job, refusal.with_hint(hint), function.token))
    };
    let refuse =
        || denied("Only functions that depend on their arguments alone, and those that the rules list, may run.");
    let unknown = || {
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("function {name} does not exist"))
            .with_hint("No function of this name is known.")
            .with_sqlstate("42883");
        Err(at(job, refusal, function.token))
    };
    // Grammar constructs such as COALESCE are keywords that no function can take the place of, but for two that are looked up when
    // their arguments are parted by commas.
    let grammar = function.schema.is_none()
        && !function.quoted
        && !matches!(name.as_str(), "substring" | "overlay")
        && matches!(keywords::category(name), Some(keywords::Category::ColumnName | keywords::Category::Reserved));
    let system = match function.schema.as_deref() {
        None | Some("pg_catalog") => builtin(name),
        // information_schema's own helpers read the catalogs only.
        Some("information_schema") if name.starts_with("_pg_") => Some(Builtin::Allowed),
        Some(_) => None,
    };
    if grammar {
        return match builtin(name) {
            Some(Builtin::Refused) => refuse(),
            Some(Builtin::Allowed) | None => Ok(()),
        };
    }
    let users: Vec<&FunctionData> = job
        .catalog
        .functions_named(name)
        .filter(|user| function.schema.as_deref().is_none_or(|schema| schema == user.schema))
        .collect();
    // A call of one argument is a cast where a type has that name, unless a function of that name fits exactly.
    let casts = function.schema.is_none() && job.catalog.types_named(name).any(|kind| runs_unlisted(job.role, kind));
    if casts && (system != Some(Builtin::Allowed) || !users.is_empty()) {
        return denied(
            "The database has a type of this name, a cast to which runs a function that the rules do not list. Write the schema of the function \
             before its name.",
        );
    }
    if users.is_empty() {
        return match system {
            Some(Builtin::Allowed) => {
                if casts {
                    edits.prefix(function.token, "pg_catalog.".to_owned());
                }
                Ok(())
            }
            Some(Builtin::Refused) => calls::refused_but(job, function, edits).unwrap_or_else(refuse),
            None => unknown(),
        };
    }
    // An argument becomes of the type that the function takes.
    let runs = |oid: &Oid| {
        let kind = job.catalog.data().types.iter().find(|kind| kind.oid == *oid && *oid >= FIRST_USER_OID);
        kind.is_some_and(|kind| runs_unlisted(job.role, kind))
    };
    if users
        .iter()
        .any(|user| user.extension.is_none() && is_allowed(job, user) && user.argument_types.iter().any(runs))
    {
        return denied(
            "It takes a value of a type that runs a function which the rules do not list, when a constant becomes one.",
        );
    }
    let allowed = users.iter().all(|user| is_allowed(job, user));
    match system {
        Some(Builtin::Allowed) | None if allowed => Ok(()),
        Some(Builtin::Refused) | None => refuse(),
        Some(Builtin::Allowed) => match meant(job, function, &users) {
            Meant::Builtin => {
                // A schema that the client writes is that one.
                if function.schema.is_none() {
                    edits.prefix(function.token, "pg_catalog.".to_owned());
                }
                Ok(())
            }
            Meant::Listed => Ok(()),
            Meant::Unlisted => denied(
                "The database has a function of this name for such arguments, and the rules do not list it. Write \
                 pg_catalog.name(…) for the built-in one.",
            ),
            Meant::Unclear => denied(
                "The database has a function of this name beside the built-in one, and which of them is meant cannot be told. Cast the \
                 arguments, or write pg_catalog.name(…) for the built-in one.",
            ),
        },
    }
}

/// Which function a name means that both `pg_catalog` and the database have.
enum Meant {
    Builtin,
    /// One of the database, which may run.
    Listed,
    Unlisted,
    Unclear,
}

/// Asks the types of the arguments. What is taken for the built-in function is printed so, and runs nothing of the database whatever
/// the types turn out to be.
fn meant(job: &Job<'_>, function: &FunctionUse, users: &[&FunctionData]) -> Meant {
    let in_pg_catalog = |user: &&FunctionData| user.schema == "pg_catalog";
    let visible: Vec<&FunctionData> = match &function.schema {
        Some(_) => users.to_vec(),
        None => users.iter().copied().filter(|user| job.path.contains(&user.schema)).collect(),
    };
    let known = job.catalog.data().overloads.as_ref().zip(function.arguments.as_ref());
    let fits = |user: &FunctionData| known.is_none_or(|(overloads, arguments)| overloads.fits(user, arguments));
    let (listed, unlisted): (Vec<&FunctionData>, Vec<&FunctionData>) =
        visible.iter().copied().partition(|user| is_allowed(job, user));
    let fitting: Vec<&FunctionData> = unlisted.iter().copied().filter(|user| fits(user)).collect();
    if fitting.is_empty() {
        // What the client declares of a parameter could ask for another.
        let declared = |value: &Typed| matches!(value, Typed::Any | Typed::Row | Typed::Parameter);
        let sure = known.is_some_and(|(_, arguments)| !arguments.iter().any(declared));
        return match (listed.iter().any(|user| fits(user)), sure || unlisted.is_empty()) {
            (false, _) => Meant::Builtin,
            (true, true) => Meant::Listed,
            (true, false) => Meant::Unclear,
        };
    }
    let Some((overloads, arguments)) = known else { return Meant::Unclear };
    // What stands in pg_catalog itself is not kept out by its name.
    if fitting.iter().any(in_pg_catalog) {
        return Meant::Unclear;
    }
    match overloads.function(&function.name, arguments, visible.iter().copied(), job.path) {
        Choice::Builtin(_) => Meant::Builtin,
        Choice::User(user) if is_allowed(job, user) => Meant::Listed,
        Choice::User(_) => Meant::Unlisted,
        Choice::Unclear => Meant::Unclear,
    }
}
