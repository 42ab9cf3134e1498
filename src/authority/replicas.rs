//! One replica among others.

use super::Authority;
use crate::{Epoch, Freshness, Mark, Op, ReplicaStatus, StoreError, store::ReplicaId};

impl Authority {
    /// The id of this replica, drawn when the authority was opened: what others call it in a
    /// [`ReplicaStatus`]. For logs.
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

    /// Finishes when `epoch` is in force everywhere: in this process, and each other replica
    /// has either confirmed that it has applied it, or refuses everything by now. Gives those
    /// that did not confirm: they are cut off, stuck, or gone.
    ///
    /// From then on no replica accepts a token that the epoch has revoked. Replicas confirm in
    /// their next exchange with the store, so it usually takes moments. One that is silent
    /// holds it up until its [`max_staleness`](crate::Policy::max_staleness) and twice the
    /// [`max_clock_skew`](crate::Policy::max_clock_skew) have passed since it was asked about
    /// first, by this replica's monotonic clock; then it refuses everything, whatever
    /// it does. A replica that stopped is known for another hour, and counts as silent.
    ///
    /// While it runs, this replica's thread reads the receipts of all replicas about every 50
    /// milliseconds. Dropped, it goes on until it is done.
    ///
    /// On a store of this process alone it finishes when the epoch is in force here.
    ///
    /// ```
    /// # use epochkey::{Authority, MemoryStore, Scope};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let epoch = authority.bump(Scope::user("u-42")).wait()?;
    /// for replica in authority.applied_everywhere(epoch).wait()? {     // or .await
    ///     eprintln!("{} has been silent for {:?}", replica.id(), replica.silent_for());
    /// }
    /// // no replica accepts a token of u-42 from before
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # When the store loses something
    ///
    /// It may have lost with it that a replica is there. So after a new
    /// [history](crate#words) has begun, nothing is finished before a replica of the one before,
    /// with this one's `max_staleness`, refuses everything. Until some replica notices a
    /// loss, nobody knows, and what was in force everywhere may be lost afterwards. A failover
    /// that loses the receipt of a replica just opened, and nothing else, is not noticed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store has lost the epoch or never knew it, its receipts cannot be
    /// read for so long, or this replica has no fresh news of the store. Others may have
    /// applied the epoch or not.
    pub fn applied_everywhere(&self, epoch: Epoch) -> Op<Vec<ReplicaStatus>, StoreError> {
        let (op, finish) = self.operation();
        self.inner.replica.applied_everywhere(epoch, finish);
        op
    }

    /// The replicas that have not confirmed so far that `epoch` is in force there; none if it
    /// is in force everywhere. It is in force here when this finishes.
    ///
    /// It takes one exchange with the store, and one more for every 16 replicas at different
    /// places in the epoch log. A replica that has just applied the epoch may be among them: it
    /// confirms in its next exchange.
    ///
    /// ```
    /// # use epochkey::{Authority, MemoryStore, Scope};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// let epoch = authority.bump(Scope::user("u-42")).wait()?;
    /// let behind = authority.replicas_behind(epoch).wait()?;
    /// println!("{} replicas have yet to confirm", behind.len());
    /// # assert!(behind.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`applied_everywhere`](Self::applied_everywhere).
    pub fn replicas_behind(&self, epoch: Epoch) -> Op<Vec<ReplicaStatus>, StoreError> {
        let (op, finish) = self.operation();
        self.inner.replica.replicas_behind(epoch, finish);
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
