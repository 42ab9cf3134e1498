//! How often a replica looks for news.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long it takes at least from one look to the next: the server has other things to do, and
/// where much is bumped one look finds all of it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Holds up whoever looks for news, unless there is something that somebody here waits for.
#[derive(Default)]
pub(super) struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    last: Option<Instant>,
    hurries: bool,
}

impl Pace {
    /// The next look is not held up.
    pub(super) fn hurry(&self) {
        self.state.lock().hurries = true;
        self.changed.notify_all();
    }

    /// Waits until it is time for the next look.
    pub(super) fn wait(&self) {
        let mut state = self.state.lock();
        if let Some(last) = state.last {
            let until = last + BETWEEN_LOOKS;
            while !state.hurries && !self.changed.wait_until(&mut state, until).timed_out() {}
        }
        state.hurries = false;
        state.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_held_up_unless_there_is_a_hurry() {
        let pace = Pace::default();
        let look = || {
            pace.wait();
            pace.state.lock().last.unwrap()
        };
        let first = look();
        assert!(look() >= first + BETWEEN_LOOKS);
        pace.state.lock().last = Some(Instant::now() + Duration::from_secs(3600));
        pace.hurry();
        pace.wait();
    }
}
