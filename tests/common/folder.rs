//! [`Folder`]: a temporary folder, and a watchdog that ends the processes started for it and removes it when the test
//! process goes, however it goes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// A temporary folder with a short path (socket files have at most 107 bytes).
pub struct Folder {
    path: PathBuf,
    watchdogs: Vec<Child>,
}

impl Folder {
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pgscrim-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut folder = Self { path, watchdogs: Vec::new() };
        if std::env::var_os("PGSCRIM_TEST_KEEP").is_none() {
            // First in, last out: by then the processes have ended. The path holds no quote, we made it.
            folder.watch(&format!("sleep 1; rm -rf '{}'", folder.path.display()));
        }
        folder
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs `script` when this process drops the folder or dies: the shell waits for the end of its input.
    fn watch(&mut self, script: &str) {
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("cat >/dev/null; {script}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.watchdogs.push(child);
    }

    /// Ends the process when the folder goes: `signal` first, KILL after five seconds.
    pub fn end_with_folder(&mut self, process: u32, signal: &str) {
        self.watch(&format!(
            "kill -{signal} {process} 2>/dev/null; n=0; \
             while kill -0 {process} 2>/dev/null && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done; \
             kill -KILL {process} 2>/dev/null"
        ));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        while let Some(mut child) = self.watchdogs.pop() {
            if self.watchdogs.is_empty() && !std::thread::panicking() {
                // The remover: what it would do a second later is done below.
                let _ = child.kill();
            }
            drop(child.stdin.take());
            let _ = child.wait();
        }
        if std::thread::panicking() && std::env::var_os("PGSCRIM_TEST_KEEP").is_some() {
            println!("kept {}", self.path.display());
            return;
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}
