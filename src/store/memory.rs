use std::{collections::VecDeque, fmt, sync::OnceLock};

use parking_lot::Mutex;

use super::{
    Store,
    sealed::{Backend, Committed, Completion},
};
use crate::{
    StoreError,
    epoch_log::{Change, Event},
    history::HistoryId,
};

/// The most events handed out at once.
const EVENTS_AT_ONCE: usize = 4096;

/// A store in this process's memory, for one [`Authority`](crate::Authority).
///
/// It forgets everything when the process ends. That revives nothing: the next
/// process draws new keys, and every old token is refused as
/// [`UnknownKey`](crate::VerifyError::UnknownKey). Use it for tests, and for
/// services where a restart may log everybody out.
#[derive(Default)]
pub struct MemoryStore {
    history: OnceLock<HistoryId>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    last_position: u64,
    /// What the one reader has not taken yet.
    events: VecDeque<Event>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {}

impl Backend for MemoryStore {
    fn history(&self, fresh: HistoryId) -> HistoryId {
        *self.history.get_or_init(|| fresh)
    }

    fn commit(&self, changes: Vec<Change>, done: Completion) {
        let committed = self.log.lock().append(changes);
        done(Ok(committed));
    }

    fn events_after(&self, position: u64) -> Result<Vec<Event>, StoreError> {
        Ok(self.log.lock().take_after(position))
    }
}

impl Log {
    fn append(&mut self, changes: Vec<Change>) -> Committed {
        let first = self.last_position + 1;
        for change in changes {
            self.last_position += 1;
            let position = self.last_position;
            self.events.push_back(Event { position, change });
        }
        Committed {
            first,
            last: self.last_position,
        }
    }

    /// The one reader asks for what follows the events it has applied, so those
    /// before can go.
    fn take_after(&mut self, position: u64) -> Vec<Event> {
        while self
            .events
            .front()
            .is_some_and(|event| event.position <= position)
        {
            self.events.pop_front();
        }
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        self.events.iter().take(EVENTS_AT_ONCE).cloned().collect()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("last_position", &self.log.lock().last_position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch_table::Tag;

    #[test]
    fn events_come_in_order_and_go_once_they_are_applied() {
        let store = MemoryStore::new();
        let bump = |n| Change::Bump {
            tag: Tag(n),
            secret: [0; 16],
        };
        let count = EVENTS_AT_ONCE as u128 + 10;
        store.commit((0..count).map(bump).collect(), Box::new(|_| {}));
        store.commit(
            vec![bump(0)],
            Box::new(|answer| {
                assert_eq!(answer.unwrap().first, EVENTS_AT_ONCE as u64 + 11);
            }),
        );
        let mut applied = 0;
        loop {
            let events = store.events_after(applied).unwrap();
            let Some(last) = events.last() else { break };
            assert!(events.len() <= EVENTS_AT_ONCE);
            let positions: Vec<_> = events.iter().map(|event| event.position).collect();
            assert_eq!(positions, (applied + 1..=last.position).collect::<Vec<_>>());
            applied = last.position;
        }
        assert_eq!(applied, EVENTS_AT_ONCE as u64 + 11);
        assert_eq!(
            store.log.lock().events.len(),
            0,
            "nothing is kept that was applied"
        );
    }
}
