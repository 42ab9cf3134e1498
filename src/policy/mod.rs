//! What an authority allows: lifetimes, leeway, audiences, limits.

mod checked;

use std::time::Duration;

pub(crate) use self::checked::CheckedPolicy;

const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(900);
const DEFAULT_MAX_CLOCK_SKEW: Duration = Duration::from_secs(2);
const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(10);
const DEFAULT_ROTATE_EVERY: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_SESSION_IDLE_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
const DEFAULT_SESSION_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
const DEFAULT_REFRESH_GRACE: Duration = Duration::from_secs(10);
const DEFAULT_MAX_SESSIONS: usize = 100;
const DEFAULT_MAX_TOKEN_LENGTH: usize = 8 * 1024;

/// What an authority allows. All durations are whole seconds.
///
/// ```
/// use std::time::Duration;
/// use epochkey::{Authority, MemoryStore, Policy};
///
/// let policy = Policy::default()
///     .token_lifetime(Duration::from_secs(600))
///     .max_token_lifetime(Duration::from_secs(3600))
///     .accept_audience("reports")
///     .max_authentication_age(Duration::from_secs(12 * 3600));
/// let authority = Authority::builder("https://issuer.example", "api")
///     .policy(policy)
///     .open(MemoryStore::new())?;
/// # Ok::<(), epochkey::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Policy {
    token_lifetime: Duration,
    max_token_lifetime: Option<Duration>,
    max_clock_skew: Duration,
    leeway: Option<Duration>,
    accepted_audiences: Vec<String>,
    max_token_length: usize,
    max_authentication_age: Option<Duration>,
    max_staleness: Duration,
    rotate_every: Option<Duration>,
    announce_for: Option<Duration>,
    session_idle_lifetime: Duration,
    session_lifetime: Duration,
    refresh_grace: Duration,
    max_sessions: usize,
    when_full: WhenFull,
    thread_caches: bool,
}

/// What becomes of a log-in when the user has as many sessions as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The oldest session ends.
    EndOldest,
    /// It is refused, as [`TooManySessions`](crate::StartError::TooManySessions).
    Refuse,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            token_lifetime: DEFAULT_TOKEN_LIFETIME,
            max_token_lifetime: None,
            max_clock_skew: DEFAULT_MAX_CLOCK_SKEW,
            leeway: None,
            accepted_audiences: Vec::new(),
            max_token_length: DEFAULT_MAX_TOKEN_LENGTH,
            max_authentication_age: None,
            max_staleness: DEFAULT_MAX_STALENESS,
            rotate_every: Some(DEFAULT_ROTATE_EVERY),
            announce_for: None,
            session_idle_lifetime: DEFAULT_SESSION_IDLE_LIFETIME,
            session_lifetime: DEFAULT_SESSION_LIFETIME,
            refresh_grace: DEFAULT_REFRESH_GRACE,
            max_sessions: DEFAULT_MAX_SESSIONS,
            when_full: WhenFull::EndOldest,
            thread_caches: thread_caches_by_default(),
        }
    }
}

/// So that the tests can be run without them, too.
fn thread_caches_by_default() -> bool {
    !cfg!(feature = "testing") || std::env::var_os("EPOCHKEY_WITHOUT_THREAD_CACHES").is_none()
}

impl Policy {
    /// The lifetime of tokens whose grant does not set one. 15 minutes by default.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// The longest lifetime a grant may ask for. The same as the
    /// [`token_lifetime`](Self::token_lifetime) by default.
    ///
    /// A ring key records it when it is introduced, so a longer one takes
    /// effect with the next key; a shorter one binds issuing at once, and tokens
    /// issued before live on.
    pub fn max_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_token_lifetime = Some(lifetime);
        self
    }

    /// How far apart the clocks of those who issue and verify may be. 2 seconds by default.
    ///
    /// A replica whose clock differs from a shared store's by more is stale: it accepts and
    /// issues nothing.
    ///
    /// By as much the authority's own time may be ahead of its clock after the clock
    /// was set back, for its time does not run backwards.
    pub fn max_clock_skew(mut self, skew: Duration) -> Self {
        self.max_clock_skew = skew;
        self
    }

    /// How far in the future a token's `iat` may lie. At least, and by default,
    /// twice the [`max_clock_skew`](Self::max_clock_skew). `exp` has no leeway.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Accepts tokens for this audience too, beside the authority's own.
    pub fn accept_audience(mut self, audience: impl Into<String>) -> Self {
        self.accepted_audiences.push(audience.into());
        self
    }

    /// The longest token that is looked at or issued, in bytes. 8 KiB by default;
    /// from 2 KiB to 65,535.
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_token_length = bytes;
        self
    }

    /// Refuses tokens whose user authenticated longer ago than this, or that do not
    /// say when, and refuses to issue such: let every grant say it with
    /// [`authenticated_now`](crate::Grant::authenticated_now) or
    /// [`authenticated_at`](crate::Grant::authenticated_at). No limit by default; for single routes see
    /// [`Verified::authenticated_within`](crate::Verified::authenticated_within).
    pub fn max_authentication_age(mut self, age: Duration) -> Self {
        self.max_authentication_age = Some(age);
        self
    }
}

/// Speed.
impl Policy {
    /// Whether each thread remembers up to 2,048 tokens that it verified more than once, and the
    /// seals of as many users (and of the sessions and groups that came with them). On by default.
    ///
    /// A token that comes again then costs a fraction of its first verification. It is compared
    /// as a whole and in constant time; ring key, expiry, freshness and the epochs of all its
    /// scopes are looked at each time, so a bump, a swap or a retirement is in force at the next
    /// call as without.
    ///
    /// Each thread that verifies or issues takes memory for itself as it comes to know tokens:
    /// about 1.5 MiB when it is full of tokens of 350 bytes, and never more than 6 MiB. Tokens with
    /// more than 1 KiB behind the header are not remembered. What is remembered, the text of
    /// tokens among it, stays in memory until something else takes its place or the thread ends,
    /// also when the authority is gone, and is not wiped.
    pub fn thread_caches(mut self, on: bool) -> Self {
        self.thread_caches = on;
        self
    }
}

/// How replicas of a shared store stay together. Give all of them the same of these, and of
/// `max_clock_skew` and `leeway`: a key retires by the values of whoever retires it.
impl Policy {
    /// How old the news of a [shared](crate::store::Reach::Shared) store may be before
    /// everything is refused as [`StaleEpochs`](crate::VerifyError::StaleEpochs): the
    /// longest time that another replica's bump can take to be in force here. 10
    /// seconds by default; at least 2. Half an hour at most, together with twice the
    /// [`max_clock_skew`](Self::max_clock_skew).
    pub fn max_staleness(mut self, staleness: Duration) -> Self {
        self.max_staleness = staleness;
        self
    }

    /// How often a new ring key is brought in, in stages, so that nobody notices. Every
    /// 24 hours by default; at least [`announce_for`](Self::announce_for), and so long that
    /// at most 16 keys are live.
    ///
    /// The epoch table holds the scopes that were bumped since the oldest live key came
    /// in, so this bounds its size: for about one `rotate_every`, one `max_token_lifetime`
    /// and one `announce_for`.
    pub fn rotate_every(mut self, interval: Duration) -> Self {
        self.rotate_every = Some(interval);
        self
    }

    /// Brings in no ring key on schedule: only
    /// [`Authority::rotate_key`](crate::Authority::rotate_key) does. The epoch table grows
    /// until then.
    pub fn rotate_by_hand(mut self) -> Self {
        self.rotate_every = None;
        self
    }

    /// How long a new ring key is known before it signs, so that no replica meets a
    /// token it cannot verify. At least, and by default, the
    /// [`max_staleness`](Self::max_staleness) and twice the
    /// [`max_clock_skew`](Self::max_clock_skew).
    pub fn announce_for(mut self, time: Duration) -> Self {
        self.announce_for = Some(time);
        self
    }
}

/// [Sessions](crate::Authority::sessions).
impl Policy {
    /// How long a session lives without being refreshed. 14 days by default. Its
    /// access tokens live no longer.
    pub fn session_idle_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_idle_lifetime = lifetime;
        self
    }

    /// How long a session lives at most, however often it is refreshed. 90 days by default.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = lifetime;
        self
    }

    /// How long after a refresh the token before gives the same successor again: for responses
    /// that were lost, and tabs that refresh at once. Afterwards it counts as stolen. 10
    /// seconds by default; at most five minutes.
    pub fn refresh_grace(mut self, window: Duration) -> Self {
        self.refresh_grace = window;
        self
    }

    /// How many sessions a user may have, and what becomes of a log-in beyond. 100 by default,
    /// and the oldest ends; at least 1.
    pub fn max_sessions(mut self, sessions: usize, when_full: WhenFull) -> Self {
        self.max_sessions = sessions;
        self.when_full = when_full;
        self
    }
}
