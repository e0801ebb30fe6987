//! Stage `upstream`: which logins may not read which relations, for `check`. In: pairs of a login and a relation. Out: those
//! pairs for which the server says that no column may be selected. No row of any table is read.

use super::{CatalogError, login};
use crate::{config::UpstreamConfig, names::Oid};

/// The pairs of `wanted` whose login exists and may select no column of the relation.
///
/// # Errors
/// No connection, or the server's refusal to answer.
pub async fn unreadable(config: &UpstreamConfig, wanted: &[(String, Oid)]) -> Result<Vec<(String, Oid)>, CatalogError> {
    let (client, connection) = login(config).await?;
    // Ends by itself when the client is dropped.
    tokio::spawn(connection);
    let (logins, relations): (Vec<&str>, Vec<u32>) = wanted.iter().map(|(login, oid)| (login.as_str(), oid.0)).unzip();
    let sql = "SELECT w.login, w.relation FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.oid[])) AS w (login, relation) \
               JOIN pg_catalog.pg_roles r ON r.rolname::pg_catalog.text = w.login \
               WHERE NOT pg_catalog.has_any_column_privilege(r.oid, w.relation, 'SELECT')";
    let failed = |error: tokio_postgres::Error| CatalogError::Query {
        part: "privileges",
        database: config.database.clone(),
        reason: error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()),
        locked: false,
    };
    let rows = client.query(sql, &[&logins, &relations]).await.map_err(failed)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, Oid(row.try_get(1).map_err(failed)?)))).collect()
}
