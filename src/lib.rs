//! placeholder
#![forbid(unsafe_code)]

mod authority;
mod clock;
mod crypto;
mod epoch;
mod epoch_log;
mod epoch_table;
mod error;
mod grant;
mod history;
mod hook;
mod id;
mod key_ring;
mod op;
mod policy;
mod replica;
mod scope;
mod seal;
mod session_id;
mod stats;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;
mod verified;

pub use self::{
    authority::{Authority, Builder, Explanation, Step},
    clock::{Clock, SystemClock},
    crypto::RandomError,
    epoch::{Epoch, Mark},
    error::{BuildError, BumpError, ClaimsError, IssueError, StoreError, SwapError, VerifyError},
    grant::Grant,
    id::IdError,
    op::Op,
    policy::Policy,
    scope::{Scope, ScopeKind},
    session_id::SessionId,
    stats::Stats,
    store::{MemoryStore, Store},
    token::Token,
    verified::Verified,
};
