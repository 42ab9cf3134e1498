//! A connection that is made when it is needed, and made anew when it broke.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use redis::{Cmd, RedisError, Value, cmd};

use super::{
    connection::Connection,
    endpoint::Endpoint,
    failure::Failure,
    options::RedisOptions,
    request::Request,
    scripts::{Keys, Script},
    settings,
};
use crate::error::RedisConnectCause as Cause;

/// The pauses between attempts to connect: from the first to the longest, each up to twice as
/// long by chance, so that replicas which lost a server together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Of a SHA-1 in hexadecimal.
const HASH_SIZE: usize = 40;

/// A connection that was idle for so long may be dead without a sign.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

/// A server, and how to connect to it.
pub(super) struct Server {
    endpoint: Endpoint,
    options: RedisOptions,
    pub(super) keys: Keys,
    /// How many connections of this store broke: the others may be dead too.
    broken: AtomicU64,
}

impl Server {
    pub(super) fn new(endpoint: Endpoint, options: RedisOptions) -> Self {
        Self {
            keys: Keys::new(&options.prefix),
            endpoint,
            options,
            broken: AtomicU64::new(0),
        }
    }

    /// Host and port, or a path.
    pub(super) fn address(&self) -> String {
        self.endpoint.address()
    }

    fn connect(&self) -> Result<Connected, Cause> {
        let broken = self.broken.load(Ordering::SeqCst);
        let options = &self.options;
        let mut connection = Connection::open(&self.endpoint, options)?;
        settings::check(&mut connection, options, &self.keys)?;
        Ok(Connected {
            hashes: load_scripts(&mut connection)?,
            connection,
            broken,
            used: Instant::now(),
        })
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

struct Connected {
    connection: Connection,
    /// The server's names for the scripts, by their numbers.
    hashes: Vec<Vec<u8>>,
    /// How many connections had broken before this one was made.
    broken: u64,
    used: Instant,
}

/// A connection for one request after the other, by one thread at a time.
pub(super) struct Link {
    server: Arc<Server>,
    connected: Option<Connected>,
    pauses: ExponentialBackoff,
    not_before: Option<Instant>,
}

impl Link {
    /// Connects when it is needed.
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            connected: None,
            pauses: pauses(),
            not_before: None,
        }
    }

    /// Connects now.
    pub(super) fn connected(server: Arc<Server>) -> Result<Self, Cause> {
        let connected = server.connect()?;
        Ok(Self {
            connected: Some(connected),
            ..Self::new(server)
        })
    }

    /// Asks one thing.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        let mut answers = self.ask_all(std::slice::from_ref(request));
        answers.pop().unwrap_or(Err(Failure::Unreadable))
    }

    /// Asks several things at once. Each is a step of its own, done in this order; one that is
    /// not done does not keep the others from being done.
    pub(super) fn ask_all(&mut self, requests: &[Request]) -> Vec<Result<Value, Failure>> {
        let mut answers = self.send(requests);
        let is_unknown =
            |answer: &Result<_, Failure>| answer.as_ref().is_err_and(Failure::is_unknown_script);
        if answers.iter().any(is_unknown) {
            // The server has forgotten its scripts. It learns them when it is connected to, and
            // the connection was not kept.
            for (request, answer) in requests.iter().zip(&mut answers) {
                if is_unknown(answer) {
                    let again = self.send(std::slice::from_ref(request)).pop();
                    *answer = again.unwrap_or(Err(Failure::Unreadable));
                }
            }
        }
        answers
    }

    fn send(&mut self, requests: &[Request]) -> Vec<Result<Value, Failure>> {
        let server = Arc::clone(&self.server);
        self.with(requests.len(), |connected| {
            let mut bytes = Vec::new();
            for request in requests {
                let hash = &connected.hashes[request.script.number()];
                let command = request.command(hash, &server.keys);
                command.write_packed_command(&mut bytes);
            }
            connected.exchange(&bytes, requests.len(), Duration::ZERO)
        })
    }

    /// Asks for what no script does. The server may take `patience` longer than otherwise.
    pub(super) fn command(&mut self, command: &Cmd, patience: Duration) -> Result<Value, Failure> {
        let bytes = command.get_packed_command();
        let mut answers = self.with(1, |connected| connected.exchange(&bytes, 1, patience));
        answers.pop().unwrap_or(Err(Failure::Unreadable))
    }

    /// Lets go of the connection: what it answers makes no sense.
    pub(super) fn give_up(&mut self) {
        self.connected = None;
    }

    /// Uses the connection for `count` questions, and keeps it if it may be used again.
    fn with(
        &mut self,
        count: usize,
        exchange: impl FnOnce(&mut Connected) -> Vec<Result<Value, Failure>>,
    ) -> Vec<Result<Value, Failure>> {
        let mut connected = match self.take() {
            Ok(connected) => connected,
            Err(cause) => return vec![Err(Failure::NotConnected(cause)); count],
        };
        let answers = exchange(&mut connected);
        let failures = || answers.iter().filter_map(|answer| answer.as_ref().err());
        if failures().any(|failure| matches!(failure, Failure::Broken(_))) {
            self.server.broken.fetch_add(1, Ordering::SeqCst);
        }
        if !failures().any(Failure::wants_other_connection) {
            connected.used = Instant::now();
            self.connected = Some(connected);
        }
        answers
    }

    /// The connection that there is, or a new one. Waits if the last attempt failed just now.
    fn take(&mut self) -> Result<Connected, Cause> {
        if let Some(mut connected) = self.connected.take() {
            let broken = self.server.broken.load(Ordering::SeqCst);
            let is_idle = connected.used.elapsed() > LONGEST_IDLE;
            let is_fit = connected.broken == broken && connected.connection.is_quiet();
            if is_fit && (!is_idle || connected.connection.ask(&cmd("PING")).is_ok()) {
                return Ok(connected);
            }
        }
        if let Some(not_before) = self.not_before {
            thread::sleep(not_before.saturating_duration_since(Instant::now()));
        }
        match self.server.connect() {
            Ok(connected) => {
                self.pauses = pauses();
                self.not_before = None;
                Ok(connected)
            }
            Err(cause) => {
                let pause = self.pauses.next().unwrap_or(LONGEST_PAUSE);
                self.not_before = Some(Instant::now() + pause);
                Err(cause)
            }
        }
    }
}

impl Connected {
    fn exchange(
        &mut self,
        commands: &[u8],
        count: usize,
        patience: Duration,
    ) -> Vec<Result<Value, Failure>> {
        let answers = self.connection.exchange(commands, count, patience);
        answers.into_iter().map(answered).collect()
    }
}

fn answered(answer: Result<Value, RedisError>) -> Result<Value, Failure> {
    match answer? {
        Value::ServerError(error) => Err(Failure::Refused(error)),
        value => Ok(value),
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
