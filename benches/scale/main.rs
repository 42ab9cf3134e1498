//! What a second thread gains, and how long the slowest verifies take, while nobody writes and
//! while somebody bumps and rotates.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench scale`
//!
//! Gains are compared with those of ring's HMAC on the same machine, measured in turns; slow
//! verifies with what the machine does to a loop that is empty, measured between them.

mod crew;
mod gains;
mod latency;
mod writer;

use std::time::Duration;

use epochkey::{Authority, Grant, MemoryStore, Policy, Token};
use epochkey_benches::{AUDIENCE, ISSUER, ours::user};

use self::writer::Writer;

/// Users whose tokens are verified in turn.
const USERS: usize = 1024;
/// So short that the keys of one rotation a second are not too many. Every round has tokens of
/// its own.
const LIFETIME: Duration = Duration::from_secs(12);

fn main() {
    let authority = authority();
    gains::print("nobody writes", &authority);
    let writer = Writer::start(&authority);
    let described = writer.to_string();
    gains::print(&described, &authority);
    latency::print(&described, &authority);
    println!("{}", writer.stop());
}

fn authority() -> Authority {
    let policy = Policy::default()
        .token_lifetime(LIFETIME)
        .max_clock_skew(Duration::from_secs(1))
        .max_staleness(Duration::from_secs(2))
        .rotate_by_hand();
    Authority::builder(ISSUER, AUDIENCE)
        .policy(policy)
        .open(MemoryStore::new())
        .expect("the settings are valid")
}

/// One of each user.
fn tokens(authority: &Authority) -> Vec<Token> {
    (0..USERS)
        .map(|n| authority.issue(Grant::user(user(n))).expect("a token"))
        .collect()
}
