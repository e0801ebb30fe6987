//! **pgscrim**: a PostgreSQL wire proxy that enforces a privacy policy between existing applications and their
//! database. Personal data comes out clear, masked, withheld or refused by connection role, as the rule files say.
//!
//! # Map
//!
//! Dependencies point down this list only (a test in `tests/architecture.rs` enforces it); the modules from `sql` to
//! `engine` are pure: no I/O, no clock, no wire protocol.
//!
//! | module | what it is for |
//! |---|---|
//! | [`names`], [`diagnostic`], [`error`] | shared words: identifiers, source spans with carets, refusals with SQLSTATE |
//! | [`sql`] | text → tokens → syntax tree; statement kinds; canonical text from tokens; literal-free text |
//! | [`catalog`] | immutable snapshot of `pg_catalog`, search path, function allow-list |
//! | [`bind`] | names → relations and columns, with lineage and token accounting |
//! | [`policy`] | rule files, masks, validation, and the policy compiled against one catalog snapshot |
//! | [`rewrite`] | token edits: masked derived tables, write targets, repairs |
//! | [`engine`] | [`engine::plan`]: the whole pipeline as one pure function; verification; plan cache |
//! | [`config`], [`metrics`], [`audit`] | configuration, Prometheus metrics, one event per access |
//! | [`wire`], [`net`], [`upstream`], [`reload`] | frames; sockets and TLS; the real server; publication of new inputs |
//! | [`session`] | one client connection, from start-up packet to termination |
//! | [`cli`] | the commands of the `pgscrim` binary |

pub mod audit;
pub mod bind;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod metrics;
pub mod names;
pub mod net;
pub mod policy;
pub mod reload;
pub mod rewrite;
pub mod session;
pub mod sql;
pub mod upstream;
pub mod wire;
