//! A brake on bulk export: rows of a statement and of a day, statements and searches of a minute.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Postgres, Proxy, proxy::Options, shop, wait_for, wire};

fn start(limits: &str) -> (Postgres, Proxy) {
    let postgres = shop::postgres();
    let rules = format!("{}limits = {limits}\n", shop::RULES)
        .replace("phone = \"phone_last\"", "phone = \"phone_last\", name = \"clear\"");
    let rules = rules.replace("name = \"name_initials\", ", "");
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    (postgres, proxy)
}

fn rows(messages: &[wire::Message]) -> usize {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    messages.iter().filter(|message| matches!(message.kind, b'D' | b'd')).count()
}

fn refused(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

#[test]
fn a_statement_has_no_more_rows_than_its_role_may() {
    let (_postgres, proxy) = start("{ rows_per_statement = 10 }");
    let mut client = proxy.connect("support", "shop");
    assert_eq!(rows(&client.simple("SELECT full_name FROM customers LIMIT 10")), 10);
    // Masked data and data of no person are not limited.
    assert_eq!(rows(&client.simple("SELECT id, phone, born FROM customers")), 50);
    assert_eq!(rows(&client.simple("SELECT count(full_name) FROM customers")), 1);
    for sql in [
        "SELECT full_name FROM customers",
        "SELECT * FROM (SELECT upper(full_name) FROM customers) x",
        "COPY (SELECT full_name FROM customers) TO STDOUT",
        "UPDATE customers SET score = 1 RETURNING full_name",
        "SELECT to_jsonb(c) FROM (SELECT id, full_name FROM customers) c",
    ] {
        // The session ends. What the statement wrote may stay written, as after a connection that was lost.
        let mut client = proxy.connect("support", "shop");
        client.send(&wire::query(sql));
        let answer = client.until_ready();
        assert_eq!(refused(&answer), "PGS0216", "{sql}");
        assert_eq!(wire::error(&answer).unwrap().field(b'C').as_deref(), Some("53400"));
        assert!(answer.iter().filter(|message| matches!(message.kind, b'D' | b'd')).count() <= 10, "{sql}");
        assert!(client.next().is_none(), "the connection is closed");
    }
    let mut client = proxy.connect("support", "shop");
    // A cursor and a portal that is read in parts are statements each.
    client.simple("BEGIN");
    client.simple("DECLARE c CURSOR FOR SELECT full_name FROM customers");
    assert_eq!(rows(&client.simple("FETCH 10 FROM c")), 10);
    client.simple("COMMIT");
    let event = wait_for("the event of a stopped statement", Duration::from_secs(10), || {
        proxy.audit().into_iter().find(|event| event["refusal"] == "PGS0216")
    });
    assert_eq!(event["outcome"], "refused");
    let page = proxy.page("/metrics");
    assert!(page.contains("PGS0216"), "{page}");
}

#[test]
fn rows_of_a_day_and_statements_of_a_minute_are_counted_over_connections() {
    let (postgres, proxy) = start("{ rows_per_day = 25 }");
    let mut client = proxy.connect("support", "shop");
    let ten = "SELECT full_name FROM customers LIMIT 10";
    assert_eq!((rows(&client.simple(ten)), rows(&client.extended(ten, &[], 1))), (10, 10));
    let mut other = proxy.connect("support", "shop");
    assert_eq!(refused(&other.simple(ten)), "PGS0216", "five are left, and six come");
    let mut other = proxy.connect("support", "shop");
    assert_eq!(refused(&other.simple("SELECT full_name FROM customers LIMIT 1")), "PGS0216");
    assert_eq!(rows(&other.simple("SELECT phone FROM customers")), 50);
    // What was refused before it was sent is recorded with all that was understood.
    let event = wait_for("the event of a refused statement", Duration::from_secs(10), || {
        proxy.audit().into_iter().find(|event| event["refusal"] == "PGS0216" && event["rows"] == 0)
    });
    assert_eq!((&event["kind"], &event["relations"]), (&"SELECT".into(), &serde_json::json!(["public.customers"])));
    drop((other, client, proxy, postgres));

    let (_postgres, proxy) = start("{ statements_per_minute = 4, searches_per_minute = 2 }");
    let mut client = proxy.connect("support", "shop");
    // A minute may begin in between: then as many again.
    let some = |client: &mut wire::Client, sql: &str| {
        (0..10).map(|_| client.simple(sql)).filter(|answer| wire::error(answer).is_none()).count()
    };
    let shown = some(&mut client, "SELECT full_name FROM customers WHERE id = 1");
    assert!((4..=8).contains(&shown), "{shown}");
    let found = some(&mut client, "SELECT id FROM customers WHERE phone = '0901234001'");
    assert!((2..=4).contains(&found), "{found}");
    assert_eq!(some(&mut client, "SELECT id FROM customers WHERE id = 4"), 10);
}

/// From a column of no category it is read uncounted, so it counts when it gets there.
#[test]
fn what_is_stored_outside_its_category_is_counted() {
    let log = "CREATE TABLE log (id int, msg text); GRANT ALL ON log TO support; INSERT INTO log SELECT id, 'x' FROM customers";
    let make = |limits: &str| {
        let postgres = shop::postgres();
        postgres.sql(shop::DATABASE, log);
        let rules = format!("{}limits = {limits}\n", shop::RULES)
            .replace("phone = \"phone_last\"", "phone = \"phone_last\", name = \"clear\"")
            .replace("name = \"name_initials\", ", "");
        let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
        (postgres, proxy)
    };
    let (_postgres, proxy) = make("{ rows_per_statement = 10 }");
    for sql in [
        "INSERT INTO log (msg) SELECT full_name FROM customers",
        "INSERT INTO log (msg) SELECT full_name FROM customers RETURNING msg",
        "INSERT INTO log (msg) SELECT full_name FROM customers LIMIT 1 RETURNING msg",
        "WITH i AS (INSERT INTO log (msg) SELECT full_name FROM customers RETURNING msg) SELECT * FROM i",
        "UPDATE log SET msg = c.full_name FROM customers c WHERE c.id = log.id",
        "UPDATE log SET msg = (SELECT chr(d) FROM generate_series(65, 90) d, customers c WHERE c.id = log.id AND left(c.full_name, 1) = chr(d))",
        "INSERT INTO log (id) SELECT id + 100 FROM customers WHERE full_name LIKE 'N%'",
        "WITH i AS (INSERT INTO log (id) SELECT id FROM customers WHERE full_name LIKE 'N%' RETURNING id) SELECT 1",
        "UPDATE log SET msg = c.full_name FROM customers c WHERE c.id = log.id RETURNING msg",
    ] {
        let mut client = proxy.connect("support", "shop");
        client.send(&wire::query(sql));
        let answer = client.until_ready();
        assert_eq!(refused(&answer), "PGS0216", "{sql}");
        assert!(!answer.iter().any(|message| message.kind == b'D'), "{sql}");
    }
    let mut client = proxy.connect("support", "shop");
    for sql in [
        "INSERT INTO log (msg) SELECT full_name FROM customers LIMIT 10",
        "INSERT INTO log (id, msg) SELECT id, born::text FROM customers",
        "INSERT INTO log VALUES (1, 'x') RETURNING msg",
        "UPDATE customers SET full_name = upper(full_name)",
        "UPDATE customers SET score = 1 WHERE full_name LIKE 'N%'",
        "UPDATE log SET msg = 'y' WHERE id < 40",
        "UPDATE log SET msg = 'y' FROM customers c WHERE c.id = log.id RETURNING msg",
    ] {
        rows(&client.simple(sql));
    }
    let (_postgres, proxy) = make("{ rows_per_day = 25 }");
    let mut client = proxy.connect("support", "shop");
    rows(&client.simple("INSERT INTO log (msg) SELECT full_name FROM customers LIMIT 20"));
    assert_eq!(refused(&client.simple("SELECT full_name FROM customers LIMIT 6")), "PGS0216", "five are left");
}

/// Whose rate it is: all logins of the role share its own, all connections of a login the login's.
#[test]
fn roles_logins_and_connections_have_limits_of_their_own() {
    let refusal = |answer: &[wire::Message]| {
        assert_eq!(refused(answer), "PGS0216");
        wire::error(answer).unwrap().field(b'M').unwrap_or_default()
    };
    let two = |limits: &str| {
        let postgres = shop::postgres();
        let sql = "CREATE ROLE desk LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO desk";
        postgres.sql(shop::DATABASE, sql);
        let rules = format!("{}limits = {limits}\n", shop::RULES)
            .replace("[\"support\"]", "[\"support\", \"desk\"]")
            .replace("name = \"name_initials\"", "name = \"clear\"");
        let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
        (postgres, proxy)
    };
    let ten = "SELECT full_name FROM customers LIMIT 10";

    let (_postgres, proxy) =
        two("{ rows_per_day = 45, login = { rows_per_day = 30 }, connection = { rows_per_day = 20 } }");
    let (mut first, mut second) = (proxy.connect("support", "shop"), proxy.connect("support", "shop"));
    assert_eq!((rows(&first.simple(ten)), rows(&first.simple(ten))), (10, 10));
    assert!(refusal(&first.simple(ten)).contains("this connection may have no more than 20 rows"));
    assert_eq!(rows(&second.simple(ten)), 10);
    assert!(refusal(&second.simple(ten)).contains("this login may have no more than 30 rows"));
    let mut desk = proxy.connect("desk", "shop");
    assert_eq!(rows(&desk.simple(ten)), 10);
    desk.send(&wire::query(ten));
    let answer = desk.until_ready();
    assert!(refusal(&answer).contains("this role may have no more than 45 rows"), "in the middle of an answer");
    assert_eq!(answer.iter().filter(|message| message.kind == b'D').count(), 5);

    // A minute may begin in between: then as many again.
    let (_postgres, proxy) = two("{ searches_per_minute = 12, connection = { searches_per_minute = 4 } }");
    let search = "SELECT id FROM customers WHERE phone = '0901234001'";
    let some = |login: &str| {
        let mut client = proxy.connect(login, "shop");
        (0..10).map(|_| client.simple(search)).filter(|answer| wire::error(answer).is_none()).count()
    };
    let one = some("support");
    assert!((4..=8).contains(&one), "{one}");
    let all = one + some("desk") + some("support") + some("desk") + some("support");
    assert!((12..=24).contains(&all), "{all}");
}

/// Statements that run at once do not each have what is left of a day.
#[test]
fn connections_at_once_share_what_is_left_of_a_day() {
    let (_postgres, proxy) = start("{ rows_per_day = 30 }");
    let seen: usize = std::thread::scope(|scope| {
        let one = || {
            let mut client = proxy.connect("support", "shop");
            client.simple("BEGIN");
            client.simple("DECLARE c CURSOR FOR SELECT full_name FROM customers");
            (0..20)
                .map_while(|_| {
                    client.send(&wire::query("FETCH 1 FROM c"));
                    let answer = client.until_ready();
                    wire::error(&answer).is_none().then(|| rows(&answer))
                })
                .sum::<usize>()
        };
        let sessions: Vec<_> = (0..6).map(|_| scope.spawn(one)).collect();
        sessions.into_iter().map(|session| session.join().unwrap()).sum()
    });
    assert_eq!(seen, 30);
}

/// A search is a value that is compared: an IN list or an array of many is as many.
#[test]
fn each_value_of_an_exact_search_is_counted() {
    let (_postgres, proxy) = start("{ searches_per_minute = 5 }");
    let numbers = |count: usize| (0..count).map(|n| format!("'09012340{n:02}'")).collect::<Vec<_>>();
    let list = |count: usize| format!("SELECT id FROM customers WHERE phone IN ({})", numbers(count).join(", "));
    let array = |count: usize| numbers(count).join(",").replace('\'', "");
    let any = |count: usize| format!("SELECT id FROM customers WHERE phone = ANY ('{{{}}}')", array(count));
    let client = || proxy.connect("support", "shop");
    // More than a minute has: at any time, and from the first.
    let cast = |form: &str| (0..6).map(|n| form.replace('#', &n.to_string())).collect::<Vec<_>>().join(", ");
    for sql in [
        list(6),
        any(6),
        format!("SELECT id FROM customers WHERE phone IN ({})", cast("CAST(90123400# AS text)")),
        format!("SELECT id FROM customers WHERE lower(phone) IN ({})", cast("lower('x#')")),
        format!("SELECT id FROM customers WHERE phone = ANY (ARRAY[{}]::text[])", cast("(-#)::text")),
        format!("SELECT count(*) FILTER (WHERE {}) FROM customers", cast("phone = 'x#'").replace(", ", " OR ")),
        format!("SELECT id FROM customers WHERE {}", cast("phone LIKE '#'").replace(", ", " OR ")),
        list(60),
        any(4000),
        format!("UPDATE customers SET score = 1 WHERE phone = ANY ('{{{}}}'::text[])", array(6)),
    ] {
        assert_eq!(refused(&client().simple(&sql)), "PGS0216", "{sql}");
    }
    let bound = "SELECT id FROM customers WHERE phone = ANY ($1)";
    let text = format!("{{{}}}", array(6));
    assert_eq!(refused(&client().extended(bound, &[Some(text.as_bytes())], 0)), "PGS0216");
    // Longer than what is at hand when the statement is judged.
    let long = format!("{{{}}}", vec!["0901234001"; 100_000].join(","));
    assert_eq!(refused(&client().extended(bound, &[Some(long.as_bytes())], 0)), "PGS0216");
    let mut binary: Vec<u8> = [1_u32, 0, 25, 6, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
    for number in 0..6 {
        binary.extend(10_u32.to_be_bytes());
        binary.extend(format!("090123400{number}").bytes());
    }
    let mut c = client();
    let mut bytes = wire::parse("", bound, &[]);
    bytes.extend(wire::bind("", "", &[1], &[Some(&binary)], &[]));
    bytes.extend(wire::execute("", 0));
    bytes.extend(wire::sync());
    c.send(&bytes);
    assert_eq!(refused(&c.until_ready()), "PGS0216");
    // An element is one value, though the client says that it is an array.
    let element = "SELECT id FROM customers WHERE phone = ANY (ARRAY[$1])";
    let mut c = client();
    let mut bytes = wire::parse("", element, &[1009]);
    bytes.extend(wire::bind("", "", &[0], &[Some(b"{0901234001,0901234002}")], &[]));
    bytes.extend(wire::execute("", 0));
    bytes.extend(wire::sync());
    c.send(&bytes);
    assert_eq!(rows(&c.until_ready()), 0);
    let mut c = client();
    c.simple(&format!("PREPARE p AS {bound}"));
    c.simple("PREPARE q(text) AS SELECT id FROM customers WHERE phone = $1");
    for sql in [
        format!("EXECUTE p('{{{}}}')", array(6)),
        "EXECUTE p(string_to_array('0901234001,0901234002', ','))".to_owned(),
        "EXECUTE p(ARRAY['1','2','3','4','5','6'])".to_owned(),
    ] {
        assert_eq!(refused(&c.simple(&sql)), "PGS0216", "{sql}");
    }
    // What is refused is not counted, and what compares nothing hidden is no search.
    assert_eq!(rows(&c.simple("SELECT id FROM customers WHERE id = ANY ('{1,2,3,4,5,6,7,8}')")), 8);
    let found =
        (0..12).map(|_| c.simple("EXECUTE q('0901234001')")).filter(|answer| wire::error(answer).is_none()).count();
    assert!((3..=9).contains(&found), "{found}");
}

/// Vectors have blanks between their elements.
#[test]
fn each_element_of_a_vector_is_counted() {
    let postgres = shop::postgres();
    let rules = format!("{}limits = {{ connection = {{ searches_per_minute = 5 }} }}\n", shop::RULES)
        .replace("\"public.customers.score\", ", "")
        .replace("[category.none]", "[category.points]\ncolumns = [\"public.customers.score\"]\n[category.none]")
        .replace("search = { phone = \"exact\" }", "search = { points = \"exact\" }");
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let select = "SELECT id FROM customers WHERE score = ANY ($1)";
    for (vector, oid) in [("int2vector", 22), ("oidvector", 30)] {
        let mut client = proxy.connect("support", "shop");
        client.simple(&format!("PREPARE p({vector}) AS {select}"));
        assert_eq!(refused(&client.simple("EXECUTE p('1 2 3 4 5 6')")), "PGS0216", "{vector}");
        assert_eq!(refused(&client.simple("EXECUTE p('1\x0b2\x0b3\x0b4\x0b5\x0b6')")), "PGS0216", "{vector}");
        let mut client = proxy.connect("support", "shop");
        let bind = wire::bind("", "", &[0], &[Some(b"1 2 3 4 5 6")], &[]);
        client.send(&[wire::parse("", select, &[oid]), bind, wire::execute("", 0), wire::sync()].concat());
        assert_eq!(refused(&client.until_ready()), "PGS0216", "{vector}");
    }
    let mut client = proxy.connect("support", "shop");
    client.simple(&format!("PREPARE p(int[]) AS {select}"));
    assert_eq!(refused(&client.simple("EXECUTE p('1 2 3 4 5 6'::int2vector)")), "PGS0216");
    assert!(wire::error(&client.simple("EXECUTE p('{1,2}')")).is_none());
}

/// A condition on personal data tells of it, whatever is selected.
#[test]
fn statements_that_compare_personal_data_are_counted() {
    let (_postgres, proxy) = start("{ statements_per_minute = 3 }");
    let mut client = proxy.connect("support", "shop");
    let some = |client: &mut wire::Client, sql: &str| {
        (0..9).map(|_| client.simple(sql)).filter(|answer| wire::error(answer).is_none()).count()
    };
    assert_eq!(some(&mut client, "SELECT count(*) FROM customers WHERE id < 9"), 9);
    assert_eq!(some(&mut client, "SELECT count(*) FROM customers WHERE phone LIKE '%1'"), 9, "masked");
    let counted = some(&mut client, "SELECT count(*) FROM customers WHERE full_name LIKE 'T%'");
    assert!((3..=6).contains(&counted), "{counted}");
    for sql in [
        "SELECT id FROM customers ORDER BY full_name",
        "SELECT count(*) FROM customers GROUP BY full_name",
        "SELECT count(*) FROM customers c JOIN (VALUES ('x')) v(n) ON v.n = c.full_name",
        "UPDATE customers SET score = 1 WHERE full_name = 'x'",
    ] {
        let answers: Vec<_> = (0..9).map(|_| client.simple(sql)).collect();
        assert!(answers.iter().any(|answer| wire::error(answer).is_some()), "{sql}");
    }
}

/// What a text makes and uses itself counts as what it is, and so does what PREPARE has made and the protocol executes.
#[test]
fn what_a_message_makes_itself_is_counted() {
    let (_postgres, proxy) = start("{ rows_per_statement = 5, connection = { searches_per_minute = 3 } }");
    for sql in [
        "BEGIN; DECLARE k CURSOR FOR SELECT full_name FROM customers; FETCH ALL FROM k; COMMIT",
        "PREPARE s AS SELECT full_name FROM customers; EXECUTE s",
        "PREPARE s AS SELECT 1; DEALLOCATE s; PREPARE s AS SELECT full_name FROM customers; EXECUTE s",
    ] {
        let mut client = proxy.connect("support", "shop");
        client.send(&wire::query(sql));
        let answer = client.until_ready();
        assert_eq!(refused(&answer), "PGS0216", "{sql}");
        assert!(answer.iter().filter(|message| message.kind == b'D').count() <= 5, "{sql}");
    }
    let column = serde_json::json!("public.customers.full_name");
    let event = wait_for("the event of an EXECUTE", Duration::from_secs(10), || {
        let named = |event: &serde_json::Value| {
            event["columns"].as_array().is_some_and(|all| all.iter().any(|one| one["column"] == column))
        };
        proxy.audit().into_iter().find(|event| event["kind"] == "EXECUTE" && named(event))
    });
    assert_eq!(event["refusal"], "PGS0216");
    // One that is refused before it is sent, too.
    let mut client = proxy.connect("support", "shop");
    client.simple("PREPARE f (text[]) AS SELECT id FROM customers WHERE phone = ANY ($1)");
    assert_eq!(refused(&client.simple("EXECUTE f('{a,b,c,d}')")), "PGS0216");
    wait_for("the event of a refused EXECUTE", Duration::from_secs(10), || {
        proxy
            .audit()
            .into_iter()
            .find(|event| event["kind"] == "EXECUTE" && event["columns"].to_string().contains("customers.phone"))
    });
    // Searches: in a text of its own, bound by the protocol, and hidden in a value.
    let prepare = "PREPARE f (text[]) AS SELECT id FROM customers WHERE phone = ANY ($1)";
    for sql in [
        "EXECUTE f('{a,b,c,d}')".to_owned(),
        "EXECUTE f(((jsonb '\"{a\\u002cb\\u002cc\\u002cd}\"') #>> '{}')::text[])".to_owned(),
        "EXECUTE f(('\"{a\\u002cb\\u002cc\\u002cd}\"'::jsonb #>> '{}')::text[])".to_owned(),
    ] {
        let mut client = proxy.connect("support", "shop");
        assert_eq!(refused(&client.simple(&format!("{prepare}; {sql}"))), "PGS0216", "{sql}");
        client.simple(prepare);
        assert_eq!(refused(&client.simple(&sql)), "PGS0216", "{sql}");
    }
    let mut client = proxy.connect("support", "shop");
    client.simple(prepare);
    assert_eq!(rows(&client.simple("EXECUTE f(ARRAY['0901234001', 'x'])")), 1);
    let bound = |values: &str| {
        [wire::bind("", "f", &[], &[Some(values.as_bytes())], &[]), wire::execute("", 0), wire::sync()].concat()
    };
    client.send(&bound("{x,y}"));
    assert_eq!(refused(&client.until_ready()), "PGS0216");
    client.send(&bound("{0901234001}"));
    assert_eq!(rows(&client.until_ready()), 1);
    let event = wait_for("the event of an Execute", Duration::from_secs(10), || {
        proxy.audit().into_iter().rev().find(|event| event["rows"] == 1 && event["kind"] == "SELECT")
    });
    assert!(event["text"].as_str().unwrap().starts_with("prepare f"), "{event}");
}
