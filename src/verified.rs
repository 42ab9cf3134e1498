//! The proof that a token was checked.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;

use crate::{
    ClaimsError, SessionId,
    clock::{UnixSeconds, system_time},
    epoch_table::{AsOf, TableId},
    era::Era,
    store::KeyId,
    sync::{AtomicU64, Ordering},
    token::{Members, SignedPayload},
};

/// The claims of a token that passed every step of
/// [`Authority::verify`](crate::Authority::verify).
///
/// Only `verify` makes one: there is no constructor and no `Deserialize`, so a
/// handler that takes a `Verified` cannot be reached with less. It is cheap to
/// clone and borrows nothing. It says what was true when `verify` returned and does
/// not change; to ask again later, see [`Authority::recheck`](crate::Authority::recheck).
///
/// ```
/// # use epochkey::{Authority, Grant, MemoryStore, Verified};
/// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
/// # let token = authority.issue(Grant::user("u-42"))?;
/// let verified: Verified = authority.verify(token)?;
/// assert_eq!(verified.user(), "u-42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Verified {
    payload: SignedPayload,
    key: KeyId,
    verified_at: UnixSeconds,
    stood: Stood,
}

/// As of when the token's key was live and its seal the right one: so they are while the era is
/// the same, and the seal is if no epoch of its scopes is behind the position. Each stays true
/// whoever wrote it, so the order in which threads see what others write here does not matter.
struct Stood {
    table: TableId,
    position: AtomicU64,
    era: AtomicU64,
}

impl Stood {
    fn as_of(&self) -> AsOf {
        AsOf {
            table: self.table,
            position: self.position.load(Ordering::Relaxed),
            era: Era::from_number(self.era.load(Ordering::Relaxed)),
        }
    }
}

impl Clone for Stood {
    fn clone(&self) -> Self {
        self.as_of().into()
    }
}

impl From<AsOf> for Stood {
    fn from(as_of: AsOf) -> Self {
        Self {
            table: as_of.table,
            position: AtomicU64::new(as_of.position),
            era: AtomicU64::new(Era::number(as_of.era)),
        }
    }
}

impl Verified {
    /// Only the end of the verify path calls this.
    ///
    /// Nobody outside can build one:
    ///
    /// ```compile_fail,E0451
    /// # use epochkey::Verified;
    /// fn forge(verified: Verified) -> Verified {
    ///     Verified { verified_at: u64::MAX, ..verified }
    /// }
    /// ```
    ///
    /// nor read one from JSON, as other types can be:
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
    pub(crate) fn new(
        payload: SignedPayload,
        key: KeyId,
        verified_at: UnixSeconds,
        stood: AsOf,
    ) -> Self {
        Self {
            payload,
            key,
            verified_at,
            stood: stood.into(),
        }
    }

    /// The same token, verified again.
    pub(crate) fn again(&self, verified_at: UnixSeconds) -> Self {
        Self {
            verified_at,
            ..self.clone()
        }
    }

    /// The user the token was issued to (`sub`, RFC 7519 section 4.1.2).
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
    #[must_use]
    pub fn in_group(&self, name: &str) -> bool {
        self.groups().any(|group| group == name)
    }

    /// The issuer (`iss`, RFC 7519 section 4.1.1): this authority's.
    pub fn issuer(&self) -> &str {
        self.payload.str(self.members().issuer)
    }

    /// The audience (`aud`, RFC 7519 section 4.1.3): one that this authority accepts.
    pub fn audience(&self) -> &str {
        self.payload.str(self.members().audience)
    }

    /// The token's random id (`jti`, RFC 7519 section 4.1.7), for logs. Threads draw ids in
    /// advance: a process that was copied, as by `fork`, may give some of them again.
    pub fn token_id(&self) -> &str {
        self.payload.str(self.members().token_id)
    }

    /// When it was issued (`iat`, RFC 7519 section 4.1.6), in whole seconds.
    pub fn issued_at(&self) -> SystemTime {
        near_time(self.members().issued_at)
    }

    /// When it dies (`exp`, RFC 7519 section 4.1.4), in whole seconds. It is dead at this time, not after it.
    pub fn expires_at(&self) -> SystemTime {
        near_time(self.members().expires_at)
    }

    /// When the user proved who they are (`auth_time`, RFC 9068 section 2.2.1), if the token says so.
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        system_time(self.members().authenticated_at?)
    }

    /// Whether the user proved who they are at most `age` before the token was
    /// verified, for routes that demand it (RFC 9470). `false` if the token does
    /// not say when. A fraction of a second in `age` does not count.
    ///
    /// The answer does not change while a `Verified` is kept: on a long connection,
    /// verify the token again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use epochkey::{Authority, Grant, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// # let token = authority.issue(Grant::user("u-42").authenticated_now())?;
    /// # let verified = authority.verify(token)?;
    /// if !verified.authenticated_within(Duration::from_secs(300)) {
    ///     // 401 with `error="insufficient_user_authentication"`
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "whoever does not look at the answer lets everybody through"]
    pub fn authenticated_within(&self, age: Duration) -> bool {
        self.members()
            .authenticated_within(age.as_secs(), self.verified_at)
    }

    /// The application's own claims.
    ///
    /// A type with borrowed fields borrows from `self`. Use `Cow<'_, str>` with
    /// `#[serde(borrow)]` there: a `&str` cannot hold a value that has escapes.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct MyClaims {
    ///     role: String,
    ///     // Tokens that were issued before the field existed are still alive.
    ///     #[serde(default)]
    ///     locale: Option<String>,
    /// }
    ///
    /// # let claims = MyClaims { role: "editor".to_owned(), locale: None };
    /// # let verified = authority.verify(authority.issue(Grant::user("u").claims(&claims))?)?;
    /// let mine: MyClaims = verified.claims()?;
    /// assert_eq!(mine.role, "editor");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if they do not fit the type.
    pub fn claims<'a, C: Deserialize<'a>>(&'a self) -> Result<C, ClaimsError> {
        Ok(serde_json::from_str(self.payload.application_claims())?)
    }

    pub(crate) fn key(&self) -> KeyId {
        self.key
    }

    pub(crate) fn payload(&self) -> &SignedPayload {
        &self.payload
    }

    /// As of when it was last known that its key is live and its seal the right one.
    pub(crate) fn stood(&self) -> AsOf {
        self.stood.as_of()
    }

    /// So it is now, too. Nothing is kept of another table's.
    pub(crate) fn stands(&self, now: AsOf) {
        if now.table == self.stood.table {
            self.stood.position.store(now.position, Ordering::Relaxed);
            let era = Era::number(now.era);
            self.stood.era.store(era, Ordering::Relaxed);
        }
    }

    fn members(&self) -> &Members {
        &self.payload.members
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
