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
    let wanted = match &restricted {
        Ok(_) => Arc::default(),
        Err(_) => pipeline::exempt(text, run).plan.statements,
    };
    let rewritten = |number: usize, planned: &PlannedStatement| match &restricted {
        Ok(restricted) => {
            let statement = restricted.plan.statements.get(number)?;
            let makes = match &statement.effect {
                Effect::Temporary(made) => made.clone(),
                Effect::None
                | Effect::Prepare { .. }
                | Effect::Execute(_)
                | Effect::Deallocate(_)
                | Effect::DeclareCursor { .. }
                | Effect::Fetch(_)
                | Effect::CloseCursor(_)
                | Effect::SearchPath
                | Effect::Purpose(_)
                | Effect::PurposeGiven(_)
                | Effect::DiscardAll
                | Effect::Catalog => None,
            };
            let Access { text, relations, oids, fills, decision, .. } = planned.access.clone();
            let observed = Some(Observed { decision: statement.access.decision, refusal: None, makes });
            // Limits and grants count what the statement would have had.
            Some(Access { text, relations, oids, decision, fills, observed, ..statement.access.clone() })
        }
        // The message as a whole would have been refused: nothing of it would have been had.
        Err(refused) => {
            let columns = wanted.get(number).map(|wanted| wanted.access.columns.clone()).unwrap_or_default();
            let rules = refused.refusal.rule.as_deref().map(Arc::from).into_iter().collect();
            let observed =
                Some(Observed { decision: "refuse", refusal: Some(refused.refusal.code.code()), makes: None });
            let Access { text, relations, oids, fills, decision, .. } = planned.access.clone();
            Some(Access { text, relations, oids, columns, decision, rules, fills, observed, ..Access::default() })
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
