//! Signed tokens that can be **revoked at once**, with no denylist and no look-up
//! outside the process.
//!
//! # The problem
//!
//! A JSON Web Token is fast to check because nothing is looked up: a signature, an
//! expiry. That is also why logging out does not work: the token stays good until it
//! expires. A denylist or a session table brings the look-up back; short lifetimes only
//! shorten the exposure.
//!
//! # Two locks
//!
//! An epochkey token is a standard compact JWS, held by two locks:
//!
//! 1. the **global lock**, its signature, made with a key of the key ring;
//! 2. the **personal lock**, a *seal* inside the signed payload: a 16-byte MAC that only
//!    the current secret *epochs* of its user, its session and its groups produce.
//!
//! Each of these three is a **scope**: a user, a session (one log-in on one device), a
//! group (a tenant, a role, an app version: whatever you name so).
//! [Bumping](Authority::bump) a scope starts a new epoch with a fresh random secret, and
//! every seal made before it is wrong from then on. [Swapping](Authority::swap_key) the
//! key ring breaks every signature. Verifying computes the seal again from a table in
//! memory, or finds that nothing it is made of has changed: no I/O, no lock that a writer
//! can hold, no state that a token needs.
//!
//! # Ten lines
//!
//! ```
//! use epochkey::{Authority, Grant, MemoryStore, Scope, VerifyError};
//!
//! let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
//! let token = authority.issue(Grant::user("u-42").group("org:acme"))?;
//!
//! let verified = authority.verify(&token)?;                // in every request handler
//! assert_eq!(verified.user(), "u-42");
//!
//! authority.bump(Scope::user("u-42")).wait()?;             // in admin code; or .await
//! assert!(matches!(authority.verify(&token), Err(VerifyError::Revoked { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! | to | see |
//! |---|---|
//! | issue and verify | [`Authority`], [`Grant`], [`Verified`] |
//! | revoke | [`Authority::bump`], [`Authority::bump_many`], [`Authority::swap_key`], [`Scope`] |
//! | keep users logged in | [`Authority::sessions`], [`Sessions`], and the guide's page on [sessions](guide::sessions) |
//! | know what to do when something went wrong | the guide's [remedies](guide::remedies) |
//! | know who refuses what, and when | the guide's page on [revocation](guide::revocation) |
//! | know what users see when a part is down | the guide's [failure modes](guide::failures) |
//! | change the signing key unnoticed, change the master secret, react to a leak | [`Authority::rotate_key`], [`Policy::rotate_every`], and the guide's page on [rotation](guide::rotation) |
//! | check again in a WebSocket | [`Authority::recheck`] |
//! | demand a recent password | [`Verified::authenticated_within`], [`Sessions::reauthenticated`], [`Policy::max_authentication_age`] |
//! | set lifetimes and limits | [`Policy`] |
//! | find out why a token is refused | [`VerifyError`], [`Authority::explain`] |
//! | keep stale facts out of new tokens | [`Authority::mark`], [`Grant::as_of`] |
//! | run several processes | [`Policy::max_staleness`], [`Authority::wait_for`], [`Authority::applied_everywhere`], [`Authority::catch_up`], [`Authority::freshness`] |
//! | protect what a store keeps | [`MasterSecret`], [`Authority::rewrap_secrets`] |
//! | measure and raise alarms | [`Observer`], [`Authority::stats`] |
//! | keep it in one file | `RedbStore`, and the [guide]'s page on backups |
//! | share it on a server | `PostgresStore`, `RedisStore`, and the [guide]'s page on running replicas |
//! | write a store | [`store`] |
//! | plan memory and servers | the guide's page on [capacity](guide::capacity) |
//! | decide whether to use it | the guide's [comparison](guide::comparison) |
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | **ring key** | a signing key: *announced* (verifies, does not sign yet), then *active*, then *retiring* (verifies only), then gone |
//! | **key ring** | the live ring keys |
//! | **rotate** | bring in a new ring key in stages; nobody is logged out |
//! | **swap** | replace the ring at once; every outstanding token dies |
//! | **epoch** | what a bump starts: a position in the epoch log and a secret that no token contains |
//! | **epoch log** | all bumps, rotations, swaps and retirements in their order, at positions 1, 2, 3 … |
//! | **epoch table** | the current epochs in memory; those that concern no live key are *pruned* |
//! | **floor** | the position up to which the table was pruned |
//! | **mark** | a moment in the epoch log, taken before facts are read |
//! | **store** | where the log and the wrapped secrets are kept |
//! | **master secret** | what wraps every other secret before it reaches a store |
//! | **session** | one log-in on one device, with a refresh token that changes with every use |
//! | **history** | a store's log from its beginning; a new one begins when a loss is noticed |
//! | **replica** | a process that follows a shared store |
//!
//! # What it does not do
//!
//! - It does not encrypt: whoever holds a token can read its claims.
//! - It does not authenticate users or store passwords.
//! - A stolen token is good until it expires or its scope is bumped.
//! - A thief who refreshes a session in step with its owner, each time within the grace window, is
//!   not caught; [`Observer::replayed`] is the only sign.
//! - A thief of the signing key cannot mint for a user whose current seal they have not
//!   seen, but with a live token of a user can give that user any claims.
//! - [`MemoryStore`] forgets on restart. All tokens are refused then; nothing revoked comes
//!   back. `RedbStore` keeps everything in one file.
//! - An old file that was put back brings revoked tokens back, until
//!   [`Authority::restored_from_backup`] is said.
//! - When a shared store loses what it acknowledged, as in a failover, everybody is logged
//!   out; and until the first replica notices, others accept what the lost bump had
//!   revoked. If no replica was running, only the operator knows: see
//!   [`Authority::restored_from_backup`].
//! - Two primaries of a store at once defeat every bound on staleness: fence it.
//! - Just after a swap, a replica that was not told yet refuses the new tokens as
//!   [`UnknownKey`](VerifyError::UnknownKey).
//!
//! # Features
//!
//! None by default.
//!
//! | feature | adds | brings |
//! |---|---|---|
//! | `redb` | `RedbStore`: everything in one file | redb, tempfile |
//! | `postgres` | `PostgresStore`: many processes on one PostgreSQL server | tokio-postgres, tokio, futures-util, backon |
//! | `postgres-tls` | its encrypted connections | rustls on ring, tokio-postgres-rustls, rustls-native-certs |
//! | `redis` | `RedisStore`: many processes on one Redis server | redis, backon |
//! | `redis-tls` | its encrypted connections | rustls on ring, rustls-native-certs |
//! | `testing` | the module `testing`, for dev-dependencies only: a one-line authority, the manual clock, a store that fails as told, the contract suite for stores, known secrets | nothing |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate self as epochkey;

mod authority;
mod bug;
mod clock;
mod counters;
mod crypto;
mod epoch;
mod epoch_log;
mod epoch_table;
mod era;
mod error;
mod grant;
pub mod guide;
mod history_secrets;
mod hook;
mod id;
mod key_ring;
mod mark;
mod master_secret;
mod observer;
mod op;
mod policy;
mod replica;
mod ring_key;
mod scope;
mod seal;
mod session_id;
mod sessions;
mod stats;
pub mod store;
mod sync;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod thread_cache;
mod token;
mod verified;
mod wrapping;

#[cfg(test)]
mod scarce_random;
#[cfg(test)]
#[path = "../tests/simulation/bugs.rs"]
mod simulated_bugs;
#[cfg(test)]
#[path = "../tests/simulation/mod.rs"]
mod simulation;

pub use self::{
    authority::{Authority, AuthorityBuilder, Explanation, Step},
    clock::{Clock, SystemClock},
    crypto::RandomError,
    epoch::{Epoch, EpochError},
    error::{
        BuildError, BumpError, ClaimsError, IssueError, MasterSecretError, RefreshError,
        RotateError, SessionError, StartError, StoreError, SwapError, VerifyError,
    },
    grant::Grant,
    id::IdError,
    mark::Mark,
    master_secret::MasterSecret,
    observer::Observer,
    op::Op,
    policy::{Policy, WhenFull},
    replica::{Freshness, ReplicaStatus},
    scope::{Scope, ScopeKind},
    session_id::SessionId,
    sessions::{RefreshToken, Session, Sessions, TokenPair},
    stats::{Refused, Stats},
    store::{MemoryStore, Store},
    token::Token,
    verified::Verified,
};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use self::{
    error::PostgresConnectError,
    store::{PostgresOptions, PostgresStore},
};
#[cfg(feature = "redb")]
#[cfg_attr(docsrs, doc(cfg(feature = "redb")))]
pub use self::{error::RedbOpenError, store::RedbStore};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::{
    error::RedisConnectError,
    store::{RedisOptions, RedisStore},
};

/// The README's example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
