//! The totally ordered sequence of events that the store keeps, and how one is encoded.
//!
//! A body is a version byte, a kind byte, and the fields of the kind. A replica that
//! does not know the version or the kind stops there: to skip an event could revive a
//! token. So a new kind takes two deploys: first all read it, then some write it.

use std::fmt;

use crate::{
    StoreError,
    epoch_table::Tag,
    ring_key::SealedKey,
    seal::{CONTRIBUTION_LENGTH, NOT_BUMPED},
    store::{Effect, Event, EventId, KeyId, NewEvent},
};

const VERSION: u8 = 1;

/// What an event changes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A scope starts a new epoch.
    Bump {
        tag: Tag,
        secret: [u8; CONTRIBUTION_LENGTH],
    },
    /// A ring key is introduced, in stages.
    Introduce(SealedKey),
    /// The key ring is replaced by one with this key alone.
    Swap(SealedKey),
    /// The oldest ring key goes.
    Retire(KeyId),
}

impl Change {
    /// The event to commit for it.
    pub(crate) fn into_event(self, id: EventId) -> NewEvent {
        let mut body = vec![VERSION, self.kind()];
        match &self {
            Change::Bump { tag, secret } => {
                body.extend_from_slice(&tag.to_bytes());
                body.extend_from_slice(secret);
            }
            Change::Introduce(key) | Change::Swap(key) => {
                body.extend_from_slice(key.id.as_bytes());
                body.extend_from_slice(&key.record);
            }
            Change::Retire(key) => body.extend_from_slice(key.as_bytes()),
        }
        let effect = match self {
            Change::Bump { tag, secret } => Effect::Epoch {
                tag: tag.to_bytes(),
                secret,
            },
            Change::Introduce(SealedKey { id: key, record }) => Effect::AddKey { key, record },
            Change::Swap(SealedKey { id: key, record }) => Effect::ReplaceKeys { key, record },
            Change::Retire(key) => Effect::RemoveKey { key },
        };
        NewEvent { id, body, effect }
    }

    /// Reads the change of an event that the store gave.
    ///
    /// # Errors
    ///
    /// If a newer version of this crate wrote it, or it is damaged.
    pub(crate) fn of_event(event: &Event) -> Result<Self, StoreError> {
        Self::decode(&event.body).ok_or_else(|| StoreError::unreadable_event(event.position))
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (&[VERSION, kind], fields) = body.split_first_chunk()? else {
            return None;
        };
        let sealed_key = || {
            let (id, record) = fields.split_first_chunk()?;
            Some(SealedKey {
                id: KeyId::from_bytes(*id),
                record: record.to_vec(),
            })
        };
        match kind {
            1 => {
                let (tag, secret) = fields.split_first_chunk()?;
                let (tag, secret) = (Tag::from_bytes(*tag), secret.try_into().ok()?);
                // As if never bumped: it would bring back what was revoked.
                (secret != NOT_BUMPED).then_some(Change::Bump { tag, secret })
            }
            2 => sealed_key().map(Change::Introduce),
            3 => sealed_key().map(Change::Swap),
            4 => Some(Change::Retire(KeyId::from_bytes(fields.try_into().ok()?))),
            _ => None,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Change::Bump { .. } => 1,
            Change::Introduce(_) => 2,
            Change::Swap(_) => 3,
            Change::Retire(_) => 4,
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Bump { tag, .. } => {
                let mut debug = f.debug_struct("Bump");
                debug.field("tag", tag).finish_non_exhaustive()
            }
            Change::Introduce(key) => f.debug_tuple("Introduce").field(&key.id).finish(),
            Change::Swap(key) => f.debug_tuple("Swap").field(&key.id).finish(),
            Change::Retire(key) => f.debug_tuple("Retire").field(key).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::StoreTime;

    fn changes() -> [Change; 4] {
        let key = || SealedKey {
            id: KeyId::from_bytes([3; 12]),
            record: vec![1, 2, 3],
        };
        [
            Change::Bump {
                tag: Tag(7),
                secret: [9; 16],
            },
            Change::Introduce(key()),
            Change::Swap(key()),
            Change::Retire(key().id),
        ]
    }

    fn event(body: Vec<u8>) -> Event {
        Event {
            position: 1,
            id: EventId::from_bytes([1; 16]),
            time: StoreTime::default(),
            body,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for change in changes() {
            let written = change.clone().into_event(EventId::from_bytes([1; 16]));
            assert_eq!(Change::of_event(&event(written.body)).unwrap(), change);
        }
    }

    /// Whoever writes the store would bring tokens back that were sealed before the first bump.
    #[test]
    fn a_bump_without_a_secret_is_unreadable() {
        let (tag, mut secret) = (Tag(7), NOT_BUMPED);
        let written =
            |secret| Change::Bump { tag, secret }.into_event(EventId::from_bytes([1; 16]));
        assert!(Change::of_event(&event(written(secret).body)).is_err());
        secret[15] = 1;
        assert!(Change::of_event(&event(written(secret).body)).is_ok());
    }

    /// To skip what cannot be read could revive a token.
    #[test]
    fn what_a_newer_version_wrote_is_an_error() {
        for change in changes() {
            let body = change.into_event(EventId::from_bytes([1; 16])).body;
            for (place, value) in [(0, 2), (0, 0), (1, 0), (1, 5)] {
                let mut newer = body.clone();
                newer[place] = value;
                let error = Change::of_event(&event(newer)).unwrap_err();
                assert_eq!(error.label(), "unreadable");
            }
        }
        for body in [
            vec![],
            vec![1],
            vec![1, 1],
            vec![1, 4, 0],
            vec![1; 33],
            vec![1; 35],
        ] {
            assert!(Change::of_event(&event(body)).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_an_error(body: Vec<u8>) {
            if let Ok(change) = Change::of_event(&event(body.clone())) {
                prop_assert_eq!(change.into_event(EventId::from_bytes([0; 16])).body, body);
            }
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", changes());
        assert!(
            !text.contains("9, 9") && !text.contains("1, 2, 3"),
            "{text}"
        );
    }
}
