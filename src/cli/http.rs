//! The operator's HTTP port: `/metrics`, `/healthz` and `/readyz`. In: [`Probe`]. Out: plain text. Invariants: nothing
//! can be changed over it; a slow or greedy client cannot hold it up (limits on headers, time and connections).

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    audit::AuditHandle,
    metrics::Metrics,
    reload::{InputsHandle, Status},
};

const CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HEADERS: usize = 32;
const BUFFER: usize = 16 * 1024;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `/metrics`
    pub metrics: Arc<Metrics>,
    /// `/readyz`: whether inputs are loaded.
    pub inputs: InputsHandle,
    /// `/readyz`: whether accesses can be recorded.
    pub audit: AuditHandle,
    /// `/readyz`: false while the process starts and while it drains.
    pub accepting: tokio::sync::watch::Receiver<bool>,
}

/// Answers requests until the task is dropped.
pub async fn serve(listener: TcpListener, probe: Probe) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or a client that left at once.
                tracing::debug!(%error, "could not accept a connection on the metrics port");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let probe = probe.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &probe);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_headers(MAX_HEADERS)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, probe: &Probe) -> Response<Full<Bytes>> {
    let known = matches!(request.uri().path(), "/metrics" | "/healthz" | "/readyz");
    if known && request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            probe.audit.observe();
            let mut response = Response::new(Full::new(Bytes::from(probe.metrics.render())));
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            );
            response
        }
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match not_ready(probe) {
            None => text(StatusCode::OK, "ready\n".to_owned()),
            Some(cause) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {cause}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "no such page; there are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

/// Why statements cannot be served now.
fn not_ready(probe: &Probe) -> Option<&'static str> {
    if !*probe.accepting.borrow() {
        return Some("starting up or shutting down");
    }
    if !probe.audit.is_healthy() {
        return Some("the audit log cannot be written");
    }
    match &*probe.inputs.status() {
        // In part or in full, the last good state serves.
        Status::Ready | Status::Degraded(_) => None,
        Status::NotReady(_) => Some("rules and catalog are not loaded"),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
