//! The immutable set of live ring keys, swapped whole, and the keys it holds.

use std::fmt;

use crate::{
    crypto::{HmacKey, Random, RandomError, Secret, random_array},
    epoch_table::TableKey,
    token::base64url,
};

/// The random id of a ring key. It never comes back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyId([u8; 12]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A ring key that the epoch log has not given a position yet.
#[derive(Debug, Clone)]
pub struct NewRingKey {
    id: KeyId,
    introduction_nonce: [u8; 16],
    secret: Secret<32>,
    longest_lifetime: u64,
}

impl NewRingKey {
    /// A random key that may sign tokens of up to `longest_lifetime` seconds.
    pub(crate) fn draw(random: &dyn Random, longest_lifetime: u64) -> Result<Self, RandomError> {
        Ok(Self {
            id: KeyId(random_array(random)?),
            introduction_nonce: random_array(random)?,
            secret: Secret::draw(random)?,
            longest_lifetime,
        })
    }
}

/// A signing key, introduced at a position of the epoch log.
#[derive(Debug)]
pub(crate) struct RingKey {
    id: KeyId,
    position: u64,
    introduction_nonce: [u8; 16],
    longest_lifetime: u64,
    header: Box<str>,
    signing_key: HmacKey,
}

impl RingKey {
    fn introduced(new: &NewRingKey, position: u64) -> Self {
        let header = format!(r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#, new.id);
        Self {
            id: new.id,
            position,
            introduction_nonce: new.introduction_nonce,
            longest_lifetime: new.longest_lifetime,
            header: base64url::encode(header.as_bytes()).into(),
            signing_key: HmacKey::new(&new.secret),
        }
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    /// Where in the epoch log the key was introduced. Bumps before it do not concern its tokens.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Begins every seal of the key's tokens, so that no seal outlives its key.
    pub(crate) fn introduction_nonce(&self) -> &[u8; 16] {
        &self.introduction_nonce
    }

    /// The longest lifetime of a token, in seconds; fixed at introduction.
    pub(crate) fn longest_lifetime(&self) -> u64 {
        self.longest_lifetime
    }

    /// The encoded header of all the key's tokens.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn signing_key(&self) -> &HmacKey {
        &self.signing_key
    }
}

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
                .all(|old| old.position < position && old.id != key.id),
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
        self.keys.iter().find(|key| key.header.as_bytes() == header)
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id == id)
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
    use crate::crypto::SystemRandom;

    #[test]
    fn a_swap_leaves_one_key_and_its_header_says_what_it_is() {
        let empty = KeyRing::without_keys(&SystemRandom).unwrap();
        assert!(empty.issuing_key().is_none());
        let first = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let second = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let ring = empty.swapped(&first, 1).swapped(&second, 5);

        assert!(ring.key(first.id).is_none());
        let key = ring.issuing_key().unwrap();
        assert_eq!((key.id, key.position), (second.id, 5));
        assert_eq!(ring.lowest_position(), Some(5));
        let header = format!(r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#, second.id);
        let encoded = base64url::encode(header.as_bytes());
        assert_eq!(
            ring.key_of_header(encoded.as_bytes()).map(RingKey::id),
            Some(second.id)
        );
        assert!(ring.key_of_header(&encoded.as_bytes()[1..]).is_none());
    }

    #[test]
    fn debug_is_redacted() {
        let key = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let secret = format!("{:?}", key.secret.expose());
        let ring = KeyRing::without_keys(&SystemRandom)
            .unwrap()
            .swapped(&key, 1);
        for text in [format!("{key:?}"), format!("{ring:?}")] {
            assert!(
                text.contains("redacted") && !text.contains(&secret),
                "{text}"
            );
        }
    }
}
