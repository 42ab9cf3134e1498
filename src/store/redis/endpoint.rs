//! Where the server is, as the URL says it.

use std::{io, net::TcpStream, time::Duration};

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};

#[cfg(feature = "redis-tls")]
use super::tls::{Tls, TlsStream};
use super::{
    options::RedisOptions,
    socket::{Socket, deadline_in},
};
use crate::{error::RedisConnectCause as Cause, store::addresses::addresses};

/// A server's address, and who is to enter.
pub(super) struct Endpoint {
    info: ConnectionInfo,
    #[cfg(feature = "redis-tls")]
    tls: Option<Tls>,
}

/// The bytes to and from a server.
pub(super) enum Stream {
    Plain(Socket),
    #[cfg(feature = "redis-tls")]
    Tls(Box<TlsStream>),
}

impl Endpoint {
    pub(super) fn new(url: &str, options: &RedisOptions) -> Result<Self, Cause> {
        let invalid = || RedisError::from((ErrorKind::InvalidClientConfig, "no such URL"));
        let mut url = redis::parse_redis_url(url).ok_or_else(|| Cause::InvalidUrl(invalid()))?;
        let is_tls = matches!(url.scheme(), "rediss" | "valkeys");
        if is_tls {
            // The crate reads these only with a feature that would bring its own TLS.
            url.set_scheme("redis")
                .map_err(|()| Cause::InvalidUrl(invalid()))?;
        }
        if url.fragment().is_some() {
            return Err(Cause::InsecureUrl);
        }
        let info = url.into_connection_info().map_err(Cause::InvalidUrl)?;
        Self::at(info, is_tls, options)
    }

    #[cfg(feature = "redis-tls")]
    fn at(info: ConnectionInfo, is_tls: bool, options: &RedisOptions) -> Result<Self, Cause> {
        let tls = match info.addr() {
            ConnectionAddr::Tcp(host, _) if is_tls => Some(Tls::new(host, options)?),
            _ => None,
        };
        Ok(Self { info, tls })
    }

    #[cfg(not(feature = "redis-tls"))]
    fn at(info: ConnectionInfo, is_tls: bool, _: &RedisOptions) -> Result<Self, Cause> {
        match is_tls {
            true => Err(Cause::NeedsTls),
            false => Ok(Self { info }),
        }
    }

    /// Host and port, or a path.
    pub(super) fn address(&self) -> String {
        self.info.addr().to_string()
    }

    /// The user's name and password.
    pub(super) fn credentials(&self) -> Option<(Option<&str>, &str)> {
        let settings = self.info.redis_settings();
        Some((settings.username(), settings.password()?))
    }

    pub(super) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Connects to the first address that is reached, each within the time-out, the
    /// handshake of TLS included. Blocks for as long, and as long again for looking up the host's
    /// name.
    pub(super) fn reach(&self, timeout: Duration) -> io::Result<Stream> {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let mut last = io::Error::other("the host has no address");
                for address in addresses(host, *port, timeout)? {
                    let deadline = deadline_in(timeout);
                    let reached = TcpStream::connect_timeout(&address, timeout)
                        .and_then(|stream| self.enter(Socket::tcp(stream, deadline)?));
                    match reached {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            // There is no time-out for these. It is needed only when the server has taken
            // no connection for so long that hundreds wait.
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                let stream = std::os::unix::net::UnixStream::connect(path)?;
                Ok(Stream::Plain(Socket::unix(stream, deadline_in(timeout))))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn enter(&self, socket: Socket) -> io::Result<Stream> {
        #[cfg(feature = "redis-tls")]
        if let Some(tls) = &self.tls {
            return Ok(Stream::Tls(Box::new(tls.handshake(socket)?)));
        }
        Ok(Stream::Plain(socket))
    }
}
