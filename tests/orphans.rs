//! Rows whose link refers to a row that is not there: whoever may delete the row in between lays nothing open by it. Where a foreign key
//! proves that there are none, nothing is asked.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Postgres, Proxy, planner, shop, wait_for, wire};
use pgscrim::engine::plan;

const SCHEMA: &str = "
CREATE ROLE staff LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE customers (id int PRIMARY KEY, full_name text);
CREATE TABLE orders (id int PRIMARY KEY, tenant int, customer_id int REFERENCES customers, buyer_name text, UNIQUE (id, tenant));
CREATE TABLE erasure_requests (customer_id int NOT NULL REFERENCES customers ON DELETE CASCADE);
-- As Django makes them, without any, and by a key that keeps nothing where the tenant is NULL.
CREATE TABLE deferred (id int PRIMARY KEY, order_id int REFERENCES orders DEFERRABLE INITIALLY DEFERRED, label text);
CREATE TABLE loose (id int PRIMARY KEY, order_id int, label text);
CREATE TABLE pairs (id int PRIMARY KEY, order_id int, tenant int, label text,
    FOREIGN KEY (order_id, tenant) REFERENCES orders (id, tenant) ON DELETE CASCADE);
CREATE TABLE kept (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, label text);
-- Straight to the subject, which may go, and its requests with it.
CREATE TABLE letters (id int PRIMARY KEY, customer_id int, label text);
INSERT INTO customers SELECT n, 'Khách ' || n FROM generate_series(1, 3) n;
INSERT INTO orders SELECT n, NULL, n, 'b' || n FROM generate_series(1, 3) n;
INSERT INTO deferred SELECT n, n, 'l' || n FROM generate_series(1, 3) n UNION ALL SELECT 4, NULL, 'l4';
INSERT INTO loose SELECT * FROM deferred;
INSERT INTO pairs SELECT id, order_id, NULL, label FROM deferred;
INSERT INTO kept SELECT * FROM deferred;
INSERT INTO letters SELECT * FROM deferred;
INSERT INTO erasure_requests VALUES (1);
GRANT ALL ON ALL TABLES IN SCHEMA public TO staff;
";

const RULES: &str = r#"
policy = "orphans"
[subject]
key = "public.customers.id"
[subject.links]
"public.orders.customer_id" = "public.customers.id"
"public.deferred.order_id" = "public.orders.id"
"public.loose.order_id" = "public.orders.id"
"public.pairs.order_id" = "public.orders.id"
"public.kept.order_id" = "public.orders.id"
"public.letters.customer_id" = "public.customers.id"
[erasure]
records = "public.erasure_requests"
subject = "customer_id"
[category.none]
columns = ["public.*.id", "public.*.order_id", "public.*.customer_id", "public.*.tenant"]
[category.name]
columns = ["public.customers.full_name", "public.*.buyer_name"]
[category.note]
columns = ["public.*.label"]
[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true
[[role]]
name = "staff"
match = { user = ["staff"] }
see = { name = "clear", note = "clear" }
"#;

const TABLES: [&str; 5] = ["deferred", "loose", "pairs", "kept", "letters"];

fn start(rules: &str) -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA], rules)
}

/// What is seen of a table, and what is found in it.
fn seen(client: &mut wire::Client, table: &str) -> (String, String) {
    let mut rows = |sql: &str| wire::lines(&client.simple(sql)).join(", ").replace('|', " ");
    let shown = rows(&format!("SELECT id, label FROM {table} ORDER BY id"));
    (shown, rows(&format!("SELECT id FROM {table} WHERE label LIKE 'l%' ORDER BY id")))
}

fn pair(shown: &str, found: &str) -> (String, String) {
    (shown.to_owned(), found.to_owned())
}

#[test]
fn a_row_in_between_lays_nothing_open_when_it_goes() {
    let (_postgres, proxy) = start(RULES);
    let mut staff = proxy.connect("staff", "shop");
    let ok = |answer: &[wire::Message]| assert!(wire::error(answer).is_none(), "{}", wire::describe(answer));
    for table in TABLES {
        assert_eq!(seen(&mut staff, table), pair("1 -, 2 l2, 3 l3, 4 l4", "2, 3, 4"), "{table}");
    }
    // For as long as a transaction takes, and for good; a row of somebody who has asked for nothing is an orphan too.
    ok(&staff.simple("BEGIN"));
    ok(&staff.simple("DELETE FROM orders WHERE id < 3"));
    for table in ["deferred", "loose", "pairs"] {
        assert_eq!(seen(&mut staff, table), pair("1 -, 2 -, 3 l3, 4 l4", "3, 4"), "{table}");
    }
    assert_eq!(seen(&mut staff, "kept"), pair("3 l3, 4 l4", "3, 4"));
    ok(&staff.simple("DELETE FROM deferred WHERE order_id < 3"));
    ok(&staff.simple("COMMIT"));
    ok(&staff.simple("DELETE FROM customers WHERE id = 1"));
    assert_eq!(seen(&mut staff, "letters"), pair("1 -, 2 l2, 3 l3, 4 l4", "2, 3, 4"));
    for table in ["loose", "pairs"] {
        assert_eq!(seen(&mut staff, table), pair("1 -, 2 -, 3 l3, 4 l4", "3, 4"), "{table}");
    }
}

#[test]
fn rules_may_show_orphans() {
    let (_postgres, proxy) = start(&RULES.replacen("[subject]\n", "[subject]\norphans = \"show\"\n", 1));
    let mut staff = proxy.connect("staff", "shop");
    staff.simple("DELETE FROM deferred WHERE order_id = 1");
    staff.simple("DELETE FROM orders WHERE id = 1");
    assert_eq!(seen(&mut staff, "loose"), pair("1 l1, 2 l2, 3 l3, 4 l4", "1, 2, 3, 4"));
}

/// TRUNCATE with CASCADE reaches what foreign keys say: where that decides nothing, it is as good as without.
#[test]
fn truncate_with_cascade_reaches_what_keys_say() {
    let (postgres, proxy) = start(RULES);
    postgres.sql("shop", "ALTER TABLE loose ADD FOREIGN KEY (order_id) REFERENCES orders; GRANT ALL ON ALL TABLES IN SCHEMA public TO staff");
    let mut staff = proxy.connect("staff", "shop");
    let count = |table: &str| postgres.sql("shop", &format!("SELECT count(*) FROM {table}"))[0][0].clone().unwrap();
    let refused = staff.simple("TRUNCATE customers CASCADE");
    let error = wire::error(&refused).unwrap();
    assert!(error.field(b'H').unwrap_or_default().starts_with("PGS0219"), "{}", wire::describe(&refused));
    assert_eq!((count("erasure_requests"), count("letters")), ("1".to_owned(), "4".to_owned()));
    for table in ["letters", "orders"] {
        let answer = staff.simple(&format!("TRUNCATE {table} CASCADE"));
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        assert_eq!(count(table), "0");
    }
    assert_eq!(count("kept"), "0");
}

/// A key that is taken away, or made one that may be broken for a while, is no proof any more.
#[test]
fn a_key_that_goes_is_noticed() {
    let (postgres, proxy) = start(RULES);
    let mut staff = proxy.connect("staff", "shop");
    let hidden = pair("1 -, 2 l2, 3 l3, 4 l4", "2, 3, 4");
    assert_eq!(seen(&mut staff, "kept"), hidden);
    postgres.sql(
        "shop",
        "ALTER TABLE kept DROP CONSTRAINT kept_order_id_fkey; DELETE FROM deferred; DELETE FROM orders WHERE id = 1",
    );
    wait_for("the key to be missed", Duration::from_secs(20), || (seen(&mut staff, "kept") == hidden).then_some(()));
}

/// Nothing is asked where nothing can be an orphan: neither the statement nor the work of the server grows.
#[test]
fn a_key_is_a_proof() {
    let postgres = shop::load_other(Postgres::start(), &[SCHEMA]);
    let asks = |table: &str| {
        let inputs = planner::inputs(&postgres, "shop", RULES);
        let context = planner::context(&inputs, "staff");
        let planned = plan(&format!("SELECT label FROM {table}"), &context, &inputs);
        planned.unwrap_or_else(|answer| panic!("{}", answer.refusal)).permit.text().contains("IS NULL OR EXISTS")
    };
    assert_eq!(TABLES.map(asks), [true, true, true, false, true]);
    let now = |sql: &str, asked: bool| {
        postgres.sql("shop", sql);
        assert_eq!(asks("kept"), asked, "{sql}");
    };
    now("ALTER TABLE kept ALTER CONSTRAINT kept_order_id_fkey DEFERRABLE", true);
    now("ALTER TABLE kept ALTER CONSTRAINT kept_order_id_fkey NOT DEFERRABLE", false);
    now(
        "ALTER TABLE kept DROP CONSTRAINT kept_order_id_fkey; \
         ALTER TABLE kept ADD CONSTRAINT k FOREIGN KEY (order_id) REFERENCES orders NOT VALID",
        true,
    );
    now("ALTER TABLE kept VALIDATE CONSTRAINT k", false);
    // Keys are not inherited; those of a partitioned table are its partitions' own.
    now("CREATE TABLE older () INHERITS (kept)", true);
    now("ALTER TABLE older ADD FOREIGN KEY (order_id) REFERENCES orders", false);
    now(
        "ALTER TABLE pairs ALTER tenant SET DEFAULT 1; UPDATE pairs SET tenant = 1, order_id = NULL; ALTER TABLE pairs ALTER tenant SET NOT NULL",
        false,
    );
    assert!(!asks("pairs"), "no column of the key is NULL");
}
