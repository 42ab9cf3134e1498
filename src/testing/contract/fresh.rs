//! What is new in a request: ids, events, rows.

use std::sync::Arc;

use crate::{
    crypto::Random,
    store::{
        Beginning, Effect, EventId, HistoryId, KeyId, NewEvent, NewHistory, NewRow, RowId,
        RowVersion, SessionChange, StoreTime,
    },
    testing::known::KnownRandom,
};

/// Draws from a known sequence, so that a clause that fails does so again. Clones go on with
/// the same sequence.
#[derive(Clone)]
pub(super) struct Fresh(Arc<KnownRandom>);

impl Default for Fresh {
    fn default() -> Self {
        Self(Arc::new(KnownRandom::new(
            *b"what a contract says, a store ke",
        )))
    }
}

impl Fresh {
    pub(super) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let filled = self.0.fill(&mut bytes);
        assert!(filled.is_ok(), "a known sequence does not end");
        bytes
    }

    /// A number below `limit`.
    pub(super) fn below(&self, limit: usize) -> usize {
        u16::from_be_bytes(self.bytes()) as usize % limit
    }

    pub(super) fn event(&self, effect: Effect) -> NewEvent {
        NewEvent {
            id: EventId::from_bytes(self.bytes()),
            body: self.bytes::<24>().to_vec(),
            effect,
        }
    }

    /// A scope that this tag stands for starts a new epoch.
    pub(super) fn epoch(&self, tag: [u8; 16]) -> NewEvent {
        let secret = self.bytes();
        self.event(Effect::Epoch { tag, secret })
    }

    /// A scope never heard of starts a new epoch.
    pub(super) fn bump(&self) -> NewEvent {
        self.epoch(self.bytes())
    }

    pub(super) fn bumps(&self, count: usize) -> Vec<NewEvent> {
        (0..count).map(|_| self.bump()).collect()
    }

    pub(super) fn key(&self) -> KeyId {
        KeyId::from_bytes(self.bytes())
    }

    pub(super) fn add_key(&self, key: KeyId) -> NewEvent {
        let record = self.bytes::<40>().to_vec();
        self.event(Effect::AddKey { key, record })
    }

    pub(super) fn replace_keys(&self, key: KeyId) -> NewEvent {
        let record = self.bytes::<40>().to_vec();
        self.event(Effect::ReplaceKeys { key, record })
    }

    pub(super) fn remove_key(&self, key: KeyId) -> NewEvent {
        self.event(Effect::RemoveKey { key })
    }

    pub(super) fn history(&self, beginning: Beginning, now: StoreTime) -> NewHistory {
        NewHistory {
            id: HistoryId::from_bytes(self.bytes()),
            beginning,
            secrets: self.bytes::<100>().to_vec(),
            event: self.replace_keys(self.key()),
            keeps_sessions: false,
            now,
        }
    }

    pub(super) fn version(&self) -> RowVersion {
        RowVersion::from_bytes(self.bytes())
    }

    /// A new row of the user that this tag stands for.
    pub(super) fn row(&self, user: [u8; 16]) -> NewRow {
        let id = RowId::from_bytes(self.bytes());
        self.version_of(&NewRow {
            id,
            user,
            version: self.version(),
            expires_at: StoreTime::from_unix_millis(4_000_000_000_000),
            body: Vec::new(),
        })
    }

    /// The same row in a new version.
    pub(super) fn version_of(&self, row: &NewRow) -> NewRow {
        let millis = row.expires_at.as_unix_millis() + 1;
        NewRow {
            version: self.version(),
            expires_at: StoreTime::from_unix_millis(millis),
            body: self.bytes::<60>().to_vec(),
            ..*row
        }
    }
}

/// Puts this row in place of what is there in its version.
pub(super) fn replace(row: &NewRow, expected: RowVersion, rotates: bool) -> SessionChange {
    SessionChange::Replace {
        row: row.clone(),
        expected,
        rotates,
    }
}

/// Ends a row that is there in this version, or in any.
pub(super) fn end(row: &NewRow, expected: Option<RowVersion>) -> SessionChange {
    let row = row.id;
    SessionChange::End { row, expected }
}
