//! The seals of scopes.

use super::{
    bytes,
    places::{self, Mark, Places, Seen},
};
use crate::{
    epoch_table::{AsOf, TableId},
    seal::Seal,
    store::KeyId,
};

/// Longer lists of scopes are not remembered: this bounds the memory.
const LONGEST: usize = 256;

/// What a seal is made of that does not change with the epochs.
#[derive(Clone, Copy)]
pub(crate) struct SealOf<'a> {
    pub(crate) table: TableId,
    pub(crate) key: KeyId,
    /// All scopes of a token, as its payload lists them.
    pub(crate) scopes: &'a [u8],
}

/// A seal that was computed, and as of when it was the one of its scopes.
pub(crate) struct KnownSeal {
    key: KeyId,
    scopes: Vec<u8>,
    pub(crate) seal: Seal,
    pub(crate) as_of: AsOf,
}

pub(crate) struct Seals {
    seed: u64,
    known: Places<KnownSeal>,
    seen: Seen,
}

impl Seals {
    pub(super) fn new() -> Self {
        Self {
            seed: places::seed(),
            known: Places::new(),
            seen: Seen::new(),
        }
    }

    pub(crate) fn find(&mut self, of: SealOf<'_>) -> Option<&mut KnownSeal> {
        self.known.find(self.mark(of), |known| {
            known.as_of.table == of.table && known.key == of.key && known.scopes == of.scopes
        })
    }

    /// A seal was computed. The second time, not too long after the first, it is kept.
    pub(crate) fn computed(&mut self, of: SealOf<'_>, seal: Seal, as_of: AsOf) {
        let mark = self.mark(of);
        if of.scopes.len() <= LONGEST && self.seen.again(mark) {
            let (key, scopes) = (of.key, of.scopes.to_vec());
            let known = KnownSeal {
                key,
                scopes,
                seal,
                as_of,
            };
            self.known.keep(mark, known);
        }
    }

    fn mark(&self, of: SealOf<'_>) -> Mark {
        Mark::of(bytes::mixed(
            of.scopes,
            places::seed_for(self.seed, of.table, of.key),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{crypto::SystemRandom, epoch_table::EpochTable};

    fn seal_of<'a>(table: &EpochTable, key: KeyId, scopes: &'a [u8]) -> SealOf<'a> {
        let table = table.id();
        SealOf { table, key, scopes }
    }

    /// Two lists of scopes with the same mark are still two.
    #[test]
    fn a_seal_is_that_of_its_own_scopes() {
        let (table, key) = (EpochTable::new(0, 7), KeyId::draw(&SystemRandom).unwrap());
        let mut seals = Seals::new();
        let of = |scopes| seal_of(&table, key, scopes);
        let mut marks = HashMap::new();
        let (one, other) = (0..)
            .find_map(|number: u32| {
                let scopes = number.to_string();
                let mark = seals.mark(seal_of(&table, key, scopes.as_bytes()));
                let met = marks.insert((mark.set, mark.bits), scopes.clone());
                met.map(|other| (scopes, other))
            })
            .unwrap();
        let (one, other) = (of(one.as_bytes()), of(other.as_bytes()));
        let as_of = table.as_of(None);
        for _ in 0..2 {
            seals.computed(one, Seal::from_bytes([1; 16]), as_of);
        }
        assert_eq!(seals.find(one).unwrap().seal, Seal::from_bytes([1; 16]));
        assert!(seals.find(other).is_none(), "another user's seal");
    }

    /// Nothing is remembered for another table or another key, or of a list that is too long.
    #[test]
    fn a_seal_is_that_of_its_own_table_and_key() {
        let tables = [EpochTable::new(0, 7), EpochTable::new(0, 7)];
        let keys = [(); 2].map(|()| KeyId::draw(&SystemRandom).unwrap());
        let mut seals = Seals::new();
        let ours = seal_of(&tables[0], keys[0], b"u");
        let long = seal_of(&tables[0], keys[0], &[b'u'; LONGEST + 1]);
        for of in [ours, ours, long, long] {
            seals.computed(of, Seal::from_bytes([1; 16]), tables[0].as_of(None));
        }
        assert!(seals.find(ours).is_some() && seals.find(long).is_none());
        assert!(seals.find(seal_of(&tables[1], keys[0], b"u")).is_none());
        assert!(seals.find(seal_of(&tables[0], keys[1], b"u")).is_none());
    }

    /// Whatever their marks are: one that is found under another's is not the one meant.
    #[test]
    fn a_mark_alone_is_not_believed() {
        let tables = [EpochTable::new(0, 7), EpochTable::new(0, 7)];
        let keys = [(); 2].map(|()| KeyId::draw(&SystemRandom).unwrap());
        let ours = seal_of(&tables[0], keys[0], b"u");
        for (theirs, is_ours) in [
            (seal_of(&tables[1], keys[0], b"u"), false),
            (seal_of(&tables[0], keys[1], b"u"), false),
            (seal_of(&tables[0], keys[0], b"v"), false),
            (seal_of(&tables[1], keys[1], b"u"), false),
            (ours, true),
        ] {
            let mut seals = Seals::new();
            let known = KnownSeal {
                key: ours.key,
                scopes: ours.scopes.to_vec(),
                seal: Seal::from_bytes([1; 16]),
                as_of: tables[0].as_of(None),
            };
            seals.known.keep(seals.mark(theirs), known);
            assert_eq!(seals.find(theirs).is_some(), is_ours);
        }
    }
}
