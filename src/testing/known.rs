use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Authority, AuthorityBuilder, RandomError, Scope,
    crypto::{HmacKey, Random, Secret},
};

/// Makes everything random about an authority follow from `seed`: its keys, its
/// epochs, and the ids of its tokens, in the order in which they are drawn.
///
/// For reproducible vectors, as in SPEC.md. Such an authority protects nothing.
pub fn known_secrets(builder: AuthorityBuilder, seed: [u8; 32]) -> AuthorityBuilder {
    builder.random(KnownRandom::new(seed))
}

/// HMAC-SHA256 of 1, 2, 3 … under the seed.
pub(super) struct KnownRandom {
    key: HmacKey,
    blocks: AtomicU64,
}

impl KnownRandom {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            key: HmacKey::new(&Secret::known(seed)),
            blocks: AtomicU64::new(0),
        }
    }
}

impl Random for KnownRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        for chunk in bytes.chunks_mut(32) {
            let number = self.blocks.fetch_add(1, Ordering::SeqCst) + 1;
            let block = self.key.sign(&number.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// The secrets of an authority, for tests that forge tokens or check them by
/// other means. See [`expose_secrets`].
#[derive(Clone)]
#[non_exhaustive]
pub struct ExposedSecrets {
    /// The seal key.
    pub seal_key: [u8; 32],
    /// The refresh key.
    pub refresh_key: [u8; 32],
    /// The live ring keys, oldest first.
    pub ring_keys: Vec<ExposedKey>,
}

/// A ring key; part of [`ExposedSecrets`].
#[derive(Clone)]
#[non_exhaustive]
pub struct ExposedKey {
    /// Its id, as in a token's header.
    pub kid: String,
    /// The position in the epoch log at which it was introduced.
    pub position: u64,
    /// Its introduction nonce.
    pub introduction_nonce: [u8; 16],
    /// The HMAC key.
    pub secret: [u8; 32],
    /// The longest lifetime of its tokens, in seconds.
    pub longest_lifetime: u64,
}

impl fmt::Debug for ExposedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExposedSecrets")
            .field("ring_keys", &self.ring_keys)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ExposedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExposedKey")
            .field("kid", &self.kid)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// The secrets that `authority` holds at this moment.
pub fn expose_secrets(authority: &Authority) -> ExposedSecrets {
    let ring = authority.replica().ring();
    let ring_keys = ring.keys().iter().map(|key| ExposedKey {
        kid: key.id().to_string(),
        position: key.position(),
        introduction_nonce: *key.introduction_nonce(),
        secret: key.signing_key().expose(),
        longest_lifetime: key.longest_lifetime(),
    });
    ExposedSecrets {
        seal_key: ring.seal_key().expose(),
        refresh_key: ring.refresh_key().expose(),
        ring_keys: ring_keys.collect(),
    }
}

/// The position and secret of the epoch that `scope` is in, if it was bumped
/// since the oldest live ring key.
pub fn expose_epoch(authority: &Authority, scope: &Scope) -> Option<(u64, [u8; 16])> {
    let ring = authority.replica().ring();
    let tag = ring.table_key().tag(scope.kind(), scope.id());
    let epoch = ring.table().bumped_after(tag, ring.lowest_position());
    epoch
        .ok()
        .flatten()
        .map(|epoch| (epoch.position, epoch.secret))
}
