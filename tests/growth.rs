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
    let mut data = testing::database();
    testing::table(&mut data, "customers", "id bigint, phone varchar(20)");
    testing::table(&mut data, "orders", "id bigint, customer_id bigint");
    let catalog = CatalogSnapshot::new(data, 1);
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: RULES.into() }]).unwrap();
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
    // Deep trees are dropped by recursion: as in the proxy, long statements have a stack of their own.
    let work = move || {
        let inputs = inputs();
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
