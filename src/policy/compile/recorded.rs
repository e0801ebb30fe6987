//! Names in the records of subjects (purposes of `[consent]`, categories of `[refusal]`) that are none of the rules': such a
//! record does nothing, and nobody notices. In: rules and catalog. Out: statements that count them, for `check --sample`.

use super::subjects::Subjects;
use crate::{
    catalog::CatalogSnapshot,
    names::quote_literal,
    policy::rules::{Complaints, NONE, NamedRecordsRule, RecordsRule, RuleSet},
    sql::{Kind, lex::lex},
};

/// What may be misspelt in one table of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedNames {
    /// `purpose` or `category`.
    pub what: &'static str,
    /// `schema.table`
    pub table: String,
    /// The column with the names.
    pub column: String,
    /// A statement with two columns, a name and the number of records. The names are not for people: they may be anything.
    pub sql: String,
    /// The names that the rules know.
    pub known: Vec<String>,
    /// Where the rules speak of the records, as `file:line`.
    pub origin: String,
}

/// The tables of records that have names.
pub(in crate::policy) fn recorded_names(rules: &RuleSet, catalog: &CatalogSnapshot) -> Vec<RecordedNames> {
    let Some(subjects) = Subjects::new(rules, catalog, &mut Complaints::new(&rules.files)) else { return Vec::new() };
    let purposes = rules.roles.iter().flat_map(|role| role.purposes.iter().cloned());
    let categories = rules.categories.iter().map(|category| category.name.to_string()).filter(|name| name != NONE);
    let (mut purposes, mut categories): (Vec<_>, Vec<_>) = (purposes.collect(), categories.collect());
    // One table may hold both, told apart by a name that the other's condition spells out.
    purposes.extend(rules.refusal.iter().flat_map(|refusal| spelt_out(&refusal.records)));
    categories.extend(rules.refusal.iter().flat_map(|refusal| refusal.categories.iter().map(|(name, _)| name.clone())));
    categories.extend(rules.consent.iter().flat_map(|consent| spelt_out(&consent.records)));
    let each = [
        ("purpose", &rules.consent, subjects.consent_names(), purposes),
        ("category", &rules.refusal, subjects.refusal_names(), categories),
    ];
    let one = |(what, rule, found, known): (_, &Option<NamedRecordsRule>, Option<Names<'_>>, Vec<String>)| {
        let Names { table, name, condition } = found?;
        Some(statement((what, rule.as_ref()?), table, name, &condition, known, rules))
    };
    each.into_iter().filter_map(one).collect()
}

/// The table of records, the SQL of the column with the name, and which records count.
pub(super) struct Names<'a> {
    pub table: &'a str,
    pub name: &'a str,
    pub condition: String,
}

fn statement(
    (what, rule): (&'static str, &NamedRecordsRule),
    table: &str,
    name: &str,
    condition: &str,
    mut known: Vec<String>,
    rules: &RuleSet,
) -> RecordedNames {
    known.sort();
    known.dedup();
    let list: Vec<String> = known.iter().map(|name| quote_literal(name)).collect();
    let (name, column, at) = (format!("pgs_r.{name}"), &rule.of, rule.records.at);
    let sql = format!(
        "SELECT pg_catalog.left({name}::pg_catalog.text, 60), \
         pg_catalog.count(*) FROM {table} AS pgs_r WHERE {name} IS NOT NULL{condition} \
         AND {name}::pg_catalog.text OPERATOR(pg_catalog.<>) ALL (ARRAY[{}]::pg_catalog.text[]) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1000",
        list.join(", ")
    );
    RecordedNames {
        what,
        table: table.to_owned(),
        column: column.clone(),
        sql,
        known,
        origin: rules.origin(at).to_string(),
    }
}

/// The texts in the condition of a rule.
fn spelt_out(rule: &RecordsRule) -> Vec<String> {
    let condition = rule.condition.as_ref().map_or("", |(text, _)| text.as_str());
    let tokens = lex(condition).unwrap_or_default();
    tokens.iter().filter(|token| token.kind == Kind::Text).map(|token| token.content().to_owned()).collect()
}
