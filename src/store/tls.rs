//! Whom to trust over TLS, for stores on servers.

use std::{error::Error, io, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// What the application says about certificates, as PEM texts.
#[derive(Clone, Default)]
pub(in crate::store) struct Certificates {
    /// Those to trust, and no others; those of the system if there is none.
    pub(in crate::store) root: Option<Vec<u8>>,
    /// The chain and the private key to show to the server.
    pub(in crate::store) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    pub(in crate::store) fn config(&self) -> io::Result<ClientConfig> {
        // Without one for the process: which that is is not for a library to say.
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_root_certificates(self.roots()?);
        self.with_client(config)
    }

    fn roots(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.root {
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

    fn with_client(
        &self,
        config: ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> io::Result<ClientConfig> {
        match &self.client {
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(other)?;
                let config = config.with_client_auth_cert(certificates(chain)?, key);
                config.map_err(other)
            }
            None => Ok(config.with_no_client_auth()),
        }
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
