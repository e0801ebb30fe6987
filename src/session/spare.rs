//! Stage `session`: buffers that no session needs just now, kept by each worker thread for the next that does. A session holds
//! a buffer only while there is something in it, and most do so for one message: without these, each message would be an
//! allocation or two. Invariant: what is kept is empty, and bounded in number and size.

use std::cell::RefCell;

use bytes::BytesMut;

/// Bytes of a new buffer.
const SMALL: usize = 8 * 1024;
/// Larger ones are not kept.
const LARGEST: usize = 32 * 1024;
/// How many a thread keeps.
const MOST: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Gives `buffer` room if it has none.
pub(super) fn provide(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        *buffer = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(SMALL));
    }
}

/// Takes the memory of `buffer`, which is empty and will be for a while.
pub(super) fn take_back(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        return;
    }
    let mut buffer = std::mem::take(buffer);
    buffer.clear();
    // What was consumed at its beginning is room again; what is shared with somebody is not taken.
    if buffer.try_reclaim(SMALL) && buffer.capacity() <= LARGEST {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    #[test]
    fn memory_comes_back_empty_and_whole() {
        let mut buffer = BytesMut::new();
        provide(&mut buffer);
        buffer.extend_from_slice(&[1; 5000]);
        let memory = buffer.as_ptr();
        buffer.advance(5000);
        take_back(&mut buffer);
        assert_eq!(buffer.capacity(), 0);
        provide(&mut buffer);
        assert_eq!((buffer.as_ptr(), buffer.len(), buffer.capacity()), (memory, 0, SMALL));
    }

    #[test]
    fn what_is_large_or_shared_is_not_kept() {
        let mut shared = BytesMut::with_capacity(SMALL);
        shared.extend_from_slice(b"somebody's");
        let other = shared.split_to(4);
        for mut buffer in [BytesMut::with_capacity(LARGEST + 1), shared] {
            take_back(&mut buffer);
        }
        assert!(SPARE.with_borrow(Vec::is_empty));
        assert_eq!(&*other, b"some");
        for _ in 0..2 * MOST {
            take_back(&mut BytesMut::with_capacity(SMALL));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), MOST);
    }
}
