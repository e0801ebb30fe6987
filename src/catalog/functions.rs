//! The functions of `pg_catalog` that restricted roles may call: a reviewed table by name. In: a name as in
//! `pg_proc.proname`. Out: [`Builtin`]. Invariant: a name in no list is unknown, and the caller refuses it; a new release
//! of PostgreSQL adds nothing by itself.
//!
//! The lists cover PostgreSQL 14–18. They were made with
//!
//! ```sql
//! SELECT proname, string_agg(DISTINCT provolatile::text || prokind::text, ',') FROM pg_proc
//!  WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 GROUP BY 1 ORDER BY 1;
//! SELECT proname, proargnames, proargmodes FROM pg_proc
//!  WHERE pronamespace = 'pg_catalog'::regnamespace AND proargmodes && ARRAY['o', 'b', 't']::"char"[];
//! ```
//!
//! and read by eye. The rule behind `allowed.txt`: all overloads of a name depend on their arguments, on the clock, on
//! chance, or on catalogs and settings that everybody may read, and change nothing but a sequence's next value.
//! `refused.txt` holds what runs SQL given as text (`query_to_xml`, `ts_stat`, `ts_rewrite`), runs the checks of a type that is named
//! in a text (`pg_input_is_valid`), reads or writes files,
//! large objects, logs, statistics or other sessions, sends messages, takes locks, waits, sets settings, or is internal
//! to the server. `set_config`, advisory locks, `pg_notify` and `current_query` are refused here; the engine allows literal uses of the
//! first, keys of the second that come from no hidden column, and messages of the third that come from no column at all.
//! Sizes of relations (`pg_relation_size`) are allowed, because psql prints them; they tell how much data there is.
//!
//! Constructs that look like functions and stand in no catalog (`coalesce`, `xmlelement`, `json_array`, …) are listed
//! as well, and so are types that a value is cast to by a call where no function has their name (`uuid('…')`, `jsonb('…')`,
//! `regtype('…')`): PostgreSQL makes such a call an I/O conversion or nothing at all, never a call of a cast's function.

use std::{collections::HashMap, sync::LazyLock};

use foldhash::fast::FixedState;

use super::{CatalogSnapshot, data::FunctionData};

/// What is known of a function name of `pg_catalog` (all its overloads together).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Depends on its arguments (and harmless session state) alone.
    Allowed,
    /// Exists, and may reach data, files, other sessions or settings.
    Refused,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
struct Entry {
    verdict: Builtin,
    aggregate: bool,
    window: bool,
    set: bool,
    volatile: bool,
    out: &'static [&'static str],
}

static ENTRIES: LazyLock<HashMap<&'static str, Entry, FixedState>> = LazyLock::new(|| {
    let mut entries = HashMap::default();
    let lists = [
        (include_str!("functions/refused.txt"), Builtin::Refused),
        (include_str!("functions/allowed.txt"), Builtin::Allowed),
    ];
    for (names, verdict) in lists {
        for name in names.split_ascii_whitespace() {
            let plain = Entry { verdict, aggregate: false, window: false, set: false, volatile: false, out: &[] };
            let earlier = entries.insert(name, plain);
            // A name in both lists is refused.
            if earlier.is_some_and(|earlier| earlier.verdict == Builtin::Refused)
                && let Some(entry) = entries.get_mut(name)
            {
                entry.verdict = Builtin::Refused;
            }
        }
    }
    for name in include_str!("functions/aggregates.txt").split_ascii_whitespace() {
        if let Some(entry) = entries.get_mut(name) {
            entry.aggregate = true;
        }
    }
    for name in include_str!("functions/windows.txt").split_ascii_whitespace() {
        if let Some(entry) = entries.get_mut(name) {
            entry.window = true;
        }
    }
    for name in include_str!("functions/sets.txt").split_ascii_whitespace() {
        if let Some(entry) = entries.get_mut(name) {
            entry.set = true;
        }
    }
    for name in include_str!("functions/volatile.txt").split_ascii_whitespace() {
        if let Some(entry) = entries.get_mut(name) {
            entry.volatile = true;
        }
    }
    for line in include_str!("functions/out_columns.txt").lines() {
        let mut words = line.split_ascii_whitespace();
        if let Some(entry) = words.next().and_then(|name| entries.get_mut(name)) {
            entry.out = words.collect::<Vec<_>>().leak();
        }
    }
    entries
});

/// What is known of `name` (lower-case, as in `pg_proc.proname`); none when `pg_catalog` has no such function in
/// PostgreSQL 14–18.
pub fn builtin(name: &str) -> Option<Builtin> {
    ENTRIES.get(name).map(|entry| entry.verdict)
}

/// Names of the OUT columns of a builtin in FROM (`jsonb_each` → `key`, `value`), also of a single one
/// (`jsonb_array_elements` → `value`), whose name PostgreSQL prefers to the alias. None without OUT arguments.
pub fn builtin_out_names(name: &str) -> Option<&'static [&'static str]> {
    ENTRIES.get(name).map(|entry| entry.out).filter(|out| !out.is_empty())
}

/// Whether an overload of `name` is an aggregate, ordered-set aggregates included.
pub fn is_aggregate(name: &str) -> bool {
    ENTRIES.get(name).is_some_and(|entry| entry.aggregate)
}

/// Whether an overload of `name` is a window function that is no aggregate (`row_number`).
pub fn is_window(name: &str) -> bool {
    ENTRIES.get(name).is_some_and(|entry| entry.window)
}

/// Whether an overload of `name` may say something else, or do something, each time that it is called.
pub fn is_volatile(name: &str) -> bool {
    ENTRIES.get(name).is_some_and(|entry| entry.volatile)
}

/// Whether an overload of `name` returns a set of rows (`unnest`).
pub fn is_set_returning(name: &str) -> bool {
    ENTRIES.get(name).is_some_and(|entry| entry.set)
}

impl CatalogSnapshot {
    /// Whether a function runs for whoever may call it, without being listed by rules: it puts a range together, or is an extension's
    /// that depends on its arguments alone.
    pub fn runs_unlisted(&self, function: &FunctionData) -> bool {
        let reviewed = |extension: &str| REVIEWED.contains(&(extension, function.name.as_str()));
        let range = function.result_type.filter(|_| function.constructs);
        let range = range.and_then(|oid| self.data().types.iter().find(|kind| kind.oid == oid));
        range.is_some_and(|range| !range.has_user_cast)
            || function.extension.as_deref().is_some_and(|extension| {
                !function.security_definer && (function.volatility == 'i' || reviewed(extension))
            })
    }
}

/// Functions of extensions that are not immutable and yet read no tables: by dictionaries, settings of their own, chance and time.
const REVIEWED: &[(&str, &str)] = &[
    ("pg_trgm", "set_limit"),
    ("pg_trgm", "show_limit"),
    ("pgcrypto", "gen_random_bytes"),
    ("pgcrypto", "gen_random_uuid"),
    ("pgcrypto", "gen_salt"),
    ("pgcrypto", "pgp_pub_encrypt"),
    ("pgcrypto", "pgp_pub_encrypt_bytea"),
    ("pgcrypto", "pgp_sym_encrypt"),
    ("pgcrypto", "pgp_sym_encrypt_bytea"),
    ("unaccent", "unaccent"),
    ("uuid-ossp", "uuid_generate_v1"),
    ("uuid-ossp", "uuid_generate_v1mc"),
    ("uuid-ossp", "uuid_generate_v4"),
];

#[cfg(test)]
mod tests {
    use super::{Builtin, builtin, builtin_out_names, is_aggregate, is_window};

    #[test]
    fn what_runs_sql_or_reaches_outside_is_refused() {
        for name in [
            "query_to_xml",
            "query_to_xml_and_xmlschema",
            "table_to_xml",
            "schema_to_xml",
            "database_to_xml",
            "cursor_to_xml",
            "ts_stat",
            "ts_rewrite",
            "pg_read_file",
            "pg_read_binary_file",
            "pg_ls_dir",
            "pg_stat_file",
            "lo_get",
            "lo_export",
            "lo_import",
            "loread",
            "pg_sleep",
            "pg_sleep_for",
            "pg_notify",
            "pg_advisory_lock",
            "pg_try_advisory_xact_lock",
            "set_config",
            "pg_logical_emit_message",
            "pg_logical_slot_get_changes",
            "pg_stat_get_activity",
            "pg_stat_get_backend_activity",
            "pg_terminate_backend",
            "pg_cancel_backend",
            "pg_export_snapshot",
            "pg_mcv_list_items",
            "pg_lock_status",
            "pg_prepared_statement",
            "pg_cursor",
            "pg_show_all_file_settings",
            "pg_hba_file_rules",
            "currtid2",
            "current_query",
            "pg_restore_attribute_stats",
            "pg_reload_conf",
            "binary_upgrade_set_next_pg_type_oid",
        ] {
            assert_eq!(builtin(name), Some(Builtin::Refused), "{name}");
        }
    }

    #[test]
    fn what_applications_call_is_allowed() {
        for name in [
            "upper",
            "lower",
            "left",
            "substr",
            "length",
            "concat",
            "concat_ws",
            "format",
            "to_char",
            "to_timestamp",
            "now",
            "clock_timestamp",
            "date_trunc",
            "date_part",
            "extract",
            "age",
            "random",
            "gen_random_uuid",
            "md5",
            "sha256",
            "encode",
            "coalesce",
            "nullif",
            "greatest",
            "least",
            "grouping",
            "overlay",
            "position",
            "substring",
            "trim",
            "normalize",
            "current_date",
            "localtimestamp",
            "current_user",
            "count",
            "sum",
            "string_agg",
            "array_agg",
            "jsonb_agg",
            "percentile_cont",
            "row_number",
            "lag",
            "ntile",
            "unnest",
            "generate_series",
            "jsonb_each",
            "jsonb_to_recordset",
            "json_populate_record",
            "row_to_json",
            "to_jsonb",
            "json_array",
            "json_table",
            "xmlelement",
            "xmlagg",
            "to_tsvector",
            "plainto_tsquery",
            "ts_rank",
            "ts_headline",
            "nextval",
            "currval",
            "lastval",
            "pg_get_serial_sequence",
            "pg_get_viewdef",
            "pg_table_is_visible",
            "has_table_privilege",
            "format_type",
            "obj_description",
            "col_description",
            "pg_size_pretty",
            "pg_total_relation_size",
            "pg_backend_pid",
            "version",
            "current_setting",
            "current_schemas",
            "pg_typeof",
            "to_regclass",
            "setseed",
            "uuidv7",
            "array_length",
        ] {
            assert_eq!(builtin(name), Some(Builtin::Allowed), "{name}");
        }
    }

    #[test]
    fn unknown_names_stay_unknown() {
        for name in ["dblink", "phone", "", "UPPER", "pg_sleep2", "hstore"] {
            assert_eq!(builtin(name), None, "{name}");
        }
    }

    #[test]
    fn shapes_of_functions_are_known() {
        assert_eq!(builtin_out_names("jsonb_each"), Some(&["key", "value"][..]));
        assert_eq!(builtin_out_names("json_array_elements"), Some(&["value"][..]));
        assert_eq!(builtin_out_names("upper"), None);
        assert!(is_aggregate("count") && is_aggregate("percentile_cont") && !is_aggregate("lower"));
        assert!(is_window("row_number") && !is_window("count"));
    }
}
