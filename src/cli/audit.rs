//! `pgscrim audit tail`: shows the audit log as it grows, over rotations. In: the file of JSON lines. Out: the events
//! that pass the filters, for people or as they are.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::{Failure, args, coverage, output::Format, print};
use crate::diagnostic::printable;

const POLL: Duration = Duration::from_millis(200);

pub(super) fn command() -> Command {
    let filter = |name: &'static str, env: &'static str, help: &'static str| {
        Arg::new(name).long(name).env(env).value_name("NAME").help(help)
    };
    let tail = Command::new("tail")
        .about("Show the audit log as it grows")
        .after_help(
            "Examples:\n  \
             pgscrim audit tail --config pgscrim.toml --decision refuse\n  \
             pgscrim audit tail --audit-path audit.jsonl --column phone --json | jq .text\n  \
             pgscrim audit tail --audit-path audit.jsonl --lines all --once",
        )
        .args([
            filter("role", "PGSCRIM_ROLE", "Only this policy role"),
            filter("user", "PGSCRIM_USER", "Only this login role"),
            filter("decision", "PGSCRIM_DECISION", "Only this decision: forward, rewrite or refuse")
                .value_parser(["forward", "rewrite", "refuse"]),
            filter(
                "column",
                "PGSCRIM_COLUMN",
                "Only accesses to this personal column: column, table.column or schema.table.column",
            ),
            Arg::new("lines")
                .long("lines")
                .short('n')
                .env("PGSCRIM_LINES")
                .value_name("NUMBER|all")
                .default_value("10")
                .value_parser(value_parser!(String))
                .help("How many of the events already there to show"),
            Arg::new("once")
                .long("once")
                .env("PGSCRIM_ONCE")
                .action(ArgAction::SetTrue)
                .help("End at the end of the file instead of waiting for more"),
        ])
        .arg(args::config_file())
        .args(args::format(&[Format::Human, Format::Json]))
        .args(args::keys(|key| key == "audit.path"));
    Command::new("audit")
        .about("The audit log")
        .subcommand_required(true)
        .subcommand(tail)
        .subcommand(coverage::command())
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let matches = match matches.subcommand() {
        Some(("tail", matches)) => matches,
        Some(("coverage", matches)) => return coverage::run(matches),
        Some(_) | None => return Err(Failure::new("no such command")),
    };
    let path = args::Given::new(matches)?.audit_path()?;
    let lines = match matches.get_one::<String>("lines").map(String::as_str) {
        Some("all") => usize::MAX,
        Some(text) => {
            text.parse().map_err(|_| Failure::new(format!("--lines: \"{text}\" is neither a number nor \"all\"")))?
        }
        None => 10,
    };
    let view = View {
        role: matches.get_one::<String>("role").cloned(),
        user: matches.get_one::<String>("user").cloned(),
        decision: matches.get_one::<String>("decision").cloned(),
        column: matches.get_one::<String>("column").cloned(),
        json: args::chosen_format(matches) == Format::Json,
    };
    let failed = |error: io::Error| unreadable(&path, &error);
    let file = File::open(&path).map_err(failed)?;
    let mut tail = Tail { identity: identity(&file).map_err(failed)?, reader: BufReader::new(file), line: Vec::new() };
    let mut last = std::collections::VecDeque::new();
    while let Some(line) = tail.next_line().map_err(failed)? {
        last.extend(view.show(&line));
        if last.len() > lines {
            last.pop_front();
        }
    }
    for shown in last {
        print(&shown)?;
    }
    if matches.get_flag("once") {
        return Ok(());
    }
    loop {
        while let Some(line) = tail.next_line().map_err(failed)? {
            if let Some(shown) = view.show(&line) {
                print_or_end(&shown)?;
            }
        }
        if !tail.follow(&path).map_err(failed)? {
            std::thread::sleep(POLL);
        }
    }
}

/// As [`print`], but ends the command when nobody reads any more.
fn print_or_end(text: &str) -> Result<(), Failure> {
    use io::Write;
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(format!("could not write to standard output: {error}")))
}

struct Tail {
    reader: BufReader<File>,
    identity: (u64, u64),
    /// What was read of a line that is still being written.
    line: Vec<u8>,
}

impl Tail {
    /// The next whole line, none at the end for now.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.reader.read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n").then(|| std::mem::take(&mut self.line)))
    }

    /// Goes over to the file that now has the name, if it is another one, after the old one was read to its end.
    fn follow(&mut self, path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            // Between the renaming of the old file and the making of the new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let identity = identity(&file)?;
        if identity != self.identity {
            if !self.reader.fill_buf()?.is_empty() {
                return Ok(true);
            }
            *self = Self { identity, reader: BufReader::new(file), line: Vec::new() };
            return Ok(true);
        }
        // Emptied in place (logrotate's copytruncate).
        if file.metadata()?.len() < self.reader.stream_position()? {
            self.reader.seek(SeekFrom::Start(0))?;
            self.line.clear();
            return Ok(true);
        }
        Ok(false)
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// What is shown, and how.
struct View {
    role: Option<String>,
    user: Option<String>,
    decision: Option<String>,
    column: Option<String>,
    json: bool,
}

impl View {
    /// The line as it is shown; none when a filter leaves it out.
    fn show(&self, line: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(line);
        let Ok(event) = serde_json::from_str::<Value>(&text) else {
            return Some(format!("(not an audit event: {} bytes)\n", line.len()));
        };
        let field = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let passes = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| field(name) == wanted);
        let columns = || event.get("columns").and_then(Value::as_array).into_iter().flatten();
        let name_of = |column: &Value| column.get("column").and_then(Value::as_str).unwrap_or_default().to_owned();
        let has_column = self.column.as_deref().is_none_or(|wanted| {
            columns().any(|column| {
                let name = name_of(column);
                name == wanted || name.ends_with(&format!(".{wanted}"))
            })
        });
        if !(passes(&self.role, "role")
            && passes(&self.user, "user")
            && passes(&self.decision, "decision")
            && has_column)
        {
            return None;
        }
        if self.json {
            return Some(text.into_owned());
        }
        let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or_default();
        let mut out = format!(
            "{} {} ({}) {} {}",
            field("time"),
            printable(field("user")),
            printable(field("role")),
            field("kind"),
            field("decision")
        );
        let ending = match field("outcome") {
            "completed" => format!("{} rows", number("rows")),
            "refused" => format!("{} {}", field("refusal"), field("sqlstate")),
            other => format!("{other} {}", field("sqlstate")),
        };
        // Writing to a string cannot fail.
        let _ = write!(out, ", {}, {:.1} ms", ending.trim_end(), number_ms(number("duration_us")));
        for column in columns() {
            let part = |name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default();
            let _ = write!(
                out,
                "\n    {} ({}): {}",
                printable(part("column")),
                printable(part("category")),
                part("treatment")
            );
        }
        let _ = writeln!(out, "\n    {}", printable(field("text")));
        Some(out)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn number_ms(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

/// An audit log that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let why = if is_missing { " (`pgscrim serve` writes it; `audit.path` names it)" } else { "" };
    Failure::new(format!("could not read {}: {error}{why}", path.display()))
}
