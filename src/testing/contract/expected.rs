//! What a store must show after the changes that it has answered as done.

use std::collections::{BTreeMap, BTreeSet};

use super::asker::{Asker, Shown};
use crate::store::{
    Commit, Effect, Event, HistoryId, NewEvent, NewHistory, Place, Rewrap, RowId, Rows,
    SessionChange, SessionRow, Snapshot, StoreTime, StoredKey,
};

/// How far a new history begins above all that is known of the old one.
pub(super) const LEAP: u64 = 1 << 32;

#[derive(Clone)]
pub(super) struct Expected {
    pub(super) head: Place,
    pub(super) predecessors: BTreeSet<HistoryId>,
    pub(super) secrets: Vec<u8>,
    pub(super) keys: Vec<StoredKey>,
    /// Position and secret of the newest of each tag.
    pub(super) epochs: BTreeMap<[u8; 16], (u64, [u8; 16])>,
    /// All events since the history began.
    pub(super) log: Vec<Event>,
    pub(super) rows: BTreeMap<RowId, SessionRow>,
    /// All users of rows that are or were there.
    pub(super) users: BTreeSet<[u8; 16]>,
    pub(super) tidied: Tidied,
}

/// What may be forgotten.
#[derive(Clone, Default)]
pub(super) struct Tidied {
    /// How many events, from the old end.
    pub(super) events: usize,
    pub(super) sessions_before: StoreTime,
}

impl Expected {
    /// A history that has begun in this position and at this time.
    pub(super) fn begun(new: NewHistory, position: u64, time: StoreTime) -> Self {
        let mut expected = Self {
            head: Place {
                history: new.id,
                position: position - 1,
                event: new.event.id,
            },
            predecessors: BTreeSet::new(),
            secrets: new.secrets,
            keys: Vec::new(),
            epochs: BTreeMap::new(),
            log: Vec::new(),
            rows: BTreeMap::new(),
            users: BTreeSet::new(),
            tidied: Tidied::default(),
        };
        expected.append(new.event, time);
        expected
    }

    pub(super) fn make(&mut self, commit: Commit, time: StoreTime) {
        for event in commit.events {
            self.append(event, time);
        }
        for change in commit.sessions {
            self.change_session(change, time);
        }
    }

    fn append(&mut self, event: NewEvent, time: StoreTime) {
        let (id, position) = (event.id, self.head.position + 1);
        self.take_effect(event.effect, position, time);
        self.head = Place {
            position,
            event: id,
            ..self.head
        };
        self.log.push(Event {
            position,
            id,
            time,
            body: event.body,
        });
    }

    fn take_effect(&mut self, effect: Effect, position: u64, introduced_at: StoreTime) {
        let stored = |id, record| StoredKey {
            id,
            position,
            introduced_at,
            record,
        };
        match effect {
            Effect::Epoch { tag, secret } => {
                self.epochs.insert(tag, (position, secret));
            }
            Effect::AddKey { key, record } => self.keys.push(stored(key, record)),
            Effect::ReplaceKeys { key, record } => self.keys = vec![stored(key, record)],
            Effect::RemoveKey { key } => self.keys.retain(|kept| kept.id != key),
        }
    }

    fn change_session(&mut self, change: SessionChange, time: StoreTime) {
        match change {
            SessionChange::Start(row) => {
                self.users.insert(row.user);
                let rotated_at = time;
                self.rows.insert(row.id, SessionRow { row, rotated_at });
            }
            SessionChange::Replace {
                row,
                expected,
                rotates,
            } => {
                let kept = self.rows.get_mut(&row.id);
                let kept = kept.filter(|kept| kept.row.version == expected);
                let kept = kept.expect("a row is replaced only if it is there, in its version");
                kept.row = row;
                if rotates {
                    kept.rotated_at = time;
                }
            }
            SessionChange::End { row, .. } => {
                self.rows.remove(&row);
            }
            SessionChange::EndOfUser { user, except } => (self.rows)
                .retain(|id, SessionRow { row, .. }| row.user != user || Some(*id) == except),
            SessionChange::NoOthers { .. } => {}
        }
    }

    pub(super) fn rewrap(&mut self, rewrap: Rewrap) {
        self.secrets = rewrap.secrets;
        for (key, (_, record)) in self.keys.iter_mut().zip(rewrap.keys) {
            key.record = record;
        }
    }

    /// The place of the history's event with this index.
    pub(super) fn place(&self, index: usize) -> Place {
        let event = &self.log[index];
        Place {
            position: event.position,
            event: event.id,
            ..self.head
        }
    }

    /// The position of the oldest ring key.
    pub(super) fn floor(&self) -> u64 {
        self.keys[0].position
    }
}

impl Expected {
    /// Whether the store shows this, whatever way it is asked.
    pub(super) fn check(&self, asker: &Asker) {
        self.check_snapshot(asker.snapshot());
        self.check_log(asker);
        self.check_rows(asker);
    }

    pub(super) fn check_snapshot(&self, shown: Shown) {
        let Some(snapshot) = shown.snapshot else {
            panic!("a history has begun, and there is no snapshot");
        };
        self.check_head_and_keys(&snapshot);
        let mut newest = BTreeMap::new();
        for epoch in shown.epochs {
            assert!(
                epoch.position <= self.head.position,
                "{epoch:?} is above the head of the snapshot, at {}",
                self.head.position
            );
            let of_tag = newest.entry(epoch.tag).or_insert((0, [0; 16]));
            *of_tag = (epoch.position, epoch.secret).max(*of_tag);
        }
        // Of others it may show what it likes.
        for (tag, expected) in &self.epochs {
            let shown = newest.remove(tag);
            if expected.0 > self.floor() {
                let positions = (shown.map(|(position, _)| position), Some(expected.0));
                assert_eq!(
                    positions.0, positions.1,
                    "position of the newest epoch that a snapshot shows of a tag"
                );
                assert_eq!(shown, Some(*expected), "position and secret of an epoch");
            }
        }
        assert!(newest.is_empty(), "epochs of unknown tags: {newest:?}");
    }

    fn check_head_and_keys(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.head, self.head, "the head that a snapshot shows");
        let predecessors: BTreeSet<_> = snapshot.predecessors.iter().copied().collect();
        assert_eq!(
            predecessors, self.predecessors,
            "the predecessors that a snapshot shows"
        );
        assert!(
            snapshot.secrets == self.secrets,
            "a snapshot shows the history's secrets as they were given"
        );
        let without_record = |key: &StoredKey| (key.id, key.position, key.introduced_at);
        let shown: Vec<_> = snapshot.keys.iter().map(without_record).collect();
        let expected: Vec<_> = self.keys.iter().map(without_record).collect();
        assert_eq!(
            shown, expected,
            "id, position and time of the ring keys, in the order of their positions"
        );
        assert!(
            snapshot.keys == self.keys,
            "a snapshot shows the records of ring keys as they were given"
        );
    }

    fn check_log(&self, asker: &Asker) {
        let first = self.tidied.events;
        self.check_followed(&asker.follow(self.place(first)), first);
    }

    /// Whether these are the events that follow the history's event with this index.
    pub(super) fn check_followed(&self, followed: &[Event], index: usize) {
        let following = &self.log[index + 1..];
        for (event, expected) in followed.iter().zip(following) {
            let without_body = |event: &Event| (event.position, event.id, event.time);
            assert_eq!(
                without_body(event),
                without_body(expected),
                "position, id and time of an event of the log"
            );
            assert!(
                event.body == expected.body,
                "the log gives the body of an event as it was committed"
            );
        }
        assert_eq!(
            followed.len(),
            following.len(),
            "how many events follow the event number {index}"
        );
    }

    fn check_rows(&self, asker: &Asker) {
        let ask = |rows| {
            let answer = asker.sessions(self.head, rows);
            answer.expect("rows are asked for at the log's head")
        };
        for (id, kept) in &self.rows {
            let rows = ask(Rows::One(*id));
            if rows.is_empty() && self.may_be_gone(kept) {
                continue;
            }
            assert!(rows.len() == 1, "{} rows with one id", rows.len());
            check_row(&rows[0], kept);
        }
        for user in &self.users {
            let mut of_user: BTreeMap<_, _> =
                (self.rows.iter().filter(|(_, kept)| kept.row.user == *user)).collect();
            for row in ask(Rows::OfUser(*user)) {
                let kept = of_user.remove(&row.row.id);
                let kept = kept.expect("of a user's rows, each that is there is given once");
                check_row(&row, kept);
            }
            of_user.retain(|_, kept| !self.may_be_gone(kept));
            assert!(of_user.is_empty(), "rows of a user are missing");
        }
    }

    fn may_be_gone(&self, kept: &SessionRow) -> bool {
        kept.row.expires_at < self.tidied.sessions_before
    }
}

fn check_row(row: &SessionRow, kept: &SessionRow) {
    assert_eq!(
        row.rotated_at, kept.rotated_at,
        "a row is dated as the commit by which it last counted as rotated"
    );
    assert!(
        row.row == kept.row,
        "a row is given as it was put in last: {:?} is in version {}",
        row.row.id,
        row.row.version
    );
}
