//! TLS to the server.

use std::{io, sync::Arc};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::{options::RedisOptions, socket::Socket};
use crate::error::RedisConnectCause as Cause;

pub(super) type TlsStream = StreamOwned<ClientConnection, Socket>;

/// Whom to trust, and whom to expect.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(host: &str, options: &RedisOptions) -> Result<Self, Cause> {
        let certificate = |error| Cause::InvalidCertificate(Arc::new(error));
        let config = options.certificates.config().map_err(certificate)?;
        let name = ServerName::try_from(host.to_owned());
        Ok(Self {
            config: Arc::new(config),
            name: name.map_err(|error| certificate(io::Error::other(error)))?,
        })
    }

    /// Blocks until the server has shown that it is the one expected, or up to the socket's
    /// deadline.
    pub(super) fn handshake(&self, mut socket: Socket) -> io::Result<TlsStream> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = connection.map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }
}
