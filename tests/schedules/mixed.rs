//! Any changes under any looks.

use std::sync::Arc;

use shuttle::rand::{Rng, thread_rng};

use crate::{
    explore::explore,
    world::{USERS, World, join, spawn},
};

const CHANGES: usize = 3;
const LOOKS: usize = 8;

#[test]
fn no_schedule_of_random_operations_breaks_a_promise() {
    explore(|| {
        let world = World::new();
        // Few of them, or none would be known to a thread.
        let held = Arc::new([world.issue(0), world.issue(1)]);
        let each = [(); 2].map(|()| (Arc::clone(&world), Arc::clone(&held)));
        let readers = spawn(each, |(world, held)| {
            let (mut own, mut verified) = (Vec::new(), Vec::new());
            for _ in 0..LOOKS {
                let choice = thread_rng().gen_range(0..10);
                let index = choice % 2;
                match choice {
                    0 => own.extend(world.try_issue(index, &[])),
                    1..=5 => {
                        let found = world.verify(&held[index]);
                        verified.extend(found.map(|found| (index, found)));
                    }
                    _ => {
                        if let Some((index, verified)) = verified.last() {
                            world.recheck(&held[*index], verified);
                        }
                    }
                }
            }
            own.iter().for_each(|held| world.look_often(held));
        });
        for _ in 0..CHANGES {
            match thread_rng().gen_range(0..10) {
                0 => world.swap(),
                1 => world.start_over(),
                2 => world.bump_group(),
                _ => world.bump(thread_rng().gen_range(0..USERS)),
            }
        }
        join(readers);
    });
}
