//! A session between a client on a pipe and a scripted server on a Unix socket: what each side sends is given message by message.

#![allow(dead_code, missing_docs, clippy::pedantic, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test support: a failure is the test's"
)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use pgscrim::{
    audit::{self, AuditHandle},
    catalog::{
        CatalogSnapshot,
        testing::{database, role, table},
    },
    config::{
        AuditConfig, Config, Limits, LogFormat, ServerTlsConfig, ServerTlsMode, UpstreamAddress, UpstreamConfig,
        UpstreamTlsConfig, UpstreamTlsMode,
    },
    engine::Inputs,
    metrics::Metrics,
    net::Peer,
    policy::rules::{RuleFile, RuleSet},
    reload::InputsHandle,
    session::{self, Shared},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{UnixListener, UnixStream},
    sync::watch,
};

pub const RULES: &str = r#"
policy = "test"
[category.none]
columns = ["public.customers.id"]
[category.phone]
columns = ["public.customers.phone"]
[[role]]
name = "support"
match = { user = "support" }
see = { phone = "withhold" }
[[role]]
name = "owner"
match = { user = "owner" }
exempt = true
"#;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(pub u8, pub Vec<u8>);

impl Message {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.1).replace('\0', "|")
    }
}

pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

pub fn query(text: &str) -> Vec<u8> {
    frame(b'Q', format!("{text}\0").as_bytes())
}

pub fn parse(name: &str, text: &str) -> Vec<u8> {
    frame(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

pub fn bind(portal: &str, name: &str) -> Vec<u8> {
    frame(b'B', format!("{portal}\0{name}\0\0\0\0\0\0\0").as_bytes())
}

pub fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

pub fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

pub fn complete(tag: &str) -> Vec<u8> {
    frame(b'C', format!("{tag}\0").as_bytes())
}

pub fn parsed() -> Vec<u8> {
    frame(b'1', b"")
}

pub fn bound() -> Vec<u8> {
    frame(b'2', b"")
}

pub fn closed() -> Vec<u8> {
    frame(b'3', b"")
}

pub fn ready(status: u8) -> Vec<u8> {
    frame(b'Z', &[status])
}

pub fn error(code: &str, message: &str, detail: &str) -> Vec<u8> {
    frame(b'E', format!("SERROR\0VERROR\0C{code}\0M{message}\0D{detail}\0P7\0\0").as_bytes())
}

pub fn row(values: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    frame(b'D', &body)
}

pub fn columns(columns: &[(u32, i16)]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for (relation, number) in columns {
        body.extend(b"c\0");
        body.extend(relation.to_be_bytes());
        body.extend(number.to_be_bytes());
        body.extend([0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    }
    frame(b'T', &body)
}

pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    [u32::try_from(body.len() + 4).unwrap().to_be_bytes().as_slice(), &body].concat()
}

pub async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> Option<Message> {
    let limit = Duration::from_secs(10);
    let kind = tokio::time::timeout(limit, stream.read_u8()).await.expect("nothing came").ok()?;
    let length = stream.read_u32().await.ok()?;
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some(Message(kind, body))
}

pub async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap();
    let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut rest).await.unwrap();
    rest
}

/// A session with both its ends in hand.
pub struct Script {
    pub client: DuplexStream,
    pub server: UnixStream,
    pub log: PathBuf,
    pub shared: Arc<Shared>,
    pub audit: AuditHandle,
    pub _folder: Folder,
}

pub struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct World {
    pub shared: Arc<Shared>,
    pub audit: AuditHandle,
    pub listener: UnixListener,
    pub log: PathBuf,
    pub folder: Folder,
    pub customers: u32,
}

pub fn world(limits: Limits) -> World {
    static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("pgscrim-session-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("server");
    let log = folder.join("audit.jsonl");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut data = database();
    let customers = table(&mut data, "customers", "id bigint not null, phone varchar(20)").0;
    role(&mut data, "support", &[]);
    role(&mut data, "owner", &[]);
    let catalog = CatalogSnapshot::new(data, 1);
    let file = RuleFile { path: "rules.toml".into(), text: RULES.into() };
    let policy = RuleSet::parse(&[file]).unwrap().compile(&catalog).unwrap();
    let audit = AuditConfig {
        path: Some(log.clone()),
        stdout: false,
        rotate_bytes: 1 << 30,
        keep: 1,
        queue: 100,
        wait: Duration::from_millis(200),
        key_file: None,
    };
    let config = Config {
        listen: Vec::new(),
        metrics: None,
        rules: PathBuf::new(),
        upstream: UpstreamConfig {
            address: UpstreamAddress::Unix(socket),
            user: "pgscrim".to_owned(),
            password: None,
            database: "shop".to_owned(),
            tls: UpstreamTlsConfig { mode: UpstreamTlsMode::Off, ca: None, server_name: None },
            connect_timeout: Duration::from_secs(5),
            catalog_refresh: Duration::from_secs(60),
            ddl_guard: pgscrim::config::DdlGuard::Relayed,
        },
        tls: ServerTlsConfig { mode: ServerTlsMode::Off, cert: None, key: None },
        audit: audit.clone(),
        limits,
        log_format: LogFormat::Text,
        log_level: "info".to_owned(),
        workers: None,
    };
    let metrics = Metrics::new();
    let audit = audit::sink::start(&audit, Arc::clone(&metrics)).unwrap();
    let inputs = InputsHandle::fixed(Inputs { catalog, policy: Arc::new(policy) });
    let shared = Shared::new(Arc::new(config), inputs, audit.clone(), metrics).unwrap();
    World { shared, audit, listener, log, folder: Folder(folder), customers }
}

pub fn limits() -> Limits {
    Limits { connections: 10, startup: Duration::from_secs(5), statement_bytes: 1000, drain: Duration::from_secs(5) }
}

impl World {
    pub fn dial(&self) -> (DuplexStream, watch::Sender<bool>) {
        let (client, far) = tokio::io::duplex(1 << 16);
        let peer = Peer { address: "test".into(), unix: true };
        let (sender, shutdown) = watch::channel(false);
        tokio::spawn(session::run(Arc::clone(&self.shared), Box::new(far), peer, shutdown));
        (client, sender)
    }

    /// A session after start-up, with what the client was told until then.
    pub async fn session(self, user: &str) -> (Script, Vec<Message>) {
        let (mut client, shutdown) = self.dial();
        std::mem::forget(shutdown);
        client.write_all(&startup(0x0003_0000, &[("user", user), ("database", "shop")])).await.unwrap();
        let (mut server, _) = self.listener.accept().await.unwrap();
        let packet = read_packet(&mut server).await;
        if user == "support" {
            let text = String::from_utf8_lossy(&packet).into_owned();
            assert!(text.contains("client_encoding\0UTF8\0"), "{text}");
        }
        let greeting = [
            frame(b'R', &[0, 0, 0, 0]),
            frame(b'S', b"server_version\x0015\0"),
            frame(b'S', b"is_superuser\0off\0"),
            frame(b'S', b"secret.setting\0value\0"),
            frame(b'K', &[0, 0, 0, 1, 9, 9, 9, 9]),
            ready(b'I'),
        ];
        server.write_all(&greeting.concat()).await.unwrap();
        let mut script =
            Script { client, server, log: self.log, shared: self.shared, audit: self.audit, _folder: self.folder };
        if user == "support" {
            script.answer_path("{pg_catalog,public}").await;
        }
        let mut told = Vec::new();
        loop {
            let message = read_message(&mut script.client).await.expect("a greeting");
            let last = message.0 == b'Z';
            told.push(message);
            if last {
                return (script, told);
            }
        }
    }
}

impl Script {
    pub async fn answer_path(&mut self, path: &str) {
        let asked = expect(&mut self.server, "CPBECCS").await;
        assert!(asked[1].text().contains("current_schemas"), "{}", asked[1].text());
        self.answer(path).await;
    }

    pub async fn answer(&mut self, path: &str) {
        let none = r#"{"pid":7,"schema":null,"relations":null}"#;
        let values = row(&[path, "on", "UTF8", "", none]);
        let answer =
            [closed(), parsed(), bound(), values, complete("SELECT 1"), closed(), closed(), ready(b'I')].concat();
        self.server.write_all(&answer).await.unwrap();
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    pub async fn reply(&mut self, messages: &[Vec<u8>]) {
        self.server.write_all(&messages.concat()).await.unwrap();
    }

    /// The kinds of the next messages that the server sees.
    pub async fn server_sees(&mut self, kinds: &str) -> Vec<Message> {
        expect(&mut self.server, kinds).await
    }

    pub async fn client_sees(&mut self, kinds: &str) -> Vec<Message> {
        expect(&mut self.client, kinds).await
    }

    /// The audit events so far.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.audit.shutdown(Duration::from_secs(5));
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub async fn expect(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), kinds: &str) -> Vec<Message> {
    let mut seen = Vec::new();
    for kind in kinds.bytes() {
        let message = read_message(stream).await.unwrap_or_else(|| panic!("closed after {seen:?}"));
        assert_eq!(char::from(message.0), char::from(kind), "{} after {seen:?}", message.text());
        seen.push(message);
    }
    seen
}
