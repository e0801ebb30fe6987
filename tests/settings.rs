//! Settings of applications (`settings = ["app.*"]`) for restricted roles: row-level policies that read them work; no other setting may be
//! set; and no setting carries a value round the masks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Postgres, Proxy, proxy::Options, shop, wire};

fn start() -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE tasks (id int PRIMARY KEY, tenant text, what text);
         INSERT INTO tasks VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'b', 'z');
         ALTER TABLE tasks ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON tasks USING (tenant = current_setting('app.tenant', true));
         GRANT SELECT, INSERT ON tasks TO support",
    );
    let rules = format!("{}settings = [\"app.*\", \"request.jwt.claims\"]\n", shop::RULES);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    (postgres, proxy)
}

fn value(messages: &[wire::Message]) -> String {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    wire::text_rows(messages)[0][0].clone().unwrap_or_else(|| "-".to_owned())
}

fn refused(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

const TASKS: &str = "SELECT count(*) FROM tasks";

#[test]
fn row_level_policies_by_setting_work() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    assert_eq!(value(&client.simple(TASKS)), "0");
    for (set, seen) in [
        ("SET app.tenant = 'b'", "2"),
        ("SET SESSION app.tenant TO a", "1"),
        ("SET \"app.tenant\" = 'b'", "2"),
        ("SET APP.Tenant = 'a'", "1"),
        ("SELECT set_config('app.tenant', 'b', false)", "2"),
        ("SELECT pg_catalog.set_config('app.tenant', 'A' || '', false)", "0"),
        ("SELECT set_config('app.tenant', lower('B'), false)", "2"),
        ("RESET app.tenant", "0"),
        ("SET app.tenant = 'b'", "2"),
        ("SET app.tenant TO DEFAULT", "0"),
        ("SET app.a.b = 5", "0"),
        ("SET request.jwt.claims = '{\"sub\": 1}'", "0"),
    ] {
        let answer = client.simple(set);
        assert!(wire::error(&answer).is_none(), "{set}: {}", wire::describe(&answer));
        assert_eq!(value(&client.simple(TASKS)), seen, "{set}");
    }
    // As Django and PostgREST send it: a parameter, within a transaction.
    client.simple("BEGIN");
    let answer = client.extended("SELECT set_config('app.tenant', $1, true)", &[Some(b"b")], 0);
    assert_eq!(value(&answer), "b");
    assert_eq!(value(&client.simple(TASKS)), "2");
    client.simple("SET LOCAL app.tenant = 'a'");
    assert_eq!(value(&client.simple(TASKS)), "1");
    assert_eq!(value(&client.simple("SHOW app.tenant")), "a");
    assert_eq!(value(&client.extended("SELECT current_setting('app.tenant')", &[], 0)), "a");
    client.simple("ROLLBACK");
    assert_eq!(value(&client.simple(TASKS)), "0");
    // The same plan for other values, and no other name by it.
    for (sql, seen) in
        [("SELECT set_config('app.tenant', 'b', false)", "2"), ("SELECT set_config('app.other', 'a', false)", "2")]
    {
        client.simple(sql);
        assert_eq!(value(&client.simple(TASKS)), seen, "{sql}");
    }
    assert_eq!(refused(&client.simple("SELECT set_config('apq.tenant', 'a', false)")), "PGS0208");
}

#[test]
fn at_start_up_too() {
    let (_postgres, proxy) = start();
    let connect = |more: &[(&str, &str)]| {
        let parameters: Vec<_> = [("user", "support"), ("database", "shop")].iter().chain(more).copied().collect();
        wire::Client::connect(&proxy.address(), &parameters)
    };
    for more in [("options", "-c app.tenant=b"), ("app.tenant", "b"), ("options", "--app.tenant=b")] {
        let mut client = connect(&[more]).unwrap_or_else(|answer| panic!("{}", wire::describe(&answer)));
        assert_eq!(value(&client.simple(TASKS)), "2", "{more:?}");
    }
    for more in [("options", "-c apq.tenant=b"), ("plpgsql.variable_conflict", "error"), ("options", "-c pgscrim.x=1")]
    {
        assert_eq!(refused(&connect(&[more]).err().unwrap()), "PGS0403", "{more:?}");
    }
}

#[test]
fn no_other_setting_may_be_set() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    for sql in [
        "SET apq.x = 1",
        "SET ap.p = 1",
        "SET app = 1",
        "SET request.jwt.claim = 1",
        "SET plpgsql.variable_conflict = 'use_column'",
        "SET pgscrim.other = 1",
        "SET auto_explain.log_min_duration = 0",
        "RESET plpgsql.extra_warnings",
        "SELECT set_config('log_statement', 'all', false)",
        "SELECT set_config('search_path' || '', 'x', false)",
        "SELECT set_config('APQ.x', 'x', false)",
    ] {
        let code = refused(&client.simple(sql));
        assert!(["PGS0208", "PGS0203"].contains(&code.as_str()), "{sql}: {code}");
    }
    // A name that is computed could be any.
    for sql in [
        "SELECT set_config(lower('APP.x'), 'x', false)",
        "SELECT set_config(what, 'x', false) FROM tasks",
        "SELECT set_config($1, 'x', false)",
    ] {
        assert!(wire::error(&client.extended(sql, &[], 0)).is_some(), "{sql}");
    }
    // The rules take it back at any time: a role without the key.
    assert_eq!(value(&client.simple("SELECT current_setting('app.never', true) IS NULL")), "t");
}

/// A setting holds what the role sees: the mask, in every form of query.
#[test]
fn a_setting_carries_no_value_round_the_masks() {
    let (postgres, proxy) = start();
    let mut client = proxy.connect("support", "shop");
    let kept = "SELECT current_setting('app.x')";
    for sql in [
        "SELECT set_config('app.x', phone, false) FROM customers WHERE id = 3",
        "SELECT set_config('app.x', c.phone || c.full_name, false) FROM customers c WHERE id = 3",
        "SELECT set_config('app.x', (to_jsonb(c))::text, false) FROM (SELECT id, full_name, phone FROM customers) c WHERE id = 3",
        "SELECT set_config('app.x', (SELECT max(phone) FROM customers), false)",
        "SELECT set_config('app.x', string_agg(phone, ','), false) FROM customers",
        "WITH w AS (SELECT phone FROM customers WHERE id = 3) SELECT set_config('app.x', phone, false) FROM w",
        "UPDATE customers SET score = 1 WHERE id = 3 RETURNING set_config('app.x', phone, false)",
        "UPDATE customers SET score = 1 WHERE id = 3 AND set_config('app.x', phone, false) IS NOT NULL",
        "DELETE FROM customers WHERE id = 3 AND set_config('app.x', phone, false) = ''",
        "SELECT 1 FROM customers WHERE id = 3 AND set_config('app.x', phone, false) <> ''",
        "SELECT id FROM customers WHERE id = 3 ORDER BY set_config('app.x', phone, false)",
        "SELECT count(*) FROM customers WHERE id = 3 GROUP BY set_config('app.x', phone, false)",
        "SELECT 1 FROM customers c, LATERAL set_config('app.x', c.phone, false) WHERE c.id = 3",
    ] {
        client.simple("SET app.x = 'nothing'");
        let answer = client.simple(sql);
        assert!(!wire::describe(&answer).contains("0901234"), "{sql}: {}", wire::describe(&answer));
        let held = value(&client.simple(kept));
        let was_run = wire::error(&answer).is_none();
        assert!(!held.contains("0901234") && !held.contains("Khai3"), "{sql}: {held}");
        assert!(!was_run || held.contains("*****"), "{sql}: {held}");
        let shown = wire::describe(&client.simple("SHOW app.x"));
        assert!(!shown.contains("0901234"), "{sql}: {shown}");
    }
    // What is refused stays refused, also as the value of a setting.
    assert_eq!(refused(&client.simple("SELECT set_config('app.x', note, false) FROM customers")), "PGS0201");
    // Nor does a look-up by exact search go into one: it would be read there uncounted.
    let found = "SELECT set_config('app.x', (phone = '0901234003')::text, false) FROM customers WHERE id = 3";
    assert_eq!(refused(&client.simple(found)), "PGS0203");
    drop(postgres);
}

#[test]
fn a_role_without_the_key_has_none() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let mut client = proxy.connect("support", "shop");
    for sql in ["SET app.tenant = 'b'", "SELECT set_config('app.tenant', 'b', false)", "RESET app.tenant"] {
        assert_eq!(refused(&client.simple(sql)), "PGS0208", "{sql}");
    }
    assert!(
        refused(&client.extended("SELECT set_config('app.tenant', $1, false)", &[Some(b"b")], 0)).starts_with("PGS020")
    );
}

/// A class that an extension of the database has is nobody's to give, whatever the list in the program knows.
#[test]
fn classes_of_the_database_are_read_from_it() {
    let postgres = shop::postgres();
    let folder = common::Folder::new();
    let check = |setting: &str| {
        folder.write("rules/r.toml", &format!("{}settings = [\"{setting}\"]\n", shop::RULES));
        let url = format!("postgres://pgscrim:catalog@127.0.0.1:{}/shop", postgres.port);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        command.args(["check", "--upstream-url", &url, "--rules"]).arg(folder.join("rules"));
        let output = command.output().unwrap();
        (output.status.code(), common::text(&output.stderr))
    };
    assert_eq!(check("app.*").0, Some(0));
    for setting in ["search_path", "plpgsql.*", "pgscrim.purpose", "*.*", "App.x"] {
        let (code, err) = check(setting);
        assert!(code == Some(3) && err.contains("cannot be given to a role") && err.contains('^'), "{setting}: {err}");
    }
    if postgres.sql("shop", "SELECT count(*) FROM pg_available_extensions WHERE name = 'tablefunc'")[0][0].as_deref()
        == Some("1")
    {
        assert_eq!(check("tablefunc.*").0, Some(0));
        postgres.sql("shop", "CREATE EXTENSION tablefunc");
        assert_eq!(check("tablefunc.*").0, Some(3));
    }
}
