//! Values of columns that a role sees masked are looked at by guards of pgscrim's, and computed once all the same: what a statement does and
//! stores is what it does and stores straight on the server.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Postgres, Proxy, proxy::Options, shop, wire};

fn start(store_masks: bool) -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    postgres.sql(
        "shop",
        "CREATE SEQUENCE s; GRANT ALL ON SEQUENCE s TO support; CREATE TABLE before AS TABLE customers;
         CREATE FUNCTION counted(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1 || nextval(''s'')'",
    );
    let rules = shop::RULES.replace("\"public.customers.born\", \"public.customers.score\", ", "");
    let mut rules = format!("{rules}functions = [\"public.counted\"]\n");
    if store_masks {
        rules.push_str("store_masks = \"refuse\"\n");
    }
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    (postgres, proxy)
}

/// What a statement has left behind: the sequence and the rows.
const LEFT: &str =
    "SELECT (SELECT last_value || ' ' || is_called FROM s), json_agg(c ORDER BY id)::text FROM customers c";
const BACK: &str =
    "SELECT setval('s', 100, false); DELETE FROM orders; DELETE FROM customers; INSERT INTO customers TABLE before;
     INSERT INTO orders SELECT n, n, n * 10.5, date '2025-06-01' + n FROM generate_series(1, 50) n";

fn compare(postgres: &Postgres, proxy: &Proxy, statements: &[(&str, &[Option<&[u8]>])]) {
    let mut client = proxy.connect("support", "shop");
    let mut straight =
        wire::Client::connect(&postgres.address(), &[("user", "support"), ("database", "shop")]).unwrap();
    for (sql, parameters) in statements {
        let mut left = Vec::new();
        for session in [&mut straight, &mut client] {
            postgres.sql("shop", BACK);
            let answer = if parameters.is_empty() { session.simple(sql) } else { session.extended(sql, parameters, 0) };
            let error = wire::error(&answer);
            assert!(error.is_none(), "{sql}: {}", wire::describe(&answer));
            let tag = answer.iter().find(|message| message.kind == b'C').map(wire::Message::tag);
            left.push((tag, postgres.sql("shop", LEFT)));
        }
        assert_eq!(left[1], left[0], "{sql}");
    }
}

#[test]
fn an_assigned_value_is_computed_once() {
    let (postgres, proxy) = start(false);
    let mut statements: Vec<(&str, &[Option<&[u8]>])> = vec![
        ("UPDATE customers SET phone = nextval('s')::text WHERE id <= 5", &[]),
        ("UPDATE customers SET phone = nextval('s') WHERE id <= 5", &[]),
        (
            "UPDATE customers c SET email = 'k' || nextval('s') || '@x.vn', phone = nextval('s') WHERE c.id IN (7, 9)",
            &[],
        ),
        ("UPDATE customers SET score = nextval('s') WHERE id <= 5", &[]),
        ("UPDATE customers SET born = date '2000-01-01' + nextval('s')::int WHERE id <= 5", &[]),
        ("UPDATE customers SET phone = (SELECT 'a' || nextval('s')) WHERE id <= 5", &[]),
        ("UPDATE customers SET phone = (SELECT customers.id || 'a' || nextval('s')) WHERE id <= 5", &[]),
        (
            "UPDATE customers SET phone = (SELECT max(o.amount) FROM orders o WHERE o.customer_id = customers.id) WHERE id <= 5",
            &[],
        ),
        (
            "UPDATE customers SET phone = (SELECT nextval('s') || 'z' FROM orders o WHERE o.customer_id = customers.id LIMIT 1) WHERE id <= 5",
            &[],
        ),
        (
            "UPDATE customers SET phone = o.id || 'x' || nextval('s') FROM orders o WHERE o.customer_id = customers.id AND o.id <= 5",
            &[],
        ),
        ("UPDATE customers SET phone = counted(id::text) WHERE id <= 5", &[]),
        ("UPDATE customers SET phone = CASE WHEN id = 1 THEN 'a' ELSE nextval('s')::text END WHERE id <= 5", &[]),
        ("UPDATE customers SET phone = coalesce($1, 'x') || nextval('s') WHERE id <= $2", &[Some(b"p"), Some(b"4")]),
        ("UPDATE customers SET email = $1 WHERE id <= $2", &[Some(b"new@x.vn"), Some(b"4")]),
        (
            "INSERT INTO customers (id, full_name, phone) VALUES (3, 'a', 'b') ON CONFLICT (id) DO UPDATE SET phone = excluded.id::text || nextval('s')",
            &[],
        ),
        (
            "INSERT INTO customers AS c (id, full_name) VALUES (3, 'a') ON CONFLICT (id) DO UPDATE SET phone = (SELECT excluded.full_name || c.id || nextval('s'))",
            &[],
        ),
        (
            "WITH moved AS (SELECT 4 AS id) UPDATE customers c SET phone = (SELECT nextval('s') + moved.id) FROM moved WHERE moved.id = c.id",
            &[],
        ),
    ];
    if postgres.version() >= 15 {
        statements.push(("MERGE INTO customers t USING orders o ON t.id = o.customer_id AND o.id <= 3 WHEN MATCHED THEN UPDATE SET phone = o.id || 'm' || nextval('s')", &[]));
        statements.push(("MERGE INTO customers t USING (VALUES (1), (2)) v (id) ON t.id = v.id WHEN MATCHED THEN UPDATE SET phone = (SELECT v.id || 'm' || nextval('s'))", &[]));
    }
    compare(&postgres, &proxy, &statements);
}

#[test]
fn a_stored_value_is_computed_once() {
    let (postgres, proxy) = start(true);
    compare(
        &postgres,
        &proxy,
        &[
            (
                "INSERT INTO customers (id, full_name, phone) VALUES (900, 'A B', nextval('s')::text), (901, counted('x'), 'b' || nextval('s'))",
                &[],
            ),
            (
                "INSERT INTO customers (id, full_name, phone) VALUES (900, (SELECT 'A' || nextval('s')), $1)",
                &[Some(b"0912")],
            ),
            (
                "INSERT INTO customers (id, full_name, phone) SELECT 900 + id, 'A B', upper('x' || id) FROM orders WHERE id < 3",
                &[],
            ),
            ("INSERT INTO customers (id, full_name, phone) SELECT 900, 'A B', count(*)::text FROM orders", &[]),
            ("UPDATE customers SET phone = nextval('s')::text, full_name = counted('y') WHERE id <= 5", &[]),
        ],
    );
}

/// The list of a SELECT is no place for a sub-select that computes a value once; what does something each time is refused there.
#[test]
fn what_cannot_be_computed_once_is_refused() {
    let (postgres, proxy) = start(true);
    let mut client = proxy.connect("support", "shop");
    postgres.sql("shop", "SELECT setval('s', 100, false)");
    for sql in [
        "INSERT INTO customers (id, full_name, phone) SELECT 900, 'A B', counted('x')",
        "INSERT INTO customers (id, full_name, phone) SELECT 900 + id, 'A B', 'a' || nextval('s') FROM orders WHERE id < 3",
    ] {
        let answer = client.simple(sql);
        let error = wire::error(&answer).unwrap_or_else(|| panic!("{sql}"));
        assert!(error.field(b'H').unwrap_or_default().starts_with("PGS0106"), "{sql}: {}", wire::describe(&answer));
    }
    let from = "INSERT INTO customers (id, full_name, phone) SELECT 900, 'A B', x FROM (SELECT 'a' || nextval('s') AS x OFFSET 0) q";
    assert!(wire::error(&client.simple(from)).is_none());
    assert_eq!(postgres.sql("shop", "SELECT phone FROM customers WHERE id = 900")[0][0].as_deref(), Some("a100"));
}

/// What is compared with the mask is what is stored: a mask that comes back by chance is not.
#[test]
fn a_value_by_chance_is_the_one_that_was_looked_at() {
    let (postgres, proxy) = start(false);
    let mut client = proxy.connect("support", "shop");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..80 {
        for value in [
            "CASE WHEN random() < 0.5 THEN '*****001' ELSE '0999' END",
            "(SELECT CASE WHEN random() < 0.5 THEN '*****001' ELSE '0999' END)",
        ] {
            postgres.sql("shop", "UPDATE customers SET phone = '0901234001' WHERE id = 1");
            let answer = client.simple(&format!("UPDATE customers SET phone = {value} WHERE id = 1"));
            assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
            seen.insert(postgres.sql("shop", "SELECT phone FROM customers WHERE id = 1")[0][0].clone().unwrap());
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["0901234001", "0999"]);
    // And one from a query is kept as well.
    postgres.sql("shop", "UPDATE customers SET phone = '0901234001' WHERE id = 1");
    client.simple("UPDATE customers SET phone = (SELECT '*****' || '001'), email = (SELECT NULL::text) WHERE id = 1");
    let row = postgres.sql("shop", "SELECT phone, email FROM customers WHERE id = 1");
    assert_eq!(row, [[Some("0901234001".to_owned()), Some("khai1@gmail.com".to_owned())]]);
}
