//! What an application can be told about as it happens.

use crate::{Epoch, SessionId, StoreError};

/// Is told what happens, for metrics, logs and alarms. It is never given a token or a
/// secret.
///
/// Every method does nothing unless implemented. [`refused`](Self::refused) is called
/// within `verify` and `recheck`, the others by the thread that follows the store, and by
/// `open`: none may block, wait for an operation, or panic.
///
/// What a snapshot brought is not told event by event: to count, use
/// [`Stats`](crate::Stats).
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use epochkey::{Authority, MemoryStore, Observer};
///
/// #[derive(Default)]
/// struct Refusals(AtomicU64);
///
/// impl Observer for Refusals {
///     fn refused(&self, _label: &'static str) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let refusals = Arc::new(Refusals::default());
/// let authority = Authority::builder("https://issuer.example", "api")
///     .observer(Arc::clone(&refusals))
///     .open(MemoryStore::new())?;
/// assert!(authority.verify("garbage").is_err());
/// assert_eq!(refusals.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), epochkey::BuildError>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// `verify` or `recheck` refused a token, with the
    /// [label](crate::VerifyError::label) of the reason.
    fn refused(&self, label: &'static str) {
        let _ = label;
    }

    /// A bump is in force here, whichever replica made it.
    fn bumped(&self, epoch: Epoch) {
        let _ = epoch;
    }

    /// A ring key was introduced, whichever replica did it: tokens of the others stay good.
    fn rotated(&self, epoch: Epoch) {
        let _ = epoch;
    }

    /// The ring was swapped, whichever replica did it: all tokens from before are dead.
    fn swapped(&self, epoch: Epoch) {
        let _ = epoch;
    }

    /// This replica has begun a new history, because the store had lost what it
    /// acknowledged or somebody said [`start_over`](crate::Authority::start_over): everybody
    /// logs in again.
    fn restarted(&self) {}

    /// An exchange with the store, or work that the clock demands, failed: why this replica
    /// may become [stale](Self::stale), or why no key is rotated. It is tried again.
    fn failed(&self, error: &StoreError) {
        let _ = error;
    }

    /// This replica has no fresh news of the store, and refuses everything for now.
    fn stale(&self) {}

    /// This replica has fresh news again.
    fn recovered(&self) {}

    /// A refresh token was used again after its successor had been: it was stolen, or the
    /// store lost its tail. The session is ended; warn its user.
    fn reused(&self, user: &str, session: &SessionId) {
        let _ = (user, session);
    }

    /// A refresh token was shown again within the grace window, and got the same successor. A
    /// lost response, or two tabs at once; many of them for one session are the only sign of a
    /// thief in step with the owner.
    fn replayed(&self, user: &str, session: &SessionId) {
        let _ = (user, session);
    }
}

impl<O: Observer + ?Sized> Observer for std::sync::Arc<O> {
    fn refused(&self, label: &'static str) {
        (**self).refused(label);
    }

    fn bumped(&self, epoch: Epoch) {
        (**self).bumped(epoch);
    }

    fn rotated(&self, epoch: Epoch) {
        (**self).rotated(epoch);
    }

    fn swapped(&self, epoch: Epoch) {
        (**self).swapped(epoch);
    }

    fn restarted(&self) {
        (**self).restarted();
    }

    fn failed(&self, error: &StoreError) {
        (**self).failed(error);
    }

    fn stale(&self) {
        (**self).stale();
    }

    fn recovered(&self) {
        (**self).recovered();
    }

    fn reused(&self, user: &str, session: &SessionId) {
        (**self).reused(user, session);
    }

    fn replayed(&self, user: &str, session: &SessionId) {
        (**self).replayed(user, session);
    }
}

/// Tells nobody.
pub(crate) struct NoObserver;

impl Observer for NoObserver {}
