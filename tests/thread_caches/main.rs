//! What a thread remembers of tokens makes `verify` faster, and changes nothing else.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod next_call;
mod same;
mod threads;

use std::time::Duration;

use epochkey::{
    Authority, AuthorityBuilder, MasterSecret, MemoryStore, Policy, Token, Verified, VerifyError,
    testing::{self, FaultyStore, ManualClock},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Several authorities on one store.
struct Fleet {
    clock: ManualClock,
    server: FaultyStore,
    secret: MasterSecret,
}

impl Fleet {
    fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(1_700_000_000);
        Self {
            server: FaultyStore::new(clock.clone()),
            secret: MasterSecret::generate().unwrap(),
            clock,
        }
    }

    fn builder(&self) -> AuthorityBuilder {
        Authority::builder("https://issuer.test", "api")
            .clock(self.clock.clone())
            .master_secret(self.secret.clone())
    }

    fn open(&self, policy: Policy) -> Authority {
        let builder = self.builder().policy(policy.token_lifetime(2 * HOUR));
        testing::by_hand(builder)
            .open(self.server.connect())
            .unwrap()
    }

    /// An authority with caches whose store nobody else uses.
    fn alone(&self) -> Authority {
        let policy = Policy::default().thread_caches(true);
        let builder = self.builder().policy(policy.token_lifetime(2 * HOUR));
        testing::by_hand(builder).open(MemoryStore::new()).unwrap()
    }

    /// An authority with caches, whatever the default is.
    fn remembering(&self) -> Authority {
        self.open(Policy::default().thread_caches(true))
    }
}

/// Verifies a token so often that the thread knows it: it is kept the second time.
#[track_caller]
fn get_known(authority: &Authority, token: &Token) -> Verified {
    for _ in 0..2 {
        authority.verify(token).unwrap();
    }
    let count = allocation_counter::measure(|| drop(authority.verify(token).unwrap()));
    assert_eq!(count.count_total, 0, "the thread does not know it");
    authority.verify(token).unwrap()
}

fn label(outcome: Result<Verified, VerifyError>) -> &'static str {
    outcome.map_or_else(|error| error.label(), |_| "good")
}
