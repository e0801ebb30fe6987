//! Rows by way of which others lead to their subject ([`crate::policy::Leading::between`]). A statement that takes such rows away and puts rows
//! there could put one in the place of another: PostgreSQL looks at foreign keys when the statement is at its end, and finds a row again. What
//! refers to it would then be about another subject. So such a statement is refused; one that does the one or the other is not.

use super::{Job, check::at, names::relation};
use crate::{
    bind::{RelationUse, Role},
    error::{Refusal, RefusalCode},
    sql::Token,
};

/// Refuses a statement that could replace a row by another one.
pub(super) fn check(job: &Job<'_>) -> Result<(), Refusal> {
    let between = |used: &&RelationUse| job.role.leading.get(&used.oid).is_some_and(|leading| leading.between);
    let written =
        || job.bound.relations.iter().enumerate().filter(|(_, used)| used.role != Role::Source && between(used));
    let takes = |used: &RelationUse| match used.role {
        Role::Delete => true,
        Role::Merge => acts(job.tokens, "delete"),
        Role::Insert | Role::Update | Role::Source => false,
    };
    let Some((_, from)) = written().find(|(_, used)| takes(used)) else { return Ok(()) };
    let ties = |id: usize, used: &RelationUse| {
        let mut assigned = job.bound.assigned.iter().filter(|assigned| assigned.relation == id && assigned.update);
        assigned.any(|assigned| job.role.leads(used.oid, assigned.column).is_some())
    };
    let puts = |(id, used): &(usize, &RelationUse)| match used.role {
        Role::Insert => true,
        Role::Merge => acts(job.tokens, "insert") || ties(*id, used),
        Role::Update => ties(*id, used),
        Role::Delete | Role::Source => false,
    };
    let Some((_, to)) = written().find(puts) else { return Ok(()) };
    let name = |used| relation(job, used).map(|data| data.name.clone());
    let message = format!("rows of {} are deleted and rows of {} written in one statement", name(from)?, name(to)?);
    let refusal = Refusal::new(RefusalCode::LeadsElsewhere, message).with_hint(
        "Rows of other tables lead to their subject by way of these rows, and would be about another one. Send two statements.",
    );
    Err(at(job, refusal, from.name.start))
}

/// Whether an action of MERGE is of this kind.
fn acts(tokens: &[Token], action: &str) -> bool {
    tokens.windows(2).any(|pair| matches!(pair, [then, word] if then.is_word("then") && word.is_word(action)))
}
