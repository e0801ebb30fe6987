//! The operator's HTTP port: pages, methods, readiness, and clients that are slow or greedy.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use pgscrim::{
    audit,
    catalog::{CatalogSnapshot, testing},
    cli::http::{Probe, serve},
    config::AuditConfig,
    engine::Inputs,
    metrics::Metrics,
    policy::Policy,
    reload::InputsHandle,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

struct Server {
    address: std::net::SocketAddr,
    accepting: watch::Sender<bool>,
    audit: audit::AuditHandle,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.audit.shutdown(Duration::from_secs(1));
        let _ = std::fs::remove_file(&self.log);
    }
}

async fn start(name: &str) -> Server {
    let log = std::env::temp_dir().join(format!("pgscrim-http-{name}-{}.jsonl", std::process::id()));
    let metrics = Metrics::new();
    let settings = AuditConfig {
        path: Some(log.clone()),
        stdout: false,
        rotate_bytes: 0,
        keep: 1,
        queue: 8,
        wait: Duration::from_millis(10),
        key_file: None,
    };
    let audit = audit::start(&settings, Arc::clone(&metrics)).unwrap();
    let policy = Policy { id: "p".into(), hash: "h".into(), catalog_version: 1, reduced: false, roles: Vec::new() };
    let catalog = CatalogSnapshot::new(testing::database(), 1);
    let inputs = InputsHandle::fixed(Inputs { catalog, policy: Arc::new(policy) });
    let (accepting, receiver) = watch::channel(true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Probe { metrics, inputs, audit: audit.clone(), accepting: receiver }));
    Server { address, accepting, audit, log }
}

async fn ask(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn get(server: &Server, path: &str) -> String {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn pages_methods_and_unknown_paths() {
    let server = start("pages").await;
    let metrics = get(&server, "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    for name in [
        "pgscrim_connections",
        "pgscrim_audit_queue_depth",
        "pgscrim_audit_lag_seconds",
        "pgscrim_tripwire_total",
        "pgscrim_build_info",
        "pgscrim_catalog_version",
        "pgscrim_reload_failures_total",
        "pgscrim_cancel_requests_total",
        "pgscrim_plan_seconds",
    ] {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(get(&server, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&server, "/").await.starts_with("HTTP/1.1 404"));
    let answer =
        ask(&server, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD"), "{answer}");
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_process() {
    let server = start("ready").await;
    assert!(get(&server, "/readyz").await.starts_with("HTTP/1.1 200"));
    server.accepting.send_replace(false);
    let answer = get(&server, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("shutting down"), "{answer}");
    assert!(get(&server, "/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn greedy_clients_are_refused_and_slow_ones_hold_nothing_up() {
    let server = start("limits").await;
    let headers = "h: x\r\n".repeat(200);
    let answer = ask(&server, &format!("GET /metrics HTTP/1.1\r\n{headers}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /metr").await.unwrap();
    assert!(get(&server, "/healthz").await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a client without a whole request is kept");
}
