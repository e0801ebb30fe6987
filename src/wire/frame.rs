//! Stage `wire`: framing. In: the bytes at hand. Out: type and length of the frame they begin with. Invariant: a length
//! is judged before anything is allocated for it.

use super::Malformed;

/// Bytes of a header: type and length.
pub const HEADER: usize = 5;

/// Type and length of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub kind: u8,
    /// Bytes of the whole frame, header included.
    pub total: usize,
}

impl Header {
    /// The header at the start of `bytes`; none when fewer than five are at hand.
    ///
    /// # Errors
    /// [`Malformed`] when the length is less than its own four bytes or more than 1 GiB, PostgreSQL's own limit.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some([kind, a, b, c, d]) = bytes.first_chunk::<HEADER>().copied() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]);
        if !(4..=0x4000_0000).contains(&length) {
            return Err(Malformed);
        }
        let total = usize::try_from(length).map_err(|_| Malformed)? + 1;
        Ok(Some(Self { kind, total }))
    }
}

/// The body of a whole frame.
pub fn body(frame: &[u8]) -> &[u8] {
    frame.get(HEADER..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_judged_first() {
        assert_eq!(Header::read(b"Q\0\0\0"), Ok(None));
        assert_eq!(Header::read(b"Q\0\0\0\x05x"), Ok(Some(Header { kind: b'Q', total: 6 })));
        for length in [0_u32, 3, 0x4000_0001, u32::MAX] {
            let bytes = [b"Q".as_slice(), &length.to_be_bytes()].concat();
            assert_eq!(Header::read(&bytes), Err(Malformed));
        }
    }
}
