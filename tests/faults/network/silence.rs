//! One replica that the network has left half alone.

use std::{
    thread,
    time::{Duration, Instant},
};

use epochkey::{Grant, Scope, Token};

use super::{
    Kind,
    fleet::{Fleet, MAX_STALENESS, Replica, TIMEOUT, assert_all_calm, settle, until, until_some},
};
use crate::network::Way;

/// Looks all the time, until the replica is stale, whether it accepts a token that was revoked
/// elsewhere before `since`.
#[track_caller]
fn until_it_refuses(replica: &Replica, token: &Token, since: Instant) {
    let bound = since + MAX_STALENESS;
    until("it refuses everything", || {
        let begun = Instant::now();
        let is_good = lacks_a_bump(replica, token, since);
        assert!(!is_good || begun <= bound, "accepted for too long");
        replica.is_stale()
    });
    assert_eq!(replica.outcome(token), "stale_epochs");
}

/// Whatever it is asked.
#[track_caller]
fn assert_refuses_everything(replica: &Replica, token: &Token) {
    let authority = &replica.authority;
    assert_eq!(replica.outcome(token), "stale_epochs");
    assert!(authority.issue(Grant::user("anybody")).is_err());
    let bumps = [Scope::user("anybody"), Scope::group("anything")];
    assert!(authority.bump_many(bumps).wait().is_err());
    assert!(authority.rotate_key().wait().is_err());
    assert!(authority.catch_up().wait().is_err());
    assert!(replica.begin_start("anybody").wait().is_err());
    let list = authority.sessions().list("anybody");
    assert!(list.wait().is_err());
}

/// One replica is left alone in this way, and the others are not disturbed.
fn disturb<K: Kind>(hold: impl FnOnce(&Replica)) {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [alone, one, two] = &replicas;
    let pair = alone.start("u");
    let bystander = alone.issue("bystander");
    settle(&replicas);
    for replica in &replicas {
        replica.until_good(&pair.access);
    }
    let verified = alone.authority.verify(&pair.access).unwrap();

    hold(alone);
    let epoch = one.bump("u");
    let since = Instant::now();
    let ask = || two.authority.applied_everywhere(epoch);
    let everywhere = ask();
    two.wait_for(epoch);
    thread::scope(|scope| {
        scope.spawn(|| {
            // On a slow machine the one who asks may be stale for a moment.
            let again = |_| until_some("an answer", || ask().wait().ok());
            let unconfirmed = everywhere.wait().unwrap_or_else(again);
            assert_ne!(alone.outcome(&pair.access), "good");
            for silent in unconfirmed {
                assert_eq!(silent.id(), alone.authority.replica_id());
            }
        });
        until_it_refuses(alone, &pair.access, since);
        assert!(alone.authority.recheck(&verified).is_err());
        assert_refuses_everything(alone, &bystander);
        let refreshed = alone.authority.sessions().refresh(&pair.refresh);
        assert!(refreshed.wait().is_err());
    });
    for other in [one, two] {
        assert!(!other.is_stale());
        other.until_good(&bystander);
        other.until_revoked(&pair.access);
    }

    alone.proxy.release();
    until("it recovers", || {
        assert_ne!(alone.outcome(&pair.access), "good");
        !alone.is_stale()
    });
    alone.until_good(&bystander);
    alone.until_revoked(&pair.access);
    assert_eq!(alone.refused(&pair.refresh), "ended");
    settle(&replicas);
    let behind = || two.authority.replicas_behind(epoch).wait();
    until("all have confirmed", || {
        behind().is_ok_and(|behind| behind.is_empty())
    });
    assert_all_calm(&replicas);
}

pub(crate) fn a_replica_cut_off_refuses_what_was_revoked<K: Kind>() {
    disturb::<K>(|replica| replica.proxy.hold_all());
}

pub(crate) fn a_replica_whose_requests_are_held_disturbs_nobody<K: Kind>() {
    disturb::<K>(|replica| replica.proxy.hold(Way::ToServer));
}

/// Its heartbeats arrive, and others see that it lives.
pub(crate) fn a_replica_that_hears_no_answers_is_not_taken_for_alive<K: Kind>() {
    disturb::<K>(|replica| replica.proxy.hold(Way::ToClient));
}

/// News is as old as the question: an answer that comes late makes it no younger.
pub(crate) fn answers_that_take_long_make_news_no_younger<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let other = fleet.replica();
    let slow = fleet.replicas::<6>();
    for replica in &slow {
        // Both ways together well below the time-out.
        replica.proxy.delay(TIMEOUT / 5..TIMEOUT * 3 / 10);
    }
    for round in 0..5 {
        let user = &format!("u-{round}");
        let token = other.issue(user);
        // About when news is asked for again, a little later in each round: some have asked
        // before the bump then, and have the answer after it.
        let age = Duration::from_millis(740 + 60 * round);
        let is_so_old = |now: Option<Duration>| now.is_none_or(|now| now >= age);
        let is_due = || is_so_old(slow[0].authority.freshness().age());
        until("the news is as old", || is_due() || slow[0].is_stale());
        other.bump(user);
        let since = Instant::now();
        until("all refuse the token", || {
            slow.iter()
                .all(|replica| !lacks_a_bump(replica, &token, since))
        });
    }
    assert_all_calm(&slow);
}

/// Nobody says that they are over, and new ones work.
pub(crate) fn connections_that_went_silent_are_left<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let [left, other] = &replicas;
    let (token, pair) = (left.issue("u"), left.start("u"));
    settle(&replicas);
    left.proxy.silence();
    let epoch = other.bump("u");
    left.wait_for(epoch);
    assert_ne!(left.outcome(&token), "good");
    assert_ne!(left.outcome(&pair.access), "good");
    let later = other.start("u");
    left.bump("u");
    settle(&replicas);
    for replica in &replicas {
        assert_ne!(replica.outcome(&later.access), "good");
        assert_eq!(replica.refused(&later.refresh), "ended");
    }
    assert_all_calm(&replicas);
}

/// Whether it accepts a token that was revoked elsewhere before `since`: its news must be older
/// then.
#[track_caller]
fn lacks_a_bump(replica: &Replica, token: &Token, since: Instant) -> bool {
    let elapsed = since.elapsed();
    let age = replica.authority.freshness().age();
    let is_good = replica.outcome(token) == "good";
    if let Some(age) = age.filter(|_| is_good) {
        assert!(age >= elapsed, "news of {age:?} ago lacks what is older");
    }
    is_good
}
