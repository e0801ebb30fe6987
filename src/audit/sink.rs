//! The queue between sessions and the writer thread. In: places reserved, events submitted. Out: events in order of
//! submission. Invariant: a place is taken from before a statement is sent until its event is written, so that no more
//! statements run unrecorded than the queue has places; while the log cannot be written, no place is handed out.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    AuditEvent,
    file::{LogFile, Output},
    line::FingerprintKey,
    lines::Lines,
    parts::Parts,
    writer::{Control, Stop, Writer},
};
use crate::{
    config::AuditConfig,
    error::{Refusal, RefusalCode},
    metrics::Metrics,
};

/// Room on the disk for each event that may be under way. Few are longer, most are half as long.
const EVENT_BYTES: u64 = 2048;

/// A cheap handle to the sink; every session has one.
#[derive(Clone)]
pub struct AuditHandle {
    shared: Arc<Shared>,
}

impl fmt::Debug for AuditHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditHandle").field("pending", &self.shared.pending).finish_non_exhaustive()
    }
}

/// The right to record one event. Dropped unused, it gives its place back.
pub struct AuditSlot {
    place: OwnedSemaphorePermit,
    shared: Arc<Shared>,
}

impl fmt::Debug for AuditSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSlot")
    }
}

/// Why the audit log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error("could not open the audit log {}: {source} (`audit.path`; its folder must exist and be writable, with room for 2 KiB for each of `audit.queue`)", .path.display())]
    Open {
        /// `audit.path`
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key of the fingerprints.
    #[error("could not read the key of the fingerprints from {}: {source} (`audit.key_file`)", .path.display())]
    Key {
        /// `audit.key_file`
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key that is too short to keep texts from being guessed.
    #[error("the key of the fingerprints in {} is shorter than 16 bytes (`audit.key_file`)", .path.display())]
    ShortKey {
        /// `audit.key_file`
        path: PathBuf,
    },
    /// Standard output, randomness or the thread.
    #[error("could not start the audit log: {0}")]
    Start(#[from] io::Error),
}

/// One event on its way, with the place it holds.
pub(super) struct Pending {
    pub event: AuditEvent,
    pub submitted: Instant,
    /// Given back when the event is written.
    #[expect(dead_code, reason = "held for its drop")]
    pub place: OwnedSemaphorePermit,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and a box for each would be freed by another thread"
)]
pub(super) enum Message {
    Event(Pending),
    /// Look at [`Shared::control`].
    Wake,
}

impl Message {
    pub fn into_event(self) -> Option<Pending> {
        match self {
            Self::Event(pending) => Some(pending),
            Self::Wake => None,
        }
    }
}

pub(super) struct Shared {
    places: Arc<Semaphore>,
    outbox: Sender<Message>,
    wait: Duration,
    /// False from a failed write to the next one that works.
    pub healthy: AtomicBool,
    became_healthy: Notify,
    /// Events submitted and not yet written.
    pub pending: AtomicUsize,
    /// When the oldest event in the writer's hands was submitted, in microseconds after `start`, plus 1; 0 for none.
    oldest: AtomicU64,
    start: Instant,
    pub control: Control,
    pub metrics: Arc<Metrics>,
}

/// Opens the outputs and starts the writer thread.
///
/// # Errors
/// When the file cannot be opened, or the key not be read.
pub fn start(config: &AuditConfig, metrics: Arc<Metrics>) -> Result<AuditHandle, AuditError> {
    let mut outputs = Vec::new();
    if let Some(path) = &config.path {
        let ahead = EVENT_BYTES.saturating_mul(u64::try_from(config.queue).unwrap_or(u64::MAX));
        let file = LogFile::open(path.clone(), config.rotate_bytes, config.keep, ahead)
            .map_err(|source| AuditError::Open { path: path.clone(), source })?;
        outputs.push(Output::File(file));
    }
    if config.stdout {
        outputs.push(Output::stdout()?);
    }
    let key = match &config.key_file {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|source| AuditError::Key { path: path.clone(), source })?;
            let key = bytes.trim_ascii_end();
            if key.len() < 16 {
                return Err(AuditError::ShortKey { path: path.clone() });
            }
            FingerprintKey::new(key)
        }
        None => FingerprintKey::new(&random_key()?),
    };
    let key = key.ok_or_else(|| io::Error::other("the key of the fingerprints cannot be used"))?;
    let (outbox, inbox) = mpsc::channel();
    let shared = Arc::new(Shared {
        places: Arc::new(Semaphore::new(config.queue.min(Semaphore::MAX_PERMITS))),
        outbox,
        wait: config.wait,
        healthy: AtomicBool::new(true),
        became_healthy: Notify::new(),
        pending: AtomicUsize::new(0),
        oldest: AtomicU64::new(0),
        start: Instant::now(),
        control: Control::default(),
        metrics,
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
        inbox,
        outputs,
        parts: Parts::new(key),
        lines: Lines::default(),
        stop: None,
    };
    std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run())?;
    Ok(AuditHandle { shared })
}

fn random_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
    Ok(key)
}

impl AuditHandle {
    /// A place in the queue at once, without waiting, when there is one and the sink is healthy.
    pub fn try_reserve(&self) -> Option<AuditSlot> {
        if !self.is_healthy() {
            return None;
        }
        let place = Arc::clone(&self.shared.places).try_acquire_owned().ok()?;
        Some(AuditSlot { place, shared: Arc::clone(&self.shared) })
    }

    /// A place in the queue; waits while the queue is full or the log cannot be written.
    ///
    /// # Errors
    /// [`crate::error::RefusalCode::AuditUnavailable`] when the configured wait is over.
    pub async fn reserve(&self) -> Result<AuditSlot, Refusal> {
        if let Some(slot) = self.try_reserve() {
            return Ok(slot);
        }
        tokio::time::timeout(self.shared.wait, self.wait_for_place()).await.ok().flatten().ok_or_else(|| {
            Refusal::new(RefusalCode::AuditUnavailable, "audit log cannot be written").with_hint(
                "Accesses that cannot be recorded are not allowed. Try again later; the operator finds the cause in \
                 the log of pgscrim.",
            )
        })
    }

    async fn wait_for_place(&self) -> Option<AuditSlot> {
        loop {
            let place = Arc::clone(&self.shared.places).acquire_owned().await.ok()?;
            let healthy = self.shared.became_healthy.notified();
            tokio::pin!(healthy);
            // From here on a recovery is noticed, also one between the next two lines.
            healthy.as_mut().enable();
            if self.is_healthy() {
                return Some(AuditSlot { place, shared: Arc::clone(&self.shared) });
            }
            drop(place);
            healthy.await;
        }
    }

    /// Whether the last write worked.
    pub fn is_healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Acquire)
    }

    /// Opens the file anew, as after logrotate.
    pub fn reopen(&self) {
        self.shared.control.ask_reopen();
        let _ = self.shared.outbox.send(Message::Wake);
    }

    /// Brings queue depth and lag in the metrics up to date; called before they are shown.
    pub fn observe(&self) {
        let oldest = self.shared.oldest.load(Ordering::Acquire);
        let since = |micros| self.shared.start.elapsed().saturating_sub(Duration::from_micros(micros));
        let lag = oldest.checked_sub(1).map(since).unwrap_or_default();
        self.shared.metrics.audit_backlog(self.shared.pending.load(Ordering::Acquire), lag);
    }

    /// Writes what was submitted and ends the writer thread, in at most `limit`. Blocks; answers how many events could
    /// not be written.
    pub fn shutdown(&self, limit: Duration) -> usize {
        let (answer, answered) = mpsc::channel();
        self.shared.control.ask_stop(Stop { deadline: Instant::now() + limit, answer });
        let _ = self.shared.outbox.send(Message::Wake);
        // A little longer than the writer's own limit: a write may be stuck in the system.
        let limit = limit + Duration::from_millis(500);
        answered.recv_timeout(limit).unwrap_or_else(|_| self.shared.pending.load(Ordering::Acquire))
    }
}

impl AuditSlot {
    /// Hands the event to the writer thread. Never waits, never fails.
    pub fn submit(self, event: AuditEvent) {
        let Self { place, shared } = self;
        shared.pending.fetch_add(1, Ordering::AcqRel);
        let message = Message::Event(Pending { event, submitted: Instant::now(), place });
        if shared.outbox.send(message).is_err() {
            // The writer has ended, which happens at the end of a shutdown alone.
            shared.set_healthy(false);
            tracing::error!("an audit event came after the end of the audit log");
        }
    }
}

impl Shared {
    pub fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Release);
        if healthy {
            self.became_healthy.notify_waiters();
        }
    }

    pub fn set_oldest(&self, submitted: Option<Instant>) {
        let micros = submitted
            .map(|instant| u64::try_from(instant.saturating_duration_since(self.start).as_micros()).unwrap_or(0) + 1);
        self.oldest.store(micros.unwrap_or(0), Ordering::Release);
    }
}
