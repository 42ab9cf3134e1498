//! Disturbed networks between replicas and a Redis server.

use std::time::Duration;

use epochkey::{RedisOptions, RedisStore};

#[path = "../faults/network/mod.rs"]
mod faults;

use self::faults::{Change, Kind, instantiate};
use crate::server::RedisServer;

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

instantiate!(faults, Redis);
