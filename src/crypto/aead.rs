use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::Secret;

pub(crate) const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;

/// A key for AES-256-GCM (NIST SP 800-38D).
///
/// A nonce must not come twice under one key. Random ones are safe for up to
/// 2³² messages.
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(crate) fn new(secret: &Secret<32>) -> Self {
        #[expect(clippy::expect_used, reason = "fails only for another length")]
        let key = UnboundKey::new(&AES_256_GCM, secret.expose()).expect("a key is 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// The ciphertext and its tag.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_LENGTH],
        associated_data: &[u8],
        plaintext: &[u8],
    ) -> Vec<u8> {
        // Never grown, because growing would leave a copy of the plaintext behind.
        let mut sealed = Vec::with_capacity(plaintext.len() + TAG_LENGTH);
        sealed.extend_from_slice(plaintext);
        #[expect(
            clippy::expect_used,
            reason = "fails only beyond 64 GiB, and only short secrets are sealed"
        )]
        self.0
            .seal_in_place_append_tag(nonce_of(nonce), Aad::from(associated_data), &mut sealed)
            .expect("a plaintext is shorter than 64 GiB");
        sealed
    }

    /// The plaintext; `None` if anything differs from what was sealed.
    #[must_use]
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LENGTH],
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let length = self
            .0
            .open_in_place(nonce_of(nonce), Aad::from(associated_data), &mut bytes)
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }
}

fn nonce_of(nonce: &[u8; NONCE_LENGTH]) -> Nonce {
    Nonce::assume_unique_for_key(*nonce)
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{SystemRandom, tests::unhex};

    /// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega).
    #[test]
    fn gcm_test_case_16() {
        let half = "feffe9928665731c6d6a8f9467308308";
        let key: [u8; 32] = unhex(&half.repeat(2)).try_into().unwrap();
        let key = AeadKey::new(&Secret(Zeroizing::new(key)));
        let nonce: [u8; 12] = unhex("cafebabefacedbaddecaf888").try_into().unwrap();
        let associated_data = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plaintext = unhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let sealed = unhex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
             76fc6ece0f4e1768cddf8853bb2d551b",
        );

        assert_eq!(key.seal(&nonce, &associated_data, &plaintext), sealed);
        let opened = key.open(&nonce, &associated_data, &sealed);
        assert_eq!(opened.as_deref(), Some(&plaintext));

        assert!(key.open(&[0; 12], &associated_data, &sealed).is_none());
        assert!(key.open(&nonce, b"", &sealed).is_none());
        for length in 0..sealed.len() {
            let cut = &sealed[..length];
            assert!(key.open(&nonce, &associated_data, cut).is_none());
        }
    }

    #[test]
    fn debug_is_redacted() {
        let key = AeadKey::new(&Secret::draw(&SystemRandom).unwrap());
        assert_eq!(format!("{key:?}"), "AeadKey(redacted)");
    }
}
