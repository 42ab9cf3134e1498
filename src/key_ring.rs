//! The immutable set of live ring keys, swapped whole.

use crate::{
    crypto::{HmacKey, Random, RandomError, Secret},
    epoch_table::TableKey,
    ring_key::{KeyId, NewRingKey, RingKey},
};

/// An immutable snapshot of the live ring keys, with the secrets that go with them.
#[derive(Debug)]
pub(crate) struct KeyRing {
    /// In the order of their positions.
    keys: Vec<RingKey>,
    seal_key: HmacKey,
    table_key: TableKey,
}

impl KeyRing {
    /// A ring without keys: nothing verifies, nothing issues.
    pub(crate) fn without_keys(random: &dyn Random) -> Result<Self, RandomError> {
        Ok(Self {
            keys: Vec::new(),
            seal_key: HmacKey::new(&Secret::draw(random)?),
            table_key: TableKey::draw(random)?,
        })
    }

    /// The ring after a swap: `key` alone, introduced at `position`.
    pub(crate) fn swapped(&self, key: &NewRingKey, position: u64) -> Self {
        debug_assert!(
            self.keys
                .iter()
                .all(|old| old.position() < position && old.id() != key.id()),
            "a gone key never returns"
        );
        Self {
            keys: vec![RingKey::introduced(key, position)],
            seal_key: self.seal_key.clone(),
            table_key: self.table_key.clone(),
        }
    }

    /// The live key whose tokens begin with this encoded header.
    pub(crate) fn key_of_header(&self, header: &[u8]) -> Option<&RingKey> {
        self.keys
            .iter()
            .find(|key| key.header().as_bytes() == header)
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key that signs new tokens. Only a ring without keys has none.
    pub(crate) fn issuing_key(&self) -> Option<&RingKey> {
        self.keys.last()
    }

    pub(crate) fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The lowest position of a live key: what was bumped before it concerns no token.
    pub(crate) fn lowest_position(&self) -> Option<u64> {
        self.keys.first().map(RingKey::position)
    }

    pub(crate) fn seal_key(&self) -> &HmacKey {
        &self.seal_key
    }

    pub(crate) fn table_key(&self) -> &TableKey {
        &self.table_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::SystemRandom, token::base64url};

    #[test]
    fn a_swap_leaves_one_key_and_its_header_says_what_it_is() {
        let empty = KeyRing::without_keys(&SystemRandom).unwrap();
        assert!(empty.issuing_key().is_none());
        let first = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let second = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let ring = empty.swapped(&first, 1).swapped(&second, 5);

        assert!(ring.key(first.id()).is_none());
        let key = ring.issuing_key().unwrap();
        assert_eq!((key.id(), key.position()), (second.id(), 5));
        assert_eq!(ring.lowest_position(), Some(5));
        let header = format!(
            r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#,
            second.id()
        );
        let encoded = base64url::encode(header.as_bytes());
        assert_eq!(
            ring.key_of_header(encoded.as_bytes()).map(RingKey::id),
            Some(second.id())
        );
        assert!(ring.key_of_header(&encoded.as_bytes()[1..]).is_none());
    }

    #[test]
    fn debug_is_redacted() {
        let key = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let ring = KeyRing::without_keys(&SystemRandom)
            .unwrap()
            .swapped(&key, 1);
        let text = format!("{ring:?}");
        let bare = text
            .replace("HmacKey(redacted)", "")
            .replace("Secret(redacted)", "");
        assert_eq!(text.matches("redacted").count(), 3, "{text}");
        assert!(!bare.contains("secret"), "{text}");
    }
}
