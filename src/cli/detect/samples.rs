//! Samples of a live server → a [`Tally`] a column. In: the server and its catalog. Out: tallies, and what could not be looked
//! at. Invariant: a value is counted and dropped; see [`crate::upstream::catalog::sample`].

use std::collections::HashMap;

use super::content::Tally;
use crate::{
    catalog::{CatalogData, Column, Relation, data::RelationKind},
    config::UpstreamConfig,
    names::{AttNum, Oid},
    upstream::{
        CatalogError,
        catalog::{
            privileges::Writable,
            recorded::Counted,
            sample::{NotSampled, Wanted, sample},
        },
    },
};

/// What a live server showed beside its catalog.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    tallies: HashMap<(Oid, AttNum), Tally>,
    /// Tables that could not be looked at, with the reason.
    pub missed: Vec<NotSampled>,
    /// How many tables were looked at.
    pub tables: usize,
    /// Logins, and relations that conditions of their roles read and they may not.
    pub unreadable: Vec<(String, Oid)>,
    /// What logins may write of the relations that decide what their roles see.
    pub writable: Vec<Writable>,
    /// Names in records that are none of the rules'.
    pub misspelt: Vec<Counted>,
    /// Why the server could not be asked whether it takes conditions and masks, with the first of them and how many more.
    pub not_asked: Vec<(String, String, usize)>,
}

impl Samples {
    /// What was counted of a column; none when it was not looked at.
    pub fn of(&self, relation: Oid, column: AttNum) -> Option<&Tally> {
        self.tallies.get(&(relation, column))
    }

    /// Looks at the tables of `catalog`. Partitions are seen through their parent; views and foreign tables are left out, for
    /// reading them runs other code.
    ///
    /// # Errors
    /// No connection.
    pub async fn take(upstream: &UpstreamConfig, catalog: &CatalogData) -> Result<Self, CatalogError> {
        let tables = catalog.relations.iter().filter(|relation| is_sampled(relation, catalog));
        let mut wanted = Vec::new();
        let mut tallies: Vec<Vec<(AttNum, Tally)>> = Vec::new();
        for table in tables {
            let columns: Vec<&Column> = table.columns.iter().filter(|column| can_tell(column)).collect();
            if columns.is_empty() {
                continue;
            }
            wanted.push(Wanted {
                relation: table.oid,
                schema: table.schema.clone(),
                name: table.name.clone(),
                columns: columns.iter().map(|column| column.name.clone()).collect(),
            });
            let tally = |column: &&Column| (column.attnum, Tally::new(column.type_category == 'N'));
            tallies.push(columns.iter().map(tally).collect());
        }
        let missed = sample(upstream, &wanted, |table, column, value| {
            if let Some((_, tally)) = tallies.get_mut(table).and_then(|columns| columns.get_mut(column)) {
                tally.look(value);
            }
        })
        .await?;
        let tables = wanted.len() - missed.len();
        let tallies = wanted
            .iter()
            .zip(tallies)
            .flat_map(|(table, columns)| columns.into_iter().map(|(column, tally)| ((table.relation, column), tally)))
            .collect();
        Ok(Self { tallies, missed, tables, ..Self::default() })
    }
}

fn is_sampled(relation: &Relation, catalog: &CatalogData) -> bool {
    let stored = match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView => true,
        RelationKind::View
        | RelationKind::ForeignTable
        | RelationKind::Sequence
        | RelationKind::Toast
        | RelationKind::Composite => false,
    };
    stored && super::is_of_people(relation) && !catalog.inherits.iter().any(|inherits| inherits.child == relation.oid)
}

/// Whether values of the column's type can tell what they are.
fn can_tell(column: &Column) -> bool {
    match column.type_category {
        'S' => true,
        'N' => matches!(column.type_name.as_str(), "int8" | "numeric"),
        'A' => matches!(column.type_name.as_str(), "_text" | "_varchar"),
        _ => matches!(column.type_name.as_str(), "json" | "jsonb"),
    }
}
