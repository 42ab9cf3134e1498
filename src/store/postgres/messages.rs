//! The server's messages, looked at before the library makes more of them than their bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::Budget;

/// What a message costs besides its bytes, however small it is.
const OVERHEAD: usize = 128;
/// A byte that says what it is, and four with its length, themselves included.
const HEADER: usize = 5;
/// What the answer to `COMMIT` says if that was done. Of a transaction that had failed it says
/// `ROLLBACK`, and nothing of an error.
const COMMITTED: &[u8] = b"COMMIT\0";

/// A stream of messages.
pub(super) struct Watched<S> {
    stream: S,
    messages: Messages,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, budget: Budget) -> Self {
        let messages = Messages {
            begun: Vec::new(),
            left: 0,
            budget,
        };
        Self { stream, messages }
    }
}

/// How far the message has come that is coming.
struct Messages {
    /// Its header, and as much behind it as can be of interest.
    begun: Vec<u8>,
    /// How many bytes are to come behind the header.
    left: usize,
    budget: Budget,
}

impl Messages {
    fn see(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.begun.len() < HEADER {
                self.begun.push(first);
                bytes = rest;
                if self.begun.len() == HEADER {
                    self.begin()?;
                }
            } else {
                let (seen, rest) = bytes.split_at(self.left.min(bytes.len()));
                let room = (HEADER + COMMITTED.len() + 1).saturating_sub(self.begun.len());
                self.begun.extend_from_slice(&seen[..room.min(seen.len())]);
                self.left -= seen.len();
                bytes = rest;
            }
            if self.begun.len() >= HEADER && self.left == 0 {
                self.end();
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        length.copy_from_slice(&self.begun[1..HEADER]);
        let left = (u32::from_be_bytes(length) as usize).checked_sub(4);
        self.left = left.ok_or_else(|| io::Error::other("a message shorter than its header"))?;
        self.budget.take(OVERHEAD)?;
        match self.begun[0] {
            b'S' => self.budget.take_setting(OVERHEAD.saturating_add(self.left)),
            b'Z' => self.budget.take_answer(),
            _ => Ok(()),
        }
    }

    fn end(&mut self) {
        if self.begun[0] == b'C' && &self.begun[HEADER..] == COMMITTED {
            self.budget.committed();
        }
        self.begun.clear();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.messages.see(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(feature = "postgres-tls")]
pub(super) use self::encrypted::Watching;

#[cfg(feature = "postgres-tls")]
mod encrypted {
    use std::{future::Future, pin::Pin};

    use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

    use super::{Budget, Watched};

    /// Encrypts, and gives a stream of what was decrypted.
    pub(in crate::store::postgres) struct Watching<T> {
        pub(in crate::store::postgres) tls: T,
        pub(in crate::store::postgres) budget: Budget,
    }

    impl<S, T> TlsConnect<S> for Watching<T>
    where
        T: TlsConnect<S>,
        T::Future: Send + 'static,
    {
        type Stream = Watched<T::Stream>;
        type Error = T::Error;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

        fn connect(self, stream: S) -> Self::Future {
            let (connecting, budget) = (self.tls.connect(stream), self.budget);
            Box::pin(async { Ok(Watched::new(connecting.await?, budget)) })
        }
    }

    impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
        fn channel_binding(&self) -> ChannelBinding {
            self.stream.channel_binding()
        }
    }
}
