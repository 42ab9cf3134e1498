use std::{
    error, fmt, io,
    path::{Path, PathBuf},
};

/// Why a [`RedbStore`](crate::RedbStore) could not be opened. Nothing was put in place of
/// what is there.
pub struct RedbOpenError {
    path: PathBuf,
    pub(crate) cause: RedbOpenCause,
}

#[derive(Debug)]
pub(crate) enum RedbOpenCause {
    NotAFile,
    Empty,
    NotAStore,
    Damaged(redb::Error),
    Newer { found: u32 },
    ReadableByOthers { mode: u32 },
    InUse,
    Io(io::Error),
}

impl RedbOpenError {
    pub(crate) fn of_redb(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
                Self::from(RedbOpenCause::from(error))
            }
            redb::Error::DatabaseAlreadyOpen => Self::from(RedbOpenCause::InUse),
            damage => Self::from(RedbOpenCause::Damaged(damage)),
        }
    }

    pub(crate) fn at(self, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            ..self
        }
    }

    /// Whether the file is there and nothing can be read from it.
    pub(crate) fn is_damage(&self) -> bool {
        !matches!(self.cause, RedbOpenCause::InUse | RedbOpenCause::Io(_))
    }

    /// The path that was to be opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A short fixed name for metrics and logs: `not_a_file`, `empty`, `not_a_store`,
    /// `damaged`, `newer`, `readable_by_others`, `in_use` or `io`.
    pub fn label(&self) -> &'static str {
        match self.cause {
            RedbOpenCause::NotAFile => "not_a_file",
            RedbOpenCause::Empty => "empty",
            RedbOpenCause::NotAStore => "not_a_store",
            RedbOpenCause::Damaged(_) => "damaged",
            RedbOpenCause::Newer { .. } => "newer",
            RedbOpenCause::ReadableByOthers { .. } => "readable_by_others",
            RedbOpenCause::InUse => "in_use",
            RedbOpenCause::Io(_) => "io",
        }
    }
}

impl From<RedbOpenCause> for RedbOpenError {
    fn from(cause: RedbOpenCause) -> Self {
        let path = PathBuf::new();
        Self { path, cause }
    }
}

impl From<io::Error> for RedbOpenCause {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A file that ends too early.
            io::ErrorKind::UnexpectedEof => Self::Damaged(redb::Error::Io(error)),
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for RedbOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            RedbOpenCause::NotAFile => {
                write!(f, "`{path}` is not a file, or a link to nothing")
            }
            RedbOpenCause::Empty => write!(
                f,
                "`{path}` is an empty file, which is never left of a store: put a backup in its \
                 place, or remove it to begin anew, which logs everybody out"
            ),
            RedbOpenCause::NotAStore => write!(f, "`{path}` is a database of something else"),
            RedbOpenCause::Damaged(_) => write!(
                f,
                "`{path}` is damaged: put a backup in its place and say `restored_from_backup`, \
                 or move it away to begin anew; either logs everybody out"
            ),
            RedbOpenCause::Newer { found } => write!(
                f,
                "`{path}` was written by a newer version of epochkey, with schema {found}; update \
                 this process"
            ),
            RedbOpenCause::ReadableByOthers { mode } => write!(
                f,
                "`{path}` is open to other users (mode {mode:04o}); run `chmod 600 {}`",
                quoted(&path.to_string())
            ),
            RedbOpenCause::InUse => write!(
                f,
                "`{path}` is in use, by another process or by this one: a file belongs to one \
                 `RedbStore`. Several processes need a store that they share, on Redis or \
                 PostgreSQL: `RedisStore` or `PostgresStore`"
            ),
            RedbOpenCause::Io(_) => write!(f, "`{path}` could not be opened"),
        }
    }
}

/// As one word of a shell's.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// With the text, for a `main` that returns the error shows it like this.
impl fmt::Debug for RedbOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedbOpenError({:?}: {self})", self.cause)
    }
}

impl error::Error for RedbOpenError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.cause {
            RedbOpenCause::Damaged(source) => Some(source),
            RedbOpenCause::Io(source) => Some(source),
            _ => None,
        }
    }
}
