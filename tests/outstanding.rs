//! What one session has on its way keeps no other from its answers, and ends what waits for nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::{Duration, Instant};

use common::{
    shop,
    wire::{self, lines},
};

/// Each statement that waits for its answer holds a place in the audit queue, without which nobody's is sent.
#[test]
fn one_message_of_a_restricted_role_leaves_places_to_others() {
    let (_postgres, proxy) = shop::start();
    let mut support = proxy.connect("support", shop::DATABASE);
    let mut other = proxy.connect("owner", shop::DATABASE);
    let slow = "SELECT count(*) FROM generate_series(1, 5000000)";
    let many = |count: usize| format!("{slow}{}", "; SELECT 1".repeat(count));
    support.send(&wire::frame(b'Q', &[many(9000).as_bytes(), b"\0"].concat()));
    let begun = Instant::now();
    assert_eq!(lines(&other.simple("SELECT 2")), ["2"]);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let refused = support.until_ready();
    let error = wire::error(&refused).unwrap();
    assert_eq!(error.field(b'C').as_deref(), Some("54000"), "{}", wire::describe(&refused));
    // The session goes on, and what is within its share is run.
    assert_eq!(lines(&support.simple(&many(1000))).len(), 1001);
    // An exempt role has no share.
    assert_eq!(lines(&other.simple(&"SELECT 1; ".repeat(3000))).len(), 3000);
}

/// Nor do several sessions of a login that ask for no answers take all places.
#[test]
fn pipelines_of_a_login_leave_places_to_others() {
    let (_postgres, proxy) = shop::start();
    let mut other = proxy.connect("owner", shop::DATABASE);
    let run = [wire::bind("", "", &[], &[], &[]), wire::execute("", 0)].concat();
    let mut sessions: Vec<_> = (0..8).map(|_| proxy.connect("support", shop::DATABASE)).collect();
    for session in &mut sessions {
        session.send(&[wire::parse("", "SELECT 1", &[]), run.repeat(1500)].concat());
    }
    std::thread::sleep(Duration::from_secs(3));
    other.set_read_timeout(Duration::from_secs(10));
    assert_eq!(lines(&other.simple("SELECT 2")), ["2"]);
    for session in &mut sessions {
        session.send(&wire::sync());
        assert_eq!(lines(&session.until_ready()).len(), 1500);
    }
}

/// The server ignores the end of COPY data that it did not ask for.
#[test]
fn ends_of_data_that_nobody_takes_are_waited_for_by_nobody() {
    let (_postgres, proxy) = shop::start();
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        client.set_read_timeout(Duration::from_secs(20));
        client.send(&wire::frame(b'c', b"").repeat(5000));
        assert_eq!(lines(&client.simple("SELECT 1")), ["1"], "{user}");
        client.send(&[wire::query("SELECT 2"), wire::frame(b'c', b"").repeat(5000), wire::query("SELECT 3")].concat());
        assert_eq!(lines(&client.until_ready()), ["2"], "{user}");
        assert_eq!(lines(&client.until_ready()), ["3"], "{user}");
    }
}

/// What waits for an answer that the client has not asked for, and what it keeps prepared, has a bound.
#[test]
fn texts_of_prepared_statements_take_no_memory_without_bound() {
    const MIB: u64 = 1024 * 1024;
    let (_postgres, proxy) = shop::start();
    let long = |number: usize| format!("SELECT {number} AS n, '{}' AS x", "x".repeat(1024 * 1024));
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        let before = proxy.memory().0 * 1024;
        for number in 0..120 {
            client.send(&wire::parse("", &long(number), &[]));
        }
        let grown = (proxy.memory().0 * 1024).saturating_sub(before);
        assert!(grown < 100 * MIB, "{user}: {} MiB", grown / MIB);
        client.send(&[wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_none(), "{user}: {}", wire::describe(&answer).get(..200).unwrap_or_default());
        let first = lines(&answer);
        assert!(first[0].starts_with("119"), "{user}");
    }
    let mut client = proxy.connect("support", shop::DATABASE);
    let mut refused = 0;
    for number in 0..40 {
        client.send(&[wire::parse(&format!("s{number}"), &long(number), &[]), wire::sync()].concat());
        if let Some(error) = wire::error(&client.until_ready()) {
            assert_eq!(error.field(b'C').as_deref(), Some("54000"));
            refused += 1;
        }
    }
    assert!((5..15).contains(&refused), "{refused}");
    assert_eq!(
        wire::error(&client.simple(&format!("PREPARE t AS {}", long(1)))).unwrap().field(b'C').as_deref(),
        Some("54000")
    );
    client.simple("DEALLOCATE ALL");
    client.send(&[wire::parse("s", &long(1), &[]), wire::sync()].concat());
    assert!(wire::error(&client.until_ready()).is_none());
    // So do portals and cursors keep theirs; several of one statement keep one.
    client.simple("BEGIN");
    let portals: Vec<u8> = (0..60).flat_map(|number| wire::bind(&format!("p{number}"), "s", &[], &[], &[])).collect();
    client.send(&[portals, wire::sync()].concat());
    assert!(wire::error(&client.until_ready()).is_none());
    let refused = (0..40).find_map(|number| {
        let portal = format!("q{number}");
        client.send(
            &[wire::parse("", &long(number), &[]), wire::bind(&portal, "", &[], &[], &[]), wire::sync()].concat(),
        );
        let answer = client.until_ready();
        wire::error(&answer).map(|error| (number, error.field(b'C')))
    });
    assert!(
        refused.as_ref().is_some_and(|(number, code)| *number > 25 && code.as_deref() == Some("54000")),
        "{refused:?}"
    );
}

/// A portal is not run again by what was known of its tables when it was bound.
#[test]
fn a_portal_writes_no_masks_that_a_table_took_in_since() {
    let (postgres, proxy) = shop::start();
    postgres.sql(shop::DATABASE, "CREATE TABLE kept (x text); GRANT ALL ON kept TO support");
    let mut client = proxy.connect("support", shop::DATABASE);
    let made = client.simple("CREATE TEMP TABLE taken (x text)");
    assert!(wire::error(&made).is_none(), "{}", wire::describe(&made));
    assert_eq!(lines(&client.simple("INSERT INTO kept SELECT x FROM taken RETURNING 1")), Vec::<String>::new());
    client.simple("BEGIN");
    let insert = "INSERT INTO kept SELECT x FROM taken RETURNING x";
    let within = format!("WITH w AS ({insert}) SELECT x FROM w");
    for (portal, sql) in [("p", insert), ("q", &*within)] {
        client.send(&[wire::parse("", sql, &[]), wire::bind(portal, "", &[], &[], &[]), wire::sync()].concat());
        let bound = client.until_ready();
        assert!(wire::error(&bound).is_none(), "{}", wire::describe(&bound));
    }
    let filled = client.simple("INSERT INTO taken SELECT phone FROM customers");
    assert!(wire::error(&filled).is_none(), "{}", wire::describe(&filled));
    client.simple("SAVEPOINT t");
    for portal in ["q", "p"] {
        client.send(&[wire::execute(portal, 0), wire::sync()].concat());
        let refused = client.until_ready();
        assert!(wire::describe(&refused).contains("PGS0218"), "{portal}: {}", wire::describe(&refused));
        client.simple("ROLLBACK TO t");
    }
    client.simple("COMMIT");
    assert!(postgres.sql(shop::DATABASE, "SELECT x FROM kept").is_empty());
}
