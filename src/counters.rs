//! Counts of what `verify` and `issue` did, kept so that threads do not slow each other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::VerifyError;

/// Enough that threads which run at the same time seldom share one.
const SLOTS: usize = 32;

/// Counts, spread over slots of which each thread uses one.
pub(crate) struct Counters {
    slots: Box<[Slot; SLOTS]>,
}

/// On cache lines of its own: two, for some processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    verified: AtomicU64,
    issued: AtomicU64,
    refused: [AtomicU64; VerifyError::KINDS],
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            slots: Box::new(std::array::from_fn(|_| Slot::default())),
        }
    }

    pub(crate) fn verified(&self) {
        add_one(&self.slot().verified);
    }

    pub(crate) fn issued(&self) {
        add_one(&self.slot().issued);
    }

    pub(crate) fn refused(&self, error: &VerifyError) {
        add_one(&self.slot().refused[error.kind()]);
    }

    pub(crate) fn total_verified(&self) -> u64 {
        self.total(|slot| &slot.verified)
    }

    pub(crate) fn total_issued(&self) -> u64 {
        self.total(|slot| &slot.issued)
    }

    pub(crate) fn total_refused(&self) -> [u64; VerifyError::KINDS] {
        std::array::from_fn(|kind| self.total(|slot| &slot.refused[kind]))
    }

    fn total(&self, count: impl Fn(&Slot) -> &AtomicU64) -> u64 {
        let counts = self.slots.iter().map(count);
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn slot(&self) -> &Slot {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
        }
        // A thread on its way out counts in the first slot.
        &self.slots[MINE.try_with(|mine| *mine).unwrap_or(0)]
    }
}

fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_threads_add_up() {
        let counters = Counters::new();
        std::thread::scope(|scope| {
            for _ in 0..SLOTS + 3 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        counters.verified();
                        counters.refused(&VerifyError::Expired);
                    }
                    counters.issued();
                });
            }
        });
        let threads = SLOTS as u64 + 3;
        assert_eq!(counters.total_verified(), 10 * threads);
        assert_eq!(counters.total_issued(), threads);
        let refused = counters.total_refused();
        assert_eq!(refused[VerifyError::Expired.kind()], 10 * threads);
        assert_eq!(refused.iter().sum::<u64>(), 10 * threads);
    }

    #[test]
    fn slots_do_not_share_cache_lines() {
        assert_eq!(size_of::<Slot>() % 128, 0);
    }
}
