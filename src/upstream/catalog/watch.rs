//! Stage `upstream`: notices that the catalog has changed. In: the configuration. Out: a call for each change. Invariant: DDL
//! that did not pass through this proxy is seen within about [`PAUSE`], for as long as the server answers.
//!
//! A picture of the whole catalog is expensive; a sum over the transaction ids and OIDs of its rows is not, and differs
//! as soon as a row was made, changed or deleted. Temporary objects of other sessions are left out.

use std::time::{Duration, Instant};

use super::{CatalogError, Reader, login};
use crate::config::UpstreamConfig;

/// Between two looks, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// A look that takes long on a large catalog is taken less often: this many times as long as it took.
const LOAD: u32 = 20;

/// One number for every state of the catalog. Functions and operators are qualified: the service login may have a search
/// path.
const FINGERPRINT: &str = "
WITH lasting AS (
    SELECT oid, reltype, pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8 AS state FROM pg_catalog.pg_class
     WHERE relpersistence <> 't'
), parts (state) AS (
    SELECT pg_catalog.sum(state) FROM lasting
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(a.xmin::text::int8 # (a.attrelid::int8 << 16) # a.attnum::int8)::int8)
      FROM pg_catalog.pg_attribute a JOIN lasting l ON l.oid = a.attrelid
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(r.xmin::text::int8 # r.oid::int8)::int8)
      FROM pg_catalog.pg_rewrite r JOIN lasting l ON l.oid = r.ev_class
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8) FROM pg_catalog.pg_namespace
     WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(t.xmin::text::int8 # t.oid::int8)::int8) FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8) FROM pg_catalog.pg_proc
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8) FROM pg_catalog.pg_operator
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8) FROM pg_catalog.pg_cast
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8) FROM pg_catalog.pg_enum
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # oid::int8)::int8) FROM pg_catalog.pg_constraint
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # inhrelid::int8)::int8) FROM pg_catalog.pg_inherits
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # roleid::int8 # (member::int8 << 32))::int8)
      FROM pg_catalog.pg_auth_members
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashint8(xmin::text::int8 # setdatabase::int8 # (setrole::int8 << 32))::int8)
      FROM pg_catalog.pg_db_role_setting
    UNION ALL SELECT pg_catalog.sum(pg_catalog.hashtext(rolname::text || rolsuper::text || rolcanlogin::text)::int8)
      FROM pg_catalog.pg_roles
)
SELECT pg_catalog.string_agg(coalesce(state, 0)::text, ' ') FROM parts";

/// Calls `changed` whenever the catalog is not what it was; for ever. A server that cannot be reached is tried again: the
/// timer of the catalog says so in the log.
pub async fn watch(config: &UpstreamConfig, changed: impl Fn()) {
    let mut known = None;
    loop {
        // The connection is kept; whatever goes wrong with it, the next one begins with what was known.
        let _ = look(config, &mut known, &changed).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(config: &UpstreamConfig, known: &mut Option<String>, changed: &impl Fn()) -> Result<(), CatalogError> {
    let (client, connection) = login(config).await?;
    let connection = tokio::spawn(connection);
    let reader = Reader { client: &client, database: &config.database };
    let result = async {
        let failed = |error: &tokio_postgres::Error| reader.failed("settings", error);
        client.batch_execute("SET statement_timeout = '10s'").await.map_err(|error| failed(&error))?;
        loop {
            let started = Instant::now();
            let rows = reader.rows("state", FINGERPRINT, |row| row.try_get::<_, String>(0)).await?;
            let now = rows.into_iter().next();
            if now != *known {
                *known = now;
                changed();
            }
            tokio::time::sleep(PAUSE.max(started.elapsed() * LOAD)).await;
        }
    };
    let result: Result<std::convert::Infallible, CatalogError> = result.await;
    connection.abort();
    result.map(|_| ())
}
