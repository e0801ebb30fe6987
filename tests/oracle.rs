//! The engine alone, judged by a real server: every statement of the leak corpus is planned as the restricted role, and
//! what the plan would send is sent straight to two servers that differ in protected cells only, and to one whose cells
//! are the masks. No part of a protected cell may come back, the two must answer alike, and the answer must be that of
//! the masked database.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;
#[path = "common/leaks.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod corpus;
#[path = "common/generator.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod generator;
#[path = "common/literals.rs"]
mod literals;

use common::{planner, proxy::fixture, wire};
use corpus::{Outcome, World};
use generator::{Generator, Mutator};
use std::sync::Arc;

use pgscrim::{
    engine::{Found, Inputs, PlanCache, QueryContext, plan},
    error::RefusalCode,
};

fn inputs(world: &World) -> Inputs {
    let rules = std::fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
    planner::inputs(&world.postgres, corpus::DATABASE, &rules)
}

/// The restricted role's context for plans against `inputs`.
fn context(inputs: &Inputs) -> QueryContext {
    planner::context(inputs, "support")
}

/// Random queries, each against two worlds and the masked database. `PGSCRIM_SEED` starts elsewhere.
#[test]
fn random_queries_answer_from_the_masked_database() {
    let worlds = [World::new(0, false), World::new(1, false)];
    let masked = World::masked();
    let inputs = inputs(&worlds[0]);
    let context = context(&inputs);
    let mut clients = worlds.each_ref().map(|world| world.connect("support"));
    let mut truth = masked.connect("support");
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count = if common::long() { 20_000 } else { 600 };
    let (mut ran, mut failed, mut refused, mut problems) = (0, 0, Vec::new(), Vec::new());
    for seed in first..first + count {
        let sql = Generator::new(seed).query(1);
        let expected = truth.simple(&sql);
        if let Some(error) = wire::error(&expected) {
            failed += 1;
            if std::env::var_os("PGSCRIM_SEED").is_some() {
                println!("{sql}\n{}", wire::describe(std::slice::from_ref(error)));
            }
            continue;
        }
        let text = match plan(&sql, &context, &inputs) {
            Ok(plan) => plan.permit.text().to_string(),
            Err(answer) => {
                if answer.refusal.code == RefusalCode::VerifyFailed {
                    problems.push(format!("{}\n    {sql}", answer.refusal));
                }
                refused.push(format!("{}\n    {sql}", answer.refusal));
                continue;
            }
        };
        ran += 1;
        let answers = clients.each_mut().map(|client| client.simple(&text));
        for (world, answer) in worlds.iter().zip(&answers) {
            let bytes: Vec<u8> = answer.iter().flat_map(|message| message.body.clone()).collect();
            if let Some(leak) = world.leak(&bytes) {
                problems.push(format!("LEAK seed {seed}: {leak}\n  {sql}\n→ {text}"));
            }
        }
        let [one, two] = answers.each_ref().map(|answer| corpus::answer(answer));
        if one != two {
            problems.push(format!("LEAK seed {seed}: the worlds differ\n  {sql}\n→ {text}"));
        } else if one != corpus::answer(&expected) {
            problems.push(format!(
                "seed {seed}: not the answer of the masked database\n  {sql}\n→ {text}\n{}  but\n{}",
                wire::describe(&answers[0][..answers[0].len().min(3)]),
                wire::describe(&expected[..expected.len().min(3)])
            ));
        }
    }
    println!("{ran} queries ran, {} were refused, {failed} are no SQL", refused.len());
    let all = problems.len();
    problems.truncate(12);
    assert!(problems.is_empty(), "{all} problems\n{}\n", problems.join("\n"));
    let some = refused[..refused.len().min(10)].join("\n");
    assert!(refused.len() * 50 < ran, "{} of {ran} refused, such as\n{some}", refused.len());
    assert!(ran > 300, "only {ran} queries ran");
}

/// With other literals in them, the statements of the corpus get from the plan cache what the pipeline would plan.
#[test]
fn plans_of_templates_are_plans_of_the_pipeline() {
    let inputs = Arc::new(inputs(&World::new(0, false)));
    let context = context(&inputs);
    let cache = PlanCache::new(1 << 26);
    let (mut served, mut all, mut problems) = (0, 0, Vec::new());
    for statement in corpus::FILES.into_iter().flat_map(corpus::cases).flat_map(|case| case.statements) {
        let sql = statement.sql;
        for text in std::iter::once(sql.clone()).chain((0..5).filter_map(|seed| literals::other(&sql, seed))) {
            let (kept, found) = cache.plan(&text, &context, &inputs);
            all += 1;
            served += usize::from(found == Found::Template);
            if !literals::same(&kept, &plan(&text, &context, &inputs), &text) {
                problems.push(format!("{found:?}: {text}"));
            }
        }
    }
    println!("templates served {served} of {all}");
    assert!(problems.is_empty(), "{} differ\n{}", problems.len(), problems.join("\n"));
    assert!(served > 500, "templates served {served} of {all}");
}

/// Statements made of pieces of the corpus: whatever the engine lets through must not tell the worlds apart.
#[test]
fn mutated_statements_do_not_tell_the_worlds_apart() {
    let worlds = [World::new(0, false), World::new(1, false)];
    let inputs = inputs(&worlds[0]);
    let context = context(&inputs);
    let mut clients = worlds.each_ref().map(|world| world.connect("support"));
    let mut pool = Vec::new();
    for name in corpus::FILES {
        for case in corpus::cases(name) {
            let apart = ["no-oracle", "not-direct", "no-transaction", "session"];
            if !apart.iter().any(|switch| case.has(switch)) {
                pool.extend(case.statements.iter().map(|statement| generator::tokens(&statement.sql)));
            }
        }
    }
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count = if common::long() { 200_000 } else { 4_000 };
    let (mut ran, mut completed, mut problems) = (0, 0, Vec::new());
    for seed in first..first + count {
        let sql = Mutator::new(seed).mutate(&pool);
        let Ok(plan) = plan(&sql, &context, &inputs) else { continue };
        let text = plan.permit.text().to_string();
        ran += 1;
        let answers = clients.each_mut().map(|client| {
            client.simple("BEGIN; SET LOCAL statement_timeout = '3s'");
            let answer = client.simple(&text);
            client.simple("ROLLBACK");
            answer
        });
        // Error texts are the session's to scrub; here their SQLSTATE counts.
        let errors = answers.each_ref().map(|answer| wire::error(answer).and_then(|error| error.field(b'C')));
        if errors.iter().flatten().any(|code| code == "57014") {
            continue;
        }
        let seen = answers.each_ref().map(|answer| -> Vec<(u8, Vec<u8>)> {
            answer.iter().filter(|m| !b"NES".contains(&m.kind)).map(|m| (m.kind, m.body.clone())).collect()
        });
        completed += usize::from(errors[0].is_none());
        for (world, seen) in worlds.iter().zip(&seen) {
            let bytes: Vec<u8> = seen.iter().flat_map(|(_, body)| body.clone()).collect();
            if let Some(leak) = world.leak(&bytes) {
                problems.push(format!("LEAK seed {seed}: {leak}\n  {sql}\n→ {text}"));
            }
        }
        if errors[0] != errors[1] || seen[0] != seen[1] {
            problems.push(format!("LEAK seed {seed}: the worlds differ ({errors:?})\n  {sql}\n→ {text}"));
        }
    }
    println!("{ran} of {count} were let through, {completed} completed");
    let all = problems.len();
    problems.truncate(12);
    assert!(problems.is_empty(), "{all} problems\n{}\n", problems.join("\n"));
    assert!(completed > 100, "only {completed} completed");
}

#[test]
fn plans_answer_from_the_masked_database() {
    let worlds = [World::new(0, false), World::new(1, false)];
    let masked = World::masked();
    let inputs = inputs(&worlds[0]);
    let context = context(&inputs);
    let only = std::env::var("PGSCRIM_LEAK").unwrap_or_default();
    let verbose = !only.is_empty();
    let mut problems = Vec::new();
    let mut planned_cases = 0;
    for name in corpus::FILES {
        for case in corpus::cases(name) {
            // Temporary tables and the search path are known to their session alone.
            let session = case.has("session");
            if !case.id.starts_with(&only) || case.has("no-transaction") || session {
                continue;
            }
            let head = format!("{} {} ({})", case.id, case.title, case.place);
            let mut plans = Vec::new();
            let mut refused = None;
            for statement in &case.statements {
                match plan(&statement.sql, &context, &inputs) {
                    Ok(plan) => {
                        if verbose {
                            println!("{head}\n  {}\n→ {}", statement.sql, plan.permit.text());
                        }
                        plans.push(plan.permit.text().to_string());
                    }
                    Err(answer) => {
                        refused = Some(answer.refusal);
                        break;
                    }
                }
            }
            if let Some(refusal) = refused {
                if verbose {
                    println!("{head}\n  refused: {refusal}");
                }
                if !case.outcomes.contains(&Outcome::Refuse) {
                    problems.push(format!("{head}: refused: {refusal}"));
                }
                continue;
            }
            if case.outcomes == [Outcome::Refuse] {
                problems.push(format!("{head}: not refused"));
                continue;
            }
            planned_cases += 1;
            let run = |world: &World, texts: &[String]| {
                let mut client = world.connect("support");
                client.simple("BEGIN; SET LOCAL statement_timeout = '10s'");
                let mut answers = Vec::new();
                for text in texts {
                    let answer = client.simple(text);
                    let failed = wire::error(&answer).is_some();
                    answers.push(answer);
                    if failed {
                        break;
                    }
                }
                answers
            };
            let answers = worlds.each_ref().map(|world| run(world, &plans));
            let [first, second] = &answers;
            let last = first.last().unwrap();
            if let Some(error) = wire::error(last) {
                // What errors say is scrubbed by the session; here only whether there is one counts.
                let scrub = case.outcomes.contains(&Outcome::Scrub);
                if !scrub {
                    problems.push(format!(
                        "{head}: {}  in\n  {}",
                        wire::describe(std::slice::from_ref(error)),
                        plans.join("\n  ")
                    ));
                }
                continue;
            }
            for (world, answers) in worlds.iter().zip(&answers) {
                let bytes: Vec<u8> =
                    answers.iter().flatten().filter(|m| m.kind != b'N').flat_map(|m| m.body.clone()).collect();
                if let Some(leak) = world.leak(&bytes) {
                    problems.push(format!(
                        "LEAK {head}: {leak}:\n  {}\n{}",
                        plans.join("\n  "),
                        wire::describe(answers.last().unwrap())
                    ));
                }
            }
            let comparable = |answers: &Vec<Vec<wire::Message>>| -> Vec<wire::Message> {
                answers.iter().flatten().filter(|m| m.kind != b'N').cloned().collect()
            };
            if comparable(first) != comparable(second) && !case.has("no-oracle") {
                problems.push(format!(
                    "LEAK {head}: the worlds differ:\n  {}\n{}  and\n{}",
                    plans.join("\n  "),
                    wire::describe(last),
                    wire::describe(second.last().unwrap())
                ));
            }
            if case.has("no-masked") || case.has("no-oracle") || case.id.starts_with('G') {
                continue;
            }
            let texts: Vec<String> = case.statements.iter().map(|statement| statement.sql.clone()).collect();
            let truth = run(&masked, &texts);
            if wire::error(truth.last().unwrap()).is_some() || truth.len() != first.len() {
                continue;
            }
            for (got, expected) in first.iter().zip(&truth) {
                let (got, expected) = (corpus::answer(got), corpus::answer(expected));
                if got != expected {
                    problems.push(format!(
                        "{head}: not the answer of the masked database:\n  {}\n  {got:?}\n  {expected:?}",
                        plans.join("\n  ")
                    ));
                    break;
                }
            }
        }
    }
    println!("{planned_cases} cases planned");
    assert!(problems.is_empty(), "{} problems\n\n{}\n", problems.len(), problems.join("\n"));
    assert!(verbose || planned_cases > 150, "only {planned_cases} cases can run");
}
