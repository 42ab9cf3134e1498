//! Clocks, lifetimes, and the age of news.

use epochkey::{
    BuildError, Grant, Policy, Scope,
    testing::{self, ManualClock},
};

use crate::{attacks::Between, support::*};

#[test]
fn finding_06_a_stale_replica_does_nothing() {
    let fleet = Fleet::new();
    let replica = fleet.replica_of(Policy::default().rotate_every(secs(60)));
    let token = replica.issue("u");
    fleet.clock.advance(secs(11));
    replica.assert_refuses_everything(&token);
    fleet.clock.advance(secs(100));
    replica.assert_refuses_everything(&token);
    let other = fleet.replica();
    assert_eq!(other.authority.stats().ring_keys, 1, "nor does it rotate");
    replica.follow().unwrap();
    assert_eq!(replica.outcome(&token), "good");
}

#[test]
fn finding_07_a_clock_that_is_off_makes_stale() {
    for (ahead, behind) in [(150, 0), (3, 0), (0, 3), (0, 150)] {
        let fleet = Fleet::new();
        let replica = fleet.replica();
        let token = replica.issue("u");
        let clock = ManualClock::at_unix_seconds(START + ahead - behind);
        let opened = fleet.builder().clock(clock).open(fleet.server.connect());
        let Err(BuildError::Store(error)) = opened else {
            panic!("{ahead} ahead, {behind} behind: {opened:?}")
        };
        assert_eq!(error.label(), "clock");
        assert_eq!(replica.outcome(&token), "good", "the others go on");
    }
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    fleet.server.set_clock_ahead(secs(150));
    assert_eq!(replica.follow().unwrap_err().label(), "clock");
    replica.assert_refuses_everything(&token);
    fleet.server.set_clock_ahead(secs(2));
    replica.follow().unwrap();
    assert_eq!(replica.outcome(&token), "good");
}

/// Longer than clocks may differ, and not as long as news may be old.
#[test]
fn finding_07_an_answer_that_was_long_under_way_is_of_no_clock_that_is_off() {
    let fleet = Fleet::new();
    let store = Between::on(fleet.server.connect());
    let authority = fleet.builder().open(store.clone()).unwrap();
    let token = authority.issue(Grant::user("u")).unwrap();
    let clock = fleet.clock.clone();
    store.then(move || clock.advance(secs(9)));
    testing::follow(&authority).unwrap();
    assert!(authority.verify(&token).is_ok());
}

/// Lifetimes belong to keys: a deploy of a shorter one refuses no honest token, and
/// retires no key early.
#[test]
fn finding_08_lifetimes_shortened() {
    let fleet = Fleet::new();
    let policy = |lifetime| {
        Policy::default()
            .token_lifetime(secs(lifetime))
            .rotate_by_hand()
    };
    let long = fleet.replica_of(policy(3600));
    let token = long.issue("u");
    let short = fleet.replica_of(policy(60));
    short.finish(short.authority.rotate_key());
    drop(long);
    let mut age = 0;
    for step in [100, 1000, 1000, 1000, 499] {
        fleet.clock.advance(secs(step));
        age += step;
        short.follow().unwrap();
        short.maintain();
        short.follow().unwrap();
        assert_eq!(short.outcome(&token), "good", "{age} s old");
        assert_eq!(short.issue("u").expires_in(), secs(60));
    }
    assert_eq!(short.authority.stats().ring_keys, 2);
    // 3,600 s, leeway 4, staleness 10, twice the skew 4, after 14 s of announcement.
    fleet.clock.advance(secs(3600 + 18 + 14 - age));
    short.follow().unwrap();
    short.maintain();
    short.follow().unwrap();
    assert_eq!(short.authority.stats().ring_keys, 1);
}

/// A longer one takes effect with the next key, so that no token outlives its key.
#[test]
fn finding_08_lifetimes_lengthened() {
    let fleet = Fleet::new();
    let policy = |lifetime| {
        Policy::default()
            .token_lifetime(secs(lifetime))
            .rotate_by_hand()
    };
    drop(fleet.replica_of(policy(60)));
    let long = fleet.replica_of(policy(3600));
    assert_eq!(long.issue("u").expires_in(), secs(60));
    long.finish(long.authority.rotate_key());
    assert_eq!(long.issue("u").expires_in(), secs(60));
    fleet.clock.advance(secs(14));
    long.follow().unwrap();
    assert_eq!(long.issue("u").expires_in(), secs(3600));
}

#[test]
fn finding_09_a_fresh_log_in_elsewhere_is_stale_not_revoked() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let old = ours.issue("u");
    fleet.clock.advance(secs(6));
    ours.follow().unwrap();
    ours.bump("u");
    let fresh = ours.issue("u");
    assert_eq!(theirs.authority.verify(&fresh).unwrap_err(), STALE);
    assert_eq!(
        theirs.outcome(&old),
        "good",
        "the bump is not in force there"
    );
    theirs.follow().unwrap();
    assert_eq!(theirs.outcome(&fresh), "good");
    // Long before the news, so it is not from after an unknown bump.
    assert_eq!(theirs.outcome(&old), "revoked");
}

#[test]
fn finding_14_freshness_counts_from_sending() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    // A standby that shows the state of then, and goes on showing it.
    replica.link.lag();
    fleet.clock.advance(secs(2));
    replica.follow().unwrap();
    fleet.clock.advance(secs(1));
    assert_eq!(replica.follow().unwrap_err().label(), "clock");
    replica.assert_refuses_everything(&token);
}

/// An answer that does not reach the head proves nothing about the rest.
#[test]
fn finding_14_a_part_of_the_news_is_not_fresh() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let scopes = (0..10_000).map(|n| Scope::user(n.to_string()));
    theirs.finish(theirs.authority.bump_many(scopes));
    fleet.clock.advance(secs(5));
    ours.link.cut_after_reads(1);
    assert!(ours.follow().is_err());
    let position = ours.position();
    assert!(position > 1 && position < theirs.position(), "{position}");
    fleet.clock.advance(secs(6));
    assert!(ours.is_stale());
    ours.link.mend();
    ours.follow().unwrap();
    assert_eq!(ours.position(), theirs.position());
}

#[test]
fn finding_17_one_wrong_step_of_the_clock_does_not_stay() {
    let fleet = Fleet::new();
    let clock = ManualClock::at_unix_seconds(START);
    let (ours, theirs) = (
        fleet.replica_with(fleet.builder().clock(clock.clone())),
        fleet.replica(),
    );
    clock.set_forward(secs(144));
    let _ = ours.authority.verify(theirs.issue("u"));
    assert!(ours.follow().is_err());
    clock.rewind(secs(144));
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&theirs.issue("u")), "good");
    assert_eq!(theirs.outcome(&ours.issue("u")), "good");
}
