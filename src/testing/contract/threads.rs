//! Several that ask at the same time.

use std::{
    panic,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, ScopedJoinHandle},
};

/// Does something on so many threads, all begun at the same time, and gives the results in
/// the order of the threads' numbers.
pub(super) fn together<T: Send>(threads: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    let (barrier, act) = (&barrier, &act);
    thread::scope(|scope| {
        let act_of = |number| {
            scope.spawn(move || {
                barrier.wait();
                act(number)
            })
        };
        let spawned: Vec<_> = (0..threads).map(act_of).collect();
        spawned.into_iter().map(joined).collect()
    })
}

/// What a thread gives; if it has panicked, its panic goes on here.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    let result = thread.join();
    result.unwrap_or_else(|cause| panic::resume_unwind(cause))
}

/// Does something on a thread of its own that may never end; what it gives comes out of
/// the channel.
pub(super) fn apart<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more only if the clause has failed.
        let _ = send.send(act());
    });
    receive
}

/// Becomes true when this goes, also by a panic.
pub(super) struct UntilDropped<'a>(pub(super) &'a AtomicBool);

impl Drop for UntilDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
