//! What was acknowledged survives the loss of power, and what was not is there as a whole or
//! not at all.

use crate::{
    check,
    random::Random,
    schedules::{self, Replay},
    together::Together,
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
            check::lose_power_and_check(&recorded, moment as usize, &mut random);
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

/// Commits that wait at the same time share a transaction: it is torn as a whole.
fn several_at_once(part: u64) {
    for (group, seeds) in schedules::groups(8, 50, part) {
        let together = Together::of(group);
        for seed in seeds {
            let _replay = Replay(seed);
            together.lose_power(&mut Random::new(seed));
        }
    }
}

#[test]
fn changes_at_the_same_time() {
    several_at_once(0);
}

#[test]
fn more_changes_at_the_same_time() {
    several_at_once(1);
}
