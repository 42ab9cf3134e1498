//! A table that is being loaded from a snapshot.

use std::sync::{Arc, atomic::AtomicU64};

use arc_swap::ArcSwap;

use super::{EpochTable, SHARD_BITS, Shard, Tag, shard_index};
use crate::epoch::TableEpoch;

/// Collects epochs in any order, until it is known what the table was pruned to.
pub(crate) struct LoadingTable {
    shards: Vec<Vec<(Tag, TableEpoch)>>,
}

impl LoadingTable {
    pub(crate) fn new() -> Self {
        Self {
            shards: vec![Vec::new(); 1 << SHARD_BITS],
        }
    }

    pub(crate) fn add(&mut self, tag: Tag, epoch: TableEpoch) {
        self.shards[shard_index(tag)].push((tag, epoch));
    }

    /// The table as of `applied`, without the epochs at `floor` or below.
    pub(crate) fn finish(self, floor: u64, applied: u64) -> EpochTable {
        let empty = Arc::new(Shard::empty(floor));
        let shards = self.shards.into_iter().map(|mut epochs| {
            epochs.retain(|(_, epoch)| epoch.position > floor);
            ArcSwap::new(match epochs.is_empty() {
                true => Arc::clone(&empty),
                false => Arc::new(Shard::collect(floor, epochs)),
            })
        });
        EpochTable {
            shards: shards.collect(),
            applied: AtomicU64::new(applied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch_table::BelowFloor;

    #[test]
    fn the_highest_position_counts_and_the_floor_is_kept() {
        let epoch = |position| TableEpoch {
            position,
            secret: u128::from(position).to_be_bytes(),
        };
        let mut loading = LoadingTable::new();
        let tag = |n: u128| Tag(n << 70 | n);
        for (n, position) in [(1, 9), (1, 12), (1, 11), (2, 5), (3, 6), (4, 20)] {
            loading.add(tag(n), epoch(position));
        }
        let table = loading.finish(5, 20);
        assert_eq!((table.len(), table.applied()), (3, 20));
        assert_eq!(table.bumped_after(tag(1), 5), Ok(Some(epoch(12))));
        assert_eq!(table.bumped_after(tag(2), 5), Ok(None));
        assert_eq!(table.bumped_after(tag(3), 5), Ok(Some(epoch(6))));
        assert_eq!(table.bumped_after(tag(4), 20), Ok(None));
        assert_eq!(table.bumped_after(tag(9), 4), Err(BelowFloor));
    }
}
