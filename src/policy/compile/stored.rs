//! What is still stored of subjects who have asked to be erased → a statement that counts it, table by table, for who may
//! read the tables: it counts values, and shows none.

use std::fmt::Write as _;

use super::{
    Basis, assign,
    inherit::{self, is_view},
    subjects::{Asked, Subjects, Wanted},
};
use crate::{
    catalog::{CatalogSnapshot, Relation},
    diagnostic::Diagnostics,
    names::{QualifiedName, quote_ident, quote_literal},
    policy::{
        SqlTemplate,
        compiled::Row,
        rules::{Complaints, RuleSet},
    },
};

/// The statement; none when the rules do not say where requests for erasure are recorded.
pub(in crate::policy) fn stored(rules: &RuleSet, catalog: &CatalogSnapshot) -> Result<Option<String>, Diagnostics> {
    let mut complaints = Complaints::new(&rules.files);
    let assignments = assign::assign(rules, catalog, &mut complaints);
    let subjects = Subjects::new(rules, catalog, &mut complaints);
    if !complaints.is_empty() {
        return Err(complaints.into_diagnostics());
    }
    let Some(subjects) = subjects.filter(|_| rules.erasure.is_some()) else { return Ok(None) };
    let bases = inherit::tables(&assignments, catalog);
    let mut out = String::new();
    for relation in &catalog.data().relations {
        // The rows of partitions and children are read through their parents.
        let Some(known) = bases.get(&relation.oid).filter(|_| catalog.parents(relation.oid).is_empty()) else {
            continue;
        };
        if is_view(relation.kind) {
            continue;
        }
        let columns: Vec<(&str, String)> = relation
            .columns
            .iter()
            .zip(&known.columns)
            .filter_map(|(column, basis)| match basis {
                Basis::Categories(categories) => {
                    let category = categories.iter().find(|category| !rules.is_none(**category))?;
                    Some((column.name.as_str(), rules.category_name(*category).to_string()))
                }
                Basis::Unclassified => Some((column.name.as_str(), "unclassified".to_owned())),
                Basis::Derived | Basis::Free => None,
            })
            .collect();
        if let (Asked::Condition(condition, _), false) =
            (subjects.ask(relation, None, Wanted { erasure: true, ..Wanted::default() }), columns.is_empty())
        {
            let erased = format!("NOT ({})", condition.fill_row("", Row { name: "pgs_row", few: false }));
            if !out.is_empty() {
                out.push_str("UNION ALL\n");
            }
            let late = subjects.past_carrying_out(relation.oid).map(|late| SqlTemplate::new(&late));
            let late = late.map(|late| late.fill_row("", Row { name: "pgs_row", few: false }));
            out.push_str(&count(relation, &columns, &erased, late.as_deref()));
        }
    }
    if out.is_empty() {
        return Ok(Some(
            "SELECT 'no table of the rules has personal data of subjects' AS \"table\" WHERE false;\n".to_owned(),
        ));
    }
    out.push_str("ORDER BY 1, 2;\n");
    let requests = subjects.overdue_requests().unwrap_or_default();
    Ok(Some(format!("{requests}{out}")))
}

/// Counts the values of `columns` in rows of which `erased` holds, and those of which `late` does beside.
fn count(relation: &Relation, columns: &[(&str, String)], erased: &str, late: Option<&str>) -> String {
    let name = QualifiedName::new(&relation.schema, &relation.name).to_string();
    let (mut counts, mut rows) = (String::new(), String::new());
    for (number, (column, category)) in columns.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let name = quote_ident(column);
        let _ = write!(counts, "{comma}count({name}) AS c{number}");
        let mut more = String::new();
        if let Some(late) = late {
            let _ = write!(counts, ", count({name}) FILTER (WHERE {late}) AS d{number}");
            let _ = write!(more, ", d{number}");
        }
        let _ = write!(rows, "{comma}({}, {}, c{number}{more})", quote_literal(column), quote_literal(category));
    }
    let (shown, named) = if late.is_some() { (", v.overdue", ", overdue") } else { ("", "") };
    format!(
        "SELECT {} AS \"table\", v.\"column\", v.category, v.values_stored{shown}\nFROM (SELECT {counts}\n      FROM {}.{} AS pgs_row\n      \
         WHERE {erased}) AS t,\n     LATERAL (VALUES {rows}) AS v (\"column\", category, values_stored{named})\nWHERE v.values_stored > 0\n",
        quote_literal(&name),
        quote_ident(&relation.schema),
        quote_ident(&relation.name)
    )
}
