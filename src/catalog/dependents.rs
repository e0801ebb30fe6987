//! What depends on columns beside views: indexes, partition keys, functions. Read for `check` and for catalog
//! files alone: no statement is judged by it, so the proxy does not read it.

use serde::{Deserialize, Serialize};

use crate::names::{AttNum, Oid};

/// Everything outside views that depends on columns of user tables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dependents {
    /// `pg_index`
    pub indexes: Vec<IndexData>,
    /// `pg_partitioned_table`
    pub partition_keys: Vec<PartitionKeyData>,
    /// `pg_depend` from functions to relations, where the server records it: bodies in standard SQL (`BEGIN ATOMIC`),
    /// and row types of arguments and results. Bodies that are strings are not looked into.
    pub function_uses: Vec<FunctionUsesData>,
    /// Functions outside `pg_catalog` that may run SQL which is handed to them: as text, as the name of a relation, as a cursor, or
    /// in a setting.
    #[serde(default)]
    pub runs_sql: Vec<Oid>,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of an index")]
pub struct IndexData {
    /// The table.
    pub relation: Oid,
    /// Name of the index.
    pub name: String,
    /// `indisunique`
    pub unique: bool,
    /// `indisprimary`
    pub primary: bool,
    /// Whether its access method keeps an order (`btree`).
    pub ordered: bool,
    /// Key columns that are plain columns, in order.
    pub keys: Vec<AttNum>,
    /// Columns that its expressions and its predicate use; without either, empty.
    pub uses: Vec<AttNum>,
    /// Not `indimmediate`: two rows may have the same values until the transaction ends.
    #[serde(default)]
    pub deferrable: bool,
}

/// What a partitioned table is partitioned by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionKeyData {
    /// The partitioned table.
    pub relation: Oid,
    /// Columns of the key, those in its expressions included.
    pub columns: Vec<AttNum>,
}

/// One use of a relation by a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionUsesData {
    /// The function.
    pub function: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The relation used.
    pub relation: Oid,
    /// The column, or none for the relation as a whole.
    pub column: Option<AttNum>,
}
