//! What changes the key ring, and the master secret around it.

use super::Authority;
use crate::{
    Epoch, Op, RotateError, StoreError, SwapError, epoch_log::Change, key_ring::KeyRing,
    replica::Changes,
};

impl Authority {
    /// Brings in a new ring key in stages, so that nobody is logged out: it is announced
    /// first, signs when every replica knows it, and the keys before it go when the last
    /// of their tokens has expired.
    ///
    /// When the result is there, the key is announced. The rest happens by itself, and the
    /// policy's [`rotate_every`](crate::Policy::rotate_every) does all of it on schedule.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let token = authority.issue(Grant::user("u-42"))?;
    /// authority.rotate_key().wait()?;                      // or .await
    /// assert!(authority.verify(token).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RotateError`]: another replica was first, too many keys are live, or the store failed.
    pub fn rotate_key(&self) -> Op<Epoch, RotateError> {
        let ring = self.inner.replica.ring_to_keep();
        let keys = ring.keys().len();
        if keys >= KeyRing::MOST_KEYS {
            return Op::finished(Err(RotateError::TooManyKeys { keys }));
        }
        let announce_for = self.inner.policy.announce_for;
        match self.inner.replica.source().new_key(announce_for) {
            Ok(key) => {
                let newest_key = ring.keys().last().map(|key| key.id());
                let changes = Changes {
                    ring,
                    newest_key,
                    changes: vec![Change::Introduce(key)],
                    sessions: Vec::new(),
                };
                self.commit(changes, |first, _| first)
            }
            Err(error) => Op::finished(Err(error.into())),
        }
    }

    /// Replaces the key ring at once: the emergency measure for a leaked signing
    /// key. When the result is there, every outstanding token is refused in this process, as
    /// [`UnknownKey`](crate::VerifyError::UnknownKey). A replica that has not read of it yet
    /// accepts the old tokens and refuses the new ones, for at most the policy's
    /// [`max_staleness`](crate::Policy::max_staleness).
    ///
    /// # Errors
    ///
    /// [`SwapError`] if the store failed. It is safe to swap again.
    pub fn swap_key(&self) -> Op<Epoch, SwapError> {
        match self.inner.replica.source().new_key(0) {
            Ok(key) => {
                let changes = Changes {
                    ring: self.inner.replica.ring_to_keep(),
                    newest_key: None,
                    changes: vec![Change::Swap(key)],
                    sessions: Vec::new(),
                };
                self.commit(changes, |first, _| first)
            }
            Err(error) => Op::finished(Err(error.into())),
        }
    }

    /// Wraps all secrets in the store anew, with the current master secret, so that
    /// the previous one is not needed any more. Tokens are not touched.
    ///
    /// To change the master secret of a running fleet, in this order: give every process
    /// the new one as [`previous_master_secret`](crate::AuthorityBuilder::previous_master_secret);
    /// then the new one as `master_secret` and the old one as the previous; then call this
    /// once; then leave the old one out. The log keeps keys under the old wrapping until
    /// it is trimmed, so if the old secret has leaked, call
    /// [`start_over`](Self::start_over) instead.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed, or the ring changed meanwhile. It is safe to call again.
    pub fn rewrap_secrets(&self) -> Op<(), StoreError> {
        let (op, finish) = self.operation();
        self.inner.replica.rewrap(finish);
        op
    }

    /// Begins a new history of the log, with new keys and secrets: every token is
    /// refused in this process as [`UnknownKey`](crate::VerifyError::UnknownKey) when the
    /// result is there, every session is ended, and everybody logs in again.
    ///
    /// For when the master secret has leaked together with what the store holds. Change it
    /// first: give every process a new one as `master_secret` and the leaked one as the previous;
    /// then call this, and leave the leaked one out. The new secrets are wrapped with the
    /// `master_secret` of this process.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed, or another replica did the same at this moment.
    pub fn start_over(&self) -> Op<Epoch, StoreError> {
        let (op, finish) = self.operation();
        self.inner.replica.start_over(finish);
        op
    }

    /// Says that the store was restored from a backup, which may have brought back
    /// what was revoked since it was made: [starts over](Self::start_over).
    ///
    /// Replicas that run during the restoration notice it by themselves and do the same.
    /// When none was running, only the operator knows.
    ///
    /// # Errors
    ///
    /// [`StoreError`] as for [`start_over`](Self::start_over).
    pub fn restored_from_backup(&self) -> Op<Epoch, StoreError> {
        self.start_over()
    }
}
