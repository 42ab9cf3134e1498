//! A snapshot that is read page by page, while others bump.

use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use epochkey::{
    RedisOptions, RedisStore, Store,
    store::{
        Beginning, Commit, Effect, EventId, HistoryId, KeyId, NewEvent, NewHistory, Outcome, Place,
        StoreTime,
    },
};

use crate::{
    faults::fleet::until,
    reading::pages,
    server::{self, Server},
};

const TAGS: u64 = 20_000;

fn bytes(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

/// Event `number` is at position `number + 2`, and bumps tag `number % TAGS`.
fn epochs(from: u64, count: u64) -> Vec<NewEvent> {
    let event = |number| NewEvent {
        id: EventId::from_bytes(bytes(number)),
        body: vec![1],
        effect: Effect::Epoch {
            tag: bytes(number % TAGS),
            secret: bytes(number),
        },
    };
    (from..from + count).map(event).collect()
}

fn commit(store: &RedisStore, known: Place, events: Vec<NewEvent>) {
    let (told, answer) = mpsc::channel();
    let (now, sessions) = (StoreTime::default(), Vec::new());
    let commit = Commit {
        known,
        newest_key: None,
        events,
        sessions,
        now,
    };
    store.commit(commit, Box::new(move |result| drop(told.send(result))));
    let outcome = answer.recv().unwrap().unwrap().value;
    assert!(matches!(outcome, Outcome::Done { .. }));
}

/// The epochs are read in pages, and more are bumped meanwhile than one step gives.
#[test]
fn a_snapshot_in_pages_is_of_one_moment() {
    let Some(server) = server::redis() else {
        return;
    };
    let connect = || RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
    let (writes, reads) = (connect(), connect());
    let key = KeyId::from_bytes([1; 12]);
    let new = NewHistory {
        id: HistoryId::from_bytes([1; 16]),
        beginning: Beginning::Empty,
        secrets: Vec::new(),
        event: NewEvent {
            id: EventId::from_bytes([9; 16]),
            body: vec![1],
            effect: Effect::AddKey {
                key,
                record: Vec::new(),
            },
        },
        keeps_sessions: false,
        now: StoreTime::default(),
    };
    let Outcome::Done { head } = writes.begin(new).unwrap().value else {
        panic!("it is empty");
    };
    commit(&writes, head, epochs(0, TAGS));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = TAGS;
            while !done.load(Ordering::SeqCst) {
                commit(&writes, head, epochs(next, 700));
                next += 700;
                // Page by page: who reads would never come to an end if others wrote faster.
                let given = pages(&server);
                until("a page is read", || {
                    pages(&server) > given || done.load(Ordering::SeqCst)
                });
            }
        });
        let mut wrong = Vec::new();
        for _ in 0..8 {
            let mut shown: HashMap<[u8; 16], (u64, [u8; 16])> = HashMap::new();
            let snapshot = reads.snapshot(StoreTime::default(), &mut |epoch| {
                let newest = shown
                    .entry(epoch.tag)
                    .or_insert((epoch.position, epoch.secret));
                if epoch.position >= newest.0 {
                    *newest = (epoch.position, epoch.secret);
                }
            });
            let head = snapshot.unwrap().value.unwrap().head.position - 2;
            for tag in 0..TAGS {
                let number = head - (head + TAGS - tag) % TAGS;
                if shown.get(&bytes(tag)) != Some(&(number + 2, bytes(number))) {
                    wrong.push((head, tag));
                }
            }
        }
        done.store(true, Ordering::SeqCst);
        assert!(
            wrong.is_empty(),
            "{} epochs are not the newest",
            wrong.len()
        );
    });
}
