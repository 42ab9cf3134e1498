//! Answers for those who wait: for an event to be in force, for fresh news, or for what other
//! replicas say.

use super::{Follower, Replica, follow::unknown, pending::Awaited};
use crate::{
    Epoch, Mark, StoreError,
    bug::{self, Bug},
    store::{Beginning, Outcome, Place, Refusal, Standing},
};

/// Each may take an exchange, and the news must not get old meanwhile.
const MOST_SETTLED_AT_ONCE: usize = 16;

/// Something to do on the thread that follows the store, once an exchange that began
/// after it was asked for has reached the head of the log.
pub(super) struct Job {
    exchanges: u64,
    run: Run,
}

type Run = Box<dyn FnOnce(Result<&Replica, StoreError>) + Send>;

impl Replica {
    /// Calls `finish` when the event at this place is in force here, or never will be.
    pub(crate) fn wait_for<F>(&self, epoch: Epoch, finish: F)
    where
        F: FnOnce(Result<Epoch, StoreError>) + Send + 'static,
    {
        if bug::is_in(Bug::WaitByPosition) && self.applied().position >= epoch.0.position {
            return finish(Ok(epoch));
        }
        let finish = Box::new(|applied: Result<Place, _>| finish(applied.map(Epoch)));
        self.pending
            .expect_applied(epoch.0, self.exchanges(), finish);
        self.give_up_if_abandoned();
        self.source.store.wake();
    }

    /// Calls `finish` when everything is in force here that the store had acknowledged
    /// to anybody before this call.
    pub(crate) fn catch_up<F>(&self, finish: F)
    where
        F: FnOnce(Result<Mark, StoreError>) + Send + 'static,
    {
        self.after_the_next_exchange(move |replica| {
            finish(replica.map(|replica| replica.ring().mark()));
        });
    }

    /// Wraps what the store keeps with the current master secret.
    pub(crate) fn rewrap<F>(&self, finish: F)
    where
        F: FnOnce(Result<(), StoreError>) + Send + 'static,
    {
        self.after_the_next_exchange(move |replica| finish(replica.and_then(Replica::rewrap_now)));
    }

    fn rewrap_now(&self) -> Result<(), StoreError> {
        let Some((snapshot, _)) = self.source.load()? else {
            return Err(StoreError::lost());
        };
        let rewrap = self.source.rewrapped(snapshot)?;
        match self.source.store.rewrap(rewrap)?.value {
            Outcome::Done { .. } => Ok(()),
            Outcome::Refused(refusal) => Err(StoreError::refused(refusal)),
        }
    }

    /// Begins a new history in place of the present one, which is not to be trusted.
    pub(crate) fn start_over<F>(&self, finish: F)
    where
        F: FnOnce(Result<Epoch, StoreError>) + Send + 'static,
    {
        self.after_the_next_exchange(move |replica| {
            let begun = replica.and_then(|replica| Ok((replica, replica.start_over_now()?)));
            match begun {
                Ok((replica, epoch)) => replica.wait_for(epoch, finish),
                Err(error) => finish(Err(error)),
            }
        });
    }

    fn start_over_now(&self) -> Result<Epoch, StoreError> {
        let begun = self.begin(Beginning::InsteadOf(self.ring().history()))?;
        begun
            .map(Epoch)
            .ok_or(StoreError::refused(Refusal::Beginning))
    }

    fn after_the_next_exchange<F>(&self, run: F)
    where
        F: FnOnce(Result<&Replica, StoreError>) + Send + 'static,
    {
        self.jobs.lock().push(Job {
            exchanges: self.exchanges(),
            run: Box::new(run),
        });
        self.give_up_if_abandoned();
        self.source.store.wake();
    }

    /// Whether somebody waits for an exchange to reach the head.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.jobs.lock().is_empty() || self.pending.awaits_acknowledged()
    }

    /// The exchange of this number has reached the head of the log: does what was put off
    /// until then, and answers those who wait for events that were not applied one by one.
    pub(super) fn settle(&self, follower: &Follower, exchange: u64) -> Result<(), StoreError> {
        let waited_for = self.pending.acknowledged_events();
        for event in waited_for.into_iter().take(MOST_SETTLED_AT_ONCE) {
            // Only what was asked after the store had acknowledged the event, and still knew
            // this replica's place, proves that both are of one log.
            if exchange > event.exchanges {
                self.settle_event(follower, event)?;
            }
        }
        let due = self
            .jobs
            .lock()
            .extract_if(.., |job| exchange > job.exchanges)
            .collect::<Vec<_>>();
        for job in due {
            (job.run)(Ok(self));
        }
        self.settle_inquiries(follower, exchange)
    }

    fn settle_event(&self, follower: &Follower, event: Awaited) -> Result<(), StoreError> {
        let place = event.place;
        if place.history != follower.applied.history {
            // Of a history before this one, or of another store.
            self.pending.failed(place.event, StoreError::lost);
            return Ok(());
        }
        match self.standing_up_to_head(follower, place)? {
            // A snapshot has brought it. Trimmed: older than every token it could concern.
            Standing::Part | Standing::Trimmed => self.pending.applied(place.event),
            // The history has changed this moment: the next exchange tells more.
            Standing::Before => {}
            Standing::Unknown if event.is_own => {
                if self.begin(unknown(follower, place))?.is_some() {
                    self.pending.failed(place.event, StoreError::lost);
                }
            }
            // Those who were told so notice it themselves; this may be anybody's word.
            Standing::Unknown => self.pending.failed(place.event, StoreError::lost),
        }
        Ok(())
    }

    /// How a place stands to the log that this replica has just followed to its head. If it is
    /// part of it, and was known before, it is in force here.
    pub(super) fn standing_up_to_head(
        &self,
        follower: &Follower,
        place: Place,
    ) -> Result<Standing, StoreError> {
        if place.position > follower.applied.position {
            // The head is below what the store has acknowledged.
            return Ok(Standing::Unknown);
        }
        let now = self.source.time.sending().store_time();
        Ok(self.source.store.standing(place, now)?.value)
    }

    /// News will not come, or not soon: nobody is left waiting for it.
    pub(super) fn give_up(&self) {
        self.pending.give_up_on_acknowledged();
        let jobs = std::mem::take(&mut *self.jobs.lock());
        for job in jobs {
            (job.run)(Err(StoreError::stale()));
        }
        let inquiries = std::mem::take(&mut *self.inquiries.lock());
        for inquiry in inquiries {
            inquiry.fail(StoreError::stale());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::Duration,
    };

    use crate::{Authority, MemoryStore, RedbStore, Store, testing};

    fn authority(store: impl Store) -> Authority {
        let secret = crate::MasterSecret::generate().unwrap();
        let builder = Authority::builder("i", "a").master_secret(secret);
        testing::by_hand(builder).open(store).unwrap()
    }

    /// Or the store would be asked again and again, all the time.
    fn is_woken_once(authority: &Authority) {
        let replica = authority.replica();
        replica.source().store.wake();
        replica.follow(Duration::MAX).unwrap();
        let is_woken = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                is_woken.store(true, Ordering::SeqCst);
                replica.source().store.wake();
            });
            replica.follow(Duration::MAX).unwrap();
            assert!(is_woken.load(Ordering::SeqCst));
        });
        let caught_up = authority.catch_up();
        replica.follow(Duration::MAX).unwrap();
        caught_up.wait().unwrap();
    }

    #[test]
    fn news_is_waited_for_until_somebody_wakes_who_waits_or_is_about_to() {
        is_woken_once(&authority(MemoryStore::new()));
        let directory = tempfile::tempdir().unwrap();
        let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
        is_woken_once(&authority(store));
    }

    #[test]
    fn news_that_comes_meanwhile_ends_the_wait() {
        let directory = tempfile::tempdir().unwrap();
        let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
        for authority in [authority(MemoryStore::new()), authority(store)] {
            let bumped = thread::scope(|scope| {
                let bump = scope.spawn(|| authority.bump(crate::Scope::user("u")).wait());
                authority.replica().follow(Duration::MAX).unwrap();
                bump.join().unwrap()
            });
            bumped.unwrap();
        }
    }
}
