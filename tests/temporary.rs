//! Temporary tables of restricted roles: what is masked stays masked in them, and nothing else fills them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Proxy, proxy::Options, shop, wire};

fn value(messages: &[wire::Message]) -> String {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    wire::text_rows(messages)[0][0].clone().unwrap_or_else(|| "-".to_owned())
}

fn done(messages: &[wire::Message]) {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
}

fn refused(messages: &[wire::Message]) -> String {
    let error = wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages)));
    error.field(b'H').unwrap_or_default().chars().take(7).collect()
}

#[test]
fn a_temporary_table_holds_what_the_role_sees() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    for make in [
        "CREATE TEMP TABLE t AS SELECT id, phone FROM customers",
        "SELECT id, phone INTO TEMP t FROM customers",
        "CREATE TABLE pg_temp.t AS SELECT id, phone FROM customers WITH DATA",
        "CREATE LOCAL TEMPORARY TABLE IF NOT EXISTS t (id, phone) ON COMMIT PRESERVE ROWS AS SELECT id, phone FROM customers",
    ] {
        done(&client.simple(make));
        assert_eq!(value(&client.simple("SELECT phone FROM t WHERE id = 3")), "*****003", "{make}");
        assert_eq!(value(&client.extended("SELECT phone FROM pg_temp.t WHERE id = 3", &[], 0)), "*****003", "{make}");
        done(&client.simple("DROP TABLE t"));
        assert_eq!(refused(&client.simple("SELECT * FROM t")), "PGS0102");
    }
    done(&client.simple("DROP TABLE IF EXISTS t"));
    done(&client.simple("CREATE TEMP TABLE t (id serial PRIMARY KEY, phone text DEFAULT lower('X') NOT NULL)"));
    done(&client.simple("CREATE INDEX ON t (phone)"));
    done(&client.simple("INSERT INTO t (phone) SELECT phone FROM customers WHERE id = 3"));
    done(&client.simple("ANALYZE t"));
    assert_eq!(value(&client.simple("SELECT phone FROM t")), "*****003");
    done(&client.simple("UPDATE t SET phone = c.phone FROM customers c WHERE c.id = 4"));
    assert_eq!(value(&client.simple("SELECT phone FROM t")), "*****004");
    // Which of its values are masks is not kept, so none may be stored where they would destroy data.
    assert_eq!(
        refused(&client.simple("UPDATE customers SET phone = t.phone FROM t WHERE t.id = customers.id")),
        "PGS0206"
    );
    // A plan that was kept does not outlive its table.
    done(&client.simple("CREATE TEMP TABLE v (a int, b text)"));
    done(&client.simple("INSERT INTO v VALUES (1, 'x')"));
    for key in 1..4 {
        done(&client.simple(&format!("SELECT b FROM v WHERE a = {key}")));
    }
    done(&client.simple("PREPARE kept AS SELECT b FROM v"));
    done(&client.simple("DROP TABLE v"));
    done(&client.simple("CREATE TEMP TABLE v (a int)"));
    assert_eq!(refused(&client.simple("SELECT b FROM v WHERE a = 1")), "PGS0103");
    assert!(wire::error(&client.simple("EXECUTE kept")).is_some());
    // Another session's table of the same name is another table.
    let mut other = proxy.connect("support", "shop");
    assert_eq!(refused(&other.simple("SELECT phone FROM t")), "PGS0102");
    done(&other.simple("CREATE TEMP TABLE t (x int)"));
    assert_eq!(refused(&other.simple("SELECT phone FROM t")), "PGS0103");
    // What a transaction undoes is not there any more.
    done(&client.simple("BEGIN"));
    done(&client.simple("CREATE TEMP TABLE u ON COMMIT DROP AS SELECT 1 AS a"));
    assert_eq!(value(&client.simple("SELECT a FROM u")), "1");
    done(&client.simple("COMMIT"));
    assert_eq!(refused(&client.simple("SELECT a FROM u")), "PGS0102");
    done(&client.simple("DISCARD TEMP"));
    assert_eq!(refused(&client.simple("SELECT phone FROM t")), "PGS0102");
}

#[test]
fn what_could_fill_or_shadow_is_refused() {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER AS
             'BEGIN CREATE TEMP TABLE IF NOT EXISTS kept (p text); INSERT INTO kept VALUES (OLD.phone); RETURN NEW; END';
         CREATE TRIGGER keep BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    for (sql, code) in [
        ("CREATE TEMP TABLE customers (id int)", "PGS0218"),
        ("CREATE TABLE t AS SELECT 1", "PGS0205"),
        ("SELECT 1 AS a INTO t", "PGS0205"),
        ("CREATE TEMP TABLE t (LIKE customers INCLUDING ALL)", "PGS0218"),
        ("CREATE TEMP TABLE t (a int CHECK (a > 0))", "PGS0218"),
        ("CREATE TEMP TABLE t (a int) INHERITS (customers)", "PGS0218"),
        ("CREATE TEMP TABLE t AS EXECUTE p", "PGS0218"),
        ("CREATE TEMP VIEW v AS SELECT 1", "PGS0205"),
        ("CREATE TEMP TABLE text (a int)", "PGS0218"),
        ("CREATE TEMP TABLE _text (a int)", "PGS0218"),
        ("CREATE TEMP TABLE pg_temp.customers AS SELECT 1 AS a", "PGS0218"),
        ("(SELECT phone INTO TEMP t FROM customers)", "PGS0106"),
        // No SQL, of which none is made.
        ("CREATE TEMP TABLE t (a int, b text", "PGS0218"),
        ("CREATE TEMP TABLE t (a numeric(3, b text)", "PGS0218"),
        ("CREATE TEMP TABLE t (a int, as text)", "PGS0218"),
        ("CREATE TEMP TABLE t (a int, left text)", "PGS0218"),
        ("EXPLAIN CREATE TEMP TABLE t AS SELECT 1", "PGS0205"),
        ("DROP TABLE customers", "PGS0205"),
        ("CREATE INDEX ON ONLY customers (phone)", "PGS0205"),
    ] {
        assert_eq!(refused(&proxy.connect("support", "shop").simple(sql)), code, "{sql}");
    }
    // A trigger fills a table of its own, or one that the session has made for it.
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("UPDATE customers SET score = 1 WHERE id = 3"));
    done(&client.simple("CREATE TEMP TABLE t (a int)"));
    assert_eq!(refused(&client.simple("SELECT * FROM kept")), "PGS0218");
    done(&client.simple("DROP TABLE kept"));
    let hint = hint(&client.simple("CREATE TEMP TABLE kept (p text)"));
    assert!(hint.contains("function public.keep holds its name") && hint.contains("another name"), "{hint}");
}

fn hint(messages: &[wire::Message]) -> String {
    wire::error(messages).unwrap_or_else(|| panic!("no error: {}", wire::describe(messages))).field(b'H').unwrap()
}

/// Another session with a table of that name: one whose statement runs while the schema changes is ended, so it asks in
/// place of the one at hand.
fn asks(proxy: &Proxy, table: &str) -> impl FnMut() -> Vec<wire::Message> {
    let mut client = proxy.connect("support", "shop");
    done(&client.simple(&format!("CREATE TEMP TABLE {table} (p text)")));
    let sql = format!("SELECT p FROM {table}");
    move || client.simple(&sql)
}

/// Asks until the proxy has seen a change of the catalog.
fn until(mut client: impl FnMut() -> Vec<wire::Message>, good: impl Fn(&[wire::Message]) -> bool) {
    common::wait_for("the proxy to see the change", Duration::from_secs(20), || good(&client()).then_some(()));
}

#[test]
fn a_function_that_comes_to_fill_a_table_ends_its_use() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE later (p text)"));
    done(&client.simple("CREATE TEMP TABLE other (p text)"));
    done(&client.simple("PREPARE kept AS SELECT p FROM later"));
    // A function that nothing runs changes nothing.
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION fill_later() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO later VALUES (OLD.phone); RETURN NEW; END';
         CREATE FUNCTION built() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN EXECUTE format(''INSERT INTO %I VALUES ($1)'', TG_ARGV[0]) USING OLD.phone; RETURN NEW; END';
         CREATE TABLE seen_by_proxy (a int); GRANT ALL ON seen_by_proxy TO support",
    );
    until(|| client.simple("SELECT * FROM seen_by_proxy"), |answer| wire::error(answer).is_none());
    done(&client.simple("SELECT p FROM later"));
    let asking = asks(&proxy, "later");
    postgres.sql(
        shop::DATABASE,
        "CREATE TRIGGER fill_later BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION fill_later()",
    );
    until(asking, |answer| wire::error(answer).is_some());
    done(&client.simple("UPDATE customers SET score = 1 WHERE id = 3"));
    for sql in ["SELECT p FROM later", "EXECUTE kept", "COPY later TO STDOUT", "SELECT count(*) FROM pg_temp.later"] {
        assert_eq!(refused(&client.simple(sql)), "PGS0218", "{sql}");
    }
    done(&client.simple("SELECT p FROM other"));
    // Gone, but what it did is not.
    postgres.sql(shop::DATABASE, "DROP TRIGGER fill_later ON customers; ALTER TABLE seen_by_proxy ADD b int");
    until(|| client.simple("SELECT b FROM seen_by_proxy"), |answer| wire::error(answer).is_none());
    assert_eq!(refused(&client.simple("SELECT p FROM later")), "PGS0218");
    done(&client.simple("DROP TABLE later"));
    done(&client.simple("CREATE TEMP TABLE later (p text)"));
    done(&client.simple("SELECT p FROM later"));
    // One that puts names together could fill any table.
    let asking = asks(&proxy, "other");
    postgres.sql(
        shop::DATABASE,
        "CREATE TRIGGER built BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION built('other')",
    );
    until(asking, |answer| wire::error(answer).is_some());
    let hint = hint(&client.simple("SELECT p FROM other"));
    assert!(hint.contains("public.built puts statements together"), "{hint}");
    assert!(hint.contains("writes_no_temporary_tables"), "{hint}");
    assert_eq!(refused(&client.simple("CREATE TEMP TABLE more (a int)")), "PGS0218");
    // Rules vouch for it, by name.
    let vouched = format!("writes_no_temporary_tables = [\"public.built\"]\n{}", shop::RULES);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, vouched));
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE more (a int)"));
    done(&client.simple("SELECT a FROM more"));
}

/// DDL beside the proxy is noticed about a second later. What was stored in between would be read for long.
#[test]
fn no_table_is_filled_by_an_older_catalog() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut makes = proxy.connect("support", "shop");
    let mut fills = proxy.connect("support", "shop");
    done(&fills.simple("CREATE TEMP TABLE t (x text)"));
    done(&makes.simple("SELECT score FROM customers"));
    postgres.sql(
        shop::DATABASE,
        "ALTER TABLE customers RENAME score TO points; ALTER TABLE customers RENAME phone TO score",
    );
    makes.send(&wire::query("CREATE TEMP TABLE t AS SELECT score FROM customers"));
    fills.send(&wire::query("INSERT INTO t SELECT score FROM customers"));
    for client in [&mut makes, &mut fills] {
        let answer = client.until_ready();
        assert!(wire::error(&answer).is_some(), "{}", wire::describe(&answer));
    }
}

/// A type's default is what a column becomes, and its check tells of what it looks at: neither names the table.
#[test]
fn types_of_columns_run_nothing() {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION last_phone() RETURNS text LANGUAGE sql SECURITY DEFINER AS
             'SELECT phone FROM public.customers ORDER BY id DESC LIMIT 1';
         CREATE FUNCTION known(text) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
             'SELECT EXISTS (SELECT FROM public.customers WHERE phone LIKE $1)';
         CREATE DOMAIN contact AS text DEFAULT public.last_phone();
         CREATE DOMAIN outer_contact AS contact;
         CREATE DOMAIN by_query AS text DEFAULT query_to_xml('SELECT phone FROM customers', true, true, '')::text;
         CREATE DOMAIN known_phone AS text CHECK (public.known(VALUE));
         CREATE DOMAIN plain AS text DEFAULT 'new';
         CREATE TABLE tickets (id int, c contact, o outer_contact, q by_query, k known_phone, p plain);
         GRANT SELECT ON tickets TO support",
    );
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    for column in ["c", "o", "q", "k"] {
        for make in [
            format!("CREATE TEMP TABLE t AS SELECT id, {column} AS x FROM tickets WHERE false"),
            format!("SELECT id, {column} AS x INTO TEMP t FROM tickets WHERE false"),
        ] {
            let messages = client.simple(&make);
            assert_eq!(refused(&messages), "PGS0218", "{make}");
            assert!(hint(&messages).contains("column x"), "{}", hint(&messages));
        }
    }
    for kind in ["contact", "outer_contact", "by_query", "known_phone"] {
        let code = refused(&client.simple(&format!("CREATE TEMP TABLE t (id int, x {kind})")));
        assert_eq!(code, "PGS0211", "{kind}");
    }
    assert!(wire::error(&client.simple("CREATE TEMP TABLE t (LIKE tickets)")).is_some());
    // A constant runs nothing.
    done(&client.simple("CREATE TEMP TABLE t AS SELECT id, p FROM tickets WHERE false"));
    done(&client.simple("INSERT INTO t (id) VALUES (1)"));
    assert_eq!(value(&client.simple("SELECT p FROM t")), "new");
    // A default that comes later.
    let mut other = proxy.connect("support", "shop");
    done(&other.simple("CREATE TEMP TABLE t AS SELECT id, p FROM tickets WHERE false"));
    done(&other.simple("SELECT p FROM t"));
    postgres.sql(shop::DATABASE, "ALTER DOMAIN plain SET DEFAULT public.last_phone()");
    until(|| other.simple("SELECT p FROM t"), |messages| wire::error(messages).is_some());
    assert_eq!(refused(&client.simple("INSERT INTO t (id) VALUES (2) RETURNING p")), "PGS0218");
}

#[test]
fn what_the_role_may_call_could_fill_tables() {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION inner_fill(text) RETURNS void LANGUAGE plpgsql AS
             'BEGIN EXECUTE format(''INSERT INTO %I SELECT phone FROM customers'', $1); END';
         CREATE FUNCTION fill(name text) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM inner_fill(name); RETURN 1; END';
         CREATE FUNCTION double(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
    );
    let with = |more: &str| {
        let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, format!("{}{more}\n", shop::RULES)));
        let client = proxy.connect("support", "shop");
        (proxy, client)
    };
    let (_proxy, mut client) = with("functions = [\"public.double\"]");
    done(&client.simple("CREATE TEMP TABLE t AS SELECT public.double(id) AS d FROM customers"));
    assert_eq!(value(&client.simple("SELECT d FROM t WHERE d = 6")), "6");
    let (_proxy, mut client) = with("functions = [\"public.fill\"]");
    let hint = hint(&client.simple("CREATE TEMP TABLE t (p text)"));
    assert!(hint.contains("Function public.inner_fill puts statements together"), "{hint}");
    // Under another purpose the role may call it; tables are read under this one.
    let (before, _) = shop::RULES.split_once("name = \"support\"").unwrap();
    let rules = format!(
        "{before}name = \"support\"\nmatch = {{ user = [\"support\"] }}\npurposes = [\"care\", \"check\"]\n\
         see = {{ phone = \"phone_last\" }}\n[role.for.check]\nfunctions = [\"public.fill\"]\n"
    );
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    assert_eq!(refused(&proxy.connect("support", "shop").simple("CREATE TEMP TABLE t (p text)")), "PGS0218");
}

#[test]
fn rows_of_the_client_go_on_and_masks_do_not() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    // The usual way to load many rows.
    done(&client.simple("CREATE TEMP TABLE staged (LIKE orders) ON COMMIT PRESERVE ROWS"));
    done(&client.simple_copy("COPY staged FROM STDIN", b"901\t3\t7.5\t2025-01-01\n902\t4\t8.5\t2025-01-02\n"));
    let load = "INSERT INTO orders SELECT * FROM staged ON CONFLICT (id) DO UPDATE SET amount = excluded.amount";
    done(&client.simple(load));
    done(&client.extended(load, &[], 0));
    assert_eq!(value(&client.simple("SELECT count(*) FROM orders WHERE id > 900")), "2");
    done(&client.simple("PREPARE load AS INSERT INTO orders SELECT * FROM staged ON CONFLICT DO NOTHING"));
    done(&client.simple("EXECUTE load"));
    done(&client.simple("UPDATE customers SET score = s.customer_id FROM staged s WHERE s.customer_id = customers.id"));
    // As soon as a statement puts masks into it, none of it goes on.
    assert_eq!(refused(&client.simple("ALTER TABLE staged ADD x int")), "PGS0205");
    done(&client.simple("UPDATE staged SET amount = length(c.full_name) FROM customers c WHERE c.id = customer_id"));
    assert_eq!(refused(&client.simple(load)), "PGS0206");
    assert_eq!(refused(&client.simple("EXECUTE load")), "PGS0206");
    done(&client.simple("DELETE FROM orders USING staged WHERE staged.id = orders.id"));
    // Also within one text, and when the table is made again there.
    done(&client.simple("CREATE TEMP TABLE t (id int, x text)"));
    let answer = client.simple("CREATE TEMP TABLE new (a int); SELECT a FROM new");
    assert!(hint(&answer).contains("on its own"), "{}", wire::describe(&answer));
    assert_eq!(refused(&client.simple("DROP TABLE t; CREATE TEMP TABLE t (id int); SELECT id FROM t")), "PGS0218");
    let both = "INSERT INTO t SELECT id, phone FROM customers; UPDATE customers SET email = t.x FROM t WHERE t.id = customers.id";
    assert_eq!(refused(&client.simple(both)), "PGS0206");
    done(&client.simple("CREATE TEMP TABLE u (id int, x text)"));
    let again = "DROP TABLE u; CREATE TEMP TABLE u AS SELECT id, phone AS x FROM customers";
    done(&client.simple(again));
    assert_eq!(refused(&client.simple("UPDATE customers SET email = u.x FROM u WHERE u.id = customers.id")), "PGS0206");
}

#[test]
fn clients_use_them_as_they_are_used_to() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    let parameters: [Option<&[u8]>; 2] = [Some(b"3"), Some(b"x")];
    let make = "CREATE TEMP TABLE t AS SELECT id, phone, $2::text AS y FROM customers WHERE id = $1::int";
    done(&client.extended(make, &parameters, 0));
    assert_eq!(value(&client.simple("SELECT phone || y FROM t")), "*****003x");
    // A statement that a driver keeps works on when the table is made again.
    client.send(&wire::parse("kept", "INSERT INTO t (id, y) VALUES ($1, $2)", &[]));
    client.send(&wire::sync());
    done(&client.until_ready());
    client.send(&wire::parse("made", "CREATE TEMP TABLE t AS SELECT 1 AS id, $1::text AS y", &[]));
    client.send(&wire::sync());
    done(&client.until_ready());
    let run = |client: &mut wire::Client, name: &str, values: &[Option<&[u8]>]| {
        client.send(&wire::bind("", name, &[], values, &[]));
        client.send(&wire::execute("", 0));
        client.send(&wire::sync());
        client.until_ready()
    };
    for _ in 0..3 {
        done(&run(&mut client, "kept", &[Some(b"5"), Some(b"z")]));
        done(&client.simple("DROP TABLE t"));
        done(&run(&mut client, "made", &[Some(b"q")]));
        assert_eq!(value(&client.simple("SELECT y FROM t")), "q");
    }
    // A driver that sends BEGIN, and SAVEPOINT, with the statement.
    let together = |client: &mut wire::Client, texts: &[&str]| {
        for text in texts {
            client.send(&wire::parse("", text, &[]));
            client.send(&wire::bind("", "", &[], &[], &[]));
            client.send(&wire::execute("", 0));
        }
        client.send(&wire::sync());
        client.until_ready()
    };
    done(&together(&mut client, &["BEGIN", "CREATE TEMP TABLE u (a int) ON COMMIT DROP"]));
    done(&together(&mut client, &["SAVEPOINT s", "INSERT INTO u VALUES (1)"]));
    done(&together(&mut client, &["SAVEPOINT s2", "SELECT a FROM u"]));
    done(&client.simple("ROLLBACK TO s"));
    assert_eq!(value(&client.simple("SELECT count(*) FROM u")), "0");
    done(&client.simple("COMMIT"));
    done(&together(&mut client, &["BEGIN", "SELECT y FROM t"]));
    done(&client.simple("COMMIT"));
    assert_eq!(refused(&client.simple("SELECT * FROM u")), "PGS0102");
    // The server is asked within a pipeline too.
    let answer = together(&mut client, &["CREATE TEMP TABLE w (a int)", "INSERT INTO w VALUES (1)", "SELECT a FROM w"]);
    assert_eq!(value(&answer), "1");
    done(&client.simple("DROP TABLE w"));
    // What a savepoint undoes and a statement makes again is another table.
    done(&client.simple("BEGIN; SAVEPOINT s"));
    done(&client.simple("CREATE TEMP TABLE w (a int)"));
    done(&client.simple("ROLLBACK TO s"));
    assert_eq!(refused(&client.simple("SELECT * FROM w")), "PGS0102");
    done(&client.simple("ROLLBACK"));
    done(&client.simple("CREATE TEMP TABLE w (b text)"));
    done(&client.simple("SELECT b FROM w"));
    done(&client.simple("DISCARD ALL"));
    assert_eq!(refused(&client.simple("SELECT b FROM w")), "PGS0102");
}

/// What a transaction dropped, or made in the place of another, is what it was when that is rolled back.
#[test]
fn what_is_rolled_back_is_there_again() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE r (x text)"));
    done(&client.simple("INSERT INTO r VALUES ('a')"));
    for again in ["CREATE TEMP TABLE r (y int)", "CREATE TEMP TABLE other (y int)", "SELECT 1"] {
        done(&client.simple("BEGIN"));
        done(&client.simple("SAVEPOINT s"));
        done(&client.simple("DROP TABLE r"));
        done(&client.simple(again));
        assert_eq!(
            refused(&client.simple("SELECT x FROM r")),
            if again.contains(" r ") { "PGS0103" } else { "PGS0102" }
        );
        done(&client.simple("ROLLBACK TO s"));
        assert_eq!(value(&client.simple("SELECT x FROM r")), "a");
        done(&client.simple("DROP TABLE r"));
        done(&client.simple(again));
        done(&client.simple("ROLLBACK"));
        assert_eq!(value(&client.simple("SELECT x FROM r")), "a");
    }
    // Whether it holds masks is kept, as it was last.
    done(&client.simple("BEGIN"));
    done(&client.simple("SAVEPOINT s"));
    done(&client.simple("DROP TABLE r"));
    done(&client.simple("CREATE TEMP TABLE r (y int)"));
    done(&client.simple("ROLLBACK TO s"));
    done(&client.simple("INSERT INTO r SELECT phone FROM customers"));
    done(&client.simple("SAVEPOINT t"));
    done(&client.simple("DROP TABLE r"));
    done(&client.simple("CREATE TEMP TABLE r (y int)"));
    done(&client.simple("ROLLBACK TO t"));
    let store = "UPDATE customers SET email = r.x FROM r";
    assert_eq!(refused(&client.simple(store)), "PGS0206");
    done(&client.simple("ROLLBACK"));
    // A committed DROP is for good.
    done(&client.simple("BEGIN"));
    done(&client.simple("DROP TABLE r"));
    done(&client.simple("COMMIT"));
    assert_eq!(refused(&client.simple("SELECT x FROM r")), "PGS0102");
}

#[test]
fn an_observed_session_is_told_what_enforcement_would_do() {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO kept VALUES (OLD.phone); RETURN NEW; END';
         CREATE TRIGGER keep BEFORE UPDATE OF email ON customers FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    let rules = format!("{}observe = true\n", shop::RULES);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let mut client = proxy.connect("support", "shop");
    let statements = [
        ("CREATE TEMP TABLE t AS SELECT id, phone FROM customers", "rewrite", None),
        ("SELECT phone FROM t WHERE id = 3", "forward", None),
        ("CREATE TEMP TABLE u (a int, LIKE orders)", "forward", None),
        ("INSERT INTO u SELECT id, id, 1, 1, '2025-01-01' FROM t", "rewrite", None),
        ("SELECT nothing FROM u", "refuse", Some("PGS0103")),
        ("UPDATE customers SET score = length(t.phone) FROM t WHERE t.id = customers.id", "refuse", Some("PGS0206")),
        ("DROP TABLE t", "forward", None),
        ("CREATE TEMP TABLE t (a int)", "forward", None),
        ("SELECT a FROM t", "forward", None),
        ("CREATE TEMP TABLE kept (a text)", "refuse", Some("PGS0218")),
    ];
    for (sql, ..) in statements {
        client.simple(sql);
    }
    let events = common::wait_for("the events", Duration::from_secs(10), || {
        let events = proxy.audit();
        (events.len() >= statements.len()).then_some(events)
    });
    for ((sql, decision, refusal), event) in statements.iter().zip(&events) {
        assert_eq!(event["observed_refusal"].as_str(), *refusal, "{sql}: {event}");
        assert_eq!(event["observed"], *decision, "{sql}: {event}");
        assert_eq!(event["decision"], "forward", "{sql}: {event}");
    }
}

#[test]
fn rows_that_are_stored_count_and_other_purposes_do_not_see_them() {
    let postgres = shop::postgres();
    let rules = format!("{}limits = {{ rows_per_statement = 10 }}\n", shop::RULES)
        .replace("name = \"name_initials\", phone = \"phone_last\"", "phone = \"phone_last\", name = \"clear\"");
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE t AS SELECT full_name FROM customers LIMIT 10"));
    assert_eq!(refused(&client.simple("INSERT INTO t SELECT full_name FROM customers LIMIT 1 RETURNING 1")), "PGS0216");
    for sql in [
        "CREATE TEMP TABLE u AS SELECT full_name FROM customers",
        "SELECT full_name INTO TEMP u FROM customers",
        "INSERT INTO t SELECT full_name FROM customers",
        "WITH i AS (INSERT INTO t SELECT full_name FROM customers RETURNING 1) SELECT count(*) FROM i",
    ] {
        let mut client = proxy.connect("support", "shop");
        done(&client.simple("CREATE TEMP TABLE t (full_name text)"));
        client.send(&wire::query(sql));
        assert_eq!(refused(&client.until_ready()), "PGS0216", "{sql}");
    }
    let (before, _) = shop::RULES.split_once("name = \"support\"").unwrap();
    let role = "name = \"support\"\nmatch = { user = [\"support\"] }\npurposes = [\"care\", \"check\"]\n\
                see = { phone = \"phone_last\" }\n[role.for.check]\nsee = { phone = \"clear\" }\n";
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, format!("{before}{role}")));
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("SET pgscrim.purpose = 'check'"));
    done(&client.simple("CREATE TEMP TABLE t AS SELECT phone FROM customers WHERE id = 3"));
    assert_eq!(value(&client.simple("SELECT phone FROM t")), "0901234003");
    done(&client.simple("PREPARE p AS SELECT phone FROM t"));
    done(&client.simple("SET pgscrim.purpose = 'care'"));
    assert_eq!(refused(&client.simple("SELECT phone FROM t")), "PGS0213");
    assert_eq!(refused(&client.simple("EXECUTE p")), "PGS0213");
    assert_eq!(refused(&client.simple("COPY t TO STDOUT")), "PGS0213");
}

/// What a statement would have changed that failed is not waited for until the end of the session.
#[test]
fn a_session_goes_on_after_a_temporary_table_that_could_not_be_made() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    for make in [
        "CREATE TEMP TABLE t AS SELECT full_name::int AS n FROM customers",
        "CREATE TEMP TABLE t (a int, a int)",
        "SET LOCAL search_path = ''",
    ] {
        done(&client.simple("BEGIN"));
        let _ = client.simple(make);
        let _ = client.simple("SELECT 1/0");
        done(&client.simple("ROLLBACK"));
        done(&client.simple("BEGIN"));
        assert_eq!(value(&client.simple("SELECT phone FROM customers WHERE id = 3")), "*****003", "{make}");
        done(&client.simple("CREATE TEMP TABLE t AS SELECT phone FROM customers WHERE id = 3"));
        assert_eq!(value(&client.simple("SELECT phone FROM t")), "*****003", "{make}");
        done(&client.simple("ROLLBACK"));
        assert_eq!(value(&client.extended("SELECT phone FROM customers WHERE id = 3", &[], 0)), "*****003", "{make}");
    }
}

/// The end of a transaction brings tables back that it dropped: what comes behind it in the same message was judged without them.
#[test]
fn what_comes_back_in_a_message_is_not_used_in_it() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    for behind in [
        "UPDATE plain SET x = (SELECT x || '2' FROM t)",
        "SELECT x FROM t",
        "CREATE TEMP TABLE t2 AS SELECT x FROM t",
        "BEGIN; DECLARE c CURSOR FOR SELECT x FROM t",
        "EXECUTE p",
        "SELECT count(*) FROM customers WHERE EXISTS (SELECT 1 FROM t)",
    ] {
        for ends in ["ROLLBACK", "ROLLBACK TO a", "ROLLBACK AND CHAIN", "ABORT"] {
            let mut client = proxy.connect("support", "shop");
            done(&client.simple("CREATE TEMP TABLE IF NOT EXISTS plain (x text)"));
            done(&client.simple("CREATE TEMP TABLE t AS SELECT phone AS x FROM customers WHERE id = 3"));
            done(&client.simple("BEGIN; SAVEPOINT a"));
            done(&client.simple("DROP TABLE t"));
            done(&client.simple("CREATE TEMP TABLE t (x text)"));
            done(&client.simple("PREPARE p AS INSERT INTO plain SELECT x FROM t"));
            assert_eq!(refused(&client.simple(&format!("{ends}; {behind}"))), "PGS0208", "{ends}; {behind}");
        }
    }
    // Nor is what a message has made anew read in it, whatever it is read for.
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE t (x float8)"));
    for sql in [
        "DROP TABLE t; CREATE TEMP TABLE t AS SELECT 1e400 AS x; CREATE TEMP TABLE u AS SELECT x FROM t",
        "DROP TABLE t; CREATE TEMP TABLE t AS SELECT 1e400 AS x; SELECT x INTO TEMP u FROM t",
        "DROP TABLE t; CREATE TEMP TABLE t AS SELECT 1e400 AS x; CREATE TEMP TABLE IF NOT EXISTS u AS SELECT x FROM t",
    ] {
        assert_eq!(refused(&client.simple(sql)), "PGS0218", "{sql}");
    }
    // The end of a transaction that made no such table keeps nothing from what follows.
    done(&client.simple("BEGIN"));
    done(&client.simple("INSERT INTO t VALUES (1)"));
    done(&client.simple("COMMIT; SELECT count(*) FROM t"));
}

/// A pipeline that fails undoes what it has dropped.
#[test]
fn what_a_pipeline_drops_and_undoes_is_there_again() {
    let postgres = shop::postgres();
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let run = |sql: &str| [wire::parse("", sql, &[]), wire::bind("", "", &[], &[], &[]), wire::execute("", 0)].concat();
    for texts in [
        &["DROP TABLE t", "SELECT count(*) FROM orders", "SELECT 1 / 0"][..],
        &["BEGIN", "DROP TABLE t", "SELECT count(*) FROM orders", "ROLLBACK", "SELECT count(*) FROM orders"],
    ] {
        let mut client = proxy.connect("support", "shop");
        done(&client.simple("CREATE TEMP TABLE t AS SELECT 'mine' AS x"));
        let mut all: Vec<u8> = texts.iter().flat_map(|sql| run(sql)).collect();
        all.extend(wire::sync());
        client.send(&all);
        client.until_ready();
        assert_eq!(value(&client.simple("SELECT x FROM t")), "mine", "{texts:?}");
    }
}
