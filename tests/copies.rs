//! COPY of a table by its name: what is recorded of it, and what the server itself would not copy.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{proxy::Options, shop, wait_for, wire};

#[test]
fn what_comes_by_copy_is_recorded_as_what_an_insert_writes() {
    let (_postgres, proxy) = shop::start();
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        client.simple("BEGIN");
        let answer = client.simple_copy("COPY customers (id, full_name, phone) FROM STDIN", b"900\tLe Van Be\t0977\n");
        assert!(wire::error(&answer).is_none(), "{user}: {}", wire::describe(&answer));
        client.simple("INSERT INTO customers (id, full_name, phone) VALUES (901, 'Le Thi Ca', '0978')");
        client.simple("ROLLBACK");
        let event = |kind: &str| {
            wait_for("the event", Duration::from_secs(10), || {
                proxy.audit().into_iter().find(|event| event["kind"] == kind && event["user"] == user)
            })
        };
        let (copy, insert) = (event("COPY"), event("INSERT"));
        assert_eq!(copy["columns"], insert["columns"], "{user}");
        assert_eq!((&copy["relations"], &copy["rows"]), (&insert["relations"], &serde_json::json!(1)), "{user}");
        assert_eq!(copy["columns"].as_array().unwrap().len(), 2, "{user}: {copy}");
    }
}

#[test]
fn generated_columns_are_copied_by_nobody() {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "ALTER TABLE customers ADD tail text GENERATED ALWAYS AS (right(phone, 3)) STORED; CREATE TABLE plain (id int, twice int GENERATED ALWAYS AS (id * 2) STORED);
         GRANT ALL ON plain TO support",
    );
    let rules =
        shop::RULES.replace("\"public.customers.phone\"]", "\"public.customers.phone\", \"public.customers.tail\"]");
    let proxy = common::Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let mut direct =
        wire::Client::connect(&postgres.address(), &[("user", "owner"), ("database", shop::DATABASE)]).unwrap();
    let mut client = proxy.connect("support", shop::DATABASE);
    for sql in
        ["COPY customers (id, tail) TO STDOUT", "COPY customers (tail) FROM STDIN", "COPY plain (id, twice) TO STDOUT"]
    {
        let code = |client: &mut wire::Client| wire::error(&client.simple(sql)).and_then(|error| error.field(b'C'));
        assert_eq!(code(&mut client), code(&mut direct), "{sql}");
        assert_eq!(code(&mut client).as_deref(), Some("42P10"), "{sql}");
    }
    let copied = client.simple("COPY plain TO STDOUT");
    assert!(wire::error(&copied).is_none(), "{}", wire::describe(&copied));
}
