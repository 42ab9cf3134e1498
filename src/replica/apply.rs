//! Events become ring and table.

use std::sync::Arc;

use super::{Follower, Replica};
use crate::{
    Epoch, StoreError,
    epoch::TableEpoch,
    epoch_log::Change,
    hook::{self, Place as HookPlace},
    key_ring::KeyRing,
    ring_key::{RingKey, SealedKey},
    store::{Beginning, Event, Place},
};

impl Replica {
    /// Applies the event that follows the last one.
    ///
    /// # Errors
    ///
    /// If another event follows, or this one cannot be read. Nothing is applied then, and
    /// an event is never skipped.
    pub(super) fn apply(&self, follower: &mut Follower, event: Event) -> Result<(), StoreError> {
        let applied = follower.applied.position;
        if event.position.checked_sub(1) != Some(applied) {
            return Err(StoreError::gap(applied, event.position));
        }
        // If it cannot be read, it may be a bump: what that revokes must not pass.
        let cannot_read = |_: &StoreError| self.freshness.forget();
        let change = Change::of_event(&event).inspect_err(cannot_read)?;
        let kind = Kind::of(&change);
        let ring = self.ring.load_full();
        if let Change::Introduce(key) | Change::Swap(key) = &change
            && follower.gone.contains(&key.id)
        {
            self.restart(Beginning::InsteadOf(follower.applied.history))?;
            return Err(StoreError::lost());
        }
        let changed = self.changed(&ring, &event, change);
        let changed = changed.inspect_err(cannot_read)?;
        if let Some(changed) = changed {
            remember_gone(follower, &ring, &changed);
            self.ring.store(Arc::new(changed));
        }
        hook::reached(HookPlace::EventShown);
        // Only now: whoever reads this position finds the event in ring and table.
        ring.table().set_applied(event.position);
        self.source.time.not_before(event.time);
        follower.applied = Place {
            position: event.position,
            event: event.id,
            ..follower.applied
        };
        self.prune();
        self.tell(kind, Epoch(follower.applied));
        self.pending.applied(event.id);
        Ok(())
    }

    /// Makes the event's change to the table, or gives the ring after it.
    fn changed(
        &self,
        ring: &KeyRing,
        event: &Event,
        change: Change,
    ) -> Result<Option<KeyRing>, StoreError> {
        let unreadable = || StoreError::unreadable_event(event.position);
        let introduced = |key: SealedKey| match ring.key(key.id) {
            Some(_) => Err(unreadable()),
            None => key.introduced(event.position, event.time, &self.source.wrapping),
        };
        Ok(match change {
            Change::Bump { tag, secret } => {
                let position = event.position;
                ring.table().bump(tag, TableEpoch { position, secret });
                None
            }
            Change::Introduce(key) => Some(ring.with(introduced(key)?)),
            Change::Swap(key) => Some(ring.swapped(introduced(key)?)),
            Change::Retire(key) => Some(ring.without(key).ok_or_else(unreadable)?),
        })
    }

    /// Puts a ring with a table of its own in the place of the present one.
    pub(super) fn replace(&self, follower: &mut Follower, ring: KeyRing) {
        remember_gone(follower, &self.ring.load(), &ring);
        self.ring.store(Arc::new(ring));
    }

    /// Forgets the epochs that concern no token of the published ring.
    ///
    /// Takes a while when the table is large. The applied position is not below the
    /// new floor by then, so marks taken meanwhile are good.
    fn prune(&self) {
        let ring = self.ring.load();
        let floor = ring.lowest_position();
        if floor > ring.table().floor() {
            ring.table().prune(floor);
            hook::reached(HookPlace::Pruned);
        }
    }

    fn tell(&self, kind: Kind, epoch: Epoch) {
        match kind {
            Kind::Bump => self.observer.bumped(epoch),
            Kind::Rotation => self.observer.rotated(epoch),
            Kind::Swap => self.observer.swapped(epoch),
            Kind::Retirement => {}
        }
    }
}

/// What the observer is told.
#[derive(Clone, Copy)]
enum Kind {
    Bump,
    Rotation,
    Swap,
    Retirement,
}

impl Kind {
    fn of(change: &Change) -> Self {
        match change {
            Change::Bump { .. } => Self::Bump,
            Change::Introduce(_) => Self::Rotation,
            Change::Swap(_) => Self::Swap,
            Change::Retire(_) => Self::Retirement,
        }
    }
}

fn remember_gone(follower: &mut Follower, before: &KeyRing, after: &KeyRing) {
    let ids = before.keys().iter().map(RingKey::id);
    let gone = ids.filter(|id| after.key(*id).is_none());
    follower.gone.extend(gone);
}
