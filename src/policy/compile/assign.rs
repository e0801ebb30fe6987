//! Column names of the rules → columns of the catalog. Complains about names that do not exist and about columns in two
//! categories.

use super::{Assignment, Assignments, CategoryId};
use crate::{
    catalog::{CatalogSnapshot, Relation, data::RelationKind},
    diagnostic::suggestion,
    names::{QualifiedName, rule_part},
    policy::{
        masks::keyed,
        pattern::Part,
        rules::{ColumnRule, Complaints, RuleSet},
    },
};

pub(super) fn assign(rules: &RuleSet, catalog: &CatalogSnapshot, complaints: &mut Complaints<'_>) -> Assignments {
    let mut assignments = Assignments::default();
    for (index, category) in rules.categories.iter().enumerate() {
        for rule in &category.columns {
            let mut matched = false;
            for relation in relations(rule, catalog) {
                let [_, _, column_part] = &rule.parts;
                for column in relation.columns.iter().filter(|column| column_part.matches(&column.name)) {
                    matched = true;
                    let assignment = Assignment { category: CategoryId(index), at: rule.at };
                    let first = *assignments.entry((relation.oid, column.attnum)).or_insert(assignment);
                    if first.category != assignment.category {
                        let name = QualifiedName::new(&relation.schema, &relation.name);
                        let message = format!(
                            "column {name}.{} is in two categories, {} and {}",
                            rule_part(&column.name),
                            rules.category_name(first.category),
                            category.name
                        );
                        let help = format!(
                            "The first assignment is at {}; a column belongs to one category.",
                            complaints.origin(first.at)
                        );
                        complaints.add_with_help(rule.at, message, help);
                    }
                }
            }
            if !matched {
                explain_missing(rule, catalog, complaints);
            }
        }
    }
    assignments
}

/// Whether rules can name columns of `relation`.
fn can_be_classified(relation: &Relation) -> bool {
    let kind = match relation.kind {
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::View
        | RelationKind::MaterializedView
        | RelationKind::ForeignTable => true,
        RelationKind::Sequence | RelationKind::Toast | RelationKind::Composite => false,
    };
    // The keys of masks are nobody's data.
    kind && !relation.is_system() && relation.schema != keyed::SCHEMA
}

fn relations<'c>(rule: &'c ColumnRule, catalog: &'c CatalogSnapshot) -> impl Iterator<Item = &'c Relation> {
    let [schema, table, _] = &rule.parts;
    let relations = catalog.data().relations.iter();
    relations.filter(|relation| {
        schema.matches(&relation.schema) && table.matches(&relation.name) && can_be_classified(relation)
    })
}

fn explain_missing(rule: &ColumnRule, catalog: &CatalogSnapshot, complaints: &mut Complaints<'_>) {
    let [schema, table, column] = &rule.parts;
    let Part::Name(schema_name) = schema else {
        return complaints.add_with_help(
            rule.at,
            format!("{} matches no column", rule.text),
            "A pattern that matches nothing is most likely a mistake.",
        );
    };
    if !catalog.has_schema(schema_name) {
        let near = suggestion(schema_name, "schemas", catalog.data().schemas.iter().map(|schema| schema.name.as_str()));
        return complaints.add_with_suggestion(rule.at, format!("unknown schema \"{schema_name}\""), near);
    }
    let Part::Name(table_name) = table else {
        return complaints.add_with_help(
            rule.at,
            format!("{} matches no column", rule.text),
            "A pattern that matches nothing is most likely a mistake.",
        );
    };
    let qualified = QualifiedName::new(schema_name, table_name);
    let Some(relation) = catalog.relation_named(schema_name, table_name) else {
        let all = catalog.data().relations.iter();
        let names = all.filter(|relation| relation.schema == *schema_name && can_be_classified(relation));
        let near = suggestion(table_name, "tables", names.map(|relation| relation.name.as_str()));
        return complaints.add_with_suggestion(rule.at, format!("unknown table {qualified}"), near);
    };
    if !can_be_classified(relation) {
        return complaints.add_with_help(
            rule.at,
            format!("{qualified} cannot be classified"),
            "Rules name columns of tables and views outside the system's own schemas.",
        );
    }
    match column {
        Part::Name(column) => {
            let near = suggestion(column, "columns", relation.columns.iter().map(|column| column.name.as_str()));
            let message = format!("unknown column \"{column}\" of {qualified}");
            complaints.add_with_suggestion(rule.at, message, near);
        }
        Part::Any => complaints.add(rule.at, format!("{qualified} has no columns")),
    }
}
