//! Stage `net`: listeners. In: addresses. Out: accepted connections with their peers. Invariant: a failing `accept` (too
//! many open files, a client gone again) delays, and never ends the loop.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::ByteStream;
use crate::config::ListenAddress;

/// How long a listener rests after `accept` failed for want of resources.
const REST: Duration = Duration::from_millis(100);
/// When an idle client is first probed, and how often after that.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address}: {source} (check `listen`)")]
pub struct BindError {
    /// As configured.
    pub address: String,
    /// What the system said.
    pub source: io::Error,
}

/// Who connected.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address with port, or `unix`.
    pub address: Arc<str>,
    /// Whether it came over a Unix socket, which is never encrypted.
    pub unix: bool,
}

/// A connection that belongs to no runtime yet.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over a Unix socket.
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// The stream, from now on of the runtime that this is called in.
    ///
    /// # Errors
    /// When the runtime cannot watch one more.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn stream(self) -> io::Result<Box<dyn ByteStream>> {
        Ok(match self {
            Self::Tcp(stream) => Box::new(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Box::new(UnixStream::from_std(stream)?),
        })
    }
}

/// Bound sockets. Dropped, they close, and socket files are removed.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<Socket>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listeners {
    /// Binds every address. A socket file that nobody listens on is replaced.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub async fn bind(addresses: &[ListenAddress]) -> Result<Self, BindError> {
        // PostgreSQL names its socket file after its port; ours after the first TCP port.
        let port = addresses.iter().find_map(|address| match address {
            ListenAddress::Tcp(address) => Some(address.port()),
            ListenAddress::Unix(_) => None,
        });
        let mut listeners = Self { sockets: Vec::with_capacity(addresses.len()) };
        for address in addresses {
            let socket = match address {
                ListenAddress::Tcp(address) => TcpListener::bind(address)
                    .await
                    .map(Socket::Tcp)
                    .map_err(|source| BindError { address: address.to_string(), source })?,
                ListenAddress::Unix(path) => {
                    let path = socket_file(path, port.unwrap_or(6432));
                    bind_unix(&path)
                        .await
                        .map(|listener| Socket::Unix(listener, path.clone()))
                        .map_err(|source| BindError { address: path.display().to_string(), source })?
                }
            };
            listeners.sockets.push(socket);
        }
        Ok(listeners)
    }

    /// Addresses of the TCP sockets, with the port that the system chose where 0 was asked for.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| match socket {
                Socket::Tcp(listener) => listener.local_addr().ok(),
                Socket::Unix(..) => None,
            })
            .collect()
    }

    /// Accepts on all sockets until `accepted` answers false or the future is dropped.
    pub async fn accept_all(&self, accepted: impl Fn(Accepted, Peer) + Sync) {
        let loops = self.sockets.iter().map(|socket| Box::pin(accept_on(socket, &accepted)));
        let mut loops: Vec<_> = loops.collect();
        // None of the loops ends; they are polled together within one task.
        std::future::poll_fn(|cx| {
            for accepting in &mut loops {
                let _ = accepting.as_mut().poll(cx);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for socket in &self.sockets {
            if let Socket::Unix(_, path) = socket {
                let _ = fs::remove_file(path);
            }
        }
    }
}

async fn accept_on(socket: &Socket, accepted: &(impl Fn(Accepted, Peer) + Sync)) {
    let mut failing = false;
    loop {
        let result: io::Result<(Accepted, Peer)> = match socket {
            Socket::Tcp(listener) => listener.accept().await.and_then(|(stream, address)| {
                // Failing to tune a socket is no reason to drop the client.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                let peer = Peer { address: address.to_string().into(), unix: false };
                Ok((Accepted::Tcp(stream.into_std()?), peer))
            }),
            Socket::Unix(listener, _) => listener.accept().await.and_then(|(stream, _)| {
                Ok((Accepted::Unix(stream.into_std()?), Peer { address: "unix".into(), unix: true }))
            }),
        };
        match result {
            Ok((stream, peer)) => {
                failing = false;
                accepted(stream, peer);
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "could not accept a connection; trying on");
                    failing = true;
                }
                // A connection reset before it was accepted costs nothing; EMFILE would spin.
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// A path that ends in `/` is a folder, in which the file is named as PostgreSQL's clients expect it.
fn socket_file(path: &Path, port: u16) -> PathBuf {
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        path.join(format!(".s.PGSQL.{port}"))
    } else {
        path.to_owned()
    }
}

async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    // As PostgreSQL's own default: who may connect is decided by authentication.
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    Ok(listener)
}
