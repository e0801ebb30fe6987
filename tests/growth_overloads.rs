//! What `tests/growth.rs` says of long statements holds where the database has functions and operators that are called like built-in
//! ones, so that types tell which is meant. Short texts that are judged where other sessions wait take next to nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod common;

use std::time::{Duration, Instant};

use common::{Postgres, planner, shop};
use pgscrim::{
    engine::{Inputs, Protocol, QueryContext, plan},
    error::RefusalCode,
    policy::RoleId,
};

const SCHEMA: &str = "
CREATE ROLE support LOGIN;
CREATE TABLE customers (id bigint, phone text, total numeric);
CREATE FUNCTION public.round(float8, int) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.round($1::numeric, $2)';
CREATE TYPE cu AS (r int);
CREATE FUNCTION cu_lt(cu, cu) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT ($1).r < ($2).r';
CREATE FUNCTION cu_add(cu, cu) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).r + ($2).r';
CREATE OPERATOR public.< (LEFTARG = cu, RIGHTARG = cu, FUNCTION = cu_lt);
CREATE OPERATOR public.+ (LEFTARG = cu, RIGHTARG = cu, FUNCTION = cu_add);
CREATE OPERATOR public.|| (LEFTARG = cu, RIGHTARG = cu, FUNCTION = cu_add);
";

const RULES: &str = r#"
policy = "growth"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id", "public.customers.total"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "phone_last" }
functions = ["public.round"]
"#;

fn inputs() -> (Postgres, Inputs) {
    let postgres = shop::load_other(Postgres::start(), &[SCHEMA]);
    let inputs = planner::inputs(&postgres, shop::DATABASE, RULES);
    (postgres, inputs)
}

/// The fastest of three, and the refusal if there is one.
fn time(sql: &str, inputs: &Inputs) -> (Duration, Option<RefusalCode>) {
    let search_path = vec!["pg_catalog".to_owned(), "public".to_owned()].into();
    let context = QueryContext { role: RoleId(0), search_path, protocol: Protocol::Simple };
    let once = || {
        let started = Instant::now();
        let answer = plan(sql, &context, inputs);
        (started.elapsed(), answer.err().map(|refused| refused.refusal.code))
    };
    (0..3).map(|_| once()).min_by_key(|(took, _)| *took).unwrap()
}

fn chain(head: &str, part: &str, count: usize) -> String {
    format!("{head}{}", part.repeat(count))
}

/// Runs with room for deep trees, as the proxy does for long texts.
fn with_room<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(256 << 20).spawn(work).unwrap().join().unwrap()
}

#[test]
fn chains_and_lists_grow_evenly() {
    let (_postgres, inputs) = inputs();
    with_room(move || {
        for (name, head, part, count) in [
            ("sums", "SELECT 1", "+1", 3_000),
            ("texts", "SELECT 'a'", "||1", 3_000),
            ("sums of columns", "SELECT id FROM customers WHERE id < 1", "+id", 2_000),
            ("sums of a call", "SELECT pg_catalog.round(1.5::numeric, 1)", "+1", 2_000),
            ("right sides", "SELECT 1", "+(2*3)", 2_000),
            ("ORs", "SELECT id FROM customers WHERE id < 1", " OR id < 1", 2_000),
            (
                "ORs of sub-selects",
                "SELECT id FROM customers WHERE id < 1",
                " OR id = (SELECT max(id) FROM customers)",
                500,
            ),
            ("rows", "VALUES (1, 2, 3)", ", (1, 2, 3)", 5_000),
            ("inserted rows", "INSERT INTO customers VALUES (1, 'a', 3)", ", (1, 'a', 3)", 5_000),
            ("items", "SELECT 1", ", round(1.5::float8, 1)", 2_000),
            ("dates", "SELECT id FROM customers WHERE id < 1", " OR now() - interval '1 day' < now()", 1_000),
        ] {
            let (small, refused) = time(&chain(head, part, count), &inputs);
            assert_eq!(refused, None, "{name}");
            let (large, refused) = time(&chain(head, part, count * 4), &inputs);
            assert_eq!(refused, None, "{name}");
            let ratio = large.as_secs_f64() / small.as_secs_f64();
            println!("{name}: {count} parts {small:?}, four times as many {large:?}, {ratio:.1} times");
            assert!(ratio < 10.0, "{name}: four times the size takes {ratio:.1} times as long ({small:?}, {large:?})");
        }
    });
}

/// Such texts are judged on the thread of the session: what they take, others of the thread wait for.
#[test]
fn short_texts_take_next_to_nothing() {
    let (_postgres, inputs) = inputs();
    with_room(move || {
        for (head, part) in [
            ("SELECT 1", "+1"),
            ("SELECT 'a'", "||1"),
            ("SELECT round(1.5::float8,1)", "+1"),
            ("SELECT round(1.5::float8,1)<1", " or 1<1"),
            ("SELECT -1", "- -1"),
            ("SELECT ", "round("),
            ("SELECT ", "array["),
            ("SELECT ", "- "),
            ("SELECT ", "coalesce(1+"),
            ("SELECT ", "case when 1<1 then 1+"),
            ("SELECT ", "(select 1+"),
        ] {
            let mut sql = chain(head, part, (1_000 - head.len()) / part.len());
            if let Some(opened) = part.chars().find(|c| "([".contains(*c)) {
                let count = sql.matches(opened).count() / 2;
                let close = if opened == '(' { ")" } else { "]" };
                sql = format!("{}1{}", chain(head, part, count), close.repeat(count));
            } else if part == "- " {
                sql.push('1');
            } else if part.starts_with("case") {
                sql = format!("{}1{}", chain(head, part, 30), " end".repeat(30));
            }
            let (took, refused) = time(&sql, &inputs);
            println!("{head}{part}…: {took:?} {refused:?}");
            assert!(took < Duration::from_millis(150), "{head}{part}…: {took:?}");
        }
    });
}
