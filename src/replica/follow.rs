//! One exchange with the store after the other: what the replica does to stay fresh.

use std::time::Duration;

use super::{Follower, Replica, source::MOST_TURNS};
use crate::{
    StoreError,
    bug::{self, Bug},
    clock::Moment,
    history_secrets::NewHistorySecrets,
    store::{Beginning, News, Outcome, Place, Reach, Standing, StoreTime},
};

/// Where an exchange has led.
enum Reached {
    /// To the head of the log.
    Head,
    /// To events with more behind them.
    More,
    /// To another state, by a snapshot or a restart.
    Turn,
}

impl Replica {
    /// Asks the store for news, waiting up to `wait` for some, and applies it, until the
    /// head of the log is reached. Also the heartbeat.
    ///
    /// One caller at a time; others wait.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. What was applied before stays; the rest is asked for again.
    pub(crate) fn follow(&self, wait: Duration) -> Result<(), StoreError> {
        let mut follower = self.follower.lock();
        let result = self.reach_head_and_settle(&mut follower, wait);
        if let Err(error) = &result {
            self.observer.failed(error);
        }
        self.judge(&mut follower, result.is_err());
        result
    }

    fn reach_head_and_settle(
        &self,
        follower: &mut Follower,
        wait: Duration,
    ) -> Result<(), StoreError> {
        let mut wait = match self.is_waited_for() {
            true => Duration::ZERO,
            false => wait.min(self.longest_wait()),
        };
        for _ in 0..MOST_TURNS {
            let exchange = self.reach_head(follower, wait)?;
            self.settle(follower, exchange)?;
            // To settle may take a restart, and then the head is elsewhere.
            if !self.last_heard.is_forgotten() {
                return Ok(());
            }
            wait = Duration::ZERO;
        }
        Err(StoreError::unsettled())
    }

    /// Gives the number of the exchange that reached the head.
    fn reach_head(&self, follower: &mut Follower, wait: Duration) -> Result<u64, StoreError> {
        let (mut wait, mut turns) = (wait, 0);
        loop {
            let begun = self.pending.begin_exchange();
            let sent = self.source.time.sending();
            match self.exchange(follower, sent, wait)? {
                Reached::Head => {
                    // Dated when it was sent: what happened since may not be in it.
                    let sent = match bug::is_in(Bug::NewsFromItsAnswer) {
                        true => self.source.time.sending(),
                        false => sent,
                    };
                    self.last_heard.reached_head(sent);
                    return Ok(begun);
                }
                Reached::More => {}
                Reached::Turn => turns += 1,
            }
            if turns > MOST_TURNS {
                return Err(StoreError::unsettled());
            }
            wait = Duration::ZERO;
        }
    }

    fn exchange(
        &self,
        follower: &mut Follower,
        sent: Moment,
        wait: Duration,
    ) -> Result<Reached, StoreError> {
        let heartbeat = self.source.heartbeat(Some(follower.applied), sent);
        let answer = self.source.store.events_after(heartbeat, wait)?;
        let compared = self.compare_clocks(sent, answer.time);
        compared.inspect_err(|_| self.last_heard.forget())?;
        match answer.value {
            News::Events { events, more } => {
                if events.is_empty() && more {
                    return Err(StoreError::damaged("there is more, but no events"));
                }
                for event in events {
                    match self.apply(follower, event) {
                        Err(error) if error.is_wrong_master_secret() => {
                            // A process that was left behind has wrapped a key with a master
                            // secret that is being given up: the state may be wrapped anew.
                            self.adopt_snapshot(follower)?;
                            return Ok(Reached::Turn);
                        }
                        applied => applied?,
                    }
                }
                Ok(if more { Reached::More } else { Reached::Head })
            }
            News::TakeSnapshot => {
                self.adopt_snapshot(follower)?;
                Ok(Reached::Turn)
            }
            News::NotMyPast if bug::is_in(Bug::LossIgnored) => Ok(Reached::Head),
            News::NotMyPast => {
                self.begin(unknown(follower, follower.applied))?;
                Ok(Reached::Turn)
            }
        }
    }

    /// A replica whose clock differs from the store's would issue tokens that outlive
    /// their key. `time` is that of an answer to what was sent then.
    pub(crate) fn compare_clocks(&self, sent: Moment, time: StoreTime) -> Result<(), StoreError> {
        if self.source.store.reach() != Reach::Shared {
            return Ok(());
        }
        let skew = self.source.policy.max_clock_skew();
        let (earliest, latest) = (sent.store_time(), self.source.time.sending().store_time());
        let off_by = match time {
            time if time < earliest => time.distance(earliest),
            time if time > latest => time.distance(latest),
            _ => Duration::ZERO,
        };
        if off_by > skew && !bug::is_in(Bug::ClockNotCompared) {
            return Err(StoreError::clock(off_by));
        }
        Ok(())
    }

    /// The store has lost something that it has shown or acknowledged, or is not to be
    /// trusted. Refuses everything, and begins a new history if the condition holds; the next
    /// exchange tells how it went on.
    pub(super) fn begin(&self, beginning: Beginning) -> Result<Option<Place>, StoreError> {
        self.last_heard.forget();
        let source = &self.source;
        let now = source.time.sending().store_time();
        if let Some(found) = source.store.snapshot(now, &mut |_| {})?.value {
            // Under another master secret it is the store of others, or this process was left
            // behind when the secret was changed: they would be locked out.
            NewHistorySecrets::unwrap(&found.secrets, found.head.history, &source.wrapping)?;
        }
        match source.store.begin(source.new_history(beginning)?)?.value {
            Outcome::Done { head } => {
                self.observer.restarted();
                Ok(Some(head))
            }
            Outcome::Refused(_) => Ok(None),
        }
    }

    /// Replaces the whole state by the store's, if it is not older than this one and
    /// nothing shows that the store has lost something.
    fn adopt_snapshot(&self, follower: &mut Follower) -> Result<(), StoreError> {
        let place = follower.applied;
        let Some((snapshot, table)) = self.source.load()? else {
            self.begin(unknown(follower, place))?;
            return Ok(());
        };
        let head = snapshot.head;
        let same_history = head.history == place.history;
        if same_history && head.position < place.position && !bug::is_in(Bug::OlderSnapshot) {
            return Err(StoreError::old_snapshot(place.position, head.position));
        }
        let standing = match same_history {
            _ if bug::is_in(Bug::ForeignSnapshot) => Standing::Part,
            true => self.standing_after(head, place)?,
            false if snapshot.predecessors.contains(&place.history) => Standing::Before,
            false => Standing::Unknown,
        };
        match standing {
            Standing::Part | Standing::Trimmed => {}
            Standing::Before if !same_history && !bug::is_in(Bug::RestartAgain) => {}
            // The history has changed this moment: the next exchange tells more.
            Standing::Before if same_history => return Ok(()),
            Standing::Unknown | Standing::Before => {
                // Conditional on the store still not knowing it: this answer may be late,
                // and must not log everybody out.
                self.begin(unknown(follower, place))?;
                return Ok(());
            }
        }
        if snapshot
            .keys
            .iter()
            .any(|key| follower.gone.contains(&key.id))
        {
            // Not an old answer: it shows a later state in which the key is back.
            self.begin(Beginning::InsteadOf(head.history))?;
            return Ok(());
        }
        let predecessors = snapshot.predecessors.clone();
        let ring = self.source.read(snapshot, table);
        let ring = ring.inspect_err(|_| self.last_heard.forget())?;
        if same_history && ring.has_moved_since(&self.ring.load()) {
            self.last_heard.forget();
            return Err(StoreError::damaged("a ring key is at another position"));
        }
        self.replace(follower, ring);
        if !same_history {
            follower.in_history_since = Some(self.source.time.sending().monotonic);
        }
        self.set_applied(follower, head);
        follower.predecessors = predecessors;
        Ok(())
    }

    /// How this replica's place stands to a state of the same history at `head`.
    ///
    /// Asked after that state was given, for between the exchange and it the store may have
    /// lost its tail and gone on. What is lost does not come back: a place that is part of
    /// the log now was part of it then.
    fn standing_after(&self, head: Place, place: Place) -> Result<Standing, StoreError> {
        if head == place {
            return Ok(Standing::Part);
        }
        let now = self.source.time.sending().store_time();
        Ok(self.source.store.standing(place, now)?.value)
    }

    /// Tells the observer, and whoever waits, how this replica stands now.
    fn judge(&self, follower: &mut Follower, failed: bool) {
        if failed && self.source.store.reach() != Reach::Shared {
            // Nobody else writes this store, so its news does not age: it fails at once.
            self.last_heard.forget();
        }
        let stale = !self.is_fresh(self.source.time.moment());
        if stale {
            self.give_up();
        }
        if stale != follower.told_stale {
            follower.told_stale = stale;
            match stale {
                true => self.observer.stale(),
                false => self.observer.recovered(),
            }
        }
    }
}

/// The condition that the store still does not know a place that this replica does.
pub(super) fn unknown(follower: &Follower, place: Place) -> Beginning {
    Beginning::Unknown {
        place,
        predecessors: follower.predecessors.clone(),
    }
}
