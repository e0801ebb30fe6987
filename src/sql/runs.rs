//! Where operators end. In: a text, and where an operator begins. Out: where it ends, as in PostgreSQL's scan.l. Invariant: characters of operators
//! without a gap are looked through once, however many operators they are.

use super::lex::is_operator_character;

/// Characters of operators without a gap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    start: usize,
    end: usize,
    /// Behind the last character after which a `+` or `-` may end an operator.
    distinctive: usize,
    /// Behind the last that is neither `+` nor `-`.
    unsigned: usize,
}

impl Run {
    /// The end of the operator that begins at `start`.
    pub fn operator(&mut self, bytes: &[u8], start: usize) -> usize {
        if !(self.start..self.end).contains(&start) {
            *self = Self::at(bytes, start);
        }
        // A trailing + or - belongs to the operator only after certain characters.
        if self.distinctive > start { self.end } else { self.unsigned.max(start + 1) }
    }

    fn at(bytes: &[u8], start: usize) -> Self {
        let mut run = Self { start, end: start, ..Self::default() };
        while let Some(&byte) = bytes.get(run.end) {
            let next = bytes.get(run.end + 1).copied().unwrap_or(0);
            if !is_operator_character(byte) || (byte == b'-' && next == b'-') || (byte == b'/' && next == b'*') {
                break;
            }
            run.end += 1;
            if b"~!@#^&|`?%".contains(&byte) {
                run.distinctive = run.end;
            }
            if !matches!(byte, b'+' | b'-') {
                run.unsigned = run.end;
            }
        }
        run
    }
}
