//! A small shop with personal data, for the tests of clients: tables, logins and rules.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    Postgres, Proxy,
    proxy::{Options, SERVICE_LOGIN},
};

pub const DATABASE: &str = "shop";

/// `support` is restricted, `owner` exempt; `stranger` has no role.
pub const SCHEMA: &str = "
CREATE ROLE support LOGIN PASSWORD 'support-pw';
CREATE ROLE owner LOGIN SUPERUSER PASSWORD 'owner-pw';
CREATE ROLE stranger LOGIN PASSWORD 'stranger-pw';
CREATE TABLE customers (
    id int PRIMARY KEY,
    full_name text NOT NULL,
    phone varchar(20),
    email text,
    note text,
    born date,
    score int,
    prefs jsonb,
    created timestamptz NOT NULL DEFAULT '2025-01-02 03:04:05+00'
);
CREATE INDEX ON customers (phone);
CREATE TABLE orders (
    id int PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers (id),
    amount numeric(12,2) NOT NULL,
    placed date NOT NULL
);
CREATE VIEW customer_phones AS SELECT id, phone AS tel FROM customers;
COMMENT ON TABLE customers IS 'people who buy';
INSERT INTO customers (id, full_name, phone, email, note, born, score, prefs)
SELECT n, 'Nguyen Thi Minh Khai' || n, '0901234' || lpad((n % 1000)::text, 3, '0'), 'khai' || n || '@gmail.com',
       'prefers calls after 18h', date '1990-05-17' + n, n * 7, '{\"lang\": \"vi\"}'
FROM generate_series(1, 50) n;
INSERT INTO orders SELECT n, (n - 1) % 50 + 1, n * 10.5, date '2025-06-01' + n FROM generate_series(1, 200) n;
GRANT USAGE, CREATE ON SCHEMA public TO support, stranger;
GRANT ALL ON ALL TABLES IN SCHEMA public TO support, stranger;
ANALYZE;
";

pub const RULES: &str = r#"
policy = "shop"

[category.name]
columns = ["public.customers.full_name"]
[category.phone]
columns = ["public.customers.phone"]
[category.email]
columns = ["public.customers.email"]
[category.note]
columns = ["public.customers.note"]
[category.none]
columns = ["public.customers.id", "public.customers.born", "public.customers.score", "public.customers.prefs", "public.customers.created"]

[[role]]
name = "owner"
match = { user = ["owner", "postgres"] }
exempt = true

[[role]]
name = "support"
match = { user = ["support"] }
purposes = ["customer-care"]
recipient = "internal"
see = { name = "name_initials", phone = "phone_last", email = "withhold", note = "refuse" }
otherwise = "withhold"
search = { phone = "exact" }
"#;

/// What `support` sees of the name and telephone number of customer `n`.
pub fn masked(n: u32) -> (&'static str, String) {
    ("N*** K***", format!("*****{:03}", n % 1000))
}

/// The shop's database on a server of its own.
pub fn postgres() -> Postgres {
    load(Postgres::start())
}

pub fn load(postgres: Postgres) -> Postgres {
    load_other(postgres, &[SCHEMA])
}

/// Another shop, made by these scripts.
pub fn load_other(postgres: Postgres, scripts: &[&str]) -> Postgres {
    postgres.sql("postgres", "CREATE DATABASE shop");
    postgres.sql("postgres", SERVICE_LOGIN);
    for script in scripts {
        postgres.sql(DATABASE, script);
    }
    postgres
}

/// Another shop, on a server of its own, and a proxy with these rules in front.
pub fn start_other(scripts: &[&str], rules: &str) -> (Postgres, Proxy) {
    let postgres = load_other(Postgres::start(), scripts);
    let proxy = Proxy::start(&postgres, &Options::new(DATABASE, rules));
    (postgres, proxy)
}

/// A grant of role `authority`, in force from and until so many seconds from now.
pub fn grant(document: &str, from: i64, until: i64, subjects: &str, see: &str) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let moment = |offset: i64| jiff::Timestamp::from_second(now + offset).unwrap().to_string();
    format!(
        "[[grant]]\nrole = \"authority\"\ndocument = \"{document}\"\nfrom = {}\nuntil = {}\nsubjects = {subjects}\nsee = {see}\n",
        moment(from),
        moment(until)
    )
}

pub fn start() -> (Postgres, Proxy) {
    let postgres = postgres();
    let proxy = Proxy::start(&postgres, &Options::new(DATABASE, RULES));
    (postgres, proxy)
}
