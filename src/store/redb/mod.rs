//! A store in one file, with redb.

mod database;
mod file;
mod reading;
mod tables;
mod tidying;
mod watch;
mod writer;
mod writing;

use std::{
    fmt,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use redb::Database;

use self::{
    database::{Kept, open_database},
    file::StoreFile,
    reading::Reading,
    writer::{Change, Write},
};
use super::{
    Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Reach, Receipt,
    Rewrap, SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime, StoredEpoch, Tidy,
    worker::{Worker, tell},
};
use crate::{
    StoreError,
    error::{RedbOpenCause, RedbOpenError},
};

/// A store in one file, for one process: what was revoked stays so over restarts, crashes and
/// power failures, with nothing to set up.
///
/// The file is made when it is missing, with mode 0600, and refused if other users can read
/// it. It holds no user ids, and no secret that is not wrapped with the
/// [`MasterSecret`](crate::MasterSecret) but those of epochs, which revoke and mint nothing. It
/// belongs to one `RedbStore` at a time; the lock goes with the process, however it ends.
///
/// # Durability
///
/// An operation that reported success survives `kill -9` and the loss of power right after,
/// if the disk keeps what it says it has written. Operations that wait at the same time share
/// one transaction: many threads wait for the disk about as long as one does.
///
/// When the disk is full or fails, operations fail with the disk's error and may be tried
/// again; the store goes on by itself when the disk does. What is in force stays in force
/// meanwhile: [`verify`](crate::Authority::verify) does not read the file.
///
/// # Backups
///
/// See the guide's page on [backups](crate::guide::backups) before you need one: an old file
/// brings revoked tokens back until [`restored_from_backup`](crate::Authority::restored_from_backup)
/// is said.
///
/// # Threads
///
/// Two of its own, one that writes and one that reads session rows. They end when the store is
/// dropped, after they have done what they were asked for.
///
/// # Example
///
/// ```
/// use epochkey::{Authority, Grant, MasterSecret, RedbStore, Scope, VerifyError};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.redb");
/// # let secret = MasterSecret::generate()?; // in a service: `from_env` or `from_file`
/// let open = || -> Result<Authority, Box<dyn std::error::Error>> {
///     Ok(Authority::builder("https://issuer.example", "api")
///         .master_secret(secret.clone())
///         .open(RedbStore::open(&path)?)?)
/// };
/// let authority = open()?;
/// let token = authority.issue(Grant::user("u-42"))?;
/// authority.bump(Scope::user("u-42")).wait()?;
/// drop(authority);
///
/// let authority = open()?; // the service was restarted
/// assert!(matches!(authority.verify(&token), Err(VerifyError::Revoked { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbStore {
    // Before what they work on: they finish first.
    writer: Worker<Write>,
    reader: Worker<Read>,
    kept: Arc<Kept>,
}

struct Read {
    query: SessionQuery,
    done: Completion<Option<Vec<SessionRow>>>,
}

impl RedbStore {
    /// Opens the store in the file at `path`, or makes it if there is nothing.
    ///
    /// Looks through the whole file, so that damage is found before it is believed, and
    /// repairs what a crash has left unfinished. Blocks meanwhile: see
    /// [`AuthorityBuilder::open`](crate::AuthorityBuilder::open).
    ///
    /// # Errors
    ///
    /// [`RedbOpenError`] if what is there is not a store, is damaged, is open to others, or is
    /// in use. It is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RedbOpenError> {
        let path = path.as_ref();
        let open = || -> Result<Self, RedbOpenError> {
            let file = StoreFile::open(path)?;
            Self::of(move || open_database(file.storage()?))
        };
        open().map_err(|error| error.at(path))
    }

    /// The same on storage other than a file: opens what `storage` gives, anew after each
    /// error of it. Empty storage becomes an empty store.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[cfg(feature = "testing")]
    pub fn open_on<S: redb::StorageBackend>(
        storage: impl Fn() -> std::io::Result<S> + Send + Sync + 'static,
    ) -> Result<Self, RedbOpenError> {
        let of_io = |error| RedbOpenError::from(RedbOpenCause::from(error));
        let first = storage().map_err(of_io)?;
        if first.len().map_err(of_io)? == 0 {
            database::create_database(first)?;
        }
        Self::of(move || open_database(storage().map_err(of_io)?))
    }

    fn of(
        open: impl Fn() -> Result<Database, RedbOpenError> + Send + Sync + 'static,
    ) -> Result<Self, RedbOpenError> {
        let kept = Arc::new(Kept::open(Box::new(open))?);
        let thread = |error| RedbOpenError::from(RedbOpenCause::Io(error));
        let (writes, reads) = (Arc::clone(&kept), Arc::clone(&kept));
        let writer = Worker::start("epochkey-redb", move |queue| writer::run(&writes, &queue));
        let reader = Worker::start("epochkey-reads", move |queue| {
            for read in queue {
                answer(&reads, read);
            }
        });
        Ok(Self {
            writer: writer.map_err(thread)?,
            reader: reader.map_err(thread)?,
            kept,
        })
    }

    fn read<T>(&self, ask: impl FnOnce(&Reading) -> tables::Result<T>) -> Result<T, StoreError> {
        let read = self.kept.with(|database| ask(&Reading::of(database)?));
        read.map_err(|failure| failure.error())
    }

    /// What follows a place. The file is not read for one who is not far behind.
    fn news_after(&self, applied: Option<Place>) -> Result<News, StoreError> {
        let Some(place) = applied else {
            return Ok(News::TakeSnapshot);
        };
        if let Some(news) = self.kept.watch.events_after(place) {
            return Ok(news);
        }
        self.read(|reading| reading.events_after(place))
    }

    /// Waits for the thread that writes.
    fn write(&self, change: Change) -> Result<Answer<Outcome>, StoreError> {
        let (answered, answer) = mpsc::channel();
        let done = Box::new(move |answer| {
            // Whoever asked waits below.
            let _ = answered.send(answer);
        });
        self.writer.send(Write { change, done });
        answer
            .recv()
            .unwrap_or_else(|_| Err(StoreError::abandoned()))
    }
}

fn answer(kept: &Kept, Read { query, done }: Read) {
    let rows = kept.with(|database| Reading::of(database)?.sessions(&query));
    let answer = |value| Answer {
        value,
        time: query.now,
    };
    tell(|| done(rows.map(answer).map_err(|failure| failure.error())));
}

impl Store for RedbStore {
    fn reach(&self) -> Reach {
        Reach::Embedded
    }

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        let applied = heartbeat.applied;
        let mut value = self.news_after(applied)?;
        let is_part = matches!(value, News::Events { .. });
        self.kept.watch.receive(Heartbeat {
            applied: applied.filter(|_| is_part),
            ..heartbeat
        });
        let nothing_new = matches!(&value, News::Events { events, .. } if events.is_empty());
        if let Some(place) = applied
            && nothing_new
            && !wait.is_zero()
        {
            self.kept.watch.wait_for_news(place, wait);
            value = self.news_after(applied)?;
        }
        let time = heartbeat.now;
        Ok(Answer { value, time })
    }

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        let value = self.read(|reading| reading.standing(place))?;
        Ok(Answer { value, time: now })
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let value = self.read(|reading| reading.snapshot(epochs))?;
        Ok(Answer { value, time: now })
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        self.write(Change::Begin(new))
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let change = Change::Commit(commit);
        self.writer.send(Write { change, done });
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        self.reader.send(Read { query, done });
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.write(Change::Rewrap(rewrap))
    }

    /// Begins to forget, and does the rest of it when nobody waits for a commit.
    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        let answer = self.write(Change::Tidy(tidy))?;
        if matches!(answer.value, Outcome::Done { .. }) {
            self.kept.watch.forget_receipts(tidy.receipts_before);
        }
        Ok(answer)
    }

    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        let value = self.kept.watch.receipts();
        Ok(Answer { value, time: now })
    }

    fn wake(&self) {
        self.kept.watch.wake();
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("head", &self.kept.watch.head())
            .finish_non_exhaustive()
    }
}
