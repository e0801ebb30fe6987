//! The life of `pgscrim serve` in front of a real server: ready, reloaded by SIGHUP, ended by SIGTERM, and starts that
//! fail because of the server or of an address in use.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{fs, process::Command, time::Duration};

use common::{
    Postgres, Proxy,
    proxy::{Options, SERVICE_LOGIN},
    wait_for,
};

const RULES: &str = r#"
policy = "first"

[category.phone]
title = "Phone"
sensitivity = "basic"
columns = ["public.customers.phone"]

[[role]]
name = "packing"
match = { user = ["packing_app"] }
see = { phone = "withhold" }
otherwise = "withhold"
"#;

fn server() -> Postgres {
    let server = Postgres::start();
    server.sql("postgres", SERVICE_LOGIN);
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE customers (id bigint PRIMARY KEY, phone text)");
    server
}

fn second(proxy: &Proxy, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pgscrim"))
        .arg("serve")
        .arg("--config")
        .arg(proxy.folder.join("pgscrim.toml"))
        .args(more)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn from_start_to_end() {
    let server = server();
    let mut proxy = Proxy::start(&server, &Options::new("shop", RULES));
    let rules = proxy.folder.join("rules/rules.toml");
    let limit = Duration::from_secs(20);
    assert!(proxy.page("/metrics").contains("policy=\"first\"} 1"));

    // Starts that fail early: audit log, metrics port and client port are taken, the database does not exist.
    let (code, message) = second(&proxy, &[]);
    assert!(code == Some(1) && message.contains("audit.jsonl: another process"), "{message}");
    let log = proxy.folder.join("other.jsonl").display().to_string();
    let (code, message) = second(&proxy, &["--audit-path", &log, "--metrics", "off"]);
    assert!(code == Some(1) && message.contains(&format!("127.0.0.1:{}", proxy.port)), "{message}");
    let free = ["--audit-path", &log, "--metrics", "off", "--listen", "127.0.0.1:0"];
    let url = format!("postgres://pgscrim:catalog@127.0.0.1:{}/nowhere", server.port);
    let (code, message) = second(&proxy, &[&free[..], &["--upstream-url", &url]].concat());
    assert!(code == Some(1) && message.contains("\"nowhere\" does not exist"), "{message}");
    assert!(!message.contains("catalog@"), "{message}");
    let wrong = proxy.folder.write("wrong/rules.toml", &RULES.replace("customers.phone", "customers.fone"));
    let wrong = wrong.parent().unwrap().display().to_string();
    let (code, message) = second(&proxy, &[&free[..], &["--rules", &wrong]].concat());
    assert!(code == Some(3) && message.contains("rules.toml:7:"), "{message}");

    // SIGHUP: new rules come into force, the audit file is there again.
    fs::write(&rules, RULES.replace("first", "second")).unwrap();
    fs::remove_file(proxy.folder.join("audit.jsonl")).unwrap();
    proxy.signal("HUP");
    wait_for("the new rules", limit, || proxy.page("/metrics").contains("policy=\"second\"} 1").then_some(()));
    wait_for("the audit file", limit, || proxy.folder.join("audit.jsonl").exists().then_some(()));
    // A bad edit keeps the last good rules and is counted.
    fs::write(&rules, "policy = 1\n").unwrap();
    proxy.signal("HUP");
    wait_for("the failure", limit, || {
        (!proxy.page("/metrics").contains("pgscrim_reload_failures_total{what=\"rules\"} 0")).then_some(())
    });
    assert!(proxy.page("/metrics").contains("policy=\"second\"} 1"));
    assert!(proxy.page("/readyz").contains("ready"));

    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0), "{}", proxy.log());
    assert!(!proxy.sockets.join(format!(".s.PGSQL.{}", proxy.port)).exists(), "the socket file stays behind");
}
