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
