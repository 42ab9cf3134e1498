//! What tokens are judged by, for `verify`, `recheck` and `issue` alike.

use std::sync::Arc;

use arc_swap::Guard;

use super::Inner;
use crate::{
    VerifyError, epoch_table::BelowFloor, key_ring::KeyRing, replica::Now, ring_key::RingKey,
};

/// A ring and the key of it that a token is bound to.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) ring: &'a KeyRing,
    pub(super) key: &'a RingKey,
}

/// What a token is judged by: the time and then the ring, read once.
pub(super) struct Judge {
    pub(super) now: Now,
    pub(super) ring: Guard<Arc<KeyRing>>,
}

impl Inner {
    pub(super) fn judge(&self) -> Judge {
        let now = self.replica.now();
        let ring = self.replica.ring();
        Judge { now, ring }
    }
}

/// Below the floor: the ring was swapped while the token was looked at.
pub(super) fn swapped(_: BelowFloor) -> VerifyError {
    VerifyError::UnknownKey
}

/// A replica that has heard nothing for long cannot know the keys that were introduced
/// meanwhile: it must not have clients throw honest tokens away.
pub(super) fn unknown_key(now: Now) -> VerifyError {
    match now.is_fresh {
        true => VerifyError::UnknownKey,
        false => VerifyError::StaleEpochs,
    }
}
