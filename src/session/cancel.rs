//! Stage `session`: cancel requests. In: the packet. Out: the same bytes on a new connection to the server, held until
//! the server has closed it, as libpq holds its own. Invariant: keys are the server's own, so any instance can pass on
//! any request; requests whose key no session here holds are limited in rate, so that keys cannot be guessed.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{config::UpstreamConfig, metrics::CancelOutcome, upstream, wire::startup::Packet};

/// Requests with unknown keys per second, and how many may come at once.
const RATE: f64 = 10.0;
const BURST: f64 = 50.0;
/// How long the server may take to close the connection.
const HOLD: Duration = Duration::from_secs(30);
/// Length, code, process id and a secret of 4 to 256 bytes.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST>
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=268;

/// Keys of the sessions here, and the allowance for others.
#[derive(Debug)]
pub(super) struct Keys {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    known: HashSet<Vec<u8>, FixedState>,
    allowance: f64,
    since: Instant,
}

impl Default for Keys {
    fn default() -> Self {
        let state = State { known: HashSet::default(), allowance: BURST, since: Instant::now() };
        Self { state: Mutex::new(state) }
    }
}

/// Holds a key as known until dropped.
#[derive(Debug)]
pub(super) struct KeyGuard {
    keys: Arc<Keys>,
    key: Vec<u8>,
}

impl Keys {
    /// `key` is the body of BackendKeyData.
    pub fn register(self: &Arc<Self>, key: &[u8]) -> KeyGuard {
        self.state.lock().known.insert(key.to_vec());
        KeyGuard { keys: Arc::clone(self), key: key.to_vec() }
    }

    fn allows(&self, key: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.known.contains(key) {
            return true;
        }
        let now = Instant::now();
        let earned = now.duration_since(state.since).as_secs_f64() * RATE;
        state.allowance = (state.allowance + earned).min(BURST);
        state.since = now;
        if state.allowance < 1.0 {
            return false;
        }
        state.allowance -= 1.0;
        true
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.keys.state.lock().known.remove(&self.key);
    }
}

/// Passes the request on. The client's own connection must stay open until this returns.
pub(super) async fn pass_on(keys: &Keys, packet: &Packet, upstream: &UpstreamConfig) -> CancelOutcome {
    if !LENGTHS.contains(&packet.bytes.len()) {
        return CancelOutcome::Refused;
    }
    if !keys.allows(packet.bytes.get(8..).unwrap_or_default()) {
        return CancelOutcome::Limited;
    }
    let sent = async {
        let mut stream = upstream::connect(upstream).await.ok()?;
        stream.write_all(&packet.bytes).await.ok()?;
        stream.flush().await.ok()?;
        // The server closes without an answer once the signal is sent.
        let mut nothing = [0; 16];
        while matches!(stream.read(&mut nothing).await, Ok(1..)) {}
        Some(())
    };
    match tokio::time::timeout(HOLD, sent).await {
        Ok(Some(())) => CancelOutcome::Forwarded,
        Ok(None) | Err(_) => CancelOutcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_limited_and_known_ones_are_not() {
        let keys = Arc::new(Keys::default());
        let guard = keys.register(b"known");
        let passed = (0..200).filter(|_| keys.allows(b"other")).count();
        assert!((50..60).contains(&passed), "{passed}");
        assert!((0..200).all(|_| keys.allows(b"known")));
        drop(guard);
        assert!(!keys.allows(b"known"));
    }
}
