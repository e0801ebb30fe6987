//! Observed roles: their bytes go on as those of an exempt role do, and every statement says what would have become of it.
//! In: the plan for the exempt role. Out: the same plan with what the rules would have said.

use std::sync::Arc;

use super::{
    pipeline::{self, Judged, Run},
    plan::{Access, Effect, Observed, PlannedStatement, QueryContext},
};

/// Adds to `judged` what `run.role`, which is restricted, would have got.
pub(super) fn observe(judged: Judged, text: &str, context: &QueryContext, run: &Run<'_>) -> Judged {
    let mut plan = judged.plan;
    let restricted = pipeline::restricted(text, context, run);
    let rewritten = |number: usize, planned: &PlannedStatement| match &restricted {
        Ok(restricted) => {
            let statement = restricted.plan.statements.get(number)?;
            let makes = match &statement.effect {
                Effect::Temporary(made) => made.clone(),
                Effect::None
                | Effect::Prepare(..)
                | Effect::Execute(_)
                | Effect::Deallocate(_)
                | Effect::DeclareCursor(_)
                | Effect::Fetch(_)
                | Effect::CloseCursor(_)
                | Effect::SearchPath
                | Effect::DiscardAll
                | Effect::Catalog => None,
            };
            let Access { columns, rules, masked_outputs, keeps_masks, decision, .. } = statement.access.clone();
            let observed = Some(Observed { decision, refusal: None, makes });
            Some(Access { columns, rules, keeps_masks, observed, masked_outputs, ..planned.access.clone() })
        }
        // The message as a whole would have been refused.
        Err(refused) => {
            let mut rules = planned.access.rules.clone();
            rules.extend(refused.refusal.rule.as_deref().map(Arc::from));
            let observed =
                Some(Observed { decision: "refuse", refusal: Some(refused.refusal.code.code()), makes: None });
            Some(Access { rules, observed, ..planned.access.clone() })
        }
    };
    let statements = plan.statements.iter().enumerate().map(|(number, planned)| match rewritten(number, planned) {
        Some(access) => Arc::new(PlannedStatement { access, ..PlannedStatement::clone(planned) }),
        None => Arc::clone(planned),
    });
    plan.statements = statements.collect();
    // Other literals may be judged otherwise.
    Judged { plan, template: None }
}
