//! `upstream.url`. In: a connection URI as libpq takes it. Out: its parts. Invariants: a parameter that is not
//! understood is an error; no message holds the password; no mode that encrypts without verifying is taken.
//!
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>

use std::path::{Path, PathBuf};

use super::{Secret, UpstreamAddress, UpstreamTlsMode};

/// The parts of the URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UpstreamUrl {
    pub address: UpstreamAddress,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    pub tls: Option<UpstreamTlsMode>,
    pub ca: Option<PathBuf>,
}

/// Takes a URL apart.
pub(super) fn parse(text: &str) -> Result<UpstreamUrl, String> {
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
        .ok_or("it must start with postgres:// (as in postgres://pgscrim@127.0.0.1:5432/shop)")?;
    if rest.contains('#') {
        return Err("it has a \"#\" (write it as %23)".to_owned());
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    if database.contains('/') {
        return Err("the database name has a \"/\" (write it as %2F)".to_owned());
    }
    if place.contains(',') {
        return Err(
            "it names several hosts (one server, or one address that balances over several, is supported)".to_owned()
        );
    }
    let (host, port) = host_and_port(place)?;
    let mut parts = Parts {
        host: decode(host, "host")?,
        port: port.map(ToOwned::to_owned),
        user: decode(user, "user")?,
        password: password.map(|password| decode(password, "password")).transpose()?.map(Secret::new),
        database: decode(database, "database")?,
        tls: None,
        ca: None,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parts.parameter(name, decode(value, "parameter")?)?;
    }
    parts.finish()
}

struct Parts {
    host: String,
    port: Option<String>,
    user: String,
    password: Option<Secret>,
    database: String,
    tls: Option<UpstreamTlsMode>,
    ca: Option<PathBuf>,
}

impl Parts {
    fn parameter(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "host" => self.host = value,
            "port" => self.port = Some(value),
            "user" => self.user = value,
            "password" => self.password = Some(Secret::new(value)),
            "dbname" => self.database = value,
            "sslrootcert" => self.ca = Some(PathBuf::from(value)),
            "sslmode" => self.tls = Some(tls_mode(&value)?),
            _ => {
                return Err(format!(
                    "parameter \"{name}\" is not supported (known: host, port, user, password, dbname, sslmode, sslrootcert)"
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<UpstreamUrl, String> {
        let port: u16 = match self.port.as_deref() {
            None | Some("") => 5432,
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("\"{text}\" is not a port number (1 to 65535)"))?,
        };
        if self.user.is_empty() {
            return Err("it names no user (the service login, as in postgres://pgscrim@host/shop)".to_owned());
        }
        let database = if self.database.is_empty() { self.user.clone() } else { self.database };
        let address = if self.host.starts_with('/') {
            let path = Path::new(&self.host);
            let is_socket =
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(".s.PGSQL."));
            UpstreamAddress::Unix(if is_socket { path.to_owned() } else { path.join(format!(".s.PGSQL.{port}")) })
        } else if self.host.is_empty() {
            return Err("it names no host (as in postgres://pgscrim@127.0.0.1:5432/shop)".to_owned());
        } else {
            UpstreamAddress::Tcp(self.host, port)
        };
        Ok(UpstreamUrl { address, user: self.user, password: self.password, database, tls: self.tls, ca: self.ca })
    }
}

fn tls_mode(value: &str) -> Result<UpstreamTlsMode, String> {
    match value {
        "disable" => Ok(UpstreamTlsMode::Off),
        "verify-full" => Ok(UpstreamTlsMode::VerifyFull),
        "allow" | "prefer" | "require" | "verify-ca" => Err(format!(
            "sslmode={value} does not verify the server's name (use sslmode=verify-full, with the server's own \
             certificate as upstream.tls.ca if it is self-signed, or sslmode=disable in a trusted network)"
        )),
        _ => Err(format!("sslmode \"{value}\" is unknown (known: disable, verify-full)")),
    }
}

fn host_and_port(place: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the IPv6 address has no closing \"]\"")?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err("something other than a port follows the IPv6 address".to_owned()),
        };
    }
    match place.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            Err("an IPv6 address must stand in brackets (as in postgres://pgscrim@[::1]:5432/shop)".to_owned())
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((place, None)),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str, what: &str) -> Result<String, String> {
    let wrong = || format!("the {what} has a \"%\" that no two hexadecimal digits follow (write a plain \"%\" as %25)");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
        } else {
            bytes.push(byte);
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(format!("the {what} holds a zero byte")),
        Ok(text) => Ok(text),
        Err(_) => Err(format!("the {what} is not valid UTF-8 after decoding")),
    }
}

/// `text` with the password of every URL in it starred out, byte for byte, so that places stay where they are.
pub(super) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(['\n', '"', '\'']).unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        out.push_str(&redact_one(url));
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn redact_one(url: &str) -> String {
    let (authority, query) = url.split_once('?').unwrap_or((url, ""));
    let mut out = match authority.rsplit_once('@') {
        Some((login, place)) => match login.split_once(':') {
            Some((user, password)) => format!("{user}:{}@{place}", "*".repeat(password.len())),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    if url.len() > authority.len() {
        out.push('?');
        for (index, pair) in query.split('&').enumerate() {
            if index > 0 {
                out.push('&');
            }
            match pair.strip_prefix("password=") {
                Some(password) => out.extend(["password=", &"*".repeat(password.len())]),
                None => out.push_str(pair),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_logins_and_sockets() {
        let url = parse("postgres://us%40er:p%3A%2f@[::1]:6000/sh%20op?sslmode=verify-full").unwrap();
        assert_eq!(url.address, UpstreamAddress::Tcp("::1".to_owned(), 6000));
        assert_eq!((url.user.as_str(), url.database.as_str()), ("us@er", "sh op"));
        assert_eq!(url.password.unwrap().expose(), "p:/");
        assert_eq!(url.tls, Some(UpstreamTlsMode::VerifyFull));
        let unix = |text: &str| match parse(text).unwrap().address {
            UpstreamAddress::Unix(path) => path,
            UpstreamAddress::Tcp(..) => panic!("{text} is TCP"),
        };
        assert_eq!(unix("postgresql://u@/d?host=/run/pg"), Path::new("/run/pg/.s.PGSQL.5432"));
        assert_eq!(unix("postgres://u@%2Frun%2Fpg:77/d"), Path::new("/run/pg/.s.PGSQL.77"));
        assert_eq!(unix("postgres:///d?host=/x/.s.PGSQL.1&user=u"), Path::new("/x/.s.PGSQL.1"));
        assert_eq!(parse("postgres://u@h").unwrap().database, "u");
    }

    #[test]
    fn what_is_not_supported_is_refused_without_the_password() {
        for (text, cause) in [
            ("mysql://u:geheim@h/d", "postgres://"),
            ("postgres://u:geheim@h1,h2/d", "several hosts"),
            ("postgres://u:geheim@::1:5432/d", "brackets"),
            ("postgres://u:geheim@h:99999/d", "port"),
            ("postgres://u:geheim@h/d?sslmode=require", "verify-full"),
            ("postgres://u:geheim@h/d?options=-c", "options"),
            ("postgres://:geheim@h/d", "user"),
            ("postgres://u:geheim@/d", "host"),
            ("postgres://u:geheim%zz@h/d", "%25"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(cause), "{text}: {message}");
            assert!(!message.contains("geheim"), "{message}");
        }
    }

    #[test]
    fn redaction_keeps_every_place() {
        let text = "url = \"postgres://u:ge@heim@h/d?password=x&a=b\" # c\nother = \"p://q@r\"";
        let shown = redact(text);
        assert_eq!(shown, "url = \"postgres://u:*******@h/d?password=*&a=b\" # c\nother = \"p://q@r\"");
        assert_eq!(shown.len(), text.len());
    }
}
