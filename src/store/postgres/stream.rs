//! The bytes to and from a server, within bounds.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::Budget;

/// Either kind of socket.
pub(super) enum Socket {
    Tcp(tokio::net::TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

/// A socket that gives no more than the budget.
pub(super) struct Stream {
    pub(super) socket: Socket,
    pub(super) budget: Budget,
}

/// Does the same with whatever kind of socket it is.
macro_rules! with {
    ($stream:expr, $socket:ident => $does:expr) => {
        match &mut $stream.get_mut().socket {
            Socket::Tcp(socket) => {
                let $socket = Pin::new(socket);
                $does
            }
            #[cfg(unix)]
            Socket::Unix(socket) => {
                let $socket = Pin::new(socket);
                $does
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let budget = self.budget.clone();
        let before = buffer.filled().len();
        ready!(with!(self, socket => socket.poll_read(context, buffer)))?;
        Poll::Ready(budget.take(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        with!(self, socket => socket.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, socket => socket.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, socket => socket.poll_shutdown(context))
    }
}
