//! A connection: commands go out and answers come in, within bounds of time and memory.
//!
//! Nothing that the other end does is waited for beyond a deadline, or kept beyond a limit:
//! neither a silent server nor one that never comes to an end holds up a thread or fills
//! the memory. After any error but one that the server answered the connection is of no use.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::Duration,
};

use redis::{Cmd, Parser, RedisError, Value, cmd};

use super::{
    endpoint::{Endpoint, Stream},
    options::RedisOptions,
    socket::{Socket, deadline_in},
};

/// What the answers to one exchange may cost together: each byte 1, each end of a line
/// [`LINE`] more, for about as much is needed for what stands on the line. 32 MiB are ten thousand
/// sessions of one user, or ten times the largest page of events. All that is in memory for
/// the sake of an answer stays below four times this.
const MOST: usize = 32 * 1024 * 1024;
const LINE: usize = 128;

/// Put behind the last answer, to see whether it is the next.
const MARK: &str = "nothing more";

/// A connection to a server, for one exchange after the other.
///
/// Answers are parsed on the stack of whoever asks. The deepest that the parser takes needs
/// between 1 and 1.5 MiB of it in a debug build: the default of 2 MiB is enough.
pub(super) struct Connection {
    stream: Stream,
    parser: Parser,
    timeout: Duration,
}

impl Connection {
    /// Connects, says who we are, and chooses the database.
    pub(super) fn open(endpoint: &Endpoint, options: &RedisOptions) -> Result<Self, RedisError> {
        let mut connection = Self {
            stream: endpoint.reach(options.connect_timeout)?,
            parser: Parser::new(),
            timeout: options.response_timeout,
        };
        if let Some((user, password)) = endpoint.credentials() {
            let mut auth = cmd("AUTH");
            auth.arg(user).arg(password);
            let answer = connection.ask(&auth);
            answer.map_err(|error| without(password, error))?;
        }
        if endpoint.database() != 0 {
            connection.ask(cmd("SELECT").arg(endpoint.database()))?;
        }
        Ok(connection)
    }

    /// Asks one thing; an error that the server answers is one here too.
    pub(super) fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let mut answers = self.exchange(&command.get_packed_command(), 1, Duration::ZERO);
        match answers.pop() {
            Some(Ok(Value::ServerError(error))) => Err(error.into()),
            Some(answer) => answer,
            None => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Sends commands, and reads as many answers, up to the first that does not come. The server
    /// has the response time-out to take the commands, and again for each answer, `patience`
    /// longer.
    pub(super) fn exchange(
        &mut self,
        commands: &[u8],
        count: usize,
        patience: Duration,
    ) -> Vec<Result<Value, RedisError>> {
        let mut answers = Vec::with_capacity(count);
        let mut budget = MOST;
        let mut failed = self.send(commands).err();
        while failed.is_none() && answers.len() < count {
            match self.receive(patience, &mut budget) {
                Ok(value) => answers.push(Ok(value)),
                Err(error) => failed = Some(error),
            }
        }
        if failed.is_none() && !self.is_in_step() {
            // Nobody can tell which of the answers were to what was asked.
            answers.clear();
            let error = io::Error::other("the server answers more than it was asked");
            failed = Some(error.into());
        }
        if let Some(error) = failed {
            answers.resize(count, Err(error));
        }
        answers
    }

    fn send(&mut self, commands: &[u8]) -> Result<(), RedisError> {
        self.wait(self.timeout);
        self.stream.write_all(commands)?;
        Ok(self.stream.flush()?)
    }

    /// Values of later versions of the protocol are read too, and nobody takes them for answers.
    fn receive(&mut self, patience: Duration, budget: &mut usize) -> Result<Value, RedisError> {
        self.wait(self.timeout.saturating_add(patience));
        self.parser.parse_value(Limited {
            stream: &mut self.stream,
            left: budget,
        })
    }

    /// Whether nothing came since the last answer: neither one that nobody has asked for,
    /// which would be taken for the next, nor the connection's end.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut read = || {
            self.stream.socket().set_waiting(false)?;
            let read = self.stream.read(&mut [0]);
            self.stream.socket().set_waiting(true)?;
            read
        };
        read().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether the parser has used up all that came.
    fn is_in_step(&mut self) -> bool {
        let mark = format!("+{MARK}\r\n");
        let next = self.parser.parse_value(mark.as_bytes());
        next.is_ok_and(|value| value == Value::SimpleString(MARK.to_owned()))
    }

    fn wait(&mut self, timeout: Duration) {
        self.stream.socket().wait_until(deadline_in(timeout));
    }
}

/// Reads until the budget is spent.
struct Limited<'a> {
    stream: &'a mut Stream,
    left: &'a mut usize,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count();
        let left = self.left.checked_sub(read + lines * LINE);
        *self.left = left.ok_or_else(|| io::Error::other("the answer is too large"))?;
        Ok(read)
    }
}

/// The error, unless it repeats the password, as where `AUTH` is an unknown command.
fn without(password: &str, error: RedisError) -> RedisError {
    match error.to_string().contains(password) {
        true => (
            redis::ErrorKind::AuthenticationFailed,
            "the server refuses the password",
        )
            .into(),
        false => error,
    }
}

impl Stream {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            #[cfg(feature = "redis-tls")]
            Self::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "redis-tls")]
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            #[cfg(feature = "redis-tls")]
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            #[cfg(feature = "redis-tls")]
            Self::Tls(stream) => stream.flush(),
        }
    }
}
