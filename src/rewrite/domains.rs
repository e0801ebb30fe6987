//! Domains of scalars whose check runs a function that the rules do not list. Beside a column of one, a constant is of the type that the
//! domain is made of, so that nothing is checked; but an array of its values has the domain for its elements, and functions whose
//! arguments share one type take it as it is: there a constant of the client's becomes a value, and what the check says of it can be seen.

use std::ops::Range;

use super::Job;
use crate::{
    bind::{Bound, Reference},
    catalog::data::FunctionData,
    names::Oid,
    sql::{Kind, Token},
};

/// Functions of PostgreSQL 14 to 18 that make an array of values of any type, or take one beside another argument of its type.
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
    "lag",
    "lead",
    "percentile_disc",
    "width_bucket",
];

/// `anyelement`, `anyarray`, `anynonarray`, `anycompatible`, `anycompatiblearray`, `anycompatiblenonarray`
const POLYMORPHIC: &[Oid] = &[Oid(2283), Oid(2277), Oid(2776), Oid(5077), Oid(5078), Oid(5079)];

/// Whether a constant of the statement may become a value of a domain of which a column is read.
pub(super) fn may_take_constants(job: &Job<'_>) -> bool {
    let polymorphic = |function: &FunctionData| function.argument_types.iter().any(|of| POLYMORPHIC.contains(of));
    job.tokens.iter().any(|token| token.is_word("array"))
        || job.bound.functions.iter().any(|call| {
            MAKES_OR_MEETS.contains(&call.name.as_str()) || job.catalog.functions_named(&call.name).any(polymorphic)
        })
}

/// Whether every reference to a column is cast where it stands; to which type is judged by the type's name.
pub fn is_cast(bound: &Bound, tokens: &[Token], id: usize, position: usize) -> bool {
    let own = |one: &&Reference| one.relation == id && one.column == Some(position);
    let mut own = bound.references.iter().filter(own).peekable();
    let word =
        |at: Option<usize>, word: &str| at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is_word(word));
    let cast = |reference: &Reference| {
        let Range { start, end } = reference.tokens;
        tokens.get(end).is_some_and(|token| token.kind == Kind::Typecast)
            || (word(start.checked_sub(2), "cast") && word(Some(end), "as"))
    };
    // A star, and what USING merges, reads without one.
    bound.stars.is_empty() && own.peek().is_some() && own.all(cast)
}
