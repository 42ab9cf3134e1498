//! Who waits for the disk, and who does not.

use std::sync::{Arc, mpsc};

use epochkey::{
    Authority, BumpError, Grant, MasterSecret, Op, RedbStore, Scope, Store,
    store::{
        Commit, Effect, EventId, NewEvent, Outcome, Place, RowId, Rows, SessionQuery, Snapshot,
        StoreTime, Tidy,
    },
    testing,
};

use crate::{disk::Disk, support::Site};

fn store(disk: &Disk) -> RedbStore {
    let disk = disk.clone();
    RedbStore::open_on(move || Ok(disk.clone())).unwrap()
}

fn authority(store: impl Store, secret: &MasterSecret) -> Authority {
    let builder = Authority::builder("i", "a").master_secret(secret.clone());
    builder.open(store).unwrap()
}

pub(crate) fn snapshot(store: &RedbStore) -> Snapshot {
    let answer = store.snapshot(StoreTime::default(), &mut |_| {});
    answer.unwrap().value.unwrap()
}

pub(crate) fn empty_commit(known: Place) -> Commit {
    Commit {
        known,
        newest_key: None,
        events: Vec::new(),
        sessions: Vec::new(),
        now: StoreTime::default(),
    }
}

fn bump(number: u8) -> NewEvent {
    let (tag, secret) = ([number; 16], [number; 16]);
    NewEvent {
        id: EventId::from_bytes([number; 16]),
        body: Vec::new(),
        effect: Effect::Epoch { tag, secret },
    }
}

fn bumps(authority: &Authority, count: usize) -> Vec<Op<epochkey::Epoch, BumpError>> {
    let bump = |n| authority.bump(Scope::user(format!("user-{n}")));
    (0..count).map(bump).collect()
}

/// While it waits for the disk, everything that request handlers call returns.
#[test]
fn nobody_but_whoever_asks_waits_for_the_disk() {
    let (disk, secret) = (Disk::default(), MasterSecret::generate().unwrap());
    let kept = Arc::new(store(&disk));
    let authority = authority(Arc::clone(&kept), &secret);
    let token = authority.issue(Grant::user("user-0")).unwrap();
    let known = snapshot(&kept).head;

    disk.hold();
    let first = authority.bump(Scope::user("user-0"));
    disk.until_somebody_waits();
    assert!(authority.verify(&token).is_ok(), "it is not in force yet");
    let others = bumps(&authority, 100);
    let (answered, answer) = mpsc::channel();
    let query = SessionQuery {
        known,
        rows: Rows::One(RowId::from_bytes([1; 16])),
        now: StoreTime::default(),
    };
    kept.sessions(query, Box::new(move |rows| drop(answered.send(rows))));
    let rows = answer.recv().unwrap().unwrap().value;
    assert_eq!(rows, Some(Vec::new()), "reading goes on beside it");
    kept.wake();

    disk.release();
    first.wait().unwrap();
    assert!(authority.verify(&token).is_err());
    for bump in others {
        bump.wait().unwrap();
    }
}

/// However many there are.
#[test]
fn those_that_wait_share_one_transaction() {
    let (disk, secret) = (Disk::default(), MasterSecret::generate().unwrap());
    drop(authority(store(&disk), &secret));
    let kept = store(&disk);
    let known = snapshot(&kept).head;
    let (answered, answers) = mpsc::channel();
    let send = |number| {
        let answered = answered.clone();
        let done = move |answer: Result<_, _>| {
            let _ = answered.send(answer.is_ok());
        };
        let commit = Commit {
            events: vec![bump(number)],
            ..empty_commit(known)
        };
        kept.commit(commit, Box::new(done));
    };
    let alone = |number| {
        let before = disk.syncs();
        send(number);
        assert!(answers.recv().unwrap());
        disk.syncs() - before
    };
    let (_first_since_it_was_opened, alone) = (alone(0), alone(1));

    disk.hold();
    let before = disk.syncs();
    send(2);
    disk.until_somebody_waits();
    (3..203).for_each(send);
    disk.release();
    assert!(answers.iter().take(201).all(|is_ok| is_ok));
    assert_eq!(disk.syncs() - before, 2 * alone);
    assert_eq!(snapshot(&kept).head.position, known.position + 203);
}

/// The thread that follows the log had no time yet to see it.
#[test]
fn what_was_acknowledged_comes_into_force_though_the_disk_breaks() {
    let (disk, secret) = (Disk::default(), MasterSecret::generate().unwrap());
    let kept = Arc::new(store(&disk));
    let builder = testing::by_hand(Authority::builder("i", "a")).master_secret(secret);
    let authority = builder.open(Arc::clone(&kept)).unwrap();
    let token = |user: &str| authority.issue(Grant::user(user)).unwrap();
    let (revoked, other) = (token("user"), token("other"));
    let bump = authority.bump(Scope::user("user"));
    // Answered after what came before it.
    kept.tidy(tidy(snapshot(&kept).head)).unwrap();
    assert!(
        authority.verify(&revoked).is_ok(),
        "nobody has followed yet"
    );

    disk.set_broken(true);
    // With this the store has noticed.
    let failed = authority.bump(Scope::user("other")).wait();
    assert!(failed.unwrap_err().is_transient());
    testing::finish(&authority, bump).unwrap();
    for _ in 0..3 {
        testing::follow(&authority).unwrap();
        assert_eq!(authority.verify(&revoked).unwrap_err().label(), "revoked");
        assert!(authority.verify(&other).is_ok());
    }

    disk.set_broken(false);
    testing::finish(&authority, authority.bump(Scope::user("other"))).unwrap();
    assert!(authority.verify(&other).is_err());
}

fn tidy(known: Place) -> Tidy {
    Tidy {
        known,
        epochs_up_to: 0,
        events_up_to: 0,
        events_before: StoreTime::default(),
        sessions_before: StoreTime::default(),
        receipts_before: StoreTime::default(),
        now: StoreTime::default(),
    }
}

/// One that has waited for the disk is dated with those that came while it waited, and not
/// when it was asked for: a window that begins with it would be over before it is known.
#[test]
fn what_has_waited_is_dated_when_it_is_made() {
    let (disk, secret) = (Disk::default(), MasterSecret::generate().unwrap());
    drop(authority(store(&disk), &secret));
    let kept = store(&disk);
    let known = snapshot(&kept).head;
    let (answered, answers) = mpsc::channel();
    let send = |number, millis| {
        let answered = answered.clone();
        let done = move |answer: Result<epochkey::store::Answer<Outcome>, _>| {
            let _ = answered.send((number, answer.unwrap().time.as_unix_millis()));
        };
        let commit = Commit {
            events: vec![bump(number)],
            now: StoreTime::from_unix_millis(millis),
            ..empty_commit(known)
        };
        kept.commit(commit, Box::new(done));
    };
    disk.hold();
    send(0, 1_000);
    disk.until_somebody_waits();
    send(1, 1_100);
    send(2, 13_000);
    disk.release();
    let times: Vec<_> = answers.iter().take(3).collect();
    assert_eq!(times, [(0, 1_000), (1, 13_000), (2, 13_000)]);
}

/// Dropping the store cancels nothing.
#[test]
fn what_was_asked_for_is_done_before_the_store_goes() {
    let (disk, secret) = (Disk::default(), MasterSecret::generate().unwrap());
    drop(authority(store(&disk), &secret));
    let kept = store(&disk);
    let known = snapshot(&kept).head;
    disk.hold();
    let (answered, answers) = mpsc::channel();
    for number in 0..20 {
        let answered = answered.clone();
        let done = move |answer: Result<_, _>| {
            let _ = answered.send(answer.is_ok());
        };
        let commit = Commit {
            events: vec![bump(number)],
            ..empty_commit(known)
        };
        kept.commit(commit, Box::new(done));
    }
    drop(answered);
    disk.until_somebody_waits();
    let release = disk.clone();
    std::thread::spawn(move || release.release());
    drop(kept);
    let done: Vec<_> = answers.try_iter().collect();
    assert_eq!(done, [true; 20]);
    let head = snapshot(&store(&disk)).head;
    assert_eq!(head.position, known.position + 20);
}

/// As when a handler was dropped, and its operation is the last to know of the authority.
#[test]
fn the_last_of_a_store_may_go_on_its_own_thread() {
    let site = Site::new();
    drop(site.authority());
    let store = Arc::new(site.store());
    let known = snapshot(&store).head;
    let (answered, answer) = mpsc::channel();
    let last = Arc::clone(&store);
    let (go, gone) = mpsc::channel::<()>();
    let done = move |answer: Result<epochkey::store::Answer<Outcome>, _>| {
        // Until the other one is gone.
        let _ = gone.recv();
        drop(last);
        let _ = answered.send(answer.is_ok());
    };
    store.commit(empty_commit(known), Box::new(done));
    drop(store);
    drop(go);
    assert!(answer.recv().unwrap());
    // The thread ends on its own, and the file with it.
    while let Err(error) = RedbStore::open(site.path()) {
        assert_eq!(error.label(), "in_use");
        std::thread::yield_now();
    }
}
