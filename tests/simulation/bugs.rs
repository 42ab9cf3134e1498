//! The simulation can fail: it finds each of these mistakes.
//!
//! The table says of each what it is about: a promise, or one of the 26 cases that broke simpler
//! designs (`tests/replicas/findings`, `tests/sessions/findings.rs`); and a seed that finds it.
//! Where that seed does not any more, because the simulation has changed, all others are tried. To
//! find the first seeds of all, or of some:
//!
//! ```sh
//! EPOCHKEY_FIND_BUGS=all cargo test --release --lib simulated_bugs -- --nocapture
//! ```

#![allow(clippy::panic)]

use std::{ops::Range, thread};

use parking_lot::Mutex;

use crate::{
    bug::{self, Bug},
    simulation::{
        runs::{Failure, simulate},
        shrink::shrink,
    },
};

/// In so many each is to be found.
const SEEDS: Range<u64> = 0..10_000;
const THREADS: usize = 2;

const BUGS: [(Bug, &str, u64); 54] = [
    (Bug::AbsentBelowFloor, "case 4", 10),
    (Bug::EpochAtItsPosition, "promise 4", 0),
    (Bug::PrunedEarly, "promise 3", 0),
    (Bug::ForgottenAtPrune, "case 5", 6),
    (Bug::SwapKeepsKeys, "promise 1", 5),
    (Bug::OlderSnapshot, "case 11", 22),
    (Bug::ForeignSnapshot, "case 11", 5275),
    (Bug::GapApplied, "case 2", 2026),
    (Bug::LossIgnored, "case 1", 0),
    (Bug::PlaceByPosition, "case 10", 149),
    (Bug::NewsFromItsAnswer, "case 14", 9),
    (Bug::ClockBackIsFresh, "promise 6", 5),
    (Bug::ClockNotCompared, "case 7", 3),
    (Bug::SealWithoutNonce, "a stolen key", 30),
    (Bug::RecheckWithoutRing, "promise 1", 5),
    (Bug::OwnBumpAhead, "case 2", 0),
    (Bug::StaleIssues, "case 6", 0),
    (Bug::StaleVerifies, "promise 6", 0),
    (Bug::StaleMaintains, "case 6", 78),
    (Bug::RetiredByPolicy, "case 8", 44),
    (Bug::RetiredWithoutMargin, "case 8", 1906),
    (Bug::RetiredSinceAnnounced, "case 8", 25),
    (Bug::LifetimeByPolicy, "case 8", 17),
    (Bug::CommitAnywhere, "case 12", 8),
    (Bug::RestartAtNext, "case 13", 25),
    (Bug::RestartAnyway, "case 15", 18),
    (Bug::RestartAgain, "case 11", 0),
    (Bug::WaitByPosition, "case 10", 2),
    (Bug::MarkBelowFloor, "case 19", 10),
    (Bug::IssuesFromBeforeCommit, "case 26", 112),
    (Bug::TimePoisoned, "case 17", 3),
    (Bug::KnownSealBelieved, "promise 1", 0),
    (Bug::KnownTokenBelieved, "promise 1", 0),
    (Bug::NewerIsRevoked, "case 9", 0),
    (Bug::NewerWithoutMargin, "case 9", 14),
    (Bug::UserBumpLeavesRows, "case 22", 10),
    (Bug::EndFromTable, "promise 2", 4),
    (Bug::GraceSlides, "the grace window", 9),
    (Bug::GraceByOwnClock, "case 23", 136),
    (Bug::SealedLate, "case 18", 3),
    (Bug::SealedAhead, "promise 3", 0),
    (Bug::VersionsCount, "case 21", 72),
    (Bug::ReplaysEndSessions, "case 25", 3406),
    (Bug::JudgedByLaterRead, "case 24", 350),
    (Bug::IdleGoesOn, "the idle lifetime", 86),
    (Bug::MoreAtOnce, "the number of sessions", 736),
    (Bug::LogInByOwnClock, "auth_time", 3),
    (Bug::RefreshProves, "auth_time", 0),
    (Bug::TokenProves, "auth_time", 0),
    (Bug::NothingGrantedGoesOn, "`refresh_with`", 5),
    (Bug::ReusedGoesOn, "a stolen refresh token", 9),
    (Bug::SilenceIsRefusal, "`applied_everywhere`", 3),
    (Bug::BehindOthersFails, "a bump behind others", 0),
    (Bug::MarkAfterAsking, "case 20", 204),
];

fn find(bug: Bug, known: u64) -> Option<Failure> {
    let known = match asked() {
        Some(_) => 0..0,
        None => known..known + 1,
    };
    let mut seeds = known.chain(SEEDS);
    bug::with(bug, || seeds.find_map(|seed| simulate(seed).err()))
}

/// The names of those whose first seeds are asked for.
fn asked() -> Option<String> {
    std::env::var("EPOCHKEY_FIND_BUGS").ok()
}

fn is_meant(bug: Bug) -> bool {
    asked().is_none_or(|names| {
        names == "all" || names.split(',').any(|name| name == format!("{bug:?}"))
    })
}

#[test]
fn each_is_found() {
    let left = BUGS.iter().filter(|(bug, ..)| is_meant(*bug));
    let left = Mutex::new(left.enumerate());
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some((number, (bug, about, known))) = left.lock().next() else {
                        break;
                    };
                    let failure = find(*bug, *known);
                    if let Some(failure) = &failure {
                        let without = simulate(failure.seed);
                        assert!(without.is_ok(), "{} fails without {bug:?}", failure.seed);
                    }
                    let what = failure.as_ref().map_or_else(
                        || "not found".to_owned(),
                        |failure| format!("{} | {}", failure.seed, failure.wrong.rule),
                    );
                    let row = format!("{bug:?} | {about} | {what}");
                    eprintln!("{row}");
                    found.lock().push((number, row, failure.is_some()));
                }
            });
        }
    });
    let mut found = found.into_inner();
    found.sort();
    for (_, row, _) in &found {
        println!("| {row} |");
    }
    assert!(!found.is_empty(), "there is such a mistake");
    let missing: Vec<_> = found.iter().filter(|(_, _, is_found)| !is_found).collect();
    assert!(missing.is_empty(), "not found: {missing:?}");
}

/// A simulation that fails is told with no more steps than it takes.
#[test]
fn what_is_found_is_told_in_few_steps() {
    let failure = bug::with(Bug::SwapKeepsKeys, || {
        let failure = SEEDS.into_iter().find_map(|seed| simulate(seed).err());
        shrink(failure.unwrap())
    });
    let told = failure.to_string();
    assert!(failure.steps.len() <= 4, "{told}");
    assert!(told.contains(&format!("EPOCHKEY_SIMULATE={} cargo test", failure.seed)));
}
