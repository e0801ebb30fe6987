//! The task behind [`super::InputsHandle`]: waits for a reason to load, loads, publishes, reports, answers.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, OwnedMutexGuard, mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use super::{LoadError, Request, Shared, Sources, Status, asking::Asking, files::Reading, keeper::Keeper};
use crate::{
    engine::Inputs,
    metrics::{Metrics, ReloadKind, UpstreamErrorKind},
    policy::rules::{RuleFile, RuleSet},
    upstream::{
        CatalogError, ConnectError,
        catalog::{Definitions, Moment},
        read_catalog_again,
    },
};

/// How often the rule files are looked at.
const FILES_INTERVAL: Duration = Duration::from_secs(1);
/// How long files must stay as they are before they count.
const FILES_SETTLE: Duration = Duration::from_millis(200);
/// How soon a load is tried again while nothing is in force, or DDL was in the way.
const RETRY: Duration = Duration::from_secs(2);
/// The longest pause after a load that was asked for, see [`run`].
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The way from the task to the handles; they keep the task alive, not the other way round.
pub(super) struct Publisher {
    shared: Weak<Shared>,
    metrics: Arc<Metrics>,
    first: watch::Sender<Option<Result<(), Arc<LoadError>>>>,
    reported: Option<String>,
    /// `(policy id, hash)` last told to the metrics.
    rules: Option<(String, String)>,
    /// The newest version that a catalog was given.
    version: u64,
}

/// What the task works with, and leaves behind when it panics.
pub(super) type Held = OwnedMutexGuard<(Publisher, mpsc::Receiver<Request>)>;

/// What the task remembers between loads.
struct State {
    sources: Sources,
    keeper: Keeper,
    /// The files as last taken in, whether or not they parse.
    files: Vec<RuleFile>,
    /// What they mean, when they parse.
    rules: Option<Arc<RuleSet>>,
    /// Why they mean nothing.
    files_error: Option<Arc<LoadError>>,
    reading: Reading,
    asking: Asking,
    /// Of the last catalog that was read.
    definitions: Option<Definitions>,
    /// Whether the last load read the catalog.
    read: bool,
}

/// Runs the task, and again after a panic. Without it no change of rules or schema would be noticed: then nothing is in force
/// until all was loaded anew.
pub(super) async fn keep_running<F>(
    publisher: Publisher,
    requests: mpsc::Receiver<Request>,
    mut run: impl FnMut(Held) -> F + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let held = Arc::new(Mutex::new((publisher, requests)));
    loop {
        let turn = tokio::spawn(run(Arc::clone(&held).lock_owned().await));
        match turn.await {
            Err(error) if error.is_panic() => {
                let publisher = &mut held.lock().await.0;
                publisher.withdraw();
                publisher.report(Some(Arc::new(LoadError::Defect)));
            }
            Ok(()) | Err(_) => return,
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Loads at once, then whenever there is a reason, until the last handle is gone.
///
/// After a load that a session asked for, the next pauses three times as long as the load took: neither a client that names
/// unknown relations in a loop nor a migration keeps the server's catalogs busy, and old rows visible to a snapshot, for more
/// than a quarter of the time.
pub(super) async fn run(sources: Sources, mut held: Held) {
    let (publisher, requests) = &mut *held;
    let refresh = sources.upstream.catalog_refresh.max(Duration::from_secs(1));
    let mut state = State {
        sources,
        keeper: Keeper::after(publisher.version),
        files: Vec::new(),
        rules: None,
        files_error: None,
        reading: Reading::default(),
        asking: Asking::default(),
        definitions: None,
        read: false,
    };
    let mut hangup = signal(SignalKind::hangup()).ok();
    let mut files_timer = interval(FILES_INTERVAL);
    files_timer.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let mut waiting = Vec::new();
    let mut reread_catalog = true;
    let mut reread_files = true;
    loop {
        let started = Instant::now();
        let mut asked = !waiting.is_empty();
        let soon = state.load(publisher, reread_files, reread_catalog).await;
        let rested = tokio::time::Instant::now() + (started.elapsed() * 3).min(LONGEST_PAUSE);
        for request in waiting.drain(..) {
            if let Request::Answer(sender) = request {
                let _ = sender.send(state.read);
            }
        }
        state.ask_about_rules_in_force(publisher).await;
        let pause = if soon { RETRY } else { state.asking.again_in().unwrap_or(refresh) };
        let timer = tokio::time::sleep(pause.min(refresh));
        tokio::pin!(timer);
        (reread_catalog, reread_files) = (false, false);
        while !reread_catalog && !reread_files {
            tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    waiting.push(request);
                    if asked {
                        tokio::time::sleep_until(rested).await;
                        asked = false;
                    }
                    while let Ok(request) = requests.try_recv() {
                        waiting.push(request);
                    }
                    reread_catalog = true;
                }
                () = &mut timer => reread_catalog = true,
                () = next(&mut hangup) => {
                    tracing::info!("reloading rules and catalog on SIGHUP");
                    (reread_catalog, reread_files) = (true, true);
                }
                _ = files_timer.tick() => reread_files = state.files_changed().await,
            }
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

impl State {
    /// Whether the rule files, or the reason why they cannot be read, differ from what was taken in and have stopped
    /// changing.
    async fn files_changed(&mut self) -> bool {
        let now = self.reading.files(&self.sources.rules).await;
        if self.is_known(&now) {
            return false;
        }
        tokio::time::sleep(FILES_SETTLE).await;
        match (now, self.reading.files(&self.sources.rules).await) {
            (Ok(now), Ok(again)) => now == again,
            (Err(now), Err(again)) => now.to_string() == again.to_string(),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        }
    }

    fn is_known(&self, files: &Result<Vec<RuleFile>, LoadError>) -> bool {
        match files {
            Ok(files) => *files == self.files,
            Err(error) => self.files_error.as_ref().is_some_and(|known| known.to_string() == error.to_string()),
        }
    }

    /// One load; whether to try again soon.
    async fn load(&mut self, publisher: &mut Publisher, reread_files: bool, reread_catalog: bool) -> bool {
        if reread_files {
            self.take_files().await;
            if self.files_error.is_some() {
                publisher.metrics.reload_failed(ReloadKind::Rules);
            }
        }
        let mut catalog_error = None;
        let mut moment = None;
        let mut soon = false;
        self.read = false;
        if reread_catalog {
            match read_catalog_again(&self.sources.upstream, self.definitions.as_ref()).await {
                Ok((data, now)) => {
                    self.definitions = Some(Definitions::of(&data, &now));
                    self.keeper.catalog(data);
                    moment = Some(now);
                }
                Err(failure) => {
                    soon = failure.is_passing();
                    publisher.metrics.reload_failed(ReloadKind::Catalog);
                    publisher.metrics.upstream_error(error_kind(&failure));
                    catalog_error = Some(Arc::new(LoadError::Catalog(failure)));
                }
            }
        }
        let refused = self.refused_by_server().await;
        let offered = self.rules.clone().filter(|_| refused.is_none());
        let Some(outcome) = self.try_rules(offered).await else {
            publisher.withdraw();
            publisher.report(Some(Arc::new(LoadError::Defect)));
            return true;
        };
        publisher.version = self.keeper.version();
        if let Some(complaint) = outcome.complaint {
            publisher.metrics.reload_failed(ReloadKind::Rules);
            self.files_error = Some(Arc::new(LoadError::Rules(complaint)));
        } else if !outcome.unchanged && self.rules.is_some() && self.keeper.latest().is_some() {
            self.files_error = None;
        }
        if let Some(refused) = refused {
            if self.files_error.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &refused)) {
                publisher.metrics.reload_failed(ReloadKind::Rules);
            }
            self.files_error = Some(refused);
        }
        if outcome.reduced {
            tracing::error!(
                "the rules do not fit the catalog: restricted roles are refused every relation that changed"
            );
        }
        if let Some(inputs) = outcome.publish {
            publisher.publish(inputs);
        } else if reread_catalog
            && catalog_error.is_none()
            && let Some(inputs) = publisher.current()
        {
            publisher.metrics.catalog_published(inputs.catalog.version());
        }
        if let Some(moment) = moment {
            publisher.know(moment);
            self.read = true;
        }
        publisher.report(self.files_error.clone().or(catalog_error));
        soon || publisher.current().is_none()
    }

    async fn take_files(&mut self) {
        match self.reading.files(&self.sources.rules).await {
            Ok(files) => {
                self.files.clone_from(&files);
                match RuleSet::parse(&files) {
                    Ok(rules) => (self.rules, self.files_error) = (Some(Arc::new(rules)), None),
                    Err(diagnostics) => {
                        (self.rules, self.files_error) = (None, Some(Arc::new(LoadError::Rules(diagnostics))));
                    }
                }
            }
            Err(error) => {
                // Forgotten, so that the same files count as a change once they can be read again.
                self.files.clear();
                (self.rules, self.files_error) = (None, Some(Arc::new(error)));
            }
        }
    }

    /// What the server has against rules that are not in force.
    async fn refused_by_server(&mut self) -> Option<Arc<LoadError>> {
        let (rules, catalog) = (self.rules.clone()?, Arc::clone(self.keeper.latest()?));
        if self.keeper.in_force().is_some_and(|known| Arc::ptr_eq(known, &rules)) {
            return None;
        }
        self.asking.complaint(&self.sources.upstream, &rules, &catalog).await
    }

    /// After a change of the schema: what is in force stays, and the complaint stands in log and status. Nobody waits for it.
    async fn ask_about_rules_in_force(&mut self, publisher: &mut Publisher) {
        let (Some(rules), Some(catalog)) = (self.keeper.in_force().cloned(), self.keeper.latest().cloned()) else {
            return;
        };
        // Complaints about files that are not in force come first.
        if self.rules.as_ref().is_some_and(|own| Arc::ptr_eq(own, &rules)) && self.files_error.is_none() {
            let complaint = self.asking.complaint(&self.sources.upstream, &rules, &catalog).await;
            if complaint.is_some() {
                publisher.metrics.reload_failed(ReloadKind::Rules);
                self.files_error.clone_from(&complaint);
                publisher.report(complaint);
            }
        }
    }

    /// Compiling ten thousand relations takes a while: not on a thread that accepts sessions. None after a panic.
    async fn try_rules(&mut self, offered: Option<Arc<RuleSet>>) -> Option<super::keeper::Outcome> {
        let version = self.keeper.version();
        let mut keeper = std::mem::take(&mut self.keeper);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = keeper.try_rules(offered.as_ref());
            (keeper, outcome)
        });
        if let Ok((keeper, outcome)) = done.await {
            self.keeper = keeper;
            return Some(outcome);
        }
        // It takes the keeper along: the next load starts from nothing. Versions are never used twice, for plans are cached by
        // them.
        self.keeper = Keeper::after(version + 2);
        None
    }
}

fn error_kind(error: &CatalogError) -> UpstreamErrorKind {
    match error {
        CatalogError::Connect(ConnectError::Connect { .. } | ConnectError::Request { .. }) => {
            UpstreamErrorKind::Connect
        }
        CatalogError::Connect(ConnectError::Timeout { .. }) => UpstreamErrorKind::Timeout,
        CatalogError::Connect(
            ConnectError::TlsNotOffered { .. }
            | ConnectError::Tls { .. }
            | ConnectError::Authorities { .. }
            | ConnectError::NoAuthorities
            | ConnectError::ServerName { .. }
            | ConnectError::TlsOnUnixSocket { .. },
        ) => UpstreamErrorKind::Tls,
        CatalogError::Login { .. } => UpstreamErrorKind::Authentication,
        CatalogError::Query { .. }
        | CatalogError::Slow { .. }
        | CatalogError::Changing { .. }
        | CatalogError::Version { .. } => UpstreamErrorKind::Catalog,
    }
}

impl Publisher {
    pub(super) fn new(
        shared: Weak<Shared>,
        metrics: Arc<Metrics>,
        first: watch::Sender<Option<Result<(), Arc<LoadError>>>>,
    ) -> Self {
        Self { shared, metrics, first, reported: None, rules: None, version: 0 }
    }

    fn current(&self) -> Option<Arc<Inputs>> {
        self.shared.upgrade().and_then(|shared| shared.inputs.load_full())
    }

    fn publish(&mut self, inputs: Inputs) {
        let rules = (inputs.policy.id.clone(), inputs.policy.hash.clone());
        let relations = inputs.catalog.data().relations.len();
        let version = inputs.catalog.version();
        self.metrics.catalog_published(version);
        if self.rules.as_ref() == Some(&rules) {
            tracing::info!(catalog_version = version, relations, "catalog in force");
        } else {
            self.metrics.rules_published(&rules.0, &rules.1);
            tracing::info!(policy = rules.0, hash = rules.1, catalog_version = version, relations, "rules in force");
        }
        self.rules = Some(rules);
        if let Some(shared) = self.shared.upgrade() {
            shared.inputs.store(Some(Arc::new(inputs)));
        }
    }

    /// Takes what is in force out of it.
    fn withdraw(&mut self) {
        self.rules = None;
        // The catalog in the making may have had one that nobody has seen.
        self.version += 2;
        if let Some(shared) = self.shared.upgrade() {
            shared.inputs.store(None);
        }
    }

    /// What is in force is a picture of `moment`.
    fn know(&self, moment: Moment) {
        if let Some(shared) = self.shared.upgrade()
            && let (Some(guard), Some(inputs)) = (&shared.guard, shared.inputs.load().as_ref())
        {
            guard.know(inputs.catalog.version(), moment);
        }
    }

    /// Logs a failure that was not the last one logged, and sets the status.
    fn report(&mut self, error: Option<Arc<LoadError>>) {
        let text = error.as_ref().map(ToString::to_string);
        if text != self.reported {
            // Who waits for the first load tells of its failure.
            if let Some(text) = text.as_ref().filter(|_| self.first.borrow().is_some()) {
                let loaded = self.current().is_some();
                let stays = if loaded { "; the last good state stays in force" } else { "" };
                tracing::error!("could not load rules or catalog{stays}\n{text}");
            } else if self.reported.is_some() {
                tracing::info!("rules and catalog load again");
            }
        }
        if let Some(shared) = self.shared.upgrade() {
            let loaded = shared.inputs.load().is_some();
            let status = match (&text, loaded) {
                (None, true) => Status::Ready,
                (Some(text), true) => Status::Degraded(Arc::from(text.as_str())),
                (text, false) => Status::NotReady(text.as_deref().map(Arc::from)),
            };
            shared.status.store(Arc::new(status));
        }
        self.reported = text;
        self.first.send_if_modified(|first| {
            let open = first.is_none();
            if open {
                *first = Some(error.map_or(Ok(()), Err));
            }
            open
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{super::InputsHandle, *};
    use crate::catalog::CatalogData;

    fn inputs() -> Inputs {
        let text = "policy = \"t\"\n[[role]]\nname = \"all\"\nmatch = { user = [\"all\"] }\nexempt = true\n";
        let rules = RuleSet::parse(&[RuleFile { path: "r.toml".into(), text: text.into() }]).unwrap();
        let mut keeper = Keeper::default();
        keeper.catalog(CatalogData::default());
        keeper.try_rules(Some(&Arc::new(rules))).publish.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_panic_nothing_is_in_force_until_the_task_has_loaded_anew() {
        let handle = InputsHandle::fixed(inputs());
        let (first, _) = watch::channel(None);
        let mut publisher = Publisher::new(Arc::downgrade(&handle.shared), Metrics::new(), first);
        publisher.version = 7;
        let (_requests, receiver) = mpsc::channel(1);
        let (seen, mut turns) = mpsc::unbounded_channel();
        let mut turn = 0;
        let task = keep_running(publisher, receiver, move |mut held| {
            turn += 1;
            let (turn, seen) = (turn, seen.clone());
            async move {
                let _ = seen.send((turn, held.0.current().is_some(), held.0.version));
                assert!(turn > 1, "a defect");
                held.0.publish(inputs());
            }
        });
        task.await;
        assert_eq!(turns.recv().await, Some((1, true, 7)));
        // And versions of catalogs are not used twice.
        assert_eq!(turns.recv().await, Some((2, false, 9)));
        assert!(handle.current().is_some(), "loaded anew");
    }
}
