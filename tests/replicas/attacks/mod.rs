//! What an adversarial review broke, each as a test.

mod snapshots;
mod stores;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use epochkey::{
    Authority, BumpError, Grant, MasterSecret, MemoryStore, Op, Policy, Scope, VerifyError,
    store::{Heartbeat, ReplicaId, Store, StoreTime},
    testing::{self, FaultyStore, ManualClock},
};

pub(crate) use self::stores::Between;
use self::stores::{AtStanding, OneWriter, OtherHead};
use crate::support::*;

/// The head was reached, and the answer is on its way, when the store loses its tail and
/// acknowledges a bump at a position that is in force here already, as another event.
fn bump_at_a_position_used_again(and_then: impl FnOnce(&Fleet) + Send + 'static) {
    let fleet = Fleet::new();
    let store = Between::on(fleet.server.connect());
    let authority = fleet.builder().open(store.clone()).unwrap();
    let token = authority.issue(Grant::user("u")).unwrap();
    for user in ["a", "b", "c"] {
        testing::finish(&authority, authority.bump(Scope::user(user))).unwrap();
    }
    type Slot = Mutex<Option<Op<epochkey::Epoch, BumpError>>>;
    let slot: Arc<Slot> = Arc::default();
    let (there, bumping) = (Arc::clone(&slot), authority.clone());
    let fleet = Arc::new(fleet);
    let fleet_there = Arc::clone(&fleet);
    store.then(move || {
        fleet_there.server.lose_last(3);
        *there.lock().unwrap() = Some(bumping.bump(Scope::user("u")));
        and_then(&fleet_there);
    });
    testing::follow(&authority).unwrap();
    let bump = slot.lock().unwrap().take().unwrap();
    if format!("{bump:?}") == "Op(finished)" && bump.wait().is_ok() {
        assert!(authority.verify(&token).is_err(), "bumped, and it verifies");
    }
    let _ = testing::follow(&authority);
    testing::follow(&authority).unwrap();
    assert!(authority.verify(&token).is_err());
}

#[test]
fn a_bump_at_a_position_used_again_does_not_count_as_applied() {
    bump_at_a_position_used_again(|_| {});
}

#[test]
fn nor_if_another_replica_starts_over_in_between() {
    bump_at_a_position_used_again(|fleet| {
        let other = fleet.replica();
        other.finish(other.authority.start_over());
    });
}

#[test]
fn nor_does_one_that_is_waited_for() {
    let fleet = Fleet::new();
    let theirs = fleet.replica();
    let store = Between::on(fleet.server.connect());
    let ours = fleet.builder().open(store.clone()).unwrap();
    let token = ours.issue(Grant::user("u")).unwrap();
    for user in ["a", "b", "c"] {
        testing::finish(&ours, ours.bump(Scope::user(user))).unwrap();
    }
    let slot = Arc::new(Mutex::new(None));
    let (there, waiting, server) = (Arc::clone(&slot), ours.clone(), fleet.server.clone());
    store.then(move || {
        server.lose_last(3);
        // It had applied nothing of what was lost.
        let epoch = theirs.bump("u");
        *there.lock().unwrap() = Some(waiting.wait_for(epoch));
    });
    testing::follow(&ours).unwrap();
    let wait = slot.lock().unwrap().take().unwrap();
    if format!("{wait:?}") == "Op(finished)" && wait.wait().is_ok() {
        assert!(ours.verify(&token).is_err(), "waited for, and it verifies");
    }
}

/// A replica that is ahead of a store that lost a swap must not make it forget what
/// concerns the key that is back.
#[test]
fn tidying_after_a_loss_undoes_no_bump() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    ours.maintain();
    ours.bump("u");
    fleet.clock.advance(secs(60));
    ours.follow().unwrap();
    ours.finish(ours.authority.swap_key());
    fleet.server.lose_last(1);
    assert_eq!(fleet.replica().outcome(&token), "revoked");
    let _ = testing::maintain(&ours.authority);
    drop(ours);
    assert_eq!(fleet.replica().outcome(&token), "revoked");
}

/// A replica of another environment, whose address came to point here, must not take over.
#[test]
fn the_store_of_others_is_not_begun_anew() {
    let (prod, staging) = (Fleet::new(), Fleet::new());
    let (theirs, ours) = (prod.replica(), staging.replica());
    let token = theirs.issue("u");
    staging.server.restore(&prod.server.back_up());
    let error = ours.follow().unwrap_err();
    assert_eq!(error.label(), "wrong_master_secret");
    assert_eq!(count(&ours.told.restarted), 0);
    assert!(ours.is_stale());
    prod.server.restore(&staging.server.back_up());
    theirs.follow().unwrap();
    assert_eq!(theirs.outcome(&token), "good");
}

/// Nor by a process that was left behind when the master secret was changed.
#[test]
fn a_straggler_of_the_old_master_secret_does_not_lock_the_fleet_out() {
    let fleet = Fleet::new();
    let straggler = fleet.replica();
    let new_secret = MasterSecret::generate().unwrap();
    let both = fleet.builder().master_secret(new_secret.clone());
    let both = fleet.replica_with(both.previous_master_secret(fleet.secret.clone()));
    both.finish(both.authority.rewrap_secrets());
    let new = fleet.replica_with(fleet.builder().master_secret(new_secret));
    straggler.bump("x");
    new.follow().unwrap();
    fleet.server.lose_last(1);
    assert!(straggler.follow().is_err());
    new.follow().unwrap();
    assert_eq!(count(&straggler.told.restarted), 0);
    assert_eq!(count(&new.told.restarted), 1);
}

/// It brings in a key under the old one: those who run recover once it is wrapped anew.
#[test]
fn a_key_of_a_straggler_is_read_when_it_is_wrapped_anew() {
    let fleet = Fleet::new();
    let new_secret = MasterSecret::generate().unwrap();
    let straggler = fleet.replica_with(fleet.builder().previous_master_secret(new_secret.clone()));
    let both = fleet.builder().master_secret(new_secret.clone());
    let both = fleet.replica_with(both.previous_master_secret(fleet.secret.clone()));
    both.finish(both.authority.rewrap_secrets());
    let new = fleet.replica_with(fleet.builder().master_secret(new_secret));
    straggler.finish(straggler.authority.rotate_key());
    let error = new.follow().unwrap_err();
    assert_eq!(error.label(), "wrong_master_secret");
    assert!(new.is_stale());
    both.finish(both.authority.rewrap_secrets());
    new.follow().unwrap();
    assert_eq!(new.authority.stats().ring_keys, 2);
}

/// A replica that slept through a restart, and the next history does not name its own.
#[test]
fn a_restart_names_all_that_went_before() {
    let fleet = Fleet::new();
    let (ours, slept) = (fleet.replica(), fleet.replica());
    ours.finish(ours.authority.start_over());
    fleet.server.clear();
    let _ = ours.follow();
    ours.follow().unwrap();
    let token = ours.issue("u");
    slept.follow().unwrap();
    ours.follow().unwrap();
    assert_eq!(count(&slept.told.restarted), 0);
    assert_eq!(
        ours.outcome(&token),
        "good",
        "nobody is logged out twice for one loss"
    );
}

/// Keys that come in on schedule behind one whose tokens live for a month.
#[test]
fn scheduled_keys_have_a_limit() {
    let fleet = Fleet::new();
    let month = secs(30 * 86_400);
    let policy = |lifetime| {
        Policy::default()
            .token_lifetime(lifetime)
            .rotate_every(lifetime)
    };
    drop(fleet.replica_of(policy(month)));
    let short = fleet.replica_of(policy(secs(60)));
    for _ in 0..50 {
        fleet.clock.advance(secs(60));
        short.follow().unwrap();
        short.maintain();
        short.follow().unwrap();
    }
    assert_eq!(short.authority.stats().ring_keys, 32);
    assert_eq!(short.outcome(&short.issue("u")), "good");
}

#[test]
fn many_who_wait_for_one_epoch_ask_once() {
    let fleet = Fleet::new();
    let store = Between::on(fleet.server.connect());
    let authority = fleet.builder().open(store.clone()).unwrap();
    let epoch = testing::finish(&authority, authority.bump(Scope::user("u"))).unwrap();
    let before = store.questions.load(Ordering::SeqCst);
    let waits: Vec<_> = (0..1000).map(|_| authority.wait_for(epoch)).collect();
    testing::follow(&authority).unwrap();
    for wait in waits {
        wait.wait().unwrap();
    }
    assert_eq!(store.questions.load(Ordering::SeqCst) - before, 1);
}

/// What a replica commits rests on all that it has applied, so a store that has lost some
/// of it takes no commit: an ended session's row, back with the loss, must not be renewed.
#[test]
fn a_replica_ahead_of_its_store_commits_nothing() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    ours.bump("u");
    ours.bump("v");
    fleet.server.lose_last(1);
    let bump = ours.authority.bump(Scope::user("w"));
    let refused = bump.wait().unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("lost its tail"), "{source}");
    assert_eq!(fleet.replica().position(), 2, "nor is it kept");
}

/// A receipt names what is part of the log, not what was asked about or is lost.
#[test]
fn receipts_are_of_the_log_as_it_is() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let first = ours.bump("u");
    for user in ["a", "b"] {
        ours.bump(user);
    }
    ours.follow().unwrap();
    let applied = || {
        let receipts = fleet.server.receipts(StoreTime::default()).unwrap().value;
        receipts[0].heartbeat.applied.map(|place| place.position)
    };
    assert_eq!(applied(), Some(4));
    ours.finish(ours.authority.wait_for(first));
    assert_eq!(applied(), Some(4));
    fleet.server.lose_last(2);
    ours.link.cut_after_reads(1);
    assert!(ours.follow().is_err());
    assert_eq!(applied(), None);
}

#[test]
fn debug_of_events_shows_no_epoch_secret() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let snapshot = fleet.server.snapshot(StoreTime::default(), &mut |_| {});
    ours.bump("u");
    let mut secret = [0; 16];
    let look = &mut |epoch: epochkey::store::StoredEpoch| secret = epoch.secret;
    fleet.server.snapshot(StoreTime::default(), look).unwrap();
    let heartbeat = Heartbeat {
        replica: ReplicaId::from_bytes([0; 16]),
        applied: Some(snapshot.unwrap().value.unwrap().head),
        max_staleness: secs(1),
        now: StoreTime::default(),
    };
    let news = fleet
        .server
        .events_after(heartbeat, Duration::ZERO)
        .unwrap();
    let secret = format!("{secret:?}");
    let shown = format!("{:?}", news.value);
    assert!(shown.contains("position: 2"), "{shown}");
    assert!(!shown.contains(secret.trim_matches(['[', ']'])), "{shown}");
}

/// The last authority is gone, and the thread of the store that ends its last operation is
/// the one that the following thread waits for.
#[test]
fn the_stores_thread_does_not_wait_for_who_waits_for_it() {
    let (writer, writes) = mpsc::channel::<stores::Action>();
    let (wrote, written) = mpsc::channel();
    thread::spawn(move || {
        for write in writes {
            write();
            let _ = wrote.send(());
        }
    });
    let (tidies, clock) = (
        Arc::new(AtomicUsize::new(0)),
        ManualClock::at_unix_seconds(START),
    );
    let store = OneWriter {
        store: Arc::new(MemoryStore::new()),
        writer: writer.clone(),
        tidies: Arc::clone(&tidies),
    };
    let authority = Authority::builder("i", "a")
        .clock(clock.clone())
        .master_secret(MasterSecret::generate().unwrap())
        .policy(Policy::default().rotate_by_hand())
        .open(store)
        .unwrap();
    written.recv().unwrap();
    // The writer is busy, behind that a bump waits, and behind the bump a tidy.
    let (go_on, gate) = mpsc::channel::<()>();
    writer.send(Box::new(move || gate.recv().unwrap())).unwrap();
    let bump = authority.bump(Scope::user("u"));
    clock.advance(secs(700));
    while tidies.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
    // The bump is the last that keeps the thread running, and ends on the writer's thread.
    drop(authority);
    go_on.send(()).unwrap();
    assert!(bump.wait().is_err());
}

/// A bump whose place is not that of its event is not known to be in force.
#[test]
fn an_acknowledgement_of_another_event_is_none() {
    let clock = ManualClock::at_unix_seconds(START);
    let store = OtherHead(FaultyStore::new(clock.clone()));
    let builder = testing::by_hand(Authority::builder("i", "a")).clock(clock);
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    let authority = builder.open(store).unwrap();
    let BumpError::Store(error) = authority.bump(Scope::user("u")).wait().unwrap_err() else {
        panic!("of the store")
    };
    assert_eq!(error.label(), "damaged");
}

/// Between the snapshot and the question whether this replica's past is part of it.
#[test]
fn a_history_that_begins_behind_a_snapshot_is_begun_once() {
    let fleet = Fleet::new();
    let other = fleet.replica();
    let store = AtStanding::on(fleet.server.connect());
    let told = Arc::new(Told::default());
    let builder = fleet.builder().observer(Arc::clone(&told));
    let ours = builder.open(store.clone()).unwrap();
    let token = ours.issue(Grant::user("u")).unwrap();
    let epoch = other.bump("another");
    fleet.server.trim();
    let (begun, beginning) = (Arc::new(Mutex::new(None)), other.authority.clone());
    let there = Arc::clone(&begun);
    store.then(move || {
        let begun = testing::finish(&beginning, beginning.start_over()).unwrap();
        *there.lock().unwrap() = Some(begun);
    });
    let wait = ours.wait_for(epoch);
    testing::follow(&ours).unwrap();
    assert_eq!(wait.wait().unwrap_err().label(), "lost");
    let begun = begun.lock().unwrap().take().unwrap();
    testing::finish(&ours, ours.wait_for(begun)).unwrap();
    assert_eq!(ours.verify(&token).unwrap_err(), VerifyError::UnknownKey);
    assert_eq!(
        (count(&told.restarted), count(&other.told.restarted)),
        (0, 1)
    );
    settle(&[other]);
}

/// The head was reached, and a new history begins before it is asked whether the epoch is part of
/// the log.
#[test]
fn an_epoch_whose_history_ends_while_it_is_asked_about_is_not_said_to_be_in_force() {
    let fleet = Fleet::new();
    let other = fleet.replica();
    let store = AtStanding::on(fleet.server.connect());
    let ours = fleet.builder().open(store.clone()).unwrap();
    let epoch = other.bump("u");
    testing::follow(&ours).unwrap();
    let wait = ours.wait_for(epoch);
    let beginning = other.authority.clone();
    store.then(move || {
        testing::finish(&beginning, beginning.start_over()).unwrap();
    });
    testing::follow(&ours).unwrap();
    testing::follow(&ours).unwrap();
    assert_eq!(wait.wait().unwrap_err().label(), "lost");
    settle(&[other]);
}
