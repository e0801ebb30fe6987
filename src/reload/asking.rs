//! Asks the server whether it takes the conditions and masks of rules, which is a matter of types and operators that it alone can
//! judge. In: rules and the newest catalog. Out: a complaint, remembered as long as both stay. What cannot be asked (no
//! right on a schema, a table that is locked, no time left) is no complaint: statements with it fail on the server, and show nothing. The log
//! says what it is, and what may have an answer later is asked again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::LoadError;
use crate::{
    catalog::CatalogSnapshot,
    config::UpstreamConfig,
    policy::rules::RuleSet,
    upstream::catalog::probes::{Objection, objections},
};

/// How long a load may wait for the answers.
const LIMIT: Duration = Duration::from_secs(5);
/// How soon it is asked again, and how long at most: each pause is twice the one before.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What was asked last.
#[derive(Default)]
pub(super) struct Asking {
    about: Option<(u64, Arc<RuleSet>)>,
    complaint: Option<Arc<LoadError>>,
    /// When what was not answered is asked again, and the pause until then.
    again: Option<(Instant, Duration)>,
    /// What the log says is not known.
    unknown: Option<String>,
}

/// What came of asking.
#[derive(Default)]
struct Answer {
    complaint: Option<LoadError>,
    /// What is not known, and why.
    unknown: Option<String>,
    /// It may be known later.
    passing: bool,
}

impl Asking {
    /// Whether the server has said this of `rules` and `catalog`.
    fn has_asked(&self, rules: &Arc<RuleSet>, catalog: &CatalogSnapshot) -> bool {
        self.about.as_ref().is_some_and(|(version, known)| *version == catalog.version() && Arc::ptr_eq(known, rules))
    }

    /// What the server has against `rules`; asked once for each catalog, and again for what it did not answer.
    pub async fn complaint(
        &mut self,
        upstream: &UpstreamConfig,
        rules: &Arc<RuleSet>,
        catalog: &Arc<CatalogSnapshot>,
    ) -> Option<Arc<LoadError>> {
        let asked = self.has_asked(rules, catalog);
        if !asked || self.again.is_some_and(|(next, _)| next <= Instant::now()) {
            let Answer { complaint, unknown, passing } = ask(upstream, rules, catalog).await;
            let pause = self.again.filter(|_| asked).map_or(PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
            self.again = passing.then(|| (Instant::now() + pause, pause));
            // The same complaint as before is no new failure.
            let same = complaint.as_ref().map(ToString::to_string) == self.complaint.as_ref().map(ToString::to_string);
            if !asked || !same {
                self.complaint = complaint.map(Arc::new);
            }
            self.tell(unknown, passing);
            self.about = Some((catalog.version(), Arc::clone(rules)));
        }
        self.complaint.clone()
    }

    /// How long it is until something is to be asked again; none where nothing is, or nobody has asked when it was time.
    pub fn again_in(&self) -> Option<Duration> {
        self.again.and_then(|(next, _)| next.checked_duration_since(Instant::now()))
    }

    fn tell(&mut self, unknown: Option<String>, passing: bool) {
        if unknown == self.unknown {
            return;
        }
        match &unknown {
            Some(what) if passing => {
                tracing::warn!(
                    "it is not known whether the server takes the rules, and it will be asked again: {what}"
                );
            }
            Some(what) => tracing::warn!("it is not known whether the server takes the rules: {what}"),
            None => tracing::info!("the server has said whether it takes the rules"),
        }
        self.unknown = unknown;
    }
}

async fn ask(upstream: &UpstreamConfig, rules: &Arc<RuleSet>, catalog: &Arc<CatalogSnapshot>) -> Answer {
    let (own_rules, own_catalog) = (Arc::clone(rules), Arc::clone(catalog));
    let probes = tokio::task::spawn_blocking(move || {
        // Rules that do not fit the catalog are complained about where they are tried.
        let policy = own_rules.compile(&own_catalog).ok()?;
        Some(own_rules.probes(&policy, &own_catalog))
    });
    let probes = match probes.await {
        Ok(Some(probes)) => probes,
        Ok(None) => return Answer::default(),
        // A panic, which has told of itself.
        Err(_) => {
            let what = "the questions could not be made: a defect of pgscrim, please report it".to_owned();
            return Answer { unknown: Some(what), ..Answer::default() };
        }
    };
    let said = match objections(upstream, &probes, LIMIT).await {
        Ok(said) => said,
        Err(error) => return Answer { unknown: Some(error.to_string()), passing: true, complaint: None },
    };
    let (mut wrong, mut unknown, mut passing) = (Vec::new(), Vec::new(), false);
    for (probe, objection) in said.into_iter().filter_map(|(at, objection)| Some((probes.get(at)?, objection))) {
        match objection {
            Objection::Wrong { code, message } => wrong.push(probe.complaint(&code, &message)),
            Objection::NotAsked { why, passes } => {
                passing |= passes;
                unknown.push((probe, why));
            }
        }
    }
    let more = |count: usize| if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
    let first = unknown.first().map(|(probe, why)| format!("{}: {why}{}", probe.what, more(unknown.len())));
    let complaint = (!wrong.is_empty()).then(|| LoadError::Rules(rules.complaints(wrong)));
    Answer { complaint, unknown: first, passing }
}
