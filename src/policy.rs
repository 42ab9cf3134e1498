//! What an authority allows: lifetimes, leeway, audiences, limits.

use std::time::Duration;

use crate::{BuildError, id::check_id};

const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(900);
const DEFAULT_MAX_CLOCK_SKEW: Duration = Duration::from_secs(2);
const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(10);
const DEFAULT_ROTATE_EVERY: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_MAX_TOKEN_LENGTH: usize = 8 * 1024;

/// The shortest limit that leaves room for a session's token whatever the ids.
const LEAST_MAX_TOKEN_LENGTH: usize = 2 * 1024;
/// Places in a token are kept in 16 bits.
const GREATEST_MAX_TOKEN_LENGTH: usize = 65_535;
/// Every verify looks through the live ring keys.
const MOST_SCHEDULED_KEYS: u64 = 16;
/// Keeps every sum of times far away from overflow.
const GREATEST_DURATION: Duration = Duration::from_secs(u32::MAX as u64);

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
        }
    }
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

/// How replicas of a shared store stay together. Give all of them the same of these, and of
/// `max_clock_skew` and `leeway`: a key retires by the values of whoever retires it.
impl Policy {
    /// How old the news of a [shared](crate::store::Reach::Shared) store may be before
    /// everything is refused as [`StaleEpochs`](crate::VerifyError::StaleEpochs): the
    /// longest time that another replica's bump can take to be in force here. 10
    /// seconds by default; at least 2.
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

/// A policy that was found to make sense, in the units that tokens use.
#[derive(Debug)]
pub(crate) struct CheckedPolicy {
    pub(crate) token_lifetime: u64,
    pub(crate) max_token_lifetime: u64,
    pub(crate) max_clock_skew: u64,
    pub(crate) leeway: u64,
    pub(crate) accepted_audiences: Vec<String>,
    pub(crate) max_token_length: usize,
    pub(crate) max_authentication_age: Option<u64>,
    pub(crate) max_staleness: u64,
    pub(crate) rotate_every: Option<u64>,
    pub(crate) announce_for: u64,
}

impl Policy {
    pub(crate) fn check(self) -> Result<CheckedPolicy, BuildError> {
        let max_token_lifetime = self.max_token_lifetime.unwrap_or(self.token_lifetime);
        let max_clock_skew = whole_seconds("max_clock_skew", self.max_clock_skew)?;
        let max_staleness = whole_seconds("max_staleness", self.max_staleness)?;
        let checked = CheckedPolicy {
            token_lifetime: whole_seconds("token_lifetime", self.token_lifetime)?,
            max_token_lifetime: whole_seconds("max_token_lifetime", max_token_lifetime)?,
            max_clock_skew,
            leeway: match self.leeway {
                Some(leeway) => whole_seconds("leeway", leeway)?,
                None => 2 * max_clock_skew,
            },
            accepted_audiences: self.accepted_audiences,
            max_token_length: self.max_token_length,
            max_authentication_age: match self.max_authentication_age {
                Some(age) => Some(whole_seconds("max_authentication_age", age)?),
                None => None,
            },
            max_staleness,
            rotate_every: match self.rotate_every {
                Some(interval) => Some(whole_seconds("rotate_every", interval)?),
                None => None,
            },
            announce_for: match self.announce_for {
                Some(time) => whole_seconds("announce_for", time)?,
                None => max_staleness + 2 * max_clock_skew,
            },
        };
        checked.check_tokens()?;
        checked.check_replicas()?;
        Ok(checked)
    }
}

impl CheckedPolicy {
    fn check_tokens(&self) -> Result<(), BuildError> {
        for audience in &self.accepted_audiences {
            check_id(audience).map_err(BuildError::InvalidAudience)?;
        }
        if self.token_lifetime == 0 {
            return Err(invalid(
                "token_lifetime",
                "is zero; give tokens at least a second",
            ));
        }
        if self.max_token_lifetime < self.token_lifetime {
            return Err(invalid(
                "max_token_lifetime",
                "is shorter than `token_lifetime`; raise it, or lower `token_lifetime`",
            ));
        }
        if self.leeway < 2 * self.max_clock_skew {
            return Err(invalid(
                "leeway",
                "is less than twice `max_clock_skew`, so honest tokens would be refused; raise it",
            ));
        }
        if self.max_authentication_age == Some(0) {
            return Err(invalid(
                "max_authentication_age",
                "is zero, so every token would be refused; raise it",
            ));
        }
        if !(LEAST_MAX_TOKEN_LENGTH..=GREATEST_MAX_TOKEN_LENGTH).contains(&self.max_token_length) {
            return Err(invalid(
                "max_token_length",
                "is not between 2,048 and 65,535 bytes; 8,192 is the default",
            ));
        }
        Ok(())
    }
}

/// What replicas have agreed on.
impl CheckedPolicy {
    fn check_replicas(&self) -> Result<(), BuildError> {
        if self.max_staleness < 2 {
            return Err(invalid(
                "max_staleness",
                "is below 2 seconds, and news is fetched once a second; raise it",
            ));
        }
        if self.announce_for < self.max_staleness + 2 * self.max_clock_skew {
            return Err(invalid(
                "announce_for",
                "is less than `max_staleness` and twice `max_clock_skew` together, so a replica \
                 could meet a token of a key it does not know; raise it",
            ));
        }
        let Some(rotate_every) = self.rotate_every else {
            return Ok(());
        };
        if rotate_every < self.announce_for {
            return Err(invalid(
                "rotate_every",
                "is less than `announce_for`; raise it",
            ));
        }
        if self.retire_after(self.max_token_lifetime) / rotate_every > MOST_SCHEDULED_KEYS {
            return Err(invalid(
                "rotate_every",
                "is so short beside `max_token_lifetime` that more than 16 ring keys would be \
                 live; raise it, or lower the lifetime",
            ));
        }
        Ok(())
    }

    /// How many seconds after it stopped issuing a ring key may go, whose tokens live
    /// for up to `longest_lifetime`. Later is always safe.
    pub(crate) fn retire_after(&self, longest_lifetime: u64) -> u64 {
        longest_lifetime + self.leeway + self.max_staleness + 2 * self.max_clock_skew
    }

    pub(crate) fn max_staleness(&self) -> Duration {
        Duration::from_secs(self.max_staleness)
    }

    pub(crate) fn max_clock_skew(&self) -> Duration {
        Duration::from_secs(self.max_clock_skew)
    }
}

fn whole_seconds(setting: &'static str, duration: Duration) -> Result<u64, BuildError> {
    if duration > GREATEST_DURATION {
        return Err(invalid(
            setting,
            "is longer than 136 years (2^32 seconds); lower it",
        ));
    }
    if duration.subsec_nanos() != 0 {
        return Err(invalid(
            setting,
            "is not a whole number of seconds, the unit of tokens; round it",
        ));
    }
    Ok(duration.as_secs())
}

fn invalid(setting: &'static str, reason: &'static str) -> BuildError {
    BuildError::InvalidPolicy { setting, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn defaults_follow_from_each_other() {
        let policy = Policy::default().check().unwrap();
        assert_eq!(
            (policy.token_lifetime, policy.max_token_lifetime),
            (900, 900)
        );
        assert_eq!((policy.max_clock_skew, policy.leeway), (2, 4));
        assert_eq!(policy.max_token_length, 8192);
        assert_eq!((policy.max_staleness, policy.announce_for), (10, 14));
        assert_eq!(policy.rotate_every, Some(86_400));
        assert_eq!(policy.retire_after(900), 900 + 4 + 10 + 4);
        let policy = Policy::default()
            .token_lifetime(secs(60))
            .max_clock_skew(secs(5));
        let policy = policy.check().unwrap();
        assert_eq!((policy.max_token_lifetime, policy.leeway), (60, 10));
    }

    #[test]
    fn contradictions_are_refused() {
        let setting = |policy: Policy| match policy.check() {
            Err(BuildError::InvalidPolicy { setting, .. }) => setting,
            other => panic!("{other:?}"),
        };
        let policy = Policy::default;
        assert_eq!(setting(policy().token_lifetime(secs(0))), "token_lifetime");
        assert_eq!(
            setting(policy().token_lifetime(Duration::from_millis(1500))),
            "token_lifetime"
        );
        assert_eq!(
            setting(policy().token_lifetime(Duration::MAX)),
            "token_lifetime"
        );
        assert_eq!(
            setting(policy().max_token_lifetime(secs(899))),
            "max_token_lifetime"
        );
        assert_eq!(setting(policy().leeway(secs(3))), "leeway");
        assert_eq!(
            setting(policy().max_clock_skew(Duration::MAX)),
            "max_clock_skew"
        );
        assert_eq!(
            setting(policy().max_authentication_age(secs(0))),
            "max_authentication_age"
        );
        assert_eq!(setting(policy().max_token_length(2047)), "max_token_length");
        assert_eq!(
            setting(policy().max_token_length(65_536)),
            "max_token_length"
        );
        assert_eq!(setting(policy().max_staleness(secs(1))), "max_staleness");
        assert_eq!(setting(policy().announce_for(secs(13))), "announce_for");
        assert_eq!(setting(policy().rotate_every(secs(13))), "rotate_every");
        assert_eq!(setting(policy().rotate_every(secs(50))), "rotate_every");
        assert!(policy().rotate_every(secs(60)).check().is_ok());
        let audience = policy().accept_audience("").check();
        assert!(matches!(audience, Err(BuildError::InvalidAudience(_))));
    }
}
