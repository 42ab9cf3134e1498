//! What threads share without a lock.
//!
//! `tests/schedules/` builds the crate with the cfg `epochkey_shuttle`, and gets the same with a
//! place before each access at which another thread may go on. No other build has that.
//!
//! A counter that only numbers things stays the standard library's: schedules that are explored
//! at the same time have it in common.

#[cfg(not(epochkey_shuttle))]
pub(crate) use {
    arc_swap::{ArcSwap, Guard},
    std::{
        sync::atomic::{AtomicU64, Ordering},
        thread_local,
    },
};

#[cfg(epochkey_shuttle)]
pub(crate) use {
    self::explored::{ArcSwap, Guard},
    shuttle::{
        sync::atomic::{AtomicU64, Ordering},
        thread_local,
    },
};

#[cfg(epochkey_shuttle)]
mod explored {
    use std::{ops::Deref, sync::Arc};

    use parking_lot::Mutex;
    use shuttle::sync::atomic::{AtomicU64, Ordering};

    /// A load or a store is one step, as that of an atomic is.
    pub(crate) struct ArcSwap<T> {
        /// Only what it does to the schedule counts.
        step: AtomicU64,
        /// Never held where another thread may go on.
        value: Mutex<Arc<T>>,
    }

    pub(crate) struct Guard<T>(T);

    impl<T> ArcSwap<T> {
        pub(crate) fn new(value: Arc<T>) -> Self {
            Self {
                step: AtomicU64::new(0),
                value: Mutex::new(value),
            }
        }

        pub(crate) fn from_pointee(value: T) -> Self {
            Self::new(Arc::new(value))
        }

        pub(crate) fn load(&self) -> Guard<Arc<T>> {
            Guard(self.load_full())
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            self.step.load(Ordering::SeqCst);
            Arc::clone(&self.value.lock())
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            self.step.store(0, Ordering::SeqCst);
            let before = std::mem::replace(&mut *self.value.lock(), value);
            drop(before);
        }
    }

    impl<T> Deref for Guard<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}
