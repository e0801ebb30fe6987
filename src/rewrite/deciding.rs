//! Writes that could show a role more: of relations that its row scopes and the records of subjects are read from
//! ([`Deciding`]). A statement that adds or takes away such rows is refused. An UPDATE of a column that decides goes through where it
//! leaves the value as it is, for applications save whole rows; another value makes it fail on the server, by a cast whose
//! text pgscrim knows again on its way back ([`SIGN`]).

use super::{
    Job,
    names::{hidden, lacks_equality, protected, relation},
    scope::check_capture,
    tokens::compares_built_in,
};
use crate::{
    bind::{Assigned, RelationUse, Role},
    catalog::Column,
    error::{Refusal, RefusalCode},
    names::{quote_ident, quote_literal},
    policy::{ColumnPolicy, Deciding, Treatment, WriteBack, compiled::Row},
};

/// Begins the text that cannot be cast; the numbers of the table and the column follow, `16384.3`.
pub const SIGN: &str = "pgs_decides ";

/// What a client is told whose write could show it more.
pub fn shows_more(what: &str, deciding: Option<&Deciding>) -> Refusal {
    let refusal = Refusal::new(RefusalCode::ShowsMore, format!("{what} could show this role more than its rules say"))
        .with_hint(
            "Row scopes or records of subjects are read from there. Leave it out, or let another role write it.",
        );
    match deciding {
        Some(deciding) => refusal.with_rule(&*deciding.rule),
        None => refusal,
    }
}

/// Refuses what adds or takes away rows that decide, and assignments of which it cannot be told whether they change something.
pub(super) fn check(job: &Job<'_>) -> Result<(), Refusal> {
    for (id, used) in job.bound.relations.iter().enumerate() {
        let Some(deciding) = decides(job, used) else { continue };
        let what = match used.role {
            Role::Insert if deciding.inserts => "a row that is inserted",
            Role::Delete if deciding.deletes => "a row that is deleted",
            Role::Merge => "MERGE",
            Role::Insert | Role::Delete | Role::Update | Role::Source => {
                for assigned in job.bound.assigned.iter().filter(|one| one.relation == id && one.update) {
                    told(job, assigned, used, deciding)?;
                }
                continue;
            }
        };
        return Err(refusal(job, used, deciding, what, None)?);
    }
    Ok(())
}

fn told(job: &Job<'_>, assigned: &Assigned, used: &RelationUse, deciding: &Deciding) -> Result<(), Refusal> {
    if !deciding.columns.contains_key(&assigned.column) {
        return Ok(());
    }
    // Whether the value is the stored one would tell what the role does not see; a value that is its mask is kept.
    let untold = protected(job.role, used).and_then(|policy| hidden(policy, assigned.column));
    let untold = untold.is_some_and(|rule| !keeps(rule));
    if assigned.partial || assigned.default || assigned.value.is_none() || untold {
        return Err(refusal(job, used, deciding, "another value", Some(assigned.column))?);
    }
    Ok(())
}

fn keeps(rule: &ColumnPolicy) -> bool {
    rule.write_back == WriteBack::Keep && matches!(rule.treatment, Treatment::Mask(_) | Treatment::Withhold)
}

fn decides<'a>(job: &Job<'a>, used: &RelationUse) -> Option<&'a Deciding> {
    job.role.deciding.get(&used.oid).filter(|_| !job.role.exempt)
}

fn refusal(
    job: &Job<'_>,
    used: &RelationUse,
    deciding: &Deciding,
    what: &str,
    column: Option<usize>,
) -> Result<Refusal, Refusal> {
    let data = relation(job, used)?;
    let column = column.and_then(|at| data.columns.get(at));
    let place = match column {
        Some(column) => format!("{what} of column {} of {}", column.name, data.name),
        None => format!("{what} of {}", data.name),
    };
    let refusal = shows_more(&place, Some(deciding));
    Ok(match job.tokens.get(used.name.start) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    })
}

/// What an assignment of `value` to a column that decides is to be: itself where it may, else an error; none where the column
/// decides nothing. For a column that the role does not see, `value` is one that is not its mask.
pub(super) fn failing(
    job: &Job<'_>,
    used: &RelationUse,
    position: usize,
    (column, current): (&Column, &str),
    (compared, value): (&str, &str),
) -> Result<Option<String>, Refusal> {
    let Some(deciding) = decides(job, used) else { return Ok(None) };
    let Some(counts) = deciding.columns.get(&position) else { return Ok(None) };
    let data = relation(job, used)?;
    // concat is not folded when the statement is planned, so that nothing fails but what is evaluated.
    let failure = format!(
        "CAST(CAST(CAST(pg_catalog.concat({}) AS pg_catalog.int4) AS pg_catalog.text) AS {})",
        quote_literal(&format!("{SIGN}{}.{}", data.oid.0, column.attnum.0)),
        column.type_sql_plain
    );
    let unseen = protected(job.role, used).and_then(|policy| hidden(policy, position)).is_some();
    let compare = if lacks_equality(column) { "::pg_catalog.text" } else { "" };
    let mut may = Vec::new();
    if !unseen {
        compares_built_in(job, used, column)?;
        may.push(format!("{compared}{compare} IS NOT DISTINCT FROM {current}{compare}"));
    }
    if let Some(counts) = counts {
        check_capture(counts, &used.alias)?;
        let row = Row { name: &quote_ident(&used.alias), few: job.few };
        may.push(format!("({}) IS NOT TRUE", counts.fill_row("", row)));
    }
    Ok(Some(if may.is_empty() {
        failure
    } else {
        format!("CASE WHEN {} THEN {value} ELSE {failure} END", may.join(" OR "))
    }))
}
