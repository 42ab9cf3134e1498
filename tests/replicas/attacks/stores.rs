//! Stores that do something else in the middle of a request.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use epochkey::{
    MemoryStore, StoreError,
    store::{
        Answer, Commit, Completion, EventId, Heartbeat, News, Outcome, Place, Reach, Standing,
        Store, StoreTime, Tidy,
    },
    testing::FaultyStore,
};

pub(crate) type Action = Box<dyn FnOnce() + Send>;

/// Does something once when the next answer to `events_after` was made and is on its way.
#[derive(Clone)]
pub(crate) struct Between {
    store: FaultyStore,
    action: Arc<Mutex<Option<Action>>>,
    pub(crate) questions: Arc<AtomicUsize>,
}

impl Between {
    pub(crate) fn on(store: FaultyStore) -> Self {
        Self {
            store,
            action: Arc::default(),
            questions: Arc::default(),
        }
    }

    pub(crate) fn then(&self, action: impl FnOnce() + Send + 'static) {
        *self.action.lock().unwrap() = Some(Box::new(action));
    }
}

impl Store for Between {
    delegate!(store: standing, snapshot, begin, commit, sessions, rewrap, tidy, receipts, wake);

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let answer = self.store.events_after(heartbeat, wait);
        let action = self.action.lock().unwrap().take();
        if let Some(action) = action {
            action();
        }
        answer
    }
}

/// Does something once when it is asked how a place stands, before it answers.
#[derive(Clone)]
pub(crate) struct AtStanding {
    store: FaultyStore,
    action: Arc<Mutex<Option<Action>>>,
}

impl AtStanding {
    pub(crate) fn on(store: FaultyStore) -> Self {
        let action = Arc::default();
        Self { store, action }
    }

    pub(crate) fn then(&self, action: impl FnOnce() + Send + 'static) {
        *self.action.lock().unwrap() = Some(Box::new(action));
    }
}

impl Store for AtStanding {
    delegate!(store: events_after, snapshot, begin, commit, sessions, rewrap, tidy, receipts, wake);

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        let action = self.action.lock().unwrap().take();
        if let Some(action) = action {
            action();
        }
        self.store.standing(place, now)
    }
}

/// An embedded store with one thread for all that writes. Its disk is full.
pub(crate) struct OneWriter {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) writer: mpsc::Sender<Action>,
    pub(crate) tidies: Arc<AtomicUsize>,
}

impl Store for OneWriter {
    delegate!(store: events_after, standing, snapshot, begin, sessions, rewrap, receipts, wake);

    fn reach(&self) -> Reach {
        Reach::Embedded
    }

    fn commit(&self, _: Commit, done: Completion<Outcome>) {
        let full = || StoreError::unavailable("the disk is full");
        self.writer
            .send(Box::new(move || done(Err(full()))))
            .unwrap();
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        let (sender, answer) = mpsc::channel();
        let store = Arc::clone(&self.store);
        let write = move || sender.send(store.tidy(tidy)).unwrap();
        self.writer.send(Box::new(write)).unwrap();
        self.tidies.fetch_add(1, Ordering::SeqCst);
        answer.recv().map_err(StoreError::unavailable)?
    }
}

/// Says that a commit was made that ended with another event.
pub(crate) struct OtherHead(pub(crate) FaultyStore);

impl Store for OtherHead {
    delegate!(0: events_after, standing, snapshot, begin, sessions, rewrap, tidy, receipts, wake);

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let other = |answer: Answer<Outcome>| Answer {
            value: match answer.value {
                Outcome::Done { head } => Outcome::Done {
                    head: Place {
                        event: EventId::from_bytes([7; 16]),
                        ..head
                    },
                },
                refused => refused,
            },
            ..answer
        };
        let done = Box::new(move |answer: Result<_, _>| done(answer.map(other)));
        self.0.commit(commit, done);
    }
}
