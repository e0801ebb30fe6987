//! Stage `session`: which entry of the policy a session acts by. In: the role that matches the login, and the purpose that
//! the session asks for, also by a parameter. Out: the entry of that role for that purpose. Invariant: a purpose that is not one of the
//! role's is never acted for.

use std::sync::Arc;

use super::{
    inflight::{Judged, Prepared},
    ledger::refused,
    options::Request,
    relay::{Relay, Stop},
};
use crate::{
    audit::event::ConnectionFacts,
    engine::{Effect, Inputs, PlannedStatement, Refused},
    error::{Refusal, RefusalCode},
    policy::{LoginIdentity, RolePolicy, settings::purpose_allowed},
    wire::frontend,
};

/// Types of a parameter that reach `set_config` as they are: not said, text, varchar, unknown.
const TEXTS: [u32; 4] = [0, 25, 1043, 705];

/// Whether the parameter that a statement takes its purpose from is a text, by the types of its Parse.
pub(super) fn takes_text(planned: &PlannedStatement, types: &[u8]) -> bool {
    let Effect::PurposeGiven(number) = planned.effect else { return true };
    let given = usize::from(number).checked_sub(1).and_then(|at| frontend::types(types).nth(at));
    TEXTS.contains(&given.unwrap_or(0))
}

/// The refusal of a purpose that is no text which can be read.
pub(super) fn not_given() -> Refusal {
    Refusal::new(RefusalCode::FunctionNotAllowed, "permission denied for function set_config")
        .with_hint("The value of pgscrim.purpose must be a text, or a parameter that is one.")
}

impl Relay {
    /// A statement as it is once the values of its Bind are known; `body` is none for one that is too long to be looked at.
    pub(super) fn given(&self, prepared: Prepared, body: Option<&[u8]>) -> Result<Prepared, Box<Refused>> {
        let Some(planned) = &prepared.planned else { return Ok(prepared) };
        let Effect::PurposeGiven(number) = planned.effect else { return Ok(prepared) };
        let read = || {
            let values = body.and_then(frontend::bound_values)?;
            let value = values.get(usize::from(number).checked_sub(1)?)?;
            // A text is the same in both formats. NULL sets what RESET would.
            std::str::from_utf8(value.bytes.unwrap_or_default()).ok().map(str::to_owned)
        };
        let inputs = &self.stamp.inputs;
        let judged = match (read(), inputs.policy.role(self.role)) {
            (Some(value), Some(role)) => purpose_allowed(&value, role.permitted().purposes).map(|()| value),
            (_, _) => Err(not_given()),
        };
        let value = judged.map_err(|refusal| refused(refusal, planned))?;
        let effect = Effect::Purpose(Some(value.as_str()).filter(|value| !value.is_empty()).map(Arc::from));
        let planned = Some(Arc::new(PlannedStatement { effect, ..PlannedStatement::clone(planned) }));
        let (origin, purpose) = (Arc::clone(&prepared.origin), Arc::clone(&prepared.purpose));
        Ok(Judged { origin, purpose, planned, inside: None, types: prepared.types.clone() }.into())
    }

    /// Why the connection would have been refused if its role were not observed.
    pub(super) fn unwelcome(request: &Request, role: &RolePolicy) -> Option<Refusal> {
        role.observed.as_deref().and_then(|observed| request.restricted(observed.permitted()).err())
    }

    /// Whether the role has more than one purpose.
    pub(super) fn has_purposes(&self) -> bool {
        self.stamp.inputs.policy.role(self.role).is_some_and(|role| role.purposes.len() > 1)
    }

    /// Acts by what `inputs` say of this login and the purpose asked for.
    pub(super) fn act_for_purpose(&mut self, inputs: &Arc<Inputs>) -> Result<(), Stop> {
        let who = LoginIdentity {
            user: self.request.user.clone(),
            database: self.request.database.clone(),
            application_name: self.request.application.clone(),
        };
        let matched = inputs.policy.role_for(&who, &inputs.catalog);
        let matched = matched.and_then(|id| inputs.policy.role(id).map(|role| (id, role)));
        let Some((id, role)) = matched.filter(|(_, role)| role.exempt == self.exempt) else {
            return Err(Stop::Tell(
                Refusal::new(RefusalCode::NoRole, "the rules no longer allow this connection")
                    .with_hint("Connect again."),
            ));
        };
        let found = inputs.policy.acting(id, &self.asked_purpose, &self.request.application);
        let found = match found {
            Some(found) => found,
            // Its bytes were not judged.
            None if self.exempt => {
                tracing::warn!(role = %role.name, "a purpose that is not one of the role's was asked for");
                id
            }
            None => {
                let refused = purpose_allowed(&self.asked_purpose, &role.purposes).err();
                let gone = || Refusal::new(RefusalCode::NoRole, "the rules no longer allow this connection");
                return Err(Stop::Tell(refused.unwrap_or_else(gone)));
            }
        };
        let Some(role) = inputs.policy.role(found) else { return Err(Stop::Done) };
        self.role = found;
        self.unwelcome = Self::unwelcome(&self.request, role);
        if *role.name != *self.facts.role
            || *role.purpose != *self.facts.purpose
            || *role.recipient != *self.facts.recipient
        {
            let mut facts = ConnectionFacts::clone(&self.facts);
            facts.role = role.name.as_str().into();
            facts.purpose = role.purpose.as_str().into();
            facts.recipient = role.recipient.as_str().into();
            self.counters = self.shared.metrics.role(&role.name);
            self.facts = Arc::new(facts);
        }
        Ok(())
    }
}
