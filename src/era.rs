//! The times between changes of what a replica judges tokens by.

use std::{num::NonZeroU64, sync::atomic};

use crate::sync::{AtomicU64, Ordering};

/// A time in which neither the ring nor the table of one replica changed. Whatever was read of
/// them in an era holds until it has ended. No two replicas of a process have one in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Era(NonZeroU64);

impl Era {
    fn next() -> Option<Self> {
        static NEXT: atomic::AtomicU64 = atomic::AtomicU64::new(1);
        Self::from_number(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// For who keeps it in an atomic; zero is none.
    pub(crate) fn number(era: Option<Self>) -> u64 {
        era.map_or(0, |era| era.0.get())
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// The eras of one replica.
///
/// What is read *after* [`current`](Self::current) gave an era shows at least everything from
/// before it, for that was there when it began. If it shows anything of a later change, then the
/// era had ended, and whoever has read that, or was told so, can get this era no more: its end is
/// stored before rings and shards are, which are loaded with at least acquire ordering.
pub(crate) struct Eras(AtomicU64);

impl Eras {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(Era::number(Era::next())))
    }

    /// The present era; `None` while a change is being made, and behind one that failed.
    pub(crate) fn current(&self) -> Option<Era> {
        Era::from_number(self.0.load(Ordering::Acquire))
    }

    /// Only the one writer calls this, before ring or table show anything of a change.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Only the one writer calls this, once they show all of it.
    pub(crate) fn begin(&self) {
        self.0.store(Era::number(Era::next()), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_era_ends_and_never_comes_again() {
        let (ours, theirs) = (Eras::new(), Eras::new());
        let first = ours.current();
        assert!(first.is_some() && first == ours.current());
        ours.end();
        assert_eq!(ours.current(), None);
        ours.begin();
        assert!(ours.current().is_some() && ours.current() != first);
        assert_ne!(theirs.current(), first);
        assert_ne!(theirs.current(), ours.current());
        let kept = Era::number(first);
        assert_eq!(Era::from_number(kept), first);
        assert_eq!(Era::from_number(Era::number(None)), None);
    }
}
