//! The clocks, and the time that does not run backwards.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    bug::{self, Bug},
    store::StoreTime,
};

/// Where an [`Authority`](crate::Authority) reads the time.
///
/// The [`SystemClock`] unless the builder is given another; tests use the manual
/// clock of `epochkey::testing`. Read once for every token issued or verified,
/// so it must neither block nor panic.
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;

    /// How long ago some fixed moment was, by a clock that nobody sets: what tells the age of
    /// news from a shared store when the wall clock is moved. The system's unless
    /// implemented.
    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// The operating system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Seconds since 1970-01-01T00:00:00Z without leap seconds: RFC 7519's NumericDate.
pub(crate) type UnixSeconds = u64;

/// The whole seconds of `time`; times before 1970 count as 1970, when every
/// token is still in the future.
pub(crate) fn unix_seconds(time: SystemTime) -> UnixSeconds {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// `seconds` as a `SystemTime`, if this system can say it.
pub(crate) fn system_time(seconds: UnixSeconds) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The same, or 1970 if this system cannot say it.
pub(crate) fn since_epoch(seconds: UnixSeconds) -> SystemTime {
    system_time(seconds).unwrap_or(UNIX_EPOCH)
}

/// One reading of the clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The time that does not run backwards.
    pub(crate) now: UnixSeconds,
    /// What the wall clock said, in the units of stores.
    pub(crate) wall: StoreTime,
    /// What the monotonic clock said, if it is needed.
    pub(crate) monotonic: Duration,
}

impl Moment {
    pub(crate) fn store_time(&self) -> StoreTime {
        self.wall
    }
}

/// Time that does not run backwards, except to correct a step forward that was wrong.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    max_clock_skew: u64,
    reads_monotonic: bool,
    latest: AtomicU64,
}

impl Timekeeper {
    pub(crate) fn new(clock: Arc<dyn Clock>, max_clock_skew: u64, reads_monotonic: bool) -> Self {
        Self {
            clock,
            max_clock_skew,
            reads_monotonic,
            latest: AtomicU64::new(0),
        }
    }

    /// The clocks as a token is judged by them.
    ///
    /// Monotonic first: then a moment that is not before an exchange with the store by
    /// the monotonic clock was read after it by the wall clock too.
    pub(crate) fn moment(&self) -> Moment {
        let monotonic = self.monotonic();
        self.at(monotonic, self.clock.now())
    }

    /// The clocks as an exchange with the store is dated by them: the wall clock first.
    pub(crate) fn sending(&self) -> Moment {
        let wall = self.clock.now();
        self.at(self.monotonic(), wall)
    }

    fn monotonic(&self) -> Duration {
        match self.reads_monotonic {
            true => self.clock.monotonic(),
            false => Duration::ZERO,
        }
    }

    /// The wall clock, but not before an earlier answer nor the newest event. These count
    /// for at most `max_clock_skew` above the wall clock: after one wrong step
    /// forward, fresh tokens would be refused until the clock got there again.
    fn at(&self, monotonic: Duration, wall: SystemTime) -> Moment {
        let wall = StoreTime::from_system_time(wall);
        let seconds = wall.as_unix_millis() / 1000;
        let latest = self.latest.load(Ordering::Relaxed);
        if seconds > latest {
            self.latest.fetch_max(seconds, Ordering::Relaxed);
        }
        Moment {
            now: match bug::is_in(Bug::TimePoisoned) {
                true => seconds.max(latest),
                false => seconds.max(latest.min(seconds.saturating_add(self.max_clock_skew))),
            },
            wall,
            monotonic,
        }
    }

    /// An event was applied that the store dated so.
    pub(crate) fn not_before(&self, event: StoreTime) {
        let seconds = event.as_unix_millis() / 1000;
        self.latest.fetch_max(seconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    fn timekeeper(start: u64) -> (ManualClock, Timekeeper) {
        let clock = ManualClock::at_unix_seconds(start);
        let timekeeper = Timekeeper::new(Arc::new(clock.clone()), 2, false);
        (clock, timekeeper)
    }

    #[test]
    fn small_steps_back_are_not_seen() {
        let (clock, time) = timekeeper(1000);
        assert_eq!(time.moment().now, 1000);
        clock.rewind(Duration::from_secs(2));
        assert_eq!(time.moment().now, 1000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(time.moment().now, 1000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(time.moment().now, 1001);
    }

    #[test]
    fn a_wrong_step_forward_does_not_stay() {
        let (clock, time) = timekeeper(1000);
        clock.advance(Duration::from_secs(1_000_000));
        assert_eq!(time.moment().now, 1_001_000);
        clock.rewind(Duration::from_secs(1_000_000));
        assert_eq!(time.moment().now, 1002);
        clock.advance(Duration::from_secs(10));
        assert_eq!(time.moment().now, 1012);
    }

    #[test]
    fn time_is_not_before_the_newest_event_but_near_the_clock() {
        let (_, time) = timekeeper(1000);
        time.not_before(StoreTime::from_unix_millis(1_001_999));
        assert_eq!(time.moment().now, 1001);
        time.not_before(StoreTime::from_unix_millis(5_000_000));
        assert_eq!(time.moment().now, 1002);
        time.not_before(StoreTime::from_unix_millis(0));
        assert_eq!(time.moment().now, 1002);
    }

    #[test]
    fn extremes() {
        assert_eq!(unix_seconds(UNIX_EPOCH - Duration::from_secs(5)), 0);
        assert_eq!(system_time(u64::MAX), None);
        assert_eq!(system_time(1), Some(UNIX_EPOCH + Duration::from_secs(1)));
    }

    /// A clock of an application's may know the time of day alone.
    #[test]
    fn without_a_monotonic_clock_it_is_the_systems() {
        struct Wall;
        impl Clock for Wall {
            fn now(&self) -> SystemTime {
                UNIX_EPOCH
            }
        }
        let first = Wall.monotonic();
        while Wall.monotonic() == first {
            std::hint::spin_loop();
        }
        assert!(Wall.monotonic() > first);
    }
}
