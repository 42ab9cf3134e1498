//! The lock-free paths under thousands of schedules: ring, table, eras, and what threads remember.
//!
//! The crate is built with places in `src/sync.rs` at which another thread may go on, and nowhere
//! else. One thread changes, by hand, so no other waits for a lock. All is as if sequentially
//! consistent: what weaker orderings allow is not explored.
//!
//! ```sh
//! cargo test --manifest-path tests/schedules/Cargo.toml
//! EPOCHKEY_SCHEDULES=100000 cargo test --manifest-path tests/schedules/Cargo.toml    # of each kind
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod bumps;
mod caches;
mod explore;
mod histories;
mod mixed;
mod rings;
mod world;
