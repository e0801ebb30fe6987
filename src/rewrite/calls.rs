//! Calls: what may run, and which function a name means that both `pg_catalog` and the database have.

use super::{
    Edits, Job,
    check::at,
    names::{protected, relation, treatment},
};
use crate::{
    bind::{Bound, Constant, FunctionUse},
    catalog::{
        data::FunctionData,
        functions::{Builtin, builtin},
        overloads::{Choice, Typed},
    },
    error::{Refusal, RefusalCode},
    policy::{
        Treatment,
        settings::{is_tracked, setting_allowed, takes_any_value},
    },
    sql::{Kind, Reads, Token, keywords},
};

/// Whether a function of the database may run.
pub(super) fn is_allowed(job: &Job<'_>, function: &FunctionData) -> bool {
    let reviewed = |extension: &str| REVIEWED.contains(&(extension, function.name.as_str()));
    let of_extension = function.extension.as_deref();
    let range = function.result_type.filter(|_| function.constructs);
    let range = range.and_then(|oid| job.catalog.data().types.iter().find(|kind| kind.oid == oid));
    range.is_some_and(|range| !range.has_user_cast)
        || job.role.functions.contains(&function.oid)
        || of_extension
            .is_some_and(|extension| !function.security_definer && (function.volatility == 'i' || reviewed(extension)))
}

/// Functions of extensions that are not immutable and yet read no tables: by dictionaries, settings of their own, chance and time.
const REVIEWED: &[(&str, &str)] = &[
    ("pg_trgm", "set_limit"),
    ("pg_trgm", "show_limit"),
    ("pgcrypto", "gen_random_bytes"),
    ("pgcrypto", "gen_random_uuid"),
    ("pgcrypto", "gen_salt"),
    ("unaccent", "unaccent"),
    ("uuid-ossp", "uuid_generate_v1"),
    ("uuid-ossp", "uuid_generate_v1mc"),
    ("uuid-ossp", "uuid_generate_v4"),
];

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
    if users.is_empty() {
        return match system {
            Some(Builtin::Allowed) => Ok(()),
            Some(Builtin::Refused) if name == "set_config" => set_config(job, function, &mut edits.reads),
            Some(Builtin::Refused) if ADVISORY_LOCKS.contains(&name.as_str()) => advisory_lock(job, function),
            Some(Builtin::Refused) => refuse(),
            None => unknown(),
        };
    }
    let allowed = users.iter().all(|user| is_allowed(job, user));
    match system {
        Some(Builtin::Allowed) | None if allowed => Ok(()),
        Some(Builtin::Refused) | None => refuse(),
        Some(Builtin::Allowed) => match meant(job, function, &users) {
            Meant::Builtin => {
                // A schema that the client writes is that one.
                if function.schema.is_none() {
                    edits.insert(function.token, "pg_catalog.".to_owned());
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
        let declared = |value: &Typed| matches!(value, Typed::Any | Typed::Parameter);
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

/// Functions that take or give back an advisory lock by its key.
const ADVISORY_LOCKS: &[&str] = &[
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
];

/// A lock is seen by every other session, so its key must not come from a column that the role does not see in clear.
/// Constants, parameters and other columns are what applications lock by: migrations, job queues, cron.
fn advisory_lock(job: &Job<'_>, function: &FunctionUse) -> Result<(), Refusal> {
    let hides = |(id, position): &(usize, usize)| {
        let policy = job.bound.relations.get(*id).and_then(|used| protected(job.role, used));
        policy.is_some_and(|policy| *treatment(policy, *position) != Treatment::Clear)
    };
    if !function.deps.iter().any(hides) {
        return Ok(());
    }
    let name = &function.name;
    let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("permission denied for function {name}"))
        .with_hint(
            "The key of an advisory lock may not be computed from a column that this role does not see in clear.",
        );
    Err(at(job, refusal, function.token))
}

/// `set_config('name', 'value', …)` with literals is judged as SET is; so is what pg_dump sends, which takes the name
/// from `pg_settings` in order that older servers, which lack the setting, do nothing.
fn set_config(job: &Job<'_>, function: &FunctionUse, reads: &mut Reads) -> Result<(), Refusal> {
    let [name, value, _] = function.constants.as_slice() else { return Err(set_config_refused(job, function)) };
    let name = match name {
        Some(name) => constant(job, *name, reads),
        None => value.and_then(|_| setting_looked_up(job, reads)),
    };
    let value = value.and_then(|value| constant(job, value, reads));
    match (name, value) {
        (Some(name), None) if takes_any_value(name, job.role.permitted()) => Ok(()),
        (Some(name), Some(value)) => {
            setting_allowed(name, Some(value), job.role.permitted()).map_err(|refusal| at(job, refusal, function.token))
        }
        (_, _) => Err(set_config_refused(job, function)),
    }
}

/// The content of a constant argument.
fn constant<'a>(job: &Job<'a>, constant: Constant, reads: &mut Reads) -> Option<&'a str> {
    match constant {
        Constant::Text(token) => job.tokens.get(token)?.literal(reads),
        Constant::Truth(true) => Some("true"),
        Constant::Truth(false) => Some("false"),
    }
}

/// Whether the statement calls `set_config` for a setting that the session tracks, or may.
pub fn sets_path(bound: &Bound, tokens: &[Token], reads: &mut Reads) -> bool {
    bound.functions.iter().filter(|function| function.name == "set_config").any(|function| {
        let name = match function.constants.first() {
            Some(Some(Constant::Text(token))) => tokens.get(*token).and_then(|token| token.literal(reads)),
            Some(Some(Constant::Truth(_)) | None) | None => None,
        };
        name.is_none_or(is_tracked)
    })
}

fn set_config_refused(job: &Job<'_>, function: &FunctionUse) -> Refusal {
    let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, "permission denied for function set_config")
        .with_hint("Its arguments must be literals.");
    at(job, refusal, function.token)
}

/// `setting` of `SELECT [pg_catalog.]set_config(name, …, …) FROM [pg_catalog.]pg_settings WHERE name = 'setting'`.
fn setting_looked_up<'a>(job: &Job<'a>, reads: &mut Reads) -> Option<&'a str> {
    let tokens = job.tokens.split_first().filter(|(first, _)| first.is_word("select"))?.1;
    let unqualified = |tokens: &'a [Token]| match tokens {
        [schema, dot, rest @ ..] if schema.is_word("pg_catalog") && dot.kind == Kind::Dot => rest,
        whole => whole,
    };
    let [call, open, name, comma, _value, second, _local, close, from, rest @ ..] = unqualified(tokens) else {
        return None;
    };
    let [settings, filter, column, equals, setting] = unqualified(rest) else { return None };
    let punctuation = [open.kind, comma.kind, second.kind, close.kind];
    let words = [(call, "set_config"), (name, "name"), (from, "from"), (filter, "where"), (column, "name")];
    let matches = punctuation == [Kind::Open, Kind::Comma, Kind::Comma, Kind::Close]
        && words.iter().all(|(token, word)| token.is_word(word))
        && settings.is_word("pg_settings")
        && equals.is_operator("=")
        && setting.kind == Kind::Text;
    let [used] = job.bound.relations.as_slice() else { return None };
    let is_catalog = relation(job, used).is_ok_and(|data| data.schema == "pg_catalog" && data.name == "pg_settings");
    if matches && is_catalog { setting.literal(reads) } else { None }
}
