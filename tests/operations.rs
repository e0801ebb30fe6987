//! Running pgscrim: what an audit event says, what happens when it cannot be written, rules and catalog that change under
//! way, metrics and health pages, and start-up that fails early with words.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use std::{fs, process::Command, time::Duration};

use common::{Folder, Proxy, proxy::Options, shop, wait_for, wire};
use serde_json::Value;

fn events_after(proxy: &Proxy, known: usize, count: usize) -> Vec<Value> {
    wait_for("audit events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() >= known + count).then(|| events[known..].to_vec())
    })
}

fn hint(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

#[test]
fn an_audit_event_says_who_did_what_to_whose_data() {
    let (_server, proxy) = shop::start();
    let parameters = [("user", "support"), ("database", "shop"), ("application_name", "crm")];
    let mut client = wire::Client::connect(&proxy.address(), &parameters).unwrap();
    client.simple("SELECT full_name, c.phone FROM customers c WHERE c.id IN (41, 42) AND note_is('x') IS NULL");
    client.simple("SELECT full_name, c.phone FROM customers c WHERE c.id IN (41, 42) AND email <> 'someone@example.com' OR id = 3");
    client.simple("UPDATE customers SET phone = '0977123123' WHERE id = 4 RETURNING phone");
    client.simple("SELECT note FROM customers");
    client.simple("SELECT 1/0");
    client.simple("BEGIN; SELECT 1; COMMIT");
    let events = events_after(&proxy, 0, 8);
    assert_eq!(events.len(), 8, "one event a statement: {events:#?}");
    let read = &events[1];
    for (key, expected) in [
        ("user", "support"),
        ("role", "support"),
        ("application", "crm"),
        ("database", "shop"),
        ("purpose", "customer-care"),
        ("recipient", "internal"),
        ("kind", "SELECT"),
        ("decision", "rewrite"),
        ("policy", "shop"),
    ] {
        assert_eq!(read[key], expected, "{key}: {read:#}");
    }
    assert!(read["client"].as_str().unwrap().starts_with("127.0.0.1"), "{read:#}");
    assert!(!read["policy_hash"].as_str().unwrap().is_empty());
    assert!(!read["fingerprint"].as_str().unwrap().is_empty());
    assert_eq!(read["relations"], serde_json::json!(["public.customers"]));
    assert_eq!(read["transaction"], "I");
    let text = read["text"].as_str().unwrap();
    assert!(text.contains("full_name") && !text.contains("42") && !text.contains("someone"), "{text}");
    let columns = read["columns"].as_array().unwrap();
    let column = |name: &str| {
        columns
            .iter()
            .find(|column| column["column"] == format!("public.customers.{name}"))
            .unwrap_or_else(|| panic!("{name}: {read:#}"))
    };
    assert_eq!(column("phone")["category"], "phone");
    assert!(column("phone")["treatment"].as_str().unwrap().starts_with("phone_last"), "{read:#}");
    assert_eq!(column("phone")["usage"], serde_json::json!(["projected"]));
    assert_eq!(column("email")["usage"], serde_json::json!(["predicate"]));
    assert_eq!(column("email")["treatment"], "withhold");
    assert_eq!(read["rows"], 1);
    assert!(read["bytes"].as_u64().unwrap() > 10);
    let written = &events[2];
    assert_eq!((&written["kind"], &written["rows"]), (&Value::from("UPDATE"), &Value::from(1)), "{written:#}");
    assert!(written.to_string().contains("written"), "{written:#}");
    assert_eq!(
        (&events[3]["decision"], &events[3]["sqlstate"]),
        (&Value::from("refuse"), &Value::from("42501")),
        "{:#}",
        events[3]
    );
    assert_eq!(events[4]["sqlstate"], "22012", "{:#}", events[4]);
    // Never a value: not of a literal, a parameter or a result.
    let all = fs::read_to_string(proxy.folder.join("audit.jsonl")).unwrap();
    for value in ["0977123123", "0901234", "*****0", "N***", "someone@"] {
        assert!(!all.contains(value), "`{value}` in the audit log");
    }
    // Same shape, same fingerprint; per execution, not per prepare.
    let known = events.len();
    let mut bytes = wire::parse("s", "SELECT phone FROM customers WHERE id = $1", &[]);
    for n in ["1", "2", "3"] {
        bytes.extend(wire::bind("", "s", &[], &[Some(n.as_bytes())], &[]));
        bytes.extend(wire::execute("", 0));
    }
    bytes.extend(wire::sync());
    client.send(&bytes);
    client.until_ready();
    let executed = events_after(&proxy, known, 3);
    assert_eq!(executed.len(), 3);
    assert!(executed.iter().all(|event| event["fingerprint"] == executed[0]["fingerprint"]));
}

/// A device that is always full: no more may run than the queue has places, and what is refused does not reach the
/// server.
#[test]
fn what_cannot_be_logged_does_not_happen() {
    let server = shop::postgres();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings = format!(
        "\n[upstream]\nurl = \"postgres://pgscrim@127.0.0.1:{}/shop\"\n\
         [audit]\npath = \"/dev/full\"\nwait = \"300ms\"\nqueue = 4\n",
        server.port
    );
    let proxy = Proxy::start(&server, &options);
    let mut codes = Vec::new();
    for user in ["support", "owner"] {
        let mut client = proxy.connect(user, shop::DATABASE);
        for _ in 0..6 {
            let answer = client.simple("INSERT INTO orders SELECT max(id) + 1, 1, 1, now() FROM orders");
            codes.push(wire::error(&answer).map(|_| hint(&answer)));
        }
    }
    let through = codes.iter().filter(|code| code.is_none()).count();
    assert!(through <= 4, "{through} statements ran though nothing was logged: {codes:?}");
    assert!(codes.iter().flatten().all(|code| code == "PGS0304"), "{codes:?}");
    let added = server.sql(shop::DATABASE, "SELECT count(*) FROM orders WHERE id > 200");
    assert_eq!(added, [[Some(through.to_string())]], "{codes:?}");
}

#[test]
fn a_removed_audit_file_is_made_anew() {
    let (_server, proxy) = shop::start();
    let mut client = proxy.connect("support", shop::DATABASE);
    client.simple("SELECT 1");
    events_after(&proxy, 0, 1);
    fs::remove_file(proxy.folder.join("audit.jsonl")).unwrap();
    for _ in 0..3 {
        client.simple("SELECT phone FROM customers WHERE id = 1");
        std::thread::sleep(Duration::from_millis(400));
    }
    let events = events_after(&proxy, 0, 1);
    assert!(events.iter().any(|event| event["relations"][0] == "public.customers"), "{events:#?}");
}

#[test]
fn rules_are_swapped_whole_or_not_at_all() {
    let (_server, proxy) = shop::start();
    let mut client = proxy.connect("support", shop::DATABASE);
    let mut phone = || {
        wire::text_rows(&client.simple("SELECT phone FROM customers WHERE id = 1"))
            .first()
            .and_then(|row| row[0].clone())
    };
    assert_eq!(phone().as_deref(), Some("*****001"));
    let file = proxy.folder.join("rules/rules.toml");
    // A file change alone is enough, and open sessions see it.
    fs::write(&file, shop::RULES.replace("phone = \"phone_last\"", "phone = \"withhold\"")).unwrap();
    wait_for("withheld", Duration::from_secs(20), || phone().is_none().then_some(()));
    // A bad edit changes nothing and is reported.
    for bad in ["phone = \"no_such_mask\"", "phone = ", "phone = \"clear\" }\nunknown_key = { a = 1"] {
        fs::write(&file, shop::RULES.replace("phone = \"phone_last\"", bad)).unwrap();
        proxy.signal("HUP");
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(phone(), None, "{bad}");
    }
    let log = proxy.log();
    assert!(log.contains("no_such_mask") && log.contains("rules.toml"), "{log}");
    let failures: f64 = metric(&proxy, "reload_failures").iter().map(|(_, value)| value).sum();
    assert!(failures >= 3.0, "{failures}");
    // A rule that names a table that is not there is an error too.
    fs::write(&file, shop::RULES.replace("public.customers.phone", "public.customers.fone")).unwrap();
    proxy.signal("HUP");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(phone(), None);
    // However long its line is.
    let many = (0..3000).map(|n| format!("\"public.customers.no_column_{n}\", ")).collect::<Vec<_>>().concat();
    fs::write(&file, shop::RULES.replace("\"public.customers.phone\"", &format!("{many}\"public.customers.phone\"")))
        .unwrap();
    proxy.signal("HUP");
    wait_for("the complaint", Duration::from_secs(20), || proxy.log().contains("no_column_2999").then_some(()));
    assert_eq!(phone(), None);
    fs::write(&file, shop::RULES).unwrap();
    proxy.signal("HUP");
    wait_for("masked again", Duration::from_secs(20), || (phone().as_deref() == Some("*****001")).then_some(()));
    let hashes: std::collections::BTreeSet<String> =
        proxy.audit().iter().map(|event| event["policy_hash"].to_string()).collect();
    assert_eq!(hashes.len(), 2, "two sets were in force");
}

/// Metrics of the page whose name contains `part`.
fn metric(proxy: &Proxy, part: &str) -> Vec<(String, f64)> {
    proxy
        .page("/metrics")
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(part))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// What is new in the database is hidden until somebody has classified it.
#[test]
fn ddl_never_opens_a_window() {
    let (server, proxy) = shop::start();
    let mut support = proxy.connect("support", shop::DATABASE);
    let mut owner = proxy.connect("owner", shop::DATABASE);
    support.simple("SELECT * FROM customers");
    // Relayed DDL, and DDL that the proxy does not see.
    for (through_proxy, name) in [(true, "secret_a"), (false, "secret_b")] {
        let sql = format!("ALTER TABLE customers ADD {name} text DEFAULT 'hidden value'");
        if through_proxy {
            assert!(wire::error(&owner.simple(&sql)).is_none());
        } else {
            server.sql(shop::DATABASE, &sql);
        }
        for query in [
            "SELECT * FROM customers WHERE id = 1".to_owned(),
            format!("SELECT {name} FROM customers WHERE id = 1"),
            "SELECT to_jsonb(c) FROM customers c WHERE id = 1".to_owned(),
            "SELECT c FROM customers c WHERE id = 1".to_owned(),
            "COPY customers (id, phone) TO STDOUT".to_owned(),
            format!("UPDATE customers SET score = 1 WHERE id = 1 RETURNING {name}"),
        ] {
            support.simple(&query);
        }
        // Hidden, and not a hindrance: the role goes on with its work.
        let row = wait_for("the catalog with the new column", Duration::from_secs(10), || {
            let answer = support.simple(&format!("SELECT phone, {name} FROM customers WHERE id = 1"));
            wire::text_rows(&answer).pop()
        });
        assert_eq!(row, [Some("*****001".to_owned()), None], "{name}");
    }
    // A column that changes its name keeps being protected.
    assert!(wire::error(&owner.simple("ALTER TABLE customers RENAME phone TO telephone")).is_none());
    for query in [
        "SELECT telephone FROM customers",
        "SELECT * FROM customers",
        "SELECT tel FROM customer_phones",
        "SELECT phone FROM customers",
    ] {
        support.simple(query);
    }
    server.sql(shop::DATABASE, "ALTER TABLE customers RENAME telephone TO contact");
    for query in ["SELECT contact FROM customers", "SELECT * FROM customers", "SELECT tel FROM customer_phones"] {
        support.simple(query);
    }
    server.sql(shop::DATABASE, "ALTER TABLE customers RENAME contact TO phone");
    // New objects over protected data.
    owner.simple("CREATE VIEW fresh AS SELECT full_name AS x, phone AS y FROM customers");
    support.simple("SELECT * FROM fresh");
    server.sql(shop::DATABASE, "CREATE VIEW fresher AS SELECT full_name AS x, phone AS y FROM customers; GRANT SELECT ON fresh, fresher TO support");
    support.simple("SELECT * FROM fresh");
    support.simple("SELECT x, y FROM fresher");
    owner.simple(
        "CREATE FUNCTION reads() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT phone FROM customers'",
    );
    support.simple("SELECT * FROM reads()");
    owner.simple("CREATE TABLE heirs () INHERITS (customers); INSERT INTO heirs SELECT * FROM customers WHERE id < 3; GRANT SELECT ON heirs TO support");
    support.simple("SELECT * FROM heirs");
    // A table swapped under a prepared statement.
    support.send(&[wire::parse("p", "SELECT * FROM customer_phones", &[]), wire::sync()].concat());
    support.until_ready();
    server.sql(shop::DATABASE, "DROP VIEW customer_phones; CREATE VIEW customer_phones AS SELECT id, (full_name || phone)::varchar(20) AS tel FROM customers; GRANT SELECT ON customer_phones TO support");
    support.send(&[wire::bind("", "p", &[], &[], &[]), wire::execute("", 0), wire::sync()].concat());
    support.until_ready();
    let seen = common::text(&support.transcript);
    for value in ["hidden value", "0901234", "Nguyen Thi", "gmail"] {
        assert!(!seen.contains(value), "`{value}` was shown");
    }
    assert_eq!(
        wire::text_rows(&support.simple("SELECT phone FROM ONLY customers WHERE id = 2")),
        [[Some("*****002".to_owned())]]
    );
}

#[test]
fn ddl_past_the_proxy_is_noticed_soon() {
    let (server, proxy) = shop::start();
    server.sql(
        shop::DATABASE,
        "CREATE VIEW swapped AS SELECT 1 AS id, 'x'::varchar(20) AS v; GRANT SELECT ON swapped TO support",
    );
    // A session of its own each time: one that is at work while the view changes may be ended (PGS0305).
    let value = || {
        let answer = proxy.connect("support", shop::DATABASE).simple("SELECT v FROM swapped WHERE id = 1");
        wire::text_rows(&answer).pop().and_then(|mut row| row.pop().flatten())
    };
    assert_eq!(value().as_deref(), Some("x"));
    server.sql(shop::DATABASE, "CREATE OR REPLACE VIEW swapped AS SELECT id, phone AS v FROM customers");
    wait_for("the new view", Duration::from_secs(10), || (value().as_deref() == Some("*****001")).then_some(()));
}

/// What an exempt role takes from one table into another is recorded column by column.
#[test]
fn copies_of_an_exempt_role_are_recorded() {
    let server = shop::postgres();
    server.sql(shop::DATABASE, "CREATE TABLE copies (id int, v text)");
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let mut owner = proxy.connect("owner", shop::DATABASE);
    let cases = [
        ("INSERT INTO copies SELECT id, phone FROM customers", "stored"),
        ("INSERT INTO copies SELECT 1, (SELECT max(phone) FROM customers)", "stored"),
        ("UPDATE copies SET v = c.phone FROM customers c WHERE c.id = copies.id", "stored"),
        ("UPDATE copies SET (id, v) = (SELECT id, phone FROM customers LIMIT 1)", "stored"),
        ("CREATE TABLE taken AS SELECT phone AS v FROM customers", "stored"),
        ("CREATE TEMP TABLE taken_too AS (SELECT upper(phone) AS v FROM customers)", "stored"),
        ("CREATE MATERIALIZED VIEW kept AS SELECT phone AS v FROM customers", "stored"),
        ("SELECT phone AS v INTO TEMP TABLE taken_three FROM customers", "stored"),
        ("SELECT 1 FROM customers c, unnest(ARRAY[c.phone]) u", "argument"),
        ("SELECT count(*) FROM customers c, regexp_split_to_table(c.phone, '0') u", "argument"),
    ];
    for (known, (sql, usage)) in cases.into_iter().enumerate() {
        let answer = owner.simple(sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        let event = events_after(&proxy, known, 1).remove(0);
        let column = &event["columns"][0];
        assert_eq!(column["column"], "public.customers.phone", "{sql}: {event:#}");
        assert_eq!(column["usage"], serde_json::json!([usage]), "{sql}");
        assert_eq!(column["treatment"], "clear", "{sql}");
        assert_eq!(event["analysed"], true, "{sql}");
        let relations = event["relations"].as_array().unwrap();
        assert!(relations.iter().any(|relation| relation == "public.customers"), "{sql}: {relations:?}");
    }
}

#[test]
fn pages_for_operators() {
    let (_server, proxy) = shop::start();
    let mut client = proxy.connect("support", shop::DATABASE);
    for n in 0..50 {
        client.simple(&format!("SELECT phone, 'label-{n}' FROM customers WHERE id = {n}"));
    }
    client.simple("SELECT note FROM customers");
    events_after(&proxy, 0, 51);
    let page = proxy.page("/metrics");
    for name in
        ["connections", "statements", "refusals", "rows", "bytes", "audit", "catalog", "rules", "tripwire", "cache"]
    {
        assert!(
            page.lines().any(|line| line.starts_with("pgscrim_") && line.contains(name)),
            "no metric of {name}:\n{page}"
        );
    }
    assert!(page.contains("PGS0201") && page.contains("role=\"support\""), "{page}");
    assert!(!page.contains("label-") && !page.contains("0901234"));
    assert!(page.lines().count() < 600, "{} lines", page.lines().count());
    let statements: f64 = metric(&proxy, "pgscrim_statements_total").iter().map(|(_, value)| value).sum();
    assert!(statements >= 51.0, "{statements}");
    for path in ["/healthz", "/readyz"] {
        assert!(common::proxy::http(proxy.metrics, path).unwrap().starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(common::proxy::http(proxy.metrics, "/nothing").unwrap().starts_with("HTTP/1.1 404"));
    drop(client);
    wait_for("the gauge to fall", Duration::from_secs(10), || {
        metric(&proxy, "pgscrim_connections")
            .iter()
            .filter(|(name, _)| !name.contains("total"))
            .all(|(_, value)| *value == 0.0)
            .then_some(())
    });
}

#[test]
fn start_up_fails_early_and_says_why() {
    let server = shop::postgres();
    let folder = Folder::new();
    let good = shop::RULES.to_owned();
    let url = format!("postgres://pgscrim@127.0.0.1:{}/shop", server.port);
    let nowhere = format!("postgres://pgscrim@127.0.0.1:{}/shop", common::free_port());
    let cases: &[(&str, String, &str, &str, i32)] = &[
        (
            "a table that is not there",
            good.replace("public.customers.email", "public.clients.email"),
            &url,
            "public.clients.email",
            3,
        ),
        (
            "a mask that does not fit",
            good.replace("public.customers.email\"", "public.customers.email\", \"public.customers.score\"")
                .replace("email = \"withhold\"", "email = \"email\""),
            &url,
            "rules.toml",
            3,
        ),
        ("an unknown key", good.replace("recipient =", "recipent ="), &url, "recipent", 3),
        ("no server", good.clone(), &nowhere, "127.0.0.1", 1),
        ("an unknown database", good.clone(), &url.replace("/shop", "/shopping"), "shopping", 1),
        ("an unknown service login", good.clone(), &url.replace("pgscrim@", "nobody@"), "nobody", 1),
    ];
    for (name, rules, url, word, code) in cases {
        folder.write("rules/rules.toml", rules);
        let config = folder.write(
            "pgscrim.toml",
            &format!(
                "listen = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\nrules = \"{}\"\n\
                 [upstream]\nurl = \"{url}\"\n[audit]\npath = \"{}\"\n",
                common::free_port(),
                common::free_port(),
                folder.join("rules").display(),
                folder.join("audit.jsonl").display()
            ),
        );
        let output = Command::new("timeout")
            .arg("40")
            .arg(env!("CARGO_BIN_EXE_pgscrim"))
            .args(["serve", "--config"])
            .arg(config)
            .output()
            .unwrap();
        let said = common::text(&output.stderr) + &common::text(&output.stdout);
        assert_eq!(output.status.code(), Some(*code), "{name}: {said}");
        assert!(said.contains(word), "{name}: {said}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_pgscrim"))
        .args(["serve", "--config", "/nowhere/pgscrim.toml"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(common::text(&output.stderr).contains("/nowhere/pgscrim.toml"));
}

/// Rotation under load by whatever means: every statement that ran is there once, in one of the files, and nothing else is.
#[test]
fn no_event_is_lost_or_doubled_while_the_log_moves() {
    let (_server, proxy) = shop::start();
    let log = proxy.folder.join("audit.jsonl");
    let sessions = 4;
    let each = 400;
    let clients: Vec<_> = (0..sessions).map(|_| proxy.connect("support", shop::DATABASE)).collect();
    std::thread::scope(|scope| {
        let working: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    for number in 0..each {
                        let answer = client.simple(&format!("SELECT phone FROM customers WHERE id = {number}"));
                        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
                    }
                })
            })
            .collect();
        let mut round = 0;
        while working.iter().any(|thread| !thread.is_finished()) {
            let aside = proxy.folder.join(&format!("moved.{round}.jsonl"));
            // By logrotate's `create`, with and without a signal; and by a link to the old file, which then goes.
            match round % 3 {
                0 => fs::rename(&log, &aside).unwrap_or_default(),
                1 => {
                    fs::rename(&log, &aside).unwrap_or_default();
                    proxy.signal("HUP");
                }
                _ => {
                    let _ = fs::hard_link(&log, &aside);
                    let _ = fs::remove_file(&log);
                }
            }
            round += 1;
            std::thread::sleep(Duration::from_millis(40));
        }
        assert!(round >= 3, "{round} rotations");
    });
    let count = || {
        let mut seen = std::collections::BTreeMap::<String, Vec<u64>>::new();
        for entry in fs::read_dir(proxy.folder.path()).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.contains("jsonl") || name.ends_with("lock") {
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap();
            for line in text.lines() {
                let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
                let own = seen.entry(event["connection"].to_string()).or_default();
                own.push(event["statement"].as_u64().unwrap());
            }
        }
        for numbers in seen.values_mut() {
            numbers.sort_unstable();
        }
        seen
    };
    let expected: Vec<u64> = (1..=each).collect();
    let seen = wait_for("every event", Duration::from_secs(10), || {
        let seen = count();
        (seen.values().map(Vec::len).sum::<usize>() >= sessions * expected.len()).then_some(seen)
    });
    assert_eq!(seen.len(), sessions);
    assert!(seen.values().all(|numbers| *numbers == expected), "{seen:?}");
}

/// The folder of the log goes away and comes back: what ran is recorded, and what could not be did not run.
#[test]
fn a_log_whose_folder_goes_away() {
    let server = shop::postgres();
    let folder = Folder::new();
    fs::create_dir(folder.join("log")).unwrap();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings = format!(
        "\n[upstream]\nurl = \"postgres://pgscrim@127.0.0.1:{}/shop\"\n\
         [audit]\npath = \"{}\"\nwait = \"300ms\"\nqueue = 8\n",
        server.port,
        folder.join("log/audit.jsonl").display()
    );
    let proxy = Proxy::start(&server, &options);
    let mut client = proxy.connect("support", shop::DATABASE);
    let mut ran = 0;
    let mut refused = 0;
    let mut insert = |number: u32| {
        let answer = client.simple(&format!("INSERT INTO orders VALUES ({number}, 1, 1, now())"));
        if wire::error(&answer).is_none() {
            ran += 1;
        } else {
            assert_eq!(hint(&answer), "PGS0304", "{}", wire::describe(&answer));
            refused += 1;
        }
        ran
    };
    for number in 1000..1010 {
        insert(number);
    }
    fs::rename(folder.join("log"), folder.join("away")).unwrap();
    // A file stands where the folder was: nothing can be made there.
    fs::write(folder.join("log"), "").unwrap();
    for number in 1010..1040 {
        insert(number);
    }
    fs::remove_file(folder.join("log")).unwrap();
    fs::create_dir(folder.join("log")).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let mut ran = 0;
    for number in 1040..1050 {
        ran = insert(number);
    }
    let stored = server.sql(shop::DATABASE, "SELECT count(*) FROM orders WHERE id >= 1000");
    assert_eq!(stored, [[Some(ran.to_string())]], "what was refused did not run");
    let events = |name: &str| {
        let text = fs::read_to_string(folder.join(name).join("audit.jsonl")).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"sqlstate\":\"00000\"")).count()
    };
    wait_for("an event for each that ran", Duration::from_secs(10), || {
        (events("away") + events("log") == ran).then_some(())
    });
    assert!(events("log") > 0, "it is written again");
    println!("{ran} ran, {refused} refused");
}
