//! What broke simpler designs of sessions, by the numbers that go on from those of
//! `tests/replicas/findings`. Two replicas of a server are followed by hand, so that each thing
//! arrives when it does the harm.
//!
//! | | what broke | so |
//! |---|---|---|
//! | 18 | a refresh commits, its user is bumped, and the token is sealed with the new epoch | a mark before, and no token if anything moved |
//! | 19 | `as_of` finds nothing behind a prune, and lets old facts through | a mark below the floor is refused |
//! | 20 | groups are asked for before their bump, the token is sealed after it | a mark before they are asked for |
//! | 21 | counted versions of rows come again after a rollback | they are random |
//! | 22 | a user's bump lists the rows and ends those: one that starts meanwhile survives | it ends them by the user's tag, in its commit |
//! | 23 | the grace window by the clocks of replicas ends honest sessions | by the store's, inside the commit |
//! | 24 | who is overtaken between a read and a commit is taken for a thief | only the first read judges |
//! | 25 | a limit of replays that ends the session logs honest clients out | it refuses |
//! | 26 | when a key issues is computed before a slow commit | inside the commit |

use std::time::Duration;

use epochkey::{Grant, Policy, RefreshError, Scope, StartError, TokenPair, testing};

use crate::{
    replicas::{Fleet, Replica},
    support::{GRACE, SECOND},
};

/// Makes the next commit of `here` wait until it has followed, by an event from elsewhere.
fn get_behind(there: &Replica) {
    there.bump(Scope::group("unrelated"));
}

fn assert_dead(refreshed: Result<TokenPair, RefreshError>, replicas: [&Replica; 2]) {
    for replica in replicas {
        replica.follow();
    }
    match refreshed {
        Ok(pair) => {
            for replica in replicas {
                assert_ne!(replica.outcome(&pair), "good");
                assert_eq!(replica.refused(&pair), "ended");
            }
        }
        Err(error) => assert!(matches!(error, RefreshError::TryAgain), "{error}"),
    }
}

/// A refresh commits, the user's sessions end, the replica learns of both at once, and seals.
#[test]
fn case_18_a_rotation_is_sealed_too_late() {
    for trims in [false, true] {
        let fleet = Fleet::new();
        let (here, there) = fleet.two();
        let pair = here.start("u");
        get_behind(&there);
        let refresh = here.begin_refresh(&pair.refresh);
        there.end_all("u");
        if trims {
            fleet.server.trim();
        }
        let refreshed = testing::finish(&here.authority, refresh);
        assert_dead(refreshed, [&here, &there]);
        assert_eq!(there.has_sessions("u"), 0);
    }
}

/// The same for a replay, which commits nothing: its row was read before the end.
#[test]
fn case_18_a_replay_is_sealed_too_late() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    here.refresh(&pair);
    here.link.hold_answers();
    let replay = here.begin_refresh(&pair.refresh);
    there.end_all("u");
    here.follow();
    here.link.release();
    let refreshed = testing::finish(&here.authority, replay);
    assert!(refreshed.is_err());
    assert_dead(refreshed, [&here, &there]);
}

/// The same for a log-in with a password that was changed meanwhile.
#[test]
fn case_18_a_start_is_sealed_too_late() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    get_behind(&there);
    let start = here
        .authority
        .sessions()
        .start(Grant::user("u"), "a device");
    there.bump(Scope::user("u"));
    fleet.server.trim();
    let refused = testing::finish(&here.authority, start);
    assert!(matches!(refused, Err(StartError::BumpedMeanwhile)));
    assert_eq!(there.has_sessions("u"), 0);
}

/// A swap prunes the bump that would have refused.
#[test]
fn case_19_a_mark_below_the_floor_is_refused() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    here.refresh(&pair);
    let mark = here.authority.mark();
    here.link.hold_answers();
    let replay = here.begin_refresh(&pair.refresh);
    there.end_all("u");
    there.finish(there.authority.swap_key());
    here.follow();
    here.link.release();
    let refreshed = testing::finish(&here.authority, replay);
    assert!(refreshed.is_err());
    assert_dead(refreshed, [&here, &there]);

    let grant = Grant::user("u").as_of(mark);
    let start = here.authority.sessions().start(grant, "a device");
    let refused = testing::finish(&here.authority, start);
    assert!(matches!(refused, Err(StartError::BumpedMeanwhile)));
    assert_eq!(there.has_sessions("u"), 0);
}

/// The application says that the user is an admin, and is overtaken by who takes that away;
/// this replica may have heard of it by then, or not.
#[test]
fn case_20_groups_are_asked_for_before_their_bump() {
    for hears in [true, false] {
        let fleet = Fleet::new();
        let (here, there) = fleet.two();
        let pair = here.start("u");
        let (bumping, hearing) = (there.authority.clone(), here.authority.clone());
        let sessions = here.authority.sessions();
        let refresh = sessions.refresh_with(&pair.refresh, move |_| {
            let grant = Grant::user("u").group("admin");
            testing::finish(&bumping, bumping.bump(Scope::group("admin"))).unwrap();
            if hears {
                testing::follow(&hearing).unwrap();
            }
            grant
        });
        let refused = testing::finish(&here.authority, refresh).unwrap_err();
        assert!(matches!(refused, RefreshError::TryAgain), "{refused}");
        // Asked again, it knows better; and the client's token is as good as before.
        let refresh = sessions.refresh_with(&pair.refresh, |_| Grant::user("u"));
        let pair = here.finish(refresh);
        assert_eq!(here.outcome(&pair), "good");
    }
}

/// The store falls back, and the row comes to the same counter in another way.
#[test]
fn case_21_versions_do_not_repeat() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let sessions = there.authority.sessions();
    let start = sessions.start(Grant::user("u").group("admin"), "a device");
    let first = there.finish(start);
    let second = here.refresh(&first);
    here.link.hold_commits();
    let late = here.begin_refresh(&second.refresh);
    fleet.server.lose_last(1);
    let refresh = sessions.refresh_with(&first.refresh, |_| Grant::user("u"));
    let other = there.finish(refresh);
    assert_eq!(other.refresh.as_str(), second.refresh.as_str());
    here.link.release();
    let pair = testing::finish(&here.authority, late).unwrap();
    // It has looked again: what was taken away meanwhile does not come back.
    assert_eq!(pair.session.groups().count(), 0);
    let verified = here.authority.verify(&pair.access).unwrap();
    assert_eq!(verified.groups().count(), 0);
}

/// A refresh that is to rotate a row which has ended meanwhile, and was there before a loss.
#[test]
fn case_21_a_late_refresh_does_not_bring_an_ended_row_back() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    let next = here.refresh(&pair);
    here.link.hold_commits();
    let late = here.begin_refresh(&next.refresh);
    fleet.server.lose_last(1);
    there.refresh(&pair);
    there.finish(there.authority.sessions().end(pair.session.id()));
    here.link.release();
    let refused = testing::finish(&here.authority, late).unwrap_err();
    assert!(matches!(refused, RefreshError::Ended), "{refused}");
    assert_eq!(there.has_sessions("u"), 0);
}

/// Whatever is started or refreshed while the bump is on its way.
#[test]
fn case_22_a_thief_who_refreshes_does_not_starve_a_bump() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let mut stolen = here.start("u");
    there.link.hold_commits();
    let bump = there.authority.bump(Scope::user("u"));
    let late = here.start("u");
    for _ in 0..20 {
        stolen = here.refresh(&stolen);
    }
    there.link.release();
    testing::finish(&there.authority, bump).unwrap();
    here.follow();
    for pair in [&late, &stolen] {
        assert_eq!(here.refused(pair), "ended");
        assert_ne!(there.outcome(pair), "good");
    }
    assert_eq!(there.has_sessions("u"), 0);
}

/// The clocks of replicas differ from the store's by as much as they may.
#[test]
fn case_23_the_window_is_of_the_stores_time() {
    for ahead in [true, false] {
        let fleet = Fleet::new();
        let (here, there) = (fleet.replica(), fleet.replica_off_by(2 * SECOND, ahead));
        let pair = here.start("u");
        let next = here.refresh(&pair);
        fleet.advance(GRACE - SECOND, &[&here, &there]);
        let again = there.refresh(&pair);
        assert_eq!(again.refresh.as_str(), next.refresh.as_str());
        fleet.advance(SECOND, &[&here, &there]);
        assert_eq!(there.refused(&pair), "reused");
    }
}

/// A commit takes almost as long as the window.
#[test]
fn case_23_the_window_begins_with_the_commit() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    here.link.hold_commits();
    let slow = here.begin_refresh(&pair.refresh);
    fleet.advance(GRACE - SECOND, &[&here, &there]);
    here.link.release();
    let next = testing::finish(&here.authority, slow).unwrap();
    fleet.advance(GRACE - SECOND, &[&here, &there]);
    let again = there.refresh(&pair);
    assert_eq!(again.refresh.as_str(), next.refresh.as_str());
}

/// Another tab refreshes, and again, between the read and the commit of this one.
#[test]
fn case_24_who_is_overtaken_is_no_thief() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    here.link.hold_commits();
    let overtaken = here.begin_refresh(&pair.refresh);
    let next = there.refresh(&pair);
    let next = there.refresh(&next);
    here.link.release();
    let refused = testing::finish(&here.authority, overtaken).unwrap_err();
    assert!(matches!(refused, RefreshError::TryAgain), "{refused}");
    assert_eq!(there.outcome(&there.refresh(&next)), "good");
}

/// A client on a network that loses every answer but the last.
#[test]
fn case_25_too_many_replays_log_nobody_out() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let pair = here.start("u");
    let next = here.refresh(&pair);
    let outcomes: Vec<_> = (0..300).map(|_| here.try_refresh(&pair.refresh)).collect();
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let mut refused = refused.map(RefreshError::label).peekable();
    assert!(refused.peek().is_some());
    assert!(refused.all(|label| label == "too_many_replays"));
    for replica in [&here, &there] {
        assert_eq!(replica.outcome(&next), "good");
    }
    there.refresh(&next);
}

/// A replica that has not heard of a key yet is given time to, from when the key is there.
#[test]
fn case_26_a_key_is_announced_from_its_commit() {
    let fleet = Fleet::new();
    let policy = Policy::default().rotate_by_hand();
    let (here, there) = (
        fleet.replica_with(policy.clone()),
        fleet.replica_with(policy),
    );
    let pair = here.start("u");
    here.link.hold_commits();
    let rotation = here.authority.rotate_key();
    for _ in 0..20 {
        fleet.advance(Duration::from_secs(4), &[&here, &there]);
    }
    here.link.release();
    testing::finish(&here.authority, rotation).unwrap();
    let next = here.refresh(&pair);
    assert_eq!(there.outcome(&next), "good", "it knows the key");
}

/// The others were ended elsewhere a moment ago: whoever hears that they are ended must find
/// their tokens dead here too.
#[test]
fn others_that_were_ended_elsewhere_are_dead_here_when_it_is_told() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let (mine, other) = (here.start("u"), here.start("u"));
    fleet.advance(10 * SECOND, &[&here, &there]);
    there.bump(Scope::session(other.session.id()));
    let ends = here.authority.sessions().end_others(mine.session.id());
    assert_eq!(format!("{ends:?}"), "Op(running)");
    here.finish(ends);
    assert_eq!(
        (here.outcome(&mine), here.outcome(&other)),
        ("good", "revoked")
    );
}
