//! Refresh tokens that honest clients use at the same time, and those of users that are gone.
//! `tests/sessions` has the rest.

use std::{sync::Barrier, thread};

use epochkey::{Grant, Op, RefreshError, TokenPair, testing};

use crate::{
    fleet::{Fleet, Replica, secs},
    forger,
};

fn start(replica: &Replica) -> TokenPair {
    let sessions = replica.authority.sessions();
    replica.finish(sessions.start(Grant::user("u"), "a browser"))
}

fn begin_refresh(replica: &Replica, pair: &TokenPair) -> Op<TokenPair, RefreshError> {
    replica.authority.sessions().refresh(&pair.refresh)
}

fn refresh(replica: &Replica, pair: &TokenPair) -> Result<TokenPair, RefreshError> {
    testing::finish(&replica.authority, begin_refresh(replica, pair))
}

/// Two tabs wake up and refresh: with strict rotation the second one is a thief, and its user is
/// logged out. All get the same successor, so that nothing forks.
#[test]
fn case_11_tabs_that_refresh_at_once() {
    let (authority, _) = forger::authority();
    let start = authority.sessions().start(Grant::user("u"), "a browser");
    let (pair, barrier) = (start.wait().unwrap(), Barrier::new(8));
    let refreshed: Vec<_> = thread::scope(|scope| {
        let tab = || {
            barrier.wait();
            authority.sessions().refresh(&pair.refresh).wait().unwrap()
        };
        let tabs: Vec<_> = (0..8).map(|_| scope.spawn(tab)).collect();
        tabs.into_iter().map(|tab| tab.join().unwrap()).collect()
    });
    for tab in &refreshed {
        assert_eq!(tab.refresh.as_str(), refreshed[0].refresh.as_str());
        assert!(authority.verify(&tab.access).is_ok());
    }
    let next = authority.sessions().refresh(&refreshed[0].refresh).wait();
    assert!(authority.verify(&next.unwrap().access).is_ok());
}

/// The same through two processes, which both read the session before either rotates it.
#[test]
fn case_11_tabs_that_refresh_through_two_processes() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let pair = start(&here);
    there.follow().unwrap();
    for replica in [&here, &there] {
        replica.link.hold_commits();
    }
    let refreshes = [&here, &there].map(|replica| begin_refresh(replica, &pair));
    for replica in [&here, &there] {
        replica.link.release();
    }
    let [one, other] = refreshes;
    let (one, other) = (here.finish(one), there.finish(other));
    assert_eq!(one.refresh.as_str(), other.refresh.as_str());
    assert_eq!(there.outcome(&one.access), "good");
    assert_eq!(here.outcome(&other.access), "good");
    refresh(&there, &one).unwrap();
}

/// The answer is lost with the train's entry into the tunnel, and the client can only ask again
/// with what it has.
#[test]
fn case_11_an_answer_that_was_lost() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let pair = start(&here);
    let lost = refresh(&here, &pair).unwrap();
    fleet.clock.advance(secs(9));
    there.follow().unwrap();
    let again = refresh(&there, &pair).unwrap();
    assert_eq!(again.refresh.as_str(), lost.refresh.as_str());
    refresh(&there, &again).unwrap();
}

/// The other side of the tolerance: it counts from the rotation, no replay extends it, and what
/// comes later is theft.
#[test]
fn case_11_the_tolerance_ends() {
    let fleet = Fleet::new();
    let here = fleet.replica();
    let pair = start(&here);
    let next = refresh(&here, &pair).unwrap();
    for _ in 0..3 {
        fleet.clock.advance(secs(3));
        here.follow().unwrap();
        refresh(&here, &pair).unwrap();
    }
    fleet.clock.advance(secs(1));
    assert_eq!(refresh(&here, &pair).unwrap_err().label(), "reused");
    assert_eq!(refresh(&here, &next).unwrap_err().label(), "ended");
    assert_eq!(here.outcome(&next.access), "revoked");
}

/// Of a user who is deleted and created again, no session goes on: neither by its access token,
/// nor by its refresh token, nor by one that is on its way.
#[test]
fn case_09_sessions_of_a_user_deleted_and_created_again() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let pair = start(&here);
    here.link.hold_commits();
    let late = begin_refresh(&here, &pair);
    there.bump("u");
    let created = start(&there);
    here.link.release();
    let refused = testing::finish(&here.authority, late).unwrap_err();
    assert!(
        ["ended", "try_again"].contains(&refused.label()),
        "{refused}"
    );
    for replica in [&here, &there] {
        replica.follow().unwrap();
        assert_ne!(replica.outcome(&pair.access), "good");
        assert_eq!(refresh(replica, &pair).unwrap_err().label(), "ended");
        assert_eq!(replica.outcome(&created.access), "good");
    }
    refresh(&there, &created).unwrap();
}
