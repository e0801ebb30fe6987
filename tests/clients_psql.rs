//! psql end to end, as a restricted and as an exempt role: what people type, what its backslash commands ask of the
//! catalogs, and what tab completion asks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use std::{fs, process::Command};

use common::{Proxy, proxy::Options, psql, python, shop, text, wire};

fn said(proxy: &Proxy, user: &str, script: &str) -> String {
    let mut command = psql("127.0.0.1", proxy.port, user, shop::DATABASE);
    let file = proxy.folder.write("script.sql", script);
    let output = command.arg("-f").arg(file).output().unwrap();
    assert!(output.status.success(), "{user}: {script}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn fails(proxy: &Proxy, user: &str, sql: &str) -> String {
    let output = psql("127.0.0.1", proxy.port, user, shop::DATABASE).args(["-c", sql]).output().unwrap();
    assert!(!output.status.success(), "{sql}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// Each with a word that must be in its answer.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("\\d", "customers"),
    ("\\d+", "orders"),
    ("\\dt", "orders"),
    ("\\dt+", "people who buy"),
    ("\\dv", "customer_phones"),
    ("\\dv+", "customer_phones"),
    ("\\di", "customers_pkey"),
    ("\\di+", "customers_pkey"),
    ("\\dm", ""),
    ("\\ds", ""),
    ("\\d customers", "full_name"),
    ("\\d+ customers", "character varying(20)"),
    ("\\d orders", "orders_customer_id_fkey"),
    ("\\d customer_phones", "tel"),
    ("\\d+ customer_phones", "SELECT"),
    ("\\d customers_pkey", "id"),
    ("\\df", ""),
    ("\\df lower", "lower"),
    ("\\df+ lower", "lower"),
    ("\\da max", "max"),
    ("\\do ||", "||"),
    ("\\dT", ""),
    ("\\dT+ int4", "integer"),
    ("\\dC", "integer"),
    ("\\dn", "public"),
    ("\\dn+", "public"),
    ("\\du", "support"),
    ("\\du+", "support"),
    ("\\dg", "owner"),
    ("\\l", "shop"),
    ("\\dp", "customers"),
    ("\\z orders", "orders"),
    ("\\ddp", ""),
    ("\\db", "pg_default"),
    ("\\dx", "plpgsql"),
    ("\\dL", "plpgsql"),
    ("\\dD", ""),
    ("\\dd", ""),
    ("\\dE", ""),
    ("\\dy", ""),
    ("\\dc", ""),
    ("\\dO", ""),
    ("\\dF", "english"),
    ("\\dRp", ""),
    ("\\dP", ""),
    ("\\drds", ""),
    ("\\dconfig work_mem", "work_mem"),
    ("\\encoding", "UTF8"),
    ("\\conninfo", "shop"),
    ("\\sf customer_count", ""),
];

#[test]
fn backslash_commands_answer_as_the_server_does() {
    let (server, proxy) = shop::start();
    server.sql(
        shop::DATABASE,
        "CREATE FUNCTION customer_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customers'",
    );
    let mut problems = Vec::new();
    for user in ["support", "owner"] {
        for (command, word) in DESCRIPTIONS {
            let ask = |port: u16| {
                let file = proxy.folder.write("script.sql", &format!("{command}\n"));
                // With titles and footers, which take queries of their own.
                let mut psql = psql("127.0.0.1", port, user, shop::DATABASE);
                let output = psql.args(["-P", "tuples_only=off", "-f"]).arg(file).output().unwrap();
                (
                    output.status.success(),
                    (text(&output.stdout) + &text(&output.stderr)).replace(&port.to_string(), "PORT"),
                )
            };
            let (through, direct) = (ask(proxy.port), ask(server.port));
            assert!(direct.0 && direct.1.contains(word), "{command} straight: {}", direct.1);
            if through != direct {
                problems.push(format!("{user} {command}:\n{}\n  instead of\n{}", through.1, direct.1));
            }
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn people_see_what_their_role_may_see() {
    let (_server, proxy) = shop::start();
    let row = "SELECT id, full_name, phone, email, born FROM customers WHERE id = 5;\n";
    assert_eq!(said(&proxy, "support", row), "5|N*** K***|*****005||1990-05-22\n");
    assert_eq!(said(&proxy, "owner", row), "5|Nguyen Thi Minh Khai5|0901234005|khai5@gmail.com|1990-05-22\n");
    // Variables, \gx, \gset, \gexec, \watch-like repetition, \copy, \crosstabview, \gdesc, \bind is of newer versions.
    let script = "\\set n 7\nSELECT phone FROM customers WHERE id = :n \\gset\n\\echo :phone\n\
                  SELECT phone, created FROM customers LIMIT 1 \\gdesc\n\
                  SELECT 'SELECT ' || id FROM customers WHERE id < 3 ORDER BY id \\gexec\n\
                  BEGIN;\nSAVEPOINT a;\nROLLBACK TO a;\nCOMMIT;\n";
    assert_eq!(
        said(&proxy, "support", script),
        "*****007\nphone|character varying(20)\ncreated|timestamp with time zone\n1\n2\n"
    );
    let target = proxy.folder.join("copied.csv");
    said(&proxy, "support", &format!("\\copy customers (id, phone) to '{}' csv header\n", target.display()));
    let copied = fs::read_to_string(&target).unwrap();
    assert!(copied.starts_with("id,phone\n1,*****001\n"), "{copied}");
    proxy.folder.write("orders.csv", "5000,1,2.5,2025-06-01\n5001,2,3.5,2025-06-02\n");
    let source = proxy.folder.join("orders.csv");
    said(&proxy, "support", &format!("\\copy orders from '{}' csv\n", source.display()));
    assert_eq!(said(&proxy, "support", "SELECT sum(amount) FROM orders WHERE id >= 5000;\n"), "6.00\n");
    // FETCH_COUNT makes psql use a cursor.
    let fetched = said(&proxy, "support", "\\set FETCH_COUNT 10\nSELECT phone FROM customers ORDER BY id;\n");
    assert_eq!(fetched.lines().count(), 50);
    assert_eq!(fetched.lines().next(), Some("*****001"));
    // Errors keep their place and SQLSTATE.
    let error = fails(&proxy, "support", "SELECT fone FROM customers");
    assert!(error.contains("42703") && error.contains("fone"), "{error}");
    let error = fails(&proxy, "support", "SELECT note FROM customers");
    assert!(error.contains("42501") && error.contains("PGS0201") && error.contains("LINE 1"), "{error}");
    let error = fails(&proxy, "support", "SELECT pg_read_file('PG_VERSION')");
    assert!(error.contains("PGS0203"), "{error}");
    for (given, code) in [
        ("name, 'debug5', false) FROM pg_settings WHERE name = 'client_min_messages'", "PGS0208"),
        ("name, 'debug5', false) FROM pg_settings WHERE name LIKE 'client_min_messages'", "PGS0203"),
        ("name, 'b', false) FROM (SELECT 'search_path' AS name) AS pg_settings WHERE name = 'work_mem'", "PGS0203"),
    ] {
        let error = fails(&proxy, "support", &format!("SELECT set_config({given}"));
        assert!(error.contains(code), "{given}: {error}");
    }
    let error = fails(&proxy, "support", "INSERT INTO customers (id, full_name, note) VALUES (1, 'x', 'a value')");
    assert!(error.contains("23505") && error.contains("customers_pkey"), "{error}");
    assert!(error.contains("DETAIL:  Key (id)=(***) already exists."), "{error}");
    let error = fails(&proxy, "owner", "INSERT INTO customers (id, full_name) VALUES (1, 'x')");
    assert!(error.contains("DETAIL:  Key (id)=(1) already exists."), "{error}");
    let error = fails(&proxy, "stranger", "SELECT 1");
    assert!(error.contains("PGS0401"), "{error}");
}

/// What the server complains of is shown where the client wrote it, whatever was put before it on the way.
#[test]
fn errors_point_into_the_text_that_was_typed() {
    let (_server, proxy) = shop::start();
    let mut client = proxy.connect("support", shop::DATABASE);
    for (sql, word) in [
        ("SELECT /* tệp */ id,   full_name   FROM customers WHERE  'ế' = ''  AND  full_name  @@@  5", "@@@"),
        ("SELECT phone, o.* FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.phone - 1 > 0", "- 1"),
        ("SELECT upper(full_name), lpad(phone, full_name) FROM customers", "lpad"),
        ("SELECT coalesce(phone, 1) FROM customers", "1)"),
        ("SELECT 1;  SELECT phone FROM customers WHERE id = 'x'", "'x'"),
        ("WITH c AS (SELECT id, phone FROM customers) SELECT phone FROM c WHERE id = ''", "''"),
        ("UPDATE customers SET phone = '1', score = 'many' WHERE id = 1", "'many'"),
        ("COPY (SELECT phone, id || 1 FROM customers WHERE id = '') TO STDOUT", "||"),
        ("PREPARE p AS SELECT phone FROM customers WHERE id = 'z'", "'z'"),
        ("SELECT id FROM orders GROUP BY customer_id", "id"),
    ] {
        let answer = client.simple(sql);
        let error = wire::error(&answer).unwrap_or_else(|| panic!("no error: {sql}"));
        let position: usize = error.field(b'P').unwrap_or_else(|| panic!("no position: {sql}")).parse().unwrap();
        let rest: String = sql.chars().skip(position - 1).collect();
        assert!(rest.starts_with(word), "{sql}: points to `{rest}`");
    }
}

#[test]
fn tab_completion_works() {
    let (_server, proxy) = shop::start();
    for role in ["support", "owner"] {
        let environment = [("PROXY_PORT", proxy.port.to_string()), ("ROLE", role.to_owned())];
        let shown = python::script(
            "psql_tab.py",
            &[
                "SELECT * FROM cust\\t\\t\\t",
                "SELECT full_name FROM customers WHERE ph\\t\\t",
                "\\\\d ord\\t\\t",
                "ALTER TABLE orders DROP COLUMN cust\\t\\t\\t",
                "SET work\\t\\t",
                "\\\\c sh\\t\\t",
                "UPDATE customers SET \\t\\t",
            ],
            &environment,
        );
        assert!(shown.contains("customer_phones"), "{role}: tables: {shown}");
        assert!(shown.contains("work_mem"), "{role}: settings: {shown}");
        assert!(shown.contains("customer_id"), "{role}: columns: {shown}");
        assert!(!shown.contains("ERROR"), "{role}: {shown}");
    }
    // Completion queries fail in silence: the audit log says whether one was refused.
    let refused: Vec<_> = proxy.audit().into_iter().filter(|event| event["decision"] == "refuse").collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// A dump without the key that pg_dump makes up each time.
fn settled(dump: &[u8]) -> String {
    let lines = text(dump);
    let lines = lines.lines().filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
    lines.collect::<Vec<_>>().join("\n")
}

fn dump(port: u16, user: &str, arguments: &[&str]) -> std::process::Output {
    Command::new(common::postgres::program("pg_dump"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", user, "-w"])
        .args(arguments)
        .arg(shop::DATABASE)
        .env("PGSSLMODE", "disable")
        .output()
        .unwrap()
}

/// pg_dump reads everything there is: as an exempt role the dump is the server's own, as a restricted one it stops at
/// what the role is refused.
#[test]
fn pg_dump_gives_no_more_than_the_role_may_see() {
    let (server, proxy) = shop::start();
    for arguments in [&[][..], &["--inserts", "--data-only"], &["--schema-only"]] {
        let (through, direct) = (dump(proxy.port, "owner", arguments), dump(server.port, "owner", arguments));
        assert!(through.status.success(), "{arguments:?}: {}", text(&through.stderr));
        let (through, direct) = (settled(&through.stdout), settled(&direct.stdout));
        assert!(through == direct, "{arguments:?}: the dumps differ");
        assert!(direct.len() > 1000);
    }
    for arguments in [&["--data-only", "-t", "customers"][..], &["--inserts", "--data-only", "-t", "customers"], &[]] {
        let output = dump(proxy.port, "support", arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("permission denied for column note of customers"), "{arguments:?}: {said}");
        for value in ["0901234", "gmail", "Nguyen Thi", "prefers calls"] {
            assert!(!said.contains(value), "{arguments:?}: `{value}` in the dump:\n{said}");
        }
    }
}

/// Where nothing is refused, a restricted role's dump is a copy of the database with masks in it, which can be restored.
#[test]
fn pg_dump_of_a_restricted_role_is_a_masked_copy() {
    let server = shop::postgres();
    let rules = shop::RULES.replace("note = \"refuse\"", "note = \"withhold\"");
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, rules));
    let schema = |port: u16| settled(&dump(port, "support", &["--schema-only"]).stdout);
    assert_eq!(schema(proxy.port), schema(server.port));
    for (arguments, copy) in [(&[][..], "copy_a"), (&["--inserts"][..], "copy_b"), (&["-t", "customers"][..], "copy_c")]
    {
        let output = dump(proxy.port, "support", arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        server.sql("postgres", &format!("CREATE DATABASE {copy} OWNER support"));
        let file = proxy.folder.write("dump.sql", &text(&output.stdout));
        let output = psql("127.0.0.1", server.port, "postgres", copy).arg("-q").arg("-f").arg(file).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        let rows = server.sql(copy, "SELECT id, full_name, phone, email, note, born FROM customers ORDER BY id");
        assert_eq!(rows.len(), 50);
        let row = [Some("5"), Some("N*** K***"), Some("*****005"), None, None, Some("1990-05-22")];
        assert_eq!(rows[4].iter().map(Option::as_deref).collect::<Vec<_>>(), row);
    }
    assert_eq!(
        server.sql("copy_a", "SELECT sum(amount) FROM orders"),
        server.sql("shop", "SELECT sum(amount) FROM orders")
    );
}
