//! What following a server costs a verify.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use epochkey::{Authority, Grant, MemoryStore, Policy, Token};

use crate::{Place, Result, builder};

/// Of both sides together half as many as a thread remembers.
const USERS: usize = 512;
/// Short rounds in turn, so that whatever else the machine does hits both alike.
const ROUNDS: usize = 400;
const CYCLES: usize = 4;

struct Side {
    authority: Authority,
    tokens: Vec<Token>,
    rounds: Vec<Duration>,
}

impl Side {
    fn new(authority: Authority) -> Result<Self> {
        let tokens = (0..USERS).map(|user| authority.issue(Grant::user(format!("user-{user}"))));
        Ok(Self {
            tokens: tokens.collect::<std::result::Result<_, _>>()?,
            authority,
            rounds: Vec::new(),
        })
    }

    fn round(&mut self) {
        let started = Instant::now();
        for _ in 0..CYCLES {
            for token in &self.tokens {
                black_box(self.authority.verify(token)).expect("a good token");
            }
        }
        self.rounds
            .push(started.elapsed() / (CYCLES * USERS) as u32);
    }

    fn median(&mut self) -> Duration {
        self.rounds.sort();
        self.rounds[self.rounds.len() / 2]
    }
}

pub(crate) fn run(place: &dyn Place) -> Result<()> {
    compare(place, "never seen before", false)?;
    compare(place, "that the thread knows", true)
}

fn compare(place: &dyn Place, tokens: &str, thread_caches: bool) -> Result<()> {
    let policy = Policy::default().thread_caches(thread_caches);
    let builder = || builder().map(|builder| builder.policy(policy.clone()));
    let mut memory = Side::new(builder()?.open(MemoryStore::new())?)?;
    let mut shared = Side::new(builder()?.open(place.store("verify")?)?)?;
    for _ in 0..ROUNDS {
        memory.round();
        shared.round();
    }
    let (memory, shared) = (memory.median(), shared.median());
    println!(
        "verify of tokens {tokens}: {} ns with the store in memory, {} ns as a replica: ratio {:.3}",
        memory.as_nanos(),
        shared.as_nanos(),
        shared.as_secs_f64() / memory.as_secs_f64()
    );
    Ok(())
}
