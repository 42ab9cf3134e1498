use super::*;
use crate::store::{EventId, KeyId, NewRow, RowVersion};

fn event(number: u8, effect: Effect) -> NewEvent {
    NewEvent {
        id: EventId::from_bytes([number; 16]),
        body: Vec::new(),
        effect,
    }
}

fn key(number: u8) -> NewEvent {
    let (key, record) = (KeyId::from_bytes([number; 12]), Vec::new());
    event(number, Effect::AddKey { key, record })
}

fn epoch(number: u8) -> NewEvent {
    let (tag, secret) = ([number; 16], [number; 16]);
    event(number, Effect::Epoch { tag, secret })
}

/// A store with a key, two epochs, a second key, an epoch, and no first key any more: each event
/// has its position for its number.
fn kept() -> Kept {
    let mut kept = Kept::default();
    let now = StoreTime::default();
    kept.begin(NewHistory {
        id: HistoryId::from_bytes([1; 16]),
        beginning: Beginning::Empty,
        secrets: Vec::new(),
        event: key(1),
        keeps_sessions: false,
        now,
    });
    let first = Effect::RemoveKey {
        key: KeyId::from_bytes([1; 12]),
    };
    let outcome = kept.commit(Commit {
        known: kept.head().unwrap(),
        newest_key: None,
        events: vec![epoch(2), epoch(3), key(4), epoch(5), event(6, first)],
        sessions: Vec::new(),
        now,
    });
    assert!(matches!(outcome, Outcome::Done { .. }));
    kept
}

fn nothing(known: Place) -> Tidy {
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

/// What is kept of them is not shown either way: it would only take memory.
#[test]
fn epochs_that_may_be_forgotten_are() {
    let mut kept = kept();
    let mut tidied_up_to = |epochs_up_to| {
        kept.tidy(&Tidy {
            epochs_up_to,
            ..nothing(kept.head().unwrap())
        });
        let epochs = kept.state.as_ref().unwrap().epochs.values();
        let mut positions: Vec<_> = epochs.map(|(position, _)| *position).collect();
        positions.sort();
        positions
    };
    assert_eq!(tidied_up_to(1), [2, 3, 5]);
    assert_eq!(tidied_up_to(2), [3, 5]);
    assert_eq!(tidied_up_to(1), [3, 5]);
    assert_eq!(tidied_up_to(9), [5]);
}

#[test]
fn rows_that_may_be_forgotten_are() {
    let mut kept = kept();
    let (known, user) = (kept.head().unwrap(), [9; 16]);
    let row = |number: u8| {
        SessionChange::Start(NewRow {
            id: RowId::from_bytes([number; 16]),
            user,
            version: RowVersion::from_bytes([number; 16]),
            expires_at: StoreTime::from_unix_millis(number.into()),
            body: Vec::new(),
        })
    };
    kept.commit(Commit {
        known,
        newest_key: None,
        events: Vec::new(),
        sessions: vec![row(10), row(20)],
        now: StoreTime::default(),
    });
    let mut tidied_before = |millis| {
        kept.tidy(&Tidy {
            sessions_before: StoreTime::from_unix_millis(millis),
            ..nothing(known)
        });
        let rows = &kept.state.as_ref().unwrap().sessions;
        let of_user = rows.of_user(user);
        let number = |kept: &SessionRow| kept.row.id.as_bytes()[0];
        of_user.map(number).collect::<Vec<u8>>()
    };
    assert_eq!(tidied_before(10), [10, 20]);
    assert_eq!(tidied_before(20), [20]);
    assert!(tidied_before(21).is_empty());
}
