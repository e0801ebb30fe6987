//! Types that run functions of the shop: what a constant becomes of itself runs one only where the rules could have said so,
//! and types that run none are not taken for such.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Proxy, proxy::Options, shop, wire};

const SCHEMA: &str = "
    CREATE FUNCTION is_known(text) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
        'SELECT EXISTS (SELECT FROM public.customers WHERE phone = $1)';
    CREATE DOMAIN known AS text CHECK (public.is_known(VALUE));
    CREATE TYPE pair AS (a int, b known);
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE scalars (id int, b known);
    CREATE TABLE arrays (id int, b known[]);
    CREATE TABLE pairs (id int, b pair);
    CREATE TABLE moods (id int, m mood, ms mood[]);
    INSERT INTO moods VALUES (1, 'good', '{good,bad}');
    INSERT INTO arrays VALUES (1, NULL);
    GRANT SELECT ON scalars, arrays, pairs, moods TO support";

#[test]
fn a_constant_that_becomes_a_value_of_a_type_runs_nothing() {
    let postgres = shop::postgres();
    postgres.sql(shop::DATABASE, SCHEMA);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    // Each of these fails on the server with the check of the domain, or with a number that is known does not.
    for sql in [
        "SELECT b = '{zz}' FROM arrays",
        "SELECT coalesce(b, '{zz}') FROM arrays",
        "SELECT array_append(b, 'zz') FROM arrays",
        "SELECT id FROM arrays WHERE b = '{zz}'",
        "SELECT coalesce(x, '{zz}') FROM (SELECT b AS x FROM arrays) q",
        "WITH q AS (SELECT * FROM arrays) SELECT coalesce(b, '{zz}') FROM q",
        "SELECT b FROM arrays UNION SELECT '{zz}'",
        "SELECT coalesce(b, '(1,zz)') FROM pairs",
        "SELECT jsonb_populate_record(t, '{\"b\":\"zz\"}') FROM scalars t",
        "SELECT coalesce(t, '(1,zz)') FROM scalars t",
    ] {
        let messages = client.simple(sql);
        let error = wire::error(&messages).unwrap_or_else(|| panic!("{sql}: {}", wire::describe(&messages)));
        assert!(error.field(b'H').unwrap_or_default().starts_with("PGS"), "{sql}: {}", wire::describe(&messages));
    }
    for sql in [
        "SELECT b FROM arrays",
        "SELECT * FROM arrays WHERE id = 1",
        "SELECT b AS shown, id FROM pairs",
        "SELECT id FROM scalars WHERE b = 'zz'",
        "SELECT coalesce(b, 'zz') FROM scalars",
        "SELECT m, ms FROM moods WHERE 'good' = ANY (ms) AND m IN ('good')",
    ] {
        let messages = client.simple(sql);
        assert!(wire::error(&messages).is_none(), "{sql}: {}", wire::describe(&messages));
    }
}

#[test]
fn arrays_of_types_that_run_nothing_are_harmless() {
    let postgres = shop::postgres();
    postgres.sql(shop::DATABASE, SCHEMA);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES.to_owned()));
    let mut client = proxy.connect("support", "shop");
    for sql in [
        "CREATE TEMP TABLE t AS SELECT id, ms FROM moods",
        "INSERT INTO t VALUES (2, '{bad}')",
        "SELECT id FROM t WHERE 'bad' = ANY (ms)",
    ] {
        let messages = client.simple(sql);
        assert!(wire::error(&messages).is_none(), "{sql}: {}", wire::describe(&messages));
    }
    // A driver that knows the type of its parameter.
    let oid = |name: &str| -> u32 {
        let rows = postgres.sql(shop::DATABASE, &format!("SELECT '{name}'::regtype::oid::text"));
        rows[0][0].as_deref().unwrap().parse().unwrap()
    };
    let mut ask = |sql: &str, name: &str, value: &[u8]| {
        let messages = [
            wire::parse("", sql, &[oid(name)]),
            wire::bind("", "", &[], &[Some(value)], &[]),
            wire::execute("", 0),
            wire::sync(),
        ];
        client.send(&messages.concat());
        client.until_ready()
    };
    let harmless = ask("SELECT id FROM moods WHERE m = ANY ($1)", "mood[]", b"{good}");
    assert!(wire::error(&harmless).is_none(), "{}", wire::describe(&harmless));
    let runs = ask("SELECT id FROM moods WHERE $1 IS NULL", "known[]", b"{zz}");
    assert!(wire::error(&runs).unwrap().field(b'H').unwrap().starts_with("PGS0211"), "{}", wire::describe(&runs));
}
