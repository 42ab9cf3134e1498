//! What a store holds, and a store that notes it after each change.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use epochkey::{
    RedbStore, Store, StoreError,
    store::{
        Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Reach, Receipt,
        Rewrap, RowId, Rows, SessionChange, SessionQuery, SessionRow, Snapshot, Standing,
        StoreTime, StoredEpoch, Tidy,
    },
};
use parking_lot::Mutex;

use crate::disk::Disk;

type Answered<T> = Result<Answer<T>, StoreError>;

/// The users of session rows, by their tags.
pub(crate) const USERS: [[u8; 16]; 3] = [[1; 16], [2; 16], [3; 16]];
/// The ids of session rows.
pub(crate) const ROWS: u8 = 10;
/// Of how many heads it is looked at how they stand to the log.
const PLACES: usize = 6;

pub(crate) fn row_id(number: u8) -> RowId {
    RowId::from_bytes([number; 16])
}

/// Everything that can be read from a store.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) snapshot: Option<Snapshot>,
    epochs: BTreeMap<[u8; 16], (u64, [u8; 16])>,
    /// As found by their users, and by their ids.
    pub(crate) rows: [Vec<SessionRow>; 2],
    standings: Vec<(Place, Standing)>,
}

impl Kept {
    /// What the store holds, and how these places stand to its log.
    pub(crate) fn of(store: &impl Store, places: &[Place]) -> Result<Self, StoreError> {
        let now = StoreTime::default();
        let mut epochs = BTreeMap::new();
        let mut add = |epoch: StoredEpoch| {
            epochs.insert(epoch.tag, (epoch.position, epoch.secret));
        };
        let snapshot = store.snapshot(now, &mut add)?.value;
        let mut rows = [Vec::new(), Vec::new()];
        if let Some(snapshot) = &snapshot {
            for user in USERS {
                rows[0].extend(find_rows(store, snapshot.head, Rows::OfUser(user))?);
            }
            for number in 0..ROWS {
                rows[1].extend(find_rows(store, snapshot.head, Rows::One(row_id(number)))?);
            }
        }
        let standing = |place: &Place| -> Result<_, StoreError> {
            Ok((*place, store.standing(*place, now)?.value))
        };
        Ok(Self {
            snapshot,
            epochs,
            rows,
            standings: places.iter().map(standing).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        self.standings.iter().map(|(place, _)| *place).collect()
    }

    pub(crate) fn head(&self) -> Option<Place> {
        self.snapshot.as_ref().map(|snapshot| snapshot.head)
    }

    pub(crate) fn row(&self, id: RowId) -> Option<&SessionRow> {
        self.rows[1].iter().find(|row| row.row.id == id)
    }
}

/// The rows that are found.
pub(crate) fn find_rows(
    store: &impl Store,
    known: Place,
    rows: Rows,
) -> Result<Vec<SessionRow>, StoreError> {
    let (send, receive) = mpsc::channel();
    let now = StoreTime::default();
    let query = SessionQuery { known, rows, now };
    store.sessions(query, Box::new(move |found| send.send(found).unwrap()));
    Ok(receive.recv().unwrap()?.value.unwrap())
}

/// A change that was acknowledged, and what the store held then.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// The moments of the disk at which it was asked for and acknowledged.
    pub(crate) begun: usize,
    pub(crate) done: usize,
    pub(crate) kept: Kept,
}

/// What outlives the opening and closing of a store.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Session changes that go with the next commit.
    pub(crate) joined: Vec<SessionChange>,
}

/// A store whose changes are made one by one: each is waited for, and noted.
pub(crate) struct Recorder {
    store: RedbStore,
    disk: Disk,
    pub(crate) notes: Arc<Mutex<Notes>>,
}

impl Recorder {
    pub(crate) fn open(disk: &Disk, notes: Arc<Mutex<Notes>>) -> Self {
        let storage = disk.clone();
        let store = RedbStore::open_on(move || Ok(storage.clone())).unwrap();
        let recorder = Self {
            store,
            disk: disk.clone(),
            notes,
        };
        let opened = disk.moment();
        recorder.note(opened, opened);
        recorder
    }

    fn note(&self, begun: usize, done: usize) {
        let mut notes = self.notes.lock();
        let last = notes.checkpoints.last();
        let mut places = last.map(|last| last.kept.places()).unwrap_or_default();
        let head = self.store.snapshot(StoreTime::default(), &mut |_| {});
        let head = head.unwrap().value.map(|snapshot| snapshot.head);
        places.extend(head.filter(|head| places.last() != Some(head)));
        let recent = &places[places.len().saturating_sub(PLACES)..];
        let kept = Kept::of(&self.store, recent).unwrap();
        notes.checkpoints.push(Checkpoint { begun, done, kept });
    }

    /// Notes what a change has led to, which was made, or did not hold.
    fn noted(&self, change: impl FnOnce(&RedbStore) -> Answered<Outcome>) -> Answered<Outcome> {
        let begun = self.disk.moment();
        let answer = change(&self.store);
        self.note(begun, self.disk.moment());
        answer
    }
}

/// The answer to a commit, and the moment of the disk at which it came.
pub(crate) fn commit(
    store: &impl Store,
    commit: Commit,
    disk: &Disk,
) -> (Answered<Outcome>, usize) {
    let (send, receive) = mpsc::channel();
    let disk = disk.clone();
    let done = move |answer| send.send((answer, disk.moment())).unwrap();
    store.commit(commit, Box::new(done));
    receive.recv().unwrap()
}

impl Store for Recorder {
    fn reach(&self) -> Reach {
        self.store.reach()
    }

    fn events_after(&self, heartbeat: Heartbeat, wait: Duration) -> Answered<News> {
        self.store.events_after(heartbeat, wait)
    }

    fn standing(&self, place: Place, now: StoreTime) -> Answered<Standing> {
        self.store.standing(place, now)
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Answered<Option<Snapshot>> {
        self.store.snapshot(now, epochs)
    }

    fn begin(&self, new: NewHistory) -> Answered<Outcome> {
        self.noted(|store| store.begin(new))
    }

    fn commit(&self, mut asked: Commit, done: Completion<Outcome>) {
        asked.sessions.append(&mut self.notes.lock().joined);
        let begun = self.disk.moment();
        let (answer, moment) = commit(&self.store, asked, &self.disk);
        self.note(begun, moment);
        done(answer);
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.store.sessions(query, done);
    }

    fn rewrap(&self, rewrap: Rewrap) -> Answered<Outcome> {
        self.noted(|store| store.rewrap(rewrap))
    }

    fn tidy(&self, tidy: Tidy) -> Answered<Outcome> {
        self.noted(|store| store.tidy(tidy))
    }

    fn receipts(&self, now: StoreTime) -> Answered<Vec<Receipt>> {
        self.store.receipts(now)
    }
}
