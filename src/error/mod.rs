//! What can go wrong: one narrow type for each operation.

mod build;
mod change;
mod claims;
mod issue;
mod verify;

pub use self::{
    build::BuildError,
    change::{BumpError, StoreError, SwapError},
    claims::ClaimsError,
    issue::IssueError,
    verify::VerifyError,
};
