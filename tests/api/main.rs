//! Behaviour through the public API.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod debugging;
mod explaining;
mod hostile;
mod issuing;
mod master_secret;
mod observing;
mod policy;
mod promises;
mod races;
mod support;
mod tampering;
mod verified;
