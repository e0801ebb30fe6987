//! The catalog reader.

use std::time::{Duration, Instant};

use pgscrim::{
    catalog::{
        CatalogData,
        data::{ColumnData, RelationKind},
    },
    names::{AttNum, FIRST_USER_OID, Oid},
    upstream::read_catalog,
};

use super::{common::Postgres, function, relation, type_named, upstream};

/// One of everything that the reader has a word for.
const SCHEMA: &str = r#"
CREATE ROLE watcher LOGIN;
CREATE ROLE shop_staff; CREATE ROLE packing; CREATE ROLE packing_app LOGIN;
GRANT shop_staff TO packing; GRANT packing TO packing_app;
CREATE DATABASE shop;
ALTER DATABASE shop SET search_path = 'app', 'public';
ALTER ROLE packing_app IN DATABASE shop SET Search_Path = 'packing';
ALTER ROLE packing_app SET statement_timeout = '5s';
"#;

const SHOP: &str = r#"
CREATE SCHEMA app;
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'hap''py');
CREATE TYPE public.point3 AS (x int, y int, z int);
CREATE DOMAIN public.phone AS varchar(20);
CREATE FUNCTION public.checked(t text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN public.email AS text CHECK (public.checked(VALUE));
CREATE COLLATION public.vn (provider = libc, locale = 'C');
CREATE TABLE public.customers (
    id int PRIMARY KEY,
    full_name text NOT NULL,
    gone int,
    phone varchar(20),
    ch character(5), bp bpchar, inner_char "char", nm name,
    price numeric(12,2), amount numeric, ts timestamptz(3), t time without time zone, iv interval day to second(2),
    b1 bit(4), b bit varying, vb varbit(7), flag boolean, f8 double precision, f4 real, i2 smallint, i8 bigint,
    tags text[], codes varchar(10)[], grid int[][], m public.mood, ms public.mood[], p3 public.point3, ph public.phone,
    v int2vector, js jsonb, u uuid, r int4range, "Weird ""Name" text COLLATE public.vn,
    ts2 timestamp(0), tz timetz(2), ivp interval(3), ba bytea, bn "bit"
);
ALTER TABLE public.customers DROP COLUMN gone;
ALTER TABLE public.customers ADD COLUMN short text GENERATED ALWAYS AS (left(full_name, 1) || phone) STORED;
ALTER TABLE public.customers ADD COLUMN odd boolean GENERATED ALWAYS AS (public.checked(full_name)) STORED;
COMMENT ON TABLE public.customers IS 'people';
COMMENT ON COLUMN public.customers.phone IS 'as dialled';
CREATE TABLE app.orders (customer_id int, line int, note text, UNIQUE (note), PRIMARY KEY (line, customer_id));
CREATE TABLE app.deferred (id int PRIMARY KEY DEFERRABLE);
CREATE VIEW app.names AS SELECT id, full_name AS name FROM public.customers;
CREATE VIEW app.names2 AS SELECT name, public.checked(name) AS ok FROM app.names;
CREATE VIEW app.counted AS SELECT count(*) FROM public.customers;
CREATE MATERIALIZED VIEW app.names_mat AS SELECT phone FROM public.customers;
CREATE SEQUENCE app.numbers;
CREATE TABLE app.log (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE app.log_2026 PARTITION OF app.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE FUNCTION app.pair(a int, OUT x int, OUT "Y" text, OUT text) LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT 1, NULL::text, NULL::text';
CREATE FUNCTION app.lines() RETURNS SETOF app.orders LANGUAGE sql AS 'SELECT * FROM app.orders';
CREATE FUNCTION app.table_of(n int) RETURNS TABLE (k text, v text) LANGUAGE sql AS $$ SELECT '', '' $$;
CREATE PROCEDURE app.tidy() LANGUAGE sql AS '';
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION app.same(a public.mood, b int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE OPERATOR app.=== (LEFTARG = public.mood, RIGHTARG = int, FUNCTION = app.same);
CREATE VIEW app.uses_operator AS SELECT m OPERATOR(app.===) 1 AS s FROM public.customers;
CREATE FUNCTION app.to_mood(int) RETURNS public.mood LANGUAGE sql IMMUTABLE AS $$ SELECT 'ok'::public.mood $$;
CREATE CAST (int AS public.mood) WITH FUNCTION app.to_mood(int);
"#;

fn server() -> Postgres {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE ROLE watcher LOGIN");
    for statement in SCHEMA.split(";\n").flat_map(|line| line.split("; ")).filter(|text| !text.trim().is_empty()) {
        if !statement.contains("watcher") {
            postgres.sql("postgres", statement);
        }
    }
    postgres.sql("shop", SHOP);
    postgres
}

async fn read(postgres: &Postgres) -> CatalogData {
    read_catalog(&upstream(postgres, "watcher", "shop")).await.unwrap().0
}

fn column<'a>(data: &'a CatalogData, name: &str) -> &'a ColumnData {
    relation(data, "public", "customers").column(name).unwrap_or_else(|| panic!("no column {name}"))
}

#[tokio::test]
async fn an_ordinary_role_reads_everything() {
    let postgres = server();
    let data = read(&postgres).await;
    assert_eq!(data.database, "shop");
    assert!(data.server_version_num >= 140_000);
    assert_eq!(data.server_encoding, "UTF8");
    assert!(data.databases.contains(&"shop".to_owned()) && !data.databases.contains(&"template0".to_owned()));
    assert_eq!(data.default_search_path, "\"$user\", public");

    relations(&data);
    types_of_columns(&data, &postgres);
    views(&data);
    objects(&data);
    roles(&data);

    let text = data.to_json().unwrap();
    assert!(text.ends_with("}\n"));
    // Sources of functions stay out of files.
    assert_eq!(CatalogData::from_json(&text).unwrap(), CatalogData { sources: Vec::new(), ..data.clone() });
    assert_eq!(read(&postgres).await, data, "nothing changed, so a second reading is equal");
    postgres.sql("shop", "ALTER TABLE app.orders ADD extra int");
    assert_ne!(read(&postgres).await, data);
}

/// Of whatever runs a function without naming it in a statement, the function knows.
#[tokio::test]
async fn what_uses_a_function_is_read() {
    let postgres = server();
    postgres.sql(
        "shop",
        "CREATE SCHEMA u; SET search_path = u;
         CREATE TABLE t (x int, y int);
         CREATE FUNCTION by_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE FUNCTION by_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE FUNCTION by_default() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION by_argument() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION by_body() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION by_nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION by_state(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION by_class(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
         CREATE FUNCTION by_range(int, int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8';
         CREATE FUNCTION by_operator(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         DO $$ DECLARE kind text; BEGIN
           FOREACH kind IN ARRAY '{policy,when,check,domain,view,rule,generated,index,where,partition,statistics}'::text[] LOOP
             EXECUTE format('CREATE FUNCTION by_%s(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT $1 > 0''', kind);
           END LOOP; END $$;
         CREATE TYPE pair AS (a int, b int);
         CREATE FUNCTION by_cast(pair) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE CAST (pair AS int) WITH FUNCTION by_cast(pair);
         CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW WHEN (by_when(NEW.x)) EXECUTE FUNCTION by_trigger('kept', 'it''s');
         CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION by_event();
         ALTER TABLE t ALTER x SET DEFAULT by_default(), ADD CHECK (by_check(x)), ADD z boolean GENERATED ALWAYS AS (by_generated(x)) STORED;
         CREATE POLICY p ON t USING (by_policy(x));
         CREATE INDEX ON t (by_index(x)) WHERE by_where(x);
         CREATE STATISTICS s ON (by_statistics(x)), y FROM t;
         CREATE TABLE parts (x int) PARTITION BY LIST (by_partition(x));
         CREATE VIEW v AS SELECT by_view(x) FROM t;
         CREATE RULE r AS ON DELETE TO t DO ALSO SELECT by_rule(1);
         CREATE DOMAIN d AS int CHECK (by_domain(VALUE));
         CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = by_operator);
         CREATE OPERATOR CLASS ops FOR TYPE int USING btree AS FUNCTION 1 by_class(int, int);
         CREATE TYPE span AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = by_range);
         CREATE AGGREGATE total (int) (SFUNC = by_state, STYPE = int);
         CREATE FUNCTION parsed() RETURNS int BEGIN ATOMIC SELECT by_body() + length(query_to_xml('x', false, false, '')::text); END;
         CREATE FUNCTION with_default(x int DEFAULT by_argument()) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    let data = read(&postgres).await;
    let source = |name: &str| {
        let function = data.functions.iter().find(|function| function.schema == "u" && function.name == name).unwrap();
        let source = data.sources.iter().find(|source| source.function == function.oid).unwrap();
        (function.oid, source)
    };
    let named = ["by_argument", "by_body", "by_nothing", "by_state", "total", "parsed", "with_default"];
    let mut count = 0;
    // A range makes constructors of its own, which are internal.
    for function in data.functions.iter().filter(|function| function.schema == "u" && !function.name.contains("span")) {
        let used = !named.contains(&function.name.as_str());
        assert_eq!(source(&function.name).1.used, used, "{}", function.name);
        count += usize::from(used);
    }
    assert_eq!(count, 18);
    for (name, used) in [("total", "by_state"), ("parsed", "by_body"), ("with_default", "by_argument")] {
        assert_eq!(source(name).1.uses, [source(used).0], "{name}");
    }
    assert!(source("parsed").1.text.contains("query_to_xml"), "{}", source("parsed").1.text);
    assert_eq!(&*source("by_trigger").1.arguments, "kept\\000it's\\000");
}

fn relations(data: &CatalogData) {
    let customers = relation(data, "public", "customers");
    assert_eq!(customers.kind, RelationKind::Table);
    assert!(customers.oid >= FIRST_USER_OID);
    assert_eq!(customers.primary_key, [AttNum(1)]);
    assert_eq!(customers.comment.as_deref(), Some("people"));
    assert!(customers.column("gone").is_none());
    let numbers: Vec<i16> = customers.columns.iter().take(4).map(|column| column.attnum.0).collect();
    assert_eq!(numbers, [1, 2, 4, 5]);
    assert!(column(data, "full_name").not_null && !column(data, "phone").not_null);
    assert_eq!(column(data, "phone").comment.as_deref(), Some("as dialled"));
    assert_eq!(column(data, "Weird \"Name").collation.as_deref(), Some("public.vn"));
    assert_eq!(column(data, "full_name").collation, None);
    assert_eq!(column(data, "full_name").generated_from, None);
    let from: Vec<AttNum> = ["full_name", "phone"].map(|name| column(data, name).attnum).to_vec();
    assert_eq!(column(data, "short").generated_from.as_ref(), Some(&from));
    assert_eq!(column(data, "odd").generated_from.as_deref(), Some(&from[..1]));
    assert_eq!(customers.uses_functions, [function(data, "checked").oid]);

    assert_eq!(relation(data, "app", "orders").primary_key, [AttNum(2), AttNum(1)]);
    assert!(relation(data, "app", "deferred").primary_key.is_empty());
    assert_eq!(relation(data, "app", "log").kind, RelationKind::PartitionedTable);
    assert_eq!(relation(data, "app", "numbers").kind, RelationKind::Sequence);
    assert_eq!(relation(data, "public", "point3").kind, RelationKind::Composite);
    let partition = relation(data, "app", "log_2026");
    assert!(data.inherits.iter().any(|i| i.child == partition.oid && i.parent == relation(data, "app", "log").oid));
    assert_eq!(relation(data, "pg_catalog", "pg_class").kind, RelationKind::Table);
    assert!(relation(data, "information_schema", "columns").definition.is_none());
    let toast = relation(data, "pg_toast", &format!("pg_toast_{}", customers.oid.0));
    assert_eq!(toast.kind, RelationKind::Toast);
    assert!(["public", "app", "pg_catalog"].iter().all(|name| data.schemas.iter().any(|schema| schema.name == *name)));
}

/// Written as the reader spells them, all columns of a copy of the table get the types of the original, although the
/// schema first on the path has types of the same names.
fn types_of_columns(data: &CatalogData, postgres: &Postgres) {
    let expect = [
        ("id", "integer", "integer"),
        ("full_name", "pg_catalog.text", "pg_catalog.text"),
        ("phone", "character varying(20)", "character varying"),
        ("ch", "character(5)", "pg_catalog.bpchar"),
        ("bp", "pg_catalog.bpchar", "pg_catalog.bpchar"),
        ("inner_char", "pg_catalog.\"char\"", "pg_catalog.\"char\""),
        ("nm", "pg_catalog.name", "pg_catalog.name"),
        ("price", "numeric(12,2)", "numeric"),
        ("ts", "timestamp(3) with time zone", "timestamp with time zone"),
        ("t", "time without time zone", "time without time zone"),
        ("iv", "interval day to second(2)", "interval"),
        ("ivp", "interval(3)", "interval"),
        ("ts2", "timestamp(0) without time zone", "timestamp without time zone"),
        ("tz", "time(2) with time zone", "time with time zone"),
        ("b1", "bit(4)", "pg_catalog.\"bit\""),
        ("bn", "pg_catalog.\"bit\"", "pg_catalog.\"bit\""),
        ("vb", "bit varying(7)", "bit varying"),
        ("f8", "double precision", "double precision"),
        ("tags", "pg_catalog.text[]", "pg_catalog.text[]"),
        ("codes", "character varying(10)[]", "character varying[]"),
        ("grid", "integer[]", "integer[]"),
        ("m", "public.mood", "public.mood"),
        ("ms", "public.mood[]", "public.mood[]"),
        ("ph", "public.phone", "public.phone"),
        ("v", "pg_catalog.int2vector", "pg_catalog.int2vector"),
        ("u", "pg_catalog.uuid", "pg_catalog.uuid"),
    ];
    for (name, sql, plain) in expect {
        let column = column(data, name);
        assert_eq!((column.type_sql.as_str(), column.type_sql_plain.as_str()), (sql, plain), "{name}");
    }
    assert_eq!((column(data, "ph").type_name.as_str(), column(data, "ph").type_kind), ("phone", 'd'));
    assert_eq!((column(data, "tags").type_name.as_str(), column(data, "tags").type_category), ("_text", 'A'));
    assert_eq!((column(data, "phone").typmod, column(data, "phone").type_category), (24, 'S'));

    let customers = relation(data, "public", "customers");
    let columns = |plain: bool| {
        let write = |column: &ColumnData| {
            format!("c{} {}", column.attnum.0, if plain { &column.type_sql_plain } else { &column.type_sql })
        };
        customers.columns.iter().map(write).collect::<Vec<_>>().join(", ")
    };
    postgres.sql(
        "shop",
        &format!(
            "CREATE SCHEMA evil; CREATE DOMAIN evil.text AS int; CREATE DOMAIN evil.uuid AS int; CREATE DOMAIN evil.bpchar AS int; \
             CREATE DOMAIN evil.int4 AS bool; CREATE DOMAIN evil.integer AS bool; CREATE DOMAIN evil.\"varchar\" AS int; \
             CREATE DOMAIN evil.mood AS int; CREATE DOMAIN evil.\"bit\" AS int; \
             SET search_path = evil, pg_catalog; \
             CREATE TABLE evil.copy ({}); CREATE TABLE evil.plain ({})",
            columns(false),
            columns(true)
        ),
    );
    let differing = |table: &str, what: &str| {
        postgres.sql(
            "shop",
            &format!(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_attribute b \
                   ON b.attrelid = 'evil.{table}'::regclass AND b.attname = 'c' || a.attnum \
                WHERE a.attrelid = 'public.customers'::regclass AND {what}"
            ),
        )
    };
    let empty: Vec<Vec<Option<String>>> = Vec::new();
    assert_eq!(differing("copy", "(a.atttypid, a.atttypmod) <> (b.atttypid, b.atttypmod)"), empty);
    assert_eq!(differing("plain", "(a.atttypid <> b.atttypid OR b.atttypmod <> -1)"), empty);
    postgres.sql("shop", "DROP SCHEMA evil CASCADE");
}

fn views(data: &CatalogData) {
    let uses = |name: &str| -> Vec<(Oid, Option<AttNum>)> {
        relation(data, "app", name).uses_columns.iter().map(|used| (used.relation, used.column)).collect()
    };
    let customers = relation(data, "public", "customers");
    let names = relation(data, "app", "names");
    let definition = names.definition.as_deref().unwrap();
    assert!(definition.contains("FROM public.customers"), "{definition}");
    let phone = column(data, "phone").attnum;
    assert_eq!(uses("names"), [(customers.oid, Some(AttNum(1))), (customers.oid, Some(AttNum(2)))]);
    assert_eq!(uses("names2"), [(names.oid, Some(AttNum(2)))]);
    assert_eq!(uses("counted"), [(customers.oid, None)]);
    assert_eq!(uses("names_mat"), [(customers.oid, Some(phone))]);
    assert_eq!(relation(data, "app", "names_mat").kind, RelationKind::MaterializedView);
    assert!(relation(data, "app", "names_mat").definition.is_some());
    assert_eq!(relation(data, "app", "names2").uses_functions, [function(data, "checked").oid]);
    assert_eq!(relation(data, "app", "uses_operator").uses_functions, [function(data, "same").oid]);
    assert!(names.uses_functions.is_empty());
}

fn objects(data: &CatalogData) {
    let pair = function(data, "pair");
    assert_eq!((pair.schema.as_str(), pair.kind, pair.volatility), ("app", 'f', 's'));
    assert!(pair.security_definer && !pair.returns_set);
    assert_eq!(pair.out_names, ["x", "Y", "column3"]);
    assert_eq!(function(data, "lines").out_names, ["customer_id", "line", "note"]);
    assert_eq!(function(data, "table_of").out_names, ["k", "v"]);
    assert!(function(data, "table_of").returns_set);
    assert_eq!(function(data, "tidy").kind, 'p');
    assert_eq!(function(data, "total").kind, 'a');
    assert!(data.functions.iter().all(|function| function.schema != "pg_catalog"));
    let operator = data.operators.iter().find(|operator| operator.name == "===").unwrap();
    assert_eq!((operator.schema.as_str(), operator.volatility, operator.extension.as_deref()), ("app", 'v', None));
    let mood = type_named(data, "mood");
    assert_eq!((mood.kind, mood.has_user_cast), ('e', true));
    assert_eq!(mood.enum_labels, ["sad", "ok", "hap'py"]);
    assert!(type_named(data, "email").has_user_cast && !type_named(data, "phone").has_user_cast);
    assert_eq!(type_named(data, "point3").kind, 'c');
    assert_eq!((type_named(data, "phone").base_oid, mood.base_oid), (Some(Oid(1043)), None));
    // The row type of a table with a column of such a type runs the function as well.
    assert!(type_named(data, "customers").has_user_cast && !type_named(data, "customers").casts_implicitly);
    assert!(data.types.iter().all(|ty| ty.name != "orders" && ty.name != "_mood" || ty.has_user_cast));
    let int4 = data.types.iter().find(|ty| ty.schema == "pg_catalog").unwrap();
    assert_eq!((int4.name.as_str(), int4.has_user_cast), ("int4", true));
}

fn roles(data: &CatalogData) {
    let app = data.roles.iter().find(|role| role.name == "packing_app").unwrap();
    assert!(app.can_login && !app.superuser);
    assert_eq!(app.member_of, ["packing", "shop_staff"]);
    assert!(data.roles.iter().any(|role| role.name == "postgres" && role.superuser));
    let setting = |name: &str, role: Option<&str>, database: Option<&str>| {
        data.settings
            .iter()
            .find(|s| s.name == name && s.role.as_deref() == role && s.database.as_deref() == database)
            .map(|s| s.value.as_str())
    };
    assert_eq!(setting("search_path", None, Some("shop")), Some("app, public"));
    assert_eq!(setting("search_path", Some("packing_app"), Some("shop")), Some("packing"));
    assert_eq!(setting("statement_timeout", Some("packing_app"), None), Some("5s"));
}

#[tokio::test]
async fn other_sessions_temporary_tables_stay_out() {
    let postgres = server();
    let config = upstream(&postgres, "watcher", "shop");
    let before = read_catalog(&config).await.unwrap();
    let other =
        super::common::wire::Client::connect(&postgres.address(), &[("user", "postgres"), ("database", "shop")]);
    let mut other = other.unwrap();
    other.simple("CREATE TEMP TABLE mine (a text)");
    assert_eq!(read_catalog(&config).await.unwrap(), before);
}

#[tokio::test]
async fn a_table_locked_by_ddl_makes_the_reading_fail_for_now() {
    let postgres = server();
    let config = upstream(&postgres, "watcher", "shop");
    let other =
        super::common::wire::Client::connect(&postgres.address(), &[("user", "postgres"), ("database", "shop")]);
    let mut other = other.unwrap();
    other.simple("BEGIN; ALTER TABLE public.customers ADD again int");
    let error = read_catalog(&config).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    other.simple("ROLLBACK");
    read_catalog(&config).await.unwrap();
}

#[tokio::test]
async fn ten_thousand_relations_take_seconds() {
    let postgres = Postgres::start();
    for start in (0..5000).step_by(1000) {
        postgres.sql(
            "postgres",
            &format!(
                "DO $$ BEGIN FOR i IN {start}..{} LOOP
                   EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a text, b varchar(20), c numeric(10,2), d date)', i);
                   EXECUTE format('CREATE VIEW v%s AS SELECT id, a FROM t%s', i, i);
                 END LOOP; END $$",
                start + 999
            ),
        );
    }
    let start = Instant::now();
    let data = read_catalog(&upstream(&postgres, "postgres", "postgres")).await.unwrap().0;
    let taken = start.elapsed();
    assert!(data.relations.iter().filter(|relation| relation.schema == "public").count() >= 10_000);
    println!("{} relations in {taken:?}", data.relations.len());
    assert!(taken < Duration::from_secs(20), "{taken:?}");
}

/// What an extension owns may be called, and `ALTER EXTENSION` changes no row but the one that says so.
#[tokio::test]
async fn what_an_extension_owns_is_part_of_the_state() {
    let postgres = Postgres::start();
    let config = upstream(&postgres, "postgres", "postgres");
    postgres.sql("postgres", "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'");
    let mut before = read_catalog(&config).await.unwrap().1.state;
    assert_eq!(before, read_catalog(&config).await.unwrap().1.state, "nothing has changed");
    for change in ["ADD FUNCTION f(int)", "DROP FUNCTION f(int)", "DROP FUNCTION plpgsql_call_handler()"] {
        postgres.sql("postgres", &format!("ALTER EXTENSION plpgsql {change}"));
        let after = read_catalog(&config).await.unwrap().1.state;
        assert_ne!(before, after, "{change}");
        before = after;
    }
}

/// What reads the catalog runs no cast of the database: those of these would tell that it is of version 0, and that nothing changes.
#[tokio::test]
async fn casts_of_the_database_do_not_mislead_the_reading() {
    let postgres = Postgres::start();
    let config = upstream(&postgres, "postgres", "postgres");
    for number in ["int2", "int4", "int8", "oid"] {
        postgres.sql(
            "postgres",
            &format!(
                "CREATE FUNCTION no_{number}(text) RETURNS {number} LANGUAGE sql IMMUTABLE AS 'SELECT 0::{number}';
                 CREATE CAST (text AS {number}) WITH FUNCTION no_{number}(text) AS IMPLICIT"
            ),
        );
        postgres.sql("postgres", &format!("CREATE CAST ({number} AS text) WITH INOUT AS IMPLICIT"));
    }
    let replace = |body: &str| {
        let function =
            format!("CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT {body}'");
        postgres.sql("postgres", &function);
    };
    replace("1");
    let (data, moment) = read_catalog(&config).await.unwrap();
    assert!(data.server_version_num >= 140_000);
    assert_eq!(data.functions.iter().filter(|function| function.name.starts_with("no_")).count(), 4);
    replace("2");
    assert_ne!(read_catalog(&config).await.unwrap().1.state, moment.state);
}

/// The state is a sum over hashes of rows. Rows and transactions may not be told apart on their own: what two rows exchange would
/// cancel out.
#[test]
fn changes_of_two_rows_never_cancel_out() {
    const KEY: &str = "(pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) |";
    let source = include_str!("../../src/upstream/catalog/watch.rs");
    let sql: Vec<&str> = source.lines().filter(|line| line.contains("xmin")).collect();
    assert!(sql.len() > 10);
    for line in sql {
        let line = ["a.", "r.", "t."]
            .iter()
            .fold(line.to_owned(), |line, alias| line.replace(&format!("{alias}xmin"), "xmin"));
        assert_eq!(line.matches("xmin").count(), line.matches(KEY).count(), "hashed otherwise: {line}");
    }
    let hashed = format!("pg_catalog.hashint8extended({KEY} oid::int8, 0)");
    let postgres = Postgres::start();
    let rows = postgres.sql(
        "postgres",
        &format!(
            "WITH h AS MATERIALIZED (
                 SELECT x, o, s.hash::numeric FROM generate_series(700, 739) x, generate_series(16384, 16423) o,
                        LATERAL (SELECT {hashed} AS hash FROM (SELECT x::text::xid AS xmin, o AS oid) r) s
             )
             SELECT count(*), count(*) FILTER (WHERE a.hash + d.hash = b.hash + c.hash)
               FROM h a JOIN h b ON b.x = a.x AND b.o > a.o JOIN h c ON c.o = a.o AND c.x > a.x JOIN h d ON d.x = c.x AND d.o = b.o"
        ),
    );
    assert_eq!(rows, [[Some("608400".to_owned()), Some("0".to_owned())]]);
}
