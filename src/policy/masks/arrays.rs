//! Text masks on arrays of texts: each element is masked. An array of several dimensions becomes an empty one, because
//! its elements cannot be put back in their places.

use super::{Built, MaskDef, params::Params, site::Site};
use crate::{catalog::Column, names::Oid};

/// A column like the elements of `column`, when that is an array of texts.
pub(super) fn element(column: &Column) -> Option<Column> {
    let (oid, name) = match column.type_oid.0 {
        1009 => (25, "text"),
        1015 => (1043, "varchar"),
        1014 => (1042, "bpchar"),
        _ => return None,
    };
    let bare = |ty: &str| ty.strip_suffix("[]").map(str::to_owned);
    Some(Column {
        type_oid: Oid(oid),
        type_sql: bare(&column.type_sql)?,
        type_sql_plain: bare(&column.type_sql_plain)?,
        type_name: name.to_owned(),
        type_category: 'S',
        ..column.clone()
    })
}

/// The operand with each element masked.
pub(super) fn each(site: &Site<'_>, element: &Column, def: &MaskDef, params: &Params<'_>) -> Result<Built, String> {
    let inner = site.inner(element, params, "e".to_owned())?;
    let masked = inner.finish((def.build)(&inner, params)?);
    let x = site.raw();
    let elements = site.call("unnest", &[&x]);
    let list = format!("ARRAY(SELECT {masked} FROM {elements} WITH ORDINALITY pgs_u(e,i) ORDER BY i)");
    let flat = site.op(&site.call("array_ndims", &[&x]), "=", "1");
    Ok(Built::Cast(format!("CASE WHEN {flat} THEN {list} WHEN {x} IS NOT NULL THEN '{{}}' END")))
}
