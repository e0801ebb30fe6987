//! Statements with other literals in them, and whether two answers of the engine are the same: a plan from the cache must be
//! the plan that the pipeline would make.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, missing_docs, reason = "a test")]

use std::sync::Arc;

use pgscrim::{
    engine::{Plan, Refused},
    sql::{Kind, lex},
};

const TEXTS: &[&str] = &[
    "''",
    "'x'",
    "'it''s'",
    "E'a\\\\b\\'c'",
    "U&'\\0041'",
    "$q$a'b$q$",
    "$$$$",
    "'back\\slash'",
    "'2'",
    "'search_path'",
    "'a -- b'",
    "'a'\n'b'",
    "'ấm; select'",
    "E'\\x41'",
    "'work_mem'",
    "E'\\001\\002'",
];
const NUMBERS: &[&str] =
    &["0", "1", "2", "3", "99", "123456789012345678901", "1.5", ".5", "1.", "1e10", "0x1F", "1_000"];

/// `sql` with other literals in it, chosen by `seed`; and other white space around them.
pub fn other(sql: &str, seed: usize) -> Option<String> {
    let tokens = lex::lex(sql).ok()?;
    let mut out = String::new();
    let (mut from, mut number) = (0, 0);
    for token in tokens.iter().filter(|token| token.is_literal()) {
        number += 1;
        let choice = seed * 7 + number * 3;
        let (start, end) = (token.start as usize, token.end as usize);
        let others = if token.kind == Kind::Text {
            TEXTS
        } else if token.kind == Kind::Number {
            NUMBERS
        } else if token.kind == Kind::National {
            &["N'x'", "N'it''s'", "n''"]
        } else if token.kind == Kind::Bits {
            &["B'1'", "b'0101'", "B''"]
        } else {
            &["X'1F'", "x'a'", "X''"]
        };
        out += &sql[from..start];
        out += if seed.is_multiple_of(2) { " " } else { " /* '1' */ " };
        out += others[choice % others.len()];
        out += " ";
        from = end;
    }
    out += &sql[from..];
    (number > 0).then_some(out)
}

fn described(plan: &Plan, sql: &str, places: &[usize]) -> String {
    let places: Vec<_> = places.iter().map(|place| plan.position(sql, *place)).collect();
    let statements = plan.statements.iter();
    let statements: Vec<_> =
        statements.map(|s| format!("{} {:?} {:?} {:?}", s.kind, s.access, s.effect, s.outputs)).collect();
    format!("{}\n{}\n{places:?}", plan.permit.text(), statements.join("\n"))
}

/// Whether two answers for `sql` are the same in all that can be seen of them.
pub fn same(kept: &Result<Arc<Plan>, Box<Refused>>, fresh: &Result<Plan, Box<Refused>>, sql: &str) -> bool {
    match (kept, fresh) {
        (Ok(kept), Ok(fresh)) => {
            let all = 1..=fresh.permit.text().chars().count() + 1;
            // Every place that is known, and some that are not.
            let places: Vec<_> =
                all.filter(|place| place.is_multiple_of(9) || fresh.position(sql, *place).is_some()).collect();
            described(kept, sql, &places) == described(fresh, sql, &places)
        }
        (Err(kept), Err(fresh)) => kept.refusal == fresh.refusal && kept.access == fresh.access,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}
