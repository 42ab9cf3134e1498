//! A server, or somebody between, that answers what was not asked for.

mod answers;
mod endless;
mod handshake;
mod promises;

use std::{thread, time::Duration};

use epochkey::{RedisOptions, RedisStore};

use crate::{
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

/// With [`PAUSE`] in between, more than ten seconds: a busy machine may be slower than the
/// impatient wait for, and who was refused a connection pauses too.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// Tries until it works.
#[track_caller]
fn persist<T, E: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    for _ in 1..TRIES {
        if let Ok(done) = attempt() {
            return done;
        }
        thread::sleep(PAUSE);
    }
    attempt().unwrap()
}

fn connect(hostile: &Hostile) -> RedisStore {
    persist(|| RedisStore::connect(&url(hostile), impatient()))
}
