//! Conditions of rules in databases that hold operators of extensions and of users: they load, mean what they mean in a database
//! without, and no search path of a client makes them mean something else.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{fmt::Write as _, process::Command};

use common::{
    Folder, Postgres, Proxy,
    proxy::{Options, SERVICE_LOGIN},
    wire,
};

const TABLES: &str = "
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE DOMAIN code AS varchar(8);
CREATE TABLE t (id serial PRIMARY KEY, a int, b int, c int, s text, v varchar(10), m mood, at timestamptz, j jsonb);
CREATE TABLE u (a int, s text);
INSERT INTO t (a, b, c, s, v, m, at, j)
SELECT a, b, c, s, s, (ARRAY['sad', 'ok', 'glad', NULL])[1 + abs(coalesce(a, 0) + coalesce(b, 0)) % 4]::mood,
       timestamptz '2025-01-01 00:00+00' + coalesce(a, 0) * interval '20 hours',
       jsonb_build_object('k', a, 'l', s)
  FROM unnest(ARRAY[-1, 0, 1, 2, NULL]) a, unnest(ARRAY[0, 1, 2, NULL]) b, unnest(ARRAY[0, 1, NULL]) c,
       unnest(ARRAY['x', 'xy', 'Xz', '', NULL]) s;
INSERT INTO u VALUES (1, 'x'), (1, 'xy'), (2, 'xy'), (0, NULL);
";

/// What shops install, and what would take over where it could: exact matches of every operator, on a schema that clients put first.
const OTHERS: &str = "
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm; CREATE EXTENSION intarray;
CREATE EXTENSION cube; CREATE EXTENSION unaccent; CREATE EXTENSION isn; CREATE EXTENSION seg;
";

const EVIL: &str = "
CREATE SCHEMA evil;
DO $$
DECLARE kind text; operator text;
BEGIN
  FOREACH kind IN ARRAY ARRAY['int', 'bigint', 'text', 'varchar', 'timestamptz', 'public.mood', 'jsonb', 'name', 'date'] LOOP
    EXECUTE format('CREATE FUNCTION evil.yes(%1$s, %1$s) RETURNS bool LANGUAGE sql IMMUTABLE AS ''SELECT true''', kind);
    FOREACH operator IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>=', '~~', '!~~', '~~*', '!~~*', '~', '~*', '@>', '->', '->>', '||', '+', '-', '*', '%'] LOOP
      EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = evil.yes)', operator, kind);
    END LOOP;
  END LOOP;
END $$;
";

const CONDITIONS: &[&str] = &[
    "a = 1",
    "a = b",
    "a + 1 = b",
    "a = b + 1 AND c <> 1",
    "NOT a = b",
    "NOT a = b AND c = 0 OR a > 1",
    "a = 1 OR b = 2 AND c = 0",
    "a = -1",
    "a - 1 = -1",
    "a - -1 = b",
    "a - b - c = 0",
    "a - (b - c) = 0",
    "a - b * c > 0",
    "a * b - c <= 0",
    "a * b % 2 - c = -1",
    "a IN (1, 2)",
    "a NOT IN (1, b)",
    "NOT a IN (1, b + 1) AND c = 1",
    "a BETWEEN 0 AND b",
    "a NOT BETWEEN 0 AND 1 AND b = 1",
    "a + 1 BETWEEN b - 1 AND b * 2 OR c = 1",
    "s LIKE 'x%'",
    "s NOT LIKE '%y' OR a IS NULL",
    "s ILIKE 'X%' AND a = 1",
    "s LIKE 'x' || '%'",
    "s || 'z' = 'xz'",
    "s || v = 'x' || 'x'",
    "(a = b) = (b = c)",
    "a = b IS NULL",
    "a = b IS NOT TRUE",
    "a < b IS FALSE AND NOT c = 1",
    "CASE WHEN a = 1 THEN b = 2 WHEN a > 1 THEN c = 0 ELSE s = 'x' END",
    "coalesce(a, b, 0) = 0",
    "pg_catalog.length(s) % 2 = 1",
    "left(s, 1) = 'x'",
    "position('y' in s) = 2",
    "extract(day FROM at) = 1",
    "EXISTS (SELECT 1 FROM public.u WHERE u.a = t.b AND u.s = t.s)",
    "EXISTS (SELECT * FROM public.u x JOIN public.u y ON x.a = y.a AND x.s <> y.s WHERE x.a = t.a)",
    "a IN (SELECT u.a FROM public.u)",
    "a NOT IN (SELECT u.a FROM public.u WHERE u.a = t.b)",
    "(SELECT count(*) FROM public.u WHERE u.a = t.a) > 1",
    "a = (SELECT pg_catalog.max(u.a) FROM public.u WHERE u.s LIKE t.s || '%')",
    "a = ANY (ARRAY[1, 2])",
    "a <> ALL (ARRAY[b, c])",
    "v = 'x'",
    "v IN ('x', 'xy')",
    "v <> 'x' AND v < 'y'",
    "m = 'sad'",
    "m IN ('sad', 'ok')",
    "m <> 'ok' AND a > 0",
    "m > 'sad'",
    "at < timestamptz '2025-01-01 12:00+00'",
    "at > timestamp with time zone '2025-01-02 00:00+00' - interval '5 hours'",
    "at + interval '1 day' > '2025-01-02 10:00+00' AND at < now() - interval '1 day'",
    "at::date = date '2025-01-01' + 1",
    "j -> 'k' = '1'",
    "j ->> 'l' = 'x' || 'y'",
    "j @> '{\"k\": 1}' AND NOT j @> '{\"l\": \"x\"}'",
    "(a, b) = (1, 2)",
    "s = session_user OR s = 'x'",
    "s ~ '^x' AND NOT s ~* 'Y$'",
    "a::text = '1' AND b::text <> '0'",
    "ARRAY[a, b] @> ARRAY[1]",
    "s COLLATE \"C\" < 'x'",
    "s IS DISTINCT FROM 'x' IS NOT TRUE OR a = 1",
];

/// Words that only the search path gives a meaning: told so, with what to write.
const REFUSED: &[(&str, &str)] = &[
    ("a IS DISTINCT FROM b", "DISTINCT may mean an operator = outside pg_catalog: write it with OPERATOR("),
    ("nullif(a, 1) IS NULL", "NULLIF may mean an operator ="),
    ("CASE a WHEN 1 THEN true END", "CASE may mean an operator ="),
    ("s LIKE 'x!%' ESCAPE '!'", "LIKE may mean an operator ~~"),
    ("EXISTS (SELECT 1 FROM public.u JOIN public.u w USING (a))", "USING may mean an operator ="),
    ("- a = 1", "this use of - may mean an operator - outside pg_catalog"),
    ("a + 0 = ANY (ARRAY[1])", "this use of = may mean an operator ="),
    ("a = b = true", "use brackets, or write OPERATOR("),
];

fn rules(conditions: &[&str]) -> String {
    let mut rules = "policy = \"operators\"\n[category.none]\ncolumns = [\"public.t.*\"]\n[[role]]\nname = \"owner\"\nmatch = { user = \
                     \"postgres\" }\nexempt = true\n"
        .to_owned();
    for (number, condition) in conditions.iter().enumerate() {
        let condition = condition.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(
            rules,
            "[[role]]\nname = \"r{number}\"\nmatch = {{ user = \"r{number}\" }}\nrows = {{ \"public.t\" = \"{condition}\" }}\n"
        );
    }
    rules
}

fn ids(messages: &[wire::Message]) -> Vec<Vec<Option<String>>> {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    wire::text_rows(messages)
}

fn start() -> Postgres {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE DATABASE plain");
    postgres.sql("postgres", "CREATE DATABASE shop");
    postgres.sql("postgres", SERVICE_LOGIN);
    for database in ["plain", "shop"] {
        postgres.sql(database, TABLES);
    }
    let logins: Vec<String> = (0..CONDITIONS.len()).map(|number| format!("CREATE ROLE r{number} LOGIN;")).collect();
    postgres.sql("postgres", &logins.concat());
    postgres
}

#[test]
fn conditions_mean_what_they_mean_without_other_operators() {
    let postgres = start();
    postgres.sql("shop", OTHERS);
    postgres.sql("shop", EVIL);
    postgres.sql("shop", "GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT SELECT ON t, u TO PUBLIC");
    let conditions: Vec<&str> =
        CONDITIONS.iter().copied().filter(|condition| !condition.contains("DISTINCT FROM")).collect();
    let proxy = Proxy::start(&postgres, &Options::new("shop", rules(&conditions)));
    let (mut some, mut taken) = (0, 0);
    let parameters = [("user", "postgres"), ("database", "shop"), ("search_path", "evil, public, pg_catalog")];
    let mut attacked = wire::Client::connect(&postgres.address(), &parameters).unwrap();
    for (number, condition) in conditions.iter().enumerate() {
        let sql = format!("SELECT id FROM t WHERE ({condition}) ORDER BY id");
        let expected = postgres.sql("plain", &sql);
        some += usize::from(!expected.is_empty() && expected.len() < 300);
        // The attack is one: straight to the server the same path answers otherwise.
        let answer = attacked.simple(&sql);
        taken += usize::from(wire::error(&answer).is_some() || wire::text_rows(&answer) != expected);
        for path in ["public", "evil, public, pg_catalog", "evil, pg_catalog, public"] {
            let user = format!("r{number}");
            let parameters = [("user", user.as_str()), ("database", "shop"), ("search_path", path)];
            let mut client = wire::Client::connect(&proxy.address(), &parameters).unwrap();
            let answer = ids(&client.simple("SELECT id FROM public.t ORDER BY id"));
            assert_eq!(answer, expected, "{condition} by the path {path}");
        }
    }
    assert!(some > 40 && taken > 30, "{some} {taken}");
}

/// Loads rules with one condition, and answers what is complained about.
fn checked(postgres: &Postgres, condition: &str) -> String {
    checked_rules(postgres, &rules(&[condition]))
}

fn checked_rules(postgres: &Postgres, rules: &str) -> String {
    let folder = Folder::new();
    folder.write("rules/rules.toml", rules);
    let config = format!(
        "rules = \"rules\"\n[upstream]\nurl = \"postgres://pgscrim:catalog@127.0.0.1:{}/shop\"\n[audit]\npath = \"audit\"\n",
        postgres.port
    );
    let config = folder.write("pgscrim.toml", &config);
    let output = Command::new(env!("CARGO_BIN_EXE_pgscrim")).arg("check").arg("--config").arg(config).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_only_the_path_gives_a_meaning_is_told() {
    let postgres = start();
    for (condition, _) in REFUSED.iter().filter(|(condition, _)| *condition != "a = b = true") {
        let said = checked(&postgres, condition);
        assert!(!said.contains("cannot be used"), "{condition}: {said}");
    }
    postgres.sql("shop", OTHERS);
    postgres.sql("shop", "ALTER TABLE t ADD e citext, ADD h hstore, ADD l ltree, ADD k code");
    let mut told = REFUSED.to_vec();
    told.extend([
        ("e = 'x'", "e is public.citext, and which operator = is meant depends on the search path: write OPERATOR(pg_catalog.=)"),
        ("e IN ('x')", "OPERATOR(public.=) instead of IN"),
        ("a = 1 AND e LIKE 'x%'", "which operator ~~ is meant"),
        ("h -> 'k' = 'v'", "h is public.hstore"),
        ("l <@ 'a.b'", "l is public.ltree"),
        ("s::public.citext = 'x'", "citext is no built-in type"),
        ("public.unaccent(s) = 'x'", "unaccent may return any type"),
        ("k = 'x'", "k is public.code"),
        ("EXISTS (SELECT 1 FROM (SELECT t.e AS f) x WHERE x.f = 'x')", "which operator = is meant"),
        // PostgreSQL's own has no meaning for texts.
        ("s % 'x'", "Write an operator of an extension with its schema: OPERATOR(public.%)."),
        ("a = (SELECT max(u.a) FROM public.u)", "function max needs its schema, or pg_catalog, before its name"),
    ]);
    for (condition, expected) in told {
        let said = checked(&postgres, condition);
        assert!(said.contains(expected), "{condition}: {said}");
        assert!(said.contains("rules.toml:"), "{condition}: {said}");
    }
    // As they are told to be written.
    for condition in [
        "e OPERATOR(public.=) 'x'",
        "(h OPERATOR(public.->) 'k') OPERATOR(pg_catalog.=) 'v'",
        "e OPERATOR(public.=) ANY (ARRAY['x', 'y']::public.citext[])",
        "l OPERATOR(public.<@) 'a.b'",
        "k OPERATOR(pg_catalog.=) 'x'",
        "s OPERATOR(public.%) 'x' AND a = 1",
        "public.unaccent(s) OPERATOR(pg_catalog.=) 'x'",
    ] {
        let said = checked(&postgres, condition);
        assert!(!said.contains("cannot be used") && !said.contains("does not take"), "{condition}: {said}");
    }
}

const EMAILS: &str = r#"
policy = "emails"
[category.none]
columns = ["public.people.id"]
[category.email]
columns = ["public.people.email"]
[[role]]
name = "owner"
match = { user = "postgres" }
exempt = true
[[role]]
name = "care"
match = { user = "r0" }
see = { email = "email" }
search = { email = "exact" }
[[role]]
name = "clear"
match = { user = "r1" }
see = { email = "clear" }
rows = { "public.people" = "email OPERATOR(public.=) 'MAI@shop.vn' OR id > 2" }
[[role]]
name = "hidden"
match = { user = "r2" }
search = { email = "exact" }
"#;

/// A domain of citext is searched as PostgreSQL does it.
#[test]
fn a_domain_of_citext_is_searched_as_what_it_is_made_of() {
    let postgres = start();
    postgres.sql(
        "shop",
        "CREATE EXTENSION citext; CREATE DOMAIN mail AS citext; CREATE TABLE people (id int PRIMARY KEY, email mail UNIQUE);
         GRANT SELECT ON people TO PUBLIC; INSERT INTO people VALUES (1, 'Mai@Shop.vn'), (2, 'lan@gmail.com')",
    );
    let rules = EMAILS.replace("see = { email = \"email\" }\nsearch", "see = { email = \"null\" }\nsearch");
    let proxy = Proxy::start(&postgres, &Options::new("shop", rules));
    let mut direct = wire::Client::connect(&postgres.address(), &[("user", "postgres"), ("database", "shop")]).unwrap();
    let mut hidden = proxy.connect("r2", "shop");
    let many: &[Option<&[u8]>] = &[Some(b"{MAI@SHOP.VN,nobody}")];
    let cases: [(&str, &[Option<&[u8]>]); 5] = [
        ("SELECT id FROM people WHERE email = ANY (ARRAY[$1, 'nobody'])", &[Some(b"MAI@SHOP.VN".as_slice())]),
        ("SELECT id FROM people WHERE email = ANY ($1)", many),
        ("SELECT id FROM people WHERE email = $1", &[Some(b"MAI@SHOP.VN".as_slice())]),
        ("SELECT id FROM people WHERE email IN ('mai@shop.vn', 'nobody')", &[]),
        ("SELECT id FROM people WHERE email::text = ANY ($1)", many),
    ];
    for (sql, values) in cases {
        let answers = [&mut direct, &mut hidden].map(|client| ids(&client.extended(sql, values, 0)));
        assert_eq!(answers[0], answers[1], "{sql}");
        // Elements of ARRAY are texts to PostgreSQL.
        assert_eq!(answers[0].len(), usize::from(!sql.contains("::text") && !sql.contains("ARRAY")), "{sql}");
    }
}

/// Columns of the type citext: masked, searched without regard to case, and kept as they are when their mask is written back.
#[test]
fn citext_is_masked_and_searched_as_what_it_is() {
    let postgres = start();
    postgres.sql("shop", OTHERS);
    postgres.sql(
        "shop",
        "CREATE TABLE people (id int PRIMARY KEY, email citext UNIQUE); GRANT SELECT, UPDATE ON people TO PUBLIC;
         INSERT INTO people VALUES (1, 'Mai@Shop.vn'), (2, 'lan@gmail.com'), (3, NULL), (4, '')",
    );
    let proxy = Proxy::start(&postgres, &Options::new("shop", EMAILS));
    let mut care = proxy.connect("r0", "shop");
    assert_eq!(
        ids(&care.simple("SELECT email FROM people ORDER BY id")),
        [Some("M***@***.vn"), Some("l***@gmail.com"), None, Some("")].map(|one| vec![one.map(str::to_owned)])
    );
    let mut direct = wire::Client::connect(&postgres.address(), &[("user", "postgres"), ("database", "shop")]).unwrap();
    let mut hidden = proxy.connect("r2", "shop");
    let one: &[Option<&[u8]>] = &[Some(b"MAI@SHOP.VN")];
    let many: &[Option<&[u8]>] = &[Some(b"{MAI@SHOP.VN,nobody}")];
    let cases: &[(&str, &[Option<&[u8]>])] = &[
        ("SELECT id FROM people WHERE email = 'mai@shop.vn'", &[]),
        ("SELECT id FROM people WHERE email = 'MAI@shop.VN' OR id = 2", &[]),
        ("SELECT id FROM people WHERE email IN ('mai@shop.vn', 'LAN@gmail.com') ORDER BY id", &[]),
        ("SELECT id FROM people WHERE lower(email) = 'mai@shop.vn'", &[]),
        ("SELECT id FROM people WHERE email = $1", one),
        ("SELECT id FROM people WHERE email = $1::citext", one),
        ("SELECT id FROM people WHERE email = $1::text", one),
        ("SELECT id FROM people WHERE email = ANY ($1)", many),
        ("SELECT id FROM people WHERE email = ANY ($1::citext[])", many),
        ("SELECT id FROM people WHERE email::text = $1", one),
        ("SELECT id FROM people WHERE email ILIKE 'mai@shop.vn'", &[]),
        ("SELECT id FROM people WHERE email LIKE 'MAI@shop.vn'", &[]),
    ];
    for (sql, values) in cases {
        for path in ["public", "''"] {
            let expected: Vec<_> = [&mut direct, &mut care, &mut hidden]
                .into_iter()
                .map(|client| {
                    client.simple(&format!("SET search_path = {path}"));
                    let sql = if path == "''" { sql.replace("people", "public.people") } else { (*sql).to_owned() };
                    let answer = client.extended(&sql, values, 0);
                    client.simple("SET search_path = public");
                    match wire::error(&answer) {
                        Some(error) => Err(error.field(b'C')),
                        None => Ok(wire::text_rows(&answer)),
                    }
                })
                .collect();
            assert_eq!(expected[1], expected[0], "{sql} by the path {path}");
            assert_eq!(expected[2], expected[0], "{sql} by the path {path}");
        }
    }
    // The mask written back changes nothing, in whatever case; another value does.
    care.simple("UPDATE people SET email = 'M***@***.vn' WHERE id = 1");
    let stored = || postgres.sql("shop", "SELECT email FROM people WHERE id = 1")[0][0].clone().unwrap();
    assert_eq!(stored(), "Mai@Shop.vn");
    care.simple("UPDATE people SET email = 'new@shop.vn' WHERE id = 1");
    assert_eq!(stored(), "new@shop.vn");
    postgres.sql("shop", "UPDATE people SET email = 'Mai@Shop.vn' WHERE id = 1");
    let mut clear = proxy.connect("r1", "shop");
    for path in ["public", "''", "pg_catalog"] {
        clear.simple(&format!("SET search_path = {path}"));
        let answer = ids(&clear.simple("SELECT id FROM public.people ORDER BY id"));
        assert_eq!(answer, ["1", "3", "4"].map(|id| vec![Some(id.to_owned())]), "{path}");
    }
}

const BY_EMAIL: &str = r#"
policy = "by e-mail"
[subject]
key = "public.buyers.email"
links = { "public.carts.buyer" = "public.buyers.email", "public.items.cart" = "public.carts.code" }
[consent]
records = "public.consents"
subject = "email"
purpose = "purpose"
[erasure]
records = "public.erasures"
subject = "email"
[category.none]
columns = ["public.*.id", "public.buyers.email", "public.carts.buyer", "public.carts.code", "public.items.cart"]
[category.name]
columns = ["public.buyers.name", "public.carts.note", "public.items.note"]
[[role]]
name = "owner"
match = { user = "postgres" }
exempt = true
[[role]]
name = "staff"
match = { user = "r0" }
see = { name = "clear" }
[[role]]
name = "news"
match = { user = "r1" }
purposes = ["news"]
consent = true
see = { name = "clear" }
[[role]]
name = "court"
match = { user = "r2" }
legal_duty = true
[[grant]]
role = "court"
document = "1"
from = 2020-01-01T00:00:00Z
until = 2099-01-01T00:00:00Z
subjects = ["LAN@shop.vn"]
see = { name = "clear" }
"#;

/// Where subjects are known by a citext, or by a domain of it, a wish that spells it otherwise counts, as it would for a foreign key, on
/// any path.
#[test]
fn subjects_known_by_a_citext_are_found_in_any_case() {
    let postgres = start();
    // The types of the key, of links, and of the subjects of records.
    for (database, [key, link, record]) in [
        ("a", ["citext"; 3]),
        ("b", ["mail"; 3]),
        ("c", ["citext", "mail", "login"]),
        ("d", ["login", "citext", "mail"]),
    ] {
        postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
        postgres.sql(
            database,
            "CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; GRANT USAGE ON SCHEMA ext TO PUBLIC",
        );
        let tables = format!(
            "SET search_path = public, ext; CREATE DOMAIN mail AS citext; CREATE DOMAIN login AS mail CHECK (VALUE <> '');
             CREATE TABLE buyers (id int, email {key} PRIMARY KEY, name text);
             CREATE TABLE carts (id int, code {key} UNIQUE, buyer {link} REFERENCES buyers, note text);
             CREATE TABLE items (id int, cart {link} REFERENCES carts (code), note text);
             CREATE TABLE consents (email {record}, purpose {record}); CREATE TABLE erasures (email {record});
             INSERT INTO buyers VALUES (1, 'Mai@Shop.vn', 'Mai'), (2, 'Lan@Shop.vn', 'Lan');
             INSERT INTO carts VALUES (1, 'a', 'mai@shop.vn', 'of Mai'), (2, 'b', 'LAN@shop.vn', 'of Lan');
             INSERT INTO items VALUES (1, 'A', 'by Mai'), (2, 'B', 'by Lan');
             INSERT INTO erasures VALUES ('MAI@SHOP.VN');
             INSERT INTO consents VALUES ('lan@shop.vn', 'news'), ('mai@shop.vn', 'NEWS');
             GRANT SELECT ON buyers, carts, items, consents, erasures TO PUBLIC"
        );
        postgres.sql(database, &tables);
        let equal =
            "SET search_path = public, ext; SELECT count(*) FROM buyers JOIN erasures ON erasures.email = buyers.email";
        assert_eq!(postgres.sql(database, equal), [[Some("1".to_owned())]], "to PostgreSQL they are equal");
        let proxy = Proxy::start(&postgres, &Options::new(database, BY_EMAIL));
        for user in ["r0", "r1", "r2"] {
            let mut client = proxy.connect(user, database);
            for path in ["public, ext", "ext, pg_catalog", "''"] {
                client.simple(&format!("SET search_path = {path}"));
                for (sql, lan) in [
                    ("SELECT name FROM public.buyers ORDER BY id", "Lan"),
                    ("SELECT note FROM public.carts ORDER BY id", "of Lan"),
                    ("SELECT note FROM public.items ORDER BY id", "by Lan"),
                ] {
                    let found = ids(&client.simple(sql));
                    assert_eq!(found, [vec![None], vec![Some(lan.to_owned())]], "{database} {user} {path}: {sql}");
                }
            }
        }
    }
}

/// A type that brings no equality along may be compared as another: as texts, `A` and `a` differ, and a wish would not count.
#[test]
fn subjects_of_a_type_without_equality_are_complained_about() {
    let postgres = start();
    postgres.sql(
        "shop",
        "CREATE TYPE mail; CREATE FUNCTION mail_in(cstring) RETURNS mail LANGUAGE internal IMMUTABLE STRICT AS 'textin';
         CREATE FUNCTION mail_out(mail) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
         CREATE TYPE mail (INPUT = mail_in, OUTPUT = mail_out, LIKE = text);
         CREATE CAST (mail AS text) WITHOUT FUNCTION AS IMPLICIT; CREATE DOMAIN login AS mail;
         CREATE TABLE buyers (id int, email mail, name text); CREATE TABLE carts (id int, code mail, buyer login, note text);
         CREATE TABLE items (id int, cart mail, note text); CREATE TABLE consents (email login, purpose text);
         CREATE TABLE erasures (email mail)",
    );
    let said = checked_rules(&postgres, BY_EMAIL);
    let unknown = said.matches("is public.mail, and what is equal of that type is not known").count();
    assert_eq!(unknown, 4, "{said}");
}
