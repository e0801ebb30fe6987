//! Resolution of relation names along a search path.

use super::{CatalogSnapshot, Relation};

/// The relation that `name` means on `path` (effective schemas in order, `pg_catalog` included where it is searched).
pub fn resolve_relation<'a>(catalog: &'a CatalogSnapshot, path: &[String], name: &str) -> Option<&'a Relation> {
    path.iter().find_map(|schema| catalog.relation_named(schema, name))
}
