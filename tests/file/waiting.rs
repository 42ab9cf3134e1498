//! Who waits for the disk, and who does not.

use std::sync::{Arc, mpsc};

use epochkey::{
    Authority, BumpError, Grant, MasterSecret, Op, RedbStore, Scope, Store,
    store::{
        Commit, Effect, EventId, NewEvent, Outcome, Place, RowId, Rows, SessionQuery, Snapshot,
        StoreTime,
    },
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

fn snapshot(store: &RedbStore) -> Snapshot {
    let answer = store.snapshot(StoreTime::default(), &mut |_| {});
    answer.unwrap().value.unwrap()
}

fn empty_commit(known: Place) -> Commit {
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
    let authority = authority(store(&disk), &secret);
    let alone = {
        let before = disk.syncs();
        authority.bump(Scope::user("alone")).wait().unwrap();
        disk.syncs() - before
    };
    disk.hold();
    let before = disk.syncs();
    let first = authority.bump(Scope::user("first"));
    disk.until_somebody_waits();
    let others = bumps(&authority, 200);
    disk.release();
    first.wait().unwrap();
    for bump in others {
        bump.wait().unwrap();
    }
    assert_eq!(disk.syncs() - before, 2 * alone);
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
