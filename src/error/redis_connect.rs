use std::{error, fmt, io, sync::Arc};

use redis::{ErrorKind, RedisError};

/// Why a [`RedisStore`](crate::RedisStore) could not be connected. Nothing was changed on the
/// server.
pub struct RedisConnectError(pub(crate) RedisConnectCause);

#[derive(Debug, Clone)]
pub(crate) enum RedisConnectCause {
    InvalidUrl(RedisError),
    InsecureUrl,
    #[cfg(not(feature = "redis-tls"))]
    NeedsTls,
    InvalidPrefix(String),
    InvalidTimeout,
    #[cfg(feature = "redis-tls")]
    InvalidCertificate(Arc<io::Error>),
    Unreachable(RedisError),
    Refused(RedisError),
    OldVersion {
        found: String,
    },
    NotPrimary {
        role: String,
    },
    Weak(Vec<WeakSetting>),
    Evicts {
        policy: String,
    },
    HiddenDurability(RedisError),
    HiddenEviction(RedisError),
    NotOnDisk,
    TakenKey {
        key: String,
        found: String,
    },
    NotUnderstood {
        asked: &'static str,
    },
    Thread(Arc<io::Error>),
}

/// A setting of the server by which it may lose what it acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct WeakSetting {
    pub(crate) name: &'static str,
    pub(crate) found: String,
    pub(crate) needed: &'static str,
}

impl RedisConnectError {
    /// A short fixed name for metrics and logs: `invalid_url`, `invalid_prefix`,
    /// `invalid_timeout`, `invalid_certificate`, `unreachable`, `refused`, `old_version`,
    /// `not_primary`, `weak_durability`, `evicts`, `hidden_durability`, `hidden_eviction`,
    /// `not_on_disk`, `taken_key`, `not_understood` or `thread`.
    pub fn label(&self) -> &'static str {
        use RedisConnectCause as Cause;
        match self.0 {
            Cause::InvalidUrl(_) | Cause::InsecureUrl => "invalid_url",
            #[cfg(not(feature = "redis-tls"))]
            Cause::NeedsTls => "invalid_url",
            Cause::InvalidPrefix(_) => "invalid_prefix",
            Cause::InvalidTimeout => "invalid_timeout",
            #[cfg(feature = "redis-tls")]
            Cause::InvalidCertificate(_) => "invalid_certificate",
            Cause::Unreachable(_) => "unreachable",
            Cause::Refused(_) => "refused",
            Cause::OldVersion { .. } => "old_version",
            Cause::NotPrimary { .. } => "not_primary",
            Cause::Weak(_) => "weak_durability",
            Cause::Evicts { .. } => "evicts",
            Cause::HiddenDurability(_) => "hidden_durability",
            Cause::HiddenEviction(_) => "hidden_eviction",
            Cause::NotOnDisk => "not_on_disk",
            Cause::TakenKey { .. } => "taken_key",
            Cause::NotUnderstood { .. } => "not_understood",
            Cause::Thread(_) => "thread",
        }
    }
}

impl fmt::Display for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RedisConnectCause as Cause;
        match &self.0 {
            Cause::InvalidUrl(_) => f.write_str(
                "not a URL of a Redis server, such as `redis://user:password@host:6379/0`",
            ),
            Cause::InsecureUrl => f.write_str(
                "a URL that ends in `#insecure` or the like is refused, for it would trust \
                 whoever answers: give the server's authority as `root_certificate`",
            ),
            #[cfg(not(feature = "redis-tls"))]
            Cause::NeedsTls => {
                f.write_str("a `rediss://` URL needs epochkey's feature `redis-tls`")
            }
            Cause::InvalidPrefix(prefix) => {
                write!(f, "the prefix `{prefix}` is empty or contains `{{` or `}}`")
            }
            Cause::InvalidTimeout => f.write_str("a time-out is 0"),
            #[cfg(feature = "redis-tls")]
            Cause::InvalidCertificate(_) => f.write_str("a certificate or a key cannot be read"),
            Cause::Unreachable(_) => f.write_str("the Redis server could not be connected to"),
            Cause::Refused(_) => f.write_str(
                "the Redis server was reached and refuses what is asked of it; see what it says, \
                 and whether the URL's user may do what the guide's page on replicas says",
            ),
            Cause::OldVersion { found } => {
                write!(
                    f,
                    "the Redis server is of version {found}; 7 or later is needed"
                )
            }
            Cause::NotPrimary { role } => write!(
                f,
                "the Redis server is a {role}; connect to the primary, or to a name that leads \
                 there"
            ),
            Cause::Weak(settings) => {
                f.write_str("the Redis server may lose what it acknowledges: set ")?;
                for (index, setting) in settings.iter().enumerate() {
                    let WeakSetting {
                        name,
                        found,
                        needed,
                    } = setting;
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}`{name} {needed}` (it is `{found}`)")?;
                }
                f.write_str(
                    " in its configuration, or accept it with `danger_accept_lost_revocations`",
                )
            }
            Cause::Evicts { policy } => write!(
                f,
                "the Redis server removes keys when its memory is full: set `maxmemory-policy \
                 noeviction` (it is `{policy}`) in its configuration, or accept it with \
                 `danger_accept_evicted_revocations`"
            ),
            Cause::HiddenDurability(_) => f.write_str(
                "the Redis server does not let `CONFIG GET` show whether it may lose what it \
                 acknowledges: allow it, or accept it with `danger_accept_lost_revocations`",
            ),
            Cause::HiddenEviction(_) => f.write_str(
                "the Redis server does not let `CONFIG GET` or `INFO` show whether it removes keys \
                 when its memory is full: allow it, or accept it with \
                 `danger_accept_evicted_revocations`",
            ),
            Cause::NotOnDisk => f.write_str(
                "the Redis server writes its file, and may not have on its disk yet what it \
                 acknowledges, as after it was promoted or `appendonly` was switched on; try again \
                 when `INFO persistence` says `aof_rewrite_in_progress:0`",
            ),
            Cause::TakenKey { key, found } => write!(
                f,
                "the key `{key}` on the Redis server is a {found} of something else: take another \
                 `prefix`"
            ),
            Cause::NotUnderstood { asked } => write!(
                f,
                "the server answered {asked} with what no Redis server would"
            ),
            Cause::Thread(_) => f.write_str("a thread could not be started"),
        }
    }
}

/// From talking to the server.
impl From<RedisError> for RedisConnectCause {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
                Self::Refused(error)
            }
            _ => Self::Unreachable(error),
        }
    }
}

/// With the text, for a `main` that returns the error shows it like this.
impl fmt::Debug for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisConnectError({:?}: {self})", self.0)
    }
}

impl error::Error for RedisConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        use RedisConnectCause as Cause;
        match &self.0 {
            #[cfg(feature = "redis-tls")]
            Cause::InvalidCertificate(source) => Some(&**source),
            Cause::InvalidUrl(source)
            | Cause::Unreachable(source)
            | Cause::Refused(source)
            | Cause::HiddenDurability(source)
            | Cause::HiddenEviction(source) => Some(source),
            Cause::Thread(source) => Some(&**source),
            _ => None,
        }
    }
}
