//! Rows about several people: an order with buyer and recipient, a message with sender and recipient. Each of them may hide what
//! is about both, and what is about one alone the other does not hide.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Postgres, Proxy, shop, wire};

const SCHEMA: &str = "
CREATE ROLE staff LOGIN; CREATE ROLE marketing LOGIN; CREATE ROLE authority LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE customers (id int PRIMARY KEY, full_name text);
CREATE TABLE orders (
    id int PRIMARY KEY, buyer_id int REFERENCES customers, recipient_id int REFERENCES customers, buyer_note text,
    recipient_name text, recipient_phone text, gift_note text, total int
);
CREATE TABLE messages (
    id int PRIMARY KEY, sender_id int REFERENCES customers, recipient_id int REFERENCES customers, body text
);
CREATE TABLE parcels (id int PRIMARY KEY, order_id int REFERENCES orders, label text);
CREATE TABLE consents (id int PRIMARY KEY, customer_id int NOT NULL, purpose text NOT NULL, category text);
CREATE TABLE erasure_requests (id serial PRIMARY KEY, customer_id int NOT NULL);
CREATE INDEX ON erasure_requests (customer_id);
CREATE INDEX ON consents (customer_id);
CREATE VIEW labels AS SELECT p.id, p.label FROM parcels p;
INSERT INTO customers SELECT n, 'Khách ' || n FROM generate_series(1, 6) n;
INSERT INTO orders SELECT id, buyer, recipient, 'b' || id, 'r' || id, '090000000' || id, 'g' || id, id * 10
    FROM (VALUES (1, 1, 2), (2, 1, 3), (3, 3, 1), (4, 1, NULL), (5, 1, 4)) o (id, buyer, recipient);
INSERT INTO messages VALUES (1, 1, 2, 'm1'), (2, 1, 3, 'm2'), (3, 3, 1, 'm3'), (4, 1, NULL, 'm4'), (5, 5, 1, 'm5'), (6, NULL, NULL, 'm6');
INSERT INTO parcels SELECT id, id, 'l' || id FROM orders;
INSERT INTO consents VALUES (1, 1, 'marketing', NULL), (2, 2, 'marketing', NULL), (3, 5, 'refusal', 'note');
INSERT INTO erasure_requests (customer_id) VALUES (3);
GRANT ALL ON ALL TABLES IN SCHEMA public TO staff, marketing, authority;
GRANT USAGE ON SEQUENCE erasure_requests_id_seq TO staff;
";

const RULES: &str = r#"
policy = "several"
[subject]
key = "public.customers.id"
[subject.links]
"public.orders.buyer_id" = { to = "public.customers.id", columns = ["buyer_note"] }
"public.orders.recipient_id" = { to = "public.customers.id", columns = ["recipient_name", "recipient_phone"] }
"public.messages.sender_id" = "public.customers.id"
"public.messages.recipient_id" = "public.customers.id"
"public.parcels.order_id" = "public.orders.id"
"public.labels.id" = "public.parcels.id"
[consent]
records = "public.consents"
subject = "customer_id"
purpose = "purpose"
[refusal]
records = "public.consents"
subject = "customer_id"
category = "category"
where = "purpose = 'refusal'"
[erasure]
records = "public.erasure_requests"
subject = "customer_id"
[category.none]
columns = ["public.customers.id", "public.orders.id", "public.orders.buyer_id", "public.orders.recipient_id",
    "public.orders.total", "public.messages.id", "public.messages.sender_id", "public.messages.recipient_id",
    "public.parcels.id", "public.parcels.order_id", "public.labels.id"]
[category.name]
columns = ["public.customers.full_name", "public.orders.recipient_name"]
[category.phone]
columns = ["public.orders.recipient_phone"]
[category.note]
columns = ["public.orders.buyer_note", "public.orders.gift_note", "public.messages.body", "public.parcels.label"]

[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true
[[role]]
name = "staff"
match = { user = ["staff"] }
purposes = ["order-handling"]
see = { name = "clear", phone = "phone_last", note = "clear" }
search = { phone = "exact" }
[[role]]
name = "marketing"
match = { user = ["marketing"] }
purposes = ["marketing"]
consent = true
see = { name = "clear", phone = "clear", note = "clear" }
[[role]]
name = "authority"
match = { user = ["authority"] }
purposes = ["legal-duty"]
recipient = "authority"
legal_duty = true
otherwise = "withhold"
"#;

fn start(rules: &str, more: &str) -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA, more], rules)
}

fn rows(messages: &[wire::Message]) -> String {
    wire::lines(messages).join(", ").replace('|', " ")
}

fn value(postgres: &Postgres, database: &str, sql: &str) -> String {
    postgres.sql(database, sql)[0][0].clone().unwrap_or_default()
}

const ORDERS: &str = "SELECT id, buyer_note, recipient_name, gift_note FROM orders ORDER BY id";
const MESSAGES: &str = "SELECT id, body FROM messages ORDER BY id";
const PARCELS: &str = "SELECT id, label FROM parcels ORDER BY id";

#[test]
fn each_subject_of_a_row_counts() {
    let grant = |subjects: &str| shop::grant("1/CV", -3600, 3600, subjects, "{ note = \"clear\", name = \"clear\" }");
    let (postgres, proxy) = start(&format!("{RULES}{}", grant("[1, 3]")), "");
    let mut staff = proxy.connect("staff", "shop");
    assert_eq!(rows(&staff.simple(ORDERS)), "1 b1 r1 g1, 2 b2 - -, 3 - r3 -, 4 b4 r4 g4, 5 b5 r5 g5");
    // A refusal of one, an erasure of one; nobody asks for those who are not known.
    assert_eq!(rows(&staff.simple(MESSAGES)), "1 m1, 2 -, 3 -, 4 m4, 5 -, 6 m6");
    assert_eq!(rows(&staff.simple(PARCELS)), "1 l1, 2 -, 3 -, 4 l4, 5 l5");
    assert_eq!(rows(&staff.simple("SELECT id, label FROM labels ORDER BY id")), "1 l1, 2 -, 3 -, 4 l4, 5 l5");
    // What is hidden is not found.
    for (id, found) in [(1, "1"), (2, ""), (3, "3")] {
        let sql = format!("SELECT id FROM orders WHERE recipient_phone = '090000000{id}'");
        assert_eq!(rows(&staff.simple(&sql)), found, "{sql}");
    }
    assert_eq!(rows(&staff.simple("SELECT id FROM messages WHERE body LIKE 'm%' ORDER BY 1")), "1, 4, 6");
    // Nobody is taken out of a row, or put into one, by whom it is hidden.
    for column in ["recipient_id", "buyer_id"] {
        staff.simple(&format!("UPDATE orders SET {column} = NULL WHERE id IN (2, 3)"));
        staff.simple(&format!("UPDATE orders SET {column} = 1 WHERE id IN (2, 3)"));
    }
    staff.simple("UPDATE messages SET recipient_id = NULL, sender_id = 1");
    assert_eq!(
        value(
            &postgres,
            "shop",
            "SELECT string_agg(concat(buyer_id, '>', recipient_id), ' ' ORDER BY id) FROM orders WHERE id IN (2, 3)"
        ),
        "1>3 3>1"
    );
    assert_eq!(
        value(
            &postgres,
            "shop",
            "SELECT string_agg(concat(sender_id, '>', recipient_id), ' ' ORDER BY id) FROM messages WHERE id IN (2, 3, 5)"
        ),
        "1>3 3>1 5>1"
    );

    // All must consent; who is not known need not, beside one who has.
    let mut marketing = proxy.connect("marketing", "shop");
    assert_eq!(rows(&marketing.simple(ORDERS)), "1 b1 r1 g1, 2 b2 - -, 3 - r3 -, 4 b4 - g4, 5 b5 - -");
    assert_eq!(rows(&marketing.simple(PARCELS)), "1 l1, 2 -, 3 -, 4 l4, 5 -");
    // A grant opens what is about those that it names alone.
    let mut authority = proxy.connect("authority", "shop");
    assert_eq!(rows(&authority.simple(ORDERS)), "1 b1 - -, 2 b2 r2 g2, 3 b3 r3 g3, 4 b4 - g4, 5 b5 - -");
    assert_eq!(rows(&authority.simple(PARCELS)), "1 -, 2 l2, 3 l3, 4 l4, 5 -");
    // From the moment that any of them asks for it.
    let erased = staff.simple("INSERT INTO erasure_requests (customer_id) VALUES (2)");
    assert!(wire::error(&erased).is_none(), "{}", wire::describe(&erased));
    assert_eq!(rows(&staff.simple(ORDERS)), "1 b1 - -, 2 b2 - -, 3 - r3 -, 4 b4 r4 g4, 5 b5 r5 g5");
    assert_eq!(rows(&staff.simple(PARCELS)), "1 -, 2 -, 3 -, 4 l4, 5 l5");
}

#[test]
fn messages_need_the_consent_of_both() {
    let (_postgres, proxy) = start(
        RULES,
        "INSERT INTO consents VALUES (9, 3, 'marketing', NULL); DELETE FROM erasure_requests;
        UPDATE messages SET recipient_id = 4 WHERE id = 2",
    );
    let mut marketing = proxy.connect("marketing", "shop");
    assert_eq!(rows(&marketing.simple(MESSAGES)), "1 m1, 2 -, 3 m3, 4 m4, 5 -, 6 -");
}

/// Two databases that differ in what is hidden because of one of two subjects give the same answers.
#[test]
fn what_one_of_two_subjects_hides_makes_no_difference() {
    let world = |letter: &str| {
        start(
            RULES,
            &format!(
                "UPDATE orders SET recipient_name = '{letter}', recipient_phone = '{letter}' WHERE recipient_id = 3;
                 UPDATE orders SET buyer_note = '{letter}' WHERE buyer_id = 3;
                 UPDATE orders SET gift_note = '{letter}' WHERE 3 IN (buyer_id, recipient_id);
                 UPDATE messages SET body = '{letter}' WHERE id IN (2, 3, 5); UPDATE parcels SET label = '{letter}' WHERE id IN (2, 3)"
            ),
        )
    };
    let worlds = [world("a"), world("zz")];
    let mut clients = worlds.each_ref().map(|(_, proxy)| proxy.connect("staff", "shop"));
    for sql in [
        "SELECT * FROM orders ORDER BY gift_note, id",
        "SELECT o, o.* FROM orders o ORDER BY recipient_name, id",
        "SELECT max(recipient_name), min(recipient_phone), count(DISTINCT gift_note), string_agg(buyer_note, ',' ORDER BY id) FROM orders",
        "SELECT id FROM orders WHERE recipient_phone = 'a'",
        "SELECT id FROM orders WHERE recipient_phone IN ('zz', 'a') OR gift_note = 'a' ORDER BY id",
        "SELECT m.id, n.id FROM messages m JOIN messages n ON m.body < n.body ORDER BY 1, 2",
        "SELECT p.id FROM parcels p LEFT JOIN messages m ON p.label = m.body ORDER BY p.label, p.id",
        "SELECT to_jsonb(m) FROM messages m ORDER BY id",
        "SELECT length(label), id FROM labels ORDER BY label, id",
        "SELECT id FROM messages WHERE body::int > 0",
        "UPDATE orders SET total = length(gift_note) WHERE id = 1 RETURNING *",
        "UPDATE messages SET body = body WHERE body > 'b' RETURNING id, body",
        "UPDATE orders SET recipient_id = 1 WHERE recipient_name = 'a' RETURNING id",
        "DELETE FROM parcels WHERE label = 'zz' RETURNING id",
        "COPY (SELECT * FROM messages ORDER BY body, id) TO STDOUT",
    ] {
        let [one, two] = clients.each_mut().map(|client| wire::describe(&client.simple(sql)));
        assert_eq!(one, two, "{sql}");
    }
}
