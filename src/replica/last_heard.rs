//! When a replica last heard all that the store had to say.

use std::time::Duration;

use super::Freshness;
use crate::{
    bug::{self, Bug},
    clock::{Moment, UnixSeconds},
    sync::{AtomicU64, Ordering},
};

/// No exchange counts: nothing is accepted until the next one that reaches the head.
const NEVER: u64 = u64::MAX;

/// When the exchange was sent that last reached the head of the log.
///
/// Two numbers without a lock: the monotonic one is written first and read last, so a reader
/// who sees a new wall time sees the monotonic time that belongs to it.
pub(crate) struct LastHeard {
    /// `None` for a store that nobody else writes: news does not age there.
    max_staleness: Option<Duration>,
    /// Milliseconds since 1970.
    wall: AtomicU64,
    /// Nanoseconds.
    monotonic: AtomicU64,
}

impl LastHeard {
    pub(crate) fn new(max_staleness: Option<Duration>) -> Self {
        Self {
            max_staleness,
            wall: AtomicU64::new(NEVER),
            monotonic: AtomicU64::new(0),
        }
    }

    /// An exchange that was sent at this moment has reached the head of the log.
    pub(crate) fn reached_head(&self, sent: Moment) {
        self.monotonic.store(nanos(sent), Ordering::Release);
        let wall = sent.store_time().as_unix_millis();
        self.wall.store(wall.min(NEVER - 1), Ordering::Release);
    }

    /// Counts nothing that was heard so far.
    pub(crate) fn forget(&self) {
        self.wall.store(NEVER, Ordering::Release);
    }

    /// Whether nothing counts that was heard so far.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.wall.load(Ordering::Acquire) == NEVER
    }

    /// How old the news is at this moment.
    pub(crate) fn at(&self, moment: Moment) -> Freshness {
        let wall = self.wall.load(Ordering::Acquire);
        match self.max_staleness {
            None => Freshness::of_ageless(wall != NEVER),
            Some(max_staleness) => Freshness::of_aging(self.age(wall, moment), max_staleness),
        }
    }

    /// The larger of what both clocks say; `None` if nothing that was heard counts.
    fn age(&self, wall: u64, moment: Moment) -> Option<Duration> {
        if wall == NEVER {
            return None;
        }
        let Some(elapsed) = nanos(moment).checked_sub(self.monotonic.load(Ordering::Acquire))
        else {
            // The exchange was sent after this moment.
            return Some(Duration::ZERO);
        };
        // A wall clock that went back may have hidden any time, also one in which the
        // machine slept and the monotonic clock stood still.
        let elapsed_wall = match moment.store_time().as_unix_millis().checked_sub(wall) {
            None if bug::is_in(Bug::ClockBackIsFresh) => 0,
            elapsed => elapsed?,
        };
        Some(Duration::from_nanos(elapsed).max(Duration::from_millis(elapsed_wall)))
    }

    /// The time up to which bumps made elsewhere are known here; `None` if nothing is
    /// ever made elsewhere.
    pub(crate) fn news_of(&self) -> Option<UnixSeconds> {
        self.max_staleness?;
        match self.wall.load(Ordering::Acquire) {
            NEVER => Some(0),
            wall => Some(wall / 1000),
        }
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.monotonic.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreTime;

    fn at(wall: u64, monotonic: u64) -> Moment {
        Moment {
            now: wall,
            wall: StoreTime::from_unix_millis(wall * 1000),
            monotonic: Duration::from_secs(monotonic),
        }
    }

    fn shared() -> LastHeard {
        LastHeard::new(Some(Duration::from_secs(10)))
    }

    fn is_fresh(heard: &LastHeard, moment: Moment) -> bool {
        heard.at(moment).is_fresh()
    }

    #[test]
    fn nothing_heard_is_not_fresh() {
        let heard = shared();
        assert!(!is_fresh(&heard, at(1000, 0)));
        heard.reached_head(at(1000, 0));
        assert!(is_fresh(&heard, at(1000, 0)));
        heard.forget();
        assert!(!is_fresh(&heard, at(1000, 0)));
        assert!(!is_fresh(&LastHeard::new(None), at(1000, 0)));
    }

    #[test]
    fn the_larger_of_both_clocks_counts() {
        let heard = shared();
        heard.reached_head(at(1000, 50));
        for (wall, monotonic, fresh) in [
            (1010, 60, true),
            (1011, 60, false),
            (1010, 61, false),
            (1000, 61, false),
            (999, 50, false),
            // Read before the exchange was sent.
            (999, 49, true),
        ] {
            assert_eq!(
                is_fresh(&heard, at(wall, monotonic)),
                fresh,
                "{wall} {monotonic}"
            );
        }
    }

    #[test]
    fn news_of_a_store_that_nobody_else_writes_does_not_age() {
        let heard = LastHeard::new(None);
        heard.reached_head(at(1000, 0));
        assert!(is_fresh(&heard, at(1_000_000, 0)) && is_fresh(&heard, at(1, 0)));
        assert_eq!(heard.news_of(), None);
    }
}
