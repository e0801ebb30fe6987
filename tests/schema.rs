//! `rules/pgscrim-rules.schema.json`, and its like for tests of rules, by which editors complete and check rule files, against the decoder: neither knows a
//! key or a mask that the other does not. The part about masks is made from the decoder's own definitions; `REWRITE=1`
//! writes it anew.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pgscrim::{
    error::RefusalCode,
    policy::{
        masks::schema::schema as masks,
        rule_tests::RuleTests,
        rules::{RuleFile, RuleSet},
    },
};
use serde_json::{Map, Value};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

fn schema() -> Value {
    let path = folder().join("pgscrim-rules.schema.json");
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let defs = schema["$defs"].as_object_mut().unwrap();
    if std::env::var_os("REWRITE").is_some() {
        defs.extend(masks());
        fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    schema
}

/// What of `value` the schema does not allow; the keywords that ours uses, all others are an error of the schema.
fn violations(value: &Value, schema: &Value, whole: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    let say = |what: String| format!("{place}: {what}");
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "required" | "additionalProperties" => {}
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                found.extend(violations(value, &whole["$defs"][target], whole, place));
            }
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
                    name => vec![name.as_str().unwrap()],
                };
                let is = |name: &&str| match *name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64(),
                    "number" => value.is_number(),
                    other => panic!("type {other}"),
                };
                if !names.iter().any(is) {
                    found.push(say(format!("not a {names:?}")));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => found.push(say("not one of the list".to_owned())),
            "const" if rule != value => found.push(say(format!("not {rule}"))),
            "enum" | "const" => {}
            "minimum" if value.as_i64() < rule.as_i64() => found.push(say("too small".to_owned())),
            "maximum" if value.as_i64() > rule.as_i64() => found.push(say("too large".to_owned())),
            "minimum" | "maximum" => {}
            "minLength" => {
                found.extend(value.as_str().filter(|text| text.is_empty()).map(|_| format!("{place}: empty")))
            }
            "minItems" => {
                found.extend(value.as_array().filter(|list| list.is_empty()).map(|_| format!("{place}: empty")))
            }
            "minProperties" => {
                found.extend(value.as_object().filter(|map| map.is_empty()).map(|_| format!("{place}: empty")))
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(violations(item, rule, whole, &format!("{place}[{number}]")));
                }
            }
            "properties" => {}
            "anyOf" => {
                let all: Vec<Vec<String>> =
                    rule.as_array().unwrap().iter().map(|one| violations(value, one, whole, place)).collect();
                if !all.iter().any(Vec::is_empty) {
                    found.push(format!("{place}: none of the forms fits"));
                }
            }
            other => panic!("keyword {other} of the schema"),
        }
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    if let Some(map) = value.as_object() {
        for (key, inner) in map {
            let place = format!("{place}.{key}");
            match (properties.get(key), schema.get("additionalProperties")) {
                (Some(rule), _) | (None, Some(rule @ Value::Object(_))) => {
                    found.extend(violations(inner, rule, whole, &place))
                }
                (None, Some(Value::Bool(false))) => found.push(format!("{place}: unknown key")),
                (None, _) => {}
            }
        }
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !map.contains_key(key.as_str().unwrap()) {
                found.push(format!("{place}: {key} is missing"));
            }
        }
    }
    found
}

fn judged(text: &str, schema: &Value) -> Result<(), String> {
    let value: Value = toml::from_str(text).map_err(|error| error.to_string())?;
    let found = violations(&value, schema, schema, "file");
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

fn decoded(text: &str) -> Result<(), String> {
    let file = RuleFile { path: "r.toml".into(), text: text.into() };
    RuleSet::parse(&[file]).map(|_| ()).map_err(|diagnostics| diagnostics.to_string())
}

/// The names under `properties` of one part of the schema.
fn keys(part: &Value) -> BTreeSet<String> {
    part["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn masks_are_those_of_the_decoder() {
    let schema = schema();
    for (name, def) in masks() {
        assert_eq!(schema["$defs"][&name], def, "{name}: run with REWRITE=1");
    }
}

/// The decoder names what it knows when a key is unknown: as many keys as the schema has, each of which it takes.
#[test]
fn every_table_has_the_keys_that_the_decoder_knows() {
    let schema = schema();
    let base = "policy = \"p\"\n[category.c]\n[[role]]\nname = \"r\"\n";
    for (part, before) in [
        (&schema, String::new()),
        (&schema["$defs"]["category"], "[category.x]\n".to_owned()),
        (&schema["$defs"]["role"], format!("{base}match = {{ user = \"u\" }}\n")),
        (&schema["$defs"]["match"], base.to_owned()),
    ] {
        let with = |key: &str| {
            let line = if part == &schema["$defs"]["match"] {
                format!("match = {{ user = \"u\", {key} = 1 }}\n")
            } else {
                format!("{key} = 1\n")
            };
            // Keys that stand there already would be a syntax error.
            let text: String = before
                .lines()
                .filter(|old| !old.starts_with(&format!("{key} ")))
                .map(|old| format!("{old}\n"))
                .collect();
            decoded(&format!("{text}{line}")).unwrap_err()
        };
        let complaint = with("qqqqqqqqqqqqqqqq");
        let list = complaint.split("Known keys: ").nth(1).unwrap_or_else(|| panic!("{complaint}"));
        let list = list.split(".\n").next().unwrap();
        let (list, more) = list.split_once(" and ").unwrap_or((list, "0 more"));
        let more: usize = more.split(' ').next().unwrap().parse().unwrap();
        let listed: BTreeSet<String> = list.split(", ").map(str::to_owned).collect();
        let keys = keys(part);
        assert!(listed.is_subset(&keys), "the schema lacks some of {listed:?}");
        assert_eq!(listed.len() + more, keys.len(), "the decoder knows other keys than {keys:?}");
        for key in keys.iter().filter(|key| *key != "user") {
            assert!(!with(key).contains("unknown key"), "the decoder does not know {key}\n{}", with(key));
        }
    }
}

/// Keys of tables that the test above has not heard of.
#[test]
fn no_key_of_the_decoder_is_missing() {
    let mut names = BTreeSet::new();
    collect(&schema(), &mut names);
    let mut count = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy")).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with("decode") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for call in ["take(\"", "take_entry(\"", "values(\""] {
            for rest in text.split(call).skip(1) {
                count += 1;
                let key = rest.split('"').next().unwrap();
                assert!(names.contains(key), "{}: the schema lacks {key}", path.display());
            }
        }
    }
    assert!(count > 15, "the decoder was not found");
}

fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        names.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(map) => map.values().for_each(|value| collect(value, names)),
        Value::Array(list) => list.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[test]
fn the_packs_are_valid_and_name_the_schema() {
    let schema = schema();
    let mut count = 0;
    for pack in ["acros", "starter"] {
        for file in pgscrim::reload::read_rule_files(&folder().join(pack)).unwrap() {
            count += 1;
            judged(&file.text, &schema).unwrap_or_else(|found| panic!("{}\n{found}", file.path));
            let line = file.text.lines().next().unwrap();
            let named = line.strip_prefix("#:schema ").unwrap_or_else(|| panic!("{}: {line}", file.path));
            assert!(folder().join(pack).join(named).exists(), "{named}");
        }
    }
    assert!(count >= 3);
}

/// What the decoder takes, the schema takes: the reviewed cases, of which the valid ones say so.
#[test]
fn the_schema_takes_what_the_decoder_takes() {
    let schema = schema();
    let mut valid = 0;
    for name in ["decode.txt", "compile.txt"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rules").join(name);
        for case in fs::read_to_string(path).unwrap().split("=== ").skip(1) {
            let (title, rest) = case.split_once('\n').unwrap();
            let (rules, _) = rest.split_once("\n----\n").unwrap();
            let first = rules.split(">>> ").next().unwrap();
            if !first.is_empty() && decoded(first).is_ok() {
                valid += 1;
                judged(first, &schema).unwrap_or_else(|found| panic!("{title}\n{found}"));
            }
        }
    }
    assert!(valid > 5, "{valid}");
}

#[test]
fn tests_of_rules_have_a_schema_too() {
    let path = folder().join("pgscrim-tests.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let test = &schema["$defs"]["test"];
    let codes: Vec<Value> = RefusalCode::ALL.iter().map(|code| code.code().into()).collect();
    assert_eq!(test["properties"]["refuse"]["enum"], Value::Array(codes));
    let parse = |text: &str| {
        let file = RuleFile { path: "r.test.toml".into(), text: text.into() };
        RuleTests::parse(vec![file]).map(|_| ()).map_err(|diagnostics| diagnostics.to_string())
    };
    let complaint = parse("[[test]]\nqqqqqqqqqqqq = 1\n").unwrap_err();
    let known = complaint.split("Known keys: ").nth(1).unwrap().split(".\n").next().unwrap();
    let (known, more) = known.split_once(" and ").unwrap_or((known, "0 more"));
    let known: BTreeSet<_> = known.split(", ").map(str::to_owned).collect();
    assert!(known.is_subset(&keys(test)), "{known:?}");
    assert_eq!(format!("{} more", keys(test).len() - known.len()), more);
    for pack in ["acros", "starter"] {
        for file in pgscrim::reload::read_rule_tests(&folder().join(pack)).unwrap() {
            judged(&file.text, &schema).unwrap_or_else(|found| panic!("{}\n{found}", file.path));
            assert!(file.text.starts_with("#:schema ../pgscrim-tests.schema.json\n"), "{}", file.path);
        }
    }
    let good = "[[test]]\nname = \"n\"\nrole = \"r\"\nsql = \"SELECT 1\"\nexpect = { a = [\"x\"] }\n";
    judged(good, &schema).unwrap();
    parse(good).unwrap();
    for (from, to) in [
        ("name = \"n\"", ""),
        ("[\"x\"]", "[]"),
        ("expect =", "exspect ="),
        ("expect = { a = [\"x\"] }", "refuse = \"PGS0999\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(parse(&bad).is_err() && judged(&bad, &schema).is_err(), "{from} => {to}");
    }
}

#[test]
fn the_schema_sees_common_mistakes() {
    let schema = schema();
    let good = "policy = \"p\"\n[category.phone]\nsensitivity = \"basic\"\ncolumns = [\"a.b.c\"]\n[[role]]\nname = \"r\"\n\
                match = { user = [\"u\"] }\nsee = { phone = { mask = \"partial\", first = 3 } }\nsearch = { phone = \"exact\" }\n\
                otherwise = \"withhold\"\n";
    judged(good, &schema).unwrap();
    decoded(good).unwrap();
    for (from, to) in [
        ("policy = \"p\"", "polcy = \"p\""),
        ("columns", "colums"),
        ("\"basic\"", "\"baisc\""),
        ("name = \"r\"", ""),
        ("[\"u\"]", "[]"),
        ("{ user = [\"u\"] }", "{}"),
        ("user", "users"),
        ("\"partial\"", "\"partail\""),
        ("first = 3", "frist = 3"),
        ("first = 3", "first = \"3\""),
        ("first = 3", "first = 1000"),
        ("{ mask = \"partial\", first = 3 }", "\"phonelast\""),
        ("\"exact\"", "\"excat\""),
        ("otherwise = \"withhold\"", "otherwise = \"phone_last\""),
        ("otherwise = \"withhold\"", "exempt = \"yes\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(decoded(&bad).is_err(), "{from} => {to}");
        assert!(judged(&bad, &schema).is_err(), "{from} => {to}");
    }
}
