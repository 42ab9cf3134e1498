//! Where the epoch log lives.

mod memory;

pub use self::memory::MemoryStore;

/// A store that an [`Authority`](crate::Authority) can be opened on.
///
/// The crate's own stores implement it; its contract is not open to others yet.
pub trait Store: sealed::Backend {}

pub(crate) mod sealed {
    use crate::{
        StoreError,
        epoch_log::{Change, Event},
        history::HistoryId,
    };

    /// Called once with a commit's outcome, from any thread.
    pub(crate) type Completion = Box<dyn FnOnce(Result<Committed, StoreError>) + Send>;

    /// The positions that a commit's changes were given: consecutive, from `first`
    /// to `last`.
    #[derive(Debug, Clone, Copy)]
    pub struct Committed {
        pub(crate) first: u64,
        pub(crate) last: u64,
    }

    pub trait Backend: Send + Sync + 'static {
        /// The history of the store's log, which is `fresh` if the log begins now.
        fn history(&self, fresh: HistoryId) -> HistoryId;

        /// Appends the changes to the log, all or none, at consecutive positions
        /// above every earlier one.
        fn commit(&self, changes: Vec<Change>, done: Completion);

        /// The next events after `position`, in order; empty at the log's head.
        fn events_after(&self, position: u64) -> Result<Vec<Event>, StoreError>;
    }
}
