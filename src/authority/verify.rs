//! The one verify path: all steps, for a token of which nothing is known.

use super::{
    Authority, Inner, Step,
    judge::{Bound, Judge, swapped, unknown_key},
};
use crate::{
    Scope, Verified, VerifyError,
    bug::{self, Bug},
    clock::UnixSeconds,
    epoch_table::{AsOf, BelowFloor},
    hook::{self, Place},
    replica::Now,
    ring_key::RingKey,
    scope::ScopeRef,
    seal::Seal,
    token::{Members, Segments, SignedPayload},
};

impl Authority {
    /// Checks a token, and gives its claims if it is good at this moment.
    ///
    /// It takes every [`Step`], each only if all before it passed. It reads memory
    /// of this process only, never waits, and makes at most one heap allocation
    /// for a good token, besides those for what the thread
    /// [remembers](crate::Policy::thread_caches): for a token that it has seen several times,
    /// signature and payload are not computed again, but whatever can change is looked at
    /// each time.
    ///
    /// ```
    /// # use epochkey::{Authority, Grant, MemoryStore};
    /// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    /// # let token = authority.issue(Grant::user("u-42"))?;
    /// # let authorization = format!("Bearer {}", token.as_str());
    /// let (_scheme, token) = authorization.split_once(' ').unwrap_or_default();
    /// match authority.verify(token) {
    ///     Ok(verified) => println!("hello, {}", verified.user()),
    ///     Err(error) => eprintln!("refused: {}", error.label()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first step that failed, as a [`VerifyError`]. Any bytes give an error
    /// value, never a panic.
    pub fn verify(&self, token: impl AsRef<[u8]>) -> Result<Verified, VerifyError> {
        let outcome = self.inner.verify(token.as_ref());
        match &outcome {
            Ok(_) => self.inner.counters.verified(),
            Err(error) => self.inner.count_refused(error),
        }
        outcome
    }
}

impl Inner {
    pub(super) fn count_refused(&self, error: &VerifyError) {
        self.counters.refused(error);
        self.replica.observer().refused(error.label());
    }

    /// Takes the steps in order and tells `enter` before each.
    pub(super) fn verify_in_steps(
        &self,
        token: &[u8],
        judge: &Judge,
        mut enter: impl FnMut(Step),
    ) -> Result<Verified, VerifyError> {
        let Judge { now, ref ring, .. } = *judge;
        enter(Step::Shape);
        if token.len() > self.policy.max_token_length {
            return Err(VerifyError::Malformed);
        }
        let segments = Segments::split(token).ok_or(VerifyError::Malformed)?;

        enter(Step::RingKey);
        let key = ring
            .key_of_header(segments.header)
            .ok_or_else(|| unknown_key(now))?;
        hook::reached(Place::KeyFound);

        enter(Step::Signature);
        if !segments.is_signed_with(key.signing_key()) {
            return Err(VerifyError::BadSignature);
        }

        enter(Step::Payload);
        let payload =
            SignedPayload::decode(segments.payload, &self.opening).ok_or(VerifyError::Malformed)?;

        enter(Step::IssuerAndAudience);
        let members = &payload.members;
        if payload.bytes(members.issuer) != self.issuer.as_bytes() {
            return Err(VerifyError::WrongIssuer);
        }
        if !self.accepts(payload.bytes(members.audience)) {
            return Err(VerifyError::WrongAudience);
        }

        let bound = judge.bound(key);
        let mut stood = ring.table().beginning();
        self.check_now(Some(key), members, now, |step| {
            enter(step);
            if step == Step::Seal {
                stood = self.check_seal(bound, &payload, now)?;
            }
            Ok(())
        })?;
        Ok(Verified::new(payload, key.id(), now.seconds, stood))
    }

    /// The steps that depend on the moment: times, freshness, seal, authentication. `enter` is
    /// told before each, and judges the seal itself: it is computed, or known. Without `key`, the
    /// lifetime was found right under the token's.
    pub(super) fn check_now(
        &self,
        key: Option<&RingKey>,
        members: &Members,
        now: Now,
        mut enter: impl FnMut(Step) -> Result<(), VerifyError>,
    ) -> Result<(), VerifyError> {
        enter(Step::Times)?;
        self.check_times(key, members, now.seconds)?;

        enter(Step::Freshness)?;
        if !now.is_fresh && !bug::is_in(Bug::StaleVerifies) {
            return Err(VerifyError::StaleEpochs);
        }

        enter(Step::Seal)?;

        enter(Step::Authentication)?;
        match self.policy.max_authentication_age {
            Some(age) if !members.authenticated_within(age, now.seconds) => {
                Err(VerifyError::AuthenticationTooOld)
            }
            _ => Ok(()),
        }
    }

    /// Gives as of when it is the right one.
    pub(super) fn check_seal(
        &self,
        bound: Bound<'_>,
        payload: &SignedPayload,
        now: Now,
    ) -> Result<AsOf, VerifyError> {
        let Bound { ring, key, .. } = bound;
        let as_of = bound.as_of();
        let known = self.has_known_seal(bound, payload, as_of);
        if let Some(as_of) = known.map_err(swapped)? {
            return Ok(as_of);
        }
        let expected = Seal::compute(ring, key, payload.scopes()).map_err(swapped)?;
        if expected == payload.members.seal {
            self.remember_seal(bound, payload, as_of);
            return Ok(as_of);
        }
        hook::reached(Place::SealDiffers);
        if self.may_be_after(now.news_of, &payload.members) && !bug::is_in(Bug::NewerIsRevoked) {
            return Err(VerifyError::StaleEpochs);
        }
        let scope = last_bumped(bound, payload.scopes()).map_err(swapped)?;
        Err(VerifyError::Revoked { scope })
    }

    /// Whether another replica may have issued the token after a bump that is not known
    /// here yet: then it is not revoked, but too new.
    fn may_be_after(&self, news_of: Option<UnixSeconds>, members: &Members) -> bool {
        let margin = match bug::is_in(Bug::NewerWithoutMargin) {
            true => 0,
            false => 2 * self.policy.max_clock_skew + 1,
        };
        news_of.is_some_and(|news| members.issued_at.saturating_add(margin) > news)
    }

    fn check_times(
        &self,
        key: Option<&RingKey>,
        members: &Members,
        now: UnixSeconds,
    ) -> Result<(), VerifyError> {
        if now >= members.expires_at {
            return Err(VerifyError::Expired);
        }
        let latest = now.saturating_add(self.policy.leeway);
        if members.issued_at > latest {
            return Err(VerifyError::NotYetValid);
        }
        let lifetime = members.expires_at.saturating_sub(members.issued_at);
        let longest = match bug::is_in(Bug::LifetimeByPolicy) {
            true => Some(self.policy.max_token_lifetime),
            false => key.map(RingKey::longest_lifetime),
        };
        match longest {
            Some(longest) if lifetime > longest => Err(VerifyError::LifetimeTooLong),
            _ => Ok(()),
        }
    }

    fn accepts(&self, audience: &[u8]) -> bool {
        let mut others = self.policy.accepted_audiences.iter();
        audience == self.audience.as_bytes() || others.any(|other| audience == other.as_bytes())
    }
}

/// The scope whose epoch began last, of those that concern the key's tokens.
fn last_bumped<'a>(
    bound: Bound<'_>,
    scopes: impl Iterator<Item = ScopeRef<'a>>,
) -> Result<Option<Scope>, BelowFloor> {
    let mut last: Option<(u64, ScopeRef<'a>)> = None;
    for scope in scopes {
        let tag = bound.ring.table_key().tag(scope.kind, scope.id);
        let table = bound.ring.table();
        let Some(epoch) = table.bumped_after(tag, bound.key.position())? else {
            continue;
        };
        if last.is_none_or(|(position, _)| position < epoch.position) {
            last = Some((epoch.position, scope));
        }
    }
    Ok(last.map(|(_, scope)| scope.to_scope()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        Authority, Grant, MasterSecret, Policy, Scope, VerifyError, hook,
        testing::{self, FaultyStore, ManualClock},
    };

    fn bump_then_swap(authority: &Authority) {
        authority.bump(Scope::user("u")).wait().unwrap();
        authority.swap_key().wait().unwrap();
        assert_eq!(authority.stats().epochs, 0, "the swap has pruned the bump");
    }

    /// The token's user is bumped and the entry pruned by a swap while `verify`
    /// holds the old ring: without the floor in the shard, the missing entry would
    /// read as "not bumped".
    #[test]
    fn a_prune_between_ring_and_table_revives_nothing() {
        let authority = testing::authority().unwrap();
        let token = authority.issue(Grant::user("u")).unwrap();
        let swapping = authority.clone();
        hook::at_next(hook::Place::KeyFound, move || bump_then_swap(&swapping));
        assert_eq!(
            authority.verify(&token).unwrap_err(),
            VerifyError::UnknownKey
        );
        assert_eq!(
            authority.verify(&token).unwrap_err(),
            VerifyError::UnknownKey
        );
    }

    #[test]
    fn a_prune_between_ring_and_table_revives_nothing_for_recheck() {
        let authority = testing::authority().unwrap();
        let verified = authority
            .verify(authority.issue(Grant::user("u")).unwrap())
            .unwrap();
        // In the era of the verify it would not look at the ring.
        authority.bump(Scope::user("v")).wait().unwrap();
        let swapping = authority.clone();
        hook::at_next(hook::Place::KeyFound, move || bump_then_swap(&swapping));
        assert_eq!(authority.recheck(&verified), Err(VerifyError::UnknownKey));
        assert_eq!(authority.recheck(&verified), Err(VerifyError::UnknownKey));
    }

    /// The same without a swap: the bump is seen although it came after the ring was read.
    #[test]
    fn a_bump_between_ring_and_table_is_seen() {
        let authority = testing::authority().unwrap();
        let token = authority.issue(Grant::user("u")).unwrap();
        let bumping = authority.clone();
        hook::at_next(hook::Place::KeyFound, move || {
            bumping.bump(Scope::user("u")).wait().unwrap();
        });
        let scope = Some(Scope::user("u"));
        assert_eq!(
            authority.verify(&token).unwrap_err(),
            VerifyError::Revoked { scope }
        );
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// A replica with a token, and another one of the same store that bumps its user.
    struct Pair {
        clock: ManualClock,
        server: FaultyStore,
        ours: Authority,
        theirs: Authority,
    }

    impl Pair {
        fn open() -> Self {
            let clock = ManualClock::at_unix_seconds(1_700_000_000);
            let server = FaultyStore::new(clock.clone());
            let secret = MasterSecret::generate().unwrap();
            let open = || {
                let builder = Authority::builder("i", "a").clock(clock.clone());
                let builder = builder.master_secret(secret.clone());
                let builder = builder.policy(Policy::default().token_lifetime(2 * HOUR));
                testing::by_hand(builder).open(server.connect()).unwrap()
            };
            let (ours, theirs) = (open(), open());
            Self {
                ours,
                theirs,
                clock,
                server,
            }
        }

        fn bump_there(&self) {
            testing::follow(&self.theirs).unwrap();
            testing::finish(&self.theirs, self.theirs.bump(Scope::user("u"))).unwrap();
        }

        fn follow_at(&self, place: hook::Place) {
            let ours = self.ours.clone();
            hook::at_next(place, move || testing::follow(&ours).unwrap());
        }
    }

    /// An hour old, the replica gets a new ring and fresh news in the middle of a verify
    /// that has the old ring: which does not become fresh by that.
    #[test]
    fn news_that_comes_with_a_new_ring_does_not_make_the_old_one_fresh() {
        for (rechecks, restarts) in [(false, false), (false, true), (true, false), (true, true)] {
            let pair = Pair::open();
            let token = pair.ours.issue(Grant::user("u")).unwrap();
            let verified = pair.ours.verify(&token).unwrap();
            pair.bump_there();
            if restarts {
                testing::finish(&pair.theirs, pair.theirs.start_over()).unwrap();
            }
            pair.clock.advance(HOUR);
            pair.server.trim();
            pair.follow_at(hook::Place::KeyFound);
            let outcome = match rechecks {
                true => pair.ours.recheck(&verified),
                false => pair.ours.verify(&token).map(drop),
            };
            assert_eq!(
                outcome,
                Err(VerifyError::StaleEpochs),
                "{rechecks} {restarts}"
            );
        }
    }

    /// The news comes between the seal and the question how old it is: the seal was computed
    /// without it.
    #[test]
    fn a_fresh_log_in_elsewhere_is_not_revoked_by_news_that_comes_meanwhile() {
        let pair = Pair::open();
        pair.clock.advance(Duration::from_secs(7));
        testing::follow(&pair.ours).unwrap();
        pair.bump_there();
        let token = pair.theirs.issue(Grant::user("u")).unwrap();
        pair.clock.advance(Duration::from_secs(6));
        pair.follow_at(hook::Place::SealDiffers);
        let refused = pair.ours.verify(&token).unwrap_err();
        assert_eq!(refused, VerifyError::StaleEpochs);
        assert!(pair.ours.verify(&token).is_ok());
    }
}
