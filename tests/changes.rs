//! What changes while a session works: requests for erasure and revoked consent beside open cursors and portals, and rules that take a
//! purpose or a role away in the middle of a transaction or a pipeline.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{fs, time::Duration};

use common::{Postgres, Proxy, proxy::Options, shop, wait_for, wire};

const PHONE: &str = "SELECT phone FROM customers WHERE id < 4 ORDER BY id";
const GLUED: &str = "SELECT phone || '' FROM customers WHERE id < 4 ORDER BY id";
const CLEAR: [&str; 3] = ["0901234001", "0901234002", "0901234003"];

const SUBJECTS: &str = r#"
[subject]
key = "public.customers.id"
[consent]
records = "public.consents"
subject = "customer_id"
purpose = "purpose"
[erasure]
records = "public.erasures"
subject = "customer_id"
[[role]]
name = "support"
match = { user = ["support"] }
purposes = ["customer-care", "news"]
see = { name = "clear", phone = "clear" }
[role.for.news]
consent = true
"#;

fn start() -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE consents (customer_id int, purpose text); CREATE TABLE erasures (customer_id int);
         INSERT INTO consents SELECT n, 'news' FROM generate_series(1, 3) n; GRANT SELECT ON consents, erasures TO support",
    );
    let (before, _) = shop::RULES.split_once("[[role]]\nname = \"support\"").unwrap();
    let proxy = Proxy::start(&postgres, &Options::new("shop", format!("{before}{SUBJECTS}")));
    (postgres, proxy)
}

fn phones(messages: &[wire::Message]) -> Vec<String> {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    wire::text_rows(messages).into_iter().map(|row| row[0].clone().unwrap_or_else(|| "-".to_owned())).collect()
}

/// A cursor, a portal and a REPEATABLE READ transaction keep their snapshot, of wishes as of data; every other statement reads what is
/// recorded now, and nothing reads half of one and half of the other.
#[test]
fn wishes_are_read_by_the_snapshot_of_the_data() {
    let (postgres, proxy) = start();
    for (purpose, hide, show) in [
        ("customer-care", "INSERT INTO erasures VALUES (2), (3)", "TRUNCATE erasures"),
        ("news", "DELETE FROM consents WHERE customer_id > 1", "INSERT INTO consents VALUES (2, 'news'), (3, 'news')"),
    ] {
        let session = || {
            let mut client = proxy.connect("support", "shop");
            client.simple(&format!("SET pgscrim.purpose = '{purpose}'"));
            client
        };
        let hidden = [CLEAR[0], "-", "-"];
        let mut client = session();
        // A cursor, with a statement beside it.
        client.simple(&format!("BEGIN; DECLARE c CURSOR FOR {PHONE}"));
        assert_eq!(phones(&client.simple("FETCH 1 FROM c")), CLEAR[..1]);
        // A portal of which one row was taken, and one of which none was.
        for portal in ["begun", "bound"] {
            client.send(&[wire::parse("", PHONE, &[]), wire::bind(portal, "", &[], &[], &[]), wire::flush()].concat());
        }
        client.send(&[wire::execute("begun", 1), wire::sync()].concat());
        assert_eq!(phones(&client.until_ready()), CLEAR[..1]);
        // What is only prepared has no snapshot.
        client.send(&[wire::parse("kept", PHONE, &[]), wire::sync()].concat());
        assert!(wire::error(&client.until_ready()).is_none());
        let mut repeatable = session();
        repeatable.simple("BEGIN ISOLATION LEVEL REPEATABLE READ");
        assert_eq!(phones(&repeatable.simple(PHONE)), CLEAR);
        postgres.sql("shop", hide);
        assert_eq!(phones(&client.simple("FETCH 2 FROM c")), CLEAR[1..], "{purpose}");
        for (portal, left) in [("begun", &CLEAR[1..]), ("bound", &CLEAR[..])] {
            client.send(&[wire::execute(portal, 0), wire::sync()].concat());
            assert_eq!(phones(&client.until_ready()), left, "{purpose} {portal}");
        }
        client.send(&[wire::bind("", "kept", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
        assert_eq!(phones(&client.until_ready()), hidden, "{purpose}");
        assert_eq!(phones(&client.simple(PHONE)), hidden, "{purpose}");
        assert_eq!(phones(&client.simple(&format!("DECLARE d CURSOR FOR {PHONE}; FETCH ALL FROM d"))), hidden);
        // A cursor that is held is read at the end of its transaction: by its own snapshot.
        client.simple("COMMIT");
        assert_eq!(phones(&repeatable.simple(PHONE)), CLEAR, "{purpose}");
        repeatable.simple("COMMIT");
        assert_eq!(phones(&repeatable.simple(PHONE)), hidden, "{purpose}");
        postgres.sql("shop", show);
        assert_eq!(phones(&client.simple(PHONE)), CLEAR, "{purpose}");
    }
}

/// Puts rules in force, and waits until they are.
fn reload(proxy: &Proxy, rules: &str) {
    let hash =
        || proxy.page("/metrics").lines().find(|line| line.starts_with("pgscrim_rules_info")).unwrap().to_owned();
    let before = hash();
    fs::write(proxy.folder.join("rules/rules.toml"), rules).unwrap();
    proxy.signal("HUP");
    wait_for("the rules", Duration::from_secs(20), || (hash() != before).then_some(()));
}

/// Everything that comes until the server closes the connection.
fn until_end(client: &mut wire::Client) -> String {
    client.set_read_timeout(Duration::from_secs(20));
    let mut all = Vec::new();
    while let Some(message) = client.next() {
        all.push(message);
    }
    wire::describe(&all)
}

const PURPOSES: &str = r#"name = "support"
match = { user = ["support"] }
purposes = ["customer-care", "verification"]
see = { phone = "phone_last" }
[role.for.verification]
see = { phone = "clear" }
"#;

/// Where rules come into force that do not know the purpose, or the role, of a session any more, the session ends with the next thing that
/// it asks, whatever that is, and shows nothing more.
#[test]
fn rules_that_take_a_purpose_or_a_role_end_its_sessions() {
    let postgres = shop::postgres();
    let (before, _) = shop::RULES.split_once("name = \"support\"").unwrap();
    let rules = format!("{before}{PURPOSES}");
    let without_purpose =
        rules.replace(", \"verification\"]", "]").replace("[role.for.verification]\nsee = { phone = \"clear\" }\n", "");
    let without_role = rules.replace("[\"support\"]", "[\"nobody\"]");
    let exempt = format!("{before}name = \"support\"\nmatch = {{ user = [\"support\"] }}\nexempt = true\n");
    let proxy = Proxy::start(&postgres, &Options::new("shop", rules.clone()));
    let named = [wire::bind("", "kept", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat();
    let pipelined =
        [wire::parse("", PHONE, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat();
    let nexts: [(&str, Vec<u8>); 7] = [
        ("a query", wire::query(PHONE)),
        ("the rest of a pipeline", pipelined),
        ("a kept statement", named),
        ("a suspended portal", [wire::execute("begun", 0), wire::sync()].concat()),
        ("a bound portal", [wire::execute("bound", 0), wire::sync()].concat()),
        ("a cursor", wire::query("FETCH ALL FROM c")),
        ("the end of the transaction, and a query", wire::query(&format!("COMMIT; {PHONE}"))),
    ];
    for (after, code, count) in
        [(&without_purpose, "PGS0213", 7), (&without_role, "PGS0401", 4), (&exempt, "PGS0401", 4)]
    {
        for (what, next) in nexts.iter().take(count) {
            let mut client = proxy.connect("support", "shop");
            client.simple("BEGIN; SET LOCAL pgscrim.purpose = 'verification'");
            client.simple(&format!("DECLARE c CURSOR FOR {PHONE}"));
            client.send(
                &[
                    wire::parse("kept", PHONE, &[]),
                    wire::bind("begun", "kept", &[], &[], &[]),
                    wire::bind("bound", "kept", &[], &[], &[]),
                    wire::execute("begun", 1),
                    wire::sync(),
                ]
                .concat(),
            );
            assert_eq!(phones(&client.until_ready()), CLEAR[..1]);
            let in_pipeline = *what == "the rest of a pipeline";
            if in_pipeline {
                client.send(
                    &[
                        wire::parse("", "SELECT 1", &[]),
                        wire::bind("", "", &[], &[], &[]),
                        wire::execute("", 0),
                        wire::flush(),
                    ]
                    .concat(),
                );
            }
            reload(&proxy, after);
            client.send(next);
            let told = until_end(&mut client);
            assert!(told.contains(code) && told.contains("FATAL"), "{what}: {told}");
            assert!(CLEAR.iter().all(|phone| !told.contains(phone)), "{what}: {told}");
            reload(&proxy, &rules);
        }
    }
    // An exempt session that only binds what it has prepared is found as well.
    for next in
        [wire::query("SELECT 1"), [wire::bind("", "kept", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat()]
    {
        let mut owner = proxy.connect("owner", "shop");
        owner.send(
            &[
                wire::parse("kept", PHONE, &[]),
                wire::bind("", "kept", &[], &[], &[]),
                wire::execute("", 0),
                wire::sync(),
            ]
            .concat(),
        );
        assert_eq!(phones(&owner.until_ready()), CLEAR);
        reload(&proxy, &rules.replace("exempt = true", "see = { phone = \"withhold\" }"));
        owner.send(&next);
        let told = until_end(&mut owner);
        assert!(told.contains("PGS0401") && CLEAR.iter().all(|phone| !told.contains(phone)), "{told}");
        reload(&proxy, &rules);
    }
    // Rules under which it is the same role for the same purpose end nothing. A cursor or portal goes on that they would open in the same way;
    // one that shows a row or a column which is hidden now does not, and is no defect.
    let fewer = rules.replace(
        "see = { phone = \"clear\" }",
        "see = { phone = \"clear\" }\nrows = { \"public.customers\" = \"id > 1\" }",
    );
    let hidden = rules.replace("see = { phone = \"clear\" }", "see = { phone = \"withhold\" }");
    for after in [&fewer, &hidden] {
        let mut client = proxy.connect("support", "shop");
        client.simple("SET pgscrim.purpose = 'verification'");
        client.simple(&format!("BEGIN; DECLARE c CURSOR FOR {PHONE}; DECLARE e CURSOR FOR {GLUED}; DECLARE d CURSOR FOR SELECT id FROM orders"));
        client.send(
            &[
                wire::parse("", PHONE, &[]),
                wire::bind("begun", "", &[], &[], &[]),
                wire::execute("begun", 1),
                wire::sync(),
            ]
            .concat(),
        );
        assert_eq!(phones(&client.until_ready()), CLEAR[..1]);
        reload(&proxy, after);
        assert_eq!(wire::text_rows(&client.simple("FETCH 2 FROM d")).len(), 2);
        let seen = phones(&client.simple(PHONE));
        assert_eq!(seen, if after == &fewer { &CLEAR[1..] } else { &["-", "-", "-"] });
        let executes = [wire::execute("begun", 0), wire::sync()].concat();
        let describes = [wire::describe_portal("begun"), wire::sync()].concat();
        for next in [wire::query("FETCH 1 FROM c"), wire::query("FETCH 1 FROM e"), executes, describes] {
            client.simple("SAVEPOINT s");
            client.send(&next);
            let told = wire::describe(&client.until_ready());
            assert!(CLEAR.iter().all(|phone| !told.contains(phone)), "{told}");
            assert!(told.contains("PGS0306") || next.contains(&b'D'), "{told}");
            client.simple("ROLLBACK TO s");
        }
        reload(&proxy, &rules);
    }
    assert!(proxy.page("/metrics").contains("pgscrim_tripwire_total 0"));
}

/// What is kept from before goes on by the rules that hold now: what they limit, and what they count as personal.
#[test]
fn kept_statements_and_cursors_are_limited_by_rules_in_force() {
    let (_postgres, proxy) = shop::start();
    let rules = shop::RULES;
    let limited = rules
        .replace("\"public.customers.score\", ", "")
        .replace("[category.none]", "[category.points]\ncolumns = [\"public.customers.score\"]\n[category.none]")
        .replace("phone = \"phone_last\"", "phone = \"phone_last\", points = \"clear\"");
    let limited = format!("{limited}limits = {{ rows_per_statement = 3 }}\n");
    let score = "SELECT score FROM customers";
    let kept = [
        wire::query("EXECUTE s"),
        wire::query("FETCH ALL FROM c"),
        [wire::execute("begun", 0), wire::sync()].concat(),
        [wire::describe_portal("inside"), wire::execute("inside", 0), wire::sync()].concat(),
    ];
    for next in kept {
        let mut client = proxy.connect("support", "shop");
        client.simple(&format!("PREPARE s AS {score}"));
        client.simple(&format!("BEGIN; DECLARE c CURSOR FOR {score}"));
        client.send(
            &[
                wire::parse("", score, &[]),
                wire::bind("begun", "", &[], &[], &[]),
                wire::execute("begun", 1),
                wire::bind("inside", "s", &[], &[], &[]),
                wire::sync(),
            ]
            .concat(),
        );
        assert_eq!(wire::text_rows(&client.until_ready()).len(), 1);
        reload(&proxy, &limited);
        client.send(&next);
        let told = until_end(&mut client);
        assert!(told.contains("PGS0216"), "{told}");
        reload(&proxy, rules);
    }
    // Rules that differ in nothing that concerns them end nothing, wherever their lines stand.
    let mut client = proxy.connect("support", "shop");
    client.simple(&format!("PREPARE s AS {score}"));
    client.simple(&format!("BEGIN; DECLARE c CURSOR FOR {score}"));
    client.send(&[wire::bind("inside", "s", &[], &[], &[]), wire::execute("inside", 1), wire::sync()].concat());
    client.until_ready();
    reload(&proxy, &format!("# more\n{rules}"));
    // Of a portal or cursor, described first.
    client.send(&[wire::describe_portal("inside"), wire::execute("inside", 1), wire::sync()].concat());
    assert_eq!(phones(&client.until_ready()), ["14"]);
    assert_eq!(phones(&client.simple("FETCH 2 FROM c")), ["7", "14"]);
    assert_eq!(phones(&client.simple("EXECUTE s")).len(), 50);
}
