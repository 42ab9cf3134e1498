use std::time::Duration;

use crate::{Authority, AuthorityBuilder, Op, StoreError};

/// A store with a thread of its own may take longer than one look.
const POLL: Duration = Duration::from_millis(1);

/// Makes the authority one without a thread: what the thread does, a test does with
/// [`follow`] and [`maintain`]. An operation finishes only when it is followed to, so
/// that a test decides what arrives when.
///
/// ```
/// use epochkey::{Authority, MemoryStore, Scope, testing};
///
/// let builder = Authority::builder("https://issuer.test", "api");
/// let authority = testing::by_hand(builder).open(MemoryStore::new())?;
/// let bump = authority.bump(Scope::user("u-42"));
/// assert_eq!(authority.stats().epochs, 0);             // kept, not in force yet
/// testing::follow(&authority)?;
/// assert_eq!(authority.stats().epochs, 1);
/// bump.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn by_hand(builder: AuthorityBuilder) -> AuthorityBuilder {
    builder.by_hand()
}

/// Asks the store for news once, without waiting for any, and applies it.
///
/// # Errors
///
/// [`StoreError`], which makes the thread of other authorities try again.
pub fn follow(authority: &Authority) -> Result<(), StoreError> {
    authority.replica().follow(Duration::ZERO)
}

/// Does what the clock demands: introduces and retires ring keys, tidies the store.
/// [`follow`] then applies it.
///
/// # Errors
///
/// [`StoreError`], which makes the thread of other authorities try again.
pub fn maintain(authority: &Authority) -> Result<(), StoreError> {
    authority.maintain()
}

/// Follows the store until an operation that was started before is finished, and gives its
/// result.
///
/// Blocks for ever if that is not enough: where commits are held, release them first.
///
/// # Errors
///
/// What the operation failed with.
pub fn finish<T, E>(authority: &Authority, operation: Op<T, E>) -> Result<T, E> {
    loop {
        // If it fails, so does the operation, or the next attempt does better.
        let _ = follow(authority);
        if operation.is_finished_within(POLL) {
            return operation.wait();
        }
    }
}
