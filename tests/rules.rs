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
        data::{CatalogData, FunctionData, RelationKind},
        testing::{database, keyed_function, relation, role, table, view},
    },
    cli::test::run_tests,
    engine::Inputs,
    names::Oid,
    policy::{
        Policy, RoleId,
        rule_tests::RuleTests,
        rules::{RuleFile, RuleSet},
    },
    reload::read_rule_tests,
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

/// The schema that the ACROS pack is written for.
fn acros() -> CatalogData {
    let mut data = database();
    for (name, columns) in [
        (
            "customers",
            "id bigint not null, full_name varchar(100), phone varchar(20), email varchar(255), birth_date date, \
             gender text, note text, meta jsonb, created_at timestamptz",
        ),
        (
            "addresses",
            "id bigint not null, customer_id bigint, recipient_name varchar(100), phone varchar(20), line text, ward text, \
             district text, province text, is_default boolean",
        ),
        (
            "orders",
            "id bigint not null, customer_id bigint, order_no text, status text, ship_name varchar(100), \
             ship_phone varchar(20), ship_address text, total numeric(12,2), note text, created_at timestamptz",
        ),
        ("order_items", "id bigint not null, order_id bigint, product_id bigint, quantity int, price numeric(12,2)"),
        ("products", "id bigint not null, name text, price numeric(12,2)"),
        (
            "shipments",
            "id bigint not null, order_id bigint, carrier text, tracking_no text, status text, shipped_at timestamptz, \
             recipient_phone varchar(20)",
        ),
        (
            "payments",
            "id bigint not null, order_id bigint, method text, card_pan varchar(19), card_holder text, bank_account text, \
             amount numeric(12,2), status text, paid_at timestamptz",
        ),
        (
            "warranty_claims",
            "id bigint not null, order_id bigint, customer_id bigint, description text, video_url text, \
             photo_urls text[], status text, created_at timestamptz",
        ),
        (
            "consents",
            "id bigint not null, customer_id bigint, purpose text, category text, granted_at timestamptz, revoked_at timestamptz",
        ),
        ("erasure_requests", "id bigint not null, customer_id bigint, requested_at timestamptz, done_at timestamptz"),
    ] {
        table(&mut data, name, columns);
    }
    let oid = |data: &CatalogData, name: &str| data.relations.iter().find(|known| known.name == name).unwrap().oid;
    let (customers, orders) = (oid(&data, "customers"), oid(&data, "orders"));
    let contacts = "SELECT customers.id, customers.full_name, customers.phone, customers.email FROM public.customers";
    let columns = "id bigint, full_name varchar(100), phone varchar(20), email varchar(255)";
    view(&mut data, "customer_contacts", columns, contacts, &[customers]);
    let sales = "SELECT date_trunc('month'::text, orders.created_at) AS month, count(*) AS orders, sum(orders.total) AS revenue \
                 FROM public.orders GROUP BY (date_trunc('month'::text, orders.created_at))";
    view(&mut data, "monthly_sales", "month timestamptz, orders bigint, revenue numeric", sales, &[orders]);
    keyed_function(&mut data);
    data
}

#[test]
fn the_acros_pack_keeps_the_policy() {
    let catalog = CatalogSnapshot::new(acros(), 1);
    let policy = compile(&pack("acros"), &catalog).unwrap_or_else(|error| panic!("{error}"));
    let treatment = |role: &str, table: &str, column: &str| {
        let relation = catalog.relation_named("public", table).unwrap();
        let position = relation.columns.iter().position(|c| c.name == column).unwrap();
        let role = policy.roles.iter().find(|r| r.name == role).unwrap();
        role.relation(relation.oid).unwrap().columns[position].treatment.label().to_owned()
    };
    // S1, A1: packing staff get what a parcel needs; S2 and R1 count for everybody.
    assert_eq!(treatment("packing", "orders", "ship_name"), "clear unless refused or erased");
    assert_eq!(treatment("packing", "orders", "ship_phone"), "phone_last unless refused or erased");
    assert_eq!(treatment("packing", "customers", "email"), "withhold");
    assert_eq!(treatment("packing", "payments", "card_pan"), "refuse");
    // P2: customer care finds customers by what they tell.
    assert_eq!(treatment("customer_care", "customers", "phone"), "phone_vn unless refused or erased");
    // P4: no direct identifier for statistics.
    for (column, pseudonym) in [("full_name", "name_pseudo"), ("phone", "phone_e164_hash"), ("email", "email_pseudo")] {
        let expected = format!("{pseudonym} unless refused or erased");
        assert_eq!(treatment("service_development", "customers", column), expected, "{column}");
    }
    assert_eq!(treatment("service_development", "customers", "note"), "withhold");
    assert_eq!(treatment("service_development", "customers", "birth_date"), "birth_band unless refused or erased");
    // A4: marketing sees contact data of those who agreed.
    assert_eq!(treatment("marketing", "customers", "phone"), "clear if consented unless refused or erased");
    // A2: carriers and payment intermediaries see rows of their own.
    let scoped = |role: &str, table: &str| {
        let relation = catalog.relation_named("public", table).unwrap();
        let role = policy.roles.iter().find(|r| r.name == role).unwrap();
        role.relation(relation.oid).is_some_and(|policy| policy.scope.is_some())
    };
    for table in
        ["customers", "addresses", "orders", "order_items", "shipments", "payments", "warranty_claims", "consents"]
    {
        assert!(scoped("carrier", table) && scoped("payment", table), "{table}");
        assert!(!scoped("packing", table), "{table}");
    }
    // A3: authorities get nothing before a legal basis can be recorded.
    assert_eq!(treatment("authority", "customers", "full_name"), "refuse");
    assert_eq!(treatment("owner", "payments", "card_pan"), "clear");
    // Every table of the shop that holds personal data is covered, every column deliberately so.
    for relation in catalog.data().relations.iter().filter(|relation| relation.schema == "public") {
        let Some(governed) = policy.roles[0].relation(relation.oid) else {
            assert!(["products", "order_items"].contains(&relation.name.as_str()), "{}", relation.name);
            continue;
        };
        if relation.kind == RelationKind::View {
            continue; // Takes its categories from its sources.
        }
        for (column, known) in relation.columns.iter().zip(&governed.columns) {
            assert!(known.category.is_some(), "{}.{} is in no category", relation.name, column.name);
        }
    }
}

#[test]
fn the_tests_of_the_acros_pack_pass() {
    let catalog = CatalogSnapshot::new(acros(), 1);
    let policy = compile(&pack("acros"), &catalog).unwrap_or_else(|error| panic!("{error}"));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/acros");
    let tests = RuleTests::parse(read_rule_tests(&folder).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let inputs = Inputs { catalog, policy: Arc::new(policy) };
    let outcomes = run_tests(&tests, &inputs).unwrap_or_else(|error| panic!("{error}"));
    assert!(outcomes.len() > 5);
    for outcome in outcomes {
        assert!(outcome.passed, "{}: {:?}", outcome.name, outcome.problems);
    }
}

/// Each text of the pack with one rule left out, and what was.
fn without_one_rule(text: &str) -> Vec<(String, String)> {
    // What no reader of data notices: titles, and what reports alone look at.
    const UNSEEN: [&str; 8] = [
        "policy",
        "title",
        "sensitivity",
        "requested_at",
        "answer_within",
        "carry_out_within",
        "otherwise = \"withhold\"",
        "columns = [",
    ];
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (before, behind) = (&text[..start], &text[start + line.len()..]);
        start += line.len();
        let rule = line.trim();
        let entry = rule.starts_with('"') || rule.contains(" = ");
        if rule.starts_with('#') || !entry {
            continue;
        }
        if !UNSEEN.iter().any(|unseen| rule.starts_with(unseen)) {
            found.push((format!("{before}{behind}"), rule.to_owned()));
        }
        // The members of a list or a table in one line.
        let opened = line.find(['[', '{']).filter(|_| rule.contains(" = ") && !rule.starts_with('"'));
        let Some((opened, closed)) = opened.zip(line.rfind([']', '}'])).filter(|(opened, closed)| opened < closed)
        else {
            continue;
        };
        let inside = &line[opened + 1..closed];
        let mut depth = 0;
        let parts: Vec<&str> = inside
            .split(|c: char| {
                depth += i32::from("[{".contains(c)) - i32::from("]}".contains(c));
                c == ',' && depth == 0
            })
            .collect();
        for left_out in 0..parts.len() {
            let rest: Vec<&str> =
                parts.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, part)| *part).collect();
            let line = format!("{}{}{}", &line[..=opened], rest.join(","), &line[closed..]);
            found.push((
                format!("{before}{line}{behind}"),
                format!("{} of {}", parts[left_out].trim(), &rule[..rule.len().min(40)]),
            ));
        }
    }
    found
}

/// Every rule of the pack is one that its tests notice the loss of.
#[test]
fn the_tests_of_the_acros_pack_depend_on_every_rule() {
    let catalog = CatalogSnapshot::new(acros(), 1);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/acros");
    let tests = RuleTests::parse(read_rule_tests(&folder).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let files = pack("acros");
    let passes = |policy: Policy| {
        let inputs = Inputs { catalog: Arc::clone(&catalog), policy: Arc::new(policy) };
        run_tests(&tests, &inputs).is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.passed))
    };
    assert!(passes(compile(&files, &catalog).unwrap()), "the pack as it is");
    let mut unnoticed = Vec::new();
    let mut count = 0;
    for (position, changed) in files.iter().enumerate() {
        for (text, what) in without_one_rule(&changed.text) {
            count += 1;
            let mut files = files.clone();
            files[position] = file(&changed.path, &text);
            let Ok(policy) = compile(&files, &catalog) else { continue };
            if passes(policy) {
                unnoticed.push(format!("{}: {what}", changed.path));
            }
        }
    }
    assert!(count > 200, "{count}");
    assert!(unnoticed.is_empty(), "{} of {count}:\n{}", unnoticed.len(), unnoticed.join("\n"));
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
    let catalog = CatalogSnapshot::new(acros(), 1);
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
