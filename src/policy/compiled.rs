//! The policy as the engine uses it: per role, per relation, per column, everything resolved against one catalog
//! snapshot. In: a rule set and a snapshot (`compile`). Out: lookups without names. Invariant: a relation that is in
//! `governed` has a [`ColumnPolicy`] for each of its live columns; a column not found is withheld by the caller.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use foldhash::fast::FixedState;

use crate::names::{AttNum, Oid};

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
    /// Roles in file order; first match wins.
    pub roles: Vec<RolePolicy>,
}

/// What one `[[role]]` means in this database.
#[derive(Clone, Debug)]
pub struct RolePolicy {
    /// `name`
    pub name: String,
    /// `file:line` of the `[[role]]`.
    pub origin: String,
    /// Which connections have this role.
    pub matching: super::rules::RoleMatch,
    /// Audited, never rewritten.
    pub exempt: bool,
    /// Default purpose: the first of `purposes`, empty without any.
    pub purpose: String,
    /// `recipient`, empty when not given.
    pub recipient: String,
    /// Whether EXPLAIN is allowed (of the rewritten statement).
    pub explain: bool,
    /// Every relation with at least one column that is in a category, or that reads such a relation (views,
    /// materialized views, partitions and inheritance relatives). For exempt roles too, so that accesses are audited;
    /// there every treatment is `Clear`.
    pub governed: HashMap<Oid, RelationPolicy, FixedState>,
    /// Names, without schemas, of all relations in `governed` of which the role does not get everything in clear.
    pub protected_names: HashSet<Box<str>, FixedState>,
    /// User functions allowed by the rules, by OID.
    pub functions: HashSet<Oid, FixedState>,
}

/// What one role gets of one relation.
#[derive(Clone, Debug)]
pub struct RelationPolicy {
    /// By position of the column in [`crate::catalog::Relation::columns`].
    pub columns: Vec<ColumnPolicy>,
    /// Whether any column is treated otherwise than [`Treatment::Clear`]; if not, the relation needs no rewriting.
    pub protected: bool,
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
    /// The determining rule, as `file:line`.
    pub rule: Arc<str>,
    /// How a derived table shows the column, once the engine has checked that it shows nothing else; none inside when
    /// it did not pass.
    pub item: OnceLock<Option<Box<str>>>,
}

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
}

/// SQL text with places for one operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlTemplate {
    parts: Arc<[Box<str>]>,
}

impl SqlTemplate {
    /// `text` with `{}` wherever the operand stands.
    pub fn new(text: &str) -> Self {
        Self { parts: text.split("{}").map(Into::into).collect() }
    }

    /// `text` with `marker` wherever the operand stands: for texts that may hold `{}` themselves.
    pub fn with_marker(text: &str, marker: &str) -> Self {
        Self { parts: text.split(marker).map(Into::into).collect() }
    }

    /// The SQL with `operand` (a column reference) in every place.
    pub fn fill(&self, operand: &str) -> String {
        self.parts.join(operand)
    }
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

impl Policy {
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
