//! What the binder found, in terms of token numbers and catalog positions.

use std::ops::Range;

use smallvec::SmallVec;

use super::failing::{Failing, Nature};
use crate::{catalog::overloads::Typed, names::Oid, sql::Reads};

/// Position of a column in [`crate::catalog::Relation::columns`].
pub type ColumnIndex = usize;

/// Base columns that a value is computed from: index into [`Bound::relations`] and column position, without repetition.
pub type Deps = SmallVec<[(usize, ColumnIndex); 4]>;

/// Everything found in one statement.
#[derive(Debug, Default)]
pub struct Bound {
    /// Uses of catalog relations, in the order of binding.
    pub relations: Vec<RelationUse>,
    /// References to columns of those relations.
    pub references: Vec<Reference>,
    /// `*` and `t.*` in select lists and RETURNING.
    pub stars: Vec<Star>,
    /// Query blocks with GROUP BY.
    pub blocks: Vec<Block>,
    /// Function calls.
    pub functions: Vec<FunctionUse>,
    /// What stands between operators, where the database has some of its own.
    pub operators: Vec<OperatorUse>,
    /// Names of types that are no grammar keywords, with their tokens.
    pub types: Vec<(String, Range<usize>)>,
    /// Assignments and inserted columns.
    pub assigned: Vec<Assigned>,
    /// The tokens `=` of assignments, which are no operators.
    pub equals: Vec<usize>,
    /// Output columns of the statement; empty for statements that return no rows.
    pub outputs: Vec<Output>,
    /// Whether it returns rows.
    pub returns_rows: bool,
    /// RETURNING and select items that may need their name restored: tokens of the item and the name.
    pub items: Vec<Item>,
    /// By token: whether the binder consumed it as a name.
    pub accounted: Vec<bool>,
    /// Literals whose content decided something.
    pub reads: Reads,
    /// What can fail on a value; none where that was not asked.
    pub failing: Option<Failing>,
}

impl Bound {
    /// By relation, the numbers of the references to it.
    pub fn references_by_relation(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.relations.len()];
        for (number, reference) in self.references.iter().enumerate() {
            if let Some(list) = lists.get_mut(reference.relation) {
                list.push(number);
            }
        }
        lists
    }
}

/// How a relation is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Read in FROM or the like.
    Source,
    /// Target of UPDATE.
    Update,
    /// Target of DELETE.
    Delete,
    /// Target of INSERT.
    Insert,
    /// Target of MERGE.
    Merge,
}

/// One use of a catalog relation.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub struct RelationUse {
    /// Which.
    pub oid: Oid,
    /// What for.
    pub role: Role,
    /// Tokens of the qualified name.
    pub name: Range<usize>,
    /// Tokens of the name with `ONLY`, its parentheses, and a trailing `*`.
    pub whole: Range<usize>,
    /// `ONLY`
    pub only: bool,
    /// The name by which expressions refer to it.
    pub alias: String,
    /// Whether the text gives an alias.
    pub has_alias: bool,
    /// Tokens of the TABLESAMPLE clause.
    pub sample: Option<Range<usize>>,
    /// Per column position.
    pub marks: Vec<ColumnMark>,
    /// System columns referenced.
    pub system: Vec<String>,
    /// The row as a whole is used: its columns must all be there, in order, and nothing else.
    pub whole_row: Option<WholeUse>,
    /// It stands under a star.
    pub starred: bool,
    /// Index into [`Bound::blocks`] of the query block it stands in.
    pub block: Option<usize>,
    /// Columns of it are read otherwise than by [`Reference`]s and stars, or what a reference means is not certain.
    pub entangled: bool,
}

/// Why a row is needed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeUse {
    /// `c`, `to_jsonb(c)`, `c.*` in an expression.
    Expression(usize),
    /// An alias with a column list.
    AliasColumns,
    /// NATURAL JOIN.
    Natural,
}

/// How a column is used in one statement.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColumnMark {
    /// Referenced anywhere, stars included.
    pub used: bool,
    /// Referenced where GROUP BY must cover it.
    pub ungrouped: bool,
    /// Merged with a column of another relation by USING.
    pub merged: bool,
    /// What for.
    pub usages: Usages,
}

/// A set of [`Clause`]s seen from the outside: what the value is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usages(pub u16);

impl Usages {
    /// The value reaches the output.
    pub const PROJECTED: Self = Self(1);
    /// The value decides.
    pub const PREDICATE: Self = Self(2);
    /// The value joins.
    pub const JOIN: Self = Self(4);
    /// The value groups.
    pub const GROUP: Self = Self(8);
    /// The value orders.
    pub const ORDER: Self = Self(16);
    /// The column is written.
    pub const WRITTEN: Self = Self(32);
    /// The value is returned.
    pub const RETURNED: Self = Self(64);
    /// The value is stored: source of an insert or an assignment.
    pub const STORED: Self = Self(128);
    /// The value is an argument of a function in FROM, or of one that returns rows: it decides how many there are.
    pub const ARGUMENT: Self = Self(256);
    /// The value is looked at, and not only shown or stored: any of those above that decide, join, group, order or count rows.
    pub const COMPARED: Self =
        Self(Self::PREDICATE.0 | Self::JOIN.0 | Self::GROUP.0 | Self::ORDER.0 | Self::ARGUMENT.0);

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether any of `other` is in it.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The part of a statement in which an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// Select list and VALUES.
    Select,
    /// WHERE and HAVING.
    Where,
    /// JOIN … ON.
    On,
    /// GROUP BY.
    Group,
    /// ORDER BY, windows, DISTINCT ON.
    Order,
    /// RETURNING.
    Returning,
    /// The value of an assignment.
    Assign,
    /// The target of ON CONFLICT, which is compared with the definitions of indexes and never evaluated.
    Conflict,
    /// Function arguments in FROM, LIMIT and the like.
    Other,
}

impl Clause {
    /// The usage of a value that stands in the clause; none when it flows on and the outer clause decides.
    pub fn usage(self) -> Usages {
        match self {
            Self::Select | Self::Assign | Self::Conflict => Usages::default(),
            Self::Where | Self::Other => Usages::PREDICATE,
            Self::On => Usages::JOIN,
            Self::Group => Usages::GROUP,
            Self::Order => Usages::ORDER,
            Self::Returning => Usages::RETURNED,
        }
    }
}

/// One reference to a column of a catalog relation, by name.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub struct Reference {
    /// Index into [`Bound::relations`].
    pub relation: usize,
    /// Column position; none for a system column or the row as a whole.
    pub column: Option<ColumnIndex>,
    /// Tokens of the whole reference, qualifiers included.
    pub tokens: Range<usize>,
    /// The row as a whole.
    pub row: bool,
    /// Whether a schema stands before the table's name.
    pub schema_qualified: bool,
    /// Where it stands.
    pub clause: Clause,
    /// GROUP BY must cover it.
    pub ungrouped: bool,
    /// It stands in a sub-select of the query block whose relation it refers to.
    pub outer: bool,
    /// It stands in a sub-select of the select list, HAVING or ORDER BY of that block, behind a GROUP BY.
    pub grouped: bool,
    /// An output may have its name from it, and no [`Item`] says where to restore that.
    pub naming: bool,
    /// The comparison with constants that it stands in, in a condition on rows.
    pub compared: Option<Box<Compared>>,
}

/// A comparison of a column with constants: `=`, `IN`, `= ANY`, `IS NOT DISTINCT FROM`, or `LIKE` with a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub struct Compared {
    /// All its tokens: those of the column, the operator and the constants, and no others.
    pub tokens: Range<usize>,
    /// The tokens of its literals and parameters.
    pub constants: Vec<usize>,
    /// Each of them is an array of values.
    pub elements: bool,
    /// It is `= ANY (…)`.
    pub array: bool,
    /// The column is cast to text.
    pub as_text: bool,
    /// The column stands in `lower(…)` or `upper(…)`.
    pub folded: bool,
    /// The literal of a LIKE or ILIKE, which compares whole values if it holds no wildcard.
    pub pattern: Option<usize>,
    /// `IS NOT DISTINCT FROM`: never NULL.
    pub nulls: bool,
    /// Whether NULL and false mean the same where it stands: only AND, OR and brackets are around it.
    pub alone: bool,
    /// Whether rows of its relation are asked for by WHERE of the query that reads it, and only where it is true.
    pub conjunct: bool,
}

/// One star.
#[derive(Debug)]
pub struct Star {
    /// Tokens of `*` or `t.*`.
    pub tokens: Range<usize>,
    /// What it expands to.
    pub columns: Vec<StarColumn>,
    /// Catalog relations under it, indexes into [`Bound::relations`].
    pub relations: Vec<usize>,
    /// Whether every column is known, and means the same by its name.
    pub complete: bool,
    /// It stands in `EXISTS (SELECT *`: no column of it is read.
    pub ignored: bool,
}

/// One column of an expanded star.
#[derive(Clone, Debug)]
pub struct StarColumn {
    /// Name of the FROM item; none for a merged column of USING that is no column of one side.
    pub qualifier: Option<String>,
    /// Column name.
    pub name: String,
    /// The base column, when it is one directly.
    pub origin: Option<(usize, ColumnIndex)>,
}

/// A query block with GROUP BY over plain expressions.
#[derive(Debug)]
pub struct Block {
    /// Whether it has a GROUP BY of any form.
    pub groups: bool,
    /// The token before which further grouping columns go (the first after `GROUP BY`); none without a plain GROUP BY.
    pub insert_at: Option<usize>,
    /// Base columns that are grouping columns themselves.
    pub grouped: Vec<(usize, ColumnIndex)>,
}

/// A constant argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// A string, by its token: who reads it leaves a trace ([`crate::sql::Token::literal`]).
    Text(usize),
    /// `true` or `false`.
    Truth(bool),
}

/// One function call.
#[derive(Debug)]
pub struct FunctionUse {
    /// Schema, when given.
    pub schema: Option<String>,
    /// Name as looked up.
    pub name: String,
    /// Token of the name's last part.
    pub token: usize,
    /// Whether the name token was quoted.
    pub quoted: bool,
    /// The arguments that are string or boolean constants, by position; none for others.
    pub constants: Vec<Option<Constant>>,
    /// Base columns of the arguments.
    pub deps: Deps,
    /// The types of the arguments, where something depends on them; none too where they stand by name.
    pub arguments: Option<Vec<Typed>>,
}

/// One use of an operator, or of a word that PostgreSQL looks operators up for.
#[derive(Debug)]
pub struct OperatorUse {
    /// The operator, or the word.
    pub name: String,
    /// It stands before ANY or ALL.
    pub array: bool,
    /// The first tokens of its operands: no other of the name has the same.
    pub place: (usize, usize),
    /// The types of what it stands between, pair by pair.
    pub operands: Vec<(Option<Typed>, Typed)>,
}

/// One assigned or inserted column.
#[derive(Debug)]
pub struct Assigned {
    /// Index into [`Bound::relations`] of the target.
    pub relation: usize,
    /// Column position.
    pub column: ColumnIndex,
    /// Tokens of the new value, for assignments of one expression.
    pub value: Option<Range<usize>>,
    /// For inserted columns, the tokens of the value in each row; none where they cannot be told.
    pub rows: Option<Vec<Range<usize>>>,
    /// Base columns of the new value.
    pub deps: Deps,
    /// The value is `DEFAULT`.
    pub default: bool,
    /// It stands in UPDATE or DO UPDATE (not in a list of inserted columns).
    pub update: bool,
    /// Only an element or a field of the column is assigned.
    pub partial: bool,
}

/// One output column.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name; none when PostgreSQL's choice is not derived.
    pub name: Option<String>,
    /// Base columns.
    pub deps: Deps,
    /// The base column that it hands through unchanged.
    pub plain: Option<(usize, ColumnIndex)>,
    /// Its type, where something may depend on that.
    pub typed: Typed,
    /// What is known of it, where row scopes may depend on that.
    pub nature: Nature,
}

impl Output {
    /// One of which neither the type nor what can fail in it is known.
    pub(super) fn unknown(name: Option<&str>, deps: Deps) -> Self {
        Self { name: name.map(str::to_owned), deps, plain: None, typed: Typed::Any, nature: Nature::default() }
    }
}

/// A RETURNING item without alias, or an item of a select list whose name is the one of a column in it.
#[derive(Debug)]
pub struct Item {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// The name that PostgreSQL gives it.
    pub name: Option<String>,
}
