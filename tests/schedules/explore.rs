//! Which schedules are run.

use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler},
};

/// Of each kind.
const SCHEDULES: usize = 2000;
/// As many changes of turn as the worst of the known mistakes needs, and one more.
const DEPTH: usize = 4;
const SEED: u64 = 17;

/// Runs `body` under random schedules, and under such that seldom change the turn.
///
/// All that is random in it follows from the schedule, so that one that failed can be had again.
pub(crate) fn explore(body: fn()) {
    let _replay = Replay;
    if let Ok(schedule) = std::env::var("EPOCHKEY_SCHEDULE") {
        return run(ReplayScheduler::new_from_encoded(&schedule), body);
    }
    let asked = std::env::var("EPOCHKEY_SCHEDULES");
    let schedules = asked.map_or(SCHEDULES, |asked| asked.parse().expect("a number"));
    run(RandomScheduler::new_from_seed(SEED, schedules), body);
    run(PctScheduler::new_from_seed(SEED, DEPTH, schedules), body);
}

fn run(scheduler: impl Scheduler + 'static, body: fn()) {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    // It is said at the top of `schedules.rs`.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(body);
}

/// A panic says how to have it again.
struct Replay;

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            eprintln!(
                "to have it again: EPOCHKEY_SCHEDULE=<the failing schedule, without quotes> \
                 cargo test --manifest-path tests/schedules/Cargo.toml --test schedules {}",
                thread.name().unwrap_or_default()
            );
        }
    }
}
