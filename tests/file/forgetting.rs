//! What may be forgotten goes from the file, in steps, and nothing else.

use std::{sync::mpsc, time::Duration};

use epochkey::{
    RedbStore, Store,
    store::{
        Commit, Effect, EventId, Heartbeat, KeyId, NewEvent, NewRow, News, Outcome, Place,
        ReplicaId, RowId, RowVersion, Rows, SessionChange, SessionQuery, Snapshot, Standing,
        StoreTime, StoredEpoch, Tidy,
    },
};

use crate::support::Site;

/// More than a step looks at.
const MANY: u64 = 10_000;

/// A store, asked as an authority asks it.
struct Asker {
    store: RedbStore,
    head: Place,
    ids: u128,
}

impl Asker {
    fn new(site: &Site) -> Self {
        drop(site.authority());
        let store = site.store();
        let head = snapshot(&store).0.head;
        let ids = 0;
        Self { store, head, ids }
    }

    fn bytes(&mut self) -> [u8; 16] {
        self.ids += 1;
        self.ids
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes()
    }

    fn event(&mut self, effect: Effect) -> NewEvent {
        NewEvent {
            id: EventId::from_bytes(self.bytes()),
            body: vec![0; 33],
            effect,
        }
    }

    fn bump(&mut self) -> NewEvent {
        let (tag, secret) = (self.bytes(), self.bytes());
        self.event(Effect::Epoch { tag, secret })
    }

    fn commit(&mut self, events: Vec<NewEvent>, sessions: Vec<SessionChange>, now: u64) {
        let (answered, answer) = mpsc::channel();
        let commit = Commit {
            known: self.head,
            newest_key: None,
            events,
            sessions,
            now: StoreTime::from_unix_millis(now),
        };
        self.store
            .commit(commit, Box::new(move |answer| drop(answered.send(answer))));
        let Outcome::Done { head } = answer.recv().unwrap().unwrap().value else {
            panic!("refused");
        };
        self.head = head;
    }

    fn tidy(&self) -> Tidy {
        Tidy {
            known: self.head,
            epochs_up_to: 0,
            events_up_to: 0,
            events_before: StoreTime::default(),
            sessions_before: StoreTime::default(),
            receipts_before: StoreTime::default(),
            now: StoreTime::default(),
        }
    }

    /// Until `is_done`: every question of the thread that writes takes a step.
    fn tidy_until(&self, tidy: Tidy, is_done: impl Fn(&RedbStore) -> bool) {
        for _ in 0..1000 {
            self.store.tidy(tidy).unwrap();
            if is_done(&self.store) {
                return;
            }
        }
        panic!("it is not forgotten");
    }

    fn standing(&self, place: Place) -> Standing {
        self.store
            .standing(place, StoreTime::default())
            .unwrap()
            .value
    }

    fn user_rows(&self, user: [u8; 16]) -> usize {
        let (answered, answer) = mpsc::channel();
        let query = SessionQuery {
            known: self.head,
            rows: Rows::OfUser(user),
            now: StoreTime::default(),
        };
        self.store
            .sessions(query, Box::new(move |answer| drop(answered.send(answer))));
        answer.recv().unwrap().unwrap().value.unwrap().len()
    }
}

fn snapshot(store: &RedbStore) -> (Snapshot, Vec<StoredEpoch>) {
    let mut epochs = Vec::new();
    let answer = store.snapshot(StoreTime::default(), &mut |epoch| epochs.push(epoch));
    (answer.unwrap().value.unwrap(), epochs)
}

#[test]
fn events_go_up_to_where_they_may() {
    let site = Site::new();
    let mut asker = Asker::new(&site);
    let first = asker.head;
    let bumps = (0..MANY).map(|_| asker.bump()).collect();
    asker.commit(bumps, Vec::new(), 1_000);
    let middle = asker.head;
    let bumps = (0..100).map(|_| asker.bump()).collect();
    asker.commit(bumps, Vec::new(), 2_000);
    let tidy = Tidy {
        events_up_to: middle.position - 1,
        events_before: StoreTime::from_unix_millis(u64::MAX >> 1),
        ..asker.tidy()
    };
    let before_middle = Place {
        position: middle.position - 1,
        ..middle
    };
    asker.tidy_until(tidy, |_| asker.standing(before_middle) == Standing::Trimmed);
    assert_eq!(asker.standing(first), Standing::Trimmed);
    assert_eq!(asker.standing(middle), Standing::Part);
    let heartbeat = Heartbeat {
        replica: ReplicaId::from_bytes([1; 16]),
        applied: Some(middle),
        max_staleness: Duration::from_secs(10),
        now: StoreTime::default(),
    };
    let news = asker
        .store
        .events_after(heartbeat, Duration::ZERO)
        .unwrap()
        .value;
    assert!(matches!(news, News::Events { events, more: false } if events.len() == 100));
    let epochs = snapshot(&asker.store).1.len() as u64;
    assert_eq!(epochs, MANY + 100, "epochs are not events");
}

/// More than a step looks at, and no other change comes.
#[test]
fn what_is_left_is_forgotten_though_nobody_asks() {
    let site = Site::new();
    let mut asker = Asker::new(&site);
    let bumps = (0..MANY).map(|_| asker.bump()).collect();
    asker.commit(bumps, Vec::new(), 1_000);
    let before_last = Place {
        position: asker.head.position - 1,
        ..asker.head
    };
    let tidy = Tidy {
        events_up_to: asker.head.position,
        events_before: StoreTime::from_unix_millis(u64::MAX >> 1),
        ..asker.tidy()
    };
    asker.store.tidy(tidy).unwrap();
    while asker.standing(before_last) != Standing::Trimmed {
        std::thread::yield_now();
    }
    assert_eq!(asker.standing(asker.head), Standing::Part);
}

/// By whom they were bumped does not matter, nor how often: what is above the oldest key
/// stays.
#[test]
fn epochs_go_up_to_the_oldest_key() {
    let site = Site::new();
    let mut asker = Asker::new(&site);
    let oldest = snapshot(&asker.store).0.keys[0].id;
    let bumps = (0..MANY).map(|_| asker.bump()).collect();
    asker.commit(bumps, Vec::new(), 1_000);
    let bumped_again = asker.bump();
    let key = KeyId::from_bytes([9; 12]);
    let record = vec![1; 80];
    let add = asker.event(Effect::AddKey { key, record });
    asker.commit(vec![bumped_again.clone(), add], Vec::new(), 2_000);
    let of_key = asker.head.position;
    let again = NewEvent {
        id: EventId::from_bytes(asker.bytes()),
        ..bumped_again
    };
    let mut bumps: Vec<_> = (0..MANY).map(|_| asker.bump()).collect();
    bumps.push(again);
    bumps.push(asker.event(Effect::RemoveKey { key: oldest }));
    asker.commit(bumps, Vec::new(), 3_000);

    let size = |store: &RedbStore| {
        let (_, epochs) = snapshot(store);
        assert_eq!(epochs.len() as u64, MANY + 1);
        assert!(epochs.iter().all(|epoch| epoch.position > of_key));
    };
    let tidy = Tidy {
        epochs_up_to: of_key + MANY,
        ..asker.tidy()
    };
    for _ in 0..10 {
        asker.store.tidy(tidy).unwrap();
        size(&asker.store);
    }
    drop(asker);
    assert_eq!(rows(&site, "epochs"), MANY + 1);
}

#[test]
fn sessions_go_when_they_have_expired() {
    let site = Site::new();
    let mut asker = Asker::new(&site);
    let user = asker.bytes();
    let row = |asker: &mut Asker, expires_at| {
        SessionChange::Start(NewRow {
            id: RowId::from_bytes(asker.bytes()),
            user,
            version: RowVersion::from_bytes(asker.bytes()),
            expires_at: StoreTime::from_unix_millis(expires_at),
            body: vec![2; 40],
        })
    };
    let mut rows_of: Vec<_> = (0..MANY).map(|_| row(&mut asker, 999_999)).collect();
    rows_of.extend((0..50).map(|_| row(&mut asker, 1_000_000)));
    asker.commit(Vec::new(), rows_of, 1_000);
    let tidy = Tidy {
        sessions_before: StoreTime::from_unix_millis(1_000_000),
        ..asker.tidy()
    };
    asker.tidy_until(tidy, |_| asker.user_rows(user) == 50);
    for _ in 0..10 {
        asker.store.tidy(tidy).unwrap();
    }
    assert_eq!(asker.user_rows(user), 50);
    drop(asker);
    assert_eq!(
        (rows(&site, "sessions"), rows(&site, "sessions_by_user")),
        (50, 50)
    );
}

/// By a clock that was ahead when something was to be forgotten, and was set right.
#[test]
fn sessions_go_by_the_clock_of_now() {
    let site = Site::new();
    let mut asker = Asker::new(&site);
    let user = asker.bytes();
    let start = |asker: &mut Asker, expires_at| {
        let row = NewRow {
            id: RowId::from_bytes(asker.bytes()),
            user,
            version: RowVersion::from_bytes(asker.bytes()),
            expires_at: StoreTime::from_unix_millis(expires_at),
            body: Vec::new(),
        };
        asker.commit(Vec::new(), vec![SessionChange::Start(row)], 1);
    };
    let before = |asker: &Asker, millis| Tidy {
        sessions_before: StoreTime::from_unix_millis(millis),
        ..asker.tidy()
    };
    asker.store.tidy(before(&asker, 9_000_000_000_000)).unwrap();
    start(&mut asker, 1_000_000);
    asker.store.tidy(before(&asker, 1_000_000)).unwrap();
    assert_eq!(asker.user_rows(user), 1, "it has not expired");
    let later = before(&asker, 2_000_000);
    asker.tidy_until(later, |_| asker.user_rows(user) == 0);
}

/// How many rows a table of the file has.
fn rows(site: &Site, table: &str) -> u64 {
    use redb::{ReadableDatabase, ReadableTableMetadata, TableHandle};

    let database = redb::Database::open(site.path()).unwrap();
    let transaction = database.begin_read().unwrap();
    let mut tables = transaction.list_tables().unwrap();
    let table = tables.find(|handle| handle.name() == table).unwrap();
    transaction
        .open_untyped_table(table)
        .unwrap()
        .len()
        .unwrap()
}
