//! A refresh token is in two hands. Who shows it first, how much later the other does, and what
//! becomes of the session: the table of the guide, a test for each of its cells.

use std::time::Duration;

use epochkey::TokenPair;

use crate::support::{GRACE, SECOND, Service};

/// Inside the window, and outside of it.
const SOON: Duration = Duration::from_secs(9);
const LATE: Duration = GRACE;

/// A session of which thief and owner hold the same pair.
struct Stolen {
    service: Service,
    pair: TokenPair,
}

impl Stolen {
    fn on_each_store(check: impl Fn(Self)) {
        for service in [Service::new(), Service::on_redb()] {
            let before = service.start("u");
            service.start("u");
            let pair = service.refresh(&before).unwrap();
            service.clock.advance(2 * GRACE);
            check(Self { service, pair });
        }
    }

    fn shown(&self) -> TokenPair {
        self.service.refresh(&self.pair).unwrap()
    }

    /// The session has ended, the observer knows, and the user's other session goes on.
    fn assert_caught(&self, held: &[&TokenPair]) {
        let told = self.service.seen.reused.lock().unwrap();
        let of = ("u".to_owned(), self.pair.session.id().clone());
        assert_eq!(*told, [of]);
        drop(told);
        for pair in held.iter().chain(&[&self.pair]) {
            assert_ne!(self.service.outcome(pair), "good");
            assert_eq!(self.service.refused(pair), "ended");
        }
        assert_eq!(self.service.labels("u").len(), 1);
    }

    fn assert_not_caught(&self, replays: usize) {
        assert!(self.service.seen.reused.lock().unwrap().is_empty());
        assert_eq!(self.service.seen.replayed.lock().unwrap().len(), replays);
        assert_eq!(self.service.labels("u").len(), 2);
    }
}

/// Both go on with the same token, until one of them uses it a window before the other.
#[test]
fn thief_first_and_owner_inside_the_window() {
    Stolen::on_each_store(|stolen| {
        let thief = stolen.shown();
        stolen.service.clock.advance(SOON);
        let owner = stolen.shown();
        assert_eq!(thief.refresh.as_str(), owner.refresh.as_str());
        stolen.assert_not_caught(1);

        stolen.service.clock.advance(LATE);
        let thief_again = stolen.service.refresh(&thief).unwrap();
        stolen.service.clock.advance(LATE);
        assert_eq!(stolen.service.refused(&owner), "reused");
        stolen.assert_caught(&[&thief_again, &owner]);
    });
}

/// The owner's token is of the past: the thief's session ends with it.
#[test]
fn thief_first_and_owner_outside_the_window() {
    Stolen::on_each_store(|stolen| {
        let thief = stolen.shown();
        stolen.service.clock.advance(LATE);
        assert_eq!(stolen.service.refused(&stolen.pair), "reused");
        stolen.assert_caught(&[&thief]);
    });
}

/// However often the thief has refreshed, and however short ago.
#[test]
fn thief_many_times_and_owner_inside_the_window() {
    Stolen::on_each_store(|stolen| {
        let thief = stolen.service.refresh(&stolen.shown()).unwrap();
        stolen.service.clock.advance(SECOND);
        assert_eq!(stolen.service.refused(&stolen.pair), "reused");
        stolen.assert_caught(&[&thief]);
    });
}

#[test]
fn owner_first_and_thief_inside_the_window() {
    Stolen::on_each_store(|stolen| {
        let owner = stolen.shown();
        stolen.service.clock.advance(SOON);
        let thief = stolen.shown();
        assert_eq!(thief.refresh.as_str(), owner.refresh.as_str());
        stolen.assert_not_caught(1);

        stolen.service.clock.advance(LATE);
        let owner_again = stolen.service.refresh(&owner).unwrap();
        stolen.service.clock.advance(LATE);
        assert_eq!(stolen.service.refused(&thief), "reused");
        stolen.assert_caught(&[&owner_again, &thief]);
    });
}

/// The thief gets nothing; the owner logs in again, and can be told why.
#[test]
fn owner_first_and_thief_outside_the_window() {
    Stolen::on_each_store(|stolen| {
        let owner = stolen.shown();
        stolen.service.clock.advance(LATE);
        assert_eq!(stolen.service.refused(&stolen.pair), "reused");
        stolen.assert_caught(&[&owner]);
    });
}

#[test]
fn owner_many_times_and_thief_inside_the_window() {
    Stolen::on_each_store(|stolen| {
        let owner = stolen.service.refresh(&stolen.shown()).unwrap();
        stolen.service.clock.advance(SECOND);
        assert_eq!(stolen.service.refused(&stolen.pair), "reused");
        stolen.assert_caught(&[&owner]);
    });
}

/// Not caught: every minute one of them a moment after the other. The observer's count is the
/// sign. It ends with the first minute that one of them misses.
fn in_step_for_an_hour(thief_is_first: bool) {
    Stolen::on_each_store(|stolen| {
        let (mut first, mut second) = (stolen.shown(), stolen.shown());
        for minute in 1..60 {
            stolen.service.clock.advance(60 * SECOND - SOON);
            first = stolen.service.refresh(&first).unwrap();
            stolen.service.clock.advance(SOON);
            second = stolen.service.refresh(&second).unwrap();
            assert_eq!(first.refresh.as_str(), second.refresh.as_str());
            for pair in [&first, &second] {
                assert_eq!(stolen.service.outcome(pair), "good");
            }
            stolen.assert_not_caught(minute + 1);
        }
        stolen.service.clock.advance(60 * SECOND);
        let (missing, there) = match thief_is_first {
            true => (&first, &second),
            false => (&second, &first),
        };
        let next = stolen.service.refresh(there).unwrap();
        stolen.service.clock.advance(LATE);
        assert_eq!(stolen.service.refused(missing), "reused");
        stolen.assert_caught(&[&next, &first, &second]);
    });
}

#[test]
fn thief_first_in_step_for_an_hour() {
    in_step_for_an_hour(true);
}

#[test]
fn owner_first_in_step_for_an_hour() {
    in_step_for_an_hour(false);
}

/// What the owner does about it: the list shows the session, and its end takes both out.
#[test]
fn the_owner_ends_a_session_that_is_stolen_in_step() {
    Stolen::on_each_store(|stolen| {
        let (thief, owner) = (stolen.shown(), stolen.shown());
        let sessions = stolen.service.authority.sessions();
        sessions.end(stolen.pair.session.id()).wait().unwrap();
        for pair in [&thief, &owner] {
            assert_eq!(stolen.service.outcome(pair), "revoked");
            assert_eq!(stolen.service.refused(pair), "ended");
        }
    });
}
