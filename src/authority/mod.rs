//! The one type that applications hold.

mod builder;
mod bump;
mod explain;
mod issue;
mod swap;
mod verify;

use std::{fmt, sync::Arc};

pub use self::{
    builder::AuthorityBuilder,
    explain::{Explanation, Step},
};
use crate::{
    Epoch, Mark, Op, Stats, StoreError,
    clock::Timekeeper,
    crypto::Random,
    epoch_log::Change,
    policy::CheckedPolicy,
    replica::Replica,
    store::sealed::{Backend, Committed},
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
/// [`bump`](Self::bump), [`bump_many`](Self::bump_many) and
/// [`swap_key`](Self::swap_key) write to the store and may wait for it and for
/// each other. When one of them returns its result, what it did is visible to
/// every call that begins afterwards in this process, on any thread.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    audience: String,
    opening: Opening,
    policy: CheckedPolicy,
    time: Timekeeper,
    random: Arc<dyn Random>,
    replica: Replica,
    store: Arc<dyn Backend>,
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
    #[must_use = "a mark does nothing until a grant is made `as_of` it"]
    pub fn mark(&self) -> Mark {
        Mark {
            history: self.inner.replica.history(),
            position: self.inner.replica.applied(),
        }
    }

    /// What this authority holds right now. Walks the whole epoch table, so not
    /// for every request.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.inner.replica)
    }

    /// Commits `changes`, and finishes when they are in force here. `result` gets
    /// the place of the first of them.
    fn commit<T, E>(
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
            let applied = answer.and_then(|committed: Committed| {
                inner.replica.catch_up(&*inner.store, committed.last)?;
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

    #[cfg(feature = "testing")]
    pub(crate) fn replica(&self) -> &Replica {
        &self.inner.replica
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("issuer", &self.inner.issuer)
            .field("audience", &self.inner.audience)
            .field("policy", &self.inner.policy)
            .field("applied", &self.inner.replica.applied())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::{
        BuildError, BumpError, Clock, Grant, IssueError, MemoryStore, RandomError, Scope, Store,
        SwapError, VerifyError,
        crypto::SystemRandom,
        epoch_log::{Change, Event},
        history::HistoryId,
        hook::{self, Place},
        ring_key::NewRingKey,
        store::sealed::Completion,
    };

    /// A store that counts its commits and whose log loses its next event when it
    /// is told to.
    struct LossyStore {
        store: MemoryStore,
        commits: Arc<AtomicUsize>,
        loses_the_next: Arc<AtomicBool>,
    }

    impl Store for LossyStore {}

    impl Backend for LossyStore {
        fn history(&self, fresh: HistoryId) -> HistoryId {
            self.store.history(fresh)
        }

        fn commit(&self, changes: Vec<Change>, done: Completion) {
            self.commits.fetch_add(1, Ordering::SeqCst);
            self.store.commit(changes, done);
        }

        fn events_after(&self, position: u64) -> Result<Vec<Event>, StoreError> {
            let mut events = self.store.events_after(position)?;
            if !events.is_empty() && self.loses_the_next.swap(false, Ordering::SeqCst) {
                events.remove(0);
            }
            Ok(events)
        }
    }

    fn on_lossy_store() -> (Authority, Arc<AtomicUsize>, Arc<AtomicBool>) {
        let (commits, loses_the_next) = (Arc::default(), Arc::default());
        let store = LossyStore {
            store: MemoryStore::new(),
            commits: Arc::clone(&commits),
            loses_the_next: Arc::clone(&loses_the_next),
        };
        let authority = Authority::builder("i", "a").open(store).unwrap();
        (authority, commits, loses_the_next)
    }

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
        assert_eq!(reads(&|| drop(authority.verify("x"))), 0);
    }

    /// Readers do not wait for a writer, wherever it stands.
    #[test]
    fn verify_and_issue_go_on_while_a_swap_stands_still() {
        let authority = crate::testing::authority().unwrap();
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
                writer.swap_key().wait().unwrap();
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

    /// Gives nothing once it is told to.
    #[derive(Clone, Default)]
    struct FailingRandom(Arc<AtomicBool>);

    impl Random for FailingRandom {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            match self.0.load(Ordering::SeqCst) {
                true => Err(RandomError::for_tests()),
                false => SystemRandom.fill(bytes),
            }
        }
    }

    #[test]
    fn without_random_bytes_nothing_is_issued_or_changed() {
        let random = FailingRandom::default();
        let builder = || Authority::builder("i", "a").random(random.clone());
        let authority = builder().open(MemoryStore::new()).unwrap();
        let token = authority.issue(Grant::user("u")).unwrap();
        random.0.store(true, Ordering::SeqCst);
        let opened = builder().open(MemoryStore::new());
        assert!(matches!(opened, Err(BuildError::Random(_))));
        let issued = authority.issue(Grant::user("u"));
        assert!(matches!(issued, Err(IssueError::Random(_))));
        let bumped = authority.bump(Scope::user("u")).wait();
        assert!(matches!(bumped, Err(BumpError::Random(_))));
        let swapped = authority.swap_key().wait();
        assert!(matches!(swapped, Err(SwapError::Random(_))));
        assert!(authority.verify(&token).is_ok());
        assert_eq!(authority.stats().position, 1);
    }

    #[test]
    fn many_bumps_are_one_commit() {
        let (authority, commits, _) = on_lossy_store();
        let before = commits.load(Ordering::SeqCst);
        let scopes = (0..100).map(|n| Scope::user(n.to_string()));
        assert_eq!(authority.bump_many(scopes).wait().unwrap().len(), 100);
        assert_eq!(commits.load(Ordering::SeqCst), before + 1);
    }

    /// A ring key keeps the longest lifetime it was introduced with, whatever the
    /// policy allows by now.
    #[test]
    fn a_key_of_a_shorter_policy_issues_shorter_tokens() {
        let authority = crate::testing::authority().unwrap();
        let key = NewRingKey::draw(&SystemRandom, 60).unwrap();
        let swapped = authority.commit::<_, StoreError>(vec![Change::Swap(key)], |_| ());
        swapped.wait().unwrap();
        let lifetime = |grant| authority.issue(grant).map(|token| token.expires_in());
        assert_eq!(lifetime(Grant::user("u")).unwrap(), Duration::from_secs(60));
        let refused = lifetime(Grant::user("u").lifetime(Duration::from_secs(61)));
        assert_eq!(refused.unwrap_err().label(), "lifetime_too_long");
    }

    /// A bump is lost on the way here: nothing is accepted or issued from then on,
    /// and the bump does not claim to have worked.
    #[test]
    fn a_log_that_cannot_be_followed_makes_everything_fail_closed() {
        let (authority, _, loses_the_next) = on_lossy_store();
        let token = authority.issue(Grant::user("u")).unwrap();
        let verified = authority.verify(&token).unwrap();

        loses_the_next.store(true, Ordering::SeqCst);
        let bumped = authority
            .bump_many([Scope::user("u"), Scope::user("v")])
            .wait();
        assert!(matches!(bumped, Err(BumpError::Store(_))));
        for user in ["u", "w"] {
            let refused = authority.issue(Grant::user(user));
            assert!(matches!(refused, Err(IssueError::StaleEpochs)), "{user}");
        }
        assert_eq!(
            authority.verify(&token).unwrap_err(),
            VerifyError::StaleEpochs
        );
        assert_eq!(authority.recheck(&verified), Err(VerifyError::StaleEpochs));
        assert!(authority.stats().stale);
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
