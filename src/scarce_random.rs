//! What becomes of operations when the system gives no more random bytes, at whichever moment.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    Authority, BuildError, Grant, MemoryStore, Op, RandomError, Scope, TokenPair,
    crypto::{Random, SystemRandom},
    testing,
};

/// The system's, so many times more.
#[derive(Clone)]
struct ScarceRandom(Arc<AtomicUsize>);

impl ScarceRandom {
    fn endless() -> Self {
        Self(Arc::new(usize::MAX.into()))
    }

    fn leave(&self, draws: usize) {
        self.0.store(draws, Ordering::SeqCst);
    }
}

impl Random for ScarceRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        let left = self.0.load(Ordering::SeqCst).checked_sub(1);
        self.leave(left.ok_or_else(RandomError::for_tests)?);
        SystemRandom.fill(bytes)
    }
}

/// An authority with sessions of one user.
struct World {
    random: ScarceRandom,
    authority: Authority,
    /// Of the session that is looked at: its first tokens, and those of two refreshes after it.
    pairs: [TokenPair; 3],
    other: TokenPair,
}

impl World {
    fn new() -> Self {
        let random = ScarceRandom::endless();
        let builder = Authority::builder("i", "a").random(random.clone());
        let authority = testing::by_hand(builder).open(MemoryStore::new()).unwrap();
        let start = || {
            let start = authority.sessions().start(Grant::user("u"), "a device");
            testing::finish(&authority, start).unwrap()
        };
        let refresh = |pair: &TokenPair| {
            let refresh = authority.sessions().refresh(&pair.refresh);
            testing::finish(&authority, refresh).unwrap()
        };
        let (first, other) = (start(), start());
        let second = refresh(&first);
        let pairs = [first, second.clone(), refresh(&second)];
        Self {
            random,
            authority,
            pairs,
            other,
        }
    }

    fn finish<T, E>(&self, op: Op<T, E>) -> Result<(), E> {
        testing::finish(&self.authority, op).map(drop)
    }

    fn refresh(&self, pair: &TokenPair) -> Outcome {
        let refresh = self.authority.sessions().refresh(&pair.refresh);
        self.finish(refresh).map_err(|error| error.label())
    }
}

type Outcome = Result<(), &'static str>;
type Operation = fn(&World) -> Outcome;

/// Each that draws, and what it comes to.
const OPERATIONS: [(&str, Operation, Outcome); 12] = [
    (
        "issue",
        |world| {
            let issued = world.authority.issue(Grant::user("u"));
            issued.map(drop).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "bump",
        |world| {
            let bump = world.authority.bump(Scope::user("another"));
            world.finish(bump).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "bump_many",
        |world| {
            let scopes = ["one", "another"].map(Scope::user);
            let bump = world.authority.bump_many(scopes);
            world.finish(bump).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "rotate_key",
        |world| {
            let rotate = world.authority.rotate_key();
            world.finish(rotate).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "swap_key",
        |world| {
            let swap = world.authority.swap_key();
            world.finish(swap).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "start_over",
        |world| {
            let start = world.authority.start_over();
            world.finish(start).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "start",
        |world| {
            let sessions = world.authority.sessions();
            let start = sessions.start(Grant::user("another"), "a device");
            world.finish(start).map_err(|error| error.label())
        },
        Ok(()),
    ),
    ("refresh", |world| world.refresh(&world.pairs[2]), Ok(())),
    (
        "refresh with the token before",
        |world| world.refresh(&world.pairs[1]),
        Ok(()),
    ),
    (
        "refresh with an old token",
        |world| world.refresh(&world.pairs[0]),
        Err("reused"),
    ),
    (
        "end_others",
        |world| {
            let sessions = world.authority.sessions();
            let end = sessions.end_others(world.other.session.id());
            world.finish(end).map_err(|error| error.label())
        },
        Ok(()),
    ),
    (
        "reauthenticated",
        |world| {
            let sessions = world.authority.sessions();
            let proved = sessions.reauthenticated(world.other.session.id());
            world.finish(proved).map_err(|error| error.label())
        },
        Ok(()),
    ),
];

#[test]
fn what_fails_for_want_of_random_bytes_has_revoked_nothing_and_can_be_done_again() {
    for (name, operation, comes_to) in OPERATIONS {
        let mut draws = 0;
        loop {
            let world = World::new();
            let before = world.authority.stats();
            world.random.leave(draws);
            let outcome = operation(&world);
            world.random.leave(usize::MAX);
            if outcome == comes_to {
                break;
            }
            assert_eq!(outcome, Err("random"), "{name} after {draws} draws");
            let after = world.authority.stats();
            assert_eq!(after.position, before.position, "{name}");
            for pair in world.pairs.iter().chain([&world.other]) {
                let verified = world.authority.verify(&pair.access);
                assert!(verified.is_ok(), "{name} after {draws} draws: {verified:?}");
            }
            assert_eq!(operation(&world), comes_to, "{name} after {draws} draws");
            draws += 1;
        }
        assert!(draws > 0, "{name} draws nothing");
    }
}

#[test]
fn an_authority_that_cannot_be_opened_for_want_of_random_bytes_leaves_an_empty_store() {
    let mut draws = 0;
    loop {
        let random = ScarceRandom::endless();
        let store = Arc::new(MemoryStore::new());
        let open = || {
            let builder = Authority::builder("i", "a").random(random.clone());
            testing::by_hand(builder).open(Arc::clone(&store))
        };
        random.leave(draws);
        match open() {
            Ok(_) => break,
            Err(BuildError::Random(_)) => draws += 1,
            Err(error) => panic!("after {draws} draws: {error}"),
        }
        random.leave(usize::MAX);
        assert_eq!(open().unwrap().stats().position, 1);
    }
    assert!(draws > 0);
}
