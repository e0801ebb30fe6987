//! Functions, operators and types of extensions, with the extensions in place: what depends on its arguments alone runs, on masks; what
//! reads tables, pages or other servers is refused as not permitted, which is not the same as not being there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Postgres, Proxy, proxy::Options, shop, wire};

const SECRETS: [&str; 3] = ["0901234", "Thi Minh", "gmail"];

const EXTENSIONS: &str = "
CREATE EXTENSION hstore; CREATE EXTENSION dblink; CREATE EXTENSION pageinspect; CREATE EXTENSION pgcrypto;
CREATE EXTENSION citext; CREATE EXTENSION pg_trgm; CREATE EXTENSION tablefunc; CREATE EXTENSION unaccent;
CREATE EXTENSION pgrowlocks; CREATE EXTENSION pg_visibility; CREATE EXTENSION xml2; CREATE EXTENSION pg_walinspect;
CREATE EXTENSION pgstattuple; CREATE EXTENSION pg_buffercache; CREATE EXTENSION pg_prewarm; CREATE EXTENSION lo;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO support;
GRANT pg_read_server_files, pg_monitor TO support;
CREATE TABLE handles (id int, mail citext, data hstore);
INSERT INTO handles VALUES (1, 'Khai1@Gmail.Com', 'tel => 0901234001, colour => red');
GRANT ALL ON handles TO support;
";

fn start() -> (Postgres, Proxy) {
    let server = shop::load_other(Postgres::start(), &[shop::SCHEMA, EXTENSIONS]);
    let phones =
        shop::RULES.replace("\"public.customers.email\"", "\"public.customers.email\", \"public.handles.mail\"");
    let rules = phones.replace("\"public.customers.note\"", "\"public.customers.note\", \"public.handles.data\"");
    let rules = rules.replace("\"public.customers.id\"", "\"public.customers.id\", \"public.handles.id\"");
    let rules = rules.replace("note = \"refuse\"", "note = \"withhold\"");
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, rules));
    (server, proxy)
}

#[test]
fn what_depends_on_its_arguments_alone_runs() {
    let (_server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    for (sql, expected) in [
        ("SELECT hstore('a', 'b') -> 'a'", "b"),
        ("SELECT hstore_to_json('a => 1'::hstore)", "{\"a\": \"1\"}"),
        (
            "SELECT akeys(hstore('tel', phone)), hstore('tel', phone) -> 'tel' FROM customers WHERE id = 1",
            "{tel}|*****001",
        ),
        ("SELECT hstore(c) -> 'phone' FROM customers c WHERE id = 1", "*****001"),
        (
            "SELECT key, value FROM customers c, each(hstore(c)) WHERE id = 1 AND key = 'full_name'",
            "full_name|N*** K***",
        ),
        ("SELECT similarity(phone, '*****001') FROM customers WHERE id = 1", "1"),
        (
            "SELECT encode(digest(phone, 'sha256'), 'hex') = encode(sha256('*****001'), 'hex') FROM customers WHERE id = 1",
            "t",
        ),
        ("SELECT 'ABC'::citext = 'abc', id, mail FROM handles", "t|1|-"),
        ("SELECT unaccent('é'), length(gen_random_bytes(4))", "e|4"),
        ("SELECT pgp_sym_decrypt(pgp_sym_encrypt('a', 'k'), 'k')", "a"),
        ("SELECT citext_eq(full_name::citext, 'n*** k***') FROM customers WHERE id = 1", "t"),
        ("SELECT count(*) FROM customers WHERE full_name::citext = 'nguyen thi minh khai1'", "0"),
    ] {
        for format in [None, Some(0), Some(1)] {
            let answer = match format {
                None => support.simple(sql),
                Some(format) => support.extended(sql, &[], format),
            };
            if format == Some(1) {
                assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
            } else {
                assert_eq!(wire::lines(&answer), [expected], "{sql}");
            }
        }
    }
    let seen = common::text(&support.transcript);
    assert!(!SECRETS.iter().any(|secret| seen.contains(secret)), "{seen}");
}

#[test]
fn what_reads_elsewhere_is_not_permitted() {
    let (server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    let mut straight =
        wire::Client::connect(&server.address(), &[("user", "owner"), ("database", shop::DATABASE)]).unwrap();
    let here = format!("host=127.0.0.1 port={} user=postgres dbname=shop", server.port);
    let dblink = [
        format!("SELECT * FROM dblink('{here}', 'SELECT phone FROM customers') AS t (p text)"),
        format!("SELECT dblink_connect('{here}')"),
        format!("SELECT dblink_connect('c', '{here}')"),
        format!("SELECT dblink_exec('{here}', 'UPDATE customers SET note = phone')"),
        "SELECT dblink_build_sql_insert('customers', '1 3', 2, '{1}', '{1}')".to_owned(),
        "SELECT dblink_get_pkey('customers')".to_owned(),
    ];
    let others = [
        "SELECT get_raw_page('customers', 0)",
        "SELECT * FROM heap_page_items(get_raw_page('customers', 0))",
        "SELECT heap_page_item_attrs(get_raw_page('customers', 0), 'customers')",
        "SELECT * FROM bt_page_items('customers_phone_idx', 1)",
        "SELECT * FROM bt_metap('customers_phone_idx')",
        "SELECT page_header('x'::bytea)",
        "SELECT tuple_data_split('customers'::regclass, 'x', 0, 0, NULL)",
        "SELECT * FROM crosstab('SELECT 1, phone, phone FROM customers') AS t (a int, b text)",
        "SELECT * FROM connectby('customers', 'phone', 'id', '1', 0) AS t (a text, b text, l int)",
        "SELECT normal_rand(1, 1, 1)",
        "SELECT * FROM pgrowlocks('customers')",
        "SELECT * FROM pg_visibility('customers')",
        "SELECT * FROM xpath_table('id', 'phone', 'customers', '/', 'true') AS t (i int, x text)",
        "SELECT * FROM pg_get_wal_records_info('0/1', '0/2')",
        "SELECT * FROM pgstattuple('customers')",
        "SELECT * FROM pg_buffercache_pages() AS t (a int)",
        "SELECT pg_prewarm('customers')",
    ];
    for sql in dblink.iter().map(String::as_str).chain(others) {
        for answer in [support.simple(sql), support.extended(sql, &[], 0)] {
            let error = wire::error(&answer).unwrap_or_else(|| panic!("{sql}: {}", wire::describe(&answer)));
            let (code, hint, said) =
                (error.field(b'C').unwrap(), error.field(b'H').unwrap_or_default(), error.field(b'M').unwrap());
            assert!(hint.starts_with("PGS0203") && code == "42501", "{sql}: {}", wire::describe(&answer));
            assert!(said.starts_with("permission denied for function"), "{sql}: {said}");
        }
        // It is there: the server's own answer is not that it does not exist.
        straight.simple("BEGIN");
        let answer = straight.simple(sql);
        straight.simple("ROLLBACK");
        let missing = wire::error(&answer).and_then(|error| error.field(b'M'));
        let missing = missing.is_some_and(|said| said.starts_with("function ") && said.ends_with("does not exist"));
        assert!(!missing, "{sql}: {}", wire::describe(&answer));
    }
    // One that is not there has another code.
    let answer = support.simple("SELECT dblink_nowhere('x')");
    assert_eq!(wire::error(&answer).unwrap().field(b'C').as_deref(), Some("42883"));
    let seen = common::text(&support.transcript);
    assert!(!SECRETS.iter().any(|secret| seen.contains(secret)), "{seen}");
}

/// Every function of these extensions without arguments that is not immutable: none may run but those that were looked at.
#[test]
fn every_function_of_the_extensions() {
    let (server, proxy) = start();
    let rows = server.sql(
        shop::DATABASE,
        "SELECT DISTINCT e.extname, p.proname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
         JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass AND p.pronargs = 0
         WHERE p.provolatile <> 'i' AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) ORDER BY 1, 2",
    );
    let mut support = proxy.connect("support", shop::DATABASE);
    let mut allowed = Vec::new();
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        let [extension, name] = [0, 1].map(|at| row[at].clone().unwrap());
        let answer = support.simple(&format!("SELECT count(*) FROM (SELECT {name}()) x"));
        let refused =
            wire::error(&answer).and_then(|error| error.field(b'H')).is_some_and(|hint| hint.starts_with("PGS0203"));
        if !refused {
            allowed.push(format!("{extension}.{name}"));
        }
    }
    assert_eq!(allowed, ["pg_trgm.show_limit", "pgcrypto.gen_random_uuid"]);
}
