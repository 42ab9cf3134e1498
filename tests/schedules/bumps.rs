//! Bumps, while others verify, recheck and issue.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use epochkey::{Grant, IssueError};
use shuttle::thread;

use crate::{
    explore::explore,
    world::{World, join, name, spawn},
};

#[test]
fn a_bump_that_has_returned_is_seen_by_all() {
    explore(|| {
        let world = World::new();
        let held = Arc::new(world.issue(0));
        let each = [(); 2].map(|()| (Arc::clone(&world), Arc::clone(&held)));
        let readers = spawn(each, |(world, held)| world.look_often(&held));
        // Kills nothing, but ends the era.
        world.bump(1);
        world.bump(0);
        assert!(world.verify(&held).is_none());
        join(readers);
    });
}

/// One thread rechecks what another does, and copies of it.
#[test]
fn a_bump_that_has_returned_is_seen_in_what_threads_share() {
    explore(|| {
        let world = World::new();
        let held = Arc::new(world.issue(0));
        let verified = Arc::new(world.verify(&held).unwrap());
        let each = [true, false].map(|copies| {
            (
                Arc::clone(&world),
                Arc::clone(&held),
                Arc::clone(&verified),
                copies,
            )
        });
        let readers = spawn(each, |(world, held, verified, copies)| {
            for _ in 0..2 {
                world.recheck(&held, &verified);
                if copies {
                    world.recheck(&held, &(*verified).clone());
                }
            }
        });
        world.bump(1);
        world.bump(0);
        assert!(!world.recheck(&held, &verified));
        join(readers);
        assert!(!world.recheck(&held, &verified));
    });
}

/// One that was issued while a bump ran is before it or after it; the next one kills it.
#[test]
fn no_token_is_alive_and_cannot_be_revoked() {
    explore(|| {
        let world = World::new();
        let each = [(); 2].map(|()| Arc::clone(&world));
        let issuers = each.map(|world| {
            thread::spawn(move || {
                let held = [(); 3].map(|()| world.issue(0));
                held.iter().for_each(|held| world.look_often(held));
                held
            })
        });
        world.bump(0);
        let own = world.issue(0);
        assert!(world.verify(&own).is_some());
        world.bump(0);
        let held = join(issuers);
        for held in held.iter().flatten().chain([&own]) {
            world.verify(held);
        }
        world.bump(0);
        for held in held.iter().flatten().chain([&own]) {
            assert!(world.verify(held).is_none());
        }
    });
}

/// A token is issued as of a mark, for a fact that was read after it. The fact changes, then the
/// bump is made: when that has returned, nothing is alive that rests on the old one.
#[test]
fn old_facts_do_not_outlive_a_bump() {
    explore(|| {
        let world = World::new();
        let is_new = Arc::new(AtomicBool::new(false));
        let each = [(); 2].map(|()| (Arc::clone(&world), Arc::clone(&is_new)));
        let issuers = each.map(|(world, is_new)| {
            thread::spawn(move || {
                let issue = || {
                    let mark = world.authority.mark();
                    let is_new = is_new.load(Ordering::SeqCst);
                    match world.authority.issue(Grant::user(name(0)).as_of(mark)) {
                        Ok(token) => (!is_new).then_some(token),
                        Err(IssueError::BumpedSinceMark { .. }) => None,
                        Err(error) => panic!("{error}"),
                    }
                };
                [issue(), issue()]
            })
        });
        is_new.store(true, Ordering::SeqCst);
        world.bump(0);
        for token in join(issuers).iter().flatten().flatten() {
            assert!(world.authority.verify(token).is_err(), "on old facts");
        }
    });
}
