//! A socket with a deadline for whatever is read and written.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

#[cfg(unix)]
use std::os::unix::net::UnixStream;

/// No time-out is longer: not every clock can count for ever.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// All reads and writes up to the next deadline have the time up to this one together,
/// however little each of them gets.
pub(super) struct Socket {
    end: End,
    /// `None` if nothing is waited for.
    deadline: Option<Instant>,
}

enum End {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Does the same with whatever kind of socket it is.
macro_rules! with {
    ($end:expr, $socket:ident => $does:expr) => {
        match $end {
            End::Tcp($socket) => $does,
            #[cfg(unix)]
            End::Unix($socket) => $does,
        }
    };
}

impl Socket {
    pub(super) fn tcp(stream: TcpStream, deadline: Instant) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            end: End::Tcp(stream),
            deadline: Some(deadline),
        })
    }

    #[cfg(unix)]
    pub(super) fn unix(stream: UnixStream, deadline: Instant) -> Self {
        Self {
            end: End::Unix(stream),
            deadline: Some(deadline),
        }
    }

    pub(super) fn wait_until(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Runs `read` with a socket that has `WouldBlock` for what is not there yet.
    pub(super) fn set_waiting(&mut self, waits: bool) -> io::Result<()> {
        self.deadline = waits.then(Instant::now);
        with!(&self.end, socket => socket.set_nonblocking(!waits))
    }

    /// How long the next read or write may wait; `None` if not at all.
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }

    /// Tries until it works or the deadline is over.
    fn persist(
        &mut self,
        mut attempt: impl FnMut(&mut End, Option<Duration>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.left()?;
            match attempt(&mut self.end, left) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The time-out of the socket, which may be a moment short of the deadline.
                Err(error) if left.is_some() && is_timeout(&error) => {}
                done => return done,
            }
        }
    }
}

pub(super) fn deadline_in(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(LONGEST)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.persist(|end, left| {
            with!(end, socket => {
                socket.set_read_timeout(left)?;
                socket.read(buffer)
            })
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.persist(|end, left| {
            with!(end, socket => {
                socket.set_write_timeout(left)?;
                socket.write(bytes)
            })
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn pair(timeout: Duration) -> (Socket, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::tcp(near, deadline_in(timeout)).unwrap();
        (socket, listener.accept().unwrap().0)
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let (mut socket, _far) = pair(Duration::from_millis(20));
        let more_than_any_buffer = vec![0; 64 << 20];
        let error = socket.write_all(&more_than_any_buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn what_is_there_is_read_without_waiting() {
        let (mut socket, mut far) = pair(Duration::MAX);
        far.write_all(b"ab").unwrap();
        socket.read_exact(&mut [0]).unwrap();
        socket.set_waiting(false).unwrap();
        socket.read_exact(&mut [0]).unwrap();
        let error = socket.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        socket.set_waiting(true).unwrap();
        let error = socket.read(&mut [0]).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::TimedOut,
            "until there is a deadline"
        );
    }
}
