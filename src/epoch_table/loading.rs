//! A table that is being loaded from a snapshot.

use std::{mem, sync::Arc};

use super::{EpochTable, SHARD_BITS, Shard, Tag, shard::ShardBuilder, shard_index};
use crate::{epoch::TableEpoch, sync::ArcSwap};

/// Collects epochs in any order, until it is known what the table was pruned to.
///
/// In the order of the tags takes the least memory and time: a shard is then complete, and
/// gets as much room as it needs, when the next one begins.
pub(crate) struct LoadingTable {
    shards: Vec<ShardBuilder>,
    /// The last ones, all of one shard.
    run: ShardBuilder,
    run_of: usize,
}

impl LoadingTable {
    pub(crate) fn new() -> Self {
        let shards = (0..1_usize << SHARD_BITS).map(|_| ShardBuilder::default());
        Self {
            shards: shards.collect(),
            run: ShardBuilder::default(),
            run_of: 0,
        }
    }

    pub(crate) fn add(&mut self, tag: Tag, epoch: TableEpoch) {
        let index = shard_index(tag);
        if index != self.run_of {
            self.end_run();
            self.run_of = index;
        }
        self.run.push(tag, epoch);
    }

    fn end_run(&mut self) {
        self.shards[self.run_of].append(&mut self.run);
    }

    /// The table as of `applied`, without the epochs at `floor` or below.
    pub(crate) fn finish(mut self, floor: u64, applied: u64) -> EpochTable {
        self.end_run();
        let empty = Arc::new(Shard::empty(floor));
        let shards = mem::take(&mut self.shards).into_iter().map(|shard| {
            let shard = shard.finish(floor);
            ArcSwap::new(match shard.len() {
                0 => Arc::clone(&empty),
                _ => Arc::new(shard),
            })
        });
        EpochTable::of_shards(shards.collect(), applied)
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

    /// Also where nothing else is out of order, in one run or in several.
    #[test]
    fn a_tag_that_comes_twice_in_a_row_is_there_once() {
        let epoch = |position| TableEpoch {
            position,
            secret: [7; 16],
        };
        for (first, second) in [(5, 6), (6, 5)] {
            for between in [None, Some(Tag(u128::MAX))] {
                let mut loading = LoadingTable::new();
                loading.add(Tag(1), epoch(first));
                if let Some(other) = between {
                    loading.add(other, epoch(1));
                }
                loading.add(Tag(1), epoch(second));
                loading.add(Tag(2), epoch(7));
                let table = loading.finish(0, 7);
                assert_eq!(table.len(), 2 + usize::from(between.is_some()));
                assert_eq!(table.bumped_after(Tag(1), 0), Ok(Some(epoch(6))));
            }
        }
    }
}
