//! Treatments that depend on the row: consent, refusal and erasure of the data subject, grants of a legal duty, and the
//! rows that a role sees. Against a real server; the masked copy is the oracle for rows.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{
    Postgres, Proxy,
    shop::{self, grant},
    wait_for,
    wire::{self, lines},
};

const SCHEMA: &str = "
CREATE ROLE staff LOGIN; CREATE ROLE marketing LOGIN; CREATE ROLE ghn LOGIN; CREATE ROLE ghtk LOGIN;
CREATE ROLE authority LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE customers (
    id int PRIMARY KEY, full_name text NOT NULL, phone varchar(20), email text, city text
);
CREATE INDEX customers_phone ON customers (phone);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, ship_phone varchar(20), total numeric);
CREATE INDEX ON orders (customer_id);
CREATE TABLE shipments (
    id int NOT NULL, order_id int NOT NULL, carrier text NOT NULL, fee int NOT NULL, recipient_phone text, status text,
    PRIMARY KEY (id, carrier)
) PARTITION BY LIST (carrier);
CREATE TABLE shipments_ghn PARTITION OF shipments FOR VALUES IN ('ghn');
CREATE TABLE shipments_rest PARTITION OF shipments DEFAULT;
CREATE TABLE consents (
    id int PRIMARY KEY, customer_id int NOT NULL, purpose text NOT NULL, category text, revoked_at timestamptz
);
CREATE INDEX ON consents (customer_id);
CREATE TABLE erasure_requests (id serial PRIMARY KEY, customer_id int NOT NULL);
CREATE INDEX ON erasure_requests (customer_id);
CREATE VIEW fees AS SELECT id, fee FROM shipments;
CREATE VIEW phones AS SELECT id, phone FROM customers;
INSERT INTO customers SELECT n, 'Trần Thị ' || n, '09010000' || lpad(n::text, 2, '0'), 'khach' || n || '@gmail.com',
    (ARRAY['Huế', 'Hà Nội'])[n % 2 + 1] FROM generate_series(1, 40) n;
INSERT INTO customers SELECT n, 'Khách ' || n, '08' || lpad(n::text, 8, '0'), NULL, 'Vinh' FROM generate_series(100, 20000) n;
INSERT INTO orders SELECT n, (n - 1) % 40 + 1, '09010000' || lpad(((n - 1) % 40 + 1)::text, 2, '0'), n * 1000
    FROM generate_series(1, 80) n;
INSERT INTO shipments SELECT n, n, (ARRAY['ghn', 'ghtk', 'vnpost'])[n % 3 + 1], n * 10,
    '09010000' || lpad(((n - 1) % 40 + 1)::text, 2, '0'), 'new' FROM generate_series(1, 80) n;
INSERT INTO consents VALUES (1, 1, 'marketing', NULL, NULL), (2, 2, 'marketing', NULL, now()), (3, 3, 'statistics', NULL, NULL),
    (4, 4, 'marketing', NULL, NULL), (5, 5, 'refusal', 'phone', NULL), (6, 4, 'refusal', 'email', NULL);
INSERT INTO erasure_requests (customer_id) VALUES (7);
GRANT ALL ON ALL TABLES IN SCHEMA public TO staff, marketing, ghn, ghtk, authority;
GRANT USAGE ON SEQUENCE erasure_requests_id_seq TO staff;
ANALYZE;
";

const DATA: &str = r#"
policy = "conditions"
[subject]
key = "public.customers.id"
links = { "public.orders.customer_id" = "public.customers.id", "public.shipments.order_id" = "public.orders.id" }
[consent]
records = "public.consents"
subject = "customer_id"
purpose = "purpose"
where = "revoked_at IS NULL"
[refusal]
records = "public.consents"
subject = "customer_id"
category = "category"
where = "purpose = 'refusal' AND revoked_at IS NULL"
[erasure]
records = "public.erasure_requests"
subject = "customer_id"
[category.none]
columns = ["public.customers.id", "public.customers.city", "public.orders.id", "public.orders.customer_id",
    "public.orders.total", "public.shipments.id", "public.shipments.order_id", "public.shipments.carrier",
    "public.shipments.fee", "public.shipments.status"]
[category.name]
columns = ["public.customers.full_name"]
[category.phone]
columns = ["public.customers.phone", "public.orders.ship_phone", "public.shipments.recipient_phone"]
[category.email]
columns = ["public.customers.email"]

[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true
[[role]]
name = "staff"
match = { user = ["staff"] }
purposes = ["order-handling"]
explain = true
see = { name = "clear", phone = "clear", email = "email" }
[[role]]
name = "marketing"
match = { user = ["marketing"] }
purposes = ["marketing"]
consent = true
see = { name = "clear", phone = "clear", email = "clear" }
[[role]]
name = "carrier"
match = { user = ["ghn", "ghtk"] }
purposes = ["order-handling"]
recipient = "carrier"
see = { phone = "clear" }
rows = { "public.shipments" = "carrier = session_user" }
[[role]]
name = "authority"
match = { user = ["authority"] }
purposes = ["legal-duty"]
recipient = "authority"
legal_duty = true
otherwise = "refuse"
"#;

fn start(rules: &str) -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA], rules)
}

fn start_with(rules: &str, more: &str) -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA, more], rules)
}

fn refused(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

#[test]
fn consent_refusal_and_erasure_are_read_when_a_statement_runs() {
    let (postgres, proxy) = start(DATA);
    let mut marketing = proxy.connect("marketing", "shop");
    let list = "SELECT id, full_name, phone, email FROM customers WHERE id <= 8 ORDER BY id";
    let expected = |four: &str| {
        vec![
            "1|Trần Thị 1|0901000001|khach1@gmail.com".to_owned(),
            "2|-|-|-".to_owned(),
            "3|-|-|-".to_owned(),
            four.to_owned(),
            "5|-|-|-".to_owned(),
            "6|-|-|-".to_owned(),
            "7|-|-|-".to_owned(),
            "8|-|-|-".to_owned(),
        ]
    };
    assert_eq!(lines(&marketing.simple(list)), expected("4|Trần Thị 4|0901000004|-"));
    // The plan is kept; what it answers follows the records.
    let prepared = "SELECT phone FROM customers WHERE id = $1";
    assert_eq!(lines(&marketing.extended(prepared, &[Some(b"4")], 0)), ["0901000004"]);
    postgres.sql("shop", "UPDATE consents SET revoked_at = now() WHERE id = 4");
    assert_eq!(lines(&marketing.extended(prepared, &[Some(b"4")], 0)), ["-"]);
    assert_eq!(lines(&marketing.simple(list)), expected("4|-|-|-"));

    let mut staff = proxy.connect("staff", "shop");
    let phones = "SELECT c.id, c.phone, o.ship_phone, s.recipient_phone FROM customers c JOIN orders o ON o.customer_id = c.id \
                  JOIN shipments s ON s.order_id = o.id WHERE o.id IN (4, 5, 7, 47) ORDER BY o.id";
    assert_eq!(lines(&staff.simple(phones)), ["4|0901000004|0901000004|0901000004", "5|-|-|-", "7|-|-|-", "7|-|-|-"]);
    // A request that commits counts for the next statement, in an open transaction too.
    staff.simple("BEGIN");
    assert_eq!(lines(&staff.simple("SELECT phone FROM customers WHERE id = 4")), ["0901000004"]);
    postgres.sql("shop", "INSERT INTO erasure_requests (customer_id) VALUES (4)");
    assert_eq!(lines(&staff.simple("SELECT phone, full_name, email FROM customers WHERE id = 4")), ["-|-|-"]);
    staff.simple("COMMIT");
    assert_eq!(
        lines(&staff.simple("SELECT count(ship_phone), count(*) FROM orders WHERE customer_id IN (4, 5, 7)")),
        ["0|6"]
    );
}

/// Lookups by what a role sees in clear use the index, though the column is shown behind a condition; and they answer as
/// on a database in which hidden cells are NULL.
#[test]
fn lookups_behind_a_condition_use_indexes() {
    let (postgres, proxy) = start(DATA);
    let mut staff = proxy.connect("staff", "shop");
    let by_phone = "SELECT id FROM customers WHERE phone = '0901000003'";
    let plan = lines(&staff.simple(&format!("EXPLAIN (COSTS OFF) {by_phone}"))).join("\n");
    assert!(plan.contains("Index Scan using customers_phone"), "{plan}");
    let joined = "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE (c.phone IN ('0901000003', '0901000005') \
                  AND c.city IS NOT NULL) ORDER BY 1";
    let plan = lines(&staff.simple(&format!("EXPLAIN (COSTS OFF) {joined}"))).join("\n");
    assert!(plan.contains("customers_phone"), "{plan}");
    postgres.sql(
        "shop",
        "CREATE SCHEMA masked; CREATE TABLE masked.customers AS SELECT id, \
             CASE WHEN id <> 7 THEN full_name END AS full_name, CASE WHEN id NOT IN (5, 7) THEN phone END AS phone, city \
             FROM public.customers; CREATE TABLE masked.orders AS TABLE public.orders",
    );
    for condition in [
        "phone = '0901000003'",
        "phone = '0901000005'",
        "phone = '0901000007'",
        "NOT (phone = '0901000005')",
        "phone = '0901000005'::varchar",
        "id IN (SELECT c.id FROM customers c JOIN (SELECT 1 AS \"on\") v ON true WHERE NOT (v.on = 1 AND c.phone = '0901000005') AND c.id < 9)",
        "(phone = '0901000005') IS NULL",
        "(phone = '0901000005') IS NOT TRUE AND id < 9",
        "CASE WHEN phone = '0901000005' THEN false ELSE id < 9 END",
        "phone IN ('0901000005', '0901000006') OR id = 1",
        "NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = customers.id AND phone = '0901000007') AND id < 9",
        "(phone = '0901000007' OR (phone = '0901000008' AND full_name = 'Trần Thị 8'))",
        "phone <> '0901000005' AND id < 9",
        "upper(phone) = upper('0901000007') OR full_name = 'Trần Thị 7'",
        "coalesce(phone = '0901000005', true) AND id < 9",
        "id IN (SELECT id FROM customers WHERE phone = '0901000005' UNION SELECT 2)",
    ] {
        let sql = format!("SELECT count(*), min(id), max(id) FROM customers WHERE {condition}");
        let direct = postgres.sql("shop", &format!("SET search_path = masked; {sql}"));
        let direct: Vec<String> =
            direct.last().unwrap().iter().map(|v| v.clone().unwrap_or_else(|| "-".into())).collect();
        assert_eq!(lines(&staff.simple(&sql)), [direct.join("|")], "{condition}");
    }
    // What was hidden is kept when it is written back, and found by nobody.
    let tag = |messages: &[wire::Message]| messages.iter().find(|message| message.kind == b'C').unwrap().tag();
    let saved = "UPDATE customers SET phone = NULL, full_name = 'Trần Thị 5', city = 'Vinh' WHERE id = 5";
    assert!(tag(&staff.simple(saved)).contains("UPDATE 1"));
    assert!(tag(&staff.simple("UPDATE customers SET city = 'x' WHERE phone = '0901000005'")).contains("UPDATE 0"));
    assert!(tag(&staff.simple("DELETE FROM customers c WHERE c.phone = '0901000007' AND id > 0")).contains("DELETE 0"));
    assert!(tag(&staff.simple("UPDATE customers c SET city = 'y' WHERE c.phone = '0901000003'")).contains("UPDATE 1"));
    assert_eq!(
        postgres.sql("shop", "SELECT phone, city FROM customers WHERE id IN (3, 5) ORDER BY id"),
        [
            [Some("0901000003".to_owned()), Some("y".to_owned())],
            [Some("0901000005".to_owned()), Some("Vinh".to_owned())]
        ]
    );
}

/// What fails on a hidden row fails for nobody, though PostgreSQL would evaluate it before the costlier condition of the
/// rules.
#[test]
fn errors_do_not_tell_of_hidden_rows() {
    let scoped =
        DATA.replace("rows = {", "rows = { \"public.customers\" = \"city = 'Vinh'\", \"public.orders\" = \"lower(btrim(btrim(ship_phone || ''))) LIKE '%1'\", ");
    let scoped = scoped.replace("recipient = \"carrier\"", "recipient = \"carrier\"\nexplain = true");
    let scoped = scoped.replace(
        "\"public.orders.total\",",
        "\"public.orders.total\", \"public.orders.mood\", \"public.orders.meta\", \"public.orders.at\",",
    );
    let more = "CREATE TYPE mood AS ENUM ('new', 'old');
        ALTER TABLE orders ADD mood mood DEFAULT 'new', ADD meta jsonb DEFAULT '{}', ADD at timestamptz DEFAULT '2026-01-01 00:00Z'";
    let (postgres, proxy) = start_with(&scoped, more);
    let mut ghn = proxy.connect("ghn", "shop");
    // Order 2 is hidden; its total is 2000.
    for (sql, expected) in [
        ("SELECT count(*) FROM orders WHERE 1000 / (total - 2000) <> 0", "8"),
        ("SELECT count(*) FROM orders o JOIN shipments s ON s.order_id = o.id AND 1000 / (total - 2000) <> 0", "2"),
        ("SELECT count(*) FROM (SELECT * FROM orders WHERE total <> 1 OFFSET 0) o WHERE 1 / (total - 2000) <> 0", "8"),
        ("SELECT count(*) FROM orders WHERE (CASE WHEN total = 2000 THEN 'x' ELSE '1' END)::int = 1", "8"),
        ("SELECT count(*) FROM orders WHERE int4(CASE WHEN total = 2000 THEN 'x' ELSE '1' END::text) = 1", "8"),
        (
            "SELECT count(*) FROM orders o WHERE 1 = (SELECT 1 FROM generate_series(1, 2) n WHERE o.total = 2000 OR n = 1)",
            "8",
        ),
        ("SELECT count(*) FROM orders WHERE ln(abs(total - 2000)) > 0", "8"),
        (
            "WITH u AS (UPDATE orders SET total = total WHERE 1000 / (total - 2000) <> 0 RETURNING 1) SELECT count(*) FROM u",
            "8",
        ),
        (
            "WITH u AS (DELETE FROM orders WHERE total < 0 AND 1000 / (total - 2000) <> 0 RETURNING 1) SELECT count(*) FROM u",
            "0",
        ),
        (
            "WITH u AS (INSERT INTO orders VALUES (2, 2, NULL, 0) ON CONFLICT (id) DO UPDATE SET total = 1000 / (orders.total - 2000) WHERE 1000 / (orders.total - 2000) <> 0 RETURNING 1) SELECT count(*) FROM u",
            "0",
        ),
    ] {
        assert_eq!(lines(&ghn.simple(sql)), [expected], "{sql}");
    }
    for (sql, expected) in [
        (
            "SELECT count(*) FROM orders WHERE CASE WHEN total = 2000 THEN 1e400 ELSE 1 END IN ('1'::float8, '2'::float8)",
            "8",
        ),
        ("SELECT count(*) FROM orders WHERE CASE WHEN total = 2000 THEN 99999999999 ELSE 1 END = oid '1'", "8"),
        (
            "SELECT count(*) FROM orders WHERE coalesce(NULL, (SELECT n FROM (VALUES (5), (6)) v (n) WHERE total = 2000)) IS NULL",
            "8",
        ),
        // Estimates look at stored values through a barrier.
        (r"SELECT count(*) FROM customers WHERE city LIKE 'Hu\'", "0"),
        (r"SELECT count(*) FROM customers WHERE city ILIKE 'hu\' OR city LIKE 'Vi%'", "19901"),
        ("SELECT count(*) FROM customers WHERE city LIKE 'Huq' ESCAPE 'q'", "0"),
    ] {
        let answer = ghn.simple(sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        assert_eq!(lines(&answer), [expected], "{sql}");
    }
    assert_eq!(lines(&ghn.extended("SELECT count(*) FROM customers WHERE city LIKE $1", &[Some(br"Hu\")], 0)), ["0"]);
    for sql in [
        "WITH v AS (SELECT 1 AS \"select\") DELETE FROM orders USING v WHERE v.select = 1 AND 1000 / (total - 2000) > 5000 AND orders.id IS DISTINCT FROM 3",
        "WITH v AS (SELECT 1 AS \"select\") UPDATE orders SET total = 1 FROM v WHERE v.select = 1 AND 1000 / (total - 2000) > 5000 AND orders.id IS DISTINCT FROM 3",
    ] {
        let answer = ghn.simple(sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
    }
    // Of the hidden row alone, direct each fails.
    for condition in [
        "((now() - interval '290000 years') IS NULL OR id = 2)",
        "((now() - '290000 years'::interval) IS NULL OR id = 2)",
        "((current_timestamp + interval '9999999 months') IS NULL OR id = 2)",
        "((current_date - 2000000000) IS NULL OR id = 2)",
        "total::text::date IS NULL",
        "ship_phone::text[] IS NULL",
        "(ship_phone || 'x')::text::int > 0",
        r"upper(ship_phone::text) LIKE upper('09\')",
        "(meta ->> 'a')::int IS NULL AND (ship_phone || 'x')::int = 1",
        "mood::text::int = 1",
        "ship_phone LIKE '090%' AND CAST(mood AS text)::int = 1",
    ] {
        let sql = format!("SELECT count(*) FROM orders WHERE total = 2000 AND {condition}");
        let answer = ghn.simple(&sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        assert_eq!(lines(&answer), ["0"], "{sql}");
        let mut owner = wire::Client::connect(&postgres.address(), &[("user", "owner"), ("database", "shop")]).unwrap();
        assert!(wire::error(&owner.simple(&sql)).is_some(), "{sql} does not fail");
    }
    // What a parameter is declared to be is cast, and fails.
    for (condition, types, values) in [
        ("$1::int <> id", vec![25], vec!["x"]),
        ("$1::int[] <> ARRAY[id]", vec![25], vec!["x"]),
        ("$1::text <> ship_phone AND $1::int <> id", vec![], vec!["x"]),
        ("ship_phone <> $1 AND $1::int <> id", vec![1043], vec!["x"]),
        ("$1::smallint <> id", vec![23], vec!["70000"]),
        ("$1::int <> id", vec![20], vec!["7000000000"]),
        ("$2 <> id AND $1::date < at", vec![25, 23], vec!["x", "1"]),
    ] {
        let sql = format!("SELECT count(*) FROM orders WHERE total = 2000 AND {condition}");
        let mut owner = wire::Client::connect(&postgres.address(), &[("user", "owner"), ("database", "shop")]).unwrap();
        for (client, fails) in [(&mut owner, true), (&mut ghn, false)] {
            let values: Vec<_> = values.iter().map(|value| Some(value.as_bytes())).collect();
            // By a generic plan, which does not fold them.
            client.simple("SET plan_cache_mode = force_generic_plan");
            let mut bytes = wire::parse("", &sql, &types);
            bytes.extend(wire::bind("", "", &[], &values, &[]));
            bytes.extend(wire::execute("", 0));
            bytes.extend(wire::frame(b'S', &[]));
            client.send(&bytes);
            let answer = client.until_ready();
            assert_eq!(wire::error(&answer).is_some(), fails, "{sql}: {}", wire::describe(&answer));
        }
    }
    let update =
        "UPDATE orders SET total = (SELECT max(o.id) FROM orders o WHERE 1000 / (o.total - 2000) <> 0) WHERE id = 1";
    assert!(wire::error(&ghn.simple(update)).is_none());
    // What a select list computes moves into the condition that names it.
    let fails = "1000 / (total - 2000)";
    for (sql, expected) in [
        ("SELECT count(*) FROM (SELECT # AS u FROM orders) q WHERE q.u <> 0", "8"),
        ("SELECT count(*) FROM (SELECT v FROM (SELECT # AS u FROM orders) p (v)) q WHERE q.v <> 0", "8"),
        ("SELECT count(*) FROM (SELECT p.u AS v FROM (SELECT # AS u FROM orders) p) q WHERE v <> 0", "8"),
        ("SELECT count(*) FROM (SELECT * FROM (SELECT # u, id FROM orders) p) q WHERE q.u <> 0 AND id > 0", "8"),
        (
            "WITH w AS (SELECT *, # u FROM orders) SELECT count(*) FROM (SELECT * FROM w) x JOIN shipments s ON x.u <> 0 AND s.order_id = x.id",
            "2",
        ),
        (
            "WITH w AS (SELECT # u FROM orders), v AS (SELECT u AS t FROM w) SELECT (SELECT count(*) FROM v WHERE t <> 0)",
            "8",
        ),
        ("SELECT count(*) FROM (SELECT # FROM orders) q WHERE q.\"?column?\" <> 0", "8"),
        ("SELECT count(*) FROM (SELECT (#)::bigint FROM orders) q WHERE q.int8 <> 0", "1"),
        ("SELECT count(*) FROM (SELECT CAST(# AS double precision) FROM orders) q WHERE float8 <> 0", "8"),
        ("SELECT count(*) FROM (SELECT (#)::bigint FROM orders) q JOIN (SELECT 1 AS one) o ON int8 <> 0", "1"),
        ("SELECT count(*) FROM (SELECT # AS u FROM orders) AS max (v) WHERE v <> 0", "8"),
        (
            "SELECT count(*) FROM (SELECT * FROM (SELECT 1 AS k) c WHERE k = 2 UNION ALL SELECT # FROM orders) q WHERE q.k <> 0",
            "8",
        ),
        (
            "WITH c AS (SELECT 1 AS k) SELECT count(*) FROM (SELECT * FROM c UNION ALL SELECT # FROM orders) q WHERE k <> 0",
            "9",
        ),
        ("SELECT count(*) FROM (SELECT v.t::bigint FROM (SELECT # AS t FROM orders) v) q WHERE t <> 0", "1"),
        ("SELECT count(*) FROM (SELECT # AS u FROM orders) q WHERE q IS NOT NULL", "8"),
        ("SELECT count(*) FROM (SELECT # AS u FROM orders) q WHERE (q.*) IS NOT NULL", "8"),
        ("SELECT count(*) FROM (SELECT q AS r FROM (SELECT # AS u FROM orders) q) z WHERE r IS NOT NULL", "8"),
        ("SELECT count(*) FROM (SELECT (q.*) IS NOT NULL AS r FROM (SELECT # AS u FROM orders) q) z WHERE r", "8"),
        ("SELECT count(*) FROM (SELECT # AS u FROM orders) q WHERE (q).u <> 0", "8"),
        ("SELECT count(*) FROM (SELECT abs(#) FROM orders) q WHERE q.abs > 0", "8"),
        ("SELECT count(*) FROM (SELECT CASE WHEN # <> 0 THEN 1 END FROM orders) q WHERE q.case = 1", "8"),
        ("SELECT count(*) FROM (SELECT (SELECT #) AS z FROM orders o) q WHERE z <> 0", "8"),
        ("SELECT count(*) FROM (SELECT 1 AS u WHERE false UNION ALL SELECT # AS v FROM orders) q WHERE u <> 0", "8"),
        (
            "SELECT count(*) FROM (SELECT x FROM (SELECT # AS x FROM orders) p WHERE x <> 0 UNION ALL SELECT 1 AS y) q",
            "9",
        ),
        ("SELECT count(*) FROM ((SELECT # AS u FROM orders) q JOIN customers c ON q.u <> 0 AND c.id = 1)", "0"),
        ("SELECT count(*) FROM orders WHERE id IN (SELECT # FROM orders)", "0"),
        (
            "SELECT count(*) FROM (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY total) AS from FROM orders WHERE # <> 0) q",
            "1",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT ON (id) id, total IS DISTINCT FROM 5 FROM orders WHERE # <> 0 ORDER BY id) q",
            "8",
        ),
        ("SELECT count(*) FROM (SELECT id FROM orders ORDER BY #) q WHERE id > 0", "8"),
        ("SELECT (SELECT count(*) FROM orders WHERE # <> 0)", "8"),
        ("SELECT count(*) FROM (SELECT # u FROM orders GROUP BY #) q WHERE u = 1", "0"),
        (
            "SELECT count(*) FROM customers c, LATERAL (SELECT # AS u FROM orders o WHERE o.customer_id = c.id) q WHERE q.u > 5000",
            "0",
        ),
    ] {
        let sql = sql.replace('#', fails);
        let answer = ghn.simple(&sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        assert_eq!(lines(&answer), [expected], "{sql}");
    }
    // The server would have failed: so would the proxy without its barrier.
    let unguarded = "SELECT count(*) FROM (SELECT * FROM orders WHERE lower(btrim(btrim(ship_phone || ''))) LIKE '%1') o WHERE 1000 / (total - 2000) <> 0";
    let mut owner = wire::Client::connect(&postgres.address(), &[("user", "owner"), ("database", "shop")]).unwrap();
    assert_eq!(wire::error(&owner.simple(unguarded)).unwrap().field(b'C').as_deref(), Some("22012"));
    // Where nothing can fail, the indexes serve.
    ghn.simple("SET enable_seqscan = off");
    for quiet in [
        "SELECT * FROM orders WHERE id = 3",
        "UPDATE orders SET total = 1 WHERE id = 3",
        "DELETE FROM orders o WHERE id = 3",
        "UPDATE orders SET total = abs(total * 2) + 1, meta = meta || '{}' WHERE id = 3 RETURNING total::int, at + interval '1 day'",
        "SELECT id FROM orders WHERE id = 3 AND mood = 'old' AND meta <> '{}' ORDER BY mood, meta",
        "SELECT id FROM orders WHERE id = 3 AND ship_phone LIKE '09%' AND ship_phone NOT ILIKE '%x'",
        "SELECT id FROM orders WHERE id = 3 AND upper(ship_phone::text) LIKE upper('%0%')",
        "SELECT id FROM orders WHERE id = 3 AND at > now() - interval '30 days' AND at < CURRENT_DATE + 30",
        "SELECT id FROM orders WHERE id = 3 AND at > current_timestamp - '2 months'::interval",
        "SELECT x.id FROM (SELECT id, total::text FROM orders WHERE id = 3) x",
        "WITH x AS (SELECT id, abs(total) u FROM orders WHERE id = 3) SELECT *, (SELECT 1) FROM x ORDER BY u",
        "SELECT (SELECT count(*) FROM orders o WHERE o.id = c.id) FROM customers c WHERE c.id = -5 AND now() > '2020-01-01'",
        "SELECT id FROM orders WHERE id = '3'::bigint AND ship_phone <> text '' ORDER BY lower(ship_phone)",
        "SELECT id FROM orders WHERE id = ANY (ARRAY[3, 4])",
        "SELECT x.id, c.n FROM orders x LEFT JOIN shipments a ON a.order_id = x.id LEFT JOIN LATERAL (SELECT abs(b.id) AS n
            FROM shipments b WHERE b.order_id = x.id) c ON TRUE WHERE x.id = 3",
        "SELECT id FROM orders WHERE id = ANY ('{3,4}'::bigint[])",
        "WITH pgrst_source AS (SELECT o.id, row_to_json(s.*)::jsonb AS s FROM orders o LEFT JOIN LATERAL (SELECT i.id FROM shipments i
            WHERE i.order_id = o.id) s ON TRUE WHERE o.id = 3) SELECT null::bigint AS total_result_set, count(_postgrest_t) AS page_total,
            coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t",
    ] {
        let plan = lines(&ghn.simple(&format!("EXPLAIN (COSTS OFF) {quiet}"))).join("\n");
        assert!(plan.contains("orders_pkey"), "{plan}");
    }
    // So it is with parameters that are cast, if they were not declared to be something else.
    for (types, barrier) in [(vec![], false), (vec![21, 16, 0, 2950], false), (vec![25], true), (vec![0, 1043], true)] {
        let sql = "SELECT id FROM orders WHERE id = $1::int AND $2::boolean AND at > $3::timestamp with time zone AND id = ANY($4::int[])";
        let types: Vec<u32> = if types.len() == 4 { vec![21, 16, 0, 0] } else { types };
        ghn.send(&[wire::parse("", sql, &types), wire::frame(b'S', &[])].concat());
        let answer = ghn.until_ready();
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        let sent = postgres.sql("shop", "SELECT query FROM pg_stat_activity WHERE usename = 'ghn'");
        let sent = sent[0][0].clone().unwrap();
        assert_eq!(sent.contains("OFFSET 0"), barrier, "{types:?}: {sent}");
    }
}

/// A role sees some rows of a table: every answer is that of a database in which the others do not exist.
#[test]
fn rows_that_a_role_does_not_see_do_not_exist() {
    let (postgres, proxy) = start(DATA);
    postgres.sql(
        "shop",
        "CREATE SCHEMA masked; CREATE TABLE masked.shipments AS SELECT id, order_id, carrier, fee, \
             CASE WHEN id NOT IN (5, 7, 45, 47) THEN recipient_phone END AS recipient_phone, status \
             FROM public.shipments WHERE carrier = 'ghn'; CREATE TABLE masked.orders AS SELECT id, customer_id, total FROM orders",
    );
    let mut ghn = proxy.connect("ghn", "shop");
    for sql in [
        "SELECT * FROM shipments ORDER BY id",
        "SELECT count(*), sum(fee), min(id), max(recipient_phone) FROM shipments",
        "SELECT id FROM shipments WHERE id = 3",
        "SELECT id FROM shipments WHERE id = 4",
        "SELECT id FROM shipments WHERE id IN (3, 4, 6) OR carrier = 'ghtk' ORDER BY 1",
        "SELECT o.id, s.id FROM orders o LEFT JOIN shipments s ON s.order_id = o.id WHERE o.id < 7 ORDER BY 1",
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM shipments s WHERE s.order_id = o.id) ORDER BY 1",
        "SELECT s.id, o.id FROM shipments s FULL JOIN orders o ON o.id = s.order_id ORDER BY 2, 1",
        "SELECT to_jsonb(s) FROM shipments s WHERE id < 10 ORDER BY id",
        "SELECT carrier, count(*) FROM shipments GROUP BY carrier ORDER BY 1",
        "WITH s AS (TABLE shipments) SELECT count(*) FROM s",
        "SELECT id, rank() OVER (ORDER BY fee DESC) FROM shipments ORDER BY id LIMIT 3",
        "SELECT (SELECT max(fee) FROM shipments), (SELECT count(*) FROM ONLY shipments)",
        "SELECT id FROM shipments WHERE 100 / (fee - 40) > 0 ORDER BY id",
        "SELECT id FROM shipments WHERE (carrier || '')::text <> 'x' AND 100 / (fee - 40) <> 0 ORDER BY id",
        "SELECT id FROM shipments s WHERE (SELECT 1 FROM orders o WHERE o.id = s.id + 1 OR s.id = 4) = 1 ORDER BY id",
        "SELECT id FROM shipments WHERE CAST(CASE WHEN carrier = 'ghn' THEN '1' ELSE carrier END AS int) = 1 ORDER BY id",
        "SELECT id FROM shipments NATURAL JOIN (SELECT 3 AS id) x",
        "SELECT id FROM shipments ORDER BY id FOR UPDATE",
        "SELECT DISTINCT status FROM shipments",
        "(SELECT id FROM shipments EXCEPT SELECT 3) INTERSECT SELECT id FROM orders ORDER BY 1 LIMIT 4",
    ] {
        if sql.contains("ONLY") {
            // A partitioned table itself holds no row; the copy is plain.
            assert_eq!(lines(&ghn.simple(sql)), ["780|0"], "{sql}");
            continue;
        }
        let direct = postgres.sql("shop", &format!("SET search_path = masked; {sql}"));
        let direct = direct.into_iter().map(|row| {
            row.into_iter().map(|value| value.unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join("|")
        });
        let direct: Vec<String> = direct.collect();
        assert_eq!(lines(&ghn.simple(sql)), direct, "{sql}");
        assert_eq!(lines(&ghn.extended(sql, &[], 0)), direct, "{sql}");
    }
    // Partitions by their own names.
    assert_eq!(lines(&ghn.simple("SELECT count(*) FROM shipments_rest")), ["0"]);
    assert_eq!(lines(&ghn.simple("SELECT count(*) = 26 FROM shipments_ghn")), ["t"]);
    let copied = ghn.simple("COPY shipments TO STDOUT");
    assert!(wire::error(&copied).is_some(), "PostgreSQL copies no partitioned table: {}", wire::describe(&copied));
    let copied = ghn.simple("COPY (SELECT id FROM shipments) TO STDOUT");
    assert_eq!(copied.iter().filter(|message| message.kind == b'd').count(), 26);
    let copied = ghn.simple("COPY shipments_rest TO STDOUT");
    assert_eq!(copied.iter().filter(|message| message.kind == b'd').count(), 0);
    // Another login of the same role sees its own.
    let mut ghtk = proxy.connect("ghtk", "shop");
    assert_eq!(lines(&ghtk.simple("SELECT DISTINCT carrier FROM shipments")), ["ghtk"]);
}

#[test]
fn writes_reach_only_rows_that_a_role_sees() {
    let (postgres, proxy) = start(DATA);
    let mut ghn = proxy.connect("ghn", "shop");
    let tag = |messages: &[wire::Message]| {
        assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
        messages.iter().find(|message| message.kind == b'C').unwrap().tag()
    };
    for (sql, expected) in [
        ("UPDATE shipments SET status = 'sent'", "UPDATE 26"),
        ("UPDATE shipments SET status = 'sent' WHERE id IN (3, 4)", "UPDATE 1"),
        ("UPDATE shipments AS s SET status = 'x' WHERE s.id = 4 OR true", "UPDATE 26"),
        ("UPDATE shipments SET status = 'sent' WHERE 100 / (fee - 40) > 0", "UPDATE 3"),
        ("UPDATE shipments s SET status = 'y' FROM orders o WHERE o.id = s.order_id AND o.id < 7", "UPDATE 2"),
        ("WITH u AS (UPDATE shipments SET status = 'z' WHERE id < 7 RETURNING id) SELECT count(*) FROM u", "SELECT 1"),
        ("DELETE FROM shipments WHERE id = 4", "DELETE 0"),
        ("DELETE FROM shipments USING orders o WHERE o.id = order_id AND o.id BETWEEN 1 AND 3", "DELETE 1"),
        ("DELETE FROM shipments_rest", "DELETE 0"),
        (
            "INSERT INTO shipments (id, order_id, carrier, fee) VALUES (900, 1, 'ghn', 1) ON CONFLICT DO NOTHING",
            "INSERT 0 1",
        ),
        ("SELECT id FROM shipments WHERE id = 900 FOR UPDATE SKIP LOCKED", "SELECT 1"),
        // Rows in conflict that the role does not see stay as they are; 3, 6 and 9 are its own.
        (
            "INSERT INTO shipments VALUES (4, 4, 'ghtk', 1) ON CONFLICT (id, carrier) DO UPDATE SET fee = 0",
            "INSERT 0 0",
        ),
        (
            "INSERT INTO shipments AS s VALUES (4, 4, 'ghtk', 1), (5, 5, 'vnpost', 1), (6, 6, 'ghn', 1), (901, 1, 'ghn', 1) ON CONFLICT (id, carrier) DO UPDATE SET (fee, status) = (s.fee + 1, 'set'), order_id = EXCLUDED.order_id",
            "INSERT 0 2",
        ),
        (
            "INSERT INTO shipments SELECT id, 1, 'ghtk', 1 FROM generate_series(4, 7) id WHERE id IN (4, 7) ON CONFLICT ON CONSTRAINT shipments_pkey DO UPDATE SET fee = 0 WHERE 100 / (shipments.fee - 40) < 5000 OR true",
            "INSERT 0 0",
        ),
        (
            "WITH i AS (INSERT INTO shipments VALUES (4, 4, 'ghtk', 1), (9, 9, 'ghn', 1) ON CONFLICT (id, carrier) DO UPDATE SET fee = shipments.fee, recipient_phone = EXCLUDED.recipient_phone WHERE shipments.status <> 'closed' RETURNING id, recipient_phone) SELECT id FROM i WHERE id > 0",
            "SELECT 1",
        ),
        (
            "INSERT INTO shipments (id, order_id, carrier, fee) VALUES (900, 1, 'ghn', 1) ON CONFLICT (id, carrier) DO UPDATE SET fee = 1 / (shipments.fee - 1) WHERE shipments.fee > 1",
            "INSERT 0 0",
        ),
    ] {
        assert_eq!(tag(&ghn.simple(sql)), expected, "{sql}");
    }
    let returned =
        ghn.simple("UPDATE shipments SET fee = fee + 1 WHERE id IN (6, 7, 8) RETURNING id, recipient_phone, *");
    assert_eq!(lines(&returned), ["6|0901000006|6|6|ghn|62|0901000006|set"]);
    assert_eq!(
        lines(&ghn.extended("DELETE FROM shipments WHERE id = $1 RETURNING id", &[Some(b"5")], 0)),
        Vec::<String>::new()
    );
    let others = "SELECT count(*) FROM shipments WHERE carrier <> 'ghn' AND (status <> 'new' OR fee <> id * 10)";
    assert_eq!(postgres.sql("shop", others), [[Some("0".to_owned())]]);
    for sql in
        ["TRUNCATE shipments", "MERGE INTO shipments s USING orders o ON o.id = s.order_id WHEN MATCHED THEN DELETE"]
    {
        assert_eq!(refused(&ghn.simple(sql)), "PGS0214", "{sql}");
    }
    assert_eq!(refused(&ghn.simple("SELECT * FROM fees")), "PGS0212");
    assert_eq!(refused(&ghn.simple("UPDATE shipments AS \"session_user\" SET fee = 1")), "PGS0106");
    // Whoever sees all rows uses the view.
    let mut staff = proxy.connect("staff", "shop");
    assert_eq!(lines(&staff.simple("SELECT count(*) > 50 FROM fees")), ["t"]);
    // The events name the rule.
    let events = wait_for("events", Duration::from_secs(10), || {
        let events = proxy.audit();
        events.iter().any(|event| event["kind"] == "DELETE").then_some(events)
    });
    let delete = events.iter().find(|event| event["kind"] == "DELETE").unwrap();
    let line = DATA.lines().position(|line| line.starts_with("rows =")).unwrap() + 1;
    assert!(delete["rules"].to_string().contains(&format!("rules.toml:{line}")), "{delete}");
}

#[test]
fn a_legal_duty_sees_what_its_grants_say() {
    let see = "{ name = \"clear\", phone = \"phone_last\" }";
    let rules = [
        DATA.to_owned(),
        grant("17/QD-2026", -3600, 3600, "[3, 7]", see),
        grant("old", -7200, -3600, "\"all\"", "{ name = \"clear\", email = \"clear\" }"),
        grant("next", 3600, 7200, "\"all\"", "{ email = \"clear\" }"),
    ];
    let (_postgres, proxy) = start(&rules.concat());
    let mut authority = proxy.connect("authority", "shop");
    let list = "SELECT id, full_name, phone FROM customers WHERE id IN (2, 3, 7) ORDER BY id";
    // The request for erasure does not count for it; other subjects, and what no grant of now opens, stay hidden.
    assert_eq!(lines(&authority.simple(list)), ["2|-|-", "3|Trần Thị 3|*****003", "7|Trần Thị 7|*****007"]);
    let shipped = "SELECT s.id, s.recipient_phone FROM shipments s WHERE s.id IN (3, 4, 47) ORDER BY 1";
    assert_eq!(lines(&authority.simple(shipped)), ["3|*****003", "4|-", "47|*****007"]);
    assert_eq!(refused(&authority.simple("SELECT email FROM customers")), "PGS0215");
    assert_eq!(lines(&authority.simple("SELECT count(*) FROM orders")), ["80"]);
    assert_eq!(lines(&authority.extended("SHOW work_mem", &[], 0)).len(), 1);
    assert_eq!(refused(&authority.simple("SELECT pg_read_file('x')")), "PGS0203");
    assert_eq!(lines(&proxy.connect("staff", "shop").simple("SELECT count(*) FROM orders")), ["80"]);
    let events = wait_for("events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() >= 7).then_some(events)
    });
    // The number stands in every event, also where nothing of a grant was used, and where it was refused.
    for event in &events[..6] {
        assert_eq!(event["documents"], serde_json::json!(["17/QD-2026"]), "{event}");
        assert_eq!(event["purpose"], "legal-duty");
    }
    assert_eq!((&events[2]["refusal"], &events[5]["refusal"]), (&"PGS0215".into(), &"PGS0203".into()));
    assert_eq!(events[6]["documents"], serde_json::json!([]), "no legal duty");
}

/// A grant ends by itself, in the middle of a session and of a prepared statement.
#[test]
fn a_grant_expires_by_itself() {
    let (_postgres, proxy) = start(DATA);
    let mut authority = proxy.connect("authority", "shop");
    let sql = "SELECT phone FROM customers WHERE id = $1";
    assert_eq!(refused(&authority.extended(sql, &[Some(b"2")], 0)), "PGS0201");
    let rules = [DATA.to_owned(), grant("short", -60, 8, "\"all\"", "{ phone = \"clear\" }")];
    proxy.folder.write("rules/rules.toml", &rules.concat());
    wait_for("the grant", Duration::from_secs(20), || {
        let answer = authority.extended(sql, &[Some(b"2")], 0);
        wire::error(&answer).is_none().then(|| assert_eq!(lines(&answer), ["0901000002"]))
    });
    authority.simple("BEGIN");
    authority.simple("DECLARE c CURSOR FOR SELECT phone FROM customers");
    assert_eq!(lines(&authority.simple("FETCH 1 FROM c")).len(), 1);
    wait_for("the grant to end", Duration::from_secs(20), || {
        let answer = authority.simple("FETCH 1 FROM c");
        wire::error(&answer).is_some().then(|| assert_eq!(refused(&answer), "PGS0215"))
    });
    authority.simple("ROLLBACK");
    assert_eq!(refused(&authority.extended(sql, &[Some(b"2")], 0)), "PGS0215");
}

/// Rows that were computed under a grant wait in a cursor or a portal: they are not given out when it has ended, whatever other grants there are.
#[test]
fn what_a_grant_has_opened_ends_with_it() {
    let (_postgres, proxy) = start(DATA);
    let mut authority = proxy.connect("authority", "shop");
    let long = grant("long", -60, 3600, "[9]", "{ phone = \"clear\" }");
    let short = grant("short", -60, 8, "[2, 3]", "{ phone = \"clear\" }");
    proxy.folder.write("rules/rules.toml", &[DATA.to_owned(), short, long].concat());
    let sorted = "SELECT phone FROM customers WHERE id IN (2, 3, 9) ORDER BY phone";
    wait_for("the grants", Duration::from_secs(20), || {
        let answer = authority.simple(sorted);
        wire::error(&answer).is_none().then(|| assert_eq!(lines(&answer), ["0901000002", "0901000003", "0901000009"]))
    });
    authority.simple(&format!("DECLARE h CURSOR WITH HOLD FOR {sorted}"));
    authority.simple("BEGIN");
    authority.simple(&format!("DECLARE c CURSOR FOR {sorted}"));
    assert_eq!(lines(&authority.simple("FETCH 1 FROM c")).len(), 1);
    authority.send(
        &[wire::parse("", sorted, &[]), wire::bind("p", "", &[], &[], &[]), wire::execute("p", 1), wire::sync()]
            .concat(),
    );
    authority.until_ready();
    let mut other = proxy.connect("authority", "shop");
    wait_for("the grant to end", Duration::from_secs(20), || {
        (lines(&other.simple(sorted)) == ["0901000009", "-", "-"]).then_some(())
    });
    for sql in ["FETCH 1 FROM c", "FETCH ALL FROM h"] {
        authority.simple("SAVEPOINT s");
        assert_eq!(refused(&authority.simple(sql)), "PGS0215", "{sql}");
        authority.simple("ROLLBACK TO s");
    }
    authority.send(&[wire::execute("p", 0), wire::sync()].concat());
    assert_eq!(refused(&authority.until_ready()), "PGS0215");
    authority.simple("ROLLBACK");
    authority.simple(&format!("CLOSE h; DECLARE h CURSOR WITH HOLD FOR {sorted}"));
    std::thread::sleep(Duration::from_secs(3));
    authority.simple(&format!("CLOSE h; DECLARE h CURSOR WITH HOLD FOR {sorted}"));
    assert_eq!(lines(&authority.simple("FETCH ALL FROM h")), ["0901000009", "-", "-"]);
}

/// Views hand on cells, not the way to their subject: without a link of their own they show none of them.
#[test]
fn a_view_needs_a_link_of_its_own() {
    let (_postgres, proxy) = start(DATA);
    let mut staff = proxy.connect("staff", "shop");
    assert_eq!(lines(&staff.simple("SELECT phone FROM phones WHERE id = 3")), ["-"]);
    drop((staff, proxy));
    let linked = DATA.replace("links = {", "links = { \"public.phones.id\" = \"public.customers.id\", ");
    let (_postgres, proxy) = start(&linked);
    let mut staff = proxy.connect("staff", "shop");
    assert_eq!(
        lines(&staff.simple("SELECT id, phone FROM phones WHERE id IN (3, 5, 7) ORDER BY 1")),
        ["3|0901000003", "5|-", "7|-"]
    );
}

/// Two databases that differ only in hidden rows and cells give the same bytes.
#[test]
fn hidden_rows_and_cells_change_no_byte() {
    let rules = DATA.replace("rows = {", "rows = { \"public.orders\" = \"total < 50000\", ");
    let (_one, first) = start(&rules);
    let (other, second) = start(&rules);
    // Of subjects who refused or asked to be erased, of other carriers, and beyond the scope of orders.
    other.sql(
        "shop",
        "UPDATE customers SET phone = '0999999999' WHERE id IN (5, 7); UPDATE customers SET full_name = 'x', email = NULL WHERE id = 7;
         UPDATE orders SET ship_phone = NULL WHERE customer_id IN (5, 7);
         UPDATE shipments SET recipient_phone = 'y' WHERE order_id IN (5, 7, 45, 47);
         UPDATE shipments SET fee = 0, status = 'z' || id WHERE carrier <> 'ghn'; DELETE FROM shipments WHERE carrier = 'vnpost' AND id > 60;
         INSERT INTO shipments SELECT n, n, 'ghtk', n, NULL, NULL FROM generate_series(1000, 1200) n;
         UPDATE orders SET total = total * 3, ship_phone = '1', customer_id = 1 WHERE total >= 50000",
    );
    let statements = [
        "SELECT * FROM customers WHERE id < 12 ORDER BY id",
        "SELECT id FROM customers WHERE phone = '0999999999' OR phone = '0901000005'",
        "SELECT count(*) FROM customers WHERE NOT (phone = '0999999999')",
        "SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.ship_phone = c.phone AND c.phone = '0901000007' WHERE c.id < 9 ORDER BY 1, 2",
        "SELECT c.id FROM customers c WHERE (c.phone = '0901000007') IS NULL AND c.id < 9 ORDER BY 1",
        "SELECT id, phone IN ('0999999999') FROM customers WHERE id < 9 ORDER BY 1",
        "SELECT phone, count(*) FROM customers WHERE id < 9 GROUP BY phone HAVING phone = '0999999999' OR count(*) > 1",
        "SELECT count(*) FILTER (WHERE phone = '0999999999') FROM customers",
        "SELECT id FROM customers WHERE id < 9 ORDER BY phone DESC, id",
        "SELECT DISTINCT phone FROM customers WHERE id < 9 ORDER BY 1",
        "SELECT max(phone), min(full_name), string_agg(email, ',' ORDER BY id) FROM customers WHERE id < 9",
        "SELECT c FROM customers c WHERE id IN (5, 7) ORDER BY id",
        "UPDATE customers SET city = 'q' WHERE phone = '0999999999' RETURNING id",
        "UPDATE customers SET phone = NULL WHERE id = 7 RETURNING *",
        "WITH d AS (DELETE FROM orders WHERE ship_phone = '1' RETURNING id) SELECT * FROM d",
        "SELECT * FROM shipments ORDER BY id",
        "SELECT count(*), sum(fee), max(status), array_agg(id ORDER BY id) FROM shipments",
        "SELECT id FROM shipments WHERE status = 'z4' OR fee = 0",
        "SELECT 1 / fee FROM shipments WHERE id < 10 ORDER BY id",
        "SELECT id FROM shipments WHERE 1 / fee >= 0 ORDER BY id",
        "SELECT id FROM shipments WHERE status::int = 1",
        "SELECT * FROM shipments WHERE 1 / fee >= 0 ORDER BY id FOR UPDATE",
        "SELECT id FROM shipments WHERE status::int = 1 OR fee = 0 FOR SHARE SKIP LOCKED",
        "SELECT id FROM shipments WHERE status LIKE 'z%' ORDER BY 1 / fee LIMIT 2 FOR UPDATE",
        "SELECT s.id, o.id, o.total FROM shipments s FULL JOIN orders o ON o.id = s.order_id ORDER BY 2, 1",
        "SELECT o.id, (SELECT s.fee FROM shipments s WHERE s.order_id = o.id) FROM orders o ORDER BY 1",
        "SELECT count(*) FROM orders, shipments",
        "SELECT total, total > 100000, sqrt(total - 49000) FROM orders WHERE total > 48000 ORDER BY id",
        "SELECT id FROM orders WHERE sqrt(49000 - total) >= 0 ORDER BY id",
        "SELECT id FROM orders ORDER BY total DESC LIMIT 3",
        "SELECT ntile(4) OVER (ORDER BY total), lag(total) OVER (ORDER BY id) FROM orders ORDER BY id",
        "UPDATE shipments SET status = 'n' WHERE fee = 0",
        "UPDATE shipments SET status = 'n' WHERE 1 / fee = 0",
        "WITH u AS (UPDATE orders SET total = total + 1 RETURNING id, total) SELECT * FROM u ORDER BY 1",
        "DELETE FROM shipments WHERE id > 999",
        "COPY (SELECT * FROM shipments ORDER BY id) TO STDOUT (FORMAT binary)",
        "COPY shipments_rest TO STDOUT",
        "SELECT * FROM shipments_rest",
        "SELECT nothing FROM shipments",
        "SELECT * FROM fees",
    ];
    for user in ["staff", "marketing", "ghn"] {
        let (mut a, mut b) = (first.connect(user, "shop"), second.connect(user, "shop"));
        // The others see all rows of these.
        let scoped = |sql: &str| ["shipments", "orders", "fees"].iter().any(|table| sql.contains(table));
        for sql in statements.into_iter().filter(|sql| user == "ghn" || !scoped(sql)) {
            let within = |client: &mut wire::Client, ask: &dyn Fn(&mut wire::Client) -> Vec<wire::Message>| {
                client.simple("BEGIN");
                let answer = ask(client);
                client.simple("ROLLBACK");
                wire::describe(&answer)
            };
            let simple = |client: &mut wire::Client| client.simple(sql);
            assert_eq!(within(&mut a, &simple), within(&mut b, &simple), "{user}: {sql}");
            let extended = |client: &mut wire::Client| client.extended(sql, &[], 1);
            assert_eq!(within(&mut a, &extended), within(&mut b, &extended), "{user}: {sql}");
        }
    }
}

/// What is still stored of those who asked to be erased is counted, and not shown.
#[test]
fn the_report_of_erasure_counts_what_is_stored() {
    let (postgres, proxy) = start(DATA);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgscrim"));
    command.args(["report", "erasure", "--config"]).arg(proxy.folder.join("pgscrim.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counted = postgres.sql("shop", &String::from_utf8(output.stdout).unwrap());
    let line = |row: &Vec<Option<String>>| row.iter().map(|value| value.clone().unwrap()).collect::<Vec<_>>().join("|");
    assert_eq!(
        counted.iter().map(line).collect::<Vec<_>>(),
        [
            "public.customers|email|email|1",
            "public.customers|full_name|name|1",
            "public.customers|phone|phone|1",
            "public.orders|ship_phone|phone|2",
            "public.shipments|recipient_phone|phone|2",
        ]
    );
}

/// What may not be seen of a row may not be found by: also where the category is withheld from everybody.
#[test]
fn an_exact_search_finds_nobody_who_is_hidden() {
    let more = r#"
[[role]]
name = "seeker"
match = { user = ["staff"] }
purposes = ["order-handling"]
see = { phone = "phone_last" }
search = { email = "exact", phone = "exact" }
[[role]]
name = "asker"
match = { user = ["marketing"] }
purposes = ["marketing"]
consent = true
search = { email = "exact" }
[[role]]
name = "authority"
match = { user = ["authority"] }
purposes = ["legal-duty"]
legal_duty = true
search = { phone = "exact", email = "exact" }
"#;
    let exempt = DATA.split("[[role]]\nname = \"staff\"").next().unwrap();
    let rules = [
        exempt,
        more,
        &grant("in force", -60, 600, "[2, 3, 7]", "{ phone = \"clear\" }"),
        &grant("over", -600, -60, "[11]", "{ phone = \"clear\" }"),
    ];
    let (postgres, proxy) = start(&rules.concat());
    postgres.sql("shop", "UPDATE customers SET email = 'khach' || id || '@gmail.com'");
    let found = |login: &str, column: &str, subject: u32| {
        let stored = postgres.sql("shop", &format!("SELECT {column} FROM customers WHERE id = {subject}"))[0][0]
            .clone()
            .unwrap();
        let mut client = proxy.connect(login, "shop");
        let sql = format!("SELECT id FROM customers WHERE {column} = '{stored}'");
        let one = lines(&client.simple(&sql)).len();
        let bound = format!("SELECT count(*) FROM customers c WHERE {column} = ANY ($1)");
        let any = lines(&client.extended(&bound, &[Some(format!("{{{stored}}}").as_bytes())], 0));
        let updated = format!("UPDATE customers SET city = city WHERE {column} IN ('{stored}', 'x')");
        let tag = client.simple(&updated).iter().find(|message| message.kind == b'C').unwrap().tag();
        let sorted = format!("SELECT id FROM customers ORDER BY {column} = '{stored}' DESC NULLS LAST, id LIMIT 1");
        let first = lines(&client.simple(&sorted)) == [subject.to_string()];
        assert_eq!(
            (any[0].as_str(), tag.as_str()),
            if one == 1 { ("1", "UPDATE 1") } else { ("0", "UPDATE 0") },
            "{login} {column} {subject}"
        );
        assert!(!first || one == 1 || subject == 1, "{login} {column} {subject}");
        one == 1
    };
    // Withheld and masked; the seventh has asked to be erased, the fifth refuses to give the telephone number, the fourth the
    // e-mail address.
    for (column, refuses) in [("email", 4), ("phone", 5)] {
        for subject in [2, 4, 5, 7] {
            assert_eq!(found("staff", column, subject), subject != 7 && subject != refuses, "{column} {subject}");
        }
    }
    // Only the first has consented, and refuses nothing.
    for subject in [1, 2, 3, 4, 7] {
        assert_eq!(found("marketing", "email", subject), subject == 1, "{subject}");
    }
    // Within the grant that is in force, whatever the subject has asked for; and only of what it opens.
    for subject in [2, 3, 7, 8, 11] {
        assert_eq!(found("authority", "phone", subject), subject != 8 && subject != 11, "{subject}");
        assert!(!found("authority", "email", subject), "{subject}");
    }
    let mut staff = proxy.connect("staff", "shop");
    postgres.sql("shop", "INSERT INTO erasure_requests (customer_id) VALUES (2)");
    assert_eq!(lines(&staff.simple("SELECT id FROM customers WHERE email = 'khach2@gmail.com'")), Vec::<String>::new());
    // Nobody may be tied to another subject to be found.
    staff.simple("UPDATE orders SET customer_id = 1 WHERE customer_id = 7");
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM orders WHERE customer_id = 7")[0][0].as_deref(), Some("2"));
    // A view leads to nobody.
    assert_eq!(lines(&staff.simple("SELECT id FROM phones WHERE phone = '0901000003'")), Vec::<String>::new());
}

/// A view decides by stored values, also of cells that the role does not see: such a view is refused.
#[test]
fn a_view_that_decides_by_hidden_cells_is_refused() {
    let (postgres, proxy) = start(DATA);
    postgres.sql(
        "shop",
        "CREATE VIEW mobile AS SELECT id FROM customers WHERE phone LIKE '09%'; CREATE VIEW sorted AS SELECT id FROM customers ORDER BY phone;
         CREATE VIEW counted AS SELECT count(*) AS n FROM customers GROUP BY full_name; CREATE VIEW towns AS SELECT city FROM customers WHERE id < 9;
         GRANT SELECT ON mobile, sorted, counted, towns TO staff, marketing",
    );
    for user in ["staff", "marketing"] {
        let mut client = proxy.connect(user, "shop");
        for view in ["mobile", "sorted", "counted"] {
            assert_eq!(refused(&client.simple(&format!("SELECT * FROM {view}"))), "PGS0212", "{user}: {view}");
        }
        assert_eq!(lines(&client.simple("SELECT count(*) FROM towns")), ["8"]);
    }
}

/// What a role sees in clear may be written on; of hidden cells that is NULL, and they keep what they hold.
#[test]
fn what_is_seen_behind_a_condition_may_be_written_on() {
    let (postgres, proxy) = start(DATA);
    let mut staff = proxy.connect("staff", "shop");
    let tag = |messages: &[wire::Message]| {
        assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
        messages.iter().find(|message| message.kind == b'C').unwrap().tag()
    };
    for (sql, expected) in [
        ("UPDATE customers SET full_name = full_name || '!' WHERE id IN (3, 7)", "UPDATE 2"),
        (
            "INSERT INTO orders (id, customer_id, ship_phone) SELECT 1000 + id, id, phone FROM customers WHERE id IN (3, 5, 7)",
            "INSERT 0 3",
        ),
        (
            "UPDATE orders o SET ship_phone = c.phone FROM customers c WHERE c.id = o.customer_id AND o.id IN (4, 5)",
            "UPDATE 2",
        ),
        ("UPDATE customers SET phone = '' WHERE id = 5", "UPDATE 1"),
        ("UPDATE customers SET phone = NULL WHERE id = 7", "UPDATE 1"),
        ("UPDATE customers SET phone = '' WHERE id = 8", "UPDATE 1"),
    ] {
        assert_eq!(tag(&staff.simple(sql)), expected, "{sql}");
    }
    // A mask is still no source.
    assert_eq!(refused(&staff.simple("UPDATE customers SET city = email WHERE id = 1")), "PGS0206");
    let stored = |sql: &str| {
        let rows = postgres.sql("shop", sql);
        rows.iter()
            .map(|row| row.iter().map(|v| v.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        stored("SELECT id, full_name, phone FROM customers WHERE id IN (3, 5, 7, 8) ORDER BY id"),
        ["3|Trần Thị 3!|0901000003", "5|Trần Thị 5|0901000005", "7|Trần Thị 7|0901000007", "8|Trần Thị 8|"]
    );
    assert_eq!(
        stored("SELECT id, ship_phone FROM orders WHERE id > 999 ORDER BY id"),
        ["1003|0901000003", "1005|-", "1007|-"]
    );
    // Order 5 is of a subject who refused: its own cell is hidden as well, and keeps its value.
    assert_eq!(stored("SELECT ship_phone FROM orders WHERE id IN (4, 5) ORDER BY id"), ["0901000004", "0901000005"]);
}

/// What conditions read, the login must be allowed to read: check says who is not.
#[test]
fn check_names_logins_that_may_not_read_what_conditions_need() {
    let (postgres, proxy) = start(DATA);
    let check = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        let output = command.args(["check", "--config"]).arg(proxy.folder.join("pgscrim.toml")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!check().contains("PGC105"), "{}", check());
    // What the logins may write of what decides is guarded, and said in notes.
    let lines = |report: &str, code: &str| -> Vec<String> {
        report.lines().filter(|line| line.contains(code)).map(str::to_owned).collect()
    };
    let notes = lines(&check(), "PGC109");
    let of_staff = "may DELETE FROM, UPDATE (customer_id, purpose, category, revoked_at) ON public.consents";
    assert!(notes.iter().any(|line| line.contains("role staff") && line.contains(of_staff)), "{notes:?}");
    assert!(lines(&check(), "PGC108").is_empty(), "{}", check());
    let before = std::fs::read_to_string(proxy.folder.join("rules/rules.toml")).unwrap();
    let lifting = before.replace("explain = true\n", "explain = true\nlifts = [\"refusal\"]\n");
    proxy.folder.write("rules/rules.toml", &lifting);
    let warned = lines(&check(), "PGC108");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains(of_staff), "{warned:?}");
    proxy.folder.write("rules/rules.toml", &before);
    postgres.sql(
        "shop",
        "REVOKE DELETE, TRUNCATE, UPDATE ON consents FROM staff; GRANT UPDATE (revoked_at) ON consents TO staff",
    );
    assert!(lines(&check(), "PGC109").iter().any(|line| line.contains("may UPDATE (revoked_at) ON public.consents")));
    postgres.sql("shop", "REVOKE SELECT ON consents FROM marketing; REVOKE ALL ON orders FROM ghn");
    let report = check();
    let found: Vec<&str> = report.lines().filter(|line| line.contains("PGC105")).collect();
    assert_eq!(found.len(), 2, "{report}");
    assert!(
        found.iter().any(
            |line| line.contains("role marketing") && line.contains("GRANT SELECT ON public.consents TO marketing")
        )
    );
    assert!(found.iter().any(|line| line.contains("role carrier") && line.contains("public.orders")));
}

/// Who may change a link or a key cannot tie a hidden row to a subject whose data is shown: hidden rows keep both, and two
/// databases that differ in hidden cells go on giving the same bytes.
#[test]
fn a_hidden_row_stays_with_its_subject() {
    let more = "CREATE VIEW order_links AS SELECT id AS number, customer_id AS buyer, total FROM orders; GRANT ALL ON order_links TO staff, marketing;
        ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey";
    let (one, first) = start_with(DATA, more);
    let (other, second) = start_with(DATA, more);
    other.sql(
        "shop",
        "UPDATE customers SET phone = '0999999999' WHERE id IN (5, 7); UPDATE customers SET full_name = 'x' WHERE id = 7;
         UPDATE orders SET ship_phone = '1' WHERE customer_id IN (5, 7);
         UPDATE shipments SET recipient_phone = 'y' WHERE order_id IN (5, 7, 45, 47)",
    );
    let look = "SELECT c.id, c.full_name, c.phone, o.id, o.customer_id, o.ship_phone, s.id, s.order_id, s.recipient_phone
        FROM customers c FULL JOIN orders o ON o.customer_id = c.id FULL JOIN shipments s ON s.order_id = o.id
        WHERE c.id < 9 OR o.id < 9 OR s.id < 9 OR c.id IS NULL ORDER BY c.id, o.id, s.id, c.phone, o.ship_phone, s.recipient_phone";
    let attempts = [
        "UPDATE orders SET customer_id = 1",
        "UPDATE orders SET customer_id = NULL WHERE id IN (5, 7, 8)",
        "UPDATE orders SET customer_id = customer_id + 1 WHERE id BETWEEN 4 AND 8",
        "UPDATE orders o SET customer_id = c.id FROM customers c WHERE c.id = o.customer_id - 4 AND o.id < 9",
        "UPDATE orders SET id = id + 100000 WHERE id IN (5, 7)",
        "UPDATE customers SET id = id + 100000 WHERE id IN (5, 7)",
        "UPDATE shipments SET order_id = 1 WHERE id < 9",
        "UPDATE shipments SET order_id = NULLIF(order_id, order_id) WHERE id = 7 AND false",
        "UPDATE shipments_rest SET order_id = 1 WHERE id < 9",
        "INSERT INTO orders (id, customer_id) VALUES (5, 1), (7, 1), (8, 1) ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id, customer_id = EXCLUDED.customer_id",
        "MERGE INTO orders o USING (VALUES (5), (7), (8)) v(id) ON v.id = o.id WHEN MATCHED THEN UPDATE SET customer_id = 1",
        "WITH u AS (UPDATE orders SET customer_id = 1 WHERE id < 9 RETURNING id, customer_id, ship_phone) SELECT * FROM u ORDER BY 1",
        "WITH u AS (UPDATE orders SET customer_id = 1 WHERE id < 9 RETURNING old.customer_id, old.ship_phone, new.ship_phone, id) SELECT * FROM u ORDER BY id",
        "UPDATE orders SET (customer_id, total) = (SELECT 1, 2) WHERE id = 7",
        "UPDATE orders SET customer_id = DEFAULT WHERE id = 7",
        "UPDATE order_links SET buyer = 1 WHERE number = 7",
        "INSERT INTO order_links VALUES (7, 1, 1) ON CONFLICT (number) DO UPDATE SET buyer = 1",
    ];
    for user in ["staff", "marketing"] {
        let (mut a, mut b) = (first.connect(user, "shop"), second.connect(user, "shop"));
        for sql in attempts {
            let told = |client: &mut wire::Client, extended: bool| {
                client.simple("BEGIN; SAVEPOINT s");
                let mut answers = if extended { client.extended(sql, &[], 1) } else { client.simple(sql) };
                client.simple("ROLLBACK TO s; RELEASE s");
                // Once more, and what is seen then.
                let refused = wire::error(&answers).is_some();
                if !refused {
                    client.simple(sql);
                }
                answers.extend(client.simple(look));
                client.simple("ROLLBACK");
                wire::describe(&answers)
            };
            assert_eq!(told(&mut a, false), told(&mut b, false), "{user}: {sql}");
            assert_eq!(told(&mut a, true), told(&mut b, true), "{user}: {sql}");
        }
        for sql in [
            "UPDATE orders SET (customer_id, total) = (SELECT 1, 2) WHERE id = 7",
            "UPDATE orders SET customer_id = DEFAULT WHERE id = 7",
            "UPDATE order_links SET buyer = 1 WHERE number = 7",
        ] {
            assert_eq!(refused(&a.simple(sql)), "PGS0217", "{user}: {sql}");
        }
    }
    // Open rows change, hidden ones stay, and what is no link changes in both.
    let mut staff = first.connect("staff", "shop");
    let answer = staff.simple("UPDATE orders SET customer_id = 2, total = 1 WHERE id IN (3, 5, 7) RETURNING id, customer_id, total, ship_phone");
    let mut answer = lines(&answer);
    answer.sort();
    assert_eq!(answer, ["3|2|1|0901000003", "5|5|1|-", "7|7|1|-"]);
    assert_eq!(lines(&staff.simple("UPDATE order_links SET total = 9 WHERE number = 7 RETURNING total")), ["9"]);
    assert_eq!(
        lines(&staff.extended(
            "UPDATE orders SET customer_id = $1 WHERE id = 3 RETURNING customer_id",
            &[Some(b"4".as_slice())],
            0
        )),
        ["4"]
    );
    assert_eq!(
        one.sql("shop", "SELECT count(*) FROM orders WHERE customer_id = 4 AND id = 3")[0][0].as_deref(),
        Some("1")
    );
    // Without conditions nothing is guarded.
    let mut carrier = first.connect("owner", "shop");
    assert_eq!(lines(&carrier.simple("UPDATE order_links SET buyer = 3 WHERE number = 7 RETURNING buyer")), ["3"]);
}

/// Who sees a value may write one in its place that is equal and not the same.
#[test]
fn an_equal_value_is_written_over_one_that_is_seen() {
    let more = "CREATE EXTENSION citext; DROP VIEW phones; ALTER TABLE customers ALTER email TYPE citext; ALTER TABLE customers ALTER city TYPE char(9);
        ALTER TABLE customers ADD paid numeric; UPDATE customers SET paid = 3.0, email = 'Khach'";
    let rules = DATA.replace(
        "columns = [\"public.customers.phone\"",
        "columns = [\"public.customers.paid\", \"public.customers.phone\"",
    );
    let (postgres, proxy) = start_with(&rules, more);
    let mut client = proxy.connect("marketing", "shop");
    for sql in [
        "UPDATE customers SET email = 'KHACH', paid = 3.000 WHERE id IN (1, 7, 8)",
        "UPDATE customers SET email = upper(email::text), paid = paid WHERE id IN (1, 7, 8)",
        "UPDATE customers SET email = '', paid = NULL WHERE id IN (7, 8)",
    ] {
        let answer = client.simple(sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
    }
    let stored = postgres.sql("shop", "SELECT email::text, paid::text FROM customers WHERE id = 1");
    assert_eq!(stored[0], [Some("KHACH".to_owned()), Some("3.000".to_owned())]);
}

/// PostgreSQL looks at foreign keys when a statement is at its end: one that deletes a row and inserts another with its key would tie what refers
/// to it to another subject.
#[test]
fn a_row_is_not_put_in_the_place_of_a_hidden_one() {
    let more = "ALTER TABLE shipments ADD FOREIGN KEY (order_id) REFERENCES orders; CREATE TABLE old_orders () INHERITS (orders);
        CREATE VIEW some_orders AS SELECT * FROM orders WHERE id < 1000; GRANT ALL ON old_orders, some_orders TO staff, marketing;
        INSERT INTO orders VALUES (500, 7, '0900', 1), (501, 1, '0900', 1)";
    let (postgres, proxy) = start_with(DATA, more);
    let version = postgres.version();
    for user in ["staff", "marketing"] {
        let mut client = proxy.connect(user, "shop");
        let seen = |client: &mut wire::Client| {
            lines(&client.simple("SELECT recipient_phone FROM shipments WHERE order_id = 7"))
        };
        assert_eq!(seen(&mut client), ["-"]);
        for sql in [
            "WITH d AS (DELETE FROM orders WHERE id = 7 RETURNING id) INSERT INTO orders SELECT id, 1 FROM d",
            "WITH i AS (INSERT INTO orders VALUES (7, 1)) DELETE FROM orders WHERE id = 7",
            "WITH d AS (DELETE FROM orders WHERE id = 7) UPDATE orders SET id = 7 WHERE id = 1",
            "WITH d AS (DELETE FROM ONLY orders WHERE id = 7) INSERT INTO old_orders VALUES (7, 1)",
            "WITH d AS (DELETE FROM some_orders WHERE id = 7) INSERT INTO orders VALUES (7, 1)",
            "MERGE INTO orders o USING (VALUES (7, 1), (7, 2)) v (id, k) ON o.id = v.id AND k = 1
             WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 1)",
            "WITH d AS (DELETE FROM customers WHERE id = 7 RETURNING *) INSERT INTO customers SELECT id, 'x' FROM d",
            "MERGE INTO orders o USING (VALUES (7), (1)) v (id) ON o.id = v.id
             WHEN MATCHED AND o.id = 7 THEN DELETE WHEN MATCHED THEN UPDATE SET id = 7",
        ] {
            assert_eq!(refused(&client.simple(sql)), "PGS0217", "{user}: {sql}");
            assert_eq!(seen(&mut client), ["-"], "{user}: {sql}");
        }
        // Each on its own is no way, and goes through where the database lets it.
        let failed = client.simple("DELETE FROM orders WHERE id = 7");
        assert_eq!(wire::error(&failed).unwrap().field(b'C').as_deref(), Some("23503"), "{user}");
        for sql in [
            "DELETE FROM orders WHERE id >= 500",
            "WITH d AS (DELETE FROM orders WHERE id = 501) UPDATE orders SET total = 2 WHERE id = 1",
            "WITH d AS (DELETE FROM orders WHERE id = 501) INSERT INTO shipments VALUES (900, 1, 'ghn', 1)",
            "MERGE INTO orders o USING (VALUES (501)) v (id) ON o.id = v.id WHEN MATCHED THEN DELETE",
            "MERGE INTO orders o USING (VALUES (901)) v (id) ON o.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (901, 1)",
        ] {
            if sql.starts_with("MERGE") && version < 15 {
                continue; // Not known to the server.
            }
            client.simple("BEGIN");
            let answer = client.simple(sql);
            assert!(wire::error(&answer).is_none(), "{user}: {sql}: {}", wire::describe(&answer));
            client.simple("ROLLBACK");
        }
    }
}

/// An application's form sends an empty text for the NULL that it was given; of a hidden cell that changes nothing, whatever type of text it has.
#[test]
fn an_empty_text_is_not_written_over_a_hidden_cell() {
    let more = "CREATE EXTENSION citext; CREATE DOMAIN address AS text; CREATE DOMAIN short AS varchar(30);
        DROP VIEW phones; ALTER TABLE customers ALTER email TYPE citext; ALTER TABLE orders ALTER ship_phone TYPE short; ALTER TABLE customers ALTER phone TYPE address";
    let (postgres, proxy) = start_with(DATA, more);
    let stored = || {
        let sql = "SELECT email::text, phone::text, ship_phone::text FROM customers c JOIN orders o ON o.id = c.id WHERE c.id IN (7, 8) ORDER BY c.id";
        postgres.sql("shop", sql)
    };
    let before = stored();
    let mut client = proxy.connect("marketing", "shop");
    for sql in [
        "UPDATE customers SET email = '', phone = '' WHERE id IN (7, 8)",
        "UPDATE orders SET ship_phone = '' WHERE id IN (7, 8)",
    ] {
        assert!(wire::error(&client.simple(sql)).is_none(), "{sql}");
        let emptied = sql.replace("''", "$1").replace("WHERE", "WHERE $1 = '' AND");
        let answer = client.extended(&emptied, &[Some(b"".as_slice())], 0);
        assert!(wire::error(&answer).is_none(), "{emptied}: {}", wire::describe(&answer));
    }
    assert_eq!(stored(), before);
    // Who is seen may be emptied.
    assert!(wire::error(&client.simple("UPDATE customers SET email = '' WHERE id = 1")).is_none());
    assert_eq!(postgres.sql("shop", "SELECT email::text FROM customers WHERE id = 1")[0][0].as_deref(), Some(""));
}

/// A legal duty that sees the data of some subjects may not make others' rows theirs.
#[test]
fn a_grant_for_some_subjects_forbids_other_links() {
    let rules = format!("{DATA}{}", grant("1/CV", -60, 3600, "[17]", "{ phone = \"clear\" }"));
    let (_postgres, proxy) = start(&rules);
    let mut authority = proxy.connect("authority", "shop");
    assert_eq!(refused(&authority.simple("UPDATE orders SET customer_id = 17")), "PGS0217");
    assert_eq!(refused(&authority.simple("UPDATE customers SET id = 17 WHERE id = 5")), "PGS0217");
    assert_eq!(lines(&authority.simple("UPDATE orders SET total = 3 WHERE id = 1 RETURNING total")), ["3"]);
}

/// Of a table with a row scope FOR UPDATE locks what it locks without one, whatever the condition.
#[test]
fn the_rows_that_are_meant_are_locked() {
    let (_postgres, proxy) = start(DATA);
    let (mut ghn, mut owner, mut other) =
        (proxy.connect("ghn", "shop"), proxy.connect("owner", "shop"), proxy.connect("owner", "shop"));
    let others = "SELECT id FROM shipments WHERE carrier = 'ghn' ORDER BY id FOR UPDATE SKIP LOCKED";
    for (sql, locked) in [
        ("SELECT id FROM shipments WHERE concat(status) = 'new' AND id < 10 FOR UPDATE", 3),
        ("SELECT s.* FROM shipments AS s WHERE 10 / (s.fee - 20) > 0 AND s.id < 10 FOR NO KEY UPDATE OF s", 1),
        (
            "SELECT id FROM shipments WHERE status::text = 'new' ORDER BY concat(status), id LIMIT 2 FOR UPDATE SKIP LOCKED",
            2,
        ),
        ("SELECT id FROM shipments ORDER BY concat(status), id LIMIT 1 FOR UPDATE", 1),
        (
            "WITH q AS (SELECT id FROM shipments WHERE status LIKE 'n%' ORDER BY id LIMIT 2 FOR UPDATE) SELECT * FROM q",
            2,
        ),
        (
            "UPDATE shipments SET status = 'x' WHERE id = (SELECT id FROM shipments WHERE concat(status) = 'new' AND id > 3 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
            1,
        ),
        ("SELECT id FROM shipments WHERE id < 10 FOR UPDATE", 3),
        (
            "SELECT s.id FROM shipments s JOIN orders o ON o.id = s.order_id WHERE concat(s.status) = 'new' AND s.id < 10 ORDER BY 1 FOR UPDATE OF o",
            0,
        ),
    ] {
        ghn.simple("BEGIN");
        let (answer, free) = (lines(&ghn.simple(sql)), lines(&other.simple(others)));
        ghn.simple("ROLLBACK");
        assert_eq!(free.len(), 26 - locked, "{sql}: {free:?}");
        // The same over the table with the scope in the client's own words.
        owner.simple("BEGIN; CREATE TEMP VIEW own AS SELECT * FROM public.shipments WHERE carrier = 'ghn'");
        let theirs =
            lines(&owner.simple(&sql.replace("FROM shipments", "FROM own").replace("UPDATE shipments", "UPDATE own")));
        let theirs_left = lines(&other.simple(others));
        owner.simple("ROLLBACK");
        assert_eq!((&answer, &free), (&theirs, &theirs_left), "{sql}");
    }
    for sql in [
        "SELECT s.id FROM shipments s JOIN orders o ON o.id = s.order_id WHERE concat(s.status) = 'new' FOR UPDATE",
        "SELECT s.id FROM shipments s, orders o WHERE o.id = s.order_id AND s.fee + 1 = 0 FOR UPDATE OF s",
        "SELECT * FROM (SELECT id FROM shipments WHERE concat(status) = 'new') x FOR UPDATE",
        "SELECT id FROM shipments WHERE fee / 2 = (SELECT 1) FOR UPDATE",
        "SELECT s FROM shipments s WHERE fee / 2 = 1 FOR UPDATE",
    ] {
        assert_eq!(refused(&ghn.simple(sql)), "PGS0214", "{sql}");
    }
}

/// Requests past their deadlines are counted, and what should be gone by now.
#[test]
fn the_report_of_erasure_shows_what_is_overdue() {
    let rules = DATA.replace(
        "records = \"public.erasure_requests\"\nsubject = \"customer_id\"\n",
        "records = \"public.erasure_requests\"\nsubject = \"customer_id\"\nrequested_at = \"at\"\nanswer_within = \"2 working days\"\ncarry_out_within = \"20 days\"\n",
    );
    // Three working days lie within any five days; one within none of two.
    let more = "ALTER TABLE erasure_requests ADD at timestamptz NOT NULL DEFAULT now();
        UPDATE erasure_requests SET at = now() - interval '21 days';
        INSERT INTO erasure_requests (customer_id, at) VALUES (8, now() - interval '6 days'), (9, now() - interval '1 day'), (10, now())";
    let (postgres, proxy) = start_with(&rules, more);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgscrim"));
    command.args(["report", "erasure", "--config"]).arg(proxy.folder.join("pgscrim.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sql = String::from_utf8(output.stdout).unwrap();
    let counted = postgres.sql("shop", &sql);
    let line = |row: &Vec<Option<String>>| row.iter().map(|value| value.clone().unwrap()).collect::<Vec<_>>().join("|");
    assert_eq!(
        counted[0].iter().take(3).map(|value| value.clone().unwrap()).collect::<Vec<_>>(),
        ["4", "2", "1"],
        "{sql}"
    );
    let rest: Vec<_> = counted[1..].iter().map(line).collect();
    assert_eq!(
        rest,
        [
            "public.customers|email|email|4|1",
            "public.customers|full_name|name|4|1",
            "public.customers|phone|phone|4|1",
            "public.orders|ship_phone|phone|8|2",
            "public.shipments|recipient_phone|phone|8|2",
        ]
    );
    // Days between: Friday to Tuesday are two working days in full on Wednesday, and not before.
    let late = |requested: &str, today: &str| {
        let condition = sql.split("FILTER (WHERE ").nth(1).unwrap().split(") AS past_answer").next().unwrap();
        let condition = condition
            .replace("pgs_r.\"at\"", &format!("timestamp '{requested}'"))
            .replace("CURRENT_DATE", &format!("date '{today}'"));
        postgres.sql("shop", &format!("SELECT {condition}"))[0][0].clone().unwrap()
    };
    for (requested, today, expected) in [
        ("2026-11-27 16:00", "2026-11-30", "f"),
        ("2026-11-27 16:00", "2026-12-01", "f"),
        ("2026-11-27 16:00", "2026-12-02", "t"),
        ("2026-11-28 09:00", "2026-12-01", "f"),
        ("2026-11-28 09:00", "2026-12-02", "t"),
        ("2026-11-23 23:59", "2026-11-25", "f"),
        ("2026-11-23 23:59", "2026-11-26", "t"),
    ] {
        assert_eq!(late(requested, today), expected, "{requested} {today}");
    }
}

/// A purpose or category that is misspelt in the records does nothing; check says so, and shows none of them.
#[test]
fn check_finds_names_in_records_that_the_rules_do_not_know() {
    let more = "INSERT INTO consents VALUES (50, 9, 'marketting', NULL, NULL), (51, 9, 'marketting', NULL, NULL),
            (52, 9, 'Trần Thị 9, 0901000009', NULL, NULL), (53, 9, 'refusal', 'Phone', NULL), (54, 9, 'refusal', 'email', NULL),
            (55, 9, 'gone', NULL, now()), (56, 9, '0944444441', NULL, NULL), (57, 9, 'CustomerX', NULL, NULL);
        GRANT pg_read_all_data TO pgscrim";
    let (_postgres, proxy) = start_with(DATA, more);
    let check = |sample: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        command.args(["check", "--format", "json", "--config"]).arg(proxy.folder.join("pgscrim.toml")).args(sample);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        for read in ["0901000009", "marketting", "Phone", "0944444441"] {
            assert!(!text.contains(read), "{read}: {text}");
        }
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == "PGC106");
        findings.map(|finding| finding["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(check(&[]), Vec::<String>::new());
    let mut found = check(&["--sample"]);
    found.sort();
    let expected = [
        "1 record has a category (column category) which is none of the rules', and no effect. Did you mean \"phone\"?",
        "2 records have a purpose (column purpose) which is none of the rules', and no effect. Did you mean \"marketing\"?",
        "4 records have a purpose (column purpose) which is none of the rules', and no effect. The rules know: legal-duty, marketing, \
         order-handling, refusal.",
    ];
    assert_eq!(found, expected);
}

/// What one purpose of a role hides is not laid open by a change of links under another, which shows less; what shows as much
/// changes links as it likes.
#[test]
fn links_are_kept_for_all_purposes_of_a_role() {
    let role = "match = { user = [\"marketing\"] }\npurposes = [\"marketing\"]\nconsent = true\nsee = { name = \"clear\", phone = \"clear\", email = \"clear\" }\n";
    assert!(DATA.contains(role));
    let with = |see: &str| {
        let purposes = role.replace("[\"marketing\"]\nconsent", "[\"marketing\", \"upkeep\"]\nconsent");
        DATA.replace(role, &format!("{purposes}[role.for.upkeep]\nconsent = false\nsee = {see}\n"))
    };
    let nothing = "{ name = \"withhold\", phone = \"withhold\", email = \"withhold\" }";
    let all = "{ name = \"clear\", phone = \"clear\", email = \"clear\" }";
    for (see, kept) in [(nothing, "9"), (all, "1")] {
        let (_postgres, proxy) = start(&with(see));
        let mut client = proxy.connect("marketing", "shop");
        client.simple("SET pgscrim.purpose = 'upkeep'");
        // Subject 9 has consented to nothing, and 7 asked to be erased.
        let moved = client.simple("UPDATE orders SET customer_id = 1 WHERE id = 9 RETURNING customer_id");
        assert_eq!(lines(&moved), [kept], "{see}");
        let moved = client.simple("UPDATE orders SET customer_id = 1 WHERE id = 7 RETURNING customer_id");
        assert_eq!(lines(&moved), ["7"], "{see}");
    }
    // A role that sees nothing of anybody may tie rows as it likes.
    let blind =
        DATA.replace("see = { name = \"clear\", phone = \"clear\", email = \"email\" }", "otherwise = \"withhold\"");
    let (_postgres, proxy) = start(&blind);
    let mut staff = proxy.connect("staff", "shop");
    assert_eq!(lines(&staff.simple("UPDATE orders SET customer_id = 1 WHERE id = 7 RETURNING customer_id")), ["1"]);
}

/// What row scopes and records of subjects are read from is not written by those whom it would show more, unless the rules say so.
#[test]
fn a_role_does_not_write_what_decides_what_it_sees() {
    let more = "CREATE VIEW links AS SELECT id AS number, order_id AS o, carrier FROM shipments; GRANT ALL ON links TO ghn;
        CREATE TABLE zones (carrier text, city text, note text); INSERT INTO zones VALUES ('ghn', 'Vinh', NULL);
        CREATE TABLE depots (city text); GRANT ALL ON zones, depots TO ghn; CREATE VIEW open_zones AS SELECT * FROM zones; GRANT ALL ON open_zones TO ghn";
    let rows_of = "rows = { \"public.shipments\" = \"carrier = session_user\" }";
    let scoped = "rows = { \"public.shipments\" = \"carrier = session_user AND status <> 'old'\", \"public.links\" = \"true\", \
        \"public.orders\" = \"EXISTS (SELECT 1 FROM public.shipments s WHERE s.order_id = orders.id AND s.carrier = session_user)\", \
        \"public.customers\" = { where = \"EXISTS (SELECT FROM public.zones z WHERE z.carrier = session_user AND z.city = customers.city)\"GUARD } }";
    for (guard, expected) in [("", "PGS0219"), (", guard = \"none\"", "done")] {
        let rules = DATA.replace(rows_of, &scoped.replace("GUARD", guard));
        let (postgres, proxy) = start_with(&rules, more);
        let mut ghn = proxy.connect("ghn", "shop");
        let mut result = |sql: &str| {
            let messages = ghn.simple(sql);
            let refusal = wire::error(&messages).map(|_| refused(&messages));
            refusal.unwrap_or_else(|| "done".to_owned())
        };
        for sql in [
            "UPDATE zones SET city = 'Huế'",
            "UPDATE zones SET city = upper(city)",
            "UPDATE open_zones SET city = 'Huế'",
            "INSERT INTO zones VALUES ('ghn', 'Huế')",
            "INSERT INTO open_zones VALUES ('ghn', 'Huế')",
            "DELETE FROM zones WHERE city = 'Huế'",
            "MERGE INTO zones USING depots ON depots.city = zones.city WHEN MATCHED THEN UPDATE SET city = 'Huế'",
            "TRUNCATE zones",
        ] {
            // PostgreSQL 14 has no MERGE.
            if sql.starts_with("MERGE") && postgres.version() < 15 {
                continue;
            }
            assert_eq!(result(sql), expected, "{sql}");
        }
        for sql in [
            "UPDATE links SET o = 2 WHERE number = 3",
            "UPDATE shipments SET order_id = 2",
            "UPDATE links SET carrier = 'ghn'",
        ] {
            assert!(["PGS0217", "PGS0219"].contains(&result(sql).as_str()), "{sql}");
        }
        // What decides of a row that is seen by then shows nothing more.
        for sql in [
            "UPDATE zones SET city = city, note = 'x'",
            "UPDATE zones SET city = 'Vinh', carrier = 'ghn', note = 'y' WHERE city = 'Vinh'",
            "UPDATE shipments SET status = 'old' WHERE id = 6",
            "INSERT INTO depots VALUES ('Huế')",
        ] {
            assert_eq!(result(sql), "done", "{sql}");
        }
    }
    // A role may be trusted with records; its purposes count as one.
    let lifting = DATA.replace(
        "see = { name = \"clear\", phone = \"clear\", email = \"email\" }",
        "lifts = [\"refusal\"]\notherwise = \"clear\"",
    );
    for (rules, erasing, lifting) in [(DATA, "PGS0219", "PGS0219"), (&lifting, "PGS0219", "done")] {
        let (_postgres, proxy) = start(rules);
        let mut staff = proxy.connect("staff", "shop");
        let mut result = |sql: &str| {
            let messages = staff.simple(sql);
            wire::error(&messages).map_or_else(|| "done".to_owned(), |_| refused(&messages))
        };
        assert_eq!(result("DELETE FROM erasure_requests"), erasing);
        assert_eq!(result("UPDATE consents SET revoked_at = now() WHERE id = 5"), lifting);
        assert_eq!(result("UPDATE consents SET revoked_at = now() WHERE id = 1"), "done");
    }
}

/// Customers refuse by names of their own: one may stand for several categories.
#[test]
fn a_refused_category_may_stand_for_several() {
    let stands = "category = \"category\"\ncategories = { contact = [\"phone\", \"name\"], email = [\"name\"] }\n";
    let rules = DATA.replace("category = \"category\"\n", stands);
    let more = "INSERT INTO consents VALUES (60, 10, 'refusal', 'contact', NULL), (61, 11, 'refusal', 'email', NULL),
        (62, 12, 'refusal', 'contact', now())";
    for (rules, expected) in [
        (rules.as_str(), ["-|-|k***@gmail.com", "-|0901000011|-", "Trần Thị 12|0901000012|k***@gmail.com"]),
        (
            DATA,
            [
                "Trần Thị 10|0901000010|k***@gmail.com",
                "Trần Thị 11|0901000011|-",
                "Trần Thị 12|0901000012|k***@gmail.com",
            ],
        ),
    ] {
        let (_postgres, proxy) = start_with(rules, more);
        let mut staff = proxy.connect("staff", "shop");
        let sql = "SELECT full_name, phone, email FROM customers WHERE id IN (10, 11, 12) ORDER BY id";
        assert_eq!(lines(&staff.simple(sql)), expected);
    }
}

/// A name in the condition of a scope that is no row's does not stand in the way of UPDATE and DELETE.
#[test]
fn a_scope_may_name_columns_as_the_table() {
    let more = "CREATE TABLE don (so int PRIMARY KEY, tien numeric); CREATE TABLE van_don (don int, shipments text, hang text);
        INSERT INTO don VALUES (1001, 5), (1002, 6); INSERT INTO van_don VALUES (1001, 's', 'ghn'), (1002, 's', 'ghtk');
        GRANT ALL ON don, van_don TO ghn";
    let scope = "rows = { \"public.don\" = \"EXISTS (SELECT 1 FROM public.van_don v WHERE v.don = don.so AND v.hang = session_user)\", \
        \"public.shipments\" = \"carrier = session_user\", \"public.orders\" = \"EXISTS (SELECT FROM public.orders o WHERE o.id = orders.id AND o.total < 50000)\" }";
    let (postgres, proxy) =
        start_with(&DATA.replace("rows = { \"public.shipments\" = \"carrier = session_user\" }", scope), more);
    let mut ghn = proxy.connect("ghn", "shop");
    for (sql, expected) in [
        ("UPDATE don SET tien = 9 WHERE so = 1002", "UPDATE 0"),
        ("UPDATE don SET tien = 9 WHERE so = 1001", "UPDATE 1"),
        ("UPDATE public.don SET tien = tien + 1 WHERE don.so > 0", "UPDATE 1"),
        ("DELETE FROM don", "DELETE 1"),
        ("UPDATE orders SET ship_phone = 'x' WHERE id IN (3, 60)", "UPDATE 1"),
    ] {
        let messages = ghn.simple(sql);
        assert!(wire::error(&messages).is_none(), "{sql}: {}", wire::describe(&messages));
        assert_eq!(messages.iter().find(|message| message.kind == b'C').unwrap().tag(), expected, "{sql}");
    }
    assert_eq!(postgres.sql("shop", "SELECT so FROM don"), [[Some("1002".to_owned())]]);
}
