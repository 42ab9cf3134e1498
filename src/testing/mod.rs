//! For tests: a one-line authority, the manual clock, a store that fails as told, the
//! contract suite for stores, known secrets.
//!
//! With the feature `testing`, to be enabled under `[dev-dependencies]` only:
//! what is here can make secrets known.

mod by_hand;
mod clock;
#[expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a clause that is not kept fails the test that runs it"
)]
mod contract;
mod faulty;
mod known;

pub use self::by_hand::{by_hand, finish, follow, maintain};
pub use self::clock::ManualClock;
pub use self::contract::store_contract;
pub use self::faulty::{Backup, FaultyStore};
pub use self::known::{ExposedKey, ExposedSecrets, expose_epoch, expose_secrets, known_secrets};

use crate::{Authority, BuildError, MemoryStore};

/// An authority on a fresh [`MemoryStore`], for the issuer `https://issuer.test`
/// and the audience `api`, with the default policy.
///
/// # Errors
///
/// [`BuildError`] if the operating system gives no random bytes.
///
/// ```
/// let authority = epochkey::testing::authority()?;
/// let token = authority.issue(epochkey::Grant::user("u-42"))?;
/// assert!(authority.verify(token).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn authority() -> Result<Authority, BuildError> {
    Authority::builder("https://issuer.test", "api").open(MemoryStore::new())
}
