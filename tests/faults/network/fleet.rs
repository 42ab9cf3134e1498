//! Replicas of one store, each with connections of its own through a proxy of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use epochkey::{
    Authority, Epoch, Grant, MasterSecret, Observer, Op, Policy, RefreshToken, Scope, SessionId,
    Token, TokenPair,
};

use super::Kind;
pub(crate) use crate::faults::waiting::{until, until_some};
use crate::{
    network::Proxy,
    server::{self, Server},
};

/// Of a server that is asked something: well below what makes a replica stale.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(400);
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(2);

/// What an observer was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    restarted: AtomicUsize,
    reused: Mutex<Vec<SessionId>>,
}

impl Observer for Told {
    fn restarted(&self) {
        self.restarted.fetch_add(1, Ordering::SeqCst);
    }

    fn reused(&self, _: &str, session: &SessionId) {
        self.reused.lock().unwrap().push(session.clone());
    }
}

/// A server, and what all replicas of the store on it have in common.
pub(crate) struct Fleet<K: Kind> {
    pub(crate) server: K::Server,
    secret: MasterSecret,
}

impl<K: Kind> Fleet<K> {
    /// `None` if the server is not installed.
    pub(crate) fn start() -> Option<Self> {
        Some(Self {
            server: server::start::<K::Server>(&[])?,
            secret: MasterSecret::generate().unwrap(),
        })
    }

    pub(crate) fn replica(&self) -> Replica {
        let policy = Policy::default()
            .max_staleness(MAX_STALENESS)
            .max_clock_skew(Duration::from_secs(1))
            .refresh_grace(Duration::from_secs(300))
            .max_sessions(10_000, epochkey::WhenFull::Refuse)
            .rotate_by_hand();
        let (told, proxy) = (
            Arc::new(Told::default()),
            Arc::new(Proxy::to_server(self.server.address()).unwrap()),
        );
        let store = K::connect(&self.server.url_at(proxy.address()), TIMEOUT);
        let authority = Authority::builder("https://issuer.test", "api")
            .master_secret(self.secret.clone())
            .policy(policy)
            .observer(Arc::clone(&told))
            .open(store)
            .unwrap();
        Replica {
            authority,
            proxy,
            told,
        }
    }

    pub(crate) fn replicas<const N: usize>(&self) -> [Replica; N] {
        std::array::from_fn(|_| self.replica())
    }
}

/// An authority, and what is between it and the server.
pub(crate) struct Replica {
    // Before the proxy: it is dropped first.
    pub(crate) authority: Authority,
    pub(crate) proxy: Arc<Proxy>,
    told: Arc<Told>,
}

impl Replica {
    /// `good`, or why not.
    pub(crate) fn outcome(&self, token: &Token) -> &'static str {
        match self.authority.verify(token) {
            Ok(_) => "good",
            Err(error) => error.label(),
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.authority.stats().stale
    }

    /// Tries again for as long as the network has it so.
    #[track_caller]
    pub(crate) fn issue(&self, user: &str) -> Token {
        until_some("a token", || self.authority.issue(Grant::user(user)).ok())
    }

    /// The same of a bump.
    #[track_caller]
    pub(crate) fn bump(&self, user: &str) -> Epoch {
        until_some("a bump", || self.begin_bump(user).wait().ok())
    }

    pub(crate) fn begin_bump(&self, user: &str) -> Op<Epoch, epochkey::BumpError> {
        self.authority.bump(Scope::user(user))
    }

    /// The same of a session's start.
    #[track_caller]
    pub(crate) fn start(&self, user: &str) -> TokenPair {
        until_some("a session", || self.begin_start(user).wait().ok())
    }

    pub(crate) fn begin_start(&self, user: &str) -> Op<TokenPair, epochkey::StartError> {
        self.authority.sessions().start(Grant::user(user), "")
    }

    /// The same of a refresh, which nothing speaks against.
    #[track_caller]
    pub(crate) fn refresh(&self, token: &RefreshToken) -> TokenPair {
        until_some("a refresh", || {
            let refreshed = self.authority.sessions().refresh(token).wait();
            match refreshed {
                Err(error) if error.needs_log_in() => panic!("it is refused: {error}"),
                refreshed => refreshed.ok(),
            }
        })
    }

    /// Waits until a refresh token is refused for good.
    #[track_caller]
    pub(crate) fn refused(&self, token: &RefreshToken) -> &'static str {
        until_some("a refusal", || {
            let refreshed = self.authority.sessions().refresh(token).wait();
            let error = refreshed.expect_err("the session goes on");
            error.needs_log_in().then(|| error.label())
        })
    }

    /// How many sessions the store has of a user.
    #[track_caller]
    pub(crate) fn sessions(&self, user: &str) -> usize {
        let list = || self.authority.sessions().list(user).wait().ok();
        until_some("a list", list).len()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, epoch: Epoch) {
        until_some("an epoch", || self.authority.wait_for(epoch).wait().ok());
    }

    /// Waits until a token is good. It may be too new for this replica, and nothing else.
    #[track_caller]
    pub(crate) fn until_good(&self, token: &Token) {
        until("the token is good", || match self.outcome(token) {
            "good" => true,
            "stale_epochs" => false,
            refused => panic!("the token is refused as {refused}"),
        });
    }

    /// Waits until a token is known to be revoked. It must not be good meanwhile.
    #[track_caller]
    pub(crate) fn until_revoked(&self, token: &Token) {
        until("the token is revoked", || match self.outcome(token) {
            "revoked" | "unknown_key" => true,
            "stale_epochs" => false,
            outcome => panic!("the revoked token is {outcome}"),
        });
    }
}

/// Waits until everything is in force everywhere that the store has acknowledged so far, by a
/// bump of the last replica. Gives the bump's position, unless it was tried more than once.
#[track_caller]
pub(crate) fn settle(replicas: &[Replica]) -> Option<u64> {
    let mut tries = 0;
    let epoch = until_some("a bump", || {
        tries += 1;
        replicas.last()?.begin_bump("nobody").wait().ok()
    });
    for replica in replicas {
        replica.wait_for(epoch);
    }
    (tries == 1).then(|| epoch.position())
}

/// Of several refreshes with one token.
#[track_caller]
pub(crate) fn assert_one_successor(one: &TokenPair, other: &TokenPair) {
    let texts = [one, other].map(|pair| pair.refresh.as_str());
    assert_eq!(texts[0], texts[1]);
}

/// Nobody took what the network did for a theft, or for a loss of the store.
#[track_caller]
pub(crate) fn assert_all_calm(replicas: &[Replica]) {
    for replica in replicas {
        assert_eq!(replica.told.reused.lock().unwrap().as_slice(), []);
    }
    assert_eq!(restarts(replicas), 0);
}

pub(crate) fn restarts(replicas: &[Replica]) -> usize {
    let told = replicas.iter().map(|replica| &replica.told);
    told.map(|told| told.restarted.load(Ordering::SeqCst)).sum()
}
