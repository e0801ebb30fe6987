//! The events on their way to the writer thread, and what else that thread is asked for. In: events, in the order in which
//! sessions submit them. Out: all of them at once. Invariant: an event is in the queue or in the writer's hands until it is
//! written; none is taken in after the writer has ended.
//!
//! Waking a thread costs a session more than the event itself, so the writer says from how many events on it wants to be woken.

use std::{
    collections::VecDeque,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::AuditEvent;

/// The end of the thread, asked for.
pub(super) struct Stop {
    pub deadline: Instant,
    /// Told how many events could not be written.
    pub answer: Sender<usize>,
}

/// What the thread is asked for besides events.
#[derive(Default)]
pub(super) struct Asked {
    pub reopen: bool,
    pub stop: Option<Stop>,
}

impl Asked {
    fn is_nothing(&self) -> bool {
        !self.reopen && self.stop.is_none()
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<AuditEvent>,
    /// With this many events the thread is woken; none while it does not wait.
    wake_at: Option<usize>,
    asked: Asked,
    ended: bool,
}

impl Queue {
    /// Adds an event; false when the thread has ended.
    pub fn push(&self, event: AuditEvent) -> bool {
        let mut state = self.state.lock();
        if state.ended {
            return false;
        }
        state.events.push_back(event);
        let enough = state.wake_at.is_some_and(|count| state.events.len() >= count);
        if enough {
            state.wake_at = None;
        }
        // The thread would wait for the lock at once.
        drop(state);
        if enough {
            self.changed.notify_one();
        }
        true
    }

    pub fn ask_reopen(&self) {
        self.state.lock().asked.reopen = true;
        self.changed.notify_one();
    }

    pub fn ask_stop(&self, stop: Stop) {
        self.state.lock().asked.stop = Some(stop);
        self.changed.notify_one();
    }

    /// How many events there are, and when the statement of the oldest ended.
    pub fn backlog(&self) -> (usize, Option<Instant>) {
        let state = self.state.lock();
        (state.events.len(), state.events.front().map(|oldest| oldest.ended))
    }

    /// Waits for an event or for being asked, without end.
    pub fn wait(&self) {
        let mut state = self.state.lock();
        while state.events.is_empty() && state.asked.is_nothing() {
            state.wake_at = Some(1);
            self.changed.wait(&mut state);
        }
        state.wake_at = None;
    }

    /// Waits for `limit`, but not longer than until there are `enough` events or until it is asked.
    pub fn gather(&self, limit: Duration, enough: usize) {
        let until = Instant::now() + limit;
        let mut state = self.state.lock();
        while state.events.len() < enough && state.asked.is_nothing() {
            state.wake_at = Some(enough);
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.wake_at = None;
    }

    /// Takes all events; `events` must be empty, and its memory is used on.
    pub fn take(&self, events: &mut VecDeque<AuditEvent>) {
        std::mem::swap(&mut self.state.lock().events, events);
    }

    /// What was asked.
    pub fn asked(&self) -> Asked {
        std::mem::take(&mut self.state.lock().asked)
    }

    /// From now on no event is taken in; false when there are some.
    pub fn end(&self) -> bool {
        let mut state = self.state.lock();
        state.ended = state.events.is_empty();
        state.ended
    }

    /// From now on no event is taken in, and those that are there are given up: how many.
    pub fn abandon(&self) -> usize {
        let mut state = self.state.lock();
        state.ended = true;
        std::mem::take(&mut state.events).len()
    }
}
