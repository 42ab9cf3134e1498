//! A snapshot that is read row by row, while others bump.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use epochkey::{
    PostgresOptions, PostgresStore, Store,
    store::{Beginning, Effect, NewEvent, StoreTime, StoredEpoch},
};

use crate::{
    faults::fleet::{LONG, until},
    hand::{count, patient},
    raw::{begin, bytes, commit, event},
    server::{self, Server},
};

const TAGS: u64 = 100_000;

/// Event `number` is at position `number + 2`, and bumps tag `number % TAGS`.
fn epochs(from: u64, count: u64) -> Vec<NewEvent> {
    let epoch = |number| Effect::Epoch {
        tag: bytes(number % TAGS),
        secret: bytes(number),
    };
    (from..from + count)
        .map(|number| event(number, epoch(number)))
        .collect()
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let Some(server) = server::postgres() else {
        return;
    };
    let connect = || PostgresStore::connect(&server.url(), patient()).unwrap();
    let (writes, reads) = (connect(), connect());
    let head = begin(&writes, 1 << 60, Beginning::Empty);
    for from in (0..TAGS).step_by(10_000) {
        commit(&writes, head, epochs(from, 10_000));
    }
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = TAGS;
            while !done.load(Ordering::SeqCst) {
                commit(&writes, head, epochs(next, 700));
                next += 700;
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (mut wrong, mut while_read) = (Vec::new(), 0);
        for _ in 0..4 {
            let before = written.load(Ordering::SeqCst);
            until("others write", || written.load(Ordering::SeqCst) > before);
            let before = written.load(Ordering::SeqCst);
            let mut shown: HashMap<[u8; 16], (u64, [u8; 16])> = HashMap::new();
            let snapshot = reads.snapshot(StoreTime::default(), &mut |epoch| {
                shown.insert(epoch.tag, (epoch.position, epoch.secret));
            });
            while_read += written.load(Ordering::SeqCst) - before;
            let head = snapshot.unwrap().value.unwrap().head.position - 2;
            for tag in 0..TAGS {
                let number = head - (head + TAGS - tag) % TAGS;
                if shown.get(&bytes(tag)) != Some(&(number + 2, bytes(number))) {
                    wrong.push((head, tag));
                }
            }
        }
        done.store(true, Ordering::SeqCst);
        assert!(while_read > 0, "nobody wrote meanwhile");
        let wrong = wrong.len();
        assert_eq!(wrong, 0, "epochs are not the newest");
    });
}

/// Whoever changes everything between its first row and its last.
#[test]
fn a_snapshot_is_of_the_moment_at_which_it_began() {
    let Some(server) = server::postgres() else {
        return;
    };
    let options = PostgresOptions::new().response_timeout(LONG);
    let store = PostgresStore::connect(&server.url(), options).unwrap();
    let head = begin(&store, 1 << 60, Beginning::Empty);
    let head = commit(&store, head, epochs(0, 10));
    let mut other = server.connection().unwrap();
    other
        .batch_execute("BEGIN; LOCK TABLE epochkey.epochs")
        .unwrap();
    // Whoever has only just connected waits for the table, too, to have the server know it.
    let reads_epochs = "wait_event_type = 'Lock' AND query LIKE 'SELECT epochs.tag%'";
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut shown = Vec::new();
            let page = &mut |epoch: StoredEpoch| shown.push((epoch.position, epoch.secret));
            let snapshot = store.snapshot(StoreTime::default(), page);
            shown.sort_unstable();
            (snapshot.unwrap().value.unwrap().head, shown)
        });
        until("it has read the head", || count(&server, reads_epochs) == 1);
        let change = "UPDATE epochkey.epochs SET position = position + 10;
            UPDATE epochkey.head SET position = position + 10;
            COMMIT";
        other.batch_execute(change).unwrap();
        let (shown_head, shown) = reading.join().unwrap();
        assert_eq!(shown_head, head);
        let before: Vec<_> = (0..10).map(|number| (number + 2, bytes(number))).collect();
        assert_eq!(shown, before);
    });
}
