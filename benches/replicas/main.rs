//! Many replicas on one server: how soon a bump is in force on all of them, what following a
//! server costs a verify, and how long a replica takes to start.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench replicas -- postgres`, or `redis`; the
//! number of epochs that a replica starts with can be given by `EPOCHKEY_EPOCHS`. Each part runs alone
//! with `propagation`, `verify` or `start` behind the name of the store.

mod postgres_server;
mod propagation;
mod redis_server;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
mod start;
mod verify;

use std::{env, error::Error, sync::Arc, time::Duration};

use epochkey::{Authority, AuthorityBuilder, MasterSecret, Store};

use self::server::{PostgresServer, RedisServer, Server};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PARTS: [&str; 3] = ["propagation", "verify", "start"];

fn main() -> Result<()> {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let parts: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let parts = if parts.is_empty() {
        PARTS.to_vec()
    } else {
        parts
    };
    match words.first().map(String::as_str) {
        Some("postgres") => run(&PostgresServer::with(&[])?, &parts),
        Some("redis") => run(&RedisServer::with(&[])?, &parts),
        _ => Err("which store? `-- postgres` or `-- redis`".into()),
    }
}

fn run(place: &dyn Place, parts: &[&str]) -> Result<()> {
    for part in parts {
        match *part {
            "propagation" => propagation::run(place)?,
            "verify" => verify::run(place)?,
            "start" => start::run(place)?,
            other => return Err(format!("no part `{other}`").into()),
        }
    }
    Ok(())
}

/// A server, and how to use it.
trait Place: Sync {
    /// A connection of its own to the store of that name.
    fn store(&self, name: &str) -> Result<Arc<dyn Store>>;

    /// Makes one small durable write by the server's own means, for comparison.
    fn writer(&self) -> Result<Box<dyn FnMut() -> Result<()> + Send>>;

    /// Makes the shortest exchange with the server.
    fn pinger(&self) -> Result<Box<dyn FnMut() -> Result<()> + Send>>;

    /// Has the server keep how long each of its steps takes, from now on, if it does one after
    /// the other.
    fn watch_steps(&self) -> Result<()> {
        Ok(())
    }

    /// The step that took longest since then, in which the server did nothing else.
    fn longest_step(&self) -> Result<Option<(String, Duration)>> {
        Ok(None)
    }
}

fn builder() -> Result<AuthorityBuilder> {
    const SECRET: &str = "6f0a2b7c9d1e8f3a5b4c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c";
    let builder = Authority::builder("https://issuer.example", "api");
    Ok(builder.master_secret(MasterSecret::from_text(SECRET)?))
}
