//! Guards around assigned values, as they stand in a printed statement. In: an assignment to a hidden column of a protected
//! target, and the text in the place of its value. Out: the client's own value in it. And, for a whole statement, whether every
//! guard stands that it needs: against writing masks back or storing them, against rows that change their subject, and against
//! writes that would show the role more ([`stand`]).
//!
//! Invariant: a guard that is known holds, beside the client's value, the current value of the column and the mask of that, and reads
//! nothing else; the value stands in brackets of its own, so that whatever it is, the guard is around it.

use std::ops::Range;

use crate::{
    bind::{Assigned, RelationUse, Role},
    catalog::{Column, Relation},
    names::{quote_ident, quote_literal},
    policy::{
        Deciding, RelationPolicy, Treatment, WriteBack,
        compiled::{Row, short_type},
    },
    rewrite::{Job, Printed, SHOWS_MORE, STORED_MASK, protected, strip_seen, treatment},
    sql::{Kind, Nesting, Token, emit},
};

/// Whether each write has the guards that it needs, whatever else their text says.
pub(super) fn stand(printed: &Printed, job: &Job<'_>) -> bool {
    if job.role.exempt {
        return true;
    }
    let rows = job.bound.relations.iter().all(|used| {
        // What adds or takes away such rows is refused.
        let Some(deciding) = job.role.deciding.get(&used.oid) else { return true };
        match used.role {
            Role::Source | Role::Update => true,
            Role::Insert => !deciding.inserts,
            Role::Delete => !deciding.deletes,
            Role::Merge => false,
        }
    });
    rows && job.bound.assigned.iter().all(|assigned| stands(printed, job, assigned).unwrap_or(false))
}

/// Whether the guards of one assignment stand; none where something of it is not known.
fn stands(printed: &Printed, job: &Job<'_>, assigned: &Assigned) -> Option<bool> {
    let used = job.bound.relations.get(assigned.relation)?;
    let relation = job.catalog.relation(used.oid)?;
    let column = relation.columns.get(assigned.column)?;
    let around = |range: &Range<usize>, needed: &str| {
        let mut own = printed.trusted.iter().filter(|ours| ours.tokens == *range);
        own.any(|ours| printed.text.get(ours.bytes.clone()).is_some_and(|text| text.contains(needed)))
    };
    let masks = protected(job.role, used).and_then(|policy| policy.columns.get(assigned.column));
    if let Some(rows) = assigned.rows.as_ref().filter(|_| masks.is_some_and(|rule| rule.stored_mask.is_some())) {
        let none = |range: &Range<usize>| {
            let token = if range.len() == 1 { job.tokens.get(range.start) } else { None };
            token.is_some_and(|token| token.is_word("default") || token.is_word("null"))
        };
        let sign = sign(STORED_MASK, relation, column);
        if !assigned.partial && !rows.iter().all(|range| none(range) || around(range, &sign)) {
            return Some(false);
        }
    }
    if !assigned.update {
        return Some(true);
    }
    let mut needed = Vec::new();
    if decides(job, used, assigned.column).is_some() {
        needed.push(sign(SHOWS_MORE, relation, column));
    }
    if let Some(leading) = job.role.leads(used.oid, assigned.column) {
        // Where there is no such condition, the assignment is refused.
        let row = Row { name: &quote_ident(&used.alias), few: job.reads_few() };
        needed.push(["CASE WHEN ", leading.open.as_ref()?.fill_row("", row).as_str(), " THEN "].concat());
    }
    if masks.is_some_and(|rule| rule.stored_mask.is_some()) && !assigned.default {
        needed.push(sign(STORED_MASK, relation, column));
    }
    if assigned.value.is_some() && !assigned.default && Against::masks(job, used, assigned.column).is_some() {
        needed.push([" THEN ", &*quote_ident(&used.alias), ".", &*quote_ident(&column.name), " ELSE "].concat());
    }
    if needed.is_empty() {
        return Some(true);
    }
    let value = assigned.value.as_ref().filter(|_| !assigned.default)?;
    Some(needed.iter().all(|needed| around(value, needed)))
}

/// The text by which a guard fails.
fn sign(begins: &str, relation: &Relation, column: &Column) -> String {
    quote_literal(&format!("{begins}{}.{}", relation.oid.0, column.attnum.0))
}

/// An assignment that must be guarded.
#[derive(Clone, Copy)]
pub(super) struct Guarded<'a> {
    pub used: &'a RelationUse,
    pub position: usize,
    pub value: &'a Range<usize>,
    against: Against<'a>,
    relation: &'a Relation,
    column: &'a Column,
}

/// What a guard keeps from happening.
#[derive(Clone, Copy)]
enum Against<'a> {
    /// A mask is written back.
    Masks(&'a RelationPolicy),
    /// The role is shown more.
    More(&'a Deciding),
}

impl<'a> Guarded<'a> {
    /// The guard of an assignment; none where it needs none, or one that is recognised by no form.
    pub fn of(job: &Job<'a>, assigned: &'a Assigned) -> Option<Self> {
        let value = assigned.value.as_ref().filter(|_| assigned.update && !assigned.default)?;
        let used = job.bound.relations.get(assigned.relation)?;
        let relation = job.catalog.relation(used.oid)?;
        let column = relation.columns.get(assigned.column)?;
        let against = match Against::masks(job, used, assigned.column) {
            Some(policy) => Against::Masks(policy),
            None => Against::More(decides(job, used, assigned.column)?),
        };
        Some(Self { used, position: assigned.column, value, against, relation, column })
    }

    /// Whether a mask stands in it, which must be known.
    pub fn shows_mask(&self) -> bool {
        matches!(self.against, Against::Masks(_))
    }

    /// The client's value in the text of the guard; none when the text is no guard of this assignment, or the value not printed as it
    /// was written. The mask in it must be known by another way.
    pub fn client_part<'b>(&self, own: &'b str, job: &Job<'_>) -> Option<&'b str> {
        let tokens = job.tokens.get(self.value.clone()).filter(|tokens| is_one_value(tokens))?;
        let value = emit::text(tokens);
        // What fails where the value could not be assigned is read when the statement is, and never evaluated.
        let plain = short_type(self.column.assigned_type());
        let proof = [
            "CASE WHEN false THEN CAST(CASE WHEN false THEN (",
            &value,
            ") ELSE CAST(NULL AS ",
            &plain,
            ") END AS ",
            &plain,
            ") ELSE ",
        ];
        let own = match own.strip_prefix(proof.concat().as_str()) {
            Some(proven) => proven.strip_suffix(" END")?,
            None => own,
        };
        let current = [&*quote_ident(&self.used.alias), ".", &*quote_ident(&self.column.name)].concat();
        let rest = own.strip_prefix("CASE WHEN ")?;
        let (inside, behind) = bracketed(rest, &value, self.column)?;
        let value = rest.get(..rest.len() - behind.len())?;
        let (rest, compare) = match behind.strip_prefix(AS_TEXT) {
            Some(rest) => (rest, AS_TEXT),
            None => (behind, ""),
        };
        let rest = rest.strip_prefix(" IS NOT DISTINCT FROM ")?;
        let known = match self.against {
            Against::Masks(policy) => self.keeps(rest, policy, (value, compare), &current, job),
            Against::More(deciding) => self.fails(rest, deciding, (value, compare), &current, job),
        };
        known.is_some().then_some(inside)
    }

    /// Reads a guard against writing masks back from what the value is compared with on.
    fn keeps(
        &self,
        rest: &str,
        policy: &RelationPolicy,
        (value, compare): (&str, &str),
        current: &str,
        job: &Job<'_>,
    ) -> Option<()> {
        if captures(policy, self.position, &self.used.alias) {
            return None;
        }
        let name = quote_ident(&self.used.alias);
        let row = Row { name: &name, few: job.reads_few() };
        let rest = self.mask(rest, policy, current, row)?.strip_prefix(compare)?;
        // Forms make an empty text of the NULL that a hidden cell reads as.
        let rest = match rest.strip_prefix(" OR (") {
            None => rest,
            Some(rest) => {
                let rest = self.mask(rest, policy, current, row)?.strip_prefix(" IS NULL AND pg_catalog.length(")?;
                let rest = rest.strip_prefix(value)?.strip_prefix(") ")?;
                let rest = rest.strip_prefix("OPERATOR(pg_catalog.=)").or_else(|| rest.strip_prefix('='))?;
                rest.strip_prefix(" 0)")?
            }
        };
        let rest = rest.strip_prefix(" THEN ")?.strip_prefix(current)?.strip_prefix(" ELSE ")?;
        (rest.strip_prefix(value)? == " END").then_some(())
    }

    /// What stands behind the mask of the current value, in brackets.
    fn mask<'b>(&self, text: &'b str, policy: &RelationPolicy, current: &str, row: Row<'_>) -> Option<&'b str> {
        strip_seen(text.strip_prefix('(')?, policy, self.position, self.column, current, row)?.strip_prefix(')')
    }

    /// Reads a guard against what would show more from what the value is compared with on.
    fn fails(
        &self,
        rest: &str,
        deciding: &Deciding,
        (value, compare): (&str, &str),
        current: &str,
        job: &Job<'_>,
    ) -> Option<()> {
        let mut rest = rest.strip_prefix(current)?.strip_prefix(compare)?;
        if let Some(counts) = deciding.columns.get(&self.position)? {
            let name = quote_ident(&self.used.alias);
            let captured = counts.captures().iter().any(|name| **name == *self.used.alias);
            let counts = counts.fill_row("", Row { name: &name, few: job.reads_few() });
            rest = rest.strip_prefix(" OR (").filter(|_| !captured)?.strip_prefix(counts.as_str())?;
            rest = rest.strip_prefix(") IS NOT TRUE")?;
        }
        let rest = rest.strip_prefix(" THEN ")?.strip_prefix(value)?;
        let rest = rest.strip_prefix(" ELSE CAST(CAST(CAST(pg_catalog.concat(")?;
        let rest = rest.strip_prefix(sign(SHOWS_MORE, self.relation, self.column).as_str())?;
        let rest = rest.strip_prefix(") AS pg_catalog.int4) AS pg_catalog.text) AS ")?;
        (rest.strip_prefix(self.column.type_sql_plain.as_str())? == ") END").then_some(())
    }
}

impl<'a> Against<'a> {
    /// The policy of a column whose mask may be written back.
    fn masks(job: &Job<'a>, used: &RelationUse, position: usize) -> Option<&'a RelationPolicy> {
        let policy = protected(job.role, used)?;
        let kept = policy.columns.get(position).is_some_and(|rule| rule.write_back == WriteBack::Keep);
        let hidden = match treatment(policy, position) {
            Treatment::Mask(_) | Treatment::Withhold => true,
            Treatment::Clear | Treatment::Refuse => false,
        };
        (kept && hidden).then_some(policy)
    }
}

/// What decides what the role sees, where a column of it does.
fn decides<'a>(job: &Job<'a>, used: &RelationUse, position: usize) -> Option<&'a Deciding> {
    let deciding = job.role.deciding.get(&used.oid).filter(|_| !job.role.exempt)?;
    deciding.columns.contains_key(&position).then_some(deciding)
}

const AS_TEXT: &str = "::pg_catalog.text";

/// A value in brackets, with or without a cast to the column's type, and what stands behind it.
fn bracketed<'a>(text: &'a str, value: &str, column: &Column) -> Option<(&'a str, &'a str)> {
    let (inside, close) = match text.strip_prefix("CAST(") {
        Some(text) => (text, [" AS ", &*short_type(column.assigned_type()), ")"].concat()),
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
