//! Stage `upstream`: reads [`CatalogData`] from the server over a connection of its own. In: the configuration. Out:
//! one consistent picture. Invariant: all of it is seen by one REPEATABLE READ transaction, with an empty search path,
//! so that the parts fit each other and every name that the server prints is qualified unless it is of `pg_catalog`.
//!
//! The number of queries does not depend on the number of relations.
//!
//! # What the service login needs
//!
//! An ordinary role without any privilege on data, superuser rights or membership:
//!
//! ```sql
//! CREATE ROLE pgscrim LOGIN PASSWORD '…';
//! GRANT CONNECT ON DATABASE shop TO pgscrim;   -- only where PUBLIC has lost it
//! ```
//!
//! Everything that is read is readable by PUBLIC as PostgreSQL installs it. `pg_get_viewdef` and `format_type` (and `pg_get_function_sqlbody`) look at
//! the newest committed catalog instead of the transaction's. So the state of the catalog is looked at before and after,
//! and a picture that DDL came into is thrown away: no view is judged by a definition of another time.
//!
//! `pg_get_viewdef` waits for tables that an open transaction has locked exclusively (ALTER TABLE); after
//! [`LOCK_TIMEOUT`] the read fails. The committed catalog is then still the one that was read before.

mod definitions;
mod dependents;
mod objects;
mod overloads;
pub mod privileges;
pub mod probes;
pub mod recorded;
mod relations;
mod roles;
pub mod sample;
mod sources;
mod watch;

use std::time::{Duration, Instant};

use tokio_postgres::{
    Client, Connection, NoTls, Row, config::ChannelBinding, config::SslMode, error::SqlState, tls::NoTlsStream,
};

use super::connect::{ConnectError, UpstreamStream, address_text, connect};
use crate::{catalog::CatalogData, config::UpstreamConfig};
pub use definitions::Definitions;
pub use watch::{CatalogState, Marks, Questions, Watch, watch};

/// `lock_timeout` of the service connection, in PostgreSQL's notation.
pub const LOCK_TIMEOUT: &str = "3s";
/// `statement_timeout` of the service connection, in PostgreSQL's notation.
pub const STATEMENT_TIMEOUT: &str = "30s";
/// Limit for a whole read once connected.
const READ_LIMIT: Duration = Duration::from_secs(90);
/// How often a read begins anew because DDL came into it.
const READ_ATTEMPTS: usize = 4;

/// Why the catalog could not be read. `Display` says what, where and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server does not let the service login in.
    #[error(
        "the server at {address} refuses the service login \"{user}\" to database \"{database}\": {reason} (check user, \
         password and database of `upstream.url`, and pg_hba.conf; the role needs no more than LOGIN and CONNECT)"
    )]
    Login {
        /// `host:port` or the path of the socket.
        address: String,
        /// `upstream.user`
        user: String,
        /// `upstream.database`
        database: String,
        /// What the server said.
        reason: String,
    },
    /// A query failed.
    #[error("could not read the {part} of database \"{database}\": {reason}")]
    Query {
        /// Which part of the catalog.
        part: &'static str,
        /// `upstream.database`
        database: String,
        /// What the server said.
        reason: String,
        /// Whether a lock of somebody's DDL was in the way: worth another try soon.
        locked: bool,
    },
    /// The read took too long.
    #[error("reading the catalog of database \"{database}\" took longer than {} s", READ_LIMIT.as_secs())]
    Slow {
        /// `upstream.database`
        database: String,
    },
    /// DDL came into every attempt.
    #[error("the catalog of database \"{database}\" changed {READ_ATTEMPTS} times while it was read")]
    Changing {
        /// `upstream.database`
        database: String,
    },
    /// Not a server that pgscrim knows.
    #[error("the server reports version {found}, and pgscrim needs PostgreSQL 14 or later")]
    Version {
        /// `server_version_num`
        found: u32,
    },
}

impl CatalogError {
    /// Whether another try within seconds is likely to succeed (DDL of somebody else was in the way).
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Query { locked, .. } => *locked,
            Self::Changing { .. } => true,
            Self::Connect(_) | Self::Login { .. } | Self::Slow { .. } | Self::Version { .. } => false,
        }
    }
}

/// The moment that a picture of the catalog was taken.
#[derive(Debug, PartialEq)]
pub struct Moment {
    /// Of everything.
    pub state: CatalogState,
    /// Of each relation.
    pub marks: Marks,
}

/// Reads everything that pgscrim wants to know of the configured database, on a connection of its own.
///
/// # Errors
/// See [`CatalogError`].
pub async fn read_catalog(config: &UpstreamConfig) -> Result<(CatalogData, Moment), CatalogError> {
    read_catalog_again(config, None).await
}

/// The same, with what is known of an earlier reading: a table that somebody has locked for DDL does not keep views of it from being read that are
/// known.
///
/// # Errors
/// See [`CatalogError`].
pub async fn read_catalog_again(
    config: &UpstreamConfig,
    definitions: Option<&Definitions>,
) -> Result<(CatalogData, Moment), CatalogError> {
    let (client, connection) = login(config).await?;
    // Ends by itself when the client is dropped.
    let connection = tokio::spawn(connection);
    let result = tokio::time::timeout(READ_LIMIT, read_all(&client, &config.database, definitions)).await;
    drop(client);
    if let Ok(result) = result {
        return result;
    }
    connection.abort();
    Err(CatalogError::Slow { database: config.database.clone() })
}

/// The same, with what depends on columns ([`CatalogData::dependents`]): for people, not for the proxy.
///
/// # Errors
/// See [`CatalogError`].
pub async fn read_catalog_in_full(config: &UpstreamConfig) -> Result<CatalogData, CatalogError> {
    let (mut data, _) = read_catalog(config).await?;
    let (client, connection) = login(config).await?;
    let connection = tokio::spawn(connection);
    let reader = Reader { client: &client, database: &config.database, definitions: None };
    let result = tokio::time::timeout(READ_LIMIT, async {
        let begin = format!("SET statement_timeout = '{STATEMENT_TIMEOUT}'; SET search_path = ''");
        client.batch_execute(&begin).await.map_err(|error| reader.failed("settings", &error))?;
        dependents::read(&reader).await
    })
    .await;
    drop(client);
    let Ok(result) = result else {
        connection.abort();
        return Err(CatalogError::Slow { database: config.database.clone() });
    };
    data.dependents = Some(result?);
    Ok(data)
}

/// Connects as the service login.
async fn login(config: &UpstreamConfig) -> Result<(Client, Connection<UpstreamStream, NoTlsStream>), CatalogError> {
    let stream = connect(config).await?;
    let mut login = tokio_postgres::Config::new();
    login
        .user(&config.user)
        .dbname(&config.database)
        .application_name("pgscrim catalog")
        // The stream is TLS already where it is to be; tokio-postgres knows nothing of it.
        .ssl_mode(SslMode::Disable)
        .channel_binding(ChannelBinding::Disable);
    if let Some(password) = &config.password {
        login.password(password.expose());
    }
    let refused = |reason: String| CatalogError::Login {
        address: address_text(&config.address),
        user: config.user.clone(),
        database: config.database.clone(),
        reason,
    };
    match tokio::time::timeout(config.connect_timeout, login.connect_raw(stream, NoTls)).await {
        Ok(Ok(pair)) => Ok(pair),
        Ok(Err(error)) => Err(refused(reason(&error))),
        Err(_) => Err(refused("no answer in time".to_owned())),
    }
}

async fn read_all(
    client: &Client,
    database: &str,
    definitions: Option<&Definitions>,
) -> Result<(CatalogData, Moment), CatalogError> {
    let reader = Reader { client, database, definitions };
    for _ in 0..READ_ATTEMPTS {
        let started = Instant::now();
        let (data, moment) = read_once(&reader).await?;
        if watch::is_whole(&reader, &moment).await? {
            return Ok((data, moment));
        }
        // A snapshot keeps old rows from VACUUM: not all the time that a migration takes.
        tokio::time::sleep(started.elapsed() * 3).await;
    }
    Err(CatalogError::Changing { database: database.to_owned() })
}

async fn read_once(reader: &Reader<'_>) -> Result<(CatalogData, Moment), CatalogError> {
    let client = reader.client;
    // Compiling these queries takes ten times as long as running them.
    let begin = format!(
        "SET jit = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'; \
         SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL quote_all_identifiers = off"
    );
    client.batch_execute(&begin).await.map_err(|error| reader.failed("settings", &error))?;
    let mut data = CatalogData::default();
    // Before the path is emptied, because it reads where the path comes from.
    roles::read_server(reader, &mut data).await?;
    client.batch_execute("SET LOCAL search_path = ''").await.map_err(|error| reader.failed("settings", &error))?;

    let moment = Moment { state: watch::state(reader).await?, marks: watch::marks(reader).await? };
    relations::read(reader, &moment, &mut data).await?;
    objects::read(reader, &mut data).await?;
    overloads::read(reader, &mut data).await?;
    sources::read(reader, &mut data).await?;
    roles::read(reader, &mut data).await?;

    client.batch_execute("COMMIT").await.map_err(|error| reader.failed("end of the catalog", &error))?;
    Ok((data, moment))
}

/// The service connection within its transaction.
struct Reader<'a> {
    client: &'a Client,
    database: &'a str,
    /// What is known of an earlier reading.
    definitions: Option<&'a Definitions>,
}

impl Reader<'_> {
    /// The rows of one query, each turned into a value.
    async fn rows<T>(
        &self,
        part: &'static str,
        sql: &str,
        decode: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, CatalogError> {
        let rows = self.client.query(sql, &[]).await.map_err(|error| self.failed(part, &error))?;
        rows.iter().map(decode).collect::<Result<_, _>>().map_err(|error| self.failed(part, &error))
    }

    fn is_odd(&self, part: &'static str, reason: &str) -> CatalogError {
        CatalogError::Query { part, database: self.database.to_owned(), reason: reason.to_owned(), locked: false }
    }

    fn failed(&self, part: &'static str, error: &tokio_postgres::Error) -> CatalogError {
        let locked = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        CatalogError::Query { part, database: self.database.to_owned(), reason: reason(error), locked }
    }
}

/// What the server, or else the library, said.
fn reason(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
        |db| format!("{} ({})", db.message(), db.code().code()),
    )
}

/// A value of type `"char"`.
fn letter(row: &Row, index: usize) -> Result<char, tokio_postgres::Error> {
    Ok(char::from(row.try_get::<_, i8>(index)?.cast_unsigned()))
}
