//! The key of keyed masks. In: a file, or bytes. Out: a [`Key`], or why it is none; from it the two blocks that
//! HMAC-SHA256 begins with (RFC 2104), which are all that the database needs. Invariant: no message and no `Debug`
//! shows any of it.

use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// As long as the hash: a shorter key would be the weakest part.
const LEAST: usize = 32;
/// Nobody has a longer key; whoever names a longer file named the wrong one.
const MOST: u64 = 65_536;
/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;

/// A key of keyed masks.
pub struct Key(Vec<u8>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("could not read the key from {}: {source} (--key-file)", .path.display())]
    Read {
        /// `--key-file`
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the file, or write it.
    #[error("others than its owner may use the key file {} (mode {mode:04o}); run: chmod 600 {}", .path.display(), .path.display())]
    Mode {
        /// `--key-file`
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Too short.
    #[error("the key has {0} bytes and needs at least {LEAST}; make one with: openssl rand -hex 32")]
    Short(usize),
    /// Too long.
    #[error("the key is longer than {MOST} bytes; this is another file")]
    Long,
}

impl Key {
    /// A key from a file that its owner alone may use. The line break that ends a text file is no part of the key.
    ///
    /// # Errors
    /// When it cannot be read, others may use it, or its length is wrong.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // Of the open file: what the name stands for may change meanwhile.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::new();
        file.take(MOST + 3).read_to_end(&mut bytes).map_err(failed)?;
        Self::new(&bytes)
    }

    /// A key from bytes; the line break that ends a text is no part of it.
    ///
    /// # Errors
    /// When its length is wrong.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let text =
            bytes.is_ascii().then(|| bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
        let key = text.flatten().unwrap_or(bytes);
        if key.len() < LEAST {
            return Err(KeyError::Short(key.len()));
        }
        if key.len() as u64 > MOST {
            return Err(KeyError::Long);
        }
        Ok(Self(key.to_vec()))
    }

    /// The first block of the inner hash and that of the outer one, as hexadecimal digits.
    pub(super) fn pads(&self) -> [String; 2] {
        let mut block = if self.0.len() > BLOCK { Sha256::digest(&self.0).to_vec() } else { self.0.clone() };
        block.resize(BLOCK, 0);
        [0x36_u8, 0x5c].map(|pad| {
            block.iter().fold(String::with_capacity(2 * BLOCK), |mut text, byte| {
                // Writing to a string cannot fail.
                let _ = write!(text, "{:02x}", byte ^ pad);
                text
            })
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
