//! The rows of the leak catalogue that need frames of their own: start-up tricks, the fast path, statement names,
//! pipelines, parity of descriptions, framing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

mod common;
#[path = "common/leaks.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod corpus;

use common::wire::{
    self, Client, Message, bind, close_statement, describe_portal, describe_statement, execute, frame, parse, query,
    sync,
};
use corpus::World;

fn code(messages: &[Message]) -> String {
    wire::error(messages).and_then(|error| error.field(b'C')).unwrap_or_default()
}

fn kinds(messages: &[Message]) -> String {
    messages.iter().map(|message| char::from(message.kind)).collect()
}

fn refusal(messages: &[Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error:\n{}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

fn connect_with(world: &World, parameters: &[(&str, &str)]) -> Result<Client, Vec<Message>> {
    let mut all = vec![("user", "support"), ("database", "shop")];
    all.extend_from_slice(parameters);
    Client::connect(&world.proxy.as_ref().unwrap().address(), &all)
}

#[test]
fn start_up_parameters_are_policed() {
    let world = World::new(0, true);
    // F9
    for value in ["database", "true", "on", "1"] {
        let Err(answer) = connect_with(&world, &[("replication", value)]) else {
            panic!("replication={value} accepted")
        };
        assert_eq!(refusal(&answer), "PGS0402", "replication={value}: {}", wire::describe(&answer));
    }
    // F1, F2, F4 in the start-up packet, as parameters and inside `options`.
    let tricks = [
        ("options", "-c standard_conforming_strings=off"),
        ("options", "-cstandard_conforming_strings=off"),
        ("options", "--standard-conforming-strings=off"),
        ("options", "-c  Standard_Conforming_Strings=0"),
        ("options", "-c client_encoding=SJIS"),
        ("options", "-c backslash_quote=on"),
        ("options", "-c\\ client_encoding=SJIS"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "SJIS"),
        ("client_encoding", "LATIN1"),
        ("options", "-c session_authorization=owner"),
        ("role", "admin"),
        ("options", "-c role=admin"),
    ];
    for (name, value) in tricks {
        match connect_with(&world, &[(name, value)]) {
            Err(answer) => assert!(!code(&answer).is_empty(), "{name}={value}: {}", wire::describe(&answer)),
            Ok(mut client) => {
                let rows = wire::text_rows(&client.simple("SELECT '\\', phone FROM customers ORDER BY id LIMIT 1"));
                assert_eq!(rows, [[Some("\\".to_owned()), Some("*****101".to_owned())]], "{name}={value}");
                let setting = wire::text_rows(&client.simple("SHOW client_encoding"));
                assert_eq!(setting, [[Some("UTF8".to_owned())]], "{name}={value}");
                assert_eq!(world.leak(&client.transcript), None, "{name}={value}");
            }
        }
    }
    for (name, value) in [("options", "-c search_path=evil,public"), ("search_path", "evil,public,pg_catalog")] {
        if let Ok(mut client) = connect_with(&world, &[(name, value)]) {
            client.simple("SELECT phone, name FROM public.customers");
            client.simple("SELECT phone, name FROM customers");
            client.simple("SELECT left(phone, 9) FROM public.customers");
            assert_eq!(world.leak(&client.transcript), None, "{name}={value}");
        }
    }
    // Unknown logins and databases are refused clearly.
    let address = world.proxy.as_ref().unwrap().address();
    let Err(answer) = Client::connect(&address, &[("user", "pgscrim"), ("database", "shop")]) else {
        panic!("a login without a role is accepted")
    };
    assert_eq!(refusal(&answer), "PGS0401", "{}", wire::describe(&answer));
    let Err(answer) = Client::connect(&address, &[("user", "support"), ("database", "nowhere")]) else {
        panic!("an unknown database is accepted")
    };
    assert!(["3D000", "28000", "42501"].contains(&code(&answer).as_str()), "{}", wire::describe(&answer));
    let Err(answer) = Client::connect(&address, &[("user", "nobody"), ("database", "shop")]) else {
        panic!("an unknown login is accepted")
    };
    assert!(code(&answer).starts_with("28"), "{}", wire::describe(&answer));
}

#[test]
fn the_fast_path_is_refused() {
    let world = World::new(0, true);
    let mut client = world.connect("support");
    for oid in [870_u32, 2923] {
        let mut body = oid.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 1]);
        body.extend(5_u32.to_be_bytes());
        body.extend(b"LOWER");
        body.extend([0, 0]);
        client.send(&frame(b'F', &body));
        let answer = client.until_ready();
        assert_eq!(refusal(&answer), "PGS0404", "{}", wire::describe(&answer));
        assert_eq!(kinds(&answer), "EZ");
    }
    assert_eq!(wire::text_rows(&client.simple("SELECT 1")), [[Some("1".to_owned())]]);
}

/// F10, F11, F15: names follow what the server did, errors keep their place, and nothing is decided on a stale text.
#[test]
fn statement_names_and_pipelines_cannot_smuggle() {
    let world = World::new(0, true);
    let mut client = world.connect("support");
    let masked = "SELECT phone FROM customers ORDER BY id LIMIT 1";
    let clear = "SELECT extra FROM customers_2024 LIMIT 1";

    // The unnamed statement is used again with another text, in one pipeline.
    let bytes = [
        parse("", clear, &[]),
        parse("", masked, &[]),
        bind("", "", &[], &[], &[]),
        execute("", 0),
        parse("", clear, &[]),
        bind("", "", &[], &[], &[]),
        execute("", 0),
        sync(),
    ]
    .concat();
    client.send(&bytes);
    let answer = client.until_ready();
    assert_eq!(kinds(&answer), "112DC12DCZ", "{}", wire::describe(&answer));
    assert_eq!(wire::text_rows(&answer), [[Some("*****101".to_owned())], [Some("plain".to_owned())]]);

    // A Parse that the proxy refuses leaves the name free, and the pipeline is skipped to Sync.
    client.send(&[parse("s", "SELECT sd()", &[]), bind("", "s", &[], &[], &[]), execute("", 0), sync()].concat());
    let answer = client.until_ready();
    assert_eq!(kinds(&answer), "EZ", "{}", wire::describe(&answer));
    assert!(refusal(&answer).starts_with("PGS02"), "{}", wire::describe(&answer));
    client.send(&[bind("", "s", &[], &[], &[]), execute("", 0), sync()].concat());
    let answer = client.until_ready();
    assert_eq!(code(&answer), "26000", "{}", wire::describe(&answer));

    // A refusal in the midst keeps its place: what stands before it is answered before it.
    let one =
        |sql: &str| [parse("", sql, &[]), bind("", "", &[], &[], &[]), describe_portal(""), execute("", 0)].concat();
    client.send(
        &[one("SELECT 1"), one("SELECT sd()"), one("SELECT 2"), query("SELECT 3"), sync(), one("SELECT 4"), sync()]
            .concat(),
    );
    let mut answer = client.until_ready();
    answer.extend(client.until_ready());
    assert_eq!(kinds(&answer), "12TDCEZ12TDCZ", "{}", wire::describe(&answer));

    // A name that the server refused to define twice keeps its first meaning.
    client.send(&[parse("twice", masked, &[]), sync()].concat());
    client.until_ready();
    client.send(&[parse("twice", clear, &[]), sync()].concat());
    assert_eq!(code(&client.until_ready()), "42P05");
    client.send(&[bind("", "twice", &[], &[], &[]), execute("", 0), sync()].concat());
    assert_eq!(wire::text_rows(&client.until_ready()), [[Some("*****101".to_owned())]]);
    client.send(
        &[
            close_statement("twice"),
            parse("twice", clear, &[]),
            bind("", "twice", &[], &[], &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(wire::text_rows(&client.until_ready()), [[Some("plain".to_owned())]]);

    // SQL PREPARE and the protocol share one name space.
    client.simple("PREPARE shared AS SELECT name FROM customers ORDER BY id LIMIT 1");
    client.send(&[bind("", "shared", &[], &[], &[]), execute("", 0), sync()].concat());
    assert_eq!(wire::text_rows(&client.until_ready()), [[Some("A*** Z***".to_owned())]]);
    client.send(&[parse("proto", masked, &[]), sync()].concat());
    client.until_ready();
    assert_eq!(wire::text_rows(&client.simple("EXECUTE proto")), [[Some("*****101".to_owned())]]);
    client.simple("DEALLOCATE ALL");
    client.send(&[bind("", "proto", &[], &[], &[]), execute("", 0), sync()].concat());
    assert_eq!(code(&client.until_ready()), "26000");

    // A refusal aborts an open transaction as an error of the server would.
    client.simple("BEGIN");
    client.simple("SELECT sd()");
    let answer = client.simple("SELECT 1");
    assert_eq!(code(&answer), "25P02", "{}", wire::describe(&answer));
    assert_eq!(answer.last().unwrap().body, b"E");
    client.simple("ROLLBACK");
    // And one statement among several takes the others before it along.
    client.simple("INSERT INTO log VALUES (5, 'x'); SELECT sd()");
    assert_eq!(wire::text_rows(&client.simple("SELECT count(*) FROM log")), [[Some("0".to_owned())]]);
    assert_eq!(world.leak(&client.transcript), None);
}

/// F12, F13, F14: the description of a rewritten statement is that of the original, and both result formats work.
#[test]
fn descriptions_are_those_of_the_original() {
    let world = World::new(0, true);
    let mut through = world.connect("support");
    let mut direct = Client::connect(&world.postgres.address(), &[("user", "support"), ("database", "shop")]).unwrap();
    let statements: &[(&str, &[u32])] = &[
        ("SELECT * FROM customers WHERE id = $1", &[]),
        (
            "SELECT c.*, o.* FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.amount > $1 AND c.id = $2",
            &[0, 20],
        ),
        ("SELECT phone, name AS n, phone || 'x', upper(name), count(*) FROM customers GROUP BY 1, 2, 3, 4", &[]),
        ("SELECT phone FROM customers WHERE phone = $1 AND name LIKE $2", &[25]),
        ("SELECT tel FROM cust_v WHERE id = $1::bigint", &[]),
        ("UPDATE customers SET note = $2 WHERE id = $1 RETURNING *", &[]),
        ("INSERT INTO customers (id, name, phone) VALUES ($1, $2, $3) RETURNING id, phone", &[]),
        ("SELECT (SELECT phone FROM customers WHERE id = $1), $2::text[]", &[]),
        ("WITH w AS (SELECT * FROM customers) SELECT phone, meta FROM w WHERE id = ANY ($1)", &[1007]),
    ];
    for (sql, types) in statements {
        let describe = |client: &mut Client| {
            client.send(&[parse("d", sql, types), describe_statement("d"), close_statement("d"), sync()].concat());
            client.until_ready()
        };
        let (got, expected) = (describe(&mut through), describe(&mut direct));
        assert_eq!(kinds(&got), kinds(&expected), "{sql}\n{}", wire::describe(&got));
        let parameters = |answer: &[Message]| answer.iter().find(|m| m.kind == b't').map(|m| m.body.clone());
        assert_eq!(parameters(&got), parameters(&expected), "{sql}: parameters");
        let columns =
            |answer: &[Message]| answer.iter().find(|m| m.kind == b'T').map(Message::columns).unwrap_or_default();
        for (got, expected) in columns(&got).iter().zip(&columns(&expected)) {
            assert_eq!(
                (&got.name, got.type_oid, got.length, got.modifier, got.format),
                (&expected.name, expected.type_oid, expected.length, expected.modifier, expected.format),
                "{sql}"
            );
        }
        assert_eq!(columns(&got).len(), columns(&expected).len(), "{sql}");
    }
    let sql = "SELECT id, phone, name, meta FROM customers ORDER BY id";
    for format in [0, 1] {
        let answer = through.extended(sql, &[], format);
        let row = answer.iter().find(|m| m.kind == b'D').unwrap().values();
        let id: &[u8] = if format == 1 { &[0, 0, 0, 1] } else { b"1" };
        assert_eq!(row[0].as_deref(), Some(id));
        assert_eq!(row[1].as_deref(), Some(b"*****101".as_slice()));
        assert_eq!(row[3], None);
    }
    assert_eq!(world.leak(&through.transcript), None);
}

/// Parameters reach the masked database, not the stored one (C1 and D13 with bound values).
#[test]
fn bound_values_compare_with_masks() {
    let worlds = [World::new(0, true), World::new(1, true)];
    let phone = worlds[0].postgres.sql("shop", "SELECT phone FROM customers WHERE id = 1")[0][0].clone().unwrap();
    let transcripts = worlds.each_ref().map(|world| {
        let mut client = world.connect("support");
        for format in [0, 1] {
            let answer =
                client.extended("SELECT id FROM customers WHERE phone = $1", &[Some(phone.as_bytes())], format);
            assert_eq!(answer.iter().filter(|m| m.kind == b'D').count(), 0);
            let answer = client.extended("SELECT id FROM customers WHERE phone = $1", &[Some(b"*****101")], format);
            assert_eq!(answer.iter().filter(|m| m.kind == b'D').count(), 1);
            client.extended("SELECT count(*) FROM customers WHERE phone < $1", &[Some(b"0945")], format);
            client.extended("SELECT $1 IN (SELECT phone FROM customers)", &[Some(phone.as_bytes())], format);
        }
        // A mask that is written back changes nothing.
        client.extended("UPDATE customers SET phone = $1 WHERE id = 1", &[Some(b"*****101")], 0);
        client.after_startup().to_vec()
    });
    assert!(transcripts[0] == transcripts[1], "the worlds can be told apart");
    assert_eq!(
        worlds[0].postgres.sql("shop", "SELECT phone FROM customers WHERE id = 1"),
        [[Some(phone)]],
        "the mask was stored"
    );
}

/// F16, F17, F21: framing that breaks the protocol ends the connection; it never makes a second statement.
#[test]
fn broken_frames_end_the_session() {
    let world = World::new(0, true);
    let broken: Vec<(&str, Vec<u8>)> = vec![
        ("a NUL inside a Query", frame(b'Q', b"SELECT 1\0; SELECT phone FROM customers\0")),
        ("two texts in one Query", frame(b'Q', b"SELECT 1\0SELECT phone FROM customers\0")),
        ("a Query without an end", frame(b'Q', b"SELECT 1")),
        ("a Parse with bytes left over", frame(b'P', b"\0SELECT 1\0\0\0extra")),
        ("a Parse that is cut", frame(b'P', b"\0SELECT 1\0\0\x05\0\0")),
        ("a Bind that is cut", frame(b'B', b"\0\0\0\0\0\x07\0\0")),
        ("a Bind with a negative count", frame(b'B', b"\0\0\xff\xff\0\0\0\0")),
        ("a Describe of neither kind", frame(b'D', b"X\0")),
        ("a length below four", vec![b'Q', 0, 0, 0, 3, b'x']),
        ("a negative length", vec![b'Q', 0xff, 0xff, 0xff, 0xff, b'x']),
        ("a huge length", vec![b'Q', 0x7f, 0xff, 0xff, 0xff, b'x']),
        ("an unknown message", frame(b'~', b"")),
        ("a message of the server", frame(b'Z', b"I")),
    ];
    for (name, bytes) in broken {
        let mut client = world.connect("support");
        client.set_read_timeout(std::time::Duration::from_secs(20));
        client.send(&bytes);
        client.send(&sync());
        let mut seen = Vec::new();
        while let Some(message) = client.next() {
            let ready = message.kind == b'Z';
            seen.push(message);
            if ready {
                break;
            }
        }
        assert!(seen.iter().all(|m| m.kind != b'D'), "{name}: rows\n{}", wire::describe(&seen));
        assert!(wire::error(&seen).is_some() || seen.is_empty(), "{name}:\n{}", wire::describe(&seen));
        assert_eq!(world.leak(&client.transcript), None, "{name}");
    }
    // Bytes that are not UTF-8 are refused before anything reads them.
    let mut client = world.connect("support");
    client.send(&frame(b'Q', b"SELECT '\x95\x5c', phone FROM customers -- '\0"));
    let answer = client.until_ready();
    assert_eq!(code(&answer), "22021", "{}", wire::describe(&answer));
    client.send(&[parse("", "SELECT 1", &[]), sync()].concat());
    assert_eq!(kinds(&client.until_ready()), "1Z");
    // Stray COPY frames are ignored, as the server does.
    client.send(&[frame(b'd', b"x"), frame(b'c', b""), frame(b'f', b"x\0"), query("SELECT 1")].concat());
    let answer = client.until_ready();
    assert_eq!(wire::text_rows(&answer), [[Some("1".to_owned())]], "{}", wire::describe(&answer));
}

/// F18: bytes sent together with SSLRequest are never taken for what comes after the handshake.
#[test]
fn encryption_requests_are_answered_plainly() {
    let world = World::new(0, true);
    let address = world.proxy.as_ref().unwrap().address();
    let request = |number: u32| [8_u32.to_be_bytes(), number.to_be_bytes()].concat();
    // SSLRequest, GSSENCRequest, and both after each other.
    let mut client = Client::open(&address);
    client.send(&request(80_877_104));
    assert!(client.fill());
    assert_eq!(client.transcript, b"N");
    client.send(&request(80_877_103));
    assert!(client.fill());
    assert_eq!(client.transcript, b"NN");
    client.transcript.clear();
    assert!(client.start_up(&[("user", "support"), ("database", "shop")]).is_ok());
    // Protocol 3.2 with an unknown option is negotiated down.
    let mut client = Client::open(&address);
    client.send(&wire::startup((3 << 16) | 2, &[("user", "support"), ("database", "shop"), ("_pq_.unknown", "1")]));
    let first = client.next().unwrap();
    assert_eq!(
        char::from(first.kind),
        'v',
        "NegotiateProtocolVersion: {}",
        wire::describe(std::slice::from_ref(&first))
    );
    let rest = client.until_ready();
    assert_eq!(rest.last().unwrap().kind, b'Z');
    // Sizes out of bounds and unknown versions.
    for bytes in [
        vec![0, 0, 0, 4],
        vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        vec![0, 1, 0, 0, 0, 3, 0, 0],
        wire::startup(2 << 16, &[]),
    ] {
        let mut client = Client::open(&address);
        client.send(&bytes);
        client.set_read_timeout(std::time::Duration::from_secs(20));
        while let Some(message) = client.next() {
            assert_eq!(message.kind, b'E', "{}", wire::describe(std::slice::from_ref(&message)));
        }
    }
    assert_eq!(world.proxy.as_ref().unwrap().connect("support", "shop").simple("SELECT 1").len(), 4);
}

/// The type that a client gives a parameter runs its functions, as a cast in the text does.
#[test]
fn types_of_parameters_run_no_function() {
    let world = World::new(0, true);
    let oid = |name: &str| -> u32 {
        let rows = world.postgres.sql(corpus::DATABASE, &format!("SELECT '{name}'::regtype::oid::text"));
        rows[0][0].as_deref().unwrap().parse().unwrap()
    };
    for name in ["pair", "pair[]"] {
        let mut client = world.connect("support");
        let messages = [
            parse("", "SELECT sign($1)", &[oid(name)]),
            wire::bind("", "", &[], &[Some(b"(1,x)")], &[]),
            wire::execute("", 0),
            sync(),
        ];
        client.send(&messages.concat());
        let answer = client.until_ready();
        assert_eq!(world.leak(&client.transcript), None, "{name}: {}", wire::describe(&answer));
        let hint = wire::error(&answer).unwrap().field(b'H').unwrap_or_default();
        assert!(hint.starts_with("PGS0211"), "{name}: {}", wire::describe(&answer));
    }
    let mut client = world.connect("support");
    client.send(&[parse("", "SELECT sign($1)", &[oid("bigint")]), sync()].concat());
    assert_eq!(kinds(&client.until_ready()), "1Z");
}

/// G14: what the proxy writes about a session holds no value.
#[test]
fn logs_metrics_and_audit_hold_no_value() {
    let world = World::new(0, true);
    let mut client = world.connect("support");
    client.simple("SELECT 'literal-in-text' AS marker, 4815162342, phone FROM customers WHERE name = 'Guessed Name'");
    client.extended("SELECT phone FROM customers WHERE name = $1", &[Some(b"parameter-value")], 0);
    client.simple("SELECT 'literal-in-error'::int");
    client.simple("SELECT sd('literal-in-refusal')");
    client.simple_copy("COPY log FROM STDIN", b"1\tcopied-value\n");
    let mut owner = world.connect("owner");
    owner.simple("SELECT phone, 'literal-of-owner' FROM customers");
    owner.simple("SELEC 'literal-in-garbage'");
    drop((client, owner));
    let proxy = world.proxy.as_ref().unwrap();
    let written = format!(
        "{}{}{}",
        std::fs::read_to_string(proxy.folder.join("audit.jsonl")).unwrap(),
        proxy.log(),
        proxy.page("/metrics")
    );
    assert_eq!(world.leak_written(), None);
    for value in ["literal-", "4815162342", "Guessed Name", "parameter-value", "copied-value"] {
        assert!(!written.contains(value), "`{value}` was written");
    }
    assert!(written.contains("public.customers.phone"), "columns are named");
}

/// Errors of both, of pgscrim's analysis and of the server on rewritten text, point to where the server's own would.
#[test]
fn errors_point_into_the_text_of_the_client() {
    let world = World::new(0, true);
    let masked = World::masked();
    let mut clients = [world.connect("support"), masked.connect("support")];
    let mut others = Vec::new();
    for sql in [
        "SELECT nothing FROM customers",
        "SELECT id, phone, c.nothing FROM customers c ORDER BY id",
        "SELECT phone FROM customers c, orders o WHERE c.nothing = o.id",
        "SELECT phone, nosuch(phone) FROM customers",
        "SELECT 'Đặng', phone, nosuch(phone) FROM customers",
        "SELECT customers.*, nosuch(id) FROM customers",
        "SELECT phone FROM customers GROUP BY name",
        "SELECT name, phone, count(*) FROM customers",
        "SELECT note, max(phone), c.phone FROM customers c GROUP BY note",
        "SELECT phone, sum(amount) FROM customers JOIN orders ON customer_id = customers.id GROUP BY name",
        "SELECT CASE WHEN phone THEN 1 END FROM customers",
        "SELECT name, CASE WHEN true THEN phone ELSE 1 END FROM customers",
        "SELECT phone FROM customers WHERE name",
        "SELECT 'ữ', phone + 1 FROM customers",
        "SELECT phone FROM customers /* long */ WHERE -- more\n phone + 1 = 2",
        "SELECT phone FROM customers c JOIN orders o ON o.customer_id = c.phone",
        "SELECT phone FROM customers UNION SELECT id FROM customers",
        "SELECT DISTINCT phone FROM customers ORDER BY name",
        "SELECT phone FROM customers WHERE id IN (SELECT id, name FROM customers)",
        "WITH q AS (SELECT phone FROM customers) SELECT phone, upper(phone, 1) FROM q",
        "SELECT name, phone::nosuchtype FROM customers",
        "SELECT phone FROM customers WHERE id = 'x'",
        "SELECT phone COLLATE nope FROM customers",
        "UPDATE customers SET phone = '1', nothing = 2 WHERE id = 1",
        "UPDATE customers SET meta = NULL WHERE phone > '' AND id",
        "UPDATE customers SET meta = NULL WHERE phone",
        "UPDATE customers SET meta = NULL WHERE name > '' RETURNING phone, phone + 1",
        "UPDATE customers SET meta = NULL WHERE phone > '' AND nosuch(id)",
        "INSERT INTO customers (id, name) SELECT 'a' || 'b', 'c'",
        "INSERT INTO customers (id, name) VALUES (1, 'x') RETURNING phone, id + name",
        "DELETE FROM customers WHERE phone > '' RETURNING phone, id + 'x'",
    ] {
        let answers = clients.each_mut().map(|client| {
            client.simple("BEGIN");
            let messages = client.simple(sql);
            client.simple("ROLLBACK");
            let error = wire::error(&messages).unwrap_or_else(|| panic!("{sql} works"));
            (error.field(b'C'), error.field(b'P'))
        });
        if answers[0] != answers[1] {
            others.push(format!("{sql}: {answers:?}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}
