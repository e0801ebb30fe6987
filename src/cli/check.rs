//! `pgscrim check`: rules against a catalog, and the matrix role × column. In: rule files and a snapshot, already read.
//! Out: a [`Report`] as text or JSON, or the complaints. Pure; the caller reads files and prints.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    detect::{is_of_people, samples::Samples},
    findings::{self, Finding},
    output::{self, Level},
};
use crate::{
    catalog::{CatalogSnapshot, Relation, data::RelationKind, system::is_refused_anywhere},
    diagnostic::Diagnostics,
    names::QualifiedName,
    policy::{
        Policy, RolePolicy, Search, Treatment,
        compiled::Row as ScopeRow,
        rules::{RuleFile, RuleSet},
    },
};

/// What `check` found out about rules that are valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `policy` of the rule files.
    pub policy: String,
    /// Content hash of the rule files.
    pub hash: String,
    /// Database of the catalog.
    pub database: String,
    /// Categories in file order.
    pub categories: Vec<CategorySummary>,
    /// Who sees what.
    pub matrix: Matrix,
    /// Tables without any classified column: every role that the server lets read them sees them in clear.
    pub ungoverned: Vec<String>,
    /// What is valid and yet likely a mistake, or hands on what the rules protect.
    pub findings: Vec<Finding>,
}

/// One category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CategorySummary {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: Option<String>,
    /// Whether it is sensitive.
    pub sensitive: bool,
}

/// Role × column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// Names of the roles, in file order; with the purpose where a role has several.
    pub roles: Vec<String>,
    /// One row for each column of each governed relation, by relation name and column order.
    pub rows: Vec<Row>,
    /// Where a role sees some rows only.
    pub scopes: Vec<RowsSeen>,
}

/// Which rows a role sees of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowsSeen {
    /// The role, as in [`Matrix::roles`].
    pub role: String,
    /// `schema.table`
    pub relation: String,
    /// The condition, SQL.
    pub condition: String,
}

/// What each role gets of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `schema.table`
    pub relation: String,
    /// Column name.
    pub column: String,
    /// Category, `unclassified` without one.
    pub category: String,
    /// By role: `clear`, the mask, `withhold` or `refuse`, with `; search exact` or `; search refuse` behind it.
    pub cells: Vec<String>,
}

/// Checks `files` against `catalog`, with what samples showed.
///
/// # Errors
/// Every complaint about the files.
pub fn check(files: &[RuleFile], catalog: &CatalogSnapshot, samples: &Samples) -> Result<Report, Diagnostics> {
    let rules = RuleSet::parse(files)?;
    let policy = rules.compile(catalog)?;
    let categories = rules.categories().map(|(name, title, sensitive)| CategorySummary {
        name: name.to_owned(),
        title: title.map(str::to_owned),
        sensitive,
    });
    let matrix = matrix(&policy, catalog);
    Ok(Report {
        categories: categories.collect(),
        matrix,
        ungoverned: ungoverned(&policy, catalog),
        findings: findings::find(&policy.enforced(), &rules, files, catalog, samples),
        policy: policy.id,
        hash: policy.hash,
        database: catalog.data().database.clone(),
    })
}

/// Who sees what of which column.
pub fn matrix(policy: &Policy, catalog: &CatalogSnapshot) -> Matrix {
    let mut rows = Vec::new();
    let shown = |relation: &&Relation| is_of_people(relation);
    for relation in catalog.data().relations.iter().filter(shown) {
        // Which relations are governed depends on the rules alone, not on the role.
        if !policy.roles.iter().any(|role| role.relation(relation.oid).is_some()) {
            continue;
        }
        for (position, column) in relation.columns.iter().enumerate() {
            let known = policy.roles.iter().find_map(|role| role.relation(relation.oid)?.columns.get(position));
            let category = known.and_then(|column| column.category.as_deref()).unwrap_or(match known {
                Some(column) if !column.personal => "-",
                _ => "unclassified",
            });
            rows.push(Row {
                relation: QualifiedName::new(&relation.schema, &relation.name).to_string(),
                column: column.name.clone(),
                category: category.to_owned(),
                cells: policy.roles.iter().map(|role| cell(role, relation.oid, position)).collect(),
            });
        }
    }
    rows.sort_by(|a, b| a.relation.cmp(&b.relation));
    let label = |role: &RolePolicy| {
        let several = policy.roles.iter().filter(|other| other.name == role.name).count() > 1;
        let name = if several { format!("{} ({})", role.name, role.purpose) } else { role.name.clone() };
        if role.observed.is_some() { format!("{name} (observed)") } else { name }
    };
    let scope = |role: &RolePolicy, relation: &Relation| {
        let scope = enforced(role).relation(relation.oid)?.scope.as_ref()?;
        Some(RowsSeen {
            role: label(role),
            relation: QualifiedName::new(&relation.schema, &relation.name).to_string(),
            condition: scope.sql.fill_row("", ScopeRow { name: &relation.name, few: false }),
        })
    };
    let relations = || catalog.data().relations.iter().filter(shown);
    let scopes = policy.roles.iter().flat_map(|role| relations().filter_map(move |relation| scope(role, relation)));
    Matrix { scopes: scopes.collect(), roles: policy.roles.iter().map(label).collect(), rows }
}

/// The role as the rules have it, also where it is only observed.
fn enforced(role: &RolePolicy) -> &RolePolicy {
    role.observed.as_deref().unwrap_or(role)
}

fn cell(role: &RolePolicy, relation: crate::names::Oid, position: usize) -> String {
    let Some(governed) = enforced(role).relation(relation) else { return "clear".to_owned() };
    if governed.refuse.is_some() {
        return "refuse".to_owned();
    }
    let Some(column) = governed.columns.get(position) else { return "withhold".to_owned() };
    let label = column.treatment.label();
    match (&column.treatment, column.search) {
        (Treatment::Clear | Treatment::Refuse, _) | (_, Search::Masked) => label.to_owned(),
        (Treatment::Mask(_) | Treatment::Withhold, Search::Exact) => format!("{label}; search exact"),
        (Treatment::Mask(_) | Treatment::Withhold, Search::Refuse) => format!("{label}; search refuse"),
    }
}

fn ungoverned(policy: &Policy, catalog: &CatalogSnapshot) -> Vec<String> {
    let tables = catalog.data().relations.iter().filter(|relation| {
        let table = match relation.kind {
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => true,
            RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::Sequence
            | RelationKind::Toast
            | RelationKind::Composite => false,
        };
        let open = is_of_people(relation) && !is_refused_anywhere(&relation.name);
        table && open && !policy.roles.iter().any(|role| role.relation(relation.oid).is_some())
    });
    let mut names: Vec<String> = tables.map(|t| QualifiedName::new(&t.schema, &t.name).to_string()).collect();
    names.sort();
    names
}

impl Report {
    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = format!("policy {} ({}), database {}\n\n", self.policy, self.hash, self.database);
        out += &self.matrix.to_text();
        if !self.ungoverned.is_empty() {
            let _ = writeln!(out, "\nnot governed, in clear for every role: {}", self.ungoverned.join(", "));
        }
        if !self.findings.is_empty() {
            out.push('\n');
        }
        for finding in &self.findings {
            let Finding { level, code, object, message, spot } = finding;
            let _ = writeln!(out, "{} {code}: {object} {message}", level.name());
            if let Some(spot) = spot {
                let _ = writeln!(out, "  --> {}:{}", spot.file, spot.line);
            }
        }
        let count = |level: Level| self.findings.iter().filter(|finding| finding.level == level).count();
        let _ = writeln!(out, "\nwarnings: {}, notes: {}", count(Level::Warning), count(Level::Note));
        out
    }

    /// For programs: one JSON object.
    pub fn to_json(&self) -> String {
        output::pretty(self)
    }
}

impl Matrix {
    /// A table with one column a role.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<Vec<String>> = Vec::with_capacity(self.rows.len() + 1);
        lines.push(["column", "category"].map(str::to_owned).into_iter().chain(self.roles.iter().cloned()).collect());
        for row in &self.rows {
            let head = [format!("{}.{}", row.relation, row.column), row.category.clone()];
            lines.push(head.into_iter().chain(row.cells.iter().cloned()).collect());
        }
        output::table(&lines, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::{database, role, table, view};

    fn report() -> Report {
        let mut data = database();
        let customers = table(&mut data, "customers", "id bigint, phone varchar(20), note text");
        table(&mut data, "products", "id bigint");
        view(&mut data, "odd", "x text", "SELECT nonsense", &[customers]);
        role(&mut data, "care_app", &[]);
        let text = "policy = \"p1\"\n[category.none]\ncolumns = [\"public.customers.id\"]\n[category.phone]\n\
                    title = \"Phone\"\nsensitivity = \"sensitive\"\ncolumns = [\"public.customers.phone\"]\n\
                    [[role]]\nname = \"care\"\nmatch = { user = \"care_app\" }\nsee = { phone = \"phone_vn\" }\n\
                    search = { phone = \"exact\" }\n[[role]]\nname = \"owner\"\nmatch = { user = \"gone\" }\n\
                    exempt = true\n";
        let file = RuleFile { path: "r.toml".into(), text: text.into() };
        check(&[file], &CatalogSnapshot::new(data, 1), &Samples::default())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
    }

    #[test]
    fn text_shows_every_governed_column_and_what_is_odd() {
        let report = report();
        let refused = report.findings.iter().find(|finding| finding.object == "public.odd").unwrap();
        let why = refused.message.split([':', ';']).nth(1).unwrap().to_owned();
        insta::assert_snapshot!(report.to_text().replace(&report.hash, "HASH").replace(&why, " WHY"), @r#"
        policy p1 (HASH), database shop

        column                  category      care                    owner
        public.customers.id     none          clear                   clear
        public.customers.phone  phone         phone_vn; search exact  clear
        public.customers.note   unclassified  withhold                clear
        public.odd.x            unclassified  refuse                  clear

        not governed, in clear for every role: public.products

        warning PGC101: role owner matches "gone", which the server does not have
          --> r.toml:13
        warning PGC201: public.customers.note is in no category, so that restricted roles read NULL; it looks like category free_text: its name holds "note"
          --> r.toml:3
        warning PGC401: public.odd is refused to care: WHY; classify its columns to allow it, and give it a link in [subject] or rows of its own where it needs them
        note PGC402: public.odd reads public.customers.note, public.customers.phone, not in clear for every role (phone_vn for care); the matrix shows how its columns are treated
          --> r.toml:11
        note PGC501: catalog file says nothing of indexes, foreign keys, partition keys and functions; dump it anew

        warnings: 3, notes: 2
        "#);
    }

    #[test]
    fn json_holds_the_same() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(json["matrix"]["roles"][0], "care");
        assert_eq!(json["matrix"]["rows"][1]["cells"][0], "phone_vn; search exact");
        assert_eq!(json["categories"][1]["sensitive"], true);
    }
}
