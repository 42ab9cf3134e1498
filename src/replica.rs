//! The state of this process: the key ring and the epoch table, fed from the epoch log.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use crate::{
    StoreError,
    epoch::TableEpoch,
    epoch_log::{Change, Event},
    epoch_table::EpochTable,
    history::HistoryId,
    hook::{self, Place},
    key_ring::KeyRing,
    store::sealed::Backend,
};

/// Holds what `verify` reads, and applies the log's events to it: strictly in
/// order, without gaps, one writer at a time.
pub(crate) struct Replica {
    history: HistoryId,
    ring: ArcSwap<KeyRing>,
    table: EpochTable,
    applied: AtomicU64,
    stale: AtomicBool,
    applying: Mutex<()>,
}

impl Replica {
    pub(crate) fn new(history: HistoryId, ring: KeyRing) -> Self {
        Self {
            history,
            ring: ArcSwap::from_pointee(ring),
            table: EpochTable::new(),
            applied: AtomicU64::new(0),
            stale: AtomicBool::new(false),
            applying: Mutex::new(()),
        }
    }

    pub(crate) fn history(&self) -> HistoryId {
        self.history
    }

    /// The ring of this moment. Read it before the table: a swap in between
    /// raises the table's floor above its keys.
    pub(crate) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.ring.load()
    }

    pub(crate) fn table(&self) -> &EpochTable {
        &self.table
    }

    /// The position of the last event that ring and table show.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Whether the log could not be followed, so that a bump may be missing here.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// Applies every event of the store's log that is not applied yet, in its turn,
    /// among them the one at `position`, which the store has acknowledged.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, its log cannot be followed, or it does not show
    /// what it acknowledged. The replica is stale from then on, rather than skip an
    /// event.
    pub(crate) fn catch_up(&self, store: &dyn Backend, position: u64) -> Result<(), StoreError> {
        let _one_writer = self.applying.lock();
        let result = self.apply_all(store).and_then(|()| match self.applied() {
            applied if applied < position => Err(StoreError::lost(applied, position)),
            _ => Ok(()),
        });
        if result.is_err() {
            self.stale.store(true, Ordering::Release);
        }
        result
    }

    fn apply_all(&self, store: &dyn Backend) -> Result<(), StoreError> {
        loop {
            let events = store.events_after(self.applied())?;
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                self.apply(event)?;
            }
        }
    }

    fn apply(&self, event: Event) -> Result<(), StoreError> {
        let position = event.position;
        if position.checked_sub(1) != Some(self.applied()) {
            return Err(StoreError::gap(self.applied(), position));
        }
        let swapped = match event.change {
            Change::Bump { tag, secret } => {
                self.table.bump(tag, TableEpoch { position, secret });
                false
            }
            Change::Swap(key) => {
                let swapped = self.ring().swapped(&key, position);
                self.ring.store(Arc::new(swapped));
                true
            }
        };
        hook::reached(Place::EventShown);
        // Only now: whoever reads this position finds the event in ring and table.
        self.applied.store(position, Ordering::Release);
        if swapped {
            self.prune();
        }
        Ok(())
    }

    /// Forgets the epochs that concern no token of the published ring.
    ///
    /// Takes a while when the table is large. The applied position is not below the
    /// new floor by then, so marks taken meanwhile are good.
    fn prune(&self) {
        if let Some(floor) = self.ring().lowest_position() {
            self.table.prune(floor);
        }
        hook::reached(Place::Pruned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::SystemRandom,
        epoch_table::{BelowFloor, Tag},
        ring_key::NewRingKey,
        store::sealed::Completion,
    };

    /// Answers with the events it was given, whatever was asked.
    struct Script(Mutex<Vec<Event>>);

    impl Backend for Script {
        fn history(&self, _: HistoryId) -> HistoryId {
            unreachable!("not asked here")
        }

        fn commit(&self, _: Vec<Change>, _: Completion) {
            unreachable!("not asked here")
        }

        fn events_after(&self, _: u64) -> Result<Vec<Event>, StoreError> {
            Ok(std::mem::take(&mut self.0.lock()))
        }
    }

    fn replica() -> Replica {
        let history = HistoryId::draw(&SystemRandom).unwrap();
        Replica::new(history, KeyRing::without_keys(&SystemRandom).unwrap())
    }

    fn swap(position: u64) -> Event {
        let change = Change::Swap(NewRingKey::draw(&SystemRandom, 900).unwrap());
        Event { position, change }
    }

    fn bump(position: u64, tag: u128) -> Event {
        let (tag, secret) = (Tag(tag), [7; 16]);
        Event {
            position,
            change: Change::Bump { tag, secret },
        }
    }

    fn feed(replica: &Replica, events: Vec<Event>) -> Result<(), StoreError> {
        let last = events.last().map_or(0, |event| event.position);
        replica.catch_up(&Script(Mutex::new(events)), last)
    }

    #[test]
    fn events_are_applied_in_order() {
        let replica = replica();
        feed(&replica, vec![swap(1), bump(2, 5), bump(3, 6)]).unwrap();
        assert_eq!(replica.applied(), 3);
        let epoch = replica.table().bumped_after(Tag(5), 1).unwrap().unwrap();
        assert_eq!((epoch.position, epoch.secret), (2, [7; 16]));
    }

    #[test]
    fn an_acknowledged_event_that_does_not_come_makes_it_stale() {
        let replica = replica();
        feed(&replica, vec![swap(1)]).unwrap();
        let nothing_new = Script(Mutex::default());
        assert!(replica.catch_up(&nothing_new, 1).is_ok());
        assert!(replica.catch_up(&nothing_new, 2).is_err() && replica.is_stale());
    }

    #[test]
    fn a_gap_makes_it_stale_and_changes_nothing() {
        for wrong in [1, 3, 4, 0] {
            let replica = replica();
            feed(&replica, vec![swap(1)]).unwrap();
            assert!(!replica.is_stale());
            let answer = feed(&replica, vec![bump(wrong, 5)]);
            assert!(answer.is_err() && replica.is_stale(), "position {wrong}");
            assert_eq!(replica.applied(), 1);
            assert_eq!(replica.table().bumped_after(Tag(5), 1), Ok(None));
        }
    }

    /// A position is applied when ring and table show its event, never before.
    #[test]
    fn the_applied_position_comes_last() {
        let replica = Arc::new(replica());
        feed(&replica, vec![swap(1)]).unwrap();
        // Pruned after the ring was published, or old keys would find epochs missing.
        for (event, shown) in [(bump(2, 5), (1, Some(1), 1)), (swap(3), (2, Some(3), 1))] {
            let seen = Arc::new(Mutex::new((0, None, 0)));
            let (seen_by_hook, looking) = (Arc::clone(&seen), Arc::clone(&replica));
            hook::at_next(Place::EventShown, move || {
                let ring = looking.ring().lowest_position();
                *seen_by_hook.lock() = (looking.applied(), ring, looking.table().len());
            });
            feed(&replica, vec![event]).unwrap();
            assert_eq!(*seen.lock(), shown);
        }
    }

    #[test]
    fn a_swap_prunes_after_its_ring_is_published() {
        let replica = replica();
        feed(&replica, vec![swap(1), bump(2, 5), swap(3), bump(4, 6)]).unwrap();
        assert_eq!(replica.ring().lowest_position(), Some(3));
        assert_eq!(replica.table().len(), 1);
        assert_eq!(replica.table().bumped_after(Tag(5), 1), Err(BelowFloor));
        assert_eq!(replica.table().bumped_after(Tag(5), 3), Ok(None));
    }
}
