//! `pgscrim.toml`: what wins over what, what is refused, and that messages name the cause and no secret.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{path::Path, time::Duration};

use pgscrim::config::{
    self, Config, KEYS, ListenAddress, Override, Secret, ServerTlsMode, UpstreamAddress, UpstreamTlsMode,
};

const MINIMUM: &str =
    "rules = \"r\"\n[upstream]\nurl = \"postgres://u:geheim@127.0.0.1:5433/shop\"\n[audit]\npath = \"a.jsonl\"\n";

fn load(text: &str, overrides: &[(&'static str, &str)]) -> Result<Config, String> {
    let overrides: Vec<_> = overrides
        .iter()
        .map(|(key, value)| Override { key, value: (*value).to_owned(), origin: format!("--{key}") })
        .collect();
    config::load(Some((Path::new("/etc/pgscrim/pgscrim.toml"), text)), &overrides, None)
        .map_err(|diagnostics| diagnostics.to_string())
}

#[test]
fn the_smallest_file_gets_the_documented_defaults() {
    let config = load(MINIMUM, &[]).unwrap();
    assert_eq!(config.listen, [ListenAddress::Tcp("127.0.0.1:6432".parse().unwrap())]);
    assert_eq!(config.metrics, Some("127.0.0.1:9632".parse().unwrap()));
    assert_eq!(config.rules, Path::new("/etc/pgscrim/r"), "relative to the file");
    assert_eq!(config.upstream.address, UpstreamAddress::Tcp("127.0.0.1".to_owned(), 5433));
    assert_eq!(config.upstream.tls.mode, UpstreamTlsMode::Off);
    assert_eq!(config.tls.mode, ServerTlsMode::Off);
    assert_eq!(config.audit.path.as_deref(), Some(Path::new("/etc/pgscrim/a.jsonl")));
    assert_eq!((config.audit.rotate_bytes, config.audit.keep, config.audit.queue), (256 << 20, 16, 8192));
    assert_eq!(config.limits.drain, Duration::from_secs(30));
    assert!(!format!("{config:?}").contains("geheim"), "Debug shows the password");
}

#[test]
fn overrides_win_and_lists_are_split() {
    let listen = ("listen", "[::1]:7000, /run/p/");
    let config =
        load(MINIMUM, &[listen, ("rules", "mine"), ("metrics", "off"), ("audit.rotate_bytes", "1MiB")]).unwrap();
    assert_eq!(config.listen[1], ListenAddress::Unix("/run/p/.s.PGSQL.7000".into()));
    assert_eq!(config.rules, Path::new("mine"), "relative to the working folder");
    assert_eq!(config.metrics, None);
    assert_eq!(config.audit.rotate_bytes, 1 << 20);
}

#[test]
fn every_key_is_understood_and_has_one_flag_and_one_variable() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(KEYS[..index].iter().all(|other| other.flag != key.flag && other.env != key.env), "{}", key.path);
        assert!(key.env.starts_with("PGSCRIM_"));
        // A value that nothing takes: whatever the key, nobody may skip it in silence.
        let paths = [
            "rules",
            "audit.path",
            "tls.cert",
            "tls.key",
            "upstream.tls.ca",
            "upstream.tls.server_name",
            "audit.key_file",
        ];
        if !paths.contains(&key.path) {
            let message = load(MINIMUM, &[(key.path, "\u{1}")]).unwrap_err();
            assert!(message.contains(key.path), "{}: {message}", key.path);
        }
    }
}

#[test]
fn mistakes_name_place_and_cause() {
    for (text, cause) in [
        ("lisen = \"x\"\n", "unknown key \"lisen\""),
        ("lisen = \"x\"\n", "Did you mean \"listen\"?"),
        ("lisen = \"x\"\n", "/etc/pgscrim/pgscrim.toml:1:1"),
        ("[audit]\nrotate = 1\n", "unknown key \"audit.rotate\""),
        ("listen = 5\n", "not an address"),
        ("listen = { a = 1 }\n", "must be ADDRESS"),
        ("upstream = 1\n", "must be a table"),
        ("listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", "twice"),
        ("listen = \n", "pgscrim.toml:1:"),
        ("workers = 0\n", "at least 1"),
    ] {
        let rest = if text.starts_with('[') || text.starts_with("upstream") { "" } else { MINIMUM };
        let message = load(&format!("{text}{rest}"), &[]).unwrap_err();
        assert!(message.contains(cause), "{text}: {message}");
        assert!(!message.contains("geheim"), "{message}");
    }
    let all = load("", &[]).unwrap_err();
    for missing in ["\"rules\" is missing", "\"upstream.url\" is missing", "\"audit.path\" is missing", "PGSCRIM_RULES"]
    {
        assert!(all.contains(missing), "{missing}: {all}");
    }
}

#[test]
fn tls_must_be_complete_and_said() {
    for (settings, cause) in [
        (&[("tls.mode", "required")][..], "\"tls.cert\" is missing, but tls.mode is \"required\""),
        (&[("tls.cert", "c.pem")], "\"tls.key\" is missing"),
        (&[("upstream.url", "postgres://u@db.example.org/shop")], "another machine"),
        (&[("upstream.url", "postgres://u@h/d?sslmode=require")], "sslmode=require does not verify"),
        (&[("upstream.url", "postgres://u@h/d?sslmode=disable"), ("upstream.tls.mode", "verify-full")], "contradicts"),
        (&[("upstream.url", "postgres://u@%2Frun/d"), ("upstream.tls.mode", "verify-full")], "Unix socket"),
    ] {
        let message = load(MINIMUM, settings).unwrap_err();
        assert!(message.contains(cause), "{settings:?}: {message}");
    }
    let config = load(MINIMUM, &[("tls.cert", "c"), ("tls.key", "k"), ("upstream.tls.ca", "ca")]).unwrap();
    assert_eq!(config.tls.mode, ServerTlsMode::Allowed);
    assert_eq!(config.upstream.tls.mode, UpstreamTlsMode::VerifyFull);
}

#[test]
fn a_bad_url_in_the_file_is_shown_without_its_password() {
    let message = load(&MINIMUM.replace("/shop", "/shop?what=1"), &[]).unwrap_err();
    assert!(message.contains("postgres://u:******@127.0.0.1"), "{message}");
    assert!(!message.contains("geheim"), "{message}");
}

#[test]
fn the_environment_password_wins_over_the_url() {
    let overrides = [];
    let config =
        config::load(Some((Path::new("x"), MINIMUM)), &overrides, Some(Secret::new("other".to_owned()))).unwrap();
    assert_eq!(config.upstream.password.unwrap().expose(), "other");
    assert_eq!(load(MINIMUM, &[]).unwrap().upstream.password.unwrap().expose(), "geheim");
}
