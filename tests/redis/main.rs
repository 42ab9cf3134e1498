//! The store on Redis, with private servers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use epochkey::{RedisOptions, RedisStore};

mod contract;
#[path = "../faults/mod.rs"]
mod faults;
mod running;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
mod settings;

use crate::{
    faults::{Kind, fleet::until_some},
    server::RedisServer,
};

struct Redis;

impl Kind for Redis {
    type Server = RedisServer;
    type Store = RedisStore;

    fn connect(url: &str, timeout: Duration) -> RedisStore {
        let options = RedisOptions::new()
            .connect_timeout(timeout)
            .response_timeout(timeout);
        until_some("a connection", || {
            match RedisStore::connect(url, options.clone()) {
                Ok(store) => Some(store),
                Err(error) if error.label() == "unreachable" => None,
                Err(error) => panic!("{error}"),
            }
        })
    }
}

faults::instantiate!(Redis);
