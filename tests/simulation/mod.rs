//! A fleet of replicas on a store that fails, at random, and a plain model of what they
//! promise.
//!
//! The [world](world) is the real code: replicas with their tables, rings and sessions, on the
//! store in memory, behind connections that fail as told. It takes one [step](steps) after the
//! other. There are no threads, and the clocks stand still until they are told.
//!
//! The [ledger](ledger) remembers everything that the store ever kept, lost or not. It learns it
//! from a [witness](witness) on every connection, and knows nothing of tables, floors, seals or
//! rows. After every step the [judge](judge) asks replicas, and compares what they answer
//! with what follows from the ledger.
//!
//! Everything follows from a seed, and what a step does from the seed and the step's
//! number alone: other steps can be [left out](shrink).

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod changes;
mod clients;
mod faults;
mod finale;
mod interlude;
mod judge;
pub(crate) mod ledger;
mod logins;
mod operation;
mod plan;
mod proofs;
mod random;
pub(crate) mod replica;
mod rows;
pub(crate) mod runs;
pub(crate) mod shrink;
mod steps;
mod token;
pub(crate) mod witness;
mod world;

use std::time::Duration;

/// When the clocks start, in seconds since 1970.
pub(crate) const START: u64 = 1_700_000_000;
const SKEW: Duration = Duration::from_secs(2);
const STALENESS: Duration = Duration::from_secs(10);
/// In seconds: the policy's default for this skew.
const LEEWAY: u64 = 4;

/// Something that was promised and is not so.
#[derive(Debug, Clone)]
pub(crate) struct Wrong {
    /// What was promised.
    pub(crate) rule: &'static str,
    /// What is the case.
    pub(crate) how: String,
}

type Checked = Result<(), Wrong>;

fn wrong<T>(rule: &'static str, how: String) -> Result<T, Wrong> {
    Err(Wrong { rule, how })
}
