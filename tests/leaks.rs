//! The leak corpus: ways in which SQL, the protocol or the catalogs hand out a protected value although no output column
//! names it. Each case runs as a restricted role over the simple and the extended protocol, with text and binary results,
//! also written byte by byte. Oracles: no part of a protected cell in any byte received; the expected outcome; a usable
//! session afterwards; unchanged data; and byte-identical transcripts on two servers that differ in protected cells only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/leaks.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod corpus;

use std::time::{Duration, Instant};

use corpus::{Case, Outcome, World};

/// Runs the cases of one file before both worlds; `PGSCRIM_LEAK=A7` picks cases by the start of their id.
fn section(name: &str) {
    section_by(name, &std::fs::read_to_string(common::proxy::fixture("leaks/rules.toml")).unwrap());
}

fn section_by(name: &str, rules: &str) {
    let only = std::env::var("PGSCRIM_LEAK").unwrap_or_default();
    let cases: Vec<Case> = corpus::cases(name).into_iter().filter(|case| case.id.starts_with(&only)).collect();
    if cases.is_empty() {
        return;
    }
    let worlds = [0, 1].map(|which| World::new_with(which, Some(rules.to_owned()), ""));
    let masked = World::masked();
    let before = worlds.each_ref().map(World::digest);
    let mut problems = Vec::new();
    let mut refused = 0;
    for case in &cases {
        for way in case.ways() {
            let runs = worlds.each_ref().map(|world| corpus::run(world, case, way));
            let head = format!("{} {} ({way:?}, {})", case.id, case.title, case.place);
            for (world, run) in worlds.iter().zip(&runs) {
                if let Some(leak) = world.leak(&run.transcript) {
                    problems.push(format!(
                        "LEAK {head}: {leak} in\n{}",
                        common::wire::describe(run.answers.last().unwrap())
                    ));
                }
                for problem in corpus::judge(case, way, run) {
                    problems.push(format!("{head}: {problem}"));
                }
            }
            let [first, second] = &runs;
            if first.transcript != second.transcript && !case.has("no-oracle") {
                problems.push(format!(
                    "LEAK {head}: transcripts differ\n{}  and\n{}",
                    common::wire::describe(first.answers.last().unwrap()),
                    common::wire::describe(second.answers.last().unwrap())
                ));
            }
            if let Some(problem) = against_the_masked_database(&masked, case, way, first) {
                problems.push(format!("{head}: {problem}"));
            }
            refused += usize::from(case.outcomes == [Outcome::Refuse]);
        }
    }
    for (world, before) in worlds.iter().zip(before) {
        assert_eq!(world.digest(), before, "refused or rolled-back statements changed data");
        let proxy = world.proxy.as_ref().unwrap();
        let count = || proxy.audit().iter().filter(|event| event["decision"] == "refuse").count();
        // The last ones may still be on their way.
        let deadline = Instant::now() + Duration::from_secs(10);
        while count() < refused && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let refusals = count();
        if refusals < refused {
            problems.push(format!("{refused} refusals, but {refusals} audit events of them"));
        }
        if let Some(leak) = world.leak_written() {
            problems.push(format!("LEAK: {leak}"));
        }
    }
    assert!(problems.is_empty(), "{} problems in {} cases\n\n{}\n", problems.len(), cases.len(), problems.join("\n"));
}

/// A completed run must give the rows, tags and types that the same statements give on the masked database.
fn against_the_masked_database(masked: &World, case: &Case, way: corpus::Way, run: &corpus::Run) -> Option<String> {
    let failed = common::wire::error(run.answers.last().unwrap()).is_some();
    let apart = ["no-masked", "no-oracle", "no-transaction", "not-direct"].iter().any(|switch| case.has(switch));
    if failed || apart || case.id.starts_with('G') || case.id.starts_with('F') {
        return None;
    }
    let truth = corpus::run(masked, case, way);
    if common::wire::error(truth.answers.last().unwrap()).is_some() {
        return None;
    }
    run.answers.iter().zip(&truth.answers).find_map(|(got, expected)| {
        let (got, expected) = (corpus::answer(got), corpus::answer(expected));
        (got != expected).then(|| format!("not the answer of the masked database:\n  {got:?}\n  {expected:?}"))
    })
}

/// The ways in which data gets out that the design lists, by letter: how many.
const WAYS: [(char, u32); 7] = [('A', 31), ('B', 19), ('C', 16), ('D', 19), ('E', 26), ('F', 30), ('G', 22)];

#[test]
fn every_way_has_a_case_or_says_where_it_is_tried() {
    let folder = common::proxy::fixture("leaks");
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".case") {
            ids.extend(corpus::cases(name).into_iter().map(|case| case.id));
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is used twice");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (letter, count) in WAYS {
        for way in (1..=count).map(|number| format!("{letter}{number}")) {
            let tried = ids.iter().any(|id| id.trim_end_matches(|last: char| last.is_ascii_lowercase()) == way);
            let row = readme.lines().find(|line| line.starts_with(&format!("| {way} ")));
            assert!(tried || row.is_some(), "{way}");
            for file in row.unwrap_or_default().split('`').skip(1).step_by(2) {
                assert!(root.join(file).exists(), "{way}: {file}");
            }
        }
    }
}

/// The corpus is worth something only if its statements work and leak when nobody stands between.
fn leaks_without_a_proxy(names: &[&str]) {
    let worlds = [World::new(0, false), World::new(1, false)];
    let mut problems = Vec::new();
    for name in names {
        for case in corpus::cases(name) {
            if case.has("not-direct") || case.has("no-transaction") {
                continue;
            }
            let way = corpus::Way::Simple;
            let runs = worlds.each_ref().map(|world| corpus::run(world, &case, way));
            let [first, second] = &runs;
            let leaked = worlds[0].leak(&first.transcript).is_some() || first.transcript != second.transcript;
            if !leaked && !case.has("quiet") {
                problems.push(format!(
                    "{} {} ({}): nothing leaks\n{}",
                    case.id,
                    case.title,
                    case.place,
                    common::wire::describe(first.answers.last().unwrap())
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn without_a_proxy_the_cases_leak() {
    leaks_without_a_proxy(&[
        "a-names",
        "b-expressions",
        "c-predicates",
        "d-writes",
        "e-statements",
        "f-session",
        "g-catalogs",
        "h-forms",
        "i-inline",
        "j-exact",
        "k-returning",
        "l-deciding",
    ]);
}

#[test]
fn a_names() {
    section("a-names");
}

#[test]
fn b_expressions() {
    section("b-expressions");
}

#[test]
fn c_predicates() {
    section("c-predicates");
}

#[test]
fn d_writes() {
    section("d-writes");
}

#[test]
fn e_statements() {
    section("e-statements");
}

#[test]
fn f_session() {
    section("f-session");
}

#[test]
fn g_catalogs() {
    section("g-catalogs");
}

#[test]
fn h_forms() {
    section("h-forms");
}

#[test]
fn i_inline() {
    section("i-inline");
}

#[test]
fn j_exact() {
    section("j-exact");
}

#[test]
fn j_exact_where_it_is_permitted() {
    section_by("j-exact", &corpus::exact_rules());
}

#[test]
fn k_returning() {
    section("k-returning");
}

#[test]
fn l_deciding() {
    section_by("l-deciding", &corpus::deciding_rules());
}
