use std::{error, fmt};

use crate::{IdError, RandomError, Scope, id::ID_RULE};

/// The store failed, or what it answered cannot be used.
///
/// A change that fails with it may or may not have been kept; it is safe to make it again.
#[derive(Debug)]
pub struct StoreError(Cause);

#[derive(Debug)]
enum Cause {
    Gap { applied: u64, next: u64 },
    Lost { applied: u64, acknowledged: u64 },
    Abandoned,
}

impl StoreError {
    /// The event after position `applied` was found at `next`.
    pub(crate) fn gap(applied: u64, next: u64) -> Self {
        Self(Cause::Gap { applied, next })
    }

    /// The log ends at position `applied`, though the store acknowledged more.
    pub(crate) fn lost(applied: u64, acknowledged: u64) -> Self {
        Self(Cause::Lost {
            applied,
            acknowledged,
        })
    }

    /// A commit was dropped without an outcome.
    pub(crate) fn abandoned() -> Self {
        Self(Cause::Abandoned)
    }

    /// A short fixed name for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self.0 {
            Cause::Gap { .. } => "gap",
            Cause::Lost { .. } => "lost",
            Cause::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Gap { applied, next } => write!(
                f,
                "the epoch log does not go on behind position {applied}: its next event is at \
                 {next}; nothing is accepted or issued until the process is restarted"
            ),
            Cause::Lost {
                applied,
                acknowledged,
            } => write!(
                f,
                "the store acknowledged position {acknowledged}, but its epoch log ends at \
                 {applied}; nothing is accepted or issued until the process is restarted"
            ),
            Cause::Abandoned => f.write_str("the store dropped a commit without an answer"),
        }
    }
}

impl error::Error for StoreError {}

/// Why a bump has no result to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum BumpError {
    /// A scope's id is not valid, so no token can carry it. Nothing was bumped.
    InvalidScope {
        /// The scope.
        scope: Scope,
        /// What is wrong with its id.
        source: IdError,
    },
    /// The operating system gave no random bytes. Nothing was bumped.
    Random(RandomError),
    /// The store failed. Bump again: whether or not the first attempt was kept,
    /// a second one does no harm.
    Store(StoreError),
}

impl BumpError {
    /// A short fixed name for metrics and logs, such as `invalid_scope`.
    pub fn label(&self) -> &'static str {
        match self {
            BumpError::InvalidScope { .. } => "invalid_scope",
            BumpError::Random(_) => "random",
            BumpError::Store(_) => "store",
        }
    }
}

impl fmt::Display for BumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BumpError::InvalidScope { scope, .. } => {
                write!(f, "the id of the {} to bump {ID_RULE}", scope.kind())
            }
            BumpError::Random(_) => f.write_str("no random bytes for the new epoch"),
            BumpError::Store(_) => f.write_str("the bump may not have been kept; bump again"),
        }
    }
}

impl error::Error for BumpError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            BumpError::InvalidScope { source, .. } => Some(source),
            BumpError::Random(source) => Some(source),
            BumpError::Store(source) => Some(source),
        }
    }
}

impl From<RandomError> for BumpError {
    fn from(error: RandomError) -> Self {
        BumpError::Random(error)
    }
}

impl From<StoreError> for BumpError {
    fn from(error: StoreError) -> Self {
        BumpError::Store(error)
    }
}

/// Why a swap of the key ring has no result to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum SwapError {
    /// The operating system gave no random bytes. Nothing was swapped.
    Random(RandomError),
    /// The store failed. Swap again: whether or not the first attempt was kept,
    /// a second one does no harm.
    Store(StoreError),
}

impl SwapError {
    /// A short fixed name for metrics and logs, such as `store`.
    pub fn label(&self) -> &'static str {
        match self {
            SwapError::Random(_) => "random",
            SwapError::Store(_) => "store",
        }
    }
}

impl fmt::Display for SwapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SwapError::Random(_) => "no random bytes for the new ring key",
            SwapError::Store(_) => "the swap may not have been kept; swap again",
        })
    }
}

impl error::Error for SwapError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            SwapError::Random(source) => Some(source),
            SwapError::Store(source) => Some(source),
        }
    }
}

impl From<RandomError> for SwapError {
    fn from(error: RandomError) -> Self {
        SwapError::Random(error)
    }
}

impl From<StoreError> for SwapError {
    fn from(error: StoreError) -> Self {
        SwapError::Store(error)
    }
}
