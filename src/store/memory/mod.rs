//! A store in this process's memory.

mod kept;
mod rows;

use std::{fmt, time::Duration};

use parking_lot::{Condvar, Mutex};

use self::kept::Kept;
use super::{
    Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Reach, Receipt,
    Rewrap, SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime, StoredEpoch, Tidy,
};
use crate::StoreError;

/// A store in this process's memory, for one [`Authority`](crate::Authority).
///
/// It forgets everything when the process ends. That revives nothing: the next
/// process draws new keys, and every old token is refused as
/// [`UnknownKey`](crate::VerifyError::UnknownKey). Use it for tests, and for
/// services where a restart may log everybody out.
#[derive(Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    news: Condvar,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store that holds the same.
    #[cfg(feature = "testing")]
    pub(crate) fn copy(&self) -> Self {
        Self {
            kept: Mutex::new(self.kept.lock().clone()),
            news: Condvar::new(),
        }
    }

    /// Holds what the other holds, from now on.
    #[cfg(feature = "testing")]
    pub(crate) fn replace_with(&self, other: &Self) {
        let other = other.kept.lock().clone();
        *self.kept.lock() = other;
        self.news.notify_all();
    }

    #[cfg(feature = "testing")]
    pub(crate) fn kept_events(&self) -> usize {
        self.kept.lock().kept_events()
    }

    /// Trims the log to its newest event.
    #[cfg(feature = "testing")]
    pub(crate) fn trim(&self) {
        self.kept.lock().trim();
    }

    /// Makes one step, at the time of whoever asked for it.
    fn answer<T>(&self, now: StoreTime, step: impl FnOnce(&mut Kept) -> T) -> Answer<T> {
        let value = step(&mut self.kept.lock());
        Answer { value, time: now }
    }
}

impl Store for MemoryStore {
    fn reach(&self) -> Reach {
        Reach::Memory
    }

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        let mut kept = self.kept.lock();
        kept.receive(heartbeat);
        let mut value = kept.events_after(heartbeat.applied);
        let nothing_new = matches!(&value, News::Events { events, .. } if events.is_empty());
        if nothing_new && !wait.is_zero() {
            if !kept.take_wake() {
                self.news.wait_for(&mut kept, wait);
                kept.take_wake();
            }
            value = kept.events_after(heartbeat.applied);
        }
        let time = heartbeat.now;
        Ok(Answer { value, time })
    }

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        Ok(self.answer(now, |kept| kept.standing(place)))
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        Ok(self.answer(now, |kept| kept.snapshot(epochs)))
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        let answer = self.answer(new.now, |kept| kept.begin(new));
        self.news.notify_all();
        Ok(answer)
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let answer = self.answer(commit.now, |kept| kept.commit(commit));
        self.news.notify_all();
        done(Ok(answer));
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        done(Ok(self.answer(query.now, |kept| kept.sessions(&query))));
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        Ok(self.answer(rewrap.now, |kept| kept.rewrap(rewrap)))
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        Ok(self.answer(tidy.now, |kept| kept.tidy(&tidy)))
    }

    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        Ok(self.answer(now, |kept| kept.receipts()))
    }

    fn wake(&self) {
        self.kept.lock().set_wake();
        self.news.notify_all();
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("head", &self.kept.lock().head())
            .finish_non_exhaustive()
    }
}
