//! Stage `session`: one client connection, from start-up packet to termination. In: accepted streams and the inputs in
//! force. Out: bytes to client and server, audit events, metrics. Invariant: a relay is built only from a connection
//! that the server has authenticated and that the rules know.
//!
//! negotiate (encryption) → options (start-up parameters) → auth (the server's own exchange) → relay, which is
//! `from_client` and `from_server` around one `inflight` model; `hold` keeps answers back that have to be proved first.

mod auth;
mod cancel;
mod clock;
mod conditions;
mod copying;
mod down;
mod fits;
mod from_client;
mod from_server;
mod hold;
mod inflight;
mod kept;
mod ledger;
mod limits;
mod link;
mod names;
mod negotiate;
mod opened;
mod options;
mod outstanding;
mod path;
mod planning;
mod prepared;
mod purpose;
mod question;
mod relay;
mod scrub;
mod skippable;
mod spare;
mod temporary;
mod turns;
mod workers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

pub use self::workers::Workers;
use self::{link::Leg, options::Request, outstanding::Outstanding, relay::Relay, turns::Turns};
use crate::{
    audit::AuditHandle,
    config::Config,
    diagnostic::printable,
    engine::PlanCache,
    error::{Refusal, RefusalCode},
    metrics::{ConnectionOutcome, Metrics},
    net::{Accepted, ByteStream, Certificates, Listeners, Peer, TlsError},
    reload::InputsHandle,
    wire::startup::{self, CANCEL_REQUEST},
};

/// Connections beyond the limit that are told so, or may carry a cancel request, at once. Others are closed unheard.
const BEYOND: usize = 64;
/// Long statements that are judged at once, of which one login has one at most; others wait. Each takes a thread, and memory in
/// proportion to its text.
const LONG: usize = 2;
/// Statements of middling length that are judged at once, of which one login has two at most; others wait.
const ASIDE: usize = 4;
/// Memory for plans of all roles.
const PLAN_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// What all sessions of a process share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub config: Arc<Config>,
    /// Catalog and rules in force.
    pub inputs: InputsHandle,
    /// The audit log.
    pub audit: AuditHandle,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// TLS towards clients; `reload` it on SIGHUP.
    pub certificates: Certificates,
    plans: Arc<PlanCache>,
    disclosed: limits::Disclosed,
    keys: Arc<cancel::Keys>,
    connections: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
    /// Long statements that are judged at once.
    long: Turns,
    /// Texts of middling length that are judged at once.
    aside: Turns,
    /// Statements of restricted logins that wait for their answers.
    outstanding: Outstanding,
    /// Names connections within the audit log: start of the process and a counter.
    started: String,
    counter: AtomicU64,
}

impl Shared {
    /// Loads the certificate of the configuration.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(
        config: Arc<Config>,
        inputs: InputsHandle,
        audit: AuditHandle,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, TlsError> {
        let certificates = Certificates::load(&config.tls)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Arc::new(Self {
            connections: Arc::new(Semaphore::new(config.limits.connections.min(Semaphore::MAX_PERMITS))),
            beyond: Arc::new(Semaphore::new(BEYOND)),
            long: Turns::new(LONG, 1),
            aside: Turns::new(ASIDE, 2),
            outstanding: Outstanding::new(config.audit.queue),
            config,
            inputs,
            audit,
            metrics,
            certificates,
            plans: Arc::new(PlanCache::new(PLAN_CACHE_BYTES)),
            disclosed: limits::Disclosed::default(),
            keys: Arc::default(),
            started: format!("{:x}", since.as_millis()),
            counter: AtomicU64::new(0),
        }))
    }
}

/// Serves clients until `shutdown` becomes true (or its sender is dropped), then drains: no new connections, idle
/// sessions end, others get `limits.drain`. Returns when no session is left.
pub async fn serve(shared: Arc<Shared>, listeners: Listeners, workers: &Workers, mut shutdown: watch::Receiver<bool>) {
    let sessions = Mutex::new(JoinSet::new());
    {
        let accepted = |accepted: Accepted, peer| {
            let mut sessions = sessions.lock();
            while sessions.try_join_next().is_some() {}
            let Some((runtime, place)) = workers.place() else { return };
            let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
            let session = async move {
                let _place = place;
                match accepted.stream() {
                    Ok(stream) => run(shared, stream, peer, shutdown).await,
                    Err(error) => tracing::warn!(%error, "could not take up a connection"),
                }
            };
            sessions.spawn_on(session, runtime);
        };
        let mut down = shutdown.clone();
        tokio::select! {
            () = listeners.accept_all(accepted) => {}
            _ = down.wait_for(|down| *down) => {}
        }
    }
    let _ = shutdown.wait_for(|down| *down).await;
    drop(listeners);
    let mut sessions = sessions.into_inner();
    let drained =
        tokio::time::timeout(shared.config.limits.drain, async { while sessions.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(sessions = sessions.len(), "sessions were still busy at the end of limits.drain");
        sessions.shutdown().await;
    }
}

/// Serves one client on an accepted stream.
pub async fn run(shared: Arc<Shared>, stream: Box<dyn ByteStream>, peer: Peer, shutdown: watch::Receiver<bool>) {
    let mut guard = shared.metrics.connection_opened();
    let (place, beyond) = (Arc::clone(&shared.connections).try_acquire_owned().ok(), Arc::clone(&shared.beyond));
    let spare = if place.is_none() { beyond.try_acquire_owned().ok() } else { None };
    if place.is_none() && spare.is_none() {
        guard.ended(ConnectionOutcome::Refused);
        return;
    }
    let limit = shared.config.limits.startup;
    // Shutdown ends a connection that is still starting; nobody waits for it.
    let mut down = shutdown.clone();
    let started = tokio::select! {
        started = tokio::time::timeout(limit, start(&shared, stream, &peer, place)) => started,
        _ = down.wait_for(|down| *down) => {
            guard.ended(ConnectionOutcome::Drained);
            return;
        }
    };
    match started {
        Err(_) => {
            tracing::info!(client = %peer.address, "connection ended: start-up took too long (limits.startup)");
            guard.ended(ConnectionOutcome::TimedOut);
        }
        Ok(Err(ended)) => {
            if let Some(refusal) = &ended.refusal {
                shared.metrics.refused(refusal.code);
                let code = refusal.code.code();
                tracing::info!(client = %peer.address, code, reason = printable(&refusal.message), "connection refused");
            } else if ended.outcome == ConnectionOutcome::AuthenticationFailed {
                tracing::info!(client = %peer.address, "connection ended: the server did not accept the login");
            }
            guard.ended(ended.outcome);
        }
        Ok(Ok((relay, ready, _place))) => guard.ended(relay.run(ready, shutdown).await),
    }
}

/// From the first byte to the relay.
async fn start(
    shared: &Arc<Shared>,
    stream: Box<dyn ByteStream>,
    peer: &Peer,
    place: Option<OwnedSemaphorePermit>,
) -> Result<(Relay, bytes::BytesMut, OwnedSemaphorePermit), Ended> {
    let opened = negotiate::negotiate(&shared.certificates, stream, peer).await?;
    if opened.packet.code == CANCEL_REQUEST {
        let outcome = cancel::pass_on(&shared.keys, &opened.packet, &shared.config.upstream).await;
        shared.metrics.cancel_request(outcome);
        return Err(Ended::quiet(ConnectionOutcome::Cancel));
    }
    let Some(place) = place else {
        let refusal = Refusal::new(RefusalCode::TooManyConnections, "sorry, too many clients already")
            .with_hint("Try again later, or raise `limits.connections`.");
        return Err(Ended::refused(opened.stream, refusal).await);
    };
    let request = startup::parameters(&opened.packet)
        .map_err(|_| Refusal::new(RefusalCode::ProtocolViolation, "invalid startup packet layout"))
        .and_then(|parameters| Request::new(opened.packet.code, parameters));
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return Err(Ended::refused(opened.stream, refusal).await),
    };
    let mut authenticated = auth::authenticate(shared, opened.stream, request).await?;
    let number = shared.counter.fetch_add(1, Ordering::Relaxed) + 1;
    let connection = format!("{}-{number}", shared.started).into();
    let Some(inputs) = shared.inputs.current() else {
        let refusal = Refusal::new(RefusalCode::NotReady, "rules and catalog are not loaded");
        return Err(Ended::told(&mut authenticated.client, refusal).await);
    };
    match Relay::new(Arc::clone(shared), inputs, authenticated, peer, connection) {
        Some((relay, ready)) => Ok((relay, ready, place)),
        None => Err(Ended::quiet(ConnectionOutcome::Internal)),
    }
}

/// A connection that ended before there was a session.
#[derive(Debug)]
struct Ended {
    outcome: ConnectionOutcome,
    refusal: Option<Refusal>,
}

impl Ended {
    /// Nobody is told.
    fn quiet(outcome: ConnectionOutcome) -> Self {
        Self { outcome, refusal: None }
    }

    /// The client is told why.
    async fn refused(stream: Box<dyn ByteStream>, refusal: Refusal) -> Self {
        Self::told(&mut Leg::new(stream), refusal).await
    }

    /// The client is told why.
    async fn told(client: &mut Leg, refusal: Refusal) -> Self {
        client.output.clear();
        scrub::refuse(&mut client.output, "FATAL", &refusal, "");
        let _ = tokio::time::timeout(Duration::from_secs(5), client.finish()).await;
        let outcome = if refusal.code == RefusalCode::ProtocolViolation {
            ConnectionOutcome::Protocol
        } else if refusal.code == RefusalCode::UpstreamUnavailable {
            ConnectionOutcome::UpstreamLost
        } else {
            ConnectionOutcome::Refused
        };
        Self { outcome, refusal: Some(refusal) }
    }

    /// The server is gone before the session began.
    async fn lost_server(client: &mut Leg) -> Self {
        let refusal = Refusal::new(RefusalCode::UpstreamUnavailable, "the server closed the connection unexpectedly")
            .with_hint("Try again later; the log of the server says why.");
        Self::told(client, refusal).await
    }
}
