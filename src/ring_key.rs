//! A signing key of the key ring, and how it is kept in a store.

use std::time::Duration;

use crate::{
    StoreError,
    bug::{self, Bug},
    clock::UnixSeconds,
    crypto::{HmacKey, Random, RandomError, Secret, random_array},
    store::{KeyId, StoreTime, StoredKey},
    token::base64url,
    wrapping::WrappingKeys,
};

const RECORD_VERSION: u8 = 1;
/// The algorithm of the key's signatures; there is one so far.
const HS256: u8 = 1;
/// Version, algorithm, introduction nonce, longest lifetime, announcement.
const RECORD_HEAD: usize = 1 + 1 + 16 + 8 + 8;

/// A ring key that the epoch log has not given a position yet.
#[derive(Debug, Clone)]
pub(crate) struct NewRingKey {
    id: KeyId,
    introduction_nonce: [u8; 16],
    secret: Secret<32>,
    longest_lifetime: u64,
    announce_for: u64,
}

/// A ring key as it leaves the process: its secret is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedKey {
    pub(crate) id: KeyId,
    pub(crate) record: Vec<u8>,
}

impl NewRingKey {
    /// A random key that may sign tokens of up to `longest_lifetime` seconds, and
    /// begins to `announce_for` seconds after it was introduced.
    pub(crate) fn draw(
        random: &dyn Random,
        longest_lifetime: u64,
        announce_for: u64,
    ) -> Result<Self, RandomError> {
        Ok(Self {
            id: KeyId::draw(random)?,
            introduction_nonce: random_array(random)?,
            secret: Secret::draw(random)?,
            longest_lifetime,
            announce_for,
        })
    }

    pub(crate) fn seal(
        &self,
        wrapping: &WrappingKeys,
        random: &dyn Random,
    ) -> Result<SealedKey, RandomError> {
        let mut record = Vec::with_capacity(RECORD_HEAD + 80);
        record.extend_from_slice(&[RECORD_VERSION, HS256]);
        record.extend_from_slice(&self.introduction_nonce);
        record.extend_from_slice(&self.longest_lifetime.to_be_bytes());
        record.extend_from_slice(&self.announce_for.to_be_bytes());
        let wrapped = wrapping.wrap(&context(self.id, &record), self.secret.expose(), random)?;
        record.extend_from_slice(&wrapped);
        Ok(SealedKey {
            id: self.id,
            record,
        })
    }
}

/// What the wrapping of a key's secret is bound to: all else that is kept of the key.
fn context(id: KeyId, record_head: &[u8]) -> Vec<u8> {
    [b"ring key", id.as_bytes().as_slice(), record_head].concat()
}

impl SealedKey {
    /// The same key, wrapped with the current master secret.
    pub(crate) fn rewrapped(
        &self,
        wrapping: &WrappingKeys,
        random: &dyn Random,
    ) -> Result<Self, StoreError> {
        let (head, wrapped) = self.parts()?;
        let context = context(self.id, head);
        let secret = wrapping.unwrap(&context, wrapped)?;
        let wrapped = wrapping.wrap(&context, &secret, random)?;
        Ok(Self {
            id: self.id,
            record: [head.as_slice(), &wrapped].concat(),
        })
    }

    fn parts(&self) -> Result<(&[u8; RECORD_HEAD], &[u8]), StoreError> {
        match self.record.split_first_chunk::<RECORD_HEAD>() {
            Some((head, wrapped)) if head.starts_with(&[RECORD_VERSION, HS256]) => {
                Ok((head, wrapped))
            }
            _ => Err(StoreError::unreadable("a ring key")),
        }
    }

    /// The key, introduced by an event at `position` that was dated `introduced_at`.
    ///
    /// # Errors
    ///
    /// If the master secret is another, a newer version of this crate wrote it, or it is damaged.
    pub(crate) fn introduced(
        &self,
        position: u64,
        introduced_at: StoreTime,
        wrapping: &WrappingKeys,
    ) -> Result<RingKey, StoreError> {
        let (head, wrapped) = self.parts()?;
        let secret = wrapping.unwrap(&context(self.id, head), wrapped)?;
        let secret = Secret::from_slice(&secret).ok_or(StoreError::unreadable("a ring key"))?;
        let header = format!(r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#, self.id);
        let number = |from: usize| {
            let bytes = head[from..].iter().take(8);
            bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let mut introduction_nonce = [0; 16];
        introduction_nonce.copy_from_slice(&head[2..18]);
        Ok(RingKey {
            id: self.id,
            position,
            introduction_nonce,
            longest_lifetime: number(18),
            introduced_at,
            issues_from: match bug::is_in(Bug::IssuesFromBeforeCommit) {
                true => StoreTime::from_unix_millis(number(26) * 1000),
                false => introduced_at.saturating_add(Duration::from_secs(number(26))),
            },
            header: base64url::encode(header.as_bytes()).into(),
            signing_key: HmacKey::new(&secret),
        })
    }
}

/// A signing key, introduced at a position of the epoch log.
#[derive(Debug, Clone)]
pub(crate) struct RingKey {
    id: KeyId,
    position: u64,
    introduction_nonce: [u8; 16],
    longest_lifetime: u64,
    introduced_at: StoreTime,
    issues_from: StoreTime,
    header: Box<str>,
    signing_key: HmacKey,
}

impl RingKey {
    /// The key as a snapshot shows it.
    pub(crate) fn stored(key: StoredKey, wrapping: &WrappingKeys) -> Result<Self, StoreError> {
        let StoredKey { id, record, .. } = key;
        SealedKey { id, record }.introduced(key.position, key.introduced_at, wrapping)
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

    /// When the key was introduced.
    pub(crate) fn introduced_at(&self) -> UnixSeconds {
        self.introduced_at.as_unix_millis() / 1000
    }

    /// The first second in which the key is active: announced until then.
    pub(crate) fn issues_from(&self) -> UnixSeconds {
        self.issues_from.as_unix_millis().div_ceil(1000)
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
    use crate::{MasterSecret, crypto::SystemRandom};

    fn wrapping() -> WrappingKeys {
        WrappingKeys::new(&MasterSecret::generate().unwrap(), &[])
    }

    #[test]
    fn what_is_sealed_is_introduced() {
        let wrapping = wrapping();
        let new = NewRingKey::draw(&SystemRandom, 900, 14).unwrap();
        let sealed = new.seal(&wrapping, &SystemRandom).unwrap();
        let time = StoreTime::from_unix_millis(1_000_001);
        let key = sealed.introduced(7, time, &wrapping).unwrap();
        assert_eq!((key.id(), key.position()), (new.id, 7));
        assert_eq!(key.introduction_nonce(), &new.introduction_nonce);
        assert_eq!(key.longest_lifetime(), 900);
        assert_eq!((key.introduced_at(), key.issues_from()), (1000, 1015));
        let expected = HmacKey::new(&new.secret).sign(b"m");
        assert_eq!(key.signing_key().sign(b"m"), expected);
        let header = format!(r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#, new.id);
        assert_eq!(key.header(), base64url::encode(header.as_bytes()));
    }

    /// Whoever writes the store cannot give a key another id, nonce, lifetime or time.
    #[test]
    fn every_byte_is_bound_to_the_secret() {
        let wrapping = wrapping();
        let new = NewRingKey::draw(&SystemRandom, 900, 14).unwrap();
        let sealed = new.seal(&wrapping, &SystemRandom).unwrap();
        let introduced = |key: &SealedKey| key.introduced(1, StoreTime::default(), &wrapping);
        for byte in 0..sealed.record.len() {
            let mut other = sealed.clone();
            other.record[byte] ^= 1;
            assert!(introduced(&other).is_err(), "byte {byte}");
            other.record.truncate(byte);
            assert!(introduced(&other).is_err(), "cut at {byte}");
        }
        let id = KeyId::from_bytes([0; 12]);
        assert!(introduced(&SealedKey { id, ..sealed }).is_err());
    }

    #[test]
    fn rewrapping_changes_the_wrapping_alone() {
        let (old, new) = (
            MasterSecret::generate().unwrap(),
            MasterSecret::generate().unwrap(),
        );
        let key = NewRingKey::draw(&SystemRandom, 900, 14).unwrap();
        let sealed = key
            .seal(&WrappingKeys::new(&old, &[]), &SystemRandom)
            .unwrap();
        let both = WrappingKeys::new(&new, std::slice::from_ref(&old));
        let rewrapped = sealed.rewrapped(&both, &SystemRandom).unwrap();

        let only_new = WrappingKeys::new(&new, &[]);
        let introduced = |key: &SealedKey, wrapping| {
            let key = key.introduced(1, StoreTime::default(), wrapping);
            key.map(|key| key.signing_key().sign(b"m"))
        };
        let wrong = introduced(&sealed, &only_new).unwrap_err();
        assert_eq!(wrong.label(), "wrong_master_secret");
        assert_eq!(
            introduced(&rewrapped, &only_new).unwrap(),
            introduced(&sealed, &both).unwrap()
        );
    }

    #[test]
    fn debug_is_redacted() {
        let wrapping = wrapping();
        let new = NewRingKey::draw(&SystemRandom, 900, 0).unwrap();
        let secret = format!("{:?}", new.secret.expose());
        let sealed = new.seal(&wrapping, &SystemRandom).unwrap();
        let key = sealed
            .introduced(1, StoreTime::default(), &wrapping)
            .unwrap();
        for text in [format!("{new:?}"), format!("{key:?}")] {
            assert!(
                text.contains("redacted") && !text.contains(&secret),
                "{text}"
            );
        }
    }
}
