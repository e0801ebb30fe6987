//! A brake on bulk export: rows of a statement and of a day, statements and searches of a minute.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Postgres, Proxy, proxy::Options, shop, wait_for, wire};

fn start(limits: &str) -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    let rules = format!("{}limits = {limits}\n", shop::RULES)
        .replace("phone = \"phone_last\"", "phone = \"phone_last\", name = \"clear\"");
    let rules = rules.replace("name = \"name_initials\", ", "");
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    (postgres, proxy)
}

fn rows(messages: &[wire::Message]) -> usize {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    messages.iter().filter(|message| matches!(message.kind, b'D' | b'd')).count()
}

fn refused(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

#[test]
fn a_statement_has_no_more_rows_than_its_role_may() {
    let (_postgres, proxy) = start("{ rows_per_statement = 10 }");
    let mut client = proxy.connect("support", "shop");
    assert_eq!(rows(&client.simple("SELECT full_name FROM customers LIMIT 10")), 10);
    // Masked data and data of no person are not limited.
    assert_eq!(rows(&client.simple("SELECT id, phone, born FROM customers")), 50);
    assert_eq!(rows(&client.simple("SELECT count(full_name) FROM customers")), 1);
    for sql in [
        "SELECT full_name FROM customers",
        "SELECT * FROM (SELECT upper(full_name) FROM customers) x",
        "COPY (SELECT full_name FROM customers) TO STDOUT",
        "UPDATE customers SET score = 1 RETURNING full_name",
        "SELECT to_jsonb(c) FROM (SELECT id, full_name FROM customers) c",
    ] {
        // The session ends. What the statement wrote may stay written, as after a connection that was lost.
        let mut client = proxy.connect("support", "shop");
        client.send(&wire::query(sql));
        let answer = client.until_ready();
        assert_eq!(refused(&answer), "PGS0216", "{sql}");
        assert_eq!(wire::error(&answer).unwrap().field(b'C').as_deref(), Some("53400"));
        assert!(answer.iter().filter(|message| matches!(message.kind, b'D' | b'd')).count() <= 10, "{sql}");
        assert!(client.next().is_none(), "the connection is closed");
    }
    let mut client = proxy.connect("support", "shop");
    // A cursor and a portal that is read in parts are statements each.
    client.simple("BEGIN");
    client.simple("DECLARE c CURSOR FOR SELECT full_name FROM customers");
    assert_eq!(rows(&client.simple("FETCH 10 FROM c")), 10);
    client.simple("COMMIT");
    let event = wait_for("the event of a stopped statement", Duration::from_secs(10), || {
        proxy.audit().into_iter().find(|event| event["refusal"] == "PGS0216")
    });
    assert_eq!(event["outcome"], "refused");
    let page = proxy.page("/metrics");
    assert!(page.contains("PGS0216"), "{page}");
}

#[test]
fn rows_of_a_day_and_statements_of_a_minute_are_counted_by_login() {
    let (postgres, proxy) = start("{ rows_per_day = 25 }");
    let mut client = proxy.connect("support", "shop");
    let ten = "SELECT full_name FROM customers LIMIT 10";
    assert_eq!((rows(&client.simple(ten)), rows(&client.extended(ten, &[], 1))), (10, 10));
    let mut other = proxy.connect("support", "shop");
    assert_eq!(refused(&other.simple(ten)), "PGS0216", "five are left, and six come");
    let mut other = proxy.connect("support", "shop");
    assert_eq!(refused(&other.simple("SELECT full_name FROM customers LIMIT 1")), "PGS0216");
    assert_eq!(rows(&other.simple("SELECT phone FROM customers")), 50);
    // What was refused before it was sent is recorded with all that was understood.
    let event = wait_for("the event of a refused statement", Duration::from_secs(10), || {
        proxy.audit().into_iter().find(|event| event["refusal"] == "PGS0216" && event["rows"] == 0)
    });
    assert_eq!((&event["kind"], &event["relations"]), (&"SELECT".into(), &serde_json::json!(["public.customers"])));
    drop((other, client, proxy, postgres));

    let (_postgres, proxy) = start("{ statements_per_minute = 4, searches_per_minute = 2 }");
    let mut client = proxy.connect("support", "shop");
    // A minute may begin in between: then as many again.
    let some = |client: &mut wire::Client, sql: &str| {
        (0..10).map(|_| client.simple(sql)).filter(|answer| wire::error(answer).is_none()).count()
    };
    let shown = some(&mut client, "SELECT full_name FROM customers WHERE id = 1");
    assert!((4..=8).contains(&shown), "{shown}");
    let found = some(&mut client, "SELECT id FROM customers WHERE phone = '0901234001'");
    assert!((2..=4).contains(&found), "{found}");
    assert_eq!(some(&mut client, "SELECT id FROM customers WHERE id = 4"), 10);
}
