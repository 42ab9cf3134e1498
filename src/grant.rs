//! What a token is to say.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{
    IssueError, Mark, SessionId,
    id::check_id,
    scope::{ScopeRef, in_seal_order},
    token::{ApplicationClaims, MAX_GROUPS, WrittenScopes},
};

/// What a token is to say: whose it is, what can revoke it, and the
/// application's own claims.
///
/// ```
/// use epochkey::{Authority, Grant, MemoryStore, SessionId};
/// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
/// #[derive(serde::Serialize)]
/// struct MyClaims { role: &'static str }
///
/// let sid = SessionId::generate()?;
/// let grant = Grant::user("u-42")
///     .session(&sid)
///     .group("org:acme")
///     .claims(&MyClaims { role: "editor" });
/// let token = authority.issue(grant)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is wrong with a grant is said when it is issued.
#[derive(Debug, Clone)]
#[must_use = "a grant does nothing until it is issued"]
pub struct Grant {
    user: String,
    session: Option<SessionId>,
    groups: Vec<String>,
    audience: Option<String>,
    lifetime: Option<Duration>,
    authenticated: Authenticated,
    claims: Result<ApplicationClaims, IssueError>,
    mark: Option<Mark>,
}

/// When the user proved who they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Authenticated {
    NotStated,
    Now,
    At(SystemTime),
}

impl Grant {
    /// A token for this user (`sub`): 1 to 255 bytes without control characters, `"` or `\`.
    pub fn user(id: impl Into<String>) -> Self {
        Self {
            user: id.into(),
            session: None,
            groups: Vec::new(),
            audience: None,
            lifetime: None,
            authenticated: Authenticated::NotStated,
            claims: Ok(ApplicationClaims::none()),
            mark: None,
        }
    }

    /// Makes it a token of a session (`sid`), revocable with it.
    pub fn session(mut self, id: &SessionId) -> Self {
        self.session = Some(id.clone());
        self
    }

    /// Adds a group (`grp`), revocable with it: a tenant, a role, an app version.
    /// At most 8, no two alike; the same rule as for user ids.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.groups.push(name.into());
        self
    }

    /// Adds several [groups](Self::group).
    pub fn groups<G: Into<String>>(mut self, names: impl IntoIterator<Item = G>) -> Self {
        self.groups.extend(names.into_iter().map(Into::into));
        self
    }

    /// Makes it a token for this audience (`aud`) instead of the authority's own.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// How long the token lives: a whole number of seconds, at most the policy's
    /// and the ring key's maximum. The policy's `token_lifetime` if not set.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Says that the user proves who they are just now (`auth_time`, OpenID
    /// Connect Core section 2): at a log-in, not when a token is renewed.
    pub fn authenticated_now(mut self) -> Self {
        self.authenticated = Authenticated::Now;
        self
    }

    /// Says when the user last proved who they are (`auth_time`), in whole seconds,
    /// rounded down. A time ahead of the authority's is taken for now, if it is within
    /// the policy's leeway, and refused beyond.
    pub fn authenticated_at(mut self, time: SystemTime) -> Self {
        self.authenticated = Authenticated::At(time);
        self
    }

    /// The application's own claims: a struct or map that serializes to a JSON
    /// object. Names of the token's own claims (`iss`, `aud`, `sub`, `sid`, `grp`,
    /// `iat`, `exp`, `auth_time`, `jti`, `seal`, and `nbf` and `client_id`) are
    /// refused. A second call replaces the first.
    ///
    /// They are signed but not encrypted: whoever holds the token can read them.
    pub fn claims<C: Serialize + ?Sized>(mut self, claims: &C) -> Self {
        self.claims = ApplicationClaims::of(claims);
        self
    }

    /// Refuses to issue if one of the scopes was bumped after `mark` was taken.
    ///
    /// Take the [mark](crate::Authority::mark) *before* reading what the token
    /// rests on, such as a password hash: a bump that comes in between, because
    /// that password was changed, then prevents the token.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, IssueError, MemoryStore, Scope};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let mark = authority.mark();
    /// // … read the password hash and compare; meanwhile the password is changed:
    /// authority.bump(Scope::user("u-42")).wait()?;
    /// let refused = authority.issue(Grant::user("u-42").as_of(mark));
    /// assert!(matches!(refused, Err(IssueError::BumpedSinceMark { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_of(mut self, mark: Mark) -> Self {
        self.mark = Some(mark);
        self
    }
}

/// A grant whose parts are valid on their own.
#[derive(Clone)]
pub(crate) struct CheckedGrant {
    pub(crate) user: String,
    pub(crate) session: Option<SessionId>,
    pub(crate) groups: Vec<String>,
    pub(crate) audience: Option<String>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) authenticated: Authenticated,
    pub(crate) claims: ApplicationClaims,
    pub(crate) mark: Option<Mark>,
}

impl Grant {
    pub(crate) fn check(self) -> Result<CheckedGrant, IssueError> {
        let valid = |claim, id: &str| {
            check_id(id).map_err(|source| IssueError::InvalidId { claim, source })
        };
        valid("sub", &self.user)?;
        if let Some(audience) = &self.audience {
            valid("aud", audience)?;
        }
        if self.groups.len() > MAX_GROUPS {
            return Err(IssueError::TooManyGroups {
                groups: self.groups.len(),
            });
        }
        for (index, group) in self.groups.iter().enumerate() {
            valid("grp", group)?;
            if self.groups.iter().take(index).any(|other| other == group) {
                return Err(IssueError::DuplicateGroup {
                    group: group.clone(),
                });
            }
        }
        Ok(CheckedGrant {
            user: self.user,
            session: self.session,
            groups: self.groups,
            audience: self.audience,
            lifetime: self.lifetime,
            authenticated: self.authenticated,
            claims: self.claims?,
            mark: self.mark,
        })
    }
}

impl CheckedGrant {
    pub(crate) fn written_scopes(&self) -> WrittenScopes {
        let session = self.session.as_ref().map(SessionId::as_str);
        WrittenScopes::new(&self.user, session, &self.groups)
    }

    pub(crate) fn scopes(&self) -> impl Iterator<Item = ScopeRef<'_>> {
        in_seal_order(
            &self.user,
            self.session.as_ref().map(SessionId::as_str),
            self.groups.iter().map(String::as_str),
        )
    }
}
