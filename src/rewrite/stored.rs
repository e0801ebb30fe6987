//! Masks as values: an application that has read a mask, and would store it as if it were somebody's data. Where the rules refuse that
//! (`store_masks`), each value of a column that the role sees masked is looked at by the server, whatever expression it comes from, and
//! one that looks like the mask makes the statement fail. The failure is a cast whose text pgscrim knows again on its way back
//! ([`SIGN`]), and turns into its own error; nothing of the value is in it.

use super::{
    Edits, Job,
    assigned::{Value, is_volatile},
    check::at,
    names::{hidden, protected, relation},
};
use crate::{
    bind::RelationUse,
    error::{Refusal, RefusalCode},
    names::quote_literal,
};

/// Begins the text that cannot be cast; the numbers of the table and the column follow, `16384.3`.
pub const SIGN: &str = "pgs_stored_mask ";

/// Guards what is inserted.
pub(super) fn inserted(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    for assigned in job.bound.assigned.iter().filter(|assigned| !assigned.update && !assigned.partial) {
        let Some(used) = job.bound.relations.get(assigned.relation) else { continue };
        for range in assigned.rows.iter().flatten() {
            let alone = if range.len() == 1 { job.tokens.get(range.start) } else { None };
            if alone.is_some_and(|token| token.is_word("default") || token.is_word("null")) {
                continue;
            }
            let data = relation(job, used)?;
            let Some(column) = data.columns.get(assigned.column) else { continue };
            let value = Value::new(job, column, range, false);
            if !value.is_computed_once() && is_volatile(job, range) && is_refused(job, used, assigned.column) {
                let refusal = Refusal::new(RefusalCode::Unsupported, "what is stored would be computed more than once");
                let hint = "The rules refuse masks as values (store_masks), so each value is looked at. Compute it in a sub-select of FROM, or write VALUES.";
                return Err(at(job, refusal.with_hint(hint), range.start));
            }
            if let Some(text) = refusing(job, used, assigned.column, &value.text)? {
                edits.wrap(range.clone(), value.stored(text));
            }
        }
    }
    Ok(())
}

fn is_refused(job: &Job<'_>, used: &RelationUse, position: usize) -> bool {
    let rule = protected(job.role, used).and_then(|policy| hidden(policy, position));
    rule.is_some_and(|rule| rule.stored_mask.is_some())
}

/// `value` in SQL that fails where it looks like the mask of the column; none where the rules let it be stored.
pub(super) fn refusing(
    job: &Job<'_>,
    used: &RelationUse,
    position: usize,
    value: &str,
) -> Result<Option<String>, Refusal> {
    let rule = protected(job.role, used).and_then(|policy| hidden(policy, position));
    let Some(looks) = rule.and_then(|rule| rule.stored_mask.as_ref()) else { return Ok(None) };
    let data = relation(job, used)?;
    let Some(column) = data.columns.get(position) else { return Ok(None) };
    // concat is not folded when the statement is planned, so that nothing fails but what is evaluated.
    let failure = format!(
        "CAST(CAST(CAST(pg_catalog.concat({}) AS pg_catalog.int4) AS pg_catalog.text) AS {})",
        quote_literal(&format!("{SIGN}{}.{}", data.oid.0, column.attnum.0)),
        column.type_sql_plain
    );
    Ok(Some(format!("CASE WHEN {} THEN {failure} ELSE {value} END", looks.fill(value))))
}
