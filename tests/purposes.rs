//! What a session uses data for: chosen at start-up, by its application, by SET; kept by PostgreSQL as any setting is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Postgres, Proxy, proxy::Options, shop, wait_for, wire};

const ROLE: &str = r#"
name = "support"
match = { user = ["support"] }
purposes = ["customer-care", "verification", "statistics", "complaints"]
application_purposes = { metabase = "statistics" }
see = { name = "name_initials", phone = "phone_last", email = "withhold", note = "refuse" }
search = { phone = "exact" }
[role.for.verification]
see = { phone = "clear" }
[role.for.complaints]
see = { name = "clear", phone = "clear", email = "clear", note = "clear" }
[role.for.statistics]
otherwise = "refuse"
see = { name = "refuse", phone = "withhold" }
search = { phone = "masked" }
rows = { "public.customers" = "id <= 10" }
"#;

const PHONE: &str = "SELECT phone FROM customers WHERE id = 3";

fn start() -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    let (before, _) = shop::RULES.split_once("name = \"support\"").unwrap();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, format!("{before}{ROLE}")));
    (postgres, proxy)
}

fn connect(proxy: &Proxy, user: &str, more: &[(&str, &str)]) -> wire::Client {
    let parameters: Vec<_> = [("user", user), ("database", "shop")].iter().chain(more).copied().collect();
    wire::Client::connect(&proxy.address(), &parameters).unwrap_or_else(|answer| panic!("{}", wire::describe(&answer)))
}

fn value(messages: &[wire::Message]) -> String {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    wire::text_rows(messages)[0][0].clone().unwrap_or_else(|| "-".to_owned())
}

fn refused(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

#[test]
fn a_session_chooses_one_of_its_purposes() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    assert_eq!(value(&client.simple(PHONE)), "*****003");
    assert_eq!(value(&client.simple("SHOW pgscrim.purpose")), "customer-care");
    assert_eq!(value(&client.extended("SHOW pgscrim.purpose", &[], 0)), "customer-care");
    client.simple("SET pgscrim.purpose = 'verification'");
    assert_eq!(value(&client.simple(PHONE)), "0901234003");
    assert_eq!(value(&client.extended(PHONE, &[], 1)), "0901234003");
    assert_eq!(value(&client.simple("SHOW pgscrim.purpose")), "verification");
    client.simple("SET pgscrim.purpose TO statistics");
    assert_eq!(value(&client.simple(PHONE)), "-");
    assert_eq!(value(&client.simple("SELECT count(*) FROM customers")), "10");
    assert_eq!(refused(&client.simple("SELECT full_name FROM customers")), "PGS0201");
    for reset in [
        "RESET pgscrim.purpose",
        "RESET ALL",
        "SET pgscrim.purpose TO DEFAULT",
        "DISCARD ALL",
        "SET pgscrim.purpose = ''",
    ] {
        client.simple("SET pgscrim.purpose = 'verification'");
        assert_eq!(value(&client.simple(PHONE)), "0901234003", "{reset}");
        client.simple(reset);
        assert_eq!(value(&client.simple(PHONE)), "*****003", "{reset}");
    }
    client.simple("SELECT set_config('pgscrim.purpose', 'verification', false)");
    assert_eq!(value(&client.simple(PHONE)), "0901234003");
    for refusal in [
        "SET pgscrim.purpose = 'marketing'",
        "SET LOCAL pgscrim.purpose = 'marketing'",
        "SET SESSION pgscrim.purpose TO 'Verification'",
        "SELECT set_config('pgscrim.purpose', 'marketing', false)",
        "SELECT set_config('PGSCRIM.PURPOSE', 'marketing', false)",
    ] {
        assert_eq!(refused(&client.simple(refusal)), "PGS0213", "{refusal}");
    }
    assert_eq!(
        refused(&client.simple("SELECT set_config('pgscrim.purpose', full_name, false) FROM customers")),
        "PGS0203"
    );
    assert_eq!(value(&client.simple(PHONE)), "0901234003");
}

#[test]
fn transactions_keep_and_undo_a_purpose_as_any_setting() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    for (steps, inside, after) in [
        (&["BEGIN", "SET LOCAL pgscrim.purpose = 'verification'"][..], "0901234003", "*****003"),
        (&["BEGIN", "SET pgscrim.purpose = 'verification'"], "0901234003", "*****003"),
        (&["BEGIN", "SAVEPOINT a", "SET pgscrim.purpose = 'verification'", "ROLLBACK TO a"], "*****003", "*****003"),
        (&["BEGIN; SET pgscrim.purpose = 'verification'"], "0901234003", "*****003"),
    ] {
        for step in steps {
            client.simple(step);
        }
        assert_eq!(value(&client.simple(PHONE)), inside, "{steps:?}");
        client.simple("ROLLBACK");
        assert_eq!(value(&client.simple(PHONE)), after, "{steps:?}");
    }
    client.simple("BEGIN");
    client.simple("SET LOCAL pgscrim.purpose = 'verification'");
    client.simple("COMMIT");
    assert_eq!(value(&client.simple(PHONE)), "*****003");
    client.simple("BEGIN");
    client.simple("SET pgscrim.purpose = 'verification'");
    client.simple("COMMIT");
    assert_eq!(value(&client.simple(PHONE)), "0901234003");
    // What was prepared for one purpose is not run for another; a cursor of one is not read for another.
    client.simple("PREPARE p AS SELECT phone FROM customers WHERE id = 3");
    assert_eq!(value(&client.simple("EXECUTE p")), "0901234003");
    client.simple("BEGIN");
    client.simple("DECLARE c CURSOR FOR SELECT phone FROM customers");
    client.simple("SET LOCAL pgscrim.purpose = 'customer-care'");
    assert_eq!(refused(&client.simple("FETCH 1 FROM c")), "PGS0213");
    client.simple("ROLLBACK");
    client.simple("SET pgscrim.purpose = 'customer-care'");
    let outlived = client.simple("EXECUTE p");
    assert_eq!(wire::error(&outlived).unwrap().field(b'C').as_deref(), Some("0A000"));
    assert_eq!(wire::error(&outlived).unwrap().field(b'R').as_deref(), Some("RevalidateCachedQuery"));
}

/// A setting keeps what it has taken in when the purpose changes.
#[test]
fn settings_take_in_no_personal_data() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    client.simple("SET pgscrim.purpose = 'verification'");
    for sql in [
        "SELECT set_config('application_name', phone, false) FROM customers WHERE id = 3",
        "SELECT set_config('application_name', (SELECT phone FROM customers WHERE id = 3), false)",
        "SELECT set_config('application_name', x || '', false) FROM (SELECT phone AS x FROM customers WHERE id = 3) q",
        "SELECT set_config('application_name', max(c::text), false) FROM customers c",
    ] {
        let code = refused(&client.simple(sql));
        assert!(code == "PGS0203" || code == "PGS0201", "{sql}: {code}");
    }
    for sql in [
        "SELECT set_config('application_name', 'order ' || amount::text, false) FROM orders WHERE id = 3",
        "SELECT set_config('application_name', upper('x'), false)",
    ] {
        let answer = client.simple(sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
    }
    client.simple("SET pgscrim.purpose = 'customer-care'");
    assert_eq!(value(&client.simple("SHOW application_name")), "X");
}

/// What was bound for one purpose is not executed for another: a portal that was suspended, a FETCH and an EXECUTE in a portal.
#[test]
fn portals_are_kept_from_another_purpose() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let execute = |client: &mut wire::Client, portal: &str| {
        client.send(&[wire::execute(portal, 1), wire::sync()].concat());
        client.until_ready()
    };
    for sql in ["SELECT phone FROM customers", "FETCH 1 FROM c", "EXECUTE p"] {
        client.simple("SET pgscrim.purpose = 'verification'");
        client.simple("PREPARE p AS SELECT phone FROM customers");
        client.simple("BEGIN");
        client.simple("DECLARE c CURSOR FOR SELECT phone FROM customers");
        for portal in ["k", "l"] {
            client.send(&[wire::parse("", sql, &[]), wire::bind(portal, "", &[], &[], &[]), wire::sync()].concat());
            assert!(wire::error(&client.until_ready()).is_none(), "{sql}");
        }
        let first = execute(&mut client, "k");
        assert!(wire::error(&first).is_none(), "{sql}: {}", wire::describe(&first));
        client.simple("SAVEPOINT s");
        client.simple("SET pgscrim.purpose = 'customer-care'");
        let answer = execute(&mut client, "l");
        assert!(wire::error(&answer).is_some(), "{sql}: {}", wire::describe(&answer));
        assert!(wire::text_rows(&answer).is_empty(), "{sql}");
        // Back at its own purpose it goes on.
        client.simple("ROLLBACK TO s");
        let answer = execute(&mut client, "l");
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        // The purpose is set within the same pipeline.
        let mut bytes = wire::parse("", "SET pgscrim.purpose = 'customer-care'", &[]);
        bytes.extend([wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::execute("k", 1)].concat());
        bytes.extend(wire::sync());
        client.send(&bytes);
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_some(), "{sql}: {}", wire::describe(&answer));
        assert!(wire::text_rows(&answer).is_empty(), "{sql}");
        client.simple("ROLLBACK");
        client.simple("DEALLOCATE ALL");
    }
}

#[test]
fn a_purpose_is_chosen_at_the_start() {
    let (postgres, proxy) = start();
    let mut by_options = connect(&proxy, "support", &[("options", "-c pgscrim.purpose=verification")]);
    assert_eq!(value(&by_options.simple(PHONE)), "0901234003");
    by_options.simple("SET pgscrim.purpose = 'statistics'");
    by_options.simple("RESET pgscrim.purpose");
    assert_eq!(value(&by_options.simple(PHONE)), "0901234003");
    let mut by_parameter = connect(&proxy, "support", &[("pgscrim.purpose", "verification")]);
    assert_eq!(value(&by_parameter.simple(PHONE)), "0901234003");
    let mut by_application = connect(&proxy, "support", &[("application_name", "metabase")]);
    assert_eq!(value(&by_application.simple(PHONE)), "-");
    by_application.simple("SET pgscrim.purpose = 'verification'");
    assert_eq!(value(&by_application.simple(PHONE)), "0901234003");
    postgres.sql("shop", "ALTER ROLE support SET pgscrim.purpose = 'verification'");
    let mut by_default = proxy.connect("support", "shop");
    assert_eq!(value(&by_default.simple(PHONE)), "0901234003");
    postgres.sql("shop", "ALTER ROLE support SET pgscrim.purpose = 'marketing'");
    for (user, options) in
        [("support", "-c pgscrim.purpose=marketing"), ("support", ""), ("owner", "-c pgscrim.purpose=x")]
    {
        let parameters = [("user", user), ("database", "shop"), ("options", options)];
        let Err(answer) = wire::Client::connect(&proxy.address(), &parameters) else {
            panic!("{user} {options}: connected")
        };
        assert_eq!(refused(&answer), "PGS0213", "{user} {options}");
    }
    let events = wait_for("events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() >= 7).then_some(events)
    });
    let purposes: Vec<_> =
        events.iter().filter(|event| event["kind"] == "SELECT").map(|event| event["purpose"].clone()).collect();
    assert_eq!(purposes[..4], ["verification", "verification", "verification", "statistics"]);
}

/// What a driver does with a statement that it keeps: binds, describes the portal, executes.
fn bound(client: &mut wire::Client, name: &str) -> Vec<wire::Message> {
    let mut bytes = wire::bind("", name, &[], &[Some(b"3")], &[]);
    bytes.extend(wire::describe_portal(""));
    bytes.extend(wire::execute("", 0));
    bytes.extend(wire::sync());
    client.send(&bytes);
    client.until_ready()
}

fn kinds(messages: &[wire::Message]) -> String {
    messages.iter().map(|message| char::from(message.kind)).collect()
}

fn prepare(client: &mut wire::Client, name: &str, sql: &str) -> Vec<wire::Message> {
    client.send(&[wire::parse(name, sql, &[]), wire::describe_statement(name), wire::sync()].concat());
    client.until_ready()
}

/// Statements that a driver keeps prepared go on under another purpose, in a transaction too, and the driver sees nothing of it.
#[test]
fn kept_statements_go_on_under_another_purpose() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let described = prepare(&mut client, "s", "SELECT phone FROM customers WHERE id = $1");
    assert_eq!(kinds(&described), "1tTZ");
    assert_eq!(value(&bound(&mut client, "s")), "*****003");
    for _ in 0..2 {
        client.simple("BEGIN");
        client.simple("SET LOCAL pgscrim.purpose = 'verification'");
        let answer = bound(&mut client, "s");
        assert_eq!((kinds(&answer).as_str(), value(&answer).as_str()), ("2TDCZ", "0901234003"));
        client.send(&[wire::describe_statement("s"), wire::sync()].concat());
        let answer = client.until_ready();
        assert_eq!((kinds(&answer).as_str(), &answer[0].body), ("tTZ", &described[1].body));
        // In the middle of a pipeline too, once it is known.
        let mut pipeline = wire::parse("", "SELECT 1", &[]);
        pipeline.extend(wire::bind("", "s", &[], &[Some(b"4")], &[]));
        pipeline.extend(wire::execute("", 0));
        pipeline.extend(wire::sync());
        client.send(&pipeline);
        let answer = client.until_ready();
        assert_eq!((kinds(&answer).as_str(), value(&answer).as_str()), ("12DCZ", "0901234004"));
        client.simple("COMMIT");
        assert_eq!(value(&bound(&mut client, "s")), "*****003");
    }
    client.simple("SET pgscrim.purpose = 'statistics'");
    assert_eq!(value(&bound(&mut client, "s")), "-");
    let purposes: Vec<_> = wait_for("events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() >= 15).then_some(events)
    });
    let purposes = purposes.iter().filter(|event| event["kind"] == "SELECT").map(|event| {
        let columns = event["columns"].as_array().unwrap();
        format!("{} {}", event["purpose"].as_str().unwrap(), columns[0]["treatment"].as_str().unwrap())
    });
    let (care, verified) = ("customer-care phone_last", "verification clear");
    let expected = [care, verified, verified, care, verified, verified, care, "statistics withhold"];
    assert_eq!(purposes.collect::<Vec<_>>(), expected);

    // Statements of our own are nobody's to name.
    assert_eq!(refused(&client.simple("EXECUTE pgs_1(3)")), "PGS0107");
    assert_eq!(refused(&client.simple("DEALLOCATE pgs_1")), "PGS0107");
    assert_eq!(refused(&client.simple("PREPARE pgs_1 AS SELECT 1")), "PGS0107");
    assert_eq!(refused(&prepare(&mut client, "pgs_1", "SELECT 1")), "PGS0107");
    client.send(&[wire::describe_statement("pgs_1"), wire::sync()].concat());
    assert_eq!(wire::error(&client.until_ready()).unwrap().field(b'C').as_deref(), Some("26000"));
    assert_eq!(wire::error(&bound(&mut client, "pgs_1")).unwrap().field(b'C').as_deref(), Some("26000"));

    // Gone with the client's own, and made again.
    client.simple("DISCARD ALL");
    assert_eq!(wire::error(&bound(&mut client, "s")).unwrap().field(b'C').as_deref(), Some("26000"));
    prepare(&mut client, "s", "SELECT phone FROM customers WHERE id = $1");
    client.simple("SET pgscrim.purpose = 'verification'");
    assert_eq!(value(&bound(&mut client, "s")), "0901234003");
    client.simple("DEALLOCATE ALL");
    prepare(&mut client, "s", "SELECT phone FROM customers WHERE id = $1");
    client.simple("SET pgscrim.purpose = 'customer-care'");
    assert_eq!(value(&bound(&mut client, "s")), "*****003");
}

/// Where a statement would be described otherwise, or is refused, the client is told, and the event says what it was about.
#[test]
fn kept_statements_that_would_look_otherwise_are_told() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    prepare(&mut client, "row", "SELECT c FROM customer_phones c WHERE id = $1");
    prepare(&mut client, "name", "SELECT full_name FROM customers WHERE id = $1");
    assert_eq!(value(&bound(&mut client, "row")), "(3,*****003)");
    client.simple("SET pgscrim.purpose = 'complaints'");
    assert_eq!(value(&bound(&mut client, "row")), "(3,0901234003)");
    client.simple("RESET pgscrim.purpose");
    let changed = proxy.connect("owner", "shop").simple("ALTER TABLE customers ALTER full_name TYPE varchar(80)");
    assert!(wire::error(&changed).is_none(), "{}", wire::describe(&changed));
    for _ in 0..2 {
        let answer = bound(&mut client, "name");
        assert_eq!(refused(&answer), "PGS0306");
        let error = wire::error(&answer).unwrap();
        let fields = [b'C', b'R'].map(|field| error.field(field).unwrap());
        assert_eq!(fields, ["0A000", "RevalidateCachedQuery"]);
        client.send(&[wire::describe_statement("name"), wire::sync()].concat());
        assert_eq!(refused(&client.until_ready()), "PGS0306");
    }
    assert_eq!(value(&bound(&mut client, "row")), "(3,*****003)");
    client.simple("SET pgscrim.purpose = 'statistics'");
    assert_eq!(refused(&bound(&mut client, "name")), "PGS0201");
    client.simple("PREPARE p AS SELECT phone FROM customers WHERE id = 3");
    client.simple("SET pgscrim.purpose = 'verification'");
    assert_eq!(refused(&client.simple("EXECUTE p")), "PGS0306");
    let events = wait_for("events", Duration::from_secs(10), || {
        let events: Vec<_> = proxy.audit().into_iter().filter(|event| event["outcome"] == "refused").collect();
        (events.len() >= 6).then_some(events)
    });
    for (event, kind) in events.iter().zip(["SELECT", "SELECT", "SELECT", "SELECT", "SELECT", "EXECUTE"]) {
        assert_eq!(event["kind"], kind, "{event}");
        assert!(
            !event["text"].as_str().unwrap().is_empty() && !event["columns"].as_array().unwrap().is_empty(),
            "{event}"
        );
    }
}

/// As asyncpg and psycopg use it: a pool, one text, now and then for another purpose.
#[test]
fn kept_statements_of_drivers_go_on() {
    let (_postgres, proxy) = start();
    let environment = [("PROXY_PORT", proxy.port.to_string())];
    assert_eq!(common::python::script("asyncpg_purpose.py", &[], &environment).trim(), "ok");
    assert_eq!(common::python::script("psycopg_purpose.py", &[], &environment).trim(), "ok");
}

/// Parse, Bind, Describe and Execute of each statement, without Sync. `give x` gives the purpose `x` by a parameter.
fn pipelined(statements: &[&str]) -> Vec<u8> {
    let one = |sql: &&str| {
        let given = sql.strip_prefix("give ").map(|purpose| [Some(purpose.as_bytes())]);
        let (sql, values) = given.as_ref().map_or((*sql, &[][..]), |value| (GIVEN, value.as_slice()));
        [
            wire::parse("", sql, &[]),
            wire::bind("", "", &[], values, &[]),
            wire::describe_portal(""),
            wire::execute("", 0),
        ]
        .concat()
    };
    statements.iter().flat_map(one).collect()
}

fn values(messages: &[wire::Message]) -> String {
    let values = wire::text_rows(messages).into_iter().map(|row| row[0].clone().unwrap_or_else(|| "-".to_owned()));
    values.collect::<Vec<_>>().join(" ")
}

/// Applications send a change of purpose and what it is for together: each statement is judged for what holds when it is run.
#[test]
fn a_purpose_holds_within_its_message_and_its_pipeline() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let phone = |id: u8| format!("SELECT phone FROM customers WHERE id = {id}");
    let (three, four) = (phone(3), phone(4));
    let verify = "SET LOCAL pgscrim.purpose = 'verification'";
    for (statements, expected) in [
        (vec!["BEGIN", verify, &*three, "COMMIT"], "0901234003"),
        (vec![&*three, "BEGIN", verify, &*four, "COMMIT"], "*****003 0901234004"),
        (vec!["BEGIN", verify, &*three, "SET LOCAL pgscrim.purpose TO statistics", &*four, "ROLLBACK"], "0901234003 -"),
        (
            vec!["BEGIN", verify, &*three, "COMMIT", "BEGIN", "SET LOCAL pgscrim.purpose = complaints", &*four, "END"],
            "0901234003 0901234004",
        ),
        (
            vec!["BEGIN", "SELECT set_config('pgscrim.purpose', 'verification', true)", &*three, "COMMIT"],
            "verification 0901234003",
        ),
        (vec!["BEGIN", "SAVEPOINT a", verify, "RELEASE a", &*three, "COMMIT"], "0901234003"),
        (vec!["BEGIN", verify, "SHOW pgscrim.purpose", "COMMIT"], "verification"),
        (vec!["SET pgscrim.purpose = 'verification'", &*three, "RESET pgscrim.purpose"], "0901234003"),
    ] {
        let message = client.simple(&statements.join("; "));
        assert!(wire::error(&message).is_none(), "{statements:?}: {}", wire::describe(&message));
        assert_eq!(values(&message), expected, "{statements:?}");
        assert_eq!(value(&client.simple(&three)), "*****003", "{statements:?}");
        client.send(&[pipelined(&statements), wire::sync()].concat());
        let pipeline = client.until_ready();
        assert!(wire::error(&pipeline).is_none(), "{statements:?}: {}", wire::describe(&pipeline));
        assert_eq!(values(&pipeline), expected, "{statements:?}");
        assert_eq!(value(&client.simple(&three)), "*****003", "{statements:?}");
    }
    let events = wait_for("events", Duration::from_secs(10), || {
        let events: Vec<_> = proxy.audit().into_iter().filter(|event| event["kind"] == "SELECT").collect();
        (events.len() >= 38).then_some(events)
    });
    for event in events.iter().filter(|event| event["columns"] != serde_json::json!([])) {
        let treatment = match event["purpose"].as_str().unwrap() {
            "customer-care" => "phone_last",
            "verification" | "complaints" => "clear",
            _ => "withhold",
        };
        assert_eq!(event["columns"][0]["treatment"], treatment, "{event}");
    }
}

/// What only the server knows is refused within a message; in a pipeline the server is asked. An error takes back what a message has set.
#[test]
fn a_purpose_that_cannot_be_foreseen_is_refused() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let verify = "SET LOCAL pgscrim.purpose = 'verification'";
    for (statements, code, seen) in [
        (vec!["BEGIN", verify, "ROLLBACK", PHONE], "PGS0208", "*****003"),
        (vec!["BEGIN", verify, "COMMIT", PHONE], "PGS0208", "*****003"),
        (vec!["BEGIN", "SAVEPOINT a", verify, "ROLLBACK TO a", PHONE], "PGS0208", "*****003"),
        (vec![verify, "RESET pgscrim.purpose", PHONE], "PGS0208", "*****003"),
        (vec!["SET pgscrim.purpose = ''", PHONE], "PGS0208", "*****003"),
        (vec!["RESET ALL", PHONE], "PGS0208", "*****003"),
        (vec!["SET search_path = public", verify, PHONE], "PGS0208", "0901234003"),
        (vec!["SELECT set_config('pgscrim.purpose', 'verification', true) WHERE false", PHONE], "PGS0208", "*****003"),
        (vec![verify, "SET LOCAL pgscrim.purpose = 'marketing'", PHONE], "PGS0213", ""),
        (vec!["SET LOCAL pgscrim.purpose = 'statistics'", "SELECT full_name FROM customers"], "PGS0201", ""),
    ] {
        assert_eq!(refused(&client.simple(&statements.join("; "))), code, "{statements:?}");
        client.simple("ROLLBACK");
        assert_eq!(value(&client.simple(PHONE)), "*****003", "{statements:?}");
        client.send(&[pipelined(&statements), wire::sync()].concat());
        let answer = client.until_ready();
        if seen.is_empty() {
            assert_eq!(refused(&answer), code, "{statements:?}");
        } else {
            assert_eq!(
                values(&answer).split(' ').next_back(),
                Some(seen),
                "{statements:?}: {}",
                wire::describe(&answer)
            );
        }
        client.simple("ROLLBACK");
        assert_eq!(value(&client.simple(PHONE)), "*****003", "{statements:?}");
    }
    // An error takes it back; within a transaction until it ends.
    for failing in ["SELECT 1/0", "SET pgscrim.purpose = 'a', 'b'"] {
        let answer = client.simple(&format!("SET pgscrim.purpose = 'verification'; {failing}; {PHONE}"));
        assert!(wire::error(&answer).is_some() && values(&answer).is_empty(), "{}", wire::describe(&answer));
        assert_eq!(value(&client.simple(PHONE)), "*****003");
    }
    client.simple("BEGIN");
    let answer = client.simple(&format!("{verify}; {PHONE}; SELECT 1/0; {PHONE}"));
    assert_eq!(values(&answer), "0901234003");
    assert_eq!(refused(&client.simple(&format!("ROLLBACK; {PHONE}"))), "PGS0208");
    client.simple("ROLLBACK");
    assert_eq!(value(&client.simple(PHONE)), "*****003");
    // Set by an earlier message, taken back in this one.
    for ends in ["ROLLBACK", "COMMIT", "ROLLBACK TO a"] {
        client.simple("BEGIN; SAVEPOINT a");
        client.simple(verify);
        assert_eq!(value(&client.simple(PHONE)), "0901234003");
        assert_eq!(refused(&client.simple(&format!("{ends}; {PHONE}"))), "PGS0208", "{ends}");
        client.simple("ROLLBACK");
        assert_eq!(value(&client.simple(PHONE)), "*****003");
    }
    client.simple("BEGIN; SET LOCAL search_path = public");
    assert_eq!(refused(&client.simple(&format!("ROLLBACK; {PHONE}"))), "PGS0208");
    client.simple("ROLLBACK");
    // What was made for one purpose is not used for another, also within a message.
    for (kept, used) in [
        ("PREPARE q AS SELECT phone FROM customers WHERE id = 3", "EXECUTE q"),
        ("DECLARE q CURSOR FOR SELECT phone FROM customers WHERE id = 3", "FETCH q"),
    ] {
        let answer = client.simple(&format!("BEGIN; {verify}; {kept}; {used}"));
        assert_eq!(values(&answer), "0901234003");
        client.simple("ROLLBACK; DEALLOCATE ALL");
        assert_eq!(refused(&client.simple(&format!("BEGIN; {kept}; {verify}; {used}"))), "PGS0213", "{kept}");
        client.simple("ROLLBACK");
        client.send(&[pipelined(&["BEGIN", kept, verify, used]), wire::sync()].concat());
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_some() && values(&answer).is_empty(), "{}", wire::describe(&answer));
        client.simple("ROLLBACK; DEALLOCATE ALL");
        client.simple(&format!("BEGIN; {verify}; {kept}"));
        assert_eq!(value(&client.simple(used)), "0901234003", "{used}");
        client.simple("SET LOCAL pgscrim.purpose = 'customer-care'");
        let answer = client.simple(used);
        assert!(wire::error(&answer).is_some() && values(&answer).is_empty(), "{}", wire::describe(&answer));
        client.simple("ROLLBACK; DEALLOCATE ALL");
    }
    client.simple("CREATE TEMP TABLE kept AS SELECT phone FROM customers WHERE id = 3");
    assert_eq!(value(&client.simple("TABLE kept")), "*****003");
    assert_eq!(refused(&client.simple(&format!("BEGIN; {verify}; TABLE kept"))), "PGS0218");
    client.simple("ROLLBACK");
}

/// Small, and the same each time.
struct Choices(u64);

impl Choices {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }
}

/// The server itself says which purpose holds while a statement runs: in any order of statements, in messages and pipelines,
/// with errors in between, each is masked for that one, or refused.
#[test]
fn what_is_foreseen_is_what_the_server_does() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let probe = "SELECT coalesce(nullif(current_setting('pgscrim.purpose', true), ''), 'customer-care'), phone FROM customers WHERE id = 3";
    let statements = [
        probe,
        probe,
        probe,
        probe,
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "ROLLBACK TO a",
        "RELEASE a",
        "SET pgscrim.purpose = 'verification'",
        "SET LOCAL pgscrim.purpose = 'verification'",
        "SET pgscrim.purpose = 'statistics'",
        "SET LOCAL pgscrim.purpose = 'statistics'",
        "SET pgscrim.purpose = 'a', 'b'",
        "RESET pgscrim.purpose",
        "SELECT set_config('pgscrim.purpose', 'verification', true), NULL, NULL",
        "SELECT set_config('pgscrim.purpose', 'statistics', false)",
        "give verification",
        "give statistics",
        "give ",
        "give marketing",
        "SELECT 1/0",
    ];
    let (mut answered, mut of_other_purposes) = (0, 0);
    for seed in 0..600_u64 {
        let mut choices = Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut told = String::new();
        for _ in 0..3 {
            let sent: Vec<&str> = (0..=choices.below(7)).map(|_| statements[choices.below(statements.len())]).collect();
            let answer = if choices.below(2) == 0 {
                let plain = |sql: &&str| match sql.strip_prefix("give ") {
                    Some(purpose) => format!("SELECT set_config('pgscrim.purpose', '{purpose}', true)"),
                    None => (*sql).to_owned(),
                };
                client.simple(&sent.iter().map(plain).collect::<Vec<_>>().join("; "))
            } else {
                client.send(&[pipelined(&sent), wire::sync()].concat());
                client.until_ready()
            };
            told.extend([format!("{sent:?}\n"), wire::describe(&answer)]);
            for row in wire::text_rows(&answer).into_iter().filter(|row| row.len() == 2) {
                let expected = match row[0].as_deref() {
                    Some("customer-care") => Some("*****003"),
                    Some("verification") => Some("0901234003"),
                    _ => None,
                };
                assert_eq!(row[1].as_deref(), expected, "seed {seed}: {told}");
                answered += 1;
                of_other_purposes += usize::from(row[0].as_deref() != Some("customer-care"));
            }
        }
        client.simple("ROLLBACK");
        client.simple("RESET pgscrim.purpose");
    }
    assert!(answered > 500 && of_other_purposes > 150, "{answered} {of_other_purposes}");
}

/// Whoever cancels while a statement is prepared anew for another purpose means the statement that waits for it.
#[test]
fn a_statement_that_is_prepared_anew_may_be_cancelled() {
    let (postgres, proxy) = start();
    for begin in ["SELECT 1", "BEGIN"] {
        let mut client = proxy.connect("support", "shop");
        client.send(&[wire::parse("s", PHONE, &[]), wire::sync()].concat());
        client.until_ready();
        client.simple("SET pgscrim.purpose = 'verification'");
        client.simple(begin);
        let mut holder = connect_straight(&postgres);
        holder.simple("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE");
        client.send(&[wire::bind("", "s", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
        wait_for("a statement that waits", Duration::from_secs(20), || {
            let found = postgres.sql(
                "shop",
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'support' AND wait_event_type = 'Lock'",
            );
            (!found.is_empty()).then_some(())
        });
        let answer = client.until_ready();
        let error = wire::error(&answer).unwrap_or_else(|| panic!("{}", wire::describe(&answer)));
        assert_eq!(error.field(b'C').as_deref(), Some("57014"), "{}", wire::describe(&answer));
        holder.simple("ROLLBACK");
        client.simple("ROLLBACK");
        client.send(&[wire::bind("", "s", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
        assert_eq!(value(&client.until_ready()), "0901234003");
    }
}

fn connect_straight(postgres: &Postgres) -> wire::Client {
    wire::Client::connect(&postgres.address(), &[("user", "owner"), ("database", "shop")])
        .unwrap_or_else(|answer| panic!("{}", wire::describe(&answer)))
}

/// One pipeline: a purpose given by a parameter, and what is read under it.
fn giving(sql: &str, types: &[u32], formats: &[i16], values: &[Option<&[u8]>], then: &[&str]) -> Vec<u8> {
    let results: &[i16] = &[];
    [
        wire::parse("", sql, types),
        wire::bind("", "", formats, values, results),
        wire::describe_portal(""),
        wire::execute("", 0),
        pipelined(then),
        wire::sync(),
    ]
    .concat()
}

const GIVEN: &str = "SELECT set_config('pgscrim.purpose', $1, true)";

/// Applications give the purpose by a parameter: judged at Bind as a constant is, in text and binary format, in pipelines too.
#[test]
#[expect(clippy::type_complexity, reason = "a table of cases")]
fn a_parameter_gives_the_purpose() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let verification: Option<&[u8]> = Some(b"verification");
    let forms: [(&str, &[u32], Vec<Option<&[u8]>>); 9] = [
        (GIVEN, &[], vec![verification]),
        (GIVEN, &[25], vec![verification]),
        (GIVEN, &[1043], vec![verification]),
        ("SELECT pg_catalog.set_config('PGscrim.Purpose', $1::text, false) AS p", &[], vec![verification]),
        ("SELECT set_config('pgscrim.purpose', $1::varchar, true)", &[], vec![verification]),
        ("SELECT set_config('pgscrim.purpose', CAST($1 AS text), true)", &[], vec![verification]),
        ("SELECT set_config('pgscrim.purpose', $1, $2)", &[25, 16], vec![verification, Some(b"t")]),
        ("SELECT set_config('pgscrim.purpose', $2, $1::bool)", &[], vec![Some(b"f"), verification]),
        (GIVEN, &[705], vec![verification]),
    ];
    for (sql, types, values) in &forms {
        for format in [0_i16, 1] {
            let mut values = values.clone();
            if format == 1 && values.len() > 1 {
                let at = values.iter().position(|value| *value != verification).unwrap();
                values[at] = Some(if values[at] == Some(&b"t"[..]) { b"\x01" } else { b"\0" });
            }
            client.simple("BEGIN");
            client.send(&giving(sql, types, &[format], &values, &[PHONE, "SHOW pgscrim.purpose"]));
            let answer = client.until_ready();
            assert!(wire::error(&answer).is_none(), "{sql} {format}: {}", wire::describe(&answer));
            assert_eq!(self::values(&answer), "verification 0901234003 verification", "{sql} {format}");
            assert_eq!(value(&client.simple(PHONE)), "0901234003", "{sql} {format}");
            client.simple("ROLLBACK");
            assert_eq!(value(&client.simple(PHONE)), "*****003", "{sql} {format}");
        }
    }
    // For the session.
    client.send(&giving(&GIVEN.replace("true", "false"), &[], &[], &[verification], &[]));
    assert!(wire::error(&client.until_ready()).is_none());
    assert_eq!(value(&client.simple(PHONE)), "0901234003");
    client.simple("RESET pgscrim.purpose");
    // Named, bound again and again, each value judged.
    assert!(wire::error(&prepare(&mut client, "give", GIVEN)).is_none());
    for (purpose, phone) in
        [("verification", "0901234003"), ("customer-care", "*****003"), ("complaints", "0901234003")]
    {
        client.simple("BEGIN");
        client.send(
            &[wire::bind("", "give", &[1], &[Some(purpose.as_bytes())], &[]), wire::execute("", 0), wire::sync()]
                .concat(),
        );
        assert!(wire::error(&client.until_ready()).is_none(), "{purpose}");
        assert_eq!(value(&client.simple(PHONE)), phone, "{purpose}");
        client.simple("COMMIT");
    }
    assert_eq!(value(&client.simple(PHONE)), "*****003");
    let events = wait_for("events", Duration::from_secs(10), || {
        let events = proxy.audit();
        events.iter().any(|event| event["purpose"] == "complaints").then_some(events)
    });
    for event in events.iter().filter(|event| event["columns"] != serde_json::json!([])) {
        let treatment = if event["purpose"] == "customer-care" { "phone_last" } else { "clear" };
        assert_eq!(event["columns"][0]["treatment"], treatment, "{event}");
        assert!(!event["text"].as_str().unwrap().contains("verification"), "{event}");
    }
}

/// What is not known, or not allowed, when it is bound, is refused, and the rest of the pipeline is not run.
#[test]
#[expect(clippy::type_complexity, reason = "a table of cases")]
fn a_purpose_that_a_parameter_may_not_give_is_refused() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let long = vec![b'x'; 1_000_000];
    let cases: &[(&str, &[u32], Option<&[u8]>, &str)] = &[
        (GIVEN, &[], Some(b"marketing"), "PGS0213"),
        (GIVEN, &[], Some(b"Verification"), "PGS0213"),
        (GIVEN, &[], Some(b"verification "), "PGS0213"),
        (GIVEN, &[], Some(b"\xff\xfe"), "PGS0203"),
        (GIVEN, &[19], Some(b"verification"), "PGS0203"),
        (GIVEN, &[1042], Some(b"verification"), "PGS0203"),
        (GIVEN, &[23], Some(b"1"), "PGS0203"),
        ("SELECT set_config('pgscrim.purpose', $1::name, true)", &[], Some(b"verification"), "PGS0203"),
        ("SELECT set_config('pgscrim.purpose', $1::varchar(4), true)", &[], Some(b"verification"), "PGS0203"),
        ("SELECT set_config('pgscrim.purpose', lower($1), true)", &[], Some(b"verification"), "PGS0203"),
        ("SELECT set_config('pgscrim.purpose', $1, true) WHERE false", &[], Some(b"verification"), "PGS0203"),
        ("SELECT set_config('pgscrim.purpose', $1, true), phone FROM customers", &[], Some(b"verification"), "PGS0203"),
        ("SELECT 1, set_config('pgscrim.purpose', $1, true)", &[], Some(b"verification"), "PGS0203"),
        ("SELECT set_config('search_path', $1, true)", &[], Some(b"public"), "PGS0203"),
        ("SELECT set_config('log_statement', $1, true)", &[], Some(b"all"), "PGS0203"),
        ("SELECT set_config($1, 'verification', true)", &[], Some(b"pgscrim.purpose"), "PGS0203"),
        ("PREPARE p AS SELECT set_config('pgscrim.purpose', $1, true)", &[], None, "PGS0203"),
        ("COPY (SELECT set_config('pgscrim.purpose', $1, true)) TO STDOUT", &[], None, "PGS0203"),
        ("DECLARE c CURSOR FOR SELECT set_config('pgscrim.purpose', $1, true)", &[], Some(b"verification"), "PGS0203"),
        (
            "CREATE TEMP TABLE x AS SELECT set_config('pgscrim.purpose', $1, true)",
            &[],
            Some(b"verification"),
            "PGS0203",
        ),
    ];
    for (sql, types, value, code) in cases {
        client.simple("BEGIN");
        let values = if sql.starts_with("PREPARE") || sql.starts_with("COPY") { vec![] } else { vec![*value] };
        client.send(&giving(sql, types, &[], &values, &[PHONE]));
        let answer = client.until_ready();
        assert_eq!(refused(&answer), *code, "{sql} {value:?}");
        // Nothing was read under it.
        assert!(!wire::describe(&answer).contains("0901234003"), "{sql}: {}", wire::describe(&answer));
        client.simple("ROLLBACK");
        assert_eq!(self::value(&client.simple(PHONE)), "*****003", "{sql}");
    }
    // NULL and the empty text set what only the server knows, which is asked.
    for nothing in [None, Some(&b""[..])] {
        client.simple("BEGIN; SET LOCAL pgscrim.purpose = 'verification'");
        client.send(&giving(GIVEN, &[], &[], &[nothing], &[PHONE]));
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        assert!(values(&answer).ends_with("*****003"), "{}", wire::describe(&answer));
        client.simple("ROLLBACK");
    }
    // One that is too long to be looked at, or to be a purpose.
    client.send(&giving(GIVEN, &[], &[], &[Some(&long)], &[PHONE]));
    let answer = client.until_ready();
    assert!(
        ["PGS0203", "PGS0213"].contains(&&*refused(&answer)) && values(&answer).is_empty(),
        "{}",
        wire::describe(&answer)
    );
    for sql in [GIVEN, "SELECT set_config('pgscrim.purpose', $1, true); SELECT 1"] {
        assert_eq!(refused(&client.simple(sql)), "PGS0203");
    }
    // A failed one is taken back.
    client.send(&giving(GIVEN, &[], &[], &[Some(b"verification")], &["SELECT 1/0"]));
    assert!(wire::error(&client.until_ready()).is_some());
    assert_eq!(value(&client.simple(PHONE)), "*****003");
    // A Bind that the server refuses for its number of values sets nothing.
    client.send(&giving(GIVEN, &[], &[], &[Some(b"verification"), Some(b"x")], &[PHONE]));
    let answer = client.until_ready();
    assert!(wire::error(&answer).is_some() && values(&answer).is_empty(), "{}", wire::describe(&answer));
    assert_eq!(value(&client.simple(PHONE)), "*****003");
}

/// As drivers and frameworks send it.
#[test]
fn drivers_give_the_purpose_by_a_parameter() {
    let (_postgres, proxy) = start();
    let environment = [("PROXY_PORT", proxy.port.to_string())];
    assert_eq!(common::python::script("given_purpose.py", &[], &environment).trim(), "ok");
}

/// What a text prepares or opens for a purpose that it has set for itself is of that purpose, also for EXECUTE, FETCH and Describe.
#[test]
fn what_was_prepared_for_another_purpose_of_its_text_is_not_run() {
    let (_postgres, proxy) = start();
    let glued = "SELECT phone || '' AS phone FROM customers WHERE id = 3";
    for makes in [
        "BEGIN; SET LOCAL pgscrim.purpose = 'verification'; PREPARE s AS #; DECLARE c CURSOR WITH HOLD FOR #; COMMIT",
        "SET pgscrim.purpose = 'verification'; PREPARE s AS #; DECLARE c CURSOR WITH HOLD FOR #; SET pgscrim.purpose = 'customer-care'",
    ] {
        for query in [PHONE, glued] {
            let mut client = proxy.connect("support", "shop");
            client.simple("SET pgscrim.purpose = 'customer-care'");
            let made = client.simple(&makes.replace('#', query));
            assert!(wire::error(&made).is_none(), "{}", wire::describe(&made));
            for (names, code) in [("EXECUTE s", "PGS0306"), ("FETCH c", "PGS0213")] {
                let [parse, bind] = [wire::parse("", names, &[]), wire::bind("", "", &[], &[], &[])];
                let described =
                    [parse.clone(), bind.clone(), wire::describe_portal(""), wire::execute("", 0), wire::sync()]
                        .concat();
                let first =
                    [parse.clone(), wire::describe_statement(""), bind.clone(), wire::execute("", 0), wire::sync()]
                        .concat();
                for sent in
                    [wire::query(names), [parse, bind, wire::execute("", 0), wire::sync()].concat(), described, first]
                {
                    client.send(&sent);
                    assert_eq!(refused(&client.until_ready()), code, "{names} of {makes}");
                }
            }
        }
    }
    assert!(proxy.page("/metrics").contains("pgscrim_tripwire_total 0"));
    // Each is refused once, whichever message of it is looked at first.
    let sent = 2 * 2 * 4;
    let refused = |kind: &str| {
        proxy.audit().iter().filter(|event| event["kind"] == kind && event["outcome"] == "refused").count()
    };
    wait_for("all events", Duration::from_secs(10), || {
        (refused("FETCH") >= sent && refused("EXECUTE") >= sent).then_some(())
    });
    assert_eq!((refused("FETCH"), refused("EXECUTE")), (sent, sent));
}
