//! The in-memory map from scope to epoch that `verify` reads.
//!
//! Readers never wait: each shard is an immutable snapshot behind an `ArcSwap`,
//! copied and replaced by a writer. There is one writer at a time, the
//! [replica](crate::replica), which applies the epoch log in order.

mod loading;
mod shard;

use std::{
    hash::Hasher,
    sync::{Arc, atomic},
};

use siphasher::sip128::{Hasher128, SipHasher24};

pub(crate) use self::loading::LoadingTable;
use self::shard::Shard;
use crate::{
    bug::{self, Bug},
    crypto::Secret,
    epoch::TableEpoch,
    era::Era,
    scope::ScopeKind,
    sync::{ArcSwap, AtomicU64, Ordering},
};

/// A bump copies one shard, so many shards make bumps cheap: at 4,096 and a
/// million epochs a copy is 10 KiB. Two, where schedules are explored: a look at
/// one is a step there.
const SHARD_BITS: u32 = if cfg!(epochkey_shuttle) { 1 } else { 12 };

/// What stands for a scope in the table, the log and the store: SipHash-2-4-128
/// of its kind and id under the table key. It has a fixed size and hides the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(pub(crate) u128);

impl Tag {
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// The secret key of [`Tag`]s, so that nobody outside can make two ids collide.
#[derive(Debug, Clone)]
pub(crate) struct TableKey(Secret<16>);

impl TableKey {
    pub(crate) fn new(secret: Secret<16>) -> Self {
        Self(secret)
    }

    pub(crate) fn tag(&self, kind: ScopeKind, id: &str) -> Tag {
        let mut hasher = SipHasher24::new_with_key(self.0.expose());
        hasher.write(&[kind.code()]);
        hasher.write(id.as_bytes());
        Tag(hasher.finish128().into())
    }
}

/// The table has forgotten bumps as old as the position asked about, so the
/// absence of an epoch means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BelowFloor;

/// How far a table was when it was read: at least all events up to the position were in force. In
/// the era, if there was one, nothing has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) table: TableId,
    pub(crate) position: u64,
    pub(crate) era: Option<Era>,
}

/// Tells the tables of a process apart, of one authority and of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TableId(u64);

impl TableId {
    fn next() -> Self {
        static NEXT: atomic::AtomicU64 = atomic::AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// The epochs of all scopes that were bumped since the oldest live ring key.
pub(crate) struct EpochTable {
    id: TableId,
    shards: Box<[ArcSwap<Shard>]>,
    /// The position of the last event that the table, and the newest ring that it is
    /// part of, show.
    applied: AtomicU64,
}

impl EpochTable {
    /// A table without epochs, pruned to `floor`, that shows the log up to `applied`.
    #[cfg(test)]
    pub(crate) fn new(floor: u64, applied: u64) -> Self {
        let empty = Arc::new(Shard::empty(floor));
        let shards = (0..1_usize << SHARD_BITS).map(|_| ArcSwap::new(Arc::clone(&empty)));
        Self::of_shards(shards.collect(), applied)
    }

    fn of_shards(shards: Box<[ArcSwap<Shard>]>, applied: u64) -> Self {
        Self {
            id: TableId::next(),
            shards,
            applied: AtomicU64::new(applied),
        }
    }

    pub(crate) fn id(&self) -> TableId {
        self.id
    }

    /// The position of the last event that is in force.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Says that everything up to `position` is in force. Only the one writer calls
    /// this, once the ring and the table show the event there.
    pub(crate) fn set_applied(&self, position: u64) {
        self.applied.store(position, Ordering::Release);
    }

    /// How far the table is, for who reads it afterwards. `era` was asked for before the ring was
    /// loaded: in it, then, the ring is the present one too.
    pub(crate) fn as_of(&self, era: Option<Era>) -> AsOf {
        let (table, position) = (self.id, self.applied());
        AsOf {
            table,
            position,
            era,
        }
    }

    /// Before the first event, for what is not known to have been right at any: it holds if no
    /// scope has an epoch at all.
    pub(crate) fn beginning(&self) -> AsOf {
        let (table, position, era) = (self.id, 0, None);
        AsOf {
            table,
            position,
            era,
        }
    }

    /// The epoch of a scope, if it began after `position`.
    ///
    /// # Errors
    ///
    /// [`BelowFloor`] if `position` is below the shard's floor.
    pub(crate) fn bumped_after(
        &self,
        tag: Tag,
        position: u64,
    ) -> Result<Option<TableEpoch>, BelowFloor> {
        let shard = self.shard(tag).load();
        if position < shard.floor() && !bug::is_in(Bug::AbsentBelowFloor) {
            return Err(BelowFloor);
        }
        let epoch = shard.get(tag);
        Ok(epoch.filter(|epoch| {
            epoch.position > position
                || bug::is_in(Bug::EpochAtItsPosition) && epoch.position == position
        }))
    }

    /// Begins an epoch. Only the one writer calls this, in the log's order.
    pub(crate) fn bump(&self, tag: Tag, epoch: TableEpoch) {
        let shard = self.shard(tag);
        let bumped = shard.load().with(tag, epoch);
        shard.store(Arc::new(bumped));
    }

    /// Forgets the epochs before `floor`, the lowest position of a live ring key.
    ///
    /// Only the one writer calls this, after it has published the ring that
    /// justifies it: a reader that still holds an older ring finds the new floor
    /// above its key, never an absent epoch.
    pub(crate) fn prune(&self, floor: u64) {
        let empty = Arc::new(Shard::empty(floor));
        for shard in &self.shards {
            let old = shard.load();
            // The floor only rises: a lower one would vouch for epochs that are gone.
            if floor <= old.floor() {
                continue;
            }
            let pruned = old.pruned(floor);
            shard.store(match pruned.len() {
                0 => Arc::clone(&empty),
                _ => Arc::new(pruned),
            });
        }
    }

    /// The position that the whole table was pruned to.
    pub(crate) fn floor(&self) -> u64 {
        // Pruned in order: the last shard is the last to get a new floor.
        self.shards.last().map_or(0, |shard| shard.load().floor())
    }

    /// How many epochs the table holds. Walks all shards.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load().len()).sum()
    }

    fn shard(&self, tag: Tag) -> &ArcSwap<Shard> {
        &self.shards[shard_index(tag)]
    }
}

/// The place of a tag's shard: its first bits, so below the number of shards.
fn shard_index(tag: Tag) -> usize {
    (tag.0 >> (u128::BITS - SHARD_BITS)) as usize
}

impl std::fmt::Debug for EpochTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpochTable")
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn epoch(position: u64) -> TableEpoch {
        TableEpoch {
            position,
            secret: u128::from(position).to_be_bytes(),
        }
    }

    #[test]
    fn tags_tell_kinds_and_ids_apart() {
        let key = TableKey::new(Secret::draw(&SystemRandom).unwrap());
        let kinds = [ScopeKind::User, ScopeKind::Session, ScopeKind::Group];
        let ids = [
            "",
            "a",
            "b",
            "ab",
            "\u{1}a",
            &"x".repeat(255),
            &"x".repeat(254),
        ];
        let mut seen = std::collections::HashSet::new();
        for kind in kinds {
            for id in ids {
                assert!(seen.insert(key.tag(kind, id)), "{kind} {id:?}");
                assert_eq!(key.tag(kind, id), key.tag(kind, id));
            }
        }
        let other = TableKey::new(Secret::draw(&SystemRandom).unwrap());
        assert_ne!(
            key.tag(ScopeKind::User, "a"),
            other.tag(ScopeKind::User, "a")
        );
    }

    /// The reference vector of SipHash-2-4-128 (key 00..0f, message 00..0e).
    #[test]
    fn siphash_reference_vector() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let message: [u8; 15] = std::array::from_fn(|i| i as u8);
        let hash: u128 = SipHasher24::new_with_key(&key).hash(&message).into();
        assert_eq!(
            hash.to_le_bytes(),
            0x5493_e999_33b0_a811_7e08_ec0f_97cf_c3d9_u128.to_be_bytes()
        );
    }

    #[derive(Debug, Clone)]
    enum Operation {
        Bump(Tag),
        Prune,
        Get(Tag, u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        // Tags that share shards, neighbour each other, and stand at the ends.
        let tag = prop_oneof![
            (0..4_u128, 0..24_u128).prop_map(|(shard, low)| Tag((shard << 116) | low)),
            (0..4_u128, any::<u64>())
                .prop_map(|(shard, low)| Tag((shard << 116) | u128::from(low) << 52)),
            Just(Tag(u128::MAX)),
        ];
        prop_oneof![
            8 => tag.clone().prop_map(Operation::Bump),
            1 => Just(Operation::Prune),
            8 => (tag, 0..300_u64).prop_map(|(tag, back)| Operation::Get(tag, back)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The table answers like an ordinary map that forgets nothing, or says
        /// that it cannot know.
        #[test]
        fn agrees_with_a_map(operations in proptest::collection::vec(operation(), 0..300)) {
            let table = EpochTable::new(0, 0);
            let mut model = HashMap::new();
            let (mut position, mut floor) = (0_u64, 0_u64);
            for operation in operations {
                match operation {
                    Operation::Bump(tag) => {
                        position += 1;
                        table.bump(tag, epoch(position));
                        model.insert(tag, epoch(position));
                    }
                    Operation::Prune => {
                        position += 1;
                        floor = position;
                        table.prune(floor);
                        prop_assert_eq!(table.len(), 0);
                    }
                    Operation::Get(tag, back) => {
                        let from = position.saturating_sub(back);
                        let expected = match from < floor {
                            true => Err(BelowFloor),
                            false => Ok(model.get(&tag).copied().filter(|e| e.position > from)),
                        };
                        prop_assert_eq!(table.bumped_after(tag, from), expected);
                    }
                }
            }
            let live = model.values().filter(|e| e.position > floor).count();
            prop_assert_eq!(table.len(), live);
        }

        #[test]
        fn the_floor_only_rises(floors in proptest::collection::vec(0..20_u64, 1..6)) {
            let table = EpochTable::new(0, 0);
            for floor in &floors {
                table.prune(*floor);
            }
            let highest = floors.into_iter().max().unwrap_or(0);
            for position in 0..20 {
                let known = table.bumped_after(Tag(7), position).is_ok();
                prop_assert_eq!(known, position >= highest);
            }
        }

        /// A floor between the bumps keeps exactly those above it.
        #[test]
        fn prune_keeps_what_is_above_the_floor(count in 1..200_u64, floor in 0..200_u64) {
            let table = EpochTable::new(0, 0);
            let key = TableKey::new(Secret::draw(&SystemRandom).unwrap());
            let tag = |n: u64| key.tag(ScopeKind::User, &n.to_string());
            for n in 1..=count {
                table.bump(tag(n), epoch(n));
            }
            table.prune(floor);
            for n in 1..=count {
                let expected = (n > floor).then(|| epoch(n));
                prop_assert_eq!(table.bumped_after(tag(n), floor), Ok(expected));
            }
            if floor > 0 {
                prop_assert_eq!(table.bumped_after(tag(1), floor - 1), Err(BelowFloor));
            }
        }
    }
}
