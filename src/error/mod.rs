//! What can go wrong: one narrow type for each operation.

mod build;
mod change;
mod claims;
mod issue;
mod master_secret;
#[cfg(feature = "redb")]
mod redb_open;
mod session;
mod store;
mod verify;

#[cfg(feature = "redb")]
pub(crate) use self::redb_open::RedbOpenCause;
#[cfg(feature = "redb")]
pub use self::redb_open::RedbOpenError;
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
