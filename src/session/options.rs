//! Stage `session`: the parameters of the start-up packet. In: name and value pairs. Out: who asks for what, or a
//! [`Refusal`]. Invariant: for a restricted role every setting in them has passed the same list as SET.
//!
//! `options` is split as PostgreSQL's `pg_split_opts` does: white space separates, a backslash takes the next character.

use crate::{
    error::{Refusal, RefusalCode},
    policy::settings::{Permitted, is_utf8, setting_allowed},
};

/// Bytes of the longest name of a role or database (`NAMEDATALEN`).
const LONGEST_NAME: usize = 63;

/// What a start-up packet asks for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// 3 in the upper half, the minor version in the lower.
    pub version: u32,
    /// All parameters in order.
    pub parameters: Vec<(String, String)>,
    /// Login role.
    pub user: String,
    /// Database; the user's name without one.
    pub database: String,
    /// `application_name`, empty without one.
    pub application: String,
}

impl Request {
    /// Reads the parameters. As in PostgreSQL the last of two equal names counts.
    pub fn new(version: u32, parameters: Vec<(String, String)>) -> Result<Self, Refusal> {
        if version >> 16 != 3 {
            return Err(Refusal::new(
                RefusalCode::ProtocolViolation,
                format!(
                    "unsupported frontend protocol {}.{}: pgscrim supports 3.0 to 3.2",
                    version >> 16,
                    version & 0xffff
                ),
            ));
        }
        let value = |name: &str| parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let Some(user) = value("user").filter(|user| !user.is_empty()) else {
            return Err(Refusal {
                sqlstate: Some("28000".to_owned()),
                ..Refusal::new(RefusalCode::ProtocolViolation, "no PostgreSQL user name specified in startup packet")
            });
        };
        if let Some(long) =
            [Some(&user), value("database").as_ref()].into_iter().flatten().find(|name| name.len() > LONGEST_NAME)
        {
            // PostgreSQL 16 and earlier cut it: the login would be another one than the rules were looked up for.
            let message = format!("a name in the startup packet is longer than {LONGEST_NAME} bytes: \"{long}\"");
            let refusal = Refusal::new(RefusalCode::ProtocolViolation, message).with_sqlstate("28000");
            return Err(refusal.with_hint("Give the name as the server knows it."));
        }
        let replication = value("replication").unwrap_or_default().to_ascii_lowercase();
        if !matches!(replication.as_str(), "" | "false" | "off" | "no" | "0" | "f" | "n") {
            return Err(Refusal::new(RefusalCode::ReplicationRefused, "replication connections are not allowed")
                .with_hint("Connect to the server itself for replication and base backups."));
        }
        let database = value("database").filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone());
        let application = value("application_name").unwrap_or_default();
        Ok(Self { version, parameters, user, database, application })
    }

    /// Settings given in `options` and as parameters of their own; the latter win, as in PostgreSQL.
    pub fn setting(&self, name: &str) -> Option<String> {
        let own = self.parameters.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        if let Some((_, value)) = own {
            return Some(value.clone());
        }
        let options = self.parameters.iter().rev().find(|(key, _)| key == "options")?;
        let settings = parse(&options.1).ok()?;
        settings.into_iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The parameters as a restricted role may send them: all judged, and what the engine relies on said explicitly, so
    /// that no default of role or database says otherwise.
    pub fn restricted(&self, permitted: Permitted<'_>) -> Result<Vec<(String, String)>, Refusal> {
        let startup = |refusal: Refusal| {
            let own = refusal.code == RefusalCode::PurposeNotAllowed;
            if own { refusal } else { Refusal { code: RefusalCode::StartupParameter, ..refusal } }
        };
        let mut sent = Vec::with_capacity(self.parameters.len() + 2);
        for (name, value) in &self.parameters {
            let mut value = value.clone();
            match name.as_str() {
                "user" | "database" | "replication" => {}
                "options" => {
                    for (name, value) in parse(&value)? {
                        setting_allowed(&name, Some(&value), permitted).map_err(startup)?;
                    }
                }
                // Protocol extensions are the server's to accept or decline.
                extension if extension.starts_with("_pq_.") => {}
                name => {
                    // psql on a terminal in the C locale: the bytes of a UTF-8 database, unconverted.
                    if name == "client_encoding" && value.eq_ignore_ascii_case("sql_ascii") {
                        "UTF8".clone_into(&mut value);
                    }
                    setting_allowed(name, Some(&value), permitted).map_err(startup)?;
                }
            }
            sent.push((name.clone(), value));
        }
        for (name, value) in [("client_encoding", "UTF8"), ("standard_conforming_strings", "on")] {
            if self.setting(name).is_none() {
                sent.push((name.to_owned(), value.to_owned()));
            }
        }
        debug_assert!(self.setting("client_encoding").is_none_or(|value| is_utf8(&value) || value.len() == 9));
        Ok(sent)
    }
}

/// The settings in an `options` text.
fn parse(options: &str) -> Result<Vec<(String, String)>, Refusal> {
    let refused = || {
        Refusal::new(RefusalCode::StartupParameter, "only settings may be given in \"options\" by a restricted role")
            .with_hint("Write -c name=value or --name=value.")
    };
    let mut words = split(options).into_iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let pair = if let Some(long) = word.strip_prefix("--") {
            long.to_owned()
        } else if word == "-c" {
            words.next().ok_or_else(refused)?
        } else if let Some(joined) = word.strip_prefix("-c") {
            joined.to_owned()
        } else {
            return Err(refused());
        };
        let (name, value) = pair.split_once('=').ok_or_else(refused)?;
        found.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(found)
}

fn split(options: &str) -> Vec<String> {
    // What C's isspace() accepts.
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut words = Vec::new();
    let mut chars = options.chars().peekable();
    loop {
        while chars.next_if(|c| is_space(*c)).is_some() {}
        if chars.peek().is_none() {
            return words;
        }
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| !is_space(*c)) {
            if c == '\\' {
                word.extend(chars.next());
            } else {
                word.push(c);
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(parameters: &[(&str, &str)]) -> Result<Request, Refusal> {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Request::new(0x0003_0000, parameters.collect())
    }

    #[test]
    fn options_are_split_as_postgresql_does() {
        let parsed = parse(r"-c search_path=a\ b,c  --work-mem=4MB -cjit=off").unwrap();
        let expected = [("search_path", "a b,c"), ("work_mem", "4MB"), ("jit", "off")];
        assert_eq!(parsed, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for bad in ["-B 100", "-c", "x", "--", "-c name", "-d5", r"\"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("  \t").unwrap(), []);
    }

    #[test]
    fn what_the_engine_relies_on_is_said() {
        let sent = request(&[("user", "u"), ("options", "-c statement_timeout=5")])
            .unwrap()
            .restricted(Permitted::default())
            .unwrap();
        assert!(sent.contains(&("client_encoding".to_owned(), "UTF8".to_owned())));
        assert!(sent.contains(&("standard_conforming_strings".to_owned(), "on".to_owned())));
        let sent = request(&[("user", "u"), ("client_encoding", "SQL_ASCII")])
            .unwrap()
            .restricted(Permitted::default())
            .unwrap();
        assert_eq!(sent.iter().filter(|(name, _)| name == "client_encoding").count(), 1);
        assert!(sent.contains(&("client_encoding".to_owned(), "UTF8".to_owned())));
    }

    #[test]
    fn other_settings_are_refused() {
        for parameters in [
            [("user", "u"), ("options", "-c standard_conforming_strings=off")],
            [("user", "u"), ("options", "--log-statement=all")],
            [("user", "u"), ("client_encoding", "SJIS")],
            [("user", "u"), ("session_authorization", "x")],
            [("user", "u"), ("options", "-c client_encoding=latin1")],
        ] {
            let refusal = request(&parameters).unwrap().restricted(Permitted::default()).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::StartupParameter, "{parameters:?}");
        }
        for replication in ["true", "database", "1", "on"] {
            let refusal = request(&[("user", "u"), ("replication", replication)]).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::ReplicationRefused);
        }
        assert!(request(&[("user", "u"), ("replication", "false")]).is_ok());
        assert!(request(&[("database", "u")]).is_err());
        assert!(Request::new(0x0002_0000, Vec::new()).is_err());
    }

    #[test]
    fn a_parameter_wins_over_options() {
        let request = request(&[("user", "u"), ("options", "-c search_path=a"), ("search_path", "b")]).unwrap();
        assert_eq!(request.setting("search_path").as_deref(), Some("b"));
        assert_eq!(request.database, "u");
    }
}
