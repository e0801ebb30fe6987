//! [`Scratch`]: a temporary folder with processes that live as long as it. In: programs to start. Out: a path. Invariant:
//! the processes end and the folder goes when the value is dropped, and also when this process dies, however it dies.
//!
//! A shell in a process group of its own waits for the end of its standard input, whose other end this process alone
//! holds. Ctrl-C in the terminal does not reach it, and `kill -KILL` of this process sets it to work.

use std::{
    fs, io,
    io::Write as _,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest path of a folder: socket files in it (`s/.s.PGSQL.65535`) may have 103 bytes on macOS, 107 on Linux.
const LONGEST: usize = 80;

/// The watchdog. Its input: `SIGNAL PID` for a process to end, `gone PID` for one that has ended; its argument: the folder.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM PIPE
jobs= gone=
while read -r word pid; do
    if [ "$word" = gone ]; then gone="$gone $pid "; else jobs="$jobs $word:$pid"; fi
done
for job in $jobs; do
    pid=${job#*:}
    case $gone in *" $pid "*) continue ;; esac
    kill -"${job%%:*}" "$pid" 2>/dev/null || continue
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null
done
sleep 0.5
rm -rf -- "$1"
"#;

/// See the document of the module.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    watchdog: Option<Child>,
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    signal: Signal,
}

impl Scratch {
    /// An empty folder that its owner alone may enter: the user `owner` (uid and gid) when given, else this one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(owner: Option<(u32, u32)>) -> io::Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let parent = parent(owner.is_some());
        let path = loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("pgscrim-{}-{number}", std::process::id()));
            // Fails when somebody else has made it: the folder is ours or none.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let mut scratch = Self { path, watchdog: None, processes: Vec::new() };
        if let Some((user, group)) = owner {
            chown(&scratch.path, Some(user), Some(group))?;
        }
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(&scratch.path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        scratch.watchdog = Some(watchdog);
        Ok(scratch)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts `command` in a process group of its own; it ends by `signal` before the folder goes, the last one started
    /// first. The number names it in [`Scratch::ended`] and [`Scratch::stop`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, command: &mut Command, signal: Signal) -> io::Result<u32> {
        let child = command.process_group(0).spawn()?;
        let id = child.id();
        let word = if signal == Signal::INT { "INT" } else { "TERM" };
        self.tell(&format!("{word} {id}\n"));
        self.processes.push(Process { child, signal });
        Ok(id)
    }

    /// How the process ended; none while it runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self, id: u32) -> io::Result<Option<ExitStatus>> {
        let Some(position) = self.processes.iter().position(|process| process.child.id() == id) else {
            return Ok(None);
        };
        let Some(process) = self.processes.get_mut(position) else { return Ok(None) };
        let status = process.child.try_wait()?;
        if status.is_some() {
            // Its number may soon belong to another process.
            self.tell(&format!("gone {id}\n"));
            self.processes.remove(position);
        }
        Ok(status)
    }

    /// Ends the process and waits for it. Does nothing when it has ended before.
    pub fn stop(&mut self, id: u32) {
        if let Some(position) = self.processes.iter().position(|process| process.child.id() == id) {
            let process = self.processes.remove(position);
            process.end();
            self.tell(&format!("gone {id}\n"));
        }
    }

    fn tell(&mut self, line: &str) {
        if let Some(pipe) = self.watchdog.as_mut().and_then(|watchdog| watchdog.stdin.as_mut()) {
            // Without a watchdog the folder is still cleared by `drop`.
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        while let Some(process) = self.processes.pop() {
            process.end();
        }
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Process {
    fn end(mut self) {
        let begin = Instant::now();
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Not yet waited for, so the number is still its own.
            let _ = kill_process(pid, self.signal);
        }
        while begin.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(_)) => return,
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(_) => break,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the folder is made: the system's temporary folder, unless its path is too long for sockets or another user could
/// not reach it.
fn parent(for_another_user: bool) -> PathBuf {
    let usual = std::env::temp_dir();
    let reachable = |path: &Path| {
        path.ancestors().all(|step| {
            step.as_os_str().is_empty()
                || fs::metadata(step).is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o001 != 0)
        })
    };
    let fits = usual.is_absolute() && usual.as_os_str().len() + "/pgscrim-4194304-00".len() <= LONGEST;
    if fits && (!for_another_user || reachable(&usual)) { usual } else { PathBuf::from("/tmp") }
}

/// The user that a server runs as when this process is root, which PostgreSQL refuses: `postgres`, else `nobody`.
///
/// # Errors
/// When this process is root and there is neither.
pub fn unprivileged_user() -> io::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    for user in ["postgres", "nobody"] {
        if let (Some(uid), Some(gid)) = (id("-u", user), id("-g", user))
            && uid != 0
        {
            return Ok(Some((uid, gid)));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "neither user postgres nor user nobody exists"))
}

fn id(what: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([what, user]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_and_folder_go_with_the_value() {
        let mut scratch = Scratch::new(None).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("file"), "x").unwrap();
        let one = scratch.spawn(Command::new("sleep").arg("600"), Signal::TERM).unwrap();
        let two = scratch.spawn(Command::new("sleep").arg("600"), Signal::INT).unwrap();
        assert_eq!(scratch.ended(one).unwrap(), None);
        scratch.stop(two);
        drop(scratch);
        assert!(!path.exists());
        let alive = Command::new("kill").args(["-0", &one.to_string()]).stderr(Stdio::null()).status().unwrap();
        assert!(!alive.success());
    }

    /// What happens after `kill -KILL` of the process that holds the value: its end of the pipe closes.
    #[test]
    fn the_watchdog_does_the_same_alone() {
        let mut scratch = Scratch::new(None).unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        let id = scratch.spawn(Command::new("sleep").arg("600"), Signal::TERM).unwrap();
        let mut watchdog = scratch.watchdog.take().unwrap();
        drop(watchdog.stdin.take());
        let begin = Instant::now();
        while scratch.ended(id).unwrap().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(10), "the process still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        watchdog.wait().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn folders_have_short_paths() {
        assert!(parent(false).as_os_str().len() < LONGEST && parent(true).as_os_str().len() < LONGEST);
    }
}
