//! What a bump starts, and what a mark remembers.

use std::fmt;

use crate::history::HistoryId;

/// The epoch that a bump started: a place in the epoch log.
///
/// When [`Authority::bump`](crate::Authority::bump) returns one, it is in force
/// in this process. Its secret never leaves the crate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch {
    pub(crate) history: HistoryId,
    pub(crate) position: u64,
}

impl Epoch {
    /// The position in the epoch log: 1, 2, 3 … in the order in which things happened.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({} of {:?})", self.position, self.history)
    }
}

/// A moment in the epoch log, taken with [`Authority::mark`](crate::Authority::mark)
/// before facts are read that a token will vouch for.
///
/// A grant made [`as_of`](crate::Grant::as_of) a mark is refused if one of its
/// scopes was bumped after it, so a password checked before the bump that a
/// password change makes cannot give a token after it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    pub(crate) history: HistoryId,
    pub(crate) position: u64,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({} of {:?})", self.position, self.history)
    }
}
