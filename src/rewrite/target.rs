//! Write targets stay tables: references to their protected columns are masked where they stand, stars of RETURNING are
//! expanded, and assignments are guarded against writing masks back.

use std::ops::Range;

use super::{
    Edits, Job,
    assigned::Value,
    check::label,
    deciding,
    derived::Exact,
    exact::{in_place, is_text, searched},
    inline::restored_name,
    names::{hidden, lacks_equality, protected, relation, seen, treatment},
    scope::check_capture,
    stored,
    tokens::compares_built_in,
};
use crate::{
    bind::{Clause, Reference, RelationUse, Role, Star, WholeUse},
    catalog::{Column, Relation, data::RelationKind},
    error::{Refusal, RefusalCode},
    names::quote_ident,
    policy::{
        RelationPolicy, Search, Treatment, WriteBack,
        compiled::{Row, withheld},
    },
    sql::{Kind, Nesting, Token, emit},
};

/// Rewrites what reads a target.
pub(super) fn targets(
    job: &Job<'_>,
    references: &[Vec<usize>],
    exact: &Exact,
    edits: &mut Edits,
) -> Result<(), Refusal> {
    for (id, used) in job.bound.relations.iter().enumerate() {
        let Some(policy) = protected(job.role, used).filter(|_| used.role != Role::Source) else { continue };
        if let Some(WholeUse::Expression(at)) = used.whole_row {
            let refusal = Refusal::new(
                RefusalCode::WholeRow,
                format!("the whole row of {} cannot be read where it is written", label(job, used)),
            )
            .with_hint("Name the columns.");
            return Err(match job.tokens.get(at) {
                Some(token) => refusal.at(token.start),
                None => refusal,
            });
        }
        for number in references.get(id).map_or(&[][..], Vec::as_slice) {
            let Some(reference) = job.bound.references.get(*number).filter(|_| !exact.contains(number)) else {
                continue;
            };
            if reference.clause == Clause::Conflict {
                continue; // Names an index: nothing is read.
            }
            let Some(position) = reference.column else { continue };
            let Some(rule) = hidden(policy, position) else { continue };
            if let Some(compared) = searched(job, reference, rule, &mut edits.reads) {
                // The stored value is compared, by explicit permission or behind its gate; the edits mark the place as ours.
                let mut condition = None;
                if let Some(gate) = &rule.gate {
                    let row = row_of(job, reference, used);
                    check_capture(&gate.sql, row)?;
                    condition = Some(gate.sql.fill_row("", Row { name: &quote_ident(row), few: job.few }));
                }
                in_place(job, reference, compared, rule.gate.as_ref().zip(condition.as_deref()), edits);
                if rule.search == Search::Exact {
                    edits.exact.push((id, position));
                    edits.searched.add(job.tokens, compared, &mut edits.reads);
                }
                continue;
            }
            let operand = job.tokens.get(reference.tokens.clone()).map(emit::name).unwrap_or_default();
            let masked = read(job, used, policy, position, &operand, row_of(job, reference, used))?;
            edits.mask(reference.tokens.clone(), ["(", masked.as_str(), ")"].concat());
            if let (Some(at), Some(column)) = (labelled_by(job.tokens, &reference.tokens), last_name(job, reference)) {
                edits.restore(at, format!("AS {}", quote_ident(column)));
            }
            let item = job.item_around(reference.tokens.start);
            if let Some((at, text)) = item.and_then(restored_name) {
                edits.restore(at, text);
            }
        }
    }
    returning_stars(job, edits)?;
    guards(job, edits)?;
    stored::inserted(job, edits)
}

fn last_name<'a>(job: &Job<'a>, reference: &Reference) -> Option<&'a str> {
    reference.tokens.end.checked_sub(1).and_then(|at| job.tokens.get(at)).map(Token::name)
}

/// How far behind its beginning a list of XML elements is looked at, in tokens: each reference looks.
const MAX_LIST: usize = 500;

/// The token before which a label goes, where an element or attribute of XML has its name from a reference: `xmlforest(a.b)`.
fn labelled_by(tokens: &[Token], reference: &Range<usize>) -> Option<usize> {
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    let (mut start, mut end) = (reference.start, reference.end);
    let names = |open: usize| {
        let word = open.checked_sub(1).and_then(|at| tokens.get(at));
        word.is_some_and(|word| word.is_word("xmlforest") || word.is_word("xmlattributes"))
    };
    // Brackets around it.
    while start.checked_sub(1).is_some_and(|open| kind(open) == Some(Kind::Open) && !names(open))
        && kind(end) == Some(Kind::Close)
    {
        (start, end) = (start - 1, end + 1);
    }
    if !matches!(kind(end), Some(Kind::Comma | Kind::Close)) {
        return None;
    }
    let before = start.checked_sub(1).filter(|at| matches!(kind(*at), Some(Kind::Comma | Kind::Open)))?;
    let mut depth = 0_usize;
    for at in (0..=before).rev().take(MAX_LIST) {
        match tokens.get(at)?.kind.nesting() {
            Nesting::Closes => depth += 1,
            Nesting::Opens if depth == 0 => return names(at).then_some(end),
            Nesting::Opens => depth -= 1,
            Nesting::Stays => {}
        }
    }
    None
}

/// The name of the row that a reference reads: the target, or OLD or NEW by whichever name RETURNING gives them.
pub fn row_of<'a>(job: &Job<'a>, reference: &Reference, used: &'a RelationUse) -> &'a str {
    let qualifier = reference.tokens.end.checked_sub(3).filter(|at| *at >= reference.tokens.start);
    qualifier.and_then(|at| job.tokens.get(at)).map_or(&used.alias, |token| token.name())
}

/// The masked value of a hidden column in a row of the target.
fn read(
    job: &Job<'_>,
    used: &RelationUse,
    policy: &RelationPolicy,
    position: usize,
    operand: &str,
    row: &str,
) -> Result<String, Refusal> {
    let data = relation(job, used)?;
    let missing = || Refusal::new(RefusalCode::VerifyFailed, "a column of a target is not in the catalog");
    let column = data.columns.get(position).ok_or_else(missing)?;
    check_captures(policy, position, row)?;
    let name = quote_ident(row);
    let masked = seen(policy, position, column, operand, Row { name: &name, few: job.few });
    let strict = match treatment(policy, position) {
        Treatment::Clear | Treatment::Withhold | Treatment::Refuse => true,
        Treatment::Mask(mask) => mask.strict,
    };
    // What was inserted has no OLD and what was deleted no NEW, and no mask may make a value of that.
    let absent = row != used.alias && !strict;
    Ok(if absent {
        format!("CASE WHEN {} THEN {} ELSE {masked} END", is_absent(data, &name), withheld(column))
    } else {
        masked
    })
}

/// Whether there is no OLD or NEW of this name. Views have no system columns: of them the whole row is looked at.
fn is_absent(data: &Relation, name: &str) -> String {
    let asks = if data.kind == RelationKind::View { ".* IS NOT DISTINCT FROM NULL" } else { ".tableoid IS NULL" };
    [name, asks].concat()
}

fn check_captures(policy: &RelationPolicy, position: usize, row: &str) -> Result<(), Refusal> {
    match treatment(policy, position) {
        Treatment::Mask(mask) => check_capture(&mask.sql, row),
        Treatment::Clear | Treatment::Withhold | Treatment::Refuse => Ok(()),
    }
}

/// `RETURNING *` and `RETURNING t.*`.
fn returning_stars(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    for star in &job.bound.stars {
        if !shows_target(job, star) {
            continue;
        }
        if !star.complete {
            return Err(Refusal::new(RefusalCode::Unsupported, "this use of * is not supported here")
                .with_hint("Name the columns."));
        }
        edits.replace(star.tokens.clone(), returned_star(job, star)?, true);
    }
    Ok(())
}

/// Whether a star shows the row of a protected target.
pub fn shows_target(job: &Job<'_>, star: &Star) -> bool {
    star.relations.iter().any(|id| {
        let used = job.bound.relations.get(*id).filter(|used| used.role != Role::Source);
        used.is_some_and(|used| protected(job.role, used).is_some())
    })
}

/// The columns of a star with those of protected targets masked.
///
/// # Errors
/// When the catalog does not know a column, or a mask cannot be written for this name of the row.
pub fn returned_star(job: &Job<'_>, star: &Star) -> Result<String, Refusal> {
    let mut columns = Vec::new();
    for column in &star.columns {
        let reference = match &column.qualifier {
            Some(qualifier) => [&*quote_ident(qualifier), ".", &*quote_ident(&column.name)].concat(),
            None => quote_ident(&column.name).into_owned(),
        };
        let origin = column.origin.and_then(|(id, position)| {
            let used = job.bound.relations.get(id).filter(|used| used.role != Role::Source)?;
            let policy = protected(job.role, used)?;
            hidden(policy, position)?;
            let row = column.qualifier.as_deref().unwrap_or(&used.alias);
            Some(read(job, used, policy, position, &reference, row))
        });
        columns.push(match origin.transpose()? {
            Some(masked) => [masked.as_str(), " AS ", &*quote_ident(&column.name)].concat(),
            None => reference,
        });
    }
    Ok(columns.join(", "))
}

/// A masked value that comes back unchanged changes nothing, and a row of which something is hidden stays with its subject.
fn guards(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    for assigned in job.bound.assigned.iter().filter(|assigned| assigned.update && !assigned.default) {
        let (Some(used), Some(range)) = (job.bound.relations.get(assigned.relation), &assigned.value) else { continue };
        let data = relation(job, used)?;
        let Some(column) = data.columns.get(assigned.column) else { continue };
        let assigning = Value::new(job, column, range, true);
        let value = &assigning.text;
        let current = [&*quote_ident(&used.alias), ".", &*quote_ident(&column.name)].concat();
        let stored = stored::refusing(job, used, assigned.column, value)?;
        let decided = (value.as_str(), stored.as_deref().unwrap_or(value));
        let stored = deciding::failing(job, used, assigned.column, (column, &current), decided)?.or(stored);
        let kept =
            kept(job, used, assigned.column, column, (value, stored.as_deref()), &current)?.or_else(|| stored.clone());
        let open = job.role.leads(used.oid, assigned.column).and_then(|leading| leading.open.as_ref());
        let text = match (open.filter(|_| !job.role.exempt), kept) {
            (None, None) => continue,
            (None, Some(kept)) => kept,
            (Some(open), kept) => {
                check_capture(open, &used.alias)?;
                let open = open.fill_row("", Row { name: &quote_ident(&used.alias), few: job.few });
                format!("CASE WHEN {open} THEN {} ELSE {current} END", kept.as_ref().unwrap_or(value))
            }
        };
        edits.wrap(range.clone(), assigning.stored(text));
    }
    Ok(())
}

/// What is stored where the mask may be written back: the current value, if `value` is its mask.
fn kept(
    job: &Job<'_>,
    used: &RelationUse,
    position: usize,
    column: &Column,
    (value, stored): (&str, Option<&str>),
    current: &str,
) -> Result<Option<String>, Refusal> {
    let Some(policy) = protected(job.role, used) else { return Ok(None) };
    let Some(rule) = hidden(policy, position) else { return Ok(None) };
    let keeps = match (rule.write_back, &rule.treatment) {
        (WriteBack::Keep, Treatment::Mask(_) | Treatment::Withhold) => true,
        // What is never read cannot be written back; Refuse was judged before.
        (WriteBack::Keep, Treatment::Refuse | Treatment::Clear) | (WriteBack::Allow | WriteBack::Refuse, _) => false,
    };
    if !keeps {
        return Ok(None);
    }
    compares_built_in(job, used, column)?;
    check_captures(policy, position, &used.alias)?;
    let mask = seen(policy, position, column, current, Row { name: &quote_ident(&used.alias), few: job.few });
    // Who sees the value may write another one that is equal to it: `3.00` in the place of `3.0`.
    let shown = rule.gate.as_ref().is_some_and(|gate| gate.clear);
    let coarse = shown && !compares_all(column);
    let compare = if lacks_equality(column) || coarse { "::pg_catalog.text" } else { "" };
    // Forms make an empty text of the NULL that a hidden cell reads as.
    let reads_null = rule.gate.is_some() || rule.treatment == Treatment::Withhold;
    let emptied = if reads_null && is_text(column) {
        [" OR ((", mask.as_str(), ") IS NULL AND pg_catalog.length(", value, ") ", job.equals(), " 0)"].concat()
    } else {
        String::new()
    };
    let otherwise = stored.unwrap_or(value);
    let parts =
        ["CASE WHEN ", value, compare, " IS NOT DISTINCT FROM (", mask.as_str(), ")", compare, emptied.as_str()];
    Ok(Some([parts.as_slice(), &[" THEN ", current, " ELSE ", otherwise, " END"]].concat().concat()))
}

/// Whether values of a column's type that are equal are the same.
fn compares_all(column: &Column) -> bool {
    const TYPES: &[&str] = &[
        "bool",
        "bytea",
        "date",
        "int2",
        "int4",
        "int8",
        "text",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "varchar",
    ];
    column.type_kind == 'e' || (column.collation.is_none() && TYPES.contains(&column.type_name.as_str()))
}
