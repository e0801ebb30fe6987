//! The policy as the engine uses it: per role, per relation, per column, everything resolved against one catalog
//! snapshot. In: a rule set and a snapshot (`compile`). Out: lookups without names. Invariant: a relation that is in
//! `governed` has a [`ColumnPolicy`] for each of its live columns; a column not found is withheld by the caller.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use foldhash::fast::FixedState;

use crate::{
    catalog::{CatalogSnapshot, Column, fillers::Fillers},
    names::{AttNum, Oid},
};

/// Index of a role in [`Policy::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleId(pub u16);

/// One rule set compiled against one catalog snapshot.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `policy = "…"` of the rule files.
    pub id: String,
    /// Hex of the first 16 bytes of SHA-256 over all rule files, in name order.
    pub hash: String,
    /// Version of the catalog snapshot it was compiled against.
    pub catalog_version: u64,
    /// Whether the rules no longer fit the schema, and what has changed of it is left out.
    pub reduced: bool,
    /// Roles in file order, each once for each of its purposes, the default first; first match wins.
    pub roles: Vec<RolePolicy>,
}

/// What one `[[role]]` means in this database.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a role")]
pub struct RolePolicy {
    /// `name`
    pub name: String,
    /// `file:line` of the `[[role]]`.
    pub origin: String,
    /// Which connections have this role.
    pub matching: super::rules::RoleMatch,
    /// Audited, never rewritten.
    pub exempt: bool,
    /// What the data is used for; empty for a role without `purposes`. Each purpose of a role is an entry of its own.
    pub purpose: String,
    /// All purposes of the role, the default first.
    pub purposes: Arc<[String]>,
    /// Settings of applications that the role may set: `app.tenant`, or `app.*`.
    pub settings: Arc<[String]>,
    /// `application_name` → purpose, for connections that ask for none.
    pub application_purposes: Arc<[(String, String)]>,
    /// `recipient`, empty when not given.
    pub recipient: String,
    /// Whether EXPLAIN is allowed (of the rewritten statement).
    pub explain: bool,
    /// Every relation with at least one column that is in a category, or that reads such a relation (views,
    /// materialized views, partitions and inheritance relatives). For exempt roles too, so that accesses are audited;
    /// there every treatment is `Clear`.
    pub governed: HashMap<Oid, RelationPolicy, FixedState>,
    /// Whether it matters what in its statements can fail on a value: it sees some rows only of a relation, or may compare what a
    /// condition hides.
    pub judged: bool,
    /// Columns by which rows lead to their subject, where that decides what the role sees; also of relations that are not governed.
    pub leading: HashMap<Oid, Leading, FixedState>,
    /// Relations that decide what the role sees, and which writes of them could show it more. For all purposes of the role.
    pub deciding: Arc<HashMap<Oid, Deciding, FixedState>>,
    /// Names, without schemas, of all relations in `governed` of which the role does not get everything in clear.
    pub protected_names: HashSet<Box<str>, FixedState>,
    /// Whether personal data is seen for a legal duty, under grants alone.
    pub legal_duty: bool,
    /// How much personal data may be had in clear.
    pub limits: Limits,
    /// What the role would get if it were restricted: its events say so, and nothing else changes. Such a role is exempt.
    pub observed: Option<Arc<RolePolicy>>,
    /// The grants of a role with a legal duty, expired ones included.
    pub grants: Vec<Arc<Grant>>,
    /// User functions allowed by the rules, by OID.
    pub functions: HashSet<Oid, FixedState>,
    /// What could fill temporary tables of the role, under any of its purposes. Of no meaning for an exempt one.
    pub fillers: Arc<Fillers>,
}

/// What one role gets of one relation.
#[derive(Clone, Debug)]
pub struct RelationPolicy {
    /// By position of the column in [`crate::catalog::Relation::columns`].
    pub columns: Vec<ColumnPolicy>,
    /// Whether any column is treated otherwise than [`Treatment::Clear`], or only some rows are seen; if not, the relation
    /// needs no rewriting.
    pub protected: bool,
    /// Which rows the role sees; all without one.
    pub scope: Option<Scope>,
    /// Relations that conditions on its rows or cells read.
    pub needs: Vec<Oid>,
    /// Why the whole relation is refused (a view whose definition is not understood).
    pub refuse: Option<String>,
}

/// What one role gets of one column.
#[derive(Clone, Debug)]
pub struct ColumnPolicy {
    /// `pg_attribute.attnum`
    pub attnum: AttNum,
    /// Category; none for a column of a governed table that is in no category.
    pub category: Option<Arc<str>>,
    /// Whether the category is personal data (false for the reserved category `none`).
    pub personal: bool,
    /// What the role gets.
    pub treatment: Treatment,
    /// Whether the role may search by it. Meaningful when the treatment is not `Clear`.
    pub search: Search,
    /// What an assignment to the column does. Meaningful when the treatment is not `Clear`.
    pub write_back: WriteBack,
    /// Where the rules say that masks are not stored: SQL that is true of a value which looks like the column's mask.
    pub stored_mask: Option<SqlTemplate>,
    /// The determining rule, as `file:line`.
    pub rule: Arc<str>,
    /// What must hold of the row for the role to see what the treatment says, and NULL where it does not; part of the
    /// treatment, and apart for comparisons with the stored value.
    pub gate: Option<Gate>,
    /// How a derived table shows the column, once the engine has checked that it shows nothing else; none inside when
    /// it did not pass. The second is for statements that read few rows ([`Row::few`]).
    pub item: [OnceLock<Option<Box<str>>>; 2],
}

/// A condition on the row of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// True or false, never NULL.
    pub sql: SqlTemplate,
    /// Whether the role sees the stored value where it holds, so that comparing with that value tells nothing more.
    pub clear: bool,
    /// Whether it can fail on a row, or what it reads: then it must not be told for which rows it is asked.
    pub fails: bool,
}

/// Columns by which rows lead to their subject. Who ties a hidden row to another subject could read it; so they change only
/// where nothing of the row is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leading {
    /// Their positions.
    pub columns: Vec<usize>,
    /// The condition under which nothing about the row's subject is hidden; where there is none, they may not be changed.
    pub open: Option<SqlTemplate>,
    /// Relations that it reads.
    pub needs: Vec<Oid>,
    /// Whether rows of others lead to their subject by way of its rows: who puts one in the place of another ties all that refer to it to
    /// another subject.
    pub between: bool,
}

/// A relation whose rows decide what the role sees: its row scopes, or conditions about subjects, read it. Whoever could write
/// what they read could show himself more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// Whether a new row could show more.
    pub inserts: bool,
    /// Whether a row that is gone could show more.
    pub deletes: bool,
    /// By position, the columns of which another value could show more: in each row, or in those of which a condition on the row is true.
    pub columns: HashMap<usize, Option<SqlTemplate>, FixedState>,
    /// The rule that reads it, as `file:line`.
    pub rule: Arc<str>,
}

/// Which rows of a relation a role sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// A condition on the row; where it is not true the row does not exist for the role.
    pub sql: SqlTemplate,
    /// Relations that it reads.
    pub needs: Vec<Oid>,
    /// Whether it is always evaluated before what the client wrote.
    pub barrier: bool,
    /// Whether it can fail on a row: then it can be told whether the relation is read where something else is asked for first.
    pub fails: bool,
    /// Positions of the columns that it compares with settings, where it fails when PostgreSQL plans the statement, if at all: unless that compares such a column with
    /// something else, or sets a setting. Empty else.
    pub settled: Vec<usize>,
    /// Whether it holds a sub-select: PostgreSQL may make a join of that, and compute expressions of the row below the join.
    pub joins: bool,
    /// The determining rule, as `file:line`.
    pub rule: Arc<str>,
}

impl Scope {
    /// Whether it is `text`, a condition as rules write it, on rows of `relation`.
    pub fn is_condition(&self, text: &str, relation: Oid, catalog: &CatalogSnapshot) -> bool {
        super::compile::scopes::is_condition_of(self, text, relation, catalog)
    }
}

/// How much personal data may be had in clear: a brake on bulk export. None without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Rows of one statement.
    pub rows_per_statement: Option<u64>,
    /// What the role may have, over all of its logins.
    pub role: Rates,
    /// What each of its logins may have, over all connections.
    pub login: Rates,
    /// What each connection may have.
    pub connection: Rates,
}

/// How much within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Rows within a day of UTC.
    pub rows_per_day: Option<u64>,
    /// Statements within a minute.
    pub statements_per_minute: Option<u64>,
    /// Values within a minute that are compared with stored ones which the role does not see (`search = "exact"`).
    pub searches_per_minute: Option<u64>,
}

/// A grant of a role with a legal duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Number of the document, as audit events show it.
    pub document: Arc<str>,
    /// Seconds since 1970 at which it begins.
    pub from: i64,
    /// Seconds since 1970 at which it has ended.
    pub until: i64,
    /// Whose data, for people: `all subjects`, or their keys.
    pub subjects: String,
    /// The categories that it opens.
    pub categories: Vec<Arc<str>>,
    /// `file:line` of the `[[grant]]`.
    pub rule: Arc<str>,
}

impl Grant {
    /// Whether it is in force at a moment, in seconds since 1970.
    pub fn is_in_force(&self, now: i64) -> bool {
        (self.from..self.until).contains(&now)
    }
}

/// How the treatment is called that grants of a legal duty decide.
pub const BY_GRANT: &str = "by grant";

/// What a role gets for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// The stored value.
    Clear,
    /// The value of an SQL expression over the stored value.
    Mask(Mask),
    /// NULL of the column's type.
    Withhold,
    /// A statement that reads the column is refused.
    Refuse,
}

impl Treatment {
    /// As audit events and `explain` print it: `clear`, the mask's name, `withhold` or `refuse`.
    pub fn label(&self) -> &str {
        match self {
            Self::Clear => "clear",
            Self::Mask(mask) => &mask.name,
            Self::Withhold => "withhold",
            Self::Refuse => "refuse",
        }
    }
}

/// A mask made ready for one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Name and parameters, such as `partial(3,2)`.
    pub name: Arc<str>,
    /// Its SQL, an `a_expr` in need of no parentheses outside, of exactly the column's type, modifier and collation.
    pub sql: SqlTemplate,
    /// Whether it is computed from the operand alone, is NULL for NULL, and says nothing of collations: then it may stand
    /// wherever a reference to the column does.
    pub strict: bool,
    /// Whether it is NULL for NULL and for nothing else, so that the role sees whether there is a value.
    pub shows_null: bool,
    /// What becomes of no value.
    pub keeps: Keeps,
}

/// What a mask makes of NULL and of empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// Whether NULL stays NULL.
    pub null: bool,
    /// Whether empty text stays empty; none for masks that are not of text, or have no such option.
    pub empty: Option<bool>,
}

/// Stands for the operand in the text of an [`SqlTemplate`]; no text of a rule can hold it.
pub const OPERAND: char = '\u{1}';
/// Stands for the name of the row; likewise.
pub const ROW: char = '\u{2}';

/// Stands, in the text of a mask, for the key of the row's subject as text, until the mask is fitted to a table
/// ([`SqlTemplate::about`]).
pub const SUBJECT: char = '\u{5}';

/// Before and behind what is printed only for [`Row::few`].
pub const FEW: (char, char) = ('\u{3}', '\u{4}');

/// The row that a filled [`SqlTemplate`] is about.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its name, quoted where needed.
    pub name: &'a str,
    /// Whether the statement reads few rows, however many the planner expects (it has a LIMIT): sub-selects then look each
    /// row up by index, where the planner would read their table once and keep it as a hash table.
    pub few: bool,
}

/// SQL text with places for an operand (a reference to the column that is masked) and for the name of the row that it is
/// a column of (the alias of its table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlTemplate {
    text: Arc<str>,
    /// Where in `text` the marks are that are filled: [`OPERAND`], [`ROW`] and [`FEW`], in order.
    marks: Arc<[usize]>,
    /// Names that the text itself gives to rows: a row of such a name could not be referred to inside it.
    captures: Arc<[Box<str>]>,
}

/// A part of a filled [`SqlTemplate`].
enum Part<'a> {
    Text(&'a str),
    Operand,
    Row,
}

impl SqlTemplate {
    /// `text` with [`OPERAND`] and [`ROW`] wherever they stand.
    pub fn new(text: &str) -> Self {
        let filled = [OPERAND, ROW, FEW.0, FEW.1];
        // Each is a character of one byte.
        let marks = text.match_indices(filled).map(|(at, _)| at).collect();
        Self { text: text.into(), marks, captures: Arc::default() }
    }

    /// The same text, which gives these names to rows of its own.
    #[must_use]
    pub fn capturing(self, names: impl IntoIterator<Item = Box<str>>) -> Self {
        Self { captures: self.captures.iter().cloned().chain(names).collect(), ..self }
    }

    /// The same text with the SQL of the subject's key, or with what may refer to its row, in each place of [`SUBJECT`].
    #[must_use]
    pub fn about(&self, key: &str) -> Self {
        Self { captures: Arc::clone(&self.captures), ..Self::new(&self.text.replace(SUBJECT, key)) }
    }

    /// Whether it needs the key of the row's subject.
    pub fn needs_subject(&self) -> bool {
        self.text.contains(SUBJECT)
    }

    /// The text, unfilled.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names that the text itself gives to rows.
    pub fn captures(&self) -> &[Box<str>] {
        &self.captures
    }

    /// Whether it refers to the operand.
    pub fn reads_operand(&self) -> bool {
        self.has(OPERAND)
    }

    /// Whether it refers to the row.
    pub fn names_row(&self) -> bool {
        self.has(ROW)
    }

    fn has(&self, mark: char) -> bool {
        self.marks.iter().any(|at| self.marked(*at) == Some(mark))
    }

    fn marked(&self, at: usize) -> Option<char> {
        self.text.as_bytes().get(at).map(|byte| char::from(*byte))
    }

    /// The SQL with `operand` in every place; for a text that does not refer to the row.
    pub fn fill(&self, operand: &str) -> String {
        debug_assert!(!self.names_row(), "a row without a name");
        self.fill_row(operand, Row { name: "", few: false })
    }

    /// The SQL with `operand` (a column reference) and the name of `row` in every place.
    pub fn fill_row(&self, operand: &str, row: Row<'_>) -> String {
        let mut out = String::new();
        self.push_filled(&mut out, operand, row);
        out
    }

    /// Appends what [`Self::fill_row`] makes.
    pub fn push_filled(&self, out: &mut String, operand: &str, row: Row<'_>) {
        out.reserve(self.text.len() + self.marks.len() * operand.len().max(row.name.len()));
        for part in self.parts(row.few) {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Operand => operand,
                Part::Row => row.name,
            });
        }
    }

    /// What stands in `text` behind what [`Self::fill_row`] makes; none when it does not begin with that.
    pub fn strip_filled<'a>(&self, text: &'a str, operand: &str, row: Row<'_>) -> Option<&'a str> {
        self.parts(row.few).try_fold(text, |rest, part| {
            rest.strip_prefix(match part {
                Part::Text(text) => text,
                Part::Operand => operand,
                Part::Row => row.name,
            })
        })
    }

    fn parts(&self, few: bool) -> impl Iterator<Item = Part<'_>> {
        let ends = self.marks.iter().copied().chain([self.text.len()]);
        let (mut from, mut left_out) = (0, false);
        ends.flat_map(move |end| {
            let text = self.text.get(from..end).filter(|_| !left_out).unwrap_or_default();
            let mark = self.marked(end).filter(|_| !left_out || self.marked(end) == Some(FEW.1));
            from = end + 1;
            let filled = match mark {
                Some(OPERAND) => Some(Part::Operand),
                Some(ROW) => Some(Part::Row),
                Some(mark) if mark == FEW.0 || mark == FEW.1 => {
                    left_out = mark == FEW.0 && !few;
                    None
                }
                Some(_) | None => None,
            };
            [Some(Part::Text(text)), filled].into_iter().flatten()
        })
    }
}

/// The SQL of what is withheld: NULL of the column's type.
///
/// A cast of NULL to a domain runs its checks, and NOT NULL among them would fail; what an array has not got is checked by none.
pub fn withheld(column: &Column) -> String {
    let null = match column.type_kind {
        'd' => format!("('{{}}'::{}[])[1]", short_type(&column.type_sql)),
        _other => format!("NULL::{}", short_type(&column.type_sql)),
    };
    match &column.collation {
        Some(collation) => format!("{null} COLLATE {collation}"),
        None => null,
    }
}

/// The SQL of a type in a shorter form, where the grammar has one that no object of the database can take the place of.
pub fn short_type(sql: &str) -> Cow<'_, str> {
    sql.strip_prefix("character varying").map_or(Cow::Borrowed(sql), |rest| ["varchar", rest].concat().into())
}

/// Whether a role may find rows by a column that it does not see in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Search {
    /// Comparisons see the masked value.
    Masked,
    /// `=`, `IN` and `= ANY` with constants or parameters see the stored value.
    Exact,
    /// Any use other than plain output is refused.
    Refuse,
}

impl Search {
    /// The same, without a comparison of stored values.
    #[must_use]
    pub fn without_exact(self) -> Self {
        match self {
            Self::Exact | Self::Masked => Self::Masked,
            Self::Refuse => Self::Refuse,
        }
    }
}

/// What an assignment to a column does that the role does not see in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteBack {
    /// A value equal to the mask of the current value changes nothing.
    Keep,
    /// The statement is refused.
    Refuse,
    /// The value is stored as given.
    Allow,
}

impl RelationPolicy {
    /// Whether the role does not get everything of the relation in clear.
    pub fn is_governed(&self) -> bool {
        self.protected || self.refuse.is_some()
    }
}

impl ColumnPolicy {
    /// Whether the role may get a stored value of the column.
    pub fn shows_stored(&self) -> bool {
        match &self.treatment {
            Treatment::Clear => true,
            Treatment::Mask(mask) => self.gate.as_ref().is_some_and(|gate| gate.clear) || &*mask.name == BY_GRANT,
            Treatment::Withhold | Treatment::Refuse => false,
        }
    }
}

impl Policy {
    /// The same role for another purpose; none when it is not one of the role's.
    pub fn for_purpose(&self, id: RoleId, purpose: &str) -> Option<RoleId> {
        let name = &self.role(id)?.name;
        let position = self.roles.iter().position(|role| role.name == *name && role.purpose == purpose)?;
        u16::try_from(position).ok().map(RoleId)
    }

    /// The entry of role `id` that a session acts by which asks for a purpose; for the empty one, that for the purpose that the
    /// rules give its application, or for the role's default. None when the purpose is not one of the role's.
    pub fn acting(&self, id: RoleId, asked: &str, application: &str) -> Option<RoleId> {
        if !asked.is_empty() {
            return self.for_purpose(id, asked);
        }
        let role = self.role(id)?;
        let given = role.application_purposes.iter().find(|(name, _)| name == application);
        match given {
            Some((_, purpose)) => self.for_purpose(id, purpose),
            None => self.for_purpose(id, role.purposes.first().map_or("", String::as_str)),
        }
    }

    /// The same policy with its observed roles as they would be if they were not: what commands judge rules by.
    #[must_use]
    pub fn enforced(&self) -> Self {
        let enforced = |role: &RolePolicy| role.observed.as_deref().unwrap_or(role).clone();
        Self { roles: self.roles.iter().map(enforced).collect(), ..self.clone() }
    }

    /// The role with this index.
    pub fn role(&self, id: RoleId) -> Option<&RolePolicy> {
        self.roles.get(usize::from(id.0))
    }
}

impl RolePolicy {
    /// What the role gets of a relation; none when nothing of it is classified.
    pub fn relation(&self, oid: Oid) -> Option<&RelationPolicy> {
        self.governed.get(&oid)
    }

    /// What a change of a relation's column at `position` needs, if rows lead to their subject by it.
    pub fn leads(&self, oid: Oid, position: usize) -> Option<&Leading> {
        self.leading.get(&oid).filter(|leading| leading.columns.contains(&position))
    }

    /// Relations that conditions on rows or cells of a relation, or on changes of its columns, read.
    pub fn needs(&self, oid: Oid) -> impl Iterator<Item = Oid> {
        let governed = self.governed.get(&oid).into_iter().flat_map(|policy| policy.needs.iter().copied());
        governed.chain(self.leading.get(&oid).into_iter().flat_map(|leading| leading.needs.iter().copied()))
    }
}

/// What the rules match a connection by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginIdentity {
    /// The login role that the server accepted.
    pub user: String,
    /// Database of the connection.
    pub database: String,
    /// `application_name` of the start-up packet, empty without one.
    pub application_name: String,
}
