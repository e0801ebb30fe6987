//! Publishes [`Inputs`] (catalog and rules that fit each other) atomically, and keeps them fresh: on a timer, on SIGHUP,
//! on a change of the rule files, on request. In: the server's catalogs and the rule files. Out: [`InputsHandle`].
//! Invariant: what is published was compiled against the catalog it is published with, and nothing is published that
//! shows more than the last good inputs did because something failed.
//!
//! # What a failure does
//!
//! | failure | in force afterwards |
//! |---|---|
//! | nothing was ever loaded, or loading panicked | nothing: every session is told [`RefusalCode::NotReady`] |
//! | the server or its catalogs cannot be read | the last good catalog; new rules still come into force against it |
//! | rule files cannot be read, or do not parse | the last good rules, compiled against the newest catalog |
//! | the server does not take a condition or mask of new rules | the last good rules, compiled against the newest catalog |
//! | the server cannot be asked about a condition or mask of new rules (locks, time) | the new rules; it is asked again soon, and the log says so |
//! | the server does not take one of the rules in force any more | the same rules: statements with it fail, others go on |
//! | new rules do not compile, the last good ones do | the last good rules, compiled against the newest catalog |
//! | no rules fit the newest catalog any more | the last good policy over the *unchanged part* of the catalog, see [`keeper`] |
//!
//! Whether an answer was computed from the catalog that its statement was judged against is a question of [`guard`].
//!
//! The last line is what happens when somebody renames or drops a column that a rule names. The old inputs may not
//! stay: after `DROP COLUMN note` and `RENAME phone TO note` they would hand out phone numbers as notes. Stopping
//! everything would turn one renamed column into an outage for all, exempt roles included, on every instance at once.
//! So relations that are exactly what they were keep working, all others do not exist for restricted roles, and the
//! state is [`Status::Degraded`] until rules and catalog fit again.
//!
//! Each distinct failure is logged once. A change of the rule files counts when two readings in a row agree, so that a
//! half-written directory never comes into force.

mod asking;
mod files;
mod guard;
pub mod keeper;
mod task;

use std::{path::PathBuf, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot, watch};

pub use files::{FilesError, TEST_SUFFIX, read_rule_files, read_rule_tests};
pub use guard::{Changing, Known};

use self::guard::Guard;
use crate::{
    config::UpstreamConfig,
    diagnostic::Diagnostics,
    engine::Inputs,
    error::{Refusal, RefusalCode},
    metrics::Metrics,
    upstream::{self, CatalogError, catalog::Watch},
};

/// Requests that may wait for one reading; more than sessions that can wait at once.
const REQUESTS: usize = 4096;

/// Where the inputs come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Directory of rule files.
    pub rules: PathBuf,
    /// The server.
    pub upstream: UpstreamConfig,
}

/// Why inputs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The rule files cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The rules are wrong, or do not fit the catalog.
    #[error("{0}")]
    Rules(Diagnostics),
    /// The catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A panic on the way; its text is in the log.
    #[error(
        "rules and catalog could not be put together: a defect of pgscrim, please report it; nothing is in force until \
         they can"
    )]
    Defect,
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing was loaded yet; why, when an attempt failed.
    NotReady(Option<Arc<str>>),
    /// Rules and catalog are in force and fit; nothing failed since.
    Ready,
    /// The last good state is in force, in part or in full, and something needs mending.
    Degraded(Arc<str>),
}

/// Where every session finds the inputs in force.
#[derive(Clone, Debug)]
pub struct InputsHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inputs: ArcSwapOption<Inputs>,
    status: ArcSwap<Status>,
    /// None for a handle without a task behind it.
    requests: Option<mpsc::Sender<Request>>,
    /// None for inputs that never change.
    guard: Option<Guard>,
    /// How the first attempt ended: none while it runs.
    first: watch::Receiver<Option<Result<(), Arc<LoadError>>>>,
}

/// Asks for one reading of catalog and files.
enum Request {
    /// And an answer when it is done: whether the catalog was read.
    Answer(oneshot::Sender<bool>),
    /// Nobody waits.
    Silent,
}

/// Starts the task that loads and keeps fresh. It ends when the last handle is dropped.
///
/// Must be called within a Tokio runtime.
pub fn start(sources: Sources, metrics: Arc<Metrics>) -> InputsHandle {
    let (requests, receiver) = mpsc::channel(REQUESTS);
    let (first_sender, first) = watch::channel(None);
    let (watch, questions) = Watch::new();
    let shared = Arc::new(Shared {
        inputs: ArcSwapOption::empty(),
        status: ArcSwap::from_pointee(Status::NotReady(None)),
        requests: Some(requests),
        guard: Some(Guard::new(sources.upstream.ddl_guard, watch)),
        first,
    });
    let (upstream, watched) = (sources.upstream.clone(), Arc::downgrade(&shared));
    tokio::spawn(async move {
        upstream::catalog::watch(&upstream, questions, |now| {
            if let Some(shared) = watched.upgrade()
                && shared.inputs.load().is_some()
                && shared.guard.as_ref().is_some_and(|guard| !guard.knows(now))
            {
                InputsHandle { shared }.request_refresh();
            }
        })
        .await;
    });
    let publisher = task::Publisher::new(Arc::downgrade(&shared), metrics, first_sender);
    tokio::spawn(task::keep_running(publisher, receiver, move |held| task::run(sources.clone(), held)));
    InputsHandle { shared }
}

impl InputsHandle {
    /// A handle on inputs that never change, for tests and tools.
    pub fn fixed(inputs: Inputs) -> Self {
        let (_, first) = watch::channel(Some(Ok(())));
        Self {
            shared: Arc::new(Shared {
                inputs: ArcSwapOption::from_pointee(inputs),
                status: ArcSwap::from_pointee(Status::Ready),
                requests: None,
                guard: None,
                first,
            }),
        }
    }

    /// The inputs in force; none before the first successful load.
    pub fn current(&self) -> Option<Arc<Inputs>> {
        self.shared.inputs.load_full()
    }

    /// How things stand.
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.load_full()
    }

    /// Waits for the end of the first attempt to load, so that `serve` can fail early.
    ///
    /// # Errors
    /// Why the first attempt failed. The task goes on trying.
    pub async fn first_load(&self) -> Result<(), Arc<LoadError>> {
        let mut first = self.shared.first.clone();
        match first.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Asks for a fresh catalog without waiting for it.
    pub fn request_refresh(&self) {
        if let Some(requests) = &self.shared.requests {
            // A full queue means that a reading is about to start anyway.
            let _ = requests.try_send(Request::Silent);
        }
    }

    /// Reads the catalog now (callers at the same time share one reading that starts after their call), publishes, and
    /// answers with what is then in force. A reading that failed answers with the last good inputs.
    ///
    /// # Errors
    /// [`RefusalCode::NotReady`] when nothing is in force.
    pub async fn refresh(&self) -> Result<Arc<Inputs>, Refusal> {
        let _ = self.reread().await;
        self.current().ok_or_else(|| {
            Refusal::new(RefusalCode::NotReady, "rules and catalog are not loaded")
                .with_hint("The log of pgscrim says why.")
        })
    }

    /// The same; whether the catalog was read, and what is in force is of a moment after the call.
    pub async fn reread(&self) -> bool {
        let Some(requests) = &self.shared.requests else { return false };
        let (sender, done) = oneshot::channel();
        requests.send(Request::Answer(sender)).await.is_ok() && done.await.unwrap_or(false)
    }
}
