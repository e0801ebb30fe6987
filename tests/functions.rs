//! The allow-list of built-in functions against a real server's `pg_proc`: every name is known, what reaches data, files,
//! sessions or settings is refused, what clients need is allowed, and nothing volatile is allowed but what is named here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::collections::BTreeSet;

use common::Postgres;
use pgscrim::{
    catalog::functions::{Builtin, builtin, is_set_returning, is_volatile},
    rewrite::MAKES_OR_MEETS,
};

const REFUSED: &[&str] = &[
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xmlschema",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xmlschema",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xmlschema",
    "database_to_xml_and_xmlschema",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_stat_file",
    "pg_ls_dir",
    "pg_ls_logdir",
    "pg_ls_waldir",
    "pg_ls_tmpdir",
    "pg_ls_archive_statusdir",
    "lo_import",
    "lo_export",
    "lo_get",
    "lo_put",
    "lo_open",
    "lo_create",
    "lo_creat",
    "lo_unlink",
    "lo_from_bytea",
    "loread",
    "lowrite",
    "lo_lseek",
    "lo_lseek64",
    "lo_tell",
    "lo_truncate",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_notify",
    "pg_advisory_lock",
    "pg_try_advisory_lock",
    "pg_advisory_xact_lock",
    "pg_try_advisory_xact_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_logical_slot_get_changes",
    "pg_logical_slot_peek_changes",
    "pg_logical_slot_get_binary_changes",
    "pg_logical_emit_message",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_drop_replication_slot",
    "pg_switch_wal",
    "pg_create_restore_point",
    "pg_stat_get_activity",
    "pg_stat_get_backend_activity",
    "pg_prepared_statement",
    "pg_cursor",
    "pg_hba_file_rules",
    "pg_show_all_file_settings",
    "pg_export_snapshot",
    "pg_import_system_collations",
    "pg_stat_reset",
    "brin_summarize_new_values",
    "gin_clean_pending_list",
    "pg_promote",
    "pg_wal_replay_pause",
    "pg_log_backend_memory_contexts",
    "pg_replication_origin_create",
    "binary_upgrade_set_next_pg_type_oid",
    "pg_config",
    "pg_lock_status",
    "pg_stats_ext_mcvlist_items",
    "pg_mcv_list_items",
    "pg_stat_statements",
    "pg_get_shmem_allocations",
    "pg_extension_config_dump",
];

const ALLOWED: &[&str] = &[
    "lower",
    "upper",
    "length",
    "substr",
    "substring",
    "left",
    "right",
    "concat",
    "concat_ws",
    "format",
    "replace",
    "trim",
    "btrim",
    "to_char",
    "to_date",
    "to_timestamp",
    "date_trunc",
    "date_part",
    "extract",
    "age",
    "now",
    "clock_timestamp",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "row_number",
    "rank",
    "lag",
    "lead",
    "first_value",
    "generate_series",
    "unnest",
    "array_length",
    "cardinality",
    "jsonb_each",
    "jsonb_each_text",
    "json_each_text",
    "jsonb_array_elements",
    "jsonb_build_object",
    "to_json",
    "to_jsonb",
    "row_to_json",
    "json_build_object",
    "md5",
    "sha256",
    "encode",
    "decode",
    "round",
    "floor",
    "ceil",
    "abs",
    "mod",
    "random",
    "gen_random_uuid",
    "version",
    "current_database",
    "current_schema",
    "current_schemas",
    "pg_backend_pid",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "format_type",
    "pg_get_expr",
    "pg_get_indexdef",
    "pg_get_constraintdef",
    "pg_get_viewdef",
    "pg_get_userbyid",
    "pg_get_serial_sequence",
    "obj_description",
    "col_description",
    "shobj_description",
    "has_table_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "pg_encoding_to_char",
    "pg_get_functiondef",
    "pg_get_function_result",
    "pg_get_function_arguments",
    "quote_ident",
    "quote_literal",
    "regexp_replace",
    "regexp_matches",
    "split_part",
    "position",
    "strpos",
    "to_tsvector",
    "to_tsquery",
    "nextval",
    "currval",
    "array_to_string",
    "string_to_array",
    "current_setting",
    "pg_typeof",
    "bool_and",
    "bool_or",
    "width_bucket",
];

/// Volatile functions that restricted roles may call: they show or change nothing of other people's.
const VOLATILE: &[&str] = &[
    // Sizes and states that psql and GUI tools show; they tell of amounts, not of values.
    "pg_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_total_relation_size",
    "pg_database_size",
    "pg_tablespace_size",
    "pg_partition_tree",
    "pg_partition_ancestors",
    "pg_sequence_last_value",
    "pg_is_in_recovery",
    "pg_jit_available",
    "pg_collation_actual_version",
    "pg_database_collation_actual_version",
    "amvalidate",
    "bernoulli",
    "system",
    "pg_xact_status",
    "txid_status",
    "random",
    "array_sample",
    "array_shuffle",
    // Of PostgreSQL 14; its other forms and later versions are not volatile.
    "timezone",
    // Of sequences, as pg_dump of PostgreSQL 18 reads them; a list of the server's own words.
    "pg_get_sequence_data",
    "pg_get_wait_events",
    "setseed",
    "gen_random_uuid",
    "clock_timestamp",
    "timeofday",
    "nextval",
    "currval",
    "lastval",
    "set_config",
    "statement_timestamp",
    "random_normal",
    "uuidv4",
    "uuidv7",
    "txid_current",
    "pg_current_xact_id",
    "pg_trigger_depth",
    "setval",
    // Gives back what the session holds.
    "pg_advisory_unlock_all",
    // What pgAdmin asks: who waits for whom, whether a standby stands still.
    "pg_blocking_pids",
    "pg_safe_snapshot_blocking_pids",
    "pg_is_wal_replay_paused",
    "pg_get_wal_replay_pause_state",
];

/// Types that stand for any one.
const ANY: &str =
    "'{anyelement,anyarray,anynonarray,anycompatible,anycompatiblearray,anycompatiblenonarray}'::regtype[]";

/// See `rewrite/domains.rs`: functions that take a value of any type, and make an array of it or take another of its type.
#[test]
fn what_makes_a_constant_a_value_of_any_type_is_known() {
    let postgres = Postgres::start();
    let rows = postgres.sql(
        "postgres",
        &format!(
            "SELECT DISTINCT proname::text FROM pg_proc, unnest(proargtypes::regtype[]) AS one (type)
              WHERE pronamespace = 'pg_catalog'::regnamespace AND NOT 'internal'::regtype = ANY (proargtypes::regtype[])
                AND one.type = ANY ('{{anyelement,anynonarray,anycompatible,anycompatiblenonarray}}'::regtype[])
                AND (prorettype IN ('anyarray'::regtype, 'anycompatiblearray'::regtype)
                     OR (SELECT count(*) FROM unnest(proargtypes::regtype[]) t (type) WHERE t.type = ANY ({ANY})) > 1)"
        ),
    );
    let found: BTreeSet<String> = rows.into_iter().flatten().flatten().collect();
    assert!(found.len() > 8, "{found:?}");
    let unknown: Vec<_> = found.iter().filter(|name| !MAKES_OR_MEETS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_allow_list_fits_the_server() {
    let server = Postgres::start();
    let rows = server.sql(
        "postgres",
        "SELECT proname, bool_or(provolatile = 'v')::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace \
         GROUP BY 1 ORDER BY 1",
    );
    let all: Vec<(String, bool)> =
        rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].as_deref() == Some("true"))).collect();
    let names: BTreeSet<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let mut problems = Vec::new();
    for (name, volatile) in &all {
        match builtin(name) {
            None => problems.push(format!("{name}: unknown")),
            Some(Builtin::Allowed) if *volatile && !VOLATILE.contains(&name.as_str()) => {
                problems.push(format!("{name}: volatile, yet allowed"));
            }
            Some(Builtin::Allowed | Builtin::Refused) => {}
        }
    }
    let unmarked = all.iter().filter(|(name, volatile)| *volatile && builtin(name) == Some(Builtin::Allowed));
    problems.extend(
        unmarked.filter(|(name, _)| !is_volatile(name)).map(|(name, _)| format!("{name}: not in volatile.txt")),
    );
    for name in REFUSED.iter().filter(|name| names.contains(*name)) {
        if builtin(name) != Some(Builtin::Refused) {
            problems.push(format!("{name}: not refused"));
        }
    }
    for name in ALLOWED.iter().filter(|name| names.contains(*name)) {
        if builtin(name) != Some(Builtin::Allowed) {
            problems.push(format!("{name}: not allowed, though clients need it"));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// A view may not hand out how many rows a hidden column makes: who returns rows must be known.
#[test]
fn what_returns_rows_is_known() {
    let server = Postgres::start();
    let rows = server.sql(
        "postgres",
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proretset ORDER BY 1",
    );
    let names: Vec<String> = rows.into_iter().filter_map(|row| row[0].clone()).collect();
    assert!(names.iter().any(|name| name == "unnest"));
    let unknown: Vec<&String> = names.iter().filter(|name| !is_set_returning(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
