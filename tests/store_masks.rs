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
