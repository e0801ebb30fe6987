//! Guards against writing masks back, as they stand in a printed statement. In: an assignment to a hidden column of a protected
//! target, and the text in the place of its value. Out: the client's own value in it.
//!
//! Invariant: a guard that is known holds, beside the client's value, the current value of the column and the mask of that, and reads
//! nothing else; the value stands in brackets of its own, so that whatever it is, the guard is around it.

use std::ops::Range;

use crate::{
    bind::{Assigned, RelationUse},
    catalog::Column,
    names::quote_ident,
    policy::{
        RelationPolicy, Treatment, WriteBack,
        compiled::{Row, short_type},
    },
    rewrite::{Job, protected, strip_seen, treatment},
    sql::{Kind, Nesting, Token, emit},
};

/// An assignment that must be guarded.
#[derive(Clone, Copy)]
pub(super) struct Guarded<'a> {
    pub used: &'a RelationUse,
    pub position: usize,
    pub value: &'a Range<usize>,
    policy: &'a RelationPolicy,
    column: &'a Column,
}

impl<'a> Guarded<'a> {
    /// The guard of an assignment; none where it needs none.
    pub fn of(job: &Job<'a>, assigned: &'a Assigned) -> Option<Self> {
        let value = assigned.value.as_ref().filter(|_| assigned.update && !assigned.default)?;
        let used = job.bound.relations.get(assigned.relation)?;
        let policy = protected(job.role, used)?;
        let kept = policy.columns.get(assigned.column).is_some_and(|rule| rule.write_back == WriteBack::Keep);
        let hidden = match treatment(policy, assigned.column) {
            Treatment::Mask(_) | Treatment::Withhold => true,
            Treatment::Clear | Treatment::Refuse => false,
        };
        let column = job.catalog.relation(used.oid)?.columns.get(assigned.column).filter(|_| kept && hidden)?;
        Some(Self { used, position: assigned.column, value, policy, column })
    }

    /// The client's value in the text of the guard; none when the text is no guard of this assignment, or the value not printed as it
    /// was written. The mask in it must be known by another way.
    pub fn client_part<'b>(&self, own: &'b str, job: &Job<'_>) -> Option<&'b str> {
        let tokens = job.tokens.get(self.value.clone()).filter(|tokens| is_one_value(tokens))?;
        let value = emit::text(tokens);
        let (row, name) = (quote_ident(&self.used.alias), quote_ident(&self.column.name));
        if captures(self.policy, self.position, &self.used.alias) {
            return None;
        }
        let current = [&*row, ".", &*name].concat();
        let mask = |text: &'b str| {
            let row = Row { name: &row, few: job.reads_few() };
            strip_seen(text.strip_prefix('(')?, self.policy, self.position, self.column, &current, row)?
                .strip_prefix(')')
        };
        let rest = own.strip_prefix("CASE WHEN ")?;
        let (inside, behind) = bracketed(rest, &value, self.column)?;
        let bracketed_value = rest.get(..rest.len() - behind.len())?;
        let (rest, compare) = match behind.strip_prefix(AS_TEXT) {
            Some(rest) => (rest, AS_TEXT),
            None => (behind, ""),
        };
        let rest = mask(rest.strip_prefix(" IS NOT DISTINCT FROM ")?)?.strip_prefix(compare)?;
        // Forms make an empty text of the NULL that a hidden cell reads as.
        let rest = match rest.strip_prefix(" OR (") {
            None => rest,
            Some(rest) => {
                let rest = mask(rest)?.strip_prefix(" IS NULL AND pg_catalog.length(")?;
                let rest = rest.strip_prefix(bracketed_value)?.strip_prefix(") ")?;
                let rest = rest.strip_prefix("OPERATOR(pg_catalog.=)").or_else(|| rest.strip_prefix('='))?;
                rest.strip_prefix(" 0)")?
            }
        };
        let rest = rest.strip_prefix(" THEN ")?.strip_prefix(current.as_str())?.strip_prefix(" ELSE ")?;
        (rest.strip_prefix(bracketed_value)? == " END").then_some(inside)
    }
}

const AS_TEXT: &str = "::pg_catalog.text";

/// A value in brackets, with or without a cast to the column's type, and what stands behind it.
fn bracketed<'a>(text: &'a str, value: &str, column: &Column) -> Option<(&'a str, &'a str)> {
    let (inside, close) = match text.strip_prefix("CAST(") {
        Some(text) => (text, [" AS ", &*short_type(&column.type_sql_plain), ")"].concat()),
        None => (text.strip_prefix('(')?, ")".to_owned()),
    };
    let behind = inside.strip_prefix(value)?.strip_prefix(close.as_str())?;
    Some((inside.get(..value.len())?, behind))
}

/// Whether no bracket of a value belongs to what stands around it, and no comma of it parts values.
fn is_one_value(tokens: &[Token]) -> bool {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes if depth == 0 => return false,
            Nesting::Closes => depth -= 1,
            Nesting::Stays if depth == 0 && matches!(token.kind, Kind::Comma | Kind::Semicolon) => return false,
            Nesting::Stays => {}
        }
    }
    depth == 0 && !tokens.is_empty()
}

/// Whether the mask of a column gives the name of a row to another one.
pub(super) fn captures(policy: &RelationPolicy, position: usize, row: &str) -> bool {
    match treatment(policy, position) {
        Treatment::Mask(mask) => mask.sql.captures().iter().any(|name| **name == *row),
        Treatment::Clear | Treatment::Withhold | Treatment::Refuse => false,
    }
}
