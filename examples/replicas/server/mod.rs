//! Private servers for tests, benches and examples: each runs on a port of 127.0.0.1 that was
//! free, in a temporary directory, and ends when it is dropped.
//!
//! What is not installed is skipped:
//!
//! ```ignore
//! let Some(mut server) = server::redis() else { return };
//! let store = RedisStore::connect(&server.url(), RedisOptions::new())?;
//! server.kill()?;
//! server.restart()?;
//! ```
//!
//! With `EPOCHKEY_REQUIRE_SERVERS=1` nothing is skipped: what is missing is a panic.

// Everybody who includes this uses a part of it.
#![allow(dead_code, unused_imports)]

mod postgres;
mod process;
mod redis;

use std::{
    env,
    io::{self, Write},
    net::SocketAddr,
};

pub(crate) use self::{
    postgres::{Dump, PostgresServer, SmallDisk},
    redis::RedisServer,
};

/// Where a store keeps its data, and what can happen to it.
///
/// Unless said otherwise, a change is in force when the method returns. Errors carry the end of
/// the server's log.
pub(crate) trait Server: Sized {
    const PROGRAM: &'static str;

    fn is_installed() -> bool {
        on_path(Self::PROGRAM)
    }

    /// Starts an empty server, with settings of its own that win over those of the fixture, and
    /// waits until it answers. They stay over restarts, and its replicas have them too.
    fn with(settings: &[(&str, &str)]) -> io::Result<Self>;

    fn address(&self) -> SocketAddr;

    /// The URL for clients that reach the server by way of another address, as through a proxy.
    fn url_at(&self, address: SocketAddr) -> String;

    fn pid(&self) -> u32;

    /// Kills all its processes with SIGKILL, also when they are frozen. Nothing happens if it
    /// does not run.
    fn kill(&mut self) -> io::Result<()>;

    /// Asks it to end, with the signal for an orderly end that does not wait for clients, and
    /// waits until it has ended. A frozen server does not end.
    fn terminate(&mut self) -> io::Result<()>;

    /// Kills it if it runs. Starts it again with the same port, data and role, and waits
    /// until the data is loaded.
    fn restart(&mut self) -> io::Result<()>;

    /// As [`restart`](Self::restart), with all data gone.
    fn restart_empty(&mut self) -> io::Result<()>;

    /// Deletes all data of the running server.
    fn wipe(&mut self) -> io::Result<()>;

    /// Stops all its processes with SIGSTOP: connections stay open, and get no answer.
    fn freeze(&self) -> io::Result<()>;

    /// Ends a [`freeze`](Self::freeze). What clients sent in between is carried out.
    fn thaw(&self) -> io::Result<()>;

    /// Starts a server that follows this one, and waits until it has all data.
    fn replica(&self) -> io::Result<Self>;

    /// Waits until this replica has everything, then separates it from its primary: what is
    /// written from now on it never gets, unless it is made to [`rejoin`](Self::rejoin).
    ///
    /// After this, killing the primary and promoting the replica loses exactly the writes
    /// made in between.
    fn cut_off(&mut self) -> io::Result<()>;

    /// Makes a replica that was cut off, or that follows what is now a replica itself, follow
    /// `primary`, and waits until it has its data and nothing else.
    fn rejoin(&mut self, primary: &Self) -> io::Result<()>;

    /// Makes this replica a primary, also over restarts.
    fn promote(&mut self) -> io::Result<()>;

    fn url(&self) -> String {
        self.url_at(self.address())
    }

    fn port(&self) -> u16 {
        self.address().port()
    }
}

/// A server with the fixture's settings; `None` if it is not installed.
///
/// # Panics
///
/// When it does not start. With `EPOCHKEY_REQUIRE_SERVERS=1` also when it is not installed.
pub(crate) fn redis() -> Option<RedisServer> {
    start(&[])
}

/// As [`redis`].
pub(crate) fn postgres() -> Option<PostgresServer> {
    start(&[])
}

/// As [`redis`], of any kind and with settings of its own.
#[allow(clippy::panic)] // A test that is passed over in silence proves nothing.
pub(crate) fn start<S: Server>(settings: &[(&str, &str)]) -> Option<S> {
    installed::<S>()?;
    match S::with(settings) {
        Ok(server) => Some(server),
        Err(error) => panic!("{} does not start: {error}", S::PROGRAM),
    }
}

/// Says so if it is not installed.
///
/// # Panics
///
/// With `EPOCHKEY_REQUIRE_SERVERS=1` when it is not.
pub(crate) fn installed<S: Server>() -> Option<()> {
    if S::is_installed() {
        return Some(());
    }
    let required = env::var_os("EPOCHKEY_REQUIRE_SERVERS").is_some_and(|value| value == "1");
    assert!(!required, "{} not found", S::PROGRAM);
    // Not by `println!`, which is shown only of tests that fail.
    let _ = writeln!(io::stderr(), "SKIPPED: {} not found", S::PROGRAM);
    None
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
