use std::{error, fmt, io};

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
    /// The store keeps its secrets wrapped, and the builder was given no master secret.
    NoMasterSecret,
    /// The master secret is not the one that the store's secrets are wrapped with.
    /// Nothing was changed: a new ring over the old one would log everybody out.
    WrongMasterSecret,
    /// The operating system gave no thread.
    Thread(io::Error),
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
            BuildError::NoMasterSecret => "no_master_secret",
            BuildError::WrongMasterSecret => "wrong_master_secret",
            BuildError::Thread(_) => "thread",
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
            BuildError::Random(_) => f.write_str("no random bytes for the first secrets"),
            BuildError::NoMasterSecret => f.write_str(
                "this store keeps secrets that must be wrapped; give the builder a `master_secret`",
            ),
            BuildError::WrongMasterSecret => f.write_str(
                "the store's secrets are wrapped with another master secret; give the builder that \
                 one, as `master_secret` or `previous_master_secret`",
            ),
            BuildError::Thread(_) => f.write_str("the operating system gave no thread"),
            BuildError::Store(_) => f.write_str("the store could not be opened"),
        }
    }
}

impl error::Error for BuildError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            BuildError::InvalidIssuer(source) | BuildError::InvalidAudience(source) => Some(source),
            BuildError::InvalidPolicy { .. }
            | BuildError::NoMasterSecret
            | BuildError::WrongMasterSecret => None,
            BuildError::Thread(source) => Some(source),
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
        match error.random() {
            Some(random) => BuildError::Random(random),
            None if error.is_wrong_master_secret() => BuildError::WrongMasterSecret,
            None => BuildError::Store(error),
        }
    }
}
