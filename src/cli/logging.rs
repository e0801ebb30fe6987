//! The log of the process, to standard error. Invariant: of other crates only warnings pass, so that a driver's chatter
//! about statements never gets into the log.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging; a second start changes nothing.
pub(super) fn start(format: LogFormat, level: &str) {
    let filter = EnvFilter::new(format!("warn,pgscrim={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let _ = match format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
