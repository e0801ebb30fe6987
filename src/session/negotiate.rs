//! Stage `session`: before the start-up packet. In: an accepted stream. Out: a start-up packet on a stream that is
//! encrypted as the configuration demands, or a cancel request. Invariant: packets are read to their exact length, so
//! that bytes sent in clear before a TLS handshake can only break the handshake (the class of CVE-2021-23214).
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::server::TlsStream;

use super::Ended;
use crate::{
    config::ServerTlsMode,
    error::{Refusal, RefusalCode},
    metrics::ConnectionOutcome,
    net::{ByteStream, Certificates, Peer, Prefixed, tls::ALPN},
    wire::startup::{self, CANCEL_REQUEST, GSS_REQUEST, Packet, SSL_REQUEST},
};

/// First byte of a TLS record that holds a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Requests for encryption that one client may make: one of each kind, with room for odd ones.
const REQUESTS: usize = 4;

/// The first packet that is not about encryption.
pub(super) struct Opened {
    pub stream: Box<dyn ByteStream>,
    pub packet: Packet,
}

pub(super) async fn negotiate(
    certificates: &Certificates,
    mut stream: Box<dyn ByteStream>,
    peer: &Peer,
) -> Result<Opened, Ended> {
    let offered = certificates.mode() != ServerTlsMode::Off && !peer.unix;
    let mut tls = false;
    for request in 0..REQUESTS {
        let first = match stream.read_u8().await {
            Ok(first) => first,
            // A port check or a health probe: nothing was said.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && request == 0 => {
                return Err(Ended::quiet(ConnectionOutcome::Completed));
            }
            Err(_) => return Err(Ended::quiet(ConnectionOutcome::ClientLost)),
        };
        if first == TLS_HANDSHAKE && request == 0 && offered {
            let encrypted = shake(certificates, Prefixed::new(first, stream)).await?;
            // Without ALPN another protocol could be spoken to us by mistake (the ALPACA attack); PostgreSQL demands it.
            if encrypted.get_ref().1.alpn_protocol() != Some(ALPN) {
                return Err(Ended::quiet(ConnectionOutcome::Protocol));
            }
            (stream, tls) = (Box::new(encrypted), true);
            continue;
        }
        let packet = match startup::read_packet(&mut stream, first).await {
            Ok(packet) => packet,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let refusal = Refusal::new(RefusalCode::ProtocolViolation, "invalid length of startup packet");
                return Err(Ended::refused(stream, refusal).await);
            }
            Err(_) => return Err(Ended::quiet(ConnectionOutcome::ClientLost)),
        };
        match packet.code {
            SSL_REQUEST if offered && !tls => {
                answer(&mut stream, b'S').await?;
                (stream, tls) = (Box::new(shake(certificates, stream).await?), true);
            }
            SSL_REQUEST | GSS_REQUEST => answer(&mut stream, b'N').await?,
            CANCEL_REQUEST => return Ok(Opened { stream, packet }),
            _ if certificates.mode() == ServerTlsMode::Required && !tls && !peer.unix => {
                let refusal = Refusal::new(RefusalCode::TlsRequired, "this server accepts encrypted connections only")
                    .with_hint("Set sslmode=require, or better verify-full, in the connection string.");
                return Err(Ended::refused(stream, refusal).await);
            }
            _ => return Ok(Opened { stream, packet }),
        }
    }
    let refusal = Refusal::new(RefusalCode::ProtocolViolation, "too many requests for encryption");
    Err(Ended::refused(stream, refusal).await)
}

async fn answer(stream: &mut Box<dyn ByteStream>, byte: u8) -> Result<(), Ended> {
    let written = async {
        stream.write_all(&[byte]).await?;
        stream.flush().await
    };
    written.await.map_err(|_| Ended::quiet(ConnectionOutcome::ClientLost))
}

async fn shake<S: ByteStream>(certificates: &Certificates, stream: S) -> Result<TlsStream<S>, Ended> {
    match certificates.accept(stream).await {
        Some(Ok(stream)) => Ok(stream),
        Some(Err(error)) => {
            tracing::debug!(%error, "TLS handshake with a client failed");
            Err(Ended::quiet(ConnectionOutcome::Protocol))
        }
        None => Err(Ended::quiet(ConnectionOutcome::Internal)),
    }
}
