//! What a server may still send on a connection: neither a message without an end nor endless
//! messages fill the memory.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// How many bytes of settings it may tell of in all the time of a connection, for the library
/// keeps them: each time that one is changed, as `search_path` is by each transaction of ours,
/// newer servers tell.
const SETTINGS: usize = 16 * 1024 * 1024;

/// Shared by who asks and who reads.
#[derive(Clone)]
pub(super) struct Budget(Arc<Left>);

struct Left {
    bytes: AtomicUsize,
    answers: AtomicUsize,
    settings: AtomicUsize,
    has_committed: AtomicBool,
}

impl Budget {
    /// For so many bytes of one answer, which is how a connection begins.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Left {
            bytes: AtomicUsize::new(bytes),
            answers: AtomicUsize::new(1),
            settings: AtomicUsize::new(SETTINGS),
            has_committed: AtomicBool::new(false),
        }))
    }

    pub(super) fn set(&self, bytes: usize) {
        self.0.bytes.store(bytes, Ordering::SeqCst);
    }

    /// So many more answers are asked for.
    pub(super) fn expect(&self, answers: usize) {
        self.0.answers.fetch_add(answers, Ordering::SeqCst);
    }

    pub(super) fn take(&self, bytes: usize) -> io::Result<()> {
        less(&self.0.bytes, bytes).ok_or_else(|| io::Error::other("the answer is too large"))
    }

    pub(super) fn take_answer(&self) -> io::Result<()> {
        let error = || io::Error::other("an answer that nobody asked for");
        less(&self.0.answers, 1).ok_or_else(error)
    }

    pub(super) fn take_setting(&self, bytes: usize) -> io::Result<()> {
        let error = || io::Error::other("settings without an end");
        less(&self.0.settings, bytes).ok_or_else(error)
    }

    /// Whether another connection is to be made before this one has told of too many settings.
    pub(super) fn is_worn(&self) -> bool {
        self.0.settings.load(Ordering::SeqCst) < SETTINGS / 2
    }

    /// A transaction was committed.
    pub(super) fn committed(&self) {
        self.0.has_committed.store(true, Ordering::SeqCst);
    }

    /// Whether one was since this was last asked.
    pub(super) fn take_committed(&self) -> bool {
        self.0.has_committed.swap(false, Ordering::SeqCst)
    }
}

/// `None` if there are not so many.
fn less(left: &AtomicUsize, taken: usize) -> Option<()> {
    let rest = left.load(Ordering::SeqCst).checked_sub(taken)?;
    left.store(rest, Ordering::SeqCst);
    Some(())
}
