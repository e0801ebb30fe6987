//! What the end-to-end tests share: a private PostgreSQL, the `pgscrim` program in front of it, and a small wire client
//! that keeps every byte it receives. Everything lives in a temporary folder, listens on free ports and ends with the
//! test, even when the test process is killed.

#![allow(dead_code, missing_docs, clippy::pedantic, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "test support: a failure is the test's"
)]

pub mod acros;
pub mod folder;
pub mod planner;
pub mod postgres;
pub mod proxy;
pub mod python;
pub mod shop;
pub mod wire;

pub use folder::Folder;
pub use postgres::Postgres;
pub use proxy::Proxy;

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    process::{Command, Output},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A TCP port that was free a moment ago, from below the range that systems take for outgoing connections: a client of
/// another test could take one of those before the server listens on it.
pub fn free_port() -> u16 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    loop {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let place = RandomState::new().hash_one((std::process::id(), call));
        let port = 10_000 + u16::try_from(place % 22_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether the long variants of the tests were asked for: `PGSCRIM_TEST_LONG=1`.
pub fn long() -> bool {
    std::env::var_os("PGSCRIM_TEST_LONG").is_some_and(|value| value != "0")
}

/// Waits until `probe` answers, or panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command to its end; panics with its output when it fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// psql without start-up files, with unaligned output, errors in full and a stop at the first.
pub fn psql(host: &str, port: u16, user: &str, database: &str) -> Command {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"])
        .args(["-h", host, "-p", &port.to_string(), "-U", user, "-d", database])
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .env("PGCONNECT_TIMEOUT", "20")
        .env("PGCLIENTENCODING", "UTF8")
        .env_remove("PGPASSWORD")
        .env_remove("PGSERVICE");
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
