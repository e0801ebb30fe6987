//! [`Settings`] → [`Config`]: types, defaults and what must fit together.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    AuditConfig, Config, DdlGuard, Limits, ListenAddress, LogFormat, Override, Secret, ServerTlsConfig, ServerTlsMode,
    UpstreamAddress, UpstreamConfig, UpstreamTlsConfig, UpstreamTlsMode, source::Settings, url, values,
};
use crate::diagnostic::Diagnostics;

/// The configuration from a file (path and text) and overrides. `password` is the value of
/// `PGSCRIM_UPSTREAM_PASSWORD`, which wins over the password file, which wins over the URL.
///
/// # Errors
/// Every mistake that was found.
pub fn load(
    file: Option<(&Path, &str)>,
    overrides: &[Override],
    password: Option<Secret>,
) -> Result<Config, Diagnostics> {
    let mut settings = Settings::merge(file, overrides);
    if !settings.diagnostics.items.is_empty() {
        return Err(settings.diagnostics);
    }
    let upstream = upstream_config(&mut settings, password);
    let tls = tls(&mut settings);
    let audit = audit(&mut settings);
    let rules = settings.path("rules");
    if settings.given("rules").is_none() {
        settings.missing("rules", "");
    }
    let config = Config {
        listen: listen(&mut settings),
        metrics: metrics(&mut settings),
        rules: rules.unwrap_or_default(),
        tls,
        audit,
        limits: limits(&mut settings),
        log_format: settings.parsed("log.format", log_format).unwrap_or(LogFormat::Text),
        log_level: settings.parsed("log.level", log_level).unwrap_or_else(|| "info".to_owned()),
        workers: settings.parsed("workers", values::count),
        upstream: match upstream {
            Some(upstream) => upstream,
            None => return Err(settings.diagnostics),
        },
    };
    if settings.diagnostics.items.is_empty() { Ok(config) } else { Err(settings.diagnostics) }
}

/// The `[upstream]` part alone, for commands that only read the catalog.
///
/// # Errors
/// Every mistake that was found.
pub fn upstream(
    file: Option<(&Path, &str)>,
    overrides: &[Override],
    password: Option<Secret>,
) -> Result<UpstreamConfig, Diagnostics> {
    let mut settings = Settings::merge(file, overrides);
    match (upstream_config(&mut settings, password), settings.diagnostics.items.is_empty()) {
        (Some(upstream), true) => Ok(upstream),
        _ => Err(settings.diagnostics),
    }
}

fn listen(settings: &mut Settings) -> Vec<ListenAddress> {
    let default = vec![ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 6432)))];
    let Some(given) = settings.given("listen") else { return default };
    let items: Vec<(String, PathBuf)> =
        given.items.iter().map(|item| (item.clone(), given.folder.join(item))).collect();
    values::listen(&items).unwrap_or_else(|message| {
        settings.wrong("listen", message);
        default
    })
}

fn metrics(settings: &mut Settings) -> Option<SocketAddr> {
    if settings.given("metrics").is_none() {
        return Some(SocketAddr::from(([127, 0, 0, 1], 9632)));
    }
    settings.parsed("metrics", |text| if text == "off" { Ok(None) } else { values::socket_address(text).map(Some) })?
}

fn limits(settings: &mut Settings) -> Limits {
    let statement_bytes = settings.parsed("limits.statement_bytes", |text| {
        usize::try_from(values::size(text)?)
            .ok()
            .filter(|bytes| (1..=1 << 30).contains(bytes))
            .ok_or_else(|| "must be from 1 byte to 1 GiB, PostgreSQL's own limit".to_owned())
    });
    Limits {
        connections: settings.parsed("limits.connections", values::count).unwrap_or(1000),
        startup: settings.parsed("limits.startup", positive).unwrap_or(Duration::from_secs(60)),
        statement_bytes: statement_bytes.unwrap_or(16 << 20),
        drain: settings.parsed("limits.drain", values::duration).unwrap_or(Duration::from_secs(30)),
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    let value = values::duration(text)?;
    if value.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(value) }
}

fn audit(settings: &mut Settings) -> AuditConfig {
    let audit = AuditConfig {
        path: settings.path("audit.path"),
        stdout: settings.parsed("audit.stdout", values::flag).unwrap_or(false),
        rotate_bytes: settings.parsed("audit.rotate_bytes", values::size).unwrap_or(256 << 20),
        keep: settings.parsed("audit.keep", values::count).unwrap_or(16),
        queue: settings.parsed("audit.queue", values::count).unwrap_or(8192).min(1 << 24),
        wait: settings.parsed("audit.wait", values::duration).unwrap_or(Duration::from_secs(5)),
        key_file: settings.path("audit.key_file"),
    };
    if settings.given("audit.path").is_none() && !audit.stdout {
        settings.missing("audit.path", ", and audit.stdout is not set: accesses would not be recorded");
    }
    audit
}

fn tls(settings: &mut Settings) -> ServerTlsConfig {
    let (cert, key) = (settings.path("tls.cert"), settings.path("tls.key"));
    let mode = settings.parsed("tls.mode", |text| match text {
        "off" => Ok(ServerTlsMode::Off),
        "allowed" => Ok(ServerTlsMode::Allowed),
        "required" => Ok(ServerTlsMode::Required),
        _ => Err(format!("\"{text}\" is unknown (known: off, allowed, required)")),
    });
    let default = if cert.is_some() { ServerTlsMode::Allowed } else { ServerTlsMode::Off };
    let mode = mode.unwrap_or(default);
    if mode != ServerTlsMode::Off || cert.is_some() || key.is_some() {
        let why = match mode {
            ServerTlsMode::Off => " (a certificate and its key belong together)",
            ServerTlsMode::Allowed => ", but tls.mode is \"allowed\"",
            ServerTlsMode::Required => ", but tls.mode is \"required\"",
        };
        if cert.is_none() {
            settings.missing("tls.cert", why);
        }
        if key.is_none() {
            settings.missing("tls.key", why);
        }
    }
    ServerTlsConfig { mode, cert, key }
}

fn upstream_config(settings: &mut Settings, password: Option<Secret>) -> Option<UpstreamConfig> {
    if settings.given("upstream.url").is_none() {
        settings.missing("upstream.url", "");
    }
    let password_file = settings.path("upstream.password_file");
    let from_file = password_file.and_then(|path| match std::fs::read_to_string(&path) {
        Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => {
            settings.wrong("upstream.password_file", format!("could not read {}: {error}", path.display()));
            None
        }
    });
    let mode = settings.parsed("upstream.tls.mode", |text| match text {
        "off" => Ok(UpstreamTlsMode::Off),
        "verify-full" => Ok(UpstreamTlsMode::VerifyFull),
        _ => Err(format!("\"{text}\" is unknown (known: off, verify-full)")),
    });
    let ca = settings.path("upstream.tls.ca");
    let server_name = settings.text("upstream.tls.server_name");
    let connect_timeout = settings.parsed("upstream.connect_timeout", positive).unwrap_or(Duration::from_secs(10));
    let catalog_refresh = settings.parsed("upstream.catalog_refresh", positive).unwrap_or(Duration::from_secs(60));
    let ddl_guard = settings.parsed("upstream.ddl_guard", |text| match text {
        "relayed" => Ok(DdlGuard::Relayed),
        "always" => Ok(DdlGuard::Always),
        _ => Err(format!("\"{text}\" is unknown (known: relayed, always)")),
    });
    let url = settings.parsed("upstream.url", url::parse)?;
    let key = if mode.is_some() { "upstream.tls.mode" } else { "upstream.url" };
    let mode = match (mode, url.tls) {
        (Some(mode), Some(other)) if mode != other => {
            settings.wrong(key, "it contradicts the sslmode of upstream.url (leave one of them out)");
            mode
        }
        (Some(mode), _) | (None, Some(mode)) => mode,
        (None, None) if ca.is_some() || url.ca.is_some() || server_name.is_some() => UpstreamTlsMode::VerifyFull,
        (None, None) => {
            if !is_local(&url.address) {
                settings.wrong(
                    key,
                    "the server is on another machine and nothing says whether to encrypt (set upstream.tls.mode to \
                     \"verify-full\", or to \"off\" in a trusted network)",
                );
            }
            UpstreamTlsMode::Off
        }
    };
    if mode == UpstreamTlsMode::VerifyFull && matches!(url.address, UpstreamAddress::Unix(_)) {
        settings.wrong(key, "TLS cannot be used on a Unix socket");
    }
    Some(UpstreamConfig {
        address: url.address,
        user: url.user,
        password: password.or(from_file).or(url.password),
        database: url.database,
        tls: UpstreamTlsConfig { mode, ca: ca.or(url.ca), server_name },
        connect_timeout,
        catalog_refresh,
        ddl_guard: ddl_guard.unwrap_or(DdlGuard::Relayed),
    })
}

/// Whether nothing sent there leaves the machine.
fn is_local(address: &UpstreamAddress) -> bool {
    match address {
        UpstreamAddress::Unix(_) => true,
        UpstreamAddress::Tcp(host, _) => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("\"{text}\" is unknown (known: text, json)")),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    match text {
        "error" | "warn" | "info" | "debug" | "trace" => Ok(text.to_owned()),
        _ => Err(format!("\"{text}\" is unknown (known: error, warn, info, debug, trace)")),
    }
}

/// The directory of rule files alone, for commands that serve nobody.
///
/// # Errors
/// Every mistake that was found.
pub fn rules(file: Option<(&Path, &str)>, overrides: &[Override]) -> Result<PathBuf, Diagnostics> {
    let mut settings = Settings::merge(file, overrides);
    let rules = settings.path("rules");
    if rules.is_none() && settings.diagnostics.items.is_empty() {
        settings.missing("rules", "");
    }
    match (rules, settings.diagnostics.items.is_empty()) {
        (Some(rules), true) => Ok(rules),
        _ => Err(settings.diagnostics),
    }
}

/// The path of the audit log alone.
///
/// # Errors
/// Every mistake that was found.
pub fn audit_path(file: Option<(&Path, &str)>, overrides: &[Override]) -> Result<PathBuf, Diagnostics> {
    let mut settings = Settings::merge(file, overrides);
    let path = settings.path("audit.path");
    if path.is_none() && settings.diagnostics.items.is_empty() {
        settings.missing("audit.path", "");
    }
    match (path, settings.diagnostics.items.is_empty()) {
        (Some(path), true) => Ok(path),
        _ => Err(settings.diagnostics),
    }
}
