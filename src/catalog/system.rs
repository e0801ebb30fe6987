//! Which relations of `pg_catalog` and `information_schema` restricted roles may read. In: schema and name. Out:
//! [`SystemRelation`]. Invariant: every relation that is not listed is refused, so that a new release of PostgreSQL
//! opens nothing.
//!
//! The lists name every relation of PostgreSQL 14–18. Allowed is what drivers, ORMs, psql and GUI tools read to know the
//! schema: names, types, keys, definitions, privileges, counts. Refused or withheld is what holds values of user tables
//! (statistics, large objects, missing values of added columns, TOAST tables), SQL text and parameters of other sessions
//! and of this one after rewriting, keys of advisory locks, secrets (passwords, connection strings, options of user
//! mappings), and files of the server. Of what tools show beside the schema, block counters, positions in the write-ahead
//! log and counts of calls and of scans read as NULL.
//!
//! Counts of rows (`reltuples`, `n_live_tup`) stay readable: they tell how many rows there are, not what is in them.

/// What a restricted role gets of a system relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRelation {
    /// All of it.
    Allowed,
    /// All but these columns, which read as NULL.
    Without(&'static [&'static str]),
    /// Nothing.
    Refused,
}

/// The verdict on `schema.name`, where `schema` is `pg_catalog`, `information_schema` or `pg_toast`. Unlisted: refused.
pub fn system_relation(schema: &str, name: &str) -> SystemRelation {
    match schema {
        "pg_catalog" => {
            if let Some((_, columns)) = CATALOG_WITHOUT.iter().find(|(listed, _)| *listed == name) {
                SystemRelation::Without(columns)
            } else {
                allowed_in(CATALOG_ALLOWED, name)
            }
        }
        "information_schema" => allowed_in(INFORMATION_SCHEMA_ALLOWED, name),
        // TOAST tables hold the raw bytes of long values.
        _ => SystemRelation::Refused,
    }
}

/// Whether a relation of this name shows SQL text, values or pages of others whatever schema its extension was put
/// into: refused like a system relation. To be asked for relations outside the system's schemas.
pub fn is_refused_anywhere(name: &str) -> bool {
    EXTENSIONS_REFUSED.binary_search(&name).is_ok()
}

fn allowed_in(list: &[&str], name: &str) -> SystemRelation {
    if list.binary_search(&name).is_ok() { SystemRelation::Allowed } else { SystemRelation::Refused }
}

const CATALOG_ALLOWED: &[&str] = &[
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_auth_members",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_database",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_largeobject_metadata",
    "pg_matviews",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_rewrite",
    "pg_roles",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_sequence",
    "pg_sequences",
    "pg_settings",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_subscription_rel",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user",
    "pg_views",
    "pg_wait_events",
];

const CATALOG_WITHOUT: &[(&str, &[&str])] = &[
    ("pg_attribute", &["attmissingval"]),
    // Which plan was chosen says what the statistics of hidden rows hold: whether it can run backward, how often it was made, which indexes it locks.
    ("pg_cursors", &["statement", "is_scrollable"]),
    ("pg_locks", &["relation", "page", "tuple", "classid", "objid", "objsubid"]),
    ("pg_prepared_statements", &["statement", "generic_plans", "custom_plans"]),
    ("pg_prepared_xacts", &["gid"]),
    ("pg_replication_slots", &["restart_lsn", "confirmed_flush_lsn"]),
    ("pg_stat_activity", &["query", "query_id"]),
    ("pg_stat_all_indexes", INDEX_SCANS),
    ("pg_stat_all_tables", TABLE_SCANS),
    // How long values are shows in the blocks that are read for them.
    (
        "pg_stat_database",
        &[
            "blks_read",
            "blks_hit",
            "blk_read_time",
            "blk_write_time",
            "temp_files",
            "temp_bytes",
            "tup_returned",
            "tup_fetched",
        ],
    ),
    ("pg_stat_replication", &["sent_lsn", "write_lsn", "flush_lsn", "replay_lsn"]),
    ("pg_stat_ssl", &["client_dn", "client_serial", "issuer_dn"]),
    ("pg_stat_subscription", &["received_lsn", "latest_end_lsn"]),
    ("pg_stat_sys_indexes", INDEX_SCANS),
    ("pg_stat_sys_tables", TABLE_SCANS),
    ("pg_stat_user_functions", &["calls", "total_time", "self_time"]),
    ("pg_stat_user_indexes", INDEX_SCANS),
    ("pg_stat_user_tables", TABLE_SCANS),
    ("pg_statio_all_indexes", &["idx_blks_read", "idx_blks_hit"]),
    ("pg_statio_all_sequences", &["blks_read", "blks_hit"]),
    ("pg_statio_all_tables", BLOCK_COUNTERS),
    ("pg_statio_sys_indexes", &["idx_blks_read", "idx_blks_hit"]),
    ("pg_statio_sys_sequences", &["blks_read", "blks_hit"]),
    ("pg_statio_sys_tables", BLOCK_COUNTERS),
    ("pg_statio_user_indexes", &["idx_blks_read", "idx_blks_hit"]),
    ("pg_statio_user_sequences", &["blks_read", "blks_hit"]),
    ("pg_statio_user_tables", BLOCK_COUNTERS),
    ("pg_subscription", &["subconninfo"]),
    ("pg_user_mappings", &["umoptions"]),
];

/// A condition of the rules is asked for the rows that the client's own finds: a scan of what it reads tells that there was one. And an update
/// that changes no indexed value can be told from one that does, as by the dead rows that it leaves.
const TABLE_SCANS: &[&str] = &[
    "seq_scan",
    "last_seq_scan",
    "seq_tup_read",
    "idx_scan",
    "last_idx_scan",
    "idx_tup_fetch",
    "n_tup_hot_upd",
    "n_tup_newpage_upd",
    "n_dead_tup",
];

const INDEX_SCANS: &[&str] = &["idx_scan", "last_idx_scan", "idx_tup_read", "idx_tup_fetch"];

/// Blocks read tell which values are long enough to be stored apart. The rest of those views, oids and names of tables, is
/// how many tools find the comment of a column.
const BLOCK_COUNTERS: &[&str] = &[
    "heap_blks_read",
    "heap_blks_hit",
    "idx_blks_read",
    "idx_blks_hit",
    "toast_blks_read",
    "toast_blks_hit",
    "tidx_blks_read",
    "tidx_blks_hit",
];

const INFORMATION_SCHEMA_ALLOWED: &[&str] = &[
    "_pg_foreign_data_wrappers",
    "_pg_foreign_servers",
    "_pg_foreign_table_columns",
    "_pg_foreign_tables",
    "administrable_role_authorizations",
    "applicable_roles",
    "attributes",
    "character_sets",
    "check_constraint_routine_usage",
    "check_constraints",
    "collation_character_set_applicability",
    "collations",
    "column_column_usage",
    "column_domain_usage",
    "column_options",
    "column_privileges",
    "column_udt_usage",
    "columns",
    "constraint_column_usage",
    "constraint_table_usage",
    "data_type_privileges",
    "domain_constraints",
    "domain_udt_usage",
    "domains",
    "element_types",
    "enabled_roles",
    "foreign_data_wrapper_options",
    "foreign_data_wrappers",
    "foreign_server_options",
    "foreign_servers",
    "foreign_table_options",
    "foreign_tables",
    "information_schema_catalog_name",
    "key_column_usage",
    "parameters",
    "referential_constraints",
    "role_column_grants",
    "role_routine_grants",
    "role_table_grants",
    "role_udt_grants",
    "role_usage_grants",
    "routine_column_usage",
    "routine_privileges",
    "routine_routine_usage",
    "routine_sequence_usage",
    "routine_table_usage",
    "routines",
    "schemata",
    "sequences",
    "sql_features",
    "sql_implementation_info",
    "sql_parts",
    "sql_sizing",
    "table_constraints",
    "table_privileges",
    "tables",
    "transforms",
    "triggered_update_columns",
    "triggers",
    "udt_privileges",
    "usage_privileges",
    "user_defined_types",
    "user_mappings",
    "view_column_usage",
    "view_routine_usage",
    "view_table_usage",
    "views",
];

const EXTENSIONS_REFUSED: &[&str] = &[
    "hypopg_list_indexes",
    "pg_buffercache",
    "pg_buffercache_numa",
    "pg_buffercache_os_pages",
    "pg_qualstats",
    "pg_qualstats_all",
    "pg_qualstats_by_query",
    "pg_qualstats_pretty",
    "pg_stat_monitor",
    "pg_stat_statements",
    "pg_stat_statements_info",
    "pg_store_plans",
    // The key of masks, from which their pseudonyms could be computed.
    "pgscrim_key",
];

/// Refused on purpose, so that a test can tell them from forgotten ones.
#[cfg(test)]
pub(crate) const KNOWN_REFUSED: &[&str] = &[
    "_pg_user_mappings",
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
    "pg_stat_archiver",
    "pg_stat_bgwriter",
    "pg_stat_checkpointer",
    "pg_stat_database_conflicts",
    "pg_stat_gssapi",
    "pg_stat_io",
    "pg_stat_progress_analyze",
    "pg_stat_progress_basebackup",
    "pg_stat_progress_cluster",
    "pg_stat_progress_copy",
    "pg_stat_progress_create_index",
    "pg_stat_progress_vacuum",
    "pg_stat_recovery_prefetch",
    "pg_stat_replication_slots",
    "pg_stat_slru",
    "pg_stat_subscription_stats",
    "pg_stat_wal",
    "pg_stat_wal_receiver",
    "pg_stat_xact_all_tables",
    "pg_stat_xact_sys_tables",
    "pg_stat_xact_user_functions",
    "pg_stat_xact_user_tables",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_user_mapping",
    "user_mapping_options",
];

#[cfg(test)]
mod tests {
    use super::{
        CATALOG_ALLOWED, CATALOG_WITHOUT, EXTENSIONS_REFUSED, INFORMATION_SCHEMA_ALLOWED, KNOWN_REFUSED,
        SystemRelation, is_refused_anywhere, system_relation,
    };

    #[test]
    fn lists_are_sorted_and_apart() {
        for list in [CATALOG_ALLOWED, INFORMATION_SCHEMA_ALLOWED, EXTENSIONS_REFUSED] {
            assert!(list.is_sorted(), "{list:?}");
        }
        for name in KNOWN_REFUSED {
            for schema in ["pg_catalog", "information_schema"] {
                assert_eq!(system_relation(schema, name), SystemRelation::Refused, "{name}");
            }
        }
        for (name, columns) in CATALOG_WITHOUT {
            assert!(!CATALOG_ALLOWED.contains(name) && !columns.is_empty(), "{name}");
        }
    }

    #[test]
    fn values_and_secrets_are_refused() {
        for name in ["pg_stats", "pg_statistic", "pg_statistic_ext_data", "pg_authid", "pg_shadow", "pg_largeobject"] {
            assert_eq!(system_relation("pg_catalog", name), SystemRelation::Refused, "{name}");
        }
        assert_eq!(system_relation("pg_toast", "pg_toast_2619"), SystemRelation::Refused);
        assert_eq!(system_relation("information_schema", "user_mapping_options"), SystemRelation::Refused);
        assert_eq!(system_relation("public", "pg_class"), SystemRelation::Refused);
        assert_eq!(system_relation("pg_catalog", "pg_brand_new"), SystemRelation::Refused);
        let SystemRelation::Without(columns) = system_relation("pg_catalog", "pg_stat_activity") else {
            panic!("pg_stat_activity in full");
        };
        assert!(columns.contains(&"query"));
        assert!(is_refused_anywhere("pg_stat_statements") && !is_refused_anywhere("customers"));
    }

    #[test]
    fn tools_can_read_the_schema() {
        for name in ["pg_class", "pg_namespace", "pg_type", "pg_index", "pg_constraint", "pg_settings", "pg_roles"] {
            assert_eq!(system_relation("pg_catalog", name), SystemRelation::Allowed, "{name}");
        }
        assert_eq!(system_relation("information_schema", "columns"), SystemRelation::Allowed);
        assert_eq!(system_relation("information_schema", "element_types"), SystemRelation::Allowed);
    }
}
