//! The file: made whole or not at all, nobody else's to read, and held by one process.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use redb::{StorageBackend, backends::FileBackend};

use super::database::create_database;
use crate::error::{RedbOpenCause, RedbOpenError};

/// How often the file may come and go while it is opened.
const MOST_TRIES: usize = 8;
/// A moment for one who is just letting go: a process that ends, or an operation of an
/// authority that was dropped.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// An open file, locked until this is dropped. The lock is not redb's: that one goes
/// whenever the database is opened anew.
pub(super) struct StoreFile(File);

impl StoreFile {
    /// The store at this path, which is made if there is nothing.
    pub(super) fn open(path: &Path) -> Result<Self, RedbOpenCause> {
        for _ in 0..MOST_TRIES {
            if let Some(file) = Self::existing(path)? {
                return Ok(file);
            }
            if let Some(file) = Self::create(path)? {
                return Ok(file);
            }
        }
        Err(io::Error::from(ErrorKind::AlreadyExists).into())
    }

    fn existing(path: &Path) -> Result<Option<Self>, RedbOpenCause> {
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match path.is_symlink() {
                    // What it points at is gone, or not there yet.
                    true => Err(RedbOpenCause::NotAFile),
                    false => Ok(None),
                };
            }
            // To open a pipe would wait for its other end.
            Ok(found) if !found.is_file() => return Err(RedbOpenCause::NotAFile),
            found => found?,
        };
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let found = file.metadata()?;
        check_mode(&found)?;
        let file = Self::locked(file)?;
        if found.len() == 0 {
            return Err(RedbOpenCause::Empty);
        }
        // Whoever made it may have died before the name was written down.
        match sync_directory(&directory_of(path)) {
            // One in which it may not look is not one in which it made the file.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
        Ok(Some(file))
    }

    /// Makes the store under another name first: whoever finds something at its own finds
    /// all of it, even after a crash. `None` if there is something by now.
    fn create(path: &Path) -> Result<Option<Self>, RedbOpenCause> {
        let directory = directory_of(path);
        // Made with mode 0600.
        let new = tempfile::Builder::new()
            .prefix(".epochkey-")
            .suffix(".new")
            .tempfile_in(&directory)?;
        let file = Self::locked(new.as_file().try_clone()?)?;
        create_database(file.storage()?).map_err(|error| error.cause)?;
        match new.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error.error.into()),
        }
        sync_directory(&directory)?;
        Ok(Some(file))
    }

    fn locked(file: File) -> Result<Self, RedbOpenCause> {
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Err(RedbOpenCause::InUse)
    }

    /// Storage for one database at a time.
    pub(super) fn storage(&self) -> Result<impl StorageBackend + use<>, RedbOpenCause> {
        let file = FileBackend::new(self.0.try_clone()?);
        file.map(Unlocked)
            .map_err(|error| RedbOpenError::of_redb(error.into()).cause)
    }
}

/// Said, and not left to the closing of the file: a process that is being started by another
/// thread has a copy of it until it runs its own program.
impl Drop for StoreFile {
    fn drop(&mut self) {
        // If it fails, the lock goes with the last copy.
        let _ = self.0.unlock();
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(unix)]
fn check_mode(found: &fs::Metadata) -> Result<(), RedbOpenCause> {
    use std::os::unix::fs::MetadataExt;

    match found.mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(RedbOpenCause::ReadableByOthers { mode }),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &fs::Metadata) -> Result<(), RedbOpenCause> {
    Ok(())
}

/// A name that is not written down goes with the power, and the file with it.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The file, without redb's own locks on it.
#[derive(Debug)]
struct Unlocked(FileBackend);

impl StorageBackend for Unlocked {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that is being started has copies of all open files until it runs a program
    /// of its own, and a lock stays as long as there is a copy.
    #[test]
    fn the_lock_goes_though_somebody_has_a_copy_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.redb");
        let file = StoreFile::open(&path).unwrap();
        let _copy = file.0.try_clone().unwrap();
        assert!(matches!(StoreFile::open(&path), Err(RedbOpenCause::InUse)));
        drop(file);
        assert!(StoreFile::open(&path).is_ok());
    }

    #[test]
    fn a_name_alone_is_in_the_directory_of_the_process() {
        let of = |path| directory_of(Path::new(path));
        assert_eq!(of("auth.redb"), Path::new("."));
        assert_eq!(of("data/auth.redb"), Path::new("data"));
        assert_eq!(of("/auth.redb"), Path::new("/"));
    }

    /// That it is asked for: neither of these can be brought to a disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_written_is_brought_to_the_disk_or_that_fails() {
        let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null");
        let storage = Unlocked(FileBackend::new(nowhere.unwrap()).unwrap());
        assert!(storage.write(0, b"a page").is_ok());
        assert!(storage.sync_data().is_err());
        assert!(sync_directory(Path::new("/proc")).is_err());
        let directory = tempfile::tempdir().unwrap();
        assert!(sync_directory(directory.path()).is_ok());
    }
}
