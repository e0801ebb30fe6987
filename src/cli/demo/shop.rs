//! The ACROS shop: a database with the personal data of 24,000 invented customers. In: a private server. Out: database
//! `shop` with its logins. Invariant: the content is the same at every run.

use super::postgres::{PostgresError, PrivatePostgres};
use crate::cli::install::{Key, install};

/// Name of the database.
pub const DATABASE: &str = "shop";

/// Password of every login of the shop.
pub const PASSWORD: &str = "demo";

/// Key of the pseudonyms: no secret, so that the demo shows the same at every run.
const KEY: &[u8] = b"the key of the demo, known to all";

/// The service login of pgscrim.
pub const SERVICE_LOGIN: &str = "pgscrim";

/// Logins and the database; run in any database.
pub const ROLES_SQL: &str = include_str!("roles.sql");

/// Tables, views and grants; run in [`DATABASE`].
pub const SCHEMA_SQL: &str = include_str!("schema.sql");

/// Rows and indexes; run in [`DATABASE`].
pub const DATA_SQL: &str = include_str!("data.sql");

/// Makes and fills the shop.
///
/// # Errors
/// When a statement fails, which is a defect.
pub fn load(server: &PrivatePostgres) -> Result<(), PostgresError> {
    server.sql("postgres", ROLES_SQL)?;
    server.sql(DATABASE, SCHEMA_SQL)?;
    server.sql(DATABASE, DATA_SQL)?;
    // What masks with a key need; the key is as invented as the data.
    if let Ok(key) = Key::new(KEY) {
        server.sql(DATABASE, &install(&key, 1, &["service_development_app"]))?;
    }
    Ok(())
}
