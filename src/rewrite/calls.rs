//! Calls of built-in functions that are refused but for some arguments: `set_config`, advisory locks, `pg_notify`; and of one that GUI tools
//! list indexes with, which answers nothing.

use std::sync::Arc;

use super::{
    Edits, Job, Value,
    check::at,
    configured,
    names::{protected, relation, treatment},
};
use crate::{
    bind::{Bound, Constant, FunctionUse},
    catalog::functions::{is_aggregate, is_window},
    error::{Refusal, RefusalCode},
    policy::{
        Treatment,
        settings::{PURPOSE, is_tracked, setting_allowed, takes_any_value},
    },
    sql::{Kind, Reads, Token, command::after_brackets, keywords},
};

/// Judges a call of such a function; none for others.
pub(super) fn refused_but(job: &Job<'_>, function: &FunctionUse, edits: &mut Edits) -> Option<Result<(), Refusal>> {
    match function.name.as_str() {
        "set_config" => Some(set_config(job, function, edits)),
        "pg_notify" => Some(notification(job, function)),
        "pg_stat_get_numscans" | "pg_stat_get_dead_tuples" => Some(count_unanswered(job, function, edits)),
        name if ADVISORY_LOCKS.contains(&name) => Some(advisory_lock(job, function)),
        _other => None,
    }
}

/// How often an index was scanned tells whether a condition of the rules was asked, that is, what the client's own had found, and dead rows
/// whether an update has changed an indexed value: as in the views ([`crate::catalog::system`]) there is no answer. Of NULL the function makes NULL.
fn count_unanswered(job: &Job<'_>, function: &FunctionUse, edits: &mut Edits) -> Result<(), Refusal> {
    let open = function.token + 1;
    let close = after_brackets(job.tokens, open).saturating_sub(1);
    if close <= open + 1 || job.tokens.get(open).is_none_or(|token| token.kind != Kind::Open) {
        let message = format!("permission denied for function {}", function.name);
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, message);
        return Err(at(job, refusal, function.token));
    }
    edits.around(&(open + 1..close), "CASE WHEN false THEN (".to_owned(), ") ELSE NULL::pg_catalog.oid END".to_owned());
    Ok(())
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

/// Whoever listens hears of it, so nothing in it may come from a relation, be it a number of rows: with constants and parameters, and what
/// functions make of them, in FROM and WITH too, it is what NOTIFY is.
fn notification(job: &Job<'_>, function: &FunctionUse) -> Result<(), Refusal> {
    let from = function.token + 1;
    let end = after_brackets(job.tokens, from);
    let names_something = |at: usize| {
        let word =
            |at: Option<usize>, word: &str| at.and_then(|at| job.tokens.get(at)).is_some_and(|t| t.is_word(word));
        let kind = |at: Option<usize>| at.and_then(|at| job.tokens.get(at)).map(|token| token.kind);
        let Some(token) = job.tokens.get(at).filter(|token| token.is_name()) else { return false };
        let name = token.name();
        let queries = token.kind == Kind::Word && ["select", "with", "table", "values"].contains(&name);
        let reserved = token.kind == Kind::Word
            && matches!(keywords::category(name), Some(keywords::Category::Reserved))
            && !queries;
        let called = kind(Some(at + 1)) == Some(Kind::Open) && !queries && !is_aggregate(name) && !is_window(name);
        let type_name = kind(at.checked_sub(1)) == Some(Kind::Typecast) || word(at.checked_sub(1), "as");
        !(reserved || called || type_name)
    };
    let alone = job.bound.relations.is_empty();
    if alone || (function.deps.is_empty() && !(from..end).any(names_something)) {
        return Ok(());
    }
    let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, "permission denied for function pg_notify")
        .with_hint("Channel and payload may be computed from constants and parameters only.");
    Err(at(job, refusal, function.token))
}

const HINT: &str = "Its arguments must be literals. The value of pgscrim.purpose may be a parameter of a prepared statement: \
                    SELECT set_config('pgscrim.purpose', $1, true), and nothing else.";

/// Whether a statement is nothing but a call that takes its value from a parameter.
fn purpose_given(job: &Job<'_>) -> bool {
    match configured(job.tokens, job.catalog).map(|call| call.value) {
        Some(Value::Parameter(_)) => true,
        Some(Value::Literal(_)) | None => false,
    }
}

/// `set_config('name', 'value', …)` with literals is judged as SET is; so is what pg_dump sends, which takes the name
/// from `pg_settings` in order that older servers, which lack the setting, do nothing.
fn set_config(job: &Job<'_>, function: &FunctionUse, edits: &mut Edits) -> Result<(), Refusal> {
    let (reads, login) = (&mut edits.reads, &mut edits.login);
    let [name, value, _] = function.constants.as_slice() else { return Err(set_config_refused(job, function)) };
    let name = match name {
        Some(name) => constant(job, *name, reads),
        None => value.and_then(|_| setting_looked_up(job, reads)),
    };
    let value = value.and_then(|value| constant(job, value, reads));
    // What a setting has taken in stays when the purpose changes, and is counted by nothing where it is read.
    let personal = |(id, position): &(usize, usize)| {
        // Of what is not known nobody knows that it is none.
        let Some(used) = job.bound.relations.get(*id) else { return true };
        let policy = job.role.relation(used.oid);
        policy.is_some_and(|policy| policy.columns.get(*position).is_none_or(|column| column.personal))
    };
    if function.deps.iter().any(personal) && !job.role.exempt {
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, "personal data may not be put into a setting");
        return Err(at(
            job,
            refusal.with_hint("Its value may be computed from columns that are no personal data."),
            function.token,
        ));
    }
    match (name, value) {
        (Some(name), Some(value)) if name.eq_ignore_ascii_case("role") => {
            own_role(value, login).map_err(|refusal| at(job, refusal, function.token))
        }
        (Some(name), None) if takes_any_value(name, job.role.permitted()) => Ok(()),
        // Its value is judged at Bind.
        (Some(name), None) if name.eq_ignore_ascii_case(PURPOSE) && purpose_given(job) => Ok(()),
        (Some(name), Some(value)) => {
            setting_allowed(name, Some(value), job.role.permitted()).map_err(|refusal| at(job, refusal, function.token))
        }
        (_, _) => Err(set_config_refused(job, function)),
    }
}

/// What the session's role is set to: nothing, or a login, which must be the session's own.
///
/// # Errors
/// [`RefusalCode::SettingNotAllowed`], when another login was named before.
pub fn own_role(name: &str, login: &mut Option<Arc<str>>) -> Result<(), Refusal> {
    if name == "none" {
        return Ok(());
    }
    if login.as_deref().is_some_and(|known| known != name) {
        return Err(Refusal::other_role());
    }
    *login = Some(name.into());
    Ok(())
}

/// The content of a constant argument.
fn constant<'a>(job: &Job<'a>, constant: Constant, reads: &mut Reads) -> Option<&'a str> {
    match constant {
        Constant::Text(token) => job.tokens.get(token)?.literal(reads),
        Constant::Truth(true) => Some("true"),
        Constant::Truth(false) => Some("false"),
    }
}

/// Whether the statement calls `set_config` for a setting that the session tracks, or may. `"$user"` of the path is the role.
pub fn sets_path(bound: &Bound, tokens: &[Token], reads: &mut Reads) -> bool {
    bound.functions.iter().filter(|function| function.name == "set_config").any(|function| {
        let name = match function.constants.first() {
            Some(Some(Constant::Text(token))) => tokens.get(*token).and_then(|token| token.literal(reads)),
            Some(Some(Constant::Truth(_)) | None) | None => None,
        };
        name.is_none_or(|name| is_tracked(name) || name.eq_ignore_ascii_case("role"))
    })
}

fn set_config_refused(job: &Job<'_>, function: &FunctionUse) -> Refusal {
    let refusal =
        Refusal::new(RefusalCode::FunctionNotAllowed, "permission denied for function set_config").with_hint(HINT);
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
