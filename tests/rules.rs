//! Rule files: bad ones with the complaints that people read (`tests/golden/rules`), the packs that come with pgscrim, and
//! that no text whatsoever makes the decoder panic. `REWRITE=1` writes the complaints anew; the diff is the review.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test"
)]

mod common;

use std::{fs, path::PathBuf, sync::Arc};

use pgscrim::{
    catalog::{
        CatalogSnapshot,
        data::{FunctionData, RelationKind},
        testing::{database, relation, role, table},
    },
    names::Oid,
    policy::{
        Policy, RoleId,
        rules::{RuleFile, RuleSet},
    },
};

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.into(), text: text.into() }
}

fn shop() -> Arc<CatalogSnapshot> {
    let mut data = database();
    table(
        &mut data,
        "customers",
        "id bigint not null, full_name varchar(100), phone varchar(20), code varchar(4), born date, meta json",
    );
    table(&mut data, "orders", "id bigint not null, ship_phone varchar(20), total numeric(12,2)");
    relation(&mut data, "customers_id_seq", RelationKind::Sequence, "last_value bigint");
    role(&mut data, "app", &["staff"]);
    data.functions.push(FunctionData {
        oid: Oid(20000),
        schema: "public".into(),
        name: "discount".into(),
        volatility: 'i',
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
    CatalogSnapshot::new(data, 1)
}

fn compile(files: &[RuleFile], catalog: &CatalogSnapshot) -> Result<Policy, String> {
    let rules = RuleSet::parse(files).map_err(|diagnostics| diagnostics.to_string())?;
    rules.compile(catalog).map_err(|diagnostics| diagnostics.to_string())
}

/// A case is `=== title`, the rule file, `----`, what is printed. A line `>>> name` starts another file of the case.
/// Names that look the same are told apart, complaints without help have no empty line, and what an unreadable file defines is not missed.
#[test]
fn complaints_say_what_is_to_be_mended() {
    let mut data = database();
    table(&mut data, "kh", "id bigint, Tên text");
    let rules = "policy = \"p\"\n[category.name]\ncolumns = [\"public.kh.Te\u{302}n\"]\n[[role]]\nname = \"a\"\n\
                 match = { user = \"a\" }\n";
    let file = |path: &str, text: &str| RuleFile { path: path.into(), text: text.into() };
    let catalog = CatalogSnapshot::new(data, 1);
    let said = RuleSet::parse(&[file("r.toml", rules)]).unwrap().compile(&catalog).unwrap_err().to_string();
    assert!(said.contains("looks the same, but its marks are composed otherwise"), "{said}");
    let broken = [
        file("a.toml", "policy = \"p\"\n[[role]]\nname = \"x\"\nname = \"y\"\n"),
        file("b.toml", "[[grant]]\nrole = \"x\"\n"),
    ];
    let said = RuleSet::parse(&broken).unwrap_err();
    assert_eq!(said.items.len(), 1, "{said}");
    assert!(said.to_string().contains("duplicate key"), "{said}");
}

#[test]
fn complaints_are_as_reviewed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rules");
    let catalog = shop();
    let mut failures = Vec::new();
    let mut count = 0;
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let mut rewritten = String::new();
        for case in text.split("=== ").skip(1) {
            count += 1;
            let (title, rest) = case.split_once('\n').unwrap();
            let (rules, expected) = rest.split_once("\n----\n").unwrap_or((rest, ""));
            let mut files = Vec::new();
            for (index, part) in rules.split(">>> ").enumerate() {
                let (name, body) = if index == 0 { ("rules.toml", part) } else { part.split_once('\n').unwrap() };
                if !body.is_empty() {
                    files.push(file(name, &format!("{}\n", body.trim_end())));
                }
            }
            let printed = match compile(&files, &catalog) {
                Ok(_) => "valid\n".to_owned(),
                Err(printed) => printed,
            };
            rewritten += &format!("=== {title}\n{rules}\n----\n{}\n\n", printed.trim_end());
            if printed.trim_end() != expected.trim_end() {
                failures.push(format!("{}: {title}\nexpected:\n{expected}\nprinted:\n{printed}", path.display()));
            }
        }
        if std::env::var_os("REWRITE").is_some() {
            fs::write(&path, rewritten).unwrap();
        }
    }
    assert!(count > 30, "the cases were not found");
    if std::env::var_os("REWRITE").is_none() {
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    }
}

fn pack(name: &str) -> Vec<RuleFile> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules").join(name);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".toml") && !name.ends_with(".test.toml")
    });
    files.map(|path| file(&path.display().to_string(), &fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn the_starter_pack_is_valid() {
    let mut data = database();
    let customers = table(
        &mut data,
        "customers",
        "id bigint not null, full_name text, phone varchar(20), email text, created_at timestamptz, secret text",
    );
    let policy = compile(&pack("starter"), &CatalogSnapshot::new(data, 1)).unwrap_or_else(|error| panic!("{error}"));
    let labels = |role: u16| -> Vec<String> {
        let columns = &policy.role(RoleId(role)).unwrap().relation(customers).unwrap().columns;
        columns.iter().map(|column| column.treatment.label().to_owned()).collect()
    };
    assert_eq!(labels(0), ["clear", "clear", "partial(3,2)", "email", "clear", "withhold"]);
    assert_eq!(labels(1), ["clear", "name_initials", "withhold", "withhold", "clear", "withhold"]);
    assert_eq!(labels(2), ["clear"; 6]);
}

#[test]
fn no_text_makes_the_decoder_panic() {
    let whole: String = pack("acros").iter().chain(&pack("starter")).map(|file| file.text.to_string()).collect();
    let lines: Vec<&str> = whole.lines().collect();
    let pieces = [
        "=",
        "[",
        "]",
        "[[role]]",
        "\"",
        "'",
        "{",
        "}",
        "#",
        "\0",
        "\u{feff}",
        "é",
        ".",
        "*",
        "\\",
        "1e9",
        "-",
        "true",
        "\n",
        "category.x",
    ];
    let catalog = shop();
    let mut seed = 88172645463325252_u64;
    let mut next = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    let mut complaints = 0;
    for _ in 0..400 {
        let from = next(lines.len());
        let mut text = lines[from..(from + next(40)).min(lines.len())].join("\n");
        for _ in 0..next(4) {
            let mut at = next(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, pieces[next(pieces.len())]);
        }
        complaints += usize::from(compile(&[file("fuzz.toml", &text)], &catalog).is_err());
    }
    assert!(complaints > 300);
}

#[test]
fn the_hash_follows_every_byte_and_no_path() {
    let hash = |path: &str, text: &str| RuleSet::parse(&[file(path, text)]).unwrap().hash().to_owned();
    let text = "policy = \"p\"\n[[role]]\nname = \"r\"\nmatch = { user = \"u\" }\n";
    assert_eq!(hash("a/x.toml", text), hash("b/x.toml", text));
    assert_ne!(hash("x.toml", text), hash("x.toml", &format!("{text}# more\n")));
    assert_eq!(hash("x.toml", text).len(), 32);
}

#[test]
fn every_mask_stands_in_the_manual() {
    let manual = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/README.md")).unwrap();
    for def in pgscrim::policy::masks::all() {
        assert!(manual.contains(&format!("\n| `{}` |", def.name)), "{} is missing in rules/README.md", def.name);
    }
}

/// Views as a real server describes them.
#[test]
fn views_are_governed_where_they_reach_what_is_protected_and_nowhere_else() {
    let server = common::Postgres::start();
    server.sql(
        "postgres",
        "CREATE TABLE customers (id bigint PRIMARY KEY, full_name varchar(100), phone varchar(20), code varchar(4), born date, meta json);
         CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, ship_phone varchar(20), total numeric(12,2)) PARTITION BY RANGE (id);
         CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (100);
         CREATE TABLE products (id bigint PRIMARY KEY, title text, price numeric(12,2));
         CREATE FUNCTION spy() RETURNS SETOF text LANGUAGE sql AS $$ SELECT phone FROM public.customers $$;
         CREATE VIEW price_list AS SELECT upper(title) AS title, round(price, 0) AS price, now() AS at FROM products WHERE price > 0 AND length(title) < 30;
         CREATE MATERIALIZED VIEW prices AS SELECT count(*) AS n, avg(price) FROM products;
         CREATE VIEW tables AS SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace;
         CREATE VIEW secrets AS SELECT * FROM pg_authid;
         CREATE VIEW guesses AS SELECT most_common_vals::text FROM pg_stats;
         CREATE VIEW xml AS SELECT query_to_xml('SELECT * FROM customers', true, true, '');
         CREATE VIEW spied AS SELECT spy() AS phone;
         CREATE VIEW phones AS SELECT id, phone AS tel, lower(full_name) AS low FROM customers;
         CREATE VIEW over AS SELECT tel FROM phones;
         CREATE VIEW hidden AS SELECT 1 AS one FROM products WHERE EXISTS (SELECT FROM customers WHERE phone LIKE '09%')",
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
    let rules = "policy = \"p\"
        [category.none]
        columns = [\"public.customers.id\", \"public.orders.id\"]
        [category.phone]
        columns = [\"public.customers.phone\", \"public.orders.ship_phone\"]
        [[role]]
        name = \"r\"
        match = { user = \"app\" }
        see = { phone = \"phone_vn\" }
        [[role]]
        name = \"f\"
        match = { user = \"web\" }
        functions = [\"public.spy\"]
    ";
    let policy = compile(&[file("rules.toml", rules)], &catalog).unwrap_or_else(|error| panic!("{error}"));
    let governed = |role: u16, name: &str| {
        let relation = catalog.relation_named("public", name).unwrap();
        policy.role(RoleId(role)).unwrap().relation(relation.oid)
    };
    for free in ["products", "price_list", "prices", "tables"] {
        let why = governed(0, free).map(|policy| policy.refuse.clone());
        assert!(why.is_none(), "{free}: {why:?}");
    }
    for refused in ["secrets", "guesses", "xml", "spied"] {
        assert!(governed(0, refused).unwrap().refuse.is_some(), "{refused}");
    }
    assert!(governed(1, "spied").unwrap().refuse.is_none(), "the rules list the function");
    for guarded in ["phones", "over", "hidden"] {
        let policy = governed(0, guarded).unwrap_or_else(|| panic!("{guarded}"));
        let shown = |column: &pgscrim::policy::ColumnPolicy| column.treatment.label().to_owned();
        let columns: Vec<String> = policy.columns.iter().map(shown).collect();
        // Either the definition is understood, or the view is refused.
        if policy.refuse.is_none() {
            let expected: &[&str] = match guarded {
                "phones" => &["clear", "phone_vn", "withhold"],
                "over" => &["phone_vn"],
                _ => &["clear"],
            };
            assert_eq!(columns, expected, "{guarded}");
        }
    }
    let partition: Vec<&str> =
        governed(0, "orders_1").unwrap().columns.iter().map(|column| column.treatment.label()).collect();
    assert_eq!(partition, ["clear", "withhold", "phone_vn", "withhold"]);
}
