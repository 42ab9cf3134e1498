//! The simulation of a fleet, for seeds that follow each other; and what it has found.
//!
//! To run other seeds than the usual ones, one or a range:
//!
//! ```sh
//! EPOCHKEY_SIMULATE=17 cargo test --test simulation
//! EPOCHKEY_SIMULATE=0..10000 cargo test --release --test simulation
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod found;
#[path = "mod.rs"]
mod simulation;

use std::ops::Range;

use self::simulation::{
    runs::{Failure, simulate},
    shrink::shrink,
};

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

/// What is wrong with these seeds, and of the first that fails what happens in it, with no
/// more steps than it takes. `None` if none fails.
fn search(seeds: Range<u64>) -> Option<String> {
    // On one thread: what every store of an `ArcSwap` looks at is of all threads that load any, so
    // two of them are slower than one.
    let failed: Vec<Failure> = seeds.filter_map(|seed| simulate(seed).err()).collect();
    let lines = failed
        .iter()
        .map(|Failure { seed, wrong, .. }| format!("seed {seed}: {}: {}", wrong.rule, wrong.how));
    let all = lines.collect::<Vec<_>>().join("\n");
    let first = failed.into_iter().next()?;
    Some(format!("{all}\n\n{}", shrink(first)))
}

#[test]
fn the_promises_hold_whatever_happens() {
    if let Some(wrong) = search(seeds()) {
        panic!("{wrong}");
    }
}
