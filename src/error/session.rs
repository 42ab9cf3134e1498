use std::{error, fmt};

use crate::{IssueError, RandomError, SessionId, StoreError};

/// Why a session could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The grant was refused.
    Grant(IssueError),
    /// The label is longer than 1,024 bytes.
    LabelTooLong {
        /// How long it is, in bytes.
        length: usize,
    },
    /// The user has as many sessions as the policy allows, which refuses another.
    TooManySessions {
        /// How many it allows.
        limit: usize,
    },
    /// A scope of the grant was bumped, or the log started over, while the session was
    /// started. Check again what the grant rests on.
    BumpedMeanwhile,
    /// This replica has no fresh news of the store. Try again.
    StaleEpochs,
    /// The operating system gave no random bytes.
    Random(RandomError),
    /// The store failed. The session may have begun, and nobody has its tokens: start another.
    Store(StoreError),
}

/// Why a session was not refreshed.
///
/// Where [`needs_log_in`](Self::needs_log_in) says so, answer `401`, and delete the client's
/// tokens. Otherwise the session goes on: answer `503`, and the client shows the same token
/// again, if the error [`is_transient`](Self::is_transient), and `500` if not.
#[derive(Debug)]
#[non_exhaustive]
pub enum RefreshError {
    /// Not a refresh token of this crate's form.
    Malformed,
    /// Nobody with the refresh key of now has made it.
    BadTag,
    /// The session was not refreshed for too long, or has reached its absolute end.
    Expired {
        /// Whether it was idle for too long; otherwise it has reached its end.
        idle: bool,
    },
    /// The session was ended: by a log-out, a bump of its user, a reuse, or because the
    /// application grants nothing any more.
    Ended,
    /// The token was used before, longer ago than the grace window: somebody else may have it,
    /// or may have used it. The session was ended, with all of its tokens.
    Reused {
        /// The session.
        session: SessionId,
        /// Whose it was.
        user: String,
    },
    /// The same token was shown too often within the grace window. The session goes on.
    TooManyReplays,
    /// The grant that the application gave was refused.
    Grant(IssueError),
    /// Something else happened to the session, or to a scope of the grant, at the same time.
    /// Try again with the same token.
    TryAgain,
    /// This replica has no fresh news of the store. Try again.
    StaleEpochs,
    /// The operating system gave no random bytes.
    Random(RandomError),
    /// The store failed. Try again with the same token: if it was rotated already, it gives
    /// the same successor.
    Store(StoreError),
}

/// Why nothing can be said about a session, or it was not changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such session: it has ended, or never was.
    Ended,
    /// The token was refused.
    Issue(IssueError),
    /// The session or its user's others changed at the same time, again and again.
    TryAgain,
    /// This replica has no fresh news of the store. Try again.
    StaleEpochs,
    /// The operating system gave no random bytes.
    Random(RandomError),
    /// The store failed. Try again.
    Store(StoreError),
}

impl StartError {
    /// Whether the same may succeed in a moment: to be answered with `503`.
    pub fn is_transient(&self) -> bool {
        match self {
            // The facts may have changed: to log in again tells.
            StartError::BumpedMeanwhile | StartError::StaleEpochs => true,
            StartError::Grant(error) => error.is_transient(),
            StartError::Store(error) => error.is_transient(),
            _ => false,
        }
    }

    /// A short fixed name for metrics and logs, such as `too_many_sessions`.
    pub fn label(&self) -> &'static str {
        match self {
            StartError::Grant(_) => "grant",
            StartError::LabelTooLong { .. } => "label_too_long",
            StartError::TooManySessions { .. } => "too_many_sessions",
            StartError::BumpedMeanwhile => "bumped_meanwhile",
            StartError::StaleEpochs => "stale_epochs",
            StartError::Random(_) => "random",
            StartError::Store(_) => "store",
        }
    }
}

impl RefreshError {
    /// Whether the same may succeed in a moment: to be answered with `503`.
    pub fn is_transient(&self) -> bool {
        match self {
            RefreshError::StaleEpochs | RefreshError::TryAgain | RefreshError::TooManyReplays => {
                true
            }
            RefreshError::Grant(error) => error.is_transient(),
            RefreshError::Store(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether the session is over for this client: to be answered with `401`, and its tokens
    /// to be deleted. Otherwise the session goes on, and the client keeps what it has.
    pub fn needs_log_in(&self) -> bool {
        matches!(
            self,
            RefreshError::Malformed
                | RefreshError::BadTag
                | RefreshError::Expired { .. }
                | RefreshError::Ended
                | RefreshError::Reused { .. }
        )
    }

    /// A short fixed name for metrics and logs, such as `reused`.
    pub fn label(&self) -> &'static str {
        match self {
            RefreshError::Malformed => "malformed",
            RefreshError::BadTag => "bad_tag",
            RefreshError::Expired { .. } => "expired",
            RefreshError::Ended => "ended",
            RefreshError::Reused { .. } => "reused",
            RefreshError::TooManyReplays => "too_many_replays",
            RefreshError::Grant(_) => "grant",
            RefreshError::TryAgain => "try_again",
            RefreshError::StaleEpochs => "stale_epochs",
            RefreshError::Random(_) => "random",
            RefreshError::Store(_) => "store",
        }
    }
}

impl SessionError {
    /// Whether the same may succeed in a moment: to be answered with `503`.
    pub fn is_transient(&self) -> bool {
        match self {
            SessionError::StaleEpochs | SessionError::TryAgain => true,
            SessionError::Store(error) => error.is_transient(),
            _ => false,
        }
    }

    /// A short fixed name for metrics and logs, such as `ended`.
    pub fn label(&self) -> &'static str {
        match self {
            SessionError::Ended => "ended",
            SessionError::Issue(_) => "issue",
            SessionError::TryAgain => "try_again",
            SessionError::StaleEpochs => "stale_epochs",
            SessionError::Random(_) => "random",
            SessionError::Store(_) => "store",
        }
    }
}

const STALE: &str = "this process has no fresh news of the store; try again";
const TRY_AGAIN: &str = "something else happened to it at the same time; try again";
const NO_RANDOM: &str = "no random bytes";

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Grant(_) => f.write_str("the grant was refused"),
            StartError::LabelTooLong { length } => {
                write!(f, "the label has {length} bytes, and 1,024 are allowed")
            }
            StartError::TooManySessions { limit } => {
                write!(
                    f,
                    "the user has {limit} sessions already, and no more are allowed"
                )
            }
            StartError::BumpedMeanwhile => f.write_str(
                "what the grant rests on was revoked while the session was started; check it again",
            ),
            StartError::StaleEpochs => f.write_str(STALE),
            StartError::Random(_) => f.write_str(NO_RANDOM),
            StartError::Store(_) => f.write_str("the session is not known to have begun"),
        }
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefreshError::Malformed => f.write_str("this is not a refresh token"),
            RefreshError::BadTag => f.write_str(
                "the refresh token was not made here, or before \
                 the log started over",
            ),
            RefreshError::Expired { idle: true } => {
                f.write_str("the session was not used for too long")
            }
            RefreshError::Expired { idle: false } => f.write_str("the session is over"),
            RefreshError::Ended => f.write_str("the session was ended"),
            RefreshError::Reused { .. } => {
                f.write_str("the refresh token was used before, and the session was ended")
            }
            RefreshError::TooManyReplays => {
                f.write_str("the refresh token was shown too often at once")
            }
            RefreshError::Grant(_) => f.write_str("the grant was refused"),
            RefreshError::TryAgain => f.write_str(TRY_AGAIN),
            RefreshError::StaleEpochs => f.write_str(STALE),
            RefreshError::Random(_) => f.write_str(NO_RANDOM),
            RefreshError::Store(_) => f.write_str("the session is not known to be refreshed"),
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Ended => f.write_str("there is no such session"),
            SessionError::Issue(_) => f.write_str("the token was refused"),
            SessionError::TryAgain => f.write_str(TRY_AGAIN),
            SessionError::StaleEpochs => f.write_str(STALE),
            SessionError::Random(_) => f.write_str(NO_RANDOM),
            SessionError::Store(_) => f.write_str("the store could not be asked or changed"),
        }
    }
}

macro_rules! sources {
    ($error:ident, $grant:ident) => {
        impl error::Error for $error {
            fn source(&self) -> Option<&(dyn error::Error + 'static)> {
                match self {
                    $error::$grant(source) => Some(source),
                    $error::Random(source) => Some(source),
                    $error::Store(source) => Some(source),
                    _ => None,
                }
            }
        }

        impl From<StoreError> for $error {
            fn from(error: StoreError) -> Self {
                match error.random() {
                    Some(random) => $error::Random(random),
                    None => $error::Store(error),
                }
            }
        }

        impl From<RandomError> for $error {
            fn from(error: RandomError) -> Self {
                $error::Random(error)
            }
        }
    };
}

sources!(StartError, Grant);
sources!(RefreshError, Grant);
sources!(SessionError, Issue);
