//! How to connect, and what to put up with.

use std::{fmt, time::Duration};

use crate::error::RedisConnectCause as Cause;
#[cfg(feature = "redis-tls")]
use crate::store::tls::Certificates;

/// How a [`RedisStore`](crate::RedisStore) connects.
///
/// ```
/// use std::time::Duration;
/// use epochkey::RedisOptions;
///
/// let options = RedisOptions::new()
///     .prefix("billing-auth")
///     .response_timeout(Duration::from_secs(1));
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisOptions {
    pub(super) prefix: String,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) accepts_loss: bool,
    pub(super) accepts_eviction: bool,
    #[cfg(feature = "redis-tls")]
    pub(super) certificates: Certificates,
}

impl RedisOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            prefix: "epochkey".to_owned(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            accepts_loss: false,
            accepts_eviction: false,
            #[cfg(feature = "redis-tls")]
            certificates: Certificates::default(),
        }
    }

    /// Keeps everything in keys that begin with `{prefix}:`, the braces included: a cluster
    /// keeps them on one node. Stores with different prefixes have nothing to do with each
    /// other. `epochkey` by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long connecting may take, for each address that the host name stands for, the
    /// handshake of TLS included. 2 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take for an answer, up to its last byte, before the connection
    /// is given up. 2 s by default. A commit that is given up may have been made.
    ///
    /// Keep it well below the policy's [`max_staleness`](crate::Policy::max_staleness), so that
    /// one hanging connection does not make a replica stale.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Connects though the server does not write each change to its disk before it
    /// acknowledges it, or does not let that be seen: **what it acknowledged may be lost when
    /// it crashes**.
    ///
    /// Replicas that were running notice, and everybody is logged out. If none was, what was
    /// revoked in the lost time is good again.
    pub fn danger_accept_lost_revocations(mut self) -> Self {
        self.accepts_loss = true;
        self
    }

    /// Connects though the server removes keys by itself when its memory is full, or does
    /// not let its policy be seen: **what was revoked may be forgotten then**. That epochs are
    /// missing is noticed by replicas that start afterwards, which fail.
    pub fn danger_accept_evicted_revocations(mut self) -> Self {
        self.accepts_eviction = true;
        self
    }

    /// Trusts the certificate authorities in this PEM text, and no others, for `rediss://`
    /// URLs. Those that the system trusts by default.
    #[cfg(feature = "redis-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-tls")))]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.root = Some(pem.into());
        self
    }

    /// Shows this certificate to the server, for `rediss://` URLs: its chain and its private
    /// key, as PEM texts. None by default.
    #[cfg(feature = "redis-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-tls")))]
    pub fn client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        private_key: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.client = Some((chain.into(), private_key.into()));
        self
    }

    pub(super) fn check(&self) -> Result<(), Cause> {
        if self.prefix.is_empty() || self.prefix.contains(['{', '}']) {
            return Err(Cause::InvalidPrefix(self.prefix.clone()));
        }
        match self.connect_timeout.is_zero() || self.response_timeout.is_zero() {
            true => Err(Cause::InvalidTimeout),
            false => Ok(()),
        }
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the client's private key.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("accepts_loss", &self.accepts_loss)
            .field("accepts_eviction", &self.accepts_eviction)
            .finish_non_exhaustive()
    }
}
