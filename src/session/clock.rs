//! Stage `session`: the clock of one session. In: moments at which something happens. Out: the moment that counts for what
//! follows at once, and the time of day for records. Reading a clock costs as much as a look-up in the plan cache, so it is
//! read when bytes come in and after what takes time, and handed on.

use std::time::{Duration, Instant, SystemTime};

/// How long a reading of the time of day is gone by: people and programs set that clock.
const TRUSTED: Duration = Duration::from_secs(1);

/// Seconds since 1970, in which grants begin and end.
pub(super) fn seconds() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// See the module.
#[derive(Debug)]
pub(super) struct Clock {
    now: Instant,
    /// The time of day, and when it was read.
    day: (SystemTime, Instant),
}

impl Clock {
    pub fn new() -> Self {
        let now = Instant::now();
        Self { now, day: (SystemTime::now(), now) }
    }

    /// Reads the clock.
    pub fn look(&mut self) -> Instant {
        self.now = Instant::now();
        self.now
    }

    /// What it said last.
    pub fn last(&self) -> Instant {
        self.now
    }

    /// The time of day at that moment.
    pub fn time(&mut self) -> SystemTime {
        let since = self.now.saturating_duration_since(self.day.1);
        if since < TRUSTED {
            return self.day.0 + since;
        }
        self.day = (SystemTime::now(), self.now);
        self.day.0
    }
}
