use std::{error, fmt};

use crate::{IdError, RandomError, StoreError, id::ID_RULE};

/// Why an authority could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer is not 1 to 255 bytes without control characters, `"` or `\`.
    InvalidIssuer(IdError),
    /// An audience is not 1 to 255 bytes without control characters, `"` or `\`.
    InvalidAudience(IdError),
    /// A setting of the policy makes no sense, alone or beside another.
    InvalidPolicy {
        /// The setting.
        setting: &'static str,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// The operating system gave no random bytes.
    Random(RandomError),
    /// The store could not be used.
    Store(StoreError),
}

impl BuildError {
    /// A short fixed name for metrics and logs, such as `invalid_policy`.
    pub fn label(&self) -> &'static str {
        match self {
            BuildError::InvalidIssuer(_) => "invalid_issuer",
            BuildError::InvalidAudience(_) => "invalid_audience",
            BuildError::InvalidPolicy { .. } => "invalid_policy",
            BuildError::Random(_) => "random",
            BuildError::Store(_) => "store",
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::InvalidIssuer(_) => write!(f, "the issuer {ID_RULE}"),
            BuildError::InvalidAudience(_) => write!(f, "an audience {ID_RULE}"),
            BuildError::InvalidPolicy { setting, reason } => {
                write!(f, "the policy's `{setting}` {reason}")
            }
            BuildError::Random(_) => f.write_str("no random bytes for the first ring key"),
            BuildError::Store(_) => f.write_str("the store could not be opened"),
        }
    }
}

impl error::Error for BuildError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            BuildError::InvalidIssuer(source) | BuildError::InvalidAudience(source) => Some(source),
            BuildError::InvalidPolicy { .. } => None,
            BuildError::Random(source) => Some(source),
            BuildError::Store(source) => Some(source),
        }
    }
}

impl From<RandomError> for BuildError {
    fn from(error: RandomError) -> Self {
        BuildError::Random(error)
    }
}

impl From<StoreError> for BuildError {
    fn from(error: StoreError) -> Self {
        BuildError::Store(error)
    }
}
