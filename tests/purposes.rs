//! What a session uses data for: chosen at start-up, by its application, by SET; kept by PostgreSQL as any setting is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Postgres, Proxy, proxy::Options, shop, wait_for, wire};

const ROLE: &str = r#"
name = "support"
match = { user = ["support"] }
purposes = ["customer-care", "verification", "statistics"]
application_purposes = { metabase = "statistics" }
see = { name = "name_initials", phone = "phone_last", email = "withhold", note = "refuse" }
search = { phone = "exact" }
[role.for.verification]
see = { phone = "clear" }
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
    // In one message with others, or before them in a pipeline, it must not come to late.
    let mut bytes = wire::parse("", "SET pgscrim.purpose = 'statistics'", &[]);
    bytes.extend(wire::bind("", "", &[], &[], &[]));
    bytes.extend(wire::execute("", 0));
    bytes.extend(wire::parse("", PHONE, &[]));
    bytes.extend(wire::bind("", "", &[], &[], &[]));
    bytes.extend(wire::execute("", 0));
    bytes.extend(wire::sync());
    client.send(&bytes);
    let answer = client.until_ready();
    assert!(wire::error(&answer).is_some(), "{}", wire::describe(&answer));
    assert!(wire::error(&client.simple(&format!("SET pgscrim.purpose = 'statistics'; {PHONE}"))).is_some());
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

/// Statements that a driver keeps prepared outlive a change of purpose: the driver reads PostgreSQL's own error and prepares them
/// anew, unseen by its application. Inside a transaction it cannot, and says so, as without a proxy after ALTER TABLE.
#[test]
fn kept_statements_of_drivers_are_prepared_anew() {
    let (_postgres, proxy) = start();
    let environment = [("PROXY_PORT", proxy.port.to_string())];
    assert_eq!(common::python::script("asyncpg_purpose.py", &[], &environment).trim(), "ok");
}
