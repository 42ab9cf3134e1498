//! Verifying with what the thread remembers.
//!
//! Only what cannot change is remembered: that a text is a token that an authority's own key
//! signed and what it says, and which seal goes with which epochs. Ring key, times, freshness and
//! the epochs of all scopes are looked at each time, as they are for a token that was never seen.
//! Whatever is not found good here takes every step, which then say what is wrong with it.

use super::{
    Inner, Step,
    judge::{Bound, Judge, swapped},
};
use crate::{
    Verified, VerifyError,
    bug::{self, Bug},
    epoch_table::{AsOf, BelowFloor},
    grant::CheckedGrant,
    hook::{self, Place},
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
        let found = find_key(&judge, token);
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
        thread_cache::look(|cache| {
            let known = cache.tokens.find(token)?;
            let checked = self.check_now(Some(bound.key), &known.payload().members, now, |step| {
                let stands = bug::is_in(Bug::KnownTokenBelieved)
                    || step != Step::Seal
                    || self.still_stands(bound, known).map_err(swapped)?;
                // Whatever it is: it is found out elsewhere.
                stands.then_some(()).ok_or(VerifyError::Malformed)
            });
            checked.ok().map(|()| known.again(now.seconds))
        })?
    }

    /// The seal of a grant's scopes, which the thread may know.
    pub(super) fn seal(
        &self,
        bound: Bound<'_>,
        grant: &CheckedGrant,
        written: &WrittenScopes,
    ) -> Result<Seal, BelowFloor> {
        let Bound { ring, key, .. } = bound;
        if !self.policy.thread_caches {
            return Seal::compute(ring, key, grant.scopes());
        }
        let as_of = bound.as_of();
        let of = seal_of(bound, written.as_bytes());
        if let Some((seal, _)) = known_seal(bound, of, || grant.scopes(), as_of)? {
            return Ok(seal);
        }
        let seal = Seal::compute(ring, key, grant.scopes())?;
        thread_cache::with(|cache| cache.seals.computed(of, seal, as_of));
        Ok(seal)
    }

    /// As of when, if the thread knows the seal of a token's scopes and the token has it.
    pub(super) fn has_known_seal(
        &self,
        bound: Bound<'_>,
        payload: &SignedPayload,
        now: AsOf,
    ) -> Result<Option<AsOf>, BelowFloor> {
        if !self.policy.thread_caches {
            return Ok(None);
        }
        let of = seal_of(bound, payload.written_scopes());
        let known = known_seal(bound, of, || payload.scopes(), now)?;
        let same = known.filter(|(seal, _)| *seal == payload.members.seal);
        Ok(same.map(|(_, as_of)| as_of))
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
fn find_key<'a>(judge: &'a Judge, token: &'a [u8]) -> Option<(Bound<'a>, TokenOf<'a>)> {
    let (key, text) = judge.ring.key_of_token(token)?;
    let token = TokenOf {
        table: judge.ring.table().id(),
        key: key.id(),
        text,
    };
    Some((judge.bound(key), token))
}

fn seal_of<'a>(bound: Bound<'_>, written_scopes: &'a [u8]) -> SealOf<'a> {
    SealOf {
        table: bound.ring.table().id(),
        key: bound.key.id(),
        scopes: written_scopes,
    }
}

/// The seal of these scopes and as of when, if the thread knows it. `now` was asked for before.
fn known_seal<'a, S: Iterator<Item = ScopeRef<'a>>>(
    bound: Bound<'_>,
    of: SealOf<'_>,
    scopes: impl FnOnce() -> S,
    now: AsOf,
) -> Result<Option<(Seal, AsOf)>, BelowFloor> {
    let Bound { ring, key, .. } = bound;
    let known = thread_cache::look(|cache| {
        let Some(known) = cache.seals.find(of) else {
            return Ok(None);
        };
        let stands = Seal::stands(ring, key, scopes, known.as_of, now)?;
        let stands = match bug::is_in(Bug::KnownSealBelieved) {
            true => Some(now),
            false => stands,
        };
        known.as_of = stands.unwrap_or(known.as_of);
        Ok(stands.map(|as_of| (known.seal, as_of)))
    });
    known.unwrap_or(Ok(None))
}

#[cfg(test)]
mod tests {
    use crate::{
        Authority, Grant, MemoryStore, Policy, Scope, Token, Verified, VerifyError, hook, testing,
    };

    fn authority() -> Authority {
        let builder = testing::by_hand(Authority::builder("i", "a"));
        let builder = builder.policy(Policy::default().thread_caches(true));
        builder.open(MemoryStore::new()).unwrap()
    }

    /// A token that the thread knows.
    fn known(authority: &Authority) -> (Token, Verified) {
        let token = authority.issue(Grant::user("u")).unwrap();
        let verified = [(); 3].map(|()| authority.verify(&token).unwrap());
        let [.., verified] = verified;
        (token, verified)
    }

    fn bump(authority: &Authority) {
        testing::finish(authority, authority.bump(Scope::user("u"))).unwrap();
    }

    fn label<T>(outcome: Result<T, VerifyError>) -> &'static str {
        outcome.map_or_else(|error| error.label(), |_| "good")
    }

    /// Whoever looks at what is not remembered sees the event already: so must the others.
    #[test]
    fn an_event_that_is_shown_is_in_force_for_what_is_known() {
        let authority = authority();
        for _ in 0..3 {
            let (token, verified) = known(&authority);
            let (looking, looked) = (authority.clone(), token.clone());
            hook::at_next(hook::Place::EventShown, move || {
                assert_eq!(looking.replica().era(), None);
                for _ in 0..2 {
                    assert_eq!(label(looking.verify(&looked)), "revoked");
                    assert_eq!(label(looking.recheck(&verified)), "revoked");
                }
                // And what is issued now is good now, and then.
                let new = looking.issue(Grant::user("u")).unwrap();
                assert_eq!(label(looking.verify(&new)), "good");
            });
            bump(&authority);
            assert_eq!(label(authority.verify(&token)), "revoked");
            assert!(authority.replica().era().is_some());
        }
    }

    /// A bump between any two of era, ring, position and table: what was seen of them is not taken
    /// for what is so after it.
    #[test]
    fn a_bump_in_the_midst_of_a_look_is_not_taken_for_known() {
        use hook::Place::{EraRead, KeyFound, PositionRead};
        let places = [EraRead, KeyFound, PositionRead];
        for (after_another, place) in [false, true]
            .into_iter()
            .flat_map(|it| places.map(|place| (it, place)))
        {
            let authority = authority();
            let (token, verified) = known(&authority);
            let same_user = authority.issue(Grant::user("u")).unwrap();
            let looks: [&dyn Fn(&Authority); 4] = [
                &|authority| drop(authority.verify(&token)),
                &|authority| drop(authority.recheck(&verified)),
                &|authority| drop(authority.verify(&same_user)),
                &|authority| drop(authority.issue(Grant::user("u"))),
            ];
            for look in looks {
                let (fresh, fresh_verified) = known(&authority);
                if after_another {
                    // So that the era is another one, and the table is read.
                    testing::finish(&authority, authority.bump(Scope::user("v"))).unwrap();
                }
                let bumping = authority.clone();
                hook::at_next(place, move || bump(&bumping));
                look(&authority);
                hook::not_reached();
                for _ in 0..3 {
                    for dead in [&token, &same_user, &fresh] {
                        assert_eq!(label(authority.verify(dead)), "revoked");
                    }
                    for dead in [&verified, &fresh_verified] {
                        assert_eq!(label(authority.recheck(dead)), "revoked");
                    }
                    let alive = authority.issue(Grant::user("u")).unwrap();
                    assert_eq!(label(authority.verify(alive)), "good");
                }
            }
        }
    }

    /// Nor is a new history: the old ring is not taken for the one of the new era.
    #[test]
    fn a_new_history_in_the_midst_of_a_look_leaves_nothing_that_is_rechecked() {
        for place in [hook::Place::EraRead, hook::Place::KeyFound] {
            for times in [0, 3] {
                let authority = authority();
                let token = authority.issue(Grant::user("u")).unwrap();
                for _ in 0..times {
                    authority.verify(&token).unwrap();
                }
                let starting = authority.clone();
                hook::at_next(place, move || {
                    testing::finish(&starting, starting.start_over()).unwrap();
                });
                let looked = authority.verify(&token);
                let rechecked = looked.and_then(|verified| authority.recheck(&verified));
                assert_eq!(rechecked, Err(VerifyError::UnknownKey), "{place:?} {times}");
            }
        }
    }

    /// The token's own key is live, and so is another one: whose header does not make it
    /// another token.
    #[test]
    fn a_known_token_under_the_header_of_another_key_is_a_forgery() {
        let authority = authority();
        let (token, _) = known(&authority);
        testing::finish(&authority, authority.rotate_key()).unwrap();
        let ring = authority.replica().ring_to_keep();
        let [first, second] = ring.keys() else {
            panic!("two keys are live")
        };
        let rest = token.as_str().strip_prefix(first.header()).unwrap();
        let forged = format!("{}{rest}", second.header());
        for _ in 0..3 {
            assert_eq!(label(authority.verify(&token)), "good");
            assert_eq!(label(authority.verify(&forged)), "bad_signature");
        }
    }

    /// "Off" is also for issuing.
    #[test]
    fn without_caches_nothing_is_remembered() {
        let builder = Authority::builder("i", "a").policy(Policy::default().thread_caches(false));
        let authority = builder.open(MemoryStore::new()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let token = authority.issue(Grant::user("u")).unwrap();
                for _ in 0..3 {
                    authority.issue(Grant::user("u")).unwrap();
                    authority.verify(&token).unwrap();
                    authority.verify("not a token").unwrap_err();
                }
                assert!(crate::thread_cache::look(|_| ()).is_none());
            });
        });
    }
}
