use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use crate::Clock;

/// A clock that stands still until it is told to move. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use epochkey::{Authority, Grant, MemoryStore, VerifyError, testing::ManualClock};
///
/// let clock = ManualClock::at_unix_seconds(1_700_000_000);
/// let authority = Authority::builder("https://issuer.test", "api")
///     .clock(clock.clone())
///     .open(MemoryStore::new())?;
/// let token = authority.issue(Grant::user("u-42"))?;
/// clock.advance(Duration::from_secs(900));
/// assert_eq!(authority.verify(token).unwrap_err(), VerifyError::Expired);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<Now>>,
}

#[derive(Debug)]
struct Now {
    wall: SystemTime,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock that stands `seconds` after 1970-01-01T00:00:00Z, or at that time
    /// if the system cannot say it.
    pub fn at_unix_seconds(seconds: u64) -> Self {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let now = Now {
            wall: time.unwrap_or(UNIX_EPOCH),
            monotonic: Duration::ZERO,
        };
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Lets time pass.
    ///
    /// Beyond what the system can say, the clock stays where it is.
    pub fn advance(&self, by: Duration) {
        self.set(|wall| wall.checked_add(by));
        let mut now = self.now.lock();
        now.monotonic = now.monotonic.saturating_add(by);
    }

    /// Sets the clock forward, without any time passing: a wrong step of the wall clock.
    ///
    /// Beyond what the system can say, it stays where it is.
    pub fn set_forward(&self, by: Duration) {
        self.set(|wall| wall.checked_add(by));
    }

    /// Sets the clock back.
    ///
    /// An authority does not follow at once: its own time stays up to the policy's
    /// [`max_clock_skew`](crate::Policy::max_clock_skew) ahead of a clock that was set
    /// back. Beyond what the system can say, the clock stays where it is.
    pub fn rewind(&self, by: Duration) {
        self.set(|wall| wall.checked_sub(by));
    }

    fn set(&self, time: impl FnOnce(SystemTime) -> Option<SystemTime>) {
        let mut now = self.now.lock();
        now.wall = time(now.wall).unwrap_or(now.wall);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        self.now.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().monotonic
    }
}
