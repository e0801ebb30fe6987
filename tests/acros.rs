//! The ACROS pack, clause by clause, through the proxy and a real client: each promise holds, and is broken when the rule
//! that makes it is taken out. In front of the shop of the demo.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{Postgres, Proxy, postgres::program, proxy::Options, wait_for, wire};
use pgscrim::cli::{
    demo::shop,
    install::{Key, install},
};

const FILES: [&str; 3] = ["10-data.toml", "20-roles.toml", "30-subjects.toml"];

const GRANT: &str = r#"
[[grant]]
role = "authority"
document = "1234/CV-CSKT"
from = 2026-01-01T00:00:00+07:00
until = 2099-01-01T00:00:00+07:00
subjects = [1, 2]
see = { name = "clear" }
"#;

struct Promise {
    clause: &'static str,
    login: &'static str,
    purpose: &'static str,
    sql: &'static str,
    /// The first value, `-` for NULL, `none` without a row, or the code of the refusal.
    expected: &'static str,
    /// What is taken out of which file, where it first stands.
    rule: (&'static str, &'static str),
}

const fn promise(
    clause: &'static str,
    login: &'static str,
    sql: &'static str,
    expected: &'static str,
    rule: (&'static str, &'static str),
) -> Promise {
    Promise { clause, login, purpose: "", sql, expected, rule }
}

const ROLES: &str = "20-roles.toml";
const SUBJECTS: &str = "30-subjects.toml";
const DATA: &str = "10-data.toml";

const PROMISES: &[Promise] = &[
    promise(
        "P1, A1",
        "packing_app",
        "SELECT ship_name FROM orders WHERE id = 1",
        "Nguyễn Thị Minh Khai",
        (
            ROLES,
            "name = \"clear\", address = \"clear\", street = \"clear\", area = \"clear\", province = \"clear\", phone = \"phone_last\", ",
        ),
    ),
    promise(
        "A4: nothing beyond the duty",
        "packing_app",
        "SELECT card_pan FROM payments WHERE order_id = 1",
        "PGS0201",
        (ROLES, ", card = \"refuse\", card_holder = \"refuse\", bank_account = \"refuse\""),
    ),
    promise(
        "P2",
        "customer_care_app",
        "SELECT id FROM customers WHERE phone = '0901234567'",
        "1",
        (ROLES, "search = { phone = \"exact\", email = \"exact\" }\n"),
    ),
    promise(
        "P2, by e-mail",
        "customer_care_app",
        "SELECT id FROM customers WHERE email = 'minhkhai@gmail.com'",
        "1",
        (ROLES, ", email = \"exact\""),
    ),
    promise(
        "A1, order processing",
        "order_processing_app",
        "SELECT phone FROM customers WHERE id = 1",
        "0901234567",
        (ROLES, "phone = \"clear\", "),
    ),
    promise(
        "P4: no name",
        "service_development_app",
        "SELECT full_name LIKE 'Khách %' FROM customers WHERE id = 1",
        "t",
        (ROLES, "name = \"name_pseudo\", "),
    ),
    promise(
        "S1, telephone numbers",
        "packing_app",
        "SELECT ship_phone FROM orders WHERE id = 1",
        "*****567",
        (DATA, "    \"public.orders.ship_phone\",\n"),
    ),
    promise(
        "S1, e-mail addresses",
        "order_processing_app",
        "SELECT email FROM customers WHERE id = 1",
        "m***@gmail.com",
        (DATA, "\"public.customers.email\""),
    ),
    promise(
        "S1, delivery addresses",
        "packing_app",
        "SELECT ship_address IS NOT NULL FROM orders WHERE id = 1",
        "t",
        (DATA, "\"public.orders.ship_address\""),
    ),
    promise(
        "S1, data of payment",
        "order_processing_app",
        "SELECT left(card_pan, 12) FROM payments WHERE card_pan IS NOT NULL LIMIT 1",
        "************",
        (DATA, "\"public.payments.card_pan\""),
    ),
    promise(
        "R1, but for a legal duty",
        "authority_app",
        "SELECT full_name IS NOT NULL FROM customers WHERE id = 2",
        "t",
        (SUBJECTS, GRANT),
    ),
    Promise {
        purpose: "verification",
        ..promise(
            "P3",
            "customer_care_app",
            "SELECT phone FROM customers WHERE id = 1",
            "0901234567",
            (ROLES, "see = { phone = \"clear\", email = \"clear\", address = \"clear\", birth = \"clear\" }\n"),
        )
    },
    promise(
        "P4",
        "service_development_app",
        "SELECT c.phone LIKE 'ph_%' FROM customers c JOIN orders o ON o.ship_phone = c.phone WHERE c.id = 1 LIMIT 1",
        "t",
        (ROLES, "phone = \"phone_e164_hash\", "),
    ),
    promise(
        "P5, A3",
        "authority_app",
        "SELECT full_name FROM customers WHERE id = 1",
        "Nguyễn Thị Minh Khai",
        (SUBJECTS, GRANT),
    ),
    promise(
        "S1",
        "customer_care_app",
        "SELECT video_url IS NOT NULL FROM warranty_claims WHERE order_id = 1",
        "t",
        (ROLES, "media = \"clear\", "),
    ),
    promise(
        "S2",
        "order_processing_app",
        "SELECT phone FROM customers WHERE id = 3",
        "-",
        (
            SUBJECTS,
            "[refusal]\nrecords = \"public.consents\"\nsubject = \"customer_id\"\ncategory = \"category\"\nwhere = \"purpose = 'refusal' AND revoked_at IS NULL\"\n",
        ),
    ),
    promise(
        "A2, carriers",
        "carrier_app",
        "SELECT count(*) FROM shipments WHERE carrier <> 'GHN'",
        "0",
        (ROLES, "\"public.shipments\" = \"carrier = 'GHN'\"\n"),
    ),
    promise(
        "A2, payment",
        "payment_app",
        "SELECT count(*) FROM payments WHERE method <> 'card'",
        "0",
        (ROLES, "\"public.payments\" = \"method = 'card'\"\n"),
    ),
    promise(
        "A4",
        "marketing_app",
        "SELECT count(phone) FROM customers c WHERE NOT EXISTS (SELECT 1 FROM consents k WHERE k.customer_id = c.id \
         AND k.purpose = 'marketing' AND k.revoked_at IS NULL)",
        "0",
        (ROLES, "consent = true\n"),
    ),
    promise(
        "R1",
        "order_processing_app",
        "SELECT full_name FROM customers WHERE id = 2",
        "-",
        (
            SUBJECTS,
            "[erasure]\nrecords = \"public.erasure_requests\"\nsubject = \"customer_id\"\nrequested_at = \"requested_at\"\nanswer_within = \"2 working days\"\ncarry_out_within = \"20 days\"\n",
        ),
    ),
];

/// What stands in the audit event of a statement, and by which rule.
struct Recorded {
    clause: &'static str,
    login: &'static str,
    sql: &'static str,
    field: &'static str,
    expected: &'static str,
    rule: (&'static str, &'static str),
}

const fn recorded(
    clause: &'static str,
    login: &'static str,
    sql: &'static str,
    (field, expected): (&'static str, &'static str),
    rule: (&'static str, &'static str),
) -> Recorded {
    Recorded { clause, login, sql, field, expected, rule }
}

const RECORDS: &[Recorded] = &[
    recorded(
        "P1: the purpose",
        "packing_app",
        "SELECT count(*) FROM orders",
        ("purpose", "\"order-handling\""),
        (ROLES, "purposes = [\"order-handling\"]\n"),
    ),
    recorded(
        "P4: the purpose",
        "service_development_app",
        "SELECT count(*) FROM orders",
        ("purpose", "\"statistics\""),
        (ROLES, "purposes = [\"statistics\"]\n"),
    ),
    recorded(
        "A2: who receives it, a carrier",
        "carrier_app",
        "SELECT id FROM shipments LIMIT 1",
        ("recipient", "\"carrier\""),
        (ROLES, "recipient = \"carrier\"\n"),
    ),
    recorded(
        "A2: who receives it, for payment",
        "payment_app",
        "SELECT id FROM payments LIMIT 1",
        ("recipient", "\"payment\""),
        (ROLES, "recipient = \"payment\"\n"),
    ),
    recorded(
        "A3: who receives it, an authority",
        "authority_app",
        "SELECT count(*) FROM orders",
        ("recipient", "\"authority\""),
        (ROLES, "recipient = \"authority\"\n"),
    ),
    recorded(
        "P5: the purpose",
        "authority_app",
        "SELECT count(*) FROM orders",
        ("purpose", "\"legal-duty\""),
        (ROLES, "purposes = [\"legal-duty\"]\n"),
    ),
    recorded(
        "P5: the document",
        "authority_app",
        "SELECT full_name FROM customers WHERE id = 1",
        ("documents", "[\"1234/CV-CSKT\"]"),
        (SUBJECTS, GRANT),
    ),
];

fn pack(name: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/acros").join(name)).unwrap();
    if name == SUBJECTS { text + GRANT } else { text }
}

/// The shop of the demo, on a server of the tests.
fn load(postgres: &Postgres) {
    let key = install(
        &Key::new(b"a key that only this test knows, of enough bytes").unwrap(),
        1,
        &["service_development_app"],
    );
    let scripts = [
        ("postgres", shop::ROLES_SQL),
        (shop::DATABASE, shop::SCHEMA_SQL),
        (shop::DATABASE, shop::DATA_SQL),
        (shop::DATABASE, &key),
    ];
    for (database, sql) in scripts {
        let mut psql = Command::new(program("psql"));
        psql.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            "-",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            database,
        ]);
        psql.args(["-p", &postgres.port.to_string()]).env("PGCLIENTENCODING", "UTF8");
        psql.env("PGOPTIONS", "-c client_min_messages=warning");
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

fn answer(proxy: &Proxy, promise: &Promise) -> String {
    let mut client = proxy.connect(promise.login, shop::DATABASE);
    if !promise.purpose.is_empty() {
        client.simple(&format!("SET pgscrim.purpose = '{}'", promise.purpose));
    }
    let messages = client.simple(promise.sql);
    if let Some(error) = wire::error(&messages) {
        return error.field(b'H').unwrap_or_default().chars().take(7).collect();
    }
    match wire::text_rows(&messages).first() {
        Some(row) => row[0].clone().unwrap_or_else(|| "-".to_owned()),
        None => "none".to_owned(),
    }
}

/// What the event of a statement says.
fn event(proxy: &Proxy, record: &Recorded) -> String {
    let count = || proxy.audit().iter().filter(|event| event["user"] == record.login).count();
    let before = count();
    proxy.connect(record.login, shop::DATABASE).simple(record.sql);
    wait_for("the event", Duration::from_secs(10), || (count() > before).then_some(()));
    let events = proxy.audit();
    let event = events.iter().rev().find(|event| event["user"] == record.login).unwrap();
    event[record.field].to_string()
}

#[test]
fn events_say_what_the_policy_demands_and_depend_on_its_rules() {
    let postgres = Postgres::start();
    load(&postgres);
    let mut options = Options::new(shop::DATABASE, "");
    options.rules = FILES.iter().map(|name| (*name, pack(name))).collect();
    let proxy = Proxy::start(&postgres, &options);
    for record in RECORDS {
        assert_eq!(event(&proxy, record), record.expected, "{}", record.clause);
    }
    for record in RECORDS {
        let (file, rule) = record.rule;
        let whole = pack(file);
        assert!(whole.contains(rule), "{}: {rule}", record.clause);
        proxy.folder.write(&format!("rules/{file}"), &whole.replacen(rule, "", 1));
        let what = format!("{} to be gone without its rule", record.clause);
        wait_for(&what, Duration::from_secs(20), || (event(&proxy, record) != record.expected).then_some(()));
        proxy.folder.write(&format!("rules/{file}"), &whole);
        let what = format!("{} to be there again", record.clause);
        wait_for(&what, Duration::from_secs(20), || (event(&proxy, record) == record.expected).then_some(()));
    }
}

#[test]
fn every_clause_holds_and_depends_on_its_rule() {
    let postgres = Postgres::start();
    load(&postgres);
    let mut options = Options::new(shop::DATABASE, "");
    options.rules = FILES.iter().map(|name| (*name, pack(name))).collect();
    let proxy = Proxy::start(&postgres, &options);
    for promise in PROMISES {
        assert_eq!(answer(&proxy, promise), promise.expected, "{}", promise.clause);
    }
    for promise in PROMISES {
        let (file, rule) = promise.rule;
        let whole = pack(file);
        assert!(whole.contains(rule), "{}: {rule}", promise.clause);
        proxy.folder.write(&format!("rules/{file}"), &whole.replacen(rule, "", 1));
        let what = format!("{} to be broken without its rule", promise.clause);
        wait_for(&what, Duration::from_secs(20), || (answer(&proxy, promise) != promise.expected).then_some(()));
        proxy.folder.write(&format!("rules/{file}"), &whole);
        let what = format!("{} to hold again", promise.clause);
        wait_for(&what, Duration::from_secs(20), || (answer(&proxy, promise) == promise.expected).then_some(()));
    }
}
