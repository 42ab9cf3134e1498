//! The store loses what it had acknowledged: the tail of the commits of session rows, which take
//! no position, so that nobody notices but the client.

use epochkey::RefreshError;

use crate::{
    replicas::Fleet,
    support::{GRACE, SECOND},
};

/// The client comes back with a counter from the future. Nothing else of the user is touched.
#[test]
fn a_refresh_that_was_lost_ends_its_session_alone() {
    for lost in [1, 2, 5] {
        let fleet = Fleet::new();
        let (here, there) = fleet.two();
        let (other, mut pair) = (here.start("u"), here.start("u"));
        let first = pair.clone();
        for _ in 0..lost {
            pair = here.refresh(&pair);
        }
        fleet.server.lose_last(lost);
        fleet.advance(SECOND, &[&here, &there]);
        let error = there.try_refresh(&pair.refresh).unwrap_err();
        let RefreshError::Reused { session, user } = error else {
            panic!("{error}")
        };
        assert_eq!((&session, user.as_str()), (pair.session.id(), "u"));
        for replica in [&here, &there] {
            replica.follow();
            for dead in [&first, &pair] {
                assert_ne!(replica.outcome(dead), "good");
                assert_eq!(replica.refused(dead), "ended");
            }
            assert_eq!(replica.outcome(&other), "good");
            assert_eq!(replica.has_sessions("u"), 1);
        }
        there.refresh(&other);
        assert_eq!(here.outcome(&here.start("u")), "good", "logs in again");
    }
}

/// If only the answer was on its way, and the client has the old one: it is the current one again.
#[test]
fn a_refresh_that_was_lost_with_its_answer_is_made_again() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    here.refresh(&pair);
    fleet.server.lose_last(1);
    fleet.advance(GRACE, &[&here, &there]);
    let next = there.refresh(&pair);
    assert_eq!(there.outcome(&next), "good");
    there.refresh(&next);
}

/// A loss that takes an end with it is one of the log: everybody logs in again.
#[test]
fn an_end_that_was_lost_is_not_undone() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let (pair, other) = (here.start("u"), here.start("v"));
    here.end_all("u");
    fleet.server.lose_last(1);
    for _ in 0..3 {
        for replica in [&here, &there] {
            // The first to notice fails while it begins anew.
            let _ = epochkey::testing::follow(&replica.authority);
        }
    }
    for replica in [&here, &there] {
        replica.follow();
        for pair in [&pair, &other] {
            assert_eq!(replica.outcome(pair), "unknown_key");
            assert_eq!(replica.refused(pair), "bad_tag");
        }
        assert_eq!(replica.has_sessions("u"), 0);
    }
}

/// What is read of a store that has lost a replica's past is believed no more than a commit.
#[test]
fn rows_of_a_store_that_fell_back_are_not_read() {
    let fleet = Fleet::new();
    let here = fleet.replica();
    let pair = here.start("u");
    here.end_all("u");
    fleet.server.lose_last(1);
    // Without an exchange in between: nothing has been noticed yet.
    let refused = here.begin_refresh(&pair.refresh).wait().unwrap_err();
    assert!(matches!(refused, RefreshError::Store(_)), "{refused}");
    let list = here.authority.sessions().list("u").wait();
    assert_eq!(list.unwrap_err().label(), "store");
}
