//! Each question that a store can be asked.

use std::{sync::mpsc, time::Duration};

use epochkey::{
    StoreError,
    store::{
        Answer, Beginning, Commit, Completion, Effect, EventId, Heartbeat, HistoryId, KeyId,
        NewEvent, NewHistory, NewRow, Outcome, Place, ReplicaId, Rewrap, RowId, RowVersion, Rows,
        SessionChange, SessionQuery, Standing, Store, StoreTime, Tidy,
    },
};

use super::persist;
use crate::random::Random;

pub(crate) const QUESTIONS: [&str; 9] = [
    "begin", "news", "snapshot", "commit", "sessions", "standing", "receipts", "tidy", "rewrap",
];

pub(crate) fn now() -> StoreTime {
    StoreTime::from_system_time(std::time::SystemTime::now())
}

/// Asks, with ids of its own.
pub(crate) struct Asker {
    random: Random,
    pub(crate) known: Place,
    key: KeyId,
}

impl Asker {
    /// Of a store in which a history begins now.
    pub(crate) fn begun(store: &dyn Store) -> Self {
        let nowhere = Place {
            history: HistoryId::from_bytes([0; 16]),
            position: 0,
            event: EventId::from_bytes([0; 16]),
        };
        let mut asker = Self {
            random: Random::new(1),
            known: nowhere,
            key: KeyId::from_bytes([0; 12]),
        };
        persist(|| asker.begin(store, Beginning::Empty));
        asker
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.random.next() as u8)
    }

    fn event(&mut self, effect: Effect) -> NewEvent {
        NewEvent {
            id: EventId::from_bytes(self.bytes()),
            body: vec![7; 40],
            effect,
        }
    }

    fn epochs(&mut self, count: usize) -> Vec<NewEvent> {
        let mut epoch = |_| {
            let (tag, secret) = (self.bytes(), self.bytes());
            self.event(Effect::Epoch { tag, secret })
        };
        (0..count).map(&mut epoch).collect()
    }

    pub(crate) fn begin(
        &mut self,
        store: &dyn Store,
        beginning: Beginning,
    ) -> Result<Outcome, StoreError> {
        let key = KeyId::from_bytes(self.bytes());
        let record = vec![9; 60];
        let new = NewHistory {
            id: HistoryId::from_bytes(self.bytes()),
            beginning,
            secrets: vec![8; 60],
            event: self.event(Effect::AddKey { key, record }),
            keeps_sessions: false,
            now: now(),
        };
        let outcome = store.begin(new)?.value;
        if let Outcome::Done { head } = outcome {
            (self.known, self.key) = (head, key);
        }
        Ok(outcome)
    }

    pub(crate) fn commit(
        &mut self,
        store: &dyn Store,
        events: usize,
    ) -> Result<Outcome, StoreError> {
        let row = NewRow {
            id: RowId::from_bytes(self.bytes()),
            user: [1; 16],
            version: RowVersion::from_bytes(self.bytes()),
            expires_at: StoreTime::from_unix_millis(u64::MAX >> 12),
            body: vec![6; 100],
        };
        let commit = Commit {
            known: self.known,
            newest_key: None,
            events: self.epochs(events),
            sessions: vec![SessionChange::Start(row)],
            now: now(),
        };
        let answer = wait(|done| store.commit(commit, done))?;
        if let Outcome::Done { head } = answer.value {
            self.known = head;
        }
        Ok(answer.value)
    }

    pub(crate) fn ask(&mut self, store: &dyn Store, question: &str) -> Result<(), StoreError> {
        let (known, now) = (self.known, now());
        match question {
            "begin" => self
                .begin(store, Beginning::InsteadOf(known.history))
                .map(drop),
            "commit" => self.commit(store, 1).map(drop),
            "news" => {
                let heartbeat = Heartbeat {
                    replica: ReplicaId::from_bytes([5; 16]),
                    applied: Some(known),
                    max_staleness: Duration::from_secs(10),
                    now,
                };
                store.events_after(heartbeat, Duration::ZERO).map(drop)
            }
            "snapshot" => store.snapshot(now, &mut drop).map(drop),
            "sessions" => {
                let rows = Rows::OfUser([1; 16]);
                let query = SessionQuery { known, rows, now };
                wait(|done| store.sessions(query, done)).map(drop)
            }
            "standing" => {
                let standing = store.standing(known, now)?.value;
                assert_eq!(standing, Standing::Part);
                Ok(())
            }
            "receipts" => store.receipts(now).map(drop),
            "tidy" => {
                let long_ago = StoreTime::from_unix_millis(1);
                let tidy = Tidy {
                    known,
                    epochs_up_to: 0,
                    events_up_to: 0,
                    events_before: long_ago,
                    sessions_before: long_ago,
                    receipts_before: long_ago,
                    now,
                };
                store.tidy(tidy).map(drop)
            }
            _ => {
                let rewrap = Rewrap {
                    known,
                    secrets: vec![4; 60],
                    keys: vec![(self.key, vec![3; 60])],
                    now,
                };
                store.rewrap(rewrap).map(drop)
            }
        }
    }
}

fn wait<T: Send + 'static>(ask: impl FnOnce(Completion<T>)) -> Result<Answer<T>, StoreError> {
    let (told, answer) = mpsc::channel();
    ask(Box::new(move |result| told.send(result).unwrap()));
    answer.recv().expect("an answer")
}

/// The history that there is.
pub(crate) fn current(store: &dyn Store) -> HistoryId {
    let snapshot = persist(|| store.snapshot(now(), &mut drop));
    snapshot.value.unwrap().head.history
}
