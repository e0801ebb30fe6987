//! Stage `catalog`: an immutable picture of one database's `pg_catalog`, and what can be asked of it without I/O.
//!
//! In: [`CatalogData`], read by [`crate::upstream`] from a live server or by [`crate::cli`] from a file.
//! Out: [`CatalogSnapshot`], indexed, shared by `Arc`. Invariant: a snapshot never changes; a new one replaces it.

pub mod data;
pub mod dependents;
pub mod fillers;
pub mod functions;
pub mod keys;
pub mod overloads;
pub mod search_path;
pub mod snapshot;
pub mod system;
pub mod temporary;
#[doc(hidden)]
pub mod testing;

pub use data::CatalogData;
pub use snapshot::{CatalogSnapshot, Column, Relation};
