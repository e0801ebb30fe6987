//! The new value of a column in SQL, where something of ours stands around it. In: the tokens that are assigned. Out: their text as a
//! value of the column's type, and a proof that PostgreSQL would take them in a plain assignment.
//!
//! An assignment casts less than CAST does: no text becomes a date by it, and no number a boolean. What it would refuse is refused as well:
//! for types whose values come from others by casts that are implicit one way or the other, a CASE of a value and the expression
//! fails in the same way (42804) when the statement is read, and is never evaluated.

use std::ops::Range;

use super::{Job, edits::HOLE};
use crate::{
    catalog::{Column, functions},
    policy::compiled::short_type,
    sql::{Kind, Nesting},
};

/// Types to which an assignment casts from what CASE unites them with, and from nothing else; arrays of them likewise.
/// Not so `text` and its like, to which everything is assigned, `json` and `jsonb`, which are assigned to each other, and `time`,
/// `interval`, `money`, `box` and `path`, to which others are. (`tests/types.rs` asks the server.)
const UNITE: &[&str] = &[
    "bit",
    "bool",
    "bytea",
    "cidr",
    "circle",
    "date",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int8",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "numeric",
    "oid",
    "point",
    "timestamp",
    "timestamptz",
    "tsquery",
    "tsvector",
    "uuid",
    "varbit",
    "xid",
    "xml",
];

/// Whether that is so of a column's type.
fn unites(column: &Column) -> bool {
    match column.type_kind {
        'b' => {
            let element = column.type_name.strip_prefix('_').filter(|_| column.type_category == 'A');
            UNITE.contains(&element.unwrap_or(&column.type_name))
        }
        // Enumerations and ranges.
        'e' | 'r' | 'm' => true,
        // Domains, by the category that they have from their type: numbers, booleans, addresses of networks, ranges, bits.
        'd' => matches!(column.type_category, 'N' | 'B' | 'I' | 'R' | 'V'),
        _ => false,
    }
}

/// What is assigned to a column.
pub(super) struct Value {
    /// It in SQL, as a value of the column's type, as often as it is wanted: [`HOLE`] stands for the tokens, or it is a column of
    /// the sub-select around what is stored.
    pub text: String,
    /// What that column is computed from.
    computed: Option<String>,
    /// Fails where the tokens may not be assigned to the column, and is of its type; none where nothing can fail.
    proof: Option<String>,
}

impl Value {
    /// The value that `range` of the tokens assigns to a column, in an UPDATE or an INSERT.
    pub fn new(job: &Job<'_>, column: &Column, range: &Range<usize>, update: bool) -> Self {
        let alone = if range.len() == 1 { job.tokens.get(range.start) } else { None };
        let null = alone.is_some_and(|token| token.is_word("null"));
        let constant = null || alone.is_some_and(|token| token.is_literal() || token.kind == Kind::Parameter);
        let first = job.tokens.get(range.start);
        let reads_null = first.is_some_and(|token| token.kind == Kind::Parameter || token.is_word("null"));
        // A parameter has the type of the column, and a cast to a domain that takes no NULL would fail on one that was read in the place of a value.
        // What is made of an array is of no type that is known without a cast.
        let unchecked = update
            && column.type_kind == 'd'
            && constant
            && reads_null
            && (column.type_category != 'A' || column.assigned_as.is_none());
        // The cast gives the value the type it has in a plain assignment. Where a user's function casts to the type, an
        // explicit cast could run more than an assignment does.
        let casts = job.catalog.types_named(&column.type_name).any(|found| found.has_user_cast);
        let cast = (constant || !casts) && !unchecked;
        let plain = short_type(column.assigned_type());
        let text = if cast { ["CAST(", HOLE, " AS ", &plain, ")"].concat() } else { ["(", HOLE, ")"].concat() };
        // A string, a parameter or NULL becomes of any type.
        let untyped = null || alone.is_some_and(|token| matches!(token.kind, Kind::Text | Kind::Parameter));
        let proof = (cast && !untyped && unites(column)).then(|| {
            ["CAST(CASE WHEN false THEN (", HOLE, ") ELSE CAST(NULL AS ", &plain, ") END AS ", &plain, ")"].concat()
        });
        if has_effects(job, range) && (update || is_in_values(job, range)) {
            return Self { text: COMPUTED.to_owned(), computed: Some(text), proof };
        }
        Self { text, computed: None, proof }
    }

    /// Whether it is computed once, however often it is wanted.
    pub fn is_computed_once(&self) -> bool {
        self.computed.is_some()
    }

    /// What is stored, `text` having been made of the value.
    pub fn stored(&self, text: String) -> String {
        let text = match &self.computed {
            None => text,
            // OFFSET keeps the planner from putting the expression wherever the column stands.
            Some(computed) => ["(SELECT ", &text, " FROM (SELECT ", computed, " AS v OFFSET 0) AS pgs_value)"].concat(),
        };
        match &self.proof {
            None => text,
            Some(proof) => ["CASE WHEN false THEN ", proof, " ELSE ", &text, " END"].concat(),
        }
    }
}

/// The column of a value that is computed once.
const COMPUTED: &str = "pgs_value.v";

/// Whether a value calls what may say something else, or do something, each time.
pub(super) fn is_volatile(job: &Job<'_>, range: &Range<usize>) -> bool {
    job.bound.functions.iter().filter(|function| range.contains(&function.token)).any(|function| {
        let mut users = job.catalog.functions_named(&function.name);
        functions::is_volatile(&function.name) || users.any(|user| user.volatility == 'v')
    })
}

/// Whether a value is to be computed once: it calls such a thing, or holds a query.
fn has_effects(job: &Job<'_>, range: &Range<usize>) -> bool {
    let own = job.tokens.get(range.clone()).unwrap_or(&[]);
    let begins_query = |word: &str| ["select", "with", "values", "table"].contains(&word);
    is_volatile(job, range)
        || own.windows(2).any(|pair| {
            matches!(pair, [open, word] if open.kind == Kind::Open && word.kind == Kind::Word && begins_query(word.name()))
        })
}

/// Whether a value stands in VALUES of an INSERT. In the list of a SELECT it may hold aggregates, which are of that query alone.
fn is_in_values(job: &Job<'_>, range: &Range<usize>) -> bool {
    let mut depth = 0_usize;
    job.tokens.iter().take(range.start).any(|token| {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        depth == 0 && token.is_word("values")
    })
}
