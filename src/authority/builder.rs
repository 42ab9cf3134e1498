use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Authority, Inner, background::Running, maintain::Tidied};
use crate::{
    BuildError, Clock, MasterSecret, Observer, Policy, Store, SystemClock,
    clock::Timekeeper,
    counters::Counters,
    crypto::{Random, SystemRandom},
    id::check_id,
    observer::NoObserver,
    replica::{Replica, Source},
    sessions::Replays,
    store::{Reach, ReplicaId},
    token::Opening,
    wrapping::WrappingKeys,
};

/// Settings of an [`Authority`] to be; see [`Authority::builder`].
#[must_use]
pub struct AuthorityBuilder {
    issuer: String,
    audience: String,
    policy: Policy,
    master_secret: Option<MasterSecret>,
    previous_master_secrets: Vec<MasterSecret>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    random: Arc<dyn Random>,
    by_hand: bool,
}

impl AuthorityBuilder {
    pub(super) fn new(issuer: String, audience: String) -> Self {
        Self {
            issuer,
            audience,
            policy: Policy::default(),
            master_secret: None,
            previous_master_secrets: Vec::new(),
            clock: Arc::new(SystemClock),
            observer: Arc::new(NoObserver),
            random: Arc::new(SystemRandom),
            by_hand: false,
        }
    }

    /// Wraps the secrets that the store keeps with `secret`. Every store needs one but
    /// [`MemoryStore`](crate::MemoryStore); all replicas of a store need the same.
    ///
    /// ```no_run
    /// # use epochkey::{Authority, MasterSecret, MemoryStore};
    /// let authority = Authority::builder("https://issuer.example", "api")
    ///     .master_secret(MasterSecret::from_env("EPOCHKEY_MASTER_SECRET")?)
    ///     .open(MemoryStore::new())?;              // or a store that keeps it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn master_secret(mut self, secret: MasterSecret) -> Self {
        self.master_secret = Some(secret);
        self
    }

    /// Unwraps with `secret` too, while the master secret is being changed; see
    /// [`Authority::rewrap_secrets`]. May be called several times.
    pub fn previous_master_secret(mut self, secret: MasterSecret) -> Self {
        self.previous_master_secrets.push(secret);
        self
    }

    /// Tells `observer` what happens.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
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

    #[cfg(feature = "testing")]
    pub(crate) fn by_hand(mut self) -> Self {
        self.by_hand = true;
        self
    }

    /// Opens the authority on a store: loads its state, or begins it if the store is
    /// empty, and starts the thread that follows it.
    ///
    /// Blocks until the store has answered: call it before an async runtime starts, or in a
    /// blocking task. The thread ends when the last clone of the
    /// authority and the last of its operations are gone.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the issuer or an audience is not a valid id, a setting of
    /// the policy makes no sense, the master secret is missing or not the one that the
    /// store's secrets are wrapped with, the store cannot be used, or its clock and this
    /// machine's differ by more than the policy's `max_clock_skew`. Nothing is put in
    /// place of what the store holds.
    pub fn open(self, store: impl Store) -> Result<Authority, BuildError> {
        check_id(&self.issuer).map_err(BuildError::InvalidIssuer)?;
        check_id(&self.audience).map_err(BuildError::InvalidAudience)?;
        let policy = Arc::new(self.policy.check()?);
        let store: Arc<dyn Store> = Arc::new(store);
        let master_secret = match (self.master_secret, store.reach()) {
            (Some(secret), _) => secret,
            // Nobody else ever sees what it wraps.
            (None, Reach::Memory) => MasterSecret::generate()?,
            (None, Reach::Embedded | Reach::Shared) => return Err(BuildError::NoMasterSecret),
        };
        let reads_monotonic = store.reach() == Reach::Shared;
        let source = Source {
            id: ReplicaId::draw(&*self.random)?,
            store,
            wrapping: WrappingKeys::new(&master_secret, &self.previous_master_secrets),
            random: self.random,
            time: Timekeeper::new(self.clock, policy.max_clock_skew, reads_monotonic),
            policy: Arc::clone(&policy),
        };
        let inner = Arc::new(Inner {
            opening: Opening::new(&self.issuer, &self.audience),
            issuer: self.issuer,
            audience: self.audience,
            policy,
            counters: Counters::new(),
            replica: Arc::new(Replica::open(source, self.observer)?),
            replays: Replays::default(),
            changing_keys: Arc::default(),
            tidied: Mutex::new(Tidied::default()),
        });
        let running = match self.by_hand {
            true => Running::without_thread(&inner),
            false => Running::start(&inner).map_err(BuildError::Thread)?,
        };
        let running = Arc::new(running);
        Ok(Authority { inner, running })
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
