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
    now: Arc<Mutex<SystemTime>>,
}

impl ManualClock {
    /// A clock that stands `seconds` after 1970-01-01T00:00:00Z, or at that time
    /// if the system cannot say it.
    pub fn at_unix_seconds(seconds: u64) -> Self {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Self {
            now: Arc::new(Mutex::new(time.unwrap_or(UNIX_EPOCH))),
        }
    }

    /// Moves the clock forward.
    ///
    /// Beyond what the system can say, it stays where it is.
    pub fn advance(&self, by: Duration) {
        self.move_to(|now| now.checked_add(by));
    }

    /// Moves the clock back.
    ///
    /// An authority does not follow at once: its own time stays up to the policy's
    /// [`max_clock_skew`](crate::Policy::max_clock_skew) ahead of a clock that was set
    /// back. Beyond what the system can say, the clock stays where it is.
    pub fn rewind(&self, by: Duration) {
        self.move_to(|now| now.checked_sub(by));
    }

    fn move_to(&self, time: impl FnOnce(SystemTime) -> Option<SystemTime>) {
        let mut now = self.now.lock();
        *now = time(*now).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.now.lock()
    }
}
