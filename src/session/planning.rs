//! Stage `session`: asks the engine. In: a text and the state of the session. Out: an [`Origin`] that may be sent, or a
//! refusal. Invariant: what is answered was judged for the role and search path of this session against the inputs in
//! force now; a login that the rules no longer treat alike ends the session.

use std::sync::{Arc, LazyLock};

use tokio::sync::oneshot;

use super::{
    relay::{Relay, Stop},
    temporary::Overlay,
};
use crate::{
    audit::event::Basis,
    engine::{
        self, Access, Answer, Effect, Found, Inputs, LONG_STACK, LONGEST_KEPT, Permit, Plan, PlanCache,
        PlannedStatement, Protocol, QueryContext, Refused,
    },
    error::{Refusal, RefusalCode},
    metrics::{CacheResult, PlanStage},
    names::Oid,
    policy::RoleId,
    reload::Known,
    wire::frontend,
};

/// Longest text that is judged on the thread of the session; others of the thread wait for that.
const JUDGED_AT_ONCE: usize = 1024;

/// What a judgement depended on.
#[derive(Debug)]
pub(super) struct Stamp {
    pub inputs: Arc<Inputs>,
    pub basis: Arc<Basis>,
    pub role: RoleId,
    /// The purpose that is acted for.
    pub purpose: Arc<str>,
    pub path: Arc<[String]>,
    /// The moment that the catalog is a picture of.
    pub known: Option<Arc<Known>>,
    /// The session's temporary tables, if there are any.
    pub overlay: Option<Overlay>,
}

impl Stamp {
    /// Whether a client may declare parameters of these types, as Parse has them.
    pub(super) fn takes_parameters(&self, types: &[u8]) -> bool {
        frontend::types(types).all(|oid| self.inputs.takes_parameter(self.role, Oid(oid)))
    }
}

/// A judged text.
#[derive(Debug)]
pub(super) struct Origin {
    /// The client's text; empty for exempt roles, which need no second judgement.
    pub text: Arc<str>,
    /// None for what was not understood, or not asked.
    plan: Option<Arc<Plan>>,
    exempt: bool,
    pub protocol: Protocol,
    pub stamp: Arc<Stamp>,
}

impl Origin {
    /// What may be sent; none for an exempt role, whose own bytes are.
    pub fn permit(&self) -> Option<&Permit> {
        self.plan.as_ref().filter(|_| !self.exempt).map(|plan| &plan.permit)
    }

    /// Bytes of the texts that it keeps.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.plan.as_ref().map_or(0, |plan| plan.permit.text().len())
    }

    /// The statements in the text, in order.
    pub fn statements(&self) -> &[Arc<PlannedStatement>] {
        match &self.plan {
            // What was not understood was executed all the same, and is recorded.
            Some(plan) if plan.analysed || !plan.statements.is_empty() => &plan.statements,
            Some(_) | None => std::slice::from_ref(&*UNKNOWN),
        }
    }

    /// Whether the text was understood.
    pub fn analysed(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.analysed)
    }

    /// Whether the same goes to the server as by the older `other`, with the same access, and nothing that it reaches was
    /// touched in between.
    pub fn sends_the_same(&self, other: &Self) -> bool {
        let text = |origin: &Self| origin.permit().map(|permit| Arc::clone(permit.text()));
        let relations =
            || self.statements().iter().flat_map(|planned| planned.access.oids.iter().copied()).collect::<Vec<_>>();
        let untouched = match (&other.stamp.known, &self.stamp.known) {
            (Some(before), Some(after)) => before.untouched(after, &relations(), self.stamp.view()),
            (None, _) | (_, None) => false,
        };
        self.exempt == other.exempt && text(self) == text(other) && self.statements() == other.statements() && untouched
    }

    /// The position in the client's text for one in the text that the server got.
    pub fn position(&self, sent: usize) -> Option<usize> {
        self.plan.as_ref()?.position(&self.text, sent)
    }
}

impl Relay {
    /// The inputs in force, with this session's role in them.
    pub(super) fn inputs(&mut self) -> Result<Arc<Stamp>, Stop> {
        if self.is_matched() && self.is_stamped() {
            return Ok(Arc::clone(&self.stamp));
        }
        let Some(inputs) = self.shared.inputs.current() else {
            return Err(Stop::Tell(Refusal::new(RefusalCode::NotReady, "rules and catalog are not loaded")));
        };
        if !Arc::ptr_eq(&inputs, &self.stamp.inputs) {
            // Another order or another set of roles may have come into force.
            self.act_for_purpose(&inputs)?;
            // `"$user"`, or a schema that was not there before.
            if !self.exempt && inputs.catalog.data().schemas != self.stamp.inputs.catalog.data().schemas {
                self.path.stale = true;
            }
        }
        let known = self.shared.inputs.known(&inputs);
        let overlay = self.temporary.overlay(&inputs, self.role, &self.facts.purpose);
        self.stamp = Arc::new(Stamp::new(inputs, self.role, Arc::clone(&self.path.schemas), known, overlay));
        Ok(Arc::clone(&self.stamp))
    }

    /// Ends the session when rules have come into force that do not know its role or purpose any more: what was prepared and bound
    /// before is not judged again, and may go on for ever.
    pub(super) fn still_matched(&mut self) -> Result<(), Stop> {
        if self.is_matched() { Ok(()) } else { self.inputs().map(|_| ()) }
    }

    /// Whether the session acts by what is in force.
    pub(super) fn is_matched(&self) -> bool {
        self.shared.inputs.are(&self.stamp.inputs, self.stamp.known.as_ref())
    }

    /// Whether what the session itself decides by is what it was.
    fn is_stamped(&self) -> bool {
        Arc::ptr_eq(&self.path.schemas, &self.stamp.path)
            && self.role == self.stamp.role
            && self.temporary.is_current(self.stamp.overlay.as_ref())
    }

    /// Waits for the catalog when this process knows that it is changing.
    pub(super) async fn settled(&mut self) {
        if self.shared.inputs.settled().await {
            self.clock.look();
        }
    }

    /// Judges a text. For an exempt role there is always an answer.
    pub(super) async fn judge(
        &mut self,
        text: &str,
        protocol: Protocol,
    ) -> Result<Result<Arc<Origin>, Box<Refused>>, Stop> {
        if !self.exempt {
            self.settled().await;
        }
        let mut stamp = self.inputs()?;
        let mut result = self.ask(text, &protocol, &stamp).await;
        if let Err(refused) = &result
            && !self.exempt
            && may_be_stale(&refused.refusal)
        {
            // The catalog may have changed behind the proxy's back: look once, then judge again.
            self.shared.inputs.refresh_changed().await;
            let fresh = self.inputs()?;
            self.clock.look();
            if !Arc::ptr_eq(&fresh, &stamp) {
                stamp = fresh;
                result = self.ask(text, &protocol, &stamp).await;
            }
        }
        // A table that takes in masks holds them from now on, also for other statements of the same text.
        while let Ok(plan) = &result
            && !self.exempt
            && plan.statements.iter().any(|planned| self.temporary.mask(&planned.access.keeps_masks))
        {
            stamp = self.inputs()?;
            result = self.ask(text, &protocol, &stamp).await;
        }
        if let Ok(plan) = &result
            && !self.exempt
            && let Err(refused) = plan.serves(&self.request.user)
        {
            return Ok(Err(refused));
        }
        Ok(match result {
            Ok(plan) => Ok(Arc::new(Origin {
                text: if self.exempt { Arc::default() } else { text.into() },
                plan: Some(plan),
                exempt: self.exempt,
                protocol,
                stamp,
            })),
            Err(_) if self.exempt => Ok(not_analysed(protocol, stamp)),
            Err(refused) => Err(refused),
        })
    }

    /// Asks the cache or the engine.
    async fn ask(&mut self, text: &str, protocol: &Protocol, stamp: &Arc<Stamp>) -> Answer {
        let started = self.clock.last();
        let role = stamp.inputs.policy.role(self.role);
        let protocol = role.map_or_else(|| protocol.clone(), |role| protocol.planned_for(role));
        let context = QueryContext { role: self.role, search_path: Arc::clone(&stamp.path), protocol };
        let overlay = stamp.overlay.as_ref().filter(|overlay| overlay.may_concern(text));
        let (plans, inputs) = match overlay {
            Some(overlay) => (&overlay.plans, &overlay.inputs),
            None => (&self.shared.plans, &stamp.inputs),
        };
        if text.len() <= LONGEST_KEPT {
            let (answer, found) = if text.len() <= JUDGED_AT_ONCE {
                plans.plan(text, &context, inputs)
            } else if let Some(kept) = plans.look_up(text, &context, inputs) {
                kept
            } else {
                self.judge_aside(text, context, Arc::clone(plans), Arc::clone(inputs)).await
            };
            let (result, stage) = match found {
                Found::Hit => (CacheResult::Hit, PlanStage::Lookup),
                Found::Template => (CacheResult::Template, PlanStage::Template),
                Found::Miss => (CacheResult::Miss, PlanStage::Pipeline),
                Found::Bypass => (CacheResult::Bypass, PlanStage::Pipeline),
            };
            let took = self.clock.look().saturating_duration_since(started);
            self.shared.metrics.plan_cache(result);
            self.shared.metrics.plan_took(stage, took);
            self.shared.metrics.plan_took(PlanStage::Total, took);
            return answer;
        }
        self.shared.metrics.plan_cache(CacheResult::Bypass);
        let answer = self.judge_long(text, context, Arc::clone(inputs)).await;
        self.shared.metrics.plan_took(PlanStage::Total, self.clock.look().saturating_duration_since(started));
        answer
    }

    /// Judges a text of middling length where no other session waits for it.
    async fn judge_aside(
        &self,
        text: &str,
        context: QueryContext,
        plans: Arc<PlanCache>,
        inputs: Arc<Inputs>,
    ) -> (Answer, Found) {
        let place = self.shared.aside.take(&self.request.user).await;
        let text = text.to_owned();
        let judged = tokio::task::spawn_blocking(move || {
            let judged = plans.plan(&text, &context, &inputs);
            drop(place);
            judged
        });
        judged.await.unwrap_or_else(|_| {
            (Err(Refusal::new(RefusalCode::NotReady, "a statement could not be judged").into()), Found::Bypass)
        })
    }

    /// Judges a text that is too long to be kept, with room for deep nesting.
    async fn judge_long(&self, text: &str, context: QueryContext, inputs: Arc<Inputs>) -> Answer {
        let place = self.shared.long.take(&self.request.user).await;
        let (sender, receiver) = oneshot::channel();
        let text = text.to_owned();
        let spawned =
            std::thread::Builder::new().name("long statement".to_owned()).stack_size(LONG_STACK).spawn(move || {
                let _ = sender.send(engine::plan(&text, &context, &inputs).map(Arc::new));
                drop(place);
            });
        let failed = || Refusal::new(RefusalCode::NotReady, "no thread for a long statement").into();
        match spawned {
            Ok(_) => receiver.await.unwrap_or_else(|_| Err(failed())),
            Err(_) => Err(failed()),
        }
    }
}

impl Stamp {
    pub fn new(
        inputs: Arc<Inputs>,
        role: RoleId,
        path: Arc<[String]>,
        known: Option<Arc<Known>>,
        overlay: Option<Overlay>,
    ) -> Self {
        let basis = Arc::new(Basis {
            policy: inputs.policy.id.clone(),
            policy_hash: inputs.policy.hash.clone(),
            catalog_version: inputs.catalog.version(),
        });
        let purpose = inputs.policy.role(role).map_or("", |role| &role.purpose).into();
        Self { inputs, basis, role, purpose, path, known, overlay }
    }

    /// The inputs with the session's temporary tables.
    pub fn view(&self) -> &Inputs {
        self.overlay.as_ref().map_or(&*self.inputs, |overlay| &*overlay.inputs)
    }
}

/// Whether a fresh catalog may turn this refusal into an answer.
fn may_be_stale(refusal: &Refusal) -> bool {
    matches!(refusal.code, RefusalCode::UnknownRelation | RefusalCode::UnknownColumn)
        || (refusal.code == RefusalCode::FunctionNotAllowed && refusal.sqlstate() == "42883")
}

/// What is recorded of a text that was not understood, for exempt roles.
pub(super) fn not_analysed(protocol: Protocol, stamp: Arc<Stamp>) -> Arc<Origin> {
    Arc::new(Origin { text: Arc::default(), plan: None, exempt: true, protocol, stamp })
}

static UNKNOWN: LazyLock<Arc<PlannedStatement>> = LazyLock::new(|| {
    let access = Access { decision: "forward", ..Access::default() };
    Arc::new(PlannedStatement { kind: "UNKNOWN", access, effect: Effect::Catalog, outputs: None })
});
