//! One immutable part of the epoch table, with the floor it was pruned to.

use super::{SHARD_BITS, TableEpoch, Tag};
use crate::bug::{self, Bug};

/// Tags and their epochs in two slices sorted alike: a search touches tags only.
#[derive(Default)]
pub(super) struct Shard {
    floor: u64,
    tags: Box<[Tag]>,
    epochs: Box<[TableEpoch]>,
}

/// Epochs of a shard to be, in any order.
#[derive(Default)]
pub(super) struct ShardBuilder {
    tags: Vec<Tag>,
    epochs: Vec<TableEpoch>,
}

/// How far a search first looks past its guess: two cache lines of tags.
const FIRST_STEP: usize = 8;

impl Shard {
    pub(super) fn empty(floor: u64) -> Self {
        Self {
            floor,
            ..Self::default()
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    pub(super) fn get(&self, tag: Tag) -> Option<TableEpoch> {
        let place = self.find(tag).ok()?;
        self.epochs.get(place).copied()
    }

    /// A copy in which `tag` is in `epoch`.
    pub(super) fn with(&self, tag: Tag, epoch: TableEpoch) -> Self {
        let (before, after) = match self.find(tag) {
            Ok(place) => (place, place + 1),
            Err(place) => (place, place),
        };
        Self {
            floor: self.floor,
            tags: spliced(&self.tags, before, tag, after),
            epochs: spliced(&self.epochs, before, epoch, after),
        }
    }

    /// A copy without the epochs that began before `floor`.
    pub(super) fn pruned(&self, floor: u64) -> Self {
        let kept = || {
            let pairs = self.tags.iter().zip(&self.epochs);
            let forgets = bug::is_in(Bug::ForgottenAtPrune);
            pairs.filter(move |(_, epoch)| epoch.position > floor && !forgets)
        };
        Self {
            floor,
            tags: kept().map(|(tag, _)| *tag).collect(),
            epochs: kept().map(|(_, epoch)| *epoch).collect(),
        }
    }

    /// Where `tag` stands, or where it would.
    ///
    /// Tags are evenly spread, so its place is close to where its value lies in
    /// the range; the search doubles its steps away from that guess. Whatever
    /// the tags are, it takes a logarithmic number of steps.
    fn find(&self, tag: Tag) -> Result<usize, usize> {
        let tags = &*self.tags;
        let guess = interpolate(tag, tags.len());
        let (mut low, mut high, mut step) = (guess, guess, FIRST_STEP);
        if tags.get(guess).is_some_and(|at| *at < tag) {
            while tags.get(high).is_some_and(|at| *at < tag) {
                low = high + 1;
                high = (high + step).min(tags.len());
                step *= 2;
            }
        } else {
            while low > 0 && tags[low - 1] >= tag {
                high = low;
                low = low.saturating_sub(step);
                step *= 2;
            }
        }
        let high = (high + 1).min(tags.len());
        match tags[low..high].binary_search(&tag) {
            Ok(place) => Ok(low + place),
            Err(place) => Err(low + place),
        }
    }
}

impl ShardBuilder {
    pub(super) fn push(&mut self, tag: Tag, epoch: TableEpoch) {
        self.tags.push(tag);
        self.epochs.push(epoch);
    }

    /// Takes all that `other` has, which keeps its room.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.tags.append(&mut other.tags);
        self.epochs.append(&mut other.epochs);
    }

    /// The shard without the epochs at `floor` or below; of several for one tag, the one
    /// with the highest position counts.
    pub(super) fn finish(self, floor: u64) -> Shard {
        let in_order = self.tags.is_sorted_by(|a, b| a < b);
        if in_order && self.epochs.iter().all(|epoch| epoch.position > floor) {
            return Shard {
                floor,
                tags: self.tags.into(),
                epochs: self.epochs.into(),
            };
        }
        let mut epochs: Vec<_> = self.tags.into_iter().zip(self.epochs).collect();
        epochs.retain(|(_, epoch)| epoch.position > floor);
        epochs.sort_unstable_by_key(|(tag, epoch)| (*tag, std::cmp::Reverse(epoch.position)));
        epochs.dedup_by_key(|(tag, _)| *tag);
        Shard {
            floor,
            tags: epochs.iter().map(|(tag, _)| *tag).collect(),
            epochs: epochs.iter().map(|(_, epoch)| *epoch).collect(),
        }
    }
}

/// Where among `count` evenly spread tags of one shard `tag` is to be expected.
fn interpolate(tag: Tag, count: usize) -> usize {
    let fraction = (tag.0 << SHARD_BITS) >> 64;
    ((fraction * count as u128) >> 64) as usize
}

/// `slice` with the elements from `before` up to `after` replaced by `element`.
fn spliced<T: Copy>(slice: &[T], before: usize, element: T, after: usize) -> Box<[T]> {
    let mut new = Vec::with_capacity(before + 1 + slice.len() - after);
    new.extend_from_slice(&slice[..before]);
    new.push(element);
    new.extend_from_slice(&slice[after..]);
    new.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shard(tags: &[Tag]) -> Shard {
        let epoch = TableEpoch {
            position: 1,
            secret: [1; 16],
        };
        Shard {
            floor: 0,
            tags: tags.into(),
            epochs: vec![epoch; tags.len()].into(),
        }
    }

    proptest! {
        /// Evenly spread, all at one end, or in steps: the place is the same as
        /// a plain binary search's.
        #[test]
        fn finds_like_binary_search(
            mut tags in prop_oneof![
                proptest::collection::vec(any::<u128>(), 0..400),
                proptest::collection::vec(0..500_u128, 0..400),
                proptest::collection::vec((0..500_u128).prop_map(|n| u128::MAX - n), 0..400),
            ],
            others: Vec<u128>,
        ) {
            tags.iter_mut().for_each(|tag| *tag >>= SHARD_BITS);
            tags.sort_unstable();
            tags.dedup();
            let tags: Vec<_> = tags.into_iter().map(Tag).collect();
            let shard = shard(&tags);
            for tag in tags.iter().copied().chain(others.into_iter().map(|t| Tag(t >> SHARD_BITS))) {
                for tag in [Tag(tag.0.saturating_sub(1)), tag, Tag(tag.0 + 1)] {
                    prop_assert_eq!(shard.find(tag), tags.binary_search(&tag));
                }
            }
        }
    }
}
