//! Data subjects: how a row leads to its subject, and what the subject's records (consent, refusal, erasure requests) and
//! the grants of a legal duty say of it. In: rules and catalog. Out: conditions in SQL over the name of a row.
//!
//! Invariants: every such condition is true or false, never NULL; the records are read when a statement runs, by the same
//! snapshot as its data; a table of personal data that leads to no subject is complained about, and what else leads to
//! none (a view) is withheld.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    condition::condition,
    equality::{built_in_equality, comparable, equality},
    inherit::is_view,
    recorded::Names,
    routes::{Link, MOST_ROUTES, looked_up, only},
};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation},
    diagnostic::suggestion,
    names::{Oid, QualifiedName, quote_ident, quote_literal},
    policy::{
        SqlTemplate,
        compiled::Row,
        pattern::Part,
        rules::{
            At, ColumnRule, Complaints, DeadlinesRule, GrantRule, LinkRule, NamedRecordsRule, Orphans, RecordsRule,
            RoleRule, RuleSet, SubjectRule, Within,
        },
    },
};

/// A column of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub relation: Oid,
    /// `schema.table`, for SQL.
    pub table: String,
    pub column: String,
    /// The operator of equality of its type.
    pub equals: String,
}

/// Records about subjects, resolved.
#[derive(Debug)]
struct Records {
    table: String,
    subject: String,
    condition: Option<SqlTemplate>,
    /// The table, and what the condition reads.
    needs: Vec<Oid>,
}

/// Records of which each is about one purpose or category: they cannot be looked up without its name.
#[derive(Debug)]
struct Named {
    records: Records,
    /// The SQL of the column that holds the name.
    of: String,
    /// Names that are stored, and the categories that each stands for beside the one of its own name.
    stands_for: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

impl Named {
    /// The names by which a record may mean any of `wanted`.
    fn stored(&self, wanted: &[Arc<str>]) -> Vec<Arc<str>> {
        let mut found = wanted.to_vec();
        let others = self.stands_for.iter().filter(|(_, of)| of.iter().any(|one| wanted.contains(one)));
        for (name, _) in others {
            if !found.contains(name) {
                found.push(Arc::clone(name));
            }
        }
        found
    }
}

/// By when requests for erasure are to be answered and carried out: conditions on a record that is too late.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// The SQL of the column with the moment of the request.
    pub requested: String,
    pub answer: Option<String>,
    pub carry_out: Option<String>,
}

/// How rows lead to subjects, and what is recorded of these.
#[derive(Debug)]
pub(super) struct Subjects<'a> {
    pub(super) catalog: &'a CatalogSnapshot,
    pub(super) key: Place,
    /// Those of a relation, in the order of the rules.
    pub(super) links: HashMap<Oid, Vec<Link>, FixedState>,
    unlinked: HashSet<Oid, FixedState>,
    orphans: Orphans,
    consent: Option<Named>,
    refusal: Option<Named>,
    erasure: Option<Records>,
    deadlines: Option<Deadlines>,
    /// The operator of equality of texts.
    equals: &'static str,
}

/// What is to be asked of the subject of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    /// Consent to this purpose.
    pub consent: Option<&'a str>,
    /// No refusal for any of these categories.
    pub refusal: &'a [Arc<str>],
    /// No request for erasure.
    pub erasure: bool,
}

/// The answer for one relation.
#[derive(Debug)]
pub(super) enum Asked {
    /// Nothing is to be asked.
    Nothing,
    /// The condition, and how a label says it.
    Condition(SqlTemplate, String),
    /// Its rows lead to no subject.
    NoSubject,
}

impl<'a> Subjects<'a> {
    /// Resolves what the rules say; none when they say nothing, or nothing sound.
    pub fn new(rules: &RuleSet, catalog: &'a CatalogSnapshot, complaints: &mut Complaints<'_>) -> Option<Self> {
        let subject = rules.subject.as_ref()?;
        let key = place(&subject.key, catalog, complaints);
        let mut links: HashMap<Oid, Vec<Link>, FixedState> = HashMap::default();
        for LinkRule { from, to, columns } in &subject.links {
            let (Some(from_place), Some(to_place)) = (place(from, catalog, complaints), place(to, catalog, complaints))
            else {
                continue;
            };
            comparable(&from_place, &to_place, from.at, catalog, complaints);
            let only = columns.as_ref().map(|columns| only(columns, from_place.relation, catalog, complaints));
            let own = links.entry(from_place.relation).or_default();
            if own.iter().any(|other| other.column == from_place.column) {
                complaints.add(from.at, format!("a second link leads from {}", from.text));
            }
            own.push(Link { column: from_place.column, to: to_place, only });
        }
        let mut unlinked = HashSet::default();
        for (name, at) in &subject.unlinked {
            unlinked.extend(table(name, *at, catalog, complaints).map(|relation| relation.oid));
        }
        let key = key?;
        let mut named = |rule: &Option<NamedRecordsRule>| {
            let NamedRecordsRule { records: rule, of, categories } = rule.as_ref()?;
            let stands_for = categories.iter().map(|(name, of)| {
                (name.as_str().into(), of.iter().map(|(category, _)| category.as_str().into()).collect())
            });
            let records = resolve_records(rule, &key, catalog, complaints);
            let of = name_column(rule, of, catalog, complaints);
            Some(Named { records: records?, of: of?, stands_for: stands_for.collect() })
        };
        let (consent, refusal) = (named(&rules.consent), named(&rules.refusal));
        let erasure = rules.erasure.as_ref().and_then(|rule| resolve_records(rule, &key, catalog, complaints));
        let deadlines = rules.erasure.as_ref().zip(rules.deadlines.as_ref());
        let deadlines = deadlines.and_then(|(rule, given)| resolve_deadlines(rule, given, catalog, complaints));
        let equals = built_in_equality(catalog);
        let orphans = subject.orphans;
        let subjects = Self { catalog, key, links, unlinked, orphans, consent, refusal, erasure, deadlines, equals };
        subjects.complain_of_what_is_ignored(subject, complaints);
        for LinkRule { from, to: _, columns: _ } in &subject.links {
            let start = place(from, catalog, &mut Complaints::new(&rules.files));
            if let Some(start) = start
                && subjects.routes(start.relation, None, 0).is_none()
            {
                let message = format!("the links from {} do not lead to the subject", from.text);
                complaints.add_with_help(
                    from.at,
                    message,
                    format!("They must end at {}, at no more than {MOST_ROUTES} subjects.", subject.key.text),
                );
            }
        }
        Some(subjects)
    }

    /// Links and tables that would have no effect.
    fn complain_of_what_is_ignored(&self, subject: &SubjectRule, complaints: &mut Complaints<'_>) {
        let is_of_subjects = |relation| self.family(relation).any(|member| member == self.key.relation);
        for LinkRule { from, to: _, columns: _ } in &subject.links {
            let start = place(from, self.catalog, &mut Complaints::new(&[]));
            if start.is_some_and(|start| is_of_subjects(start.relation)) {
                let message = format!("a link from {}, a column of the subjects' own table", from.text);
                let help = format!(
                    "A row there is about the subject that it is, by {}, and about nobody else. Take the link out; what is about \
                     another subject belongs into a table of its own.",
                    subject.key.text
                );
                complaints.add_with_help(from.at, message, help);
            }
        }
        for (number, (name, at)) in subject.unlinked.iter().enumerate() {
            let Some(relation) = table(name, *at, self.catalog, &mut Complaints::new(&[])) else { continue };
            let name_of = QualifiedName::new(&relation.schema, &relation.name);
            if is_of_subjects(relation.oid) {
                let message = format!("{name_of} is unlinked, and its rows are the subjects");
                complaints.add_with_help(*at, message, "Take it out of `unlinked`.");
            } else if self.family(relation.oid).any(|member| self.links.contains_key(&member)) {
                let message = format!("{name_of} is unlinked, and a link leads from it");
                complaints.add_with_help(
                    *at,
                    message,
                    "Take out one of the two: its rows are about somebody or about nobody.",
                );
            } else if subject.unlinked.iter().take(number).any(|(other, _)| other == name) {
                complaints.add_with_help(*at, format!("{name_of} is listed twice"), "Take out one of the two.");
            }
        }
    }

    /// Where purposes of consents are recorded.
    pub fn consent_names(&self) -> Option<Names<'_>> {
        self.consent.as_ref().map(names)
    }

    /// Where categories of refusals are recorded.
    pub fn refusal_names(&self) -> Option<Names<'_>> {
        self.refusal.as_ref().map(names)
    }

    /// A statement that counts requests for erasure and those past a deadline; none without deadlines.
    pub fn overdue_requests(&self) -> Option<String> {
        let (Records { table, subject: _, condition, needs: _ }, deadlines) =
            self.erasure.as_ref().zip(self.deadlines.as_ref())?;
        let Deadlines { requested, answer, carry_out } = deadlines;
        let late = |late: &Option<String>| match late {
            Some(late) => format!("pg_catalog.count(*) FILTER (WHERE {late})"),
            None => "NULL::pg_catalog.int8".to_owned(),
        };
        let condition =
            condition.as_ref().map_or_else(String::new, |own| format!(" WHERE {}", own.fill_row("", RECORD)));
        Some(format!(
            "SELECT pg_catalog.count(*) AS requests, {} AS past_answer, {} AS past_carrying_out, pg_catalog.min({requested}) AS oldest\nFROM \
             {table} AS pgs_r{condition};\n",
            late(answer),
            late(carry_out)
        ))
    }

    /// That the subject of a row of `relation` has a request for erasure which should have been carried out by now; none where
    /// that is not known.
    pub fn past_carrying_out(&self, relation: Oid) -> Option<String> {
        let late = self.deadlines.as_ref()?.carry_out.as_ref()?;
        let any = self.recorded(relation, None, self.erasure.as_ref()?, &format!(" AND {late}"))?;
        Some(match any.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" OR ")),
        })
    }

    /// Every relation that a condition about subjects may read.
    pub fn needs(&self) -> Vec<Oid> {
        let named = [&self.consent, &self.refusal].into_iter().flatten().map(|named| &named.records);
        let records = named.chain(&self.erasure);
        let mut needs: Vec<Oid> = records.flat_map(|records| records.needs.iter().copied()).collect();
        needs.push(self.key.relation);
        needs.extend(self.links.values().flatten().map(|link| link.to.relation));
        needs.sort();
        needs.dedup();
        needs
    }

    /// Columns of a relation by which its rows, or those of others through it, lead to their subject.
    pub fn leading(&self, relation: Oid) -> Vec<&str> {
        let family = self.written_with(relation);
        let key = (self.key.relation, self.key.column.as_str());
        let from = self.links.iter().flat_map(|(oid, own)| own.iter().map(|link| (*oid, link.column.as_str())));
        let to = self.links.values().flatten().map(|link| (link.to.relation, link.to.column.as_str()));
        let all = from.chain(to).chain([key]);
        all.filter(|(oid, _)| family.contains(oid)).map(|(_, column)| column).collect()
    }

    /// A relation, what it inherits from, and its children: a row of a child is written through its parents too.
    fn written_with(&self, relation: Oid) -> Vec<Oid> {
        let mut family: Vec<Oid> = self.family(relation).collect();
        let mut next = vec![relation];
        while let Some(oid) = next.pop() {
            for child in self.catalog.children(oid).iter().filter(|child| !family.contains(child)).collect::<Vec<_>>() {
                family.push(*child);
                next.push(*child);
            }
        }
        family
    }

    /// Whether rows of others lead to their subject by way of the rows of a relation, or of what a view of it reads. The subject's own row is
    /// one: records may be deleted with it.
    pub fn is_between(&self, relation: Oid) -> bool {
        let mut seen = vec![relation];
        let mut next = 0;
        while let Some(oid) = seen.get(next).copied() {
            next += 1;
            let family = self.written_with(oid);
            let mut links = self.links.values().flatten();
            if links.any(|link| family.contains(&link.to.relation)) {
                return true;
            }
            let view = self.catalog.relation(oid).filter(|relation| is_view(relation.kind));
            for used in view.iter().flat_map(|view| &view.uses_columns) {
                if !seen.contains(&used.relation) {
                    seen.push(used.relation);
                }
            }
        }
        false
    }

    /// Whether the rules say that the rows of a relation are about nobody.
    pub fn is_unlinked(&self, relation: Oid) -> bool {
        self.family(relation).any(|member| self.unlinked.contains(&member))
    }

    /// The condition on a row of `relation` that `wanted` comes to, for one of its columns, or for all of the row. Of several
    /// subjects each must have consented, and none may have refused or asked for erasure.
    pub fn ask(&self, relation: &Relation, column: Option<&str>, wanted: Wanted<'_>) -> Asked {
        let mut asked = Vec::new();
        let mut label = String::new();
        let mut captures: Vec<Box<str>> = Vec::new();
        let mut ask = |records: &Records, condition: Option<String>| -> Option<()> {
            asked.push(condition?);
            captures.extend(records.condition.iter().flat_map(|condition| condition.captures().iter().cloned()));
            Some(())
        };
        if let (Some(purpose), Some(consent)) = (wanted.consent, &self.consent) {
            let consented = self.named(relation.oid, column, consent, &[purpose.into()]);
            let all = consented.and_then(|consented| self.of_all(relation.oid, column, &consented));
            if ask(&consent.records, all).is_none() {
                return Asked::NoSubject;
            }
            label.push_str(" if consented");
        }
        let refusal = self.refusal.as_ref().filter(|_| !wanted.refusal.is_empty());
        let erasure = self.erasure.as_ref().filter(|_| wanted.erasure);
        if let Some(refusal) = refusal
            && ask(
                &refusal.records,
                self.named(relation.oid, column, refusal, &refusal.stored(wanted.refusal)).map(|each| of_none(&each)),
            )
            .is_none()
        {
            return Asked::NoSubject;
        }
        if let Some(erasure) = erasure
            && ask(erasure, self.recorded(relation.oid, column, erasure, "").map(|each| of_none(&each))).is_none()
        {
            return Asked::NoSubject;
        }
        if (refusal.is_some() || erasure.is_some()) && self.orphans == Orphans::Hide {
            asked.extend(self.unbroken(relation.oid, column));
        }
        match (refusal.is_some(), erasure.is_some()) {
            (true, true) => label.push_str(" unless refused or erased"),
            (true, false) => label.push_str(" unless refused"),
            (false, true) => label.push_str(" unless erased"),
            (false, false) => {}
        }
        if asked.is_empty() {
            return Asked::Nothing;
        }
        Asked::Condition(SqlTemplate::new(&asked.join(" AND ")).capturing(captures), label)
    }

    /// The condition on a row of `relation` under which `grant` opens a column: it must name all of its subjects.
    pub fn granted(&self, relation: &Relation, column: &str, grant: &GrantRule) -> Option<String> {
        let moment = |text: &str| format!("TIMESTAMP WITH TIME ZONE {}", quote_literal(text));
        // Both comparisons are qualified where a user's operator of that name exists.
        let compare = |operator: &str| {
            let made = self.catalog.operators_named(operator).next().is_some();
            if made { format!("OPERATOR(pg_catalog.{operator})") } else { operator.to_owned() }
        };
        let now = "pg_catalog.statement_timestamp()";
        let (from, until) = (moment(&grant.from.text), moment(&grant.until.text));
        let time = format!("{now} {} {from} AND {now} {} {until}", compare(">="), compare("<"));
        let Some(keys) = &grant.subjects else { return Some(time) };
        let is_one = |key: &str| {
            let each: Vec<String> = keys.iter().map(|one| format!("{key} {}", self.is_subject(one))).collect();
            format!("({})", each.join(" OR "))
        };
        let named = self.follow(relation.oid, Some(column), &is_one)?;
        Some(format!("{time} AND {}", self.of_all(relation.oid, Some(column), &named)?))
    }

    /// What stands behind the key of a subject that is the one with this key.
    pub fn is_subject(&self, key: &str) -> String {
        format!("{} {}", self.key.equals, quote_literal(key))
    }

    /// The column with the key of subjects, and its relation.
    pub fn key_relation(&self) -> Option<(&str, &'a Relation)> {
        Some((self.key.column.as_str(), self.catalog.relation(self.key.relation)?))
    }

    /// That a subject of the row has a record of one of these names, for each subject.
    fn named(&self, relation: Oid, column: Option<&str>, named: &Named, any_of: &[Arc<str>]) -> Option<Vec<String>> {
        let each: Vec<String> =
            any_of.iter().map(|name| format!("pgs_r.{} {} {}", named.of, self.equals, quote_literal(name))).collect();
        let is = match each.as_slice() {
            [one] => format!(" AND {one}"),
            several => format!(" AND ({})", several.join(" OR ")),
        };
        self.recorded(relation, column, &named.records, &is)
    }

    /// That a subject of the row has a record of which `is` holds beside the rule's own condition, for each subject.
    fn recorded(&self, relation: Oid, column: Option<&str>, records: &Records, is: &str) -> Option<Vec<String>> {
        let Records { table, subject, condition, needs: _ } = records;
        let equals = &self.key.equals;
        let condition =
            condition.as_ref().map_or_else(String::new, |own| format!(" AND ({})", own.fill_row("", RECORD)));
        self.follow(relation, column, &|key| {
            let few = looked_up(key);
            format!("EXISTS (SELECT 1 FROM {table} AS pgs_r WHERE pgs_r.{subject} {equals} {key}{is}{condition}{few})")
        })
    }

    /// The relation and what it inherits from: a child has the columns of its parents.
    pub(super) fn family(&self, relation: Oid) -> impl Iterator<Item = Oid> {
        let mut found = vec![relation];
        let mut next = 0;
        while let Some(oid) = found.get(next).copied() {
            next += 1;
            for parent in self.catalog.parents(oid) {
                if !found.contains(parent) {
                    found.push(*parent);
                }
            }
        }
        found.into_iter()
    }
}

fn names(named: &Named) -> Names<'_> {
    let Named { records: Records { table, subject: _, condition, needs: _ }, of, stands_for: _ } = named;
    let condition = condition.as_ref().map_or_else(String::new, |own| format!(" AND ({})", own.fill_row("", RECORD)));
    Names { table, name: of, condition }
}

/// That none of what is said of each subject holds.
fn of_none(each: &[String]) -> String {
    each.iter().map(|one| format!("NOT {one}")).collect::<Vec<_>>().join(" AND ")
}

/// The row of records in a sub-select; its conditions are the sub-select's own.
pub(super) const RECORD: Row<'_> = Row { name: "pgs_r", few: false };

fn resolve_records(
    rule: &RecordsRule,
    key: &Place,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> Option<Records> {
    let relation = table(&rule.table, rule.at, catalog, complaints)?;
    let subject = record_column(rule, &rule.subject, relation, complaints)?;
    let equals = equality(subject, catalog);
    let here = Place { relation: relation.oid, table: sql_name(relation), column: subject.name.clone(), equals };
    comparable(&here, key, rule.at, catalog, complaints);
    let mut needs = vec![relation.oid];
    let condition = match &rule.condition {
        None => None,
        Some((text, at)) => match condition(text, relation, catalog) {
            Ok(condition) => {
                needs.extend(condition.needs());
                Some(condition.sql)
            }
            Err(why) => {
                complaints.add_with_help(*at, format!("this condition cannot be used: {why}"), CONDITION_HELP);
                return None;
            }
        },
    };
    Some(Records { table: sql_name(relation), subject: quote_ident(&subject.name).into_owned(), condition, needs })
}

fn resolve_deadlines(
    rule: &RecordsRule,
    given: &DeadlinesRule,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> Option<Deadlines> {
    // An unknown table is complained about where the records are resolved.
    let relation = table(&rule.table, rule.at, catalog, &mut Complaints::new(&[]))?;
    let column = record_column(rule, &given.requested_at, relation, complaints)?;
    if !matches!(column.type_name.as_str(), "date" | "timestamp" | "timestamptz") {
        let message = format!("requested_at is {}", column.type_sql);
        complaints.add_with_help(rule.at, message, "It must be a date or a timestamp.");
        return None;
    }
    let requested = format!("pgs_r.{}", quote_ident(&column.name));
    let late = |within: &Within| {
        let Within { days, working } = within;
        if *working {
            // The days in full between that of the request and today.
            format!(
                "(SELECT pg_catalog.count(*) FROM pg_catalog.generate_series(1, CURRENT_DATE - 1 - {requested}::pg_catalog.date) AS pgs_d \
                 WHERE pg_catalog.date_part('isodow', {requested}::pg_catalog.date + pgs_d) < 6) >= {days}"
            )
        } else {
            format!("{requested} < pg_catalog.now() - pg_catalog.make_interval(days => {days})")
        }
    };
    Some(Deadlines {
        answer: given.answer.as_ref().map(late),
        carry_out: given.carry_out.as_ref().map(late),
        requested,
    })
}

/// The SQL of the column that says what each record is about.
fn name_column(
    rule: &RecordsRule,
    of: &str,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> Option<String> {
    // An unknown table is complained about where the records are resolved.
    let relation = table(&rule.table, rule.at, catalog, &mut Complaints::new(&[]))?;
    let column = record_column(rule, of, relation, complaints)?;
    let name = quote_ident(&column.name).into_owned();
    // A label that an enum does not have would be an error of every statement.
    let is_text = matches!(column.type_name.as_str(), "text" | "varchar" | "bpchar");
    Some(if is_text { name } else { format!("{name}::pg_catalog.text") })
}

fn record_column<'c>(
    rule: &RecordsRule,
    name: &str,
    relation: &'c Relation,
    complaints: &mut Complaints<'_>,
) -> Option<&'c Column> {
    let found = relation.column(name);
    if found.is_none() {
        let near = suggestion(name, "columns", relation.columns.iter().map(|column| column.name.as_str()));
        let table = QualifiedName::new(&relation.schema, &relation.name);
        complaints.add_with_suggestion(rule.at, format!("unknown column \"{name}\" of {table}"), near);
    }
    found
}

/// What a condition may be.
pub(super) const CONDITION_HELP: &str =
    "Write one SQL condition over the columns of the table; sub-selects name tables with their schema.";

fn place(rule: &ColumnRule, catalog: &CatalogSnapshot, complaints: &mut Complaints<'_>) -> Option<Place> {
    let [schema, name, Part::Name(column)] = &rule.parts else { return None };
    let relation = table(&[schema.clone(), name.clone()], rule.at, catalog, complaints)?;
    let Some(found) = relation.column(column) else {
        let near = suggestion(column, "columns", relation.columns.iter().map(|column| column.name.as_str()));
        let table = QualifiedName::new(&relation.schema, &relation.name);
        complaints.add_with_suggestion(rule.at, format!("unknown column \"{column}\" of {table}"), near);
        return None;
    };
    let equals = equality(found, catalog);
    Some(Place { relation: relation.oid, table: sql_name(relation), column: column.clone(), equals })
}

/// The table that a rule names.
pub(super) fn table<'c>(
    name: &[Part; 2],
    at: At,
    catalog: &'c CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> Option<&'c Relation> {
    let [Part::Name(schema), Part::Name(table)] = name else { return None };
    let found = catalog.relation_named(schema, table).filter(|relation| !relation.is_system());
    if found.is_none() {
        let names = catalog.data().relations.iter().filter(|relation| relation.schema == *schema);
        let near = suggestion(table, "tables", names.map(|relation| relation.name.as_str()));
        complaints.add_with_suggestion(at, format!("unknown table {}", QualifiedName::new(schema, table)), near);
    }
    found
}

fn sql_name(relation: &Relation) -> String {
    format!("{}.{}", quote_ident(&relation.schema), quote_ident(&relation.name))
}

/// The grants of a role.
pub(super) fn grants_of<'r>(rules: &'r RuleSet, role: &RoleRule) -> impl Iterator<Item = &'r GrantRule> {
    let name = role.name.clone();
    let has_duty = role.legal_duty;
    rules.grants.iter().filter(move |grant| has_duty && grant.role.0 == name)
}
