//! `search = "exact"`: what it finds, and that nothing else is learned. Plans of the engine are sent straight to real servers.
//!
//! Two oracles. A model: random conditions, of which the generator knows the comparisons that see stored values, are
//! answered from a copy that holds stored and masked values side by side. And two worlds that differ in stored values none
//! of which the statement names: whatever is asked, they answer alike.

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

use common::{
    Postgres, planner, shop,
    wire::{self, Client},
};
use corpus::World;
use generator::{Generator, Mutator};
use pgscrim::engine::{Inputs, QueryContext, plan};

const SCHEMA: &str = "
CREATE ROLE care LOGIN;
CREATE DOMAIN handle AS text NOT NULL CHECK (VALUE <> '');
CREATE DOMAIN score AS numeric(6,2) NOT NULL;
CREATE TABLE customers (
    id int PRIMARY KEY, city text, phone varchar(20), email text, cccd bigint, paid numeric(12,2), code char(5),
    note text, nick handle NOT NULL, born date, rank score NOT NULL, weight float8, tags text[]
);
CREATE INDEX ON customers (phone);
CREATE INDEX ON customers (lower(email));
CREATE INDEX ON customers (cccd);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total int);
INSERT INTO customers SELECT n, (ARRAY['Huế', 'Vinh', 'Đà Lạt'])[n % 3 + 1],
    CASE WHEN n % 7 <> 0 THEN '09012345' || lpad((n / 2)::text, 2, '0') END,
    CASE WHEN n % 5 <> 0 THEN 'Khach' || n / 2 || '@Gmail.com' END, 79000000000 + n / 2, n / 2 + 0.5, 'k' || n / 2,
    CASE WHEN n % 4 <> 0 THEN 'note ' || n / 2 END, 'nick' || n / 2, CASE WHEN n % 6 <> 0 THEN date '2000-01-01' + n / 2 END,
    n / 2, n / 2 + 0.25, ARRAY['t' || n / 2] FROM generate_series(1, 40) n;
INSERT INTO orders SELECT n, n % 50, n FROM generate_series(1, 60) n;
GRANT ALL ON ALL TABLES IN SCHEMA public TO care;
";

const RULES: &str = r#"
policy = "exact"
[category.data]
columns = ["public.customers.phone", "public.customers.email", "public.customers.cccd", "public.customers.paid", "public.customers.code"]
[category.withheld]
columns = ["public.customers.note", "public.customers.nick", "public.customers.born", "public.customers.rank", "public.customers.weight", "public.customers.tags"]
[category.none]
columns = ["public.customers.id", "public.customers.city"]
[[role]]
name = "care"
match = { user = "care" }
see = { data = "full", withheld = "withhold" }
search = { data = "exact", withheld = "exact" }
explain = true
"#;

/// A column with values of it as SQL spells them, and whether it is withheld.
struct Subject {
    name: &'static str,
    values: &'static [&'static str],
    withheld: bool,
    text: bool,
}

const SUBJECTS: [Subject; 8] = [
    Subject {
        name: "phone",
        values: &["'0901234505'", "'0901234511'", "'*****'", "''", "'1'"],
        withheld: false,
        text: true,
    },
    Subject {
        name: "email",
        values: &["'Khach3@Gmail.com'", "'Khach12@Gmail.com'", "'*****'", "'x'"],
        withheld: false,
        text: true,
    },
    Subject {
        name: "cccd",
        values: &["79000000003", "79000000012", "0", "-5", "'79000000007'"],
        withheld: false,
        text: false,
    },
    Subject { name: "paid", values: &["3.5", "+12.5", "-1", "'7.50'", "0"], withheld: false, text: false },
    Subject { name: "note", values: &["'note 3'", "'note 9'", "'*****'"], withheld: true, text: true },
    Subject { name: "nick", values: &["'nick4'", "'nick11'", "'x'"], withheld: true, text: true },
    Subject { name: "born", values: &["'2000-01-04'", "date '2000-01-12'"], withheld: true, text: false },
    Subject { name: "rank", values: &["3", "'12'", "-1"], withheld: true, text: false },
];

/// How a part of a condition stands in it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Alone,
    Within,
    /// No condition on rows.
    Value,
}

/// Random conditions on `c.…`: as the client writes them, and as the copy answers them.
struct Model(Generator);

impl Model {
    fn values(&mut self, subject: &Subject) -> String {
        let count = 1 + self.0.below(3);
        (0..count).map(|_| self.0.pick(subject.values)).collect::<Vec<_>>().join(", ")
    }

    /// A comparison that is a search where it may be one.
    fn search(&mut self, place: Place) -> (String, String) {
        let subject = &SUBJECTS[self.0.below(SUBJECTS.len())];
        let value = self.0.pick(subject.values).to_owned();
        let listed = self.values(subject);
        // A number is compared with an array of numbers.
        let array = |list: &str, quoted: bool| {
            if quoted {
                format!("ARRAY[{list}]")
            } else {
                format!("ARRAY[{}]", list.replace('\'', "").replace("date ", "date '"))
            }
        };
        let mut alone_only = false;
        let form = match self.0.below(if subject.text { 13 } else { 5 }) {
            0 => format!("@ = {value}"),
            1 => format!("{value} = @"),
            2 => format!("@ IN ({listed})"),
            3 => format!("((@)) = ({value})"),
            4 => {
                alone_only = true;
                format!("@ IS NOT DISTINCT FROM {value}")
            }
            5 => format!("@ = ANY ({})", array(&listed, true)),
            6 => format!("@ = SOME ({}::text[])", array(&listed, true)),
            7 => format!("lower(@) = lower({value})"),
            8 => format!("upper(@::text) IN (upper({value}), 'NOTE 9')"),
            9 => format!("@::text = {value}::varchar(30)"),
            10 if value != "''" => format!("@ LIKE {value}"),
            11 if value != "''" => format!("@ ILIKE {value}"),
            _ => format!("CAST(@ AS text) = CAST({value} AS text)"),
        };
        let exact = match place {
            Place::Alone => true,
            Place::Within => !subject.withheld && !alone_only,
            Place::Value => false,
        };
        let column = format!("c.{}", subject.name);
        let stored = format!("c.s_{}", subject.name);
        (form.replace('@', &column), form.replace('@', if exact { &stored } else { &column }))
    }

    /// Other conditions: what they see is masked wherever they stand.
    fn other(&mut self) -> (String, String) {
        let subject = &SUBJECTS[self.0.below(SUBJECTS.len())];
        let value = self.0.pick(subject.values);
        let form = match self.0.below(if subject.text { 16 } else { 8 }) {
            0 => "c.id < 20".to_owned(),
            1 => "c.city = 'Vinh'".to_owned(),
            2 => format!("@ <> {value}"),
            3 => format!("@ NOT IN ({value})"),
            4 => format!("(c.id, @) = (5, {value})"),
            5 => format!("@ >= {value}"),
            6 => format!("@ IS DISTINCT FROM {value}"),
            7 => "@ IS NULL".to_owned(),
            8 => format!("@ BETWEEN {value} AND {value}"),
            9 => format!("@ LIKE left({value}, 4) || '%'"),
            10 => "'m' BETWEEN '' AND @ = 't'".to_owned(),
            11 => format!("position(@ IN ({value})) > 0"),
            12 => format!("@ || '' = {value}"),
            13 => format!("left(@, 4) = left({value}, 4)"),
            14 => format!("@::varchar(3) = {value}::varchar(3)"),
            _ => "'090' BETWEEN CASE WHEN true THEN '0' END AND @ = 't'".to_owned(),
        };
        (form.replace('@', &format!("c.{}", subject.name)), form.replace('@', &format!("c.{}", subject.name)))
    }

    fn condition(&mut self, depth: usize, place: Place) -> (String, String) {
        let within = if place == Place::Value { Place::Value } else { Place::Within };
        let wrap =
            |form: &str, (client, truth): (String, String)| (form.replace('#', &client), form.replace('#', &truth));
        if depth == 0 {
            return if self.0.below(3) == 0 { self.other() } else { self.search(place) };
        }
        match self.0.below(9) {
            0..4 => {
                let word = self.0.pick(&["AND", "OR", "OR"]);
                let (one, two) = (self.condition(depth - 1, place), self.condition(depth - 1, place));
                (format!("({} {word} {})", one.0, two.0), format!("({} {word} {})", one.1, two.1))
            }
            4 => wrap("NOT (#)", self.condition(depth - 1, within)),
            5 => wrap("(#) IS NOT TRUE", self.condition(depth - 1, within)),
            6 => wrap("coalesce(#, c.id > 30)", self.condition(depth - 1, within)),
            7 => wrap("CASE WHEN # THEN c.id > 5 END", self.condition(depth - 1, within)),
            _ => self.condition(depth - 1, place),
        }
    }

    fn statement(&mut self) -> (String, String) {
        let wrap =
            |form: &str, (client, truth): (String, String)| (form.replace('#', &client), form.replace('#', &truth));
        match self.0.below(12) {
            0 => wrap(
                "SELECT o.id, c.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id AND #",
                self.condition(2, Place::Alone),
            ),
            1 => wrap(
                "SELECT o.id, c.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE #",
                self.condition(2, Place::Alone),
            ),
            2 => wrap(
                "SELECT c.city, count(*) FILTER (WHERE #) FROM customers c GROUP BY c.city",
                self.condition(2, Place::Alone),
            ),
            3 => wrap(
                "SELECT c.id, c.city, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id AND #) FROM customers c GROUP BY c.id",
                self.condition(1, Place::Alone),
            ),
            4 => wrap(
                "SELECT c.city, count(*) FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND #) \
                 GROUP BY c.city",
                self.condition(2, Place::Alone),
            ),
            5 => wrap("SELECT c.id, # FROM customers c", self.condition(2, Place::Value)),
            6 => wrap("SELECT c.id FROM customers c ORDER BY #, c.id LIMIT 5", self.condition(1, Place::Value)),
            7 => wrap("SELECT c.id FROM customers c GROUP BY c.id HAVING #", self.condition(1, Place::Value)),
            8 => wrap(
                "UPDATE customers c SET city = 'x' WHERE # RETURNING c.id, c.phone",
                self.condition(2, Place::Alone),
            ),
            9 => wrap("DELETE FROM customers c WHERE # RETURNING id", self.condition(2, Place::Alone)),
            10 => wrap(
                "WITH w AS (SELECT c.id, c.phone FROM customers c WHERE #) SELECT * FROM w UNION ALL SELECT 1, 'x'",
                self.condition(2, Place::Alone),
            ),
            _ => wrap("SELECT c.id, c.phone, c.note FROM customers c WHERE #", self.condition(3, Place::Alone)),
        }
    }
}

fn start() -> (Postgres, Inputs, QueryContext) {
    let postgres = shop::load_other(Postgres::start(), &[SCHEMA]);
    let inputs = planner::inputs(&postgres, "shop", RULES);
    let context = planner::context(&inputs, "care");
    (postgres, inputs, context)
}

fn connect(postgres: &Postgres, user: &str, path: &str) -> Client {
    let options = format!("-c search_path={path}");
    Client::connect(&postgres.address(), &[("user", user), ("database", "shop"), ("options", &options)]).unwrap()
}

fn text(sql: &str, inputs: &Inputs, context: &QueryContext) -> String {
    plan(sql, context, inputs).unwrap_or_else(|answer| panic!("{sql}\n{}", answer.refusal)).permit.text().to_string()
}

/// Random statements answer as a copy does in which searches see stored values, and all else masks.
#[test]
fn searches_see_stored_values_and_nothing_else_does() {
    let (postgres, inputs, context) = start();
    // Both are there before the domain's checks: the copy has no domains.
    let columns: Vec<&str> = SUBJECTS.iter().map(|subject| subject.name).collect();
    let masked = text("SELECT * FROM customers", &inputs, &context);
    let stored: Vec<String> = columns.iter().map(|name| format!("s.{name} AS s_{name}")).collect();
    postgres.sql(
        "shop",
        &format!(
            "CREATE SCHEMA truth; CREATE TABLE truth.customers AS SELECT m.*, {} FROM ({masked}) m JOIN customers s USING (id);
             ALTER TABLE truth.customers ADD PRIMARY KEY (id); CREATE TABLE truth.orders AS TABLE orders;
             GRANT ALL ON SCHEMA truth TO care; GRANT ALL ON ALL TABLES IN SCHEMA truth TO care",
            stored.join(", ")
        ),
    );
    let (mut care, mut truth) = (connect(&postgres, "care", "public"), connect(&postgres, "care", "truth"));
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count = if common::long() { 40_000 } else { 1_500 };
    let (mut ran, mut found, mut failed, mut problems) = (0, 0, 0, Vec::new());
    for seed in first..first + count {
        let (sql, expected) = Model(Generator::new(seed)).statement();
        let sent = match plan(&sql, &context, &inputs) {
            Ok(plan) => plan.permit.text().to_string(),
            Err(answer) => {
                problems.push(format!("seed {seed}: {}\n  {sql}", answer.refusal));
                continue;
            }
        };
        let [got, wanted] = [(&mut care, &sent), (&mut truth, &expected)].map(|(client, sql)| {
            client.simple("BEGIN");
            let answer = client.simple(sql);
            client.simple("ROLLBACK");
            answer
        });
        if let Some(error) = wire::error(&wanted) {
            failed += 1;
            if wire::error(&got).is_none() && failed < 5 {
                println!("{expected}\n{}", wire::describe(std::slice::from_ref(error)));
            }
            continue;
        }
        ran += 1;
        let (rows, right) = (corpus::answer(&got).rows, corpus::answer(&wanted).rows);
        found += usize::from(right.len() > 1);
        if rows != right || wire::error(&got).is_some() {
            problems.push(format!(
                "seed {seed}: {} rows, not {}\n  {sql}\n→ {sent}\n= {expected}\n{}",
                rows.len(),
                right.len(),
                wire::error(&got).map(|error| wire::describe(std::slice::from_ref(error))).unwrap_or_default()
            ));
        }
    }
    println!("{ran} statements ran, {found} with rows; {failed} are no SQL");
    let all = problems.len();
    problems.truncate(8);
    assert!(problems.is_empty(), "{all} problems\n{}\n", problems.join("\n"));
    assert!(ran > 1000 && found > 400, "{ran} ran, {found} with rows");
}

/// Two worlds of which the statement names no stored value answer alike, also where one has NULL in the place of a value that the
/// role does not see.
#[test]
fn nothing_but_equality_with_a_value_that_is_named_is_learned() {
    // The same rows are written in both, and lie in the same order.
    let with = |note: &str, meta: &str| {
        format!(
            "UPDATE customers SET note = {note} WHERE id IN (2, 5); UPDATE customers SET meta = {meta} WHERE id IN (3, 5);
             CLUSTER customers USING customers_pkey; ANALYZE"
        )
    };
    let worlds = [World::new_with(0, None, &with("note", "meta")), World::new_with(1, None, &with("NULL", "NULL"))];
    let inputs = planner::inputs(&worlds[0].postgres, corpus::DATABASE, &corpus::exact_rules());
    let context = planner::context(&inputs, "support");
    let mut clients = worlds.each_ref().map(|world| world.connect("support"));
    let mut pool: Vec<Vec<String>> = corpus::cases("j-exact")
        .iter()
        .flat_map(|case| case.statements.iter().map(|statement| generator::tokens(&statement.sql)))
        .collect();
    let own = pool.len();
    for case in corpus::FILES.into_iter().flat_map(corpus::cases) {
        let apart = ["no-oracle", "not-direct", "no-transaction", "session"];
        if !apart.iter().any(|switch| case.has(switch)) {
            pool.extend(case.statements.iter().map(|statement| generator::tokens(&statement.sql)));
        }
    }
    let first: u64 = std::env::var("PGSCRIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let count = if common::long() { 200_000 } else { 4_000 };
    let (mut ran, mut completed, mut searched, mut problems) = (0, 0, 0, Vec::new());
    let unchanged = pool.iter().map(|tokens| tokens.join(" ")).collect::<Vec<_>>();
    let mutated = (first..first + count).map(|seed| {
        // Mostly of searches.
        let pool = if seed % 4 == 0 { &pool[..] } else { &pool[..own] };
        Mutator::new(seed).mutate(pool)
    });
    for sql in unchanged.into_iter().chain(mutated) {
        if worlds.iter().any(|world| world.leak(sql.as_bytes()).is_some()) {
            continue;
        }
        let Ok(plan) = plan(&sql, &context, &inputs) else { continue };
        searched += usize::from(plan.statements.iter().any(|statement| statement.access.searched.constants > 0));
        let text = plan.permit.text().to_string();
        ran += 1;
        let answers = clients.each_mut().map(|client| {
            client.simple("BEGIN; SET LOCAL statement_timeout = '3s'");
            let answer = client.simple(&text);
            client.simple("ROLLBACK");
            answer
        });
        let errors = answers.each_ref().map(|answer| wire::error(answer).and_then(|error| error.field(b'C')));
        if errors.iter().flatten().any(|code| code == "57014") {
            continue;
        }
        completed += usize::from(errors[0].is_none());
        let [one, two] = answers.each_ref().map(|answer| corpus::answer(answer));
        if errors[0] != errors[1] || one != two {
            problems.push(format!("the worlds differ ({errors:?})\n  {sql}\n→ {text}\n{one:?}\n{two:?}"));
        }
    }
    println!("{ran} ran, {completed} completed, {searched} search");
    let all = problems.len();
    problems.truncate(8);
    assert!(problems.is_empty(), "{all} problems\n{}\n", problems.join("\n"));
    assert!(completed > 400 && searched > 150, "only {completed} completed, {searched} search");
}

/// The index of the column serves what an exact search compares, and the index over an expression what that compares.
#[test]
fn searches_use_indexes() {
    let (postgres, inputs, context) = start();
    let mut care = connect(&postgres, "care", "public");
    for (condition, index) in [
        ("phone = '0901234505'", "customers_phone_idx"),
        ("phone IN ('0901234505', '1')", "customers_phone_idx"),
        ("phone = ANY (ARRAY['0901234505'])", "customers_phone_idx"),
        ("phone::text = '0901234505'", "customers_phone_idx"),
        ("lower(email) = lower('A@b')", "customers_lower_idx"),
        ("lower(email) IN ('a@b', lower('C'))", "customers_lower_idx"),
        ("cccd = 79000000003", "customers_cccd_idx"),
    ] {
        let sent = text(&format!("SELECT id FROM customers WHERE {condition}"), &inputs, &context);
        care.simple("SET enable_seqscan = off");
        let plan = wire::text_rows(&care.simple(&format!("EXPLAIN (COSTS OFF) {sent}")));
        assert!(plan.iter().flatten().flatten().any(|line| line.contains(index)), "{condition}: {plan:?}");
    }
}

/// A client may say of what type a parameter is: that makes no comparison fail on a stored value, nor others equal.
#[test]
fn the_type_of_a_parameter_tells_nothing() {
    let (postgres, inputs, context) = start();
    let mut care = connect(&postgres, "care", "public");
    let mut ask = |condition: &str, kind: u32, value: &str| {
        let sent = text(&format!("SELECT id FROM customers WHERE {condition}"), &inputs, &context);
        let mut bytes = wire::parse("", &sent, &[kind]);
        bytes.extend(wire::bind("", "", &[0], &[Some(value.as_bytes())], &[]));
        bytes.extend(wire::execute("", 0));
        bytes.extend(wire::sync());
        care.send(&bytes);
        let answer = care.until_ready();
        (wire::error(&answer).and_then(|error| error.field(b'C')), wire::text_rows(&answer).len())
    };
    // As oid the column would be cast, and fail: no stored value is one.
    assert_eq!(ask("cccd = $1", 26, "5"), (None, 0));
    assert_eq!(ask("cccd IN ($1, 1)", 2205, "5"), (None, 0));
    assert_eq!(ask("cccd = $1", 20, "79000000003"), (None, 2));
    assert_eq!(ask("cccd = $1", 0, "79000000003"), (None, 2));
    assert_eq!(ask("cccd = ANY ($1)", 1016, "{79000000003,79000000004}"), (None, 4));
    assert_eq!(ask("cccd = ANY ($1)", 1028, "{5}"), (None, 0));
    assert_eq!(ask("paid = $1", 701, "3.5"), (None, 2));
    assert_eq!(ask("paid = $1", 0, "3.50"), (None, 2));
    assert_eq!(ask("rank = $1", 0, "12"), (None, 2));
    assert_eq!(ask("rank = ANY ($1)", 0, "{12,13.00}"), (None, 4));
    assert_eq!(ask("rank = ANY (ARRAY[$1, 1])", 701, "12"), (None, 4));
    // An array in the place of an element would be many values.
    assert_eq!(ask("phone = ANY (ARRAY[$1])", 1009, "{0901234505,0901234506}").1, 0);
    assert_eq!(ask("phone = ANY (ARRAY[$1])", 0, "0901234505"), (None, 2));
    assert_eq!(ask("phone = ANY (ARRAY[$1])", 1043, "0901234505"), (None, 2));
    assert_eq!(ask("phone = $1", 0, "0901234505"), (None, 2));
}

/// NULL in the place of a withheld value keeps the column's type, and no check of a domain sees it.
#[test]
fn withheld_domains_are_null() {
    let (postgres, inputs, context) = start();
    let mut care = connect(&postgres, "care", "public");
    for (sql, column) in [
        ("SELECT nick FROM customers WHERE id = 1", "nick"),
        ("SELECT rank FROM customers WHERE id = 1", "rank"),
        ("SELECT nick FROM (SELECT * FROM customers ORDER BY id LIMIT 1) x", "nick"),
        ("SELECT (c).rank FROM customers c WHERE id = 1", "rank"),
        ("SELECT max(rank) AS rank FROM customers", "rank"),
        ("SELECT coalesce(nick, nick) AS nick FROM customers WHERE id = 1", "nick"),
        ("SELECT nick FROM customers WHERE id = 1 UNION ALL SELECT note FROM customers WHERE false", "nick"),
        ("UPDATE customers SET city = 'x' WHERE id = 1 RETURNING rank", "rank"),
        ("UPDATE customers SET nick = NULL WHERE id = 1 RETURNING nick", "nick"),
        ("SELECT to_jsonb(c) ->> 'nick' AS nick FROM customers c WHERE id = 1", "nick"),
    ] {
        let answer = care.simple(&text(sql, &inputs, &context));
        assert!(wire::error(&answer).is_none(), "{sql}: {}", wire::describe(&answer));
        assert_eq!(wire::text_rows(&answer), [[None]], "{sql}");
        let described = answer.iter().find(|message| message.kind == b'T').unwrap().columns();
        let direct = postgres.sql("shop", &format!("SELECT pg_typeof({column})::text FROM customers WHERE id = 1"));
        assert!(direct[0][0].as_deref().is_some_and(|kind| ["handle", "score"].contains(&kind)));
        let (oid, modifier) = if column == "nick" {
            (25, -1)
        } else {
            (1700, if sql.contains("max(") { -1 } else { ((6 << 16) | 2) + 4 })
        };
        let shown: Vec<_> = described.iter().map(|one| (one.type_oid, one.modifier)).collect();
        assert_eq!(shown, [(oid, modifier)], "{sql}");
    }
    assert_eq!(postgres.sql("shop", "SELECT nick FROM customers WHERE id = 1"), [[Some("nick0".to_owned())]]);
}
