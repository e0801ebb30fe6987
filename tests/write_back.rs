//! Masks that come back as values: the stored value stays, whatever the type of the column, for parameters in text and in binary, and
//! by way of a view; with `write_back = "allow"` what is sent is stored, with `"refuse"` the assignment is refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, shop,
    wire::{self, Client},
};

const SCHEMA: &str = "
CREATE TABLE typed (id int PRIMARY KEY, n int, day date, price numeric(8,2), doc jsonb, whole bigint, word text, code varchar(12), flag bool);
INSERT INTO typed VALUES
    (1, 4711, '1990-05-18', 1234.56, '{\"tel\": \"0901\", \"lang\": \"vi\"}', 99, 'Nguyen Thi Khai', '0901234001', true),
    (2, 12, '1971-01-02', 7.89, '[1]', 98, 'Le Van Be', '0901234002', false);
CREATE VIEW typed_v AS SELECT id AS k, n AS a, day AS b, price AS c, doc AS d, word AS w, code AS p FROM typed;
CREATE VIEW typed_vv AS SELECT k, a, p FROM typed_v WHERE k > 0 WITH CHECK OPTION;
GRANT ALL ON typed, typed_v, typed_vv TO support;
";

fn rules(write_back: &str) -> String {
    let columns =
        |names: &[&str]| names.iter().map(|name| format!("\"public.typed.{name}\"")).collect::<Vec<_>>().join(", ");
    format!(
        "policy = \"typed\"\n[category.number]\ncolumns = [{}]\n[category.day]\ncolumns = [{}]\n[category.gone]\ncolumns = [{}]\n[category.doc]\ncolumns = [\"public.typed.doc\"]\n\
         [category.name]\ncolumns = [{}]\n[category.phone]\ncolumns = [{}]\n[category.none]\ncolumns = [\"public.typed.id\"]\n\
         [[role]]\nname = \"owner\"\nmatch = {{ user = [\"owner\", \"postgres\"] }}\nexempt = true\n\
         [[role]]\nname = \"support\"\nmatch = {{ user = [\"support\"] }}\n{write_back}\n\
         see = {{ number = {{ mask = \"num_round\", k = 100 }}, day = \"date_year\", gone = \"withhold\", doc = {{ mask = \"json_keep\", allow = [\"lang\"] }}, name = \"name_initials\", phone = \"phone_last\" }}\n",
        columns(&["n", "price"]),
        columns(&["day"]),
        columns(&["whole", "flag"]),
        columns(&["word"]),
        columns(&["code"]),
    )
}

fn start(write_back: &str) -> (Postgres, Proxy) {
    shop::start_other(&[shop::SCHEMA, SCHEMA], &rules(write_back))
}

fn stored(server: &Postgres) -> Vec<String> {
    let rows = server.sql(shop::DATABASE, "SELECT t::text FROM typed t ORDER BY id");
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

/// The cells of the first row, in a format.
fn cells(client: &mut Client, sql: &str, format: i16) -> Vec<Option<Vec<u8>>> {
    let answer = client.extended(sql, &[], format);
    let row = answer.iter().find(|message| message.kind == b'D');
    row.unwrap_or_else(|| panic!("{sql}: {}", wire::describe(&answer))).values()
}

fn send(client: &mut Client, sql: &str, format: i16, values: &[Option<&[u8]>]) -> Vec<wire::Message> {
    let bound = wire::bind("", "", &[format], values, &[0]);
    client.send(&[wire::parse("", sql, &[]), bound, wire::execute("", 0), wire::sync()].concat());
    client.until_ready()
}

const COLUMNS: [&str; 8] = ["n", "day", "price", "doc", "whole", "word", "code", "flag"];

#[test]
fn masks_come_back_as_parameters() {
    let (server, proxy) = start("");
    let before = stored(&server);
    let mut support = proxy.connect("support", shop::DATABASE);
    let all = COLUMNS.join(", ");
    let [text, binary] =
        [0, 1].map(|format| cells(&mut support, &format!("SELECT {all} FROM typed WHERE id = 1"), format));
    assert_ne!(text[0].as_deref(), Some(b"4711".as_slice()));
    for (format, masks) in [(0, &text), (1, &binary)] {
        // Each alone, all together as a form sends them, and in other forms of assignment.
        for (column, mask) in COLUMNS.iter().zip(masks) {
            let sql = format!("UPDATE typed SET {column} = $1 WHERE id = 1");
            let answer = send(&mut support, &sql, format, &[mask.as_deref()]);
            assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
            assert_eq!(stored(&server), before, "{sql} {format}");
        }
        let values: Vec<Option<&[u8]>> = masks.iter().map(Option::as_deref).collect();
        let places: Vec<String> = (1..=COLUMNS.len()).map(|number| format!("${number}")).collect();
        let places = places.join(", ");
        let set: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        for sql in [
            format!("UPDATE typed SET ({all}) = ROW({places}) WHERE id = 1"),
            format!("UPDATE typed t SET ({all}) = ({places}) FROM orders o WHERE o.id = t.id AND t.id = 1"),
            format!("INSERT INTO typed (id, {all}) VALUES (1, {places}) ON CONFLICT (id) DO UPDATE SET {}", set.join(", ")),
            "UPDATE typed_v SET a = $1, b = $2, c = $3, d = $4, w = $6, p = $7 WHERE k = 1 AND $5::bigint IS NULL AND $8::bool IS NULL".to_owned(),
        ] {
            let answer = send(&mut support, &sql, format, &values);
            assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
            let tag = answer.iter().find(|message| message.kind == b'C').unwrap().tag();
            assert!(tag.ends_with(" 1"), "{sql}: {tag}");
            assert_eq!(stored(&server), before, "{sql} {format}");
        }
    }
}

/// What is no mask is stored, in both formats.
#[test]
fn other_values_are_stored() {
    let (server, proxy) = start("");
    let mut owner = proxy.connect("owner", shop::DATABASE);
    let mut support = proxy.connect("support", shop::DATABASE);
    owner.simple(
        "INSERT INTO typed VALUES (3, 77, '2001-02-03', 55.25, '{\"a\": 1}', 5, 'Tran Thi Hoa', '0977000111', true)",
    );
    let expected = stored(&server)[2].clone();
    let all = COLUMNS.join(", ");
    for format in [0, 1] {
        let values = cells(&mut owner, &format!("SELECT {all} FROM typed WHERE id = 3"), format);
        for (number, column) in COLUMNS.iter().enumerate() {
            let sql = format!("UPDATE typed SET {column} = $1 WHERE id = 2 RETURNING id");
            let answer = send(&mut support, &sql, format, &[values[number].as_deref()]);
            assert_eq!(wire::lines(&answer), ["2"], "{sql}");
        }
        assert_eq!(stored(&server)[1], expected.replacen("(3", "(2", 1), "{format}");
        server.sql(shop::DATABASE, "UPDATE typed SET (n, day, price, doc, whole, word, code, flag) = (1, '1999-01-01', 1, '1', 1, 'x', 'y', NULL) WHERE id = 2");
    }
}

#[test]
fn by_way_of_a_view() {
    let (server, proxy) = start("");
    let before = stored(&server);
    let mut support = proxy.connect("support", shop::DATABASE);
    let [a, p] = ["a", "p"].map(|column| {
        wire::text_rows(&support.simple(&format!("SELECT {column} FROM typed_vv WHERE k = 1")))[0][0].clone().unwrap()
    });
    for sql in [
        format!("UPDATE typed_vv SET a = {a}, p = '{p}' WHERE k = 1 RETURNING a, p"),
        format!("UPDATE typed_vv v SET p = '{p}' WHERE v.k = 1 RETURNING v.a, v.p"),
        format!(
            "WITH w AS (UPDATE typed_v SET a = {a}, p = '{p}', d = '{{\"lang\": \"vi\"}}' WHERE k = 1 RETURNING a, p) SELECT * FROM w"
        ),
        format!("UPDATE typed_v SET (a, p) = ROW({a}, '{p}') WHERE k = 1 RETURNING a, p"),
    ] {
        assert_eq!(wire::lines(&support.simple(&sql)), [format!("{a}|{p}")], "{sql}");
        assert_eq!(stored(&server), before, "{sql}");
    }
    let changed = support.simple("UPDATE typed_vv SET p = '0988777666' WHERE k = 2 RETURNING p");
    assert_eq!(wire::lines(&changed), ["*****666"]);
    assert!(stored(&server)[1].contains("0988777666"));
}

/// The documented other two: all is stored, also the mask; nothing may be assigned.
#[test]
fn allow_and_refuse() {
    let (server, proxy) = start("write_back = \"allow\"");
    let mut support = proxy.connect("support", shop::DATABASE);
    for format in [0, 1] {
        server.sql(
            shop::DATABASE,
            "UPDATE typed SET n = 4711, code = '0901234001', word = 'Nguyen Thi Khai', doc = '1' WHERE id = 1",
        );
        let masks = cells(&mut support, "SELECT n, code, word, doc FROM typed WHERE id = 1", format);
        let shown = cells(&mut support, "SELECT n, code, word, doc FROM typed WHERE id = 1", 0);
        let values: Vec<Option<&[u8]>> = masks.iter().map(Option::as_deref).collect();
        let sql = "UPDATE typed SET n = $1, code = $2, word = $3, doc = $4 WHERE id = 1";
        let answer = send(&mut support, sql, format, &values);
        assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        let now = &server.sql(shop::DATABASE, "SELECT n, code, word, doc FROM typed WHERE id = 1")[0];
        let shown: Vec<_> = shown.into_iter().map(|cell| cell.map(|cell| common::text(&cell))).collect();
        assert_eq!(*now, shown, "{format}");
    }
    assert_eq!(wire::lines(&support.simple("UPDATE typed SET code = 'abc' WHERE id = 2 RETURNING code")), ["*****"]);
    // Still no masked value from elsewhere.
    let answer = support.simple("UPDATE typed SET word = code");
    assert!(wire::error(&answer).unwrap().field(b'H').unwrap().starts_with("PGS0206"), "{}", wire::describe(&answer));

    let (server, proxy) = start("write_back = \"refuse\"");
    let before = stored(&server);
    let mut support = proxy.connect("support", shop::DATABASE);
    for sql in [
        "UPDATE typed SET code = 'abc' WHERE id = 2",
        "UPDATE typed_v SET p = '*****002' WHERE k = 2",
        "INSERT INTO typed (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 5",
    ] {
        let answer = support.simple(sql);
        assert!(
            wire::error(&answer).unwrap().field(b'H').unwrap().starts_with("PGS0209"),
            "{sql}: {}",
            wire::describe(&answer)
        );
    }
    assert_eq!(stored(&server), before);
}
