//! Stage `session`: answers that wait until it is proved that the server computed them from the catalog that their statement
//! was judged against (the argument stands in [`crate::reload`], `guard`). In: the first frame of an answer. Out: the answer,
//! or the end of the session before any of it is sent. Invariant: without the proof no frame of the answer passes.
//!
//! When the catalog has changed, the statement is judged again by the new one. Most DDL has nothing to do with it: the same
//! text with the same access comes out, and the answer holds. Else the session ends, because the statement has run.

use std::sync::Arc;

use super::{
    inflight::Entry,
    planning::Origin,
    relay::{Relay, Stop},
};
use crate::{
    audit::event::Outcome,
    error::{Refusal, RefusalCode},
};

/// How often the catalog may not be readable, because it changes, while one answer waits.
const ATTEMPTS: usize = 4;

impl Relay {
    /// Takes in what the server has said; proves what has to be proved.
    pub(super) async fn hear_server(&mut self) -> Result<(), Stop> {
        self.take_from_server()?;
        while std::mem::take(&mut self.holding) {
            self.prove().await?;
            self.take_from_server()?;
        }
        Ok(())
    }

    /// Whether the frame of this kind that comes next has to wait for [`Self::prove`].
    pub(super) fn must_wait(&mut self, kind: u8) -> bool {
        // All that says something of stored values, or of what became of a statement.
        if self.exempt || !matches!(kind, b'T' | b'D' | b'C' | b'E' | b'd' | b'G' | b'H' | b'W' | b's') {
            return false;
        }
        let Some(run) = self.current_run().filter(|run| !run.proved) else { return false };
        let judged = [Some(&run.origin), run.inner.as_ref()];
        let judged = judged.map(|origin| origin.map(|origin| origin.stamp.known.clone()));
        let fills = run.planned.access.fills;
        if judged.iter().flatten().any(|known| self.shared.inputs.must_hold(known.as_ref(), fills)) {
            return true;
        }
        if let Some(run) = self.current_run() {
            run.proved = true;
        }
        false
    }

    /// Proves the answer in front.
    async fn prove(&mut self) -> Result<(), Stop> {
        let Some(run) = self.current_run() else { return Ok(()) };
        let judged = [Some(Arc::clone(&run.origin)), run.inner.clone()];
        for origin in judged.into_iter().flatten() {
            if !self.still_holds(origin).await? {
                return Err(self.stop_changed());
            }
        }
        if let Some(run) = self.current_run() {
            run.proved = true;
        }
        Ok(())
    }

    /// Ends the session because its last statement ran on another schema than it was judged for.
    pub(super) fn stop_changed(&mut self) -> Stop {
        tracing::warn!(role = %self.facts.role, "the catalog changed while a statement ran: its answer is not sent");
        let message = "terminating connection because the schema changed while a statement ran";
        let hint = "Connect again; none of the answer was sent. Changes of the statement may have been made.";
        self.stop_answer(Refusal::new(RefusalCode::CatalogChanged, message).with_hint(hint))
    }

    /// Judges for the purpose that was acted for then: what was sent since may have chosen another.
    async fn still_holds(&mut self, origin: Arc<Origin>) -> Result<bool, Stop> {
        let purpose = std::mem::replace(&mut self.asked_purpose, origin.stamp.purpose.to_string());
        if *self.facts.purpose == *self.asked_purpose {
            self.asked_purpose = purpose;
            return self.holds(origin).await;
        }
        let inputs = Arc::clone(&self.stamp.inputs);
        self.act_for_purpose(&inputs)?;
        let holds = self.holds(origin).await;
        self.asked_purpose = purpose;
        let inputs = Arc::clone(&self.stamp.inputs);
        self.act_for_purpose(&inputs)?;
        holds
    }

    async fn holds(&mut self, mut origin: Arc<Origin>) -> Result<bool, Stop> {
        if self.shared.inputs.holds(origin.stamp.known.as_ref()).await {
            return Ok(true);
        }
        // What is in force by now may be of a moment before the answer, and is proved as what was judged by.
        if !Arc::ptr_eq(&self.inputs()?, &origin.stamp) {
            let Some(again) = self.the_same_again(&origin).await? else { return Ok(false) };
            origin = again;
            if self.shared.inputs.holds(origin.stamp.known.as_ref()).await {
                return Ok(true);
            }
        }
        for _ in 0..ATTEMPTS {
            // A picture that is taken after the answer has come needs no proof of its own: what the statement reaches is the same on
            // both sides of the moment at which the server looked, by marks that never come back.
            if self.shared.inputs.reread().await {
                return Ok(self.the_same_again(&origin).await?.is_some());
            }
        }
        Ok(false)
    }

    /// The statement as it is judged by what is in force; none where that sends something else, or what it reaches was touched.
    async fn the_same_again(&mut self, origin: &Arc<Origin>) -> Result<Option<Arc<Origin>>, Stop> {
        let text = Arc::clone(&origin.text);
        let again = self.judge(&text, origin.protocol.clone()).await?;
        Ok(again.ok().filter(|again| again.sends_the_same(origin)))
    }

    /// Ends the session in place of the answer in front; recorded as refused.
    pub(super) fn stop_answer(&mut self, refusal: Refusal) -> Stop {
        let run = match self.model.front() {
            Some(Entry::Execute(run)) => run.take().map(|run| *run),
            Some(Entry::Query(batch)) => batch.runs.pop_front(),
            Some(
                Entry::Parse(..)
                | Entry::Bind(..)
                | Entry::Describe(_)
                | Entry::CloseStatement(_)
                | Entry::ClosePortal(_)
                | Entry::Sync
                | Entry::FunctionCall(_)
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_),
            )
            | None => None,
        };
        if let Some(run) = run {
            self.finish(run, Outcome::Refused(refusal.clone()));
        }
        Stop::Tell(refusal)
    }
}
