//! What is fuzzed, as ordinary functions: each takes any bytes, and panics if the crate breaks
//! a promise.
//!
//! `fuzz_targets/` calls them with what libFuzzer thinks of, and the crate's own tests with
//! what is kept in `corpus/`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a check fails"
)]

mod input;
pub mod issue_roundtrip;
mod known;
mod reference;
pub mod refresh;
pub mod store_file;
pub mod table;
pub mod verify;
pub mod verify_signed;
pub mod wire;
