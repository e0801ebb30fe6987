//! Stage `engine`: the whole pipeline as one pure function, `plan(text, &QueryContext, &Inputs) -> Result<Plan, Refusal>`.
//!
//! tokens → parse → bind → account for tokens → decide → rewrite on tokens → emit → verify. Invariant: only this
//! module makes a [`Permit`], and the session sends nothing upstream that is not inside one.

mod access;
mod cache;
mod columns;
mod command;
mod copy;
mod enclosed;
mod foresight;
mod guard;
mod observe;
mod pipeline;
pub mod plan;
mod recognise;
mod tables;
mod template;
mod temporary;
mod verify;

pub use access::AND_EXACT;
pub use cache::{Answer, Found, LONGEST_KEPT, PlanCache};
pub use foresight::{Foresight, may_undo};
pub use plan::{
    Access, ColumnAccess, Effect, Inputs, MadeTable, Observed, OutputColumn, Permit, Plan, PlannedStatement, Protocol,
    QueryContext, Refused, Stored, Usage,
};

use crate::error::{Refusal, RefusalCode};

/// Stack, in bytes, on which any text may be judged: nesting is limited by the engine, and deep nesting needs room. Texts up to
/// [`LONGEST_KEPT`] need no more than a thread has.
pub const LONG_STACK: usize = 256 * 1024 * 1024;

/// Judges one text for one context.
///
/// # Errors
/// A [`Refused`] when the text may not be sent; nothing of it may then reach the server.
pub fn plan(text: &str, context: &QueryContext, inputs: &Inputs) -> Result<Plan, Box<Refused>> {
    judge(text, context, inputs).map(|judged| judged.plan)
}

/// As [`plan`], with a template for texts of the same shape.
fn judge(text: &str, context: &QueryContext, inputs: &Inputs) -> Result<pipeline::Judged, Box<Refused>> {
    let Some(role) = inputs.policy.role(context.role) else {
        return Err(Refusal::new(RefusalCode::NotReady, "the connection's policy role is gone").into());
    };
    let run = pipeline::Run { inputs, role, path: &context.search_path, parameters: context.protocol.parameters() };
    if !role.exempt {
        return pipeline::restricted(text, context, &run).map_err(|refused| explained(refused, inputs.policy.reduced));
    }
    let judged = pipeline::exempt(text, &run);
    Ok(match &role.observed {
        Some(restricted) => observe::observe(judged, text, context, &pipeline::Run { role: restricted, ..run }),
        None => judged,
    })
}

/// A relation that is left out because the rules no longer fit the schema is unknown here, and its user should hear why.
fn explained(mut refused: Box<Refused>, reduced: bool) -> Box<Refused> {
    let refusal = &mut refused.refusal;
    if reduced && refusal.code == RefusalCode::UnknownRelation {
        refusal.message.push_str(", or the rules no longer fit it");
        "The schema has changed so that the rules do not fit; what changed cannot be used until they do. The log of pgscrim, and \
         `pgscrim check`, say what does not fit."
            .clone_into(&mut refusal.hint);
    }
    refused
}
