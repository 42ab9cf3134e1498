use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use epochkey::{
    Authority, AuthorityBuilder, Epoch, Grant, MasterSecret, Observer, Op, Policy, Scope,
    StoreError, Token, VerifyError,
    store::{Answer, Commit, Effect, EventId, NewEvent, Outcome, Store, StoreTime},
    testing::{self, FaultyStore, ManualClock},
};

pub(crate) const START: u64 = 1_700_000_000;

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server, and the clock that it and all replicas read unless they are given another.
pub(crate) struct Fleet {
    pub(crate) clock: ManualClock,
    pub(crate) server: FaultyStore,
    pub(crate) secret: MasterSecret,
}

/// An authority that is followed by hand, and its connection.
pub(crate) struct Replica {
    pub(crate) authority: Authority,
    pub(crate) link: FaultyStore,
    pub(crate) told: Arc<Told>,
}

/// How often an observer was told what.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) bumped: AtomicUsize,
    pub(crate) rotated: AtomicUsize,
    pub(crate) swapped: AtomicUsize,
    pub(crate) restarted: AtomicUsize,
    pub(crate) stale: AtomicUsize,
    pub(crate) recovered: AtomicUsize,
    pub(crate) failed: Mutex<Vec<&'static str>>,
    pub(crate) refused: AtomicUsize,
}

pub(crate) fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}

fn add_one(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

impl Observer for Told {
    fn refused(&self, _: &'static str) {
        add_one(&self.refused);
    }

    fn bumped(&self, _: Epoch) {
        add_one(&self.bumped);
    }

    fn rotated(&self, _: Epoch) {
        add_one(&self.rotated);
    }

    fn swapped(&self, _: Epoch) {
        add_one(&self.swapped);
    }

    fn restarted(&self) {
        add_one(&self.restarted);
    }

    fn stale(&self) {
        add_one(&self.stale);
    }

    fn failed(&self, error: &StoreError) {
        self.failed.lock().unwrap().push(error.label());
    }

    fn recovered(&self) {
        add_one(&self.recovered);
    }
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(START);
        Self::on(FaultyStore::new(clock.clone()), clock)
    }

    pub(crate) fn on(server: FaultyStore, clock: ManualClock) -> Self {
        Self {
            server,
            clock,
            secret: MasterSecret::generate().unwrap(),
        }
    }

    pub(crate) fn builder(&self) -> AuthorityBuilder {
        let builder = Authority::builder("https://issuer.test", "api");
        let builder = builder
            .clock(self.clock.clone())
            .master_secret(self.secret.clone());
        testing::by_hand(builder)
    }

    pub(crate) fn replica(&self) -> Replica {
        self.replica_with(self.builder())
    }

    pub(crate) fn replica_of(&self, policy: Policy) -> Replica {
        self.replica_with(self.builder().policy(policy))
    }

    pub(crate) fn replica_with(&self, builder: AuthorityBuilder) -> Replica {
        let (link, told) = (self.server.connect(), Arc::new(Told::default()));
        let builder = builder.observer(Arc::clone(&told));
        let authority = builder.open(link.clone()).unwrap();
        Replica {
            authority,
            link,
            told,
        }
    }

    /// Commits an event of which only the store's part is what it should be.
    pub(crate) fn commit(&self, body: Vec<u8>, effect: Effect) {
        let snapshot = self.server.snapshot(StoreTime::default(), &mut |_| {});
        let id = EventId::from_bytes([9; 16]);
        let commit = Commit {
            known: snapshot.unwrap().value.unwrap().head,
            newest_key: None,
            events: vec![NewEvent { id, body, effect }],
            sessions: vec![],
            now: StoreTime::default(),
        };
        let done = |answer: Result<Answer<Outcome>, _>| {
            assert!(matches!(answer.unwrap().value, Outcome::Done { .. }));
        };
        self.server.commit(commit, Box::new(done));
    }

    pub(crate) fn replicas(&self, number: usize) -> Vec<Replica> {
        (0..number).map(|_| self.replica()).collect()
    }
}

impl Replica {
    pub(crate) fn follow(&self) -> Result<(), StoreError> {
        testing::follow(&self.authority)
    }

    pub(crate) fn maintain(&self) {
        testing::maintain(&self.authority).unwrap();
    }

    #[track_caller]
    pub(crate) fn finish<T, E: std::fmt::Debug>(&self, op: Op<T, E>) -> T {
        testing::finish(&self.authority, op).unwrap()
    }

    #[track_caller]
    pub(crate) fn bump(&self, user: &str) -> Epoch {
        self.finish(self.authority.bump(Scope::user(user)))
    }

    #[track_caller]
    pub(crate) fn issue(&self, user: &str) -> Token {
        self.authority.issue(Grant::user(user)).unwrap()
    }

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

    pub(crate) fn position(&self) -> u64 {
        self.authority.stats().position
    }

    /// Nothing is accepted, rechecked or issued, whatever it is.
    #[track_caller]
    pub(crate) fn assert_refuses_everything(&self, token: &Token) {
        assert!(self.is_stale());
        assert_eq!(self.outcome(token), "stale_epochs");
        let issued = self.authority.issue(Grant::user("anybody"));
        assert_eq!(issued.unwrap_err().label(), "stale_epochs");
        assert!(testing::maintain(&self.authority).is_err());
    }
}

/// Follows until nothing changes any more.
pub(crate) fn settle(replicas: &[Replica]) {
    for _ in 0..3 {
        for replica in replicas {
            let _ = replica.follow();
        }
    }
    for replica in replicas {
        replica.follow().unwrap();
        assert!(!replica.is_stale());
        assert_eq!(replica.position(), replicas[0].position());
    }
}

pub(crate) const STALE: VerifyError = VerifyError::StaleEpochs;
