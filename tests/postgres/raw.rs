//! A store as authorities use it, with ids that tell what they are of.

use std::sync::mpsc;

use epochkey::{
    PostgresStore, Store,
    store::{
        Beginning, Commit, Effect, EventId, HistoryId, KeyId, NewEvent, NewHistory, NewRow,
        Outcome, Place, Rewrap, RowId, RowVersion, SessionChange, Snapshot, StoreTime, Tidy,
    },
};

/// Long after everything.
pub(crate) fn far() -> StoreTime {
    StoreTime::from_unix_millis(1 << 50)
}

pub(crate) fn bytes(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

pub(crate) fn event(number: u64, effect: Effect) -> NewEvent {
    NewEvent {
        id: EventId::from_bytes(bytes(number)),
        body: vec![1],
        effect,
    }
}

pub(crate) fn key(number: u8) -> Effect {
    Effect::AddKey {
        key: KeyId::from_bytes([number; 12]),
        record: vec![number],
    }
}

/// Begins a history of this number, with an event of the same.
pub(crate) fn begin(store: &PostgresStore, number: u64, beginning: Beginning) -> Place {
    let new = NewHistory {
        id: HistoryId::from_bytes(bytes(number)),
        beginning,
        secrets: Vec::new(),
        event: event(number, key(1)),
        keeps_sessions: false,
        now: StoreTime::default(),
    };
    match store.begin(new).unwrap().value {
        Outcome::Done { head } => head,
        refused => panic!("{refused:?}"),
    }
}

pub(crate) fn commit_all(
    store: &PostgresStore,
    known: Place,
    events: Vec<NewEvent>,
    sessions: Vec<SessionChange>,
) -> Place {
    let (told, answer) = mpsc::channel();
    let commit = Commit {
        known,
        newest_key: None,
        events,
        sessions,
        now: StoreTime::default(),
    };
    store.commit(commit, Box::new(move |result| drop(told.send(result))));
    match answer.recv().unwrap().unwrap().value {
        Outcome::Done { head } => head,
        refused => panic!("{refused:?}"),
    }
}

pub(crate) fn commit(store: &PostgresStore, known: Place, events: Vec<NewEvent>) -> Place {
    commit_all(store, known, events, Vec::new())
}

pub(crate) fn start(number: u64, user: u64, expires_at: StoreTime) -> SessionChange {
    SessionChange::Start(NewRow {
        id: RowId::from_bytes(bytes(number)),
        user: bytes(user),
        version: RowVersion::from_bytes(bytes(number)),
        expires_at,
        body: vec![0; 200],
    })
}

pub(crate) fn snapshot(store: &PostgresStore) -> Snapshot {
    let snapshot = store.snapshot(StoreTime::default(), &mut |_| {});
    snapshot.unwrap().value.unwrap()
}

/// Forgets nothing, until told otherwise.
pub(crate) fn tidy(known: Place) -> Tidy {
    let never = StoreTime::default();
    Tidy {
        known,
        epochs_up_to: 0,
        events_up_to: 0,
        events_before: never,
        sessions_before: never,
        receipts_before: never,
        now: never,
    }
}

/// Wraps anew what it has, and forgets all that it may but receipts.
pub(crate) fn rewrap_and_tidy(store: &PostgresStore) {
    let snapshot = snapshot(store);
    let keys = snapshot.keys.iter().map(|key| (key.id, key.record.clone()));
    let rewrap = Rewrap {
        known: snapshot.head,
        secrets: snapshot.secrets.clone(),
        keys: keys.collect(),
        now: StoreTime::default(),
    };
    let rewrapped = store.rewrap(rewrap).unwrap().value;
    assert!(matches!(rewrapped, Outcome::Done { .. }));
    let all = Tidy {
        epochs_up_to: snapshot.head.position,
        events_up_to: snapshot.head.position,
        events_before: far(),
        sessions_before: far(),
        ..tidy(snapshot.head)
    };
    let tidied = store.tidy(all).unwrap().value;
    assert!(matches!(tidied, Outcome::Done { .. }));
}
