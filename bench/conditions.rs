//! What conditions cost the server: statements over a shop of a million customers, as they are and as `rules/acros` makes
//! them, planned and executed in turn. Prints a Markdown table of medians, and with `--plans` the plans too.
//! `cargo bench --bench conditions [-- --plans]`; `CUSTOMERS=100000` makes the shop smaller.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::{path::Path, sync::Arc, time::Duration};

use pgscrim::{
    catalog::CatalogSnapshot,
    cli::demo::{
        postgres::{Authentication, Options, PrivatePostgres},
        shop,
    },
    cli::install::{Key, install},
    config::{DdlGuard, UpstreamAddress, UpstreamConfig, UpstreamTlsConfig, UpstreamTlsMode},
    engine::{Inputs, Protocol, QueryContext, plan},
    policy::{RoleId, rules::RuleSet},
    reload::read_rule_files,
    upstream::read_catalog,
};

/// Role and statement.
const STATEMENTS: &[(&str, &str)] = &[
    ("order_processing", "SELECT id, full_name, phone, email FROM customers WHERE id = 4242"),
    ("order_processing", "SELECT id, full_name, phone, email FROM customers WHERE phone = '0900004242'"),
    ("order_processing", "SELECT id, full_name, phone, email FROM customers ORDER BY id LIMIT 50"),
    (
        "order_processing",
        "SELECT o.id, c.full_name, o.ship_phone FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.phone = '0900004242'",
    ),
    (
        "order_processing",
        "SELECT s.id, s.recipient_phone, o.ship_phone FROM shipments s JOIN orders o ON o.id = s.order_id ORDER BY s.id LIMIT 50",
    ),
    ("order_processing", "SELECT full_name, phone, email FROM customers"),
    ("order_processing", "SELECT count(full_name), count(phone) FROM customers"),
    ("carrier", "SELECT * FROM shipments WHERE id = 4244"),
    (
        "carrier",
        "SELECT s.id, o.ship_name, o.ship_phone FROM shipments s JOIN orders o ON o.id = s.order_id WHERE s.id = 4244",
    ),
    ("carrier", "SELECT count(*) FROM shipments"),
    ("carrier", "SELECT status FROM shipments WHERE id + 0 = 4244"),
];
const ROUNDS: usize = 7;

fn data(customers: u64) -> String {
    let orders = customers * 2;
    format!(
        "SET session_replication_role = replica;
        INSERT INTO customers (id, full_name, phone, email) SELECT n, 'Nguyễn Thị ' || n, '09' || lpad(n::text, 8, '0'),
            'khach' || n || '@gmail.com' FROM generate_series(1, {customers}) n;
        INSERT INTO orders (id, customer_id, order_no, ship_name, ship_phone, ship_address, total)
            SELECT n, (n::bigint * 7919) % {customers} + 1, 'DH' || n, 'Nguyễn Thị ' || n, '09' || lpad(n::text, 8, '0'),
            'Số 1, Phường 2, Quận 3, TP. Hồ Chí Minh', n % 1000 FROM generate_series(1, {orders}) n;
        INSERT INTO shipments (id, order_id, carrier, status, recipient_phone)
            SELECT n, n, (ARRAY['GHN','GHTK','VNPOST','VIETTEL'])[n % 4 + 1], 'new', '0901234567' FROM generate_series(1, {orders}) n;
        INSERT INTO consents (customer_id, purpose, granted_at) SELECT n, 'order-handling', now() FROM generate_series(1, {customers}) n;
        INSERT INTO consents (customer_id, purpose, granted_at) SELECT n, 'marketing', now() FROM generate_series(1, {customers}) n WHERE n % 10 < 4;
        INSERT INTO consents (customer_id, purpose, category, granted_at)
            SELECT n, 'refusal', 'phone', now() FROM generate_series(1, {customers}) n WHERE n % 50 = 0;
        INSERT INTO erasure_requests (customer_id, requested_at) SELECT n, now() FROM generate_series(1, {customers}) n WHERE n % 200 = 0;
        CREATE INDEX ON customers (phone); CREATE INDEX ON orders (customer_id); CREATE INDEX ON shipments (order_id);
        CREATE INDEX ON shipments (carrier); CREATE INDEX ON consents (customer_id, purpose); CREATE INDEX ON erasure_requests (customer_id);
        VACUUM ANALYZE;"
    )
}

fn main() {
    let plans = std::env::args().any(|arg| arg == "--plans");
    let customers = std::env::var("CUSTOMERS").ok().map_or(1_000_000, |text| text.parse().unwrap());
    let settings = [("shared_buffers", "1GB"), ("work_mem", "16MB"), ("jit", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server =
        PrivatePostgres::start(&Options { authentication: Authentication::Trust, settings, programs: None }).unwrap();
    server.sql("postgres", shop::ROLES_SQL).unwrap();
    server.sql(shop::DATABASE, shop::SCHEMA_SQL).unwrap();
    server.sql(shop::DATABASE, &data(customers)).unwrap();
    server.sql(shop::DATABASE, &install(&Key::new(&[7; 32]).unwrap(), 1, &[])).unwrap();
    let inputs = inputs(&server);
    println!("| role | statement | as it is | as rewritten | ratio |\n|---|---|---|---|---|");
    for (role, sql) in STATEMENTS {
        let number = inputs.policy.roles.iter().position(|known| known.name == *role).unwrap();
        let context = QueryContext {
            role: RoleId(u16::try_from(number).unwrap()),
            search_path: vec!["pg_catalog".to_owned(), "public".to_owned()].into(),
            protocol: Protocol::Simple,
        };
        let rewritten = plan(sql, &context, &inputs).unwrap().permit.text().to_string();
        let (mut plain, mut ruled) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            plain.push(took(&server, sql));
            ruled.push(took(&server, &rewritten));
        }
        let (plain, ruled) = (median(plain), median(ruled));
        println!("| {role} | `{sql}` | {plain:.2} ms | {ruled:.2} ms | {:.1} |", ruled / plain);
        if plans {
            println!("{}", server.sql(shop::DATABASE, &format!("EXPLAIN (COSTS OFF) {rewritten}")).unwrap());
        }
    }
}

fn inputs(server: &PrivatePostgres) -> Inputs {
    let config = UpstreamConfig {
        address: UpstreamAddress::Tcp(server.host().to_owned(), server.port()),
        user: shop::SERVICE_LOGIN.to_owned(),
        password: None,
        database: shop::DATABASE.to_owned(),
        tls: UpstreamTlsConfig { mode: UpstreamTlsMode::Off, ca: None, server_name: None },
        connect_timeout: Duration::from_secs(10),
        catalog_refresh: Duration::from_secs(60),
        ddl_guard: DdlGuard::Relayed,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let catalog = CatalogSnapshot::new(runtime.block_on(read_catalog(&config)).unwrap().0, 1);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/acros");
    let rules = RuleSet::parse(&read_rule_files(&folder).unwrap()).unwrap_or_else(|complaints| panic!("{complaints}"));
    let policy = rules.compile(&catalog).unwrap_or_else(|complaints| panic!("{complaints}"));
    Inputs { catalog, policy: Arc::new(policy) }
}

/// Planning and execution, in milliseconds.
fn took(server: &PrivatePostgres, sql: &str) -> f64 {
    let explained =
        server.sql(shop::DATABASE, &format!("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY ON, COSTS OFF) {sql}")).unwrap();
    let times =
        explained.lines().filter_map(|line| line.split_once(" Time: ")?.1.strip_suffix(" ms")?.parse::<f64>().ok());
    times.sum()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
