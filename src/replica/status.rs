//! What is known of another replica.

use std::time::Duration;

use crate::store::{HistoryId, Receipt, ReplicaId, StoreTime};

/// What is known of a replica that has not confirmed an [`Epoch`](crate::Epoch), from the
/// receipt that the store keeps of what it last said.
///
/// ```
/// # use epochkey::ReplicaStatus;
/// fn warn(replica: &ReplicaStatus) {
///     eprintln!(
///         "replica {} was heard {:?} ago, at position {:?}",
///         replica.id(),
///         replica.silent_for(),
///         replica.position(),
///     );
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaStatus {
    id: ReplicaId,
    position: Option<u64>,
    silent_for: Duration,
    max_staleness: Duration,
}

impl ReplicaStatus {
    /// As of the moment when the store gave this receipt, in this history.
    pub(super) fn of(receipt: &Receipt, asked_at: StoreTime, history: HistoryId) -> Self {
        let heartbeat = &receipt.heartbeat;
        let applied = heartbeat.applied.filter(|place| place.history == history);
        let millis = asked_at
            .as_unix_millis()
            .saturating_sub(receipt.received_at.as_unix_millis());
        Self {
            id: heartbeat.replica,
            position: applied.map(|place| place.position),
            silent_for: Duration::from_millis(millis),
            max_staleness: heartbeat.max_staleness,
        }
    }

    /// Its id: what [`replica_id`](crate::Authority::replica_id) says there.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// The position in the epoch log up to which it said that everything is in force there.
    ///
    /// `None` if that is nothing of the present history: it is starting, or has lost its
    /// place in the log. It need not be below the epoch's: a position that the store lost is
    /// used again.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// How long ago the store last heard of it, by the store's clock. About a second if it is
    /// well and the store has no news.
    pub fn silent_for(&self) -> Duration {
        self.silent_for
    }

    /// How old its news may be before it refuses everything: its policy's
    /// [`max_staleness`](crate::Policy::max_staleness).
    pub fn max_staleness(&self) -> Duration {
        self.max_staleness
    }
}
