//! `pgscrim demo`: a private PostgreSQL with the ACROS shop, pgscrim in front of it, and what each login sees through it.
//! In: nothing but the server's programs. Out: text on standard output. Invariants: what is shown was really sent through
//! the proxy, and is judged: a demo that shows more than the rules allow fails; nothing of it is left when it ends.

pub mod postgres;
mod proxy;
mod scenes;
pub mod scratch;
pub mod shop;
mod show;
pub mod text;

use std::{
    io::IsTerminal,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    postgres::{Authentication, Options, PrivatePostgres},
    proxy::{Proxy, Wishes},
    text::Style,
};
use super::{Failure, print};

pub(super) fn command() -> Command {
    Command::new("demo")
        .about("Show it: a private PostgreSQL with an invented shop, and what each role sees of one customer")
        .after_help(
            "Needs the server programs of PostgreSQL (Debian: postgresql; Homebrew: postgresql@17), found in PATH, in the\n\
             usual places or in PGSCRIM_PG_BIN. Installs nothing, and leaves nothing behind.\n\nExamples:\n  \
             pgscrim demo\n  \
             pgscrim demo --once\n  \
             pgscrim demo --rules my-rules --port 7000",
        )
        .args([
            Arg::new("once")
                .long("once")
                .env("PGSCRIM_DEMO_ONCE")
                .action(ArgAction::SetTrue)
                .help("End after printing instead of waiting for Ctrl-C"),
            Arg::new("port")
                .long("port")
                .env("PGSCRIM_DEMO_PORT")
                .value_name("PORT")
                .value_parser(value_parser!(u16).range(1..))
                .help("Port of the proxy [default: 6432, or a free one when it is taken]"),
            Arg::new("metrics_port")
                .long("metrics-port")
                .env("PGSCRIM_DEMO_METRICS_PORT")
                .value_name("PORT")
                .value_parser(value_parser!(u16).range(1..))
                .help("Port of /metrics [default: 9632, or a free one when it is taken]"),
            Arg::new("rules")
                .long("rules")
                .env("PGSCRIM_DEMO_RULES")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Directory of rule files [default: rules/acros, or those built in]"),
        ])
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let wishes = Wishes {
        port: matches.get_one("port").copied(),
        metrics: matches.get_one("metrics_port").copied(),
        rules: matches.get_one("rules").cloned(),
    };
    let once = matches.get_flag("once");
    let style = Style::new(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("could not start the runtime: {error}")))?;
    // Dropping the runtime waits for the thread that sets the stage, and with it for the end of what it started.
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let setting = {
            let cancelled = Arc::clone(&cancelled);
            tokio::task::spawn_blocking(move || set_stage(&wishes, style, &cancelled))
        };
        let interrupted = || Failure::new("interrupted");
        let mut stage = tokio::select! {
            set = setting => set.map_err(Failure::new)??,
            () = signals.any() => {
                cancelled.store(true, Ordering::Relaxed);
                return Err(interrupted());
            }
        };
        tokio::select! {
            shown = show::perform(&stage, style) => shown?,
            () = signals.any() => return Err(interrupted()),
        }
        if once {
            return Ok(());
        }
        print(&show::invitation(&stage, style))?;
        loop {
            tokio::select! {
                () = signals.any() => break,
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    if !stage.proxy.is_running() {
                        return Err(stage.proxy.failure("has ended"));
                    }
                }
            }
        }
        print("\nStopping; everything of the demo is removed.\n")
    })
}

/// What must be up before anything can be shown. The proxy goes first.
struct Stage {
    proxy: Proxy,
    server: PrivatePostgres,
}

fn set_stage(wishes: &Wishes, style: Style, cancelled: &AtomicBool) -> Result<Stage, Failure> {
    let go_on = || if cancelled.load(Ordering::Relaxed) { Err(Failure::new("interrupted")) } else { Ok(()) };
    print(&format!("{}\n\n", style.bold("pgscrim demo: the ACROS shop, seen by those who work with it")))?;
    let options = Options { authentication: Authentication::Scram, ..Options::default() };
    let server = PrivatePostgres::start(&options).map_err(Failure::new)?;
    go_on()?;
    let whose = if server.user().is_some() { ", not as root" } else { "" };
    print(&format!(
        "  PostgreSQL {} from {}{whose}: private, port {}, socket in {}\n",
        server.version(),
        server.programs().display(),
        server.port(),
        server.socket_folder().display()
    ))?;
    let begin = Instant::now();
    shop::load(&server).map_err(Failure::new)?;
    go_on()?;
    let counts = server
        .sql(shop::DATABASE, "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders)")
        .map_err(Failure::new)?;
    let (customers, orders) = counts.trim().split_once('|').unwrap_or_default();
    print(&format!(
        "  database {}: {customers} customers, {orders} orders, all invented, loaded in {:.1} s\n",
        shop::DATABASE,
        begin.elapsed().as_secs_f64()
    ))?;
    let proxy = Proxy::start(&server, wishes)?;
    let rules =
        if proxy.has_own_rules() { "built-in rules".to_owned() } else { format!("rules {}", proxy.rules().display()) };
    print(&format!("  pgscrim on 127.0.0.1:{}, {rules}\n", proxy.port()))?;
    Ok(Stage { proxy, server })
}

/// The signals that end the demo.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::new(format!("could not handle signals: {error}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
