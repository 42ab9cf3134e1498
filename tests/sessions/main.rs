//! Sessions and refresh tokens.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[macro_use]
#[path = "../replicas/delegate.rs"]
mod delegate;

mod findings;
mod honest;
mod life;
mod loss;
mod meanwhile;
mod model;
mod races;
#[path = "../simulation/random.rs"]
mod random;
mod refusing;
mod replicas;
mod secrets;
mod stolen;
mod support;
mod thieves;
mod watched;
