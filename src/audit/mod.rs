//! The record of every access: one JSON line per statement executed, written by a thread of its own through a bounded
//! queue. In: [`AuditEvent`]s. Out: lines, whose fields [`line`] documents. Invariant: a statement is sent only by who
//! holds a [`sink::AuditSlot`]; when events cannot be written, slots run out, statements wait, then are refused
//! (`PGS0304`): an unlogged access does not happen.

pub mod event;
mod file;
pub mod line;
mod lines;
mod parts;
mod queue;
pub mod sink;
mod writer;

pub use event::AuditEvent;
pub use sink::{AuditError, AuditHandle, AuditSlot, start};
