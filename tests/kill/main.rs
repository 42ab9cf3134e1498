//! `kill -9` at any instant: what was acknowledged is there afterwards, what was revoked
//! stays so, and nothing else is harmed.
//!
//! Real processes work on a file and are killed; this one looks at what they leave. A seed
//! decides what is done, not the instant of a kill, so a failure may need some runs to come
//! again. To run other seeds than the usual ones, one or a range:
//!
//! ```sh
//! EPOCHKEY_KILL=17 cargo test --test kill
//! EPOCHKEY_KILL=100..200 cargo test --test kill
//! ```
//!
//! What the operating system has taken survives the death of a process, so this does not
//! show that anything reached the disk.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod check;
mod check_clients;
mod check_rows;
mod clients;
mod in_use;
mod ledger;
mod ledger_of_rows;
mod line;
mod process;
#[path = "../simulation/random.rs"]
mod random;
mod series;
mod work;
mod work_of_clients;
mod work_on_rows;

use std::ops::Range;

use self::{
    line::Plan,
    series::{Series, Tally},
};

/// What was found wrong, if anything.
type Checked = Result<(), String>;

const SEEDS: Range<u64> = 0..3;
/// How often each file is looked at; there is at least one kill before.
const CHECKS: usize = 18;

/// The test that is the process to be killed, if it was started as one.
const WORK: &str = "work_that_is_not_killed_is_acknowledged";

fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("EPOCHKEY_KILL") else {
        return SEEDS;
    };
    let number = |text: &str| text.parse().expect("a seed is a number");
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&asked)..number(&asked) + 1,
    }
}

/// Series of kills by this plan, and what they hit.
fn endure(plan: Plan) -> Tally {
    let mut sum = Tally::default();
    for seed in seeds() {
        let mut series = Series::new(plan, seed);
        for _ in 0..CHECKS {
            if let Err(wrong) = series.kill_and_check() {
                let kills = series.tally.kills;
                let report = series.into_report();
                panic!(
                    "{report}\n{plan:?} after {kills} kills: {wrong}\n\
                     again, perhaps: EPOCHKEY_KILL={seed} cargo test --test kill"
                );
            }
        }
        sum.kills += series.tally.kills;
        sum.in_opening += series.tally.in_opening;
        sum.in_operation += series.tally.in_operation;
    }
    println!("{plan:?}: {sum:?}");
    sum
}

#[test]
fn work_that_is_not_killed_is_acknowledged() {
    if let Some(assignment) = process::assignment() {
        return work::run(&assignment);
    }
    let mut series = Series::new(Plan::Rings, 0);
    let worked = series.work_and_check();
    let open = worked.unwrap_or_else(|wrong| panic!("{}\n{wrong}", series.into_report()));
    assert_eq!(open, 0);
}

#[test]
fn bumps_survive_kills() {
    let tally = endure(Plan::Bumps);
    assert!(tally.in_operation * 3 > tally.kills, "{tally:?}");
}

#[test]
fn key_rings_and_histories_survive_kills() {
    let tally = endure(Plan::Rings);
    assert!(tally.in_operation * 3 > tally.kills, "{tally:?}");
}

#[test]
fn session_rows_survive_kills() {
    let tally = endure(Plan::Rows);
    assert!(tally.in_operation * 3 > tally.kills, "{tally:?}");
}

/// Between any two steps of a refresh: the client can always go on with the token it holds.
#[test]
fn clients_go_on_after_kills() {
    let tally = endure(Plan::Sessions);
    assert!(tally.in_operation * 3 > tally.kills, "{tally:?}");
}

#[test]
fn a_file_survives_kills_while_it_is_opened() {
    let tally = endure(Plan::Openings);
    assert!(tally.in_opening * 4 > tally.kills, "{tally:?}");
}
