//! Stage `session`: the shutdown as one session hears of it. In: the channel of the process. Out: whether it has begun.
//! Invariant: who was told no is woken when it begins.
//!
//! A session asks each time that it has nothing to do, and at a busy proxy that is the most frequent thing it does: a look at
//! the channel is one load, where a poll of its future takes a lock.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::sync::watch;

/// See the module.
pub(super) struct Down {
    channel: watch::Receiver<bool>,
    begun: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Who will be woken.
    waker: Option<Waker>,
}

impl Down {
    pub fn new(channel: watch::Receiver<bool>) -> Self {
        let mut waits = channel.clone();
        // One future for the whole session: a new one each time would queue up at the sender again. A dropped sender is a
        // shutdown too.
        let begun = Box::pin(async move { drop(waits.wait_for(|down| *down).await) });
        Self { channel, begun, waker: None }
    }

    /// Ready when it has begun; not to be asked again then.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let registered = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if registered && matches!(self.channel.has_changed(), Ok(false)) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        self.begun.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::{future::poll_fn, time::Duration};

    use super::*;

    async fn hears(end: impl FnOnce(watch::Sender<bool>)) -> bool {
        let (sender, channel) = watch::channel(false);
        let mut down = Down::new(channel);
        let (asked, was_asked) = tokio::sync::oneshot::channel();
        let mut asked = Some(asked);
        let session = tokio::spawn(poll_fn(move |cx| {
            let answer = down.poll(cx);
            // Asked often before it begins, as sessions do.
            assert_eq!(down.poll(cx), answer);
            asked.take().into_iter().for_each(|asked| asked.send(()).unwrap());
            if answer.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        }));
        was_asked.await.unwrap();
        end(sender);
        tokio::time::timeout(Duration::from_secs(10), session).await.is_ok()
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        assert!(hears(|sender| sender.send(true).unwrap()).await);
        assert!(hears(drop).await);
        assert!(
            hears(|sender| {
                // Said again, it is no shutdown, and the next one is heard all the same.
                sender.send(false).unwrap();
                sender.send(true).unwrap();
            })
            .await
        );
    }
}
