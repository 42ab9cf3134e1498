//! The random ids that a store keeps, and the time that it tells.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    crypto::{Random, RandomError, random_array},
    token::base64url,
};

macro_rules! random_id {
    ($(#[$docs:meta])* $name:ident, $length:literal) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The id that was kept as these bytes.
            pub fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes to keep.
            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        /// In base64url.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base64url::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

random_id! {
    /// Names one history of a store's log. Positions mean something only within it.
    HistoryId, 16
}
random_id! {
    /// Names one event of the log, beside its position, which a store that lost its
    /// tail may give again.
    EventId, 16
}
random_id! {
    /// Names a ring key: the `kid` of its tokens. It never comes back.
    KeyId, 12
}
random_id! {
    /// Names a replica, from its start to its end.
    ReplicaId, 16
}
random_id! {
    /// Names a session's row. Made by the crate and never used again.
    RowId, 16
}
random_id! {
    /// Names one state of a session's row. Random, for a counter would repeat after
    /// the store lost its tail.
    RowVersion, 16
}

macro_rules! drawn {
    ($($name:ident),*) => {
        $(impl $name {
            pub(crate) fn draw(random: &dyn Random) -> Result<Self, RandomError> {
                random_array(random).map(Self)
            }
        })*
    };
}

drawn!(HistoryId, EventId, KeyId, ReplicaId, RowId, RowVersion);

/// A moment by the store's clock, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreTime(u64);

impl StoreTime {
    /// The moment so many milliseconds after 1970-01-01T00:00:00Z.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn as_unix_millis(self) -> u64 {
        self.0
    }

    pub(crate) fn as_unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment of a wall clock; a time before 1970 counts as 1970.
    pub fn from_system_time(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = since.as_secs().saturating_mul(1000);
        Self(millis.saturating_add(u64::from(since.subsec_millis())))
    }

    pub(crate) fn saturating_add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    pub(crate) fn saturating_add_secs(self, seconds: u64) -> Self {
        self.saturating_add(Duration::from_secs(seconds))
    }

    pub(crate) fn saturating_sub(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// How far apart two moments are.
    pub(crate) fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    #[test]
    fn ids_are_kept_as_bytes_and_shown_as_text() {
        let id = KeyId::draw(&SystemRandom).unwrap();
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
        assert_eq!(KeyId::from_bytes([0; 12]).to_string(), "AAAAAAAAAAAAAAAA");
        assert_eq!(
            format!("{:?}", KeyId::from_bytes([0; 12])),
            "KeyId(AAAAAAAAAAAAAAAA)"
        );
    }

    #[test]
    fn times_are_milliseconds_and_do_not_overflow() {
        let time = StoreTime::from_system_time(UNIX_EPOCH + Duration::from_micros(1_234_567));
        assert_eq!(time.as_unix_millis(), 1234);
        let before = StoreTime::from_system_time(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before.as_unix_millis(), 0);
        assert_eq!(before.saturating_sub(Duration::MAX), before);
        let end = StoreTime::from_unix_millis(u64::MAX);
        assert_eq!(time.saturating_add(Duration::MAX), end);
        assert_eq!(end.distance(before), before.distance(end));
    }

    #[test]
    fn seconds_are_the_whole_ones() {
        let time = StoreTime::from_unix_millis(7_999);
        assert_eq!(time.as_unix_seconds(), 7);
        let earlier = time.saturating_sub(Duration::from_millis(1_500));
        assert_eq!(earlier.as_unix_millis(), 6_499);
        assert_eq!(earlier.saturating_add_secs(2).as_unix_millis(), 8_499);
    }
}
