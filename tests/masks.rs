//! Every mask on a real PostgreSQL: the documented outputs, the type of the result, and what must hold for any input
//! (no error, NULL kept, nothing revealed beyond the promise, masking twice changes nothing).

#![allow(
    clippy::pedantic,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;
#[path = "common/maskspec.rs"]
mod maskspec;
#[path = "common/promised.rs"]
mod promised;
#[path = "common/strings.rs"]
#[allow(missing_docs, reason = "as in common")]
mod texts;

use common::Postgres;
use maskspec::{fit_in, spec, types_of};
use pgscrim::{
    catalog::{CatalogSnapshot, Column, testing},
    names::quote_literal,
    policy::{Mask, masks::MaskSpec},
};
use texts::strings;

/// Mask, parameters, type of the column, stored value, documented mask.
const EXAMPLES: &[(&str, &str, &str, &str, &str)] = &[
    ("constant", "value = '***'", "text", "abc", "***"),
    ("constant", "value = 7", "integer", "123", "7"),
    ("constant", "value = 'a{}b'", "text", "abc", "a{}b"),
    ("full", "", "text", "Trần", "*****"),
    ("full", "", "varchar(20)", "0", "*****"),
    ("full", "", "integer", "42", "0"),
    ("full", "", "numeric(12,2)", "42.5", "0.00"),
    ("full", "", "boolean", "t", "false"),
    ("full", "", "date", "1990-05-17", "1970-01-01"),
    ("full", "", "timestamp", "1990-05-17 10:00:00", "1970-01-01 00:00:00"),
    ("full", "", "timestamptz", "1990-05-17 10:00:00+07", "1970-01-01 00:00:00+00"),
    ("full", "", "uuid", "11111111-1111-1111-1111-111111111111", "00000000-0000-0000-0000-000000000000"),
    ("full", "", "bytea", "\\xdead", "\\x"),
    ("full", "", "jsonb", "{\"a\":1}", "\"*****\""),
    ("full", "", "json", "{\"a\":1}", "\"*****\""),
    ("full", "", "text[]", "{a,b}", "{}"),
    ("full", "", "inet", "10.1.2.3", "0.0.0.0/32"),
    ("partial", "first = 2, last = 2", "text", "Trần Thị B", "Tr***** B"),
    ("partial", "first = 2, last = 2", "text", "Trần Th", "*****"),
    ("partial", "first = 3, last = 2", "varchar(20)", "0901234567", "090*****67"),
    ("partial", "first = 0, last = 4, fill = '#'", "text", "0901234567", "#####4567"),
    ("name_initials", "", "varchar(100)", "Nguyễn Thị Minh Khai", "N*** K***"),
    ("name_initials", "", "text", "An", "A***"),
    ("name_initials", "", "text", "CÔNG TY TNHH ABC", "C*** A***"),
    ("name_initials", "", "text", "  Trần   Ánh ", "T*** Á***"),
    ("name_initials", "", "text", "A", "***"),
    ("name_initials", "", "text", " A ", "***"),
    ("name_initials", "", "text", "A  B", "***"),
    ("name_initials", "", "text", "A Bình", "A*** B***"),
    ("name_initials", "", "text", "   ", "***"),
    ("name_family", "", "text", "Nguyễn Thị Minh Khai", "Nguyễn ***"),
    ("name_family", "", "text", "An", "***"),
    ("name_family", "", "text", "CÔNG TY TNHH ABC", "CÔNG ***"),
    ("name_given", "", "text", "Nguyễn Thị Minh Khai", "*** Khai"),
    ("name_given", "", "text", "An", "***"),
    ("name_given", "", "text", "CÔNG TY TNHH ABC", "*** ABC"),
    ("name_words", "", "text", "Nguyễn Thị Minh Khai", "N*** T*** M*** K***"),
    ("name_words", "", "text", "An", "A***"),
    ("name_words", "", "text", "A Bình", "*** B***"),
    ("name_words", "", "text", "CÔNG TY TNHH ABC", "C*** T*** T*** A***"),
    ("phone_vn", "", "varchar(20)", "0901234567", "090*****67"),
    ("phone_vn", "", "varchar(20)", "+84 90 123 45 67", "+84 9*****67"),
    ("phone_vn", "", "varchar(20)", "84901234567", "8490*****67"),
    ("phone_vn", "", "varchar(20)", "1900 1234", "*****"),
    ("phone_vn", "", "text", "0901234567 gọi chị Lan", "*****"),
    ("phone_last", "", "varchar(20)", "0901234567", "*****567"),
    ("phone_last", "", "varchar(20)", "+84 90 123 45 67", "*****67"),
    ("phone_last", "strip = true", "varchar(20)", "+84 90 123 45 67", "*****567"),
    ("phone_last", "", "varchar(20)", "1900 1234", "*****"),
    ("phone_format", "", "varchar(20)", "0901234567", "*******567"),
    ("phone_format", "", "varchar(20)", "+84 90 123 45 67", "+** ** *** *5 67"),
    ("phone_format", "", "varchar(20)", "1900 1234", "**** *234"),
    ("phone_bigint", "", "bigint", "84901234567", "84900000067"),
    ("phone_bigint", "", "bigint", "901234567", "900000067"),
    ("phone_bigint", "", "bigint", "123", "0"),
    ("phone_bigint", "", "numeric(12,0)", "84901234567", "84900000067"),
    ("email", "", "varchar(255)", "minh.khai@gmail.com", "m***@gmail.com"),
    ("email", "", "varchar(255)", "a@b.vn", "a***@***.vn"),
    ("email", "", "varchar(255)", "not-an-email", "*****"),
    ("email", "", "text", "minh@gmail.com / 0901234567", "m***@***"),
    ("email", "", "text", "\"a@b\"@gmail.com", "\"***@gmail.com"),
    ("email", "public_domains = ['b.vn']", "text", "a@b.vn", "a***@b.vn"),
    ("email", "hidden_domain = 'example.com'", "varchar(254)", "minh.khai@gmail.com", "m***@gmail.com"),
    ("email", "", "text", "minh.khai@GMail.com", "m***@gmail.com"),
    ("email", "hidden_domain = 'example.com'", "varchar(254)", "minh.khai@GMAIL.com", "m***@gmail.com"),
    ("email", "hidden_domain = 'example.com'", "varchar(16)", "a@b.vn", "a***@example.com"),
    ("email", "hidden_domain = 'example.com'", "text", "a***@example.com", "a***@example.com"),
    ("email", "hidden_domain = 'example.com'", "text", "not-an-email", "****@example.com"),
    ("email", "hidden_domain = 'example.com'", "text", "\"a@b\"@gmail.com", "****@gmail.com"),
    ("email_domain", "", "text", "minh.khai@gmail.com", "***@gmail.com"),
    ("email_domain", "", "text", "a@b.vn", "***@b.vn"),
    ("email_domain", "", "text", "not-an-email", "*****"),
    ("email_anon", "", "text", "minh.khai@gmail.com", "mi***@gm***.com"),
    ("email_anon", "", "text", "a@b.vn", "***@***.vn"),
    ("email_anon", "", "text", "not-an-email", "*****"),
    ("address_province", "", "text", OLD, "***, TP. Hồ Chí Minh"),
    ("address_province", "", "text", NEW, "***, TP. Hồ Chí Minh"),
    ("address_province", "", "text", "12/3 Nguyễn Trãi, TP. Hồ Chí Minh 700000, Việt Nam", "***, TP. Hồ Chí Minh"),
    ("address_province", "", "text", "Hà Nội", "*****"),
    ("address_area", "", "text", OLD, "***, Quận 1, TP. Hồ Chí Minh"),
    ("address_area", "", "text", NEW, "***, TP. Hồ Chí Minh"),
    ("address_area", "keep_ward = true", "text", NEW, "***, Phường Bến Thành, TP. Hồ Chí Minh"),
    ("address_area", "", "text", "12 Nguyễn Trãi, Hà Nội", "*****"),
    ("address_street_hidden", "", "text", OLD, "***, Phường Bến Thành, Quận *, TP. Hồ Chí Minh"),
    ("address_street_hidden", "", "text", NEW, "***, Phường Bến Thành, TP. Hồ Chí Minh"),
    ("postcode_first", "", "text", "70000", "70***"),
    ("geo_round", "", "float8", "10.7769", "10.78"),
    ("geo_round", "", "numeric(9,6)", "106.700981", "106.700000"),
    ("pan", "", "varchar(19)", "9704361234561234", "970436******1234"),
    ("pan", "", "varchar(19)", "9704 3612 3456 1234", "970436******1234"),
    ("pan", "", "varchar(19)", "12345678901", "*****"),
    ("pan_last4", "", "varchar(19)", "9704361234561234", "************1234"),
    ("bank_account", "", "text", "0071000123789", "*****789"),
    ("bank_account", "", "text", "1234567", "*****"),
    ("iban", "", "text", "DE89370400440532013000", "DE*******3000"),
    ("cccd", "", "varchar(12)", "079090654321", "*****321"),
    ("cccd", "last = 0", "varchar(12)", "079090654321", "*****"),
    ("cmnd", "", "text", "024567812", "*****12"),
    ("mst", "", "text", "0312345678", "*****78"),
    ("mst", "", "text", "0312345678-001", "*****01"),
    ("plate", "", "text", "59X1-123.45", "59*****"),
    (
        "url_placeholder",
        "url = 'https://static.shop.vn/masked.png'",
        "text",
        "https://cdn/a.png",
        "https://static.shop.vn/masked.png",
    ),
    ("url_host", "", "text", "https://u:pw@cdn.shop.vn/avatars/0901234567.jpg?X-Amz=1", "https://cdn.shop.vn/***"),
    ("url_host", "", "text", "avatars/0901234567.jpg", "*****"),
    ("url_ext", "", "text", "https://cdn.shop.vn/claims/1.MP4?token=a.jpg", "https://cdn.shop.vn/***.MP4"),
    ("url_ext", "", "text", "https://cdn.shop.vn/claims/1.exe", "https://cdn.shop.vn/***"),
    ("url_signed_strip", "", "text", "https://u:p@cdn.shop.vn/a/1.mp4?token=1#t", "https://cdn.shop.vn/a/1.mp4"),
    (
        "data_uri",
        "",
        "text",
        "data:image/jpeg;base64,AAAA",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==",
    ),
    ("data_uri", "", "text", "https://cdn.shop.vn/a.png", "*****"),
    (
        "bytea_placeholder",
        "",
        "bytea",
        "\\xdead",
        "\\x89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a4944415478da6368000000820081da45083b0000000049454e44ae426082",
    ),
    (
        "bytea_placeholder",
        "kind = 'mp4'",
        "bytea",
        "\\xdead",
        "\\x000000186674797069736f6d0000020069736f6d6d703431000000086d646174",
    ),
    ("phone_vn", "", "text[]", "{0901234567,NULL,\"\",+84912345678,An}", "{090*****67,NULL,\"\",+8491*****78,*****}"),
    (
        "url_placeholder",
        "url = 'https://s.vn/m.png'",
        "varchar(40)[]",
        "{https://cdn/a.png,b}",
        "{https://s.vn/m.png,https://s.vn/m.png}",
    ),
    ("name_initials", "", "text[]", "{}", "{}"),
    ("email", "", "text[]", "{{a@b.vn,c@d.vn},{e@f.vn,g@h.vn}}", "{}"),
    ("partial", "first = 1, last = 1", "char(8)[]", "{abcdefgh,abc}", "{\"a*****h \",\"*****   \"}"),
    ("range_text", "bounds = [1000000, 2000000]", "text", "1.500.000", "1000000–1999999"),
    ("range_text", "bounds = [1000000, 2000000]", "varchar(20)", "2000000", "≥2000000"),
    ("range_text", "bounds = [1000000, 2000000]", "text", "999 999", "<1000000"),
    ("range_text", "bounds = [1000000, 2000000]", "text", "1500.5", "*****"),
    (
        "range_text",
        "bounds = [1000000, 2000000], labels = ['dưới 1 triệu', '1–2 triệu', 'từ 2 triệu']",
        "varchar(20)",
        "1500000",
        "1–2 triệu",
    ),
    ("full", "keep_length = true", "text", "Trần Ánh", "********"),
    ("partial", "first = 2, last = 1, keep_length = true", "text", "Trần Ánh", "Tr*****h"),
    ("partial", "first = 2, last = 1, keep_length = true", "text", "Trần", "****"),
    ("date_year", "", "date", "1990-05-17", "1990-01-01"),
    ("date_month", "", "date", "1990-05-17", "1990-05-01"),
    ("birth_band", "", "date", "1990-05-17", "1990-01-01"),
    ("birth_band", "", "date", "1999-12-31", "1990-01-01"),
    ("birth_band", "", "date", "1890-01-01", "1920-01-01"),
    ("date_const", "", "date", "1990-05-17", "1970-01-01"),
    ("date_const", "date = '2000-02-29'", "date", "1990-05-17", "2000-02-29"),
    ("ts_hour", "", "timestamp", "2026-01-02 03:45:06", "2026-01-02 03:00:00"),
    ("ts_day", "", "timestamptz", "2026-01-02 03:45:06+00", "2026-01-02 00:00:00+00"),
    ("num_zero", "", "numeric(12,2)", "5.25", "0.00"),
    ("num_const", "value = 9", "integer", "5", "9"),
    ("num_const", "value = 9.5", "numeric(4,1)", "5", "9.5"),
    ("num_const", "value = -0.25", "float8", "5", "-0.25"),
    ("num_round", "k = 10000", "integer", "1234567", "1230000"),
    ("num_round", "k = 10000", "numeric(12,2)", "1234567.00", "1230000.00"),
    ("num_round", "k = 10", "integer", "-1", "-10"),
    ("num_bucket", "bounds = [0, 18, 30, 60]", "integer", "37", "30"),
    ("num_bucket", "bounds = [0, 18, 30, 60]", "integer", "99", "60"),
    ("num_bucket", "bounds = [0, 18, 30, 60]", "integer", "-5", "0"),
    ("num_sign", "", "integer", "-37", "-1"),
    ("text_redact", "", "text", "gọi sau 18h", "*****"),
    ("text_first", "n = 10", "text", "0901234567 gọi sau 18h", "[sđt] gọi "),
    (
        "text_scrub",
        "",
        "text",
        "Gọi 090 123 45 67, mail a.b@c.vn hoặc https://x.vn/?p=1 nhé",
        "Gọi [sđt], mail [email] hoặc [url] nhé",
    ),
    (
        "text_scrub",
        "",
        "text",
        "thẻ 9704-3612-3456-1234, cccd 179090654321, giá 1.200.000đ",
        "thẻ [thẻ], cccd [cccd], giá 1.200.000đ",
    ),
    ("text_scrub", "", "text", "số ０９０１２３４５６７", "số [sđt]"),
    ("text_scrub", "", "text", "a\n0901234567\nb@c.vn\nhttps://x.vn\nd", "a\n[sđt]\n[email]\n[url]\nd"),
    // Whatever stands between the digits of a number.
    ("text_scrub", "", "text", "0901\u{a0}234\u{a0}567 và 4111 1111\u{a0}1111 1111", "[sđt] và [thẻ]"),
    ("text_scrub", "", "text", "thẻ 4111 1111\u{a0}1111 1111.", "thẻ [thẻ]."),
    ("text_scrub", "", "text", "a 0901\u{2009}234\u{202f}567 b", "a [sđt] b"),
    ("text_scrub", "", "text", "a 0901\n234\r\n567 b", "a [sđt] b"),
    ("text_scrub", "", "text", "a 0901–234‑567 b 0901—234−567 c", "a [sđt] b [sđt] c"),
    ("text_scrub", "", "text", "a 0901\u{200b}234\u{2060}\u{feff}567 b", "a [sđt] b"),
    ("text_scrub", "", "text", "a 0901 . 234 . 567 b 0901 - 234 - 567 c", "a [sđt] b [sđt] c"),
    ("text_scrub", "", "text", "Https://zalo.me/abc HTTPS://zalo.me/0901 WWW.x.vn", "[url] [url] [url]"),
    ("text_scrub", "", "text", "12 cái – 3 hộp, 2026‑11‑29", "12 cái – 3 hộp, 2026‑11‑29"),
    ("text_scrub", "kinds = ['email']", "text", "0901234567 a@b.vn", "0901234567 [email]"),
    ("json_keep", "allow = ['tier', 'tags']", "jsonb", "{\"tier\": 1, \"phone\": \"0901234567\"}", "{\"tier\": 1}"),
    (
        "json_keep",
        "allow = ['a', 'b']",
        "jsonb",
        "{\"a\": null, \"b\": {\"c\": null}, \"d\": 1}",
        "{\"a\": null, \"b\": {\"c\": null}}",
    ),
    ("json_keep", "allow = ['tier']", "jsonb", "[\"0901234567\"]", "\"*****\""),
    (
        "json",
        "paths = { '$.phone' = 'phone_vn' }",
        "jsonb",
        "{\"phone\": \"0901234567\", \"x\": 1}",
        "{\"phone\": \"090*****67\"}",
    ),
    (
        "json",
        "paths = { '$.contact.email' = 'email' }, unknown = 'pass'",
        "jsonb",
        "{\"contact\": {\"email\": \"minh@gmail.com\", \"a\": 1}, \"x\": 1}",
        "{\"x\": 1, \"contact\": {\"a\": 1, \"email\": \"m***@gmail.com\"}}",
    ),
    // Members that no path names are left out at every level.
    (
        "json",
        "paths = { '$.contact.email' = 'email' }",
        "jsonb",
        "{\"contact\": {\"email\": \"minh@gmail.com\", \"phone\": \"0901234567\"}, \"x\": 1}",
        "{\"contact\": {\"email\": \"m***@gmail.com\"}}",
    ),
    (
        "json",
        "paths = { '$.items[*].receiver' = 'name_initials', '$.items[*].to.phone' = 'phone_vn', '$.tags[*]' = 'full' }",
        "jsonb",
        "{\"tags\": [\"a\", 1, null], \"items\": [{\"receiver\": \"Trần An\", \"n\": 2}, {\"to\": {\"phone\": \"0901234567\"}}, \"Trần An\", null]}",
        "{\"tags\": [\"*****\", \"*****\", null], \"items\": [{\"receiver\": \"T*** A***\"}, {\"to\": {\"phone\": \"090*****67\"}}, \"*****\", null]}",
    ),
    (
        "json",
        "paths = { '$[*].lines[*].receiver' = 'name_given' }, unknown = 'mask'",
        "jsonb",
        "[{\"lines\": [{\"receiver\": \"Trần An\", \"sku\": 7}, {\"sku\": 8}], \"total\": 5}, []]",
        "[{\"lines\": [{\"sku\": \"*****\", \"receiver\": \"*** An\"}, {\"sku\": \"*****\"}], \"total\": \"*****\"}, \"*****\"]",
    ),
    (
        "json",
        "paths = { '$.items[*].receiver' = 'null' }, unknown = 'pass'",
        "jsonb",
        "{\"a\": 1, \"items\": [{\"receiver\": \"Trần An\", \"n\": 2}]}",
        "{\"a\": 1, \"items\": [{\"n\": 2, \"receiver\": null}]}",
    ),
    (
        "json",
        "paths = { '$.items[*].receiver' = 'full' }",
        "jsonb",
        "{\"items\": {\"receiver\": \"A\"}}",
        "{\"items\": \"*****\"}",
    ),
    ("json", "paths = { '$.items[*].receiver' = 'full' }", "jsonb", "{\"items\": []}", "{\"items\": []}"),
    (
        "json",
        "paths = { '$.contact.email' = 'email' }, unknown = 'mask'",
        "jsonb",
        "{\"contact\": [1], \"x\": 1}",
        "{\"x\": \"*****\", \"contact\": \"*****\"}",
    ),
];

const OLD: &str = "12/3 Nguyễn Trãi, Phường Bến Thành, Quận 1, TP. Hồ Chí Minh";
const NEW: &str = "12/3 Nguyễn Trãi, Phường Bến Thành, TP. Hồ Chí Minh";

/// Text masks and the most characters of the stored value that each may show; where no number bounds it, `promised.rs` says what.
const TEXT_MASKS: &[(&str, &str, Option<usize>)] = &[
    ("full", "", Some(0)),
    ("partial", "first = 2, last = 2", Some(4)),
    ("partial", "first = 5, last = 4", Some(9)),
    ("full", "keep_length = true", Some(0)),
    ("partial", "first = 2, last = 2, keep_length = true", Some(4)),
    ("data_uri", "", None),
    ("name_initials", "", Some(2)),
    ("name_family", "", None),
    ("name_given", "", None),
    ("name_words", "", None),
    ("phone_vn", "", Some(7)),
    ("phone_last", "", Some(3)),
    ("phone_last", "strip = true", Some(3)),
    ("phone_format", "", None),
    ("email", "", None),
    ("email", "hidden_domain = 'example.com'", None),
    ("email_domain", "", None),
    ("email_anon", "", None),
    ("address_province", "", None),
    ("address_area", "", None),
    ("address_area", "keep_ward = true", None),
    ("address_street_hidden", "", None),
    ("postcode_first", "", Some(2)),
    ("pan", "", Some(10)),
    ("pan", "bin8 = true", Some(12)),
    ("pan_last4", "", Some(4)),
    ("bank_account", "", Some(3)),
    ("iban", "", Some(6)),
    ("cccd", "", Some(3)),
    ("cmnd", "", Some(2)),
    ("mst", "", Some(2)),
    ("plate", "", Some(2)),
    ("url_host", "", None),
    ("url_ext", "", None),
    ("url_signed_strip", "", None),
    ("text_redact", "", Some(0)),
    ("text_first", "", Some(20)),
    ("text_scrub", "", None),
    ("range_text", "bounds = [10, 1000000]", None),
];

fn fit(name: &str, parameters: &str, column: &Column) -> Mask {
    fit_in(testing::database(), name, parameters, column)
}

fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), quote_literal)
}

#[test]
fn documented_examples() {
    let server = Postgres::start();
    let mut failures = Vec::new();
    for (name, parameters, ty, stored, expected) in EXAMPLES {
        let column = testing::column(1, &format!("x {ty}"));
        let mask = fit(name, parameters, &column);
        let sql = format!(
            "CREATE TEMP TABLE t (x {ty}); INSERT INTO t VALUES ({}), (NULL);
             CREATE TEMP VIEW v AS SELECT {} AS m FROM t AS c;
             SELECT m::text FROM v;
             {}",
            quote_literal(stored),
            mask.sql.fill("c.x"),
            types_of("v"),
        );
        let rows: Vec<Option<String>> = server.sql("postgres", &sql).into_iter().map(|mut row| row.remove(0)).collect();
        if rows[0].as_deref() != Some(*expected) {
            failures.push(format!("{name}({parameters}) of {stored:?}: {:?}, documented {expected:?}", rows[0]));
        }
        if rows[1].is_some() {
            failures.push(format!("{name}({parameters}): NULL became {:?}", rows[1]));
        }
        if rows[2].as_deref() != Some("1") {
            failures.push(format!("{name}({parameters}) on {ty}: another type, modifier or collation"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn any_text_is_masked_without_error_and_without_surprise() {
    let server = Postgres::start();
    server.sql("postgres", "CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level1', deterministic = false)");
    let strings = strings(EXAMPLES.iter().flat_map(|(.., stored, masked)| [*stored, *masked]));
    let values: Vec<String> = strings.iter().map(|text| literal(Some(text))).collect();
    let rows = values.iter().enumerate().map(|(i, value)| format!("({i},{value})")).collect::<Vec<_>>().join(",");
    let mut failures = Vec::new();
    for (ty, collation) in
        [("text", None), ("varchar(160)", None), ("char(160)", None), ("text", Some("nd")), ("varchar(160)", Some("C"))]
    {
        let mut column = testing::column(1, &format!("x {ty}"));
        column.collation = collation.map(|name| format!("\"{name}\""));
        let collate = column.collation.as_ref().map_or_else(String::new, |name| format!(" COLLATE {name}"));
        // One server and one table a type; every mask reads it once plain and once on its own output.
        let mut sql = format!(
            "CREATE TEMP TABLE t (i int, x {ty}{collate}); INSERT INTO t SELECT i, left(x, 64) FROM (VALUES {rows}) AS v(i, x);"
        );
        for (n, (name, parameters, _)) in TEXT_MASKS.iter().enumerate() {
            let mask = fit(name, parameters, &column);
            sql += &format!(
                "CREATE TEMP VIEW v{n} AS SELECT i, x, {once} AS m FROM t AS c;
                 SELECT i::text, {n}::text, m::text, {twice}::text, x::text FROM v{n} AS c ORDER BY i;",
                once = mask.sql.fill("c.x"),
                twice = mask.sql.fill("c.m"),
            );
            sql += &format!("SELECT 'type', {n}::text, ({types}), NULL, NULL;", types = types_of(&format!("v{n}")));
        }
        for row in server.sql("postgres", &sql) {
            let n: usize = row[1].as_deref().unwrap().parse().unwrap();
            let (name, parameters, bound) = TEXT_MASKS[n];
            let what = format!("{name}({parameters}) on {ty}{collate}");
            if row[0].as_deref() == Some("type") {
                if row[2].as_deref() != Some("1") {
                    failures.push(format!("{what}: another type, modifier or collation"));
                }
                continue;
            }
            let (Some(once), Some(twice), Some(stored)) = (&row[2], &row[3], &row[4]) else {
                failures.push(format!("{what}: {:?} became NULL", row[4]));
                continue;
            };
            if once != twice {
                failures.push(format!("{what}: {stored:?} → {once:?} → {twice:?}"));
            }
            if stored.is_empty() != once.is_empty() && !["text_first", "text_scrub", "url_signed_strip"].contains(&name)
            {
                failures.push(format!("{what}: {stored:?} → {once:?}: empty"));
            }
            let shown = once.chars().filter(|c| !"* ".contains(*c)).count();
            if bound.is_some_and(|bound| shown > bound) && !once.contains('[') {
                failures.push(format!("{what}: {stored:?} → {once:?} shows {shown}"));
            }
            if bound.is_none() && promised::shows_more(name, parameters, stored, once) {
                failures.push(format!("{what}: {stored:?} → {once:?} shows more than is promised"));
            }
            if name == "partial" && !stored.contains("*****") && shown * 2 > stored.chars().count() {
                failures.push(format!("{what}: {stored:?} → {once:?} shows more than half"));
            }
        }
    }
    failures.truncate(60);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A mask whose pattern reads the rest of the text again from every letter takes minutes for such values, on the server.
#[test]
fn long_values_do_not_hold_the_server() {
    let server = Postgres::start();
    let values = [
        "repeat('a', 200000)",
        "'b ' || repeat('a', 200000)",
        "repeat('ab ', 70000) || repeat(' ', 200000)",
        "'b' || repeat(' ', 200000) || 'c'",
        "repeat(' a', 50000) || '@' || repeat('b.', 50000)",
        "repeat('a@', 100000) || '!'",
        "'a@' || repeat('b', 200000) || '!'",
        "repeat('1', 200000) || 'x'",
        "repeat('1 ', 100000) || 'x'",
        "repeat('0901234567', 20000)",
        "repeat('a, ', 70000)",
        "repeat(', ', 100000) || '1'",
        "'https://' || repeat('a.', 100000) || '/' || repeat('b/', 100000) || repeat('.', 1000)",
        "repeat('https://a', 30000)",
        "'data:' || repeat('a,', 100000)",
        "repeat('-', 200000)",
        "repeat(E'\\n', 200000)",
    ];
    let column = testing::column(1, "x text");
    let mut sql = format!(
        "CREATE TEMP TABLE t AS SELECT x FROM (VALUES {}) AS v(x);",
        values.iter().map(|value| format!("({value})")).collect::<Vec<_>>().join(",")
    );
    for (name, parameters, _) in TEXT_MASKS {
        // The seconds are many times what a machine under load needs; what is quadratic takes minutes for one value.
        sql += &format!(
            "DO $do$ BEGIN SET LOCAL statement_timeout = '20s'; PERFORM count({}) FROM t AS c;
             EXCEPTION WHEN query_canceled THEN RAISE EXCEPTION '{name}({})'; END $do$;",
            fit(name, parameters, &column).sql.fill("c.x"),
            parameters.replace('\'', ""),
        );
    }
    server.sql("postgres", &sql);
}

#[test]
fn the_ends_of_every_type_are_masked_without_error() {
    let server = Postgres::start();
    let ints = |least: &'static str, most: &'static str| vec![least, "-10001", "-1", "0", "1", "9999", most];
    let numerics = vec!["-9999999999.99", "-0.01", "0", "0.01", "9999999999.99", "9999999999.50", "NaN"];
    let dates = vec![
        "-infinity",
        "infinity",
        "4713-01-01 BC",
        "0001-01-01 BC",
        "0001-01-01",
        "0001-12-31",
        "1919-12-31",
        "9999-12-31",
        "5874897-12-31",
    ];
    let times = vec![
        "-infinity",
        "infinity",
        "4713-01-01 BC",
        "0001-01-01",
        "1919-12-31 23:59:59.999999",
        "9999-12-31 23:59:59",
        "294276-12-30 00:00:00",
    ];
    let floats = vec![
        "-Infinity",
        "Infinity",
        "NaN",
        "0",
        "-0",
        "5e-324",
        "-5e-324",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "999.5",
    ];
    let reals = vec!["-Infinity", "Infinity", "NaN", "0", "1e-45", "3.4028235e38", "-3.4028235e38", "999.5"];
    let wide = vec![
        "NaN",
        "Infinity",
        "-Infinity",
        "1e1000",
        "-1e1000",
        "9e131000",
        "-9e131000",
        "1e-1000",
        "0",
        "123456789012345678901234567890.123456789012345678901234567890",
        "-98765.4321",
        "0.5",
        "-0.5",
        "34999.999999999999999999",
    ];
    let json = vec![
        "null",
        "1",
        "\"0901234567\"",
        "[]",
        "{}",
        "[{\"phone\":\"1\"}]",
        "{\"phone\":null}",
        "{\"phone\":1}",
        "{\"phone\":[\"0901234567\"]}",
        "{\"phone\":{\"a\":\"0901234567\"}}",
        "{\"contact\":\"0901234567\"}",
        "{\"contact\":[1]}",
        "{\"contact\":null}",
        "{\"contact\":{\"email\":7}}",
        "{\"\":\"1\"}",
    ];
    let numbers: &[(&str, &str)] = &[
        ("num_zero", ""),
        ("num_const", "value = 3"),
        ("num_round", "k = 10"),
        ("num_round", "k = 7000"),
        ("num_bucket", "bounds = [-5, 0, 100]"),
        ("num_sign", ""),
        ("full", ""),
        ("constant", "value = 5"),
    ];
    let cuts: &[(&str, &str)] = &[
        ("date_year", ""),
        ("date_month", ""),
        ("birth_band", ""),
        ("birth_band", "years = 7"),
        ("date_const", ""),
        ("full", ""),
    ];
    let time_cuts: &[(&str, &str)] =
        &[("date_year", ""), ("date_month", ""), ("ts_hour", ""), ("ts_day", ""), ("date_const", ""), ("full", "")];
    let docs: &[(&str, &str)] = &[
        ("json_keep", "allow = ['tier', 'tags']"),
        ("full", ""),
        ("json", "paths = { '$.phone' = 'phone_vn', '$.contact.email' = 'email' }"),
        ("json", "paths = { '$.phone' = 'phone_vn', '$.contact.email' = 'email' }, unknown = 'mask'"),
        (
            "json",
            "paths = { '$.phone' = 'phone_vn', '$.contact.email' = 'email', '$.contact.phone' = 'full' }, unknown = 'pass'",
        ),
    ];
    let geo: &[(&str, &str)] = &[("geo_round", ""), ("geo_round", "d = 0")];
    let cases: Vec<(&str, Vec<&str>, &[(&str, &str)])> = vec![
        ("smallint", ints("-32768", "32767"), numbers),
        ("integer", ints("-2147483648", "2147483647"), numbers),
        ("bigint", ints("-9223372036854775808", "9223372036854775807"), numbers),
        ("bigint", ints("-9223372036854775808", "9223372036854775807"), &[("phone_bigint", "")]),
        ("integer", ints("-2147483648", "2147483647"), &[("phone_bigint", "")]),
        ("numeric(12,2)", numerics.clone(), numbers),
        ("numeric(12,2)", numerics, &[("phone_bigint", ""), ("geo_round", "")]),
        (
            "numeric(4,2)",
            vec!["99.99", "-99.99", "NaN", "0"],
            &[("num_zero", ""), ("num_round", "k = 10"), ("num_sign", ""), ("geo_round", "d = 1")],
        ),
        (
            "numeric(3,5)",
            vec!["0.00999", "-0.00999"],
            &[("num_zero", ""), ("num_round", "k = 10"), ("geo_round", "d = 1")],
        ),
        ("numeric", wide.clone(), numbers),
        ("numeric", wide, geo),
        ("float8", floats.clone(), numbers),
        ("float8", floats, geo),
        ("real", reals.clone(), numbers),
        ("real", reals, geo),
        ("date", dates, cuts),
        ("timestamp", times.clone(), time_cuts),
        ("timestamptz", times.clone(), time_cuts),
        ("timestamp", times, &[("birth_band", "")]),
        ("jsonb", json.clone(), docs),
        ("json", json, &[("full", "")]),
    ];
    let mut failures = Vec::new();
    // A scale beyond the precision came with PostgreSQL 15.
    let old = server.version() < 15;
    for (ty, values, masks) in cases.into_iter().filter(|(ty, _, _)| !(old && *ty == "numeric(3,5)")) {
        let column = testing::column(1, &format!("x {ty}"));
        let rows = values.iter().map(|value| format!("({})", quote_literal(value))).collect::<Vec<_>>().join(",");
        for (name, parameters) in masks {
            let mask = fit(name, parameters, &column);
            for zone in ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"] {
                let sql = format!(
                    "SET timezone = '{zone}'; CREATE TEMP TABLE t (x {ty}); INSERT INTO t VALUES {rows}, (NULL);
                     CREATE TEMP VIEW v AS SELECT x, {} AS m FROM t AS c;
                     SELECT x::text, m::text, {}::text FROM v AS c;
                     SELECT 'type', count(DISTINCT (atttypid, atttypmod, attcollation))::text, NULL FROM pg_attribute
                     WHERE (attrelid, attname) IN (('t'::regclass, 'x'), ('v'::regclass, 'm'))",
                    mask.sql.fill("c.x"),
                    mask.sql.fill("c.m"),
                );
                for row in server.sql("postgres", &sql) {
                    if row[0].as_deref() == Some("type") {
                        assert_eq!(row[1].as_deref(), Some("1"), "{name}({parameters}) on {ty}: another type");
                    } else if row[1] != row[2] {
                        failures
                            .push(format!("{name}({parameters}) on {ty}: {:?} → {:?} → {:?}", row[0], row[1], row[2]));
                    } else if row[0].is_none() && row[1].is_some() {
                        failures.push(format!("{name}({parameters}) on {ty}: NULL became {:?}", row[1]));
                    } else if row[1].as_deref().is_some_and(|text| text.contains("0901234567")) {
                        failures.push(format!("{name}({parameters}) on {ty}: {:?} shows {:?}", row[0], row[1]));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Of numbers that are rounded, put into buckets or reduced to their sign nothing finer is left, at the ends of their types and where
/// they are no numbers: few values come out, whatever goes in.
#[test]
fn digits_of_numbers_do_not_come_through() {
    let server = Postgres::start();
    let ends = "0, 1, -1, 6999, 7000, 7001, -6999, -7000, -7001, 34999.9999, 35000.0001, 123456.789, -123456.789";
    let of = |more: &str| format!("SELECT unnest(ARRAY[{ends}{more}]::numeric[]) AS x");
    let sources = [
        ("smallint", of(", 32767, -32768, 32766"), "x BETWEEN -32768 AND 32767"),
        ("integer", of(", 2147483647, -2147483648, 2147483646"), "true"),
        ("bigint", of(", 9223372036854775807, -9223372036854775808, 9223372036854775806"), "true"),
        (
            "numeric",
            of(", 'NaN', 'Infinity', '-Infinity', 1e1000, -1e1000, 12345678901234567890123456789.5, 9e131000"),
            "true",
        ),
        ("numeric(12,2)", of(", 'NaN', 9999999999.99, -9999999999.99"), "true"),
        ("float8", of(", 'NaN', 'Infinity', '-Infinity', 999999999999999.9, -1e300, 1e300, 1.5e-300"), "true"),
        ("real", of(", 'NaN', 'Infinity', '-Infinity', 999999.9, -1e38, 1e38, 1.5e-30"), "true"),
    ];
    for (ty, values, fits) in &sources {
        let column = testing::column(1, &format!("x {ty}"));
        let masked = |name: &str, parameters: &str| fit(name, parameters, &column).sql.fill("c.x");
        let sql = |name: &str, parameters: &str, is_coarse: &str| {
            let mask = masked(name, parameters);
            format!(
                "CREATE TEMP TABLE IF NOT EXISTS t (x {ty}); TRUNCATE t; INSERT INTO t SELECT x FROM ({values}) v WHERE {fits};
                 SELECT DISTINCT m::text FROM (SELECT {mask} AS m FROM t AS c) q
                 WHERE m::text NOT IN ('NaN', 'Infinity', '-Infinity') AND NOT ({is_coarse})"
            )
        };
        // What is no multiple is one constant at each end of the type.
        let others = server.sql("postgres", &sql("num_round", "k = 7000", "m::numeric % 7000 = 0"));
        assert!(others.len() <= 2 && (others.is_empty() || *ty == "float8" || *ty == "real"), "{ty}: {others:?}");
        for (name, parameters, coarse) in [
            ("num_bucket", "bounds = [-5, 0, 100]", "m IN (-5, 0, 100)"),
            ("num_sign", "", "m IN (-1, 0, 1)"),
            ("num_zero", "", "m = 0"),
            ("num_const", "value = 3", "m = 3"),
            ("full", "", "m = 0"),
        ] {
            let others = server.sql("postgres", &sql(name, parameters, coarse));
            assert!(others.is_empty(), "{name} of {ty}: {others:?}");
        }
        // Neighbours within a step are not told apart.
        let rounded = masked("num_round", "k = 7000");
        let steps = format!(
            "SELECT count(DISTINCT m) FROM (SELECT {rounded} AS m FROM (SELECT x::{ty} AS x FROM generate_series(14001, 17499, 7) x) c) q"
        );
        assert_eq!(server.sql("postgres", &steps)[0][0].as_deref(), Some("1"), "{ty}");
    }
}

#[test]
fn options_hide_null_and_empty() {
    let server = Postgres::start();
    for (name, parameters) in TEXT_MASKS.iter().map(|(name, parameters, _)| (name, parameters)) {
        if ["text_first", "text_scrub"].contains(name) || parameters.contains("keep_length") {
            continue;
        }
        let more = if parameters.is_empty() { "" } else { ", " };
        let column = testing::column(1, "x varchar(160)");
        let mask = fit(name, &format!("{parameters}{more}null = 'hide', empty = 'hide'"), &column);
        let rows =
            server.sql("postgres", &format!("SELECT {} FROM (VALUES (NULL), ('')) AS c(x)", mask.sql.fill("c.x")));
        for row in rows {
            let shown = row[0].as_deref().unwrap_or_default();
            let stars = shown.chars().all(|c| c == '*') && shown.len() >= 3;
            let address = parameters.contains("hidden_domain") && shown == "****@example.com";
            assert!(stars || address || *name == "name_words", "{name}: {shown:?}");
        }
    }
}

#[test]
fn nothing_in_a_database_can_take_the_place_of_a_builtin() {
    let server = Postgres::start();
    let mut data = testing::database();
    let functions = [
        "left",
        "right",
        "length",
        "substring",
        "substr",
        "regexp_replace",
        "split_part",
        "translate",
        "ltrim",
        "lower",
        "strpos",
        "mod",
        "round",
        "trunc",
        "abs",
        "sign",
        "div",
        "date_trunc",
        "date_part",
        "make_date",
        "normalize",
        "jsonb_typeof",
        "jsonb_set",
        "jsonb_each",
        "to_jsonb",
        "jsonb_object_agg",
        "reverse",
    ];
    let mut sql = String::from("CREATE SCHEMA evil; ");
    for (index, name) in functions.iter().enumerate() {
        data.functions.push(pgscrim::catalog::data::FunctionData {
            oid: pgscrim::names::Oid(30000 + index as u32),
            schema: "evil".into(),
            name: (*name).into(),
            volatility: 'v',
            extension: None,
            kind: 'f',
            security_definer: false,
            returns_set: false,
            out_names: Vec::new(),
            argument_types: Vec::new(),
            result_type: None,
            constructs: false,
            variadic: None,
            defaults: 0,
        });
    }
    for name in ["||", "~", "=", "<", ">", "<=", ">=", "<>", "+", "-", "*", "/", "#>", "#>>"] {
        data.operators.push(pgscrim::catalog::data::OperatorData {
            schema: "evil".into(),
            name: name.into(),
            extension: None,
            volatility: 'v',
            left: None,
            right: pgscrim::names::Oid::default(),
            result: None,
            functions: Vec::new(),
        });
    }
    for name in ["left", "right", "length", "ltrim", "lower", "substring", "normalize"] {
        let more = match name {
            "left" | "right" => ", int",
            "substring" => ", text",
            _ => "",
        };
        let returns =
            if name == "length" { "int AS $$ SELECT 9999 $$" } else { "text AS $$ SELECT 'EVIL'::text || $1 $$" };
        sql += &format!("CREATE FUNCTION evil.{name}(varchar{more}) RETURNS {returns} LANGUAGE sql; ");
    }
    sql += "CREATE FUNCTION evil.cat(varchar, varchar) RETURNS text AS $$ SELECT 'EVIL'::text $$ LANGUAGE sql; \
            CREATE FUNCTION evil.same(varchar, varchar) RETURNS bool AS $$ SELECT true $$ LANGUAGE sql; \
            CREATE OPERATOR evil.|| (function = evil.cat, leftarg = varchar, rightarg = varchar); \
            CREATE OPERATOR evil.= (function = evil.same, leftarg = varchar, rightarg = varchar); \
            CREATE OPERATOR evil.~ (function = evil.same, leftarg = varchar, rightarg = varchar);";
    server.sql("postgres", &sql);
    let catalog = CatalogSnapshot::new(data, 1);
    let mut failures = Vec::new();
    for (name, parameters, ty, stored, expected) in EXAMPLES {
        let column = testing::column(1, &format!("x {ty}"));
        let mask = spec(name, parameters).fit(&column, &catalog).unwrap();
        let sql = format!(
            "SET search_path = evil, pg_catalog; SELECT ({})::text FROM (SELECT {}::{ty} AS x) AS c",
            mask.sql.fill("c.x"),
            quote_literal(stored)
        );
        let shown = server.sql("postgres", &sql)[0][0].clone();
        if shown.as_deref() != Some(*expected) {
            failures.push(format!("{name}({parameters}) of {stored:?}: {shown:?}, documented {expected:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_parser_reads_every_mask() {
    use sqlparser::{dialect::PostgreSqlDialect, parser::Parser};
    let plain = testing::database();
    let mut shadowed = testing::database();
    shadowed.operators.extend(["||", "~", "=", "<", "*"].map(|name| pgscrim::catalog::data::OperatorData {
        schema: "public".into(),
        name: name.into(),
        extension: None,
        volatility: 'i',
        left: None,
        right: pgscrim::names::Oid::default(),
        result: None,
        functions: Vec::new(),
    }));
    for catalog in [plain, shadowed] {
        let catalog = CatalogSnapshot::new(catalog, 1);
        for (name, parameters, ty, ..) in EXAMPLES {
            let column = testing::column(1, &format!("x {ty}"));
            let mask = spec(name, parameters).fit(&column, &catalog).unwrap();
            let sql = format!(
                "SELECT {0} AS m, {0} || 'a', lower({0}) FROM public.t AS c WHERE {0} = 'b'",
                mask.sql.fill("c.x")
            );
            let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &sql);
            assert_eq!(parsed.as_ref().map(Vec::len), Ok(1), "{name}: {sql}");
        }
    }
}

#[test]
fn masks_that_cannot_be_expressed_are_refused_at_load() {
    let catalog = CatalogSnapshot::new(testing::database(), 1);
    for (name, parameters, column, why) in [
        ("full", "", "x varchar(4)", "room for 5"),
        ("partial", "first = 3, last = 2", "x char(9)", "room for 10"),
        ("phone_vn", "", "x bigint", "text column"),
        ("date_year", "", "x text", "date or timestamp"),
        ("num_round", "k = 100000", "x smallint", "too large"),
        ("num_const", "value = 40000", "x smallint", "no value"),
        ("num_const", "value = 9.5", "x integer", "no value"),
        ("num_const", "value = 9.55", "x numeric(4,1)", "no value"),
        ("num_const", "value = 'x'", "x integer", "must be a number"),
        ("partial", "first = 1", "mat_khau text", "secrets"),
        ("partial", "first = 1", "mk text", "secrets"),
        ("constant", "value = 'x'", "x integer", "no value"),
        ("constant", "value = '2024-02-30'", "x date", "no value"),
        ("constant", "value = '{'", "x jsonb", "no value"),
        ("null", "", "x text not null", "NOT NULL"),
        ("partial", "first = 3, last = 3, min = 8", "x text", "more than half"),
        ("partial", "first = 1, fill = 'ab'", "x text", "one character"),
        ("full", "", "x mood", "no constant"),
        ("json", "paths = { '$.a[0]' = 'full' }", "x jsonb", "not understood"),
        ("json", "paths = { '$' = 'full' }", "x jsonb", "not understood"),
        ("json", "paths = { '$..phone' = 'full' }", "x jsonb", "not understood"),
        ("json", "paths = { '$.a' = 'full', '$.a.b' = 'full' }", "x jsonb", "meets another"),
        ("json", "paths = { '$.a.b' = 'full', '$.a' = 'full' }", "x jsonb", "meets another"),
        ("json", "paths = { '$.a[*]' = 'full', '$.a.b' = 'full' }", "x jsonb", "meets another"),
        ("json", "paths = { '$.user.password' = 'text_first' }", "x jsonb", "secrets"),
        ("phone_vn", "", "x text[][]", "text column"),
        ("phone_vn", "", "x varchar(11)[]", "room for 12"),
        ("num_zero", "", "x text[]", "numbers"),
        ("range_text", "bounds = [2, 1]", "x text", "ascending"),
        ("range_text", "bounds = [1, 2], labels = ['a', 'b']", "x text", "3 ranges"),
        ("range_text", "bounds = [1], labels = ['1', 'b']", "x text", "more than digits"),
        ("range_text", "bounds = [1000000]", "x varchar(7)", "room for 8"),
        ("json_keep", "allow = ['a']", "x json", "duplicate keys"),
        ("partial", "first = 1", "cvv text", "secrets"),
        ("text_scrub", "kinds = ['names']", "x text", "unknown kind"),
        ("date_const", "date = 'now'", "x date", "1970-01-31"),
    ] {
        let column = testing::column(1, column);
        match spec(name, parameters).fit(&column, &catalog) {
            Ok(mask) => panic!("{name}({parameters}): {}", mask.sql.fill("x")),
            Err(error) => assert!(error.contains(why), "{name}({parameters}): {error}"),
        }
    }
}

/// Columns of every kind, as the reader of the catalog describes them: whatever fits must run and keep the type.
#[test]
fn what_fits_a_column_of_the_catalog_keeps_its_type() {
    let server = Postgres::start();
    // A negative scale came with PostgreSQL 15.
    let scale = if server.version() < 15 { 0 } else { -2 };
    server.sql(
        "postgres",
        &"CREATE EXTENSION citext; CREATE SCHEMA \"Odd.Schema\"; CREATE SCHEMA evil;
         CREATE COLLATION \"Odd.Schema\".\"No case\" (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
         CREATE TYPE \"Odd.Schema\".\"Mood\" AS ENUM ('sad', 'ok');
         CREATE DOMAIN \"Odd.Schema\".\"E-mail\" AS varchar(50) CHECK (VALUE ~ '@');
         CREATE TYPE pair AS (a int, b text);
         CREATE FUNCTION evil.\"left\"(varchar, int) RETURNS text LANGUAGE sql AS $$ SELECT 'EVIL' $$;
         CREATE TABLE t (c1 text, c2 varchar, c3 varchar(30), c4 char(30), c5 bpchar, c6 citext, c7 text COLLATE \"C\",
           c8 varchar(30) COLLATE \"Odd.Schema\".\"No case\", c9 char(30) COLLATE \"Odd.Schema\".\"No case\", d1 smallint, d2 int, d3 bigint, d4 numeric,
           d5 numeric(12,2), d6 numeric(3,SCALE), d7 real, d8 double precision, d9 money, e1 date, e2 timestamp(3), e3 timestamptz(0), e4 time(2), e5 timetz,
           e6 interval(3), e7 interval day to second(2), f1 boolean, f2 uuid, f3 bytea, f4 json, f5 jsonb, f6 inet, f7 cidr, f8 macaddr, f9 bit(3), g1 varbit(9),
           g2 xml, g3 tsvector, g4 tsquery, g5 point, g6 int4range, g7 int4multirange, g8 tstzrange, g9 text[], h1 varchar(9)[], h2 int[], h3 jsonb[],
           h4 \"Odd.Schema\".\"Mood\", h5 \"Odd.Schema\".\"E-mail\", h6 pair, h7 name, h8 \"char\", h9 oid, i1 \"Odd.Schema\".\"Mood\"[], \"İ \"\"q\"\"\" varchar(40) NOT NULL);
         INSERT INTO t VALUES ('a b', 'a b', 'a b', 'a b', 'a b', 'a b', 'a b', 'a b', 'a b', 1, 2, 3, 4, 5, 600, 7, 8, 9, '2000-01-02', '2000-01-02 03:04', '2000-01-02 03:04Z',
           '10:00', '10:00Z', '1 day', '1 day', true, '11111111-1111-1111-1111-111111111111', 'x', '{}', '{}', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '101', '1', '<a/>', 'a', 'a',
           '(1,2)', '[1,2)', '{[1,2)}', 'empty', '{a}', '{a}', '{1}', '{}', 'sad', 'a@b.vn', '(1,a)', 'n', 'c', 1, '{sad}', 'nn')".replace("SCALE", &scale.to_string()),
    );
    let config = pgscrim::config::UpstreamConfig {
        address: pgscrim::config::UpstreamAddress::Tcp("127.0.0.1".to_owned(), server.port),
        user: "postgres".to_owned(),
        password: None,
        database: "postgres".to_owned(),
        tls: pgscrim::config::UpstreamTlsConfig {
            mode: pgscrim::config::UpstreamTlsMode::Off,
            ca: None,
            server_name: None,
        },
        connect_timeout: std::time::Duration::from_secs(10),
        catalog_refresh: std::time::Duration::from_secs(60),
        ddl_guard: pgscrim::config::DdlGuard::Relayed,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let data = runtime.block_on(pgscrim::upstream::catalog::read_catalog(&config)).unwrap().0;
    let catalog = CatalogSnapshot::new(data, 1);
    let table = catalog.relation_named("public", "t").unwrap();
    let mut masks: Vec<(&str, &str)> = EXAMPLES.iter().map(|(name, parameters, ..)| (*name, *parameters)).collect();
    masks.extend([
        ("null", "allow_null_in_not_null = true"),
        ("constant", "value = 'sad'"),
        ("full", "null = 'hide', empty = 'hide'"),
    ]);
    masks.sort();
    masks.dedup();
    let mut sql = String::from("SET search_path = evil, public;");
    let mut made = Vec::new();
    let mut unread: Vec<String> = Vec::new();
    let mut fits = std::collections::BTreeMap::<&str, usize>::new();
    for column in &table.columns {
        for (name, parameters) in &masks {
            let Ok(mask) = spec(name, parameters).fit(column, &catalog) else { continue };
            // What the CHECK of a domain takes is for the writer of the rule to know.
            if column.type_kind == 'd' && *name == "constant" && !parameters.contains('@') {
                continue;
            }
            *fits.entry(&column.name).or_default() += 1;
            let n = made.len();
            let select = format!("SELECT {} AS m FROM public.t AS c", mask.sql.fill("c.x"));
            let parsed = sqlparser::parser::Parser::parse_sql(&sqlparser::dialect::PostgreSqlDialect {}, &select);
            if !parsed.as_ref().is_ok_and(|statements| statements.len() == 1) {
                unread.push(format!("{name} on {}: {parsed:?}: {select}", column.type_sql));
            }
            sql += &format!(
                "CREATE TEMP VIEW v{n} AS SELECT {} AS m FROM public.t AS c;
                 SELECT '{n}', count(DISTINCT (atttypid, atttypmod, attcollation))::text, (SELECT m::text FROM v{n}) FROM pg_attribute
                 WHERE (attrelid, attname) IN (('public.t'::regclass, {}), ('v{n}'::regclass, 'm'));",
                mask.sql.fill(&format!("c.{}", pgscrim::names::quote_ident(&column.name))),
                quote_literal(&column.name),
            );
            made.push(format!("{name}({parameters}) on {} {}", column.name, column.type_sql));
        }
    }
    assert!(unread.is_empty(), "the parser does not read:\n{}", unread.join("\n"));
    let rows = server.sql("postgres", &sql);
    assert_eq!(rows.len(), made.len());
    for row in rows {
        let what = &made[row[0].as_deref().unwrap().parse::<usize>().unwrap()];
        assert_eq!(row[1].as_deref(), Some("1"), "{what}: another type, modifier or collation");
        assert!(row[2].as_deref().is_none_or(|shown| !shown.contains("EVIL")), "{what}: shadowed");
    }
    for column in &table.columns {
        assert!(fits.contains_key(column.name.as_str()), "no mask at all fits {}", column.name);
    }
    for text in ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"] {
        assert!(fits[text] > 30, "{text}: {}", fits[text]);
    }
}

/// Vietnamese letters are stored in one piece or in several; with `normalize` a mask shows the same of both.
#[test]
fn with_normalize_both_forms_of_a_letter_are_masked_alike() {
    let server = Postgres::start();
    let strings = strings(EXAMPLES.iter().flat_map(|(.., stored, masked)| [*stored, *masked]));
    let rows: Vec<String> = strings.iter().step_by(2).map(|text| format!("({})", literal(Some(text)))).collect();
    let mut sql = format!(
        "CREATE TEMP TABLE t AS SELECT normalize(x, NFC) AS c, normalize(x, NFD) AS d FROM (VALUES {}) AS v(x);",
        rows.join(",")
    );
    let mut masks = Vec::new();
    for (name, parameters, bound) in TEXT_MASKS {
        let more = if parameters.is_empty() { "" } else { ", " };
        let Ok(spec) = MaskSpec::parse(name, &format!("{parameters}{more}normalize = 'nfc'")) else { continue };
        let catalog = CatalogSnapshot::new(testing::database(), 1);
        let mask = spec.fit(&testing::column(1, "x text"), &catalog).unwrap();
        let of = |operand| mask.sql.fill(operand);
        sql += &format!("SELECT '{}', c, {}, {} FROM t;", masks.len(), of("c"), of("d"));
        masks.push((*name, *parameters, *bound));
    }
    assert!(masks.len() >= 10, "{masks:?}");
    for row in server.sql("postgres", &sql) {
        let (name, parameters, bound) = masks[row[0].as_deref().unwrap().parse::<usize>().unwrap()];
        assert_eq!(row[2], row[3], "{name}({parameters}) of {:?}", row[1]);
        let shown = row[2].as_deref().unwrap().chars().filter(|c| !"* ".contains(*c)).count();
        assert!(bound.is_none_or(|bound| shown <= bound), "{name}({parameters}) of {:?}: {:?}", row[1], row[2]);
    }
}

/// A text in an array, or in a document, comes out as it would from a column of its own.
#[test]
fn elements_and_members_are_masked_as_columns_are() {
    let server = Postgres::start();
    let strings = strings(EXAMPLES.iter().flat_map(|(.., stored, masked)| [*stored, *masked]));
    let rows: Vec<String> =
        strings.iter().step_by(3).enumerate().map(|(i, text)| format!("({i},{})", literal(Some(text)))).collect();
    let mut sql = format!("CREATE TEMP TABLE t (i int, x text); INSERT INTO t VALUES {}, (-1, NULL);", rows.join(","));
    sql += "CREATE TEMP TABLE whole AS SELECT array_agg(x ORDER BY i) AS x, jsonb_agg(x ORDER BY i) AS d,
              jsonb_build_object('a', jsonb_agg(jsonb_build_object('k', x, 'other', 1) ORDER BY i)) AS o FROM t;";
    for (n, (name, parameters, _)) in TEXT_MASKS.iter().enumerate() {
        let alone = fit(name, parameters, &testing::column(1, "x text")).sql.fill("x");
        let elements = fit(name, parameters, &testing::column(1, "x text[]")).sql.fill("w.x");
        let more = if parameters.is_empty() { "" } else { ", " };
        let within = |path: &str, column: &str| {
            let paths = format!("paths = {{ '{path}' = {{ mask = '{name}'{more}{parameters} }} }}");
            fit("json", &paths, &testing::column(1, "x jsonb")).sql.fill(column)
        };
        let (listed, nested) = (within("$[*]", "w.d"), within("$.a[*].k", "w.o"));
        sql += &format!(
            "WITH alone AS (SELECT array_agg({alone} ORDER BY i) AS m, jsonb_agg({alone} ORDER BY i) AS d,
               jsonb_build_object('a', jsonb_agg(jsonb_build_object('k', {alone}) ORDER BY i)) AS o FROM t)
             SELECT '{n}', ({elements} IS NOT DISTINCT FROM m)::text, ({listed} = alone.d)::text, ({nested} = alone.o)::text
               FROM alone, whole AS w;"
        );
    }
    for row in server.sql("postgres", &sql) {
        let n: usize = row[0].as_deref().unwrap().parse().unwrap();
        // `full` puts an empty array in the place of any.
        let compared = if TEXT_MASKS[n].0 == "full" { 2 } else { 1 };
        assert!(row.iter().skip(compared).all(|same| same.as_deref() == Some("true")), "{:?}: {row:?}", TEXT_MASKS[n]);
    }
}

const ELEMENT_RULES: &str = r#"
policy = "elements"
[category.phone]
columns = ["public.customers.phones"]
[category.url]
columns = ["public.customers.e"]
[category.document]
columns = ["public.customers.doc"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "support"
match = { user = "support" }
see = { phone = "phone_vn", url = "url_host", document = { mask = "json", paths = { "$.items[*].receiver" = "name_initials", "$.k" = "full" } } }
"#;

/// Masks with a sub-select inside: read, filtered, written back, returned.
#[test]
fn elements_are_masked_through_the_proxy() {
    let server = Postgres::start();
    server.sql(
        "postgres",
        &format!(
            r#"{}; CREATE ROLE support LOGIN;
             CREATE TABLE customers (id bigint PRIMARY KEY, phones text[], e varchar(60)[], doc jsonb);
             INSERT INTO customers VALUES (1, '{{0901234567,0912345678}}', '{{https://u:p@cdn.vn/1.jpg?t=1}}',
               '{{"items": [{{"receiver": "Trần An", "n": 1}}], "k": "v", "z": 1}}'), (2, NULL, '{{}}', '[]');
             GRANT SELECT, UPDATE, DELETE ON customers TO support"#,
            common::proxy::SERVICE_LOGIN
        ),
    );
    let proxy = common::Proxy::start(&server, &common::proxy::Options::new("postgres", ELEMENT_RULES));
    let mut client = proxy.connect("support", "postgres");
    let first =
        r#"1|{090*****67,091*****78}|{https://cdn.vn/***}|{"k": "*****", "items": [{"receiver": "T*** A***"}]}"#;
    let second = r#"2|NULL|{}|"*****""#;
    for (sql, expected) in [
        ("SELECT * FROM customers ORDER BY id", vec![first, second]),
        ("SELECT c.* FROM customers c WHERE phones[1] = '090*****67'", vec![first]),
        ("SELECT id FROM customers WHERE '0901234567' = ANY (phones)", vec![]),
        ("SELECT p FROM customers, unnest(phones) AS p ORDER BY p", vec!["090*****67", "091*****78"]),
        (
            "SELECT phones, count(*) FROM customers GROUP BY phones ORDER BY 1",
            vec!["{090*****67,091*****78}|1", "NULL|1"],
        ),
        ("SELECT doc->'items'->0->>'receiver' FROM customers WHERE id = 1", vec!["T*** A***"]),
        ("SELECT row_to_json(c)->>'phones' FROM customers c WHERE id = 1", vec![r#"["090*****67","091*****78"]"#]),
        (
            "UPDATE customers SET phones = '{090*****67,091*****78}', e = '{https://cdn.vn/***}' WHERE id = 1 RETURNING *",
            vec![first],
        ),
        ("DELETE FROM customers WHERE phones = '{0901234567,0912345678}' RETURNING id", vec![]),
        ("DELETE FROM customers AS e WHERE e.e = '{https://cdn.vn/***}' AND id = 3 RETURNING e.phones", vec![]),
    ] {
        let messages = client.simple(sql);
        assert!(common::wire::error(&messages).is_none(), "{sql}: {}", common::wire::describe(&messages));
        let shown: Vec<String> = common::wire::text_rows(&messages)
            .into_iter()
            .map(|row| row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".into())).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(shown, expected, "{sql}");
    }
    let stored = server.sql("postgres", "SELECT phones::text, e::text FROM customers WHERE id = 1");
    let stored: Vec<&str> = stored[0].iter().map(|cell| cell.as_deref().unwrap()).collect();
    assert_eq!(stored, ["{0901234567,0912345678}", "{https://u:p@cdn.vn/1.jpg?t=1}"]);
}

const ABSENT_RULES: &str = r#"
policy = "absent"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "support"
match = { user = "support" }
see = { phone = { mask = "full", null = "hide" } }
"#;

/// What was not there has no mask: OLD of an INSERT and NEW of a DELETE, of tables, and of views with and without triggers.
#[test]
fn rows_that_were_not_there_have_no_masks() {
    let server = Postgres::start();
    if server.version() < 18 {
        return;
    }
    server.sql(
        "postgres",
        &format!(
            "{}; CREATE ROLE support LOGIN;
             CREATE TABLE customers (id bigint, phone text);
             CREATE VIEW plain_v AS SELECT id, phone FROM customers; CREATE VIEW of_view AS SELECT phone, id FROM plain_v;
             CREATE VIEW written_v AS SELECT id, phone FROM customers;
             CREATE FUNCTION written() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END';
             CREATE TRIGGER written INSTEAD OF INSERT OR DELETE ON written_v FOR EACH ROW EXECUTE FUNCTION written();
             INSERT INTO customers VALUES (1, '0901234567'), (NULL, NULL);
             GRANT ALL ON ALL TABLES IN SCHEMA public TO support",
            common::proxy::SERVICE_LOGIN
        ),
    );
    let proxy = common::Proxy::start(&server, &common::proxy::Options::new("postgres", ABSENT_RULES));
    let mut client = proxy.connect("support", "postgres");
    let mut rows = |sql: &str| {
        client.simple("BEGIN");
        let messages = client.simple(sql);
        client.simple("ROLLBACK");
        assert!(common::wire::error(&messages).is_none(), "{sql}: {}", common::wire::describe(&messages));
        common::wire::text_rows(&messages)
    };
    let (none, masked) = (None, Some("*****".to_owned()));
    for relation in ["customers", "plain_v", "of_view", "written_v"] {
        let (inserted, deleted) = ([none.clone(), masked.clone()], [masked.clone(), none.clone()]);
        let insert = format!("INSERT INTO {relation} (id, phone) VALUES (3, '1'), (NULL, NULL) RETURNING");
        let delete = format!("DELETE FROM {relation} RETURNING");
        for items in ["old.phone, new.phone", "WITH (OLD AS o, NEW AS \"Phone\") o.phone, \"Phone\".phone"] {
            assert_eq!(rows(&format!("{insert} {items}")), [inserted.clone(), inserted.clone()], "{relation} {items}");
            assert_eq!(rows(&format!("{delete} {items}")), [deleted.clone(), deleted.clone()], "{relation} {items}");
        }
        let there = rows(&format!("{insert} CASE WHEN old.* IS NOT DISTINCT FROM NULL THEN new.id ELSE 7 END"));
        assert_eq!(there, [[Some("3".to_owned())], [None]]);
    }
}

/// Definitions as `pg_get_viewdef` prints them: a view that is not understood could not be read at all.
#[test]
fn views_of_sql_json_are_understood() {
    let server = Postgres::start();
    if server.version() < 17 {
        return;
    }
    server.sql(
        "postgres",
        &format!(
            r#"{}; CREATE ROLE support LOGIN;
             CREATE TABLE customers (id bigint, phone text, meta jsonb);
             INSERT INTO customers VALUES (1, '0901234567', '[{{"a": 5, "b": [1, 2]}}]');
             CREATE VIEW read_v AS SELECT id, json_value(meta, '$[0].a' PASSING phone AS "P x", 3 AS y RETURNING int DEFAULT 7 ON EMPTY ERROR ON ERROR) a,
                 json_query(to_jsonb(phone), '$' WITH CONDITIONAL WRAPPER) q, json_query(meta, '$.b' RETURNING text OMIT QUOTES EMPTY ARRAY ON EMPTY NULL ON ERROR) t,
                 json_exists(meta, '$.k' TRUE ON ERROR) e FROM customers;
             CREATE VIEW table_v AS SELECT c.id, j.* FROM customers c, json_table(jsonb '[{{"a": 5, "b": [1, 2]}}]', '$[*]' AS root COLUMNS (n FOR ORDINALITY,
                 NESTED PATH '$.b[*]' AS nest COLUMNS (b int PATH '$', z text), a int PATH '$.a' DEFAULT 0 ON EMPTY ERROR ON ERROR,
                 ex bool EXISTS PATH '$.a' FALSE ON ERROR, "J j" jsonb FORMAT JSON PATH '$.b' WITH CONDITIONAL WRAPPER NULL ON EMPTY) ERROR ON ERROR) j;
             CREATE VIEW phones_v AS SELECT c.id, j.* FROM customers c, json_table(c.meta, '$[*]' PASSING c.phone AS p COLUMNS (p text PATH '$p')) j;
             CREATE VIEW made_v AS SELECT id, json_object('a' : phone NULL ON NULL WITH UNIQUE KEYS RETURNING jsonb) o, json_array(id, phone ABSENT ON NULL RETURNING json) a,
                 json_array(SELECT phone FROM customers RETURNING jsonb) q, json_scalar(phone) s, json_serialize(meta::json RETURNING text) z,
                 json(phone WITH UNIQUE KEYS) j, phone IS JSON OBJECT WITH UNIQUE KEYS i FROM customers;
             CREATE VIEW all_v AS SELECT json_objectagg(id : phone ABSENT ON NULL WITH UNIQUE KEYS RETURNING jsonb) x,
                 json_arrayagg(phone ORDER BY id NULL ON NULL RETURNING jsonb) FILTER (WHERE id > 0) y FROM customers;
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO support"#,
            common::proxy::SERVICE_LOGIN
        ),
    );
    let rules = ABSENT_RULES.replace("\"public.customers.id\"", "\"public.customers.id\", \"public.customers.meta\"");
    let proxy = common::Proxy::start(&server, &common::proxy::Options::new("postgres", rules));
    let mut client = proxy.connect("support", "postgres");
    for (view, expected) in [
        ("read_v", vec!["1|NULL|NULL|[1, 2]|f"]),
        ("table_v", vec!["1|1|5|t|[1, 2]|1|NULL", "1|1|5|t|[1, 2]|2|NULL"]),
        ("made_v", vec![r#"1|NULL|NULL|NULL|NULL|[{"a": 5, "b": [1, 2]}]|NULL|NULL"#]),
        ("all_v", vec!["NULL|NULL"]),
    ] {
        let messages = client.simple(&format!("SELECT * FROM {view} v"));
        assert!(common::wire::error(&messages).is_none(), "{view}: {}", common::wire::describe(&messages));
        let rows = common::wire::text_rows(&messages).into_iter();
        let shown: Vec<String> = rows
            .map(|row| row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".into())).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(shown, expected, "{view}");
    }
    // Its rows may come of what the role does not see.
    let refused = client.simple("SELECT id FROM phones_v");
    let error = common::wire::error(&refused).unwrap_or_else(|| panic!("{}", common::wire::describe(&refused)));
    assert_eq!(error.field(b'C').as_deref(), Some("42501"));
}

/// The engine checks its own output by the same allow-list as a client's statement.
#[test]
fn masks_call_only_functions_of_the_allow_list() {
    use pgscrim::catalog::functions::{Builtin, builtin};
    let catalog = CatalogSnapshot::new(testing::database(), 1);
    for (name, parameters, ty, ..) in EXAMPLES {
        let column = testing::column(1, &format!("x {ty}"));
        let sql = spec(name, parameters).fit(&column, &catalog).unwrap().sql.fill("x");
        // Without literals, a word before a parenthesis is a function, a type or a keyword.
        let code: String = sql.split('\'').step_by(2).collect::<Vec<_>>().join("''");
        for (at, _) in code.match_indices('(') {
            let word: String =
                code.split_at(at).0.chars().rev().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let word: String = word.chars().rev().collect();
            let known = [
                "",
                "coalesce",
                "ANY",
                "varying",
                "character",
                "numeric",
                "pgs_e",
                "pgs_u",
                "pgs_a0",
                "pgs_a1",
                "CAST",
                "cast",
                "ARRAY",
            ];
            if !known.contains(&word.as_str()) {
                assert_eq!(builtin(&word), Some(Builtin::Allowed), "{name} calls {word}: {sql}");
            }
        }
    }
}
