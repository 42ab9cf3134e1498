//! The one thread of an authority: it follows the store and does what time demands.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::Inner;
use crate::{
    crypto::random_array,
    replica::is_answering,
    store::{Reach, Store},
};

/// News is asked for at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// After a failure, the pause before the next attempt; it doubles up to the longest wait, and is
/// up to twice as long by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Keeps the thread running. Every [`Authority`](crate::Authority) and every operation
/// under way holds it; with the last of them the thread stops.
pub(super) struct Running {
    stop: Arc<Stop>,
    store: Arc<dyn Store>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Running {
    /// Starts the thread.
    pub(super) fn start(inner: &Arc<Inner>) -> io::Result<Self> {
        let mut running = Self::without_thread(inner);
        let (inner, stop) = (Arc::clone(inner), Arc::clone(&running.stop));
        let thread = thread::Builder::new().name("epochkey".to_owned());
        running.thread = Some(thread.spawn(move || follow(&Following(inner), &stop))?);
        Ok(running)
    }

    /// Lets go from within an operation. The thread stops with the last one, but nobody waits
    /// for it: this may be a thread of the store that it is itself waiting for.
    pub(super) fn let_go(self: Arc<Self>) {
        if let Some(mut last) = Arc::into_inner(self) {
            last.thread = None;
        }
    }

    /// For tests that do by hand what the thread does.
    pub(super) fn without_thread(inner: &Inner) -> Self {
        Self {
            stop: Arc::default(),
            store: Arc::clone(&inner.replica.source().store),
            thread: None,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *self.stop.stopped.lock() = true;
        self.stop.changed.notify_all();
        self.store.wake();
        // Whoever drops an authority may open its store again, so it must be let go of. A
        // shared store may take its time to answer, and nobody needs to wait for that.
        let thread = self.thread.take();
        let to_wait_for = thread.filter(|thread| {
            // An observer may hold the last authority.
            let is_this_one = thread.thread().id() == thread::current().id();
            // A waker may hold it too, and be called by the store's own thread, for which the
            // authority's may be waiting.
            self.store.reach() != Reach::Shared && !is_this_one && !is_answering()
        });
        // A panic of the thread was its own: nothing is left to be told.
        let _ = to_wait_for.map(JoinHandle::join);
    }
}

impl Stop {
    fn is_stopped(&self) -> bool {
        *self.stopped.lock()
    }

    fn pause(&self, pause: Duration) {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, pause);
        }
    }
}

/// While this lives, somebody follows the store. If the thread ends, by a panic in the
/// store or the observer too, nothing is accepted any more.
struct Following(Arc<Inner>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.replica.abandon();
    }
}

fn follow(following: &Following, stop: &Stop) {
    let inner = &following.0;
    // An exchange counts from when it was sent, so a wait ages the news it brings.
    let wait = LONGEST_WAIT.min(inner.policy.max_staleness() / 4);
    let mut pause = FIRST_PAUSE;
    while !stop.is_stopped() {
        let is_fresh = inner.replica.now().is_fresh;
        // Who knows nothing that counts asks, and does not wait for more to come.
        match inner
            .replica
            .follow(if is_fresh { wait } else { Duration::ZERO })
        {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // What could not be done is due again in the next turn.
                if let Err(error) = inner.maintain() {
                    inner.replica.observer().failed(&error);
                }
            }
            Err(_) => {
                stop.pause(pause.mul_f64(1.0 + chance(inner)));
                pause = LONGEST_WAIT.min(pause * 2);
            }
        }
    }
}

/// From 0 to 1, so that replicas which lost a store together do not come back together.
fn chance(inner: &Inner) -> f64 {
    let random = random_array::<1>(&*inner.replica.source().random);
    random.map_or(0.0, |[byte]| f64::from(byte) / 255.0)
}
