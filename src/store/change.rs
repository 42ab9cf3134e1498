//! What a store is asked to change, and how it answers.

use super::{EventId, HistoryId, KeyId, NewEvent, Place, RowId, RowVersion, StoreTime};

/// An answer, with the store's time at which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// The store's clock when it was made; a commit's is the time of its events.
    pub time: StoreTime,
}

/// Events and session changes that are kept together or not at all.
///
/// The ring keys are looked at event by event: each finds them as the events before it in
/// the same commit leave them. What the session changes expect is looked at before any of
/// them is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The last event that the replica had applied when it made the changes: what they
    /// were made for. Refused unless it is [`Part`](super::Standing::Part) of the log or
    /// [`Trimmed`](super::Standing::Trimmed).
    pub known: Place,
    /// Refused if this is not the ring key with the highest position before the commit.
    pub newest_key: Option<KeyId>,
    /// Appended at consecutive positions, each with its effect. May be empty, and then
    /// the commit takes no position.
    pub events: Vec<NewEvent>,
    /// Made in this order; what they expect is looked at before the first of them.
    pub sessions: Vec<SessionChange>,
    /// The wall clock of the replica. A store in the same process takes it for its own.
    pub now: StoreTime,
}

/// A change of session rows.
///
/// Not `non_exhaustive`: a store that passed over a new one would break its promises, so a new
/// one comes with a new major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// Puts in a row; refused if there is one with its id. It counts as rotated now.
    Start(NewRow),
    /// Puts a row in place of the one with its id, which is of the same user; refused if
    /// that is not there any more in this version.
    Replace {
        /// What is there afterwards.
        row: NewRow,
        /// What must be there before.
        expected: RowVersion,
        /// Whether it counts as rotated now, or when it did before.
        rotates: bool,
    },
    /// Removes a row.
    End {
        /// Its id.
        row: RowId,
        /// Refused if the row is not there any more in this version. With `None` it is
        /// removed in whatever version, and it may be gone already.
        expected: Option<RowVersion>,
    },
    /// Removes all rows of a user, whatever their version, those that a commit before
    /// this one has put in included.
    EndOfUser {
        /// What stands for the user.
        user: [u8; 16],
        /// The row that stays, if any.
        except: Option<RowId>,
    },
    /// Changes nothing; refused if the user has a row that is not among these. So all
    /// that is known of a user's sessions can be acted upon without missing a new one.
    NoOthers {
        /// What stands for the user.
        user: [u8; 16],
        /// The rows that there may be.
        rows: Vec<RowId>,
    },
}

/// A session's row that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// Its id.
    pub id: RowId,
    /// What stands for its user.
    pub user: [u8; 16],
    /// Names this state of it.
    pub version: RowVersion,
    /// When it may be forgotten.
    pub expires_at: StoreTime,
    /// The rest of it, encrypted.
    pub body: Vec<u8>,
}

/// A session's row as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// What was put in.
    pub row: NewRow,
    /// The time of the commit by which it last counted as rotated.
    pub rotated_at: StoreTime,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is kept, durably.
    Done {
        /// The log's head with it: its last event, or the newest one before it if it has
        /// none.
        head: Place,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// Which condition of a change did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The log does not know the place that the change was made for, or is in another
    /// history by now, or the store is empty.
    Place,
    /// Another ring key is the newest, or a key to be removed is not the oldest of
    /// several, or a key to be added or wrapped anew is not what it was taken for.
    Key,
    /// A session's row is not there in the version expected, or is there though it was not
    /// expected.
    Session,
    /// [`Beginning`] does not hold.
    Beginning,
}

/// The beginning of a history: the first, or one that takes the place of another
/// whose tail was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHistory {
    /// Its id.
    pub id: HistoryId,
    /// When it may begin.
    pub beginning: Beginning,
    /// Its secrets, wrapped.
    pub secrets: Vec<u8>,
    /// Its first event, which brings in its first ring key.
    pub event: NewEvent,
    /// Whether the session rows stay, as rows of the new history.
    pub keeps_sessions: bool,
    /// The wall clock of the replica. A store in the same process takes it for its own.
    pub now: StoreTime,
}

/// When a history may begin.
///
/// Not `non_exhaustive`: a store that passed over a new one would break its promises, so a new
/// one comes with a new major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// If the store is empty. Its first event gets position 1.
    Empty,
    /// If the store, empty or not, does not know this place. One that may have been
    /// trimmed does not count as unknown.
    Unknown {
        /// What must be [`Unknown`](super::Standing::Unknown) to it.
        place: Place,
        /// The histories before the place's.
        predecessors: Vec<HistoryId>,
    },
    /// If this is the store's history: the operator says that it is not to be trusted.
    InsteadOf(HistoryId),
}

/// The same secrets, wrapped with another master secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrap {
    /// As for [`Commit::known`].
    pub known: Place,
    /// The history's secrets.
    pub secrets: Vec<u8>,
    /// The records of all its ring keys, in the order of their positions. Refused if
    /// the store has others.
    pub keys: Vec<(KeyId, Vec<u8>)>,
    /// The wall clock of the replica. A store in the same process takes it for its own.
    pub now: StoreTime,
}

/// What may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tidy {
    /// As for [`Commit::known`].
    pub known: Place,
    /// Epochs at this position or below, as far as they are not above that of the oldest
    /// ring key that the store has.
    pub epochs_up_to: u64,
    /// Events at this position or below, as far as they and all before them are dated
    /// before `events_before`; but never the newest event of the log.
    pub events_up_to: u64,
    /// See `events_up_to`.
    pub events_before: StoreTime,
    /// Session rows that expire before this.
    pub sessions_before: StoreTime,
    /// Receipts dated before this.
    pub receipts_before: StoreTime,
    /// The wall clock of the replica. A store in the same process takes it for its own.
    pub now: StoreTime,
}

impl Commit {
    /// The id of its last event.
    pub(crate) fn last_event(&self) -> Option<EventId> {
        self.events.last().map(|event| event.id)
    }
}
