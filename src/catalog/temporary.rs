//! Temporary tables of one session, laid over the snapshot that all sessions share. In: what the session's own server
//! says of them. Out: relations like others, in the schema [`TEMPORARY_SCHEMA`], and whether they may be used. Invariant:
//! their columns are read in clear, so only a table that a statement of this session made through pgscrim is free.

use serde::Deserialize;

use super::{CatalogSnapshot, Relation, data::RelationKind};
use crate::error::{Refusal, RefusalCode};

/// How temporary tables are qualified: the server knows its session's own by it.
pub const TEMPORARY_SCHEMA: &str = "pg_temp";

/// Types of `pg_catalog` in PostgreSQL 14 to 18: the row type of a table of such a name would stand for them in casts.
#[rustfmt::skip]
const BUILT_IN: &[&str] = &[
    "aclitem", "any", "anyarray", "anycompatible", "anycompatiblearray", "anycompatiblemultirange",
    "anycompatiblenonarray", "anycompatiblerange", "anyelement", "anyenum", "anymultirange", "anynonarray",
    "anyrange", "bit", "bool", "box", "bpchar", "bytea", "char", "cid", "cidr", "circle", "cstring", "date",
    "datemultirange", "daterange", "event_trigger", "fdw_handler", "float4", "float8", "gtsvector",
    "index_am_handler", "inet", "int2", "int2vector", "int4", "int4multirange", "int4range", "int8",
    "int8multirange", "int8range", "internal", "interval", "json", "jsonb", "jsonpath", "language_handler",
    "line", "lseg", "macaddr", "macaddr8", "money", "name", "numeric", "nummultirange", "numrange", "oid",
    "oidvector", "path", "point", "polygon", "record", "refcursor", "regclass", "regcollation", "regconfig",
    "regdictionary", "regnamespace", "regoper", "regoperator", "regproc", "regprocedure", "regrole", "regtype",
    "table_am_handler", "text", "tid", "time", "timestamp", "timestamptz", "timetz", "trigger", "tsm_handler",
    "tsmultirange", "tsquery", "tsrange", "tstzmultirange", "tstzrange", "tsvector", "txid_snapshot", "unknown",
    "uuid", "varbit", "varchar", "void", "xid", "xid8", "xml",
];

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
    /// The source of this function holds its name, or could put it together while it runs: the function may fill it with
    /// what was not masked.
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
                "The source of function {function} holds or could put together its name, and could fill it with what was \
                 not masked.",
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
        // A serial column of a table `a` may make the sequence `a_b_c_seq`.
        let made = |relation: &&Relation| {
            relation.kind == RelationKind::Sequence
                && relation.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'))
        };
        let sequence = self.data().relations.iter().find(made);
        let sequence = sequence.map(|relation| format!("sequence {}.{}", relation.schema, relation.name));
        let built_in = BUILT_IN.contains(&name.strip_prefix('_').unwrap_or(name));
        let built_in = built_in.then(|| format!("type pg_catalog.{name}"));
        relation.or(sequence).or(built_in).or_else(|| named(name)).or_else(|| named(&format!("_{name}")))
    }
}
