//! How secrets are kept in a store: encrypted with a key that the master secret gives.
//!
//! A wrapped secret is
//!
//! ```text
//! version 1 (1 byte) ‖ fingerprint (8) ‖ random nonce (12) ‖ ciphertext ‖ tag (16)
//! ```
//!
//! in AES-256-GCM. Key and fingerprint are HKDF-SHA256 of the master secret, each with
//! its own info. There is no salt: it would have to be kept beside what it protects, and
//! HKDF needs none to give independent keys from a uniformly random secret (RFC 5869
//! section 3.1). The associated data is version, fingerprint and the caller's context.

use zeroize::Zeroizing;

use crate::{
    MasterSecret, RandomError,
    crypto::{AeadKey, NONCE_LENGTH, Random, hkdf, random_array},
};

const VERSION: u8 = 1;
const FINGERPRINT_LENGTH: usize = 8;
const HEADER_LENGTH: usize = 1 + FINGERPRINT_LENGTH;

/// By how much a wrapped secret is longer than the secret.
pub(crate) const WRAPPING_LENGTH: usize = HEADER_LENGTH + NONCE_LENGTH + 16;

const KEY_INFO: &[u8] = b"epochkey wrapping key 1";
const FINGERPRINT_INFO: &[u8] = b"epochkey master secret fingerprint 1";

/// The keys of the current master secret, which wraps, and of the previous ones, which
/// only unwrap.
#[derive(Debug)]
pub(crate) struct WrappingKeys {
    current: WrappingKey,
    previous: Vec<WrappingKey>,
}

impl WrappingKeys {
    pub(crate) fn new(current: &MasterSecret, previous: &[MasterSecret]) -> Self {
        Self {
            current: WrappingKey::new(current),
            previous: previous.iter().map(WrappingKey::new).collect(),
        }
    }

    /// `secret`, wrapped with the current master secret. It unwraps only with the
    /// same `context`: what the secret is, and whose.
    pub(crate) fn wrap(
        &self,
        context: &[u8],
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, RandomError> {
        self.current.wrap(context, secret, random)
    }

    pub(crate) fn unwrap(
        &self,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        let (header, rest) = split_header(wrapped).ok_or(UnwrapError::Damaged)?;
        let key = [&self.current]
            .into_iter()
            .chain(&self.previous)
            .find(|key| key.header == *header)
            .ok_or(UnwrapError::WrongMasterSecret)?;
        key.open(context, rest).ok_or(UnwrapError::Damaged)
    }
}

/// What stands before the nonce, and the rest; `None` for another version.
fn split_header(wrapped: &[u8]) -> Option<(&[u8; HEADER_LENGTH], &[u8])> {
    wrapped
        .split_first_chunk()
        .filter(|(header, _)| header[0] == VERSION)
}

/// What one master secret gives.
#[derive(Debug)]
struct WrappingKey {
    /// Version and fingerprint.
    header: [u8; HEADER_LENGTH],
    key: AeadKey,
}

impl WrappingKey {
    fn new(master: &MasterSecret) -> Self {
        let fingerprint = hkdf::<FINGERPRINT_LENGTH>(b"", master.expose(), FINGERPRINT_INFO);
        let mut header = [VERSION; HEADER_LENGTH];
        header[1..].copy_from_slice(fingerprint.expose());
        Self {
            header,
            key: AeadKey::new(&hkdf(b"", master.expose(), KEY_INFO)),
        }
    }

    fn wrap(
        &self,
        context: &[u8],
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, RandomError> {
        let nonce = random_array(random)?;
        let sealed = self
            .key
            .seal(&nonce, &self.associated_data(context), secret);
        Ok([&self.header[..], &nonce, &sealed].concat())
    }

    /// The secret in `rest`, which is what stands behind the header.
    fn open(&self, context: &[u8], rest: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        self.key.open(nonce, &self.associated_data(context), sealed)
    }

    fn associated_data(&self, context: &[u8]) -> Vec<u8> {
        [&self.header[..], context].concat()
    }
}

/// Why a wrapped secret could not be unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnwrapError {
    /// It names a master secret that is neither the current nor a previous one. Damage to
    /// the name looks the same.
    WrongMasterSecret,
    /// It is not what was wrapped, not wrapped for this context, or of another version.
    Damaged,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;
    use proptest::prelude::*;

    const CONTEXT: &[u8] = b"context";

    fn master(first: u8) -> MasterSecret {
        let bytes: Vec<u8> = (first..first + 32).collect();
        MasterSecret::from_bytes(bytes).unwrap()
    }

    fn keys(current: u8, previous: &[u8]) -> WrappingKeys {
        let previous: Vec<_> = previous.iter().copied().map(master).collect();
        WrappingKeys::new(&master(current), &previous)
    }

    fn wrap(keys: &WrappingKeys, secret: &[u8]) -> Vec<u8> {
        keys.wrap(CONTEXT, secret, &SystemRandom).unwrap()
    }

    fn unwrap(keys: &WrappingKeys, wrapped: &[u8]) -> Result<Vec<u8>, UnwrapError> {
        keys.unwrap(CONTEXT, wrapped).map(|secret| secret.to_vec())
    }

    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(7);
            Ok(())
        }
    }

    /// Made with another implementation of HKDF and AES-GCM: what a store keeps must
    /// stay readable.
    #[test]
    fn the_layout_is_fixed() {
        let mut wrapped = vec![1, 0xf7, 0x70, 0x96, 0xf2, 0x10, 0x38, 0x98, 0x0b];
        wrapped.extend([7; 12]);
        wrapped.extend([0xeb, 0x14, 0x13, 0xbe, 0x44, 0xcb, 0x45, 0x12, 0xbe, 0x94]);
        wrapped.extend([0xf6, 0x9d, 0xf5, 0x40, 0x5f, 0xb3, 0xb2, 0xb3]);
        wrapped.extend([0xab, 0x4b, 0xc4, 0xeb, 0x6c, 0x49, 0x33, 0xf7]);

        let keys = keys(0, &[]);
        let ours = keys.wrap(CONTEXT, b"a ring key", &Sevens).unwrap();
        assert_eq!(ours, wrapped);
        assert_eq!(unwrap(&keys, &wrapped).unwrap(), b"a ring key");
    }

    #[test]
    fn every_bit_counts() {
        let keys = keys(0, &[1]);
        let wrapped = wrap(&keys, b"a ring key");
        for bit in 0..wrapped.len() * 8 {
            let mut wrong = wrapped.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                1..HEADER_LENGTH => UnwrapError::WrongMasterSecret,
                _ => UnwrapError::Damaged,
            };
            assert_eq!(unwrap(&keys, &wrong), Err(expected), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_is_damage() {
        let keys = keys(0, &[]);
        let mut wrapped = wrap(&keys, b"a ring key");
        for length in 0..wrapped.len() {
            let cut = unwrap(&keys, &wrapped[..length]);
            assert_eq!(cut, Err(UnwrapError::Damaged), "{length}");
        }
        wrapped.push(0);
        assert_eq!(unwrap(&keys, &wrapped), Err(UnwrapError::Damaged));
    }

    #[test]
    fn another_context_is_damage() {
        let keys = keys(0, &[]);
        let wrapped = wrap(&keys, b"a ring key");
        for context in [&b""[..], b"contexu", b"contex", b"context ", b"\0context"] {
            let refused = keys.unwrap(context, &wrapped);
            assert_eq!(refused.unwrap_err(), UnwrapError::Damaged, "{context:?}");
        }
    }

    /// Should another version ever share the key.
    #[test]
    fn the_header_is_authenticated() {
        let mut keys = keys(0, &[]);
        let mut wrapped = wrap(&keys, b"a ring key");
        keys.current.header[5] ^= 1;
        wrapped[5] ^= 1;
        assert_eq!(unwrap(&keys, &wrapped), Err(UnwrapError::Damaged));
    }

    #[test]
    fn a_previous_master_secret_unwraps_and_does_not_wrap() {
        let old = keys(1, &[]);
        let new = keys(0, &[2, 1]);
        let wrapped = wrap(&old, b"a ring key");
        assert_eq!(unwrap(&new, &wrapped).unwrap(), b"a ring key");

        let again = wrap(&new, b"a ring key");
        assert_eq!(unwrap(&old, &again), Err(UnwrapError::WrongMasterSecret));
    }

    #[test]
    fn another_master_secret_is_told_from_damage() {
        let wrapped = wrap(&keys(0, &[]), b"a ring key");
        let other = keys(1, &[2, 3]);
        let refused = unwrap(&other, &wrapped).unwrap_err();
        assert_eq!(refused, UnwrapError::WrongMasterSecret);
    }

    #[test]
    fn two_wraps_differ() {
        let keys = keys(0, &[]);
        let (one, other) = (wrap(&keys, b"a ring key"), wrap(&keys, b"a ring key"));
        assert_ne!(one[HEADER_LENGTH..][..12], other[HEADER_LENGTH..][..12]);
        assert_ne!(one[HEADER_LENGTH + 12..], other[HEADER_LENGTH + 12..]);
    }

    #[test]
    fn no_random_bytes_no_wrap() {
        struct Broken;
        impl Random for Broken {
            fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
                Err(RandomError::for_tests())
            }
        }
        let refused = keys(0, &[]).wrap(CONTEXT, b"a ring key", &Broken);
        assert_eq!(refused, Err(RandomError::for_tests()));
    }

    #[test]
    fn debug_is_redacted() {
        let text = format!("{:?}", keys(0, &[]));
        assert_eq!(
            text,
            "WrappingKeys { current: WrappingKey { \
             header: [1, 247, 112, 150, 242, 16, 56, 152, 11], \
             key: AeadKey(redacted) }, previous: [] }"
        );
    }

    proptest! {
        #[test]
        fn round_trip(context: Vec<u8>, secret: Vec<u8>, other: Vec<u8>) {
            let keys = keys(0, &[1]);
            let wrapped = keys.wrap(&context, &secret, &SystemRandom).unwrap();
            prop_assert_eq!(wrapped.len(), 1 + 8 + 12 + secret.len() + 16);
            prop_assert_eq!(&*keys.unwrap(&context, &wrapped).unwrap(), &secret);
            if other != context {
                prop_assert!(keys.unwrap(&other, &wrapped).is_err());
            }
        }

        /// Half of the bytes get past the header.
        #[test]
        fn no_other_bytes_unwrap(bytes: Vec<u8>, behind_header: bool) {
            let keys = keys(0, &[1]);
            let mut wrapped = Vec::new();
            if behind_header {
                wrapped.extend(keys.current.header);
            }
            wrapped.extend(&bytes);
            prop_assert!(keys.unwrap(CONTEXT, &wrapped).is_err());
        }
    }
}
