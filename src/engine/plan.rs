//! The words between the engine and the session: what a plan is asked for and what it answers.

use std::{borrow::Cow, sync::Arc};

use super::template::Template;
use crate::{
    bind::Parameters,
    catalog::CatalogSnapshot,
    error::Refusal,
    names::{AttNum, Oid},
    policy::{Grant, Policy, RoleId, RolePolicy},
    rewrite::{self, Place, Searched},
};

/// What every decision depends on; published atomically by [`crate::reload`].
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The catalog.
    pub catalog: Arc<CatalogSnapshot>,
    /// The rules, compiled against exactly that catalog.
    pub policy: Arc<Policy>,
}

impl Inputs {
    /// Whether a client of this role may declare that a parameter is of this type: its value runs nothing of the database, and no operator
    /// that the rules do not list could be taken for it.
    pub fn takes_parameter(&self, role: RoleId, oid: Oid) -> bool {
        let operates = || self.policy.role(role).is_none_or(|role| rewrite::takes_operand(&self.catalog, role, oid));
        let kind = self.catalog.data().types.iter().find(|kind| kind.oid == oid);
        let compares = |kind| self.policy.role(role).is_none_or(|role| rewrite::is_compared_by_unlisted(role, kind));
        self.catalog.is_harmless_parameter(oid) && !kind.is_some_and(compares) && !operates()
    }
}

/// How a statement reaches the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A Query message: any number of statements.
    Simple,
    /// A Parse message: at most one statement, with parameters that are declared so.
    Extended(Parameters),
}

impl Protocol {
    /// A Parse message of whose parameters nothing is known.
    pub const EXTENDED: Self = Self::Extended(Parameters::Any);

    /// Of a Parse message with this text and these types of parameters.
    pub fn of_parse(types: impl Iterator<Item = u32> + Clone, text: &str) -> Self {
        Self::Extended(Parameters::declared(types.map(Oid), text.len()))
    }

    /// The same for plans of this role: where nothing is judged by them, types make no difference.
    #[must_use]
    pub fn planned_for(&self, role: &RolePolicy) -> Self {
        match self {
            Self::Extended(_) if !role.observed.as_deref().unwrap_or(role).judged => Self::EXTENDED,
            Self::Simple | Self::Extended(_) => self.clone(),
        }
    }

    /// What the client may have declared the parameters to be.
    pub(super) fn parameters(&self) -> &Parameters {
        match self {
            Self::Simple => &Parameters::Any,
            Self::Extended(parameters) => parameters,
        }
    }
}

/// What a statement is planned for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryContext {
    /// The policy role of the connection.
    pub role: RoleId,
    /// Effective schemas in order, as the server resolves them: `pg_catalog` implicit unless listed, `$user` replaced,
    /// schemas that do not exist left out.
    pub search_path: Arc<[String]>,
    /// How the text reaches the server.
    pub protocol: Protocol,
}

/// Proof that the engine has judged a text for one context. Cannot be made outside `engine`.
#[derive(Clone, Debug)]
pub struct Permit {
    text: Arc<str>,
}

impl Permit {
    pub(super) fn new(text: Arc<str>) -> Self {
        Self { text }
    }

    /// The text to send to the server.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
}

/// The answer for one text that may be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to send. For an exempt role the client's own bytes.
    pub permit: Permit,
    /// The statements in it, in order; empty for an empty text.
    pub statements: Arc<[Arc<PlannedStatement>]>,
    /// Whether the text was understood; false only for exempt roles.
    pub analysed: bool,
    /// Where the client wrote what starts where in the text that is sent.
    pub(super) places: Places,
}

/// Where the client wrote what starts where in the text that is sent.
#[derive(Clone, Debug)]
pub(super) enum Places {
    /// In ascending order; empty for exempt roles.
    Listed(Box<[Place]>),
    /// To be worked out from the client's text when it is asked for.
    Filled(Arc<Template>),
}

impl Plan {
    /// Whether a session of `login` may send it. Plans are shared by all logins of a role.
    ///
    /// # Errors
    /// It takes on the role of another login.
    pub fn serves(&self, login: &str) -> Result<(), Box<Refused>> {
        let other = |planned: &&Arc<PlannedStatement>| planned.access.login.as_deref().is_some_and(|own| own != login);
        let Some(other) = self.statements.iter().find(other) else { return Ok(()) };
        let access = Access { decision: "refuse", ..other.access.clone() };
        Err(Box::new(Refused { refusal: Refusal::other_role(), kind: other.kind, access }))
    }

    /// The character, counted from 1, of the client's text that a position in the text sent stands for, when what starts
    /// there is the client's.
    pub fn position(&self, given: &str, sent: usize) -> Option<usize> {
        let (sent, _) = self.permit.text.char_indices().nth(sent.checked_sub(1)?)?;
        let sent = u32::try_from(sent).ok()?;
        let places = match &self.places {
            Places::Listed(places) => Cow::Borrowed(&**places),
            Places::Filled(template) => Cow::Owned(template.places(given)),
        };
        let place = places.get(places.partition_point(|place| place.sent < sent))?;
        if place.sent != sent {
            return None;
        }
        Some(given.get(..usize::try_from(place.given).ok()?)?.chars().count() + 1)
    }
}

/// One statement of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStatement {
    /// `SELECT`, `INSERT`, …, as in the command tag; `UNKNOWN` when not analysed.
    pub kind: &'static str,
    /// What it accesses, for audit.
    pub access: Access,
    /// What it changes in the session.
    pub effect: Effect,
    /// What it returns, by position; none when it returns no rows or is not analysed.
    pub outputs: Option<Vec<OutputColumn>>,
}

impl PlannedStatement {
    /// The statement inside PREPARE, which is what runs when the protocol binds and executes what PREPARE has made.
    pub fn inside(&self) -> Option<Self> {
        let Effect::Prepare { name: _, text: _, kind } = &self.effect else { return None };
        Some(Self { kind, access: self.access.clone(), effect: Effect::None, outputs: self.outputs.clone() })
    }

    /// Whether it uses temporary tables of the session.
    pub fn uses_temporary(&self) -> bool {
        self.temporary_tables().next().is_some()
    }

    /// The temporary tables of the session that it uses, as audit names them.
    pub fn temporary_tables(&self) -> impl Iterator<Item = &str> {
        self.access.relations.iter().map(|name| &**name).filter(|name| name.starts_with("pg_temp."))
    }
}

/// The part of an audit event that a plan determines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Text with every literal replaced by `?`; at most 16 KiB, cut at a token.
    pub text: Arc<str>,
    /// Relations read or written, `schema.table`, sorted, system catalogs included.
    pub relations: Vec<Arc<str>>,
    /// The same by OID, user relations only, in no order.
    pub oids: Vec<Oid>,
    /// Personal columns used.
    pub columns: Vec<ColumnAccess>,
    /// Grants of a legal duty that open any of the columns, expired ones included.
    pub grants: Vec<Arc<Grant>>,
    /// `forward`, `rewrite`
    pub decision: &'static str,
    /// Determining rules, `file:line`, without repetition.
    pub rules: Vec<Arc<str>>,
    /// Whether personal data reaches the client, or a temporary table of the session, in clear.
    pub discloses: bool,
    /// Whether it reaches a temporary table.
    pub stored: Stored,
    /// Whether it fills a temporary table from other tables.
    pub fills: bool,
    /// Temporary tables that take in masks, by name.
    pub keeps_masks: Vec<Box<str>>,
    /// How many values are compared with stored ones that the role does not see (`search = "exact"`).
    pub searched: Searched,
    /// The login that the statement is for alone, which sets its role.
    pub login: Option<Arc<str>>,
    /// What an observed role would have got.
    pub observed: Option<Observed>,
    /// Masked columns in the output, for metrics.
    pub masked_outputs: u32,
    /// What the server gives parameters their types by, once for all: the columns with their types. Of statements with
    /// parameters of which was judged, by their types, what can fail.
    pub typed_by: Box<str>,
}

/// Whether personal data reaches a temporary table in clear, from which it may be read again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// It does not.
    #[default]
    Nothing,
    /// The statement's command tag counts the rows.
    Counted,
    /// Nothing that the proxy sees counts them.
    Uncounted,
}

/// A temporary table that a statement makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeTable {
    /// Its name.
    pub name: String,
    /// Its columns, as far as the statement tells.
    pub columns: Vec<String>,
}

/// What would have been done with a statement of an observed role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The temporary table that it would have made.
    pub makes: Option<MadeTable>,
    /// `forward`, `rewrite` or `refuse`
    pub decision: &'static str,
    /// Code of the refusal, such as `PGS0203`.
    pub refusal: Option<&'static str>,
}

/// One personal column that a statement uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnAccess {
    /// `schema.table.column`
    pub column: Arc<str>,
    /// Category; `unclassified` for a column of a governed table in none.
    pub category: Arc<str>,
    /// How it is used, sorted, without repetition.
    pub usage: Vec<Usage>,
    /// [`crate::policy::Treatment::label`]; `exact` where an exact search used the stored value, both where it is also used otherwise.
    pub treatment: Arc<str>,
}

/// How a column is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Usage {
    /// Reaches the output.
    Projected,
    /// In WHERE, HAVING, FILTER, CASE or the like.
    Predicate,
    /// In a join condition.
    Join,
    /// In GROUP BY or DISTINCT.
    Group,
    /// In ORDER BY or a window.
    Order,
    /// Assigned or inserted.
    Written,
    /// In RETURNING.
    Returned,
    /// Its value is what is inserted or assigned.
    Stored,
    /// An argument of a function in FROM.
    Argument,
}

impl Usage {
    /// As audit events print it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Projected => "projected",
            Self::Predicate => "predicate",
            Self::Join => "join",
            Self::Group => "group",
            Self::Order => "order",
            Self::Written => "written",
            Self::Returned => "returned",
            Self::Stored => "stored",
            Self::Argument => "argument",
        }
    }
}

/// What a statement changes in the session's state, once it has succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that the proxy tracks.
    None,
    /// `PREPARE name AS …`
    Prepare {
        /// The name.
        name: String,
        /// The statement inside, as it is sent.
        text: Arc<str>,
        /// What that is, as in its command tag.
        kind: &'static str,
    },
    /// `EXECUTE name`
    Execute(String),
    /// `DEALLOCATE name`, or all without a name.
    Deallocate(Option<String>),
    /// `DECLARE name CURSOR …`
    DeclareCursor {
        /// Its name.
        name: String,
        /// Its query, as it is sent; nothing of an exempt role.
        text: Arc<str>,
        /// WITH HOLD: it outlives its transaction.
        hold: bool,
    },
    /// `FETCH … name` or `MOVE … name`
    Fetch(String),
    /// `CLOSE name`, or all without a name.
    CloseCursor(Option<String>),
    /// May change `search_path`, the purpose or the current user: the session must ask the server for its path before the next
    /// statement of a restricted role is planned.
    SearchPath,
    /// Chooses a purpose: this one, or one that only the server knows, which the session must ask for then.
    Purpose(Option<Arc<str>>),
    /// Chooses the purpose that the parameter of this number holds: at Bind it becomes [`Effect::Purpose`], or is refused.
    PurposeGiven(u16),
    /// `DISCARD ALL`: as `SearchPath`, and every prepared statement and cursor goes.
    DiscardAll,
    /// Made this temporary table, or may have dropped some: the session must ask the server for them before the
    /// next statement of a restricted role is planned.
    Temporary(Option<MadeTable>),
    /// May have changed the catalog (DDL, GRANT, DO, CALL, unknown): the proxy refreshes its snapshot.
    Catalog,
}

/// Statements that begin, end or mark transactions, by [`PlannedStatement::kind`].
pub fn is_transaction_control(kind: &str) -> bool {
    matches!(
        kind,
        "BEGIN"
            | "START TRANSACTION"
            | "COMMIT"
            | "END"
            | "ROLLBACK"
            | "ABORT"
            | "SAVEPOINT"
            | "RELEASE"
            | "PREPARE TRANSACTION"
    )
}

/// One output column of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Name as RowDescription shows it; none when the binder does not derive it (PostgreSQL's `FigureColname`).
    pub name: Option<Arc<str>>,
    /// Protected base columns that it is computed from, after masks.
    pub sources: Vec<(Oid, AttNum)>,
}

/// Whether a base column may appear in clear in a RowDescription for this role: the tripwire asks it.
pub fn may_appear_in_clear(role: &RolePolicy, catalog: &CatalogSnapshot, relation: Oid, attnum: AttNum) -> bool {
    use crate::policy::Treatment;
    if role.exempt {
        return true;
    }
    // A relation that is not known has come in by the name of one that is.
    let Some(data) = catalog.relation(relation) else { return false };
    let Some(governed) = role.relation(relation) else { return true };
    if governed.refuse.is_some() {
        return false;
    }
    let clear = |position: usize| match governed.columns.get(position).map(|column| &column.treatment) {
        Some(Treatment::Clear) => true,
        Some(Treatment::Mask(_) | Treatment::Withhold | Treatment::Refuse) | None => false,
    };
    match data.columns.iter().position(|column| column.attnum == attnum) {
        Some(position) => clear(position),
        // The row as a whole.
        None if attnum.0 == 0 => (0..data.columns.len()).all(clear),
        None => attnum.0 < 0,
    }
}

/// A refusal together with what is known of the statement, for the audit event.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What the client is told.
    pub refusal: Refusal,
    /// `SELECT`, …, or `UNKNOWN`.
    pub kind: &'static str,
    /// As much of the access as was understood; `decision` is `refuse`.
    pub access: Access,
}

impl From<Refusal> for Box<Refused> {
    fn from(refusal: Refusal) -> Self {
        let access = Access { decision: "refuse", ..Access::default() };
        Box::new(Refused { refusal, kind: "UNKNOWN", access })
    }
}
