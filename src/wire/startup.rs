//! Stage `wire`: packets before the first typed message. In: a stream. Out: one packet at a time, read to its exact
//! length. Invariant: not one byte behind a packet is read, so nothing can slip from before a TLS handshake to after it.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Fields, Malformed};

/// Shortest and longest packet, as in PostgreSQL.
const LENGTHS: std::ops::RangeInclusive<u32> = 8..=10_000;
/// SSLRequest.
pub const SSL_REQUEST: u32 = 80_877_103;
/// GSSENCRequest.
pub const GSS_REQUEST: u32 = 80_877_104;
/// CancelRequest.
pub const CANCEL_REQUEST: u32 = 80_877_102;

/// A packet with its length word.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The whole packet.
    pub bytes: Vec<u8>,
    /// The word behind the length: a version or a request code.
    pub code: u32,
}

/// Reads the packet that begins with `first`.
///
/// # Errors
/// The stream's, or `InvalidData` for an impossible length.
pub async fn read_packet(stream: &mut (impl AsyncRead + Unpin + ?Sized), first: u8) -> io::Result<Packet> {
    let mut length = [first, 0, 0, 0];
    let [_, rest @ ..] = &mut length;
    stream.read_exact(rest).await?;
    let total = u32::from_be_bytes(length);
    if !LENGTHS.contains(&total) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "invalid length of startup packet"));
    }
    let mut bytes = length.to_vec();
    bytes.resize(usize::try_from(total).map_err(io::Error::other)?, 0);
    let code = stream.read_exact(bytes.get_mut(4..).unwrap_or_default()).await.map(|_| ());
    code?;
    let mut fields = Fields::new(bytes.get(4..).unwrap_or_default());
    let code = fields.u32().map_err(io::Error::other)?;
    Ok(Packet { bytes, code })
}

/// The parameters of a StartupMessage, in order.
///
/// # Errors
/// [`Malformed`] when they are not pairs of UTF-8 strings with one NUL at the very end.
pub fn parameters(packet: &Packet) -> Result<Vec<(String, String)>, Malformed> {
    let mut fields = Fields::new(packet.bytes.get(8..).unwrap_or_default());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| Malformed);
    let mut found = Vec::new();
    loop {
        let name = fields.cstr()?;
        if name.is_empty() {
            fields.end()?;
            return Ok(found);
        }
        found.push((text(name)?, text(fields.cstr()?)?));
    }
}

/// A StartupMessage of this version with these parameters.
pub fn message(version: u32, parameters: &[(String, String)]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u32(0);
    out.put_u32(version);
    for (name, value) in parameters {
        for text in [name, value] {
            out.put_slice(text.as_bytes());
            out.put_u8(0);
        }
    }
    out.put_u8(0);
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(..4) {
        place.copy_from_slice(&length);
    }
    out
}
