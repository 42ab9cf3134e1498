//! The one type that applications hold.

mod builder;
mod explain;
mod issue;
mod revoke;
mod verify;

use std::{fmt, sync::Arc};

pub use self::{
    builder::Builder,
    explain::{Explanation, Step},
};
use crate::{
    Mark, Stats, clock::Timekeeper, crypto::Random, policy::CheckedPolicy, replica::Replica,
    store::sealed::Backend, token::Opening,
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
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> Builder {
        Builder::new(issuer.into(), audience.into())
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
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::{
        BumpError, Grant, IssueError, MemoryStore, Scope, Store, StoreError, VerifyError,
        crypto::SystemRandom,
        epoch_log::{Change, Event},
        history::HistoryId,
        key_ring::NewRingKey,
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
