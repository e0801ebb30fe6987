//! Stage `upstream`: opens a byte stream to the server. In: the configuration. Out: [`UpstreamStream`], on which the
//! next bytes are a start-up packet, SSLRequest being done with. Invariant: with TLS configured the stream is TLS with
//! a verified certificate and host name; there is no way back to plain text.
//!
//! The server's one-byte answer to SSLRequest is read alone, without a buffer, so that bytes an attacker puts behind
//! it in plain text land in the TLS handshake, where they are an error (the class of CVE-2021-23222).

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::config::{UpstreamAddress, UpstreamConfig, UpstreamTlsMode};

/// The SSLRequest packet: its length and the code 80877103.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// When an idle connection is first probed, and how often after that: a dead server is noticed in about two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Why no connection to the server could be opened. `Display` says what failed, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Name resolution, refused, unreachable, no such socket.
    #[error("could not connect to the server at {address}: {source} (check `upstream.url` and that the server runs)")]
    Connect {
        /// `host:port` or the path of the socket.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No answer in time.
    #[error(
        "no connection to the server at {address} within {} ms (check `upstream.url`, the network and firewalls, \
         or raise `upstream.connect_timeout`)", .limit.as_millis()
    )]
    Timeout {
        /// `host:port` or the path of the socket.
        address: String,
        /// `upstream.connect_timeout`
        limit: Duration,
    },
    /// The connection broke between TCP and TLS.
    #[error("the server at {address} closed the connection during the TLS request: {source}")]
    Request {
        /// `host:port`
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered SSLRequest with something else than `S`.
    #[error(
        "the server at {address} does not offer TLS (set `ssl = on` in postgresql.conf, or `mode = \"off\"` in \
         `[upstream.tls]` if the network between is trusted)"
    )]
    TlsNotOffered {
        /// `host:port`
        address: String,
    },
    /// Certificate or handshake.
    #[error("TLS to the server at {address} failed: {source} ({help})")]
    Tls {
        /// `host:port`
        address: String,
        /// What rustls said.
        source: io::Error,
        /// How to mend it.
        help: &'static str,
    },
    /// The file of authorities.
    #[error("could not read certificate authorities from {}: {reason} (`ca` in `[upstream.tls]` names a PEM file)", .path.display())]
    Authorities {
        /// `upstream.tls.ca`
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No authorities of the system.
    #[error("the system has no certificate authorities to trust (name a PEM file as `ca` in `[upstream.tls]`)")]
    NoAuthorities,
    /// The host cannot stand in a certificate.
    #[error("\"{name}\" is no name that a certificate can be checked against (set `server_name` in `[upstream.tls]`)")]
    ServerName {
        /// Host of the URL or `server_name`.
        name: String,
    },
    /// TLS over a Unix socket, which PostgreSQL does not have.
    #[error(
        "TLS cannot be used on the Unix socket {} (set `mode = \"off\"` in `[upstream.tls]`, or use a host name)", .path.display()
    )]
    TlsOnUnixSocket {
        /// Path of the socket.
        path: PathBuf,
    },
}

/// A connection to the server before its start-up packet.
#[derive(Debug)]
pub enum UpstreamStream {
    /// Plain TCP, where the configuration says so.
    Tcp(TcpStream),
    /// TLS over TCP, verified.
    Tls(Box<TlsStream<TcpStream>>),
    /// The server's Unix socket.
    Unix(UnixStream),
}

/// Opens a connection to the server. Limited as a whole by `connect_timeout`.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(config: &UpstreamConfig) -> Result<UpstreamStream, ConnectError> {
    let address = address_text(&config.address);
    match tokio::time::timeout(config.connect_timeout, open(config, &address)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout { address, limit: config.connect_timeout }),
    }
}

async fn open(config: &UpstreamConfig, address: &str) -> Result<UpstreamStream, ConnectError> {
    let failed = |source| ConnectError::Connect { address: address.to_owned(), source };
    match (&config.address, config.tls.mode) {
        (UpstreamAddress::Unix(path), UpstreamTlsMode::Off) => {
            UnixStream::connect(path).await.map(UpstreamStream::Unix).map_err(failed)
        }
        (UpstreamAddress::Unix(path), UpstreamTlsMode::VerifyFull) => {
            Err(ConnectError::TlsOnUnixSocket { path: path.clone() })
        }
        (UpstreamAddress::Tcp(host, port), UpstreamTlsMode::Off) => {
            open_tcp(host, *port).await.map(UpstreamStream::Tcp).map_err(failed)
        }
        (UpstreamAddress::Tcp(host, port), UpstreamTlsMode::VerifyFull) => {
            let name = config.tls.server_name.as_deref().unwrap_or(host);
            // A name in a URL may end in the root's dot; certificates never do.
            let name = name.strip_suffix('.').unwrap_or(name);
            let server_name = ServerName::try_from(name.to_owned())
                .map_err(|_| ConnectError::ServerName { name: name.to_owned() })?;
            let tls = match &config.tls.ca {
                Some(path) => tls_from_file(path).await?,
                None => tls_from_system().await?,
            };
            let stream = open_tcp(host, *port).await.map_err(failed)?;
            encrypt(stream, tls, server_name, address).await
        }
    }
}

async fn open_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL))?;
    Ok(stream)
}

/// Asks for TLS and shakes hands. No ALPN: PostgreSQL expects it for direct TLS only, where SSLRequest is left out.
async fn encrypt(
    mut stream: TcpStream,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    address: &str,
) -> Result<UpstreamStream, ConnectError> {
    let broken = |source| ConnectError::Request { address: address.to_owned(), source };
    stream.write_all(&SSL_REQUEST).await.map_err(broken)?;
    // One byte, unbuffered: see the head of this file.
    let answer = stream.read_u8().await.map_err(broken)?;
    if answer != b'S' {
        return Err(ConnectError::TlsNotOffered { address: address.to_owned() });
    }
    match TlsConnector::from(tls).connect(name, stream).await {
        Ok(stream) => Ok(UpstreamStream::Tls(Box::new(stream))),
        Err(source) => {
            let help = tls_help(&source);
            Err(ConnectError::Tls { address: address.to_owned(), source, help })
        }
    }
}

fn tls_help(error: &io::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        "the certificate is not signed by a trusted authority: check `ca` in `[upstream.tls]`"
    } else if text.contains("not valid for") || text.contains("NotValidForName") {
        "the certificate is for another name: check the host of `upstream.url`, or set `server_name` in \
         `[upstream.tls]`"
    } else if text.contains("Expired") || text.contains("NotValidYet") {
        "the certificate is out of its validity: renew it, or check the clock"
    } else {
        "check the server's `ssl_cert_file` and `[upstream.tls]`"
    }
}

/// Read at every connection: the file is small, and a renewed authority needs no restart.
async fn tls_from_file(path: &Path) -> Result<Arc<ClientConfig>, ConnectError> {
    let failed = |reason: String| ConnectError::Authorities { path: path.to_owned(), reason };
    let pem = tokio::fs::read(path).await.map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    client_config(roots).map_err(|error| failed(error.to_string()))
}

/// Read once a process: some hundred files on many systems.
async fn tls_from_system() -> Result<Arc<ClientConfig>, ConnectError> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|_| ConnectError::NoAuthorities)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err(ConnectError::NoAuthorities);
    }
    let config = client_config(roots).map_err(|_| ConnectError::NoAuthorities)?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    // The provider is named here, so that no process-wide default has to be installed first.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// `host:port` or the socket's path, for messages.
pub(crate) fn address_text(address: &UpstreamAddress) -> String {
    match address {
        UpstreamAddress::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        UpstreamAddress::Tcp(host, port) => format!("{host}:{port}"),
        UpstreamAddress::Unix(path) => path.display().to_string(),
    }
}

impl UpstreamStream {
    /// Whether the stream is encrypted.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
