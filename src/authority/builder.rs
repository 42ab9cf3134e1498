use std::{sync::Arc, time::Duration};

use super::{Authority, Inner};
use crate::{
    BuildError, Clock, Policy, Store, SwapError, SystemClock,
    clock::Timekeeper,
    crypto::{Random, SystemRandom},
    history::HistoryId,
    id::check_id,
    key_ring::KeyRing,
    replica::Replica,
    store::sealed::Backend,
    token::Opening,
};

/// Settings of an [`Authority`] to be; see [`Authority::builder`].
#[must_use]
pub struct AuthorityBuilder {
    issuer: String,
    audience: String,
    policy: Policy,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl AuthorityBuilder {
    pub(super) fn new(issuer: String, audience: String) -> Self {
        Self {
            issuer,
            audience,
            policy: Policy::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }

    /// Replaces the whole policy, which is [`Policy::default`] otherwise, and with it
    /// what [`token_lifetime`](Self::token_lifetime) set before.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the policy's [`token_lifetime`](Policy::token_lifetime).
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy = self.policy.token_lifetime(lifetime);
        self
    }

    /// Reads the time from `clock` instead of the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    #[cfg(feature = "testing")]
    pub(crate) fn random(mut self, random: impl Random + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Opens the authority on a store: brings in its first ring key.
    ///
    /// Blocks until the store has answered.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the issuer or an audience is not a valid id, a setting of
    /// the policy makes no sense, or the store cannot be used.
    pub fn open(self, store: impl Store) -> Result<Authority, BuildError> {
        check_id(&self.issuer).map_err(BuildError::InvalidIssuer)?;
        check_id(&self.audience).map_err(BuildError::InvalidAudience)?;
        let policy = self.policy.check()?;
        let store: Arc<dyn Backend> = Arc::new(store);
        let random = self.random;
        let history = store.history(HistoryId::draw(&*random)?);
        let authority = Authority {
            inner: Arc::new(Inner {
                opening: Opening::new(&self.issuer, &self.audience),
                issuer: self.issuer,
                audience: self.audience,
                time: Timekeeper::new(self.clock, policy.max_clock_skew),
                policy,
                replica: Replica::new(history, KeyRing::without_keys(&*random)?),
                random,
                store,
            }),
        };
        authority.swap_key().wait().map_err(|error| match error {
            SwapError::Random(error) => BuildError::Random(error),
            SwapError::Store(error) => BuildError::Store(error),
        })?;
        Ok(authority)
    }
}

impl std::fmt::Debug for AuthorityBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorityBuilder")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
