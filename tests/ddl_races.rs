//! Races between a restricted statement and DDL of somebody else that commits after the statement was judged and before the server looks
//! at it: a mask's function or operator gets a rival, columns and tables change names, types and places. In no byte of an answer
//! is a stored value. Each race runs with DDL through the proxy, and, where every answer is proved, straight to the server.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use std::time::Duration;

use common::{
    Postgres, Proxy,
    proxy::Options,
    shop, wait_for,
    wire::{self, Client, bind, describe_portal, execute, parse, sync},
};

/// Every race has a schema of its own, which is its search path. `staging` holds what takes the place of something.
const SCHEMA: &str = "
CREATE SCHEMA attic; CREATE SCHEMA staging;
CREATE TABLE gate (a int);
CREATE TABLE staging.people (id int, phone text, remark text, full_name text);
INSERT INTO staging.people VALUES (1, '0901234001', 'Zoe Marker Quux 0901234001', 'Zoe Marker Quux');
CREATE TABLE staging.source AS SELECT * FROM staging.people;
GRANT ALL ON ALL TABLES IN SCHEMA public, staging TO support;
GRANT USAGE ON SCHEMA attic, staging TO support;
";

/// The same in each.
const TABLES: &str = "
CREATE SCHEMA {s}; SET search_path = {s};
CREATE TABLE people (id int, full_name text, phone varchar(20));
INSERT INTO people VALUES (1, 'Zoe Marker Quux', '0901234001');
CREATE TABLE parts (id int, phone varchar(20)) PARTITION BY LIST (id);
CREATE TABLE parts_one PARTITION OF parts FOR VALUES IN (1);
INSERT INTO parts VALUES (1, '0901234001');
CREATE TABLE loose (id int, phone varchar(20));
GRANT USAGE ON SCHEMA {s} TO support; GRANT ALL ON ALL TABLES IN SCHEMA {s} TO support;
";

const SECRETS: [&str; 3] = ["0901234", "1234001", "Marker"];

/// Those of the shop with other columns.
fn rules() -> String {
    let list = |columns: &[&str]| {
        let of = |race: usize| columns.iter().map(move |column| format!("\"r{race}.{column}\""));
        format!("columns = [{}]", (0..RACES.len()).flat_map(of).collect::<Vec<_>>().join(", "))
    };
    let (_, roles) = shop::RULES.split_once("[[role]]").unwrap();
    format!(
        "policy = \"races\"\n[category.name]\n{}\n[category.phone]\n{}\n[category.email]\ncolumns = [\"public.customers.email\"]\n\
         [category.note]\ncolumns = [\"public.customers.note\"]\n[category.none]\n{}\n[[role]]{roles}",
        list(&["people.full_name"]),
        list(&["people.phone", "parts.phone"]),
        list(&["people.id", "parts.id"]),
    )
}

/// What changes (`{s}` is the schema), and what is read meanwhile.
struct Race {
    name: &'static str,
    change: &'static str,
    reads: &'static [&'static str],
}

const PEOPLE: &[&str] = &[
    "SELECT phone FROM people WHERE id = 1",
    "SELECT * FROM people",
    "SELECT upper(full_name) || phone FROM people",
    "SELECT to_jsonb(p), p FROM people p",
    "SELECT x.phone FROM (SELECT * FROM people ORDER BY phone OFFSET 0) x",
    "UPDATE people SET id = id RETURNING phone, full_name",
    "COPY people TO STDOUT",
];

const RACES: &[Race] = &[
    Race {
        name: "the type of a masked column",
        change: "ALTER TABLE people ALTER phone TYPE bigint USING phone::bigint",
        reads: PEOPLE,
    },
    Race {
        name: "the type of a masked column, to one that runs code",
        change: "CREATE DOMAIN told AS text; CREATE FUNCTION told(told, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
                 CREATE OPERATOR {s}.~ (LEFTARG = told, RIGHTARG = text, FUNCTION = told);
                 CREATE OPERATOR {s}.!~ (LEFTARG = told, RIGHTARG = text, FUNCTION = told);
                 ALTER TABLE people ALTER phone TYPE told",
        reads: PEOPLE,
    },
    Race {
        name: "names of two columns",
        change: "ALTER TABLE people RENAME phone TO x; ALTER TABLE people RENAME full_name TO phone;
                 ALTER TABLE people RENAME x TO full_name",
        reads: PEOPLE,
    },
    Race {
        name: "another table of its name",
        change: "ALTER TABLE people RENAME TO kept; CREATE TABLE people AS SELECT * FROM staging.source;
                 GRANT ALL ON people TO support",
        reads: PEOPLE,
    },
    Race {
        name: "dropped and made",
        change: "DROP TABLE people; CREATE TABLE people (remark text, phone text, full_name varchar(40), id int, p text);
                 INSERT INTO people SELECT remark, phone, full_name, id, phone FROM staging.source; GRANT ALL ON people TO support",
        reads: PEOPLE,
    },
    Race {
        name: "tables in other schemas",
        change: "ALTER TABLE people SET SCHEMA attic; ALTER TABLE staging.people SET SCHEMA {s}",
        reads: PEOPLE,
    },
    Race {
        name: "a view in its place",
        change: "ALTER TABLE people RENAME TO kept;
                 CREATE VIEW people AS SELECT id, phone || '' AS full_name, full_name || '' AS phone FROM kept; GRANT ALL ON people TO support",
        reads: PEOPLE,
    },
    Race {
        name: "a partition more",
        change: "INSERT INTO loose VALUES (2, '0901234001');
                 ALTER TABLE parts ATTACH PARTITION loose FOR VALUES IN (2)",
        reads: &[
            "SELECT phone || '' FROM loose",
            "SELECT * FROM parts",
            "COPY loose TO STDOUT",
            "UPDATE loose SET id = id RETURNING phone || ''",
            "SELECT (l).phone FROM loose l",
        ],
    },
    Race {
        name: "a partition less",
        change: "ALTER TABLE parts DETACH PARTITION parts_one; ALTER TABLE parts_one RENAME TO was_one;
                 CREATE TABLE parts_one PARTITION OF parts FOR VALUES IN (1); INSERT INTO parts SELECT * FROM was_one;
                 GRANT ALL ON parts_one TO support",
        reads: &["SELECT * FROM parts_one", "SELECT upper(phone) FROM parts", "SELECT to_jsonb(p) FROM parts_one p"],
    },
    Race {
        name: "rivals of the functions of a mask",
        change: "CREATE FUNCTION {s}.right(varchar, int) RETURNS text LANGUAGE sql AS 'SELECT $1';
                 CREATE FUNCTION {s}.right(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1';
                 CREATE FUNCTION {s}.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1';
                 CREATE FUNCTION {s}.ltrim(text, text) RETURNS text LANGUAGE sql AS 'SELECT phone FROM {s}.people'",
        reads: PEOPLE,
    },
    Race {
        name: "rivals of the operators of a mask",
        change: "CREATE FUNCTION never(varchar, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
                 CREATE OPERATOR {s}.~ (LEFTARG = varchar, RIGHTARG = text, FUNCTION = never);
                 CREATE OPERATOR {s}.!~ (LEFTARG = varchar, RIGHTARG = text, FUNCTION = never);
                 CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE sql AS 'SELECT phone FROM {s}.people';
                 CREATE OPERATOR {s}.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = joined)",
        reads: PEOPLE,
    },
];

/// When the change comes.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Between two statements of one message, of which the first waits.
    InMessage,
    /// The same in a pipeline.
    InPipeline,
    /// After Parse.
    Prepared,
    /// Before the statement.
    Before,
}

const WHENS: [When; 4] = [When::InMessage, When::InPipeline, When::Prepared, When::Before];

fn whole(statement: &str) -> Vec<u8> {
    [parse("", statement, &[]), bind("", "", &[], &[], &[]), describe_portal(""), execute("", 0)].concat()
}

/// A session with what it reads.
struct Reader {
    client: Client,
    read: &'static str,
    when: When,
}

impl Reader {
    /// As far as it comes before the change.
    fn start(proxy: &Proxy, path: &str, read: &'static str, when: When) -> Self {
        let mut client = proxy.connect("support", shop::DATABASE);
        let answer = client.simple(&format!("SET search_path = {path}"));
        assert!(wire::error(&answer).is_none(), "{path}: {}", wire::describe(&answer));
        let waits = "LOCK TABLE public.gate IN ACCESS SHARE MODE";
        match when {
            When::InMessage => client.send(&wire::query(&format!("BEGIN; {waits}; {read}; COMMIT"))),
            When::InPipeline => client.send(&[["BEGIN", waits, read, "COMMIT"].map(whole).concat(), sync()].concat()),
            When::Prepared => {
                client.send(&[parse("p", read, &[]), sync()].concat());
                let answer = client.until_ready();
                assert!(wire::error(&answer).is_none(), "{read}: {}", wire::describe(&answer));
            }
            When::Before => {}
        }
        Self { client, read, when }
    }

    /// The rest, after the change.
    fn end(&mut self) {
        match self.when {
            When::InMessage | When::InPipeline => {}
            When::Prepared => {
                let run = [bind("", "p", &[], &[], &[]), describe_portal(""), execute("", 0), sync()];
                self.client.send(&run.concat());
            }
            When::Before => self.client.send(&wire::query(self.read)),
        }
        self.client.until_ready();
        // Once more in the session, if it still stands.
        self.client.simple(self.read);
    }
}

fn races(mode: &'static str, through_proxy: bool, names: &[&str]) {
    let tables: Vec<String> = (0..RACES.len()).map(|number| TABLES.replace("{s}", &format!("r{number}"))).collect();
    let scripts: Vec<&str> = [shop::SCHEMA, SCHEMA].into_iter().chain(tables.iter().map(String::as_str)).collect();
    let server = shop::load_other(Postgres::start(), &scripts);
    let mut options = Options::new(shop::DATABASE, rules());
    options.environment = vec![("PGSCRIM_UPSTREAM_DDL_GUARD", mode.to_owned())];
    let proxy = Proxy::start(&server, &options);
    let address = if through_proxy { proxy.address() } else { server.address() };
    let owner = [("user", "owner"), ("database", shop::DATABASE)];
    let mut changes = Client::connect(&address, &owner).unwrap();
    let mut gate = Client::connect(&server.address(), &owner).unwrap();
    let mut problems = Vec::new();
    for name in names {
        let number = RACES.iter().position(|race| race.name == *name).unwrap();
        let race = &RACES[number];
        let schema = format!("r{number}");
        gate.simple("BEGIN; LOCK TABLE gate");
        let mut readers: Vec<Reader> = std::thread::scope(|scope| {
            let starts = race.reads.iter().enumerate().flat_map(|(at, read)| {
                let path = if at % 2 == 0 { schema.clone() } else { format!("{schema}, pg_catalog") };
                WHENS.map(|when| (path.clone(), read, when))
            });
            let proxy = &proxy;
            let starts: Vec<_> =
                starts.map(|(path, read, when)| scope.spawn(move || Reader::start(proxy, &path, read, when))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        wait_for("the statements to wait at the gate", Duration::from_secs(20), || {
            let waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'support' AND wait_event_type = 'Lock'";
            (server.sql(shop::DATABASE, waiting).len() == 2 * race.reads.len()).then_some(())
        });
        let script =
            format!("BEGIN; SET LOCAL search_path = {schema}; {}; COMMIT", race.change.replace("{s}", &schema));
        let answer = changes.simple(&script);
        assert!(wire::error(&answer).is_none(), "{script}: {}", wire::describe(&answer));
        gate.simple("ROLLBACK");
        std::thread::scope(|scope| {
            for reader in &mut readers {
                scope.spawn(|| reader.end());
            }
        });
        for reader in &readers {
            let received = common::text(&reader.client.transcript);
            if let Some(secret) = SECRETS.iter().find(|secret| received.contains(**secret)) {
                problems.push(format!("{}, {:?}, {}: {secret}", race.name, reader.when, reader.read));
            }
        }
    }
    assert!(problems.is_empty(), "{} leaks\n{}", problems.len(), problems.join("\n"));
}

/// Those after which the rules still fit, and then one after which they do not.
fn all() -> Vec<&'static str> {
    let (last, first): (Vec<_>, Vec<_>) = RACES.iter().map(|race| race.name).partition(|name| name.contains("type"));
    [first, last].concat()
}

#[test]
fn ddl_through_the_proxy() {
    races("relayed", true, &all());
}

#[test]
fn ddl_past_the_proxy() {
    races("always", false, &all());
}

/// Rules that no longer fit stay in force over what has not changed: but masks were made when their functions had no rivals.
#[test]
fn rivals_while_the_rules_do_not_fit() {
    for rivals in ["rivals of the functions of a mask", "rivals of the operators of a mask"] {
        races("relayed", true, &["the type of a masked column", rivals]);
    }
}
