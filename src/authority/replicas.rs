//! One replica among others.

use super::Authority;
use crate::{Epoch, Freshness, Mark, Op, StoreError, store::ReplicaId};

impl Authority {
    /// The id of this replica, drawn when the authority was opened: what others call it, by its
    /// receipts. For logs.
    pub fn replica_id(&self) -> ReplicaId {
        self.inner.replica.source().id
    }

    /// How old the news of the store is here, at this moment: for health checks and
    /// dashboards. Never waits.
    ///
    /// It reads the clocks once, and judges as [`verify`](Self::verify) would at the same moment.
    ///
    /// ```
    /// # use epochkey::{Authority, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let freshness = authority.freshness();
    /// let status = if freshness.is_fresh() { 200 } else { 503 };
    /// # assert_eq!(status, 200);
    /// # Ok::<(), epochkey::BuildError>(())
    /// ```
    pub fn freshness(&self) -> Freshness {
        self.inner.replica.freshness()
    }

    /// Finishes when `epoch`, which may come from another replica of the same store, is
    /// in force in this process.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store has lost it, or this replica has no fresh news of the
    /// store; it accepts and issues nothing then.
    pub fn wait_for(&self, epoch: Epoch) -> Op<Epoch, StoreError> {
        let (op, finish) = self.operation();
        self.inner.replica.wait_for(epoch, finish);
        op
    }

    /// Finishes when everything is in force here that any replica was told to be done
    /// before this call, and gives a [mark](Self::mark) of that moment.
    ///
    /// Take the mark of a log-in so, where a user may have been bumped on
    /// another replica a moment ago: a token issued by a replica that is behind would be dead
    /// as soon as it has caught up.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let mark = authority.catch_up().wait()?;             // or .await
    /// // check the password
    /// let token = authority.issue(Grant::user("u-42").as_of(mark))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] if this replica has no fresh news of the store.
    pub fn catch_up(&self) -> Op<Mark, StoreError> {
        let (op, finish) = self.operation();
        self.inner.replica.catch_up(finish);
        op
    }
}
