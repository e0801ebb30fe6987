//! Stage `upstream`: which logins may not read, and which may write, which relations, for `check`. In: pairs of a login and a
//! relation. Out: those pairs for which the server says that no column may be selected, and what of the others may be written. No row of
//! any table is read.

use super::{CatalogError, login};
use crate::{
    config::UpstreamConfig,
    names::{AttNum, Oid},
};

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
    let failed = |error: tokio_postgres::Error| failed(config, &error);
    let rows = client.query(sql, &[&logins, &relations]).await.map_err(failed)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, Oid(row.try_get(1).map_err(failed)?)))).collect()
}

/// What a login may write of a relation, as the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable {
    /// The login.
    pub login: String,
    /// The relation.
    pub relation: Oid,
    /// Whether it may insert.
    pub inserts: bool,
    /// Whether it may delete, or truncate.
    pub deletes: bool,
    /// The columns that it may update.
    pub columns: Vec<AttNum>,
}

/// What each login of `wanted` may write of its relation, where it may write anything.
///
/// # Errors
/// No connection, or the server's refusal to answer.
pub async fn writable(config: &UpstreamConfig, wanted: &[(String, Oid)]) -> Result<Vec<Writable>, CatalogError> {
    let (client, connection) = login(config).await?;
    tokio::spawn(connection);
    let (logins, relations): (Vec<&str>, Vec<u32>) = wanted.iter().map(|(login, oid)| (login.as_str(), oid.0)).unzip();
    let sql = "SELECT w.login, w.relation, pg_catalog.has_any_column_privilege(r.oid, w.relation, 'INSERT'), \
               pg_catalog.has_table_privilege(r.oid, w.relation, 'DELETE, TRUNCATE'), \
               ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = w.relation AND a.attnum > 0 AND NOT a.attisdropped \
               AND pg_catalog.has_column_privilege(r.oid, w.relation, a.attnum, 'UPDATE')) \
               FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.oid[])) AS w (login, relation) \
               JOIN pg_catalog.pg_roles r ON r.rolname::pg_catalog.text = w.login";
    let failed = |error: tokio_postgres::Error| failed(config, &error);
    let mut found = Vec::new();
    for row in client.query(sql, &[&logins, &relations]).await.map_err(failed)? {
        let columns: Vec<i16> = row.try_get(4).map_err(failed)?;
        let one = Writable {
            login: row.try_get(0).map_err(failed)?,
            relation: Oid(row.try_get(1).map_err(failed)?),
            inserts: row.try_get(2).map_err(failed)?,
            deletes: row.try_get(3).map_err(failed)?,
            columns: columns.into_iter().map(AttNum).collect(),
        };
        if one.inserts || one.deletes || !one.columns.is_empty() {
            found.push(one);
        }
    }
    Ok(found)
}

fn failed(config: &UpstreamConfig, error: &tokio_postgres::Error) -> CatalogError {
    CatalogError::Query {
        part: "privileges",
        database: config.database.clone(),
        reason: error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()),
        locked: false,
    }
}
