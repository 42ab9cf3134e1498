//! A fleet of replicas on a store that fails, at random, and a plain model of what they
//! promise.
//!
//! Everything follows from a seed: the replicas, their keys, what is done to them and to
//! the store. There are no threads, and the clocks stand still until they are told. To
//! run other seeds than the usual ones, one or a range:
//!
//! ```sh
//! EPOCHKEY_SIMULATE=17 cargo test --test simulation
//! EPOCHKEY_SIMULATE=1000..9000 cargo test --release --test simulation
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod changes;
mod faults;
mod finale;
mod found;
mod interlude;
mod judge;
mod ledger;
mod operation;
mod plan;
mod random;
mod replica;
mod steps;
mod token;
mod witness;
mod world;

use std::{ops::Range, time::Duration};

use self::world::World;

/// When the clocks start, in seconds since 1970.
const START: u64 = 1_700_000_000;
const SKEW: Duration = Duration::from_secs(2);
const STALENESS: Duration = Duration::from_secs(10);
/// In seconds: the policy's default for this skew.
const LEEWAY: u64 = 4;

/// What was found wrong, if anything.
type Checked = Result<(), String>;

const SEEDS: Range<u64> = 0..250;

fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("EPOCHKEY_SIMULATE") else {
        return SEEDS;
    };
    let number = |text: &str| text.parse().expect("a seed is a number");
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&asked)..number(&asked) + 1,
    }
}

/// What is wrong with one simulation, and how it came to that.
fn simulate(seed: u64) -> Result<(), (String, Vec<String>)> {
    let mut world = World::new(seed);
    let mut run = || {
        for _ in 0..world.plan.steps {
            world.step()?;
        }
        world.end()
    };
    run().map_err(|wrong| (wrong, world.trail))
}

#[test]
fn the_promises_hold_whatever_happens() {
    let mut failed = Vec::new();
    for seed in seeds() {
        if let Err((wrong, trail)) = simulate(seed) {
            eprintln!("seed {seed} after {} steps: {wrong}", trail.len());
            failed.push((seed, wrong, trail));
        }
    }
    failed.sort_by_key(|(_, _, trail)| trail.len());
    if let Some((seed, wrong, trail)) = failed.first() {
        panic!(
            "{} seeds failed; seed {seed}:\n{}\n{wrong}",
            failed.len(),
            trail.join("\n")
        );
    }
}
