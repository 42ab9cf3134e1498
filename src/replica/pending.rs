//! Who waits for an event to be in force here.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::{
    StoreError,
    store::{EventId, Place},
};

type Finish = Box<dyn FnOnce(Result<Place, StoreError>) + Send>;

/// Those who wait, by the id of the event: the position alone could be another event's,
/// given again after a loss.
#[derive(Default)]
pub(crate) struct Pending {
    waiting: Mutex<BTreeMap<EventId, Vec<Waiter>>>,
    /// How many exchanges with the store have begun.
    exchanges: AtomicU64,
    is_abandoned: AtomicBool,
}

struct Waiter {
    /// Whether this process has committed the event.
    is_own: bool,
    /// Where the store said that it keeps the event.
    acknowledged: Option<Place>,
    /// Whether this replica has applied it already.
    applied: bool,
    /// How many exchanges had begun when the place was learnt.
    exchanges: u64,
    finish: Finish,
}

/// An event that the store has acknowledged, and somebody waits for.
#[derive(Clone, Copy)]
pub(crate) struct Awaited {
    pub(crate) place: Place,
    /// How many exchanges had begun when its place was learnt first.
    pub(crate) exchanges: u64,
    /// Whether this process has committed it.
    pub(crate) is_own: bool,
}

impl Pending {
    /// Waits for an event that is about to be committed: until the store has acknowledged it
    /// and this replica has applied it, whatever comes first.
    pub(crate) fn expect(&self, event: EventId, finish: Finish) {
        self.add(event, None, 0, finish, true);
    }

    /// Waits for an event that the store has acknowledged to somebody.
    pub(crate) fn expect_applied(&self, place: Place, exchanges: u64, finish: Finish) {
        self.add(place.event, Some(place), exchanges, finish, false);
    }

    fn add(
        &self,
        event: EventId,
        acknowledged: Option<Place>,
        exchanges: u64,
        finish: Finish,
        is_own: bool,
    ) {
        let waiter = Waiter {
            is_own,
            acknowledged,
            applied: false,
            exchanges,
            finish,
        };
        self.waiting.lock().entry(event).or_default().push(waiter);
    }

    pub(crate) fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::SeqCst)
    }

    /// Gives the number of the exchange that begins.
    pub(crate) fn begin_exchange(&self) -> u64 {
        self.exchanges.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Nobody will apply events any more.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst)
    }

    /// The store has acknowledged the event.
    pub(crate) fn acknowledged(&self, place: Place) {
        let exchanges = self.exchanges();
        let mut waiting = self.waiting.lock();
        for waiter in waiting.get_mut(&place.event).into_iter().flatten() {
            waiter.acknowledged = Some(place);
            waiter.exchanges = exchanges;
        }
        let done = Self::take(&mut waiting, place.event, |waiter| waiter.applied);
        drop(waiting);
        Self::succeed(done);
        // Looked at after the wait is there: either this sees it, or whoever abandons sees the
        // wait.
        if self.is_abandoned() {
            self.give_up_on_acknowledged();
        }
    }

    /// This replica has applied the event.
    pub(crate) fn applied(&self, event: EventId) {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            return;
        }
        for waiter in waiting.get_mut(&event).into_iter().flatten() {
            waiter.applied = true;
        }
        let done = Self::take(&mut waiting, event, |waiter| waiter.acknowledged.is_some());
        drop(waiting);
        Self::succeed(done);
    }

    /// The commit of the event failed, or it will never be applied.
    pub(crate) fn failed(&self, event: EventId, mut error: impl FnMut() -> StoreError) {
        let failed = self.waiting.lock().remove(&event);
        for waiter in failed.into_iter().flatten() {
            (waiter.finish)(Err(error()));
        }
    }

    /// The store will not say any more whether it keeps the event.
    pub(crate) fn failed_unacknowledged(&self, event: EventId) {
        let unanswered = Self::take(&mut self.waiting.lock(), event, |waiter| {
            waiter.acknowledged.is_none()
        });
        for waiter in unanswered {
            (waiter.finish)(Err(StoreError::abandoned()));
        }
    }

    /// Nobody applies events any more, or not soon: fails those whose event is kept.
    pub(crate) fn give_up_on_acknowledged(&self) {
        for event in self.acknowledged_events() {
            self.failed(event.place.event, StoreError::not_in_force);
        }
    }

    pub(crate) fn awaits_acknowledged(&self) -> bool {
        let waiting = self.waiting.lock();
        let mut waiters = waiting.values().flatten();
        waiters.any(|waiter| waiter.acknowledged.is_some())
    }

    /// The events that the store has acknowledged, each once.
    pub(crate) fn acknowledged_events(&self) -> Vec<Awaited> {
        let waiting = self.waiting.lock();
        let awaited = |waiters: &Vec<Waiter>| {
            let acknowledged = waiters
                .iter()
                .filter(|waiter| waiter.acknowledged.is_some());
            Some(Awaited {
                place: acknowledged
                    .clone()
                    .find_map(|waiter| waiter.acknowledged)?,
                exchanges: acknowledged.clone().map(|waiter| waiter.exchanges).min()?,
                is_own: waiters.iter().any(|waiter| waiter.is_own),
            })
        };
        waiting.values().filter_map(awaited).collect()
    }

    fn take(
        waiting: &mut BTreeMap<EventId, Vec<Waiter>>,
        event: EventId,
        mut done: impl FnMut(&Waiter) -> bool,
    ) -> Vec<Waiter> {
        let Some(waiters) = waiting.get_mut(&event) else {
            return Vec::new();
        };
        let taken = waiters.extract_if(.., |waiter| done(waiter)).collect();
        if waiters.is_empty() {
            waiting.remove(&event);
        }
        taken
    }

    fn succeed(waiters: Vec<Waiter>) {
        for waiter in waiters {
            if let Some(place) = waiter.acknowledged {
                (waiter.finish)(Ok(place));
            }
        }
    }
}
