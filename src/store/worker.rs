//! A thread of the store's own, with a queue.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
};

/// A thread that does jobs in the order in which they come. When this is dropped, it finishes
/// those that wait, and ends; whoever drops it waits for that, unless it was detached.
pub(super) struct Worker<J> {
    jobs: Option<Sender<J>>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> Worker<J> {
    /// Starts the thread; `work` returns when the queue is closed.
    pub(super) fn start(
        name: &str,
        work: impl FnOnce(Receiver<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (send, receive) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || work(receive))?;
        Ok(Self {
            jobs: Some(send),
            thread: Some(thread),
        })
    }

    /// Whoever drops this does not wait for the thread.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn detached(mut self) -> Self {
        self.thread = None;
        self
    }

    /// Puts a job into the queue. Never blocks. If the thread has ended, which it does only by
    /// a panic, the job is dropped.
    pub(super) fn send(&self, job: J) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

/// Tells whoever asked. If that panics, it is his own: the thread goes on for the others.
pub(super) fn tell(told: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(told));
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.take();
        // What a job calls back may have held the last of the store.
        let to_wait_for = thread.filter(|thread| thread.thread().id() != thread::current().id());
        // A panic of the thread was its own: those whose jobs it had were told.
        let _ = to_wait_for.map(JoinHandle::join);
    }
}
