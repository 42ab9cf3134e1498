//! What an epoch belongs to.

use std::fmt;

use crate::SessionId;

/// What an epoch belongs to, and so what a [bump](crate::Authority::bump)
/// revokes: one user, one session, or one group.
///
/// A token carries the scope of its user and, if the [`Grant`](crate::Grant)
/// named them, of a session and up to eight groups. A bump of any of them kills it.
///
/// ```
/// use epochkey::{Scope, ScopeKind};
///
/// let scope = Scope::group("org:acme");
/// assert_eq!(scope.kind(), ScopeKind::Group);
/// assert_eq!(scope.id(), "org:acme");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    kind: ScopeKind,
    id: Box<str>,
}

impl Scope {
    /// Everything a user holds. The id is what the token's `sub` says.
    pub fn user(id: impl Into<String>) -> Self {
        Self::new(ScopeKind::User, id.into())
    }

    /// One log-in on one device.
    pub fn session(id: &SessionId) -> Self {
        Self::new(ScopeKind::Session, id.as_str().to_owned())
    }

    /// A tenant, a role, an app version: whatever the application names so.
    pub fn group(name: impl Into<String>) -> Self {
        Self::new(ScopeKind::Group, name.into())
    }

    pub(crate) fn new(kind: ScopeKind, id: String) -> Self {
        Self {
            kind,
            id: id.into_boxed_str(),
        }
    }

    /// Whether this is a user, a session or a group.
    pub fn kind(&self) -> ScopeKind {
        self.kind
    }

    /// The user id, session id or group name.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The kinds of [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScopeKind {
    /// Everything a user holds.
    User,
    /// One log-in on one device.
    Session,
    /// A tenant, a role, an app version.
    Group,
}

impl ScopeKind {
    /// The byte that stands for the kind in seals and tags.
    pub(crate) fn code(self) -> u8 {
        match self {
            ScopeKind::User => 1,
            ScopeKind::Session => 2,
            ScopeKind::Group => 3,
        }
    }
}

impl fmt::Display for ScopeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScopeKind::User => "user",
            ScopeKind::Session => "session",
            ScopeKind::Group => "group",
        })
    }
}

/// A scope of a token or grant, borrowed from it. The id is known to be valid.
#[derive(Clone, Copy)]
pub(crate) struct ScopeRef<'a> {
    pub(crate) kind: ScopeKind,
    pub(crate) id: &'a str,
}

impl ScopeRef<'_> {
    pub(crate) fn to_scope(self) -> Scope {
        Scope::new(self.kind, self.id.to_owned())
    }
}

/// The scopes of a token in the order the seal takes them: user, session, groups as listed.
pub(crate) fn in_seal_order<'a>(
    user: &'a str,
    session: Option<&'a str>,
    groups: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = ScopeRef<'a>> {
    let scope = |kind| move |id| ScopeRef { kind, id };
    std::iter::once(user)
        .map(scope(ScopeKind::User))
        .chain(session.into_iter().map(scope(ScopeKind::Session)))
        .chain(groups.map(scope(ScopeKind::Group)))
}
