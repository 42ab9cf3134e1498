//! One file, and an authority on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use epochkey::{Authority, BuildError, MasterSecret, RedbStore, testing};
use tempfile::TempDir;

/// A place for a file, which goes with this.
pub(crate) struct Site {
    directory: TempDir,
    pub(crate) secret: MasterSecret,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            secret: MasterSecret::generate().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("auth.redb")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn store(&self) -> RedbStore {
        RedbStore::open(self.path()).unwrap()
    }

    pub(crate) fn authority(&self) -> Authority {
        self.open(self.store()).unwrap()
    }

    pub(crate) fn open(&self, store: RedbStore) -> Result<Authority, BuildError> {
        let builder = testing::by_hand(Authority::builder("i", "a"));
        builder.master_secret(self.secret.clone()).open(store)
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Puts this in the place of the file, for its owner alone.
    pub(crate) fn write(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).unwrap();
        set_mode(&self.path(), 0o600);
    }

    /// The error's label, after seeing that the file was left as it was.
    pub(crate) fn refused(&self) -> (&'static str, String) {
        let before = self.read();
        let error = RedbStore::open(self.path()).unwrap_err();
        assert_eq!(error.path(), self.path());
        assert!(self.read() == before, "{error}: the file was changed");
        (error.label(), error.to_string())
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
