//! Stage `upstream`: asks the server whether it takes conditions and masks. In: [`Probe`]s. Out: what it says against them.
//! Invariants: statements are described and never planned or run, so that no function of a condition runs and no row is read, and no
//! right on a table is needed; nothing is written; locks of others are waited for [`LOCKED`] long.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Column, Statement, error::SqlState};

use super::{CatalogError, login};
use crate::{
    config::UpstreamConfig,
    policy::{Probe, UseAs},
};

/// `lock_timeout`, in PostgreSQL's notation.
const LOCKED: &str = "500ms";
/// `statement_timeout`, likewise.
const TIMEOUT: &str = "3s";
/// Probes of one statement: a select list has at most 1,664 items.
const TOGETHER: usize = 400;

/// What the server said against a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// No statement with it can work.
    Wrong {
        /// SQLSTATE.
        code: String,
        /// In PostgreSQL's words.
        message: String,
    },
    /// It could not be asked.
    NotAsked {
        /// Why, for people.
        why: String,
        /// Whether it may have an answer later without anything being changed.
        passes: bool,
    },
}

/// The server's objections, by position in `probes`; those that are not reached within `limit` are among them.
///
/// # Errors
/// No connection.
pub async fn objections(
    config: &UpstreamConfig,
    probes: &[Probe],
    limit: Duration,
) -> Result<Vec<(usize, Objection)>, CatalogError> {
    let mut found: Vec<(usize, Objection)> = Vec::new();
    if probes.is_empty() {
        return Ok(found);
    }
    let (client, connection) = login(config).await?;
    // Ends by itself when the client is dropped.
    tokio::spawn(connection);
    let until = Instant::now() + limit;
    let is_condition = |at: &usize| probes.get(*at).is_some_and(|probe| probe.use_as == UseAs::Condition);
    let (conditions, items): (Vec<usize>, Vec<usize>) = (0..probes.len()).partition(is_condition);
    for at in conditions {
        found.extend(one(&client, probes, at, until).await);
    }
    // What is wrong with a condition is wrong with every mask that holds it, and told once.
    let wrong = found.iter().filter(|(_, objection)| matches!(objection, Objection::Wrong { .. }));
    let wrong: Vec<&str> = wrong.filter_map(|(at, _)| probes.get(*at)?.part.as_deref()).collect();
    let holds_wrong =
        |at: &usize| probes.get(*at).is_some_and(|probe| wrong.iter().any(|part| probe.sql.contains(part)));
    let items: Vec<usize> = items.into_iter().filter(|at| !holds_wrong(at)).collect();
    let from = |at: &usize| probes.get(*at).map(|probe| probe.from.as_str());
    for group in items.chunk_by(|a, b| from(a) == from(b)).flat_map(|group| group.chunks(TOGETHER)) {
        let list: Vec<String> = group.iter().filter_map(|at| Some(probes.get(*at)?.items())).collect();
        let sql = format!("SELECT {} FROM {}", list.join(", "), group.first().and_then(from).unwrap_or_default());
        if let Ok(statement) = describe(&client, &sql, until).await
            && statement.columns().chunks(2).all(is_of_one_type)
        {
            continue;
        }
        for at in group {
            found.extend(one(&client, probes, *at, until).await);
        }
    }
    Ok(found)
}

/// Asks for one probe; with what the server has against it.
async fn one(client: &Client, probes: &[Probe], at: usize, until: Instant) -> Option<(usize, Objection)> {
    let probe = probes.get(at)?;
    let objection = match describe(client, &probe.statement(), until).await {
        Ok(statement) => match (&probe.use_as, statement.columns()) {
            (UseAs::Boolean | UseAs::Column(_), pair @ [own, mask]) if !is_of_one_type(pair) => Objection::Wrong {
                code: SqlState::DATATYPE_MISMATCH.code().to_owned(),
                message: format!("it is of type {}, and the column of type {}", type_name(mask), type_name(own)),
            },
            _ => return None,
        },
        Err(objection) => objection,
    };
    Some((at, objection))
}

fn is_of_one_type(pair: &[Column]) -> bool {
    match pair {
        [own, mask] => own.type_() == mask.type_() && own.type_modifier() == mask.type_modifier(),
        _ => false,
    }
}

fn type_name(column: &Column) -> String {
    match column.type_modifier() {
        -1 => column.type_().name().to_owned(),
        modifier => format!("{} (modifier {modifier})", column.type_().name()),
    }
}

async fn describe(client: &Client, sql: &str, until: Instant) -> Result<Statement, Objection> {
    if Instant::now() > until {
        return Err(Objection::NotAsked { why: "there was no time left for it".to_owned(), passes: true });
    }
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = '{TIMEOUT}'; SET LOCAL lock_timeout = '{LOCKED}'; SET LOCAL search_path = ''"
    );
    // Sent in one go. Behind the rollback nothing is left of it, whatever it came to.
    let (opened, described, _) =
        tokio::join!(client.batch_execute(&begin), client.prepare(sql), client.batch_execute("ROLLBACK"));
    opened.and(described).map_err(|error| objection(&error))
}

/// What an error means. Names that are not there any more say that DDL came in between, and not that the rules are wrong.
fn objection(error: &tokio_postgres::Error) -> Objection {
    let Some(said) = error.as_db_error() else {
        return Objection::NotAsked { why: "the connection broke".to_owned(), passes: true };
    };
    let code = said.code();
    let of_types = [
        SqlState::DATATYPE_MISMATCH,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::AMBIGUOUS_FUNCTION,
        SqlState::CANNOT_COERCE,
        SqlState::INDETERMINATE_DATATYPE,
        SqlState::COLLATION_MISMATCH,
        SqlState::INDETERMINATE_COLLATION,
        SqlState::WRONG_OBJECT_TYPE,
        SqlState::GROUPING_ERROR,
        SqlState::WINDOWING_ERROR,
        SqlState::SYNTAX_ERROR,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    // Class 22: a constant that its type does not take.
    if of_types.contains(code) || code.code().starts_with("22") {
        return Objection::Wrong { code: code.code().to_owned(), message: said.message().to_owned() };
    }
    let (why, passes) = match *code {
        SqlState::INSUFFICIENT_PRIVILEGE => {
            (format!("{} (GRANT USAGE ON it to the service login: no row is read)", said.message()), false)
        }
        SqlState::LOCK_NOT_AVAILABLE => ("a table of it is locked".to_owned(), true),
        SqlState::QUERY_CANCELED => (format!("it took longer than {TIMEOUT}"), true),
        _ => (format!("{} ({})", said.message(), code.code()), false),
    };
    Objection::NotAsked { why, passes }
}
