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

/// A seal that was computed, and a moment at which it was the one of its scopes.
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
        Mark::of(bytes::mixed(of.scopes, self.seed))
    }
}
