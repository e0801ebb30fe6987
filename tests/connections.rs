//! Connections end to end: TLS with real certificates, authentication by the server's own exchange, Unix sockets on both
//! sides, cancel requests, and refusals at start-up. The clients are psql (libpq) and our own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test"
)]

mod common;

use std::{
    fs,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use common::{
    Folder, Postgres, Proxy,
    proxy::Options,
    psql, shop, text, wait_for,
    wire::{self, Client},
};

/// A certificate authority and a certificate of `localhost` in `folder`: `ca.pem`, `cert.pem`, `key.pem`.
fn certificates(folder: &Folder) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    folder.write("ca.pem", &authority_certificate.pem());
    folder.write("cert.pem", &certificate.pem());
    folder.write("key.pem", &key.serialize_pem());
}

fn tls_proxy(server: &Postgres, mode: &str) -> Proxy {
    let folder = Folder::new();
    certificates(&folder);
    folder.write("rules/rules.toml", shop::RULES);
    let path = |name: &str| folder.join(name).display().to_string();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings =
        format!("\n[tls]\nmode = \"{mode}\"\ncert = \"{}\"\nkey = \"{}\"\n", path("cert.pem"), path("key.pem"));
    Proxy::start_in(folder, server, &options)
}

fn psql_tls(proxy: &Proxy, mode: &str, host: &str) -> Command {
    let mut command = psql(host, proxy.port, "support", shop::DATABASE);
    command.env("PGSSLMODE", mode).env("PGSSLROOTCERT", proxy.folder.join("ca.pem")).env("PGHOSTADDR", "127.0.0.1");
    command
}

fn outcome(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

const PHONE: &str = "SELECT phone FROM customers WHERE id = 1";

#[test]
fn tls_as_libpq_demands_it() {
    let server = shop::postgres();
    let proxy = tls_proxy(&server, "allowed");
    for (mode, host) in [
        ("require", "localhost"),
        ("verify-ca", "elsewhere"),
        ("verify-full", "localhost"),
        ("disable", "localhost"),
        ("prefer", "localhost"),
    ] {
        let output = psql_tls(&proxy, mode, host).args(["-c", PHONE]).output().unwrap();
        assert_eq!(outcome(&output).trim(), "*****001", "sslmode={mode}");
    }
    let output = psql_tls(&proxy, "verify-full", "elsewhere").args(["-c", PHONE]).output().unwrap();
    assert!(!output.status.success());
    assert!(outcome(&output).contains("elsewhere"), "{}", outcome(&output));
    let output = psql_tls(&proxy, "require", "localhost").args(["-c", "\\conninfo"]).output().unwrap();
    assert!(outcome(&output).contains("SSL connection (protocol: TLSv1.3"), "{}", outcome(&output));
}

#[test]
fn tls_required_refuses_plain_tcp_but_not_sockets() {
    let server = shop::postgres();
    let proxy = tls_proxy(&server, "required");
    let output = psql_tls(&proxy, "disable", "localhost").args(["-c", PHONE]).output().unwrap();
    assert!(!output.status.success());
    assert!(outcome(&output).contains("PGS0407"), "{}", outcome(&output));
    let output = psql_tls(&proxy, "verify-full", "localhost").args(["-c", PHONE]).output().unwrap();
    assert_eq!(outcome(&output).trim(), "*****001");
    let mut client = Client::connect(&proxy.unix(), &[("user", "support"), ("database", "shop")])
        .unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)));
    assert_eq!(wire::text_rows(&client.simple(PHONE)), [[Some("*****001".to_owned())]]);
}

/// CVE-2021-23214: plain bytes behind SSLRequest must not become the first bytes of the encrypted stream.
#[test]
fn bytes_before_the_handshake_are_refused() {
    let server = shop::postgres();
    let proxy = tls_proxy(&server, "allowed");
    let mut client = Client::open(&proxy.address());
    client.set_read_timeout(Duration::from_secs(20));
    let mut bytes = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
    bytes.extend(wire::startup(196_608, &[("user", "support"), ("database", "shop")]));
    bytes.extend(wire::query("SELECT 1"));
    client.send(&bytes);
    while client.fill() {}
    assert!(client.transcript.is_empty() || matches!(client.transcript[0], b'S' | b'E'), "{:?}", client.transcript);
    assert!(!client.transcript.contains(&b'Z'), "{:?}", text(&client.transcript));
    assert!(proxy.audit().is_empty());
}

/// Direct TLS of PostgreSQL 17: the first byte is a ClientHello, and ALPN says `postgresql`.
#[test]
fn direct_tls_with_alpn() {
    let server = shop::postgres();
    let proxy = tls_proxy(&server, "required");
    let connect = |alpn: &str| {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost", "-alpn", alpn])
            .args(["-connect", &format!("127.0.0.1:{}", proxy.port), "-CAfile"])
            .arg(proxy.folder.join("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is needed for this test");
        let mut bytes = wire::startup(196_608, &[("user", "support"), ("database", "shop")]);
        bytes.extend(wire::query(PHONE));
        bytes.extend(wire::frame(b'X', b""));
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, &bytes).ok();
        // The end of the input would end openssl before the answer came.
        let output = wait_for_output(child);
        drop(input);
        output
    };
    assert!(connect("postgresql").contains("*****001"));
    assert!(!connect("http/1.1").contains("*****001"));
}

fn wait_for_output(mut child: std::process::Child) -> String {
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut bytes).ok();
        text(&bytes)
    });
    wait_for("openssl", Duration::from_secs(20), || {
        reader.is_finished().then_some(()).or_else(|| child.try_wait().unwrap().map(|_| ()))
    });
    let _ = child.kill();
    let _ = child.wait();
    reader.join().unwrap()
}

#[test]
fn tls_to_the_server_is_verified() {
    let folder = Folder::new();
    certificates(&folder);
    let server = Postgres::start();
    for (name, target) in [("cert.pem", "server.crt"), ("key.pem", "server.key")] {
        let target = server.data.join(target);
        fs::copy(folder.join(name), &target).unwrap();
        // As PostgreSQL demands of a key: its own, and closed to others.
        let owner = Command::new("chown").arg("--reference").arg(server.data.join("PG_VERSION")).arg(&target).status();
        assert!(owner.unwrap().success());
        assert!(Command::new("chmod").arg("600").arg(&target).status().unwrap().success());
    }
    let server = shop::load(server);
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    fs::write(server.data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 trust\n").unwrap();
    server.reload();
    let options = |tls: &str| {
        let mut options = Options::new(shop::DATABASE, shop::RULES);
        options.settings = format!(
            "\n[upstream]\nurl = \"postgres://pgscrim@127.0.0.1:{}/shop\"\n[upstream.tls]\n{tls}\n",
            server.port
        );
        options
    };
    let authority = folder.join("ca.pem").display().to_string();
    let proxy = Proxy::start(
        &server,
        &options(&format!("mode = \"verify-full\"\nca = \"{authority}\"\nserver_name = \"localhost\"")),
    );
    let mut client = proxy.connect("support", shop::DATABASE);
    assert_eq!(wire::text_rows(&client.simple(PHONE)), [[Some("*****001".to_owned())]]);
    let rows = server.sql("postgres", "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename IN ('support', 'pgscrim')");
    assert_eq!(rows, [[Some("t".to_owned())]]);
    // SCRAM from a client without TLS: the server offers it channel binding, which libpq would not understand.
    let hba =
        "local all all trust\nhostssl all pgscrim 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(server.data.join("pg_hba.conf"), hba).unwrap();
    server.reload();
    let mut scram = psql("127.0.0.1", proxy.port, "support", shop::DATABASE);
    let output = scram.env("PGPASSWORD", "support-pw").args(["-c", PHONE]).output().unwrap();
    assert_eq!(outcome(&output).trim(), "*****001");
    drop(proxy);
    // Another name, or an unknown authority: it does not start, and says why.
    let stranger = Folder::new();
    certificates(&stranger);
    let strange = stranger.join("ca.pem").display().to_string();
    for tls in [
        format!("mode = \"verify-full\"\nca = \"{authority}\"\nserver_name = \"elsewhere\""),
        format!("mode = \"verify-full\"\nca = \"{strange}\"\nserver_name = \"localhost\""),
    ] {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Proxy::start(&server, &options(&tls))));
        let Err(said) = result else { panic!("started with {tls}") };
        let said = said.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(said.to_lowercase().contains("certificate"), "{said}");
    }
}

fn password_server(method: &str) -> Postgres {
    let encryption = if method == "md5" { "password_encryption = md5\n" } else { "" };
    let hba =
        format!("local all all trust\nhost all pgscrim 127.0.0.1/32 {method}\nhost all all 127.0.0.1/32 {method}\n");
    shop::load(Postgres::start_with(encryption, &hba))
}

#[test]
fn passwords_are_checked_by_the_server() {
    for method in ["scram-sha-256", "md5", "password"] {
        let server = password_server(method);
        let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
        let try_with = |port: u16, user: &str, password: Option<&str>| {
            let mut command = psql("127.0.0.1", port, user, shop::DATABASE);
            if let Some(password) = password {
                command.env("PGPASSWORD", password);
            }
            let output = command.args(["-c", PHONE]).output().unwrap();
            outcome(&output).replace(&port.to_string(), "PORT")
        };
        assert_eq!(try_with(proxy.port, "support", Some("support-pw")).trim(), "*****001", "{method}");
        assert_eq!(try_with(proxy.port, "owner", Some("owner-pw")).trim(), "0901234001", "{method}");
        for (user, password) in
            [("support", Some("wrong")), ("support", None), ("nobody", Some("x")), ("owner", Some("support-pw"))]
        {
            let (got, expected) = (try_with(proxy.port, user, password), try_with(server.port, user, password));
            assert_eq!(got, expected, "{method} {user} {password:?}");
            assert!(got.contains("password"), "{got}");
        }
        let refused = try_with(proxy.port, "stranger", Some("stranger-pw"));
        assert!(refused.contains("PGS0401"), "{method}: {refused}");
        let log = proxy.log();
        assert!(!log.contains("support-pw") && !log.contains("owner-pw"), "a password was logged");
    }
}

#[test]
fn unix_sockets_on_both_sides() {
    let server = shop::postgres();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings = format!(
        "\n[upstream]\nurl = \"postgres://pgscrim@{}:{}/shop\"\n",
        server.sockets.display().to_string().replace('/', "%2F"),
        server.port
    );
    let proxy = Proxy::start(&server, &options);
    let sockets = proxy.sockets.display().to_string();
    let output = psql(&sockets, proxy.port, "support", shop::DATABASE).args(["-c", PHONE]).output().unwrap();
    assert_eq!(outcome(&output).trim(), "*****001");
    let events =
        wait_for("an audit event", Duration::from_secs(5), || Some(proxy.audit()).filter(|events| !events.is_empty()));
    assert!(events[0].to_string().contains("unix"), "{}", events[0]);
}

/// A cancel request stops exactly the session whose key it carries.
#[test]
fn cancel_reaches_the_right_session() {
    let server = shop::postgres();
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    // A second instance before the same server may carry the request too.
    let other = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let slow = "SELECT count(*) FROM generate_series(1, 100000000000) g, customers c WHERE c.id = 1";
    for (user, port) in [("owner", proxy.port), ("support", proxy.port), ("support", other.port)] {
        let mut victim = proxy.connect(user, shop::DATABASE);
        let mut bystander = proxy.connect(user, shop::DATABASE);
        let start = Instant::now();
        victim.send(&wire::query(slow));
        bystander.send(&wire::query("SELECT count(*) FROM generate_series(1, 3000000)"));
        std::thread::sleep(Duration::from_millis(500));
        let mut request = Client::open(&wire::Address::Tcp(port));
        let mut bytes = u32::try_from(8 + victim.key.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(80_877_102_u32.to_be_bytes());
        bytes.extend(&victim.key);
        request.send(&bytes);
        assert!(!request.fill(), "a cancel request has no answer");
        let answer = victim.until_ready();
        let error = wire::error(&answer).unwrap_or_else(|| panic!("{}", wire::describe(&answer)));
        assert_eq!(error.field(b'C').unwrap(), "57014");
        assert!(start.elapsed() < Duration::from_secs(30));
        let answer = bystander.until_ready();
        assert_eq!(wire::text_rows(&answer), [[Some("3000000".to_owned())]], "{}", wire::describe(&answer));
        assert_eq!(wire::text_rows(&victim.simple("SELECT 1")), [[Some("1".to_owned())]]);
    }
    // A wrong secret cancels nobody.
    let mut victim = proxy.connect("owner", shop::DATABASE);
    victim.send(&wire::query("SELECT pg_sleep(1.5), 7"));
    std::thread::sleep(Duration::from_millis(300));
    let mut key = victim.key.clone();
    *key.last_mut().unwrap() ^= 1;
    let mut request = Client::open(&proxy.address());
    request.send(&[16_u32.to_be_bytes().as_slice(), &80_877_102_u32.to_be_bytes(), &key].concat());
    assert!(!request.fill());
    assert_eq!(wire::text_rows(&victim.until_ready())[0][1].as_deref(), Some("7"));
}

/// Protocol 3.2: with long cancel keys from a server that speaks it, negotiated down by one that does not.
#[test]
fn protocol_3_2_and_its_cancel_keys() {
    let (server, proxy) = shop::start();
    let speaks = server.version() >= 18;
    for user in ["owner", "support"] {
        let mut client = Client::open(&proxy.address());
        client.send(&wire::startup((3 << 16) | 2, &[("user", user), ("database", shop::DATABASE)]));
        let greeting = client.until_ready();
        assert_eq!(greeting.iter().any(|message| message.kind == b'v'), !speaks, "{}", wire::describe(&greeting));
        let key = greeting.iter().find(|message| message.kind == b'K').unwrap().body.clone();
        assert_eq!(key.len() > 8, speaks, "{} bytes of key", key.len());
        client.send(&wire::query("SELECT count(*) FROM generate_series(1, 100000000000)"));
        std::thread::sleep(Duration::from_millis(500));
        let mut request = Client::open(&proxy.address());
        let length = u32::try_from(8 + key.len()).unwrap();
        request.send(&[length.to_be_bytes().as_slice(), &80_877_102_u32.to_be_bytes(), &key].concat());
        assert!(!request.fill(), "a cancel request has no answer");
        let answer = client.until_ready();
        let error = wire::error(&answer).unwrap_or_else(|| panic!("{}", wire::describe(&answer)));
        assert_eq!(error.field(b'C').unwrap(), "57014");
        assert_eq!(wire::text_rows(&client.simple("SELECT 1")), [[Some("1".to_owned())]]);
    }
}

/// psql's Ctrl-C, in clear and over TLS.
#[test]
fn psql_cancels_on_interrupt() {
    let server = shop::postgres();
    let proxy = tls_proxy(&server, "allowed");
    for mode in ["disable", "require"] {
        let child = psql_tls(&proxy, mode, "localhost")
            .args(["-c", "SELECT count(*) FROM generate_series(1, 100000000000)"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(1));
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let start = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "sslmode={mode}");
        assert!(outcome(&output).contains("57014"), "sslmode={mode}: {}", outcome(&output));
    }
}

#[test]
fn the_end_of_either_side_ends_the_other() {
    let server = shop::postgres();
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let count = || -> u32 {
        let rows = server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'support'");
        rows[0][0].as_ref().unwrap().parse().unwrap()
    };
    let mut client = proxy.connect("support", shop::DATABASE);
    client.simple("SELECT 1");
    assert_eq!(count(), 1);
    // Gone without Terminate.
    drop(client);
    wait_for("the server session to end", Duration::from_secs(10), || (count() == 0).then_some(()));
    // The server ends the session: its words reach the client.
    let mut client = proxy.connect("support", shop::DATABASE);
    client.simple("SELECT 1");
    server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'support'");
    let message = client.next().unwrap();
    assert_eq!(message.field(b'C').as_deref(), Some("57P01"), "{}", wire::describe(std::slice::from_ref(&message)));
    assert!(client.next().is_none());
}

#[test]
fn a_server_that_is_away_is_said_so() {
    let server = shop::postgres();
    let mut proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    drop(server);
    let Err(answer) = Client::connect(&proxy.address(), &[("user", "support"), ("database", "shop")]) else {
        panic!("connected to nothing")
    };
    let error = wire::error(&answer).unwrap();
    assert!(error.field(b'H').unwrap_or_default().starts_with("PGS0406"), "{}", wire::describe(&answer));
    // SIGTERM ends it, with nobody connected at once.
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn sigterm_lets_sessions_finish_their_statement() {
    let server = shop::postgres();
    let mut proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let mut client = proxy.connect("owner", shop::DATABASE);
    client.send(&wire::query("SELECT pg_sleep(2), 5"));
    std::thread::sleep(Duration::from_millis(300));
    proxy.signal("TERM");
    let mut answer = Vec::new();
    while let Some(message) = client.next() {
        answer.push(message);
    }
    assert_eq!(wire::text_rows(&answer)[0][1].as_deref(), Some("5"), "{}", wire::describe(&answer));
    assert_eq!(proxy.wait().code(), Some(0));
    let audit = fs::read_to_string(proxy.folder.join("audit.jsonl")).unwrap();
    assert!(audit.contains("\"SELECT\""), "{audit}");
}

/// Garbage on the port, at start-up and within sessions, ends connections and nothing else.
#[test]
fn garbage_ends_connections_only() {
    let server = shop::postgres();
    let proxy = Proxy::start(&server, &Options::new(shop::DATABASE, shop::RULES));
    let mut seed = 42_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut bystander = proxy.connect("support", shop::DATABASE);
    for round in 0..150 {
        let mut bytes: Vec<u8> = (0..next() % 300).map(|_| next().to_le_bytes()[4]).collect();
        let mut client = if round % 3 == 0 {
            Client::open(&proxy.address())
        } else {
            // Some bytes of well-formed messages, then noise.
            let mut known = [
                wire::parse("a", "SELECT phone FROM customers", &[]),
                wire::bind("", "a", &[], &[], &[1]),
                wire::execute("", 5),
                wire::sync(),
                wire::query("COPY orders FROM STDIN"),
            ]
            .concat();
            for _ in 0..=next() % 4 {
                let at = usize::try_from(next()).unwrap_or(0) % known.len();
                known[at] = next().to_le_bytes()[3];
            }
            known.extend(bytes);
            bytes = known;
            proxy.connect(if round % 2 == 0 { "support" } else { "owner" }, shop::DATABASE)
        };
        client.send(&bytes);
        client.set_read_timeout(Duration::from_millis(1));
        drop(client);
    }
    assert_eq!(wire::text_rows(&bystander.simple(PHONE)), [[Some("*****001".to_owned())]]);
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    wait_for("the server sessions to end", Duration::from_secs(20), || {
        let rows =
            server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('support', 'owner')");
        (rows[0][0].as_deref() == Some("1")).then_some(())
    });
}

#[test]
fn connections_come_and_go_without_a_trace() {
    let server = shop::postgres();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings = "\n[limits]\nconnections = 20\n".to_owned();
    let proxy = Proxy::start(&server, &options);
    let files = || fs::read_dir(format!("/proc/{}/fd", proxy.id())).unwrap().count();
    proxy.connect("support", shop::DATABASE).simple(PHONE);
    std::thread::sleep(Duration::from_millis(500));
    let before = files();
    for _ in 0..10 {
        let mut clients: Vec<Client> = (0..15).map(|_| proxy.connect("support", shop::DATABASE)).collect();
        for client in &mut clients {
            assert_eq!(wire::text_rows(&client.simple(PHONE)).len(), 1);
        }
        drop(clients);
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_for("the files to be closed", Duration::from_secs(10), || (files() <= before + 2).then_some(()));
    let held: Vec<Client> = (0..20).map(|_| proxy.connect("support", shop::DATABASE)).collect();
    let Err(answer) = Client::connect(&proxy.address(), &[("user", "support"), ("database", "shop")]) else {
        panic!("more connections than the limit")
    };
    assert_eq!(wire::error(&answer).unwrap().field(b'C').as_deref(), Some("53300"), "{}", wire::describe(&answer));
    drop(held);
    wait_for("room", Duration::from_secs(10), || {
        Client::connect(&proxy.address(), &[("user", "support"), ("database", "shop")]).ok().map(drop)
    });
}

/// Who is not let in writes no lines of its own into the log, and nothing that a terminal obeys.
#[test]
fn a_name_at_start_up_is_one_line_of_the_log() {
    let (_postgres, proxy) = shop::start();
    for name in ["x\n2026-01-01T00:00:00Z  INFO rules in force policy=\"none\"", "x\x1b[31mred", "x\u{202e}x"] {
        for parameters in [[("user", name), ("database", shop::DATABASE)], [("user", "stranger"), ("database", name)]] {
            assert!(Client::connect(&proxy.address(), &parameters).is_err());
        }
    }
    let refused = |log: &str| log.lines().filter(|line| line.contains("connection refused")).count();
    let log = wait_for("lines of the log", Duration::from_secs(10), || {
        let log = proxy.log();
        (refused(&log) >= 3).then_some(log)
    });
    assert!(!log.contains(['\x1b', '\u{202e}']), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z")), "{log}");
}

/// PostgreSQL 16 and earlier cut a name after 63 bytes: the login would be another one than the rules were looked up for.
#[test]
fn a_login_is_not_called_otherwise_than_the_server_calls_it() {
    let server = Postgres::start();
    let name = "u".repeat(63);
    server.sql("postgres", &format!("CREATE ROLE pgscrim LOGIN; CREATE ROLE {name} LOGIN"));
    let rules = format!(
        "policy = \"long\"\n[[role]]\nname = \"one\"\nmatch = {{ user = [\"{name}\"] }}\n[[role]]\nname = \"other\"\nmatch = {{ database = [\"postgres\"] }}\n"
    );
    let proxy = Proxy::start(&server, &Options::new("postgres", rules));
    let connect = |user: &str| wire::Client::connect(&proxy.address(), &[("user", user), ("database", "postgres")]);
    assert!(connect(&name).is_ok());
    for long in [format!("{name}x"), format!("{name}é")] {
        let Err(refused) = connect(&long) else { panic!("{long} came in") };
        assert_eq!(
            wire::error(&refused).unwrap().field(b'C').as_deref(),
            Some("28000"),
            "{}",
            wire::describe(&refused)
        );
    }
}
