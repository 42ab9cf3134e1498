//! The totally ordered sequence of events that the store keeps.

use std::fmt;

use crate::{epoch_table::Tag, ring_key::NewRingKey, seal::CONTRIBUTION_LENGTH};

/// Something that happened, at the position in the log that the store gave it.
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) position: u64,
    pub(crate) change: Change,
}

/// What an event changes.
#[derive(Clone)]
pub enum Change {
    /// A scope starts a new epoch.
    Bump {
        tag: Tag,
        secret: [u8; CONTRIBUTION_LENGTH],
    },
    /// The key ring is replaced by one with this key alone.
    Swap(NewRingKey),
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Bump { tag, .. } => {
                let mut debug = f.debug_struct("Bump");
                debug.field("tag", tag).finish_non_exhaustive()
            }
            Change::Swap(key) => f.debug_tuple("Swap").field(key).finish(),
        }
    }
}
