//! The proof that a token was checked.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;

use crate::{
    ClaimsError, SessionId,
    clock::{UnixSeconds, system_time},
    key_ring::KeyId,
    scope::ScopeRef,
    token::{Members, SignedPayload},
};

/// The claims of a token that passed every step of
/// [`Authority::verify`](crate::Authority::verify).
///
/// Only `verify` makes one: there is no constructor and no `Deserialize`, so a
/// handler that takes a `Verified` cannot be reached with less. It is cheap to
/// clone and borrows nothing. It says what was true when `verify` returned; to
/// ask again later, see [`Authority::recheck`](crate::Authority::recheck).
///
/// ```
/// # use epochkey::{Authority, Grant, MemoryStore, Verified};
/// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
/// # let token = authority.issue(Grant::user("u-42"))?;
/// let verified: Verified = authority.verify(token)?;
/// assert_eq!(verified.user(), "u-42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nobody else can build one:
///
/// ```compile_fail,E0451
/// # use epochkey::Verified;
/// fn forge(verified: Verified) -> Verified {
///     Verified { verified_at: u64::MAX, ..verified }
/// }
/// ```
///
/// nor read one from outside, as the application's own claims can be:
///
/// ```
/// fn from_outside<T: serde::de::DeserializeOwned>(json: &str) -> T {
///     serde_json::from_str(json).unwrap()
/// }
/// from_outside::<serde_json::Value>("{}");
/// ```
/// ```compile_fail,E0277
/// # fn from_outside<T: serde::de::DeserializeOwned>(json: &str) -> T {
/// #     serde_json::from_str(json).unwrap()
/// # }
/// from_outside::<epochkey::Verified>("{}");
/// ```
#[derive(Clone)]
pub struct Verified {
    payload: SignedPayload,
    key: KeyId,
    verified_at: UnixSeconds,
}

impl Verified {
    /// Only the end of the verify path calls this.
    pub(crate) fn new(payload: SignedPayload, key: KeyId, verified_at: UnixSeconds) -> Self {
        Self {
            payload,
            key,
            verified_at,
        }
    }

    /// The user the token was issued to (`sub`).
    pub fn user(&self) -> &str {
        self.payload.str(self.members().user)
    }

    /// The session it belongs to (`sid`), if any.
    pub fn session(&self) -> Option<SessionId> {
        let session = self.members().session?;
        Some(SessionId::of_checked(self.payload.str(session)))
    }

    /// The groups it carries (`grp`), in the order of the grant.
    pub fn groups(&self) -> impl Iterator<Item = &str> + Clone {
        self.payload.groups()
    }

    /// Whether it carries this group.
    pub fn in_group(&self, name: &str) -> bool {
        self.groups().any(|group| group == name)
    }

    /// The issuer (`iss`): this authority's.
    pub fn issuer(&self) -> &str {
        self.payload.str(self.members().issuer)
    }

    /// The audience (`aud`): one that this authority accepts.
    pub fn audience(&self) -> &str {
        self.payload.str(self.members().audience)
    }

    /// The token's random id (`jti`), for logs.
    pub fn token_id(&self) -> &str {
        self.payload.str(self.members().token_id)
    }

    /// When it was issued (`iat`), in whole seconds.
    pub fn issued_at(&self) -> SystemTime {
        near_time(self.members().issued_at)
    }

    /// When it dies (`exp`), in whole seconds. It is dead at this time, not after it.
    pub fn expires_at(&self) -> SystemTime {
        near_time(self.members().expires_at)
    }

    /// When the user proved who they are (`auth_time`), if the token says so.
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        system_time(self.members().authenticated_at?)
    }

    /// Whether the user proved who they are at most `age` before the token was
    /// verified, for routes that demand it (RFC 9470). `false` if the token does
    /// not say when.
    pub fn authenticated_within(&self, age: Duration) -> bool {
        self.members()
            .authenticated_within(age.as_secs(), self.verified_at)
    }

    /// The application's own claims. A type with borrowed fields borrows from `self`.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if they do not fit the type.
    pub fn claims<'a, C: Deserialize<'a>>(&'a self) -> Result<C, ClaimsError> {
        serde_json::from_str(self.payload.application_claims()).map_err(ClaimsError)
    }

    pub(crate) fn key(&self) -> KeyId {
        self.key
    }

    pub(crate) fn members(&self) -> &Members {
        &self.payload.members
    }

    pub(crate) fn scopes(&self) -> impl Iterator<Item = ScopeRef<'_>> {
        self.payload.scopes()
    }
}

/// A time that step 6 tied to the clock, so the system can say it.
fn near_time(seconds: UnixSeconds) -> SystemTime {
    system_time(seconds).unwrap_or(UNIX_EPOCH)
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("user", &self.user())
            .field("session", &self.session())
            .field("groups", &self.groups().collect::<Vec<_>>())
            .field("expires_at", &self.members().expires_at)
            .finish_non_exhaustive()
    }
}
