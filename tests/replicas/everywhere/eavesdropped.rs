use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use epochkey::{
    StoreError,
    store::{
        Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Receipt, Rewrap,
        SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime, StoredEpoch, Tidy,
    },
    testing::FaultyStore,
};

type Alter = Box<dyn FnMut(&mut Vec<Receipt>) + Send>;
type Action = Box<dyn FnOnce() + Send>;

/// A connection whose receipts are not what they should be.
#[derive(Clone)]
pub(super) struct Eavesdropped {
    store: FaultyStore,
    alter: Arc<Mutex<Option<Alter>>>,
    action: Arc<Mutex<Option<Action>>>,
    /// Whether receipts cannot be read.
    pub(super) fails: Arc<AtomicBool>,
    /// How often they were asked for.
    pub(super) reads: Arc<AtomicUsize>,
}

impl Eavesdropped {
    pub(super) fn on(store: FaultyStore) -> Self {
        Self {
            store,
            alter: Arc::default(),
            action: Arc::default(),
            fails: Arc::default(),
            reads: Arc::default(),
        }
    }

    /// Changes the receipts from now on.
    pub(super) fn alter(&self, alter: impl FnMut(&mut Vec<Receipt>) + Send + 'static) {
        *self.alter.lock().unwrap() = Some(Box::new(alter));
    }

    /// Does something when the next receipts were read and are on their way.
    pub(super) fn then(&self, action: impl FnOnce() + Send + 'static) {
        *self.action.lock().unwrap() = Some(Box::new(action));
    }
}

impl Store for Eavesdropped {
    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("no permission"));
        }
        let mut answer = self.store.receipts(now)?;
        if let Some(alter) = &mut *self.alter.lock().unwrap() {
            alter(&mut answer.value);
        }
        let action = self.action.lock().unwrap().take();
        if let Some(action) = action {
            action();
        }
        Ok(answer)
    }

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        self.store.events_after(heartbeat, wait)
    }

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.store.standing(place, now)
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        self.store.snapshot(now, epochs)
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        self.store.begin(new)
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        self.store.commit(commit, done);
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.store.sessions(query, done);
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.store.rewrap(rewrap)
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        self.store.tidy(tidy)
    }

    fn wake(&self) {
        self.store.wake();
    }
}
