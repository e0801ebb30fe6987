//! The leak corpus: two servers that differ only in protected cells, a proxy before each, the case files, and the oracles.
//!
//! A case is `=== ID OUTCOME title`, then statements parted by lines `--`. Lines that start with `@ ` are switches of the
//! case, lines that start with `= ` the expected rows of the statement above them (values parted by `|`, NULL spelled so).
//! Outcomes, several parted by `|`: MASK and PASS complete; SCRUB is a server error without values; REFUSE is pgscrim's own.

use std::{collections::HashSet, fmt::Write as _, fs};

use crate::common::{
    Postgres, Proxy,
    proxy::{Options, SERVICE_LOGIN, fixture},
    wire::{self, Client, Message},
};

#[derive(Clone, Debug)]
pub struct Case {
    pub id: String,
    pub outcomes: Vec<Outcome>,
    /// The code that a refusal must have; empty for any.
    pub code: String,
    pub title: String,
    pub switches: Vec<String>,
    pub statements: Vec<Statement>,
    pub place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Mask,
    Pass,
    Scrub,
    Refuse,
}

#[derive(Clone, Debug, Default)]
pub struct Statement {
    pub sql: String,
    pub rows: Option<Vec<String>>,
}

/// How a case is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Simple,
    SimpleTrickled,
    ExtendedText,
    ExtendedBinary,
    ExtendedTrickled,
}

pub const WAYS: [Way; 5] =
    [Way::Simple, Way::SimpleTrickled, Way::ExtendedText, Way::ExtendedBinary, Way::ExtendedTrickled];

/// One of the two worlds.
pub struct World {
    pub postgres: Postgres,
    pub proxy: Option<Proxy>,
    secrets: Secrets,
}

pub const DATABASE: &str = "shop";

/// The rules of the corpus, with exact search by every category.
pub fn exact_rules() -> String {
    let rules = fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
    let exact = "search = { name = \"exact\", phone = \"exact\", note = \"exact\", meta = \"exact\" }";
    let rules = rules.replace("search = { name = \"masked\", phone = \"masked\" }", exact);
    assert!(rules.contains(exact));
    rules
}

/// The rules of the corpus, by which the role sees the leads that tickets and visits say are its own, and these in clear.
pub fn deciding_rules() -> String {
    let rules = fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
    let mine = |table: &str| {
        format!("EXISTS (SELECT 1 FROM public.{table} t WHERE t.lead_id = leads.lead_id AND t.agent = session_user)")
    };
    let scope = format!("rows = {{ \"public.leads\" = \"{} OR {}\" }}", mine("tickets"), mine("visits"));
    let clear = rules.replace("phone = \"phone_last\"", "phone = \"clear\"");
    assert_ne!(clear, rules);
    [clear, scope].concat()
}

/// The case files that are for the rules of the corpus.
pub const FILES: [&str; 11] = [
    "a-names",
    "b-expressions",
    "c-predicates",
    "d-writes",
    "e-statements",
    "f-session",
    "g-catalogs",
    "h-forms",
    "i-inline",
    "j-exact",
    "k-returning",
];

impl World {
    /// `which` picks the protected cells: 0 or 1.
    pub fn new(which: u64, with_proxy: bool) -> Self {
        let rules = fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
        Self::new_with(which, with_proxy.then_some(rules), "")
    }

    /// The same with other rules (none: without a proxy), and with `more` run by the superuser before the proxy starts.
    pub fn new_with(which: u64, rules: Option<String>, more: &str) -> Self {
        let postgres = Postgres::start();
        postgres.sql("postgres", "CREATE DATABASE shop");
        postgres.sql("postgres", SERVICE_LOGIN);
        postgres.sql(DATABASE, &fs::read_to_string(fixture("leaks/schema.sql")).unwrap());
        let cells = Cells::new(which);
        postgres.sql(DATABASE, &cells.sql());
        postgres.sql(DATABASE, more);
        let proxy = rules.map(|rules| Proxy::start(&postgres, &Options::new(DATABASE, rules)));
        Self { postgres, proxy, secrets: Secrets::new(&cells) }
    }

    /// The masked database of `support`: each protected cell replaced by its mask. What the restricted role gets of a
    /// world through the proxy must be what anybody gets of this one.
    pub fn masked() -> Self {
        let postgres = Postgres::start();
        postgres.sql("postgres", "CREATE DATABASE shop");
        postgres.sql("postgres", SERVICE_LOGIN);
        postgres.sql(DATABASE, &fs::read_to_string(fixture("leaks/schema.sql")).unwrap());
        let cells = Cells::new(0);
        postgres.sql(DATABASE, &cells.sql());
        postgres.sql(
            DATABASE,
            "ALTER TABLE customers DROP CONSTRAINT customers_phone_digits;
             ALTER TABLE customers_2024 DROP CONSTRAINT customers_phone_digits;
             ALTER TABLE leads ALTER p2 DROP EXPRESSION;
             UPDATE leads SET p2 = '*****' || right(p2, 3), phone = '*****' || right(phone, 3);
             UPDATE events SET phone = '*****' || right(phone, 3);
             UPDATE customers SET name = left(name, 1) || '*** ' || left(split_part(name, ' ', -1), 1) || '***',
                 phone = '*****' || right(phone, 3), note = NULL, meta = NULL",
        );
        let wide = "a".repeat(63);
        let column = "p".repeat(63);
        postgres.sql(
            DATABASE,
            &format!(
                "UPDATE {wide} SET {column} = left({column}, 1) || '*** ' || left(split_part({column}, ' ', -1), 1) || '***';
                 REFRESH MATERIALIZED VIEW cust_mv"
            ),
        );
        Self { postgres, proxy: None, secrets: Secrets::new(&cells) }
    }

    pub fn connect(&self, user: &str) -> Client {
        match &self.proxy {
            Some(proxy) => proxy.connect(user, DATABASE),
            None => Client::connect(&self.postgres.address(), &[("user", user), ("database", DATABASE)]).unwrap(),
        }
    }

    /// What of a protected cell stands in these bytes.
    pub fn leak(&self, bytes: &[u8]) -> Option<String> {
        self.secrets.find(bytes)
    }

    /// What of a protected cell stands in what the proxy wrote: its log, its audit events and its metrics. Digits that come
    /// from no data (times, ports, hashes of random keys, counts) may be those of a secret by chance and are left out.
    pub fn leak_written(&self) -> Option<String> {
        let proxy = self.proxy.as_ref().unwrap();
        let log = proxy.log();
        let lines = log.lines().map(|line| {
            let line = line.split_once(' ').map_or("", |(_time, rest)| rest);
            line.split(' ')
                .filter(|word| !word.starts_with("hash=") && !word.starts_with("address="))
                .collect::<Vec<_>>()
        });
        let log = lines.map(|words| words.join(" ")).collect::<Vec<_>>().join("\n");
        if let Some(leak) = self.leak(log.as_bytes()) {
            return Some(format!("{leak} in the log"));
        }
        for mut event in proxy.audit() {
            for field in [
                "time",
                "duration_us",
                "connection",
                "statement",
                "catalog_version",
                "client",
                "fingerprint",
                "policy_hash",
            ] {
                assert!(event.as_object_mut().unwrap().remove(field).is_some(), "{field}");
            }
            if let Some(leak) = self.leak(event.to_string().as_bytes()) {
                return Some(format!("{leak} in the audit event {event}"));
            }
        }
        let metrics = proxy.page("/metrics");
        let names: Vec<&str> = metrics
            .lines()
            .filter(|line| !line.starts_with("pgscrim_rules_info"))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _)| name)
            .collect();
        self.leak(names.join("\n").as_bytes()).map(|leak| format!("{leak} in the metrics"))
    }

    /// A picture of all data, to see that refused writes changed nothing.
    pub fn digest(&self) -> String {
        let tables = ["customers", "orders", "leads", "events", "log", "numbers", "evil.customers"];
        let mut out = String::new();
        for table in tables {
            let rows = self.postgres.sql(
                DATABASE,
                &format!("SELECT count(*)::text, md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t"),
            );
            writeln!(out, "{table}: {rows:?}").unwrap();
        }
        out
    }
}

/// The protected cells of one world. Rows have the same masks in both worlds.
pub struct Cells {
    customers: Vec<[String; 4]>,
    leads: Vec<String>,
    events: Vec<String>,
}

impl Cells {
    pub fn new(which: u64) -> Self {
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (which.wrapping_mul(0xd134_2543_de82_ef95));
        let mut next = move |bound: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % bound
        };
        let mut word = |length: usize| -> String {
            // Letters that stand in no SQL keyword runs: a window of six never occurs by chance.
            (0..length).map(|_| char::from(b"bcdfghjkqvwxz"[next(13) as usize])).collect()
        };
        let mut words = |count: usize, length: usize| -> Vec<String> { (0..count).map(|_| word(length)).collect() };
        let letters = words(64, 12);
        let mut used = letters.into_iter();
        let mut seed = 77 + which * 1000;
        let mut digits = move || -> String {
            (0..5)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    char::from(b'0' + (seed >> 40) as u8 % 10)
                })
                .collect()
        };
        let customers = (0..8_u8)
            .map(|row| {
                let (first, last) = (char::from(b'A' + row), char::from(b'Z' - row));
                let mut letters = || used.next().unwrap();
                let phone = format!("09{}10{}", digits(), row + 1);
                let contact = format!("09{}77{}", digits(), row + 1);
                [
                    format!("{first}{} {last}{}", letters(), letters()),
                    phone.clone(),
                    format!("{}{}", letters(), letters()),
                    format!(
                        r#"{{"tier": "gold", "phone": "{phone}", "contact": {{"phone": "{contact}", "mail": "{}"}}}}"#,
                        letters()
                    ),
                ]
            })
            .collect();
        let leads = (0..3).map(|row| format!("09{}20{row}", digits())).collect();
        let events = (0..3).map(|row| format!("09{}30{row}", digits())).collect();
        Self { customers, leads, events }
    }

    fn sql(&self) -> String {
        let mut sql = String::new();
        for (row, [name, phone, note, meta]) in self.customers.iter().enumerate() {
            let table = if row < 6 { "customers" } else { "customers_2024" };
            writeln!(
                sql,
                "INSERT INTO {table} (id, name, phone, note, meta) VALUES ({}, '{name}', '{phone}', '{note}', '{meta}');",
                row + 1
            )
            .unwrap();
        }
        for (row, phone) in self.leads.iter().enumerate() {
            writeln!(sql, "INSERT INTO leads (lead_id, phone) VALUES ({}, '{phone}');", row + 1).unwrap();
        }
        // One lead is a customer too.
        writeln!(sql, "INSERT INTO leads (lead_id, phone) VALUES (9, '{}');", self.customers[0][1]).unwrap();
        for (row, phone) in self.events.iter().enumerate() {
            writeln!(sql, "INSERT INTO events VALUES ({}, date '2025-12-31' + {row}, '{phone}');", row + 1).unwrap();
        }
        for row in 1..=6 {
            writeln!(sql, "INSERT INTO orders VALUES ({}, {row}, {}.50);", row * 100, row * 10).unwrap();
            writeln!(sql, "INSERT INTO numbers VALUES ({row}, {});", row * row).unwrap();
        }
        let wide = "a".repeat(63);
        writeln!(sql, "INSERT INTO {wide} VALUES (1, '{}');", self.customers[0][0]).unwrap();
        sql.push_str("REFRESH MATERIALIZED VIEW cust_mv; ANALYZE;");
        sql
    }
}

const WINDOW: usize = 6;

/// Every window of six characters of every protected cell, in several spellings.
struct Secrets {
    windows: HashSet<[u8; WINDOW]>,
    hex: HashSet<[u8; 2 * WINDOW]>,
    digests: Vec<String>,
}

impl Secrets {
    fn new(cells: &Cells) -> Self {
        let mut secrets = Self { windows: HashSet::new(), hex: HashSet::new(), digests: Vec::new() };
        for [name, phone, note, meta] in &cells.customers {
            let inner = meta.split('"').filter(|part| part.len() >= 10);
            for cell in [name, phone, note].into_iter().map(String::as_str).chain(inner) {
                secrets.add(cell);
            }
        }
        for phone in cells.leads.iter().chain(&cells.events) {
            secrets.add(phone);
        }
        secrets
    }

    fn add(&mut self, cell: &str) {
        let reversed: String = cell.chars().rev().collect();
        for spelling in [cell.to_owned(), reversed, cell.to_uppercase(), cell.to_lowercase()] {
            for window in spelling.as_bytes().windows(WINDOW) {
                self.windows.insert(window.try_into().unwrap());
                let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
                self.hex.insert(hex.as_bytes().try_into().unwrap());
            }
        }
        if let Some(digits) = cell.strip_prefix('0') {
            // A number loses its leading zero.
            self.digests.push(digits.to_owned());
        }
    }

    fn find(&self, bytes: &[u8]) -> Option<String> {
        for window in bytes.windows(WINDOW) {
            if self.windows.contains(window) {
                return Some(format!("`{}`", String::from_utf8_lossy(window)));
            }
        }
        for window in bytes.windows(2 * WINDOW) {
            if self.hex.contains(window) {
                return Some(format!("hex `{}`", String::from_utf8_lossy(window)));
            }
        }
        let haystack = String::from_utf8_lossy(bytes);
        self.digests.iter().find(|digest| haystack.contains(digest.as_str())).map(|digest| format!("`{digest}`"))
    }
}

/// The cases of `tests/leaks/<name>.case`.
pub fn cases(name: &str) -> Vec<Case> {
    let path = fixture("leaks").join(format!("{name}.case"));
    let text = fs::read_to_string(&path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        if let Some(head) = line.strip_prefix("=== ") {
            let mut words = head.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("{place}: ID, OUTCOME and a title")).to_owned();
            let (id, outcomes, title) = (word(), word(), word());
            let (outcomes, code) = match outcomes.split_once("REFUSE(") {
                None => (outcomes, String::new()),
                Some((before, code)) => {
                    let (code, after) = code.split_once(')').unwrap_or_else(|| panic!("{place}: REFUSE(code)"));
                    (format!("{before}REFUSE{after}"), code.to_owned())
                }
            };
            let outcomes = outcomes
                .split('|')
                .map(|outcome| match outcome {
                    "MASK" => Outcome::Mask,
                    "PASS" => Outcome::Pass,
                    "SCRUB" => Outcome::Scrub,
                    "REFUSE" => Outcome::Refuse,
                    _ => panic!("{place}: `{outcome}` is no outcome"),
                })
                .collect();
            let statements = vec![Statement::default()];
            cases.push(Case { id, outcomes, code, title, switches: Vec::new(), statements, place });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            assert!(line.is_empty() || line.starts_with('#'), "{place}: a line before the first case");
            continue;
        };
        let statement = case.statements.last_mut().unwrap();
        if let Some(switch) = line.strip_prefix("@ ") {
            case.switches.push(switch.to_owned());
        } else if let Some(row) = line.strip_prefix("= ") {
            statement.rows.get_or_insert_default().push(row.to_owned());
        } else if line == "--" {
            case.statements.push(Statement::default());
        } else if !(line.starts_with("# ") || line.is_empty() && statement.sql.is_empty()) {
            if !statement.sql.is_empty() {
                statement.sql.push('\n');
            }
            // `\u{…}` and `\t` let a case hold characters that an editor would hide.
            statement.sql.push_str(&unescape(line));
        }
    }
    for case in &mut cases {
        let since = case.switches.iter().find_map(|switch| switch.strip_prefix("since "));
        if since.is_some_and(|version| version.parse::<u32>().unwrap() > server_version()) {
            // An older server does not know the form, and it is what says so.
            case.outcomes = vec![Outcome::Scrub];
            case.switches.push("quiet".to_owned());
        }
        for statement in &mut case.statements {
            let length = statement.sql.trim_end().len();
            statement.sql.truncate(length);
        }
        assert!(case.statements.iter().all(|statement| !statement.sql.is_empty()), "{}: empty statement", case.place);
    }
    cases
}

/// The major version of the servers that tests start.
fn server_version() -> u32 {
    static VERSION: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *VERSION.get_or_init(|| {
        let output =
            std::process::Command::new(crate::common::postgres::program("postgres")).arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let number =
            text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit())).unwrap();
        number.split(|other: char| !other.is_ascii_digit()).next().unwrap().parse().unwrap()
    })
}

fn unescape(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("<U+") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('>').map(|end| at + end).unwrap();
        out.push(char::from_u32(u32::from_str_radix(&rest[at + 3..end], 16).unwrap()).unwrap());
        rest = &rest[end + 1..];
    }
    out + rest
}

/// The golden cases of plans: place, directive, statement.
pub fn golden() -> Vec<(String, String, String)> {
    let mut files: Vec<_> = fs::read_dir(fixture("golden/plan")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for case in text.split("\n\n").map(|case| case.trim_matches('\n')).filter(|case| !case.is_empty()) {
            let head = case.split_once("\n----").map_or(case, |(head, _)| head);
            let (directive, sql) = head.split_once('\n').unwrap_or_else(|| panic!("{}: {case}", file.display()));
            cases.push((file.display().to_string(), directive.to_owned(), sql.to_owned()));
        }
    }
    cases
}

impl Case {
    pub fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|other| other == switch)
    }

    pub fn ways(&self) -> Vec<Way> {
        let simple_only = self.has("simple");
        let text_only = self.has("text");
        WAYS.into_iter()
            .filter(|way| match way {
                Way::Simple | Way::SimpleTrickled => true,
                Way::ExtendedText | Way::ExtendedTrickled => !simple_only,
                Way::ExtendedBinary => !simple_only && !text_only,
            })
            .collect()
    }
}

/// What happened to a case sent one way.
pub struct Run {
    /// The answers, one for each statement sent.
    pub answers: Vec<Vec<Message>>,
    /// Every byte after start-up.
    pub transcript: Vec<u8>,
    /// Whether the session answered afterwards.
    pub usable: bool,
}

pub fn run(world: &World, case: &Case, way: Way) -> Run {
    let mut client = world.connect("support");
    let in_transaction = !case.has("no-transaction");
    if in_transaction {
        client.simple("BEGIN");
    }
    client.trickle = matches!(way, Way::SimpleTrickled | Way::ExtendedTrickled);
    let copy = case.switches.iter().find_map(|switch| switch.strip_prefix("copy "));
    let copy = copy.map(|lines| lines.replace("\\n", "\n").replace("\\t", "\t")).unwrap_or_default();
    let mut answers = Vec::new();
    for statement in &case.statements {
        let answer = match way {
            Way::Simple | Way::SimpleTrickled => client.simple_copy(&statement.sql, copy.as_bytes()),
            Way::ExtendedText | Way::ExtendedTrickled => client.extended_copy(&statement.sql, &[], 0, copy.as_bytes()),
            Way::ExtendedBinary => client.extended_copy(&statement.sql, &[], 1, copy.as_bytes()),
        };
        let failed = wire::error(&answer).is_some();
        answers.push(answer);
        if failed {
            break;
        }
    }
    client.trickle = false;
    if in_transaction {
        client.simple("ROLLBACK");
    }
    let rows = wire::text_rows(&client.simple("SELECT 1"));
    let usable = rows == [[Some("1".to_owned())]];
    let transcript = client.after_startup().to_vec();
    Run { answers, transcript, usable }
}

/// The rows, tags and column types of a completed run, to compare with the masked database.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub rows: Vec<Vec<Option<String>>>,
    pub tags: Vec<String>,
    pub columns: Vec<(String, u32, i32)>,
}

/// The answer in these messages, its rows in no order.
pub fn answer(messages: &[Message]) -> Answer {
    let mut rows = wire::text_rows(messages);
    rows.sort();
    let mut copied: Vec<String> =
        messages.iter().filter(|m| m.kind == b'd').map(|m| String::from_utf8_lossy(&m.body).into_owned()).collect();
    copied.sort();
    rows.extend(copied.into_iter().map(|line| vec![Some(line)]));
    let tags = messages.iter().filter(|m| m.kind == b'C').map(Message::tag).collect();
    let columns = messages
        .iter()
        .filter(|m| m.kind == b'T')
        .flat_map(Message::columns)
        .map(|column| (column.name, column.type_oid, column.modifier))
        .collect();
    Answer { rows, tags, columns }
}

/// What is wrong with a run, against the case's outcome.
pub fn judge(case: &Case, way: Way, run: &Run) -> Vec<String> {
    let mut problems = Vec::new();
    let last = run.answers.last().unwrap();
    let what = match wire::error(last) {
        None if run.answers.len() == case.statements.len() => "completed",
        None => "ended early",
        Some(error) if error.field(b'H').is_some_and(|hint| hint.starts_with("PGS")) => "refused",
        Some(_) => "failed",
    };
    let fits = case.outcomes.iter().any(|outcome| match outcome {
        Outcome::Mask | Outcome::Pass => what == "completed",
        Outcome::Scrub => what == "failed",
        Outcome::Refuse => what == "refused",
    });
    if !fits {
        problems.push(format!("{what}, expected {:?}:\n{}", case.outcomes, wire::describe(last)));
    }
    if what == "refused" {
        let hint = wire::error(last).and_then(|error| error.field(b'H')).unwrap_or_default();
        if !hint.starts_with(&case.code) {
            problems.push(format!("expected {}:\n{}", case.code, wire::describe(last)));
        }
    }
    for error in run.answers.iter().flatten().filter(|message| message.kind == b'E' || message.kind == b'N') {
        let code = error.field(b'C').unwrap_or_default();
        let own = error.field(b'H').is_some_and(|hint| hint.starts_with("PGS"));
        if own {
            let known =
                ["42", "0A", "54", "22021", "08P01", "34000", "26000"].iter().any(|start| code.starts_with(start));
            if !known {
                problems.push(format!("refused with SQLSTATE {code}: {}", wire::describe(std::slice::from_ref(error))));
            }
        }
        // Fields in which PostgreSQL prints values; of a violated key the columns are said, without them.
        let key = error.field(b'D').is_some_and(|detail| detail.starts_with("Key (") && detail.contains(")=(***) "));
        let forbidden = |field: &char| "Wqp".contains(*field) || (*field == 'D' && !key);
        let values: String = error.fields().into_iter().filter(forbidden).collect();
        if !values.is_empty() || (!own && error.field(b'H').is_some()) {
            problems.push(format!("not scrubbed: {}", wire::describe(std::slice::from_ref(error))));
        }
    }
    if !run.usable {
        problems.push("the session is not usable afterwards".to_owned());
    }
    if way != Way::ExtendedBinary {
        for (statement, answer) in case.statements.iter().zip(&run.answers) {
            let Some(expected) = &statement.rows else { continue };
            let rows: Vec<String> = wire::text_rows(answer)
                .into_iter()
                .map(|row| row.into_iter().map(|v| v.unwrap_or("NULL".into())).collect::<Vec<_>>().join("|"))
                .collect();
            if what == "completed" && rows != *expected {
                problems.push(format!(
                    "rows are\n    {}\n  expected\n    {}",
                    rows.join("\n    "),
                    expected.join("\n    ")
                ));
            }
        }
    }
    problems
}
