//! [`Postgres`]: a private PostgreSQL server, started as an unprivileged user on a free port and a Unix socket.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{Folder, free_port, run, wait_for, wire};

pub struct Postgres {
    pub port: u16,
    /// Folder of the socket file `.s.PGSQL.<port>`.
    pub sockets: PathBuf,
    pub data: PathBuf,
    child: Child,
    folder: Folder,
}

/// The superuser that initdb makes.
pub const SUPERUSER: &str = "postgres";

impl Postgres {
    /// A server that trusts everybody.
    pub fn start() -> Self {
        Self::start_with("", "host all all 127.0.0.1/32 trust\nlocal all all trust\n")
    }

    /// A server with lines added to `postgresql.conf` and this `pg_hba.conf`.
    pub fn start_with(settings: &str, hba: &str) -> Self {
        let mut folder = Folder::new();
        let data = folder.join("data");
        run(Command::new("cp").arg("-a").arg(template()).arg(&data));
        let mut conf = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        conf.push_str(
            "\nfsync = off\nautovacuum = off\nshared_buffers = 32MB\nmax_connections = 120\nlc_messages = 'C'\n\
             timezone = 'UTC'\nlog_timezone = 'UTC'\nlisten_addresses = '127.0.0.1'\nlogging_collector = off\n\
             max_wal_size = 4GB\ndeadlock_timeout = 1s\n",
        );
        conf.push_str(settings);
        fs::write(data.join("postgresql.conf"), conf).unwrap();
        fs::write(data.join("pg_hba.conf"), hba).unwrap();
        let sockets = folder.join("s");
        fs::create_dir_all(&sockets).unwrap();
        if let Some((user, group)) = other_user() {
            run(Command::new("chown").arg("-R").arg(format!("{user}:{group}")).arg(&data).arg(&sockets));
        }
        for _ in 0..5 {
            let port = free_port();
            let log = fs::File::create(folder.join("postgres.log")).unwrap();
            let mut command = unprivileged(&program("postgres"));
            command.arg("-D").arg(&data).arg("-k").arg(&sockets).arg("-p").arg(port.to_string());
            command.current_dir(&sockets).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let mut child = command.spawn().unwrap();
            // INT is a fast shutdown; QUIT would leave shared memory of the system behind.
            folder.end_with_folder(child.id(), "INT");
            let started = wait_for("PostgreSQL", Duration::from_secs(60), || {
                if child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let log = fs::read_to_string(folder.join("postgres.log")).unwrap_or_default();
                log.contains("database system is ready to accept connections").then_some(true)
            });
            if started {
                return Self { port, sockets, data, child, folder };
            }
        }
        panic!("PostgreSQL did not start:\n{}", fs::read_to_string(folder.join("postgres.log")).unwrap());
    }

    /// The major version.
    pub fn version(&self) -> u32 {
        let row = self.sql("postgres", "SELECT current_setting('server_version_num')::int / 10000");
        row[0][0].as_deref().unwrap().parse().unwrap()
    }

    pub fn address(&self) -> wire::Address {
        wire::Address::Tcp(self.port)
    }

    /// Runs SQL as the superuser. Panics at an error.
    pub fn sql(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        let socket = self.sockets.join(format!(".s.PGSQL.{}", self.port));
        let mut client =
            wire::Client::connect(&wire::Address::Unix(socket), &[("user", SUPERUSER), ("database", database)])
                .unwrap_or_else(|refused| panic!("PostgreSQL: {}", wire::describe(&refused)));
        let messages = client.simple(sql);
        if let Some(error) = messages.iter().find(|message| message.kind == b'E') {
            panic!("{}\n{sql}", wire::describe(std::slice::from_ref(error)));
        }
        wire::text_rows(&messages)
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("postgres.log")).unwrap_or_default()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs `pg_ctl`-like reload: rereads `pg_hba.conf` and settings.
    pub fn reload(&self) {
        self.sql("postgres", "SELECT pg_reload_conf()");
        std::thread::sleep(Duration::from_millis(200));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The watchdog would wait for a child that nobody reaps.
        let _ = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        for _ in 0..250 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Path of a server program of the newest PostgreSQL found.
pub fn program(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(folder) = std::env::var_os("PGSCRIM_PG_BIN") {
        folders.push(folder.into());
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let mut versions: Vec<PathBuf> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|root| fs::read_dir(root).ok())
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.iter().map(|folder| folder.join(name)).find(|path| path.exists()).unwrap_or_else(|| {
        panic!("no PostgreSQL server program `{name}` found: install PostgreSQL, or set PGSCRIM_PG_BIN")
    })
}

/// User and group for the server when the tests run as root, which PostgreSQL refuses.
fn other_user() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if number(&["-u"])? != 0 {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|user| Some((number(&["-u", user])?, number(&["-g", user])?)))
}

fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command.env("LC_ALL", "C").env_remove("PGDATA");
    command
}

/// A data folder fresh from initdb, made once for all test processes.
fn template() -> PathBuf {
    let version = run(Command::new(program("postgres")).arg("--version"));
    let version: String =
        String::from_utf8_lossy(&version.stdout).chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = home.join(format!("data-{version}"));
    if template.join("PG_VERSION").exists() {
        return template;
    }
    let folder = Folder::new();
    if let Some((user, group)) = other_user() {
        run(Command::new("chown").arg(format!("{user}:{group}")).arg(folder.path()));
    }
    let fresh = folder.join("fresh");
    run(unprivileged(&program("initdb"))
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", SUPERUSER, "-D"])
        .arg(&fresh)
        .current_dir(folder.path()));
    let copy = home.join(format!("data-{version}.{}", folder.path().file_name().unwrap().to_string_lossy()));
    run(Command::new("cp").arg("-a").arg(&fresh).arg(&copy));
    // Whoever is first wins; the others drop theirs.
    if fs::rename(&copy, &template).is_err() {
        let _ = fs::remove_dir_all(&copy);
    }
    template
}
