//! A connection that is cut for good at a request of its own choice.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use epochkey::{
    StoreError,
    store::{
        Answer, Heartbeat, NewHistory, News, Outcome, Place, Receipt, Rewrap, Snapshot, Standing,
        Store, StoreTime, StoredEpoch, Tidy,
    },
    testing::FaultyStore,
};

/// Whoever follows a store asks it for one thing after the other: its process may die between any
/// two, and the store has done the last, or has not.
pub(crate) struct Dying {
    link: FaultyStore,
    requests: AtomicUsize,
    last: AtomicUsize,
    is_last_done: bool,
}

impl Dying {
    pub(crate) fn on(link: FaultyStore, is_last_done: bool) -> Self {
        Self {
            link,
            requests: AtomicUsize::new(0),
            last: AtomicUsize::new(usize::MAX),
            is_last_done,
        }
    }

    pub(crate) fn dies_after(&self, requests: usize) {
        self.requests.store(0, Ordering::Relaxed);
        self.last.store(requests, Ordering::Relaxed);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > self.last.load(Ordering::Relaxed)
    }

    fn ask<T>(&self, request: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if number != self.last.load(Ordering::Relaxed) {
            return request();
        }
        if self.is_last_done {
            request()?;
        }
        self.link.cut();
        Err(self.link.receipts(StoreTime::default()).unwrap_err())
    }
}

impl Store for Dying {
    delegate!(link: commit, sessions);

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        self.ask(|| self.link.events_after(heartbeat, wait))
    }

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.ask(|| self.link.standing(place, now))
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        self.ask(|| self.link.snapshot(now, epochs))
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        self.ask(|| self.link.begin(new))
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.ask(|| self.link.rewrap(rewrap))
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        self.ask(|| self.link.tidy(tidy))
    }

    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.ask(|| self.link.receipts(now))
    }
}
