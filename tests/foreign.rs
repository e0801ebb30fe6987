//! Foreign tables: one whose columns are in categories is masked as a table is, also as a partition and as a child, whether
//! another server or a file holds its rows; what the wrapper says of a failure on the other side holds no stored value.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy,
    proxy::Options,
    shop,
    wire::{self, Client, Message},
};

/// What stands in stored cells of the shop, and in no mask.
const SECRETS: [&str; 4] = ["0901234", "Thi Minh", "khai", "prefers"];

fn rules() -> String {
    let columns = |name: &str| format!("\"public.customers.{name}\"");
    let more = |name: &str| {
        format!(
            "{}, \"public.far.{name}\", \"public.filed.{name}\", \"public.kin.{name}\", \"public.parts.{name}\"",
            columns(name)
        )
    };
    let mut rules = shop::RULES.to_owned();
    for name in ["full_name", "phone", "email", "id"] {
        rules = rules.replace(&columns(name), &more(name));
    }
    rules
}

/// The shop, with its customers once more: on another server (which is the same one), in a file, as a child, and as a partition.
fn start() -> (Postgres, Proxy) {
    let server = shop::postgres();
    let file = server.data.join("customers.csv").display().to_string();
    let columns = "id int, full_name text, phone varchar(20), email text";
    server.sql(
        shop::DATABASE,
        &format!(
            "ALTER TABLE customers ADD UNIQUE (phone), ADD CHECK (score < 1000);
             CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw;
             CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw
                 OPTIONS (host '{}', port '{}', dbname '{}');
             CREATE USER MAPPING FOR PUBLIC SERVER loop OPTIONS (user 'postgres', password_required 'false');
             CREATE FOREIGN TABLE far ({columns}, score int) SERVER loop OPTIONS (table_name 'customers');
             CREATE TABLE kin ({columns}); CREATE FOREIGN TABLE kin_far () INHERITS (kin) SERVER loop OPTIONS (table_name 'customers');
             CREATE TABLE parts ({columns}) PARTITION BY RANGE (id);
             CREATE FOREIGN TABLE parts_far PARTITION OF parts FOR VALUES FROM (1) TO (1000)
                 SERVER loop OPTIONS (table_name 'customers');
             CREATE VIEW far_v AS SELECT id AS n, phone AS tel FROM far;
             COPY (SELECT id, full_name, phone, email FROM customers ORDER BY id) TO '{file}' (FORMAT csv);
             CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
             CREATE FOREIGN TABLE filed ({columns}) SERVER files OPTIONS (filename '{file}', format 'csv');
             CREATE FOREIGN TABLE broken (id int, full_name int, phone text, email text) SERVER files
                 OPTIONS (filename '{file}', format 'csv');
             CREATE FOREIGN TABLE plain (id int, amount numeric) SERVER loop OPTIONS (table_name 'orders');
             GRANT USAGE ON FOREIGN SERVER loop, files TO support;
             GRANT ALL ON ALL TABLES IN SCHEMA public TO support",
            server.sockets.display(),
            server.port,
            shop::DATABASE,
        ),
    );
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, rules()));
    (server, proxy)
}

/// The restricted login without the proxy.
fn straight(server: &Postgres) -> Client {
    Client::connect(&server.address(), &[("user", "support"), ("database", shop::DATABASE)]).unwrap()
}

fn clean(client: &mut Client, what: &str) {
    let seen = common::text(&client.transcript);
    let found = SECRETS.iter().find(|secret| seen.contains(**secret));
    assert!(found.is_none(), "{what}: {found:?} in {seen}");
    client.forget();
}

/// The answers of both protocols, with results as text and as binary: the same rows, and nothing stored in any byte.
fn rows(client: &mut Client, sql: &str) -> Vec<String> {
    let answers = [client.simple(sql), client.extended(sql, &[], 0), client.extended(sql, &[], 1)];
    clean(client, sql);
    let [simple, extended, binary] = answers;
    let lines = wire::lines(&simple);
    assert_eq!(wire::lines(&extended), lines, "{sql}");
    assert_eq!(wire::lines(&binary).len(), lines.len(), "{sql}");
    lines
}

/// SQLSTATE and the code of pgscrim, `-` for an error of the server.
fn fails(client: &mut Client, sql: &str) -> String {
    let answer = client.simple(sql);
    clean(client, sql);
    let error = wire::error(&answer).unwrap_or_else(|| panic!("{sql}: {}", wire::describe(&answer)));
    let hint = error.field(b'H').filter(|hint| hint.starts_with("PGS"));
    format!("{} {}", error.field(b'C').unwrap(), hint.map_or_else(|| "-".to_owned(), |hint| hint[..7].to_owned()))
}

fn copied(messages: &[Message]) -> String {
    assert!(wire::error(messages).is_none(), "{}", wire::describe(messages));
    let rows = messages.iter().filter(|message| message.kind == b'd');
    rows.map(|row| common::text(&row.body)).collect()
}

#[test]
fn what_is_read_is_masked() {
    let (_server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    for table in ["far", "filed", "kin", "kin_far", "parts", "parts_far"] {
        let first = format!("SELECT id, full_name, phone, email FROM {table} WHERE id = 1");
        assert_eq!(rows(&mut support, &first), ["1|N*** K***|*****001|-"], "{table}");
        let star = rows(&mut support, &format!("SELECT * FROM {table} ORDER BY id LIMIT 1"));
        assert!(star[0].starts_with("1|N*** K***|*****001|-"), "{table}: {star:?}");
        let joined = format!(
            "SELECT f.phone, c.phone, to_jsonb(f) ->> 'full_name' FROM {table} f JOIN customers c USING (id) WHERE c.id = 2"
        );
        assert_eq!(rows(&mut support, &joined), ["*****002|*****002|N*** K***"], "{table}");
        // Exact search is permitted for telephone numbers; of what comes first in them nothing is told.
        let found = format!("SELECT id, phone FROM {table} WHERE phone = '0901234003'");
        assert_eq!(rows(&mut support, &found), ["3|*****003"], "{table}");
        assert_eq!(rows(&mut support, &format!("SELECT id FROM {table} WHERE phone || '' LIKE '0901%'")), [""; 0]);
        let counted = format!("SELECT count(*), min(phone), string_agg(DISTINCT full_name, ';') FROM {table}");
        assert_eq!(rows(&mut support, &counted), ["50|*****001|N*** K***"], "{table}");
        let ordered = format!("SELECT upper(full_name) || phone FROM {table} ORDER BY phone DESC LIMIT 1");
        assert_eq!(rows(&mut support, &ordered), ["N*** K********050"], "{table}");
        let text = format!("COPY (SELECT id, phone, full_name FROM {table} WHERE id < 3 ORDER BY id) TO STDOUT");
        assert_eq!(copied(&support.simple(&text)), "1\t*****001\tN*** K***\n2\t*****002\tN*** K***\n", "{table}");
        clean(&mut support, &text);
        support.simple(&format!("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT phone FROM {table} ORDER BY id"));
        assert_eq!(rows(&mut support, "FETCH ABSOLUTE 4 FROM c"), ["*****004"], "{table}");
        support.simple("COMMIT");
    }
    assert_eq!(rows(&mut support, "SELECT * FROM far_v WHERE n = 5"), ["5|*****005"]);
    // A column that is in no category of a table that has some.
    assert_eq!(rows(&mut support, "SELECT id, score FROM far WHERE id = 1"), ["1|-"]);
    // What is not protected is as it was.
    assert_eq!(rows(&mut support, "SELECT * FROM plain WHERE id = 2"), ["2|21.00"]);
}

/// By its name PostgreSQL copies no foreign table out, protected or not.
#[test]
fn copy_by_name() {
    let (server, proxy) = start();
    let mut straight = straight(&server);
    let mut support = proxy.connect("support", shop::DATABASE);
    for table in ["far", "filed", "plain", "public.parts_far"] {
        for columns in ["", " (id)"] {
            let copy = format!("COPY {table}{columns} TO STDOUT");
            let answer = straight.simple(&copy);
            let error = wire::error(&answer).unwrap_or_else(|| panic!("{copy}: {}", wire::describe(&answer)));
            assert_eq!(error.field(b'C').as_deref(), Some("42809"), "{copy}");
            assert_eq!(fails(&mut support, &copy), "42809 PGS0106", "{copy}");
        }
    }
    // Of a parent the table alone is copied, without its foreign child.
    assert_eq!(copied(&support.simple("COPY kin TO STDOUT")), "");
    // Into one that can be written to.
    let answer = support.simple_copy("COPY far (id, full_name, phone) FROM STDIN", b"900\tLe Van A\t0977\n");
    assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
    assert_eq!(rows(&mut support, "SELECT phone FROM customers WHERE id = 900"), ["*****"]);
}

#[test]
fn what_is_written_keeps_stored_values() {
    let (server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    let stored = |id: u32| {
        let row = server.sql(shop::DATABASE, &format!("SELECT full_name, phone, score FROM customers WHERE id = {id}"));
        row[0].iter().map(|cell| cell.clone().unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join("|")
    };
    for table in ["far", "kin_far", "kin", "parts"] {
        // Its mask back changes nothing; another value is stored, and read as its mask.
        let back = format!(
            "UPDATE {table} SET phone = '*****001', full_name = 'N*** K***' WHERE id = 1 RETURNING phone, full_name"
        );
        assert_eq!(wire::lines(&support.simple(&back)), ["*****001|N*** K***"], "{table}");
        assert_eq!(stored(1), "Nguyen Thi Minh Khai1|0901234001|7", "{table}");
        let parameter = format!("UPDATE {table} SET phone = $1 WHERE id = 1");
        for format in [0, 1] {
            let bound = wire::bind("", "", &[format], &[Some(b"*****001")], &[]);
            support.send(&[wire::parse("", &parameter, &[]), bound, wire::execute("", 0), wire::sync()].concat());
            assert!(wire::error(&support.until_ready()).is_none(), "{table}");
            assert_eq!(stored(1), "Nguyen Thi Minh Khai1|0901234001|7", "{table}");
        }
        let other = format!("UPDATE {table} SET phone = '0988' || '777666' WHERE id = 1 RETURNING phone");
        assert_eq!(wire::lines(&support.simple(&other)), ["*****666"], "{table}");
        assert_eq!(stored(1), "Nguyen Thi Minh Khai1|0988777666|7", "{table}");
        server.sql(shop::DATABASE, "UPDATE customers SET phone = '0901234001' WHERE id = 1");
        clean(&mut support, table);
    }
    let insert =
        "INSERT INTO far (id, full_name, phone) VALUES (901, 'Le Van Be', '0911222333') RETURNING id, full_name, phone";
    assert_eq!(wire::lines(&support.simple(insert)), ["901|L*** B***|*****333"]);
    assert_eq!(stored(901), "Le Van Be|0911222333|-");
    let delete = "DELETE FROM far WHERE phone = '0911222333' RETURNING id, phone";
    assert_eq!(wire::lines(&support.simple(delete)), ["901|*****333"]);
    // A masked value goes into no other table, and none comes from one.
    for sql in [
        "INSERT INTO far (id, full_name, phone) SELECT 902, 'x', phone FROM customers WHERE id = 1",
        "INSERT INTO orders SELECT 902, 1, length(phone), '2025-01-01' FROM far",
        "UPDATE far SET email = full_name",
        "WITH w AS (UPDATE far SET phone = full_name RETURNING 1) SELECT * FROM w",
    ] {
        assert_eq!(fails(&mut support, sql), "42501 PGS0206", "{sql}");
    }
}

/// What the other server says of a failure goes through the wrapper, with its DETAIL and the statement that it was sent.
#[test]
fn errors_of_the_other_server_are_scrubbed() {
    let (server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    for (sql, code) in [
        ("INSERT INTO far (id, full_name) VALUES (1, 'x')", "23505 -"),
        ("UPDATE far SET score = 5000 WHERE id = 1", "23514 -"),
        ("UPDATE far SET full_name = NULL WHERE id = 2", "23502 -"),
    ] {
        let said = wire::describe(&straight(&server).simple(&format!("BEGIN; {sql}")));
        assert!(sql.starts_with("INSERT") || said.contains("0901234"), "the server tells nothing: {said}");
        assert_eq!(fails(&mut support, sql), code, "{sql}");
    }
    // What a file holds that is no value of its column: message and CONTEXT repeat it.
    let said = wire::describe(&straight(&server).simple("SELECT count(full_name) FROM broken"));
    assert!(said.contains("Nguyen Thi Minh"), "the server tells nothing: {said}");
    assert_eq!(fails(&mut support, "SELECT count(full_name) FROM broken"), "22P02 -");
    assert_eq!(rows(&mut support, "SELECT count(*) FROM orders"), ["200"]);
}

/// Definitions and functions of the wrappers are not for restricted roles.
#[test]
fn what_makes_or_asks_for_foreign_tables_is_refused() {
    let (_server, proxy) = start();
    let mut support = proxy.connect("support", shop::DATABASE);
    for sql in [
        "CREATE FOREIGN TABLE mine (phone text) SERVER loop OPTIONS (table_name 'customers')",
        "IMPORT FOREIGN SCHEMA public LIMIT TO (customers) FROM SERVER loop INTO public",
        "ALTER FOREIGN TABLE plain OPTIONS (SET table_name 'customers')",
        "CREATE USER MAPPING FOR support SERVER loop OPTIONS (user 'postgres')",
        "CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw",
        "DROP FOREIGN TABLE plain",
    ] {
        assert_eq!(fails(&mut support, sql), "42501 PGS0205", "{sql}");
    }
    for sql in ["SELECT * FROM postgres_fdw_get_connections()", "SELECT postgres_fdw_disconnect_all()"] {
        assert_eq!(fails(&mut support, sql), "42501 PGS0203", "{sql}");
    }
}
