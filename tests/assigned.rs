//! What is assigned to a guarded column is stored, or refused by the server, as it is without pgscrim: values of domains, of arrays of them, and of
//! intervals with fields, of which casts and assignments differ.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{shop, wire};

const COLUMNS: &[(&str, &str)] = &[
    ("plate", "plate"),
    ("nested", "nested"),
    ("fixed", "fixed"),
    ("bits", "bits"),
    ("varbits", "varbits"),
    ("list", "plate[]"),
    ("lists", "plates"),
    ("amount", "amount"),
    ("days", "interval day"),
    ("years", "interval year"),
    ("minutes", "interval hour to minute"),
    ("every", "every"),
    ("spans", "interval day[]"),
    ("kind", "kind"),
    ("short", "varchar(5)"),
];

const VALUES: &[&str] = &[
    "'51A-12345'",
    "'51A'",
    "'51A  '",
    "'51A      '",
    "NULL",
    "lower('51A-12345')",
    "upper('ab')",
    "123.456",
    "12",
    "'101'",
    "'10101'",
    "B'101'",
    "B'1010'",
    "'{abcdef}'",
    "'{abc}'",
    "array['abcdefgh']",
    "array['ab']::text[]",
    "'5'",
    "E'5'",
    "('5')",
    "interval '5'",
    "interval '5 days 3 hours'",
    "'1 12:30:15'",
    "'{5,6}'",
    "array['5'::interval]",
    "'low'",
    "'none'",
    "'99999.999'",
    "99999.999",
    "123456",
    "short",
    "days",
    "(SELECT 'abcdefgh'::text)",
    "CASE WHEN id = 1 THEN 'abcdefgh' END",
];

#[test]
fn values_are_stored_as_they_are_without_pgscrim() {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    let schema = format!(
        "CREATE ROLE w LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
         CREATE TYPE level AS ENUM ('low', 'high');
         CREATE DOMAIN plate AS varchar(5); CREATE DOMAIN nested AS plate NOT NULL DEFAULT 'x'; CREATE DOMAIN fixed AS char(4);
         CREATE DOMAIN bits AS bit(4); CREATE DOMAIN varbits AS varbit(4); CREATE DOMAIN plates AS varchar(3)[]; CREATE DOMAIN amount AS numeric(7, 2);
         CREATE DOMAIN every AS interval day; CREATE DOMAIN kind AS level CHECK (VALUE <> 'high');
         CREATE TABLE c (id int PRIMARY KEY); CREATE TABLE er (c_id int);
         CREATE TABLE t (id int PRIMARY KEY REFERENCES c, {columns}); CREATE TABLE d (LIKE t INCLUDING ALL);
         INSERT INTO c VALUES (1), (2);
         INSERT INTO t (id, short, days) VALUES (1, 'abcde', '3 days'), (2, 'b', NULL); INSERT INTO d SELECT * FROM t;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO w",
        columns = columns.join(", ")
    );
    let names: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("\"public.t.{name}\"")).collect();
    let rules = format!(
        r#"
policy = "p"
[subject]
key = "public.c.id"
[subject.links]
"public.t.id" = "public.c.id"
[erasure]
records = "public.er"
subject = "c_id"
[category.none]
columns = ["public.*.id", "public.er.*"]
[category.note]
columns = [{}]
[[role]]
name = "owner"
match = {{ user = ["owner", "postgres"] }}
exempt = true
[[role]]
name = "w"
match = {{ user = ["w"] }}
see = {{ note = "clear" }}
"#,
        names.join(", ")
    );
    let (postgres, proxy) = shop::start_other(&[&schema], &rules);
    let mut through = proxy.connect("w", "shop");
    let mut direct = wire::Client::connect(&postgres.address(), &[("user", "w"), ("database", "shop")]).unwrap();
    let (mut stored, mut failed, mut problems) = (0, 0, Vec::new());
    for (column, kind) in COLUMNS {
        for value in VALUES {
            for form in [
                format!("UPDATE # SET {column} = {value} WHERE id = 1 RETURNING {column}::text"),
                format!(
                    "INSERT INTO # (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET {column} = {value} RETURNING #.{column}::text"
                ),
                format!(
                    "MERGE INTO # USING (VALUES (1)) AS s (n) ON id = n WHEN MATCHED THEN UPDATE SET {column} = {value}"
                ),
            ] {
                if form.starts_with("MERGE") && postgres.version() < 15 {
                    continue;
                }
                // A name in DO UPDATE means two rows.
                if form.contains("CONFLICT") && ["short", "days"].contains(value)
                    || form.contains("CONFLICT") && value.contains(" id ")
                {
                    continue;
                }
                let run = |client: &mut wire::Client, table: &str| {
                    client.simple("BEGIN");
                    let answer = client.simple(&form.replace('#', table));
                    let error = wire::error(&answer).map(|error| error.field(b'C').unwrap_or_default().clone());
                    let after = client.simple(&format!("SELECT {column}::text FROM {table} ORDER BY id"));
                    client.simple("ROLLBACK");
                    (error, wire::text_rows(&after))
                };
                let (got, expected) = (run(&mut through, "t"), run(&mut direct, "d"));
                stored += usize::from(expected.0.is_none());
                failed += usize::from(expected.0.is_some());
                // A value of another type is refused; by which part of the server is another matter.
                let alike = got.0 == expected.0 || got.0.is_some() && expected.0.as_deref() == Some("42804");
                if !alike || got.1 != expected.1 {
                    problems.push(format!("{kind}: {form}\n  {got:?}\n  {expected:?}"));
                }
            }
        }
    }
    let least = if postgres.version() < 15 { 200 } else { 300 };
    assert!(stored > least && failed > least, "{stored} stored, {failed} failed");
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
