//! A bump: what revokes the tokens of a scope.

use super::{Authority, Inner};
use crate::{
    BumpError, Epoch, Op, RandomError, Scope, ScopeKind,
    bug::{self, Bug},
    crypto::random_array,
    epoch_log::Change,
    id::check_id,
    key_ring::KeyRing,
    replica::Changes,
    sessions::session_row,
    store::{RowId, SessionChange},
};

impl Authority {
    /// Revokes every token that carries `scope`, at once.
    ///
    /// When the result is there, the bump is kept by the store and in force in
    /// this process: every token of the scope that was issued before is refused
    /// as [`Revoked`](crate::VerifyError::Revoked), for good; tokens issued
    /// afterwards are good. Tokens without the scope are not touched.
    ///
    /// Change the fact first, then bump: a token that still rests on the old one was
    /// issued before the bump, or is refused because of its [mark](Self::mark). With an
    /// `.await` between the two, spawn them as one task, for a handler is dropped when its
    /// client hangs up.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, MemoryStore, Scope, VerifyError};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let token = authority.issue(Grant::user("u-42"))?;
    /// authority.bump(Scope::user("u-42")).wait()?;         // or .await
    /// assert!(matches!(authority.verify(token), Err(VerifyError::Revoked { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BumpError`]: the scope's id is invalid, or the store failed. It is safe to bump again.
    pub fn bump(&self, scope: Scope) -> Op<Epoch, BumpError> {
        match self.bumps(&[scope]) {
            Ok(changes) => self.commit(changes, |first, _| first),
            Err(error) => Op::finished(Err(error)),
        }
    }

    /// Revokes every token that carries one of `scopes`, in one commit: the store
    /// keeps all of the bumps or none. The epochs are in the order of the scopes.
    ///
    /// A store may take only so many at once: `PostgresStore` and `RedisStore` take 20,000.
    ///
    /// The tags and secrets of all of them are made before the call returns: for a
    /// million scopes, call it where blocking for a second is no harm.
    ///
    /// While it is applied here, a moment passes in which some of the scopes are
    /// bumped already and others not yet; when the result is there, all are.
    ///
    /// # Errors
    ///
    /// [`BumpError`]: a scope's id is invalid, or the store failed. It is safe to bump again.
    pub fn bump_many(&self, scopes: impl IntoIterator<Item = Scope>) -> Op<Vec<Epoch>, BumpError> {
        let scopes: Vec<_> = scopes.into_iter().collect();
        if scopes.is_empty() {
            return Op::finished(Ok(Vec::new()));
        }
        match self.bumps(&scopes) {
            Ok(changes) => self.commit(changes, |_, all| all),
            Err(error) => Op::finished(Err(error)),
        }
    }

    fn bumps(&self, scopes: &[Scope]) -> Result<Changes, BumpError> {
        let ring = self.inner.replica.ring_to_keep();
        let mut changes = Vec::with_capacity(scopes.len());
        for scope in scopes {
            if let Err(source) = check_id(scope.id()) {
                let scope = scope.clone();
                return Err(BumpError::InvalidScope { scope, source });
            }
            changes.push(self.inner.bump_of(&ring, scope.kind(), scope.id())?);
        }
        let ended = scopes.iter().filter_map(|scope| rows_ended(&ring, scope));
        Ok(Changes {
            changes,
            sessions: ended.collect(),
            ring,
            newest_key: None,
        })
    }
}

impl Inner {
    fn bump_of(&self, ring: &KeyRing, kind: ScopeKind, id: &str) -> Result<Change, RandomError> {
        Ok(Change::Bump {
            tag: ring.table_key().tag(kind, id),
            secret: random_array(&*self.replica.source().random)?,
        })
    }

    pub(crate) fn bump_of_session(
        &self,
        ring: &KeyRing,
        row: RowId,
    ) -> Result<Change, RandomError> {
        self.bump_of(ring, ScopeKind::Session, &row.to_string())
    }
}

/// The session rows that end with a bump, in its commit: whatever state they are in.
fn rows_ended(ring: &KeyRing, scope: &Scope) -> Option<SessionChange> {
    match scope.kind() {
        ScopeKind::User if bug::is_in(Bug::UserBumpLeavesRows) => None,
        ScopeKind::Session if bug::is_in(Bug::EndFromTable) => None,
        ScopeKind::User => Some(SessionChange::EndOfUser {
            user: ring.table_key().tag(ScopeKind::User, scope.id()).to_bytes(),
            except: None,
        }),
        // An id that was not made here has no row.
        ScopeKind::Session => session_row(scope.id()).map(|row| SessionChange::End {
            row,
            expected: None,
        }),
        ScopeKind::Group => None,
    }
}
