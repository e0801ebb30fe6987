//! Python clients end to end, each as a restricted and as an exempt role: psycopg 3 and 2, asyncpg, pg8000, SQLAlchemy and
//! Django. The scripts in `tests/python` assert values, types and errors themselves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod common;

use std::time::Duration;

use common::{
    Postgres, Proxy,
    proxy::{Options, SERVICE_LOGIN},
    python, shop, wait_for,
};

/// Runs a script once as each role, through one proxy.
fn both_roles(script: &str) -> (Postgres, Proxy) {
    let (server, proxy) = shop::start();
    for role in ["support", "owner"] {
        let environment = [("PROXY_PORT", proxy.port.to_string()), ("ROLE", role.to_owned())];
        assert_eq!(python::script(script, &[], &environment).trim(), "ok", "{role}");
    }
    (server, proxy)
}

#[test]
fn asyncpg_restricted_and_exempt() {
    both_roles("asyncpg_roles.py");
}

#[test]
fn psycopg2_pg8000_and_async_psycopg_restricted_and_exempt() {
    both_roles("drivers_roles.py");
}

#[test]
fn sqlalchemy_restricted_and_exempt() {
    both_roles("sqlalchemy_roles.py");
}

#[test]
fn tools_read_the_catalogs_as_without_a_proxy() {
    let (server, proxy) = shop::start();
    let environment = [
        ("PROXY_PORT", proxy.port.to_string()),
        ("SERVER_PORT", server.port.to_string()),
        ("ROLE", "support".to_owned()),
    ];
    assert_eq!(python::script("tool_catalogs.py", &[], &environment).trim(), "ok");
}

#[test]
fn psycopg_restricted_and_exempt() {
    let (_server, proxy) = both_roles("psycopg_roles.py");
    let events = proxy.audit();
    for role in ["support", "owner"] {
        let of_role = || events.iter().filter(|event| event["role"] == role);
        assert!(of_role().count() > 100, "{role}: {} events", of_role().count());
    }
    let text = events.iter().map(ToString::to_string).collect::<String>();
    assert!(!text.contains("0901234"), "a value was logged");
}

/// The scripts say how a server behaves, not how the proxy does: they pass straight to a server too.
#[test]
fn the_scripts_hold_without_a_proxy() {
    let server = shop::postgres();
    let port = || ("PROXY_PORT", server.port.to_string());
    for script in ["psycopg_roles.py", "asyncpg_roles.py", "drivers_roles.py", "sqlalchemy_roles.py"] {
        let said = python::script(script, &[], &[port(), ("ROLE", "owner".to_owned())]);
        assert_eq!(said.trim(), "ok", "{script}");
    }
    server.sql("postgres", "CREATE DATABASE django");
    assert_eq!(python::script("django_shop.py", &["owner"], &[port()]).trim(), "ok");
}

const DJANGO_RULES: &str = r#"
policy = "store"

[category.name]
columns = ["public.store_customer.full_name"]
[category.phone]
columns = ["public.store_customer.phone"]
[category.email]
columns = ["public.store_customer.email"]
[category.none]
columns = ["public.store_customer.id", "public.store_customer.city", "public.store_customer.created"]
"#;

const OWNER: &str = r#"
[[role]]
name = "owner"
match = { user = ["owner"] }
exempt = true
"#;

const SUPPORT: &str = r#"
[[role]]
name = "support"
match = { user = ["support"] }
see = { name = "name_initials", phone = "phone_last", email = "withhold" }
search = { phone = "exact" }
"#;

#[test]
fn django_migrates_as_owner_and_works_as_support() {
    let server = Postgres::start();
    server.sql("postgres", SERVICE_LOGIN);
    server.sql("postgres", "CREATE ROLE owner LOGIN SUPERUSER; CREATE ROLE support LOGIN");
    server.sql("postgres", "CREATE DATABASE django");
    // The first rules know no table yet: there is none.
    let proxy = Proxy::start(&server, &Options::new("django", format!("policy = \"empty\"\n{OWNER}")));
    let port = || ("PROXY_PORT", proxy.port.to_string());
    assert_eq!(python::script("django_shop.py", &["owner"], &[port()]).trim(), "ok");
    // Now the tables are there: the rules that name them come into force without a restart.
    proxy.folder.write("rules/rules.toml", &format!("{DJANGO_RULES}{OWNER}{SUPPORT}"));
    proxy.signal("HUP");
    wait_for("the new rules", Duration::from_secs(20), || {
        let mut command = common::psql("127.0.0.1", proxy.port, "support", "django");
        let output = command.args(["-c", "SELECT phone FROM store_customer WHERE id = 1"]).output().unwrap();
        (common::text(&output.stdout).trim() == "*****001").then_some(())
    });
    assert_eq!(python::script("django_shop.py", &["support"], &[port()]).trim(), "ok");
}
