//! Answers for those who wait: for an event to be in force, or for fresh news.

use std::time::Duration;

use super::{Follower, Replica};
use crate::{
    Epoch, Mark, StoreError,
    store::{Beginning, News, Outcome, Place},
};

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
        let beginning = Beginning::InsteadOf(self.ring().history());
        let new = self.source.new_history(beginning)?;
        let (history, event) = (new.id, new.event.id);
        self.freshness.forget();
        match self.source.store.begin(new)?.value {
            Outcome::Done { position } => {
                self.observer.restarted();
                Ok(Epoch(Place {
                    history,
                    position,
                    event,
                }))
            }
            Outcome::Refused(refusal) => Err(StoreError::refused(refusal)),
        }
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
        !self.jobs.lock().is_empty() || !self.pending.places().is_empty()
    }

    /// The exchange of this number has reached the head of the log: does what was put off
    /// until then, and answers those who wait for events that were not applied one by one.
    pub(super) fn settle(&self, follower: &Follower, exchange: u64) -> Result<(), StoreError> {
        for (place, exchanges) in self.pending.places() {
            self.settle_place(follower, place, exchange > exchanges)?;
        }
        let due = self
            .jobs
            .lock()
            .extract_if(.., |job| exchange > job.exchanges)
            .collect::<Vec<_>>();
        for job in due {
            (job.run)(Ok(self));
        }
        Ok(())
    }

    fn settle_place(
        &self,
        follower: &Follower,
        place: Place,
        asked_since: bool,
    ) -> Result<(), StoreError> {
        let event = place.event;
        if follower.predecessors.contains(&place.history) {
            self.pending.failed(event, StoreError::lost);
        } else if place.history != follower.applied.history {
            // Neither this history nor one before it: the next may be, unless the store was
            // asked since the event was made.
            if asked_since {
                self.pending.failed(event, StoreError::lost);
            }
        } else if place.position <= follower.applied.position {
            // A snapshot may have brought it, or another event has its position.
            let sent = self.source.time.sending();
            let heartbeat = self.source.heartbeat(Some(place), sent);
            let answer = self.source.store.events_after(heartbeat, Duration::ZERO)?;
            match answer.value {
                // Trimmed: then it is older than every token that it could concern.
                News::Events { .. } | News::TakeSnapshot => self.pending.applied(event),
                News::NotMyPast => self.lost(place)?,
            }
        } else if asked_since {
            // The head is below what the store has acknowledged.
            self.lost(place)?;
        }
        Ok(())
    }

    fn lost(&self, place: Place) -> Result<(), StoreError> {
        if let Outcome::Done { .. } = self.restart(Beginning::Unknown(place))? {
            self.pending.failed(place.event, StoreError::lost);
        }
        Ok(())
    }

    /// News will not come, or not soon: nobody is left waiting for it.
    pub(super) fn give_up(&self) {
        self.pending.give_up_on_acknowledged();
        let jobs = std::mem::take(&mut *self.jobs.lock());
        for job in jobs {
            (job.run)(Err(StoreError::stale()));
        }
    }
}
