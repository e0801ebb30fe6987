//! The ACROS pack, clause by clause, through the proxy, by psql and by a client that sees every message: each promise holds, and is broken
//! when the rule that makes it is taken out. In front of the shop of the demo.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use common::{
    Postgres, Proxy,
    acros::{self, FILES},
    proxy::Options,
    wait_for, wire,
};
use pgscrim::cli::demo::shop;

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
            "[refusal]\nrecords = \"public.consents\"\nsubject = \"customer_id\"\ncategory = \"category\"\nwhere = \"purpose = 'refusal' AND revoked_at IS NULL\"\n# Các loại theo chính sách (S1): họ tên, điện thoại, email, địa chỉ, thanh toán, video; ở đây mỗi loại có thể gồm nhiều loại nhỏ hơn / the\n# policy's own categories (S1) are name, phone, email, address, payment, media; some of them are several here.\n[refusal.categories]\naddress = [\"street\", \"area\", \"province\", \"tracking\"]\npayment = [\"card\", \"card_holder\", \"bank_account\", \"order_value\"]\n",
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
        "A2, what an order was worth, item by item",
        "carrier_app",
        "SELECT sum(price * quantity) FROM order_items",
        "PGS0201",
        (DATA, "    \"public.order_items.price\",\n"),
    ),
    promise(
        "A2, no customer's account",
        "carrier_app",
        "SELECT count(*) FROM customers",
        "0",
        (ROLES, "\"public.customers\" = \"false\"\n"),
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
        "A4, not what customers have bought",
        "marketing_app",
        "SELECT count(*) FROM orders",
        "0",
        (ROLES, "\"public.orders\" = \"false\"\n"),
    ),
    promise(
        "P4, sums over many",
        "service_development_app",
        "SELECT count(revenue) > 0 FROM monthly_sales",
        "t",
        (SUBJECTS, "unlinked = [\"public.monthly_sales\"]\n"),
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
        "P2: the purpose",
        "customer_care_app",
        "SELECT count(*) FROM orders",
        ("purpose", "\"customer-care\""),
        (ROLES, "\"customer-care\", "),
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
    let text = acros::file(name);
    if name == SUBJECTS { text + GRANT } else { text }
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

/// The same answer, by PostgreSQL's own client.
fn answer_of_psql(proxy: &Proxy, promise: &Promise) -> String {
    let mut psql = common::psql("127.0.0.1", proxy.port, promise.login, shop::DATABASE);
    psql.args(["-P", "null=-"]);
    if !promise.purpose.is_empty() {
        psql.args(["-c", &format!("SET pgscrim.purpose = '{}'", promise.purpose)]);
    }
    let output = psql.args(["-c", promise.sql]).output().unwrap();
    let (out, err) = (common::text(&output.stdout), common::text(&output.stderr));
    if let Some((_, hint)) = err.split_once("HINT:  ") {
        return hint.chars().take(7).collect();
    }
    assert!(err.is_empty(), "{}: {err}", promise.clause);
    out.lines().next().unwrap_or("none").to_owned()
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

/// The pack in front of the shop.
fn start() -> (Postgres, Proxy) {
    let postgres = Postgres::start();
    acros::load(&postgres);
    let mut options = Options::new(shop::DATABASE, "");
    options.rules = FILES.iter().map(|name| (*name, pack(name))).collect();
    let proxy = Proxy::start(&postgres, &options);
    (postgres, proxy)
}

/// The first value of an answer, None for NULL and for no row, or the code of the refusal.
fn value(messages: &[wire::Message]) -> Result<Option<String>, String> {
    match wire::error(messages) {
        Some(error) => Err(error.field(b'H').unwrap_or_default().chars().take(7).collect()),
        None => Ok(wire::text_rows(messages).first().and_then(|row| row[0].clone())),
    }
}

/// P5: the order of an authority ends by itself, in the middle of a session, with no change of the rules.
#[test]
fn an_order_of_an_authority_expires_by_itself() {
    let (postgres, proxy) = start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let until = jiff::Timestamp::from_second(i64::try_from(now + 8).unwrap()).unwrap();
    let grant = GRANT
        .replace("1234/CV-CSKT", "99/QD-TA")
        .replace("2099-01-01T00:00:00+07:00", &until.to_string())
        .replace("[1, 2]", "[3]")
        .replace("name", "phone");
    proxy.folder.write(&format!("rules/{SUBJECTS}"), &(pack(SUBJECTS) + &grant));
    let stored = postgres.sql(shop::DATABASE, "SELECT phone FROM customers WHERE id = 3")[0][0].clone();
    let mut authority = proxy.connect("authority_app", shop::DATABASE);
    let (lasting, ending) =
        ("SELECT full_name FROM customers WHERE id = 1", "SELECT phone FROM customers WHERE id = 3");
    wait_for("the order", Duration::from_secs(20), || {
        (value(&authority.simple(ending)) == Ok(stored.clone())).then_some(())
    });
    wait_for("the order to end", Duration::from_secs(20), || match value(&authority.simple(ending)) {
        // Judged before the end and run behind it: the server looks at its own clock, and gives nothing.
        Ok(None) => {
            assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() >= now + 8, "still in force");
            None
        }
        Ok(value) => {
            assert_eq!(value, stored);
            None
        }
        Err(code) => {
            assert_eq!(code, "PGS0215");
            Some(())
        }
    });
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() >= now + 8, "and not before");
    assert_eq!(
        value(&authority.simple(lasting)),
        Ok(Some("Nguyễn Thị Minh Khai".to_owned())),
        "the other stays in force"
    );
    let documents =
        |text: &str| proxy.audit().iter().filter(|event| event["documents"] == serde_json::json!([text])).count();
    wait_for("the events", Duration::from_secs(10), || {
        (documents("99/QD-TA") > 0 && documents("1234/CV-CSKT") > 0).then_some(())
    });
}

/// A2: whatever the server lets them write, a carrier and a payment intermediary read the orders that are their own, and no others.
#[test]
fn carriers_and_payment_reach_no_others_orders_by_writing() {
    let (postgres, proxy) = start();
    postgres.sql(
        shop::DATABASE,
        "GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO carrier_app, payment_app",
    );
    let one = |sql: &str| postgres.sql(shop::DATABASE, sql)[0][0].clone().unwrap();
    let others_order =
        one("SELECT min(id) FROM orders o WHERE NOT EXISTS (SELECT 1 FROM shipments s WHERE s.order_id = o.id AND \
         s.carrier = 'GHN') AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id AND p.method = 'card')");
    let shipment = one("SELECT min(id) FROM shipments WHERE carrier = 'GHN'");
    let payment = one("SELECT min(id) FROM payments WHERE method = 'card'");
    let order = one("SELECT min(order_id) FROM shipments WHERE carrier = 'GHN'");
    for (login, statements) in [
        (
            "carrier_app",
            vec![
                format!("UPDATE shipments SET order_id = {others_order} WHERE id = {shipment}"),
                format!(
                    "UPDATE shipments SET (order_id, carrier) = (SELECT {others_order}, 'GHN') WHERE id = {shipment}"
                ),
                format!("UPDATE shipments SET carrier = 'GHTK' WHERE id = {shipment}"),
                format!("INSERT INTO shipments (order_id, carrier, status) VALUES ({others_order}, 'GHN', 'new')"),
                "COPY shipments (order_id, carrier, status) FROM STDIN".to_owned(),
                format!(
                    "WITH i AS (INSERT INTO shipments (order_id, carrier, status) VALUES ({others_order}, 'GHN', 'new') RETURNING 1) SELECT 1"
                ),
                format!("DELETE FROM shipments WHERE id = {shipment}"),
                "DELETE FROM erasure_requests".to_owned(),
                "TRUNCATE erasure_requests".to_owned(),
                "TRUNCATE products CASCADE".to_owned(),
            ],
        ),
        (
            "payment_app",
            vec![
                format!("UPDATE payments SET order_id = {others_order} WHERE id = {payment}"),
                format!(
                    "INSERT INTO payments (order_id, method, amount, status) VALUES ({others_order}, 'card', 1, 'paid')"
                ),
                format!("UPDATE payments SET order_id = order_id + 1 WHERE id = {payment}"),
                "UPDATE orders SET customer_id = 2".to_owned(),
                "DELETE FROM orders".to_owned(),
            ],
        ),
    ] {
        let mut client = proxy.connect(login, shop::DATABASE);
        let count = |client: &mut wire::Client| value(&client.simple("SELECT count(*) FROM orders")).unwrap();
        let before = count(&mut client);
        for sql in statements {
            let refused = value(&client.simple(&sql));
            assert!(
                refused.as_ref().is_err_and(|code| ["PGS0219", "PGS0217", "PGS0214"].contains(&code.as_str())),
                "{login}: {sql}: {refused:?}"
            );
            assert_eq!(count(&mut client), before, "{login}: {sql}");
        }
        let others = format!("SELECT ship_name FROM orders WHERE id = {others_order}");
        assert_eq!(wire::text_rows(&client.simple(&others)).len(), 0);
    }
    // Their work goes on, also where an application saves whole rows.
    let mut carrier = proxy.connect("carrier_app", shop::DATABASE);
    let saved = format!(
        "UPDATE shipments SET order_id = {order}, carrier = 'GHN', status = 'delivered' WHERE order_id = {order} RETURNING status"
    );
    assert_eq!(value(&carrier.simple(&saved)), Ok(Some("delivered".to_owned())));
}

/// S2, R1: customer care records what customers wish, and takes none of it back by itself.
#[test]
fn customer_care_records_wishes_and_undoes_none() {
    let (postgres, proxy) = start();
    postgres.sql(shop::DATABASE, "GRANT UPDATE, DELETE ON consents, erasure_requests TO customer_care_app");
    let mut care = proxy.connect("customer_care_app", shop::DATABASE);
    let mut done = |sql: &str| value(&care.simple(sql));
    for sql in [
        "INSERT INTO consents (customer_id, purpose, granted_at) VALUES (5, 'marketing', now())",
        "INSERT INTO consents (customer_id, purpose, category, granted_at) VALUES (5, 'refusal', 'phone', now())",
        "INSERT INTO erasure_requests (customer_id, requested_at) VALUES (6, now())",
        "UPDATE consents SET revoked_at = now() WHERE customer_id = 5 AND purpose = 'marketing'",
        "UPDATE consents SET revoked_at = NULL WHERE customer_id = 5 AND purpose = 'marketing'",
        "UPDATE consents SET customer_id = 5, purpose = 'refusal', revoked_at = NULL, granted_at = now() WHERE customer_id = 5 AND purpose = 'refusal'",
        "UPDATE erasure_requests SET done_at = now() WHERE customer_id = 6",
    ] {
        assert_eq!(done(sql), Ok(None), "{sql}");
    }
    for sql in [
        "UPDATE consents SET revoked_at = now() WHERE customer_id = 5",
        "UPDATE consents SET category = 'email' WHERE customer_id = 5 AND purpose = 'refusal'",
        "UPDATE consents SET customer_id = 7 WHERE purpose = 'refusal'",
        "UPDATE erasure_requests SET customer_id = 7",
        "DELETE FROM erasure_requests",
        "DELETE FROM consents WHERE customer_id = 5",
    ] {
        assert_eq!(done(sql), Err("PGS0219".to_owned()), "{sql}");
    }
    assert_eq!(done("SELECT phone FROM customers WHERE id = 5"), Ok(None));
    // Marketing shows itself nobody by writing what they are to have agreed to.
    postgres.sql(shop::DATABASE, "GRANT INSERT, UPDATE ON consents TO marketing_app");
    let mut marketing = proxy.connect("marketing_app", shop::DATABASE);
    for sql in [
        "INSERT INTO consents (customer_id, purpose, granted_at) VALUES (8, 'marketing', now())",
        "UPDATE consents SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
    ] {
        assert_eq!(value(&marketing.simple(sql)), Err("PGS0219".to_owned()), "{sql}");
    }
}

/// P2, P3: a number that a customer tells is found, numbers that are tried are not, and the purpose of either stands in the log.
#[test]
fn customer_care_may_not_try_numbers() {
    let (_postgres, proxy) = start();
    let number = |n: u32| format!("SELECT id FROM customers WHERE phone = '09012345{n:02}'");
    let mut care = proxy.connect("customer_care_app", shop::DATABASE);
    care.simple("SET pgscrim.purpose = 'verification'");
    assert_eq!(value(&care.simple(&number(67))), Ok(Some("1".to_owned())));
    // A minute that begins meanwhile allows as many again.
    let refused = (0..99).map(|n| value(&care.simple(&number(n)))).position(|answer| answer.is_err());
    assert!(refused.is_some_and(|tried| (29..60).contains(&tried)), "{refused:?}");
    assert!(value(&proxy.connect("customer_care_app", shop::DATABASE).simple(&number(67))).is_ok(), "a colleague");
    wait_for("the events", Duration::from_secs(10), || {
        let found = proxy.audit().into_iter().filter(|event| event["purpose"] == "verification").count();
        (found > 30).then_some(())
    });
    let whole = pack(ROLES);
    let limits = whole.lines().find(|line| line.starts_with("limits = ")).unwrap();
    proxy.folder.write(&format!("rules/{ROLES}"), &whole.replace(limits, ""));
    let mut care = proxy.connect("customer_care_app", shop::DATABASE);
    wait_for("numbers to be tried without the rule", Duration::from_secs(30), || {
        let tried = (0..40).filter(|n| value(&care.simple(&number(*n))).is_ok()).count();
        care = proxy.connect("customer_care_app", shop::DATABASE);
        (tried == 40).then_some(())
    });
}

/// S2: a customer refuses by the names of the policy, and each hides all that it means.
#[test]
fn refusals_by_the_policys_own_categories_count() {
    let (_postgres, proxy) = start();
    let mut care = proxy.connect("customer_care_app", shop::DATABASE);
    let reads = [
        ("order_processing_app", "SELECT line FROM addresses WHERE customer_id = 1 LIMIT 1"),
        ("order_processing_app", "SELECT ward FROM addresses WHERE customer_id = 1 LIMIT 1"),
        ("packing_app", "SELECT province FROM addresses WHERE customer_id = 1 LIMIT 1"),
        ("packing_app", "SELECT ship_address FROM orders WHERE customer_id = 1 LIMIT 1"),
        (
            "order_processing_app",
            "SELECT max(card_pan) FROM payments WHERE order_id IN (SELECT id FROM orders WHERE customer_id = 1)",
        ),
        (
            "payment_app",
            "SELECT max(card_holder) FROM payments WHERE order_id IN (SELECT id FROM orders WHERE customer_id = 1)",
        ),
        (
            "payment_app",
            "SELECT max(amount) FROM payments WHERE order_id IN (SELECT id FROM orders WHERE customer_id = 1)",
        ),
        (
            "customer_care_app",
            "SELECT max(bank_account) FROM payments WHERE order_id IN (SELECT id FROM orders WHERE customer_id = 1)",
        ),
        ("order_processing_app", "SELECT max(total) FROM orders WHERE customer_id = 1"),
    ];
    let seen = || {
        let seen = |(login, sql): &&(&str, &str)| {
            value(&proxy.connect(login, shop::DATABASE).simple(sql))
                .unwrap_or_else(|code| panic!("{sql}: {code}"))
                .is_some()
        };
        reads.iter().filter(seen).count()
    };
    assert!(seen() >= reads.len() - 1, "what is refused was seen");
    for category in ["address", "payment"] {
        let sql = format!(
            "INSERT INTO consents (customer_id, purpose, category, granted_at) VALUES (1, 'refusal', '{category}', now())"
        );
        assert_eq!(value(&care.simple(&sql)), Ok(None));
    }
    assert_eq!(seen(), 0);
    let whole = pack(SUBJECTS);
    let (before, rule) = whole.split_once("[refusal.categories]").unwrap();
    let (_, behind) = rule.split_once("\n\n").unwrap();
    proxy.folder.write(&format!("rules/{SUBJECTS}"), &format!("{before}\n{behind}"));
    wait_for("the refusal to mean less without the rule", Duration::from_secs(20), || (seen() > 2).then_some(()));
}

/// R1: from the moment a request commits, for every role but a legal duty.
#[test]
fn a_request_for_erasure_counts_for_every_role_at_once() {
    const COLUMNS: [&str; 4] = ["full_name", "phone", "email", "birth_date"];
    let (_postgres, proxy) = start();
    let logins = [
        "packing_app",
        "order_processing_app",
        "customer_care_app",
        "service_development_app",
        "carrier_app",
        "payment_app",
        "marketing_app",
    ];
    let stored = 1;
    let mut sessions = logins.map(|login| proxy.connect(login, shop::DATABASE));
    let mut all = || {
        let mut seen = 0;
        for session in &mut sessions {
            for column in COLUMNS {
                let answer = value(&session.simple(&format!("SELECT {column} FROM customers WHERE id = {stored}")));
                seen += usize::from(answer.is_ok_and(|value| value.is_some()));
            }
        }
        seen
    };
    assert!(all() > 10, "what is asked for is seen before");
    let mut open = proxy.connect("shop_owner", shop::DATABASE);
    open.simple("BEGIN");
    open.simple(&format!("INSERT INTO erasure_requests (customer_id, requested_at) VALUES ({stored}, now())"));
    assert!(all() > 10);
    open.simple("COMMIT");
    assert_eq!(all(), 0);
}

/// R1: the report lists what is still stored of those who asked.
#[test]
fn the_report_lists_what_is_still_stored() {
    let (postgres, proxy) = start();
    let report = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        command.args(["report", "erasure", "--config"]).arg(proxy.folder.join("pgscrim.toml")).output().unwrap()
    };
    let output = report();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counted = postgres.sql(shop::DATABASE, &String::from_utf8(output.stdout).unwrap());
    let whose = "customer_id IN (SELECT customer_id FROM erasure_requests)";
    for (table, column, condition) in [
        ("customers", "full_name", "id IN (SELECT customer_id FROM erasure_requests)".to_owned()),
        ("orders", "ship_phone", whose.to_owned()),
        ("payments", "card_pan", format!("order_id IN (SELECT id FROM orders WHERE {whose})")),
        ("warranty_claims", "video_url", whose.to_owned()),
    ] {
        let sql = format!("SELECT count({column}) FROM {table} WHERE {condition}");
        let stored = postgres.sql(shop::DATABASE, &sql)[0][0].clone().unwrap();
        let name = Some(format!("public.{table}"));
        let line = counted.iter().find(|row| row[0] == name && row[1].as_deref() == Some(column));
        let listed = line.map_or("0", |row| row[3].as_deref().unwrap());
        assert_eq!(listed, stored, "{table}.{column}");
    }
    let phones = counted.iter().find(|row| row[1].as_deref() == Some("ship_phone")).unwrap();
    assert_ne!(
        (phones[3].as_deref(), phones[4].as_deref()),
        (Some("0"), Some("0")),
        "the request of October is overdue"
    );
    // Without the rule nothing is known of requests.
    let text = pack(SUBJECTS);
    let (before, erasure) = text.split_once("[erasure]").unwrap();
    let (_, behind) = erasure.split_once("\n\n").unwrap();
    proxy.folder.write(&format!("rules/{SUBJECTS}"), &format!("{before}{behind}"));
    let output = report();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("[erasure]"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn events_say_what_the_policy_demands_and_depend_on_its_rules() {
    let (_postgres, proxy) = start();
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
    let (_postgres, proxy) = start();
    for promise in PROMISES {
        assert_eq!(answer(&proxy, promise), promise.expected, "{}", promise.clause);
        assert_eq!(answer_of_psql(&proxy, promise), promise.expected, "{} by psql", promise.clause);
    }
    for promise in PROMISES {
        let (file, rule) = promise.rule;
        let whole = pack(file);
        assert!(whole.contains(rule), "{}: {rule}", promise.clause);
        proxy.folder.write(&format!("rules/{file}"), &whole.replacen(rule, "", 1));
        let what = format!("{} to be broken without its rule", promise.clause);
        wait_for(&what, Duration::from_secs(20), || (answer(&proxy, promise) != promise.expected).then_some(()));
        assert_ne!(answer_of_psql(&proxy, promise), promise.expected, "{what} by psql");
        proxy.folder.write(&format!("rules/{file}"), &whole);
        let what = format!("{} to hold again", promise.clause);
        wait_for(&what, Duration::from_secs(20), || (answer(&proxy, promise) == promise.expected).then_some(()));
    }
}

/// What extensions and others bring into a database changes nothing of the pack. PostGIS is stood in for by what is like it: a type that
/// texts are cast to unasked, with operators of its own.
#[test]
fn extensions_do_not_keep_the_pack_from_loading() {
    let postgres = Postgres::start();
    acros::load(&postgres);
    postgres.sql(
        shop::DATABASE,
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm;
         CREATE EXTENSION unaccent; CREATE EXTENSION intarray; CREATE EXTENSION cube; CREATE EXTENSION btree_gist;
         CREATE TYPE geometry;
         CREATE FUNCTION geometry_in(cstring) RETURNS geometry LANGUAGE internal IMMUTABLE STRICT AS 'textin';
         CREATE FUNCTION geometry_out(geometry) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
         CREATE TYPE geometry (INPUT = geometry_in, OUTPUT = geometry_out, LIKE = text);
         CREATE CAST (text AS geometry) WITHOUT FUNCTION AS IMPLICIT;
         CREATE FUNCTION geometry_eq(geometry, geometry) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'texteq';
         CREATE OPERATOR = (LEFTARG = geometry, RIGHTARG = geometry, FUNCTION = geometry_eq);
         CREATE OPERATOR && (LEFTARG = geometry, RIGHTARG = geometry, FUNCTION = geometry_eq);
         ALTER EXTENSION cube ADD TYPE geometry; ALTER EXTENSION cube ADD CAST (text AS geometry);
         ALTER EXTENSION cube ADD FUNCTION geometry_in(cstring); ALTER EXTENSION cube ADD FUNCTION geometry_out(geometry);
         ALTER EXTENSION cube ADD FUNCTION geometry_eq(geometry, geometry);
         ALTER EXTENSION cube ADD OPERATOR = (geometry, geometry); ALTER EXTENSION cube ADD OPERATOR && (geometry, geometry)",
    );
    let mut options = Options::new(shop::DATABASE, "");
    options.rules = FILES.iter().map(|name| (*name, pack(name))).collect();
    let proxy = Proxy::start(&postgres, &options);
    for promise in PROMISES {
        assert_eq!(answer(&proxy, promise), promise.expected, "{}: {}", promise.clause, promise.sql);
    }
}
