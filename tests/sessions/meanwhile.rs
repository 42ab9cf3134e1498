//! What happens between the read and the commit of an operation on sessions.

use std::time::Duration;

use epochkey::{Grant, Policy, RefreshError, StartError, WhenFull, testing};

use crate::{
    replicas::Fleet,
    support::{GRACE, SECOND, Service},
};

/// It is among the others, whichever of both the store took first.
#[test]
fn a_session_that_begins_while_the_others_end_is_ended_too() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let mine = here.start("u");
    here.link.hold_commits();
    let sessions = here.authority.sessions();
    let ending = sessions.end_others(mine.session.id());
    let new = there.start("u");
    here.link.release();
    here.finish(ending);
    assert_eq!(here.has_sessions("u"), 1);
    // Before that it could be newer than the news.
    fleet.advance(GRACE, &[&here, &there]);
    assert_eq!(there.outcome(&new), "revoked");
    assert_eq!(there.outcome(&mine), "good");
}

/// The store takes no commit: who showed a stolen token is refused all the same, and the next
/// one who does ends the session.
#[test]
fn a_theft_that_ends_nothing_is_found_again() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let stolen = replica.start("u");
    let current = replica.refresh(&stolen);
    fleet.advance(GRACE + SECOND, &[&replica]);
    replica.link.hold_commits();
    let refused = replica.begin_refresh(&stolen.refresh);
    replica.link.drop_held();
    let error = testing::finish(&replica.authority, refused).unwrap_err();
    assert!(matches!(error, RefreshError::Store(_)), "{error}");
    replica.link.release();
    replica.follow();
    assert_eq!(replica.outcome(&current), "good");
    assert_eq!(replica.refused(&stolen), "reused");
    assert_eq!(replica.outcome(&current), "revoked");
}

/// A grant of today is asked for where a response was lost, too, and may be refused.
#[test]
fn a_grant_that_is_refused_at_a_replay_takes_nothing_away() {
    let service = Service::new();
    let first = service.start("u");
    let next = service.refresh(&first).unwrap();
    let sessions = service.authority.sessions();
    let refused = sessions.refresh_with(&first.refresh, |_| Grant::user("u").group(""));
    assert_eq!(refused.wait().unwrap_err().label(), "grant");
    assert_eq!(service.outcome(&next), "good");
    let again = service.refresh(&first).unwrap();
    assert_eq!(again.refresh.as_str(), next.refresh.as_str());
}

#[test]
fn a_label_has_at_most_1024_bytes() {
    let service = Service::new();
    let start = |length: usize| {
        let sessions = service.authority.sessions();
        sessions
            .start(Grant::user("u"), "ü".repeat(length / 2))
            .wait()
    };
    assert_eq!(start(1024).unwrap().session.label().len(), 1024);
    let error = start(1026).unwrap_err();
    assert!(
        matches!(error, StartError::LabelTooLong { length: 1026 }),
        "{error}"
    );
    assert_eq!(service.labels("u").len(), 1);
}

/// Its last commit took longer than a session lives without a refresh.
#[test]
fn a_refresh_that_is_too_late_when_it_is_kept_was_idle_for_too_long() {
    let fleet = Fleet::new();
    let idle = Duration::from_secs(60);
    let replica = fleet.replica_with(Policy::default().session_idle_lifetime(idle));
    let pair = replica.start("u");
    replica.link.hold_commits();
    let late = replica.begin_refresh(&pair.refresh);
    for _ in 0..60 {
        fleet.advance(SECOND, &[&replica]);
    }
    replica.link.release();
    let refused = testing::finish(&replica.authority, late).unwrap_err();
    assert!(
        matches!(refused, RefreshError::Expired { idle: true }),
        "{refused:?}"
    );
}

/// Another replica has a policy of before, by which there may be more.
#[test]
fn all_sessions_that_are_too_many_end() {
    let fleet = Fleet::new();
    let many = fleet.replica_with(Policy::default().max_sessions(6, WhenFull::EndOldest));
    let few = fleet.replica_with(Policy::default().max_sessions(2, WhenFull::EndOldest));
    for _ in 0..6 {
        many.start("u");
    }
    few.follow();
    let new = few.start("u");
    assert_eq!(few.has_sessions("u"), 2);
    assert_eq!(few.outcome(&new), "good");
}
