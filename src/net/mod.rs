//! Stage `net`: sockets. In: addresses and certificates of the configuration. Out: accepted byte streams, encrypted
//! where asked for. Knows no PostgreSQL messages. Invariant: nothing that was read before a TLS handshake reaches what
//! comes after it.

pub mod listen;
pub mod stream;
pub mod tls;

pub use listen::{Accepted, BindError, Listeners, Peer};
pub use stream::{ByteStream, Prefixed};
pub use tls::{Certificates, TlsError};
