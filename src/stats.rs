//! What an authority holds.

use crate::replica::Replica;

/// What an [`Authority`](crate::Authority) holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Whether the epoch log could not be followed, so that nothing is accepted or issued.
    pub stale: bool,
}

impl Stats {
    pub(crate) fn of(replica: &Replica) -> Self {
        let ring = replica.ring();
        Self {
            position: replica.applied(),
            floor: ring.lowest_position().unwrap_or(0),
            ring_keys: ring.keys().len(),
            epochs: replica.table().len(),
            stale: replica.is_stale(),
        }
    }
}
