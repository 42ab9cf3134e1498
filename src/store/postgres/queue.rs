//! The threads that ask, and what they are told to ask.

use std::sync::{Arc, mpsc::Receiver};

use super::{failure::Failure, link::Link, reading, server::Server, writing};
use crate::{
    StoreError,
    error::PostgresConnectCause as Cause,
    store::{
        Answer, Commit, Completion, Outcome, SessionQuery, SessionRow,
        worker::{Worker, tell},
    },
};

/// The most requests that are made together.
const AT_ONCE: usize = 64;
/// The most events that are committed together, unless one commit has more.
const EVENTS_AT_ONCE: usize = 4000;

/// What one who waits for it asks.
pub(super) type Ask = Box<dyn FnOnce(&mut Link) + Send>;

/// Something to ask.
pub(super) enum Job {
    Commit(Commit, Completion<Outcome>),
    Sessions(SessionQuery, Completion<Option<Vec<SessionRow>>>),
    /// By itself; whoever asks waits for it.
    Alone(Ask),
}

/// A queue and the thread that works through it.
pub(super) struct Asker(Arc<Worker<Job>>);

impl Asker {
    /// Starts the thread, which uses the link.
    pub(super) fn start(name: &str, mut link: Link) -> Result<Self, Cause> {
        let worker = Worker::start(name, move |queue| run(&mut link, &queue));
        let worker = worker.map_err(|error| Cause::Thread(Arc::new(error)))?;
        // Whoever drops the store may be a request handler: nobody waits for the server.
        Ok(Self(Arc::new(worker.detached())))
    }

    pub(super) fn send(&self, job: Job) {
        self.0.send(job);
    }

    /// Sends a job to be done as long as anybody has the queue.
    pub(super) fn sender(&self) -> impl Fn(Job) + Send + Sync + Clone + 'static {
        let worker = Arc::downgrade(&self.0);
        move |job| {
            if let Some(worker) = worker.upgrade() {
                worker.send(job);
            }
        }
    }
}

/// Works through the queue: what is of a kind and waits, together.
fn run(link: &mut Link, queue: &Receiver<Job>) {
    let mut left = None;
    while let Some(first) = left.take().or_else(|| queue.recv().ok()) {
        let mut group = Group::of(first);
        while group.takes_more() && left.is_none() {
            match queue.try_recv() {
                Ok(job) => left = group.add(job),
                Err(_) => break,
            }
        }
        if let Some(failure) = group.ask(link) {
            // They have waited as long as these, and would wait for the same again.
            for job in left.take().into_iter().chain(queue.try_iter()) {
                fail(job, link, &failure);
            }
        }
    }
}

fn fail(job: Job, link: &mut Link, failure: &Failure) {
    match job {
        Job::Commit(_, done) => tell(|| done(Err(failure.clone().into()))),
        Job::Sessions(_, done) => tell(|| done(Err(failure.clone().into()))),
        Job::Alone(ask) => ask(link),
    }
}

/// What is asked together.
enum Group {
    Commits(Vec<Commit>, Vec<Completion<Outcome>>),
    Sessions(Vec<SessionQuery>, Vec<Completion<Option<Vec<SessionRow>>>>),
    Alone(Option<Ask>),
}

impl Group {
    fn of(job: Job) -> Self {
        match job {
            Job::Commit(commit, done) => Self::Commits(vec![commit], vec![done]),
            Job::Sessions(query, done) => Self::Sessions(vec![query], vec![done]),
            Job::Alone(ask) => Self::Alone(Some(ask)),
        }
    }

    fn takes_more(&self) -> bool {
        match self {
            Self::Commits(commits, _) => {
                let events: usize = commits.iter().map(|commit| commit.events.len()).sum();
                commits.len() < AT_ONCE && events < EVENTS_AT_ONCE
            }
            Self::Sessions(queries, _) => queries.len() < AT_ONCE,
            Self::Alone(_) => false,
        }
    }

    /// Gives back what is of another kind.
    fn add(&mut self, job: Job) -> Option<Job> {
        match (self, job) {
            (Self::Commits(commits, told), Job::Commit(commit, done)) => {
                commits.push(commit);
                told.push(done);
                None
            }
            (Self::Sessions(queries, told), Job::Sessions(query, done)) => {
                queries.push(query);
                told.push(done);
                None
            }
            (_, job) => Some(job),
        }
    }

    /// Asks, and tells everybody. Gives the failure if there is nothing to be had for now.
    fn ask(self, link: &mut Link) -> Option<Failure> {
        match self {
            Self::Alone(ask) => {
                if let Some(ask) = ask {
                    ask(link);
                }
                None
            }
            Self::Commits(commits, told) => {
                let answers = link.ask(async |server: &Server, connected| {
                    writing::commit(server, connected, &commits).await
                });
                told_each(told, answers.map(|answers| answers.into_iter().map(Ok)))
            }
            Self::Sessions(queries, told) => {
                let answers = link.ask(async |server: &Server, connected| {
                    reading::sessions(server, connected, &queries).await
                });
                told_each(told, answers.map(Vec::into_iter))
            }
        }
    }
}

/// Tells each its answer, or all what came between. Gives it back if it is silence.
fn told_each<T>(
    told: Vec<Completion<T>>,
    answers: Result<impl Iterator<Item = Result<Answer<T>, Failure>>, Failure>,
) -> Option<Failure> {
    match answers {
        Ok(mut answers) => {
            for done in told {
                let answer = answers.next().unwrap_or(Err(Failure::Unreadable));
                tell(|| done(answer.map_err(StoreError::from)));
            }
            None
        }
        Err(failure) => {
            for done in told {
                tell(|| done(Err(failure.clone().into())));
            }
            failure.is_silence().then_some(failure)
        }
    }
}
