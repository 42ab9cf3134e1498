//! Events become ring and table.

use std::sync::Arc;

use super::{Follower, Replica};
use crate::{
    Epoch, StoreError,
    bug::{self, Bug},
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
        if event.position.checked_sub(1) != Some(applied) && !bug::is_in(Bug::GapApplied) {
            return Err(StoreError::gap(applied, event.position));
        }
        // If it cannot be read, it may be a bump: what that revokes must not pass.
        let cannot_read = |_: &StoreError| self.last_heard.forget();
        let change = Change::of_event(&event).inspect_err(cannot_read)?;
        let kind = Kind::of(&change);
        let ring = self.ring.load_full();
        if let Change::Introduce(key) | Change::Swap(key) = &change
            && follower.gone.contains(&key.id)
        {
            self.begin(Beginning::InsteadOf(follower.applied.history))?;
            return Err(StoreError::lost());
        }
        self.eras.end();
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
        let place = Place {
            position: event.position,
            event: event.id,
            ..follower.applied
        };
        self.set_applied(follower, place);
        self.prune();
        self.eras.begin();
        self.tell(kind, Epoch(place));
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
        self.eras.end();
        self.ring.store(Arc::new(ring));
        self.eras.begin();
    }

    /// Forgets the epochs that concern no token of the published ring.
    ///
    /// Takes a while when the table is large. The applied position is not below the
    /// new floor by then, so marks taken meanwhile are good.
    fn prune(&self) {
        let ring = self.ring.load();
        let mut floor = ring.lowest_position();
        if bug::is_in(Bug::PrunedEarly) {
            floor = ring.keys().last().map_or(floor, RingKey::position);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::{
        Authority, MemoryStore, Scope, crypto::SystemRandom, epoch_table::BelowFloor,
        epoch_table::Tag, store::EventId, testing,
    };

    fn authority() -> Authority {
        let builder = testing::by_hand(Authority::builder("i", "a"));
        builder.open(MemoryStore::new()).unwrap()
    }

    fn event(position: u64, change: Change) -> Event {
        let id = EventId::draw(&SystemRandom).unwrap();
        Event {
            position,
            id,
            time: crate::store::StoreTime::default(),
            body: change.into_event(id).body,
        }
    }

    fn bump(position: u64) -> Event {
        let (tag, secret) = (Tag(5), [7; 16]);
        event(position, Change::Bump { tag, secret })
    }

    #[test]
    fn a_gap_is_an_error_and_changes_nothing() {
        let authority = authority();
        let replica = authority.replica();
        for wrong in [1, 3, 4, 0, u64::MAX] {
            let applied = replica.apply(&mut replica.follower.lock(), bump(wrong));
            assert_eq!(applied.unwrap_err().label(), "gap", "position {wrong}");
            let ring = replica.ring();
            assert_eq!(ring.table().applied(), 1);
            assert_eq!(ring.table().bumped_after(Tag(5), 1), Ok(None));
        }
        replica
            .apply(&mut replica.follower.lock(), bump(2))
            .unwrap();
        assert!(
            replica
                .ring()
                .table()
                .bumped_after(Tag(5), 1)
                .unwrap()
                .is_some()
        );
    }

    /// A position is applied when ring and table show its event, never before; and the
    /// table is pruned after the ring was published, or old keys would find epochs missing.
    #[test]
    fn the_applied_position_comes_last() {
        let authority = authority();
        let look = || {
            let seen = Arc::new(Mutex::new((0, 0, 0)));
            let (there, looking) = (Arc::clone(&seen), authority.clone());
            hook::at_next(HookPlace::EventShown, move || {
                let ring = looking.replica().ring();
                let table = ring.table();
                *there.lock() = (table.applied(), ring.lowest_position(), table.len());
            });
            seen
        };
        let seen = look();
        let bump = authority.bump(Scope::user("u"));
        testing::finish(&authority, bump).unwrap();
        assert_eq!(*seen.lock(), (1, 1, 1));
        let seen = look();
        testing::finish(&authority, authority.swap_key()).unwrap();
        assert_eq!(*seen.lock(), (2, 3, 1));
        let ring = authority.replica().ring();
        assert_eq!((ring.table().applied(), ring.table().len()), (3, 0));
        assert_eq!(ring.table().bumped_after(Tag(5), 2), Err(BelowFloor));
    }

    /// The last of the keys does not retire, nor one that is not the oldest.
    #[test]
    fn a_retirement_that_does_not_fit_is_not_applied() {
        let authority = authority();
        testing::finish(&authority, authority.rotate_key()).unwrap();
        let replica = authority.replica();
        let newest = replica.ring().keys()[1].id();
        let retired = replica.apply(
            &mut replica.follower.lock(),
            event(3, Change::Retire(newest)),
        );
        assert_eq!(retired.unwrap_err().label(), "unreadable");
        assert_eq!(replica.ring().keys().len(), 2);
        assert!(authority.stats().stale, "and it stops there");
    }
}
