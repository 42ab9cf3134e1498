//! From a simulation that failed to a shorter one that fails in the same way.

use super::runs::{Failure, run};

/// More take too long.
const MOST_RUNS: usize = 1500;

/// Leaves out steps, many at once and then fewer, as long as the same promise is broken
/// without them.
pub(crate) fn shrink(mut failure: Failure) -> Failure {
    let mut at_once = failure.steps.len();
    let mut runs = 0;
    while at_once > 0 {
        let mut from = 0;
        while from < failure.steps.len() && runs < MOST_RUNS {
            let mut steps = failure.steps.clone();
            let to = steps.len().min(from + at_once);
            steps.drain(from..to);
            runs += 1;
            match run(failure.seed, steps) {
                Err(shorter) if shorter.wrong.rule == failure.wrong.rule => failure = shorter,
                _ => from = to,
            }
        }
        at_once /= 2;
    }
    failure
}
