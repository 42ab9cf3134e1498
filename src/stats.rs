//! What an authority holds and has done.

use crate::{VerifyError, counters::Counters, replica::Replica};

/// What an [`Authority`](crate::Authority) holds at one moment, and what it has done
/// since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The position of the last event of the epoch log that is in force here.
    pub position: u64,
    /// The lowest position of a live ring key. Epochs before it are pruned.
    pub floor: u64,
    /// How many ring keys are live.
    pub ring_keys: usize,
    /// How many scopes the epoch table holds: those bumped since the floor. It
    /// takes 40 bytes for each.
    pub epochs: usize,
    /// Whether there is no fresh news of the store, so that nothing is accepted or issued.
    pub stale: bool,
    /// How many tokens `verify` found good. Rechecks are not counted.
    pub verified: u64,
    /// How many tokens were issued.
    pub issued: u64,
    /// How many tokens `verify` and `recheck` refused.
    pub refused: Refused,
}

/// How many tokens were refused, by the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused([u64; VerifyError::KINDS]);

impl Refused {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each reason's [label](VerifyError::label) with its count.
    pub fn by_label(&self) -> impl Iterator<Item = (&'static str, u64)> {
        VerifyError::LABELS.into_iter().zip(self.0)
    }
}

impl Stats {
    pub(crate) fn of(replica: &Replica, counters: &Counters) -> Self {
        let ring = replica.ring();
        Self {
            position: ring.table().applied(),
            floor: ring.lowest_position(),
            ring_keys: ring.keys().len(),
            epochs: ring.table().len(),
            stale: !replica.is_fresh(replica.source().time.moment()),
            verified: counters.total_verified(),
            issued: counters.total_issued(),
            refused: Refused(counters.total_refused()),
        }
    }
}
