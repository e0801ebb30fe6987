//! DDL while restricted statements run: an answer is computed from the catalog that its statement was judged against, or it
//! does not pass. Every change here gives a name that was in clear another meaning.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use common::{Postgres, Proxy, proxy::Options, shop, wait_for, wire};

/// What stands in a telephone number of the shop, and in no mask.
const SECRET: &str = "0901234";

const VIEW: &str =
    "CREATE VIEW shown AS SELECT id, 'harmless'::varchar(20) AS v FROM orders; GRANT SELECT ON shown TO support";
const CHANGE: &str =
    "CREATE OR REPLACE VIEW shown AS SELECT o.id, c.phone AS v FROM orders o JOIN customers c ON c.id = o.customer_id";
const BACK: &str = "CREATE OR REPLACE VIEW shown AS SELECT id, 'harmless'::varchar(20) AS v FROM orders";
/// No column of it is a plain one, so that only the guard can stop it.
const READ: &str = "SELECT v || '' FROM shown WHERE id = 1";

fn start(mode: &'static str) -> (Postgres, Proxy) {
    let server = shop::postgres();
    server.sql(shop::DATABASE, VIEW);
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.environment = vec![("PGSCRIM_UPSTREAM_DDL_GUARD", mode.to_owned())];
    let proxy = Proxy::start(&server, &options);
    (server, proxy)
}

fn waits_for_lock(server: &Postgres) {
    wait_for("the statement to wait for the lock", Duration::from_secs(20), || {
        let waiting = server.sql(
            shop::DATABASE,
            "SELECT 1 FROM pg_stat_activity WHERE usename = 'support' AND wait_event_type = 'Lock'",
        );
        (!waiting.is_empty()).then_some(())
    });
}

fn clean(client: &wire::Client) {
    let seen = common::text(&client.transcript);
    assert!(!seen.contains(SECRET), "a telephone number in clear: {seen}");
}

fn code(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

/// The statement is judged, waits on the server for a lock of the DDL, and then finds what the DDL has made.
fn a_statement_that_waits_for_ddl(mode: &'static str, through_proxy: bool) {
    let (server, proxy) = start(mode);
    let parameters = [("user", "owner"), ("database", shop::DATABASE)];
    let address = if through_proxy { proxy.address() } else { server.address() };
    let mut owner = wire::Client::connect(&address, &parameters).unwrap();
    for extended in [false, true] {
        let mut support = proxy.connect("support", shop::DATABASE);
        owner.simple("BEGIN");
        assert!(wire::error(&owner.simple(CHANGE)).is_none());
        if extended {
            let read =
                [wire::parse("", READ, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0), wire::sync()];
            support.send(&read.concat());
        } else {
            support.send(&wire::query(READ));
        }
        waits_for_lock(&server);
        owner.simple("COMMIT");
        let answer = support.until_ready();
        clean(&support);
        assert_eq!(code(&answer), "PGS0305", "{}", wire::describe(&answer));
        // The next session is judged by the new catalog.
        let mut support = proxy.connect("support", shop::DATABASE);
        let answer = support.simple(READ);
        clean(&support);
        assert!(wire::text_rows(&answer) == [[Some("*****001".to_owned())]], "{}", wire::describe(&answer));
        assert!(wire::error(&owner.simple(BACK)).is_none());
        wait_for("the old view", Duration::from_secs(20), || {
            let rows = wire::text_rows(&proxy.connect("support", shop::DATABASE).simple(READ));
            (rows == [[Some("harmless".to_owned())]]).then_some(())
        });
    }
    let refused = proxy.audit().iter().filter(|event| event["refusal"] == "PGS0305").count();
    assert!(refused >= 2, "each is recorded");
}

#[test]
fn a_statement_that_waits_for_ddl_of_an_exempt_session() {
    a_statement_that_waits_for_ddl("relayed", true);
}

#[test]
fn a_statement_that_waits_for_ddl_past_the_proxy() {
    a_statement_that_waits_for_ddl("always", false);
}

/// Readers in a loop while a view changes its meaning again and again.
fn readers_beside_ddl(mode: &'static str, through_proxy: bool) {
    let (server, proxy) = start(mode);
    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|number| {
                let (proxy, done) = (&proxy, &done);
                scope.spawn(move || {
                    let mut support = proxy.connect("support", shop::DATABASE);
                    let mut answers = 0;
                    while !done.load(Ordering::Relaxed) {
                        // As text, as a prepared statement, and inside a transaction.
                        let answer = match number {
                            0 => support.simple(READ),
                            1 => support.extended(READ, &[], 0),
                            _ => support.simple(&format!("BEGIN; SELECT 1; {READ}; COMMIT")),
                        };
                        answers += usize::from(!wire::text_rows(&answer).is_empty());
                        clean(&support);
                        if answer.last().is_none_or(|message| message.kind != b'Z') {
                            support = proxy.connect("support", shop::DATABASE);
                        }
                        support.forget();
                    }
                    answers
                })
            })
            .collect();
        let parameters = [("user", "owner"), ("database", shop::DATABASE)];
        let address = if through_proxy { proxy.address() } else { server.address() };
        let mut owner = wire::Client::connect(&address, &parameters).unwrap();
        // Faster than the catalog can be read, and slow enough that answers pass.
        for (number, pause) in [1500, 5, 40, 1500, 200, 5, 5, 1500, 40, 40, 40, 1500].into_iter().enumerate() {
            let answer = owner.simple(if number % 2 == 0 { CHANGE } else { BACK });
            assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
            std::thread::sleep(Duration::from_millis(pause));
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
    });
    assert!(answers > 0, "no answer at all");
}

#[test]
fn readers_beside_ddl_of_an_exempt_session() {
    readers_beside_ddl("relayed", true);
}

#[test]
fn readers_beside_ddl_past_the_proxy() {
    readers_beside_ddl("always", false);
}

/// DDL that has nothing to do with a statement neither ends sessions nor refuses anything.
#[test]
fn other_ddl_is_no_hindrance() {
    for mode in ["relayed", "always"] {
        let (_server, proxy) = start(mode);
        let mut support = proxy.connect("support", shop::DATABASE);
        support.send(&[wire::parse("p", "SELECT phone FROM customers WHERE id = 1", &[]), wire::sync()].concat());
        support.until_ready();
        let mut owner = proxy.connect("owner", shop::DATABASE);
        let mut check = |what: &str| {
            for answer in [
                support.simple("SELECT phone, upper(full_name) FROM customers WHERE id = 1"),
                {
                    let run = [wire::bind("", "p", &[], &[], &[]), wire::execute("", 0), wire::sync()];
                    support.send(&run.concat());
                    support.until_ready()
                },
                support.simple(
                    "BEGIN; DECLARE c CURSOR FOR SELECT phone FROM customers WHERE id = 1; FETCH 1 FROM c; COMMIT",
                ),
                support.simple("UPDATE customers SET score = score WHERE id = 1 RETURNING phone"),
            ] {
                let rows = wire::text_rows(&answer);
                assert_eq!(rows[0][0].as_deref(), Some("*****001"), "{mode}, {what}: {}", wire::describe(&answer));
            }
        };
        for (number, ddl) in
            ["CREATE TABLE more (a int)", "CREATE INDEX ON more (a)", "ALTER TABLE orders ADD extra text", "ANALYZE"]
                .into_iter()
                .enumerate()
        {
            // While its transaction is open, and just after.
            if ddl != "ANALYZE" {
                owner.simple("BEGIN");
            }
            assert!(wire::error(&owner.simple(ddl)).is_none(), "{ddl}");
            check(ddl);
            owner.simple("COMMIT");
            check(ddl);
            assert!(number < 4);
        }
        // DDL that fails changes nothing, and a session that dies with DDL in its transaction leaves nothing behind.
        assert!(wire::error(&owner.simple("ALTER TABLE nowhere ADD a int")).is_some());
        check("failed DDL");
        owner.simple("BEGIN; CREATE TABLE never (a int)");
        drop(owner);
        check("a lost session");
    }
}

/// DDL that never ends, of tables that a statement does not reach, slows answers down by as much as it takes to read the catalog; reading it does
/// not wait until nothing changes.
#[test]
fn ddl_without_a_pause_is_no_hindrance() {
    let (_server, proxy) = start("relayed");
    let mut support = proxy.connect("support", shop::DATABASE);
    let mut owner = proxy.connect("owner", shop::DATABASE);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let made = scope.spawn(|| {
            let mut made = 0;
            while !done.load(Ordering::SeqCst) {
                for ddl in ["CREATE TABLE staging (id int PRIMARY KEY, v text)", "DROP TABLE staging"] {
                    assert!(wire::error(&owner.simple(ddl)).is_none(), "{ddl}");
                    std::thread::sleep(Duration::from_millis(20));
                }
                made += 1;
            }
            made
        });
        let started = std::time::Instant::now();
        for _ in 0..12 {
            let answer = support.simple("SELECT phone FROM customers WHERE id = 1");
            let rows = wire::text_rows(&answer);
            assert_eq!(rows[0][0].as_deref(), Some("*****001"), "{}", wire::describe(&answer));
        }
        let took = started.elapsed();
        done.store(true, Ordering::SeqCst);
        assert!(made.join().unwrap() > 12, "there was DDL at any moment");
        assert!(took < Duration::from_secs(48), "{took:?}");
    });
}

/// Reads of a view whose meaning changes show nothing in clear, until `rounds` of them have ended after `changed` says that it has.
fn nothing_in_clear(proxy: &Proxy, rounds: usize, changed: impl Fn() -> bool) {
    let mut after = 0;
    let mut support = proxy.connect("support", shop::DATABASE);
    while after < rounds {
        let begun = changed();
        let answer = support.simple(READ);
        clean(&support);
        if wire::error(&answer).is_some_and(|error| error.field(b'S').as_deref() == Some("FATAL")) {
            support = proxy.connect("support", shop::DATABASE);
        }
        after += usize::from(begun);
    }
}

/// DDL goes on when the client that sent it is gone, and so does what stands behind it.
#[test]
fn ddl_outlives_its_client() {
    let (server, proxy) = start("relayed");
    let mut owner = proxy.connect("owner", shop::DATABASE);
    let query = |sql: &str| wire::query(sql);
    let sent = [query("BEGIN"), query(CHANGE), query("SELECT pg_sleep(2)"), query("COMMIT")];
    owner.send(&sent.concat());
    std::thread::sleep(Duration::from_millis(300));
    drop(owner);
    nothing_in_clear(&proxy, 20, || {
        let shown = "SELECT 1 FROM pg_views WHERE viewname = 'shown' AND definition LIKE '%phone%'";
        !server.sql(shop::DATABASE, shown).is_empty()
    });
}

/// DDL that could not be read is not forgotten.
#[test]
fn ddl_that_cannot_be_read_is_waited_for() {
    let (server, proxy) = start("relayed");
    let mut owner = proxy.connect("owner", shop::DATABASE);
    server.sql(
        "postgres",
        "ALTER ROLE pgscrim NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pgscrim'",
    );
    assert!(wire::error(&owner.simple(CHANGE)).is_none());
    let begun = std::time::Instant::now();
    nothing_in_clear(&proxy, 2, || begun.elapsed() > Duration::from_secs(2));
    // Who may log in again may read.
    server.sql("postgres", "ALTER ROLE pgscrim LOGIN");
    wait_for("the catalog to be read", Duration::from_secs(30), || {
        let mut support = proxy.connect("support", shop::DATABASE);
        let answer = support.simple("SELECT phone FROM customers WHERE id = 1");
        (wire::text_rows(&answer).first()?[0].as_deref() == Some("*****001")).then_some(())
    });
}

/// A table that is locked for a migration keeps nobody waiting who does not use it, whatever else changes meanwhile: views of it are known.
#[test]
fn a_locked_table_keeps_no_other_waiting() {
    let (server, proxy) = start("relayed");
    server.sql(shop::DATABASE, "CREATE VIEW names AS SELECT id, full_name FROM customers");
    let mut support = proxy.connect("support", shop::DATABASE);
    let mut migration = proxy.connect("owner", shop::DATABASE);
    let mut owner = proxy.connect("owner", shop::DATABASE);
    let read = |support: &mut wire::Client| {
        let answer = support.simple("SELECT amount FROM orders WHERE id = 1");
        assert_eq!(wire::text_rows(&answer).len(), 1, "{}", wire::describe(&answer));
    };
    // Until the view is known.
    owner.simple("CREATE TABLE first (a int)");
    read(&mut support);
    for ddl in ["BEGIN", "ALTER TABLE customers ADD COLUMN extra int"] {
        assert!(wire::error(&migration.simple(ddl)).is_none());
    }
    let started = std::time::Instant::now();
    for number in 0..3 {
        assert!(wire::error(&owner.simple(&format!("CREATE TABLE more{number} (a int)"))).is_none());
        read(&mut support);
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    // And then the column is there.
    migration.simple("COMMIT");
    read(&mut support);
}

/// A table that is not in the catalog yet cannot come in by the name of one that is.
#[test]
fn a_table_that_takes_the_place_of_another() {
    let (server, proxy) = start("relayed");
    server.sql(shop::DATABASE, "CREATE TABLE notes (id int, v text); GRANT SELECT ON notes TO support");
    let mut support = proxy.connect("support", shop::DATABASE);
    wait_for("the table", Duration::from_secs(20), || {
        wire::error(&support.simple("SELECT v FROM notes")).is_none().then_some(())
    });
    server.sql(
        shop::DATABASE,
        "ALTER TABLE notes RENAME TO old_notes; CREATE TABLE notes AS SELECT id, phone::text AS v FROM customers; GRANT SELECT ON notes TO support",
    );
    support.simple("SELECT v FROM notes WHERE id = 1");
    clean(&support);
}

/// Names that are not there make the catalog be read when it has changed, and not for each statement.
#[test]
fn unknown_names_make_the_catalog_be_read_once() {
    let server = shop::postgres();
    server.sql(shop::DATABASE, "ALTER ROLE pgscrim SET log_statement = 'all'");
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let reads = || server.log().matches("pg_get_viewdef(c.oid)").count();
    let mut support = proxy.connect("support", shop::DATABASE);
    let before = reads();
    assert!(before > 0, "the catalog was read at the start");
    for statement in ["SELECT 1 FROM nowhere", "SELECT nothing FROM customers", "SELECT nowhere()"].repeat(10) {
        assert!(wire::error(&support.simple(statement)).is_some());
    }
    let more = reads() - before;
    assert!(more < 5, "read {more} times for 30 statements");
    // What was made in between is found at once.
    for name in ["nowhere", "elsewhere"] {
        server.sql(shop::DATABASE, &format!("CREATE TABLE {name} (a int); GRANT SELECT ON {name} TO support"));
        let answer = support.simple(&format!("SELECT 1 FROM {name}"));
        assert!(wire::error(&answer).is_none(), "{name}: {}", wire::describe(&answer));
    }
}
