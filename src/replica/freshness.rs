//! How old a replica's news is.

use std::time::Duration;

/// How old an [`Authority`](crate::Authority)'s news of its store was at one moment: for health
/// checks and dashboards. [`Authority::freshness`](crate::Authority::freshness) gives it.
///
/// | store | [`is_fresh`](Self::is_fresh) | [`age`](Self::age) | [`max_staleness`](Self::max_staleness) |
/// |---|---|---|---|
/// | shared, news young enough | `true` | `Some`, at most `max_staleness` | `Some` |
/// | shared, news too old | `false` | `Some`, more than `max_staleness` | `Some` |
/// | shared, nothing that was heard counts | `false` | `None` | `Some` |
/// | of this process alone | `true` | `None`: it does not age | `None` |
/// | of this process alone, and it failed | `false` | `None` | `None` |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    is_fresh: bool,
    age: Option<Duration>,
    max_staleness: Option<Duration>,
}

impl Freshness {
    /// Of a store that others write too.
    pub(super) fn of_aging(age: Option<Duration>, max_staleness: Duration) -> Self {
        Self {
            is_fresh: age.is_some_and(|age| age <= max_staleness),
            age,
            max_staleness: Some(max_staleness),
        }
    }

    /// Of a store that nobody else writes.
    pub(super) fn of_ageless(is_fresh: bool) -> Self {
        Self {
            is_fresh,
            age: None,
            max_staleness: None,
        }
    }

    /// Whether the news is young enough to tell what was revoked. If not, everything is
    /// refused as [`StaleEpochs`](crate::VerifyError::StaleEpochs), and nothing is issued.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// How long ago the exchange with the store was sent that last brought everything new: the
    /// larger of what the wall clock and the monotonic clock say.
    ///
    /// `None` from a [shared](crate::store::Reach::Shared) store if nothing counts that was
    /// heard of it: it has lost something, its time is not that of this machine, an event
    /// cannot be read, or the wall clock went back. Always `None` from a store that no other
    /// process writes, whose news does not age.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// The policy's [`max_staleness`](crate::Policy::max_staleness); `None` for a store that no
    /// other process writes, whose news does not age.
    pub fn max_staleness(&self) -> Option<Duration> {
        self.max_staleness
    }
}
