//! What can go wrong: one narrow type for each operation.

mod build;
mod change;
mod claims;
#[cfg(test)]
mod common;
mod issue;
mod master_secret;
#[cfg(feature = "postgres")]
mod postgres_connect;
#[cfg(feature = "redb")]
mod redb_open;
#[cfg(feature = "redis")]
mod redis_connect;
mod session;
mod store;
mod verify;

#[cfg(feature = "postgres")]
pub(crate) use self::postgres_connect::PostgresConnectCause;
#[cfg(feature = "postgres")]
pub use self::postgres_connect::PostgresConnectError;
#[cfg(feature = "redb")]
pub(crate) use self::redb_open::RedbOpenCause;
#[cfg(feature = "redb")]
pub use self::redb_open::RedbOpenError;
#[cfg(feature = "redis")]
pub use self::redis_connect::RedisConnectError;
#[cfg(feature = "redis")]
pub(crate) use self::redis_connect::{RedisConnectCause, WeakSetting};
pub use self::{
    build::BuildError,
    change::{BumpError, RotateError, SwapError},
    claims::ClaimsError,
    issue::IssueError,
    master_secret::MasterSecretError,
    session::{RefreshError, SessionError, StartError},
    store::StoreError,
    verify::VerifyError,
};
