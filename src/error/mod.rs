//! What can go wrong: one narrow type for each operation.

mod build;
mod change;
mod claims;
mod issue;
mod master_secret;
mod store;
mod verify;

pub use self::{
    build::BuildError,
    change::{BumpError, RotateError, SwapError},
    claims::ClaimsError,
    issue::IssueError,
    master_secret::MasterSecretError,
    store::StoreError,
    verify::VerifyError,
};
