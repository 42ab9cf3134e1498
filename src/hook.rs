//! Places where a test steps in, to make an interleaving certain instead of likely.
//!
//! In builds without `cfg(test)` they are nothing.

/// A place in the code that a test can act at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The era was read; the ring was not yet.
    EraRead,
    /// A token's ring key was found; the epoch table was not read yet.
    KeyFound,
    /// It was asked how far the table is; it was not read yet.
    PositionRead,
    /// An issued token's seal was made; its mark was not checked yet.
    Sealed,
    /// A token's seal was found to be another one; how old the news is was not asked.
    SealDiffers,
    /// Ring or table show an event; the applied position does not yet.
    EventShown,
    /// The table was pruned; the swap has not returned yet.
    Pruned,
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn reached(_: Place) {}

#[cfg(test)]
pub(crate) use self::in_tests::{at_next, not_reached, reached};

#[cfg(test)]
mod in_tests {
    use super::Place;
    use std::cell::Cell;

    type Action = (Place, Box<dyn FnOnce()>);

    thread_local! {
        static ACTION: Cell<Option<Action>> = const { Cell::new(None) };
    }

    /// Runs `action` when this thread next reaches `place`.
    pub(crate) fn at_next(place: Place, action: impl FnOnce() + 'static) {
        ACTION.set(Some((place, Box::new(action))));
    }

    /// Runs now what waits for a place that was not reached.
    pub(crate) fn not_reached() {
        if let Some((_, action)) = ACTION.take() {
            action();
        }
    }

    pub(crate) fn reached(here: Place) {
        match ACTION.take() {
            Some((place, action)) if place == here => action(),
            other => ACTION.set(other),
        }
    }
}
