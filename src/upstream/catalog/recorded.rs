//! Stage `upstream`: counts names in records of consent and refusal that the rules do not know, for `check --sample`. In:
//! statements of the policy. Out: names and numbers; a name may be anything, and no message
//! may hold one. Invariants: nothing is written, nothing runs long.

use super::{
    CatalogError, login,
    sample::{NotSampled, TIMEOUT, reason},
};
use crate::{config::UpstreamConfig, policy::RecordedNames};

/// What was counted in one table of records.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The table, and what the rules know.
    pub records: RecordedNames,
    /// Names that they do not know, and how many records have them.
    pub names: Vec<(String, i64)>,
}

/// Runs the statements; tables that could not be read are added to `missed`.
///
/// # Errors
/// No connection.
pub async fn counted(
    config: &UpstreamConfig,
    records: &[RecordedNames],
    missed: &mut Vec<NotSampled>,
) -> Result<Vec<Counted>, CatalogError> {
    let mut found = Vec::new();
    if records.is_empty() {
        return Ok(found);
    }
    let (client, connection) = login(config).await?;
    // Ends by itself when the client is dropped.
    tokio::spawn(connection);
    for table in records {
        match one(&client, &table.sql).await {
            Ok(names) => found.push(Counted { records: table.clone(), names }),
            Err(error) => missed.push(NotSampled { table: table.table.clone(), reason: reason(&error) }),
        }
    }
    Ok(found)
}

async fn one(client: &tokio_postgres::Client, sql: &str) -> Result<Vec<(String, i64)>, tokio_postgres::Error> {
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = '{TIMEOUT}'; SET LOCAL lock_timeout = '500ms'; SET LOCAL search_path = ''"
    );
    client.batch_execute(&begin).await?;
    let rows = client.query(sql, &[]).await;
    let _ = client.batch_execute("ROLLBACK").await;
    rows?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
