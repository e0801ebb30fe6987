//! [`PrivatePostgres`]: a PostgreSQL server of our own, for the demo and for tests. In: [`Options`]. Out: a server that is
//! ready, on a free port of 127.0.0.1 and a Unix socket. Invariants: it runs as an unprivileged user, in a fresh folder
//! that nobody else may enter, and is gone when the value is dropped or this process dies.

use std::{
    fmt::Write as _,
    fs, io,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::scratch::{Scratch, unprivileged_user};

/// The superuser that `initdb` makes.
pub const SUPERUSER: &str = "postgres";

/// How long the server may take to be ready; slow disks are slow.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How the server knows who connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// It believes everybody. Every user of the machine is then superuser: for tests.
    #[default]
    Trust,
    /// By password (SCRAM); the superuser only through the Unix socket, which the folder's owner alone can reach.
    Scram,
}

/// What is special about a server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How it knows who connects.
    pub authentication: Authentication,
    /// Further settings, such as `("max_connections", "200")`; they win over our own.
    pub settings: Vec<(String, String)>,
    /// Where the programs are; none for [`find_programs`].
    pub programs: Option<PathBuf>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No folder holds the server's programs.
    #[error(
        "no PostgreSQL server programs (postgres, initdb) found, neither in PATH nor in {}; install PostgreSQL \
         (`apt-get install postgresql`, `brew install postgresql@17`) or set PGSCRIM_PG_BIN to the folder that holds them",
        .0.join(", ")
    )]
    NotFound(Vec<String>),
    /// The system refused something.
    #[error("could not {0}: {1}")]
    Io(String, #[source] io::Error),
    /// A program failed; what it said.
    #[error("{program} failed ({status}):\n{said}")]
    Program {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// Its output.
        said: String,
    },
    /// The server did not get ready; its log.
    #[error("PostgreSQL did not start:\n{0}")]
    Start(String),
}

fn failed_to(what: impl Into<String>) -> impl FnOnce(io::Error) -> PostgresError {
    let what = what.into();
    move |error| PostgresError::Io(what, error)
}

/// A running server; see the document of the module.
#[derive(Debug)]
pub struct PrivatePostgres {
    port: u16,
    programs: PathBuf,
    version: String,
    user: Option<(u32, u32)>,
    server: u32,
    /// Ends the server when it goes.
    scratch: Scratch,
}

impl PrivatePostgres {
    /// Makes and starts a server and waits until it is ready.
    ///
    /// # Errors
    /// When there are no programs, or one of them fails.
    pub fn start(options: &Options) -> Result<Self, PostgresError> {
        let programs = match &options.programs {
            Some(folder) => folder.clone(),
            None => find_programs()?,
        };
        let version = version(&programs)?;
        let user = unprivileged_user().map_err(failed_to("find a user that PostgreSQL may run as"))?;
        let scratch = Scratch::new(user).map_err(failed_to("make a temporary folder"))?;
        let mut server = Self { port: 0, programs, version, user, server: 0, scratch };
        server.initialise()?;
        server.configure(options)?;
        server.launch()?;
        Ok(server)
    }

    /// `127.0.0.1`
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Folder of the Unix socket `.s.PGSQL.<port>`.
    pub fn socket_folder(&self) -> PathBuf {
        self.scratch.path().join("s")
    }

    /// Name of the superuser.
    pub fn superuser(&self) -> &'static str {
        SUPERUSER
    }

    /// Folder of the server's programs, psql among them.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Such as `15.18`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Uid and gid of the server, when it is not this process's own user.
    pub fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// Process id of the server.
    pub fn id(&self) -> u32 {
        self.server
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("server.log")).unwrap_or_default()
    }

    /// Runs SQL as the superuser through psql; answers with its rows, unaligned, values parted by `|`.
    ///
    /// # Errors
    /// When psql or a statement fails; the first failure ends it.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, PostgresError> {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg("-h")
            .arg(self.socket_folder())
            .args(["-p", &self.port.to_string(), "-U", SUPERUSER, "-d", database])
            .env("PGCLIENTENCODING", "UTF8");
        for (name, _) in std::env::vars_os() {
            // A service file, a password or options of the user's must not lead elsewhere.
            if name.to_string_lossy().starts_with("PG") && name != "PGCLIENTENCODING" {
                psql.env_remove(name);
            }
        }
        let output = run_with_input(psql, sql)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// A program of the server, run by the server's user.
    fn program(&self, name: &str) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(self.programs.join(name));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // The folder we were started from may be closed to that user.
        command
            .current_dir(self.scratch.path())
            .env("HOME", self.scratch.path())
            .env("LC_ALL", "C")
            .env_remove("PGDATA");
        command
    }

    fn initialise(&self) -> Result<(), PostgresError> {
        // Not every system has each; C knows no upper and lower case beyond ASCII and is the last resort.
        let mut result = Ok(());
        for locale in ["C.UTF-8", "en_US.UTF-8", "C"] {
            let mut initdb = self.program("initdb");
            initdb
                .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "-U", SUPERUSER])
                .arg(format!("--locale={locale}"))
                .arg("-D")
                .arg(self.data());
            match run_with_input(initdb, "") {
                Ok(_) => return Ok(()),
                Err(error) => result = Err(error),
            }
            let _ = fs::remove_dir_all(self.data());
        }
        result
    }

    fn configure(&self, options: &Options) -> Result<(), PostgresError> {
        let sockets = self.socket_folder();
        let hba = match options.authentication {
            Authentication::Trust => "local all all trust\nhost all all 127.0.0.1/32 trust\n".to_owned(),
            Authentication::Scram => format!(
                "local all {SUPERUSER} trust\nhost all {SUPERUSER} all reject\n\
                 local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
            ),
        };
        let own = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &format!("\"{}\"", sockets.display().to_string().replace('"', "\"\""))),
            ("password_encryption", "scram-sha-256"),
            ("max_connections", "120"),
            ("shared_buffers", "64MB"),
            ("max_wal_size", "4GB"),
            // It is thrown away in the end.
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("synchronous_commit", "off"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("lc_messages", "C"),
            ("logging_collector", "off"),
        ];
        let mut text = String::from("\n");
        let given = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(given) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"));
        }
        let conf = self.data().join("postgresql.conf");
        let append = || -> io::Result<()> {
            fs::OpenOptions::new().append(true).open(&conf)?.write_all(text.as_bytes())?;
            fs::write(self.data().join("pg_hba.conf"), hba)?;
            fs::create_dir(&sockets)?;
            if let Some((user, group)) = self.user {
                std::os::unix::fs::chown(&sockets, Some(user), Some(group))?;
            }
            Ok(())
        };
        append().map_err(failed_to("configure the server"))
    }

    fn launch(&mut self) -> Result<(), PostgresError> {
        let log = self.scratch.path().join("server.log");
        // A port that was free may be taken when the server gets to it.
        for _ in 0..5 {
            self.port = free_port().map_err(failed_to("find a free port"))?;
            let file = fs::File::create(&log).map_err(failed_to("make the server's log"))?;
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
            // INT is the fast shutdown: sessions are ended, nothing is left in shared memory.
            self.server = self.scratch.spawn(&mut command, Signal::INT).map_err(failed_to("start postgres"))?;
            let begin = Instant::now();
            loop {
                if self.scratch.ended(self.server).map_err(failed_to("look after postgres"))?.is_some() {
                    break;
                }
                if self.is_ready() {
                    return Ok(());
                }
                if begin.elapsed() > START_LIMIT {
                    return Err(PostgresError::Start(self.log()));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            if !self.log().contains("could not bind") {
                break;
            }
        }
        Err(PostgresError::Start(self.log()))
    }

    /// The eighth line of the lock file is the postmaster's state.
    fn is_ready(&self) -> bool {
        let lock = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        lock.lines().nth(7).is_some_and(|state| state.trim() == "ready")
    }
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The folder of the server's programs: `PGSCRIM_PG_BIN` when set, else the first that has them of PATH, Debian's and Red
/// Hat's folders (newest version first), Homebrew's, Postgres.app.
///
/// # Errors
/// Where was looked, in vain.
pub fn find_programs() -> Result<PathBuf, PostgresError> {
    if let Some(folder) = std::env::var_os("PGSCRIM_PG_BIN").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        return if is_complete(&folder) {
            Ok(folder)
        } else {
            Err(PostgresError::NotFound(vec![format!("{} (PGSCRIM_PG_BIN)", folder.display())]))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    folders.extend(known_folders(Path::new("/")));
    if let Some(folder) = folders.into_iter().find(|folder| is_complete(folder)) {
        return Ok(folder);
    }
    Err(PostgresError::NotFound(KNOWN.iter().map(|(root, prefix)| format!("/{root}/{prefix}*")).collect()))
}

/// Folders with one folder a version, and what the versions' names start with.
const KNOWN: [(&str, &str); 6] = [
    ("usr/lib/postgresql", ""),
    ("usr", "pgsql-"),
    ("opt/homebrew/opt", "postgresql"),
    ("usr/local/opt", "postgresql"),
    ("home/linuxbrew/.linuxbrew/opt", "postgresql"),
    ("Applications/Postgres.app/Contents/Versions", ""),
];

/// Folders under `root` where systems put the programs; the newest version of each kind first.
fn known_folders(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (folder, prefix) in KNOWN {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let version = name.to_str()?.strip_prefix(prefix)?.trim_start_matches(['@', '-']);
                Some((version.parse().unwrap_or(0), entry.path().join("bin")))
            })
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        found.extend(versions.into_iter().map(|(_, folder)| folder));
    }
    found
}

/// Whether the folder holds what is needed to run a server. Debian's `/usr/bin` holds psql alone.
fn is_complete(folder: &Path) -> bool {
    ["postgres", "initdb", "psql"].iter().all(|name| folder.join(name).is_file())
}

fn version(programs: &Path) -> Result<String, PostgresError> {
    let mut command = Command::new(programs.join("postgres"));
    command.arg("--version");
    let output = run_with_input(command, "")?;
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().nth(2).unwrap_or_default().to_owned())
}

/// Runs a program to its end. Its output goes through files of the system's, so that neither side waits for the other.
fn run_with_input(mut command: Command, input: &str) -> Result<Output, PostgresError> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed_to(format!("run {program}")))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // A program that ends early closes its end; its status says why.
            scope.spawn(move || stdin.write_all(input.as_bytes()));
        }
        child.wait_with_output()
    });
    let output = output.map_err(failed_to(format!("run {program}")))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Err(PostgresError::Program {
        program,
        status: output.status.to_string(),
        said: said.concat().trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_versions_come_first() {
        let scratch = Scratch::new(None).unwrap();
        let root = scratch.path();
        for folder in [
            "usr/lib/postgresql/9",
            "usr/lib/postgresql/15",
            "opt/homebrew/opt/postgresql@17",
            "opt/homebrew/opt/redis",
        ] {
            fs::create_dir_all(root.join(folder).join("bin")).unwrap();
        }
        let found: Vec<String> =
            known_folders(root).iter().map(|folder| folder.strip_prefix(root).unwrap().display().to_string()).collect();
        assert_eq!(
            found,
            ["usr/lib/postgresql/15/bin", "usr/lib/postgresql/9/bin", "opt/homebrew/opt/postgresql@17/bin"]
        );
        assert!(!is_complete(root));
    }
}
