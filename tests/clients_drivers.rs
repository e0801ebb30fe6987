//! Drivers beyond Python and Rust end to end, each as a restricted and as an exempt role: Node, JDBC, Go, Ruby, PHP, ODBC.
//! The programs beside this file assert values, types and errors themselves. `make test-drivers` installs what they
//! need and runs them; `make test` leaves them out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use common::{Folder, proxy::fixture, python, run, shop, text};

/// Runs a program straight to the server and through the proxy.
fn every_way(program: &str, arguments: &[&str], prepare: impl Fn(&mut Command)) {
    let (server, proxy) = shop::start();
    for (port, role) in [(server.port, "owner"), (proxy.port, "owner"), (proxy.port, "support")] {
        let mut command = Command::new(program);
        command.args(arguments).env("PROXY_PORT", port.to_string()).env("ROLE", role);
        prepare(&mut command);
        assert_eq!(text(&run(&mut command).stdout).trim(), "ok", "{program} as {role}");
    }
}

fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

fn path(name: &str) -> String {
    fixture(name).display().to_string()
}

fn node(client: &str) {
    every_way("node", &["roles.mjs", client], |command| {
        command.current_dir(target("test-node"));
    });
}

#[test]
#[ignore = "make test-drivers"]
fn node_postgres() {
    node("pg");
}

#[test]
#[ignore = "make test-drivers"]
fn postgres_js() {
    node("postgres");
}

#[test]
#[ignore = "make test-drivers"]
fn knex() {
    node("knex");
}

#[test]
#[ignore = "make test-drivers"]
fn sequelize() {
    node("sequelize");
}

#[test]
#[ignore = "make test-drivers"]
fn typeorm() {
    node("typeorm");
}

#[test]
#[ignore = "make test-drivers"]
fn prisma() {
    node("prisma");
}

#[test]
#[ignore = "make test-drivers"]
fn jdbc() {
    const JAR: &str = "/usr/share/java/postgresql.jar";
    let folder = Folder::new();
    let classes = folder.path().display().to_string();
    run(Command::new("javac").args(["-cp", JAR, "-d", &classes]).arg(fixture("java/Roles.java")));
    every_way("java", &["-cp", &format!("{JAR}:{classes}"), "Roles"], |_| {});
}

#[test]
#[ignore = "make test-drivers"]
fn pgx_and_pq() {
    let folder = Folder::new();
    let program = folder.join("roles").display().to_string();
    // Debian's packages of the modules.
    let mut build = Command::new("go");
    build.args(["build", "-o", &program]).arg(fixture("go/roles.go"));
    build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", target("test-go-cache"));
    run(&mut build);
    every_way(&program, &[], |_| {});
}

#[test]
#[ignore = "make test-drivers"]
fn ruby_pg() {
    every_way("ruby", &[&path("ruby/roles.rb")], |_| {});
}

#[test]
#[ignore = "make test-drivers"]
fn php() {
    every_way("php", &[&path("php/roles.php")], |_| {});
}

#[test]
#[ignore = "make test-drivers"]
fn odbc() {
    let interpreter = python::interpreter().display().to_string();
    every_way(&interpreter, &["-X", "utf8", &path("python/odbc_roles.py")], |command| {
        command.env("PYTHONDONTWRITEBYTECODE", "1");
    });
}
