//! Sessions: short-lived access tokens without logging anybody out.
//!
//! A session is a row of the store with a counter. Its refresh token names both, under a tag:
//! the store holds no token, and no hash of one. To refresh is to raise the counter, on the
//! condition that the row is still what it was.

mod change;
mod judge;
mod record;
mod refresh;
mod refresh_token;
mod replays;
mod rows;
mod session;
mod start;

pub use self::{
    refresh_token::RefreshToken,
    session::{Session, TokenPair},
};
pub(crate) use self::{refresh_token::session_row, replays::Replays};
use crate::{
    Authority, BumpError, Epoch, Grant, Op, RefreshError, Scope, SessionError, SessionId,
    StartError,
};

/// The sessions of an [`Authority`]: log-ins on devices, each with a refresh token that
/// changes with every use.
///
/// ```
/// use epochkey::{Authority, Grant, MemoryStore, RefreshError};
///
/// let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
/// let sessions = authority.sessions();
///
/// // At the log-in, after the password was checked; or `.await`
/// let first = sessions.start(Grant::user("u-42"), "Firefox on Linux").wait()?;
/// assert_eq!(authority.verify(&first.access)?.user(), "u-42");
///
/// // When the access token is about to expire
/// let second = sessions.refresh(&first.refresh).wait()?;
///
/// // When the user logs out
/// sessions.end(second.session.id()).wait()?;
/// assert!(authority.verify(&second.access).is_err());
/// let refused = sessions.refresh(&second.refresh).wait();
/// assert!(matches!(refused, Err(RefreshError::Ended)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What becomes of a refresh token
///
/// | shown | it gives |
/// |---|---|
/// | the current one | the next pair |
/// | the one before, within the policy's [`refresh_grace`](crate::Policy::refresh_grace) | the same refresh token again: a response that was lost, or two tabs at once, log nobody out |
/// | the one before, later; any older one; one from a future that the store has lost | [`Reused`](RefreshError::Reused): the session ends |
///
/// # Concurrency
///
/// All methods return at once, and their [`Op`] finishes on a thread of the store or of the
/// authority. What an operation changed is durable when it finishes, and in force in this
/// process.
#[derive(Debug)]
pub struct Sessions<'a>(&'a Authority);

impl Authority {
    /// The sessions of its users.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }
}

impl Sessions<'_> {
    /// Begins a session for what the grant says, and gives its first tokens.
    ///
    /// The label is for the user's own list of sessions; it is kept encrypted. Unless the
    /// grant says otherwise, the user proves who they are just now. Take a
    /// [mark](Authority::mark) before the password is checked and pass it with
    /// [`Grant::as_of`]; without one, the moment of this call counts.
    ///
    /// # Errors
    ///
    /// [`StartError`]. Nobody has a token of the session then.
    pub fn start(&self, grant: Grant, label: impl Into<String>) -> Op<TokenPair, StartError> {
        start::start(self.0, grant, label.into())
    }

    /// Gives the next pair of tokens for a refresh token, with the grant that the session
    /// began with.
    ///
    /// # Errors
    ///
    /// [`RefreshError`].
    pub fn refresh(&self, token: impl AsRef<str>) -> Op<TokenPair, RefreshError> {
        refresh::refresh(self.0, token.as_ref(), None)
    }

    /// The same with a grant of today, so that a role which was taken away is gone. User,
    /// session and `auth_time` are those of the session, whatever the grant says; the grant is
    /// kept for the next refresh.
    ///
    /// `grant` is called on a thread of the store, once, and only for a token that is good: it
    /// may look something up, but all who read sessions wait for it, so it must not wait for an
    /// operation of this authority. It gives a [`Grant`], or
    /// an `Option` of one: for `None`, as for a user who was deleted, the session ends.
    ///
    /// # Errors
    ///
    /// [`RefreshError`].
    pub fn refresh_with<G: Into<Option<Grant>>>(
        &self,
        token: impl AsRef<str>,
        grant: impl FnOnce(&Session) -> G + Send + 'static,
    ) -> Op<TokenPair, RefreshError> {
        let grant = move |session: &Session| grant(session).into();
        refresh::refresh(self.0, token.as_ref(), Some(Box::new(grant)))
    }

    /// Ends a session: none of its tokens is good any more. The same as to
    /// [bump](Authority::bump) it. One that has ended already may be ended again.
    ///
    /// # Errors
    ///
    /// [`BumpError`]; it is safe to end it again.
    pub fn end(&self, session: &SessionId) -> Op<Epoch, BumpError> {
        self.0.bump(Scope::session(session))
    }

    /// Ends all sessions of a user, and revokes every token that the user has. The same as to
    /// [bump](Authority::bump) the user.
    ///
    /// # Errors
    ///
    /// [`BumpError`]; it is safe to do it again.
    pub fn end_all(&self, user: impl Into<String>) -> Op<Epoch, BumpError> {
        self.0.bump(Scope::user(user))
    }

    /// Ends all sessions of a user but this one, which goes on as if nothing had happened.
    ///
    /// The user is not bumped: tokens without a session stay good, and a log-in that is under
    /// way begins its session afterwards. When the password was changed, use
    /// [`end_all`](Self::end_all) and start a new session.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; it is safe to do it again.
    pub fn end_others(&self, session: &SessionId) -> Op<(), SessionError> {
        change::end_others(self.0, session)
    }

    /// The sessions of a user, the oldest first.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    pub fn list(&self, user: impl AsRef<str>) -> Op<Vec<Session>, SessionError> {
        rows::list(self.0, user.as_ref())
    }

    /// A session, if there is one of this id.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    pub fn get(&self, session: &SessionId) -> Op<Option<Session>, SessionError> {
        rows::get(self.0, session)
    }

    /// Says that the user of a session has just proved again who they are, as by typing the
    /// password. The session's next access tokens say so (`auth_time`); its refresh token
    /// stays as it is. Let the client refresh.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    pub fn reauthenticated(&self, session: &SessionId) -> Op<Session, SessionError> {
        change::reauthenticated(self.0, session)
    }
}
