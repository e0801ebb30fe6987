//! The writer thread. In: events with the places they hold in the queue. Out: lines in order. Invariants: a place is
//! given back only when its event is written everywhere it has to be; while writing fails, the same events are tried
//! again, in the same order, until it works or the shutdown's limit is over.

use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::{
    file::Output,
    line::write_line,
    lines::Lines,
    parts::Parts,
    sink::{Message, Pending, Shared},
};

/// Events written at once.
const BATCH: usize = 512;
/// How long events gather after a batch. Waking this thread costs a session more than the event itself, so while events come
/// in it wakes by the clock.
const GATHER: Duration = Duration::from_millis(2);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub inbox: Receiver<Message>,
    pub outputs: Vec<Output>,
    pub parts: Parts,
    pub lines: Lines,
    pub stop: Option<Stop>,
}

/// The end of the thread, asked for.
pub(super) struct Stop {
    pub deadline: Instant,
    /// Told how many events could not be written.
    pub answer: Sender<usize>,
}

/// What the thread is asked for besides events; heard also while it waits for the next attempt.
#[derive(Default)]
pub(super) struct Control {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    reopen: bool,
    stop: Option<Stop>,
}

impl Control {
    pub fn ask_reopen(&self) {
        self.asked.lock().reopen = true;
        self.changed.notify_one();
    }

    pub fn ask_stop(&self, stop: Stop) {
        self.asked.lock().stop = Some(stop);
        self.changed.notify_one();
    }

    /// Answers what was asked, at the latest after `limit`.
    fn wait(&self, limit: Duration) -> Asked {
        let mut asked = self.asked.lock();
        if !asked.reopen && asked.stop.is_none() {
            self.changed.wait_for(&mut asked, limit);
        }
        std::mem::take(&mut *asked)
    }
}

impl Writer {
    pub fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.collect(&mut batch);
            self.hear(Duration::ZERO);
            let lost = if batch.is_empty() { 0 } else { self.write(&mut batch) };
            if self.stop.is_none() {
                std::thread::sleep(GATHER);
            }
            if let Some(stop) = &self.stop
                && (lost > 0 || (batch.is_empty() && self.shared.pending.load(Ordering::Acquire) == 0))
            {
                for output in &mut self.outputs {
                    if let Err(error) = output.sync() {
                        tracing::warn!(%error, "could not flush the audit log");
                    }
                }
                // Whoever waits may open the file next: its lock must be gone by then.
                self.outputs.clear();
                let _ = stop.answer.send(self.shared.pending.load(Ordering::Acquire).max(lost));
                return;
            }
        }
    }

    /// Waits for events and takes what is there, up to a batch.
    fn collect(&mut self, batch: &mut Vec<Pending>) {
        let wait = if self.stop.is_some() { Duration::from_millis(10) } else { Duration::from_secs(3600) };
        match self.inbox.recv_timeout(wait) {
            Ok(message) => batch.extend(message.into_event()),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => {
                let (answer, _) = std::sync::mpsc::channel();
                self.stop.get_or_insert(Stop { deadline: Instant::now(), answer });
                return;
            }
        }
        while batch.len() < BATCH
            && let Ok(message) = self.inbox.try_recv()
        {
            batch.extend(message.into_event());
        }
    }

    /// Writes the batch, however long it takes; answers how many events were lost to the shutdown's limit.
    fn write(&mut self, batch: &mut Vec<Pending>) -> usize {
        if let Some(first) = batch.first() {
            self.shared.set_oldest(Some(first.submitted));
        }
        self.lines.clear();
        for pending in batch.iter() {
            self.lines.push(|out| write_line(&pending.event, &mut self.parts, out));
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
            self.release(batch, written - released);
            released = written;
            if !failed {
                self.recovered();
                self.shared.set_oldest(None);
                return 0;
            }
            self.shared.set_healthy(false);
            if self.stop.as_ref().is_some_and(|stop| Instant::now() >= stop.deadline) {
                return batch.len();
            }
            self.hear(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives back the places of the first `count` events of the batch.
    fn release(&self, batch: &mut Vec<Pending>, count: usize) {
        if count > 0 {
            drop(batch.drain(..count.min(batch.len())));
            self.shared.pending.fetch_sub(count, Ordering::AcqRel);
            self.shared.metrics.audit_written(count as u64);
        }
        if let Some(first) = batch.first() {
            self.shared.set_oldest(Some(first.submitted));
        }
    }

    fn recovered(&self) {
        if !self.shared.healthy.load(Ordering::Acquire) {
            tracing::info!("the audit log is written again");
            self.shared.set_healthy(true);
        }
    }

    /// Waits, at most so long, and does what is asked meanwhile. Events stay in the queue, behind the ones in hand.
    fn hear(&mut self, limit: Duration) {
        let Asked { reopen, stop } = self.shared.control.wait(limit);
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
