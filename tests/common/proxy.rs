//! [`Proxy`]: the `pgscrim` program in front of a private PostgreSQL, with its configuration, rules and audit log in a
//! temporary folder.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{Folder, Postgres, free_port, wait_for, wire};

pub struct Proxy {
    /// The TCP port for clients.
    pub port: u16,
    /// The port of `/metrics`.
    pub metrics: u16,
    /// Folder of the Unix socket `.s.PGSQL.<port>`.
    pub sockets: PathBuf,
    pub folder: Folder,
    child: Child,
}

/// How a proxy is set up.
pub struct Options<'a> {
    pub database: &'a str,
    /// File name and content of each rule file.
    pub rules: Vec<(&'a str, String)>,
    /// Further lines of `pgscrim.toml`, tables last.
    pub settings: String,
    /// User of the service login.
    pub user: &'a str,
    pub environment: Vec<(&'a str, String)>,
}

impl<'a> Options<'a> {
    pub fn new(database: &'a str, rules: impl Into<String>) -> Self {
        Self {
            database,
            rules: vec![("rules.toml", rules.into())],
            settings: String::new(),
            user: "pgscrim",
            environment: Vec::new(),
        }
    }
}

/// The service login that reads the catalogs, as the documentation says to make it.
pub const SERVICE_LOGIN: &str = "CREATE ROLE pgscrim LOGIN PASSWORD 'catalog'";

impl Proxy {
    /// Starts a proxy and waits until it is ready.
    pub fn start(server: &Postgres, options: &Options<'_>) -> Self {
        let folder = Folder::new();
        for (name, content) in &options.rules {
            folder.write(&format!("rules/{name}"), content);
        }
        Self::start_in(folder, server, options)
    }

    /// Starts a proxy whose rule files, certificates and the like already lie in `folder`.
    pub fn start_in(mut folder: Folder, server: &Postgres, options: &Options<'_>) -> Self {
        for attempt in 0.. {
            match Self::attempt(&mut folder, server, options) {
                Ok((port, metrics, child)) => return Self { port, metrics, sockets: folder.join("p"), folder, child },
                // A port that was free may have been taken by another test since.
                Err(said) if attempt < 3 && said.contains("Address already in use") => {}
                Err(said) => panic!("{said}"),
            }
        }
        unreachable!("the last attempt panics")
    }

    fn attempt(folder: &mut Folder, server: &Postgres, options: &Options<'_>) -> Result<(u16, u16, Child), String> {
        let sockets = folder.join("p");
        fs::create_dir_all(&sockets).unwrap();
        let (port, metrics) = (free_port(), free_port());
        let path = |name: &str| folder.join(name).display().to_string();
        let socket = sockets.join(format!(".s.PGSQL.{port}")).display().to_string();
        let mut config = format!(
            "listen = [\"127.0.0.1:{port}\", \"{socket}\"]\nmetrics = \"127.0.0.1:{metrics}\"\nrules = \"{}\"\n",
            path("rules"),
        );
        config.push_str(&options.settings);
        if !options.settings.contains("[upstream]") {
            config.push_str(&format!(
                "\n[upstream]\nurl = \"postgres://{}:catalog@127.0.0.1:{}/{}\"\n",
                options.user, server.port, options.database
            ));
        }
        if !options.settings.contains("[audit]") {
            config.push_str(&format!("\n[audit]\npath = \"{}\"\n", path("audit.jsonl")));
        }
        let config = folder.write("pgscrim.toml", &config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        command.arg("serve").arg("--config").arg(&config);
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(fs::File::create(folder.join("stdout")).unwrap());
        command.stderr(fs::File::create(folder.join("stderr")).unwrap());
        for (name, value) in &options.environment {
            command.env(name, value);
        }
        let mut child = command.spawn().unwrap();
        folder.end_with_folder(child.id(), "TERM");
        wait_for("pgscrim to be ready", Duration::from_secs(60), || {
            if let Some(status) = child.try_wait().unwrap() {
                let said = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
                return Some(Err(format!("pgscrim ended with {status}\n{}{}", said("stdout"), said("stderr"))));
            }
            http(metrics, "/readyz").filter(|answer| answer.starts_with("HTTP/1.1 200")).map(|_| Ok(()))
        })?;
        Ok((port, metrics, child))
    }

    pub fn address(&self) -> wire::Address {
        wire::Address::Tcp(self.port)
    }

    pub fn unix(&self) -> wire::Address {
        wire::Address::Unix(self.sockets.join(format!(".s.PGSQL.{}", self.port)))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A session of our own wire client.
    pub fn connect(&self, user: &str, database: &str) -> wire::Client {
        wire::Client::connect(&self.address(), &[("user", user), ("database", database)]).unwrap_or_else(|refused| {
            panic!("{user}@{database}: {}\n{}", wire::describe(&refused), self.log());
        })
    }

    /// The body of an HTTP page of the metrics port.
    pub fn page(&self, path: &str) -> String {
        let answer = http(self.metrics, path).unwrap_or_else(|| panic!("no answer for {path}"));
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// The audit events so far, as JSON.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder.join("audit.jsonl")).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("audit line: {error}: {line}")))
            .collect()
    }

    /// What the proxy logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
            + &fs::read_to_string(self.folder.join("stdout")).unwrap_or_default()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Resident memory in KiB, and its peak.
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (line("VmRSS:"), line("VmHWM:"))
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        wait_for("pgscrim to end", Duration::from_secs(60), || self.child.try_wait().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            println!("--- last lines of pgscrim's log");
            for line in tail.iter().rev() {
                println!("{line}");
            }
        }
        // Sessions may be open: no drain.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP GET, none when nobody listens.
pub fn http(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}
