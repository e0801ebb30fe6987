//! The server side of pgscrim against a real PostgreSQL: connections (TCP, TLS, Unix socket), the catalog reader, the
//! tables of built-in functions and system relations, and the publication of rules and catalog.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::collapsible_if,
    clippy::print_stdout,
    clippy::pedantic,
    missing_docs,
    reason = "tests"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "catalog/connect.rs"]
mod connect;
#[path = "catalog/read.rs"]
mod read;
#[path = "catalog/reload.rs"]
mod reload;
#[path = "catalog/system.rs"]
mod system;

use std::{path::PathBuf, time::Duration};

use common::Postgres;
use pgscrim::{
    catalog::{
        CatalogData,
        data::{FunctionData, RelationData, TypeData},
    },
    config::{Secret, UpstreamAddress, UpstreamConfig, UpstreamTlsConfig, UpstreamTlsMode},
};

/// The configuration for `user` at the server's TCP port.
fn upstream(postgres: &Postgres, user: &str, database: &str) -> UpstreamConfig {
    UpstreamConfig {
        address: UpstreamAddress::Tcp("127.0.0.1".to_owned(), postgres.port),
        user: user.to_owned(),
        password: Some(Secret::new("sesame".to_owned())),
        database: database.to_owned(),
        tls: UpstreamTlsConfig { mode: UpstreamTlsMode::Off, ca: None, server_name: None },
        connect_timeout: Duration::from_secs(10),
        catalog_refresh: Duration::from_secs(60),
        ddl_guard: pgscrim::config::DdlGuard::Relayed,
    }
}

fn unix_socket(postgres: &Postgres) -> UpstreamAddress {
    UpstreamAddress::Unix(postgres.sockets.join(format!(".s.PGSQL.{}", postgres.port)))
}

/// The same configuration with TLS that trusts `ca`.
fn with_tls(mut config: UpstreamConfig, ca: PathBuf) -> UpstreamConfig {
    config.tls = UpstreamTlsConfig { mode: UpstreamTlsMode::VerifyFull, ca: Some(ca), server_name: None };
    config
}

fn relation<'a>(data: &'a CatalogData, schema: &str, name: &str) -> &'a RelationData {
    data.relations
        .iter()
        .find(|relation| relation.schema == schema && relation.name == name)
        .unwrap_or_else(|| panic!("no relation {schema}.{name}"))
}

fn function<'a>(data: &'a CatalogData, name: &str) -> &'a FunctionData {
    data.functions.iter().find(|function| function.name == name).unwrap_or_else(|| panic!("no function {name}"))
}

fn type_named<'a>(data: &'a CatalogData, name: &str) -> &'a TypeData {
    data.types.iter().find(|ty| ty.name == name).unwrap_or_else(|| panic!("no type {name}"))
}
