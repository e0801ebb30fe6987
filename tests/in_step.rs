//! What clients may send out of turn, and who is answered: every answer belongs to the statement that was judged for it, and every statement that
//! ran is recorded, whatever stands between COPY data, and whatever is malformed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{
    Postgres, Proxy, shop,
    wire::{self, Client, Message, lines},
};

const DATA: u8 = b'd';
const DONE: u8 = b'c';

fn world() -> (Postgres, Proxy) {
    let (postgres, proxy) = shop::start();
    let more = "CREATE TABLE kept (n int); CREATE VIEW seen AS SELECT n FROM kept; GRANT ALL ON kept, seen TO support";
    postgres.sql(shop::DATABASE, more);
    // The catalog knows them.
    let mut client = proxy.connect("support", shop::DATABASE);
    for _ in 0..100 {
        if wire::error(&client.simple("SELECT 1 FROM seen, kept LIMIT 0")).is_none() {
            return (postgres, proxy);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the tables are not known");
}

/// The kinds of messages up to so many ReadyForQuery.
fn kinds(client: &mut Client, ready: usize) -> String {
    (0..ready).flat_map(|_| until(client, b'Z')).map(|message| char::from(message.kind)).collect()
}

fn until(client: &mut Client, kind: u8) -> Vec<Message> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|message: &Message| message.kind != kind) {
        seen.push(client.next().unwrap_or_else(|| panic!("{}", wire::describe(&seen))));
    }
    seen
}

/// A marker is answered as itself.
fn in_step(client: &mut Client, what: &str) {
    assert_eq!(lines(&client.simple("SELECT 'marker' AS marker")), ["marker"], "{what}");
    client.send(
        &[
            wire::parse("", "SELECT 'other'", &[]),
            wire::bind("", "", &[], &[], &[]),
            wire::execute("", 0),
            wire::sync(),
        ]
        .concat(),
    );
    assert_eq!(lines(&client.until_ready()), ["other"], "{what}");
}

fn events(proxy: &Proxy, word: &str) -> usize {
    std::thread::sleep(Duration::from_millis(400));
    proxy.audit().iter().filter(|event| event.to_string().contains(word)).count()
}

#[test]
fn a_sync_among_copy_data_is_nobody_elses_answer() {
    let (postgres, proxy) = world();
    let copy = "COPY kept (n) FROM STDIN";
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        client.set_read_timeout(Duration::from_secs(10));
        // Data that fails, with a Sync behind it, and statements on their way.
        client.send(&wire::query(copy));
        until(&mut client, b'G');
        let behind = [
            wire::frame(DATA, b"bad\n"),
            wire::sync(),
            wire::frame(DONE, b""),
            wire::query("SELECT 1/0"),
            wire::parse("x", "SELECT 1", &[]),
            wire::sync(),
            wire::parse("s", "SELECT 'second'", &[]),
            wire::sync(),
        ];
        client.send(&behind.concat());
        assert_eq!(kinds(&mut client, 4), "EZEZ1Z1Z", "{user}");
        in_step(&mut client, user);
        // All in one flight.
        let flight = [
            wire::query(copy),
            wire::frame(DATA, b"1\n"),
            wire::sync(),
            wire::flush(),
            wire::frame(DATA, b"2\n"),
            wire::frame(DONE, b""),
            wire::query("SELECT 'then'"),
        ];
        client.send(&flight.concat());
        assert_eq!(kinds(&mut client, 2), "GCZTDCZ", "{user}");
        in_step(&mut client, user);
        // As drivers of the extended protocol do: a Sync right behind Execute, and one behind the data.
        let begin = [wire::parse("", copy, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()]
            .concat();
        for (data, wanted) in [(&b"3\n"[..], "C"), (b"bad\n", "E")] {
            client.send(&begin);
            until(&mut client, b'G');
            client.send(&[wire::frame(DATA, data), wire::frame(DONE, b""), wire::sync()].concat());
            assert_eq!(kinds(&mut client, 1), format!("{wanted}Z"), "{user}");
            in_step(&mut client, user);
        }
        // The server fails before it has read anything: the Sync behind Execute is answered.
        let view = "COPY seen (n) FROM STDIN";
        client.send(
            &[wire::parse("", view, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()]
                .concat(),
        );
        let answer = kinds(&mut client, 1);
        assert!(answer.ends_with("EZ"), "{user}: {answer}");
        in_step(&mut client, user);
        // A statement among the data, which the server would run if it had refused them.
        client.send(&wire::query(copy));
        until(&mut client, b'G');
        client.send(&[wire::frame(DATA, b"bad\n"), wire::query("SELECT phone AS unheard FROM customers")].concat());
        let mut rest = Vec::new();
        while let Some(message) = client.next() {
            rest.push(message);
        }
        assert!(wire::text_rows(&rest).is_empty(), "{user}: {}", wire::describe(&rest));
    }
    assert_eq!(postgres.sql(shop::DATABASE, "SELECT count(*)::text FROM kept"), [[Some("6".to_owned())]]);
    assert_eq!(events(&proxy, "unheard"), 0);
    assert_eq!(events(&proxy, "marker"), 10);
}

#[test]
fn malformed_messages_leave_the_session_in_step_or_end_it() {
    let (_postgres, proxy) = world();
    let statement = |sql: &str| {
        [wire::parse("", sql, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat()
    };
    let malformed: [(&str, u8, &[u8]); 6] = [
        ("Flush", b'H', b"zz"),
        ("Sync", b'S', b"zz"),
        ("Close", b'C', b"Zx\0"),
        ("empty Close", b'C', b""),
        ("Bind", b'B', b"xx"),
        ("Describe", b'D', b"Zx\0"),
    ];
    for (what, kind, body) in malformed {
        let mut owner = proxy.connect("owner", shop::DATABASE);
        owner.set_read_timeout(Duration::from_secs(10));
        owner.send(&[wire::frame(kind, body), wire::flush()].concat());
        until(&mut owner, b'E');
        if kind != b'S' {
            // Skipped, until the next Sync.
            owner.send(&statement("SELECT 'skipped'"));
        }
        assert!(wire::text_rows(&owner.until_ready()).is_empty(), "{what}");
        let before = events(&proxy, "recorded");
        owner.send(&statement("SELECT phone AS recorded FROM customers WHERE id = 1"));
        assert_eq!(lines(&owner.until_ready()).len(), 1, "{what}");
        assert_eq!(events(&proxy, "recorded"), before + 1, "{what}");
        in_step(&mut owner, what);
        // A restricted session goes on in step, or ends.
        let mut support = proxy.connect("support", shop::DATABASE);
        support.set_read_timeout(Duration::from_secs(10));
        support.send(&[wire::frame(kind, body), wire::sync(), wire::query("SELECT 'marker' AS marker")].concat());
        let mut seen = Vec::new();
        while let Some(message) = support.next() {
            seen.push(message);
            if wire::text_rows(&seen) == [[Some("marker".to_owned())]] {
                break;
            }
        }
        assert!(wire::error(&seen).is_some(), "{what}: {}", wire::describe(&seen));
    }
}

/// Errors and descriptions of any length are answers, and what they answer is recorded.
#[test]
fn long_answers_are_answers() {
    let (_postgres, proxy) = world();
    let statement = |sql: &str| {
        let bound = [wire::parse("", sql, &[]), wire::bind("", "", &[], &[], &[]), wire::describe_portal("")];
        [bound.concat(), wire::execute("", 0), wire::sync()].concat()
    };
    let wide: Vec<String> = (0..1000).map(|number| format!("1 AS c{number:04}{}", "z".repeat(55))).collect();
    for user in ["owner", "support"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        client.set_read_timeout(Duration::from_secs(20));
        for sql in [
            "SELECT (repeat('x', 70000 + n))::int AS longer FROM generate_series(1, 1) n",
            "SELECT 1 / (n - 1) AS longer FROM generate_series(1, 1) n",
        ] {
            client.send(&statement(sql));
            assert!(wire::error(&client.until_ready()).is_some(), "{user}");
            in_step(&mut client, user);
            assert!(wire::error(&client.simple(sql)).is_some(), "{user}");
            in_step(&mut client, user);
        }
        client.send(&statement(&format!("SELECT {}", wide.join(", "))));
        assert_eq!(lines(&client.until_ready()).len(), 1, "{user}");
        client.send(&statement("COPY (SELECT 1) TO STDOUT"));
        assert!(kinds(&mut client, 1).ends_with("CZ"), "{user}");
        // One field of COPY data that is longer than what is looked at.
        client.send(&statement("COPY kept (n) FROM STDIN"));
        until(&mut client, b'G');
        let data = ["y".repeat(100_000).as_bytes(), b"\n"].concat();
        client.send(&[wire::frame(DATA, &data), wire::frame(DONE, b""), wire::sync()].concat());
        assert!(kinds(&mut client, 1).ends_with("EZ"), "{user}");
        in_step(&mut client, user);
    }
    assert_eq!(events(&proxy, "longer"), 8);
}
