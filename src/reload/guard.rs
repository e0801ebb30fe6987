//! Whether an answer of the server was computed from the catalog that its statement was judged against.
//!
//! # The argument
//!
//! A statement is judged against one catalog, and analysed by the server later, against what is committed then. DDL that
//! commits in between may give a name another meaning. The session cannot know when the server analyses; it knows that this
//! has happened when the first part of the answer is there. A state of the catalog that is read *after* that moment and
//! equals the state that was judged ([`CatalogState`]: no row was made, changed or deleted, and no state comes back) proves
//! that the server saw the judged catalog too. So an answer waits for such a proof:
//!
//! - when an exempt session of this process has sent DDL of which the end is not known, or has not been read yet;
//! - when the catalog has been found changed since the statement was judged;
//! - when it tells that rows have gone from other tables into a temporary one, from which they may be read for long;
//! - always, with `upstream.ddl_guard = "always"`.
//!
//! When the states differ, the statement is judged again by a catalog that is read after that moment. Its answer holds when the same text
//! with the same access comes out, and none of the relations that it reaches was touched in between, by their own marks: one that was
//! changed and changed back again may have had another meaning when the server looked. What changes after that reading is of no
//! consequence to the answer: DDL that comes faster than the catalog can be read is all that keeps it waiting.
//!
//! Without the last, DDL that does not pass through this process is noticed about a second later (the watch of
//! [`crate::upstream`]); an answer in between is not proved.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::InputsHandle;
use crate::{
    config::DdlGuard,
    engine::Inputs,
    names::Oid,
    upstream::catalog::{CatalogState, Moment, Watch},
};

/// How long a statement waits for what was changed before it to be read.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two attempts to read what was changed.
const UNREAD: Duration = Duration::from_millis(200);

/// The moment that the catalog in force is a picture of.
#[derive(Debug)]
pub struct Known {
    version: u64,
    moment: Moment,
}

/// What is known of the state of the catalog in force.
#[derive(Debug)]
pub(super) struct Guard {
    mode: DdlGuard,
    watch: Watch,
    known: ArcSwapOption<Known>,
    /// Statements of exempt sessions that may be changing the catalog.
    changing: AtomicUsize,
    /// Those of them that have ended, and whose changes are being read.
    settling: tokio::sync::watch::Sender<Settling>,
}

/// Statements that have ended, by number, and whose changes have not been read.
#[derive(Debug, Default)]
struct Settling {
    open: BTreeSet<u64>,
    next: u64,
}

impl Settling {
    fn begin(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number);
        number
    }

    /// Whether none is open of those that had begun when `next` was what it was.
    fn has_read(&self, next: u64) -> bool {
        self.open.first().is_none_or(|first| *first >= next)
    }
}

impl Guard {
    pub fn new(mode: DdlGuard, watch: Watch) -> Self {
        let settling = tokio::sync::watch::Sender::default();
        Self { mode, watch, known: ArcSwapOption::empty(), changing: AtomicUsize::new(0), settling }
    }

    /// The catalog `version` is a picture of `moment`.
    pub fn know(&self, version: u64, moment: Moment) {
        let known = self.known.load();
        let same = |known: &Arc<Known>| known.version == version && known.moment.state == moment.state;
        if !known.as_ref().is_some_and(same) {
            self.known.store(Some(Arc::new(Known { version, moment })));
        }
    }

    /// Whether the catalog in force is a picture of `state`.
    pub fn knows(&self, state: &CatalogState) -> bool {
        self.known.load().as_ref().is_some_and(|known| known.moment.state == *state)
    }
}

impl Known {
    /// Whether none of `relations`, nor what views among them use, was touched between the two moments.
    pub fn untouched(&self, later: &Self, relations: &[Oid], inputs: &Inputs) -> bool {
        let mut seen = HashSet::new();
        let mut open = relations.to_vec();
        while let Some(oid) = open.pop() {
            if !seen.insert(oid) {
                continue;
            }
            let Some(relation) = inputs.catalog.relation(oid) else { return false };
            if relation.is_system() {
                continue;
            }
            if self.moment.marks.get(&oid) != later.moment.marks.get(&oid) {
                return false;
            }
            open.extend(relation.uses_columns.iter().map(|used| used.relation));
        }
        true
    }
}

/// As long as it lives, answers wait for a proof. When it is dropped, the catalog is read anew before they no longer do.
#[derive(Debug)]
pub struct Changing {
    handle: InputsHandle,
}

impl InputsHandle {
    /// To be called before DDL is sent to the server; the answer is dropped when its transaction has ended.
    pub fn changing(&self) -> Changing {
        if let Some(guard) = &self.shared.guard {
            guard.changing.fetch_add(1, Ordering::SeqCst);
        }
        Changing { handle: self.clone() }
    }

    /// The moment that the catalog of `inputs` is a picture of; none while it is not known. Inputs that never change need none.
    pub fn known(&self, inputs: &Inputs) -> Option<Arc<Known>> {
        let guard = self.shared.guard.as_ref()?;
        guard.known.load_full().filter(|known| known.version == inputs.catalog.version())
    }

    /// Reads the catalog anew, if it has changed since it was read: whoever names what is not there shall not make it be read for nothing.
    pub async fn refresh_changed(&self) {
        if let Some(guard) = &self.shared.guard
            && let Some(now) = guard.watch.state().await
            && guard.knows(&now)
        {
            return;
        }
        let _ = self.refresh().await;
    }

    /// Whether these are the inputs in force, and this is what is known of their moment.
    pub fn are(&self, inputs: &Arc<Inputs>, known: Option<&Arc<Known>>) -> bool {
        if !self.shared.inputs.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, inputs)) {
            return false;
        }
        let Some(guard) = &self.shared.guard else { return known.is_none() };
        let now = guard.known.load();
        match (now.as_ref().filter(|now| now.version == inputs.catalog.version()), known) {
            (Some(now), Some(known)) => Arc::ptr_eq(now, known),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether there is something to wait for with [`Self::settled`].
    pub fn is_settling(&self) -> bool {
        // What is settling was changing, and is so until it has been read.
        let guard = self.shared.guard.as_ref();
        guard.is_some_and(|guard| guard.changing.load(Ordering::SeqCst) > 0 && !guard.settling.borrow().open.is_empty())
    }

    /// Waits until what exempt sessions of this process have changed by now is read, so that statements are judged by it; not for long:
    /// an answer is proved in any case. Says whether there was something to wait for.
    pub async fn settled(&self) -> bool {
        let Some(guard) = &self.shared.guard else { return false };
        let changes = self.is_settling();
        if changes {
            let mut settling = guard.settling.subscribe();
            let next = settling.borrow().next;
            let _ = tokio::time::timeout(SETTLE, settling.wait_for(|settling| settling.has_read(next))).await;
        }
        changes
    }

    /// Whether the answer to a statement that was judged when `judged` was known must wait for [`Self::holds`]. `fills` says
    /// that it fills a temporary table from others.
    pub fn must_hold(&self, judged: Option<&Arc<Known>>, fills: bool) -> bool {
        let Some(guard) = &self.shared.guard else { return false };
        match guard.mode {
            DdlGuard::Always => true,
            DdlGuard::Relayed => {
                // In this order: what is known is stored before `changing` falls.
                let changing = guard.changing.load(Ordering::SeqCst) > 0;
                let known = guard.known.load();
                fills
                    || changing
                    || known.as_ref().zip(judged).is_none_or(|(known, judged)| !Arc::ptr_eq(known, judged))
            }
        }
    }

    /// Whether the server's catalog is still what it was when `judged` was known, at a moment after the call. No answer counts
    /// as no.
    pub async fn holds(&self, judged: Option<&Arc<Known>>) -> bool {
        let Some(guard) = &self.shared.guard else { return true };
        let Some(now) = guard.watch.state().await else { return false };
        judged.is_some_and(|judged| judged.moment.state == now)
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        // Without a runtime the process is ending.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(guard) = &handle.shared.guard else { return };
        let mut number = 0;
        guard.settling.send_modify(|settling| number = settling.begin());
        let settle = async move {
            let Some(guard) = &handle.shared.guard else { return };
            let known = async || guard.watch.state().await.is_some_and(|now| guard.knows(&now));
            // Until it has been read: an answer that does not wait would be of a catalog that nobody knows.
            while !known().await && !handle.reread().await {
                tokio::time::sleep(UNREAD).await;
            }
            guard.changing.fetch_sub(1, Ordering::SeqCst);
            guard.settling.send_modify(|settling| _ = settling.open.remove(&number));
        };
        drop(runtime.spawn(settle));
    }
}
