//! The binder judged by PostgreSQL itself. Each statement becomes the body of an SQL function, which makes the server say in
//! two ways which columns it uses: by the dependencies that it records (`pg_depend`), and by the privileges that its stored
//! parse tree asks for (`selectedCols`, whole rows and system columns included). The binder may find more only where it
//! takes a row as a whole; it may never find less. What a direct RowDescription says of the origin of output columns must fit
//! the lineage, and what is sent through the proxy must be described as the original is.

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

#[path = "common/author.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod author;
mod common;
#[path = "common/leaks.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod corpus;
#[path = "common/generator.rs"]
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "as in common")]
mod generator;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use author::Author;
use common::{
    Postgres, Proxy, planner,
    proxy::{Options, SERVICE_LOGIN, fixture},
    wire::{self, Client, Column, Message},
};
use corpus::World;
use generator::Generator;
use pgscrim::{
    bind::{Bound, Role, WholeUse, bind_statement},
    catalog::CatalogSnapshot,
    engine::{Inputs, QueryContext, plan},
    error::RefusalCode,
    names::Oid,
    sql::{
        Kind, Token,
        command::{Command, classify},
        emit, forms, lex, parse, split,
    },
};

/// A statement and where it comes from.
struct Sample {
    place: String,
    sql: String,
    path: Vec<String>,
}

fn default_path() -> Vec<String> {
    vec!["pg_catalog".to_owned(), "public".to_owned()]
}

/// The queries and data modifications in a text, those inside PREPARE, DECLARE and EXPLAIN included.
fn samples(place: &str, text: &str, path: &[String]) -> Vec<Sample> {
    let Ok(tokens) = lex::lex(text) else { return Vec::new() };
    split::statements(&tokens)
        .into_iter()
        .filter_map(|range| {
            let own = &tokens[range];
            let at = match classify(own) {
                Command::Query | Command::Modify(_) => 0,
                Command::Declare(_, at) | Command::Prepare(_, at) | Command::Explain(at) => at,
                Command::Copy => {
                    own.iter().position(|token| token.is_word("to")).filter(|_| own[1].kind == Kind::Open)?
                }
                _ => return None,
            };
            let (first, last) = (own.get(at)?, own.last()?);
            let sql = if own[0].is_word("copy") {
                text[own[2].start as usize..own[at - 1].start as usize].to_owned()
            } else {
                text[first.start as usize..last.end as usize].to_owned()
            };
            // The columns of EXISTS (SELECT * …) are of no use to anybody; the server asks for privileges on them all the same.
            let sql = sql.replace("EXISTS (SELECT * ", "EXISTS (SELECT 1 ");
            Some(Sample { place: place.to_owned(), sql, path: path.to_vec() })
        })
        .collect()
}

/// Columns of one relation by number: 0 stands for the whole row, negative ones are system columns.
type Columns = BTreeMap<u32, BTreeSet<i32>>;

/// What the server says that a statement uses.
#[derive(Debug, Default)]
struct Used {
    /// From `pg_depend`: reads and writes; no whole rows, no system relations.
    depends: Columns,
    /// From the stored parse tree: reads.
    selected: Columns,
}

/// `selectedCols` of every relation in a `pg_node_tree`, whatever the depth. EXCLUDED, which the server has as a composite
/// type of the target's number, is none.
fn selected(tree: &str) -> Columns {
    // Attribute numbers in a bitmapset are shifted by this (FirstLowInvalidHeapAttributeNumber).
    const OFFSET: i32 = 7;
    let mut columns = Columns::new();
    let mut relations: Vec<Option<u32>> = Vec::new();
    let mut words = Vec::new();
    let bytes = tree.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'}' | b'(' | b')' => {
                words.push(&tree[at..=at]);
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let start = at;
                while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !b"{}()".contains(&bytes[at]) {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                words.push(&tree[start..at.min(tree.len())]);
            }
        }
    }
    for (number, word) in words.iter().enumerate() {
        match *word {
            "{" => relations.push(None),
            "}" => {
                relations.pop();
            }
            ":relid" => *relations.last_mut().unwrap() = words[number + 1].parse().ok(),
            ":relkind" if words[number + 1] == "c" => *relations.last_mut().unwrap() = None,
            ":selectedCols" => {
                let Some(relid) = *relations.last().unwrap() else { continue };
                let set = words[number + 1..].iter().skip(2).take_while(|word| **word != ")");
                let numbers = set.map(|word| word.parse::<i32>().unwrap() - OFFSET);
                columns.entry(relid).or_default().extend(numbers);
            }
            _ => {}
        }
    }
    columns
}

/// Makes a function of the statement and reads what it uses; none when the server does not take the statement.
fn used(client: &mut Client, sql: &str, types: &[u32]) -> Option<Used> {
    client.simple("BEGIN");
    let arguments: Vec<String> = types
        .iter()
        .map(|oid| wire::text_rows(&client.simple(&format!("SELECT {oid}::oid::regtype"))).remove(0).remove(0).unwrap())
        .collect();
    let made = client.simple(&format!(
        "CREATE FUNCTION pg_temp.sample({}) RETURNS void LANGUAGE sql BEGIN ATOMIC\n{sql}\n;END",
        arguments.join(", ")
    ));
    let mut used = None;
    if wire::error(&made).is_none() {
        let number = |cell: &Option<String>| cell.as_ref().unwrap().parse::<i64>().unwrap();
        let rows = wire::text_rows(&client.simple(
            "SELECT d.refobjid, d.refobjsubid FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
             WHERE p.proname = 'sample' AND p.pronamespace = pg_my_temp_schema() AND d.refclassid = 'pg_class'::regclass",
        ));
        let mut depends = Columns::new();
        for row in &rows {
            let columns = depends.entry(u32::try_from(number(&row[0])).unwrap()).or_default();
            if number(&row[1]) != 0 {
                columns.insert(i32::try_from(number(&row[1])).unwrap());
            }
        }
        let tree = wire::text_rows(&client.simple(
            "SELECT prosqlbody::text FROM pg_proc WHERE proname = 'sample' AND pronamespace = pg_my_temp_schema()",
        ));
        used = Some(Used { depends, selected: selected(tree[0][0].as_ref().unwrap()) });
    } else if std::env::var_os("PGSCRIM_SHOW").is_some() {
        println!("not a function: {sql}\n{}", wire::describe(&made));
    }
    client.simple("ROLLBACK");
    used
}

/// ParameterDescription and RowDescription of a statement; the error's text when it has none.
fn description(client: &mut Client, sql: &str) -> Result<(Vec<u32>, Vec<Column>), String> {
    let mut bytes = wire::parse("", sql, &[]);
    bytes.extend(wire::describe_statement(""));
    bytes.extend(wire::sync());
    client.send(&bytes);
    let answer = client.until_ready();
    if let Some(error) = wire::error(&answer) {
        return Err(wire::describe(std::slice::from_ref(error)));
    }
    let parameters = answer.iter().find(|message| message.kind == b't').unwrap();
    let oids = parameters.body[2..].chunks(4).map(|oid| u32::from_be_bytes(oid.try_into().unwrap())).collect();
    let columns = answer.iter().find(|message| message.kind == b'T').map(Message::columns).unwrap_or_default();
    Ok((oids, columns))
}

/// What the binder says, in the server's terms.
fn ours(bound: &Bound, catalog: &CatalogSnapshot) -> (Columns, Columns, BTreeSet<u32>) {
    let (mut read, mut written, mut wholly) = (Columns::new(), Columns::new(), BTreeSet::new());
    let attnum = |oid: Oid, position: usize| i32::from(catalog.relation(oid).unwrap().columns[position].attnum.0);
    for used in &bound.relations {
        let columns = read.entry(used.oid.0).or_default();
        let marked = used.marks.iter().enumerate().filter(|(_, mark)| mark.used);
        columns.extend(marked.map(|(position, _)| attnum(used.oid, position)));
        for name in &used.system {
            let names = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];
            let place = names.iter().position(|other| other == name).unwrap();
            columns.insert(-1 - i32::try_from(place).unwrap());
        }
        if let Some(WholeUse::Expression(_) | WholeUse::AliasColumns | WholeUse::Natural) = used.whole_row {
            wholly.insert(used.oid.0);
        }
    }
    for assigned in &bound.assigned {
        let oid = bound.relations[assigned.relation].oid;
        written.entry(oid.0).or_default().insert(attnum(oid, assigned.column));
    }
    (read, written, wholly)
}

/// The type of rows without a type.
const RECORD: u32 = 2249;

#[derive(Default, Debug)]
struct Tally {
    /// The binder refused them, by its words.
    unbound: BTreeMap<String, usize>,
    /// The server does not know such statements.
    invalid: usize,
    /// The server does not take them as the body of a function.
    bodiless: usize,
    compared: usize,
    /// Rows taken as a whole of which the server uses columns only.
    over: usize,
    /// Output columns with an origin.
    origins: usize,
    /// Refused for the restricted role.
    refused: usize,
    described: usize,
    /// Rows that lose their type above an outer join.
    rows: usize,
    problems: Vec<String>,
}

struct Judge<'a> {
    inputs: &'a Inputs,
    context: QueryContext,
    direct: Client,
    proxied: Client,
    path: Vec<String>,
    tally: Tally,
}

impl<'a> Judge<'a> {
    fn new(postgres: &Postgres, proxy: &Proxy, inputs: &'a Inputs) -> Self {
        let context = planner::context(inputs, "support");
        let direct =
            Client::connect(&postgres.address(), &[("user", "owner"), ("database", corpus::DATABASE)]).unwrap();
        let proxied = proxy.connect("support", corpus::DATABASE);
        Self { inputs, context, direct, proxied, path: default_path(), tally: Tally::default() }
    }

    fn problem(&mut self, sample: &Sample, what: &str) {
        self.tally.problems.push(format!("{}: {what}\n    {}", sample.place, sample.sql.replace('\n', "\n    ")));
    }

    fn take_path(&mut self, path: &[String]) {
        if self.path == path {
            return;
        }
        let list: Vec<String> = path.iter().map(|schema| format!("\"{schema}\"")).collect();
        for client in [&mut self.direct, &mut self.proxied] {
            let answer = client.simple(&format!("SET search_path = {}", list.join(", ")));
            assert!(wire::error(&answer).is_none(), "{}", wire::describe(&answer));
        }
        self.path = path.to_vec();
        self.context.search_path = path.to_vec().into();
    }

    fn judge(&mut self, sample: &Sample) {
        self.direct.forget();
        self.proxied.forget();
        self.take_path(&sample.path);
        let catalog = &self.inputs.catalog;
        let bound = lex::lex(&sample.sql).and_then(|tokens| {
            let tokens = forms::plain(&tokens).into_owned();
            let statement = parse::parse_statement(&tokens, 0)?;
            let bound = bind_statement(&statement, &tokens, catalog, &sample.path)?;
            Ok((bound, tokens))
        });
        let described = description(&mut self.direct, &sample.sql);
        let (types, columns) = match described {
            Ok(described) => described,
            Err(error) => {
                if std::env::var_os("PGSCRIM_SHOW").is_some() {
                    println!("invalid: {}\n{error}", sample.sql);
                }
                self.tally.invalid += 1;
                return;
            }
        };
        let (bound, tokens) = match bound {
            Ok(bound) => bound,
            Err(refusal) => {
                *self.tally.unbound.entry(refusal.message.clone()).or_default() += 1;
                if std::env::var_os("PGSCRIM_SHOW").is_some() {
                    println!("unbound: {refusal}\n    {}", sample.sql);
                }
                return;
            }
        };
        self.origins(sample, &bound, &columns);
        self.sent(sample, &types, &columns);
        // What was analysed is what is sent: `(c).*` as `c.*`.
        let Some(used) = used(&mut self.direct, &emit::text(&tokens), &types) else {
            self.tally.bodiless += 1;
            return;
        };
        self.tally.compared += 1;
        let (read, written, wholly) = ours(&bound, catalog);
        // The target of ON CONFLICT: the server counts the columns of the index, and makes a list of all of EXCLUDED's.
        let conflict = tokens.windows(2).position(|pair| pair[0].is_word("on") && pair[1].is_word("conflict"));
        let target = bound.relations.iter().find(|used| used.role == Role::Insert).map(|used| used.oid.0);
        let arbiter: BTreeSet<i32> = conflict
            .and_then(|at| {
                let relation = catalog.relation(Oid(target?))?;
                let words = tokens[at + 2..].iter().take_while(|token| !token.is_word("do"));
                let attnum = |word: &Token| relation.columns.iter().find(|column| *column.name == *word.name());
                Some(words.filter_map(|word| Some(i32::from(attnum(word)?.attnum.0))).collect())
            })
            .unwrap_or_default();
        let conflicting = |relid: u32| conflict.is_some() && target == Some(relid);
        let nothing = BTreeSet::new();
        for (relid, theirs) in &used.selected {
            let own = read.get(relid).unwrap_or(&nothing);
            if !read.contains_key(relid) {
                self.problem(sample, &format!("UNDER: the server uses {}", name(catalog, *relid)));
            }
            let arbiter = if conflicting(*relid) { &arbiter } else { &nothing };
            // Since PostgreSQL 18 also columns of EXCLUDED, the client's own row.
            let excluded = |column: i32| {
                let relation = catalog.relation(Oid(*relid)).filter(|_| conflicting(*relid));
                let called = |token: &Token| {
                    let columns = relation.into_iter().flat_map(|relation| &relation.columns);
                    columns.into_iter().any(|known| i32::from(known.attnum.0) == column && *known.name == *token.name())
                };
                tokens.windows(3).any(|name| name[0].name() == "excluded" && called(&name[2]))
            };
            let missing: Vec<i32> = theirs
                .difference(own)
                .copied()
                .filter(|column| *column != 0 && !arbiter.contains(column) && !excluded(*column))
                .collect();
            if !missing.is_empty() {
                self.problem(
                    sample,
                    &format!("UNDER: the server reads columns {missing:?} of {}", name(catalog, *relid)),
                );
            }
            // `(c).*` is the row to the parser, and its columns alone to what is planned.
            if theirs.contains(&0) && !wholly.contains(relid) && !sample.sql.contains(").*") {
                self.problem(sample, &format!("UNDER: the server reads whole rows of {}", name(catalog, *relid)));
            }
        }
        for (relid, theirs) in used.depends.iter().filter(|(relid, _)| !conflicting(**relid)) {
            let own: BTreeSet<i32> =
                [read.get(relid), written.get(relid)].into_iter().flatten().flatten().copied().collect();
            let missing: Vec<&i32> = theirs.difference(&own).collect();
            if !missing.is_empty() {
                self.problem(
                    sample,
                    &format!("UNDER: the server depends on columns {missing:?} of {}", name(catalog, *relid)),
                );
            }
        }
        for (relid, own) in &read {
            let theirs = used.selected.get(relid).unwrap_or(&nothing);
            let more: Vec<&i32> = own.difference(theirs).collect();
            if more.is_empty() || theirs.contains(&0) {
                continue;
            }
            // What a name beside a function may mean is counted too, and USING makes one item of all that it joins.
            let function = ["generate_series", "unnest(", "jsonb_each"].iter().any(|name| sample.sql.contains(name));
            let inside = sample.sql.contains("(SELECT phone FROM json_populate_record(");
            if wholly.contains(relid) || inside || function && sample.sql.contains(" USING (") {
                self.tally.over += 1;
            } else {
                self.problem(sample, &format!("OVER: columns {more:?} of {} are not read", name(catalog, *relid)));
            }
        }
    }

    /// Where the server says that output columns come from, against the lineage.
    fn origins(&mut self, sample: &Sample, bound: &Bound, columns: &[Column]) {
        let open = bound.stars.iter().any(|star| !star.complete);
        if bound.outputs.len() != columns.len() {
            // The fields of a function's row or of `(expression).*` are not known to the binder.
            let unnamed = bound.outputs.iter().any(|output| output.name.is_none());
            if !open && !unnamed && bound.returns_rows {
                self.problem(sample, &format!("{} outputs, the server has {}", bound.outputs.len(), columns.len()));
            }
            return;
        }
        let catalog = &self.inputs.catalog;
        let source = |(id, position): &(usize, usize)| {
            let oid = bound.relations[*id].oid;
            (oid.0, catalog.relation(oid).unwrap().columns[*position].attnum.0)
        };
        for (number, (output, column)) in bound.outputs.iter().zip(columns).enumerate() {
            if let Some(name) = &output.name
                && *name != column.name
            {
                self.problem(sample, &format!("output {number} is named {name}, the server says {}", column.name));
            }
            let theirs = (column.relation, column.attribute);
            if let Some(plain) = &output.plain
                && source(plain) != theirs
            {
                self.problem(sample, &format!("output {number} is {:?}, the server says {theirs:?}", source(plain)));
            }
            if theirs.0 == 0 || theirs.1 <= 0 {
                continue;
            }
            self.tally.origins += 1;
            if !output.deps.iter().any(|dep| source(dep) == theirs) {
                let name = name(catalog, theirs.0);
                self.problem(sample, &format!("UNDER: output {number} is column {} of {name}", theirs.1));
            }
        }
    }

    /// The statement through the proxy, against the original: names, types, modifiers, parameters.
    fn sent(&mut self, sample: &Sample, types: &[u32], columns: &[Column]) {
        let planned = plan(&sample.sql, &self.context, self.inputs);
        if let Err(refused) = &planned
            && refused.refusal.code == RefusalCode::VerifyFailed
        {
            self.problem(sample, &refused.refusal.message);
        }
        if planned.and_then(|plan| plan.serves("support")).is_err() {
            self.tally.refused += 1;
            return;
        }
        let (their_types, described) = match description(&mut self.proxied, &sample.sql) {
            Ok(described) => described,
            Err(error) => {
                self.problem(sample, &format!("cannot be described through the proxy: {error}"));
                return;
            }
        };
        self.tally.described += 1;
        if types != their_types {
            self.problem(sample, &format!("parameters {types:?} became {their_types:?}"));
        }
        let facts = |columns: &[Column]| -> Vec<(String, u32, i16, i32)> {
            columns.iter().map(|c| (c.name.clone(), c.type_oid, c.length, c.modifier)).collect()
        };
        let (before, mut after) = (facts(columns), facts(&described));
        // A row of a protected relation above an outer join is a record: a cast would make a row of NULLs of a NULL row.
        if ["left", "right", "full"].iter().any(|word| sample.sql.to_lowercase().contains(word)) {
            for (before, after) in before.iter().zip(&mut after) {
                if after.1 == RECORD && before.1 != RECORD {
                    self.tally.rows += 1;
                    after.1 = before.1;
                }
            }
        }
        if before != after {
            let differ: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
            self.problem(sample, &format!("described otherwise: {differ:?} of {} and {}", before.len(), after.len()));
        }
    }

    fn end(self, what: &str, at_least: usize) {
        let mut tally = self.tally;
        let problems = std::mem::take(&mut tally.problems);
        println!("{what}: {tally:#?}");
        let some = problems[..problems.len().min(40)].join("\n");
        assert!(problems.is_empty(), "{} problems\n{some}\n", problems.len());
        assert!(tally.compared >= at_least, "only {} statements were compared", tally.compared);
        assert!(tally.described >= at_least / 2, "only {} statements were described", tally.described);
    }
}

fn name(catalog: &CatalogSnapshot, relid: u32) -> String {
    catalog.relation(Oid(relid)).map_or_else(|| relid.to_string(), |relation| relation.name.clone())
}

#[test]
fn binds_the_leak_corpus_as_postgresql_does() {
    let world = World::new(0, true);
    let rules = fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
    let inputs = planner::inputs(&world.postgres, corpus::DATABASE, &rules);
    let mut judge = Judge::new(&world.postgres, world.proxy.as_ref().unwrap(), &inputs);
    for name in corpus::FILES {
        for case in corpus::cases(name) {
            let mut path = default_path();
            for statement in &case.statements {
                for sample in samples(&format!("{} {}", case.id, case.title), &statement.sql, &path) {
                    judge.judge(&sample);
                }
                if statement.sql.to_lowercase().contains("search_path") {
                    path = vec!["pg_catalog".to_owned(), "evil".to_owned(), "public".to_owned()];
                }
            }
        }
    }
    judge.end("leak corpus", 200);
}

#[test]
fn binds_the_golden_files_as_postgresql_does() {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE DATABASE shop");
    postgres.sql("postgres", SERVICE_LOGIN);
    postgres.sql(corpus::DATABASE, &fs::read_to_string(fixture("golden/plan/schema.sql")).unwrap());
    let rules = fs::read_to_string(fixture("golden/plan/rules.toml")).unwrap();
    let proxy = Proxy::start(&postgres, &Options::new(corpus::DATABASE, rules.as_str()));
    let inputs = planner::inputs(&postgres, corpus::DATABASE, &rules);
    let mut judge = Judge::new(&postgres, &proxy, &inputs);
    for (place, directive, sql) in corpus::golden() {
        // Another path or another catalog than the one of `schema.sql`.
        if directive.contains('=') || directive.contains("shadowed") {
            continue;
        }
        for sample in samples(&place, &sql, &default_path()) {
            judge.judge(&sample);
        }
    }
    judge.end("golden files", 90);
}

#[test]
fn binds_random_statements_as_postgresql_does() {
    let world = World::new(0, true);
    let rules = fs::read_to_string(fixture("leaks/rules.toml")).unwrap();
    let inputs = planner::inputs(&world.postgres, corpus::DATABASE, &rules);
    let mut judge = Judge::new(&world.postgres, world.proxy.as_ref().unwrap(), &inputs);
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count = if common::long() { 20_000 } else { 700 };
    for seed in first..first + count {
        let mut texts = vec![Generator::new(seed).query(1)];
        texts.extend(Author::new(seed).script().statements);
        for text in texts {
            for sample in samples(&format!("seed {seed}"), &text, &default_path()) {
                judge.judge(&sample);
            }
        }
    }
    judge.end("random statements", 500);
}
