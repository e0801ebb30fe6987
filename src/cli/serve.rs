//! `pgscrim serve`: puts the pieces together and takes them down again. In: the configuration, signals. Out: a running
//! proxy. Invariants: it starts completely or not at all, with a message that names the cause; it ends only after the
//! audit log is written, or says how many events were lost.
//!
//! | signal | effect |
//! |---|---|
//! | SIGTERM, SIGINT | no new connections; sessions may end within `limits.drain`; exit 0 |
//! | a second one | exit at once |
//! | SIGHUP | rules, catalog and certificates are loaded anew; the audit file is opened anew |

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{ArgMatches, Command};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Failure, args, http, logging};
use crate::{
    audit,
    config::Config,
    metrics::{Metrics, ReloadKind},
    net::Listeners,
    reload::{self, LoadError, Sources},
    session,
};

pub(super) fn command() -> Command {
    Command::new("serve")
        .about("Run the proxy")
        .after_help(
            "Every key of the configuration file has a flag and an environment variable; a flag wins over the\n\
             variable, which wins over the file.\n\nExamples:\n  \
             pgscrim serve --config pgscrim.toml\n  \
             pgscrim serve --rules rules/acros --audit-path audit.jsonl \\\n    \
             --upstream-url postgres://pgscrim@127.0.0.1:5432/shop --listen 127.0.0.1:6432\n\n\
             SIGTERM and SIGINT let sessions end, SIGHUP loads rules and certificates anew.",
        )
        .arg(args::config_file())
        .args(args::keys(|_| true))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = Arc::new(args::Given::new(matches)?.config()?);
    logging::start(config.log_format, &config.log_level);
    keep_memory_in().map_err(|error| Failure::new(format!("could not forbid memory dumps: {error}")))?;
    let metrics = Metrics::new();
    // Before anything listens: it is the cheapest to find wrong.
    let rules = reload::read_rule_files(&config.rules).map_err(Failure::new)?;
    crate::policy::rules::RuleSet::parse(&rules).map_err(Failure::RulesInvalid)?;
    drop(rules);
    let no_runtime = |error| Failure::new(format!("could not start the runtime: {error}"));
    // Sessions have threads of their own. This one accepts them and watches rules, catalog and metrics.
    let workers = session::Workers::start(config.workers).map_err(no_runtime)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("service")
        .build()
        .map_err(no_runtime)?;
    let audit = audit::start(&config.audit, Arc::clone(&metrics)).map_err(Failure::new)?;
    let result = runtime.block_on(serve(&config, &metrics, &audit, &workers));
    // Sessions that are still there end here and hand in what they have; only then does the audit log end.
    workers.end(Duration::from_millis(500));
    runtime.shutdown_timeout(Duration::from_millis(500));
    let lost = audit.shutdown(config.limits.drain.clamp(Duration::from_secs(1), Duration::from_secs(10)));
    if lost > 0 {
        return Err(Failure::new(format!("{lost} audit events could not be written")));
    }
    result
}

/// Statements, keys and rows are in memory: neither a core dump nor another process of the same user may read them.
fn keep_memory_in() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

async fn serve(
    config: &Arc<Config>,
    metrics: &Arc<Metrics>,
    audit: &audit::AuditHandle,
    workers: &session::Workers,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (accepting_sender, accepting) = watch::channel(false);
    let sources = Sources { rules: config.rules.clone(), upstream: config.upstream.clone() };
    let inputs = reload::start(sources, Arc::clone(metrics));
    // Certificates and addresses before the first load: what is wrong on this machine shows at once.
    let shared = session::Shared::new(Arc::clone(config), inputs.clone(), audit.clone(), Arc::clone(metrics))
        .map_err(Failure::new)?;
    let listeners = Listeners::bind(&config.listen).await.map_err(Failure::new)?;
    if let Some(address) = config.metrics {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::new(format!("could not listen on {address} (`metrics`): {error}")))?;
        let probe =
            http::Probe { metrics: Arc::clone(metrics), inputs: inputs.clone(), audit: audit.clone(), accepting };
        tokio::spawn(http::serve(listener, probe));
    }
    tokio::select! {
        loaded = inputs.first_load() => loaded.map_err(load_failure)?,
        () = signals.end() => return Ok(()),
    }

    let (shutdown_sender, shutdown) = watch::channel(false);
    for address in &config.listen {
        tracing::info!(?address, "listening");
    }
    accepting_sender.send_replace(true);
    let mut serving = std::pin::pin!(session::serve(Arc::clone(&shared), listeners, workers, shutdown));
    loop {
        tokio::select! {
            () = &mut serving => return Err(Failure::new("the listeners ended unexpectedly")),
            event = signals.next() => match event {
                Event::Reload => {
                    // Rules and catalog hear the signal themselves (`reload`).
                    tracing::info!("opening the audit log and loading certificates anew");
                    audit.reopen();
                    if let Err(error) = shared.certificates.reload() {
                        metrics.reload_failed(ReloadKind::Certificate);
                        tracing::error!(%error, "could not load the certificate; the last good one stays in force");
                    }
                }
                Event::End => break,
            },
        }
    }
    accepting_sender.send_replace(false);
    shutdown_sender.send_replace(true);
    let begin = Instant::now();
    tracing::info!(connections = metrics.open_connections(), limit = ?config.limits.drain, "shutting down");
    tokio::select! {
        // The listeners end sessions at the limit themselves; this one is for a defect.
        ended = tokio::time::timeout(config.limits.drain + Duration::from_secs(5), serving) => {
            if ended.is_err() {
                tracing::warn!("sessions did not end in time");
            }
        }
        () = signals.end() => tracing::warn!("second signal: ending at once"),
    }
    tracing::info!(after = ?begin.elapsed(), "ended");
    Ok(())
}

fn load_failure(error: Arc<LoadError>) -> Failure {
    match &*error {
        LoadError::Rules(complaints) => Failure::RulesInvalid(complaints.clone()),
        LoadError::Files(_) | LoadError::Catalog(_) | LoadError::Defect => Failure::new(error),
    }
}

/// The signals that the process heeds.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::new(format!("could not handle signals: {error}")));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::End,
            _ = self.interrupt.recv() => Event::End,
            _ = self.hang_up.recv() => Event::Reload,
        }
    }

    /// Waits for a signal to end; a SIGHUP on the way is too early or too late to mean anything.
    async fn end(&mut self) {
        while self.next().await != Event::End {}
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Reload,
    End,
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn memory_is_not_dumped() {
        super::keep_memory_in().unwrap();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
