//! Bump and swap: what goes through the epoch log.

use std::sync::Arc;

use super::Authority;
use crate::{
    BumpError, Epoch, Op, Scope, StoreError, SwapError, crypto::random_array, epoch_log::Change,
    id::check_id, key_ring::NewRingKey,
};

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

    /// Replaces the key ring at once: the emergency measure for a leaked signing
    /// key. Every outstanding token is refused as
    /// [`UnknownKey`](crate::VerifyError::UnknownKey) when the result is there.
    ///
    /// # Errors
    ///
    /// [`SwapError`] if the store failed. It is safe to swap again.
    pub fn swap_key(&self) -> Op<Epoch, SwapError> {
        let longest_lifetime = self.inner.policy.max_token_lifetime;
        match NewRingKey::draw(&*self.inner.random, longest_lifetime) {
            Ok(key) => self.commit(vec![Change::Swap(key)], |first| first),
            Err(error) => Op::finished(Err(error.into())),
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

    /// Commits `changes`, and finishes when they are in force here. `result` gets
    /// the place of the first of them.
    pub(super) fn commit<T, E>(
        &self,
        changes: Vec<Change>,
        result: impl FnOnce(Epoch) -> T + Send + 'static,
    ) -> Op<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (op, completer) = Op::running();
        let inner = Arc::clone(&self.inner);
        let done = move |answer: Result<_, StoreError>| {
            let applied = answer.and_then(|committed: crate::store::sealed::Committed| {
                inner.replica.catch_up(&*inner.store)?;
                Ok(Epoch {
                    history: inner.replica.history(),
                    position: committed.first,
                })
            });
            completer.complete(applied.map(result).map_err(E::from));
        };
        self.inner.store.commit(changes, Box::new(done));
        op
    }
}
