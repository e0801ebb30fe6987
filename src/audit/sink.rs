//! The queue between sessions and the writer thread. In: places reserved, events submitted. Out: events in order of
//! submission. Invariant: a place is taken from before a statement is sent until its event is written, so that no more
//! statements run unrecorded than the queue has places; while the log cannot be written, no place is handed out.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, Semaphore};

use super::{
    AuditEvent,
    file::{LogFile, Output},
    line::FingerprintKey,
    lines::Lines,
    parts::Parts,
    queue::{Queue, Stop},
    writer::{BATCH, Writer},
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
        f.debug_struct("AuditHandle").field("in_hand", &self.shared.in_hand).finish_non_exhaustive()
    }
}

/// The right to record one event. Dropped unused, it gives its place back.
pub struct AuditSlot {
    /// None when it is used.
    shared: Option<Arc<Shared>>,
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

pub(super) struct Shared {
    /// Those that are free. Taken ones are with slots and events.
    places: Semaphore,
    pub queue: Queue,
    wait: Duration,
    /// False from a failed write to the next one that works.
    pub healthy: AtomicBool,
    became_healthy: Notify,
    /// Events that the writer has taken from the queue and not written yet.
    pub in_hand: AtomicUsize,
    /// When the statement of the oldest event in the writer's hands ended, in microseconds after `start`, plus 1; 0 for none.
    oldest: AtomicU64,
    start: Instant,
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
    let places = config.queue.min(Semaphore::MAX_PERMITS);
    let shared = Arc::new(Shared {
        places: Semaphore::new(places),
        queue: Queue::default(),
        wait: config.wait,
        healthy: AtomicBool::new(true),
        became_healthy: Notify::new(),
        in_hand: AtomicUsize::new(0),
        oldest: AtomicU64::new(0),
        start: Instant::now(),
        metrics,
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
        // Who finds no place waits for the writer.
        enough: (places / 2).clamp(1, BATCH),
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
        self.shared.places.try_acquire().ok()?.forget();
        Some(self.slot())
    }

    /// The slot of a place that was taken.
    fn slot(&self) -> AuditSlot {
        AuditSlot { shared: Some(Arc::clone(&self.shared)) }
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
            let place = self.shared.places.acquire().await.ok()?;
            let healthy = self.shared.became_healthy.notified();
            tokio::pin!(healthy);
            // From here on a recovery is noticed, also one between the next two lines.
            healthy.as_mut().enable();
            if self.is_healthy() {
                place.forget();
                return Some(self.slot());
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
        self.shared.queue.ask_reopen();
    }

    /// Brings queue depth and lag in the metrics up to date; called before they are shown.
    pub fn observe(&self) {
        let (queued, first) = self.shared.queue.backlog();
        let oldest = self.shared.oldest.load(Ordering::Acquire);
        let since = |micros| self.shared.start.elapsed().saturating_sub(Duration::from_micros(micros));
        // What is in the writer's hands came before what is in the queue.
        let lag = oldest.checked_sub(1).map(since).or_else(|| Some(first?.elapsed())).unwrap_or_default();
        self.shared.metrics.audit_backlog(queued + self.shared.in_hand.load(Ordering::Acquire), lag);
    }

    /// Writes what was submitted and ends the writer thread, in at most `limit`. Blocks; answers how many events could
    /// not be written.
    pub fn shutdown(&self, limit: Duration) -> usize {
        let (answer, answered) = mpsc::channel();
        self.shared.queue.ask_stop(Stop { deadline: Instant::now() + limit, answer });
        // A little longer than the writer's own limit: a write may be stuck in the system.
        let limit = limit + Duration::from_millis(500);
        let pending = || self.shared.queue.backlog().0 + self.shared.in_hand.load(Ordering::Acquire);
        answered.recv_timeout(limit).unwrap_or_else(|_| pending())
    }
}

impl AuditSlot {
    /// Hands the event to the writer thread. Never waits, never fails.
    pub fn submit(mut self, event: AuditEvent) {
        let Some(shared) = self.shared.take() else { return };
        if !shared.queue.push(event) {
            // The writer has ended, which happens at the end of a shutdown alone.
            shared.set_healthy(false);
            tracing::error!("an audit event came after the end of the audit log");
        }
    }
}

impl Drop for AuditSlot {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.give_back(1);
        }
    }
}

impl Shared {
    /// Gives places back.
    pub fn give_back(&self, places: usize) {
        self.places.add_permits(places);
    }

    pub fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Release);
        if healthy {
            self.became_healthy.notify_waiters();
        }
    }

    pub fn set_oldest(&self, ended: Option<Instant>) {
        let micros = ended
            .map(|instant| u64::try_from(instant.saturating_duration_since(self.start).as_micros()).unwrap_or(0) + 1);
        self.oldest.store(micros.unwrap_or(0), Ordering::Release);
    }
}
