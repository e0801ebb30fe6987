//! Tables and views with rules (CREATE RULE): a write to one makes other statements on the server, which nobody has judged. Such writes are
//! refused, whatever the rule does; reading is not hindered, and a view's own rule is that of a view.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, shop,
    wire::{self, Client},
};

/// Each has a rule of another kind. What they write to can be read by everybody: `spill` is in no category.
const SCHEMA: &str = "
CREATE TABLE spill (what text);
CREATE TABLE on_update (id int PRIMARY KEY, v text);
CREATE TABLE on_delete (LIKE on_update INCLUDING ALL); CREATE TABLE on_insert (LIKE on_update INCLUDING ALL);
CREATE TABLE instead (LIKE on_update INCLUDING ALL); CREATE TABLE nothing (LIKE on_update INCLUDING ALL);
CREATE TABLE returns (LIKE on_update INCLUDING ALL); CREATE TABLE off (LIKE on_update INCLUDING ALL);
CREATE TABLE child () INHERITS (on_update);
INSERT INTO on_update VALUES (1, 'a'); INSERT INTO on_delete VALUES (1, 'a'); INSERT INTO instead VALUES (1, 'a');
INSERT INTO nothing VALUES (1, 'a'); INSERT INTO returns VALUES (1, 'a'); INSERT INTO off VALUES (1, 'a');
CREATE RULE r AS ON UPDATE TO on_update DO ALSO INSERT INTO spill SELECT phone FROM customers;
CREATE RULE r AS ON DELETE TO on_delete DO ALSO (INSERT INTO spill SELECT phone FROM customers; DELETE FROM orders WHERE false);
CREATE RULE r AS ON INSERT TO on_insert DO ALSO SELECT phone FROM customers;
CREATE RULE r AS ON UPDATE TO instead DO INSTEAD UPDATE customers SET note = phone WHERE id = NEW.id;
CREATE RULE r AS ON DELETE TO nothing WHERE (OLD.id > 100) DO INSTEAD NOTHING;
CREATE RULE r AS ON UPDATE TO returns DO INSTEAD
    UPDATE customers SET score = 1 WHERE id = NEW.id RETURNING id, phone::text;
CREATE RULE r AS ON UPDATE TO off DO ALSO INSERT INTO spill VALUES ('x'); ALTER TABLE off DISABLE RULE r;
CREATE VIEW written AS SELECT id, full_name, phone FROM customers;
CREATE RULE u AS ON UPDATE TO written DO INSTEAD UPDATE customers SET note = OLD.phone WHERE id = OLD.id;
CREATE RULE i AS ON INSERT TO written DO INSTEAD INSERT INTO spill SELECT phone FROM customers;
CREATE VIEW over_written AS SELECT id, phone AS tel FROM written;
CREATE VIEW over_update AS SELECT id AS n, v FROM on_update;
CREATE VIEW over_both AS SELECT n, v AS m FROM over_update;
CREATE VIEW simple_v AS SELECT id AS n, phone AS tel FROM customers;
GRANT ALL ON ALL TABLES IN SCHEMA public TO support;
";

const SECRET: &str = "0901234";

fn start() -> (Postgres, Proxy) {
    shop::start_other(&[shop::SCHEMA, SCHEMA], shop::RULES)
}

fn digest(server: &Postgres) -> Vec<Vec<Option<String>>> {
    server.sql(
        shop::DATABASE,
        "SELECT (SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customers c), (SELECT count(*) FROM spill),
                (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM (TABLE on_update UNION ALL TABLE instead) t)",
    )
}

fn clean(client: &Client, what: &str) {
    let seen = common::text(&client.transcript);
    assert!(!seen.contains(SECRET), "{what}: a telephone number in clear: {seen}");
}

const WRITES: &[&str] = &[
    "UPDATE on_update SET v = 'b'",
    "UPDATE on_update SET v = 'b' WHERE id = 1 RETURNING v",
    "UPDATE ONLY on_update AS x SET v = x.v FROM orders o WHERE o.id = x.id",
    "INSERT INTO on_update VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET v = excluded.v",
    "WITH w AS (UPDATE on_update SET v = 'b' RETURNING v) SELECT * FROM w",
    // The rule is for UPDATE; that a write to its table is refused at all is what is pinned here.
    "INSERT INTO on_update VALUES (2, 'b')",
    "DELETE FROM on_delete",
    "WITH w AS (DELETE FROM on_delete RETURNING v) SELECT count(*) FROM w",
    "INSERT INTO on_insert VALUES (1, 'b')",
    "INSERT INTO on_insert SELECT id, 'b' FROM orders WHERE id < 3",
    "UPDATE instead SET v = 'b'",
    "DELETE FROM nothing WHERE id = 1",
    "UPDATE returns SET v = 'b' WHERE id = 1 RETURNING v",
    "UPDATE off SET v = 'b'",
    "UPDATE written SET full_name = 'b' WHERE id = 1",
    "UPDATE written SET phone = phone WHERE id = 1 RETURNING phone",
    "INSERT INTO written VALUES (900, 'a', 'b')",
    // PostgreSQL writes through views to their tables, and their rules run.
    "UPDATE over_update SET v = 'b'",
    "UPDATE over_written SET tel = 'b' WHERE id = 1",
    "INSERT INTO over_written VALUES (900, 'b')",
    "UPDATE over_both SET m = 'b' RETURNING m",
    "WITH w AS (UPDATE over_both SET m = 'b' RETURNING m) SELECT * FROM w",
    "PREPARE p AS UPDATE on_update SET v = 'b'",
    "EXPLAIN UPDATE on_update SET v = 'b'",
];

#[test]
fn writes_to_what_has_rules_are_refused() {
    let (server, proxy) = start();
    let before = digest(&server);
    let mut support = proxy.connect("support", shop::DATABASE);
    for sql in WRITES {
        let code = if sql.starts_with("EXPLAIN") { "PGS0205" } else { "PGS0204" };
        for answer in [support.simple(sql), support.extended(sql, &[], 0), support.extended(sql, &[], 1)] {
            let error = wire::error(&answer).unwrap_or_else(|| panic!("{sql}: {}", wire::describe(&answer)));
            let hint = error.field(b'H').unwrap_or_default();
            assert!(hint.starts_with(code), "{sql}: {}", wire::describe(&answer));
        }
        clean(&support, sql);
        support.forget();
    }
    assert_eq!(digest(&server), before, "refused statements changed data");
}

/// Without the proxy the same statements hand out telephone numbers, or put them where everybody reads them.
#[test]
fn straight_to_the_server_they_leak() {
    let server = shop::load_other(Postgres::start(), &[shop::SCHEMA, SCHEMA]);
    let parameters = [("user", "support"), ("database", shop::DATABASE)];
    let mut leaks = 0;
    for sql in WRITES {
        let mut straight = Client::connect(&server.address(), &parameters).unwrap();
        let script = format!("BEGIN; {sql}; SELECT * FROM spill; SELECT note FROM customers; ROLLBACK");
        let answer = straight.simple(&script);
        leaks += usize::from(common::text(&straight.transcript).contains(SECRET));
        let failed = wire::error(&answer).is_some();
        // PostgreSQL takes no ON CONFLICT and no RETURNING in CTEs beside some rules.
        assert!(!failed || sql.contains("CONFLICT") || sql.starts_with("WITH") || sql.contains("RETURNING"), "{sql}");
    }
    assert!(leaks >= 9, "only {leaks} of {} leak", WRITES.len());
}

#[test]
fn what_has_rules_is_read_as_ever() {
    let (_server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    for (sql, expected) in [
        ("SELECT v FROM on_update WHERE id = 1", "a"),
        ("SELECT * FROM written WHERE id = 1", "1|N*** K***|*****001"),
        ("SELECT o.v, w.phone FROM on_delete o JOIN written w USING (id)", "a|*****001"),
        ("SELECT * FROM over_written WHERE id = 2", "2|*****002"),
        // As a source of a write to another table.
        (
            "WITH w AS (UPDATE orders SET amount = 1 FROM on_update u WHERE u.id = orders.id RETURNING u.v) SELECT * FROM w",
            "a",
        ),
        // The rule that makes a view is no hindrance.
        ("UPDATE simple_v SET tel = '*****003' WHERE n = 3 RETURNING tel", "*****003"),
        // What inherits has no part in the rules.
        ("INSERT INTO child VALUES (7, 'z') RETURNING v", "z"),
    ] {
        let answer = support.simple(sql);
        assert_eq!(wire::lines(&answer), [expected], "{sql}");
        clean(&support, sql);
    }
}
