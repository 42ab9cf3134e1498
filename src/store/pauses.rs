//! Pauses between attempts to connect.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// From the first to the longest, each up to twice as long by chance, so that replicas which lost
/// a server together do not come back together.
const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);

/// The pauses after connections that were not made, or were of no use.
pub(in crate::store) struct Pauses {
    next: ExponentialBackoff,
    not_before: Option<Instant>,
}

impl Default for Pauses {
    fn default() -> Self {
        let lengths = ExponentialBuilder::new()
            .with_min_delay(FIRST)
            .with_max_delay(LONGEST)
            .without_max_times()
            .with_jitter();
        Self {
            next: lengths.build(),
            not_before: None,
        }
    }
}

impl Pauses {
    /// A connection was of no use.
    pub(in crate::store) fn begin(&mut self) {
        let pause = self.next.next().unwrap_or(LONGEST);
        self.not_before = Some(Instant::now() + pause);
    }

    /// A connection was of use.
    pub(in crate::store) fn end(&mut self) {
        if self.not_before.is_some() {
            *self = Self::default();
        }
    }

    /// How long the pause lasts from now on.
    pub(in crate::store) fn left(&self) -> Duration {
        let until = self.not_before.unwrap_or_else(Instant::now);
        until.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_get_longer_until_a_connection_is_of_use() {
        let mut pauses = Pauses::default();
        assert!(pauses.left().is_zero());
        for shortest in [FIRST, 2 * FIRST, 4 * FIRST] {
            let earliest = Instant::now() + shortest;
            pauses.begin();
            assert!(pauses.not_before.unwrap() >= earliest);
        }
        pauses.end();
        assert!(pauses.left().is_zero());
        pauses.begin();
        assert!(pauses.not_before.unwrap() <= Instant::now() + 2 * FIRST);
    }

    #[test]
    fn a_pause_ends_when_it_is_over() {
        let in_an_hour = Instant::now() + Duration::from_secs(3600);
        let mut pauses = Pauses {
            not_before: Some(in_an_hour),
            ..Pauses::default()
        };
        assert!(!pauses.left().is_zero());
        pauses.not_before = Some(Instant::now());
        assert!(pauses.left().is_zero());
    }
}
