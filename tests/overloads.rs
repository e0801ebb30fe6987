//! Functions and operators of the shop that have names of built-in ones: each statement means behind pgscrim what it means to the
//! server, or is refused. The server itself is asked: what is the shop's own says so in its answer.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy,
    proxy::Options,
    shop,
    wire::{self, Client, Message},
};

const SCHEMA: &str = "
    CREATE SCHEMA tools;
    GRANT USAGE ON SCHEMA tools TO support;
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN label AS text;
    CREATE TABLE things (i int, b bigint, n numeric, f float8, t text, v varchar(9), c char(4), d date, ts timestamp,
        tz timestamptz, u uuid, m mood, p pair, j jsonb, l label, ta text[], ma mood[], ok bool, iv interval);
    INSERT INTO things VALUES (3, 4, 5.5, 6.25, 'Text', 'Char', 'ab', '2025-01-02', '2025-01-02 03:04', '2025-01-02 03:04+00',
        '00000000-0000-0000-0000-000000000001', 'good', '(1,x)', '{\"a\": 1}', 'Label', '{a,b}', '{good,bad}', true, '1 day');
    GRANT SELECT ON things TO support;
    CREATE FUNCTION lower(mood) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP lower'::text$$;
    CREATE FUNCTION length(pair) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP length'::text$$;
    CREATE FUNCTION round(float8, int) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP round'::text$$;
    CREATE FUNCTION age(date) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP age'::text$$;
    CREATE FUNCTION abs(text) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP abs'::text$$;
    CREATE FUNCTION ceil(interval) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP ceil'::text$$;
    CREATE FUNCTION \"substring\"(mood, int) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP substring'::text$$;
    CREATE FUNCTION \"overlay\"(mood, text, int) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP overlay'::text$$;
    CREATE FUNCTION \"left\"(text, int) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP left'::text$$;
    CREATE FUNCTION date(text) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP date'::text$$;
    CREATE FUNCTION upper(text, int DEFAULT 1) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP upper'::text$$;
    CREATE FUNCTION concat(VARIADIC mood[]) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP concat'::text$$;
    CREATE FUNCTION to_char(label, text) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP to_char'::text$$;
    CREATE FUNCTION initcap(anyelement) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP initcap'::text$$;
    CREATE FUNCTION later(text, uuid) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP min'::text$$;
    CREATE AGGREGATE min(uuid) (SFUNC = later, STYPE = text);
    CREATE FUNCTION tools.reverse(text) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP reverse'::text$$;
    CREATE FUNCTION counted(bigint) RETURNS SETOF text LANGUAGE sql AS $$SELECT 'SHOP'::text$$;
    CREATE FUNCTION generate_series(mood) RETURNS SETOF text LANGUAGE sql AS $$SELECT 'SHOP series'::text$$;";

const OPERATORS: &str = "
    CREATE FUNCTION is_text(mood, text) RETURNS boolean LANGUAGE sql AS $$SELECT NULL::boolean$$;
    CREATE FUNCTION is_mood(mood, mood) RETURNS boolean LANGUAGE sql AS $$SELECT NULL::boolean$$;
    CREATE FUNCTION plus(text, int) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP plus'::text$$;
    CREATE FUNCTION minus(mood) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP minus'::text$$;
    CREATE FUNCTION same_pair(pair, pair) RETURNS boolean LANGUAGE sql AS $$SELECT NULL::boolean$$;
    CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = text, FUNCTION = is_text);
    CREATE OPERATOR <> (LEFTARG = mood, RIGHTARG = text, FUNCTION = is_text);
    CREATE OPERATOR < (LEFTARG = mood, RIGHTARG = mood, FUNCTION = is_mood);
    CREATE OPERATOR <= (LEFTARG = mood, RIGHTARG = mood, FUNCTION = is_mood);
    CREATE OPERATOR ~~ (LEFTARG = mood, RIGHTARG = text, FUNCTION = is_text);
    CREATE OPERATOR + (LEFTARG = text, RIGHTARG = int, FUNCTION = plus);
    CREATE OPERATOR - (RIGHTARG = mood, FUNCTION = minus);
    CREATE FUNCTION beside(mood, mood) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP beside'::text$$;
    CREATE OPERATOR || (LEFTARG = mood, RIGHTARG = mood, FUNCTION = beside);
    CREATE FUNCTION after(text, text) RETURNS text LANGUAGE sql AS $$SELECT 'SHOP after'::text$$;
    CREATE OPERATOR tools.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = after);
    CREATE TYPE shade AS ENUM ('dark', 'pale');
    ALTER TABLE customers ADD tint shade;
    CREATE FUNCTION same_shade(shade, shade) RETURNS boolean LANGUAGE sql AS $$SELECT NULL::boolean$$;
    CREATE OPERATOR tools.= (LEFTARG = shade, RIGHTARG = shade, FUNCTION = same_shade);
    CREATE OPERATOR tools.= (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same_pair)";

/// What a statement gives: rows, or the SQLSTATE with what pgscrim says.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Rows(Vec<Vec<Option<String>>>),
    Failed(String),
    Refused(String),
}

fn answer(messages: &[Message]) -> Answer {
    let Some(error) = wire::error(messages) else { return Answer::Rows(wire::text_rows(messages)) };
    match error.field(b'H').filter(|hint| hint.starts_with("PGS")) {
        Some(hint) => Answer::Refused(hint.chars().take(7).collect()),
        None => Answer::Failed(error.field(b'C').unwrap()),
    }
}

/// A session straight to the server and one through the proxy.
struct Both {
    straight: Client,
    behind: Client,
}

impl Both {
    fn new(postgres: &Postgres, proxy: &Proxy, path: &str) -> Self {
        let straight = Client::connect(&postgres.address(), &[("user", "support"), ("database", shop::DATABASE)]);
        let (mut straight, mut behind) = (straight.unwrap(), proxy.connect("support", shop::DATABASE));
        for client in [&mut straight, &mut behind] {
            let set = client.simple(&format!("SET search_path = {path}"));
            assert!(wire::error(&set).is_none(), "{}", wire::describe(&set));
        }
        Self { straight, behind }
    }

    /// What the server says, and what comes through the proxy.
    fn ask(&mut self, sql: &str) -> (Answer, Answer) {
        (answer(&self.straight.simple(sql)), answer(&self.behind.simple(sql)))
    }
}

fn is_own(answer: &Answer) -> bool {
    let Answer::Rows(rows) = answer else { return false };
    rows.iter().flatten().flatten().any(|cell| cell.to_uppercase().contains("SHOP"))
}

/// Values to call with, of every type that matters.
const VALUES: &[&str] = &[
    "i",
    "b",
    "n",
    "f",
    "t",
    "v",
    "c",
    "d",
    "ts",
    "tz",
    "u",
    "m",
    "p",
    "j",
    "l",
    "ta",
    "ma",
    "ok",
    "iv",
    "'good'",
    "'2025-01-02'",
    "NULL",
    "1",
    "1.5",
    "i + 1",
    "n * 2",
    "f / i",
    "t || 'x'",
    "lower(t)",
    "d - 1",
    "coalesce(m, 'bad')",
    "coalesce(t, 'x')",
    "'good'::mood",
    "t::varchar(5)",
    "CASE WHEN ok THEN d END",
    "(SELECT t)",
    "(SELECT x.d FROM things x)",
    "max(d)",
    "min(n)",
    "count(*)",
    "sum(f)",
    "(p).b",
    "ta[1]",
    "ma[1]",
    "j ->> 'a'",
    "current_date",
    "date_trunc('day', tz)",
    "extract(year FROM d)",
    "trim(t)",
    "trim(both 'x' from 'xgoodx')",
    "nullif(m, 'bad')",
    "nullif(v, 'x')",
    "nullif(l, 'x')",
    "nullif(n, 0)",
    "nullif(b, 0)",
    "nullif(i, b)",
    "nullif(i, n)",
    "nullif(f, 1)",
    "nullif(n, f)",
    "nullif(count(*), 0)",
    "tz AT TIME ZONE 'UTC'",
    "ts AT TIME ZONE 'UTC'",
    "d AT TIME ZONE 'UTC'",
    "iv AT TIME ZONE 'UTC'",
    "(SELECT z FROM (VALUES (1.5), (NULL)) q (z) LIMIT 1)",
    "(SELECT z FROM (VALUES (NULL), ('good')) q (z) LIMIT 1)",
    "(SELECT q.x FROM jsonb_to_record('{\"x\": 1}') AS q (x numeric))",
    "(SELECT q.x FROM xmltable('/a' PASSING '<a><x>2</x></a>'::xml COLUMNS x numeric) q)",
    "(SELECT q.n FROM xmltable('/a' PASSING '<a/>'::xml COLUMNS n FOR ORDINALITY) q)",
    "(SELECT q.x FROM jsonb_to_record('{\"x\": \"good\"}') AS q (x mood))",
    "coalesce(v, t)",
    "coalesce(l, 'x')",
    "greatest(i, n)",
    "CASE i WHEN 3 THEN 'good' END",
    "coalesce('good', 'bad')",
    "CASE WHEN ok THEN l END",
    "(ARRAY[v, t])[1]",
    "E'good'",
    "$$good$$",
    "(ARRAY(SELECT m))[1]",
    "ARRAY(SELECT m)",
    "(SELECT q.u FROM unnest(ma) AS q (u) LIMIT 1)",
    "(SELECT q.u FROM unnest(ARRAY['good']) AS q (u) LIMIT 1)",
    "(SELECT q.value FROM jsonb_each_text(j) AS q)",
    "(SELECT q.g FROM generate_series(1, 1) AS q (g))",
    "(SELECT q.value FROM jsonb_array_elements_text('[\"good\"]') AS q)",
    "(SELECT z FROM (SELECT m UNION SELECT 'good') q (z) LIMIT 1)",
    "(SELECT z FROM (VALUES (v), (t)) q (z) LIMIT 1)",
    "(SELECT z FROM (SELECT things.i) a (z) JOIN (SELECT things.n::bigint) b (z) USING (z))",
    "(SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY m) FROM things)",
    "(SELECT mode() WITHIN GROUP (ORDER BY d) FROM things)",
    "first_value(m) OVER ()",
    "-i",
    "ARRAY[m]",
    "d::timestamp",
];

#[test]
fn a_call_means_what_it_means_to_the_server_or_is_refused() {
    let postgres = shop::postgres();
    postgres.sql(shop::DATABASE, SCHEMA);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let mut problems = Vec::new();
    let (mut own, mut builtin, mut doubtful) = (0, 0, Vec::new());
    for path in ["public", "public, pg_catalog", "pg_catalog, tools"] {
        let mut both = Both::new(&postgres, &proxy, path);
        for value in VALUES {
            let calls = [
                "lower(X)",
                "length(X)",
                "round(X, 1)",
                "age(X)",
                "abs(X)",
                "ceil(X)",
                "substring(X, 2)",
                "substring(X from 2)",
                "overlay(X, 'z', 1)",
                "left(X, 1)",
                "date(X)",
                "upper(X)",
                "upper(X, 2)",
                "concat(X, X)",
                "to_char(X, '9')",
                "initcap(X)",
                "min(X)",
                "reverse(X)",
                "substring(substring(X, 2), 1)",
                "lower(lower(X))",
                "abs(length(X))",
            ];
            for call in calls {
                let sql = format!("SELECT {} FROM public.things", call.replace('X', value));
                let (straight, behind) = both.ask(&sql);
                match (&straight, &behind) {
                    (_, Answer::Refused(code)) if is_own(&straight) => {
                        own += 1;
                        assert_eq!(code, "PGS0203", "{sql}");
                    }
                    (Answer::Rows(_), Answer::Rows(_)) if straight == behind => {
                        builtin += 1;
                        if is_own(&straight) {
                            problems.push(format!("{path}: {sql}: ran what the rules do not list"));
                        }
                    }
                    (Answer::Rows(_), Answer::Refused(code)) => doubtful.push(format!("{path}: {sql} {code}")),
                    // What the server asks a cast for, pgscrim may know.
                    (Answer::Failed(_), _) => {}
                    (Answer::Rows(_) | Answer::Refused(_), _) => {
                        problems.push(format!("{path}: {sql}\n  {straight:?}\n  {behind:?}"));
                    }
                }
            }
        }
    }
    println!("{own} of the shop refused, {builtin} built in, {} doubtful\n{}", doubtful.len(), doubtful.join("\n"));
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
    assert!(own > 100 && builtin > 800 && doubtful.len() * 20 < builtin, "{own} {builtin} {}", doubtful.len());
}

/// Comparisons as clients write them, where the database has operators of the same names for types of its own.
const COMPARED: &[&str] = &[
    "SELECT i FROM things WHERE i = 3 AND b <> 7 AND n < 9 AND f <= 7",
    "SELECT i FROM things WHERE t = 'Text' AND v = 'Char' AND l = 'Label'",
    "SELECT i FROM things WHERE t LIKE 'T%' AND v NOT LIKE 'x'",
    "SELECT i FROM things WHERE i IN (1, 2, 3) AND t NOT IN ('a', 'b')",
    "SELECT i FROM things WHERE i = ANY ('{1,3}') AND t = ANY (ARRAY['Text'])",
    "SELECT i FROM things WHERE i IN (SELECT b - 1 FROM things)",
    "SELECT i FROM things WHERE d BETWEEN '2025-01-01' AND '2025-02-01'",
    "SELECT CASE i WHEN 3 THEN 'x' ELSE 'y' END, CASE WHEN t = 'Text' THEN 1 END, nullif(i, 4) FROM things",
    "SELECT i FROM things WHERE t IS DISTINCT FROM v AND i IS NOT DISTINCT FROM 3",
    "SELECT count(DISTINCT t), i + 1, -i, i - 1, d + 1 FROM things GROUP BY i, d",
    "SELECT DISTINCT i FROM things",
    "SELECT a.i FROM things a JOIN things b ON a.i = b.i AND (a.t, a.n) = (b.t, b.n)",
    "SELECT i FROM things WHERE (i, t) IN ((3, 'Text'), (4, 'x')) AND (i, b) < (4, 5)",
    "SELECT q.x FROM (SELECT i + 1 AS x, lower(t) AS y FROM things) q WHERE q.x = 4 AND q.y = 'text'",
    "SELECT position('e' IN t) FROM things WHERE m <> 'bad'::mood AND m IN ('good'::mood)",
    "DELETE FROM orders USING things WHERE orders.id = things.i AND false",
    "SELECT i, array_agg(t ORDER BY t USING >) FROM things GROUP BY i ORDER BY i USING >",
    "WITH RECURSIVE r(i) AS (SELECT i FROM things UNION ALL SELECT things.i FROM things, r WHERE false) CYCLE i SET again USING path
        SELECT i, again FROM r",
    "SELECT x.i, x <> x, substring(substring(x.t FROM 1) FROM 2 FOR 3) FROM things x WHERE x.ta[1] = 'a' AND x.j['a'] = '1'",
    "UPDATE orders SET amount = amount + 1 WHERE id = 1 AND false",
    "SELECT t || 'x' || v, t || i, 'a' || t FROM things WHERE ta || '{z}' IS NOT NULL",
    "UPDATE customers SET phone = '0901234001', email = NULL WHERE id = 0",
    "SELECT full_name FROM customers WHERE id = 1",
    "SELECT id FROM customers WHERE phone = '0901234001'",
    "SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.amount > 2000 ORDER BY c.id",
];

/// What means an operator of the database, or could.
const OWN: &[&str] = &[
    "SELECT i FROM things WHERE m = 'good'::text",
    "SELECT i FROM things WHERE m = t",
    "SELECT i FROM things WHERE m < 'bad'",
    "SELECT i FROM things WHERE m LIKE 'g%'",
    "SELECT i FROM things WHERE m IN (t)",
    "SELECT i FROM things WHERE m BETWEEN 'good' AND 'bad'",
    "SELECT t + 1 FROM things",
    "SELECT m || m FROM things",
    "SELECT lower(t) + i FROM things",
    "SELECT -m FROM things",
    "SELECT CASE m WHEN t THEN 1 END FROM things",
    "SELECT i FROM things WHERE m IS DISTINCT FROM t",
    "SELECT nullif(m, t) FROM things",
    "SELECT i FROM things WHERE p = p",
    "SELECT i FROM things WHERE things = things",
    "SELECT i FROM things x WHERE (x.ma)[1] = t",
    "SELECT i FROM things x WHERE x.ma[1] = t",
    "SELECT i FROM things WHERE m = ANY (ta)",
    "SELECT i FROM things WHERE (i, m) = (3, t)",
    "SELECT i FROM things WHERE i = 3 OR m = t",
    "SELECT i FROM things ORDER BY t USING <",
    // The guard of a column that is not seen compares its value.
    "UPDATE customers SET tint = 'dark' WHERE id = 1",
];

#[test]
fn an_operator_of_the_shop_hinders_no_other() {
    let postgres = shop::postgres();
    postgres.sql(shop::DATABASE, SCHEMA);
    postgres.sql(shop::DATABASE, OPERATORS);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let mut both = Both::new(&postgres, &proxy, "public");
    for sql in COMPARED {
        let (straight, behind) = both.ask(sql);
        assert!(matches!(straight, Answer::Rows(_)), "{sql}: {straight:?}");
        if sql.contains("full_name") {
            assert_eq!(behind, Answer::Rows(vec![vec![Some("N*** K***".to_owned())]]), "{sql}");
        } else {
            assert_eq!(straight, behind, "{sql}");
        }
    }
    for sql in OWN {
        assert_eq!(both.ask(sql).1, Answer::Refused("PGS0210".to_owned()), "{sql}");
    }
    for (path, refused) in [("pg_catalog, tools", false), ("tools, pg_catalog, public", true)] {
        let mut both = Both::new(&postgres, &proxy, path);
        let (straight, behind) = both.ask("SELECT t || 'x' FROM public.things");
        assert_eq!(is_own(&straight), refused, "{path}: {straight:?}");
        assert_eq!(behind, if refused { Answer::Refused("PGS0210".to_owned()) } else { straight }, "{path}");
    }
    // By parameters too, whatever the client says of their types.
    for (sql, values) in [
        ("SELECT i FROM things WHERE i = $1 AND t = $2 AND t LIKE $3", &["3", "Text", "T%"][..]),
        ("SELECT i FROM things WHERE i IN ($1, $2) AND d >= $3", &["3", "4", "2025-01-01"]),
        ("SELECT i FROM things WHERE i = ANY ($1) LIMIT $2", &["{3}", "1"]),
    ] {
        let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_bytes())).collect();
        let messages = both.behind.extended(sql, &values, 0);
        assert_eq!(
            answer(&messages),
            Answer::Rows(vec![vec![Some("3".to_owned())]]),
            "{sql}: {}",
            wire::describe(&messages)
        );
    }
}

#[test]
fn rules_vouch_for_functions_of_operators_and_for_overloads() {
    let postgres = shop::postgres();
    postgres.sql(shop::DATABASE, SCHEMA);
    postgres.sql(shop::DATABASE, OPERATORS);
    let listed = "see = { name";
    let functions = "functions = [\"public.plus\", \"public.is_text\", \"public.age\", \"public.lower\"]\nsee = { name";
    let rules = shop::RULES.replace(listed, functions);
    assert_ne!(rules, shop::RULES);
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, rules));
    let mut both = Both::new(&postgres, &proxy, "public");
    for sql in [
        "SELECT t + 1, i + 1 FROM things",
        "SELECT i FROM things WHERE m = t OR i = 3",
        "SELECT age(d), age(tz - interval '1 day') IS NULL, lower(m), lower(t) FROM things",
        "SELECT i FROM things WHERE m LIKE 'g%' OR t LIKE 'T%'",
    ] {
        let (straight, behind) = both.ask(sql);
        assert!(matches!(straight, Answer::Rows(_)), "{sql}: {straight:?}");
        assert_eq!(straight, behind, "{sql}");
    }
    for (sql, code) in [("SELECT -m FROM things", "PGS0210"), ("SELECT length(p) FROM things", "PGS0203")] {
        assert_eq!(both.ask(sql).1, Answer::Refused(code.to_owned()), "{sql}");
    }
}

/// A parameter has the type that its client declares, or that another place in the statement gives it: neither makes an operator of the
/// shop run that the rules do not list.
#[test]
fn a_parameter_runs_no_operator_of_the_shop() {
    type Case<'a> = (&'a str, &'a [u32], &'a [&'a [u8]], Answer, Answer);
    let postgres = shop::postgres();
    postgres.sql(shop::DATABASE, SCHEMA);
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION text_is(text, mood) RETURNS boolean LANGUAGE sql AS $$SELECT true$$;
         CREATE OPERATOR = (LEFTARG = text, RIGHTARG = mood, FUNCTION = text_is)",
    );
    let rows = postgres.sql(shop::DATABASE, "SELECT 'mood'::regtype::oid::text, 'mood[]'::regtype::oid::text");
    let oid = |at: usize| -> u32 { rows[0][at].as_deref().unwrap().parse().unwrap() };
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    let mut both = Both::new(&postgres, &proxy, "public");
    let own = Answer::Rows(vec![vec![Some("3".to_owned())]]);
    let refused = |code: &str| Answer::Refused(code.to_owned());
    let cases: [Case<'_>; 5] = [
        ("SELECT i FROM things WHERE t = $1", &[], &[b"good"], Answer::Rows(vec![]), Answer::Rows(vec![])),
        ("SELECT i FROM things WHERE t = $1", &[oid(0)], &[b"good"], own.clone(), refused("PGS0211")),
        ("SELECT i FROM things WHERE t = $1[1]", &[oid(1)], &[b"{good}"], own.clone(), refused("PGS0210")),
        (
            "SELECT i FROM things WHERE $1::mood IS NOT NULL AND t = $1",
            &[],
            &[b"good"],
            own.clone(),
            refused("PGS0210"),
        ),
        ("SELECT i FROM things WHERE m::text = $1 AND t <> $2", &[], &[b"good", b"x"], own.clone(), own.clone()),
    ];
    for (sql, types, values, to_server, to_proxy) in cases {
        let values: Vec<Option<&[u8]>> = values.iter().copied().map(Some).collect();
        let messages =
            [wire::parse("", sql, types), wire::bind("", "", &[], &values, &[]), wire::execute("", 0), wire::sync()];
        for (client, expected) in [(&mut both.straight, to_server), (&mut both.behind, to_proxy)] {
            client.send(&messages.concat());
            let answered = client.until_ready();
            assert_eq!(answer(&answered), expected, "{sql} {types:?}: {}", wire::describe(&answered));
        }
    }
    for (types, run) in [("mood", refused("PGS0211")), ("mood[]", refused("PGS0211")), ("text", Answer::Rows(vec![]))] {
        let prepare = format!("PREPARE p{} ({types}) AS SELECT i FROM things WHERE t = $1::text", types.len());
        assert_eq!(both.ask(&prepare).1, run, "{prepare}");
    }
    let (straight, behind) = both.ask("PREPARE q(mood) AS SELECT i FROM things WHERE t = $1");
    assert_eq!((straight, behind), (Answer::Rows(vec![]), refused("PGS0211")));
}

/// AT TIME ZONE is always a function of `pg_catalog`, whatever the path finds under its name.
#[test]
fn at_time_zone_is_the_built_in_one() {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "CREATE FUNCTION timezone(text, date) RETURNS text LANGUAGE sql AS 'SELECT $1';
         CREATE FUNCTION timezone(text, timestamp) RETURNS text LANGUAGE sql AS 'SELECT $1';
         CREATE FUNCTION eq(timestamp, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE FUNCTION eq(timestamptz, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR public.= (LEFTARG = timestamp, RIGHTARG = text, FUNCTION = eq);
         CREATE OPERATOR public.= (LEFTARG = timestamptz, RIGHTARG = text, FUNCTION = eq)",
    );
    let proxy = Proxy::start(&postgres, &Options::new(shop::DATABASE, shop::RULES));
    for path in ["public", "public, pg_catalog"] {
        let mut both = Both::new(&postgres, &proxy, path);
        for sql in [
            "SELECT (current_date AT TIME ZONE 'UTC') = 'x'::text",
            "SELECT (localtimestamp AT TIME ZONE 'UTC') = 'x'::text",
            "SELECT (now() AT TIME ZONE 'UTC') = 'x'::text",
        ] {
            let (straight, behind) = both.ask(sql);
            assert_eq!(straight, Answer::Rows(vec![vec![Some("t".to_owned())]]), "{sql}");
            assert_eq!(behind, Answer::Refused("PGS0210".to_owned()), "{path}: {sql}");
        }
    }
}
