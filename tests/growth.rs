//! Long statements cost as much as they are long: twice the size takes about twice the time, not four times.
//!
//! Times are noisy where tests run, so the ratio is generous, each size is planned several times and the fastest counts.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use pgscrim::{
    catalog::{CatalogSnapshot, testing},
    engine::{Inputs, Protocol, QueryContext, plan},
    error::RefusalCode,
    policy::{
        RoleId,
        rules::{RuleFile, RuleSet},
    },
};

const RULES: &str = r#"
policy = "growth"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "withhold" }
"#;

fn inputs() -> Inputs {
    inputs_of(RULES)
}

fn inputs_of(rules: &str) -> Inputs {
    let mut data = testing::database();
    testing::table(&mut data, "customers", "id bigint, phone varchar(20)");
    testing::table(&mut data, "orders", "id bigint, customer_id bigint");
    let wide: Vec<String> = (0..1600).map(|number| format!("c{number} text")).collect();
    testing::table(&mut data, "wide", &wide.join(", "));
    let catalog = CatalogSnapshot::new(data, 1);
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: rules.into() }]).unwrap();
    let policy = Arc::new(rules.compile(&catalog).unwrap());
    Inputs { catalog, policy }
}

/// `head`, then `count` times what `part` makes of a number, then `tail`.
fn repeated(head: &str, count: usize, part: impl Fn(usize) -> String, tail: &str) -> String {
    let mut sql = head.to_owned();
    for number in 0..count {
        let _ = write!(sql, "{}", part(number));
    }
    sql + tail
}

fn context() -> QueryContext {
    let search_path = vec!["pg_catalog".to_owned(), "public".to_owned()].into();
    QueryContext { role: RoleId(0), search_path, protocol: Protocol::Simple }
}

fn time(sql: &str, inputs: &Inputs) -> Duration {
    let once = || {
        let started = Instant::now();
        let answer = plan(sql, &context(), inputs);
        let took = started.elapsed();
        assert!(answer.is_ok(), "{:?}", answer.err().map(|refused| refused.refusal));
        took
    };
    (0..3).map(|_| once()).min().unwrap()
}

/// Plans a statement of `count` parts and one of four times as many: 4 is linear, 16 quadratic.
fn grows_evenly(name: &str, count: usize, make: impl Fn(usize) -> String + Send + 'static) {
    grows_evenly_by(RULES.to_owned(), name, count, make);
}

fn grows_evenly_by(rules: String, name: &str, count: usize, make: impl Fn(usize) -> String + Send + 'static) {
    // Deep trees are dropped by recursion: as in the proxy, long statements have a stack of their own.
    let work = move || {
        let inputs = inputs_of(&rules);
        (time(&make(count), &inputs), time(&make(count * 4), &inputs))
    };
    let (small, large) = std::thread::Builder::new().stack_size(256 << 20).spawn(work).unwrap().join().unwrap();
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    println!("{name}: {count} parts {small:?}, four times as many {large:?}, {ratio:.1} times");
    assert!(ratio < 10.0, "{name}: four times the size takes {ratio:.1} times as long ({small:?}, {large:?})");
}

#[test]
fn lists_of_constants() {
    grows_evenly("list", 20_000, |count| {
        repeated("SELECT phone FROM customers WHERE id IN (0", count, |number| format!(", {number}"), ")")
    });
}

#[test]
fn rows_of_an_insert() {
    grows_evenly("rows", 5_000, |count| {
        repeated("INSERT INTO orders VALUES (0, 0)", count, |number| format!(", ({number}, 'it''s {number}')"), "")
    });
}

#[test]
fn signs() {
    // Each is an operator of its own.
    for sign in ["+", "-+", "+ -", "*+"] {
        let sql = |count| format!("SELECT 1 {}'1'", sign.repeat(count));
        let inputs = inputs();
        let time = |count: usize| {
            let started = Instant::now();
            let _ = plan(&sql(count), &context(), &inputs);
            started.elapsed()
        };
        let best = |count| (0..3).map(|_| time(count)).min().unwrap();
        let (small, large) = (best(2_000), best(8_000));
        assert!(large < Duration::from_millis(200) + small * 10, "{sign}: {small:?}, {large:?}");
    }
}

#[test]
fn unions() {
    grows_evenly("unions", 300, |count| {
        repeated("SELECT id, phone FROM customers", count, |_| " UNION SELECT id, phone FROM customers".to_owned(), "")
    });
}

#[test]
fn joins() {
    grows_evenly("joins", 250, |count| {
        let join = |number| format!(" JOIN customers c{number} ON c{number}.id = o.customer_id");
        repeated("SELECT o.id FROM orders o", count, join, "")
    });
}

/// A merged column comes from all tables that were merged: their number has a limit.
#[test]
fn joins_that_merge_columns_have_a_limit() {
    let inputs = inputs();
    let joins = |count, join: fn(usize) -> String| repeated("SELECT 1 FROM orders o", count, join, "");
    let natural = |number| format!(" NATURAL JOIN customers c{number}");
    let using = |number| format!(" JOIN customers c{number} USING (id)");
    for join in [natural, using] {
        time(&joins(200, join), &inputs);
        let refused = plan(&joins(1000, join), &context(), &inputs).unwrap_err();
        assert_eq!(refused.refusal.code, RefusalCode::TooDeep, "{}", refused.refusal);
    }
}

#[test]
fn conditions() {
    grows_evenly("conditions", 2_000, |count| {
        repeated("SELECT phone FROM customers WHERE id = 0", count, |number| format!(" OR id = {number}"), "")
    });
}

#[test]
fn select_items() {
    grows_evenly("select items", 2_000, |count| {
        repeated("SELECT id", count, |_| ", phone".to_owned(), " FROM customers")
    });
}

/// A row scope asks which columns that can fail a condition names.
#[test]
fn columns_of_sub_selects_beside_a_row_scope() {
    let rules = RULES.to_owned() + "rows = { \"public.orders\" = \"id > 0\" }\n";
    let items = |same: bool| {
        move |count: usize| {
            let item = move |number: usize| format!(", abs(id) AS a{}", if same { 0 } else { number });
            let inner = repeated("SELECT 1 AS one", count, item, " FROM orders");
            repeated(
                &format!("SELECT 1 FROM ({inner}) q WHERE one = 1"),
                count,
                |number| format!(" OR one = {number}"),
                "",
            )
        }
    };
    grows_evenly_by(rules.clone(), "columns", 300, items(false));
    grows_evenly_by(rules.clone(), "columns of one name", 300, items(true));
    grows_evenly_by(rules, "sub-selects", 60, |count| {
        let inner = |number: usize| format!(", (SELECT abs(id) AS a FROM orders) q{number}");
        repeated("SELECT 1 FROM orders o", count, inner, " WHERE o.id = 1")
            + &repeated("", count, |number| format!(" OR o.id = {number}"), "")
    });
}

/// Plans a text that PostgreSQL's grammar takes; how long that took, and the refusal's code.
fn bounded(sql: String) -> (Duration, Option<RefusalCode>) {
    let work = move || {
        let inputs = inputs();
        let started = Instant::now();
        let answer = plan(&sql, &context(), &inputs);
        (started.elapsed(), answer.err().map(|refused| refused.refusal.code))
    };
    std::thread::Builder::new().stack_size(256 << 20).spawn(work).unwrap().join().unwrap()
}

/// Texts that would make more work than their length: each ends soon, most of them in a clear refusal.
#[test]
fn work_has_a_limit() {
    let too_much = Some(RefusalCode::TooDeep);
    let list = |count, part: &str| repeated("SELECT concat(1", count, |_| format!(", {part}"), "");
    let shapes = [
        ("rows of a wide table", list(50_000, "w") + ") FROM wide w", too_much),
        ("columns of a wide table", list(200_000, "c1599") + ") FROM wide w", too_much),
        ("stars over a wide table", list(20_000, "EXISTS (SELECT w.* FROM orders)") + ") FROM wide w", too_much),
        ("uses of a wide table", list(20_000, "(SELECT 1 FROM wide)") + ")", too_much),
        ("uses of a table", list(100_000, "(SELECT id FROM customers)") + ")", too_much),
        (
            "joins that merge a wide table",
            repeated("SELECT 1 FROM wide w", 250, |number| format!(" NATURAL JOIN wide w{number}"), ""),
            too_much,
        ),
        (
            "functions in FROM",
            list(
                60,
                &repeated("(SELECT 1 FROM orders", 900, |number| format!(", generate_series(1, 1) x{number}"), ")"),
            ) + ")",
            too_much,
        ),
        (
            "a chain of WITH",
            repeated(
                "WITH q AS (SELECT id, phone FROM customers)",
                3_000,
                |number| {
                    let from = if number == 0 { "q".to_owned() } else { format!("q{}", number - 1) };
                    format!(", q{number} AS (SELECT x.id, y.phone FROM {from} x, {from} y)")
                },
                " SELECT * FROM q2999",
            ),
            None,
        ),
        (
            "columns that double",
            repeated(
                "WITH q AS (SELECT id AS a, phone AS b FROM customers)",
                100,
                |number| {
                    let from = if number == 0 { "q".to_owned() } else { format!("q{}", number - 1) };
                    format!(", q{number} AS (SELECT * FROM {from} x, {from} y)")
                },
                " SELECT 1 FROM q99",
            ),
            Some(RefusalCode::Unsupported),
        ),
        ("masks", list(50_000, "phone") + ") FROM customers", None),
        (
            "masks of a target",
            repeated("UPDATE customers SET id = 1 WHERE phone IN (''", 20_000, |_| ", phone".to_owned(), ")"),
            None,
        ),
        (
            "assignments",
            repeated("UPDATE customers SET id = 1", 20_000, |_| ", phone = phone".to_owned(), ""),
            too_much,
        ),
    ];
    for (name, sql, expected) in shapes {
        let bytes = sql.len();
        let (took, code) = bounded(sql);
        println!("{name}: {bytes} bytes, {took:?}, {code:?}");
        assert_eq!(code, expected, "{name}");
        assert!(took < Duration::from_secs(60), "{name}: {took:?}");
    }
}

/// What a statement becomes with masks and guards has a limit, which long statements of applications do not reach.
#[test]
fn texts_with_masks_have_a_limit() {
    let rules =
        RULES.replace("see = { phone = \"withhold\" }", "see = { phone = \"phone_last\" }\nstore_masks = \"refuse\"");
    assert_ne!(rules, RULES);
    let too_long = Some(RefusalCode::TextTooLong);
    let list = |count, part: &str, tail: &str| {
        repeated("UPDATE customers SET id = 1 WHERE phone IN (''", count, |_| part.to_owned(), tail)
    };
    let rows = |count, value: &str| {
        repeated("INSERT INTO customers VALUES (0, '')", count, |number| format!(", ({number}, '{value}{number}')"), "")
    };
    let wide = "x".repeat(1_000);
    for (name, sql, expected) in [
        ("masks of a target", list(500_000, ", phone", ")"), too_long),
        ("rows with guards", rows(300_000, ""), too_long),
        ("fewer rows with guards", rows(50_000, ""), Some(RefusalCode::TooManyTokens)),
        ("rows with guards that are not too many", rows(5_000, ""), None),
        ("a list of constants", list(100_000, ", '0901234567'", ")"), None),
        ("an INSERT of ten megabytes", rows(10_000, &wide), None),
        ("a value of five megabytes", format!("UPDATE customers SET phone = '{}'", "x".repeat(5 << 20)), None),
    ] {
        let (bytes, rules) = (sql.len(), rules.clone());
        let work = move || {
            let started = Instant::now();
            let answer = plan(&sql, &context(), &inputs_of(&rules));
            let sent = answer.as_ref().map_or(0, |plan| plan.permit.text().len());
            (started.elapsed(), sent, answer.err().map(|refused| refused.refusal.code))
        };
        let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(work).unwrap();
        let (took, sent, code) = thread.join().unwrap();
        println!("{name}: {bytes} bytes, {sent} sent, {took:?}, {code:?}");
        assert_eq!(code, expected, "{name}");
    }
}

/// Views of which each reads both of the level below: what decides on their rows is noted once, not in every way that leads to it.
#[test]
fn views_of_views_do_not_double() {
    let mut data = testing::database();
    let table = testing::table(&mut data, "customers", "id bigint, phone varchar(20)");
    let mut below = vec![(table, "customers".to_owned())];
    for level in 0..40 {
        let mut views = Vec::new();
        for side in ["a", "b"] {
            let name = format!("v{level}{side}");
            let from: Vec<String> =
                below.iter().enumerate().map(|(number, (_, source))| format!("public.{source} x{number}")).collect();
            let sql = format!("SELECT x0.id, x0.phone FROM {} WHERE x0.phone IS NOT NULL", from.join(", "));
            let oids: Vec<_> = below.iter().map(|(oid, _)| *oid).collect();
            let oid = testing::view(&mut data, &name, "id bigint, phone varchar(20)", &sql, &oids);
            views.push((oid, name));
        }
        below = views;
    }
    let catalog = CatalogSnapshot::new(data, 1);
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: RULES.into() }]).unwrap();
    let started = Instant::now();
    let policy = Arc::new(rules.compile(&catalog).unwrap());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // What decides at the bottom is known at the top.
    let refused = plan("SELECT id FROM v39a", &context(), &Inputs { catalog, policy }).unwrap_err();
    assert_eq!(refused.refusal.code, RefusalCode::ViewNotUnderstood, "{}", refused.refusal);
}
