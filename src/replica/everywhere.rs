//! Whether an epoch is in force in all replicas: the store is asked for those who want to know.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use super::{
    Follower, Replica, ReplicaStatus,
    inquiry::{Inquiry, Patience, Until},
};
use crate::{
    Epoch, StoreError,
    clock::Moment,
    store::{Answer, Place, Reach, Receipt, Standing},
};

/// How long news is waited for at most while somebody waits for receipts.
const READ_RECEIPTS_EVERY: Duration = Duration::from_millis(50);

/// Each takes a request, and the news must not get old meanwhile.
const MOST_ASKED_AT_ONCE: usize = 16;

impl Replica {
    /// Calls `finish` when no replica accepts any more what the epoch has revoked, with those
    /// that did not confirm that they have applied it.
    pub(crate) fn applied_everywhere<F>(&self, epoch: Epoch, finish: F)
    where
        F: FnOnce(Result<Vec<ReplicaStatus>, StoreError>) + Send + 'static,
    {
        self.inquire(epoch, Until::InForceEverywhere, finish);
    }

    /// Calls `finish` with the replicas that have not confirmed so far that they have applied
    /// the epoch.
    pub(crate) fn replicas_behind<F>(&self, epoch: Epoch, finish: F)
    where
        F: FnOnce(Result<Vec<ReplicaStatus>, StoreError>) + Send + 'static,
    {
        self.inquire(epoch, Until::Known, finish);
    }

    fn inquire<F>(&self, epoch: Epoch, until: Until, finish: F)
    where
        F: FnOnce(Result<Vec<ReplicaStatus>, StoreError>) + Send + 'static,
    {
        let now = self.source.time.sending().monotonic;
        let asked = (self.exchanges(), now);
        let inquiry = Inquiry::new(epoch.0, until, asked, Box::new(finish));
        self.inquiries.lock().push(inquiry);
        self.give_up_if_abandoned();
        self.source.store.wake();
    }

    /// How long news may be waited for, for the sake of those who inquire.
    pub(super) fn longest_wait(&self) -> Duration {
        let inquiries = self.inquiries.lock();
        match inquiries.iter().any(Inquiry::is_new) {
            true => Duration::ZERO,
            false if inquiries.is_empty() => Duration::MAX,
            false => READ_RECEIPTS_EVERY,
        }
    }

    /// The exchange of this number has reached the head of the log: finds out what it can for
    /// those who inquire.
    pub(super) fn settle_inquiries(
        &self,
        follower: &Follower,
        exchange: u64,
    ) -> Result<(), StoreError> {
        // Not under the lock: the store is asked, and those who are told may inquire again.
        let mut inquiries: Vec<Inquiry> = std::mem::take(&mut *self.inquiries.lock());
        let asked = self.ask_around(follower, exchange, &mut inquiries);
        let over: Vec<_> = inquiries
            .extract_if(.., |inquiry| inquiry.is_over())
            .collect();
        if let Err(error) = &asked {
            self.fail_overdue(follower, &mut inquiries, error);
        }
        self.inquiries.lock().splice(..0, inquiries);
        over.into_iter().for_each(Inquiry::tell);
        asked
    }

    fn ask_around(
        &self,
        follower: &Follower,
        exchange: u64,
        inquiries: &mut [Inquiry],
    ) -> Result<(), StoreError> {
        for inquiry in &mut *inquiries {
            if inquiry.is_before(exchange) && inquiry.epoch.history != follower.applied.history {
                inquiry.lost();
            }
        }
        self.begin_inquiries(follower, exchange, inquiries)?;
        if inquiries
            .iter()
            .all(|inquiry| inquiry.is_new() || inquiry.is_over())
        {
            return Ok(());
        }
        let now = self.source.time.sending();
        self.read_receipts(follower, now, inquiries)?;
        self.end_inquiries(follower, now, inquiries)
    }

    fn begin_inquiries(
        &self,
        follower: &Follower,
        exchange: u64,
        inquiries: &mut [Inquiry],
    ) -> Result<(), StoreError> {
        let begin = |inquiry: &&mut Inquiry| inquiry.is_new() && inquiry.is_before(exchange);
        for inquiry in inquiries.iter_mut().filter(begin).take(MOST_ASKED_AT_ONCE) {
            match self.standing_up_to_head(follower, inquiry.epoch)? {
                Standing::Part | Standing::Trimmed
                    if self.source.store.reach() != Reach::Shared =>
                {
                    inquiry.is_alone();
                }
                Standing::Part => inquiry.begin(false),
                Standing::Trimmed => inquiry.begin(true),
                Standing::Before | Standing::Unknown => inquiry.lost(),
            }
        }
        Ok(())
    }

    /// Asks what the replicas have applied, and then whether that is part of the log: a
    /// position of a lost past may be used again.
    fn read_receipts(
        &self,
        follower: &Follower,
        now: Moment,
        inquiries: &mut [Inquiry],
    ) -> Result<(), StoreError> {
        let Answer { value, time } = self.source.store.receipts(now.store_time())?;
        let by_replica = |receipt: Receipt| (receipt.heartbeat.replica, receipt);
        let value = value.into_iter().map(by_replica).collect();
        let receipts = Answer { value, time };
        for inquiry in &mut *inquiries {
            inquiry.hear(&receipts, self.source.id, now.monotonic);
        }
        let standings = self.standings(follower, inquiries)?;
        for inquiry in inquiries {
            inquiry.learn(&standings);
        }
        Ok(())
    }

    fn standings(
        &self,
        follower: &Follower,
        inquiries: &[Inquiry],
    ) -> Result<HashMap<Place, Standing>, StoreError> {
        // Known without asking, if the epochs prove not to be lost, which is asked last: what
        // this replica has applied contains them then.
        let mut standings = HashMap::from([(follower.applied, Standing::Part)]);
        let mut left = MOST_ASKED_AT_ONCE;
        for place in inquiries.iter().flat_map(Inquiry::places) {
            if left == 0 {
                break;
            }
            if let Entry::Vacant(unknown) = standings.entry(place) {
                let now = self.source.time.sending().store_time();
                unknown.insert(self.source.store.standing(place, now)?.value);
                left -= 1;
            }
        }
        Ok(standings)
    }

    /// Ends those for whom everything is known, if the epoch still is part of the log. What is
    /// lost does not come back, so it was when the receipts were read.
    fn end_inquiries(
        &self,
        follower: &Follower,
        now: Moment,
        inquiries: &mut [Inquiry],
    ) -> Result<(), StoreError> {
        let patience = self.patience(follower, now);
        let answered = |inquiry: &&mut Inquiry| inquiry.is_answered(&patience);
        for inquiry in inquiries
            .iter_mut()
            .filter(answered)
            .take(MOST_ASKED_AT_ONCE)
        {
            match self.standing_up_to_head(follower, inquiry.epoch)? {
                Standing::Part | Standing::Trimmed => inquiry.answered(),
                Standing::Before | Standing::Unknown => inquiry.lost(),
            }
        }
        Ok(())
    }

    /// News comes, and receipts do not: nobody is left waiting for them.
    fn fail_overdue(&self, follower: &Follower, inquiries: &mut Vec<Inquiry>, error: &StoreError) {
        let patience = self.patience(follower, self.source.time.sending());
        let overdue = |inquiry: &mut Inquiry| inquiry.is_overdue(&patience);
        for inquiry in inquiries.extract_if(.., overdue) {
            inquiry.fail(StoreError::unavailable(error.to_string()));
        }
    }

    fn patience(&self, follower: &Follower, now: Moment) -> Patience {
        Patience {
            now: now.monotonic,
            in_history_since: follower.in_history_since,
            max_staleness: self.source.policy.max_staleness(),
            // By so much clocks may differ, and a standby may lag that looks like the primary.
            margin: 2 * self.source.policy.max_clock_skew(),
        }
    }
}
