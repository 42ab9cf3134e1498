//! What threads remember.

use std::sync::Arc;

use epochkey::{MemoryStore, VerifyError, testing};

use crate::{
    explore::explore,
    world::{USERS, World, builder, join, spawn},
};

/// Each thread knows the tokens of all users of two authorities, while bumps come.
#[test]
fn nobody_gets_the_claims_of_another_token() {
    explore(|| {
        let theirs = testing::known_secrets(builder(), [8; 32]);
        let theirs = World::of(theirs.open(MemoryStore::new()).unwrap());
        let worlds = [World::new(), theirs];
        let held = worlds.clone().map(|world| {
            let all = (0..USERS).map(|user| world.issue(user));
            Arc::new(all.collect::<Vec<_>>())
        });
        let each = [0, 1].map(|first| (worlds.clone(), held.clone(), first));
        let readers = spawn(each, |(worlds, held, first)| {
            for turn in 0..6 {
                let of = (first + turn) % 2;
                for held in held[of].iter() {
                    worlds[of].verify(held);
                }
            }
            let foreign = worlds[0].authority.verify(&held[1][0].token);
            assert_eq!(foreign.unwrap_err(), VerifyError::UnknownKey);
        });
        worlds[0].bump(1);
        worlds[1].bump(2);
        join(readers);
    });
}

/// The seal that a thread knows is that of the scopes' present epochs, whichever token it came
/// from.
#[test]
fn a_known_seal_is_not_used_longer_than_it_stands() {
    explore(|| {
        let world = World::new();
        let each = [(); 2].map(|()| Arc::clone(&world));
        let readers = spawn(each, |world| {
            for _ in 0..2 {
                let held = [(); 3].map(|()| world.issue(0));
                held.iter().for_each(|held| drop(world.verify(held)));
                world.verify(&held[0]);
            }
        });
        world.bump(1);
        world.bump(0);
        world.bump_group();
        join(readers);
    });
}
