//! `store_masks = "refuse"`: an application that has read a mask does not store it as if it were somebody's data, in whatever form it sends
//! it; what is no mask is stored as ever.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Postgres, Proxy, proxy::Options, shop, wire};

const ROLE: &str = "name = \"support\"\nmatch = { user = [\"support\"] }\nstore_masks = \"refuse\"\n\
                    see = { name = \"name_initials\", phone = \"phone_last\", email = \"email\", note = \"text_redact\" }\n";

fn start() -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    postgres.sql("shop", "CREATE SEQUENCE ids START 1000; GRANT USAGE ON SEQUENCE ids TO support");
    let (before, _) = shop::RULES.split_once("name = \"support\"").unwrap();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, format!("{before}{ROLE}")));
    (postgres, proxy)
}

fn fails(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    let hint: String = error.field(b'H').unwrap_or_default().chars().take(7).collect();
    format!("{} {hint}", error.field(b'C').unwrap_or_default())
}

fn works(messages: &[wire::Message], what: &str) {
    assert!(wire::error(messages).is_none(), "{what}: {}", wire::describe(messages));
}

const REFUSED: &str = "42501 PGS0209";

#[test]
fn a_mask_is_not_inserted_in_any_form() {
    let (postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    // What the application has read.
    let read = wire::text_rows(&client.simple("SELECT full_name, phone, email, note FROM customers WHERE id = 3"));
    let masks: Vec<String> = read[0].iter().flatten().cloned().collect();
    assert_eq!(masks, ["N*** K***", "*****003", "k***@gmail.com", "*****"]);
    for (column, mask) in ["full_name", "phone", "email", "note"].iter().zip(&masks) {
        let name = if *column == "full_name" { "" } else { ", full_name" };
        let given = if *column == "full_name" { "" } else { ", 'Tran Van A'" };
        for sql in [
            format!("INSERT INTO customers (id, {column}{name}) VALUES (nextval('ids'), '{mask}'{given})"),
            format!(
                "INSERT INTO customers ({column}, id{name}) VALUES ('x', nextval('ids'){given}), ('{mask}', nextval('ids'){given})"
            ),
            format!("INSERT INTO customers (id, {column}{name}) SELECT nextval('ids'), '{mask}'{given}"),
            format!(
                "INSERT INTO customers (id, {column}{name}) SELECT nextval('ids') AS a, '{mask}' b{given} WHERE true"
            ),
            format!(
                "INSERT INTO customers (id, {column}{name}) VALUES (nextval('ids'), '{}' || '{}'{given})",
                mask.split_at(1).0,
                mask.split_at(1).1
            ),
            format!("INSERT INTO customers (id, {column}{name}) VALUES (nextval('ids'), E'{mask}'::text{given})"),
            format!(
                "INSERT INTO customers (id, {column}{name}) VALUES (nextval('ids'), coalesce(NULL, '{mask}'){given}) ON CONFLICT DO NOTHING RETURNING id"
            ),
            format!(
                "WITH w AS (INSERT INTO customers (id, {column}{name}) VALUES (nextval('ids'), '{mask}'{given}) RETURNING id) SELECT * FROM w"
            ),
            // Another row's mask in an UPDATE.
            format!("UPDATE customers SET {column} = '{mask}' WHERE id = 14"),
            format!(
                "INSERT INTO customers (id, {column}{name}) VALUES (14, 'x'{given}) ON CONFLICT (id) DO UPDATE SET {column} = '{mask}'"
            ),
        ] {
            // Names and addresses of others may be masked alike: then nothing changes.
            let alike = sql.contains("14") && *column != "phone";
            if alike {
                works(&client.simple(&sql), &sql);
            } else {
                assert_eq!(fails(&client.simple(&sql)), REFUSED, "{sql}");
            }
        }
        // Text and binary parameters, which are the same bytes.
        let sql = format!("INSERT INTO customers (id, {column}{name}) VALUES (nextval('ids'), $1{given})");
        for format in [0, 1] {
            let mut bytes = wire::parse("", &sql, &[]);
            bytes.extend(wire::bind("", "", &[format], &[Some(mask.as_bytes())], &[0]));
            bytes.extend(wire::execute("", 0));
            bytes.extend(wire::frame(b'S', &[]));
            client.send(&bytes);
            let answer = client.until_ready();
            assert_eq!(fails(&answer), REFUSED, "{sql} {format}");
        }
        let answer = client.extended(&format!("{sql} RETURNING id"), &[Some(b"no mask")], 0);
        works(&answer, &sql);
    }
    // Nothing of it was stored, and the session goes on.
    let stored =
        postgres.sql("shop", "SELECT count(*) FROM customers WHERE concat(full_name, phone, email, note) LIKE '%*%'");
    assert_eq!(stored[0][0].as_deref(), Some("0"));
    assert_eq!(postgres.sql("shop", "SELECT phone FROM customers WHERE id = 14")[0][0].as_deref(), Some("0901234014"));
    let error =
        client.simple("INSERT INTO customers (id, full_name, phone) VALUES (nextval('ids'), 'Le Van C', '*****003')");
    let error = wire::error(&error).unwrap();
    assert_eq!(error.field(b'M').unwrap(), "a masked value would be stored in column public.customers.phone");
    works(&client.simple("SELECT 1"), "afterwards");
}

#[test]
fn what_is_no_mask_is_stored_as_ever() {
    let (postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    for sql in [
        "INSERT INTO customers (id, full_name, phone, email, note) VALUES (500, 'Le Van C', '0907654321', 'c@firma.vn', 'rated 5* by us')",
        "INSERT INTO customers (id, full_name, phone, email) VALUES (501, 'Le', NULL, ''), (502, 'Van', DEFAULT, 'a*b@x.vn')",
        "INSERT INTO customers (id, full_name) SELECT 503, 'Thi D'",
        "INSERT INTO customers (id, full_name, born) SELECT 504, upper('thi e'), '1990-01-01'",
        "INSERT INTO orders (id, customer_id, amount, placed) SELECT 900, id, 1, '2025-01-01' FROM customers WHERE id = 3",
        "INSERT INTO orders VALUES (901, 3, 1, '2025-01-01')",
        "UPDATE customers SET phone = '0900000000' WHERE id = 500",
        // Its own mask back: nothing changes.
        "UPDATE customers SET phone = '*****005', full_name = 'N*** K***' WHERE id = 5",
    ] {
        works(&client.simple(sql), sql);
    }
    let answer = client.extended(
        "INSERT INTO customers (id, full_name, phone) VALUES ($1, $2, $3)",
        &[Some(b"505"), Some(b"F"), None],
        0,
    );
    works(&answer, "parameters");
    let rows = postgres.sql(
        "shop",
        "SELECT id, full_name, phone FROM customers WHERE id IN (5, 500, 501, 502, 503, 504, 505) ORDER BY id",
    );
    let shown: Vec<String> = rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "5 Nguyen Thi Minh Khai5 0901234005",
        "500 Le Van C 0900000000",
        "501 Le -",
        "502 Van -",
        "503 Thi D -",
        "504 THI E -",
        "505 F -",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn where_values_cannot_be_told_the_statement_is_refused() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    for sql in [
        "INSERT INTO customers (id, full_name) SELECT 600, 'a' UNION SELECT 601, 'b'",
        "INSERT INTO customers (id, full_name) SELECT DISTINCT 600, 'a'",
        "INSERT INTO customers (id, full_name) SELECT * FROM (VALUES (600, 'N*** K***')) v",
        "INSERT INTO customers (id, full_name) (SELECT 600, 'N*** K***')",
        "INSERT INTO customers (id, full_name) TABLE orders",
        "MERGE INTO customers c USING orders o ON c.id = o.id WHEN NOT MATCHED THEN INSERT (id, full_name) VALUES (o.id, 'N*** K***')",
    ] {
        let hint = fails(&client.simple(sql));
        assert!(hint.ends_with("PGS0106"), "{sql}: {hint}");
    }
    assert_eq!(fails(&client.simple("COPY customers FROM STDIN")), REFUSED);
    assert_eq!(fails(&client.simple("COPY customers (id, phone) FROM STDIN")), REFUSED);
    // Columns that are not masked are not looked at.
    for sql in [
        "INSERT INTO orders SELECT 902, 3, 1, date '2025-01-01' UNION SELECT 903, 3, 1, '2025-01-02'",
        "INSERT INTO orders (id, customer_id, amount, placed) SELECT DISTINCT 904, 3, 1, date '2025-01-01'",
    ] {
        works(&client.simple(sql), sql);
    }
}

/// Without the key everything is as it was: the mask is stored.
#[test]
fn without_the_key_nothing_is_looked_at() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let mut client = proxy.connect("support", "shop");
    works(&client.simple("INSERT INTO customers (id, full_name, phone) VALUES (500, 'x', '*****003')"), "insert");
    assert_eq!(postgres.sql("shop", "SELECT phone FROM customers WHERE id = 500")[0][0].as_deref(), Some("*****003"));
}

const TYPED: &str = r#"
policy = "typed"
[category.all]
columns = ["public.typed.d", "public.typed.ts", "public.typed.tz", "public.typed.i", "public.typed.big", "public.typed.n", "public.typed.f", "public.typed.b", "public.typed.u", "public.typed.y", "public.typed.m", "public.typed.t", "public.typed.v", "public.typed.c", "public.typed.j", "public.typed.a", "public.typed.tm", "public.typed.ip"]
[category.none]
columns = ["public.typed.id", "public.plain.*"]
[[role]]
name = "owner"
match = { user = "owner" }
exempt = true
[[role]]
name = "support"
match = { user = "support" }
see = { all = "withhold" }
"#;

/// Values that an assignment casts, and such as it does not: PostgreSQL decides, guards or not.
#[test]
fn guards_take_what_postgresql_assigns() {
    let postgres = shop::postgres();
    postgres.sql(
        "shop",
        "CREATE TYPE mood AS ENUM ('ok', 'bad');
         CREATE TABLE typed (id int, d date, ts timestamp, tz timestamptz, i int, big bigint, n numeric(6,2), f float8, b bool, u uuid,
             y bytea, m mood, t text, v varchar(4), c char(4), j jsonb, a int[], tm time, ip inet);
         CREATE TABLE plain (s text, k int, w timestamptz);
         INSERT INTO plain VALUES ('2020-01-01', 1, '2020-01-01 00:00Z'); INSERT INTO typed (id) VALUES (1);
         GRANT ALL ON typed, plain TO support",
    );
    let mut others = Vec::new();
    for mode in ["", "store_masks = \"refuse\"\n"] {
        let rules = format!("{TYPED}{mode}");
        let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
        let mut clients = ["support", "owner"].map(|user| proxy.connect(user, "shop"));
        for assignment in [
            "d = 'a' || 'b'",
            "d = '2020-01-01'",
            "d = ('2020-01-01')",
            "d = now()",
            "d = s",
            "d = (SELECT '2020-01-01')",
            "d = date '2020-01-01' + 1",
            "d = CASE WHEN true THEN '2020-01-01' END",
            "d = coalesce(NULL, '2020-01-01')",
            "d = NULL",
            "d = (NULL)",
            "d = current_date",
            "d = 5",
            "d = w",
            "ts = now()",
            "ts = s",
            "ts = current_date",
            "tz = current_date",
            "tz = w - interval '1 day'",
            "tz = lower('A')",
            "i = 1.5",
            "i = k + 1",
            "i = '7'",
            "i = '7'::text",
            "i = true",
            "i = s",
            "i = 3000000000 - 1",
            "i = -5",
            "i = k * 1.5",
            "i = to_char(k, '9')",
            "big = k",
            "big = 1e3",
            "n = k",
            "n = 1234567.5",
            "n = s",
            "f = k",
            "f = 1.5",
            "b = 1",
            "b = true",
            "b = k > 0",
            "b = 'yes'",
            "b = 'yes'::text",
            "u = gen_random_uuid()",
            "u = md5('a')",
            "u = md5('a')::uuid",
            "y = decode('00', 'hex')",
            "y = s",
            "m = 'ok'",
            "m = 'ok'::text",
            "m = CASE WHEN k = 1 THEN 'ok' ELSE 'bad' END::mood",
            "m = CASE WHEN k = 1 THEN 'ok' ELSE 'bad' END",
            "t = 5",
            "t = now()",
            "t = k",
            "v = 12345",
            "v = 'abc' || 'd'",
            "v = 'abcdefg'::text",
            "c = k",
            "c = 'x' || 'y'",
            "j = to_jsonb(k)",
            "j = json_build_object('a', 1)",
            "a = ARRAY[1, 2]",
            "a = ARRAY[1.5, 2]",
            "tm = now()",
            "ip = cidr '10.0.0.0/8'",
            "ip = s",
        ] {
            let (column, value) = assignment.split_once(" = ").unwrap();
            let update = format!("UPDATE typed SET {assignment} FROM plain");
            let insert = format!("INSERT INTO typed (id, {column}) SELECT 2, {value} FROM plain");
            let row = format!("INSERT INTO typed (id, {column}) VALUES (2, {value})");
            for sql in [&update, &insert, &row] {
                let codes = clients.each_mut().map(|client| {
                    client.simple("BEGIN");
                    let answer = client.simple(sql);
                    client.simple("ROLLBACK");
                    wire::error(&answer).and_then(|error| error.field(b'C'))
                });
                if codes[0] != codes[1] {
                    others.push(format!("{mode}{sql}: {codes:?}"));
                }
            }
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}
