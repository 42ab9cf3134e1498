use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use epochkey::{
    StoreError,
    store::{Answer, Receipt, Store, StoreTime},
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
    delegate!(store: events_after, standing, snapshot, begin, commit, sessions, rewrap, tidy, wake);

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
}
