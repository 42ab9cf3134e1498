//! How requests go wrong on their way.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    FaultyStore, Server,
    misbehaviour::{Fault, Misbehaviour},
};
use crate::{
    MemoryStore, Store, StoreError,
    store::{
        Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Reach, Receipt,
        Rewrap, SessionQuery, SessionRow, Snapshot, Standing, StoreTime, StoredEpoch, Tidy,
    },
};

fn cut() -> StoreError {
    StoreError::unavailable("the connection is cut")
}

impl FaultyStore {
    /// Makes a request that waits for its answer.
    fn request<T>(
        &self,
        request: impl FnOnce(&Server) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.connection.is_cut.load(Ordering::SeqCst) {
            return Err(cut());
        }
        match self.fault() {
            Some(Fault::Before) => Err(cut()),
            Some(Fault::After) => request(&self.server).and(Err(cut())),
            _ => request(&self.server),
        }
    }

    fn fault(&self) -> Option<Fault> {
        let mut misbehaviour = self.connection.misbehaviour.lock();
        misbehaviour.as_mut().and_then(Misbehaviour::fault)
    }

    fn count_read(&self) {
        if let Some(left) = &mut *self.connection.reads_left.lock() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.cut();
            }
        }
    }

    fn standby(&self) -> Option<(Arc<MemoryStore>, StoreTime)> {
        self.connection.standby.lock().clone()
    }

    fn hold(&self, step: impl FnOnce() + Send + 'static) {
        self.connection.held.lock().push(Box::new(step));
    }

    /// `done`, or something that holds the answer back.
    fn answering<T: Send + 'static>(&self, done: Completion<T>, late: bool) -> Completion<T> {
        if !late && !self.connection.holds_answers.load(Ordering::SeqCst) {
            return done;
        }
        let connection = Arc::clone(&self.connection);
        Box::new(move |answer| {
            let step = Box::new(move || done(answer));
            connection.held.lock().push(step);
        })
    }

    /// Sometimes lets go of what was held because of a misbehaviour.
    fn let_some_go(&self) {
        let lets_go =
            (self.connection.misbehaviour.lock().as_mut()).is_some_and(Misbehaviour::lets_go);
        if lets_go {
            let held = std::mem::take(&mut *self.connection.held.lock());
            for step in held {
                step();
            }
        }
    }
}

impl Store for FaultyStore {
    fn reach(&self) -> Reach {
        match self.server.clock {
            Some(_) => Reach::Shared,
            None => Reach::Embedded,
        }
    }

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        self.let_some_go();
        let answer = self.request(|server| {
            let asked = |now| Heartbeat { now, ..heartbeat };
            let snapshots_only = &self.connection.lags_in_snapshots_only;
            match self.standby() {
                Some((standby, time)) if !snapshots_only.load(Ordering::SeqCst) => {
                    standby.events_after(asked(time), Duration::ZERO)
                }
                _ => {
                    let now = server.now(heartbeat.now);
                    server.store.events_after(asked(now), wait)
                }
            }
        })?;
        self.count_read();
        let mut misbehaviour = self.connection.misbehaviour.lock();
        Ok(match misbehaviour.as_mut() {
            Some(misbehaviour) => misbehaviour.old_or(answer),
            None => answer,
        })
    }

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.request(|server| server.store.standing(place, server.now(now)))
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        self.request(|server| match self.standby() {
            Some((standby, time)) => standby.snapshot(time, epochs),
            None => server.store.snapshot(server.now(now), epochs),
        })
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        self.request(|server| {
            server.remember();
            let now = server.now(new.now);
            server.store.begin(NewHistory { now, ..new })
        })
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        if self.connection.is_cut.load(Ordering::SeqCst) {
            return done(Err(cut()));
        }
        let server = Arc::clone(&self.server);
        match self.fault() {
            Some(Fault::Before) => done(Err(cut())),
            Some(Fault::After) => server.commit(commit, Box::new(|_| done(Err(cut())))),
            Some(Fault::LateRequest) => self.hold(move || server.commit(commit, done)),
            Some(Fault::LateAnswer) => server.commit(commit, self.answering(done, true)),
            None if self.connection.holds_commits.load(Ordering::SeqCst) => {
                self.hold(move || server.commit(commit, done));
            }
            None => server.commit(commit, self.answering(done, false)),
        }
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        if self.connection.is_cut.load(Ordering::SeqCst) {
            return done(Err(cut()));
        }
        let now = self.server.now(query.now);
        let done = self.answering(done, false);
        self.server
            .store
            .sessions(SessionQuery { now, ..query }, done);
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.request(|server| {
            let now = server.now(rewrap.now);
            server.store.rewrap(Rewrap { now, ..rewrap })
        })
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        self.request(|server| {
            let now = server.now(tidy.now);
            server.store.tidy(Tidy { now, ..tidy })
        })
    }

    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.request(|server| server.store.receipts(server.now(now)))
    }

    fn wake(&self) {
        self.server.store.wake();
    }
}
