//! What the benchmarks plan: a small shop, its rules, and statements as drivers and ORMs send them.

#![allow(dead_code, clippy::unwrap_used, missing_docs, reason = "each benchmark uses a part")]

use std::{fmt::Write, sync::Arc};

use pgscrim::{
    catalog::{CatalogSnapshot, testing},
    engine::{Inputs, Protocol, QueryContext},
    policy::{
        LoginIdentity,
        rules::{RuleFile, RuleSet},
    },
};

const RULES: &str = r#"
policy = "bench"
[category.name]
columns = ["public.customers.full_name"]
[category.phone]
columns = ["public.customers.phone"]
[category.email]
columns = ["public.customers.email"]
[category.none]
columns = ["public.customers.id", "public.customers.city"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { name = "name_initials", phone = "phone_last", email = "email" }
"#;

pub fn inputs() -> Inputs {
    let mut data = testing::database();
    testing::table(
        &mut data,
        "customers",
        "id bigint, full_name text not null, phone varchar(20), email text, city text",
    );
    testing::table(&mut data, "orders", "id bigint, customer_id bigint, amount numeric(12,2), placed timestamptz");
    testing::table(&mut data, "order_items", "id bigint, order_id bigint, sku text, quantity integer");
    let catalog = CatalogSnapshot::new(data, 1);
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: RULES.into() }]).unwrap();
    let policy = Arc::new(rules.compile(&catalog).unwrap());
    Inputs { catalog, policy }
}

pub fn statements() -> Vec<(&'static str, String)> {
    let mut list =
        "SELECT \"customers\".\"id\", \"customers\".\"phone\" FROM \"customers\" WHERE \"customers\".\"id\" IN ("
            .to_owned();
    for number in 0..600 {
        let _ = write!(list, "{}{number}", if number > 0 { ", " } else { "" });
    }
    list.push(')');
    vec![
        ("point, literal", "SELECT full_name FROM customers WHERE id = 123456789012;".to_owned()),
        ("point, parameter", "SELECT id, full_name, phone, email FROM customers WHERE id = $1".to_owned()),
        ("unprotected", "SELECT id, customer_id, amount FROM orders WHERE id = $1 LIMIT 1".to_owned()),
        (
            "join of an ORM",
            r#"SELECT "orders"."id", "orders"."customer_id", "orders"."amount", "orders"."placed", "customers"."id", "customers"."full_name", "customers"."phone", "customers"."email", "customers"."city", "order_items"."id", "order_items"."sku", "order_items"."quantity" FROM "orders" INNER JOIN "customers" ON ("orders"."customer_id" = "customers"."id") LEFT OUTER JOIN "order_items" ON ("orders"."id" = "order_items"."order_id") WHERE ("customers"."city" = 'Hà Nội' AND "orders"."amount" > 100.50 AND NOT ("orders"."placed" IS NULL)) ORDER BY "orders"."placed" DESC, "orders"."id" ASC LIMIT 21"#.to_owned(),
        ),
        (
            "CTEs and a window",
            "WITH big AS (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id HAVING sum(amount) > 1000), ranked AS (SELECT c.id, c.full_name, b.total, rank() OVER (PARTITION BY c.city ORDER BY b.total DESC) AS place FROM customers c JOIN big b ON b.customer_id = c.id) SELECT id, full_name, total FROM ranked WHERE place <= 3 UNION ALL SELECT 0, 'all', sum(total) FROM big ORDER BY total DESC LIMIT 50".to_owned(),
        ),
        ("update", "UPDATE customers SET full_name = $1, phone = $2, email = $3, city = $4 WHERE id = $5".to_owned()),
        ("update, returning", "UPDATE customers SET phone = $1, city = 'Huế' WHERE id = $5 RETURNING id, full_name, phone, email".to_owned()),
        ("insert", "INSERT INTO customers (full_name, phone, email, city) VALUES ($1, $2, $3, $4) RETURNING id".to_owned()),
        ("upsert", "INSERT INTO customers (id, full_name, phone) VALUES ($5, $1, $2) ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name, phone = excluded.phone".to_owned()),
        ("delete", "DELETE FROM customers WHERE id = $5 RETURNING id, phone".to_owned()),
        ("merge", "MERGE INTO customers c USING orders o ON c.id = o.customer_id WHEN MATCHED THEN UPDATE SET phone = $1 WHEN NOT MATCHED THEN INSERT (id, phone) VALUES ($5, $2)".to_owned()),
        ("list of 600", list),
    ]
}

/// The statement with a literal that is another for each number.
pub fn numbered(sql: &str, number: usize) -> String {
    if sql.contains("123456789012") {
        sql.replace("123456789012", &(number + 1_000_000_007).to_string())
    } else if sql.contains("$5") {
        sql.replace("$5", &number.to_string())
    } else if let Some((before, after)) = sql.split_once("LIMIT ") {
        format!("{before}LIMIT {number}{}", after.trim_start_matches(|char: char| char.is_ascii_digit()))
    } else if sql.starts_with("SELECT") {
        format!("{sql} LIMIT {number}")
    } else {
        sql.replace("$4", &number.to_string())
    }
}

pub fn context(inputs: &Inputs) -> QueryContext {
    let who =
        LoginIdentity { user: "support".to_owned(), database: "shop".to_owned(), application_name: String::new() };
    QueryContext {
        role: inputs.policy.role_for(&who, &inputs.catalog).unwrap(),
        search_path: vec!["pg_catalog".to_owned(), "public".to_owned()].into(),
        protocol: Protocol::EXTENDED,
    }
}
