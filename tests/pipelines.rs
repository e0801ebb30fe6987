//! Random pipelines, through the proxy as a restricted role and straight to the server: the answers are the same, message by message.
//! Named and unnamed statements and portals, suspended portals, cursors, simple queries between, COPY, refused statements, errors, Flush
//! without Sync, frames cut anywhere. Statements are over tables without personal data, so that nothing is to be changed; what is
//! refused is replaced by a syntax error where there is no proxy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;
#[path = "common/generator.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod generator;

use common::{
    Postgres, Proxy, shop,
    wire::{self, Client, Message, frame},
};
use generator::Generator;

/// Refused by the proxy; the server gets a text in its place that fails as early.
const REFUSED: &str = "SELECT pg_read_file('PG_VERSION')";
const FAILING: &str = "refused";

const STATEMENTS: &[&str] = &[
    "SELECT id FROM plain ORDER BY id",
    "SELECT word FROM plain WHERE id = 1",
    "SELECT 1/0",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "",
    "SELECT $1::int",
    "PREPARE q AS SELECT 5",
    "EXECUTE q",
    "DEALLOCATE q",
    "DEALLOCATE ALL",
    "DECLARE k CURSOR FOR SELECT id FROM plain ORDER BY id",
    "FETCH 2 FROM k",
    "CLOSE c",
    "COPY lines (number) FROM STDIN",
    "COPY plain (id) TO STDOUT",
    REFUSED,
    "SELEC",
    "UPDATE plain SET word = word WHERE id = 2 RETURNING id",
    "SELECT word FROM plain; SELECT id FROM plain",
    "SELECT word FROM plain; SELECT 1/0; SELECT 3",
    "COPY lines (number) FROM STDIN; SELECT 7",
    "BEGIN; SELECT 2",
    "SET statement_timeout = 5000",
    "SHOW statement_timeout",
];
const NAMES: &[&str] = &["", "s1", "s2"];
const PORTALS: &[&str] = &["", "p1", "c"];

/// The frames of one pipeline, for the proxy and for the server.
fn pipeline(random: &mut Generator) -> [Vec<u8>; 2] {
    let mut both = [Vec::new(), Vec::new()];
    let add = |both: &mut [Vec<u8>; 2], bytes: Vec<u8>| both.iter_mut().for_each(|all| all.extend_from_slice(&bytes));
    let text = |both: &mut [Vec<u8>; 2], sql: &str, make: &dyn Fn(&str) -> Vec<u8>| {
        both[0].extend(make(sql));
        both[1].extend(make(if sql == REFUSED { FAILING } else { sql }));
    };
    for _ in 0..2 + random.below(12) {
        let sql = random.pick(STATEMENTS).to_owned();
        let (name, portal) = (random.pick(NAMES).to_owned(), random.pick(PORTALS).to_owned());
        let rows = [0, 0, 1, 2][random.below(4)];
        match random.below(22) {
            0..3 => text(&mut both, &sql, &|sql| wire::parse(&name, sql, &[])),
            3..6 => add(&mut both, wire::bind(&portal, &name, &[], &[], &[])),
            6..9 => add(&mut both, wire::execute(&portal, rows)),
            9 => add(&mut both, wire::describe_statement(&name)),
            10 => add(&mut both, wire::describe_portal(&portal)),
            11 => add(&mut both, wire::close_statement(&name)),
            12 => add(&mut both, wire::close_portal(&portal)),
            13 | 14 => add(&mut both, wire::sync()),
            15 => add(&mut both, wire::flush()),
            16 => text(&mut both, &sql, &|sql| wire::query(sql)),
            17 => add(&mut both, frame(b'd', [&b"5\n"[..], b"x\n", b"7"][random.below(3)])),
            18 => add(&mut both, frame(b'c', b"")),
            19 => add(&mut both, frame(b'f', b"no\0")),
            _usual => {
                text(&mut both, &sql, &|sql| wire::parse("", sql, &[]));
                add(&mut both, wire::bind(&portal, "", &[], &[], &[]));
                add(&mut both, wire::execute(&portal, rows));
            }
        }
    }
    // Whatever state that leaves: COPY ends, and so does the transaction.
    add(&mut both, wire::sync());
    add(&mut both, frame(b'f', b"end\0"));
    add(&mut both, wire::sync());
    add(&mut both, wire::query("ROLLBACK"));
    add(&mut both, wire::query("SELECT 'the end'"));
    both
}

/// What comes back, errors by their SQLSTATE, without notices.
fn answer(mut client: Client, bytes: &[u8], random: &mut Generator, largest: usize) -> Vec<String> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at((1 + random.below(largest)).min(rest.len()));
        client.send(chunk);
        rest = behind;
    }
    let mut answers = Vec::new();
    let mut ended = false;
    while let Some(message) = client.next() {
        ended |= message.kind == b'D' && message.body.ends_with(b"the end");
        let last = ended && message.kind == b'Z';
        answers.extend(shown(&message));
        if last {
            return answers;
        }
    }
    answers.push("closed".to_owned());
    answers
}

fn shown(message: &Message) -> Option<String> {
    match message.kind {
        b'N' | b'S' => None,
        b'E' => {
            let code = message.field(b'C').unwrap();
            // A refusal.
            Some(format!("E {}", if code == "42501" { "42601" } else { &code }))
        }
        kind => Some(format!("{} {}", char::from(kind), String::from_utf8_lossy(&message.body))),
    }
}

fn start() -> (Postgres, Proxy) {
    let (postgres, proxy) = shop::start();
    postgres.sql(
        shop::DATABASE,
        "CREATE TABLE plain (id int PRIMARY KEY, word text); INSERT INTO plain SELECT n, 'word' || n FROM generate_series(1, 5) n;
         CREATE TABLE lines (number int); GRANT ALL ON plain, lines TO support",
    );
    (postgres, proxy)
}

#[test]
fn pipelines_are_answered_as_by_the_server() {
    let (postgres, proxy) = start();
    let rounds: u64 = std::env::var("PGSCRIM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(250);
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let direct = || {
        Client::connect(&postgres.address(), &[("user", "support"), ("database", shop::DATABASE)])
            .unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)))
    };
    let mut messages = 0;
    for seed in first..first + rounds {
        let mut random = Generator::new(seed);
        let [ours, theirs] = pipeline(&mut random);
        let largest = [usize::MAX >> 1, 200, 40, 7][random.below(4)].min(ours.len());
        let mut expected = answer(direct(), &theirs, &mut Generator::new(0), theirs.len());
        // A statement among COPY data ends a session: the server says so twice.
        if let [.., one, other, closed] = expected.as_slice()
            && one == "E 08P01"
            && one == other
            && closed == "closed"
        {
            expected.remove(expected.len() - 2);
        }
        let found = answer(proxy.connect("support", shop::DATABASE), &ours, &mut random, largest);
        assert_eq!(found, expected, "PGSCRIM_SEED={seed}, sent: {:?}", String::from_utf8_lossy(&ours));
        messages += found.len();
    }
    println!("{rounds} pipelines, {messages} messages");
}

/// What SET TRANSACTION says must stand before the first snapshot of a transaction, and so before questions of pgscrim's own.
#[test]
fn transactions_are_set_up_behind_a_path() {
    let (_postgres, proxy) = start();
    for extended in [false, true] {
        let mut client = proxy.connect("support", shop::DATABASE);
        let mut send = |sql: &str| {
            let answer = if extended { client.extended(sql, &[], 0) } else { client.simple(sql) };
            assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
            answer
        };
        send("BEGIN");
        send("SET LOCAL search_path = pg_catalog");
        send("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        // It is judged by the new path all the same.
        assert_eq!(wire::text_rows(&send("SHOW transaction_isolation"))[0][0].as_deref(), Some("repeatable read"));
        let answer = if extended { client.extended("TABLE plain", &[], 0) } else { client.simple("TABLE plain") };
        assert_eq!(wire::error(&answer).unwrap().field(b'C').as_deref(), Some("42P01"));
    }
}

#[test]
fn deallocate_all_leaves_the_unnamed_statement() {
    let (postgres, proxy) = start();
    for address in [postgres.address(), proxy.address()] {
        for all in ["DEALLOCATE ALL", "DEALLOCATE PREPARE ALL"] {
            let mut client = Client::connect(&address, &[("user", "support"), ("database", shop::DATABASE)])
                .unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)));
            client.send(&[wire::parse("all", all, &[]), wire::parse("", "TABLE plain", &[]), wire::sync()].concat());
            client.until_ready();
            client.send(&[wire::bind("", "all", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
            assert!(wire::error(&client.until_ready()).is_none(), "{all}");
            client.send(&[wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
            let answer = client.until_ready();
            assert!(wire::error(&answer).is_none(), "{all}: {}", wire::describe(&answer));
            assert_eq!(answer.iter().filter(|message| message.kind == b'D').count(), 5);
        }
    }
}

/// What is known of cursors goes with them: a session may use any number of names, and does not fill the memory.
#[test]
fn cursors_are_forgotten_with_their_transaction() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", shop::DATABASE);
    for number in 0..4100 {
        let sql = format!("BEGIN; DECLARE c{number} CURSOR FOR SELECT phone, full_name FROM customers; COMMIT");
        assert!(wire::error(&client.simple(&sql)).is_none(), "{number}");
    }
    // Those that outlive it are limited, and so are all within a transaction.
    let declare = |number: usize| format!("DECLARE h{number} CURSOR WITH HOLD FOR SELECT 1");
    for number in 0..4000 {
        assert!(wire::error(&client.simple(&declare(number))).is_none(), "{number}");
    }
    let limited = |client: &mut Client, sql: &str| {
        let answer = client.simple(sql);
        assert_eq!(wire::error(&answer).and_then(|error| error.field(b'C')).as_deref(), Some("54000"), "{sql}");
    };
    limited(&mut client, &declare(4000));
    assert_eq!(wire::text_rows(&client.simple("FETCH 2 FROM h3999")).len(), 1);
    client.simple("CLOSE h5");
    assert!(wire::error(&client.simple(&declare(4000))).is_none());
    client.simple("CLOSE ALL");
    client.simple("BEGIN");
    for number in 0..4100 {
        let sql = format!("SAVEPOINT s; DECLARE d{number} CURSOR FOR SELECT 1; ROLLBACK TO s; RELEASE s");
        assert!(wire::error(&client.simple(&sql)).is_none(), "{number}");
    }
    for number in 0..4000 {
        let sql = format!("SAVEPOINT s; DECLARE d{number} CURSOR FOR SELECT 1; RELEASE s");
        assert!(wire::error(&client.simple(&sql)).is_none(), "{number}");
    }
    client.send(&[wire::parse("", "SELECT 1", &[]), wire::bind("p", "", &[], &[], &[]), wire::sync()].concat());
    let answer = client.until_ready();
    assert_eq!(wire::error(&answer).and_then(|error| error.field(b'C')).as_deref(), Some("54000"));
    client.simple("ROLLBACK");
    assert!(wire::error(&client.simple("BEGIN; DECLARE e CURSOR FOR SELECT 1")).is_none());
}

/// A portal of a statement that PREPARE has made runs that statement, and prepares nothing: whoever takes the name meanwhile keeps it.
#[test]
fn a_portal_of_a_prepared_statement_prepares_nothing() {
    let (_postgres, proxy) = shop::start();
    let (quiet, personal) = ("SELECT 1 AS id", "SELECT phone FROM customers WHERE id = 3");
    let pieces = |sql: &str| {
        [
            wire::bind("", "s", &[], &[], &[]),
            wire::close_statement("s"),
            wire::parse("s", sql, &[]),
            wire::execute("", 0),
            wire::bind("", "s", &[], &[], &[]),
            wire::execute("", 0),
            wire::sync(),
        ]
        .concat()
    };
    let mut client = proxy.connect("support", "shop");
    client.simple(&format!("PREPARE s AS {quiet}"));
    client.send(&pieces(personal));
    let rows = |answer: &[Message]| wire::text_rows(answer).into_iter().flatten().flatten().collect::<Vec<_>>();
    assert_eq!(rows(&client.until_ready()), ["1", "*****003"]);
    client.send(&[wire::bind("", "s", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
    assert_eq!(rows(&client.until_ready()), ["*****003"]);
    // By SQL too.
    client.simple("DEALLOCATE ALL; BEGIN");
    client.simple(&format!("PREPARE s AS {quiet}"));
    client.send(&[wire::bind("p", "s", &[], &[], &[]), wire::sync()].concat());
    client.until_ready();
    client.simple(&format!("DEALLOCATE s; PREPARE s AS {personal}"));
    client.send(&[wire::execute("p", 0), wire::sync()].concat());
    assert_eq!(rows(&client.until_ready()), ["1"]);
    assert_eq!(rows(&client.simple("EXECUTE s")), ["*****003"]);
    client.simple("COMMIT");
    drop(client);
    let events = common::wait_for("all events", std::time::Duration::from_secs(10), || {
        let events = proxy.audit();
        let phones =
            |event: &&serde_json::Value| event["columns"].to_string().contains("customers.phone") && event["rows"] == 1;
        (events.iter().filter(phones).count() == 3).then_some(events)
    });
    let ones = events
        .iter()
        .filter(|event| event["kind"] == "SELECT" && event["columns"].as_array().is_some_and(Vec::is_empty));
    assert!(ones.count() >= 2);
}

/// The end of a transaction undoes what was set in it, also where the next message is on its way already.
#[test]
fn what_a_sync_undoes_does_not_hold_behind_it() {
    let (postgres, proxy) = shop::start();
    postgres.sql(
        shop::DATABASE,
        "CREATE SCHEMA sa; CREATE SCHEMA sb; CREATE TABLE sa.t (x text); CREATE TABLE sb.t (x text); INSERT INTO sa.t VALUES ('a');
         INSERT INTO sb.t VALUES ('b'); GRANT ALL ON SCHEMA sa, sb TO support; GRANT ALL ON ALL TABLES IN SCHEMA sa, sb TO support",
    );
    let run = |sql: &str| [wire::parse("", sql, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0)].concat();
    let rows = |answer: &[Message]| wire::text_rows(answer).into_iter().flatten().flatten().collect::<Vec<_>>();
    for (set, fails) in [("SET LOCAL search_path = sb", false), ("SET search_path = sb", true)] {
        let mut client = common::wait_for("the new schemas", std::time::Duration::from_secs(10), || {
            let mut client = proxy.connect("support", "shop");
            client.simple("SET search_path = sa");
            (rows(&client.simple("SELECT x FROM t")) == ["a"]).then_some(client)
        });
        let mut all = [run(set), run("SELECT x FROM t")].concat();
        if fails {
            all.extend(run("SELECT 1 / 0"));
        }
        all.extend([wire::sync(), run("SELECT x FROM t"), run("INSERT INTO t VALUES ('new')"), wire::sync()].concat());
        client.send(&all);
        assert_eq!(rows(&client.until_ready()), ["b"], "{set}");
        assert_eq!(rows(&client.until_ready()), ["a"], "{set}");
        assert_eq!(rows(&client.simple("SELECT x FROM t WHERE x = 'new'")), ["new"], "{set}");
        client.simple("DELETE FROM t WHERE x = 'new'");
    }
    let left = postgres.sql(shop::DATABASE, "SELECT count(*) FROM sb.t");
    assert_eq!(left[0][0].as_deref(), Some("1"));
}

/// After an error the server skips up to the Sync: a Parse or Bind in between did nothing, and what stands behind the Sync runs what had the name
/// before. It is judged and recorded as that, also when all of it comes at once.
#[test]
fn a_skipped_message_gives_no_name() {
    let (_postgres, proxy) = shop::start();
    let personal = "SELECT id, phone FROM customers ORDER BY id";
    let run = |statement: &str, portal: &str| {
        [wire::bind(portal, statement, &[], &[], &[]), wire::execute(portal, 0)].concat()
    };
    let fails = || [wire::parse("x", "SELECT 1 / 0", &[]), run("x", "")].concat();
    for user in ["support", "owner"] {
        for name in ["", "q"] {
            let mut client = proxy.connect(user, "shop");
            let pieces = [
                wire::parse(name, personal, &[]),
                fails(),
                wire::close_statement(name),
                wire::parse(name, "SELECT 1 AS quiet", &[]),
                wire::sync(),
                wire::describe_statement(name),
                run(name, ""),
                wire::sync(),
            ];
            client.send(&pieces.concat());
            let mut answer = client.until_ready();
            assert!(wire::error(&answer).is_some());
            answer = client.until_ready();
            assert!(wire::text_rows(&answer).len() > 2, "{user} {name:?}: {}", wire::describe(&answer));
        }
        // The portal too: the rest of its rows.
        let mut client = proxy.connect(user, "shop");
        client.simple("BEGIN");
        let all = [
            wire::parse("a", personal, &[]),
            wire::parse("b", "SELECT 1 AS quiet", &[]),
            wire::parse("r", "ROLLBACK TO s", &[]),
        ];
        client.send(&[all.concat(), wire::bind("", "a", &[], &[], &[]), wire::execute("", 1), wire::sync()].concat());
        client.until_ready();
        client.send(&[wire::parse("s", "SAVEPOINT s", &[]), run("s", "own"), wire::sync()].concat());
        client.until_ready();
        let failing = [wire::parse("x", "SELECT 1 / 0", &[]), run("x", "pf")].concat();
        let burst = [
            failing,
            wire::bind("", "b", &[], &[], &[]),
            wire::sync(),
            run("r", "pr"),
            wire::execute("", 0),
            wire::sync(),
        ];
        client.send(&burst.concat());
        client.until_ready();
        let answer = client.until_ready();
        assert!(wire::text_rows(&answer).len() > 1, "{user}: {}", wire::describe(&answer));
    }
    let read = |event: &serde_json::Value| {
        event["outcome"] == "completed" && event["text"].as_str().is_some_and(|text| text.contains("from customers"))
    };
    let events = common::wait_for("all events", std::time::Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.iter().filter(|event| read(event)).count() == 8).then_some(events)
    });
    let quiet = events.iter().filter(|event| event["text"].as_str().is_some_and(|text| text.contains("quiet")));
    assert_eq!(quiet.count(), 0, "nothing quiet was run");
}

/// A simple query ends the transaction that messages without a Sync have begun, and undoes what was set in it.
#[test]
fn a_simple_query_ends_what_messages_before_it_have_begun() {
    let (postgres, proxy) = start();
    postgres.sql(
        shop::DATABASE,
        "CREATE SCHEMA other; CREATE TABLE other.noted (v text); CREATE TABLE noted (v text);
         GRANT USAGE ON SCHEMA other TO support; GRANT ALL ON other.noted, noted TO support",
    );
    let extended =
        |sql: &str| [wire::parse("", sql, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0)].concat();
    let insert = "INSERT INTO noted VALUES ('new')";
    let where_it_went = "SELECT (SELECT count(*) FROM public.noted), (SELECT count(*) FROM other.noted)";
    for (set, ends) in [
        ("SET LOCAL search_path = other", "SELECT 1"),
        ("SET search_path = other", "SELECT 1/0"),
        ("SELECT set_config('search_path', 'other', true)", "SELECT 1"),
        ("SET search_path = other", "SELECT pg_read_file('x')"),
        ("SET search_path = other", "SELEC"),
    ] {
        for simple in [true, false] {
            let last = if simple { wire::query(insert) } else { [extended(insert), wire::sync()].concat() };
            let found = [postgres.address(), proxy.address()].map(|address| {
                let mut client = Client::connect(&address, &[("user", "support"), ("database", shop::DATABASE)])
                    .unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)));
                client.simple("TRUNCATE public.noted, other.noted");
                client.send(&[extended(set), wire::query(ends), last.clone()].concat());
                client.until_ready();
                client.until_ready();
                wire::text_rows(&client.simple(where_it_went))
            });
            assert_eq!(found[1], found[0], "{set}; {ends}; simple {simple}");
        }
    }
}
