//! Stage `sql`: text → tokens → syntax tree, and tokens → text. Pure.
//!
//! The lexer follows PostgreSQL's own (`scan.l`), so that what the parser sees is what the server would see: escapes
//! and Unicode escapes are decoded, adjacent strings joined, identifiers folded and truncated. The parser works on those
//! tokens; every span in its tree is a token number ([`parse::token_index`]). What goes to the server is printed from
//! the tokens again ([`emit`]), never from the tree and never from the client's bytes.

mod bytes;
pub mod command;
pub mod emit;
mod escapes;
pub mod forms;
pub mod gaps;
mod gaps_from;
mod gaps_grouping;
mod gaps_json;
mod gaps_names;
mod gaps_writes;
mod gaps_xml;
pub mod keywords;
pub mod lex;
pub mod parse;
mod runs;
pub mod shape;
mod snapshots;
pub mod split;
pub mod template;
pub mod tokens;

pub use snapshots::{Snapshot, first_snapshot};
pub use tokens::{Kind, Nesting, Reads, Token};

/// The longest statement text in bytes.
pub const MAX_TEXT: usize = 16 * 1024 * 1024;
/// The most bytes of a statement with what the rewriter adds to it.
pub const MAX_SENT: usize = 8 * MAX_TEXT;
/// The most tokens of one text.
pub const MAX_TOKENS: usize = 2_000_000;
/// Deepest nesting of parentheses and the like that the parser follows.
pub const MAX_DEPTH: usize = 120;
/// Longest chain of operators (`a OR b OR …`), which parses into a tree of that depth.
pub const MAX_CHAIN: usize = 20_000;
/// The prefix of names that pgscrim makes up; a client may not use it.
pub const RESERVED_PREFIX: &str = "pgs_";
