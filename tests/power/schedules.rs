//! Which schedules are run.

use std::ops::Range;

const PARTS: u64 = 2;

/// The workloads of a part of a test, by their seeds, each with the seeds of its schedules.
pub(crate) fn groups(
    groups: u64,
    schedules: u64,
    part: u64,
) -> impl Iterator<Item = (u64, Range<u64>)> {
    let (groups, asked) = (asked_times() * groups, asked());
    (0..)
        .map(move |group| (group, group * schedules..(group + 1) * schedules))
        .skip(part as usize)
        .step_by(PARTS as usize)
        .take_while(move |(group, seeds)| match &asked {
            Some(asked) => seeds.start < asked.end,
            None => *group < groups,
        })
        .map(|(group, seeds)| {
            let asked = self::asked().unwrap_or(seeds.clone());
            let seeds = seeds.start.max(asked.start)..seeds.end.min(asked.end);
            (group, seeds)
        })
        .filter(|(_, seeds)| !seeds.is_empty())
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn asked() -> Option<Range<u64>> {
    let asked = std::env::var("EPOCHKEY_POWER").ok()?;
    Some(match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&asked)..number(&asked) + 1,
    })
}

fn asked_times() -> u64 {
    std::env::var("EPOCHKEY_POWER_TIMES").map_or(1, |times| number(&times))
}

/// While this lives, a panic says how to have it again.
pub(crate) struct Replay(pub(crate) u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            eprintln!(
                "to have it again: EPOCHKEY_POWER={} cargo test --test power {test}",
                self.0
            );
        }
    }
}
