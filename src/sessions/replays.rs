//! How often the same successor was given again.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

use crate::store::{RowVersion, StoreTime};

/// The most replays of one rotation: as many as tabs that refresh at once, and no more.
const MOST_REPLAYS: u32 = 100;
/// Forgotten when there are more than this, as far as their window is over.
const MANY: usize = 1024;

/// Counts the replays of each rotation, in this process.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<HashMap<RowVersion, Replayed>>);

#[derive(Debug)]
struct Replayed {
    count: u32,
    last: StoreTime,
}

impl Replays {
    /// Counts one, and says whether it is not too many.
    pub(super) fn count(&self, version: RowVersion, now: StoreTime, grace: Duration) -> bool {
        let mut replays = self.0.lock();
        if replays.len() > MANY {
            // Twice the window, for the store's clock may be set.
            replays.retain(|_, replayed| now.distance(replayed.last) < 2 * grace);
        }
        let replayed = replays.entry(version).or_insert(Replayed {
            count: 0,
            last: now,
        });
        replayed.count += 1;
        replayed.last = now;
        replayed.count <= MOST_REPLAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rotation_has_its_own_count() {
        let (replays, now) = (Replays::default(), StoreTime::from_unix_millis(1_000));
        let grace = Duration::from_secs(10);
        let version = |n: u128| RowVersion::from_bytes(n.to_be_bytes());
        for _ in 0..MOST_REPLAYS {
            assert!(replays.count(version(0), now, grace));
        }
        assert!(!replays.count(version(0), now, grace));
        assert!(replays.count(version(1), now, grace));
    }

    #[test]
    fn they_are_forgotten_when_their_window_is_over() {
        let replays = Replays::default();
        let grace = Duration::from_secs(10);
        for n in 0..10 * MANY as u128 {
            let now = StoreTime::from_unix_millis(n as u64 * 1000);
            assert!(replays.count(RowVersion::from_bytes(n.to_be_bytes()), now, grace));
        }
        assert!(replays.0.lock().len() <= MANY + 1);
    }

    /// Many at once, and nothing for a while: memory is for those whose window is open.
    #[test]
    fn many_are_forgotten_together_and_not_before_their_time() {
        let (replays, time) = (Replays::default(), StoreTime::from_unix_millis);
        let grace = Duration::from_secs(10);
        let version = |n: u128| RowVersion::from_bytes(n.to_be_bytes());
        for _ in 0..MOST_REPLAYS {
            assert!(replays.count(version(0), time(0), grace));
        }
        for n in 1..MANY as u128 + 10 {
            assert!(replays.count(version(n), time(0), grace));
        }
        assert!(!replays.count(version(0), time(19_999), grace));
        assert!(replays.count(version(1), time(39_999), grace));
        assert_eq!(replays.0.lock().len(), 1);
    }
}
