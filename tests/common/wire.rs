//! A small blocking client of the PostgreSQL protocol, written apart from the proxy's own code. It keeps every byte that
//! it receives, and can write one byte at a time.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

#[derive(Clone, Debug)]
pub enum Address {
    /// A port of 127.0.0.1.
    Tcp(u16),
    /// A socket file.
    Unix(PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    pub body: Vec<u8>,
}

pub struct Client {
    stream: Stream,
    /// Whether to write one byte at a time.
    pub trickle: bool,
    /// Every byte received since start-up, and those of start-up before `startup_end`.
    pub transcript: Vec<u8>,
    /// Length of the transcript at the first ReadyForQuery.
    pub startup_end: usize,
    /// Bytes of the transcript that were taken apart.
    read: usize,
    /// BackendKeyData.
    pub key: Vec<u8>,
    /// ParameterStatus of start-up.
    pub parameters: Vec<(String, String)>,
}

impl Client {
    /// Connects and waits for the first ReadyForQuery.
    ///
    /// # Errors
    /// What the server said instead.
    pub fn connect(address: &Address, parameters: &[(&str, &str)]) -> Result<Self, Vec<Message>> {
        let mut client = Self::open(address);
        client.start_up(parameters)?;
        Ok(client)
    }

    /// A connection on which nothing was said yet.
    pub fn open(address: &Address) -> Self {
        let limit = Some(Duration::from_secs(25));
        let stream = match address {
            Address::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(limit).unwrap();
                Stream::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(limit).unwrap();
                Stream::Unix(stream)
            }
        };
        Self {
            stream,
            trickle: false,
            transcript: Vec::new(),
            startup_end: 0,
            read: 0,
            key: Vec::new(),
            parameters: Vec::new(),
        }
    }

    pub fn start_up(&mut self, parameters: &[(&str, &str)]) -> Result<Vec<Message>, Vec<Message>> {
        self.send(&startup(196_608, parameters));
        let mut seen = Vec::new();
        loop {
            let Some(message) = self.next() else { return Err(seen) };
            let kind = message.kind;
            match kind {
                b'K' => self.key = message.body.clone(),
                b'S' => {
                    let mut parts = message.body.split(|&b| b == 0);
                    let mut part = || String::from_utf8_lossy(parts.next().unwrap()).into_owned();
                    self.parameters.push((part(), part()));
                }
                _ => {}
            }
            seen.push(message);
            if kind == b'Z' {
                self.startup_end = self.read;
                return Ok(seen);
            }
        }
    }

    pub fn set_read_timeout(&self, limit: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(limit)).unwrap(),
            Stream::Unix(stream) => stream.set_read_timeout(Some(limit)).unwrap(),
        }
    }

    /// Writes bytes; an error is ignored (the server may have closed, what it said will be read).
    pub fn send(&mut self, bytes: &[u8]) {
        let step = if self.trickle { 1 } else { bytes.len().max(1) };
        for chunk in bytes.chunks(step) {
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.write_all(chunk),
                Stream::Unix(stream) => stream.write_all(chunk),
            };
            if result.is_err() {
                return;
            }
        }
    }

    /// Reads raw bytes into the transcript; false at the end of the stream.
    pub fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let result = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer),
            Stream::Unix(stream) => stream.read(&mut buffer),
        };
        match result {
            Ok(0) => false,
            Ok(length) => {
                self.transcript.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("nothing received for too long: {error}; so far: {}", describe(&self.seen())),
        }
    }

    fn seen(&self) -> Vec<Message> {
        split(&self.transcript[self.startup_end.min(self.transcript.len())..])
    }

    /// The next message, none at the end of the stream.
    pub fn next(&mut self) -> Option<Message> {
        loop {
            let rest = &self.transcript[self.read..];
            if rest.len() >= 5 {
                let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
                if rest.len() > length {
                    let message = Message { kind: rest[0], body: rest[5..=length].to_vec() };
                    self.read += length + 1;
                    return Some(message);
                }
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Everything up to and with the next ReadyForQuery, or to the end of the stream.
    pub fn until_ready(&mut self) -> Vec<Message> {
        self.until_ready_with(None)
    }

    /// Like [`Self::until_ready`]; answers CopyInResponse with `copy`, or CopyFail without one.
    fn until_ready_with(&mut self, copy: Option<(&[u8], bool)>) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            let kind = message.kind;
            messages.push(message);
            match kind {
                b'Z' => break,
                b'G' => {
                    let (data, sync) = copy.map_or((None, false), |(data, sync)| (Some(data), sync));
                    match data {
                        Some(data) => {
                            for chunk in data.chunks(8 * 1024) {
                                self.send(&frame(b'd', chunk));
                            }
                            self.send(&frame(b'c', &[]));
                        }
                        None => self.send(&frame(b'f', b"no data\0")),
                    }
                    if sync || copy.is_none() {
                        self.send(&frame(b'S', &[]));
                    }
                }
                _ => {}
            }
        }
        messages
    }

    /// A Query message and its answer.
    pub fn simple(&mut self, sql: &str) -> Vec<Message> {
        self.simple_copy(sql, b"")
    }

    /// A Query message; `data` answers a CopyInResponse.
    pub fn simple_copy(&mut self, sql: &str, data: &[u8]) -> Vec<Message> {
        self.send(&query(sql));
        self.until_ready_with(Some((data, false)))
    }

    /// Parse, Bind, Describe, Execute, Sync of unnamed objects, all results in `format` (0 text, 1 binary).
    pub fn extended(&mut self, sql: &str, parameters: &[Option<&[u8]>], format: i16) -> Vec<Message> {
        self.extended_copy(sql, parameters, format, b"")
    }

    pub fn extended_copy(&mut self, sql: &str, parameters: &[Option<&[u8]>], format: i16, data: &[u8]) -> Vec<Message> {
        let mut bytes = parse("", sql, &[]);
        bytes.extend(bind("", "", &[], parameters, &[format]));
        bytes.extend(describe_portal(""));
        bytes.extend(execute("", 0));
        bytes.extend(frame(b'S', &[]));
        self.send(&bytes);
        // A Sync during COPY is ignored by the server; another one follows the data.
        self.until_ready_with(Some((data, true)))
    }

    /// Drops the part of the transcript that was read.
    pub fn forget(&mut self) {
        self.transcript.drain(..self.read);
        self.read = 0;
        self.startup_end = 0;
    }

    /// What was received after start-up.
    pub fn after_startup(&self) -> &[u8] {
        &self.transcript[self.startup_end..]
    }
}

pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn cstring(text: &str) -> Vec<u8> {
    let mut out = text.as_bytes().to_vec();
    out.push(0);
    out
}

pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(cstring(name));
        body.extend(cstring(value));
    }
    body.push(0);
    let mut out = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    out.extend(body);
    out
}

pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &cstring(sql))
}

pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = cstring(name);
    body.extend(cstring(sql));
    body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    for oid in types {
        body.extend(oid.to_be_bytes());
    }
    frame(b'P', &body)
}

pub fn bind(portal: &str, statement: &str, formats: &[i16], values: &[Option<&[u8]>], results: &[i16]) -> Vec<u8> {
    let mut body = cstring(portal);
    body.extend(cstring(statement));
    body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
    for format in formats {
        body.extend(format.to_be_bytes());
    }
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            Some(value) => {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend_from_slice(value);
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend(u16::try_from(results.len()).unwrap().to_be_bytes());
    for format in results {
        body.extend(format.to_be_bytes());
    }
    frame(b'B', &body)
}

pub fn describe_statement(name: &str) -> Vec<u8> {
    frame(b'D', &[b"S".as_slice(), &cstring(name)].concat())
}

pub fn describe_portal(name: &str) -> Vec<u8> {
    frame(b'D', &[b"P".as_slice(), &cstring(name)].concat())
}

pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(b'E', &[cstring(portal), rows.to_be_bytes().to_vec()].concat())
}

pub fn close_statement(name: &str) -> Vec<u8> {
    frame(b'C', &[b"S".as_slice(), &cstring(name)].concat())
}

pub fn close_portal(name: &str) -> Vec<u8> {
    frame(b'C', &[b"P".as_slice(), &cstring(name)].concat())
}

pub fn sync() -> Vec<u8> {
    frame(b'S', &[])
}

pub fn flush() -> Vec<u8> {
    frame(b'H', &[])
}

/// Takes a run of whole messages apart; what is left over at the end is dropped.
pub fn split(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while bytes.len() >= 5 {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        if bytes.len() <= length {
            break;
        }
        messages.push(Message { kind: bytes[0], body: bytes[5..=length].to_vec() });
        bytes = &bytes[length + 1..];
    }
    messages
}

impl Message {
    /// A field of ErrorResponse or NoticeResponse, such as `C` for the SQLSTATE.
    pub fn field(&self, field: u8) -> Option<String> {
        self.body
            .split(|&b| b == 0)
            .find_map(|part| (part.first() == Some(&field)).then(|| String::from_utf8_lossy(&part[1..]).into_owned()))
    }

    /// The fields of ErrorResponse or NoticeResponse by their letters.
    pub fn fields(&self) -> Vec<char> {
        self.body.split(|&b| b == 0).filter_map(|part| part.first().map(|&b| char::from(b))).collect()
    }

    /// The values of a DataRow.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.kind, b'D');
        let count = u16::from_be_bytes(self.body[..2].try_into().unwrap());
        let mut rest = &self.body[2..];
        (0..count)
            .map(|_| {
                let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
                rest = &rest[4..];
                let length = usize::try_from(length).ok()?;
                let value = rest[..length].to_vec();
                rest = &rest[length..];
                Some(value)
            })
            .collect()
    }

    /// The columns of a RowDescription.
    pub fn columns(&self) -> Vec<Column> {
        assert_eq!(self.kind, b'T');
        let count = u16::from_be_bytes(self.body[..2].try_into().unwrap());
        let mut rest = &self.body[2..];
        (0..count)
            .map(|_| {
                let end = rest.iter().position(|&b| b == 0).unwrap();
                let name = String::from_utf8_lossy(&rest[..end]).into_owned();
                let facts = &rest[end + 1..end + 19];
                rest = &rest[end + 19..];
                Column {
                    name,
                    relation: u32::from_be_bytes(facts[..4].try_into().unwrap()),
                    attribute: i16::from_be_bytes(facts[4..6].try_into().unwrap()),
                    type_oid: u32::from_be_bytes(facts[6..10].try_into().unwrap()),
                    length: i16::from_be_bytes(facts[10..12].try_into().unwrap()),
                    modifier: i32::from_be_bytes(facts[12..16].try_into().unwrap()),
                    format: i16::from_be_bytes(facts[16..18].try_into().unwrap()),
                }
            })
            .collect()
    }

    /// The tag of a CommandComplete.
    pub fn tag(&self) -> String {
        assert_eq!(self.kind, b'C');
        String::from_utf8_lossy(&self.body[..self.body.len() - 1]).into_owned()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub relation: u32,
    pub attribute: i16,
    pub type_oid: u32,
    pub length: i16,
    pub modifier: i32,
    pub format: i16,
}

/// The rows of an answer as text.
pub fn text_rows(messages: &[Message]) -> Vec<Vec<Option<String>>> {
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    messages
        .iter()
        .filter(|message| message.kind == b'D')
        .map(|message| message.values().into_iter().map(|value| value.map(text)).collect())
        .collect()
}

/// The rows of an answer without an error, each as its values joined by `|`, `-` for NULL.
pub fn lines(messages: &[Message]) -> Vec<String> {
    assert!(error(messages).is_none(), "{}", describe(messages));
    let line = |row: Vec<Option<String>>| {
        row.into_iter().map(|value| value.unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join("|")
    };
    text_rows(messages).into_iter().map(line).collect()
}

/// The first ErrorResponse.
pub fn error(messages: &[Message]) -> Option<&Message> {
    messages.iter().find(|message| message.kind == b'E')
}

/// An answer in words, for failures.
pub fn describe(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        let body = match message.kind {
            b'E' | b'N' => message
                .body
                .split(|&b| b == 0)
                .map(|part| String::from_utf8_lossy(part).into_owned())
                .collect::<Vec<_>>()
                .join(" | "),
            _ => String::from_utf8_lossy(&message.body[..message.body.len().min(200)]).escape_debug().to_string(),
        };
        out.push_str(&format!("  {} {body}\n", char::from(message.kind)));
    }
    out
}
