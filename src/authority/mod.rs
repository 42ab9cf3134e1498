//! The one type that applications hold.

mod background;
mod builder;
mod bump;
mod explain;
mod issue;
mod judge;
mod keys;
mod maintain;
mod recheck;
mod remembered;
mod replicas;
mod verify;

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

use self::{background::Running, maintain::Tidied};
pub use self::{
    builder::AuthorityBuilder,
    explain::{Explanation, Step},
};
use crate::{
    Epoch, Mark, Op, RandomError, Stats, StoreError,
    counters::Counters,
    policy::CheckedPolicy,
    replica::{Changes, Replica},
    sessions::Replays,
    token::Opening,
};

/// Issues tokens, verifies them, and revokes them at once.
///
/// Cheap to clone; clones are the same authority. Share one per process.
///
/// # Concurrency
///
/// [`verify`](Self::verify), [`recheck`](Self::recheck) and [`issue`](Self::issue)
/// read memory of this process only. They never wait for a lock that a writer can
/// hold, and threads that verify tokens of the same user do not slow each other.
///
/// What touches the store returns an [`Op`] at once. One thread of the authority follows
/// the store and puts what it says into force here, one event after the other; when an
/// operation has its result, what it did is visible to every call that begins
/// afterwards in this process, on any thread. The thread stops with the last clone of the
/// authority and the last of its operations. Dropping the last clone waits until the
/// thread has let go of the store, unless that is shared or an operation is under way.
///
/// # Several processes
///
/// Every process that opens the same [shared](crate::store::Reach::Shared) store is a
/// replica. A bump made by one is in force in the others as soon as their thread has read
/// it, and no later than the policy's [`max_staleness`](crate::Policy::max_staleness): a
/// replica with older news accepts and issues nothing. Answer `503` to what
/// [`is_transient`](crate::VerifyError::is_transient).
///
/// Give all replicas the same issuer, master secret and policy, and keep their clocks within
/// [`max_clock_skew`](crate::Policy::max_clock_skew) of the store's. Log in with
/// [`catch_up`](Self::catch_up), and use [`wait_for`](Self::wait_for) to see another one's bump
/// in force.
#[derive(Clone)]
pub struct Authority {
    pub(crate) inner: Arc<Inner>,
    running: Arc<Running>,
}

pub(crate) struct Inner {
    issuer: String,
    audience: String,
    opening: Opening,
    pub(crate) policy: Arc<CheckedPolicy>,
    counters: Counters,
    pub(crate) replica: Arc<Replica>,
    pub(crate) replays: Replays,
    /// Whether a change of the ring that the clock demanded is on its way.
    changing_keys: Arc<Mutex<bool>>,
    tidied: Mutex<Tidied>,
}

impl Authority {
    /// An authority for tokens from `issuer` (`iss`) for `audience` (`aud`).
    ///
    /// RFC 9068 section 2.2 wants the issuer to be a URL; here any id will do.
    ///
    /// ```
    /// use std::time::Duration;
    /// use epochkey::{Authority, MemoryStore};
    ///
    /// let authority = Authority::builder("https://issuer.example", "api")
    ///     .token_lifetime(Duration::from_secs(900))
    ///     .open(MemoryStore::new())?;
    /// # Ok::<(), epochkey::BuildError>(())
    /// ```
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> AuthorityBuilder {
        AuthorityBuilder::new(issuer.into(), audience.into())
    }

    /// This moment in the epoch log, to be taken before reading facts that a token
    /// will vouch for. Never waits. See [`Grant::as_of`](crate::Grant::as_of).
    ///
    /// On a [shared](crate::store::Reach::Shared) store take it with
    /// [`catch_up`](Self::catch_up): a replica that is behind would issue a token which is dead
    /// when it has caught up.
    #[must_use = "a mark does nothing until a grant is made `as_of` it"]
    pub fn mark(&self) -> Mark {
        self.inner.replica.ring().mark()
    }

    /// What this authority holds right now. Walks the whole epoch table, so not
    /// for every request.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.inner.replica, &self.inner.counters)
    }

    /// Commits changes, and finishes when they are in force here. `result` gets the
    /// first epoch, and all of them.
    fn commit<T, E>(
        &self,
        changes: Changes,
        result: impl FnOnce(Epoch, Vec<Epoch>) -> T + Send + 'static,
    ) -> Op<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<RandomError> + Send + 'static,
    {
        let (op, finish) = self.operation();
        let finish = move |answer: Result<Vec<Epoch>, StoreError>| {
            let in_force = answer.and_then(|epochs| match epochs.first() {
                Some(first) => Ok(result(*first, epochs)),
                None => Err(StoreError::abandoned()),
            });
            finish(in_force.map_err(E::from));
        };
        match self.inner.replica.commit(changes, finish) {
            Ok(()) => op,
            Err(error) => Op::finished(Err(error.into())),
        }
    }

    /// An operation, and what finishes it. The thread that it needs runs until then, though
    /// everybody drops the authority.
    pub(crate) fn operation<T, E>(&self) -> (Op<T, E>, impl FnOnce(Result<T, E>) + Send + use<T, E>)
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (op, completer) = Op::running();
        let running = Arc::clone(&self.running);
        let finish = move |result| {
            // First: whoever has the result and then drops the authority, drops the last.
            running.let_go();
            completer.complete(result);
        };
        (op, finish)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn replica(&self) -> &Replica {
        &self.inner.replica
    }

    #[cfg(feature = "testing")]
    pub(crate) fn maintain(&self) -> Result<(), StoreError> {
        self.inner.maintain()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("issuer", &self.inner.issuer)
            .field("audience", &self.inner.audience)
            .field("policy", &self.inner.policy)
            .field("applied", &self.inner.replica.ring().table().applied())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::{
        Clock, Grant, MemoryStore, SwapError,
        crypto::SystemRandom,
        epoch_log::Change,
        hook::{self, Place},
        ring_key::NewRingKey,
        testing,
    };

    /// A clock that counts how often it is read.
    #[derive(Clone, Default)]
    struct CountingClock(Arc<AtomicUsize>);

    impl Clock for CountingClock {
        fn now(&self) -> SystemTime {
            self.0.fetch_add(1, Ordering::SeqCst);
            SystemTime::now()
        }
    }

    #[test]
    fn the_clock_is_read_once() {
        let clock = CountingClock::default();
        let builder = Authority::builder("i", "a").clock(clock.clone());
        let authority = builder.open(MemoryStore::new()).unwrap();
        let reads = |action: &dyn Fn()| {
            let before = clock.0.load(Ordering::SeqCst);
            action();
            clock.0.load(Ordering::SeqCst) - before
        };
        let grant = || Grant::user("u").authenticated_now();
        let token = authority.issue(grant()).unwrap();
        let verified = authority.verify(&token).unwrap();
        assert_eq!(reads(&|| drop(authority.issue(grant()))), 1);
        assert_eq!(reads(&|| drop(authority.verify(&token))), 1);
        assert_eq!(reads(&|| drop(authority.recheck(&verified))), 1);
        assert_eq!(reads(&|| drop(authority.verify("x"))), 1);
        assert_eq!(reads(&|| assert!(authority.freshness().is_fresh())), 1);
    }

    /// Readers do not wait for a writer, wherever it stands.
    #[test]
    fn verify_and_issue_go_on_while_a_swap_stands_still() {
        let builder = testing::by_hand(Authority::builder("i", "a"));
        let authority = builder.open(MemoryStore::new()).unwrap();
        let token = authority.issue(Grant::user("u")).unwrap();
        let verified = authority.verify(&token).unwrap();
        for place in [Place::EventShown, Place::Pruned] {
            let here = Arc::new(Barrier::new(2));
            let (there, writer) = (Arc::clone(&here), authority.clone());
            let swapping = std::thread::spawn(move || {
                hook::at_next(place, move || {
                    there.wait();
                    there.wait();
                });
                testing::finish(&writer, writer.swap_key()).unwrap();
            });
            here.wait();
            assert!(authority.verify(&token).is_err() && authority.recheck(&verified).is_err());
            let fresh = authority.issue(Grant::user("u").as_of(authority.mark()));
            let outcome = fresh.map(|token| authority.verify(token).is_ok());
            assert!(matches!(outcome, Ok(true)), "{place:?}: {outcome:?}");
            assert!(authority.explain(&token).failure().is_some());
            here.wait();
            swapping.join().unwrap();
        }
    }

    /// A ring key keeps the longest lifetime it was introduced with, whatever the
    /// policy allows by now.
    #[test]
    fn a_key_of_a_shorter_policy_issues_shorter_tokens() {
        let authority = crate::testing::authority().unwrap();
        let source = authority.inner.replica.source();
        let key = NewRingKey::draw(&SystemRandom, 60, 0).unwrap();
        let changes = Changes {
            ring: authority.inner.replica.ring_to_keep(),
            newest_key: None,
            changes: vec![Change::Swap(
                key.seal(&source.wrapping, &SystemRandom).unwrap(),
            )],
            sessions: Vec::new(),
        };
        authority
            .commit::<_, SwapError>(changes, |first, _| first)
            .wait()
            .unwrap();
        let lifetime = |grant| authority.issue(grant).map(|token| token.expires_in());
        assert_eq!(lifetime(Grant::user("u")).unwrap(), Duration::from_secs(60));
        let refused = lifetime(Grant::user("u").lifetime(Duration::from_secs(61)));
        assert_eq!(refused.unwrap_err().label(), "lifetime_too_long");
    }

    #[test]
    fn debug_shows_no_secret() {
        let authority = crate::testing::authority().unwrap();
        let text = format!("{authority:?}");
        assert!(
            text.contains("issuer.test") && !text.to_lowercase().contains("key"),
            "{text}"
        );
    }
}
