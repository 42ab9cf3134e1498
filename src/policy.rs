//! What an authority allows: lifetimes, leeway, audiences, limits.

use std::time::Duration;

use crate::{BuildError, id::check_id};

const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(900);
const DEFAULT_MAX_CLOCK_SKEW: Duration = Duration::from_secs(2);
const DEFAULT_MAX_TOKEN_LENGTH: usize = 8 * 1024;

/// The shortest limit that leaves room for a session's token whatever the ids.
const LEAST_MAX_TOKEN_LENGTH: usize = 2 * 1024;
/// Places in a token are kept in 16 bits.
const GREATEST_MAX_TOKEN_LENGTH: usize = 65_535;
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
}

impl Policy {
    pub(crate) fn check(self) -> Result<CheckedPolicy, BuildError> {
        let max_token_lifetime = self.max_token_lifetime.unwrap_or(self.token_lifetime);
        let max_clock_skew = whole_seconds("max_clock_skew", self.max_clock_skew)?;
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
        };
        checked.check_together()?;
        Ok(checked)
    }
}

impl CheckedPolicy {
    fn check_together(&self) -> Result<(), BuildError> {
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
        let audience = policy().accept_audience("").check();
        assert!(matches!(audience, Err(BuildError::InvalidAudience(_))));
    }
}
