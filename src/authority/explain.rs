//! For people who debug: which step a token failed, and what to do.

use std::fmt;

use super::Authority;
use crate::{ScopeKind, VerifyError};

/// The steps that [`Authority::verify`] takes, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The length and the two dots.
    Shape,
    /// The header is that of a live ring key.
    RingKey,
    /// The signature.
    Signature,
    /// The payload decodes and is canonical.
    Payload,
    /// `iss` and `aud`.
    IssuerAndAudience,
    /// `exp`, `iat`, and the time between them.
    Times,
    /// The epoch table is fresh enough to tell.
    Freshness,
    /// The seal is the one that the current epochs make.
    Seal,
    /// The policy's authentication age.
    Authentication,
}

impl Step {
    const ALL: [Step; 9] = [
        Step::Shape,
        Step::RingKey,
        Step::Signature,
        Step::Payload,
        Step::IssuerAndAudience,
        Step::Times,
        Step::Freshness,
        Step::Seal,
        Step::Authentication,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Step::Shape => "shape",
            Step::RingKey => "ring key",
            Step::Signature => "signature",
            Step::Payload => "payload",
            Step::IssuerAndAudience => "issuer and audience",
            Step::Times => "times",
            Step::Freshness => "freshness",
            Step::Seal => "seal",
            Step::Authentication => "authentication",
        })
    }
}

/// Which step a token failed and what to do about it; see [`Authority::explain`].
///
/// `Display` writes it over several lines. It cannot be taken for a
/// [`Verified`](crate::Verified): of the token's claims it holds none but the scope
/// that [`VerifyError::Revoked`] names.
#[derive(Debug, Clone)]
pub struct Explanation {
    failure: Option<(Step, VerifyError)>,
    advice: String,
}

impl Explanation {
    /// The step that failed, and how; `None` if the token is good.
    pub fn failure(&self) -> Option<(Step, &VerifyError)> {
        self.failure.as_ref().map(|(step, error)| (*step, error))
    }

    /// What to do, in a sentence or two of English.
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(Step::ALL) {
            match &self.failure {
                Some((failed, error)) if *failed == step => {
                    writeln!(
                        f,
                        "{number}. {step:<19}  FAILED: {error} ({})",
                        error.label()
                    )?;
                    break;
                }
                _ => writeln!(f, "{number}. {step:<19}  passed")?,
            }
        }
        f.write_str(&self.advice)
    }
}

impl Authority {
    /// Runs the steps of [`verify`](Self::verify) on a token and says which one
    /// failed and what to do, for people debugging.
    ///
    /// It says more than a client may know, so do not send it to one. Never waits.
    ///
    /// ```
    /// # use epochkey::{Authority, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// println!("{}", authority.explain("eyJhbGciOiJub25lIn0.e30."));
    /// # Ok::<(), epochkey::BuildError>(())
    /// ```
    pub fn explain(&self, token: impl AsRef<[u8]>) -> Explanation {
        let token = token.as_ref();
        let judge = self.inner.judge();
        let mut last = Step::Shape;
        let outcome = self
            .inner
            .verify_in_steps(token, &judge, |step| last = step);
        match outcome {
            Ok(_) => Explanation {
                failure: None,
                advice: "The token is good.".to_owned(),
            },
            Err(error) => Explanation {
                advice: match foreign_byte(token) {
                    Some(byte) => format!(
                        "The text holds {:?}, which no token does. Pass the token alone: without \
                         \"Bearer \", quotes, or the end of a line.",
                        char::from(byte)
                    ),
                    None => self.advice(last, &error),
                },
                failure: Some((last, error)),
            },
        }
    }

    /// What to do about a token whose bytes are all such as tokens have.
    fn advice(&self, step: Step, error: &VerifyError) -> String {
        let inner = &self.inner;
        match (step, error) {
            (Step::Shape, _) => format!(
                "A token is three segments with two dots, at most {} bytes. Check that no proxy \
                 or cookie limit cut it.",
                inner.policy.max_token_length
            ),
            (Step::RingKey, VerifyError::StaleEpochs) => "The header is not that of a ring key known \
                 here, but this process has no fresh news of the store: the key may be new. Look at \
                 what `Observer::failed` was told."
                .to_owned(),
            (Step::RingKey, _) => format!(
                "The header must be that of a live ring key; these are {}. The token comes from \
                 another issuer, or its key was swapped or retired, or a memory store was \
                 restarted. The client needs a new token.",
                self.live_kids()
            ),
            (Step::Signature, _) => "The header names our key, but the signature is not that \
                 key's: the token was altered, or its end was cut off."
                .to_owned(),
            (Step::Payload, _) => "The signature is right but the payload is not canonical: \
                 another program signs with this key. Find it and stop it, then swap the key."
                .to_owned(),
            (Step::IssuerAndAudience, VerifyError::WrongIssuer) => format!(
                "This authority accepts the issuer {:?} alone. Give every service that shares \
                 the key ring the same issuer.",
                inner.issuer
            ),
            (Step::IssuerAndAudience, _) => {
                let others = inner.policy.accepted_audiences.iter();
                let accepted: Vec<_> = std::iter::once(&inner.audience).chain(others).collect();
                format!(
                    "This authority accepts tokens for {accepted:?}. Issue for one of these, or \
                     add the token's audience to the policy with `accept_audience`."
                )
            }
            (Step::Times, VerifyError::Expired) => {
                "The token has lived out its lifetime. The client needs a new one.".to_owned()
            }
            (Step::Times, VerifyError::NotYetValid) => format!(
                "The token was issued in this machine's future, beyond the leeway of {} s. \
                 Compare the clocks of this machine and the issuing one.",
                inner.policy.leeway
            ),
            (Step::Times, _) => "The token lives longer than its ring key was introduced for, \
                 so this crate did not issue it. Find who signs with this key, then swap it."
                .to_owned(),
            (Step::Freshness, _) => "This process has no fresh news of the store and cannot tell \
                 what was revoked. It recovers by itself when it reaches the store again and its \
                 clock agrees with the store's; other processes may accept the token."
                .to_owned(),
            (Step::Seal, VerifyError::StaleEpochs) => "The seal is not that of an epoch known \
                 here, and the token is newer than the news: most likely it was issued by another \
                 replica after a bump. Try again in a moment."
                .to_owned(),
            (Step::Seal, VerifyError::UnknownKey) => "The key ring was swapped while the token \
                 was looked at. The client needs a new token."
                .to_owned(),
            (Step::Seal, VerifyError::Revoked { scope: Some(scope) }) => format!(
                "Its {} was bumped, and the seal is not that of the new epoch: most likely the \
                 token was issued before. {}",
                scope.kind(),
                match scope.kind() {
                    ScopeKind::Group => "A client with a session refreshes it; others log in again.",
                    ScopeKind::User | ScopeKind::Session => "The client must log in again.",
                }
            ),
            (Step::Seal, _) => "The signature is right, the seal is not, and none of the token's \
                 scopes was bumped: somebody else signs with this key. Swap it."
                .to_owned(),
            (Step::Authentication, _) => "The token is good, but its user authenticated too long \
                 ago for the policy, or the grant did not say when. Ask for the password again, \
                 and issue with `authenticated_now`."
                .to_owned(),
        }
    }

    fn live_kids(&self) -> String {
        let ring = self.inner.replica.ring();
        let kids: Vec<_> = ring.keys().iter().map(|key| key.id().to_string()).collect();
        kids.join(", ")
    }
}

/// The first byte that stands in no token: not base64url and no dot.
fn foreign_byte(token: &[u8]) -> Option<u8> {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    token.iter().copied().find(|byte| !belongs(byte))
}
