//! Comparisons with what a condition about the data subject hides: whatever else a statement asks, a right guess of a hidden value is
//! answered as a wrong one, and leaves the same behind. Each statement is sent twice.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, shop,
    wire::{self, lines},
};

const SCHEMA: &str = "
CREATE ROLE teller LOGIN; CREATE ROLE finder LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE customers (id int PRIMARY KEY, name text, phone text, score int, big int8);
CREATE INDEX ON customers (phone);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total int);
CREATE TABLE consents (customer_id int, purpose text);
CREATE TABLE erasures (customer_id int);
CREATE TABLE notes (id serial PRIMARY KEY, n int);
INSERT INTO customers SELECT n, 'Khach ' || n, '0900000' || lpad(n::text, 3, '0'), n, n FROM generate_series(1, 300) n;
INSERT INTO orders SELECT n, n, n FROM generate_series(1, 300) n;
INSERT INTO consents SELECT n, 'marketing' FROM generate_series(1, 300) n WHERE n <> 15;
INSERT INTO erasures VALUES (15);
ALTER TABLE consents ADD until text DEFAULT '2999-01-01';
CREATE VIEW counted AS SELECT id, phone, nextval('notes_id_seq') AS n FROM customers;
CREATE VIEW divided AS SELECT DISTINCT id, phone, 100 / (id - 15) AS r FROM customers;
CREATE TABLE guarded (id int PRIMARY KEY, phone text);
INSERT INTO guarded SELECT id, phone FROM customers;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY divides ON guarded USING (1 / (id - 15) < 5);
INSERT INTO notes (n) SELECT n FROM generate_series(1, 300) n;
GRANT ALL ON ALL TABLES IN SCHEMA public TO teller, finder;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO teller, finder;
ANALYZE;
";

/// The one sees what is consented to, the other finds what it does not see. Customer 15 is hidden from both.
const RULES: &str = r#"
policy = "gates"
[category.none]
columns = ["public.customers.id", "public.customers.name", "public.orders.*", "public.consents.*", "public.erasures.*", "public.notes.*", "public.counted.id", "public.counted.n", "public.divided.id", "public.divided.r", "public.guarded.id"]
[category.phone]
columns = ["public.customers.phone", "public.counted.phone", "public.divided.phone", "public.guarded.phone"]
[category.score]
columns = ["public.customers.score", "public.customers.big"]
[subject]
key = "public.customers.id"
[subject.links]
"public.orders.customer_id" = "public.customers.id"
"public.consents.customer_id" = "public.customers.id"
"public.guarded.id" = "public.customers.id"
"public.counted.id" = "public.customers.id"
"public.divided.id" = "public.customers.id"
"public.erasures.customer_id" = "public.customers.id"
[consent]
records = "public.consents"
subject = "customer_id"
purpose = "purpose"
[erasure]
records = "public.erasures"
subject = "customer_id"
[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true
[[role]]
name = "teller"
match = { user = ["teller"] }
purposes = ["marketing"]
consent = true
explain = true
see = { phone = "clear", score = "clear" }
[[role]]
name = "finder"
match = { user = ["finder"] }
explain = true
see = { phone = "withhold", score = "withhold" }
search = { phone = "exact", score = "exact" }
"#;

fn start() -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA], RULES)
}

/// What a session sees of a statement, and what that leaves behind.
fn seen(proxy: &Proxy, user: &str, sql: &str, parameter: Option<&str>) -> Vec<String> {
    let mut client = proxy.connect(user, shop::DATABASE);
    // A scan reads all rows, and nothing decides by itself what is compared first.
    client.simple(
        "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; BEGIN; SAVEPOINT s",
    );
    let answer = match parameter {
        Some(value) => client.extended(sql, &[Some(value.as_bytes())], 0),
        None => client.simple(sql),
    };
    let error = wire::error(&answer).cloned();
    assert!(
        error.as_ref().is_none_or(|error| error.field(b'H').is_none_or(|hint| !hint.starts_with("PGS"))),
        "{sql}: {error:?}"
    );
    let mut seen = vec![format!("{:?} {}", error.and_then(|error| error.field(b'C')), rows(&answer))];
    for after in [
        "ROLLBACK TO s",
        "SELECT pg_advisory_unlock(4242, 15)",
        "SELECT nextval('notes_id_seq') - nextval('notes_id_seq'), currval('notes_id_seq') > 303",
        "SHOW application_name",
        "ROLLBACK",
    ] {
        seen.push(rows(&client.simple(after)));
    }
    proxy.connect("owner", shop::DATABASE).simple("SELECT setval('notes_id_seq', 300)");
    seen
}

fn rows(answer: &[wire::Message]) -> String {
    if wire::error(answer).is_some() { String::new() } else { lines(answer).join("; ") }
}

const LOUD: [&str; 23] = [
    "SELECT id FROM divided WHERE phone = '@'",
    "SELECT id FROM counted WHERE phone = '@'",
    "SELECT id FROM guarded WHERE phone = '@'",
    "SELECT id FROM guarded WHERE phone = '@' AND 1 / (id - 2000) < 5",
    "SELECT id FROM customers WHERE phone = '@' AND score = (15 + (random() * 0)::int)::text::int AND 1 / (id - 2000) < 5",
    "SELECT id FROM counted WHERE phone = '@' AND 1 / (id - 2000) < 5",
    "SELECT id FROM customers WHERE phone = '@' AND 1 / (id - 15) < 5",
    "SELECT id FROM customers WHERE 1 / (id - 15) < 5 AND phone IN ('x', '@')",
    "SELECT id FROM customers WHERE phone = '@' AND (id - 15)::text::int = 0 AND 1 / (id - 15) > 5",
    "SELECT id FROM customers WHERE phone = '@' AND (name || 'x')::int > 0",
    "SELECT count(*) FROM customers WHERE phone = '@' AND nextval('notes_id_seq') > 0",
    "SELECT count(*) FROM customers WHERE phone = '@' AND pg_try_advisory_lock(4242, id)",
    "SELECT count(*) FROM customers WHERE phone = '@' AND set_config('application_name', 'told' || id, true) = 'x'",
    "UPDATE customers SET name = name WHERE phone = '@' AND 1 / (id - 15) < 5",
    "UPDATE notes SET n = 1 FROM customers c WHERE c.phone = '@' AND 1 / (c.id - 15) < 5",
    "DELETE FROM notes USING customers c WHERE c.phone = '@' AND 1 / (c.id - 15) < 5",
    "MERGE INTO notes m USING customers c ON m.id = c.id AND c.phone = '@' AND 1 / (c.id - 15) < 5 WHEN MATCHED THEN UPDATE SET n = 1",
    "SELECT count(*) FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.phone = '@' AND 1 / (c.id - 15) < 5)",
    "SELECT count(*) FROM orders o, LATERAL (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.phone = '@' AND 1 / (c.id - 15) < 5) x",
    "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id AND c.phone = '@' WHERE 1 / (c.id - 15) < 5",
    "SELECT count(*) FROM (SELECT id, 1 / (id - 15) AS u FROM customers WHERE phone = '@') c WHERE u < 5",
    "WITH c AS (SELECT id FROM customers WHERE phone = '@') SELECT count(*) FROM c WHERE 1 / (id - 15) < 5",
    "SELECT id FROM customers GROUP BY id HAVING phone = '@' AND 1 / (id - 15) < 5",
];

#[test]
fn what_fails_does_not_tell_of_values_behind_a_gate() {
    let (_postgres, proxy) = start();
    let mut told = Vec::new();
    for user in ["teller", "finder"] {
        for sql in LOUD {
            let sent = |value: &str| seen(&proxy, user, &sql.replace('@', value), None);
            let prepared = |value: &str| seen(&proxy, user, &sql.replace("'@'", "$1"), Some(value));
            let pairs = [(sent("0900000015"), sent("0900000999")), (prepared("0900000015"), prepared("0900000999"))];
            for (right, wrong) in pairs.into_iter().filter(|(right, wrong)| right != wrong) {
                told.push(format!("{user}: {sql}: {right:?} {wrong:?}"));
            }
        }
        let scored = |value: &str| {
            seen(&proxy, user, &format!("SELECT id FROM customers WHERE score = {value} AND 1 / (id - 15) < 5"), None)
        };
        assert_eq!(scored("15"), scored("999"), "{user}");
    }
    // A constant of another comparison fails when it is computed, be it by a cast of ours.
    for (user, types, condition, value) in [
        ("finder", vec![25, 25], "score = $2::int", "abc"),
        ("finder", vec![25, 25], "score IN (777, $2::text::int)", "abc"),
        ("finder", vec![25, 25], "score = ANY ($2::text::int[])", "abc"),
        ("finder", vec![25, 701], "big = $2", "1e300"),
        ("finder", vec![25, 701], "big = $2 AND 1 / (id - 2000) < 5", "1e300"),
        ("teller", vec![25, 25], "score = $2::int", "abc"),
    ] {
        let sql = format!("SELECT id FROM customers WHERE phone = $1 AND {condition}");
        let answer = |guess: &str| {
            let mut client = proxy.connect(user, shop::DATABASE);
            client.simple("SET plan_cache_mode = force_generic_plan");
            let values = [Some(guess.as_bytes()), Some(value.as_bytes())];
            client.send(
                &[
                    wire::parse("", &sql, &types),
                    wire::bind("", "", &[], &values, &[]),
                    wire::execute("", 0),
                    wire::sync(),
                ]
                .concat(),
            );
            wire::describe(&client.until_ready())
        };
        let (right, wrong) = (answer("0900000015"), answer("0900000999"));
        if right != wrong {
            told.push(format!("{user}: {sql}: {right} {wrong}"));
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
    // Of a customer who is not hidden a guess is answered, and what fails does.
    for user in ["teller", "finder"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        let found = "SELECT id FROM customers WHERE phone = '0900000016' AND 1 / (id - 15) < 5";
        assert_eq!(lines(&client.simple(found)), ["16"], "{user}");
        let failed = client.simple("SELECT id FROM customers WHERE phone = '0900000016' AND 1 / (id - 16) < 5");
        assert_eq!(wire::error(&failed).unwrap().field(b'C').as_deref(), Some("22012"), "{user}");
    }
}

#[test]
fn where_nothing_fails_the_index_serves() {
    let (_postgres, proxy) = start();
    for user in ["teller", "finder"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        for sql in [
            "SELECT id, name FROM customers WHERE phone = '0900000016'",
            "SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.phone = '0900000016' AND o.total > 5 ORDER BY c.name LIMIT 3",
            "UPDATE customers SET name = 'x' WHERE phone IN ('0900000016', 'y')",
            "SELECT count(*) FROM customers WHERE phone = '0900000016' AND name LIKE 'K%'",
            "SELECT id FROM customers WHERE phone = '0900000016'::VARCHAR AND name LIKE 'K%'",
            "SELECT id FROM customers WHERE phone = '0900000016'::character varying(20)",
            "SELECT id FROM customers WHERE phone = ANY (ARRAY['0900000016', 'x'::text])",
            "SELECT id FROM customers WHERE phone IN ('0900000016'::text, 'x')",
            // Here it is asked first, and fails on no other row.
            "SELECT id FROM customers WHERE 1 / (id - 15) < 5 AND (phone = '0900000016')",
            "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE c.phone IN ('0900000016', 'x') AND 1 / (c.id - 15) < 5",
        ] {
            client.simple("SET enable_seqscan = off");
            let plan = lines(&client.simple(&format!("EXPLAIN (COSTS OFF) {sql}"))).join("\n");
            assert!(plan.contains("customers_phone_idx"), "{user}: {sql}\n{plan}");
            if !sql.starts_with("UPDATE") {
                let mut owner = proxy.connect("owner", shop::DATABASE);
                assert_eq!(lines(&client.simple(sql)), lines(&owner.simple(sql)), "{user}: {sql}");
            }
        }
    }
}

/// A scope, a gate and a name that another function has begin at the same token of a condition.
#[test]
fn what_is_put_before_one_token_nests() {
    let rows = "search = { phone = \"exact\", score = \"exact\" }\nrows = { \"public.customers\" = \"id % 2 = 0\" }";
    let rules = RULES.replace("search = { phone = \"exact\", score = \"exact\" }", rows);
    assert_ne!(rules, RULES);
    let other = "CREATE FUNCTION abs(text) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    // Behind a gate, and without one.
    let erasure = "[erasure]\nrecords = \"public.erasures\"\nsubject = \"customer_id\"\n";
    let without = rules.replace(erasure, "");
    assert_ne!(without, rules);
    let erased = format!("{other}; DELETE FROM customers WHERE id = 15");
    for (more, rules) in [(other, &rules), (erased.as_str(), &without)] {
        let (_postgres, proxy) = shop::start_other(&[SCHEMA, more], rules);
        nests(&proxy);
    }
}

fn nests(proxy: &Proxy) {
    for (condition, expected) in [
        ("phone = '0900000016' AND 1 / (id - 2000) < 5", &["16"][..]),
        ("phone = '0900000016'", &["16"]),
        ("(phone = '0900000016' OR id = 18) AND 1 / (id - 15) < 5", &["16", "18"]),
        ("phone = '0900000016' AND score = 16 AND phone IN ('0900000016')", &["16"]),
        ("abs(id) = 16 AND phone = '0900000016'", &["16"]),
        ("id = 16 AND phone IN ('0900000016')", &["16"]),
        ("id = 18 OR phone = ANY (ARRAY['0900000016'])", &["16", "18"]),
        // Of another row than the scope's, and of one whose subject has asked to be erased.
        ("phone = '0900000017' AND 1 / (id - 2000) < 5", &[]),
        ("phone = '0900000015'", &[]),
    ] {
        for sql in [
            format!("UPDATE customers SET name = 'x' WHERE {condition} RETURNING id"),
            format!("UPDATE customers SET name = abs(id)::text WHERE {condition} RETURNING id"),
            format!("DELETE FROM customers WHERE {condition} RETURNING id"),
            format!("SELECT id FROM customers WHERE {condition} FOR UPDATE"),
            format!("SELECT abs(id) FROM customers WHERE {condition} GROUP BY abs(id), phone"),
        ] {
            let mut client = proxy.connect("finder", shop::DATABASE);
            client.simple("BEGIN");
            let answer = client.simple(&sql);
            let mut found = lines(&answer);
            found.sort();
            assert!(wire::error(&answer).is_none() && found == expected, "{sql}: {}", wire::describe(&answer));
            client.simple("ROLLBACK");
        }
    }
}

/// A condition of the rules that fails on a record must not tell for whom it was asked either.
#[test]
fn records_that_a_condition_fails_on_tell_nothing() {
    let where_fails = "purpose = \"purpose\"\nwhere = \"until::date > current_date\"";
    let rules = RULES.replace("purpose = \"purpose\"", where_fails);
    let (postgres, proxy) = shop::start_other(&[SCHEMA], &rules);
    postgres.sql(shop::DATABASE, "INSERT INTO consents (customer_id, purpose, until) VALUES (15, 'marketing', 'soon')");
    for sql in [
        "SELECT id FROM customers WHERE phone = '@'",
        "SELECT id FROM customers WHERE phone = '@' AND 1 / (id - 2000) < 5",
        "UPDATE customers SET name = name WHERE phone = '@'",
    ] {
        let told = ["0900000015", "0900000999"].map(|guess| {
            let mut client = proxy.connect("teller", shop::DATABASE);
            wire::describe(&client.simple(&sql.replace('@', guess)))
        });
        assert_eq!(told[0], told[1], "{sql}");
    }
}
