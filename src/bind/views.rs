//! Lineage of views: which base columns each output column of a stored view definition comes from, and which decide what
//! rows there are, in which order.

use super::{Usages, bind_query};
use crate::{
    catalog::CatalogSnapshot,
    names::{AttNum, Oid},
    sql::{lex::lex, parse::parse_query, split::statements},
};

/// One output column of a view, by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewColumn {
    /// The column of a table or view that it hands through unchanged (one level down: the direct source).
    pub plain: Option<(Oid, AttNum)>,
    /// Every column that its value is computed from (one level down), the plain one included.
    pub sources: Vec<(Oid, AttNum)>,
}

/// What a view is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewLineage {
    /// By position in [`crate::catalog::Relation::columns`].
    pub columns: Vec<ViewColumn>,
    /// Columns in conditions, joins, groups, windows and sort keys anywhere in the definition (one level down).
    pub decides: Vec<(Oid, AttNum)>,
}

/// The lineage of `view`.
///
/// # Errors
/// Why the definition is not understood.
pub fn view_lineage(catalog: &CatalogSnapshot, view: Oid) -> Result<ViewLineage, String> {
    let relation = catalog.relation(view).ok_or("it is not in the catalog")?;
    let definition = relation.definition.as_deref().ok_or("its definition is not known")?;
    let tokens = lex(definition).map_err(|refusal| refusal.message)?;
    let own = match statements(&tokens).as_slice() {
        [range] => tokens.get(range.clone()).unwrap_or(&[]),
        _ => return Err("its definition is not one query".to_owned()),
    };
    // The server prints definitions with every name qualified that is not in pg_catalog.
    let path = ["pg_catalog".to_owned()];
    let query = parse_query(own, 0).map_err(|refusal| refusal.message)?;
    let bound = bind_query(&query, own, catalog, &path).map_err(|refusal| refusal.message)?;
    if bound.outputs.len() != relation.columns.len() {
        return Err("its columns do not match its definition".to_owned());
    }
    let column = |(id, position): (usize, usize)| {
        let used = bound.relations.get(id)?;
        Some((used.oid, catalog.relation(used.oid)?.columns.get(position)?.attnum))
    };
    let lineage = |output: &super::Output| ViewColumn {
        plain: output.plain.and_then(column),
        sources: output.deps.iter().filter_map(|dep| column(*dep)).collect(),
    };
    let mut decides = Vec::new();
    for (id, used) in bound.relations.iter().enumerate() {
        let marked = used.marks.iter().enumerate().filter(|(_, mark)| mark.usages.any(Usages::COMPARED));
        decides.extend(marked.filter_map(|(position, _)| column((id, position))));
    }
    Ok(ViewLineage { columns: bound.outputs.iter().map(lineage).collect(), decides })
}
