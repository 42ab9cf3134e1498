//! Every answer altered, whatever is asked.

use std::{
    collections::HashSet,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use epochkey::{
    Authority, Grant, Op, Scope, Token, TokenPair,
    testing::{self, ManualClock, expose_secrets},
};

use super::{
    super::{
        input::Input,
        known::{self, NOW},
    },
    hostile::{Hostile, Lie},
};

/// Nothing panics, and a ring key that an authority has seen go never comes back to it.
pub(super) fn check(input: &mut Input<'_>) {
    let clock = ManualClock::at_unix_seconds(NOW);
    let store = Hostile::new(clock.clone());
    let mut run = Run::on(store.clone(), clock);
    let length = usize::from(input.byte() % 24);
    let steps = input.bytes(length);
    store.lie(Lie::Any(input.rest().to_vec()));
    for step in steps {
        run.step(*step);
        run.check();
    }
    store.lie(Lie::None);
    let _ = testing::follow(&run.authority);
    run.check();
}

struct Run {
    store: Hostile,
    clock: ManualClock,
    authority: Authority,
    pair: TokenPair,
    tokens: Vec<Token>,
    /// The ids of the ring keys there are, and of those that are gone.
    seen: HashSet<String>,
    gone: HashSet<String>,
}

impl Run {
    fn on(store: Hostile, clock: ManualClock) -> Self {
        let builder = known::builder(&clock).master_secret(known::master_secret());
        let authority = builder.open(store.clone()).unwrap();
        let finish = |op| testing::finish(&authority, op).unwrap();
        let token = |user| authority.issue(Grant::user(user)).unwrap();
        let tokens = vec![token("u-0"), token("u-1")];
        finish(authority.bump(Scope::user("u-1")));
        finish(authority.bump(Scope::user("u-2")));
        let start = authority.sessions().start(Grant::user("u-0"), "a device");
        let pair = testing::finish(&authority, start).unwrap();
        Self {
            store,
            clock,
            authority,
            pair,
            tokens,
            seen: HashSet::new(),
            gone: HashSet::new(),
        }
    }

    fn step(&mut self, step: u8) {
        let authority = self.authority.clone();
        let sessions = authority.sessions();
        let id = self.pair.session.id().clone();
        match step % 16 {
            0..3 => drop(testing::follow(&authority)),
            3 => drop(testing::maintain(&authority)),
            4 => drop(self.wait(authority.bump(Scope::user("u-0")))),
            5 => drop(self.wait(authority.rotate_key())),
            6 => drop(self.wait(authority.swap_key())),
            7 => drop(self.wait(sessions.start(Grant::user("u-0"), "another"))),
            8 => drop(self.wait(sessions.refresh(&self.pair.refresh))),
            9 => drop(self.wait(sessions.list("u-0"))),
            10 => drop(self.wait(sessions.end(&id))),
            11 => drop(self.wait(authority.rewrap_secrets())),
            12 => drop(self.wait(authority.catch_up())),
            13 => self.clock.advance(Duration::from_secs(7)),
            14 => {
                let builder = known::builder_of(step, &self.clock);
                let builder = builder.master_secret(known::master_secret());
                drop(builder.open(self.store.clone()));
            }
            _ => self.tokens.extend(authority.issue(Grant::user("u-2"))),
        }
    }

    /// Follows the store a few times. Of a store that lies, an operation may wait for ever.
    fn wait<T, E>(&self, mut op: Op<T, E>) -> Option<T> {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            if let Poll::Ready(result) = Pin::new(&mut op).poll(&mut context) {
                return result.ok();
            }
            let _ = testing::follow(&self.authority);
        }
        None
    }

    fn check(&mut self) {
        let keys = expose_secrets(&self.authority).ring_keys.into_iter();
        let ring: HashSet<_> = keys.map(|key| key.kid).collect();
        self.gone.extend(self.seen.difference(&ring).cloned());
        assert!(ring.is_disjoint(&self.gone), "a key came back");
        self.seen = ring;
        for token in &self.tokens {
            // Good or not: who writes a store can undo what it says.
            let _ = self.authority.verify(token);
        }
    }
}
