//! How old the news may be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use epochkey::{
    Authority, Clock, Freshness, Grant, Policy, Scope,
    store::Effect,
    testing::{self, FaultyStore, ManualClock},
};

use crate::support::*;

#[test]
fn a_partitioned_replica_refuses_when_its_news_is_too_old() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    let verified = replica.authority.verify(&token).unwrap();
    replica.link.cut();
    fleet.clock.advance(secs(10));
    assert!(replica.follow().is_err());
    assert_eq!(replica.outcome(&token), "good");
    assert!(replica.authority.recheck(&verified).is_ok());

    fleet.clock.advance(secs(1));
    replica.assert_refuses_everything(&token);
    assert_eq!(replica.authority.recheck(&verified).unwrap_err(), STALE);
    assert!(replica.follow().is_err());
    assert_eq!(count(&replica.told.stale), 1);
    assert_eq!(*replica.told.failed.lock().unwrap(), ["unavailable"; 2]);

    replica.link.mend();
    replica.follow().unwrap();
    assert_eq!(replica.outcome(&token), "good");
    assert!(replica.authority.recheck(&verified).is_ok());
    assert_eq!(count(&replica.told.recovered), 1);
}

/// The larger of both clocks counts: neither a wall clock that stands still nor a machine
/// that slept makes old news fresh.
#[test]
fn neither_clock_can_hide_the_age_of_news() {
    let age_by = |step: &dyn Fn(&ManualClock)| {
        let fleet = Fleet::new();
        let clock = ManualClock::at_unix_seconds(START);
        let replica = fleet.replica_with(fleet.builder().clock(clock.clone()));
        let token = replica.issue("u");
        step(&clock);
        (replica.outcome(&token), replica.is_stale())
    };
    let stale = ("stale_epochs", true);
    assert_eq!(age_by(&|clock| clock.advance(secs(10))), ("good", false));
    assert_eq!(age_by(&|clock| clock.set_forward(secs(11))), stale);
    let held_back = |clock: &ManualClock| {
        clock.advance(secs(11));
        clock.rewind(secs(11));
    };
    assert_eq!(age_by(&held_back), stale);
    // Back by anything: it may have hidden any time.
    assert_eq!(age_by(&|clock| clock.rewind(secs(1))), stale);
}

/// What it says is what `verify`, `stats` and `issue` go by.
#[track_caller]
fn freshness_of(replica: &Replica, token: &epochkey::Token) -> Freshness {
    let freshness = replica.authority.freshness();
    let expected = match freshness.is_fresh() {
        true => "good",
        false => "stale_epochs",
    };
    assert_eq!(replica.outcome(token), expected, "{freshness:?}");
    assert_eq!(replica.is_stale(), !freshness.is_fresh());
    let issued = replica.authority.issue(Grant::user("v"));
    assert_eq!(issued.is_ok(), freshness.is_fresh());
    freshness
}

#[test]
fn an_authority_says_how_old_its_news_is() {
    let fleet = Fleet::new();
    let clock = ManualClock::at_unix_seconds(START);
    let replica = fleet.replica_with(fleet.builder().clock(clock.clone()));
    let token = replica.issue("u");
    assert_eq!(
        replica.authority.freshness().max_staleness(),
        Some(secs(10))
    );
    let age = |by: &dyn Fn(&ManualClock)| {
        by(&clock);
        freshness_of(&replica, &token).age()
    };
    assert_eq!(age(&|_| {}), Some(secs(0)));
    assert_eq!(age(&|clock| clock.advance(secs(4))), Some(secs(4)));
    // The larger of what both clocks say.
    assert_eq!(age(&|clock| clock.set_forward(secs(6))), Some(secs(10)));
    let step = std::time::Duration::from_millis(1);
    assert_eq!(age(&|clock| clock.set_forward(step)), Some(secs(10) + step));
    assert!(!replica.authority.freshness().is_fresh());
    assert_eq!(age(&|clock| clock.rewind(secs(6) + step)), Some(secs(4)));
    assert_eq!(age(&|clock| clock.advance(secs(7))), Some(secs(11)));
    // Back by anything: it may have hidden any time.
    assert_eq!(age(&|clock| clock.rewind(secs(12))), None);
    clock.set_forward(secs(12));
    fleet.clock.advance(secs(11));
    replica.follow().unwrap();
    assert_eq!(age(&|_| {}), Some(secs(0)));
    // A clock that is off, and what cannot be read: nothing that was heard counts.
    fleet.server.set_clock_ahead(secs(150));
    assert!(replica.follow().is_err());
    let freshness = freshness_of(&replica, &token);
    assert_eq!((freshness.age(), freshness.is_fresh()), (None, false));
    assert_eq!(freshness.max_staleness(), Some(secs(10)));
}

/// The clock of a server, whose requests take as long as they are told.
#[derive(Clone)]
struct SlowServer {
    clock: ManualClock,
    takes: Arc<AtomicU64>,
}

impl Clock for SlowServer {
    fn now(&self) -> SystemTime {
        self.clock
            .advance(secs(self.takes.swap(0, Ordering::SeqCst)));
        self.clock.now()
    }
}

/// What an answer says is known as of when it was asked for, however long it took.
#[test]
fn news_is_as_old_as_its_request() {
    let clock = ManualClock::at_unix_seconds(START);
    let takes = Arc::default();
    let slow = SlowServer {
        clock: clock.clone(),
        takes: Arc::clone(&takes),
    };
    let fleet = Fleet::on(FaultyStore::new(slow), clock);
    let replica = fleet.replica();
    let token = replica.issue("u");
    takes.store(6, Ordering::SeqCst);
    replica.follow().unwrap();
    fleet.clock.advance(secs(4));
    assert_eq!(replica.outcome(&token), "good");
    fleet.clock.advance(secs(1));
    assert_eq!(replica.outcome(&token), "stale_epochs");
}

#[test]
fn a_paused_store_that_answers_old_data_is_noticed() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    ours.link.lag();
    theirs.bump("u");
    for _ in 0..3 {
        fleet.clock.advance(secs(1));
        let _ = ours.follow();
    }
    ours.assert_refuses_everything(&token);
    ours.link.mend();
    ours.follow().unwrap();
    fleet.clock.advance(secs(6));
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "revoked");
}

/// A log-in through a replica that was behind is dead as soon as that has caught up,
/// unless it caught up first.
#[test]
fn a_log_in_after_catching_up_is_not_born_dead() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    theirs.bump("u");
    let behind = ours.issue("u");
    let mark = ours.finish(ours.authority.catch_up());
    let log_in = ours.authority.issue(Grant::user("u").as_of(mark)).unwrap();
    assert_ne!(ours.outcome(&behind), "good");
    for replica in [&ours, &theirs] {
        replica.follow().unwrap();
        assert_eq!(replica.outcome(&log_in), "good");
    }
    // And a mark from before is refused, since the user was bumped after it.
    let old = ours.authority.mark();
    theirs.bump("u");
    ours.follow().unwrap();
    let refused = ours.authority.issue(Grant::user("u").as_of(old));
    assert_eq!(refused.unwrap_err().label(), "bumped_since_mark");
}

#[test]
fn to_catch_up_takes_an_exchange_sent_afterwards() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let caught_up = ours.authority.catch_up();
    ours.link.cut();
    fleet.clock.advance(secs(11));
    assert!(ours.follow().is_err());
    assert_eq!(caught_up.wait().unwrap_err().label(), "stale");
    ours.link.mend();
    theirs.bump("u");
    let mark = ours.finish(ours.authority.catch_up());
    assert_eq!(mark, ours.authority.mark());
    assert_eq!(ours.position(), theirs.position());
}

/// An event that a newer version wrote may be a bump: to skip it could revive a token.
#[test]
fn an_unreadable_event_stops_a_replica_at_once() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    let effect = Effect::Epoch {
        tag: [1; 16],
        secret: [2; 16],
    };
    fleet.commit(vec![2, 1, 1, 1], effect);
    let bump = replica.authority.bump(Scope::user("u"));
    for _ in 0..3 {
        assert_eq!(replica.follow().unwrap_err().label(), "unreadable");
        replica.assert_refuses_everything(&token);
        assert_eq!(replica.position(), 1);
    }
    let failed = bump.wait().unwrap_err();
    let source = std::error::Error::source(&failed).unwrap().to_string();
    assert!(source.contains("keeps the event"), "{source}");
}

/// A store in one process has no other writers: its news does not age, but what cannot be read
/// is not trusted.
#[test]
fn an_embedded_store_fails_at_once_and_does_not_age() {
    let clock = ManualClock::at_unix_seconds(START);
    let fleet = Fleet::new();
    let store = FaultyStore::embedded();
    let builder = testing::by_hand(Authority::builder("i", "a"));
    let builder = builder.clock(clock.clone()).master_secret(fleet.secret);
    let authority = builder.open(store.clone()).unwrap();
    let token = authority.issue(Grant::user("u")).unwrap();
    clock.advance(secs(800));
    assert!(authority.verify(&token).is_ok());
    let freshness = || {
        let freshness = authority.freshness();
        assert_eq!((freshness.age(), freshness.max_staleness()), (None, None));
        freshness.is_fresh()
    };
    assert!(freshness());
    store.cut();
    assert!(testing::follow(&authority).is_err());
    assert!(!freshness());
    assert_eq!(authority.verify(&token).unwrap_err(), STALE);
    store.mend();
    testing::follow(&authority).unwrap();
    assert!(authority.verify(&token).is_ok());
}

#[test]
fn a_stale_replica_does_not_say_unknown_key_of_a_rotated_one() {
    let fleet = Fleet::new();
    let replicas = fleet.replicas(2);
    let (ours, cut_off) = (&replicas[0], &replicas[1]);
    cut_off.link.cut();
    ours.finish(ours.authority.rotate_key());
    for _ in 0..40 {
        fleet.clock.advance(secs(1));
        ours.follow().unwrap();
        ours.maintain();
    }
    let token = ours.issue("u");
    assert!(cut_off.is_stale());
    assert_eq!(cut_off.outcome(&token), "stale_epochs");
}

/// Clocks may differ by twice the skew, and the news is a whole second: whoever may be after it
/// is told to try again, and a second later that it is revoked.
#[test]
fn what_may_be_newer_than_the_news_is_not_revoked_yet() {
    for skew in [1, 5] {
        for later in 0..2 * skew + 4 {
            let fleet = Fleet::new();
            let policy = Policy::default().max_clock_skew(secs(skew));
            let replica = fleet.replica_of(policy.max_staleness(secs(20)));
            let token = replica.issue("u");
            replica.bump("u");
            fleet.clock.advance(secs(later));
            replica.follow().unwrap();
            let expected = match later > 2 * skew {
                true => "revoked",
                false => "stale_epochs",
            };
            assert_eq!(replica.outcome(&token), expected, "{skew} {later}");
        }
    }
}
