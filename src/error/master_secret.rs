use std::{error, fmt, io, path::PathBuf};

use crate::master_secret::{MAX_LENGTH, MIN_LENGTH};

/// Why there is no master secret. No message contains any of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum MasterSecretError {
    /// The environment variable is not set.
    NotSet {
        /// Its name.
        name: String,
    },
    /// The environment variable's value is not Unicode.
    NotUnicode {
        /// Its name.
        name: String,
    },
    /// The file could not be read.
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The text is neither hex nor base64 on one line.
    Undecodable,
    /// The secret is shorter than 32 bytes.
    TooShort {
        /// Its length in bytes, decoded.
        length: usize,
    },
    /// The secret is longer than 4096 bytes, or its text longer than 16 KiB.
    TooLong,
    /// The secret is one byte or one character over and over: clearly not random.
    Placeholder,
}

impl MasterSecretError {
    /// A short fixed name for metrics and logs, such as `too_short`.
    pub fn label(&self) -> &'static str {
        match self {
            MasterSecretError::NotSet { .. } => "not_set",
            MasterSecretError::NotUnicode { .. } => "not_unicode",
            MasterSecretError::Unreadable { .. } => "unreadable",
            MasterSecretError::Undecodable => "undecodable",
            MasterSecretError::TooShort { .. } => "too_short",
            MasterSecretError::TooLong => "too_long",
            MasterSecretError::Placeholder => "placeholder",
        }
    }
}

impl fmt::Display for MasterSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MasterSecretError::NotSet { name } => write!(
                f,
                "the environment variable {name:?} is not set; it should hold the master secret"
            ),
            MasterSecretError::NotUnicode { name } => write!(
                f,
                "the environment variable {name:?} is not Unicode; write the master secret as \
                 hex or base64"
            ),
            MasterSecretError::Unreadable { path, .. } => {
                write!(f, "the master secret's file {path:?} could not be read")
            }
            MasterSecretError::Undecodable => f.write_str(
                "the master secret is neither hex nor base64; write it as one of them, on one line",
            ),
            MasterSecretError::TooShort { length } => write!(
                f,
                "the master secret is {length} bytes long; use at least {MIN_LENGTH} random ones"
            ),
            MasterSecretError::TooLong => write!(
                f,
                "the master secret is longer than {MAX_LENGTH} bytes; {MIN_LENGTH} are enough"
            ),
            MasterSecretError::Placeholder => write!(
                f,
                "the master secret repeats one byte or character; use {MIN_LENGTH} random bytes"
            ),
        }
    }
}

impl error::Error for MasterSecretError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            MasterSecretError::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}
