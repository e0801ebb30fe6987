//! Stage `policy`: rule files → [`rules::RuleSet`] → (with a catalog snapshot) [`compiled::Policy`], which answers
//! "what does this role get for this column" by array index. Pure: file contents come in as text.

mod compile;
pub mod compiled;
mod decode;
mod decode_role;
mod decode_settings;
mod decode_subject;
pub mod masks;
mod pattern;
pub mod places;
pub mod rule_tests;
pub mod rules;
pub mod settings;
mod toml_reader;

pub use compile::{
    probes::{Probe, UseAs},
    recorded::RecordedNames,
};
pub use compiled::{
    ColumnPolicy, Deciding, Gate, Grant, Keeps, Leading, Limits, LoginIdentity, Mask, Policy, Rates, RelationPolicy,
    RoleId, RolePolicy, Scope, Search, SqlTemplate, Treatment, WriteBack,
};
