//! A store in memory that keeps what it is given and lies as told.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use epochkey::{
    Clock, MemoryStore, StoreError,
    store::{
        Answer, Commit, Completion, Event, Heartbeat, NewHistory, News, Outcome, Place, Reach,
        Receipt, Rewrap, SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime,
        StoredEpoch, StoredKey, Tidy,
    },
    testing::ManualClock,
};

use super::{super::input::Input, lies};

/// Clones are the same store.
#[derive(Clone)]
pub(super) struct Hostile {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    lie: Arc<Mutex<Lie>>,
    /// What was to be committed.
    commits: Arc<Mutex<Vec<Commit>>>,
    /// All ring keys that it has ever shown.
    shown: Arc<Mutex<Vec<StoredKey>>>,
}

/// What it does.
#[derive(Default)]
pub(super) enum Lie {
    /// It says the truth.
    #[default]
    None,
    /// It makes no change.
    Refuse,
    /// It says that these come next, once.
    Events(Vec<Event>),
    /// It shows this row, whichever is asked for.
    Row(SessionRow),
    /// It alters every answer, as the bytes say until they are used up.
    Any(Vec<u8>),
}

impl Hostile {
    pub(super) fn new(clock: ManualClock) -> Self {
        Self {
            store: Arc::default(),
            clock,
            lie: Arc::default(),
            commits: Arc::default(),
            shown: Arc::default(),
        }
    }

    pub(super) fn lie(&self, lie: Lie) {
        *self.lying() = lie;
    }

    /// The commits since this was asked last.
    pub(super) fn commits(&self) -> Vec<Commit> {
        mem::take(&mut *self.commits.lock().unwrap())
    }

    pub(super) fn now(&self) -> StoreTime {
        StoreTime::from_system_time(self.clock.now())
    }

    fn lying(&self) -> MutexGuard<'_, Lie> {
        self.lie.lock().unwrap()
    }

    /// The answer, altered if that is what it does.
    fn answer<T>(
        &self,
        answer: Result<Answer<T>, StoreError>,
        alter: impl FnOnce(&mut T, &mut Input<'_>),
    ) -> Result<Answer<T>, StoreError> {
        let mut answer = answer?;
        if let Lie::Any(bytes) = &mut *self.lying() {
            let mut input = Input::new(bytes);
            let failed = lies::answer(&mut answer, &mut input, alter);
            let rest = input.rest().to_vec();
            *bytes = rest;
            failed?;
        }
        Ok(answer)
    }
}

impl Store for Hostile {
    fn reach(&self) -> Reach {
        Reach::Shared
    }

    fn events_after(&self, heartbeat: Heartbeat, _: Duration) -> Result<Answer<News>, StoreError> {
        let now = self.now();
        let mut lie = self.lying();
        if let Lie::Events(events) = &mut *lie
            && !events.is_empty()
        {
            let (events, more) = (mem::take(events), false);
            let value = News::Events { events, more };
            return Ok(Answer { value, time: now });
        }
        drop(lie);
        let heartbeat = Heartbeat { now, ..heartbeat };
        let answer = self.store.events_after(heartbeat, Duration::ZERO);
        self.answer(answer, lies::news)
    }

    fn standing(&self, place: Place, _: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.answer(self.store.standing(place, self.now()), lies::standing)
    }

    fn snapshot(
        &self,
        _: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let mut kept = Vec::new();
        let answer = self
            .store
            .snapshot(self.now(), &mut |epoch| kept.push(epoch));
        let mut shown = self.shown.lock().unwrap();
        if let Ok(Answer {
            value: Some(snapshot),
            ..
        }) = &answer
        {
            shown.extend(snapshot.keys.iter().cloned());
        }
        let answer = self.answer(answer, |snapshot, input| {
            lies::epochs(&mut kept, input);
            lies::snapshot(snapshot, &shown, input);
        })?;
        kept.into_iter().for_each(epochs);
        Ok(answer)
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        let now = self.now();
        self.answer(self.store.begin(NewHistory { now, ..new }), lies::outcome)
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        self.commits.lock().unwrap().push(commit.clone());
        if matches!(*self.lying(), Lie::Refuse) {
            return done(Err(StoreError::unavailable("not now")));
        }
        let (this, now) = (self.clone(), self.now());
        self.store.commit(
            Commit { now, ..commit },
            Box::new(move |answer| done(this.answer(answer, lies::outcome))),
        );
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        let (this, now) = (self.clone(), self.now());
        let shown = match &*self.lying() {
            Lie::Row(row) => Some(vec![row.clone()]),
            _ => None,
        };
        // Without the lock, for whoever is told asks for more.
        if shown.is_some() {
            let (value, time) = (shown, now);
            return done(Ok(Answer { value, time }));
        }
        self.store.sessions(
            SessionQuery { now, ..query },
            Box::new(move |answer| done(this.answer(answer, lies::rows))),
        );
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        let now = self.now();
        self.answer(self.store.rewrap(Rewrap { now, ..rewrap }), lies::outcome)
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        let now = self.now();
        self.answer(self.store.tidy(Tidy { now, ..tidy }), lies::outcome)
    }

    fn receipts(&self, _: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.answer(self.store.receipts(self.now()), lies::receipts)
    }
}
