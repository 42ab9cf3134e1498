//! Tokens that were verified.

use super::{
    bytes,
    places::{self, Mark, Places, Seen},
};
use crate::{Verified, epoch_table::TableId, store::KeyId};

/// Longer tokens are verified each time: this bounds the memory.
const LONGEST: usize = 1024;
/// So many of the last characters of a token tell it from others well enough.
const TELLING: usize = 16;

/// A token, and what else it must be the same in.
#[derive(Clone, Copy)]
pub(crate) struct TokenOf<'a> {
    pub(crate) table: TableId,
    pub(crate) key: KeyId,
    /// All of the token behind the header, which is the key's.
    pub(crate) text: &'a [u8],
}

struct KnownToken {
    table: TableId,
    text: Box<[u8]>,
    verified: Verified,
}

pub(crate) struct Tokens {
    seed: u64,
    known: Places<KnownToken>,
    seen: Seen,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            seed: places::seed(),
            known: Places::new(),
            seen: Seen::new(),
        }
    }

    /// What was found in this very token.
    pub(crate) fn find(&mut self, of: TokenOf<'_>) -> Option<&mut Verified> {
        let known = self.known.find(self.mark(of)?, |known| {
            known.table == of.table
                && known.verified.key() == of.key
                && bytes::equal(&known.text, of.text)
        })?;
        Some(&mut known.verified)
    }

    /// A token was verified. The second time, not too long after the first, it is kept: most
    /// that come once come never again.
    pub(crate) fn verified(&mut self, of: TokenOf<'_>, verified: &Verified) {
        let Some(mark) = self.mark(of) else {
            return;
        };
        if self.seen.again(mark) {
            let known = KnownToken {
                table: of.table,
                text: of.text.into(),
                verified: verified.clone(),
            };
            self.known.keep(mark, known);
        }
    }

    fn mark(&self, of: TokenOf<'_>) -> Option<Mark> {
        let (_, last) = of.text.split_last_chunk::<TELLING>()?;
        let seed = places::seed_for(self.seed, of.table, of.key);
        (of.text.len() <= LONGEST).then(|| Mark::of(bytes::mixed(last, seed)))
    }
}
