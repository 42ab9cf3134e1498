//! Waiting until something is so.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Machines that run tests can be slow.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Between two looks at something that others change.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Tries until it works.
///
/// # Panics
///
/// If it still does not after a minute.
#[track_caller]
pub(crate) fn until_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "waited for in vain: {what}");
        thread::sleep(PAUSE);
    }
}

/// As [`until_some`], for what is so or not.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}
