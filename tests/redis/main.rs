//! The store on Redis, with private servers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use epochkey::{RedisOptions, RedisStore};

#[path = "../servers/certificates.rs"]
mod certificates;
mod contract;
#[path = "../deceived/mod.rs"]
mod deceived;
mod entering;
#[path = "../faults/mod.rs"]
mod faults;
mod hostile;
#[path = "../servers/network/mod.rs"]
mod network;
mod pages;
#[path = "../simulation/random.rs"]
mod random;
mod reading;
mod running;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
mod settings;
mod tls;

use crate::{
    faults::{Change, Kind},
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
        RedisStore::connect(url, options).unwrap()
    }

    /// The name of a change is an argument of the script.
    fn marker(change: Change) -> &'static str {
        match change {
            Change::BumpOfUser => "\r\nend_of_user\r\n",
            Change::Start => "\r\nstart\r\n",
            Change::Refresh => "\r\nreplace\r\n",
            Change::End => "\r\nend\r\n",
        }
    }
}

faults::instantiate!(Redis);

mod disturbed {
    crate::faults::network::instantiate!(super::Redis);
}
