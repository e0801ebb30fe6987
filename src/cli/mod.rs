//! The commands of the `pgscrim` binary. In: arguments. Out: text on standard output, messages on standard error, an
//! exit code: 0 fine, 1 could not run, 2 refused, 3 rules invalid. Commands that answer a question of CI (`test`, `diff`)
//! follow `diff` and `grep` instead: 0 yes, 1 no, 2 could not say.
//!
//! A command is a module with `command()`, which describes its arguments, and `run()`.

pub mod args;
pub mod audit;
pub mod catalog;
pub mod check;
mod check_command;
mod coverage;
pub mod demo;
pub mod detect;
pub mod diff;
pub mod discover;
pub mod explain;
pub mod findings;
pub mod http;
pub mod install;
mod logging;
pub mod output;
mod promised;
mod report;
pub mod serve;
pub mod test;

use std::{ffi::OsString, fmt, io::Write, process::ExitCode};

use clap::Command;

use crate::{diagnostic::Diagnostics, engine::LONG_STACK};

/// Why a command ended without doing what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1.
    CouldNotRun(String),
    /// Exit code 2.
    Refused(String),
    /// Exit code 3.
    RulesInvalid(Diagnostics),
    /// The answer is no, and was printed. Exit code 1; the text, where there is one, goes to standard error.
    Negative(String),
    /// Any of the above, for a command whose exit code 1 means no. Exit code 2.
    Trouble(Box<Failure>),
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(cause: impl fmt::Display) -> Self {
        Self::CouldNotRun(cause.to_string())
    }

    /// The same as a failure of a command whose exit code 1 means no.
    #[must_use]
    pub fn as_trouble(self) -> Self {
        if let Self::Negative(_) = self { self } else { Self::Trouble(Box::new(self)) }
    }

    fn code(&self) -> u8 {
        match self {
            Self::CouldNotRun(_) | Self::Negative(_) => 1,
            Self::Refused(_) | Self::Trouble(_) => 2,
            Self::RulesInvalid(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Complaints with carets start with "error:" themselves.
            Self::CouldNotRun(text) if text.starts_with("error:") => f.write_str(text.trim_end()),
            Self::CouldNotRun(text) | Self::Refused(text) | Self::Negative(text) => {
                write!(f, "pgscrim: {}", text.trim_end())
            }
            Self::Trouble(failure) => failure.fmt(f),
            Self::RulesInvalid(complaints) => f.write_str(complaints.to_string().trim_end()),
        }
    }
}

/// Runs the command in `arguments` (the program's name first).
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    // 1 means no there.
    let answers = arguments.get(1).is_some_and(|name| name == "test" || name == "diff");
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            let code = if answers { 2 } else { 1 };
            return ExitCode::from(if error.use_stderr() { code } else { 0 });
        }
    };
    let result = match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        Some(("discover", matches)) => discover::run(matches),
        Some(("check", matches)) => check_command::run(matches),
        Some(("test", matches)) => with_room(|| test::run(matches)),
        Some(("diff", matches)) => with_room(|| diff::run(matches)),
        Some(("explain", matches)) => with_room(|| explain::run(matches)),
        Some(("audit", matches)) => audit::run(matches),
        Some(("catalog", matches)) => catalog::run(matches),
        Some(("install", matches)) => install::run(matches),
        Some(("report", matches)) => report::run(matches),
        Some(("demo", matches)) => demo::run(matches),
        Some(_) | None => Err(Failure::new("no such command")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(&failure, Failure::Negative(text) if text.is_empty()) {
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}

/// Runs what judges statements, which need room on the stack as far as they are nested.
fn with_room(work: impl FnOnce() -> Result<(), Failure> + Send) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(LONG_STACK).spawn_scoped(scope, work);
        let ended = thread.map_err(|error| Failure::new(format!("no thread could be started: {error}")))?.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The whole command line.
pub fn command() -> Command {
    Command::new("pgscrim")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A PostgreSQL wire proxy: personal data comes out clear, masked, withheld or refused, as the rules say")
        .after_help(
            "Start with:\n  \
             pgscrim demo\n  \
             pgscrim discover --upstream-url postgres://pgscrim@127.0.0.1/shop > my-rules/10-data.toml\n  \
             pgscrim check --rules rules/acros --upstream-url postgres://pgscrim@127.0.0.1/shop\n  \
             pgscrim serve --config pgscrim.toml\n  \
             pgscrim test --config pgscrim.toml\n  \
             pgscrim diff --config pgscrim.toml rules-in-force my-rules\n  \
             pgscrim explain --config pgscrim.toml --role packing 'SELECT * FROM customers'\n  \
             pgscrim audit tail --config pgscrim.toml\n\n\
             Exit codes: 0 fine, 1 could not run, 2 refused, 3 rules invalid. Those of test and diff are in their own help.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(110)
        .subcommands([
            serve::command(),
            discover::command(),
            check_command::command(),
            test::command(),
            diff::command(),
            explain::command(),
            audit::command(),
            catalog::command(),
            install::command(),
            report::command(),
            demo::command(),
        ])
}

/// Writes to standard output; a reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("could not write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
