//! The `pgscrim` program from the outside: exit codes, messages, `explain`, `check` and `catalog` on a catalog file,
//! `audit tail`, and starts that fail early. No test needs a server but for its absence.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

const RULES: &str = r#"
policy = "test"

[category.phone]
title = "Phone"
sensitivity = "basic"
columns = ["public.customers.phone"]

[category.none]
columns = ["public.customers.id"]

[[role]]
name = "packing"
match = { user = ["packing_app"] }
see = { phone = "withhold" }
otherwise = "withhold"

[[role]]
name = "owner"
match = { user = ["shop_owner"] }
exempt = true
"#;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pgscrim cli {name} {}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("rules")).unwrap();
        fs::write(path.join("rules/rules.toml"), RULES).unwrap();
        let mut data = pgscrim::catalog::testing::database();
        pgscrim::catalog::testing::table(&mut data, "customers", "id bigint, phone text");
        fs::write(path.join("catalog.json"), serde_json::to_string(&data).unwrap()).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        pgscrim(arguments).current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pgscrim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PGSCRIM_")) {
        command.env_remove(name);
    }
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn help_names_commands_examples_variables_and_exit_codes() {
    let help = pgscrim(&["--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    for word in ["serve", "check", "explain", "audit", "catalog", "Exit codes"] {
        assert!(stdout(&help).contains(word), "{word}");
    }
    let help = stdout(&pgscrim(&["serve", "--help"]).output().unwrap());
    for key in pgscrim::config::KEYS {
        assert!(help.contains(&format!("--{} ", key.flag)) && help.contains(key.env), "{}", key.path);
    }
    assert_eq!(pgscrim(&["serve", "--no-such-flag"]).output().unwrap().status.code(), Some(1));
    for arguments in [&["test", "--bogus"][..], &["test", "--format", "sarif"], &["diff", "old"]] {
        assert_eq!(pgscrim(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(pgscrim(&["--version"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn check_answers_with_the_matrix_or_with_carets_and_exit_code_3() {
    let folder = Folder::new("check");
    let output = folder.run(&["check", "--rules", "rules", "--catalog", "catalog.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("packing") && stdout(&output).contains("phone"), "{}", stdout(&output));
    let output = folder.run(&["check", "--rules", "rules", "--catalog", "catalog.json", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["policy"], "test");

    fs::write(folder.0.join("rules/rules.toml"), RULES.replace("customers.phone", "customers.fone")).unwrap();
    let output = folder.run(&["check", "--rules", "rules", "--catalog", "catalog.json"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("rules/rules.toml:7:") && stderr(&output).contains('^'), "{}", stderr(&output));
    let output = folder.run(&["check", "--rules", "no-such-folder", "--catalog", "catalog.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no-such-folder"), "{}", stderr(&output));
}

#[test]
fn explain_finds_roles_by_name_and_by_user() {
    let folder = Folder::new("explain");
    let explain = |more: &[&str]| {
        let arguments = [&["explain", "--rules", "rules", "--catalog", "catalog.json"], more].concat();
        folder.run(&arguments)
    };
    let output = explain(&["--role", "owner", "SELECT id FROM customers"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("SELECT id FROM customers"), "{}", stdout(&output));
    let output = explain(&["--user", "shop_owner", "--json", "SELECT id FROM customers"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["role"], &shown["sql"]), (&"owner".into(), &"SELECT id FROM customers".into()));
    let output = explain(&["--role", "nobody", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("packing, owner"), "{}", stderr(&output));
    let output = explain(&["--user", "stranger", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(2));
}

/// What a session may send, the commands may be given: long chains need room.
#[test]
fn long_statements_are_explained() {
    let folder = Folder::new("explain-long");
    for sql in [
        format!("SELECT id FROM customers WHERE {}", vec!["1=1"; 5000].join(" AND ")),
        format!("SELECT 1{}", "+1".repeat(10_000)),
    ] {
        let output =
            folder.run(&["explain", "--rules", "rules", "--catalog", "catalog.json", "--role", "packing", &sql]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[test]
fn audit_tail_filters_follows_rotations_and_hides_terminal_controls() {
    let folder = Folder::new("tail");
    let log = folder.0.join("audit.jsonl");
    let line = |statement: u64, role: &str, column: &str| {
        format!(
            "{{\"time\":\"2026-01-01T00:00:00.000000Z\",\"statement\":{statement},\"user\":\"u\\u001b[2J\",\"role\":\"{role}\",\
             \"kind\":\"SELECT\",\"decision\":\"rewrite\",\"outcome\":\"completed\",\"rows\":1,\"duration_us\":1500,\
             \"text\":\"SELECT {statement}\",\"columns\":[{{\"column\":\"{column}\",\"category\":\"c\",\"treatment\":\"clear\"}}]}}\n"
        )
    };
    fs::write(&log, line(1, "a", "public.t.phone") + &line(2, "b", "public.t.name") + &line(3, "a", "public.t.name"))
        .unwrap();
    let shown = |more: &[&str]| {
        let output = folder.run(&[&["audit", "tail", "--audit-path", "audit.jsonl", "--once"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(shown(&["--json", "--role", "a"]).lines().count(), 2);
    assert_eq!(shown(&["--json", "--column", "phone"]), line(1, "a", "public.t.phone"));
    assert_eq!(shown(&["--json", "--lines", "1"]), line(3, "a", "public.t.name"));
    assert_eq!(shown(&["--decision", "refuse"]), "");
    let human = shown(&[]);
    assert!(human.contains("SELECT 2") && human.contains("1.5 ms") && !human.contains('\u{1b}'), "{human}");

    let mut child = pgscrim(&["audit", "tail", "--audit-path", "audit.jsonl", "--json", "--lines", "0"])
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut text = String::new();
        reader.read_line(&mut text).unwrap();
        text
    };
    // Written in two parts, so that the first look finds half a line.
    let whole = line(4, "a", "x");
    let append =
        |text: &str| fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(text.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(600));
    let (begin, end) = whole.split_at(20);
    append(begin);
    std::thread::sleep(std::time::Duration::from_millis(300));
    append(end);
    assert_eq!(next(), whole);
    append(&line(5, "a", "x"));
    fs::rename(&log, folder.0.join("audit.jsonl.1")).unwrap();
    fs::write(&log, line(6, "a", "x")).unwrap();
    assert_eq!((next(), next()), (line(5, "a", "x"), line(6, "a", "x")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn serve_fails_early_and_names_the_cause() {
    let folder = Folder::new("serve");
    let serve = |more: &[&str]| {
        let mut base = vec!["serve", "--metrics", "off", "--listen", "127.0.0.1:0"];
        if !more.contains(&"--audit-path") {
            base.extend(["--audit-path", "audit.jsonl"]);
        }
        let output = folder.run(&[&base[..], more].concat());
        (output.status.code(), stderr(&output))
    };
    // Nobody listens on port 1.
    let url = ["--upstream-url", "postgres://pgscrim:geheim@127.0.0.1:1/shop"];
    let with = |more: &[&'static str]| [&url, more].concat();
    for (arguments, code, cause) in [
        (vec!["--rules", "rules"], 1, "\"upstream.url\" is missing"),
        (with(&["--rules", "nowhere"]), 1, "nowhere"),
        (with(&["--rules", "rules"]), 1, "127.0.0.1:1"),
        (with(&["--rules", "rules", "--tls-mode", "required"]), 1, "\"tls.cert\" is missing"),
        (with(&["--rules", "rules", "--audit-path", "/nonexistent/a"]), 1, "audit log /nonexistent/a"),
        (with(&["--rules", "rules", "--audit-key-file", "nokey"]), 1, "nokey"),
        (with(&["--rules", "rules", "--config", "no.toml"]), 1, "no.toml"),
    ] {
        let (found, message) = serve(&arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {message}");
        assert!(message.contains(cause), "{arguments:?}: {message}");
        assert!(!message.contains("geheim"), "{message}");
    }
    fs::write(folder.0.join("rules/rules.toml"), "policy = 1\n").unwrap();
    let (code, message) = serve(&with(&["--rules", "rules"]));
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("rules.toml:1:"), "{message}");
    assert_eq!(message.matches("error: policy").count(), 1, "told once: {message}");
    assert!(!message.contains("last good state"), "there is none yet: {message}");
}

#[test]
fn environment_variables_stand_in_for_flags() {
    let folder = Folder::new("environment");
    let output = pgscrim(&["check"])
        .current_dir(&folder.0)
        .env("PGSCRIM_RULES", "rules")
        .env("PGSCRIM_CATALOG", "catalog.json")
        .env("PGSCRIM_UPSTREAM_URL", "")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = pgscrim(&["serve"]).env("PGSCRIM_LISTEN", "nonsense").output().unwrap();
    assert!(stderr(&output).contains("PGSCRIM_LISTEN"), "{}", stderr(&output));
}
