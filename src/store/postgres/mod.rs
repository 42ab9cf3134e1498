//! A store on a PostgreSQL server, for many replicas.

mod budget;
mod connection;
mod draft;
mod endpoint;
mod failure;
mod link;
mod listener;
mod messages;
mod options;
mod pace;
mod prepared;
mod queue;
mod reading;
mod row;
mod server;
mod settings;
mod snapshot;
mod sql;
mod step;
mod stream;
mod tidying;
mod view;
mod writing;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

pub use self::options::PostgresOptions;
use self::{
    endpoint::Endpoint,
    failure::Failure,
    link::Link,
    pace::Pace,
    queue::{Asker, Job},
    server::{Connected, Server},
    tidying::Sweep,
};
use super::{
    Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Receipt, ReplicaId,
    Rewrap, SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime, StoredEpoch, Tidy,
    announced::Announced,
};
use crate::{
    StoreError,
    crypto::SystemRandom,
    error::{PostgresConnectCause as Cause, PostgresConnectError},
};

/// The most events that are committed at once. Nobody else commits meanwhile.
const EVENTS_IN_ONE_COMMIT: usize = 20_000;
/// How many pages of a snapshot may wait for who takes them.
const PAGES_UNDER_WAY: usize = 8;

/// A store on a PostgreSQL server, for many replicas: what one revokes, all refuse within
/// milliseconds.
///
/// Works with PostgreSQL 14 or later. Its tables are in a [schema](PostgresOptions::schema) of
/// their own, in a database that may be shared with whatever else. They hold no user ids, and no
/// secret that is not wrapped with the [`MasterSecret`](crate::MasterSecret) but those of epochs,
/// which revoke and mint nothing.
///
/// # Durability
///
/// A change is acknowledged when it is on the server's disk: each transaction says
/// `synchronous_commit = on` for itself (or leaves it at `remote_apply`), whatever the default
/// is. `fsync` and `full_page_writes` must be on, which is looked at whenever the server is
/// connected to, and in each transaction that changes something; unless
/// [the danger is accepted](PostgresOptions::danger_accept_lost_revocations). A standby is
/// refused.
///
/// A standby gets changes after they were acknowledged, unless `synchronous_standby_names` says
/// otherwise. **A failover to one that lacks the last of them is a loss**: the first process to
/// notice starts the log over, and everybody logs in again. Until then others accept what a lost
/// bump had revoked. With a synchronous standby nothing is lost, and a primary that is cut off
/// from it answers no replica for longer than a quarter of a second. The guide's page on [replicas](crate::guide::replicas) has a table
/// of what can be lost when.
///
/// # The schema
///
/// The tables are made when they are missing, at any time, by one process while the others wait. A role that
/// may not create anything needs `USAGE` on the schema, and `SELECT`, `INSERT`, `UPDATE` and
/// `DELETE` on its tables, which [`schema_sql`](Self::schema_sql) makes.
///
/// Before you restore a dump, see the guide's page on [backups](crate::guide::backups).
///
/// # Poolers
///
/// Three connections for each store. PgBouncer in transaction mode can be between: then nobody is
/// woken by `NOTIFY`, and a bump is in force on other replicas within a second.
///
/// # Limits
///
/// One commit has at most 20,000 events: [`bump_many`](crate::Authority::bump_many) of more
/// scopes fails, and nothing is changed.
///
/// # Threads
///
/// Three of its own, each with a connection and its own small async runtime: one that commits, one
/// that reads, one that hears of news. Changes that wait at the same time share one transaction.
/// All three connect again by themselves, after pauses that grow and are partly random. Nothing
/// but [`connect`](Self::connect) and [`AuthorityBuilder::open`](crate::AuthorityBuilder::open)
/// waits for the server, so the store is used from inside an async runtime as from outside.
///
/// # Example
///
/// ```no_run
/// use epochkey::{Authority, MasterSecret, PostgresOptions, PostgresStore};
///
/// let url = "postgres://auth:password@db.example/app?sslmode=require";
/// let store = PostgresStore::connect(url, PostgresOptions::new())?;
/// let authority = Authority::builder("https://issuer.example", "api")
///     .master_secret(MasterSecret::from_env("EPOCHKEY_MASTER_SECRET")?)
///     .open(store)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostgresStore {
    server: Arc<Server>,
    announced: Arc<Announced>,
    writer: Asker,
    reader: Asker,
    pace: Arc<Pace>,
    is_tidying: Arc<AtomicBool>,
}

impl PostgresStore {
    /// Connects to a server: `postgres://user:password@host:5432/database`, or what
    /// `tokio_postgres::Config` takes besides. Of several hosts, `host1:5432,host2:5432`, the
    /// first is taken that is the primary. With `sslmode=require` (and the feature
    /// `postgres-tls`) the connection is encrypted and the server's certificate verified, the
    /// host's name included, as `verify-full` does elsewhere. With `disable` and `prefer`, which is
    /// the default, nothing is encrypted, and whoever is between can ask for the password. Other
    /// modes are not known.
    ///
    /// Makes the tables if they are missing. Blocks until the server has answered, or for the
    /// [time-outs](PostgresOptions).
    ///
    /// # Errors
    ///
    /// [`PostgresConnectError`] if the URL is not one, or the server is not reached, or not what
    /// [it must be](Self#durability), or does not let the tables be made.
    pub fn connect(url: &str, options: PostgresOptions) -> Result<Self, PostgresConnectError> {
        Self::connect_to(url, options).map_err(PostgresConnectError)
    }

    fn connect_to(url: &str, options: PostgresOptions) -> Result<Self, Cause> {
        options.check()?;
        let endpoint = Endpoint::new(url, &options)?;
        let name = ReplicaId::draw(&SystemRandom).map_err(Cause::Random)?;
        let server = Arc::new(Server::new(endpoint, options, name.as_bytes()));
        let thread = |error| Cause::Thread(Arc::new(error));
        let link = || Link::new(Arc::clone(&server)).map_err(thread);
        let store = Self {
            reader: Asker::start("epochkey-reads", link()?)?,
            writer: Asker::start("epochkey-commit", link()?)?,
            announced: Arc::default(),
            pace: Arc::default(),
            is_tidying: Arc::default(),
            server: Arc::clone(&server),
        };
        // Not on this thread: it may be one of an async runtime.
        wait_for(&store.reader, Link::prepare)
            .unwrap_or(Err(Cause::NotUnderstood { asked: "nothing" }))?;
        listener::start(server, Arc::clone(&store.announced)).map_err(thread)?;
        Ok(store)
    }

    /// The statements that [`connect`](Self::connect) makes the tables with, for those who
    /// migrate by hand. To be run in one transaction (`psql --single-transaction`), once, by a role
    /// that may create a schema.
    ///
    /// ```
    /// use epochkey::{PostgresOptions, PostgresStore};
    ///
    /// print!("{}", PostgresStore::schema_sql(&PostgresOptions::new().schema("auth")));
    /// ```
    pub fn schema_sql(options: &PostgresOptions) -> String {
        let schema = &options.schema;
        sql::create_schema(schema) + "\n" + &sql::tables(schema)
    }

    /// Asks on the thread that reads.
    fn read<T: Send + 'static>(
        &self,
        ask: impl AsyncFn(&Server, &Connected) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        on(&self.reader, ask)
    }

    /// Asks on the thread that commits.
    fn write<T: Send + 'static>(
        &self,
        ask: impl AsyncFn(&Server, &Connected) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        on(&self.writer, ask)
    }

    fn news(&self, heartbeat: Heartbeat, keeps_receipt: bool) -> Result<Answer<News>, StoreError> {
        self.pace.wait();
        let known_before = self.announced.position();
        let (answer, head) = self.read(async move |server: &Server, connected: &Connected| {
            reading::news(server, connected, &heartbeat, keeps_receipt).await
        })?;
        if let (Some(head), Some(place)) = (head, heartbeat.applied) {
            self.announced.reached(place.history, head);
            self.announced.ends_at(place.history, head, known_before);
        }
        Ok(answer)
    }
}

/// Asks on a thread of the store's own, and waits for it.
fn on<T: Send + 'static>(
    asker: &Asker,
    ask: impl AsyncFn(&Server, &Connected) -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    let answer = wait_for(asker, move |link| link.ask(ask));
    Ok(answer.ok_or_else(StoreError::abandoned)??)
}

/// `None` if the thread is not there any more.
fn wait_for<T: Send + 'static>(
    asker: &Asker,
    ask: impl FnOnce(&mut Link) -> T + Send + 'static,
) -> Option<T> {
    let (answered, answer) = mpsc::channel();
    asker.send(Job::Alone(Box::new(move |link| {
        // Whoever asked waits below.
        let _ = answered.send(ask(link));
    })));
    answer.recv().ok()
}

/// Goes on tidying, step by step between the changes that wait.
fn tidy_further(
    send: impl Fn(Job) + Send + Sync + Clone + 'static,
    is_tidying: Arc<AtomicBool>,
    tidy: Tidy,
    sweep: Sweep,
) {
    let again = send.clone();
    send(Job::Alone(Box::new(move |link| {
        let step = link.ask(async |server: &Server, connected| {
            tidying::step(server, connected, &tidy, &sweep).await
        });
        match step {
            Ok((_, Some(next))) => tidy_further(again, is_tidying, tidy, next),
            // What is left is begun again with the next tidying.
            Ok((_, None)) | Err(_) => is_tidying.store(false, Ordering::SeqCst),
        }
    })));
}

impl Store for PostgresStore {
    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        let answer = self.news(heartbeat, true)?;
        let nothing_new = matches!(
            &answer.value,
            News::Events { events, more: false } if events.is_empty()
        );
        match heartbeat.applied {
            Some(place) if nothing_new && !wait.is_zero() => {
                self.announced.wait_beyond(place, wait);
                // Its receipt is there already.
                self.news(heartbeat, false)
            }
            _ => Ok(answer),
        }
    }

    fn standing(&self, place: Place, _: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.read(async move |server: &Server, connected: &Connected| {
            reading::standing(server, connected, place).await
        })
    }

    fn snapshot(
        &self,
        _: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let (pages, taken) = mpsc::sync_channel(PAGES_UNDER_WAY);
        let (answered, answer) = mpsc::channel();
        self.reader.send(Job::Alone(Box::new(move |link| {
            let snapshot = link.ask(async |server: &Server, connected| {
                let page = |epochs| pages.send(epochs).is_ok();
                snapshot::read(server, connected, &page).await
            });
            // Whoever asked waits below.
            let _ = answered.send(snapshot);
        })));
        for page in taken {
            page.into_iter().for_each(&mut *epochs);
        }
        let answer = answer.recv().map_err(|_| StoreError::abandoned())?;
        Ok(answer?)
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        self.write(async move |server: &Server, connected: &Connected| {
            writing::begin(server, connected, &new).await
        })
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let events = commit.events.len();
        if events > EVENTS_IN_ONE_COMMIT {
            return done(Err(StoreError::too_large(events, EVENTS_IN_ONE_COMMIT)));
        }
        let (announced, pace) = (Arc::clone(&self.announced), Arc::clone(&self.pace));
        let done = Box::new(move |answer: Result<Answer<Outcome>, _>| {
            if let Ok(Outcome::Done { head }) = answer.as_ref().map(|answer| answer.value) {
                pace.hurry();
                announced.reached(head.history, head.position);
            }
            done(answer);
        });
        self.writer.send(Job::Commit(commit, done));
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.reader.send(Job::Sessions(query, done));
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.write(async move |server: &Server, connected: &Connected| {
            writing::rewrap(server, connected, &rewrap).await
        })
    }

    /// Takes the first step, and the others when nobody waits for it.
    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        let (answer, next) = self.write(async move |server: &Server, connected: &Connected| {
            tidying::step(server, connected, &tidy, &Sweep::default()).await
        })?;
        if let Some(next) = next
            && !self.is_tidying.swap(true, Ordering::SeqCst)
        {
            let is_tidying = Arc::clone(&self.is_tidying);
            tidy_further(self.writer.sender(), is_tidying, tidy, next);
        }
        Ok(answer)
    }

    fn receipts(&self, _: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.read(async move |server: &Server, connected: &Connected| {
            reading::receipts(server, connected).await
        })
    }

    fn wake(&self) {
        self.pace.hurry();
        self.announced.wake();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.announced.stop();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("server", &self.server.address())
            .field("schema", &self.server.schema())
            .finish_non_exhaustive()
    }
}
