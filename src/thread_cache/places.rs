//! A fixed number of places for what may be forgotten at any time.

use std::hash::{BuildHasher, RandomState};

use crate::{epoch_table::TableId, store::KeyId};

/// So many ways that few sets overflow before most are full: of 1,024 entries more than 99 in 100
/// are in a set that has a place for each.
const SETS: usize = 128;
const WAYS: usize = 16;

/// Which of the entries may be meant, as far as a few bits can tell. No mark is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) set: usize,
    pub(super) bits: u32,
}

impl Mark {
    /// The first bits choose the set, the last tell the entries of one set apart.
    pub(super) fn of(mixed: u64) -> Self {
        Self {
            set: (mixed >> (u64::BITS - SETS.ilog2())) as usize,
            bits: mixed as u32 | 1,
        }
    }
}

/// At most 2,048 entries, each in one of the 16 places that its mark leaves open.
pub(super) struct Places<T> {
    sets: Box<[Option<Box<Set<T>>>]>,
}

struct Set<T> {
    marks: [u32; WAYS],
    /// A bit for each entry that was kept or found since it was last to be forgotten.
    found: u16,
    /// What is to be forgotten next.
    next: usize,
    entries: [Option<T>; WAYS],
}

impl<T> Places<T> {
    pub(super) fn new() -> Self {
        Self {
            sets: (0..SETS).map(|_| None).collect(),
        }
    }

    /// The entry with this mark that is the one meant.
    pub(super) fn find(&mut self, mark: Mark, is_meant: impl Fn(&T) -> bool) -> Option<&mut T> {
        let set = self.sets.get_mut(mark.set)?.as_deref_mut()?;
        let way = set.way_of(mark.bits)?;
        set.found |= 1 << way;
        let entry = set.entries.get_mut(way)?.as_mut();
        entry.filter(|entry| is_meant(entry))
    }

    /// Keeps an entry if there is a place for it, or one that was not found for long. Of two
    /// with the same mark the last is kept.
    pub(super) fn keep(&mut self, mark: Mark, entry: T) {
        let Some(set) = self.sets.get_mut(mark.set) else {
            return;
        };
        let set = set.get_or_insert_with(|| Box::new(Set::new()));
        if let Some(way) = set.place_for(mark.bits)
            && let (Some(bits), Some(place)) = (set.marks.get_mut(way), set.entries.get_mut(way))
        {
            *bits = mark.bits;
            *place = Some(entry);
            set.found |= 1 << way;
        }
    }
}

impl<T> Set<T> {
    fn new() -> Self {
        Self {
            marks: [0; WAYS],
            found: 0,
            next: 0,
            entries: std::array::from_fn(|_| None),
        }
    }

    fn way_of(&self, bits: u32) -> Option<usize> {
        // All of them, and not up to the first: then several are compared at once.
        let same = self.marks.iter().enumerate();
        let same = same.fold(0_u16, |same, (way, mark)| {
            same | u16::from(*mark == bits) << way
        });
        (same != 0).then_some(same.trailing_zeros() as usize)
    }

    /// Where an entry may go. One that is found again and again stays, once more: if as many
    /// as there are places and one more come in turn, all but one are still found.
    fn place_for(&mut self, bits: u32) -> Option<usize> {
        if let Some(way) = self.way_of(bits).or_else(|| self.way_of(0)) {
            return Some(way);
        }
        let way = self.next;
        self.next = (self.next + 1) % WAYS;
        let is_needed = self.found & 1 << way != 0;
        self.found &= !(1 << way);
        (!is_needed).then_some(way)
    }
}

/// The marks of what was seen once: twice as many as there are places, so that of what would fit
/// into these hardly anything is forgotten before it comes again.
pub(super) struct Seen {
    sets: Box<[([u32; SEEN], usize)]>,
}

const SEEN: usize = 2 * WAYS;

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            sets: vec![([0; SEEN], 0); SETS].into(),
        }
    }

    /// Whether it was seen before, not too long ago.
    pub(super) fn again(&mut self, mark: Mark) -> bool {
        let Some((marks, next)) = self.sets.get_mut(mark.set) else {
            return false;
        };
        let seen = marks
            .iter()
            .fold(false, |seen, bits| seen | (*bits == mark.bits));
        if !seen && let Some(place) = marks.get_mut(*next) {
            *place = mark.bits;
            *next = (*next + 1) % SEEN;
        }
        seen
    }
}

/// So that what two keys or two authorities have in common does not meet in one mark.
pub(super) fn seed_for(seed: u64, table: TableId, key: KeyId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    seed ^ table.number() ^ u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Another number in each thread, so that nobody outside can choose what meets in one place.
pub(super) fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(set: usize, bits: u32) -> Mark {
        Mark { set, bits }
    }

    #[test]
    fn what_is_kept_is_found_and_nothing_else() {
        let mut places = Places::new();
        places.keep(mark(3, 9), "a");
        assert_eq!(places.find(mark(3, 9), |_| true), Some(&mut "a"));
        assert_eq!(places.find(mark(3, 9), |entry| *entry == "b"), None);
        assert_eq!(places.find(mark(4, 9), |_| true), None);
        assert_eq!(places.find(mark(3, 11), |_| true), None);
        places.keep(mark(3, 9), "b");
        assert_eq!(places.find(mark(3, 9), |_| true), Some(&mut "b"));
    }

    /// One more than there are places: each time round, one at most is not found.
    #[test]
    fn few_that_come_in_turn_are_found() {
        let mut places = Places::new();
        let all = 1..=WAYS as u32 + 1;
        for turn in 0..10 {
            let mut missing = 0;
            for bits in all.clone() {
                if places.find(mark(0, bits), |_| true).is_none() {
                    missing += 1;
                    places.keep(mark(0, bits), bits);
                }
            }
            assert!(turn == 0 || missing <= 1, "{missing} in turn {turn}");
        }
    }

    /// What does not come any more goes when others come.
    #[test]
    fn what_is_not_needed_makes_room() {
        let mut places = Places::new();
        let ways = WAYS as u32;
        for bits in (1..=ways).chain(1..=ways) {
            places.keep(mark(0, bits), bits);
            assert!(places.find(mark(0, bits), |_| true).is_some());
        }
        let others = ways + 1..=2 * ways;
        for _ in 0..2 {
            for bits in others.clone() {
                places.keep(mark(0, bits), bits);
            }
        }
        for bits in others {
            assert!(places.find(mark(0, bits), |_| true).is_some(), "{bits}");
        }
    }

    #[test]
    fn seen_is_what_was_seen_not_too_long_ago() {
        let mut seen = Seen::new();
        assert!(!seen.again(mark(1, 3)) && seen.again(mark(1, 3)));
        assert!(!seen.again(mark(2, 3)));
        for bits in 100..100 + SEEN as u32 {
            assert!(!seen.again(mark(1, bits)));
        }
        assert!(!seen.again(mark(1, 3)));
    }
}
