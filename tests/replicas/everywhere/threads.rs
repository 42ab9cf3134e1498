//! With the system's clock and the threads of the authorities.

use std::{sync::mpsc, thread};

use epochkey::{
    Grant, MasterSecret, Scope, SystemClock,
    store::{Answer, Heartbeat, News, Store},
    testing::FaultyStore,
};

use super::*;

/// Bumps a user, and looks for its token everywhere as soon as that must be in force.
fn bump_everywhere(replicas: &[Authority], me: usize) {
    for round in 0..10 {
        let user = format!("u-{me}-{round}");
        let mark = replicas[me].catch_up().wait().unwrap();
        let grant = Grant::user(&user).as_of(mark);
        let token = replicas[me].issue(grant).unwrap();
        let epoch = replicas[me].bump(Scope::user(&user)).wait().unwrap();
        let asked = &replicas[(me + round) % replicas.len()];
        assert_eq!(asked.applied_everywhere(epoch).wait().unwrap(), []);
        for (number, replica) in replicas.iter().enumerate() {
            assert!(replica.verify(&token).is_err(), "{user} at {number}");
        }
        assert_eq!(asked.replicas_behind(epoch).wait().unwrap(), []);
    }
}

#[test]
fn replicas_that_follow_confirm() {
    let server = FaultyStore::new(SystemClock);
    let secret = MasterSecret::generate().unwrap();
    let open = |_| {
        let builder = Authority::builder("i", "a").master_secret(secret.clone());
        builder.open(server.connect()).unwrap()
    };
    let replicas: Vec<_> = (0..4).map(open).collect();
    thread::scope(|scope| {
        for me in 0..replicas.len() {
            let replicas = &replicas;
            scope.spawn(move || bump_everywhere(replicas, me));
        }
    });
}

/// Tells how long each question may wait for news.
struct Patient {
    store: FaultyStore,
    waits: mpsc::Sender<Duration>,
}

impl Store for Patient {
    delegate!(store: standing, snapshot, begin, commit, sessions, rewrap, tidy, receipts, wake);

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        let _ = self.waits.send(wait);
        self.store.events_after(heartbeat, wait)
    }
}

#[test]
fn news_is_waited_for_while_nobody_waits_for_whoever_does() {
    /// How long receipts are read after they were read.
    const RECEIPTS: Duration = Duration::from_millis(50);
    let server = FaultyStore::new(SystemClock);
    let secret = MasterSecret::generate().unwrap();
    let builder = || Authority::builder("i", "a").master_secret(secret.clone());
    let (waits, waited) = mpsc::channel();
    let asks = |what: &str, is_so: fn(Duration) -> bool| {
        assert!(waited.iter().take(20).any(is_so), "{what}");
    };
    let store = server.connect();
    let authority = builder().open(Patient { store, waits }).unwrap();
    asks("nobody waits", |wait| wait > RECEIPTS);
    // It confirms nothing.
    let silent = testing::by_hand(builder()).open(server.connect()).unwrap();
    let epoch = authority.bump(Scope::user("u")).wait().unwrap();
    waited.try_iter().for_each(drop);
    authority.wait_for(epoch).wait().unwrap();
    asks("somebody waits for an epoch", |wait| wait.is_zero());
    asks("nobody waits again", |wait| wait > RECEIPTS);
    waited.try_iter().for_each(drop);
    let everywhere = authority.applied_everywhere(epoch);
    asks("somebody waits for receipts", |wait| wait == RECEIPTS);
    assert!(is_running(&everywhere));
    testing::follow(&silent).unwrap();
    testing::follow(&silent).unwrap();
    assert_eq!(everywhere.wait().unwrap(), []);
    asks("nobody waits any more", |wait| wait > RECEIPTS);
}
