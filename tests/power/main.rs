//! The store in one file when the power is lost, the disk is full, or fails.
//!
//! The disk is in memory and remembers what was done to it, so that it can be cut short at
//! any moment. What is cut where follows from a seed. To run other schedules than the usual
//! ones, one, a range, or more of them:
//!
//! ```sh
//! EPOCHKEY_POWER=17 cargo test --test power one_after_the_other
//! EPOCHKEY_POWER=1000..9000 cargo test --release --test power power_loss
//! EPOCHKEY_POWER_TIMES=100 cargo test --release --test power
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod check;
mod crash;
mod disk;
mod failures;
mod opening;
mod others;
mod power_loss;
#[path = "../simulation/random.rs"]
mod random;
mod recorder;
mod schedules;
mod together;
mod workload;
