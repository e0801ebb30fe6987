//! `pgscrim test`: the tests that rules carry (`*.test.toml`), run by the engine itself, without a statement being sent. In:
//! rule directories and a catalog. Out: for each test whether what a role gets is what the test says; exit code 0 all
//! passed, 1 some failed, 2 could not say.
//!
//! What an output column is treated with: the treatments of all columns that it is computed from, `clear` left out where
//! there is another, without repetition. A plain column has one; `full_name || phone` has those of both. A column that
//! a test does not name must be computed from nothing personal, so that `SELECT *` cannot show more unnoticed. Of an observed role
//! what would be enforced is tested, and standard error says so.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;

use super::{
    Failure, args,
    explain::{configured, configured_path, effective_path},
    output::{self, Format, Level, Remark, Spot},
    print, promised,
};
use crate::{
    catalog::CatalogSnapshot,
    diagnostic::{Diagnostics, suggestion},
    engine::{self, Inputs, OutputColumn, Plan, Protocol, QueryContext, Refused},
    names::{AttNum, Oid},
    policy::{
        LoginIdentity, RoleId, RolePolicy,
        rule_tests::{Expected, OTHERS, RuleTest, RuleTests, Who},
        rules::RuleSet,
        settings::PURPOSE,
    },
    reload::{FilesError, TEST_SUFFIX, read_rule_files, read_rule_tests},
};

pub(super) fn command() -> Command {
    Command::new("test")
        .about("Run the tests that rules carry: what a role gets for a statement, and why")
        .after_help(
            "Tests stand beside the rules in files named *.test.toml:\n\n  \
             [[test]]\n  \
             name = \"packing staff see the last digits of a telephone number\"\n  \
             role = \"packing\"                        # or a login: user = \"packing_app\"\n  \
             sql = \"SELECT id, phone, full_name || phone AS both FROM customers\"\n  \
             expect = { phone = \"phone_last\", both = [\"name_initials\", \"phone_last\"] }\n  \
             rules = [\"20-roles.toml\"]               # must be among what decided; also \"20-roles.toml:12\"\n\n  \
             [[test]]\n  \
             name = \"packing staff get no card number\"\n  \
             role = \"packing\"\n  \
             sql = \"SELECT card_pan FROM payments\"\n  \
             refuse = \"PGS0201\"\n\n\
             Beside either: search = { \"public.customers.phone\" = \"exact\" }, rows = { \"public.shipments\" = \"carrier = 'GHN'\" }, \
             sends = [\"text of the statement that is sent\"], documents = [\"1234/CV\"], recipient, legal_duty.\n\n\
             Statements are planned as the proxy plans them; nothing is run. A column that `expect` does not name must hold \
             nothing personal; \"#2\" is the second column, \"*\" every column not named.\n\n\
             Examples:\n  \
             pgscrim test --catalog shop.catalog.json rules/acros\n  \
             pgscrim test --config pgscrim.toml --format github\n\n\
             Exit codes: 0 all passed, 1 some failed, 2 could not run.",
        )
        .arg(
            Arg::new("paths")
                .value_name("PATHS")
                .env("PGSCRIM_TEST_RULES")
                .action(ArgAction::Append)
                .help("Rule directories, or files of tests beside their rules [default: the configured rules]"),
        )
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json, Format::Github]))
        .args(args::keys(|key| key == "rules" || key.starts_with("upstream.")))
}

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// `name` of the test.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub spot: Spot,
    /// Whether all came out as expected.
    pub passed: bool,
    /// What did not, one line each; empty when it passed.
    pub problems: Vec<String>,
    /// What came out.
    pub got: Got,
}

/// What came out of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Got {
    /// Output columns in order.
    Columns(Vec<GotColumn>),
    /// The code of the refusal and its message.
    Refusal(String, String),
}

/// One output column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GotColumn {
    /// Its name, `?column?` where the server makes one up.
    pub name: String,
    /// Its treatments.
    pub treatments: BTreeSet<String>,
    /// Whether any column that it is computed from is personal.
    pub personal: bool,
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Err(failure) = run_all(matches) else { return Ok(()) };
    if let (Failure::RulesInvalid(complaints), Format::Github) = (&failure, args::chosen_format(matches)) {
        print(&output::github(&output::complaints(complaints, "rule-test"))).map_err(Failure::as_trouble)?;
    }
    Err(failure.as_trouble())
}

fn run_all(matches: &ArgMatches) -> Result<(), Failure> {
    let given = args::Given::new(matches)?;
    let paths: Vec<PathBuf> = match matches.get_many::<String>("paths") {
        Some(paths) => paths.filter(|path| !path.is_empty()).map(PathBuf::from).collect(),
        None => Vec::new(),
    };
    let paths = if paths.is_empty() { vec![given.rules_directory()?] } else { paths };
    let mut sets = Vec::with_capacity(paths.len());
    for path in &paths {
        sets.push(read_set(path)?);
    }
    let catalog = given.snapshot(matches)?;
    let mut outcomes = Vec::new();
    for (rules, tests) in &sets {
        let policy = rules.compile(&catalog).map_err(Failure::RulesInvalid)?;
        let observed: BTreeSet<String> =
            policy.roles.iter().filter(|role| role.observed.is_some()).map(|role| role.name.clone()).collect();
        if !observed.is_empty() {
            let names: Vec<&str> = observed.iter().map(String::as_str).collect();
            let _ = writeln!(
                std::io::stderr(),
                "pgscrim: observed, so that nothing is enforced yet: {}; tested is what would be",
                names.join(", ")
            );
        }
        let policy = Arc::new(policy.enforced());
        let inputs = Inputs { catalog: Arc::clone(&catalog), policy };
        outcomes.extend(run_tests(tests, &inputs).map_err(Failure::RulesInvalid)?);
    }
    print(&match args::chosen_format(matches) {
        Format::Json => output::pretty(&outcomes),
        Format::Github => as_github(&outcomes),
        Format::Human | Format::Sarif => as_text(&outcomes),
    })?;
    if outcomes.iter().all(|outcome| outcome.passed) { Ok(()) } else { Err(Failure::Negative(String::new())) }
}

/// The rules at `path` and their tests: of a directory all, of a file of tests those in it.
fn read_set(path: &Path) -> Result<(RuleSet, RuleTests), Failure> {
    let failed = |error: FilesError| Failure::new(error);
    let one = path.to_string_lossy().ends_with(TEST_SUFFIX);
    let directory = match path.parent() {
        Some(parent) if one && parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) if one => parent,
        Some(_) | None => path,
    };
    let rules = RuleSet::parse(&read_rule_files(directory).map_err(failed)?).map_err(Failure::RulesInvalid)?;
    let mut files = read_rule_tests(directory).map_err(failed)?;
    if one {
        files.retain(|file| Path::new(&*file.path).file_name() == path.file_name());
    }
    let tests = RuleTests::parse(files).map_err(Failure::RulesInvalid)?;
    if tests.tests.is_empty() {
        let help = "tests stand in files *.test.toml beside the rules; `pgscrim test --help` shows one";
        return Err(Failure::new(format!("there are no tests in {} ({help})", path.display())));
    }
    Ok((rules, tests))
}

/// Runs `tests` against rules and a catalog. Pure.
///
/// # Errors
/// A test names a role, a login or a purpose that the rules do not have.
pub fn run_tests(tests: &RuleTests, inputs: &Inputs) -> Result<Vec<Outcome>, Diagnostics> {
    tests.tests.iter().map(|test| run_test(test, tests, inputs)).collect()
}

fn run_test(test: &RuleTest, tests: &RuleTests, inputs: &Inputs) -> Result<Outcome, Diagnostics> {
    let id = find_role(test, tests, inputs)?;
    let user = match &test.who {
        Who::User(user) => user.as_str(),
        Who::Role(_) => "",
    };
    let path = test.search_path.as_deref().unwrap_or_else(|| configured_path(user, &inputs.catalog));
    let search_path = effective_path(path, user, &inputs.catalog);
    let context = QueryContext { role: id, search_path, protocol: Protocol::Simple };
    let outcome = engine::plan(&test.sql, &context, inputs);
    let outcome = outcome.and_then(|plan| plan.serves(user).map(|()| plan));
    let mut problems = Vec::new();
    let got = match (&outcome, inputs.policy.role(id)) {
        (Ok(plan), Some(role)) => got_columns(plan, role, &inputs.catalog, &mut problems),
        (Ok(_), None) => Got::Columns(Vec::new()),
        (Err(refused), _) => Got::Refusal(refused.refusal.code.code().to_owned(), refused.refusal.message.clone()),
    };
    compare(&test.expected, &got, &mut problems);
    if let Some(role) = inputs.policy.role(id) {
        problems.extend(promised::broken(&test.promised, outcome.as_ref().ok(), role, &inputs.catalog));
    }
    let decided = determining(&outcome);
    for rule in &test.rules {
        let named = |origin: &String| origin == rule || origin.rsplit_once(':').is_some_and(|(file, _)| file == rule);
        if !decided.iter().any(named) {
            let list: Vec<&str> = decided.iter().map(String::as_str).collect();
            let list = if list.is_empty() { "no rule".to_owned() } else { list.join(", ") };
            problems.push(format!("{rule} did not decide; {list} did"));
        }
    }
    let spot = Spot { file: test.file.to_string(), line: test.line };
    Ok(Outcome { name: test.name.clone(), spot, passed: problems.is_empty(), problems, got })
}

fn find_role(test: &RuleTest, tests: &RuleTests, inputs: &Inputs) -> Result<RoleId, Diagnostics> {
    let policy = &inputs.policy;
    let (id, user) = match &test.who {
        Who::Role(name) => {
            let named = policy.roles.iter().position(|role| role.name == *name);
            let Some(id) = named.and_then(|position| u16::try_from(position).ok()).map(RoleId) else {
                let known = policy.roles.iter().map(|role| role.name.as_str());
                let near = suggestion(name, "roles", known).unwrap_or_default();
                return Err(tests.complaint(test, format!("the rules have no role \"{name}\""), near));
            };
            (id, None)
        }
        Who::User(user) => {
            let who = LoginIdentity {
                user: user.clone(),
                database: inputs.catalog.data().database.clone(),
                application_name: test.application_name.clone(),
            };
            let Some(id) = policy.role_for(&who, &inputs.catalog) else {
                let message = format!("no role of the rules matches user \"{user}\"");
                return Err(tests.complaint(test, message, "Such a connection is refused; no statement gets far."));
            };
            (id, Some(user.as_str()))
        }
    };
    let set = || configured(PURPOSE, user?, &inputs.catalog);
    let asked = test.purpose.as_deref().or_else(set).unwrap_or_default();
    policy.acting(id, asked, &test.application_name).ok_or_else(|| {
        let role = policy.role(id);
        let known = role.iter().flat_map(|role| role.purposes.iter()).map(String::as_str);
        let near = suggestion(asked, "purposes", known).unwrap_or_default();
        let name = role.map(|role| role.name.as_str()).unwrap_or_default();
        tests.complaint(test, format!("role \"{name}\" has no purpose \"{asked}\""), near)
    })
}

/// The rules that decided, `file:line`.
fn determining(outcome: &Result<Plan, Box<Refused>>) -> BTreeSet<String> {
    match outcome {
        Ok(plan) => {
            let statements = plan.statements.iter();
            statements.flat_map(|statement| &statement.access.rules).map(ToString::to_string).collect()
        }
        Err(refused) => {
            let rules = refused.access.rules.iter().map(ToString::to_string);
            rules.chain(refused.refusal.rule.clone()).collect()
        }
    }
}

fn got_columns(plan: &Plan, role: &RolePolicy, catalog: &CatalogSnapshot, problems: &mut Vec<String>) -> Got {
    if !plan.analysed {
        problems.push("the statement is not understood, so that nothing is known of its columns".to_owned());
    }
    let [statement] = &*plan.statements else {
        problems.push(format!("a test has one statement, this text has {}", plan.statements.len()));
        return Got::Columns(Vec::new());
    };
    let outputs = statement.outputs.iter().flatten();
    Got::Columns(outputs.map(|output| got_column(output, role, catalog)).collect())
}

fn got_column(output: &OutputColumn, role: &RolePolicy, catalog: &CatalogSnapshot) -> GotColumn {
    let known: Vec<(String, bool)> =
        output.sources.iter().filter_map(|source| treatment(*source, role, catalog)).collect();
    let mut treatments: BTreeSet<String> = known.iter().map(|(label, _)| label.clone()).collect();
    if treatments.len() > 1 || treatments.is_empty() {
        treatments.remove("clear");
    }
    if treatments.is_empty() {
        treatments.insert("clear".to_owned());
    }
    let name = output.name.as_deref().unwrap_or("?column?").to_owned();
    GotColumn { name, treatments, personal: known.iter().any(|(_, personal)| *personal) }
}

/// What the role gets of a base column, and whether that is personal; none where nothing governs it.
fn treatment((oid, attnum): (Oid, AttNum), role: &RolePolicy, catalog: &CatalogSnapshot) -> Option<(String, bool)> {
    let relation = catalog.relation(oid)?;
    let position = relation.columns.iter().position(|column| column.attnum == attnum)?;
    let column = role.relation(oid)?.columns.get(position)?;
    Some((column.treatment.label().to_owned(), column.personal))
}

/// Says in `problems` where `got` is not what was expected.
fn compare(expected: &Expected, got: &Got, problems: &mut Vec<String>) {
    match (expected, got) {
        (Expected::Refusal(code), Got::Refusal(found, message)) => {
            if code.code() != found {
                problems.push(format!("expected refusal {}, got {found} ({message})", code.code()));
            }
        }
        (Expected::Refusal(code), Got::Columns(_)) => {
            problems.push(format!("expected refusal {}, but the statement is allowed", code.code()));
        }
        (Expected::Columns(_), Got::Refusal(code, message)) => {
            problems.push(format!("expected columns, got refusal {code} ({message})"));
        }
        (Expected::Columns(expected), Got::Columns(got)) => compare_columns(expected, got, problems),
    }
}

/// A treatment without the condition behind it: a test may leave it out.
fn without_condition(treatment: &str) -> String {
    let end = [" if ", " unless "].iter().filter_map(|word| treatment.find(word)).min();
    treatment.get(..end.unwrap_or(treatment.len())).unwrap_or(treatment).to_owned()
}

fn compare_columns(expected: &[(String, Vec<String>)], got: &[GotColumn], problems: &mut Vec<String>) {
    let means = |key: &str, position: usize, column: &GotColumn| {
        key == column.name || key.strip_prefix('#').is_some_and(|number| number == (position + 1).to_string())
    };
    for (key, _) in expected.iter().filter(|(key, _)| key != OTHERS) {
        if !got.iter().enumerate().any(|(position, column)| means(key, position, column)) {
            let names: Vec<&str> = got.iter().map(|column| column.name.as_str()).collect();
            problems.push(format!("there is no output column {key} (there are: {})", names.join(", ")));
        }
    }
    for (position, column) in got.iter().enumerate() {
        let named = expected.iter().find(|(key, _)| means(key, position, column));
        let found = joined(&column.treatments);
        match named.or_else(|| expected.iter().find(|(key, _)| key == OTHERS)) {
            Some((_, treatments)) => {
                let wanted: BTreeSet<String> = treatments.iter().cloned().collect();
                let plain: BTreeSet<String> = column.treatments.iter().map(|got| without_condition(got)).collect();
                if wanted != column.treatments && wanted != plain {
                    problems.push(format!("{}: expected {}, got {found}", column.name, joined(&wanted)));
                }
            }
            None if column.personal => {
                problems.push(format!("{}: personal and not named in `expect`, got {found}", column.name));
            }
            None => {}
        }
    }
}

fn joined(treatments: &BTreeSet<String>) -> String {
    treatments.iter().map(String::as_str).collect::<Vec<_>>().join(" + ")
}

fn as_text(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for outcome in outcomes {
        // Writing to a string cannot fail.
        if outcome.passed {
            let _ = writeln!(out, "ok      {}", outcome.name);
        } else {
            let _ = writeln!(out, "FAILED  {} ({}:{})", outcome.name, outcome.spot.file, outcome.spot.line);
        }
        for problem in &outcome.problems {
            let _ = writeln!(out, "        {problem}");
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let _ = writeln!(out, "\n{} passed, {failed} failed", outcomes.len() - failed);
    out
}

fn as_github(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.passed);
    let remarks = failed.map(|outcome| Remark {
        level: Level::Error,
        code: "rule-test".into(),
        message: format!("{}\n{}", outcome.name, outcome.problems.join("\n")),
        spot: Some(outcome.spot.clone()),
    });
    output::github(&remarks.collect::<Vec<_>>())
}
