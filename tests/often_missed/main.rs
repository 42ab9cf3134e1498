//! The cases that token and session libraries miss most often, each with a short test of its
//! name. Where another file tests the whole family, the test says which.
//!
//! | case | in |
//! |---|---|
//! | 1. a valid MAC over hostile structure | `tokens` |
//! | 2. duplicates through `\u` escapes | `tokens` |
//! | 3. registered claims present but malformed | `tokens` |
//! | 4. `exp` equal to now, and at the largest number | `times` |
//! | 5. issue and bump race across processes | `races` |
//! | 6. a read begun before a bump finishes after it | `races` |
//! | 7. a crash during recovery, an old backup | `recovery` |
//! | 8. a loss, then a bump at the same position | `recovery` |
//! | 9. lifetimes shortened and lengthened, a user created again | `times` |
//! | 10. a feed that looks connected and delivers nothing | `feeds` |
//! | 11. honest parallel refreshes | `sessions` |
//! | 12. the identity of keys and secrets | `secrets` |

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[macro_use]
#[path = "../replicas/delegate.rs"]
mod delegate;

#[allow(dead_code)]
#[path = "../power/crash.rs"]
mod crash;
#[allow(dead_code)]
#[path = "../power/disk.rs"]
mod disk;
mod dying;
mod feeds;
#[allow(dead_code)]
#[path = "../replicas/support.rs"]
mod fleet;
#[allow(dead_code)]
#[path = "../api/support.rs"]
mod forger;
mod races;
#[allow(dead_code)]
#[path = "../simulation/random.rs"]
mod random;
mod recovery;
mod secrets;
mod sessions;
mod times;
mod tokens;
