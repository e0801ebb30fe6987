//! Golden files: what is printed for a statement, or with which words it is refused. Pure: no server.
//!
//! `tests/golden/plan/*.txt` hold cases of the form
//!
//! ```text
//! support                     the policy role; options behind it: extended, path=a,b, shadowed (with schema evil)
//! SELECT phone FROM customers
//! ----
//! select phone from (SELECT … ) AS customers
//! [rewrite; public.customers.phone projected phone_last]
//! ```
//!
//! parted by empty lines. The catalog is made below; the rules are `tests/golden/plan/rules.toml`. `REWRITE=1` writes the files anew: the diff is the review.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

#[path = "common/literals.rs"]
mod literals;

use std::{fmt::Write, fs, path::Path, sync::Arc};

use pgscrim::{
    catalog::{
        CatalogData, CatalogSnapshot,
        data::{FunctionData, InheritsData, OperatorData, RelationKind, SchemaData, SourceData},
        overloads::{OperatorSignature, Overloads, Signature, TypeShape},
        testing,
    },
    engine::{Access, Found, Inputs, PlanCache, Protocol, QueryContext, plan},
    names::Oid,
    policy::{
        RoleId,
        rules::{RuleFile, RuleSet},
    },
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/plan");

fn inputs(shadowed: bool) -> Inputs {
    let mut data = testing::database();
    let customers = testing::table(
        &mut data,
        "customers",
        "id bigint, full_name text not null, phone varchar(20), note text, born date, city text",
    );
    testing::table(&mut data, "orders", "id bigint, customer_id bigint, amount numeric(12,2)");
    testing::table(&mut data, "files", "id bigint, owner text, doc json");
    related(&mut data, customers);
    system(&mut data);
    functions(&mut data, &[("public", "listed"), ("public", "reads_all")]);
    testing::table(&mut data, "settings", "key text, value int");
    if shadowed {
        shadow(&mut data);
    }
    let catalog = CatalogSnapshot::new(data, 1);
    let text = fs::read_to_string(Path::new(FOLDER).join("rules.toml")).unwrap();
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: text.into() }])
        .unwrap_or_else(|complaints| panic!("{complaints}"));
    let policy = rules.compile(&catalog).unwrap_or_else(|complaints| panic!("{complaints}"));
    Inputs { catalog, policy: Arc::new(policy) }
}

/// What hands on columns of `customers`: views, a child, a materialized view that is not understood.
fn related(data: &mut CatalogData, customers: Oid) {
    let view = |data: &mut CatalogData, name: &str, columns: &str, definition: &str| {
        testing::view(data, name, columns, definition, &[customers]);
    };
    view(
        data,
        "tails",
        "id bigint, tel varchar(20), tail text",
        "SELECT id, phone AS tel, right(phone::text, 4) AS tail FROM public.customers",
    );
    view(data, "southern", "id bigint", "SELECT id FROM public.customers WHERE city = 'Cần Thơ'");
    view(data, "odd", "id bigint", "SELECT x.id FROM ROWS FROM (json_to_recordset('[]') AS (id bigint)) x");
    let child = testing::table(data, "customers_2024", "id bigint, phone varchar(20), full_name text, extra text");
    data.inherits.push(InheritsData { child, parent: customers });
}

/// System relations: read, read in part, closed.
fn system(data: &mut CatalogData) {
    for (number, name, columns) in [
        (1259, "pg_class", "oid bigint, relname text, reltuples real"),
        (1260, "pg_authid", "oid bigint, rolname text, rolpassword text"),
        (12_000, "pg_roles", "rolname text, rolpassword text"),
        (12_001, "pg_stats", "tablename text, most_common_vals text"),
        (12_002, "pg_stat_activity", "pid integer, query text"),
    ] {
        testing::relation(data, name, RelationKind::View, columns);
        let relation = data.relations.last_mut().unwrap();
        "pg_catalog".clone_into(&mut relation.schema);
        relation.oid = Oid(number);
    }
}

fn functions(data: &mut CatalogData, names: &[(&str, &str)]) {
    for (schema, name) in names {
        data.functions.push(FunctionData {
            oid: Oid(4000 + u32::try_from(data.functions.len()).unwrap()),
            schema: (*schema).to_owned(),
            name: (*name).to_owned(),
            volatility: 'v',
            extension: None,
            kind: 'f',
            security_definer: true,
            returns_set: false,
            out_names: Vec::new(),
            argument_types: Vec::new(),
            result_type: None,
            constructs: false,
            variadic: None,
            defaults: 0,
        });
        data.sources.push(SourceData {
            function: data.functions.last().unwrap().oid,
            language: "sql".into(),
            text: "SELECT 1".into(),
            arguments: "".into(),
            uses: Vec::new(),
            used: false,
        });
    }
}

/// Schema `evil`: a table, a function and an operator that share names with what masks and queries use.
fn shadow(data: &mut CatalogData) {
    data.schemas.push(SchemaData { oid: Oid(3000), name: "evil".to_owned() });
    testing::table(data, "customers", "id bigint, phone text");
    "evil".clone_into(&mut data.relations.last_mut().unwrap().schema);
    functions(data, &[("evil", "left")]);
    data.functions.last_mut().unwrap().argument_types = vec![Oid(25), Oid(23)];
    let shape = |oid, name: &str, category, array| TypeShape {
        oid: Oid(oid),
        name: Some(name.into()),
        kind: 'b',
        category,
        preferred: oid == 25,
        base: None,
        array,
    };
    let left = |arguments: [u32; 2], result| Signature {
        name: "left".into(),
        arguments: arguments.map(Oid).into(),
        variadic: None,
        defaults: 0,
        result: Oid(result),
        outputs: Box::default(),
    };
    data.overloads = Some(Overloads {
        functions: vec![left([25, 23], 25)],
        operators: vec![OperatorSignature { name: "||".into(), left: Some(Oid(25)), right: Oid(25), result: Oid(25) }],
        types: vec![shape(20, "int8", 'N', None), shape(23, "int4", 'N', None), shape(25, "text", 'S', None)],
        casts: vec![(Oid(23), Oid(20))],
    });
    data.operators.push(OperatorData {
        schema: "evil".to_owned(),
        name: "||".to_owned(),
        extension: None,
        volatility: 'v',
        left: Some(Oid(25)),
        right: Oid(25),
        result: Some(Oid(25)),
        functions: Vec::new(),
    });
}

fn context(directive: &str, inputs: &Inputs) -> QueryContext {
    let mut words = directive.split_whitespace();
    let name = words.next().unwrap();
    let number = inputs.policy.roles.iter().position(|role| role.name == name);
    let role = RoleId(u16::try_from(number.unwrap_or_else(|| panic!("no role {name}"))).unwrap());
    let mut path = vec!["pg_catalog".to_owned(), "public".to_owned()];
    let mut protocol = Protocol::Simple;
    for word in words {
        match word.split_once('=') {
            Some(("path", list)) => path = list.split(',').map(str::to_owned).collect(),
            None if word == "extended" => protocol = Protocol::EXTENDED,
            None if word == "shadowed" => {}
            _ => panic!("unknown option {word}"),
        }
    }
    QueryContext { role, search_path: path.into(), protocol }
}

fn summary(access: &Access) -> String {
    let mut out = format!("[{}", access.decision);
    for column in &access.columns {
        let usage: Vec<_> = column.usage.iter().map(|usage| usage.label()).collect();
        let _ = write!(out, "; {} {} {}", column.column, usage.join("+"), column.treatment);
    }
    if let Some(login) = &access.login {
        let _ = write!(out, "; login {login} alone");
    }
    out.push(']');
    out
}

fn answer(directive: &str, sql: &str, inputs: &Inputs) -> String {
    match plan(sql, &context(directive, inputs), inputs) {
        Ok(plan) => {
            let mut out = plan.permit.text().to_string();
            for statement in plan.statements.iter() {
                let _ = write!(out, "\n{}", summary(&statement.access));
            }
            out
        }
        Err(refused) => {
            let refusal = &refused.refusal;
            let place = refusal.offset.map_or_else(String::new, |offset| format!(" at {offset}"));
            format!("refused{place}: {refusal}")
        }
    }
}

/// Every case of every file: directive, SQL, and what is expected.
fn cases() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for file in fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "txt") {
            let text = fs::read_to_string(&file).unwrap();
            let heads = text.split("\n\n").map(|case| case.trim_matches('\n')).filter(|case| !case.is_empty());
            all.extend(heads.map(|case| {
                let head = case.split_once("\n----").map_or(case, |parts| parts.0);
                let (directive, sql) = head.split_once('\n').unwrap();
                (directive.to_owned(), sql.to_owned())
            }));
        }
    }
    all
}

/// A plan from the cache is the plan that the pipeline would make, whatever the literals.
#[test]
fn plans_of_templates_are_plans_of_the_pipeline() {
    let (plain, shadowed) = (Arc::new(inputs(false)), Arc::new(inputs(true)));
    let caches = [PlanCache::new(1 << 24), PlanCache::new(1 << 24)];
    let (mut served, mut all, mut problems) = (0, 0, Vec::new());
    for (directive, sql) in cases() {
        let is_shadowed = directive.split(' ').any(|word| word == "shadowed");
        let (inputs, cache) = if is_shadowed { (&shadowed, &caches[1]) } else { (&plain, &caches[0]) };
        let exempt = directive.replace("support", "owner").replace("care", "owner");
        for directive in [&directive, &exempt] {
            let context = context(directive, inputs);
            let texts = std::iter::once(sql.clone()).chain((0..12).filter_map(|seed| literals::other(&sql, seed)));
            for text in texts {
                let (kept, found) = cache.plan(&text, &context, inputs);
                let fresh = plan(&text, &context, inputs);
                all += 1;
                served += usize::from(found == Found::Template);
                if !literals::same(&kept, &fresh, &text) {
                    problems.push(format!("{directive}: {text}\n{found:?}: {kept:?}\nbut {fresh:?}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} differ\n{}", problems.len(), problems[..problems.len().min(5)].join("\n\n"));
    assert!(served * 2 > all, "templates served {served} of {all}");
}

#[test]
fn plans_are_printed_as_reviewed() {
    let (plain, shadowed) = (inputs(false), inputs(true));
    let rewrite = std::env::var_os("REWRITE").is_some();
    let mut files: Vec<_> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() >= 14, "{files:?}");
    let (mut cases, mut problems) = (0, Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut made = Vec::new();
        for case in text.split("\n\n").map(|case| case.trim_matches('\n')).filter(|case| !case.is_empty()) {
            cases += 1;
            let (head, expected) = case.split_once("\n----").unwrap_or((case, ""));
            let (directive, sql) = head.split_once('\n').unwrap_or_else(|| panic!("{}: {case}", file.display()));
            let inputs = if directive.split(' ').any(|word| word == "shadowed") { &shadowed } else { &plain };
            let answer = answer(directive, sql, inputs);
            if answer != expected.trim_start_matches('\n') {
                problems.push(format!("{}\n{head}\n----\n{answer}\n", file.display()));
            }
            made.push(format!("{head}\n----\n{answer}\n"));
        }
        if rewrite {
            fs::write(&file, made.join("\n")).unwrap();
        }
    }
    assert!(cases > 180, "only {cases} cases");
    assert!(rewrite || problems.is_empty(), "{} differ\n{}", problems.len(), problems.join("\n"));
}
