//! What a client is told when the answer is no. The cause goes to the log, here.

use std::time::Duration;

use axum::{
    http::{
        HeaderName, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use epochkey::{
    BumpError, IssueError, RefreshError, SessionError, StartError, SwapError, VerifyError,
};

/// How long ago a password may have been typed where a recent one is demanded; said to
/// clients in `LOG_IN_AGAIN`.
pub(super) const MAX_AGE: Duration = Duration::from_secs(300);
const LOG_IN_AGAIN: &str = r#"Bearer error="insufficient_user_authentication", max_age="300""#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoToken,
    SeveralTokens,
    InvalidToken,
    WrongPassword,
    InvalidRefreshToken,
    AuthenticationTooOld,
    NotAnAdmin,
    NoSession,
    NoSuchSession,
    InvalidId,
    TryAgain,
    Internal,
}

impl Refusal {
    /// The challenges are those of RFC 6750 section 3 and RFC 9470 section 3.
    fn answer(self) -> (StatusCode, Option<(HeaderName, &'static str)>, &'static str) {
        let challenge = |value| Some((WWW_AUTHENTICATE, value));
        match self {
            // No error code: the client may not have known that it needs a token.
            Refusal::NoToken => (
                StatusCode::UNAUTHORIZED,
                challenge(r#"Bearer realm="api""#),
                "log in, and send the access token",
            ),
            Refusal::SeveralTokens => (
                StatusCode::BAD_REQUEST,
                challenge(r#"Bearer error="invalid_request""#),
                "send one Authorization header",
            ),
            // The same for a forged, an expired and a revoked token.
            Refusal::InvalidToken => (
                StatusCode::UNAUTHORIZED,
                challenge(r#"Bearer error="invalid_token""#),
                "the access token is not valid; log in again",
            ),
            Refusal::WrongPassword => (
                StatusCode::UNAUTHORIZED,
                challenge(r#"Bearer realm="api""#),
                "the user or the password is wrong",
            ),
            // The same for a missing, a forged and a reused one, and for an ended session.
            Refusal::InvalidRefreshToken => (
                StatusCode::UNAUTHORIZED,
                challenge(r#"Bearer realm="api""#),
                "the refresh token is not valid; log in again",
            ),
            Refusal::AuthenticationTooOld => (
                StatusCode::UNAUTHORIZED,
                challenge(LOG_IN_AGAIN),
                "your log-in was too long ago for this; log in again",
            ),
            Refusal::NotAnAdmin => (
                StatusCode::FORBIDDEN,
                challenge(r#"Bearer error="insufficient_scope""#),
                "this is for admins",
            ),
            Refusal::NoSession => (StatusCode::BAD_REQUEST, None, "the token has no session"),
            Refusal::NoSuchSession => (StatusCode::NOT_FOUND, None, "you have no such session"),
            Refusal::InvalidId => (StatusCode::BAD_REQUEST, None, "no user can have this id"),
            Refusal::TryAgain => (
                StatusCode::SERVICE_UNAVAILABLE,
                Some((RETRY_AFTER, "1")),
                "try again in a moment",
            ),
            Refusal::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                None,
                "something went wrong",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, header, message) = self.answer();
        (
            status,
            header.map(|header| [header]),
            format!("{message}\n"),
        )
            .into_response()
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        // The label and never the token: whoever reads logs could use it.
        eprintln!("refused a token: {}", error.label());
        match error {
            _ if error.is_transient() => Refusal::TryAgain,
            VerifyError::AuthenticationTooOld => Refusal::AuthenticationTooOld,
            _ => Refusal::InvalidToken,
        }
    }
}

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        eprintln!("issued no token: {}", error.label());
        match error.is_transient() {
            // The password may have changed while it was checked: the next try will tell.
            true => Refusal::TryAgain,
            false => Refusal::Internal,
        }
    }
}

impl From<BumpError> for Refusal {
    fn from(error: BumpError) -> Self {
        eprintln!("a bump failed: {}", error.label());
        match error {
            BumpError::InvalidScope { .. } => Refusal::InvalidId,
            // Whether it was kept or not, bumping again does no harm.
            _ => Refusal::TryAgain,
        }
    }
}

impl From<SwapError> for Refusal {
    fn from(error: SwapError) -> Self {
        eprintln!("a swap failed: {}", error.label());
        Refusal::TryAgain
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        eprintln!("started no session: {}", error.label());
        match error {
            // With it, that the password may have changed while it was checked.
            _ if error.is_transient() => Refusal::TryAgain,
            _ => Refusal::Internal,
        }
    }
}

impl From<RefreshError> for Refusal {
    fn from(error: RefreshError) -> Self {
        eprintln!("refreshed no session: {}", error.label());
        match error {
            _ if error.needs_log_in() => Refusal::InvalidRefreshToken,
            RefreshError::Grant(IssueError::AuthenticationTooOld) => Refusal::AuthenticationTooOld,
            _ if error.is_transient() => Refusal::TryAgain,
            // A fault of this service's, for which nobody should be logged out.
            _ => Refusal::Internal,
        }
    }
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        eprintln!("asked for sessions: {}", error.label());
        match error {
            SessionError::Ended => Refusal::NoSuchSession,
            _ if error.is_transient() => Refusal::TryAgain,
            _ => Refusal::Internal,
        }
    }
}
