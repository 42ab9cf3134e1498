//! A year in a moment: daily rotation, random bumps, issues and verifies.

use std::collections::{HashMap, VecDeque};

use epochkey::{
    Authority, Grant, MemoryStore, Policy, Scope, Token, testing, testing::ManualClock,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};

use crate::support::*;

const DAY: u64 = 86_400;
const USERS: u32 = 200;
const LIFETIME: u64 = 4 * 3600;
/// What is due may be done so much later.
const LONGEST_PAUSE: u64 = 2 * 3600;

/// A token, and whether its user was bumped since it was issued.
struct Issued {
    token: Token,
    user: u32,
    expires_at: u64,
    revoked: bool,
}

struct Year {
    clock: ManualClock,
    authority: Authority,
    now: u64,
    random: TestRng,
    tokens: VecDeque<Issued>,
    /// When each user was bumped last.
    bumped_at: HashMap<u32, u64>,
    most_epochs: usize,
}

impl Year {
    fn begin() -> Self {
        let clock = ManualClock::at_unix_seconds(START);
        let policy = Policy::default()
            .token_lifetime(secs(LIFETIME))
            .rotate_every(secs(DAY));
        let builder = Authority::builder("i", "a")
            .policy(policy)
            .clock(clock.clone());
        let authority = testing::by_hand(builder).open(MemoryStore::new()).unwrap();
        Self {
            clock,
            authority,
            now: START,
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
            tokens: VecDeque::new(),
            bumped_at: HashMap::new(),
            most_epochs: 0,
        }
    }

    fn step(&mut self) {
        let pause = 60 + u64::from(self.random.next_u32()) % (LONGEST_PAUSE - 60);
        self.clock.advance(secs(pause));
        self.now += pause;
        testing::maintain(&self.authority).unwrap();
        testing::follow(&self.authority).unwrap();

        let user = self.random.next_u32() % USERS;
        match self.random.next_u32() % 3 {
            0 => self.bump(user),
            _ => self.issue(user),
        }
        self.check();
    }

    fn bump(&mut self, user: u32) {
        let bump = self.authority.bump(Scope::user(user.to_string()));
        testing::finish(&self.authority, bump).unwrap();
        self.bumped_at.insert(user, self.now);
        for issued in &mut self.tokens {
            issued.revoked |= issued.user == user;
        }
    }

    fn issue(&mut self, user: u32) {
        let token = self.authority.issue(Grant::user(user.to_string())).unwrap();
        assert_eq!(
            token.expires_in(),
            secs(LIFETIME),
            "no rotation cuts it short"
        );
        self.tokens.push_back(Issued {
            token,
            user,
            expires_at: self.now + LIFETIME,
            revoked: false,
        });
    }

    fn check(&mut self) {
        while self
            .tokens
            .front()
            .is_some_and(|issued| issued.expires_at <= self.now)
        {
            self.tokens.pop_front();
        }
        for issued in &self.tokens {
            let outcome = self.authority.verify(&issued.token);
            let outcome = outcome.map_or_else(|error| error.label(), |_| "good");
            let expected = if issued.revoked { "revoked" } else { "good" };
            assert_eq!(outcome, expected, "user {} at {}", issued.user, self.now);
        }
        // The promised bound: the users bumped since the oldest live key came in, which was
        // at most a rotation, its announcement, and a token's life before.
        let stats = self.authority.stats();
        let retires = LIFETIME + 4 + 10 + 4;
        let oldest = self.now - (DAY + LONGEST_PAUSE + 14 + retires + LONGEST_PAUSE);
        let recent = self.bumped_at.values().filter(|at| **at >= oldest).count();
        assert!(
            stats.epochs <= recent,
            "{} epochs, {recent} bumped lately",
            stats.epochs
        );
        assert!(stats.ring_keys <= 3, "{} keys", stats.ring_keys);
        self.most_epochs = self.most_epochs.max(stats.epochs);
    }
}

#[test]
fn a_year() {
    let mut year = Year::begin();
    while year.now < START + 365 * DAY {
        year.step();
    }
    let stats = year.authority.stats();
    assert!(year.most_epochs > 10, "the bound was put to the test");
    assert!(stats.position > 3000, "{} events", stats.position);
    assert!(stats.floor > stats.position / 2, "and pruned to the end");
}
