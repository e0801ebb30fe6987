//! Names of cursors and prepared statements: what code of the server has opened or prepared under a name that the session had used is
//! never read, and what the session has made itself stays as long as with PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    shop,
    wire::{self, Client, lines},
};

const MORE: &str = "
CREATE TABLE numbers (id int);
CREATE FUNCTION stash() RETURNS trigger LANGUAGE plpgsql AS
    $$DECLARE stash refcursor := 'stash'; BEGIN
      IF NEW.id < 200 THEN OPEN stash FOR SELECT 'SECRET ' || phone AS s FROM customers ORDER BY id;
      ELSE PREPARE stash AS SELECT 'SECRET ' || phone AS s FROM customers ORDER BY id; END IF;
      RETURN NEW; END$$;
CREATE TRIGGER stash AFTER INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION stash();
GRANT ALL ON numbers TO support;
";
const OPENS: &str = "INSERT INTO numbers VALUES (101)";
const PREPARES: &str = "INSERT INTO numbers VALUES (203)";

fn query(sql: &str) -> Vec<u8> {
    wire::frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// Each message on its own, or all in one write.
fn send(client: &mut Client, messages: &[Vec<u8>], at_once: bool) {
    let ends = |message: &Vec<u8>| matches!(message.last_chunk::<5>(), Some(b"S\0\0\0\x04")) || message[0] == b'Q';
    if at_once {
        client.send(&messages.concat());
    }
    for message in messages {
        if !at_once {
            client.send(message);
        }
        // A session that was ended says nothing more.
        let answered = !ends(message) || client.until_ready().iter().any(|answer| answer.kind == b'Z');
        if !answered {
            return;
        }
    }
}

#[test]
fn what_the_server_made_under_a_name_of_the_session_is_not_read() {
    let (_postgres, proxy) = shop::start_other(&[shop::SCHEMA, MORE], shop::RULES);
    let queries = |list: &[&str]| list.iter().map(|sql| query(sql)).collect::<Vec<_>>();
    let bound = |parts: &[Vec<u8>]| [parts.concat(), wire::sync()].concat();
    let portal = || bound(&[wire::parse("", "SELECT 1", &[]), wire::bind("stash", "", &[], &[], &[])]);
    let execute = || bound(&[wire::execute("stash", 0)]);
    let failing = || bound(&[wire::parse("stash", "SELECT 'x'::date", &[])]);
    let declare = "DECLARE stash CURSOR FOR SELECT 1";
    let scripts = [
        queries(&[&format!("{declare}; CLOSE stash; {OPENS}; FETCH ALL FROM stash")]),
        queries(&["BEGIN", &format!("{declare}; CLOSE ALL; {OPENS}; FETCH ALL FROM stash")]),
        queries(&["BEGIN", "SAVEPOINT s", declare, "ROLLBACK TO s", OPENS, "FETCH ALL FROM stash"]),
        queries(&[
            "BEGIN",
            "SAVEPOINT s",
            declare,
            "SELECT 1/0",
            "ROLLBACK TO SAVEPOINT s",
            OPENS,
            "MOVE 1 IN stash",
            "FETCH 1 stash",
        ]),
        queries(&[
            "BEGIN",
            "SAVEPOINT a",
            "SAVEPOINT b",
            declare,
            "RELEASE b",
            "ROLLBACK TO a",
            OPENS,
            "FETCH ALL FROM stash",
        ]),
        queries(&["BEGIN", declare, "COMMIT AND CHAIN", OPENS, "FETCH ALL FROM stash"]),
        queries(&["BEGIN", declare, "COMMIT; BEGIN", OPENS, "FETCH ALL FROM stash"]),
        queries(&[
            "BEGIN",
            "DECLARE stash CURSOR WITH HOLD FOR SELECT 1",
            "ROLLBACK",
            "BEGIN",
            OPENS,
            "FETCH ALL FROM stash",
        ]),
        queries(&[
            "BEGIN",
            "DECLARE stash CURSOR WITH HOLD FOR SELECT 1",
            "SELECT 1/0",
            "COMMIT",
            "BEGIN",
            OPENS,
            "FETCH ALL FROM stash",
        ]),
        queries(&["DECLARE stash CURSOR WITH HOLD FOR SELECT 1; SELECT 1/0", "BEGIN", OPENS, "FETCH ALL FROM stash"]),
        queries(&["BEGIN", declare, "CLOSE stash", OPENS, "FETCH ALL FROM stash"]),
        queries(&[
            "BEGIN",
            "SAVEPOINT s",
            "DECLARE stash CURSOR FOR SELECT 'x'::date",
            "ROLLBACK TO s",
            OPENS,
            "FETCH ALL FROM stash",
        ]),
        queries(&["PREPARE stash AS SELECT 'x'::date", PREPARES, "EXECUTE stash"]),
        queries(&["PREPARE stash AS SELECT 1", "DEALLOCATE stash", PREPARES, "EXECUTE stash"]),
        queries(&["PREPARE stash AS SELECT 1; DEALLOCATE ALL", PREPARES, "EXECUTE stash"]),
        [
            queries(&["BEGIN", "SAVEPOINT s"]),
            vec![portal()],
            queries(&["ROLLBACK TO s", OPENS, "FETCH ALL FROM stash"]),
        ]
        .concat(),
        [queries(&["BEGIN", "SAVEPOINT s"]), vec![portal()], queries(&["ROLLBACK TO s", OPENS]), vec![execute()]]
            .concat(),
        [vec![failing()], queries(&[PREPARES, "EXECUTE stash"])].concat(),
        [
            vec![failing()],
            queries(&[PREPARES]),
            vec![bound(&[wire::bind("", "stash", &[], &[], &[]), wire::execute("", 0)])],
        ]
        .concat(),
        // One level deeper.
        [queries(&[PREPARES]), vec![bound(&[wire::parse("f", "EXECUTE stash", &[])])], queries(&["EXECUTE f"])]
            .concat(),
        [
            queries(&["BEGIN", OPENS]),
            vec![bound(&[wire::parse("", "FETCH ALL FROM stash", &[]), wire::bind("x", "", &[], &[], &[])])],
            queries(&["FETCH ALL FROM x"]),
        ]
        .concat(),
        // By way of a statement that takes the name away.
        [
            vec![bound(&[wire::parse("k", "CLOSE stash", &[])])],
            queries(&["BEGIN", declare, "EXECUTE k", OPENS, "FETCH ALL FROM stash"]),
        ]
        .concat(),
        [
            vec![bound(&[wire::parse("k", "ROLLBACK TO s", &[])])],
            queries(&["BEGIN", "SAVEPOINT s", declare, "EXECUTE k", OPENS, "FETCH ALL FROM stash"]),
        ]
        .concat(),
        [
            vec![bound(&[wire::parse("k", "DEALLOCATE stash", &[])])],
            vec![bound(&[wire::parse("stash", "SELECT 1", &[])])],
            queries(&["EXECUTE k", PREPARES, "EXECUTE stash"]),
            vec![bound(&[wire::bind("", "stash", &[], &[], &[]), wire::execute("", 0)])],
        ]
        .concat(),
        [
            queries(&["BEGIN", declare]),
            vec![bound(&[wire::parse("", "CLOSE stash", &[]), wire::bind("p", "", &[], &[], &[])])],
            queries(&["FETCH 1 FROM p", OPENS, "FETCH ALL FROM stash"]),
        ]
        .concat(),
        // A portal that goes, of a statement that names something that stays.
        [
            queries(&["BEGIN", "DECLARE c CURSOR FOR SELECT 1", "SAVEPOINT s"]),
            vec![bound(&[wire::parse("", "FETCH ALL FROM c", &[]), wire::bind("stash", "", &[], &[], &[])])],
            queries(&["ROLLBACK TO s", OPENS]),
            vec![execute()],
        ]
        .concat(),
        vec![bound(&[
            wire::parse("", "", &[]),
            wire::bind("stash", "", &[], &[], &[]),
            wire::parse("", "COMMIT", &[]),
            wire::bind("", "", &[], &[], &[]),
            wire::execute("", 0),
            wire::parse("", OPENS, &[]),
            wire::bind("", "", &[], &[], &[]),
            wire::execute("", 0),
            wire::execute("stash", 0),
        ])],
    ];
    for (number, script) in scripts.iter().enumerate() {
        for at_once in [false, true] {
            let mut client = proxy.connect("support", shop::DATABASE);
            send(&mut client, script, at_once);
            let seen = String::from_utf8_lossy(client.after_startup()).into_owned();
            assert!(!seen.contains("SECRET"), "script {number}, at once: {at_once}: {seen}");
        }
    }
    // Without a proxy it is what is read.
    let mut owner = proxy.connect("owner", shop::DATABASE);
    send(&mut owner, &queries(&["BEGIN", OPENS, "FETCH ALL FROM stash"]), false);
    assert!(String::from_utf8_lossy(owner.after_startup()).contains("SECRET"));
}

/// What was sent to take a name's place, and failed: the older one under it is for another purpose.
#[test]
fn what_failed_to_take_a_name_does_not_vouch_for_what_has_it() {
    let (before, _) = shop::RULES.split_once("name = \"support\"").unwrap();
    let role = "name = \"support\"\nmatch = { user = [\"support\"] }\npurposes = [\"customer-care\", \"verification\"]\n\
        see = { name = \"name_initials\", phone = \"phone_last\", email = \"withhold\", note = \"refuse\" }\n\
        [role.for.verification]\nsee = { phone = \"clear\" }\n";
    let (_postgres, proxy) = shop::start_other(&[shop::SCHEMA, MORE], &format!("{before}{role}"));
    let clear = "SELECT phone || '' FROM customers WHERE id < 9";
    let masked = "SELECT 1::text";
    for (first, then) in [
        (
            query(&format!("PREPARE q AS {clear}")),
            [query(&format!("PREPARE q AS {masked}")), query("EXECUTE q")].concat(),
        ),
        (
            [wire::parse("q", clear, &[]), wire::sync()].concat(),
            [
                wire::parse("q", masked, &[]),
                wire::sync(),
                wire::bind("", "q", &[], &[], &[]),
                wire::execute("", 0),
                wire::sync(),
            ]
            .concat(),
        ),
        (
            query(&format!("DECLARE k CURSOR WITH HOLD FOR {clear}")),
            [query(&format!("DECLARE k CURSOR WITH HOLD FOR {masked}")), query("FETCH ALL FROM k")].concat(),
        ),
        (
            query(&format!("DECLARE k CURSOR WITH HOLD FOR {clear}")),
            [
                wire::parse("", masked, &[]),
                wire::bind("k", "", &[], &[], &[]),
                wire::sync(),
                wire::execute("k", 0),
                wire::sync(),
            ]
            .concat(),
        ),
        (
            [wire::parse("q", clear, &[]), wire::sync()].concat(),
            [wire::parse("f", "EXECUTE q", &[]), wire::sync(), query("EXECUTE f")].concat(),
        ),
    ] {
        let mut client = proxy.connect("support", shop::DATABASE);
        client.simple("SET pgscrim.purpose = 'verification'");
        client.send(&first);
        client.until_ready();
        client.simple("SET pgscrim.purpose = 'customer-care'");
        client.send(&then);
        for _ in 0..2 {
            // The session may end with the first.
            client.until_ready();
        }
        let seen = String::from_utf8_lossy(client.after_startup()).into_owned();
        assert!(!seen.contains("0901234"), "{}: {seen}", String::from_utf8_lossy(&then));
    }
}

#[test]
fn what_the_session_made_stays_as_long_as_with_postgresql() {
    let (_postgres, proxy) = shop::start_other(&[shop::SCHEMA, MORE], shop::RULES);
    let declare = "DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 9)";
    let hold = "DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 9)";
    let scripts: &[&[&str]] = &[
        &["BEGIN", declare, "SAVEPOINT s", "SELECT 1/0", "ROLLBACK TO s", "FETCH 2 FROM c", "COMMIT", "FETCH 1 FROM c"],
        &["BEGIN; DECLARE c CURSOR FOR SELECT 1; SAVEPOINT s; ROLLBACK TO s; FETCH c; COMMIT", "FETCH c"],
        &["BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT; FETCH c; CLOSE c", "FETCH c"],
        &["BEGIN", "SAVEPOINT s", declare, "RELEASE s", "FETCH 2 FROM c", "COMMIT"],
        &[
            "BEGIN",
            "SAVEPOINT s",
            declare,
            "SAVEPOINT t",
            "ROLLBACK TO t",
            "FETCH 2 FROM c",
            "ROLLBACK TO s",
            "FETCH 2 FROM c",
            "ROLLBACK",
        ],
        &["BEGIN", "SAVEPOINT s", "SAVEPOINT s", declare, "ROLLBACK TO s", "FETCH 1 FROM c", "ROLLBACK"],
        &[
            "BEGIN",
            hold,
            "COMMIT",
            "FETCH 2 FROM c",
            "SELECT 1/0",
            "FETCH 2 FROM c",
            "BEGIN",
            "FETCH 1 FROM c",
            "ROLLBACK",
            "FETCH 1 FROM c",
            "CLOSE c",
            "FETCH c",
        ],
        &["BEGIN", hold, "SAVEPOINT s", "SELECT 1/0", "ROLLBACK TO s", "COMMIT", "FETCH 2 FROM c", "CLOSE ALL"],
        &["BEGIN", hold, "COMMIT AND CHAIN", "FETCH 2 FROM c", "ROLLBACK", "FETCH 2 FROM c", "CLOSE c"],
        &["DECLARE c CURSOR FOR SELECT 1; FETCH c; CLOSE c; DECLARE c CURSOR FOR SELECT 2; FETCH c", "FETCH c"],
        &[hold, "FETCH 3 FROM c", "DECLARE c CURSOR FOR SELECT 1", "FETCH 3 FROM c", "CLOSE c"],
        &["PREPARE p AS SELECT 1", "BEGIN", "ROLLBACK", "EXECUTE p", "DEALLOCATE p", "EXECUTE p"],
        &["BEGIN", "PREPARE p AS SELECT 1", "ROLLBACK", "EXECUTE p", "DISCARD ALL", "EXECUTE p"],
        &[
            "BEGIN",
            "SELECT 1/0",
            "FETCH c",
            "EXECUTE p",
            "ROLLBACK",
            "PREPARE p AS SELECT 2; EXECUTE p; DEALLOCATE p; PREPARE p AS SELECT 3; EXECUTE p",
        ],
    ];
    let mut restricted = proxy.connect("support", shop::DATABASE);
    let mut owner = proxy.connect("owner", shop::DATABASE);
    for script in scripts {
        for sql in *script {
            let answers = [&mut restricted, &mut owner].map(|client| {
                let answer = client.simple(sql);
                let failed = wire::error(&answer).map(|error| error.field(b'C'));
                let rows = if failed.is_none() { lines(&answer) } else { Vec::new() };
                (failed, rows)
            });
            assert_eq!(answers[0], answers[1], "{sql} of {script:?}");
        }
    }
    // What the protocol prepared, named by SQL: a query is run; what changes the session is refused, as that would not be taken in, and
    // a portal, whose rows are proved, counted and limited when it is executed.
    restricted.send(
        &[
            wire::parse("q", "SELECT $1::int + 1", &[]),
            wire::parse("k", "CLOSE ALL", &[]),
            wire::parse("r", "SELECT generate_series(1, 3)", &[]),
            wire::sync(),
        ]
        .concat(),
    );
    restricted.until_ready();
    assert_eq!(lines(&restricted.simple("EXECUTE q(41)")), ["42"]);
    restricted.simple("BEGIN");
    restricted.send(&[wire::bind("p", "r", &[], &[], &[]), wire::sync()].concat());
    restricted.until_ready();
    let refused = restricted.simple("FETCH 2 FROM p");
    assert!(wire::describe(&refused).contains("PGS0106"), "{}", wire::describe(&refused));
    restricted.simple("ROLLBACK");
    restricted.simple("BEGIN");
    restricted.send(&[wire::bind("p", "r", &[], &[], &[]), wire::sync()].concat());
    restricted.until_ready();
    assert_eq!(wire::error(&restricted.simple("MOVE FORWARD 2 p")).map(|error| error.field(b'C')), None);
    restricted.send(&[wire::execute("p", 0), wire::sync()].concat());
    assert_eq!(lines(&restricted.until_ready()), ["3"]);
    restricted.simple("ROLLBACK");
    let refused = restricted.simple("EXECUTE k");
    assert!(wire::describe(&refused).contains("PGS0106"), "{}", wire::describe(&refused));
    // Rows of a cursor by the protocol open it not again.
    for client in [&mut restricted, &mut owner] {
        for sql in ["BEGIN", declare, "SAVEPOINT s"] {
            client.simple(sql);
        }
        client.send(&[wire::execute("c", 2), wire::sync()].concat());
        client.until_ready();
        client.simple("ROLLBACK TO s");
        assert_eq!(lines(&client.simple("FETCH 1 FROM c")), ["3"]);
        client.simple("ROLLBACK");
    }
}
