//! Foreign keys, and what follows from them. In: the snapshot. Out: whether rows can refer to what is not there.

use serde::{Deserialize, Serialize};

use super::{CatalogSnapshot, Relation, data::RelationKind};
use crate::names::{AttNum, Oid};

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForeignKeyData {
    /// `conname`
    pub name: String,
    /// The referencing table.
    pub relation: Oid,
    /// Its columns.
    pub columns: Vec<AttNum>,
    /// The referenced table.
    pub target: Oid,
    /// Its columns, in the order of `columns`.
    pub target_columns: Vec<AttNum>,
    /// `confdeltype`: a no action, r restrict, c cascade, n set null, d set default; none in catalog files of before it was read.
    #[serde(default)]
    pub on_delete: Option<char>,
    /// `condeferrable`: it may be looked at when the transaction ends.
    #[serde(default)]
    pub deferrable: bool,
    /// `confmatchtype`: s simple, f full; none in catalog files of before it was read.
    #[serde(default)]
    pub matches: Option<char>,
    /// `convalidated`: it holds of every row; of those that are NOT VALID or NOT ENFORCED nothing is known.
    #[serde(default)]
    pub validated: bool,
}

impl ForeignKeyData {
    /// Whether values of column `own` of `holder` may be checked against nothing, because another column of the key is NULL.
    pub fn may_skip(&self, holder: &Relation, own: AttNum) -> bool {
        let nullable = |at: &AttNum| *at != own && holder.column_numbered(*at).is_none_or(|column| !column.not_null);
        self.columns.len() > 1 && self.matches != Some('f') && self.columns.iter().any(nullable)
    }
}

impl CatalogSnapshot {
    /// The foreign keys that rows of a relation are checked by when they refer to column `referenced` of `target` by their column
    /// `own`. Keys of partitions are those of the partitioned table; those of tables that are inherited from are not inherited.
    pub fn keys_between(
        &self,
        (relation, own): (Oid, AttNum),
        (target, referenced): (Oid, AttNum),
    ) -> Vec<&ForeignKeyData> {
        let mut holders = vec![relation];
        let mut next = 0;
        while let Some(oid) = holders.get(next).copied() {
            next += 1;
            let parents = self.parents(oid).iter().filter_map(|parent| self.relation(*parent));
            holders.extend(parents.filter(|one| one.kind == RelationKind::PartitionedTable).map(|one| one.oid));
        }
        let keys = holders.into_iter().flat_map(|holder| self.foreign_keys(holder));
        keys.filter(|key| {
            let mut pairs = key.columns.iter().zip(&key.target_columns);
            key.target == target && pairs.any(|pair| pair == (&own, &referenced))
        })
        .collect()
    }

    /// Whether what column `own` of a relation holds, where it is not NULL, stands in column `referenced` of `target` at any moment that a
    /// statement can see. No for what is no table, and where a child has no such key of its own.
    pub fn always_finds(&self, relation: Oid, own: &str, target: Oid, referenced: &str) -> bool {
        let Some(referenced) = self.relation(target).and_then(|target| target.column(referenced)) else { return false };
        let mut open = vec![relation];
        while let Some(oid) = open.pop() {
            let Some(holder) = self.relation(oid) else { return false };
            let Some(own) = holder.column(own) else { return false };
            let keys = self.keys_between((oid, own.attnum), (target, referenced.attnum));
            let proves = |key: &&ForeignKeyData| key.validated && !key.deferrable && !key.may_skip(holder, own.attnum);
            if !keys.iter().any(proves) {
                return false;
            }
            open.extend(self.children(oid));
        }
        true
    }
}
