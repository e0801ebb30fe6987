//! Stage `upstream`: the real server. In: [`crate::config::UpstreamConfig`]. Out: byte streams to the server
//! ([`connect()`]) and the content of its catalogs ([`read_catalog`]). Invariant: where the configuration asks for
//! TLS, no byte of a session leaves before the server has proved its name.

pub mod catalog;
pub mod connect;

pub use catalog::{CatalogError, read_catalog, read_catalog_again, read_catalog_in_full};
pub use connect::{ConnectError, UpstreamStream, connect};
