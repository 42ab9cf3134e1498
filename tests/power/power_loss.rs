//! What was acknowledged survives the loss of power, and what was not is there as a whole or
//! not at all.

use crate::{
    check,
    random::Random,
    schedules::{self, Replay},
    workload::Recorded,
};

fn one_after_the_other(part: u64) {
    for (group, seeds) in schedules::groups(34, 50, part) {
        let replay = Replay(seeds.start);
        let recorded = Recorded::of(group);
        let first = recorded.checkpoints[0].done;
        drop(replay);
        for seed in seeds {
            let _replay = Replay(seed);
            let mut random = Random::new(seed);
            let moment = random.between(first as u64, recorded.disk.moment() as u64);
            check::lose_power(&recorded, moment as usize, &mut random);
        }
    }
}

#[test]
fn changes_one_after_the_other() {
    one_after_the_other(0);
}

#[test]
fn more_changes_one_after_the_other() {
    one_after_the_other(1);
}
