//! From an unknown database to enforced rules, as the documentation tells a DBA to go: discover, sort, check, test, observe, enforce, over
//! the schema of django-oscar, a shop that somebody else wrote. What a person does to the files between the commands is done here by
//! the replacements that the files name themselves, and counted.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::format_collect, reason = "a test")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use common::{Postgres, Proxy, proxy::Options, wire};

const LOGINS: &str = "CREATE ROLE pgscrim LOGIN PASSWORD 'catalog'; CREATE ROLE storefront LOGIN; CREATE ROLE support LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO storefront, support;
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
VALUES (1, 'md5$x', false, 'khai', 'Nguyen', 'Minh Khai', 'khai@firma.vn', false, true, now());
INSERT INTO address_country VALUES ('VN', 'VNM', '704', 'Vietnam', 'Vietnam', 0, true);
INSERT INTO address_useraddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode, search_text, phone_number,
    notes, is_default_for_shipping, is_default_for_billing, num_orders_as_shipping_address, hash, date_created, country_id, user_id,
    num_orders_as_billing_address)
VALUES (1, '', 'Nguyen', 'Minh Khai', '1 Le Loi', '', '', '', '', '550000', '', '+84901234567', '', true, true, 0, 'h', now(), 'VN', 1, 0)";

const TESTS: &str = r#"
[[test]]
name = "staff works with masks"
user = "support"
sql = "SELECT u.id, u.email, a.first_name, a.phone_number FROM auth_user u JOIN address_useraddress a ON a.user_id = u.id"
expect = { email = "email", first_name = "name_initials", phone_number = "phone_last" }
[[test]]
name = "the shop sees what customers enter"
user = "storefront"
sql = "SELECT line1, phone_number FROM order_shippingaddress"
expect = { "*" = "clear" }
"#;

fn shop() -> Postgres {
    let postgres = Postgres::start();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shops/oscar-schema.sql");
    postgres.sql("postgres", &fs::read_to_string(schema).unwrap());
    postgres.sql("postgres", LOGINS);
    postgres
}

/// Runs pgscrim in `folder`; its exit code, standard output and standard error.
fn pgscrim(folder: &common::Folder, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
    let output = command.args(arguments).stdin(Stdio::null()).current_dir(folder.path()).output().unwrap();
    (output.status.code().unwrap(), common::text(&output.stdout), common::text(&output.stderr))
}

/// Findings of `check`, by code and object.
fn findings(folder: &common::Folder, url: &str) -> BTreeSet<String> {
    let (code, out, err) = pgscrim(folder, &["check", "--rules", "rules", "--upstream-url", url, "--json"]);
    assert_eq!(code, 0, "{out}{err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let found = json["findings"].as_array().unwrap().iter();
    found.map(|finding| format!("{} {}", text(&finding["code"]), text(&finding["object"]))).collect()
}

/// What `sed 's/^    # \(".*",\) # review$/    \1/'` does, and how many lines it changed.
fn reviewed(text: &str) -> (String, usize) {
    let mut count = 0;
    let lines =
        text.lines().map(|line| match line.strip_prefix("    # ").and_then(|rest| rest.strip_suffix(" # review")) {
            Some(column) => {
                count += 1;
                format!("    {column}\n")
            }
            None => format!("{line}\n"),
        });
    (lines.collect(), count)
}

#[test]
fn rules_of_an_unknown_shop_are_found_sorted_checked_tested_observed_and_enforced() {
    let postgres = shop();
    let folder = common::Folder::new();
    let url = format!("postgres://pgscrim:catalog@127.0.0.1:{}/postgres", postgres.port);

    // Discover: into a folder that is not there yet.
    let (code, _, err) = pgscrim(&folder, &["discover", "--upstream-url", &url, "--out", "rules/10-data.toml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let path = folder.join("rules/10-data.toml");
    let found = fs::read_to_string(&path).unwrap();
    // What a reviewed set of rules for the same shop has in categories was found, without a look at any row.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shops/oscar-rules/rules.toml");
    let ours = fs::read_to_string(ours).unwrap();
    let (personal, _) = ours.split_once("# Reviewed: not personal.").unwrap();
    for column in personal.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\",")) {
        assert!(found.contains(&format!("\n    \"{column}\", # its name")), "{column} was not found");
    }
    assert!(found.contains("match = { user = [\"storefront\", \"support\"] }"), "{found}");

    // Sort: two logins into roles, and the signs away once every line was read.
    let with_roles: String = found
        .lines()
        .map(|line| line.strip_prefix("#:").map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest)))
        .map(|line| format!("{line}\n"))
        .collect();
    let with_roles =
        with_roles.replace("\"shop_app\"", "\"storefront\"").replace("[\"storefront\", \"support\"]", "[\"support\"]");
    fs::write(&path, &with_roles).unwrap();
    // Before the review nothing of it is seen, and one line a table says so.
    let before = findings(&folder, &url);
    let unclassified = before.iter().filter(|finding| finding.starts_with("PGC201")).count();
    assert!((10..=25).contains(&unclassified), "{before:?}");
    assert!(!before.iter().any(|finding| finding.starts_with("PGC302")), "{before:?}");
    let (text, lines) = reviewed(&with_roles);
    assert!((80..=110).contains(&lines), "{lines}");
    fs::write(&path, &text).unwrap();
    let after = findings(&folder, &url);
    // The application that the staff logs in by must see its sessions: the one warning there is.
    let is_note = |finding: &String| ["PGC204", "PGC303", "PGC407"].iter().any(|note| finding.starts_with(note));
    let warnings: Vec<&String> = after.iter().filter(|finding| !is_note(finding)).collect();
    assert_eq!(warnings, ["PGC301 public.django_session.session_key"], "{after:?}");

    // Test: of an observed role what would be.
    folder.write("rules/shop.test.toml", TESTS);
    let (code, out, err) = pgscrim(&folder, &["test", "rules", "--upstream-url", &url]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("observed") && err.contains("staff"), "{err}");
    let explain = ["explain", "--rules", "rules", "--upstream-url", &url, "--user", "support"];
    let (code, out, _) = pgscrim(&folder, &[&explain[..], &["SELECT phone_number FROM address_useraddress"]].concat());
    assert!(code == 0 && out.starts_with("role staff (observed") && out.contains("rewrite"), "{out}");

    // Observe: nothing changes, and the report says what would.
    let proxy = Proxy::start_in(folder, &postgres, &Options::new("postgres", ""));
    let sql = "SELECT first_name, phone_number FROM address_useraddress";
    let session = "SELECT session_data FROM django_session WHERE session_key = 'x'";
    let mut client = proxy.connect("support", "postgres");
    let seen = |client: &mut wire::Client| {
        wire::text_rows(&client.simple(sql)).concat().into_iter().flatten().collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut client), ["Nguyen", "+84901234567"]);
    client.simple(session);
    let (code, out, err) = common::wait_for("the events", std::time::Duration::from_secs(10), || {
        let ran = pgscrim(&proxy.folder, &["audit", "coverage", "audit.jsonl"]);
        ran.1.contains("session_key").then_some(ran)
    });
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("    public.django_session.session_key (withhold): 1 statements\n"), "{out}");
    assert!(!out.contains("phone_number ("), "what is only shown is compared with nothing: {out}");

    // Enforce: the application that logs people in sees what it compares, and nobody is observed.
    let enforced = text.replace("see.secret = \"withhold\"", "see.secret = \"clear\"").replace("observe = true", "");
    assert!(enforced.contains("see.secret = \"clear\""), "{enforced}");
    proxy.folder.write("rules/10-data.toml", &enforced);
    assert_eq!(findings(&proxy.folder, &url).iter().filter(|finding| finding.starts_with("PGC301")).count(), 0);
    let masked = common::wait_for("the rules", std::time::Duration::from_secs(20), || {
        // One that is made while the rules change is told to come again.
        let login = [("user", "support"), ("database", "postgres")];
        let seen = seen(&mut wire::Client::connect(&proxy.address(), &login).ok()?);
        // A session that began while its role was observed ends when that changes.
        (!seen.is_empty() && seen != ["Nguyen", "+84901234567"]).then_some(seen)
    });
    assert_eq!(masked, ["N***", "*****567"]);
    // An address of a firm is one that forms take.
    let rows = wire::text_rows(&proxy.connect("support", "postgres").simple("SELECT email FROM auth_user"));
    assert_eq!(rows[0][0].as_deref(), Some("k***@example.com"));
    assert_eq!(seen(&mut proxy.connect("storefront", "postgres")), ["Nguyen", "+84901234567"]);
}

#[test]
fn an_empty_database_is_no_success_without_a_word() {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE ROLE pgscrim LOGIN PASSWORD 'catalog'");
    let folder = common::Folder::new();
    let url = format!("postgres://pgscrim:catalog@127.0.0.1:{}/postgres", postgres.port);
    let (code, _, err) = pgscrim(&folder, &["discover", "--upstream-url", &url]);
    assert_eq!(
        (code, err.as_str()),
        (
            0,
            "pgscrim: database \"postgres\" has no tables; is it the one that the applications use? (upstream.url names it)\n"
        )
    );
    folder.write("rules/r.toml", "policy = \"p\"\n[[role]]\nname = \"r\"\nmatch = { user = \"pgscrim\" }\n");
    for nothing in ["", "  ", ";", "/* x */ -- y"] {
        let arguments = ["explain", "--rules", "rules", "--upstream-url", &url, "--role", "r", nothing];
        let (code, _, err) = pgscrim(&folder, &arguments);
        assert_eq!(
            (code, err.as_str()),
            (1, "pgscrim: there is no statement to explain: the text is empty\n"),
            "{nothing}"
        );
    }
}

/// What `pgscrim install` makes is nobody's data: no command lists it or warns of it.
#[test]
fn commands_leave_out_what_pgscrim_made() {
    let postgres = shop();
    let folder = common::Folder::new();
    folder.write("key", &format!("{}\n", "0123456789abcdef".repeat(4)));
    let mut permissions = fs::metadata(folder.join("key")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(folder.join("key"), permissions).unwrap();
    let (code, script, err) = pgscrim(&folder, &["install", "--key-file", "key", "--grant-to", "support"]);
    assert_eq!(code, 0, "{err}");
    folder.write("install.sql", &script);
    let mut psql = common::psql("127.0.0.1", postgres.port, "postgres", "postgres");
    let ran = psql.args(["-v", "ON_ERROR_STOP=1", "-f"]).arg(folder.join("install.sql")).output().unwrap();
    assert!(ran.status.success(), "{}", common::text(&ran.stderr));

    let url = format!("postgres://pgscrim:catalog@127.0.0.1:{}/postgres", postgres.port);
    let (_, found, _) = pgscrim(&folder, &["discover", "--upstream-url", &url]);
    assert!(found.contains("auth_user") && !found.contains("pgscrim_key"), "{found}");
    let rules = "policy = \"p\"\n[category.email]\ncolumns = [\"public.auth_user.email\"]\n[[role]]\nname = \"r\"\nmatch = { user = \"support\" }\nsee = { email = \"email_pseudo\" }\n";
    folder.write("rules/r.toml", rules);
    let check = findings(&folder, &url);
    assert!(!check.iter().any(|finding| finding.contains("pgscrim")), "{check:?}");
    folder.write("new/r.toml", &rules.replace("name = \"r\"", "name = \"s\"").replace("email_pseudo", "withhold"));
    let (_, out, err) = pgscrim(&folder, &["diff", "rules", "new", "--upstream-url", &url]);
    assert!(out.contains("role") && !out.contains("pgscrim_key"), "{out}{err}");
}
