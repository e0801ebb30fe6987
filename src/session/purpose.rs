//! Stage `session`: which entry of the policy a session acts by. In: the role that matches the login, and the purpose that
//! the session asks for. Out: the entry of that role for that purpose. Invariant: a purpose that is not one of the
//! role's is never acted for.

use std::sync::Arc;

use super::relay::{Relay, Stop};
use crate::{
    audit::event::ConnectionFacts,
    engine::Inputs,
    error::{Refusal, RefusalCode},
    policy::{LoginIdentity, settings::purpose_allowed},
};

impl Relay {
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
