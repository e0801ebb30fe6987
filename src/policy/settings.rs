//! Stage `policy`: which run-time settings a restricted role may change, at start-up and with SET. In: name and value.
//! Out: yes, or a [`Refusal`]. Invariant: a setting that is not on the list is refused; the two that decide how the
//! server reads text (`client_encoding`, `standard_conforming_strings`) keep the value the engine relies on.

use crate::error::{Refusal, RefusalCode};

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
    ("gin_fuzzy_search_limit", Values::Any),
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
pub fn takes_any_value(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower != "search_path" && matches!(values_of(&lower), Some(Values::Any))
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
/// session's own start, which was judged then. `purposes` are those of the role.
///
/// # Errors
/// [`RefusalCode::SettingNotAllowed`] and [`RefusalCode::PurposeNotAllowed`].
pub fn setting_allowed(name: &str, value: Option<&str>, purposes: &[String]) -> Result<(), Refusal> {
    let lower = name.to_ascii_lowercase();
    if lower == PURPOSE {
        return value.map_or(Ok(()), |value| purpose_allowed(value, purposes));
    }
    let Some(values) = values_of(&lower) else {
        return Err(refusal(format!("setting \"{}\" may not be changed by a restricted role", shown(name)))
            .with_hint("Leave it at its default, or set it for the role with ALTER ROLE as an administrator."));
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
            ("enable_seqscan", "off"),
            ("statement_timeout", "0"),
            ("client_min_messages", "WARNING"),
        ] {
            assert_eq!(setting_allowed(name, Some(value), &[]), Ok(()), "{name}={value}");
        }
    }

    #[test]
    fn what_changes_the_reading_of_text_or_shows_values_is_refused() {
        for (name, value) in [
            ("client_encoding", "SJIS"),
            ("client_encoding", "utf8; sjis"),
            ("standard_conforming_strings", "off"),
            ("client_min_messages", "debug5"),
            ("session_preload_libraries", "x"),
            ("log_statement", "all"),
            ("debug_print_parse", "on"),
            ("session_authorization", "x"),
            ("transform_null_equals", "on"),
            ("enable_x.y", "on"),
            ("app.user", "x"),
            ("", "x"),
        ] {
            assert!(setting_allowed(name, Some(value), &[]).is_err(), "{name}={value}");
        }
        assert!(setting_allowed("log_statement", None, &[]).is_err());
        assert_eq!(setting_allowed("client_encoding", None, &[]), Ok(()));
    }

    #[test]
    fn only_purposes_of_the_role_are_allowed() {
        let purposes = ["order-handling".to_owned(), "verification".to_owned()];
        for value in [Some("verification"), Some(""), None] {
            assert_eq!(setting_allowed("PGSCRIM.purpose", value, &purposes), Ok(()), "{value:?}");
        }
        for value in ["marketing", "Verification", " verification"] {
            let refusal = setting_allowed(PURPOSE, Some(value), &purposes).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::PurposeNotAllowed);
        }
        assert!(setting_allowed(PURPOSE, Some("verification"), &[]).is_err());
    }
}
