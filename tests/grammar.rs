//! What is read and what is sent, judged by PostgreSQL's own scanner and grammar (in Python, `tests/python/grammar.py`).
//! Each text is tokenised here and there: the same tokens in the same places. Printed from our tokens it must have the same
//! parse tree. What a plan sends must have the tree of what the client wrote, our derived tables taken for the relations that
//! they stand for, and our masks for the references in whose place they stand. The texts are the corpora, statements of PostgreSQL's regression tests, and mutations of all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test"
)]

#[path = "common/author.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod author;
mod common;
#[path = "common/leaks.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod corpus;
#[path = "common/generator.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod generator;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use author::Author;
use common::{planner, proxy::fixture, python};
use corpus::World;
use generator::Generator;
use pgscrim::{
    engine::{Inputs, QueryContext, plan},
    policy::Treatment,
    sql::{Kind, Reads, Token, emit, forms, lex, parse},
};
use serde_json::{Value, json};

/// The statements of PostgreSQL's regression tests when `PGSCRIM_REGRESS_SQL` names the folder of their files, as
/// `make test-upstream SUITES=grammar` does; they are not part of this repository.
fn regression() -> Vec<String> {
    let mut statements = Vec::new();
    if let Some(folder) = std::env::var_os("PGSCRIM_REGRESS_SQL") {
        let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let mut statement = String::new();
            for line in text.lines().filter(|line| !line.starts_with('\\')) {
                statement.push_str(line);
                statement.push('\n');
                if line.trim_end().ends_with(';') && lex::lex(&statement).is_ok() {
                    statements.push(std::mem::take(&mut statement));
                }
            }
        }
    }
    statements
}

/// The statements of the corpora, and random ones.
fn own(random: u64) -> Vec<String> {
    let cases = corpus::FILES.into_iter().flat_map(corpus::cases);
    let mut texts: Vec<String> = cases.flat_map(|case| case.statements.into_iter().map(|s| s.sql)).collect();
    texts.extend(corpus::golden().into_iter().map(|(_, _, sql)| sql));
    for seed in 1..=random {
        texts.extend(Author::new(seed).script().statements);
        texts.push(Generator::new(seed).query(1));
    }
    texts
}

/// What a mutation puts between or in the place of tokens.
const PIECES: &[&str] = &[
    "/**/",
    "/* /* */ */",
    "-- x\n",
    "--\r",
    "\n",
    "\t",
    "\u{c}",
    "\u{b}",
    "\u{a0}",
    " ",
    "",
    "'",
    "''",
    "\"",
    "\"\"",
    "\\",
    "\\'",
    "$",
    "$$",
    "$a$",
    "$a",
    "$1",
    "$01",
    "$12345",
    "/*",
    "*/",
    "--",
    ":",
    "::",
    ":=",
    "=>",
    "..",
    ".",
    "!",
    "!=",
    "!=-",
    "<>",
    "<=",
    ">=",
    "=-",
    "@-",
    "+-",
    "*",
    "/",
    "^",
    "|",
    "`",
    "~",
    "#",
    "?",
    "%",
    "&",
    "E'a\\'b'",
    "e'\\x41\\u0042'",
    "U&'\\0061'",
    "u&\"\\0061\"",
    "U&'!0061' UESCAPE '!'",
    "uescape '!'",
    "U&",
    "n'x'",
    "N'a''b'",
    "b'01'",
    "B'2'",
    "x'1f'",
    "X'g'",
    "$q$it's$q$",
    "$$a$$",
    "'a'\n'b'",
    "'a' -- c\n'b'",
    "'a' 'b'",
    "'a'\n\n'b'",
    "'a'/**/\n'b'",
    "E'a'\n'b\\n'",
    "0x1F",
    "0b1",
    "0o7",
    "1_000",
    "1__0",
    "1e5",
    "1e",
    "1.e",
    "1.5e-3",
    ".5",
    "1.",
    "1..2",
    "1a",
    "é",
    "\u{fffd}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    "{",
    "}",
    "\0",
    "\u{1}",
    "a.b.c",
    "\"A\"\"b\"",
    "PHONE",
    "Phone",
    "select",
    "from",
    "as",
    "operator(pg_catalog.+)",
    "::text",
    "collate \"C\"",
    "is not null",
];

/// The text with up to three changes; the seed decides.
fn mutated(text: &str, seed: u64) -> String {
    let mut random = Generator::new(seed);
    let mut text = text.to_owned();
    for _ in 0..=random.below(3) {
        let Ok(tokens) = lex::lex(&text) else { break };
        if tokens.is_empty() {
            break;
        }
        let token: &Token = &tokens[random.below(tokens.len())];
        let (start, end) = (token.start as usize, token.end as usize);
        let written = text[start..end].to_owned();
        let value = token.literal(&mut Reads::default()).unwrap_or_else(|| token.name()).to_owned();
        let quoted = value.replace('\'', "''");
        let new = match (random.below(6), token.kind) {
            (0, Kind::Text) => match random.below(5) {
                0 => format!("E'{}'", quoted.replace('\\', "\\\\")),
                1 => format!("U&'{}'", quoted.replace('\\', "\\\\")),
                2 if !value.contains('$') => format!("$t${value}$t$"),
                3 => format!("N'{quoted}'"),
                _ => format!("'{quoted}'\n''"),
            },
            (0, Kind::Word) => match random.below(4) {
                0 => format!("\"{value}\""),
                1 => written.to_uppercase(),
                2 => format!("U&\"{value}\""),
                _ => format!("U&\"\\{:04x}{}\"", value.chars().next().map_or(0, u32::from), rest(&value)),
            },
            (0 | 1, _) => format!("{written}{}", PIECES[random.below(PIECES.len())]),
            (2, _) => format!("{}{written}", PIECES[random.below(PIECES.len())]),
            (3, _) => PIECES[random.below(PIECES.len())].to_owned(),
            // No white space around it.
            (4, _) => {
                let before = text[..start].trim_end().len();
                let after = text.len() - text[end..].trim_start().len();
                text.replace_range(before..after, &written);
                continue;
            }
            _ => format!(" {} {written}", PIECES[random.below(PIECES.len())]),
        };
        text.replace_range(start..end, &new);
    }
    text
}

fn rest(name: &str) -> String {
    name.chars().skip(1).collect()
}

/// One line for the judge. `original`: whether the text is as somebody wrote it, and not mutated.
fn case(sql: &str, plans: &[(&Inputs, &QueryContext, bool)], original: bool) -> Value {
    let tokens = lex::lex(sql).ok();
    let character = |byte: u32| sql[..byte as usize].chars().count();
    let list: Option<Vec<Value>> = tokens
        .as_ref()
        .map(|tokens| tokens.iter().map(|t| json!([format!("{:?}", t.kind), character(t.start)])).collect());
    let printed = tokens.as_ref().map(|tokens| emit::text(tokens));
    let sent: Vec<Value> = plans
        .iter()
        .filter_map(|(inputs, context, masked)| Some((plan(sql, context, inputs).ok()?, masked)))
        // The server does not know the answer of this one.
        .filter(|_| !is_own_setting(tokens.as_deref().unwrap_or_default()))
        .map(|(plan, masked)| json!([sql, plan.permit.text().to_string(), masked]))
        .collect();
    let understood = |tokens: &Vec<Token>| {
        let end = tokens.iter().rposition(|token| token.kind != Kind::Semicolon).map_or(0, |last| last + 1);
        parse::parse_statement(&forms::plain(&tokens[..end]), 0).is_ok()
    };
    let parsed = tokens.as_ref().filter(|_| original).map(understood);
    json!({ "sql": sql, "tokens": list, "printed": printed, "sent": sent, "parsed": parsed })
}

/// `SHOW pgscrim.purpose`, in the place of which a SELECT is sent.
fn is_own_setting(tokens: &[pgscrim::sql::Token]) -> bool {
    let words: Vec<_> =
        tokens.iter().filter(|token| token.is_name()).map(|token| token.name().to_lowercase()).collect();
    tokens.len() <= 5 && words == ["show", "pgscrim", "purpose"]
}

/// What the judge said so far.
#[derive(Default)]
struct Verdict {
    findings: Vec<Value>,
    counts: BTreeMap<String, u64>,
    waiting: Vec<Value>,
    /// The masks that may stand in what is sent.
    masks: Vec<Value>,
}

/// Columns that a role does not see in clear, with the SQL of their masks; without it where they are withheld.
fn masks(inputs: &Inputs, context: &QueryContext) -> Vec<Value> {
    let role = inputs.policy.role(context.role).unwrap();
    let mut masks = Vec::new();
    for (oid, policy) in &role.governed {
        let relation = inputs.catalog.relation(*oid).unwrap();
        for (column, rule) in relation.columns.iter().zip(&policy.columns) {
            match &rule.treatment {
                Treatment::Clear => {}
                Treatment::Mask(mask) => masks.push(json!([column.name, mask.sql.fill("pgs_operand")])),
                Treatment::Withhold | Treatment::Refuse => masks.push(json!([column.name, null])),
            }
        }
    }
    masks
}

impl Verdict {
    fn add(&mut self, case: Value) {
        self.waiting.push(case);
        if self.waiting.len() >= 20_000 {
            self.judge();
        }
    }

    /// Runs the judge over what waits for it.
    fn judge(&mut self) {
        let mut command = Command::new(python::interpreter());
        command.args(["-X", "utf8"]).arg(fixture("python/grammar.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut cases = vec![json!({ "masks": self.masks })];
        cases.append(&mut self.waiting);
        let writer = std::thread::spawn(move || cases.iter().try_for_each(|case| writeln!(input, "{case}")));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "grammar.py ended with {}", output.status);
        writer.join().unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut findings: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let counts = findings.pop().unwrap();
        for (name, count) in counts["counts"].as_object().unwrap() {
            *self.counts.entry(name.clone()).or_default() += count.as_u64().unwrap();
        }
        self.findings.extend(findings);
    }

    fn end(mut self, what: &str, at_least: &[(&str, u64)]) {
        self.judge();
        println!("{what}: {:#?}", self.counts);
        let findings = &self.findings;
        let some: Vec<String> = findings.iter().take(40).map(|finding| format!("{finding:#}")).collect();
        assert!(findings.is_empty(), "{} findings\n{}\n", findings.len(), some.join("\n"));
        for (name, least) in at_least {
            let count = self.counts.get(*name).copied().unwrap_or(0);
            assert!(count >= *least, "{name}: only {count}");
        }
    }
}

#[test]
fn texts_have_the_tokens_and_trees_that_postgresql_sees() {
    let mut texts = regression();
    let given = std::env::var_os("PGSCRIM_REGRESS_SQL").is_some();
    assert!(!given || texts.len() > 10_000, "only {} statements of PostgreSQL's", texts.len());
    texts.extend(own(if common::long() { 20_000 } else { 900 }));
    let mut verdict = Verdict::default();
    for sql in &texts {
        verdict.add(case(sql, &[], true));
    }
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for round in 0..if common::long() { 10 } else { 4 } {
        for (number, text) in texts.iter().enumerate() {
            verdict.add(case(&mutated(text, first + round * 1_000_003 + number as u64), &[], false));
        }
    }
    verdict.judge();
    // What cannot be parsed is refused, whatever it names: hardly anything may be.
    let count = |name: &str| verdict.counts.get(name).copied().unwrap_or(0);
    let (all, unknown) = (count("queries and writes"), count("queries and writes that pgscrim cannot parse"));
    assert!(all > 1_000 && (!given || unknown * 1_000 < all), "{unknown} of {all} statements cannot be parsed");
    verdict.end("lexer", &[("same tokens", 5_000), ("same tree printed", 3_000)]);
}

#[test]
fn plans_send_the_tree_that_the_client_wrote() {
    let world = World::new(0, false);
    let rules = fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
    let inputs = planner::inputs(&world.postgres, corpus::DATABASE, &rules);
    // The same tables, classified, of which the role sees everything: nothing is masked, everything is analysed.
    let clear = rules.replace(
        r#"see = { name = "name_initials", phone = "phone_last", note = "withhold", meta = "withhold" }"#,
        r#"see = { name = "clear", phone = "clear", note = "clear", meta = "clear" }"#,
    );
    let clear = clear.replace(r#"otherwise = "withhold""#, r#"otherwise = "clear""#);
    assert_ne!(clear, rules);
    let all = planner::inputs(&world.postgres, corpus::DATABASE, &clear);
    let (masked, open) = (planner::context(&inputs, "support"), planner::context(&all, "support"));
    let mut texts = regression();
    texts.extend(own(if common::long() { 20_000 } else { 400 }));
    let mut verdict = Verdict { masks: masks(&inputs, &masked), ..Verdict::default() };
    for (number, text) in texts.iter().enumerate() {
        let mut forms = vec![text.clone()];
        let rounds = if common::long() { 8 } else { 3 };
        forms.extend((0..rounds).map(|round| mutated(text, round * 7_000_003 + number as u64)));
        for sql in forms {
            verdict.add(case(&sql, &[(&all, &open, false), (&inputs, &masked, true)], false));
        }
    }
    let least = [
        ("same tree sent", 1_500),
        ("same tree sent, masked", 1_000),
        ("same tree sent, masked writes", 200),
        ("same tree sent, masked COPY", 40),
    ];
    verdict.end("plans", &least);
}
