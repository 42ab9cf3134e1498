//! What tokens are judged by, for `verify`, `recheck` and `issue` alike.

use std::sync::Arc;

use super::Inner;
use crate::{
    VerifyError,
    epoch_table::{AsOf, BelowFloor},
    era::Era,
    hook::{self, Place},
    key_ring::KeyRing,
    replica::Now,
    ring_key::RingKey,
    sync::Guard,
};

/// A ring, the key of it that a token is bound to, and the era as it was before the ring was
/// loaded.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) era: Option<Era>,
    pub(super) ring: &'a KeyRing,
    pub(super) key: &'a RingKey,
}

impl Bound<'_> {
    /// For who reads the table afterwards.
    pub(super) fn as_of(&self) -> AsOf {
        let as_of = self.ring.table().as_of(self.era);
        hook::reached(Place::PositionRead);
        as_of
    }
}

/// What a token is judged by: the time, the era and then the ring, read once.
pub(super) struct Judge {
    pub(super) now: Now,
    pub(super) era: Option<Era>,
    pub(super) ring: Guard<Arc<KeyRing>>,
}

impl Inner {
    pub(super) fn judge(&self) -> Judge {
        self.judge_at(self.replica.now())
    }

    /// `now` is not later than this moment.
    pub(super) fn judge_at(&self, now: Now) -> Judge {
        let (era, ring) = self.replica.ring_in_era();
        Judge { now, era, ring }
    }
}

impl Judge {
    pub(super) fn bound<'a>(&'a self, key: &'a RingKey) -> Bound<'a> {
        let Self { era, ring, .. } = self;
        Bound {
            era: *era,
            ring,
            key,
        }
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
