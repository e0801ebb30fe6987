//! Non-interference at scale: random scripts, each through a proxy before two servers that differ in protected cells only.
//! Every byte that comes back must be the same, and none may hold a part of a protected cell of both. Reads, writes (in transactions
//! that are rolled back), cursors, prepared statements, COPY; the simple and the extended protocol, text and binary.

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

use std::{collections::BTreeMap, process::Command};

use author::{Author, Script};
use common::wire::{self, Client, Message};
use corpus::World;
use pgscrim::catalog::functions::{Builtin, builtin};

/// SQLSTATE of a statement that took too long: where it was stopped is chance.
const TIMEOUT: &str = "57014";

fn send(client: &mut Client, sql: &str, script: &Script) -> Vec<Message> {
    match script.extended {
        None => client.simple(sql),
        Some(format) => {
            let uses = |number: usize| sql.contains(&format!("${number}"));
            let highest = (1..=script.parameters.len()).rev().find(|number| uses(*number)).unwrap_or(0);
            let values: Vec<Option<&[u8]>> =
                script.parameters[..highest].iter().map(|value| Some(value.as_bytes())).collect();
            client.extended(sql, &values, format)
        }
    }
}

/// Runs a script in a transaction; answers what came back, statement by statement.
fn run(client: &mut Client, script: &Script) -> Vec<Vec<Message>> {
    client.forget();
    client.simple("BEGIN");
    let mut answers = Vec::new();
    for sql in &script.statements {
        let answer = send(client, sql, script);
        let failed = wire::error(&answer).is_some();
        answers.push(answer);
        if failed {
            break;
        }
    }
    client.simple("ROLLBACK");
    // What was prepared outlives the transaction.
    client.simple("DEALLOCATE ALL");
    answers
}

#[derive(Debug, Default)]
struct Tally {
    statements: usize,
    completed: usize,
    /// Rows received.
    rows: usize,
    refused: BTreeMap<String, usize>,
    failed: BTreeMap<String, usize>,
    timeouts: usize,
}

impl Tally {
    fn count(&mut self, script: &Script, answers: &[Vec<Message>]) {
        for (sql, answer) in script.statements.iter().zip(answers) {
            self.statements += 1;
            self.rows += answer.iter().filter(|message| message.kind == b'D').count();
            match wire::error(answer) {
                None => self.completed += 1,
                Some(error) => {
                    let code = error.field(b'C').unwrap();
                    if code == TIMEOUT {
                        self.timeouts += 1;
                    } else if let Some(hint) = error.field(b'H').filter(|hint| hint.starts_with("PGS")) {
                        let message = error.field(b'M').unwrap();
                        if std::env::var_os("PGSCRIM_SHOW").is_some() {
                            println!("{message}\n    {sql}");
                        }
                        *self.refused.entry(format!("{} {message}", &hint[..7])).or_default() += 1;
                    } else {
                        if std::env::var_os("PGSCRIM_SHOW").is_some() {
                            println!("{}\n    {sql}", wire::describe(std::slice::from_ref(error)));
                        }
                        *self.failed.entry(code).or_default() += 1;
                    }
                }
            }
        }
    }
}

/// Whether a check of pgscrim's own has failed.
fn is_defect(hint: &str) -> bool {
    ["PGS0105", "PGS0301", "PGS0303"].iter().any(|code| hint.starts_with(code))
}

/// The two worlds and a session of the restricted role in each.
struct Twins {
    worlds: [World; 2],
    clients: [Client; 2],
    tally: Tally,
    problems: Vec<String>,
}

impl Twins {
    fn new() -> Self {
        Self::of([World::new(0, true), World::new(1, true)])
    }

    fn of(worlds: [World; 2]) -> Self {
        for world in &worlds {
            // Plans must not differ by chance: no parallel workers, no genetic search, no compilation.
            world.postgres.sql(
                "postgres",
                "ALTER ROLE support SET statement_timeout = '10s'; ALTER ROLE support SET max_parallel_workers_per_gather = 0;
                 ALTER ROLE support SET geqo = off; ALTER ROLE support SET jit = off",
            );
        }
        let clients = worlds.each_ref().map(|world| world.connect("support"));
        Self { worlds, clients, tally: Tally::default(), problems: Vec::new() }
    }

    fn judge(&mut self, place: &str, script: &Script) {
        let [first, second] = &mut self.clients;
        let answers = std::thread::scope(|scope| {
            let other = scope.spawn(|| run(second, script));
            let one = run(first, script);
            [one, other.join().unwrap()]
        });
        self.tally.count(script, &answers[0]);
        let hints = answers[0].iter().filter_map(|answer| wire::error(answer)?.field(b'H'));
        for defect in hints.filter(|hint| is_defect(hint)) {
            self.problems.push(format!("DEFECT {place}: {defect}\n    {}", script.statements.join("\n    ;; ")));
        }
        let codes = |answers: &[Vec<Message>]| -> Vec<String> {
            answers.iter().filter_map(|answer| wire::error(answer)?.field(b'C')).collect()
        };
        if answers.iter().any(|answers| codes(answers).iter().any(|code| code == TIMEOUT)) {
            return;
        }
        let shown = || script.statements.join("\n    ;; ");
        // Bytes that are the same in both worlds and show a part of a cell that only one of them has are such by chance: six
        // digits come up in the hex of a digest once in a while. What both worlds have, each shows.
        let mut found = self.worlds.iter().zip(&self.clients).map(|(world, client)| world.leak(client.after_startup()));
        if let (Some(leak), Some(_)) = (found.next().flatten(), found.next().flatten()) {
            self.problems.push(format!("LEAK {place}: {leak}\n    {}", shown()));
        }
        if self.clients[0].after_startup() != self.clients[1].after_startup() {
            let (one, two) = answers[0]
                .iter()
                .zip(&answers[1])
                .find(|(one, two)| one != two)
                .unwrap_or((answers[0].last().unwrap(), answers[1].last().unwrap()));
            self.problems.push(format!(
                "LEAK {place}: the worlds differ\n    {}\n{}  and\n{}",
                shown(),
                wire::describe(&one[..one.len().min(6)]),
                wire::describe(&two[..two.len().min(6)])
            ));
        }
    }

    fn end(mut self, completed: usize) {
        println!("{:#?}", self.tally);
        let digests = self.worlds.each_ref().map(World::digest);
        for (world, digest) in self.worlds.iter().zip(&digests) {
            assert!(!digest.is_empty());
            if let Some(leak) = world.leak_written() {
                self.problems.push(format!("LEAK: {leak}"));
            }
        }
        let some = self.problems[..self.problems.len().min(20)].join("\n");
        assert!(self.problems.is_empty(), "{} problems\n{some}\n", self.problems.len());
        assert!(self.tally.completed >= completed, "only {} statements completed", self.tally.completed);
    }
}

#[test]
fn random_scripts_do_not_tell_the_worlds_apart() {
    let mut twins = Twins::new();
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count: u64 = if common::long() { 25_000 } else { 1_000 };
    for seed in first..first + count {
        let script = Author::new(seed).script();
        twins.judge(&format!("seed {seed}"), &script);
    }
    twins.end(usize::try_from(count).unwrap() / 2);
}

/// The same behind conditions: every subject has asked to be erased, so that what the role sees in clear is hidden in every
/// row, and of two tables it sees some rows only, of which the others differ as well.
#[test]
fn random_scripts_do_not_tell_hidden_rows_and_cells_apart() {
    let rules = std::fs::read_to_string(common::proxy::fixture("leaks/rules.toml")).unwrap();
    let wide = "a".repeat(63);
    let see = "see = { name = \"clear\", phone = \"clear\", note = \"clear\", meta = \"clear\" }";
    let rows = "rows = { \"public.orders\" = \"id % 2 = 0\", \"public.numbers\" = \"id <= 3\" }";
    let rules = rules.replace(
        "see = { name = \"name_initials\", phone = \"phone_last\", note = \"withhold\", meta = \"withhold\" }",
        see,
    );
    assert!(rules.contains(see));
    let rules = format!(
        "{rules}\n{rows}\n[subject]\nkey = \"public.customers.id\"\n[subject.links]\n\"public.leads.lead_id\" = \"public.customers.id\"\n\
         \"public.events.id\" = \"public.customers.id\"\n\"public.{wide}.id\" = \"public.customers.id\"\n\
         \"public.cust_v.id\" = \"public.customers.id\"\n\
         [erasure]\nrecords = \"public.erased\"\nsubject = \"customer_id\"\n"
    );
    let world = |which: u64| {
        let factor = if which == 0 { "3" } else { "-7" };
        let more = format!(
            "CREATE TABLE erased AS SELECT generate_series(-1000, 100000) AS customer_id; CREATE INDEX ON erased (customer_id); ANALYZE erased;
             GRANT SELECT ON erased TO support; UPDATE orders SET amount = amount * {factor} WHERE id % 2 = 1;
             UPDATE numbers SET value = value * {factor} + 1 WHERE id > 3"
        );
        World::new_with(which, Some(rules.clone()), &more)
    };
    let mut twins = Twins::of([world(0), world(1)]);
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(50_001);
    let count: u64 = if common::long() { 25_000 } else { 800 };
    for seed in first..first + count {
        let script = Author::new(seed).script();
        twins.judge(&format!("seed {seed}"), &script);
    }
    twins.end(usize::try_from(count).unwrap() / 3);
}

/// Rows about several people, led to by several links from a table, over one step and two: only one of them has asked to be erased, by
/// turns the first and the second, and that hides the row's cells.
#[test]
fn random_scripts_do_not_tell_what_one_of_several_subjects_hides() {
    let rules = std::fs::read_to_string(common::proxy::fixture("leaks/rules.toml")).unwrap();
    let wide = "a".repeat(63);
    let see = "see = { name = \"clear\", phone = \"clear\", note = \"clear\", meta = \"clear\" }";
    let before = "see = { name = \"name_initials\", phone = \"phone_last\", note = \"withhold\", meta = \"withhold\" }";
    assert!(rules.contains(before));
    let rules = rules.replace(before, see).replace(
        "    \"public.leads.lead_id\",\n",
        "    \"public.leads.lead_id\", \"public.leads.one\", \"public.leads.two\",\n    \"public.pairs.*\",\n",
    );
    assert!(rules.contains("public.pairs"));
    let rules = format!(
        "{rules}\n[subject]\nkey = \"public.customers.id\"\n[subject.links]\n\"public.leads.one\" = \"public.customers.id\"\n\
         \"public.leads.two\" = \"public.pairs.id\"\n\
         \"public.pairs.left_id\" = \"public.customers.id\"\n\"public.pairs.right_id\" = {{ to = \"public.customers.id\" }}\n\
         \"public.events.id\" = \"public.customers.id\"\n\"public.{wide}.id\" = \"public.customers.id\"\n\
         \"public.cust_v.id\" = \"public.customers.id\"\n\
         [erasure]\nrecords = \"public.erased\"\nsubject = \"customer_id\"\n"
    );
    // Of leads, the subject in `one` has asked, or the left or the right one of the pair in `two`; the others, some of whom are
    // nobody, have not.
    let more = "CREATE TABLE erased AS SELECT generate_series(-1000, 100000) AS customer_id; CREATE INDEX ON erased (customer_id);
         ANALYZE erased; CREATE TABLE pairs (id int PRIMARY KEY, left_id int, right_id int);
         INSERT INTO pairs VALUES (0, 200000, NULL), (1, 7, 200000), (2, NULL, 8), (3, 200000, 200001);
         ALTER TABLE leads ADD one int, ADD two int;
         UPDATE leads SET one = CASE lead_id % 3 WHEN 0 THEN 5 WHEN 1 THEN 200000 END,
             two = CASE lead_id % 3 WHEN 0 THEN CASE WHEN lead_id % 2 = 0 THEN 3 END WHEN 1 THEN 1 ELSE 2 END;
         GRANT SELECT ON erased, pairs TO support; ANALYZE leads";
    let world = |which: u64| World::new_with(which, Some(rules.clone()), more);
    let mut twins = Twins::of([world(0), world(1)]);
    // The links are what hides: without them something is seen.
    let shown = twins.worlds[0].postgres.sql(corpus::DATABASE, "SELECT count(*), count(phone) FROM leads");
    assert_ne!(shown[0][1].as_deref(), Some("0"));
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(90_001);
    let count: u64 = if common::long() { 25_000 } else { 500 };
    for seed in first..first + count {
        let mut script = Author::new(seed).script();
        // Half of them of the table with several links, whatever else they are about.
        if seed % 2 == 0 {
            for sql in &mut script.statements {
                *sql = sql.replace("public.customers ", "public.leads ").replace("FROM customers ", "FROM leads ");
            }
        }
        twins.judge(&format!("seed {seed}"), &script);
    }
    for script in [
        "SELECT l.lead_id, l.phone, l.one, p.* FROM leads l LEFT JOIN pairs p ON p.id = l.two ORDER BY l.lead_id",
        "SELECT one, max(phone), count(p2) FROM leads GROUP BY one ORDER BY one",
        "SELECT to_jsonb(l)::text FROM leads l ORDER BY lead_id",
        "UPDATE leads SET two = two, one = NULL WHERE one IS NOT NULL RETURNING lead_id, phone, one",
        "UPDATE leads SET one = 200000, two = 0; SELECT phone FROM leads",
        "DELETE FROM leads WHERE phone IS NOT NULL RETURNING lead_id",
        "WITH n AS (UPDATE leads SET two = 0 RETURNING phone, two) SELECT * FROM n",
    ] {
        let statements = script.split("; ").map(str::to_owned).collect();
        twins.judge(script, &Script { statements, extended: None, parameters: Vec::new() });
    }
    twins.end(usize::try_from(count).unwrap() / 3);
}

/// The statement with samples that are the same each time.
fn repeatable(sql: &str) -> String {
    let mut parts = sql.split("tablesample ");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (sample, rest) = part.split_once(')').unwrap();
        out.extend(["tablesample ", sample, ") repeatable (1)", rest]);
    }
    out
}

/// Statements that `sqlsmith` makes up from the catalog; the program is Debian's package of that name.
#[test]
#[ignore = "needs sqlsmith: make test-long"]
fn statements_of_sqlsmith_do_not_tell_the_worlds_apart() {
    let mut twins = Twins::new();
    let rounds: u64 = std::env::var("PGSCRIM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    // It runs what it makes up against a server of its own, whose log has the statements.
    let model = World::new(0, false);
    model.postgres.sql(
        "postgres",
        "ALTER ROLE support SET log_statement = 'all'; ALTER ROLE support SET log_min_messages = 'log'",
    );
    // It leaves out functions that return sets: what is refused anyway looks like one to it, and what tells the time, the
    // port or a random number.
    let names = model
        .postgres
        .sql(corpus::DATABASE, "SELECT DISTINCT proname::text, pronamespace = 'pg_catalog'::regnamespace FROM pg_proc");
    let refused: Vec<String> = names
        .iter()
        .map(|row| (row[0].as_deref().unwrap(), row[1].as_deref() == Some("t")))
        .filter(|(name, system)| !system || builtin(name) != Some(Builtin::Allowed))
        .map(|(name, _)| format!("'{name}'"))
        .collect();
    let refused = refused.join(", ");
    model.postgres.sql(
        corpus::DATABASE,
        &format!(
            "DROP VIEW agg_v, spy_view; DROP AGGREGATE spy_all(text); DROP PROCEDURE export();
             UPDATE pg_proc SET proretset = true WHERE prokind = 'f' AND (proname IN ({refused}) OR pronargs = 0)"
        ),
    );
    let mut read = 0;
    for seed in 1..=rounds {
        let port = model.postgres.port;
        let target = format!("host=127.0.0.1 port={port} user=support dbname={}", corpus::DATABASE);
        let mut sqlsmith = Command::new("sqlsmith");
        sqlsmith.args(["--exclude-catalog", "--max-queries=500"]).arg(format!("--seed={seed}"));
        common::run(sqlsmith.arg(format!("--target={target}")));
        let log = model.postgres.log();
        for entry in log[read..].split("LOG:  statement: ").skip(1) {
            let lines = entry.lines().enumerate().take_while(|(number, line)| *number == 0 || line.starts_with('\t'));
            let statement: Vec<&str> = lines.map(|(_, line)| line.trim_start_matches('\t')).collect();
            let statement = repeatable(&statement.join("\n"));
            if statement.contains("ref_0") || statement.contains("sample_0") {
                let script = Script { statements: vec![statement], extended: None, parameters: Vec::new() };
                twins.judge(&format!("sqlsmith {seed}"), &script);
            }
        }
        read = log.len();
    }
    twins.end(500);
}
