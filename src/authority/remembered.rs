//! Verifying with what the thread remembers.
//!
//! Only what cannot change is remembered: that a text is a token that an authority's own key
//! signed and what it says, and which seal goes with which epochs. Ring key, times, freshness and
//! the epochs of all scopes are looked at each time, as they are for a token that was never seen.
//! Whatever is not found good here takes every step, which then say what is wrong with it.

use super::{
    Inner,
    verify::{Bound, check_fresh},
};
use crate::{
    Verified, VerifyError,
    epoch_table::{AsOf, BelowFloor},
    grant::CheckedGrant,
    hook::{self, Place},
    key_ring::KeyRing,
    replica::Now,
    scope::ScopeRef,
    seal::Seal,
    thread_cache::{self, SealOf, TokenOf},
    token::{SignedPayload, WrittenScopes},
};

impl Inner {
    pub(super) fn verify(&self, token: &[u8]) -> Result<Verified, VerifyError> {
        let judge = self.judge();
        if !self.policy.thread_caches {
            return self.verify_in_steps(token, &judge, |_| {});
        }
        let found = find_key(&judge.ring, token);
        if let Some((bound, token)) = found {
            hook::reached(Place::KeyFound);
            if let Some(verified) = self.verify_again(bound, token, judge.now) {
                return Ok(verified);
            }
        }
        let verified = self.verify_in_steps(token, &judge, |_| {})?;
        if let Some((_, token)) = found {
            thread_cache::with(|cache| cache.tokens.verified(token, &verified));
        }
        Ok(verified)
    }

    /// Finds a token good that this thread has seen before.
    fn verify_again(&self, bound: Bound<'_>, token: TokenOf<'_>, now: Now) -> Option<Verified> {
        thread_cache::with(|cache| {
            let known = cache.tokens.find(token)?;
            let members = &known.payload().members;
            self.check_times(bound.key, members, now.seconds).ok()?;
            check_fresh(now).ok()?;
            self.still_stands(bound, known)
                .ok()
                .filter(|stands| *stands)?;
            self.check_authentication(members, now).ok()?;
            Some(known.again(now.seconds))
        })?
    }

    /// The seal of a grant's scopes, which the thread may know.
    pub(super) fn seal(
        &self,
        bound: Bound<'_>,
        grant: &CheckedGrant,
        written: &WrittenScopes,
    ) -> Result<Seal, BelowFloor> {
        let Bound { ring, key } = bound;
        if !self.policy.thread_caches {
            return Seal::compute(ring, key, grant.scopes());
        }
        let moment = ring.table().as_of();
        let of = seal_of(bound, written.as_bytes());
        if let Some(seal) = known_seal(bound, of, || grant.scopes(), moment)? {
            return Ok(seal);
        }
        let seal = Seal::compute(ring, key, grant.scopes())?;
        let as_of = moment.unwrap_or(ring.table().beginning());
        thread_cache::with(|cache| cache.seals.computed(of, seal, as_of));
        Ok(seal)
    }

    /// Whether the thread knows the seal of a token's scopes, and the token has it.
    pub(super) fn has_known_seal(
        &self,
        bound: Bound<'_>,
        payload: &SignedPayload,
        moment: Option<AsOf>,
    ) -> Result<bool, BelowFloor> {
        if !self.policy.thread_caches {
            return Ok(false);
        }
        let of = seal_of(bound, payload.written_scopes());
        let known = known_seal(bound, of, || payload.scopes(), moment)?;
        Ok(known.is_some_and(|seal| seal == payload.members.seal))
    }

    /// The token has the seal of its scopes.
    pub(super) fn remember_seal(&self, bound: Bound<'_>, payload: &SignedPayload, stood: AsOf) {
        if self.policy.thread_caches {
            let (of, seal) = (
                seal_of(bound, payload.written_scopes()),
                payload.members.seal,
            );
            thread_cache::with(|cache| cache.seals.computed(of, seal, stood));
        }
    }
}

/// The key whose header the token begins with, and what else it is remembered by.
fn find_key<'a>(ring: &'a KeyRing, token: &'a [u8]) -> Option<(Bound<'a>, TokenOf<'a>)> {
    let (key, text) = ring.key_of_token(token)?;
    let token = TokenOf {
        table: ring.table().id(),
        key: key.id(),
        text,
    };
    Some((Bound { ring, key }, token))
}

fn seal_of<'a>(bound: Bound<'_>, written_scopes: &'a [u8]) -> SealOf<'a> {
    SealOf {
        table: bound.ring.table().id(),
        key: bound.key.id(),
        scopes: written_scopes,
    }
}

/// The seal of these scopes, if the thread knows it. `moment` was asked for before.
fn known_seal<'a, S: Iterator<Item = ScopeRef<'a>>>(
    bound: Bound<'_>,
    of: SealOf<'_>,
    scopes: impl FnOnce() -> S,
    moment: Option<AsOf>,
) -> Result<Option<Seal>, BelowFloor> {
    let Bound { ring, key } = bound;
    let known = thread_cache::with(|cache| {
        let Some(known) = cache.seals.find(of) else {
            return Ok(None);
        };
        if !Seal::stands(ring, key, scopes, known.as_of, moment)? {
            return Ok(None);
        }
        known.as_of = moment.unwrap_or(known.as_of);
        Ok(Some(known.seal))
    });
    known.unwrap_or(Ok(None))
}
