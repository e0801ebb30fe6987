//! What of the rules PostgreSQL alone can judge: whether it takes a condition or a mask at all, a matter of its types and
//! operators. In: rules, the policy made of them, a catalog. Out: [`Probe`]s, statements to be described and never to be run, and the
//! complaint for each that PostgreSQL does not take. Pure.

use std::{collections::HashSet, ops::Range, sync::Arc};

use super::{condition::condition, subjects::Subjects};
use crate::{
    catalog::{CatalogSnapshot, Relation},
    diagnostic::{Diagnostic, Diagnostics},
    names::{Oid, QualifiedName, quote_ident},
    policy::{
        ColumnPolicy, Policy, SqlTemplate, Treatment,
        compiled::Row,
        masks::keyed,
        rules::{At, Complaints, RuleSet},
    },
};

/// The row in every probe.
const ROW: Row<'_> = Row { name: "pgs_row", few: false };

/// One condition or mask as statements would hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What it is, for people: `the rows of public.orders`.
    pub what: String,
    /// What stands behind FROM.
    pub from: String,
    /// Its SQL.
    pub sql: String,
    /// Where it stands.
    pub use_as: UseAs,
    /// The part of it that stands in masks too: what is wrong with it is wrong with them.
    pub part: Option<String>,
    file: Arc<str>,
    span: Range<usize>,
}

/// Where a condition or mask stands in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseAs {
    /// Behind WHERE.
    Condition,
    /// In a select list, where a boolean belongs.
    Boolean,
    /// In a select list, in the place of this column.
    Column(String),
}

impl Probe {
    /// The statement that asks for this probe alone.
    pub fn statement(&self) -> String {
        match &self.use_as {
            UseAs::Condition => format!("SELECT 1 FROM {} WHERE ({})", self.from, self.sql),
            UseAs::Boolean | UseAs::Column(_) => format!("SELECT {} FROM {}", self.items(), self.from),
        }
    }

    /// What it adds to a select list: two columns that must be of one type.
    pub fn items(&self) -> String {
        match &self.use_as {
            UseAs::Condition | UseAs::Boolean => format!("true, ({})", self.sql),
            UseAs::Column(column) => format!("{column}, {}", self.sql),
        }
    }

    /// The complaint that PostgreSQL does not take it.
    pub fn complaint(&self, sqlstate: &str, message: &str) -> Diagnostic {
        let advice = match sqlstate {
            "42804" if self.use_as == UseAs::Condition => {
                "A condition must be true or false: compare the column with something."
            }
            "42804" => "The types must agree: cast one of them.",
            "42883" => {
                "Compare values of one type: cast one side, as in `column::text`. Write an operator of an extension with its schema: \
                 OPERATOR(public.%)."
            }
            "22P02" | "22007" | "22008" | "22003" => "Write the value as its type has it.",
            _ => "Try it in psql.",
        };
        let help = format!("{advice} PostgreSQL was asked for {}", self.statement());
        let message = format!("PostgreSQL does not take {}: {message} ({sqlstate})", self.what);
        Diagnostic::new(Arc::clone(&self.file), Some(self.span.clone()), message).with_help(help)
    }
}

/// Everything in `rules` that PostgreSQL is to be asked about; `policy` is what they compile to.
pub(in crate::policy) fn probes(rules: &RuleSet, policy: &Policy, catalog: &CatalogSnapshot) -> Vec<Probe> {
    let mut found = Found { rules, probes: Vec::new(), known: HashSet::new() };
    for role in rules.roles.iter().filter(|role| !role.exempt) {
        for rows in &role.settings.rows {
            let Some(relation) = super::subjects::table(&rows.table, rows.at, catalog, &mut Complaints::new(&[]))
            else {
                continue;
            };
            if let Ok(condition) = condition(&rows.condition, relation, catalog) {
                found.condition(format!("the rows of {}", name(relation)), relation, &condition.sql, rows.at);
            }
        }
    }
    if let Some(subjects) = Subjects::new(rules, catalog, &mut Complaints::new(&rules.files)) {
        let named = [("consent", &rules.consent), ("refusal", &rules.refusal)];
        let named = named.into_iter().filter_map(|(table, rule)| Some((table, &rule.as_ref()?.records)));
        for (table, rule) in named.chain(rules.erasure.as_ref().map(|rule| ("erasure", rule))) {
            let Some((text, at)) = &rule.condition else { continue };
            let Some(relation) = super::subjects::table(&rule.table, *at, catalog, &mut Complaints::new(&[])) else {
                continue;
            };
            if let Ok(condition) = condition(text, relation, catalog) {
                found.condition(format!("`where` of [{table}]"), relation, &condition.sql, *at);
                if let Some(probe) = found.probes.last_mut() {
                    probe.part = Some(condition.sql.fill_row("", super::subjects::RECORD));
                }
            }
        }
        for grant in &rules.grants {
            let Some((key, relation)) = subjects.key_relation().filter(|_| grant.subjects.is_some()) else { continue };
            for subject in grant.subjects.iter().flatten() {
                let is = subjects.is_subject(subject);
                let sql = SqlTemplate::new(&format!("{}.{} {is}", super::super::compiled::ROW, quote_ident(key)));
                let what = format!("a subject of the grant by document {}", grant.document);
                found.condition(what, relation, &sql, grant.at);
                if let Some(probe) = found.probes.last_mut() {
                    probe.part = Some(is);
                }
            }
        }
    }
    for role in policy.roles.iter().map(|role| role.observed.as_deref().unwrap_or(role)).filter(|role| !role.exempt) {
        for relation in &catalog.data().relations {
            let Some(governed) = role.relation(relation.oid).filter(|governed| governed.refuse.is_none()) else {
                continue;
            };
            // Children have their parents' columns, types and all.
            let is_child = catalog.parents(relation.oid).iter().any(|parent| role.relation(*parent).is_some());
            if is_child || relation.is_system() {
                continue;
            }
            for (column, policy) in relation.columns.iter().zip(&governed.columns) {
                found.column(relation, &column.name, policy);
            }
        }
    }
    found.probes
}

struct Found<'a> {
    rules: &'a RuleSet,
    probes: Vec<Probe>,
    known: HashSet<(Oid, String)>,
}

impl Found<'_> {
    fn condition(&mut self, what: String, relation: &Relation, sql: &SqlTemplate, at: At) {
        let sql = sql.fill_row("", ROW);
        if let Some(file) = self.rules.files.get(at.file) {
            let file = Arc::clone(&file.path);
            self.add(
                relation,
                Probe {
                    what,
                    from: from(relation),
                    sql,
                    use_as: UseAs::Condition,
                    part: None,
                    file,
                    span: at.start..at.end,
                },
            );
        }
    }

    fn column(&mut self, relation: &Relation, column: &str, policy: &ColumnPolicy) {
        let Some((file, span)) = self.rules.line(&policy.rule) else { return };
        let (name, quoted) = (format!("{}.{column}", name(relation)), quote_ident(column));
        let shown = match &policy.treatment {
            Treatment::Mask(mask) => {
                Some((format!("{} of {name}", mask.name), &mask.sql, UseAs::Column(quoted.clone().into_owned())))
            }
            Treatment::Clear | Treatment::Withhold | Treatment::Refuse => None,
        };
        let gate = policy
            .gate
            .as_ref()
            .map(|gate| (format!("what decides whether {name} is found"), &gate.sql, UseAs::Boolean));
        let stored = policy.stored_mask.as_ref();
        let stored = stored.map(|sql| (format!("what tells masks of {name}"), sql, UseAs::Boolean));
        for (what, sql, use_as) in shown.into_iter().chain(gate).chain(stored) {
            // Its schema is closed to the service login, and its SQL is pgscrim's own.
            if sql.text().contains(&format!("{}.{}(", keyed::SCHEMA, keyed::FUNCTION)) {
                continue;
            }
            let sql = sql.fill_row(&quoted, ROW);
            let probe = Probe {
                what,
                from: from(relation),
                sql,
                use_as,
                part: None,
                file: Arc::clone(&file),
                span: span.clone(),
            };
            self.add(relation, probe);
        }
    }

    fn add(&mut self, relation: &Relation, probe: Probe) {
        if self.known.insert((relation.oid, probe.items())) {
            self.probes.push(probe);
        }
    }
}

impl RuleSet {
    /// The complaints, with the texts that they are about.
    pub fn complaints(&self, items: Vec<Diagnostic>) -> Diagnostics {
        let sources = self.files.iter().map(|file| (Arc::clone(&file.path), Arc::clone(&file.text))).collect();
        Diagnostics { items, sources }.sorted()
    }

    /// The file and the bytes of a line that is given as [`RuleSet::origin`] gives it.
    fn line(&self, origin: &str) -> Option<(Arc<str>, Range<usize>)> {
        let (name, line) = origin.rsplit_once(':')?;
        let file = self.files.iter().find(|file| file.path.rsplit('/').next() == Some(name))?;
        let before = line.parse::<usize>().ok()?.checked_sub(1)?;
        let text = file.text.split('\n').nth(before)?;
        let start = file.text.split_inclusive('\n').take(before).map(str::len).sum::<usize>();
        let indent = text.len() - text.trim_start().len();
        Some((Arc::clone(&file.path), start + indent..start + text.trim_end().len().max(indent)))
    }
}

fn name(relation: &Relation) -> String {
    QualifiedName::new(&relation.schema, &relation.name).to_string()
}

fn from(relation: &Relation) -> String {
    format!("{}.{} AS {}", quote_ident(&relation.schema), quote_ident(&relation.name), ROW.name)
}
