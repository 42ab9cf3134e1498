//! Where the epoch log, the wrapped secrets and the sessions live: the contract that
//! every store keeps.
//!
//! [`MemoryStore`] comes with the crate, `RedbStore`, `PostgresStore` and `RedisStore` with a feature
//! each. To write another, implement [`Store`] and run
//! the contract suite against it: `epochkey::testing::store_contract`, one line in a test.
//!
//! # What a store keeps
//!
//! - **The log's head**: its history, the histories before it, and the position and id
//!   of the newest event.
//! - **The log**: events by position. It may be trimmed from its old end, as
//!   [`Store::tidy`] says, never elsewhere.
//! - **The state** that the log's events add up to: the secrets of the history, the
//!   ring keys, and the newest epoch of each scope. A snapshot shows it.
//! - **Session rows**: encrypted bodies, found by their id and by their user's tag.
//! - **Receipts**: what each replica last said of itself. They may go when a store of
//!   [`Reach::Embedded`] is dropped, for nobody follows it then.
//!
//! Receipts tell other replicas who has applied what:
//! [`Authority::applied_everywhere`](crate::Authority::applied_everywhere) waits for those who
//! have one. A replica is answered only when its receipt is kept.
//!
//! All ids are random and unique; all secrets but those of epochs are wrapped before they
//! get here. Whoever reads a store can mint nothing and learns no user ids.
//!
//! Positions fit an `i64`, and so do times in milliseconds (`expires_at` and those that
//! [`Tidy`] gives too). Durations are whole milliseconds.
//!
//! # What every store promises
//!
//! 1. **Atomic.** A change is made whole or not at all, and whether its conditions hold
//!    is decided in the same step.
//! 2. **Durable.** What was answered with [`Outcome::Done`] survives `kill -9` and the
//!    loss of power right after. (A store of [`Reach::Memory`] is excused.)
//! 3. **In order.** Positions are consecutive, never given twice in one history, and
//!    become visible in order: who sees an event sees all before it.
//! 4. **Read your writes.** What was answered as done is seen by every request that is
//!    sent afterwards, by any replica, unless the store has lost it.
//! 5. **Dated inside.** Times are assigned by the store's clock, within the step that
//!    makes the change, and every answer carries the time at which it was made.
//! 6. **No guessing.** What cannot be read or was not understood is a [`StoreError`],
//!    never an empty answer. After an error a change may or may not have been made.
//! 7. **Nothing goes by itself.** Only what a commit, a beginning or a tidying names is
//!    removed; nothing has a time to live of the store's own.
//!
//! # How the methods map onto stores
//!
//! | | one file (redb) | PostgreSQL | Redis |
//! |---|---|---|---|
//! | [`commit`](Store::commit) | one write transaction for all commits that wait, two-phase | one transaction for all commits that wait: its turn first (an advisory lock), a lock on the head's row, then `clock_timestamp()` and what the conditions are about, then all writes; `synchronous_commit` on | one script on a hash tag: conditions, `XADD` with the position as its id, `HSET`; `appendfsync always` |
//! | [`events_after`](Store::events_after) | read transaction, then a condition variable | one statement: head, upsert of the receipt, events; `LISTEN` only to wake | one script: receipt, head, `XRANGE`; `XREAD BLOCK` only to wake |
//! | [`snapshot`](Store::snapshot) | one read transaction | one `REPEATABLE READ` transaction, row by row | head, `HSCAN` of the epochs, then in one script the epochs bumped since that head, with keys and head of now |
//! | [`begin`](Store::begin) | one write transaction | one transaction as for a commit; what was there is left to tidying | one script |
//! | [`standing`](Store::standing) | read transaction | head, predecessors and one event | one script |
//! | [`sessions`](Store::sessions) | read transaction, an index by user | primary key, and an index by user | hash and a sorted set by user |
//! | [`tidy`](Store::tidy) | range deletes in steps | `DELETE` in steps | in steps, a script each: `HSCAN`, `XTRIM MINID`, `ZRANGEBYSCORE` |

#[cfg(any(feature = "postgres", feature = "redis"))]
mod addresses;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod announced;
mod change;
mod ids;
mod log;
mod memory;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod pauses;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
mod rules;
#[cfg(any(feature = "postgres-tls", feature = "redis-tls"))]
mod tls;
#[cfg(any(feature = "postgres", feature = "redb", feature = "redis"))]
mod worker;

use std::time::Duration;

#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "redis")]
pub use self::redis::{RedisOptions, RedisStore};
pub use self::{
    change::{
        Answer, Beginning, Commit, NewHistory, NewRow, Outcome, Refusal, Rewrap, SessionChange,
        SessionRow, Tidy,
    },
    ids::{EventId, HistoryId, KeyId, ReplicaId, RowId, RowVersion, StoreTime},
    log::{
        Effect, Event, Heartbeat, NewEvent, News, Place, Receipt, Snapshot, Standing, StoredEpoch,
        StoredKey,
    },
    memory::MemoryStore,
};
use crate::StoreError;

/// Takes the answer to what was asked, once, on any thread. Dropping it uncalled counts as
/// an error.
///
/// It may make requests of its own, for it may wake a task which does: the store must not
/// hold a lock while it calls it.
pub type Completion<T> = Box<dyn FnOnce(Result<Answer<T>, StoreError>) + Send>;

/// Who besides this process can read and write what a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Nobody, and it goes with the process: no master secret is needed.
    Memory,
    /// Nobody, but it is kept. Its clock is that of the process. When it is dropped, it
    /// can be opened again.
    Embedded,
    /// Other replicas, and it has a clock of its own: news must be fetched, and is
    /// good for the policy's [`max_staleness`](crate::Policy::max_staleness).
    Shared,
}

/// A store that an [`Authority`](crate::Authority) can be opened on. The contract is in the
/// [documentation of the module](self).
///
/// # Threads
///
/// [`commit`](Self::commit), [`sessions`](Self::sessions) and [`wake`](Self::wake) are called
/// from request handlers and when an authority is dropped, among them threads of async
/// runtimes: they must not wait for the network or a disk, but hand their work to a thread of
/// the store's own. [`reach`](Self::reach) answers at once, and always the same. The other methods are
/// called from the authority's own thread, and from
/// [`AuthorityBuilder::open`](crate::AuthorityBuilder::open), and may block. All may
/// be called at the same time. None may panic.
///
/// All answer in bounded time, if only with an error: a connection that looks alive and
/// delivers nothing must be given up by a time-out. A commit is sent once: whether it was
/// made is open after an error, and who asked decides.
pub trait Store: Send + Sync + 'static {
    /// Who else can reach what the store holds.
    fn reach(&self) -> Reach {
        Reach::Shared
    }

    /// The events that follow the place a replica has applied, or why there are none to
    /// give; and keeps the heartbeat as the replica's receipt.
    ///
    /// If nothing follows yet, it waits for news up to `wait`, and may answer
    /// earlier. The answer is one exchange with whoever takes commits: it must not
    /// come from a standby or a cache. How many events it gives at once is the store's
    /// choice.
    ///
    /// The answer follows from how the place [stands](Standing) to the log.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store could not be asked or its answer not be read.
    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError>;

    /// How a place stands to the log. Like [`events_after`](Self::events_after), this must
    /// not come from a standby or a cache.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store could not be asked or its answer not be read.
    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError>;

    /// One consistent view of the state, or `None` if the store is empty.
    ///
    /// The epochs go to `epochs`, in any order; if a tag comes more than once, the
    /// highest position counts. All of them are given that were bumped above the
    /// position of the oldest ring key, up to the snapshot's head, and none above it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store could not be asked or its answer not be read. What
    /// `epochs` was given by then is thrown away.
    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError>;

    /// Begins a history, if its [`Beginning`] holds: drops the log, the keys, the epochs
    /// and, unless they are to stay, the session rows, and puts in the secrets and the
    /// first event. Receipts stay.
    ///
    /// The first event's position is 1 for [`Beginning::Empty`]. Otherwise it is 2³²
    /// above the highest that either side knows: the log's head, and the place given.
    /// The predecessors are the history that was there and its own predecessors, and
    /// that of the place and the ones before that.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the history may or may not have begun.
    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError>;

    /// Makes a change, if its conditions hold, and says so when it is durable. If it has more
    /// events than the store can take at once, it fails with
    /// [`StoreError::too_large`]; a thousand must be possible.
    ///
    /// Does not block; `done` is called on any thread, this one included.
    fn commit(&self, commit: Commit, done: Completion<Outcome>);

    /// The session rows that a query finds, as of one moment; `None` where a commit with
    /// the same `known` would be refused.
    ///
    /// Does not block; `done` is called on any thread, this one included.
    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>);

    /// Keeps the same secrets under another wrapping. The log's events keep theirs.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; it may or may not have been done.
    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError>;

    /// Forgets what it may. It need not forget all of it, nor at once: it is called by the
    /// thread that follows the log, so it must take far less than the policy's
    /// [`max_staleness`](crate::Policy::max_staleness).
    ///
    /// # Errors
    ///
    /// [`StoreError`]; some of it may be forgotten.
    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError>;

    /// The receipts of all replicas, in any order: at least of those that were answered before
    /// this was sent. Like [`events_after`](Self::events_after), this must not come from a
    /// standby or a cache. Called about 20 times a second while somebody waits for an epoch to
    /// be in force everywhere.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store could not be asked or its answer not be read.
    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError>;

    /// Makes whoever waits for news in [`events_after`](Self::events_after) return, or not
    /// begin to wait, if it can. Otherwise it takes until the wait is over. Does not block.
    fn wake(&self) {}
}

macro_rules! store_behind {
    ($pointer:ty) => {
        /// So that the store can be chosen at run time, or be kept by whoever opens it.
        impl<S: Store + ?Sized> Store for $pointer {
            fn reach(&self) -> Reach {
                (**self).reach()
            }

            fn events_after(
                &self,
                heartbeat: Heartbeat,
                wait: Duration,
            ) -> Result<Answer<News>, StoreError> {
                (**self).events_after(heartbeat, wait)
            }

            fn standing(
                &self,
                place: Place,
                now: StoreTime,
            ) -> Result<Answer<Standing>, StoreError> {
                (**self).standing(place, now)
            }

            fn snapshot(
                &self,
                now: StoreTime,
                epochs: &mut dyn FnMut(StoredEpoch),
            ) -> Result<Answer<Option<Snapshot>>, StoreError> {
                (**self).snapshot(now, epochs)
            }

            fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
                (**self).begin(new)
            }

            fn commit(&self, commit: Commit, done: Completion<Outcome>) {
                (**self).commit(commit, done);
            }

            fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
                (**self).sessions(query, done);
            }

            fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
                (**self).rewrap(rewrap)
            }

            fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
                (**self).tidy(tidy)
            }

            fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
                (**self).receipts(now)
            }

            fn wake(&self) {
                (**self).wake();
            }
        }
    };
}

store_behind!(Box<S>);
store_behind!(std::sync::Arc<S>);

/// Which session rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionQuery {
    /// As for [`Commit::known`].
    pub known: Place,
    /// The rows.
    pub rows: Rows,
    /// The wall clock of the replica. A store in the same process takes it for its own.
    pub now: StoreTime,
}

/// Session rows, by what they are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// The row with this id, if there is one.
    One(RowId),
    /// All rows of the user that this tag stands for.
    OfUser([u8; 16]),
}
