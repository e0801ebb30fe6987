//! [`Author`]: random scripts over the tables of the leak corpus; the seed decides all of it. Where `generator` makes
//! queries whose answer is the same on every plan, this one wants breadth: every place of the grammar in which a relation,
//! a column or a row can stand, data modification included.

use super::generator::Generator;

/// The type of an expression, as far as the author cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Int,
    Num,
    Json,
    Date,
}

use Type::{Date, Int, Json, Num, Text};

#[derive(Clone, Debug)]
struct Column {
    sql: String,
    name: String,
    kind: Type,
}

/// What stands in FROM.
#[derive(Clone, Debug, Default)]
struct From {
    sql: String,
    columns: Vec<Column>,
    /// Names that can stand for a row.
    rows: Vec<String>,
    /// The one table it is, for locks.
    table: Option<String>,
}

struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Type)],
    /// Rows of it can be locked and sampled.
    plain: bool,
}

const TABLES: &[Table] = &[
    Table {
        name: "customers",
        columns: &[("id", Int), ("name", Text), ("phone", Text), ("note", Text), ("meta", Json)],
        plain: true,
    },
    Table {
        name: "public.customers",
        columns: &[("id", Int), ("name", Text), ("phone", Text), ("note", Text), ("meta", Json)],
        plain: true,
    },
    Table {
        name: "customers_2024",
        columns: &[("meta", Json), ("phone", Text), ("note", Text), ("extra", Text), ("name", Text), ("id", Int)],
        plain: true,
    },
    Table { name: "leads", columns: &[("lead_id", Int), ("phone", Text), ("p2", Text)], plain: true },
    Table { name: "events", columns: &[("id", Int), ("day", Date), ("phone", Text)], plain: false },
    Table { name: "events_2025", columns: &[("id", Int), ("day", Date), ("phone", Text)], plain: true },
    Table { name: "orders", columns: &[("id", Int), ("customer_id", Int), ("amount", Num)], plain: true },
    Table { name: "numbers", columns: &[("id", Int), ("value", Int)], plain: true },
    Table { name: "cust_v", columns: &[("id", Int), ("tel", Text)], plain: false },
    Table { name: "cust_vv", columns: &[("id", Int), ("tel2", Text)], plain: false },
    Table { name: "cust_derived", columns: &[("id", Int), ("intl", Text), ("name_length", Int)], plain: false },
    Table {
        name: "cust_star",
        columns: &[("id", Int), ("name", Text), ("phone", Text), ("note", Text), ("meta", Json)],
        plain: false,
    },
    Table { name: "cust_mv", columns: &[("id", Int), ("name", Text), ("phone", Text)], plain: false },
    Table { name: "leads_v", columns: &[("lead_id", Int), ("phone", Text)], plain: false },
    Table {
        name: "joined_v",
        columns: &[("order_id", Int), ("buyer", Text), ("phone", Text), ("amount", Num)],
        plain: false,
    },
    Table { name: "union_v", columns: &[("id", Int), ("phone", Text)], plain: false },
    Table { name: "agg_v", columns: &[("prefix", Text), ("n", Int)], plain: false },
];

/// Statements that run in one session, in order, and how they are sent.
#[derive(Clone, Debug)]
pub struct Script {
    pub statements: Vec<String>,
    /// Over the extended protocol, results in this format; the parameters belong to every statement that has some.
    pub extended: Option<i16>,
    pub parameters: Vec<String>,
}

pub struct Author {
    random: Generator,
    names: usize,
    /// Common table expressions that a query here may read.
    ctes: Vec<(String, Vec<(String, Type)>)>,
    parameters: Vec<String>,
    may_bind: bool,
}

impl Author {
    pub fn new(seed: u64) -> Self {
        let random = Generator::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x51);
        Self { random, names: 0, ctes: Vec::new(), parameters: Vec::new(), may_bind: false }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick(&mut self, choices: &[&str]) -> String {
        self.random.pick(choices).to_owned()
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// A script for one session.
    pub fn script(&mut self) -> Script {
        let mut statements = Vec::new();
        let mut extended = None;
        match self.below(12) {
            0..=3 => statements.push(self.query(2)),
            4..=6 => {
                extended = Some(i16::from(self.one_in(3)));
                self.may_bind = true;
                statements.push(self.query(2));
            }
            7 => {
                let query = self.query(2);
                let scroll = self.pick(&["", "SCROLL ", "NO SCROLL ", "BINARY "]);
                statements.push(format!("DECLARE cu {scroll}CURSOR FOR {query}"));
                statements.push(self.pick(&["FETCH 2 FROM cu", "FETCH ALL FROM cu", "FETCH NEXT FROM cu"]));
                statements.push(self.pick(&["FETCH ALL FROM cu", "MOVE 1 IN cu", "FETCH FORWARD 3 FROM cu"]));
                statements.push("CLOSE cu".to_owned());
            }
            8 => {
                let query = self.query(2);
                statements.push(format!("PREPARE pr AS {query}"));
                statements.push("EXECUTE pr".to_owned());
                statements.push("EXECUTE pr".to_owned());
                statements.push("DEALLOCATE pr".to_owned());
            }
            9 => {
                let copy = if self.one_in(3) {
                    let table = self.pick(&["customers", "leads", "public.events", "customers_2024 (phone, id)"]);
                    format!("COPY {table} TO STDOUT")
                } else {
                    let query = self.query(2);
                    format!("COPY ({query}) TO STDOUT")
                };
                let options = self.pick(&["", " WITH (FORMAT csv, HEADER)", " (FORMAT binary)", " CSV"]);
                statements.push(format!("{copy}{options}"));
            }
            _ => {
                if self.one_in(3) {
                    extended = Some(0);
                }
                for _ in 0..=self.below(2) {
                    statements.push(self.write());
                }
                if self.one_in(2) {
                    statements.push(self.query(1));
                }
            }
        }
        Script { statements, extended, parameters: std::mem::take(&mut self.parameters) }
    }

    /// A query.
    pub fn query(&mut self, depth: usize) -> String {
        let known = self.ctes.len();
        let mut head = String::new();
        if depth > 0 && self.one_in(5) {
            let mut parts = Vec::new();
            for _ in 0..=self.below(2) {
                // A name that shadows the table is as good as any.
                let name = if self.one_in(5) { self.pick(&["customers", "leads", "orders"]) } else { self.fresh("w") };
                if self.ctes.iter().skip(known).any(|(other, _)| *other == name) {
                    continue;
                }
                let (body, columns) = if self.one_in(8) { self.returning_cte() } else { self.select(depth - 1, None) };
                let (list, columns) = if self.one_in(3) {
                    let columns: Vec<_> =
                        columns.iter().enumerate().map(|(n, (_, kind))| (format!("k{n}"), *kind)).collect();
                    (format!(" ({})", columns.iter().map(|c| c.0.as_str()).collect::<Vec<_>>().join(", ")), columns)
                } else {
                    (String::new(), columns)
                };
                let how = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
                let how = if body.starts_with("DELETE") || body.starts_with("UPDATE") { String::new() } else { how };
                parts.push(format!("{name}{list} AS {how}({body})"));
                self.ctes.push((name, columns));
            }
            if self.one_in(4) && self.ctes.iter().all(|(name, _)| name != "rec") {
                let column = self.pick(&["phone", "name", "coalesce(note, phone)"]);
                parts.push(format!(
                    "rec (n, v) AS (SELECT 1, min({column})::text FROM public.customers UNION ALL SELECT n + 1, upper(v) FROM rec WHERE n < 3)"
                ));
                self.ctes.push(("rec".to_owned(), vec![("n".to_owned(), Int), ("v".to_owned(), Text)]));
                head = format!("WITH RECURSIVE {} ", parts.join(", "));
            } else if !parts.is_empty() {
                head = format!("WITH {} ", parts.join(", "));
            }
        }
        let (body, _) = self.select(depth, None);
        self.ctes.truncate(known);
        format!("{head}{body}")
    }

    /// A data modification inside WITH, and what it returns. Its rows are few.
    fn returning_cte(&mut self) -> (String, Vec<(String, Type)>) {
        let columns = vec![("id".to_owned(), Int), ("phone".to_owned(), Text)];
        let body = self.pick(&[
            "DELETE FROM customers WHERE id = 7 RETURNING id, phone",
            "UPDATE customers SET note = 'x' WHERE id < 3 RETURNING customers.id, customers.phone",
            "UPDATE leads SET phone = phone WHERE lead_id = 2 RETURNING lead_id AS id, phone",
            "DELETE FROM events e USING customers c WHERE c.id = e.id RETURNING e.id, c.phone",
        ]);
        (body, columns)
    }

    /// A SELECT, set operation or VALUES with these column types, or any.
    fn select(&mut self, depth: usize, want: Option<&[Type]>) -> (String, Vec<(String, Type)>) {
        if depth > 0 && self.one_in(7) {
            let kinds: Vec<Type> = match want {
                Some(kinds) => kinds.to_vec(),
                None => (0..=self.below(3)).map(|_| self.kind()).collect(),
            };
            let (left, columns) = self.block(depth - 1, Some(&kinds));
            let (right, _) = self.block(depth - 1, Some(&kinds));
            let operator = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
            let order = if self.one_in(3) { " ORDER BY 1" } else { "" };
            return (format!("({left}) {operator} ({right}){order}"), columns);
        }
        if want.is_none() && self.one_in(30) {
            let (one, two) = (self.scalar(Text, depth), self.scalar(Text, depth));
            let columns = vec![("column1".to_owned(), Text), ("column2".to_owned(), Int)];
            return (format!("VALUES ({one}, 1), ({two}, 2)"), columns);
        }
        self.block(depth, want)
    }

    /// A sub-select of one value.
    fn scalar(&mut self, kind: Type, depth: usize) -> String {
        if depth == 0 {
            let column = match kind {
                Text => self.pick(&["max(phone)", "min(name)", "string_agg(phone, ',' ORDER BY id)"]),
                Int | Num | Json | Date => return self.constant(kind),
            };
            return format!("(SELECT {column} FROM public.customers)");
        }
        let (sql, _) = self.block(depth - 1, Some(&[kind]));
        format!("({sql} LIMIT 1)")
    }

    fn kind(&mut self) -> Type {
        [Text, Text, Text, Int, Int, Num, Json, Date][self.below(8)]
    }

    fn constant(&mut self, kind: Type) -> String {
        if self.may_bind && self.one_in(6) && self.parameters.len() < 6 {
            let (value, cast) = match kind {
                Text => ("0945", "text"),
                Int => ("3", "int"),
                Num => ("2.5", "numeric"),
                Json => (r#"{"a": 1}"#, "jsonb"),
                Date => ("2025-12-31", "date"),
            };
            self.parameters.push(value.to_owned());
            return format!("${}::{cast}", self.parameters.len());
        }
        match kind {
            Text => self.pick(&["'09'", "'*****101'", "'A*** Z***'", "''", "E'x\\'y'", "$$0945$$", "NULL::text"]),
            Int => self.pick(&["0", "1", "3", "-2", "7"]),
            Num => self.pick(&["1.5", "10.50", "1e2"]),
            Json => self.pick(&["'{}'::jsonb", r#"'{"phone": "09"}'::jsonb"#]),
            Date => self.pick(&["date '2025-12-31'", "DATE '2026-01-01'"]),
        }
    }

    /// One item of FROM under `left`.
    fn item(&mut self, depth: usize, left: &From) -> From {
        let alias = self.fresh("t");
        let choice = self.below(if depth > 0 { 20 } else { 12 });
        match choice {
            12..=14 => {
                let lateral = !left.columns.is_empty() && self.one_in(2);
                let (sql, columns) = if lateral && self.one_in(2) {
                    let value = self.expression(Text, left, 1);
                    (
                        format!("SELECT {value} AS z, {} AS n", self.constant(Int)),
                        vec![("z".into(), Text), ("n".into(), Int)],
                    )
                } else {
                    self.select(depth - 1, None)
                };
                let columns = named(&alias, columns);
                let word = if lateral { "LATERAL " } else { "" };
                From { sql: format!("{word}({sql}) AS {alias}"), columns, rows: vec![alias], table: None }
            }
            15 if !left.rows.is_empty() => {
                let row = left.rows[self.below(left.rows.len())].clone();
                let columns = named(&alias, vec![("key".into(), Text), ("value".into(), Text)]);
                From {
                    sql: format!("jsonb_each_text(to_jsonb({row})) AS {alias}"),
                    columns,
                    rows: vec![alias],
                    table: None,
                }
            }
            16 => {
                let inner = self.scalar_array(depth - 1);
                let columns = named(&alias, vec![("u".into(), Text)]);
                From { sql: format!("unnest({inner}) AS {alias} (u)"), columns, rows: Vec::new(), table: None }
            }
            17 => {
                let columns = named(&alias, vec![("g".into(), Int)]);
                From { sql: format!("generate_series(1, 3) AS {alias} (g)"), columns, rows: Vec::new(), table: None }
            }
            18 => {
                let columns = named(&alias, vec![("a".into(), Text), ("b".into(), Int)]);
                let sql = format!("(VALUES ('*****101', 1), ('09', 2)) AS {alias} (a, b)");
                From { sql, columns, rows: vec![alias], table: None }
            }
            19 => {
                let (one, two) = (self.relation(), self.relation());
                let join = self.pick(&["NATURAL JOIN", "NATURAL LEFT JOIN", "CROSS JOIN"]);
                let sql = format!("({} {join} {})", one.sql, two.sql);
                let mut columns = one.columns;
                columns.extend(two.columns);
                let rows = one.rows.into_iter().chain(two.rows).collect();
                From { sql, columns, rows, table: None }
            }
            11 if !self.ctes.is_empty() => {
                let number = self.below(self.ctes.len());
                let (name, columns) = self.ctes[number].clone();
                let columns = named(&alias, columns);
                From { sql: format!("{name} AS {alias}"), columns, rows: vec![alias], table: None }
            }
            _ => self.relation(),
        }
    }

    /// `ARRAY(…)` of texts.
    fn scalar_array(&mut self, depth: usize) -> String {
        let (sql, _) = self.block(depth, Some(&[Text]));
        format!("ARRAY({sql})")
    }

    /// A table or view with or without an alias.
    fn relation(&mut self) -> From {
        let table = &TABLES[self.below(TABLES.len())];
        // Refused: one in three is enough.
        let table = if table.name == "agg_v" && !self.one_in(3) { &TABLES[0] } else { table };
        let shadowed = self.ctes.iter().any(|(name, _)| name == table.name);
        let table = if shadowed { &TABLES[1] } else { table };
        let columns: Vec<(String, Type)> =
            table.columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        let alias = self.fresh("r");
        let only = if table.plain && self.one_in(12) { "ONLY " } else { "" };
        let star = if table.plain && only.is_empty() && self.one_in(25) { " *" } else { "" };
        let sample = if table.plain && self.one_in(15) { " TABLESAMPLE BERNOULLI (100) REPEATABLE (1)" } else { "" };
        if self.one_in(9) {
            let list: Vec<String> = (0..columns.len()).map(|n| format!("x{n}")).collect();
            let sql = format!("{only}{}{star} AS {alias} ({}){sample}", table.name, list.join(", "));
            let columns = list.into_iter().zip(columns).map(|(name, (_, kind))| (name, kind)).collect();
            return From { sql, columns: named(&alias, columns), rows: vec![alias.clone()], table: Some(alias) };
        }
        let word = self.pick(&["AS ", ""]);
        let sql = format!("{only}{}{star} {word}{alias}{sample}", table.name);
        let lockable = (table.plain && sample.is_empty()).then(|| alias.clone());
        From { sql, columns: named(&alias, columns), rows: vec![alias], table: lockable }
    }

    fn from(&mut self, depth: usize) -> From {
        let mut from = self.item(depth, &From::default());
        for _ in 0..self.below(3) {
            let right = self.item(depth, &from);
            let lateral = right.sql.starts_with("LATERAL") || right.sql.contains("to_jsonb(");
            let mut joined = from.clone();
            joined.columns.extend(right.columns.clone());
            joined.rows.extend(right.rows.clone());
            joined.table = None;
            let shared: Vec<String> = right
                .columns
                .iter()
                .filter(|c| {
                    from.columns.iter().filter(|other| other.name == c.name && other.kind == c.kind).count() == 1
                })
                .filter(|c| c.kind != Json)
                .map(|c| c.name.clone())
                .collect();
            joined.sql = match self.below(7) {
                0 => format!("{}, {}", from.sql, right.sql),
                1 => format!("{} CROSS JOIN {}", from.sql, right.sql),
                2 if !shared.is_empty() && !from.sql.contains(" USING ") => {
                    let name = &shared[self.below(shared.len())];
                    let join = self.pick(&["JOIN", "LEFT JOIN"]);
                    let merged = format!("{} {join} {} USING ({name})", from.sql, right.sql);
                    if self.one_in(2) {
                        let kind = right.columns.iter().find(|c| c.name == *name).map_or(Int, |c| c.kind);
                        joined.columns.push(Column { sql: name.clone(), name: name.clone(), kind });
                    }
                    merged
                }
                3 | 4 => {
                    let on = self.predicate(&joined, 1);
                    let join = self.pick(&["JOIN", "LEFT JOIN", "INNER JOIN"]);
                    format!("{} {join} {} ON {on}", from.sql, right.sql)
                }
                _ => {
                    let (a, b) = (self.expression(Int, &from, 0), self.expression(Int, &right, 0));
                    let join = if lateral {
                        "LEFT JOIN".to_owned()
                    } else {
                        self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
                    };
                    format!("{} {join} {} ON {a} = {b}", from.sql, right.sql)
                }
            };
            from = joined;
        }
        from
    }

    fn column(&mut self, kind: Type, from: &From) -> Option<String> {
        let fitting: Vec<&Column> = from.columns.iter().filter(|column| column.kind == kind).collect();
        if fitting.is_empty() { None } else { Some(fitting[self.random.below(fitting.len())].sql.clone()) }
    }

    /// An expression of a type over what FROM gives.
    fn expression(&mut self, kind: Type, from: &From, depth: usize) -> String {
        let Some(column) = self.column(kind, from) else { return self.constant(kind) };
        if depth == 0 {
            return if self.one_in(12) { self.constant(kind) } else { column };
        }
        let inner = self.expression(kind, from, depth - 1);
        let row = (!from.rows.is_empty()).then(|| from.rows[self.random.below(from.rows.len())].clone());
        match kind {
            Text => match self.below(32) {
                0 => format!("upper({inner})"),
                1 => format!("coalesce({inner}, {column})"),
                2 => format!("({inner} || '-' || {column})"),
                3 => format!("substr({inner}, 2, 4)"),
                4 => {
                    let predicate = self.predicate(from, depth - 1);
                    format!("CASE WHEN {predicate} THEN {column} ELSE {inner} END")
                }
                5 => format!("({inner})::text"),
                6 => format!("md5({inner})"),
                7 => format!("CASE {inner} WHEN {column} THEN 'same' ELSE 'other' END"),
                8 => format!("nullif({inner}, '09')"),
                9 => format!("reverse({inner})"),
                10 if self.one_in(2) => format!("(SELECT z FROM (SELECT {inner} AS z) q)"),
                10 => format!("((SELECT {inner}) UNION SELECT {column} ORDER BY 1 LIMIT 1)"),
                11 => format!("(ARRAY[{inner}, {column}])[1]"),
                12 => format!("to_jsonb({inner})::text"),
                13 => format!("greatest({inner}, {column})"),
                14 => format!("{inner} COLLATE \"C\""),
                15 => format!("replace({inner}, '0', 'o')"),
                16 => format!("encode({inner}::bytea, 'hex')"),
                17 => format!("overlay({inner} placing 'xx' from 1 for 2)"),
                18 => format!("trim(both '*' from {inner})"),
                19 => format!("format('%s/%L', {inner}, {column})"),
                20 => format!("split_part({inner}, ' ', 1)"),
                21 => format!("(SELECT max({inner}) FROM numbers nn)"),
                22 => format!("regexp_replace({inner}, '[0-9]', '#')"),
                23 => self.scalar(Text, 1),
                24 => format!("concat_ws(',', {inner}, {column})"),
                25 => format!("(ROW({inner}, 1)::text)"),
                26 => format!("CAST({inner} AS varchar(6))"),
                27..=30 => match row {
                    Some(row) => match self.below(9) {
                        0 => format!("{row}::text"),
                        1 => format!("to_jsonb({row})::text"),
                        2 => format!("({row}.*)::text"),
                        3 => format!("row_to_json({row})::text"),
                        4 => format!("(SELECT r FROM (SELECT {row} AS r) q)::text"),
                        5 => format!("jsonb_pretty(to_jsonb({row}))"),
                        6 => format!("(to_jsonb({row}) ->> 'phone')"),
                        7 => format!("concat({row})"),
                        _ => format!("md5(({row})::text)"),
                    },
                    None => inner,
                },
                _ => inner,
            },
            Int => match self.below(10) {
                0 => format!("({inner} + {column})"),
                1 => {
                    let text = self.expression(Text, from, depth - 1);
                    format!("length({text})")
                }
                2 => format!("abs({inner} - 3)"),
                3 => {
                    let text = self.expression(Text, from, depth - 1);
                    format!("ascii({text})")
                }
                4 => {
                    let text = self.expression(Text, from, depth - 1);
                    format!("position('1' in {text})")
                }
                5 => {
                    let predicate = self.predicate(from, depth - 1);
                    format!("({predicate})::int")
                }
                6 => match row {
                    Some(row) => format!("num_nulls({row}, {inner})"),
                    None => inner,
                },
                7 => format!("(SELECT count(*)::int FROM leads ll WHERE ll.lead_id > {inner})"),
                _ => inner,
            },
            Num => format!("round({inner} * 2, 1)"),
            Json => match self.below(7) {
                0 => format!("({inner} -> 'contact')"),
                1 => format!("({inner} || {column})"),
                2 => format!("jsonb_build_object('v', {inner})"),
                3 | 4 => match row {
                    Some(row) => format!("to_jsonb({row})"),
                    None => inner,
                },
                5 => format!("jsonb_path_query_first({inner}, '$.**.phone')"),
                _ => inner,
            },
            Date => format!("({inner} + 1)"),
        }
    }

    fn predicate(&mut self, from: &From, depth: usize) -> String {
        let (left, right) = (self.expression(Text, from, depth), self.expression(Text, from, depth));
        let row = (!from.rows.is_empty()).then(|| from.rows[self.random.below(from.rows.len())].clone());
        match self.below(22) {
            0 => format!("{left} < {right}"),
            1 => format!("{left} LIKE '09%'"),
            2 => format!("{left} IS DISTINCT FROM {right}"),
            3 => format!("{left} IN (SELECT phone FROM public.leads)"),
            4 => format!("EXISTS (SELECT 1 FROM public.customers e WHERE e.phone > {left})"),
            5 => format!("({left} IS NULL OR NOT ({right} BETWEEN '0' AND '094'))"),
            6 => format!("substr({left}, 3, 1) >= '5'"),
            7 => format!("{left} ~ '^0[0-9]{{4}}[0-4]'"),
            8 => format!("({left}, 1) > ({right}, 0)"),
            9 => format!("length({left}) > 3"),
            10 => format!("{left} = ANY (ARRAY[{right}, '09'])"),
            11 => format!("{left} NOT ILIKE {right}"),
            12 => format!("({left} = {right}) IS NOT TRUE"),
            13 if self.one_in(2) => format!("{left} = ANY (SELECT phone FROM public.customers WHERE id < 4)"),
            13 => format!("(!! plainto_tsquery('simple', {left})) @> plainto_tsquery('simple', {right})"),
            14 => format!("{left} IN ({right}, '09', NULL)"),
            15 => match row {
                Some(row) => format!("{row} IS NOT NULL"),
                None => format!("{left} <> ''"),
            },
            16 => match row {
                Some(row) => format!("{row}::text LIKE '%09%'"),
                None => format!("starts_with({left}, '0')"),
            },
            17 => match row {
                Some(row) => format!("to_jsonb({row}) @> '{{\"phone\": \"09\"}}'"),
                None => format!("{left} > 'a'"),
            },
            18 => format!("{left} SIMILAR TO '0(9|8)%'"),
            19 if depth > 0 => {
                let (a, b) = (self.predicate(from, depth - 1), self.predicate(from, depth - 1));
                let word = self.pick(&["AND", "OR", "AND NOT"]);
                format!("({a} {word} {b})")
            }
            20 => {
                let number = self.expression(Int, from, depth);
                format!("{number} > {}", self.constant(Int))
            }
            _ => format!("{left} OPERATOR(pg_catalog.>=) {right}"),
        }
    }

    fn aggregate(&mut self, from: &From) -> (String, Type) {
        let (text, order) = (self.expression(Text, from, 1), self.expression(Text, from, 1));
        let row = (!from.rows.is_empty()).then(|| from.rows[self.random.below(from.rows.len())].clone());
        let filter =
            if self.one_in(4) { format!(" FILTER (WHERE {})", self.predicate(from, 1)) } else { String::new() };
        match self.below(9) {
            0 => (format!("count(*){filter}::int"), Int),
            1 => (format!("count(DISTINCT {text}){filter}::int"), Int),
            2 => (format!("string_agg({text}, ',' ORDER BY {order}, {text}){filter}"), Text),
            3 => (format!("min({text}){filter}"), Text),
            4 => (format!("(array_agg({text} ORDER BY {order}, {text}){filter})[1]"), Text),
            5 => match row {
                Some(row) => (format!("jsonb_agg({row}){filter}"), Json),
                None => (format!("jsonb_agg({text}){filter}"), Json),
            },
            6 => (format!("bool_or({}){filter}::int", self.predicate(from, 1)), Int),
            7 => (format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {text})"), Text),
            _ => (format!("max({text}){filter}"), Text),
        }
    }

    fn window(&mut self, from: &From) -> (String, Type) {
        let (text, other) = (self.expression(Text, from, 1), self.expression(Text, from, 1));
        let number = self.expression(Int, from, 0);
        let over = match self.below(4) {
            0 => format!("(ORDER BY {other}, {number})"),
            1 => format!("(PARTITION BY {other} ORDER BY {number})"),
            2 => format!("(PARTITION BY {other} ORDER BY {text} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"),
            _ => "()".to_owned(),
        };
        match self.below(6) {
            0 => (format!("rank() OVER {over}::int"), Int),
            1 => (format!("lag({text}) OVER {over}"), Text),
            2 => (format!("first_value({text}) OVER {over}"), Text),
            3 => (format!("count(*) OVER {over}::int"), Int),
            4 => (format!("max({text}) OVER {over}"), Text),
            _ => (format!("dense_rank() OVER {over}::int"), Int),
        }
    }

    /// One SELECT block.
    fn block(&mut self, depth: usize, want: Option<&[Type]>) -> (String, Vec<(String, Type)>) {
        let from = self.from(depth);
        let filter = if self.one_in(2) { format!(" WHERE {}", self.predicate(&from, 1)) } else { String::new() };
        let style = if want.is_none() { self.below(12) } else { 3 + self.below(6) };
        let kinds: Vec<Type> = match want {
            Some(kinds) => kinds.to_vec(),
            None => (0..=self.below(4)).map(|_| self.kind()).collect(),
        };
        let mut columns = Vec::new();
        let mut list = Vec::new();
        match style {
            // Stars and rows.
            0 => {
                let star = if from.rows.is_empty() || self.one_in(3) {
                    "*".to_owned()
                } else {
                    let row = from.rows[self.below(from.rows.len())].clone();
                    let second = from.rows[self.below(from.rows.len())].clone();
                    self.pick(&["{r}.*", "{r}", "{r}.*, {s}", "*, {s}.*", "({r}).*", "to_jsonb({r}), {s}"])
                        .replace("{r}", &row)
                        .replace("{s}", &second)
                };
                return (format!("SELECT {star} FROM {}{filter}", from.sql), vec![("nothing_known".to_owned(), Text)]);
            }
            // Groups.
            1 | 2 => {
                let key = self.expression(Text, &from, 1);
                let (one, kind) = self.aggregate(&from);
                let (two, other) = self.aggregate(&from);
                let group = match self.below(6) {
                    0 => "GROUP BY 1".to_owned(),
                    1 => format!("GROUP BY ROLLUP ({key})"),
                    2 => format!("GROUP BY GROUPING SETS (({key}), ())"),
                    _ => format!("GROUP BY {key}"),
                };
                let having =
                    if self.one_in(3) { format!(" HAVING count(*) > {}", self.below(2)) } else { String::new() };
                let order = if self.one_in(2) { " ORDER BY 1, 2" } else { "" };
                let sql = format!(
                    "SELECT {key} AS c0, {one} AS c1, {two} AS c2 FROM {}{filter} {group}{having}{order}",
                    from.sql
                );
                return (sql, vec![("c0".to_owned(), Text), ("c1".to_owned(), kind), ("c2".to_owned(), other)]);
            }
            // Groups by a key on which the other columns depend.
            9 => {
                let (one, kind) = self.aggregate(&From {
                    sql: String::new(),
                    rows: vec!["c".to_owned()],
                    table: None,
                    columns: named("c", vec![("phone".into(), Text), ("id".into(), Int)]),
                });
                let sql = format!(
                    "SELECT c.id AS c0, c.phone AS c1, {one} AS c2 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.phone, c.id"
                );
                return (sql, vec![("c0".to_owned(), Int), ("c1".to_owned(), Text), ("c2".to_owned(), kind)]);
            }
            // A single row of aggregates.
            10 => {
                let (one, kind) = self.aggregate(&from);
                return (format!("SELECT {one} AS c0 FROM {}{filter}", from.sql), vec![("c0".to_owned(), kind)]);
            }
            _ => {}
        }
        for (number, kind) in kinds.iter().enumerate() {
            let (value, kind) = if style == 4 && want.is_none() && self.one_in(2) {
                self.window(&from)
            } else {
                (self.expression(*kind, &from, 2), *kind)
            };
            list.push(format!("{value} AS c{number}"));
            columns.push((format!("c{number}"), kind));
        }
        let distinct = match self.below(10) {
            0 => "DISTINCT ".to_owned(),
            1 => {
                let on = self.expression(Text, &from, 0);
                let list = list.join(", ");
                let sql = format!("SELECT DISTINCT ON ({on}) {list} FROM {}{filter} ORDER BY {on}", from.sql);
                return (sql, columns);
            }
            _ => String::new(),
        };
        let mut tail = String::new();
        if self.one_in(3) && distinct.is_empty() {
            let order = self.expression(Text, &from, 1);
            let how = self.pick(&["", " DESC", " NULLS FIRST", " USING <"]);
            tail = format!(" ORDER BY {order}{how}");
        }
        if want.is_none() {
            match self.below(12) {
                0 => tail.push_str(" LIMIT 3"),
                1 => {
                    let number = if depth > 0 { self.scalar(Int, depth) } else { "2".to_owned() };
                    tail.push_str(&format!(" LIMIT abs({number}) OFFSET 1"));
                }
                2 => tail.push_str(" FETCH FIRST 2 ROWS ONLY"),
                3 if distinct.is_empty() => {
                    if let Some(table) = &from.table {
                        let lock =
                            self.pick(&["FOR UPDATE", "FOR SHARE", "FOR UPDATE OF {t}", "FOR UPDATE SKIP LOCKED"]);
                        tail.push(' ');
                        tail.push_str(&lock.replace("{t}", table));
                    }
                }
                _ => {}
            }
        }
        (format!("SELECT {distinct}{} FROM {}{filter}{tail}", list.join(", "), from.sql), columns)
    }

    /// A data modification. Unique keys of protected columns are left alone: a conflict tells of a stored value.
    fn write(&mut self) -> String {
        let from = self.from(1);
        let predicate = self.predicate(&from, 1);
        let customers = From {
            sql: "customers".to_owned(),
            columns: named(
                "customers",
                vec![("id".into(), Int), ("name".into(), Text), ("phone".into(), Text), ("note".into(), Text)],
            ),
            rows: Vec::new(),
            table: None,
        };
        let own = self.predicate(&customers, 1);
        let mut both = from.clone();
        both.columns.extend(customers.columns.clone());
        let returned = {
            let (text, number) = (self.expression(Text, &both, 1), self.expression(Int, &both, 1));
            self.pick(&[
                "",
                " RETURNING customers.phone, customers.id",
                " RETURNING customers.*",
                " RETURNING {text} AS a, {number} AS b",
                " RETURNING phone",
                " RETURNING (SELECT max(c.phone) FROM customers c) AS m, customers.name",
            ])
            .replace("{text}", &text)
            .replace("{number}", &number)
        };
        let alone = if returned.contains(" AS a") { "" } else { &returned };
        let value = self.pick(&["'0911111111'", "customers.phone", "'*****101'", "NULL", "DEFAULT"]);
        match self.below(12) {
            0 => format!("UPDATE customers SET phone = {value} WHERE {own}{alone}"),
            1 => format!("UPDATE customers SET note = 'x', name = 'y' WHERE {own}{alone}"),
            2 => format!("UPDATE customers SET note = 'x' FROM {} WHERE {predicate} AND {own}{returned}", from.sql),
            3 => format!("DELETE FROM customers WHERE {own}{alone}"),
            4 => format!("DELETE FROM customers USING {} WHERE {predicate} AND {own}{returned}", from.sql),
            5 => "DELETE FROM events WHERE phone > '0945' RETURNING *".to_owned(),
            6 => format!(
                "INSERT INTO orders SELECT 1000 + row_number() OVER (), id, 1.5 FROM customers WHERE {own} RETURNING *"
            ),
            7 => format!("INSERT INTO log SELECT {} FROM {} WHERE {predicate}", self.int_pair(&from), from.sql),
            8 => {
                format!("UPDATE orders SET amount = amount + 1 FROM {} WHERE {predicate} RETURNING orders.id", from.sql)
            }
            9 => format!(
                "INSERT INTO customers (id, name, phone) VALUES ({}, 'Q R', '0900000000') ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.name, phone = EXCLUDED.phone WHERE {own}{alone}",
                self.below(12)
            ),
            10 => format!(
                "UPDATE leads l SET phone = l.phone WHERE l.phone > {} RETURNING l.phone, l.p2, lead_id",
                self.constant(Text)
            ),
            _ => format!("UPDATE customers c SET note = c.name WHERE c.id = {}", self.below(9)),
        }
    }

    fn int_pair(&mut self, from: &From) -> String {
        let number = self.expression(Int, from, 1);
        let text = if self.one_in(3) { self.expression(Text, from, 1) } else { "'seen'".to_owned() };
        format!("{number}, {text}")
    }
}

fn named(alias: &str, columns: Vec<(String, Type)>) -> Vec<Column> {
    columns
        .into_iter()
        .filter(|(name, _)| name != "nothing_known")
        .map(|(name, kind)| Column { sql: format!("{alias}.{name}"), name, kind })
        .collect()
}
