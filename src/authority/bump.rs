//! A bump: what revokes the tokens of a scope.

use super::Authority;
use crate::{BumpError, Epoch, Op, Scope, crypto::random_array, epoch_log::Change, id::check_id};

impl Authority {
    /// Revokes every token that carries `scope`, at once.
    ///
    /// When the result is there, the bump is kept by the store and in force in
    /// this process: every token of the scope that was issued before is refused
    /// as [`Revoked`](crate::VerifyError::Revoked), for good; tokens issued
    /// afterwards are good. Tokens without the scope are not touched.
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
        match self.bump_changes(&[scope]) {
            Ok(changes) => self.commit(changes, |first| first),
            Err(error) => Op::finished(Err(error)),
        }
    }

    /// Revokes every token that carries one of `scopes`, in one commit: the store
    /// keeps all of the bumps or none. The epochs are in the order of the scopes.
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
        let count = scopes.len() as u64;
        match self.bump_changes(&scopes) {
            Ok(changes) if changes.is_empty() => Op::finished(Ok(Vec::new())),
            Ok(changes) => self.commit(changes, move |first| {
                let positions = first.position..first.position + count;
                positions
                    .map(|position| Epoch { position, ..first })
                    .collect()
            }),
            Err(error) => Op::finished(Err(error)),
        }
    }

    fn bump_changes(&self, scopes: &[Scope]) -> Result<Vec<Change>, BumpError> {
        let ring = self.inner.replica.ring();
        let change = |scope: &Scope| {
            if let Err(source) = check_id(scope.id()) {
                let scope = scope.clone();
                return Err(BumpError::InvalidScope { scope, source });
            }
            Ok(Change::Bump {
                tag: ring.table_key().tag(scope.kind(), scope.id()),
                secret: random_array(&*self.inner.random)?,
            })
        };
        scopes.iter().map(change).collect()
    }
}
