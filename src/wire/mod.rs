//! Stage `wire`: frames of the PostgreSQL protocol, versions 3.0 and 3.2, without their meaning. In: bytes. Out: frames,
//! fields of the few messages a proxy must read, and bytes of those it must write. Invariant: a field never reaches
//! beyond its frame, and a message that is read is read to its last byte.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

pub mod backend;
pub mod build;
pub mod fields;
pub mod frame;
pub mod frontend;
pub mod startup;

pub use fields::{Fields, Malformed};
pub use frame::Header;
