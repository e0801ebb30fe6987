//! Stage `session`: one leg of a session, a stream with what was read and what is to be written. Invariant: memory is
//! bounded; when the other leg is slow, this one is not read.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::spare;
use crate::{
    net::ByteStream,
    wire::{Header, Malformed},
};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Output beyond which the other leg is not read.
pub(super) const HIGH: usize = 128 * 1024;

thread_local! {
    /// Where reads land: one buffer per worker thread instead of one per session.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// One leg.
pub(super) struct Leg {
    stream: Box<dyn ByteStream>,
    /// Read and not yet looked at.
    pub input: BytesMut,
    /// To be written.
    pub output: BytesMut,
    /// The other end has said its last.
    pub ended: bool,
    /// Written and perhaps not yet on its way (TLS).
    unflushed: bool,
    /// Rings when there may be something to read; none before the stream was asked for the first time.
    bell: Option<(Arc<Bell>, Waker)>,
}

/// Wakes the session, and tells which of its legs is why: the other one need not be asked then.
struct Bell {
    rung: AtomicBool,
    session: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.session.wake_by_ref();
    }
}

impl Leg {
    pub fn new(stream: Box<dyn ByteStream>) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new(), ended: false, unflushed: false, bell: None }
    }

    /// The next whole frame; none at the end of the stream. May be dropped and called again without loss.
    pub async fn frame(&mut self, limit: usize) -> io::Result<Option<BytesMut>> {
        // The stream keeps one waker: from here on another than the bell.
        self.bell = None;
        loop {
            if let Some(header) = Header::read(&self.input).map_err(invalid)? {
                if header.total > limit {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
                }
                if self.input.len() >= header.total {
                    return Ok(Some(self.input.split_to(header.total)));
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                self.ended = true;
                return Ok(None);
            }
        }
    }

    /// Writes all output.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.output).await?;
        self.stream.flush().await
    }

    /// Writes all output and says the last word.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// Writes what can be written. Ready when something was.
    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Mostly there is nothing: then there is no buffer either.
        if self.output.capacity() == 0 && !self.unflushed { Poll::Pending } else { self.poll_output(cx) }
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut progress = false;
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    consume(&mut self.output, written);
                    (progress, self.unflushed) = (true, true);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if self.output.is_empty() {
            if self.unflushed
                && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_flush(cx)
            {
                result?;
                self.unflushed = false;
            }
            // An idle session holds no buffer.
            spare::take_back(&mut self.output);
        }
        if progress { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Reads once. Ready with the number of bytes; zero at the end.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &self.bell {
            Some((bell, _)) if !bell.rung.load(Ordering::Acquire) && bell.session.will_wake(cx.waker()) => {
                self.rest();
                Poll::Pending
            }
            Some(_) | None => self.poll_input(cx),
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.bell.as_ref().is_none_or(|(bell, _)| !bell.session.will_wake(cx.waker())) {
            let bell = Arc::new(Bell { rung: AtomicBool::new(true), session: cx.waker().clone() });
            self.bell = Some((Arc::clone(&bell), bell.into()));
        }
        let Some((bell, waker)) = &self.bell else { return Poll::Pending };
        // Before it is asked: what comes later rings.
        bell.rung.store(false, Ordering::Release);
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let read = Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(waker), &mut buffer);
            read.map_ok(|()| {
                let filled = buffer.filled();
                if filled.is_empty() {
                    self.ended = true;
                }
                spare::provide(&mut self.input);
                self.input.extend_from_slice(filled);
                filled.len()
            })
        });
        match read {
            // There may be more.
            Poll::Ready(_) => bell.rung.store(true, Ordering::Release),
            Poll::Pending => self.rest(),
        }
        read
    }

    /// Holds no buffer while there is nothing in it.
    fn rest(&mut self) {
        if self.input.is_empty() {
            spare::take_back(&mut self.input);
        }
    }
}

/// Forgets the first `count` bytes.
pub(super) fn consume(buffer: &mut BytesMut, count: usize) {
    if count >= buffer.len() {
        buffer.clear();
    } else {
        buffer.advance(count);
    }
}

pub(super) fn invalid(_: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed message")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::sync::atomic::AtomicUsize;

    use parking_lot::Mutex;

    use super::*;

    /// Has nothing, and remembers how often it was asked and whom to wake.
    #[derive(Clone, Default)]
    struct Silent {
        asked: Arc<AtomicUsize>,
        reader: Arc<Mutex<Option<Waker>>>,
    }

    impl AsyncRead for Silent {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            *self.reader.lock() = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    impl AsyncWrite for Silent {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Counts how often a session is woken.
    #[derive(Default)]
    struct Session(AtomicUsize);

    impl Wake for Session {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_leg_is_asked_again_when_it_has_rung() {
        let stream = Silent::default();
        let mut leg = Leg::new(Box::new(stream.clone()));
        let asked = || stream.asked.load(Ordering::Relaxed);
        let sessions = [Arc::new(Session::default()), Arc::new(Session::default())];
        let [first, second] = sessions.clone().map(Waker::from);
        for _ in 0..3 {
            assert!(leg.poll_read(&mut Context::from_waker(&first)).is_pending());
            assert_eq!(asked(), 1);
        }
        let ring = || stream.reader.lock().take().unwrap().wake();
        ring();
        assert_eq!(sessions[0].0.load(Ordering::Relaxed), 1);
        assert!(leg.poll_read(&mut Context::from_waker(&first)).is_pending());
        assert_eq!(asked(), 2);
        // Another task has to be woken from now on.
        assert!(leg.poll_read(&mut Context::from_waker(&second)).is_pending());
        assert_eq!(asked(), 3);
        ring();
        assert_eq!(sessions[1].0.load(Ordering::Relaxed), 1);
        assert!(leg.poll_read(&mut Context::from_waker(&second)).is_pending());
        // Whoever waits for a frame takes the stream's only place for a waker.
        assert!(Box::pin(leg.frame(100)).as_mut().poll(&mut Context::from_waker(&second)).is_pending());
        assert_eq!(asked(), 5);
        assert!(leg.poll_read(&mut Context::from_waker(&second)).is_pending());
        assert_eq!(asked(), 6);
    }

    #[tokio::test]
    async fn what_comes_between_two_looks_is_read() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut leg = Leg::new(Box::new(ours));
        let reads = tokio::spawn(async move {
            let mut read = Vec::new();
            while !leg.ended {
                std::future::poll_fn(|cx| leg.poll_read(cx)).await.unwrap();
                read.extend_from_slice(&leg.input.split());
            }
            read
        });
        for byte in 0..200 {
            theirs.write_all(&[byte]).await.unwrap();
            if byte % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(theirs);
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), reads).await.unwrap().unwrap();
        assert_eq!(read, (0..200).collect::<Vec<u8>>());
    }
}
