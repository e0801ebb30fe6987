//! Observe mode: nothing changes for the application, every event says what would have been done, and a report sums up.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{process::Command, time::Duration};

use common::{Proxy, proxy::Options, shop, wait_for, wire};

#[test]
fn nothing_changes_and_events_say_what_would_have_been() {
    let postgres = shop::postgres();
    let rules = format!(
        "{}observe = true\nlimits = {{ rows_per_statement = 1 }}\nrows = {{ \"public.orders\" = \"false\" }}\n",
        shop::RULES
    );
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let statements = [
        ("SELECT full_name, phone FROM customers WHERE id < 4", "rewrite", None),
        ("SELECT full_name, phone FROM customers WHERE id < 5", "rewrite", None),
        ("SELECT id FROM customers WHERE id = 1", "forward", None),
        ("SELECT 1", "forward", None),
        ("SELECT note FROM customers", "refuse", Some("PGS0201")),
        ("SELECT count(*) FROM orders", "rewrite", None),
        ("SELECT pg_read_file('PG_VERSION')", "refuse", Some("PGS0203")),
        ("CREATE TEMP TABLE t AS SELECT phone FROM customers", "rewrite", None),
        ("UPDATE customers SET phone = '0901234567' WHERE id = 3", "rewrite", None),
        ("SET log_statement = 'all'", "refuse", Some("PGS0208")),
        ("SELECT nothing FROM customers", "refuse", Some("PGS0103")),
        ("this is no SQL", "refuse", Some("PGS0101")),
    ];
    let mut direct = wire::Client::connect(&postgres.address(), &[("user", "support"), ("database", "shop")]).unwrap();
    let mut client = proxy.connect("support", "shop");
    for (sql, ..) in statements {
        let within = |client: &mut wire::Client| {
            client.simple("BEGIN");
            let answer = client.simple(sql);
            client.simple("ROLLBACK");
            wire::describe(&answer)
        };
        assert_eq!(within(&mut client), within(&mut direct), "{sql}");
    }
    assert_eq!(wire::text_rows(&client.extended(statements[0].0, &[], 0)).len(), 3);
    let events = wait_for("the events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() > 3 * statements.len()).then_some(events)
    });
    for ((sql, decision, refusal), event) in statements.iter().zip(events.iter().skip(1).step_by(3)) {
        assert_eq!(event["observed"], *decision, "{sql}: {event}");
        assert_eq!(event["observed_refusal"].as_str(), *refusal, "{sql}: {event}");
        assert_eq!(event["decision"], "forward", "{sql}: {event}");
        assert!(event["refusal"].is_null(), "{sql}: {event}");
    }
    let columns = events[1]["columns"].to_string();
    assert!(columns.contains("name_initials") && columns.contains("phone_last"), "{columns}");

    let audit = proxy.folder.join("audit.jsonl");
    let report = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        let output = command.args(["audit", "coverage"]).args(arguments).arg(&audit).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = report(&["--role", "support"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with("role support: 13 statements, sent 37 times; 4 rewritten, 5 refused"), "{text}");
    assert!(text.contains("PGS0201  1 of 1 times  SELECT  by rules.toml:"), "{text}");
    let (code, json) = report(&["--json", "--role", "support"]);
    assert_eq!(code, Some(2));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["roles"][0]["refused"].as_array().unwrap().len(), 5);
    assert_eq!(report(&["--role", "nobody"]), (Some(0), "no events\n".to_owned()));
}

fn events(proxy: &Proxy, count: usize) -> Vec<serde_json::Value> {
    wait_for("the events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() >= count).then_some(events)
    })
}

fn coverage(proxy: &Proxy) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
    let output = command.args(["audit", "coverage"]).arg(proxy.folder.join("audit.jsonl")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Limits count as if they were enforced, and what they would refuse passes.
#[test]
fn what_limits_would_refuse_is_told() {
    let postgres = shop::postgres();
    let rules = shop::RULES.replace("name = \"name_initials\"", "name = \"clear\"")
        + "observe = true\nlimits = { rows_per_statement = 5, rows_per_day = 24, connection = { searches_per_minute = 3 } }\n";
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let mut client = proxy.connect("support", "shop");
    let mut told = Vec::new();
    let mut run = |client: &mut wire::Client, sql: &str, expected: usize, refusals: &[Option<&'static str>]| {
        for refusal in refusals {
            let answer = client.simple(sql);
            assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
            assert_eq!(wire::text_rows(&answer).len(), expected, "{sql}");
            told.push((sql.to_owned(), *refusal));
        }
    };
    let limit = Some("PGS0216");
    run(&mut client, "SELECT full_name FROM customers WHERE id < 6", 5, &[None, None]);
    run(&mut client, "SELECT full_name FROM customers WHERE id < 8", 7, &[limit]);
    // Of that five were had; nine of the day are left.
    run(&mut client, "SELECT full_name FROM customers WHERE id < 6", 5, &[None, limit]);
    run(&mut client, "SELECT phone FROM customers", 50, &[None]);
    run(&mut client, "SELECT id, phone FROM customers WHERE id < 3", 2, &[None]);
    // A minute may begin in between: so many that one of them holds too many.
    for _ in 0..12 {
        client.extended("SELECT id FROM customers WHERE phone = $1", &[Some(b"0901234001")], 0);
    }
    let events = events(&proxy, told.len() + 12);
    for ((sql, refusal), event) in told.iter().zip(&events) {
        assert_eq!(event["observed_refusal"].as_str(), *refusal, "{sql}: {event}");
        assert_eq!(event["observed"] == "refuse", refusal.is_some(), "{sql}: {event}");
        assert_eq!((&event["decision"], &event["outcome"]), (&"forward".into(), &"completed".into()), "{sql}: {event}");
    }
    let searches = events[told.len()..].iter().filter(|event| event["observed_refusal"] == "PGS0216").count();
    assert!((6..=9).contains(&searches), "{searches}");
    let report = coverage(&proxy);
    assert!(report.contains("PGS0216  2 of 5 times  SELECT"), "{report}");
    assert!(report.contains(&format!("PGS0216  {searches} of 12 times  SELECT")), "{report}");
}

/// What is refused is recorded as a real refusal is: with the columns, as the role would have been refused them.
#[test]
fn what_would_be_refused_is_told_as_a_real_refusal() {
    let postgres = shop::postgres();
    let sqls = [
        "SELECT full_name, note FROM customers",
        "SELECT id FROM customers WHERE note = 'x'",
        "BEGIN; SET search_path = public; SELECT full_name FROM customers",
        "BEGIN; SET search_path = other; SELECT n FROM elsewhere",
        "SELECT pg_read_file('PG_VERSION'), phone FROM customers",
    ];
    postgres.sql("shop", "CREATE SCHEMA other; CREATE TABLE other.elsewhere (n int); GRANT USAGE ON SCHEMA other TO support; GRANT SELECT ON other.elsewhere TO support");
    let real = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let observed = Proxy::start(&postgres, &Options::new(shop::DATABASE, format!("{}observe = true\n", shop::RULES)));
    for sql in sqls {
        let answer = real.connect("support", "shop").simple(sql);
        assert!(wire::error(&answer).is_some(), "{sql}: {}", wire::describe(&answer));
        observed.connect("support", "shop").simple(sql);
    }
    let refusals = events(&real, sqls.len());
    let (observed, mut at) = (events(&observed, sqls.len() + 4), 0);
    for (sql, refusal) in sqls.iter().zip(&refusals) {
        at += sql.split(';').count();
        let last = &observed[at - 1];
        assert_eq!(last["observed"], "refuse", "{sql}: {last}");
        assert_eq!(last["observed_refusal"], refusal["refusal"], "{sql}: {last}");
        if refusal["refusal"] != "PGS0208" {
            assert_eq!((&last["columns"], &last["rules"]), (&refusal["columns"], &refusal["rules"]), "{sql}: {last}");
        }
    }
    assert_eq!((&refusals[2]["refusal"], &refusals[3]["refusal"]), (&"PGS0208".into(), &"PGS0208".into()));
    assert!(observed[0]["columns"].to_string().contains("\"treatment\":\"refuse\""), "{}", observed[0]);
}

/// A statement, its parameters, and what its event says.
type Step<'a> = (&'a str, &'a [Option<&'a [u8]>], &'a str, &'a str);

/// A connection that would be refused, and purposes that are none of the role's, pass; the events say what would have been.
#[test]
fn what_a_connection_asks_for_is_let_in() {
    let postgres = shop::postgres();
    let purposes = "purposes = [\"customer-care\", \"verification\"]";
    let rules = shop::RULES.replace("purposes = [\"customer-care\"]", purposes);
    assert!(rules.contains(purposes));
    let real = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules.clone()));
    let observed = Proxy::start(&postgres, &Options::new(shop::DATABASE, format!("{rules}observe = true\n")));
    let sql = "SELECT phone FROM customers WHERE id = 3";
    let (mut known, mut last) = (0, Vec::new());
    for (name, value, code) in [
        ("pgscrim.purpose", "marketing", "PGS0213"),
        ("options", "-c pgscrim.purpose=marketing", "PGS0213"),
        ("options", "-c log_statement=all", "PGS0403"),
        ("options", "-c client_encoding=latin1", "PGS0403"),
        ("session_preload_libraries", "x", "PGS0403"),
        ("pgscrim.purpose", "verification", ""),
    ] {
        let parameters = [("user", "support"), ("database", "shop"), (name, value)];
        let refused = wire::Client::connect(&real.address(), &parameters).err();
        assert_eq!(refused.is_some(), !code.is_empty(), "{name}={value}");
        // What the server itself says of it, the client is told.
        let straight = wire::Client::connect(&postgres.address(), &parameters);
        let through = wire::Client::connect(&observed.address(), &parameters);
        assert_eq!(through.is_ok(), straight.is_ok(), "{name}={value}");
        let (Ok(mut straight), Ok(mut client)) = (straight, through) else { continue };
        for sql in [sql, "SHOW pgscrim.purpose", "SELECT 1"] {
            assert_eq!(
                wire::describe(&client.simple(sql)),
                wire::describe(&straight.simple(sql)),
                "{name}={value} {sql}"
            );
            known += 1;
        }
        last = events(&observed, known);
        for event in &last[known - 3..] {
            assert_eq!(event["observed_refusal"].as_str().unwrap_or(""), code, "{name}={value}: {event}");
            assert_eq!(event["decision"], "forward", "{event}");
        }
    }
    assert_eq!(last.last().unwrap()["purpose"], "verification");
    assert!(coverage(&observed).contains("PGS0213, PGS0403  3 of 4 times"), "{}", coverage(&observed));
    // SET and set_config, with constants and parameters.
    let mut client = observed.connect("support", "shop");
    let mut straight =
        wire::Client::connect(&postgres.address(), &[("user", "support"), ("database", "shop")]).unwrap();
    let given = "SELECT set_config('pgscrim.purpose', $1, false)";
    let steps: [Step<'_>; 8] = [
        ("SET pgscrim.purpose = 'verification'", &[], "", "verification"),
        ("SET pgscrim.purpose = 'marketing'", &[], "PGS0213", "customer-care"),
        ("SELECT set_config('pgscrim.purpose', 'verification', false)", &[], "", "verification"),
        ("SELECT set_config('pgscrim.purpose', 'marketing', false)", &[], "PGS0213", "customer-care"),
        (given, &[Some(b"verification")], "", "verification"),
        (given, &[Some(b"customer-care")], "", "customer-care"),
        ("SET LOCAL pgscrim.purpose TO marketing", &[], "PGS0213", "customer-care"),
        ("RESET pgscrim.purpose", &[], "", "customer-care"),
    ];
    for (sql, values, code, purpose) in steps {
        let both = [&mut client, &mut straight].map(|client| {
            let change = if values.is_empty() { client.simple(sql) } else { client.extended(sql, values, 0) };
            let then = client.simple("SELECT phone FROM customers WHERE id = 3");
            wire::describe(&change) + &wire::describe(&then)
        });
        assert_eq!(both[0], both[1], "{sql}");
        known += 2;
        let events = events(&observed, known);
        assert_eq!(events[known - 2]["observed_refusal"].as_str().unwrap_or(""), code, "{sql}: {}", events[known - 2]);
        assert_eq!(events[known - 1]["purpose"], purpose, "{sql}: {}", events[known - 1]);
        assert!(events[known - 1]["observed_refusal"].is_null(), "{sql}: {}", events[known - 1]);
    }
}
