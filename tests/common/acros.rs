//! The shop of the demo on a server of the tests, and the ACROS pack that is written for it.

use std::{fs, io::Write, path::PathBuf, process::Stdio};

use pgscrim::cli::{
    demo::shop,
    install::{Key, install},
};

use super::{Postgres, psql};

/// The files of the pack.
pub const FILES: [&str; 3] = ["10-data.toml", "20-roles.toml", "30-subjects.toml"];

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/acros")
}

pub fn file(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// Logins, tables and the function of keyed masks, without a row.
pub fn load_schema(postgres: &Postgres) {
    let key = Key::new(b"a key that only this test knows, of enough bytes").unwrap();
    run(postgres, "postgres", shop::ROLES_SQL);
    run(postgres, shop::DATABASE, shop::SCHEMA_SQL);
    run(postgres, shop::DATABASE, &install(&key, 1, &["service_development_app"]));
}

/// The whole shop.
pub fn load(postgres: &Postgres) {
    load_schema(postgres);
    run(postgres, shop::DATABASE, shop::DATA_SQL);
}

fn run(postgres: &Postgres, database: &str, script: &str) {
    let mut psql = psql("127.0.0.1", postgres.port, "postgres", database);
    psql.args(["-f", "-"]).env("PGOPTIONS", "-c client_min_messages=warning");
    let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}
