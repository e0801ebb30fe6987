//! Asks the server whether it takes the conditions and masks of rules, which is a matter of types and operators that it alone can
//! judge. In: rules and the newest catalog. Out: a complaint, remembered as long as both stay. What cannot be asked (no
//! right on a schema, a table that is locked, no time left) is no complaint: statements with it fail on the server, and show nothing.

use std::{sync::Arc, time::Duration};

use super::LoadError;
use crate::{
    catalog::CatalogSnapshot,
    config::UpstreamConfig,
    policy::rules::RuleSet,
    upstream::catalog::probes::{Objection, objections},
};

/// How long a load may wait for the answers.
const LIMIT: Duration = Duration::from_secs(5);

/// What was asked last.
#[derive(Default)]
pub(super) struct Asking {
    about: Option<(u64, Arc<RuleSet>)>,
    complaint: Option<Arc<LoadError>>,
}

impl Asking {
    /// Whether the server has said this of `rules` and `catalog`.
    fn has_asked(&self, rules: &Arc<RuleSet>, catalog: &CatalogSnapshot) -> bool {
        self.about.as_ref().is_some_and(|(version, known)| *version == catalog.version() && Arc::ptr_eq(known, rules))
    }

    /// What the server has against `rules`; asked once for each catalog.
    pub async fn complaint(
        &mut self,
        upstream: &UpstreamConfig,
        rules: &Arc<RuleSet>,
        catalog: &Arc<CatalogSnapshot>,
    ) -> Option<Arc<LoadError>> {
        if !self.has_asked(rules, catalog) {
            self.complaint = ask(upstream, rules, catalog).await.map(Arc::new);
            self.about = Some((catalog.version(), Arc::clone(rules)));
        }
        self.complaint.clone()
    }
}

async fn ask(upstream: &UpstreamConfig, rules: &Arc<RuleSet>, catalog: &Arc<CatalogSnapshot>) -> Option<LoadError> {
    let (own_rules, own_catalog) = (Arc::clone(rules), Arc::clone(catalog));
    let probes = tokio::task::spawn_blocking(move || {
        // Rules that do not fit the catalog are complained about where they are tried.
        let policy = own_rules.compile(&own_catalog).ok()?;
        Some(own_rules.probes(&policy, &own_catalog))
    });
    let probes = probes.await.ok()??;
    let said = match objections(upstream, &probes, LIMIT).await {
        Ok(said) => said,
        Err(error) => {
            tracing::warn!("could not ask the server whether it takes the conditions and masks of the rules: {error}");
            return None;
        }
    };
    let mut wrong = Vec::new();
    for (probe, objection) in said.into_iter().filter_map(|(at, objection)| Some((probes.get(at)?, objection))) {
        match objection {
            Objection::Wrong { code, message } => wrong.push(probe.complaint(&code, &message)),
            Objection::NotAsked(why) => {
                tracing::debug!("could not ask the server whether it takes {}: {why}", probe.what);
            }
        }
    }
    (!wrong.is_empty()).then(|| LoadError::Rules(rules.complaints(wrong)))
}
