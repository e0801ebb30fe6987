//! Stage `session`: who may judge a text that takes long, and when. In: a login. Out: a place, kept until the text is judged.
//! Invariant: no login has more places than its share at once, or waits for more than one text of each other, however
//! many connections send such texts.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for one kind of texts.
#[derive(Debug)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    /// Of how many a login may have at once.
    share: usize,
    logins: DashMap<Arc<str>, Arc<Semaphore>>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _own: Option<OwnedSemaphorePermit>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many places, of which each login has `share` at most.
    pub fn new(places: usize, share: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), share, logins: DashMap::new() }
    }

    /// Waits for a place.
    pub async fn take(&self, login: &str) -> Turn {
        let known = self.logins.get(login).map(|own| Arc::clone(&own));
        let own = known.unwrap_or_else(|| {
            let new = || Arc::new(Semaphore::new(self.share));
            Arc::clone(&self.logins.entry(login.into()).or_insert_with(new))
        });
        // First the turn among the login's own, so that in the line for all of them each login stands but once. Neither is ever closed.
        let own = own.acquire_owned().await.ok();
        Turn { _own: own, _place: Arc::clone(&self.places).acquire_owned().await.ok() }
    }
}
