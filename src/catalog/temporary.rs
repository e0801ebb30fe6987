//! Temporary tables of one session, laid over the snapshot that all sessions share. In: what the session's own server
//! says of them. Out: relations like others, in the schema [`TEMPORARY_SCHEMA`], and whether they may be used. Invariant:
//! their columns are read in clear, so only a table that a statement of this session made through pgscrim is free.

use serde::Deserialize;

use super::{CatalogSnapshot, Relation};
use crate::error::{Refusal, RefusalCode};

/// How temporary tables are qualified: the server knows its session's own by it.
pub const TEMPORARY_SCHEMA: &str = "pg_temp";

/// One temporary table or the like.
#[derive(Clone, Debug, PartialEq)]
pub struct TemporaryRelation {
    /// What it is; its schema is [`TEMPORARY_SCHEMA`].
    pub relation: Relation,
    /// Why it may not be used, if it may not.
    pub bar: Option<Bar>,
}

/// Why a temporary relation may not be used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum Bar {
    /// No statement of the session made it: a function did, and what it filled in was not masked.
    Foreign,
    /// The source of this function holds its name: the function may fill it with what was not masked.
    Named(String),
    /// It was made for another purpose.
    Purpose,
    /// It is called as a built-in type is, and would stand for it.
    Type,
}

impl Bar {
    /// The refusal of a statement that uses the relation `name`.
    pub fn refusal(&self, name: &str) -> Refusal {
        let message = format!("temporary table \"{name}\" may not be used");
        match self {
            Self::Foreign => Refusal::new(RefusalCode::TemporaryTable, message).with_hint(
                "A function made it, or something depends on it; what it holds was not masked. Make one of your own.",
            ),
            Self::Named(function) => Refusal::new(RefusalCode::TemporaryTable, message).with_hint(format!(
                "The source of function {function} holds its name, and could fill it with what was not masked. Choose \
                 another name.",
            )),
            Self::Purpose => Refusal::new(RefusalCode::PurposeNotAllowed, message)
                .with_hint("It was made for another purpose. Set pgscrim.purpose back, or make it again."),
            Self::Type => Refusal::new(RefusalCode::TemporaryTable, message)
                .with_hint("It has the name of a built-in type. Choose another name."),
        }
    }
}

impl CatalogSnapshot {
    /// Whether a relation is one of the session's temporary ones.
    pub fn is_temporary(&self, relation: &Relation) -> bool {
        relation.schema == TEMPORARY_SCHEMA
    }

    /// Refuses the use of a temporary relation that is barred.
    ///
    /// # Errors
    /// See [`Bar`].
    pub fn usable(&self, relation: &Relation) -> Result<(), Refusal> {
        if !self.is_temporary(relation) {
            return Ok(());
        }
        let known = self.temporary().iter().find(|temporary| temporary.relation.oid == relation.oid);
        match known.map(|temporary| &temporary.bar) {
            Some(None) => Ok(()),
            Some(Some(bar)) => Err(bar.refusal(&relation.name)),
            None => Err(Bar::Foreign.refusal(&relation.name)),
        }
    }

    /// What of the catalog has this name already, so that a temporary relation would take its place where names are not
    /// qualified: in the bodies of functions, of which triggers are some.
    pub fn shadowed_by(&self, name: &str) -> Option<String> {
        let users = self.data().schemas.iter().filter(|schema| schema.name != "information_schema");
        let relation = users.into_iter().find_map(|schema| self.relation_named(&schema.name, name));
        let relation = relation.map(|relation| format!("relation {}.{}", relation.schema, relation.name));
        // The array type of a table has its name behind an underscore.
        let named =
            |name: &str| self.types_named(name).next().map(|kind| format!("type {}.{}", kind.schema, kind.name));
        relation.or_else(|| named(name)).or_else(|| named(&format!("_{name}")))
    }
}
