//! `pgscrim.toml`: where to listen, which server, which rules, where the audit log goes. Every key has a flag and an
//! environment variable ([`KEYS`]); the command line wins over the environment, which wins over the file.
//!
//! In: a file and overrides ([`load`]). Out: a checked [`Config`], or every mistake at once. Invariant: nothing is
//! skipped; an unknown key or a value that does not fit stops the start.

mod assemble;
mod keys;
mod source;
mod url;
mod values;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use assemble::{audit_path, load, rules, upstream};
pub use keys::{KEYS, Key};
pub use source::Override;

/// The whole configuration of `pgscrim serve`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: Vec<ListenAddress>,
    /// Address of `/metrics`, `/healthz` and `/readyz`; none for no HTTP listener.
    pub metrics: Option<SocketAddr>,
    /// Directory of rule files.
    pub rules: PathBuf,
    /// The server behind the proxy.
    pub upstream: UpstreamConfig,
    /// TLS towards clients.
    pub tls: ServerTlsConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// Limits and time-outs.
    pub limits: Limits,
    /// How the process logs.
    pub log_format: LogFormat,
    /// Level of the log: `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// Worker threads; none for one per processor.
    pub workers: Option<usize>,
}

/// One listening address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`
    Tcp(SocketAddr),
    /// A path: a Unix socket. A directory gets `.s.PGSQL.<port>` like PostgreSQL's own when it ends in `/`.
    Unix(PathBuf),
}

/// `[upstream]`
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Where the server is.
    pub address: UpstreamAddress,
    /// User name of the service login that reads the catalogs.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// Database whose catalog the rules are compiled against. Clients of other databases are refused.
    pub database: String,
    /// TLS towards the server.
    pub tls: UpstreamTlsConfig,
    /// Limit for connecting and start-up, default 10 s.
    pub connect_timeout: Duration,
    /// How often the catalog is read anew, default 60 s.
    pub catalog_refresh: Duration,
    /// When answers wait until the catalog is known to be the one that their statement was judged against.
    pub ddl_guard: DdlGuard,
}

/// When an answer to a restricted role waits for a look at the state of the server's catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DdlGuard {
    /// While DDL that passes through this process is under way, or another catalog came into force meanwhile.
    Relayed,
    /// Always: DDL that goes past this process cannot open a window either.
    Always,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// The server's socket file, such as `/var/run/postgresql/.s.PGSQL.5432`.
    Unix(PathBuf),
}

/// A value that `Debug` and logs never show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// `[upstream.tls]`
#[derive(Clone, Debug)]
pub struct UpstreamTlsConfig {
    /// Whether and how.
    pub mode: UpstreamTlsMode,
    /// PEM file of the authorities to trust; none for the system's.
    pub ca: Option<PathBuf>,
    /// Name to verify instead of the host of the URL.
    pub server_name: Option<String>,
}

/// Whether the connection to the server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamTlsMode {
    /// Never.
    Off,
    /// Always, certificate and host name verified.
    VerifyFull,
}

/// `[tls]`
#[derive(Clone, Debug)]
pub struct ServerTlsConfig {
    /// Whether clients may or must encrypt.
    pub mode: ServerTlsMode,
    /// PEM file of the certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file of the private key.
    pub key: Option<PathBuf>,
}

/// Whether clients may or must encrypt. Unix sockets are never encrypted and always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTlsMode {
    /// SSLRequest is answered N.
    Off,
    /// Both are accepted.
    Allowed,
    /// Plain TCP is refused.
    Required,
}

/// `[audit]`
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// File of JSON lines.
    pub path: Option<PathBuf>,
    /// Whether events also go to standard output.
    pub stdout: bool,
    /// Size in bytes at which the file rotates, default 256 MiB.
    pub rotate_bytes: u64,
    /// Rotated files kept, default 16.
    pub keep: usize,
    /// Events the queue holds, default 8192.
    pub queue: usize,
    /// How long a statement waits for the log before it is refused, default 5 s.
    pub wait: Duration,
    /// File with the key of the text fingerprints; none for a key made at start-up.
    pub key_file: Option<PathBuf>,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// Client connections at once, default 1000.
    pub connections: usize,
    /// Time for start-up and authentication, default 60 s.
    pub startup: Duration,
    /// Longest statement in bytes, default 16 MiB.
    pub statement_bytes: usize,
    /// Time that SIGTERM waits for sessions to end, default 30 s.
    pub drain: Duration,
}

/// How the process logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
