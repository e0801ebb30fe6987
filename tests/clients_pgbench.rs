//! pgbench in its three modes through the proxy, with masks on the table it reads: no error, no mask missing, memory that
//! does not grow. `PGSCRIM_TEST_LONG=1` runs each mode for 60 s with 50 clients.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod common;

use std::process::Command;

use common::{
    Postgres, Proxy, postgres,
    proxy::{Options, SERVICE_LOGIN},
    run, text, wire,
};

const RULES: &str = r#"
policy = "bench"

[category.money]
columns = ["public.pgbench_accounts.abalance"]
[category.note]
columns = ["public.pgbench_accounts.filler"]
[category.none]
columns = ["public.pgbench_accounts.aid", "public.pgbench_accounts.bid"]

[[role]]
name = "owner"
match = { user = ["postgres"] }
exempt = true

[[role]]
name = "bench"
match = { user = ["bench"] }
see = { money = "full", note = "withhold" }
otherwise = "withhold"
"#;

fn pgbench(proxy: &Proxy, user: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(postgres::program("pgbench"));
    command.args(["-n", "-h", "127.0.0.1", "-p", &proxy.port.to_string(), "-U", user]).args(arguments).arg("bench");
    command.env("PGSSLMODE", "disable");
    let output = run(&mut command);
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn pgbench_in_three_modes() {
    let server = Postgres::start();
    server.sql("postgres", SERVICE_LOGIN);
    server.sql("postgres", "CREATE ROLE bench LOGIN");
    server.sql("postgres", "CREATE DATABASE bench");
    run(Command::new(postgres::program("pgbench")).args([
        "-i",
        "-s",
        "2",
        "-q",
        "-h",
        "127.0.0.1",
        "-p",
        &server.port.to_string(),
        "-U",
        "postgres",
        "bench",
    ]));
    server.sql("bench", "GRANT ALL ON ALL TABLES IN SCHEMA public TO bench; UPDATE pgbench_accounts SET abalance = aid + 1000000; ANALYZE");
    let proxy = Proxy::start(&server, &Options::new("bench", RULES));
    let mut client = proxy.connect("bench", "bench");
    let rows = wire::text_rows(&client.simple("SELECT abalance FROM pgbench_accounts WHERE aid = 7"));
    assert_eq!(rows, [[Some("0".to_owned())]], "masked");
    drop(client);
    let (clients, seconds) = if common::long() { ("50", "60") } else { ("8", "3") };
    let mut peaks = Vec::new();
    for mode in ["simple", "extended", "prepared"] {
        let said = pgbench(&proxy, "bench", &["-S", "-M", mode, "-c", clients, "-j", "2", "-T", seconds]);
        assert!(said.contains("number of failed transactions: 0"), "{mode}: {said}");
        assert!(!said.contains("rror"), "{mode}: {said}");
        let after = proxy.memory();
        println!(
            "{mode}: {} KiB resident; {}",
            after.0,
            said.lines().find(|line| line.starts_with("tps")).unwrap_or_default()
        );
        peaks.push(after.0);
        // The default script writes, as an exempt role and in a transaction.
        let said = pgbench(&proxy, "postgres", &["-M", mode, "-c", "4", "-t", "20"]);
        assert!(said.contains("number of failed transactions: 0"), "{mode}: {said}");
    }
    assert!(peaks[2] < peaks[0] + 64 * 1024, "memory grows: {peaks:?} KiB");
}
