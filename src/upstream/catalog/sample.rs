//! Stage `upstream`: looks at some rows of some tables, for `discover --sample` and `check --sample`. In: tables and
//! columns. Out: each value, handed to the caller's function and dropped. Invariants: nothing is written (READ ONLY), nothing
//! runs long ([`TIMEOUT`] a table, [`LIMIT`] for all), and no message holds a value: of an error, the SQLSTATE alone is told.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, error::SqlState};

use super::{CatalogError, login};
use crate::{
    config::UpstreamConfig,
    names::{Oid, quote_ident},
};

/// Rows of one table that are looked at.
const ROWS: u32 = 300;
/// Pages that a sample of a large table is taken from.
const PAGES: f64 = 60.0;
/// Characters of a value that are looked at.
const CHARACTERS: u32 = 256;
/// `statement_timeout` for one table, in PostgreSQL's notation.
pub(super) const TIMEOUT: &str = "3s";
/// For all tables together; those that are not reached are told.
const LIMIT: Duration = Duration::from_secs(120);

/// A table to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The table.
    pub relation: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, by name.
    pub columns: Vec<String>,
}

/// Why a table was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSampled {
    /// `schema.table`
    pub table: String,
    /// For people.
    pub reason: String,
}

/// Hands up to [`ROWS`] values of each column wanted to `see`, with the positions of table and column in `wanted`; NULLs are left
/// out. Answers with the tables that could not be looked at.
///
/// # Errors
/// No connection.
pub async fn sample(
    config: &UpstreamConfig,
    wanted: &[Wanted],
    mut see: impl FnMut(usize, usize, &str),
) -> Result<Vec<NotSampled>, CatalogError> {
    let (client, connection) = login(config).await?;
    // Ends by itself when the client is dropped.
    tokio::spawn(connection);
    let started = Instant::now();
    let mut missed = Vec::new();
    for (number, table) in wanted.iter().enumerate() {
        let result = if started.elapsed() > LIMIT {
            Err("there was no time left for it".to_owned())
        } else {
            one(&client, table, |column, value| see(number, column, value)).await.map_err(|error| reason(&error))
        };
        if let Err(reason) = result {
            missed.push(NotSampled { table: format!("{}.{}", table.schema, table.name), reason });
        }
    }
    Ok(missed)
}

async fn one(client: &Client, table: &Wanted, mut see: impl FnMut(usize, &str)) -> Result<(), tokio_postgres::Error> {
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = '{TIMEOUT}'; SET LOCAL lock_timeout = '500ms'; \
         SET LOCAL search_path = ''"
    );
    client.batch_execute(&begin).await?;
    let result = rows(client, table, &mut see).await;
    let _ = client.batch_execute("ROLLBACK").await;
    result
}

async fn rows(client: &Client, table: &Wanted, see: &mut impl FnMut(usize, &str)) -> Result<(), tokio_postgres::Error> {
    let pages =
        client.query_one("SELECT relpages FROM pg_catalog.pg_class WHERE oid = $1", &[&table.relation.0]).await?;
    let pages = f64::from(pages.try_get::<_, i32>(0)?);
    let share = PAGES * 100.0 / pages.max(1.0);
    let list: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("pg_catalog.left({}::pg_catalog.text, {CHARACTERS})", quote_ident(column)))
        .collect();
    // The first pages of a large table are its oldest rows, which may look otherwise than the rest.
    for sampled in [share < 100.0, false] {
        let clause = if sampled { format!(" TABLESAMPLE SYSTEM ({share})") } else { String::new() };
        let sql = format!(
            "SELECT {} FROM {}.{}{clause} LIMIT {ROWS}",
            list.join(", "),
            quote_ident(&table.schema),
            quote_ident(&table.name)
        );
        let rows = client.query(&sql, &[]).await?;
        for row in &rows {
            for column in 0..table.columns.len() {
                if let Some(value) = row.try_get::<_, Option<&str>>(column)? {
                    see(column, value);
                }
            }
        }
        // A sample of few pages may hit empty ones alone.
        if !sampled || !rows.is_empty() {
            break;
        }
    }
    Ok(())
}

/// What went wrong, without the server's words, which may hold a value.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "the service login may not read it (GRANT SELECT, or pg_read_all_data, to it for the time being)".to_owned()
        }
        Some(code) if *code == SqlState::QUERY_CANCELED => format!("it took longer than {TIMEOUT}"),
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => "it is locked".to_owned(),
        Some(code) => format!("the server answered with SQLSTATE {}", code.code()),
        None => "the connection broke".to_owned(),
    }
}
