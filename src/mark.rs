//! A moment in the epoch log.

use std::fmt;

use crate::store::HistoryId;

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
        write!(f, "Mark({} of {})", self.position, self.history)
    }
}
