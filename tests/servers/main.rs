//! The private servers, the proxy and the hostile server that other tests run against.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../../examples/replicas/server/mod.rs"]
mod server;

mod disturbed;
mod lied_to;
mod network;
mod private_postgres;
mod private_redis;
#[path = "../simulation/random.rs"]
mod random;
