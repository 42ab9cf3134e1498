//! A store that fails as told.

mod misbehaviour;
mod store;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use self::misbehaviour::Misbehaviour;
use crate::{
    Clock, MemoryStore, Store,
    store::{Commit, Completion, Outcome, StoreTime},
};

/// A shared store in memory that fails as it is told: to be connected to by several
/// authorities, as replicas are to a server.
///
/// The value is one connection. [`connect`](Self::connect) makes another one to the same
/// server; clones share a connection, so that a test keeps one to the store it gave away.
/// What it does to a connection, it does to that one alone; what it does to the server,
/// all see.
///
/// ```
/// use epochkey::{Authority, MasterSecret, Scope, testing::{self, FaultyStore, ManualClock}};
///
/// let clock = ManualClock::at_unix_seconds(1_700_000_000);
/// let secret = MasterSecret::generate()?;
/// let store = FaultyStore::new(clock.clone());
/// let open = |store: &FaultyStore| {
///     let builder = Authority::builder("https://issuer.test", "api");
///     let builder = builder.clock(clock.clone()).master_secret(secret.clone());
///     testing::by_hand(builder).open(store.clone())
/// };
/// let (ours, theirs) = (store.connect(), store.connect());
/// let (here, there) = (open(&ours)?, open(&theirs)?);
///
/// theirs.cut();
/// testing::finish(&here, here.bump(Scope::user("u-42")))?;
/// assert!(testing::follow(&there).is_err());
/// theirs.mend();
/// testing::follow(&there)?;
/// assert_eq!(there.stats().epochs, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FaultyStore {
    server: Arc<Server>,
    connection: Arc<Connection>,
}

struct Server {
    store: MemoryStore,
    /// `None` for one that takes the time of whoever asks.
    clock: Option<Box<dyn Clock>>,
    ahead_by: Mutex<Duration>,
    /// The states before each commit, oldest first.
    past: Mutex<Vec<MemoryStore>>,
}

#[derive(Default)]
struct Connection {
    is_cut: AtomicBool,
    /// How many times more it is told events before it is cut.
    reads_left: Mutex<Option<usize>>,
    holds_commits: AtomicBool,
    holds_answers: AtomicBool,
    held: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    /// Whether the standby gives snapshots only.
    lags_in_snapshots_only: AtomicBool,
    /// What reads are answered from instead of the server: a standby that lags, with
    /// the time at which it showed the server's state.
    standby: Mutex<Option<(Arc<MemoryStore>, StoreTime)>>,
    misbehaviour: Mutex<Option<Misbehaviour>>,
}

/// How many commits can be undone.
const KEPT_STATES: usize = 64;

impl FaultyStore {
    /// An empty server with this clock, and a connection to it.
    pub fn new(clock: impl Clock) -> Self {
        Self::with_clock(Some(Box::new(clock)))
    }

    /// An empty store that no other process can reach, as a file is: for one authority.
    pub fn embedded() -> Self {
        Self::with_clock(None)
    }

    fn with_clock(clock: Option<Box<dyn Clock>>) -> Self {
        let server = Server {
            store: MemoryStore::new(),
            clock,
            ahead_by: Mutex::default(),
            past: Mutex::default(),
        };
        Self {
            server: Arc::new(server),
            connection: Arc::default(),
        }
    }

    /// Another connection to the same server, without faults.
    pub fn connect(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            connection: Arc::default(),
        }
    }

    /// Cuts this connection: every request fails, and nothing reaches the server.
    pub fn cut(&self) {
        self.connection.is_cut.store(true, Ordering::SeqCst);
    }

    /// Cuts this connection when it has asked for events so many times more, with the
    /// last answer.
    pub fn cut_after_reads(&self, reads: usize) {
        *self.connection.reads_left.lock() = Some(reads);
    }

    /// Ends what [`cut`](Self::cut), [`lag`](Self::lag) and
    /// [`misbehave`](Self::misbehave) began. Held commits stay held.
    pub fn mend(&self) {
        self.connection.is_cut.store(false, Ordering::SeqCst);
        *self.connection.reads_left.lock() = None;
        *self.connection.standby.lock() = None;
        *self.connection.misbehaviour.lock() = None;
    }

    /// Holds the commits of this connection back on their way to the server.
    pub fn hold_commits(&self) {
        self.connection.holds_commits.store(true, Ordering::SeqCst);
    }

    /// Lets commits reach the server, and holds back the answers to them.
    pub fn hold_answers(&self) {
        self.connection.holds_answers.store(true, Ordering::SeqCst);
    }

    /// Lets all commits and answers through that were held back, and holds none from now on.
    pub fn release(&self) {
        self.connection.holds_commits.store(false, Ordering::SeqCst);
        self.connection.holds_answers.store(false, Ordering::SeqCst);
        let held = std::mem::take(&mut *self.connection.held.lock());
        for step in held {
            step();
        }
    }

    /// Drops the commits and answers that were held back: nobody will ever hear of them.
    pub fn drop_held(&self) {
        self.connection.held.lock().clear();
    }

    /// From now on, what this connection reads comes from a standby that shows the
    /// state, and tells the time, of this moment for ever. Its commits reach the server.
    pub fn lag(&self) {
        self.lag_at(&self.back_up());
    }

    /// The same with a standby that shows the moment of a backup.
    pub fn lag_at(&self, backup: &Backup) {
        self.connection
            .lags_in_snapshots_only
            .store(false, Ordering::SeqCst);
        self.read_from(backup);
    }

    /// The same for snapshots alone: the log is read from the server.
    pub fn lag_in_snapshots_at(&self, backup: &Backup) {
        self.connection
            .lags_in_snapshots_only
            .store(true, Ordering::SeqCst);
        self.read_from(backup);
    }

    fn read_from(&self, backup: &Backup) {
        *self.connection.standby.lock() = Some((Arc::new(backup.0.copy()), backup.1));
    }

    /// Makes this connection fail at random, as `seed` decides: requests fail before or
    /// after they took effect, commits and their answers come late, and old answers come again.
    pub fn misbehave(&self, seed: u64) {
        *self.connection.misbehaviour.lock() = Some(Misbehaviour::new(seed));
    }

    /// The server forgets its last commits, as after a failover to a standby that had
    /// not received them: up to 64.
    pub fn lose_last(&self, commits: usize) {
        let mut past = self.server.past.lock();
        let keep = past.len().saturating_sub(commits);
        if let Some(state) = past.drain(keep..).next() {
            self.server.store.replace_with(&state);
        }
    }

    /// The server forgets everything.
    pub fn clear(&self) {
        self.server.past.lock().clear();
        self.server.store.replace_with(&MemoryStore::new());
    }

    /// A backup of the server.
    pub fn back_up(&self) -> Backup {
        let now = self.server.now(StoreTime::default());
        Backup(self.server.store.copy(), now)
    }

    /// Puts a backup in place of what the server holds.
    pub fn restore(&self, backup: &Backup) {
        self.server.past.lock().clear();
        self.server.store.replace_with(&backup.0);
    }

    /// Sets the server's clock ahead of the one it was given.
    pub fn set_clock_ahead(&self, by: Duration) {
        *self.server.ahead_by.lock() = by;
    }

    /// How many events the server's log keeps.
    pub fn kept_events(&self) -> usize {
        self.server.store.kept_events()
    }

    /// Trims the server's log to its newest event.
    pub fn trim(&self) {
        self.server.store.trim();
    }
}

/// A copy of what a [`FaultyStore`] held.
pub struct Backup(MemoryStore, StoreTime);

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backup")
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("server", &self.server.store)
            .finish_non_exhaustive()
    }
}

impl Server {
    fn now(&self, asker: StoreTime) -> StoreTime {
        let now = match &self.clock {
            Some(clock) => StoreTime::from_system_time(clock.now()),
            None => asker,
        };
        now.saturating_add(*self.ahead_by.lock())
    }

    fn remember(&self) {
        let mut past = self.past.lock();
        if past.len() == KEPT_STATES {
            past.remove(0);
        }
        past.push(self.store.copy());
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        self.remember();
        let now = self.now(commit.now);
        self.store.commit(Commit { now, ..commit }, done);
    }
}
