//! Volume: millions of rows in constant memory, a slow reader that slows the server instead of filling the proxy, and
//! large COPYs in; texts that take long. `PGSCRIM_TEST_LONG=1` makes them ten times as large.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod common;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use common::{Proxy, proxy::Options, shop, wire};

/// The most that the proxy may grow during a test, in KiB.
const GROWTH: u64 = 48 * 1024;

fn factor() -> u32 {
    if common::long() { 10 } else { 1 }
}

/// Reads to ReadyForQuery without keeping anything; gives the number of DataRow and CopyData messages, and the last tag.
fn drain(client: &mut wire::Client) -> (u64, String) {
    let (mut rows, mut tag) = (0, String::new());
    loop {
        // The transcript would hold the whole result.
        if client.transcript.len() > 1 << 20 {
            client.forget();
        }
        let message = client.next().unwrap();
        match message.kind {
            b'D' | b'd' => rows += 1,
            b'C' => tag = message.tag(),
            b'E' => panic!("{}", wire::describe(&[message])),
            b'Z' => return (rows, tag),
            _ => {}
        }
    }
}

fn grown(proxy: &Proxy, before: (u64, u64), what: &str) {
    let after = proxy.memory();
    println!("{what}: {} KiB before, {} after, {} at its peak", before.0, after.0, after.1);
    assert!(after.1 < before.0 + GROWTH, "{what}: {} KiB before, {} at its peak", before.0, after.1);
}

#[test]
fn a_million_rows_in_constant_memory() {
    let (_server, proxy) = shop::start();
    let count = 1_000_000 * factor();
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        client.simple("SELECT 1");
        let before = proxy.memory();
        let sql = format!(
            "SELECT g, c.phone, c.full_name FROM generate_series(1, {count}) g JOIN customers c ON c.id = g % 50 + 1"
        );
        client.send(&wire::query(&sql));
        assert_eq!(drain(&mut client), (u64::from(count), format!("SELECT {count}")), "{user}");
        grown(&proxy, before, user);
        // The same in the extended protocol with binary results, and as COPY.
        client.send(
            &[wire::parse("", &sql, &[]), wire::bind("", "", &[], &[], &[1]), wire::execute("", 0), wire::sync()]
                .concat(),
        );
        assert_eq!(drain(&mut client).0, u64::from(count), "{user}");
        client.send(&wire::query(&format!("COPY ({sql}) TO STDOUT")));
        assert_eq!(drain(&mut client), (u64::from(count), format!("COPY {count}")), "{user}");
        grown(&proxy, before, user);
    }
}

#[test]
fn a_slow_reader_slows_the_server() {
    let (server, proxy) = shop::start();
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        client.simple("SELECT 1");
        let before = proxy.memory();
        client.send(&wire::query("SELECT g, repeat('x', 1000) FROM generate_series(1, 300000) g"));
        // Nobody reads: the server must come to a stand while the proxy stays small.
        std::thread::sleep(Duration::from_secs(3));
        let rows =
            server.sql("postgres", &format!("SELECT state, wait_event FROM pg_stat_activity WHERE usename = '{user}'"));
        assert_eq!(rows, [[Some("active".to_owned()), Some("ClientWrite".to_owned())]], "{user}");
        grown(&proxy, before, user);
        // Another session is not held up.
        let start = Instant::now();
        let mut other = proxy.connect(user, shop::DATABASE);
        assert_eq!(wire::text_rows(&other.simple("SELECT 1")).len(), 1);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(drain(&mut client).0, 300_000);
    }
}

#[test]
fn a_hundred_megabytes_of_copy_in() {
    let (server, proxy) = shop::start();
    server.sql(shop::DATABASE, "CREATE UNLOGGED TABLE heap (id int, filler text); GRANT ALL ON heap TO support");
    std::thread::sleep(Duration::from_millis(300));
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        // A new table is known at once: an unknown name makes the proxy read the catalog anew.
        client.simple("TRUNCATE heap");
        client.simple("SELECT count(*) FROM heap");
        let before = proxy.memory();
        client.send(&wire::query("COPY heap FROM STDIN"));
        let first = client.next().unwrap();
        assert_eq!(first.kind, b'G', "{user}: {}", wire::describe(std::slice::from_ref(&first)));
        let line = format!("7\t{}\n", "y".repeat(997));
        let chunk = wire::frame(b'd', line.repeat(60).as_bytes());
        let chunks = 1_700 * factor();
        for _ in 0..chunks {
            client.send(&chunk);
        }
        client.send(&wire::frame(b'c', b""));
        assert_eq!(drain(&mut client).1, format!("COPY {}", chunks * 60), "{user}");
        grown(&proxy, before, user);
        server.sql(shop::DATABASE, "TRUNCATE heap");
    }
}

#[test]
fn a_large_row_and_a_large_parameter() {
    let (_server, proxy) = shop::start();
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        let answer = client.simple("SELECT repeat('z', 30000000)");
        assert_eq!(wire::text_rows(&answer)[0][0].as_ref().unwrap().len(), 30_000_000, "{user}");
        let long = vec![b'p'; 20_000_000];
        let answer = client.extended("SELECT length($1)", &[Some(&long)], 0);
        assert_eq!(wire::text_rows(&answer), [[Some("20000000".to_owned())]], "{user}: {}", wire::describe(&answer));
    }
}

/// All sessions share one thread here: a text that takes long to judge must not hold up the others.
#[test]
fn a_text_that_takes_long_to_judge_holds_up_nobody() {
    let postgres = shop::postgres();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings = "workers = 1\n".to_owned();
    let proxy = Proxy::start(&postgres, &options);
    let number = AtomicUsize::new(0);
    // Of another shape each time, and never run.
    let judge = |client: &mut wire::Client| {
        let one = number.fetch_add(1, Ordering::Relaxed);
        let tables: Vec<_> = (0..60).map(|n| format!("customers AS c{n}_{one}")).collect();
        let shown: Vec<_> =
            (0..60).map(|n| format!("c{n}_{one}.phone || c{n}_{one}.full_name || c{n}_{one}.email")).collect();
        let sql = format!("SELECT {} FROM {}", shown.join(", "), tables.join(", "));
        assert!((1024..8192).contains(&sql.len()), "{}", sql.len());
        let mut bytes = wire::parse("", &sql, &[]);
        bytes.extend(wire::sync());
        let begin = Instant::now();
        client.send(&bytes);
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        begin.elapsed()
    };
    let connect = || proxy.connect("support", shop::DATABASE);
    let mut client = connect();
    let alone = (0..5).map(|_| judge(&mut client)).min().unwrap();
    let over = AtomicBool::new(false);
    let mut waits = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = connect();
                while !over.load(Ordering::Relaxed) {
                    judge(&mut client);
                }
            });
        }
        let waits: Vec<_> = (0..60)
            .map(|_| {
                let begin = Instant::now();
                client.simple("SELECT phone FROM customers WHERE id = 1");
                begin.elapsed()
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        waits
    });
    waits.sort_unstable();
    println!("alone {alone:?}, waits {:?} {:?} {:?}", waits[0], waits[30], waits[59]);
    // On the same thread each would wait for three texts, or one at least.
    assert!(waits[30] < alone / 2, "{:?} of {alone:?}", waits[30]);
}

/// Long texts of one login, however many connections send them, do not keep those of another waiting.
#[test]
fn long_texts_of_one_login_hold_up_no_other_login() {
    const ATTACKERS: usize = 24;
    let (_server, proxy) = shop::start();
    let number = AtomicUsize::new(0);
    // Of another text each time, longer than what is kept, and never run.
    let judge = |client: &mut wire::Client| {
        let one = number.fetch_add(1, Ordering::Relaxed);
        let values: Vec<_> = (0..4000).map(|n| format!("({n}, {one}, 'x', lower('y'))")).collect();
        let sql = format!("SELECT count(*) FROM (VALUES {}) v, customers", values.join(", "));
        let begin = Instant::now();
        client.send(&[wire::parse("", &sql, &[]), wire::sync()].concat());
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        begin.elapsed()
    };
    let mut victim = proxy.connect("owner", shop::DATABASE);
    let mut attacker = proxy.connect("support", shop::DATABASE);
    let alone = (0..3).map(|_| judge(&mut victim).max(judge(&mut attacker))).min().unwrap();
    let over = AtomicBool::new(false);
    let mut waits = std::thread::scope(|scope| {
        for _ in 0..ATTACKERS {
            scope.spawn(|| {
                let mut client = proxy.connect("support", shop::DATABASE);
                while !over.load(Ordering::Relaxed) {
                    judge(&mut client);
                }
            });
        }
        std::thread::sleep(alone * 4);
        let waits: Vec<_> = (0..9).map(|_| judge(&mut victim)).collect();
        over.store(true, Ordering::Relaxed);
        waits
    });
    waits.sort_unstable();
    println!("alone {alone:?}, waits {:?} {:?} {:?}", waits[0], waits[4], waits[8]);
    // In one line for all it would wait for a dozen texts.
    assert!(waits[4] < alone * 6, "{:?}, alone {alone:?}", waits[4]);
}

/// What judging a text of ten megabytes takes is bounded, and given back.
#[test]
#[cfg(target_os = "linux")]
fn memory_for_a_text_of_ten_megabytes_is_bounded() {
    let (_server, proxy) = shop::start();
    let mut client = proxy.connect("support", shop::DATABASE);
    client.simple("SELECT 1");
    let (before, _) = proxy.memory();
    // A hundred thousand elements, and rows of ten megabytes.
    let list: Vec<_> = (0..100_000).map(|n| n.to_string()).collect();
    let listed = client.simple(&format!("SELECT count(phone) FROM customers WHERE id IN ({})", list.join(", ")));
    assert!(wire::error(&listed).is_none(), "{}", wire::describe(&listed));
    let rows: Vec<_> = (0..90_000).map(|n| format!("({n}, '{}')", "z".repeat(100))).collect();
    let sql = format!("SELECT count(*) FROM customers c JOIN (VALUES {}) v (id, text) ON v.id = c.id", rows.join(", "));
    assert!(sql.len() > 10_000_000, "{}", sql.len());
    let begin = Instant::now();
    let answer = client.simple(&sql);
    assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
    let (after, most) = proxy.memory();
    println!("KiB: {before} before, {most} at most, {after} after, {:?}", begin.elapsed());
    assert!(most < before + 1024 * 1024, "{most} KiB");
}
