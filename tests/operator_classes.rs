//! What compares values where no operator is written: the functions of the operator class of their type. One of the database runs for a
//! restricted role when the rules list it, as a function that is called.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, shop,
    wire::{self, lines},
};

/// Values of `rank` are compared by the telephone numbers of the customers that they name.
const SCHEMA: &str = "
CREATE ROLE support LOGIN;
CREATE TABLE customers (id int PRIMARY KEY, phone text);
INSERT INTO customers VALUES (1, '0809'), (2, '0901'), (3, '0811');
CREATE FUNCTION phone_of(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT phone FROM public.customers WHERE id = $1';
CREATE TYPE rank AS (r int);
CREATE FUNCTION rank_lt(rank, rank) RETURNS bool LANGUAGE sql STABLE AS 'SELECT public.phone_of(($1).r) < public.phone_of(($2).r)';
CREATE FUNCTION rank_le(rank, rank) RETURNS bool LANGUAGE sql STABLE AS 'SELECT public.phone_of(($1).r) <= public.phone_of(($2).r)';
CREATE FUNCTION rank_eq(rank, rank) RETURNS bool LANGUAGE sql STABLE AS 'SELECT public.phone_of(($1).r) = public.phone_of(($2).r)';
CREATE FUNCTION rank_ge(rank, rank) RETURNS bool LANGUAGE sql STABLE AS 'SELECT public.phone_of(($1).r) >= public.phone_of(($2).r)';
CREATE FUNCTION rank_gt(rank, rank) RETURNS bool LANGUAGE sql STABLE AS 'SELECT public.phone_of(($1).r) > public.phone_of(($2).r)';
CREATE FUNCTION rank_cmp(rank, rank) RETURNS int LANGUAGE sql STABLE AS
  'SELECT pg_catalog.bttextcmp(public.phone_of(($1).r), public.phone_of(($2).r))';
CREATE OPERATOR <# (LEFTARG = rank, RIGHTARG = rank, FUNCTION = rank_lt);
CREATE OPERATOR <=# (LEFTARG = rank, RIGHTARG = rank, FUNCTION = rank_le);
CREATE OPERATOR =# (LEFTARG = rank, RIGHTARG = rank, FUNCTION = rank_eq);
CREATE OPERATOR >=# (LEFTARG = rank, RIGHTARG = rank, FUNCTION = rank_ge);
CREATE OPERATOR ># (LEFTARG = rank, RIGHTARG = rank, FUNCTION = rank_gt);
CREATE OPERATOR CLASS rank_ops DEFAULT FOR TYPE rank USING btree AS
  OPERATOR 1 <#, OPERATOR 2 <=#, OPERATOR 3 =#, OPERATOR 4 >=#, OPERATOR 5 >#, FUNCTION 1 rank_cmp(rank, rank);
CREATE DOMAIN ranked AS rank;
CREATE TABLE refs (id int PRIMARY KEY, c rank, many rank[], own ranked);
INSERT INTO refs SELECT n, row(n)::rank, ARRAY[row(n)::rank], row(n)::rank FROM generate_series(1, 3) n;
CREATE TABLE plain (id int);
INSERT INTO plain VALUES (1), (2);
CREATE FUNCTION give_rank(int) RETURNS rank LANGUAGE sql IMMUTABLE AS 'SELECT row($1)::public.rank';
CREATE FUNCTION give_ranks() RETURNS TABLE (x rank) LANGUAGE sql AS 'SELECT c FROM public.refs';
CREATE OPERATOR @#@ (RIGHTARG = int, FUNCTION = give_rank);
CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
GRANT ALL ON ALL TABLES IN SCHEMA public TO support;
";

const RULES: &str = r#"
policy = "classes"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "withhold" }
functions = FUNCTIONS
"#;

const FUNCTIONS: &str =
    r#"["public.rank_lt", "public.rank_le", "public.rank_eq", "public.rank_ge", "public.rank_gt", "public.rank_cmp"]"#;

fn start(functions: &str) -> (Postgres, Proxy) {
    shop::start_other(&[SCHEMA], &RULES.replace("FUNCTIONS", functions))
}

const COMPARING: &[&str] = &[
    "SELECT id FROM refs ORDER BY c",
    "SELECT id FROM refs ORDER BY many",
    "SELECT id FROM refs ORDER BY own",
    "SELECT id, c FROM refs ORDER BY 2",
    "SELECT id, c AS d FROM refs ORDER BY d",
    "SELECT id FROM refs ORDER BY refs",
    "SELECT id, rank() OVER (ORDER BY c) FROM refs",
    "SELECT id, rank() OVER (PARTITION BY own ORDER BY id) FROM refs",
    "SELECT ARRAY[c] < ARRAY[row(1)::rank] FROM refs",
    "SELECT ARRAY[c, c] @> many FROM refs",
    "SELECT row(c, 1) < row(c, 2) FROM refs",
    "SELECT many < many FROM refs",
    "SELECT DISTINCT c FROM refs",
    "SELECT DISTINCT own FROM refs",
    "SELECT c FROM refs UNION SELECT c FROM refs",
    "SELECT c FROM refs GROUP BY c",
    "SELECT count(DISTINCT c) FROM refs",
    "SELECT greatest(c, c) FROM refs",
    "SELECT max(c) FROM refs",
    "SELECT array_position(many, c) FROM refs",
    "SELECT mode() WITHIN GROUP (ORDER BY c) FROM refs",
    "SELECT id FROM (SELECT id, c FROM refs) q ORDER BY c",
    "SELECT id FROM (SELECT * FROM refs) q ORDER BY c",
    "WITH q AS (SELECT id, c AS d FROM refs) SELECT ARRAY[d] < ARRAY[d] FROM q",
    "SELECT d, ARRAY[d] < ARRAY[d] FROM (SELECT c AS d FROM refs) q",
    "SELECT x FROM (VALUES ('(1)'::rank), ('(2)'::rank)) v (x) ORDER BY x",
    "SELECT '{(1)}'::rank[] < '{(2)}'::rank[]",
    "SELECT r.id FROM refs r JOIN refs s USING (c)",
    "SELECT array_agg(r ORDER BY r) FROM refs r",
];

#[test]
fn functions_of_operator_classes_run_when_they_are_listed() {
    let (_postgres, proxy) = start("[]");
    let mut support = proxy.connect("support", shop::DATABASE);
    for sql in COMPARING {
        for answer in [support.simple(sql), support.extended(sql, &[], 1)] {
            let refused = wire::error(&answer).and_then(|error| error.field(b'C'));
            assert!(matches!(refused.as_deref(), Some("42501")), "{sql}: {}", wire::describe(&answer));
        }
    }
    let declared = support.simple("SELECT '_rank'::regtype::oid");
    let oid: u32 = lines(&declared)[0].trim().parse().unwrap();
    support.send(&[wire::parse("", "SELECT $1 < $1", &[oid]), wire::sync()].concat());
    assert!(wire::error(&support.until_ready()).is_some_and(|error| error.field(b'C').as_deref() == Some("42501")));
    // What compares nothing of it.
    for (sql, count) in [
        ("SELECT * FROM refs ORDER BY id", 3),
        ("SELECT id, c, many, own FROM refs WHERE id > 1 ORDER BY id DESC", 2),
        ("SELECT id FROM refs GROUP BY id", 3),
        ("SELECT count(*) FROM refs", 1),
        ("SELECT id FROM plain ORDER BY id", 2),
    ] {
        let answer = support.simple(sql);
        assert_eq!(lines(&answer).len(), count, "{sql}: {}", wire::describe(&answer));
    }
    for (sql, runs) in [
        // Its row type would be compared so, too.
        ("CREATE TEMP TABLE kept AS SELECT c FROM refs", false),
        ("CREATE UNIQUE INDEX ON kept (c)", false),
        ("SELECT c FROM kept ORDER BY c", false),
        ("CREATE TEMP TABLE mine (c rank)", false),
        ("INSERT INTO refs (id, c) VALUES (4, '(4)')", true),
        ("UPDATE refs SET c = NULL WHERE id = 4", true),
    ] {
        let answer = support.simple(sql);
        assert_eq!(wire::error(&answer).is_none(), runs, "{sql}: {}", wire::describe(&answer));
    }
    let (_postgres, proxy) = start(FUNCTIONS);
    let mut support = proxy.connect("support", shop::DATABASE);
    let answer = support.simple("SELECT id FROM refs ORDER BY c");
    assert_eq!(lines(&answer), ["1", "3", "2"]);
    for sql in COMPARING {
        let answer = support.simple(sql);
        assert!(
            wire::error(&answer).is_none_or(|error| error.field(b'C').as_deref() != Some("42501")),
            "{sql}: {}",
            wire::describe(&answer)
        );
    }
}

/// What shows in no column and no name of the text.
#[test]
fn values_of_such_types_come_from_functions_and_expressions() {
    let listed = r#"["public.give_rank", "public.give_ranks", "public.one"]"#;
    let (_postgres, proxy) = start(listed);
    let mut support = proxy.connect("support", shop::DATABASE);
    for (sql, runs) in [
        ("SELECT give_rank(id) FROM plain ORDER BY 1", false),
        ("SELECT x FROM give_ranks() ORDER BY x", false),
        ("SELECT id FROM plain ORDER BY @#@ id", false),
        ("SELECT one() FROM plain ORDER BY 1", true),
        ("SELECT json_build_object('r', id)::text FROM plain ORDER BY 1", true),
    ] {
        let answer = support.simple(sql);
        assert_eq!(wire::error(&answer).is_none(), runs, "{sql}: {}", wire::describe(&answer));
    }
    // A member of the family of integers that compares them with something else runs for no integers.
    let beside = "CREATE FUNCTION beside(int, rank) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
        ALTER OPERATOR FAMILY integer_ops USING btree ADD FUNCTION 1 (int4, rank) beside(int, rank);";
    let of_json = "CREATE FUNCTION json_lt(json, json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text < $2::text';
        CREATE FUNCTION json_cmp(json, json) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.bttextcmp($1::text, $2::text)';
        CREATE OPERATOR <# (LEFTARG = json, RIGHTARG = json, FUNCTION = json_lt);
        CREATE OPERATOR CLASS json_ops DEFAULT FOR TYPE json USING btree AS OPERATOR 1 <#, FUNCTION 1 json_cmp(json, json);";
    let sorted = "SELECT id FROM plain ORDER BY json_build_object('r', id)";
    for (more, functions, sql, code) in [
        (beside, "[]", "SELECT id FROM plain WHERE id > 0 ORDER BY id", None),
        (of_json, "[]", sorted, Some("42501")),
        (of_json, "[]", "SELECT id FROM plain", Some("42501")),
        (of_json, r#"["public.json_lt", "public.json_cmp"]"#, sorted, Some("42883")),
    ] {
        let (_postgres, proxy) = shop::start_other(&[SCHEMA, more], &RULES.replace("FUNCTIONS", functions));
        let answer = proxy.connect("support", shop::DATABASE).simple(sql);
        let given = wire::error(&answer).and_then(|error| error.field(b'C'));
        assert_eq!(given.as_deref(), code, "{sql}: {}", wire::describe(&answer));
    }
}

/// A frame of a window is no comparison that is written, though its bounds stand between BETWEEN and AND.
#[test]
fn frames_of_windows_are_no_operators() {
    let own = "CREATE OPERATOR public.< (LEFTARG = rank, RIGHTARG = rank, FUNCTION = rank_lt);
        CREATE TABLE kinds (id int, rows int); INSERT INTO kinds VALUES (1, 2); GRANT SELECT ON kinds TO support;";
    let (_postgres, proxy) = shop::start_other(&[SCHEMA, own], &RULES.replace("FUNCTIONS", "[]"));
    let mut support = proxy.connect("support", shop::DATABASE);
    for sql in [
        "SELECT count(*) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM plain",
        "SELECT count(*) OVER (ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING) FROM plain WHERE id BETWEEN 1 AND 2",
        "SELECT count(*) OVER w FROM plain WINDOW w AS (ORDER BY id GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
        "SELECT id FROM kinds WHERE rows BETWEEN 1 AND 3",
    ] {
        let answer = support.simple(sql);
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
    }
    let answer = support.simple("SELECT id FROM refs WHERE c BETWEEN c AND c");
    assert!(wire::error(&answer).is_some());
}
