//! Stage `session`: how many statements of one login wait for their answers at once, over all of its sessions. In: a login. Out: a count of
//! which each such statement holds one. Invariant: however many connections of a restricted login send however many statements, the
//! audit queue, in which each holds a place, has some left for others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;

/// The counts of all logins.
#[derive(Debug)]
pub(super) struct Outstanding {
    most: usize,
    logins: DashMap<Arc<str>, Arc<AtomicUsize>>,
}

/// The count of one login.
#[derive(Clone, Debug)]
pub(super) struct Share {
    held: Arc<AtomicUsize>,
    most: usize,
}

/// A statement that waits for its answer; it no longer counts when this is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Outstanding {
    /// Of an audit queue with so many places, of which a login has a quarter.
    pub fn new(places: usize) -> Self {
        Self { most: (places / 4).max(1), logins: DashMap::new() }
    }

    /// The count of a login.
    pub fn of(&self, login: &Arc<str>) -> Share {
        let held = Arc::clone(&self.logins.entry(Arc::clone(login)).or_default());
        Share { held, most: self.most }
    }
}

impl Share {
    /// How many statements may wait at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether so many more may.
    pub fn has_room(&self, more: usize) -> bool {
        self.held.load(Ordering::Relaxed).saturating_add(more) <= self.most
    }

    /// One more does.
    pub fn hold(&self) -> Held {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.held))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Outstanding;

    #[test]
    fn a_login_has_a_quarter() {
        let outstanding = Outstanding::new(8);
        let (one, again, other) =
            (outstanding.of(&"a".into()), outstanding.of(&"a".into()), outstanding.of(&"b".into()));
        assert!(one.has_room(2) && !one.has_room(3));
        let held = one.hold();
        assert!(again.has_room(1) && !again.has_room(2) && other.has_room(2));
        drop(held);
        assert!(again.has_room(2));
        assert_eq!(Outstanding::new(1).of(&"a".into()).most(), 1);
    }
}
