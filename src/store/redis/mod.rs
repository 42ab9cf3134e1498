//! A store on a Redis server, for many replicas.

mod connection;
mod endpoint;
mod failure;
mod link;
mod listener;
mod options;
mod reply;
mod request;
mod scripts;
mod server;
mod settings;
mod snapshot;
mod socket;
#[cfg(feature = "redis-tls")]
mod tls;

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis::Value;

pub use self::options::RedisOptions;
use self::{
    endpoint::Endpoint, failure::Failure, link::Link, reply::Unreadable, request::Request,
    server::Server,
};
use super::{
    Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Receipt, Rewrap,
    SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime, StoredEpoch, Tidy,
    announced::Announced,
    worker::{Worker, tell},
};
use crate::{
    StoreError,
    error::{RedisConnectCause as Cause, RedisConnectError},
};

/// The most events that are given at once: the server does nothing else for a millisecond or
/// two, for what goes through a script costs it more than what it answers itself.
const EVENTS_AT_ONCE: usize = 250;
/// The most events that are committed at once. The server does nothing else meanwhile: for
/// these about as long as an exchange may take that is not to be noticed.
const EVENTS_IN_ONE_COMMIT: usize = 20_000;
/// The most requests that are sent at once.
const REQUESTS_AT_ONCE: usize = 256;
/// How many epochs, events and sessions are looked at in one step of tidying: the server does
/// nothing else for about a millisecond.
const TIDIED_AT_ONCE: usize = 250;

/// A store on a Redis server, for many replicas: what one revokes, all refuse within
/// milliseconds.
///
/// Works with Redis 7 or later and what is compatible with it. It needs one server with one
/// primary, and may share it with others: all its keys begin with the
/// [prefix](RedisOptions::prefix). The server holds no user ids, and no secret that is not
/// wrapped with the [`MasterSecret`](crate::MasterSecret) but those of epochs, which revoke
/// and mint nothing.
///
/// # Durability
///
/// A change is acknowledged when it is on the server's disk: with `appendonly yes` and
/// `appendfsync always`, which is looked at whenever the server is connected to, as are that
/// it is a primary of version 7 or later and that it evicts nothing
/// (`maxmemory-policy noeviction`). What is weaker, or hidden by a provider, is refused unless
/// [the danger is accepted](RedisOptions::danger_accept_lost_revocations).
///
/// A replica of the server gets changes after they were acknowledged. **A failover to one that
/// lacks the last of them is a loss**: the first process to notice starts the log over, and
/// everybody logs in again. Until then others accept what a lost bump had revoked. The guide's
/// page on [replicas](crate::guide::replicas) says how to keep what can be lost small.
///
/// # Limits
///
/// One commit has at most 20,000 events: [`bump_many`](crate::Authority::bump_many) of more
/// scopes fails, and nothing is changed. The server does nothing else while it makes a commit,
/// 10 to 20 µs for each event.
///
/// # Threads
///
/// Two of its own, each with a connection: one that sends commits and reads session rows, one
/// that hears of news. The authority's thread uses a third. Requests that wait at the same time
/// are sent together. All three connect again by themselves, after pauses that grow and are
/// partly random. Every thread that asks the server needs the default stack of 2 MiB, for the
/// worst that can be answered. Nothing but [`connect`](Self::connect) and
/// [`AuthorityBuilder::open`](crate::AuthorityBuilder::open) waits for the server, so the store
/// is used from inside an async runtime as from outside.
///
/// # Example
///
/// ```no_run
/// use epochkey::{Authority, MasterSecret, RedisOptions, RedisStore};
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379", RedisOptions::new())?;
/// let authority = Authority::builder("https://issuer.example", "api")
///     .master_secret(MasterSecret::from_env("EPOCHKEY_MASTER_SECRET")?)
///     .open(store)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    server: Arc<Server>,
    announced: Arc<Announced>,
    /// For the authority's thread.
    link: Mutex<Link>,
    queue: Arc<Worker<Job>>,
    is_tidying: Arc<AtomicBool>,
}

/// What is to be asked, and who is to be told.
struct Job {
    request: Request,
    done: Box<dyn FnOnce(Result<Value, Failure>) + Send>,
}

impl RedisStore {
    /// Connects to a server: `redis://user:password@host:port/database`, where all but the
    /// host may be left out, `unix:///path`, or with the feature `redis-tls` `rediss://…`.
    ///
    /// Blocks until the server has answered, or for the [time-outs](RedisOptions): call it
    /// before an async runtime starts, or in a blocking task.
    ///
    /// # Errors
    ///
    /// [`RedisConnectError`] if the URL is not one, or the server is not reached, or not what
    /// [it must be](Self#durability).
    pub fn connect(url: &str, options: RedisOptions) -> Result<Self, RedisConnectError> {
        Self::connect_to(url, options).map_err(RedisConnectError)
    }

    fn connect_to(url: &str, options: RedisOptions) -> Result<Self, Cause> {
        options.check()?;
        let endpoint = Endpoint::new(url, &options)?;
        let server = Arc::new(Server::new(endpoint, options));
        let link = Link::connected(Arc::clone(&server))?;
        let thread = |error| Cause::Thread(Arc::new(error));
        let sender = Link::new(Arc::clone(&server));
        let queue = Worker::start("epochkey-redis", move |queue| run(sender, &queue));
        let announced = Arc::new(Announced::default());
        let store = Self {
            // Whoever drops the store may be a request handler: nobody waits for the server.
            queue: Arc::new(queue.map_err(thread)?.detached()),
            link: Mutex::new(link),
            announced: Arc::clone(&announced),
            server: Arc::clone(&server),
            is_tidying: Arc::default(),
        };
        listener::start(server, announced).map_err(thread)?;
        Ok(store)
    }

    /// Asks on the thread of whoever calls.
    fn ask<T>(
        &self,
        request: &Request,
        read: impl FnOnce(Value) -> Result<T, Unreadable>,
    ) -> Result<T, StoreError> {
        Ok(self.link.lock().ask(request, read)?)
    }

    /// Asks on the thread that sends.
    fn send<T: 'static>(
        &self,
        request: Request,
        read: impl FnOnce(Value) -> Result<T, Unreadable> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let done = Box::new(move |answer: Result<Value, Failure>| {
            let answer = answer.and_then(|value| Ok(read(value)?));
            tell(|| done(answer.map_err(StoreError::from)));
        });
        self.queue.send(Job { request, done });
    }

    fn news(&self, heartbeat: &Heartbeat, keeps_receipt: bool) -> Result<Answer<News>, StoreError> {
        let request = request::news(heartbeat, keeps_receipt, EVENTS_AT_ONCE);
        let known_before = self.announced.position();
        let (answer, head) = self.ask(&request, |value| reply::news(value, heartbeat.applied))?;
        if let (Some(head), Some(place)) = (head, heartbeat.applied) {
            self.announced.reached(place.history, head);
            self.announced.ends_at(place.history, head, known_before);
        }
        Ok(answer)
    }
}

/// Sends what comes through the queue: all that waits at once, but what has a large answer alone.
fn run(mut link: Link, queue: &Receiver<Job>) {
    let mut left = None;
    while let Some(first) = left.take().or_else(|| queue.recv().ok()) {
        let mut jobs = vec![first];
        while !jobs[0].request.is_large && jobs.len() < REQUESTS_AT_ONCE {
            match queue.try_recv() {
                Ok(job) if job.request.is_large => {
                    left = Some(job);
                    break;
                }
                Ok(job) => jobs.push(job),
                Err(_) => break,
            }
        }
        let (requests, told): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.request, job.done)).unzip();
        let answers = link.ask_all(&requests);
        let silent = answers.iter().find_map(|answer| {
            let failure = answer.as_ref().err().filter(|failure| failure.is_silence());
            failure.cloned()
        });
        for (done, answer) in told.into_iter().zip(answers) {
            done(answer);
        }
        if let Some(failure) = silent {
            // They have waited as long as these, and would wait for the same again.
            for job in left.take().into_iter().chain(queue.try_iter()) {
                (job.done)(Err(failure.clone()));
            }
        }
    }
}

/// Goes on tidying, step by step between the requests that wait.
fn tidy_further(queue: &Weak<Worker<Job>>, is_tidying: Arc<AtomicBool>, request: Request) {
    let Some(sender) = queue.upgrade() else {
        return;
    };
    let (again, queue) = (request.clone(), Weak::clone(queue));
    let done = Box::new(move |answer: Result<Value, Failure>| {
        let step = answer.and_then(|value| Ok(reply::tidied(value)?));
        match step {
            Ok((_, true)) => tidy_further(&queue, is_tidying, again),
            // What is left is begun again with the next tidying.
            Ok((_, false)) | Err(_) => is_tidying.store(false, Ordering::SeqCst),
        }
    });
    sender.send(Job { request, done });
}

impl Store for RedisStore {
    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        let answer = self.news(&heartbeat, true)?;
        let nothing_new = matches!(
            &answer.value,
            News::Events { events, more: false } if events.is_empty()
        );
        match heartbeat.applied {
            Some(place) if nothing_new && !wait.is_zero() => {
                self.announced.wait_beyond(place, wait);
                // Its receipt is there already. This is a script that may write all the same,
                // so only a primary runs it.
                self.news(&heartbeat, false)
            }
            _ => Ok(answer),
        }
    }

    fn standing(&self, place: Place, _: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.ask(&request::standing(place), reply::standing)
    }

    fn snapshot(
        &self,
        _: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let Answer { value, time } = snapshot::read(&mut self.link.lock())?;
        let value = value.map(|(snapshot, pages)| {
            pages.into_iter().flatten().for_each(epochs);
            snapshot
        });
        Ok(Answer { value, time })
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        self.ask(&request::begin(&new), reply::outcome)
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let events = commit.events.len();
        if events > EVENTS_IN_ONE_COMMIT {
            return done(Err(StoreError::too_large(events, EVENTS_IN_ONE_COMMIT)));
        }
        let announced = Arc::clone(&self.announced);
        self.send(
            request::commit(&commit),
            reply::outcome,
            move |answer: Result<Answer<Outcome>, _>| {
                if let Ok(Outcome::Done { head }) = answer.as_ref().map(|answer| answer.value) {
                    announced.reached(head.history, head.position);
                }
                done(answer);
            },
        );
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.send(request::sessions(&query), reply::sessions, done);
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.ask(&request::rewrap(&rewrap), reply::outcome)
    }

    /// Takes the first step, and the others when nobody waits for it.
    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        let request = request::tidy(&tidy, TIDIED_AT_ONCE);
        let (answer, more) = self.ask(&request, reply::tidied)?;
        if more && !self.is_tidying.swap(true, Ordering::SeqCst) {
            let (queue, is_tidying) = (Arc::downgrade(&self.queue), Arc::clone(&self.is_tidying));
            tidy_further(&queue, is_tidying, request);
        }
        Ok(answer)
    }

    fn receipts(&self, _: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.ask(&request::receipts(), reply::receipts)
    }

    fn wake(&self) {
        self.announced.wake();
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.announced.stop();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.server.address())
            .finish_non_exhaustive()
    }
}
