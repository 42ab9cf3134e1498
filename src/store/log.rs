//! What a store keeps of the epoch log, and what it answers about it.

use std::{fmt, time::Duration};

use super::{EventId, HistoryId, KeyId, ReplicaId, StoreTime};

/// One event of the log, as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its position: one more than that of the event before it.
    pub position: u64,
    /// Its random id.
    pub id: EventId,
    /// When it was committed, by the store's clock.
    pub time: StoreTime,
    /// What happened, in the crate's own encoding. To the store these are bytes.
    pub body: Vec<u8>,
}

/// An event that is to be committed.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its random id, drawn by the replica that commits it.
    pub id: EventId,
    /// What happens, in the crate's own encoding, to be kept in the log as it is.
    pub body: Vec<u8>,
    /// What it does to the state that a snapshot shows.
    pub effect: Effect,
}

/// What an event does to the state that a snapshot shows.
///
/// `position` and `time` are those that the store gives the event.
///
/// Not `non_exhaustive`: a store that passed over a new one would break its promises, so a new
/// one comes with a new major version.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// A scope starts a new epoch at the event's position: put this in place of what
    /// is kept for the tag.
    Epoch {
        /// What stands for the scope.
        tag: [u8; 16],
        /// The epoch's secret.
        secret: [u8; 16],
    },
    /// A ring key is added, at the event's position and time. If there is one with its
    /// id, the whole commit is refused.
    AddKey {
        /// Its id.
        key: KeyId,
        /// The rest of it, wrapped.
        record: Vec<u8>,
    },
    /// A ring key takes the place of all others, at the event's position and time. If one
    /// of them has its id, the whole commit is refused.
    ReplaceKeys {
        /// Its id.
        key: KeyId,
        /// The rest of it, wrapped.
        record: Vec<u8>,
    },
    /// The oldest ring key is removed. If it is not the oldest of at least two, the
    /// whole commit is refused.
    RemoveKey {
        /// Its id.
        key: KeyId,
    },
}

/// Without the body, which holds secrets.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("position", &self.position)
            .field("id", &self.id)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// Without the body, which holds secrets.
impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("id", &self.id)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, key) = match self {
            Effect::Epoch { .. } => return f.write_str("Epoch"),
            Effect::AddKey { key, .. } => ("AddKey", key),
            Effect::ReplaceKeys { key, .. } => ("ReplaceKeys", key),
            Effect::RemoveKey { key } => ("RemoveKey", key),
        };
        f.debug_tuple(name).field(key).finish()
    }
}

/// A place in the log that somebody has seen: a position is not enough, for a store
/// that lost its tail gives positions again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The history.
    pub history: HistoryId,
    /// The position of an event in it.
    pub position: u64,
    /// The id of that event.
    pub event: EventId,
}

/// How a place stands to the store's log. All conditions on a place refer to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is in the present history, and the event at its position has its id.
    Part,
    /// It is in the present history, at a position below the oldest event that is kept.
    Trimmed,
    /// It is in a history that the present one names among its predecessors.
    Before,
    /// None of these: the store is empty, the position is above the head, the event there
    /// is another one, or the history is not known.
    Unknown,
}

/// What a replica says about itself when it asks for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The replica.
    pub replica: ReplicaId,
    /// The last event it has applied, and so the place that it asks from; `None` from a
    /// replica that is about to load its first snapshot.
    pub applied: Option<Place>,
    /// How old its news may be before it refuses everything.
    pub max_staleness: Duration,
    /// Its wall clock. A store in the same process takes it for its own.
    pub now: StoreTime,
}

/// The answer to "what comes after this place?"
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The place is [part](Standing::Part) of the log. These events follow it without a
    /// gap; none if it is the head.
    Events {
        /// The events, in the order of their positions.
        events: Vec<Event>,
        /// Whether the log went on behind them when the answer was made.
        more: bool,
    },
    /// Load a snapshot: nothing was applied yet, or the place is
    /// [trimmed](Standing::Trimmed), or [before](Standing::Before) the present history.
    TakeSnapshot,
    /// The place is [unknown](Standing::Unknown).
    NotMyPast,
}

/// One consistent view of the log's state, beside its epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest event that it shows.
    pub head: Place,
    /// The histories that went before the present one.
    pub predecessors: Vec<HistoryId>,
    /// The secrets of the history, wrapped, as [`NewHistory`](super::NewHistory) or
    /// [`Rewrap`](super::Rewrap) gave them.
    pub secrets: Vec<u8>,
    /// The ring keys, in the order of their positions.
    pub keys: Vec<StoredKey>,
}

/// A ring key as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub id: KeyId,
    /// The position of the event that brought it in.
    pub position: u64,
    /// The time of that event.
    pub introduced_at: StoreTime,
    /// The rest of it, wrapped.
    pub record: Vec<u8>,
}

/// The epoch of a scope as a store keeps it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoredEpoch {
    /// What stands for the scope.
    pub tag: [u8; 16],
    /// The position of the bump.
    pub position: u64,
    /// The epoch's secret.
    pub secret: [u8; 16],
}

impl fmt::Debug for StoredEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEpoch")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// What a replica last said of itself, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// What it said. What it has applied is `None` here unless that was
    /// [part](Standing::Part) of the log when it was said. Its wall clock, `now`, need not
    /// be kept.
    pub heartbeat: Heartbeat,
    /// When, by the store's clock.
    pub received_at: StoreTime,
}
