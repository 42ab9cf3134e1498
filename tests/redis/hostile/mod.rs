//! A server, or somebody between, that answers what was not asked for.

mod answers;
mod endless;
mod handshake;
mod promises;

use std::{thread, time::Duration};

use epochkey::{RedisOptions, RedisStore};

use crate::{
    deceived::persist,
    network::Hostile,
    server::{self, RedisServer, Server},
};

/// So short that answers which never come whole are soon given up.
fn impatient() -> RedisOptions {
    RedisOptions::new().response_timeout(Duration::from_millis(60))
}

fn start() -> Option<(RedisServer, Hostile)> {
    let server = server::redis()?;
    let hostile = Hostile::before(server.address()).unwrap();
    Some((server, hostile))
}

fn url(hostile: &Hostile) -> String {
    format!("redis://{}", hostile.address())
}

fn connect(hostile: &Hostile) -> RedisStore {
    persist(|| RedisStore::connect(&url(hostile), impatient()))
}
