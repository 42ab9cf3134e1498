//! The random id of a store's log.

use crate::crypto::{Random, RandomError, random_array};

/// Names one history of a store's epoch log; positions mean something only within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HistoryId([u8; 16]);

impl HistoryId {
    pub(crate) fn draw(random: &dyn Random) -> Result<Self, RandomError> {
        random_array(random).map(Self)
    }
}

impl std::fmt::Debug for HistoryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
