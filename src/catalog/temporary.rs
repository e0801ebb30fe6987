//! Temporary tables of one session, laid over the snapshot that all sessions share. In: what the session's own server
//! says of them. Out: relations like others, in the schema [`TEMPORARY_SCHEMA`], and whether they may be used. Invariant:
//! their columns are read in clear, so only a table that a statement of this session made through pgscrim is free.

use super::{
    CatalogSnapshot, Column, Relation,
    data::RelationKind,
    fillers::{Filler, Why},
};
use crate::{
    error::{Refusal, RefusalCode},
    names::{AttNum, Oid},
};

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

/// Bytes of the longest name that is not cut (`NAMEDATALEN`), but for a character that would be.
const LONGEST: usize = 60;

/// One temporary table or the like.
#[derive(Clone, Debug, PartialEq)]
pub struct TemporaryRelation {
    /// What it is; its schema is [`TEMPORARY_SCHEMA`].
    pub relation: Relation,
    /// Why it may not be used, if it may not.
    pub bar: Option<Bar>,
    /// Whether it may hold masks, which must not be stored in other tables.
    pub masked: bool,
}

/// A temporary table of which names alone are known; its columns are taken for texts.
pub fn temporary_relation(oid: Oid, name: &str, columns: &[String]) -> Relation {
    let text = |(number, name): (i16, &String)| Column {
        attnum: AttNum(number),
        name: name.clone(),
        type_oid: Oid(25),
        typmod: -1,
        type_sql: "pg_catalog.text".to_owned(),
        type_sql_plain: "pg_catalog.text".to_owned(),
        assigned_as: None,
        type_name: "text".to_owned(),
        type_kind: 'b',
        type_category: 'S',
        not_null: false,
        generated_from: None,
        collation: None,
        comment: None,
    };
    Relation {
        oid,
        schema: TEMPORARY_SCHEMA.to_owned(),
        name: name.to_owned(),
        kind: RelationKind::Table,
        columns: (1..).zip(columns).map(text).collect(),
        primary_key: Vec::new(),
        definition: None,
        uses_columns: Vec::new(),
        uses_functions: Vec::new(),
        comment: None,
        has_rules: false,
        has_policies: false,
    }
}

/// Why a temporary relation may not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bar {
    /// No statement of the session made it: a function did, and what it filled in was not masked.
    Foreign,
    /// This function may fill it with what was not masked.
    Filled(Filler),
    /// Functions have changed, and the rules no longer fit the schema: nobody knows what may fill it.
    Unsettled,
    /// Statements of the session do not all reach the same connection of the server.
    Pooled,
    /// It was made for another purpose.
    Purpose,
    /// It is called as a built-in type is, and would stand for it.
    Type,
    /// The type of this column runs a function: in a check, a cast, or a default.
    Column(Box<str>),
}

impl Bar {
    /// The refusal of a statement that uses the relation `name`.
    pub fn refusal(&self, name: &str) -> Refusal {
        let message = format!("temporary table \"{name}\" may not be used");
        let refused = Refusal::new(RefusalCode::TemporaryTable, message.clone());
        match self {
            Self::Foreign => refused.with_hint(
                "A function made it, or something depends on it; what it holds was not masked. Make one of your own.",
            ),
            Self::Filled(Filler { function, why }) => refused.with_hint(filled(function, why)),
            Self::Unsettled => {
                refused.with_hint("The rules no longer fit the schema. Make it again when they are mended.")
            }
            Self::Pooled => refused.with_hint(
                "A pool gives the session different connections of the server (transaction mode). It must keep one.",
            ),
            Self::Purpose => Refusal::new(RefusalCode::PurposeNotAllowed, message)
                .with_hint("It was made for another purpose. Set pgscrim.purpose back, or make it again."),
            Self::Column(column) => refused.with_hint(format!(
                "The type of its column {column} runs a function that the rules do not list, by a check, a cast or a default. \
                 Cast the column to a plain type.",
            )),
            Self::Type => refused.with_hint("It has the name of a built-in type. Choose another name."),
        }
    }
}

/// How a function may fill a table, and what to do about it.
fn filled(function: &str, why: &Why) -> String {
    let vouch = "in writes_no_temporary_tables, if neither it nor what it runs writes to temporary tables";
    match why {
        Why::Named => format!(
            "The source of function {function} holds its name, and could fill it with what was not masked. Choose \
             another name, or have the rules list the function {vouch}."
        ),
        Why::Dynamic => format!(
            "Function {function} puts statements together while it runs, and could fill it with what was not masked. \
             Have the rules list the function {vouch}."
        ),
        Why::Language(language) => format!(
            "Function {function} is in language {language}, and could fill it with what was not masked. Have the rules \
             list the function {vouch}."
        ),
        Why::Unknown => format!(
            "The source of function {function} is not known, and it could fill it with what was not masked. Have the \
             rules list the function {vouch}."
        ),
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

    /// Refuses the row type of a temporary relation that is barred, and the type of arrays of it: its values have the fields of the relation.
    ///
    /// # Errors
    /// See [`Bar`].
    pub fn usable_type(&self, name: &str) -> Result<(), Refusal> {
        // The type of arrays has underscores before the name, which is cut where it becomes too long.
        let row = name.trim_start_matches('_');
        let named = |known: &&TemporaryRelation| {
            let own = known.relation.name.trim_start_matches('_');
            own == row || (name.len() >= LONGEST && own.starts_with(row))
        };
        match self.temporary().iter().filter(named).find_map(|known| known.bar.as_ref().map(|bar| (known, bar))) {
            Some((known, bar)) => Err(bar.refusal(&known.relation.name)),
            None => Ok(()),
        }
    }

    /// Whether a relation is a temporary one that may hold masks.
    pub fn holds_masks(&self, relation: &Relation) -> bool {
        let known = self.temporary().iter().find(|temporary| temporary.relation.oid == relation.oid);
        self.is_temporary(relation) && known.is_none_or(|temporary| temporary.masked)
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
