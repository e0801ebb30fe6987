//! The proxy of the demo: `pgscrim serve` as a child, as an operator would run it. In: the private server and rules. Out: a
//! proxy that is ready. Invariant: it ends with the value, before the server does.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    postgres::{PrivatePostgres, free_port},
    scratch::Scratch,
    shop,
};
use crate::cli::Failure;

/// How long it may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The rules of ACROS, so that the demo runs from anywhere.
pub const RULES: &[(&str, &str)] = &[
    ("10-data.toml", include_str!("../../../rules/acros/10-data.toml")),
    ("20-roles.toml", include_str!("../../../rules/acros/20-roles.toml")),
    ("30-subjects.toml", include_str!("../../../rules/acros/30-subjects.toml")),
];

/// What is asked of the proxy.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Port for clients; none for 6432 or, when that is taken, a free one.
    pub port: Option<u16>,
    /// Port of `/metrics`; none for 9632 or, when that is taken, a free one.
    pub metrics: Option<u16>,
    /// Rules; none for `rules/acros` here or, when there is none, those built in.
    pub rules: Option<PathBuf>,
}

/// See the document of the module.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    metrics: u16,
    rules: PathBuf,
    process: u32,
    scratch: Scratch,
}

impl Proxy {
    /// Starts it in front of `server` and waits until it is ready.
    ///
    /// # Errors
    /// What it said when it did not start.
    pub fn start(server: &PrivatePostgres, wishes: &Wishes) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("could not prepare the proxy: {error}"));
        let scratch = Scratch::new(None).map_err(failed)?;
        let rules = match &wishes.rules {
            Some(folder) => folder.canonicalize().map_err(|error| {
                Failure::new(format!("could not read rules from {}: {error} (--rules)", folder.display()))
            })?,
            None => match Path::new("rules/acros").canonicalize() {
                Ok(folder) => folder,
                Err(_) => built_in_rules(scratch.path()).map_err(failed)?,
            },
        };
        let port = wishes.port.map_or_else(|| port_or_free(6432), Ok).map_err(failed)?;
        let metrics = wishes.metrics.map_or_else(|| port_or_free(9632), Ok).map_err(failed)?;
        let mut proxy = Self { port, metrics, rules, process: 0, scratch };
        let begin = Instant::now();
        proxy.spawn(server).map_err(failed)?;
        while !proxy.is_ready() {
            if !proxy.is_running() {
                // Somebody took a port between the look and the start: another demo, perhaps.
                let taken = proxy.log().contains("Address already in use");
                if !taken || (wishes.port.is_some() && wishes.metrics.is_some()) || begin.elapsed() > START_LIMIT {
                    return Err(proxy.failure("did not start"));
                }
                proxy.port = wishes.port.map_or_else(free_port, Ok).map_err(failed)?;
                proxy.metrics = wishes.metrics.map_or_else(free_port, Ok).map_err(failed)?;
                proxy.spawn(server).map_err(failed)?;
            }
            if begin.elapsed() > START_LIMIT {
                return Err(proxy.failure("was not ready in time"));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(proxy)
    }

    fn spawn(&mut self, server: &PrivatePostgres) -> io::Result<()> {
        let config = self.scratch.path().join("pgscrim.toml");
        fs::write(&config, self.config(server))?;
        let mut command = Command::new(std::env::current_exe()?);
        let log = fs::File::create(self.log_path())?;
        command.arg("serve").arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PGSCRIM_") {
                command.env_remove(name);
            }
        }
        self.process = self.scratch.spawn(&mut command, Signal::TERM)?;
        Ok(())
    }

    /// Port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Folder of the rules in force.
    pub fn rules(&self) -> &Path {
        &self.rules
    }

    /// Whether the rules are those built in, a copy of which goes with the demo.
    pub fn has_own_rules(&self) -> bool {
        self.rules.starts_with(self.scratch.path())
    }

    /// URL of the metrics.
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics)
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn metrics_text(&self) -> io::Result<String> {
        http(self.metrics, "/metrics")
    }

    /// The audit log.
    pub fn audit_path(&self) -> PathBuf {
        self.scratch.path().join("audit.jsonl")
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.scratch.ended(self.process), Ok(None))
    }

    /// That it is not as it should be, with the end of its log.
    pub fn failure(&self, what: &str) -> Failure {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        Failure::new(format!("the proxy {what}; the end of its log:\n{last}"))
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("pgscrim.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Its own word first: on a port that it could not get, somebody else's proxy may answer.
    fn is_ready(&self) -> bool {
        self.log().contains(" listening ")
            && http(self.metrics, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn config(&self, server: &PrivatePostgres) -> String {
        let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
        format!(
            "listen = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\nrules = {}\n\n\
             [upstream]\nurl = \"postgres://{}:{}@{}:{}/{}\"\n\n[audit]\npath = {}\n\n[limits]\ndrain = \"2s\"\n",
            self.port,
            self.metrics,
            quoted(&self.rules),
            shop::SERVICE_LOGIN,
            shop::PASSWORD,
            server.host(),
            server.port(),
            shop::DATABASE,
            quoted(&self.audit_path()),
        )
    }
}

fn built_in_rules(folder: &Path) -> io::Result<PathBuf> {
    let rules = folder.join("rules");
    fs::create_dir(&rules)?;
    for (name, text) in RULES {
        fs::write(rules.join(name), text)?;
    }
    Ok(rules)
}

fn port_or_free(usual: u16) -> io::Result<u16> {
    match TcpListener::bind(("127.0.0.1", usual)) {
        Ok(_) => Ok(usual),
        Err(_) => free_port(),
    }
}

/// The answer of the proxy's HTTP port.
fn http(port: u16, page: &str) -> io::Result<String> {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), limit)?;
    stream.set_read_timeout(Some(limit))?;
    write!(stream, "GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rule_files_are_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/acros");
        let files = crate::reload::read_rule_files(&folder).unwrap();
        let files: Vec<(String, String)> = files
            .iter()
            .map(|file| {
                let name = Path::new(&*file.path).file_name().unwrap();
                (name.to_str().unwrap().to_owned(), file.text.to_string())
            })
            .collect();
        let built_in: Vec<(String, String)> =
            RULES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(files, built_in);
    }
}
