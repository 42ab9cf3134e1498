//! What a thread remembers of the tokens it has verified, so that the next look costs less.
//!
//! Nothing here decides anything: what is remembered says since which moment of the epoch table
//! it holds ([`AsOf`](crate::epoch_table::AsOf)), and whoever uses it looks whether it still does. It belongs to one table,
//! and so to one [`Authority`](crate::Authority).

mod bytes;
mod places;
mod seals;
mod tokens;

use std::cell::RefCell;

pub(crate) use self::{
    seals::{SealOf, Seals},
    tokens::{TokenOf, Tokens},
};
use crate::sync::thread_local;

/// What one thread remembers, for all authorities that it uses.
pub(crate) struct ThreadCache {
    pub(crate) seals: Seals,
    pub(crate) tokens: Tokens,
}

impl ThreadCache {
    fn new() -> Self {
        Self {
            seals: Seals::new(),
            tokens: Tokens::new(),
        }
    }
}

thread_local! {
    static MINE: RefCell<Option<Box<ThreadCache>>> = const { RefCell::new(None) };
}

/// Lets `action` use the cache of this thread. `None` on a thread that is on its way out, or that
/// is using it already.
pub(crate) fn with<T>(action: impl FnOnce(&mut ThreadCache) -> T) -> Option<T> {
    in_mine(|mine| {
        let mine = mine.get_or_insert_with(|| Box::new(ThreadCache::new()));
        Some(action(mine))
    })
}

/// The same, but `None` also on a thread that remembers nothing: runtimes have hundreds that
/// never verify a token, or only forged ones.
#[inline]
pub(crate) fn look<T>(action: impl FnOnce(&mut ThreadCache) -> T) -> Option<T> {
    in_mine(|mine| mine.as_deref_mut().map(action))
}

// Else what a token says is moved once more.
#[inline(always)]
fn in_mine<T>(action: impl FnOnce(&mut Option<Box<ThreadCache>>) -> Option<T>) -> Option<T> {
    let used = MINE.try_with(|mine| action(&mut *mine.try_borrow_mut().ok()?));
    used.ok().flatten()
}
