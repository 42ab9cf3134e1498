//! All timed work: to announce, activate, retire, prune, and clean up.

use std::{sync::Arc, time::Duration};

use super::Inner;
use crate::{
    StoreError,
    bug::{self, Bug},
    clock::UnixSeconds,
    epoch_log::Change,
    key_ring::KeyRing,
    policy::CheckedPolicy,
    replica::Changes,
    store::{KeyId, Reach, Tidy},
};

/// The store is tidied at least this often.
const TIDY_EVERY: u64 = 60;
/// How long what may be forgotten is kept for those who look at it afterwards.
const KEPT_LONGER: Duration = Duration::from_secs(3600);

/// What was tidied last.
#[derive(Default)]
pub(super) struct Tidied {
    at: UnixSeconds,
    floor: u64,
}

/// What the clock demands of the ring.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    retire: Vec<KeyId>,
    introduce: bool,
}

impl Due {
    /// Whether a key is active or not follows from the time; only its coming and going
    /// are events.
    fn at(now: UnixSeconds, ring: &KeyRing, policy: &CheckedPolicy) -> Self {
        let mut due = Self::default();
        // The oldest first, and never the last: a key whose tokens live longer holds up those
        // behind it, which is always safe.
        for (index, key) in ring.keys().iter().enumerate() {
            let Some(stops) = ring.stops_issuing(index) else {
                break;
            };
            let mut retires = stops.saturating_add(policy.retire_after(key.longest_lifetime()));
            if bug::is_in(Bug::RetiredByPolicy) {
                retires = stops + policy.retire_after(policy.max_token_lifetime);
            } else if bug::is_in(Bug::RetiredWithoutMargin) {
                retires = stops + key.longest_lifetime();
            } else if bug::is_in(Bug::RetiredSinceAnnounced) {
                retires = stops - policy.announce_for + key.longest_lifetime();
            }
            if retires > now {
                break;
            }
            due.retire.push(key.id());
        }
        if let (Some(every), Some(newest)) = (policy.rotate_every, ring.keys().last()) {
            let introduced = newest.introduced_at();
            // A key dated in the future was introduced while a clock was wrong: it would
            // hold up the schedule until then.
            let wrong = introduced > now.saturating_add(policy.max_clock_skew);
            // A key with long-lived tokens may hold up all behind it for months.
            let has_room = ring.keys().len() < KeyRing::MOST_KEYS;
            due.introduce = has_room && (wrong || introduced.saturating_add(every) <= now);
        }
        due
    }
}

impl Inner {
    /// Does what is due at this moment. The changes take effect when the replica follows
    /// the log to them; of several replicas that try at once, one wins.
    ///
    /// Only the one who follows the store calls this: it may wait for the store.
    pub(super) fn maintain(self: &Arc<Self>) -> Result<(), StoreError> {
        let source = self.replica.source();
        let moment = source.time.moment();
        if !self.replica.is_fresh(moment) && !bug::is_in(Bug::StaleMaintains) {
            return Err(StoreError::stale());
        }
        self.change_keys(moment.now)?;
        self.tidy(moment.now)
    }

    fn change_keys(self: &Arc<Self>, now: UnixSeconds) -> Result<(), StoreError> {
        let ring = self.replica.ring_to_keep();
        let due = Due::at(now, &ring, &self.policy);
        if due == Due::default() || *self.changing_keys.lock() {
            return Ok(());
        }
        let mut changes: Vec<_> = due.retire.into_iter().map(Change::Retire).collect();
        if due.introduce {
            let key = self.replica.source().new_key(self.policy.announce_for)?;
            changes.push(Change::Introduce(key));
        }
        let newest_key = ring.keys().last().map(|key| key.id());
        let changes = Changes {
            ring,
            newest_key,
            changes,
            sessions: Vec::new(),
        };
        *self.changing_keys.lock() = true;
        // Without the replica: whoever drops the authority now may open its store again.
        let (changing_keys, observer) = (
            Arc::clone(&self.changing_keys),
            self.replica.observer_to_keep(),
        );
        let finish = move |changed: Result<_, StoreError>| {
            *changing_keys.lock() = false;
            // Refused because another replica was first: the next turn finds its key.
            if let Err(error) = changed
                && error.refusal().is_none()
            {
                observer.failed(&error);
            }
        };
        if let Err(error) = self.replica.commit(changes, finish) {
            *self.changing_keys.lock() = false;
            return Err(error.into());
        }
        Ok(())
    }

    fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let ring = self.replica.ring();
        let floor = ring.lowest_position();
        let mut tidied = self.tidied.lock();
        if tidied.floor == floor && now.abs_diff(tidied.at) < TIDY_EVERY {
            return Ok(());
        }
        let source = self.replica.source();
        let (applied, time) = (self.replica.applied(), source.time.moment().store_time());
        // Whether it works or not: what may be forgotten may stay for a while.
        *tidied = Tidied { at: now, floor };
        source.store.tidy(Tidy {
            known: applied,
            epochs_up_to: floor,
            // The event at the applied position is what the next request refers to.
            events_up_to: applied.position.saturating_sub(1),
            events_before: match source.store.reach() {
                // Nobody else reads the log, and this replica has applied it.
                Reach::Memory | Reach::Embedded => time,
                Reach::Shared => time.saturating_sub(self.keep_log_for(&ring)),
            },
            sessions_before: time.saturating_sub(KEPT_LONGER),
            receipts_before: time.saturating_sub(KEPT_LONGER),
            now: time,
        })?;
        Ok(())
    }

    /// The log proves a loss to replicas that slept, as long as somebody may hold tokens
    /// that were alive when they fell asleep.
    fn keep_log_for(&self, ring: &KeyRing) -> Duration {
        let lifetimes = ring.keys().iter().map(|key| key.longest_lifetime());
        let longest = lifetimes.fold(self.policy.max_token_lifetime, u64::max);
        Duration::from_secs(self.policy.retire_after(longest)) + KEPT_LONGER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Policy, crypto::SystemRandom, epoch_table::EpochTable, history_secrets::NewHistorySecrets,
        key_ring::tests::ring_key, ring_key::RingKey, store::HistoryId,
    };

    fn ring(keys: Vec<RingKey>) -> (KeyRing, Vec<KeyId>) {
        let history = HistoryId::draw(&SystemRandom).unwrap();
        let secrets = NewHistorySecrets::draw(&SystemRandom).unwrap().into();
        let ids = keys.iter().map(RingKey::id).collect();
        let ring = KeyRing::new(history, secrets, keys, EpochTable::new(0, 0));
        (ring.unwrap(), ids)
    }

    /// A lifetime of 900 s, staleness 10 s, skew 2 s: a key goes 918 s after it stopped.
    fn policy(rotate_every: u64) -> CheckedPolicy {
        let every = Duration::from_secs(rotate_every);
        Policy::default().rotate_every(every).check().unwrap()
    }

    #[test]
    fn a_key_is_introduced_when_the_newest_is_old_enough() {
        let (ring, _) = ring(vec![ring_key(1, 1000, 0)]);
        for (now, introduce) in [(1000, false), (4599, false), (4600, true), (9999, true)] {
            assert_eq!(
                Due::at(now, &ring, &policy(3600)).introduce,
                introduce,
                "{now}"
            );
        }
        let by_hand = Policy::default().rotate_by_hand().check().unwrap();
        assert!(!Due::at(9999, &ring, &by_hand).introduce);
    }

    #[test]
    fn a_key_retires_when_its_last_token_is_long_dead() {
        let (ring, ids) = ring(vec![ring_key(1, 0, 0), ring_key(5, 5000, 14)]);
        let retire = |now| Due::at(now, &ring, &policy(100_000)).retire;
        assert_eq!(retire(5014 + 917), []);
        assert_eq!(retire(5014 + 918), [ids[0]]);
        assert_eq!(retire(1_000_000), [ids[0]], "the last key stays");
    }

    #[test]
    fn keys_retire_oldest_first() {
        let keys = vec![
            ring_key(1, 0, 0),
            ring_key(5, 5000, 14),
            ring_key(9, 5010, 14),
        ];
        let (ring, ids) = ring(keys);
        let retire = |now| Due::at(now, &ring, &policy(100_000)).retire;
        assert_eq!(retire(5014 + 918), ids[..1]);
        assert_eq!(retire(5024 + 917), ids[..1]);
        assert_eq!(retire(5024 + 918), ids[..2]);
    }

    /// A wrong clock announced a key for next month: it does not hold up the schedule.
    #[test]
    fn a_key_dated_in_the_future_is_followed_by_another() {
        let (ring, _) = ring(vec![ring_key(1, 1000, 0), ring_key(2, 9_000_000, 14)]);
        assert!(Due::at(1010, &ring, &policy(3600)).introduce);
        assert!(!Due::at(8_999_998, &ring, &policy(3600)).introduce);
    }
}
