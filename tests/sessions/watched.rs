//! A store that shows what it is asked, and can be made to lie.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use epochkey::{
    StoreError,
    store::{
        Answer, Commit, Completion, Outcome, RowId, Rows, SessionChange, SessionQuery, SessionRow,
        Store, StoreTime,
    },
};

pub(crate) struct Watched {
    store: Box<dyn Store>,
    reads: AtomicUsize,
    pub(crate) commits: Mutex<Vec<Commit>>,
    /// What is read next, whatever is there.
    pub(crate) forged: Mutex<Option<Vec<SessionRow>>>,
    lingers: bool,
}

impl Watched {
    pub(crate) fn new(store: impl Store) -> Self {
        Self {
            store: Box::new(store),
            reads: AtomicUsize::default(),
            commits: Mutex::default(),
            forged: Mutex::default(),
            lingers: false,
        }
    }

    /// One whose caller is held up when a request was sent, as a thread may be at any instant.
    pub(crate) fn lingering(store: impl Store) -> Self {
        Self {
            lingers: true,
            ..Self::new(store)
        }
    }

    fn linger(&self) {
        for _ in 0..if self.lingers { 2_000 } else { 0 } {
            thread::yield_now();
        }
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn started(&self) -> Vec<RowId> {
        let commits = self.commits.lock().unwrap();
        let changes = commits.iter().flat_map(|commit| &commit.sessions);
        let started = changes.filter_map(|change| match change {
            SessionChange::Start(row) => Some(row.id),
            _ => None,
        });
        started.collect()
    }

    pub(crate) fn last_started(&self) -> RowId {
        *self.started().last().unwrap()
    }

    pub(crate) fn rows_of(&self, id: &RowId) -> Vec<SessionRow> {
        let (told, tell) = mpsc::channel();
        let head = self.store.snapshot(StoreTime::default(), &mut |_| {});
        let query = SessionQuery {
            known: head.unwrap().value.unwrap().head,
            rows: Rows::One(*id),
            now: StoreTime::default(),
        };
        let done = move |answer: Result<Answer<_>, StoreError>| told.send(answer).unwrap();
        self.store.sessions(query, Box::new(done));
        tell.recv().unwrap().unwrap().value.unwrap()
    }
}

impl Store for Watched {
    delegate!(store: reach, events_after, standing, snapshot, begin, rewrap, tidy, receipts);

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        self.commits.lock().unwrap().push(commit.clone());
        self.store.commit(commit, done);
        self.linger();
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let forged = self.forged.lock().unwrap().take();
        match forged {
            Some(rows) => done(Ok(Answer {
                value: Some(rows),
                time: query.now,
            })),
            None => self.store.sessions(query, done),
        }
        self.linger();
    }

    fn wake(&self) {
        self.store.wake();
        self.linger();
    }
}
