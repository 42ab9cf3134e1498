//! The wall clock, and the time that does not run backwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Where an [`Authority`](crate::Authority) reads the time.
///
/// The [`SystemClock`] unless the builder is given another; tests use the manual
/// clock of `epochkey::testing`. Called once for every token issued or verified,
/// so it must neither block nor panic.
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;
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

/// Time that does not run backwards, except to correct a step forward that was wrong.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    max_clock_skew: u64,
    latest: AtomicU64,
}

impl Timekeeper {
    pub(crate) fn new(clock: Arc<dyn Clock>, max_clock_skew: u64) -> Self {
        Self {
            clock,
            max_clock_skew,
            latest: AtomicU64::new(0),
        }
    }

    /// The wall clock, but not before an earlier answer. Earlier answers count
    /// for at most `max_clock_skew` above the wall clock: after one wrong step
    /// forward, fresh tokens would be refused until the clock got there again.
    pub(crate) fn now(&self) -> UnixSeconds {
        let wall = unix_seconds(self.clock.now());
        let latest = self.latest.load(Ordering::Relaxed);
        if wall > latest {
            self.latest.fetch_max(wall, Ordering::Relaxed);
        }
        wall.max(latest.min(wall.saturating_add(self.max_clock_skew)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    fn timekeeper(start: u64) -> (ManualClock, Timekeeper) {
        let clock = ManualClock::at_unix_seconds(start);
        let timekeeper = Timekeeper::new(Arc::new(clock.clone()), 2);
        (clock, timekeeper)
    }

    #[test]
    fn small_steps_back_are_not_seen() {
        let (clock, time) = timekeeper(1000);
        assert_eq!(time.now(), 1000);
        clock.rewind(Duration::from_secs(2));
        assert_eq!(time.now(), 1000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(time.now(), 1000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(time.now(), 1001);
    }

    #[test]
    fn a_wrong_step_forward_does_not_stay() {
        let (clock, time) = timekeeper(1000);
        clock.advance(Duration::from_secs(1_000_000));
        assert_eq!(time.now(), 1_001_000);
        clock.rewind(Duration::from_secs(1_000_000));
        assert_eq!(time.now(), 1002);
        clock.advance(Duration::from_secs(10));
        assert_eq!(time.now(), 1012);
    }

    #[test]
    fn extremes() {
        assert_eq!(unix_seconds(UNIX_EPOCH - Duration::from_secs(5)), 0);
        assert_eq!(system_time(u64::MAX), None);
        assert_eq!(system_time(1), Some(UNIX_EPOCH + Duration::from_secs(1)));
    }
}
