//! When a row scope must be a barrier: what a statement could tell of hidden rows by failing on one, and what it could not. The texts that
//! are sent are looked at, and run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, planner, shop,
    wire::{self, lines},
};
use pgscrim::{
    bind::Parameters,
    engine::{Inputs, Protocol, QueryContext, plan},
    policy::RoleId,
};

const SCHEMA: &str = "
CREATE ROLE ghn LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TYPE mood AS ENUM ('new', 'old');
CREATE TABLE docs (id int PRIMARY KEY, total numeric, big int8, meta jsonb, txt varchar, mood mood, made timestamptz, f float8,
    day date, stamp timestamp);
CREATE TABLE items (id int PRIMARY KEY, total numeric, big int8, txt varchar, vis boolean, made timestamptz, f float8, day date, stamp timestamp);
CREATE TABLE notes (id int, x int, txt varchar, loid oid);
CREATE VIEW ratio AS SELECT id, 10 / x AS y FROM notes;
CREATE TABLE access (doc_id int, who text);
CREATE TABLE plain (id int PRIMARY KEY);
CREATE TABLE numbers (f float8);
INSERT INTO docs SELECT n, n * 1000, n, '{}', '{}', 'new', '2026-01-01 00:00Z' FROM generate_series(1, 40) n;
INSERT INTO items SELECT n, n * 1000, n, 'x', n <> 2 FROM generate_series(1, 40) n;
INSERT INTO access SELECT n, 'ghn' FROM generate_series(1, 40) n WHERE n <> 2;
INSERT INTO plain SELECT generate_series(1, 5);
GRANT ALL ON ALL TABLES IN SCHEMA public TO ghn;
ANALYZE;
";

const RULES: &str = r#"
policy = "barriers"
[category.none]
columns = ["public.docs.*", "public.items.*"]
[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true
[[role]]
name = "carrier"
match = { user = ["ghn"] }
functions = FUNCTIONS
rows = { "public.docs" = "EXISTS (SELECT 1 FROM public.access a WHERE a.doc_id = docs.id AND a.who = session_user)", "public.items" = "vis" }
"#;

/// The client declares no types of parameters.
const INFERRED: Protocol = Protocol::Extended(Parameters::Inferred);

struct World {
    inputs: Inputs,
    postgres: Postgres,
    proxy: Proxy,
}

impl World {
    /// With what the shop has made beside, of which the rules list a function.
    fn new(more: &str, function: &str) -> Self {
        let listed = if function.is_empty() { "[]".to_owned() } else { format!("[\"public.{function}\"]") };
        let rules = RULES.replace("FUNCTIONS", &listed);
        let (postgres, proxy) = shop::start_other(&[SCHEMA, more], &rules);
        let inputs = planner::inputs(&postgres, shop::DATABASE, &rules);
        Self { inputs, postgres, proxy }
    }

    /// What would be sent.
    fn sent(&self, sql: &str, protocol: Protocol) -> String {
        let roles = &self.inputs.policy.roles;
        let number = roles.iter().position(|role| role.name == "carrier").unwrap();
        let role = RoleId(u16::try_from(number).unwrap());
        let search_path = ["pg_catalog".to_owned(), "public".to_owned()].into();
        let context = QueryContext { role, search_path, protocol };
        let planned = plan(sql, &context, &self.inputs);
        planned.unwrap_or_else(|refused| panic!("{sql}: {:?}", refused.refusal)).permit.text().to_string()
    }

    fn is_barrier(&self, sql: &str) -> bool {
        let sent = self.sent(sql, INFERRED);
        sent.contains("OFFSET 0") || sent.contains("CASE WHEN")
    }
}

#[test]
fn what_can_fail_on_a_hidden_row_has_a_barrier() {
    let world = World::new("", "");
    let mut ghn = world.proxy.connect("ghn", shop::DATABASE);
    let fails = "1000 / (total - 2000)";
    // On both tables, and run: direct each fails on the row that is hidden.
    for sql in [
        "SELECT count(*) FROM # WHERE id IS NOT DISTINCT FROM (SELECT p.id FROM plain p WHERE #.total = 2000)",
        "SELECT count(*) FROM # WHERE id IS DISTINCT FROM (SELECT p.id FROM plain p WHERE #.total = 2000)",
        "UPDATE # SET big = 1 WHERE id IS NOT DISTINCT FROM (SELECT p.id FROM plain p WHERE #.total = 2000)",
        "SELECT count(*) FROM # WHERE id IN (SELECT ALL (SELECT p.id FROM plain p WHERE #.total = 2000))",
        "SELECT count(*) FROM plain p JOIN # ON #.id IS NOT DISTINCT FROM (SELECT q.id FROM plain q WHERE #.total = 2000)",
        "SELECT count(*) FROM # d WHERE EXISTS (SELECT 1 FROM plain p LIMIT d.total - 2001)",
        "SELECT count(*) FROM # d WHERE EXISTS (SELECT 1 FROM plain p OFFSET d.total - 2001)",
        "SELECT count(*) FROM # d WHERE d.total > 2000 OR EXISTS (SELECT 1 FROM plain p LIMIT -1)",
    ] {
        for table in ["docs", "items"] {
            let sql = sql.replace('#', table);
            assert!(world.is_barrier(&sql), "{sql}: {}", world.sent(&sql, INFERRED));
            let answer = ghn.simple(&sql);
            let negative = sql.contains("LIMIT") || sql.contains("OFFSET");
            // Visible rows have totals below 2001, too.
            assert!(negative || wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        }
    }
    for sql in [
        "SELECT count(*) FROM # d WHERE EXISTS (SELECT 1 FROM plain p LIMIT d.total)",
        "SELECT count(*) FROM # d WHERE EXISTS (SELECT 1 FROM plain p LIMIT $1)",
        "SELECT count(*) FROM # d WHERE d.id IN (SELECT p.id FROM plain p FETCH FIRST $1 ROWS ONLY)",
        "SELECT count(*) FROM # d WHERE d.id IN (SELECT max(p.id) OVER w FROM plain p WINDOW w AS (ORDER BY p.id ROWS d.total PRECEDING))",
        "SELECT count(*) FROM # WHERE total > -1 AND lower(txt)::int > 0",
        "SELECT count(*) FROM # WHERE total > '1'::float8",
        "SELECT count(*) FROM # JOIN docs e ON e.f > #.total",
        "PREPARE zz (float8) AS SELECT count(*) FROM # WHERE total > $1",
        "SELECT count(*) FROM # WHERE big = #.tableoid",
        "SELECT count(*) FROM # JOIN plain p ON #.big < p.tableoid",
        // Casts of which the text says nothing.
        "SELECT count(*) FROM # WHERE stamp IN (SELECT #.day UNION ALL SELECT now())",
        "SELECT count(*) FROM # WHERE stamp IN (day, stamp)",
        "SELECT count(*) FROM # WHERE EXISTS (SELECT #.day UNION ALL SELECT #.stamp)",
        "SELECT count(*) FROM # WHERE day > now()",
        "SELECT count(*) FROM # WHERE stamp > current_timestamp",
        "SELECT count(*) FROM # WHERE stamp > (timestamp with time zone '2026-01-01')",
        "SELECT count(*) FROM # WHERE EXISTS (SELECT 1 FROM (SELECT #.big UNION ALL SELECT n.loid FROM notes n) q)",
        "SELECT count(*) FROM # WHERE $1 > 0.5 AND txt = 'x' AND f > $1",
        // Calls that are written as fields.
        "SELECT count(*) FROM # WHERE (#.big).int4 > 3",
        "SELECT count(*) FROM # WHERE (#.txt).regclass > 5",
        // A date that fits no moment, and what the server casts for the sake of another place.
        "SELECT count(*) FROM # WHERE made > '5874897-12-31'::date",
        "SELECT count(*) FROM # WHERE made > date 'infinity'",
        "SELECT count(*) FROM # WHERE stamp > '2026-01-01'::timestamptz",
        "SELECT count(*) FROM # WHERE ($1 IS NULL OR total = $1) AND f > $1",
        "WITH w AS (INSERT INTO numbers VALUES (1), ($1) RETURNING f) SELECT count(*) FROM # WHERE total > $1",
        "SELECT count(*) FROM # WHERE coalesce(day, stamp) IS NULL",
        "SELECT count(*) FROM # WHERE CASE WHEN id = 2 THEN total ELSE f END > 0",
        "SELECT count(*) FROM # JOIN (SELECT stamp AS day FROM docs) e USING (day)",
        "SELECT count(*) FROM # JOIN (VALUES (now()), (current_date)) v (at) ON v.at > #.made",
        "SELECT count(*) FROM # JOIN (VALUES (1), (2.5)) v (n) ON v.n > #.f",
        "SELECT count(*) FROM # GROUP BY big HAVING sum(total) > 5",
        // A parameter has its type from what it is paired with first.
        "SELECT count(*) FROM # WHERE id = 2 AND $1 BETWEEN 0.5 AND f",
        "SELECT count(*) FROM # WHERE id = 2 AND $1 IN (2.5, 1, f)",
        "SELECT count(*) FROM # WHERE id = 2 AND f = ANY (ARRAY[$1, 2.5])",
        "SELECT count(*) FROM # WHERE id = 2 AND 2.5 NOT IN ($1, f) AND f <> $1",
        "SELECT count(*) FROM # WHERE id = 2 AND CASE 2.5 WHEN $1 THEN 1 WHEN f THEN 2 ELSE 3 END > 2 AND f <> $1",
        "SELECT count(*) FROM # WHERE id = 2 AND $1 NOT BETWEEN current_date AND made AND coalesce($1, made) = made",
        "SELECT count(*) FROM # WHERE id = 2 AND current_date NOT IN ($1, made) AND coalesce($1, made) > made",
        "SELECT count(*) FROM # WHERE id = 2 AND total <> $1 AND f > $01",
        "SELECT count(*) FROM # WHERE id = 2 AND txt <> $1 AND txt = ANY ($1::text[])",
        "SELECT count(*) FROM # WHERE id = 2 AND txt <> $1::text AND txt = ANY ($1::text[])",
        "SELECT count(*) FROM # WHERE id = 2 AND coalesce($1, txt) >= ANY ($1::text[])",
        "SELECT count(*) FROM # WHERE id = 2 AND f <> $1 AND coalesce($1, id) <> total",
        "SELECT count(*) FROM # WHERE id = 2 AND 2.5 <> $1 AND coalesce($1, id) <> f",
        "SELECT count(*) FROM # WHERE id = 2 AND id <> $1 AND big <> $1",
        // Rows are records to CASE, and an array has the type of its elements.
        "SELECT count(*) FROM # WHERE id = 2 AND CASE (id, big) WHEN (2, 3) THEN 1 ELSE 3 END > 2",
        "SELECT count(*) FROM # WHERE id = 2 AND f = ANY (ARRAY[1e400, id])",
        "SELECT count(*) FROM # WHERE id = 2 AND f < ALL (ARRAY[1e400, big])",
        // A number is cast when rows are united.
        "SELECT count(*) FROM # WHERE id = 2 AND EXISTS (SELECT 1e400 UNION ALL SELECT #.f)",
        "SELECT count(*) FROM # WHERE id = 2 AND f = ANY (SELECT 1e400 UNION ALL SELECT 2.5 UNION ALL SELECT #.f)",
        "SELECT count(*) FROM # WHERE id = 2 AND f IN (SELECT n FROM (SELECT 1e400 AS n UNION ALL SELECT f FROM numbers) q WHERE n > #.f)",
        "SELECT count(*) FROM # WHERE ARRAY[big, $1] IS NULL AND $1 = total",
        "SELECT count(*) FROM # WHERE made::timestamp > '2026-01-01' AND made::time > '08:00'",
        "SELECT count(*) FROM # WHERE made > date_trunc('fortnight', now())",
        "SELECT count(*) FROM # WHERE made > date_trunc(txt, now())",
        "SELECT count(*) FROM # WHERE made > now() - interval '1 day' - interval '1 day' - interval '1 day' - interval '1 day'",
        "SELECT count(*) FROM # WHERE extract(hour FROM day) > 3",
        "SELECT count(*) FROM # WHERE extract(timezone FROM stamp) > 3",
        "SELECT count(*) FROM # WHERE id::smallint > 3",
        "SELECT count(*) FROM # WHERE big::int > 3",
        "SELECT count(*) FROM # WHERE id = (SELECT id FROM plain)",
        "SELECT count(*) FROM # WHERE id = (SELECT id FROM plain LIMIT 2)",
        "SELECT count(*) FROM # WHERE id = (SELECT id FROM plain FETCH FIRST 1 ROW WITH TIES)",
        "SELECT count(*) FROM # WHERE id = (SELECT max(id) FROM plain GROUP BY id)",
        "SELECT count(*) FROM # WHERE id = (SELECT max(id) OVER () FROM plain)",
        "SELECT count(*) FROM # d WHERE d.big = (SELECT count(*) FILTER (WHERE d.id > 0) FROM plain)",
        "SELECT count(*) FROM # d WHERE d.id = (SELECT max(p.id) FILTER (WHERE p.id > 0) FROM plain p)",
        "SELECT count(*) FROM # WHERE (current_date - 999999) IS NULL",
        "SELECT count(*) FROM # WHERE txt LIKE btrim('a\\ ')",
        "SELECT count(*) FROM # WHERE txt || 'a' = 'b'",
        "SELECT txt FROM # d GROUP BY txt HAVING max(d.id) > 3 AND (SELECT max(d.id) FROM plain) = 3",
        // What the parser was shown otherwise than it is written.
        "SELECT count(*) FROM # WHERE txt ~ ANY (ARRAY['(', 'a'])",
        "SELECT count(*) FROM # WHERE made AT LOCAL > '2026-01-01'",
        // Columns of sub-selects, by whatever name.
        "SELECT count(*) FROM (SELECT 10 / (total - 2000) FROM #) q (a) WHERE q.a > 1",
        "SELECT count(*) FROM (SELECT * FROM (SELECT 10 / (total - 2000) AS a FROM #) r) q WHERE a > 1",
        "WITH q (a) AS (SELECT 10 / (total - 2000) FROM #), r AS (TABLE q) SELECT count(*) FROM r WHERE a > 1",
        "SELECT count(*) FROM (SELECT 10 / (total - 2000) AS id FROM #) q JOIN plain USING (id)",
        "SELECT count(*) FROM (SELECT 10 / (total - 2000) AS id FROM #) q NATURAL JOIN plain",
        "SELECT count(*) FROM (SELECT id, (SELECT 10 / (#.total - 2000)) AS a FROM #) q WHERE a > 1",
        "SELECT count(*) FROM (SELECT id FROM # UNION SELECT 10 / (total - 2000) FROM #) q WHERE id > 1",
        "SELECT (SELECT count(*) FROM plain p WHERE p.id = q.a) FROM (SELECT 10 / (total - 2000) AS a FROM #) q",
        "SELECT count(*) FROM (SELECT 10 / (total - 2000) AS a FROM #) q WHERE q IS NOT NULL",
        // What a view computes.
        "SELECT count(*) FROM # JOIN ratio r ON r.id = #.id AND r.y > #.id",
        // The target's name is not the word of the clause.
        "DELETE FROM # AS set USING notes n JOIN plain p ON 10 / n.x > p.id WHERE set.id = n.id",
        "UPDATE # AS set SET total = 1 FROM notes n JOIN plain p ON 10 / n.x > p.id WHERE set.id = n.id",
        "UPDATE # AS set SET total = (SELECT max(n.id) FROM notes n WHERE 10 / n.x > set.id) WHERE set.id = 3",
    ] {
        for table in ["docs", "items"] {
            let sql = sql.replace('#', table);
            assert!(world.is_barrier(&sql), "{sql}: {}", world.sent(&sql, INFERRED));
        }
    }
    // A scope with a sub-select may be joined, and lists are computed below the join; one on the row alone is a filter of the scan.
    for sql in [
        "SELECT q.u, count(*) FROM (SELECT @ AS u FROM #) q GROUP BY ROLLUP (u)",
        "SELECT p.id, q.u FROM plain p LEFT JOIN (SELECT id, coalesce(@, 0) u FROM #) q ON q.id = p.id",
        "WITH q AS (SELECT id, @ u FROM #) SELECT p.id, q.u FROM plain p LEFT JOIN q ON q.id = p.id",
        "SELECT DISTINCT @ FROM # LIMIT 2",
        "SELECT id, @ AS u FROM # ORDER BY u LIMIT 2",
        "SELECT id, @ FROM # ORDER BY id, 2 LIMIT 2",
        "(SELECT id, @ AS u FROM #) ORDER BY u LIMIT 2",
        "SELECT @ AS u, count(*) FROM # GROUP BY u",
        "SELECT string_agg(txt, ',' ORDER BY @) FROM #",
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY @) FROM #",
        "SELECT @, count(*) FROM # GROUP BY 1",
        "SELECT rank() OVER (ORDER BY @) FROM # LIMIT 1",
        "SELECT id FROM # ORDER BY @ LIMIT 2",
        "SELECT @ FROM # UNION SELECT 1",
    ] {
        let sql = sql.replace('@', fails);
        let (joined, filtered) = (sql.replace('#', "docs"), sql.replace('#', "items"));
        assert!(world.is_barrier(&joined), "{joined}: {}", world.sent(&joined, INFERRED));
        for sql in [joined, filtered] {
            ghn.simple("SET enable_hashjoin = off; SET enable_mergejoin = off");
            let answer = ghn.simple(&sql);
            assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        }
    }
}

#[test]
fn what_cannot_fail_has_none() {
    let world = World::new("", "");
    for sql in [
        "SELECT id, @ FROM # WHERE id = 3",
        "SELECT sum(@) FROM # WHERE id = $1",
        "UPDATE # SET total = @ WHERE id = $1 RETURNING @",
        "SELECT id FROM # WHERE id = $1::int LIMIT $2 OFFSET $3",
        "SELECT id FROM # WHERE id = 3 FETCH FIRST 5 ROWS ONLY",
        "SELECT id FROM # WHERE id IN (SELECT p.id FROM plain p LIMIT 5) AND id = ALL (SELECT 3)",
        "SELECT id FROM # WHERE id = 3 UNION ALL (SELECT id FROM plain) LIMIT 2",
        "SELECT id FROM # WHERE day = '2026-01-01' AND id = 3",
        "SELECT id FROM # WHERE made > now() - interval '30 days' AND f > $1",
        "SELECT id, day FROM # WHERE stamp >= current_date AND total > $1",
        "SELECT id FROM # WHERE made >= date '2026-01-01' AND made < '2026-02-01 00:00'::timestamp AND day < '2026-02-01'::date",
        "SELECT id FROM # WHERE ($1 IS NULL OR id = $1) AND ($2::text IS NULL OR txt = $2)",
        "SELECT id FROM # WHERE coalesce(total, 0) > 5 AND CASE WHEN id > 3 THEN big ELSE 0 END = 0 AND CAST(id AS text) = '3'",
        "SELECT id FROM # JOIN plain USING (id) WHERE id = ANY ('{1,2}'::int[]) AND id = ANY (ARRAY[1, 2]::int[])",
        "SELECT v.n FROM # JOIN (VALUES (1, 'a'), (2, 'b')) v (n, t) ON v.n = #.id AND v.t = #.txt",
        "SELECT id FROM # WHERE (id, txt) IN ((1, 'a'), (2, 'b')) AND (id, big) IN (SELECT id, id FROM plain)",
        "SELECT id FROM # WHERE id BETWEEN 1 AND $1 AND day BETWEEN '2026-01-01' AND $2 AND lower(txt) = lower($3)",
        "SELECT id FROM # WHERE txt LIKE 'a\\%%' AND txt ILIKE '%b\\\\'",
        "SELECT txt, count(*) FROM # GROUP BY txt HAVING count(*) > 1 AND max(total) < 5",
        "SELECT mx FROM (SELECT txt, max(id) AS mx FROM # GROUP BY txt) q WHERE mx > 3",
        "SELECT id FROM # WHERE made::date = '2026-01-01' AND date(stamp) > current_date - 7 AND extract(year FROM made) = $1",
        "SELECT id FROM # WHERE made >= date_trunc('month', now()) - interval '1 month' AND made < now()::date AND stamp < localtimestamp::date + 1",
        "SELECT id FROM # WHERE extract(hour FROM stamp) > 8 AND length(txt) > 3 AND id::bigint = big AND id::text = '3'",
        "SELECT id FROM # WHERE id = (SELECT max(id) FROM plain) AND big > (SELECT count(*) FROM plain p WHERE p.id = #.id)",
        "SELECT id FROM # WHERE id = (SELECT p.id FROM plain p ORDER BY p.id DESC LIMIT 1) AND id > (SELECT min(id) FROM plain)",
        // What rows are not sorted by is computed behind all joins.
        "SELECT id, @ AS u FROM # ORDER BY id DESC LIMIT 2",
        "SELECT txt, sum(@) FROM # GROUP BY txt ORDER BY txt, 1",
        "SELECT big, @ AS u, lower(txt) FROM # WHERE id = 3 ORDER BY big, 3",
        "SELECT id, @ AS u, string_agg(txt, ',' ORDER BY id) FROM # GROUP BY id, total",
        "SELECT id FROM # WHERE txt LIKE 'a%' AND lower(txt) = 'a' AND total IS DISTINCT FROM 3 AND txt::text <> ''",
    ] {
        for table in ["docs", "items"] {
            let sql = sql.replace('#', table).replace('@', "1000 / (total - 2000)");
            assert!(!world.is_barrier(&sql), "{sql}: {}", world.sent(&sql, INFERRED));
        }
    }
    for sql in [
        "WITH source AS (SELECT id, lower(txt) FROM items WHERE id = $1 LIMIT $2 OFFSET $3) SELECT * FROM source",
        "SELECT x.id, lower(txt) FROM (SELECT * FROM items WHERE id = 3) x ORDER BY abs(total)",
    ] {
        assert!(!world.is_barrier(sql), "{sql}: {}", world.sent(sql, INFERRED));
    }
}

/// A parameter is of the type that the client declares; only one that is not declared has its type from the statement.
#[test]
fn a_declared_parameter_is_of_its_type() {
    let world = World::new("CREATE DOMAIN few AS int CHECK (value < 30)", "");
    let oid = |name: &str| {
        let rows = world.postgres.sql(shop::DATABASE, &format!("SELECT '{name}'::regtype::oid"));
        rows[0][0].as_deref().unwrap().parse::<u32>().unwrap()
    };
    let barrier = |sql: &str, types: &[&str]| {
        let types: Vec<u32> = types.iter().map(|name| if *name == "-" { 0 } else { oid(name) }).collect();
        world.sent(sql, Protocol::of_parse(types.into_iter(), sql)).contains("OFFSET 0")
    };
    let total = "SELECT id FROM items WHERE total > $1 AND big = $2";
    let chosen = "SELECT id FROM items WHERE coalesce($1, id) > f";
    let cast = |name: &str| format!("SELECT id FROM items WHERE id = $1::{name}");
    for (sql, types, quiet) in [
        // Nothing declared, or less than there are.
        (total, &[][..], true),
        (total, &["-", "-"], true),
        (total, &["numeric"], true),
        (total, &["-", "int8"], true),
        (total, &["int2", "int8"], true),
        (total, &["numeric", "float4"], true),
        (total, &["float8", "int8"], false),
        (total, &["-", "oid"], false),
        (total, &["few"], false),
        (&cast("int"), &[], true),
        (&cast("int"), &["int2"], true),
        (&cast("int"), &["int4"], true),
        (&cast("int"), &["int8"], false),
        (&cast("bigint"), &["int8"], true),
        (&cast("bigint"), &["int2"], true),
        (&cast("bigint"), &["numeric"], false),
        (&cast("bigint"), &["text"], false),
        (&cast("smallint"), &["int4"], false),
        (&cast("numeric"), &["int8"], true),
        (&cast("float8"), &["numeric"], false),
        (&cast("int"), &["few"], false),
        ("SELECT id FROM items WHERE id = ANY ($1::bigint[])", &["bigint[]"], true),
        ("SELECT id FROM items WHERE id = ANY ($1::bigint[])", &["text[]"], false),
        ("SELECT id FROM items WHERE id = ANY ($1)", &["int2[]"], true),
        ("SELECT id FROM items WHERE f = ANY ($1)", &["numeric[]"], false),
        ("SELECT id FROM items WHERE txt = $1::text", &["varchar"], true),
        ("SELECT id FROM items WHERE txt = $1::text AND txt <> $1", &["text"], true),
        ("SELECT id FROM items WHERE id::text = $1::text", &["json"], false),
        (chosen, &["numeric"], false),
        (chosen, &["oid"], false),
        (chosen, &["float8"], true),
        (chosen, &[], false),
        ("SELECT id FROM items WHERE f > $1 AND big = $2", &["float8", "int8"], true),
        ("SELECT id FROM items WHERE f > $1 AND big = $2", &["numeric", "int8"], false),
        ("SELECT id FROM items WHERE f > $1 AND total > $1", &["float4"], false),
        ("SELECT id FROM items WHERE f > $1 AND id > $1 AND big = $1", &["int4"], true),
        ("SELECT id FROM items WHERE f > $1 AND id > $1", &["-", "int4"], false),
        ("SELECT id FROM items WHERE made > $1 AND txt = $2", &["timestamptz", "varchar"], true),
        ("SELECT id FROM items WHERE made > $1 AND txt = $2", &["date", "varchar"], false),
        ("SELECT id FROM items WHERE made > $1::date", &["date"], false),
        ("SELECT id FROM items WHERE day > $1::date AND stamp > $2::timestamp", &["date", "timestamp"], true),
        ("SELECT id FROM docs WHERE mood = $1", &["mood"], true),
        ("SELECT id FROM docs WHERE mood = $1::mood", &["text"], false),
        ("SELECT id FROM items WHERE ($1 IS NULL OR id = $1)", &["int8"], true),
        ("SELECT id FROM items WHERE id = $01", &["oid"], false),
        // More than the text can hold.
        ("SELECT id FROM items WHERE id = $1", &["int4"; 30], false),
    ] {
        assert_eq!(!barrier(sql, types), quiet, "{sql} {types:?}");
    }
    for (sql, quiet) in [
        ("PREPARE p AS SELECT id FROM items WHERE total > $1", true),
        ("PREPARE p (numeric) AS SELECT id FROM items WHERE total > $1", true),
        ("PREPARE p (text, bigint) AS SELECT id FROM items WHERE id = $2::bigint AND txt = $1", true),
        ("PREPARE p (text, bigint) AS SELECT id FROM items WHERE id = $1::bigint", false),
        ("PREPARE p (float8) AS SELECT id FROM items WHERE total > $1", false),
        ("PREPARE p (few) AS SELECT id FROM items WHERE id = $1", false),
        // Its own commas.
        ("PREPARE p (numeric(9, 2), date, int) AS SELECT id FROM items WHERE day = $3", false),
        ("PREPARE p (double precision, int) AS SELECT id FROM items WHERE id = $2", true),
        ("PREPARE p (double precision, int) AS SELECT id FROM items WHERE total > $1", false),
    ] {
        assert_eq!(!world.sent(sql, Protocol::Simple).contains("OFFSET 0"), quiet, "{sql}");
    }
    assert!(world.sent(&cast("int"), Protocol::EXTENDED).contains("OFFSET 0"), "nothing is known");
}

/// What a sub-select that locks its rows shows, and conditions from around it, PostgreSQL evaluates beside the scope.
#[test]
fn locks_in_sub_selects_tell_of_no_hidden_row() {
    let world = World::new("", "");
    let mut ghn = world.proxy.connect("ghn", shop::DATABASE);
    for (sql, runs) in [
        ("SELECT id FROM (SELECT id, total FROM # FOR UPDATE) q WHERE 1000 / (q.total - 2000) > 5", false),
        (
            "SELECT p.id FROM plain p CROSS JOIN LATERAL (SELECT total FROM # FOR UPDATE) q WHERE 1000 / (q.total - 2000) > 5",
            false,
        ),
        (
            "UPDATE plain SET id = plain.id FROM (SELECT id, total FROM # FOR UPDATE) q WHERE 1000 / (q.total - 2000) > 5",
            false,
        ),
        ("SELECT id FROM plain p WHERE (p.id, 10) IN (SELECT id, 1000 / (total - 2000) FROM # FOR UPDATE)", false),
        ("WITH q AS (SELECT id, total FROM # FOR UPDATE) SELECT id FROM q WHERE 1000 / (q.total - 2000) > 5", true),
        ("SELECT id FROM (SELECT id, total FROM # FOR UPDATE LIMIT 3) q WHERE 1000 / (q.total - 2000) > 5", true),
        (
            "UPDATE plain SET id = id WHERE id IN (SELECT id FROM # WHERE 1000 / (total - 2000) > 5 FOR UPDATE SKIP LOCKED LIMIT 1)",
            true,
        ),
        ("SELECT id FROM (SELECT id, total FROM # WHERE id = 3 FOR UPDATE) q WHERE q.id = 3", true),
        // The same, locked from outside its brackets.
        ("(SELECT d.id FROM # d WHERE d.id = 3 AND 1000 / (d.total - 2500) > 0) FOR UPDATE", false),
        ("WITH w AS (SELECT 1) (SELECT d.id FROM # d WHERE d.id = 3 AND 1000 / (d.total - 2500) > 0) FOR SHARE", false),
        ("(SELECT d.id FROM # d WHERE d.id = 3) FOR UPDATE", true),
        // What else stands in FROM has conditions of its own.
        ("SELECT d.id FROM # d JOIN abs(5) g ON d.id = 2 AND 1000/(d.total-2000) > g FOR UPDATE OF d", false),
        (
            "SELECT d.id FROM # d JOIN abs(5) g ON d.id = 2 AND 1000/(d.total-2000) > g FOR SHARE OF d SKIP LOCKED",
            false,
        ),
        ("SELECT d.id FROM # d, abs(1000/(d.total-2000)) g WHERE g = 7 FOR UPDATE OF d", false),
        (
            "WITH q AS (SELECT id FROM plain) SELECT x.id FROM (SELECT d.id FROM # d JOIN q ON d.id = 2 AND 1000/(d.total-2000) > 0 FOR UPDATE OF d LIMIT 3) x",
            false,
        ),
    ] {
        for table in ["docs", "items"] {
            let sql = sql.replace('#', table);
            let answer = ghn.simple(&sql);
            let sqlstate = wire::error(&answer).and_then(|error| error.field(b'C'));
            let wanted = (!runs).then(|| "42501".to_owned());
            assert_eq!(sqlstate, wanted, "{sql}: {}", wire::describe(&answer));
        }
    }
}

/// An error that says which name a value holds keeps it to itself.
#[test]
fn names_in_values_are_not_in_messages() {
    let world = World::new("UPDATE items SET txt = 'secret_name'", "");
    let mut ghn = world.proxy.connect("ghn", shop::DATABASE);
    for kind in ["regclass", "regtype", "regrole", "regnamespace", "regproc", "regconfig", "regoper"] {
        let answer = ghn.simple(&format!("SELECT txt::{kind} FROM items"));
        assert!(wire::error(&answer).is_some(), "{kind}");
        assert!(!wire::describe(&answer).contains("secret_name"), "{kind}: {}", wire::describe(&answer));
    }
    // What the text itself holds is said.
    let answer = ghn.simple("SELECT 'no_such_table'::regclass");
    assert!(wire::describe(&answer).contains("no_such_table"), "{}", wire::describe(&answer));
}

/// PostgreSQL tries patterns on stored values when it plans, also those of functions, and a backslash at the end fails on what reaches it.
#[test]
fn estimates_tell_of_no_hidden_value() {
    let world = World::new("UPDATE items SET txt = CASE id WHEN 2 THEN 'Zed1' ELSE 'x' || id END; ANALYZE", "");
    let mut ghn = world.proxy.connect("ghn", shop::DATABASE);
    for condition in [
        "txt LIKE 'Zed\\'",
        "textlike(txt, 'Zed\\')",
        "(txt || '') LIKE 'Zed\\'",
        "\"like\"(txt, 'Zed\\')",
        "NOT texticlike(txt, 'zed\\')",
        "(txt).text ~~ 'Zed\\'",
    ] {
        // Only the row that is hidden has what the pattern begins with.
        let sql = format!("SELECT count(*) FROM items WHERE {condition}");
        let answer = ghn.simple(&sql);
        assert!(
            wire::error(&answer).is_none(),
            "{sql}: {}\n{}",
            world.sent(&sql, Protocol::Simple),
            wire::describe(&answer)
        );
    }
}

/// What the shop has made may stand behind any comparison.
#[test]
fn conversions_and_operators_of_the_shop_make_every_scope_a_barrier() {
    let quiet = "SELECT count(*) FROM items WHERE id = 3";
    for (function, more, sql) in [
        (
            "",
            "CREATE CAST (varchar AS jsonb) WITH INOUT AS IMPLICIT; UPDATE docs SET txt = '{' WHERE id = 2;",
            "SELECT count(*) FROM docs WHERE id = 2 AND meta = txt",
        ),
        (
            "below",
            "CREATE FUNCTION below(numeric, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT 1000 / ($1 - 2000) > 0';
             CREATE OPERATOR public.< (LEFTARG = numeric, RIGHTARG = text, FUNCTION = below);",
            "SELECT count(*) FROM items WHERE id = 2 AND total < text 'x'",
        ),
        (
            "below",
            "CREATE FUNCTION below(mood, mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT 1 / (length($1::text) - 3) > 0';
             CREATE OPERATOR public.< (LEFTARG = mood, RIGHTARG = mood, FUNCTION = below); UPDATE docs SET mood = 'old' WHERE id > 2;",
            "SELECT count(*) FROM docs WHERE id = 2 AND mood < 'new'",
        ),
    ] {
        let world = World::new(more, function);
        let mut ghn = world.proxy.connect("ghn", shop::DATABASE);
        for sql in [sql, quiet] {
            assert!(world.is_barrier(sql), "{sql}: {}", world.sent(sql, Protocol::Simple));
        }
        assert_eq!(lines(&ghn.simple(sql)), ["0"], "{sql}");
        let direct = world.postgres.sql(shop::DATABASE, quiet);
        assert_eq!(direct, [[Some("1".to_owned())]]);
    }
    for (name, call) in [("max", "max(total, 2000) > 0"), ("by", "by(total, 2000) > 0")] {
        let made = format!(
            "CREATE FUNCTION {name}(numeric, int) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT 1000 / ($1 - $2)';"
        );
        let world = World::new(&made, name);
        let sql = format!("SELECT count(*) FROM items WHERE {call}");
        assert!(world.is_barrier(&sql), "{sql}: {}", world.sent(&sql, Protocol::Simple));
        assert!(!world.is_barrier(quiet));
    }
}
