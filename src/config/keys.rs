//! [`KEYS`]: every key of `pgscrim.toml`, with its flag, its environment variable and its help. The file reader, the
//! command line and the documentation all come from this one table.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As in the file, tables separated by dots.
    pub path: &'static str,
    /// The long flag, without dashes.
    pub flag: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What the value looks like.
    pub value: &'static str,
    /// One line of help.
    pub help: &'static str,
}

macro_rules! keys {
    ($($path:literal, $flag:literal, $env:literal, $value:literal, $help:literal;)*) => {
        /// Every key, in the order of the documentation.
        pub const KEYS: &[Key] = &[$(Key { path: $path, flag: $flag, env: $env, value: $value, help: $help },)*];
    };
}

keys! {
    "listen", "listen", "PGSCRIM_LISTEN", "ADDRESS[,ADDRESS]",
        "Where clients connect: host:port, or a path for a Unix socket (a folder ending in / gets .s.PGSQL.<port>) [default: 127.0.0.1:6432]";
    "metrics", "metrics", "PGSCRIM_METRICS", "ADDRESS|off",
        "Address of /metrics, /healthz and /readyz [default: 127.0.0.1:9632]";
    "rules", "rules", "PGSCRIM_RULES", "DIR", "Directory of rule files (required)";
    "workers", "workers", "PGSCRIM_WORKERS", "NUMBER", "Worker threads [default: one per processor]";
    "upstream.url", "upstream-url", "PGSCRIM_UPSTREAM_URL", "URL",
        "The server, and the service login that reads the catalogs: postgres://user@host:port/database (required)";
    "upstream.password_file", "upstream-password-file", "PGSCRIM_UPSTREAM_PASSWORD_FILE", "FILE",
        "File with the password of the service login; PGSCRIM_UPSTREAM_PASSWORD holds the password itself";
    "upstream.connect_timeout", "upstream-connect-timeout", "PGSCRIM_UPSTREAM_CONNECT_TIMEOUT", "DURATION",
        "Limit for connecting to the server [default: 10s]";
    "upstream.catalog_refresh", "upstream-catalog-refresh", "PGSCRIM_UPSTREAM_CATALOG_REFRESH", "DURATION",
        "How often the catalog is read anew [default: 60s]";
    "upstream.ddl_guard", "upstream-ddl-guard", "PGSCRIM_UPSTREAM_DDL_GUARD", "relayed|always",
        "Which answers wait for proof that no DDL came between: those beside DDL through this process, or all [default: relayed]";
    "upstream.tls.mode", "upstream-tls-mode", "PGSCRIM_UPSTREAM_TLS_MODE", "off|verify-full",
        "TLS towards the server; must be said for a server on another machine";
    "upstream.tls.ca", "upstream-tls-ca", "PGSCRIM_UPSTREAM_TLS_CA", "FILE",
        "PEM file of the authorities to trust [default: the system's]";
    "upstream.tls.server_name", "upstream-tls-server-name", "PGSCRIM_UPSTREAM_TLS_SERVER_NAME", "NAME",
        "Name to verify instead of the host of the URL";
    "tls.mode", "tls-mode", "PGSCRIM_TLS_MODE", "off|allowed|required",
        "TLS towards clients [default: allowed with a certificate, else off]";
    "tls.cert", "tls-cert", "PGSCRIM_TLS_CERT", "FILE", "PEM file of the certificate chain";
    "tls.key", "tls-key", "PGSCRIM_TLS_KEY", "FILE", "PEM file of the private key";
    "audit.path", "audit-path", "PGSCRIM_AUDIT_PATH", "FILE",
        "Audit log, one JSON line per statement (required unless audit.stdout)";
    "audit.stdout", "audit-stdout", "PGSCRIM_AUDIT_STDOUT", "true|false",
        "Whether audit events also go to standard output [default: false]";
    "audit.rotate_bytes", "audit-rotate-bytes", "PGSCRIM_AUDIT_ROTATE_BYTES", "SIZE",
        "Size at which the audit log rotates; 0 for never [default: 256MiB]";
    "audit.keep", "audit-keep", "PGSCRIM_AUDIT_KEEP", "NUMBER", "Rotated audit files kept [default: 16]";
    "audit.queue", "audit-queue", "PGSCRIM_AUDIT_QUEUE", "NUMBER",
        "Statements that may run while their events are not yet written [default: 8192]";
    "audit.wait", "audit-wait", "PGSCRIM_AUDIT_WAIT", "DURATION",
        "How long a statement waits for the audit log before it is refused [default: 5s]";
    "audit.key_file", "audit-key-file", "PGSCRIM_AUDIT_KEY_FILE", "FILE",
        "File with the key of the text fingerprints [default: a new key at every start]";
    "limits.connections", "max-connections", "PGSCRIM_LIMITS_CONNECTIONS", "NUMBER",
        "Client connections at once [default: 1000]";
    "limits.startup", "startup-timeout", "PGSCRIM_LIMITS_STARTUP", "DURATION",
        "Time for start-up and authentication [default: 60s]";
    "limits.statement_bytes", "max-statement-bytes", "PGSCRIM_LIMITS_STATEMENT_BYTES", "SIZE",
        "Longest statement [default: 16MiB]";
    "limits.drain", "drain", "PGSCRIM_LIMITS_DRAIN", "DURATION",
        "How long SIGTERM waits for sessions to end [default: 30s]";
    "log.format", "log-format", "PGSCRIM_LOG_FORMAT", "text|json", "How the process logs, to standard error [default: text]";
    "log.level", "log-level", "PGSCRIM_LOG_LEVEL", "LEVEL", "error, warn, info, debug or trace [default: info]";
}
