//! The personal lock: a MAC that only the current epochs of a token's scopes produce.

use subtle::ConstantTimeEq;

use crate::{
    bug::{self, Bug},
    crypto::HmacMessage,
    epoch_table::{AsOf, BelowFloor},
    key_ring::KeyRing,
    ring_key::RingKey,
    scope::ScopeRef,
    token::base64url,
};

/// The length of a seal in bytes.
pub(crate) const SEAL_LENGTH: usize = 16;

/// The length of an epoch's secret, and so of a scope's contribution, in bytes.
pub(crate) const CONTRIBUTION_LENGTH: usize = 16;

/// What a scope contributes that was not bumped after the ring key's position.
pub(crate) const NOT_BUMPED: [u8; CONTRIBUTION_LENGTH] = [0; CONTRIBUTION_LENGTH];

/// A seal. Compared in constant time.
#[derive(Clone, Copy)]
pub(crate) struct Seal([u8; SEAL_LENGTH]);

impl Seal {
    /// The length of a seal in a token, in characters.
    pub(crate) const TEXT_LENGTH: usize = 22;

    pub(crate) fn from_bytes(bytes: [u8; SEAL_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The seal of a token with these scopes, made with `key`, as of now.
    ///
    /// # Errors
    ///
    /// [`BelowFloor`] if the table has forgotten bumps that `key` would need.
    pub(crate) fn compute<'a>(
        ring: &KeyRing,
        key: &RingKey,
        scopes: impl Iterator<Item = ScopeRef<'a>>,
    ) -> Result<Self, BelowFloor> {
        let mut message = ring.seal_key().begin();
        if !bug::is_in(Bug::SealWithoutNonce) {
            message.part(key.introduction_nonce());
        }
        for scope in scopes {
            let tag = ring.table_key().tag(scope.kind, scope.id);
            let contribution = match ring.table().bumped_after(tag, key.position())? {
                Some(epoch) => epoch.secret,
                None => NOT_BUMPED,
            };
            encode_scope(
                &mut message,
                scope.kind.code(),
                scope.id.as_bytes(),
                &contribution,
            );
        }
        Ok(Self::of_tag(message.finish()))
    }

    /// As of when the seal of these scopes is known to be the same as it was earlier, when `key`
    /// was live too; `None` if it is another one. `now` is to be asked for before.
    ///
    /// # Errors
    ///
    /// [`BelowFloor`] if the table has forgotten bumps that `key` would need.
    pub(crate) fn stands<'a, S: Iterator<Item = ScopeRef<'a>>>(
        ring: &KeyRing,
        key: &RingKey,
        scopes: impl FnOnce() -> S,
        since: AsOf,
        now: AsOf,
    ) -> Result<Option<AsOf>, BelowFloor> {
        if since.table != now.table {
            return Ok(None);
        }
        if now.era.is_some() && now.era == since.era {
            // Not as of now: the era may have ended before the position was read.
            return Ok(Some(since));
        }
        for scope in scopes() {
            let tag = ring.table_key().tag(scope.kind, scope.id);
            let epoch = ring.table().bumped_after(tag, key.position())?;
            if epoch.is_some_and(|epoch| epoch.position > since.position) {
                return Ok(None);
            }
        }
        Ok(Some(now))
    }

    fn of_tag(tag: [u8; 32]) -> Self {
        let mut seal = [0; SEAL_LENGTH];
        for (byte, tag) in seal.iter_mut().zip(tag) {
            *byte = tag;
        }
        Self(seal)
    }

    pub(crate) fn encode_onto(self, text: &mut Vec<u8>) {
        base64url::encode_onto(&self.0, text);
    }
}

impl PartialEq for Seal {
    fn eq(&self, other: &Self) -> bool {
        // As one number: byte by byte it takes ten times as long.
        let number = |seal: &Self| u128::from_ne_bytes(seal.0);
        number(self).ct_eq(&number(other)).into()
    }
}

impl Eq for Seal {}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(redacted)")
    }
}

/// Takes the parts of a seal's input in order.
trait Message {
    fn part(&mut self, bytes: &[u8]);
}

impl Message for HmacMessage {
    fn part(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// One scope of the input: every field has a fixed or a stated length, so that
/// no two lists of scopes give the same bytes.
fn encode_scope(
    message: &mut impl Message,
    kind: u8,
    id: &[u8],
    contribution: &[u8; CONTRIBUTION_LENGTH],
) {
    #[expect(
        clippy::expect_used,
        reason = "at most 255 bytes: `check_id` saw a grant's, `quoted_id_length` a token's"
    )]
    let length = u16::try_from(id.len()).expect("an id is at most 255 bytes");
    let [high, low] = length.to_be_bytes();
    message.part(&[kind, high, low]);
    message.part(id);
    message.part(contribution);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Message for Vec<u8> {
        fn part(&mut self, bytes: &[u8]) {
            self.extend_from_slice(bytes);
        }
    }

    type EncodedScope = (u8, Vec<u8>, [u8; 16]);

    fn encode(scopes: &[EncodedScope]) -> Vec<u8> {
        let mut message = Vec::new();
        for (kind, id, contribution) in scopes {
            encode_scope(&mut message, *kind, id, contribution);
        }
        message
    }

    /// The law behind "no two tuples alike": what was encoded can be read back.
    fn decode(mut bytes: &[u8]) -> Vec<EncodedScope> {
        let mut scopes = Vec::new();
        while let [kind, high, low, rest @ ..] = bytes {
            let (id, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            let (contribution, rest) = rest.split_at(16);
            scopes.push((*kind, id.to_vec(), contribution.try_into().unwrap()));
            bytes = rest;
        }
        assert!(bytes.is_empty());
        scopes
    }

    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![
            0..4_usize,
            253..259_usize,
            65_533..65_536_usize,
            Just(16_usize)
        ]
    }

    fn scope() -> impl Strategy<Value = EncodedScope> {
        // Few different bytes, so that one scope's id can look like the next scope.
        let id = (length(), 0..4_u8).prop_map(|(length, byte)| vec![byte; length]);
        let contribution = prop_oneof![Just([0; 16]), Just([1; 16]), any::<[u8; 16]>()];
        (1..4_u8, id, contribution)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_two_lists_of_scopes_give_the_same_input(
            one in proptest::collection::vec(scope(), 0..10),
            other in proptest::collection::vec(scope(), 0..10),
        ) {
            prop_assert_eq!(&decode(&encode(&one)), &one);
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }
    }

    #[test]
    fn the_layout_is_the_one_of_the_specification() {
        let encoded = encode(&[
            (1, b"u-42".to_vec(), [0; 16]),
            (3, vec![b'x'; 258], [7; 16]),
        ]);
        assert_eq!(encoded[..7], [1, 0, 4, b'u', b'-', b'4', b'2']);
        assert_eq!(encoded[7..23], [0; 16]);
        assert_eq!(encoded[23..27], [3, 1, 2, b'x']);
        assert_eq!(encoded[encoded.len() - 16..], [7; 16]);
    }

    #[test]
    #[should_panic(expected = "an id is at most 255 bytes")]
    fn a_length_that_does_not_fit_is_never_cut() {
        encode(&[(1, vec![0; 65_536], [0; 16])]);
    }

    #[test]
    fn every_bit_of_a_seal_counts() {
        let seal = Seal::from_bytes([0x5a; 16]);
        assert_eq!(seal, Seal::from_bytes([0x5a; 16]));
        for bit in 0..128 {
            let mut bytes = [0x5a; 16];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(seal, Seal::from_bytes(bytes));
        }
        assert_eq!(format!("{seal:?}"), "Seal(redacted)");
    }
}
