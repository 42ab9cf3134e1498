use std::{error, fmt};

use crate::Scope;

/// Why a token was refused.
///
/// The variants stand in the order of the [`Step`](crate::Step)s that
/// [`Authority::verify`](crate::Authority::verify) takes.
///
/// To a client, most of them are the same:
///
/// ```
/// use epochkey::VerifyError;
///
/// /// The status and the `WWW-Authenticate` header (RFC 6750 section 3).
/// fn answer(error: &VerifyError) -> (u16, Option<&'static str>) {
///     match error {
///         // The token may be good: let the client try again.
///         error if error.is_transient() => (503, None),
///         // The token is good, the log-in too old (RFC 9470 section 3).
///         VerifyError::AuthenticationTooOld => {
///             (401, Some(r#"Bearer error="insufficient_user_authentication""#))
///         }
///         // Everything else, without saying which: that goes into the log, as `label()`.
///         _ => (401, Some(r#"Bearer error="invalid_token""#)),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a token of this crate's form: too long, not three segments, or a
    /// well-signed payload that is not canonical.
    Malformed,
    /// The header is not that of a live ring key. Either another issuer made the
    /// token, or its key was swapped or retired since.
    UnknownKey,
    /// The signature is not the one the named key makes.
    BadSignature,
    /// `iss` is not this authority's issuer.
    WrongIssuer,
    /// `aud` is not an audience this authority accepts.
    WrongAudience,
    /// `exp` has come: the token has lived out its lifetime.
    Expired,
    /// `iat` is further in the future than the policy's leeway.
    NotYetValid,
    /// The time from `iat` to `exp` exceeds what the ring key may sign.
    LifetimeTooLong,
    /// This process cannot tell whether the token was revoked: its news of the store
    /// is too old, or the token is newer than the news. The token may be good: answer `503`. Of
    /// a token whose ring key is not known, a process without fresh news says this too, for
    /// the key may be new.
    StaleEpochs,
    /// The token was ours and its user, session or one of its groups was bumped.
    Revoked {
        /// The scope that was bumped last, as far as can be told: a diagnosis for
        /// logs, not part of the decision.
        scope: Option<Scope>,
    },
    /// The token is good, but the user's authentication (`auth_time`) is older
    /// than the policy's [`max_authentication_age`](crate::Policy::max_authentication_age),
    /// or not stated. Ask them to authenticate again (RFC 9470 section 3).
    AuthenticationTooOld,
}

impl VerifyError {
    pub(crate) const LABELS: [&'static str; 11] = [
        "malformed",
        "unknown_key",
        "bad_signature",
        "wrong_issuer",
        "wrong_audience",
        "expired",
        "not_yet_valid",
        "lifetime_too_long",
        "stale_epochs",
        "revoked",
        "authentication_too_old",
    ];

    /// How many kinds of error there are.
    pub(crate) const KINDS: usize = Self::LABELS.len();

    /// A short fixed name for metrics and logs, such as `revoked`.
    pub fn label(&self) -> &'static str {
        Self::LABELS[self.kind()]
    }

    /// Whether the same token may be found good in a moment: to be answered with `503`
    /// and `Retry-After`, not with `401`.
    pub fn is_transient(&self) -> bool {
        matches!(self, VerifyError::StaleEpochs)
    }

    /// The place of its label.
    pub(crate) fn kind(&self) -> usize {
        match self {
            VerifyError::Malformed => 0,
            VerifyError::UnknownKey => 1,
            VerifyError::BadSignature => 2,
            VerifyError::WrongIssuer => 3,
            VerifyError::WrongAudience => 4,
            VerifyError::Expired => 5,
            VerifyError::NotYetValid => 6,
            VerifyError::LifetimeTooLong => 7,
            VerifyError::StaleEpochs => 8,
            VerifyError::Revoked { .. } => 9,
            VerifyError::AuthenticationTooOld => 10,
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VerifyError::Malformed => "the token is malformed",
            VerifyError::UnknownKey => "the token was not signed with a live ring key",
            VerifyError::BadSignature => "the token's signature is wrong",
            VerifyError::WrongIssuer => "the token is from another issuer",
            VerifyError::WrongAudience => "the token is for another audience",
            VerifyError::Expired => "the token has expired",
            VerifyError::NotYetValid => "the token was issued in the future; compare the clocks",
            VerifyError::LifetimeTooLong => "the token's lifetime exceeds its key's",
            VerifyError::StaleEpochs => "the epoch table is stale; try again",
            VerifyError::Revoked { scope: Some(scope) } => {
                return write!(f, "the token was revoked by a bump of its {}", scope.kind());
            }
            VerifyError::Revoked { scope: None } => "the token was revoked",
            VerifyError::AuthenticationTooOld => "the user must authenticate again",
        })
    }
}

impl error::Error for VerifyError {}
