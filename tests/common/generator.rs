//! [`Generator`]: random queries over the tables of the leak corpus; the seed decides all of it.

pub struct Generator(u64);

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut generator = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        generator.below(2);
        generator
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound
    }

    pub fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// A relation with the text columns that it has, and its integer key.
    fn relation(&mut self) -> (&'static str, &'static [&'static str], &'static str) {
        let all: [(&str, &[&str], &str); 9] = [
            ("customers", &["name", "phone", "note"], "id"),
            ("public.customers", &["name", "phone", "note"], "id"),
            ("ONLY customers", &["name", "phone"], "id"),
            ("customers_2024", &["phone", "note", "extra", "name"], "id"),
            ("leads", &["phone", "p2"], "lead_id"),
            ("events", &["phone"], "id"),
            ("cust_v", &["tel"], "id"),
            ("cust_star", &["name", "phone", "note"], "id"),
            ("joined_v", &["buyer", "phone"], "order_id"),
        ];
        all[self.below(all.len())]
    }

    /// A text expression over the visible references.
    fn text(&mut self, columns: &[String], depth: usize) -> String {
        let column = columns[self.below(columns.len())].clone();
        if depth == 0 {
            return column;
        }
        let inner = self.text(columns, depth - 1);
        match self.below(14) {
            0 => format!("upper({inner})"),
            1 => format!("coalesce({inner}, {column})"),
            2 => format!("({inner} || 'x')"),
            3 => format!("substr({inner}, 2, 4)"),
            4 => format!("CASE WHEN {inner} > '0945' THEN {column} ELSE 'low' END"),
            5 => format!("({inner})::text"),
            6 => format!("md5({inner})"),
            7 => format!("(SELECT max({inner}) FROM numbers n)"),
            8 => format!("nullif({inner}, 'x')"),
            9 => format!("reverse({inner})"),
            10 => format!("(SELECT z FROM (SELECT {inner} AS z) q)"),
            11 => format!("(ARRAY[{inner}, {column}])[1]"),
            12 => format!("to_jsonb({inner})::text"),
            _ => inner,
        }
    }

    fn predicate(&mut self, columns: &[String]) -> String {
        let (left, right) = (self.text(columns, 1), self.text(columns, 1));
        match self.below(10) {
            0 => format!("{left} < {right}"),
            1 => format!("{left} LIKE '09%'"),
            2 => format!("{left} IS DISTINCT FROM {right}"),
            3 => format!("{left} IN (SELECT phone FROM leads)"),
            4 => format!("EXISTS (SELECT 1 FROM customers e WHERE e.phone > {left})"),
            5 => format!("({left} IS NULL OR NOT ({right} BETWEEN '0' AND '094'))"),
            6 => format!("substr({left}, 3, 1) >= '5'"),
            7 => format!("{left} ~ '^0[0-9]{{4}}[0-4]'"),
            8 => format!("({left}, 1) > ({right}, 0)"),
            _ => format!("length({left}) > 3"),
        }
    }

    /// A query with the text columns `c0` and `c1` and the integer column `k`.
    pub fn query(&mut self, depth: usize) -> String {
        let (mut from, mut columns, mut rows, mut key) = (String::new(), Vec::new(), Vec::new(), String::new());
        for number in 0..=self.below(2) {
            let (relation, texts, id) = self.relation();
            let alias = format!("t{number}");
            if number == 0 && depth > 0 && self.below(4) == 0 {
                let inner = self.query(depth - 1);
                from = format!("(SELECT q.*, 1 AS one FROM ({inner}) AS q) AS {alias}");
                columns = vec![format!("{alias}.c0"), format!("{alias}.c1")];
                key = format!("{alias}.k");
            } else if number == 0 {
                columns.extend(texts.iter().map(|column| format!("{alias}.{column}")));
                from = format!("{relation} AS {alias}");
                key = format!("{alias}.{id}");
            } else {
                columns.extend(texts.iter().map(|column| format!("{alias}.{column}")));
                let join = self.pick(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
                let on = if self.below(3) == 0 && join != "FULL JOIN" {
                    self.predicate(&columns)
                } else {
                    format!("{alias}.{id} = {key}")
                };
                from = format!("{from} {join} {relation} AS {alias} ON {on}");
            }
            rows.push(alias);
        }
        let row = rows[self.below(rows.len())].clone();
        let select = match self.below(8) {
            0 => format!("{} AS c0, {row}::text AS c1, {key} AS k", self.text(&columns, 2)),
            1 => format!("to_jsonb({row})::text AS c0, {} AS c1, {key} AS k", self.text(&columns, 1)),
            2 => format!("({row}.*)::text AS c0, {} AS c1, {key} AS k", self.text(&columns, 1)),
            _ => format!("{} AS c0, {} AS c1, {key} AS k", self.text(&columns, 2), self.text(&columns, 1)),
        };
        let filter = if self.below(2) == 0 { format!(" WHERE {}", self.predicate(&columns)) } else { String::new() };
        let (one, two) = (self.text(&columns, 1), self.text(&columns, 1));
        match self.below(7) {
            0 => format!(
                "SELECT {one} AS c0, count(*)::text || max({two}) AS c1, min({key}) AS k FROM {from}{filter} GROUP BY 1"
            ),
            1 => format!(
                "SELECT string_agg({one}, ',' ORDER BY {two}, {one}) AS c0, min({two}) AS c1, count(*)::int AS k \
                 FROM {from}{filter}"
            ),
            2 => format!("SELECT DISTINCT {select} FROM {from}{filter}"),
            3 => {
                format!("WITH w AS (SELECT {select} FROM {from}{filter}) SELECT c0, c1, k FROM w WHERE c0 IS NOT NULL")
            }
            4 => format!("SELECT {select} FROM {from}{filter} UNION ALL SELECT phone::text, name, id FROM customers"),
            5 => format!(
                "SELECT {one} AS c0, (rank() OVER (ORDER BY {two}))::text AS c1, {key} AS k FROM {from}{filter}"
            ),
            _ => format!("SELECT {select} FROM {from}{filter}"),
        }
    }
}

/// Statements made of pieces of others.
pub struct Mutator {
    generator: Generator,
}

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed) }
    }

    /// One of `pool` with up to three changes, pieces taken from the others.
    pub fn mutate(&mut self, pool: &[Vec<String>]) -> String {
        let mut tokens = pool[self.generator.below(pool.len())].clone();
        for _ in 0..=self.generator.below(3) {
            let other = &pool[self.generator.below(pool.len())];
            let at = self.generator.below(tokens.len().max(1));
            let from = self.generator.below(other.len());
            match self.generator.below(7) {
                0 if tokens.len() > 2 => {
                    tokens.remove(at);
                }
                1 => tokens.insert(at, other[from].clone()),
                2 => {
                    let with = self.generator.below(tokens.len().max(1));
                    tokens.swap(at, with);
                }
                // A piece in parentheses in the place of one token.
                3 | 4 => {
                    let Some(open) = other[from..].iter().position(|token| token == "(").map(|n| from + n) else {
                        continue;
                    };
                    let piece = other[open..=closing(other, open)].to_vec();
                    tokens.splice(at..at, piece);
                }
                // The same kind of token from elsewhere.
                5 => {
                    let kind =
                        |token: &str| token.chars().next().map(|c| (c.is_alphabetic(), c.is_numeric(), c == '\''));
                    if let Some(other) = other.iter().find(|token| kind(token) == kind(&tokens[at])) {
                        tokens[at] = other.clone();
                    }
                }
                // Head of one, tail of another.
                _ => {
                    tokens.truncate(at.max(1));
                    tokens.extend_from_slice(&other[from..]);
                }
            }
        }
        tokens.join(" ")
    }
}

fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" => depth += 1,
            ")" if depth == 1 => return at,
            ")" => depth -= 1,
            _ => {}
        }
    }
    tokens.len() - 1
}

/// Splits SQL roughly: words, numbers, literals, operators.
pub fn tokens(sql: &str) -> Vec<String> {
    let chars: Vec<char> = sql.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        if c.is_whitespace() {
            at += 1;
            continue;
        } else if c.is_alphanumeric() || c == '_' || c == '$' {
            while at < chars.len() && (chars[at].is_alphanumeric() || matches!(chars[at], '_' | '$')) {
                at += 1;
            }
        } else if c == '\'' || c == '"' {
            at += 1;
            while at < chars.len() && chars[at] != c {
                at += 1;
            }
            at += 1;
        } else if "|<>=~!@#?&:+-*".contains(c) {
            while at < chars.len() && "|<>=~!@#?&:+-*".contains(chars[at]) {
                at += 1;
            }
        } else {
            at += 1;
        }
        tokens.push(chars[start..at.min(chars.len())].iter().collect());
    }
    tokens
}
