//! The open database, and how it is opened again after a failure.

use std::{error, fmt, sync::Arc};

use parking_lot::RwLock;
use redb::{Builder, Database, ReadableDatabase, StorageBackend};

use super::{reading::Reading, tables, watch::Watch};
use crate::{RedbOpenError, StoreError, error::RedbOpenCause};

/// How much of the file redb may keep in memory, in bytes. What `verify` needs is in the
/// epoch table.
const CACHE_SIZE: usize = 16 << 20;

type Open = Box<dyn Fn() -> Result<Database, RedbOpenError> + Send + Sync>;

/// The database, while it works. redb refuses everything after an error of the storage until
/// it is opened anew, so that is done with the next request: a disk that was full does not
/// take a restart of the process.
pub(super) struct Kept {
    // Before what opens it, which holds the lock: the database writes when it is closed.
    present: RwLock<Present>,
    open: Open,
    pub(super) watch: Watch,
}

struct Present {
    database: Option<Database>,
    /// How often it was opened.
    opened: u64,
}

impl Kept {
    pub(super) fn open(open: Open) -> Result<Self, RedbOpenError> {
        let kept = Self {
            open,
            present: RwLock::new(Present {
                database: None,
                opened: 0,
            }),
            watch: Watch::new(None),
        };
        kept.open_anew()?;
        Ok(kept)
    }

    fn open_anew(&self) -> Result<(), RedbOpenError> {
        let mut present = self.present.write();
        if present.database.is_none() {
            let database = (self.open)()?;
            let head = Reading::of(&database).and_then(|reading| reading.head());
            self.watch.found(head.map_err(RedbOpenError::of_redb)?);
            present.database = Some(database);
            present.opened += 1;
        }
        Ok(())
    }

    /// Does something with the database. After a failure it is opened anew by the next who
    /// does.
    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&Database) -> tables::Result<T>,
    ) -> Result<T, Failure> {
        let (result, opened) = loop {
            let present = self.present.read();
            if let Some(database) = &present.database {
                break (act(database), present.opened);
            }
            drop(present);
            self.open_anew().map_err(Failure::of_opening)?;
        };
        result.map_err(|error| {
            let mut present = self.present.write();
            if present.opened == opened {
                present.database = None;
            }
            Failure::of_redb(error)
        })
    }
}

/// Opens a database on storage that is not empty, and looks through all of it: what it holds
/// decides who gets in, so damage is found before it is believed.
pub(super) fn open_database(storage: impl StorageBackend) -> Result<Database, RedbOpenError> {
    let database = builder()
        .set_check_integrity_on_open(true)
        .create_with_backend(storage)
        .map_err(|error| RedbOpenError::of_redb(error.into()))?;
    let transaction = database.begin_read();
    let transaction = transaction.map_err(|error| RedbOpenError::of_redb(error.into()))?;
    match tables::schema(&transaction).map_err(RedbOpenError::of_redb)? {
        Some(tables::SCHEMA) => {}
        Some(found) if found > tables::SCHEMA => {
            return Err(RedbOpenError::from(RedbOpenCause::Newer { found }));
        }
        _ => return Err(RedbOpenError::from(RedbOpenCause::NotAStore)),
    }
    tables::check(&transaction).map_err(RedbOpenError::of_redb)?;
    Ok(database)
}

/// Makes the tables of an empty store.
pub(super) fn create_database(storage: impl StorageBackend) -> Result<(), RedbOpenError> {
    let create = || {
        let database = builder().create_with_backend(storage)?;
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        tables::create(&transaction)?;
        transaction.commit()?;
        Ok(database.close()?)
    };
    create().map_err(RedbOpenError::of_redb)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_SIZE);
    builder
}

/// Why the database could not be used. All who waited for the same transaction are told.
pub(super) struct Failure {
    is_damage: bool,
    source: Arc<dyn error::Error + Send + Sync>,
}

impl Failure {
    fn of_redb(error: redb::Error) -> Self {
        Self {
            is_damage: is_damage(&error),
            source: Arc::new(error),
        }
    }

    fn of_opening(error: RedbOpenError) -> Self {
        Self {
            is_damage: error.is_damage(),
            source: Arc::new(error),
        }
    }

    pub(super) fn error(&self) -> StoreError {
        let source = Shared(Arc::clone(&self.source));
        match self.is_damage {
            true => StoreError::damaged(source),
            false => StoreError::unavailable(source),
        }
    }
}

/// Whether what redb says is about what the file holds, and not about getting at it.
fn is_damage(error: &redb::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::Error::Io(error) => matches!(error.kind(), InvalidData | UnexpectedEof),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => false,
        _ => true,
    }
}

#[derive(Debug)]
struct Shared(Arc<dyn error::Error + Send + Sync>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl error::Error for Shared {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    #[test]
    fn damage_is_told_from_what_passes() {
        let io = |kind: ErrorKind| redb::Error::Io(io::Error::from(kind));
        let label = |error| Failure::of_redb(error).error().label();
        for damage in [
            io(ErrorKind::InvalidData),
            io(ErrorKind::UnexpectedEof),
            redb::Error::Corrupted("a page".to_owned()),
        ] {
            assert_eq!(label(damage), "damaged");
        }
        for passing in [
            io(ErrorKind::StorageFull),
            redb::Error::PreviousIo,
            redb::Error::DatabaseClosed,
        ] {
            assert_eq!(label(passing), "unavailable");
        }
    }

    /// All who waited are told the same.
    #[test]
    fn what_the_disk_said_is_the_source_of_the_source() {
        let disk = io::Error::from(ErrorKind::StorageFull).to_string();
        let opening = RedbOpenError::from(RedbOpenCause::Io(ErrorKind::StorageFull.into()));
        let failure = Failure::of_opening(opening);
        for _ in 0..2 {
            let error = failure.error();
            let shared = error::Error::source(&error).unwrap();
            assert_eq!(shared.source().unwrap().to_string(), disk);
        }
    }
}
