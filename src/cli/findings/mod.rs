//! What `check` finds beside mistakes: rules that are valid and yet likely not what was meant, and places at which the
//! database hands on what the rules protect. In: compiled rules, a catalog, samples. Out: [`Finding`]s, each with a stable
//! code, a level, and a place in the rules where there is one. Pure. Invariant: no content of a row or of a comment.

mod columns;
mod dependents;
mod links;
pub mod privileges;
mod recorded;
mod roles;
mod scopes;
mod settings;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    detect::{is_of_people, samples::Samples},
    output::{Level, Remark, Spot},
};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation},
    names::{AttNum, Oid, QualifiedName, rule_part},
    policy::{
        ColumnPolicy, Policy, RolePolicy, Treatment,
        rules::{RuleFile, RuleSet},
    },
};

/// Every code with what it means. Codes are never reused; the README lists them.
pub const CODES: &[(&str, Level, &str)] = &[
    (INVALID, Level::Error, "The rules are invalid."),
    (
        NOT_TAKEN,
        Level::Error,
        "PostgreSQL does not take a condition or a mask of the rules: each statement with it would fail.",
    ),
    (UNKNOWN_LOGIN, Level::Warning, "A role matches a login or a group that the server does not have."),
    (OTHER_DATABASE, Level::Warning, "A role matches no connection to this database."),
    (SUPERUSER, Level::Warning, "A restricted role matches a superuser, whom the server hides nothing from."),
    (SHADOWED, Level::Warning, "A role names a login that an earlier role takes first."),
    (UNREADABLE, Level::Warning, "A login may not read on the server what the conditions of its role read."),
    (
        MISSPELT,
        Level::Warning,
        "Records of consent or refusal have a purpose or category that is none of the rules': they do nothing (--sample).",
    ),
    (
        APPLICATIONS,
        Level::Warning,
        "A login has several roles, told apart by application_name, which is whatever the client writes.",
    ),
    (
        SHOWS_MORE,
        Level::Warning,
        "A login may write what its role's row scopes, or records of subjects, are read from, and pgscrim does not guard it.",
    ),
    (
        NOT_NEEDED,
        Level::Note,
        "A login may write on the server what decides what its role sees; pgscrim refuses such writes, and the privilege serves nothing else.",
    ),
    (ENDED, Level::Note, "A grant of a legal duty has ended: it opens nothing any more."),
    (
        FOLLOWS_SETTINGS,
        Level::Warning,
        "A condition of the rules may mean something else under another time zone, date style or language of the client's session.",
    ),
    (
        SCOPE_FAILS,
        Level::Warning,
        "A row scope can fail on a row: it is evaluated before all that a statement asks for, whose indexes do not serve.",
    ),
    (UNCLASSIFIED, Level::Warning, "A column of a governed table is in no category: every restricted role reads NULL."),
    (NONE_LOOKS_PERSONAL, Level::Warning, "A column of category none looks like personal data."),
    (
        UNGOVERNED_LOOKS_PERSONAL,
        Level::Warning,
        "A column of a table without categories looks like personal data, and is in clear for every role.",
    ),
    (
        OPEN_DOCUMENTS,
        Level::Note,
        "Documents (JSON, XML, hstore) of tables without categories are in clear for every role, and may hold anything.",
    ),
    (PRIMARY_KEY, Level::Warning, "A role does not see a primary key in clear: applications cannot tell rows apart."),
    (
        FOREIGN_KEY,
        Level::Warning,
        "A role does not see a column of a foreign key in clear: joins find nothing or too much.",
    ),
    (
        UNIQUE_KEY,
        Level::Note,
        "A role does not see a unique column in clear; a conflict tells whoever may insert that a value exists.",
    ),
    (
        LINK_BREAKS,
        Level::Warning,
        "Deleting the row that a link of [subject] refers to lays open what hangs on it, or makes it that of another who is put in its place.",
    ),
    (
        LINK_NOT_UNIQUE,
        Level::Warning,
        "The key of [subject], or what a link refers to, may stand for several rows: then one of several people decides what is seen of another.",
    ),
    (VIEW_REFUSED, Level::Warning, "A view is refused."),
    (VIEW, Level::Note, "A view reads columns that a role does not see in clear."),
    (GENERATED, Level::Note, "A generated column is computed from columns that a role does not see in clear."),
    (GENERATED_CLEAR, Level::Warning, "A role sees a generated column in clear, but not what it is computed from."),
    (FUNCTION, Level::Note, "A function reads columns that a role does not see in clear; the role may not call it."),
    (FUNCTION_ALLOWED, Level::Warning, "A role may call a function that reads what the role does not see in clear."),
    (INDEX, Level::Note, "An index keeps the order of a column that a role does not see in clear."),
    (
        INDEX_EXPRESSION,
        Level::Note,
        "Expressions of an index are computed from columns that a role does not see in clear.",
    ),
    (
        PARTITION_KEY,
        Level::Warning,
        "A table is partitioned by a column that a role does not see in clear: tableoid tells of it.",
    ),
    (
        FOREIGN_KEY_CLEAR,
        Level::Warning,
        "A foreign key ties a column that a role sees in clear to one that it does not.",
    ),
    (FUNCTION_OPAQUE, Level::Note, "A role may call a function whose body is not looked into."),
    (
        FUNCTION_RUNS_SQL,
        Level::Warning,
        "A role may call a function that may run SQL which is handed to it, past the masks.",
    ),
    (
        RUNS_ANYWHERE,
        Level::Warning,
        "A function that a role's rules do not list casts between built-in types, or compares values of one: every statement of the role is refused.",
    ),
    (
        NO_DEPENDENTS,
        Level::Note,
        "The catalog file says nothing of indexes, foreign keys, partition keys and functions.",
    ),
    (NOT_SAMPLED, Level::Note, "A table could not be sampled."),
    (NOT_ASKED, Level::Note, "The server could not be asked whether it takes a condition or a mask."),
];

/// The rules are invalid: reported by the command, not by [`find`].
pub const INVALID: &str = "PGC001";
/// PostgreSQL does not take a condition or a mask: likewise.
pub const NOT_TAKEN: &str = "PGC002";
const UNKNOWN_LOGIN: &str = "PGC101";
const OTHER_DATABASE: &str = "PGC102";
const SUPERUSER: &str = "PGC103";
const SHADOWED: &str = "PGC104";
const UNREADABLE: &str = "PGC105";
const MISSPELT: &str = "PGC106";
const APPLICATIONS: &str = "PGC107";
const SHOWS_MORE: &str = "PGC108";
const NOT_NEEDED: &str = "PGC109";
const ENDED: &str = "PGC110";
const FOLLOWS_SETTINGS: &str = "PGC111";
const SCOPE_FAILS: &str = "PGC112";
const UNCLASSIFIED: &str = "PGC201";
const NONE_LOOKS_PERSONAL: &str = "PGC202";
const UNGOVERNED_LOOKS_PERSONAL: &str = "PGC203";
const OPEN_DOCUMENTS: &str = "PGC204";
const PRIMARY_KEY: &str = "PGC301";
const FOREIGN_KEY: &str = "PGC302";
const UNIQUE_KEY: &str = "PGC303";
const LINK_BREAKS: &str = "PGC304";
const LINK_NOT_UNIQUE: &str = "PGC305";
const VIEW_REFUSED: &str = "PGC401";
const VIEW: &str = "PGC402";
const GENERATED: &str = "PGC403";
const GENERATED_CLEAR: &str = "PGC404";
const FUNCTION: &str = "PGC405";
const FUNCTION_ALLOWED: &str = "PGC406";
const INDEX: &str = "PGC407";
const INDEX_EXPRESSION: &str = "PGC408";
const PARTITION_KEY: &str = "PGC409";
const FOREIGN_KEY_CLEAR: &str = "PGC410";
const FUNCTION_OPAQUE: &str = "PGC411";
const FUNCTION_RUNS_SQL: &str = "PGC412";
const RUNS_ANYWHERE: &str = "PGC413";
const NO_DEPENDENTS: &str = "PGC501";
const NOT_SAMPLED: &str = "PGC502";
const NOT_ASKED: &str = "PGC503";

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// One of [`CODES`].
    pub code: &'static str,
    /// What it is about: a role, `schema.table`, `schema.table.column`.
    pub object: String,
    /// What was found, one line, and what to do about it.
    pub message: String,
    /// Where in the rules.
    pub spot: Option<Spot>,
}

impl Finding {
    /// As annotations show it.
    pub fn remark(&self) -> Remark {
        Remark {
            level: self.level,
            code: self.code.into(),
            message: format!("{} {}", self.object, self.message),
            spot: self.spot.clone(),
        }
    }
}

/// Everything found, warnings first, then by code.
pub fn find(
    policy: &Policy,
    rules: &RuleSet,
    files: &[RuleFile],
    catalog: &CatalogSnapshot,
    samples: &Samples,
) -> Vec<Finding> {
    let mut pass = Pass { policy, rules, files, catalog, samples, found: Vec::new() };
    roles::find(&mut pass);
    columns::find(&mut pass);
    dependents::find(&mut pass);
    links::find(&mut pass);
    privileges::find(&mut pass);
    recorded::find(&mut pass);
    settings::find(&mut pass);
    scopes::find(&mut pass);
    types::find(&mut pass);
    for missed in &samples.missed {
        pass.add(NOT_SAMPLED, &missed.table, format!("was not sampled: {}", missed.reason), None);
    }
    for (what, reason, more) in &samples.not_asked {
        let others = if *more == 0 { String::new() } else { format!(" (and of {more} more)") };
        let message = format!("the server could not be asked whether it takes it{others}: {reason}");
        pass.add(NOT_ASKED, what, message, None);
    }
    let mut found = pass.found;
    found.sort_by(|a, b| (b.level, a.code, &a.object).cmp(&(a.level, b.code, &b.object)));
    found
}

struct Pass<'a> {
    policy: &'a Policy,
    rules: &'a RuleSet,
    files: &'a [RuleFile],
    catalog: &'a CatalogSnapshot,
    samples: &'a Samples,
    found: Vec<Finding>,
}

impl<'a> Pass<'a> {
    fn add(&mut self, code: &'static str, object: &str, message: impl Into<String>, spot: Option<Spot>) {
        let level = CODES.iter().find(|(known, ..)| *known == code).map_or(Level::Warning, |(_, level, _)| *level);
        self.found.push(Finding { level, code, object: object.to_owned(), message: message.into(), spot });
    }

    fn restricted(&self) -> impl Iterator<Item = &'a RolePolicy> + use<'a> {
        self.policy.roles.iter().filter(|role| !role.exempt)
    }

    /// Relations that people made.
    fn relations(&self) -> impl Iterator<Item = &'a Relation> + use<'a> {
        self.catalog.data().relations.iter().filter(|relation| is_of_people(relation))
    }

    /// The relation with this OID, when people made it.
    fn relation(&self, oid: Oid) -> Option<&'a Relation> {
        self.catalog.relation(oid).filter(|relation| is_of_people(relation))
    }

    /// What `role` gets of a column; none when it is not governed.
    fn treated(&self, role: &'a RolePolicy, relation: Oid, column: AttNum) -> Option<&'a ColumnPolicy> {
        let data = self.catalog.relation(relation)?;
        let position = data.columns.iter().position(|own| own.attnum == column)?;
        role.relation(relation)?.columns.get(position)
    }

    /// [`Self::hidden_from`] of a column in a category. Where it is in none, a finding says that nobody reads it, and those about
    /// keys and indexes would only repeat that.
    fn hidden_classified(&self, relation: Oid, column: AttNum) -> Option<Hidden> {
        let mut roles = self.restricted();
        let known = |role| self.treated(role, relation, column).is_some_and(|column| column.category.is_some());
        if roles.any(known) { self.hidden_from(relation, column) } else { None }
    }

    /// Whether `role` gets something else than the stored value.
    fn hides(&self, role: &'a RolePolicy, relation: Oid, column: AttNum) -> bool {
        self.treated(role, relation, column).is_some_and(|column| column.treatment != Treatment::Clear)
    }

    /// The restricted roles that do not see a column in clear, with the treatment, and the rule of the first.
    fn hidden_from(&self, relation: Oid, column: AttNum) -> Option<Hidden> {
        let mut by_treatment: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        let mut spot = None;
        for role in self.restricted() {
            if let Some(column) = self.treated(role, relation, column)
                && column.treatment != Treatment::Clear
            {
                by_treatment.entry(column.treatment.label().to_owned()).or_default().insert(&role.name);
                spot = spot.or_else(|| Spot::of_origin(&column.rule, self.files));
            }
        }
        let list = |roles: &BTreeSet<&str>| roles.iter().copied().collect::<Vec<_>>().join(", ");
        let parts: Vec<String> =
            by_treatment.iter().map(|(label, roles)| format!("{label} for {}", list(roles))).collect();
        (!parts.is_empty()).then(|| Hidden { who: parts.join("; "), spot })
    }

    /// Those of `columns` that some restricted role does not see in clear, `table.column`, and the first one's [`Hidden`].
    fn hidden_among(&self, relation: Oid, columns: &[AttNum]) -> Option<(Vec<String>, Hidden)> {
        let data = self.catalog.relation(relation)?;
        let mut names = Vec::new();
        let mut first = None;
        for number in columns {
            if let (Some(hidden), Some(column)) = (self.hidden_from(relation, *number), data.column_numbered(*number)) {
                names.push(column_name(data, column));
                first.get_or_insert(hidden);
            }
        }
        first.map(|hidden| (names, hidden))
    }

    fn spot_of_column(&self, relation: &Relation, column: &Column) -> Option<Spot> {
        let place = self.rules.place_of_column(&relation.schema, &relation.name, &column.name);
        place.map(|(file, line)| Spot { file: file.to_owned(), line })
    }

    fn spot_of_table(&self, relation: &Relation) -> Option<Spot> {
        let place = self.rules.place_of_table(&relation.schema, &relation.name);
        place.map(|(file, line)| Spot { file: file.to_owned(), line })
    }
}

/// Who does not see a column in clear.
struct Hidden {
    /// `phone_vn for care; withhold for statistics`
    who: String,
    /// The rule of the first.
    spot: Option<Spot>,
}

fn table_name(relation: &Relation) -> String {
    QualifiedName::new(&relation.schema, &relation.name).to_string()
}

fn column_name(relation: &Relation, column: &Column) -> String {
    format!("{}.{}", table_name(relation), rule_part(&column.name))
}
