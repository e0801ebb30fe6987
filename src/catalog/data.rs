//! The plain, serialisable form of a catalog snapshot: what the service connection reads, and what a catalog file
//! holds (`pgscrim check --catalog FILE`). Order of the vectors carries no meaning except for columns.

use serde::{Deserialize, Serialize};

use crate::names::{AttNum, Oid};

/// Everything pgscrim knows of one database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogData {
    /// `current_database()`
    pub database: String,
    /// `server_version_num`, such as 150018
    pub server_version_num: u32,
    /// `server_encoding`, such as `UTF8`
    pub server_encoding: String,
    /// The server's own `search_path`, before role and database settings.
    pub default_search_path: String,
    /// All schemas but other sessions' temporary ones.
    pub schemas: Vec<SchemaData>,
    /// Tables, views, sequences and the like of every schema, `pg_catalog` and `information_schema` included.
    pub relations: Vec<RelationData>,
    /// `pg_inherits`: children by inheritance or partitioning.
    pub inherits: Vec<InheritsData>,
    /// `pg_constraint`: foreign keys, without those that partitions have of their partitioned tables.
    #[serde(default)]
    pub foreign_keys: Vec<super::keys::ForeignKeyData>,
    /// Functions, procedures and aggregates outside `pg_catalog` and `information_schema`.
    pub functions: Vec<FunctionData>,
    /// What those functions are made of; not in catalog files.
    #[serde(skip)]
    pub sources: Vec<SourceData>,
    /// Operators outside `pg_catalog`.
    pub operators: Vec<OperatorData>,
    /// Types outside `pg_catalog` and `information_schema`; row types of tables and array types left out. Built-in types
    /// are listed when a cast to or from them runs a user's function.
    pub types: Vec<TypeData>,
    /// What the choice between functions and operators of the same name asks; none where the database has none that share names
    /// with those of `pg_catalog`, and in catalog files of before it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overloads: Option<super::overloads::Overloads>,
    /// Whether values are cast by what the database itself has made, without being asked: implicit casts that are not an extension's.
    #[serde(default)]
    pub casts_implicitly: bool,
    /// What has the name of something in `pg_catalog`, and is found before it where a search path says so.
    #[serde(default)]
    pub shadows: Vec<ShadowData>,
    /// Collations outside `pg_catalog`: schema and name.
    #[serde(default)]
    pub collations: Vec<(String, String)>,
    /// Login roles and groups.
    pub roles: Vec<RoleData>,
    /// Names of all databases that allow connections.
    pub databases: Vec<String>,
    /// `pg_db_role_setting`, one entry a setting.
    pub settings: Vec<SettingData>,
    /// What stands before the dot in names of settings that modules of the server have defined, and the names of extensions, which may
    /// define some; lower-case.
    #[serde(default)]
    pub setting_classes: Vec<String>,
    /// What depends on columns, for `check`; none where it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependents: Option<super::dependents::Dependents>,
}

/// A type, a collation or a configuration of text search that has the name of one of `pg_catalog`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowData {
    /// Its schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// Whether it is the row type of a table or view.
    pub row: bool,
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaData {
    /// `pg_namespace.oid`
    pub oid: Oid,
    /// `pg_namespace.nspname`
    pub name: String,
}

/// `pg_class.relkind`, for the kinds that can stand in FROM or be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    PartitionedTable,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    ForeignTable,
    /// `S`
    Sequence,
    /// `t`, readable by its name in `pg_toast`
    Toast,
    /// `c`, a free-standing composite type
    Composite,
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelationData {
    /// `pg_class.oid`
    pub oid: Oid,
    /// Schema name.
    pub schema: String,
    /// `pg_class.relname`
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// Live columns in `attnum` order, dropped and system columns left out.
    pub columns: Vec<ColumnData>,
    /// Columns of the primary key, empty without one, and for one that is deferrable (GROUP BY may not rely on it).
    #[serde(default)]
    pub primary_key: Vec<AttNum>,
    /// `pg_get_viewdef(oid)` of views and materialized views outside `pg_catalog` and `information_schema`.
    #[serde(default)]
    pub definition: Option<String>,
    /// What a view's query uses, from `pg_depend`: whole relations (`column` none) and columns.
    #[serde(default)]
    pub uses_columns: Vec<UsesColumn>,
    /// OIDs of user functions (outside `pg_catalog`) that a view's query, or a generated column, uses, also by way of an
    /// operator.
    #[serde(default)]
    pub uses_functions: Vec<Oid>,
    /// `obj_description`
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether `CREATE RULE` gave it a rule for INSERT, UPDATE or DELETE: writing to it runs other statements.
    #[serde(default)]
    pub has_rules: bool,
    /// `relrowsecurity`: its row-level policies are run for every statement that reads it.
    #[serde(default)]
    pub has_policies: bool,
}

/// One `pg_depend` edge from a view to a column.
///
/// PostgreSQL drops the edge to the relation as a whole when there is one to a column of it
/// (`eliminate_duplicate_dependencies`), so `SELECT t.id, to_jsonb(t) FROM t` shows the use of `t.id` alone. The edges tell
/// for certain which *relations* a query uses, not which columns it leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UsesColumn {
    /// The relation used.
    pub relation: Oid,
    /// The column, or none for the relation as a whole.
    pub column: Option<AttNum>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnData {
    /// `pg_attribute.attnum`
    pub attnum: AttNum,
    /// `pg_attribute.attname`
    pub name: String,
    /// `pg_attribute.atttypid`
    pub type_oid: Oid,
    /// `pg_attribute.atttypmod`, -1 for none
    pub typmod: i32,
    /// The type with its modifier in SQL that no search path can redirect: `character varying(20)`,
    /// `pg_catalog.text`, `public.mood`.
    pub type_sql: String,
    /// The same without a modifier: `character varying`, `pg_catalog.text`.
    pub type_sql_plain: String,
    /// What a value that is assigned to the column is cast to first, where that is another type: of a domain what it is made of, for a cast to the
    /// domain cuts what is too long for it, in place of an error; of an `interval` the type with its fields, by which a constant is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_as: Option<String>,
    /// Type name within its schema (`varchar`, `text`, `_text`, `mood`); of a domain, the domain's.
    pub type_name: String,
    /// `pg_type.typtype`: b base, c composite, d domain, e enum, p pseudo, r range, m multirange
    pub type_kind: char,
    /// `pg_type.typcategory`: S string, N numeric, D date/time, B boolean, A array, U user, …
    pub type_category: char,
    /// `attnotnull`
    pub not_null: bool,
    /// For generated columns, the columns of the same table that the expression uses.
    #[serde(default)]
    pub generated_from: Option<Vec<AttNum>>,
    /// Collation, schema-qualified and quoted for SQL, when it is not the type's default.
    #[serde(default)]
    pub collation: Option<String>,
    /// `col_description`
    #[serde(default)]
    pub comment: Option<String>,
}

/// One `pg_inherits` row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InheritsData {
    /// `inhrelid`
    pub child: Oid,
    /// `inhparent`
    pub parent: Oid,
}

/// A function, procedure or aggregate made by users or extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionData {
    /// `pg_proc.oid`
    pub oid: Oid,
    /// Schema name.
    pub schema: String,
    /// `pg_proc.proname`
    pub name: String,
    /// `provolatile`: i, s or v
    pub volatility: char,
    /// Name of the extension it belongs to.
    pub extension: Option<String>,
    /// `prokind`: f, p, a or w
    pub kind: char,
    /// `prosecdef`
    pub security_definer: bool,
    /// `proretset`
    pub returns_set: bool,
    /// Names of OUT, INOUT and TABLE arguments, in order; without any, the columns of the composite type returned.
    pub out_names: Vec<String>,
    /// `proargtypes`: types of the IN and INOUT arguments, in order.
    #[serde(default)]
    pub argument_types: Vec<Oid>,
    /// `prorettype`; none in catalog files of before it was read.
    #[serde(default)]
    pub result_type: Option<Oid>,
    /// Whether CREATE TYPE … AS RANGE made it: it puts a range together, and runs what the type runs.
    #[serde(default)]
    pub constructs: bool,
    /// `provariadic`: the type of the arguments that the last one may be repeated as.
    #[serde(default)]
    pub variadic: Option<Oid>,
    /// `pronargdefaults`
    #[serde(default)]
    pub defaults: u16,
}

/// What a function is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceData {
    /// `pg_proc.oid`
    pub function: Oid,
    /// `pg_language.lanname`
    pub language: Box<str>,
    /// `prosrc`, or the text of a body that was parsed when it was made.
    pub text: Box<str>,
    /// Arguments of all triggers that run it.
    pub arguments: Box<str>,
    /// Functions of users or extensions that `pg_depend` says it uses: of an aggregate, a parsed body, a default.
    pub uses: Vec<Oid>,
    /// Whether anything but functions depends on it: a trigger, a view, a default, an operator, …
    pub used: bool,
}

/// An operator made by users or extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorData {
    /// Schema name.
    pub schema: String,
    /// `oprname`
    pub name: String,
    /// Name of the extension it belongs to.
    pub extension: Option<String>,
    /// `provolatile` of its function.
    pub volatility: char,
    /// `oprleft`; none of a prefix operator.
    #[serde(default)]
    pub left: Option<Oid>,
    /// `oprright`
    #[serde(default)]
    pub right: Oid,
    /// `oprresult`
    #[serde(default)]
    pub result: Option<Oid>,
    /// What may run in its place: its function, and those of its commutator and its negator.
    #[serde(default)]
    pub functions: Vec<Oid>,
}

/// A type made by users or extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeData {
    /// `pg_type.oid`
    pub oid: Oid,
    /// Schema name.
    pub schema: String,
    /// `typname`
    pub name: String,
    /// `typtype`
    pub kind: char,
    /// Name of the extension it belongs to.
    pub extension: Option<String>,
    /// Whether a cast to or from it runs a function that belongs to no extension: by `CREATE CAST`, in a CHECK of a
    /// domain, as input or output, or to make a range canonical.
    pub has_user_cast: bool,
    /// Whether a value of it is cast by a user's function without a cast in the text (`AS IMPLICIT`; of a type that is not built-in
    /// `AS ASSIGNMENT`, too: for the others see [`Self::assigned_by`]).
    #[serde(default)]
    pub casts_implicitly: bool,
    /// Whether it is a domain whose default is computed: a column of it that gets no value runs what the default calls.
    #[serde(default)]
    pub has_computed_default: bool,
    /// The type of arrays of it (`typarray`).
    #[serde(default)]
    pub array_oid: Option<Oid>,
    /// The type that a domain is made of (`typbasetype`): another domain, too.
    #[serde(default)]
    pub base_oid: Option<Oid>,
    /// Functions that belong to no extension and compare its values where no operator is written: in ORDER BY, DISTINCT, GROUP BY, in arrays
    /// and rows.
    #[serde(default)]
    pub compared_by: Vec<Oid>,
    /// Of a built-in type: functions of the database that cast values of other built-in types to it. No name in a text shows all such casts:
    /// assignments, arguments and operands are cast without one.
    #[serde(default)]
    pub cast_by: Vec<Oid>,
    /// The functions behind [`Self::has_user_cast`]; none in catalog files of before they were read.
    #[serde(default)]
    pub run_by: Vec<Oid>,
    /// Of a type that is not built-in: functions of the database that cast its values, or those that it is made of, to other types. JSON asks for
    /// such casts without being told to.
    #[serde(default)]
    pub leaves_by: Vec<Oid>,
    /// Functions of the database that cast values of other types to it when they are assigned (`AS ASSIGNMENT`, `AS IMPLICIT`).
    #[serde(default)]
    pub assigned_by: Vec<Oid>,
    /// The functions behind [`Self::casts_implicitly`].
    #[serde(default)]
    pub implicitly_by: Vec<Oid>,
    /// Labels of an enum, in order.
    #[serde(default)]
    pub enum_labels: Vec<String>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleData {
    /// `rolname`
    pub name: String,
    /// `rolsuper`
    pub superuser: bool,
    /// `rolcanlogin`
    pub can_login: bool,
    /// Names of all roles it is a member of, directly or not.
    pub member_of: Vec<String>,
}

/// One setting of `ALTER ROLE … [IN DATABASE …] SET` or `ALTER DATABASE … SET`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingData {
    /// None for all databases.
    pub database: Option<String>,
    /// None for all roles.
    pub role: Option<String>,
    /// Name of the setting, lower-case.
    pub name: String,
    /// Its value as stored.
    pub value: String,
}

impl CatalogData {
    /// The content of a catalog file (`pgscrim check --catalog FILE`).
    ///
    /// # Errors
    /// The text is not JSON, or not a catalog of this version of pgscrim.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text of a catalog file, indented, ending in a line break.
    ///
    /// # Errors
    /// None that is known; the serialiser's signature has one.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
