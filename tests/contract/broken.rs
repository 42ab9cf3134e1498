//! A store that breaks one thing, and the proof that the suite finds it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use epochkey::{
    Store, StoreError,
    store::{
        Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Reach, Receipt,
        Rewrap, Rows, SessionQuery, SessionRow, Snapshot, Standing, StoreTime, StoredEpoch, Tidy,
    },
    testing::{FaultyStore, store_contract},
};

pub(crate) type Answered<T> = Result<Answer<T>, StoreError>;

/// What is wrong with a store: each flaw is in one method, or in two that belong together.
pub(crate) trait Flaw: Default + Send + Sync + 'static {
    fn reach(&self) -> Reach {
        Reach::Memory
    }

    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        good.events_after(said, wait)
    }

    fn standing(&self, good: &FaultyStore, place: Place, now: StoreTime) -> Answered<Standing> {
        good.standing(place, now)
    }

    fn snapshot(
        &self,
        good: &FaultyStore,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Answered<Option<Snapshot>> {
        good.snapshot(now, epochs)
    }

    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        good.begin(new)
    }

    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        good.commit(commit, done);
    }

    fn sessions(
        &self,
        good: &FaultyStore,
        query: SessionQuery,
        done: Completion<Option<Vec<SessionRow>>>,
    ) {
        good.sessions(query, done);
    }

    fn tidy(&self, good: &FaultyStore, tidy: Tidy) -> Answered<Outcome> {
        good.tidy(tidy)
    }

    fn rewrap(&self, good: &FaultyStore, rewrap: Rewrap) -> Answered<Outcome> {
        good.rewrap(rewrap)
    }

    fn receipts(&self, good: &FaultyStore, now: StoreTime) -> Answered<Vec<Receipt>> {
        good.receipts(now)
    }
}

pub(crate) struct Broken<F> {
    good: FaultyStore,
    flaw: F,
}

impl<F: Flaw> Broken<F> {
    pub(crate) fn connected_to(good: &FaultyStore) -> Self {
        Self {
            good: good.connect(),
            flaw: F::default(),
        }
    }
}

impl<F: Flaw> Store for Broken<F> {
    fn reach(&self) -> Reach {
        self.flaw.reach()
    }

    fn events_after(&self, heartbeat: Heartbeat, wait: Duration) -> Answered<News> {
        self.flaw.events_after(&self.good, heartbeat, wait)
    }

    fn standing(&self, place: Place, now: StoreTime) -> Answered<Standing> {
        self.flaw.standing(&self.good, place, now)
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Answered<Option<Snapshot>> {
        self.flaw.snapshot(&self.good, now, epochs)
    }

    fn begin(&self, new: NewHistory) -> Answered<Outcome> {
        self.flaw.begin(&self.good, new)
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        self.flaw.commit(&self.good, commit, done);
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.flaw.sessions(&self.good, query, done);
    }

    fn rewrap(&self, rewrap: Rewrap) -> Answered<Outcome> {
        self.flaw.rewrap(&self.good, rewrap)
    }

    fn tidy(&self, tidy: Tidy) -> Answered<Outcome> {
        self.flaw.tidy(&self.good, tidy)
    }

    fn receipts(&self, now: StoreTime) -> Answered<Vec<Receipt>> {
        self.flaw.receipts(&self.good, now)
    }

    fn wake(&self) {
        self.good.wake();
    }
}

/// The head of the log, if a history has begun.
pub(crate) fn head(good: &FaultyStore) -> Option<Place> {
    let now = StoreTime::default();
    let shown = good.snapshot(now, &mut |_| {}).unwrap().value;
    shown.map(|shown| shown.head)
}

/// The answer to a commit.
pub(crate) fn committed(good: &FaultyStore, commit: Commit) -> Answer<Outcome> {
    let (send, receive) = std::sync::mpsc::channel();
    good.commit(commit, Box::new(move |answer| send.send(answer).unwrap()));
    receive.recv().unwrap().unwrap()
}

/// The rows that a query finds.
pub(crate) fn rows_of(good: &FaultyStore, known: Place, rows: Rows) -> Vec<SessionRow> {
    let now = StoreTime::default();
    let (send, receive) = std::sync::mpsc::channel();
    let query = SessionQuery { known, rows, now };
    good.sessions(query, Box::new(move |answer| send.send(answer).unwrap()));
    receive.recv().unwrap().unwrap().value.unwrap_or_default()
}

/// The suite panics at this clause if the store has this flaw.
#[track_caller]
pub(crate) fn assert_found<F: Flaw>(clause: &str) {
    assert_found_in(clause, || {
        let store = FaultyStore::embedded();
        move || Broken::<F>::connected_to(&store)
    });
}

#[track_caller]
pub(crate) fn assert_found_in<S: Store, O: Fn() -> S>(clause: &str, fresh: impl Fn() -> O) {
    let kept = catch_unwind(AssertUnwindSafe(|| store_contract(fresh)));
    let cause = kept.expect_err("the suite finds nothing");
    let text = cause.downcast_ref::<String>().unwrap();
    let expected = format!("clause `{clause}`:");
    assert!(text.contains(&expected), "not at {expected} {text}");
}
