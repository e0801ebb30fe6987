//! Values as they are written in the file, in variables and on the command line. In: text. Out: typed values, or what
//! is wrong in PostgreSQL's style. Invariant: no message repeats a value that may be secret.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::ListenAddress;

/// `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "" | "s" | "sec" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("\"{text}\" is not a duration (write it as in \"500ms\", \"10s\", \"5m\" or \"1h\")")),
    };
    let value =
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)).ok_or_else(|| {
            format!("\"{text}\" is not a duration (write it as in \"500ms\", \"10s\", \"5m\" or \"1h\")")
        })?;
    Ok(Duration::from_millis(value))
}

/// `256MiB`, `64kB`; a bare number is bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let bytes: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("\"{text}\" is not a size (write it as in \"64KiB\", \"256MiB\" or \"1GiB\")")),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(bytes))
        .ok_or_else(|| format!("\"{text}\" is not a size (write it as in \"64KiB\", \"256MiB\" or \"1GiB\")"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim())
}

/// A positive count.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("\"{text}\" is not a number")),
    }
}

/// `true`, `false` and their usual other spellings.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

/// `127.0.0.1:6432`, `[::1]:6432`, `localhost:6432`, `*:6432` (all IPv4 and IPv6 addresses).
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = || format!("\"{text}\" is not an address (write it as in \"127.0.0.1:6432\" or \"[::1]:6432\")");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    match host {
        "localhost" => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        "*" | "" => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
        _ => Err(format!(
            "\"{text}\" is not an address of this machine (give an IP address and a port, as in \"127.0.0.1:6432\")"
        )),
    }
}

/// Listening addresses. A folder (ending in `/`) gets the name PostgreSQL's clients look for, with the port of the
/// first TCP address.
pub(super) fn listen(items: &[(String, PathBuf)]) -> Result<Vec<ListenAddress>, String> {
    let mut out = Vec::new();
    for (text, path) in items {
        if text.contains('/') {
            out.push(ListenAddress::Unix(path.clone()));
        } else {
            out.push(ListenAddress::Tcp(socket_address(text)?));
        }
    }
    let port = out.iter().find_map(|address| match address {
        ListenAddress::Tcp(address) => Some(address.port()),
        ListenAddress::Unix(_) => None,
    });
    for ((text, _), address) in items.iter().zip(&mut out) {
        if let (true, ListenAddress::Unix(path)) = (text.ends_with('/'), address) {
            path.push(format!(".s.PGSQL.{}", port.unwrap_or(6432)));
        }
    }
    if out.is_empty() {
        return Err("no address to listen on".to_owned());
    }
    for (index, address) in out.iter().enumerate() {
        if out.iter().take(index).any(|earlier| earlier == address) {
            return Err("the same address is given twice".to_owned());
        }
        if let ListenAddress::Unix(path) = address
            && path.as_os_str().len() > 107
        {
            return Err(format!("path of the Unix socket is longer than 107 bytes: {}", path.display()));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5 m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "s", "-1s", "1.5s", "10 parsecs", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("256MiB"), Ok(256 << 20));
        assert_eq!(size("64kB"), Ok(64_000));
        assert_eq!(size("12"), Ok(12));
        for wrong in ["", "MiB", "-1", "1 XB", "99999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_folder_gets_the_socket_name_of_the_first_port() {
        let items: Vec<_> = ["/run/a/", "/run/b.sock", "[::1]:7000"]
            .iter()
            .map(|text| ((*text).to_owned(), PathBuf::from(text)))
            .collect();
        let out = listen(&items).unwrap();
        assert_eq!(out[0], ListenAddress::Unix("/run/a/.s.PGSQL.7000".into()));
        assert_eq!(out[1], ListenAddress::Unix("/run/b.sock".into()));
        assert_eq!(out[2], ListenAddress::Tcp("[::1]:7000".parse().unwrap()));
    }
}
