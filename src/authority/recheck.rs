//! Looking again at what was verified before.

use super::{
    Authority, Inner, Step,
    judge::{Bound, swapped, unknown_key},
};
use crate::{
    Verified, VerifyError,
    bug::{self, Bug},
    epoch_table::BelowFloor,
    hook::{self, Place},
    seal::Seal,
};

impl Authority {
    /// Asks again whether a token that was verified earlier is still good, for
    /// WebSockets and streams that outlive a request, and for handlers that waited long, as
    /// for a body, before they do what cannot be undone: its ring key is live, it has
    /// not expired, nothing it carries was bumped, and the policy's authentication
    /// age is kept.
    ///
    /// It reads memory of this process only, never waits, and allocates nothing for a
    /// good token. A `verified` of an authority with other keys is refused as `UnknownKey`; of
    /// one with the same store and another issuer or audience, these are not compared again.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, MemoryStore, Scope};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// # let token = authority.issue(Grant::user("u-42"))?;
    /// let verified = authority.verify(token)?;
    /// while authority.recheck(&verified).is_ok() {
    ///     // send the next message
    /// #   authority.bump(Scope::user("u-42")).wait()?;
    /// }
    /// // close the connection
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`VerifyError`], as [`verify`](Self::verify) would give for the token now if it is one of
    /// this authority's.
    pub fn recheck(&self, verified: &Verified) -> Result<(), VerifyError> {
        let outcome = self.inner.recheck(verified);
        if let Err(error) = &outcome {
            self.inner.count_refused(error);
        }
        outcome
    }
}

impl Inner {
    fn recheck(&self, verified: &Verified) -> Result<(), VerifyError> {
        let now = self.replica.now();
        let payload = verified.payload();
        let era = self.replica.era();
        if era.is_some() && era == verified.stood().era {
            // Its key is live as it was, and its seal the right one.
            return self.check_now(None, &payload.members, now, |_| Ok(()));
        }
        let judge = self.judge_at(now);
        let key = judge.ring.key(verified.key());
        let key = match bug::is_in(Bug::RecheckWithoutRing) {
            true => key.or(judge.ring.keys().first()),
            false => key,
        };
        let key = key.ok_or_else(|| unknown_key(now))?;
        hook::reached(Place::KeyFound);
        let bound = judge.bound(key);
        self.check_now(Some(key), &payload.members, now, |step| {
            if step == Step::Seal && !self.still_stands(bound, verified).map_err(swapped)? {
                verified.stands(self.check_seal(bound, payload, now)?);
            }
            Ok(())
        })
    }

    /// Whether the seal of a token that was verified before is still the right one, without
    /// computing it.
    pub(super) fn still_stands(
        &self,
        bound: Bound<'_>,
        verified: &Verified,
    ) -> Result<bool, BelowFloor> {
        let Bound { ring, key, .. } = bound;
        let now = bound.as_of();
        let (scopes, stood) = (|| verified.payload().scopes(), verified.stood());
        let stands = Seal::stands(ring, key, scopes, stood, now)?;
        if let Some(now) = stands.filter(|now| *now != stood) {
            verified.stands(now);
        }
        Ok(stands.is_some())
    }
}
