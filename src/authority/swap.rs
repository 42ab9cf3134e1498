//! A swap: what revokes every token.

use super::Authority;
use crate::{Epoch, Op, SwapError, epoch_log::Change, ring_key::NewRingKey};

impl Authority {
    /// Replaces the key ring at once: the emergency measure for a leaked signing
    /// key. Every outstanding token is refused as
    /// [`UnknownKey`](crate::VerifyError::UnknownKey) when the result is there.
    ///
    /// # Errors
    ///
    /// [`SwapError`] if the store failed. It is safe to swap again.
    pub fn swap_key(&self) -> Op<Epoch, SwapError> {
        let longest_lifetime = self.inner.policy.max_token_lifetime;
        match NewRingKey::draw(&*self.inner.random, longest_lifetime) {
            Ok(key) => self.commit(vec![Change::Swap(key)], |first| first),
            Err(error) => Op::finished(Err(error.into())),
        }
    }
}
