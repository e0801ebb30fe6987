//! The tables of built-in functions and system relations, held against a running server.

use pgscrim::catalog::{
    functions::{Builtin, builtin, builtin_out_names, is_aggregate, is_window},
    system::{SystemRelation, system_relation},
};

use super::common::{Postgres, psql, run};

fn texts(postgres: &Postgres, sql: &str) -> Vec<Vec<String>> {
    postgres
        .sql("postgres", sql)
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
        .collect()
}

#[test]
fn every_function_of_the_server_is_classified() {
    let postgres = Postgres::start();
    let rows = texts(
        &postgres,
        "SELECT proname, bool_or(prokind = 'a'), bool_or(prokind = 'w') FROM pg_proc \
          WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 GROUP BY 1",
    );
    assert!(rows.len() > 2000);
    let missing: Vec<&str> = rows.iter().filter(|row| builtin(&row[0]).is_none()).map(|row| row[0].as_str()).collect();
    assert!(missing.is_empty(), "not classified: {missing:?}");
    for row in &rows {
        assert_eq!((is_aggregate(&row[0]), is_window(&row[0])), (row[1] == "t", row[2] == "t"), "{}", row[0]);
    }
}

/// What no list may allow, whatever was read by eye: volatile functions that only superusers may run, and those that
/// take a text named like a query.
#[test]
fn what_the_server_keeps_from_ordinary_roles_is_refused() {
    let postgres = Postgres::start();
    let rows = texts(
        &postgres,
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 \
            AND (NOT has_function_privilege('public', oid, 'execute') OR proargnames && '{query,sql,sqlquery,filename}')",
    );
    assert!(rows.len() > 20, "{}", rows.len());
    let open: Vec<&str> = rows
        .iter()
        .map(|row| row[0].as_str())
        .filter(|name| builtin(name) != Some(Builtin::Refused) && !matches!(*name, "ts_headline"))
        .collect();
    assert!(open.is_empty(), "allowed: {open:?}");
}

#[test]
fn out_columns_are_those_of_the_server() {
    let postgres = Postgres::start();
    let rows = texts(
        &postgres,
        "SELECT p.proname, (SELECT string_agg(p.proargnames[i], ' ' ORDER BY i) FROM generate_subscripts(p.proargmodes, 1) i \
                             WHERE p.proargmodes[i] IN ('o', 'b', 't')) \
           FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 \
            AND proargmodes && ARRAY['o', 'b', 't']::\"char\"[] ORDER BY 1",
    );
    for row in rows.iter().filter(|row| builtin(&row[0]) == Some(Builtin::Allowed)) {
        let found = builtin_out_names(&row[0]).unwrap_or_default().join(" ");
        // Later releases add columns to some.
        assert!(found == row[1] || found.contains(&row[1]), "{}: {found} is not {}", row[0], row[1]);
    }
}

#[test]
fn every_system_relation_of_the_server_is_known() {
    let postgres = Postgres::start();
    let refused = [
        "pg_aios",
        "pg_authid",
        "pg_backend_memory_contexts",
        "pg_config",
        "pg_file_settings",
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "pg_largeobject",
        "pg_replication_origin",
        "pg_replication_origin_status",
        "pg_shadow",
        "pg_shmem_allocations",
        "pg_shmem_allocations_numa",
        "pg_statistic",
        "pg_statistic_ext_data",
        "pg_stats",
        "pg_stats_ext",
        "pg_stats_ext_exprs",
        "pg_user_mapping",
        "user_mapping_options",
        "_pg_user_mappings",
    ];
    let statistics = ["pg_stat_activity", "pg_stat_ssl", "pg_stat_database"];
    let rows = texts(
        &postgres,
        "SELECT n.nspname, c.relname, array_to_string(array(SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0), ' ') \
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')",
    );
    assert!(rows.len() > 180);
    for row in &rows {
        let (schema, name) = (row[0].as_str(), row[1].as_str());
        match system_relation(schema, name) {
            SystemRelation::Allowed => assert!(!refused.contains(&name), "{name} is allowed"),
            SystemRelation::Without(columns) => {
                // Older releases lack some columns, never all.
                assert!(
                    columns.iter().any(|column| row[2].split(' ').any(|found| found == *column)),
                    "{name}: {columns:?}"
                );
            }
            SystemRelation::Refused => {
                let on_purpose = refused.contains(&name) || name.starts_with("pg_stat") && !statistics.contains(&name);
                assert!(on_purpose, "{schema}.{name} is in no list");
            }
        }
    }
    // A relation that only a superuser may read is not for restricted roles either.
    let kept = texts(
        &postgres,
        "SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') \
            AND NOT has_table_privilege('public', oid, 'select')",
    );
    assert!(!kept.is_empty());
    for row in kept {
        assert_ne!(system_relation("pg_catalog", &row[0]), SystemRelation::Allowed, "{}", row[0]);
    }
}

/// The queries behind psql's commands, asked of psql itself, call only what is allowed.
#[test]
fn psql_commands_need_only_what_is_allowed() {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE TABLE t (id serial PRIMARY KEY, a text CHECK (a <> ''), b int REFERENCES t); CREATE VIEW v AS SELECT * FROM t");
    let commands = [
        "\\d",
        "\\d+",
        "\\d t",
        "\\d+ t",
        "\\d v",
        "\\d+ v",
        "\\d t_id_seq",
        "\\dt+",
        "\\dv+",
        "\\dm+",
        "\\di+",
        "\\ds+",
        "\\dE+",
        "\\da",
        "\\dA+",
        "\\db+",
        "\\dc+",
        "\\dC+",
        "\\dd",
        "\\dD+",
        "\\ddp",
        "\\det+",
        "\\des+",
        "\\deu",
        "\\dew+",
        "\\df+",
        "\\dfa",
        "\\dF+",
        "\\dFd+",
        "\\dFp+",
        "\\dFt+",
        "\\dg+",
        "\\dl",
        "\\dL+",
        "\\dn+",
        "\\do+",
        "\\dO+",
        "\\dp",
        "\\dP+",
        "\\drds",
        "\\dRp+",
        "\\dRs",
        "\\dT+",
        "\\du+",
        "\\dx+",
        "\\dX",
        "\\dy+",
        "\\l+",
        "\\sf lower(text)",
        "\\sv v",
        "\\z",
        "\\dAc+",
        "\\dAf+",
        "\\dAo+",
        "\\dAp+",
        "\\dconfig+",
        "\\dS+",
        "\\conninfo",
    ];
    let mut command = psql(postgres.sockets.to_str().unwrap(), postgres.port, "postgres", "postgres");
    command.arg("-E").args(["-v", "ON_ERROR_STOP=0", "-v", "PROMPT1="]);
    for text in commands {
        command.args(["-c", text]);
    }
    let output = String::from_utf8(run(&mut command).stdout).unwrap();
    let mut queries = 0;
    let mut inside = false;
    let mut sql = String::new();
    for line in output.lines() {
        if line.starts_with("********* QUERY") {
            inside = true;
        } else if inside && line.starts_with("********") {
            inside = false;
            queries += 1;
            check_calls(&std::mem::take(&mut sql));
        } else if inside {
            sql.push_str(line);
            sql.push('\n');
        }
    }
    assert!(queries > 80, "only {queries} queries seen in psql's output");
}

/// Every `name (` and every relation after FROM or JOIN in `sql` is allowed.
fn check_calls(sql: &str) {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let bytes = sql.as_bytes();
    for (at, _) in sql.match_indices('(') {
        let start = bytes[..at].iter().rposition(|byte| !name(*byte)).map_or(0, |before| before + 1);
        let called = sql[start..at].trim_start_matches("pg_catalog.");
        let word = !called.is_empty()
            && called.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        // `pg_table(...)` is a call; type names with lengths and aliases are not.
        if word && !matches!(called, "t" | "a" | "s" | "char" | "c" | "version" | "w") {
            assert_eq!(builtin(called), Some(Builtin::Allowed), "{called} in\n{sql}");
        }
    }
    let words: Vec<&str> =
        sql.split(|c: char| c.is_whitespace() || c == ',' || c == ')').filter(|word| !word.is_empty()).collect();
    for pair in words.windows(2) {
        if pair[0].eq_ignore_ascii_case("from") || pair[0].eq_ignore_ascii_case("join") {
            if let Some(relation) =
                pair[1].trim_end_matches(';').strip_prefix("pg_catalog.pg_").filter(|name| !name.contains('('))
            {
                let verdict = system_relation("pg_catalog", &format!("pg_{relation}"));
                assert_ne!(verdict, SystemRelation::Refused, "pg_{relation} in\n{sql}");
            }
        }
    }
}
