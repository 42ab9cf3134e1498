//! The state of this process, and how it follows the store.
//!
//! The store is the truth. A replica applies the log's events strictly in order and
//! without gaps, its own included, or replaces its whole state by a snapshot. It never
//! merges, never applies ahead, and never writes back what the store does not know: each
//! of these has revived tokens in models of this design.

mod answering;
mod apply;
mod commit;
mod everywhere;
mod follow;
mod freshness;
mod inquiry;
mod last_heard;
mod pending;
mod sending;
mod settle;
mod source;
mod status;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;

pub(crate) use self::{
    answering::{answering, is_answering},
    commit::Changes,
    sending::Sending,
    source::Source,
};
pub use self::{freshness::Freshness, status::ReplicaStatus};
use self::{inquiry::Inquiry, last_heard::LastHeard, pending::Pending, settle::Job};
use crate::{
    Observer, StoreError,
    clock::{Moment, UnixSeconds},
    era::{Era, Eras},
    hook::{self, Place as HookPlace},
    key_ring::KeyRing,
    store::{HistoryId, KeyId, Place, Reach},
    sync::{ArcSwap, Guard},
};

/// Holds what `verify` reads, and keeps it up with the store.
pub(crate) struct Replica {
    source: Source,
    observer: Arc<dyn Observer>,
    ring: ArcSwap<KeyRing>,
    eras: Eras,
    last_heard: LastHeard,
    pending: Arc<Pending>,
    jobs: Mutex<Vec<Job>>,
    inquiries: Mutex<Vec<Inquiry>>,
    /// The last event applied, for those who do not follow.
    applied: Mutex<Place>,
    follower: Mutex<Follower>,
}

/// A moment, as tokens are judged by it.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) seconds: UnixSeconds,
    /// Whether the news is young enough to tell what was revoked.
    pub(crate) is_fresh: bool,
    /// The time up to which bumps made elsewhere are known here; `None` if nothing is
    /// ever made elsewhere.
    pub(crate) news_of: Option<UnixSeconds>,
}

/// What only the one who follows the store needs.
struct Follower {
    /// The last event applied.
    applied: Place,
    /// The histories before the present one.
    predecessors: Vec<HistoryId>,
    /// When it came to the present history, by the monotonic clock; `None` if there was none
    /// before.
    in_history_since: Option<Duration>,
    /// The keys that were seen to go. One of them in an answer proves that the store has
    /// lost something.
    gone: HashSet<KeyId>,
    /// What the observer was told last.
    told_stale: bool,
}

impl Replica {
    /// Loads the state, or begins it in an empty store, and follows the log to its head.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be used or read, or the clocks differ.
    pub(crate) fn open(source: Source, observer: Arc<dyn Observer>) -> Result<Self, StoreError> {
        let (ring, head, predecessors) = source.first_state()?;
        let max_staleness = match source.store.reach() {
            Reach::Memory | Reach::Embedded => None,
            Reach::Shared => Some(source.policy.max_staleness()),
        };
        let now = source.time.sending().monotonic;
        let in_history_since = (!predecessors.is_empty()).then_some(now);
        let replica = Self {
            source,
            observer,
            ring: ArcSwap::from_pointee(ring),
            eras: Eras::new(),
            last_heard: LastHeard::new(max_staleness),
            pending: Arc::default(),
            jobs: Mutex::default(),
            inquiries: Mutex::default(),
            applied: Mutex::new(head),
            follower: Mutex::new(Follower {
                applied: head,
                predecessors,
                in_history_since,
                gone: HashSet::new(),
                told_stale: false,
            }),
        };
        replica.follow(Duration::ZERO)?;
        Ok(replica)
    }

    /// The ring of this moment, with its table.
    pub(crate) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.ring.load()
    }

    /// The same, and the era as it was before that.
    pub(crate) fn ring_in_era(&self) -> (Option<Era>, Guard<Arc<KeyRing>>) {
        let era = self.era();
        hook::reached(HookPlace::EraRead);
        (era, self.ring())
    }

    /// The present era of ring and table.
    pub(crate) fn era(&self) -> Option<Era> {
        self.eras.current()
    }

    /// The ring of this moment, to be kept.
    pub(crate) fn ring_to_keep(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// The last event that is in force here.
    pub(crate) fn applied(&self) -> Place {
        *self.applied.lock()
    }

    fn set_applied(&self, follower: &mut Follower, place: Place) {
        follower.applied = place;
        *self.applied.lock() = place;
    }

    /// The time, and how old the news is. Read it before the ring: a replica that was
    /// stale may get a new one at any moment, and the old one does not become fresh by that.
    pub(crate) fn now(&self) -> Now {
        let moment = self.source.time.moment();
        Now {
            seconds: moment.now,
            is_fresh: self.is_fresh(moment),
            news_of: self.last_heard.news_of(),
        }
    }

    /// Whether the news is young enough at this moment to tell what was revoked.
    pub(crate) fn is_fresh(&self, moment: Moment) -> bool {
        self.freshness_at(moment).is_fresh()
    }

    fn freshness_at(&self, moment: Moment) -> Freshness {
        self.last_heard.at(moment)
    }

    /// How old the news is, as a token would be judged by it.
    pub(crate) fn freshness(&self) -> Freshness {
        self.freshness_at(self.source.time.moment())
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// The same, to be kept.
    pub(crate) fn observer_to_keep(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.observer)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Nobody follows the store any more, so nothing can be accepted or waited for.
    pub(crate) fn abandon(&self) {
        self.pending.abandon();
        self.last_heard.forget();
        self.give_up();
    }

    /// Looked at by whoever waits, after it has said so: either it sees this, or whoever
    /// abandons sees the wait.
    fn give_up_if_abandoned(&self) {
        if self.pending.is_abandoned() {
            self.give_up();
        }
    }

    fn exchanges(&self) -> u64 {
        self.pending.exchanges()
    }
}
