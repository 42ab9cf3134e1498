//! Forgetting more than goes in one step, while others write.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use epochkey::{
    PostgresStore, Store,
    store::{Beginning, Effect, NewEvent, Outcome, Place, SessionChange, StoreTime, Tidy},
};

use crate::{
    faults::fleet::until,
    hand::patient,
    raw::{begin, bytes, commit, commit_all, event, far, key, snapshot, start, tidy},
    server::{self, PostgresServer, Server},
};

/// More than a step of each.
const MANY: u64 = 4500;

fn bumps(from: u64, count: u64) -> Vec<NewEvent> {
    let epoch = |number| Effect::Epoch {
        tag: bytes(number << 40),
        secret: bytes(number),
    };
    (from..from + count)
        .map(|number| event(number, epoch(number)))
        .collect()
}

fn starts(from: u64, count: u64, expires_at: StoreTime) -> Vec<SessionChange> {
    (from..from + count)
        .map(|number| start(number, number, expires_at))
        .collect()
}

/// What there is of the present history, in these columns.
fn numbers(server: &PostgresServer, sql: &str) -> Vec<i64> {
    let mut client = server.connection().unwrap();
    let rows = client.query(sql, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

const LOG: &str = "SELECT position FROM epochkey.log ORDER BY position";
const EPOCHS: &str = "SELECT position FROM epochkey.epochs ORDER BY position";
const SESSIONS: &str = "SELECT ('x' || right(encode(id, 'hex'), 15))::bit(60)::bigint \
    FROM epochkey.sessions ORDER BY 1";
const COUNTED: &str = "SELECT epochs FROM epochkey.head";

/// Of an old history all, and of the present one half.
fn fill(store: &PostgresStore) -> Place {
    let soon = StoreTime::from_unix_millis(1000);
    let old = begin(store, 1 << 50, Beginning::Empty);
    commit_all(store, old, bumps(1, MANY), starts(1, MANY, far()));
    let gone = Place {
        position: 1 << 30,
        ..old
    };
    let predecessors = Vec::new();
    let unknown = Beginning::Unknown {
        place: gone,
        predecessors,
    };
    let head = begin(store, 2 << 50, unknown);
    commit_all(store, head, bumps(10_000, MANY), starts(10_000, MANY, soon));
    // The oldest ring key that stays comes after these.
    let Effect::AddKey { key: id, record } = key(2) else {
        unreachable!();
    };
    let added = event(20_000, Effect::AddKey { key: id, record });
    let removed = Effect::RemoveKey {
        key: epochkey::store::KeyId::from_bytes([1; 12]),
    };
    let middle = commit(store, head, vec![added, event(20_001, removed)]);
    commit_all(
        store,
        head,
        bumps(30_000, MANY),
        starts(30_000, MANY, far()),
    );
    middle
}

#[test]
fn all_that_may_go_goes_step_by_step_and_nothing_else() {
    let Some(server) = server::postgres() else {
        return;
    };
    let connect = || PostgresStore::connect(&server.url(), patient()).unwrap();
    let (store, other) = (connect(), connect());
    let middle = fill(&store);
    let key_at = middle.position - 1;
    let head = snapshot(&store).head;
    let done = AtomicBool::new(false);
    let (stays, written) = thread::scope(|scope| {
        let (done, other) = (&done, &other);
        let writing = scope.spawn(move || {
            let mut next = 100_000;
            // Also epochs and sessions of tags and ids that the sweep has passed, or not yet.
            while !done.load(Ordering::SeqCst) {
                let again = next % 1000 + 10_000;
                let session = start(next, next, far());
                commit_all(
                    other,
                    head,
                    [bumps(again, 1), bumps(next, 1)].concat(),
                    vec![session],
                );
                next += 1;
            }
            next - 100_000
        });
        let what = Tidy {
            epochs_up_to: head.position + 1_000_000,
            events_up_to: middle.position,
            events_before: far(),
            sessions_before: StoreTime::from_unix_millis(2000),
            ..tidy(head)
        };
        let tidied = store.tidy(what).unwrap().value;
        assert!(matches!(tidied, Outcome::Done { .. }));
        // The first step did not do all.
        let stays = numbers(&server, LOG).len();
        until("all that may go is gone", || {
            let log = numbers(&server, LOG);
            log[0] > middle.position as i64
                && numbers(&server, EPOCHS)[0] > key_at as i64
                && !numbers(&server, SESSIONS)
                    .iter()
                    .any(|id| (0..30_000).contains(id))
        });
        done.store(true, Ordering::SeqCst);
        (stays, writing.join().unwrap())
    });
    assert!(written > 0);
    assert!(stays > (2 * MANY) as usize, "one step did it all");
    let top = head.position + 2 * written;
    let log: Vec<i64> = (middle.position as i64 + 1..=top as i64).collect();
    assert_eq!(numbers(&server, LOG), log);
    let kept_sessions = (30_000..30_000 + MANY).chain(100_000..100_000 + written);
    assert!(
        numbers(&server, SESSIONS)
            .into_iter()
            .eq(kept_sessions.map(|id| id as i64))
    );
    let epochs = numbers(&server, EPOCHS);
    assert!(epochs.iter().all(|position| *position > key_at as i64));
    let again = written.min(1000);
    assert_eq!(epochs.len() as u64, MANY + written + again);
    assert_eq!(numbers(&server, COUNTED), [epochs.len() as i64]);
    // It still adds up.
    let mut shown = 0;
    store
        .snapshot(StoreTime::default(), &mut |_| shown += 1)
        .unwrap();
    assert_eq!(shown, epochs.len());
}

/// A tag that was pruned while it was bumped again is kept.
#[test]
fn an_epoch_bumped_between_the_steps_stays() {
    let Some(server) = server::postgres() else {
        return;
    };
    let connect = || PostgresStore::connect(&server.url(), patient()).unwrap();
    let store = connect();
    let head = begin(&store, 1 << 50, Beginning::Empty);
    commit(&store, head, bumps(10_000, MANY));
    let removed = Effect::RemoveKey {
        key: epochkey::store::KeyId::from_bytes([1; 12]),
    };
    commit(&store, head, vec![event(1, key(2)), event(2, removed)]);
    // Every other tag, so that each step finds some.
    let again: Vec<_> = (10_000..10_000 + MANY)
        .step_by(2)
        .flat_map(|number| bumps(number, 1))
        .collect();
    let head = commit(&store, head, again);
    let all = Tidy {
        epochs_up_to: head.position,
        ..tidy(head)
    };
    store.tidy(all).unwrap();
    let left = (MANY / 2) as usize;
    until("the others are gone", || {
        numbers(&server, EPOCHS).len() == left
    });
    let mut shown = 0;
    store
        .snapshot(StoreTime::default(), &mut |_| shown += 1)
        .unwrap();
    assert_eq!(shown, left);
}
