//! TLS to the server.

use std::{error::Error, io, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned,
    client::WantsClientCert,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

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
        let config = config(options).map_err(certificate)?;
        let name = ServerName::try_from(host.to_owned());
        Ok(Self {
            config: Arc::new(config),
            name: name.map_err(|error| certificate(other(error)))?,
        })
    }

    /// Blocks until the server has shown that it is the one expected, or up to the socket's
    /// deadline.
    pub(super) fn handshake(&self, mut socket: Socket) -> io::Result<TlsStream> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = connection.map_err(other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }
}

fn config(options: &RedisOptions) -> io::Result<ClientConfig> {
    // Without one for the process: which that is is not for a library to say.
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(other)?
        .with_root_certificates(roots(options)?);
    with_client_certificate(config, options)
}

fn roots(options: &RedisOptions) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match &options.root_certificate {
        Some(pem) => {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(other)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(match found.errors.into_iter().next() {
                    Some(error) => other(error),
                    None => io::Error::other("the system trusts no certificate authority"),
                });
            }
        }
    }
    Ok(roots)
}

fn with_client_certificate(
    config: ConfigBuilder<ClientConfig, WantsClientCert>,
    options: &RedisOptions,
) -> io::Result<ClientConfig> {
    match &options.client_certificate {
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(other)?;
            let config = config.with_client_auth_cert(certificates(chain)?, key);
            config.map_err(other)
        }
        None => Ok(config.with_no_client_auth()),
    }
}

fn certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates.map_err(other)? {
        certificates if certificates.is_empty() => {
            Err(io::Error::other("no certificate in the PEM text"))
        }
        certificates => Ok(certificates),
    }
}

fn other(error: impl Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}
