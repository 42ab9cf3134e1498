//! Operations that touch the store: already started, awaited or waited for.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::{Condvar, Mutex};

use crate::StoreError;

/// An operation on the store that has already started.
///
/// The call that returned it has handed the work to the store. It finishes when the
/// authority's thread has put it into force here, or, if the store does not answer or cannot
/// be read, when the store gives up or this replica has become stale.
///
/// `.await` it in a handler, in any async runtime, or call [`wait`](Op::wait)
/// elsewhere. Dropping it cancels nothing: a web framework that drops a handler
/// because its client hung up does not undo a revocation.
#[must_use = "`.await` it or call `.wait()`: only its result says whether it took effect"]
pub struct Op<T, E> {
    shared: Arc<Shared<T, E>>,
}

/// The other end of an [`Op`]: gives it its result.
pub(crate) struct Completer<T, E: From<StoreError>> {
    shared: Arc<Shared<T, E>>,
}

struct Shared<T, E> {
    state: Mutex<State<T, E>>,
    finished: Condvar,
}

enum State<T, E> {
    Running(Option<Waker>),
    Finished(Result<T, E>),
    Taken,
}

impl<T, E> Op<T, E> {
    /// An operation that is finished already.
    pub(crate) fn finished(result: Result<T, E>) -> Self {
        Self::with_state(State::Finished(result))
    }

    /// An operation that runs until its completer says otherwise.
    pub(crate) fn running() -> (Self, Completer<T, E>)
    where
        E: From<StoreError>,
    {
        let op = Self::with_state(State::Running(None));
        let shared = Arc::clone(&op.shared);
        (op, Completer { shared })
    }

    /// Blocks at most so long, and says whether the operation has finished.
    #[cfg(feature = "testing")]
    pub(crate) fn is_finished_within(&self, wait: std::time::Duration) -> bool {
        let mut state = self.shared.state.lock();
        if matches!(*state, State::Running(_)) {
            self.shared.finished.wait_for(&mut state, wait);
        }
        !matches!(*state, State::Running(_))
    }

    fn with_state(state: State<T, E>) -> Self {
        let shared = Shared {
            state: Mutex::new(state),
            finished: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Blocks this thread until the operation has finished, and gives its result.
    ///
    /// Not for async code, where it would hold up the runtime's thread: `.await` there.
    ///
    /// # Errors
    ///
    /// Whatever the operation failed with.
    ///
    /// # Panics
    ///
    /// If it was polled until it was ready before.
    pub fn wait(self) -> Result<T, E> {
        let mut state = self.shared.state.lock();
        while let State::Running(_) = *state {
            self.shared.finished.wait(&mut state);
        }
        state.take()
    }
}

impl<T, E> Future for Op<T, E> {
    type Output = Result<T, E>;

    /// # Panics
    ///
    /// If polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.state.lock();
        let State::Running(waker) = &mut *state else {
            return Poll::Ready(state.take());
        };
        match waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T, E> State<T, E> {
    /// The result of an operation that is not running, once.
    fn take(&mut self) -> Result<T, E> {
        match std::mem::replace(self, State::Taken) {
            State::Finished(result) => result,
            #[expect(clippy::panic, reason = "whoever took the result may not ask again")]
            State::Running(_) | State::Taken => panic!("the Op's result was taken before"),
        }
    }
}

impl<T, E: From<StoreError>> Completer<T, E> {
    /// Finishes the operation and wakes whoever waits for it.
    pub(crate) fn complete(self, result: Result<T, E>) {
        self.finish(result);
    }

    fn finish(&self, result: Result<T, E>) {
        let mut state = self.shared.state.lock();
        let State::Running(waker) = &mut *state else {
            return;
        };
        let waker = waker.take();
        *state = State::Finished(result);
        drop(state);
        self.shared.finished.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T, E: From<StoreError>> Drop for Completer<T, E> {
    /// A store that drops a completion without calling it must not leave anyone waiting.
    fn drop(&mut self) {
        self.finish(Err(StoreError::abandoned().into()));
    }
}

impl<T, E> fmt::Debug for Op<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match *self.shared.state.lock() {
            State::Running(_) => "running",
            State::Finished(_) => "finished",
            State::Taken => "taken",
        };
        write!(f, "Op({state})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        thread,
    };

    type TestOp = Op<u32, StoreError>;

    #[derive(Default)]
    struct CountingWaker(AtomicUsize);

    impl Wake for CountingWaker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_finished_one_is_ready_at_once() {
        assert_eq!(TestOp::finished(Ok(1)).wait().unwrap(), 1);
        let waker = Waker::noop();
        let mut op = TestOp::finished(Ok(2));
        let Poll::Ready(Ok(2)) = Pin::new(&mut op).poll(&mut Context::from_waker(waker)) else {
            panic!("not ready")
        };
        assert_eq!(format!("{op:?}"), "Op(taken)");
    }

    #[test]
    fn completion_wakes_the_last_waker_once() {
        let (mut op, completer) = TestOp::running();
        let first = Arc::new(CountingWaker::default());
        let last = Arc::new(CountingWaker::default());
        for waker in [&first, &last] {
            let waker = Waker::from(Arc::clone(waker));
            let poll = Pin::new(&mut op).poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        completer.complete(Ok(3));
        assert_eq!(first.0.load(Ordering::SeqCst), 0);
        assert_eq!(last.0.load(Ordering::SeqCst), 1);
        assert_eq!(op.wait().unwrap(), 3);
    }

    #[test]
    fn wait_blocks_until_another_thread_completes() {
        let (op, completer) = TestOp::running();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                completer.complete(Ok(4));
            });
            barrier.wait();
            assert_eq!(op.wait().unwrap(), 4);
        });
    }

    /// Hanging for ever would be worse.
    #[test]
    #[should_panic(expected = "taken before")]
    fn waiting_after_it_was_ready_panics() {
        let mut op = TestOp::finished(Ok(6));
        let poll = Pin::new(&mut op).poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_ready());
        let _ = op.wait();
    }

    #[test]
    fn an_abandoned_one_is_an_error() {
        let (op, completer) = TestOp::running();
        drop(completer);
        assert!(op.wait().is_err());
    }

    #[test]
    fn dropping_it_does_not_disturb_the_completer() {
        let (op, completer) = TestOp::running();
        drop(op);
        completer.complete(Ok(5));
    }
}
