//! `pgscrim audit coverage`: which statements of an application are refused, or would be if its role were not observed. In:
//! audit logs. Out: shares and the statements, and the columns that statements compare or sort by and the role does not see: those are
//! not refused, and find something else; for people or as JSON. Invariant: a statement is what its text without literals is; how often
//! it was sent does not make it count more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;
use serde_json::Value;

use super::{Failure, args, audit::unreadable, output::Format, print};
use crate::engine::AND_EXACT;

/// Longest text that is shown of a statement, in characters.
const SHOWN: usize = 300;

pub(super) fn command() -> Command {
    Command::new("coverage")
        .about("Show which statements were refused, or would be of an observed role")
        .after_help(
            "Run an application with `observe = true` in its [[role]], then ask what would be refused without it:\n  \
             pgscrim audit coverage --config pgscrim.toml --role shop\n  \
             pgscrim audit coverage --json audit.jsonl audit.jsonl.1 | jq '.roles[].refused[].refusal'\n\n\
             Ends with 2 when anything was refused or would be, so that a build can wait for it.",
        )
        .args([
            Arg::new("files")
                .value_name("FILE")
                .env("PGSCRIM_AUDIT_FILES")
                .value_delimiter(':')
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("Audit logs [default: the one of the configuration]"),
            Arg::new("role").long("role").env("PGSCRIM_ROLE").value_name("NAME").help("Only this policy role"),
        ])
        .arg(args::config_file())
        .args(args::format(&[Format::Human, Format::Json]))
        .args(args::keys(|key| key == "audit.path"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let files: Vec<PathBuf> = match matches.get_many::<PathBuf>("files") {
        Some(files) => files.cloned().collect(),
        None => vec![args::Given::new(matches)?.audit_path()?],
    };
    let only = matches.get_one::<String>("role");
    let mut roles: BTreeMap<String, BTreeMap<String, Statement>> = BTreeMap::new();
    for path in &files {
        let failed = |error: std::io::Error| unreadable(path, &error);
        for (number, line) in BufReader::new(File::open(path).map_err(failed)?).lines().enumerate() {
            let line = line.map_err(failed)?;
            let event: Value = match serde_json::from_str(&line) {
                Ok(event) => event,
                Err(error) => {
                    // The last line may be on its way.
                    let place = format!("{}:{}", path.display(), number + 1);
                    eprintln!("pgscrim: {place} is no audit event and is left out: {error}");
                    continue;
                }
            };
            let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let role = text("role");
            if only.is_none_or(|only| *only == role) {
                let statements = roles.entry(role).or_default();
                statements
                    .entry(text("fingerprint"))
                    .or_insert_with(|| Statement::new(text("kind"), text("text")))
                    .count(&event);
            }
        }
    }
    let report = Report { roles: roles.into_iter().map(|(name, statements)| Role::new(name, statements)).collect() };
    let text = if args::chosen_format(matches) == Format::Json {
        serde_json::to_string_pretty(&report).map_err(Failure::new)? + "\n"
    } else {
        report.to_text()
    };
    print(&text)?;
    let refused: usize = report.roles.iter().map(|role| role.refused.len()).sum();
    if refused == 0 { Ok(()) } else { Err(Failure::Refused(format!("{refused} statements are or would be refused"))) }
}

#[derive(Debug, Serialize)]
struct Report {
    roles: Vec<Role>,
}

#[derive(Debug, Serialize)]
struct Role {
    #[serde(rename = "role")]
    name: String,
    /// Distinct statements.
    statements: usize,
    /// Of these, how many are or would be rewritten.
    rewritten: usize,
    executions: u64,
    refused: Vec<Statement>,
    /// What statements compare or sort by, and the role does not see in clear.
    compared: Vec<Compared>,
}

#[derive(Debug, Serialize)]
struct Compared {
    column: String,
    treatment: String,
    /// Distinct statements.
    statements: u64,
}

#[derive(Debug, Serialize)]
struct Statement {
    kind: String,
    text: String,
    executions: u64,
    /// Of these, how many were refused or would have been.
    refusals: u64,
    /// The worst that became of it, or would have.
    decision: String,
    /// The codes of refusals.
    refusal: Option<String>,
    rules: Vec<String>,
    /// Columns, with their treatment, that it compares or sorts by while the role sees something else.
    #[serde(skip)]
    blind: BTreeSet<(String, String)>,
}

impl Statement {
    fn new(kind: String, text: String) -> Self {
        Self {
            kind,
            text,
            executions: 0,
            refusals: 0,
            decision: "forward".to_owned(),
            refusal: None,
            rules: Vec::new(),
            blind: BTreeSet::new(),
        }
    }

    fn count(&mut self, event: &Value) {
        self.executions += 1;
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let decision = text("observed").or_else(|| text("decision")).unwrap_or("forward");
        self.refusals += u64::from(decision == "refuse");
        if decision == "rewrite" {
            self.blind.extend(event.get("columns").and_then(Value::as_array).into_iter().flatten().filter_map(blind));
        }
        let rank = |decision: &str| ["forward", "rewrite", "refuse"].iter().position(|known| *known == decision);
        if rank(decision) >= rank(&self.decision) {
            decision.clone_into(&mut self.decision);
            let refusal = text("observed_refusal").or_else(|| text("refusal"));
            // A statement may be refused for one thing here and for another there.
            self.refusal = match (self.refusal.take(), refusal) {
                (Some(known), Some(code)) if !known.split(", ").any(|one| one == code) => {
                    Some(format!("{known}, {code}"))
                }
                (Some(known), _) => Some(known),
                (None, code) => code.map(str::to_owned),
            };
            let rules = event.get("rules").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            self.rules = rules.map(str::to_owned).collect();
        }
    }
}

/// A column of an event that the statement compares, joins, groups or sorts by without seeing the stored value.
fn blind(column: &Value) -> Option<(String, String)> {
    let text = |key: &str| column.get(key).and_then(Value::as_str);
    let (name, treatment) = (text("column")?, text("treatment")?);
    let used = column.get("usage").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let deciding = used.into_iter().any(|usage| matches!(usage, "predicate" | "join" | "group" | "order"));
    let seen = treatment == "exact" || treatment.ends_with(AND_EXACT) || treatment.starts_with("clear");
    (deciding && !seen).then(|| (name.to_owned(), treatment.to_owned()))
}

impl Role {
    fn new(name: String, statements: BTreeMap<String, Statement>) -> Self {
        let (count, executions) = (statements.len(), statements.values().map(|statement| statement.executions).sum());
        let rewritten = statements.values().filter(|statement| statement.decision == "rewrite").count();
        let mut columns: BTreeMap<(String, String), u64> = BTreeMap::new();
        for place in statements.values().flat_map(|statement| &statement.blind) {
            *columns.entry(place.clone()).or_default() += 1;
        }
        let compared = columns
            .into_iter()
            .map(|((column, treatment), statements)| Compared { column, treatment, statements })
            .collect();
        let mut refused: Vec<_> = statements.into_values().filter(|statement| statement.decision == "refuse").collect();
        refused.sort_by(|a, b| b.refusals.cmp(&a.refusals).then_with(|| a.text.cmp(&b.text)));
        Self { name, statements: count, rewritten, executions, refused, compared }
    }
}

impl Report {
    fn to_text(&self) -> String {
        let mut out = String::new();
        for role in &self.roles {
            let Role { name, statements, rewritten, executions, refused, compared } = role;
            let of = u64::try_from(*statements).unwrap_or(u64::MAX).max(1);
            let share = u64::try_from(refused.len()).unwrap_or(u64::MAX).saturating_mul(1000) / of;
            let _ = writeln!(
                out,
                "role {name}: {statements} statements, sent {executions} times; {rewritten} rewritten, {} refused ({}.{} %)",
                refused.len(),
                share / 10,
                share % 10
            );
            for statement in refused {
                let Statement { kind, text, executions, refusals, refusal, rules, .. } = statement;
                let shown: String = text.chars().take(SHOWN).collect();
                let more = if text.chars().nth(SHOWN).is_some() { " …" } else { "" };
                let rules = if rules.is_empty() { String::new() } else { format!("  by {}", rules.join(", ")) };
                let code = refusal.as_deref().unwrap_or("-");
                let _ = writeln!(out, "  {code}  {refusals} of {executions} times  {kind}{rules}\n      {shown}{more}");
            }
            if !compared.is_empty() {
                out.push_str(
                    "  compared or sorted by, and not seen in clear: these find something else than they do for others\n",
                );
            }
            for Compared { column, treatment, statements } in compared {
                let _ = writeln!(out, "    {column} ({treatment}): {statements} statements");
            }
        }
        if self.roles.is_empty() {
            out.push_str("no events\n");
        }
        out
    }
}
