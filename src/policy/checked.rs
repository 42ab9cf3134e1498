//! A policy that was found to make sense.

use std::time::Duration;

use super::{Policy, WhenFull};
use crate::{BuildError, id::check_id};

/// The shortest limit that leaves room for a session's token whatever the ids.
const LEAST_MAX_TOKEN_LENGTH: usize = 2 * 1024;
/// Places in a token are kept in 16 bits.
const GREATEST_MAX_TOKEN_LENGTH: usize = 65_535;
/// Every verify looks through the live ring keys.
const MOST_SCHEDULED_KEYS: u64 = 16;
/// In seconds. The receipts of replicas are kept for an hour: one whose receipt is gone must
/// have been refusing everything for long, though the clocks differ.
const GREATEST_STALENESS: u64 = 1800;
/// The longest grace window, in seconds.
const GREATEST_GRACE: u64 = 300;
/// Keeps every sum of times far away from overflow.
const GREATEST_DURATION: Duration = Duration::from_secs(u32::MAX as u64);

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
    pub(crate) session_idle_lifetime: u64,
    pub(crate) session_lifetime: u64,
    pub(crate) refresh_grace: u64,
    pub(crate) max_sessions: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) thread_caches: bool,
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
            session_idle_lifetime: whole_seconds(
                "session_idle_lifetime",
                self.session_idle_lifetime,
            )?,
            session_lifetime: whole_seconds("session_lifetime", self.session_lifetime)?,
            refresh_grace: whole_seconds("refresh_grace", self.refresh_grace)?,
            max_sessions: self.max_sessions,
            when_full: self.when_full,
            thread_caches: self.thread_caches,
        };
        checked.check_tokens()?;
        checked.check_sessions()?;
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

impl CheckedPolicy {
    fn check_sessions(&self) -> Result<(), BuildError> {
        for (setting, lifetime) in [
            ("session_idle_lifetime", self.session_idle_lifetime),
            ("session_lifetime", self.session_lifetime),
        ] {
            if lifetime == 0 {
                return Err(invalid(
                    setting,
                    "is zero; let sessions live at least a second",
                ));
            }
        }
        if self.refresh_grace > GREATEST_GRACE {
            return Err(invalid(
                "refresh_grace",
                "is longer than five minutes, in which a thief would not be noticed; lower it",
            ));
        }
        if self.max_sessions == 0 {
            return Err(invalid("max_sessions", "is zero; allow at least one"));
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
        if self.max_staleness + 2 * self.max_clock_skew > GREATEST_STALENESS {
            return Err(invalid(
                "max_staleness",
                "and twice `max_clock_skew` are more than half an hour together, so a replica \
                 could act on old news when nobody knows of it any more; lower them",
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
        assert_eq!(policy.retire_after(60), 60 + 10 + 10 + 10);
        assert_eq!(policy.announce_for, 20);
    }

    /// A setting, what sets it, what is just allowed, and whether less is allowed, not more.
    type Limit = (&'static str, fn(Policy, u64) -> Policy, u64, bool);

    /// What is just allowed, and a second beyond.
    #[test]
    fn limits() {
        let limits: [Limit; 8] = [
            (
                "refresh_grace",
                |policy, n| policy.refresh_grace(secs(n)),
                300,
                true,
            ),
            (
                "max_staleness",
                |policy, n| policy.max_staleness(secs(n)),
                2,
                false,
            ),
            (
                "max_staleness",
                |policy, n| {
                    policy
                        .max_clock_skew(secs(5))
                        .max_staleness(secs(n))
                        .rotate_by_hand()
                },
                1790,
                true,
            ),
            (
                "announce_for",
                |policy, n| policy.max_clock_skew(secs(5)).announce_for(secs(n)),
                20,
                false,
            ),
            (
                "rotate_every",
                |policy, n| policy.token_lifetime(secs(60)).rotate_every(secs(n)),
                14,
                false,
            ),
            // 16 live keys: 18 seconds behind the longest lifetime.
            (
                "rotate_every",
                |policy, n| policy.max_token_lifetime(secs(n)).rotate_every(secs(60)),
                17 * 60 - 18 - 1,
                true,
            ),
            (
                "session_lifetime",
                |policy, n| policy.session_lifetime(secs(n)),
                u32::MAX.into(),
                true,
            ),
            ("leeway", |policy, n| policy.leeway(secs(n)), 4, false),
        ];
        for (setting, with, limit, is_greatest) in limits {
            let beyond = if is_greatest { limit + 1 } else { limit - 1 };
            let allowed = with(Policy::default(), limit).check();
            assert!(allowed.is_ok(), "{setting} {limit}: {allowed:?}");
            let refused = with(Policy::default(), beyond).check();
            let refused = refused.err().map(|error| error.to_string());
            let named = refused.as_ref().is_some_and(|text| text.contains(setting));
            assert!(named, "{setting} {beyond}: {refused:?}");
        }
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
        let longest = || policy().rotate_by_hand().max_staleness(secs(1796));
        assert!(longest().check().is_ok());
        let too_long = longest().max_clock_skew(secs(3));
        assert_eq!(setting(too_long), "max_staleness");
        assert_eq!(setting(policy().announce_for(secs(13))), "announce_for");
        assert_eq!(setting(policy().rotate_every(secs(13))), "rotate_every");
        assert_eq!(setting(policy().rotate_every(secs(50))), "rotate_every");
        assert!(policy().rotate_every(secs(60)).check().is_ok());
        let audience = policy().accept_audience("").check();
        assert!(matches!(audience, Err(BuildError::InvalidAudience(_))));
    }
}
