//! What the recogniser takes for its own, and what it does not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use super::*;
use crate::{
    bind::{Parameters, bind_judged, bind_statement},
    catalog::{CatalogSnapshot, testing},
    engine::{Inputs, guard, verify::verify_again},
    policy::rules::{RuleFile, RuleSet},
    rewrite::{Edits, Job, rewrite},
};

const RULES: &str = r#"
policy = "test"
[category.phone]
columns = ["public.customers.phone"]
[category.name]
columns = ["public.customers.full_name"]
[category.none]
columns = ["public.customers.id", "public.customers.city"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "phone_last", name = "withhold" }
"#;

const CONDITIONS: &str = r#"
[subject]
key = "public.customers.id"
[erasure]
records = "public.requests"
subject = "customer_id"
"#;

fn inputs() -> Inputs {
    inputs_by(RULES)
}

fn inputs_by(rules: &str) -> Inputs {
    let mut data = testing::database();
    testing::table(&mut data, "customers", "id bigint, full_name text not null, phone varchar(20), city text");
    testing::table(&mut data, "orders", "id bigint, customer_id bigint, city text");
    testing::table(&mut data, "requests", "customer_id bigint");
    let catalog = CatalogSnapshot::new(data, 1);
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: rules.into() }]).unwrap();
    let policy = rules.compile(&catalog).unwrap().into();
    Inputs { catalog, policy }
}

/// What the two verifications say of `sql` when its printed form was changed by `change`.
fn verdicts(sql: &str, inputs: &Inputs, change: impl Fn(&mut Printed)) -> (bool, bool) {
    let path = ["pg_catalog".to_owned(), "public".to_owned()];
    let run = Run { inputs, role: &inputs.policy.roles[0], path: &path, parameters: &Parameters::Any };
    let tokens = lex(sql).unwrap();
    let statement = parse::parse_statement(&tokens, 0).unwrap();
    let bound = bind_judged(&statement, &tokens, &inputs.catalog, &path, &Parameters::Inferred).unwrap();
    let job = Job::new(&bound, &tokens, &inputs.catalog, run.role, run.path);
    let mut printed = rewrite(&job).unwrap().print(&tokens, 0..tokens.len());
    if sql.contains("/* as written */") {
        printed = Edits::default().print(&tokens, 0..tokens.len());
    }
    change(&mut printed);
    let stands = guard::stand(&printed, &job);
    (stands && recognises(&printed, &job, &run), stands && verify_again(&printed, &tokens, &bound, &run).is_ok())
}

#[test]
fn what_the_rewriter_makes_is_recognised() {
    let inputs = inputs();
    for sql in [
        "SELECT phone FROM customers WHERE id = 5",
        "SELECT * FROM customers",
        "SELECT count(*) FROM ONLY customers",
        "SELECT c.phone, o.id FROM orders o JOIN customers AS c ON c.id = o.customer_id AND c.city = 'it''s'",
        "SELECT \"customers\".\"phone\" FROM \"customers\" WHERE \"customers\".\"city\" = $1 LIMIT 21",
        "SELECT public.customers.phone FROM public.customers",
        "SELECT customers.phone FROM customers customers, orders",
        "INSERT INTO orders (id, city) VALUES (1, E'a\\\\b')",
        "UPDATE orders SET city = 'x' WHERE customer_id IN (SELECT id FROM customers)",
        "WITH a AS (SELECT city FROM customers) SELECT * FROM a UNION ALL SELECT city FROM orders",
        "SELECT 1",
        "DELETE FROM customers",
        "DELETE FROM public.customers AS c USING orders o WHERE c.id = o.customer_id AND c.phone > 'a' RETURNING *",
        "INSERT INTO customers (id, phone) VALUES (1, '09'), (2, $1) ON CONFLICT (phone) DO NOTHING",
        "INSERT INTO customers AS c VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET phone = excluded.phone \
             WHERE c.full_name IS NULL RETURNING id, phone",
        "UPDATE customers SET city = 'x'",
        "UPDATE customers SET phone = $1, full_name = 'it''s', city = $2 WHERE customers.phone = 'a' RETURNING phone, *",
        "UPDATE ONLY customers c SET (phone, city) = (upper('09' || $1), 'b') FROM orders o WHERE o.id = c.id RETURNING o.id",
        "MERGE INTO customers c USING orders o ON c.id = o.customer_id WHEN MATCHED AND c.phone > '' THEN UPDATE SET \
             phone = o.city WHEN NOT MATCHED THEN INSERT (id, phone) VALUES (o.id, 'a')",
    ] {
        assert_eq!(verdicts(sql, &inputs, |_| ()), (true, true), "{sql}");
    }
    // No verdict: these are parsed and bound again.
    for sql in [
        "SELECT id AS customers FROM orders",
        "INSERT INTO orders (city) VALUES ('x') RETURNING id AS customers",
        "UPDATE customers SET phone = (SELECT city FROM orders LIMIT 1)",
    ] {
        assert_eq!(verdicts(sql, &inputs, |_| ()), (false, true), "{sql}");
    }
}

#[test]
fn defects_of_what_is_written_are_not_recognised() {
    let inputs = inputs();
    for sql in [
        "UPDATE customers SET city = 'x' WHERE phone > 'a' /* as written */",
        "UPDATE public.customers c SET city = 'x' WHERE c.phone > 'a' /* as written */",
        "DELETE FROM public.customers WHERE phone > 'a' /* as written */",
        "DELETE FROM public.customers RETURNING * /* as written */",
        "INSERT INTO public.customers (id) VALUES (1) RETURNING phone /* as written */",
        "INSERT INTO public.customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET city = 'x' WHERE customers.phone = 'a' /* as written */",
        "MERGE INTO public.customers c USING public.orders o ON c.phone = o.city WHEN MATCHED THEN DELETE /* as written */",
    ] {
        assert_eq!(verdicts(sql, &inputs, |_| ()), (false, false), "{sql}");
    }
    // Nothing is read, but what guards the stored value is not there.
    let sql = "UPDATE public.customers c SET phone = 'x' WHERE c.id = 5 /* as written */";
    assert_eq!(verdicts(sql, &inputs, |_| ()), (false, false), "{sql}");
    let sql = "UPDATE customers c SET phone = $1, full_name = $2 WHERE c.id = 5 RETURNING phone, city";
    for (from, to) in [
        ("IS NOT DISTINCT FROM (CASE WHEN c.phone", "IS NOT DISTINCT FROM (c.phone) OR (CASE WHEN c.phone"),
        ("IS NOT DISTINCT FROM (CASE WHEN c.phone", "IS NOT DISTINCT FROM (CASE WHEN c.full_name"),
        ("THEN c.phone ELSE CAST($1", "THEN c.full_name ELSE CAST($1"),
        ("THEN c.phone ELSE CAST($1", "THEN c.phone ELSE CAST(c.full_name"),
        ("THEN c.phone ELSE CAST($1", "THEN c.phone ELSE CAST($2"),
        ("CAST($1 AS", "CAST($2 AS"),
        ("CASE WHEN CAST($1 AS varchar)", "CASE WHEN (c.phone)"),
        ("AS varchar)", "AS pg_catalog.text)"),
        ("(NULL::pg_catalog.text) IS NULL", "(c.full_name) IS NULL"),
        ("public.customers c set", "public.customers c set city = phone,"),
        ("public.customers c", "public.customers d"),
        ("public.customers c", "public.orders c"),
        ("c.id = 5", "c.phone = 5"),
        ("returning (CASE", "returning c.phone, (CASE"),
        (", city", ", c.full_name"),
        (", city", ", c"),
        (", city", ", *"),
    ] {
        assert!(!verdicts(sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
}

#[test]
fn a_write_without_its_guard_does_not_pass() {
    let scope = "EXISTS (SELECT 1 FROM public.requests r WHERE r.customer_id = orders.customer_id)";
    let rules = RULES.replace("none]\ncolumns = [", "none]\ncolumns = [\"public.orders.id\", ");
    let scoped = inputs_by(&format!("{rules}rows = {{ \"public.orders\" = \"{scope}\" }}\n"));
    let masks = inputs_by(&RULES.replace("match = {", "store_masks = \"refuse\"\nmatch = {"));
    for (inputs, sql, guard) in [
        (&scoped, "UPDATE requests r SET customer_id = 5", "pgs_decides"),
        (&scoped, "UPDATE requests SET customer_id = customer_id + 1 WHERE customer_id = 2", "pgs_decides"),
        (&masks, "UPDATE customers SET phone = upper('a'), city = 'b'", "pgs_stored_mask"),
        (&masks, "INSERT INTO customers (id, phone) VALUES (1, NULL), (2, '09')", "pgs_stored_mask"),
    ] {
        assert_eq!(verdicts(sql, inputs, |_| ()), (guard == "pgs_decides", true), "{sql}");
        assert_eq!(verdicts(sql, inputs, swapped(guard, "pgs_nothing")), (false, false), "{sql}");
        assert_eq!(verdicts(&format!("{sql} /* as written */"), inputs, |_| ()), (false, false), "{sql}");
    }
    let sql = "UPDATE requests r SET customer_id = r.customer_id + 1 WHERE r.customer_id = 2";
    for (from, to) in [
        ("FROM r.customer_id THEN", "FROM (r.customer_id + 1) THEN"),
        ("WHEN CAST(r.customer_id + 1 AS bigint) IS", "WHEN true OR CAST(r.customer_id + 1 AS bigint) IS"),
        ("THEN CAST(r.customer_id + 1 AS bigint) ELSE CAST(CAST", "THEN CAST(5 AS bigint) ELSE CAST(CAST"),
        ("CASE WHEN false THEN CAST(CASE", "CASE WHEN true THEN CAST(CASE"),
        ("ELSE CAST(NULL AS bigint) END AS bigint) ELSE", "ELSE CAST(5 AS bigint) END AS bigint) ELSE"),
    ] {
        assert!(!verdicts(sql, &scoped, swapped(from, to)).0, "{from} → {to}");
    }
    // Rows of them are not added, whatever the rewriter thinks.
    let sql = "INSERT INTO requests VALUES (1)";
    let path = ["pg_catalog".to_owned(), "public".to_owned()];
    let tokens = lex(sql).unwrap();
    let bound = bind_statement(&parse::parse_statement(&tokens, 0).unwrap(), &tokens, &scoped.catalog, &path).unwrap();
    let printed = Edits::default().print(&tokens, 0..tokens.len());
    for (inputs, stands) in [(&scoped, false), (&masks, true)] {
        let job = Job::new(&bound, &tokens, &inputs.catalog, &inputs.policy.roles[0], &[]);
        assert_eq!(guard::stand(&printed, &job), stands);
    }
}

#[test]
fn exact_searches_are_recognised_where_they_stand() {
    let inputs = inputs_by(&format!("{RULES}search = {{ phone = \"exact\" }}\n"));
    let sql = "SELECT id, phone FROM customers WHERE phone = $1 AND city = 'x'";
    assert_eq!(verdicts(sql, &inputs, |_| ()), (true, true), "{sql}");
    let delete = "DELETE FROM customers WHERE phone = $1";
    assert_eq!(verdicts(delete, &inputs, |_| ()), (true, true), "{delete}");
    for (from, to) in [
        ("where (phone", "where (full_name"),
        ("where (phone = $1 )", "where phone = $1"),
        ("= $1 )", "> $1 )"),
        ("= $1 )", "= $1 or true )"),
        ("city = 'x'", "phone = 'x'"),
        ("select id", "select phone"),
    ] {
        assert!(!verdicts(sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
}

#[test]
fn conditions_are_recognised_as_the_policy_has_them() {
    let scope = "rows = { \"public.orders\" = \"city = 'x' OR id = 1\" }";
    let inputs = inputs_by(&format!("{RULES}{scope}{CONDITIONS}"));
    let sql = "SELECT c.phone, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = 3";
    for more in ["", " LIMIT 3", " AND o.id + 1 = 4"] {
        assert_eq!(verdicts(&format!("{sql}{more}"), &inputs, |_| ()), (true, true), "{more}");
    }
    for (from, to) in [
        ("CASE WHEN NOT EXISTS", "CASE WHEN EXISTS"),
        ("= pgs_row.id)", "= pgs_row.id OR true)"),
        ("ELSE NULL::varchar(20)", "ELSE phone"),
        ("WHERE pgs_row.city = 'x' or pgs_row.id = 1", "WHERE pgs_row.city = 'x' or pgs_row.id = 2"),
        (" WHERE pgs_row.city = 'x' or pgs_row.id = 1", ""),
        ("public.orders AS pgs_row", "public.orders AS pgs_row JOIN public.customers ON true"),
    ] {
        assert!(!verdicts(sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
    // Writes are kept to the rows by text that stands around the client's condition.
    let sql = "UPDATE orders o SET city = 'y' WHERE o.id = 3";
    for more in ["", " AND o.id + 1 = 4", " RETURNING *"] {
        assert_eq!(verdicts(&format!("{sql}{more}"), &inputs, |_| ()), (true, true), "{more}");
    }
    assert_eq!(verdicts("DELETE FROM orders RETURNING id", &inputs, |_| ()), (true, true));
    assert_eq!(verdicts("INSERT INTO orders (id) VALUES (1)", &inputs, |_| ()), (true, true));
    for (from, to) in [
        ("(o.city = 'x' or o.id = 1) AND (", ""),
        ("or o.id = 1) AND (", "or o.id = 1) OR ("),
        ("o.id = 1) AND", "o.id = 2) AND"),
        ("o.id = 3 )", "o.id = 3 ) or true"),
        ("where (", "where true or ("),
    ] {
        assert!(!verdicts(sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
    let sql = "SELECT c.phone, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = 3";
    let limited = format!("{sql} LIMIT 3");
    assert!(!verdicts(&limited, &inputs, swapped(" AND pgs_row.id IS NOT NULL", "")).0);
}

fn swapped(from: &'static str, to: &'static str) -> impl Fn(&mut Printed) {
    move |printed: &mut Printed| swap(printed, from, to)
}

fn swap(printed: &mut Printed, from: &str, to: &str) {
    assert!(printed.text.contains(from), "{}", printed.text);
    let grown = to.len().wrapping_sub(from.len());
    let at = printed.text.find(from).unwrap();
    printed.text = printed.text.replacen(from, to, 1);
    for trusted in &mut printed.trusted {
        for place in [&mut trusted.bytes.start, &mut trusted.bytes.end] {
            *place = if *place > at { place.wrapping_add(grown) } else { *place };
        }
    }
}

#[test]
fn defects_of_the_rewriter_are_not_recognised() {
    let inputs = inputs();
    for sql in [
        "SELECT phone FROM customers /* as written */",
        "SELECT phone FROM public.customers /* as written */",
        "SELECT phone FROM \"customers\" c /* as written */",
        "SELECT 1 FROM orders, shop.public.customers WHERE phone > 'a' /* as written */",
        "SELECT * FROM customers /* as written */",
        "SELECT c.* FROM customers c /* as written */",
        "SELECT c FROM customers c /* as written */",
        "SELECT * FROM customers NATURAL JOIN orders /* as written */",
        "SELECT 1 FROM customers a JOIN customers b USING (phone) /* as written */",
    ] {
        assert_eq!(verdicts(sql, &inputs, |_| ()), (false, false), "{sql}");
    }
    // Nothing hidden is read.
    let sql = "SELECT 1 FROM public.orders, public.customers c WHERE c.city > $1 /* as written */";
    assert_eq!(verdicts(sql, &inputs, |_| ()), (true, true), "{sql}");
    let sql = "SELECT c.phone, (phone), customers.full_name, o.city FROM customers, orders o, customers c \
                   WHERE customers.phone > 'a' ORDER BY c.full_name";
    let sql = sql.replace("(phone)", "(customers.phone)");
    for (from, to) in [
        ("(CASE WHEN customers.phone", "(CASE WHEN c.phone"),
        ("(NULL::pg_catalog.text) AS full_name", "(customers.full_name) AS full_name"),
        ("(NULL::pg_catalog.text) AS full_name", "(NULL::pg_catalog.text)"),
        ("(NULL::pg_catalog.text) AS full_name", "(NULL::pg_catalog.text) AS id"),
        (" AS phone,", " AS phone, customers.phone,"),
        (" AS phone,", " || c.full_name AS phone,"),
        (" AS phone,", " AS phone , "),
        ("order by (NULL::pg_catalog.text)", "order by c.full_name"),
        ("order by (NULL::pg_catalog.text)", "order by (c.id)"),
        ("public.customers c", "public.customers c, public.customers d"),
    ] {
        assert!(!verdicts(&sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
    let sql = "SELECT * FROM customers c";
    for (from, to) in [
        ("NULL::pg_catalog.text AS full_name", "c.full_name"),
        (" AS phone", " || c.full_name AS phone"),
        ("c.city", "c.phone"),
    ] {
        assert!(!verdicts(sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
    // A whole row: the derived table.
    let sql = "SELECT c.phone, 'a', c IS NULL FROM customers c, orders WHERE c.id = 5";
    for (from, to) in [
        (" AS phone", " || full_name AS phone"),
        ("(SELECT id", "(SELECT city, id"),
        ("FROM public.customers)", "FROM public.customers, public.orders)"),
        ("FROM public.customers)", "FROM public.customers WHERE true)"),
        ("FROM public.customers)", "FROM public.orders)"),
        ("c.id = 5", "c.id = 6"),
        ("c.id = 5", "c.id = 5 or true"),
        ("c.id = 5", "c.id = 5; select 1"),
        ("c.id = 5", "c.id = 5 -- c"),
        ("c.id = 5", "c.id /* c */ = 5"),
        ("c.id = 5", "c.id ="),
        ("'a'", "'b'"),
        ("c.phone", "c.id"),
        ("c.phone", "c.phone, c.phone"),
        ("public.orders", "public.customers"),
        ("public.orders", "pg_catalog.pg_class"),
        (" c, ", " d, "),
    ] {
        assert!(!verdicts(sql, &inputs, swapped(from, to)).0, "{from} → {to}");
    }
}

#[test]
fn items_that_look_elsewhere_are_not_known() {
    let inputs = inputs();
    let path = [];
    let run = Run { inputs: &inputs, role: &inputs.policy.roles[0], path: &path, parameters: &Parameters::Any };
    let relation = inputs.catalog.relation_named("public", "customers").unwrap();
    let known = |item: &str| shows_one_column(item, relation, 2, &run);
    assert!(known("phone"));
    assert!(known("pg_catalog.left(phone::text, 3) AS phone"));
    assert!(known("NULL::varchar(20) AS phone"));
    for item in [
        "full_name AS phone",
        "phone AS number",
        "phone || full_name AS phone",
        "phone, full_name",
        "(SELECT phone FROM public.customers LIMIT 1) AS phone",
        "phone FROM public.customers) x, (SELECT phone",
        "$1 AS phone",
        "phone /* c */",
        "phone AS phone FROM public.customers UNION SELECT phone",
        "customers::text AS phone",
        "ctid::text AS phone",
    ] {
        assert!(!known(item), "{item}");
    }
}
