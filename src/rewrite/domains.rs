//! Domains of scalars whose check runs a function that the rules do not list. Beside a column of one, a constant is of the type that the
//! domain is made of, so that nothing is checked; but an array of its values has the domain for its elements, and functions whose
//! arguments share one type take it as it is: there a constant of the client's becomes a value, and what the check says of it can be seen.

use std::ops::Range;

use super::Job;
use crate::{
    bind::{Bound, Reference, Role},
    catalog::data::{FunctionData, OperatorData},
    names::Oid,
    sql::{Kind, Nesting, Token},
};

/// Functions of PostgreSQL 14 to 18 that make an array of values of any type, take one beside another argument of its type, or fill the fields of a row.
pub const MAKES_OR_MEETS: &[&str] = &[
    "any_value_transfn",
    "array_agg",
    "array_append",
    "array_fill",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_replace",
    "json_populate_record",
    "json_populate_recordset",
    "jsonb_populate_record",
    "jsonb_populate_record_valid",
    "jsonb_populate_recordset",
    "lag",
    "lead",
    "percentile_disc",
    "width_bucket",
];

/// `anyelement`, `anyarray`, `anynonarray`, `anycompatible`, `anycompatiblearray`, `anycompatiblenonarray`
const POLYMORPHIC: &[Oid] = &[Oid(2283), Oid(2277), Oid(2776), Oid(5077), Oid(5078), Oid(5079)];

/// Where constants of a statement may become values of a domain.
#[derive(Debug, Default)]
pub(super) struct Taking {
    /// The tokens of what makes arrays, or takes a value of any type beside others.
    places: Vec<Range<usize>>,
    /// Not in these alone.
    anywhere: bool,
}

impl Taking {
    /// Of a statement; none where nothing takes any.
    pub fn of(job: &Job<'_>) -> Option<Self> {
        let tokens = job.tokens;
        let mut taking = Self::default();
        let operates = |operator: &OperatorData| {
            [operator.left, Some(operator.right)].into_iter().flatten().any(|of| POLYMORPHIC.contains(&of))
        };
        for (at, token) in tokens.iter().enumerate() {
            if token.is_word("array") {
                taking.add(tokens, at);
            }
            taking.anywhere |= token.kind == Kind::Operator && job.catalog.operators_named(token.name()).any(operates);
        }
        let polymorphic = |function: &FunctionData| function.argument_types.iter().any(|of| POLYMORPHIC.contains(of));
        for call in &job.bound.functions {
            let own = || job.catalog.functions_named(&call.name).any(polymorphic);
            if MAKES_OR_MEETS.contains(&call.name.as_str()) || own() {
                taking.add(tokens, call.token);
            }
        }
        if taking.places.is_empty() && !taking.anywhere {
            return None;
        }
        taking.anywhere |= !reads_one_table(job);
        Some(taking)
    }

    /// Takes in a call, or the brackets of an array, at `at`.
    fn add(&mut self, tokens: &[Token], at: usize) {
        let Some(mut end) = closed(tokens, at + 1) else {
            self.anywhere = true;
            return;
        };
        let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(word));
        if word(end, "within") && word(end + 1, "group") {
            end = closed(tokens, end + 2).unwrap_or(tokens.len());
        }
        self.places.push(at..end);
    }

    /// Whether a column's values meet constants there.
    pub fn takes(&self, job: &Job<'_>, (id, position): (usize, usize)) -> bool {
        let mark = job.bound.relations.get(id).and_then(|used| used.marks.get(position));
        let mut own = job.bound.references.iter().filter(|one| one.relation == id && one.column == Some(position));
        let inside = |at: usize| self.places.iter().any(|place| place.contains(&at));
        mark.is_none_or(|mark| mark.merged)
            || (self.anywhere && !is_cast(job.bound, job.tokens, (id, position)))
            || own.any(|one| inside(one.tokens.start) && !is_cast_there(job.tokens, one))
    }
}

/// Whether the statement is one query of one relation, so that whatever reads a column names it: what sub-selects and functions in FROM give has
/// other names.
fn reads_one_table(job: &Job<'_>) -> bool {
    const BEHIND: &[&str] = &["where", "group", "having", "window", "order", "limit", "offset", "fetch", "for"];
    let [used] = job.bound.relations.as_slice() else { return false };
    let token = |at: usize| job.tokens.get(at);
    let word = |at: usize, word: &str| token(at).is_some_and(|token| token.is_word(word));
    let from = used.whole.start.checked_sub(1).is_some_and(|before| word(before, "from"));
    let ends = |at: usize| {
        token(at).is_none_or(|token| token.kind == Kind::Semicolon || BEHIND.iter().any(|word| token.is_word(word)))
    };
    let mut behind = used.whole.end + usize::from(word(used.whole.end, "as"));
    if !ends(behind) && token(behind).is_some_and(Token::is_name) {
        behind += 1;
    }
    job.bound.blocks.len() == 1 && used.role == Role::Source && from && ends(behind)
}

/// The token behind the brackets that open at `open`; none where none do, or they do not close.
fn closed(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.checked_sub(1)?,
            Nesting::Stays => {}
        }
        if depth == 0 {
            return (at > open).then_some(at + 1);
        }
    }
    None
}

/// Whether a statement holds constants or parameters that are no arguments of the call at `call`, and so could become what it gives.
pub(super) fn has_constants(job: &Job<'_>, call: usize) -> bool {
    let arguments = call..closed(job.tokens, call + 1).unwrap_or(call);
    // A number has a type of its own.
    let text = |token: &Token| token.is_literal() && token.kind != Kind::Number;
    let constant = |token: &Token| text(token) || token.kind == Kind::Parameter;
    job.tokens.iter().enumerate().any(|(at, token)| constant(token) && !arguments.contains(&at))
}

/// Whether every reference to a column is cast where it stands; to which type is judged by the type's name.
pub fn is_cast(bound: &Bound, tokens: &[Token], (id, position): (usize, usize)) -> bool {
    let mark = bound.relations.get(id).and_then(|used| used.marks.get(position));
    let own = |one: &&Reference| one.relation == id && one.column == Some(position);
    let mut own = bound.references.iter().filter(own).peekable();
    // A star reads without one, and so does what USING merges.
    mark.is_some_and(|mark| !mark.merged)
        && bound.stars.is_empty()
        && own.peek().is_some()
        && own.all(|reference| is_cast_there(tokens, reference))
}

fn is_cast_there(tokens: &[Token], reference: &Reference) -> bool {
    let word =
        |at: Option<usize>, word: &str| at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is_word(word));
    let Range { start, end } = reference.tokens;
    tokens.get(end).is_some_and(|token| token.kind == Kind::Typecast)
        || (word(start.checked_sub(2), "cast") && word(Some(end), "as"))
}
