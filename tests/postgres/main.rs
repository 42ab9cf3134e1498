//! The store on PostgreSQL, with private servers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod contract;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
