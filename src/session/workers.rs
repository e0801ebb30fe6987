//! Stage `session`: the threads that sessions run on, each with a runtime of its own. In: accepted connections. Out: places
//! for their sessions. A session stays on its thread: whatever wakes it wakes that thread alone, and no thread looks
//! through the queue of another. Invariant: what keeps a thread long (a long text to judge, the lookup of a name) runs
//! elsewhere, as everybody else of the thread would wait for it.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
};

/// Bytes of stack of a thread, as trees of nested statements are dropped recursively; only what is used is taken from the
/// system.
const STACK: usize = 16 * 1024 * 1024;

/// The threads.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<Worker>,
    /// Where the search for the next place begins, so that equals take turns.
    turn: AtomicUsize,
    stop: watch::Sender<bool>,
    /// Hears nothing, and is cut off when all threads have ended.
    ended: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    sessions: Arc<AtomicUsize>,
}

/// The place of one session; dropped with it.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads, or one for each processor that this process may use.
    ///
    /// # Errors
    /// What the system says when there can be no more threads or files.
    pub fn start(count: Option<usize>) -> io::Result<Self> {
        let count = match count {
            Some(count) => count.max(1),
            None => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        let (stop, stopped) = watch::channel(false);
        let (alive, ended) = mpsc::channel();
        let start = |_| Worker::start(stopped.clone(), alive.clone());
        let threads = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { threads, turn: AtomicUsize::new(0), stop, ended: Mutex::new(ended) })
    }

    /// A place on the thread that has the fewest sessions.
    pub(super) fn place(&self) -> Option<(&Handle, Place)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len().max(1);
        let in_turn = self.threads.iter().cycle().skip(turn).take(self.threads.len());
        let worker = in_turn.min_by_key(|worker| worker.sessions.load(Ordering::Relaxed))?;
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        Some((&worker.runtime, Place(Arc::clone(&worker.sessions))))
    }

    /// Ends the threads, and the sessions that are still there; waits for them no longer than `limit`.
    pub fn end(self, limit: Duration) {
        self.stop.send_replace(true);
        let _ = self.ended.into_inner().recv_timeout(limit);
    }
}

impl Worker {
    fn start(mut stopped: watch::Receiver<bool>, alive: mpsc::Sender<()>) -> io::Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_all().thread_name("judge").thread_stack_size(STACK).build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("worker".to_owned()).stack_size(STACK).spawn(move || {
            runtime.block_on(async { drop(stopped.wait_for(|stop| *stop).await) });
            // Drops its sessions, and does not wait for what runs elsewhere for them.
            runtime.shutdown_background();
            drop(alive);
        })?;
        Ok(Self { runtime: handle, sessions: Arc::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_thread_with_the_fewest_sessions_is_next() {
        let workers = Workers::start(Some(3)).unwrap();
        let counts = |workers: &Workers| {
            workers.threads.iter().map(|worker| worker.sessions.load(Ordering::Relaxed)).collect::<Vec<_>>()
        };
        let mut places: Vec<_> = (0..9).map(|_| workers.place().unwrap().1).collect();
        assert_eq!(counts(&workers), [3, 3, 3]);
        drop(places.remove(4));
        let lonely = counts(&workers).iter().position(|count| *count == 2).unwrap();
        places.push(workers.place().unwrap().1);
        assert_eq!(counts(&workers)[lonely], 3);
        workers.end(Duration::from_secs(5));
    }

    #[test]
    fn sessions_end_with_their_thread() {
        let workers = Workers::start(Some(1)).unwrap();
        let (runtime, place) = workers.place().unwrap();
        let (held, freed) = mpsc::channel::<()>();
        runtime.spawn(async move {
            let _held = (held, place);
            std::future::pending::<()>().await;
        });
        let begin = Instant::now();
        workers.end(Duration::from_secs(20));
        assert_eq!(freed.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
