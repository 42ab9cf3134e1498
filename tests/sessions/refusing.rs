//! A store that refuses commits, or fails to make them: what is tried again, how often, and what
//! is told.

use std::sync::{Arc, Mutex};

use epochkey::{
    Authority, Grant, MemoryStore, StoreError, TokenPair,
    store::{Answer, Commit, Completion, Outcome, Refusal, Store},
};

/// How the next commits are answered, and none of them made.
#[derive(Clone, Copy)]
enum Answers {
    /// As if another one had changed a row, this time.
    OvertakenOnce,
    /// The same each time.
    AlwaysOvertaken,
    /// With an error, this time.
    FailsOnce,
}

#[derive(Clone, Default)]
struct Refusing {
    store: Arc<MemoryStore>,
    answers: Arc<Mutex<Option<Answers>>>,
}

impl Refusing {
    fn open(&self) -> Authority {
        let builder = Authority::builder("https://issuer.test", "api");
        builder.open(self.clone()).unwrap()
    }

    fn answer(&self, answers: Answers) {
        *self.answers.lock().unwrap() = Some(answers);
    }
}

impl Store for Refusing {
    delegate!(store: reach, events_after, standing, snapshot, begin, sessions, rewrap, tidy, receipts, wake);

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let mut answers = self.answers.lock().unwrap();
        let answer = match *answers {
            Some(Answers::AlwaysOvertaken) => *answers,
            _ => answers.take(),
        };
        drop(answers);
        let refused = Answer {
            value: Outcome::Refused(Refusal::Session),
            time: commit.now,
        };
        match answer {
            None => self.store.commit(commit, done),
            Some(Answers::FailsOnce) => done(Err(StoreError::unavailable("the disk is full"))),
            Some(_) => done(Ok(refused)),
        }
    }
}

/// Each operation that reads sessions before it commits, and the label of its error.
type Operation = fn(&Authority, &TokenPair) -> Result<(), &'static str>;
const OPERATIONS: [Operation; 4] = [
    |authority, _| {
        let start = authority
            .sessions()
            .start(Grant::user("u"), "another device");
        start.wait().map(drop).map_err(|error| error.label())
    },
    |authority, pair| {
        let refresh = authority.sessions().refresh(&pair.refresh);
        refresh.wait().map(drop).map_err(|error| error.label())
    },
    |authority, pair| {
        let ends = authority.sessions().end_others(pair.session.id());
        ends.wait().map_err(|error| error.label())
    },
    |authority, pair| {
        let proved = authority.sessions().reauthenticated(pair.session.id());
        proved.wait().map(drop).map_err(|error| error.label())
    },
];

/// What each operation comes to on a store that answers its commits so.
fn outcomes(answers: Answers) -> [Result<(), &'static str>; 4] {
    OPERATIONS.map(|operation| {
        let store = Refusing::default();
        let authority = store.open();
        let start = authority.sessions().start(Grant::user("u"), "a device");
        let pair = start.wait().unwrap();
        store.answer(answers);
        operation(&authority, &pair)
    })
}

#[test]
fn who_is_overtaken_looks_again() {
    assert_eq!(outcomes(Answers::OvertakenOnce), [Ok(()); 4]);
}

/// Or two who overtake each other would do so for ever.
#[test]
fn who_is_overtaken_again_and_again_is_told() {
    let told = ["store", "try_again", "try_again", "try_again"];
    assert_eq!(outcomes(Answers::AlwaysOvertaken), told.map(Err));
}

/// Whether to try again is for whoever asked: the disk may stay full.
#[test]
fn an_error_of_the_store_is_told_at_once() {
    assert_eq!(outcomes(Answers::FailsOnce), [Err("store"); 4]);
}
