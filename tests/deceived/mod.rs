//! What is asked of stores whose answers are lied about, and what holds all the same.
//!
//! Whoever includes it has `network`, `random` and `server` at the top.

// Everybody who includes this uses a part of it.
#![allow(dead_code, unused_imports)]

mod asker;
mod memory;
mod world;

use std::{thread, time::Duration};

pub(crate) use self::{
    asker::{Asker, QUESTIONS, current, now},
    memory::{Memory, is_alone},
    world::{Mark, Markers, World},
};

/// With [`PAUSE`] in between, more than ten seconds: a busy machine may be slower than the
/// impatient wait for, and who was refused a connection pauses too.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// Tries until it works.
#[track_caller]
pub(crate) fn persist<T, E: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    for _ in 1..TRIES {
        if let Ok(done) = attempt() {
            return done;
        }
        thread::sleep(PAUSE);
    }
    attempt().unwrap()
}

/// The promises as tests, in a module with a function `world`.
macro_rules! promises {
    () => {
        #[test]
        fn a_bump_that_returned_is_in_the_log_and_in_force() {
            if let Some(mut world) = world() {
                world.a_bump_that_returned_is_in_the_log_and_in_force();
            }
        }

        #[test]
        fn a_session_that_ended_is_not_refreshed() {
            if let Some(mut world) = world() {
                world.a_session_that_ended_is_not_refreshed();
            }
        }

        #[test]
        fn an_honest_client_outlasts_the_lies() {
            if let Some(mut world) = world() {
                world.an_honest_client_outlasts_the_lies();
            }
        }

        #[test]
        fn news_comes_though_the_waking_is_lied_about() {
            if let Some(mut world) = world() {
                world.news_comes_though_the_waking_is_lied_about();
            }
        }

        #[test]
        fn after_lies_by_chance_everything_recovers() {
            for seed in 0..4 {
                if let Some(mut world) = world() {
                    world.after_lies_by_chance_everything_recovers(seed);
                }
            }
        }
    };
}

pub(crate) use promises;
