//! For an exempt role the proxy is transparent: the same client script, once straight to a server and once through the
//! proxy to a server that is its twin, receives the same bytes after start-up. At start-up the parameters are the same
//! and the key is the server's own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use common::{
    Proxy,
    proxy::Options,
    shop,
    wire::{
        self, Client, bind, close_portal, close_statement, describe_portal, describe_statement, execute, flush, frame,
        parse, query, sync,
    },
};

type Step = (&'static str, fn(&mut Client));

const STEPS: &[Step] = &[
    ("one statement", |c| drop(c.simple("SELECT * FROM customers ORDER BY id LIMIT 5"))),
    ("several statements", |c| {
        drop(c.simple(
            "SELECT 1; SELECT 'a', 2 WHERE false; UPDATE orders SET amount = amount WHERE id < 3; SHOW server_version",
        ));
    }),
    ("an empty text", |c| drop(c.simple(""))),
    ("a text of comments", |c| drop(c.simple("/* nothing */ -- here"))),
    ("a syntax error", |c| drop(c.simple("SELEC 1"))),
    ("an error with detail, position and hint", |c| {
        c.simple("SELECT fullname FROM customers");
        c.simple("UPDATE customers SET full_name = NULL WHERE id = 1");
        c.simple("INSERT INTO orders VALUES (1, 999, 1, now())");
        c.simple("SELECT 1/0");
    }),
    ("an error in the midst of several statements", |c| drop(c.simple("SELECT 1; SELECT 1/0; SELECT 2"))),
    ("notices", |c| {
        c.simple("DO $$BEGIN RAISE NOTICE 'hello %', 'world' USING HINT = 'a hint', DETAIL = 'a detail'; RAISE WARNING 'careful'; END$$");
        c.simple("DROP TABLE IF EXISTS nowhere");
    }),
    ("a transaction that fails", |c| {
        c.simple("BEGIN");
        c.simple("SELECT nothing");
        c.simple("SELECT 1");
        c.simple("ROLLBACK");
        c.simple("BEGIN; SAVEPOINT a; SELECT 1/0");
        c.simple("ROLLBACK TO a; COMMIT");
    }),
    ("settings that the server reports", |c| {
        c.simple("SET application_name = 'a client'");
        c.simple("SET DateStyle = 'German'");
        c.simple("SELECT date '2025-06-01', now() > '2020-01-01'");
        c.simple("SET client_encoding = 'LATIN1'; SET standard_conforming_strings = off");
        c.simple("SELECT E'a\\'b', 'c\\'d'");
        c.simple("RESET ALL");
    }),
    ("bytes that are not UTF-8", |c| c_send(c, &frame(b'Q', b"SELECT '\xff\xfe'\0"))),
    ("DDL and types", |c| {
        c.simple("CREATE TABLE kinds (a int[], b numeric, c bytea, d text, e interval, f boolean, g uuid)");
        c.simple("INSERT INTO kinds VALUES ('{1,NULL,3}', 'NaN', '\\x00ff', 'ế', '1 day 02:03', true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)");
        c.extended("SELECT * FROM kinds", &[], 0);
        c.extended("SELECT * FROM kinds", &[], 1);
    }),
    ("extended, unnamed", |c| {
        c.extended("SELECT * FROM customers WHERE id = $1", &[Some(b"7")], 1);
        c.extended("INSERT INTO kinds (d) VALUES ($1) RETURNING *", &[Some(b"x")], 0);
        c.extended("SELECT $1::int / 0", &[Some(b"1")], 0);
        c.extended("", &[], 0);
        c.extended("SELECT 1; SELECT 2", &[], 0);
    }),
    ("describe a named statement, bind it twice", |c| {
        let mut bytes =
            parse("s1", "SELECT id, full_name FROM customers WHERE id BETWEEN $1 AND $2 ORDER BY id", &[23, 23]);
        bytes.extend(describe_statement("s1"));
        bytes.extend(bind("p1", "s1", &[0], &[Some(b"1"), Some(b"3")], &[1, 0]));
        bytes.extend(describe_portal("p1"));
        bytes.extend(execute("p1", 0));
        bytes.extend(bind("", "s1", &[1, 1], &[Some(&4_i32.to_be_bytes()), Some(&5_i32.to_be_bytes())], &[]));
        bytes.extend(execute("", 0));
        bytes.extend(sync());
        c_send(c, &bytes);
        c_send(c, &[close_statement("s1"), close_statement("nobody"), sync()].concat());
        c_send(c, &[describe_statement("s1"), sync()].concat());
    }),
    ("suspended portals", |c| {
        c.simple("BEGIN");
        let mut bytes = parse("", "SELECT * FROM orders ORDER BY id", &[]);
        bytes.extend(bind("big", "", &[], &[], &[0]));
        bytes.extend(execute("big", 70));
        bytes.extend(execute("big", 70));
        bytes.extend(sync());
        c_send(c, &bytes);
        c_send(c, &[execute("big", 0), execute("big", 1), close_portal("big"), sync()].concat());
        c_send(c, &[execute("big", 0), sync()].concat());
        c.simple("ROLLBACK");
    }),
    ("a pipeline with an error and an early Sync", |c| {
        let one = |sql: &str| {
            [parse("", sql, &[]), bind("", "", &[], &[], &[]), describe_portal(""), execute("", 0)].concat()
        };
        let bytes = [
            one("SELECT 1"),
            one("SELECT 1/0"),
            one("SELECT 2"),
            query("SELECT 'skipped too'"),
            sync(),
            one("SELECT 3"),
            sync(),
        ]
        .concat();
        c.send(&bytes);
        c.until_ready();
        c.until_ready();
    }),
    ("a pipeline of a hundred", |c| {
        let mut bytes = parse("many", "SELECT $1::int * 2", &[]);
        for n in 0..100 {
            bytes.extend(bind("", "many", &[], &[Some(n.to_string().as_bytes())], &[1]));
            bytes.extend(execute("", 0));
        }
        bytes.extend(close_statement("many"));
        bytes.extend(sync());
        c_send(c, &bytes);
    }),
    ("Flush without Sync", |c| {
        c.send(&[parse("", "SELECT 42", &[]), describe_statement(""), flush()].concat());
        let kinds: Vec<u8> = (0..3).map(|_| c.next().unwrap().kind).collect();
        assert_eq!(kinds, b"1tT");
        c_send(c, &[bind("", "", &[], &[], &[]), execute("", 0), sync()].concat());
    }),
    ("cursors and SQL PREPARE", |c| {
        c.simple("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT * FROM orders ORDER BY id; FETCH 2 FROM c; MOVE LAST FROM c; FETCH BACKWARD 2 FROM c; CLOSE c; COMMIT");
        c.simple("PREPARE p (int) AS SELECT phone FROM customers WHERE id = $1");
        c.simple("EXECUTE p (3)");
        c.simple("DEALLOCATE p; EXECUTE p (3)");
    }),
    ("COPY out", |c| {
        c.simple("COPY customers TO STDOUT");
        c.simple("COPY (SELECT id, phone FROM customers ORDER BY id) TO STDOUT (FORMAT csv, HEADER)");
        c.simple("COPY orders TO STDOUT (FORMAT binary)");
        c.extended("COPY orders TO STDOUT", &[], 0);
        c.simple("SELECT 1; COPY kinds TO STDOUT; SELECT 2");
    }),
    ("COPY in", |c| {
        c.simple_copy("COPY kinds (d, b) FROM STDIN", b"one\t1\ntwo\t2.50\n\\N\t\\N\n");
        c.extended_copy("COPY kinds (d, b) FROM STDIN (FORMAT csv)", &[], 0, b"three,3\n");
        c.simple("SELECT d, b FROM kinds ORDER BY d, b");
    }),
    ("COPY in that fails on either side", |c| {
        c.simple_copy("COPY kinds (b) FROM STDIN", b"not a number\n1\n2\n");
        c.send(&query("COPY kinds (b) FROM STDIN"));
        assert_eq!(c.next().unwrap().kind, b'G');
        c_send(c, &[frame(b'd', b"1\n"), frame(b'f', b"changed my mind\0")].concat());
        c_send(c, &[frame(b'c', b""), frame(b'd', b"late"), query("SELECT 'after a late CopyDone'")].concat());
    }),
    ("rows of a megabyte", |c| {
        c.simple("SELECT repeat('x', 1000000), repeat('y', 3) FROM generate_series(1, 4)");
        c.extended("SELECT decode(repeat('00ff', 500000), 'hex')", &[], 1);
        let long = "a".repeat(2_000_000);
        c.extended("SELECT length($1), $1", &[Some(long.as_bytes())], 0);
        c.simple(&format!("SELECT length('{long}')"));
    }),
    ("a hundred thousand rows", |c| drop(c.simple("SELECT n, n * 2, 'row ' || n FROM generate_series(1, 100000) n"))),
    ("a wide row", |c| {
        let list: Vec<String> = (0..1600).map(|n| format!("{n} AS c{n}")).collect();
        c.simple(&format!("SELECT {}", list.join(", ")));
    }),
    ("the fast path", |c| {
        // lower(text) by its OID 870.
        let mut body = 870_u32.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 1]);
        body.extend(5_u32.to_be_bytes());
        body.extend(b"LOWER");
        body.extend([0, 0]);
        c_send(c, &frame(b'F', &body));
    }),
    ("functions, procedures, roles", |c| {
        c.simple("CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'; SELECT twice(21)");
        c.simple("CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'; CALL p()");
        c.simple("SET ROLE support; SELECT current_user; SELECT count(*) FROM customers; RESET ROLE");
        c.simple("EXPLAIN (COSTS off) SELECT * FROM customers WHERE id = 1");
        c.simple("VACUUM orders");
        c.simple("LISTEN channel; UNLISTEN *");
    }),
    ("SQL that a parser may not know", |c| {
        c.simple("TABLE customers");
        c.simple("SELECT (c).* FROM customers c FOR NO KEY UPDATE");
        c.simple("SELECT U&\"\\0070hone\" FROM customers");
        c.simple("SELECT 'a'\n'b', $x$dollar$x$, 1 !=-1, B'101', X'1F', E'\\u00e9'");
        c.simple("MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN UPDATE SET amount = 1");
        c.simple("SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3)) x");
    }),
    ("an unknown message in the extended protocol", |c| {
        c_send(c, &[bind("", "nobody", &[], &[], &[]), sync()].concat());
        c_send(c, &[execute("nobody", 0), sync()].concat());
    }),
    ("DISCARD ALL", |c| drop(c.simple("DISCARD ALL"))),
];

fn c_send(client: &mut Client, bytes: &[u8]) {
    client.send(bytes);
    client.until_ready();
}

#[test]
fn an_exempt_role_receives_the_servers_bytes() {
    let direct_server = shop::postgres();
    let server = shop::postgres();
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let parameters =
        [("user", "owner"), ("database", "shop"), ("application_name", "script"), ("options", "-c geqo=off")];
    let mut direct = Client::connect(&direct_server.address(), &parameters).unwrap();
    let mut through =
        Client::connect(&proxy.address(), &parameters).unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)));
    assert_eq!(through.parameters, direct.parameters, "parameters at start-up");
    assert_eq!(through.key.len(), 8);
    let pid = u32::from_be_bytes(through.key[..4].try_into().unwrap());
    let rows = wire::text_rows(&through.simple("SELECT pg_backend_pid()"));
    assert_eq!(rows, [[Some(pid.to_string())]], "the key is the server's own");
    wire::text_rows(&direct.simple("SELECT pg_backend_pid()"));
    for trickle in [false, true] {
        direct.trickle = trickle;
        through.trickle = trickle;
        for (name, step) in STEPS {
            if trickle && (name.contains("megabyte") || name.starts_with("DDL") || name.starts_with("functions")) {
                continue;
            }
            let (from, from_direct) = (through.transcript.len(), direct.transcript.len());
            step(&mut direct);
            step(&mut through);
            let (got, expected) = (&through.transcript[from..], &direct.transcript[from_direct..]);
            if got != expected {
                let (got, expected) = (wire::split(got), wire::split(expected));
                let at = got.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(got.len().min(expected.len()));
                panic!(
                    "{name} (byte by byte: {trickle}): message {at} differs\nthrough the proxy:\n{}\nstraight:\n{}",
                    wire::describe(&got[at.min(got.len())..(at + 4).min(got.len())]),
                    wire::describe(&expected[at.min(expected.len())..(at + 4).min(expected.len())]),
                );
            }
        }
    }
    let events = proxy.audit();
    assert!(events.len() > 100, "{} audit events", events.len());
    assert!(events.iter().all(|event| event["role"] == "owner"), "every event names the policy role");
}

/// Straight to the server the script must give the same bytes twice, else the test above proves nothing.
#[test]
fn the_script_is_deterministic() {
    let servers = [shop::postgres(), shop::postgres()];
    let transcripts = servers.each_ref().map(|server| {
        let mut client = Client::connect(&server.address(), &[("user", "owner"), ("database", "shop")]).unwrap();
        for (_, step) in STEPS {
            step(&mut client);
        }
        client.after_startup().to_vec()
    });
    assert!(transcripts[0] == transcripts[1]);
    assert!(transcripts[0].len() > 10_000_000);
}
