//! Replicas of one store, each with connections of its own.

use std::{
    error::Error,
    marker::PhantomData,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use epochkey::{
    Authority, AuthorityBuilder, Epoch, Grant, MasterSecret, Observer, Op, Policy, Scope,
    StoreError, Token, TokenPair,
};

use super::Kind;
pub(crate) use super::waiting::{LONG, PAUSE, until, until_some};

/// Of a server that is asked something: well below what makes a replica stale.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Waits until an operation is finished, and not for ever.
#[track_caller]
pub(crate) fn result<T, E>(op: Op<T, E>) -> Result<T, E> {
    until("the operation is finished", || !is_running(&op));
    op.wait()
}

/// Without waiting for it.
pub(crate) fn is_running<T, E>(op: &Op<T, E>) -> bool {
    format!("{op:?}") == "Op(running)"
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// When they are.
pub(crate) fn soon_stale_after() -> Duration {
    seconds(2)
}

/// Replicas that are stale soon, and forgive clients what a broken connection makes them do.
pub(crate) fn soon_stale() -> Policy {
    Policy::default()
        .max_staleness(soon_stale_after())
        .max_clock_skew(seconds(1))
        .refresh_grace(seconds(300))
        .rotate_by_hand()
}

/// What an observer was told.
#[derive(Default)]
pub(crate) struct Told {
    restarted: AtomicUsize,
    rotated: Mutex<Vec<Epoch>>,
    /// Why exchanges failed, with all that is behind it.
    failed: Mutex<Vec<String>>,
}

impl Told {
    pub(crate) fn rotated(&self) -> Vec<Epoch> {
        self.rotated.lock().unwrap().clone()
    }

    /// The last failure.
    pub(crate) fn failed(&self) -> Option<String> {
        self.failed.lock().unwrap().last().cloned()
    }
}

impl Observer for Told {
    fn restarted(&self) {
        self.restarted.fetch_add(1, Ordering::SeqCst);
    }

    fn rotated(&self, epoch: Epoch) {
        self.rotated.lock().unwrap().push(epoch);
    }

    fn failed(&self, error: &StoreError) {
        let (mut text, mut next) = (error.to_string(), error.source());
        while let Some(source) = next {
            text = format!("{text}: {source}");
            next = source.source();
        }
        self.failed.lock().unwrap().push(text);
    }
}

/// What all replicas of a store have in common.
pub(crate) struct Fleet<K> {
    url: String,
    policy: Policy,
    timeout: Duration,
    secret: MasterSecret,
    kind: PhantomData<K>,
}

impl<K: Kind> Fleet<K> {
    pub(crate) fn new(url: String, policy: Policy) -> Self {
        Self {
            url,
            policy,
            timeout: TIMEOUT,
            secret: MasterSecret::generate().unwrap(),
            kind: PhantomData,
        }
    }

    /// Replicas that are never stale, nor tired of a slow machine: what fails here is refused.
    pub(crate) fn patient(url: String) -> Self {
        Self {
            timeout: LONG,
            ..Self::new(url, soon_stale().max_staleness(10 * LONG))
        }
    }

    pub(crate) fn builder(&self) -> AuthorityBuilder {
        Authority::builder("https://issuer.test", "api")
            .master_secret(self.secret.clone())
            .policy(self.policy.clone())
    }

    /// A connection of its own.
    pub(crate) fn store(&self) -> K::Store {
        K::connect(&self.url, self.timeout)
    }

    pub(crate) fn replica(&self) -> Replica {
        self.replica_at(&self.url)
    }

    /// A replica that reaches the server in another way.
    pub(crate) fn replica_at(&self, url: &str) -> Replica {
        Replica::open(self.builder(), K::connect(url, self.timeout))
    }

    pub(crate) fn replicas(&self, number: usize) -> Vec<Replica> {
        (0..number).map(|_| self.replica()).collect()
    }
}

/// An authority, and what it says of itself.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) authority: Authority,
    pub(crate) told: Arc<Told>,
}

impl Replica {
    pub(crate) fn open(builder: AuthorityBuilder, store: impl epochkey::Store) -> Self {
        let told = Arc::new(Told::default());
        let builder = builder.observer(Arc::clone(&told));
        Self {
            authority: builder.open(store).unwrap(),
            told,
        }
    }

    /// `good`, or why not.
    pub(crate) fn outcome(&self, token: &Token) -> &'static str {
        match self.authority.verify(token) {
            Ok(_) => "good",
            Err(error) => error.label(),
        }
    }

    /// The same of the access token that a refresh gives.
    pub(crate) fn refreshed(&self, pair: &TokenPair) -> &'static str {
        match self.authority.sessions().refresh(&pair.refresh).wait() {
            Ok(next) => self.outcome(&next.access),
            Err(error) => error.label(),
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.authority.stats().stale
    }

    /// Tries again for as long as the server is busy.
    #[track_caller]
    pub(crate) fn issue(&self, user: &str) -> Token {
        until_some("a token", || self.authority.issue(Grant::user(user)).ok())
    }

    /// The same of a bump.
    #[track_caller]
    pub(crate) fn bump(&self, user: &str) -> Epoch {
        until_some("a bump", || {
            self.authority.bump(Scope::user(user)).wait().ok()
        })
    }

    /// The same of a session's start.
    #[track_caller]
    pub(crate) fn start(&self, user: &str) -> TokenPair {
        until_some("a session", || {
            let sessions = self.authority.sessions();
            sessions.start(Grant::user(user), "a device").wait().ok()
        })
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

    /// Waits until a token is refused as `label`.
    #[track_caller]
    pub(crate) fn until_refused(&self, token: &Token, label: &str) {
        until(label, || self.outcome(token) == label);
    }

    /// A token that must not be good.
    #[track_caller]
    pub(crate) fn assert_dead(&self, token: &Token) {
        let outcome = self.outcome(token);
        let is_dead = matches!(outcome, "revoked" | "unknown_key" | "stale_epochs");
        assert!(is_dead, "a revoked token is {outcome}");
    }
}

/// How often the log was started over, by whichever replica.
pub(crate) fn restarts(replicas: &[Replica]) -> usize {
    let restarted = |replica: &Replica| replica.told.restarted.load(Ordering::SeqCst);
    replicas.iter().map(restarted).sum()
}

/// Whoever logs in at one replica is logged in at all.
#[track_caller]
pub(crate) fn assert_log_ins_work(replicas: &[Replica]) {
    for (number, replica) in replicas.iter().enumerate() {
        let user = format!("logs in at {number}");
        let (token, pair) = (replica.issue(&user), replica.start(&user));
        for other in replicas {
            other.until_good(&token);
            other.until_good(&pair.access);
        }
    }
}

/// Shows revoked tokens to all replicas all the time.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(replicas: &[Replica], revoked: Vec<Token>) -> Self {
        let (stop, replicas) = (Arc::new(AtomicBool::new(false)), replicas.to_vec());
        let rounds = Arc::new(AtomicUsize::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&rounds));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                for (replica, token) in replicas.iter().flat_map(|replica| {
                    let pair = move |token| (replica, token);
                    revoked.iter().map(pair)
                }) {
                    replica.assert_dead(token);
                }
                counted.fetch_add(1, Ordering::SeqCst);
                thread::yield_now();
            }
        });
        Self {
            stop,
            rounds,
            thread,
        }
    }

    /// Waits until all tokens were shown so often from now on, or one was good.
    #[track_caller]
    pub(crate) fn look(&self, rounds: usize) {
        let before = self.rounds.load(Ordering::SeqCst);
        until("all tokens are shown", || {
            self.rounds.load(Ordering::SeqCst) >= before + rounds || self.thread.is_finished()
        });
    }

    /// None of them was good at any time.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("a revoked token was good");
    }
}
