//! `pgscrim demo`: the shop, what is shown, and that nothing of it is left, however it ends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use pgscrim::cli::demo::{
    postgres::{Authentication, Options, PrivatePostgres},
    shop,
};

#[test]
fn the_shop_is_as_large_as_promised_and_the_same_each_time() {
    let options = Options { authentication: Authentication::Scram, ..Options::default() };
    let server = PrivatePostgres::start(&options).unwrap();
    let folder = server.socket_folder();
    let begin = std::time::Instant::now();
    shop::load(&server).unwrap();
    println!("loaded in {:?}", begin.elapsed());
    let count = |sql: &str| server.sql(shop::DATABASE, sql).unwrap().trim().to_owned();
    for (table, least) in [
        ("customers", 20_000),
        ("addresses", 20_000),
        ("orders", 60_000),
        ("order_items", 60_000),
        ("shipments", 30_000),
        ("payments", 60_000),
        ("warranty_claims", 1_000),
        ("consents", 20_000),
        ("erasure_requests", 50),
        ("customer_contacts", 20_000),
        ("monthly_sales", 12),
    ] {
        let rows: u32 = count(&format!("SELECT count(*) FROM {table}")).parse().unwrap();
        assert!(rows >= least, "{table}: {rows}");
    }
    // What real data are like.
    for (what, condition) in [
        ("decomposed names", "full_name IS NOT NFC NORMALIZED"),
        ("names without accents", "full_name ~ '^[ -~]+$'"),
        ("companies", "full_name LIKE 'Công ty%'"),
        ("international numbers", "phone LIKE '+84%'"),
        ("numbers with separators", "phone LIKE '%.%'"),
        ("no number", "phone IS NULL"),
        ("no email", "email IS NULL"),
        ("numbers in notes", "note ~ '0[0-9]{9}'"),
        ("empty notes", "note = ''"),
    ] {
        let rows: u32 = count(&format!("SELECT count(*) FROM customers WHERE {condition}")).parse().unwrap();
        assert!((100..20_000).contains(&rows), "{what}: {rows}");
    }
    for (what, sql) in [
        ("addresses without a district", "SELECT count(*) FROM addresses WHERE district IS NULL"),
        ("addresses with a district", "SELECT count(*) FROM addresses WHERE district IS NOT NULL"),
    ] {
        assert!(count(sql).parse::<u32>().unwrap() > 1_000, "{what}");
    }
    assert_eq!(
        count(
            "SELECT count(*) FROM orders o WHERE total <> (SELECT sum(quantity * price) FROM order_items i WHERE i.order_id = o.id)"
        ),
        "0"
    );
    assert_eq!(count("SELECT full_name, phone FROM customers WHERE id = 1"), "Nguyễn Thị Minh Khai|0901234567");
    let sum = "SELECT md5(string_agg(c::text, E'\\n' ORDER BY id)) FROM customers c";
    assert_eq!(count(sum), "adf020ba1feb079dda1929e3971e0f50");
    drop(server);
    assert!(!folder.exists());
}

/// A running demo in a folder of its own, with a space in its path.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Demo {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("pg scrim {name} {}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("t")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pgscrim"))
            .arg("demo")
            .args(arguments)
            .current_dir(&folder)
            .env("TMPDIR", folder.join("t"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, folder }
    }

    /// Reads until a line holds `words`.
    fn until(&mut self, words: &str) -> String {
        let mut text = String::new();
        loop {
            let before = text.len();
            if self.out.read_line(&mut text).unwrap() == 0 {
                let mut said = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("\"{words}\" was not printed:\n{text}{said}");
            }
            if text[before..].contains(words) {
                return text;
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits until folders and processes are gone.
    fn nothing_is_left(&self, port: u16) {
        let begin = Instant::now();
        let left = || fs::read_dir(self.folder.join("t")).unwrap().count();
        while left() > 0 || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the demo left something behind");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn server_port(text: &str) -> u16 {
    let (_, rest) = text.split_once("private, port ").unwrap();
    rest.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn ctrl_c_and_kill_leave_nothing_behind() {
    for (signal, words) in [("INT", "database shop"), ("KILL", "pgscrim on"), ("KILL", "private, port")] {
        let mut demo = Demo::start(signal, &["--once"]);
        let text = demo.until("private, port");
        assert!(text.contains("/pg scrim "), "its folder is elsewhere: {text}");
        let port = server_port(&text);
        if !text.contains(words) {
            demo.until(words);
        }
        demo.signal(signal);
        let status = demo.child.wait().unwrap();
        assert!(!status.success());
        demo.nothing_is_left(port);
    }
}

#[test]
fn a_mistake_is_named_and_leaves_nothing_behind() {
    let mut demo = Demo::start("mistake", &["--rules", "no-such-folder"]);
    let port = server_port(&demo.until("database shop"));
    assert_eq!(demo.child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    demo.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("no-such-folder") && said.contains("--rules"), "{said}");
    demo.nothing_is_left(port);

    let output = Command::new(env!("CARGO_BIN_EXE_pgscrim"))
        .args(["demo", "--once"])
        .env("PGSCRIM_PG_BIN", Path::new("/nonexistent"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("/nonexistent (PGSCRIM_PG_BIN)"), "{said}");
}

#[test]
fn it_shows_what_the_rules_say_and_stays_until_it_is_told_to_end() {
    let mut demo = Demo::start("whole", &[]);
    let text = demo.until("Ctrl-C ends the demo");
    let port = server_port(&text);
    assert!(text.contains("built-in rules"), "{text}");
    assert!(text.contains("Checked: 54 answers"), "{text}");
    for part in [
        "090*****67",
        "N*** K***",
        "m***@gmail.com",
        "PGS0201",
        "PGS0202",
        "psql \"postgresql://packing_app:demo@",
        "/metrics",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    // What it says to try.
    let url = text.split('"').find(|part| part.starts_with("postgresql://packing_app")).unwrap();
    let psql =
        Command::new("psql").args(["-XAt", "-c", "SELECT phone FROM customers WHERE id = 1", url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&psql.stdout).trim(), "*****567");
    demo.signal("INT");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    demo.nothing_is_left(port);
}
