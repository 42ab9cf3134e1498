//! A signing key of the key ring.

use std::fmt;

use crate::{
    crypto::{HmacKey, Random, RandomError, Secret, random_array},
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

    pub(crate) fn id(&self) -> KeyId {
        self.id
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
    pub(crate) fn introduced(new: &NewRingKey, position: u64) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    #[test]
    fn debug_is_redacted() {
        let new = NewRingKey::draw(&SystemRandom, 900).unwrap();
        let secret = format!("{:?}", new.secret.expose());
        let key = RingKey::introduced(&new, 1);
        for text in [format!("{new:?}"), format!("{key:?}")] {
            assert!(
                text.contains("redacted") && !text.contains(&secret),
                "{text}"
            );
        }
    }
}
