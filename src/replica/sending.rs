//! Requests to a store, and the result that they lead to.

use std::sync::Arc;

use parking_lot::ReentrantMutex;

/// The requests of one operation that are being sent.
///
/// The answer to a request may come, and lead to the result, while the thread that has sent it
/// is still about to return from the store. Whoever has the result may open the store again,
/// so that thread must have let go of it before.
#[derive(Clone, Default)]
pub(crate) struct Sending(Arc<ReentrantMutex<()>>);

impl Sending {
    /// Sends a request, with all that it holds of the store.
    pub(crate) fn send(&self, request: impl FnOnce()) {
        let _sending = self.0.lock();
        request();
    }

    /// Waits until no other thread is within a request, which takes a moment: none of them waits.
    pub(crate) fn wait(&self) {
        drop(self.0.lock());
    }
}
