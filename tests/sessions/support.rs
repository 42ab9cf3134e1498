//! An authority whose clock is set by hand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use epochkey::{
    Authority, Grant, MasterSecret, MemoryStore, Observer, Policy, RedbStore, RefreshError,
    SessionId, Store, TokenPair, testing::ManualClock,
};
use tempfile::TempDir;

pub(crate) const GRACE: Duration = Duration::from_secs(10);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the observer was told of sessions.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) reused: Mutex<Vec<(String, SessionId)>>,
    pub(crate) replayed: Mutex<Vec<(String, SessionId)>>,
}

impl Observer for Seen {
    fn reused(&self, user: &str, session: &SessionId) {
        let told = (user.to_owned(), session.clone());
        self.reused.lock().unwrap().push(told);
    }

    fn replayed(&self, user: &str, session: &SessionId) {
        let told = (user.to_owned(), session.clone());
        self.replayed.lock().unwrap().push(told);
    }
}

pub(crate) struct Service {
    pub(crate) authority: Authority,
    pub(crate) clock: ManualClock,
    pub(crate) seen: Arc<Seen>,
    _directory: Option<TempDir>,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        Self::on(MemoryStore::new(), policy, None)
    }

    /// The same on the store in one file.
    pub(crate) fn on_redb() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
        Self::on(store, Policy::default(), Some(directory))
    }

    fn on(store: impl Store, policy: Policy, directory: Option<TempDir>) -> Self {
        let clock = ManualClock::at_unix_seconds(1_700_000_000);
        let seen = Arc::new(Seen::default());
        let builder = Authority::builder("https://issuer.test", "api")
            .policy(policy.refresh_grace(GRACE))
            .master_secret(MasterSecret::generate().unwrap())
            .observer(Arc::clone(&seen))
            .clock(clock.clone());
        Self {
            authority: builder.open(store).unwrap(),
            clock,
            seen,
            _directory: directory,
        }
    }

    pub(crate) fn start(&self, user: &str) -> TokenPair {
        let sessions = self.authority.sessions();
        sessions
            .start(Grant::user(user), "a device")
            .wait()
            .unwrap()
    }

    pub(crate) fn refresh(&self, pair: &TokenPair) -> Result<TokenPair, RefreshError> {
        self.authority.sessions().refresh(&pair.refresh).wait()
    }

    /// The label of why it is refused; `good` if it is not.
    pub(crate) fn outcome(&self, pair: &TokenPair) -> &'static str {
        match self.authority.verify(&pair.access) {
            Ok(_) => "good",
            Err(error) => error.label(),
        }
    }

    pub(crate) fn refused(&self, pair: &TokenPair) -> &'static str {
        self.refresh(pair).unwrap_err().label()
    }

    pub(crate) fn labels(&self, user: &str) -> Vec<String> {
        let list = self.authority.sessions().list(user).wait().unwrap();
        list.iter()
            .map(|session| session.label().to_owned())
            .collect()
    }
}
