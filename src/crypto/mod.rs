//! All cryptography, and the only folder that calls `ring`.

mod aead;
mod hkdf;

use std::{cell::RefCell, error, fmt};

use ring::{hmac, rand::SecureRandom};
use zeroize::Zeroizing;

pub(crate) use self::{
    aead::{AeadKey, NONCE_LENGTH},
    hkdf::hkdf,
};

/// Secret bytes: wiped on drop, redacted in `Debug`.
#[derive(Clone)]
pub(crate) struct Secret<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> Secret<N> {
    pub(crate) fn draw(random: &dyn Random) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; N]);
        random.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The secret in these bytes, if they are as many.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self(Zeroizing::new([0; N]));
        secret
            .0
            .copy_from_slice(bytes.get(..N).filter(|_| bytes.len() == N)?);
        Some(secret)
    }

    pub(crate) fn expose(&self) -> &[u8; N] {
        &self.0
    }

    #[cfg(feature = "testing")]
    pub(crate) fn known(bytes: [u8; N]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A key for HMAC-SHA256 (RFC 2104), kept expanded so that using it costs no key set-up.
///
/// Keys are always 32 bytes: HMAC pads shorter keys with zeros, so keys of
/// different lengths could be equal to it.
#[derive(Clone)]
pub(crate) struct HmacKey {
    key: hmac::Key,
    #[cfg(feature = "testing")]
    exposed: Secret<32>,
}

impl HmacKey {
    pub(crate) fn new(secret: &Secret<32>) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()),
            #[cfg(feature = "testing")]
            exposed: secret.clone(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 32] {
        tag_bytes(hmac::sign(&self.key, message))
    }

    /// Whether `tag` is the whole tag of `message`, compared in constant time.
    pub(crate) fn verify(&self, message: &[u8], tag: &[u8; 32]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }

    /// Begins the tag of a message that comes in parts.
    pub(crate) fn begin(&self) -> HmacMessage {
        HmacMessage {
            context: hmac::Context::with_key(&self.key),
            waiting: [0; _],
            length: 0,
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn expose(&self) -> [u8; 32] {
        *self.exposed.expose()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(redacted)")
    }
}

/// The message of an HMAC, given part by part. Short ones are put together first, for each costs
/// the library as much as a long one.
pub(crate) struct HmacMessage {
    context: hmac::Context,
    waiting: [u8; 128],
    length: usize,
}

impl HmacMessage {
    pub(crate) fn update(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if let Some(place) = self.waiting.get_mut(self.length..end) {
            place.copy_from_slice(part);
            self.length = end;
            return;
        }
        self.give_what_waits();
        self.context.update(part);
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        self.give_what_waits();
        tag_bytes(self.context.sign())
    }

    fn give_what_waits(&mut self) {
        let waiting = self.waiting.get(..self.length).unwrap_or_default();
        self.context.update(waiting);
        self.length = 0;
    }
}

fn tag_bytes(tag: hmac::Tag) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Where random bytes come from: the system, or in tests a known sequence.
pub(crate) trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;

    /// Bytes for an id that is no secret, and that nothing rests on but that it differs from others.
    fn public_id(&self) -> Result<[u8; 16], RandomError> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// The operating system's generator.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        ring::rand::SystemRandom::new()
            .fill(bytes)
            .map_err(|ring::error::Unspecified| RandomError(()))
    }

    /// Asks the system for many at once, for each thread: it takes as long as for one, and longer
    /// than all else that is done for a token.
    fn public_id(&self) -> Result<[u8; 16], RandomError> {
        thread_local! {
            static LEFT: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
        }
        let next = LEFT.try_with(|left| {
            let mut left = left.try_borrow_mut().ok()?;
            if left.is_empty() {
                let mut many = [0; 32 * 16];
                self.fill(&mut many).ok()?;
                left.extend(many.as_chunks().0);
            }
            left.pop()
        });
        match next.ok().flatten() {
            Some(id) => Ok(id),
            None => random_array(self),
        }
    }
}

/// An array of random bytes, for ids, nonces and what is about to be handed on.
pub(crate) fn random_array<const N: usize>(random: &dyn Random) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

/// The operating system gave no random bytes.
///
/// This does not happen on a healthy system; nothing was issued or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomError(());

impl RandomError {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self(())
    }

    /// A short fixed name for metrics and logs: `random`.
    pub fn label(&self) -> &'static str {
        "random"
    }
}

impl fmt::Display for RandomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the operating system gave no random bytes; check its generator, then try again",
        )
    }
}

impl error::Error for RandomError {}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::crypto) fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    }

    /// RFC 4231 has no 32-byte key; section 4.2's key padded with zeros to 32
    /// bytes is the same HMAC key.
    #[test]
    fn rfc_4231_case_1() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let key = HmacKey::new(&Secret(Zeroizing::new(key)));
        let tag = unhex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_eq!(key.sign(b"Hi There").to_vec(), tag);

        let mut message = key.begin();
        message.update(b"Hi");
        message.update(b"");
        message.update(b" There");
        assert_eq!(message.finish().to_vec(), tag);

        let tag: [u8; 32] = tag.try_into().unwrap();
        assert!(key.verify(b"Hi There", &tag));
        for bit in 0..256 {
            let mut wrong = tag;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(b"Hi There", &wrong), "bit {bit}");
        }
    }

    #[test]
    fn debug_is_redacted() {
        let secret = Secret::<32>::draw(&SystemRandom).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
        assert_eq!(format!("{:?}", HmacKey::new(&secret)), "HmacKey(redacted)");
    }

    #[test]
    fn system_random_differs() {
        let a: [u8; 16] = random_array(&SystemRandom).unwrap();
        let b: [u8; 16] = random_array(&SystemRandom).unwrap();
        assert_ne!(a, b);
    }
}
