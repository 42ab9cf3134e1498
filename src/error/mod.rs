//! What can go wrong: one narrow type for each operation.

mod build;
mod change;
mod claims;
mod issue;
mod master_secret;
mod verify;

pub use self::{
    build::BuildError,
    change::{BumpError, StoreError, SwapError},
    claims::ClaimsError,
    issue::IssueError,
    master_secret::MasterSecretError,
    verify::VerifyError,
};
