//! The store on Redis, with private servers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use epochkey::{RedisOptions, RedisStore};

mod contract;
mod disturbed;
mod entering;
#[path = "../faults/mod.rs"]
mod faults;
mod hostile;
#[path = "../servers/network/mod.rs"]
mod network;
#[path = "../simulation/random.rs"]
mod random;
mod running;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
mod settings;
mod tls;

use crate::{faults::Kind, server::RedisServer};

struct Redis;

impl Kind for Redis {
    type Server = RedisServer;
    type Store = RedisStore;

    fn connect(url: &str, timeout: Duration) -> RedisStore {
        let options = RedisOptions::new()
            .connect_timeout(timeout)
            .response_timeout(timeout);
        RedisStore::connect(url, options).unwrap()
    }
}

faults::instantiate!(Redis);
