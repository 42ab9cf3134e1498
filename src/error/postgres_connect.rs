use std::{error, fmt, io, sync::Arc};

use crate::RandomError;

/// Why a [`PostgresStore`](crate::PostgresStore) could not be connected. If anything was changed
/// on the server, then its tables were made, all of them.
pub struct PostgresConnectError(pub(crate) PostgresConnectCause);

type Source = Arc<dyn error::Error + Send + Sync>;

#[derive(Debug, Clone)]
pub(crate) enum PostgresConnectCause {
    InvalidUrl(Source),
    #[cfg(not(feature = "postgres-tls"))]
    NeedsTls,
    InvalidSchema(String),
    InvalidTimeout,
    #[cfg(feature = "postgres-tls")]
    InvalidCertificate(Source),
    Unreachable(Source),
    Refused(Source),
    OldVersion {
        found: String,
    },
    NotPrimary,
    Weak(String),
    NewerSchema {
        found: i32,
    },
    NotUnderstood {
        asked: &'static str,
    },
    Thread(Arc<io::Error>),
    Random(RandomError),
}

impl PostgresConnectError {
    /// A short fixed name for metrics and logs: `invalid_url`, `invalid_schema`,
    /// `invalid_timeout`, `invalid_certificate`, `unreachable`, `refused`, `old_version`,
    /// `not_primary`, `weak_durability`, `newer_schema`, `not_understood`,
    /// `thread` or `random`.
    pub fn label(&self) -> &'static str {
        use PostgresConnectCause as Cause;
        match self.0 {
            Cause::InvalidUrl(_) => "invalid_url",
            #[cfg(not(feature = "postgres-tls"))]
            Cause::NeedsTls => "invalid_url",
            Cause::InvalidSchema(_) => "invalid_schema",
            Cause::InvalidTimeout => "invalid_timeout",
            #[cfg(feature = "postgres-tls")]
            Cause::InvalidCertificate(_) => "invalid_certificate",
            Cause::Unreachable(_) => "unreachable",
            Cause::Refused(_) => "refused",
            Cause::OldVersion { .. } => "old_version",
            Cause::NotPrimary => "not_primary",
            Cause::Weak(_) => "weak_durability",
            Cause::NewerSchema { .. } => "newer_schema",
            Cause::NotUnderstood { .. } => "not_understood",
            Cause::Thread(_) => "thread",
            Cause::Random(_) => "random",
        }
    }
}

impl fmt::Display for PostgresConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use PostgresConnectCause as Cause;
        match &self.0 {
            Cause::InvalidUrl(_) => f.write_str(
                "not a URL of a PostgreSQL server, such as \
                 `postgres://user:password@host:5432/database?sslmode=require`",
            ),
            #[cfg(not(feature = "postgres-tls"))]
            Cause::NeedsTls => {
                f.write_str("`sslmode=require` needs epochkey's feature `postgres-tls`")
            }
            Cause::InvalidSchema(schema) => {
                write!(f, "the schema `{schema}` is not a name of 1 to 63 bytes")
            }
            Cause::InvalidTimeout => f.write_str("a time-out is 0"),
            #[cfg(feature = "postgres-tls")]
            Cause::InvalidCertificate(_) => f.write_str("a certificate or a key cannot be read"),
            Cause::Unreachable(_) => f.write_str("the PostgreSQL server could not be connected to"),
            Cause::Refused(_) => f.write_str(
                "the PostgreSQL server was reached and refuses what is asked of it; see what it \
                 says, and whether the URL's role may do what the guide's page on replicas says",
            ),
            Cause::OldVersion { found } => write!(
                f,
                "the PostgreSQL server is of version {found}; 14 or later is needed"
            ),
            Cause::NotPrimary => f.write_str(
                "the PostgreSQL server is a standby; connect to the primary, or to a name that \
                 leads there, or name all hosts in the URL",
            ),
            Cause::Weak(found) => write!(
                f,
                "the PostgreSQL server may lose what it acknowledges: {found}; change that, or \
                 accept it with `danger_accept_lost_revocations`"
            ),
            Cause::NewerSchema { found } => write!(
                f,
                "the tables are of version {found}, which a newer version of epochkey has made; \
                 update this process"
            ),
            Cause::NotUnderstood { asked } => write!(
                f,
                "the server answered with what no PostgreSQL server would, when asked for {asked}"
            ),
            Cause::Thread(_) => f.write_str("a thread could not be started"),
            Cause::Random(_) => f.write_str("no random bytes for a name of its own"),
        }
    }
}

/// With the text, for a `main` that returns the error shows it like this.
impl fmt::Debug for PostgresConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresConnectError({:?}: {self})", self.0)
    }
}

impl error::Error for PostgresConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        use PostgresConnectCause as Cause;
        match &self.0 {
            #[cfg(feature = "postgres-tls")]
            Cause::InvalidCertificate(source) => Some(&**source),
            Cause::InvalidUrl(source) | Cause::Unreachable(source) | Cause::Refused(source) => {
                Some(&**source)
            }
            Cause::Thread(source) => Some(&**source),
            Cause::Random(source) => Some(source),
            _ => None,
        }
    }
}
