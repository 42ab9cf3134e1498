//! The thread that follows the store: it starts with an authority, stops with the last one,
//! and finishes what was begun. With the system's clock and real threads.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use epochkey::{
    Authority, Grant, MasterSecret, MemoryStore, Observer, Policy, Scope, SystemClock,
    store::{Store, StoreTime},
    testing::{self, FaultyStore, ManualClock},
};

/// Says so when it is dropped.
struct Canary(mpsc::Sender<()>);

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Observer for Canary {}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_thread_stops_with_the_last_authority() {
    let (sender, dropped) = mpsc::channel();
    let builder = Authority::builder("i", "a").observer(Canary(sender));
    let authority = builder.open(MemoryStore::new()).unwrap();
    let clone = authority.clone();
    drop(authority);
    clone.bump(Scope::user("u")).wait().unwrap();
    drop(clone);
    // At once: whoever opens the same file again must find it closed.
    dropped.try_recv().unwrap();
}

#[test]
fn the_thread_of_a_shared_store_stops_too() {
    let (sender, dropped) = mpsc::channel();
    let store = FaultyStore::new(SystemClock);
    let builder = Authority::builder("i", "a").observer(Canary(sender));
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    drop(builder.open(store).unwrap());
    dropped.recv_timeout(LONG).unwrap();
}

#[test]
fn an_operation_finishes_though_its_authority_is_gone() {
    let store = FaultyStore::new(SystemClock);
    let secret = MasterSecret::generate().unwrap();
    let open = || {
        let builder = Authority::builder("i", "a").master_secret(secret.clone());
        builder.open(store.clone()).unwrap()
    };
    let authority = open();
    store.hold_commits();
    let bump = authority.bump(Scope::user("u"));
    drop(authority);
    // The thread goes on asking for news, as often as it is woken.
    let heard = || store.receipts(StoreTime::default()).unwrap().value[0].received_at;
    let deadline = Instant::now() + LONG;
    for _ in 0..3 {
        let before = heard();
        while heard() == before {
            assert!(Instant::now() < deadline, "the thread has stopped");
            store.wake();
            thread::yield_now();
        }
    }
    store.release();
    let epoch = bump.wait().unwrap();
    assert_eq!(open().wait_for(epoch).wait().unwrap(), epoch);
}

/// A panic in what the application gave ends the thread: nothing is accepted from then on.
#[test]
fn without_its_thread_an_authority_refuses_everything() {
    struct Panicking;
    impl Observer for Panicking {
        fn bumped(&self, _: epochkey::Epoch) {
            panic!("an observer must not panic");
        }
    }
    let builder = Authority::builder("i", "a").observer(Panicking);
    let authority = builder.open(MemoryStore::new()).unwrap();
    let token = authority.issue(Grant::user("v")).unwrap();
    let failed = authority.bump(Scope::user("u")).wait().unwrap_err();
    assert_eq!(failed.label(), "store");
    while authority.verify(&token).is_ok() {
        thread::yield_now();
    }
    assert!(authority.issue(Grant::user("u")).is_err());
    assert!(authority.bump(Scope::user("u")).wait().is_err());
}

/// Bumps 60 users at one replica, and looks for them at the others. How many bumps got
/// through.
fn bump_and_verify(replicas: &[(Authority, FaultyStore)], me: usize) -> usize {
    let (authority, _) = &replicas[me];
    let mut bumped = 0;
    for round in 0..60 {
        let user = format!("u-{me}-{round}");
        let token = authority.issue(Grant::user(&user));
        let (Ok(token), Ok(epoch)) = (token, authority.bump(Scope::user(&user)).wait()) else {
            continue;
        };
        bumped += 1;
        assert!(authority.verify(&token).is_err(), "{user}");
        let (other, _) = &replicas[(me + round) % 8];
        if other.wait_for(epoch).wait().is_ok() {
            assert!(other.verify(&token).is_err(), "{user} elsewhere");
        }
    }
    bumped
}

/// Eight replicas on connections that fail at random, bumping and verifying at once: a
/// bump that returned is in force where it was made, and everywhere its epoch was waited for.
#[test]
fn eight_replicas_on_bad_connections() {
    let server = FaultyStore::new(SystemClock);
    let secret = MasterSecret::generate().unwrap();
    let replicas = (0..8_u64).map(|seed| {
        let connection = server.connect();
        let builder = Authority::builder("i", "a").master_secret(secret.clone());
        let authority = builder.open(connection.clone()).unwrap();
        connection.misbehave(seed);
        (authority, connection)
    });
    let replicas: Arc<[_]> = replicas.collect();
    let threads = (0..8).map(|me| {
        let replicas = Arc::clone(&replicas);
        thread::spawn(move || bump_and_verify(&replicas, me))
    });
    let threads: Vec<_> = threads.collect();
    let bumped: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert!(bumped > 100, "{bumped} of 480 bumps got through");
    for (_, connection) in &*replicas {
        connection.mend();
        connection.release();
    }
    let positions = replicas.iter().map(|(authority, _)| {
        // What was let go of may still be on its way, and may fail for good.
        while authority.catch_up().wait().is_err() {}
        authority.stats().position
    });
    let positions: Vec<_> = positions.collect();
    let last = replicas[0]
        .0
        .catch_up()
        .wait()
        .map(|_| replicas[0].0.stats().position);
    assert!(
        positions
            .iter()
            .all(|position| *position <= last.as_ref().map_or(0, |p| *p))
    );
}

/// The store of a single process keeps of its log what is not applied yet, and no more.
#[test]
fn an_embedded_log_does_not_grow() {
    let store = FaultyStore::embedded();
    let clock = ManualClock::at_unix_seconds(1_700_000_000);
    let builder = testing::by_hand(Authority::builder("i", "a"));
    let builder = builder.clock(clock.clone());
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    let authority = builder.open(store.clone()).unwrap();
    let first = testing::finish(&authority, authority.bump(Scope::user("u"))).unwrap();
    for _ in 0..3 {
        let scopes = (0..1000).map(|n| Scope::user(n.to_string()));
        let bumps = authority.bump_many(scopes);
        testing::finish(&authority, bumps).unwrap();
        let unapplied = authority.bump(Scope::user("u"));
        clock.advance(Duration::from_secs(60));
        testing::maintain(&authority).unwrap();
        assert_eq!(
            store.kept_events(),
            2,
            "the last one applied, and the one that is not"
        );
        testing::finish(&authority, unapplied).unwrap();
    }
    let waited = testing::finish(&authority, authority.wait_for(first));
    assert_eq!(waited.unwrap(), first, "trimmed, but in force");
}

/// That of many replicas proves a loss to one that slept as long as there may be a token from
/// before: for the longest lifetime, the margins of the clocks, and an hour.
#[test]
fn a_shared_log_is_kept_while_it_may_prove_a_loss() {
    let clock = ManualClock::at_unix_seconds(1_700_000_000);
    let store = FaultyStore::new(clock.clone());
    let policy = Policy::default()
        .token_lifetime(Duration::from_secs(60))
        .max_clock_skew(Duration::from_secs(3));
    let builder = testing::by_hand(Authority::builder("i", "a"));
    let builder = builder.clock(clock.clone()).policy(policy.rotate_by_hand());
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    let authority = builder.open(store.clone()).unwrap();
    for user in ["u", "v"] {
        testing::finish(&authority, authority.bump(Scope::user(user))).unwrap();
    }
    let kept_after = |seconds: u64| {
        clock.advance(Duration::from_secs(seconds));
        testing::follow(&authority).unwrap();
        testing::maintain(&authority).unwrap();
        store.kept_events()
    };
    let before = store.kept_events();
    let longest = 60 + 6 + 10 + 6 + 3600;
    assert_eq!(kept_after(longest - 60), before);
    assert_eq!(kept_after(60), before);
    // The newest is what the next request refers to.
    assert_eq!(kept_after(60), 1);
}
