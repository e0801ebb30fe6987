//! proto
use std::{io, sync::atomic::{AtomicUsize, Ordering}, thread::JoinHandle};
use tokio::runtime::Handle;
/// w
pub struct Workers { handles: Vec<Handle>, next: AtomicUsize, stop: tokio::sync::watch::Sender<bool>, threads: Vec<JoinHandle<()>> }
impl Workers {
    /// s
    pub fn start(count: usize, stack: usize) -> io::Result<Self> {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let mut stopped = stopped.clone();
            threads.push(std::thread::Builder::new().name("worker".to_owned()).stack_size(stack).spawn(move || {
                runtime.block_on(async move { let _ = stopped.wait_for(|s| *s).await; });
                drop(runtime);
            })?);
        }
        Ok(Self { handles, next: AtomicUsize::new(0), stop, threads })
    }
    /// n
    pub fn next(&self) -> &Handle {
        let n = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        self.handles.get(n).unwrap_or_else(|| unreachable!())
    }
    /// e
    pub fn end(self) { self.stop.send_replace(true); for t in self.threads { let _ = t.join(); } }
}
