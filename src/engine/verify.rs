//! The last step: what was printed is read again, as if a stranger had written it.
//!
//! The emitted text is tokenised, parsed and bound without a search path. Protected relations may be named only inside
//! our own derived tables, hidden columns of write targets, and of sources that stay tables, only inside our own masks and guards; parameters and output
//! names are those of the client's statement. The guards stand that its writes need. Anything else is a defect of pgscrim, and the statement is refused.
//!
//! Most statements need no second parse: their text is recognised token by token ([`super::recognise`], which says why
//! that is no weaker). With debug assertions, so in every test, all are parsed and bound again as well.

use std::{cmp::Reverse, collections::BTreeSet, ops::Range};

use super::{enclosed, guard, pipeline::Run, recognise::recognises};
use crate::{
    bind::{Bound, Clause, Reference, RelationUse, Role, Star, bind_own},
    error::{Refusal, RefusalCode},
    names::quote_ident,
    policy::{RelationPolicy, Scope, Treatment, compiled::Row},
    rewrite::{Job, Printed, Trusted, protected, reads_few, scope_clause, too_long, treatment, updates_on_conflict},
    sql::{Kind, Token, lex, parse},
};

/// Checks a printed statement against the client's: that it is one statement, and what the document above says.
pub(super) fn verify(printed: &Printed, job: &Job<'_>, run: &Run<'_>) -> Result<(), Refusal> {
    if !guard::stand(printed, job) {
        return Err(failed("a guard of what is written"));
    }
    if !enclosed::stand(printed, job) {
        return Err(failed("a condition on the rows that the role may see"));
    }
    if recognises(printed, job, run) && !cfg!(debug_assertions) {
        return Ok(());
    }
    verify_again(printed, job.tokens, job.bound, run)
}

/// Checks a printed statement by parsing and binding it again.
pub(super) fn verify_again(printed: &Printed, client: &[Token], bound: &Bound, run: &Run<'_>) -> Result<(), Refusal> {
    let tokens = lex::lex_sent(&printed.text).map_err(|refusal| {
        let long = matches!(refusal.code, RefusalCode::TextTooLong | RefusalCode::TooManyTokens);
        if long { too_long(refusal.code) } else { failed("tokens") }
    })?;
    let statement = parse::parse_statement(&tokens, 0).map_err(|_| failed("syntax"))?;
    let own = bind_own(&statement, &tokens, &run.inputs.catalog).map_err(|refusal| failed(&refusal.message))?;
    if parameters(client) != parameters(&tokens) {
        return Err(failed("parameters"));
    }
    if bound.outputs.len() != own.outputs.len() {
        return Err(failed("number of columns"));
    }
    for (before, after) in bound.outputs.iter().zip(&own.outputs) {
        if before.name.is_some() && after.name.is_some() && before.name != after.name {
            return Err(failed("column names"));
        }
    }
    let parts = parts(printed);
    let trusted = |range: &Range<usize>| {
        let (Some(first), Some(last)) =
            (tokens.get(range.start), range.end.checked_sub(1).and_then(|at| tokens.get(at)))
        else {
            return false;
        };
        let (start, end) = (first.start as usize, last.end as usize);
        // The innermost part that it stands in.
        let begun = parts.partition_point(|part| part.bytes.start <= start);
        let begun = parts.get(..begun).unwrap_or(&[]);
        let part = begun.iter().rev().take_while(|part| part.furthest >= end).find(|part| end <= part.bytes.end);
        part.is_some_and(|part| part.ours)
    };
    let references = own.references_by_relation();
    // No mask: the reference as the client wrote it.
    let bare = |reference: &Reference| {
        let (first, last) = (tokens.get(reference.tokens.start), tokens.get(reference.tokens.end.saturating_sub(1)));
        let bytes = first.zip(last).map(|(first, last)| first.start as usize..last.end as usize);
        bytes.is_some_and(|bytes| {
            let from = parts.partition_point(|part| part.bytes.start < bytes.start);
            let here = parts.iter().skip(from).take_while(|part| part.bytes.start == bytes.start);
            here.into_iter().any(|part| part.ours && part.bytes == bytes)
        })
    };
    let hidden_columns = |id, policy| hidden_columns(&own, id, &references, policy, &trusted, &bare).map_err(failed);
    for (id, used) in bound.relations.iter().enumerate() {
        if let Some(scope) = protected(run.role, used).and_then(|policy| policy.scope.as_ref())
            && !keeps(printed, scope, (id, used), (client, bound))
        {
            return Err(failed("rows that the role may see"));
        }
    }
    for (id, used) in own.relations.iter().enumerate() {
        let Some(policy) = protected(run.role, used) else { continue };
        match used.role {
            Role::Source => {
                if trusted(&used.name) {
                    continue;
                }
                // It stays a table: then every use of a hidden column stands in a mask of ours.
                let merged = used
                    .marks
                    .iter()
                    .enumerate()
                    .any(|(position, mark)| mark.merged && *treatment(policy, position) != Treatment::Clear);
                if policy.scope.is_some() || used.whole_row.is_some() || used.entangled || merged {
                    return Err(failed("a protected relation"));
                }
                hidden_columns(id, policy)?;
            }
            Role::Update | Role::Delete | Role::Insert | Role::Merge => {
                if used.whole_row.is_some() {
                    return Err(failed("a whole row"));
                }
                hidden_columns(id, policy)?;
            }
        }
    }
    Ok(())
}

/// A part of the text printed: ours, or the client's inside of ours.
struct Part {
    bytes: Range<usize>,
    ours: bool,
    /// The furthest end of this one and those before it.
    furthest: usize,
}

/// The parts in the order of the text, each behind those that it stands in.
fn parts(printed: &Printed) -> Vec<Part> {
    let ours = printed.trusted.iter().chain(&printed.inside).map(|ours| (&ours.bytes, true));
    let all = ours.chain(printed.wrapped.iter().map(|bytes| (bytes, false)));
    let mut parts: Vec<Part> = all.map(|(bytes, ours)| Part { bytes: bytes.clone(), ours, furthest: 0 }).collect();
    // What is ours and is all of what stands inside a part of the client's comes behind that.
    parts.sort_by_key(|part| (part.bytes.start, Reverse(part.bytes.end), part.ours));
    let mut furthest = 0;
    for part in &mut parts {
        furthest = furthest.max(part.bytes.end);
        part.furthest = furthest;
    }
    parts
}

fn failed(what: &str) -> Refusal {
    Refusal::new(RefusalCode::VerifyFailed, format!("the rewritten statement failed its check: {what}"))
        .with_hint("This is a defect of pgscrim; please report the statement's form.")
}

/// Demands that what refers to a hidden column of a relation is ours.
fn hidden_columns(
    own: &Bound,
    id: usize,
    references: &[Vec<usize>],
    policy: &RelationPolicy,
    trusted: &impl Fn(&Range<usize>) -> bool,
    bare: &impl Fn(&Reference) -> bool,
) -> Result<(), &'static str> {
    let Some(used) = own.relations.get(id) else { return Err("a protected relation") };
    let numbers = references.get(id).map_or(&[][..], Vec::as_slice);
    for reference in numbers.iter().filter_map(|number| own.references.get(*number)) {
        let hidden = reference.column.is_none_or(|position| *treatment(policy, position) != Treatment::Clear);
        let system = reference.column.is_none() && used.whole_row.is_none();
        // What ON CONFLICT names is never read.
        let named = reference.clause == Clause::Conflict && used.role == Role::Insert;
        if hidden && !system && !named && !trusted(&reference.tokens) {
            return Err("a hidden column");
        }
        // A stored value is compared with constants, or stands in text of ours.
        if hidden && !system && !named && reference.compared.is_none() && bare(reference) {
            return Err("a stored value");
        }
    }
    let shows = |star: &&Star| star.relations.contains(&id) && !(star.ignored && used.role == Role::Source);
    if own.stars.iter().filter(shows).any(|star| !trusted(&star.tokens)) {
        return Err("a star");
    }
    Ok(())
}

/// Whether text of ours keeps a relation of the client's statement to a scope.
fn keeps(
    printed: &Printed,
    scope: &Scope,
    (id, used): (usize, &RelationUse),
    (client, bound): (&[Token], &Bound),
) -> bool {
    let few = reads_few(client);
    let condition = match used.role {
        Role::Source => scope_clause(scope, few, false),
        // Nothing of the rows that are there is read or changed.
        Role::Insert if !updates_on_conflict(bound, id) => return true,
        Role::Update | Role::Delete | Role::Insert => {
            scope.sql.fill_row("", Row { name: &quote_ident(&used.alias), few })
        }
        Role::Merge => return false,
    };
    // A source by the derived table in its place, a target by what stands in its condition.
    let place = |ours: &&Trusted| used.role != Role::Source || ours.tokens == used.whole;
    let ours = printed.trusted.iter().chain(&printed.inside);
    let own = ours.filter(place).filter_map(|ours| printed.text.get(ours.bytes.clone()));
    own.into_iter().any(|text| text.contains(&condition))
}

fn parameters(tokens: &[Token]) -> BTreeSet<&str> {
    tokens.iter().filter(|token| token.kind == Kind::Parameter).map(Token::name).collect()
}
