//! Questions of pgscrim's own to the server, for the search path and the purpose of a session: the client does not notice them. The same
//! script straight to the server and through the proxy as a restricted role has the same answers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, shop,
    wire::{self, Client, Message, bind, close_portal, describe_portal, execute, flush, parse, sync},
};

fn start() -> (Postgres, Proxy) {
    let (postgres, proxy) = shop::start();
    postgres.sql(
        shop::DATABASE,
        "CREATE TABLE counted (n int); INSERT INTO counted VALUES (1), (2), (3); GRANT ALL ON counted TO support;
         CREATE SCHEMA first; CREATE SCHEMA second; GRANT USAGE ON SCHEMA first, second TO support;
         CREATE TABLE first.t AS SELECT 'first' AS place; CREATE TABLE second.t AS SELECT 'second' AS place;
         GRANT ALL ON first.t, second.t TO support",
    );
    (postgres, proxy)
}

/// A session straight to the server, and one through the proxy.
fn both(postgres: &Postgres, proxy: &Proxy) -> [Client; 2] {
    [postgres.address(), proxy.address()].map(|address| {
        let parameters = [("user", "support"), ("database", shop::DATABASE)];
        Client::connect(&address, &parameters).unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)))
    })
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Simple,
    Unnamed,
    /// Without a trace in unnamed statement and portal.
    Named,
}

const WAYS: [Way; 3] = [Way::Simple, Way::Unnamed, Way::Named];

fn one(sql: &str) -> Vec<u8> {
    [parse("own", sql, &[]), bind("own", "own", &[], &[], &[]), describe_portal("own"), execute("own", 0)].concat()
}

fn send(client: &mut Client, way: Way, sql: &str) -> Vec<Message> {
    match way {
        Way::Simple => client.simple(sql),
        Way::Unnamed => client.extended(sql, &[], 0),
        Way::Named => {
            let before = [wire::close_statement("own"), close_portal("own")].concat();
            client.send(&[before, one(sql), close_portal("own"), wire::close_statement("own"), sync()].concat());
            client.until_ready()
        }
    }
}

/// What came, errors by their SQLSTATE.
fn shown(messages: &[Message]) -> Vec<String> {
    let show = |message: &Message| match message.kind {
        b'E' => format!("E {}", message.field(b'C').unwrap()),
        kind => format!("{} {}", char::from(kind), String::from_utf8_lossy(&message.body)),
    };
    messages.iter().filter(|message| !matches!(message.kind, b'N' | b'S')).map(show).collect()
}

/// Sends each statement in both sessions; what comes is the same.
fn alike(sessions: &mut [Client; 2], way: Way, statements: &[&str]) {
    for sql in statements {
        let [straight, through] = &mut *sessions;
        let (expected, found) = (send(straight, way, sql), send(through, way, sql));
        assert_eq!(shown(&found), shown(&expected), "{way:?}: {sql}: {}", wire::describe(&found));
    }
}

fn value(messages: &[Message]) -> String {
    let rows = wire::text_rows(messages);
    rows.first().and_then(|row| row[0].clone()).unwrap_or_else(|| wire::describe(messages))
}

#[test]
fn unnamed_statement_and_portal_stay() {
    let (postgres, proxy) = start();
    for mut client in both(&postgres, &proxy) {
        client.send(&[parse("", "SELECT n FROM counted ORDER BY n", &[]), sync()].concat());
        client.until_ready();
        send(&mut client, Way::Named, "SET search_path = first, public");
        client.send(&[bind("", "", &[], &[], &[]), execute("", 0), sync()].concat());
        let answer = client.until_ready();
        assert_eq!(wire::text_rows(&answer).len(), 3, "{}", wire::describe(&answer));
        // In a transaction the portal goes on where it was.
        send(&mut client, Way::Named, "BEGIN");
        client.send(
            &[parse("", "SELECT n FROM counted ORDER BY n", &[]), bind("", "", &[], &[], &[]), execute("", 1), sync()]
                .concat(),
        );
        assert_eq!(value(&client.until_ready()), "1");
        send(&mut client, Way::Named, "SET LOCAL search_path = second, public");
        assert_eq!(value(&send(&mut client, Way::Named, "SELECT place FROM t")), "second");
        client.send(&[execute("", 1), sync()].concat());
        assert_eq!(value(&client.until_ready()), "2");
        let left = send(&mut client, Way::Named, "SELECT name FROM pg_prepared_statements WHERE name NOT IN ('own')");
        assert_eq!(wire::text_rows(&left).len(), 0, "{}", wire::describe(&left));
        let left = send(&mut client, Way::Named, "SELECT name FROM pg_cursors WHERE name NOT IN ('', 'own')");
        assert_eq!(wire::text_rows(&left).len(), 0, "{}", wire::describe(&left));
    }
}

/// Statements that take no snapshot, with the answer of the server: SET TRANSACTION still works behind them.
#[test]
fn what_takes_no_snapshot() {
    let (postgres, proxy) = start();
    for (sql, takes) in [
        ("SET LOCAL search_path = first", false),
        ("SET LOCAL work_mem = '4MB'", false),
        ("RESET work_mem", false),
        ("SHOW work_mem", false),
        ("LISTEN a", false),
        ("NOTIFY a", false),
        ("UNLISTEN a", false),
        ("SET CONSTRAINTS ALL DEFERRED", false),
        ("LOCK TABLE public.counted IN SHARE MODE", false),
        ("FETCH 1 FROM held", false),
        ("MOVE 1 FROM held", false),
        ("CLOSE held", true),
        ("DEALLOCATE ALL", true),
        ("SELECT 1", true),
        ("DECLARE c CURSOR FOR SELECT 1", true),
        ("PREPARE p AS SELECT 1", true),
    ] {
        for way in WAYS {
            let mut sessions = both(&postgres, &proxy);
            for client in &mut sessions {
                send(client, Way::Simple, "DECLARE held CURSOR WITH HOLD FOR SELECT n FROM counted ORDER BY n");
            }
            // With a path that is not known, and with one that is.
            for path in ["SET LOCAL search_path = second, public", "SET LOCAL work_mem = '5MB'"] {
                alike(&mut sessions, way, &["BEGIN", path, sql]);
                let last = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE";
                let [straight, through] = &mut sessions;
                let (expected, found) = (send(straight, way, last), send(through, way, last));
                assert_eq!(wire::error(&expected).is_some(), takes, "{way:?}: {sql}: {}", wire::describe(&expected));
                assert_eq!(shown(&found), shown(&expected), "{way:?}: {sql}: {}", wire::describe(&found));
                alike(&mut sessions, way, &["ROLLBACK"]);
            }
        }
    }
}

/// A transaction sees what was committed before its own first statement that looks, and not before a question of pgscrim's.
#[test]
fn a_snapshot_is_taken_by_the_clients_own_statement() {
    let (postgres, proxy) = start();
    for way in WAYS {
        for begin in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE"] {
            let mut sessions = both(&postgres, &proxy);
            let setup = [
                begin,
                "SET LOCAL search_path = first, public",
                "SET LOCAL statement_timeout = '20s'",
                "SHOW search_path",
                "SAVEPOINT a",
                "SET LOCAL search_path = second, public",
                "SHOW transaction_isolation",
                "ROLLBACK TO a",
                "LOCK TABLE public.counted IN ACCESS SHARE MODE",
                "NOTIFY nobody",
            ];
            alike(&mut sessions, way, &setup);
            postgres.sql(shop::DATABASE, "INSERT INTO counted SELECT max(n) + 1 FROM counted");
            // Of the straight session it is the test of this test.
            alike(&mut sessions, way, &["SELECT max(n), (SELECT place FROM t) FROM counted"]);
            let known = postgres.sql(shop::DATABASE, "SELECT max(n) FROM counted")[0][0].clone().unwrap();
            for client in &mut sessions {
                assert_eq!(value(&send(client, way, "SELECT max(n) FROM counted")), known, "{way:?} {begin}");
            }
            postgres.sql(shop::DATABASE, "INSERT INTO counted SELECT max(n) + 1 FROM counted");
            for client in &mut sessions {
                assert_eq!(value(&send(client, way, "SELECT max(n) FROM counted")), known, "a snapshot stays");
            }
        }
    }
}

#[test]
fn a_snapshot_of_another_is_taken_over_behind_a_path() {
    let (postgres, proxy) = start();
    let mut exporter = both(&postgres, &proxy).into_iter().next().unwrap();
    exporter.simple("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let snapshot = value(&exporter.simple("SELECT pg_export_snapshot()"));
    postgres.sql(shop::DATABASE, "INSERT INTO counted VALUES (100)");
    for way in WAYS {
        let mut sessions = both(&postgres, &proxy);
        let take = format!("SET TRANSACTION SNAPSHOT '{snapshot}'");
        let statements = [
            "BEGIN",
            "SET LOCAL search_path = first, public",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            &take,
            "SELECT max(n), (SELECT place FROM t) FROM counted",
        ];
        alike(&mut sessions, way, &statements);
        assert_eq!(value(&send(&mut sessions[1], way, "SELECT max(n) FROM counted")), "3");
    }
}

/// Between two statements of one pipeline the server is asked too.
#[test]
fn a_path_that_changes_in_a_pipeline_holds_for_what_follows() {
    let (postgres, proxy) = start();
    let place = "SELECT place FROM t";
    for (script, ends) in [
        (vec!["SET search_path = first", place, "SET search_path = second", place], 1),
        (
            vec![
                "BEGIN",
                "SET LOCAL search_path = first",
                place,
                "SAVEPOINT a",
                "SET LOCAL search_path = second",
                place,
                "ROLLBACK TO a",
                place,
                "COMMIT",
                place,
            ],
            1,
        ),
        (vec!["SET search_path = first", "SELECT 1/0", place], 1),
        (vec!["SET search_path = first", "SELECT nothing", "SET search_path = second", place], 1),
        (
            vec![
                "BEGIN",
                "SET LOCAL search_path = second",
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                place,
                "COMMIT",
            ],
            1,
        ),
        (vec!["SET search_path = second", "DISCARD ALL", place], 1),
    ] {
        for waits in [false, true] {
            let mut sessions = both(&postgres, &proxy);
            alike(&mut sessions, Way::Simple, &["SET search_path = second"]);
            let mut bytes: Vec<u8> = Vec::new();
            for (number, sql) in script.iter().enumerate() {
                let name = number.to_string();
                bytes.extend(parse(&name, sql, &[]));
                bytes.extend(bind("", &name, &[], &[], &[]));
                bytes.extend(execute("", 0));
                if waits {
                    bytes.extend(flush());
                }
            }
            for _ in 0..ends {
                bytes.extend(sync());
            }
            let answers = sessions.each_mut().map(|client| {
                client.send(&bytes);
                shown(&client.until_ready())
            });
            assert_eq!(answers[1], answers[0], "{script:?}");
            alike(&mut sessions, Way::Unnamed, &[place, "SHOW search_path", "SELECT current_schemas(false)"]);
        }
    }
}

#[test]
fn a_statement_prepared_for_one_path_is_run_by_another() {
    let (postgres, proxy) = start();
    let mut sessions = both(&postgres, &proxy);
    alike(&mut sessions, Way::Simple, &["SET search_path = first"]);
    let answers = sessions.each_mut().map(|client| {
        client.send(&[parse("s", "SELECT place FROM t", &[]), sync()].concat());
        client.until_ready();
        let run = || [bind("", "s", &[], &[], &[]), execute("", 0)].concat();
        let set = |name: &str, path: &str| {
            [parse(name, &format!("SET search_path = {path}"), &[]), bind("", name, &[], &[], &[]), execute("", 0)]
                .concat()
        };
        let mut all = Vec::new();
        for bytes in [run(), set("a", "second"), run(), set("b", "first"), run()] {
            client.send(&[bytes, sync()].concat());
            all.extend(shown(&client.until_ready()));
        }
        all
    });
    assert_eq!(answers[1], answers[0]);
}

/// A lock is to be waited for before the snapshot.
#[test]
fn locks_behind_a_path() {
    let (postgres, proxy) = start();
    for way in WAYS {
        let mut sessions = both(&postgres, &proxy);
        // In READ COMMITTED, each statement has a snapshot of its own.
        alike(
            &mut sessions,
            way,
            &[
                "BEGIN",
                "SET LOCAL search_path = first",
                "LOCK TABLE t IN ACCESS SHARE MODE",
                "SELECT place FROM t",
                "COMMIT",
            ],
        );
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        alike(
            &mut sessions,
            way,
            &[begin, "SET LOCAL search_path = first", "LOCK TABLE second.t IN ACCESS SHARE MODE", "ROLLBACK"],
        );
        alike(
            &mut sessions,
            way,
            &[
                begin,
                "SET LOCAL search_path = first",
                "SELECT place FROM t",
                "LOCK TABLE t IN ACCESS SHARE MODE",
                "COMMIT",
            ],
        );
        let through = &mut sessions[1];
        send(through, way, begin);
        send(through, way, "SET LOCAL search_path = first");
        let answer = send(through, way, "LOCK TABLE t");
        assert!(
            wire::error(&answer).unwrap().field(b'H').unwrap().contains("Name the schemas"),
            "{}",
            wire::describe(&answer)
        );
        send(through, way, "ROLLBACK");
        send(through, way, "BEGIN");
        send(through, way, "SET LOCAL search_path = first");
        let answer = send(through, Way::Simple, "SET TRANSACTION READ ONLY; SELECT place FROM t");
        assert!(
            wire::error(&answer).unwrap().field(b'H').unwrap().contains("on its own"),
            "{}",
            wire::describe(&answer)
        );
    }
}

#[test]
fn a_failed_transaction_is_left_as_on_the_server() {
    let (postgres, proxy) = start();
    for way in WAYS {
        let mut sessions = both(&postgres, &proxy);
        let script = [
            "BEGIN",
            "SAVEPOINT a",
            "SET LOCAL search_path = first",
            "SELECT 1/0",
            "SELECT place FROM t",
            "SHOW search_path",
            "ROLLBACK TO a",
            "SHOW search_path",
            "SELECT place FROM t",
            "ROLLBACK",
            "SET search_path = second",
            "BEGIN",
            "SELECT place FROM t",
            "SET LOCAL search_path = first",
            "COMMIT AND CHAIN",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "SELECT place FROM t",
            "COMMIT",
        ];
        alike(&mut sessions, way, &script);
    }
}

/// What pools and ORMs send when a connection goes back to its login. It passes where it changes nothing, for the login and no other.
#[test]
fn the_own_role_may_be_taken_on() {
    let (postgres, proxy) = start();
    postgres.sql(
        shop::DATABASE,
        "CREATE ROLE care; GRANT care TO support; CREATE ROLE support2 LOGIN; GRANT support TO support2; CREATE SCHEMA care; CREATE SCHEMA support;
         GRANT USAGE ON SCHEMA care, support TO support, care; CREATE TABLE care.own AS SELECT 'care' AS whose; CREATE TABLE support.own AS SELECT 'support' AS whose;
         GRANT SELECT ON care.own, support.own TO support, care",
    );
    let passes = [
        "SET ROLE support",
        "SET ROLE \"support\"",
        "SET ROLE 'support'",
        "SET LOCAL ROLE support",
        "SET SESSION ROLE support",
        "set role to support",
        "SET ROLE = 'support'",
        "SET ROLE SUPPORT",
        "SET ROLE NONE",
        "SET ROLE 'none'",
        "SET ROLE DEFAULT",
        "SET ROLE TO DEFAULT",
        "RESET ROLE",
        "SET SESSION AUTHORIZATION support",
        "SET SESSION AUTHORIZATION 'support'",
        "SET SESSION SESSION AUTHORIZATION support",
        "SET LOCAL SESSION AUTHORIZATION DEFAULT",
        "SET SESSION AUTHORIZATION DEFAULT",
        "SET session_authorization = support",
        "RESET SESSION AUTHORIZATION",
        "SELECT set_config('role', 'support', false)",
        "SELECT set_config('role', 'none', true)",
        "SELECT pg_catalog.set_config('Role', 'support', true)",
        "SELECT current_user, session_user",
        "SELECT phone FROM customers WHERE id = 1",
    ];
    for way in WAYS {
        let mut client = proxy.connect("support", shop::DATABASE);
        for sql in passes {
            let [mut straight, _] = both(&postgres, &proxy);
            let (expected, found) = (send(&mut straight, way, sql), send(&mut client, way, sql));
            if sql.contains("phone") {
                assert_eq!(value(&found), "*****001");
            } else {
                assert_eq!(shown(&found), shown(&expected), "{way:?}: {sql}: {}", wire::describe(&found));
            }
        }
        for sql in [
            "SET ROLE care",
            "SET ROLE 'care'",
            "SET ROLE owner",
            "SET ROLE \"Support\"",
            "SET LOCAL ROLE care",
            "SET role TO care",
            "SET role TO support, care",
            "SET SESSION AUTHORIZATION owner",
            "SET SESSION AUTHORIZATION 'owner'",
            "SET session_authorization = 'owner'",
            "SELECT set_config('role', 'care', false)",
            "SELECT set_config('ROLE', 'care', false)",
            "SELECT set_config('role', 'support', false), set_config('role', 'care', false)",
            "SELECT set_config('role', lower('CARE'), false)",
            "SELECT set_config('session_authorization', 'owner', false)",
            "SELECT set_config(name, 'care', false) FROM pg_settings WHERE name = 'role'",
            "PREPARE x AS SELECT set_config('role', 'support', false)",
        ] {
            let answer = send(&mut client, way, sql);
            let error =
                wire::error(&answer).unwrap_or_else(|| panic!("{way:?}: {sql} passed: {}", wire::describe(&answer)));
            assert_eq!(error.field(b'C').as_deref(), Some("42501"), "{sql}: {}", wire::describe(&answer));
        }
    }
    // The plan of one login says nothing for another: the same texts, in the other order.
    let rules =
        shop::RULES.replace("match = { user = [\"support\"] }", "match = { user = [\"support\", \"support2\"] }");
    let two = Proxy::start(&postgres, &common::proxy::Options::new(shop::DATABASE, rules));
    let mut second = two.connect("support2", shop::DATABASE);
    for sql in ["SET ROLE support2", "SELECT set_config('role', 'support2', false)"] {
        assert!(wire::error(&second.simple(sql)).is_none(), "{sql}");
    }
    let mut first = two.connect("support", shop::DATABASE);
    for sql in ["SET ROLE support2", "SELECT set_config('role', 'support2', false)"] {
        assert_eq!(wire::error(&first.simple(sql)).unwrap().field(b'C').as_deref(), Some("42501"), "{sql}");
    }
    // The path may hold the role's own schema: a role that the login starts with is left so.
    postgres.sql(shop::DATABASE, "ALTER ROLE support SET role = care");
    let mut sessions = both(&postgres, &proxy);
    alike(
        &mut sessions,
        Way::Simple,
        &["SELECT whose FROM own", "SET ROLE NONE", "SELECT whose FROM own", "RESET ROLE", "SELECT whose FROM own"],
    );
}

/// Drivers leave out a SET that would change nothing, so they are told what the client itself has set; but not what a statement computes.
#[test]
fn the_name_of_an_application_is_told_to_who_gave_it() {
    let (postgres, proxy) = start();
    let mut sessions = [postgres.address(), proxy.address()].map(|address| {
        let parameters = [("user", "support"), ("database", shop::DATABASE), ("application_name", "first")];
        Client::connect(&address, &parameters).unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)))
    });
    let told = |messages: &[Message]| -> Vec<String> {
        let status = messages.iter().filter(|message| message.kind == b'S');
        status.map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
    };
    for sql in [
        "SET application_name = 'second'",
        "SET application_name TO first",
        "SET application_name TO Sixth",
        "SET SESSION application_name TO 'third'",
        "BEGIN; SET LOCAL application_name = 'fourth'",
        "ROLLBACK",
        "SET application_name = 'fifth'; SELECT 1",
        "RESET application_name",
        "RESET ALL",
    ] {
        for way in WAYS.into_iter().filter(|way| *way == Way::Simple || !sql.contains(';')) {
            let [expected, found] = sessions.each_mut().map(|client| told(&send(client, way, sql)));
            assert_eq!(found, expected, "{way:?}: {sql}");
        }
    }
    let [straight, through] = sessions.each_mut().map(|client| {
        told(&client.simple("SELECT set_config('application_name', 'told ' || n, false) FROM counted LIMIT 1"))
    });
    assert_eq!((straight.len(), through.len()), (1, 0));
}

/// What is not there is named as the client has named it; what code of the database raises is not told.
#[test]
fn a_notice_says_what_was_skipped() {
    let (postgres, proxy) = start();
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN EXECUTE format(''DROP TABLE IF EXISTS %I'', (SELECT phone FROM customers LIMIT 1)); RAISE NOTICE ''%'', NEW.n; RETURN NEW; END';
         CREATE TRIGGER drops BEFORE INSERT ON counted FOR EACH ROW EXECUTE FUNCTION drops()",
    );
    let mut sessions = both(&postgres, &proxy);
    let mut notices = |sql: &str| {
        sessions.each_mut().map(|client| {
            let messages = client.simple(sql);
            let found = messages.iter().filter(|message| message.kind == b'N');
            found.map(|message| message.field(b'M').unwrap()).collect::<Vec<_>>()
        })
    };
    let [straight, through] = notices("DROP TABLE IF EXISTS pg_temp.nope");
    assert_eq!(through, straight);
    let [straight, through] = notices("INSERT INTO counted VALUES (7)");
    assert_eq!((straight.len(), through), (2, vec!["notice (this role is not shown its text)".to_owned(); 2]));
}

/// The numbers of types, formats and values have no sign: drivers that declare types send 65,535.
#[test]
fn a_message_has_as_many_parameters_as_the_protocol_holds() {
    let (postgres, proxy) = start();
    for number in [32_767, 32_768, 65_535] {
        let rows: Vec<String> = (1..=number).map(|number| format!("(${number})")).collect();
        let sql = format!("SELECT sum(n), count(*) FROM (VALUES {}) v (n)", rows.join(","));
        let sent = [
            parse("", &sql, &vec![23; number]),
            wire::describe_statement(""),
            bind("", "", &vec![0; number], &vec![Some(b"1".as_slice()); number], &[0, 0]),
            execute("", 0),
            sync(),
        ];
        let [expected, found] = both(&postgres, &proxy).map(|mut client| {
            client.send(&sent.concat());
            shown(&client.until_ready())
        });
        assert!(found == expected, "{number}: {found:?}");
        assert!(found.iter().any(|message| message.contains(&number.to_string())), "{number}: {found:?}");
    }
}

#[test]
fn notifications_by_function() {
    let (postgres, proxy) = start();
    for way in WAYS {
        let mut sessions = both(&postgres, &proxy);
        alike(
            &mut sessions,
            way,
            &[
                "SELECT pg_notify('jobs', 'one')",
                "SELECT pg_notify('jobs', lower('A') || now()::text), 1",
                "INSERT INTO counted VALUES (9) RETURNING pg_notify('a', '')",
                "SELECT pg_notify('jobs', p) FROM json_array_elements_text('[\"a\", \"b\"]'::json) AS p",
                "SELECT pg_notify('jobs', v) FROM (VALUES ('x'), ('y')) t (v)",
                "WITH p AS (SELECT 'x'::text AS v) SELECT pg_notify('jobs', v) FROM p",
            ],
        );
        let [straight, through] = &mut sessions;
        let answers = [straight, through]
            .map(|client| shown(&client.extended("SELECT pg_notify($1, $2)", &[Some(b"jobs"), Some(b"two")], 0)));
        assert_eq!(answers[0], answers[1]);
        for sql in [
            "SELECT pg_notify('jobs', phone) FROM customers",
            "SELECT pg_notify('jobs', id::text) FROM customers",
            "SELECT pg_notify('c' || n, '') FROM counted",
            "SELECT pg_notify('jobs', (SELECT count(*)::text FROM customers))",
            "SELECT pg_notify('jobs', n::text) FROM generate_series(1, (SELECT count(*) FROM customers)) n",
            "WITH n AS (SELECT count(*) AS n FROM customers) SELECT pg_notify('jobs', v) FROM unnest(ARRAY['x']) v, n",
            "SELECT pg_notify('jobs', (TABLE customers LIMIT 1)::text)",
            "SELECT pg_notify('jobs', c::text) FROM customers c",
            "WITH c AS (SELECT phone FROM customers) SELECT pg_notify('jobs', (SELECT max(phone) FROM c))",
            "SELECT pg_notify('jobs', x) FROM (SELECT full_name AS x FROM customers) s",
            "SELECT pg_notify('jobs', n::text) FROM (SELECT count(*) AS n FROM customers) s",
            "SELECT pg_notify('jobs', s::text) FROM (SELECT count(*) AS n FROM customers) s",
            "WITH c AS (SELECT 1 FROM customers) SELECT pg_notify('jobs', (SELECT count(*)::text FROM c))",
            "SELECT pg_notify('jobs', count(*)::text) FROM customers",
        ] {
            let answer = send(&mut sessions[1], way, sql);
            let hint = wire::error(&answer).and_then(|error| error.field(b'H')).unwrap_or_default();
            assert!(hint.starts_with("PGS02"), "{sql}: {}", wire::describe(&answer));
        }
    }
    let mut listener = proxy.connect("owner", shop::DATABASE);
    listener.simple("LISTEN jobs");
    proxy.connect("support", shop::DATABASE).simple("SELECT pg_notify('jobs', 'payload')");
    let told = common::wait_for("a notification", std::time::Duration::from_secs(10), || {
        listener.simple("SELECT 1").into_iter().find(|message| message.kind == b'A')
    });
    assert!(told.body.ends_with(b"jobs\0payload\0"));
}

/// The purpose of a statement that is under way is taken out of the rules: nobody can tell what may be in its answer.
#[test]
fn an_answer_for_a_purpose_that_is_gone_is_not_sent() {
    let (postgres, proxy) = start();
    let mut holder = both(&postgres, &proxy).into_iter().next().unwrap();
    let mut client = proxy.connect("support", shop::DATABASE);
    assert_eq!(value(&client.simple("SELECT n FROM counted WHERE n = 1")), "1");
    holder.simple("BEGIN; LOCK TABLE counted IN ACCESS EXCLUSIVE MODE");
    client.send(&wire::query("SELECT n FROM counted WHERE n = 2"));
    let rules = shop::RULES.replace("customer-care", "claims");
    std::fs::write(proxy.folder.join("rules/rules.toml"), rules).unwrap();
    proxy.signal("HUP");
    common::wait_for("the new purpose", std::time::Duration::from_secs(30), || {
        let purpose = value(&proxy.connect("support", shop::DATABASE).simple("SHOW pgscrim.purpose"));
        (purpose == "claims").then_some(())
    });
    holder.simple("COMMIT");
    let answer = client.until_ready();
    let error = wire::error(&answer).unwrap_or_else(|| panic!("it came: {}", wire::describe(&answer)));
    assert_eq!(error.field(b'V').as_deref(), Some("FATAL"));
    assert!(error.field(b'M').unwrap().contains("purpose"), "{}", wire::describe(&answer));
    assert!(!answer.iter().any(|message| message.kind == b'D'), "{}", wire::describe(&answer));
}

/// Whoever cancels means the client's statement: it fails as it would without pgscrim, is not run, and the next one is.
#[test]
fn a_cancelled_question_is_the_statement_that_waits_for_it() {
    let (postgres, proxy) = start();
    for (begin, status) in [("SELECT 1", b'I'), ("BEGIN", b'T')] {
        let mut client = proxy.connect("support", shop::DATABASE);
        client.simple(begin);
        client.simple(if status == b'I' {
            "SET search_path = first, public"
        } else {
            "SET LOCAL search_path = first, public"
        });
        // Only a question reads this catalog table: an exclusive lock on it holds the question and nothing else.
        let mut holder =
            Client::connect(&postgres.address(), &[("user", "owner"), ("database", shop::DATABASE)]).unwrap();
        holder.simple(
            "SET allow_system_table_mods = on; BEGIN; LOCK TABLE pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE",
        );
        client.send(&wire::query("INSERT INTO counted VALUES (77)"));
        common::wait_for("the question", std::time::Duration::from_secs(10), || {
            let waits = postgres.sql(
                "postgres",
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'support' AND wait_event_type = 'Lock'",
            );
            (waits[0][0].as_deref() == Some("1")).then_some(())
        });
        postgres.sql("postgres", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'support' AND wait_event_type = 'Lock'");
        let answer = client.until_ready();
        let error = wire::error(&answer).unwrap_or_else(|| panic!("{}", wire::describe(&answer)));
        assert_eq!(error.field(b'C').as_deref(), Some("57014"), "{}", wire::describe(&answer));
        assert_eq!(error.field(b'M').as_deref(), Some("canceling statement due to user request"));
        assert_eq!(answer.iter().filter(|message| matches!(message.kind, b'E' | b'C')).count(), 1);
        let expected = if status == b'I' { b'I' } else { b'E' };
        assert_eq!(answer.last().unwrap().body, [expected]);
        holder.simple("ROLLBACK");
        client.simple("ROLLBACK");
        assert_eq!(value(&client.simple("SELECT count(*) FROM counted WHERE n = 77")), "0");
    }
}

/// A cancel request that comes when nothing runs means nothing, at whatever moment.
#[test]
fn cancel_requests_lose_and_double_no_statement() {
    let (_postgres, proxy) = start();
    let mut client = proxy.connect("support", shop::DATABASE);
    client.simple("CREATE TEMP TABLE seen (number int)");
    client.simple("SET search_path = first, public");
    let key = client.key.clone();
    let port = proxy.port;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ended = std::sync::Arc::clone(&stop);
    let sender = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut sent = 0;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let packet = [&16_u32.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), &key].concat();
            stream.write_all(&packet).unwrap();
            let _ = stream.read(&mut [0; 16]);
            sent += 1;
        }
        sent
    });
    let mut ran = Vec::new();
    let mut cancelled = 0;
    for number in 0..400 {
        let path = if number % 2 == 0 { "first" } else { "second" };
        let set = client.simple(&format!("SET search_path = {path}, public"));
        let changed = wire::error(&set).is_none();
        for (messages, expected) in [
            (set, None),
            (client.simple(&format!("INSERT INTO seen VALUES ({number}) RETURNING (SELECT place FROM t)")), Some(path)),
        ] {
            let ends = messages.iter().filter(|message| matches!(message.kind, b'C' | b'E')).count();
            assert_eq!(ends, 1, "{}", wire::describe(&messages));
            match (wire::error(&messages), expected) {
                (Some(error), _) => {
                    assert_eq!(error.field(b'C').as_deref(), Some("57014"), "{}", wire::describe(&messages));
                    cancelled += 1;
                }
                (None, Some(expected)) => {
                    ran.push(number.to_string());
                    if changed {
                        assert_eq!(value(&messages), expected);
                    }
                }
                (None, None) => {}
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let sent: u32 = sender.join().unwrap();
    // A last one may still be on its way.
    std::thread::sleep(std::time::Duration::from_millis(300));
    client.simple("SELECT 1");
    let stored: Vec<String> = wire::text_rows(&client.simple("SELECT number FROM seen ORDER BY number"))
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    assert_eq!(stored, ran, "what was said to have run has, once, and nothing else");
    assert!(sent > 50, "{sent}");
    println!("{sent} cancel requests, {cancelled} statements cancelled");
}
