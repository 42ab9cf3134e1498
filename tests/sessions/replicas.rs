//! A server, and two replicas that are followed by hand.

use std::time::{Duration, SystemTime};

use epochkey::{
    Authority, Clock, Grant, MasterSecret, Op, Policy, RefreshError, RefreshToken, Scope,
    TokenPair,
    testing::{self, FaultyStore, ManualClock},
};

use crate::support::GRACE;

pub(crate) struct Fleet {
    pub(crate) clock: ManualClock,
    pub(crate) server: FaultyStore,
    secret: MasterSecret,
}

struct OffBy(ManualClock, Duration, bool);

impl Clock for OffBy {
    fn now(&self) -> SystemTime {
        match self.2 {
            true => self.0.now() + self.1,
            false => self.0.now() - self.1,
        }
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

pub(crate) struct Replica {
    pub(crate) authority: Authority,
    pub(crate) link: FaultyStore,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(1_700_000_000);
        Self {
            server: FaultyStore::new(clock.clone()),
            clock,
            secret: MasterSecret::generate().unwrap(),
        }
    }

    pub(crate) fn replica(&self) -> Replica {
        self.replica_with(Policy::default())
    }

    pub(crate) fn replica_with(&self, policy: Policy) -> Replica {
        self.replica_at(self.clock.clone(), policy)
    }

    /// One whose clock is not set right.
    pub(crate) fn replica_off_by(&self, off_by: Duration, ahead: bool) -> Replica {
        self.replica_at(OffBy(self.clock.clone(), off_by, ahead), Policy::default())
    }

    pub(crate) fn replica_at(&self, clock: impl Clock, policy: Policy) -> Replica {
        let link = self.server.connect();
        let builder = Authority::builder("https://issuer.test", "api")
            .policy(policy.refresh_grace(GRACE))
            .master_secret(self.secret.clone())
            .clock(clock);
        Replica {
            authority: testing::by_hand(builder).open(link.clone()).unwrap(),
            link,
        }
    }

    pub(crate) fn two(&self) -> (Replica, Replica) {
        (self.replica(), self.replica())
    }

    /// Lets time pass, in which the replicas keep fresh.
    pub(crate) fn advance(&self, by: Duration, replicas: &[&Replica]) {
        self.clock.advance(by);
        for replica in replicas {
            replica.follow();
        }
    }
}

impl Replica {
    #[track_caller]
    pub(crate) fn follow(&self) {
        testing::follow(&self.authority).unwrap();
    }

    #[track_caller]
    pub(crate) fn finish<T, E: std::fmt::Debug>(&self, op: Op<T, E>) -> T {
        testing::finish(&self.authority, op).unwrap()
    }

    #[track_caller]
    pub(crate) fn start(&self, user: &str) -> TokenPair {
        let sessions = self.authority.sessions();
        self.finish(sessions.start(Grant::user(user), "a device"))
    }

    pub(crate) fn begin_refresh(&self, token: &RefreshToken) -> Op<TokenPair, RefreshError> {
        self.authority.sessions().refresh(token)
    }

    pub(crate) fn try_refresh(&self, token: &RefreshToken) -> Result<TokenPair, RefreshError> {
        testing::finish(&self.authority, self.begin_refresh(token))
    }

    #[track_caller]
    pub(crate) fn refresh(&self, pair: &TokenPair) -> TokenPair {
        self.try_refresh(&pair.refresh).unwrap()
    }

    #[track_caller]
    pub(crate) fn refused(&self, pair: &TokenPair) -> &'static str {
        self.try_refresh(&pair.refresh).unwrap_err().label()
    }

    #[track_caller]
    pub(crate) fn bump(&self, scope: Scope) {
        self.finish(self.authority.bump(scope));
    }

    #[track_caller]
    pub(crate) fn end_all(&self, user: &str) {
        self.finish(self.authority.sessions().end_all(user));
    }

    /// `good`, or why not.
    pub(crate) fn outcome(&self, pair: &TokenPair) -> &'static str {
        match self.authority.verify(&pair.access) {
            Ok(_) => "good",
            Err(error) => error.label(),
        }
    }

    pub(crate) fn has_sessions(&self, user: &str) -> usize {
        self.finish(self.authority.sessions().list(user)).len()
    }
}
