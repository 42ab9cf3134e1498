//! What a bump starts.

use std::fmt;

use crate::{seal::CONTRIBUTION_LENGTH, store::Place};

/// The place in the epoch log of what a bump, a rotation, a swap or a new history began.
///
/// When the operation that gives one has its result, it is in force in this process. The
/// secret of a bump's epoch never leaves the crate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub(crate) Place);

impl Epoch {
    /// The position in the epoch log: 1, 2, 3 … in the order in which things happened.
    pub fn position(&self) -> u64 {
        self.0.position
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({} of {})", self.0.position, self.0.history)
    }
}

/// An epoch as the epoch table holds it: where its bump stands in the log, and its
/// secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableEpoch {
    pub(crate) position: u64,
    pub(crate) secret: [u8; CONTRIBUTION_LENGTH],
}

impl fmt::Debug for TableEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableEpoch")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_secret() {
        let (position, secret) = (7, [9; CONTRIBUTION_LENGTH]);
        let epoch = TableEpoch { position, secret };
        assert_eq!(format!("{epoch:?}"), "TableEpoch { position: 7, .. }");
    }
}
