//! Stage `policy`: which run-time settings a restricted role may change, at start-up and with SET. In: name and value.
//! Out: yes, or a [`Refusal`]. Invariant: a setting that is neither on the list nor one of an application's own that the rules give to the role is refused; the two
//! that decide how the server reads text (`client_encoding`, `standard_conforming_strings`) keep the value the engine relies on.

use super::RolePolicy;
use crate::error::{Refusal, RefusalCode};

/// What a role may set beside the settings of the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permitted<'a> {
    /// Values of [`PURPOSE`].
    pub purposes: &'a [String],
    /// Settings of applications, in lower case: `app.tenant`, or `app.*` for any of the class.
    pub own: &'a [String],
}

impl RolePolicy {
    /// What the role may set.
    pub fn permitted(&self) -> Permitted<'_> {
        Permitted { purposes: &self.purposes, own: &self.settings }
    }
}

impl Permitted<'_> {
    /// Whether the rules give the role this setting of an application's own.
    fn has_own(&self, lower: &str) -> bool {
        self.own.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(class) => lower.strip_prefix(class).is_some_and(|rest| rest.split('.').all(is_identifier)),
            None => pattern == lower,
        })
    }
}

/// Classes of settings that belong to the server's own languages and modules, to extensions that decide what is read or written down, and
/// to pgscrim. A name before the dot that begins with `pg_` belongs to one too.
const CLASSES: &[&str] = &[
    "anon",
    "auth_delay",
    "auto_explain",
    "basic_archive",
    "citus",
    "cron",
    "duckdb",
    "file_fdw",
    "hnsw",
    "hypopg",
    "isn",
    "ivfflat",
    "orioledb",
    "passwordcheck",
    "pgaudit",
    "pgcrypto",
    "pglogical",
    "pgrst_internal",
    "pgscrim",
    "pgsodium",
    "pljava",
    "plperl",
    "plperlu",
    "plpgsql",
    "plprofiler",
    "plpython",
    "plpython3",
    "plpython3u",
    "plr",
    "pltcl",
    "pltclu",
    "plv8",
    "postgis",
    "postgres_fdw",
    "rum",
    "sepgsql",
    "session_exec",
    "set_user",
    "spock",
    "supautils",
    "tds_fdw",
    "timescaledb",
    "vault",
    "vectors",
];

/// Why `name`, an entry of `settings` of a role, is none that rules may give away: only names with a dot are an application's own, and not
/// those whose class is the server's, an extension's or pgscrim's. `classes` are those that the database knows beside [`CLASSES`].
///
/// # Errors
/// What is wrong with it.
pub fn own_setting(name: &str, classes: &[String]) -> Result<(), &'static str> {
    let Some((class, rest)) = name.split_once('.') else {
        return Err("a setting without a dot is one of the server");
    };
    let valid = is_identifier(class) && (rest == "*" || rest.split('.').all(is_identifier));
    if !valid {
        return Err("not the name of a setting: write \"app.tenant\", or \"app.*\" for all of a class, in lower case");
    }
    if class.starts_with("pg_") || CLASSES.contains(&class) || classes.iter().any(|known| known == class) {
        return Err("its class belongs to the server, to an extension or to pgscrim");
    }
    Ok(())
}

/// A part of a setting's name, in lower case.
fn is_identifier(part: &str) -> bool {
    let mut letters = part.bytes();
    letters.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'$'))
}

/// What values of a setting may be.
#[derive(Clone, Copy)]
enum Values {
    Any,
    Utf8,
    On,
    OneOf(&'static [&'static str]),
}

/// Names in lower case; `…*` stands for any ending.
const SETTINGS: &[(&str, Values)] = &[
    ("client_encoding", Values::Utf8),
    ("names", Values::Utf8),
    ("standard_conforming_strings", Values::On),
    ("client_min_messages", Values::OneOf(&["notice", "warning", "error"])),
    ("backslash_quote", Values::OneOf(&["safe_encoding"])),
    ("application_name", Values::Any),
    ("array_nulls", Values::Any),
    ("bytea_output", Values::Any),
    ("check_function_bodies", Values::Any),
    ("client_connection_check_interval", Values::Any),
    ("constraint_exclusion", Values::Any),
    ("cpu_*", Values::Any),
    ("cursor_tuple_fraction", Values::Any),
    ("datestyle", Values::Any),
    ("deadlock_timeout", Values::Any),
    ("default_text_search_config", Values::Any),
    // Off is all that servers take, and what old dumps send.
    ("default_with_oids", Values::Any),
    ("default_transaction_deferrable", Values::Any),
    ("default_transaction_isolation", Values::Any),
    ("default_transaction_read_only", Values::Any),
    ("effective_cache_size", Values::Any),
    ("effective_io_concurrency", Values::Any),
    ("enable_*", Values::Any),
    ("escape_string_warning", Values::Any),
    ("extra_float_digits", Values::Any),
    ("from_collapse_limit", Values::Any),
    ("geqo*", Values::Any),
    // Another value drops rows at random, also of what conditions read.
    ("gin_fuzzy_search_limit", Values::OneOf(&["0"])),
    ("hash_mem_multiplier", Values::Any),
    ("idle_in_transaction_session_timeout", Values::Any),
    ("idle_session_timeout", Values::Any),
    ("intervalstyle", Values::Any),
    ("jit", Values::Any),
    ("jit_above_cost", Values::Any),
    ("jit_inline_above_cost", Values::Any),
    ("jit_optimize_above_cost", Values::Any),
    ("join_collapse_limit", Values::Any),
    ("lc_monetary", Values::Any),
    ("lc_numeric", Values::Any),
    ("lc_time", Values::Any),
    ("lock_timeout", Values::Any),
    ("maintenance_work_mem", Values::Any),
    ("max_parallel_*", Values::Any),
    ("min_parallel_*", Values::Any),
    ("parallel_leader_participation", Values::Any),
    ("parallel_setup_cost", Values::Any),
    ("parallel_tuple_cost", Values::Any),
    ("plan_cache_mode", Values::Any),
    ("quote_all_identifiers", Values::Any),
    ("random_page_cost", Values::Any),
    ("recursive_worktable_factor", Values::Any),
    ("restrict_nonsystem_relation_kind", Values::Any),
    ("row_security", Values::Any),
    ("search_path", Values::Any),
    ("seed", Values::Any),
    ("seq_page_cost", Values::Any),
    ("ssl_renegotiation_limit", Values::Any),
    ("statement_timeout", Values::Any),
    ("stats_fetch_consistency", Values::Any),
    ("synchronize_seqscans", Values::Any),
    ("synchronous_commit", Values::Any),
    ("tcp_keepalives_*", Values::Any),
    ("tcp_user_timeout", Values::Any),
    ("temp_buffers", Values::Any),
    ("timezone", Values::Any),
    ("timezone_abbreviations", Values::Any),
    ("transaction_deferrable", Values::Any),
    ("transaction_isolation", Values::Any),
    ("transaction_read_only", Values::Any),
    ("transaction_timeout", Values::Any),
    ("work_mem", Values::Any),
    ("xmlbinary", Values::Any),
    ("xmloption", Values::Any),
    // Of extensions: how far searches of theirs go.
    ("hnsw.ef_search", Values::Any),
    ("hnsw.iterative_scan", Values::Any),
    ("hnsw.max_scan_tuples", Values::Any),
    ("ivfflat.iterative_scan", Values::Any),
    ("ivfflat.max_probes", Values::Any),
    ("ivfflat.probes", Values::Any),
    ("pg_trgm.similarity_threshold", Values::Any),
    ("pg_trgm.strict_word_similarity_threshold", Values::Any),
    ("pg_trgm.word_similarity_threshold", Values::Any),
];

/// The setting by which a session chooses one of its role's purposes. PostgreSQL keeps its value, so that SET LOCAL, RESET
/// and rollback act on it as on any setting.
pub const PURPOSE: &str = "pgscrim.purpose";

/// Whether a change of setting `name` changes how later statements are judged, so that the session must ask for its value.
pub fn is_tracked(name: &str) -> bool {
    name.eq_ignore_ascii_case("search_path") || name.eq_ignore_ascii_case(PURPOSE)
}

/// Whether a restricted role may give setting `name` any value at all, so that the value need not be known. The search path
/// may have any value too, but the session must notice it.
pub fn takes_any_value(name: &str, permitted: Permitted<'_>) -> bool {
    let lower = name.to_ascii_lowercase();
    lower != "search_path" && (matches!(values_of(&lower), Some(Values::Any)) || permitted.has_own(&lower))
}

/// Whether a session may act for this purpose; the empty one stands for the default.
///
/// # Errors
/// [`RefusalCode::PurposeNotAllowed`].
pub fn purpose_allowed(purpose: &str, purposes: &[String]) -> Result<(), Refusal> {
    if purpose.is_empty() || purposes.iter().any(|allowed| allowed == purpose) {
        return Ok(());
    }
    let hint = match purposes {
        [] => "The rules give this role no purposes.".to_owned(),
        purposes => format!("This role may act for: {}.", purposes.join(", ")),
    };
    Err(Refusal::new(RefusalCode::PurposeNotAllowed, format!("purpose \"{}\" is not allowed", shown(purpose)))
        .with_hint(hint))
}

fn values_of(lower: &str) -> Option<Values> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => lower.starts_with(prefix) && lower.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
        None => *pattern == *lower,
    };
    SETTINGS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, values)| *values)
}

/// Whether a restricted role may give setting `name` (any case) this value. `None` is RESET or `TO DEFAULT`: the
/// session's own start, which was judged then.
///
/// # Errors
/// [`RefusalCode::SettingNotAllowed`] and [`RefusalCode::PurposeNotAllowed`].
pub fn setting_allowed(name: &str, value: Option<&str>, permitted: Permitted<'_>) -> Result<(), Refusal> {
    let lower = name.to_ascii_lowercase();
    if lower == PURPOSE {
        return value.map_or(Ok(()), |value| purpose_allowed(value, permitted.purposes));
    }
    if permitted.has_own(&lower) {
        return Ok(());
    }
    let Some(values) = values_of(&lower) else {
        return Err(refusal(format!("setting \"{}\" may not be changed by a restricted role", shown(name)))
            .with_hint(if lower.contains('.') {
                "Let the rules give it to the role (settings), or set it for the login with ALTER ROLE as an administrator."
            } else {
                "Leave it at its default, or set it for the role with ALTER ROLE as an administrator."
            }));
    };
    let Some(value) = value else { return Ok(()) };
    let (fits, known) = match values {
        Values::Any => (true, ""),
        Values::Utf8 => (is_utf8(value), "UTF8"),
        Values::On => (is_on(value), "on"),
        Values::OneOf(list) => {
            let value = value.trim_matches(['\'', ' ']);
            (list.iter().any(|known| known.eq_ignore_ascii_case(value)), list.last().copied().unwrap_or_default())
        }
    };
    if fits {
        return Ok(());
    }
    Err(refusal(format!("setting \"{lower}\" may not be given this value by a restricted role"))
        .with_hint(format!("Set it to \"{known}\", or leave it alone.")))
}

/// Whether a value of `client_encoding` means UTF-8; PostgreSQL compares letters and digits only.
pub fn is_utf8(value: &str) -> bool {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    value.is_ascii() && (plain == "utf8" || plain == "unicode")
}

/// PostgreSQL's `parse_bool`, for true.
fn is_on(value: &str) -> bool {
    matches!(
        value.trim_matches(['\'', ' ']).to_ascii_lowercase().as_str(),
        "on" | "true" | "tru" | "tr" | "t" | "yes" | "ye" | "y" | "1"
    )
}

fn refusal(message: String) -> Refusal {
    Refusal::new(RefusalCode::SettingNotAllowed, message)
}

/// A name as a message may show it: what a client sent, but never more than an identifier.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_set_is_allowed() {
        for (name, value) in [
            ("client_encoding", "UTF8"),
            ("CLIENT_ENCODING", "'utf-8'"),
            ("client_encoding", "unicode"),
            ("DateStyle", "ISO"),
            ("TimeZone", "Asia/Ho_Chi_Minh"),
            ("extra_float_digits", "2"),
            ("standard_conforming_strings", "on"),
            ("search_path", "public, pg_catalog"),
            ("pg_trgm.similarity_threshold", "0.4"),
            ("enable_seqscan", "off"),
            ("statement_timeout", "0"),
            ("client_min_messages", "WARNING"),
        ] {
            assert_eq!(setting_allowed(name, Some(value), Permitted::default()), Ok(()), "{name}={value}");
        }
    }

    #[test]
    fn what_changes_the_reading_of_text_or_shows_values_is_refused() {
        for (name, value) in [
            ("client_encoding", "SJIS"),
            ("client_encoding", "utf8; sjis"),
            ("standard_conforming_strings", "off"),
            ("client_min_messages", "debug5"),
            ("gin_fuzzy_search_limit", "1"),
            ("session_preload_libraries", "x"),
            ("log_statement", "all"),
            ("debug_print_parse", "on"),
            ("session_authorization", "x"),
            ("transform_null_equals", "on"),
            ("enable_x.y", "on"),
            ("app.user", "x"),
            ("", "x"),
        ] {
            assert!(setting_allowed(name, Some(value), Permitted::default()).is_err(), "{name}={value}");
        }
        assert!(setting_allowed("log_statement", None, Permitted::default()).is_err());
        assert_eq!(setting_allowed("client_encoding", None, Permitted::default()), Ok(()));
    }

    #[test]
    fn an_application_has_the_settings_that_the_rules_give_it_and_no_others() {
        let own = ["app.*".to_owned(), "request.jwt.claims".to_owned()];
        let permitted = Permitted { purposes: &[], own: &own };
        for name in ["app.tenant", "APP.Tenant", "app.a.b", "request.jwt.claims"] {
            assert_eq!(setting_allowed(name, Some("x"), permitted), Ok(()), "{name}");
            assert!(takes_any_value(name, permitted), "{name}");
        }
        for name in
            ["app", "app.", "apps.x", "app.x y", "request.jwt.claim", "request.jwt", "app.x;y", "app..x", "pgscrim.x"]
        {
            assert!(setting_allowed(name, Some("x"), permitted).is_err(), "{name}");
            assert!(!takes_any_value(name, permitted), "{name}");
        }
    }

    #[test]
    fn classes_of_the_server_and_of_extensions_are_nobody_s_to_give() {
        let classes = ["myext".to_owned()];
        for name in ["app.*", "app.tenant", "request.jwt.claims", "_a.b$1", "myexts.x"] {
            assert_eq!(own_setting(name, &classes), Ok(()), "{name}");
        }
        for name in [
            "search_path",
            "role",
            "*",
            "*.*",
            "app",
            "app.",
            "App.x",
            ".x",
            "a.*.b",
            "app.x*",
            "pgscrim.purpose",
            "pgscrim.*",
            "plpgsql.*",
            "plpgsql.variable_conflict",
            "auto_explain.log_min_duration",
            "pg_trgm.similarity_threshold",
            "pg_anything.x",
            "myext.x",
            "myext.*",
            "1a.b",
            "a b.c",
            "app.x y",
            "",
        ] {
            assert!(own_setting(name, &classes).is_err(), "{name}");
        }
    }

    #[test]
    fn only_purposes_of_the_role_are_allowed() {
        let purposes = ["order-handling".to_owned(), "verification".to_owned()];
        let purposes = Permitted { purposes: &purposes, own: &[] };
        for value in [Some("verification"), Some(""), None] {
            assert_eq!(setting_allowed("PGSCRIM.purpose", value, purposes), Ok(()), "{value:?}");
        }
        for value in ["marketing", "Verification", " verification"] {
            let refusal = setting_allowed(PURPOSE, Some(value), purposes).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::PurposeNotAllowed);
        }
        assert!(setting_allowed(PURPOSE, Some("verification"), Permitted::default()).is_err());
    }
}
