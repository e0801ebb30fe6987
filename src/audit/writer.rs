//! The writer thread. In: events with the places they hold in the queue. Out: lines in order. Invariants: a place is
//! given back only when its event is written everywhere it has to be; while writing fails, the same events are tried
//! again, in the same order, until it works or the shutdown's limit is over.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    AuditEvent,
    file::Output,
    line::write_line,
    lines::Lines,
    parts::Parts,
    queue::{Asked, Stop},
    sink::Shared,
};

/// The most events that are written at once.
pub(super) const BATCH: usize = 512;
/// How long events gather after a write, if they are not enough before: each write takes a processor from somebody who waits for an answer. One that
/// comes alone is written at once.
const GATHER: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    /// So many events are not kept waiting for more.
    pub enough: usize,
    pub outputs: Vec<Output>,
    pub parts: Parts,
    pub lines: Lines,
    pub stop: Option<Stop>,
}

impl Writer {
    pub fn run(mut self) {
        let mut events = VecDeque::with_capacity(BATCH);
        loop {
            self.shared.queue.wait();
            loop {
                self.hear();
                self.shared.queue.take(&mut events);
                self.shared.in_hand.store(events.len(), Ordering::Release);
                if self.stop.is_some() && events.is_empty() && self.shared.queue.end() {
                    return self.end(0);
                }
                if events.is_empty() && self.stop.is_none() {
                    break;
                }
                while !events.is_empty() {
                    if !self.write(&mut events) {
                        let lost = events.len() + self.shared.queue.abandon();
                        return self.end(lost);
                    }
                }
                if self.stop.is_none() {
                    self.shared.queue.gather(GATHER, self.enough);
                }
            }
        }
    }

    /// Closes the outputs and answers who has asked for the end.
    fn end(mut self, lost: usize) {
        for output in &mut self.outputs {
            if let Err(error) = output.sync() {
                tracing::warn!(%error, "could not flush the audit log");
            }
        }
        // Whoever waits may open the file next: its lock must be gone by then.
        self.outputs.clear();
        if let Some(stop) = self.stop.take() {
            let _ = stop.answer.send(lost);
        }
    }

    /// Writes the first events, up to a batch, however long it takes; false when the shutdown's limit is over before.
    fn write(&mut self, events: &mut VecDeque<AuditEvent>) -> bool {
        self.shared.set_oldest(events.front().map(|first| first.ended));
        self.lines.clear();
        for event in events.iter().take(BATCH) {
            self.lines.push(|out| write_line(event, &mut self.parts, out));
        }
        let mut done = vec![0; self.outputs.len()];
        let mut released = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut failed = false;
            for (output, done) in self.outputs.iter_mut().zip(&mut done) {
                if let Err(error) = output.write(&self.lines, done) {
                    failed = true;
                    self.shared.metrics.audit_write_error();
                    if self.shared.healthy.load(Ordering::Acquire) {
                        tracing::error!(%error, "could not write the audit log; statements wait");
                    }
                }
            }
            let written = done.iter().copied().min().unwrap_or(0);
            self.release(events, written - released);
            released = written;
            if !failed {
                self.recovered();
                self.shared.set_oldest(events.front().map(|first| first.ended));
                return true;
            }
            self.shared.set_healthy(false);
            if self.stop.as_ref().is_some_and(|stop| Instant::now() >= stop.deadline) {
                return false;
            }
            // Events stay in the queue meanwhile, behind the ones in hand.
            self.shared.queue.gather(pause, usize::MAX);
            self.hear();
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives back the places of the first `count` events, which are written.
    fn release(&self, events: &mut VecDeque<AuditEvent>, count: usize) {
        if count > 0 {
            drop(events.drain(..count.min(events.len())));
            self.shared.in_hand.store(events.len(), Ordering::Release);
            self.shared.give_back(count);
            self.shared.metrics.audit_written(count as u64);
        }
        self.shared.set_oldest(events.front().map(|first| first.ended));
    }

    fn recovered(&self) {
        if !self.shared.healthy.load(Ordering::Acquire) {
            tracing::info!("the audit log is written again");
            self.shared.set_healthy(true);
        }
    }

    /// Does what is asked.
    fn hear(&mut self) {
        let Asked { reopen, stop } = self.shared.queue.asked();
        if reopen {
            self.reopen_outputs();
        }
        self.stop = stop.or(self.stop.take());
    }

    fn reopen_outputs(&mut self) {
        for output in &mut self.outputs {
            if let Err(error) = output.reopen() {
                self.shared.metrics.audit_write_error();
                self.shared.metrics.reload_failed(crate::metrics::ReloadKind::Audit);
                // The old file stays open and is written to; the next write tries the name again.
                tracing::error!(%error, "could not open the audit log again");
            }
        }
    }
}

impl Drop for Writer {
    /// However the thread ends, nothing is taken in any more that nobody would write.
    fn drop(&mut self) {
        self.shared.queue.abandon();
    }
}
