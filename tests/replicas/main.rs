//! Replicas of a shared store: what must hold whatever the store, the network and the
//! clocks do. The store decides what arrives when; nothing here waits for time to pass.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[macro_use]
mod delegate;

mod attacks;
mod everywhere;
mod findings;
mod freshness;
mod life;
mod loss;
mod master_secret;
mod ring;
mod support;
mod year;
