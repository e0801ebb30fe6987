//! Temporary tables of restricted roles: what is masked stays masked in them, and nothing else fills them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

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
    // Which values are masks is not kept, so none may be stored where they would destroy data.
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
        ("EXPLAIN CREATE TEMP TABLE t AS SELECT 1", "PGS0205"),
        ("DROP TABLE customers", "PGS0205"),
    ] {
        assert_eq!(refused(&proxy.connect("support", "shop").simple(sql)), code, "{sql}");
    }
    // A trigger fills a table of its own, or one that the session has made for it.
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("UPDATE customers SET score = 1 WHERE id = 3"));
    done(&client.simple("CREATE TEMP TABLE t (a int)"));
    assert_eq!(refused(&client.simple("SELECT * FROM kept")), "PGS0218");
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE kept (p text)"));
    done(&client.simple("UPDATE customers SET score = 1 WHERE id = 3"));
    assert_eq!(refused(&client.simple("SELECT * FROM kept")), "PGS0218");
    // A function that puts names together could fill any.
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION fill(name text) RETURNS void LANGUAGE plpgsql AS
             'BEGIN EXECUTE format(''INSERT INTO %I SELECT phone FROM customers'', name); END'",
    );
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    done(&client.simple("CREATE TEMP TABLE t (a text)"));
    assert_eq!(refused(&client.simple("SELECT * FROM t")), "PGS0218");
    assert_eq!(refused(&client.simple("COPY t TO STDOUT")), "PGS0218");
    done(&client.simple("DROP TABLE t"));
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
