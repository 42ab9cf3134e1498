//! Why the server gave no answer that can be used.

use std::sync::Arc;

use tokio_postgres::error::{Error, Severity, SqlState};

use crate::{
    StoreError,
    error::{PostgresConnectCause as Cause, PostgresConnectError},
};

/// Told to each of those whose requests were under way.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// There was no connection, and nothing was sent.
    NotConnected(Cause),
    /// The connection broke.
    Broken(Arc<Error>),
    /// The same, after what was to be done had been sent: it may have been done.
    InDoubt(Arc<Error>),
    /// No answer came in time.
    TimedOut,
    /// The server did not do it, and says why.
    Refused(Arc<Error>),
    /// The server did it, and has doubts.
    Warned(String),
    /// The server is a standby.
    NotPrimary,
    /// The server may lose what it acknowledges.
    Weak,
    /// A newer version of this crate has changed the tables.
    Newer,
    /// What is kept cannot be.
    Damaged(&'static str),
    /// The answer was another than was asked for.
    Unreadable,
}

impl Failure {
    /// Nothing was changed, and the next attempt may succeed at once.
    pub(super) fn is_conflict(&self) -> bool {
        self.is_unknown_statement()
            || self.state().is_some_and(|state| {
                *state == SqlState::T_R_SERIALIZATION_FAILURE
                    || *state == SqlState::T_R_DEADLOCK_DETECTED
            })
    }

    /// The server does not know what it was to keep, and has done nothing.
    pub(super) fn is_unknown_statement(&self) -> bool {
        self.state() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME)
    }

    /// The connection broke before an answer came: it may have been broken all the time.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// The server keeps something of that name already.
    pub(super) fn is_known_statement(&self) -> bool {
        self.state() == Some(&SqlState::DUPLICATE_PSTATEMENT)
    }

    /// As what happened to what was not to be done twice.
    pub(super) fn in_doubt(self) -> Self {
        match self {
            Self::Broken(error) => Self::InDoubt(error),
            other => other,
        }
    }

    /// As what happened to what cannot be begun anew.
    pub(super) fn at_last(self) -> Self {
        match self {
            Self::Refused(error) if Self::Refused(Arc::clone(&error)).is_conflict() => {
                Self::InDoubt(error)
            }
            other => other.in_doubt(),
        }
    }

    /// Whether nothing is to be had from the server for now.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::NotConnected(_) | Self::TimedOut)
            || self.state().is_some_and(|state| {
                // Somebody holds what everybody needs.
                *state == SqlState::LOCK_NOT_AVAILABLE || *state == SqlState::QUERY_CANCELED
            })
    }

    /// Whether another connection may do better, or lead elsewhere.
    pub(super) fn wants_other_connection(&self) -> bool {
        match self {
            Self::Refused(_) => self.state().is_some_and(|state| {
                // The tables were dropped: the next connection makes them.
                *state == SqlState::UNDEFINED_TABLE || *state == SqlState::READ_ONLY_SQL_TRANSACTION
            }),
            Self::Newer | Self::Damaged(_) => false,
            _ => true,
        }
    }

    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Refused(error) => error.code(),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let severity = error.as_db_error().map(|error| error.parsed_severity());
        match severity {
            Some(Some(Severity::Error)) => Self::Refused(Arc::new(error)),
            // Without an answer, or with one that ends the connection: it may have been done.
            _ => Self::Broken(Arc::new(error)),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotConnected(Cause::NewerSchema { .. }) => Self::unreadable("the store"),
            Failure::NotConnected(cause) => Self::unavailable(PostgresConnectError(cause)),
            Failure::Broken(error) | Failure::InDoubt(error) | Failure::Refused(error) => {
                Self::unavailable(error)
            }
            Failure::TimedOut => Self::unavailable("the PostgreSQL server did not answer in time"),
            Failure::Warned(warning) => {
                Self::unavailable(format!("the PostgreSQL server warned: {warning}"))
            }
            Failure::NotPrimary => Self::unavailable(PostgresConnectError(Cause::NotPrimary)),
            Failure::Weak => Self::unavailable(
                "the PostgreSQL server's `fsync` or `full_page_writes` is off by now",
            ),
            Failure::Newer => Self::unreadable("the store"),
            Failure::Damaged(what) => Self::damaged(what),
            Failure::Unreadable => {
                Self::damaged("the PostgreSQL server's answer is not what was asked for")
            }
        }
    }
}
