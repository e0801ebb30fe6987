//! Keyed masks, with what `pgscrim install` prints run on a real PostgreSQL: who may use the key and where it shows, what
//! the masks answer, and what a role gets through the proxy.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;
#[path = "common/maskspec.rs"]
mod maskspec;
#[path = "common/strings.rs"]
#[allow(missing_docs, reason = "as in common")]
mod texts;

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
};

use common::{Folder, Postgres, Proxy, proxy, psql, wire};
use hmac::{Hmac, KeyInit, Mac};
use maskspec::{fit_in, spec, types_of};
use pgscrim::{
    catalog::{
        CatalogSnapshot, Column,
        data::{CatalogData, OperatorData},
        testing,
    },
    cli::install::{Key, install, uninstall},
    names::{Oid, quote_literal},
    policy::{Mask, masks::MaskSpec},
};
use sha2::Sha256;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Mask, parameters, type of the column, stored value, masked value under [`KEY`]; computed with Python's `hmac`.
const EXAMPLES: &[(&str, &str, &str, &str, &str)] = &[
    ("hash", "", "text", "Trần", "d43b885e36d46a48"),
    ("hash", "", "text", "Tra\u{302}\u{300}n", "d43b885e36d46a48"),
    ("hash", "", "char(20)", "Trần", "d43b885e36d46a48"),
    ("hash", "len = 64", "text", "Trần", "d43b885e36d46a482fc75722d06638378152c95cc82c91f4e43bd9c18ef5e1f4"),
    ("hash", "len = 8, form = 'lower'", "varchar(20)", " Trần  Thị\tB", "c2d97482"),
    ("hash", "form = 'digits', domain = 'crm'", "text", "090 123-４５６７", "5d25ab63a6816513"),
    ("pseudonym", "prefix = 'kh'", "varchar(13)", "KH-001", "kh_ZMCFKPJSYM"),
    ("pseudonym", "prefix = 'kh', domain = 'kh'", "text", "KH-001", "kh_EXDOPY7QFD"),
    ("name_pseudo", "", "varchar(100)", "Nguyễn Thị Minh Khai", "Khách LTVEQM"),
    ("name_pseudo", "", "text", " NGUYỄN  thị Minh khai ", "Khách LTVEQM"),
    ("phone_e164_hash", "", "varchar(20)", "0901234567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "+84901234567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "84901234567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "0084901234567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "901234567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "090.123.4567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "090-123-4567", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "varchar(20)", "+84 (0)90 123 45 67", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "text", "０９０１２３４５６７", "ph_EZ6Q56TD4W"),
    ("phone_e164_hash", "", "text", "(028) 3823 4567", "ph_RLUVRETJHI"),
    ("phone_e164_hash", "", "text", "+84 28 3823 4567", "ph_RLUVRETJHI"),
    ("phone_e164_hash", "", "text", "+1 (415) 555-2671", "ph_MPLU6UM7CN"),
    ("phone_e164_hash", "", "text", "001 415 555 2671", "ph_MPLU6UM7CN"),
    ("phone_e164_hash", "", "text", "1900 1234", "ph_ND2UNPETCI"),
    ("phone_e164_hash", "", "text", "chị Lan", "*****"),
    ("phone_e164_hash", "", "text", "ph_EZ6Q56TD4W", "ph_EZ6Q56TD4W"),
    ("phone_valid_fake", "", "varchar(10)", "0901234567", "0000476131"),
    ("phone_valid_fake", "", "char(15)", "+84 90 1234567", "0000476131"),
    ("email_pseudo", "", "varchar(255)", "minh.khai@gmail.com", "u7996c7c029@example.invalid"),
    ("email_pseudo", "", "text", " Minh.Khai@Gmail.com ", "u7996c7c029@example.invalid"),
    ("pseudo_int", "lo = 100, hi = 199", "integer", "37", "166"),
    ("pseudo_int", "lo = -5, hi = 5", "smallint", "37", "-2"),
    ("pseudo_int", "lo = 1, hi = 1000", "numeric(12,2)", "5.00", "765.00"),
    ("pseudo_int", "lo = 1, hi = 1000", "numeric", "5", "765"),
    ("phone_e164_hash", "", "varchar(20)[]", "{0901234567,NULL,+84901234567}", "{ph_EZ6Q56TD4W,NULL,ph_EZ6Q56TD4W}"),
    (
        "json",
        "paths = { '$.phone' = 'phone_e164_hash' }",
        "jsonb",
        "{\"phone\": \"0901234567\"}",
        "{\"phone\": \"ph_EZ6Q56TD4W\"}",
    ),
];

/// Masks of texts, and whether masking twice is promised to change nothing.
const TEXT_MASKS: &[(&str, &str, bool)] = &[
    ("hash", "", false),
    ("hash", "len = 32, form = 'lower'", false),
    ("hash", "form = 'digits'", false),
    ("pseudonym", "prefix = 'kh'", false),
    ("name_pseudo", "", false),
    ("phone_e164_hash", "", true),
    ("phone_valid_fake", "", true),
    ("email_pseudo", "", true),
];

fn key() -> Key {
    Key::new(KEY).unwrap()
}

/// A server on which the script ran.
fn installed(settings: &str, roles: &[&str]) -> Postgres {
    let server = Postgres::start_with(settings, "host all all 127.0.0.1/32 trust\nlocal all all trust\n");
    for role in roles {
        server.sql("postgres", &format!("CREATE ROLE \"{role}\" LOGIN"));
    }
    let output = run(&server, "postgres", &install(&key(), 1, roles));
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    server
}

/// Runs a script with psql as `user`.
fn run(server: &Postgres, user: &str, script: &str) -> Output {
    let mut command = psql("127.0.0.1", server.port, user, "postgres");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn value(server: &Postgres, sql: &str) -> String {
    server.sql("postgres", sql)[0][0].clone().unwrap_or_default()
}

fn data() -> CatalogData {
    let mut data = testing::database();
    testing::keyed_function(&mut data);
    data
}

fn fit(name: &str, parameters: &str, column: &Column) -> Mask {
    fit_in(data(), name, parameters, column)
}

fn digest(key: &[u8], domain: &str, value: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(domain.as_bytes());
    mac.update(b"\0");
    mac.update(value.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn documented_examples() {
    let server = installed("", &[]);
    let mut failures = Vec::new();
    // A database that holds operators of these names has them qualified.
    let mut shadowed = data();
    shadowed.operators.extend(["||", "~", "=", "+", "*", "->", "->>"].map(|name| OperatorData {
        schema: "public".into(),
        name: name.into(),
        extension: None,
        volatility: 'i',
        left: None,
        right: Oid::default(),
        result: None,
        functions: Vec::new(),
    }));
    let catalogs = [CatalogSnapshot::new(data(), 1), CatalogSnapshot::new(shadowed, 1)];
    for ((name, parameters, ty, stored, expected), catalog) in
        EXAMPLES.iter().flat_map(|example| catalogs.iter().map(move |catalog| (example, catalog)))
    {
        let column = testing::column(1, &format!("x {ty}"));
        let mask = spec(name, parameters).fit(&column, catalog).unwrap();
        let sql = format!(
            "CREATE TEMP TABLE t (x {ty}); INSERT INTO t VALUES ({}), (NULL);
             CREATE TEMP VIEW v AS SELECT {} AS m FROM t AS c;
             SELECT m::text FROM v;
             {}",
            quote_literal(stored),
            mask.sql.fill("c.x"),
            types_of("v"),
        );
        let rows: Vec<Option<String>> = server.sql("postgres", &sql).into_iter().map(|mut row| row.remove(0)).collect();
        if rows[0].as_deref().map(str::trim_end) != Some(*expected) {
            failures.push(format!("{name}({parameters}) of {stored:?}: {:?}, documented {expected:?}", rows[0]));
        }
        if rows[1].is_some() || rows[2].as_deref() != Some("1") {
            failures.push(format!("{name}({parameters}) on {ty}: {rows:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_database_computes_hmac_of_keys_of_any_length() {
    let server = installed("", &[]);
    let lengths = [32, 63, 64, 65, 200];
    for (version, length) in (2..).zip(lengths) {
        let bytes: Vec<u8> = (0..length).map(|n| (n * 7 + 3) as u8).collect();
        let script = install(&Key::new(&bytes).unwrap(), version, &[]);
        let output = run(&server, "postgres", &script);
        assert!(output.status.success(), "{length}: {}", common::text(&output.stderr));
        for (domain, text) in [("phone", "84901234567"), ("", ""), ("d", &"ế\n".repeat(90)), ("a.b-c", "😀")] {
            let sql = format!(
                "SELECT encode(pgscrim.keyed({version}, {}, {}), 'hex')",
                quote_literal(domain),
                quote_literal(text)
            );
            assert_eq!(value(&server, &sql), digest(&bytes, domain, text), "{length} {domain} {text}");
        }
    }
    // Whatever a session has set.
    let sql = "SET standard_conforming_strings = off; SET bytea_output = escape; SET search_path = ''; SET row_security = off;
               SELECT encode(pgscrim.keyed(1, 'd', 'v'), 'hex')";
    assert_eq!(value(&server, sql), digest(KEY, "d", "v"));
}

/// Any text: no error, NULL and empty kept, the type kept, the same answer every time and for both ways of writing a
/// letter, nothing of the value in the answer, and what HMAC says it is.
#[test]
fn any_text_has_one_pseudonym() {
    let server = installed("", &[]);
    server.sql("postgres", "CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level1', deterministic = false)");
    let strings = texts::strings(EXAMPLES.iter().flat_map(|(.., stored, masked)| [*stored, *masked]));
    let rows: Vec<String> =
        strings.iter().step_by(2).enumerate().map(|(i, text)| format!("({i},{})", quote_literal(text))).collect();
    let rows = rows.join(",");
    let mut failures = Vec::new();
    for (ty, collation) in [("text", None), ("char(160)", None), ("varchar(160)", Some("nd")), ("text", Some("C"))] {
        let mut column = testing::column(1, &format!("x {ty}"));
        column.collation = collation.map(|name| format!("\"{name}\""));
        let collate = column.collation.as_ref().map_or_else(String::new, |name| format!(" COLLATE {name}"));
        let mut sql = format!(
            "CREATE TEMP TABLE t (i int, x {ty}{collate}, d {ty}{collate});
             INSERT INTO t SELECT i, left(x, 64), left(x, 64) FROM (VALUES {rows}) AS v(i, x);
             UPDATE t SET x = normalize(x::text, NFC), d = normalize(x::text, NFD); INSERT INTO t VALUES (-1, NULL, NULL), (-2, '', '');"
        );
        for (n, (name, parameters, _)) in TEXT_MASKS.iter().enumerate() {
            let mask = fit(name, parameters, &column);
            sql += &format!(
                "CREATE TEMP VIEW v{n} AS SELECT i, x, {once} AS m, {nfd} AS d FROM t AS c;
                 SELECT {n}::text, x::text, m::text, {twice}::text, d::text FROM v{n} AS c ORDER BY i;
                 SELECT 'type', {n}::text, ({types}), NULL, NULL;",
                types = types_of(&format!("v{n}")),
                once = mask.sql.fill("c.x"),
                nfd = mask.sql.fill("c.d"),
                twice = mask.sql.fill("c.m"),
            );
        }
        for row in server.sql("postgres", &sql) {
            if row[0].as_deref() == Some("type") {
                if row[2].as_deref() != Some("1") {
                    failures.push(format!(
                        "{:?} on {ty}{collate}: another type",
                        TEXT_MASKS[row[1].as_deref().unwrap().parse::<usize>().unwrap()]
                    ));
                }
                continue;
            }
            let (name, parameters, idempotent) = TEXT_MASKS[row[0].as_deref().unwrap().parse::<usize>().unwrap()];
            let what = format!("{name}({parameters}) on {ty}{collate} of {:?}", row[1]);
            let (Some(stored), Some(once), Some(twice)) = (&row[1], &row[2], &row[3]) else {
                if row.iter().skip(1).any(Option::is_some) {
                    failures.push(format!("{what}: {row:?}"));
                }
                continue;
            };
            if stored.is_empty() != once.is_empty() || (idempotent && once != twice) || row[2] != row[4] {
                failures.push(format!("{what}: {row:?}"));
            }
            let all =
                |text: &str, n: usize, valid: fn(char) -> bool| text.chars().count() == n && text.chars().all(valid);
            let letters = |text: &str, n| all(text, n, |c| matches!(c, 'A'..='Z' | '2'..='9'));
            let hex = |text: &str, n| all(text, n, |c| matches!(c, '0'..='9' | 'a'..='f'));
            let digits = |text: &str, n| all(text, n, |c| c.is_ascii_digit());
            let shaped = match name {
                _ if once.is_empty() => true,
                "hash" => hex(once, if parameters.contains("32") { 32 } else { 16 }),
                "pseudonym" => once.strip_prefix("kh_").is_some_and(|rest| letters(rest, 10)),
                "name_pseudo" => once.strip_prefix("Khách ").is_some_and(|rest| letters(rest, 6)),
                "phone_e164_hash" => once == "*****" || once.strip_prefix("ph_").is_some_and(|rest| letters(rest, 10)),
                "phone_valid_fake" => once.strip_prefix("0000").is_some_and(|rest| digits(rest, 6)),
                "email_pseudo" => once
                    .strip_suffix("@example.invalid")
                    .is_some_and(|rest| rest.strip_prefix('u').is_some_and(|rest| hex(rest, 10))),
                _ => false,
            };
            if !shaped {
                failures.push(format!("{what}: {once:?} is no such pseudonym"));
            }
            // The table holds what normalize() made; for char(n) without the blanks at the end.
            if (name, parameters) == ("hash", "") && !stored.is_empty() {
                let expected = digest(KEY, "hash", stored);
                if !expected.starts_with(once.as_str()) && !ty.starts_with("char") {
                    failures.push(format!("{what}: {once:?}, expected {expected}"));
                }
            }
        }
    }
    failures.truncate(40);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn different_values_domains_and_keys_have_different_pseudonyms() {
    let server = installed("", &[]);
    let output = run(&server, "postgres", &install(&Key::new(&[7; 40]).unwrap(), 2, &[]));
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    let column = testing::column(1, "x text");
    let mut shown = Vec::new();
    for parameters in ["", "domain = 'other'", "key = 2"] {
        let mask = fit("phone_e164_hash", parameters, &column);
        let sql = format!(
            "SELECT {} FROM (SELECT '09' || lpad(i::text, 8, '0') AS x FROM generate_series(1, 20000) i) c",
            mask.sql.fill("c.x")
        );
        shown.extend(server.sql("postgres", &sql).into_iter().map(|row| row[0].clone().unwrap()));
    }
    let count = shown.len();
    shown.sort();
    shown.dedup();
    assert_eq!((count, shown.len()), (60000, 60000));
    // Numbers of a range: all of it, about evenly.
    let mask = fit("pseudo_int", "lo = 0, hi = 9", &testing::column(1, "x integer"));
    let sql =
        format!("SELECT count(*) FROM generate_series(1, 10000) AS c(x) GROUP BY {} ORDER BY 1", mask.sql.fill("c.x"));
    let counts: Vec<u32> =
        server.sql("postgres", &sql).iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect();
    assert!(counts.len() == 10 && counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
}

#[test]
fn the_key_is_its_owners_alone_and_shows_nowhere() {
    let server = Postgres::start_with(
        "log_statement = 'all'\nlog_min_duration_statement = 0\nlog_min_messages = debug1\nlog_error_verbosity = verbose\n\
         log_parameter_max_length_on_error = -1\ndebug_print_parse = on\ndebug_print_plan = on\n",
        "host all all 127.0.0.1/32 trust\nlocal all all trust\n",
    );
    server.sql(
        "postgres",
        "CREATE ROLE app LOGIN; CREATE ROLE other LOGIN; CREATE ROLE auditor LOGIN IN ROLE pg_read_all_data; CREATE ROLE curious LOGIN;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO curious; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO curious;",
    );
    let script = install(&key(), 1, &["app"]);
    let output = run(&server, "postgres", &script);
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    // A second time: refused before the key is sent.
    let output = run(&server, "postgres", &script);
    assert!(!output.status.success());
    assert!(
        common::text(&output.stderr).contains("key version 1 is installed already"),
        "{}",
        common::text(&output.stderr)
    );

    let table = "SELECT encode(inner_pad, 'hex') FROM pgscrim.pgscrim_key";
    let keyed = "SELECT pgscrim.keyed(1, 'phone', '0901234567')";
    for (user, sql, expected) in [
        ("app", table, Err("permission denied for table pgscrim_key")),
        ("app", keyed, Ok("\\x")),
        ("other", table, Err("permission denied for schema pgscrim")),
        ("other", keyed, Err("permission denied for schema pgscrim")),
        ("curious", table, Err("permission denied for table pgscrim_key")),
        ("curious", keyed, Err("permission denied for function keyed")),
        ("curious", "CREATE TABLE pgscrim.t (a int)", Err("permission denied for schema pgscrim")),
        ("auditor", table, Ok("")),
        ("auditor", keyed, Err("permission denied for function keyed")),
    ] {
        let output = run(&server, user, sql);
        let (shown, complaint) = (common::text(&output.stdout), common::text(&output.stderr));
        match expected {
            Ok("") => assert_eq!((shown.as_str(), complaint.as_str()), ("", ""), "{user}: {sql}"),
            Ok(start) => assert!(shown.starts_with(start), "{user}: {sql}: {shown}{complaint}"),
            Err(words) => assert!(complaint.contains(words) && shown.is_empty(), "{user}: {sql}: {shown}{complaint}"),
        }
    }
    // Nor by way of what the server knows of its columns.
    assert!(run(&server, "postgres", &install(&Key::new(&[9; 32]).unwrap(), 2, &[])).status.success());
    server.sql("postgres", "ANALYZE pgscrim.pgscrim_key");
    let known =
        "SELECT string_agg(staattnum::text, ',') FROM pg_statistic WHERE starelid = 'pgscrim.pgscrim_key'::regclass";
    assert_eq!(value(&server, known), "1");
    // A key that is not there is an error, without the value.
    let output = run(&server, "app", "SELECT pgscrim.keyed(9, 'phone', '0909999999')");
    let complaint = common::text(&output.stderr);
    assert!(complaint.contains("key version 9 of pgscrim's masks is not installed"), "{complaint}");
    assert!(
        !complaint.lines().filter(|line| !line.starts_with("LINE")).any(|line| line.contains("0909999999")),
        "{complaint}"
    );

    // What the server wrote, in any form that a reader could turn into the key.
    let log = server.log();
    assert!(log.contains("COPY pgscrim.pgscrim_key"), "nothing is logged");
    let hex = |pad: u8| KEY.iter().map(|byte| format!("{:02x}", byte ^ pad)).collect::<String>();
    let start = |secret: &str| secret.chars().take(16).collect::<String>();
    for secret in [hex(0x36), hex(0x5c), hex(0), String::from_utf8(KEY.to_vec()).unwrap()] {
        let line = log.lines().find(|line| line.contains(&start(&secret)));
        assert_eq!(line, None);
    }
    assert!(script.contains(&hex(0x36)) && script.contains(&hex(0x5c)));
    // Only in the data of COPY.
    let before = script.split("COPY pgscrim.pgscrim_key (").next().unwrap();
    let after = script.split("\n\\.\n").nth(1).unwrap();
    let inner = start(&hex(0x36));
    assert!(!before.contains(&inner) && !after.contains(&inner));
}

#[test]
fn what_belongs_to_somebody_else_is_left_alone() {
    let server = Postgres::start();
    server.sql(
        "postgres",
        "CREATE ROLE \"Odd.Dba\" LOGIN; CREATE ROLE mallory LOGIN; GRANT CREATE ON DATABASE postgres TO \"Odd.Dba\", mallory;
         SET ROLE mallory; CREATE SCHEMA pgscrim; GRANT ALL ON SCHEMA pgscrim TO PUBLIC;",
    );
    let script = install(&key(), 1, &[]);
    let output = run(&server, "Odd.Dba", &script);
    let complaint = common::text(&output.stderr);
    assert!(!output.status.success() && complaint.contains("belongs to another role than Odd.Dba"), "{complaint}");
    server.sql("postgres", "DROP SCHEMA pgscrim");
    // An owner without further rights is enough.
    let output = run(&server, "Odd.Dba", &script);
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    let output = run(&server, "Odd.Dba", "SELECT octet_length(pgscrim.keyed(1, 'd', 'v'))");
    assert_eq!(common::text(&output.stdout).trim(), "32", "{}", common::text(&output.stderr));

    let left = "SELECT count(*) FROM pg_proc WHERE proname = 'keyed'";
    assert!(run(&server, "Odd.Dba", &install(&key(), 2, &[])).status.success());
    let comment = value(&server, "SELECT obj_description('pgscrim.pgscrim_key'::regclass)");
    assert!(comment.ends_with("versions: 1, 2"), "{comment}");
    assert!(run(&server, "Odd.Dba", &uninstall(Some(1))).status.success());
    assert_eq!(value(&server, "SELECT string_agg(version::text, ',') FROM pgscrim.pgscrim_key"), "2");
    let comment = value(&server, "SELECT obj_description('pgscrim.pgscrim_key'::regclass)");
    assert!(comment.ends_with("versions: 2"), "{comment}");
    for _ in 0..2 {
        let output = run(&server, "Odd.Dba", &uninstall(None));
        assert!(output.status.success(), "{}", common::text(&output.stderr));
        assert_eq!(value(&server, left), "0");
        assert_eq!(value(&server, "SELECT count(*) FROM pg_namespace WHERE nspname = 'pgscrim'"), "0");
    }
    // A schema that holds more stays, without the key.
    assert!(run(&server, "Odd.Dba", &script).status.success());
    server.sql("postgres", "CREATE TABLE pgscrim.consent (id int)");
    let output = run(&server, "Odd.Dba", &uninstall(None));
    assert!(common::text(&output.stderr).contains("schema pgscrim stays"), "{}", common::text(&output.stderr));
    assert_eq!(
        value(&server, "SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = 'pgscrim'::regnamespace"),
        "consent"
    );
}

#[test]
fn a_database_without_the_function_as_installed_is_a_rule_error() {
    let column = testing::column(1, "x text");
    let complaint =
        |data: CatalogData| spec("hash", "").fit(&column, &CatalogSnapshot::new(data, 1)).map(|_| ()).unwrap_err();
    assert!(complaint(testing::database()).contains("run `pgscrim install`"));
    let changes: [fn(&mut CatalogData); 9] = [
        |data| data.functions[0].security_definer = false,
        |data| data.functions[0].volatility = 'v',
        |data| data.functions[0].returns_set = true,
        |data| data.functions[0].kind = 'p',
        |data| data.functions[0].extension = Some("evil".into()),
        |data| data.functions[0].argument_types = vec![Oid(23), Oid(25)],
        |data| data.functions[0].argument_types = Vec::new(),
        |data| data.functions[0].result_type = Some(Oid(25)),
        |data| {
            let mut second = data.functions[0].clone();
            second.argument_types = vec![Oid(23), Oid(25), Oid(1043)];
            data.functions.push(second);
        },
    ];
    for change in changes {
        let mut data = data();
        change(&mut data);
        let why = complaint(data);
        assert!(why.contains("not the one that `pgscrim install` makes"), "{why}");
    }
    for (comment, version) in
        [(None, 1), (Some("Keys; versions: "), 1), (Some("Keys; versions: 1, 12"), 2), (Some("1"), 1)]
    {
        let mut data = data();
        data.relations[0].comment = comment.map(str::to_owned);
        let why = spec("hash", &format!("key = {version}")).fit(&column, &CatalogSnapshot::new(data, 1)).unwrap_err();
        assert_eq!(
            why,
            format!("key version {version} is not installed; run `pgscrim install --key-version {version}`")
        );
    }
    assert!(spec("hash", "key = 2").fit(&column, &CatalogSnapshot::new(data(), 1)).is_ok());
    let mut elsewhere = data();
    elsewhere.functions[0].schema = "public".into();
    assert!(complaint(elsewhere).contains("does not have"));
}

#[test]
fn masks_that_do_not_fit_are_refused_at_load() {
    let catalog = CatalogSnapshot::new(data(), 1);
    for (name, parameters, column, why) in [
        ("hash", "", "x varchar(15)", "room for 16"),
        ("hash", "domain = 'a b'", "x text", "domain must be"),
        ("hash", "domain = ''", "x text", "domain must be"),
        ("pseudonym", "prefix = 'kh'", "x varchar(12)", "room for 13"),
        ("pseudonym", "prefix = 'k h'", "x text", "prefix must be"),
        ("name_pseudo", "", "x varchar(11)", "room for 12"),
        ("phone_e164_hash", "", "x varchar(12)", "room for 13"),
        ("phone_e164_hash", "", "x bigint", "text column"),
        ("phone_valid_fake", "", "x char(9)", "room for 10"),
        ("email_pseudo", "", "x varchar(26)", "room for 27"),
        ("pseudo_int", "lo = 1, hi = 40000", "x smallint", "no value"),
        ("pseudo_int", "lo = 5, hi = 5", "x integer", "greater"),
        ("pseudo_int", "lo = -9223372036854775808, hi = 9223372036854775807", "x bigint", "greater"),
        ("pseudo_int", "lo = 1, hi = 2", "x text", "numbers"),
        ("pseudo_int", "lo = 1, hi = 2", "x float8", "integer or numeric"),
        ("hash", "", "pin text", "secrets"),
    ] {
        match spec(name, parameters).fit(&testing::column(1, column), &catalog) {
            Ok(mask) => panic!("{name}({parameters}): {}", mask.sql.fill("x")),
            Err(error) => assert!(error.contains(why), "{name}({parameters}): {error}"),
        }
    }
    let mut latin = data();
    latin.server_encoding = "LATIN1".into();
    let why = spec("hash", "").fit(&testing::column(1, "x text"), &CatalogSnapshot::new(latin, 1)).unwrap_err();
    assert!(why.contains("UTF8"), "{why}");
    let why = MaskSpec::parse("blur", "").unwrap_err();
    assert!(why.contains("needs the image"), "{why}");
}

const RULES: &str = r#"
policy = "keyed"
[category.phone]
columns = ["public.customers.phone", "public.orders.ship_phone"]
[category.name]
columns = ["public.customers.full_name"]
[category.email]
columns = ["public.customers.email"]
[category.age]
columns = ["public.customers.age"]
[category.code]
columns = ["public.codes.h"]
[category.customer]
columns = ["public.codes.p"]
[category.fake]
columns = ["public.codes.f"]
[category.phones]
columns = ["public.codes.a"]
[category.document]
columns = ["public.codes.j"]
[category.none]
columns = ["public.customers.id", "public.orders.id"]
[[role]]
name = "analysts"
match = { user = "analyst" }
see = { phone = "phone_e164_hash", name = "name_pseudo", email = "email_pseudo", age = { mask = "pseudo_int", lo = 1, hi = 99 }, code = { mask = "hash", form = "digits", domain = "crm" }, customer = { mask = "pseudonym", prefix = "kh" }, fake = "phone_valid_fake", phones = "phone_e164_hash", document = { mask = "json", paths = { "$.to[*].phone" = "phone_e164_hash" } } }
[[role]]
name = "owner"
match = { user = "postgres" }
exempt = true
"#;

#[test]
fn a_role_joins_by_pseudonyms_and_cannot_compute_any() {
    let server = installed("", &["analyst"]);
    server.sql(
        "postgres",
        &format!(
            "{}; CREATE TABLE customers (id bigint PRIMARY KEY, full_name varchar(100) NOT NULL, phone varchar(20) UNIQUE, email varchar(255), age int);
             CREATE TABLE orders (id bigint PRIMARY KEY, ship_phone text);
             INSERT INTO customers VALUES (1, 'Nguyễn Thị Minh Khai', '0901234567', 'minh.khai@gmail.com', 37), (2, 'An', '0912345678', '', 40), (3, 'B', NULL, NULL, NULL);
             INSERT INTO orders VALUES (10, '+84 90 123 45 67'), (11, '84901234567'), (12, '0988888888'), (13, NULL);
             CREATE TABLE codes (h text, p varchar(20), f varchar(10), a varchar(20)[], j jsonb);
             INSERT INTO codes VALUES ('090 123 4567', 'KH-001', '0901234567', '{{0901234567,NULL}}', '{{\"to\": [{{\"phone\": \"0901234567\"}}]}}');
             GRANT SELECT ON codes TO analyst; GRANT SELECT, INSERT, UPDATE ON customers, orders TO analyst; GRANT SELECT ON pgscrim.pgscrim_key TO analyst",
            proxy::SERVICE_LOGIN
        ),
    );
    let proxy = Proxy::start(&server, &proxy::Options::new("postgres", RULES));
    let mut client = proxy.connect("analyst", "postgres");
    let mut rows = |sql: &str| {
        let messages = client.simple(sql);
        assert!(wire::error(&messages).is_none(), "{sql}: {}", wire::describe(&messages));
        let shown = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".into());
        wire::text_rows(&messages)
            .into_iter()
            .map(|row| row.into_iter().map(shown).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rows("SELECT * FROM customers ORDER BY id"),
        [
            "1|Khách LTVEQM|ph_EZ6Q56TD4W|u7996c7c029@example.invalid|92",
            "2|Khách RUHOVW|ph_SVUWQGSDT5||14",
            "3|Khách KFFG2L|NULL|NULL|NULL",
        ]
    );
    assert_eq!(
        rows("SELECT c.id, o.id FROM customers c JOIN orders o ON o.ship_phone = c.phone ORDER BY 1, 2"),
        ["1|10", "1|11"]
    );
    assert_eq!(rows("SELECT count(DISTINCT ship_phone) FROM orders"), ["2"]);
    let codes =
        "5d25ab63a6816513|kh_ZMCFKPJSYM|0000476131|{ph_EZ6Q56TD4W,NULL}|{\"to\": [{\"phone\": \"ph_EZ6Q56TD4W\"}]}";
    assert_eq!(rows("SELECT * FROM codes WHERE f LIKE '0000%'"), [codes]);
    assert_eq!(rows("SELECT id FROM customers WHERE phone = 'ph_EZ6Q56TD4W'"), ["1"]);
    // Writing back what was read changes nothing.
    assert_eq!(
        rows("UPDATE customers SET phone = 'ph_EZ6Q56TD4W', full_name = 'Khách LTVEQM' WHERE id = 1 RETURNING phone"),
        ["ph_EZ6Q56TD4W"]
    );
    assert_eq!(
        value(&server, "SELECT phone || full_name FROM customers WHERE id = 1"),
        "0901234567Nguyễn Thị Minh Khai"
    );
    for sql in [
        "SELECT pgscrim.keyed(1, 'phone', '84901234567')",
        "SELECT \"pgscrim\".\"keyed\"(1, 'phone', '84901234567')",
        "SELECT * FROM pgscrim.keyed(1, 'phone', '84901234567')",
        "SELECT keyed(1, 'phone', '84901234567')",
        "SELECT phone FROM customers WHERE pgscrim.keyed(1, 'phone', phone) IS NOT NULL",
        "SET search_path = pgscrim; SELECT keyed(1, 'phone', '84901234567')",
        "PREPARE p AS SELECT pgscrim.keyed(1, 'phone', $1)",
        "SELECT * FROM pgscrim.pgscrim_key",
        "COPY pgscrim.pgscrim_key TO STDOUT",
        "COPY (SELECT inner_pad FROM pgscrim.pgscrim_key) TO STDOUT",
    ] {
        let messages = client.simple(sql);
        let Some(error) = wire::error(&messages) else { panic!("{sql}: {}", wire::describe(&messages)) };
        let hint = error.field(b'H').unwrap_or_default();
        assert!(hint.starts_with("PGS"), "{sql}: {}", wire::describe(&messages));
        assert!(!error.field(b'M').unwrap().contains("84901234567"), "{sql}");
        client.simple("RESET search_path");
    }
    // Without the right to call it: an error, and no value in it.
    server.sql("postgres", "REVOKE USAGE ON SCHEMA pgscrim FROM analyst");
    let messages = client.simple("SELECT phone FROM customers");
    let error = wire::error(&messages).unwrap_or_else(|| panic!("{}", wire::describe(&messages)));
    assert_eq!(error.field(b'C').as_deref(), Some("42501"));
    assert!(!wire::describe(&messages).contains("0901234567"));
}

fn pgscrim(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
    command.arg("install").args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PGSCRIM_")) {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn the_command_takes_a_key_that_nobody_else_can_read() {
    let folder = Folder::new();
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let text = String::from_utf8(KEY.to_vec()).unwrap();
    let expected = install(&key(), 1, &[]);
    for content in [text.clone(), format!("{text}\n"), format!("{text}\r\n")] {
        let output = pgscrim(&["--key-file", &file("key", content.as_bytes(), 0o600)], &[]);
        assert_eq!(common::text(&output.stdout), expected, "{}", common::text(&output.stderr));
    }
    let output = pgscrim(&[], &[("PGSCRIM_MASK_KEY", &text)]);
    assert_eq!(common::text(&output.stdout), expected);
    let output = pgscrim(
        &["--key-version", "3", "--grant-to", "a, Odd \"Role\"", "--grant-to", "b"],
        &[("PGSCRIM_MASK_KEY", &text)],
    );
    assert_eq!(common::text(&output.stdout), install(&key(), 3, &["a", "Odd \"Role\"", "b"]));
    assert!(common::text(&output.stdout).contains("TO a, \"Odd \"\"Role\"\"\", b;"));
    assert_eq!(common::text(&pgscrim(&["--uninstall"], &[]).stdout), uninstall(None));

    let (missing, open) = (folder.join("none").display().to_string(), file("open", KEY, 0o640));
    let (short, empty) = (file("short", &KEY[1..], 0o400), file("empty", b"", 0o600));
    let long = file("long", &[b'x'; 70_000], 0o600);
    for (arguments, words) in [
        (vec![], "a key is needed: --key-file FILE, or PGSCRIM_MASK_KEY"),
        (vec!["--key-file", &missing], "No such file"),
        (vec!["--key-file", &open], "(mode 0640); run: chmod 600"),
        (vec!["--key-file", &short], "the key has 31 bytes and needs at least 32"),
        (vec!["--key-file", &empty], "the key has 0 bytes"),
        (vec!["--key-file", &long], "this is another file"),
        (vec!["--grant-to", "app,Public", "--key-file", &short], "--grant-to names roles"),
        (vec!["--key-version", "0", "--key-file", &short], "0 is not in 1.."),
    ] {
        let output = pgscrim(&arguments, &[]);
        let complaint = common::text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaint}");
        assert!(complaint.contains(words) && output.stdout.is_empty(), "{arguments:?}: {complaint}");
        assert!(!complaint.contains("bcdef"), "{complaint}");
    }
    // What a process list or a log of the environment must not show either.
    assert!(!common::text(&pgscrim(&["--help"], &[("PGSCRIM_MASK_KEY", &text)]).stdout).contains(&text));
    assert_eq!(format!("{:?}", key()), "…");
}

/// The days by which an HMAC of another make shifts the dates of a subject.
fn shift_of(subject: &str, days: i64) -> i64 {
    let first = i64::from_str_radix(digest(KEY, "date_shift", subject).get(..14).unwrap(), 16).unwrap();
    first % (2 * days + 1) - days
}

/// Dates of one subject keep their intervals, of every type and over tables; NULL, infinity and rows without a subject are NULL.
#[test]
fn dates_of_a_subject_are_shifted_alike() {
    let server = installed("", &[]);
    let dates = ["2024-02-29", "0001-01-01", "9999-12-31", "1970-01-01", "infinity", "-infinity", "0001-01-01 BC"];
    for (days, parameters) in [(30, ""), (7, "days = 7"), (3650, "days = 3650")] {
        for (ty, zone) in [("date", "UTC"), ("timestamp", "UTC"), ("timestamptz", "America/New_York")] {
            let column = testing::column(1, &format!("x {ty}"));
            let mask = fit("date_shift_keyed", parameters, &column);
            assert!(mask.sql.needs_subject());
            let shown = mask.sql.about("c.s").fill("c.x");
            for subject in ["1", "4211", "kh-7"] {
                let shift = shift_of(subject, days);
                assert!((-days..=days).contains(&shift));
                let values =
                    dates.map(|date| format!("({}, {})", quote_literal(subject), quote_literal(date))).join(",");
                let sql = format!(
                    "SET TimeZone = '{zone}'; CREATE TEMP TABLE t (s text, x {ty}); INSERT INTO t VALUES {values}, ('{subject}', NULL), (NULL, '2024-02-29');
                     CREATE TEMP VIEW v AS SELECT x, s, {shown} AS m FROM t AS c;
                     SELECT count(*) FROM v WHERE m IS NOT NULL;
                     SELECT bool_and(extract(epoch FROM m - x)::numeric = {shift} * CASE WHEN pg_typeof(x) = 'date'::regtype THEN 1 ELSE 86400 END) FROM v WHERE m IS NOT NULL AND pg_typeof(x) <> 'date'::regtype;
                     SELECT count(*) FROM v WHERE (s IS NULL OR x IS NULL OR NOT isfinite(x) OR x < '0001-01-01') AND m IS NOT NULL;
                     {}",
                    types_of("v")
                );
                let sql = if ty == "date" {
                    sql.replace("extract(epoch FROM m - x)::numeric", "(m - x)::numeric")
                        .replace(" AND pg_typeof(x) <> 'date'::regtype", "")
                } else {
                    sql
                };
                let rows = server.sql("postgres", &sql);
                let found: Vec<&str> = rows.iter().map(|row| row[0].as_deref().unwrap_or("-")).collect();
                assert_eq!(found, ["4", "t", "0", "1"], "{ty} {parameters} {subject}");
            }
        }
    }
    // Over many subjects all shifts occur.
    let mask = fit("date_shift_keyed", "days = 2", &testing::column(1, "x date"));
    let sql = format!(
        "SELECT count(*) FROM (SELECT n::text AS s, date '2024-01-01' AS x FROM generate_series(1, 1000) n) c GROUP BY {} ORDER BY 1",
        mask.sql.about("c.s").fill("c.x")
    );
    let counts: Vec<u32> =
        server.sql("postgres", &sql).iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect();
    assert!(counts.len() == 5 && counts.iter().all(|count| (140..260).contains(count)), "{counts:?}");
    for (name, parameters, column) in
        [("date_shift_keyed", "", "x text"), ("date_shift_keyed", "", "x time"), ("date_shift_keyed", "", "x integer")]
    {
        assert!(
            spec(name, parameters).fit(&testing::column(1, column), &CatalogSnapshot::new(data(), 1)).is_err(),
            "{column}"
        );
    }
}

const SHIFT_RULES: &str = r#"
policy = "shift"
[subject]
key = "public.customers.id"
links = { "public.orders.customer_id" = "public.customers.id", "public.shipments.order_id" = "public.orders.id" }
[category.date]
columns = ["public.customers.born", "public.orders.placed", "public.shipments.sent"]
[category.none]
columns = ["public.customers.id", "public.orders.id", "public.orders.customer_id", "public.shipments.id", "public.shipments.order_id"]
[[role]]
name = "analyst"
match = { user = "analyst" }
see = { date = "date_shift_keyed" }
[[role]]
name = "owner"
match = { user = "postgres" }
exempt = true
"#;

#[test]
fn a_subject_has_one_shift_over_its_tables() {
    let server = installed("", &["analyst"]);
    server.sql("postgres", common::proxy::SERVICE_LOGIN);
    server.sql(
        "postgres",
        "CREATE TABLE customers (id int PRIMARY KEY, born date);
         CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint, placed timestamptz);
         CREATE TABLE shipments (id int PRIMARY KEY, order_id int, sent timestamp);
         INSERT INTO customers SELECT n, '1990-05-17' FROM generate_series(1, 20) n;
         INSERT INTO orders SELECT n, n, '2024-03-01 10:00:00+00' FROM generate_series(1, 20) n;
         INSERT INTO orders VALUES (21, NULL, '2024-03-01 10:00:00+00');
         INSERT INTO shipments SELECT n, n, '2024-03-03 12:00:00' FROM generate_series(1, 21) n;
         CREATE VIEW seen AS SELECT id, placed FROM orders;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO analyst",
    );
    let proxy = Proxy::start(&server, &proxy::Options::new("postgres", SHIFT_RULES));
    let mut analyst = proxy.connect("analyst", "postgres");
    let text = |client: &mut wire::Client, sql: &str| {
        let answer = client.simple(sql);
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        wire::text_rows(&answer)
    };
    let rows = text(
        &mut analyst,
        "SELECT c.id, c.born - date '1990-05-17', extract(epoch FROM o.placed - timestamptz '2024-03-01 10:00:00+00')::int / 86400,
                extract(epoch FROM s.sent - o.placed AT TIME ZONE 'UTC')::int
         FROM customers c JOIN orders o ON o.customer_id = c.id JOIN shipments s ON s.order_id = o.id ORDER BY c.id",
    );
    assert_eq!(rows.len(), 20);
    for row in rows {
        let shift = Some(shift_of(row[0].as_deref().unwrap(), 30).to_string());
        assert_eq!((&row[1], &row[2]), (&shift, &shift), "{row:?}");
        assert_eq!(row[3].as_deref(), Some("180000"), "two days and two hours stay: {row:?}");
    }
    // A guest has no subject, and a view no link.
    assert_eq!(text(&mut analyst, "SELECT placed FROM orders WHERE id = 21"), [[None]]);
    assert_eq!(text(&mut analyst, "SELECT sent FROM shipments WHERE id = 21"), [[None]]);
    assert_eq!(text(&mut analyst, "SELECT count(placed) FROM seen"), [[Some("0".to_owned())]]);
    // What was read is written back, and nothing changes.
    let read = text(&mut analyst, "SELECT sent::text FROM shipments WHERE id = 3")[0][0].clone().unwrap();
    text(&mut analyst, &format!("UPDATE shipments SET sent = '{read}' WHERE id = 3"));
    assert_eq!(value(&server, "SELECT sent::text FROM shipments WHERE id = 3"), "2024-03-03 12:00:00");
}
