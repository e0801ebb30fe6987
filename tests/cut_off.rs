//! The connection to the server ends, or stands still, at any point: of a start-up, a question of pgscrim's own, a pipeline, COPY. The client
//! has what came until then and hears of the end at once; nothing hangs, nothing is left behind, and others go on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    Postgres, Proxy,
    proxy::Options,
    shop, wait_for,
    wire::{self, bind, describe_portal, execute, frame, parse, query, sync},
};

/// What is let through of the server's bytes to sessions of `support`; all, where it is negative.
#[derive(Clone)]
struct Middle {
    port: u16,
    most: Arc<AtomicI64>,
    /// Whether the connection then stands still, and does not end.
    still: Arc<AtomicI64>,
}

impl Middle {
    /// Stands between pgscrim and the server.
    fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let middle = Self {
            port: listener.local_addr().unwrap().port(),
            most: Arc::new(AtomicI64::new(-1)),
            still: Arc::new(AtomicI64::new(0)),
        };
        let own = middle.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.relay(stream, server));
            }
        });
        middle
    }

    fn relay(&self, mut near: TcpStream, server: u16) -> Option<()> {
        let mut first = [0; 4096];
        let count = near.read(&mut first).ok()?;
        let is_client = first[..count].windows(8).any(|window| window == b"support\0");
        let most = if is_client { self.most.load(Ordering::SeqCst) } else { -1 };
        let still = self.still.load(Ordering::SeqCst) != 0;
        let mut far = TcpStream::connect(("127.0.0.1", server)).ok()?;
        far.set_nodelay(true).ok()?;
        near.set_nodelay(true).ok()?;
        far.write_all(&first[..count]).ok()?;
        let (mut up_near, mut up_far) = (near.try_clone().ok()?, far.try_clone().ok()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut up_near, &mut up_far);
            let _ = up_far.shutdown(Shutdown::Write);
        });
        let mut passed = 0_i64;
        let mut buffer = [0; 8192];
        loop {
            let left = if most < 0 { buffer.len() } else { usize::try_from(most - passed).ok()?.min(buffer.len()) };
            if left == 0 {
                break;
            }
            match far.read(&mut buffer[..left]) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    near.write_all(&buffer[..count]).ok()?;
                    passed += i64::try_from(count).ok()?;
                }
            }
        }
        if still && most >= 0 && passed == most {
            // Until pgscrim gives up.
            let _ = near.set_read_timeout(Some(Duration::from_secs(60)));
            while matches!(near.peek(&mut [0; 1]), Ok(1..)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = near.shutdown(Shutdown::Both);
        let _ = far.shutdown(Shutdown::Both);
        Some(())
    }
}

fn start(more: &str) -> (Postgres, Middle, Proxy) {
    let postgres = shop::postgres();
    postgres.sql(
        shop::DATABASE,
        "CREATE TABLE lines (number int); GRANT ALL ON lines TO support; CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO support",
    );
    let middle = Middle::before(postgres.port);
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings =
        format!("{more}\n[upstream]\nurl = \"postgres://pgscrim:catalog@127.0.0.1:{}/shop\"\n", middle.port);
    let proxy = Proxy::start(&postgres, &options);
    (postgres, middle, proxy)
}

fn one(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[], &[], &[]), describe_portal(""), execute("", 0)].concat()
}

fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a query", query("SELECT id, phone FROM customers ORDER BY id LIMIT 4")),
        ("several", query("SELECT phone FROM customers LIMIT 1; SELECT 1/0; SELECT 2")),
        (
            "a pipeline with a question in it",
            [
                one("SELECT 1"),
                one("SET search_path = other, public"),
                one("SELECT phone FROM customers LIMIT 2"),
                sync(),
            ]
            .concat(),
        ),
        (
            "a refusal in a pipeline",
            [one("SELECT note FROM customers"), one("SELECT 1"), sync(), one("SELECT 2"), sync()].concat(),
        ),
        ("COPY out", query("COPY (SELECT id, phone FROM customers LIMIT 3) TO STDOUT")),
        (
            "COPY in",
            [query("COPY lines FROM STDIN"), frame(b'd', b"1\n2\n"), frame(b'c', b""), query("SELECT 3")].concat(),
        ),
    ]
}

/// Connects, sends, and says what came until the connection ended or everything was answered.
fn run(proxy: &Proxy, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&wire::startup(0x3_0000, &[("user", "support"), ("database", shop::DATABASE)])).unwrap();
    let mut all = Vec::new();
    let mut sent = false;
    let mut buffer = [0; 8192];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("nothing comes, and no end: {error}; so far: {}", wire::describe(&wire::split(&all))),
        }
        if !sent && wire::split(&all).iter().any(|message| message.kind == b'Z') {
            sent = true;
            let _ = stream.write_all(bytes);
            let _ = stream.write_all(&frame(b'X', b""));
        }
    }
    let secrets: [&[u8]; 3] = [b"Nguyen Thi Minh", b"0901234", b"prefers calls"];
    for secret in secrets {
        assert!(!all.windows(secret.len()).any(|window| window == secret));
    }
    wire::split(&all).iter().map(|message| char::from(message.kind)).collect()
}

/// How many bytes the server sends at start-up, and for a script, at most.
const LONGEST: i64 = 2600;

#[test]
fn a_connection_that_ends_at_any_byte() {
    let (postgres, middle, proxy) = start("");
    let mut bystander = proxy.connect("owner", shop::DATABASE);
    let mut cuts = 0;
    for (name, bytes) in scripts() {
        middle.most.store(-1, Ordering::SeqCst);
        let whole = run(&proxy, &bytes);
        assert!(whole.ends_with('Z'), "{name}: {whole}");
        let step = if common::long() { 1 } else { 23 };
        for most in (0..LONGEST).step_by(step) {
            middle.most.store(most, Ordering::SeqCst);
            let begun = Instant::now();
            let part = run(&proxy, &bytes);
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}, {most} bytes: {part}");
            cuts += 1;
            if part == whole {
                break;
            }
            // All but a last word of pgscrim's own.
            let common = part.strip_suffix('E').unwrap_or(&part);
            assert!(whole.starts_with(common), "{name}, {most} bytes: {part} instead of {whole}");
        }
    }
    assert!(cuts > 100, "{cuts}");
    assert!(wire::error(&bystander.simple("SELECT 1")).is_none());
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    left_behind(&postgres, &proxy);
}

/// Only this session's own connections are left.
fn left_behind(postgres: &Postgres, proxy: &Proxy) {
    wait_for("the end of sessions on the server", Duration::from_secs(20), || {
        let rows = postgres.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'support'");
        (rows[0][0].as_deref() == Some("0")).then_some(())
    });
    wait_for("the end of sessions in pgscrim", Duration::from_secs(20), || {
        let page = proxy.page("/metrics");
        let mut open = page.lines().filter(|line| line.starts_with("pgscrim_connections "));
        let count: f64 = open.by_ref().filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
        (count <= 1.0).then_some(())
    });
}

/// A server that stands still: who has not come in yet hears of it after the limit of the start-up, and a client may go at any time.
#[test]
fn a_connection_that_stands_still() {
    let (postgres, middle, proxy) = start("[limits]\nstartup = \"2s\"\n");
    middle.still.store(1, Ordering::SeqCst);
    // Before, in and behind the server's greeting; in the question that comes before the client's turn.
    for most in [0, 5, 9, 100, 300, 420, 470] {
        middle.most.store(most, Ordering::SeqCst);
        let begun = Instant::now();
        let answer = run(&proxy, &query("SELECT 1"));
        assert!(begun.elapsed() < Duration::from_secs(8), "{most} bytes: {answer}");
        assert!(!answer.contains('Z'), "{most} bytes: {answer}");
    }
    middle.most.store(-1, Ordering::SeqCst);
    assert_eq!(wire::text_rows(&proxy.connect("support", shop::DATABASE).simple("SELECT 1")).len(), 1);
    left_behind(&postgres, &proxy);
}

/// Start-ups that never come to an end, and as many as there may be: each ends in its time, and whoever is in goes on.
#[test]
fn start_ups_that_trickle() {
    let server = shop::postgres();
    let mut options = Options::new(shop::DATABASE, shop::RULES);
    options.settings = "[limits]\nstartup = \"2s\"\nconnections = 60\n".to_owned();
    let proxy = Proxy::start(&server, &options);
    let mut inside = proxy.connect("support", shop::DATABASE);
    let (before, _) = proxy.memory();
    let begun = Instant::now();
    let mut half: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", proxy.port)).unwrap()).collect();
    let packet = wire::startup(0x3_0000, &[("user", "support"), ("database", shop::DATABASE)]);
    // Of each one byte now and then; some say that they are as long as they may be, or longer.
    let mut huge = packet.clone();
    huge[..4].copy_from_slice(&10_000_u32.to_be_bytes());
    for (at, byte) in packet.iter().take(6).enumerate() {
        for (number, stream) in half.iter_mut().enumerate() {
            let byte = if number % 3 == 0 { huge[at] } else { *byte };
            let _ = stream.write_all(&[byte]);
        }
        assert_eq!(wire::text_rows(&inside.simple("SELECT 1")).len(), 1, "who is in goes on");
        std::thread::sleep(Duration::from_millis(300));
    }
    for (number, mut stream) in half.into_iter().enumerate() {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "connection {number} stays open");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let (after, _) = proxy.memory();
    assert!(after < before + 20_000, "{before} KiB before, {after} KiB after");
    assert_eq!(wire::text_rows(&proxy.connect("support", shop::DATABASE).simple("SELECT 1")).len(), 1);
    for length in [0_u32, 7, 10_001, 1 << 20, u32::MAX] {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        let _ = stream.write_all(&[0; 64]);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "length {length}"),
        }
    }
}
