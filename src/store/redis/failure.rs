//! Why the server gave no answer that can be used.

use redis::{RedisError, ServerError};

use super::reply::Unreadable;
use crate::{
    StoreError,
    error::{RedisConnectCause, RedisConnectError},
};

/// Told to each of those whose requests were under way.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// There was no connection, and nothing was sent.
    NotConnected(RedisConnectCause),
    /// The connection broke, or was given up.
    Broken(RedisError),
    /// The server refused.
    Refused(ServerError),
    /// The log started over again and again while its snapshot was read.
    NotSettled,
    /// The answer was another than was asked for.
    Unreadable,
}

impl Failure {
    /// The server does not know the script, and has done nothing.
    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code() == "NOSCRIPT")
    }

    /// Whether nothing is to be had from the server for now.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::NotConnected(_) => true,
            Self::Broken(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether another connection may do better, or lead elsewhere.
    pub(super) fn wants_other_connection(&self) -> bool {
        match self {
            Self::Refused(error) => !is_of_scripts(error),
            Self::NotConnected(_) | Self::Broken(_) | Self::Unreadable => true,
            Self::NotSettled => false,
        }
    }
}

/// What a script says of a store that a newer version of this crate has written.
const NEWER: &str = "EPOCHKEY_NEWER";

/// Whether a script says so, about what it has found.
fn is_of_scripts(error: &ServerError) -> bool {
    error.code().starts_with("EPOCHKEY_")
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Broken(error)
    }
}

impl From<Unreadable> for Failure {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotConnected(cause) => Self::unavailable(RedisConnectError(cause)),
            Failure::Broken(error) => Self::unavailable(error),
            Failure::Refused(error) if error.code() == NEWER => Self::unreadable("the store"),
            Failure::Refused(error) if is_of_scripts(&error) => {
                Self::damaged(RedisError::from(error))
            }
            Failure::Refused(error) => Self::unavailable(RedisError::from(error)),
            Failure::NotSettled => Self::unsettled(),
            Failure::Unreadable => {
                Self::damaged("the Redis server's answer is not what was asked for")
            }
        }
    }
}
