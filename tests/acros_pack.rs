//! The tests of the ACROS pack, and whether they notice when a rule is lost, loosened, or given to one more. Mutants are made of the rules
//! as data, not as text: every key and every member is taken out once, and for each role everything that would show or allow it
//! more is put in once. The catalog is that of the demo's shop.

#![allow(
    clippy::pedantic,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{
    Postgres,
    acros::{self, FILES},
    planner,
};
use pgscrim::{
    catalog::{CatalogSnapshot, data::RelationKind},
    cli::{demo::shop, test::run_tests},
    engine::Inputs,
    policy::{
        Policy,
        rule_tests::RuleTests,
        rules::{RuleFile, RuleSet},
    },
    reload::read_rule_tests,
};
use toml::{Table, Value};

/// Keys that no statement tells of, and what does.
const ELSEWHERE: &[(&str, &str)] = &[
    ("policy", "a name"),
    ("title", "for reports"),
    ("sensitivity", "for reports: the_pack_keeps_the_policy"),
    ("limits", "counted while statements run: customer_care_may_not_try_numbers in tests/acros.rs"),
    ("requested_at", "for a report: the_report_lists_what_is_still_stored in tests/acros.rs"),
    ("answer_within", "likewise"),
    ("carry_out_within", "likewise"),
    ("observe", "tested is what would be enforced: the_pack_keeps_the_policy"),
];

/// Mutants that show nobody more, and why.
const HARMLESS: &[(&str, &str)] = &[
    ("carrier rows of public.order_items without guard", "the rows of orders guard the same columns of shipments"),
    ("carrier rows of public.orders without guard", "the rows of order_items guard them"),
    ("payment rows of public.orders without guard", "the rows of customers guard the same columns of payments"),
];

fn pack() -> Vec<Table> {
    FILES.iter().map(|name| acros::file(name).parse().unwrap()).collect()
}

fn written(pack: &[Table]) -> Vec<RuleFile> {
    let file = |(name, table): (&&str, &Table)| RuleFile {
        path: (*name).into(),
        text: toml::to_string(table).unwrap().into(),
    };
    FILES.iter().zip(pack).map(file).collect()
}

/// The catalog of the shop, without the system's relations: with them, rules take ten times as long to compile.
fn catalog() -> Arc<CatalogSnapshot> {
    let postgres = Postgres::start();
    acros::load_schema(&postgres);
    let mut data = planner::catalog(&postgres, shop::DATABASE).data().clone();
    data.relations.retain(|relation| ["public", "pgscrim"].contains(&relation.schema.as_str()));
    CatalogSnapshot::new(data, 1)
}

fn compile(files: &[RuleFile], catalog: &CatalogSnapshot) -> Result<Policy, String> {
    let rules = RuleSet::parse(files).map_err(|diagnostics| diagnostics.to_string())?;
    rules.compile(catalog).map_err(|diagnostics| diagnostics.to_string())
}

/// Every test of the pack by itself.
fn tests() -> Vec<RuleTests> {
    let mut tests = Vec::new();
    for file in read_rule_tests(&acros::folder()).unwrap() {
        for text in file.text.split("[[test]]").skip(1) {
            let alone = RuleFile { path: file.path.clone(), text: format!("[[test]]{text}").into() };
            tests.push(RuleTests::parse(vec![alone]).unwrap_or_else(|error| panic!("{error}")));
        }
    }
    tests
}

#[test]
fn the_tests_of_the_pack_pass() {
    let catalog = catalog();
    let policy = compile(&written(&pack()), &catalog).unwrap_or_else(|error| panic!("{error}"));
    let tests = RuleTests::parse(read_rule_tests(&acros::folder()).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let inputs = Inputs { catalog, policy: Arc::new(policy) };
    let outcomes = run_tests(&tests, &inputs).unwrap_or_else(|error| panic!("{error}"));
    assert!(outcomes.len() > 300);
    for outcome in outcomes {
        assert!(outcome.passed, "{}: {:?}", outcome.name, outcome.problems);
    }
}

/// What no test of the pack can say: nobody is left out, and nobody is only watched.
#[test]
fn the_pack_keeps_the_policy() {
    let catalog = catalog();
    let policy = compile(&written(&pack()), &catalog).unwrap_or_else(|error| panic!("{error}"));
    assert!(policy.roles.iter().all(|role| role.observed.is_none()), "a role is observed, and nothing enforced for it");
    let sensitive: BTreeSet<String> = pack()[0]["category"]
        .as_table()
        .unwrap()
        .iter()
        .filter(|(_, category)| category.get("sensitivity").and_then(Value::as_str) == Some("sensitive"))
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(
        sensitive.into_iter().collect::<Vec<_>>(),
        ["bank_account", "card", "card_holder", "media", "order_value"]
    );
    // Every table of the shop that holds personal data is covered, every column deliberately so.
    for relation in catalog
        .data()
        .relations
        .iter()
        .filter(|relation| relation.schema == "public" && relation.kind == RelationKind::Table)
    {
        let Some(governed) = policy.roles[0].relation(relation.oid) else {
            assert!(relation.name == "products", "{}", relation.name);
            continue;
        };
        for (column, known) in relation.columns.iter().zip(&governed.columns) {
            assert!(known.category.is_some(), "{}.{} is in no category", relation.name, column.name);
        }
    }
}

/// Each clause of the policy has a rule with a comment in both languages, a test of the pack, and one through a real client.
#[test]
fn every_clause_has_a_rule_a_test_and_a_client() {
    let comments = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.trim().strip_prefix('#')).map(str::to_owned).collect()
    };
    let names = |text: &str, clause: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == clause);
    let rules: Vec<String> = FILES.iter().flat_map(|name| comments(&acros::file(name))).collect();
    let tests = comments(&(acros::file("policy.test.toml") + &acros::file("duty.test.toml")));
    let clients = include_str!("acros.rs");
    for clause in ["P1", "P2", "P3", "P4", "P5", "S1", "S2", "A1", "A2", "A3", "A4", "R1"] {
        assert!(rules.iter().any(|line| names(line, clause) && line.contains(" / ")), "no rule for {clause}");
        assert!(tests.iter().any(|line| names(line, clause)), "no test of the pack for {clause}");
        let client =
            clients.lines().filter(|line| line.trim_start().starts_with(['"', '/']) || line.contains("clause:"));
        assert!(client.into_iter().any(|line| names(line, clause)), "no client for {clause}");
    }
}

struct Mutant {
    what: String,
    pack: Vec<Table>,
}

/// `value` with each key of each table and each member of each list left out in turn, and which.
fn removals(value: &Value, path: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    match value {
        Value::Table(table) => {
            for (key, inner) in table {
                let default = key == "otherwise" && inner.as_str() == Some("withhold");
                if default || ELSEWHERE.iter().any(|(elsewhere, _)| key == elsewhere) {
                    continue;
                }
                let path = format!("{path}.{key}");
                let mut less = table.clone();
                less.remove(key);
                let last = inner.as_str().map_or_else(String::new, |text| format!(" {text}"));
                found.push((format!("{path}{last}"), Value::Table(less)));
                for (what, changed) in removals(inner, &path) {
                    let mut other = table.clone();
                    other.insert(key.clone(), changed);
                    found.push((what, Value::Table(other)));
                }
            }
        }
        Value::Array(list) => {
            for (at, inner) in list.iter().enumerate() {
                let name = inner.get("name").unwrap_or(inner).as_str().unwrap_or("?").to_owned();
                let path = format!("{path}[{name}]");
                let mut less = list.clone();
                less.remove(at);
                found.push((path.clone(), Value::Array(less)));
                for (what, changed) in removals(inner, &path) {
                    let mut other = list.clone();
                    other[at] = changed;
                    found.push((what, Value::Array(other)));
                }
            }
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
    found
}

fn mutants(pack: &[Table]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (at, file) in pack.iter().enumerate() {
        for (what, changed) in removals(&Value::Table(file.clone()), &FILES[at][..2]) {
            let mut pack = pack.to_vec();
            pack[at] = changed.as_table().unwrap().clone();
            mutants.push(Mutant { what: format!("without {what}"), pack });
        }
    }
    loosened_data(pack, &mut mutants);
    loosened_roles(pack, &mut mutants);
    loosened_subjects(pack, &mut mutants);
    mutants
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn list(texts: &[String]) -> Value {
    Value::Array(texts.iter().cloned().map(Value::String).collect())
}

/// Each personal column as if it were reviewed and not personal.
fn loosened_data(pack: &[Table], mutants: &mut Vec<Mutant>) {
    let categories = pack[0]["category"].as_table().unwrap();
    for (name, category) in categories.iter().filter(|(name, _)| *name != "none") {
        for column in texts(&category["columns"]) {
            let mut pack = pack.to_vec();
            let keep: Vec<String> = texts(&category["columns"]).into_iter().filter(|other| *other != column).collect();
            pack[0]["category"][name]["columns"] = list(&keep);
            pack[0]["category"]["none"]["columns"].as_array_mut().unwrap().push(Value::String(column.clone()));
            mutants.push(Mutant { what: format!("{column} is not personal"), pack });
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn unguarded(condition: &Value) -> Value {
    let mut table = Table::new();
    table.insert("where".to_owned(), condition.clone());
    table.insert("guard".to_owned(), Value::String("none".to_owned()));
    Value::Table(table)
}

fn loosened_roles(pack: &[Table], mutants: &mut Vec<Mutant>) {
    let roles = pack[1]["role"].as_array().unwrap();
    let purposes: BTreeSet<String> = roles.iter().flat_map(|role| texts(&role["purposes"])).collect();
    let logins: Vec<String> = roles.iter().flat_map(|role| texts(&role["match"]["user"])).collect();
    for (at, role) in roles.iter().enumerate().filter(|(_, role)| role.get("exempt").is_none()) {
        let name = role["name"].as_str().unwrap();
        let mut changed = |what: String, change: &dyn Fn(&mut Table)| {
            let mut pack = pack.to_vec();
            change(pack[1]["role"][at].as_table_mut().unwrap());
            mutants.push(Mutant { what: format!("{name} {what}"), pack });
        };
        let says = |key: &str| role.get(key) == Some(&Value::Boolean(true));
        for key in ["exempt", "legal_duty", "explain"].into_iter().filter(|key| !says(key)) {
            changed(key.to_owned(), &|role| drop(role.insert(key.to_owned(), Value::Boolean(true))));
        }
        // Records that change nothing of what the role sees, it may write in any case.
        let lifted = ["refusal", "erasure"].into_iter().filter(|_| !says("legal_duty"));
        for record in lifted.chain(says("consent").then_some("consent")) {
            changed(format!("lifts {record}"), &|role| {
                drop(role.insert("lifts".to_owned(), list(&[record.to_owned()])))
            });
        }
        for purpose in purposes.iter().filter(|purpose| !texts(&role["purposes"]).contains(purpose)) {
            changed(format!("for {purpose}"), &|role| {
                role["purposes"].as_array_mut().unwrap().push(Value::String(purpose.clone()));
            });
        }
        // Those of earlier roles have matched by then.
        for login in logins.iter().skip(at + 1) {
            changed(format!("matches {login}"), &|role| {
                role["match"]["user"].as_array_mut().unwrap().push(Value::String(login.clone()));
            });
        }
        for recipient in ["internal", "carrier", "payment", "authority", "processor"] {
            if role["recipient"].as_str() != Some(recipient) {
                changed(format!("gives to {recipient}"), &|role| {
                    role["recipient"] = Value::String(recipient.to_owned())
                });
            }
        }
        for (table, condition) in role.get("rows").and_then(Value::as_table).into_iter().flatten() {
            changed(format!("sees all rows of {table}"), &|role| {
                role["rows"][table] = Value::String("true".to_owned())
            });
            if text(condition).contains("SELECT") {
                changed(format!("rows of {table} without guard"), &|role| {
                    role["rows"][table] = unguarded(condition);
                });
            }
        }
        if role.get("rows").is_some_and(|rows| rows.to_string().contains("SELECT")) {
            changed("rows without any guard".to_owned(), &|role| {
                for (_, condition) in role["rows"].as_table_mut().unwrap().iter_mut() {
                    *condition = unguarded(condition);
                }
            });
        }
        loosened_views(pack, role, None, &mut changed);
        for purpose in role.get("for").and_then(Value::as_table).into_iter().flatten().map(|(purpose, _)| purpose) {
            loosened_views(pack, role, Some(purpose), &mut changed);
        }
    }
}

/// What a role, or one of its purposes, sees and does with each category.
fn loosened_views(
    pack: &[Table],
    role: &Value,
    purpose: Option<&String>,
    changed: &mut dyn FnMut(String, &dyn Fn(&mut Table)),
) {
    let part = |role: &mut Table| match purpose {
        Some(purpose) => role["for"][purpose].as_table_mut().unwrap().clone(),
        None => role.clone(),
    };
    let set = |role: &mut Table, key: &str, value: Value| match purpose {
        Some(purpose) => drop(role["for"][purpose].as_table_mut().unwrap().insert(key.to_owned(), value)),
        None => drop(role.insert(key.to_owned(), value)),
    };
    let put = |role: &mut Table, key: &str, entry: &str, value: &str| {
        let mut entries = part(role).get(key).map_or_else(Table::new, |entries| entries.as_table().unwrap().clone());
        entries.insert(entry.to_owned(), Value::String(value.to_owned()));
        set(role, key, Value::Table(entries));
    };
    let named = |key: &str, entry: &str| -> Option<Value> {
        let own = purpose.and_then(|purpose| role["for"][purpose].get(key)?.get(entry));
        own.or_else(|| role.get(key)?.get(entry)).cloned()
    };
    let when = purpose.map_or_else(String::new, |purpose| format!("for {purpose} "));
    for category in pack[0]["category"].as_table().unwrap().keys().filter(|name| *name != "none") {
        let clear = named("see", category) == Some(Value::String("clear".to_owned()));
        if !clear {
            changed(format!("{when}sees {category}"), &|role| put(role, "see", category, "clear"));
        }
        let search = named("search", category);
        // What is refused is refused in searches too, and of what is seen in clear they find no more than reading.
        let refused = named("see", category).or_else(|| role.get("otherwise").cloned())
            == Some(Value::String("refuse".to_owned()));
        if !refused && search != Some(Value::String("exact".to_owned())) && (!clear || search.is_some()) {
            changed(format!("{when}searches {category}"), &|role| put(role, "search", category, "exact"));
        }
    }
    if let Some(Value::Table(profile)) = named("see", "profile") {
        changed(format!("{when}sees more of profiles"), &|role| {
            let mut more = profile.clone();
            more["allow"].as_array_mut().unwrap().push(Value::String("zalo".to_owned()));
            let mut see = part(role).get("see").map_or_else(Table::new, |see| see.as_table().unwrap().clone());
            see.insert("profile".to_owned(), Value::Table(more));
            set(role, "see", Value::Table(see));
        });
    }
    changed(format!("{when}sees the rest"), &|role| set(role, "otherwise", Value::String("clear".to_owned())));
    // Of what is refused there is no mask that could be written back.
    if role.get("see").is_some() {
        changed(format!("{when}writes masks"), &|role| set(role, "write_back", Value::String("allow".to_owned())));
    }
}

fn loosened_subjects(pack: &[Table], mutants: &mut Vec<Mutant>) {
    let mut changed = |what: String, change: &dyn Fn(&mut Table)| {
        let mut pack = pack.to_vec();
        change(&mut pack[2]);
        mutants.push(Mutant { what, pack });
    };
    for (record, condition) in
        [("consent", "true"), ("refusal", "false"), ("erasure", "false"), ("erasure", "done_at IS NULL")]
    {
        changed(format!("{record} where {condition}"), &|file| {
            file[record].as_table_mut().unwrap().insert("where".to_owned(), Value::String(condition.to_owned()));
        });
    }
    for link in pack[2]["subject"]["links"].as_table().unwrap().keys() {
        let table = link.rsplit_once('.').unwrap().0;
        changed(format!("{table} is about nobody"), &|file| {
            file["subject"]["links"].as_table_mut().unwrap().remove(link);
            file["subject"]["unlinked"].as_array_mut().unwrap().push(Value::String(table.to_owned()));
        });
    }
    changed("a grant of everybody's names".to_owned(), &|file| {
        let grant = "role = \"authority\"\ndocument = \"1\"\nfrom = 2000-01-01T00:00:00Z\nuntil = 2100-01-01T00:00:00Z\n\
                     subjects = \"all\"\nsee = { name = \"clear\" }\n";
        file.insert("grant".to_owned(), Value::Array(vec![Value::Table(grant.parse().unwrap())]));
    });
}

/// All tests, first those that have most words in common with what a mutant is.
fn likely(what: &str, tests: &[RuleTests]) -> Vec<usize> {
    let words: Vec<&str> =
        what.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() > 3).collect();
    let common = |test: &RuleTests| {
        let test = &test.tests[0];
        let text = format!("{} {:?} {}", test.name, test.who, test.sql);
        words.iter().filter(|word| text.contains(**word)).count()
    };
    let common: Vec<usize> = tests.iter().map(common).collect();
    let mut order: Vec<usize> = (0..tests.len()).collect();
    order.sort_by_key(|test| std::cmp::Reverse(common[*test]));
    order
}

/// Every rule of the pack is one that its tests notice the loss of, and nothing can be loosened unnoticed.
#[test]
fn the_tests_of_the_pack_notice_every_mutant() {
    let catalog = catalog();
    let tests: Vec<RuleTests> = tests();
    let pack = pack();
    let fails = |policy: &Arc<Policy>, test: usize| {
        let inputs = Inputs { catalog: Arc::clone(&catalog), policy: Arc::clone(policy) };
        !run_tests(&tests[test], &inputs).is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.passed))
    };
    let whole = Arc::new(compile(&written(&pack), &catalog).unwrap());
    assert!(!(0..tests.len()).any(|test| fails(&whole, test)), "the pack as it is");

    let mutants = mutants(&pack);
    let (next, invalid) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let unnoticed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(policy) = compile(&written(&mutant.pack), &catalog) else {
                        invalid.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    let policy = Arc::new(policy);
                    if !likely(&mutant.what, &tests).into_iter().any(|test| fails(&policy, test)) {
                        unnoticed.lock().unwrap().push(mutant.what.clone());
                    }
                }
            });
        }
    });
    let mut unnoticed = unnoticed.into_inner().unwrap();
    unnoticed.sort();
    let invalid = invalid.into_inner();
    println!("{} mutants, {invalid} of them invalid; {} tests", mutants.len(), tests.len());
    let expected: Vec<&str> = HARMLESS.iter().map(|(what, _)| *what).collect();
    assert_eq!(unnoticed, expected, "of {} mutants", mutants.len());
    assert!(mutants.len() - invalid > 700, "{} mutants, {invalid} invalid", mutants.len());
}
