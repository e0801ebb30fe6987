//! Writes that would lay open what is hidden, by ways around the column that decides: a view that links to one of two subjects, a generated
//! column, a partition that rows move into, a view of the records.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Postgres, Proxy, shop, wire};

const SCHEMA: &str = "
CREATE ROLE w LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE c (id int PRIMARY KEY, phone text);
CREATE TABLE o (id int PRIMARY KEY, buyer_id int NOT NULL REFERENCES c, recipient_id int NOT NULL REFERENCES c, status text, note text);
CREATE TABLE er (c_id int);
CREATE VIEW o_board AS SELECT id, buyer_id, recipient_id, status FROM o;
CREATE VIEW o_both AS SELECT id, buyer_id AS buyer, recipient_id AS recipient, status FROM o;
CREATE TABLE og (id int PRIMARY KEY, ref text NOT NULL, owner int GENERATED ALWAYS AS (split_part(ref, '-', 1)::int) STORED REFERENCES c, note text);
CREATE TABLE gp (id int, room int, login text, act bool) PARTITION BY LIST (act);
CREATE TABLE gp1 PARTITION OF gp FOR VALUES IN (true);
CREATE TABLE gp2 PARTITION OF gp FOR VALUES IN (false);
CREATE TABLE r3 (id int, t text);
CREATE TABLE ep (id int, c_id int, done bool) PARTITION BY LIST (done);
CREATE TABLE ep_open PARTITION OF ep FOR VALUES IN (false);
CREATE TABLE ep_done PARTITION OF ep FOR VALUES IN (true);
CREATE TABLE er3 (id int, c_id int, st text);
CREATE VIEW er3_v AS SELECT id AS i, c_id AS subj FROM er3 WHERE st = 'live';
INSERT INTO c SELECT n, 'phone ' || n FROM generate_series(1, 4) n;
INSERT INTO er VALUES (2);
INSERT INTO ep VALUES (1, 2, false);
INSERT INTO er3 VALUES (1, 2, 'live');
INSERT INTO o VALUES (10, 2, 1, 'new', 'SECRET'), (11, 1, 3, 'new', 'open');
INSERT INTO og VALUES (1, '2-x', DEFAULT, 'SECRET'), (2, '3-y', DEFAULT, 'open');
INSERT INTO gp VALUES (1, 1, 'w', true), (2, 2, 'w', false);
INSERT INTO r3 VALUES (1, 'seen'), (2, 'SECRET');
GRANT ALL ON ALL TABLES IN SCHEMA public TO w;
";

fn rules(records: &str) -> String {
    format!(
        r#"
policy = "p"
[subject]
key = "public.c.id"
[subject.links]
"public.o.buyer_id" = "public.c.id"
"public.o.recipient_id" = "public.c.id"
"public.o_board.recipient_id" = "public.c.id"
"public.o_both.buyer" = "public.c.id"
"public.o_both.recipient" = "public.c.id"
"public.og.owner" = "public.c.id"
[erasure]
{records}
[category.none]
columns = ["public.*.id", "public.*.buyer_id", "public.*.recipient_id", "public.*.buyer", "public.*.recipient", "public.*.status", "public.og.ref", "public.og.owner", "public.er.*",
    "public.ep.*", "public.er3.*", "public.gp.*"]
[category.note]
columns = ["public.*.note"]
[category.phone]
columns = ["public.c.phone"]
[[role]]
name = "owner"
match = {{ user = ["owner", "postgres"] }}
exempt = true
[[role]]
name = "w"
match = {{ user = ["w"] }}
see = {{ note = "clear", phone = "clear" }}
rows = {{ "public.r3" = "EXISTS (SELECT 1 FROM public.gp1 p WHERE p.room = r3.id AND p.login = session_user)" }}
"#
    )
}

fn start(records: &str) -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA], &rules(records))
}

/// What any of the statements lets be seen after it.
fn laid_open(proxy: &Proxy, postgres: &Postgres, statements: &[&str], read: &str, secret: &str) {
    let mut client = proxy.connect("w", "shop");
    let shows = |client: &mut wire::Client| wire::describe(&client.simple(read)).contains(secret);
    assert!(!shows(&mut client), "it is hidden");
    for sql in statements {
        client.simple(sql);
        assert!(!shows(&mut client), "{sql}");
    }
    // It is there to be seen.
    assert!(!postgres.sql("shop", &format!("SELECT 1 FROM ({read}) x WHERE x::text LIKE '%{secret}%'")).is_empty());
}

const ERASED: &str = "records = \"public.er\"\nsubject = \"c_id\"";

#[test]
fn by_a_view_that_links_to_one_of_two_subjects() {
    let (postgres, proxy) = start(ERASED);
    let statements = [
        "UPDATE o_board SET buyer_id = 3 WHERE id = 10",
        "UPDATE o_board SET buyer_id = 3, recipient_id = 3",
        "UPDATE o_both SET buyer = 3 WHERE id = 10",
        "UPDATE o SET buyer_id = 3 WHERE id = 10",
    ];
    laid_open(&proxy, &postgres, &statements, "SELECT * FROM o", "SECRET");
    // A view with all of the links is written through, as the table is.
    let mut client = proxy.connect("w", "shop");
    client.simple("UPDATE o_both SET buyer = 4 WHERE id = 11");
    assert_eq!(postgres.sql("shop", "SELECT buyer_id FROM o WHERE id = 11")[0][0].as_deref(), Some("4"));
    let status = client.simple("UPDATE o_board SET status = 'sent' WHERE id = 11");
    assert!(wire::error(&status).is_none(), "{}", wire::describe(&status));
}

#[test]
fn by_what_a_generated_link_is_computed_from() {
    let (postgres, proxy) = start(ERASED);
    let statements = [
        "UPDATE og SET ref = '3-z'",
        "INSERT INTO og (id, ref) VALUES (1, '3-z') ON CONFLICT (id) DO UPDATE SET ref = excluded.ref",
        "MERGE INTO og USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET ref = '3-q'",
    ];
    laid_open(&proxy, &postgres, &statements, "SELECT * FROM og", "SECRET");
    let mut client = proxy.connect("w", "shop");
    client.simple("UPDATE og SET ref = '4-z' WHERE id = 2");
    assert_eq!(postgres.sql("shop", "SELECT owner FROM og WHERE id = 2")[0][0].as_deref(), Some("4"));
}

#[test]
fn by_rows_that_move_into_a_partition() {
    let (postgres, proxy) = start("records = \"public.ep_open\"\nsubject = \"c_id\"");
    let moves = ["UPDATE gp SET act = true", "UPDATE gp2 SET act = true", "INSERT INTO gp VALUES (3, 2, 'w', true)"];
    laid_open(&proxy, &postgres, &moves, "SELECT * FROM r3", "SECRET");
    laid_open(&proxy, &postgres, &["UPDATE ep SET done = true", "DELETE FROM ep"], "SELECT * FROM c", "phone 2");
}

#[test]
fn by_what_a_view_of_the_records_reads() {
    let (postgres, proxy) = start("records = \"public.er3_v\"\nsubject = \"subj\"");
    let statements = [
        "DELETE FROM er3",
        "UPDATE er3 SET st = 'x'",
        "UPDATE er3 SET c_id = 1",
        "TRUNCATE er3",
        "MERGE INTO er3 USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
        "UPDATE er3_v SET subj = 1",
        "DELETE FROM er3_v",
    ];
    laid_open(&proxy, &postgres, &statements, "SELECT * FROM c", "phone 2");
}
