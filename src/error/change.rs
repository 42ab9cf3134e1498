use std::{error, fmt};

use crate::{IdError, RandomError, Scope, StoreError, id::ID_RULE, store::Refusal};

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
    /// Whether the same may succeed in a moment: to be answered with `503`.
    pub fn is_transient(&self) -> bool {
        matches!(self, BumpError::Store(error) if error.is_transient())
    }

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
            BumpError::Store(error) if error.is_too_large() => {
                f.write_str("too many scopes at once, and none was bumped; bump them in parts")
            }
            BumpError::Store(_) => f.write_str("the bump is not known to be in force; bump again"),
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
    /// Whether the same may succeed in a moment: to be answered with `503`.
    pub fn is_transient(&self) -> bool {
        matches!(self, SwapError::Store(error) if error.is_transient())
    }

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
            SwapError::Store(_) => "the swap is not known to be in force; swap again",
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

/// Why a rotation of the key ring has no result to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum RotateError {
    /// The ring has so many live keys that another one would slow down every
    /// `verify`. Nothing was rotated; older keys retire by themselves.
    TooManyKeys {
        /// How many keys are live.
        keys: usize,
    },
    /// Another rotation or swap, by another replica or on schedule, came first, so this one
    /// was not made. There is a new key: most likely nothing is left to do.
    Overtaken,
    /// The operating system gave no random bytes. Nothing was rotated.
    Random(RandomError),
    /// The store failed. Rotate again if [`Stats::ring_keys`](crate::Stats::ring_keys) has
    /// not grown; an additional key does no harm.
    Store(StoreError),
}

impl RotateError {
    /// Whether the same may succeed in a moment: to be answered with `503`.
    pub fn is_transient(&self) -> bool {
        matches!(self, RotateError::Store(error) if error.is_transient())
    }

    /// A short fixed name for metrics and logs, such as `overtaken`.
    pub fn label(&self) -> &'static str {
        match self {
            RotateError::TooManyKeys { .. } => "too_many_keys",
            RotateError::Overtaken => "overtaken",
            RotateError::Random(_) => "random",
            RotateError::Store(_) => "store",
        }
    }
}

impl fmt::Display for RotateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RotateError::TooManyKeys { keys } => write!(
                f,
                "{keys} ring keys are live already; wait until some retire, or swap"
            ),
            RotateError::Overtaken => {
                f.write_str("another rotation or swap came first, so this one was not made")
            }
            RotateError::Random(_) => f.write_str("no random bytes for the new ring key"),
            RotateError::Store(_) => f.write_str("the rotation is not known to be in force"),
        }
    }
}

impl error::Error for RotateError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            RotateError::TooManyKeys { .. } | RotateError::Overtaken => None,
            RotateError::Random(source) => Some(source),
            RotateError::Store(source) => Some(source),
        }
    }
}

impl From<RandomError> for RotateError {
    fn from(error: RandomError) -> Self {
        RotateError::Random(error)
    }
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        match error.refusal() {
            Some(Refusal::Key) => RotateError::Overtaken,
            _ => RotateError::Store(error),
        }
    }
}
