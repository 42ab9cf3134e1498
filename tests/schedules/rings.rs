//! Swaps, rotations and retirements, while others verify, recheck and issue.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use epochkey::{
    Clock, MemoryStore,
    testing::{self, ManualClock},
};
use shuttle::thread::{self, ThreadId};

use crate::{
    explore::explore,
    world::{Cause, START, World, builder, join, spawn},
};

/// The swap prunes the bump. Whoever still has the old ring must not take its absence for
/// "not bumped".
#[test]
fn a_swap_that_prunes_revives_nothing() {
    explore(|| {
        let world = World::new();
        let held = Arc::new(world.issue(0));
        let each = [(); 2].map(|()| (Arc::clone(&world), Arc::clone(&held)));
        let readers = spawn(each, |(world, held)| world.look_often(&held));
        world.bump(0);
        world.swap();
        assert_eq!(world.authority.stats().epochs, 0);
        join(readers);
    });
}

/// Nobody is kept from logging in, and no token of the new key is refused.
#[test]
fn tokens_are_issued_while_swaps_go_on() {
    explore(|| {
        let world = World::new();
        let each = [(); 2].map(|()| Arc::clone(&world));
        let issuers = spawn(each, |world| {
            for _ in 0..2 {
                world.look_often(&world.issue(0));
            }
        });
        world.swap();
        world.bump(0);
        world.swap();
        join(issuers);
        assert!(world.verify(&world.issue(0)).is_some());
    });
}

/// As the one writer sees it, a day passes; for all others the clock stands still, so that their
/// tokens have not expired when the key goes.
struct TwoClocks {
    writer: ThreadId,
    of_writer: ManualClock,
    of_others: ManualClock,
}

impl Clock for TwoClocks {
    fn now(&self) -> SystemTime {
        match thread::current().id() == self.writer {
            true => self.of_writer.now(),
            false => self.of_others.now(),
        }
    }
}

fn first_key(world: &World) -> String {
    let keys = testing::expose_secrets(&world.authority).ring_keys;
    keys[0].kid.clone()
}

#[test]
fn the_tokens_of_a_retired_key_are_dead_and_no_others() {
    explore(|| {
        let writer = thread::current().id();
        let [of_writer, of_others] = [(); 2].map(|()| ManualClock::at_unix_seconds(START));
        let clocks = TwoClocks {
            writer,
            of_writer: of_writer.clone(),
            of_others: of_others.clone(),
        };
        let world = World::of(builder().clock(clocks).open(MemoryStore::new()).unwrap());
        let first = first_key(&world);
        let of_first = world.try_issue(0, &[Cause::Retirement]).unwrap();
        testing::finish(&world.authority, world.authority.rotate_key()).unwrap();
        for clock in [&of_writer, &of_others] {
            clock.advance(Duration::from_secs(60));
        }
        // Behind the floor to be, and so not pruned.
        world.bump(1);
        let held = Arc::new([of_first, world.issue(0), world.issue(1)]);
        world.bump(1);
        let each =
            [[0, 1, 2], [2, 1, 0]].map(|order| (Arc::clone(&world), Arc::clone(&held), order));
        let readers = spawn(each, |(world, held, order)| {
            for index in order {
                world.look_often(&held[index]);
            }
        });
        of_writer.advance(Duration::from_secs(24 * 3600));
        world.end(Cause::Retirement, || {
            testing::maintain(&world.authority).unwrap();
            testing::follow(&world.authority).unwrap();
        });
        assert_ne!(first_key(&world), first, "it is gone");
        join(readers);
    });
}
