//! What a restricted role may send, over every command of PostgreSQL that a statement can be: one line each, with what becomes of it. The
//! table of the README says the same in words. Pure: no server.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

use std::{collections::BTreeSet, sync::Arc};

use pgscrim::{
    catalog::{CatalogSnapshot, testing},
    engine::{Inputs, Protocol, QueryContext, plan},
    policy::{
        RoleId,
        rules::{RuleFile, RuleSet},
    },
};

const RULES: &str = r#"
policy = "statements"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "support"
match = { user = "support" }
see = { phone = "phone_last" }
search = { phone = "masked" }
"#;

/// Command tags of `cmdtaglist.h` (PostgreSQL 15 to 18) that no statement of SQL has, or none of its own: they are names of objects in event
/// triggers, of the replication protocol, or synonyms.
const NO_STATEMENTS: &[&str] = &[
    "???",
    "ALTER ACCESS METHOD",
    "ALTER CAST",
    "ALTER CONSTRAINT",
    "ALTER TRANSFORM",
    "CREATE ROUTINE",
    "DROP CONSTRAINT",
    "LOGIN",
];

/// The tags of `cmdtaglist.h`, with those that versions since 13 have added.
#[rustfmt::skip]
const TAGS: &[&str] = &[
    "???", "ALTER ACCESS METHOD", "ALTER AGGREGATE", "ALTER CAST", "ALTER COLLATION", "ALTER CONSTRAINT", "ALTER CONVERSION",
    "ALTER DATABASE", "ALTER DEFAULT PRIVILEGES", "ALTER DOMAIN", "ALTER EVENT TRIGGER", "ALTER EXTENSION",
    "ALTER FOREIGN DATA WRAPPER", "ALTER FOREIGN TABLE", "ALTER FUNCTION", "ALTER INDEX", "ALTER LANGUAGE",
    "ALTER LARGE OBJECT", "ALTER MATERIALIZED VIEW", "ALTER OPERATOR", "ALTER OPERATOR CLASS", "ALTER OPERATOR FAMILY",
    "ALTER POLICY", "ALTER PROCEDURE", "ALTER PUBLICATION", "ALTER ROLE", "ALTER ROUTINE", "ALTER RULE", "ALTER SCHEMA",
    "ALTER SEQUENCE", "ALTER SERVER", "ALTER STATISTICS", "ALTER SUBSCRIPTION", "ALTER SYSTEM", "ALTER TABLE",
    "ALTER TABLESPACE", "ALTER TEXT SEARCH CONFIGURATION", "ALTER TEXT SEARCH DICTIONARY", "ALTER TEXT SEARCH PARSER",
    "ALTER TEXT SEARCH TEMPLATE", "ALTER TRANSFORM", "ALTER TRIGGER", "ALTER TYPE", "ALTER USER MAPPING", "ALTER VIEW",
    "ANALYZE", "BEGIN", "CALL", "CHECKPOINT", "CLOSE", "CLOSE CURSOR", "CLOSE CURSOR ALL", "CLUSTER", "COMMENT", "COMMIT",
    "COMMIT PREPARED", "COPY", "COPY FROM", "CREATE ACCESS METHOD", "CREATE AGGREGATE", "CREATE CAST", "CREATE COLLATION",
    "CREATE CONSTRAINT", "CREATE CONVERSION", "CREATE DATABASE", "CREATE DOMAIN", "CREATE EVENT TRIGGER", "CREATE EXTENSION",
    "CREATE FOREIGN DATA WRAPPER", "CREATE FOREIGN TABLE", "CREATE FUNCTION", "CREATE INDEX", "CREATE LANGUAGE",
    "CREATE MATERIALIZED VIEW", "CREATE OPERATOR", "CREATE OPERATOR CLASS", "CREATE OPERATOR FAMILY", "CREATE POLICY",
    "CREATE PROCEDURE", "CREATE PUBLICATION", "CREATE ROLE", "CREATE ROUTINE", "CREATE RULE", "CREATE SCHEMA",
    "CREATE SEQUENCE", "CREATE SERVER", "CREATE STATISTICS", "CREATE SUBSCRIPTION", "CREATE TABLE", "CREATE TABLE AS",
    "CREATE TABLESPACE", "CREATE TEXT SEARCH CONFIGURATION", "CREATE TEXT SEARCH DICTIONARY", "CREATE TEXT SEARCH PARSER",
    "CREATE TEXT SEARCH TEMPLATE", "CREATE TRANSFORM", "CREATE TRIGGER", "CREATE TYPE", "CREATE USER MAPPING", "CREATE VIEW",
    "DEALLOCATE", "DEALLOCATE ALL", "DECLARE CURSOR", "DELETE", "DISCARD", "DISCARD ALL", "DISCARD PLANS",
    "DISCARD SEQUENCES", "DISCARD TEMP", "DO", "DROP ACCESS METHOD", "DROP AGGREGATE", "DROP CAST", "DROP COLLATION",
    "DROP CONSTRAINT", "DROP CONVERSION", "DROP DATABASE", "DROP DOMAIN", "DROP EVENT TRIGGER", "DROP EXTENSION",
    "DROP FOREIGN DATA WRAPPER", "DROP FOREIGN TABLE", "DROP FUNCTION", "DROP INDEX", "DROP LANGUAGE",
    "DROP MATERIALIZED VIEW", "DROP OPERATOR", "DROP OPERATOR CLASS", "DROP OPERATOR FAMILY", "DROP OWNED", "DROP POLICY",
    "DROP PROCEDURE", "DROP PUBLICATION", "DROP ROLE", "DROP ROUTINE", "DROP RULE", "DROP SCHEMA",
    "DROP SEQUENCE", "DROP SERVER", "DROP STATISTICS", "DROP SUBSCRIPTION", "DROP TABLE", "DROP TABLESPACE",
    "DROP TEXT SEARCH CONFIGURATION", "DROP TEXT SEARCH DICTIONARY", "DROP TEXT SEARCH PARSER", "DROP TEXT SEARCH TEMPLATE",
    "DROP TRANSFORM", "DROP TRIGGER", "DROP TYPE", "DROP USER MAPPING", "DROP VIEW", "EXECUTE", "EXPLAIN", "FETCH", "GRANT",
    "GRANT ROLE", "IMPORT FOREIGN SCHEMA", "INSERT", "LISTEN", "LOAD", "LOCK TABLE", "LOGIN", "MERGE", "MOVE", "NOTIFY",
    "PREPARE", "PREPARE TRANSACTION", "REASSIGN OWNED", "REFRESH MATERIALIZED VIEW", "REINDEX", "RELEASE", "RESET", "REVOKE",
    "REVOKE ROLE", "ROLLBACK", "ROLLBACK PREPARED", "SAVEPOINT", "SECURITY LABEL", "SELECT", "SELECT FOR KEY SHARE",
    "SELECT FOR NO KEY UPDATE", "SELECT FOR SHARE", "SELECT FOR UPDATE", "SELECT INTO", "SET", "SET CONSTRAINTS", "SHOW",
    "START TRANSACTION", "TRUNCATE TABLE", "UNLISTEN", "UPDATE", "VACUUM",
];

/// Tag, an example, and what becomes of it: the code of a refusal, or `passed`, or `rewritten`.
#[rustfmt::skip]
const STATEMENTS: &[(&str, &str, &str)] = &[
    ("ALTER AGGREGATE", "ALTER AGGREGATE a (int) RENAME TO b", "PGS0205"),
    ("ALTER COLLATION", "ALTER COLLATION a RENAME TO b", "PGS0205"),
    ("ALTER CONVERSION", "ALTER CONVERSION a RENAME TO b", "PGS0205"),
    ("ALTER DATABASE", "ALTER DATABASE a SET work_mem = 1", "PGS0205"),
    ("ALTER DEFAULT PRIVILEGES", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO support", "PGS0205"),
    ("ALTER DOMAIN", "ALTER DOMAIN a DROP NOT NULL", "PGS0205"),
    ("ALTER EVENT TRIGGER", "ALTER EVENT TRIGGER a DISABLE", "PGS0205"),
    ("ALTER EXTENSION", "ALTER EXTENSION hstore UPDATE", "PGS0205"),
    ("ALTER FOREIGN DATA WRAPPER", "ALTER FOREIGN DATA WRAPPER a NO HANDLER", "PGS0205"),
    ("ALTER FOREIGN TABLE", "ALTER FOREIGN TABLE a ADD b int", "PGS0205"),
    ("ALTER FUNCTION", "ALTER FUNCTION a() OWNER TO support", "PGS0205"),
    ("ALTER INDEX", "ALTER INDEX a RENAME TO b", "PGS0205"),
    ("ALTER LANGUAGE", "ALTER LANGUAGE a RENAME TO b", "PGS0205"),
    ("ALTER LARGE OBJECT", "ALTER LARGE OBJECT 1 OWNER TO support", "PGS0205"),
    ("ALTER MATERIALIZED VIEW", "ALTER MATERIALIZED VIEW a RENAME TO b", "PGS0205"),
    ("ALTER OPERATOR", "ALTER OPERATOR + (int, int) OWNER TO support", "PGS0205"),
    ("ALTER OPERATOR CLASS", "ALTER OPERATOR CLASS a USING btree RENAME TO b", "PGS0205"),
    ("ALTER OPERATOR FAMILY", "ALTER OPERATOR FAMILY a USING btree RENAME TO b", "PGS0205"),
    ("ALTER POLICY", "ALTER POLICY p ON customers USING (true)", "PGS0205"),
    ("ALTER PROCEDURE", "ALTER PROCEDURE a() OWNER TO support", "PGS0205"),
    ("ALTER PUBLICATION", "ALTER PUBLICATION a ADD TABLE customers", "PGS0205"),
    ("ALTER ROLE", "ALTER ROLE support BYPASSRLS", "PGS0205"),
    ("ALTER ROUTINE", "ALTER ROUTINE a() OWNER TO support", "PGS0205"),
    ("ALTER RULE", "ALTER RULE a ON customers RENAME TO b", "PGS0205"),
    ("ALTER SCHEMA", "ALTER SCHEMA public RENAME TO b", "PGS0205"),
    ("ALTER SEQUENCE", "ALTER SEQUENCE a RESTART", "PGS0205"),
    ("ALTER SERVER", "ALTER SERVER a VERSION '1'", "PGS0205"),
    ("ALTER STATISTICS", "ALTER STATISTICS a SET STATISTICS 1", "PGS0205"),
    ("ALTER SUBSCRIPTION", "ALTER SUBSCRIPTION a DISABLE", "PGS0205"),
    ("ALTER SYSTEM", "ALTER SYSTEM SET work_mem = 1", "PGS0205"),
    ("ALTER TABLE", "ALTER TABLE customers ADD x int", "PGS0205"),
    ("ALTER TABLESPACE", "ALTER TABLESPACE a RENAME TO b", "PGS0205"),
    ("ALTER TEXT SEARCH CONFIGURATION", "ALTER TEXT SEARCH CONFIGURATION a RENAME TO b", "PGS0205"),
    ("ALTER TEXT SEARCH DICTIONARY", "ALTER TEXT SEARCH DICTIONARY a RENAME TO b", "PGS0205"),
    ("ALTER TEXT SEARCH PARSER", "ALTER TEXT SEARCH PARSER a RENAME TO b", "PGS0205"),
    ("ALTER TEXT SEARCH TEMPLATE", "ALTER TEXT SEARCH TEMPLATE a RENAME TO b", "PGS0205"),
    ("ALTER TRIGGER", "ALTER TRIGGER a ON customers RENAME TO b", "PGS0205"),
    ("ALTER TYPE", "ALTER TYPE a ADD VALUE 'x'", "PGS0205"),
    ("ALTER USER MAPPING", "ALTER USER MAPPING FOR support SERVER s OPTIONS (user 'a')", "PGS0205"),
    ("ALTER VIEW", "ALTER VIEW tails RENAME TO b", "PGS0205"),
    ("ANALYZE", "ANALYZE customers", "PGS0205"),
    ("BEGIN", "BEGIN", "passed"),
    ("CALL", "CALL export()", "PGS0205"),
    ("CHECKPOINT", "CHECKPOINT", "PGS0205"),
    ("CLOSE", "CLOSE a", "passed"),
    ("CLOSE CURSOR", "CLOSE a", "passed"),
    ("CLOSE CURSOR ALL", "CLOSE ALL", "passed"),
    ("CLUSTER", "CLUSTER customers", "PGS0205"),
    ("COMMENT", "COMMENT ON TABLE customers IS 'x'", "PGS0205"),
    ("COMMIT", "COMMIT", "passed"),
    ("COMMIT PREPARED", "COMMIT PREPARED 'a'", "PGS0205"),
    ("COPY", "COPY customers TO STDOUT", "rewritten"),
    ("COPY", "COPY orders FROM STDIN", "passed"),
    ("COPY FROM", "COPY customers FROM '/tmp/x'", "PGS0205"),
    ("CREATE ACCESS METHOD", "CREATE ACCESS METHOD a TYPE INDEX HANDLER h", "PGS0205"),
    ("CREATE AGGREGATE", "CREATE AGGREGATE a (int) (SFUNC = int4pl, STYPE = int)", "PGS0205"),
    ("CREATE CAST", "CREATE CAST (int AS text) WITH INOUT", "PGS0205"),
    ("CREATE COLLATION", "CREATE COLLATION a (locale = 'C')", "PGS0205"),
    ("CREATE CONVERSION", "CREATE CONVERSION a FOR 'UTF8' TO 'LATIN1' FROM f", "PGS0205"),
    ("CREATE DATABASE", "CREATE DATABASE a", "PGS0205"),
    ("CREATE DOMAIN", "CREATE DOMAIN a AS text", "PGS0205"),
    ("CREATE EVENT TRIGGER", "CREATE EVENT TRIGGER a ON ddl_command_end EXECUTE FUNCTION f()", "PGS0205"),
    ("CREATE EXTENSION", "CREATE EXTENSION a", "PGS0205"),
    ("CREATE FOREIGN DATA WRAPPER", "CREATE FOREIGN DATA WRAPPER a", "PGS0205"),
    ("CREATE FOREIGN TABLE", "CREATE FOREIGN TABLE a (i int) SERVER s", "PGS0205"),
    ("CREATE FUNCTION", "CREATE FUNCTION a () RETURNS int LANGUAGE sql AS 'SELECT 1'", "PGS0205"),
    ("CREATE INDEX", "CREATE INDEX a ON customers (phone)", "PGS0205"),
    ("CREATE LANGUAGE", "CREATE LANGUAGE a", "PGS0205"),
    ("CREATE MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW a AS SELECT phone FROM customers", "PGS0205"),
    ("CREATE OPERATOR", "CREATE OPERATOR + (LEFTARG = int, RIGHTARG = int, FUNCTION = f)", "PGS0205"),
    ("CREATE OPERATOR CLASS", "CREATE OPERATOR CLASS a FOR TYPE int USING btree AS STORAGE int", "PGS0205"),
    ("CREATE OPERATOR FAMILY", "CREATE OPERATOR FAMILY a USING btree", "PGS0205"),
    ("CREATE POLICY", "CREATE POLICY a ON customers", "PGS0205"),
    ("CREATE PROCEDURE", "CREATE PROCEDURE a () LANGUAGE sql AS 'SELECT 1'", "PGS0205"),
    ("CREATE PUBLICATION", "CREATE PUBLICATION a FOR ALL TABLES", "PGS0205"),
    ("CREATE ROLE", "CREATE ROLE a SUPERUSER", "PGS0205"),
    ("CREATE RULE", "CREATE RULE a AS ON INSERT TO orders DO ALSO SELECT phone FROM customers", "PGS0205"),
    ("CREATE SCHEMA", "CREATE SCHEMA a", "PGS0205"),
    ("CREATE SEQUENCE", "CREATE SEQUENCE a", "PGS0205"),
    ("CREATE SERVER", "CREATE SERVER a FOREIGN DATA WRAPPER w", "PGS0205"),
    ("CREATE STATISTICS", "CREATE STATISTICS a ON id, phone FROM customers", "PGS0205"),
    ("CREATE SUBSCRIPTION", "CREATE SUBSCRIPTION a CONNECTION 'x' PUBLICATION p", "PGS0205"),
    ("CREATE TABLE", "CREATE TABLE a (i int)", "PGS0205"),
    ("CREATE TABLESPACE", "CREATE TABLESPACE a LOCATION '/tmp'", "PGS0205"),
    ("CREATE TEXT SEARCH CONFIGURATION", "CREATE TEXT SEARCH CONFIGURATION a (COPY = english)", "PGS0205"),
    ("CREATE TEXT SEARCH DICTIONARY", "CREATE TEXT SEARCH DICTIONARY a (TEMPLATE = simple)", "PGS0205"),
    ("CREATE TEXT SEARCH PARSER", "CREATE TEXT SEARCH PARSER a (START = f)", "PGS0205"),
    ("CREATE TEXT SEARCH TEMPLATE", "CREATE TEXT SEARCH TEMPLATE a (LEXIZE = f)", "PGS0205"),
    ("CREATE TRANSFORM", "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION f(internal))", "PGS0205"),
    ("CREATE TRIGGER", "CREATE TRIGGER a BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION f()", "PGS0205"),
    ("CREATE TYPE", "CREATE TYPE a AS ENUM ('x')", "PGS0205"),
    ("CREATE USER MAPPING", "CREATE USER MAPPING FOR support SERVER s", "PGS0205"),
    ("CREATE VIEW", "CREATE VIEW a AS SELECT phone FROM customers", "PGS0205"),
    ("CREATE TABLE AS", "CREATE TABLE a AS SELECT phone FROM customers", "PGS0205"),
    ("CREATE TABLE AS", "CREATE TEMP TABLE a AS SELECT phone FROM customers", "rewritten"),
    ("DEALLOCATE", "DEALLOCATE a", "passed"),
    ("DEALLOCATE ALL", "DEALLOCATE ALL", "passed"),
    ("DECLARE CURSOR", "DECLARE c CURSOR FOR SELECT phone FROM customers", "rewritten"),
    ("DELETE", "DELETE FROM customers WHERE phone = 'x'", "rewritten"),
    ("DISCARD", "DISCARD TEMPORARY", "passed"),
    ("DISCARD ALL", "DISCARD ALL", "passed"),
    ("DISCARD PLANS", "DISCARD PLANS", "passed"),
    ("DISCARD SEQUENCES", "DISCARD SEQUENCES", "passed"),
    ("DISCARD TEMP", "DISCARD TEMP", "passed"),
    ("DO", "DO 'BEGIN END'", "PGS0205"),
    ("DROP ACCESS METHOD", "DROP ACCESS METHOD a", "PGS0205"),
    ("DROP AGGREGATE", "DROP AGGREGATE a (int)", "PGS0205"),
    ("DROP CAST", "DROP CAST (int AS text)", "PGS0205"),
    ("DROP COLLATION", "DROP COLLATION a", "PGS0205"),
    ("DROP CONVERSION", "DROP CONVERSION a", "PGS0205"),
    ("DROP DATABASE", "DROP DATABASE a", "PGS0205"),
    ("DROP DOMAIN", "DROP DOMAIN a", "PGS0205"),
    ("DROP EVENT TRIGGER", "DROP EVENT TRIGGER a", "PGS0205"),
    ("DROP EXTENSION", "DROP EXTENSION a", "PGS0205"),
    ("DROP FOREIGN DATA WRAPPER", "DROP FOREIGN DATA WRAPPER a", "PGS0205"),
    ("DROP FOREIGN TABLE", "DROP FOREIGN TABLE a", "PGS0205"),
    ("DROP FUNCTION", "DROP FUNCTION a", "PGS0205"),
    ("DROP INDEX", "DROP INDEX a", "PGS0205"),
    ("DROP LANGUAGE", "DROP LANGUAGE a", "PGS0205"),
    ("DROP MATERIALIZED VIEW", "DROP MATERIALIZED VIEW a", "PGS0205"),
    ("DROP OPERATOR", "DROP OPERATOR + (int, int)", "PGS0205"),
    ("DROP OPERATOR CLASS", "DROP OPERATOR CLASS a USING btree", "PGS0205"),
    ("DROP OPERATOR FAMILY", "DROP OPERATOR FAMILY a USING btree", "PGS0205"),
    ("DROP OWNED", "DROP OWNED BY support", "PGS0205"),
    ("DROP POLICY", "DROP POLICY a ON customers", "PGS0205"),
    ("DROP PROCEDURE", "DROP PROCEDURE a", "PGS0205"),
    ("DROP PUBLICATION", "DROP PUBLICATION a", "PGS0205"),
    ("DROP ROLE", "DROP ROLE a", "PGS0205"),
    ("DROP ROUTINE", "DROP ROUTINE a", "PGS0205"),
    ("DROP RULE", "DROP RULE a ON customers", "PGS0205"),
    ("DROP SCHEMA", "DROP SCHEMA a", "PGS0205"),
    ("DROP SEQUENCE", "DROP SEQUENCE a", "PGS0205"),
    ("DROP SERVER", "DROP SERVER a", "PGS0205"),
    ("DROP STATISTICS", "DROP STATISTICS a", "PGS0205"),
    ("DROP SUBSCRIPTION", "DROP SUBSCRIPTION a", "PGS0205"),
    ("DROP TABLE", "DROP TABLE customers", "PGS0205"),
    ("DROP TABLESPACE", "DROP TABLESPACE a", "PGS0205"),
    ("DROP TEXT SEARCH CONFIGURATION", "DROP TEXT SEARCH CONFIGURATION a", "PGS0205"),
    ("DROP TEXT SEARCH DICTIONARY", "DROP TEXT SEARCH DICTIONARY a", "PGS0205"),
    ("DROP TEXT SEARCH PARSER", "DROP TEXT SEARCH PARSER a", "PGS0205"),
    ("DROP TEXT SEARCH TEMPLATE", "DROP TEXT SEARCH TEMPLATE a", "PGS0205"),
    ("DROP TRANSFORM", "DROP TRANSFORM FOR int LANGUAGE sql", "PGS0205"),
    ("DROP TRIGGER", "DROP TRIGGER a ON customers", "PGS0205"),
    ("DROP TYPE", "DROP TYPE a", "PGS0205"),
    ("DROP USER MAPPING", "DROP USER MAPPING FOR support SERVER s", "PGS0205"),
    ("DROP VIEW", "DROP VIEW tails", "PGS0205"),
    ("EXECUTE", "EXECUTE p", "passed"),
    ("EXPLAIN", "EXPLAIN SELECT 1", "PGS0205"),
    ("FETCH", "FETCH c", "passed"),
    ("GRANT", "GRANT SELECT ON customers TO support", "PGS0205"),
    ("GRANT ROLE", "GRANT admin TO support", "PGS0205"),
    ("IMPORT FOREIGN SCHEMA", "IMPORT FOREIGN SCHEMA a FROM SERVER s INTO public", "PGS0205"),
    ("INSERT", "INSERT INTO customers (id, phone) VALUES (1, 'x')", "rewritten"),
    ("LISTEN", "LISTEN a", "passed"),
    ("LOAD", "LOAD 'x'", "PGS0205"),
    ("LOCK TABLE", "LOCK TABLE customers", "passed"),
    ("MERGE", "MERGE INTO customers c USING orders o ON c.id = o.id WHEN MATCHED THEN UPDATE SET phone = 'x'", "rewritten"),
    ("MOVE", "MOVE c", "passed"),
    ("NOTIFY", "NOTIFY a", "passed"),
    ("PREPARE", "PREPARE p AS SELECT phone FROM customers", "rewritten"),
    ("PREPARE TRANSACTION", "PREPARE TRANSACTION 'a'", "PGS0205"),
    ("REASSIGN OWNED", "REASSIGN OWNED BY a TO support", "PGS0205"),
    ("REFRESH MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW a", "PGS0205"),
    ("REINDEX", "REINDEX TABLE customers", "PGS0205"),
    ("RELEASE", "RELEASE a", "passed"),
    ("RESET", "RESET work_mem", "passed"),
    ("RESET", "RESET session_replication_role", "PGS0208"),
    ("REVOKE", "REVOKE SELECT ON customers FROM support", "PGS0205"),
    ("REVOKE ROLE", "REVOKE admin FROM support", "PGS0205"),
    ("ROLLBACK", "ROLLBACK", "passed"),
    ("ROLLBACK", "ROLLBACK TO a", "passed"),
    ("ROLLBACK PREPARED", "ROLLBACK PREPARED 'a'", "PGS0205"),
    ("SAVEPOINT", "SAVEPOINT a", "passed"),
    ("SECURITY LABEL", "SECURITY LABEL ON TABLE customers IS 'x'", "PGS0205"),
    ("SELECT", "SELECT phone FROM customers", "rewritten"),
    ("SELECT", "TABLE customers", "rewritten"),
    ("SELECT", "VALUES (1)", "passed"),
    ("SELECT FOR KEY SHARE", "SELECT phone FROM customers FOR KEY SHARE", "rewritten"),
    ("SELECT FOR NO KEY UPDATE", "SELECT phone FROM customers FOR NO KEY UPDATE", "rewritten"),
    ("SELECT FOR SHARE", "SELECT phone FROM customers FOR SHARE", "rewritten"),
    ("SELECT FOR UPDATE", "SELECT phone FROM customers FOR UPDATE", "rewritten"),
    ("SELECT INTO", "SELECT phone INTO a FROM customers", "PGS0205"),
    ("SELECT INTO", "SELECT phone INTO TEMP a FROM customers", "rewritten"),
    ("SET", "SET work_mem = '4MB'", "passed"),
    ("SET", "SET session_replication_role = replica", "PGS0208"),
    ("SET CONSTRAINTS", "SET CONSTRAINTS ALL DEFERRED", "passed"),
    ("SET", "SET ROLE owner", "passed to owner alone"),
    ("SHOW", "SHOW work_mem", "passed"),
    ("START TRANSACTION", "START TRANSACTION", "passed"),
    ("TRUNCATE TABLE", "TRUNCATE orders", "passed"),
    ("UNLISTEN", "UNLISTEN *", "passed"),
    ("UPDATE", "UPDATE customers SET phone = 'x' WHERE id = 1", "rewritten"),
    ("VACUUM", "VACUUM customers", "PGS0205"),
    ("GRANT", "ALTER GROUP a ADD USER support", "PGS0205"),
    ("CREATE ROLE", "CREATE USER a", "PGS0205"),
    ("CREATE ROLE", "CREATE GROUP a", "PGS0205"),
    ("CREATE CONSTRAINT", "CREATE CONSTRAINT TRIGGER a AFTER INSERT ON customers FOR EACH ROW EXECUTE FUNCTION f()", "PGS0205"),
];

fn outcome(sql: &str, inputs: &Inputs, protocol: Protocol) -> String {
    let path = ["pg_catalog", "public"].map(str::to_owned).into();
    let context = QueryContext { role: RoleId(0), search_path: path, protocol };
    match plan(sql, &context, inputs) {
        Ok(plan) if plan.statements[0].access.decision == "rewrite" => "rewritten".to_owned(),
        // The session knows who it is.
        Ok(plan) => match &plan.statements[0].access.login {
            Some(login) => format!("passed to {login} alone"),
            None => "passed".to_owned(),
        },
        Err(refused) => {
            let said = refused.refusal.to_string();
            said.find("PGS").map_or(said.clone(), |at| said[at..at + 7].to_owned())
        }
    }
}

#[test]
fn every_command_has_its_outcome() {
    let mut data = testing::database();
    testing::table(&mut data, "customers", "id bigint, phone varchar(20)");
    testing::table(&mut data, "orders", "id bigint, customer_id bigint");
    testing::role(&mut data, "support", &[]);
    let catalog = CatalogSnapshot::new(data, 1);
    let file = RuleFile { path: "rules.toml".into(), text: RULES.into() };
    let policy = RuleSet::parse(&[file]).unwrap().compile(&catalog).unwrap_or_else(|complaints| panic!("{complaints}"));
    let inputs = Inputs { catalog, policy: Arc::new(policy) };
    let mut problems = Vec::new();
    for (tag, sql, expected) in STATEMENTS {
        for protocol in [Protocol::Simple, Protocol::EXTENDED] {
            let outcome = outcome(sql, &inputs, protocol.clone());
            if outcome != *expected {
                problems.push(format!("{tag}: {sql}: {outcome}, not {expected} ({protocol:?})"));
            }
        }
    }
    assert!(problems.is_empty(), "{} differ\n{}", problems.len(), problems.join("\n"));
}

/// A command that is added to this list by a later PostgreSQL is to be judged here before anything else.
#[test]
fn every_tag_is_there() {
    let known: BTreeSet<&str> =
        STATEMENTS.iter().map(|(tag, _, _)| *tag).chain(NO_STATEMENTS.iter().copied()).collect();
    let missing: Vec<&&str> = TAGS.iter().filter(|tag| !known.contains(**tag)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
