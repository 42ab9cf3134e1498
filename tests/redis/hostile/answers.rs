//! Each question of a store, and each lie for an answer: an error, and the next answer is good.

use std::sync::mpsc;

use epochkey::{
    StoreError,
    store::{
        Answer, Beginning, Commit, Completion, Effect, EventId, Heartbeat, HistoryId, KeyId,
        NewEvent, NewHistory, NewRow, Outcome, Place, ReplicaId, Rewrap, RowId, RowVersion, Rows,
        SessionChange, SessionQuery, Standing, Store, StoreTime, Tidy,
    },
};

use super::*;
use crate::{
    network::{LIES, Lie, deep},
    random::Random,
};

const QUESTIONS: [&str; 9] = [
    "begin", "news", "snapshot", "commit", "sessions", "standing", "receipts", "tidy", "rewrap",
];
const EPOCHS: usize = 2500;

fn now() -> StoreTime {
    StoreTime::from_system_time(std::time::SystemTime::now())
}

/// Asks, with ids of its own.
struct Asker {
    random: Random,
    known: Place,
    key: KeyId,
}

impl Asker {
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

    fn begin(&mut self, store: &RedisStore, beginning: Beginning) -> Result<Outcome, StoreError> {
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

    fn commit(&mut self, store: &RedisStore, events: usize) -> Result<Outcome, StoreError> {
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

    fn ask(&mut self, store: &RedisStore, question: &str) -> Result<(), StoreError> {
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

/// A store in which a history has begun.
fn begun(hostile: &Hostile) -> (RedisStore, Asker) {
    let store = connect(hostile);
    let nowhere = Place {
        history: HistoryId::from_bytes([0; 16]),
        position: 0,
        event: EventId::from_bytes([0; 16]),
    };
    let mut asker = Asker {
        random: Random::new(1),
        known: nowhere,
        key: KeyId::from_bytes([0; 12]),
    };
    persist(|| asker.begin(&store, Beginning::Empty));
    (store, asker)
}

/// Whether a lie may have been found out and made good: the server is told the script again.
fn is_made_good(name: &str) -> bool {
    name == "no script"
}

fn answers_to(question: &str) {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for (name, bytes) in LIES {
        persist(|| asker.ask(&store, question));
        hostile.replace("EVALSHA", Lie::Bytes(bytes.to_vec()));
        let answer = asker.ask(&store, question);
        hostile.reform();
        assert!(
            answer.is_err() || is_made_good(name),
            "{name} for {question}"
        );
        // A beginning of which nobody heard.
        if question == "begin" {
            asker.known.history = current(&store);
        }
        persist(|| asker.ask(&store, question));
    }
    let lies = [0, 1, 30].map(Lie::Truncated).into_iter();
    let lies = lies.chain([98, 99, 100_000].map(|levels| Lie::Bytes(deep(levels))));
    for lie in lies {
        persist(|| asker.ask(&store, question));
        hostile.replace("EVALSHA", lie.clone());
        let answer = asker.ask(&store, question);
        hostile.reform();
        assert!(answer.is_err(), "{lie:.40?} for {question}");
        if question == "begin" {
            asker.known.history = current(&store);
        }
        persist(|| asker.ask(&store, question));
    }
    // That one may be right by chance. What follows on its heels is not the next answer.
    for lie in [Lie::Late, Lie::Bytewise] {
        hostile.replace("EVALSHA", lie);
        let _ = asker.ask(&store, question);
        persist(|| asker.ask(&store, question));
    }
}

/// Both are right in shape, and nobody knows which is to what was asked.
#[test]
fn two_answers_to_one_question_are_none() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (_, mut asker) = begun(&hostile);
    let store = RedisStore::connect(&url(&hostile), RedisOptions::new()).unwrap();
    let time = now().as_unix_millis().to_string();
    let answer = format!("*2\r\n${}\r\n{time}\r\n$4\r\npart\r\n", time.len());
    for (extra, is_good) in [("", true), (&answer[..], false), ("*", false)] {
        persist(|| asker.ask(&store, "standing"));
        let answers = format!("{answer}{extra}").into_bytes();
        hostile.replace("EVALSHA", Lie::Bytes(answers));
        let asked = asker.ask(&store, "standing");
        hostile.reform();
        assert_eq!(asked.is_ok(), is_good, "{extra}");
    }
}

/// Nobody asks a connection that the server has closed, so that what is asked is done.
#[test]
fn a_closed_connection_is_not_asked() {
    let Some(server) = server::redis() else {
        return;
    };
    let hostile = Hostile::before(server.address()).unwrap();
    let (_, mut asker) = begun(&hostile);
    let store = RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
    for _ in 0..20 {
        server
            .command(&["CLIENT", "KILL", "TYPE", "normal"])
            .unwrap();
        asker.ask(&store, "standing").unwrap();
        asker.commit(&store, 1).unwrap();
    }
}

fn current(store: &RedisStore) -> HistoryId {
    let snapshot = persist(|| store.snapshot(now(), &mut drop));
    snapshot.value.unwrap().head.history
}

/// One after the other would take longer.
fn share(of: usize) {
    for question in QUESTIONS.iter().skip(of).step_by(3) {
        answers_to(question);
    }
}

#[test]
fn each_lie_for_each_answer_is_an_error_1() {
    share(0);
}

#[test]
fn each_lie_for_each_answer_is_an_error_2() {
    share(1);
}

#[test]
fn each_lie_for_each_answer_is_an_error_3() {
    share(2);
}

/// What is right in shape is believed or not; nothing breaks.
#[test]
fn an_altered_answer_breaks_nothing() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for question in QUESTIONS
        .into_iter()
        .filter(|&question| question != "standing")
    {
        for seed in 0..40 {
            let known = asker.known;
            hostile.replace("EVALSHA", Lie::Altered(seed));
            let _ = asker.ask(&store, question);
            hostile.reform();
            asker.known = known;
            if question == "begin" {
                asker.known.history = current(&store);
            }
        }
    }
    persist(|| store.snapshot(now(), &mut drop));
}

#[test]
fn pages_of_epochs_are_looked_at_too() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for _ in 0..EPOCHS / 250 {
        persist(|| asker.commit(&store, 250));
    }
    let read = || {
        let mut epochs = 0;
        let snapshot = store.snapshot(now(), &mut |_| epochs += 1)?;
        assert_eq!(snapshot.value.map(|snapshot| snapshot.keys.len()), Some(1));
        assert!(epochs >= EPOCHS, "{epochs}");
        Ok::<_, StoreError>(())
    };
    for (name, bytes) in LIES {
        persist(read);
        hostile.replace("HSCAN", Lie::Bytes(bytes.to_vec()));
        // A server that has forgotten its scripts is taught them again, whatever it was asked.
        assert!(name == &"no script" || read().is_err(), "{name}");
        hostile.reform();
    }
    persist(read);
}
