//! Row scopes, and parts of a statement that PostgreSQL runs only when it needs them: whether such a part was run must not tell of
//! hidden rows, be it by an error, a lock, or anything else that is left behind. Each statement is sent twice, with a value that a
//! hidden row has and with one that none has: all must be the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, planner, shop,
    wire::{self, lines},
};
use pgscrim::{
    cli::{detect::samples::Samples, findings},
    engine::{Protocol, QueryContext, plan},
    policy::{
        RoleId,
        rules::{RuleFile, RuleSet},
    },
};

const SCHEMA: &str = r#"
CREATE ROLE ghn LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE docs (id int PRIMARY KEY, total numeric, big int8, txt text, f float8);
CREATE TABLE items (id int PRIMARY KEY, total numeric, big int8, txt text, f float8, owner text);
CREATE TABLE access (doc_id int, who text);
CREATE TABLE plain (id int PRIMARY KEY, n int);
CREATE TABLE texts (c text COLLATE "C", p text COLLATE "POSIX");
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON guarded USING (id = current_setting('app.tenant')::int);
CREATE VIEW ratios AS SELECT id FROM plain WHERE 10 / (id - id) > 0;
CREATE SEQUENCE numbers;
INSERT INTO docs SELECT n, n * 1000, n, 'x', 1 FROM generate_series(1, 40) n;
INSERT INTO items SELECT n, n * 1000, n, 'x', 1, CASE n WHEN 2 THEN 'other' ELSE 'ghn' END FROM generate_series(1, 40) n;
INSERT INTO access SELECT n, 'ghn' FROM generate_series(1, 40) n WHERE n <> 2;
INSERT INTO plain SELECT n, n FROM generate_series(1, 5) n;
INSERT INTO texts VALUES ('a', 'b');
INSERT INTO guarded VALUES (1);
GRANT ALL ON ALL TABLES IN SCHEMA public TO ghn;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ghn;
CREATE TABLE tenants (id int PRIMARY KEY, tenant int);
CREATE TABLE texted (id int PRIMARY KEY, t text, who text);
CREATE TABLE ratioed (id int PRIMARY KEY, a int, b int);
CREATE TABLE fixed (id int PRIMARY KEY, tenant int);
CREATE TABLE named (id int PRIMARY KEY, tenant int);
INSERT INTO fixed SELECT n, 5 FROM generate_series(1, 2500) n;
INSERT INTO named SELECT n, CASE n WHEN 2000 THEN 8 ELSE 7 END FROM generate_series(1, 2000) n;
INSERT INTO tenants SELECT n, n FROM generate_series(1, 2500) n;
INSERT INTO texted SELECT n, CASE n WHEN 2000 THEN 'x' ELSE '0' END, 'other' FROM generate_series(1, 2000) n;
INSERT INTO ratioed SELECT n, 1, n % 2000 FROM generate_series(1, 2000) n;
GRANT ALL ON ALL TABLES IN SCHEMA public TO ghn;
ANALYZE;
"#;

/// The scope of `items` costs more than one comparison, so that a client's condition may come before it.
const RULES: &str = r#"
policy = "run"
[category.none]
columns = ["public.docs.*", "public.items.*"]
[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true
[[role]]
name = "carrier"
match = { user = ["ghn"] }
settings = ["app.*"]
rows = { "public.docs" = "EXISTS (SELECT 1 FROM public.access a WHERE a.doc_id = docs.id AND a.who = session_user)", "public.items" = "owner IN ('ghn', 'a', 'b', 'c', 'd', 'e', 'f', 'g')", "public.tenants" = "tenant = (SELECT current_setting('app.none')::int)", "public.texted" = "t::int > 0 OR who = session_user", "public.ratioed" = "a / b > 0", "public.fixed" = "tenant = current_setting('app.none')::int", "public.named" = "tenant = current_setting('app.named')::int" }
"#;

fn start() -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA], RULES)
}

/// What a session sees that sends these statements in one transaction, and what it leaves behind.
fn seen(proxy: &Proxy, statements: &[String], parameter: Option<&str>) -> Vec<String> {
    let mut ghn = proxy.connect("ghn", shop::DATABASE);
    let mut seen = Vec::new();
    let settings =
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_hashagg = off; SET enable_sort = off;
        SET enable_material = off; SET plan_cache_mode = force_generic_plan; SET app.tenant = 'none'; BEGIN";
    assert!(wire::error(&ghn.simple(settings)).is_none());
    let after = ["SELECT id FROM plain WHERE xmax::text = txid_current()::text", "SHOW application_name"];
    for statement in statements.iter().map(String::as_str).chain(after) {
        let answer = match parameter {
            Some(value) if statement.contains('$') => ghn.extended(statement, &[Some(value.as_bytes())], 0),
            Some(_) | None => ghn.simple(statement),
        };
        let error = wire::error(&answer).and_then(|error| error.field(b'C')).unwrap_or_default();
        seen.push(format!("{} {error} {}", statement.len(), rows(&answer)));
    }
    ghn.simple("ROLLBACK");
    seen
}

fn rows(answer: &[wire::Message]) -> String {
    if wire::error(answer).is_some() { String::new() } else { lines(answer).join("; ") }
}

/// In both worlds the same; with what the server's own conditions make of it, so that nothing is compared that is refused.
fn alike(proxy: &Proxy, statements: &[&str], parameter: Option<&str>) {
    let with = |value: &str| statements.iter().map(|sql| sql.replace('@', value)).collect::<Vec<_>>();
    let (there, not) = (seen(proxy, &with("2000"), parameter), seen(proxy, &with("2001"), parameter));
    assert_eq!(there, not, "{statements:?}");
    assert!(!there.iter().any(|line| line.contains("42501") || line.contains("0A000")), "{statements:?}: {there:?}");
}

const TABLES: [&str; 2] = ["docs", "items"];

#[test]
fn whether_a_query_of_with_was_run_does_not_tell() {
    let (_postgres, proxy) = start();
    for table in TABLES {
        for with in [
            "WITH q AS MATERIALIZED (SELECT 1 / (id - id) AS x FROM plain)",
            "WITH q AS MATERIALIZED (SELECT id FROM plain ORDER BY 1 / (id - id))",
            "WITH q AS MATERIALIZED (SELECT (SELECT p.id FROM plain p) AS s FROM plain)",
            "WITH q AS MATERIALIZED (SELECT nextval('numbers') AS x FROM plain)",
            "WITH q AS MATERIALIZED (SELECT pg_advisory_xact_lock(id) AS x FROM plain)",
            "WITH q AS MATERIALIZED (SELECT id FROM plain WHERE id = 3 FOR UPDATE)",
            "WITH p AS MATERIALIZED (SELECT 1 / (id - id) AS x FROM plain), q AS (SELECT x FROM p)",
            "WITH q AS MATERIALIZED (SELECT id FROM (SELECT id FROM plain FOR UPDATE) r)",
            "WITH q AS MATERIALIZED (SELECT id FROM plain TABLESAMPLE BERNOULLI (200))",
            "WITH q AS MATERIALIZED (SELECT id FROM ratios)",
            "WITH q AS MATERIALIZED (SELECT id FROM guarded)",
        ] {
            for sql in [
                format!("{with} SELECT count(*) FROM {table} d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM q)"),
                format!("{with} SELECT count(*) FROM {table} d WHERE d.total <> @ OR d.id IN (SELECT 1 FROM q)"),
                format!("{with} UPDATE {table} d SET big = 1 WHERE d.total <> @ OR EXISTS (SELECT 1 FROM q)"),
                format!("{with} DELETE FROM {table} d WHERE d.total = @ AND EXISTS (SELECT 1 FROM q)"),
            ] {
                alike(
                    &proxy,
                    &[
                        &sql,
                        "SELECT last_value FROM numbers",
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
                    ],
                    None,
                );
            }
        }
        let limit = format!(
            "WITH q AS MATERIALIZED (SELECT id FROM plain LIMIT $1) SELECT count(*) FROM {table} d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM q)"
        );
        alike(&proxy, &[&limit], Some("-1"));
    }
}

#[test]
fn whether_a_sub_select_was_run_does_not_tell() {
    let (_postgres, proxy) = start();
    for table in TABLES {
        for sub in [
            "SELECT 1 FROM plain WHERE id = 3 FOR UPDATE",
            "SELECT 1 FROM plain WHERE id = 3 FOR KEY SHARE",
            "SELECT 1 FROM (SELECT id FROM plain FOR UPDATE) q",
            "SELECT 1 FROM plain TABLESAMPLE SYSTEM (200)",
            "SELECT 1 FROM ratios",
            "SELECT 1 FROM guarded",
            "SELECT 1 FROM texts WHERE c > p",
            "SELECT 1 FROM mine WHERE c > p",
            "SELECT 1 FROM mine WHERE lower(c) > p",
            "SELECT 1 FROM plain GROUP BY id HAVING count(*) > 5 / (id - id)",
            "SELECT max(id) FROM plain HAVING 1 / (count(*) - 5) > 0",
        ] {
            let mine = r#"CREATE TEMP TABLE mine (c text COLLATE "C", p text COLLATE "POSIX")"#;
            let sql = format!("SELECT count(*) FROM {table} d WHERE d.total <> @ OR EXISTS ({sub})");
            alike(&proxy, &[mine, "INSERT INTO mine VALUES ('a', 'b')", &sql], None);
        }
        // More than one row.
        for scalar in ["SELECT id FROM plain", "SELECT max(d.id) FROM plain", "SELECT id FROM plain LIMIT 2"] {
            let sql = format!("SELECT count(*) FROM {table} d WHERE d.total <> @ OR d.id = ({scalar})");
            let (there, not) =
                (seen(&proxy, &[sql.replace('@', "2000")], None), seen(&proxy, &[sql.replace('@', "2001")], None));
            assert_eq!(there, not, "{sql}");
        }
        alike(
            &proxy,
            &[&format!(
                "SELECT count(*) FROM {table} d CROSS JOIN LATERAL (SELECT id, n FROM plain p WHERE p.id = d.id AND d.total = @ FOR UPDATE) q WHERE q.n = d.big"
            )],
            None,
        );
        for sql in [
            "SELECT count(*) FROM # d JOIN ratios r ON r.id = d.id AND d.total = @",
            "SELECT count(*) FROM # d JOIN plain TABLESAMPLE SYSTEM (200) p ON p.id = d.id AND d.total = @",
            "SELECT count(*) FROM # d JOIN guarded g ON g.id = d.id AND d.total = @",
        ] {
            let sql = sql.replace('#', table);
            let (there, not) =
                (seen(&proxy, &[sql.replace('@', "2000")], None), seen(&proxy, &[sql.replace('@', "2001")], None));
            assert_eq!(there, not, "{sql}");
        }
    }
}

/// The condition of a scope may itself fail: on a row, or for the want of a setting.
#[test]
fn whether_a_scope_failed_does_not_tell() {
    let (_postgres, proxy) = start();
    for sql in [
        "SELECT count(*) FROM texted WHERE id = @",
        "SELECT count(*) FROM ratioed WHERE id = @",
        "SELECT count(*) FROM tenants WHERE id = @ + 500",
        "UPDATE texted SET who = 'x' WHERE id = @",
        "DELETE FROM ratioed WHERE id = @",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM tenants)",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM texted)",
        "WITH q AS MATERIALIZED (SELECT 1 FROM ratioed) SELECT count(*) FROM docs d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM q)",
        "SELECT count(*) FROM docs d JOIN ratioed r ON r.id = d.id AND d.total = @",
    ] {
        let with = |value: &str| seen(&proxy, &[sql.replace('@', value)], None);
        assert_eq!(with("2000"), with("2001"), "{sql}");
    }
}

/// A setting beside a column fails when the statement is planned, whatever rows there are; not so where the column is compared with something else
/// as well, of which PostgreSQL makes a comparison of that with the setting, or where the statement itself sets it.
#[test]
fn settings_that_are_read_late_do_not_tell() {
    let (_postgres, proxy) = start();
    let mut told = Vec::new();
    for sql in [
        "SELECT count(*) FROM items d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM fixed t WHERE t.tenant = 5)",
        "SELECT count(*) FROM docs d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM fixed t WHERE t.tenant = 5)",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR d.id IN (SELECT t.id FROM fixed t WHERE t.tenant = 5)",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR 5 IN (SELECT t.tenant FROM fixed t)",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM fixed t JOIN plain p ON p.id = t.tenant WHERE p.id = 1)",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM fixed t JOIN plain p (id, tenant) USING (tenant) WHERE tenant = 1)",
        "SELECT count(*) FROM items d WHERE d.total <> @ OR EXISTS (SELECT 1 FROM (SELECT tenant AS x FROM fixed) t WHERE t.x = 5 AND t.x = 6)",
        "UPDATE items d SET f = f WHERE d.total <> @ OR EXISTS (SELECT 1 FROM fixed t WHERE t.tenant = 5)",
        "WITH s AS MATERIALIZED (SELECT set_config('app.named', 'x', true) AS v) SELECT count(*) FROM s, named WHERE id * 1 = @",
        "SELECT (SELECT set_config('app.named', 'x', true)), (SELECT count(*) FROM named WHERE id = @)",
        "SELECT count(*) FROM (SELECT set_config('app.named', 'x', true) AS v OFFSET 0) s, named WHERE id = @",
        "SELECT set_config('app.named', 'x', true) UNION ALL SELECT id::text FROM named WHERE id = @",
    ] {
        let set = "SET LOCAL app.named = '7'";
        let with = |value: &str| seen(&proxy, &[set.to_owned(), sql.replace('@', value)], None);
        let (there, not) = (with("2000"), with("2001"));
        if there != not {
            told.push(format!("{sql}: {there:?} {not:?}"));
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// What scopes usually are fails on no row, so the client's conditions are found by index as well.
#[test]
fn scopes_that_fail_on_no_row_need_no_barrier() {
    let (postgres, _proxy) = start();
    for (scope, barrier) in [
        ("tenant = current_setting('app.tenant')::int", false),
        ("tenant = nullif(pg_catalog.current_setting('app.tenant', true), '')::int AND id > 0", false),
        ("current_setting('app.tenant')::bigint = tenant OR tenant = 0", false),
        ("tenant::text = current_setting('app.tenant')", false),
        ("tenant = ANY (string_to_array(current_setting('app.tenants'), ',')::int[])", false),
        ("lower(btrim(tenant::text || '')) LIKE '%1'", false),
        (
            "EXISTS (SELECT 1 FROM public.access a WHERE a.doc_id = tenants.id AND a.who = current_setting('app.user'))",
            false,
        ),
        ("tenant IN (1, 2, 3) AND id BETWEEN 1 AND 1000", false),
        ("tenant = (SELECT current_setting('app.tenant')::int)", true),
        ("current_setting('app.all')::bool OR tenant = 1", true),
        ("current_setting('app.tenant')::int = 5 OR tenant = 1", true),
        ("10 / tenant > 1", true),
        ("CASE WHEN tenant = current_setting('app.tenant')::int THEN true ELSE false END", true),
        ("coalesce(tenant = current_setting('app.tenant')::int, false)", true),
        ("CASE WHEN current_setting('app.a') = 'x' THEN 1 ELSE tenant END = 1", true),
    ] {
        let rules = RULES.replace("tenant = (SELECT current_setting('app.none')::int)", scope);
        let inputs = planner::inputs(&postgres, shop::DATABASE, &rules);
        let role = inputs.policy.roles.iter().position(|role| role.name == "carrier").unwrap();
        let search_path = ["pg_catalog".to_owned(), "public".to_owned()].into();
        let context =
            QueryContext { role: RoleId(u16::try_from(role).unwrap()), search_path, protocol: Protocol::Simple };
        let sent = plan("SELECT id FROM tenants WHERE id = 3", &context, &inputs).unwrap();
        assert_eq!(sent.permit.text().contains("OFFSET 0"), barrier, "{scope}: {}", sent.permit.text());
        let files = [RuleFile { path: "rules.toml".into(), text: rules.as_str().into() }];
        let parsed = RuleSet::parse(&files).unwrap();
        let found = findings::find(&inputs.policy, &parsed, &files, &inputs.catalog, &Samples::default());
        let warned = found.iter().any(|finding| finding.code == "PGC112" && finding.object == "public.tenants");
        assert_eq!(warned, barrier, "{scope}");
        // The server itself: a setting that is not there is an error though there is no such row.
        if !barrier && scope.contains("current_setting") {
            let mut client =
                wire::Client::connect(&postgres.address(), &[("user", "owner"), ("database", shop::DATABASE)]).unwrap();
            client.simple("SET app.tenant = 'x'");
            let unset = scope
                .replace("'app.tenant')", "'app.none')")
                .replace("'app.tenants'", "'app.none'")
                .replace("'app.user'", "'app.none'");
            let answer = client.simple(&format!("SELECT id FROM tenants WHERE id = -5 AND ({unset})"));
            assert!(wire::error(&answer).is_some(), "{unset}");
        }
    }
}

/// The server gives the parameters of a prepared statement their types once, and casts the columns to them ever after.
#[test]
fn parameters_keep_their_types_when_columns_change() {
    let (_postgres, proxy) = start();
    let run = |total: u32, again: bool| {
        let mut ghn = proxy.connect("ghn", shop::DATABASE);
        ghn.simple("SET plan_cache_mode = force_generic_plan; CREATE TEMP TABLE t (x float8, y int)");
        let sql =
            format!("SELECT count(*) FROM items d WHERE d.total <> {total} OR EXISTS (SELECT 1 FROM t WHERE t.x > $1)");
        ghn.send(&[wire::parse("s", &sql, &[]), wire::sync()].concat());
        assert!(wire::error(&ghn.until_ready()).is_none());
        ghn.simple(&format!("PREPARE p AS {sql}"));
        ghn.simple("DROP TABLE t");
        ghn.simple(if again {
            "CREATE TEMP TABLE t (y int8, z int, x float8)"
        } else {
            "CREATE TEMP TABLE t (x numeric)"
        });
        ghn.simple(if again { "INSERT INTO t VALUES (1, 1, 1)" } else { "INSERT INTO t VALUES (1e400)" });
        let execute = [wire::bind("", "s", &[], &[Some(b"1")], &[]), wire::execute("", 0), wire::sync()].concat();
        ghn.send(&execute);
        let answers = [ghn.until_ready(), ghn.simple("EXECUTE p (1)")];
        answers.map(|answer| wire::error(&answer).and_then(|error| error.field(b'C')).unwrap_or_else(|| rows(&answer)))
    };
    // The client is told to prepare it again.
    assert_eq!(run(2000, false), ["0A000", "0A000"]);
    assert_eq!(run(2001, false), ["0A000", "0A000"]);
    // What the statement does not use may change.
    assert_eq!(run(2001, true), ["39", "39"]);
}
