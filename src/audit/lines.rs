//! Lines one behind the other in one buffer, as they go to the file. In: lines, one at a time. Out: bytes of any run of them.
//! Invariant: a line ends with its line feed and holds no other.

use std::ops::Range;

/// Complete lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds what `write` appends, and a line feed.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }

    /// Forgets all of them; an unusually large buffer goes.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(1024 * 1024);
        self.ends.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of these lines.
    pub fn bytes(&self, lines: Range<usize>) -> &[u8] {
        let end = |count: usize| count.checked_sub(1).and_then(|at| self.ends.get(at)).copied().unwrap_or(0);
        self.bytes.get(end(lines.start)..end(lines.end)).unwrap_or_default()
    }
}
