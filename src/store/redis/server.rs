//! A server, and what a connection to it begins with.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use redis::{Cmd, RedisError, Value, cmd};

use super::{
    connection::Connection,
    endpoint::Endpoint,
    failure::Failure,
    options::RedisOptions,
    request::Request,
    scripts::{Keys, Script},
    settings::{self, Settled},
};
use crate::error::RedisConnectCause as Cause;

/// Of a SHA-1 in hexadecimal.
const HASH_SIZE: usize = 40;

/// What was idle for so long may be dead without a sign, or lead to a server that is another
/// by now.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

/// A server, and how to connect to it.
pub(super) struct Server {
    endpoint: Endpoint,
    options: RedisOptions,
    pub(super) keys: Keys,
    settled: Settled,
    /// How many connections of this store are not used any more: the others may be no better.
    given_up: AtomicU64,
}

impl Server {
    pub(super) fn new(endpoint: Endpoint, options: RedisOptions) -> Self {
        Self {
            keys: Keys::new(&options.prefix),
            endpoint,
            options,
            settled: Settled::default(),
            given_up: AtomicU64::new(0),
        }
    }

    /// Host and port, or a path.
    pub(super) fn address(&self) -> String {
        self.endpoint.address()
    }

    pub(super) fn connect(&self) -> Result<Connected, Cause> {
        let given_up = self.given_up.load(Ordering::SeqCst);
        let mut connection = Connection::open(&self.endpoint, &self.options)?;
        settings::check(&mut connection, &self.options, &self.settled)?;
        settings::check_keys(&mut connection, &self.keys)?;
        Ok(Connected {
            hashes: load_scripts(&mut connection)?,
            connection,
            given_up,
            used: Instant::now(),
        })
    }

    /// A connection is not used any more, for a reason that may concern the others.
    pub(super) fn gave_up(&self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the connection still leads to a server that is what it must be.
    pub(super) fn is_fit(&self, connected: &mut Connected) -> bool {
        if connected.given_up != self.given_up.load(Ordering::SeqCst) {
            return false;
        }
        let connection = &mut connected.connection;
        let is_idle = connected.used.elapsed() > LONGEST_IDLE;
        connection.is_quiet()
            && (!is_idle || settings::check(connection, &self.options, &self.settled).is_ok())
    }
}

/// The server's names for the scripts, by their numbers.
fn load_scripts(connection: &mut Connection) -> Result<Vec<Vec<u8>>, Cause> {
    let mut hashes = Vec::with_capacity(Script::ALL.len());
    for script in Script::ALL {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(script.text());
        match connection.ask(&load)? {
            // An answer that came twice would make one script of another.
            Value::BulkString(hash) if hash.len() == HASH_SIZE && !hashes.contains(&hash) => {
                hashes.push(hash);
            }
            _ => {
                return Err(Cause::NotUnderstood {
                    asked: "SCRIPT LOAD",
                });
            }
        }
    }
    Ok(hashes)
}

/// A connection to a server that is what it must be, for one exchange after the other.
pub(super) struct Connected {
    connection: Connection,
    /// The server's names for the scripts, by their numbers.
    hashes: Vec<Vec<u8>>,
    /// How many connections had been given up before this one was made.
    given_up: u64,
    used: Instant,
}

impl Connected {
    /// Asks several things at once. Each is a step of its own, done in this order; one that is
    /// not done does not keep the others from being done.
    pub(super) fn ask_all(
        &mut self,
        keys: &Keys,
        requests: &[Request],
    ) -> Vec<Result<Value, Failure>> {
        let mut bytes = Vec::new();
        for request in requests {
            let hash = &self.hashes[request.script.number()];
            request.command(hash, keys).write_packed_command(&mut bytes);
        }
        self.exchange(&bytes, requests.len(), Duration::ZERO)
    }

    /// Asks one thing.
    pub(super) fn ask(&mut self, keys: &Keys, request: &Request) -> Result<Value, Failure> {
        let mut answers = self.ask_all(keys, std::slice::from_ref(request));
        answers.pop().unwrap_or(Err(Failure::Unreadable))
    }

    /// Asks for what no script does. The server may take `patience` longer than otherwise.
    pub(super) fn command(&mut self, command: &Cmd, patience: Duration) -> Result<Value, Failure> {
        let mut answers = self.exchange(&command.get_packed_command(), 1, patience);
        answers.pop().unwrap_or(Err(Failure::Unreadable))
    }

    fn exchange(
        &mut self,
        commands: &[u8],
        count: usize,
        patience: Duration,
    ) -> Vec<Result<Value, Failure>> {
        let answers = self.connection.exchange(commands, count, patience);
        self.used = Instant::now();
        answers.into_iter().map(answered).collect()
    }
}

fn answered(answer: Result<Value, RedisError>) -> Result<Value, Failure> {
    match answer? {
        Value::ServerError(error) => Err(Failure::Refused(error)),
        value => Ok(value),
    }
}
