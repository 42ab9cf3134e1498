//! How to connect, and what to put up with.

use std::{fmt, time::Duration};

use crate::error::PostgresConnectCause as Cause;
#[cfg(feature = "postgres-tls")]
use crate::store::tls::Certificates;

/// The most bytes of a name; the server cuts off what is longer.
const LONGEST_NAME: usize = 63;

/// How a [`PostgresStore`](crate::PostgresStore) connects.
///
/// ```
/// use std::time::Duration;
/// use epochkey::PostgresOptions;
///
/// let options = PostgresOptions::new()
///     .schema("billing_auth")
///     .response_timeout(Duration::from_secs(1));
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(super) schema: String,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) accepts_loss: bool,
    #[cfg(feature = "postgres-tls")]
    pub(super) certificates: Certificates,
}

impl PostgresOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            schema: "epochkey".to_owned(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            accepts_loss: false,
            #[cfg(feature = "postgres-tls")]
            certificates: Certificates::default(),
        }
    }

    /// Keeps everything in tables of this schema, which is made when it is missing. Stores in
    /// different schemas have nothing to do with each other. 1 to 63 bytes, taken as it is, upper
    /// and lower case included. `epochkey` by default.
    ///
    /// Replicas wake each other by `NOTIFY` on a channel of the same name.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How long connecting may take, for each address that a host name stands for, logging in
    /// included. 2 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take for an answer, up to its last byte, before the connection
    /// is given up; a snapshot has 100 µs more for each epoch. 2 s by default. A commit that is
    /// given up may have been made.
    ///
    /// Keep it well below the policy's [`max_staleness`](crate::Policy::max_staleness), so that
    /// one hanging connection does not make a replica stale.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Connects though the server does not write each change to its disk before it
    /// acknowledges it (`fsync` or `full_page_writes` is off, or a table is unlogged): **what it
    /// acknowledged may be lost when it crashes**.
    ///
    /// Replicas that were running notice, and everybody is logged out. If none was, what was
    /// revoked in the lost time is good again.
    pub fn danger_accept_lost_revocations(mut self) -> Self {
        self.accepts_loss = true;
        self
    }

    /// Trusts the certificate authorities in this PEM text, and no others, for URLs with
    /// `sslmode=require`. Those that the system trusts by default.
    #[cfg(feature = "postgres-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres-tls")))]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.root = Some(pem.into());
        self
    }

    /// Shows this certificate to the server, for URLs with `sslmode=require`: its chain and its
    /// private key, as PEM texts. None by default.
    #[cfg(feature = "postgres-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres-tls")))]
    pub fn client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        private_key: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.client = Some((chain.into(), private_key.into()));
        self
    }

    pub(super) fn check(&self) -> Result<(), Cause> {
        let schema = &self.schema;
        if schema.is_empty() || schema.len() > LONGEST_NAME || schema.contains('\0') {
            return Err(Cause::InvalidSchema(schema.clone()));
        }
        match self.connect_timeout.is_zero() || self.response_timeout.is_zero() {
            true => Err(Cause::InvalidTimeout),
            false => Ok(()),
        }
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the client's private key.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("accepts_loss", &self.accepts_loss)
            .finish_non_exhaustive()
    }
}
