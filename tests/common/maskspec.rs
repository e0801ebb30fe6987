//! Masks fitted to columns, and what PostgreSQL says of their types: for the tests of masks.

use pgscrim::{
    catalog::{CatalogSnapshot, Column, data::CatalogData},
    policy::{Mask, masks::MaskSpec},
};

/// A mask as rules name it.
pub fn spec(name: &str, parameters: &str) -> MaskSpec {
    MaskSpec::parse(name, parameters).unwrap_or_else(|error| panic!("{name}({parameters}): {error}"))
}

/// The mask fitted to a column of a database of this catalog.
pub fn fit_in(data: CatalogData, name: &str, parameters: &str, column: &Column) -> Mask {
    let catalog = CatalogSnapshot::new(data, 1);
    spec(name, parameters).fit(column, &catalog).unwrap_or_else(|why| panic!("{name}({parameters}): {why}"))
}

/// SQL that counts the types, modifiers and collations that `t.x` and `m` of this view have between them.
pub fn types_of(view: &str) -> String {
    format!(
        "SELECT count(DISTINCT (atttypid, atttypmod, attcollation))::text FROM pg_attribute
         WHERE (attrelid, attname) IN (('t'::regclass, 'x'), ('{view}'::regclass, 'm'))"
    )
}
