//! Stage `wire`: a reader over one frame's body. Invariant: every read is bounded by the frame; [`Fields::end`] demands
//! that nothing is left.

/// A message that is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// What is left of a body.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// A reader at the start of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed`] at the end.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] at the end.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    /// A number of things in two bytes, which PostgreSQL reads without a sign.
    ///
    /// # Errors
    /// [`Malformed`] at the end.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] at the end.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes up to a NUL, which is consumed.
    ///
    /// # Errors
    /// [`Malformed`] without one.
    pub fn cstr(&mut self) -> Result<&'a [u8], Malformed> {
        let at = memchr::memchr(0, self.0).ok_or(Malformed)?;
        let text = self.bytes(at)?;
        self.u8()?;
        Ok(text)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Demands that nothing is left.
    ///
    /// # Errors
    /// [`Malformed`] otherwise.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
