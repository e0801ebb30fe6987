//! Random and mutated inputs for everything that reads what strangers send: messages, start-up packets, statements, rule
//! files. Nothing may panic, and the properties of `tests/common/properties.rs` must hold. The inputs are the same in every
//! run; `PGSCRIM_TEST_LONG=1` tries more, and `fuzz/` has the same properties for cargo-fuzz.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;
#[path = "common/leaks.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod corpus;
#[path = "common/generator.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod generator;
#[path = "common/properties.rs"]
#[allow(missing_docs, clippy::pedantic, reason = "as in common")]
mod properties;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use common::{Proxy, proxy::Options, shop, wire};
use generator::{Generator, Mutator};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// The same inputs each time.
fn runner(cases: u32) -> TestRunner {
    let cases = if common::long() { cases * 40 } else { cases };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Bytes of which many are zero, lengths or letters.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0_u8), 1 => Just(255_u8), 2 => 1_u8..8, 3 => 32_u8..127, 1 => any::<u8>()];
    vec(byte, 0..most)
}

#[test]
fn messages_of_any_bytes_are_read_or_refused() {
    runner(5_000)
        .run(&bytes(60), |bytes| {
            properties::messages(&bytes);
            Ok(())
        })
        .unwrap();
    // Near misses: whole messages with a byte changed, cut, or added.
    let bodies: [&[u8]; 7] = [
        b"SELECT 1\0",
        b"n\0SELECT 1\0\0\x01\0\0\0\x17",
        b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\0",
        b"Sname\0",
        b"portal\0\0\0\0\x05",
        b"\0\x01phone\0\0\0\x40\x01\0\x03\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
        b"SERROR\0C42501\0Mno\0\0",
    ];
    let change = (0..bodies.len(), 0..40_usize, any::<u8>(), 0..3_u8);
    runner(5_000)
        .run(&change, |(which, at, byte, how)| {
            let mut body = bodies[which].to_vec();
            let at = at % body.len();
            match how {
                0 => body[at] = byte,
                1 => body.truncate(at),
                _ => body.insert(at, byte),
            }
            properties::messages(&body);
            Ok(())
        })
        .unwrap();
}

#[test]
fn startup_packets_of_any_bytes_are_read_or_refused() {
    let packet = (bytes(80), any::<bool>(), 0_u32..100).prop_map(|(mut bytes, fits, off)| {
        let length = u32::try_from(bytes.len() + 4).unwrap();
        let length = if fits { length } else { length.wrapping_add(off).wrapping_sub(50) };
        let mut packet = length.to_be_bytes().to_vec();
        packet.append(&mut bytes);
        packet
    });
    runner(1_500)
        .run(&packet, |packet| {
            properties::startup_packet(&packet);
            Ok(())
        })
        .unwrap();
}

/// What texts are made of.
const PIECES: &[&str] = &[
    "select ",
    "from ",
    "where ",
    "customers",
    "customers c",
    "orders",
    "tails",
    "phone",
    "c.phone",
    "note",
    "id",
    "*",
    "c.*",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ".",
    ":",
    "::",
    ":=",
    "=>",
    "=",
    "<>",
    "!=-",
    "-",
    "--",
    "--\n",
    "/*",
    "*/",
    "/**/",
    "'",
    "''",
    "'a'",
    "'a'\n'b'",
    "\"",
    "\"a\"",
    "\"A\"\"b\"",
    "E'",
    "e'\\x41'",
    "\\",
    "U&'",
    "U&'\\0061'",
    "u&\"\\0070hone\"",
    "uescape '!'",
    "$",
    "$$",
    "$a$",
    "$1",
    "n'",
    "N'a'",
    "b'01'",
    "x'1f'",
    "0x1f",
    "1_0",
    "1.",
    ".5",
    "1e5",
    "1..2",
    "é",
    "\u{a0}",
    "\0",
    "\n",
    "\r",
    "\t",
    " ",
    "order by ",
    "group by ",
    "union ",
    "with x as (",
    "insert into ",
    "values ",
    "update ",
    "set ",
    "delete ",
    "returning ",
    "on conflict (id) do update set ",
    "lateral ",
    "join ",
    "using (id)",
    "natural join ",
    "as ",
    "and ",
    "in (",
    "any (",
    "exists (",
    "case when ",
    "then ",
    "else ",
    "end ",
    "cast(",
    "array[",
    "row(",
    "generate_series(1, 2)",
    "to_jsonb(c)",
    "limit ",
    "for update ",
    "declare c cursor for ",
    "fetch all from c",
    "prepare p as ",
    "execute p",
    "copy ",
    "to stdout ",
    "explain ",
    "table ",
    "only ",
    "tablesample bernoulli (1) ",
    "operator(pg_catalog.=)",
    "pgs_1",
    "\u{1}",
    "grouping sets (",
    "over (",
    "filter (",
    "within group (",
    "begin",
    "null",
    "default",
    "collate \"C\"",
    "is not distinct from ",
    "between ",
    "like ",
    "interval ",
    "date ",
    "extract(",
];

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(0..PIECES.len(), pieces).prop_map(|list| list.into_iter().map(|piece| PIECES[piece]).collect())
}

#[test]
fn printed_texts_are_read_as_they_were() {
    runner(15_000)
        .run(&text(0..12), |text| {
            properties::round_trip(&text);
            Ok(())
        })
        .unwrap();
    runner(4_000)
        .run(&".{0,40}", |text| {
            properties::round_trip(&text);
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_text_is_planned_or_refused() {
    let planner = properties::Planner::new();
    runner(8_000)
        .run(&text(0..25), |text| {
            planner.plan(&text);
            Ok(())
        })
        .unwrap();
    let mut pool: Vec<Vec<String>> = corpus::FILES
        .into_iter()
        .flat_map(corpus::cases)
        .flat_map(|case| case.statements)
        .map(|statement| generator::tokens(&statement.sql))
        .collect();
    pool.extend(corpus::golden().into_iter().map(|(_, _, sql)| generator::tokens(&sql)));
    let count = if common::long() { 400_000 } else { 5_000 };
    let sent = (0..count).filter(|seed| planner.plan(&Mutator::new(*seed).mutate(&pool))).count();
    println!("{sent} of {count} mutated statements were planned");
    assert!(sent > 250, "only {sent}");
}

/// Nesting and length: every kind of bracket and chain, many times over, ends in a plan or in a refusal.
#[test]
fn deep_and_long_texts_end() {
    let chains: [(&str, &str, &str, &str); 22] = [
        ("SELECT ", "(", "1", ")"),
        ("SELECT ", "ARRAY[", "1", "]"),
        ("SELECT ", "- ", "1", ""),
        ("SELECT ", "NOT ", "true", ""),
        ("SELECT ", "CASE WHEN true THEN ", "1", " END"),
        ("SELECT ", "(SELECT ", "1", ")"),
        ("SELECT * FROM ", "(SELECT * FROM ", "customers", ") q"),
        ("", "WITH a AS (", "SELECT 1", ") SELECT 1"),
        ("SELECT 1", " + 1", "", ""),
        ("SELECT id FROM customers WHERE id = 1", " OR phone = '1'", "", ""),
        ("SELECT 1", " UNION SELECT 1", "", ""),
        ("SELECT 1 FROM customers a", " JOIN customers b ON true", "", ""),
        ("SELECT 1 IN (1", ", 1", ")", ""),
        ("SELECT upper('a')", "::text", "", ""),
        ("SELECT (ARRAY[1])", "[1]", "", ""),
        ("SELECT 1", "; SELECT 1", "", ""),
        ("SELECT 1 FROM customers", ", generate_series(1, 2)", "", ""),
        ("SELECT 1", " UNION ALL SELECT id FROM customers", "", ""),
        ("SELECT 1", ", (SELECT phone FROM customers LIMIT 1)", "", ""),
        ("SELECT 1 FROM customers WHERE id = 1", " AND phone IN (SELECT phone FROM customers)", "", ""),
        ("INSERT INTO orders VALUES (1)", ", (1)", "", ""),
        ("WITH a AS (SELECT 1)", ", b AS (SELECT phone FROM customers)", " SELECT * FROM a, b", ""),
    ];
    let texts: Vec<(String, String)> = chains
        .into_iter()
        .flat_map(|(head, open, middle, close)| {
            [10, 100, 119, 400, if common::long() { 20_000 } else { 1_500 }].map(|times| {
                let text = format!("{head}{}{middle}{}", open.repeat(times), close.repeat(times));
                (format!("{head}{open}{middle}{close} {times} times"), text)
            })
        })
        .collect();
    // Stacks as the program has them: of a worker, and of the thread that a long statement gets.
    let (short, long) = texts.into_iter().partition::<Vec<_>, _>(|(_, text)| text.len() <= 8 * 1024);
    for (texts, stack) in [(short, 16), (long, 256)] {
        let run = move || {
            let planner = properties::Planner::new();
            for (what, text) in texts {
                println!("{what}: {}", planner.plan(&text));
            }
        };
        std::thread::Builder::new().stack_size(stack * 1024 * 1024).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn rule_files_of_any_text_are_read_or_refused() {
    let sample = properties::sample_rules();
    properties::rules(sample);
    let pieces: Vec<&str> = sample.split_inclusive([' ', '\n', '"', '=', '[', ']', '{', '}', ',', '.']).collect();
    let change = vec((0..pieces.len(), 0..pieces.len(), 0..4_u8), 1..4);
    runner(2_000)
        .run(&change, |changes| {
            let mut list = pieces.clone();
            for (at, other, how) in changes {
                let (at, second) = (at % list.len(), other % list.len());
                match how {
                    0 => list[at] = pieces[other],
                    1 => list.insert(at, pieces[other]),
                    2 => drop(list.remove(at)),
                    _ => list.swap(at, second),
                }
            }
            properties::rules(&list.concat());
            Ok(())
        })
        .unwrap();
    runner(1_500)
        .run(&"[a-z\\[\\]{}=\"'\\\\.,*#\n0-9 é]{0,60}", |text| {
            properties::rules(&text);
            Ok(())
        })
        .unwrap();
}

/// Garbage on the wire, before and after start-up: the session may end, the proxy goes on.
#[test]
fn the_proxy_survives_what_it_is_sent() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let startup = wire::startup(0x3_0000, &[("user", "support"), ("database", shop::DATABASE)]);
    let messages: Vec<Vec<u8>> = vec![
        wire::query("SELECT phone FROM customers LIMIT 1"),
        wire::query("BEGIN"),
        wire::query("COPY orders FROM STDIN"),
        wire::parse("", "SELECT $1::int", &[]),
        wire::parse("s", "SELECT full_name FROM customers WHERE id = $1", &[23]),
        wire::bind("", "s", &[], &[Some(b"1")], &[]),
        wire::bind("", "", &[1], &[Some(b"\0\0\0\x01")], &[1]),
        wire::describe_portal(""),
        wire::describe_statement("s"),
        wire::execute("", 0),
        wire::close_statement("s"),
        wire::flush(),
        wire::sync(),
        wire::frame(b'd', b"1\t1\t1\t2025-01-01\n"),
        wire::frame(b'c', b""),
        wire::frame(b'f', b"no\0"),
        wire::frame(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        wire::frame(b'p', b"secret\0"),
        wire::frame(b'~', b""),
    ];
    let connections = if common::long() { 6_000 } else { 150 };
    for seed in 0..connections {
        let mut random = Generator::new(seed);
        let mut sent = if random.below(8) == 0 { Vec::new() } else { startup.clone() };
        for _ in 0..random.below(9) {
            let mut message = messages[random.below(messages.len())].clone();
            if random.below(3) == 0 {
                let at = random.below(message.len());
                match random.below(4) {
                    0 => message[at] = u8::try_from(random.below(256)).unwrap(),
                    1 => message.truncate(at),
                    2 => message.insert(at, 0),
                    _ => drop(message.remove(at)),
                }
            }
            sent.extend(message);
        }
        if random.below(6) == 0 {
            let at = random.below(sent.len().max(1));
            if let Some(byte) = sent.get_mut(at) {
                *byte ^= 0x40;
            }
        }
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // The proxy may have closed the connection by now.
        let _ = stream.write_all(&sent);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("seed {seed}: the connection stays open: {error}"),
        }
        let clear: Vec<&[u8]> = vec![b"Nguyen Thi Minh", b"0901234", b"prefers calls"];
        for secret in clear {
            assert!(!answer.windows(secret.len()).any(|window| window == secret), "LEAK seed {seed}");
        }
    }
    let mut client = proxy.connect("support", shop::DATABASE);
    let rows = wire::text_rows(&client.simple("SELECT phone FROM customers WHERE id = 1"));
    assert_eq!(rows, [[Some("*****001".to_owned())]]);
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}
