use std::time::Duration;

use crate::{Authority, AuthorityBuilder, Op, StoreError};

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

/// Follows the store once, and gives the result of an operation that was started before.
///
/// Blocks for ever if the operation is not finished by that and nobody else follows the
/// authority: where the connection is cut or commits are held, follow it yourself.
///
/// # Errors
///
/// What the operation failed with.
pub fn finish<T, E>(authority: &Authority, operation: Op<T, E>) -> Result<T, E> {
    // If it fails, the operation does, or waits for the next attempt of another thread.
    let _ = follow(authority);
    operation.wait()
}
