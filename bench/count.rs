//! Instructions per stage: `valgrind --tool=callgrind target/release/deps/count-… CASE [ROUNDS]`, then
//! `callgrind_annotate --inclusive=yes`, divided by the rounds. `make count` does all of it.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

mod cases;

use std::{hint::black_box, sync::Arc};

use pgscrim::{
    bind::{Bound, bind_statement},
    engine::{Inputs, PlanCache, QueryContext, plan},
    rewrite::{Job, Printed, rewrite},
    sql::{Token, lex, parse},
};
use sqlparser::{ast::Statement, dialect::PostgreSqlDialect, parser::Parser};

#[inline(never)]
fn stage_sqlparser(sql: &str) {
    black_box(Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap());
}

#[inline(never)]
fn stage_lex(sql: &str) -> Vec<Token> {
    lex::lex(sql).unwrap()
}

#[inline(never)]
fn stage_parse(tokens: &[Token]) -> Statement {
    parse::parse_statement(tokens, 0).unwrap()
}

#[inline(never)]
fn stage_bind(statement: &Statement, tokens: &[Token], inputs: &Inputs, context: &QueryContext) -> Bound {
    bind_statement(statement, tokens, &inputs.catalog, &context.search_path).unwrap()
}

#[inline(never)]
fn stage_rewrite(job: &Job<'_>) -> Printed {
    rewrite(job).unwrap().print(job.tokens, 0..job.tokens.len())
}

#[inline(never)]
fn stage_plan(sql: &str, inputs: &Inputs, context: &QueryContext) {
    black_box(plan(sql, context, inputs).unwrap());
}

#[inline(never)]
fn stage_exact(cache: &PlanCache, sql: &str, inputs: &Arc<Inputs>, context: &QueryContext) {
    black_box(cache.plan(sql, context, inputs).0.unwrap());
}

/// Texts of one shape, each with other literals.
#[inline(never)]
fn stage_shape(cache: &PlanCache, sql: &str, inputs: &Arc<Inputs>, context: &QueryContext) {
    black_box(cache.plan(sql, context, inputs).0.unwrap());
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let case = args.next().unwrap_or_default();
    let rounds: usize = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(100);
    let inputs = Arc::new(cases::inputs());
    let context = cases::context(&inputs);
    let cache = PlanCache::new(1 << 24);
    let (_, sql) = cases::statements().into_iter().find(|(name, _)| *name == case).unwrap();
    let plan = cache.plan(&sql, &context, &inputs).0.unwrap();
    println!("sent {} {}", plan.permit.text().len(), sql.len());
    println!("text {sql}");
    let _ = cache.plan(&cases::numbered(&sql, rounds), &context, &inputs).0.unwrap();
    for round in 0..rounds {
        stage_sqlparser(black_box(&sql));
        let mut tokens = stage_lex(&sql);
        while tokens.last().is_some_and(|token| token.kind == pgscrim::sql::Kind::Semicolon) {
            tokens.pop();
        }
        let statement = stage_parse(&tokens);
        let bound = stage_bind(&statement, &tokens, &inputs, &context);
        let role = inputs.policy.role(context.role).unwrap();
        black_box(stage_rewrite(&Job::new(&bound, &tokens, &inputs.catalog, role, &context.search_path)));
        stage_plan(&sql, &inputs, &context);
        stage_exact(&cache, &sql, &inputs, &context);
        stage_shape(&cache, &cases::numbered(&sql, round), &inputs, &context);
    }
}
